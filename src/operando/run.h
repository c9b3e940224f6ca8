/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run at work: shared by series.c, run.c, blocks.c, mend.c, live.c and growing.c. */
#ifndef OPERANDO_RUN_H
#define OPERANDO_RUN_H

#include "operando.h"

#include <sys/types.h>
#include <time.h>

#pragma GCC visibility push(hidden)

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
static inline size_t frame_at(const run *r, size_t position) { return r->plan.backward ? r->n - 1 - position : position; }

static inline const struct mark *mark_at(const run *r, size_t position) { return &r->mark[frame_at(r, position)]; }

static inline bool is_good(const double *row) { return row[ROW_STATUS] == BRAGG_FRAME_OK || row[ROW_STATUS] == BRAGG_FRAME_AT_BOUND; }

static inline bool is_pending(const struct mark *m) { return m->status == BRAGG_FRAME_PENDING; }

/* Another frame's row, from which one starts.  frame SIZE_MAX: of one that is beside it. */
typedef struct seq_held {
    double *row;                 /* NULL: none */
    size_t frame;
} seq_held;

static inline size_t block_end(const run *r, size_t b)
{
    size_t end = (b + 1) * r->plan.block;
    return end < r->n ? end : r->n;
}

/* run.c */
bragg_status bragg_run_fetch(const run *r, size_t frame, double *row, bragg_error *err);
/* Into room of its own; frame SIZE_MAX: nothing. */
bragg_status bragg_run_hold_frame(const run *r, size_t frame, double *room, seq_held *to, bragg_error *err);
bragg_status bragg_run_hold(const run *r, size_t position, double *room, seq_held *to, bragg_error *err);
void bragg_run_hold_also(const run *r, const seq_held *from, double *room, seq_held *to);
double *bragg_run_rows(const run *r, size_t n, bragg_error *err);
bragg_status bragg_run_curves(const run *r, seq_curves *c, bragg_error *err);
/* Of the worker's last frame, on the grid of the run. */
void bragg_run_take_curves(const run *r, const seq_worker *w, const bragg_pattern *p, seq_curves *c);
bragg_status bragg_run_borrow(run *r, seq_worker **w, bragg_error *err);
void bragg_run_return(run *r, seq_worker *w);
size_t bragg_run_apart(const seq_held *h, size_t frame);
bragg_status bragg_run_compute(run *r, seq_worker *w, size_t position, seq_held from, seq_held last, seq_held hint,
                               double *row, char message[256], seq_curves *c, bragg_error *err);
void bragg_run_corrupt(const run *r, double *row, char *message, const bragg_error *cause);
struct mark bragg_run_mark(const double *row);
bragg_status bragg_run_message(run *r, size_t k, const char *message, bragg_error *err);
bragg_status bragg_run_keep(run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err);
bragg_status bragg_run_take(run *r, size_t k, const double *row, const char *message, const seq_curves *c, bragg_error *err);
bragg_status bragg_run_commit(run *r, size_t position, const double *row, const char *message, const seq_curves *c, bragg_error *err);
bragg_status bragg_run_receive(run *r, bool wait, bragg_error *err);
bragg_status bragg_run_grow(run *r, size_t n, bragg_error *err);

/* blocks.c */
bool bragg_run_block_is_whole(const run *r, size_t b);
bragg_status bragg_run_anchors(run *r, bragg_error *err);
/* For bragg_parallel_for; payload the run. */
bragg_status bragg_run_blocks(void *payload, size_t first, size_t last, bragg_error *err);
/* What stands in the store and all anchors, from the one that has them to all. */
bragg_status bragg_run_share_anchors(run *r, bragg_status st, bragg_error *err);
bragg_status bragg_run_share(run *r, bragg_error *err);
double bragg_run_disagreement(const seq_shape *s, const double *a, const double *b);
bool bragg_run_better(const seq_shape *s, const double *a, const double *b, size_t points);

/* mend.c */
bragg_status bragg_run_mend(run *r, bragg_error *err);

/* live.c */
bragg_status bragg_run_follow(run *r, const char *experiment_path, bragg_error *err);
bragg_status bragg_run_await_first(run *r, bragg_error *err);

/* growing.c: when the log was read, how long that took, and what there was then; zeros to begin with */
struct seq_reading;
typedef struct seq_growing {
    struct seq_reading *reading; /* in the hands of another thread; NULL: none */
    double looked_s, cost_s;
    size_t done;
    off_t size;
    struct timespec changed;
    bool lost;
} seq_growing;
/* What the log says of each frame into the store when it has been read; has it read when it is time to. */
void bragg_run_look_at_log(const run *r, const char *experiment_path, bool idle, seq_growing *g);
/* Waits for whoever reads it still, and forgets that. */
void bragg_run_leave_log(seq_growing *g);

#pragma GCC visibility pop

#endif
