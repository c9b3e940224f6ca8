/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which cards does a pattern show?  Lines first, then a fit of the best. */
#include "config.h"
#include <bragg/cards.h>

#include <bragg/units.h>
#include <math.h>
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
    return card > 0 && observed > 0 ? fmin(matched / card, 1) * fmin(explained / observed, 1) : 0;
}

static bragg_match best_match(const bragg_card *c, const seen *s, size_t n, double low, double high)
{
    bragg_match m = { c, 0, 0, NAN };
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
    const bragg_match *x = a, *y = b;
    return (x->rwp > y->rwp) - (x->rwp < y->rwp);
}

/* Rwp of the best fit of this phase alone, relative to the pattern above a
 * background without any phase: 1 explains nothing. */
static bragg_status verify(const bragg_pattern *p, const bragg_identify_options *o, bragg_match *m, bragg_error *err)
{
    bragg_structure *s;
    bragg_model *model = bragg_model_new();
    bragg_fit *f = NULL;
    bragg_histogram_options h = BRAGG_HISTOGRAM_OPTIONS_INIT;
    h.radiation = o->radiation;
    h.background_terms = 10;
    bragg_status st = model ? bragg_structure_read_cif(m->card->path, NULL, &s, NULL, 0, err) : BRAGG_ENOMEM;
    if (st < 0) {
        bragg_model_free(model);
        return st;
    }
    for (int k = 0; k < 3; k++)
        (&s->cell.a)[k] *= 1 + m->shift;
    st = bragg_model_add_pattern(model, p, &h, err);
    if (st == BRAGG_OK)
        st = bragg_model_add_phase(model, "P", s, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_model_build(model, err);
    if (st == BRAGG_OK) {
        bragg_params *t = bragg_model_params(model);
        double last = bragg_axis_convert(p->x[p->n - 1], p->axis, BRAGG_AXIS_TTH, o->radiation.wavelength_ang[0]);
        double first = bragg_axis_convert(p->x[0], p->axis, BRAGG_AXIS_TTH, o->radiation.wavelength_ang[0]);
        double step = fabs(last - first) / (double)(p->n - 1) / BRAGG_DEG;
        ptrdiff_t w = bragg_params_find(t, "instrument.w");
        t->at[w].value = pow(5 * step, 2);
        bragg_model_select(model, "background", true);
        bragg_model_select(model, "phase.P.scale", true);
        bragg_model_select(model, "phase.P.cell", true);
        bragg_model_select(model, "instrument.w", true);
        bragg_model_select(model, "instrument.y", true);
        bragg_refine_options r = BRAGG_REFINE_OPTIONS_INIT;
        r.max_cycles = 15;
        st = bragg_refine(model, &r, &f, err);
        if (f)
            m->rwp = f->rwp;
        if (st == BRAGG_ENOCONV)
            st = BRAGG_OK;
    }
    bragg_fit_free(f);
    bragg_model_free(model);
    bragg_structure_free(s);
    return st;
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

bragg_status bragg_identify(const bragg_cards *cards, const bragg_pattern *p, const bragg_identify_options *o, bragg_match **out,
                            size_t *n, bragg_peak **peaks, size_t *n_peaks, bragg_error *err)
{
    seen *s = NULL;
    *out = NULL;
    *peaks = NULL;
    *n = *n_peaks = 0;
    bragg_status st = observe(p, o, &s, n_peaks, peaks, err);
    bragg_match *m = malloc((cards->n + 1) * sizeof *m);
    if (st == BRAGG_OK && !m)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu matches", cards->n);
    double wavelength = o->radiation.wavelength_ang[0];
    double one = bragg_axis_convert(p->x[0], p->axis, BRAGG_AXIS_Q, wavelength), other = bragg_axis_convert(p->x[p->n - 1], p->axis, BRAGG_AXIS_Q, wavelength);
    double low = fmin(one, other), high = fmax(one, other); /* q falls along a d axis */
    for (size_t k = 0; k < cards->n && st == BRAGG_OK; k++) {
        if (!is_allowed(&cards->card[k], o))
            continue;
        m[*n] = best_match(&cards->card[k], s, *n_peaks, low, high);
        if (m[*n].score > 0.02)
            ++*n;
    }
    free(s);
    if (st == BRAGG_OK)
        qsort(m, *n, sizeof *m, by_score);
    size_t tried = *n < o->n_verify ? *n : o->n_verify;
    for (size_t k = 0; k < tried && st == BRAGG_OK; k++) {
        bragg_error ignored = BRAGG_ERROR_INIT; /* a card that cannot be fitted keeps its place behind */
        if (verify(p, o, &m[k], &ignored) < 0 || isnan(m[k].rwp))
            m[k].rwp = 9;
        if (!bragg_progress(o->observer, k, tried))
            st = BRAGG_STOPPED;
    }
    if (st >= 0)
        qsort(m, tried, sizeof *m, by_fit);
    if (st < 0) {
        free(m);
        free(*peaks);
        *peaks = NULL;
        *n = *n_peaks = 0;
        return st;
    }
    *out = m;
    return st;
}
