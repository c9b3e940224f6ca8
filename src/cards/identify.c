/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which cards does a pattern show?  Lines first, then a fit of the best. */
#include "config.h"
#include <bragg/cards.h>

#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Real cells differ from their cards by temperature and composition: the search
 * lets each swell or shrink by so much, in steps finer than a peak. */
static const double most_shift = 0.012, shift_step = 0.0004;

typedef struct seen {
    double q, width, strength;  /* strength: area, strongest 1 */
} seen;

static bool is_allowed(const bragg_card *c, const bragg_identify_options *o)
{
    for (size_t k = 0; o->elements && k < c->n_elements; k++)
        if (!memchr(o->elements, c->elements[k], o->n_elements))
            return false;
    return true;
}

/* Share of the card's intensity that stands at observed peaks, and share of the
 * observed intensity that the card explains; a peak may not give more than it
 * has, so that a card of many lines does not match everything. */
static double score_at(const bragg_card *c, double shift, const seen *s, size_t n, double low, double high)
{
    double card = 0, matched = 0, observed = 0, explained = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        observed += sqrt(s[i].strength);
    for (size_t j = 0; j < c->n_lines; j++) {
        double q = c->q_invang[j] / (1 + shift), share = sqrt(c->intensity[j]);
        if (q < low || q > high)
            continue;
        card += share;
        while (k < n && s[k].q < q - s[k].width)
            k++;
        size_t best = n;
        for (size_t i = k; i < n && s[i].q <= q + 3 * s[i].width; i++)
            if (fabs(s[i].q - q) <= s[i].width && (best == n || fabs(s[i].q - q) < fabs(s[best].q - q)))
                best = i;
        if (best == n)
            continue;
        double off = (s[best].q - q) / s[best].width, agreement = 1 - 0.5 * off * off;
        double ratio = fmin(s[best].strength, c->intensity[j]) / fmax(s[best].strength, c->intensity[j]);
        matched += share * agreement * pow(ratio, 0.15);
        explained += sqrt(s[best].strength) * agreement;
    }
    /* a phase of a mixture has all its lines and explains little of the whole */
    return card > 0 && observed > 0 ? pow(fmin(matched / card, 1), 1.5) * sqrt(fmin(explained / observed, 1)) : 0;
}

static bragg_match best_match(const bragg_card *c, const seen *s, size_t n, double low, double high)
{
    bragg_match m = { c, 0, 0 };
    for (double shift = -most_shift; shift <= most_shift + 1e-9; shift += shift_step) {
        double score = score_at(c, shift, s, n, low, high) * (1 - 0.1 * fabs(shift) / most_shift);
        if (score > m.score) {
            m.score = score;
            m.shift = shift;
        }
    }
    return m;
}

