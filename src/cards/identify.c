/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which cards does a pattern show?  Candidates, verification, evidence; phase by phase. */
#include "config.h"
#include "scene.h"

#include <bragg/thread.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xraylib.h>

/* Candidates whose lines are matched with peaks, of which n_verify are fitted. */
enum { MATCHED = 1000, SINGLES = 5 };

typedef struct candidate {
    hit from;
    bragg_card *card;
    trial t;
    double chi2, rank;
} candidate;

typedef struct found {
    candidate c;
    double gain, alone, share;           /* of chi^2; where it stands alone; of what was left before */
    size_t expected, seen;
    size_t n_alternatives;
    long long alternative[BRAGG_MOST_ALTERNATIVES];
    const char *alternative_name[BRAGG_MOST_ALTERNATIVES];
    double score;
    relative kin[RELATIVES];
    size_t n_kin;
    char *remark;
} found;

typedef struct hunt {
    const bragg_cards *set;
    const bragg_identify_options *o;
    cards_search search;
    scene *s;
    found known[BRAGG_MOST_PHASES];
    size_t n_known;
    candidate *list;
    size_t n;
    double chi2;
    double *each[BRAGG_MOST_PHASES], *all, *before;
    bragg_identification *out;
} hunt;

static void drop_candidate(candidate *c)
{
    trial_free(&c->t);
    bragg_card_free(c->card);
    *c = (candidate){ .card = NULL };
}

/* ------------------------------------------------------------- candidates */

static bragg_status match_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    hunt *h = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        candidate *c = &h->list[k];
        st = trial_lines(h->s, c->card, &c->t, err);
        if (st == BRAGG_OK && c->t.n)
            trial_match(h->s, c->from.shift, &c->t);
    }
    return st;
}

/* Cells change by temperature and composition, mostly little: doubt grows with the
 * mean strain and with its anisotropy, and with peaks broader than the pattern's. */
static double trust_in(const trial *t)
{
    double mean = mean_strain(t), odd = 0;
    for (size_t c = 0; c < t->n_strains; c++)
        odd = fmax(odd, fabs(t->strain[c] - (c < 3 ? mean : 0)));
    double broad = fmax(0, log(t->broad / 1.5)); /* humps explain what a background leaves */
    return 1 / (1 + 0.08 * pow(mean / 0.01, 2) + 0.10 * pow(odd / 0.01, 2) + 0.15 * broad * broad);
}

static int by_match(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return (x->t.score < y->t.score) - (x->t.score > y->t.score);
}

static int by_rank(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return (x->rank < y->rank) - (x->rank > y->rank);
}

static bool is_known(const hunt *h, long long id)
{
    for (size_t k = 0; k < h->n_known; k++)
        if (h->known[k].c.card->id == id)
            return true;
    return false;
}

/* Of cards that fit equally well the one whose cell is nearer comes first, and an
 * experiment before a calculation; strains that a zero error makes do not count. */
static void settle_ties(hunt *h)
{
    size_t best = 0;
    double least = INFINITY;
    for (size_t k = 0; k < h->n && h->list[k].rank > 0.985 * h->list[0].rank; k++) {
        const trial *t = &h->list[k].t;
        double doubt = fmax(fabs(mean_strain(t)), 0.0015) + (h->list[k].card->flags & (BRAGG_CARD_COMPUTED | BRAGG_CARD_ESTIMATED) ? 0.004 : 0);
        for (size_t c = 0; c < t->n_strains; c++)
            doubt = fmax(doubt, 0.7 * fabs(t->strain[c]));
        if (doubt < least) {
            least = doubt;
            best = k;
        }
    }
    candidate first = h->list[best];
    memmove(h->list + 1, h->list, best * sizeof *h->list);
    h->list[0] = first;
}

/* From all cards to a few, matched and sorted. */
static bragg_status gather(hunt *h, bragg_error *err)
{
    hit hits[MATCHED];
    size_t n;
    bragg_status st = scene_search(h->s, &h->search, &h->o->filter, hits, MATCHED, &n, &h->out->searched, err);
    h->n = 0;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        long long id = h->search.id[hits[k].row];
        if (is_known(h, id))
            continue;
        h->list[h->n] = (candidate){ .from = hits[k] };
        st = bragg_cards_card(h->set, id, &h->list[h->n].card, err);
        h->n += st == BRAGG_OK;
    }
    if (st == BRAGG_OK)
        st = bragg_parallel_for(h->n, 8, match_range, h, err);
    if (st < 0)
        return st;
    qsort(h->list, h->n, sizeof *h->list, by_match);
    while (h->n > h->o->n_verify)
        drop_candidate(&h->list[--h->n]);
    while (h->n && !(h->list[h->n - 1].t.score > 0))
        drop_candidate(&h->list[--h->n]);
    return BRAGG_OK;
}

