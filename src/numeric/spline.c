/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cubic splines through points (GSL's) and smoothing splines (Reinsch's). */
#include "config.h"
#include <bragg/numeric.h>

#include <gsl/gsl_linalg.h>
#include <gsl/gsl_spline.h>
#include <math.h>
#include <stdlib.h>

struct bragg_spline {
    gsl_spline *at;
    double low, high;
};

static bragg_status check_grid(const double *x, const double *y, size_t n, bragg_error *err)
{
    if (n < 3)
        return bragg_fail(err, BRAGG_EINVAL, "spline: expected at least 3 points, got %zu", n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]) || !isfinite(y[i]) || (i && !(x[i] > x[i - 1])))
            return bragg_fail(err, BRAGG_EINVAL, "spline: expected rising numbers, found %g, %g at point %zu", x[i], y[i], i);
    return BRAGG_OK;
}

bragg_status bragg_spline_new(const double *x, const double *y, size_t n, bragg_spline **out, bragg_error *err)
{
    *out = NULL;
    bragg_status st = check_grid(x, y, n, err);
    if (st < 0)
        return st;
    bragg_spline *s = calloc(1, sizeof *s);
    if (s)
        s->at = gsl_spline_alloc(gsl_interp_cspline, n);
    if (!s || !s->at || gsl_spline_init(s->at, x, y, n)) {
        bragg_spline_free(s);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a spline of %zu points", n);
    }
    s->low = x[0];
    s->high = x[n - 1];
    *out = s;
    return BRAGG_OK;
}

void bragg_spline_free(bragg_spline *s)
{
    if (!s)
        return;
    if (s->at)
        gsl_spline_free(s->at);
    free(s);
}

double bragg_spline_at(const bragg_spline *s, double x, double *slope)
{
    double inside = fmin(fmax(x, s->low), s->high), d = gsl_spline_eval_deriv(s->at, inside, NULL);
    if (slope)
        *slope = d;
    return gsl_spline_eval(s->at, inside, NULL) + d * (x - inside);
}

double bragg_spline_integral(const bragg_spline *s, double a, double b)
{
    return gsl_spline_eval_integ(s->at, fmax(a, s->low), fmin(b, s->high), NULL);
}

/* Reinsch's system for a given p: (Q' S^2 Q + p T) u = Q' y, f = y - S^2 Q u, with
 * Q the second differences (n x n-2) and T tridiagonal.  p falls until the misfit
 * is reached; the matrix is pentadiagonal and solved by banded Cholesky. */
typedef struct reinsch {
    size_t n;
    const double *x, *y;
    double *s2, *h, *band, *u, *f;  /* band: 3 diagonals of n - 2 */
} reinsch;

static double second_difference(const reinsch *r, size_t i, int k)
{
    return k == 0 ? 1 / r->h[i] : k == 1 ? -1 / r->h[i] - 1 / r->h[i + 1] : 1 / r->h[i + 1];
}

static void fill_band(const reinsch *r, double p)
{
    size_t m = r->n - 2;
    for (size_t i = 0; i < m; i++)
        for (size_t d = 0; d < 3; d++) {
            double v = 0;
            for (size_t k = d; k < 3 && i + d < m; k++) /* rows i + k shared by columns i and i + d */
                v += second_difference(r, i, (int)k) * r->s2[i + k] * second_difference(r, i + d, (int)(k - d));
            if (d == 0)
                v += p * (r->h[i] + r->h[i + 1]) / 3;
            if (d == 1 && i + 1 < m)
                v += p * r->h[i + 1] / 6;
            r->band[3 * i + d] = i + d < m ? v : 0;
        }
}

static void solve_band(const reinsch *r)
{
    size_t m = r->n - 2;
    double *b = r->band;
    for (size_t i = 0; i < m; i++) { /* L L' with two sub-diagonals, in place */
        for (size_t k = i >= 2 ? i - 2 : 0; k < i; k++) {
            size_t d = i - k;
            for (size_t e = 0; d + e < 3; e++)
                b[3 * i + e] -= b[3 * k + d] * b[3 * k + d + e];
        }
        double root = sqrt(b[3 * i]);
        for (size_t e = 0; e < 3; e++)
            b[3 * i + e] /= root;
    }
    for (size_t i = 0; i < m; i++) {
        for (size_t k = i >= 2 ? i - 2 : 0; k < i; k++)
            r->u[i] -= b[3 * k + i - k] * r->u[k];
        r->u[i] /= b[3 * i];
    }
    for (size_t i = m; i-- > 0;) {
        for (size_t e = 1; e < 3 && i + e < m; e++)
            r->u[i] -= b[3 * i + e] * r->u[i + e];
        r->u[i] /= b[3 * i];
    }
}

static double smooth_with(const reinsch *r, double p)
{
    double misfit = 0;
    for (size_t i = 0; i < r->n - 2; i++)
        r->u[i] = (r->y[i + 2] - r->y[i + 1]) / r->h[i + 1] - (r->y[i + 1] - r->y[i]) / r->h[i];
    fill_band(r, p);
    solve_band(r);
    for (size_t i = 0; i < r->n; i++) {
        double v = 0;
        for (size_t k = 0; k < 3; k++)
            if (i >= k && i - k < r->n - 2)
                v += second_difference(r, i - k, (int)k) * r->u[i - k];
        r->f[i] = r->y[i] - r->s2[i] * v;
        misfit += r->s2[i] * v * v;
    }
    return misfit;
}

bragg_status bragg_smoothing_spline(const double *x, const double *y, const double *sigma, size_t n, double misfit, double *f, bragg_error *err)
{
    bragg_status st = check_grid(x, y, n, err);
    if (st < 0)
        return st;
    double *v = calloc(6 * n, sizeof *v);
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a spline of %zu points", n);
    reinsch r = { n, x, y, v, v + n, v + 2 * n, v + 5 * n, f };
    for (size_t i = 0; i < n; i++) {
        r.s2[i] = sigma ? sigma[i] * sigma[i] : 1;
        if (i + 1 < n)
            r.h[i] = x[i + 1] - x[i];
    }
    /* p = 0 is the straight line, p = infinity goes through the points: the misfit
     * falls monotonically between */
    double low = -30, high = 60;
    if (smooth_with(&r, 0) > misfit)
        for (int k = 0; k < 80; k++) {
            double mid = (low + high) / 2;
            if (smooth_with(&r, exp(mid)) > misfit)
                low = mid;
            else
                high = mid;
        }
    free(v);
    return BRAGG_OK;
}
