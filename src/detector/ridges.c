/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bright lines of a frame, and where their normals meet. */
#include "config.h"
#include "ridges.h"

#include <bragg/array.h>
#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, MOST_RADIUS = 16, SAMPLES = 60000, CELL = 6 };

typedef struct image {
    size_t rows, columns;
    float *v, *w;         /* value and validity */
} image;

/* ------------------------------------------------------------ smoothing */

typedef struct pass {
    const image *from;
    image *to;
    const float *kernel;
    int radius;
    bool down;            /* along columns */
} pass;

static bragg_status convolve_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const pass *p = payload;
    size_t columns = p->from->columns, rows = p->from->rows, step = p->down ? columns : 1, limit = p->down ? rows : columns;
    for (size_t i = first; i < last; i++)
        for (size_t j = 0; j < columns; j++) {
            size_t at = p->down ? i : j, k = i * columns + j;
            float v = 0, w = 0;
            int low = at < (size_t)p->radius ? -(int)at : -p->radius, high = at + (size_t)p->radius >= limit ? (int)(limit - 1 - at) : p->radius;
            for (int d = low; d <= high; d++) {
                size_t o = (size_t)((ptrdiff_t)k + d * (ptrdiff_t)step);
                v += p->kernel[d + p->radius] * p->from->v[o];
                w += p->kernel[d + p->radius] * p->from->w[o];
            }
            p->to->v[k] = v;
            p->to->w[k] = w;
        }
    return BRAGG_OK;
    (void)err;
}

/* Normalized convolution: masked pixels weigh nothing, and their places are filled
 * from what surrounds them. */
