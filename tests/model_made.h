/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Structures, points and options that the tests of the model are set on. */
#ifndef TESTS_MODEL_MADE_H
#define TESTS_MODEL_MADE_H

#include "close.h"

#include <bragg/refine.h>
#include <bragg/units.h>

static inline bragg_structure *triclinic(void)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(2, 2);
    s->name = s->formula = "";
    s->cell = (bragg_cell){ 5.137, 4.853, 6.291, 91.23 * BRAGG_DEG, 98.71 * BRAGG_DEG, 104.39 * BRAGG_DEG };
    ck_assert_int_eq(bragg_symmetry_from_symbol("P -1", &s->symmetry, &err), BRAGG_OK);
    bragg_scatterer_find("Bi", &s->scatterer[0], NULL, NULL);
    bragg_scatterer_find("S", &s->scatterer[1], NULL, NULL);
    s->atom[0] = (bragg_atom){ .label = "Bi1", .scatterer = 0, .x = { 0.1231, 0.2137, 0.3719 }, .occupancy = 0.83, .uiso_ang2 = 0.0137 };
    s->atom[1] = (bragg_atom){ .label = "S1", .scatterer = 1, .x = { 0.6173, 0.4231, 0.1171 }, .occupancy = 0.97, .uiso_ang2 = 0.0071 };
    return s;
}

static inline bragg_structure *rhombohedral(void)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(1, 1);
    s->name = s->formula = "";
    s->cell = (bragg_cell){ 4.407, 4.407, 11.709, BRAGG_PI / 2, BRAGG_PI / 2, 2 * BRAGG_PI / 3 };
    ck_assert_int_eq(bragg_symmetry_from_symbol("R -3 m:H", &s->symmetry, &err), BRAGG_OK);
    bragg_scatterer_find("Sb", &s->scatterer[0], NULL, NULL);
    s->atom[0] = (bragg_atom){ .label = "Sb1", .scatterer = 0, .x = { 0, 0, 0.2336 }, .occupancy = 1, .uiso_ang2 = 0.009 };
    return s;
}

/* Points without noise: what a model is set on. */
static inline bragg_pattern *points(double first_deg, double step_deg, size_t n)
{
    bragg_pattern *p = bragg_pattern_new(n, BRAGG_AXIS_TTH);
    for (size_t i = 0; i < n; i++) {
        p->x[i] = (first_deg + step_deg * (double)i) * BRAGG_DEG;
        p->y[i] = 100;
        p->sigma[i] = 10;
    }
    return p;
}

static inline bragg_histogram_options lab(const char *name)
{
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.name = name;
    o.radiation = (bragg_radiation){ .n_lines = 2, .wavelength_ang = { 1.540593, 1.544427 }, .ratio = { 1, 0.497 }, .polarization = 0.53 };
    o.mount = BRAGG_BRAGG_BRENTANO;
    o.radius_m = 0.217;
    return o;
}

static inline bragg_histogram_options neutrons(const char *name)
{
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.name = name;
    o.radiation = (bragg_radiation){ .neutron = true, .n_lines = 1, .wavelength_ang = { 1.909 }, .ratio = { 1 }, .polarization = 1 };
    return o;
}

static inline void add_pattern(bragg_model *m, const bragg_histogram_options *o, double first_deg, double step_deg, size_t n)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p = points(first_deg, step_deg, n);
    ck_assert_msg(bragg_model_add_pattern(m, p, o, &err) == BRAGG_OK, "%s", err.text);
    bragg_pattern_free(p);
}

static inline void add_structure(bragg_model *m, const char *name, bragg_structure *s)
{
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_model_add_phase(m, name, s, NULL, &err) == BRAGG_OK, "%s", err.text);
    bragg_structure_free(s);
}

static inline void build(bragg_model *m)
{
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
}

#endif
