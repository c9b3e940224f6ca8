/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/sparse.h>
#include <stdlib.h>

/* Noise that is the same everywhere, about normal, unit variance. */
static double noise(unsigned *seed)
{
    double sum = -6;
    for (int k = 0; k < 12; k++)
        sum += (double)((*seed = *seed * 1664525u + 1013904223u) >> 8) / 16777216.0;
    return sum;
}

START_TEST(arrays_grow_and_refuse_what_does_not_fit)
{
    int *at = NULL;
    size_t room = 0;
    for (size_t n = 0; n < 10000; n++) {
        ck_assert_int_eq(bragg_array_grow(&at, &room, n + 1, sizeof *at, NULL), BRAGG_OK);
        at[n] = (int)n;
    }
    ck_assert_int_eq(at[9999], 9999);
    size_t before = room;
    ck_assert_int_eq(bragg_array_grow(&at, &room, (size_t)-1, sizeof *at, NULL), BRAGG_ENOMEM);
    ck_assert(room == before && at[4711] == 4711);
    free(at);
}
END_TEST

START_TEST(a_spline_follows_a_smooth_curve_and_its_integral)
{
    double x[60], y[60], slope;
    for (int i = 0; i < 60; i++) {
        x[i] = 0.13 * i + 0.002 * i * i;
        y[i] = sin(x[i]);
    }
    bragg_spline *s;
    ck_assert_int_eq(bragg_spline_new(x, y, 60, &s, NULL), BRAGG_OK);
    for (double t = 2.01; t < 10; t += 0.37) {
        ck_assert_double_eq_tol(bragg_spline_at(s, t, &slope), sin(t), 3e-4);
        ck_assert_double_eq_tol(slope, cos(t), 6e-3);
    }
    ck_assert_double_eq_tol(bragg_spline_integral(s, 2, 8), cos(2) - cos(8), 1e-3);
    double end = bragg_spline_at(s, x[59], &slope);
    ck_assert_double_eq_tol(bragg_spline_at(s, x[59] + 1, NULL), end + slope, 1e-12);
    bragg_spline_free(s);
    x[7] = x[6];
    ck_assert_int_eq(bragg_spline_new(x, y, 60, &s, NULL), BRAGG_EINVAL);
}
END_TEST

START_TEST(a_smoothing_spline_takes_off_the_noise_and_no_more)
{
    double x[400], y[400], f[400], sigma[400], worse = 0, better = 0, chi2 = 0;
    unsigned seed = 7;
    for (int i = 0; i < 400; i++) {
        x[i] = 0.05 * i;
        sigma[i] = 0.1 + 0.0002 * i;
        y[i] = sin(0.7 * x[i]) + sigma[i] * noise(&seed);
    }
    ck_assert_int_eq(bragg_smoothing_spline(x, y, sigma, 400, 400, f, NULL), BRAGG_OK);
    for (int i = 0; i < 400; i++) {
        worse += pow(y[i] - sin(0.7 * x[i]), 2);
        better += pow(f[i] - sin(0.7 * x[i]), 2);
        chi2 += pow((y[i] - f[i]) / sigma[i], 2);
    }
    assert_close(chi2, 400, 1e-6);
    ck_assert(better < 0.1 * worse);
    for (int i = 0; i < 400; i++) /* a straight line needs no bend */
        y[i] = 2.385 - 0.31 * x[i];
    ck_assert_int_eq(bragg_smoothing_spline(x, y, sigma, 400, 1, f, NULL), BRAGG_OK);
    for (int i = 0; i < 400; i++)
        ck_assert_double_eq_tol(f[i], y[i], 1e-9);
}
END_TEST

