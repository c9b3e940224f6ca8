/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The peaks of the calculated pattern: where they stand, how wide and bright they are,
 * and what that depends on.  Their points: block.c. */
#include "config.h"
#include "model.h"
#include "spot.h"

#include <bragg/array.h>
#include <bragg/units.h>
#include <math.h>
#include <string.h>

/* From the unit of the table to the unit inside. */
static double inside(int kind, double value)
{
    switch (kind) {
    case BOX: case PIXEL: case ZERO: case LORENTZ_X: case LORENTZ_Y: case LORENTZ_Z: return value * BRAGG_DEG;
    case CAGLIOTI_U: case CAGLIOTI_V: case CAGLIOTI_W: case CAGLIOTI_P:
        return value * BRAGG_DEG * BRAGG_DEG / FWHM2_PER_VARIANCE;
    case DISPLACEMENT: case TRANSPARENCY: case SHIFT_X: case SHIFT_Y: case K_OFFSET: return value * 1e-3;
    default: return value;
    }
}

/* --------------------------------------------------------------- phases */

static void update_cell(const bragg_params *t, phase *p)
{
    const double *v = &p->structure->cell.a;
    bragg_structure_take_cell(p->structure, &t->at[p->cell_row]);
    bragg_cell_reciprocal(&p->structure->cell, p->g);
    bragg_cell_reciprocal_derivatives(&p->structure->cell, p->dg);
    p->volume = bragg_cell_volume_ang3(&p->structure->cell);
    for (int i = 0; i < 3; i++)
        p->dvolume[i] = p->volume / v[i];
    double c[3] = { cos(v[3]), cos(v[4]), cos(v[5]) };
    double abc = v[0] * v[1] * v[2];
    for (int i = 0; i < 3; i++) /* V^2 = (abc)^2 (1 - sum cos^2 + 2 prod cos) */
        p->dvolume[3 + i] = abc * abc / p->volume * sin(v[3 + i]) * (c[i] - c[(i + 1) % 3] * c[(i + 2) % 3]);
}

/* Backgrounds, widths and scales leave cell and atoms where they were. */
static bool is_known(const phase *p, const mix *m, bool slopes)
{
    return m->is_seen && (m->seen_slopes || !slopes) && !memcmp(m->seen_g, p->g, sizeof p->g) &&
           !memcmp(m->seen, p->structure->atom, p->structure->n_atoms * sizeof *m->seen);
}

static bragg_status update_factors(const bragg_params *t, phase *p, mix *m, bragg_error *err)
{
    if (!p->structure->n_atoms) {
        for (size_t r = 0; p->pawley && !p->extracted && r < p->n_reflections; r++)
            m->f2[r] = t->at[m->intensity_row + r].value;
        return BRAGG_OK;
    }
    bragg_structure view = *p->structure;
    view.scatterer = m->scatterer;
    bool atoms_move = false;
    for (size_t i = 0; i < m->terms.n_intensity_terms; i++)
        atoms_move = atoms_move || m->terms.intensity_term[i].atom >= 0;
    if (is_known(p, m, atoms_move))
        return BRAGG_OK;
    bragg_status st = bragg_factors_evaluate(m->factors, &view, p->g, m->f2, atoms_move ? m->df2 : NULL, m->df2_dq, err);
    m->is_seen = st == BRAGG_OK;
    m->seen_slopes = atoms_move;
    memcpy(m->seen_g, p->g, sizeof p->g);
    memcpy(m->seen, p->structure->atom, p->structure->n_atoms * sizeof *m->seen);
    return st;
}

static bragg_status update_phase(const bragg_params *t, bragg_model *model, phase *p, bragg_error *err)
{
    update_cell(t, p);
    bragg_status st = bragg_cell_check(&p->structure->cell, err);
    bragg_structure_take_atoms(p->structure, &t->at[p->atom_row]);
    for (size_t h = 0; h < model->n_histograms && st == BRAGG_OK; h++)
        st = update_factors(t, p, &p->mix[h], err);
    return st < 0 ? bragg_context(err, st, "phase %s", p->name) : st;
}

/* ----------------------------------------------------------- one peak */

