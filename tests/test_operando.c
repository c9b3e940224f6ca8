/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs of frames: phases that come and go, bad frames, the log, the store. */
#include "config.h"
#include "close.h"
#include "run_made.h"
#include "suite.h"
#include "../src/operando/operando.h"

#include <bragg/detector.h>
#include <bragg/analysis.h>
#include <bragg/frame.h>
#include <bragg/hash.h>
#include <bragg/operando.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_HDF5
#include <hdf5.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

/* ------------------------------------------------------------ the run
 *
 *  bismuth goes, K3Bi comes at frame ONSET, aluminium of the window stays */
enum { FRAMES = 41, ONSET = 13, GONE = 31 };
static const char experiment[] =
    "title: potassiation of bismuth\n"
    "radiation: {wavelength: 0.4133, polarization: 1}\n"
    "data: {patterns: run/f*.xye, range: [4, 17]}\n"
    "%s"
    "phases:\n"
    "  - {name: Bi, card: Bi, refine: [scale, cell, size]}\n"
    "  - {name: K3Bi, card: K3Bi_hex, refine: [scale, cell, size]}\n"
    "  - {name: Al, card: Al, refine: [scale]}\n"
    "refine:\n"
    "  background: {type: chebyshev, terms: 4}\n"
    "  values: {instrument.w: 0.0009, instrument.x: 0.004}\n";

static void write_experiment(const char *name, const char *more)
{
    char text[3000];
    snprintf(text, sizeof text, experiment, more);
    write_file(name, text);
}

static double true_scale(int phase, int k)
{
    double u = (k - ONSET + 1) / (double)(GONE - ONSET);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return phase == 0 ? 0.031 * (1 - u) : phase == 1 ? 0.012 * u : 0.4;
}

static double true_a(int k) { return 4.5503 + 0.0021 * k / FRAMES; }

enum { N = 1301 };

/* Without noise. */
static bragg_pattern *make_pattern(const bragg_experiment *x, int k)
{
    bragg_pattern *p = bragg_pattern_new(N, BRAGG_AXIS_TTH);
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    for (int i = 0; i < N; i++) {
        p->x[i] = (4 + 0.01 * i) * BRAGG_DEG;
        p->y[i] = 100;
        p->sigma[i] = 10;
    }
    must(bragg_experiment_model(x, p, &m, &err) == BRAGG_OK, err.text);
    set(m, "phase.Bi.scale", true_scale(0, k));
    set(m, "phase.K3Bi.scale", true_scale(1, k));
    set(m, "phase.Al.scale", true_scale(2, k));
    set(m, "phase.Bi.cell.a", true_a(k));
    set(m, "phase.Bi.size", 47);
    set(m, "phase.K3Bi.size", 31);
    set(m, "background.0", 210);
    set(m, "background.1", -37);
    bragg_params_apply_ties(bragg_model_params(m));
    must(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err) == BRAGG_OK, err.text);
    bragg_model_free(m);
    return p;
}

/* With counts' noise: run/f007.xye. */
static void write_frame(bragg_pattern *p, unsigned seed, const char *run, int k)
{
    char name[64];
    bragg_error err = BRAGG_ERROR_INIT;
    for (int i = 0; i < N; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * noise(&seed);
    }
    snprintf(name, sizeof name, "%s/f%03d.xye", run, k);
    must(bragg_pattern_write_text(p, in_folder(name), true, &err) == BRAGG_OK, err.text);
}

static void make_frame(const bragg_experiment *x, int k)
{
    bragg_pattern *p = make_pattern(x, k);
    p->wavelength_ang = 0.4133;
    write_frame(p, 977u + 131u * (unsigned)k, "run", k);
    bragg_pattern_free(p);
}

/* The same as a detector sees it, the beam at its corner; every fourth. */
enum { SHOTS = 6, SIDE = 600 };
static const bragg_geometry *camera(void)
{
    static bragg_geometry g = BRAGG_GEOMETRY_INIT;
    g.pixel_slow_m = g.pixel_fast_m = 150e-6;
    g.rows = g.columns = SIDE;
    g.distance_m = 0.2817;
    g.poni1_m = 0.0021;
    g.poni2_m = -0.0013;
    g.wavelength_ang = 0.4133;
    g.rot1_rad = g.rot2_rad = g.rot3_rad = 0;
    return &g;
}

static bragg_frame *make_shot(const bragg_experiment *x, int shot)
{
    bragg_pattern *p = make_pattern(x, 4 + 4 * shot);
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    unsigned seed = 31u + 7u * (unsigned)shot;
    must(bragg_frame_new(SIDE, SIDE, BRAGG_I32, &f, &err) == BRAGG_OK, err.text);
    for (size_t i = 0; i < SIDE * (size_t)SIDE; i++) {
        bragg_ray r = bragg_geometry_ray(camera(), (double)(i / SIDE) + 0.5, (double)(i % SIDE) + 0.5);
        double u = (r.two_theta_rad - p->x[0]) / (p->x[1] - p->x[0]), mean = 0;
        size_t j = u > 0 && u < N - 1 ? (size_t)u : 0;
        mean = 0.3 * (p->y[j] + (u > 0 && u < N - 1 ? u - (double)j : 0) * (p->y[j + 1] - p->y[j]));
        mean *= r.solid_angle * bragg_polarization(r.two_theta_rad, r.chi_rad, 0.99);
        ((int32_t *)f->data)[i] = i % 4099 == 7 ? -1 : (int32_t)fmax(0, mean + sqrt(mean) * noise(&seed) + 0.5);
    }
    bragg_pattern_free(p);
    return f;
}

static void write_raw(const char *name, const char *data)
{
    char text[3000], out[4000];
    snprintf(text, sizeof text, experiment, "detector: {poni: raw.poni, polarization: 0.99}\n");
    char *line = strstr(text, "data:"), *rest = strchr(line, '\n') + 1;
    *line = 0;
    snprintf(out, sizeof out, "%sdata: {frames: %s, unit: 2th_deg, range: [4.2, 16], bins: 700}\n%s", text, data, rest);
    write_file(name, out);
}

static void make_run(void)
{
    bragg_experiment *x;
    bragg_error err = BRAGG_ERROR_INIT;
    must(bragg_path_make_folder(in_folder("run"), &err) == BRAGG_OK, err.text);
    write_experiment("e.yaml", "");
    must(bragg_experiment_read(in_folder("e.yaml"), &x, &err) == BRAGG_OK, err.text);
    for (int k = 0; k < FRAMES; k++)
        make_frame(x, k);
    must(bragg_path_make_folder(in_folder("raw"), &err) == BRAGG_OK, err.text);
    must(bragg_geometry_write_poni(camera(), in_folder("raw.poni"), true, &err) == BRAGG_OK, err.text);
    for (int k = 0; k < SHOTS; k++) {
        bragg_frame *f = make_shot(x, k);
        char name[64];
        snprintf(name, sizeof name, "raw/shot_%03d.tif", k);
        must(bragg_frame_write_tiff(f, in_folder(name), true, &err) == BRAGG_OK, err.text);
        bragg_frame_free(f);
    }
    bragg_experiment_free(x);
}

static bragg_series *fit_well(const char *name)
{
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_status st = fit(name, NULL, &s, &err);
    ck_assert_msg(st == BRAGG_OK, "%s", err.text);
    return s;
}

static bool same_steps(const bragg_series *a, const bragg_series *b)
{
    for (size_t k = 0; k < a->n; k++) {
        const bragg_frame_fit *s = bragg_series_fitted(a, k), *t = bragg_series_fitted(b, k);
        if (s->status != t->status || memcmp(&s->rwp, &t->rwp, sizeof s->rwp))
            return false;
        if (!s->done)
            continue;
        if (memcmp(s->value, t->value, a->n_params * sizeof(double)) || memcmp(s->esd, t->esd, a->n_params * sizeof(double)) ||
            memcmp(s->fraction, t->fraction, a->n_phases * sizeof *s->fraction) || memcmp(s->limit, t->limit, a->n_phases * sizeof(double)))
            return false;
    }
    return a->n == b->n;
}

/* ------------------------------------------------------------- sequence */

START_TEST(phases_come_and_go_within_a_frame_of_the_truth)
{
    bragg_series *s = fit_well("e.yaml");
    size_t wrong = 0;
    ck_assert_uint_eq(s->n, FRAMES);
    for (size_t k = 0; k < s->n; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        ck_assert_msg(t->status == BRAGG_FRAME_OK, "frame %zu is %s: %s", k, bragg_frame_status_name(t->status), t->error ? t->error : "");
        ck_assert(t->level[2] > 0);
        for (int p = 0; p < 2; p++)
            wrong += t->level[p] > 0 ? true_scale(p, (int)k) == 0 : true_scale(p, (int)k) > 0.12 * true_scale(p, p ? FRAMES : 0);
        if (t->level[1] <= 0)
            ck_assert(t->fraction[1].value == 0 && t->limit[1] > 0 && t->limit[1] < 0.05);
    }
    ck_assert_msg(wrong == 0, "%zu frames have a phase too many or too few", wrong);
    ck_assert_uint_eq(s->n_alarms, 0);
    bragg_series_free(s);
}
END_TEST

static size_t column(const bragg_series *s, const char *name)
{
    size_t k = 0;
    while (k < s->n_params && strcmp(s->name[k], name))
        k++;
    ck_assert_msg(k < s->n_params, "no parameter %s", name);
    return k;
}

START_TEST(cells_follow_the_truth_within_their_esds)
{
    bragg_series *s = fit_well("e.yaml");
    size_t a = column(s, "phase.Bi.cell.a"), n = 0;
    double sum2 = 0;
    for (size_t k = 0; k < GONE - 4; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        if (!(t->esd[a] > 0))
            continue;
        sum2 += pow((t->value[a] - true_a((int)k)) / t->esd[a], 2);
        n++;
    }
    ck_assert_msg(n > 20 && sum2 / (double)n < 2.2, "%zu cells with pulls of %.2f", n, sqrt(sum2 / (double)n));
    bragg_series_free(s);
}
END_TEST

