/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PATTERN_H
#define BRAGG_PATTERN_H

#include <bragg/error.h>
#include <bragg/units.h>
#include <stdbool.h>
#include <stddef.h>

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
} bragg_pattern;

/** New pattern of n zero points; NULL without memory. */
bragg_pattern *bragg_pattern_new(size_t n, bragg_axis axis);
void bragg_pattern_free(bragg_pattern *pattern);

/** At least two points, all finite, x increasing; else EDATA with the point. */
bragg_status bragg_pattern_check(const bragg_pattern *pattern, bragg_error *err);

/** Read columns of text: x y or x y sigma, separated by blanks, commas or
 *  semicolons (.xy .xye .dat .csv).  Lines that start with # ! ' ; / * are
 *  comments; in them "unit: q_A^-1" and "wavelength_ang: 0.4066" (ours) are
 *  obeyed.  Without a unit x is 2theta in degrees.  Up to four lines of other
 *  text may stand before the first number (.chi, headers of columns); after it
 *  anything that is not a point is EDATA with its line. */
bragg_status bragg_pattern_read_text(const char *path, bragg_pattern **out, bragg_error *err);

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
} bragg_peak;

/** Peaks at least `significance` standard uncertainties high, in order of x.
 *  Without sigmas the noise is estimated from third differences.  The caller frees
 *  *out. */
bragg_status bragg_pattern_peaks(const bragg_pattern *pattern, double significance, bragg_peak **out,
                                 size_t *n, bragg_error *err);

#endif