/* What scatters stands beside the goniometer's axis: `along` up the beam or, under
 * Bragg-Brentano, below the surface that is focused; `across` it.  Debye-Scherrer and
 * Bragg-Brentano: A. C. Larson & R. B. Von Dreele, GSAS, LAUR 86-748; a flat detector
 * square to the beam sees rings grow with the distance, tan 2theta' = (1 + along / D) tan 2theta. */
static void shift_peak(const histogram *h, double along, double across, spot *s)
{
    double r = h->radius_m, s2 = sin(2 * s->theta), c2 = cos(2 * s->theta);
    if (h->mount == BRAGG_BRAGG_BRENTANO) {
        s->dalong = -2 * cos(s->theta) / r;
        s->position += s->dalong * along;
        s->dposition_dtheta += 2 * sin(s->theta) * along / r;
    } else if (h->flat_detector) {
        double far = 1 + along / r, square = c2 * c2 + far * far * s2 * s2;
        s->dalong = s2 * c2 / square / r;
        s->dacross = c2 * c2 / r;
        s->position += atan2(far * s2, c2) - 2 * s->theta + s->dacross * across;
        s->dposition_dtheta += 2 * (far / square - 1) - 4 * s2 * c2 * across / r;
    } else {
        s->dalong = s2 / r;
        s->dacross = c2 / r;
        s->position += s->dalong * along + s->dacross * across;
        s->dposition_dtheta += 2 * (c2 * along - s2 * across) / r;
    }
}

static void place_peak(const histogram *h, double offset_m, spot *s)
{
    double sine = s->wavelength * sqrt(s->q) / 2;
    s->theta = asin(sine);
    s->dtheta_dq = s->wavelength / (4 * sqrt(s->q) * cos(s->theta));
    s->position = 2 * s->theta + h->value[ZERO];
    s->dposition_dtheta = 2;
    if (!(h->radius_m > 0))
        return;
    shift_peak(h, offset_m + h->value[DISPLACEMENT] - h->value[SHIFT_Y], h->value[SHIFT_X], s);
    double depth = h->value[TRANSPARENCY] / (2 * h->radius_m); /* of Bragg-Brentano alone */
    s->position -= depth * sin(2 * s->theta);
    s->dposition_dtheta -= 2 * depth * cos(2 * s->theta);
}

/* Extinction y; *dx is d ln y / d ln x, *dtheta d ln y / d theta. */
static double extinguish(const bragg_params *t, const histogram *h, const phase *p, double f2, spot *s, double *dx, double *dtheta)
{
    *dx = *dtheta = s->extinction = 0;
    if (!p->extinguishes)
        return 1;
    s->extinction = bragg_refine_extinction_unit(h->radiation.neutron, s->wavelength, f2, p->volume);
    double x = s->extinction * t->at[p->extinction_row].value, y = bragg_refine_extinction(x, s->theta, dx, dtheta);
    s->extinction *= *dx / y; /* d ln y with the row */
    *dx *= x / y;
    *dtheta /= y;
    return y;
}

/* ratio: of the line to the first. */
static void brighten_peak(const bragg_params *t, const histogram *h, const phase *p, const mix *m,
                          size_t refl, double ratio, spot *s)
{
    double c2 = cos(2 * s->theta), s2 = sin(2 * s->theta), sn = sin(s->theta), cs = cos(s->theta);
    double lorentz = 1 / (2 * sn * sn * cs);
    double polar = h->radiation.neutron ? 1 : (1 - h->radiation.polarization) * c2 * c2 + h->radiation.polarization;
    double dpolar = h->radiation.neutron ? 0 : -4 * (1 - h->radiation.polarization) * c2 * s2;
    double dln = -2 * cs / sn + sn / cs + dpolar / polar; /* d ln(L P) / d theta */
    double dln_dtheta, absorbed = bragg_refine_absorption(h, s->theta, &dln_dtheta, s->dln_change);
    dln += dln_dtheta;
    s->lp = lorentz * polar * absorbed;
    double dx, dtheta, y = extinguish(t, h, p, m->f2[refl], s, &dx, &dtheta);
    double alone = y * p->reflection[refl].multiplicity * s->lp * s->texture / p->volume, per_f2 = ratio * alone;
    s->per_ratio = t->at[m->scale_row].value * alone * m->f2[refl];
    dln += dtheta;
    s->dln_dx = dx;
    s->dln_df2 = 1 + dx;
    double base = s->per_f2 = t->at[m->scale_row].value * per_f2;
    s->per_scale = per_f2 * m->f2[refl];
    s->intensity = base * m->f2[refl];
    s->dintensity_dtheta = s->intensity * dln;
    s->dintensity_dq = s->dintensity_dtheta * s->dtheta_dq + base * s->dln_df2 * m->df2_dq[refl];
}

