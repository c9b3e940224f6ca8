/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What scales intensities, against closed forms, published formulae and explicit
 * averages: absorption of a capillary, a rough surface, extinction, texture. */
#include "config.h"
#include "model_made.h"
#include "suite.h"

#include "../src/refine/spot.h"

#include <bragg/numeric.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------- absorption */

/* Against a slow sum over a fine grid. */
START_TEST(capillary_absorption_is_the_mean_over_its_section)
{
    for (int c = 0; c < 3; c++) {
        const double mu_r = (const double[]){ 0.31, 1.07, 2.93 }[c];
        histogram h = { .mount = BRAGG_DEBYE_SCHERRER };
        double dln, drow[3], mean[4] = { 0 };
        h.value[ABSORPTION] = mu_r;
        bragg_refine_prepare_absorption(&h);
        enum { N = 1200 };
        const double angles[4] = { 0, 23.1, 71.7, 141.3 };
        for (int a = 0; a < 4; a++) {
            double t = angles[a] * BRAGG_DEG, sum = 0;
            size_t seen = 0;
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) {
                    double x = (2 * i + 1.0) / N - 1, y = (2 * j + 1.0) / N - 1;
                    if (x * x + y * y >= 1)
                        continue;
                    double across = x * sin(t) - y * cos(t);
                    sum += exp(-mu_r * (sqrt(1 - y * y) + x + sqrt(1 - across * across) - x * cos(t) - y * sin(t)));
                    seen++;
                }
            mean[a] = sum / (double)seen;
            assert_close(bragg_refine_absorption(&h, t / 2, &dln, drow), mean[a] / mean[0], 1e-3);
        }
    }
}
END_TEST

/* Forward, all rays of a chord 2 cos t are as long as it:
 *     A = 4/pi int_0^(pi/2) cos^2 t exp(-2 mu R cos t) dt;
 * straight back, a ray that turns at depth d has 2 d behind it:
 *     A = (1 - int_0^(pi/2) cos t exp(-4 mu R cos t) dt) / (pi mu R);
 * both by their series, int_0^(pi/2) cos^m t dt = sqrt(pi)/2 Gamma((m + 1)/2) / Gamma(m/2 + 1). */
static double cosine_power(int m) { return sqrt(BRAGG_PI) / 2 * tgamma((m + 1) / 2.) / tgamma(m / 2. + 1); }

START_TEST(capillary_absorption_is_exact_forward_and_back)
{
    static const double mu_r[] = { 1e-4, 0.13, 0.5, 1, 1.71, 2.5 };
    double path;
    for (size_t k = 0; k < sizeof mu_r / sizeof *mu_r; k++) {
        double forward = 0, back = 1, power2 = 1, power4 = 1;
        for (int n = 0; n < 60; n++) {
            forward += 4 / BRAGG_PI * power2 * cosine_power(n + 2);
            back -= power4 * cosine_power(n + 1);
            power2 *= -2 * mu_r[k] / (n + 1);
            power4 *= -4 * mu_r[k] / (n + 1);
        }
        assert_close(bragg_refine_cylinder(mu_r[k], 0, &path), forward, 3e-4);
        assert_close(bragg_refine_cylinder(mu_r[k], BRAGG_PI, &path), back / (BRAGG_PI * mu_r[k]), 2e-3);
    }
    bragg_refine_cylinder(1e-9, 1.137, &path);
    assert_close(path, 16 / (3 * BRAGG_PI), 1e-4); /* the mean path of both ways together, at any angle */
}
END_TEST

/* K. D. Rouse, M. J. Cooper, E. J. York & A. Chakera, Acta Cryst. A26 (1970) 682, for small
 * mu R, as A. W. Hewat, ibid. A35 (1979) 248, put it into Rietveld programs. */
static double rouse(double mu_r, double s) { return exp(-(1.7133 - 0.0368 * s) * mu_r + (0.0927 + 0.375 * s) * mu_r * mu_r); }

/* N. N. Lobanov & L. Alte da Veiga, 6th European Powder Diffraction Conference (1998)
 * P12-16, for mu R to 3. */
