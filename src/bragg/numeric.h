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

/* -------------------------------------------------------------- splines */

/** Cubic spline through n >= 3 points (x rising), natural ends; GSL's. */
typedef struct bragg_spline bragg_spline;
bragg_status bragg_spline_new(const double *x, const double *y, size_t n, bragg_spline **out, bragg_error *err);
void bragg_spline_free(bragg_spline *spline);
/** Value and (unless NULL) slope; beyond the ends the end's tangent goes on. */
double bragg_spline_at(const bragg_spline *spline, double x, double *slope);
/** Integral from a to b, both within the points. */
double bragg_spline_integral(const bragg_spline *spline, double a, double b);

/** Smoothing spline (C. H. Reinsch, Numer. Math. 10 (1967) 177): the smoothest
 *  curve with sum ((y - f) / sigma)^2 <= misfit; misfit = n is what noise alone
 *  makes.  sigma NULL: ones.  f receives n values. */
bragg_status bragg_smoothing_spline(const double *x, const double *y, const double *sigma, size_t n,
                                    double misfit, double *f, bragg_error *err);

/* ------------------------------------------------------------ smoothing */

/** Savitzky-Golay (A. Savitzky & M. J. E. Golay, Anal. Chem. 36 (1964) 1627) on
 *  equal steps: least-squares polynomial of `order` over 2 half + 1 points, its
 *  `derivative`-th derivative (per step) at each; the ends use the first and last
 *  full window. */
bragg_status bragg_savitzky_golay(const double *y, size_t n, size_t half, size_t order, size_t derivative,
                                  double *out, bragg_error *err);

/** Background by SNIP with the LLS operator (C. G. Ryan et al., Nucl. Instrum.
 *  Meth. B34 (1988) 396; M. Morhac et al., Nucl. Instrum. Meth. A401 (1997) 113):
 *  windows shrink from `window` points to one. */
bragg_status bragg_snip(const double *y, size_t n, size_t window, double *out, bragg_error *err);

/* ------------------------------------------------------------ Chebyshev */

/** T_0 … T_{terms-1} at t in [-1, 1]. */
void bragg_chebyshev_row(double t, size_t terms, double *out);
/** Weighted least-squares coefficients over the points' range; sigma may be NULL. */
bragg_status bragg_chebyshev_fit(const double *x, const double *y, const double *sigma, size_t n, size_t terms,
                                 double *coefficients, bragg_error *err);

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
