/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Building the whole-pattern model: points, reflections and the parameter table. */
#include "config.h"
#include "model.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
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

/* ------------------------------------------------------------- patterns */

static bool is_excluded(const bragg_histogram_options *o, double x)
{
    if ((o->first_rad > 0 && x < o->first_rad) || (o->last_rad > 0 && x > o->last_rad))
        return true;
    for (size_t k = 0; k < o->n_exclude; k++)
        if (x >= o->exclude_rad[k][0] && x <= o->exclude_rad[k][1])
            return true;
    return false;
}

/* Points that count, in rising 2theta; how many.  Only counted without x. */
static size_t take_points(const bragg_pattern *p, const bragg_histogram_options *o, double *x_out, double *y, double *weight)
{
    bool reversed = p->axis == BRAGG_AXIS_D;
    size_t n = 0;
    for (size_t k = 0; k < p->n; k++) {
        size_t i = reversed ? p->n - 1 - k : k;
        double x = bragg_axis_convert(p->x[i], p->axis, BRAGG_AXIS_TTH, o->radiation.wavelength_ang[0]);
        double sigma = isnan(p->sigma[i]) ? sqrt(fmax(p->y[i], 1)) : p->sigma[i];
        if (!isfinite(x) || !isfinite(p->y[i]) || !(sigma > 0) || !isfinite(sigma) || is_excluded(o, x))
            continue;
        if (x_out) {
            x_out[n] = x;
            y[n] = p->y[i];
            weight[n] = sqrt(o->weight) / sigma;
        }
        n++;
    }
    return n;
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

void bragg_refine_scale_points(histogram *h)
{
    double step = (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1);
    h->variance_floor = 0.01 * step * step;
    bragg_refine_fill_background(h);
}

static double *keep(bragg_model *m, const double *v, size_t n)
{
    double *copy = bragg_arena_alloc(m->arena, n + 1, sizeof *copy);
    if (copy && n)
        memcpy(copy, v, n * sizeof *v);
    return copy;
}

static bragg_status keep_background(bragg_model *m, histogram *h, const bragg_histogram_options *o, bragg_error *err)
{
    if (o->background_terms > BRAGG_MAX_BACKGROUND)
        return bragg_fail(err, BRAGG_EINVAL, "background: expected at most %d terms, got %zu", BRAGG_MAX_BACKGROUND, o->background_terms);
    h->background = o->background;
    h->n_functions = o->background_terms;
    h->n_background = o->background_terms + (o->n_container > 0);
    h->n_container = o->n_container;
    h->n_debye = o->n_debye;
    h->n_humps = o->n_humps;
    h->container_x = keep(m, o->container_rad, o->n_container);
    h->container_y = keep(m, o->container, o->n_container);
    h->debye_ang = keep(m, o->debye_ang, o->n_debye);
    h->hump_deg = (double(*)[2])keep(m, o->hump_deg ? &o->hump_deg[0][0] : NULL, 2 * o->n_humps);
    return h->container_x && h->container_y && h->debye_ang && h->hump_deg ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a background");
}

static double in_deg(const bragg_pattern *p, const bragg_histogram_options *o, size_t k)
{
    return k < p->n ? bragg_axis_convert(p->x[k], p->axis, BRAGG_AXIS_TTH, o->radiation.wavelength_ang[0]) / BRAGG_DEG : NAN;
}

static bragg_status fill_histogram(bragg_model *m, histogram *h, const bragg_pattern *p,
                                   const bragg_histogram_options *o, bragg_error *err)
{
    double *v = bragg_arena_alloc(m->arena, 3 * p->n + 1, sizeof *v);
    h->name = o->name ? bragg_arena_strdup(m->arena, o->name) : "";
    if (!v || !h->name)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    h->exclude_rad = bragg_arena_alloc(m->arena, o->n_exclude + 1, sizeof *h->exclude_rad);
    if (!h->exclude_rad)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu excluded regions", o->n_exclude);
    h->n_exclude = o->n_exclude;
    if (o->n_exclude)
        memcpy(h->exclude_rad, o->exclude_rad, o->n_exclude * sizeof *h->exclude_rad);
    h->x = v;
    h->y = v + p->n;
    h->weight = v + 2 * p->n;
    h->n = take_points(p, o, h->x, h->y, h->weight);
    h->room = p->n;
    memcpy(h->correlation, p->correlation, sizeof h->correlation);
    if (h->n < 3)
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected points to fit, found %zu with an intensity and a sigma in range; the pattern has %zu from %.4g to %.4g deg",
                          *h->name ? " " : "", h->name, h->n, p->n, in_deg(p, o, 0), in_deg(p, o, p->n - 1));
    double most = 0;
    for (size_t i = 0; i < h->n; i++)
        most = fmax(most, fabs(h->y[i]));
    if (!(most > 0) && o->background_terms) /* a model without background is a simulation */
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected intensities, found %zu zeros", *h->name ? " " : "", h->name, h->n);
    bragg_status kept = keep_background(m, h, o, err);
    if (kept < 0)
        return kept;
    h->first_rad = o->first_rad;
    h->last_rad = o->last_rad;
    h->n_blocks = (h->n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    h->background_at = bragg_arena_alloc(m->arena, p->n * h->n_background + 1, sizeof *v);
    h->block_start = bragg_arena_alloc(m->arena, p->n / BRAGG_LSQ_BLOCK + 3, sizeof *h->block_start);
    if (!h->background_at || !h->block_start)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    bragg_refine_scale_points(h);
    return BRAGG_OK;
}

bragg_status bragg_model_add_pattern(bragg_model *m, const bragg_pattern *p, const bragg_histogram_options *o, bragg_error *err)
{
    bragg_status st = check_radiation(&o->radiation, err);
    if (st == BRAGG_OK && o->mount == BRAGG_BRAGG_BRENTANO && !(o->radius_m > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "Bragg-Brentano: expected the goniometer radius in mm, found none");
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
    st = fill_histogram(m, h, p, o, err);
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

static double cos2_to_axis(const double g[6], const int h[3], const int axis[3])
{
    double dot = g[0] * h[0] * axis[0] + g[1] * h[1] * axis[1] + g[2] * h[2] * axis[2] +
                 g[3] * (h[1] * axis[2] + h[2] * axis[1]) + g[4] * (h[0] * axis[2] + h[2] * axis[0]) +
                 g[5] * (h[0] * axis[1] + h[1] * axis[0]);
    return dot * dot / (bragg_cell_invd2(g, h[0], h[1], h[2]) * bragg_cell_invd2(g, axis[0], axis[1], axis[2]));
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
        for (int j = 0; j < 3; j++)
            h[j] = axis[0] * s->op[o].r[0][j] + axis[1] * s->op[o].r[1][j] + axis[2] * s->op[o].r[2][j];
        if (cos2_to_axis(g, h, axis) < 1 - 1e-6)
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

/* ---------------------------------------------------------- reflections */

static bragg_status make_reflections(bragg_model *m, phase *p, bragg_error *err)
{
    double d_min = INFINITY, d_max = 0;
    for (size_t i = 0; i < m->n_histograms; i++) {
        histogram *h = &m->histogram[i];
        double high = fmin(h->x[h->n - 1] + 2 * BRAGG_DEG, BRAGG_PI), low = fmax(h->x[0] - 5 * BRAGG_DEG, 1e-3);
        h->listed_first_rad = h->x[0] - 2 * BRAGG_DEG;
        h->listed_last_rad = h->x[h->n - 1] + BRAGG_DEG;
        for (size_t k = 0; k < h->radiation.n_lines; k++) {
            d_min = fmin(d_min, h->radiation.wavelength_ang[k] / (2 * sin(high / 2)));
            d_max = fmax(d_max, h->radiation.wavelength_ang[k] / (2 * sin(low / 2)));
        }
    }
    if (p->spacings)
        return BRAGG_OK;
    /* room for a cell that grows or shrinks by one per cent */
    bragg_status st = bragg_reflections(&p->structure->cell, &p->structure->symmetry, d_min * 0.99, d_max * 1.01,
                                        &p->reflection, &p->n_reflections, err);
    if (st == BRAGG_OK && p->n_reflections == 0)
        st = bragg_fail(err, BRAGG_EDATA, "no reflection with d from %.4f to %.4f angstrom, the pattern's range; are wavelength and unit right?", d_min, d_max);
    return st < 0 ? bragg_context(err, st, "phase %s", p->name) : st;
}

/* cos^2 between each equivalent of a reflection and the texture's axes. */
static bragg_status make_march(bragg_model *m, phase *p, bragg_error *err)
{
    const bragg_symmetry *s = &p->structure->symmetry;
    p->march_cos2 = bragg_arena_alloc(m->arena, p->n_march * p->n_reflections * s->n_ops + 1, sizeof *p->march_cos2);
    if (!p->march_cos2)
        return bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for texture", p->name);
    double g[6], *out = p->march_cos2;
    bragg_cell_reciprocal(&p->structure->cell, g);
    for (size_t a = 0; a < p->n_march; a++) {
        if (!(bragg_cell_invd2(g, p->march_axis[a][0], p->march_axis[a][1], p->march_axis[a][2]) > 0))
            return bragg_fail(err, BRAGG_EINVAL, "phase %s: March-Dollase axis 0 0 0 is no direction", p->name);
        for (size_t r = 0; r < p->n_reflections; r++) {
            const int hkl[3] = { p->reflection[r].h, p->reflection[r].k, p->reflection[r].l };
            for (size_t o = 0; o < s->n_ops; o++) {
                int h[3];
                for (int j = 0; j < 3; j++)
                    h[j] = hkl[0] * s->op[o].r[0][j] + hkl[1] * s->op[o].r[1][j] + hkl[2] * s->op[o].r[2][j];
                *out++ = cos2_to_axis(g, h, p->march_axis[a]);
            }
        }
    }
    return bragg_refine_make_harmonics(m, p, err);
}

/* What anisotropic widths need of each reflection. */
static bragg_status make_broadening(bragg_model *m, phase *p, bragg_error *err)
{
    const bragg_symmetry *s = &p->structure->symmetry;
    double g[6];
    bragg_cell_reciprocal(&p->structure->cell, g);
    if (p->wants_stephens)
        bragg_symmetry_invariants(s, 4, &p->quartic);
    p->quartic_at = bragg_arena_alloc(m->arena, p->n_reflections * p->quartic.n + 1, sizeof *p->quartic_at);
    p->axis_cos2 = bragg_arena_alloc(m->arena, p->n_reflections + 1, sizeof *p->axis_cos2);
    if (!p->quartic_at || !p->axis_cos2)
        return bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for widths", p->name);
    for (size_t r = 0; r < p->n_reflections; r++) {
        const int hkl[3] = { p->reflection[r].h, p->reflection[r].k, p->reflection[r].l };
        for (size_t k = 0; k < p->quartic.n; k++)
            p->quartic_at[r * p->quartic.n + k] = bragg_invariant_at(&p->quartic, k, hkl[0], hkl[1], hkl[2]);
        if (p->uniaxial)
            p->axis_cos2[r] = cos2_to_axis(g, hkl, p->axis);
    }
    return BRAGG_OK;
}

static bragg_status make_mix(bragg_model *m, phase *p, size_t which, bragg_error *err)
{
    mix *x = &p->mix[which];
    const histogram *h = &m->histogram[which];
    size_t n = p->n_reflections, atoms = p->structure->n_atoms, rows = N_INSTRUMENT + 120 + atoms * BRAGG_ATOM_ROWS;
    x->scatterer = bragg_arena_alloc(m->arena, p->structure->n_scatterers + 1, sizeof *x->scatterer);
    x->f2 = bragg_arena_alloc(m->arena, 2 * n + 1, sizeof *x->f2);
    x->df2 = bragg_arena_alloc(m->arena, n * atoms + 1, sizeof *x->df2);
    x->seen = bragg_arena_alloc(m->arena, atoms + 1, sizeof *x->seen);
    x->terms.full = bragg_arena_alloc(m->arena, 2 * rows, sizeof(ptrdiff_t));
    x->terms.full_term = bragg_arena_alloc(m->arena, 2 * rows, sizeof(term));
    if (!x->scatterer || !x->f2 || !x->df2 || !x->seen || !x->terms.full || !x->terms.full_term)
        return bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for %zu reflections", p->name, n);
    x->df2_dq = x->f2 + n;
    x->terms.intensity = x->terms.full + rows;
    x->terms.intensity_term = x->terms.full_term + rows;
    for (size_t r = 0; r < n; r++)
        x->f2[r] = 1;
    if (p->known)
        bragg_refine_known_intensities(h, p, x->f2);
    if (!atoms)
        return BRAGG_OK;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < p->structure->n_scatterers && st == BRAGG_OK; k++) {
        x->scatterer[k] = p->structure->scatterer[k];
        bool given = x->scatterer[k].f1 != 0 || x->scatterer[k].f2 != 0; /* whoever set them knows better */
        if (!h->radiation.neutron && !given)
            st = bragg_scatterer_set_anomalous(&x->scatterer[k], h->radiation.wavelength_ang[0], err);
    }
    if (st == BRAGG_OK)
        st = bragg_factors_new(p->structure, p->reflection, n, h->radiation.neutron, &x->factors, err);
    return st;
}

/* ----------------------------------------------------------------- table */

/* What this mount or radiation does not know. */
static void hold_absent(bragg_model *m, histogram *h)
{
    bool flat = h->mount == BRAGG_BRAGG_BRENTANO, radius = h->radius_m > 0;
    if (!flat || !radius) {
        bragg_params_hold(&m->params, h->row[DISPLACEMENT]);
        bragg_params_hold(&m->params, h->row[TRANSPARENCY]);
    }
    if (flat || !radius) {
        bragg_params_hold(&m->params, h->row[SHIFT_X]);
        bragg_params_hold(&m->params, h->row[SHIFT_Y]);
    }
    if (h->radiation.n_lines < 2 || h->radiation.width_ang[0] > 0) /* a spectrum's lines belong together */
        bragg_params_hold(&m->params, h->row[RATIO]);
}

static bragg_status add_histogram_rows(bragg_model *m, histogram *h, bragg_error *err)
{
    static const struct { const char *name, *unit; double lower, value; } rows[N_INSTRUMENT] = {
        [ZERO] = { "instrument.zero", "deg", -5, 0 },
        [DISPLACEMENT] = { "instrument.displacement", "mm", -10, 0 },
        [TRANSPARENCY] = { "instrument.transparency", "mm", 0, 0 },
        [SHIFT_X] = { "instrument.shift_x", "mm", -20, 0 },
        [SHIFT_Y] = { "instrument.shift_y", "mm", -20, 0 },
        [RATIO] = { "instrument.ratio", "", 0, 0.5 },
        [ABSORPTION] = { "instrument.absorption", "", 0, 0 },
        [ROUGHNESS_P] = { "instrument.roughness_p", "", 0, 0 },
        [ROUGHNESS_Q] = { "instrument.roughness_q", "", 0, 0 },
        [BOX] = { "instrument.box", "deg", 0, 0 },
        [PIXEL] = { "instrument.pixel", "deg", 0, 0 },
        [WAVELENGTH] = { "instrument.wavelength", "angstrom", 0.01, 1 },
        [CAGLIOTI_U] = { "instrument.u", "deg^2", -INFINITY, 0 },
        [CAGLIOTI_V] = { "instrument.v", "deg^2", -INFINITY, 0 },
        [CAGLIOTI_W] = { "instrument.w", "deg^2", 0, 0 }, /* the variance at 2theta = 0 */
        [CAGLIOTI_P] = { "instrument.p", "deg^2", -INFINITY, 0 },
        [LORENTZ_X] = { "instrument.x", "deg", 0, 0 },
        [LORENTZ_Y] = { "instrument.y", "deg", 0, 0 },
        [LORENTZ_Z] = { "instrument.z", "deg", 0, 0 },
        [AXIAL_S] = { "instrument.sl", "", 0, 0 },
        [AXIAL_H] = { "instrument.hl", "", 0, 0 },
    };
    bragg_status st = bragg_refine_add_background_rows(m, h, err);
    for (int k = 0; k < N_INSTRUMENT && st == BRAGG_OK; k++) {
        double upper = rows[k].lower == 0 ? (k == AXIAL_S || k == AXIAL_H || k == ROUGHNESS_P ? 1 : 10) : -rows[k].lower;
        double value = k == WAVELENGTH ? h->radiation.wavelength_ang[0] : k == RATIO && h->radiation.n_lines > 1 ? h->radiation.ratio[1] : rows[k].value;
        st = bragg_params_add_bounded(&m->params, h->name, rows[k].name, rows[k].unit, value, rows[k].lower, k == WAVELENGTH ? 1e3 : upper, &h->row[k], err);
    }
    if (st == BRAGG_OK)
        hold_absent(m, h);
    /* sample and slit are usually of one height; who knows better unties them */
    return st == BRAGG_OK ? bragg_params_tie(&m->params, h->row[AXIAL_H], h->row[AXIAL_S], 1, 0, err) : st;
}

/* Patterns after the first may see the lattice strained (another temperature, a
 * wavelength that is off): 1/d^2 = that of the cell + D11 h^2 + D22 k^2 + D33 l^2 +
 * D23 kl + D13 hl + D12 hk, as GSAS-II has it. */
static bragg_status add_strain_rows(bragg_model *m, phase *p, size_t which, bragg_error *err)
{
    static const char *const names[6] = { "d11", "d22", "d33", "d23", "d13", "d12" };
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < 6; k++)
        p->mix[which].strain_row[k] = NO_ROW;
    for (size_t k = 0; k < p->metric.n && which > 0 && st == BRAGG_OK; k++) {
        char name[160];
        snprintf(name, sizeof name, "phase.%s.dij.%s", p->name, names[p->metric.pivot[k]]);
        st = bragg_params_add_bounded(&m->params, m->histogram[which].name, name, "invang^2", 0, -0.1, 0.1, &p->mix[which].strain_row[k], err);
    }
    return st;
}

/* S_HKL that the Laue class leaves, named by the first monomial of each. */
static bragg_status add_stephens_rows(bragg_model *m, phase *p, const char *prefix, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < p->quartic.n && st == BRAGG_OK; k++) {
        const int *power = p->quartic.power[p->quartic.pivot[k]];
        char name[40];
        size_t row;
        snprintf(name, sizeof name, "stephens.s%d%d%d", power[0], power[1], power[2]);
        st = bragg_params_add_bounded(&m->params, prefix, name, "1e-12 invang^4", 0, -INFINITY, INFINITY, &row, err);
        if (k == 0)
            p->stephens_row = row;
    }
    return st == BRAGG_OK ? bragg_params_add_bounded(&m->params, prefix, "lorentz", "", 1, 0, 1, &p->lorentz_row, err) : st;
}

static bragg_status add_texture_rows(bragg_model *m, phase *p, const char *prefix, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    size_t row, number = 1;
    char name[40];
    for (size_t k = 0; k < p->n_march && st == BRAGG_OK; k++) {
        p->part_row[k] = NO_ROW;
        snprintf(name, sizeof name, k ? "march.r%zu" : "march", k + 1);
        st = bragg_params_add_bounded(&m->params, prefix, name, "", 1, 0.05, 20, &p->march_row[k], err);
        snprintf(name, sizeof name, "march.part%zu", k + 1);
        if (st == BRAGG_OK && k) /* the first axis has the rest */
            st = bragg_params_add_bounded(&m->params, prefix, name, "", 1. / (double)p->n_march, 0, 1, &p->part_row[k], err);
    }
    for (size_t k = 0; k < p->n_harmonics && st == BRAGG_OK; k++) {
        number = k && p->harmonic_order[k] == p->harmonic_order[k - 1] ? number + 1 : 1;
        snprintf(name, sizeof name, "harmonics.c%d_%zu", p->harmonic_order[k], number);
        st = bragg_params_add_bounded(&m->params, prefix, name, "", 0, -20, 20, &row, err);
        if (k == 0)
            p->harmonic_row = row;
    }
    return st;
}

/* Cell windows and collectors stand beside the sample's plane. */
static bragg_status add_offset_row(bragg_model *m, phase *p, const char *prefix, bragg_error *err)
{
    bragg_status st = bragg_params_add_bounded(&m->params, prefix, "offset", "mm", 0, -20, 20, &p->offset_row, err);
    bool known = false;
    for (size_t h = 0; h < m->n_histograms; h++)
        known = known || m->histogram[h].radius_m > 0;
    if (st == BRAGG_OK && !known)
        bragg_params_hold(&m->params, p->offset_row);
    return st;
}

/* An alloy may lie some per cent from its card; beyond, it is another phase. */
static const bragg_row_limits limits = { .edge = 0.05, .angle_deg = 5, .coordinate = INFINITY, .u_least_ang2 = -0.2 };

static bragg_status add_phase_rows(bragg_model *m, phase *p, bragg_error *err)
{
    char prefix[100], name[160];
    bragg_status st = BRAGG_OK;
    snprintf(prefix, sizeof prefix, "phase.%s", p->name);
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++) {
        snprintf(name, sizeof name, "phase.%s.scale", p->name);
        st = bragg_params_add_bounded(&m->params, m->histogram[h].name, name, "", 1, p->extracted ? 1 : 0, p->extracted ? 1 : INFINITY, &p->mix[h].scale_row, err);
    }
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK && p->pawley; h++)
        st = bragg_refine_add_intensity_rows(m, p, h, p->positive, err);
    bragg_symmetry_invariants(&p->structure->symmetry, 2, &p->metric);
    p->metric.n = p->spacings ? 0 : p->metric.n;
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
        st = add_strain_rows(m, p, h, err);
    if (st == BRAGG_OK)
        st = bragg_structure_add_cell_rows(p->structure, prefix, &limits, &m->params, &p->cell_row, err);
    if (st == BRAGG_OK)
        st = bragg_params_add_bounded(&m->params, prefix, "size", "nm", 1e5, 0.5, 1e6, &p->size_row, err);
    if (st == BRAGG_OK)
        st = bragg_params_add_bounded(&m->params, prefix, "strain", "1e-6", 0, 0, 1e6, &p->strain_row, err);
    if (st == BRAGG_OK)
        st = add_offset_row(m, p, prefix, err);
    p->size_axial_row = p->strain_axial_row = p->lorentz_row = NO_ROW;
    if (st == BRAGG_OK && p->uniaxial)
        st = bragg_params_add_bounded(&m->params, prefix, "size.axial", "nm", 1e5, 0.5, 1e6, &p->size_axial_row, err);
    if (st == BRAGG_OK && p->uniaxial)
        st = bragg_params_add_bounded(&m->params, prefix, "strain.axial", "1e-6", 0, 0, 1e6, &p->strain_axial_row, err);
    if (st == BRAGG_OK && p->wants_stephens)
        st = add_stephens_rows(m, p, prefix, err);
    if (st == BRAGG_OK)
        st = add_texture_rows(m, p, prefix, err);
    p->extinction_row = NO_ROW;
    if (st == BRAGG_OK && p->extinguishes)
        st = bragg_params_add_bounded(&m->params, prefix, "extinction", "um^2", 0, 0, 1e6, &p->extinction_row, err);
    return st == BRAGG_OK ? bragg_structure_add_atom_rows(p->structure, prefix, &limits, &m->params, &p->atom_row, err) : st;
}

