/* SPDX-License-Identifier: GPL-3.0-or-later */
/* G(r) of a run, row by row. */
#include "config.h"
#include <check.h>

#include "reference.h"
#include "run_made.h"
#include "suite.h"

#include <bragg/analysis.h>

static const char recipe_text[] = "pdf: {composition: \"Zr0.34 O1.02 P0.34 C2.04 H1.36 P0.34 O1.02 O3 P O H O0.64 H0.64 H2.9 O1.45\", background: b.chi, "
                                  "bgscale: 0.9998, qmin: 0.1, qmax: 17.98, qmaxinst: 25, rmax: 20}\n";

typedef struct run_of {
    bragg_experiment *x;
    bragg_frames *f;
    bragg_series *s;
    bragg_pdf_recipe recipe;
    bragg_arena *arena;
    bragg_error err;
} run_of;

/* Fitted with something that is not there: the patterns, not the fits, are looked at. */
static void fit_run(run_of *r, const char *store, const char *rest)
{
    char text[1200];
    snprintf(text, sizeof text,
             "radiation: {type: x-ray, wavelength: 0.1867}\ndata: {patterns: \"run/*.chi\", unit: q_nm^-1, range: [10, 120]}\n"
             "phases:\n  - {name: Ni, card: Ni, refine: [scale]}\nrefine: {background: {type: chebyshev, terms: 6}}\n%s", rest);
    write_file("e.yaml", text);
    bragg_series_options o = BRAGG_SERIES_OPTIONS_INIT;
    o.store = store, o.force = true;
    r->err = (bragg_error)BRAGG_ERROR_INIT;
    r->arena = bragg_arena_new();
    ck_assert_msg(bragg_experiment_read(in_folder("e.yaml"), &r->x, &r->err) == BRAGG_OK, "%s", r->err.text);
    ck_assert_msg(bragg_pdf_recipe_read(bragg_yaml_get(r->x->root, "pdf"), in_folder("e.yaml"), r->arena, &r->recipe, &r->err) == BRAGG_OK, "%s", r->err.text);
    ck_assert_msg(bragg_frames_open(r->x, in_folder("e.yaml"), false, &r->f, &r->err) == BRAGG_OK, "%s", r->err.text);
    ck_assert_msg(bragg_series_fit(r->x, in_folder("e.yaml"), r->f, &o, &r->s, &r->err) == BRAGG_OK, "%s", r->err.text);
}

static bragg_pdf_course *total_of(run_of *r, size_t rows)
{
    bragg_pdf_course *t;
    ck_assert_msg(bragg_series_pdf(r->s, r->f, r->x, &r->recipe, rows, r->arena, &t, &r->err) == BRAGG_OK, "%s", r->err.text);
    return t;
}

static void free_run(run_of *r)
{
    bragg_series_free(r->s);
    bragg_frames_free(r->f);
    bragg_experiment_free(r->x);
    bragg_arena_free(r->arena);
}

static void copy_in(const char *from, const char *name)
{
    char path[512], command[1200];
    ck_assert(shared_file(path, from));
    snprintf(command, sizeof command, "mkdir -p '%s/run' && cp '%s' '%s/%s'", folder, path, folder, name);
    ck_assert_int_eq(system(command), 0);
}

/* Five frames of two measured samples, the fourth of them broken off. */
static bool measured_run(void)
{
    char path[512];
    if (!shared_file(path, "data/pdf/HZr/kapton_background.chi")) {
        printf("skipped: no $BRAGG_SHARED/data/pdf\n");
        return false;
    }
    copy_in("data/pdf/HZr/kapton_background.chi", "b.chi");
    for (int k = 0; k < 5; k++) {
        char name[40];
        snprintf(name, sizeof name, "run/s-%d.chi", k);
        copy_in(k % 2 ? "data/pdf/HZr/H-Zr_2-1_PP.chi" : "data/pdf/HZr/H-Zr_1-0_PP.chi", name);
    }
    write_file("run/s-3.chi", "broken\n");
    return true;
}

