/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_READER_H
#define FRAME_READER_H

#include <bragg/frame.h>

/* A format: how its files begin, and its two functions.  One file a format. */
typedef struct bragg_frame_reader {
    const char *name;
    bool (*probe)(const unsigned char *head, size_t n);
    bragg_status (*count)(const char *path, size_t *n, bragg_error *err);
    bragg_status (*read)(const char *path, size_t index, bragg_frame **out, bragg_error *err);
    bragg_status (*mask)(const char *path, bragg_frame **out, bragg_error *err); /* NULL: the format has none */
} bragg_frame_reader;

#pragma GCC visibility push(hidden)
extern const bragg_frame_reader bragg_frame_tiff, bragg_frame_cbf, bragg_frame_edf, bragg_frame_fits, bragg_frame_hdf5, bragg_frame_mar345,
    bragg_frame_npy, bragg_frame_ge;
#pragma GCC visibility pop

#endif
