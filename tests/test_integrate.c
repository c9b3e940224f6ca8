/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole files of frames: runs that stop and go on, frames that are bad, what is refused. */
#include "config.h"
#include "folder.h"
#include "suite.h"

#include <bragg/bytes.h>
#include <bragg/integrate.h>
#include <bragg/path.h>
#include <math.h>
#include <omp.h>
#include <unistd.h>

enum { FRAMES = 150, ROUND = 64, ROWS = 31, COLUMNS = 23, BINS = 17 }; /* of one thread a round has 64 */
static const char layout[] = "23x31xuint16";

static uint16_t count_at(int k, int i) { return (uint16_t)(50 + (i * 7 + k * 3) % 113 + (i % COLUMNS) * 5); }

static void write_frames(const char *name, int n)
{
    FILE *f = fopen(in_folder(name), "wb");
    must(f != NULL, name);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            uint16_t v = count_at(k, i);
            fwrite(&v, sizeof v, 1, f);
        }
    must(fclose(f) == 0, name);
}

static void make_run(void)
{
    static const bragg_geometry g = { 0.2137, 0.0011, 0.0007, 0.013, -0.021, 0.231, 172e-6, 151e-6, ROWS, COLUMNS, 0.7107, 3, "" };
    bragg_error err = BRAGG_ERROR_INIT;
    make_folder("integrate");
    must(bragg_geometry_write_poni(&g, in_folder("setup.poni"), true, &err) == BRAGG_OK, err.text);
    write_frames("run.raw", FRAMES);
    write_frames("one.raw", 1);
    write_file("text.tif", "2.385 1.6021\n");
    write_file("words.tif", "nor is this a frame\n");
}

static bragg_integrate_files_options options(const char *out)
{
    bragg_integrate_files_options o = BRAGG_INTEGRATE_FILES_OPTIONS_INIT;
    o.poni = in_folder("setup.poni");
    o.raw = layout;
    o.plan.n_bins = BINS;
    o.out = in_folder(out);
    return o;
}

static bragg_status integrate(const bragg_integrate_files_options *o, const char *first, const char *second, bragg_integrate_files_report *r, bragg_error *err)
{
    const char *const paths[] = { in_folder(first), second ? in_folder(second) : NULL };
    *err = (bragg_error)BRAGG_ERROR_INIT;
    return bragg_integrate_files(paths, second ? 2 : 1, o, r, err);
}

static size_t files_in(const char *name)
{
    bragg_arena *arena = bragg_arena_new();
    const char **files;
    size_t n = 0;
    if (bragg_path_list(arena, in_folder(name), ".xye", &files, &n, NULL) < 0)
        n = 0;
    bragg_arena_free(arena);
    return n;
}

static bool after_one_round(void *payload, size_t done, size_t total)
{
    *(size_t *)payload = done;
    return done < ROUND;
    (void)total;
}

