/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extinction symbols: which space groups of a lattice allow the lines that are seen and
 * no more than needed?  International Tables A, ch. 3.1; the probability of an extinction
 * symbol as such: A. J. Markvardsen et al., Acta Cryst. A57 (2001) 47, here from positions. */
#include "config.h"
#include "indexing.h"

#include <bragg/hash.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_SETTINGS = 530, MOST_CLASSES = 160 };

typedef struct class {
    uint64_t hash;
    double evidence;
    bragg_extinction e;
} class;

/* Centring and, for monoclinic, the unique axis b; rhombohedral in hexagonal axes. */
static bool fits(const bragg_symmetry *s, const bragg_lattice *l)
{
    int tie[6];
    bool trigonal_p = l->system == BRAGG_HEXAGONAL && s->system == BRAGG_TRIGONAL;
    if (s->hm[0] != l->centring || (s->system != l->system && !trigonal_p))
        return false;
    bragg_symmetry_cell_ties(s, tie);
    if (l->system == BRAGG_MONOCLINIC)
        return tie[4] == BRAGG_CELL_FREE;
    return l->system != BRAGG_TRIGONAL || tie[5] == BRAGG_CELL_FIXED;
}

/* A reflection is absent when an operation maps it onto itself with another phase. */
static bool is_absent(const bragg_symmetry *s, int h, int k, int l)
{
    const int v[3] = { h, k, l };
    for (size_t n = 0; n < s->n_ops; n++) {
        const bragg_symop *op = &s->op[n];
        bool same = true;
        for (int j = 0; j < 3 && same; j++)
            same = v[0] * op->r[0][j] + v[1] * op->r[1][j] + v[2] * op->r[2][j] == v[j];
        double phase = v[0] * op->t[0] + v[1] * op->t[1] + v[2] * op->t[2];
        if (same && fabs(phase - round(phase)) > 1e-3)
            return true;
    }
    return false;
}

/* The lines left by a group; a line of several families stays while one is allowed.
 * hash names the set. */
static size_t allowed_lines(const bragg_symmetry *s, const calculated *all, size_t n, calculated *out, uint64_t *hash)
{
    size_t m = 0, position = 0;
    *hash = BRAGG_FNV_START;
    for (size_t i = 0; i < n; i++) {
        position += i && all[i].q > all[i - 1].q * (1 + 1e-7);
        if (is_absent(s, all[i].h, all[i].k, all[i].l) || (m && all[i].q <= out[m - 1].q * (1 + 1e-7)))
            continue;
        out[m++] = all[i];
        *hash = bragg_fnv_next(*hash, position + 1);
    }
    return m;
}

static int by_evidence(const void *a, const void *b)
{
    const class *x = a, *y = b;
    if (x->evidence != y->evidence)
        return x->evidence < y->evidence ? 1 : -1;
    return (x->e.hall_number[0] > y->e.hall_number[0]) - (x->e.hall_number[0] < y->e.hall_number[0]);
}

/* One of each family of the least symmetric group of the system: P 4/m tells (h k l)
 * from (k h l), absences may, too. */
static size_t all_families(const bragg_lattice *l, double q_max, calculated *out, size_t room)
{
    bragg_lattice plain = *l;
    plain.system = l->system == BRAGG_MONOCLINIC || l->system == BRAGG_TRICLINIC ? l->system : BRAGG_ORTHORHOMBIC;
    plain.centring = 'P';
    return bragg_index_families(&plain, q_max, out, room);
}

static void add_group(class *c, size_t *n, uint64_t hash, double evidence, size_t possible, int hall)
{
    for (size_t k = 0; k < *n; k++)
        if (c[k].hash == hash) {
            bragg_extinction *e = &c[k].e;
            if (e->n_groups < BRAGG_MAX_GROUPS)
                e->hall_number[e->n_groups] = hall;
            e->n_groups++;
            return;
        }
    if (*n < MOST_CLASSES)
        c[(*n)++] = (class){ hash, evidence, { 1, { hall }, 0, possible } };
}

bragg_status bragg_index_extinctions(const line_set *s, bragg_index_cell *cell, bragg_error *err)
{
    calculated *all = malloc(2 * MOST_CALCULATED * sizeof *all), *some = all + MOST_CALCULATED;
    class *c = calloc(MOST_CLASSES, sizeof *c);
    size_t n_classes = 0;
    if (!all || !c) {
        free(all);
        free(c);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for extinction symbols");
    }
    double root = 2 * sin((s->last_rad - cell->zero_rad.value) / 2) / s->wavelength_ang;
    size_t n = all_families(&cell->lattice, root * root * 1.005, all, MOST_CALCULATED);
    for (int hall = 1; hall <= N_SETTINGS && n; hall++) {
        bragg_symmetry group;
        uint64_t hash;
        if (bragg_symmetry_from_hall_number(hall, &group, NULL) < 0 || !fits(&group, &cell->lattice))
            continue;
        size_t m = allowed_lines(&group, all, n, some, &hash);
        if (m)
            add_group(c, &n_classes, hash, bragg_index_evidence(s, cell->zero_rad.value, some, m, NULL), m, hall);
    }
    qsort(c, n_classes, sizeof *c, by_evidence);
    double total = 0;
    for (size_t k = 0; k < n_classes; k++)
        total += exp(c[k].evidence - c[0].evidence);
    cell->n_extinctions = n_classes < BRAGG_MAX_EXTINCTIONS ? n_classes : BRAGG_MAX_EXTINCTIONS;
    for (size_t k = 0; k < cell->n_extinctions; k++) {
        cell->extinction[k] = c[k].e;
        cell->extinction[k].probability = exp(c[k].evidence - c[0].evidence) / total;
    }
    free(all);
    free(c);
    return BRAGG_OK;
}
