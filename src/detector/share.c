/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a pixel's counts are shared among the bins it covers.
 *
 * Where we differ from pyFAI (0.21 to 2025), and why:
 *  - a pixel that crosses an end of the range counts there by the part of it that
 *    lies inside.  pyFAI counts the whole pixel into the first or last bin (its
 *    bounding boxes and histograms truncate towards zero, so that bin 0 also takes
 *    what lies one bin below the range; its polygons are normalised by the part
 *    inside), which gives its first bins up to twice their pixels.
 *  - a pixel over the cut of chi at +-pi is shared by the first and the last
 *    azimuth; pyFAI moves it to one side and clips the rest. */
#include "config.h"
#include "tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bragg_status add_share(share_list *l, size_t bin, size_t pixel, double part, bragg_error *err)
{
    unsigned weight = (unsigned)(part * FULL + 0.5);
    if (!weight)
        return BRAGG_OK;
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 1 << 14;
        share *more = realloc(l->at, room * sizeof *more);
        if (!more)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
        l->at = more;
        l->room = room;
    }
    entry e = (entry)(weight < FULL ? weight : FULL) << 16 | (entry)pixel;
    l->at[l->n++] = (share){ (uint32_t)bin, e };
    return BRAGG_OK;
}

/* The azimuth bin of a strip: -1 outside.  A full circle goes on at its start. */
static long azimuth_of(const bragg_plan *p, long strip)
{
    long n = (long)p->n_azimuth;
    if (p->round)
        return ((strip % n) + n) % n;
    return strip >= 0 && strip < n ? strip : -1;
}

/* Azimuth in bins from the first.  The cut lies in the middle of what is left out,
 * as far from the bins as can be. */
static double strip_of(const bragg_plan *p, double chi)
{
    double width = p->chi_step * (double)p->n_azimuth, before = (2 * BRAGG_PI - width) / 2;
    double u = chi - p->chi_first + before;
    u -= 2 * BRAGG_PI * floor(u / (2 * BRAGG_PI));
    return (u - before) / p->chi_step;
}

/* Evenly over [a, b] of one azimuth, whose share of the pixel is `part`. */
static bragg_status share_ring(const bragg_plan *p, share_list *l, size_t pixel, long azimuth, double part, double a,
                               double b, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    double length = b - a, end = (double)p->n_rings;
    if (azimuth < 0 || b <= 0 || a >= end || !(part > 0))
        return st;
    for (size_t k = a > 0 ? (size_t)a : 0; k < p->n_rings && (double)k < b && st == BRAGG_OK; k++) {
        double inside = MIN(b, (double)k + 1) - MAX(a, (double)k);
        if (inside > 0)
            st = add_share(l, (size_t)azimuth * p->n_rings + k, pixel, part * inside / length, err);
    }
    return st;
}

/* Evenly over the box [a, b] x [chi_a, chi_b], all in bins. */
static bragg_status share_box(const bragg_plan *p, share_list *l, size_t pixel, double a, double b, double chi_a,
                              double chi_b, bragg_error *err)
{
    if (!(b > a))
        return BRAGG_OK;
    if (p->n_azimuth == 1 && p->round)
        return share_ring(p, l, pixel, 0, 1, a, b, err);
    if (!(chi_b > chi_a))
        return BRAGG_OK;
    bragg_status st = BRAGG_OK;
    for (double k = floor(chi_a); k < chi_b && st == BRAGG_OK; k++) {
        double part = (MIN(chi_b, k + 1) - MAX(chi_a, k)) / (chi_b - chi_a);
        st = share_ring(p, l, pixel, azimuth_of(p, (long)k), part, a, b, err);
    }
    return st;
}

static bragg_status share_centre(const bragg_plan *p, share_list *l, size_t pixel, double x, double strip, bragg_error *err)
{
    double n = (double)p->n_rings, m = (double)p->n_azimuth;
    if (!(x >= 0 && x <= n && strip >= 0 && strip <= m))
        return BRAGG_OK;
    size_t ring = x < n ? (size_t)x : p->n_rings - 1; /* the range's end belongs to it */
    size_t azimuth = strip < m ? (size_t)strip : p->n_azimuth - 1;
    return add_share(l, azimuth * p->n_rings + ring, pixel, 1, err);
}

/* ------------------------------------------------------------- by area */

enum { MOST_BINS = 256, CORNERS = 8 };

/* Integral of chi dx along an edge, bin by bin of x. */
static void add_edge(point a, point b, long low, double *area)
{
    double dx = b.x - a.x;
    if (dx == 0)
        return;
    bool forward = dx > 0;
    double slope = (b.chi - a.chi) / dx, x = forward ? a.x : b.x, end = forward ? b.x : a.x, sign = forward ? 0.5 : -0.5;
    double chi = forward ? a.chi : b.chi;
    for (long k = (long)floor(x); x < end; k++) {
        double to = MIN((double)k + 1, end), width = to - x, next = chi + slope * width;
        area[k - low] += sign * width * (chi + next);
        chi = next;
        x = to;
    }
}

/* The part of a polygon with chi >= limit (side 1) or <= limit (side -1):
 * I. E. Sutherland & G. W. Hodgman, Comm. ACM 17 (1974) 32. */