static double lobanov(double mu_r, double s)
{
    double k1 = (25.99978 - 0.01911 * pow(s, 0.25)) * exp(-0.024551 * s) + 0.109561 * sqrt(s) - 26.04556;
    double k2 = -0.02489 - 0.39499 * s + 1.219077 * pow(s, 1.5) - 1.31268 * s * s + 0.871081 * pow(s, 2.5) - 0.2327 * s * s * s;
    double k3 = 0.003045 + 0.018167 * s - 0.03305 * s * s;
    return exp(-mu_r * (16 / (3 * BRAGG_PI) + mu_r * (k1 + mu_r * (k2 + mu_r * k3))));
}

/* Fits to tables: their own error is what is left. */
START_TEST(capillary_absorption_agrees_with_the_formulae_of_the_field)
{
    double path;
    for (double theta = 0; theta < 75; theta += 7.3)
        for (double mu_r = 0.1; mu_r < 3; mu_r += 0.29) {
            double s = pow(sin(theta * BRAGG_DEG), 2), ours = bragg_refine_cylinder(mu_r, 2 * theta * BRAGG_DEG, &path);
            assert_close(ours, lobanov(mu_r, s), 0.008);
            if (mu_r < 0.6)
                assert_close(ours, rouse(mu_r, s), 0.002);
        }
}
END_TEST

/* ------------------------------------------------------------ roughness */

static bragg_model *rough(bool with)
{
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    add_pattern(m, &o, 11.3, 0.023, 3500);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    build(m);
    static const struct { const char *name; double value; } values[] = { { "instrument.w", 0.02 }, { "background.0", 210 }, { "phase.B.scale", 0.37 } };
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        m->params.at[bragg_params_find(&m->params, values[k].name)].value = values[k].value;
    m->params.at[bragg_params_find(&m->params, "instrument.roughness_q")].value = with ? 0.117 : 0;
    return m;
}

/* P. Suortti, J. Appl. Cryst. 5 (1972) 325, with P = 0: exp(-Q / sin theta) over exp(-Q); left
 * out it moves the fractions. */
START_TEST(a_rough_surface_is_found_from_none)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *truth = rough(true), *m = rough(false);
    size_t n = bragg_model_points(truth, 0);
    bragg_pattern *p = bragg_pattern_new(n, BRAGG_AXIS_TTH);
    ck_assert_int_eq(bragg_model_calculate(truth, 0, p->x, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < n; i++)
        p->sigma[i] = sqrt(p->y[i]);
    ck_assert_msg(bragg_model_replace_pattern(m, 0, p, &err) == BRAGG_OK, "%s", err.text);
    bragg_model_select(m, "phase.*.scale", true);
    bragg_model_select(m, "background", true);
    double fraction[3], *q = &m->params.at[bragg_params_find(&m->params, "instrument.roughness_q")].value;
    for (int k = 0; k < 2; k++) {
        bragg_fit *f;
        bragg_model_select(m, "instrument.roughness_q", k == 1);
        ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
        fraction[k] = f->phase[0].weight_fraction.value;
        fraction[2] = f->phase[0].weight_fraction.esd;
        bragg_fit_free(f);
    }
    assert_close(*q, 0.117, 1e-4);
    assert_close(m->params.at[bragg_params_find(&m->params, "phase.B.scale")].value, 0.37, 1e-4);
    ck_assert(fabs(fraction[1] - fraction[0]) > 3 * fraction[2]);
    bragg_pattern_free(p);
    bragg_model_free(truth);
    bragg_model_free(m);
}
END_TEST

