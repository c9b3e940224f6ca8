/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Candidates from all cards: their strongest lines against what is left of a pattern,
 * over u = ln d.  A cell that swells by s shifts all its lines by s, so that the match
 * of a card at all shifts is a correlation:
 *
 *      score(s) = sum_j w_j seen(u_j + s) / sum_j w_j free(u_j + s)
 *
 * seen is 0 to 1 where an unexplained peak stands (wide enough for errors of zero and
 * displacement and for anisotropic strain), free is 1 where one could be seen: within
 * the pattern and not below peaks of phases already found.  Both are tables, each line
 * adds a row of them, and 45,000 cards take some hundredths of a second. */
#include "config.h"
#include "scene.h"

#include <bragg/array.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Shifts of -SIDE to SIDE - 1 steps of 0.1 %. */
enum { SIDE = 32, SHIFTS = 2 * SIDE, COARSE = 10, BINS = 6554, BLOCK = 512 };
static const double shift_step = COARSE * CARDS_LN_STEP;

typedef struct tables {
    float seen[BINS + 4 * SIDE], open[BINS + 4 * SIDE];
} tables;

typedef struct job {
    const cards_search *cards;
    const bragg_cards_filter *filter;
    const tables *t;
    float *score, *shift;
    uint64_t must[CARDS_MASK_WORDS], may[CARDS_MASK_WORDS], not[CARDS_MASK_WORDS];
} job;

/* Where the phases found before tell that the sample stands beside the axis, so will the
 * lines of the others. */
static double bin_of(const scene *s, double x)
{
    double theta = (x - s->displacement * cos(x / 2)) / 2;
    return log(s->radiation.wavelength_ang[0] / (2 * sin(theta)) / CARDS_D_MIN) / shift_step;
}

/* By so much may a card's intensities be off: that part of a known phase's peak is no line of
 * another. */
static const double misfit = 0.3;

/* Tops of what is left above the noise, and how far from them a line may stand. */
static void fill_seen(const scene *s, tables *t)
{
    for (size_t k = 0; k < s->n_peaks; k++) {
        const bragg_peak *p = &s->peak[k];
        size_t at = bragg_array_first(s->x, s->n - 1, p->x); /* first point behind the peak */
        double left = 0, all = 0, known = 0;
        for (size_t i = at > 2 ? at - 2 : 0; i < s->n && i <= at + 2; i++) {
            left = fmax(left, s->left[i]);
            all = fmax(all, s->net[i]);
            known = fmax(known, s->known[i]);
        }
        left -= misfit * known;
        if (p->alpha2 || !(all > 0) || left < 0.15 * all)
            continue;
        /* what a known phase leaves of its own peaks must not call its hundred relatives */
        double strength = pow(fmin(1, fmax(left, 0) / s->scale / 0.3), 0.25) * fmin(1, left / all / 0.6);
        double half = (0.06 * BRAGG_DEG / 2 + p->fwhm / 4) / tan(p->x / 2) / shift_step + 2.5, centre = bin_of(s, p->x);
        for (long b = (long)ceil(centre - half); b <= (long)floor(centre + half); b++) {
            long i = b + 2 * SIDE;
            if (i < 0 || i >= BINS + 4 * SIDE)
                continue;
            float v = (float)(strength * (1 - 0.6 * pow((double)fabs((double)b - centre) / half, 2)));
            t->seen[i] = fmaxf(t->seen[i], v);
        }
    }
}

static void fill_open(const scene *s, tables *t)
{
    for (size_t i = 0; i < s->n; i++) {
        double room = s->known[i] > 0.02 * s->scale ? fmax(0, 1 - 2 * s->known[i] / fmax(s->net[i], 1e-300)) : 1;
        long b = (long)floor(bin_of(s, s->x[i])) + 2 * SIDE, before = i ? (long)floor(bin_of(s, s->x[i - 1])) + 2 * SIDE : b;
        for (long k = b; k <= (before > b ? before : b); k++)
            if (k >= 0 && k < BINS + 4 * SIDE)
                t->open[k] = fmaxf(t->open[k], (float)fmax(room, 0.05));
    }
    for (size_t k = 0; k < BINS + 4 * SIDE; k++)
        t->open[k] = fmaxf(t->open[k], t->seen[k]);
}

