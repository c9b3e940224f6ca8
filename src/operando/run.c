/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frames of a run, one by one: what is known of each, who fits it, where its row goes. */
#include "config.h"
#include "run.h"

#include <bragg/bytes.h>
#include <bragg/numeric.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const seq_held nothing;

bragg_status bragg_run_fetch(const run *r, size_t frame, double *row, bragg_error *err)
{
    if (!r->rows && !is_pending(&r->mark[frame]))
        return bragg_store_numbers(r->store, frame, row, err);
    if (r->rows)
        memcpy(row, r->rows + frame * r->shape->columns, r->shape->columns * sizeof *row);
    else
        memset(row, 0, r->shape->columns * sizeof *row);
    return BRAGG_OK;
}

/* Into room of its own; frame SIZE_MAX: nothing. */
bragg_status bragg_run_hold_frame(const run *r, size_t frame, double *room, seq_held *to, bragg_error *err)
{
    *to = frame == SIZE_MAX ? nothing : (seq_held){ room, frame };
    return frame == SIZE_MAX ? BRAGG_OK : bragg_run_fetch(r, frame, room, err);
}

bragg_status bragg_run_hold(const run *r, size_t position, double *room, seq_held *to, bragg_error *err)
{
    return bragg_run_hold_frame(r, frame_at(r, position), room, to, err);
}

void bragg_run_hold_also(const run *r, const seq_held *from, double *room, seq_held *to)
{
    memcpy(room, from->row, r->shape->columns * sizeof *room);
    *to = (seq_held){ room, from->frame };
}

double *bragg_run_rows(const run *r, size_t n, bragg_error *err)
{
    double *rows = malloc(n * r->shape->columns * sizeof *rows);
    if (!rows)
        bragg_fail(err, BRAGG_ENOMEM, "no room for a row");
    return rows;
}

bragg_status bragg_run_borrow(run *r, seq_worker **w, bragg_error *err)
{
    *w = NULL;
    if (!r->fresh) {
#pragma omp critical(bragg_operando_idle)
        *w = r->n_idle ? r->idle[--r->n_idle] : NULL;
    }
    return *w ? BRAGG_OK : bragg_seq_worker_new(r->x, &r->plan, r->template, w, err);
}

void bragg_run_return(run *r, seq_worker *w)
{
    bool kept = false;
    if (!r->fresh) {
#pragma omp critical(bragg_operando_idle)
        if (r->n_idle < r->n_blocks + 1)
            r->idle[r->n_idle++] = w, kept = true;
    }
    if (!kept)
        bragg_seq_worker_free(w);
}

/* Values on the grid of the first frame. */
static void resample(const double *x, const double *y, size_t n, const double *grid, size_t n_grid, float *out)
{
    for (size_t i = 0, j = 0; i < n_grid; i++) {
        bool inside = n > 1 && grid[i] >= x[0] - 1e-9 && grid[i] <= x[n - 1];
        double u = inside ? bragg_interval(x, n, grid[i], &j) : 0;
        out[i] = inside ? (float)((1 - u) * y[j] + u * y[j + 1]) : NAN;
    }
}

void bragg_run_take_curves(const run *r, const seq_worker *w, const bragg_pattern *p, seq_curves *c)
{
    const double *x, *observed, *calculated, *sigma;
    if (!c->observed)
        return;
    size_t n = w ? bragg_seq_points(w, &x, &observed, &calculated, &sigma) : 0;
    bool same = n == r->n_grid;
    for (size_t i = 0; i < r->n_grid; i++)
        c->observed[i] = c->calculated[i] = c->sigma[i] = NAN;
    for (size_t i = 0; same && i < n; i++) {
        c->observed[i] = (float)observed[i];
        c->calculated[i] = (float)calculated[i];
        c->sigma[i] = (float)sigma[i];
    }
    if (!same && n) {
        resample(x, observed, n, r->grid, r->n_grid, c->observed);
        resample(x, calculated, n, r->grid, r->n_grid, c->calculated);
        resample(x, sigma, n, r->grid, r->n_grid, c->sigma);
    }
    if (n || !p || p->axis != BRAGG_AXIS_TTH)
        return;
    resample(p->x, p->y, p->n, r->grid, r->n_grid, c->observed); /* no fit, but something to see */
    resample(p->x, p->sigma, p->n, r->grid, r->n_grid, c->sigma);
}

bragg_status bragg_run_message(run *r, size_t k, const char *message, bragg_error *err)
{
    free(r->message[k]);
    r->message[k] = *message ? strdup(message) : NULL;
    return r->message[k] || !*message ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a message");
}

struct mark bragg_run_mark(const double *row)
{
    return (struct mark){ (uint8_t)row[ROW_STATUS], seq_is_done(row), (uint8_t)row[ROW_MENDED] };
}

bragg_status bragg_run_keep(run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    bragg_status st = bragg_run_message(r, k, message, err);
    if (st == BRAGG_OK && r->rows)
        memcpy(r->rows + k * r->shape->columns, row, r->shape->columns * sizeof *row);
    if (st == BRAGG_OK && r->store)
        st = bragg_store_put(r->store, k, bragg_frames_item(r->frames, k)->file, row, message, c, err);
    if (st == BRAGG_OK)
        r->mark[k] = bragg_run_mark(row);
    return st;
}

bragg_status bragg_run_take(run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    bragg_status st = bragg_run_keep(r, k, row, message, c, err);
    r->done++;
    if (*message)
        bragg_log(r->o->observer, BRAGG_LOG_WARNING, "%s: %s", bragg_frames_item(r->frames, k)->file, message);
    if (!bragg_progress(r->o->observer, r->done, r->n))
        r->stop = true;
    return st;
}