static void stop_and_go_on(const char *out, bragg_integrate_files_report *whole)
{
    size_t done = 0;
    bragg_observer stop = { NULL, after_one_round, &done };
    bragg_integrate_files_options o = options(out);
    bragg_integrate_files_report r;
    bragg_error err;
    omp_set_num_threads(1);
    o.observer = &stop;
    ck_assert_int_eq(integrate(&o, "run.raw", NULL, &r, &err), BRAGG_STOPPED);
    ck_assert_uint_eq(done, ROUND);
    ck_assert(r.frames == ROUND && r.bad == 0);
    o.observer = NULL;
    ck_assert_int_eq(integrate(&o, "run.raw", NULL, &r, &err), BRAGG_EEXIST);
    o.resume = true;
    ck_assert_msg(integrate(&o, "run.raw", NULL, &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(r.frames == FRAMES - ROUND && r.bad == 0);
    *whole = r;
}

START_TEST(a_run_that_was_stopped_goes_on_to_the_same_bytes)
{
    bragg_integrate_files_report r;
    bragg_error err;
    bragg_integrate_files_options o = options("whole");
    ck_assert_msg(integrate(&o, "run.raw", NULL, &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(r.frames == FRAMES && r.bad == 0 && !r.store);
    ck_assert_uint_eq(files_in("whole"), FRAMES);
    stop_and_go_on("parts", &r);
    ck_assert_uint_eq(files_in("parts"), FRAMES);
    for (int k = 0; k < FRAMES; k++) {
        char name[64];
        unsigned char *a, *b;
        size_t n, m;
        snprintf(name, sizeof name, "whole/run_%05d.xye", k);
        ck_assert_msg(bragg_bytes_of_file(in_folder(name), 1 << 20, &a, &n, &err) == BRAGG_OK, "%s", err.text);
        snprintf(name, sizeof name, "parts/run_%05d.xye", k);
        ck_assert_msg(bragg_bytes_of_file(in_folder(name), 1 << 20, &b, &m, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_msg(n > 100 && n == m && !memcmp(a, b, n), "frame %d", k);
        free(a);
        free(b);
    }
}
END_TEST

#ifdef HAVE_HDF5
START_TEST(a_store_that_was_stopped_goes_on_to_the_same_patterns)
{
    bragg_integrate_files_report r;
    bragg_error err;
    bragg_integrate_files_options o = options("whole.h5");
    bragg_pattern **a, **b;
    size_t n, m;
    ck_assert_msg(integrate(&o, "run.raw", NULL, &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(r.frames == FRAMES && r.store);
    stop_and_go_on("parts.h5", &r);
    ck_assert_msg(bragg_pattern_read_all(in_folder("whole.h5"), &a, &n, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_pattern_read_all(in_folder("parts.h5"), &b, &m, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(n == FRAMES && m == FRAMES);
    for (size_t k = 0; k < n; k++) {
        ck_assert_uint_eq(a[k]->n, BINS);
        ck_assert(b[k]->n == BINS && !memcmp(a[k]->y, b[k]->y, BINS * sizeof(double)) && !memcmp(a[k]->sigma, b[k]->sigma, BINS * sizeof(double)));
        bragg_pattern_free(a[k]);
        bragg_pattern_free(b[k]);
    }
    free(a);
    free(b);
    o.resume = true; /* of other files, or with other settings, nothing goes on */
    ck_assert_int_eq(integrate(&o, "one.raw", NULL, &r, &err), BRAGG_EDATA);
    o.plan.polarization = 0.9;
    ck_assert_int_lt(integrate(&o, "run.raw", NULL, &r, &err), 0);
}
END_TEST
#endif

START_TEST(what_cannot_be_written_is_refused_before_the_work)
{
    bragg_integrate_files_report r;
    bragg_error err;
    bragg_integrate_files_options cakes = options("no"), spread = cakes, both = cakes, nowhere = cakes;
    cakes.plan.n_azimuth = 3;
    spread.deviations = true;
    both.resume = both.force = true;
    nowhere.poni = NULL;
    ck_assert_int_eq(integrate(&cakes, "run.raw", NULL, &r, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "expected OUT.h5 for sectors or deviations"), "%s", err.text);
    ck_assert_int_eq(integrate(&spread, "run.raw", NULL, &r, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "expected OUT.h5 for sectors or deviations"), "%s", err.text);
    ck_assert_int_eq(integrate(&both, "run.raw", NULL, &r, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "going on and beginning anew"), "%s", err.text);
    ck_assert_int_eq(integrate(&nowhere, "run.raw", NULL, &r, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "expected a geometry"), "%s", err.text);
    bragg_integrate_files_options named = options("one.xye"), twice = options("twice");
    ck_assert_int_eq(integrate(&named, "run.raw", NULL, &r, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "the name of one pattern"), "%s", err.text);
    ck_assert_int_eq(integrate(&twice, "one.raw", "one.raw", &r, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "would both be written to"), "%s", err.text);
    ck_assert(access(in_folder("no"), F_OK) && access(in_folder("one.xye"), F_OK) && access(in_folder("twice"), F_OK));
}
END_TEST

static void count_warnings(void *payload, int level, const char *text)
{
    *(int *)payload += level == BRAGG_LOG_WARNING;
    (void)text;
}

START_TEST(a_bad_frame_costs_itself_and_without_a_good_one_there_is_no_answer)
{
    int warnings = 0;
    bragg_observer hear = { count_warnings, NULL, &warnings };
    bragg_integrate_files_report r;
    bragg_error err;
    bragg_integrate_files_options o = options("some"), unread = options("unread"), unmeasured = options("unmeasured");
    o.observer = &hear;
    ck_assert_msg(integrate(&o, "no such file.tif", "one.raw", &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(r.frames == 2 && r.bad == 1 && warnings == 1);
    ck_assert_uint_eq(files_in("some"), 1);
    unread.raw = NULL;
    ck_assert_int_eq(integrate(&unread, "text.tif", "words.tif", &r, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "none of 2 frames can be read") && strstr(err.text, "text.tif: expected a frame"), "%s", err.text);
    ck_assert_int_eq(integrate(&unread, "text.tif", NULL, &r, &err), BRAGG_ENOSUPPORT); /* the only one has a cause */
    unmeasured.normalize = BRAGG_NORMALIZE_MONITOR;
    ck_assert_int_eq(integrate(&unmeasured, "run.raw", NULL, &r, &err), BRAGG_EDATA);
    ck_assert_str_eq(err.text, "no frame could be integrated");
    ck_assert(r.frames == FRAMES && r.bad == FRAMES);
    ck_assert_int_eq(integrate(&unmeasured, "one.raw", NULL, &r, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "--normalize monitor: expected it in the frame's file"), "%s", err.text);
}
END_TEST

int main(void)
{
    make_run();
    Suite *suite = suite_create("integrate");
    TCase *all = tcase_create("all");
    tcase_add_test(all, a_run_that_was_stopped_goes_on_to_the_same_bytes);
#ifdef HAVE_HDF5
    tcase_add_test(all, a_store_that_was_stopped_goes_on_to_the_same_patterns);
#endif
    tcase_add_test(all, what_cannot_be_written_is_refused_before_the_work);
    tcase_add_test(all, a_bad_frame_costs_itself_and_without_a_good_one_there_is_no_answer);
    suite_add_tcase(suite, all);
    int failed = run_suite(suite);
    return drop_folder() ? failed : 1;
}
