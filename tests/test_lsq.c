/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/lsq.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* A curve y = f(x; p) with unit weights. */
typedef struct curve {
    size_t n;
    const double *x, *y;
    double (*f)(double x, const double *p, double *d);
    double p[8];
    size_t n_params;
    const bragg_lsq_layout *layout;
} curve;

static bragg_status prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout,
                            bragg_error *err)
{
    curve *c = payload;
    c->layout = layout;
    for (size_t k = 0; k < c->n_params; k++)
        c->p[k] = params->at[k].value;
    return BRAGG_OK;
    (void)err;
}

static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *j, bragg_error *err)
{
    curve *c = payload;
    for (size_t i = first; i < last; i++) {
        double d[8];
        r[i - first] = c->y[i] - c->f(c->x[i], c->p, d);
        for (size_t k = 0; k < c->n_params; k++)
            if (c->layout->column[k] >= 0)
                j[(size_t)c->layout->column[k] * BRAGG_LSQ_BLOCK + i - first] -= c->layout->weight[k] * d[k];
    }
    return BRAGG_OK;
    (void)err;
}

/* NIST Statistical Reference Datasets, nonlinear regression:
 * www.itl.nist.gov/div898/strd/nls, Misra1a and Rat43; certified to 11 digits. */
static const double misra_y[] = { 10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78 };
static const double misra_x[] = { 77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0 };
static const double rat_y[] = { 16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96, 637.56, 717.41 };
static const double rat_x[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static double misra(double x, const double *p, double *d)
{
    double e = exp(-p[1] * x);
    d[0] = 1 - e;
    d[1] = p[0] * x * e;
    return p[0] * d[0];
}

static double rat43(double x, const double *p, double *d)
{
    double e = exp(p[1] - p[2] * x), u = 1 + e, v = pow(u, -1 / p[3]);
    d[0] = v;
    d[1] = -p[0] * v / p[3] * e / u;
    d[2] = -x * d[1];
    d[3] = p[0] * v * log(u) / (p[3] * p[3]);
    return p[0] * v;
}

static void add(bragg_params *t, const char *name, double value)
{
    size_t i;
    ck_assert_int_eq(bragg_params_add(t, name, "", value, &i, NULL), BRAGG_OK);
    t->at[i].refine = true;
}

static bragg_lsq *fit(curve *c, bragg_lsq_problem *problem, bragg_params *t, bragg_lsq_options *o)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_lsq *l;
    *problem = (bragg_lsq_problem){ .n = c->n, .prepare = prepare, .residuals = residuals, .payload = c };
    ck_assert_msg(bragg_lsq_new(problem, t, o, &l, &err) == BRAGG_OK, "%s", err.text);
    bragg_status st = bragg_lsq_solve(l, &err);
    ck_assert_msg(st == BRAGG_CONVERGED, "%d %s", st, err.text);
    return l;
}

START_TEST(certified_nonlinear_fits_are_reached_in_both_forms)
{
    for (int form = 0; form < 2; form++) {
        bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
        o.form = (bragg_lsq_form)form;
        o.counting_esds = false;
        o.tolerance_esd = 1e-7;
        o.max_cycles = 500;
        bragg_lsq_problem q;
        bragg_params t = BRAGG_PARAMS_INIT;
        curve c = { 14, misra_x, misra_y, misra, { 0 }, 2, NULL };
        add(&t, "b1", 500);
        add(&t, "b2", 1e-4);
        bragg_lsq *l = fit(&c, &q, &t, &o);
        assert_close(t.at[0].value, 2.3894212918E+02, 1e-8);
        assert_close(t.at[1].value, 5.5015643181E-04, 1e-8);
        assert_close(t.at[0].esd, 2.7070075241E+00, 1e-6);
        assert_close(t.at[1].esd, 7.2668688436E-06, 1e-6);
        assert_close(bragg_lsq_chi2(l), 1.2455138894E-01, 1e-9);
        bragg_lsq_free(l);
        bragg_params_free(&t);

        curve r = { 15, rat_x, rat_y, rat43, { 0 }, 4, NULL };
        add(&t, "b1", 100);
        add(&t, "b2", 10);
        add(&t, "b3", 1);
        add(&t, "b4", 1);
        l = fit(&r, &q, &t, &o);
        assert_close(t.at[0].value, 6.9964151270E+02, 1e-7);
        assert_close(t.at[1].value, 5.2771253025E+00, 1e-6);
        assert_close(t.at[2].value, 7.5962938329E-01, 1e-6);
        assert_close(t.at[3].value, 1.2792483859E+00, 1e-6);
        assert_close(t.at[3].esd, 6.8761936385E-01, 1e-5);
        assert_close(bragg_lsq_chi2(l), 8.7864049080E+03, 1e-9);
        bragg_lsq_free(l);
        bragg_params_free(&t);
    }
}
END_TEST

