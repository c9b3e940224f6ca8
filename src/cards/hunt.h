/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hunt for phases: what its steps share; private to the floor. */
#ifndef CARDS_HUNT_H
#define CARDS_HUNT_H

#include "scene.h"

#pragma GCC visibility push(hidden)

/* Cards kept beside a found one that may stand in its place. */
enum { RIVALS = 16 };

typedef struct candidate {
    hit from;
    bragg_card *card;
    trial t;
    double chi2, rank;
    double worth;                        /* log of the posterior beside the other phases, but for a constant */
} candidate;

typedef struct found {
    candidate c;
    double gain, alone, share;           /* of chi^2; where it stands alone; of what was left before */
    size_t expected, seen;
    candidate rival[RIVALS];             /* by falling worth, once settled */
    size_t n_rivals, n_equal;            /* of which so many cannot be told from it */
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
    found known[BRAGG_MAX_PHASES];
    size_t n_known;
    candidate *list;
    size_t n;
    double chi2;
    double *each[BRAGG_MAX_PHASES], *all, *before;
    bragg_identification *out;
} hunt;

/* 0 to 1: doubt in what a fit had to do to a card. */
double bragg_cards_hunt_trust(const trial *t);
/* Nats against it for the same. */
double bragg_cards_hunt_doubt(const trial *t);
/* Broader than the pattern's peaks are: what a background leaves looks like that, too. */
bool bragg_cards_hunt_is_wide(const hunt *h, const found *f);
void bragg_cards_hunt_drop(candidate *c);
/* All known phases together; what they leave. */
bragg_status bragg_cards_hunt_refit(hunt *h, bragg_error *err);
/* Lines of a phase (its profile: own) that should be seen beside the others, and those
 * that are; before: what was left without it, NULL: what is left and its own. */
void bragg_cards_hunt_count_lines(const hunt *h, found *f, const double *own, const double *before);
/* Of the cards that may stand in the place of each found one, all others given: the most
 * probable, its equals, its rivals. */
bragg_status bragg_cards_hunt_settle(hunt *h, bragg_error *err);
/* The hypotheses, their scores and weights. */
bragg_status bragg_cards_hunt_answer(hunt *h, const bragg_pattern *p, bragg_error *err);

#pragma GCC visibility pop
#endif
