/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_RIDGES_H
#define DETECTOR_RIDGES_H

#include <bragg/frame.h>

/* A point on a bright line of the frame, between pixels, with the direction across
 * it: for a ring that points to the centre.  Units: pixels from the outer corner. */
typedef struct ridge {
    double slow, fast, n_slow, n_fast, strength;
} ridge;

typedef struct ridges {
    ridge *at;
    size_t n, room;
} ridges;

#pragma GCC visibility push(hidden)
/* Ridges of the square root of the intensities, smoothed by `sigma` pixels. */
bragg_status bragg_ridges_find(const bragg_frame *frame, const uint8_t *mask, double sigma, ridges *out, bragg_error *err);
/* Where most of their normals meet; ENOCONV when they do not. */
bragg_status bragg_ridges_centre(const ridges *r, double rows, double columns, double *slow, double *fast, bragg_error *err);
#pragma GCC visibility pop

#endif
