/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A series as rows in memory. */
#include "config.h"
#include "operando.h"

#include <math.h>
#include <stdlib.h>

const char *bragg_frame_status_name(bragg_frame_status status)
{
    static const char *const names[] = { "pending", "ok", "at-bound", "poor", "no-beam", "corrupt", "skipped" };
    return status <= BRAGG_FRAME_SKIPPED ? names[status] : "unknown";
}

bragg_status bragg_series_attach(bragg_series *s, const seq_shape *shape, size_t n, bragg_error *err)
{
    size_t p = shape->n_params, f = shape->n_phases;
    const char **names = bragg_arena_alloc(s->arena, 2 * p + f + 1, sizeof *names);
    s->n = n;
    s->n_params = p;
    s->n_phases = f;
    s->refined = bragg_arena_alloc(s->arena, p + 1, sizeof *s->refined);
    s->step = bragg_arena_alloc(s->arena, n + 1, sizeof *s->step);
    s->pair = bragg_arena_alloc(s->arena, shape->n_pairs + 1, sizeof *s->pair);
    s->n_pairs = shape->n_pairs;
    bool good = names && s->refined && s->step && s->pair;
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

/* --------------------------------------------------------------- ending */

bragg_status bragg_series_set_row(bragg_series *series, const seq_shape *s, size_t k, double *row, const char *message, bragg_error *err)
{
    bragg_step *step = &series->step[k];
    step->status = (bragg_frame_status)row[ROW_STATUS];
    bool seen = step->status != BRAGG_FRAME_PENDING;
    step->done = seen && seq_is_done(row);
    step->converged = row[ROW_CONVERGED] > 0;
    step->restarted = row[ROW_RESTARTED] == 1;
    step->rwp = seen ? row[ROW_RWP] : NAN;
    step->gof = seen ? row[ROW_GOF] : NAN;
    step->serial = row[ROW_SERIAL];
    step->total = row[ROW_TOTAL];
    step->path = seen ? row[ROW_PATH] : NAN;
    step->time_s = seen ? row[ROW_TIME] : NAN;
    step->exposure_s = seen ? row[ROW_EXPOSURE] : NAN;
    step->temperature_k = seen ? row[ROW_TEMPERATURE] : NAN;
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
    step->error = NULL;
    if (!step->done && !(step->error = bragg_arena_strdup(series->arena, *message ? message : "not reached")))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a message");
    for (size_t j = 0; step->done && j < s->n_params; j++)
        series->refined[j] |= isfinite(step->esd[j]);
    return BRAGG_OK;
}

double bragg_series_correlation(const bragg_series *s, size_t k, size_t a, size_t b)
{
    for (size_t i = 0; i < s->n_pairs && s->step[k].correlation; i++)
        if ((s->pair[i][0] == a && s->pair[i][1] == b) || (s->pair[i][0] == b && s->pair[i][1] == a))
            return isfinite(s->step[k].correlation[i]) ? s->step[k].correlation[i] : 0;
    return 0;
}

void bragg_series_free(bragg_series *s)
{
    if (!s)
        return;
    bragg_log_free(s->log);
    free(s->log_steps);
    free(s->rows);
    bragg_arena_free(s->arena);
}
