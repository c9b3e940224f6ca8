/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sine and cosine transforms between any two grids, with variances. */
#include "config.h"
#include <bragg/numeric.h>
#include <bragg/thread.h>
#include <bragg/units.h>

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 64 };

typedef struct job {
    const double *q, *f, *w, *variance, *r;
    size_t n, m;
    double step;   /* of r; 0 when it has no equal steps */
    double ahead;  /* pi/2 turns the sine into a cosine */
    double *out, *out_variance;
} job;

void bragg_trapezoid_weights(const double *x, size_t n, double *w)
{
    for (size_t i = 0; i < n; i++)
        w[i] = ((i + 1 < n ? x[i + 1] : x[i]) - (i ? x[i - 1] : x[i])) / 2;
}

static double equal_step(const double *r, size_t m)
{
    double step = m > 1 ? (r[m - 1] - r[0]) / (double)(m - 1) : 0;
    for (size_t j = 1; j < m; j++)
        if (fabs(r[j] - r[0] - (double)j * step) > 1e-12 * fabs(r[m - 1]))
            return 0;
    return step;
}

/* Over a block of equal steps sin and cos turn by the same angle from point to
 * point; 64 turns keep 14 digits, and each block starts afresh. */
static bragg_status transform_block(void *payload, size_t first, size_t last, bragg_error *err)
{
    const job *k = payload;
    size_t n = last - first;
    double sum[BLOCK] = { 0 }, noise[BLOCK] = { 0 };
    for (size_t i = 0; i < k->n; i++) {
        double angle = k->q[i] * k->r[first] + k->ahead, c = cos(angle), s = sin(angle), weight = k->w[i] * k->f[i];
        double dc = cos(k->q[i] * k->step), ds = sin(k->q[i] * k->step), v = k->variance ? k->w[i] * k->w[i] * k->variance[i] : 0;
        for (size_t j = 0; j < n; j++) {
            if (k->step == 0 && j)
                s = sin(k->q[i] * k->r[first + j] + k->ahead);
            sum[j] += weight * s;
            noise[j] += v * s * s;
            double turned = c * dc - s * ds;
            s = s * dc + c * ds;
            c = turned;
        }
    }
    for (size_t j = 0; j < n; j++) {
        k->out[first + j] = sum[j];
        if (k->out_variance)
            k->out_variance[first + j] = noise[j];
    }
    return BRAGG_OK;
    (void)err;
}

bragg_status bragg_sine_transform(const double *q, const double *f, const double *w, const double *variance, size_t n,
                                  const double *r, size_t m, double *out, double *out_variance, bragg_error *err)
{
    job k = { q, f, w, variance, r, n, m, equal_step(r, m), 0, out, out_variance };
    return m ? bragg_parallel_for(m, BLOCK, transform_block, &k, err) : BRAGG_OK;
}

bragg_status bragg_cosine_transform(const double *q, const double *f, const double *w, const double *variance, size_t n,
                                    const double *r, size_t m, double *out, double *out_variance, bragg_error *err)
{
    job k = { q, f, w, variance, r, n, m, equal_step(r, m), BRAGG_PI / 2, out, out_variance };
    return m ? bragg_parallel_for(m, BLOCK, transform_block, &k, err) : BRAGG_OK;
}