static bragg_status smooth(image *a, image *scratch, double sigma, bragg_error *err)
{
    float kernel[2 * MOST_RADIUS + 1], sum = 0;
    int radius = (int)fmin(ceil(3 * sigma), MOST_RADIUS);
    for (int d = -radius; d <= radius; d++)
        sum += kernel[d + radius] = (float)exp(-0.5 * d * d / (sigma * sigma));
    for (int d = 0; d <= 2 * radius; d++)
        kernel[d] /= sum;
    pass along = { a, scratch, kernel, radius, false }, down = { scratch, a, kernel, radius, true };
    bragg_status st = bragg_parallel_for(a->rows, ROWS, convolve_rows, &along, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(a->rows, ROWS, convolve_rows, &down, err);
    for (size_t k = 0; st == BRAGG_OK && k < a->rows * a->columns; k++)
        a->v[k] = a->w[k] > 0.05f ? a->v[k] / a->w[k] : 0;
    return st;
}

/* --------------------------------------------------------------- ridges */

/* Smallest eigenvalue of the matrix of second differences and its direction: how
 * much the surface falls to both sides of a line (C. Steger, IEEE Trans. Pattern
 * Anal. 20 (1998) 113). */
static double curvature(const float *v, size_t columns, double *n_slow, double *n_fast)
{
    ptrdiff_t c = (ptrdiff_t)columns;
    double ss = v[c] + v[-c] - 2 * v[0], ff = v[1] + v[-1] - 2 * v[0], sf = (v[c + 1] - v[c - 1] - v[-c + 1] + v[-c - 1]) / 4;
    double half = (ss - ff) / 2, root = sqrt(half * half + sf * sf), lowest = (ss + ff) / 2 - root;
    double a = sf, b = lowest - ss; /* (ss - l) x + sf y = 0 */
    if (fabs(a) + fabs(b) < 1e-12 * root)
        a = lowest == ss, b = lowest != ss;
    double length = hypot(a, b);
    *n_slow = length > 0 ? a / length : 1;
    *n_fast = length > 0 ? b / length : 0;
    return -lowest;
}

/* The top of the line on the way across it, between pixels; false when it lies in
 * another pixel. */
static bool crest(const float *v, size_t columns, double ns, double nf, double *shift)
{
    ptrdiff_t c = (ptrdiff_t)columns;
    double gs = (v[c] - v[-c]) / 2, gf = (v[1] - v[-1]) / 2, ss = v[c] + v[-c] - 2 * v[0], ff = v[1] + v[-1] - 2 * v[0];
    double sf = (v[c + 1] - v[c - 1] - v[-c + 1] + v[-c - 1]) / 4;
    double slope = gs * ns + gf * nf, bend = ss * ns * ns + 2 * sf * ns * nf + ff * nf * nf;
    *shift = bend < 0 ? -slope / bend : 9;
    return fabs(*shift * ns) <= 0.6 && fabs(*shift * nf) <= 0.6;
}

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Curvature that noise makes: the median of what a sample of pixels shows; NAN without memory. */
static double typical_curvature(const image *a, const uint8_t *mask)
{
    size_t n = 0, step = a->rows * a->columns / 20000 + 1;
    float *sample = malloc(20010 * sizeof *sample);
    double ns, nf;
    for (size_t k = a->columns + 1; sample && k + a->columns + 1 < a->rows * a->columns && n < 20000; k += step)
        if (!mask || !mask[k])
            sample[n++] = (float)fabs(curvature(a->v + k, a->columns, &ns, &nf));
    double middle = sample ? 0 : NAN;
    if (n) {
        qsort(sample, n, sizeof *sample, by_value);
        middle = sample[n / 2];
    }
    free(sample);
    return middle;
}

/* Gaps and dead pixels pull lines towards them: stay away. */
static bool is_clear(const uint8_t *mask, size_t columns, size_t k, int away)
{
    for (int i = -away; mask && i <= away; i++)
        for (int j = -away; j <= away; j++)
            if (mask[(ptrdiff_t)k + i * (ptrdiff_t)columns + j])
                return false;
    return true;
}

static bragg_status collect(const image *a, const uint8_t *mask, int away, ridges *out, bragg_error *err)
{
    double least = 4 * typical_curvature(a, mask), ns, nf, shift;
    bragg_status st = isnan(least) ? bragg_fail(err, BRAGG_ENOMEM, "no room to search %zu pixels", a->rows * a->columns) : BRAGG_OK;
    for (size_t i = (size_t)away + 1; i + (size_t)away + 1 < a->rows && st == BRAGG_OK; i++)
        for (size_t j = (size_t)away + 1; j + (size_t)away + 1 < a->columns && st == BRAGG_OK; j++) {
            size_t k = i * a->columns + j;
            double strength = curvature(a->v + k, a->columns, &ns, &nf);
            if (!(strength > least) || !crest(a->v + k, a->columns, ns, nf, &shift) || !is_clear(mask, a->columns, k, away))
                continue;
            st = bragg_array_grow(&out->at, &out->room, out->n + 1, sizeof *out->at, err);
            if (st == BRAGG_OK)
                out->at[out->n++] = (ridge){ (double)i + 0.5 + shift * ns, (double)j + 0.5 + shift * nf, ns, nf, strength };
        }
    return st;
}

bragg_status bragg_ridges_find(const bragg_frame *f, const uint8_t *mask, double sigma, ridges *out, bragg_error *err)
{
    size_t n = f->width * f->height;
    float *room = malloc(4 * n * sizeof *room);
    double row[256];
    *out = (ridges){ NULL, 0, 0 };
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to search %zu pixels", n);
    image a = { f->height, f->width, room, room + n }, scratch = { f->height, f->width, room + 2 * n, room + 3 * n };
    for (size_t first = 0; first < n; first += 256) {
        size_t m = n - first < 256 ? n - first : 256;
        bragg_frame_doubles(f, first, m, row);
        for (size_t i = 0; i < m; i++) { /* the root makes noise alike everywhere */
            bool good = !(mask && mask[first + i]) && isfinite(row[i]);
            a.v[first + i] = good ? (float)sqrt(fmax(row[i], 0)) : 0;
            a.w[first + i] = good;
        }
    }
    bragg_status st = smooth(&a, &scratch, sigma, err);
    if (st == BRAGG_OK)
        st = collect(&a, mask, (int)ceil(sigma), out, err);
    free(room);
    if (st < 0) {
        free(out->at);
        *out = (ridges){ NULL, 0, 0 };
    }
    return st;
}

/* --------------------------------------------------------------- centre */

static unsigned long long next_random(unsigned long long *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return *seed >> 33;
}

static bragg_status no_centre(const ridges *r, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOCONV, "calibration: expected rings, found %zu ridge points that share no centre", r->n);
}

