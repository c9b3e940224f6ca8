/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_SUM_H
#define DETECTOR_SUM_H
/* The two ways from frames to bins. */

#include "tiles.h"

/* Frame k, bin b: [k * bins + b].  std may be NULL. */
typedef struct bragg_sums {
    double *intensity, *sem, *std;
} bragg_sums;

#pragma GCC visibility push(hidden)
/* n > 0 frames of one type with the errors of counting, several at a time.  dark, a
 * pixel, and dark_sum, a bin, its sum of weight times dark: NULL for none.  monitor,
 * a frame, may be NULL. */
bragg_status bragg_plan_sum(const bragg_plan *plan, const bragg_frame *const *frame, size_t n, const double *dark, const double *dark_sum,
                            const double *monitor, bragg_sums out, bragg_error *err);
/* As above with all pixels of a bin at hand: errors from their scatter or from a
 * variance, and outliers rejected. */
bragg_status bragg_plan_sift(const bragg_plan *plan, const bragg_frame *const *frame, size_t n, const double *dark,
                             const bragg_integrate_options *options, bragg_sums out, bragg_error *err);
#pragma GCC visibility pop

#endif
