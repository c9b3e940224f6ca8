/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_BYTES_H
#define FRAME_BYTES_H

#include <bragg/frame.h>
#include <stdio.h>

/* A whole file in memory, unpacked when it was gzipped.  A zero byte stands behind
 * the last one, so that text searches end. */
typedef struct bytes {
    unsigned char *at;
    size_t n;
} bytes;

/* A file to read pieces of, so that a frame far into a long file costs no more than
 * the first; one that is gzipped is unpacked whole. */
typedef struct frame_file {
    const char *path;
    int fd;
    bytes all;  /* at NULL: read from fd */
    size_t n;   /* bytes, unpacked */
} frame_file;

#pragma GCC visibility push(hidden)
bragg_status bragg_frame_open(const char *path, frame_file *f, bragg_error *err);
void bragg_frame_close(frame_file *f);
/* n bytes from `at`; EDATA when the file ends before. */
bragg_status bragg_frame_piece(const frame_file *f, size_t at, size_t n, void *out, bragg_error *err);
/* A frame whose pixels stand in the file as they are in memory, or the other way round. */
bragg_status bragg_frame_raw_pixels(const frame_file *f, size_t at, size_t width, size_t height, bragg_pixel type, bool swap, bragg_frame **out, bragg_error *err);
bragg_status bragg_frame_load(const char *path, bytes *out, bragg_error *err);
/* The first *n bytes at most; *n becomes how many there are. */
bragg_status bragg_frame_head(const char *path, unsigned char *head, size_t *n, bragg_error *err);
/* Turn items of size bytes round where the file's order is not this machine's. */
void bragg_frame_swap(void *data, size_t count, size_t size);
/* Value of "key" in a header of n bytes: what follows it and separators up to the
 * end of its line; false when absent. */
bool bragg_frame_header(const unsigned char *at, size_t n, const char *key, char *value, size_t size);
/* The number it begins with; NAN without one. */
double bragg_frame_header_number(const unsigned char *at, size_t n, const char *key);
/* Seconds since 1970 of a date, taken as UTC when it does not say; NAN when it is none. */
double bragg_frame_time(const char *text);
/* Dectris' lines "# Exposure_time 3.0 s" of CBF and TIFF headers into the frame. */
bragg_status bragg_frame_dectris(bragg_frame *frame, const unsigned char *at, size_t n, bragg_error *err);
/* The same lines of what a frame knows, to be freed; NULL without memory. */
char *bragg_frame_dectris_text(const bragg_frame *frame);
/* All pixels, in the order of this machine. */
bragg_status bragg_frame_put_pixels(FILE *to, const bragg_frame *frame, bragg_error *err);
/* A name as one word: what ends words, values and headers becomes '_'. */
void bragg_frame_put_word(FILE *to, const char *name);
#pragma GCC visibility pop

#endif