START_TEST(a_capillary_that_absorbs_is_found_from_none)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    o.mount = BRAGG_DEBYE_SCHERRER;
    add_pattern(m, &o, 11.3, 0.043, 2000);
    add_structure(m, "A", triclinic());
    build(m);
    double *mu_r = &m->params.at[bragg_params_find(&m->params, "instrument.absorption")].value;
    m->params.at[bragg_params_find(&m->params, "instrument.w")].value = 0.02;
    m->params.at[bragg_params_find(&m->params, "background.0")].value = 210;
    *mu_r = 0.83;
    bragg_pattern *p = bragg_pattern_new(bragg_model_points(m, 0), BRAGG_AXIS_TTH);
    ck_assert_int_eq(bragg_model_calculate(m, 0, p->x, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < p->n; i++)
        p->sigma[i] = sqrt(p->y[i]);
    ck_assert_msg(bragg_model_replace_pattern(m, 0, p, &err) == BRAGG_OK, "%s", err.text);
    *mu_r = 0;
    bragg_model_select(m, "phase.*.scale", true);
    bragg_model_select(m, "instrument.absorption", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    assert_close(*mu_r, 0.83, 1e-4);
    bragg_fit_free(f);
    bragg_pattern_free(p);
    bragg_model_free(m);
}
END_TEST

/* ----------------------------------------------------------- extinction */

/* The series that T. M. Sabine, Acta Cryst. A44 (1988) 368, gives for the Laue part. */
START_TEST(extinction_has_the_limits_of_sabine)
{
    static const double weak[] = { 0.011, 0.13, 0.41, 0.9 }, strong[] = { 3.7, 21, 310 };
    double dx, dtheta;
    for (size_t k = 0; k < sizeof weak / sizeof *weak; k++) {
        double x = weak[k], laue = 1 - x / 2 + x * x / 4 - 5 * pow(x, 3) / 48 + 7 * pow(x, 4) / 192;
        ck_assert_double_eq_tol(bragg_refine_extinction(x, 0, &dx, &dtheta), laue, 21. / 1920 * pow(x, 5));
    }
    for (size_t k = 0; k < sizeof strong / sizeof *strong; k++) {
        double x = strong[k], laue = sqrt(2 / (BRAGG_PI * x)) * (1 - 1 / (8 * x) - 3 / (128 * x * x) - 15 / (1024 * pow(x, 3)));
        assert_close(bragg_refine_extinction(x, 0, &dx, &dtheta), laue, 0.05 * pow(x, -4));
        assert_close(bragg_refine_extinction(x, BRAGG_PI / 2, &dx, &dtheta), 1 / sqrt(1 + x), 1e-14);
    }
    double x = 1.37, a = 27.3 * BRAGG_DEG, c2 = cos(a) * cos(a);
    assert_close(bragg_refine_extinction(x, a, &dx, &dtheta), (1 - c2) / sqrt(1 + x) + c2 * bragg_refine_extinction(x, 0, &dx, &dtheta), 1e-14);
}
END_TEST

/* Silicon 111 and Cu Kalpha: the dynamical theory's extinction length 1.5 um (A. Authier,
 * Dynamical Theory of X-ray Diffraction, OUP 2001) is V / (2 d r_e |F|), and a block of
 * 1 um has x = (sin theta / 1.5)^2. */
START_TEST(extinction_counts_blocks_in_micrometres)
{
    double f = 4 * sqrt(2) * 10.54, d = 5.4311946 / sqrt(3), sine = 1.540593 / (2 * d);
    assert_close(sqrt(bragg_refine_extinction_unit(false, 1.540593, f * f, pow(5.4311946, 3))), sine / 1.5, 0.02);
    assert_close(bragg_refine_extinction_unit(true, 1.909, 400, 318.7), pow(1.909 * 2e-4 * 1e4 / 318.7, 2), 1e-12); /* 20 fm = 2e-4 angstrom */
}
END_TEST

/* -------------------------------------------------------------- texture */

/* Powder means: a texture shares intensity out among reflections and makes none. */
START_TEST(harmonics_of_a_cube_begin_at_order_four)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_symmetry s;
    static const struct { const char *group; size_t n[4]; } cases[] = { /* orders 2 4 6 8 */
        { "P m -3 m", { 0, 1, 1, 1 } }, { "P m -3", { 0, 1, 2, 1 } }, { "P 6/m m m", { 1, 1, 2, 2 } }, { "P 6/m", { 1, 1, 3, 3 } }, { "R -3 m:H", { 1, 2, 3, 3 } },
        { "R -3:H", { 1, 3, 5, 5 } }, { "P 4/m m m", { 1, 2, 2, 3 } }, { "P 4/m", { 1, 3, 3, 5 } }, { "P m m m", { 2, 3, 4, 5 } },
        { "P 1 2/m 1", { 3, 5, 7, 9 } }, { "P -1", { 5, 9, 13, 17 } } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ck_assert_int_eq(bragg_symmetry_from_symbol(cases[c].group, &s, &err), BRAGG_OK);
        bragg_structure *p = triclinic();
        int tie[6];
        bragg_symmetry_cell_ties(&s, tie);
        double *v = &p->cell.a;
        for (int i = 0; i < 6; i++) {
            v[i] = tie[i] >= 0 ? v[tie[i]] : tie[i] == BRAGG_CELL_FIXED ? BRAGG_PI / 2 : v[i];
            if (i == 5 && tie[5] == BRAGG_CELL_FIXED && (s.system == BRAGG_TRIGONAL || s.system == BRAGG_HEXAGONAL))
                v[i] = 2 * BRAGG_PI / 3;
        }
        p->symmetry = s;
        bragg_model *m = bragg_model_new();
        bragg_histogram_options o = lab(NULL);
        add_pattern(m, &o, 31.7, 0.067, 100);
        add_structure(m, "A", p);
        ck_assert_int_eq(bragg_model_texture(m, "A", NULL, 0, 8, &err), BRAGG_OK);
        build(m);
        size_t found[4] = { 0 };
        for (size_t k = 0; k < m->phase[0].n_harmonics; k++)
            found[m->phase[0].harmonic_order[k] / 2 - 1]++;
        for (int k = 0; k < 4; k++)
            ck_assert_msg(found[k] == cases[c].n[k], "%s: %zu of order %d", cases[c].group, found[k], 2 * k + 2);
        bragg_model_free(m);
    }
}
END_TEST

