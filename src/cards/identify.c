/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which cards does a pattern show?  Candidates, verification, evidence; phase by phase. */
#include "config.h"
#include "hunt.h"

#include <bragg/thread.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xraylib.h>

/* Candidates whose lines are matched with peaks, of which n_verify are fitted. */
enum { MATCHED = 1000 };
/* What a nat of doubt in the cell counts beside the match of lines. */
static const double strain_weight = 0.02;

/* ------------------------------------------------------------- candidates */

static bragg_status match_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    hunt *h = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        candidate *c = &h->list[k];
        st = bragg_cards_trial_lines(h->s, c->card, &c->t, err);
        if (st < 0 || !c->t.n)
            continue;
        bragg_cards_trial_match(h->s, c->from.shift, &c->t);
        c->rank = c->t.score * exp(-strain_weight * bragg_cards_hunt_doubt(&c->t)); /* of hundreds of one type the nearest cells */
    }
    return st;
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

/* Of cards that explain nearly the same the more probable one comes first. */
static void settle_ties(hunt *h)
{
    size_t best = 0;
    for (size_t k = 1; k < h->n && h->list[k].rank > 0.985 * h->list[0].rank; k++)
        best = h->list[k].worth > h->list[best].worth ? k : best;
    candidate first = h->list[best];
    memmove(h->list + 1, h->list, best * sizeof *h->list);
    h->list[0] = first;
}

/* From all cards to a few, matched and sorted. */
static bragg_status gather(hunt *h, bragg_error *err)
{
    hit hits[MATCHED];
    size_t n;
    bragg_status st = bragg_cards_scene_search(h->s, &h->search, &h->o->filter, hits, MATCHED, &n, &h->out->searched, err);
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
    qsort(h->list, h->n, sizeof *h->list, by_rank);
    while (h->n > h->o->n_verify)
        bragg_cards_hunt_drop(&h->list[--h->n]);
    while (h->n && !(h->list[h->n - 1].t.score > 0))
        bragg_cards_hunt_drop(&h->list[--h->n]);
    return BRAGG_OK;
}

static bragg_status screen_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    hunt *h = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        candidate *c = &h->list[k];
        st = bragg_cards_scene_screen(h->s, &c->t, (const double *const *)h->each, h->n_known, &c->chi2, err);
        c->rank = (h->chi2 - c->chi2) / h->chi2 * bragg_cards_hunt_trust(&c->t);
        c->worth = -c->chi2 / (2 * h->s->points_a_peak) - bragg_cards_hunt_doubt(&c->t);
    }
    return st;
}

/* --------------------------------------------------------------- evidence */

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

static int by_worth(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return (x->worth < y->worth) - (x->worth > y->worth);
}

/* Cards that explain nearly as much: one of them may be the better one in the end.  The
 * first of the list is gone. */
static void keep_rivals(hunt *h, found *f)
{
    size_t n = 1;
    while (n < h->n && h->list[n].rank > 0.6 * f->c.rank)
        n++;
    qsort(h->list + 1, n - 1, sizeof *h->list, by_worth);
    f->n_rivals = 0;
    for (size_t k = 1; k < n && f->n_rivals < RIVALS; k++) {
        f->rival[f->n_rivals++] = h->list[k];
        h->list[k] = (candidate){ .card = NULL };
    }
}

static void drop_found(found *f)
{
    bragg_cards_hunt_drop(&f->c);
    for (size_t k = 0; k < f->n_rivals; k++)
        bragg_cards_hunt_drop(&f->rival[k]);
    f->n_rivals = f->n_equal = 0;
}

/* Cards of the same space group that were tried in its place. */
static void note_relatives(hunt *h, found *f)
{
    f->n_kin = 0;
    for (size_t k = 0; k < h->n && f->n_kin < RELATIVES; k++) {
        const candidate *c = &h->list[k];
        if (c->card->group_number == f->c.card->group_number && c->card->group_number && c->rank > 0.1 * h->list[0].rank)
            f->kin[f->n_kin++] = (relative){ c->card->id, bragg_cards_mean_strain(&c->t) };
    }
}

