/* SPDX-License-Identifier: GPL-3.0-or-later */
/* strategy: auto from bad starts on simulated patterns: how often the minimum is
 * found.  BRAGG_TRIALS sets the number of trials (20 without it), BRAGG_SEED
 * another run of random numbers. */
#include "config.h"
#include "close.h"
#include "suite.h"
#include "random.h"
#include "parameters.h"

#include "../src/refine/run.h"

#include <bragg/number.h>
#include <bragg/refine.h>
#include <bragg/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Orthorhombic, lab two-wavelength; monoclinic, synchrotron; rhombohedral, lab. */
static const struct twin {
    const char *group, *a, *b;
    double cell[6], xa[3], xb[3];
    bool lab;
} twins[3] = {
    { "P n m a", "Pb", "S", { 8.482, 5.399, 6.961, 90, 90, 90 }, { 0.1878, 0.25, 0.1673 }, { 0.0635, 0.25, 0.6843 }, true },
    { "P 1 21/c 1", "Bi", "S", { 6.137, 5.853, 8.291, 90, 98.71, 90 }, { 0.1231, 0.2137, 0.3719 }, { 0.6173, 0.4231, 0.1171 }, false },
    { "R -3 m:H", "Sb", "Bi", { 4.407, 4.407, 11.709, 90, 90, 120 }, { 0, 0, 0.2336 }, { 0, 0, 0.5 }, true },
};

static bragg_structure *structure_of(const struct twin *w)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(2, 2);
    s->name = s->formula = "";
    s->cell = (bragg_cell){ w->cell[0], w->cell[1], w->cell[2], w->cell[3] * BRAGG_DEG, w->cell[4] * BRAGG_DEG, w->cell[5] * BRAGG_DEG };
    ck_assert_msg(bragg_symmetry_from_symbol(w->group, &s->symmetry, &err) == BRAGG_OK, "%s", err.text);
    bragg_scatterer_find(w->a, &s->scatterer[0], NULL, NULL);
    bragg_scatterer_find(w->b, &s->scatterer[1], NULL, NULL);
    s->atom[0] = (bragg_atom){ .label = "A", .scatterer = 0, .occupancy = 1, .uiso_ang2 = 0.0137 };
    s->atom[1] = (bragg_atom){ .label = "B", .scatterer = 1, .occupancy = 1, .uiso_ang2 = 0.0091 };
    memcpy(s->atom[0].x, w->xa, sizeof w->xa);
    memcpy(s->atom[1].x, w->xb, sizeof w->xb);
    return s;
}

static bragg_model *model_of(const struct twin *w, const bragg_structure *s, const bragg_pattern *p)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.radiation = w->lab ? (bragg_radiation){ .n_lines = 2, .wavelength_ang = { 1.540593, 1.544427 }, .ratio = { 1, 0.497 }, .polarization = 0.5 }
                                : (bragg_radiation){ .n_lines = 1, .wavelength_ang = { 0.7093 }, .ratio = { 1 }, .polarization = 0.99 };
    o.mount = w->lab ? BRAGG_BRAGG_BRENTANO : BRAGG_DEBYE_SCHERRER;
    o.radius_m = 0.217;
    o.background_terms = 4;
    bragg_model *m = bragg_model_new();
    ck_assert_msg(bragg_model_add_pattern(m, p, &o, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_add_phase(m, "T", s, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    *value_of(m, "instrument.u") = w->lab ? 0.004 : 0.0008;
    *value_of(m, "instrument.v") = w->lab ? -0.002 : -0.0002;
    *value_of(m, "instrument.w") = w->lab ? 0.006 : 0.0006;
    *value_of(m, "instrument.x") = w->lab ? 0.03 : 0.006;
    static const char *const wanted[] = { "background", "phase.*.scale", "phase.*.cell", "instrument.[uvwx]", "phase.*.uiso", "phase.*.atom.*.[xyz]" };
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        bragg_model_select(m, wanted[k], true);
    bragg_model_select(m, w->lab ? "instrument.displacement" : "instrument.zero", true);
    return m;
}

static bragg_pattern *simulate(const struct twin *w, const bragg_structure *s)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p = bragg_pattern_new(w->lab ? 4200 : 3100, BRAGG_AXIS_TTH);
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (w->lab ? 15.3 + 0.021 * (double)i : 4.3 + 0.011 * (double)i) * BRAGG_DEG;
        p->sigma[i] = 1;
    }
    p->y[0] = 1;
    bragg_model *m = model_of(w, s, p);
    *value_of(m, "background.0") = 130;
    *value_of(m, "background.1") = -40;
    *value_of(m, "phase.T.scale") = w->lab ? 4.7 : 0.8;
    *value_of(m, w->lab ? "instrument.displacement" : "instrument.zero") = w->lab ? 0.2 : 0.01;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < p->n; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * deviate();
    }
    bragg_model_free(m);
    return p;
}

