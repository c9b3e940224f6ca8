/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small dense matrices and quadrature.  GSL is called where nothing can fail: what it
 * allocates or refuses goes to a handler that aborts the program, of which there is one a
 * program and which is not ours to change (tests/exports.sh has a list of what is called). */
#include "config.h"
#include <bragg/numeric.h>
#include <bragg/units.h>

#include <gsl/gsl_eigen.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* Gauss-Jordan elimination; a positive matrix needs no search for pivots. */
bool bragg_symmetric_invert(double *a, size_t n)
{
    for (size_t k = 0; k < n * n; k++)
        if (!isfinite(a[k]))
            return false;
    for (size_t k = 0; k < n; k++) {
        double pivot = a[k * n + k];
        if (!(pivot > 0))
            return false;
        a[k * n + k] = 1;
        for (size_t j = 0; j < n; j++)
            a[k * n + j] /= pivot;
        for (size_t i = 0; i < n; i++) {
            double by = a[i * n + k];
            if (i == k)
                continue;
            a[i * n + k] = 0;
            for (size_t j = 0; j < n; j++)
                a[i * n + j] -= by * a[k * n + j];
        }
    }
    return true;
}

bragg_status bragg_symmetric_eigen(double *a, size_t n, double *value, double *vector, bragg_error *err)
{
    for (size_t k = 0; k < n * n; k++)
        if (!isfinite(a[k]))
            return bragg_fail(err, BRAGG_EDATA, "eigenvalues: element %zu, %zu is not a number", k / n, k % n);
    double *room = malloc(4 * n * sizeof *room);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the eigenvalues of %zu variables", n);
    gsl_eigen_symmv_workspace work = { .size = n, .d = room, .sd = room + n, .gc = room + 2 * n, .gs = room + 3 * n };
    gsl_matrix_view of = gsl_matrix_view_array(a, n, n), vectors = gsl_matrix_view_array(vector, n, n);
    gsl_vector_view values = gsl_vector_view_array(value, n);
    gsl_eigen_symmv(&of.matrix, &values.vector, &vectors.matrix, &work);
    gsl_eigen_symmv_sort(&values.vector, &vectors.matrix, GSL_EIGEN_SORT_VAL_DESC);
    free(room);
    return BRAGG_OK;
}

/* Roots of P_n by Newton's steps from F. G. Tricomi's approximation, Ann. Mat. Pura Appl.
 * 31 (1950) 93; weights 2 / ((1 - x^2) P_n'^2). */
void bragg_gauss_legendre(size_t n, double low, double high, double *x, double *weight)
{
    double middle = (low + high) / 2, half = (high - low) / 2;
    for (size_t k = 0; k < (n + 1) / 2; k++) {
        double m = (double)n, t = 2 * k + 1 == n ? 0 : (1 - (m - 1) / (8 * m * m * m)) * cos(BRAGG_PI * (4 * (double)k + 3) / (4 * m + 2)), slope = 1;
        for (int turn = 0; turn < 4; turn++) {
            double before = 0, now = 1;
            for (size_t l = 0; l < n; l++) {
                double next = ((2 * (double)l + 1) * t * now - (double)l * before) / (double)(l + 1);
                before = now;
                now = next;
            }
            slope = m * (before - t * now) / (1 - t * t);
            t -= now / slope;
        }
        x[k] = middle - half * t;
        x[n - 1 - k] = middle + half * t;
        weight[k] = weight[n - 1 - k] = half * 2 / ((1 - t * t) * slope * slope);
    }
}
