/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of reflections: one of each Laue family, absences left out. */
#include "config.h"
#include <bragg/array.h>
#include <bragg/crystal.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROTATIONS = 96 };

typedef struct laue {
    size_t n;
    int r[MAX_ROTATIONS][3][3];
} laue;

/* Distinct rotations of the group and, for Friedel's law, their negatives. */
static void collect_rotations(const bragg_symmetry *s, laue *out)
{
    out->n = 0;
    for (size_t k = 0; k < 2 * s->n_ops; k++) {
        int r[3][3], sign = k < s->n_ops ? 1 : -1;
        for (int i = 0; i < 9; i++)
            (&r[0][0])[i] = sign * (&s->op[k % s->n_ops].r[0][0])[i];
        bool known = false;
        for (size_t m = 0; m < out->n && !known; m++)
            known = !memcmp(out->r[m], r, sizeof r);
        if (!known && out->n < MAX_ROTATIONS)
            memcpy(out->r[out->n++], r, sizeof r);
    }
}

static void turn(const int h[3], const int r[3][3], int out[3])
{
    for (int j = 0; j < 3; j++)
        out[j] = h[0] * r[0][j] + h[1] * r[1][j] + h[2] * r[2][j];
}

static int compare(const int a[3], const int b[3])
{
    for (int i = 0; i < 3; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* Number of equivalents, or 0 when a larger one stands for the family. */
static int family_size(const int h[3], const laue *group)
{
    int same = 0;
    for (size_t k = 0; k < group->n; k++) {
        int image[3];
        turn(h, group->r[k], image);
        int order = compare(image, h);
        if (order > 0)
            return 0;
        same += order == 0;
    }
    return (int)group->n / same;
}

/* International Tables A: h is absent when an operation keeps it, h R = h, and
 * shifts its phase, h t not a whole number. */
static bool is_absent(const int h[3], const bragg_symmetry *s)
{
    for (size_t k = 0; k < s->n_ops; k++) {
        int image[3];
        turn(h, s->op[k].r, image);
        if (compare(image, h))
            continue;
        double phase = h[0] * s->op[k].t[0] + h[1] * s->op[k].t[1] + h[2] * s->op[k].t[2];
        if (fabs(phase - rint(phase)) > 1e-3)
            return true;
    }
    return false;
}

static int by_falling_d(const void *pa, const void *pb)
{
    const bragg_reflection *a = pa, *b = pb;
    if (fabs(a->d_ang - b->d_ang) > 1e-9 * a->d_ang)
        return a->d_ang > b->d_ang ? -1 : 1;
    const int x[3] = { a->h, a->k, a->l }, y[3] = { b->h, b->k, b->l };
    return -compare(x, y);
}

typedef struct list {
    bragg_reflection *at;
    size_t n, room;
} list;

static bragg_status append(list *to, bragg_reflection r, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&to->at, &to->room, to->n + 1, sizeof r, err);
    if (st < 0)
        return st;
    to->at[to->n++] = r;
    return BRAGG_OK;
}

/* |h| <= a / d_min and so on bounds the sphere in any cell. */
static bragg_status enumerate(const bragg_cell *cell, const bragg_symmetry *s, double d_min, double d_max, list *out, bragg_error *err)
{
    laue group;
    double g[6], low = 1 / (d_max * d_max), high = 1 / (d_min * d_min);
    int hm = (int)(cell->a / d_min), km = (int)(cell->b / d_min), lm = (int)(cell->c / d_min);
    bragg_status st = BRAGG_OK;
    collect_rotations(s, &group);
    bragg_cell_reciprocal(cell, g);
    for (int h = 0; h <= hm; h++) /* the largest of a family has h >= 0 */
        for (int k = -km; k <= km; k++)
            for (int l = -lm; l <= lm && st == BRAGG_OK; l++) {
                double q = bragg_cell_invd2(g, h, k, l);
                if (!(q >= low && q <= high) || (!h && !k && !l))
                    continue;
                const int hkl[3] = { h, k, l };
                int size = family_size(hkl, &group);
                if (size && !is_absent(hkl, s))
                    st = append(out, (bragg_reflection){ h, k, l, size, 1 / sqrt(q) }, err);
            }
    return st;
}

bragg_status bragg_reflections(const bragg_cell *cell, const bragg_symmetry *symmetry, double d_min, double d_max,
                               bragg_reflection **out, size_t *n, bragg_error *err)
{
    list found = { NULL, 0, 0 };
    *out = NULL;
    *n = 0;
    bragg_status st = bragg_cell_check(cell, err);
    if (st < 0)
        return st;
    if (!(d_min > 0) || !(d_max >= d_min))
        return bragg_fail(err, BRAGG_EINVAL, "reflections: expected 0 < d_min <= d_max, got %g and %g", d_min, d_max);
    double expected = 4.2 * bragg_cell_volume_ang3(cell) / (d_min * d_min * d_min);
    if (!(expected < 5e7) || !(fmax(fmax(cell->a, cell->b), cell->c) / d_min < 5000))
        return bragg_fail(err, BRAGG_EINVAL, "reflections: about %.2g in the sphere of d >= %g angstrom are too many", expected, d_min);
    st = enumerate(cell, symmetry, d_min, d_max, &found, err);
    if (st < 0) {
        free(found.at);
        return st;
    }
    if (found.n)
        qsort(found.at, found.n, sizeof *found.at, by_falling_d);
    *out = found.at;
    *n = found.n;
    return BRAGG_OK;
}
