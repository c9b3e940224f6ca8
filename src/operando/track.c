/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Peaks followed through a run without a model: found in means of a few rows, linked
 * from mean to mean, then fitted row by row.
 *
 *      block   0   1   2   3   4   5
 *      chain   ●───●───●───●───●───●
 *                           ╲               split: begins beside a chain that goes on
 *                            ●──●
 *      chain   ●───●                        gone, and
 *                              ●───●        back: one chain with a gap
 *              ●       ●───●
 *                  ●           ●            in turn on one line: one chain */
#include "config.h"
#include "analyse.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/thread.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCKS = 120, MOST_TRACKS = 40, PATIENCE = 2 };

typedef struct chain {
    double *x, *wide;         /* a block each, NAN where it was not seen */
    size_t first, last, seen, split_from, merged_into;
    double most, strength;    /* largest significance, and their sum */
    bool given, gone;
} chain;

typedef struct tracker {
    const bragg_store_curves *c;
    const bragg_analysis_options *o;
    bragg_arena *arena;
    size_t each, blocks;      /* rows a block */
    chain *chain;
    size_t n, room;
    double step;              /* of 2theta */
} tracker;

/* ------------------------------------------------------------- finding */

/* Mean of the rows of a block, points that any lacks left out. */
static bragg_pattern *mean_of(const tracker *t, size_t block)
{
    const bragg_store_curves *c = t->c;
    size_t first = block * t->each, last = first + t->each < c->rows ? first + t->each : c->rows, n = 0;
    bragg_pattern *p = bragg_pattern_new(c->n, BRAGG_AXIS_TTH);
    double *room = p ? calloc(5 * c->n + 1, sizeof *room) : NULL, *y = room, *variance = room ? y + c->n : NULL, *m = room ? variance + c->n : NULL;
    for (size_t r = first; room && r < last; r++) {
        const double *v = bragg_store_curves_row(c, BRAGG_CURVE_OBSERVED, r, m + c->n), *s = bragg_store_curves_row(c, BRAGG_CURVE_SIGMA, r, m + 2 * c->n);
        for (size_t i = 0; i < c->n; i++)
            if (isfinite(v[i])) {
                y[i] += v[i], m[i]++;
                variance[i] += s[i] > 0 ? s[i] * s[i] : NAN;
            }
    }
    for (size_t i = 0; room && i < c->n; i++)
        if (m[i] > 0) {
            p->x[n] = c->x_rad[i];
            p->y[n] = y[i] / m[i];
            p->sigma[n++] = sqrt(variance[i]) / m[i];
        }
    if (!room) {
        bragg_pattern_free(p);
        return NULL;
    }
    free(room);
    if (p) {
        p->n = n;
        p->wavelength_ang = t->o->wavelength_ang[0];
        p->wavelength2_ang = t->o->wavelength_ang[1];
        p->ratio2 = t->o->ratio2;
    }
    return p;
}

static bragg_status new_chain(tracker *t, chain **out, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&t->chain, &t->room, t->n + 1, sizeof *t->chain, err);
    double *x = st == BRAGG_OK ? bragg_arena_alloc(t->arena, 2 * t->blocks, sizeof *x) : NULL;
    if (st < 0 || !x)
        return st < 0 ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for a track");
    for (size_t b = 0; b < 2 * t->blocks; b++)
        x[b] = NAN;
    *out = &t->chain[t->n++];
    **out = (chain){ .x = x, .wide = x + t->blocks, .split_from = SIZE_MAX, .merged_into = SIZE_MAX };
    return BRAGG_OK;
}

/* Where a chain should stand by now. */
static double expected_at(const chain *c, size_t block)
{
    size_t before = c->last;
    while (before-- > c->first)
        if (isfinite(c->x[before]))
            break;
    if (before >= c->last || !isfinite(c->x[before]))
        return c->x[c->last];
    double v = (c->x[c->last] - c->x[before]) / (double)(c->last - before), reach = 0.5 * c->wide[c->last];
    return c->x[c->last] + fmin(fmax(v * (double)(block - c->last), -reach), reach);
}

static void put(chain *c, size_t block, const bragg_peak *p)
{
    if (!c->seen++)
        c->first = block;
    c->last = block;
    c->x[block] = p->x;
    c->wide[block] = p->fwhm;
    c->most = fmax(c->most, p->significance);
    c->strength += p->significance;
}

