/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run is said to have done: verdicts, peaks followed, factors, the smoothed series. */
#include "config.h"
#include "run_made.h"

#include <check.h>

/* ------------------------------------------------------ verdicts, from courses
 *
 *  rows as fits would leave them, esds of 0.4 wt% and 0.01 % of the volume */
typedef struct course {
    double fraction[2], volume[2];
} course;

static bragg_series *made_series(size_t n, size_t n_phases, course (*truth)(double u))
{
    static const char *const names[] = { "alpha", "beta" };
    bragg_arena *arena = bragg_arena_new();
    bragg_series *s = bragg_arena_alloc(arena, 1, sizeof *s);
    unsigned seed = 40471u;
    *s = (bragg_series){ .arena = arena, .n = n, .n_phases = n_phases, .phase = names };
    s->step = bragg_arena_alloc(arena, n, sizeof *s->step);
    for (size_t k = 0; k < n; k++) {
        bragg_step *t = &s->step[k];
        course c = truth((double)k / (double)(n - 1));
        double *row = bragg_arena_alloc(arena, 12, sizeof *row);
        *t = (bragg_step){ .done = true, .status = BRAGG_FRAME_OK, .serial = 1, .log = { .kind = NAN } };
        t->fraction = (bragg_quantity *)row, t->volume = t->fraction + n_phases, t->level = row + 8, t->limit = row + 10;
        for (size_t i = 0; i < n_phases; i++) {
            bool there = c.fraction[i] > 0.01;
            t->level[i] = there ? 3 : 0;
            t->limit[i] = there ? NAN : 0.02;
            t->fraction[i] = there && n_phases > 1 ? (bragg_quantity){ c.fraction[i] + 0.004 * noise(&seed), 0.004 } : (bragg_quantity){ there, NAN };
            t->volume[i] = there ? (bragg_quantity){ c.volume[i] * (1 + 1e-4 * noise(&seed)), c.volume[i] * 1e-4 } : (bragg_quantity){ NAN, NAN };
        }
    }
    return s;
}

static course two_phases(double u) { return (course){ { 1 - u, u }, { 71.3, 77.9 } }; }
static course creeping(double u) { return (course){ { 1 - u, u }, { 71.3 * (1 + 0.002 * u), 77.9 * (1 + 0.001 * u) } }; }
static course one_moves(double u) { return (course){ { 1, 0 }, { 71.3 * (1 + 0.031 * u), NAN } }; }
static course beside_another(double u) { return (course){ { 0.83, 0.17 }, { 71.3 * (1 + 0.031 * u * u), 77.9 } }; }
static course nothing(double u) { return (course){ { 0.62, 0.38 }, { 71.3 + 0 * u, 77.9 } }; }
static course bent(double u) { return (course){ { 1 - u * u, u * u }, { 71.3, 77.9 } }; }
static course first_moves(double u)
{
    double x = u < 0.4 ? u / 0.4 : 1, y = u < 0.4 ? 0 : (u - 0.4) / 0.6;
    return (course){ { 1 - y, y }, { 71.3 * (1 + 0.024 * x), 77.9 } };
}

static bragg_episode only_episode(size_t n_phases, course (*truth)(double u))
{
    bragg_series *s = made_series(61, n_phases, truth);
    bragg_episode *e, found;
    size_t n;
    ck_assert_int_eq(bragg_series_episodes(s, s->arena, &e, &n, NULL), BRAGG_OK);
    ck_assert_msg(n == 1, "%zu episodes, the first %s in frames %zu to %zu", n, bragg_verdict_name(e[0].verdict), e[0].first, e[0].last);
    found = e[0];
    bragg_series_free(s);
    return found;
}

START_TEST(phases_that_turn_into_each_other_are_two)
{
    bragg_episode e = only_episode(2, two_phases);
    ck_assert(e.verdict == BRAGG_VERDICT_TWO_PHASE && e.log_odds > 7 && e.from == 0 && e.to == 1);
    ck_assert_msg(fabs(e.transfer.value - 1) < 0.03 && e.transfer.esd < 0.01, "%g(%g)", e.transfer.value, e.transfer.esd);
    e = only_episode(2, creeping);
    ck_assert_msg(e.verdict == BRAGG_VERDICT_TWO_PHASE && e.log_odds > 7, "cells that creep: %s", bragg_verdict_name(e.verdict));
    e = only_episode(2, bent);
    ck_assert_msg(e.verdict == BRAGG_VERDICT_TWO_PHASE, "a course that bends: %s", bragg_verdict_name(e.verdict));
}
END_TEST