static bool is_evident(const hunt *h, const found *f)
{
    double terms = 2 + (double)f->c.t.n_strains;
    double bic = f->alone / FEWEST_A_PEAK - terms * log((double)h->s->n / FEWEST_A_PEAK);
    size_t enough = f->share > 0.05 && !bragg_cards_hunt_is_wide(h, f) ? 2 : 3, fewest = f->c.t.n < enough ? f->c.t.n : enough;
    return bic > 0 && f->alone > 0.3 * f->gain && f->seen >= fewest && (double)f->seen >= 0.6 * (double)f->expected && f->share > (h->n_known ? 0.02 : 0.1);
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
                  h->list[k].t.score, (h->chi2 - h->list[k].chi2) / h->chi2, h->list[k].rank, bragg_cards_mean_strain(&h->list[k].t), h->list[k].t.broad);
    found *f = &h->known[h->n_known];
    double before = h->chi2;
    scene keep = *h->s;
    trial saved[BRAGG_MAX_PHASES];
    for (size_t k = 0; k < h->n_known; k++)
        saved[k] = h->known[k].c.t;
    *f = (found){ .c = h->list[0] };
    note_relatives(h, f);
    keep_rivals(h, f);
    memcpy(h->before, h->s->left, h->s->n * sizeof *h->before);
    h->list[0] = (candidate){ .card = NULL };
    h->n_known++;
    st = bragg_cards_hunt_refit(h, err);
    f->gain = before - h->chi2;
    f->share = f->gain / before;
    if (st < 0)
        return st;
    bragg_cards_hunt_count_lines(h, f, h->each[h->n_known - 1], h->before);
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
    return bragg_cards_hunt_refit(h, err);
}

static void clear_list(hunt *h)
{
    for (size_t k = 0; k < h->n; k++)
        bragg_cards_hunt_drop(&h->list[k]);
    h->n = 0;
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
    bragg_status st = bragg_cards_scene_fit(h->s, list, 1, &chi2, NULL, NULL, err);
    if (st < 0)
        return st;
    h->s->radiation = one;
    if (chi2 > 0.98 * h->chi2)
        return bragg_cards_hunt_refit(h, err);
    scene *s;
    st = bragg_cards_scene_new(p, &two, &s, err);
    if (st < 0)
        return st;
    bragg_cards_scene_free(h->s);
    h->s = s;
    h->out->radiation = two;
    drop_found(&h->known[0]);
    h->n_known = 0;
    *again = true;
    return bragg_cards_hunt_refit(h, err);
}

static bragg_status hunt_phases(hunt *h, const bragg_pattern *p, bragg_error *err)
{
    bool more = true;
    bragg_status st = BRAGG_OK;
    st = bragg_cards_hunt_refit(h, err); /* the background alone */
    while (st == BRAGG_OK && more && h->n_known < BRAGG_MAX_PHASES) {
        drop_found(&h->known[h->n_known]);
        st = add_phase(h, &more, err);
        clear_list(h);
        bool again;
        if (st == BRAGG_OK && more && h->n_known == 1)
            st = try_doublet(h, p, &again, err);
        if (st == BRAGG_OK && !bragg_progress(h->o->observer, h->n_known, BRAGG_MAX_PHASES))
            break;
    }
    return st;
}

static bragg_status make_room(hunt *h, bragg_error *err)
{
    size_t room = h->s->n_raw; /* the scene may be made again, thinned otherwise */
    double *v = malloc((BRAGG_MAX_PHASES + 2) * room * sizeof *v);
    h->list = calloc(MATCHED, sizeof *h->list);
    h->all = v;
    h->before = v ? v + (BRAGG_MAX_PHASES + 1) * room : NULL;
    for (size_t k = 0; v && k < BRAGG_MAX_PHASES; k++)
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
    bragg_status st = h.out ? bragg_cards_scene_new(p, &o->radiation, &h.s, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for answers");
    if (st == BRAGG_OK) {
        h.out->arena = arena;
        h.out->radiation = o->radiation;
        h.out->radius_m = p->radius_m;
        st = bragg_cards_search_load(cards, &h.search, err);
    }
    if (st == BRAGG_OK)
        st = make_room(&h, err);
    if (st == BRAGG_OK)
        st = hunt_phases(&h, p, err);
    if (st == BRAGG_OK)
        st = bragg_cards_hunt_settle(&h, err);
    if (st == BRAGG_OK)
        st = bragg_cards_hunt_answer(&h, p, err);
    for (size_t k = 0; k < BRAGG_MAX_PHASES; k++)
        drop_found(&h.known[k]);
    bragg_cards_search_free(&h.search);
    bragg_cards_scene_free(h.s);
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
