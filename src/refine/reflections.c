/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reflections of a phase, and what stays the same of each while the model is fitted. */
#include "config.h"
#include "model.h"

#include <bragg/units.h>
#include <math.h>

double bragg_refine_cos2_to_axis(const double g[6], const int h[3], const int axis[3])
{
    double dot = g[0] * h[0] * axis[0] + g[1] * h[1] * axis[1] + g[2] * h[2] * axis[2] +
                 g[3] * (h[1] * axis[2] + h[2] * axis[1]) + g[4] * (h[0] * axis[2] + h[2] * axis[0]) +
                 g[5] * (h[0] * axis[1] + h[1] * axis[0]);
    return dot * dot / (bragg_cell_invd2(g, h[0], h[1], h[2]) * bragg_cell_invd2(g, axis[0], axis[1], axis[2]));
}

double *bragg_refine_equivalent_cos2(const phase *p, const double g[6], size_t reflection, const int axis[3], double *out)
{
    const bragg_symmetry *s = &p->structure->symmetry;
    const int hkl[3] = { p->reflection[reflection].h, p->reflection[reflection].k, p->reflection[reflection].l };
    for (size_t o = 0; o < s->n_ops; o++) {
        int h[3];
        bragg_symop_turn(&s->op[o], hkl, h);
        *out++ = bragg_refine_cos2_to_axis(g, h, axis);
    }
    return out;
}

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
    p->march_cos2 = bragg_arena_alloc(m->arena, p->n_march * p->n_reflections * p->structure->symmetry.n_ops + 1, sizeof *p->march_cos2);
    if (!p->march_cos2)
        return bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for texture", p->name);
    double g[6], *out = p->march_cos2;
    bragg_cell_reciprocal(&p->structure->cell, g);
    for (size_t a = 0; a < p->n_march; a++) {
        if (!(bragg_cell_invd2(g, p->march_axis[a][0], p->march_axis[a][1], p->march_axis[a][2]) > 0))
            return bragg_fail(err, BRAGG_EINVAL, "phase %s: March-Dollase axis 0 0 0 is no direction", p->name);
        for (size_t r = 0; r < p->n_reflections; r++)
            out = bragg_refine_equivalent_cos2(p, g, r, p->march_axis[a], out);
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
            p->axis_cos2[r] = bragg_refine_cos2_to_axis(g, hkl, p->axis);
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

bragg_status bragg_refine_list_reflections(bragg_model *m, phase *p, bragg_error *err)
{
    p->mix = bragg_arena_alloc(m->arena, m->n_histograms, sizeof *p->mix);
    bragg_status st = p->mix ? make_reflections(m, p, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for phase %s", p->name);
    if (st == BRAGG_OK)
        st = make_march(m, p, err);
    if (st == BRAGG_OK)
        st = make_broadening(m, p, err);
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
        st = make_mix(m, p, h, err);
    return st;
}