static seq_parcel parcel_of(const run *r) { return (seq_parcel){ .columns = r->shape->columns, .points = r->o->store ? r->n_grid : 0 }; }

static bragg_status send_frame(const run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    seq_parcel t = parcel_of(r);
    if (!bragg_peers_other(r->o->peers))
        return BRAGG_OK;
    t.k = k;
    t.row = row;
    memcpy(t.message, message, sizeof t.message);
    if (t.points)
        t.curves = *c;
    return bragg_share_send(r->o->peers, &t, err);
}

/* Frames that other processes have fitted, as many as have come, or until all have ended. */
bragg_status bragg_run_receive(run *r, bool wait, bragg_error *err)
{
    const bragg_peers *p = r->o->peers;
    bragg_status st = BRAGG_OK;
    for (bool came = true, end; bragg_peers_several(p) && p->apart && !p->rank && came && st == BRAGG_OK && r->ended < p->size - 1;) {
        seq_parcel t = parcel_of(r);
        st = bragg_share_receive(p, wait, &t, &came, &end, err);
        r->ended += end;
        if (came && !end && st == BRAGG_OK)
            st = t.k < r->n ? bragg_run_take(r, t.k, t.row, t.message, &t.curves, err) : bragg_fail(err, BRAGG_EINTERNAL, "peers: frame %zu of %zu", t.k, r->n);
        free(t.bytes);
    }
    return st;
}

bragg_status bragg_run_commit(run *r, size_t position, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    size_t k = frame_at(r, position);
    bragg_status st = BRAGG_OK;
#pragma omp critical(bragg_operando_commit)
    {
        st = bragg_run_take(r, k, row, message, c, err);
        if (st == BRAGG_OK)
            st = send_frame(r, k, row, message, c, err);
        if (st == BRAGG_OK)
            st = bragg_run_receive(r, false, err);
    }
    return st;
}

void bragg_run_corrupt(const run *r, double *row, char *message, const bragg_error *cause)
{
    for (size_t k = 0; k < r->shape->columns; k++)
        row[k] = NAN;
    for (size_t i = 0; i < r->shape->n_phases; i++)
        row[seq_phase(r->shape, PHASE_LEVEL, i)] = 0;
    row[ROW_STATUS] = BRAGG_FRAME_CORRUPT;
    row[ROW_CONVERGED] = row[ROW_RESTARTED] = row[ROW_MENDED] = 0;
    snprintf(message, 256, "%.*s", bragg_utf8_most(cause->text, 250), cause->text);
}

size_t bragg_run_apart(const seq_held *h, size_t frame)
{
    return !h->row || h->frame == SIZE_MAX ? 1 : h->frame > frame ? h->frame - frame : frame - h->frame;
}

bragg_status bragg_run_compute(run *r, seq_worker *w, size_t position, seq_held from, seq_held last, seq_held hint,
                            double *row, char message[256], seq_curves *c, bragg_error *err)
{
    size_t frame = frame_at(r, position);
    const seq_start start = { from.row, last.row, hint.row, bragg_run_apart(&from, frame), bragg_run_apart(&hint, frame) };
    bragg_pattern *p = NULL;
    double exposure;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_status st = bragg_frames_read(r->frames, frame_at(r, position), &p, &exposure, &cause);
    if (st == BRAGG_ENOMEM)
        return bragg_fail(err, st, "%s", cause.text);
    *message = 0;
    if (st < 0)
        bragg_run_corrupt(r, row, message, &cause);
    else
        st = bragg_seq_frame(w, p, exposure, &start, r->usual, row, message, err);
    if (c && st != BRAGG_ENOMEM)
        bragg_run_take_curves(r, p ? w : NULL, p, c);
    bragg_pattern_free(p);
    return st == BRAGG_ENOMEM ? st : BRAGG_OK;
}

bragg_status bragg_run_curves(const run *r, seq_curves *c, bragg_error *err)
{
    *c = (seq_curves){ NULL, NULL, NULL };
    if (!r->o->store)
        return BRAGG_OK;
    c->observed = malloc((3 * r->n_grid + 1) * sizeof(float));
    c->calculated = c->observed ? c->observed + r->n_grid : NULL;
    c->sigma = c->observed ? c->calculated + r->n_grid : NULL;
    return c->observed ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
}

/* Room for the rows of n frames; new ones are pending. */
bragg_status bragg_run_grow(run *r, size_t n, bragg_error *err)
{
    size_t columns = r->shape->columns, room = n > r->room ? n > 2 * r->room ? n : 2 * r->room : r->room;
    bragg_status st = BRAGG_OK;
    if (room > r->room) {
        bool here = !r->o->store || bragg_peers_several(r->o->peers); /* others have no store */
        double *rows = here ? realloc(r->rows, (room * columns + 1) * sizeof *rows) : NULL;
        r->rows = rows ? rows : r->rows;
        struct mark *mark = rows || !here ? realloc(r->mark, (room + 1) * sizeof *mark) : NULL;
        r->mark = mark ? mark : r->mark;
        char **message = mark ? realloc(r->message, (room + 1) * sizeof *message) : NULL;
        r->message = message ? message : r->message;
        if (!message)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a series of %zu frames", n);
        if (here)
            memset(rows + r->room * columns, 0, (room - r->room) * columns * sizeof *rows);
        memset(mark + r->room, 0, (room - r->room) * sizeof *mark);
        memset(message + r->room, 0, (room - r->room) * sizeof *message);
        r->room = room;
    }
    if (r->store)
        st = bragg_store_room(r->store, n, err);
    r->n = n;
    return st;
}