static double line(double x, const double *p, double *d)
{
    d[0] = 1;
    d[1] = x;
    d[2] = x;
    return p[0] + (p[1] + p[2]) * x;
}

static double line_x[1000], line_y[1000];
static void make_line(void)
{
    for (int i = 0; i < 1000; i++) {
        line_x[i] = 0.1 + i * 0.0073;
        line_y[i] = 2.385 + 0.731 * line_x[i] + ((i * 7919) % 101 - 50) / 100.0;
    }
}

START_TEST(directions_without_information_are_named_and_the_rest_stands)
{
    make_line();
    bragg_params t = BRAGG_PARAMS_INIT;
    bragg_lsq_problem q;
    curve c = { 1000, line_x, line_y, line, { 0 }, 3, NULL };
    add(&t, "offset", 0);
    add(&t, "phase.A.slope", 0);
    add(&t, "phase.B.slope", 0);
    bragg_lsq *l = fit(&c, &q, &t, NULL);
    ck_assert_ptr_nonnull(bragg_lsq_singular(l, 0));
    ck_assert_str_eq(bragg_lsq_singular(l, 0), "phase.A.slope and phase.B.slope");
    ck_assert_ptr_null(bragg_lsq_singular(l, 1));
    ck_assert(isnan(t.at[1].esd) && isnan(t.at[2].esd) && t.at[0].esd > 0);
    ck_assert(fabs(t.at[1].value + t.at[2].value - 0.731) < 0.02);
    bragg_lsq_free(l);
    bragg_params_free(&t);
}
END_TEST

START_TEST(ties_share_a_variable_and_carry_their_esd)
{
    make_line();
    bragg_params t = BRAGG_PARAMS_INIT;
    bragg_lsq_problem q;
    curve c = { 1000, line_x, line_y, line, { 0 }, 3, NULL };
    add(&t, "offset", 0);
    add(&t, "a", 0);
    add(&t, "b", 0);
    ck_assert_int_eq(bragg_params_tie(&t, 2, 1, 2.0, 0.031, NULL), BRAGG_OK);
    bragg_lsq *l = fit(&c, &q, &t, NULL);
    ck_assert_uint_eq(bragg_lsq_variables(l), 2);
    assert_close(t.at[2].value, 2 * t.at[1].value + 0.031, 1e-14);
    assert_close(t.at[2].esd, 2 * t.at[1].esd, 1e-14);
    double d[3] = { 0, 1, 1 };
    assert_close(sqrt(bragg_lsq_variance(l, d)), 3 * t.at[1].esd, 1e-12);
    /* who asks leaves the answer to the next as it was */
    assert_close(sqrt(bragg_lsq_variance(l, (const double[3]){ 1, 0, 0 })), t.at[0].esd, 1e-12);
    assert_close(sqrt(bragg_lsq_covariance(l, 0, 0)), t.at[0].esd, 1e-12);
    ck_assert(fabs(bragg_lsq_correlation(l, 0, 1)) < 1);
    bragg_lsq_free(l);
    bragg_params_free(&t);
}
END_TEST

START_TEST(bounds_hold_and_release)
{
    make_line();
    bragg_params t = BRAGG_PARAMS_INIT;
    bragg_lsq_problem q;
    curve c = { 1000, line_x, line_y, line, { 0 }, 2, NULL };
    c.f = line;
    add(&t, "offset", 5);
    add(&t, "slope", 0);
    t.at[0].lower = 3.1;
    bragg_lsq *l = fit(&c, &q, &t, NULL);
    assert_close(t.at[0].value, 3.1, 1e-15);
    bragg_lsq_free(l);
    t.at[0].lower = -INFINITY;
    t.at[0].value = 3.1;
    t.at[0].upper = 3.1; /* starts on a bound it must leave */
    l = fit(&c, &q, &t, NULL);
    ck_assert(fabs(t.at[0].value - 2.385) < 0.1);
    bragg_lsq_free(l);
    t.at[0].value = 4;
    ck_assert_int_eq(bragg_lsq_new(&q, &t, NULL, &l, NULL), BRAGG_EINVAL);
    bragg_params_free(&t);
}
END_TEST

