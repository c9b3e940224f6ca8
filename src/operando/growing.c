/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log while the run goes on: read again as it grows, so that whoever looks at the store sees
 * what each frame was taken at.  At the end both are joined anew, with the clocks compared. */
#include "config.h"
#include "run.h"

#include <bragg/datetime.h>
#include <bragg/path.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

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
static bragg_status join(const run *r, const char *experiment_path, bragg_series *s, bragg_error *err)
{
    bragg_status st = take_frames(r, s, err);
    if (st == BRAGG_OK)
        st = bragg_join_read(r->x, experiment_path, s, err);
    if (st == BRAGG_OK && s->log && s->log->n)
        s->log->n--;
    if (st == BRAGG_OK)
        st = bragg_join_times(r->x, r->frames, s, err);
    if (st == BRAGG_OK)
        bragg_join_log(s);
    for (size_t k = 0; k < s->n && st == BRAGG_OK; k++)
        if (!is_pending(&r->mark[k]))
            st = bragg_store_put_log(r->store, k, &s->frame[k].log, err);
    return st;
}

/* Frames wait for nobody who looks on: seldom while they come, and a twentieth of the time at most. */
static bool is_time(const seq_growing *g, bool idle, double now) { return now - g->looked_s >= fmax(idle ? 1 : 10, 20 * g->cost_s); }

void bragg_run_look_at_log(const run *r, const char *experiment_path, bool idle, seq_growing *g)
{
    double now = bragg_time_running_s();
    bragg_series s = { .arena = NULL, .clock = BRAGG_CLOCK_INIT };
    bragg_error err = BRAGG_ERROR_INIT;
    if (!r->store || !is_time(g, idle, now) || !(s.arena = bragg_arena_new()))
        return;
    const char *path = path_of(r, experiment_path, s.arena);
    g->looked_s = now;
    if (path && (has_changed(g, path) || g->done != r->done)) {
        g->done = r->done;
        bool lost = join(r, experiment_path, &s, &err) < 0;
        if (lost && !g->lost)
            bragg_log(r->o->observer, BRAGG_LOG_WARNING, "log: cannot be read now, and is tried again: %s", err.text);
        g->lost = lost;
        g->cost_s = bragg_time_running_s() - now;
    }
    bragg_log_free(s.log);
    free(s.log_steps);
    bragg_arena_free(s.arena);
}
