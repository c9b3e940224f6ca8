/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole-pattern model: what stands in it, and how it is built. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bragg_model *bragg_model_new(void)
{
    bragg_model *m = calloc(1, sizeof *m);
    if (m && !(m->arena = bragg_arena_new())) {
        free(m);
        return NULL;
    }
    return m;
}

static void free_histogram(histogram *h)
{
    free(h->peak);
    free(h->listed);
    free(h->node);
    free(h->coefficient);
    free(h->block_peak);
}

void bragg_model_free(bragg_model *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_phases; i++) {
        for (size_t h = 0; m->phase[i].mix && h < m->n_histograms; h++)
            bragg_factors_free(m->phase[i].mix[h].factors);
        free(m->phase[i].reflection);
        bragg_structure_free(m->phase[i].structure);
    }
    for (size_t h = 0; h < m->n_histograms; h++)
        free_histogram(&m->histogram[h]);
    free(m->histogram);
    free(m->restraint);
    free(m->phase);
    bragg_params_free(&m->params);
    bragg_arena_free(m->arena);
    free(m);
}

static bragg_status one_more(void **at, size_t n, size_t size, bragg_error *err)
{
    void *new = realloc(*at, (n + 1) * size);
    if (!new)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    *at = new;
    memset((char *)new + n * size, 0, size);
    return BRAGG_OK;
}

static bragg_status check_radiation(const bragg_radiation *r, bragg_error *err)
{
    if (r->n_lines < 1 || r->n_lines > BRAGG_MAX_LINES)
        return bragg_fail(err, BRAGG_EINVAL, "radiation: expected 1 to %d wavelengths, got %zu", BRAGG_MAX_LINES, r->n_lines);
    for (size_t k = 0; k < r->n_lines; k++)
        if (!(r->wavelength_ang[k] > 0) || !(r->ratio[k] > 0))
            return bragg_fail(err, BRAGG_EINVAL, "radiation: wavelengths and ratios must be positive, got %g and %g",
                              r->wavelength_ang[k], r->ratio[k]);
    if (!r->neutron && !(r->polarization >= 0 && r->polarization <= 1))
        return bragg_fail(err, BRAGG_EINVAL, "radiation: polarization must be 0 to 1, got %g", r->polarization);
    return BRAGG_OK;
}