static double rwp_from(bragg_model *m, bool stages, char **report)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_refine_options o = BRAGG_REFINE_OPTIONS_INIT;
    bragg_fit *f;
    o.stages = stages;
    bragg_status st = bragg_refine(m, &o, &f, &err);
    double rwp = f && (st >= 0 || st == BRAGG_ENOCONV) ? f->rwp : INFINITY;
    if (report)
        *report = f && f->report ? strdup(f->report) : NULL;
    bragg_fit_free(f);
    return rwp;
}

/* Cells off by up to 1 %, each free edge by its own, angles by up to 0.3 deg; widths by 30 %. */
static bool one_trial(const struct twin *w, int number)
{
    bragg_structure *s = structure_of(w);
    bragg_pattern *p = simulate(w, s);
    bragg_model *m = model_of(w, s, p);
    *value_of(m, "phase.T.scale") = w->lab ? 4.7 : 0.8;
    *value_of(m, w->lab ? "instrument.displacement" : "instrument.zero") = w->lab ? 0.2 : 0.01;
    double best = rwp_from(m, false, NULL);
    bragg_model_free(m);
    m = model_of(w, s, p);
    double factor = uniform() < 0.5 ? 0.7 : 1.3;
    *value_of(m, "instrument.w") *= factor * factor;
    *value_of(m, "instrument.u") *= factor * factor;
    *value_of(m, "instrument.v") *= factor * factor;
    *value_of(m, "instrument.x") *= factor;
    static const char *const edges[] = { "phase.T.cell.a", "phase.T.cell.b", "phase.T.cell.c" };
    for (int k = 0; k < 3; k++)
        *value_of(m, edges[k]) *= 1 + 0.01 * (2 * uniform() - 1);
    *value_of(m, "phase.T.cell.beta") += w->cell[4] != 90 ? 0.3 * (2 * uniform() - 1) : 0;
    double a = *value_of(m, edges[0]) / w->cell[0] - 1, b = *value_of(m, edges[1]) / w->cell[1] - 1, c = *value_of(m, edges[2]) / w->cell[2] - 1;
    char *report;
    double rwp = rwp_from(m, true, &report);
    bool good = rwp < 1.01 * best;
    if (!good)
        printf("trial %d, %s: Rwp %.3f %%, best %.3f %%; start off by %.2f %.2f %.2f %%, widths %.1f\n%s", number, w->group, 100 * rwp, 100 * best,
               100 * a, 100 * b, 100 * c, factor, report ? report : "");
    free(report);
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_structure_free(s);
    return good;
}

START_TEST(auto_finds_the_minimum_from_bad_starts)
{
    const char *wish = getenv("BRAGG_TRIALS"), *seed = getenv("BRAGG_SEED");
    long long n = 20, other = 0;
    int found = 0;
    if (wish)
        ck_assert_msg(bragg_integer_parse(wish, &n) && n > 0, "BRAGG_TRIALS: %s", wish);
    if (seed)
        ck_assert_msg(bragg_integer_parse(seed, &other), "BRAGG_SEED: %s", seed);
    random_state = 88172645463325252ULL + 0x9e3779b97f4a7c15ULL * (unsigned long long)other;
    for (int k = 0; k < n; k++)
        found += one_trial(&twins[k % 3], k);
    printf("strategy auto: %d of %lld trials ended in the minimum\n", found, n);
    fflush(stdout);
    ck_assert_msg(found * 100 >= 95 * n, "%d of %lld", found, n);
}
END_TEST

/* Values of both tables, bit for bit. */
static void check_same_table(bragg_model *a, bragg_model *b)
{
    const bragg_params *s = bragg_model_params(a), *t = bragg_model_params(b);
    ck_assert_uint_eq(s->n, t->n);
    for (size_t i = 0; i < s->n; i++)
        ck_assert_msg(!memcmp(&s->at[i].value, &t->at[i].value, sizeof(double)), "%s: %.17g and %.17g", s->at[i].name, s->at[i].value, t->at[i].value);
}

