/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities that are not the structure's: would grains that lie along an axis explain them? */
#include "config.h"
#include "spot.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>

/* The fewest lines that tell a texture from chance, and what it has to leave of R_Bragg. */
enum { FEWEST = 8, STEPS = 16 };
static const double left_over = 0.7, furthest = 4;
/* grains mostly grow along the cell's axes: another has to leave less than this of what they leave */
static const double oblique = 0.9;

/* A phase's lines in the first pattern, cos^2 of their equivalents to an axis, and what a texture makes of them. */
typedef struct lines {
    size_t n, n_ops, *reflection;
    double *observed, *calculated, *factor, *cos2;
} lines;

static bragg_status find_lines(const bragg_model *m, size_t which, lines *l, bragg_error *err)
{
    const histogram *h = &m->histogram[0];
    const phase *p = &m->phase[which];
    l->n_ops = p->structure->symmetry.n_ops;
    l->reflection = malloc((h->n_peaks + 1) * sizeof *l->reflection);
    l->observed = malloc((h->n_peaks + 1) * sizeof *l->observed);
    l->calculated = malloc((h->n_peaks + 1) * sizeof *l->calculated);
    l->factor = malloc((h->n_peaks + 1) * sizeof *l->factor);
    l->cos2 = malloc((h->n_peaks * l->n_ops + 1) * sizeof *l->cos2);
    if (!l->reflection || !l->observed || !l->calculated || !l->factor || !l->cos2)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", h->n_peaks);
    bragg_refine_partition(m, 0, l->observed);
    for (size_t k = 0; k < h->n_peaks; k++)
        if (bragg_refine_shows(h, k, which)) {
            l->reflection[l->n] = h->peak[k].reflection;
            l->calculated[l->n] = h->peak[k].intensity;
            l->observed[l->n++] = l->observed[k];
        }
    return BRAGG_OK;
}

static void find_angles(const phase *p, const int axis[3], lines *l)
{
    double g[6], *out = l->cos2;
    bragg_cell_reciprocal(&p->structure->cell, g);
    for (size_t k = 0; k < l->n; k++)
        out = bragg_refine_equivalent_cos2(p, g, l->reflection[k], axis, out);
}

/* R_Bragg with calculated intensities changed by March & Dollase. */
static double r_bragg(const lines *l, double r)
{
    double all = 0, sum = 0, apart = 0, slope;
    for (size_t k = 0; k < l->n; k++) {
        l->factor[k] = bragg_refine_march(l->cos2 + k * l->n_ops, l->n_ops, r, &slope);
        all += fabs(l->observed[k]);
        sum += l->factor[k] * l->calculated[k];
    }
    for (size_t k = 0; k < l->n; k++)
        apart += fabs(l->observed[k] - l->factor[k] * l->calculated[k] * all / sum);
    return all > 0 && sum > 0 ? apart / all : NAN;
}

static void try_axis(const phase *p, const int axis[3], double needed, lines *l, bragg_lying *best)
{
    find_angles(p, axis, l);
    bragg_lying own = { { axis[0], axis[1], axis[2] }, 1, best->before, INFINITY };
    for (int k = -STEPS; k <= STEPS; k++) {
        double r = pow(furthest, (double)k / STEPS), left = r_bragg(l, r);
        if (left < own.after)
            own.r = r, own.after = left;
    }
    if (own.after < needed * best->after - 1e-6) /* of axes that are equivalent the first */
        *best = own;
}

bragg_status bragg_model_lying(bragg_model *m, size_t which, bragg_lying *out, bragg_error *err)
{
    static const int axes[][3] = { { 0, 0, 1 }, { 1, 0, 0 }, { 0, 1, 0 }, { 1, 1, 0 }, { 1, -1, 0 }, { 1, 0, 1 }, { 1, 0, -1 }, { 0, 1, 1 }, { 0, 1, -1 }, { 1, 1, 1 },
                                   { 1, 1, -1 }, { 1, -1, 1 }, { -1, 1, 1 }, { 1, 0, 4 } /* rhombohedra of carbonates cleave there */ };
    const phase *p = &m->phase[which];
    lines l = { 0 };
    *out = (bragg_lying){ { 0, 0, 0 }, NAN, NAN, NAN };
    bragg_status st = bragg_refine_prepare(m, &m->params, NULL, err);
    if (st == BRAGG_OK && p->structure->n_atoms)
        st = find_lines(m, which, &l, err);
    if (st == BRAGG_OK && l.n >= FEWEST) {
        find_angles(p, axes[0], &l);
        bragg_lying best = { { 0, 0, 0 }, 1, r_bragg(&l, 1), left_over * r_bragg(&l, 1) };
        for (size_t k = 0; k < sizeof axes / sizeof *axes; k++)
            if (axes[k][2] < 4 || fabs(p->structure->cell.gamma - 2 * BRAGG_PI / 3) < 1e-6)
                try_axis(p, axes[k], k < 3 ? 1 : oblique, &l, &best);
        *out = best;
        out->after = best.r == 1 ? NAN : best.after;
    }
    free(l.reflection);
    free(l.observed);
    free(l.calculated);
    free(l.factor);
    free(l.cos2);
    return st;
}
