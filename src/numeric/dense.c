/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small dense matrices. */
#include "config.h"
#include <bragg/numeric.h>

#include <math.h>
#include <stddef.h>

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
