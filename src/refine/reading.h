/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef REFINE_READING_H
#define REFINE_READING_H

#include <bragg/experiment.h>

/* Inside of the experiment file: what its parts (experiment.c, radiation.c, data.c,
 * phases.c) hand to each other. */
typedef struct loading {
    const bragg_yaml *root;
    bragg_arena *arena;
    const char *file;
    bragg_experiment *x;
} loading;

#pragma GCC visibility push(hidden)

/* reading.c: the types of a background, in the order of bragg_background */
enum { N_BACKGROUNDS = 4 };
extern const char *const bragg_reading_backgrounds[N_BACKGROUNDS];
/* The path of a text, beside the experiment file. */
bragg_status bragg_reading_path(const loading *l, const bragg_yaml *node, const char **path, bragg_error *err);

/* radius_mm of a goniometer or distance_mm of a flat detector, where the map has one */
bragg_status bragg_reading_distance(const bragg_yaml *map, double *radius_m, bool *flat, bragg_error *err);

/* radiation.c: into r; what the map leaves open falls back on the instrument */
bragg_status bragg_reading_radiation(const loading *l, const bragg_yaml *map, const bragg_instrument *known, bragg_radiation *r,
                                     bragg_error *err);
/* data.c: all patterns, with their instruments and backgrounds */
bragg_status bragg_reading_data(const loading *l, bragg_error *err);
/* peaklist.c: columns "d intensity"; or the table of reflections that a fit wrote,
 * of the phase of that name or the only one */
bragg_status bragg_reading_spacings(const char *path, bragg_arena *arena, const bragg_known_peak **out, size_t *n, bragg_error *err);
bragg_status bragg_reading_intensities(const char *path, const char *phase, bragg_arena *arena, const bragg_known_peak **out, size_t *n,
                                       bragg_error *err);
/* phases.c */
bragg_status bragg_reading_phases(const loading *l, bragg_error *err);

#pragma GCC visibility pop

#endif