static int by_score(const void *a, const void *b)
{
    const bragg_match *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static int by_fit(const void *a, const void *b)
{
    const bragg_hypothesis *x = a, *y = b;
    return (x->rwp > y->rwp) - (x->rwp < y->rwp);
}

static bragg_status add_match(bragg_model *model, const bragg_hypothesis *h, size_t index, bragg_error *err)
{
    const bragg_match *m = &h->phase[index];
    bragg_structure *s;
    char name[8];
    bragg_status st = bragg_structure_read_cif(m->card->path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    for (int k = 0; k < 3; k++)
        (&s->cell.a)[k] *= 1 + m->shift;
    if (h->cell[index].a > 0)
        s->cell = h->cell[index];
    snprintf(name, sizeof name, "P%zu", index);
    st = bragg_model_add_phase(model, name, s, NULL, err);
    bragg_structure_free(s);
    return st;
}

static void start_fit(bragg_model *model, const bragg_pattern *p, double wavelength, bool cells)
{
    bragg_params *t = bragg_model_params(model);
    double last = bragg_axis_convert(p->x[p->n - 1], p->axis, BRAGG_AXIS_TTH, wavelength), first = bragg_axis_convert(p->x[0], p->axis, BRAGG_AXIS_TTH, wavelength);
    ptrdiff_t w = bragg_params_find(t, "instrument.w");
    t->at[w].value = pow(5 * fabs(last - first) / (double)(p->n - 1) / BRAGG_DEG, 2);
    static const char *const names[] = { "background", "phase.*.scale", "instrument.zero", "instrument.w", "instrument.x", "instrument.y", "phase.*.cell" };
    for (size_t k = 0; k < sizeof names / sizeof *names - !cells; k++)
        bragg_model_select(model, names[k], true);
}

/* Fit the phases together; with the cells as they are to screen many candidates, or
 * with the cells, too. */
static bragg_status verify(const bragg_pattern *p, const bragg_identify_options *o, bragg_hypothesis *h, bool cells, bragg_error *err)
{
    bragg_model *model = bragg_model_new();
    bragg_fit *f = NULL;
    bragg_histogram_options histogram = BRAGG_HISTOGRAM_OPTIONS_INIT;
    histogram.radiation = o->radiation;
    histogram.background_terms = 10;
    h->rwp = NAN;
    bragg_status st = model ? bragg_model_add_pattern(model, p, &histogram, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    for (size_t k = 0; k < h->n && st == BRAGG_OK; k++)
        st = add_match(model, h, k, err);
    if (st == BRAGG_OK)
        st = bragg_model_build(model, err);
    if (st == BRAGG_OK) {
        start_fit(model, p, o->radiation.wavelength_ang[0], cells);
        bragg_refine_options r = BRAGG_REFINE_OPTIONS_INIT;
        r.max_cycles = 15;
        st = bragg_refine(model, &r, &f, err);
        if (f)
            h->rwp = f->rwp;
        for (size_t k = 0; f && k < h->n; k++) {
            const bragg_quantity *c = f->phase[k].cell;
            h->fraction[k] = f->phase[k].weight_fraction;
            if (cells)
                h->cell[k] = (bragg_cell){ c[0].value, c[1].value, c[2].value, c[3].value * BRAGG_DEG, c[4].value * BRAGG_DEG, c[5].value * BRAGG_DEG };
        }
        st = st == BRAGG_ENOCONV ? BRAGG_OK : st;
    }
    bragg_fit_free(f);
    bragg_model_free(model);
    return st;
}

/* The best cards for what is seen, without those of `known`. */
static size_t best_cards(const bragg_cards *cards, const bragg_identify_options *o, const seen *s, size_t n_seen, double low, double high,
                         const bragg_hypothesis *known, bragg_match *out)
{
    size_t n = 0;
    for (size_t k = 0; k < cards->n; k++) {
        bool taken = !is_allowed(&cards->card[k], o);
        for (size_t i = 0; known && i < known->n; i++)
            taken = taken || known->phase[i].card == &cards->card[k];
        if (taken)
            continue;
        out[n] = best_match(&cards->card[k], s, n_seen, low, high);
        n += out[n].score > 0.02;
    }
    qsort(out, n, sizeof *out, by_score);
    return n;
}

/* What a phase explains counts little in the next search. */
static void fade(const bragg_match *m, seen *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m->card->n_lines; j++)
            if (m->card->intensity[j] > 0.01 && fabs(m->card->q_invang[j] / (1 + m->shift) - s[i].q) < s[i].width) {
                s[i].strength *= 0.05;
                break;
            }
}

static bragg_status observe(const bragg_pattern *p, const bragg_identify_options *o, seen **out, size_t *n, bragg_peak **peaks, bragg_error *err)
{
    bragg_status st = bragg_pattern_peaks(p, 6, peaks, n, err);
    if (st < 0)
        return st;
    *out = malloc((*n + 1) * sizeof **out);
    if (!*out)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", *n);
    for (size_t k = 0; p->axis == BRAGG_AXIS_D && k < *n / 2; k++) { /* by rising q */
        bragg_peak keep = (*peaks)[k];
        (*peaks)[k] = (*peaks)[*n - 1 - k];
        (*peaks)[*n - 1 - k] = keep;
    }
    double top = 0, wavelength = o->radiation.wavelength_ang[0];
    for (size_t k = 0; k < *n; k++)
        top = fmax(top, (*peaks)[k].area);
    for (size_t k = 0; k < *n; k++) {
        const bragg_peak *e = &(*peaks)[k];
        double q = bragg_axis_convert(e->x, p->axis, BRAGG_AXIS_Q, wavelength);
        double edge = bragg_axis_convert(e->x + e->fwhm / 2, p->axis, BRAGG_AXIS_Q, wavelength);
        (*out)[k] = (seen){ q, fmax(fabs(edge - q), 2e-3 * q), fmax(e->area, 0) / top };
    }
    return BRAGG_OK;
}

/* Fit each of the best with what is known; the best such set, or rwp NAN. */
static bragg_status extend(const bragg_pattern *p, const bragg_identify_options *o, const bragg_hypothesis *known, const bragg_match *m, size_t n,
                           bragg_hypothesis *best, bragg_hypothesis *all, size_t *n_all)
{
    best->rwp = NAN;
    for (size_t k = 0; k < n && k < o->n_verify; k++) {
        bragg_hypothesis h = *known;
        bragg_error ignored = BRAGG_ERROR_INIT; /* a card that cannot be fitted is out */
        h.phase[h.n++] = m[k];
        if (verify(p, o, &h, false, &ignored) < 0 && ignored.status == BRAGG_ENOMEM)
            return BRAGG_ENOMEM;
        if (isnan(h.rwp))
            continue;
        if (all)
            all[(*n_all)++] = h;
        if (isnan(best->rwp) || h.rwp < best->rwp)
            *best = h;
        if (!bragg_progress(o->observer, k, n < o->n_verify ? n : o->n_verify))
            return BRAGG_STOPPED;
    }
    bragg_hypothesis full = *best;
    bragg_error ignored = BRAGG_ERROR_INIT;
    if (!isnan(best->rwp) && verify(p, o, &full, true, &ignored) >= 0 && full.rwp < best->rwp) {
        for (size_t k = 0; all && k < *n_all; k++)
            if (all[k].phase[0].card == full.phase[0].card)
                all[k] = full;
        *best = full;
    }
    return BRAGG_OK;
}

static bragg_status search(const bragg_cards *cards, const bragg_pattern *p, const bragg_identify_options *o, seen *s, size_t n_seen, bragg_match *m,
                           bragg_hypothesis *out, size_t *n)
{
    double wavelength = o->radiation.wavelength_ang[0];
    double one = bragg_axis_convert(p->x[0], p->axis, BRAGG_AXIS_Q, wavelength), other = bragg_axis_convert(p->x[p->n - 1], p->axis, BRAGG_AXIS_Q, wavelength);
    double low = fmin(one, other), high = fmax(one, other); /* q falls along a d axis */
    bragg_hypothesis known = { .rwp = 1 }, best, mixture[BRAGG_MOST_PHASES];
    size_t mixtures = 0, singles = 0;
    size_t found = best_cards(cards, o, s, n_seen, low, high, NULL, m);
    bragg_status st = extend(p, o, &known, m, found, &best, out, &singles);
    qsort(out, singles, sizeof *out, by_fit);
    while (st == BRAGG_OK && !isnan(best.rwp) && best.n < BRAGG_MOST_PHASES) {
        known = best;
        fade(&known.phase[known.n - 1], s, n_seen);
        found = best_cards(cards, o, s, n_seen, low, high, &known, m);
        st = extend(p, o, &known, m, found, &best, NULL, NULL);
        if (isnan(best.rwp) || !(best.rwp < 0.9 * known.rwp))
            break;
        mixture[mixtures++] = best;
    }
    memmove(out + mixtures, out, singles * sizeof *out);
    for (size_t k = 0; k < mixtures; k++)
        out[k] = mixture[mixtures - 1 - k];
    *n = mixtures + singles;
    return st;
}

bragg_status bragg_identify(const bragg_cards *cards, const bragg_pattern *p, const bragg_identify_options *o, bragg_hypothesis **out,
                            size_t *n, bragg_peak **peaks, size_t *n_peaks, bragg_error *err)
{
    seen *s = NULL;
    *peaks = NULL;
    *n = *n_peaks = 0;
    *out = calloc(o->n_verify + BRAGG_MOST_PHASES + 1, sizeof **out);
    bragg_match *m = malloc((cards->n + 1) * sizeof *m);
    bragg_status st = *out && m ? observe(p, o, &s, n_peaks, peaks, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu matches", cards->n);
    if (st == BRAGG_OK && (st = search(cards, p, o, s, *n_peaks, m, *out, n)) < 0)
        bragg_fail(err, st, "no room to fit the candidates");
    free(s);
    free(m);
    if (st < 0) {
        free(*out);
        free(*peaks);
        *out = NULL;
        *peaks = NULL;
        *n = *n_peaks = 0;
    }
    return st;
}
