/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole run: blocks of frames side by side, the same for any number of threads. */
#include "config.h"
#include "operando.h"

#include <bragg/array.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    const bragg_experiment *x;
    bragg_frames *frames;
    const bragg_series_options *o;
    seq_plan plan;
    bragg_series *s;
    size_t n;                    /* frames known */
    bragg_pattern *template;     /* every worker is made with it */
    const seq_shape *shape;
    double usual;
    size_t n_blocks, first_block; /* first: of this process */
    size_t *anchor;              /* a block each: its first fitted position, or SIZE_MAX */
    struct mark { uint8_t status; bool done; uint8_t mended; } *mark; /* a frame each; status pending: to be done; of room frames */
    double *rows;                /* a frame each; NULL when they stand in the store and nowhere else */
    size_t room;
    char **message;              /* of the frames that have one, else NULL */
    bool fresh;                  /* extracted intensities: a block depends on more than its rows */
    seq_store *store;
    double *grid;
    size_t n_grid;
    seq_worker **idle;
    size_t n_idle;
    size_t done;
    bool stop;
    int ended;                   /* ranks that have sent all they had */
} run;

/* Position in the sequence to number of the frame. */
static size_t frame_at(const run *r, size_t position) { return r->plan.backward ? r->n - 1 - position : position; }
static const struct mark *mark_at(const run *r, size_t position) { return &r->mark[frame_at(r, position)]; }
static bool is_good(const double *row) { return row[ROW_STATUS] == BRAGG_FRAME_OK || row[ROW_STATUS] == BRAGG_FRAME_AT_BOUND; }
static bool is_pending(const struct mark *m) { return m->status == BRAGG_FRAME_PENDING; }

/* ---------------------------------------------------------------- rows */

/* Another frame's row, from which one starts.  frame SIZE_MAX: of one that is beside it. */
typedef struct seq_held {
    double *row;                 /* NULL: none */
    size_t frame;
} seq_held;

static bragg_status fetch(const run *r, size_t frame, double *row, bragg_error *err)
{
    if (!r->rows && !is_pending(&r->mark[frame]))
        return bragg_store_numbers(r->store, frame, row, err);
    if (r->rows)
        memcpy(row, r->rows + frame * r->shape->columns, r->shape->columns * sizeof *row);
    else
        memset(row, 0, r->shape->columns * sizeof *row);
    return BRAGG_OK;
}

static const seq_held nothing;

/* Into room of its own; frame SIZE_MAX: nothing. */
static bragg_status hold_frame(const run *r, size_t frame, double *room, seq_held *to, bragg_error *err)
{
    *to = frame == SIZE_MAX ? nothing : (seq_held){ room, frame };
    return frame == SIZE_MAX ? BRAGG_OK : fetch(r, frame, room, err);
}

static bragg_status hold(const run *r, size_t position, double *room, seq_held *to, bragg_error *err)
{
    return hold_frame(r, frame_at(r, position), room, to, err);
}

static void hold_also(const run *r, const seq_held *from, double *room, seq_held *to)
{
    memcpy(room, from->row, r->shape->columns * sizeof *room);
    *to = (seq_held){ room, from->frame };
}

static double *make_rows(const run *r, size_t n, bragg_error *err)
{
    double *rows = malloc(n * r->shape->columns * sizeof *rows);
    if (!rows)
        bragg_fail(err, BRAGG_ENOMEM, "no room for a row");
    return rows;
}

/* ------------------------------------------------------------- workers */

static bragg_status borrow_worker(run *r, seq_worker **w, bragg_error *err)
{
    *w = NULL;
    if (!r->fresh) {
#pragma omp critical(bragg_operando_idle)
        *w = r->n_idle ? r->idle[--r->n_idle] : NULL;
    }
    return *w ? BRAGG_OK : bragg_seq_worker_new(r->x, &r->plan, r->template, w, err);
}

static void return_worker(run *r, seq_worker *w)
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

/* --------------------------------------------------------------- frames */

/* Values on the grid of the first frame. */
static void resample(const double *x, const double *y, size_t n, const double *grid, size_t n_grid, float *out)
{
    for (size_t i = 0, j = 0; i < n_grid; i++) {
        while (j + 1 < n && x[j + 1] < grid[i])
            j++;
        bool inside = n > 1 && grid[i] >= x[0] - 1e-9 && j + 1 < n;
        double u = inside ? (grid[i] - x[j]) / (x[j + 1] - x[j]) : 0;
        out[i] = inside ? (float)((1 - u) * y[j] + u * y[j + 1]) : NAN;
    }
}

