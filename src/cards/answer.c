/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a hunt has found, as hypotheses with scores and weights. */
#include "config.h"
#include "hunt.h"

#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- quality */

static double rwp_of(const scene *s, const double *left)
{
    double miss = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        double w = 1 / (s->noise[i] * s->noise[i]);
        miss += w * pow(left[i], 2);
        all += w * pow(s->net[i], 2);
    }
    return all > 0 ? sqrt(miss / all) : NAN;
}

static double explained_by(const scene *s, const double *left)
{
    double miss = 0, all = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->net[i] > 4 * s->noise[i]) {
            all += s->net[i];
            miss += fabs(left[i]);
        }
    return all > 0 ? fmax(0, 1 - miss / all) : 0;
}

/* ----------------------------------------------------------------- scores */

/* Logistic regression of right and wrong first answers over 160 simulated mixtures, some
 * with phases that have no card (tests/validation/cards calibration measures how well it
 * holds for others): share of the intensity that is explained, lines found of the poorest
 * phase, doubt in cells, the strongest peak left over. */
static double odds_of(const hunt *h, const found *f, size_t n, double explained)
{
    double lines = INFINITY, trust = 1, over = 0;
    for (size_t k = 0; k < n; k++) {
        lines = fmin(lines, (double)f[k].seen);
        trust = fmin(trust, bragg_cards_hunt_trust(&f[k].c.t));
    }
    for (size_t k = 0; k < h->out->n_unexplained; k++)
        over = fmax(over, h->out->unexplained[k].height / h->s->scale);
    bragg_log(h->o->observer, BRAGG_LOG_DEBUG, "odds: explained %.4f lines %.0f trust %.5f over %.5f", explained, lines, trust, over);
    return 0.04 + 1.03 * explained + 0.89 * fmin(lines, 12) / 4 + 3.07 * log(trust) - 3.41 * fmin(over, 1);
}

/* How fast log odds between cards count: intensities and widths of real samples are less
 * sure than the fit believes. */
static const double odds_scale = 2;

static const char *copy_text(hunt *h, const char *text)
{
    const char *copy = bragg_arena_strdup(h->out->arena, text);
    return copy ? copy : "";
}

static bragg_match match_of(hunt *h, const candidate *c)
{
    const bragg_card *card = c->card;
    return (bragg_match){ .card = card->id, .name = copy_text(h, card->name), .formula = copy_text(h, card->formula), .source = copy_text(h, card->source),
                          .score = NAN, .fraction = { NAN, NAN }, .cell = bragg_cards_trial_cell(&c->t), .strain = bragg_cards_mean_strain(&c->t) };
}

static void add_findings(hunt *h, const found *f, bragg_match *m)
{
    m->lines = f->expected;
    m->found = f->seen;
    m->remark = f->remark;
    m->n_alternatives = f->n_equal < BRAGG_MAX_ALTERNATIVES ? f->n_equal : BRAGG_MAX_ALTERNATIVES;
    for (size_t k = 0; k < m->n_alternatives; k++) {
        m->alternative[k] = f->rival[k].card->id;
        m->alternative_name[k] = copy_text(h, f->rival[k].card->name);
    }
}

/* Variance of w[index] = s / sum of s by those of the scales, which are taken as independent. */
static double fraction_variance(const candidate *const *c, const double *w, size_t n, size_t index)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += pow(w[index] * ((k == index) - w[k]) * c[k]->t.scale_esd / c[k]->t.scale, 2);
    return sum;
}

/* Phases of a hypothesis; weights from the reference intensity ratios: w ~ scale /
 * (I/Ic). */
static void describe(hunt *h, const candidate *const *c, size_t n, bragg_hypothesis *to)
{
    double sum = 0, w[BRAGG_MAX_PHASES];
    to->n = n;
    for (size_t k = 0; k < n; k++)
        sum += c[k]->t.scale / c[k]->card->rir;
    for (size_t k = 0; k < n; k++)
        w[k] = c[k]->t.scale / c[k]->card->rir / sum;
    for (size_t k = 0; k < n; k++) {
        to->phase[k] = match_of(h, c[k]);
        to->phase[k].fraction = (bragg_quantity){ n == 1 ? 1 : w[k], n == 1 ? 0 : sqrt(fraction_variance(c, w, n, k)) };
    }
}

