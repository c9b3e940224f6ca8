/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/nxazint.h>
#include <bragg/pattern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_HDF5
#include <hdf5.h>
#endif

static bragg_status read_bytes(const char *text, size_t length, bragg_pattern **out, bragg_error *err)
{
    FILE *f = fopen("pattern_in.tmp", "wb");
    fwrite(text, 1, length, f);
    fclose(f);
    bragg_status st = bragg_pattern_read_text("pattern_in.tmp", out, err);
    unlink("pattern_in.tmp");
    return st;
}

START_TEST(columns_are_read_with_their_unit_and_wavelength)
{
    static const char text[] = "# unit: q_A^-1\n# wavelength_ang: 0.24125\n1.25, 103.5, 2.5\n1.5;104;2\r\n\n1.75 99 3\n";
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(read_bytes(text, strlen(text), &p, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(p->n, 3);
    ck_assert(p->axis == BRAGG_AXIS_Q && p->wavelength_ang == 0.24125);
    ck_assert(p->x[1] == 1.5 && p->y[1] == 104 && p->sigma[1] == 2);
    bragg_pattern_free(p);
}
END_TEST

START_TEST(without_a_unit_x_is_two_theta_in_degrees_and_sigma_unknown)
{
    bragg_pattern *p;
    ck_assert_int_eq(read_bytes("two theta, counts\n5.13 7\n5.15 9\n", 32, &p, NULL), BRAGG_OK);
    assert_close(p->x[0], 5.13 * BRAGG_DEG, 1e-15);
    ck_assert(isnan(p->sigma[0]) && isnan(p->wavelength_ang));
    bragg_pattern_free(p);
}
END_TEST

/* Numbers that no angle has are none when the caller knows better. */
START_TEST(a_unit_that_is_known_is_taken_before_the_numbers_are_judged)
{
    static const char text[] = "179.3 7\n211.7 9.5\n304.1 4\n";
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t n;
    FILE *f = fopen("pattern_in.xy", "wb");
    fwrite(text, 1, sizeof text - 1, f);
    fclose(f);
    ck_assert_int_eq(bragg_pattern_read("pattern_in.xy", 0, &p, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "2theta in degrees, found 211.7") != NULL, "%s", err.text);
    ck_assert(bragg_pattern_count("pattern_in.xy", &n, NULL) == BRAGG_OK && n == 1);
    ck_assert_int_eq(bragg_pattern_read_as("pattern_in.xy", 0, BRAGG_AXIS_Q, &p, NULL), BRAGG_OK);
    ck_assert(p->axis == BRAGG_AXIS_Q && p->n == 3);
    assert_close(p->x[1], 211.7, 1e-13);
    bragg_pattern_free(p);
    ck_assert_int_eq(bragg_pattern_read_as("pattern_in.xy", 0, BRAGG_AXIS_QNM, &p, NULL), BRAGG_OK);
    ck_assert(p->axis == BRAGG_AXIS_QNM);
    assert_close(p->x[2], 304.1, 1e-12);
    bragg_pattern_free(p);
    unlink("pattern_in.xy");
}
END_TEST

START_TEST(bad_patterns_end_in_one_clear_line)
{
    static const struct { const char *text; size_t length; const char *message; } bad[] = {
        { "", 0, "'pattern_in.tmp': expected at least 2 points, found 0" },
        { "1 2\n2 nan\n3 4\n", 14, "'pattern_in.tmp': point 2: expected finite numbers, found 2th_deg 2 with intensity nan" },
        { "1 2\n3 2\n2 4\n", 12, "'pattern_in.tmp': point 3: expected 2th_deg to increase, found 2 after 3" },
        { "1 2\n2 3\nabc\n", 12, "'pattern_in.tmp': line 3: expected two or three numbers, found 'abc'" },
        { "1 2 3\n2 3\n", 10, "'pattern_in.tmp': line 2: expected 3 columns as before, found 2" },
        { "1 2\n2\0003\n", 8, "'pattern_in.tmp': line 2: expected text, found a NUL byte" },
        { "1 2\n2 1e999\n", 12, "'pattern_in.tmp': line 2: expected two or three numbers, found '2 1e999'" },
        { "# unit: furlong\n1 2\n", 20, "'pattern_in.tmp': line 1: expected a unit such as 2th_deg or q_A^-1, found 'furlong'" },
        { "1\n2\n3\n4\n5\n", 10, "'pattern_in.tmp': line 5: expected two or three numbers, found '5'" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bragg_pattern *p;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_lt(read_bytes(bad[i].text, bad[i].length, &p, &err), 0);
        ck_assert_str_eq(err.text, bad[i].message);
        ck_assert_ptr_null(p);
    }
}
END_TEST

START_TEST(what_is_written_reads_back)
{
    bragg_pattern *p = bragg_pattern_new(3, BRAGG_AXIS_TTH), *back;
    static const double tth[] = { 5.137, 5.285, 6.391 };
    for (int i = 0; i < 3; i++)
        p->x[i] = tth[i] * BRAGG_DEG, p->y[i] = 100.25 / (i + 1), p->sigma[i] = 1.5 + i;
    p->wavelength_ang = 1.540593;
    p->wavelength2_ang = 1.544427;
    p->ratio2 = 0.497;
    p->bin_rad = 0.0082917 * BRAGG_DEG;
    p->pixel_rad = 0.0146897 * BRAGG_DEG;
    p->radius_m = 0.2175;
    bragg_error err = BRAGG_ERROR_INIT;
    unlink("pattern_out.tmp");
    ck_assert_int_eq(bragg_pattern_write_text(p, "pattern_out.tmp", false, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pattern_write_text(p, "pattern_out.tmp", false, &err), BRAGG_EEXIST);
    ck_assert_int_eq(bragg_pattern_read_text("pattern_out.tmp", &back, NULL), BRAGG_OK);
    for (int i = 0; i < 3; i++) {
        assert_close(back->x[i], p->x[i], 1e-11);
        assert_close(back->y[i], p->y[i], 1e-8);
        assert_close(back->sigma[i], p->sigma[i], 1e-5);
    }
    ck_assert(back->wavelength_ang == 1.540593 && back->wavelength2_ang == 1.544427 && back->ratio2 == 0.497);
    assert_close(back->bin_rad, p->bin_rad, 1e-7);
    assert_close(back->pixel_rad, p->pixel_rad, 1e-7);
    assert_close(back->radius_m, p->radius_m, 1e-12);
    unlink("pattern_out.tmp");
    bragg_pattern_free(back);
    bragg_pattern_free(p);
}
END_TEST

START_TEST(ends_of_zeros_are_left_out_and_zeros_within_stay)
{
    static const double y[] = { 0, 0, 0, 0, 7, 0, 0, 0, 3, 5, 0, 0, 0 };
    size_t n = sizeof y / sizeof *y;
    bragg_pattern *p = bragg_pattern_new(n, BRAGG_AXIS_TTH);
    for (size_t i = 0; i < n; i++) {
        p->x[i] = 0.1 + 0.01 * (double)i;
        p->y[i] = y[i];
        p->sigma[i] = 1 + (double)i;
    }
    ck_assert(bragg_pattern_trim(p) == 7 && p->n == 6 && p->y[0] == 7 && p->y[5] == 5 && p->sigma[5] == 10 && p->x[0] == 0.1 + 0.01 * 4);
    ck_assert(bragg_pattern_trim(p) == 0 && p->n == 6); /* nothing more */
    p->y[0] = p->y[1] = p->y[5] = 0; /* two zeros may have been counted... */
    p->y[2] = 4;
    ck_assert(bragg_pattern_trim(p) == 0 && p->n == 6);
    p->y[2] = p->y[4] = 0;
    ck_assert(bragg_pattern_trim(p) == 0 && p->n == 6); /* ...and a pattern of nothing stays for who tells of it */
    bragg_pattern_free(p);
}
END_TEST

START_TEST(real_patterns_read_with_the_points_they_have)
{
    const char *shared = getenv("BRAGG_SHARED");
    static const struct { const char *path; size_t n; double first_deg, last_deg; } real[] = {
        { "data/insitu/Na2CO3-Mn2O3-YCl3_ramp/XYE/1.xye", 2500, 0.7, 15.896016 },
        { "data/mixtures/cpd-1g.prn", 7251, 5.0, 150.0 },
    };
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", shared ? shared : "", real[i].path);
        if (!shared || access(path, R_OK)) {
            printf("skipped, absent: %s\n", path);
            continue;
        }
        bragg_pattern *p;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_pattern_read_text(path, &p, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_uint_eq(p->n, real[i].n);
        assert_close(p->x[0], real[i].first_deg * BRAGG_DEG, 1e-12);
        assert_close(p->x[p->n - 1], real[i].last_deg * BRAGG_DEG, 1e-12);
        bragg_pattern_free(p);
    }
}
END_TEST

/* Sum of twelve uniform numbers less six: unit variance, the same in every run. */
static double gauss(unsigned long long *seed)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) {
        *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
        sum += (double)(*seed >> 11) / 9007199254740992.0;
    }
    return sum;
}

/* A copper pattern of three peaks over a slope, each with its second line. */
static bragg_pattern *doublets(double ratio, unsigned long long *seed)
{
    static const double d_ang[3] = { 3.1347, 1.6372, 0.9179 };
    bragg_pattern *p = bragg_pattern_new(6000, BRAGG_AXIS_TTH);
    p->wavelength_ang = 1.540598;
    p->wavelength2_ang = 1.544426;
    p->ratio2 = ratio;
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (15 + 0.02 * (double)i) * BRAGG_DEG;
        double y = 320 - 0.01 * (double)i;
        for (int k = 0; k < 6; k++) {
            double at = 2 * asin((k & 1 ? p->wavelength2_ang : p->wavelength_ang) / 2 / d_ang[k / 2]);
            y += (k & 1 ? ratio : 1) * 7000 * exp(-0.5 * pow((p->x[i] - at) / (0.06 * BRAGG_DEG), 2));
        }
        p->sigma[i] = sqrt(y);
        p->y[i] = y + p->sigma[i] * gauss(seed);
    }
    return p;
}

static bragg_peak *peaks_of(const bragg_pattern *p, double significance, size_t *n)
{
    bragg_peak *peak;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_pattern_peaks(p, significance, &peak, n, &err) == BRAGG_OK, "%s", err.text);
    return peak;
}