/* Of the errors of two residuals: as many bins as their distance holds of the smaller of
 * the steps there lie between them, whatever has been left out. */
static double correlation_of(void *payload, size_t i, size_t d)
{
    const bragg_model *m = payload;
    for (size_t k = 0; k < m->n_histograms; k++) {
        const histogram *h = &m->histogram[k];
        if (i < h->offset || i - h->offset + d >= h->n)
            continue;
        const double *x = h->x + (i - h->offset);
        double step = x[1] - x[0];
        for (size_t j = 1; j < d; j++)
            step = fmin(step, x[j + 1] - x[j]);
        double bins = rint((x[d] - x[0]) / step);
        return bins >= 1 && bins <= BRAGG_PATTERN_LAGS ? h->correlation[(size_t)bins - 1] : 0;
    }
    return 0;
}

/* Where each pattern's residuals begin: on a block of its own. */
void bragg_refine_place_residuals(bragg_model *m)
{
    size_t next = 0, band = 0;
    m->n_observations = 0;
    for (size_t h = 0; h < m->n_histograms; h++) {
        m->histogram[h].offset = next;
        next += m->histogram[h].n_blocks * BRAGG_LSQ_BLOCK;
        m->n_observations += m->histogram[h].n;
        for (size_t d = 0; d < BRAGG_PATTERN_LAGS; d++)
            if (m->histogram[h].correlation[d] != 0)
                band = d + 1 > band ? d + 1 : band;
    }
    m->first_restraint = next;
    m->problem = (bragg_lsq_problem){ .n = next, .padding = next - m->n_observations, .prepare = bragg_refine_prepare, .residuals = bragg_refine_residuals,
                                       .payload = m, .correlation = correlation_of, .band = band };
    bragg_refine_place_restraints(m);
}

