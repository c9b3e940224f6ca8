/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_FILES_H
#define DETECTOR_FILES_H
/* Frames of files through a plan in rounds: the parts that files.c puts together. */

#include <bragg/arena.h>
#include <bragg/integrate.h>
#include <bragg/nxazint.h>

/* Frames that a thread reads and sums at a time. */
enum { BATCH = 32, BATCH_OF_LARGE = 8 };

/* One frame of one file, and where its pattern goes. */
typedef struct files_job {
    const char *path;
    size_t index;
    char *out;           /* NULL: into the store */
} files_job;

typedef struct files_run {
    const bragg_integrate_files_options *o;
    bragg_arena *arena;
    bragg_geometry g;
    bragg_frame *dark, *flat, *variance;
    bragg_plan *plan;
    bool store;
    bragg_nxazint_header header;
    double correlation[BRAGG_PATTERN_LAGS];
    files_job *job;
    size_t n, room, done, bad;
    /* of a round: frames first … first + n_round - 1 */
    size_t first, n_round, bins, batch; /* batch: frames a thread reads and sums at a time */
    double *intensity, *sem, *std;   /* std: NULL when not asked for */
    bragg_nxazint_row *row;
    bragg_error *problem;
} files_run;

#pragma GCC visibility push(hidden)
/* Geometry, dark, flat and variance. */
bragg_status bragg_files_read_geometry(files_run *run, bragg_error *err);
/* The plan, for the first frame that can be read. */
bragg_status bragg_files_make_plan(files_run *run, bragg_error *err);
/* "FILE 12": what the store calls a frame. */
void bragg_files_name(const files_job *job, char *name, size_t size);
/* The store, new or as an earlier run has left it; jobs that it has are taken off. */
bragg_status bragg_files_open_store(files_run *run, bragg_error *err);
/* All jobs, round after round. */
bragg_status bragg_files_all_rounds(files_run *run, bragg_error *err);
#pragma GCC visibility pop

#endif