static void take_curves(const run *r, const seq_worker *w, const bragg_pattern *p, seq_curves *c)
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

static bragg_status keep_message(run *r, size_t k, const char *message, bragg_error *err)
{
    free(r->message[k]);
    r->message[k] = *message ? strdup(message) : NULL;
    return r->message[k] || !*message ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a message");
}

static struct mark mark_of(const double *row)
{
    return (struct mark){ (uint8_t)row[ROW_STATUS], seq_is_done(row), (uint8_t)row[ROW_MENDED] };
}

static bragg_status keep(run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    bragg_status st = keep_message(r, k, message, err);
    if (st == BRAGG_OK && r->rows)
        memcpy(r->rows + k * r->shape->columns, row, r->shape->columns * sizeof *row);
    if (st == BRAGG_OK && r->store)
        st = bragg_store_put(r->store, k, bragg_frames_item(r->frames, k)->file, row, message, c, err);
    if (st == BRAGG_OK)
        r->mark[k] = mark_of(row);
    return st;
}

static bragg_status take(run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    bragg_status st = keep(r, k, row, message, c, err);
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
static bragg_status take_parcels(run *r, bool wait, bragg_error *err)
{
    const bragg_peers *p = r->o->peers;
    bragg_status st = BRAGG_OK;
    for (bool came = true, end; bragg_peers_several(p) && p->apart && !p->rank && came && st == BRAGG_OK && r->ended < p->size - 1;) {
        seq_parcel t = parcel_of(r);
        st = bragg_share_receive(p, wait, &t, &came, &end, err);
        r->ended += end;
        if (came && !end && st == BRAGG_OK)
            st = t.k < r->n ? take(r, t.k, t.row, t.message, &t.curves, err) : bragg_fail(err, BRAGG_EINTERNAL, "peers: frame %zu of %zu", t.k, r->n);
        free(t.bytes);
    }
    return st;
}

static bragg_status commit(run *r, size_t position, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    size_t k = frame_at(r, position);
    bragg_status st = BRAGG_OK;
#pragma omp critical(bragg_operando_commit)
    {
        st = take(r, k, row, message, c, err);
        if (st == BRAGG_OK)
            st = send_frame(r, k, row, message, c, err);
        if (st == BRAGG_OK)
            st = take_parcels(r, false, err);
    }
    return st;
}

static void corrupt_row(const run *r, double *row, char *message, const bragg_error *cause)
{
    for (size_t k = 0; k < r->shape->columns; k++)
        row[k] = NAN;
    for (size_t i = 0; i < r->shape->n_phases; i++)
        row[seq_phase(r->shape, PHASE_LEVEL, i)] = 0;
    row[ROW_STATUS] = BRAGG_FRAME_CORRUPT;
    row[ROW_CONVERGED] = row[ROW_RESTARTED] = row[ROW_MENDED] = 0;
    snprintf(message, 256, "%.250s", cause->text);
}

static size_t apart(const seq_held *h, size_t frame)
{
    return !h->row || h->frame == SIZE_MAX ? 1 : h->frame > frame ? h->frame - frame : frame - h->frame;
}

static bragg_status compute(run *r, seq_worker *w, size_t position, seq_held from, seq_held last, seq_held hint,
                            double *row, char message[256], seq_curves *c, bragg_error *err)
{
    size_t frame = frame_at(r, position);
    const seq_start start = { from.row, last.row, hint.row, apart(&from, frame), apart(&hint, frame) };
    bragg_pattern *p = NULL;
    double exposure;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_status st = bragg_frames_read(r->frames, frame_at(r, position), &p, &exposure, &cause);
    if (st == BRAGG_ENOMEM)
        return bragg_fail(err, st, "%s", cause.text);
    *message = 0;
    if (st < 0)
        corrupt_row(r, row, message, &cause);
    else
        st = bragg_seq_frame(w, p, exposure, &start, r->usual, row, message, err);
    if (c && st != BRAGG_ENOMEM)
        take_curves(r, p ? w : NULL, p, c);
    bragg_pattern_free(p);
    return st == BRAGG_ENOMEM ? st : BRAGG_OK;
}

static bragg_status make_curves(const run *r, seq_curves *c, bragg_error *err)
{
    *c = (seq_curves){ NULL, NULL, NULL };
    if (!r->o->store)
        return BRAGG_OK;
    c->observed = malloc((3 * r->n_grid + 1) * sizeof(float));
    c->calculated = c->observed ? c->observed + r->n_grid : NULL;
    c->sigma = c->observed ? c->calculated + r->n_grid : NULL;
    return c->observed ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
}

/* --------------------------------------------------------------- blocks */

static size_t block_end(const run *r, size_t b)
{
    size_t end = (b + 1) * r->plan.block;
    return end < r->n ? end : r->n;
}

/* The first frame of each block that can be fitted, one after the other, each from the last good one. */
static bragg_status run_anchors(run *r, bragg_error *err)
{
    size_t columns = r->shape->columns;
    double *row = make_rows(r, 3, err);
    seq_held good = nothing, last = nothing;
    char message[256];
    seq_worker *w = NULL;
    seq_curves c;
    bragg_status st = row ? make_curves(r, &c, err) : BRAGG_ENOMEM;
    for (size_t b = 0; b < r->n_blocks && st == BRAGG_OK && !r->stop; b++) {
        r->anchor[b] = SIZE_MAX;
        if (!w)
            st = borrow_worker(r, &w, err);
        for (size_t p = b * r->plan.block; p < block_end(r, b) && r->anchor[b] == SIZE_MAX && st == BRAGG_OK; p++) {
            if (is_pending(mark_at(r, p))) {
                seq_held from = r->plan.propagate ? good.row ? good : last : nothing;
                st = compute(r, w, p, from, last, nothing, row, message, &c, err);
                if (st == BRAGG_OK)
                    st = commit(r, p, row, message, &c, err);
            }
            if (st == BRAGG_OK && mark_at(r, p)->done)
                r->anchor[b] = p;
        }
        if (st == BRAGG_OK && r->anchor[b] != SIZE_MAX) {
            st = hold(r, r->anchor[b], row + columns, &last, err);
            if (st == BRAGG_OK && is_good(last.row))
                hold_also(r, &last, row + 2 * columns, &good);
        }
        if (r->fresh && w) { /* it remembers what it extracted */
            return_worker(r, w);
            w = NULL;
        }
    }
    if (w)
        return_worker(r, w);
    if (row)
        free(c.observed);
    free(row);
    return st;
}

/* The next block's anchor, where there is one. */
static bragg_status hold_next(const run *r, size_t b, double *room, seq_held *to, bragg_error *err)
{
    *to = nothing;
    return b + 1 < r->n_blocks && r->anchor[b + 1] != SIZE_MAX ? hold(r, r->anchor[b + 1], room, to, err) : BRAGG_OK;
}

/* From left to right; rows that are known already are stepped over.  Room for four rows. */
static bragg_status forward(run *r, seq_worker *w, size_t b, seq_curves *c, double *room, bragg_error *err)
{
    size_t columns = r->shape->columns;
    seq_held last, good, hint;
    char message[256];
    bragg_status st = hold(r, r->anchor[b], room + columns, &last, err);
    if (st == BRAGG_OK)
        st = hold_next(r, b, room + 3 * columns, &hint, err);
    if (st == BRAGG_OK)
        hold_also(r, &last, room + 2 * columns, &good);
    for (size_t p = r->anchor[b] + 1; p < block_end(r, b) && st == BRAGG_OK && !r->stop; p++) {
        if (is_pending(mark_at(r, p))) {
            st = compute(r, w, p, r->plan.propagate ? good : nothing, last, hint, room, message, c, err);
            if (st == BRAGG_OK)
                st = commit(r, p, room, message, c, err);
        }
        if (st == BRAGG_OK && mark_at(r, p)->done) {
            st = hold(r, p, room + columns, &last, err);
            if (st == BRAGG_OK && is_good(last.row))
                hold_also(r, &last, room + 2 * columns, &good);
        }
    }
    return st;
}

/* Largest disagreement in esds of what both ways refined; phases that only one has count 99. */
static double disagreement(const seq_shape *s, const double *a, const double *b)
{
    double most = 0;
    for (size_t i = 0; i < s->n_phases; i++)
        if ((a[seq_phase(s, PHASE_LEVEL, i)] > 0) != (b[seq_phase(s, PHASE_LEVEL, i)] > 0))
            return 99;
    for (size_t k = 0; k < s->n_params; k++) {
        double e = hypot(a[seq_esd(s, k)], b[seq_esd(s, k)]) / sqrt(2);
        if (e > 0 && strncmp(s->name[k], "background.", 11))
            most = fmax(most, fabs(a[seq_value(s, k)] - b[seq_value(s, k)]) / e);
    }
    return fmin(most, 99);
}

/* Two fits of one frame: the better by BIC, the number of phases being what differs. */
static bool better(const seq_shape *s, const double *a, const double *b, size_t points)
{
    double k = 0, n = (double)points;
    if (!seq_is_done(a) || !seq_is_done(b))
        return seq_is_done(a);
    for (size_t i = 0; i < s->n_params; i++)
        k += (a[seq_esd(s, i)] > 0) - (double)(b[seq_esd(s, i)] > 0);
    double scale = fmax(1, fmin(a[ROW_GOF], b[ROW_GOF]));
    return n * (a[ROW_GOF] * a[ROW_GOF] - b[ROW_GOF] * b[ROW_GOF]) / (scale * scale) + k * log(n) < 0;
}

typedef struct both_ways {
    double *rows;             /* to and fro, a position of the block each; and two of anchors */
    char (*message)[256];
    seq_curves *c;
} both_ways;

static void free_both(both_ways *t, size_t n)
{
    for (size_t k = 0; t->c && k < 2 * n; k++)
        free(t->c[k].observed);
    free(t->rows);
    free(t->message);
    free(t->c);
}

static bragg_status make_both(const run *r, both_ways *t, size_t n, bragg_error *err)
{
    *t = (both_ways){ malloc(((2 * n + 2) * r->shape->columns + 1) * sizeof(double)), calloc(2 * n + 1, sizeof *t->message), calloc(2 * n + 1, sizeof *t->c) };
    bragg_status st = t->rows && t->message && t->c ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a block");
    for (size_t k = 0; k < 2 * n && st == BRAGG_OK; k++)
        st = make_curves(r, &t->c[k], err);
    return st;
}

/* Both ways through a block, the better of each frame kept.  The way back starts at
 * the next block's anchor, or where the way out ended. */
static bragg_status to_and_fro(run *r, seq_worker *w, size_t b, bragg_error *err)
{
    size_t first = r->anchor[b] + 1, n = block_end(r, b) - first, columns = r->shape->columns;
    both_ways t;
    bragg_status st = make_both(r, &t, n, err);
    seq_held start = nothing, next = nothing, end;
    if (st == BRAGG_OK)
        st = hold(r, r->anchor[b], t.rows + 2 * n * columns, &start, err);
    if (st == BRAGG_OK)
        st = hold_next(r, b, t.rows + (2 * n + 1) * columns, &next, err);
    end = next;
    for (int way = 0; way < 2; way++) {
        seq_held good = way ? end.row ? end : start : start, last = good;
        for (size_t j = 0; j < n && st == BRAGG_OK && !r->stop; j++) {
            size_t k = way ? n - 1 - j : j, at = (size_t)way * n + k;
            double *row = t.rows + at * columns;
            st = compute(r, w, first + k, good, last, way ? start : next, row, t.message[at], &t.c[at], err);
            if (st == BRAGG_OK && seq_is_done(row)) {
                last = (seq_held){ row, SIZE_MAX };
                good = is_good(row) ? last : good;
            }
        }
        if (!way && !end.row)
            end = last;
    }
    for (size_t k = 0; k < n && st == BRAGG_OK && !r->stop; k++) {
        double *out = t.rows + k * columns, *back = t.rows + (n + k) * columns;
        double path = seq_is_done(out) && seq_is_done(back) ? disagreement(r->shape, out, back) : NAN;
        size_t at = better(r->shape, back, out, r->n_grid) ? n + k : k;
        t.rows[at * columns + ROW_PATH] = path;
        if (is_pending(mark_at(r, first + k)))
            st = commit(r, first + k, t.rows + at * columns, t.message[at], &t.c[at], err);
    }
    free_both(&t, n);
    return st;
}

static bool block_is_whole(const run *r, size_t b)
{
    for (size_t p = b * r->plan.block; p < block_end(r, b); p++)
        if (is_pending(mark_at(r, p)))
            return false;
    return true;
}

static bragg_status run_block(run *r, size_t b, bragg_error *err)
{
    if (r->anchor[b] == SIZE_MAX || r->stop || block_is_whole(r, b))
        return BRAGG_OK;
    seq_worker *w;
    seq_curves c;
    bragg_status st = borrow_worker(r, &w, err);
    if (st < 0)
        return st;
    double *row = make_rows(r, 4, err);
    st = row ? make_curves(r, &c, err) : BRAGG_ENOMEM;
    if (st == BRAGG_OK)
        st = r->plan.both && r->plan.propagate ? to_and_fro(r, w, b, err) : forward(r, w, b, &c, row, err);
    if (row)
        free(c.observed);
    free(row);
    return_worker(r, w);
    return st;
}

static bragg_status run_blocks(void *payload, size_t first, size_t last, bragg_error *err)
{
    run *r = payload;
    bragg_status st = BRAGG_OK;
    for (size_t b = first; b < last && st == BRAGG_OK; b++)
        st = run_block(r, r->first_block + b, err);
    return st;
}

/* ------------------------------------------------------- other processes */

/* What stands in the store and all anchors, from the one that has them to all. */
static bragg_status share_anchors(run *r, bragg_status st, bragg_error *err)
{
    bragg_peers *p = r->o->peers;
    char stop = r->stop;
    if (!bragg_peers_several(p))
        return st;
    st = bragg_peers_agree(p, st, err);
    if (st >= 0)
        st = p->broadcast(p->payload, &stop, 1, err);
    if (st >= 0)
        st = p->broadcast(p->payload, r->rows, r->n * r->shape->columns * sizeof *r->rows, err);
    r->stop = stop;
    p->apart = st >= 0;
    for (size_t b = 0; st >= 0 && p->rank && b < r->n_blocks; b++) {
        r->anchor[b] = SIZE_MAX;
        for (size_t k = b * r->plan.block; k < block_end(r, b); k++)
            r->mark[frame_at(r, k)] = mark_of(r->rows + frame_at(r, k) * r->shape->columns);
        for (size_t k = b * r->plan.block; k < block_end(r, b) && r->anchor[b] == SIZE_MAX && !is_pending(mark_at(r, k)); k++)
            if (mark_at(r, k)->done)
                r->anchor[b] = k;
    }
    return st;
}

/* Blocks that stand side by side, as many for each. */
static bragg_status run_share(run *r, bragg_error *err)
{
    bragg_peers *p = r->o->peers;
    size_t last = r->n_blocks;
    if (bragg_peers_several(p)) {
        r->first_block = r->n_blocks * (size_t)p->rank / (size_t)p->size;
        last = r->n_blocks * (size_t)(p->rank + 1) / (size_t)p->size;
    }
    bragg_status st = last > r->first_block && !r->stop ? bragg_parallel_for(last - r->first_block, 1, run_blocks, r, err) : BRAGG_OK;
    if (bragg_peers_other(p)) {
        bragg_status sent = bragg_share_end(p, st, err);
        p->apart = false;
        return st < 0 ? st : sent;
    }
    st = st < 0 ? st : take_parcels(r, true, err);
    if (p && st >= 0)
        p->apart = false;
    return st;
}

/* -------------------------------------------------------------- mending
 *
 * A block whose anchor has lost its way is lost as a whole, the frames beside it are not.
 * Once all are done each frame that fits worse than its neighbour is tried from there, from
 * left to right and back.  What is tried depends on rows alone, and a mended row says in
 * which pass it was, so that a run that was stopped between goes on to the same result. */
enum { NOT_MENDED, FORWARD, BACKWARD };

/* No lattice moves by a hundredth from one frame to the next: two phases alike have been
 * taken for each other, or one has gone astray. */
static bool leaps(const seq_shape *s, const double *a, const double *b)
{
    for (size_t k = 0; k < s->n_params; k++) {
        double from = a[seq_value(s, k)], to = b[seq_value(s, k)], e = hypot(a[seq_esd(s, k)], b[seq_esd(s, k)]);
        if (strstr(s->name[k], ".cell.") && fabs(to - from) > 0.01 * from && (fabs(to - from) > 10 * e || e > 0.01 * from)) /* an esd as large as that: it stands nowhere */
            return true;
    }
    return false;
}

static bool lost(const run *r, const double *own, const double *beside)
{
    double more = fmax(0.04, 4 / sqrt(2.0 * (double)(r->n_grid + 1)));
    if (!seq_is_done(own) || !seq_is_done(beside))
        return false;
    return (own[ROW_GOF] > (1 + more) * beside[ROW_GOF] && disagreement(r->shape, own, beside) > 10) || leaps(r->shape, own, beside);
}

/* Room for a row. */
static bragg_status mend_one(run *r, size_t p, seq_held own, seq_held from, int pass, seq_curves *c, double *row, bragg_error *err)
{
    double keep_restarted = own.row[ROW_RESTARTED];
    char message[256];
    seq_worker *w;
    bragg_status st = borrow_worker(r, &w, err);
    if (st < 0)
        return st;
    own.row[ROW_RESTARTED] = 2; /* a start from nothing was tried the first time */
    st = compute(r, w, p, from, own, nothing, row, message, c, err);
    own.row[ROW_RESTARTED] = keep_restarted;
    return_worker(r, w);
    if (st < 0 || !seq_is_done(row) || !better(r->shape, row, own.row, r->n_grid))
        return st;
    row[ROW_PATH] = own.row[ROW_PATH];
    row[ROW_MENDED] = pass;
    return keep(r, frame_at(r, p), row, message, c, err);
}

static bragg_status mend(run *r, bragg_error *err)
{
    size_t columns = r->shape->columns;
    double *row = make_rows(r, 3, err);
    bool returned = false;
    seq_curves c;
    seq_held own, from;
    bragg_status st = row ? make_curves(r, &c, err) : BRAGG_ENOMEM;
    for (size_t p = 0; p < r->n; p++)
        returned |= mark_at(r, p)->mended == BACKWARD;
    for (int pass = returned ? BACKWARD : FORWARD; pass <= BACKWARD; pass++)
        for (size_t j = 1; j < r->n && st == BRAGG_OK && !r->stop; j++) {
            size_t p = pass == FORWARD ? j : r->n - 1 - j, beside = pass == FORWARD ? p - 1 : p + 1;
            if (mark_at(r, p)->mended == pass)
                continue;
            st = hold(r, p, row + columns, &own, err);
            if (st == BRAGG_OK)
                st = hold(r, beside, row + 2 * columns, &from, err);
            if (st < 0 || !lost(r, own.row, from.row))
                continue;
            st = mend_one(r, p, own, from, pass, &c, row, err);
            r->stop = r->stop || !bragg_progress(r->o->observer, r->done, r->n);
        }
    if (row)
        free(c.observed);
    free(row);
    return st;
}

/* ------------------------------------------------------------- beginning */

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

/* Room for the rows of n frames; new ones are pending. */
static bragg_status grow(run *r, size_t n, bragg_error *err)
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
    st = grow(r, bragg_frames_count(r->frames), err);
    r->n_blocks = (r->n + r->plan.block - 1) / r->plan.block;
    r->anchor = calloc(r->n_blocks + 1, sizeof *r->anchor);
    return st < 0 || r->anchor ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu blocks", r->n_blocks);
}

