/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sine and cosine transforms between any two grids, with variances. */
#include "config.h"
#include <bragg/numeric.h>
#include <bragg/thread.h>
#include <bragg/units.h>

#include <gsl/gsl_fft_complex.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { BLOCK = 64, FEWEST_CHIRP = 1 << 18 };

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

/* ---------------------------------------------------- both grids equal */

typedef struct chirp {
    const job *k;
    double q_step;
    double *work[2];       /* of the transform and of its variance: two rows of 2 L */
    size_t length;         /* L, a power of two >= n + m - 1 */
} chirp;

/* z[i] *= exp(i angle). */
static void turn(double *z, double angle)
{
    double c = cos(angle), s = sin(angle), re = z[0];
    z[0] = re * c - z[1] * s;
    z[1] = re * s + z[1] * c;
}

static void multiply(double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double re = a[2 * i] * b[2 * i] - a[2 * i + 1] * b[2 * i + 1];
        a[2 * i + 1] = a[2 * i] * b[2 * i + 1] + a[2 * i + 1] * b[2 * i];
        a[2 * i] = re;
    }
}

/* z[j] = sum_i z[i] exp(i q[i] times r[j]) on equal steps, as a convolution with a
 * chirp (L. I. Bluestein, IEEE Trans. AU-18 (1970) 451). */
static void chirp_transform(const chirp *c, double *z, double *kernel, double times)
{
    const job *k = c->k;
    double phi = times * c->q_step * k->step / 2;
    size_t most = k->n > k->m ? k->n : k->m;
    for (size_t i = 0; i < k->n; i++)
        turn(z + 2 * i, times * c->q_step * (double)i * k->r[0] + phi * (double)i * (double)i);
    for (size_t i = 0; i < most; i++) {
        double angle = phi * (double)i * (double)i, re = cos(angle), im = -sin(angle);
        if (i < k->m) {
            kernel[2 * i] = re;
            kernel[2 * i + 1] = im;
        }
        if (i && i < k->n) {
            kernel[2 * (c->length - i)] = re;
            kernel[2 * (c->length - i) + 1] = im;
        }
    }
    gsl_fft_complex_radix2_forward(z, 1, c->length);
    gsl_fft_complex_radix2_forward(kernel, 1, c->length);
    multiply(z, kernel, c->length);
    gsl_fft_complex_radix2_inverse(z, 1, c->length);
    for (size_t j = 0; j < k->m; j++)
        turn(z + 2 * j, times * k->q[0] * k->r[j] + phi * (double)j * (double)j);
}

/* Item 0 is the transform; item 1 its variance, by sin^2 x = (1 - cos 2x) / 2. */
static bragg_status chirp_work(void *payload, size_t first, size_t last, bragg_error *err)
{
    const chirp *c = payload;
    const job *k = c->k;
    (void)err;
    for (size_t item = first; item < last; item++) {
        double *z = c->work[item], sum = 0;
        for (size_t i = 0; i < k->n; i++)
            sum += z[2 * i] = item ? k->w[i] * k->w[i] * k->variance[i] : k->w[i] * k->f[i];
        chirp_transform(c, z, z + 2 * c->length, item ? 2 : 1);
        for (size_t j = 0; j < k->m; j++)
            if (item)
                k->out_variance[j] = fmax((sum + (k->ahead > 0 ? z[2 * j] : -z[2 * j])) / 2, 0);
            else
                k->out[j] = k->ahead > 0 ? z[2 * j] : z[2 * j + 1];
    }
    return BRAGG_OK;
}

static bragg_status transform_chirp(const job *k, double q_step, bragg_error *err)
{
    bool both = k->variance && k->out_variance;
    chirp c = { k, q_step, { NULL, NULL }, 1 };
    while (c.length < k->n + k->m - 1)
        c.length *= 2;
    for (int item = 0; item < 1 + both; item++)
        c.work[item] = calloc(4 * c.length, sizeof **c.work);
    bragg_status st = c.work[0] && (c.work[1] || !both) ? bragg_parallel_for(1 + both, 1, chirp_work, &c, err)
                                                        : bragg_fail(err, BRAGG_ENOMEM, "no room to transform %zu points", k->n);
    free(c.work[0]);
    free(c.work[1]);
    return st;
}

/* Small transforms and uneven grids go point by point. */
static bragg_status transform(const job *k, bragg_error *err)
{
    double q_step = k->step > 0 && k->n > 1 && k->n > FEWEST_CHIRP / k->m ? equal_step(k->q, k->n) : 0;
    if (q_step > 0 && (k->variance || !k->out_variance))
        return transform_chirp(k, q_step, err);
    return bragg_parallel_for(k->m, BLOCK, transform_block, (void *)k, err);
}

bragg_status bragg_sine_transform(const double *q, const double *f, const double *w, const double *variance, size_t n,
                                  const double *r, size_t m, double *out, double *out_variance, bragg_error *err)
{
    job k = { q, f, w, variance, r, n, m, equal_step(r, m), 0, out, out_variance };
    return m ? transform(&k, err) : BRAGG_OK;
}

bragg_status bragg_cosine_transform(const double *q, const double *f, const double *w, const double *variance, size_t n,
                                    const double *r, size_t m, double *out, double *out_variance, bragg_error *err)
{
    job k = { q, f, w, variance, r, n, m, equal_step(r, m), BRAGG_PI / 2, out, out_variance };
    return m ? transform(&k, err) : BRAGG_OK;
}