/* The nearest pair first, then the next. */
static bragg_status link_block(tracker *t, size_t block, bragg_peak *peak, size_t n, bragg_error *err)
{
    bool *taken = calloc(n + 1, sizeof *taken);
    bragg_status st = taken ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for peaks");
    for (size_t turn = 0; st == BRAGG_OK && turn < n; turn++) {
        double nearest = 1;
        size_t which = SIZE_MAX, whose = SIZE_MAX;
        for (size_t j = 0; j < t->n; j++) {
            chain *c = &t->chain[j];
            if (c->gone || c->last == block)
                continue;
            for (size_t k = 0; k < n; k++) {
                double reach = fmax(0.6 * fmin(peak[k].fwhm, c->wide[c->last]), 2.5 * t->step);
                double off = fabs(peak[k].x - expected_at(c, block)) / reach;
                if (!taken[k] && off < nearest)
                    nearest = off, which = k, whose = j;
            }
        }
        if (which == SIZE_MAX)
            break;
        taken[which] = true;
        put(&t->chain[whose], block, &peak[which]);
    }
    for (size_t k = 0; st == BRAGG_OK && k < n; k++) {
        chain *c;
        if (taken[k] || peak[k].alpha2)
            continue;
        size_t beside = SIZE_MAX;
        for (size_t j = 0; block > 0 && j < t->n; j++)
            if (!t->chain[j].gone && t->chain[j].seen >= 2 && fabs(expected_at(&t->chain[j], block) - peak[k].x) < 1.6 * fmax(t->chain[j].wide[t->chain[j].last], peak[k].fwhm))
                beside = j;
        st = new_chain(t, &c, err);
        if (st == BRAGG_OK) {
            c->split_from = beside;
            put(c, block, &peak[k]);
        }
    }
    for (size_t j = 0; st == BRAGG_OK && j < t->n; j++)
        t->chain[j].gone |= block - t->chain[j].last > PATIENCE;
    free(taken);
    return st;
}

/* Half of the peaks are no wider. */
static double usual_width(const bragg_peak *peak, size_t n)
{
    double width = INFINITY;
    for (size_t k = 0; k < n; k++) {
        size_t below = 0;
        for (size_t j = 0; j < n; j++)
            below += peak[j].fwhm <= peak[k].fwhm;
        width = 2 * below >= n ? fmin(width, peak[k].fwhm) : width;
    }
    return width;
}

/* Second lines of a doublet are fitted with the first; a shoulder is followed once it is
 * a peak; a hump many times as wide as the peaks are is background. */
static size_t drop_others(bragg_peak *peak, size_t n)
{
    enum { HUMP = 3, FEW = 5 };
    double widest = n < FEW ? INFINITY : HUMP * usual_width(peak, n);
    size_t m = 0;
    for (size_t k = 0; k < n; k++)
        if (!peak[k].alpha2 && !peak[k].shoulder && peak[k].fwhm <= widest)
            peak[m++] = peak[k];
    return m;
}

static bragg_status find_chains(tracker *t, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t b = 0; b < t->blocks && st == BRAGG_OK; b++) {
        bragg_peak *peak = NULL;
        size_t n = 0;
        bragg_pattern *p = mean_of(t, b);
        if (!p)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
        if (p->n > 50) /* a gap in the run is none of the peaks' */
            st = bragg_pattern_peaks(p, 6, &peak, &n, err);
        n = drop_others(peak, n);
        if (st == BRAGG_OK)
            st = link_block(t, b, peak, n, err);
        bragg_pattern_free(p);
        free(peak);
    }
    return st;
}

/* -------------------------------------------------------------- sorting */

static void note_merged(tracker *t)
{
    for (size_t j = 0; j < t->n; j++)
        for (size_t k = 0; k < t->n; k++) {
            const chain *a = &t->chain[j], *b = &t->chain[k];
            size_t next = a->last + 1;
            if (j == k || next >= t->blocks || b->first >= a->last || b->last < next || b->seen < a->seen / 4)
                continue;
            double there = NAN;
            for (size_t m = next; m <= b->last && !isfinite(there); m++)
                there = b->x[m];
            if (fabs(there - a->x[a->last]) < 1.6 * fmax(a->wide[a->last], b->wide[b->last]))
                t->chain[j].merged_into = k;
        }
}

