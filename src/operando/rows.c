/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A series as frames in memory and rows that are fetched a few at a time.
 *
 *      table   ░░░░████░░░░░░░░████████░░░░░░░     blocks of EACH rows, WINDOWS of them here
 *                  2           0   3
 *
 * Rows have hundreds of columns, of which whoever tells of the run wants a few at a time, from
 * the first frame to the last; they stay in the store for that. */
#include "config.h"
#include "operando.h"

#include <bragg/bytes.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EACH = 32, WINDOWS = 4 };

struct bragg_series_rows {
    seq_shape shape;
    seq_place place;          /* fd -1: in memory */
    size_t block[WINDOWS], last_used[WINDOWS], turn;
    double *room;             /* [WINDOWS][EACH][column]; NULL with rows in memory */
    bragg_frame_fit *step;         /* [WINDOWS][EACH] */
    bool lost;
};

const char *bragg_frame_status_name(bragg_frame_status status)
{
    static const char *const names[] = { "pending", "ok", "at-bound", "poor", "no-beam", "corrupt", "skipped" };
    return status <= BRAGG_FRAME_SKIPPED ? names[status] : "unknown";
}

/* ---------------------------------------------------------------- shape */

static bool begins(const char *text, const char *with, const char **rest)
{
    size_t n = strlen(with);
    *rest = text + n;
    return !strncmp(text, with, n);
}

size_t bragg_seq_phase_of(const seq_shape *s, const char *name, const char **rest)
{
    char prefix[160];
    for (size_t i = s->n_phases; i-- > 0;) {
        snprintf(prefix, sizeof prefix, "phase.%.120s.", s->phase[i]);
        if (begins(name, prefix, rest))
            return i;
    }
    return SIZE_MAX;
}

void bragg_seq_complete(seq_shape *s, size_t (*pair)[2])
{
    const char *rest;
    s->n_pairs = 0;
    for (size_t a = 0; a < s->n_params; a++) {
        size_t phase = bragg_seq_phase_of(s, s->name[a], &rest);
        for (size_t b = a + 1; phase != SIZE_MAX && b < s->n_params; b++) {
            if (bragg_seq_phase_of(s, s->name[b], &rest) != phase)
                continue;
            if (pair)
                pair[s->n_pairs][0] = a, pair[s->n_pairs][1] = b;
            s->n_pairs++;
        }
    }
    s->columns = seq_known(s, 2 * s->n_params);
}

bragg_status bragg_series_attach(bragg_series *s, const seq_shape *shape, size_t n, bragg_error *err)
{
    size_t p = shape->n_params, f = shape->n_phases;
    const char **names = bragg_arena_alloc(s->arena, 2 * p + f + 1, sizeof *names);
    s->n = n;
    s->n_params = p;
    s->n_phases = f;
    s->refined = bragg_arena_alloc(s->arena, p + 1, sizeof *s->refined);
    s->frame = bragg_arena_alloc(s->arena, n + 1, sizeof *s->frame);
    s->pair = bragg_arena_alloc(s->arena, shape->n_pairs + 1, sizeof *s->pair);
    s->n_pairs = shape->n_pairs;
    bool good = names && s->refined && s->frame && s->pair;
    for (size_t k = 0; good && k < 2 * p + f; k++)
        good = (names[k] = bragg_arena_strdup(s->arena, k < p ? shape->name[k] : k < 2 * p ? shape->unit[k - p] : shape->phase[k - 2 * p])) != NULL;
    s->name = names;
    s->unit = names + p;
    s->phase = names + 2 * p;
    seq_shape own = *shape;
    if (good)
        bragg_seq_complete(&own, s->pair);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a series of %zu frames", n);
}

/* --------------------------------------------------------------- frames */

bragg_status bragg_series_set_frame(bragg_series *s, size_t k, const double *row, const char *message, bragg_error *err)
{
    bragg_series_frame *f = &s->frame[k];
    f->status = (bragg_frame_status)row[ROW_STATUS];
    f->whole = f->status != BRAGG_FRAME_PENDING;
    f->done = f->whole && seq_is_done(row);
    f->time_s = f->whole ? row[ROW_TIME] : NAN;
    f->exposure_s = f->whole ? row[ROW_EXPOSURE] : NAN;
    f->temperature_k = f->whole ? row[ROW_TEMPERATURE] : NAN;
    f->error = NULL;
    if (!f->done && !(f->error = bragg_arena_strdup(s->arena, *message ? message : "not reached")))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a message");
    return BRAGG_OK;
}

void bragg_step_set(const seq_shape *s, const bragg_series_frame *frame, double *row, bragg_frame_fit *step)
{
    *step = (bragg_frame_fit){ .file = frame->file, .index = frame->index, .status = frame->status, .done = frame->done, .error = frame->error, .log = frame->log,
                          .time_s = frame->time_s, .exposure_s = frame->exposure_s, .temperature_k = frame->temperature_k };
    step->converged = row[ROW_CONVERGED] > 0;
    step->restarted = row[ROW_RESTARTED] == 1;
    step->rwp = frame->whole ? row[ROW_RWP] : NAN;
    step->gof = frame->whole ? row[ROW_GOF] : NAN;
    step->serial = row[ROW_SERIAL];
    step->total = row[ROW_TOTAL];
    step->background = (bragg_quantity){ frame->whole ? row[ROW_BACKGROUND] : NAN, frame->whole ? row[ROW_BACKGROUND_ESD] : NAN };
    step->above = frame->whole ? row[ROW_ABOVE] : NAN;
    step->path = frame->whole ? row[ROW_PATH] : NAN;
    step->value = row + seq_value(s, 0);
    step->esd = row + seq_esd(s, 0);
    step->fraction = (bragg_quantity *)(void *)(row + seq_phase(s, PHASE_FRACTION, 0));
    step->volume = (bragg_quantity *)(void *)(row + seq_phase(s, PHASE_VOLUME, 0));
    step->limit = row + seq_phase(s, PHASE_LIMIT, 0);
    step->guess = row + seq_phase(s, PHASE_GUESS, 0);
    step->guess_esd = row + seq_phase(s, PHASE_GUESS_ESD, 0);
    step->evidence = row + seq_phase(s, PHASE_EVIDENCE, 0);
    step->level = row + seq_phase(s, PHASE_LEVEL, 0);
    step->unknown = row + seq_unknown(s);
    step->correlation = row + seq_correlation(s);
}

