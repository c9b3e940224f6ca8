/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole run: how it begins, what is taken up from before, how it ends. */
#include "config.h"
#include "run.h"

#include <bragg/analysis.h>
#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A few frames over the run tell how bright they are; the first of them that can be
 * read is the one that models are made with. */
static bragg_status look_around(run *r, bragg_error *err)
{
    enum { LOOKS = 9 };
    double total[LOOKS];
    size_t n = bragg_frames_count(r->frames), m = 0, step = n > LOOKS ? n / LOOKS : 1;
    bragg_error first = BRAGG_ERROR_INIT;
    for (size_t k = 0; k < n && m < LOOKS; k += m || r->template ? step : 1) {
        bragg_pattern *p;
        double exposure, sum;
        bragg_error one = BRAGG_ERROR_INIT;
        if (bragg_frames_read(r->frames, k, &p, &exposure, &one) < 0) {
            first = *first.text ? first : one;
            continue;
        }
        sum = bragg_seq_total(r->x, p);
        if (isfinite(sum))
            total[m++] = sum;
        seq_worker *w = NULL;
        if (!r->template && sum > 0 && bragg_seq_worker_new(r->x, &r->plan, p, &w, &one) == BRAGG_OK) {
            r->template = p;
            r->idle = calloc(n + 2, sizeof *r->idle);
            if (r->idle)
                r->idle[r->n_idle++] = w;
            else
                bragg_seq_worker_free(w);
        } else {
            first = *first.text ? first : one;
            bragg_pattern_free(p);
        }
    }
    qsort(total, m, sizeof *total, bragg_array_by_value);
    r->usual = m ? total[m / 2] : NAN;
    if (r->template && !r->idle)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", n);
    return r->template ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "series: none of %zu patterns could be fitted; the first says: %s", n, first.text);
}

static bragg_status lay_out(run *r, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_series *s = arena ? bragg_arena_alloc(arena, 1, sizeof *s) : NULL;
    const seq_shape *shape = bragg_seq_shape(r->idle[0]);
    if (!s) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    }
    *s = (bragg_series){ .arena = arena, .clock = BRAGG_CLOCK_INIT };
    r->s = s;
    s->title = r->x->title ? bragg_arena_strdup(arena, r->x->title) : NULL;
    bragg_status st = bragg_series_attach(s, shape, 0, err);
    seq_shape *own = bragg_arena_alloc(arena, 1, sizeof *own);
    if (st < 0 || !own)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    *own = *shape;
    own->name = s->name;
    own->unit = s->unit;
    own->phase = s->phase;
    r->shape = own;
    st = bragg_run_grow(r, bragg_frames_count(r->frames), err);
    r->n_blocks = (r->n + r->plan.block - 1) / r->plan.block;
    r->anchor = calloc(r->n_blocks + 1, sizeof *r->anchor);
    return st < 0 || r->anchor ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu blocks", r->n_blocks);
}

/* The same frame, from wherever it is called for. */
static bool same_frame(const char *a, const char *b)
{
    size_t m = strcspn(a, ":"), n = strcspn(b, ":");
    while (m > 0 && a[m - 1] != '/')
        m--;
    while (n > 0 && b[n - 1] != '/')
        n--;
    return !strcmp(a + m, b + n);
}

/* What stands in the store of an earlier run. */
static bragg_status take_up(run *r, bragg_error *err)
{
    char file[256], message[256];
    double *row = bragg_run_rows(r, 1, err);
    bragg_status st = row ? BRAGG_OK : BRAGG_ENOMEM;
    for (size_t k = 0; st == BRAGG_OK && k < r->n; k++) {
        const char *own = bragg_frames_item(r->frames, k)->file;
        if (!bragg_store_row(r->store, k, row, message, file))
            continue;
        if (!same_frame(file, own)) {
            st = bragg_fail(err, BRAGG_EDATA, "'%s': expected frame %zu to be '%s', found '%s'; the list of frames has changed", r->o->store, k, own, file);
            break;
        }
        if (r->rows)
            memcpy(r->rows + k * r->shape->columns, row, r->shape->columns * sizeof *row);
        r->mark[k] = bragg_run_mark(row);
        r->done++;
        message[sizeof message - 1] = 0;
        st = bragg_run_message(r, k, message, err);
    }
    free(row);
    return st;
}

static void begin_again(run *r, size_t frame)
{
    r->mark[frame].status = BRAGG_FRAME_PENDING;
    if (r->rows)
        r->rows[frame * r->shape->columns + ROW_STATUS] = BRAGG_FRAME_PENDING;
}