/* Between the blocks it was seen in straight, beyond them as it was last; NAN: never seen. */
static double value_at(const tracker *t, const double *v, double at)
{
    ptrdiff_t blocks = (ptrdiff_t)t->blocks, left = (ptrdiff_t)fmin(floor(at), (double)blocks - 1), right = left + 1;
    while (left >= 0 && !isfinite(v[left]))
        left--;
    while (right < blocks && !isfinite(v[right]))
        right++;
    if (left < 0 || right >= blocks)
        return left >= 0 ? v[left] : right < blocks ? v[right] : NAN;
    return v[left] + (v[right] - v[left]) * (at - (double)left) / (double)(right - left);
}

/* Each stands where the other does, and hardly ever both are seen: a peak that went and came
 * back, or one that was found for the one chain and for the other in turn. */
static bool same_peak(const tracker *t, const chain *a, const chain *b)
{
    size_t first = a->first > b->first ? a->first : b->first, last = a->last < b->last ? a->last : b->last;
    size_t apart = 0, common = last > first ? last - first + 1 : 1; /* none: where the later begins */
    for (size_t m = first; m < first + common && 10 * apart <= common; m++) {
        double off = fabs(value_at(t, a->x, (double)m) - value_at(t, b->x, (double)m));
        apart += (isfinite(a->x[m]) && isfinite(b->x[m])) || off > 0.5 * fmax(value_at(t, a->wide, (double)m), value_at(t, b->wide, (double)m));
    }
    return 10 * apart <= common;
}

/* What b saw becomes a's. */
static void absorb(chain *a, chain *b)
{
    for (size_t m = b->first; m <= b->last; m++)
        if (isfinite(b->x[m]) && !isfinite(a->x[m]))
            a->x[m] = b->x[m], a->wide[m] = b->wide[m];
    a->split_from = b->first < a->first ? b->split_from : a->split_from;
    a->merged_into = b->last > a->last ? b->merged_into : a->merged_into;
    a->first = b->first < a->first ? b->first : a->first;
    a->last = b->last > a->last ? b->last : a->last;
    a->seen += b->seen;
    a->most = fmax(a->most, b->most);
    a->strength += b->strength;
    b->seen = 0;
}

static void join_same(tracker *t)
{
    for (size_t j = 0; j < t->n; j++)
        for (size_t k = 0; k < t->n; k++) {
            chain *a = &t->chain[j], *b = &t->chain[k];
            if (j == k || !a->seen || !b->seen || !same_peak(t, a, b))
                continue;
            absorb(a, b);
            for (size_t m = 0; m < t->n; m++) {
                t->chain[m].split_from = t->chain[m].split_from == k ? j : t->chain[m].split_from;
                t->chain[m].merged_into = t->chain[m].merged_into == k ? j : t->chain[m].merged_into;
            }
            a->split_from = a->split_from == j ? SIZE_MAX : a->split_from;
            a->merged_into = a->merged_into == j ? SIZE_MAX : a->merged_into;
        }
}

static double middle_of(const tracker *t, const chain *c)
{
    double sum = 0, n = 0;
    for (size_t b = 0; b < t->blocks; b++)
        if (isfinite(c->x[b]))
            sum += c->x[b], n++;
    return n > 0 ? sum / n : NAN;
}

/* Which chains are worth following: order[] gets them by position. */
static size_t choose(tracker *t, size_t *order)
{
    size_t n = 0, least = t->blocks < 6 ? 2 : t->blocks / 40 > 3 ? t->blocks / 40 : 3;
    if (t->blocks < 2)
        least = 1;
    while (n < MOST_TRACKS) {
        size_t best = SIZE_MAX;
        for (size_t j = 0; j < t->n; j++) {
            const chain *c = &t->chain[j];
            bool had = c->seen < least || !(c->most > 10);
            for (size_t k = 0; k < n; k++)
                had |= order[k] == j;
            if (!had && (best == SIZE_MAX || c->strength > t->chain[best].strength))
                best = j;
        }
        if (best == SIZE_MAX)
            break;
        order[n++] = best;
    }
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && middle_of(t, &t->chain[order[k]]) < middle_of(t, &t->chain[order[k - 1]]); k--) {
            size_t keep = order[k];
            order[k] = order[k - 1], order[k - 1] = keep;
        }
    return n;
}

