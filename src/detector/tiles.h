/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_TILES_H
#define DETECTOR_TILES_H
/* What the makers and the users of an integration plan share. */

#include <bragg/detector.h>
#include <math.h>

/* The frame is cut into tiles, small enough for the pixels of eight frames to stay
 * in the cache and compact enough for a bin to meet each only once, in a piece:
 *
 *      frame           tile                    its pieces, by bin
 *      +----+----+     256 x 16 pixels,        bin | n    bin | n    …
 *      |  0 |  1 | …   offset = row << 8       its entries, piece after piece
 *      +----+----+              | column       weight << 16 | offset   …
 *
 * An entry gives weight / FULL of a pixel's counts to the bin.  Weights are whole
 * numbers, so that sums of weight times counts are exact in doubles; norm[b], the
 * sum of weight times correction over all of a bin's pixels, is in the same unit,
 * so that intensities and sigmas know nothing of it.  Pieces are filled up to a
 * multiple of UNROLL with entries of no weight.  Sums over tiles are made in
 * groups of tiles that do not depend on the number of threads. */
enum { FULL = 65535, TILE_ROWS = 16, TILE_SHIFT = 8, TILE_COLUMNS = 1 << TILE_SHIFT, TILE_PIXELS = TILE_ROWS * TILE_COLUMNS, MOST_GROUPS = 8, UNROLL = 4 };

typedef uint32_t entry;

static inline uint32_t entry_offset(entry e)
{
    return e & 0xffff;
}

static inline uint32_t entry_weight(entry e)
{
    return e >> 16;
}

typedef struct piece {
    uint32_t bin, n;
} piece;

typedef struct tile {
    size_t row, column, rows, columns;
    size_t n_pieces, n_entries;
    piece *piece;
    entry *entry;
} tile;

/* Sums over all of a bin's pixels of weight times correction, its square and cube. */
typedef struct norms {
    double one, two, three;
    double largest;                           /* weight */
} norms;

struct bragg_plan {
    bragg_plan_options opt;
    size_t rows, columns, n_rings, n_azimuth; /* bins = n_rings * n_azimuth */
    double first, step, wavelength_ang, pixel_rad; /* first and step of logarithms, when bins are logarithmic */
    double chi_first, chi_step;
    bool round;                               /* the azimuth bins close the circle */
    tile *tile;
    size_t n_tiles, tiles_a_group, n_groups, n_entries;
    norms *norm;
    float *correction;                        /* a pixel: solid angle times polarization … */
    void *store;                              /* of a plan that was read: what the tiles point into */
};

static inline size_t plan_bins(const bragg_plan *p)
{
    return p->n_rings * p->n_azimuth;
}

/* Where bin k begins, in the axis' inside unit. */
static inline double plan_edge(const bragg_plan *p, double k)
{
    double x = p->first + k * p->step;
    return p->opt.logarithmic ? exp(x) : x;
}

/* Where in the frame an entry's pixel is. */
static inline size_t plan_pixel(const bragg_plan *p, const tile *t, uint32_t offset)
{
    return (t->row + (offset >> TILE_SHIFT)) * p->columns + t->column + (offset & (TILE_COLUMNS - 1));
}

/* fmin and fmax are calls; no NAN comes this way. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

typedef struct share {
    uint32_t bin;
    entry e;
} share;

typedef struct share_list {
    share *at;
    size_t n, room;
} share_list;

typedef struct point {
    double x, chi;
} point;

#pragma GCC visibility push(hidden)
/* out = atan2(y, x), to some units of the last place. */
void bragg_plan_angles(const double *y, const double *x, size_t n, double *out);
/* A pixel's part of each bin.  offset is its place in the tile whose list it goes to;
 * centre and corners (in order round the pixel) are in the axis' inside unit and
 * radians. */
bragg_status bragg_plan_share(const struct bragg_plan *plan, share_list *list, size_t offset, point centre,
                              const point corner[4], bragg_error *err);
/* Position along the detector's native axes (orientation 3), in pixels. */
void bragg_geometry_native(const bragg_geometry *g, double slow, double fast, double *d1, double *d2);
/* Rows of R3 R2 R1 that take (p1, p2, L) to the laboratory. */
void bragg_geometry_rotation(const bragg_geometry *g, double r[3][3]);
/* A pixel as a double; NAN where it does not count. */
double bragg_plan_value(const bragg_frame *f, size_t pixel);
#pragma GCC visibility pop

#endif
