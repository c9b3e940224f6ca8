/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which of the cards that nearly fit stands in a place?  A contest: each is fitted to the
 * end beside the other phases, and what the fit had to do to its cell and widths counts
 * against it. */
#include "config.h"
#include "hunt.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Log odds within which two cards cannot be told apart. */
static const double equal_odds = 3;
/* How far cells of a pure phase at room temperature lie from those of a card: wide
 * tails for temperature and composition, and calculations are off by more. */
static const double usual_strain = 0.0015, computed_strain = 0.008;

/* Nats against a trial: a Cauchy prior of its strains, a normal one of ln(width). */
double bragg_cards_hunt_doubt(const trial *t)
{
    double mean = bragg_cards_mean_strain(t), odd = 0, width = t->card->flags & (BRAGG_CARD_COMPUTED | BRAGG_CARD_ESTIMATED) ? computed_strain : usual_strain;
    for (size_t c = 0; c < t->n_strains; c++)
        odd = fmax(odd, fabs(t->strain[c] - (c < 3 ? mean : 0)));
    double broad = fmax(0, log(t->broad / 2)) / 0.5;
    return log1p(pow(mean / width, 2)) + log1p(pow(odd / width, 2)) + log(width / usual_strain) + broad * broad / 2;
}

typedef struct contest {
    const hunt *h;
    scene *view;             /* the scene with the doubts of each place */
    candidate *list[BRAGG_MAX_PHASES * (RIVALS + 1)];
    size_t place[BRAGG_MAX_PHASES * (RIVALS + 1)], n;
} contest;

static bragg_status contest_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    const contest *w = payload;
    const hunt *h = w->h;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        const double *others[BRAGG_MAX_PHASES];
        size_t n = 0;
        candidate *c = w->list[k];
        for (size_t i = 0; i < h->n_known; i++)
            if (i != w->place[k])
                others[n++] = h->each[i];
        st = bragg_cards_scene_contest(&w->view[w->place[k]], &c->t, others, n, &c->chi2, err);
        c->worth = -c->chi2 / (2 * h->s->points_a_peak) - bragg_cards_hunt_doubt(&c->t);
    }
    return st;
}

static int by_worth(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->worth != y->worth)
        return x->worth < y->worth ? 1 : -1;
    return (x->card->id > y->card->id) - (x->card->id < y->card->id);
}

/* True when another one takes the place. */
static bool crown(found *f)
{
    qsort(f->rival, f->n_rivals, sizeof *f->rival, by_worth);
    bool changed = f->n_rivals && by_worth(&f->c, &f->rival[0]) > 0;
    if (changed) {
        candidate best = f->rival[0];
        f->rival[0] = f->c;
        f->c = best;
        qsort(f->rival, f->n_rivals, sizeof *f->rival, by_worth);
    }
    f->n_equal = 0;
    while (f->n_equal < f->n_rivals && f->rival[f->n_equal].worth > f->c.worth - equal_odds)
        f->n_equal++;
    return changed;
}

/* The scene as each place sees it; only a weak phase sees another. */
static bragg_status look_closer(const hunt *h, scene *view, double *room, bragg_error *err)
{
    const scene *s = h->s;
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", s->n);
    for (size_t k = 0; k < h->n_known; k++) {
        double own = 0;
        for (size_t i = 0; i < s->n; i++)
            own = fmax(own, h->each[k][i]);
        view[k] = *s;
        if (bragg_cards_scene_look_closer(s, own, room, room + (k + 1) * s->n))
            view[k].sigma = room + (k + 1) * s->n;
    }
    return BRAGG_OK;
}

bragg_status bragg_cards_hunt_settle(hunt *h, bragg_error *err)
{
    scene view[BRAGG_MAX_PHASES];
    double *room = malloc(((h->n_known + 1) * h->s->n + 1) * sizeof *room);
    contest w = { .h = h, .view = view };
    bragg_status st = look_closer(h, view, room, err);
    for (size_t k = 0; k < h->n_known; k++)
        for (size_t i = 0; i <= h->known[k].n_rivals; i++) {
            w.list[w.n] = i ? &h->known[k].rival[i - 1] : &h->known[k].c;
            w.place[w.n++] = k;
        }
    if (st == BRAGG_OK)
        st = bragg_parallel_for(w.n, 1, contest_range, &w, err);
    free(room);
    for (size_t k = 0; k < w.n && st == BRAGG_OK; k++)
        bragg_log(h->o->observer, BRAGG_LOG_DEBUG, "place %zu: %-20s worth %.1f strain %+.4f texture %+.2f broad %.2f", w.place[k], w.list[k]->card->name,
                  w.list[k]->worth, bragg_cards_mean_strain(&w.list[k]->t), w.list[k]->t.n_textures ? w.list[k]->t.texture[0] : 0, w.list[k]->t.broad);
    bool changed = false;
    for (size_t k = 0; k < h->n_known && st == BRAGG_OK; k++)
        changed = crown(&h->known[k]) || changed;
    return st == BRAGG_OK && changed ? bragg_cards_hunt_refit(h, err) : st;
}
