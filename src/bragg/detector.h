/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_DETECTOR_H
#define BRAGG_DETECTOR_H

#include <bragg/error.h>
#include <bragg/frame.h>
#include <bragg/hash.h>
#include <bragg/pattern.h>
#include <bragg/units.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where a flat detector stands, in pyFAI's PONI convention (G. Ashiotis et al.,
 *  J. Appl. Cryst. 48 (2015) 510; J. Kieffer & D. Karkoulis, J. Phys. Conf. Ser.
 *  425 (2013) 202012): the point of normal incidence lies poni1 (slow) and poni2
 *  (fast) from the outer corner of the first pixel; the detector is turned by
 *  rot1, rot2, rot3 about the laboratory axes 1, 2, 3.
 *
 *  orientation: where the pixel (0, 0) of the frame is, as EXIF counts the corners
 *  of a picture and pyFAI (since 2024) applies them: seen from behind the detector,
 *  looking towards the sample,
 *      1 top left     2 top right     3 bottom right     4 bottom left
 *  Seen from the sample, along the beam, left and right change places: 3, the
 *  native one, begins at the bottom left.  5 to 8 are the same corners with
 *  the frame's columns running vertically (5 top left, 6 top right, 7 bottom right,
 *  8 bottom left), which pyFAI refuses; poni1 then counts along the columns.        */
typedef struct bragg_geometry {
    double distance_m, poni1_m, poni2_m, rot1_rad, rot2_rad, rot3_rad;
    double pixel_slow_m, pixel_fast_m;
    size_t rows, columns;       /**< 0 when unknown: the frame's */
    double wavelength_ang;      /**< NAN when unknown */
    int orientation;            /**< 1 to 8; 3 when the file is silent */
    char detector[64];
} bragg_geometry;

#define BRAGG_GEOMETRY_INIT { NAN, 0, 0, 0, 0, 0, NAN, NAN, 0, 0, NAN, 3, "" }

/** Read PONI 1, 2 or 2.1; of several calibrations in one file the last counts.
 *  EDATA names a missing key, ENOSUPPORT a newer version. */
bragg_status bragg_geometry_read_poni(const char *path, bragg_geometry *out, bragg_error *err);
/** Read a PONI file, GSAS-II's image controls (.imctrl: pixel sizes stay NAN, they are
 *  the frame's) or a text of Fit2D's parameters, one "key: value" a line: directDist (mm),
 *  centerX, centerY (pixels), tilt, tiltPlanRotation (deg), pixelX, pixelY (micrometre),
 *  wavelength (angstrom, may be absent). */
bragg_status bragg_geometry_read(const char *path, bragg_geometry *out, bragg_error *err);
/** Write PONI 2.1. */
bragg_status bragg_geometry_write_poni(const bragg_geometry *geometry, const char *path, bool force, bragg_error *err);
/** The same with a comment of one line (NULL: none), which readers pass over. */
bragg_status bragg_geometry_write_poni_noted(const bragg_geometry *geometry, const char *note, const char *path, bool force, bragg_error *err);
/** Pixel sizes and shape of a detector by name ("Pilatus1M"); EINVAL with the
 *  nearest known name. */
bragg_status bragg_geometry_set_detector(bragg_geometry *geometry, const char *name, bragg_error *err);

/** A ray to a point of the detector: slow and fast in pixels from the outer
 *  corner of pixel (0, 0), so that its centre is (0.5, 0.5). */
typedef struct bragg_ray {
    double two_theta_rad;
    double chi_rad;         /**< azimuth, -pi to pi */
    double r_m;             /**< from the beam, in the plane at right angles to it at distance_m */
    double solid_angle;     /**< relative to normal incidence: cos^3 */
} bragg_ray;
bragg_ray bragg_geometry_ray(const bragg_geometry *geometry, double slow, double fast);
/** d (two_theta, chi) / d (distance, poni1, poni2, rot1, rot2, rot3). */
void bragg_geometry_ray_derivatives(const bragg_geometry *geometry, double slow, double fast, double d_two_theta[6], double d_chi[6]);
/** Point of the detector that a ray meets; false when it goes the other way. */
bool bragg_geometry_point(const bragg_geometry *geometry, double two_theta_rad, double chi_rad, double *slow, double *fast);
/** Polarization correction, factor -1 to 1 (0.99 for a synchrotron, horizontal). */
double bragg_polarization(double two_theta_rad, double chi_rad, double factor);

