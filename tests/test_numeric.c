/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <stdlib.h>
#include <string.h>

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

START_TEST(chebyshev_polynomials_are_cosines_of_multiples)
{
    double row[7];
    for (double t = -1; t <= 1; t += 0.0371) {
        bragg_chebyshev_row(t, 7, row);
        for (int k = 0; k < 7; k++)
            ck_assert_double_eq_tol(row[k], cos(k * acos(t)), 1e-12);
    }
}
END_TEST

START_TEST(eigenvectors_are_turned_into_multiples_of_themselves)
{
    enum { N = 9 };
    double a[N * N], spoilt[N * N], value[N], vector[N * N];
    unsigned seed = 11;
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++)
            a[i * N + j] = a[j * N + i] = noise(&seed);
    memcpy(spoilt, a, sizeof a);
    ck_assert_int_eq(bragg_symmetric_eigen(spoilt, N, value, vector, NULL), BRAGG_OK);
    for (int k = 0; k < N; k++) {
        ck_assert(!k || value[k] <= value[k - 1]);
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int j = 0; j < N; j++)
                sum += a[i * N + j] * vector[j * N + k];
            ck_assert_double_eq_tol(sum, value[k] * vector[i * N + k], 1e-13);
        }
    }
    a[13] = NAN;
    ck_assert_int_eq(bragg_symmetric_eigen(a, N, value, vector, NULL), BRAGG_EDATA);
}
END_TEST

START_TEST(gauss_points_are_exact_for_polynomials_of_twice_their_number)
{
    double x[64], w[64];
    for (size_t n = 1; n <= 64; n++) {
        bragg_gauss_legendre(n, -0.37, 1.1, x, w);
        for (size_t power = 0; power < 2 * n; power++) {
            double sum = 0, p = (double)power + 1;
            for (size_t k = 0; k < n; k++)
                sum += w[k] * pow(x[k], (double)power);
            assert_close(sum, (pow(1.1, p) - pow(-0.37, p)) / p, 3e-14);
        }
        for (size_t k = 0; k < n; k++)
            ck_assert(x[k] > (k ? x[k - 1] : -0.37) && x[k] < 1.1 && w[k] > 0);
    }
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

START_TEST(between_points_a_curve_is_straight)
{
    const double x[4] = { 0.7, 1.9, 2.3, 5.1 }, y[4] = { 3.1, -1.3, 0.4, 7.7 }, at[7] = { 0.69, 0.7, 1.3, 1.9, 4.4, 5.1, 5.11 };
    double out[7];
    size_t j = 0;
    bragg_resample(x, y, 4, at, 7, out);
    ck_assert(isnan(out[0]) && isnan(out[6]) && out[1] == 3.1 && out[3] == -1.3 && out[5] == 7.7);
    assert_close(out[2], 3.1 + (-1.3 - 3.1) * 0.6 / 1.2, 1e-14);
    assert_close(out[4], 0.4 + (7.7 - 0.4) * 2.1 / 2.8, 1e-14);
    ck_assert(bragg_interpolate(x, y, 4, 0.1) == 3.1 && bragg_interpolate(x, y, 4, 9) == 7.7 && bragg_interpolate(x, y, 1, 2) == 3.1);
    assert_close(bragg_interpolate(x, y, 4, 4.4), out[4], 1e-15);
    assert_close(bragg_interval(x, 4, 0.1, &j), -0.5, 1e-14);
    ck_assert_uint_eq(j, 0);
    assert_close(bragg_interval(x, 4, 7.9, &j), 2, 1e-14);
    ck_assert_uint_eq(j, 2);
    bragg_resample(x, y, 1, at, 7, out);
    for (int k = 0; k < 7; k++)
        ck_assert(isnan(out[k]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numeric");
    TCase *all = tcase_create("all");
    tcase_add_test(all, arrays_grow_and_refuse_what_does_not_fit);
    tcase_add_test(all, snip_finds_the_background_under_peaks);
    tcase_add_test(all, chebyshev_polynomials_are_cosines_of_multiples);
    tcase_add_test(all, eigenvectors_are_turned_into_multiples_of_themselves);
    tcase_add_test(all, gauss_points_are_exact_for_polynomials_of_twice_their_number);
    tcase_add_test(all, the_sine_transform_agrees_with_its_sum_on_any_grid);
    tcase_add_test(all, between_points_a_curve_is_straight);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
