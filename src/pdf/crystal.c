/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole cell in Cartesian coordinates, and what each motion does to it. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SAME_SITE_ANG = 1e-3;

double bragg_pdf_pair_weight(const bragg_scatterer *s, bool neutron)
{
    return neutron ? s->neutron_fm : bragg_scatterer_f0(s, 0);
}

static void to_cartesian(const double m[3][3], const double x[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = m[i][0] * x[0] + m[i][1] * x[1] + m[i][2] * x[2];
}

/* U of the CIF (on a*, b*, c*) turned by an operation, to Cartesian: B = m R N,
 * U_cart = B U B' with N the lengths of the reciprocal axes. */
static void turn_displacement(const bragg_cell *cell, const bragg_symop *op, const double u[6], double out[6])
{
    double m[3][3], g[6], b[3][3], full[3][3] = { { u[0], u[5], u[4] }, { u[5], u[1], u[3] }, { u[4], u[3], u[2] } }, c[3][3];
    bragg_cell_cartesian(cell, m);
    bragg_cell_reciprocal(cell, g);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            b[i][j] = (m[i][0] * op->r[0][j] + m[i][1] * op->r[1][j] + m[i][2] * op->r[2][j]) * sqrt(g[j]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            c[i][j] = 0;
            for (int k = 0; k < 3; k++)
                for (int l = 0; l < 3; l++)
                    c[i][j] += b[i][k] * full[k][l] * b[j][l];
        }
    const double packed[6] = { c[0][0], c[1][1], c[2][2], c[1][2], c[0][2], c[0][1] };
    memcpy(out, packed, sizeof packed);
}

static bool same_place(const crystal *c, const double a[3], const double b[3])
{
    double d[3], x[3];
    for (int k = 0; k < 3; k++) {
        d[k] = a[k] - b[k];
        d[k] -= round(d[k]);
    }
    to_cartesian((const double(*)[3])c->m, d, x);
    return x[0] * x[0] + x[1] * x[1] + x[2] * x[2] < SAME_SITE_ANG * SAME_SITE_ANG;
}

/* Species that share a site and its displacement make the same distances: the
 * first of them carries the weight of all. */
static size_t leader(const crystal *c, size_t a)
{
    const bragg_structure *s = c->structure;
    for (size_t b = 0; b < a; b++)
        if (!s->atom[a].anisotropic && !s->atom[b].anisotropic && s->atom[a].uiso_ang2 == s->atom[b].uiso_ang2 &&
            same_place(c, s->atom[a].x, s->atom[b].x))
            return b;
    return a;
}

/* Weight and occupancy of all that share the site of a, at their occupancies or
 * (unless NULL) at what a motion does to them. */
static double group_weight(const crystal *c, size_t a, bool neutron, const atom_motion *by, double *occupancy)
{
    const bragg_structure *s = c->structure;
    double weight = 0;
    *occupancy = 0;
    for (size_t b = a; b < s->n_atoms; b++)
        if (leader(c, b) == a) {
            double part = by ? by[b].occupancy : s->atom[b].occupancy;
            weight += part * bragg_pdf_pair_weight(&s->scatterer[s->atom[b].scatterer], neutron);
            *occupancy += part;
        }
    return weight;
}

static void add_orbit(crystal *c, size_t a, double weight, double (*fraction)[3])
{
    const bragg_structure *s = c->structure;
    const bragg_atom *atom = &s->atom[a];
    size_t start = c->n;
    for (size_t k = 0; k < s->symmetry.n_ops; k++) {
        const bragg_symop *op = &s->symmetry.op[k];
        double x[3];
        for (int i = 0; i < 3; i++) {
            x[i] = op->r[i][0] * atom->x[0] + op->r[i][1] * atom->x[1] + op->r[i][2] * atom->x[2] + op->t[i];
            x[i] -= floor(x[i]);
        }
        size_t old = start;
        while (old < c->n && !same_place(c, x, fraction[old]))
            old++;
        if (old < c->n)
            continue;
        site *at = &c->site[c->n];
        memcpy(fraction[c->n++], x, sizeof x);
        to_cartesian((const double(*)[3])c->m, x, at->x);
        at->atom = a;
        at->op = k;
        at->first = k == 0;
        at->weight = weight;
        at->anisotropic = atom->anisotropic;
        at->uiso = atom->uiso_ang2;
        if (atom->anisotropic)
            turn_displacement(&s->cell, op, atom->u, at->u);
    }
    c->site[start].multiplicity = (double)(c->n - start);
}

static bragg_status check_atoms(const bragg_structure *s, bool neutron, bragg_error *err)
{
    if (!s->n_atoms)
        return bragg_fail(err, BRAGG_EDATA, "structure '%s': expected atoms, found none", s->name ? s->name : "");
    for (size_t a = 0; a < s->n_atoms; a++) {
        const bragg_atom *atom = &s->atom[a];
        const bragg_scatterer *f = &s->scatterer[atom->scatterer];
        const char *label = atom->label ? atom->label : f->name;
        if (!atom->anisotropic && !(atom->uiso_ang2 > 0 && isfinite(atom->uiso_ang2)))
            return bragg_fail(err, BRAGG_EDATA, "atom %s: expected a positive displacement (Uiso), found %g", label, atom->uiso_ang2);
        if (!isfinite(bragg_pdf_pair_weight(f, neutron)))
            return bragg_fail(err, BRAGG_EDATA, "atom %s: no neutron scattering length is known for %s", label, f->name);
    }
    return BRAGG_OK;
}

static bragg_status fill(crystal *c, bool neutron, double (*fraction)[3], double *sum, bragg_error *err)
{
    const bragg_structure *s = c->structure;
    bragg_cell_cartesian(&s->cell, c->m);
    c->volume = bragg_cell_volume_ang3(&s->cell);
    for (size_t a = 0; a < s->n_atoms; a++) {
        size_t before = c->n;
        double occupancy, weight;
        if (leader(c, a) != a)
            continue;
        weight = group_weight(c, a, neutron, NULL, &occupancy);
        add_orbit(c, a, weight, fraction);
        c->atoms += occupancy * (double)(c->n - before);
        *sum += weight * (double)(c->n - before);
    }
    c->rho0 = c->atoms / c->volume;
    c->mean_weight = *sum / c->atoms;
    return fabs(c->mean_weight) > 0 ? BRAGG_OK
                                    : bragg_fail(err, BRAGG_EDATA, "structure: the mean scattering length is zero, G(r) is not defined");
}

/* ------------------------------------------------------------- motions */

/* The cell moved along a motion; its derivatives below are central differences of
 * closed formulae, exact to 1e-9. */
static bragg_cell moved_cell(const crystal *c, const motion *by, double step)
{
    bragg_cell cell = c->structure->cell;
    for (int k = 0; k < 6; k++)
        (&cell.a)[k] += step * by->cell[k];
    return cell;
}

/* strain = dm m^-1: a vector d of the crystal moves by strain d. */
static void find_strain(const crystal *c, const motion *by, crystal_motion *to)
{
    const double h = 1e-5;
    double up[3][3], down[3][3], inverse[3][3] = { { 0 } };
    const double (*m)[3] = (const double (*)[3])c->m;
    bragg_cell a = moved_cell(c, by, h), b = moved_cell(c, by, -h);
    bragg_cell_cartesian(&a, up);
    bragg_cell_cartesian(&b, down);
    to->dvolume = (bragg_cell_volume_ang3(&a) - bragg_cell_volume_ang3(&b)) / (2 * h);
    for (int i = 2; i >= 0; i--) /* m is upper triangular */
        for (int j = i; j < 3; j++) {
            double sum = i == j;
            for (int k = i + 1; k <= j; k++)
                sum -= m[i][k] * inverse[k][j];
            inverse[i][j] = sum / m[i][i];
        }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            to->strain[i][j] = 0;
            for (int k = 0; k < 3; k++)
                to->strain[i][j] += (up[i][k] - down[i][k]) / (2 * h) * inverse[k][j];
            to->moves = to->moves || to->strain[i][j] != 0;
        }
}

