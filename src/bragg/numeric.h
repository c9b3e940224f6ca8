/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_NUMERIC_H
#define BRAGG_NUMERIC_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>

/* ------------------------------------------------------- small matrices */

/** a[n * n] symmetric and positive becomes its inverse; false, and a is spoilt, when it
 *  is not. */
bool bragg_symmetric_invert(double *a, size_t n);
/** Eigenvalues of a[n * n] symmetric, n > 0, largest first; vector[i * n + k] is part i of the
 *  k-th vector.  a is spoilt.  EDATA when it has something that is no number. */
bragg_status bragg_symmetric_eigen(double *a, size_t n, double *value, double *vector, bragg_error *err);

/* ------------------------------------------------------------ quadrature */

/** Rising points and weights of Gauss and Legendre over [low, high]. */
void bragg_gauss_legendre(size_t n, double low, double high, double *x, double *weight);

/* --------------------------------------------------------- interpolation */

/** Of n > 1 rising x the interval x[*j] to x[*j + 1] that `at` lies in, the first or the last for
 *  what lies before or behind them all; walks on from *j, which begins at 0.  Returns how
 *  far into it: 0 at x[*j], 1 at x[*j + 1]. */
double bragg_interval(const double *x, size_t n, double at, size_t *j);
/** y at each of n_at rising places, straight between its n points; NAN outside them. */
void bragg_resample(const double *x, const double *y, size_t n, const double *at, size_t n_at, double *out);
/** y at one place, straight between its n > 0 points; outside the nearest of them. */
double bragg_interpolate(const double *x, const double *y, size_t n, double at);

/* ------------------------------------------------------------ background */

/** Background by SNIP with the LLS operator (C. G. Ryan et al., Nucl. Instrum.
 *  Meth. B34 (1988) 396; M. Morhac et al., Nucl. Instrum. Meth. A401 (1997) 113):
 *  windows shrink from `window` points to one. */
bragg_status bragg_snip(const double *y, size_t n, size_t window, double *out, bragg_error *err);

/* ------------------------------------------------------------ Chebyshev */

/** T_0 … T_{terms-1} at t in [-1, 1]. */
void bragg_chebyshev_row(double t, size_t terms, double *out);

/* ------------------------------------------------------------ transforms */

/** out[j] = sum_i w[i] f[i] sin(q[i] r[j]) on any two grids: the sine transform of
 *  total scattering, with w the quadrature weights.  variance (of f) may be NULL,
 *  else out_variance[j] = sum_i (w[i] sin(q[i] r[j]))^2 variance[i].  Equal steps
 *  of r are used where they are.  Same bits on any number of threads. */
bragg_status bragg_sine_transform(const double *q, const double *f, const double *w, const double *variance, size_t n,
                                  const double *r, size_t m, double *out, double *out_variance, bragg_error *err);
/** The same with cos(q[i] r[j]). */
bragg_status bragg_cosine_transform(const double *q, const double *f, const double *w, const double *variance, size_t n,
                                    const double *r, size_t m, double *out, double *out_variance, bragg_error *err);
/** Trapezoidal weights of a rising grid. */
void bragg_trapezoid_weights(const double *x, size_t n, double *w);

#endif
