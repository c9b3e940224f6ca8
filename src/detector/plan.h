/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_PLAN_H
#define DETECTOR_PLAN_H
/* What the makers and the users of an integration plan share. */

#include <bragg/detector.h>

/* A sparse matrix by rows, one row a bin, columns pixels, four bytes an entry because
 * a frame is summed as fast as the matrix comes from memory:
 *
 *      bin b = azimuth * n_rings + ring
 *      run[run_start[b]] … run[run_start[b + 1] - 1]        | base | n |
 *      entry[start[b]] …, n of each run after the other     weight << 16 | offset
 *
 * An entry is pixel base + offset with weight / FULL of its counts.  Weights are
 * whole numbers; norm[b], the sum of weight times correction over all of a bin's
 * pixels, is in the same unit, so that intensities and sigmas know nothing of it.
 * A bin that meets an invalid pixel in a frame sums its norm anew. */
enum { FULL = 65535, MOST_OFFSETS = 65536 };

typedef uint32_t entry;

static inline uint32_t entry_offset(entry e)
{
    return e & 0xffff;
}

static inline uint32_t entry_weight(entry e)
{
    return e >> 16;
}

typedef struct run {
    uint32_t base, n;
} run;

struct bragg_plan {
    bragg_plan_options opt;
    size_t rows, columns, n_rings, n_azimuth; /* bins = n_rings * n_azimuth */
    double first, step, wavelength_ang;
    double chi_first, chi_step;
    bool round;                               /* the azimuth bins close the circle */
    size_t *start, *run_start;
    entry *entry;
    run *run;
    double *norm;
    float *correction;                        /* a pixel: solid angle times polarization */
};

/* fmin and fmax are calls; no NAN comes this way. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

typedef struct share {
    uint32_t bin;
    entry e;
} share;

/* Offsets are from pixel base. */
typedef struct share_list {
    share *at;
    size_t n, room, base;
} share_list;

typedef struct point {
    double x, chi;
} point;

#pragma GCC visibility push(hidden)
/* A pixel's part of each bin.  centre and corners (in order round the pixel) are in
 * the axis' inside unit and radians. */
bragg_status bragg_plan_share(const struct bragg_plan *plan, share_list *list, size_t pixel, point centre,
                              const point corner[4], bragg_error *err);
/* Position along the detector's native axes (orientation 3), in pixels. */
void bragg_geometry_native(const bragg_geometry *g, double slow, double fast, double *d1, double *d2);
/* Rows of R3 R2 R1 that take (p1, p2, L) to the laboratory. */
void bragg_geometry_rotation(const bragg_geometry *g, double r[3][3]);
#pragma GCC visibility pop

#endif