/* Of those asked for the nearest chain each, or one that stands where it was asked for. */
static bragg_status choose_given(tracker *t, size_t *order, size_t *n, bragg_error *err)
{
    double wide = 8 * t->step;
    for (size_t j = 0; j < t->n; j++)
        if (t->chain[j].seen && t->chain[j].most > 10)
            wide = t->chain[j].wide[t->chain[j].last];
    *n = 0;
    for (size_t k = 0; k < t->o->n_peaks && *n < MOST_TRACKS; k++) {
        double x = t->o->peak_rad[k], nearest = INFINITY;
        size_t which = SIZE_MAX;
        for (size_t j = 0; j < t->n; j++)
            for (size_t b = 0; t->chain[j].seen && b < t->blocks; b++)
                if (fabs(t->chain[j].x[b] - x) < fmin(nearest, t->chain[j].wide[b]))
                    nearest = fabs(t->chain[j].x[b] - x), which = j;
        if (which == SIZE_MAX) {
            chain *c;
            bragg_status st = new_chain(t, &c, err);
            if (st < 0)
                return st;
            put(c, 0, &(bragg_peak){ .x = x, .fwhm = wide });
            which = t->n - 1;
        }
        bool had = false;
        for (size_t j = 0; j < *n; j++)
            had |= order[j] == which;
        if (!had)
            order[(*n)++] = which;
    }
    return BRAGG_OK;
}

/* -------------------------------------------------------------- starts */

static bragg_status make_starts(const tracker *t, const size_t *order, bragg_tracks *out, bragg_error *err)
{
    out->track = bragg_arena_alloc(t->arena, out->n + 1, sizeof *out->track);
    if (!out->track)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu tracks", out->n);
    for (size_t k = 0; k < out->n; k++) {
        const chain *c = &t->chain[order[k]];
        bragg_track *to = &out->track[k];
        *to = (bragg_track){ .split_from = SIZE_MAX, .merged_into = SIZE_MAX, .two_theta_rad = middle_of(t, c) };
        for (size_t j = 0; j < out->n; j++) {
            to->split_from = order[j] == c->split_from ? j : to->split_from;
            to->merged_into = order[j] == c->merged_into ? j : to->merged_into;
        }
        to->at = bragg_arena_alloc(t->arena, out->rows + 1, sizeof *to->at);
        if (!to->at)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a track of %zu rows", out->rows);
        for (size_t r = 0; r < out->rows; r++) {
            double at = ((double)r + 0.5) / (double)t->each - 0.5;
            to->at[r] = (bragg_track_point){ { value_at(t, c->x, at), NAN }, { NAN, NAN }, { value_at(t, c->wide, at), NAN }, isfinite(c->x[r / t->each]) };
        }
    }
    return BRAGG_OK;
}

/* ---------------------------------------------------------- background */

/* Points of a row that stand under no peak, and the line through those near each. */
typedef struct ground {
    const double *x, *y, *sigma;
    size_t n;
    bool *peak;
    double *sums;             /* up to each point: 1, x, y, xx, xy of those without peak */
} ground;

static void add_up(const ground *g)
{
    memset(g->sums, 0, 5 * sizeof *g->sums);
    for (size_t i = 0; i < g->n; i++) {
        double *to = g->sums + 5 * (i + 1), x = g->x[i] - g->x[0], use = g->peak[i] || !isfinite(g->y[i]) ? 0 : 1;
        memcpy(to, to - 5, 5 * sizeof *to);
        if (use > 0)
            to[0] += 1, to[1] += x, to[2] += g->y[i], to[3] += x * x, to[4] += x * g->y[i];
    }
}

/* Over `half` points to either side, more where peaks leave too few; beyond those that they
 * leave, which spread over sqrt(3) standard deviations, level. */
static double line_at(const ground *g, size_t i, size_t half)
{
    for (;; half *= 2) {
        size_t first = i > half ? i - half : 0, last = i + half + 1 < g->n ? i + half + 1 : g->n;
        double s[5];
        for (int k = 0; k < 5; k++)
            s[k] = g->sums[5 * last + (size_t)k] - g->sums[5 * first + (size_t)k];
        bool all = last - first == g->n;
        if (s[0] < 0.5 * (double)half && !all)
            continue;
        double sxx = s[3] - s[1] * s[1] / s[0], slope = sxx > 0 ? (s[4] - s[1] * s[2] / s[0]) / sxx : 0;
        double spread = sqrt(fmax(3 * sxx / s[0], 0)), off = fmin(fmax(g->x[i] - g->x[0] - s[1] / s[0], -spread), spread);
        return s[0] > 0 ? s[2] / s[0] + slope * off : NAN;
    }
}