static void turn_with_cell(const crystal *c, const motion *by, const site *at, double out[6])
{
    const double h = 1e-5;
    double up[6], down[6];
    bragg_cell a = moved_cell(c, by, h), b = moved_cell(c, by, -h);
    const bragg_atom *atom = &c->structure->atom[at->atom];
    turn_displacement(&a, &c->structure->symmetry.op[at->op], atom->u, up);
    turn_displacement(&b, &c->structure->symmetry.op[at->op], atom->u, down);
    for (int k = 0; k < 6; k++)
        out[k] += (up[k] - down[k]) / (2 * h);
}

static void move_site(const crystal *c, const motion *by, const site *at, double weight, site_motion *to, crystal_motion *all)
{
    const bragg_symop *op = &c->structure->symmetry.op[at->op];
    to->weight = weight;
    if (by->atom) {
        const atom_motion *a = &by->atom[at->atom];
        double x[3];
        for (int i = 0; i < 3; i++)
            x[i] = op->r[i][0] * a->x[0] + op->r[i][1] * a->x[1] + op->r[i][2] * a->x[2];
        to_cartesian((const double(*)[3])c->m, x, to->x);
        if (at->anisotropic)
            turn_displacement(&c->structure->cell, op, a->u, to->u);
        else
            to->u[0] = a->uiso;
    }
    if (at->anisotropic && all->moves)
        turn_with_cell(c, by, at, to->u);
    for (int k = 0; k < 6; k++)
        all->displaces = all->displaces || to->u[k] != 0;
    for (int k = 0; k < 3; k++)
        all->moves = all->moves || to->x[k] != 0;
    all->weighs = all->weighs || weight != 0;
}

