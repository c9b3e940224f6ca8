/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PROFILE_H
#define BRAGG_PROFILE_H

#include <stddef.h>

/** Peak profiles of constant-wavelength powder diffraction, with derivatives. */

/** Widths of one peak: full widths at half maximum of the Gaussian and the
 *  Lorentzian whose convolution (a Voigt function) the pseudo-Voigt stands for.
 *
 *  Thompson, Cox & Hastings, J. Appl. Cryst. 20 (1987) 79-83:
 *      Gamma^5 = G^5 + 2.69269 G^4 L + 2.42843 G^3 L^2 + 4.47163 G^2 L^3 + 0.07842 G L^4 + L^5
 *      eta     = 1.36603 x - 0.47719 x^2 + 0.11116 x^3,  x = L / Gamma */
typedef struct bragg_tch {
    double fwhm, eta;
    double dfwhm_dg, dfwhm_dl; /**< d fwhm / d G, d fwhm / d L */
    double deta_dg, deta_dl;
} bragg_tch;

/** Mix widths (>= 0, the same unit, not both zero). */
bragg_tch bragg_tch_mix(double gauss_fwhm, double lorentz_fwhm);

/** Area-normalized pseudo-Voigt at distance x from its centre, and its
 *  derivatives.  Any of the derivative pointers may be NULL. */
double bragg_pseudo_voigt(double x, double fwhm, double eta, double *d_dx, double *d_dfwhm,
                          double *d_deta);

/** The same at n distances x[i] - centre: p[i] += scale * value and, likewise,
 *  dx[i] (with respect to x), dfwhm[i] and deta[i]; these three may be NULL
 *  together.  The Gaussian is exact to 1e-15 of its top. */
void bragg_pseudo_voigt_add(const double *x, size_t n, double centre, double fwhm, double eta,
                            double scale, double *p, double *dx, double *dfwhm, double *deta);

#endif
