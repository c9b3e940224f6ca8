/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_CALIBRATE_H
#define BRAGG_CALIBRATE_H

#include <bragg/detector.h>
#include <bragg/observer.h>
#include <bragg/param.h>

/** Calibration of a detector from the rings of a standard, without clicking. */

typedef struct bragg_calibrate_options {
    double distance_m;        /**< rough; NAN: unknown, all from 1 cm to 10 m are tried */
    bool fit_wavelength;      /**< only with rings far enough apart to tell it from the distance */
    const bragg_observer *observer;
} bragg_calibrate_options;
#define BRAGG_CALIBRATE_OPTIONS_INIT { NAN, false, NULL }

/** One ring of the standard as found. */
typedef struct bragg_ring {
    double d_ang, two_theta_rad;
    size_t points;            /**< sectors in which it was measured */
    double offset_px, rms_px; /**< mean and spread of observed minus calculated radius */
} bragg_ring;

typedef struct bragg_calibration {
    bragg_geometry geometry;
    bragg_params params;      /**< distance, poni1, poni2, rot1, rot2, wavelength with esds */
    double rms_px;
    size_t n_rings, n_points;
    bragg_ring *ring;
} bragg_calibration;

/** Find centre, rings and geometry.  start: pixel sizes, shape, orientation and
 *  wavelength; its distance and centre do not matter.  d_ang (falling) and strength
 *  (strongest 1) are the standard's lines.  ENOCONV says what was seen when no
 *  indexing explains the rings. */
bragg_status bragg_calibrate(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *start, const double *d_ang,
                             const double *strength, size_t n, const bragg_calibrate_options *options,
                             bragg_calibration **out, bragg_error *err);
void bragg_calibration_free(bragg_calibration *calibration);

/** How sharp the rings are with a geometry: the mean square of the pattern over the
 *  square of its mean, for each of the eight orientations (index 0: orientation 1);
 *  NAN where the frame's shape does not fit. */
bragg_status bragg_calibrate_orientations(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *geometry,
                                          double sharpness[8], bragg_error *err);

#endif