static void find_motion(const crystal *c, const motion *by, bool neutron, crystal_motion *to)
{
    double datoms = 0, dsum = 0, weight = 0;
    find_strain(c, by, to);
    for (size_t k = 0; k < c->n; k++) {
        double occupancy = 0;
        weight = by->atom ? group_weight(c, c->site[k].atom, neutron, by->atom, &occupancy) : 0;
        datoms += occupancy;
        dsum += weight;
        move_site(c, by, &c->site[k], weight, &to->site[k], to);
    }
    for (size_t k = 0; k < c->n; k++) /* a tensor turns with the distance */
        to->displaces = to->displaces || (to->moves && c->site[k].anisotropic);
    to->dnorm = datoms / c->atoms - 2 * dsum / (c->mean_weight * c->atoms);
    to->drho0 = datoms / c->volume - c->rho0 * to->dvolume / c->volume;
}

bragg_status bragg_pdf_crystal_open(crystal *c, const bragg_structure *s, bool neutron, const motion *motions, size_t n_motions,
                                    bragg_error *err)
{
    size_t room = s->n_atoms * s->symmetry.n_ops;
    double (*fraction)[3] = calloc(room ? room : 1, sizeof *fraction), sum = 0;
    memset(c, 0, sizeof *c);
    c->structure = s;
    bragg_status st = bragg_cell_check(&s->cell, err);
    c->site = calloc(room ? room : 1, sizeof *c->site);
    c->motion = calloc(n_motions ? n_motions : 1, sizeof *c->motion);
    if (st == BRAGG_OK && (!fraction || !c->site || !c->motion))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu sites", room);
    if (st == BRAGG_OK)
        st = check_atoms(s, neutron, err);
    if (st == BRAGG_OK)
        st = fill(c, neutron, fraction, &sum, err);
    for (; st == BRAGG_OK && c->n_motions < n_motions; c->n_motions++) {
        crystal_motion *to = &c->motion[c->n_motions];
        if (!(to->site = calloc(c->n, sizeof *to->site)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu sites", c->n);
        else
            find_motion(c, &motions[c->n_motions], neutron, to);
    }
    free(fraction);
    return st;
}

void bragg_pdf_crystal_close(crystal *c)
{
    for (size_t k = 0; c->motion && k < c->n_motions; k++)
        free(c->motion[k].site);
    free(c->motion);
    free(c->site);
}