static bragg_status screen_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    hunt *h = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        candidate *c = &h->list[k];
        st = scene_screen(h->s, &c->t, (const double *const *)h->each, h->n_known, &c->chi2, err);
        c->rank = (h->chi2 - c->chi2) / h->chi2 * trust_in(&c->t);
    }
    return st;
}

/* --------------------------------------------------------------- evidence */

/* Lines that should be seen beside the other phases, and those that are: where the
 * others give less, and before the phase was there much of it was left. */
static void count_lines(const hunt *h, found *f, const double *own, const double *before)
{
    const scene *s = h->s;
    f->expected = f->seen = 0;
    for (size_t i = 1; i + 1 < s->n; i++) {
        if (!(own[i] > own[i - 1] && own[i] >= own[i + 1]) || own[i] < 5 * s->noise[i] || own[i] < 0.004 * s->scale || h->all[i] > 2 * own[i])
            continue;
        double high = 0;
        for (size_t k = i > 2 ? i - 2 : 0; k < s->n && k <= i + 2; k++)
            high = fmax(high, before ? before[k] : s->left[k] + own[k]);
        f->expected++;
        f->seen += high > 0.4 * own[i];
    }
}

/* What the phase explains where it stands alone: misfits below peaks of known phases
 * are no evidence for another. */
static double gain_alone(const hunt *h, const double *own, const double *before)
{
    const scene *s = h->s;
    double gain = 0;
    for (size_t i = 0; i < s->n; i++)
        if (own[i] > h->all[i] - own[i])
            gain += (before[i] * before[i] - s->left[i] * s->left[i]) / (s->sigma[i] * s->sigma[i]);
    return gain;
}

/* Calculated profiles of what is known, and what they leave. */
static bragg_status refit(hunt *h, bragg_error *err)
{
    trial *t[BRAGG_MOST_PHASES];
    scene *s = h->s;
    for (size_t i = 0; i < h->n_known; i++)
        t[i] = &h->known[i].c.t;
    bragg_status st = scene_fit(s, t, h->n_known, &h->chi2, h->all, h->each, err);
    for (size_t i = 0; i < s->n && st == BRAGG_OK; i++) {
        s->known[i] = h->all[i];
        s->left[i] = s->net[i] - h->all[i] - scene_background(s, i);
    }
    return st;
}

/* Cards that explain the same as well with much the same cell changes. */
static void note_alternatives(hunt *h, found *f)
{
    f->n_alternatives = 0;
    for (size_t k = 1; k < h->n && f->n_alternatives < BRAGG_MOST_ALTERNATIVES; k++) {
        const candidate *c = &h->list[k];
        if (c->rank < 0.9 * h->list[0].rank || k > 2 * BRAGG_MOST_ALTERNATIVES)
            break;
        f->alternative[f->n_alternatives] = c->card->id;
        f->alternative_name[f->n_alternatives++] = bragg_arena_strdup(h->out->arena, c->card->name);
    }
}

/* Cards of the same space group that were tried in its place. */
static void note_relatives(hunt *h, found *f)
{
    f->n_kin = 0;
    for (size_t k = 0; k < h->n && f->n_kin < RELATIVES; k++) {
        const candidate *c = &h->list[k];
        if (c->card->group_number == f->c.card->group_number && c->card->group_number && c->rank > 0.1 * h->list[0].rank)
            f->kin[f->n_kin++] = (relative){ c->card->id, mean_strain(&c->t) };
    }
}

/* Profiles correlate over a peak's width: so many points count as one. */
static const double points_a_peak = 5;

static bool is_evident(const hunt *h, const found *f)
{
    double terms = 2 + (double)f->c.t.n_strains;
    double bic = f->alone / points_a_peak - terms * log((double)h->s->n / points_a_peak);
    size_t fewest = f->c.t.n < 3 ? f->c.t.n : h->n_known ? 3 : 2;
    return bic > 0 && f->alone > 0.3 * f->gain && f->seen >= fewest && (double)f->seen >= 0.6 * (double)f->expected && f->share > (h->n_known ? 0.02 : 0.1);
}

