/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_OPERANDO_H
#define BRAGG_OPERANDO_H

#include <bragg/experiment.h>
#include <bragg/observer.h>

/** A sequence of patterns refined one after the other, each from what its
 *  neighbour ended at.
 *
 *      data:     {patterns: run/x*.xye}            a folder, a shell pattern or a list
 *      sequence: {direction: forward, propagate: true}     forward or backward
 */
typedef struct bragg_step {
    const char *file;
    bool done;                /**< fitted; else error says why not */
    bool converged, restarted; /**< restarted: from the experiment's start, as the neighbour's led nowhere */
    double time_s, temperature_k;
    double rwp, gof;
    double *value, *esd;      /**< a row of the table each */
    bragg_quantity *fraction, *volume; /**< a phase each */
    char error[256];
} bragg_step;

typedef struct bragg_series {
    bragg_arena *arena;
    size_t n, n_params, n_phases;
    const char *const *name, *const *unit; /**< of the parameters */
    bool *refined;            /**< in at least one step */
    const char *const *phase;
    bragg_step *step;
} bragg_series;

/** Files that the experiment's data section names, in natural order; they live in
 *  the arena. */
bragg_status bragg_series_files(const bragg_experiment *experiment, const char *experiment_path, bragg_arena *arena,
                                const char ***files, size_t *n, bragg_error *err);

/** Refine all; a pattern that fails is flagged and the next goes on from the last
 *  good one.  STOPPED by the observer: what is done is in *out. */
bragg_status bragg_series_run(const bragg_experiment *experiment, const char *const *files, size_t n,
                              const bragg_observer *observer, bragg_series **out, bragg_error *err);
void bragg_series_free(bragg_series *series);

/** A row a frame: file, status, time, temperature, R factors, every refined
 *  parameter, volume and weight fraction with its esd. */
bragg_status bragg_series_write_csv(const bragg_series *series, const char *path, bool force, bragg_error *err);

#endif