/* Cosine of the angle between two reciprocal vectors, by the reciprocal metric. */
static double cosine(const double g[6], const double a[3], const double b[3])
{
    double ab = 0, aa = 0, bb = 0;
    const double m[3][3] = { { g[0], g[5], g[4] }, { g[5], g[1], g[3] }, { g[4], g[3], g[2] } };
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            ab += a[i] * m[i][j] * b[j];
            aa += a[i] * m[i][j] * a[j];
            bb += b[i] * m[i][j] * b[j];
        }
    return ab / sqrt(aa * bb);
}

/* A texture of known density: the sample's axis lies in a crystal's direction u with
 * 1 + ALPHA (c^2 - 1/3) + BETA (c^4 - 1/5), c the cosine with a direction or one of its
 * equivalents, by turns.  Its mean over the sphere is 1, and orders 2 and 4 hold it whole. */
static const double ALPHA = 0.83, BETA = 1.21, along[3] = { 1, -2, 3 };

static void turned(const bragg_symop *op, double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = along[0] * op->r[0][i] + along[1] * op->r[1][i] + along[2] * op->r[2][i];
}

/* Density at a reflection's pole or, with `across`, mean over all directions at right angles to it. */
static double density(const bragg_structure *s, const double g[6], const bragg_reflection *r, bool across)
{
    const double pole[3] = { r->h, r->k, r->l };
    double sum = 0;
    for (size_t o = 0; o < s->symmetry.n_ops; o++) {
        double v[3];
        turned(&s->symmetry.op[o], v);
        double c2 = pow(cosine(g, pole, v), 2), c4 = c2 * c2;
        if (across) {
            c4 = 3 * (1 - c2) * (1 - c2) / 8;
            c2 = (1 - c2) / 2;
        }
        sum += 1 + ALPHA * (c2 - 1. / 3) + BETA * (c4 - 1. / 5);
    }
    return sum / (double)s->symmetry.n_ops;
}

/* Mean of its square over the sphere: (u v)^2 (u w)^2, (u v)^2 (u w)^4 and (u v)^4 (u w)^4 have the
 * means (1 + 2 c^2)/15, (1 + 4 c^2)/35 and (3 + 24 c^2 + 8 c^4)/315. */
static double mean_square(const bragg_structure *s, const double g[6])
{
    double sum = 0, first[3], v[3];
    turned(&s->symmetry.op[0], first);
    for (size_t o = 0; o < s->symmetry.n_ops; o++) {
        turned(&s->symmetry.op[o], v);
        double c2 = pow(cosine(g, first, v), 2);
        sum += 1 + ALPHA * ALPHA * ((1 + 2 * c2) / 15 - 1. / 9) + 2 * ALPHA * BETA * ((1 + 4 * c2) / 35 - 1. / 15) +
               BETA * BETA * ((3 + 24 * c2 + 8 * c2 * c2) / 315 - 1. / 25);
    }
    return sum / (double)s->symmetry.n_ops;
}