/* Votes of pairs: two normals at an angle meet in one point. */
static bragg_status vote(const ridges *r, double rows, double columns, double *slow, double *fast, bragg_error *err)
{
    /* the centre may lie beyond the frame by its size and a half */
    size_t high = (size_t)(4 * rows / CELL) + 1, wide = (size_t)(4 * columns / CELL) + 1;
    unsigned *votes = calloc(high * wide, sizeof *votes), best = 0;
    unsigned long long seed = 88172645463325252ULL;
    size_t at = 0;
    if (!votes)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to look for a centre");
    for (int k = 0; k < SAMPLES; k++) {
        const ridge *a = &r->at[next_random(&seed) % r->n], *b = &r->at[next_random(&seed) % r->n];
        double cross = a->n_slow * b->n_fast - a->n_fast * b->n_slow;
        if (fabs(cross) < 0.15)
            continue;
        double t = ((b->slow - a->slow) * b->n_fast - (b->fast - a->fast) * b->n_slow) / cross;
        double s = (a->slow + t * a->n_slow + 1.5 * rows) / CELL, f = (a->fast + t * a->n_fast + 1.5 * columns) / CELL;
        if (s >= 1 && f >= 1 && s < (double)high - 1 && f < (double)wide - 1)
            votes[(size_t)s * wide + (size_t)f]++;
    }
    for (size_t i = 1; i + 1 < high; i++)
        for (size_t j = 1; j + 1 < wide; j++) {
            unsigned sum = 0;
            for (int d = 0; d < 9; d++)
                sum += votes[(i + (size_t)(d / 3) - 1) * wide + j + (size_t)(d % 3) - 1];
            if (sum > best) {
                best = sum;
                at = i * wide + j;
            }
        }
    free(votes);
    *slow = ((double)(at / wide) + 0.5) * CELL - 1.5 * rows;
    *fast = ((double)(at % wide) + 0.5) * CELL - 1.5 * columns;
    return best > 20 ? BRAGG_OK : no_centre(r, err);
}

/* Least squares of the angle by which the normals miss the centre, wild ones
 * weighed down (Cauchy, 1 degree). */
static void polish(const ridges *r, double *slow, double *fast)
{
    for (int cycle = 0; cycle < 25; cycle++) {
        double aa = 0, ab = 0, bb = 0, ga = 0, gb = 0;
        for (size_t k = 0; k < r->n; k++) {
            const ridge *p = &r->at[k];
            double ds = *slow - p->slow, df = *fast - p->fast, far = hypot(ds, df) + 5;
            double ts = -p->n_fast / far, tf = p->n_slow / far, miss = ds * ts + df * tf;
            double w = 1 / (1 + pow(miss / 0.0175, 2));
            w *= w;
            aa += w * ts * ts;
            ab += w * ts * tf;
            bb += w * tf * tf;
            ga += w * ts * miss;
            gb += w * tf * miss;
        }
        double det = aa * bb - ab * ab;
        if (!(det > 0))
            return;
        *slow -= (bb * ga - ab * gb) / det;
        *fast -= (aa * gb - ab * ga) / det;
    }
}

bragg_status bragg_ridges_centre(const ridges *r, double rows, double columns, double *slow, double *fast, bragg_error *err)
{
    bragg_status st = r->n < 200 ? no_centre(r, err) : vote(r, rows, columns, slow, fast, err);
    if (st < 0)
        return st;
    polish(r, slow, fast);
    return isfinite(*slow) && isfinite(*fast) ? BRAGG_OK : no_centre(r, err);
}
