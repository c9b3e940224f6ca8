/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backgrounds: SNIP and Chebyshev polynomials. */
#include "config.h"
#include <bragg/numeric.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