static bragg_status read_experiment(const char *path, char **text, bragg_error *err)
{
    FILE *f = fopen(path, "rb");
    size_t size, n;
    char piece[4096];
    FILE *to = f ? open_memstream(text, &size) : NULL;
    while (to && (n = fread(piece, 1, sizeof piece, f)) > 0)
        fwrite(piece, 1, n, to);
    if (to)
        fclose(to);
    if (f)
        fclose(f);
    return to ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': cannot be read", path);
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
    double *row = make_rows(r, 1, err);
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
        r->mark[k] = mark_of(row);
        r->done++;
        message[sizeof message - 1] = 0;
        st = keep_message(r, k, message, err);
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
    char *text = NULL;
    bragg_status st = read_experiment(experiment_path, &text, err);
    seq_store_start start = { o->store, o->provenance, r->x->title, text, o->resume, o->force, r->n, r->n_grid, r->grid, r->shape, r->usual,
                              r->x->pattern->histogram.radiation.wavelength_ang[0] };
    if (st == BRAGG_OK)
        st = bragg_store_open(&start, &r->store, err);
    free(text);
    if (st == BRAGG_OK && o->resume)
        st = take_up(r, err);
    for (size_t b = 0; st == BRAGG_OK && r->fresh && b < r->n_blocks; b++) /* those count only whole */
        for (size_t p = b * r->plan.block; !block_is_whole(r, b) && p < block_end(r, b); p++)
            begin_again(r, frame_at(r, p));
    return st;
}