static void rate_found(const hunt *h, found *f)
{
    double complete = f->expected ? (double)f->seen / (double)f->expected : 0;
    double lines = 1 - exp(-(double)f->seen / 3);
    f->score = fmin(1, complete * lines * fmin(1, 0.4 + 2 * f->share) * sqrt(trust_in(&f->c.t)));
    (void)h;
}

/* One more phase; false in *more when none is evident. */
static bragg_status add_phase(hunt *h, bool *more, bragg_error *err)
{
    *more = false;
    bragg_status st = gather(h, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(h->n, 1, screen_range, h, err);
    if (st < 0 || !h->n)
        return st;
    qsort(h->list, h->n, sizeof *h->list, by_rank);
    settle_ties(h);
    for (size_t k = 0; k < h->n && k < 8; k++)
        bragg_log(h->o->observer, BRAGG_LOG_DEBUG, "round %zu: %-20s score %.3f %.3f gain %.4f rank %.4f strain %+.4f broad %.2f", h->n_known, h->list[k].card->name, h->list[k].from.score,
                  h->list[k].t.score, (h->chi2 - h->list[k].chi2) / h->chi2, h->list[k].rank, mean_strain(&h->list[k].t), h->list[k].t.broad);
    found *f = &h->known[h->n_known];
    double before = h->chi2;
    scene keep = *h->s;
    trial saved[BRAGG_MOST_PHASES];
    for (size_t k = 0; k < h->n_known; k++)
        saved[k] = h->known[k].c.t;
    *f = (found){ .c = h->list[0] };
    note_alternatives(h, f);
    note_relatives(h, f);
    memcpy(h->before, h->s->left, h->s->n * sizeof *h->before);
    h->list[0] = (candidate){ .card = NULL };
    h->n_known++;
    st = refit(h, err);
    f->gain = before - h->chi2;
    f->share = f->gain / before;
    if (st < 0)
        return st;
    count_lines(h, f, h->each[h->n_known - 1], h->before);
    f->alone = gain_alone(h, h->each[h->n_known - 1], h->before);
    bool evident = is_evident(h, f);
    bragg_log(h->o->observer, BRAGG_LOG_DEBUG, "  %s: share %.3f alone %.3f lines %zu of %zu%s", f->c.card->name, f->share, f->alone / f->gain, f->seen, f->expected, evident ? "" : ": not evident");
    *more = evident;
    if (evident)
        return BRAGG_OK;
    h->n_known--; /* it stays behind the known ones as a guess */
    for (size_t k = 0; k < h->n_known; k++)
        h->known[k].c.t = saved[k];
    h->s->displacement = keep.displacement;
    memcpy(h->s->background, keep.background, sizeof keep.background);
    return refit(h, err);
}

static void clear_list(hunt *h)
{
    for (size_t k = 0; k < h->n; k++)
        drop_candidate(&h->list[k]);
    h->n = 0;
}

/* ---------------------------------------------------------------- answers */

static double rwp_of(const hunt *h)
{
    double miss = 0, all = 0;
    for (size_t i = 0; i < h->s->n; i++) {
        double w = 1 / (h->s->noise[i] * h->s->noise[i]);
        miss += w * pow(h->s->left[i], 2);
        all += w * pow(h->s->net[i], 2);
    }
    return all > 0 ? sqrt(miss / all) : NAN;
}

static double explained_by(const hunt *h)
{
    double miss = 0, all = 0;
    for (size_t i = 0; i < h->s->n; i++)
        if (h->s->net[i] > 4 * h->s->noise[i]) {
            all += h->s->net[i];
            miss += fabs(h->s->left[i]);
        }
    return all > 0 ? fmax(0, 1 - miss / all) : 0;
}

static const char *copy_text(hunt *h, const char *text)
{
    const char *copy = bragg_arena_strdup(h->out->arena, text);
    return copy ? copy : "";
}

static bragg_match match_of(hunt *h, const found *f)
{
    const bragg_card *c = f->c.card;
    bragg_match m = { .card = c->id, .name = copy_text(h, c->name), .formula = copy_text(h, c->formula), .source = copy_text(h, c->source), .score = f->score,
                      .fraction = { NAN, NAN }, .cell = trial_cell(&f->c.t), .strain = mean_strain(&f->c.t), .lines = f->expected, .found = f->seen,
                      .n_alternatives = f->n_alternatives, .remark = f->remark };
    memcpy(m.alternative, f->alternative, sizeof m.alternative);
    memcpy(m.alternative_name, f->alternative_name, sizeof m.alternative_name);
    return m;
}

/* Weights from the reference intensity ratios: w ~ scale / (I/Ic). */
static void rir_fractions(const hunt *h, const found *f, size_t n, bragg_hypothesis *to)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += f[k].c.t.scale / f[k].c.card->rir;
    for (size_t k = 0; k < n; k++) {
        double w = f[k].c.t.scale / f[k].c.card->rir / sum;
        to->phase[k].fraction = (bragg_quantity){ n == 1 ? 1 : w, n == 1 ? 0 : w * f[k].c.t.scale_esd / f[k].c.t.scale };
    }
    (void)h;
}

