/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Savitzky-Golay, SNIP and Chebyshev polynomials. */
#include "config.h"
#include <bragg/numeric.h>

#include <gsl/gsl_multifit.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A linear least-squares problem of n rows and so many terms, by GSL's QR. */
typedef struct linear {
    gsl_matrix *a, *covariance;
    gsl_vector *b, *c;             /* c: the coefficients */
    gsl_multifit_linear_workspace *work;
} linear;

static bool linear_new(linear *l, size_t n, size_t terms)
{
    *l = (linear){ gsl_matrix_alloc(n, terms), gsl_matrix_alloc(terms, terms), gsl_vector_alloc(n), gsl_vector_alloc(terms), gsl_multifit_linear_alloc(n, terms) };
    return l->a && l->covariance && l->b && l->c && l->work;
}

static bool linear_solve(linear *l)
{
    double chisq;
    return gsl_multifit_linear(l->a, l->b, l->c, l->covariance, &chisq, l->work) == 0;
}

static void linear_free(linear *l)
{
    gsl_matrix_free(l->a);
    gsl_matrix_free(l->covariance);
    gsl_vector_free(l->b);
    gsl_vector_free(l->c);
    gsl_multifit_linear_free(l->work);
}

/* --------------------------------------------------------- Savitzky-Golay */

/* The `derivative`-th derivative of the polynomial at t; t runs over half points. */
static double derivative_at(const gsl_vector *c, size_t derivative, double t, double half)
{
    double sum = 0;
    for (size_t k = derivative; k < c->size; k++) {
        double factor = 1;
        for (size_t d = 0; d < derivative; d++)
            factor *= (double)(k - d) / half;
        sum += gsl_vector_get(c, k) * factor * pow(t, (double)(k - derivative));
    }
    return sum;
}

/* Row k: the weights that make the derivative at position k of the window from
 * its points, the k-th row of B d/dx (B' B)^-1 B', found as the least-squares answer
 * to unit vectors. */
static bragg_status window_weights(size_t width, size_t order, size_t derivative, double *out, bragg_error *err)
{
    linear l;
    bool good = linear_new(&l, width, order + 1);
    double half = (double)(width - 1) / 2;
    for (size_t i = 0; good && i < width; i++)
        for (size_t k = 0; k <= order; k++)
            gsl_matrix_set(l.a, i, k, pow(((double)i - half) / half, (double)k));
    for (size_t j = 0; good && j < width; j++) {
        gsl_vector_set_basis(l.b, j);
        good = linear_solve(&l);
        for (size_t i = 0; i < width; i++)
            out[i * width + j] = derivative_at(l.c, derivative, ((double)i - half) / half, half);
    }
    linear_free(&l);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a window of %zu points", width);
}

bragg_status bragg_savitzky_golay(const double *y, size_t n, size_t half, size_t order, size_t derivative, double *out, bragg_error *err)
{
    size_t width = 2 * half + 1;
    if (half < 1 || width > n || order + 1 > width || derivative > order || order > 20)
        return bragg_fail(err, BRAGG_EINVAL, "Savitzky-Golay: window %zu, order %zu, derivative %zu do not fit %zu points", width, order, derivative, n);
    double *w = malloc(width * width * sizeof *w);
    bragg_status st = w ? window_weights(width, order, derivative, w, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a window of %zu points", width);
    for (size_t i = 0; st == BRAGG_OK && i < n; i++) {
        size_t first = i < half ? 0 : i + half >= n ? n - width : i - half;
        double sum = 0;
        for (size_t j = 0; j < width; j++)
            sum += w[(i - first) * width + j] * y[first + j];
        out[i] = sum;
    }
    free(w);
    return st;
}

/* ------------------------------------------------------------------ SNIP */

/* Log-log-square root: peaks of a thousand and of ten counts are clipped alike. */
static double lls(double y) { return log(log(sqrt(fmax(y, 0) + 1) + 1) + 1); }

static double unlls(double v)
{
    double root = exp(exp(v) - 1) - 1;
    return root * root - 1;
}

bragg_status bragg_snip(const double *y, size_t n, size_t window, double *out, bragg_error *err)
{
    double low = 0;
    if (n < 3 || window < 1 || window > n / 2)
        return bragg_fail(err, BRAGG_EINVAL, "SNIP: a window of %zu does not fit %zu points", window, n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i]))
            return bragg_fail(err, BRAGG_EINVAL, "SNIP: point %zu is not a number", i);
        low = fmin(low, y[i]);
    }
    double *v = malloc(2 * n * sizeof *v), *w = v + n;
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the background of %zu points", n);
    for (size_t i = 0; i < n; i++) /* the operator wants y >= 0 */
        v[i] = lls(y[i] - low);
    for (size_t m = window; m >= 1; m--) {
        memcpy(w, v, n * sizeof *v);
        for (size_t i = 0; i < n; i++) {
            size_t a = i >= m ? i - m : 0, b = i + m < n ? i + m : n - 1;
            v[i] = fmin(w[i], (w[a] + w[b]) / 2);
        }
    }
    for (size_t i = 0; i < n; i++)
        out[i] = unlls(v[i]) + low;
    free(v);
    return BRAGG_OK;
}

/* ------------------------------------------------------------- Chebyshev */

void bragg_chebyshev_row(double t, size_t terms, double *out)
{
    for (size_t k = 0; k < terms; k++)
        out[k] = k == 0 ? 1 : k == 1 ? t : 2 * t * out[k - 1] - out[k - 2];
}

bragg_status bragg_chebyshev_fit(const double *x, const double *y, const double *sigma, size_t n, size_t terms, double *coefficients, bragg_error *err)
{
    if (terms < 1 || n < terms || !(x[n - 1] > x[0]))
        return bragg_fail(err, BRAGG_EINVAL, "Chebyshev fit: %zu terms do not fit %zu points", terms, n);
    linear l;
    double *row = malloc(terms * sizeof *row);
    bool room = linear_new(&l, n, terms) && row, good = room;
    for (size_t i = 0; good && i < n; i++) {
        double weight = sigma ? 1 / sigma[i] : 1;
        bragg_chebyshev_row((2 * x[i] - x[0] - x[n - 1]) / (x[n - 1] - x[0]), terms, row);
        for (size_t k = 0; k < terms; k++)
            gsl_matrix_set(l.a, i, k, row[k] * weight);
        gsl_vector_set(l.b, i, y[i] * weight);
    }
    good = good && linear_solve(&l);
    for (size_t k = 0; good && k < terms; k++)
        coefficients[k] = gsl_vector_get(l.c, k);
    linear_free(&l);
    free(row);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu terms over %zu points", terms, n);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "Chebyshev fit: no solution for %zu terms over %zu points", terms, n);
}
