/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef REFINE_SHAPE_H
#define REFINE_SHAPE_H

#include <stddef.h>

/* Loops over the points of one peak.  Sums over quadrature nodes are added to the
 * arrays of `shapes_at`: the profile P and its derivatives. */

typedef struct shapes_at {
    double *restrict p, *restrict position, *restrict gauss, *restrict lorentz;
    double *restrict axial[2]; /* S/L, H/L; NULL when they do not move */
} shapes_at;

/* Width, mixture and factor of a profile; its derivatives with respect to them are wanted
 * with respect to the widths of Gaussian and Lorentzian that they come from. */
typedef struct shape {
    double fwhm, eta, scale;
    double mix[4]; /* d fwhm / d Gaussian, Lorentzian width; d eta */
} shape;

/* exp(x) for x <= 0 in a form that vectorizes: 2^k times the Taylor series of the
 * rest, |rest| < ln2 / 2, whose 11th power over 11! is 2e-13. */
static inline __attribute__((always_inline)) double exp_of_negative(double x)
{
    const double magic = 6755399441055744.0; /* 1.5 * 2^52: rounds to an integer */
    x = x < -700 ? -700 : x;
    double k = x * 1.4426950408889634 + magic;
    union { double d; unsigned long long i; } bits = { k };
    double whole = k - magic;
    double r = (x - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
    double r2 = r * r, r4 = r2 * r2; /* Estrin: the terms do not wait for each other */
    double low = (1 + r) + r2 * (1. / 2 + r * (1. / 6)), middle = (1. / 24 + r * (1. / 120)) + r2 * (1. / 720 + r * (1. / 5040));
    double high = (1. / 40320 + r * (1. / 362880)) + r2 * (1. / 3628800);
    double s = low + r4 * (middle + r4 * high);
    bits.i = (bits.i << 52) + 0x3ff0000000000000ULL;
    return s * bits.d;
}

#pragma GCC visibility push(hidden)

/* Adds one node of weight w at x0: dw and dx0 its derivatives with respect to the
 * position, S/L and H/L. */
void bragg_shape_near(const double *x, size_t n, double x0, double w, const double dx0[3], const double dw[3], const shape *of, const shapes_at *to);
/* Sets what all nodes are seen from afar, where the Gaussian is nothing and the Lorentzian
 * so smooth that the nodes' mean place x0 and variance m2 tell all. */
void bragg_shape_far(const double *x, size_t n, double x0, double m2, const double dx0[3], const double dm2[3], const shape *of, const shapes_at *to);
void bragg_shape_add_scaled(double *restrict to, const double *restrict p, size_t n, double by);
/* Adds the values alone of both. */
void bragg_shape_near_values(const double *x, size_t n, double x0, double w, double fwhm, double eta, double scale, double *p);
void bragg_shape_far_values(const double *x, size_t n, double x0, double m2, double fwhm, double eta, double scale, double *p);

#pragma GCC visibility pop

#endif
