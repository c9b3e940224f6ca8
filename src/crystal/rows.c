/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A structure as rows of the parameter table: bounds, symmetry's ties, and the way back. */
#include "config.h"
#include <bragg/crystal.h>
#include <bragg/units.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double uiso_unknown_ang2 = 0.01, same_place = 1e-4;

bragg_status bragg_structure_add_cell_rows(const bragg_structure *s, const char *prefix, const bragg_row_limits *limits, bragg_params *params,
                                           size_t *first, bragg_error *err)
{
    static const char *const names[6] = { "cell.a", "cell.b", "cell.c", "cell.alpha", "cell.beta", "cell.gamma" };
    const double *cell = &s->cell.a;
    int tie[6];
    bragg_status st = BRAGG_OK;
    *first = params->n;
    bragg_symmetry_cell_ties(&s->symmetry, tie);
    for (int k = 0; k < 6 && st == BRAGG_OK; k++) {
        double value = k < 3 ? cell[k] : cell[k] / BRAGG_DEG, room = k < 3 ? limits->edge * value : limits->angle_deg;
        size_t row;
        st = bragg_params_add_bounded(params, prefix, names[k], k < 3 ? "angstrom" : "deg", value, value - room, value + room, &row, err);
        if (st == BRAGG_OK && tie[k] >= 0)
            st = bragg_params_tie(params, row, *first + (size_t)tie[k], 1, 0, err);
        if (st == BRAGG_OK && tie[k] == BRAGG_CELL_FIXED)
            bragg_params_hold(params, row);
    }
    return st;
}

/* The first atom on the same place, or a itself: species that share a site share its
 * coordinates and displacements. */
static size_t first_on_site(const bragg_structure *s, size_t a)
{
    for (size_t b = 0; b < a; b++) {
        double far = 0;
        for (int i = 0; i < 3; i++)
            far = fmax(far, fabs(s->atom[b].x[i] - s->atom[a].x[i]));
        if (far < same_place && s->atom[b].anisotropic == s->atom[a].anisotropic)
            return b;
    }
    return a;
}

static bragg_status share_site(bragg_params *params, size_t row, size_t with, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < BRAGG_ATOM_ROWS && st == BRAGG_OK; k++)
        if (k != BRAGG_ATOM_OCCUPANCY)
            st = bragg_params_tie(params, row + k, with + k, 1, 0, err);
    return st;
}

/* What the site's symmetry leaves free of coordinates and displacements. */
static bragg_status constrain_atom(const bragg_structure *s, size_t a, bragg_params *params, size_t first, bragg_error *err)
{
    const bragg_atom *at = &s->atom[a];
    double basis[3][3], adp[6][6];
    size_t n, row = first + a * BRAGG_ATOM_ROWS, with = first_on_site(s, a);
    if (at->anisotropic)
        bragg_params_hold(params, row + BRAGG_ATOM_UISO);
    for (size_t k = BRAGG_ATOM_U11; !at->anisotropic && k < BRAGG_ATOM_ROWS; k++)
        bragg_params_hold(params, row + k);
    if (with < a)
        return share_site(params, row, first + with * BRAGG_ATOM_ROWS, err);
    bragg_site_directions(&s->symmetry, &s->cell, at->x, basis, &n);
    bragg_status st = bragg_params_tie_basis(params, row + BRAGG_ATOM_X, &basis[0][0], n, 3, err);
    if (st == BRAGG_OK && at->anisotropic) {
        bragg_site_adp_basis(&s->symmetry, &s->cell, at->x, adp, &n);
        st = bragg_params_tie_basis(params, row + BRAGG_ATOM_U11, &adp[0][0], n, 6, err);
    }
    return st;
}

