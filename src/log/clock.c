/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two clocks, and the log at a frame's exposure. */
#include "config.h"
#include "private.h"

#include <stdlib.h>
#include <string.h>

double bragg_clock_to_log(const bragg_clock *clock, double frame_s)
{
    return frame_s + clock->offset_s + clock->drift * (frame_s - clock->reference_s);
}

double bragg_clock_to_frame(const bragg_clock *clock, double log_s)
{
    return (log_s - clock->offset_s + clock->drift * clock->reference_s) / (1 + clock->drift);
}

/* Straight line through log - frame against frame, about the weighted mean of
 * frame, where offset and drift are uncorrelated.  Without sigma the scatter is
 * the uncertainty; with it the larger of both is. */
bragg_status bragg_clock_fit(const double *frame_s, const double *log_s, const double *sigma_s, size_t n,
                             bragg_clock *clock, bragg_error *err)
{
    double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, chi2 = 0;
    for (size_t k = 0; k < n; k++) {
        double w = sigma_s ? 1 / (sigma_s[k] * sigma_s[k]) : 1;
        if (!(w > 0) || !isfinite(w * frame_s[k] * log_s[k]))
            return bragg_fail(err, BRAGG_EINVAL, "event %zu: expected finite times and a positive uncertainty", k + 1);
        sw += w;
        sx += w * frame_s[k];
        sy += w * (log_s[k] - frame_s[k]);
    }
    if (!n)
        return bragg_fail(err, BRAGG_EINVAL, "a clock needs at least one event");
    *clock = (bragg_clock){ sx / sw, sy / sw, 0, sigma_s ? 1 / sqrt(sw) : NAN, NAN };
    for (size_t k = 0; k < n; k++) {
        double w = sigma_s ? 1 / (sigma_s[k] * sigma_s[k]) : 1, x = frame_s[k] - clock->reference_s;
        sxx += w * x * x;
        sxy += w * x * (log_s[k] - frame_s[k] - clock->offset_s);
    }
    if (n < 2 || !(sxx > 0))
        return BRAGG_OK;
    clock->drift = sxy / sxx;
    for (size_t k = 0; k < n; k++) {
        double w = sigma_s ? 1 / (sigma_s[k] * sigma_s[k]) : 1, r = log_s[k] - bragg_clock_to_log(clock, frame_s[k]);
        chi2 += w * r * r;
    }
    double scale = n > 2 ? chi2 / (double)(n - 2) : NAN;
    scale = sigma_s ? fmax(1, isnan(scale) ? 1 : scale) : scale;
    clock->offset_esd_s = sqrt(scale / sw);
    clock->drift_esd = sqrt(scale / sxx);
    return BRAGG_OK;
}

/* ---- offset from a signal ---- */

enum { MAX_KNOTS = 64, PER_INTERVAL = 4 };

/* The frames' signal as a line that may bend where steps begin. */
typedef struct bend_fit {
    size_t n, n_knots;
    const double *t, *y;
    double knots[MAX_KNOTS];
    double *column;             /* (n_knots + 2) × n, orthonormal */
    double *rest;               /* n */
} bend_fit;

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

/* Sum of squares that 1, t and max(0, t + offset - knot) leave, by modified
 * Gram-Schmidt; *used is the number of columns that counted. */
static double leftover(bend_fit *f, double offset, bool with_knots, size_t *used)
{
    size_t m = 0;
    double span = f->t[f->n - 1] - f->t[0];
    memcpy(f->rest, f->y, f->n * sizeof *f->rest);
    for (size_t j = 0; j < 2 + (with_knots ? f->n_knots : 0); j++) {
        double *c = f->column + m * f->n;
        for (size_t k = 0; k < f->n; k++) {
            double x = j < 2 ? (f->t[k] - f->t[0]) / span : (f->t[k] + offset - f->knots[j - 2]) / span;
            c[k] = j == 0 ? 1 : j == 1 ? x : fmax(0, x);
        }
        double before = dot(c, c, f->n);
        for (size_t i = 0; i < m; i++) {
            double p = dot(f->column + i * f->n, c, f->n);
            for (size_t k = 0; k < f->n; k++)
                c[k] -= p * f->column[i * f->n + k];
        }
        double size = dot(c, c, f->n);
        if (!(size > 1e-10 * before) || !(before > 0))
            continue;
        for (size_t k = 0; k < f->n; k++)
            c[k] /= sqrt(size);
        double p = dot(c, f->rest, f->n);
        for (size_t k = 0; k < f->n; k++)
            f->rest[k] -= p * c[k];
        m++;
    }
    *used = m;
    return dot(f->rest, f->rest, f->n);
}

static void take_knots(bend_fit *f, const bragg_log_step *steps, size_t n)
{
    for (size_t k = 1; k < n && f->n_knots < MAX_KNOTS; k++)
        if (steps[k].kind != steps[k - 1].kind || fabs(steps[k].current_a - steps[k - 1].current_a) > 0.1 * fabs(steps[k].current_a))
            f->knots[f->n_knots++] = steps[k].start_s;
}