/* Peaks that nobody follows: a few points that stand above the line together. */
static void mark_others(const ground *g, const double *line)
{
    enum { NEAR = 2 };
    for (size_t i = NEAR; i + NEAR < g->n; i++) {
        double sum = 0, variance = 0;
        for (size_t j = i - NEAR; j <= i + NEAR; j++)
            sum += g->y[j] - line[j], variance += g->sigma[j] * g->sigma[j];
        for (size_t j = i - NEAR; sum > 4 * sqrt(variance) && j <= i + NEAR; j++)
            g->peak[j] = true;
    }
}

static bragg_status share_row(const tracker *t, size_t row, size_t half, double *background, bragg_tracks *out, bragg_error *err)
{
    const bragg_store_curves *c = t->c;
    ground g = { .x = c->x_rad, .n = c->n, .peak = calloc(c->n + 1, sizeof *g.peak), .sums = malloc((7 * c->n + 5) * sizeof(double)) };
    bragg_status st = g.peak && g.sums ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a background");
    if (st == BRAGG_OK) {
        double *room = g.sums + 5 * c->n + 5;
        g.y = bragg_store_curves_row(c, BRAGG_CURVE_OBSERVED, row, room);
        g.sigma = bragg_store_curves_row(c, BRAGG_CURVE_SIGMA, row, room + c->n);
    }
    for (size_t k = 0; st == BRAGG_OK && k < out->n; k++) {
        const bragg_track_point *p = &out->track[k].at[row];
        for (size_t i = 0; i < c->n; i++)
            g.peak[i] |= fabs(c->x_rad[i] - p->two_theta_rad.value) < 3 * p->fwhm_rad.value;
    }
    double net = 0, variance = 0, below = 0, n = 0, free_points = 0;
    for (int turn = 0; st == BRAGG_OK && turn < 3; turn++) {
        add_up(&g);
        for (size_t i = 0; i < c->n; i++)
            background[i] = isfinite(g.y[i]) ? line_at(&g, i, half) : NAN;
        if (turn < 2)
            mark_others(&g, background);
    }
    for (size_t i = 0; st == BRAGG_OK && i < c->n; i++) {
        if (!isfinite(background[i]))
            continue;
        below += background[i], n++;
        free_points += !g.peak[i];
        net += g.peak[i] ? g.y[i] - background[i] : 0;
        variance += g.peak[i] && g.sigma[i] > 0 ? g.sigma[i] * g.sigma[i] : 0;
    }
    bool told = n > 0 && 5 * free_points >= n; /* in a thicket of peaks there is no ground to be seen */
    out->bragg[row] = told ? net / n : NAN;
    out->bragg_esd[row] = told ? sqrt(variance) / n : NAN;
    out->background[row] = told ? below / n : NAN;
    free(g.peak);
    free(g.sums);
    return st;
}

static bragg_status share_out(const tracker *t, bragg_tracks *out, bragg_error *err)
{
    const bragg_store_curves *c = t->c;
    double *background = malloc((c->n + 1) * sizeof *background), wide = 0;
    bragg_status st = background ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for backgrounds");
    for (size_t k = 0; k < out->n; k++)
        wide = fmax(wide, out->track[k].at[0].fwhm_rad.value);
    size_t half = (size_t)fmin(fmax(4 * wide / t->step, 20), (double)c->n / 16 + 1);
    for (size_t r = 0; r < c->rows && st == BRAGG_OK; r++)
        st = share_row(t, r, half, background, out, err);
    free(background);
    return st == BRAGG_OK ? bragg_tracks_share(out, err) : st;
}

/* What the background holds over the twentieth of the rows where it holds least.  What a fit
 * takes for background it does not take for peaks: the one's doubt is the other's. */
bragg_status bragg_tracks_share(bragg_tracks *t, bragg_error *err)
{
    double *sorted = malloc((t->rows + 1) * sizeof *sorted), least = 0;
    size_t n = 0;
    if (!sorted)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for backgrounds");
    for (size_t r = 0; r < t->rows; r++)
        if (isfinite(t->background[r]))
            sorted[n++] = t->background[r];
    qsort(sorted, n, sizeof *sorted, bragg_array_by_value);
    for (size_t k = 0; n && k < (n + 19) / 20; k++)
        least += sorted[k] / (double)((n + 19) / 20);
    for (size_t r = 0; r < t->rows; r++) {
        t->amorphous[r] = t->background[r] - least;
        double amorphous = fmax(t->amorphous[r], 0), all = t->bragg[r] + amorphous, more = t->by_fit ? all : fmax(amorphous, t->bragg_esd[r]);
        t->crystalline[r] = (bragg_quantity){ all > 0 ? t->bragg[r] / all : NAN, all > 0 ? t->bragg_esd[r] * more / (all * all) : NAN };
    }
    free(sorted);
    return BRAGG_OK;
}