static bragg_status open_store(run *r, const char *experiment_path, bragg_error *err)
{
    const bragg_series_options *o = r->o;
    if (!o->store)
        return BRAGG_OK;
    enum { MOST = 1 << 26 };
    unsigned char *text;
    size_t size;
    bragg_status st = bragg_bytes_of_file(experiment_path, MOST, &text, &size, err);
    seq_store_start start = { o->store, o->provenance, r->x->title, (char *)text, o->resume, o->force, r->n, r->n_grid, r->grid, r->shape, r->usual,
                              r->x->pattern->histogram.radiation.wavelength_ang[0] };
    if (st == BRAGG_OK)
        st = bragg_store_open(&start, &r->store, err);
    free(text);
    if (st == BRAGG_OK && o->resume)
        st = take_up(r, err);
    for (size_t b = 0; st == BRAGG_OK && r->fresh && b < r->n_blocks; b++) /* those count only whole */
        for (size_t p = b * r->plan.block; !bragg_run_block_is_whole(r, b) && p < block_end(r, b); p++)
            begin_again(r, frame_at(r, p));
    return st;
}

static bragg_status make_grid(run *r, bragg_error *err)
{
    bragg_model *m = NULL;
    bragg_status st = bragg_experiment_model(r->x, r->template, &m, err);
    if (st < 0)
        return st;
    r->n_grid = bragg_model_points(m, 0);
    r->grid = malloc((r->n_grid + 1) * sizeof *r->grid);
    st = r->grid ? bragg_model_calculate(m, 0, r->grid, NULL, NULL, NULL, NULL, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", r->n_grid);
    bragg_model_free(m);
    return st;
}

/* Unknown peaks that stay: seen in three frames with at most two between. */
typedef struct trace {
    size_t first, last, seen;
    double x, most;
} trace;

static bragg_status note_alarm(bragg_series *s, const trace *t, bragg_error *err)
{
    bragg_alarm *more = bragg_arena_alloc(s->arena, s->n_alarms + 1, sizeof *more);
    if (!more)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an alarm");
    if (s->n_alarms)
        memcpy(more, s->alarm, s->n_alarms * sizeof *more);
    more[s->n_alarms++] = (bragg_alarm){ t->first, t->last, t->x, t->most, NULL, NAN };
    s->alarm = more;
    return BRAGG_OK;
}

static bragg_status find_alarms(run *r, bragg_error *err)
{
    enum { TRACES = 64 };
    trace t[TRACES];
    size_t n = 0;
    double near = r->n_grid > 1 ? 8 * (r->grid[r->n_grid - 1] - r->grid[0]) / (double)r->n_grid : 0;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k <= r->s->n && st == BRAGG_OK; k++) {
        for (size_t j = 0; j < n;) {
            if (k < r->s->n && k - t[j].last <= 3) {
                j++;
                continue;
            }
            if (t[j].seen >= 3)
                st = note_alarm(r->s, &t[j], err);
            t[j] = t[--n];
        }
        for (int u = 0; k < r->s->n && r->s->frame[k].done && u < BRAGG_FRAME_UNKNOWN_PEAKS; u++) {
            const double *unknown = bragg_series_fitted(r->s, k)->unknown;
            double x = unknown[2 * u], z = unknown[2 * u + 1];
            size_t j = 0;
            while (j < n && fabs(t[j].x - x) > near)
                j++;
            if (!(z > 0) || (j == n && n == TRACES))
                continue;
            if (j == n)
                t[n++] = (trace){ k, k, 0, x, z };
            t[j] = (trace){ t[j].first, k, t[j].seen + 1, x, fmax(t[j].most, z) };
        }
    }
    return st;
}