START_TEST(a_cell_that_moves_is_a_solid_solution)
{
    bragg_episode e = only_episode(1, one_moves);
    ck_assert(e.verdict == BRAGG_VERDICT_SOLID_SOLUTION && e.log_odds < -7 && e.moving == 0);
    ck_assert_msg(fabs(e.moved.value - log(1.031)) < 0.001, "%g", e.moved.value);
    e = only_episode(2, beside_another);
    ck_assert_msg(e.verdict == BRAGG_VERDICT_SOLID_SOLUTION && e.log_odds < -7, "beside a bystander: %s", bragg_verdict_name(e.verdict));
}
END_TEST

START_TEST(what_stands_is_nothing)
{
    bragg_episode e = only_episode(2, nothing);
    ck_assert_msg(e.verdict == BRAGG_VERDICT_NOTHING && e.log_certainty > 1, "%s, transfer %g(%g), strain %g(%g)", bragg_verdict_name(e.verdict), e.transfer.value,
                  e.transfer.esd, e.strain.value, e.strain.esd);
}
END_TEST

START_TEST(a_run_is_cut_where_one_way_ends_and_the_other_begins)
{
    bragg_series *s = made_series(101, 2, first_moves);
    bragg_episode *e;
    size_t n;
    ck_assert_int_eq(bragg_series_episodes(s, s->arena, &e, &n, NULL), BRAGG_OK);
    ck_assert_msg(n == 2, "%zu episodes", n);
    ck_assert_msg(e[0].verdict == BRAGG_VERDICT_SOLID_SOLUTION && e[1].verdict == BRAGG_VERDICT_TWO_PHASE, "%s, %s", bragg_verdict_name(e[0].verdict),
                  bragg_verdict_name(e[1].verdict));
    ck_assert_msg(e[1].first >= 39 && e[1].first <= 42, "cut at %zu", e[1].first);
    bragg_series_free(s);
}
END_TEST

/* ----------------------------------------------------- verdicts, from patterns
 *
 *  the same reaction three ways: bismuth's cell as alpha, 3.3 % wider as beta */
enum { FRAMES = 31, N = 1301, GRAINS = 9 };
static const double a_alpha = 4.5474, a_beta = 4.6991;

typedef enum way { TWO_PHASES, ONE_CELL, MANY_CELLS, WAYS } way;
static const char *const way_names[WAYS] = { "two", "one", "many" };

static const char experiment[] =
    "radiation: {wavelength: 0.4133, polarization: 1}\n"
    "data: {patterns: %s/f*.xye, range: [4, 17]}\n"
    "phases:\n"
    "  - {name: alpha, card: Bi, refine: [scale, cell, size, strain]}\n"
    "%s"
    "refine:\n"
    "  background: {type: chebyshev, terms: 4}\n"
    "  values: {instrument.w: 0.0009, instrument.x: 0.004%s}\n";
static const char beta[] = "  - {name: beta, card: Bi, refine: [scale, cell, size, strain]}\n";

/* Cells of the grains at time u, and how much of the sample each is. */
static void grains(way how, double u, double a[GRAINS], double weight[GRAINS])
{
    for (int g = 0; g < GRAINS; g++) {
        double x = how == TWO_PHASES ? g == 0 ? 0 : 1 : how == ONE_CELL ? u : u + 0.28 * (g - GRAINS / 2) / (GRAINS / 2.0);
        x = x < 0 ? 0 : x > 1 ? 1 : x;
        a[g] = a_alpha + x * (a_beta - a_alpha);
        weight[g] = how == TWO_PHASES ? g == 0 ? 1 - u : g == 1 ? u : 0 : how == ONE_CELL ? g == 0 : exp(-0.5 * pow((g - GRAINS / 2) / 2.0, 2)) / 4.9;
    }
}

static void make_pattern(bragg_model *m, way how, double u, bragg_pattern *p, unsigned seed)
{
    double a[GRAINS], weight[GRAINS], part[N];
    bragg_error err = BRAGG_ERROR_INIT;
    grains(how, u, a, weight);
    for (int i = 0; i < N; i++)
        p->y[i] = 210 - 37 * (2.0 * i / (N - 1) - 1);
    for (int g = 0; g < GRAINS; g++) {
        if (!(weight[g] > 0))
            continue;
        set(m, "phase.alpha.scale", 0.031);
        set(m, "phase.alpha.cell.a", a[g]);
        set(m, "phase.alpha.cell.c", 11.797 * a[g] / a_alpha);
        set(m, "phase.alpha.size", 39);
        bragg_params_apply_ties(bragg_model_params(m));
        must(bragg_model_calculate(m, 0, NULL, NULL, NULL, part, NULL, &err) == BRAGG_OK, err.text);
        for (int i = 0; i < N; i++)
            p->y[i] += weight[g] * part[i];
    }
    for (int i = 0; i < N; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * noise(&seed);
    }
}