/* ---------------------------------------------------------------- events */

/* Base and slope of max(0, t - t0) that fit y best, and what they leave. */
static double hinge(const double *t, const double *y, const double *sigma, size_t n, double t0)
{
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0, wyy = 0;
    for (size_t k = 0; k < n; k++) {
        double i = 1 / (sigma[k] * sigma[k]), x = fmax(0, t[k] - t0);
        w += i, wx += i * x, wy += i * y[k], wxx += i * x * x, wxy += i * x * y[k], wyy += i * y[k] * y[k];
    }
    double sxx = wxx - wx * wx / w, sxy = wxy - wx * wy / w, syy = wyy - wy * wy / w;
    return sxx > 0 && sxy > 0 ? syy - sxy * sxy / sxx : syy;
}

/* Where it bends: the middle of what is within one of the best chi^2 (scatter taken off). */
static bragg_quantity bend_of(const double *t, const double *y, const double *sigma, size_t n)
{
    enum { STEPS = 400 };
    double best = INFINITY, span = t[n - 1] - t[0], low = NAN, high = NAN;
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < STEPS; k++) {
            double t0 = t[0] + span * (k + 0.5) / STEPS, left = hinge(t, y, sigma, n, t0), scale = n > 4 ? fmax(1, best / (double)(n - 3)) : 1;
            if (!pass)
                best = fmin(best, left);
            else if (left < best + scale) {
                low = isfinite(low) ? low : t0;
                high = t0;
            }
        }
    return (bragg_quantity){ (low + high) / 2, hypot((high - low) / 2, 0.2) }; /* a row is no point in time */
}

static bool is_there(const bragg_track_point *p, double most) { return p->area.value > 4 * p->area.esd && p->area.value > 0.03 * most; }

/* The rows it is there in, flicker taken off. */
static void settle_presence(bragg_track *t, size_t rows)
{
    size_t steady = rows < 12 ? 1 : rows < 40 ? 2 : 3;
    double most = 0;
    for (size_t r = 0; r < rows; r++)
        if (t->at[r].area.value > 4 * t->at[r].area.esd)
            most = fmax(most, t->at[r].area.value);
    bool now = false, begun = false;
    for (size_t r = 0; r < rows; r++) {
        size_t m = 0, looked = 0, change = 0;
        for (size_t k = r; k < rows && looked < steady; k++) {
            if (!isfinite(t->at[k].area.value))
                continue;
            looked++;
            m += is_there(&t->at[k], most);
        }
        change = now ? looked - m : m;
        if (looked && (!begun ? 2 * m > looked : change == looked && looked == steady))
            now = begun ? !now : true;
        begun |= looked > 0;
        t->at[r].there = now && isfinite(t->at[r].area.value);
    }
}

/* The rows between two changes, read towards the change, up to 60 % of the most. */
static bool time_event(const bragg_track *t, size_t rows, size_t change, bool onset, double *room, bragg_quantity *out)
{
    double *x = room, *y = room + rows, *sigma = room + 2 * rows, most = 0, way = onset ? 1 : -1;
    ptrdiff_t step = onset ? 1 : -1, from = (ptrdiff_t)change - (onset ? 0 : 1), n = 0;
    for (ptrdiff_t r = from; r >= 0 && r < (ptrdiff_t)rows && t->at[r].there; r += step)
        most = fmax(most, t->at[r].area.value);
    ptrdiff_t begin = from - step;
    for (int back = 0; back < 14 && begin - step >= 0 && begin - step < (ptrdiff_t)rows && !t->at[begin - step].there; back++)
        begin -= step;
    size_t beyond = 0;
    for (ptrdiff_t r = begin; r >= 0 && r < (ptrdiff_t)rows && beyond < 2; r += step) {
        const bragg_track_point *p = &t->at[r];
        if (!isfinite(p->area.value) || !(p->area.esd > 0))
            continue;
        x[n] = way * (double)r, y[n] = p->area.value, sigma[n++] = hypot(p->area.esd, 0.02 * most);
        beyond += p->there && p->area.value > 0.6 * most;
    }
    if (n < 3)
        return false;
    *out = bend_of(x, y, sigma, (size_t)n);
    out->value *= way;
    return isfinite(out->value);
}