static bragg_status make_grid(run *r, bragg_error *err)
{
    const bragg_histogram_options *h = &r->x->pattern->histogram;
    bragg_model *m = NULL;
    bragg_status st = bragg_experiment_model(r->x, r->template, &m, err);
    if (st < 0)
        return st;
    r->n_grid = bragg_model_points(m, 0);
    r->grid = malloc((r->n_grid + 1) * sizeof *r->grid);
    st = r->grid ? bragg_model_calculate(m, 0, r->grid, NULL, NULL, NULL, NULL, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", r->n_grid);
    bragg_model_free(m);
    return st;
    (void)h;
}

/* -------------------------------------------------------------- following */

/* The nearest frame that is done, good ones only if asked, below k or above; SIZE_MAX: none. */
static size_t neighbour(const run *r, size_t k, bool good, bool above)
{
    for (size_t j = above ? k + 1 : k; above ? j < r->n : j-- > 0; j += above) {
        const struct mark *m = &r->mark[j];
        if (!is_pending(m) && m->done && (!good || m->status == BRAGG_FRAME_OK || m->status == BRAGG_FRAME_AT_BOUND))
            return j;
    }
    return SIZE_MAX;
}

typedef struct queue {
    size_t next;           /* first frame not looked at in passing */
    size_t stride;
    double last_s;         /* when a frame was last taken */
} queue;

/* Frames behind `next` were passed over; they are returned to when nothing is new. */
static size_t choose(const run *r, queue *q, size_t *behind)
{
    while (q->next < r->n && !is_pending(&r->mark[q->next]))
        q->next++;
    *behind = r->n - q->next;
    for (q->stride = 1; *behind / q->stride > 8; q->stride *= 2)
        ;
    if (*behind) {
        size_t k = q->next + q->stride - 1;
        return k < r->n ? k : r->n - 1;
    }
    for (size_t k = 0; k < r->n; k++)
        if (is_pending(&r->mark[k]))
            return k;
    return SIZE_MAX;
}

/* Frames that are whole, fitted side by side, each from what was done before them. */
typedef struct batch {
    run *r;
    size_t n, room;
    struct batched { size_t k; bragg_pattern *p; double exposure; bragg_error cause; size_t good, last, hint; } *at; /* frames, SIZE_MAX: none */
} batch;

static bragg_status follow_one(run *r, seq_worker *w, const struct batched *b, bragg_error *err)
{
    char message[256] = "";
    seq_curves c = { NULL, NULL, NULL };
    size_t columns = r->shape->columns;
    double *row = make_rows(r, 4, err);
    seq_held good = nothing, last = nothing, hint = nothing;
    bragg_status st = row ? make_curves(r, &c, err) : BRAGG_ENOMEM;
    if (st == BRAGG_OK)
        st = hold_frame(r, b->good, row + columns, &good, err);
    if (st == BRAGG_OK)
        st = hold_frame(r, b->last, row + 2 * columns, &last, err);
    if (st == BRAGG_OK)
        st = hold_frame(r, b->hint, row + 3 * columns, &hint, err);
    if (st < 0) {
        free(c.observed);
        free(row);
        return st;
    }
    seq_held from = good.row ? good : last.row ? last : hint;
    const seq_start start = { from.row, last.row, hint.row, apart(&from, b->k), apart(&hint, b->k) };
    if (!b->p)
        corrupt_row(r, row, message, &b->cause);
    else
        st = bragg_seq_frame(w, b->p, b->exposure, &start, r->usual, row, message, err);
    take_curves(r, b->p && st >= 0 ? w : NULL, b->p, &c);
    if (st >= 0)
        st = commit(r, b->k, row, message, &c, err);
    free(c.observed);
    free(row);
    return st;
}

static bragg_status run_batch(void *payload, size_t first, size_t last, bragg_error *err)
{
    batch *b = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && k < b->n && st == BRAGG_OK; k++) {
        seq_worker *w;
        if ((st = borrow_worker(b->r, &w, err)) == BRAGG_OK) {
            st = follow_one(b->r, w, &b->at[k], err);
            return_worker(b->r, w);
        }
    }
    return st;
}