/* "phase.A.atom.O", and "phase.A.atom.O_2" for the second of a label. */
static void name_atom(const bragg_structure *s, size_t a, const char *prefix, char *name, size_t size)
{
    int same = 1;
    for (size_t k = 0; k < a; k++)
        same += !strcmp(s->atom[k].label, s->atom[a].label);
    if (same == 1)
        snprintf(name, size, "%s.atom.%s", prefix, s->atom[a].label);
    else
        snprintf(name, size, "%s.atom.%s_%d", prefix, s->atom[a].label, same);
}

static double value_of(const bragg_atom *a, size_t k)
{
    if (k < BRAGG_ATOM_OCCUPANCY)
        return a->x[k];
    if (k == BRAGG_ATOM_OCCUPANCY)
        return a->occupancy;
    if (k == BRAGG_ATOM_UISO)
        return isnan(a->uiso_ang2) ? uiso_unknown_ang2 : a->uiso_ang2;
    return a->u[k - BRAGG_ATOM_U11];
}

static bragg_status add_atom_rows(const bragg_structure *s, size_t a, const char *prefix, const bragg_row_limits *limits, bragg_params *params, bragg_error *err)
{
    static const char *const names[BRAGG_ATOM_ROWS] = { "x", "y", "z", "occupancy", "uiso", "u11", "u22", "u33", "u23", "u13", "u12" };
    char name[200];
    bragg_status st = BRAGG_OK;
    name_atom(s, a, prefix, name, sizeof name);
    for (size_t k = 0; k < BRAGG_ATOM_ROWS && st == BRAGG_OK; k++) {
        double value = value_of(&s->atom[a], k), lower = limits->u_least_ang2, upper = 1;
        if (k > BRAGG_ATOM_U11 + 2) /* between two axes */
            lower = -1;
        if (k < BRAGG_ATOM_OCCUPANCY) {
            lower = value - limits->coordinate;
            upper = value + limits->coordinate;
        }
        if (k == BRAGG_ATOM_OCCUPANCY) {
            lower = 0;
            upper = 2;
        }
        size_t row;
        st = bragg_params_add_bounded(params, name, names[k], k >= BRAGG_ATOM_UISO ? "angstrom^2" : "", value, fmin(lower, value), upper, &row, err);
    }
    return st;
}

bragg_status bragg_structure_add_atom_rows(const bragg_structure *s, const char *prefix, const bragg_row_limits *limits, bragg_params *params, size_t *first,
                                           bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    *first = params->n;
    for (size_t a = 0; a < s->n_atoms && st == BRAGG_OK; a++) {
        st = add_atom_rows(s, a, prefix, limits, params, err);
        if (st == BRAGG_OK)
            st = constrain_atom(s, a, params, *first, err);
    }
    return st;
}

void bragg_structure_take_cell(bragg_structure *s, const bragg_param *row)
{
    double *cell = &s->cell.a;
    for (int k = 0; k < 6; k++)
        cell[k] = row[k].value * (k < 3 ? 1 : BRAGG_DEG);
}

void bragg_structure_take_atoms(bragg_structure *s, const bragg_param *row)
{
    for (bragg_atom *a = s->atom; a < s->atom + s->n_atoms; a++, row += BRAGG_ATOM_ROWS) {
        for (int k = 0; k < 3; k++)
            a->x[k] = row[BRAGG_ATOM_X + k].value;
        a->occupancy = row[BRAGG_ATOM_OCCUPANCY].value;
        a->uiso_ang2 = row[BRAGG_ATOM_UISO].value;
        for (int k = 0; k < 6; k++)
            a->u[k] = row[BRAGG_ATOM_U11 + k].value;
    }
}

size_t bragg_structure_select_rows(bragg_params *params, const char *prefix, const char *name)
{
    static const char *const forms[] = { "%s%s", "*.%s%s", "%satom.*.%s" };
    char full[300];
    size_t found = 0;
    for (size_t k = 0; k < sizeof forms / sizeof *forms && !found; k++) {
        snprintf(full, sizeof full, forms[k], prefix, name);
        found = bragg_params_select(params, full, true);
    }
    return found;
}