START_TEST(savitzky_golay_is_exact_for_its_polynomials)
{
    double y[50], out[50];
    for (int i = 0; i < 50; i++)
        y[i] = 1.3 - 0.7 * i + 0.031 * i * i - 0.0007 * i * i * i;
    for (int d = 0; d < 3; d++) {
        ck_assert_int_eq(bragg_savitzky_golay(y, 50, 4, 3, (size_t)d, out, NULL), BRAGG_OK);
        for (int i = 0; i < 50; i++) {
            double truth = d == 0 ? y[i] : d == 1 ? -0.7 + 0.062 * i - 0.0021 * i * i : 0.062 - 0.0042 * i;
            ck_assert_double_eq_tol(out[i], truth, 1e-9);
        }
    }
    /* the published weights of five points and a parabola: -3 12 17 12 -3 over 35 */
    double pulse[9] = { 0, 0, 0, 0, 1, 0, 0, 0, 0 };
    ck_assert_int_eq(bragg_savitzky_golay(pulse, 9, 2, 2, 0, out, NULL), BRAGG_OK);
    assert_close(out[4], 17. / 35, 1e-12);
    assert_close(out[3], 12. / 35, 1e-12);
    assert_close(out[2], -3. / 35, 1e-12);
    ck_assert_int_eq(bragg_savitzky_golay(y, 5, 4, 3, 0, out, NULL), BRAGG_EINVAL);
    ck_assert_int_eq(bragg_savitzky_golay(y, 50, 1, 3, 0, out, NULL), BRAGG_EINVAL);
}
END_TEST

START_TEST(snip_finds_the_background_under_peaks)
{
    double y[2000], b[2000];
    for (int i = 0; i < 2000; i++) {
        double base = 200 - 0.05 * i + 40 * exp(-pow((i - 900) / 500., 2));
        y[i] = base;
        for (int k = 0; k < 9; k++)
            y[i] += (k % 3 ? 90 : 3000) * exp(-pow((i - 100 - 213 * k) / 6., 2));
    }
    ck_assert_int_eq(bragg_snip(y, 2000, 40, b, NULL), BRAGG_OK);
    for (int i = 60; i < 1940; i++) {
        double base = 200 - 0.05 * i + 40 * exp(-pow((i - 900) / 500., 2));
        ck_assert_msg(fabs(b[i] - base) < 0.05 * base, "%d: %g, %g", i, b[i], base);
    }
    y[77] = NAN;
    ck_assert_int_eq(bragg_snip(y, 2000, 40, b, NULL), BRAGG_EINVAL);
    ck_assert_int_eq(bragg_snip(b, 2000, 1001, y, NULL), BRAGG_EINVAL);
}
END_TEST

START_TEST(chebyshev_fits_return_their_coefficients)
{
    const double truth[5] = { 12.3, -4.1, 2.385, 0.71, -0.33 };
    double x[90], y[90], row[5], c[5];
    for (int i = 0; i < 90; i++) {
        x[i] = 11 + 0.71 * i + 0.001 * i * i;
        y[i] = 0;
    }
    for (int i = 0; i < 90; i++) {
        bragg_chebyshev_row((2 * x[i] - x[0] - x[89]) / (x[89] - x[0]), 5, row);
        ck_assert_double_eq_tol(row[4], cos(4 * acos(fmin(fmax((2 * x[i] - x[0] - x[89]) / (x[89] - x[0]), -1), 1))), 1e-12);
        for (int k = 0; k < 5; k++)
            y[i] += truth[k] * row[k];
    }
    ck_assert_int_eq(bragg_chebyshev_fit(x, y, NULL, 90, 5, c, NULL), BRAGG_OK);
    for (int k = 0; k < 5; k++)
        assert_close(c[k], truth[k], 1e-12);
    ck_assert_int_eq(bragg_chebyshev_fit(x, y, NULL, 3, 5, c, NULL), BRAGG_EINVAL);
}
END_TEST

