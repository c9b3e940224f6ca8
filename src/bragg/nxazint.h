/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_NXAZINT_H
#define BRAGG_NXAZINT_H

#include <bragg/error.h>
#include <bragg/pattern.h>

/** Integrated frames in one HDF5 file as the NeXus definitions NXazint1d and
 *  NXazint2d (cakes) describe it (MAX IV, doi:10.1107/S1600577522008232):
 *
 *      /entry/data/I, I_errors   [frame][azimuth][ring], of 1d [frame][ring]
 *      /entry/data/I_deviations  the same, when asked for
 *      /entry/data/radial_axis, azimuthal_axis and their edges
 *      /entry/frames/name, time, exposure, monitor, temperature, valid   [frame]
 *      /entry/reduction/input    how it was made
 *
 *  The file is complete and closed after each append, so that others read it while
 *  it grows and an interrupted run can go on. */
typedef struct bragg_nxazint_header {
    size_t n_rings, n_azimuth;        /**< n_azimuth 0: NXazint1d */
    const double *x, *chi_rad;        /**< bin centres in inside units; even steps, or ratios */
    const double *norm;               /**< a bin; may be NULL */
    bragg_axis axis;
    double wavelength_ang, polarization;  /**< NAN: unknown, not corrected for */
    double bin_rad, pixel_rad;        /**< of bragg_pattern; 0 or NAN: unknown */
    const double *correlation;        /**< BRAGG_PATTERN_LAGS numbers of bragg_pattern; may be NULL */
    const char *split;                /**< "none", "bbox" or "full"; may be NULL */
    bool solid_angle;
    bool logarithmic;                 /**< x are geometric means of edges of equal ratio */
    bool deviations;                  /**< I_deviations, the standard deviation of a pixel, beside I_errors */
    const char *bins;                 /**< how pixels make a bin, a sentence; NULL: ratio of sums */
    const char *poni, *poni_name;     /**< its text and file */
    const char *settings;             /**< of everything else that changes the numbers, one line a word */
} bragg_nxazint_header;

/** What is known of a frame; NAN where it is not.  valid: false for a row of NAN. */
typedef struct bragg_nxazint_row {
    const char *name;                 /**< file and frame, cut to 255 bytes */
    double time_s, exposure_s, monitor, temperature_k;
    bool valid;
} bragg_nxazint_row;

/** A new file without frames; EEXIST when it exists and force is false, ENOSUPPORT
 *  in a build without HDF5. */
bragg_status bragg_nxazint_create(const char *path, bool force, const bragg_nxazint_header *header, bragg_error *err);
/** Add n frames, intensity, sigma and, when the header says so, deviation [n][bins].  Waits up to a minute for a program
 *  that has the file open. */
bragg_status bragg_nxazint_append(const char *path, const bragg_nxazint_header *header, size_t n, const bragg_nxazint_row *rows,
                                  const double *intensity, const double *sigma, const double *deviation, bragg_error *err);
/** Frames that a file has, EDATA when it was made with another header; last, of 256
 *  bytes, is the name of the last of them. */
bragg_status bragg_nxazint_resume(const char *path, const bragg_nxazint_header *header, size_t *n, char *last, bragg_error *err);

#endif
