/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks of frames side by side, the same for any number of threads and of processes. */
#include "config.h"
#include "run.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const seq_held nothing;

/* The first frame of each block that can be fitted, one after the other, each from the last good one. */
bragg_status bragg_run_anchors(run *r, bragg_error *err)
{
    size_t columns = r->shape->columns;
    double *row = bragg_run_rows(r, 3, err);
    seq_held good = nothing, last = nothing;
    char message[256];
    seq_worker *w = NULL;
    seq_curves c;
    bragg_status st = row ? bragg_run_curves(r, &c, err) : BRAGG_ENOMEM;
    for (size_t b = 0; b < r->n_blocks && st == BRAGG_OK && !r->stop; b++) {
        r->anchor[b] = SIZE_MAX;
        if (!w)
            st = bragg_run_borrow(r, &w, err);
        for (size_t p = b * r->plan.block; p < block_end(r, b) && r->anchor[b] == SIZE_MAX && st == BRAGG_OK; p++) {
            if (is_pending(mark_at(r, p))) {
                seq_held from = r->plan.propagate ? good.row ? good : last : nothing;
                st = bragg_run_compute(r, w, p, from, last, nothing, row, message, &c, err);
                if (st == BRAGG_OK)
                    st = bragg_run_commit(r, p, row, message, &c, err);
            }
            if (st == BRAGG_OK && mark_at(r, p)->done)
                r->anchor[b] = p;
        }
        if (st == BRAGG_OK && r->anchor[b] != SIZE_MAX) {
            st = bragg_run_hold(r, r->anchor[b], row + columns, &last, err);
            if (st == BRAGG_OK && is_good(last.row))
                bragg_run_hold_also(r, &last, row + 2 * columns, &good);
        }
        if (r->fresh && w) { /* it remembers what it extracted */
            bragg_run_return(r, w);
            w = NULL;
        }
    }
    if (w)
        bragg_run_return(r, w);
    if (row)
        free(c.observed);
    free(row);
    return st;
}

/* The next block's anchor, where there is one. */
static bragg_status hold_next(const run *r, size_t b, double *room, seq_held *to, bragg_error *err)
{
    *to = nothing;
    return b + 1 < r->n_blocks && r->anchor[b + 1] != SIZE_MAX ? bragg_run_hold(r, r->anchor[b + 1], room, to, err) : BRAGG_OK;
}

/* From left to right; rows that are known already are stepped over.  Room for four rows. */
static bragg_status forward(run *r, seq_worker *w, size_t b, seq_curves *c, double *room, bragg_error *err)
{
    size_t columns = r->shape->columns;
    seq_held last, good, hint;
    char message[256];
    bragg_status st = bragg_run_hold(r, r->anchor[b], room + columns, &last, err);
    if (st == BRAGG_OK)
        st = hold_next(r, b, room + 3 * columns, &hint, err);
    if (st == BRAGG_OK)
        bragg_run_hold_also(r, &last, room + 2 * columns, &good);
    for (size_t p = r->anchor[b] + 1; p < block_end(r, b) && st == BRAGG_OK && !r->stop; p++) {
        if (is_pending(mark_at(r, p))) {
            st = bragg_run_compute(r, w, p, r->plan.propagate ? good : nothing, last, hint, room, message, c, err);
            if (st == BRAGG_OK)
                st = bragg_run_commit(r, p, room, message, c, err);
        }
        if (st == BRAGG_OK && mark_at(r, p)->done) {
            st = bragg_run_hold(r, p, room + columns, &last, err);
            if (st == BRAGG_OK && is_good(last.row))
                bragg_run_hold_also(r, &last, room + 2 * columns, &good);
        }
    }
    return st;
}