/* The run again, K3Bi as little and as broad as that, n frames, and an experiment that
 * expects it sharp. */
static void make_faint(const char *name, const char *row, const double *scale, int n, double width, const char *refine)
{
    char command[400];
    bragg_experiment *x;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(command, sizeof command, "rm -rf '%s/faint'", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert(bragg_path_make_folder(in_folder("faint"), &err) == BRAGG_OK);
    ck_assert_msg(bragg_experiment_read(in_folder("e.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    for (int k = 0; k < n; k++) {
        bragg_pattern *p = make_pattern(x, 5);
        bragg_model *m;
        ck_assert(bragg_experiment_model(x, p, &m, &err) == BRAGG_OK);
        set(m, "phase.Bi.scale", 0.031);
        set(m, "phase.Bi.size", 47);
        set(m, "phase.K3Bi.scale", scale[k]);
        set(m, "phase.Al.scale", 0.4);
        set(m, row, width);
        set(m, "background.0", 190);
        bragg_params_apply_ties(bragg_model_params(m));
        ck_assert(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err) == BRAGG_OK);
        write_frame(p, 4211u + 17u * (unsigned)k, "faint", k);
        bragg_model_free(m);
        bragg_pattern_free(p);
    }
    bragg_experiment_free(x);
    snprintf(command, sizeof command, "cd '%s' && sed 's/run/faint/; /K3Bi/s/scale, cell, size/%s/' e.yaml >'%s'", folder, refine, name);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_faint_phase_of_broad_lines_is_not_found_too_weak)
{
    static const struct { const char *row, *refine; double width; } at[] = {
        { "phase.K3Bi.strain", "scale, cell, strain", 7300 }, { "phase.K3Bi.size", "scale, cell, size", 7.1 },
    };
    for (size_t j = 0; j < sizeof at / sizeof *at; j++) {
        const double weak[] = { 0.0083, 0.0083, 0.0083, 0.0083, 0.0083, 0.0083 };
        make_faint("faint.yaml", at[j].row, weak, 6, at[j].width, at[j].refine);
        bragg_series *s = fit_well("faint.yaml");
        size_t scale = column(s, "phase.K3Bi.scale");
        for (size_t k = 0; k < s->n; k++) {
            const bragg_frame_fit *t = bragg_series_fitted(s, k);
            ck_assert_msg(fabs(t->value[scale] - 0.0083) < 4 * t->esd[scale], "frame %zu, %s: %g(%g) in place of 0.0083", k, at[j].row, t->value[scale], t->esd[scale]);
            ck_assert_msg(t->esd[scale] < 0.0015, "frame %zu: %g is no measurement", k, t->esd[scale]);
        }
        bragg_series_free(s);
    }
}
END_TEST

/* While it is strong the run learns its width; when it is hardly seen, goes and comes back the
 * lines are taken as broad, not at a guess. */
START_TEST(a_phase_that_fades_is_weighed_as_broad_as_it_was)
{
    enum { N_FADING = 16 };
    const double scale[N_FADING] = { 0.05, 0.04, 0.03, 0.02, 0.012, 0.006, 0.004, 0.0028, 0.0027, 0, 0, 0, 0.0036, 0.0037, 0.0035, 0.0036 };
    make_faint("fading.yaml", "phase.K3Bi.size", scale, N_FADING, 7.1, "scale, cell, size");
    bragg_series *s = fit_well("fading.yaml");
    size_t column_scale = column(s, "phase.K3Bi.scale"), size = column(s, "phase.K3Bi.size"), seen = 0;
    for (size_t k = 0; k < N_FADING; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        double esd = t->esd[column_scale];
        if (!(t->level[1] > 0))
            continue;
        seen++;
        ck_assert_msg(scale[k] > 0, "frame %zu has a phase that is not there", k);
        ck_assert_msg(fabs(t->value[column_scale] - scale[k]) < 3.5 * esd && esd < 0.0013, "frame %zu: %g(%g) in place of %g", k, t->value[column_scale],
                      esd, scale[k]);
        ck_assert_msg(t->value[size] > 5 && t->value[size] < 10, "frame %zu: %g nm in place of 7.1", k, t->value[size]);
    }
    ck_assert_msg(seen >= 9, "seen in %zu frames of 13", seen);
    bragg_series_free(s);
}
END_TEST

/* Extracted intensities find something everywhere: of aluminium there is nothing here. */
START_TEST(a_window_without_lines_keeps_its_cell)
{
    char command[700];
    const double scale[] = { 0.031, 0.03, 0.029, 0.03, 0.031, 0.032 };
    make_faint("window.yaml", "phase.Al.scale", scale, 6, 0, "scale, cell");
    snprintf(command, sizeof command, "cd '%s' && sed -i 's/card: Al, refine: \\[scale\\]/card: Al, method: lebail, refine: [cell]/' window.yaml && grep -q lebail window.yaml", folder);
    ck_assert_int_eq(system(command), 0);
    bragg_series *s = fit_well("window.yaml");
    size_t a = column(s, "phase.Al.cell.a");
    for (size_t k = 0; k < s->n; k++) {
        ck_assert_msg(bragg_series_fitted(s, k)->status == BRAGG_FRAME_OK, "frame %zu is %s", k, bragg_frame_status_name(bragg_series_fitted(s, k)->status));
        ck_assert_msg(fabs(bragg_series_fitted(s, k)->value[a] / 4.0496 - 1) < 0.02, "frame %zu: %g angstrom", k, bragg_series_fitted(s, k)->value[a]);
    }
    bragg_series_free(s);
}
END_TEST

/* Aluminium so weak that its lines lost are 7 % of the misfit, and a second block that begins 2.6 %
 * from where the one before it did: its anchor does not find them, the frame beside it has. */
START_TEST(a_cell_that_leaps_is_tried_from_the_frame_beside_it)
{
    enum { N_CREEPING = 18 };
    char text[3000];
    bragg_experiment *x;
    bragg_error err = BRAGG_ERROR_INIT;
    const double creep = 0.0026;
    ck_assert(bragg_path_make_folder(in_folder("leap"), &err) == BRAGG_OK);
    ck_assert_msg(bragg_experiment_read(in_folder("e.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    for (int k = 0; k < N_CREEPING; k++) {
        bragg_pattern *p = make_pattern(x, 5);
        bragg_model *m;
        ck_assert(bragg_experiment_model(x, p, &m, &err) == BRAGG_OK);
        set(m, "phase.Bi.scale", 0.031);
        set(m, "phase.Bi.size", 47);
        set(m, "phase.K3Bi.scale", 0);
        set(m, "phase.Al.scale", 0.06);
        set(m, "phase.Al.cell.a", 4.0496 * (1 + creep * k));
        set(m, "background.0", 190);
        bragg_params_apply_ties(bragg_model_params(m));
        ck_assert(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err) == BRAGG_OK);
        write_frame(p, 4211u + 17u * (unsigned)k, "leap", k);
        bragg_model_free(m);
        bragg_pattern_free(p);
    }
    bragg_experiment_free(x);
    snprintf(text, sizeof text, "cd '%s' && sed '/K3Bi/d; s/run/leap/; s/card: Al, refine: \\[scale\\]/card: Al, method: lebail, refine: [cell]/; $a sequence: {block: 10}' e.yaml >leap.yaml", folder);
    ck_assert_int_eq(system(text), 0);
    bragg_series *s = fit_well("leap.yaml");
    size_t a = column(s, "phase.Al.cell.a");
    for (size_t k = 0; k < s->n; k++) {
        double found = bragg_series_fitted(s, k)->value[a], truth = 4.0496 * (1 + creep * (double)k);
        ck_assert_msg(fabs(found / truth - 1) < 0.001, "frame %zu: %.4f in place of %.4f angstrom", k, found, truth);
    }
    bragg_series_free(s);
}
END_TEST

/* The experiment has its cell 1.5 % off, and noise draws a another 1 % away while it is not there:
 * it is sent home from there. */
START_TEST(a_phase_that_began_as_nothing_is_found_when_it_comes)
{
    char text[3000], *at;
    snprintf(text, sizeof text, experiment, "");
    at = strstr(text, "card: Al, refine: [scale]}");
    ck_assert_ptr_nonnull(at);
    char rest[1000];
    snprintf(rest, sizeof rest, "%s", at + strlen("card: Al, refine: [scale]}"));
    snprintf(at, sizeof text - (size_t)(at - text), "card: Al, method: lebail, refine: [cell]}%s", rest);
    at = strstr(text, "instrument.x: 0.004");
    ck_assert_ptr_nonnull(at);
    strcpy(at, "instrument.x: 0.004, phase.K3Bi.cell.a: 6.0981, phase.K3Bi.cell.c: 10.7907}\n");
    write_file("w.yaml", text);
    bragg_series *s = fit_well("w.yaml"); /* extracted intensities: all phases begin together, K3Bi with nothing to fit */
    for (size_t k = ONSET + 4; k < FRAMES; k++)
        ck_assert_msg(bragg_series_fitted(s, k)->level[1] > 0, "K3Bi is not there in frame %zu", k);
    for (size_t k = 0; k < ONSET - 1; k++)
        ck_assert_msg(!(bragg_series_fitted(s, k)->level[1] > 0), "K3Bi is there in frame %zu", k);
    assert_close(bragg_series_fitted(s, 0)->value[column(s, "phase.K3Bi.cell.a")], 6.0981, 1e-9); /* not where it went astray */
    assert_close(bragg_series_fitted(s, 0)->value[column(s, "phase.K3Bi.cell.c")], 10.7907, 1e-9);
    bragg_series_free(s);
}
END_TEST

START_TEST(results_are_the_same_on_one_and_three_threads)
{
#ifdef _OPENMP
    write_experiment("t.yaml", "sequence: {direction: both, block: 9}\n");
    omp_set_num_threads(1);
    bragg_series *a = fit_well("t.yaml");
    omp_set_num_threads(3);
    bragg_series *b = fit_well("t.yaml");
    ck_assert(same_steps(a, b));
    size_t apart = 0;
    for (size_t k = 0; k < a->n; k++)
        apart += bragg_series_fitted(a, k)->path > 5;
    ck_assert_msg(apart <= 2, "%zu frames depend on the way", apart);
    bragg_series_free(a);
    bragg_series_free(b);
#endif
}
END_TEST

START_TEST(a_phase_nobody_listed_is_an_alarm)
{
    char text[3000], *line;
    snprintf(text, sizeof text, experiment, "");
    line = strstr(text, "  - {name: K3Bi");
    memmove(line, strchr(line, '\n') + 1, strlen(strchr(line, '\n') + 1) + 1);
    write_file("alarm.yaml", text);
    bragg_series *s = fit_well("alarm.yaml");
    ck_assert_uint_gt(s->n_alarms, 0);
    for (size_t k = 0; k < s->n_alarms; k++)
        ck_assert_msg(s->alarm[k].first + 1 >= ONSET, "an alarm in frame %zu", s->alarm[k].first);
    bragg_series_free(s);
}
END_TEST

START_TEST(the_card_set_names_what_nobody_listed)
{
#ifdef HAVE_HDF5
    const char *store = in_folder("alarm.h5");
    bragg_series_options o = BRAGG_SERIES_OPTIONS_INIT;
    bragg_series *s;
    bragg_experiment *x;
    bragg_store_curves c;
    bragg_error err = BRAGG_ERROR_INIT;
    o.store = store;
    ck_assert_msg(fit("alarm.yaml", &o, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_experiment_read(in_folder("alarm.yaml"), &x, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_store_patterns(store, 0, &c, &err), BRAGG_OK);
    ck_assert_msg(bragg_series_name_alarms(s, &c, x, &err) == BRAGG_OK, "%s", err.text);
    size_t named = 0, early = FRAMES;
    for (size_t k = 0; k < s->n_alarms; k++) {
        named += s->alarm[k].cards && strstr(s->alarm[k].cards, "K3Bi") && s->alarm[k].score > 0.3;
        early = s->alarm[k].first < early ? s->alarm[k].first : early;
    }
    ck_assert_msg(named && 2 * named >= s->n_alarms, "%zu of %zu alarms are K3Bi, the first %s", named, s->n_alarms, s->alarm[0].cards ? s->alarm[0].cards : "nameless");
    ck_assert_msg(early + 1 >= ONSET && early <= ONSET + 5, "the first in frame %zu", early);
    json_t *nothing = bragg_analysis_summary();
    bragg_series *back;
    ck_assert_msg(bragg_store_add_analysis(store, folder, nothing, s, &err) == BRAGG_OK, "%s", err.text);
    json_decref(nothing);
    ck_assert_msg(bragg_store_read(store, &back, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(back->n_alarms, s->n_alarms);
    for (size_t k = 0; k < s->n_alarms; k++) {
        const bragg_alarm *a = &s->alarm[k], *b = &back->alarm[k];
        ck_assert(a->first == b->first && a->last == b->last && !a->cards == !b->cards && (!a->cards || !strcmp(a->cards, b->cards)));
        assert_close(b->two_theta_rad, a->two_theta_rad, 1e-10);
        assert_close(b->significance, a->significance, 1e-10);
    }
    bragg_series_free(back);
    bragg_store_curves_free(&c);
    bragg_experiment_free(x);
    bragg_series_free(s);
#endif
}
END_TEST

START_TEST(bad_frames_cost_only_themselves)
{
    char command[800];
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(command, sizeof command, "rm -rf '%s/bad' && cp -r '%s/run' '%s/bad'", folder, folder, folder);
    ck_assert_int_eq(system(command), 0);
    write_file("bad/f000.xye", "");
    write_file("bad/f016.xye", "# half of a fi");
    write_file("bad/f007.xye", "4 0 1\n5 0 1\n6 0 1\n7 0 1\n8 0 1\n9 0 1\n10 0 1\n");
    ck_assert_int_eq(unlink(in_folder("bad/f022.xye")), 0);
    snprintf(command, sizeof command, "sed 's/run/bad/' '%s/e.yaml' >'%s/bad.yaml'", folder, folder);
    ck_assert_int_eq(system(command), 0);
    bragg_series *s;
    ck_assert_msg(fit("bad.yaml", NULL, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(s->n, FRAMES - 1);
    for (size_t k = 0; k < s->n; k++) {
        bragg_frame_status expected = k == 0 || k == 16 ? BRAGG_FRAME_CORRUPT : k == 7 ? BRAGG_FRAME_NO_BEAM : BRAGG_FRAME_OK;
        ck_assert_msg(bragg_series_fitted(s, k)->status == expected, "frame %zu is %s", k, bragg_frame_status_name(bragg_series_fitted(s, k)->status));
        ck_assert(bragg_series_fitted(s, k)->done == (expected == BRAGG_FRAME_OK) && (bragg_series_fitted(s, k)->error != NULL) == !bragg_series_fitted(s, k)->done);
    }
    bragg_series_free(s);
}
END_TEST

START_TEST(a_wrong_sequence_section_is_told_with_its_line)
{
    static const struct { const char *text, *told; } cases[] = {
        { "sequence: {direction: sideways}\n", "direction" }, { "sequence: {blok: 3}\n", "did you mean" }, { "sequence: {block: 1}\n", "block" },
        { "log: {frames: {every_s: -3}}\n", "every_s" }, { "log: {frames: never}\n", "frames" }, { "log: {clock: {ofset_s: 2}}\n", "did you mean" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_series *s;
        bragg_error err = BRAGG_ERROR_INIT;
        write_experiment("w.yaml", cases[k].text);
        ck_assert_int_eq(fit("w.yaml", NULL, &s, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, cases[k].told) && strstr(err.text, "w.yaml:4"), "%s", err.text);
    }
}
END_TEST

/* ----------------------------------------------------------- raw frames */

/* Of the shots that were taken of frames 4, 8, 12 …; bad ones are not asked. */
static void check_shots(const bragg_series *s, unsigned bad)
{
    ck_assert_uint_eq(s->n, SHOTS);
    for (size_t k = 0; k < s->n; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        if (bad >> k & 1)
            continue;
        ck_assert_msg(t->done && t->status != BRAGG_FRAME_POOR, "frame %zu is %s: %s", k, bragg_frame_status_name(t->status), t->error ? t->error : "");
        int frame = 4 + 4 * (int)k;
        size_t a = column(s, "phase.Bi.cell.a");
        if (frame < GONE - 8)
            ck_assert_msg(fabs(t->value[a] - true_a(frame)) < 4e-4, "frame %zu: a %.5f(%.5f), truth %.5f", k, t->value[a], t->esd[a], true_a(frame));
        ck_assert_msg((t->level[1] > 0) == (true_scale(1, frame) > 0), "frame %zu: K3Bi at level %g", k, t->level[1]);
    }
}

START_TEST(raw_frames_are_integrated_and_bad_ones_cost_only_themselves)
{
    char command[600];
    snprintf(command, sizeof command,
             "cd '%s' && rm -rf bad && cp -r raw bad && head -c 700000 raw/shot_002.tif >bad/shot_002.tif && : >bad/shot_004.tif && "
             "head -c 300 /dev/zero >bad/shot_005.tif", folder);
    ck_assert_int_eq(system(command), 0);
    write_raw("raw.yaml", "raw/*.tif");
    bragg_series *s = fit_well("raw.yaml");
    check_shots(s, 0);
    bragg_series_free(s);
    write_raw("bad.yaml", "bad/*.tif");
    s = fit_well("bad.yaml");
    check_shots(s, 1u << 2 | 1u << 4 | 1u << 5);
    ck_assert(bragg_series_fitted(s, 2)->status == BRAGG_FRAME_CORRUPT && bragg_series_fitted(s, 4)->status == BRAGG_FRAME_CORRUPT && bragg_series_fitted(s, 5)->status == BRAGG_FRAME_CORRUPT);
    ck_assert_msg(strstr(bragg_series_fitted(s, 2)->error, "shot_002") || *bragg_series_fitted(s, 2)->error, "no word about frame 2");
    bragg_series_free(s);
}
END_TEST

/* The first shot with dark counts in it and on pixels of unequal answer, upside down or not; in
 * raw/ nothing is added. */
static void write_turned(const char *name, bool upside_down)
{
    bragg_frame *f, *dark, *flat;
    bragg_error err = BRAGG_ERROR_INIT;
    const char *const files[3] = { "shot.tif", "dark.tif", "flat.tif" };
    ck_assert_int_eq(bragg_frame_read(in_folder("raw/shot_000.tif"), 0, &f, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_new(SIDE, SIDE, BRAGG_I32, &dark, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_new(SIDE, SIDE, BRAGG_F32, &flat, &err), BRAGG_OK);
    for (size_t i = 0; i < SIDE * (size_t)SIDE; i++) {
        int32_t *shot = f->data, *counts = dark->data;
        counts[i] = 10 + (int32_t)(i / SIDE) / 3;
        ((float *)flat->data)[i] = i / SIDE < SIDE / 3 ? 0.5f : 1;
        shot[i] = i / SIDE < SIDE / 3 ? shot[i] / 2 + counts[i] : shot[i] + counts[i];
    }
    bragg_frame *const all[3] = { f, dark, flat };
    ck_assert_int_eq(bragg_path_make_folder(in_folder(name), &err), BRAGG_OK);
    for (int k = 0; k < 3; k++) {
        char path[80];
        bragg_frame_flip(all[k], upside_down, false);
        snprintf(path, sizeof path, "%s/%s", name, files[k]);
        ck_assert_msg(bragg_frame_write_tiff(all[k], in_folder(path), true, &err) == BRAGG_OK, "%s", err.text);
        bragg_frame_free(all[k]);
    }
}

static bragg_pattern *pattern_of(const char *name, const char *data, const char *detector)
{
    char text[3000], key[200];
    bragg_experiment *x;
    bragg_frames *f;
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    double exposure;
    write_raw(name, data);
    FILE *in = fopen(in_folder(name), "r");
    size_t n = fread(text, 1, sizeof text - 200, in);
    fclose(in);
    text[n] = 0;
    snprintf(key, sizeof key, "detector: {poni: raw.poni, %s", detector);
    char *at = strstr(text, "detector: {poni: raw.poni, "), *rest = at + strlen("detector: {poni: raw.poni, ");
    memmove(at + strlen(key), rest, strlen(rest) + 1);
    memcpy(at, key, strlen(key));
    write_file(name, text);
    ck_assert_msg(bragg_experiment_read(in_folder(name), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder(name), false, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_read(f, 0, &p, &exposure, &err) == BRAGG_OK, "%s", err.text);
    bragg_frames_free(f);
    bragg_experiment_free(x);
    return p;
}

START_TEST(dark_and_flat_are_turned_as_the_frames_are)
{
    write_turned("upright", false);
    write_turned("turned", true);
    bragg_pattern *plain = pattern_of("plain.yaml", "raw/shot_000.tif", "");
    bragg_pattern *upright = pattern_of("upright.yaml", "upright/shot.tif", "dark: upright/dark.tif, flat: upright/flat.tif, ");
    bragg_pattern *turned = pattern_of("turned.yaml", "turned/shot.tif", "dark: turned/dark.tif, flat: turned/flat.tif, flip: vertical, ");
    ck_assert(plain->n == upright->n && plain->n == turned->n);
    for (size_t i = 0; i < plain->n; i++) {
        ck_assert_msg(upright->y[i] == turned->y[i], "point %zu: %g upright, %g turned", i, upright->y[i], turned->y[i]);
        ck_assert_msg(fabs(upright->y[i] - plain->y[i]) < 0.02 * plain->y[i] + 1, "point %zu: %g instead of %g", i, upright->y[i], plain->y[i]);
    }
    bragg_pattern_free(plain);
    bragg_pattern_free(upright);
    bragg_pattern_free(turned);
}
END_TEST

#ifdef HAVE_HDF5

/* All shots into one data set, laid out for two more: frame by frame for readers that
 * look on, or at once; `skip` is left out. */
static void write_stack(const char *path, bool slowly, int skip)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), make = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t dims[3] = { slowly ? 0 : SHOTS, SIDE, SIDE }, most[3] = { H5S_UNLIMITED, SIDE, SIDE }, chunk[3] = { 1, SIDE, SIDE };
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    H5Pset_chunk(make, 3, chunk);
    H5Pset_deflate(make, 1);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access), space = H5Screate_simple(3, dims, most);
    hid_t group = H5Gcreate2(file, "/entry", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t set = H5Dcreate2(file, "/entry/data", H5T_NATIVE_INT32, space, H5P_DEFAULT, make, H5P_DEFAULT);
    H5Gclose(group);
    if (slowly)
        H5Fstart_swmr_write(file);
    for (int k = 0; k < SHOTS; k++) {
        char name[64];
        bragg_frame *f;
        snprintf(name, sizeof name, "raw/shot_%03d.tif", k);
        if (k == skip || bragg_frame_read(in_folder(name), 0, &f, NULL) < 0)
            continue;
        hsize_t size[3] = { (hsize_t)k + 1, SIDE, SIDE }, start[3] = { (hsize_t)k, 0, 0 };
        if (slowly)
            H5Dset_extent(set, size);
        hid_t to = H5Dget_space(set), from = H5Screate_simple(3, chunk, NULL);
        H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, chunk, NULL);
        H5Dwrite(set, H5T_NATIVE_INT32, from, to, H5P_DEFAULT, f->data);
        H5Dflush(set);
        H5Sclose(from);
        H5Sclose(to);
        bragg_frame_free(f);
        if (slowly)
            usleep(60000);
    }
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
    H5Pclose(make);
    H5Pclose(access);
}

START_TEST(a_stack_is_read_whole_or_in_slices_and_holes_are_no_frames)
{
    write_stack(in_folder("stack.h5"), false, 3);
    write_raw("stack.yaml", "{file: stack.h5, path: /entry/data}");
    bragg_series *s = fit_well("stack.yaml");
    check_shots(s, 1u << 3);
    ck_assert_int_eq(bragg_series_fitted(s, 3)->status, BRAGG_FRAME_CORRUPT);
    ck_assert_msg(strstr(bragg_series_fitted(s, 3)->error, "has not been written"), "%s", bragg_series_fitted(s, 3)->error);
    double whole = bragg_series_fitted(s, 5)->total;
    bragg_series_free(s);
    write_raw("slice.yaml", "'stack.h5:/entry/data[1:6:2]'");
    s = fit_well("slice.yaml");
    ck_assert_uint_eq(s->n, 3);
    ck_assert(bragg_series_fitted(s, 0)->done && !bragg_series_fitted(s, 1)->done && bragg_series_fitted(s, 2)->done && bragg_series_fitted(s, 2)->index == 2);
    assert_close(bragg_series_fitted(s, 2)->total, whole, 1e-12);
    bragg_series_free(s);
}
END_TEST

static bool stop_when_shot(void *payload, size_t done, size_t total)
{
    return done < SHOTS;
    (void)payload, (void)total;
}

START_TEST(a_growing_stack_is_followed)
{
    write_raw("grow.yaml", "{file: grow.h5, path: /entry/data}");
    pid_t writer = fork();
    if (!writer) {
        usleep(100000);
        write_stack(in_folder("grow.h5"), true, -1);
        _exit(0);
    }
    bragg_experiment *x;
    bragg_frames *f;
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_observer all = { NULL, stop_when_shot, NULL };
    bragg_series_options o = { .follow = true, .idle_s = 20, .observer = &all };
    ck_assert_msg(bragg_experiment_read(in_folder("grow.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("grow.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_series_fit(x, in_folder("grow.yaml"), f, &o, &s, &err) == BRAGG_OK, "%s", err.text);
    check_shots(s, 0);
    bragg_series_free(s);
    bragg_frames_free(f);
    bragg_experiment_free(x);
    waitpid(writer, NULL, 0);
}
END_TEST

#endif

/* ----------------------------------------------------------------- live */

static bool stop_when_all(void *payload, size_t done, size_t total)
{
    return done < 9;
    (void)payload, (void)total;
}

START_TEST(a_folder_is_followed_and_half_frames_are_waited_for)
{
    char command[600];
    snprintf(command, sizeof command, "cd '%s' && rm -rf live && mkdir live && sed 's/run/live/' e.yaml >live.yaml", folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command,
             "cd '%s' && (for k in 0 1 2 3 4 5 6 7; do cp run/f00$k.xye live/; sleep 0.05; done; "
             "head -c 4000 run/f008.xye >live/f008.xye; sleep 0.03; tail -c +4001 run/f008.xye >>live/f008.xye) &", folder);
    ck_assert_int_eq(system(command), 0);
    bragg_experiment *x;
    bragg_frames *f;
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_observer all = { NULL, stop_when_all, NULL };
    bragg_series_options o = { .follow = true, .idle_s = 20, .observer = &all };
    ck_assert_msg(bragg_experiment_read(in_folder("live.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("live.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_series_fit(x, in_folder("live.yaml"), f, &o, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(s->n, 9);
    for (size_t k = 0; k < 9; k++)
        ck_assert_msg(bragg_series_fitted(s, k)->status == BRAGG_FRAME_OK, "frame %zu is %s", k, bragg_frame_status_name(bragg_series_fitted(s, k)->status));
    bragg_series_free(s);
    bragg_frames_free(f);
    bragg_experiment_free(x);
}
END_TEST

#ifdef HAVE_HDF5

/* 3 V that fall by 2 mV a second, a row every 20 s; the last as far as it has been written. */
static void write_falling(int rows, const char *last)
{
    FILE *f = fopen(in_folder("falling.csv"), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "time/s,Ecell/V\n");
    for (int k = 0; k < rows; k++)
        fprintf(f, "%d,%.3f\n", 20 * k, 3 - 0.04 * k);
    fputs(last, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* Of frame k in the store as it stands. */
static double stored_voltage(size_t k, bool *ended)
{
    bragg_store_view *v = NULL;
    bragg_error err = BRAGG_ERROR_INIT;
    double found = NAN;
    if (bragg_store_look(in_folder("falling.h5"), &v, &err) == BRAGG_OK) {
        *ended = v->ended;
        if (bragg_store_view_frame(v, k, NULL, NULL, NULL, &err) == BRAGG_OK)
            found = bragg_series_fitted(&v->series, 0)->log.voltage_v;
        bragg_store_view_free(v);
    }
    return found;
}

/* Looks on while the run waits: the first of the log, which ends in half a row, then all of it. */
typedef struct onlooker { int looks, stage; double first, half, then; bool ended; } onlooker;

static bool look_on(void *payload, size_t done, size_t total)
{
    onlooker *o = payload;
    double first = done == 6 && o->stage == 0 ? stored_voltage(2, &o->ended) : NAN;
    if (isfinite(first)) {
        o->first = first;
        o->half = stored_voltage(3, &o->ended);
        write_falling(40, "");
        o->stage = 1;
    } else if (o->stage == 1 && isfinite(o->then = stored_voltage(3, &o->ended))) {
        o->stage = 2;
    }
    return o->stage < 2 && o->looks++ < 60;
    (void)total;
}

/* "360,2" is half of "360,2.280": nothing is known of the frame in whose middle it stands. */
START_TEST(what_a_growing_log_tells_is_in_the_store_at_once)
{
    char command[600];
    bragg_experiment *x;
    bragg_frames *f;
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    onlooker who = { .half = 0, .ended = true };
    bragg_observer o = { NULL, look_on, &who };
    bragg_series_options options = { .follow = true, .idle_s = 60, .observer = &o, .store = in_folder("falling.h5"), .force = true };
    snprintf(command, sizeof command, "cd '%s' && rm -rf fall && mkdir fall && sed 's/run/fall/; $a log: {file: falling.csv, frames: {start: 0, every_s: 100}}' e.yaml >fall.yaml && cp run/f00[0-5].xye fall/", folder);
    ck_assert_int_eq(system(command), 0);
    write_falling(18, "360,2");
    ck_assert_msg(bragg_experiment_read(in_folder("fall.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("fall.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_series_fit(x, in_folder("fall.yaml"), f, &options, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(who.stage == 2, "stage %d after %d looks", who.stage, who.looks);
    assert_close(who.first, 3 - 0.002 * 250, 1e-9);
    ck_assert_msg(isnan(who.half), "half a row told %g V", who.half);
    assert_close(who.then, 3 - 0.002 * 350, 1e-9);
    ck_assert(!who.ended);
    for (size_t k = 0; k < 6; k++)
        assert_close(bragg_series_log(s, k)->voltage_v, 3 - 0.002 * (100 * (double)k + 50), 1e-9);
    assert_close(stored_voltage(5, &who.ended), 3 - 0.002 * 550, 1e-9);
    ck_assert(who.ended);
    bragg_series_free(s);
    bragg_frames_free(f);
    bragg_experiment_free(x);
}
END_TEST

#endif

static bool stop_when_six(void *payload, size_t done, size_t total)
{
    return done < 6;
    (void)payload, (void)total;
}

#ifdef HAVE_HDF5

/* From the first frame on the log is a pipe, whose reading ends when we say so; six frames are
 * fitted meanwhile.  For the end it is a file again. */
typedef struct pipe_end { bool laid, ended; } pipe_end;

static bool end_when_six(void *payload, size_t done, size_t total)
{
    pipe_end *end = payload;
    if (done && !end->laid) {
        ck_assert_int_eq(remove(in_folder("falling.csv")), 0);
        ck_assert_int_eq(mkfifo(in_folder("falling.csv"), 0600), 0);
        end->laid = true;
    }
    int pipe = done < 6 ? -1 : open(in_folder("falling.csv"), O_WRONLY | O_NONBLOCK); /* fails before somebody reads */
    if (pipe < 0)
        return true;
    ck_assert_int_eq(remove(in_folder("falling.csv")), 0);
    write_falling(40, "");
    close(pipe);
    end->ended = true;
    return false;
    (void)total;
}

START_TEST(no_frame_waits_for_the_log)
{
    char command[600];
    pipe_end end = { false, false };
    bragg_experiment *x;
    bragg_frames *f;
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_observer all = { NULL, end_when_six, &end };
    bragg_series_options o = { .follow = true, .idle_s = 20, .observer = &all, .store = in_folder("falling.h5"), .force = true };
    snprintf(command, sizeof command, "cd '%s' && rm -rf fall && mkdir fall && sed 's/run/fall/; $a log: {file: falling.csv, frames: {start: 0, every_s: 100}}' e.yaml >fall.yaml && cp run/f00[0-5].xye fall/", folder);
    ck_assert_int_eq(system(command), 0);
    write_falling(18, "");
    ck_assert_msg(bragg_experiment_read(in_folder("fall.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("fall.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_series_fit(x, in_folder("fall.yaml"), f, &o, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(end.ended);
    for (size_t k = 0; k < 6; k++)
        assert_close(bragg_series_log(s, k)->voltage_v, 3 - 0.002 * (100 * (double)k + 50), 1e-9);
    bragg_series_free(s);
    bragg_frames_free(f);
    bragg_experiment_free(x);
}
END_TEST

#endif

/* Three frames, then the folder is away as one of the network may be, and comes back with
 * three more. */
START_TEST(a_folder_that_goes_away_and_comes_back_loses_no_frame)
{
    char command[600];
    snprintf(command, sizeof command, "cd '%s' && rm -rf leaves away && mkdir leaves && sed 's/run/leaves/' e.yaml >leaves.yaml && cp run/f00[012].xye leaves/", folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command, "cd '%s' && (sleep 0.4; cp run/f003.xye leaves/; mv leaves away; sleep 1; cp run/f004.xye run/f005.xye away/; mv away leaves) &", folder);
    ck_assert_int_eq(system(command), 0);
    bragg_experiment *x;
    bragg_frames *f;
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_observer all = { NULL, stop_when_six, NULL };
    bragg_series_options o = { .follow = true, .idle_s = 20, .observer = &all };
    ck_assert_msg(bragg_experiment_read(in_folder("leaves.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("leaves.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_series_fit(x, in_folder("leaves.yaml"), f, &o, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(s->n, 6);
    for (size_t k = 0; k < 6; k++)
        ck_assert_msg(bragg_series_fitted(s, k)->status == BRAGG_FRAME_OK, "frame %zu is %s", k, bragg_frame_status_name(bragg_series_fitted(s, k)->status));
    bragg_series_free(s);
    bragg_frames_free(f);
    bragg_experiment_free(x);
}
END_TEST

static bragg_whole look(seq_watch *w, const bragg_frames *f, size_t k)
{
    bragg_pattern *p;
    double exposure;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_whole found = bragg_watch_whole(w, f, k, &p, &exposure, &cause);
    ck_assert(found == BRAGG_WHOLE ? p != NULL : p == NULL);
    bragg_pattern_free(p);
    return found;
}

/* Frame 0 is whole, 1 is missing, 2 is empty. */
START_TEST(patience_ends_for_a_file_but_never_for_a_folder)
{
    enum { PATIENCE_MS = 250 };
    char command[600];
    bragg_experiment *x;
    bragg_frames *f;
    seq_watch *w;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(command, sizeof command, "cd '%s' && rm -rf waits gone && mkdir waits && sed 's/run/waits/' e.yaml >waits.yaml && cp run/f00[012].xye waits/", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_msg(bragg_experiment_read(in_folder("waits.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("waits.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(bragg_frames_count(f), 3);
    ck_assert_msg(bragg_watch_new(in_folder("waits"), 1e-3 * PATIENCE_MS, &w, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(rename(in_folder("waits"), in_folder("gone")), 0);
    for (int waited = 0; waited < 2; waited++) {
        for (size_t k = 0; k < 3; k++)
            ck_assert_int_eq(look(w, f, k), BRAGG_NOT_WHOLE_YET);
        usleep(2000 * PATIENCE_MS);
    }
    ck_assert_int_eq(unlink(in_folder("gone/f001.xye")), 0);
    for (size_t k = 0; k < 3; k++)
        ck_assert_int_eq(look(w, f, k), BRAGG_NOT_WHOLE_YET);
    ck_assert_int_eq(truncate(in_folder("gone/f002.xye"), 0), 0);
    ck_assert_int_eq(rename(in_folder("gone"), in_folder("waits")), 0);
    ck_assert_int_eq(look(w, f, 1), BRAGG_NOT_WHOLE_YET);
    ck_assert_int_eq(look(w, f, 2), BRAGG_NOT_WHOLE_YET);
    usleep(2000 * PATIENCE_MS);
    ck_assert_int_eq(look(w, f, 0), BRAGG_WHOLE);
    ck_assert_int_eq(look(w, f, 1), BRAGG_NEVER_WHOLE);
    ck_assert_int_eq(look(w, f, 2), BRAGG_NEVER_WHOLE);
    snprintf(command, sizeof command, "cp '%s/run/f001.xye' '%s/waits/'", folder, folder); /* later than anybody waited, yet whole */
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(look(w, f, 1), BRAGG_NOT_WHOLE_YET);
    usleep(150000);
    ck_assert_int_eq(look(w, f, 1), BRAGG_WHOLE);
    bragg_watch_free(w);
    bragg_frames_free(f);
    bragg_experiment_free(x);
}
END_TEST

/* As an unmounted share does: an empty folder of another device stands where the frames were. */
START_TEST(an_empty_folder_of_another_device_is_none)
{
    enum { PATIENCE_MS = 100 };
    static const char bare[] = "/dev/shm/bragg-test-operando-XXXXXX";
    char command[600], place[sizeof bare];
    struct stat here, there;
    bragg_experiment *x;
    bragg_frames *f;
    seq_watch *w;
    bragg_error err = BRAGG_ERROR_INIT;
    memcpy(place, bare, sizeof bare);
    if (stat(folder, &here) || stat("/dev/shm", &there) || here.st_dev == there.st_dev || !mkdtemp(place)) {
        printf("no second device: not tried\n");
        return;
    }
    snprintf(command, sizeof command, "cd '%s' && rm -rf share mounted && mkdir share && ln -s share mounted && sed 's/run/mounted/' e.yaml >mounted.yaml && cp run/f00[01].xye share/", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_msg(bragg_experiment_read(in_folder("mounted.yaml"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_frames_open(x, in_folder("mounted.yaml"), true, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_watch_new(in_folder("mounted"), 1e-3 * PATIENCE_MS, &w, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(unlink(in_folder("mounted")) == 0 && symlink(place, in_folder("mounted")) == 0);
    for (int waited = 0; waited < 3; waited++) {
        ck_assert_int_eq(look(w, f, 0), BRAGG_NOT_WHOLE_YET);
        usleep(2000 * PATIENCE_MS);
    }
    ck_assert_int_eq(look(w, f, 0), BRAGG_NOT_WHOLE_YET);
    snprintf(command, sizeof command, "cp '%s/run/f001.xye' '%s/'", folder, place); /* it is back, but without the first */
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(look(w, f, 0), BRAGG_NOT_WHOLE_YET);
    usleep(2000 * PATIENCE_MS);
    ck_assert_int_eq(look(w, f, 0), BRAGG_NEVER_WHOLE);
    ck_assert_int_eq(look(w, f, 1), BRAGG_WHOLE);
    snprintf(command, sizeof command, "rm -r '%s'", place);
    ck_assert_int_eq(system(command), 0);
    bragg_watch_free(w);
    bragg_frames_free(f);
    bragg_experiment_free(x);
}
END_TEST

START_TEST(names_of_frames_are_bytes)
{
    static const char *const name[] = { "with blank.xye", "M-BiSnSb \xce\xb1.xye", "two\nlines.xye", "-o.xye", "$(touch pwned).xye", "\xff\xfe.xye" };
    char command[600], from[600], to[600];
    snprintf(command, sizeof command, "cd '%s' && rm -rf named && mkdir named && sed 's,run/f,named/,' e.yaml >named.yaml", folder);
    ck_assert_int_eq(system(command), 0);
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        snprintf(from, sizeof from, "%s/run/f00%zu.xye", folder, k);
        snprintf(to, sizeof to, "%s/named/%s", folder, name[k]);
        ck_assert_int_eq(k % 2 ? symlink(from, to) : link(from, to), 0);
    }
    bragg_series *s = fit_well("named.yaml");
    ck_assert_uint_eq(s->n, sizeof name / sizeof *name);
    for (size_t k = 0; k < s->n; k++) {
        bool known = false;
        for (size_t i = 0; i < sizeof name / sizeof *name; i++)
            known |= strstr(bragg_series_fitted(s, k)->file, name[i]) != NULL;
        ck_assert_msg(known, "'%s'", bragg_series_fitted(s, k)->file);
    }
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_series_write_csv(s, in_folder("named.csv"), true, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_series_write_json(s, in_folder("named.json"), true, &err), BRAGG_OK);
    json_error_t cause;
    json_t *root = json_load_file(in_folder("named.json"), 0, &cause);
    ck_assert_msg(root != NULL, "%s", cause.text);
    json_decref(root);
    ck_assert(access("pwned", F_OK) && access(in_folder("pwned"), F_OK));
    bragg_series_free(s);
}
END_TEST

/* ------------------------------------------------------------------ log */

/* 100 s of rest, then a discharge of 1 mV/s at 2 mA, a row a second; 10 frames of 90 s each. */
static void write_log(const char *name, int first, int last)
{
    FILE *f = fopen(in_folder(name), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "time/s,Ecell/V,I/mA\n");
    for (int t = first; t <= last; t++)
        fprintf(f, "%d,%.4f,%.3f\n", t, t < 100 ? 2.5 : 2.5 - 1e-3 * (t - 100), t < 100 ? 0.0 : -2.0);
    fclose(f);
}

static const char short_run[] = "data: {patterns: run/f00*.xye, range: [4, 17]}\n";

static void write_logged(const char *name, const char *log)
{
    char text[3000], out[4000], *line;
    snprintf(text, sizeof text, experiment, log);
    line = strstr(text, "data:");
    char *rest = strchr(line, '\n') + 1;
    *line = 0;
    snprintf(out, sizeof out, "%s%s%s", text, short_run, rest);
    write_file(name, out);
}

START_TEST(each_frame_gets_the_log_of_its_own_exposure)
{
    write_log("cell.csv", 0, 2000);
    write_logged("l.yaml", "log: {file: cell.csv, mass_mg: 5, frames: {start: 50, every_s: 90, exposure_s: 60}, clock: {offset_s: 7}}\n");
    bragg_series *s = fit_well("l.yaml");
    ck_assert_uint_eq(s->n, 10);
    for (size_t k = 1; k < s->n; k++) {
        double middle = 50 + 90.0 * (double)k + 30 + 7;
        assert_close(bragg_series_fitted(s, k)->log.time_s, middle, 1e-12);
        assert_close(bragg_series_fitted(s, k)->log.voltage_v, 2.5 - 1e-3 * (middle - 100), 1e-6);
        assert_close(bragg_series_fitted(s, k)->log.current_a, -2e-3, 1e-9);
        assert_close(bragg_series_fitted(s, k)->log.capacity_mah_g, 2.0 * (middle - 100) / 3600 / 5e-3, 0.02);
        ck_assert(bragg_series_fitted(s, k)->log.kind == BRAGG_STEP_DISCHARGE && bragg_series_fitted(s, k)->log.cycle == 1);
    }
    ck_assert(s->timed && s->logged);
    bragg_series_free(s);
}
END_TEST

static bool noted(const bragg_series *s, const char *text)
{
    for (size_t k = 0; k < s->n_notes; k++)
        if (strstr(s->note[k], text))
            return true;
    return false;
}

START_TEST(a_log_that_starts_late_and_ends_early_is_said)
{
    write_log("short.csv", 300, 700);
    write_logged("l.yaml", "log: {file: short.csv, frames: {start: 50, every_s: 90}}\n");
    bragg_series *s = fit_well("l.yaml");
    ck_assert(noted(s, "before it begins") && noted(s, "after it ends"));
    ck_assert(isnan(bragg_series_fitted(s, 0)->log.voltage_v) && isfinite(bragg_series_fitted(s, 4)->log.voltage_v) && isnan(bragg_series_fitted(s, 9)->log.voltage_v));
    ck_assert(bragg_series_fitted(s, 0)->status == BRAGG_FRAME_OK);
    bragg_series_free(s);
}
END_TEST

START_TEST(a_log_that_jumps_is_said_and_nothing_is_made_up_for_its_pause)
{
    FILE *f = fopen(in_folder("pause.csv"), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "time/s,Ecell/V,I/mA\n");
    for (int t = 0; t <= 2000; t++) /* the computer slept, and its clock was set back later */
        if (t < 310 || t > 590)
            fprintf(f, "%d,%.4f,-2.000\n", t < 760 ? t : t - 460, 2.5 - 1e-3 * t);
    fclose(f);
    write_logged("l.yaml", "log: {file: pause.csv, frames: {start: 50, every_s: 90, exposure_s: 60}, clock: {estimate: false}}\n");
    bragg_series *s = fit_well("l.yaml");
    ck_assert(noted(s, "3 frames lie in its gaps"));
    ck_assert(noted(s, "time went back by 459 s: the rest follows on"));
    for (size_t k = 0; k < s->n; k++) {
        double from = 50 + 90.0 * (double)k, middle = from + 30;
        if (from + 60 < 310 || from > 580)
            assert_close(bragg_series_fitted(s, k)->log.voltage_v, 2.5 - 1e-3 * middle, 2e-3);
        else
            ck_assert_msg(isnan(bragg_series_fitted(s, k)->log.voltage_v), "frame %zu at %g s has %g V", k, from, bragg_series_fitted(s, k)->log.voltage_v);
        ck_assert(bragg_series_fitted(s, k)->status == BRAGG_FRAME_OK);
    }
    bragg_series_free(s);
}
END_TEST

/* A row a second; the wall clock is set by hours after 400 of them. */
static void write_dated(const char *name, const char *day, int wall_s, int hours, bool test_time)
{
    FILE *f = fopen(in_folder(name), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, test_time ? "DateTime,Test_Time(s),Ecell/V\n" : "DateTime,Ecell/V\n");
    for (int t = 0; t <= 1000; t++) {
        int w = wall_s + t + (t >= 400 ? 3600 * hours : 0);
        fprintf(f, "%s %02d:%02d:%02d,", day, w / 3600, w / 60 % 60, w % 60);
        if (test_time)
            fprintf(f, "%d,", t);
        fprintf(f, "%.4f\n", 2.5 - 1e-3 * t);
    }
    fclose(f);
}

START_TEST(a_wall_clock_that_is_set_costs_no_frame_its_voltage)
{
    static const struct { const char *day, *said; int hours; bool test_time; } at[] = {
        { "2024-03-31", "the wall clock jumped by 3600 s against the test time", 1, true },
        { "2024-10-27", "the wall clock jumped by -3600 s against the test time", -1, true },
        { "2024-10-27", "the clock went back by an hour (end of daylight saving?): undone", -1, false },
    };
    for (size_t j = 0; j < sizeof at / sizeof *at; j++) {
        write_dated("dated.csv", at[j].day, 7200 + 3600 * (at[j].hours < 0) - 400, at[j].hours, at[j].test_time);
        write_logged("l.yaml", "log: {file: dated.csv, frames: {start: 50, every_s: 90, exposure_s: 60}, clock: {estimate: false}}\n");
        bragg_series *s = fit_well("l.yaml");
        ck_assert_msg(noted(s, at[j].said), "log %zu: not said", j);
        ck_assert(!noted(s, "gaps"));
        for (size_t k = 0; k < s->n; k++) {
            double middle = 80 + 90.0 * (double)k;
            assert_close(bragg_series_fitted(s, k)->log.time_s, middle, 1e-12);
            assert_close(bragg_series_fitted(s, k)->log.voltage_v, 2.5 - 1e-3 * middle, 1e-6);
        }
        bragg_series_free(s);
    }
}
END_TEST

START_TEST(a_log_of_another_day_is_said)
{
    write_log("cell.csv", 0, 2000);
    write_logged("l.yaml", "log: {file: cell.csv, frames: {start: 500000, every_s: 90}}\n");
    bragg_series *s = fit_well("l.yaml");
    ck_assert(noted(s, "covers none"));
    bragg_series_free(s);
}
END_TEST

START_TEST(missing_files_leave_gaps_in_time)
{
    ck_assert_int_eq(rename(in_folder("run/f004.xye"), in_folder("f004.xye")), 0);
    write_log("cell.csv", 0, 2000);
    write_logged("l.yaml", "log: {file: cell.csv, frames: {start: 50, every_s: 90}}\n");
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_status st = fit("l.yaml", NULL, &s, &err);
    ck_assert_int_eq(rename(in_folder("f004.xye"), in_folder("run/f004.xye")), 0);
    ck_assert_int_eq(st, BRAGG_OK);
    assert_close(bragg_series_fitted(s, 4)->time_s - bragg_series_fitted(s, 3)->time_s, 180, 1e-12);
    ck_assert(noted(s, "gaps in the numbers"));
    bragg_series_free(s);
}
END_TEST

/* ---------------------------------------------------------------- store */

#ifdef HAVE_HDF5

/* In a child of a process that has used OpenMP there can be no other. */
static void one_thread(void)
{
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
}

static bragg_series *stored(const char *store, bool resume)
{
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_series_options o = BRAGG_SERIES_OPTIONS_INIT;
    o.store = store;
    o.resume = resume;
    ck_assert_msg(fit("e.yaml", &o, &s, &err) == BRAGG_OK, "%s", err.text);
    return s;
}

static bool stop_after(void *payload, size_t done, size_t total)
{
    return done < *(size_t *)payload;
    (void)total;
}

START_TEST(a_run_that_was_stopped_goes_on_to_the_same_result)
{
    const char *store = in_folder("stop.h5");
    bragg_series *whole = fit_well("e.yaml"), *part;
    for (size_t at = 1; at + 4 < FRAMES; at += 13) { /* other threads still finish theirs */
        bragg_observer stop = { NULL, stop_after, &at };
        bragg_series_options o = { .store = store, .force = true, .provenance = "who, when", .observer = &stop };
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(fit("e.yaml", &o, &part, &err), BRAGG_STOPPED);
        bragg_series_free(part);
        ck_assert_int_eq(bragg_store_read(store, &part, &err), BRAGG_OK);
        size_t done = 0;
        for (size_t k = 0; k < part->n; k++)
            done += bragg_series_fitted(part, k)->status != BRAGG_FRAME_PENDING;
        ck_assert(done >= at && done < FRAMES);
        bragg_series_free(part);
        bragg_series *rest = stored(store, true);
        ck_assert(same_steps(whole, rest));
        bragg_series_free(rest);
    }
    bragg_series_free(whole);
}
END_TEST

START_TEST(a_row_that_is_gone_from_the_disk_is_said_and_nothing_is_made_up)
{
    const char *store = in_folder("gone.h5"), *csv = in_folder("gone.csv");
    bragg_series *s = stored(store, false);
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(truncate(store, 700), 0);
    const bragg_frame_fit *step = bragg_series_fitted(s, 3);
    ck_assert(!step->done && step->error && strstr(step->file, "x"));
    ck_assert_int_eq(bragg_series_whole(s, &err), BRAGG_EIO);
    ck_assert_int_eq(bragg_series_write_csv(s, csv, true, &err), BRAGG_EIO);
    ck_assert_msg(access(csv, F_OK), "half a table was written");
    bragg_series_free(s);
    unlink(store);
}
END_TEST

START_TEST(a_killed_run_goes_on_to_the_same_result)
{
    const char *store = in_folder("kill.h5");
    bragg_series *whole = fit_well("e.yaml");
    unsigned seed = 20240501;
    for (int turn = 0; turn < 4; turn++) {
        bragg_error err = BRAGG_ERROR_INIT;
        unlink(store);
        for (int life = 0; life < 2; life++) {
            pid_t child = fork();
            if (!child) {
                bragg_series *s;
                one_thread();
                bragg_series_options o = { .store = store, .resume = access(store, F_OK) == 0, .force = false };
                fit("e.yaml", &o, &s, &err);
                _exit(0);
            }
            seed = seed * 1664525u + 1013904223u;
            usleep(20000 + (seed >> 13));
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
        }
        bragg_series *rest = stored(store, access(store, F_OK) == 0);
        ck_assert(same_steps(whole, rest));
        bragg_series_free(rest);
    }
    bragg_series_free(whole);
}
END_TEST

START_TEST(the_store_holds_what_an_electron_a_formula_weighs)
{
    bragg_series_options o = BRAGG_SERIES_OPTIONS_INIT;
    bragg_series *s, *back;
    bragg_error err = BRAGG_ERROR_INIT;
    o.store = in_folder("molar.h5");
    write_log("cell.csv", 0, 2000);
    write_logged("l.yaml", "log: {file: cell.csv, mass_mg: 5, molar_mass: 149.83, frames: {start: 50, every_s: 90, exposure_s: 60}, clock: {offset_s: 7}}\n");
    ck_assert_msg(fit("l.yaml", &o, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_store_read(o.store, &back, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(back->n_stored_log && !(fabs(back->molar_mass - 149.83) > 0));
    bragg_series_free(back);
    bragg_series_free(s);
}
END_TEST

START_TEST(the_store_holds_when_frames_were_taken_that_do_not_say_so_themselves)
{
    bragg_series_options o = BRAGG_SERIES_OPTIONS_INIT;
    bragg_series *s, *back;
    bragg_error err = BRAGG_ERROR_INIT;
    o.store = in_folder("times.h5");
    write_log("cell.csv", 0, 2000);
    write_logged("l.yaml", "log: {file: cell.csv, frames: {start: 50, every_s: 90.7, exposure_s: 60}, clock: {offset_s: 7}}\n");
    ck_assert_msg(fit("l.yaml", &o, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_store_read(o.store, &back, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(s->timed && back->timed && back->n == s->n);
    for (size_t k = 0; k < s->n; k++) {
        assert_close(bragg_series_fitted(back, k)->time_s, 50 + 90.7 * (double)k, 1e-13);
        assert_close(bragg_series_fitted(back, k)->exposure_s, 60, 1e-13);
        assert_close(bragg_series_time_s(back, k), bragg_series_time_s(s, k), 1e-13);
    }
    bragg_series_free(back);
    bragg_series_free(s);
}
END_TEST

START_TEST(the_store_holds_what_the_run_returned)
{
    const char *store = in_folder("whole.h5");
    bragg_series *a = stored(store, false), *b;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_store_read(store, &b, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(same_steps(a, b) && a->n_params == b->n_params && !strcmp(a->title, b->title));
    for (size_t k = 0; k < a->n; k++)
        ck_assert_str_eq(bragg_series_fitted(a, k)->file, bragg_series_fitted(b, k)->file);
    bragg_store_curves c;
    ck_assert_int_eq(bragg_store_patterns(store, 10, &c, &err), BRAGG_OK);
    ck_assert(c.rows == 9 && c.frames == 5 && c.n > 1200);
    double difference = 0, sum = 0;
    double *room = malloc(2 * c.n * sizeof *room);
    for (size_t r = 0; r < c.rows; r++) {
        const double *observed = bragg_store_curves_row(&c, BRAGG_CURVE_OBSERVED, r, room), *calculated = bragg_store_curves_row(&c, BRAGG_CURVE_CALCULATED, r, room + c.n);
        for (size_t i = 0; i < c.n; i++)
            difference += fabs(observed[i] - calculated[i]), sum += observed[i];
    }
    free(room);
    ck_assert_msg(difference < 0.05 * sum, "%g of %g", difference, sum);
    bragg_store_curves_free(&c);
    bragg_series_free(a);
    bragg_series_free(b);
}
END_TEST

START_TEST(a_store_is_neither_overwritten_nor_mixed)
{
    const char *store = in_folder("mine.h5");
    bragg_series *s = stored(store, false);
    bragg_series_free(s);
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_series_options o = { .store = store, .resume = false, .force = false, .provenance = NULL, .observer = NULL };
    ck_assert_int_eq(fit("e.yaml", &o, &s, &err), BRAGG_EEXIST);
    ck_assert(strstr(err.text, "--resume") && strstr(err.text, "--force"));
    write_experiment("other.yaml", "sequence: {enter: 12}\n");
    err = (bragg_error)BRAGG_ERROR_INIT;
    o.resume = true;
    ck_assert_int_eq(fit("other.yaml", &o, &s, &err), BRAGG_EDATA);
    ck_assert(strstr(err.text, "another experiment"));
    write_file("text.h5", "no store");
    err = (bragg_error)BRAGG_ERROR_INIT;
    o.store = in_folder("text.h5");
    ck_assert_int_eq(fit("e.yaml", &o, &s, &err), BRAGG_EDATA);
}
END_TEST

START_TEST(each_column_of_a_store_has_a_name_of_its_own)
{
    enum { NAME = 128 };
    static const char *const some[] = { "status", "mended", "background", "background.esd", "above_background" };
    const char *store = in_folder("named.h5");
    bragg_series_free(stored(store, false));
    hid_t file = H5Fopen(store, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, "/series/columns", H5P_DEFAULT), type = H5Dget_type(set), space = H5Dget_space(set);
    size_t n = (size_t)H5Sget_simple_extent_npoints(space), found = 0;
    char(*name)[NAME] = calloc(n, sizeof *name);
    ck_assert(n > 16 && H5Tget_size(type) == NAME && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, name) >= 0);
    for (size_t k = 0; k < n; k++) {
        ck_assert_msg(*name[k] && *name[k] != '(', "column %zu is called '%s'", k, name[k]);
        for (size_t i = 0; i < k; i++)
            ck_assert_msg(strcmp(name[i], name[k]), "columns %zu and %zu are called '%s'", i, k, name[k]);
        for (size_t i = 0; i < sizeof some / sizeof *some; i++)
            found += !strcmp(name[k], some[i]);
    }
    ck_assert_uint_eq(found, sizeof some / sizeof *some);
    free(name);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
    H5Fclose(file);
}
END_TEST

static void set_format(const char *store, int format)
{
    hid_t file = H5Fopen(store, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "/format", H5P_DEFAULT);
    ck_assert(H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &format) >= 0);
    H5Dclose(set);
    H5Fclose(file);
}

/* Told with both versions and what to do, by all that read or write stores. */
START_TEST(a_store_of_another_version_is_told_and_left_as_it_is)
{
    static const struct { int format; const char *says; } other[] = { { 4711, "newer bragg (format 4711, this one reads" }, { 0, "older bragg (format 0, this one reads" } };
    const char *store = in_folder("newer.h5");
    char before[BRAGG_HASH_TEXT], after[BRAGG_HASH_TEXT];
    bragg_series *s = stored(store, false);
    bragg_series_free(s);
    for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
        set_format(store, other[k].format);
        ck_assert_int_eq(bragg_hash_file(store, before, NULL), BRAGG_OK);
        bragg_store_view *view;
        bragg_store_curves c;
        size_t frames;
        bragg_series_options o = { .store = store, .resume = true };
        bragg_error err[4] = { BRAGG_ERROR_INIT, BRAGG_ERROR_INIT, BRAGG_ERROR_INIT, BRAGG_ERROR_INIT }, one = BRAGG_ERROR_INIT;
        ck_assert_int_eq(fit("e.yaml", &o, &s, &err[0]), BRAGG_ENOSUPPORT);
        ck_assert_int_eq(bragg_store_read(store, &s, &err[1]), BRAGG_ENOSUPPORT);
        ck_assert_int_eq(bragg_store_look(store, &view, &err[2]), BRAGG_ENOSUPPORT);
        ck_assert_int_eq(bragg_store_patterns(store, 10, &c, &err[3]), BRAGG_ENOSUPPORT);
        for (int i = 0; i < 4; i++)
            ck_assert_msg(strstr(err[i].text, other[k].says) && strstr(err[i].text, "--force"), "%d: %s", i, err[i].text);
        o.resume = false;
        ck_assert_int_eq(fit("e.yaml", &o, &s, &one), BRAGG_EEXIST);
        one = (bragg_error)BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_frame_count(store, &frames, &one), BRAGG_EDATA); /* nor is it a frame */
        ck_assert_msg(strstr(one.text, "bragg report"), "%s", one.text);
        ck_assert_int_eq(bragg_hash_file(store, after, NULL), BRAGG_OK);
        ck_assert_str_eq(before, after);
    }
}
END_TEST

static bool look_in(void *payload, size_t done, size_t total)
{
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_series_options o = { .store = payload, .resume = true, .force = false, .provenance = NULL, .observer = NULL };
    if (done != 5)
        return true;
    ck_assert_msg(bragg_store_read(payload, &s, &err) == BRAGG_OK, "%s", err.text); /* a reader is let in */
    ck_assert_uint_eq(s->n, total);
    bragg_series_free(s);
    ck_assert_int_eq(fit("e.yaml", &o, &s, &err), BRAGG_EEXIST); /* a second writer is not */
    ck_assert(strstr(err.text, "another process") != NULL);
    return false;
}

START_TEST(a_growing_store_has_readers_but_one_writer)
{
    char *store = strdup(in_folder("lock.h5"));
    bragg_observer look = { NULL, look_in, store };
    bragg_series *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_series_options o = { .store = store, .resume = false, .force = false, .provenance = NULL, .observer = &look };
    ck_assert_int_eq(fit("e.yaml", &o, &s, &err), BRAGG_STOPPED);
    bragg_series_free(s);
    free(store);
}
END_TEST

START_TEST(a_full_disk_loses_nothing_that_was_done)
{
    const char *store = in_folder("full.h5");
    bragg_series *whole = fit_well("e.yaml");
    pid_t child = fork();
    if (!child) {
        bragg_series *s;
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_series_options o = { .store = store, .resume = false, .force = false, .provenance = NULL, .observer = NULL };
        one_thread();
        /* the file is laid out whole; writes beyond this size fail as on a full disk */
        struct rlimit limit;
        signal(SIGXFSZ, SIG_IGN);
        limit.rlim_cur = limit.rlim_max = 160000;
        setrlimit(RLIMIT_FSIZE, &limit);
        bragg_status st = fit("e.yaml", &o, &s, &err);
        _exit(st == BRAGG_EIO ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bragg_series *rest = stored(store, access(store, F_OK) == 0);
    ck_assert(same_steps(whole, rest));
    bragg_series_free(rest);
    bragg_series_free(whole);
}
END_TEST

#endif

static void make_once(void)
{
    /* GNU's OpenMP does not survive a fork of a process that has used it */
    make_folder("operando");
    pid_t maker = fork();
    int made;
    if (!maker) {
        make_run();
        exit(0);
    }
    if (waitpid(maker, &made, 0) != maker || made)
        exit(1);
}

static TCase *add_case(Suite *suite, const char *name, double timeout_s)
{
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, timeout_s);
    suite_add_tcase(suite, t);
    return t;
}

static void add_sequence(Suite *suite)
{
    TCase *t = add_case(suite, "sequence", 300);
    tcase_add_test(t, phases_come_and_go_within_a_frame_of_the_truth);
    tcase_add_test(t, cells_follow_the_truth_within_their_esds);
    tcase_add_test(t, a_faint_phase_of_broad_lines_is_not_found_too_weak);
    tcase_add_test(t, a_phase_that_fades_is_weighed_as_broad_as_it_was);
    tcase_add_test(t, a_window_without_lines_keeps_its_cell);
    tcase_add_test(t, a_phase_that_began_as_nothing_is_found_when_it_comes);
    tcase_add_test(t, a_cell_that_leaps_is_tried_from_the_frame_beside_it);
    tcase_add_test(t, results_are_the_same_on_one_and_three_threads);
    tcase_add_test(t, a_phase_nobody_listed_is_an_alarm);
    tcase_add_test(t, the_card_set_names_what_nobody_listed);
    tcase_add_test(t, bad_frames_cost_only_themselves);
    tcase_add_test(t, a_wrong_sequence_section_is_told_with_its_line);
}

static void add_live(Suite *suite)
{
    TCase *t = add_case(suite, "live", 300);
    tcase_add_test(t, a_folder_is_followed_and_half_frames_are_waited_for);
    tcase_add_test(t, a_folder_that_goes_away_and_comes_back_loses_no_frame);
    tcase_add_test(t, patience_ends_for_a_file_but_never_for_a_folder);
    tcase_add_test(t, an_empty_folder_of_another_device_is_none);
    tcase_add_test(t, names_of_frames_are_bytes);
    tcase_add_test(t, raw_frames_are_integrated_and_bad_ones_cost_only_themselves);
    tcase_add_test(t, dark_and_flat_are_turned_as_the_frames_are);
#ifdef HAVE_HDF5
    tcase_add_test(t, a_stack_is_read_whole_or_in_slices_and_holes_are_no_frames);
    tcase_add_test(t, a_growing_stack_is_followed);
    tcase_add_test(t, what_a_growing_log_tells_is_in_the_store_at_once);
    tcase_add_test(t, no_frame_waits_for_the_log);
#endif
}

START_TEST(numbers_of_no_status_and_no_step_are_words_all_the_same)
{
    bragg_frame_fit step = { .file = "x.xye", .status = (bragg_frame_status)77, .log = { .kind = 1e9 }, .time_s = NAN };
    bragg_series s = { .n = 1, .by_hand = &step };
    char *text = NULL;
    size_t room = 0;
    ck_assert_int_eq(bragg_series_write_csv(&s, in_folder("absurd.csv"), true, NULL), BRAGG_OK);
    FILE *f = fopen(in_folder("absurd.csv"), "r");
    ck_assert(getline(&text, &room, f) > 0 && getline(&text, &room, f) > 0);
    ck_assert_msg(!strncmp(text, "0,x.xye,0,unknown,,", 19), "%s", text);
    step.log.kind = -3;
    ck_assert_int_eq(bragg_series_write_json(&s, in_folder("absurd.json"), true, NULL), BRAGG_OK);
    fclose(f);
    free(text);
}
END_TEST

static void add_log(Suite *suite)
{
    TCase *t = add_case(suite, "log", 300);
    tcase_add_test(t, numbers_of_no_status_and_no_step_are_words_all_the_same);
    tcase_add_test(t, each_frame_gets_the_log_of_its_own_exposure);
    tcase_add_test(t, a_log_that_starts_late_and_ends_early_is_said);
    tcase_add_test(t, a_log_that_jumps_is_said_and_nothing_is_made_up_for_its_pause);
    tcase_add_test(t, a_wall_clock_that_is_set_costs_no_frame_its_voltage);
    tcase_add_test(t, a_log_of_another_day_is_said);
    tcase_add_test(t, missing_files_leave_gaps_in_time);
}

static void add_store(Suite *suite)
{
#ifdef HAVE_HDF5
    TCase *t = add_case(suite, "store", 600);
    tcase_add_test(t, a_run_that_was_stopped_goes_on_to_the_same_result);
    tcase_add_test(t, a_killed_run_goes_on_to_the_same_result);
    tcase_add_test(t, the_store_holds_what_the_run_returned);
    tcase_add_test(t, the_store_holds_what_an_electron_a_formula_weighs);
    tcase_add_test(t, the_store_holds_when_frames_were_taken_that_do_not_say_so_themselves);
    tcase_add_test(t, a_store_is_neither_overwritten_nor_mixed);
    tcase_add_test(t, each_column_of_a_store_has_a_name_of_its_own);
    tcase_add_test(t, a_store_of_another_version_is_told_and_left_as_it_is);
    tcase_add_test(t, a_growing_store_has_readers_but_one_writer);
    tcase_add_test(t, a_full_disk_loses_nothing_that_was_done);
    tcase_add_test(t, a_row_that_is_gone_from_the_disk_is_said_and_nothing_is_made_up);
#else
    (void)suite;
    printf("skipped: the store, as this build has no HDF5\n");
#endif
}

int main(void)
{
    make_once();
    Suite *suite = suite_create("operando");
    add_sequence(suite);
    add_live(suite);
    add_log(suite);
    add_store(suite);
    int failed = run_suite(suite);
    return drop_folder() && !failed ? 0 : 1;
}