/* ------------------------------------------------------- coefficients */

static change from_theta(const spot *s, double dtheta)
{
    return (change){ 0, s->dposition_dtheta * dtheta, s->dgauss_dtheta * dtheta, s->dlorentz_dtheta * dtheta };
}

static change instrument_change(const histogram *h, const spot *s, int kind)
{
    switch (kind) {
    case ZERO: return (change){ .position = 1 };
    case DISPLACEMENT: return (change){ .position = s->dalong };
    case TRANSPARENCY: return (change){ .position = -sin(2 * s->theta) / (2 * h->radius_m) };
    case SHIFT_X: return (change){ .position = s->dacross };
    case SHIFT_Y: return (change){ .position = -s->dalong };
    case RATIO: return (change){ .intensity = s->line == 1 ? s->per_ratio : 0 };
    case ABSORPTION: case ROUGHNESS_P: case ROUGHNESS_Q: return (change){ .intensity = s->intensity * s->dln_change[kind - ABSORPTION] };
    case WAVELENGTH: { /* the first line's; all lines keep their ratio of wavelengths */
        double dtheta = tan(s->theta) / h->value[WAVELENGTH];
        change c = from_theta(s, dtheta);
        c.lorentz += s->lorentz_size / h->value[WAVELENGTH];
        c.intensity = s->dintensity_dtheta * dtheta + s->intensity * 2 * s->dln_dx / h->value[WAVELENGTH];
        return c;
    }
    case CAGLIOTI_U: case CAGLIOTI_V: case CAGLIOTI_W: case CAGLIOTI_P:
        return (change){ .gauss = s->d_gauss[kind - CAGLIOTI_U] };
    case LORENTZ_X: case LORENTZ_Y: case LORENTZ_Z:
        return (change){ .lorentz = s->d_lorentz[kind - LORENTZ_X] };
    }
    return (change){ 0 };
}

static change cell_change(const phase *p, const bragg_reflection *r, const spot *s, int axis)
{
    const bragg_known_peak *known = p->spacings ? &p->known[r - p->reflection] : NULL;
    const double hh[6] = { r->h * r->h, r->k * r->k, r->l * r->l, 2 * r->k * r->l, 2 * r->h * r->l, 2 * r->h * r->k };
    double dq = known ? p->dg[0][axis] / (known->d_ang * known->d_ang) : 0;
    for (int i = 0; !known && i < 6; i++)
        dq += hh[i] * p->dg[i][axis];
    change c = from_theta(s, s->dtheta_dq * dq), strain = bragg_refine_broadening_change(NULL, p, s, K_CELL, 0);
    c.gauss += strain.gauss * dq;
    c.lorentz += strain.lorentz * dq;
    c.intensity = s->dintensity_dq * dq - s->intensity * (1 + 2 * s->dln_dx) * p->dvolume[axis] / p->volume;
    return c;
}

/* The cell stays: |F|^2 and the volume with it. */
static change strain_change(const phase *p, const bragg_reflection *r, const spot *s, int index)
{
    double dq = bragg_invariant_at(&p->metric, (size_t)index, r->h, r->k, r->l);
    change c = from_theta(s, s->dtheta_dq * dq), strain = bragg_refine_broadening_change(NULL, p, s, K_CELL, 0);
    c.gauss += strain.gauss * dq;
    c.lorentz += strain.lorentz * dq;
    c.intensity = s->dintensity_dtheta * s->dtheta_dq * dq;
    return c;
}

