/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people otherwise fiddle with: background scale, Qmax, outliers. */
#include "config.h"
#include "reduce.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A point alone: as far outside the span of its six neighbours as four times that span
 * and ten sigmas.  A Bragg peak has flanks among them. */
static bool stands_alone(const curve *s, size_t i)
{
    double low = INFINITY, high = -INFINITY, mean = 0;
    for (size_t k = i - 3; k <= i + 3; k++)
        if (k != i) {
            low = fmin(low, s->y[k]);
            high = fmax(high, s->y[k]);
            mean += s->y[k] / 6;
        }
    double off = fmax(s->y[i] - high, low - s->y[i]), sigma = s->sigma2 ? sqrt(s->sigma2[i]) : sqrt(fmax(mean, 0)) * 0.05;
    return off > 4 * (high - low) && off > 0.2 * fabs(mean) && (!s->sigma2 || off > 10 * fmin(sigma, sqrt(fmax(s->sigma2[i - 1], s->sigma2[i + 1]))));
}

size_t bragg_pdf_remove_outliers(curve *s, double *where, size_t room)
{
    size_t found = 0;
    for (size_t i = 3; i + 3 < s->n; i++) {
        if (!stands_alone(s, i))
            continue;
        s->y[i] = (s->y[i - 1] + s->y[i + 1]) / 2;
        if (s->sigma2)
            s->sigma2[i] = (s->sigma2[i - 1] + s->sigma2[i + 1]) / 4;
        if (found < room)
            where[found] = s->q[i];
        found++;
    }
    return found;
}

static double background_at(const curve *b, double q, size_t *k)
{
    while (*k + 1 < b->n && b->q[*k] < q)
        (*k)++;
    double t = fmin(fmax((q - b->q[*k - 1]) / (b->q[*k] - b->q[*k - 1]), 0), 1);
    return (1 - t) * b->y[*k - 1] + t * b->y[*k];
}

/* Means over a window of Q, and what an atom of the sample scatters there. */
typedef struct window {
    double q, sample, background, compton, all;
} window;

static size_t collect_windows(const curve *s, const curve *b, const bragg_composition *c, const bragg_pdf_options *o, window *w, size_t room)
{
    const double first = fmax(o->qmin_invang, 0.3), wide = 0.05;
    size_t n = 0, k = 1;
    for (size_t i = 0; i < s->n && n < room;) {
        double count = 0, end = s->q[i] + wide;
        window x = { 0 };
        for (; i < s->n && s->q[i] < end; i++, count++) {
            x.q += s->q[i];
            x.sample += s->y[i];
            x.background += background_at(b, s->q[i], &k);
        }
        x.q /= count;
        x.sample /= count;
        x.background /= count;
        if (x.q < first || !(x.background > 0))
            continue;
        x.compton = bragg_pdf_compton_at(c, o, x.q);
        x.all = x.compton + bragg_pdf_weights_at(c, o, x.q).square;
        w[n++] = x;
    }
    return n;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Intensity of an electron^2: the median over what lies beyond the first peaks, so that
 * neither Bragg peaks nor the end of the detector weigh much. */
static double unit_of(const window *w, size_t n, double scale, double *room)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++)
        if (w[k].q > 6)
            room[m++] = (w[k].sample - scale * w[k].background) / w[k].all;
    qsort(room, m, sizeof *room, by_value);
    return m ? fmax(room[m / 2], 0) : 0;
}

/* Below and between its first peaks a crystal scatters little but its own Compton
 * scattering; nowhere does it scatter less than nothing: the scale is the largest that
 * leaves as much in the mean over windows of Q.  NAN when there is nothing to compare. */
double bragg_pdf_background_scale(const curve *s, const curve *b, const bragg_composition *c, const bragg_pdf_options *o)
{
    enum { ROOM = 4096, ROUNDS = 4 };
    const double first_peaks = 4;
    window *w = calloc(ROOM, sizeof *w);
    double *room = calloc(ROOM, sizeof *room), scale = NAN, unit = 0;
    size_t n = w && room ? collect_windows(s, b, c, o, w, ROOM) : 0;
    for (int round = 0; round < ROUNDS && n > 10; round++) {
        double least = INFINITY;
        for (size_t k = 0; k < n; k++)
            least = fmin(least, (w[k].sample - (w[k].q < first_peaks ? unit * w[k].compton : 0)) / w[k].background);
        scale = fmax(least, 0);
        unit = unit_of(w, n, scale, room);
    }
    free(w);
    free(room);
    return scale;
}

/* Ending the transform at Q costs the signal beyond, and brings the noise before into
 * G(r): the sum of both is least where F^2 sinks to the noise.  Of white noise the share
 * rmax dQ / pi falls into the r that are looked at.  Without errors of the data the noise
 * is taken from third differences (sum of squares 20). */
double bragg_pdf_choose_qmax(const bragg_pdf *p)
{
    double rest = 0, best = INFINITY, qmax = p->used.qmaxinst_invang, noise = 0, share, before = 0;
    size_t n = p->n;
    double *variance = calloc(n, sizeof *variance);
    if (!variance || n < 32) {
        free(variance);
        return qmax;
    }
    for (size_t i = 3; i < n; i++) {
        double d = p->fq[i] - 3 * p->fq[i - 1] + 3 * p->fq[i - 2] - p->fq[i - 3];
        variance[i] = p->fq_sigma ? p->fq_sigma[i] * p->fq_sigma[i] : d * d / 20;
    }
    share = fmin(p->used.rmax_ang * (p->q[n - 1] - p->q[0]) / (double)(n - 1) / BRAGG_PI, 1);
    for (size_t i = 1; i < n; i++)
        before += share * variance[i] * (p->q[i] - p->q[i - 1]);
    for (size_t i = n - 1; i > n / 4; i--) {
        double step = p->q[i] - p->q[i - 1], cost = rest + before - noise;
        if (cost < best) {
            best = cost;
            qmax = p->q[i];
        }
        rest += (p->fq[i] * p->fq[i] - variance[i]) * step;
        noise += share * variance[i] * step;
    }
    free(variance);
    return qmax;
}
