/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log while the run goes on: read again as it grows, so that whoever looks at the store sees
 * what each frame was taken at.  A large one takes seconds, for which no frame waits: another thread
 * reads it.  At the end both are joined anew, with the clocks compared. */
#include "config.h"
#include "run.h"

#include <bragg/datetime.h>
#include <bragg/path.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

/* One reading of the log; of what is here the thread leaves everything alone once it is over. */
struct seq_reading {
    const bragg_experiment *x;
    const char *experiment_path;
    bragg_series s;
    bragg_status status;
    bragg_error err;
    double began_s, took_s;
    pthread_t thread;
    atomic_bool over;
};

static const char *path_of(const run *r, const char *experiment_path, bragg_arena *arena)
{
    const bragg_yaml *node = bragg_yaml_get(bragg_yaml_get(r->x->root, "log"), "file");
    const char *text;
    return node && bragg_yaml_text(node, &text, NULL) == BRAGG_OK ? bragg_path_beside(arena, experiment_path, text) : NULL;
}

/* Whether the file, or a folder's list, is another than when it was read. */
static bool has_changed(seq_growing *g, const char *path)
{
    struct stat info;
    if (stat(path, &info))
        return true; /* reading it says why */
    bool same = info.st_size == g->size && info.st_mtim.tv_sec == g->changed.tv_sec && info.st_mtim.tv_nsec == g->changed.tv_nsec;
    g->size = info.st_size;
    g->changed = info.st_mtim;
    return !same;
}

/* The frames that are fitted, with no more than the log asks of them. */
static bragg_status take_frames(const run *r, bragg_series *s, bragg_error *err)
{
    double *row = bragg_run_rows(r, 1, err);
    s->n = r->n;
    s->points = (double)r->n_grid;
    s->frame = bragg_arena_alloc(s->arena, r->n + 1, sizeof *s->frame);
    bragg_status st = !row ? BRAGG_ENOMEM : s->frame ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", r->n);
    for (size_t k = 0; k < r->n && st == BRAGG_OK; k++) {
        bool there = !is_pending(&r->mark[k]);
        if (there)
            st = bragg_run_fetch(r, k, row, err);
        s->frame[k] = (bragg_series_frame){ .file = bragg_frames_item(r->frames, k)->file, .index = bragg_frames_item(r->frames, k)->index, .done = r->mark[k].done,
            .time_s = there ? row[ROW_TIME] : NAN, .exposure_s = there ? row[ROW_EXPOSURE] : NAN, .temperature_k = NAN };
    }
    free(row);
    return st;
}

/* The last row may be half of one, and half of 3.712 is a number, too: it waits for the next. */
static void *read_log(void *payload)
{
    struct seq_reading *reading = payload;
    reading->status = bragg_join_read(reading->x, reading->experiment_path, &reading->s, &reading->err);
    if (reading->status == BRAGG_OK && reading->s.log && reading->s.log->n)
        reading->s.log->n--;
    reading->took_s = bragg_time_running_s() - reading->began_s;
    atomic_store(&reading->over, true);
    return NULL;
}

static bragg_status join(const run *r, bragg_series *s, bragg_error *err)
{
    bragg_status st = take_frames(r, s, err);
    if (st == BRAGG_OK)
        st = bragg_join_times(r->x, r->frames, s, err);
    if (st == BRAGG_OK)
        bragg_join_log(s);
    for (size_t k = 0; k < s->n && st == BRAGG_OK; k++)
        if (!is_pending(&r->mark[k]))
            st = bragg_store_put_log(r->store, k, &s->frame[k].log, err);
    return st;
}

static void free_reading(struct seq_reading *reading)
{
    if (!reading)
        return;
    bragg_log_free(reading->s.log);
    free(reading->s.log_steps);
    bragg_arena_free(reading->s.arena);
    free(reading);
}

void bragg_run_leave_log(seq_growing *g)
{
    if (g->reading)
        pthread_join(g->reading->thread, NULL);
    free_reading(g->reading);
    g->reading = NULL;
}

/* What was read, into the store. */
static void take(const run *r, seq_growing *g)
{
    struct seq_reading *reading = g->reading;
    double since = bragg_time_running_s();
    bragg_status st = reading->status == BRAGG_OK ? join(r, &reading->s, &reading->err) : reading->status;
    if (st < 0 && !g->lost)
        bragg_log(r->o->observer, BRAGG_LOG_WARNING, "log: cannot be read now, and is tried again: %s", reading->err.text);
    g->lost = st < 0;
    g->done = r->done;
    g->cost_s = reading->took_s + bragg_time_running_s() - since;
    bragg_run_leave_log(g);
}

static void begin(const run *r, const char *experiment_path, seq_growing *g)
{
    struct seq_reading *reading = calloc(1, sizeof *reading);
    const char *path = reading && (reading->s.arena = bragg_arena_new()) ? path_of(r, experiment_path, reading->s.arena) : NULL;
    if (path && (has_changed(g, path) || g->done != r->done)) {
        *reading = (struct seq_reading){ .x = r->x, .experiment_path = experiment_path, .s = { .arena = reading->s.arena, .clock = BRAGG_CLOCK_INIT }, .err = BRAGG_ERROR_INIT,
            .began_s = g->looked_s };
        g->reading = pthread_create(&reading->thread, NULL, read_log, reading) ? NULL : reading;
        g->size = g->reading ? g->size : -1; /* no thread now: tried again */
    }
    if (!g->reading)
        free_reading(reading);
}

/* Seldom while frames come, and a twentieth of the time at most. */
static bool is_time(const seq_growing *g, bool idle, double now) { return now - g->looked_s >= fmax(idle ? 1 : 10, 20 * g->cost_s); }

void bragg_run_look_at_log(const run *r, const char *experiment_path, bool idle, seq_growing *g)
{
    double now = bragg_time_running_s();
    if (g->reading && atomic_load(&g->reading->over)) {
        take(r, g);
    } else if (!g->reading && r->store && is_time(g, idle, now)) {
        g->looked_s = now;
        begin(r, experiment_path, g);
    }
}
