/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Covariance of bins that share pixels. */
#include "config.h"
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

/* A pixel's parts: bins and weights. */
typedef struct part {
    uint32_t bin, weight;
} part;

typedef struct parts {
    uint32_t *start;      /* of each pixel of a tile, and the end */
    part *at;
} parts;

/* The pieces of a tile, by pixel: a counting sort. */
static void sort_by_pixel(const tile *t, parts *out)
{
    const entry *e = t->entry;
    memset(out->start, 0, (TILE_PIXELS + 2) * sizeof *out->start);
    for (size_t k = 0; k < t->n_entries; k++)
        out->start[entry_offset(e[k]) + 2] += entry_weight(e[k]) > 0;
    for (size_t k = 0; k < TILE_PIXELS; k++)
        out->start[k + 2] += out->start[k + 1];
    for (size_t k = 0; k < t->n_pieces; k++)
        for (uint32_t i = 0; i < t->piece[k].n; i++, e++)
            if (entry_weight(*e))
                out->at[out->start[entry_offset(*e) + 1]++] = (part){ t->piece[k].bin, entry_weight(*e) };
}

typedef struct covering {
    const bragg_plan *plan;
    const bragg_frame *frame, *variance;
    double monitor;
    bool mean;
    size_t width, stride;     /* every so many tiles */
    double *band, *norm;
} covering;

/* What a pixel's count varies by and what it is divided by; false when it does not count. */
static bool look_at(const covering *c, size_t pixel, double *variance, double *correction)
{
    *correction = (double)c->plan->correction[pixel];
    *variance = c->variance ? bragg_plan_value(c->variance, pixel) : c->frame ? bragg_plan_value(c->frame, pixel) : *correction;
    return isfinite(*variance) && *correction > 0 && (!c->frame || isfinite(bragg_plan_value(c->frame, pixel)));
}

static void add_pixel(covering *c, size_t pixel, const part *p, size_t n)
{
    size_t rings = c->plan->n_rings, bins = plan_bins(c->plan);
    double v, correction;
    if (!n || !look_at(c, pixel, &v, &correction))
        return;
    v = c->mean ? v / (correction * correction) : v;
    for (size_t i = 0; i < n; i++) {
        c->norm[p[i].bin] += p[i].weight * (c->mean ? 1 : correction);
        for (size_t j = 0; j < n; j++) {
            size_t d = p[j].bin - p[i].bin;
            if (p[j].bin >= p[i].bin && p[i].bin / rings == p[j].bin / rings && d <= c->width)
                c->band[d * bins + p[i].bin] += (double)p[i].weight * p[j].weight * v;
        }
    }
}

/* The farthest two bins of one azimuth that a pixel lies in. */
static size_t widest(const bragg_plan *p, const part *at, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (at[j].bin > at[i].bin && at[i].bin / p->n_rings == at[j].bin / p->n_rings)
                most = MAX(most, at[j].bin - at[i].bin);
    return most;
}

/* Over all pixels of all tiles: how wide the band is, or the band. */
static bragg_status go_round(covering *c, bool measure, bragg_error *err)
{
    const bragg_plan *p = c->plan;
    size_t most = 0;
    for (size_t i = 0; i < p->n_tiles; i++)
        most = MAX(most, p->tile[i].n_entries);
    parts s = { malloc((TILE_PIXELS + 2) * sizeof *s.start), malloc((most + 1) * sizeof *s.at) };
    bragg_status st = s.start && s.at ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu bins", plan_bins(p));
    for (size_t i = 0; i < p->n_tiles && st == BRAGG_OK; i += c->stride) {
        sort_by_pixel(&p->tile[i], &s);
        for (uint32_t k = 0; k < TILE_PIXELS; k++) {
            const part *at = s.at + s.start[k];
            size_t n = s.start[k + 1] - s.start[k];
            if (measure)
                c->width = MAX(c->width, widest(p, at, n));
            else if (n)
                add_pixel(c, plan_pixel(p, &p->tile[i], k), at, n);
        }
    }
    free(s.start);
    free(s.at);
    return st;
}

/* From sums to covariances of intensities, or to correlations. */
static void divide(covering *c, bool correlations)
{
    size_t bins = plan_bins(c->plan);
    for (size_t d = c->width + 1; d-- > 0;) /* d = 0 last: the others need it */
        for (size_t b = 0; b < bins; b++) {
            bool apart = b + d >= bins || b / c->plan->n_rings != (b + d) / c->plan->n_rings;
            double by = apart ? 0 : correlations ? sqrt(c->band[b] * c->band[b + d]) : c->norm[b] * c->norm[b + d] * c->monitor * c->monitor;
            c->band[d * bins + b] = by > 0 ? c->band[d * bins + b] / by : d ? 0 : NAN;
        }
}

/* The beam's pixel covers bins without end: a band wider than this is cut. */
enum { MOST_WIDTH = 64, ENOUGH_TILES = 40 };

static bragg_status cover(const bragg_plan *p, const bragg_frame *frame, const bragg_integrate_options *o, size_t stride, double **band, size_t *width, bragg_error *err)
{
    covering c = { .plan = p, .stride = stride, .frame = frame, .variance = frame && o && o->variance ? o->variance[0] : NULL, .monitor = frame && o && o->monitor ? o->monitor[0] : 1,
                   .mean = o && o->mean };
    *band = NULL;
    if (frame && (frame->height != p->rows || frame->width != p->columns))
        return bragg_fail(err, BRAGG_EDATA, "frame: expected %zu x %zu pixels, found %zu x %zu", p->columns, p->rows, frame->width, frame->height);
    bragg_status st = go_round(&c, true, err);
    c.width = MIN(c.width, MOST_WIDTH);
    c.band = st == BRAGG_OK ? calloc((c.width + 1) * plan_bins(p), sizeof *c.band) : NULL;
    c.norm = calloc(plan_bins(p), sizeof *c.norm);
    if (st == BRAGG_OK && (!c.band || !c.norm))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu bins", plan_bins(p));
    if (st == BRAGG_OK)
        st = go_round(&c, false, err);
    if (st == BRAGG_OK)
        divide(&c, !frame);
    free(c.norm);
    if (st < 0)
        free(c.band);
    else
        *band = c.band;
    *width = c.width;
    return st;
}

bragg_status bragg_plan_covariance(const bragg_plan *p, const bragg_frame *frame, const bragg_integrate_options *o, double **band, size_t *width, bragg_error *err)
{
    return cover(p, frame, o, 1, band, width, err);
}

/* Some tiles, evenly over the frame, tell a mean as well as all. */
bragg_status bragg_plan_correlation(const bragg_plan *p, double correlation[BRAGG_PATTERN_LAGS], bragg_error *err)
{
    double *band;
    size_t width, bins = plan_bins(p), stride = p->n_tiles / ENOUGH_TILES + 1;
    bragg_status st = cover(p, NULL, NULL, stride, &band, &width, err);
    for (size_t d = 1; d <= BRAGG_PATTERN_LAGS; d++) {
        double sum = 0, n = 0;
        for (size_t b = 0; st == BRAGG_OK && d <= width && b + d < bins; b++)
            if (b / p->n_rings == (b + d) / p->n_rings && isfinite(band[b]) && isfinite(band[b + d])) {
                sum += band[d * bins + b];
                n++;
            }
        correlation[d - 1] = n > 0 ? sum / n : 0;
    }
    free(band);
    return st;
}
