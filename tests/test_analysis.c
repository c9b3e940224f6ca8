/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run is said to have done: verdicts, peaks followed, factors, the smoothed series. */
#include "config.h"
#include "close.h"
#include "run_made.h"
#include "suite.h"

#include <bragg/analysis.h>
#include <bragg/profile.h>
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
    s->by_hand = bragg_arena_alloc(arena, n, sizeof *s->by_hand);
    for (size_t k = 0; k < n; k++) {
        bragg_frame_fit *t = &s->by_hand[k];
        course c = truth((double)k / (double)(n - 1));
        double *row = bragg_arena_alloc(arena, 12, sizeof *row);
        *t = (bragg_frame_fit){ .done = true, .status = BRAGG_FRAME_OK, .serial = 1, .log = { .kind = NAN } };
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

/* What nobody knows has no unit and no sign. */
START_TEST(a_change_that_is_not_determined_is_told_without_its_unit)
{
    static const char *const phases[] = { "Bi", "K3Bi" };
    const bragg_series s = { .n_phases = 2, .phase = phases };
    bragg_episode e = { .verdict = BRAGG_VERDICT_TWO_PHASE, .from = 0, .to = 1, .moving = 1, .log_odds = 9, .transfer = { 0.5, 1e9 }, .moved = { 0.002, 0.0003 } };
    char *text = NULL;
    size_t size;
    for (int known = 0; known < 2; known++) {
        FILE *to = open_memstream(&text, &size);
        ck_assert_ptr_nonnull(to);
        bragg_episode_tell(&s, &e, to);
        ck_assert_int_eq(fclose(to), 0);
        ck_assert_ptr_nonnull(strstr(text, known ? "Bi to K3Bi, 50.0(2) wt%, volume of K3Bi by how much is not determined"
                                                 : "Bi to K3Bi, by how much is not determined, volume of K3Bi +0.20(3) %"));
        free(text);
        e.transfer.esd = 0.002;
        e.moved.esd = 1e9;
    }
}
END_TEST

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

/* ------------------------------------------------------- peaks and mixtures
 *
 *  patterns of pseudo-Voigts on a background, counts of 400 to 9000 a point */
enum { ROWS = 61, POINTS = 1203 };

typedef struct drawn {
    double at_deg, area, fwhm_deg;
} drawn;
typedef size_t (*scene)(double row, drawn *peaks, double *hump);

static double pattern_at(const drawn *p, size_t n, double hump, double x_deg)
{
    double y = 430 - 9 * x_deg + hump * exp(-pow((x_deg - 12.3) / 2.1, 2));
    for (size_t k = 0; k < n; k++)
        y += p[k].area * bragg_pseudo_voigt(x_deg - p[k].at_deg, p[k].fwhm_deg, 0.37, NULL, NULL, NULL);
    return y;
}

static bragg_store_curves drawn_curves(scene s)
{
    bragg_store_curves c = { .n = POINTS, .rows = ROWS, .frames = 1, .x_rad = malloc((3 * ROWS + 1) * POINTS * sizeof(double)) };
    unsigned seed = 7717u;
    ck_assert(c.x_rad != NULL);
    c.observed = c.x_rad + POINTS, c.calculated = c.observed + ROWS * POINTS, c.sigma = c.calculated + ROWS * POINTS;
    for (size_t i = 0; i < POINTS; i++)
        c.x_rad[i] = (5 + 0.0125 * (double)i) * BRAGG_DEG;
    for (size_t r = 0; r < ROWS; r++) {
        drawn p[8];
        double hump = 0;
        size_t n = s((double)r, p, &hump);
        for (size_t i = 0; i < POINTS; i++) {
            double y = pattern_at(p, n, hump, c.x_rad[i] / BRAGG_DEG);
            c.sigma[r * POINTS + i] = sqrt(y);
            c.observed[r * POINTS + i] = y + sqrt(y) * noise(&seed);
            c.calculated[r * POINTS + i] = NAN;
        }
    }
    return c;
}

static double ramp(double row, double from, double to) { return row <= from ? 0 : row >= to ? 1 : (row - from) / (to - from); }

enum { MOVING, COMING, GOING, PARTING, PART };
static const double onset_row = 21.4, gone_row = 38.7, part_row = 30;

static size_t five_peaks(double row, drawn *p, double *hump)
{
    double apart = 0.34 * ramp(row, part_row, 55);
    p[MOVING] = (drawn){ 7.313 + 0.0021 * row, 611, 0.083 };
    p[COMING] = (drawn){ 9.107, 530 * ramp(row, onset_row, 50), 0.094 };
    p[GOING] = (drawn){ 11.271, 470 * (1 - ramp(row, 9, gone_row)), 0.101 };
    p[PARTING] = (drawn){ 15.613 - apart, 380, 0.089 };
    p[PART] = (drawn){ 15.613 + apart, 290, 0.089 };
    *hump = 120 * ramp(row, 15, 45);
    return 5;
}

static const bragg_analysis_options all_of_it = { .peaks = true, .components = true, .smooth = true, .wavelength_ang = { 0.4133, 0.4133 } };

static const bragg_track *track_near(const bragg_tracks *t, double deg)
{
    for (size_t k = 0; k < t->n; k++)
        if (fabs(t->track[k].two_theta_rad / BRAGG_DEG - deg) < 0.12)
            return &t->track[k];
    ck_abort_msg("no track at %g deg", deg);
    return NULL;
}

static void check_event(const bragg_track *t, bool onset, double row)
{
    ck_assert_msg(t->n_events == 1, "%zu events", t->n_events);
    bragg_quantity q = t->event[0].row;
    ck_assert(t->event[0].onset == onset);
    ck_assert_msg(fabs(q.value - row) < 3 * q.esd && q.esd < 1.2, "%g(%g) instead of %g", q.value, q.esd, row);
}

START_TEST(peaks_are_followed_where_they_move_come_and_go)
{
    bragg_store_curves c = drawn_curves(five_peaks);
    bragg_arena *arena = bragg_arena_new();
    bragg_tracks *t;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_series_track(&c, &all_of_it, arena, &t, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(t->n == 5, "%zu tracks", t->n);
    const bragg_track *moving = track_near(t, 7.37), *parting = track_near(t, 15.5);
    double place = 0, area = 0, wide = 0;
    for (size_t r = 0; r < ROWS; r++) {
        const bragg_track_point *p = &moving->at[r];
        ck_assert(p->there && p->two_theta_rad.esd > 0);
        place += pow((p->two_theta_rad.value / BRAGG_DEG - 7.313 - 0.0021 * (double)r) * BRAGG_DEG / p->two_theta_rad.esd, 2) / ROWS;
        area += pow((p->area.value / BRAGG_DEG - 611) * BRAGG_DEG / p->area.esd, 2) / ROWS;
        wide += pow((p->fwhm_rad.value / BRAGG_DEG - 0.083) * BRAGG_DEG / p->fwhm_rad.esd, 2) / ROWS;
    }
    ck_assert_msg(place > 0.5 && place < 1.7 && area > 0.5 && area < 1.8 && wide > 0.5 && wide < 1.8, "mean squared pulls %.2f %.2f %.2f", place, area, wide);
    check_event(track_near(t, 9.107), true, onset_row);
    check_event(track_near(t, 11.271), false, gone_row);
    size_t split = 0;
    for (size_t k = 0; k < t->n; k++)
        split += t->track[k].split_from != SIZE_MAX && fabs(t->track[k].two_theta_rad / BRAGG_DEG - 15.613) < 0.5;
    ck_assert_msg(split == 1, "%zu tracks split off, the parting one is at %g", split, parting->two_theta_rad / BRAGG_DEG);
    bragg_arena_free(arena);
    bragg_store_curves_free(&c);
}
END_TEST

/* A thicket: wide lines that merge, part and fade beside sharper ones, more than are followed. */
static size_t thicket(double row, drawn *p, double *hump)
{
    p[0] = (drawn){ 8.11, 500 * (1 - 0.8 * ramp(row, 10, 40)), 0.31 };
    p[1] = (drawn){ 8.63 - 0.45 * ramp(row, 5, 35), 310, 0.13 };
    p[2] = (drawn){ 8.93, 420 * ramp(row, 20, 50), 0.37 };
    p[3] = (drawn){ 9.31, 270 * (1 - ramp(row, 15, 45)), 0.21 };
    p[4] = (drawn){ 9.57 + 0.2 * ramp(row, 0, 60), 350, 0.11 };
    p[5] = (drawn){ 10.02, 610 * ramp(row, 8, 30), 0.43 };
    p[6] = (drawn){ 10.37, 260, 0.14 };
    p[7] = (drawn){ 12.9, 410, 0.12 };
    *hump = 0;
    return 8;
}

START_TEST(no_peak_of_a_thicket_is_negative_or_swallows_the_others)
{
    bragg_store_curves c = drawn_curves(thicket);
    bragg_arena *arena = bragg_arena_new();
    bragg_tracks *t;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t negative = 0, leaps = 0, n = 0;
    ck_assert_msg(bragg_series_track(&c, &all_of_it, arena, &t, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_ge(t->n, 5);
    for (size_t k = 0; k < t->n; k++)
        for (size_t r = 0; r < ROWS; r++) {
            bragg_quantity a = t->track[k].at[r].area, before = t->track[k].at[r ? r - 1 : 0].area;
            if (!isfinite(a.value) || !isfinite(before.value))
                continue;
            negative += a.value < -3 * a.esd;
            leaps += fabs(a.value - before.value) > 200 * BRAGG_DEG && fabs(a.value - before.value) > 6 * hypot(a.esd, before.esd);
            n++;
        }
    ck_assert_msg(!negative && leaps < n / 50, "%zu negative areas and %zu leaps of %zu", negative, leaps, n);
    bragg_arena_free(arena);
    bragg_store_curves_free(&c);
}
END_TEST

static bragg_status check_ground(void *payload, const bragg_analysis *part, bragg_error *err)
{
    const bragg_tracks *t = part->tracks;
    int *seen = payload;
    if (!t)
        return BRAGG_OK;
    ck_assert(t->by_fit == (*seen == 0));
    for (size_t r = 0; r < ROWS && t->by_fit; r++) { /* 12 counts more for each row's frame; frame 7 went wrong */
        if (r == 7) {
            ck_assert(isnan(t->crystalline[r].value) && isnan(t->bragg[r]));
            continue;
        }
        double amorphous = fmax(12 * (double)r - 12, 0), all = 131 + amorphous;
        assert_close(1 + t->amorphous[r], 1 + 12 * (double)r - 12, 1e-12); /* the least are those of rows 0, 1 and 2 */
        assert_close(t->crystalline[r].value, 131 / all, 1e-12);
        assert_close(t->crystalline[r].esd, 1.7 / all, 1e-12);
    }
    ++*seen;
    return BRAGG_OK;
    (void)err;
}

/* Once most frames have a fit of their phases, its background is the ground. */
START_TEST(where_phases_are_fitted_their_background_is_the_ground)
{
    bragg_store_curves c = drawn_curves(five_peaks);
    bragg_analysis_options o = all_of_it;
    bragg_error err = BRAGG_ERROR_INIT;
    int seen = 0;
    o.components = o.smooth = false;
    bragg_series *s = made_series(ROWS, 2, two_phases);
    for (size_t k = 0; k < ROWS; k++) {
        s->by_hand[k].background = (bragg_quantity){ 407 + 12 * (double)k, 1.7 };
        s->by_hand[k].above = 131;
    }
    s->by_hand[7].status = BRAGG_FRAME_POOR;
    ck_assert_msg(bragg_series_analyse(s, &c, &o, check_ground, &seen, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = ROWS / 3; k < ROWS; k++)
        s->by_hand[k].done = false;
    ck_assert_msg(bragg_series_analyse(s, &c, &o, check_ground, &seen, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(seen, 2);
    bragg_series_free(s);
    bragg_store_curves_free(&c);
}
END_TEST

START_TEST(amorphous_matter_that_comes_is_weighed)
{
    bragg_store_curves c = drawn_curves(five_peaks);
    bragg_arena *arena = bragg_arena_new();
    bragg_tracks *t;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_series_track(&c, &all_of_it, arena, &t, &err) == BRAGG_OK, "%s", err.text);
    double hump = 120 * 2.1 * sqrt(BRAGG_PI) / 15.025, peaks = (611 + 530 + 380 + 290) / 15.025, last = t->amorphous[ROWS - 1] - t->amorphous[3];
    ck_assert_msg(fabs(last / hump - 1) < 0.08, "%g of %g", last, hump);
    ck_assert_msg(fabs(t->crystalline[ROWS - 1].value - peaks / (peaks + hump)) < 0.06, "%g instead of %g", t->crystalline[ROWS - 1].value, peaks / (peaks + hump));
    bragg_arena_free(arena);
    bragg_store_curves_free(&c);
}
END_TEST

START_TEST(a_peak_that_is_asked_for_is_measured_where_it_is_not)
{
    bragg_store_curves c = drawn_curves(five_peaks);
    bragg_arena *arena = bragg_arena_new();
    bragg_tracks *t;
    bragg_error err = BRAGG_ERROR_INIT;
    const double at[2] = { 18.5 * BRAGG_DEG, 9.11 * BRAGG_DEG };
    bragg_analysis_options o = all_of_it;
    o.n_peaks = 2, o.peak_rad = at;
    ck_assert_msg(bragg_series_track(&c, &o, arena, &t, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(t->n, 2);
    double pulls = 0;
    for (size_t r = 0; r < ROWS; r++)
        pulls += pow(t->track[0].at[r].area.value / t->track[0].at[r].area.esd, 2) / ROWS;
    ck_assert_msg(pulls > 0.5 && pulls < 1.7 && t->track[0].n_events == 0, "mean squared pull %.2f, %zu events", pulls, t->track[0].n_events);
    check_event(&t->track[1], true, onset_row);
    bragg_arena_free(arena);
    bragg_store_curves_free(&c);
}
END_TEST

/* Three phases: the first goes, the second is most in the middle, the third comes. */
static void shares(double row, double s[3])
{
    double u = row / (ROWS - 1);
    s[0] = pow(1 - u, 2), s[1] = 2 * u * (1 - u), s[2] = u * u;
}

static size_t three_phases(double row, drawn *p, double *hump)
{
    static const double at[3][2] = { { 7.313, 13.91 }, { 9.107, 14.55 }, { 11.271, 17.83 } };
    double s[3];
    shares(row, s);
    for (int k = 0; k < 3; k++)
        for (int j = 0; j < 2; j++)
            p[2 * k + j] = (drawn){ at[k][j], (j ? 410 : 730) * s[k], 0.09 };
    *hump = 0;
    return 6;
}

static size_t one_phase(double row, drawn *p, double *hump)
{
    *p = (drawn){ 7.313, 411 + 3 * row, 0.09 };
    *hump = 0;
    return 1;
}

START_TEST(a_mixture_of_three_is_three_components)
{
    bragg_store_curves c = drawn_curves(three_phases);
    bragg_arena *arena = bragg_arena_new();
    bragg_components *f;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_series_components(&c, &all_of_it, arena, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(f->rank == 3 && f->n == 3, "rank %zu, %zu components", f->rank, f->n);
    ck_assert_msg(fabs(f->chi2_reduced[2] - 1) < 0.03, "reduced chi^2 %g", f->chi2_reduced[2]);
    double worst = 0, off = 0;
    for (size_t r = 0; r < f->rows; r++) {
        double s[3];
        shares((double)r, s);
        for (size_t k = 0; k < 3; k++) {
            worst = fmax(worst, fabs(f->concentration[r * 3 + k] - s[k]));
            off += fabs(f->concentration[r * 3 + k] - s[k]) / (3.0 * (double)f->rows);
        }
    }
    ck_assert_msg(worst < 0.15 && off < 0.05, "worst %g, mean %g", worst, off);
    bragg_arena_free(arena);
    bragg_store_curves_free(&c);
}
END_TEST

START_TEST(a_phase_on_a_background_is_two_components)
{
    bragg_store_curves c = drawn_curves(one_phase);
    bragg_arena *arena = bragg_arena_new();
    bragg_components *f;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_series_components(&c, &all_of_it, arena, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(f->rank == 2 && f->n == 2, "rank %zu, %zu components", f->rank, f->n);
    bragg_arena_free(arena);
    bragg_store_curves_free(&c);
}
END_TEST

/* ---------------------------------------------------------------- smoothing
 *
 *  two parameters of a phase that wander, seen with correlated errors; the first is
 *  not seen in every fifth frame nor where the phase is weak */
enum { WALK = 160, WEAK = 90, STRONG = 110 };
static const double walk_a = 0.0011, walk_b = 0.4, seen_a = 0.004, seen_b = 0.7, together = 0.8;

static bragg_series *wandering(unsigned seed, double *truth)
{
    static const char *const names[] = { "phase.K3Bi.cell.a", "phase.K3Bi.size" }, *const units[] = { "angstrom", "nm" }, *const phases[] = { "K3Bi" };
    static size_t pair[1][2] = { { 0, 1 } };
    bragg_arena *arena = bragg_arena_new();
    bragg_series *s = bragg_arena_alloc(arena, 1, sizeof *s);
    *s = (bragg_series){ .arena = arena, .n = WALK, .n_params = 2, .n_phases = 1, .name = names, .unit = units, .phase = phases, .n_pairs = 1, .pair = pair };
    s->by_hand = bragg_arena_alloc(arena, WALK, sizeof *s->by_hand);
    double a = 6.1357, b = 37.1;
    for (size_t k = 0; k < WALK; k++) {
        double *row = bragg_arena_alloc(arena, 8, sizeof *row), u = noise(&seed), v = together * u + sqrt(1 - together * together) * noise(&seed);
        double wide = k >= WEAK && k < STRONG ? 9 : 1;
        a += walk_a * noise(&seed), b += walk_b * noise(&seed);
        truth[2 * k] = a, truth[2 * k + 1] = b;
        row[0] = a + wide * seen_a * u, row[1] = b + wide * seen_b * v;
        row[2] = k % 5 == 4 || (k >= WEAK + 5 && k < WEAK + 9) ? NAN : wide * seen_a, row[3] = wide * seen_b;
        row[4] = together, row[5] = 3;
        s->by_hand[k] = (bragg_frame_fit){ .done = true, .status = BRAGG_FRAME_OK, .value = row, .esd = row + 2, .correlation = row + 4, .level = row + 5 };
    }
    return s;
}

START_TEST(a_smoothed_series_has_honest_esds_smaller_than_the_fits)
{
    double truth[2 * WALK], pulls = 0, mean = 0, gain = 0, weak = 0, learnt = 0;
    size_t n = 0;
    for (unsigned run = 0; run < 12; run++) {
        bragg_series *s = wandering(1237u + 77u * run, truth);
        bragg_smooth *m;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_series_smooth(s, s->arena, &m, &err) == BRAGG_OK && m, "%s", err.text);
        ck_assert_uint_eq(m->n_params, 2);
        learnt += m->walk[0] / walk_a / 12;
        for (size_t k = 0; k < WALK; k++)
            for (size_t p = 0; p < 2; p++) {
                double pull = (m->value[2 * k + p] - truth[2 * k + p]) / m->esd[2 * k + p];
                ck_assert(m->esd[2 * k + p] > 0);
                pulls += pull * pull, mean += pull, n++;
                if (!p && s->by_hand[k].esd[0] > 0)
                    gain = fmax(gain, m->esd[2 * k] / s->by_hand[k].esd[0]);
                if (!p && k >= WEAK && k < STRONG)
                    weak += fabs(m->value[2 * k] - truth[2 * k]) / (12.0 * (STRONG - WEAK));
            }
        bragg_series_free(s);
    }
    pulls /= (double)n, mean /= (double)n;
    ck_assert_msg(fabs(mean) < 0.1 && fabs(sqrt(pulls) - 1) < 0.1, "pulls %.3f +- %.3f", mean, sqrt(pulls));
    ck_assert_msg(fabs(learnt - 1) < 0.3, "the step is learnt as %.2f of the true one", learnt);
    ck_assert_msg(gain < 0.8 && weak < seen_a, "esds fall to %.2f; where the phase is weak %.4f off", gain, weak);
}
END_TEST

/* ------------------------------------------------------------------ words */

START_TEST(a_peak_whose_first_event_is_that_it_goes_was_there_from_the_start)
{
    bragg_series *s = made_series(41, 1, one_moves);
    for (size_t k = 0; k < s->n; k++)
        s->by_hand[k].log.voltage_v = s->by_hand[k].temperature_k = NAN;
    bragg_track_event goes = { false, { 12.3, 0.5 } }, back[] = { { false, { 12.3, 0.5 } }, { true, { 30.5, 0.25 } } }, comes[] = { { true, { 7, 0.5 } }, { false, { 19, 0.5 } } };
    bragg_track track[] = {
        { .two_theta_rad = 7.313 * BRAGG_DEG, .split_from = SIZE_MAX, .merged_into = SIZE_MAX, .n_events = 1, .event = &goes },
        { .two_theta_rad = 8.25 * BRAGG_DEG, .split_from = SIZE_MAX, .merged_into = SIZE_MAX, .n_events = 2, .event = back },
        { .two_theta_rad = 9.107 * BRAGG_DEG, .split_from = SIZE_MAX, .merged_into = SIZE_MAX, .n_events = 2, .event = comes },
        { .two_theta_rad = 9.4 * BRAGG_DEG, .split_from = 2, .merged_into = SIZE_MAX, .n_events = 1, .event = &goes },
        { .two_theta_rad = 9.7 * BRAGG_DEG, .split_from = SIZE_MAX, .merged_into = 2 },
    };
    bragg_tracks tracks = { .n = sizeof track / sizeof *track, .rows = 41, .frames = 1, .track = track };
    const bragg_analysis a = { .tracks = &tracks };
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    bragg_analysis_tell(&a, s, f);
    rewind(f);
    static const char *const told[] = {
        "peak at 7.313 deg: there from the start, goes at frame 12.3(5)\n",
        "peak at 8.250 deg: there from the start, goes at frame 12.3(5), comes at frame 30.5(3)\n",
        "peak at 9.107 deg: comes at frame 7.0(5), goes at frame 19.0(5)\n",
        "peak at 9.400 deg: goes at frame 12.3(5), splits from the one at 9.107 deg\n",
        "peak at 9.700 deg: joins the one at 9.107 deg\n",
    };
    char line[200];
    for (size_t k = 0; k < sizeof told / sizeof *told; k++) {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
        ck_assert_str_eq(line, told[k]);
    }
    fclose(f);
    bragg_series_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("analysis");
    TCase *verdicts = tcase_create("verdicts");
    make_folder("analysis");
    make_runs();
    tcase_set_timeout(verdicts, 120);
    tcase_add_test(verdicts, a_change_that_is_not_determined_is_told_without_its_unit);
    tcase_add_test(verdicts, phases_that_turn_into_each_other_are_two);
    tcase_add_test(verdicts, a_cell_that_moves_is_a_solid_solution);
    tcase_add_test(verdicts, what_stands_is_nothing);
    tcase_add_test(verdicts, a_peak_whose_first_event_is_that_it_goes_was_there_from_the_start);
    tcase_add_test(verdicts, a_run_is_cut_where_one_way_ends_and_the_other_begins);
    tcase_add_test(verdicts, a_genuine_two_phase_reaction_is_told);
    tcase_add_test(verdicts, a_genuine_solid_solution_is_told);
    tcase_add_test(verdicts, a_solid_solution_of_many_compositions_is_told);
    suite_add_tcase(suite, verdicts);
    TCase *patterns = tcase_create("patterns");
    tcase_set_timeout(patterns, 60);
    tcase_add_test(patterns, peaks_are_followed_where_they_move_come_and_go);
    tcase_add_test(patterns, amorphous_matter_that_comes_is_weighed);
    tcase_add_test(patterns, no_peak_of_a_thicket_is_negative_or_swallows_the_others);
    tcase_add_test(patterns, where_phases_are_fitted_their_background_is_the_ground);
    tcase_add_test(patterns, a_peak_that_is_asked_for_is_measured_where_it_is_not);
    tcase_add_test(patterns, a_mixture_of_three_is_three_components);
    tcase_add_test(patterns, a_phase_on_a_background_is_two_components);
    tcase_add_test(patterns, a_smoothed_series_has_honest_esds_smaller_than_the_fits);
    suite_add_tcase(suite, patterns);
    int failed = run_suite(suite);
    return drop_folder() && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