/* sqrt(sum (a - s b)^2 / sum a^2) of two G(r) of another program, from 1 to 20 angstrom. */
static double change_of(const char *one, const char *other, double *scale)
{
    char path[2][512];
    bragg_pdf_data *a, *b;
    double ab = 0, bb = 0, aa = 0, left = 0;
    ck_assert(shared_file(path[0], one) && shared_file(path[1], other));
    ck_assert_int_eq(bragg_pdf_data_read(path[0], &a, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_data_read(path[1], &b, NULL), BRAGG_OK);
    for (size_t i = 0; i < a->n; i++)
        if (a->r[i] >= 1 && a->r[i] <= 20)
            ab += a->g[i] * b->g[i], bb += b->g[i] * b->g[i];
    *scale = ab / bb;
    for (size_t i = 0; i < a->n; i++)
        if (a->r[i] >= 1 && a->r[i] <= 20)
            left += pow(a->g[i] - *scale * b->g[i], 2), aa += a->g[i] * a->g[i];
    bragg_pdf_data_free(a);
    bragg_pdf_data_free(b);
    return sqrt(left / aa);
}

/* Truth: the G(r) that xPDFsuite made of the same two files with the same settings. */
START_TEST(what_changes_between_two_measured_samples_is_what_another_program_finds)
{
    run_of r;
    double scale;
    if (!measured_run())
        return;
    fit_run(&r, NULL, recipe_text);
    bragg_pdf_course *t = total_of(&r, 0);
    double change = change_of("data/pdf/HZr/pdfs/H-Zr_2-1_PP_includeFirstPeak.gr", "data/pdf/HZr/pdfs/H-Zr_1-0_PP_includeFirstPeak.gr", &scale);
    ck_assert_uint_eq(t->rows, 5);
    ck_assert_uint_eq(t->n, 2001);
    ck_assert_msg(fabs(t->change[0][1] - change) < 0.01 && change > 0.05, "%g of G(r) instead of %g", t->change[0][1], change);
    ck_assert_msg(fabs(t->change[1][1] / scale - 1) < 0.01, "scale %g instead of %g", t->change[1][1], scale);
    ck_assert(fabs(t->change[0][2]) < 1e-12 && fabs(t->change[1][4] - 1) < 1e-12);
    ck_assert_msg(isnan(t->gr[3 * t->n + 700]) && isnan(t->change[0][3]), "a frame that cannot be read has a G(r)");
    ck_assert(!memcmp(t->gr, t->gr + 4 * t->n, t->n * sizeof *t->gr));
    free_run(&r);
}
END_TEST

START_TEST(a_row_is_what_the_same_settings_make_of_its_pattern)
{
    run_of r;
    bragg_pattern *p, *empty;
    bragg_pdf *alone;
    double exposure;
    if (!measured_run())
        return;
    fit_run(&r, NULL, recipe_text);
    bragg_pdf_course *t = total_of(&r, 0);
    bragg_pdf_options o = r.recipe.options;
    o.wavelength_ang = 0.1867;
    o.anomalous = true;
    ck_assert_int_eq(bragg_frames_read(r.f, 1, &p, &exposure, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_pattern_read(in_folder("b.chi"), 0, &empty, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_reduce(p, empty, &r.recipe.composition, &o, &alone, &r.err), BRAGG_OK);
    ck_assert_uint_eq(alone->m, t->n);
    for (size_t i = 0; i < t->n; i++)
        ck_assert_msg(fabs(alone->gr[i] - t->gr[t->n + i]) < 1e-12, "G(%g) %g instead of %g", t->r_ang[i], t->gr[t->n + i], alone->gr[i]);
    bragg_pdf_free(alone);
    bragg_pattern_free(p);
    bragg_pattern_free(empty);
    free_run(&r);
}
END_TEST

/* Every choice that is left open is made once, by the first that can be used. */
START_TEST(what_is_left_open_is_chosen_once_for_all)
{
    run_of r;
    if (!measured_run())
        return;
    write_file("run/s-0.chi", "broken\n");
    fit_run(&r, NULL, "pdf: {composition: \"Zr0.34 O1.02 P0.34 C2.04 H1.36 P0.34 O1.02 O3 P O H O0.64 H0.64 H2.9 O1.45\", background: b.chi}\n");
    bragg_pdf_course *t = total_of(&r, 0);
    ck_assert_msg(isnan(t->gr[100]) && t->change[0][1] < 1e-12 && t->change[0][2] > 0.05, "%g %g", t->change[0][1], t->change[0][2]);
    ck_assert(t->used.qmax_invang > 15 && t->used.qmax_invang < 25 && fabs(t->used.background_scale - 1) < 0.3);
    ck_assert(!memcmp(t->gr + 2 * t->n, t->gr + 4 * t->n, t->n * sizeof *t->gr));
    free_run(&r);
}
END_TEST

#ifdef HAVE_HDF5
static bragg_status add_analysis(const bragg_analysis *a, run_of *r)
{
    json_t *summary = bragg_analysis_summary();
    bragg_status st = bragg_analysis_write(a, r->s, folder, true, summary, &r->err);
    if (st == BRAGG_OK)
        st = bragg_store_add_analysis(in_folder("series.h5"), folder, summary, r->s, &r->err);
    json_decref(summary);
    return st;
}

START_TEST(the_store_keeps_it)
{
    run_of r;
    bragg_pdf_course *back;
    if (!measured_run())
        return;
    fit_run(&r, in_folder("series.h5"), recipe_text);
    bragg_analysis a = { .total = total_of(&r, 0) };
    const bragg_pdf_course *t = a.total;
    ck_assert_msg(bragg_store_pdf(in_folder("series.h5"), r.arena, &back, &r.err) == BRAGG_OK && !back, "%s", r.err.text);
    ck_assert_msg(add_analysis(&a, &r) == BRAGG_OK, "%s", r.err.text);
    ck_assert_msg(bragg_store_pdf(in_folder("series.h5"), r.arena, &back, &r.err) == BRAGG_OK && back, "%s", r.err.text);
    ck_assert(back->n == t->n && back->rows == t->rows && back->frames == t->frames);
    for (size_t i = 0; i < t->n * t->rows; i++)
        ck_assert_msg(fabs(back->gr[i] - t->gr[i]) < 1e-8 * (1 + fabs(t->gr[i])) || (isnan(back->gr[i]) && isnan(t->gr[i])), "%g instead of %g", back->gr[i], t->gr[i]);
    ck_assert(fabs(back->change[0][1] - t->change[0][1]) < 1e-6 && fabs(back->slope[0][2] - t->slope[0][2]) < 1e-6 && isnan(back->change[1][3]));
    free_run(&r);
}
END_TEST

/* Numbers in it that no run has left are an error, not a map. */
START_TEST(a_course_that_does_not_fit_the_run_is_refused)
{
    run_of r;
    bragg_pdf_course *back;
    if (!measured_run())
        return;
    for (int k = 0; k < 2; k++) {
        fit_run(&r, in_folder("series.h5"), recipe_text);
        bragg_analysis a = { .total = total_of(&r, 0) };
        a.total->frames = k ? 3 : 1;        /* five rows of three frames, of five frames */
        a.total->rows = k ? 5 : 4;          /* a row is missing: harmless */
        ck_assert_msg(add_analysis(&a, &r) == BRAGG_OK, "%s", r.err.text);
        bragg_status st = bragg_store_pdf(in_folder("series.h5"), r.arena, &back, &r.err);
        ck_assert_msg(k ? st == BRAGG_EDATA && !back && strstr(r.err.text, "/analysis/pdf") : st == BRAGG_OK && back->rows == 4, "%d: %s", k, r.err.text);
        free_run(&r);
    }
}
END_TEST
#endif

/* 12 counted patterns of a liquid, drawn with Poisson noise. */
static void drawn_run(void)
{
    unsigned seed = 73129u;
    char name[40], command[640];
    snprintf(command, sizeof command, "rm -rf '%s/run' && mkdir '%s/run'", folder, folder);
    ck_assert_int_eq(system(command), 0);
    for (int k = 0; k < 12; k++) {
        snprintf(name, sizeof name, "run/s-%02d.chi", k);
        FILE *f = fopen(in_folder(name), "w");
        ck_assert(f != NULL);
        for (int i = 1; i <= 1100; i++) {
            double q = 0.3 + 0.0213 * i, level = 3e4 * (784 * exp(-0.12 * q) + 9) / 784 * (1 + 1.5 * sin(2.49 * q) / (2.49 * q));
            fprintf(f, "%.8g %.0f\n", 10 * q, level + sqrt(level) * noise(&seed));
        }
        fclose(f);
    }
}

START_TEST(a_row_of_four_frames_has_half_the_error_and_scatters_so)
{
    run_of r;
    drawn_run();
    fit_run(&r, NULL, "pdf: {composition: Ni, qmin: 0.5, qmax: 20, qmaxinst: 23, rmax: 15, rpoly: 1.3}\n");
    bragg_pdf_course *one = total_of(&r, 0), *four = total_of(&r, 3);
    ck_assert(one->rows == 12 && four->rows == 3 && four->frames == 4);
    double ratio = 0, scatter = 0;
    size_t n = 0;
    for (size_t i = 200; i < one->n; i += 7, n++) {
        ratio += four->gr_sigma[i] / one->gr_sigma[i];
        scatter += pow((four->gr[i] - four->gr[one->n + i]) / hypot(four->gr_sigma[i], four->gr_sigma[one->n + i]), 2);
    }
    ck_assert_msg(fabs(ratio / (double)n - 0.5) < 0.02, "%g of the error of one", ratio / (double)n);
    ck_assert_msg(fabs(sqrt(scatter / (double)n) - 1) < 0.25, "scatter is %g of the error", sqrt(scatter / (double)n));
    free_run(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("total");
    TCase *rows = tcase_create("rows");
    make_folder("total");
    tcase_set_timeout(rows, 120);
    tcase_add_test(rows, what_changes_between_two_measured_samples_is_what_another_program_finds);
    tcase_add_test(rows, a_row_is_what_the_same_settings_make_of_its_pattern);
    tcase_add_test(rows, what_is_left_open_is_chosen_once_for_all);
#ifdef HAVE_HDF5
    tcase_add_test(rows, the_store_keeps_it);
    tcase_add_test(rows, a_course_that_does_not_fit_the_run_is_refused);
#endif
    tcase_add_test(rows, a_row_of_four_frames_has_half_the_error_and_scatters_so);
    suite_add_tcase(suite, rows);
    int failed = run_suite(suite);
    return drop_folder() && !failed ? 0 : 1;
}