START_TEST(a_replaced_pattern_fits_as_in_a_model_of_its_own)
{
    bragg_error err = BRAGG_ERROR_INIT;
    const struct twin *w = &twins[1];
    bragg_structure *s = structure_of(w);
    bragg_pattern *first = simulate(w, s), *second = simulate(w, s), *third = simulate(w, s);
    for (size_t i = 0; i < third->n; i++) /* another axis, fewer points in it */
        third->x[i] += 0.003 * BRAGG_DEG;
    third->n -= 37;
    bragg_pattern *later[2] = { second, third };
    bragg_model *kept = model_of(w, s, first);
    ck_assert(rwp_from(kept, true, NULL) < 1);
    for (int k = 0; k < 2; k++) {
        bragg_model *fresh = model_of(w, s, later[k]);
        ck_assert_int_eq(bragg_model_replace_pattern(kept, 0, later[k], &err), BRAGG_OK);
        bragg_params *from = bragg_model_params(kept), *to = bragg_model_params(fresh);
        for (size_t i = 0; i < to->n; i++)
            to->at[i].value = from->at[i].value;
        ck_assert_uint_eq(bragg_model_points(kept, 0), later[k]->n);
        double a = rwp_from(kept, false, NULL), b = rwp_from(fresh, false, NULL);
        ck_assert_msg(a == b && a < 1, "Rwp %.17g and %.17g", a, b);
        check_same_table(kept, fresh);
        bragg_model_free(fresh);
    }
    size_t before = bragg_model_points(kept, 0);
    memset(second->y, 0, second->n * sizeof *second->y);
    ck_assert_int_eq(bragg_model_replace_pattern(kept, 0, second, &err), BRAGG_EDATA);
    for (size_t i = 0; i < first->n; i++)
        first->x[i] += 9 * BRAGG_DEG;
    ck_assert_int_eq(bragg_model_replace_pattern(kept, 0, first, &err), BRAGG_EDATA);
    ck_assert_uint_eq(bragg_model_points(kept, 0), before);
    ck_assert_int_eq(bragg_model_replace_pattern(kept, 1, third, &err), BRAGG_EINVAL);
    bragg_model_free(kept);
    bragg_pattern_free(first);
    bragg_pattern_free(second);
    bragg_pattern_free(third);
    bragg_structure_free(s);
}
END_TEST

/* Nothing is named but scale and background: parts that the pattern was made with are found,
 * a size and a strain that it was made without are not. */
START_TEST(what_is_offered_is_refined_only_where_the_data_carry_it)
{
    static const char *const offered[] = { "phase.T.cell.*", "instrument.zero", "instrument.[uvw]", "phase.T.size", "phase.T.strain", "phase.T.atom.*.uiso",
                                           "phase.T.atom.*.[xyz]" };
    static const struct { const char *name; bool kept; double truth, within; } expected[] = {
        { "phase.T.cell.b", true, 5.853, 5e-4 }, { "instrument.zero", true, 0.01, 1e-3 }, { "phase.T.strain", false, 0, 0 }, { "phase.T.size", false, 1e5, 0 },
        { "phase.T.atom.A.uiso", true, 0.0137, 1e-3 }, { "phase.T.atom.B.x", true, 0.6173, 2e-3 }, { "phase.T.atom.A.z", true, 0.3719, 2e-4 } };
    bragg_error err = BRAGG_ERROR_INIT;
    const struct twin *w = &twins[1];
    bragg_structure *s = structure_of(w);
    bragg_pattern *p = simulate(w, s);
    bragg_model *m = model_of(w, s, p);
    bragg_params *t = bragg_model_params(m);
    bragg_model_select(m, "*", false);
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "phase.*.scale", true);
    for (size_t k = 0; k < sizeof offered / sizeof *offered; k++)
        ck_assert_uint_gt(bragg_model_offer(m, offered[k]), 0);
    ck_assert(!t->at[bragg_params_find(t, "phase.T.size")].refine);
    *value_of(m, "phase.T.cell.b") *= 1.002;
    *value_of(m, "phase.T.atom.A.uiso") += 0.009;
    *value_of(m, "phase.T.atom.B.x") += 0.02;
    *value_of(m, "instrument.w") *= 1.5;
    bragg_fit *f;
    bragg_status st = bragg_refine(m, NULL, &f, &err);
    ck_assert_msg(st == BRAGG_CONVERGED && f->gof < 1.06, "%s: GOF %g\n%s", err.text, f ? f->gof : 0, f ? f->report : "");
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        const bragg_param *row = &t->at[bragg_params_find(t, expected[k].name)];
        ck_assert_msg(row->refine == expected[k].kept && fabs(row->value - expected[k].truth) <= expected[k].within, "%s: %g, %d\n%s", row->name, row->value,
                      row->refine, f->report);
    }
    size_t refused = 0;
    for (size_t k = 0; k < f->n_steps; k++)
        refused += !f->step[k].kept && strlen(f->step[k].why) > 10 && strstr(f->report, f->step[k].why);
    ck_assert_uint_ge(refused, 2);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST


