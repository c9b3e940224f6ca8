/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One-dimensional patterns: a diffractometer's counts. */
#include "config.h"
#include "truth.h"

#include <bragg/path.h>
#include <bragg/pattern.h>
#include <bragg/thread.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct job {
    const bragg_truth *t;
    const char *const *path;
    bool force;
    size_t n, first;             /* points; shot of the range's first item */
    double scale;                /* of the run's frames */
    const double *windows;
} job;

static bragg_status fill(const job *j, size_t shot, bragg_pattern *p, double *ideal, bragg_error *err)
{
    const bragg_truth *t = j->t;
    const truth_shot *s = &t->shot[shot];
    double scale = j->scale, monitor = bragg_truth_monitor(t, shot);
    bragg_status st = s->own_scale ? bragg_truth_scale(t, shot, j->n, &scale, err) : BRAGG_OK;
    if (st == BRAGG_OK)
        st = bragg_truth_ideal(t, s, false, j->n, ideal, err);
    gsl_rng *rng = st == BRAGG_OK ? bragg_truth_random() : NULL;
    if (st == BRAGG_OK && !rng)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for random numbers");
    if (st < 0)
        return st;
    gsl_rng_set(rng, bragg_truth_seed(t->seed, shot, 11));
    for (size_t i = 0; i < j->n; i++) {
        p->x[i] = t->first_rad + t->step_rad * (double)i;
        double mean = scale * (ideal[i] + j->windows[i]) + s->counts * bragg_truth_background_at(t, s, p->x[i]);
        p->y[i] = bragg_truth_counts(rng, monitor * mean);
        p->sigma[i] = sqrt(fmax(p->y[i], 1));
    }
    free(rng);
    p->wavelength_ang = t->radiation.wavelength_ang[0];
    p->time_s = t->start_unix_s + s->start_s;
    p->counting_s = s->exposure_s > 0 ? s->exposure_s : NAN;
    if (t->furnace.temperature.n || isfinite(t->temperature_k))
        p->temperature_k = bragg_truth_temperature(t, s->start_s + s->exposure_s / 2);
    return BRAGG_OK;
}

static bragg_status write_some(void *payload, size_t first, size_t last, bragg_error *err)
{
    const job *j = payload;
    bragg_status st = BRAGG_OK;
    double *ideal = malloc(j->n * sizeof *ideal);
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        bragg_pattern *p = bragg_pattern_new(j->n, BRAGG_AXIS_TTH);
        st = p && ideal ? fill(j, j->first + k, p, ideal, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
        if (st == BRAGG_OK)
            st = bragg_pattern_write_text(p, j->path[j->first + k], j->force, err);
        bragg_pattern_free(p);
    }
    free(ideal);
    return st;
}

bragg_status bragg_truth_write_patterns(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err)
{
    enum { AT_ONCE = 16 };
    job j = { .t = t, .force = force, .n = (size_t)lrint((t->last_rad - t->first_rad) / t->step_rad) + 1, .scale = 1 };
    double *windows = malloc(j.n * sizeof *windows);
    const char **path = bragg_arena_alloc(t->arena, t->n_shots, sizeof *path);
    bragg_status st = windows && path ? bragg_truth_ideal(t, &t->shot[0], true, j.n, windows, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for patterns");
    for (size_t k = 0; k < t->n_shots && st == BRAGG_OK; k++) {
        char name[300];
        snprintf(name, sizeof name, "%.250s.xye", t->shot[k].name);
        if (!(path[k] = bragg_path_join(t->arena, dir, name)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    size_t run = 0; /* the first shot of the run gives the scale of all */
    while (run + 1 < t->n_shots && t->shot[run].own_scale)
        run++;
    if (st == BRAGG_OK && !t->shot[run].own_scale)
        st = bragg_truth_scale(t, run, j.n, &j.scale, err);
    j.windows = windows;
    j.path = path;
    for (; j.first < t->n_shots && st == BRAGG_OK; j.first += AT_ONCE) {
        size_t n = t->n_shots - j.first < AT_ONCE ? t->n_shots - j.first : AT_ONCE;
        st = bragg_progress(observer, j.first, t->n_shots) ? bragg_parallel_for(n, 1, write_some, &j, err) : BRAGG_STOPPED;
    }
    free(windows);
    return st;
}