START_TEST(peak_positions_scatter_as_their_uncertainties_say)
{
    unsigned long long seed = 20240607;
    double sum = 0, true_x = 2 * asin(1.540598 / 2 / 1.6372);
    for (int run = 0; run < 200; run++) {
        bragg_pattern *p = doublets(0, &seed);
        size_t n;
        bragg_peak *peak = peaks_of(p, 8, &n);
        ck_assert_uint_eq(n, 3);
        sum += pow((peak[1].x - true_x) / peak[1].x_esd, 2);
        free(peak);
        bragg_pattern_free(p);
    }
    ck_assert_msg(sqrt(sum / 200) > 0.7 && sqrt(sum / 200) < 1.3, "pulls of width %g", sqrt(sum / 200));
}
END_TEST

/* Valleys above half of the tops: each has its own place and width, not all of them one. */
START_TEST(tops_that_a_valley_parts_keep_their_own_places)
{
    unsigned long long seed = 515;
    const double fwhm_deg = 0.34, line_deg[] = { 33.217, 33.217 + 1.3 * fwhm_deg, 33.217 + 2.6 * fwhm_deg }, height[] = { 9000, 8100, 8600 };
    bragg_pattern *p = bragg_pattern_new(3000, BRAGG_AXIS_TTH);
    for (size_t i = 0; i < p->n; i++) {
        double x = 21.37 + 0.02 * (double)i, y = 210;
        for (int k = 0; k < 3; k++)
            y += height[k] * exp(-4 * log(2) * pow((x - line_deg[k]) / fwhm_deg, 2));
        p->x[i] = x * BRAGG_DEG;
        p->sigma[i] = sqrt(y);
        p->y[i] = y + p->sigma[i] * gauss(&seed);
    }
    size_t n;
    bragg_peak *peak = peaks_of(p, 6, &n);
    ck_assert_uint_ge(n, 3);
    for (int k = 0; k < 3; k++) {
        ck_assert_msg(fabs(peak[k].x / BRAGG_DEG - line_deg[k]) < 0.03 * fwhm_deg, "%g for %g deg", peak[k].x / BRAGG_DEG, line_deg[k]);
        ck_assert_msg(fabs(peak[k].fwhm / BRAGG_DEG / fwhm_deg - 1) < 0.1, "width %g for %g deg", peak[k].fwhm / BRAGG_DEG, fwhm_deg);
    }
    free(peak);
    bragg_pattern_free(p);
}
END_TEST