static bragg_status find_events(bragg_track *t, size_t rows, bragg_arena *arena, bragg_error *err)
{
    double *room = malloc((3 * rows + 3) * sizeof *room);
    bragg_track_event *event = malloc((rows + 1) * sizeof *event);
    bool before = false, any = false;
    double sum = 0, moment = 0;
    if (room && event)
        settle_presence(t, rows);
    for (size_t r = 0; room && event && r < rows; r++) {
        const bragg_track_point *p = &t->at[r];
        if (!isfinite(p->area.value))
            continue;
        bool onset = p->there && any && !before, end = before && !p->there;
        bragg_track_event e = { onset, { NAN, NAN } };
        if ((onset || end) && time_event(t, rows, r, onset, room, &e.row))
            event[t->n_events++] = e;
        before = p->there;
        any = true;
        if (p->there && isfinite(p->two_theta_rad.value))
            sum += p->area.value, moment += p->area.value * p->two_theta_rad.value;
    }
    t->two_theta_rad = sum > 0 ? moment / sum : t->two_theta_rad;
    t->event = room && event ? bragg_arena_alloc(arena, t->n_events + 1, sizeof *event) : NULL;
    if (t->event)
        memcpy(t->event, event, t->n_events * sizeof *event);
    free(room);
    free(event);
    return t->event ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for events");
}

/* ------------------------------------------------------------------ all */

typedef struct fitting {
    const tracker *t;
    bragg_tracks *out;
} fitting;

static bragg_status fit_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const fitting *f = payload;
    bragg_status st = BRAGG_OK;
    for (size_t r = first; r < last && st == BRAGG_OK; r++)
        st = bragg_track_fit_row(f->t->c, r, f->t->o, f->out->track, f->out->n, err);
    return st;
}

static bragg_status allot(tracker *t, bragg_tracks *out, bragg_error *err)
{
    size_t rows = t->c->rows;
    *out = (bragg_tracks){ .rows = rows, .frames = t->c->frames };
    out->bragg = bragg_arena_alloc(t->arena, 4 * rows + 1, sizeof *out->bragg);
    out->crystalline = bragg_arena_alloc(t->arena, rows + 1, sizeof *out->crystalline);
    if (!out->bragg || !out->crystalline)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu rows", rows);
    out->bragg_esd = out->bragg + rows, out->background = out->bragg + 2 * rows, out->amorphous = out->bragg + 3 * rows;
    return BRAGG_OK;
}

bragg_status bragg_series_track(const bragg_store_curves *c, const bragg_analysis_options *o, bragg_arena *arena, bragg_tracks **out, bragg_error *err)
{
    size_t order[MOST_TRACKS];
    if (c->n < 50 || !c->rows)
        return bragg_fail(err, BRAGG_EDATA, "peaks: expected patterns of 50 points at least, found %zu of %zu", c->rows, c->n);
    tracker t = { .c = c, .o = o, .arena = arena, .each = (c->rows + MOST_BLOCKS - 1) / MOST_BLOCKS, .step = (c->x_rad[c->n - 1] - c->x_rad[0]) / (double)(c->n - 1) };
    t.blocks = (c->rows + t.each - 1) / t.each;
    *out = bragg_arena_alloc(arena, 1, sizeof **out);
    bragg_status st = *out ? allot(&t, *out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for tracks");
    if (st == BRAGG_OK)
        st = find_chains(&t, err);
    if (st == BRAGG_OK) {
        note_merged(&t);
        join_same(&t);
        if (o->n_peaks)
            st = choose_given(&t, order, &(*out)->n, err);
        else
            (*out)->n = choose(&t, order);
    }
    if (st == BRAGG_OK)
        st = make_starts(&t, order, *out, err);
    if (st == BRAGG_OK)
        st = share_out(&t, *out, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(c->rows, 4, fit_rows, &(fitting){ &t, *out }, err);
    for (size_t k = 0; st == BRAGG_OK && k < (*out)->n; k++)
        st = find_events(&(*out)->track[k], c->rows, arena, err);
    free(t.chain);
    return st;
}