/* An atom's displacement below zero makes up for another part of the model: then all atoms
 * of the phase have one; where that is below zero as well none is refined. */
START_TEST(displacements_that_go_below_zero_are_tried_as_one)
{
    static const struct { double a, b; bool kept; double least, most; } cases[] = { { 0.021, -0.027, true, 0.015, 0.022 }, { -0.019, -0.031, false, 0.004, 0.008 } };
    bragg_error err = BRAGG_ERROR_INIT;
    const struct twin *w = &twins[1];
    bragg_structure *s = structure_of(w);
    s->atom[0].uiso_ang2 = cases[_i].a;
    s->atom[1].uiso_ang2 = cases[_i].b;
    bragg_pattern *p = simulate(w, s);
    bragg_model *m = model_of(w, s, p);
    bragg_params *t = bragg_model_params(m);
    bragg_model_select(m, "*", false);
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "phase.*.scale", true);
    ck_assert_uint_eq(bragg_model_offer(m, "phase.T.atom.*.uiso"), 2);
    *value_of(m, "instrument.zero") = 0.01;
    *value_of(m, "phase.T.atom.A.uiso") = 0.0053;
    *value_of(m, "phase.T.atom.B.uiso") = 0.0067;
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    const bragg_param *a = &t->at[bragg_params_find(t, "phase.T.atom.A.uiso")], *b = &t->at[bragg_params_find(t, "phase.T.atom.B.uiso")];
    ck_assert_msg(strstr(f->report, "phase.T displacements: ") && strstr(f->report, "phase.T displacements, one for all: "), "%s", f->report);
    ck_assert_msg(a->refine == cases[_i].kept && (b->tie_to == a - t->at) == cases[_i].kept, "%s", f->report);
    ck_assert_msg(a->value > cases[_i].least && a->value < cases[_i].most, "%g\n%s", a->value, f->report);
    if (cases[_i].kept)
        ck_assert(b->value == a->value && b->esd == a->esd && a->esd > 0);
    else
        ck_assert(a->value == 0.0053 && b->value == 0.0067 && b->tie_to < 0);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST
START_TEST(what_no_crystal_has_is_absurd_and_what_is_unusual_is_not)
{
    static const struct { const char *name; double value; bool absurd; } cases[] = {
        { "phase.T.atom.A.uiso", -0.03, false }, { "phase.T.atom.A.uiso", -0.07, true }, { "phase.T.atom.A.uiso", 0.9, true }, { "phase.T.atom.A.x", 0.28, false },
        { "phase.T.atom.A.x", 0.39, true }, { "phase.T.size", 1.2, false }, { "phase.T.size", 0.6, true }, { "phase.T.strain", 4e4, false },
        { "phase.T.strain", 2e5, true }, { "instrument.zero", -3.1, true }, { "instrument.w", NAN, true }, { "phase.T.atom.A.occupancy", 1.1, false },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    const struct twin *w = &twins[0];
    bragg_structure *s = structure_of(w);
    bragg_pattern *p = simulate(w, s);
    bragg_model *m = model_of(w, s, p);
    bragg_params before = BRAGG_PARAMS_INIT, *t = bragg_model_params(m);
    ck_assert_int_eq(bragg_params_copy(&before, t, &err), BRAGG_OK);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        size_t found, row = (size_t)bragg_params_find(t, cases[k].name);
        bragg_run_take_values(t, &before);
        for (size_t i = 0; i < t->n; i++)
            t->at[i].refine = i == row;
        t->at[row].value = cases[k].value;
        const char *says = bragg_run_beyond(t, &before, false, &found);
        ck_assert_msg(!says == !cases[k].absurd && (!says || found == row), "%s %g: %s", cases[k].name, cases[k].value, says ? says : "nothing");
        t->at[row].refine = false;
        ck_assert_ptr_null(bragg_run_beyond(t, &before, false, &found)); /* held: as its owner wants it */
    }
    bragg_params_free(&before);
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trials");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 0);
    tcase_add_test(all, a_replaced_pattern_fits_as_in_a_model_of_its_own);
    tcase_add_test(all, what_is_offered_is_refined_only_where_the_data_carry_it);
    tcase_add_loop_test(all, displacements_that_go_below_zero_are_tried_as_one, 0, 2);
    tcase_add_test(all, what_no_crystal_has_is_absurd_and_what_is_unusual_is_not);
    tcase_add_test(all, auto_finds_the_minimum_from_bad_starts);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