START_TEST(the_sine_transform_agrees_with_its_sum_on_any_grid)
{
    enum { N = 700, M = 431 };
    static double q[N], f[N], w[N], v[N], r[M], out[M], var[M];
    unsigned seed = 3;
    for (int i = 0; i < N; i++) {
        q[i] = 0.5 + 0.031 * i + 0.00001 * i * i;
        f[i] = q[i] * exp(-0.01 * q[i] * q[i]) * cos(3.1 * q[i]) + 0.01 * noise(&seed);
        v[i] = 0.0001 * (1 + i % 7);
    }
    bragg_trapezoid_weights(q, N, w);
    for (int kind = 0; kind < 3; kind++) { /* equal steps of r; of neither; of both */
        for (int i = 0; i < N && kind == 2; i++)
            q[i] = 0.51 + 0.0317 * i;
        for (int j = 0; j < M; j++)
            r[j] = kind == 1 ? 0.07 * j + 0.0001 * j * j : 1.3 + 0.01 * j;
        ck_assert_int_eq(bragg_sine_transform(q, f, w, v, N, r, M, out, var, NULL), BRAGG_OK);
        for (int j = 0; j < M; j += 13) {
            double sum = 0, noise2 = 0;
            for (int i = 0; i < N; i++) {
                double s = sin(q[i] * r[j]);
                sum += w[i] * f[i] * s;
                noise2 += w[i] * w[i] * s * s * v[i];
            }
            ck_assert_double_eq_tol(out[j], sum, 1e-11);
            ck_assert_double_eq_tol(var[j], noise2, 1e-13);
        }
        ck_assert_int_eq(bragg_cosine_transform(q, f, w, v, N, r, M, out, var, NULL), BRAGG_OK);
        for (int j = 0; j < M; j += 17) {
            double sum = 0, noise2 = 0;
            for (int i = 0; i < N; i++) {
                double c = cos(q[i] * r[j]);
                sum += w[i] * f[i] * c;
                noise2 += w[i] * w[i] * c * c * v[i];
            }
            ck_assert_double_eq_tol(out[j], sum, 1e-11);
            ck_assert_double_eq_tol(var[j], noise2, 1e-13);
        }
    }
}
END_TEST

START_TEST(a_sparse_matrix_keeps_its_entries_in_order)
{
    bragg_triplets lists[3] = { { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 } };
    double dense[7][11] = { { 0 } }, x[11], y[7];
    unsigned seed = 5;
    for (int k = 0; k < 60; k++) {
        size_t i = (size_t)(k * 5 % 7), j = (size_t)(k * 3 % 11);
        double w = (float)noise(&seed);
        dense[i][j] += w;
        ck_assert_int_eq(bragg_triplets_add(&lists[k % 3], i, j, w, NULL), BRAGG_OK);
    }
    for (int j = 0; j < 11; j++)
        x[j] = noise(&seed);
    bragg_sparse m;
    ck_assert_int_eq(bragg_sparse_new(lists, 3, 7, 11, &m, NULL), BRAGG_OK);
    ck_assert_uint_eq(m.start[7], 60);
    ck_assert_int_eq(bragg_sparse_multiply(&m, x, y, NULL), BRAGG_OK);
    for (int i = 0; i < 7; i++) {
        double sum = 0;
        for (int j = 0; j < 11; j++)
            sum += dense[i][j] * x[j];
        ck_assert_double_eq_tol(y[i], sum, 1e-12);
    }
    ck_assert_int_eq(bragg_triplets_add(&lists[0], 0, (size_t)1 << 33, 1, NULL), BRAGG_EINVAL);
    bragg_sparse_clear(&m);
    for (int k = 0; k < 3; k++)
        free(lists[k].at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numeric");
    TCase *all = tcase_create("all");
    tcase_add_test(all, arrays_grow_and_refuse_what_does_not_fit);
    tcase_add_test(all, a_spline_follows_a_smooth_curve_and_its_integral);
    tcase_add_test(all, a_smoothing_spline_takes_off_the_noise_and_no_more);
    tcase_add_test(all, savitzky_golay_is_exact_for_its_polynomials);
    tcase_add_test(all, snip_finds_the_background_under_peaks);
    tcase_add_test(all, a_sparse_matrix_keeps_its_entries_in_order);
    tcase_add_test(all, chebyshev_fits_return_their_coefficients);
    tcase_add_test(all, the_sine_transform_agrees_with_its_sum_on_any_grid);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
