/* SPDX-License-Identifier: GPL-3.0-or-later */
/* G(r) of each row of a run, all in one way, and how far it has changed. */
#include "config.h"
#include "analyse.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const bragg_series *s;
    const bragg_frames *f;
    const bragg_experiment *x;
    const bragg_pdf_recipe *recipe;
    bragg_pdf_options o;      /* with what the first row has found */
    bragg_pattern *background;
    bragg_pdf_course *t;
} job;

static bool usable(const bragg_series_frame *step)
{
    return step->status == BRAGG_FRAME_OK || step->status == BRAGG_FRAME_AT_BOUND || step->status == BRAGG_FRAME_POOR;
}

/* The pattern, of counts with their sigmas; *out NULL when the frame cannot be used. */
static bragg_status read_frame(const job *j, size_t k, bragg_pattern **out, bragg_error *err)
{
    double exposure;
    bragg_error own = BRAGG_ERROR_INIT;
    *out = NULL;
    bragg_status st = usable(&j->s->frame[k]) ? bragg_frames_read(j->f, k, out, &exposure, &own) : BRAGG_OK;
    if (st == BRAGG_ENOMEM)
        return bragg_fail(err, st, "%.900s", own.text);
    bragg_pattern *p = *out;
    for (size_t i = 0; p && p->counts && i < p->n; i++)
        p->sigma[i] = p->sigma[i] > 0 ? p->sigma[i] : sqrt(fmax(p->y[i], 1));
    if (p)
        p->wavelength_ang = j->x->pattern->histogram.radiation.wavelength_ang[0];
    return BRAGG_OK;
}

/* Add what p has on the points of `to`, and its variance in place of sigma. */
static bool add_frame(bragg_pattern *to, bragg_pattern *p, double *room)
{
    if (p->axis != to->axis)
        return false;
    bragg_pattern_resample(p, to->x, to->n, room);
    double *intensity = p->y;
    p->y = p->sigma;
    bragg_pattern_resample(p, to->x, to->n, room + to->n);
    p->y = intensity;
    for (size_t i = 0; i < to->n; i++) {
        to->y[i] += room[i];
        to->sigma[i] += room[to->n + i] * room[to->n + i];
    }
    return true;
}

/* The first frame's intensities and variances become sums. */
static bragg_status begin_sum(bragg_pattern *mean, double **room, bragg_error *err)
{
    if (!(*room = malloc((2 * mean->n + 1) * sizeof **room)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern of %zu points", mean->n);
    for (size_t i = 0; i < mean->n; i++)
        mean->sigma[i] *= mean->sigma[i];
    return BRAGG_OK;
}

/* Mean of the frames of a row that can be used; *out NULL when there is none. */
static bragg_status mean_of(const job *j, size_t row, bragg_pattern **out, bragg_error *err)
{
    size_t first = row * j->t->frames, last = first + j->t->frames < j->s->n ? first + j->t->frames : j->s->n, n = 1;
    bragg_pattern *mean = *out = NULL, *p;
    double *room = NULL;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && (st = read_frame(j, k, &p, err)) == BRAGG_OK; k++) {
        if (!p)
            continue;
        if (!mean) {
            mean = p;
            continue;
        }
        if (room || (st = begin_sum(mean, &room, err)) == BRAGG_OK)
            n += add_frame(mean, p, room);
        bragg_pattern_free(p);
        if (st < 0)
            break;
    }
    for (size_t i = 0; room && i < mean->n; i++) {
        mean->y[i] /= (double)n;
        mean->sigma[i] = sqrt(mean->sigma[i]) / (double)n;
    }
    free(room);
    if (st < 0) {
        bragg_pattern_free(mean);
        return st;
    }
    *out = mean;
    return BRAGG_OK;
}

static bragg_status reduce_row(const job *j, size_t row, bragg_pdf **out, bragg_error *err)
{
    bragg_pattern *p = NULL;
    *out = NULL;
    bragg_status st = mean_of(j, row, &p, err);
    if (st == BRAGG_OK && p)
        st = bragg_pdf_reduce(p, j->background, &j->recipe->composition, &j->o, out, err);
    bragg_pattern_free(p);
    return st;
}

static void put_row(bragg_pdf_course *t, size_t row, const bragg_pdf *p)
{
    memcpy(t->gr + row * t->n, p->gr, t->n * sizeof *t->gr);
    if (p->gr_sigma)
        memcpy(t->gr_sigma + row * t->n, p->gr_sigma, t->n * sizeof *t->gr_sigma);
    t->slope[0][row] = p->slope;
    t->slope[1][row] = p->slope_esd;
}

/* A row whose G(r) cannot be made stays empty, as a frame that cannot be fitted. */
static bragg_status reduce_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const job *j = payload;
    for (size_t row = first; row < last; row++) {
        bragg_pdf *p;
        bragg_status st = reduce_row(j, row, &p, err);
        if (st == BRAGG_OK && p && p->m == j->t->n)
            put_row(j->t, row, p);
        bragg_pdf_free(p);
        if (st == BRAGG_ENOMEM)
            return st;
    }
    return BRAGG_OK;
}