/* --------------------------------------------------------- integration */

/** How a pixel's counts are shared by the bins it covers: all to the bin of its
 *  centre; evenly over the interval that holds its corners; or by the exact area
 *  of the quadrilateral in (axis, azimuth). */
typedef enum bragg_split { BRAGG_SPLIT_NONE, BRAGG_SPLIT_BBOX, BRAGG_SPLIT_FULL } bragg_split;
/** Also what pyFAI calls them: "no" for "none". */
bool bragg_split_parse(const char *name, bragg_split *split);
const char *bragg_split_name(bragg_split split);   /**< "none", "bbox", "full" */

typedef struct bragg_plan_options {
    bragg_axis axis;
    size_t n_bins;
    double first, last;       /**< range in inside units; NAN: the frame's */
    bragg_split split;
    bool solid_angle;
    double polarization;      /**< NAN: none */
    double chi_first_rad, chi_last_rad;  /**< sector, up to 2 pi wide; NAN: all round from -pi */
    size_t n_azimuth;         /**< azimuth bins over the sector: more than 1 makes cakes */
    const bragg_frame *flat;  /**< answer of each pixel, counts are divided by it; not
                                   positive: masked; NULL: none; read by bragg_plan_new only */
    double sensor_mu_t;       /**< sensor absorption times thickness: rays that come in at an
                                   angle are absorbed by more of it; NAN: not corrected for */
    double sample_mu_t;       /**< the same of a flat sample at right angles to the beam, which
                                   rays at an angle leave through more of; NAN: not corrected for */
    bool logarithmic;         /**< bins of equal ratio; needs first and last, both above zero */
} bragg_plan_options;
#define BRAGG_PLAN_OPTIONS_INIT { BRAGG_AXIS_TTH, 2000, NAN, NAN, BRAGG_SPLIT_FULL, true, NAN, NAN, NAN, 1, NULL, NAN, NAN, false }

/** mask[i] |= 1 for what a YAML file describes, all keys optional, pixels as column
 *  and row from the outer corner of the first:
 *
 *      files: [mask.tif]                           not zero there
 *      gaps: Pilatus1M                             between the modules of this detector
 *      below: 0                                    of the frame, when there is one
 *      above: 60000
 *      rectangles: [[column, row, column, row]]
 *      circles: [[column, row, radius]]
 *      polygons: [[[column, row], …]]
 *      rings: [[2theta_deg, 2theta_deg]]           need the geometry
 *      sectors: [[azimuth_deg, azimuth_deg]]
 *
 *  frame and geometry may be NULL; EDATA with line and column. */
bragg_status bragg_mask_read_yaml(const char *path, const bragg_geometry *geometry, const bragg_frame *frame, size_t rows, size_t columns,
                                  uint8_t *mask, bragg_error *err);
/** All that masks pixels of a frame, one byte a pixel, not 0: free it.  What is invalid in
 *  the frame itself, what its file masks (frame_path; NULL: not asked), and what each of
 *  n masks says: a frame (turned as flip says, like the frame), a drawing in YAML, or
 *  "gaps", those of the geometry's detector.  geometry, flip and entries of masks may be NULL. */
bragg_status bragg_mask_read(const char *const *masks, size_t n, const char *flip, const bragg_geometry *geometry, const char *frame_path,
                             const bragg_frame *frame, uint8_t **mask, bragg_error *err);
/** mask[i] |= 1 for what lies between the modules of a detector known by name, of a
 *  frame as it writes it; nothing for one without modules. */
bragg_status bragg_mask_gaps(const char *detector, size_t rows, size_t columns, uint8_t *mask, bragg_error *err);
/** mask[i] |= 1 for pixels that n frames of one shape show to be hot or dead: whose
 *  mean is more than `deviations` robust standard deviations (of the neighbours in a
 *  window of 7 x 7) from their median, alone or with one beside them (on sharp rings
 *  pixels are many), or that never count where these do. */
