/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rows of the parameter table: of a pattern, of a phase. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <stdio.h>

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

bragg_status bragg_refine_add_histogram_rows(bragg_model *m, histogram *h, bragg_error *err)
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

bragg_status bragg_refine_add_phase_rows(bragg_model *m, phase *p, bragg_error *err)
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
