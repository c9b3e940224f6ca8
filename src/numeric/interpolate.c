/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Straight lines between points. */
#include "config.h"
#include <bragg/numeric.h>

#include <bragg/array.h>
#include <math.h>

double bragg_interval(const double *x, size_t n, double at, size_t *j)
{
    while (*j + 2 < n && x[*j + 1] < at)
        (*j)++;
    return (at - x[*j]) / (x[*j + 1] - x[*j]);
}

void bragg_resample(const double *x, const double *y, size_t n, const double *at, size_t n_at, double *out)
{
    for (size_t i = 0, j = 0; i < n_at; i++) {
        bool inside = n > 1 && at[i] >= x[0] && at[i] <= x[n - 1];
        double u = inside ? bragg_interval(x, n, at[i], &j) : 0;
        out[i] = inside ? (1 - u) * y[j] + u * y[j + 1] : NAN;
    }
}

double bragg_interpolate(const double *x, const double *y, size_t n, double at)
{
    size_t j = bragg_array_first(x, n, at);
    if (!j || j == n)
        return y[j ? j - 1 : 0];
    double u = (at - x[j - 1]) / (x[j] - x[j - 1]);
    return (1 - u) * y[j - 1] + u * y[j];
}