bragg_status bragg_mask_learn(const bragg_frame *const *frames, size_t n, double deviations, uint8_t *mask, bragg_error *err);
/** The same of up to 16 frames of a file, spread over it and read as bragg_frame_read_as has it
 *  (flip and raw may be NULL); learnt, n_frames: pixels that were not masked before, frames that
 *  were read.  EDATA when the frames are not of rows x columns. */
bragg_status bragg_mask_learn_file(const char *path, const char *flip, const char *raw, double deviations, size_t rows, size_t columns, uint8_t *mask,
                                   size_t *learnt, size_t *n_frames, bragg_error *err);

/** mask[i] |= 1 in the shadow that hangs together with the beam's place on the frame: the
 *  beam stop and its arm, found as what is less than 0.8 times as bright as the rest of its
 *  ring or, where a whole ring is dark, as the rings outside; a border of two pixels goes
 *  with it.  found, may be NULL: how many pixels it is, 0 when the beam is off the
 *  frame or nothing is dark there. */
bragg_status bragg_mask_beam_stop(const bragg_frame *frame, const bragg_geometry *geometry, double polarization, uint8_t *mask,
                                  size_t *found, bragg_error *err);

/** Geometry, mask and bins turned into a sparse matrix once, applied to any number
 *  of frames.
 *
 *      bin b  <─  (pixel, weight) …
 *      I_b = sum w y / sum w c
 *      sem_b = sqrt(sum w^2 v) / sum w c,  std_b = sqrt(sum w^2 v / sum (w c)^2)
 *
 *  with c the solid angle times polarization and v the variance of y (y itself for
 *  counts): the standard error of the bin and the standard deviation of a pixel. */
typedef struct bragg_plan bragg_plan;
/** mask: rows x columns bytes, not zero = ignored; may be NULL. */
bragg_status bragg_plan_new(const bragg_geometry *geometry, size_t rows, size_t columns, const uint8_t *mask,
                            const bragg_plan_options *options, bragg_plan **out, bragg_error *err);
void bragg_plan_free(bragg_plan *plan);

/** What a plan depends on (geometry, shape, mask, options with the flat) as 32 digits:
 *  the same digits, the same plan. */
bragg_status bragg_plan_key(const bragg_geometry *geometry, size_t rows, size_t columns, const uint8_t *mask,
                            const bragg_plan_options *options, char key[BRAGG_HASH_TEXT], bragg_error *err);
/** Save a plan under its key, and read it back: EDATA for a damaged file, another key or
 *  another machine's order of bytes.  What is read gives the same bits. */
bragg_status bragg_plan_save(const bragg_plan *plan, const char *key, const char *path, bragg_error *err);
bragg_status bragg_plan_load(const char *path, const char *key, bragg_plan **out, bragg_error *err);
/** The plan from FOLDER/KEY.plan when it is there and whole; else a new one, which is
 *  saved there (that it cannot be is no failure).  known, may be NULL: it was there. */
bragg_status bragg_plan_get(const char *folder, const bragg_geometry *geometry, size_t rows, size_t columns, const uint8_t *mask,
                            const bragg_plan_options *options, bool *known, bragg_plan **out, bragg_error *err);

/** Integrate one frame.  dark and variance (same shape) may be NULL; without a
 *  variance the counts are Poisson's.  Pixels that are not finite or negative in
 *  this frame count as masked.  Empty bins are NAN.  Identical for any number of
 *  threads. */
bragg_status bragg_plan_integrate(const bragg_plan *plan, const bragg_frame *frame, const bragg_frame *dark,
                                  const bragg_frame *variance, bragg_pattern **out, bragg_error *err);

/** Where the errors come from: counting, or how much the pixels of a bin differ. */
typedef enum bragg_errors { BRAGG_ERRORS_POISSON, BRAGG_ERRORS_AZIMUTHAL } bragg_errors;
bool bragg_errors_parse(const char *name, bragg_errors *errors);   /**< "poisson", "azimuthal" */

/** Which pixels of a bin count: all; those within so many standard deviations of the
 *  mean of the others, again and again; those whose intensity lies between two
 *  quantiles, by weight (both 0.5: the median). */
