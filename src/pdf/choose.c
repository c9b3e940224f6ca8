/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people otherwise fiddle with: background scale, Qmax, outliers. */
#include "config.h"
#include "reduce.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
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
    double t = fmin(fmax(bragg_interval(b->q, b->n, q, k), 0), 1);
    return (1 - t) * b->y[*k] + t * b->y[*k + 1];
}

/* Means over a window of Q, and what an atom of the sample scatters there. */
typedef struct window {
    double q, sample, background, compton, all;
} window;

/* The scale must not depend on where the transform begins, so that what lies below counts,
 * but for the shadow of a beam stop: there a background falls that rises towards the beam
 * everywhere else. */
static size_t leave_out_shadow(window *w, size_t n, double qmin_invang)
{
    size_t at = 0, kept = 0;
    while (at < n && w[at].q < qmin_invang)
        at++;
    for (size_t k = 0; k < n; k++)
        if (k >= at || at == n || w[k].background > 0.5 * w[at].background)
            w[kept++] = w[k];
    return kept;
}

static size_t collect_windows(const curve *s, const curve *b, const bragg_composition *c, const bragg_pdf_options *o, window *w, size_t room)
{
    const double first = 0.3, wide = 0.05;
    size_t n = 0, k = 0;
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
    return leave_out_shadow(w, n, o->qmin_invang);
}

/* Intensity of an electron^2: the median over what lies beyond the first peaks, so that
 * neither Bragg peaks nor the end of the detector weigh much. */
static double unit_of(const window *w, size_t n, double scale, double *room)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++)
        if (w[k].q > 6)
            room[m++] = (w[k].sample - scale * w[k].background) / w[k].all;
    qsort(room, m, sizeof *room, bragg_array_by_value);
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

/* ------------------------------------------------------------------ Q */

/* Variance of a point from third differences of its neighbours (sum of squares 20), which
 * a smooth curve does not have. */
static double scatter2(const double *y, size_t i)
{
    double d = y[i] - 3 * y[i - 1] + 3 * y[i - 2] - y[i - 3];
    return d * d / 20;
}

/* Median over the latter half of what the data's errors are of that scatter. */
double bragg_pdf_error_ratio(const curve *s)
{
    size_t from = s->n / 2, n = s->n - from;
    double *ratio = s->sigma2 && n > 20 ? calloc(n, sizeof *ratio) : NULL, found = NAN;
    if (!ratio)
        return NAN;
    for (size_t i = 0; i < n; i++)
        ratio[i] = s->sigma2[from + i] / scatter2(s->y, from + i);
    qsort(ratio, n, sizeof *ratio, bragg_array_by_value);
    found = sqrt(0.455 * ratio[n / 2]); /* the median of chi^2 */
    free(ratio);
    return found;
}

/* What a bin of a detector counts falls where only its corners see the ring: data end
 * where a bin's mean is worth a tenth of the pixels that it is worth in the middle, by
 * the scatter of neighbouring points. */
double bragg_pdf_choose_qmaxinst(const curve *s)
{
    enum { ROOM = 512 };
    const double wide = 0.5, least = 0.1;
    double end[ROOM], worth[ROOM], sorted[ROOM], last = s->q[s->n - 1];
    size_t n = 0, middle = 0, k;
    for (size_t i = 3; i < s->n && n < ROOM;) {
        double sum = 0, variance = 0, from = s->q[i], count = 0;
        for (; i < s->n && s->q[i] < from + wide; i++, count++) {
            sum += s->y[i];
            variance += scatter2(s->y, i);
        }
        if (count >= 5 && sum > 0) {
            end[n] = s->q[i - 1];
            worth[n] = variance > 0 ? sum / (variance * end[n]) : INFINITY;
            n++;
        }
    }
    for (k = n / 2; k < n - n / 6; k++)
        sorted[middle++] = worth[k];
    qsort(sorted, middle, sizeof *sorted, bragg_array_by_value);
    for (k = n; middle > 3 && k > n / 2 && worth[k - 1] < least * sorted[middle / 2]; k--)
        ;
    return n && k < n ? end[k - 1] : last;
}

/* Power of F over windows of Q, and what it is made of. */
typedef struct power {
    size_t n;
    double q[64], seen[64], noise[64], shape[64]; /* seen; of counting; of a constant error of I */
    double signal, width2, error;                 /* signal exp(-width2 Q^2) + noise + error shape */
} power;