START_TEST(a_robust_loss_ignores_wild_points)
{
    make_line();
    for (int i = 0; i < 1000; i += 20)
        line_y[i] += 300;
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    o.loss = BRAGG_LSQ_CAUCHY;
    o.loss_scale = 0.5;
    bragg_params t = BRAGG_PARAMS_INIT;
    bragg_lsq_problem q;
    curve c = { 1000, line_x, line_y, line, { 0 }, 2, NULL };
    add(&t, "offset", 0);
    add(&t, "slope", 0);
    bragg_lsq *l = fit(&c, &q, &t, &o);
    ck_assert(fabs(t.at[0].value - 2.385) < 0.06 && fabs(t.at[1].value - 0.731) < 0.02);
    bragg_lsq_free(l);
    bragg_params_free(&t);
}
END_TEST

static double hump(double x, const double *p, double *d)
{
    double u = (x - 300.3) / 9.7;
    d[0] = exp(-u * u / 2);
    d[1] = 1;
    return p[0] * d[0] + p[1];
}

static double uniform(unsigned long long *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return ((double)(*seed >> 11) / 9007199254740992.0 - 0.5) * sqrt(12);
}

static double thirds(void *payload, size_t i, size_t d)
{
    return d == 1 ? 2. / 3 : 1. / 3;
    (void)payload, (void)i;
}

/* Running means of three: the height of a peak is known by sqrt(3) worse than as many
 * independent points would tell.  Over block borders, too: the peak lies on one. */
START_TEST(errors_that_hang_together_make_honest_esds)
{
    enum { N = 300, TIMES = 1000 };
    double x[N], y[N], square[2] = { 0 }, esd2[2] = { 0 }, alone[2] = { 0 };
    unsigned long long seed = 7;
    omp_set_num_threads(1); /* threads cost more than three hundred points */
    for (int t = 0; t < TIMES; t++) {
        double u[N + 2];
        for (int i = 0; i < N + 2; i++)
            u[i] = uniform(&seed);
        for (int i = 0; i < N; i++) {
            double p[2] = { 37.1, 11.9 }, d[2];
            x[i] = i + 44;         /* the middle at point 256 */
            y[i] = hump(x[i], p, d) + (u[i] + u[i + 1] + u[i + 2]) / sqrt(3);
        }
        for (int band = 0; band < 2; band++) {
            curve c = { .n = N, .x = x, .y = y, .f = hump, .n_params = 2 };
            bragg_lsq_problem problem = { .n = N, .prepare = prepare, .residuals = residuals, .payload = &c, .correlation = thirds, .band = band ? 2 : 0 };
            bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
            bragg_params table = BRAGG_PARAMS_INIT;
            bragg_lsq *l;
            add(&table, "height", 30);
            add(&table, "level", 10);
            ck_assert_int_eq(bragg_lsq_new(&problem, &table, &o, &l, NULL), BRAGG_OK);
            ck_assert_int_eq(bragg_lsq_solve(l, NULL), BRAGG_CONVERGED);
            for (int k = 0; k < 2; k++) {
                if (band)
                    square[k] += pow(table.at[k].value - (k ? 11.9 : 37.1), 2) / TIMES;
                *(band ? &esd2[k] : &alone[k]) += pow(table.at[k].esd, 2) / TIMES;
            }
            bragg_lsq_free(l);
            bragg_params_free(&table);
        }
    }
    for (int k = 0; k < 2; k++) {
        printf("variance over esd^2: %.3f with the band, %.3f without\n", square[k] / esd2[k], square[k] / alone[k]);
        ck_assert_double_eq_tol(square[k] / esd2[k], 1, 0.1);
        ck_assert_double_gt(square[k] / alone[k], 2.3);
    }
}
END_TEST

START_TEST(no_points_and_too_few_points_are_refused)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_params t = BRAGG_PARAMS_INIT;
    curve c = { 0, line_x, line_y, line, { 0 }, 3, NULL };
    bragg_lsq_problem q = { .prepare = prepare, .residuals = residuals, .payload = &c };
    bragg_lsq *l;
    add(&t, "a", 0);
    add(&t, "b", 0);
    add(&t, "c", 0);
    ck_assert_int_eq(bragg_lsq_new(&q, &t, NULL, &l, &err), BRAGG_EDATA);
    q.n = 2;
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_lsq_new(&q, &t, NULL, &l, &err), BRAGG_EINVAL);
    ck_assert_str_eq(err.text, "fit: 3 variables and only 2 data points");
    bragg_params_free(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lsq");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, certified_nonlinear_fits_are_reached_in_both_forms);
    tcase_add_test(all, directions_without_information_are_named_and_the_rest_stands);
    tcase_add_test(all, ties_share_a_variable_and_carry_their_esd);
    tcase_add_test(all, bounds_hold_and_release);
    tcase_add_test(all, a_robust_loss_ignores_wild_points);
    tcase_add_test(all, errors_that_hang_together_make_honest_esds);
    tcase_add_test(all, no_points_and_too_few_points_are_refused);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