/* Coefficients with which the harmonics are the density at all poles. */
static void find_coefficients(bragg_model *m, const double g[6])
{
    const phase *p = &m->phase[0];
    size_t n = p->n_harmonics;
    double *a = calloc(n * n + 2 * n, sizeof *a), *b = a + n * n;
    for (size_t r = 0; r < p->n_reflections; r++) {
        const double *y = p->harmonic_at + r * BRAGG_MAX_HARMONIC_TERMS;
        for (size_t i = 0; i < n; i++) {
            b[i] += y[i] * (density(p->structure, g, &p->reflection[r], false) - 1);
            for (size_t j = 0; j < n; j++)
                a[i * n + j] += y[i] * y[j];
        }
    }
    ck_assert(bragg_symmetric_invert(a, n));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            m->params.at[p->harmonic_row + i].value += a[i * n + j] * b[j];
    free(a);
}

static bragg_model *textured(const char *group, bragg_mount mount)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = triclinic();
    ck_assert_int_eq(bragg_symmetry_from_symbol(group, &s->symmetry, &err), BRAGG_OK);
    if (s->symmetry.system == BRAGG_TRIGONAL)
        s->cell = (bragg_cell){ 5.137, 5.137, 6.291, BRAGG_PI / 2, BRAGG_PI / 2, 2 * BRAGG_PI / 3 };
    if (s->symmetry.system == BRAGG_MONOCLINIC)
        s->cell.alpha = s->cell.gamma = BRAGG_PI / 2;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    o.mount = mount;
    add_pattern(m, &o, 11.7, 0.5, 200);
    add_structure(m, "A", s);
    ck_assert_int_eq(bragg_model_texture(m, "A", NULL, 0, 4, &err), BRAGG_OK);
    build(m);
    return m;
}

/* In reflection a plate shows the poles along its normal, a capillary those across its axis. */
START_TEST(harmonics_are_the_explicit_mean_over_orientations)
{
    static const char *const groups[] = { "P -1", "P 1 2/m 1", "P -3", "P -3 m 1" };
    static const bragg_mount mounts[] = { BRAGG_BRAGG_BRENTANO, BRAGG_DEBYE_SCHERRER };
    bragg_model *m = textured(groups[_i / 2], mounts[_i % 2]);
    const phase *p = &m->phase[0];
    texture_slopes slopes;
    double g[6], index = 1, largest = 0;
    bragg_cell_reciprocal(&p->structure->cell, g);
    find_coefficients(m, g);
    ck_assert_uint_gt(p->n_reflections, 3 * p->n_harmonics);
    for (size_t r = 0; r < p->n_reflections; r++) {
        double mean = density(p->structure, g, &p->reflection[r], mounts[_i % 2] == BRAGG_DEBYE_SCHERRER);
        assert_close(bragg_refine_texture(&m->params, &m->histogram[0], p, r, &slopes), mean, 1e-10);
        largest = fmax(largest, fabs(mean - 1));
    }
    ck_assert(largest > 0.03);
    for (size_t k = 0; k < p->n_harmonics; k++)
        index += pow(m->params.at[p->harmonic_row + k].value, 2) / (2 * p->harmonic_order[k] + 1);
    assert_close(index, mean_square(p->structure, g), 1e-10);
    bragg_model_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("factors");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, capillary_absorption_is_the_mean_over_its_section);
    tcase_add_test(all, capillary_absorption_is_exact_forward_and_back);
    tcase_add_test(all, capillary_absorption_agrees_with_the_formulae_of_the_field);
    tcase_add_test(all, a_capillary_that_absorbs_is_found_from_none);
    tcase_add_test(all, a_rough_surface_is_found_from_none);
    tcase_add_test(all, extinction_has_the_limits_of_sabine);
    tcase_add_test(all, extinction_counts_blocks_in_micrometres);
    tcase_add_test(all, harmonics_of_a_cube_begin_at_order_four);
    tcase_add_loop_test(all, harmonics_are_the_explicit_mean_over_orientations, 0, 8);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
