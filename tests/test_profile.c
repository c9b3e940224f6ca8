/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/profile.h>
#include <bragg/units.h>

/* The Voigt function by direct convolution, area 1: the truth that TCH mimics. */
static double voigt(double x, double g, double l)
{
    double sigma = g / 2.3548200450309493, sum = 0, step = sigma / 40;
    for (int i = -400; i <= 400; i++) {
        double u = i * step, weight = exp(-u * u / (2 * sigma * sigma)) / (sigma * sqrt(2 * BRAGG_PI));
        sum += weight * step * (l / 2) / BRAGG_PI / ((x - u) * (x - u) + l * l / 4);
    }
    return sum;
}

START_TEST(the_pseudo_voigt_is_the_voigt_within_two_percent_of_its_maximum)
{
    static const double widths[][2] = { { 0.137, 0.031 }, { 0.09, 0.11 }, { 0.05, 0.291 } };
    for (size_t k = 0; k < 3; k++) {
        double g = widths[k][0], l = widths[k][1], top = voigt(0, g, l);
        bragg_tch m = bragg_tch_mix(g, l);
        for (double x = -1; x < 1; x += 0.0173)
            ck_assert_msg(fabs(bragg_pseudo_voigt(x, m.fwhm, m.eta, NULL, NULL, NULL) - voigt(x, g, l)) <
                              0.02 * top, "G %g L %g at %g", g, l, x);
        /* Olivero & Longbothum, JQSRT 17 (1977) 233, right to 2e-4; the fifth-power
         * formula of TCH lies up to 0.4 % below it where the Gaussian dominates. */
        double truth = 0.5346 * l + sqrt(0.2166 * l * l + g * g);
        assert_close(voigt(truth / 2, g, l), top / 2, 5e-4);
        assert_close(m.fwhm, truth, 4e-3);
    }
}
END_TEST

START_TEST(pure_widths_give_the_pure_shapes)
{
    bragg_tch gauss = bragg_tch_mix(0.137, 0), lorentz = bragg_tch_mix(0, 0.137);
    assert_close(gauss.fwhm, 0.137, 1e-15);
    ck_assert(gauss.eta == 0);
    assert_close(lorentz.fwhm, 0.137, 1e-15);
    assert_close(lorentz.eta, 1, 1e-12);
    double half = bragg_pseudo_voigt(0.137 / 2, 0.137, 0.385, NULL, NULL, NULL);
    assert_close(half, bragg_pseudo_voigt(0, 0.137, 0.385, NULL, NULL, NULL) / 2, 1e-14);
}
END_TEST

START_TEST(the_area_is_one)
{
    double fwhm = 0.137, eta = 0.385, sum = 0, step = fwhm / 50;
    for (int i = -100000; i <= 100000; i++)
        sum += bragg_pseudo_voigt(i * step, fwhm, eta, NULL, NULL, NULL) * step;
    double tail = eta * 2 * (0.5 - atan(2 * 100000.5 * step / fwhm) / BRAGG_PI);
    assert_close(sum + tail, 1, 1e-9);
}
END_TEST

START_TEST(profile_derivatives_are_those_of_central_differences)
{
    double x = 0.0731, fwhm = 0.137, eta = 0.385, h = 1e-6, dx, df, de;
    bragg_pseudo_voigt(x, fwhm, eta, &dx, &df, &de);
#define PV(x, f, e) bragg_pseudo_voigt(x, f, e, NULL, NULL, NULL)
    assert_close(dx, (PV(x + h, fwhm, eta) - PV(x - h, fwhm, eta)) / (2 * h), 1e-7);
    assert_close(df, (PV(x, fwhm + h, eta) - PV(x, fwhm - h, eta)) / (2 * h), 1e-7);
    assert_close(de, (PV(x, fwhm, eta + h) - PV(x, fwhm, eta - h)) / (2 * h), 1e-7);
    double g = 0.11, l = 0.083;
    bragg_tch m = bragg_tch_mix(g, l);
    assert_close(m.dfwhm_dg, (bragg_tch_mix(g + h, l).fwhm - bragg_tch_mix(g - h, l).fwhm) / (2 * h), 1e-7);
    assert_close(m.dfwhm_dl, (bragg_tch_mix(g, l + h).fwhm - bragg_tch_mix(g, l - h).fwhm) / (2 * h), 1e-7);
    assert_close(m.deta_dg, (bragg_tch_mix(g + h, l).eta - bragg_tch_mix(g - h, l).eta) / (2 * h), 1e-7);
    assert_close(m.deta_dl, (bragg_tch_mix(g, l + h).eta - bragg_tch_mix(g, l - h).eta) / (2 * h), 1e-7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile");
    TCase *tc = tcase_create("profile");
    tcase_add_test(tc, the_pseudo_voigt_is_the_voigt_within_two_percent_of_its_maximum);
    tcase_add_test(tc, pure_widths_give_the_pure_shapes);
    tcase_add_test(tc, the_area_is_one);
    tcase_add_test(tc, profile_derivatives_are_those_of_central_differences);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