CLONES static void add_row(float *restrict a, float *restrict b, const float *restrict seen, const float *restrict open, float w)
{
    for (int k = 0; k < SHIFTS; k++) {
        a[k] += w * seen[k];
        b[k] += w * open[k];
    }
}

static void score_card(const job *w, size_t row)
{
    const cards_search *c = w->cards;
    float a[SHIFTS] = { 0 }, b[SHIFTS] = { 0 }, total = 0, best = 0, at = 0;
    for (uint32_t k = c->first[row]; k < c->first[row + 1]; k++) {
        int bin = (c->at[k] + COARSE / 2) / COARSE;
        float weight = c->weight[k];
        total += weight;
        add_row(a, b, w->t->seen + bin + SIDE, w->t->open + bin + SIDE, weight);
    }
    for (int k = 0; k < SHIFTS; k++) {
        float shift = (float)(k - SIDE) / SIDE;
        /* of little that could be seen even all is little */
        float score = a[k] / (b[k] + 0.08f * total + 60) * (1 - 0.25f * shift * shift);
        if (score > best) {
            best = score;
            at = (float)((k - SIDE) * shift_step);
        }
    }
    w->score[row] = best;
    w->shift[row] = at;
}

static bool passes(const job *w, size_t row)
{
    bool good = true;
    for (int k = 0; k < CARDS_MASK_WORDS; k++) {
        uint64_t e = w->cards->elements[row][k];
        good = good && (e & w->must[k]) == w->must[k] && !(e & w->not[k]) && !(e & ~w->may[k]);
    }
    return good;
}

static bragg_status score_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    const job *w = payload;
    for (size_t k = first; k < last; k++)
        if (passes(w, k))
            score_card(w, k);
        else
            w->score[k] = -1;
    return BRAGG_OK;
    (void)err;
}

static void set_mask(uint64_t *mask, const unsigned char *z, size_t n)
{
    for (size_t k = 0; k < n; k++)
        mask[z[k] / 64 % CARDS_MASK_WORDS] |= (uint64_t)1 << z[k] % 64;
}

static void set_filter(job *w, const bragg_cards_filter *f)
{
    set_mask(w->must, f->must, f->n_must);
    set_mask(w->not, f->not, f->n_not);
    set_mask(w->may, f->must, f->n_must);
    set_mask(w->may, f->may, f->n_may);
    for (int k = 0; k < CARDS_MASK_WORDS && !f->n_may; k++)
        w->may[k] = ~(uint64_t)0;
}

/* The best by insertion into a heap would be faster; room is a few hundred. */
static size_t keep_best(const job *w, hit *out, size_t room, size_t *searched)
{
    size_t n = 0;
    *searched = 0;
    for (size_t k = 0; k < w->cards->n; k++) {
        *searched += w->score[k] >= 0;
        if (w->score[k] < 0.05f || (n == room && w->score[k] <= out[n - 1].score))
            continue;
        size_t at = n < room ? n++ : n - 1;
        while (at > 0 && out[at - 1].score < w->score[k]) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = (hit){ k, w->score[k], w->shift[k] };
    }
    return n;
}

bragg_status bragg_cards_scene_search(const scene *s, const cards_search *cards, const bragg_cards_filter *filter, hit *out, size_t room, size_t *n, size_t *searched, bragg_error *err)
{
    tables *t = calloc(1, sizeof *t);
    float *v = malloc((2 * cards->n + 1) * sizeof *v);
    job w = { cards, filter, t, v, v + cards->n, { 0 }, { 0 }, { 0 } };
    bragg_status st = t && v ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to search %zu cards", cards->n);
    *n = 0;
    if (st == BRAGG_OK) {
        fill_seen(s, t);
        fill_open(s, t);
        set_filter(&w, filter);
        st = bragg_parallel_for(cards->n, BLOCK, score_range, &w, err);
    }
    if (st == BRAGG_OK)
        *n = keep_best(&w, out, room, searched);
    free(t);
    free(v);
    return st;
}