/* ----------------------------------------------------------------- rows */

static void free_rows(struct bragg_series_rows *r)
{
    if (!r)
        return;
    if (r->place.fd >= 0)
        close(r->place.fd);
    free(r->place.rows);
    free(r->room);
    free(r->step);
    free(r);
}

void bragg_series_forget(bragg_series *s)
{
    for (int w = 0; w < WINDOWS; w++)
        s->rows->block[w] = SIZE_MAX;
}

bragg_status bragg_series_take_rows(bragg_series *s, const seq_shape *shape, const seq_place *place, bragg_error *err)
{
    struct bragg_series_rows *r = calloc(1, sizeof *r);
    s->rows = r;
    if (!r) {
        free(place->rows);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for rows");
    }
    r->shape = *shape;
    r->shape.name = s->name, r->shape.unit = s->unit, r->shape.phase = s->phase;
    r->place = *place;
    r->place.fd = place->rows ? -1 : fcntl(place->fd, F_DUPFD_CLOEXEC, 0);
    r->step = malloc(WINDOWS * EACH * sizeof *r->step);
    r->room = place->rows ? NULL : malloc(WINDOWS * EACH * shape->columns * sizeof(double));
    bragg_series_forget(s);
    if (!r->step || (!place->rows && !r->room))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for rows of %zu columns", shape->columns);
    return place->rows || r->place.fd >= 0 ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "the rows of a run cannot be kept open");
}

bragg_status bragg_series_move_rows(bragg_series *s, seq_place place, bragg_error *err)
{
    if (s->rows->place.rows)
        return BRAGG_OK;
    close(s->rows->place.fd);
    s->rows->place = place;
    s->rows->place.fd = fcntl(place.fd, F_DUPFD_CLOEXEC, 0);
    bragg_series_forget(s);
    return s->rows->place.fd >= 0 ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "the rows of a run cannot be kept open");
}

/* Rows that were begun and never ended stand there as well: they are as if they did not. */
static void fetch(const bragg_series *s, size_t block, int window)
{
    struct bragg_series_rows *r = s->rows;
    size_t first = block * EACH, n = s->n - first < EACH ? s->n - first : EACH, columns = r->shape.columns;
    double *rows = r->place.rows ? r->place.rows + first * columns : r->room + (size_t)window * EACH * columns;
    bool good = r->place.rows || bragg_bytes_read(r->place.fd, rows, n * columns * sizeof *rows, r->place.offset + (int64_t)(first * columns * sizeof *rows));
    r->lost |= !good;
    for (size_t k = 0; k < n; k++) {
        const bragg_series_frame *f = &s->frame[first + k];
        bragg_frame_fit *step = &r->step[(size_t)window * EACH + k];
        if (!r->place.rows && (!good || !f->whole))
            memset(rows + k * columns, 0, columns * sizeof *rows);
        bragg_step_set(&r->shape, f, rows + k * columns, step);
        if (!good && step->done)
            step->done = false, step->error = "its row cannot be read";
    }
    r->block[window] = good ? block : SIZE_MAX;
}

const bragg_frame_fit *bragg_series_fitted(const bragg_series *s, size_t k)
{
    struct bragg_series_rows *r = s->rows;
    size_t block = k / EACH;
    int w = 0, oldest = 0;
    if (s->by_hand)
        return &s->by_hand[k];
    for (; w < WINDOWS && r->block[w] != block; w++)
        oldest = r->last_used[w] < r->last_used[oldest] ? w : oldest;
    if (w == WINDOWS)
        fetch(s, block, w = oldest);
    r->last_used[w] = ++r->turn;
    return &r->step[(size_t)w * EACH + k % EACH];
}

bragg_status bragg_series_whole(const bragg_series *s, bragg_error *err)
{
    return s->rows && s->rows->lost ? bragg_fail(err, BRAGG_EIO, "rows of the store cannot be read: is its disk there?") : BRAGG_OK;
}

const bragg_frame_log *bragg_series_log(const bragg_series *s, size_t k) { return s->frame ? &s->frame[k].log : &s->by_hand[k].log; }

void bragg_series_find_refined(bragg_series *s)
{
    for (size_t k = 0; k < s->n; k++)
        for (size_t j = 0; s->frame[k].done && j < s->n_params; j++)
            s->refined[j] |= isfinite(bragg_series_fitted(s, k)->esd[j]);
}

double bragg_series_correlation(const bragg_series *s, size_t k, size_t a, size_t b)
{
    const double *correlation = bragg_series_fitted(s, k)->correlation;
    for (size_t i = 0; i < s->n_pairs && correlation; i++)
        if ((s->pair[i][0] == a && s->pair[i][1] == b) || (s->pair[i][0] == b && s->pair[i][1] == a))
            return isfinite(correlation[i]) ? correlation[i] : 0;
    return 0;
}

void bragg_series_free(bragg_series *s)
{
    if (!s)
        return;
    free_rows(s->rows);
    bragg_log_free(s->log);
    free(s->log_steps);
    bragg_arena_free(s->arena);
}
