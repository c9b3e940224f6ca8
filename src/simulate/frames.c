/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Detector frames. */
#include "config.h"
#include "truth.h"

#include <bragg/frame.h>
#include <bragg/path.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTORS = 720, RINGS = 128, ROWS = 8, GRID_PER_PIXEL = 8, GRID_MOST = 60000 };

/* Where a pixel looks: in steps of the ideal pattern, with its two half-widths. */
typedef struct view {
    float at, slow, fast, factor; /* factor: solid angle and polarization */
    uint16_t sector, ring;
} view;

typedef struct camera {
    const bragg_truth *t;
    size_t n;                    /* steps of the ideal pattern */
    view *view;                  /* rows x columns */
    uint8_t *gap;                /* what lies between modules */
    double *ideal, *windows, *counts;
    const double *ring_counts, *flat_counts; /* what shines through grains, and what does not */
    double *grain;               /* relative intensity, [ring][sector] */
    bragg_frame *frame;
    size_t shot;
} camera;

/* ---------------------------------------------------------------- views */

static view look(const camera *c, size_t i, size_t j)
{
    const bragg_truth *t = c->t;
    const bragg_geometry *g = &t->geometry;
    double per = (double)(c->n - 1) / (t->last_rad - t->first_rad), s = (double)i + 0.5, f = (double)j + 0.5;
    bragg_ray r = bragg_geometry_ray(g, s, f);
    view v;
    v.at = (float)((r.two_theta_rad - t->first_rad) * per);
    v.slow = (float)((bragg_geometry_ray(g, s + 0.5, f).two_theta_rad - bragg_geometry_ray(g, s - 0.5, f).two_theta_rad) * per / 2);
    v.fast = (float)((bragg_geometry_ray(g, s, f + 0.5).two_theta_rad - bragg_geometry_ray(g, s, f - 0.5).two_theta_rad) * per / 2);
    v.factor = (float)(r.solid_angle * bragg_polarization(r.two_theta_rad, r.chi_rad, t->polarization));
    v.sector = (uint16_t)((size_t)((r.chi_rad / (2 * BRAGG_PI) + 0.5) * SECTORS) % SECTORS);
    double u = v.at / (double)c->n * RINGS;
    v.ring = (uint16_t)(u > 0 ? u < RINGS ? u : RINGS - 1 : 0);
    return v;
}

static bragg_status look_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const camera *c = payload;
    size_t columns = c->t->geometry.columns;
    for (size_t i = first; i < last; i++)
        for (size_t j = 0; j < columns; j++)
            c->view[i * columns + j] = look(c, i, j);
    return BRAGG_OK;
    (void)err;
}

/* --------------------------------------------------------------- counts */

static double interpolate(const double *y, size_t n, double u)
{
    if (!(u >= 0 && u < (double)(n - 1)))
        return 0;
    size_t k = (size_t)u;
    return y[k] + (u - (double)k) * (y[k + 1] - y[k]);
}

/* Mean over the pixel, which is as wide as many a peak: Gauss-Legendre points, as those
 * in the middle of subpixels would make it narrower. */
static double expected_counts(const camera *c, const view *v)
{
    static const double at[3] = { -0.7745966692414834, 0, 0.7745966692414834 }, weight[3] = { 5.0 / 18, 8.0 / 18, 5.0 / 18 };
    double ring = 0, flat = interpolate(c->flat_counts, c->n, v->at);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            ring += weight[a] * weight[b] * interpolate(c->ring_counts, c->n, v->at + at[a] * v->slow + at[b] * v->fast);
    return (ring * c->grain[(size_t)v->ring * SECTORS + v->sector] + flat) * v->factor;
}

static bragg_status expose_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const camera *c = payload;
    gsl_rng *rng = bragg_truth_random();
    if (!rng)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for random numbers");
    for (size_t i = first; i < last; i++) {
        gsl_rng_set(rng, bragg_truth_seed(c->t->seed, c->shot, 1000 + i)); /* a row has its own: the same on any number of threads */
        int32_t *row = (int32_t *)c->frame->data + i * c->frame->width;
        const view *v = c->view + i * c->frame->width;
        for (size_t j = 0; j < c->frame->width; j++)
            row[j] = c->gap[i * c->frame->width + j] ? -1 : (int32_t)fmin(bragg_truth_counts(rng, expected_counts(c, &v[j])), INT32_MAX);
    }
    free(rng);
    return BRAGG_OK;
}

static void kill_pixels(const camera *c, gsl_rng *rng)
{
    size_t pixels = c->frame->width * c->frame->height;
    gsl_rng_set(rng, bragg_truth_seed(c->t->seed, 0, 17)); /* the same ones in every frame */
    for (long long k = 0; k < c->t->dead_pixels; k++)
        ((int32_t *)c->frame->data)[gsl_rng_uniform_int(rng, pixels)] = -2;
}