static change full_change(const bragg_params *t, const histogram *h, const phase *p,
                          const bragg_reflection *r, const spot *s, const term *k)
{
    if (k->kind < N_INSTRUMENT)
        return instrument_change(h, s, k->kind);
    if (k->kind == K_CELL)
        return cell_change(p, r, s, k->index);
    if (k->kind == K_DIJ)
        return strain_change(p, r, s, k->index);
    if (k->kind == K_OFFSET)
        return (change){ .position = s->dalong };
    return bragg_refine_broadening_change(t, p, s, k->kind, k->index);
}

/* d ln(intensity), or d F^2 for atoms, of an intensity-only row. */
static double intensity_change(const mix *m, size_t refl, size_t n_atoms,
                               const spot *s, const term *k)
{
    if (k->kind == K_SCALE)
        return s->per_scale;
    double per = s->texture != 0 ? s->intensity / s->texture : 0;
    switch (k->kind) {
    case K_MARCH: return per * s->slopes->march[k->index];
    case K_MARCH_PART: return per * s->slopes->part[k->index];
    case K_HARMONIC: return per * s->slopes->harmonic[k->index];
    case K_EXTINCTION: return s->intensity * s->extinction;
    }
    const bragg_factor_derivative *d = &m->df2[refl * n_atoms + (size_t)k->atom];
    double df2 = k->index < BRAGG_ATOM_OCCUPANCY ? d->x[k->index] : k->index == BRAGG_ATOM_OCCUPANCY ? d->occupancy
               : k->index == BRAGG_ATOM_UISO ? d->uiso : d->u[k->index - BRAGG_ATOM_U11];
    return m->f2[refl] > 0 ? s->intensity / m->f2[refl] * s->dln_df2 * df2 : 0;
}

static void write_coefficients(const bragg_params *t, const histogram *h, const phase *p, const mix *m,
                               size_t refl, const spot *s, double *out)
{
    const terms *list = &m->terms;
    memset(out, 0, (4 * list->n_full + list->n_intensity) * sizeof *out);
    for (size_t k = 0; k < list->n_full_terms; k++) {
        const term *e = &list->full_term[k];
        change c = full_change(t, h, p, &p->reflection[refl], s, e);
        double *o = out + 4 * e->local, w = e->weight * inside(e->kind, 1) * (e->kind == K_CELL && e->index > 2 ? BRAGG_DEG : 1);
        o[0] += w * c.intensity;
        o[1] += w * s->intensity * c.position;
        o[2] += w * s->intensity * c.gauss;
        o[3] += w * s->intensity * c.lorentz;
    }
    for (size_t k = 0; k < list->n_intensity_terms; k++) {
        const term *e = &list->intensity_term[k];
        out[4 * list->n_full + e->local] += e->weight * intensity_change(m, refl, p->structure->n_atoms, s, e);
    }
}

/* -------------------------------------------------------------- peaks */

/* Where the profile has fallen to 1e-4 of its top: 1/(1 + 4 t^2) = 1e-4 for a
 * Lorentzian is 50 widths, a Gaussian is there after two. */
static double reach_of(const bragg_tch *t)
{
    return t->fwhm * fmax(2.5, 50 * sqrt(fmin(fmax(t->eta, 0), 1)));
}

double bragg_refine_invd2(const phase *p, size_t refl)
{
    const bragg_reflection *r = &p->reflection[refl];
    if (p->spacings)
        return p->g[0] / (p->known[refl].d_ang * p->known[refl].d_ang);
    return bragg_cell_invd2(p->g, r->h, r->k, r->l);
}

/* 1/d^2 as this pattern sees it. */
static double invd2_in(const bragg_params *t, const phase *p, const mix *m, size_t refl)
{
    const bragg_reflection *r = &p->reflection[refl];
    double q = bragg_refine_invd2(p, refl);
    for (size_t k = 0; k < p->metric.n; k++)
        if (m->strain_row[k] != NO_ROW && t->at[m->strain_row[k]].value != 0)
            q += t->at[m->strain_row[k]].value * bragg_invariant_at(&p->metric, k, r->h, r->k, r->l);
    return q;
}

/* Mean place and variance of the nodes, and how both move with the position, S/L
 * and H/L (the weights sum to 1). */