/* As many as there are threads, of those that are whole now. */
static void gather(batch *b, seq_watch *watch, queue *q, size_t *told)
{
    run *r = b->r;
    for (b->n = 0; b->n < b->room;) {
        size_t behind = 0, k = choose(r, q, &behind);
        if (q->stride > *told)
            bragg_log(r->o->observer, BRAGG_LOG_WARNING, "%zu frames behind: one of %zu is taken first, the rest when there is time", behind, q->stride);
        *told = behind ? q->stride > *told ? q->stride : *told : 1; /* once until all is taken */
        for (size_t j = 0; j < b->n; j++)
            if (b->at[j].k == k)
                return;
        struct batched *one = &b->at[b->n];
        *one = (struct batched){ .k = k, .cause = BRAGG_ERROR_INIT };
        if (k == SIZE_MAX || bragg_watch_whole(watch, r->frames, k, &one->p, &one->exposure, &one->cause) == BRAGG_NOT_WHOLE_YET)
            return;
        q->next = k + 1 > q->next ? k + 1 : q->next;
        b->n++;
    }
}

static bragg_status follow(run *r, bragg_error *err)
{
    seq_watch *watch = NULL;
    queue q = { 0, 1, bragg_follow_now() };
    size_t told = 1, n = 0;
    batch b = { .r = r, .room = (size_t)bragg_thread_count() };
    b.at = calloc(b.room, sizeof *b.at);
    bragg_status st = b.at ? bragg_watch_new(bragg_frames_folder(r->frames), &watch, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for frames");
    while (st == BRAGG_OK && !r->stop) {
        st = bragg_frames_rescan(r->frames, &n, err);
        if (st == BRAGG_OK && n > r->n)
            st = grow(r, n, err);
        if (st < 0)
            break;
        gather(&b, watch, &q, &told);
        if (!b.n) {
            if ((r->o->idle_s > 0 && bragg_follow_now() - q.last_s > r->o->idle_s) || !bragg_progress(r->o->observer, r->done, r->n))
                break;
            bragg_watch_wait(watch);
            continue;
        }
        for (size_t k = 0; k < b.n; k++) { /* before any of them is written */
            b.at[k].good = neighbour(r, b.at[k].k, true, false);
            b.at[k].last = neighbour(r, b.at[k].k, false, false);
            b.at[k].hint = neighbour(r, b.at[k].k, true, true);
        }
        st = bragg_parallel_for(b.n > 1 ? b.n : 2, 1, run_batch, &b, err); /* never one: fits share no threads then */
        for (size_t k = 0; k < b.n; k++)
            bragg_pattern_free(b.at[k].p);
        q.last_s = bragg_follow_now();
    }
    bragg_watch_free(watch);
    free(b.at);
    return st;
}

/* Nothing can be laid out before the first frame is there. */
static bragg_status await_first(run *r, bragg_error *err)
{
    seq_watch *watch;
    bragg_status st = bragg_watch_new(bragg_frames_folder(r->frames), &watch, err);
    double since = bragg_follow_now();
    for (bool there = false; st == BRAGG_OK && !there;) {
        size_t n;
        st = bragg_frames_rescan(r->frames, &n, err);
        for (size_t k = 0; st == BRAGG_OK && k < n && !there; k++) {
            bragg_pattern *p = NULL;
            double exposure;
            bragg_error cause = BRAGG_ERROR_INIT;
            there = bragg_watch_whole(watch, r->frames, k, &p, &exposure, &cause) == BRAGG_WHOLE && bragg_seq_total(r->x, p) > 0;
            bragg_pattern_free(p);
        }
        if (there || st < 0)
            break;
        if (!bragg_progress(r->o->observer, 0, n) || (r->o->idle_s > 0 && bragg_follow_now() - since > r->o->idle_s))
            st = bragg_fail(err, BRAGG_EDATA, "'%s': no frame has come", bragg_frames_folder(r->frames));
        else
            bragg_watch_wait(watch);
    }
    bragg_watch_free(watch);
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
        for (int u = 0; k < r->s->n && r->s->frame[k].done && u < BRAGG_STEP_UNKNOWN_PEAKS; u++) {
            const double *unknown = bragg_series_step(r->s, k)->unknown;
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
    double *row = make_rows(r, 1, err);
    s->points = (double)r->n_grid;
    for (size_t k = 0; k < s->n && row && st == BRAGG_OK; k++) {
        const bragg_frame_item *item = bragg_frames_item(r->frames, k);
        s->frame[k].index = item->index;
        st = fetch(r, k, row, err);
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
        st = bragg_join_read(r->x, experiment_path, s, r->o->observer, err);
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

/* A log or a clock that is wrong is told before the hours of work, not after. */
static bragg_status check_first(const bragg_experiment *x, const char *experiment_path, seq_plan *plan, bragg_error *err)
{
    bragg_status st = bragg_seq_plan(x, plan, err);
    bragg_series trial = { .arena = bragg_arena_new() };
    if (st == BRAGG_OK && !trial.arena)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    if (st == BRAGG_OK)
        st = bragg_join_read(x, experiment_path, &trial, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_join_times(x, NULL, &trial, err);
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
        st = await_first(&r, err);
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
        st = follow(&r, err);
    if (st == BRAGG_OK && !r.o->follow) {
        st = other ? BRAGG_OK : run_anchors(&r, err);
        st = share_anchors(&r, st, err);
    }
    if (st == BRAGG_OK && !r.o->follow)
        st = run_share(&r, err);
    if (other) {
        tidy(&r);
        bragg_series_free(r.s);
        return st;
    }
    if (st == BRAGG_OK && !r.stop && !r.o->follow && r.plan.propagate)
        st = mend(&r, err);
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