START_TEST(second_lines_of_a_doublet_are_marked_where_they_are_resolved)
{
    unsigned long long seed = 77;
    bragg_pattern *p = doublets(0.5, &seed);
    size_t n;
    bragg_peak *peak = peaks_of(p, 8, &n);
    ck_assert_uint_eq(n, 5); /* the first doublet is one peak, the second one with a shoulder */
    for (size_t k = 0; k < n; k++) {
        ck_assert_int_eq(peak[k].alpha2, k == 2 || k == 4);
        ck_assert_int_eq(peak[k].shoulder, k == 2);
    }
    free(peak);
    bragg_pattern_free(p);
}
END_TEST

/* Two lines nearer than a top of the weaker one needs, and one alone. */
START_TEST(a_shoulder_is_told_from_a_single_peak)
{
    unsigned long long seed = 4242;
    const double sigma_deg = 0.09, apart_deg = 2.355 * sigma_deg * 1.1;
    int found = 0, made_up = 0;
    double off = 0;
    for (int run = 0; run < 60; run++) {
        bragg_pattern *p = bragg_pattern_new(3000, BRAGG_AXIS_TTH);
        for (size_t i = 0; i < p->n; i++) {
            double x = 21.37 + 0.02 * (double)i, y = 210;
            y += 9000 * (exp(-0.5 * pow((x - 40.113) / sigma_deg, 2)) + 0.3 * exp(-0.5 * pow((x - 40.113 - apart_deg) / sigma_deg, 2)));
            y += 9000 / (1 + pow((x - 55.207) / 0.11, 2)) + 4000 * exp(-0.5 * pow((x - 70.331) / sigma_deg, 2));
            p->x[i] = x * BRAGG_DEG;
            p->sigma[i] = sqrt(y);
            p->y[i] = y + p->sigma[i] * gauss(&seed);
        }
        size_t n;
        bragg_peak *peak = peaks_of(p, 5, &n);
        for (size_t k = 0; k < n; k++) {
            double away = peak[k].x / BRAGG_DEG - 40.113 - apart_deg;
            bool here = peak[k].shoulder && fabs(away) < 0.1;
            found += here;
            off += here ? fabs(away) : 0;
            made_up += peak[k].shoulder && !here;
            if (here) {
                ck_assert(peak[k].height > 2700 / 2 && peak[k].height < 2700 * 2); /* an estimate */
                ck_assert(fabs(away) < 3 * peak[k].x_esd / BRAGG_DEG);
            }
        }
        free(peak);
        bragg_pattern_free(p);
    }
    ck_assert_msg(found >= 57, "%d of 60", found);
    ck_assert_msg(made_up == 0, "%d shoulders that are none", made_up);
    ck_assert_msg(off / found < 2.355 * sigma_deg / 4, "%g degrees off", off / found);
}
END_TEST