static void sum_nodes(const axial_node *o, size_t n, peak *e)
{
    double mean = 0;
    for (size_t k = 0; k < n; k++)
        mean += o[k].weight * o[k].shift;
    e->centre = e->position + mean;
    e->dcentre[0] = 1;
    for (size_t k = 0; k < n; k++) {
        double u = o[k].shift - mean, wu = 2 * o[k].weight * u;
        e->m2 += o[k].weight * u * u;
        for (int d = 0; d < 3; d++) {
            e->dcentre[d] += o[k].dweight[d] * o[k].shift + o[k].weight * o[k].dshift[d];
            e->dm2[d] += o[k].dweight[d] * u * u + wu * o[k].dshift[d];
        }
        e->dm2_dwidth += wu * o[k].dshift_dwidth;
    }
}

/* Nodes of the profile, drawn out by axial divergence, bin and pixel: in `one` or, with a
 * box, in `boxed`.  The box's slopes go to e. */
static const axial_node *spread_peak(histogram *h, const spot *s, axial_node *one, axial_node *boxed, peak *e)
{
    double c2 = cos(s->position), pixel = h->value[PIXEL] * c2 * c2, width = hypot(h->value[BOX], pixel);
    one[0] = (axial_node){ .weight = 1 };
    e->n_nodes = 1;
    if (h->value[AXIAL_S] + h->value[AXIAL_H] > 0)
        e->n_nodes = bragg_refine_axial_nodes(s->position, fmax(h->value[AXIAL_S], 0), fmax(h->value[AXIAL_H], 0), s->tch.fwhm, &h->axial_rule, one);
    if (!(width > 0))
        return one;
    e->dwidth[0] = h->value[BOX] / width * BRAGG_DEG;
    e->dwidth[1] = pixel / width * c2 * c2 * BRAGG_DEG;
    e->n_nodes = bragg_refine_box_nodes(one, e->n_nodes, width, -2 * pixel * pixel / width * tan(s->position), s->tch.fwhm, &h->box_rule, boxed);
    return boxed;
}

/* Points the peak reaches, and those among them that see its nodes one by one. */
static void find_points(const histogram *h, const axial_node *nodes, peak *e, double reach)
{
    double pull = 0;
    for (size_t k = 0; k < e->n_nodes; k++)
        pull = fmax(pull, fabs(nodes[k].shift));
    e->first = bragg_array_first(h->x, h->n, e->position - reach - pull);
    e->last = bragg_array_first(h->x, h->n, e->position + reach + pull);
    /* beyond, the Gaussian is below 1e-12 and the fourth moment of the nodes nothing */
    double near = 3.2 * e->fwhm + 6 * pull;
    e->near_first = e->first + bragg_array_first(h->x + e->first, e->last - e->first, e->position - near);
    e->near_last = e->near_first + bragg_array_first(h->x + e->near_first, e->last - e->near_first, e->position + near);
}

static bragg_status grow_peaks(histogram *h, size_t n_nodes, size_t coefficients, bragg_error *err)
{
    size_t room = h->room_peaks;
    bragg_status st = bragg_array_grow(&h->listed, &room, h->n_peaks + 1, sizeof *h->listed, err);
    if (st == BRAGG_OK)
        st = bragg_array_grow(&h->peak, &h->room_peaks, h->n_peaks + 1, sizeof *h->peak, err);
    if (st == BRAGG_OK)
        st = bragg_array_grow(&h->node, &h->room_nodes, h->n_nodes + n_nodes, sizeof *h->node, err);
    if (st == BRAGG_OK)
        st = bragg_array_grow(&h->coefficient, &h->room_coefficients, h->n_coefficients + coefficients, sizeof(double), err);
    return st;
}

/* A Pawley phase's intensities are variables of their own. */
static void find_own_column(const bragg_lsq_layout *l, const phase *p, const mix *m, const spot *s, peak *e)
{
    e->own_column = -1;
    if (p->pawley && l && l->n_variables) {
        size_t row = m->intensity_row + s->reflection;
        e->own_column = l->column[row];
        e->own_slope = s->per_f2 * l->weight[row];
    }
}