bragg_status bragg_model_build(bragg_model *m, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (m->n_histograms == 0)
        return bragg_fail(err, BRAGG_EINVAL, "model: expected a pattern, found none");
    bragg_refine_place_residuals(m);
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
        st = add_histogram_rows(m, &m->histogram[h], err);
    for (size_t i = 0; i < m->n_phases && st == BRAGG_OK; i++) {
        phase *p = &m->phase[i];
        p->mix = bragg_arena_alloc(m->arena, m->n_histograms, sizeof *p->mix);
        st = p->mix ? make_reflections(m, p, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for phase %s", p->name);
        if (st == BRAGG_OK)
            st = make_march(m, p, err);
        if (st == BRAGG_OK)
            st = make_broadening(m, p, err);
        for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
            st = make_mix(m, p, h, err);
        if (st == BRAGG_OK)
            st = add_phase_rows(m, p, err);
    }
    m->offered = bragg_arena_alloc(m->arena, m->params.n + 1, sizeof *m->offered);
    if (st == BRAGG_OK && !m->offered)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", m->params.n);
    m->built = st == BRAGG_OK;
    return st;
}

/* ------------------------------------------------------------- sequences */

/* Room for n points; the old stays valid when there is none. */
static bragg_status more_points(bragg_model *m, histogram *h, size_t n, bragg_error *err)
{
    size_t blocks = (n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    double *v = bragg_arena_alloc(m->arena, 3 * n, sizeof *v);
    double *rows = bragg_arena_alloc(m->arena, n * h->n_background + 1, sizeof *rows);
    size_t *start = bragg_arena_alloc(m->arena, blocks + 2, sizeof *start);
    if (!v || !rows || !start)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    h->x = v;
    h->y = v + n;
    h->weight = v + 2 * n;
    h->background_at = rows;
    h->block_start = start;
    h->room = n;
    return BRAGG_OK;
}

/* The new points, checked, into a buffer of three runs of *n; free it. */
static bragg_status next_points(const histogram *h, const bragg_pattern *p, double **out, size_t *n, bragg_error *err)
{
    bragg_histogram_options o = { .radiation = h->radiation, .first_rad = h->first_rad, .last_rad = h->last_rad,
                                  .exclude_rad = (const double(*)[2])h->exclude_rad, .n_exclude = h->n_exclude, .weight = h->emphasis };
    *out = NULL;
    bragg_status st = bragg_pattern_check(p, err);
    if (st < 0)
        return st;
    *n = take_points(p, &o, NULL, NULL, NULL);
    double *v = *out = malloc((3 * *n + 1) * sizeof *v), most = 0;
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", *n);
    take_points(p, &o, v, v + *n, v + 2 * *n);
    for (size_t i = 0; i < *n; i++)
        most = fmax(most, fabs(v[*n + i]));
    if (*n < 3)
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected points to fit, found %zu with an intensity and a sigma in range", *h->name ? " " : "", h->name, *n);
    if (!(most > 0))
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected intensities, found %zu zeros", *h->name ? " " : "", h->name, *n);
    if (v[*n - 1] > h->listed_last_rad || v[0] < h->listed_first_rad)
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected 2theta within %.4f to %.4f deg, for which reflections were listed, found %.4f to %.4f",
                          *h->name ? " " : "", h->name, h->listed_first_rad / BRAGG_DEG, h->listed_last_rad / BRAGG_DEG, v[0] / BRAGG_DEG, v[*n - 1] / BRAGG_DEG);
    return BRAGG_OK;
}

bragg_status bragg_model_replace_pattern(bragg_model *m, size_t which, const bragg_pattern *p, bragg_error *err)
{
    if (!m->built || which >= m->n_histograms)
        return bragg_fail(err, BRAGG_EINVAL, "model: expected one of its %zu patterns to replace, got number %zu", m->n_histograms, which);
    histogram *h = &m->histogram[which];
    double *v;
    size_t n;
    bragg_status st = next_points(h, p, &v, &n, err);
    if (st == BRAGG_OK && n > h->room)
        st = more_points(m, h, n, err);
    if (st == BRAGG_OK) {
        bool same = h->n == n && !memcmp(h->x, v, n * sizeof *v); /* then the background's rows stay */
        h->n = n;
        h->n_blocks = (n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
        memcpy(h->correlation, p->correlation, sizeof h->correlation);
        memcpy(h->x, v, n * sizeof *v);
        memcpy(h->y, v + n, n * sizeof *v);
        memcpy(h->weight, v + 2 * n, n * sizeof *v);
        if (!same)
            bragg_refine_scale_points(h);
        bragg_refine_place_residuals(m);
    }
    free(v);
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