static bragg_status add_structure(const hunt *h, bragg_model *model, const bragg_match *m, size_t index, bragg_error *err)
{
    bragg_structure *s;
    char name[24];
    bragg_status st = bragg_cards_structure(h->set, m->card, &s, err);
    if (st < 0)
        return st;
    s->cell = m->cell;
    snprintf(name, sizeof name, "P%zu", index);
    st = bragg_model_add_phase(model, name, s, NULL, err);
    bragg_structure_free(s);
    return st;
}

static void start_refinement(const hunt *h, bragg_model *model)
{
    bragg_params *t = bragg_model_params(model);
    ptrdiff_t w = bragg_params_find(t, "instrument.w"), y = bragg_params_find(t, "instrument.y");
    if (w >= 0)
        t->at[w].value = pow(0.7 * h->s->width[0] / BRAGG_DEG, 2);
    if (y >= 0)
        t->at[y].value = 0.7 * h->s->width[1] / BRAGG_DEG;
    bragg_model_select(model, "background", true);
    bragg_model_select(model, "phase.*.scale", true);
}

static void free_refinement(bragg_model *model)
{
    static const char *const names[] = { "phase.*.cell", "instrument.zero", "instrument.w", "instrument.x", "instrument.y", "phase.*.size" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        bragg_model_select(model, names[k], true);
}

/* Rietveld with cells, zero and widths from where the fit ended. */
static bragg_status refine_fractions(const hunt *h, const bragg_pattern *p, bragg_hypothesis *to, bragg_error *err)
{
    bragg_model *model = bragg_model_new();
    bragg_fit *f = NULL;
    bragg_histogram_options histogram = BRAGG_HISTOGRAM_OPTIONS_INIT;
    histogram.radiation = h->s->radiation;
    histogram.background_terms = 10;
    bragg_status st = model ? bragg_model_add_pattern(model, p, &histogram, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    for (size_t k = 0; k < to->n && st == BRAGG_OK; k++)
        st = add_structure(h, model, &to->phase[k], k, err);
    if (st == BRAGG_OK)
        st = bragg_model_build(model, err);
    if (st == BRAGG_OK) {
        bragg_refine_options r = BRAGG_REFINE_OPTIONS_INIT;
        r.max_cycles = 10;
        r.stages = false;
        start_refinement(h, model);
        st = bragg_refine(model, &r, &f, err);
        bragg_fit_free(f);
        f = NULL;
        free_refinement(model);
        if (st >= 0 || st == BRAGG_ENOCONV)
            st = bragg_refine(model, &r, &f, err);
        st = st == BRAGG_ENOCONV ? BRAGG_OK : st;
    }
    if (st >= 0 && f && f->rwp < 1.0) {
        to->rwp = f->rwp;
        for (size_t k = 0; k < to->n; k++) {
            const bragg_quantity *c = f->phase[k].cell;
            to->phase[k].fraction = to->n == 1 ? (bragg_quantity){ 1, 0 } : f->phase[k].weight_fraction;
            to->phase[k].rietveld = true;
            to->phase[k].cell = (bragg_cell){ c[0].value, c[1].value, c[2].value, c[3].value * BRAGG_DEG, c[4].value * BRAGG_DEG, c[5].value * BRAGG_DEG };
        }
    }
    bragg_fit_free(f);
    bragg_model_free(model);
    return st;
}

static int by_score(const void *a, const void *b)
{
    const bragg_hypothesis *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

/* Peaks that stand in what the known phases leave. */
static bragg_status list_peaks(hunt *h, bragg_error *err)
{
    const scene *s = h->s;
    bragg_identification *o = h->out;
    o->peak = bragg_arena_alloc(o->arena, 2 * s->n_peaks + 1, sizeof *o->peak);
    if (!o->peak)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", s->n_peaks);
    o->unexplained = o->peak + s->n_peaks;
    for (size_t k = 0, i = 0; k < s->n_peaks; k++) {
        const bragg_peak *p = &s->peak[k];
        o->peak[o->n_peaks++] = *p;
        while (i + 1 < s->n && s->x[i] < p->x)
            i++;
        double left = 0, noise = s->noise[i];
        for (size_t j = i > 1 ? i - 1 : 0; j < s->n && j <= i + 1; j++)
            left = fmax(left, s->left[j]);
        if (!p->alpha2 && left > 6 * noise && left > 0.4 * p->height)
            o->unexplained[o->n_unexplained++] = *p;
    }
    return BRAGG_OK;
}

static bragg_status remark_all(hunt *h, bragg_error *err)
{
    trial *t[BRAGG_MAX_PHASES];
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < h->n_known; k++)
        t[k] = &h->known[k].c.t;
    for (size_t k = 0; k < h->n_known && st == BRAGG_OK; k++) {
        found *f = &h->known[k];
        st = bragg_cards_solution_remark(h->set, h->s, t[k], h->each, h->n_known, k, h->chi2, f->kin, f->n_kin, h->out->arena, &f->remark, err);
        if (st == BRAGG_OK && !f->remark)
            st = bragg_cards_two_phase_remark(h->s, t, h->each, h->n_known, k, h->chi2, h->out->arena, &f->remark, err);
    }
    return st;
}

/* ------------------------------------------------------------- hypotheses */

enum { OTHERS = 5 };

/* A mixture in which one phase is another card, or missing (NULL). */
typedef struct variant {
    size_t place;
    const candidate *instead;
    double odds;             /* against the first, log */
} variant;

static int by_odds(const void *a, const void *b)
{
    const variant *x = a, *y = b;
    return (x->odds < y->odds) - (x->odds > y->odds);
}

/* What speaks against a phase: nats by which the others alone explain less, less those
 * that one of so many cards gains by chance. */
static bragg_status odds_without(const hunt *h, size_t place, double *odds, bragg_error *err)
{
    const double *others[BRAGG_MAX_PHASES];
    size_t n = 0;
    double chi2;
    for (size_t k = 0; k < h->n_known; k++)
        if (k != place)
            others[n++] = h->each[k];
    bragg_status st = bragg_cards_scene_factors(h->s, others, n, &chi2, err);
    if (st == BRAGG_OK)
        *odds = (h->chi2 - chi2) / (2 * h->s->points_a_peak) + log(1 + (double)h->out->searched);
    return st;
}

static bool stands_elsewhere(const hunt *h, const candidate *c)
{
    for (size_t k = 0; k < h->n_known; k++)
        if (h->known[k].c.card->id == c->card->id)
            return true;
    return false;
}

static bragg_status list_variants(const hunt *h, variant out[BRAGG_MAX_PHASES * (RIVALS + 1)], size_t *n, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    *n = 0;
    for (size_t k = 0; k < h->n_known && st == BRAGG_OK; k++) {
        const found *f = &h->known[k];
        for (size_t i = f->n_equal; i < f->n_rivals; i++)
            if (!stands_elsewhere(h, &f->rival[i]))
                out[(*n)++] = (variant){ k, &f->rival[i], f->rival[i].worth - f->c.worth };
        if (h->n_known < 2)
            continue;
        out[*n] = (variant){ .place = k };
        st = odds_without(h, k, &out[(*n)++].odds, err);
    }
    if (*n)
        qsort(out, *n, sizeof *out, by_odds);
    return st;
}

/* Quality of a variant: its phase's profile in place of the one that was there. */
static bragg_status add_variant(hunt *h, const variant *v, double *work, bragg_hypothesis *to, bragg_error *err)
{
    const candidate *c[BRAGG_MAX_PHASES];
    size_t n = 0;
    const scene *s = h->s;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < h->n_known; k++)
        if (k != v->place)
            c[n++] = &h->known[k].c;
        else if (v->instead)
            c[n++] = v->instead;
    describe(h, c, n, to);
    memset(work, 0, s->n * sizeof *work);
    if (v->instead) {
        trial t = v->instead->t;
        st = bragg_cards_scene_profile(s, &t, work, err);
    }
    for (size_t i = 0; i < s->n; i++)
        work[i] = s->left[i] + h->each[v->place][i] - work[i];
    to->rwp = rwp_of(s, work);
    to->explained = explained_by(s, work);
    return st;
}

/* Shares of a probability: the first, its variants by their odds. */
static bragg_status share_out(hunt *h, double right, bragg_error *err)
{
    variant list[BRAGG_MAX_PHASES * (RIVALS + 1)];
    bragg_identification *o = h->out;
    bragg_hypothesis *first = &o->hypothesis[0];
    double sum = 1, *work = malloc((h->s->n + 1) * sizeof *work);
    size_t n = 0;
    bragg_status st = work ? list_variants(h, list, &n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", h->s->n);
    for (size_t k = 0; k < n; k++)
        sum += exp(fmin(list[k].odds, 0) / odds_scale);
    for (size_t k = 0; k < n && k < OTHERS && st == BRAGG_OK; k++) {
        bragg_hypothesis *to = &o->hypothesis[o->n++];
        st = add_variant(h, &list[k], work, to, err);
        to->score = right * exp(fmin(list[k].odds, 0) / odds_scale) / sum;
    }
    first->score = right / sum;
    for (size_t k = 0; k < h->n_known && st == BRAGG_OK; k++) { /* those that touch a phase */
        double here = 1, all = 1;
        for (size_t i = 0; i < n; i++) {
            double w = exp(fmin(list[i].odds, 0) / odds_scale);
            all += w;
            here += list[i].place == k ? 0 : w;
        }
        first->phase[k].score = right * here / all;
    }
    free(work);
    return st;
}

/* The first: all phases that are evident, or the best guess where none is. */
static bragg_status answer_first(hunt *h, const bragg_pattern *p, double *right, bragg_error *err)
{
    bragg_hypothesis *first = &h->out->hypothesis[0];
    const candidate *c[BRAGG_MAX_PHASES];
    bool evident = h->n_known > 0;
    size_t n = evident ? h->n_known : 1;
    for (size_t k = 0; k < n; k++) {
        c[k] = &h->known[k].c;
        if (evident)
            bragg_cards_hunt_count_lines(h, &h->known[k], h->each[k], NULL);
    }
    describe(h, c, n, first);
    for (size_t k = 0; k < n; k++)
        add_findings(h, &h->known[k], &first->phase[k]);
    first->rwp = rwp_of(h->s, h->s->left);
    first->explained = explained_by(h->s, h->s->left);
    *right = 1 / (1 + exp(-odds_of(h, h->known, n, first->explained)));
    if (!evident) {
        *right = fmin(*right, 0.3);
        first->guess = true;
        first->score = first->phase[0].score = *right;
        return BRAGG_OK;
    }
    bragg_status st = share_out(h, *right, err);
    if (st < 0 || !h->o->refine)
        return st;
    bragg_error ignored = BRAGG_ERROR_INIT; /* a list of lines has no structure */
    st = refine_fractions(h, p, first, &ignored);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

/* None of the cards stands against all mixtures together, of which isotypes of a large set
 * share what one card of a small one has for itself. */
static void let_lead(bragg_identification *o)
{
    size_t k = 0;
    while (k + 1 < o->n && !o->hypothesis[k].n)
        k++;
    bragg_hypothesis first = o->hypothesis[k];
    memmove(o->hypothesis + 1, o->hypothesis, k * sizeof first);
    o->hypothesis[0] = first;
}

bragg_status bragg_cards_hunt_answer(hunt *h, const bragg_pattern *p, bragg_error *err)
{
    bragg_identification *o = h->out;
    double right = 0;
    o->hypothesis = bragg_arena_alloc(o->arena, 3 + OTHERS, sizeof *o->hypothesis);
    bragg_status st = o->hypothesis ? list_peaks(h, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for answers");
    if (st == BRAGG_OK)
        st = remark_all(h, err);
    if (st == BRAGG_OK && (h->n_known || h->known[0].c.card)) {
        o->n = 1;
        st = answer_first(h, p, &right, err);
    }
    if (st < 0)
        return st;
    for (size_t k = 0; k < o->n; k++)
        o->hypothesis[k].guess = o->hypothesis[k].guess || o->hypothesis[k].score < 0.3;
    o->hypothesis[o->n++] = (bragg_hypothesis){ .score = 1 - right, .rwp = NAN };
    qsort(o->hypothesis, o->n, sizeof *o->hypothesis, by_score);
    if (right > 0.5)
        let_lead(o);
    return BRAGG_OK;
}
