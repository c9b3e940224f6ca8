/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Phases whose intensities are known though their structure is not: a list of
 * spacings and intensities, or the hkl of an extraction (N. V. Y. Scarlett & I. C.
 * Madsen, Powder Diffr. 21 (2006) 278: PONKCS). */
#include "config.h"
#include "model.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_falling_d(const void *a, const void *b)
{
    const bragg_known_peak *x = a, *y = b;
    return (x->d_ang < y->d_ang) - (x->d_ang > y->d_ang);
}

static bragg_status check_peaks(const char *name, const bragg_known_peak *list, size_t n, bool spacings, bragg_error *err)
{
    double most = 0;
    for (size_t k = 0; k < n; k++) {
        if ((spacings && !(list[k].d_ang > 0)) || !isfinite(list[k].intensity) || list[k].intensity < 0)
            return bragg_fail(err, BRAGG_EDATA, "phase %s: expected positive spacings and intensities, found d %g with %g", name, list[k].d_ang, list[k].intensity);
        most = fmax(most, list[k].intensity);
    }
    return most > 0 ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "phase %s: expected peaks with intensities, found %zu without", name, n);
}

static bragg_status keep_peaks(bragg_model *m, phase *p, const bragg_known_peak *list, size_t n, double mass, bragg_error *err)
{
    p->known = bragg_arena_alloc(m->arena, n + 1, sizeof *p->known);
    if (!p->known)
        return bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for %zu peaks", p->name, n);
    memcpy(p->known, list, n * sizeof *list);
    p->n_known = n;
    p->mass = mass > 0 ? mass : 0;
    p->extracted = false;
    return BRAGG_OK;
}

bragg_status bragg_model_add_intensities(bragg_model *m, const char *name, const bragg_cell *cell, const bragg_symmetry *symmetry,
                                         const bragg_known_peak *list, size_t n, double mass, bragg_error *err)
{
    bragg_status st = check_peaks(name, list, n, false, err);
    if (st == BRAGG_OK)
        st = bragg_model_add_cell(m, name, cell, symmetry, err);
    return st == BRAGG_OK ? keep_peaks(m, &m->phase[m->n_phases - 1], list, n, mass, err) : st;
}

/* Spacings are those of a cube of one angstrom times a number a reflection has. */
bragg_status bragg_model_add_list(bragg_model *m, const char *name, const bragg_known_peak *list, size_t n, double wavelength_ang,
                                  double mass, bragg_error *err)
{
    const bragg_cell unit = { 1, 1, 1, BRAGG_PI / 2, BRAGG_PI / 2, BRAGG_PI / 2 };
    bragg_symmetry cubic;
    bragg_status st = check_peaks(name, list, n, true, err);
    if (st == BRAGG_OK)
        st = bragg_symmetry_from_symbol("P m -3 m", &cubic, err);
    if (st == BRAGG_OK)
        st = bragg_model_add_cell(m, name, &unit, &cubic, err);
    phase *p = st == BRAGG_OK ? &m->phase[m->n_phases - 1] : NULL;
    if (st == BRAGG_OK)
        st = keep_peaks(m, p, list, n, mass, err);
    if (st < 0)
        return st;
    qsort(p->known, n, sizeof *p->known, by_falling_d);
    p->spacings = true;
    p->card_wavelength_ang = wavelength_ang;
    p->reflection = calloc(n + 1, sizeof *p->reflection);
    if (!p->reflection)
        return bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for %zu peaks", name, n);
    p->n_reflections = n;
    for (size_t k = 0; k < n; k++) {
        const bragg_known_peak *e = &p->known[k];
        p->reflection[k] = (bragg_reflection){ e->h, e->k, e->l, 1, e->d_ang };
    }
    return BRAGG_OK;
}