static bragg_status finish(run *r, const char *experiment_path, bragg_error *err)
{
    bragg_series *s = r->s;
    bragg_status st = bragg_series_attach(s, r->shape, r->n, err);
    double *row = bragg_run_rows(r, 1, err);
    s->points = (double)r->n_grid;
    for (size_t k = 0; k < s->n && row && st == BRAGG_OK; k++) {
        const bragg_frame_item *item = bragg_frames_item(r->frames, k);
        s->frame[k].index = item->index;
        st = bragg_run_fetch(r, k, row, err);
        if (st == BRAGG_OK && !(s->frame[k].file = bragg_arena_strdup(s->arena, item->file)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", s->n);
        if (st == BRAGG_OK)
            st = bragg_series_set_frame(s, k, row, r->message[k] ? r->message[k] : "", err);
        if (r->o->follow && s->frame[k].status == BRAGG_FRAME_PENDING)
            s->frame[k].status = BRAGG_FRAME_SKIPPED; /* the store keeps it pending, for --resume */
    }
    st = row ? st : BRAGG_ENOMEM;
    free(row);
    if (st == BRAGG_OK) {
        seq_place place = r->rows ? (seq_place){ r->rows, -1, 0 } : bragg_store_place(r->store);
        r->rows = NULL;
        st = bragg_series_take_rows(s, r->shape, &place, err);
    }
    if (st == BRAGG_OK)
        bragg_series_find_refined(s);
    if (st == BRAGG_OK)
        st = bragg_join_read(r->x, experiment_path, s, err);
    if (st == BRAGG_OK)
        st = bragg_join_times(r->x, r->frames, s, err);
    if (st == BRAGG_OK && s->clock_estimated && s->logged)
        st = bragg_join_estimate(r->x, s, err);
    if (st == BRAGG_OK) {
        bragg_join_log(s);
        bragg_series_forget(s);
        st = find_alarms(r, err);
    }
    if (st == BRAGG_OK)
        st = bragg_series_whole(s, err);
    for (size_t k = 0; k < s->n_notes; k++)
        bragg_log(r->o->observer, BRAGG_LOG_WARNING, "%s", s->note[k]);
    return st;
}

static void tidy(run *r)
{
    while (r->n_idle)
        bragg_seq_worker_free(r->idle[--r->n_idle]);
    bragg_pattern_free(r->template);
    free(r->idle);
    free(r->anchor);
    for (size_t k = 0; k < r->room; k++)
        free(r->message[k]);
    free(r->message);
    free(r->rows);
    free(r->mark);
    free(r->grid);
}

bragg_status bragg_series_check(const bragg_experiment *x, bragg_error *err)
{
    seq_plan plan;
    bragg_analysis_options o;
    bragg_series trial = { .arena = bragg_arena_new() };
    bragg_status st = trial.arena ? bragg_frames_check(x, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    if (st == BRAGG_OK)
        st = bragg_join_check(x, &trial, err);
    if (st == BRAGG_OK)
        st = bragg_seq_plan(x, &plan, err);
    if (st == BRAGG_OK)
        st = bragg_analysis_options_read(x, trial.arena, &o, err);
    bragg_arena_free(trial.arena);
    return st;
}

/* A log that is wrong, and that nothing is to be refined, is told before the hours of work, not after. */
static bragg_status check_first(const bragg_experiment *x, const char *experiment_path, seq_plan *plan, bragg_error *err)
{
    bragg_series trial = { .arena = bragg_arena_new() };
    bragg_status st = trial.arena ? bragg_series_check(x, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    if (st == BRAGG_OK)
        st = bragg_seq_plan(x, plan, err);
    if (st == BRAGG_OK)
        st = bragg_join_read(x, experiment_path, &trial, err);
    if (st == BRAGG_OK)
        st = bragg_experiment_check_series(x, err);
    bragg_log_free(trial.log);
    free(trial.log_steps);
    bragg_arena_free(trial.arena);
    return st;
}

bragg_status bragg_series_fit(const bragg_experiment *x, const char *experiment_path, bragg_frames *frames,
                              const bragg_series_options *options, bragg_series **out, bragg_error *err)
{
    static const bragg_series_options usual = BRAGG_SERIES_OPTIONS_INIT;
    run r = { .x = x, .frames = frames, .o = options ? options : &usual };
    *out = NULL;
    for (size_t k = 0; k < x->n_phases; k++)
        r.fresh |= x->phase[k].extract;
    bragg_status st = check_first(x, experiment_path, &r.plan, err);
    if (st == BRAGG_OK && r.o->follow && bragg_peers_several(r.o->peers))
        st = bragg_fail(err, BRAGG_EINVAL, "--follow: expected one process, found %d", r.o->peers->size);
    if (st == BRAGG_OK && r.o->follow)
        st = bragg_run_await_first(&r, err);
    if (st == BRAGG_OK && !bragg_frames_count(frames))
        st = bragg_fail(err, BRAGG_EDATA, "series: expected patterns, found none");
    if (st == BRAGG_OK)
        st = look_around(&r, err);
    if (st == BRAGG_OK)
        st = lay_out(&r, err);
    if (st == BRAGG_OK)
        st = make_grid(&r, err);
    bool other = bragg_peers_other(r.o->peers);
    if (st == BRAGG_OK && !other)
        st = open_store(&r, experiment_path, err);
    st = bragg_peers_agree(r.o->peers, st, err);
    if (st == BRAGG_OK && r.o->follow)
        st = bragg_run_follow(&r, experiment_path, err);
    if (st == BRAGG_OK && !r.o->follow) {
        st = other ? BRAGG_OK : bragg_run_anchors(&r, err);
        st = bragg_run_share_anchors(&r, st, err);
    }
    if (st == BRAGG_OK && !r.o->follow)
        st = bragg_run_share(&r, err);
    if (other) {
        tidy(&r);
        bragg_series_free(r.s);
        return st;
    }
    if (st == BRAGG_OK && !r.stop && !r.o->follow && r.plan.propagate)
        st = bragg_run_mend(&r, err);
    if (st == BRAGG_OK)
        st = finish(&r, experiment_path, err);
    bragg_status closed = r.store ? bragg_store_close(r.store, st < 0 || (r.stop && !r.o->follow) ? NULL : r.s, st < 0 ? NULL : err) : BRAGG_OK;
    st = st < 0 ? st : closed;
    size_t good = 0;
    for (size_t k = 0; st == BRAGG_OK && k < r.s->n; k++)
        good += r.s->frame[k].done;
    if (st == BRAGG_OK && !good && !r.stop)
        st = bragg_fail(err, BRAGG_EDATA, "series: none of %zu patterns could be fitted; the first says: %s", r.s->n, r.s->frame[0].error);
    tidy(&r);
    if (st < 0)
        bragg_series_free(r.s);
    else
        *out = r.s;
    return st < 0 ? st : r.stop && !r.o->follow ? BRAGG_STOPPED : BRAGG_OK;
}