/* The smallest of left[], and the smallest that is further than `apart` away. */
static size_t smallest(const double *left, size_t n, size_t apart, size_t *second)
{
    size_t best = 0;
    *second = SIZE_MAX;
    for (size_t k = 1; k < n; k++)
        best = left[k] < left[best] ? k : best;
    for (size_t k = 0; k < n; k++) {
        size_t distance = k > best ? k - best : best - k;
        if (distance > apart && (*second == SIZE_MAX || left[k] < left[*second]))
            *second = k;
    }
    return best;
}

/* Parabola through the best and its neighbours: minimum and curvature give the
 * offset and, with the noise of the fit, its uncertainty. */
static void refine(const double *left, size_t n, size_t best, double step, double noise2, bragg_clock *clock)
{
    clock->offset_esd_s = INFINITY;
    if (best == 0 || best + 1 == n)
        return;
    double a = left[best - 1], b = left[best], c = left[best + 1], bend = a - 2 * b + c;
    if (!(bend > 0))
        return;
    clock->offset_s += step * 0.5 * (a - c) / bend;
    clock->offset_esd_s = step * sqrt(2 * noise2 / bend);
}

bragg_status bragg_clock_estimate(const double *frame_s, const double *signal, size_t n_frames, const bragg_log_step *steps,
                                  size_t n_steps, double max_offset_s, bragg_clock *clock, double *sharpness, bragg_error *err)
{
    bend_fit f = { .n = n_frames, .t = frame_s, .y = signal };
    take_knots(&f, steps, n_steps);
    if (!f.n_knots || n_frames < f.n_knots + 4)
        return bragg_fail(err, BRAGG_EDATA, "expected at least one change of step and %zu frames, found %zu and %zu", f.n_knots + 4,
                          f.n_knots, n_frames);
    double span = frame_s[n_frames - 1] - frame_s[0];
    for (size_t k = 0; k < n_frames; k++)
        if (!isfinite(signal[k]) || !(span > 0) || (k && !(frame_s[k] >= frame_s[k - 1])))
            return bragg_fail(err, BRAGG_EDATA, "frame %zu: expected finite signals at increasing times", k + 1);
    double step = span / (double)(n_frames - 1) / PER_INTERVAL;
    if (!(max_offset_s >= step) || max_offset_s / step > 1e5)
        return bragg_fail(err, BRAGG_EINVAL, "max_offset_s: expected %g to %g, got %g", step, 1e5 * step, max_offset_s);
    size_t half = (size_t)(max_offset_s / step), n = 2 * half + 1, used = 0, second;
    double *left = malloc(n * sizeof *left);
    f.column = malloc((f.n_knots + 2) * n_frames * sizeof *f.column);
    f.rest = malloc(n_frames * sizeof *f.rest);
    bool room = left && f.column && f.rest;
    if (room) {
        double straight = leftover(&f, 0, false, &used);
        for (size_t k = 0; k < n; k++)
            left[k] = leftover(&f, ((double)k - (double)half) * step, true, &used);
        size_t best = smallest(left, n, 8 * PER_INTERVAL, &second);
        *clock = (bragg_clock){ 0, ((double)best - (double)half) * step, 0, NAN, NAN };
        refine(left, n, best, step, left[best] / (double)(n_frames - f.n_knots - 3), clock);
        *sharpness = second == SIZE_MAX ? NAN : (straight - left[best]) / fmax(straight - left[second], 1e-300);
    }
    free(left);
    free(f.column);
    free(f.rest);
    return room ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu offsets", n);
}

/* ---- windows ---- */

/* First row whose time is not below t. */
static size_t row_at(const double *time, size_t n, double t)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (time[middle] < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double at_point(const double *time, const double *values, size_t n, double t)
{
    size_t k = row_at(time, n, t);
    if (k == n || isnan(t))
        return NAN;
    if (time[k] == t)
        return values[k];
    return k ? values[k - 1] + (values[k] - values[k - 1]) * (t - time[k - 1]) / (time[k] - time[k - 1]) : NAN;
}

double bragg_log_mean(const bragg_log_table *t, const double *values, double from_s, double to_s, double *covered)
{
    const double *time = t->channel[BRAGG_CHANNEL_TIME];
    double sum = 0, width = 0;
    if (covered)
        *covered = 0;
    if (!values || !(to_s >= from_s))
        return NAN;
    if (to_s == from_s) {
        double v = at_point(time, values, t->n, from_s);
        if (covered)
            *covered = isfinite(v);
        return v;
    }
    size_t k = row_at(time, t->n, from_s);
    for (k = k ? k : 1; k < t->n && time[k - 1] < to_s; k++) {
        double a = fmax(from_s, time[k - 1]), b = fmin(to_s, time[k]), dt = time[k] - time[k - 1];
        double slope = dt > 0 ? (values[k] - values[k - 1]) / dt : NAN;
        if (!(b > a) || !isfinite(slope))
            continue;
        sum += (b - a) * (values[k - 1] + slope * ((a + b) / 2 - time[k - 1]));
        width += b - a;
    }
    if (covered)
        *covered = width / (to_s - from_s);
    return width > 0 ? sum / width : NAN;
}