typedef enum bragg_reject { BRAGG_REJECT_NONE, BRAGG_REJECT_CLIP, BRAGG_REJECT_QUANTILE } bragg_reject;

typedef struct bragg_integrate_options {
    const bragg_frame *dark;              /**< subtracted; NULL: none */
    const bragg_frame *const *variance;   /**< of each frame's counts; NULL: errors says */
    const double *monitor;                /**< one a frame: intensities are divided by it; NULL: 1 */
    bragg_errors errors;
    bragg_reject reject;
    double clip;                          /**< standard deviations */
    double low, high;                     /**< quantiles, 0 <= low <= high <= 1 */
    bool mean;                            /**< a bin is the mean of corrected pixels, sum w (y / c) / sum w,
                                               and not the ratio of sums, which weighs each by what it
                                               can tell; slower */
} bragg_integrate_options;
#define BRAGG_INTEGRATE_OPTIONS_INIT { NULL, NULL, NULL, BRAGG_ERRORS_POISSON, BRAGG_REJECT_NONE, 5, 0.5, 0.5, false }

/** Integrate n frames, which go through the plan several at a time.  Frame k, bin b:
 *  [k * rings * azimuths + azimuth * rings + ring] of intensity, sem (its standard
 *  error) and std (the standard deviation of a pixel; may be NULL).  What a frame
 *  gives does not depend on the others.  options may be NULL. */
bragg_status bragg_plan_integrate_frames(const bragg_plan *plan, const bragg_frame *const *frames, size_t n,
                                         const bragg_integrate_options *options, double *intensity, double *sem,
                                         double *std, bragg_error *err);
/** Bins of a plan and their centres: x, one a ring; chi_rad, one an azimuth. */
size_t bragg_plan_rings(const bragg_plan *plan);
size_t bragg_plan_azimuths(const bragg_plan *plan);
double bragg_plan_ring_centre(const bragg_plan *plan, size_t ring);   /**< of logarithmic bins the geometric mean of the edges */
double bragg_plan_azimuth_centre_rad(const bragg_plan *plan, size_t azimuth);
/** Full widths in 2theta that a point is the mean over: that of a bin (in the middle of
 *  a Q axis; NAN for d, r and logarithmic bins), and that at 2theta = 0 of a uniform density with the variance
 *  of what a pixel does, which counts over its own width and is shared over it again. */
double bragg_plan_bin_rad(const bragg_plan *plan);
double bragg_plan_pixel_rad(const bragg_plan *plan);
/** Covariances of the intensities of bins of one azimuth that share pixels, as a band
 *  matrix: band[d * bins + b] is that of bins b and b + d (rings next to each other), d = 0 …
 *  *width; caller frees.  By counting or of the options' variance; dark and rejection
 *  do not change it.  Without a frame, of even intensity: correlations, 1 for d = 0. */
bragg_status bragg_plan_covariance(const bragg_plan *plan, const bragg_frame *frame, const bragg_integrate_options *options, double **band,
                                   size_t *width, bragg_error *err);
/** Their means over the bins, of even intensity: as bragg_pattern keeps them. */
bragg_status bragg_plan_correlation(const bragg_plan *plan, double correlation[BRAGG_PATTERN_LAGS], bragg_error *err);
/** Sum of weight times correction of a bin (azimuth * n_bins + ring) when all its
 *  pixels count: intensity times this is the sum of its counts. */
double bragg_plan_norm(const bragg_plan *plan, size_t bin);

/** Integration over the axis and azimuth.
 *
 *      intensity, sigma: [azimuth][ring], rings next to each other; empty bins NAN */
typedef struct bragg_cake {
    size_t n_rings, n_azimuth;
    bragg_axis axis;
    double wavelength_ang;
    double *x, *chi_rad;      /**< bin centres */
    double *intensity, *sigma;
} bragg_cake;
/** As bragg_plan_integrate for a plan of any n_azimuth. */
bragg_status bragg_plan_integrate_cake(const bragg_plan *plan, const bragg_frame *frame, const bragg_frame *dark,
                                       const bragg_frame *variance, bragg_cake **out, bragg_error *err);
void bragg_cake_free(bragg_cake *cake);

#endif
