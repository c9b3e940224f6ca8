/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The best cells against the pattern: a Le Bail fit of each. */
#include "config.h"
#include "indexing.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/* The symmorphic group of the holohedry: no absences but the centring's. */
static bragg_status plain_group(const bragg_lattice *l, bragg_symmetry *out, bragg_error *err)
{
    static const char *const symbols[] = { [BRAGG_TRICLINIC] = "-1", [BRAGG_MONOCLINIC] = "1 2/m 1", [BRAGG_ORTHORHOMBIC] = "m m m",
                                           [BRAGG_TETRAGONAL] = "4/m m m", [BRAGG_TRIGONAL] = "-3 m:H", [BRAGG_HEXAGONAL] = "6/m m m",
                                           [BRAGG_CUBIC] = "m -3 m" };
    char symbol[32];
    snprintf(symbol, sizeof symbol, "%c %s", l->centring, symbols[l->system]);
    return bragg_symmetry_from_symbol(symbol, out, err);
}

static double median_width(const bragg_pattern *p, double wavelength)
{
    bragg_peak *peak;
    size_t n;
    double sum = 0, weight = 0;
    if (bragg_pattern_peaks(p, 6, &peak, &n, NULL) < 0)
        return 0.1 * BRAGG_DEG;
    for (size_t k = 0; k < n; k++) { /* strong ones know it best */
        double a = bragg_axis_convert(peak[k].x - peak[k].fwhm / 2, p->axis, BRAGG_AXIS_TTH, wavelength);
        double b = bragg_axis_convert(peak[k].x + peak[k].fwhm / 2, p->axis, BRAGG_AXIS_TTH, wavelength), w = fmax(peak[k].height, 0);
        if (fabs(b - a) > 0) {
            sum += w * fabs(b - a);
            weight += w;
        }
    }
    free(peak);
    return weight > 0 ? sum / weight : 0.1 * BRAGG_DEG;
}

static void start_values(bragg_model *m, const bragg_index_cell *c, double width_rad)
{
    bragg_params *t = bragg_model_params(m);
    double w = width_rad / BRAGG_DEG;
    static const char *const names[] = { "background", "instrument.zero", "instrument.w", "instrument.x", "phase.*.cell" };
    t->at[bragg_params_find(t, "instrument.w")].value = w * w / 2;
    t->at[bragg_params_find(t, "instrument.x")].value = w / 3;
    t->at[bragg_params_find(t, "instrument.zero")].value = c->zero_rad.value / BRAGG_DEG;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        bragg_model_select(m, names[k], true);
}

typedef struct checks {
    bragg_index_result *result;
    const bragg_pattern *pattern;
    const bragg_radiation *radiation;
    double last_rad, width_rad;
} checks;

static void check_one(const checks *c, bragg_index_cell *cell)
{
    bragg_error err = BRAGG_ERROR_INIT; /* a fit that fails leaves the cell unchecked */
    bragg_symmetry group;
    bragg_model *m = bragg_model_new();
    bragg_fit *f = NULL;
    bragg_histogram_options h = BRAGG_HISTOGRAM_OPTIONS_INIT;
    h.radiation = *c->radiation;
    h.background_terms = 8;
    h.last_rad = c->last_rad;
    bragg_status st = m ? plain_group(&cell->lattice, &group, &err) : BRAGG_ENOMEM;
    if (st >= 0)
        st = bragg_model_add_pattern(m, c->pattern, &h, &err);
    if (st >= 0)
        st = bragg_model_add_cell(m, "cell", &cell->lattice.cell, &group, &err);
    if (st >= 0)
        st = bragg_model_build(m, &err);
    if (st >= 0) {
        bragg_refine_options o = BRAGG_REFINE_OPTIONS_INIT;
        o.max_cycles = 12;
        start_values(m, cell, c->width_rad);
        bragg_refine(m, &o, &f, &err);
        cell->rwp = f && f->rwp > 0 ? f->rwp : NAN;
    }
    bragg_fit_free(f);
    bragg_model_free(m);
}

bragg_status bragg_index_check(bragg_index_result *r, const bragg_pattern *pattern, const bragg_radiation *radiation, size_t n,
                               const bragg_index_options *o, bragg_error *err)
{
    checks c = { r, pattern, radiation, NAN, 0 };
    double best = INFINITY;
    (void)err;
    c.width_rad = median_width(pattern, o->wavelength_ang);
    c.last_rad = r->last_rad + 4 * c.width_rad;
    n = n < r->n ? n : r->n;
    for (size_t k = 0; k < n; k++) {
        /* a superlattice of a better cell fits as well and says nothing; nor does chance */
        bool above = r->cell[k].derivative_of && r->cell[k].sub > r->cell[k].super;
        if (above || r->cell[k].evidence < r->cell[0].evidence - 50)
            continue;
        check_one(&c, &r->cell[k]);
        if (r->cell[k].rwp < best)
            best = r->cell[k].rwp;
        if (!bragg_progress(o->observer, k + 1, n))
            return BRAGG_STOPPED;
    }
    for (size_t k = 0; k < r->n && isfinite(best); k++) {
        bragg_index_cell *cell = &r->cell[k];
        /* every line once more, as a Gaussian of unknown width: -N ln Rwp */
        double rwp = cell->rwp > 0 ? cell->rwp : cell->derivative_of && r->cell[cell->derivative_of - 1].rwp > 0 ? r->cell[cell->derivative_of - 1].rwp : 2 * best;
        cell->rwp_evidence = (double)cell->lines * log(best / rwp);
    }
    r->n = bragg_index_rank(r->cell, r->n, r->n);
    return BRAGG_OK;
}