static void collect_power(const bragg_pdf *p, const weights *w, power *x)
{
    const double wide = 2; /* F^2 of the shortest distances has a period of about 2 */
    double from = fmax(3, fmax(p->used.qmin_invang, 0.1 * p->used.qmaxinst_invang));
    size_t i = 3;
    while (i < p->n && p->q[i] < from)
        i++;
    for (x->n = 0; i < p->n && x->n < 64;) {
        double count = 0, seen = 0, scatter = 0, sigma2 = 0, shape = 0, middle = 0, end = p->q[i] + wide;
        for (; i < p->n && p->q[i] < end; i++, count++) {
            seen += p->fq[i] * p->fq[i];
            scatter += scatter2(p->fq, i);
            sigma2 += p->fq_sigma ? p->fq_sigma[i] * p->fq_sigma[i] : INFINITY;
            shape += p->q[i] * p->q[i] / (w[i].mean2 * w[i].mean2);
            middle += p->q[i];
        }
        if (count < 10 || !(seen > 0) || p->q[i - 1] < end - wide / 2)
            continue;
        x->q[x->n] = middle / count;
        x->seen[x->n] = seen / count;
        x->noise[x->n] = fmin(scatter, sigma2) / count; /* errors that come with data are often guesses, and too large */
        x->shape[x->n++] = shape / count;
    }
}

/* Likeliest signal and error (not below 0) of powers, each known to a constant fraction
 * of itself, by weighting with the model again and again; -2 ln of the likelihood. */
static double fit_power(power *x, double width2, bool with_error)
{
    double a = x->seen[0], b = 0, sum = 0;
    for (int round = 0; round < 25; round++) {
        double aa = 0, ab = 0, bb = 0, ay = 0, by = 0;
        for (size_t k = 0; k < x->n; k++) {
            double e = exp(-width2 * x->q[k] * x->q[k]), model = a * e + x->noise[k] + b * x->shape[k], v = 1 / (model * model);
            double y = x->seen[k] - x->noise[k];
            aa += v * e * e, ab += v * e * x->shape[k], bb += v * x->shape[k] * x->shape[k];
            ay += v * e * y, by += v * x->shape[k] * y;
        }
        double det = aa * bb - ab * ab;
        b = with_error && det > 1e-12 * aa * bb ? fmax((aa * by - ab * ay) / det, 0) : 0;
        a = fmax((ay - b * ab) / aa, 1e-12 * x->seen[0]);
    }
    x->signal = a;
    x->width2 = width2;
    x->error = b;
    for (size_t k = 0; k < x->n; k++) {
        double model = a * exp(-width2 * x->q[k] * x->q[k]) + x->noise[k] + b * x->shape[k];
        sum += 2 * (x->seen[k] / model + log(model));
    }
    return sum;
}

/* An error that does not pay for itself is none. */
static void explain_power(power *x)
{
    power best = *x;
    double least[2] = { INFINITY, INFINITY };
    for (int with = 0; with < 2; with++)
        for (double width2 = 5e-4; width2 < 0.08; width2 *= 1.15) {
            double sum = fit_power(x, width2, with);
            if (sum < least[with] && (!with || sum < least[0] - 1)) {
                least[with] = sum;
                best = *x;
            }
        }
    *x = best;
}

/* From the last point down: what errors are saved and signal is lost by ending there.  The
 * first Q whose cost is within a change of G(r) by 2 % of the least: what matters less
 * than that is not worth its ripples. */
static double least_cost(const bragg_pdf *p, const power *x)
{
    enum { STEPS = 400 };
    const double worth = 0.02 * 0.02;
    double share = fmin(p->used.rmax_ang * (p->q[p->n - 1] - p->q[0]) / (double)(p->n - 1) / BRAGG_PI, 1);
    double last = p->used.qmaxinst_invang, first = x->q[0], step = (last - first) / STEPS, cost[STEPS + 1], least = 0, whole = 0;
    size_t k = x->n - 1;
    cost[STEPS] = 0;
    for (int i = STEPS - 1; i >= 0; i--) {
        double q = first + (i + 0.5) * step, signal = x->signal * exp(-x->width2 * q * q);
        while (k > 0 && x->q[k] > q)
            k--;
        double up = k + 1 < x->n ? (q - x->q[k]) / (x->q[k + 1] - x->q[k]) : 0;
        double noise = (1 - up) * x->noise[k] + (up > 0 ? up * x->noise[k + 1] : 0), error = (1 - up) * x->shape[k] + (up > 0 ? up * x->shape[k + 1] : 0);
        cost[i] = cost[i + 1] + step * (signal - share * noise - x->error * error);
        whole += step * signal;
        least = fmin(least, cost[i]);
    }
    for (int i = 0; i < STEPS; i++)
        if (cost[i] <= least + worth * whole)
            return first + i * step;
    return last;
}

/* Ending the transform at Q costs the signal beyond, and brings the errors before into
 * G(r): the sum of both squares is least where signal sinks to error.  F^2 of atoms that
 * tremble falls as a Gaussian; what rises again towards the end is error: of counting,
 * of which the share rmax dQ / pi falls into the r that are looked at, and of all that
 * adds intensity which is none of the sample's, Q / <f>^2 of it in F. */
double bragg_pdf_choose_qmax(const bragg_pdf *p, const weights *w)
{
    power x;
    collect_power(p, w, &x);
    if (x.n < 5)
        return p->used.qmaxinst_invang;
    explain_power(&x);
    return least_cost(p, &x);
}