static bragg_status add_structure(const hunt *h, bragg_model *model, const bragg_match *m, size_t index, bragg_error *err)
{
    bragg_structure *s;
    char name[8];
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
    trial *t[BRAGG_MOST_PHASES];
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < h->n_known; k++)
        t[k] = &h->known[k].c.t;
    for (size_t k = 0; k < h->n_known && st == BRAGG_OK; k++) {
        found *f = &h->known[k];
        st = solution_remark(h->set, h->s, t[k], h->each, h->n_known, k, h->chi2, f->kin, f->n_kin, h->out->arena, &f->remark, err);
        if (st == BRAGG_OK && !f->remark)
            st = two_phase_remark(h->s, t, h->each, h->n_known, k, h->chi2, h->out->arena, &f->remark, err);
    }
    return st;
}

static bragg_status answer(hunt *h, const bragg_pattern *p, bragg_error *err)
{
    bragg_identification *o = h->out;
    o->hypothesis = bragg_arena_alloc(o->arena, 3 + SINGLES, sizeof *o->hypothesis);
    bragg_status st = o->hypothesis ? list_peaks(h, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for answers");
    if (st < 0)
        return st;
    bragg_hypothesis *first = &o->hypothesis[o->n++], *none;
    bool evident = h->n_known > 0;
    first->n = evident ? h->n_known : h->known[0].c.card ? 1 : 0;
    first->guess = !evident;
    first->score = first->n ? 1 : 0;
    st = remark_all(h, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < first->n; k++) {
        rate_found(h, &h->known[k]);
        first->phase[k] = match_of(h, &h->known[k]);
        first->score = fmin(first->score, h->known[k].score);
    }
    first->rwp = rwp_of(h);
    first->explained = explained_by(h);
    first->score *= evident ? fmin(1, 0.3 + first->explained) : 0.3;
    rir_fractions(h, h->known, first->n, first);
    if (evident && h->o->refine) {
        bragg_error ignored = BRAGG_ERROR_INIT; /* a list of lines has no structure */
        st = refine_fractions(h, p, first, &ignored);
        if (st == BRAGG_ENOMEM)
            return bragg_fail(err, st, "%s", ignored.text);
    }
    if (!first->n)
        o->n--;
    none = &o->hypothesis[o->n++];
    *none = (bragg_hypothesis){ .score = first->n ? fmax(0, 1 - first->score) : 1, .rwp = NAN };
    qsort(o->hypothesis, o->n, sizeof *o->hypothesis, by_score);
    return BRAGG_OK;
}

/* The doublet of the tube whose K alpha (first line or weighted mean) the wavelength is. */
static bool tube_of(const bragg_radiation *given, bragg_radiation *out)
{
    static const int anodes[] = { 29, 42, 27, 26, 24, 47 };
    for (size_t k = 0; k < sizeof anodes / sizeof *anodes; k++) {
        double first = BRAGG_HC_KEV_ANG / LineEnergy(anodes[k], KL3_LINE, NULL), second = BRAGG_HC_KEV_ANG / LineEnergy(anodes[k], KL2_LINE, NULL);
        double w = given->wavelength_ang[0];
        if (!(first > 0 && second > first) || w < first * (1 - 2e-4) || w > second)
            continue;
        *out = *given;
        out->n_lines = 2;
        out->wavelength_ang[0] = w < first * (1 + 1e-4) ? w : first;
        out->wavelength_ang[1] = out->wavelength_ang[0] * second / first;
        out->ratio[1] = RadRate(anodes[k], KL2_LINE, NULL) / RadRate(anodes[k], KL3_LINE, NULL);
        return true;
    }
    return false;
}

/* A user who types a tube's wavelength may have a monochromator or not: the first
 * phase tells.  If the second line is there all begins again with it. */
static bragg_status try_doublet(hunt *h, const bragg_pattern *p, bool *again, bragg_error *err)
{
    bragg_radiation two, one = h->s->radiation;
    trial t = h->known[0].c.t, *list[] = { &t };
    double chi2;
    *again = false;
    if (one.n_lines != 1 || one.neutron || !tube_of(&one, &two))
        return BRAGG_OK;
    h->s->radiation = two;
    bragg_status st = scene_fit(h->s, list, 1, &chi2, NULL, NULL, err);
    if (st < 0)
        return st;
    h->s->radiation = one;
    if (chi2 > 0.98 * h->chi2)
        return refit(h, err);
    scene *s;
    st = scene_new(p, &two, &s, err);
    if (st < 0)
        return st;
    scene_free(h->s);
    h->s = s;
    h->out->radiation = two;
    drop_candidate(&h->known[0].c);
    h->n_known = 0;
    *again = true;
    return refit(h, err);
}

static bragg_status hunt_phases(hunt *h, const bragg_pattern *p, bragg_error *err)
{
    bool more = true;
    bragg_status st = BRAGG_OK;
    st = refit(h, err); /* the background alone */
    while (st == BRAGG_OK && more && h->n_known < BRAGG_MOST_PHASES) {
        drop_candidate(&h->known[h->n_known].c);
        st = add_phase(h, &more, err);
        clear_list(h);
        bool again;
        if (st == BRAGG_OK && more && h->n_known == 1)
            st = try_doublet(h, p, &again, err);
        if (st == BRAGG_OK && !bragg_progress(h->o->observer, h->n_known, BRAGG_MOST_PHASES))
            break;
    }
    return st;
}

static bragg_status make_room(hunt *h, bragg_error *err)
{
    size_t room = h->s->n_raw; /* the scene may be made again, thinned otherwise */
    double *v = malloc((BRAGG_MOST_PHASES + 2) * room * sizeof *v);
    h->list = calloc(MATCHED, sizeof *h->list);
    h->all = v;
    h->before = v ? v + (BRAGG_MOST_PHASES + 1) * room : NULL;
    for (size_t k = 0; v && k < BRAGG_MOST_PHASES; k++)
        h->each[k] = v + (k + 1) * room;
    return v && h->list ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for candidates");
}

bragg_status bragg_identify(const bragg_cards *cards, const bragg_pattern *p, const bragg_identify_options *o, bragg_identification **out, bragg_error *err)
{
    hunt h = { .set = cards, .o = o };
    *out = NULL;
    if (!(o->radiation.n_lines > 0 && o->radiation.wavelength_ang[0] > 0))
        return bragg_fail(err, BRAGG_EINVAL, "expected a wavelength, found none");
    bragg_arena *arena = bragg_arena_new();
    h.out = arena ? bragg_arena_alloc(arena, 1, sizeof *h.out) : NULL;
    bragg_status st = h.out ? scene_new(p, &o->radiation, &h.s, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for answers");
    if (st == BRAGG_OK) {
        h.out->arena = arena;
        h.out->radiation = o->radiation;
        st = cards_search_load(cards, &h.search, err);
    }
    if (st == BRAGG_OK)
        st = make_room(&h, err);
    if (st == BRAGG_OK)
        st = hunt_phases(&h, p, err);
    if (st == BRAGG_OK)
        st = answer(&h, p, err);
    for (size_t k = 0; k < BRAGG_MOST_PHASES; k++)
        drop_candidate(&h.known[k].c);
    cards_search_free(&h.search);
    scene_free(h.s);
    free(h.list);
    free(h.all);
    if (st < 0)
        bragg_arena_free(arena);
    else
        *out = h.out;
    return st;
}

void bragg_identification_free(bragg_identification *i)
{
    if (i)
        bragg_arena_free(i->arena);
}
