/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames as they come: those that are whole, fitted side by side, the latest first. */
#include "config.h"
#include "run.h"

#include <bragg/datetime.h>
#include <bragg/thread.h>
#include <stdlib.h>

static const seq_held nothing;

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
    double *row = bragg_run_rows(r, 4, err);
    seq_held good = nothing, last = nothing, hint = nothing;
    bragg_status st = row ? bragg_run_curves(r, &c, err) : BRAGG_ENOMEM;
    if (st == BRAGG_OK)
        st = bragg_run_hold_frame(r, b->good, row + columns, &good, err);
    if (st == BRAGG_OK)
        st = bragg_run_hold_frame(r, b->last, row + 2 * columns, &last, err);
    if (st == BRAGG_OK)
        st = bragg_run_hold_frame(r, b->hint, row + 3 * columns, &hint, err);
    if (st < 0) {
        free(c.observed);
        free(row);
        return st;
    }
    seq_held from = good.row ? good : last.row ? last : hint;
    const seq_start start = { from.row, last.row, hint.row, bragg_run_apart(&from, b->k), bragg_run_apart(&hint, b->k) };
    if (!b->p && b->cause.status == BRAGG_ENOMEM)
        st = bragg_fail(err, BRAGG_ENOMEM, "%s", b->cause.text);
    else if (!b->p)
        bragg_run_corrupt(r, row, message, &b->cause);
    else
        st = bragg_seq_frame(w, b->p, b->exposure, &start, r->usual, row, message, err);
    bragg_run_take_curves(r, b->p && st >= 0 ? w : NULL, b->p, &c);
    if (st >= 0)
        st = bragg_run_commit(r, b->k, row, message, &c, err);
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
        if ((st = bragg_run_borrow(b->r, &w, err)) == BRAGG_OK) {
            st = follow_one(b->r, w, &b->at[k], err);
            bragg_run_return(b->r, w);
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

bragg_status bragg_run_follow(run *r, const char *experiment_path, bragg_error *err)
{
    seq_growing log = { 0 };
    seq_watch *watch = NULL;
    queue q = { 0, 1, bragg_time_running_s() };
    size_t told = 1, n = 0;
    batch b = { .r = r, .room = (size_t)bragg_thread_count() };
    b.at = calloc(b.room, sizeof *b.at);
    bragg_status st = b.at ? bragg_watch_new(bragg_frames_folder(r->frames), SEQ_PATIENCE_S, &watch, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for frames");
    while (st == BRAGG_OK && !r->stop) {
        st = bragg_frames_rescan(r->frames, &n, err);
        if (st == BRAGG_OK && n > r->n)
            st = bragg_run_grow(r, n, err);
        if (st < 0)
            break;
        gather(&b, watch, &q, &told);
        if (!b.n) {
            if ((r->o->idle_s > 0 && bragg_time_running_s() - q.last_s > r->o->idle_s) || !bragg_progress(r->o->observer, r->done, r->n))
                break;
            bragg_run_look_at_log(r, experiment_path, true, &log);
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
        q.last_s = bragg_time_running_s();
        bragg_run_look_at_log(r, experiment_path, false, &log);
    }
    bragg_run_leave_log(&log);
    bragg_watch_free(watch);
    free(b.at);
    return st;
}

/* Nothing can be laid out before the first frame is there. */
bragg_status bragg_run_await_first(run *r, bragg_error *err)
{
    seq_watch *watch;
    bragg_status st = bragg_watch_new(bragg_frames_folder(r->frames), SEQ_PATIENCE_S, &watch, err);
    double since = bragg_time_running_s();
    for (bool there = false; st == BRAGG_OK && !there;) {
        size_t n;
        st = bragg_frames_rescan(r->frames, &n, err);
        for (size_t k = 0; st == BRAGG_OK && k < n && !there; k++) {
            bragg_pattern *p = NULL;
            double exposure;
            bragg_error cause = BRAGG_ERROR_INIT;
            there = bragg_watch_whole(watch, r->frames, k, &p, &exposure, &cause) == BRAGG_WHOLE && bragg_seq_total(r->x, p) > 0;
            bragg_pattern_free(p);
            if (cause.status == BRAGG_ENOMEM)
                st = bragg_fail(err, BRAGG_ENOMEM, "%s", cause.text);
        }
        if (there || st < 0)
            break;
        if (!bragg_progress(r->o->observer, 0, n) || (r->o->idle_s > 0 && bragg_time_running_s() - since > r->o->idle_s))
            st = bragg_fail(err, BRAGG_EDATA, "'%s': no frame has come", bragg_frames_folder(r->frames));
        else
            bragg_watch_wait(watch);
    }
    bragg_watch_free(watch);
    return st;
}