static int cut(const point *in, int n, double limit, double side, point *out)
{
    int m = 0;
    for (int k = 0; k < n; k++) {
        point a = in[k], b = in[(k + 1) % n];
        double da = side * (a.chi - limit), db = side * (b.chi - limit);
        if (da >= 0)
            out[m++] = a;
        if ((da > 0 && db < 0) || (da < 0 && db > 0))
            out[m++] = (point){ a.x + (b.x - a.x) * da / (da - db), limit };
    }
    return m;
}

/* A polygon that lies within one azimuth, by the area of each ring's part of it. */
static bragg_status share_polygon(const bragg_plan *p, share_list *l, size_t pixel, long azimuth, const point *v, int n,
                                  double whole, bragg_error *err)
{
    double area[MOST_BINS + 2], low = INFINITY, high = -INFINITY;
    if (azimuth < 0)
        return BRAGG_OK;
    for (int k = 0; k < n; k++) {
        low = MIN(low, v[k].x);
        high = MAX(high, v[k].x);
    }
    if (!(high > 0 && low < (double)p->n_rings))
        return BRAGG_OK;
    long from = (long)floor(low), to = (long)floor(high);
    memset(area, 0, (size_t)(to - from + 1) * sizeof *area);
    for (int k = 0; k < n; k++)
        add_edge(v[k], v[(k + 1) % n], from, area);
    long last = to < (long)p->n_rings ? to : (long)p->n_rings - 1;
    bragg_status st = BRAGG_OK;
    for (long k = from > 0 ? from : 0; k <= last && st == BRAGG_OK; k++) {
        double weight = area[k - from] / whole;
        if (weight > 0)
            st = add_share(l, (size_t)azimuth * p->n_rings + (size_t)k, pixel, weight, err);
    }
    return st;
}

/* Twice the area, signed (the shoelace formula). */
static double area_of(const point *v)
{
    return ((v[2].x - v[0].x) * (v[3].chi - v[1].chi) - (v[3].x - v[1].x) * (v[2].chi - v[0].chi));
}

static bragg_status share_quad(const bragg_plan *p, share_list *l, size_t pixel, const point v[4], double low, double high,
                               bragg_error *err)
{
    double whole = -area_of(v) / 2; /* of chi dx, which runs the other way round */
    double below = MIN(MIN(v[0].chi, v[1].chi), MIN(v[2].chi, v[3].chi));
    double above = MAX(MAX(v[0].chi, v[1].chi), MAX(v[2].chi, v[3].chi));
    if (!(fabs(whole) > 1e-14) || high - low > MOST_BINS)
        return share_box(p, l, pixel, low, high, below, above, err);
    if (p->n_azimuth == 1 && p->round)
        return share_polygon(p, l, pixel, 0, v, 4, whole, err);
    if (floor(below) == floor(above))
        return share_polygon(p, l, pixel, azimuth_of(p, (long)floor(below)), v, 4, whole, err);
    bragg_status st = BRAGG_OK;
    for (double k = floor(below); k < above && st == BRAGG_OK; k++) {
        point half[CORNERS], part[CORNERS];
        int n = cut(v, 4, k, 1, half);
        n = cut(half, n, k + 1, -1, part);
        if (n > 2)
            st = share_polygon(p, l, pixel, azimuth_of(p, (long)k), part, n, whole, err);
    }
    return st;
}

/* The pixel that the beam goes through holds all azimuths and begins at zero: of
 * logarithms without end, which leaves no bin a part of it. */
static bragg_status share_beam(const bragg_plan *p, share_list *l, size_t pixel, double high, bragg_error *err)
{
    if (p->opt.logarithmic)
        return BRAGG_OK;
    return share_box(p, l, pixel, -p->first / p->step, high, 0, 2 * BRAGG_PI / p->chi_step, err);
}

bragg_status bragg_plan_share(const bragg_plan *p, share_list *l, size_t pixel, point centre, const point corner[4],
                              bragg_error *err)
{
    double x = (centre.x - p->first) / p->step, strip = strip_of(p, centre.chi);
    if (p->opt.split == BRAGG_SPLIT_NONE)
        return share_centre(p, l, pixel, x, strip, err);
    point v[4];
    double low = INFINITY, high = -INFINITY, narrow = INFINITY, wide = -INFINITY, reach = 0, turn = 0;
    for (int k = 0; k < 4; k++) {
        double chi = corner[k].chi - centre.chi; /* the cut at +-pi may run through a pixel */
        if (fabs(chi) > BRAGG_PI)
            chi -= copysign(2 * BRAGG_PI, chi);
        v[k] = (point){ (corner[k].x - p->first) / p->step, strip + chi / p->chi_step };
        low = MIN(low, v[k].x);
        high = MAX(high, v[k].x);
        narrow = MIN(narrow, chi);
        wide = MAX(wide, chi);
        reach = MAX(reach, fabs(v[k].x - x));
        turn = MAX(turn, fabs(chi) / p->chi_step);
    }
    if (p->opt.split == BRAGG_SPLIT_BBOX) /* pyFAI's box: centred, out to the farthest corner */
        return share_box(p, l, pixel, x - reach, x + reach, strip - turn, strip + turn, err);
    if (high <= 0 || low >= (double)p->n_rings)
        return BRAGG_OK;
    return wide - narrow < BRAGG_PI ? share_quad(p, l, pixel, v, low, high, err) : share_beam(p, l, pixel, high, err);
}