static void make_grain(const camera *c, double spread, gsl_rng *rng)
{
    double sum = 0;
    gsl_rng_set(rng, bragg_truth_seed(c->t->seed, c->shot, 29));
    for (size_t k = 0; k < (size_t)RINGS * SECTORS; k++)
        sum += c->grain[k] = spread > 0 ? gsl_ran_gamma(rng, 1 / (spread * spread), spread * spread) : 1;
    for (size_t k = 0; k < (size_t)RINGS * SECTORS; k++)
        c->grain[k] *= (double)RINGS * SECTORS / sum;
}

static bragg_status make_tables(camera *c, double scale, bragg_error *err)
{
    const bragg_truth *t = c->t;
    const truth_shot *s = &t->shot[c->shot];
    double monitor = bragg_truth_monitor(t, c->shot), *flat = c->counts + c->n;
    bragg_status st = bragg_truth_ideal(t, s, false, c->n, c->ideal, err);
    for (size_t k = 0; k < c->n && st == BRAGG_OK; k++) {
        double angle = t->first_rad + (t->last_rad - t->first_rad) * (double)k / (double)(c->n - 1);
        c->counts[k] = monitor * scale * (c->ideal[k] + c->windows[k]);
        flat[k] = monitor * s->counts * bragg_truth_background_at(t, s, angle);
    }
    c->ring_counts = c->counts;
    c->flat_counts = flat;
    return st;
}

static bragg_status write(const camera *c, const char *path, bool force, bragg_error *err)
{
    bragg_frame_stack *to;
    bragg_status st = bragg_frame_stack_open(path, 1, force, &to, err);
    if (st == BRAGG_OK && (st = bragg_frame_stack_add(to, c->frame, err)) < 0) {
        bragg_frame_stack_abandon(to);
        return st;
    }
    return st < 0 ? st : bragg_frame_stack_commit(to, err);
}

static bragg_status take(camera *c, const char *dir, double scale, bool force, gsl_rng *rng, bragg_error *err)
{
    const truth_shot *s = &c->t->shot[c->shot];
    char file[300];
    bragg_status st = s->own_scale ? bragg_truth_scale(c->t, c->shot, c->n, &scale, err) : BRAGG_OK;
    if (st == BRAGG_OK)
        st = make_tables(c, scale, err);
    if (st < 0)
        return st;
    make_grain(c, s->graininess, rng);
    st = bragg_parallel_for(c->frame->height, ROWS, expose_rows, c, err);
    kill_pixels(c, rng);
    snprintf(file, sizeof file, "%.250s.%.30s", s->name, !s->own_scale && c->t->format ? c->t->format : "tif");
    return st == BRAGG_OK ? write(c, bragg_path_join(c->t->arena, dir, file), force, err) : st;
}

static bragg_status set_up(camera *c, bragg_error *err)
{
    const bragg_geometry *g = &c->t->geometry;
    double pixel = fmin(g->pixel_slow_m, g->pixel_fast_m) / g->distance_m;
    c->n = (size_t)fmin(GRID_MOST, ceil((c->t->last_rad - c->t->first_rad) / pixel * GRID_PER_PIXEL) + 2);
    c->view = malloc(g->rows * g->columns * sizeof *c->view);
    c->gap = calloc(g->rows * g->columns, 1);
    c->ideal = malloc((4 * c->n + (size_t)RINGS * SECTORS) * sizeof *c->ideal);
    if (!c->view || !c->gap || !c->ideal)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a frame of %zu x %zu", g->columns, g->rows);
    c->windows = c->ideal + c->n;
    c->counts = c->ideal + 2 * c->n;
    c->grain = c->ideal + 4 * c->n;
    bragg_status st = c->t->gaps ? bragg_mask_gaps(g->detector, g->rows, g->columns, c->gap, err) : BRAGG_OK;
    if (st == BRAGG_OK)
        st = bragg_frame_new(g->columns, g->rows, BRAGG_I32, &c->frame, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(g->rows, ROWS, look_rows, c, err);
    return st == BRAGG_OK ? bragg_truth_ideal(c->t, &c->t->shot[0], true, c->n, c->windows, err) : st;
}

bragg_status bragg_truth_write_frames(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err)
{
    camera c = { .t = t };
    double scale = 1;
    size_t run = 0;
    gsl_rng *rng = bragg_truth_random();
    bragg_status st = rng ? set_up(&c, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for random numbers");
    while (run + 1 < t->n_shots && t->shot[run].own_scale)
        run++;
    if (st == BRAGG_OK && !t->shot[run].own_scale)
        st = bragg_truth_scale(t, run, c.n, &scale, err);
    for (; c.shot < t->n_shots && st == BRAGG_OK; c.shot++)
        st = bragg_progress(observer, c.shot, t->n_shots) ? take(&c, dir, scale, force, rng, err) : BRAGG_STOPPED;
    bragg_frame_free(c.frame);
    free(c.view);
    free(c.gap);
    free(c.ideal);
    free(rng);
    return st;
}
