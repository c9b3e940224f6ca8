/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The crystal structure: life cycle, sanity, mass and density. */
#include "config.h"
#include <bragg/crystal.h>
#include <bragg/units.h>

#include <math.h>
#include <string.h>
#include <xraylib.h>

bragg_structure *bragg_structure_new(size_t n_atoms, size_t n_scatterers)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_structure *s = arena ? bragg_arena_alloc(arena, 1, sizeof *s) : NULL;
    if (s) {
        s->arena = arena;
        s->atom = bragg_arena_alloc(arena, n_atoms + 1, sizeof *s->atom);
        s->scatterer = bragg_arena_alloc(arena, n_scatterers + 1, sizeof *s->scatterer);
        s->z = NAN;
    }
    if (!s || !s->atom || !s->scatterer) {
        bragg_arena_free(arena);
        return NULL;
    }
    s->n_atoms = n_atoms;
    s->n_scatterers = n_scatterers;
    return s;
}

void bragg_structure_free(bragg_structure *s)
{
    if (s)
        bragg_arena_free(s->arena);
}

bragg_structure *bragg_structure_copy(const bragg_structure *from)
{
    bragg_structure *s = bragg_structure_new(from->n_atoms, from->n_scatterers);
    if (!s)
        return NULL;
    bragg_structure blank = *s;
    *s = *from;
    s->arena = blank.arena;
    s->atom = blank.atom;
    s->scatterer = blank.scatterer;
    memcpy(s->atom, from->atom, from->n_atoms * sizeof *s->atom);
    memcpy(s->scatterer, from->scatterer, from->n_scatterers * sizeof *s->scatterer);
    bool good = (s->name = bragg_arena_strdup(s->arena, from->name ? from->name : "")) &&
                (s->formula = bragg_arena_strdup(s->arena, from->formula ? from->formula : "")) &&
                (!from->reference || (s->reference = bragg_arena_strdup(s->arena, from->reference)));
    for (size_t k = 0; good && k < s->n_atoms; k++)
        good = (s->atom[k].label = bragg_arena_strdup(s->arena, from->atom[k].label)) != NULL;
    if (good)
        return s;
    bragg_structure_free(s);
    return NULL;
}

double bragg_atom_equivalent_u(const bragg_cell *cell, const bragg_atom *atom)
{
    static const int place[3][3] = { { 0, 5, 4 }, { 5, 1, 3 }, { 4, 3, 2 } };
    double m[3][3], reciprocal[6], trace = 0;
    if (!atom->anisotropic)
        return atom->uiso_ang2;
    bragg_cell_cartesian(cell, m);
    bragg_cell_reciprocal(cell, reciprocal);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            trace += atom->u[place[i][j]] * sqrt(reciprocal[i] * reciprocal[j]) * (m[0][i] * m[0][j] + m[1][i] * m[1][j] + m[2][i] * m[2][j]);
    return trace / 3;
}

void bragg_structure_make_isotropic(bragg_structure *s)
{
    for (size_t k = 0; k < s->n_atoms; k++) {
        s->atom[k].uiso_ang2 = bragg_atom_equivalent_u(&s->cell, &s->atom[k]);
        s->atom[k].anisotropic = false;
    }
}

/* Sites nearer than this are one; special positions are given to 4 or 5 digits. */
static const double same_site_ang = 0.01;

static bragg_status check_atom(const bragg_structure *s, bragg_atom *a, bragg_error *err)
{
    for (int k = 0; k < 3; k++)
        if (!isfinite(a->x[k]))
            return bragg_fail(err, BRAGG_EDATA, "atom %s: coordinates are missing", a->label);
    if (!(a->occupancy >= 0 && a->occupancy <= 1.0001))
        return bragg_fail(err, BRAGG_EDATA, "atom %s: occupancy must be 0 to 1, found %g", a->label, a->occupancy);
    a->multiplicity = bragg_site_multiplicity(&s->symmetry, &s->cell, a->x, same_site_ang);
    return BRAGG_OK;
}

bragg_status bragg_structure_check(bragg_structure *s, bragg_error *err)
{
    bragg_status st = bragg_cell_check(&s->cell, err);
    if (st == BRAGG_OK && s->n_atoms == 0)
        st = bragg_fail(err, BRAGG_EDATA, "structure: expected atoms, found none");
    if (st == BRAGG_OK) {
        double misfit = bragg_symmetry_cell_misfit(&s->symmetry, &s->cell);
        if (misfit > 2e-3)
            st = bragg_fail(err, BRAGG_EDATA, "cell %g %g %g does not have the symmetry of %s (misfit %.2g)", s->cell.a, s->cell.b,
                            s->cell.c, s->symmetry.hm, misfit);
    }
    for (size_t k = 0; k < s->n_atoms && st == BRAGG_OK; k++)
        st = check_atom(s, &s->atom[k], err);
    return st;
}

double bragg_structure_mass_g_mol(const bragg_structure *s)
{
    double mass = 0;
    for (size_t k = 0; k < s->n_atoms; k++)
        mass += s->atom[k].multiplicity * s->atom[k].occupancy * s->scatterer[s->atom[k].scatterer].weight;
    return mass;
}

double bragg_structure_absorption_invcm(const bragg_structure *s, double wavelength_ang)
{
    double sum = 0;
    for (size_t k = 0; k < s->n_atoms; k++) {
        const bragg_scatterer *f = &s->scatterer[s->atom[k].scatterer];
        sum += s->atom[k].multiplicity * s->atom[k].occupancy * f->weight * CS_Total(f->z, BRAGG_HC_KEV_ANG / wavelength_ang, NULL);
    }
    return sum / (BRAGG_AVOGADRO_1E24 * bragg_cell_volume_ang3(&s->cell));
}

double bragg_structure_density_g_cm3(const bragg_structure *s)
{
    return bragg_structure_mass_g_mol(s) / (BRAGG_AVOGADRO_1E24 * bragg_cell_volume_ang3(&s->cell));
}
