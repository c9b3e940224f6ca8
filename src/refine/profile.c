/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Peak profiles of constant-wavelength powder diffraction. */
#include "config.h"
#include "shape.h"

#include <bragg/profile.h>
#include <bragg/units.h>

#include <math.h>

#define LN2 0.6931471805599453

bragg_tch bragg_tch_mix(double g, double l)
{
    /* Thompson, Cox & Hastings (1987), eq. 6 and 7, in Horner form. */
    double g5 = ((((g + 2.69269 * l) * g + 2.42843 * l * l) * g + 4.47163 * l * l * l) * g +
                 0.07842 * l * l * l * l) * g + l * l * l * l * l;
    double dg = ((((5 * g + 4 * 2.69269 * l) * g + 3 * 2.42843 * l * l) * g +
                  2 * 4.47163 * l * l * l) * g + 0.07842 * l * l * l * l);
    double dl = (((2.69269 * g + 2 * 2.42843 * l) * g + 3 * 4.47163 * l * l) * g +
                 4 * 0.07842 * l * l * l) * g + 5 * l * l * l * l;
    bragg_tch m = { .fwhm = pow(g5, 0.2) };
    double per = 1 / (5 * pow(m.fwhm, 4)), x = l / m.fwhm;
    m.dfwhm_dg = dg * per;
    m.dfwhm_dl = dl * per;
    m.eta = x * (1.36603 - x * (0.47719 - x * 0.11116));
    double slope = 1.36603 - x * (2 * 0.47719 - x * 3 * 0.11116);
    m.deta_dg = slope * (-x / m.fwhm * m.dfwhm_dg);
    m.deta_dl = slope * (1 - x * m.dfwhm_dl) / m.fwhm;
    return m;
}

double bragg_pseudo_voigt(double x, double fwhm, double eta, double *d_dx, double *d_dfwhm,
                          double *d_deta)
{
    double t = x / fwhm, t2 = t * t;
    double gauss = 2 * sqrt(LN2 / BRAGG_PI) / fwhm * exp(-4 * LN2 * t2);
    double lorentz = 2 / (BRAGG_PI * fwhm * (1 + 4 * t2));
    double gauss_slope = -8 * LN2 * t * gauss;        /* d gauss / d t */
    double lorentz_slope = -8 * t * lorentz / (1 + 4 * t2);
    double value = eta * lorentz + (1 - eta) * gauss;
    double slope = eta * lorentz_slope + (1 - eta) * gauss_slope;
    if (d_dx)
        *d_dx = slope / fwhm;
    if (d_dfwhm)
        *d_dfwhm = -(value + t * slope) / fwhm;
    if (d_deta)
        *d_deta = lorentz - gauss;
    return value;
}

CLONES static void add_values(const double *restrict x, size_t n, double centre, double per, double a,
                              double b, double *restrict p)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - centre) * per, t2 = t * t;
        p[i] += a * exp_of_negative(-4 * LN2 * t2) + b / (1 + 4 * t2);
    }
}

/* gauss = 2 sqrt(ln2/pi)/fwhm exp(-4 ln2 t^2), lorentz = 2/(pi fwhm (1 + 4 t^2)) */
CLONES static void add_slopes(const double *restrict x, size_t n, double centre, double fwhm, double eta,
                              double scale, double *restrict p, double *restrict dx,
                              double *restrict dfwhm, double *restrict deta)
{
    const double per = 1 / fwhm, g0 = scale * 2 * sqrt(LN2 / BRAGG_PI) * per, l0 = scale * 2 / BRAGG_PI * per;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - centre) * per, t2 = t * t, cauchy = 1 / (1 + 4 * t2);
        double gauss = g0 * exp_of_negative(-4 * LN2 * t2), lorentz = l0 * cauchy;
        double value = eta * lorentz + (1 - eta) * gauss;
        double slope = -8 * t * (eta * lorentz * cauchy + (1 - eta) * LN2 * gauss);
        p[i] += value;
        dx[i] += slope * per;
        dfwhm[i] -= (value + t * slope) * per;
        deta[i] += lorentz - gauss;
    }
}

void bragg_pseudo_voigt_add(const double *x, size_t n, double centre, double fwhm, double eta,
                            double scale, double *p, double *dx, double *dfwhm, double *deta)
{
    if (dx)
        add_slopes(x, n, centre, fwhm, eta, scale, p, dx, dfwhm, deta);
    else
        add_values(x, n, centre, 1 / fwhm, scale * (1 - eta) * 2 * sqrt(LN2 / BRAGG_PI) / fwhm,
                   scale * eta * 2 / (BRAGG_PI * fwhm), p);
}