/* Largest disagreement in esds of what both ways refined; phases that only one has count 99. */
double bragg_run_disagreement(const seq_shape *s, const double *a, const double *b)
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
bool bragg_run_better(const seq_shape *s, const double *a, const double *b, size_t points)
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
        st = bragg_run_curves(r, &t->c[k], err);
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
        st = bragg_run_hold(r, r->anchor[b], t.rows + 2 * n * columns, &start, err);
    if (st == BRAGG_OK)
        st = hold_next(r, b, t.rows + (2 * n + 1) * columns, &next, err);
    end = next;
    for (int way = 0; way < 2; way++) {
        seq_held good = way ? end.row ? end : start : start, last = good;
        for (size_t j = 0; j < n && st == BRAGG_OK && !r->stop; j++) {
            size_t k = way ? n - 1 - j : j, at = (size_t)way * n + k;
            double *row = t.rows + at * columns;
            st = bragg_run_compute(r, w, first + k, good, last, way ? start : next, row, t.message[at], &t.c[at], err);
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
        double path = seq_is_done(out) && seq_is_done(back) ? bragg_run_disagreement(r->shape, out, back) : NAN;
        size_t at = bragg_run_better(r->shape, back, out, r->n_grid) ? n + k : k;
        t.rows[at * columns + ROW_PATH] = path;
        if (is_pending(mark_at(r, first + k)))
            st = bragg_run_commit(r, first + k, t.rows + at * columns, t.message[at], &t.c[at], err);
    }
    free_both(&t, n);
    return st;
}

bool bragg_run_block_is_whole(const run *r, size_t b)
{
    for (size_t p = b * r->plan.block; p < block_end(r, b); p++)
        if (is_pending(mark_at(r, p)))
            return false;
    return true;
}

static bragg_status run_block(run *r, size_t b, bragg_error *err)
{
    if (r->anchor[b] == SIZE_MAX || r->stop || bragg_run_block_is_whole(r, b))
        return BRAGG_OK;
    seq_worker *w;
    seq_curves c;
    bragg_status st = bragg_run_borrow(r, &w, err);
    if (st < 0)
        return st;
    double *row = bragg_run_rows(r, 4, err);
    st = row ? bragg_run_curves(r, &c, err) : BRAGG_ENOMEM;
    if (st == BRAGG_OK)
        st = r->plan.both && r->plan.propagate ? to_and_fro(r, w, b, err) : forward(r, w, b, &c, row, err);
    if (row)
        free(c.observed);
    free(row);
    bragg_run_return(r, w);
    return st;
}

bragg_status bragg_run_blocks(void *payload, size_t first, size_t last, bragg_error *err)
{
    run *r = payload;
    bragg_status st = BRAGG_OK;
    for (size_t b = first; b < last && st == BRAGG_OK; b++)
        st = run_block(r, r->first_block + b, err);
    return st;
}

/* What stands in the store and all anchors, from the one that has them to all. */
bragg_status bragg_run_share_anchors(run *r, bragg_status st, bragg_error *err)
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
            r->mark[frame_at(r, k)] = bragg_run_mark(r->rows + frame_at(r, k) * r->shape->columns);
        for (size_t k = b * r->plan.block; k < block_end(r, b) && r->anchor[b] == SIZE_MAX && !is_pending(mark_at(r, k)); k++)
            if (mark_at(r, k)->done)
                r->anchor[b] = k;
    }
    return st;
}

/* Blocks that stand side by side, as many for each. */
bragg_status bragg_run_share(run *r, bragg_error *err)
{
    bragg_peers *p = r->o->peers;
    size_t last = r->n_blocks;
    if (bragg_peers_several(p)) {
        r->first_block = r->n_blocks * (size_t)p->rank / (size_t)p->size;
        last = r->n_blocks * (size_t)(p->rank + 1) / (size_t)p->size;
    }
    bragg_status st = last > r->first_block && !r->stop ? bragg_parallel_for(last - r->first_block, 1, bragg_run_blocks, r, err) : BRAGG_OK;
    if (bragg_peers_other(p)) {
        bragg_status sent = bragg_share_end(p, st, err);
        p->apart = false;
        return st < 0 ? st : sent;
    }
    st = st < 0 ? st : bragg_run_receive(r, true, err);
    if (p && st >= 0)
        p->apart = false;
    return st;
}
