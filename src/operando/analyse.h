/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the analysis share; not API. */
#ifndef OPERANDO_ANALYSIS_H
#define OPERANDO_ANALYSIS_H

#include <bragg/analysis.h>

#pragma GCC visibility push(hidden)

/* trackfit.c: the points of a row, which hold where each peak is expected, how wide, and
 * whether it was seen there. */
bragg_status bragg_track_fit_row(const bragg_store_curves *curves, size_t row, const bragg_analysis_options *options, bragg_track *track, size_t n,
                                 bragg_error *err);

/* track.c: amorphous and crystalline, from bragg and background. */
bragg_status bragg_tracks_share(bragg_tracks *tracks, bragg_error *err);

/* store.c: comma-separated tables of numbers, to be read from where they stand, under /analysis, each a data set
 * [row][column] with its columns' names in NAME_columns; json as it is. */
bragg_status bragg_store_add_tables(const char *store, const char *const *names, FILE *const *tables, size_t n, const char *json, bragg_error *err);

#pragma GCC visibility pop

#endif
