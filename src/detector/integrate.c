/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames to patterns and cakes: checks, darks, and which way the sums are made. */
#include "config.h"
#include "sum.h"

#include <bragg/integrate.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool bragg_errors_parse(const char *name, bragg_errors *errors)
{
    bool azimuthal = !strcmp(name, "azimuthal");
    if (!azimuthal && strcmp(name, "poisson"))
        return false;
    *errors = azimuthal ? BRAGG_ERRORS_AZIMUTHAL : BRAGG_ERRORS_POISSON;
    return true;
}

static const char *const normalizes[] = { "none", "monitor", "exposure" }; /* in the order of bragg_normalize */

const char *bragg_normalize_name(bragg_normalize by) { return normalizes[by]; }

bool bragg_normalize_parse(const char *name, bragg_normalize *normalize)
{
    *normalize = BRAGG_NORMALIZE_EXPOSURE;
    while (*normalize != BRAGG_NORMALIZE_NONE && strcmp(name, normalizes[*normalize]))
        --*normalize;
    return *normalize != BRAGG_NORMALIZE_NONE;
}

/* ------------------------------------------------------------------ frames */

static bragg_status check_shape(const bragg_plan *p, const bragg_frame *f, const char *what, bragg_error *err)
{
    return !f || (f->height == p->rows && f->width == p->columns) ? BRAGG_OK
        : bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu pixels, found %zu x %zu", what, p->columns, p->rows, f->width, f->height);
}

static bragg_status check(const bragg_plan *p, const bragg_frame *const *frames, size_t n, const bragg_integrate_options *o, bragg_error *err)
{
    bragg_status st = check_shape(p, o->dark, "dark", err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        st = check_shape(p, frames[k], "frame", err);
        if (st == BRAGG_OK && o->variance)
            st = check_shape(p, o->variance[k], "variance", err);
    }
    if (st == BRAGG_OK && o->reject == BRAGG_REJECT_CLIP && !(o->clip > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "clipping: expected a positive number of standard deviations, got %g", o->clip);
    if (st == BRAGG_OK && o->reject == BRAGG_REJECT_QUANTILE && !(o->low >= 0 && o->low <= o->high && o->high <= 1))
        st = bragg_fail(err, BRAGG_EINVAL, "quantiles: expected two rising numbers from 0 to 1, got %g and %g", o->low, o->high);
    return st;
}

/* A bin's sum of weight times dark, false when a pixel that counts has none. */
static bool sum_dark(const bragg_plan *p, const double *dark, double *sum)
{
    for (size_t i = 0; i < p->n_tiles; i++) {
        const tile *t = &p->tile[i];
        const entry *e = t->entry;
        for (size_t k = 0; k < t->n_pieces; k++)
            for (uint32_t j = 0; j < t->piece[k].n; j++, e++)
                sum[t->piece[k].bin] += entry_weight(*e) * dark[plan_pixel(p, t, entry_offset(*e))];
    }
    double all = 0;
    for (size_t b = 0; b < plan_bins(p); b++)
        all += sum[b];
    return isfinite(all);
}

/* Frames of one type side by side; the quick way when it can. */
static bragg_status sum_frames(const bragg_plan *p, const bragg_frame *const *frames, size_t n, const bragg_integrate_options *o,
                               const double *dark, const double *dark_sum, bragg_sums out, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    size_t bins = plan_bins(p);
    for (size_t first = 0, last; first < n && st == BRAGG_OK; first = last) {
        bragg_sums at = { out.intensity + first * bins, out.sem + first * bins, out.std ? out.std + first * bins : NULL };
        for (last = first + 1; last < n && frames[last]->type == frames[first]->type;)
            last++;
        st = bragg_plan_sum(p, frames + first, last - first, dark, dark_sum, o->monitor ? o->monitor + first : NULL, at, err);
    }
    return st;
}

bragg_status bragg_plan_integrate_frames(const bragg_plan *p, const bragg_frame *const *frames, size_t n, const bragg_integrate_options *options,
                                         double *intensity, double *sem, double *std, bragg_error *err)
{
    static const bragg_integrate_options defaults = BRAGG_INTEGRATE_OPTIONS_INIT;
    const bragg_integrate_options *o = options ? options : &defaults;
    size_t pixels = p->rows * p->columns;
    double *dark = NULL, *dark_sum = NULL;
    bragg_sums out = { intensity, sem, std };
    bragg_status st = check(p, frames, n, o, err);
    bool quick = !o->mean && !o->variance && o->errors == BRAGG_ERRORS_POISSON && o->reject == BRAGG_REJECT_NONE;
    if (st == BRAGG_OK && o->dark) {
        dark = malloc(pixels * sizeof *dark);
        dark_sum = calloc(plan_bins(p), sizeof *dark_sum);
        if (!dark || !dark_sum)
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a dark of %zu pixels", pixels);
        for (size_t i = 0; st == BRAGG_OK && i < pixels; i++)
            dark[i] = bragg_plan_value(o->dark, i);
        quick = quick && st == BRAGG_OK && sum_dark(p, dark, dark_sum);
    }
    if (st == BRAGG_OK && n)
        st = quick ? sum_frames(p, frames, n, o, dark, dark_sum, out, err) : bragg_plan_sift(p, frames, n, dark, o, out, err);
    free(dark);
    free(dark_sum);
    return st;
}

/* --------------------------------------------------------------- results */

static bragg_status integrate_one(const bragg_plan *p, const bragg_frame *frame, const bragg_frame *dark, const bragg_frame *variance,
                                  double *intensity, double *sem, bragg_error *err)
{
    bragg_integrate_options o = BRAGG_INTEGRATE_OPTIONS_INIT;
    o.dark = dark;
    o.variance = variance ? &variance : NULL;
    return bragg_plan_integrate_frames(p, &frame, 1, &o, intensity, sem, NULL, err);
}

bragg_status bragg_plan_integrate(const bragg_plan *p, const bragg_frame *frame, const bragg_frame *dark,
                                  const bragg_frame *variance, bragg_pattern **out, bragg_error *err)
{
    *out = NULL;
    if (p->n_azimuth != 1)
        return bragg_fail(err, BRAGG_EINVAL, "integration: a plan of %zu azimuths gives a cake, not a pattern", p->n_azimuth);
    bragg_pattern *pattern = bragg_pattern_new(p->n_rings, p->opt.axis);
    if (!pattern)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n_rings);
    pattern->wavelength_ang = p->wavelength_ang;
    pattern->bin_rad = bragg_plan_bin_rad(p);
    pattern->pixel_rad = p->pixel_rad;
    for (size_t k = 0; k < p->n_rings; k++)
        pattern->x[k] = bragg_plan_ring_centre(p, k);
    bragg_status st = integrate_one(p, frame, dark, variance, pattern->y, pattern->sigma, err);
    if (st < 0)
        bragg_pattern_free(pattern);
    else
        *out = pattern;
    return st;
}

