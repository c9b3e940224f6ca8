/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The 1D pattern: memory and the checks every reader makes. */
#include "config.h"
#include <bragg/pattern.h>

#include <bragg/numeric.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bragg_pattern *bragg_pattern_new(size_t n, bragg_axis axis)
{
    bragg_pattern *p = n < SIZE_MAX / 64 ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->n = n;
    p->axis = axis;
    p->wavelength_ang = p->wavelength2_ang = p->ratio2 = p->radius_m = NAN;
    p->temperature_k = p->azimuth_rad = p->time_s = p->counting_s = p->monitor = p->bin_rad = p->pixel_rad = NAN;
    p->x = calloc(n ? n : 1, sizeof *p->x);
    p->y = calloc(n ? n : 1, sizeof *p->y);
    p->sigma = calloc(n ? n : 1, sizeof *p->sigma);
    if (p->x && p->y && p->sigma)
        return p;
    bragg_pattern_free(p);
    return NULL;
}

void bragg_pattern_free(bragg_pattern *pattern)
{
    if (!pattern)
        return;
    free(pattern->x);
    free(pattern->y);
    free(pattern->sigma);
    free(pattern->title);
    free(pattern);
}

bragg_status bragg_pattern_check(const bragg_pattern *p, bragg_error *err)
{
    double factor = bragg_axis_factor(p->axis);
    if (p->n < 2)
        return bragg_fail(err, BRAGG_EDATA, "expected at least 2 points, found %zu", p->n);
    for (size_t i = 0; i < p->n; i++) {
        if (!isfinite(p->x[i]) || !isfinite(p->y[i]))
            return bragg_fail(err, BRAGG_EDATA, "point %zu: expected finite numbers, found %s %g with intensity %g",
                              i + 1, bragg_axis_name(p->axis), p->x[i] / factor, p->y[i]);
        if (i && !(p->x[i] > p->x[i - 1]))
            return bragg_fail(err, BRAGG_EDATA, "point %zu: expected %s to increase, found %g after %g", i + 1,
                              bragg_axis_name(p->axis), p->x[i] / factor, p->x[i - 1] / factor);
    }
    return BRAGG_OK;
}

size_t bragg_pattern_trim(bragg_pattern *p)
{
    enum { RUN = 3 };
    size_t first = 0, end = p->n;
    while (first < end && p->y[first] == 0)
        first++;
    while (end > first && p->y[end - 1] == 0)
        end--;
    first = first < RUN ? 0 : first;
    end = p->n - end < RUN ? p->n : end;
    size_t left_out = end < first + 2 ? 0 : p->n - (end - first);
    if (!left_out)
        return 0;
    p->n = end - first;
    memmove(p->x, p->x + first, p->n * sizeof *p->x);
    memmove(p->y, p->y + first, p->n * sizeof *p->y);
    memmove(p->sigma, p->sigma + first, p->n * sizeof *p->sigma);
    return left_out;
}

/* ------------------------------------------------------------- abscissa */

static void reverse(double *v, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        double keep = v[i];
        v[i] = v[n - 1 - i];
        v[n - 1 - i] = keep;
    }
}

bragg_status bragg_pattern_to_axis(bragg_pattern *p, bragg_axis to, bragg_error *err)
{
    bool angle = p->axis != to && (p->axis == BRAGG_AXIS_TTH || to == BRAGG_AXIS_TTH);
    if (angle && !(p->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "from %s to %s: expected --wavelength, found none",
                          bragg_axis_name(p->axis), bragg_axis_name(to));
    for (size_t i = 0; i < p->n; i++)
        p->x[i] = bragg_axis_convert(p->x[i], p->axis, to, p->wavelength_ang);
    p->axis = to;
    if (p->n > 1 && p->x[0] > p->x[1]) {
        reverse(p->x, p->n);
        reverse(p->y, p->n);
        reverse(p->sigma, p->n);
    }
    return bragg_pattern_check(p, err);
}

void bragg_pattern_resample(const bragg_pattern *p, const double *x, size_t n, double *out)
{
    bragg_resample(p->x, p->y, p->n, x, n, out);
}
