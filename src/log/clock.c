/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two clocks, and the log at a frame's exposure. */
#include "config.h"
#include "private.h"

#include <bragg/array.h>

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

/* ---- windows ---- */

static double at_point(const double *time, const double *values, size_t n, double t)
{
    size_t k = bragg_array_first(time, n, t);
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
    size_t k = bragg_array_first(time, t->n, from_s);
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