static bragg_status add_peak(bragg_model *model, histogram *h, phase *p, mix *m, size_t refl, size_t line,
                             const bragg_params *t, bragg_error *err)
{
    spot s = { .q = invd2_in(t, p, m, refl), .reflection = refl, .line = line };
    s.wavelength = h->radiation.wavelength_ang[line] * h->value[WAVELENGTH] / h->radiation.wavelength_ang[0];
    if (!(s.q > 0 && s.wavelength * sqrt(s.q) < 1.9999)) /* beyond back-scattering */
        return BRAGG_OK;
    place_peak(h, t->at[p->offset_row].value * 1e-3, &s);
    bragg_refine_widen(t, h, p, &s);
    axial_node one[MAX_NODES], boxed[MAX_NODES * MAX_BOX];
    peak e = { .position = s.position, .fwhm = s.tch.fwhm, .eta = s.tch.eta, .node = h->n_nodes, .coefficient = h->n_coefficients,
               .phase = (size_t)(p - model->phase), .reflection = refl };
    const axial_node *nodes = spread_peak(h, &s, one, boxed, &e);
    find_points(h, nodes, &e, reach_of(&s.tch));
    if (e.first == e.last)
        return BRAGG_OK;
    sum_nodes(nodes, e.n_nodes, &e);
    memcpy(e.mix, (const double[4]){ s.tch.dfwhm_dg, s.tch.dfwhm_dl, s.tch.deta_dg, s.tch.deta_dl }, sizeof e.mix);
    texture_slopes slopes;
    s.slopes = &slopes;
    s.texture = bragg_refine_texture(t, h, p, refl, &slopes);
    brighten_peak(t, h, p, m, refl, line == 1 ? h->value[RATIO] : h->radiation.ratio[line], &s);
    e.intensity = s.intensity;
    find_own_column(model->layout, p, m, &s, &e);
    size_t coefficients = model->layout ? 4 * m->terms.n_full + m->terms.n_intensity : 0;
    bragg_status st = grow_peaks(h, e.n_nodes, coefficients, err);
    if (st < 0)
        return st;
    memcpy(h->node + h->n_nodes, nodes, e.n_nodes * sizeof *nodes);
    h->n_nodes += e.n_nodes;
    if (coefficients)
        write_coefficients(t, h, p, m, refl, &s, h->coefficient + h->n_coefficients);
    h->n_coefficients += coefficients;
    h->listed[h->n_peaks] = (bragg_model_peak){ e.phase, line, p->reflection[refl], s.position, s.gauss, s.lorentz,
                                                m->f2[refl], s.lp, s.intensity };
    h->peak[h->n_peaks++] = e;
    return BRAGG_OK;
}

/* Lists, for each block of points, of the peaks that reach it. */
static bragg_status index_blocks(histogram *h, bragg_error *err)
{
    memset(h->block_start, 0, (h->n_blocks + 1) * sizeof *h->block_start);
    for (size_t k = 0; k < h->n_peaks; k++)
        for (size_t b = h->peak[k].first / BRAGG_LSQ_BLOCK; b <= (h->peak[k].last - 1) / BRAGG_LSQ_BLOCK; b++)
            h->block_start[b + 1]++;
    for (size_t b = 0; b < h->n_blocks; b++)
        h->block_start[b + 1] += h->block_start[b];
    size_t total = h->block_start[h->n_blocks];
    bragg_status st = bragg_array_grow(&h->block_peak, &h->room_block_peaks, total + 1, sizeof *h->block_peak, err);
    if (st < 0)
        return st;
    for (size_t k = h->n_peaks; k-- > 0;)
        for (size_t b = h->peak[k].first / BRAGG_LSQ_BLOCK; b <= (h->peak[k].last - 1) / BRAGG_LSQ_BLOCK; b++)
            h->block_peak[--h->block_start[b + 1]] = k;
    /* the starts have moved down by one place each: block b now starts at b + 1 */
    memmove(h->block_start, h->block_start + 1, h->n_blocks * sizeof *h->block_start);
    h->block_start[h->n_blocks] = total;
    return BRAGG_OK;
}

static bragg_status update_histogram(bragg_model *model, size_t which, const bragg_params *t, bragg_error *err)
{
    histogram *h = &model->histogram[which];
    for (int k = 0; k < N_INSTRUMENT; k++)
        h->value[k] = inside(k, t->at[h->row[k]].value);
    h->n_peaks = h->n_nodes = h->n_coefficients = 0;
    bragg_refine_prepare_absorption(h);
    bragg_status st = BRAGG_OK;
    for (size_t i = 0; i < model->n_phases; i++) {
        phase *p = &model->phase[i];
        for (size_t r = 0; r < p->n_reflections && !p->off; r++)
            for (size_t line = 0; line < h->radiation.n_lines && st == BRAGG_OK; line++)
                st = add_peak(model, h, p, &p->mix[which], r, line, t, err);
    }
    return st == BRAGG_OK ? index_blocks(h, err) : st;
}