static void make_runs(void)
{
    bragg_error err = BRAGG_ERROR_INIT;
    for (int how = 0; how < WAYS; how++) {
        bragg_experiment *x;
        bragg_model *m;
        char text[2000], name[64];
        must(bragg_path_make_folder(in_folder(way_names[how]), &err) == BRAGG_OK, err.text);
        snprintf(text, sizeof text, experiment, way_names[how], "", "");
        write_file("make.yaml", text);
        bragg_pattern *p = bragg_pattern_new(N, BRAGG_AXIS_TTH);
        p->wavelength_ang = 0.4133;
        for (int i = 0; i < N; i++) {
            p->x[i] = (4 + 0.01 * i) * BRAGG_DEG;
            p->y[i] = 100, p->sigma[i] = 10;
        }
        must(bragg_experiment_read(in_folder("make.yaml"), &x, &err) == BRAGG_OK, err.text);
        must(bragg_experiment_model(x, p, &m, &err) == BRAGG_OK, err.text);
        set(m, "background.0", 0);
        for (int k = 0; k < FRAMES; k++) {
            make_pattern(m, (way)how, (double)k / (FRAMES - 1), p, 977u + 131u * (unsigned)k);
            snprintf(name, sizeof name, "%s/f%03d.xye", way_names[how], k);
            must(bragg_pattern_write_text(p, in_folder(name), true, &err) == BRAGG_OK, err.text);
        }
        snprintf(text, sizeof text, experiment, way_names[how], beta, ", phase.beta.cell.a: 4.6991, phase.beta.cell.c: 12.1905");
        snprintf(name, sizeof name, "%s.yaml", way_names[how]);
        write_file(name, text);
        snprintf(text, sizeof text, experiment, way_names[how], "", "");
        snprintf(name, sizeof name, "%s-single.yaml", way_names[how]);
        write_file(name, text);
        bragg_pattern_free(p);
        bragg_model_free(m);
        bragg_experiment_free(x);
    }
}

/* The verdict of most frames of a run. */
static bragg_verdict verdict_of(const char *name)
{
    bragg_series *s;
    bragg_episode *e;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t n, frames[BRAGG_VERDICT_BOTH + 1] = { 0 };
    ck_assert_msg(fit(name, NULL, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_series_episodes(s, s->arena, &e, &n, NULL), BRAGG_OK);
    bragg_verdict most = BRAGG_VERDICT_UNKNOWN;
    for (size_t k = 0; k < n; k++)
        frames[e[k].verdict] += e[k].last - e[k].first + 1;
    for (int v = 0; v <= BRAGG_VERDICT_BOTH; v++)
        most = frames[v] > frames[most] ? (bragg_verdict)v : most;
    bragg_series_free(s);
    return most;
}

START_TEST(a_genuine_two_phase_reaction_is_told)
{
    bragg_verdict v = verdict_of("two.yaml");
    ck_assert_msg(v == BRAGG_VERDICT_TWO_PHASE, "%s", bragg_verdict_name(v));
}
END_TEST

START_TEST(a_genuine_solid_solution_is_told)
{
    bragg_verdict v = verdict_of("one-single.yaml");
    ck_assert_msg(v == BRAGG_VERDICT_SOLID_SOLUTION, "%s", bragg_verdict_name(v));
    v = verdict_of("one.yaml");
    ck_assert_msg(v == BRAGG_VERDICT_SOLID_SOLUTION, "two phases listed: %s", bragg_verdict_name(v));
}
END_TEST

START_TEST(a_solid_solution_of_many_compositions_is_told)
{
    bragg_verdict v = verdict_of("many-single.yaml");
    ck_assert_msg(v == BRAGG_VERDICT_SOLID_SOLUTION, "%s", bragg_verdict_name(v));
    v = verdict_of("many.yaml");
    ck_assert_msg(v == BRAGG_VERDICT_SOLID_SOLUTION, "two phases listed: %s", bragg_verdict_name(v));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("analysis");
    TCase *verdicts = tcase_create("verdicts");
    strcpy(folder, "/tmp/bragg-analysis-XXXXXX");
    must(mkdtemp(folder) != NULL, folder);
    make_runs();
    tcase_set_timeout(verdicts, 120);
    tcase_add_test(verdicts, phases_that_turn_into_each_other_are_two);
    tcase_add_test(verdicts, a_cell_that_moves_is_a_solid_solution);
    tcase_add_test(verdicts, what_stands_is_nothing);
    tcase_add_test(verdicts, a_run_is_cut_where_one_way_ends_and_the_other_begins);
    tcase_add_test(verdicts, a_genuine_two_phase_reaction_is_told);
    tcase_add_test(verdicts, a_genuine_solid_solution_is_told);
    tcase_add_test(verdicts, a_solid_solution_of_many_compositions_is_told);
    suite_add_tcase(suite, verdicts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_run();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