static bragg_status make_room(job *j, const bragg_pdf *p, bragg_arena *arena, bragg_error *err)
{
    bragg_pdf_course *t = j->t;
    double *course = bragg_arena_alloc(arena, 4 * t->rows + 1, sizeof *course);
    t->n = p->m;
    t->r_ang = bragg_arena_alloc(arena, t->n + 1, sizeof *t->r_ang);
    t->gr = bragg_arena_alloc(arena, t->n * t->rows + 1, sizeof *t->gr);
    t->gr_sigma = bragg_arena_alloc(arena, t->n * t->rows + 1, sizeof *t->gr_sigma);
    if (!course || !t->r_ang || !t->gr || !t->gr_sigma)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for G(r) of %zu patterns", t->rows);
    memcpy(t->r_ang, p->r, t->n * sizeof *t->r_ang);
    for (size_t i = 0; i < t->n * t->rows; i++)
        t->gr[i] = t->gr_sigma[i] = NAN;
    for (size_t i = 0; i < 4 * t->rows; i++)
        course[i] = NAN;
    for (int k = 0; k < 2; k++) {
        t->change[k] = course + (size_t)k * t->rows;
        t->slope[k] = course + (size_t)(2 + k) * t->rows;
    }
    t->slope_expected = p->slope_expected;
    t->used = p->used;
    return BRAGG_OK;
}

/* The first row with a G(r) makes the choices. */
static bragg_status begin(job *j, bragg_arena *arena, size_t *chooser, bragg_error *err)
{
    bragg_error why = BRAGG_ERROR_INIT;
    bragg_status st = BRAGG_OK, first = BRAGG_OK;
    bragg_pdf *p = NULL;
    size_t row = 0;
    for (; row < j->t->rows && !p && st != BRAGG_ENOMEM; row++) {
        bragg_error here = BRAGG_ERROR_INIT;
        st = reduce_row(j, row, &p, &here);
        if (st < 0 && first == BRAGG_OK)
            first = st, why = here;
    }
    if (!p)
        return first < 0 ? bragg_fail(err, first, "pdf: %.900s", why.text) : bragg_fail(err, BRAGG_EDATA, "pdf: none of %zu frames can be used", j->s->n);
    st = make_room(j, p, arena, err);
    j->o = p->used;
    j->o.auto_qmax = false;
    *chooser = row - 1;
    bragg_pdf_free(p);
    return st;
}

static bragg_pdf_data view(const bragg_pdf_course *t, size_t row)
{
    bool errors = t->n && isfinite(t->gr_sigma[row * t->n]);
    return (bragg_pdf_data){ .n = t->n, .r = t->r_ang, .g = t->gr + row * t->n, .sigma = errors ? t->gr_sigma + row * t->n : NULL,
                             .qmin_invang = t->used.qmin_invang, .qmax_invang = t->used.qmax_invang };
}

static bragg_status compare(bragg_pdf_course *t, size_t first, bragg_error *err)
{
    bragg_pdf_data before = view(t, first);
    bragg_status st = BRAGG_OK;
    for (size_t row = first; row < t->rows && st == BRAGG_OK; row++) {
        bragg_pdf_data now = view(t, row), *d = NULL;
        double left = 0, all = 0, scale = NAN;
        if (!isfinite(now.g[t->n - 1]))
            continue;
        st = bragg_pdf_difference(&now, &before, 1, INFINITY, &scale, &d, err);
        for (size_t i = 0; st == BRAGG_OK && i < t->n; i++)
            if (t->r_ang[i] >= 1)
                left += d->g[i] * d->g[i], all += now.g[i] * now.g[i];
        t->change[0][row] = sqrt(left / all);
        t->change[1][row] = scale;
        bragg_pdf_data_free(d);
    }
    return st;
}

bragg_status bragg_series_pdf(const bragg_series *s, const bragg_frames *f, const bragg_experiment *x, const bragg_pdf_recipe *recipe, size_t rows,
                                bragg_arena *arena, bragg_pdf_course **out, bragg_error *err)
{
    job j = { s, f, x, recipe, recipe->options, NULL, bragg_arena_alloc(arena, 1, sizeof *j.t) };
    const bragg_radiation *radiation = &x->pattern->histogram.radiation;
    size_t first = 0;
    *out = NULL;
    if (!j.t)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for G(r)");
    j.t->frames = rows && s->n > rows ? (s->n + rows - 1) / rows : 1;
    j.t->rows = (s->n + j.t->frames - 1) / j.t->frames;
    j.o.wavelength_ang = radiation->wavelength_ang[0];
    j.o.neutron = radiation->neutron;
    j.o.anomalous = !radiation->neutron;
    bragg_status st = recipe->background ? bragg_pattern_read(recipe->background, 0, &j.background, err) : BRAGG_OK;
    if (j.background && !isfinite(j.background->wavelength_ang))
        j.background->wavelength_ang = radiation->wavelength_ang[0];
    if (st == BRAGG_OK)
        st = begin(&j, arena, &first, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(j.t->rows, 1, reduce_rows, &j, err);
    if (st == BRAGG_OK)
        st = compare(j.t, first, err);
    bragg_pattern_free(j.background);
    *out = st == BRAGG_OK ? j.t : NULL;
    return st;
}
