/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_CALIBRATE_H
#define BRAGG_CALIBRATE_H

#include <bragg/detector.h>
#include <bragg/observer.h>
#include <bragg/param.h>

/** Calibration of a detector from the rings of a standard, without clicking. */

/** Rows of a calibration's table of parameters, those of bragg_geometry in its order. */
enum { BRAGG_CALIBRATE_DISTANCE, BRAGG_CALIBRATE_PONI1, BRAGG_CALIBRATE_PONI2, BRAGG_CALIBRATE_ROT1, BRAGG_CALIBRATE_ROT2, BRAGG_CALIBRATE_ROT3,
       BRAGG_CALIBRATE_WAVELENGTH, BRAGG_CALIBRATE_ROWS };

/** What is known of frames of a standard before their rings are; NULL and NAN: nothing. */
typedef struct bragg_calibrate_known {
    const char *poni;         /**< a geometry to start from, as bragg_geometry_read has it */
    const char *detector;     /**< its name */
    double pixel_m, wavelength_ang;
    const char *mask;         /**< one of those that bragg_mask_read takes */
    const char *flip, *raw;   /**< how frames are read, as bragg_frame_read_as has it */
} bragg_calibrate_known;
#define BRAGG_CALIBRATE_KNOWN_INIT { NULL, NULL, NAN, NAN, NULL, NULL, NULL }
/** A start for bragg_calibrate of what is known, and of what the frame's own header tells of
 *  the rest.  The observer hears of a wavelength from there, because cameras keep what somebody
 *  once typed, and of none.  EINVAL without a pixel size, EDATA for a detector of another shape. */
bragg_status bragg_calibrate_start(const bragg_calibrate_known *known, const bragg_frame *frame, const bragg_observer *observer,
                                   bragg_geometry *out, bragg_error *err);

typedef struct bragg_calibrate_options {
    double distance_m;        /**< rough; NAN: unknown, all from 1 cm to 10 m are tried */
    bool fit_wavelength;      /**< only with rings far enough apart to tell it from the distance */
    bool fixed[BRAGG_CALIBRATE_ROWS]; /**< stays what the start says.  rot3 always does: it turns all
                                           about the beam, which leaves each ring as it is */
    const bragg_observer *observer;
} bragg_calibrate_options;
#define BRAGG_CALIBRATE_OPTIONS_INIT { NAN, false, { false, false, false, false, false, true, false }, NULL }

/** One ring of the standard as found. */
typedef struct bragg_ring {
    double d_ang, two_theta_rad;
    size_t points;            /**< sectors in which it was measured */
    double offset_px, rms_px; /**< mean and spread of observed minus calculated radius */
} bragg_ring;

/** A place on a ring: pixels from the outer corner of the first, and their doubt. */
typedef struct bragg_ring_point {
    double slow, fast, sigma_px, d_ang;
} bragg_ring_point;

/** Of two rows of a table of parameters. */
typedef struct bragg_correlation {
    size_t a, b;
    double value;
} bragg_correlation;

typedef struct bragg_calibration {
    bragg_geometry geometry;
    bragg_params params;      /**< distance, poni1, poni2, rot1, rot2, rot3, wavelength with esds */
    double rms_px;
    size_t n_rings, n_points, n_correlations;
    bragg_ring *ring;
    bragg_ring_point *point;
    bragg_correlation *correlation;   /**< of each two that were refined */
} bragg_calibration;

/** Find centre, rings and geometry.  start: pixel sizes, shape, orientation and
 *  wavelength (NAN: unknown, all from 0.12 to 2.4 angstrom are tried, which takes rings at
 *  wide angles); its distance and centre do not matter unless they are fixed.  d_ang
 *  (falling) and strength (strongest 1) are the standard's lines.  ENOCONV says what was
 *  seen when no indexing explains the rings. */
bragg_status bragg_calibrate(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *start, const double *d_ang,
                             const double *strength, size_t n, const bragg_calibrate_options *options,
                             bragg_calibration **out, bragg_error *err);
/** bragg_calibrate with a guess at the distance where none is given: the frame's header's is tried
 *  first and, when no rings fit it, all are.  One that is fixed is the start's.  Of one that was
 *  given and fits no rings ENOCONV says which does. */
bragg_status bragg_calibrate_find(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *start, const double *d_ang,
                                  const double *strength, size_t n, const bragg_calibrate_options *options,
                                  bragg_calibration **out, bragg_error *err);
void bragg_calibration_free(bragg_calibration *calibration);

typedef struct bragg_calibration_joint_options {
    const double *moved_m;    /**< how much farther than the first each detector stood; NULL: every
                                   distance by itself */
    bool own_tilts;           /**< of each; else one rot1 and rot2 for all */
    bool fit_wavelength;      /**< one for all */
} bragg_calibration_joint_options;

typedef struct bragg_calibration_joint {
    bragg_params params;      /**< "frame.0.distance" … "wavelength" */
    double rms_px;
    size_t n_correlations;
    bragg_correlation *correlation;
} bragg_calibration_joint;

/** Refine n calibrations of one detector at several distances together from the points
 *  on their rings, with one wavelength: that of rings at known steps of the distance is
 *  certain where that of one frame is not.  The calibrations are changed to what comes
 *  out. */
bragg_status bragg_calibrate_together(bragg_calibration *const *calibration, size_t n, const bragg_calibration_joint_options *options,
                                      bragg_calibration_joint **out, bragg_error *err);
void bragg_calibration_joint_free(bragg_calibration_joint *joint);

/** A frame of a standard and what becomes of it. */
typedef struct bragg_calibrate_shot {
    const char *path;         /**< borrowed */
    bragg_frame *frame;
    uint8_t *mask;            /**< a byte a pixel, not 0: left out */
    bragg_geometry geometry;  /**< the start */
    bragg_calibration *found; /**< NULL before bragg_calibrate_shots */
} bragg_calibrate_shot;

/** The first frame of each of n files, with its mask and start (bragg_calibrate_start).  Where no
 *  wavelength is known, that of a frame's header holds for those after it. */
bragg_status bragg_calibrate_read(const char *const *paths, size_t n, const bragg_calibrate_known *known, const bragg_observer *observer,
                                  bragg_calibrate_shot **out, bragg_error *err);
/** bragg_calibrate_find for each and, of several, bragg_calibrate_together for all (*out; of one
 *  NULL).  A wavelength that is to be refined is, of several, refined there alone.  NULL: as their
 *  INITs are, all distances by themselves.  An error names the frame. */
bragg_status bragg_calibrate_shots(bragg_calibrate_shot *shots, size_t n, const double *d_ang, const double *strength, size_t n_lines,
                                   const bragg_calibrate_options *options, const bragg_calibration_joint_options *together,
                                   bragg_calibration_joint **out, bragg_error *err);
void bragg_calibrate_shots_free(bragg_calibrate_shot *shots, size_t n);

/** How sharp the rings are with a geometry: the mean square of the pattern over the
 *  square of its mean, for each of the eight orientations (index 0: orientation 1);
 *  NAN where the frame's shape does not fit. */
bragg_status bragg_calibrate_orientations(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *geometry,
                                          double sharpness[8], bragg_error *err);

#endif
