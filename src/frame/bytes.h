/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_BYTES_H
#define FRAME_BYTES_H

#include <bragg/frame.h>

/* A whole file in memory, unpacked when it was gzipped.  A zero byte stands behind
 * the last one, so that text searches end. */
typedef struct bytes {
    unsigned char *at;
    size_t n;
} bytes;

#pragma GCC visibility push(hidden)
bragg_status bragg_frame_load(const char *path, bytes *out, bragg_error *err);
/* The first n bytes at most. */
size_t bragg_frame_head(const char *path, unsigned char *head, size_t n);
/* Turn items of size bytes round where the file's order is not this machine's. */
void bragg_frame_swap(void *data, size_t count, size_t size);
/* Value of "key" in a header of n bytes: what follows it and separators up to the
 * end of its line; false when absent. */
bool bragg_frame_header(const unsigned char *at, size_t n, const char *key, char *value, size_t size);
/* Dectris' lines "# Exposure_time 3.0 s" of CBF and TIFF headers into the frame. */
void bragg_frame_dectris(bragg_frame *frame, const unsigned char *at, size_t n);
#pragma GCC visibility pop

#endif