bragg_status bragg_model_add_pattern(bragg_model *m, const bragg_pattern *p, const bragg_histogram_options *o, bragg_error *err)
{
    bragg_status st = check_radiation(&o->radiation, err);
    if (st == BRAGG_OK && o->mount == BRAGG_BRAGG_BRENTANO && !(o->radius_m > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "Bragg-Brentano: expected radius_mm of the goniometer, found it neither here nor in the pattern's file");
    if (st == BRAGG_OK && o->mount == BRAGG_BRAGG_BRENTANO && o->flat_detector)
        st = bragg_fail(err, BRAGG_EINVAL, "Bragg-Brentano: expected the goniometer radius, found the distance of a flat detector");
    if (st == BRAGG_OK && !(o->weight > 0 && isfinite(o->weight)))
        st = bragg_fail(err, BRAGG_EINVAL, "weight of a pattern: must be positive, got %g", o->weight);
    if (st == BRAGG_OK)
        st = bragg_pattern_check(p, err);
    if (st == BRAGG_OK)
        st = one_more((void **)&m->histogram, m->n_histograms, sizeof *m->histogram, err);
    if (st < 0)
        return st;
    histogram *h = &m->histogram[m->n_histograms];
    h->radiation = o->radiation;
    h->mount = o->mount;
    h->radius_m = o->radius_m;
    h->flat_detector = o->flat_detector;
    h->emphasis = o->weight;
    st = bragg_refine_take_points(m, h, p, o, err);
    if (st == BRAGG_OK)
        m->n_histograms++;
    return st;
}

/* A phase of that name behind the others, which takes the structure; freed when it is none. */
static bragg_status new_phase(bragg_model *m, const char *name, bragg_structure *structure, phase **out, bragg_error *err)
{
    bragg_status st = structure ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for phase %s", name);
    if (st == BRAGG_OK && bragg_refine_phase(m, name))
        st = bragg_fail(err, BRAGG_EINVAL, "phase %s: stands in the model already", name);
    if (st == BRAGG_OK)
        st = one_more((void **)&m->phase, m->n_phases, sizeof *m->phase, err);
    const char *kept = st == BRAGG_OK ? bragg_arena_strdup(m->arena, name) : NULL;
    if (st == BRAGG_OK && !kept)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for phase %s", name);
    if (st < 0) {
        bragg_structure_free(structure);
        return st;
    }
    *out = &m->phase[m->n_phases++];
    (*out)->name = kept;
    (*out)->structure = structure;
    return BRAGG_OK;
}

bragg_status bragg_model_add_phase(bragg_model *m, const char *name, const bragg_structure *structure,
                                   const int march_hkl[3], bragg_error *err)
{
    phase *p = NULL;
    bragg_status st = new_phase(m, name, bragg_structure_copy(structure), &p, err);
    if (st < 0)
        return st;
    p->n_march = march_hkl != NULL;
    if (march_hkl)
        memcpy(p->march_axis[0], march_hkl, sizeof p->march_axis[0]);
    st = bragg_structure_check(p->structure, err);
    return st < 0 ? bragg_context(err, st, "phase %s", name) : st;
}

bragg_status bragg_model_add_cell(bragg_model *m, const char *name, const bragg_cell *cell, const bragg_symmetry *symmetry,
                                  bragg_error *err)
{
    bragg_status st = bragg_cell_check(cell, err);
    if (st < 0)
        return bragg_context(err, st, "phase %s", name);
    double misfit = bragg_symmetry_cell_misfit(symmetry, cell);
    if (!(misfit < 1e-3))
        return bragg_fail(err, BRAGG_EDATA, "phase %s: expected a cell of the symmetry %s, found one that is off by %.2g", name,
                          symmetry->hm, misfit);
    phase *p = NULL;
    st = new_phase(m, name, bragg_structure_new(0, 0), &p, err);
    if (st < 0)
        return st;
    p->structure->name = p->structure->formula = "";
    p->structure->cell = *cell;
    p->structure->symmetry = *symmetry;
    p->extracted = true;
    return BRAGG_OK;
}

/* An axis that the symmetry turns away would make equivalent reflections differ. */
static bragg_status check_axis(const phase *p, const int axis[3], bragg_error *err)
{
    const bragg_symmetry *s = &p->structure->symmetry;
    double g[6];
    bragg_cell_reciprocal(&p->structure->cell, g);
    if (!axis[0] && !axis[1] && !axis[2])
        return bragg_fail(err, BRAGG_EINVAL, "phase %s: axis 0 0 0 is no direction", p->name);
    for (size_t o = 0; o < s->n_ops; o++) {
        int h[3];
        bragg_symop_turn(&s->op[o], axis, h);
        if (bragg_refine_cos2_to_axis(g, h, axis) < 1 - 1e-6)
            return bragg_fail(err, BRAGG_EDATA, "phase %s: expected an axis that the symmetry %s leaves alone, found %d %d %d, which it turns to %d %d %d",
                              p->name, s->hm, axis[0], axis[1], axis[2], h[0], h[1], h[2]);
    }
    return BRAGG_OK;
}

static bragg_status find_phase(bragg_model *m, const char *name, phase **out, bragg_error *err)
{
    *out = bragg_refine_phase(m, name);
    return *out ? BRAGG_OK : bragg_fail(err, BRAGG_EINVAL, "phase %s: not in the model", name);
}

bragg_status bragg_model_texture(bragg_model *m, const char *name, const int (*axes)[3], size_t n, int order, bragg_error *err)
{
    phase *p = NULL;
    bragg_status st = find_phase(m, name, &p, err);
    if (st < 0)
        return st;
    if (n > MAX_MARCH)
        return bragg_fail(err, BRAGG_EDATA, "phase %s: expected at most %d axes of texture, found %zu", name, MAX_MARCH, n);
    if (order < 0 || order > BRAGG_MAX_HARMONIC_ORDER || order % 2)
        return bragg_fail(err, BRAGG_EDATA, "phase %s: expected harmonics of an even order up to %d, found %d", name, BRAGG_MAX_HARMONIC_ORDER, order);
    if (p->spacings && (n || order))
        return bragg_fail(err, BRAGG_EDATA, "phase %s: a list of spacings has no directions", name);
    if (n)
        memcpy(p->march_axis, axes, n * sizeof *axes);
    p->n_march = n;
    p->harmonics = order;
    return BRAGG_OK;
}

bragg_status bragg_model_standard(bragg_model *m, const char *name, double fraction, bragg_error *err)
{
    phase *p = NULL;
    bragg_status st = find_phase(m, name, &p, err);
    if (st < 0)
        return st;
    if (!(fraction > 0 && fraction < 1))
        return bragg_fail(err, BRAGG_EDATA, "phase %s: expected a weight fraction between 0 and 1, found %g", name, fraction);
    if (!(bragg_refine_mass(p) > 0))
        return bragg_fail(err, BRAGG_EDATA, "phase %s: a standard needs a structure or a calibrated mass", name);
    m->standard = (size_t)(p - m->phase);
    m->standard_fraction = fraction;
    return BRAGG_OK;
}

bragg_status bragg_model_extinction(bragg_model *m, const char *name, bragg_error *err)
{
    phase *p = NULL;
    bragg_status st = find_phase(m, name, &p, err);
    if (st == BRAGG_OK && !p->structure->n_atoms)
        return bragg_fail(err, BRAGG_EDATA, "phase %s: extinction needs a structure", name);
    if (st == BRAGG_OK)
        p->extinguishes = true;
    return st;
}

bragg_status bragg_model_broaden(bragg_model *m, const char *name, const int axis[3], bool stephens, bragg_error *err)
{
    phase *p = NULL;
    bragg_status st = find_phase(m, name, &p, err);
    if (st == BRAGG_OK && p->spacings && (axis || stephens))
        st = bragg_fail(err, BRAGG_EDATA, "phase %s: a list of spacings has no directions", name);
    if (st == BRAGG_OK && axis)
        st = check_axis(p, axis, err);
    if (st < 0)
        return st;
    p->uniaxial = axis != NULL;
    p->wants_stephens = stephens;
    if (axis)
        memcpy(p->axis, axis, sizeof p->axis);
    return BRAGG_OK;
}

bragg_status bragg_model_add_pawley(bragg_model *m, const char *name, const bragg_cell *cell, const bragg_symmetry *symmetry, bool positive,
                                    bragg_error *err)
{
    bragg_status st = bragg_model_add_cell(m, name, cell, symmetry, err);
    if (st == BRAGG_OK) {
        m->phase[m->n_phases - 1].pawley = true;
        m->phase[m->n_phases - 1].positive = positive;
    }
    return st;
}

bragg_status bragg_model_build(bragg_model *m, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (m->n_histograms == 0)
        return bragg_fail(err, BRAGG_EINVAL, "model: expected a pattern, found none");
    bragg_refine_place_residuals(m);
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
        st = bragg_refine_add_histogram_rows(m, &m->histogram[h], err);
    for (size_t i = 0; i < m->n_phases && st == BRAGG_OK; i++) {
        phase *p = &m->phase[i];
        st = bragg_refine_list_reflections(m, p, err);
        if (st == BRAGG_OK)
            st = bragg_refine_add_phase_rows(m, p, err);
    }
    m->offered = bragg_arena_alloc(m->arena, m->params.n + 1, sizeof *m->offered);
    if (st == BRAGG_OK && !m->offered)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", m->params.n);
    m->built = st == BRAGG_OK;
    return st;
}

double bragg_refine_mass(const phase *p) { return p->mass > 0 ? p->mass : bragg_structure_mass_g_mol(p->structure); }

void bragg_model_switch(bragg_model *m, size_t which, bool on) { m->phase[which].off = !on; }

bragg_params *bragg_model_params(bragg_model *m) { return &m->params; }

const bragg_lsq_problem *bragg_model_problem(bragg_model *m) { return &m->problem; }

size_t bragg_model_points(const bragg_model *m, size_t which) { return m->histogram[which].n; }

size_t bragg_model_select(bragg_model *m, const char *pattern, bool refine)
{
    return bragg_params_select(&m->params, pattern, refine);
}

size_t bragg_model_offer(bragg_model *m, const char *pattern)
{
    size_t n = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        bragg_param one = m->params.at[i];
        if (one.refine || !bragg_params_select(&(bragg_params){ .at = &one, .n = 1 }, pattern, true) || !one.refine)
            continue;
        m->offered[i] = true;
        n++;
    }
    return n;
}