/* Written in two rounds, gone on with, read as one pattern and as all. */
START_TEST(integrated_frames_in_hdf5_read_back_and_grow)
{
    const char *path = "test_pattern.tmp.h5";
    double x[5] = { 0.1, 0.2, 0.3, 0.4, 0.5 }, y[10], sigma[10], none[5] = { NAN, NAN, NAN, NAN, NAN };
    bragg_nxazint_header h = { .n_rings = 5, .x = x, .axis = BRAGG_AXIS_TTH, .wavelength_ang = 0.4066, .polarization = 0.99, .bin_rad = 0.0213, .pixel_rad = 0.00071, .split = "full",
                               .solid_angle = true, .poni = "Distance: 1", .settings = "split=full" };
    bragg_nxazint_row rows[2] = { { "a.tif 0", 100, 1, 2, 300, true }, { "b.tif 7", 101, 1, 2, 310, true } };
    bragg_error err = BRAGG_ERROR_INIT;
    char last[256];
    size_t n;
    bragg_status st = bragg_nxazint_create(path, true, &h, &err);
    if (st == BRAGG_ENOSUPPORT) {
        printf("skipped: %s\n", err.text);
        return;
    }
    ck_assert_msg(st == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_nxazint_create(path, false, &h, NULL), BRAGG_EEXIST);
    ck_assert_int_lt(bragg_pattern_count(path, &n, NULL), 0); /* nothing yet */
    for (int k = 0; k < 10; k++) {
        y[k] = k == 7 ? NAN : 10 + k;
        sigma[k] = k == 7 ? NAN : 0.5 * k + 1;
    }
    ck_assert_msg(bragg_nxazint_append(path, &h, 1, rows, y, sigma, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_nxazint_append(path, &h, 1, rows + 1, y + 5, sigma + 5, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_nxazint_resume(path, &h, &n, last, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(last, "b.tif 7");
    bragg_pattern *p;
    ck_assert_msg(bragg_pattern_read("test_pattern.tmp.h5:/entry/data[1]", 0, &p, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(p->n, 4); /* the empty bin is absent */
    assert_close(p->x[2], 0.4, 1e-12);
    assert_close(p->y[2], 18, 1e-6);
    assert_close(p->sigma[3], 5.5, 1e-6);
    ck_assert(p->wavelength_ang == 0.4066 && p->temperature_k == 310 && p->time_s == 101);
    assert_close(p->bin_rad, 0.0213, 1e-12);
    assert_close(p->pixel_rad, 0.00071, 1e-12);
    bragg_pattern_free(p);
    ck_assert_int_eq(bragg_pattern_count(path, &n, NULL), BRAGG_OK);
    ck_assert_uint_eq(n, 2);
    /* a bad frame between good ones is told when it is asked for, and only then */
    rows[0].valid = false;
    ck_assert_msg(bragg_nxazint_append(path, &h, 1, rows, none, none, NULL, &err) == BRAGG_OK && bragg_nxazint_append(path, &h, 1, rows + 1, y, sigma, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_pattern_read(path, 2, &p, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "was not integrated"));
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_pattern_read(path, 3, &p, &err) == BRAGG_OK && p->n == 5, "%s", err.text);
    bragg_pattern_free(p);
    ck_assert_int_eq(bragg_pattern_count(path, &n, NULL), BRAGG_OK);
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(bragg_pattern_read("test_pattern.tmp.h5:/entry/data[4]", 0, &p, NULL), BRAGG_EINVAL);
    ck_assert_int_eq(bragg_pattern_read("test_pattern.tmp.h5:/entry/frames", 0, &p, NULL), BRAGG_EDATA);
    h.settings = "split=none";
    ck_assert_int_eq(bragg_nxazint_resume(path, &h, &n, last, &err), BRAGG_EDATA);
    unlink(path);
}
END_TEST

#ifdef HAVE_HDF5

static void write_line(hid_t file, const char *name, hsize_t n, const double *v)
{
    hid_t space = H5Screate_simple(1, &n, NULL), set = H5Dcreate2(file, name, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

/* An integrated pattern whose intensities are a link to that file; NULL: its own. */
static hid_t write_linked(const char *name, const char *intensities)
{
    const double x[4] = { 2.385, 2.5, 2.7, 3.1 }, y[4] = { 7, 11, 13, 17 };
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "/entry", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "/entry/data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    write_line(file, "/entry/data/radial_axis", 4, x);
    if (intensities)
        H5Lcreate_external(intensities, "/entry/data/I", file, "/entry/data/I", H5P_DEFAULT, H5P_DEFAULT);
    else
        write_line(file, "/entry/data/I", 4, y);
    return file;
}

START_TEST(links_of_integrated_frames_stay_in_the_folder)
{
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    mkdir("pattern_in.tmp", 0700);
    H5Fclose(write_linked("pattern_outer.tmp.h5", NULL));
    H5Fclose(write_linked("pattern_in.tmp/a.h5", "../pattern_outer.tmp.h5"));
    ck_assert_int_eq(bragg_pattern_read("pattern_in.tmp/a.h5", 0, &p, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "leads to '../pattern_outer.tmp.h5', which is not in this file's folder"), "%s", err.text);
    H5Fclose(write_linked("pattern_inner.tmp.h5", "pattern_outer.tmp.h5")); /* beside it it is followed */
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_pattern_read("pattern_inner.tmp.h5", 0, &p, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(p->n == 4 && p->y[3] == 17);
    bragg_pattern_free(p);
    unlink("pattern_in.tmp/a.h5");
    unlink("pattern_outer.tmp.h5");
    unlink("pattern_inner.tmp.h5");
    rmdir("pattern_in.tmp");
}
END_TEST

START_TEST(units_that_are_many_texts_are_none)
{
    const char *text[500];
    const hsize_t n = 500;
    for (size_t k = 0; k < n; k++)
        text[k] = "1/angstrom";
    hid_t file = write_linked("pattern_units.tmp.h5", NULL), set = H5Dopen2(file, "/entry/data/radial_axis", H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    hid_t space = H5Screate_simple(1, &n, NULL);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t a = H5Acreate2(set, "units", type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(H5Awrite(a, type, text) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
    H5Fclose(file);
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_pattern_read("pattern_units.tmp.h5", 0, &p, &err) == BRAGG_OK && p->axis == BRAGG_AXIS_TTH, "%s", err.text);
    bragg_pattern_free(p);
    unlink("pattern_units.tmp.h5");
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("pattern");
    TCase *tc = tcase_create("pattern");
    tcase_add_test(tc, columns_are_read_with_their_unit_and_wavelength);
    tcase_add_test(tc, without_a_unit_x_is_two_theta_in_degrees_and_sigma_unknown);
    tcase_add_test(tc, a_unit_that_is_known_is_taken_before_the_numbers_are_judged);
    tcase_add_test(tc, bad_patterns_end_in_one_clear_line);
    tcase_add_test(tc, what_is_written_reads_back);
    tcase_add_test(tc, ends_of_zeros_are_left_out_and_zeros_within_stay);
    tcase_add_test(tc, real_patterns_read_with_the_points_they_have);
    tcase_add_test(tc, peak_positions_scatter_as_their_uncertainties_say);
    tcase_add_test(tc, tops_that_a_valley_parts_keep_their_own_places);
    tcase_add_test(tc, second_lines_of_a_doublet_are_marked_where_they_are_resolved);
    tcase_add_test(tc, a_shoulder_is_told_from_a_single_peak);
    tcase_add_test(tc, integrated_frames_in_hdf5_read_back_and_grow);
#ifdef HAVE_HDF5
    tcase_add_test(tc, links_of_integrated_frames_stay_in_the_folder);
    tcase_add_test(tc, units_that_are_many_texts_are_none);
#endif
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
