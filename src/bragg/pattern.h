/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PATTERN_H
#define BRAGG_PATTERN_H

#include <bragg/error.h>
#include <bragg/units.h>
#include <stdbool.h>
#include <stddef.h>

enum { BRAGG_PATTERN_LAGS = 16 };

/** The 1D powder pattern: abscissa, intensity and its standard uncertainty.
 *
 *      x[0] < x[1] < … < x[n-1]      on `axis` (2theta in radians inside)
 *      y[i], sigma[i]                sigma NAN where the file has none
 */
typedef struct bragg_pattern {
    size_t n;
    double *x, *y, *sigma;
    bragg_axis axis;          /**< what x is */
    double wavelength_ang;    /**< NAN when unknown */
    char *title;              /**< may be NULL */
    /* What the file says of the measurement; NAN where it is silent. */
    double wavelength2_ang;   /**< the second line of a doublet (K alpha 2) */
    double ratio2;            /**< its intensity over that of the first */
    double radius_m;          /**< of the goniometer, from source and to detector alike */
    double temperature_k;
    double azimuth_rad;       /**< middle of the sector of a cake; NAN: all around, or unknown */
    double time_s;            /**< start, seconds since 1970; a clock without a zone is taken as UTC */
    double counting_s;        /**< counting time of one point */
    double monitor;           /**< monitor counts the intensities refer to */
    double bin_rad;           /**< 2theta that a point is the mean over */
    double pixel_rad;         /**< the same of a flat detector's pixels, at 2theta = 0 */
    double correlation[BRAGG_PATTERN_LAGS]; /**< of the errors of points 1, 2 … apart, on average: pixels
                                   shared among bins; zeros: independent or unknown */
    bool counts;              /**< y are raw counts: sqrt(y) is the sigma to use where sigma is NAN */
} bragg_pattern;

/** New pattern of n zero points; NULL without memory. */
bragg_pattern *bragg_pattern_new(size_t n, bragg_axis axis);
void bragg_pattern_free(bragg_pattern *pattern);

/** At least two points, all finite, x increasing; else EDATA with the point. */
bragg_status bragg_pattern_check(const bragg_pattern *pattern, bragg_error *err);

/** Leave out the ends where nothing was measured: three points and more of intensity zero
 *  in a row, as programs write them for bins without a pixel.  The number left out; 0, and
 *  nothing done, where fewer than two would stay. */
size_t bragg_pattern_trim(bragg_pattern *pattern);

/** Change the abscissa in place; the points stay in rising order.  EINVAL without the
 *  wavelength that takes. */
bragg_status bragg_pattern_to_axis(bragg_pattern *pattern, bragg_axis axis, bragg_error *err);
/** Intensity at x[n] (rising, on the pattern's own axis), straight between its points
 *  into out[n]; NAN outside. */
void bragg_pattern_resample(const bragg_pattern *pattern, const double *x, size_t n, double *out);

/** Read columns of text: x y or x y sigma, separated by blanks, commas or
 *  semicolons (.xy .xye .dat .csv .prn .chi), whatever ends the lines, with or
 *  without a byte order mark.  Lines that start with # ! ' ; " or slash-star are
 *  comments; in them "unit: q_A^-1" and "wavelength_ang: 0.4066" (ours) are
 *  obeyed, and what 11-BM, Fit2D and pyFAI say of axis, wavelength, temperature
 *  and time is noted.  Without a unit x is 2theta in degrees.  Up to four lines
 *  of other text may stand before the first number, and any before a line
 *  "#### start data"; after it anything that is not a point is EDATA with its
 *  line.  Of four columns and more the first two are taken, and as sigma the one
 *  whose name says so.  Whole numbers without sigma are taken for counts. */
bragg_status bragg_pattern_read_text(const char *path, bragg_pattern **out, bragg_error *err);

/** Read pattern number index (from 0) of a file of any format we know; the
 *  bytes decide, the name only where they leave doubt.  A file holds several
 *  patterns when it has several scans, ranges, banks or data blocks; scans that
 *  are no powder patterns (rocking curves) do not count.  EDATA with the reason
 *  for a damaged file, ENOSUPPORT for what this build cannot read. */
bragg_status bragg_pattern_read(const char *path, size_t index, bragg_pattern **out, bragg_error *err);

/** The same with the file's numbers in a unit that the caller knows, whatever the file was
 *  taken to be in. */
bragg_status bragg_pattern_read_as(const char *path, size_t index, bragg_axis unit, bragg_pattern **out, bragg_error *err);

/** How many patterns a file holds. */
bragg_status bragg_pattern_count(const char *path, size_t *n, bragg_error *err);

/** All patterns of a file in one parse; free with bragg_patterns_free.  A frame that
 *  could not be integrated keeps its place in NXazint as a pattern of no points, which
 *  bragg_pattern_read answers with EDATA. */
bragg_status bragg_pattern_read_all(const char *path, bragg_pattern ***out, size_t *n, bragg_error *err);
void bragg_patterns_free(bragg_pattern **patterns, size_t n);

/** Name of the reader that takes a file ("gsas", "xrdml" …), for tests and talk. */
bragg_status bragg_pattern_format(const char *path, const char **name, bragg_error *err);

/** Row i of the table of readers: its name and one line of description; false
 *  past the end. */
bool bragg_pattern_reader(size_t i, const char **name, const char **description);

/** Write ours: a header of comments, then x y [sigma]; points whose y is not
 *  finite are left out.  The file appears whole or not at all. */
bragg_status bragg_pattern_write_text(const bragg_pattern *pattern, const char *path, bool force,
                                      bragg_error *err);

/** Background under the peaks by SNIP with the LLS operator (C. G. Ryan et al.,
 *  Nucl. Instrum. Meth. B34 (1988) 396; M. Morhac et al., Nucl. Instrum. Meth.
 *  A401 (1997) 113): windows shrink from half_width (in x) to one point.  out has
 *  room for n values. */
bragg_status bragg_pattern_background(const bragg_pattern *pattern, double half_width, double *out,
                                      bragg_error *err);

/** One peak above the background. */
typedef struct bragg_peak {
    double x, height, area, fwhm;   /**< in the pattern's axis and intensity */
    double significance;            /**< height over its standard uncertainty */
    double x_esd;                   /**< of x: counting noise and a fortieth of a step */
    bool alpha2;                    /**< stands where the second line of a doublet puts the image of
                                         a peak at its left, as high as ratio2 says */
    bool shoulder;                  /**< no top of its own: on the side of a stronger one, seen by its curvature */
} bragg_peak;

/** Peaks at least `significance` standard uncertainties high, in order of x.  Shoulders
 *  are where the curvature has a minimum of its own that is as significant;
 *  their heights are estimates.
 *  Without sigmas the noise is estimated from third differences.  Where the pattern
 *  knows its doublet (wavelength2_ang, ratio2) the resolved second lines are marked.
 *  The caller frees *out. */
bragg_status bragg_pattern_peaks(const bragg_pattern *pattern, double significance, bragg_peak **out,
                                 size_t *n, bragg_error *err);

#endif