static bragg_cake *new_cake(const bragg_plan *p)
{
    bragg_cake *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->n_rings = p->n_rings;
    c->n_azimuth = p->n_azimuth;
    c->axis = p->opt.axis;
    c->wavelength_ang = p->wavelength_ang;
    c->x = malloc(c->n_rings * sizeof *c->x);
    c->chi_rad = malloc(c->n_azimuth * sizeof *c->chi_rad);
    c->intensity = malloc(c->n_rings * c->n_azimuth * sizeof *c->intensity);
    c->sigma = malloc(c->n_rings * c->n_azimuth * sizeof *c->sigma);
    if (!c->x || !c->chi_rad || !c->intensity || !c->sigma) {
        bragg_cake_free(c);
        return NULL;
    }
    for (size_t k = 0; k < c->n_rings; k++)
        c->x[k] = bragg_plan_ring_centre(p, k);
    for (size_t k = 0; k < c->n_azimuth; k++)
        c->chi_rad[k] = bragg_plan_azimuth_centre_rad(p, k);
    return c;
}

void bragg_cake_free(bragg_cake *c)
{
    if (!c)
        return;
    free(c->x);
    free(c->chi_rad);
    free(c->intensity);
    free(c->sigma);
    free(c);
}

bragg_status bragg_plan_integrate_cake(const bragg_plan *p, const bragg_frame *frame, const bragg_frame *dark,
                                       const bragg_frame *variance, bragg_cake **out, bragg_error *err)
{
    *out = NULL;
    bragg_cake *cake = new_cake(p);
    if (!cake)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu x %zu bins", p->n_rings, p->n_azimuth);
    bragg_status st = integrate_one(p, frame, dark, variance, cake->intensity, cake->sigma, err);
    if (st < 0)
        bragg_cake_free(cake);
    else
        *out = cake;
    return st;
}