/* --------------------------------------------------------------- terms */

static size_t local_of(ptrdiff_t *columns, size_t *n, ptrdiff_t column)
{
    for (size_t k = 0; k < *n; k++)
        if (columns[k] == column)
            return k;
    columns[*n] = column;
    return (*n)++;
}

static void add_term(const bragg_lsq_layout *l, terms *to, bool full, size_t row, int kind, int index, int atom)
{
    if (row == NO_ROW || l->column[row] < 0)
        return;
    term *list = full ? to->full_term : to->intensity_term;
    size_t *n = full ? &to->n_full_terms : &to->n_intensity_terms;
    size_t local = full ? local_of(to->full, &to->n_full, l->column[row])
                        : local_of(to->intensity, &to->n_intensity, l->column[row]);
    list[(*n)++] = (term){ local, l->weight[row], kind, index, atom };
}

static void list_terms(const bragg_lsq_layout *l, const histogram *h, const phase *p, mix *m)
{
    terms *t = &m->terms;
    t->n_full = t->n_intensity = t->n_full_terms = t->n_intensity_terms = 0;
    if (!l)
        return;
    for (int k = 0; k < AXIAL_S; k++)
        add_term(l, t, true, h->row[k], k, 0, -1);
    for (int k = 0; k < 6; k++)
        add_term(l, t, true, p->cell_row + k, K_CELL, k, -1);
    for (size_t k = 0; k < p->metric.n; k++)
        add_term(l, t, true, m->strain_row[k], K_DIJ, (int)k, -1);
    add_term(l, t, true, p->offset_row, K_OFFSET, 0, -1);
    add_term(l, t, true, p->size_row, K_SIZE, 0, -1);
    add_term(l, t, true, p->strain_row, K_STRAIN, 0, -1);
    add_term(l, t, true, p->size_axial_row, K_SIZE, 1, -1);
    add_term(l, t, true, p->strain_axial_row, K_STRAIN, 1, -1);
    for (size_t k = 0; k < p->quartic.n; k++)
        add_term(l, t, true, p->stephens_row + k, K_STEPHENS, (int)k, -1);
    add_term(l, t, true, p->lorentz_row, K_LORENTZ, 0, -1);
    add_term(l, t, false, m->scale_row, K_SCALE, 0, -1);
    for (size_t k = 0; k < p->n_march; k++) {
        add_term(l, t, false, p->march_row[k], K_MARCH, (int)k, -1);
        add_term(l, t, false, p->part_row[k], K_MARCH_PART, (int)k, -1);
    }
    for (size_t k = 0; k < p->n_harmonics; k++)
        add_term(l, t, false, p->harmonic_row + k, K_HARMONIC, (int)k, -1);
    add_term(l, t, false, p->extinction_row, K_EXTINCTION, 0, -1);
    for (size_t j = 0; j < p->structure->n_atoms; j++)
        for (int k = 0; k < BRAGG_ATOM_ROWS; k++)
            add_term(l, t, false, p->atom_row + j * BRAGG_ATOM_ROWS + (size_t)k, K_ATOM, k, (int)j);
}

bragg_status bragg_refine_prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout, bragg_error *err)
{
    bragg_model *model = payload;
    bragg_status st = BRAGG_OK;
    model->layout = layout;
    for (size_t i = 0; i < model->n_phases && st == BRAGG_OK; i++) {
        for (size_t h = 0; h < model->n_histograms; h++)
            list_terms(layout, &model->histogram[h], &model->phase[i], &model->phase[i].mix[h]);
        if (!model->phase[i].off)
            st = update_phase(params, model, &model->phase[i], err);
    }
    for (size_t h = 0; h < model->n_histograms && st == BRAGG_OK; h++)
        st = update_histogram(model, h, params, err);
    return st;
}
