/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Solid solution or two phases?  Evidence for neighbours of one structure type. */
#include "config.h"
#include "scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cells nearer than this are the card's own; end members may be off by so much. */
static const double least_strain = 0.003, most_strain = 0.006;

double bragg_cards_mean_strain(const trial *t)
{
    bragg_cell c = bragg_cards_trial_cell(t);
    return c.a > 0 ? cbrt(bragg_cell_volume_ang3(&c) / bragg_cell_volume_ang3(&t->card->cell)) - 1 : t->strain[0];
}

/* End members of one series: elements each, or all but one element in common. */
static bool are_kin(const bragg_card *a, const bragg_card *b)
{
    size_t common = 0;
    for (size_t k = 0; k < a->n_elements; k++)
        common += memchr(b->elements, a->elements[k], b->n_elements) != NULL;
    bool same = common == a->n_elements && common == b->n_elements;
    return !same && a->n_elements == b->n_elements && common + 1 >= a->n_elements;
}

static bool share_element(const bragg_card *a, const bragg_card *b)
{
    for (size_t k = 0; k < a->n_elements; k++)
        if (memchr(b->elements, a->elements[k], b->n_elements))
            return true;
    return false;
}

/* Start of an end member beside known profiles: its own cell, nearly. */
static bragg_status lay_end(const scene *s, const trial *like, trial *t, const double *const *known, size_t n, double *chi2, double *out, bragg_error *err)
{
    t->scale = like->scale / 2;
    t->broad = like->broad;
    t->slope = like->slope;
    bragg_status st = bragg_cards_scene_screen(s, t, known, n, chi2, err);
    if (st == BRAGG_OK && fabs(bragg_cards_mean_strain(t)) > most_strain)
        memset(t->strain, 0, sizeof t->strain);
    return st == BRAGG_OK ? bragg_cards_scene_profile(s, t, out, err) : st;
}

static bragg_status weigh(const scene *s, const trial *t, const bragg_card *const end[2], double *const *each, size_t n, size_t index, double *chi2, bragg_error *err)
{
    const double *known[BRAGG_MAX_PHASES + 1];
    size_t m = 0;
    bragg_status st = BRAGG_OK;
    double *profile = malloc(2 * s->n * sizeof *profile);
    if (!profile)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a profile");
    for (size_t k = 0; k < n; k++)
        if (k != index)
            known[m++] = each[k];
    for (int k = 0; k < 2 && st == BRAGG_OK; k++) {
        trial e;
        st = bragg_cards_trial_lines(s, end[k], &e, err);
        if (st == BRAGG_OK)
            st = lay_end(s, t, &e, known, m, chi2, profile + (size_t)k * s->n, err);
        known[m++] = profile + (size_t)k * s->n;
        bragg_cards_trial_free(&e);
    }
    if (st == BRAGG_OK)
        st = bragg_cards_scene_factors(s, known, m, chi2, err);
    free(profile);
    return st;
}

static char *say(bragg_arena *arena, const bragg_card *const end[2], const double strain[2], const trial *t, double one, double two)
{
    char text[400];
    double share = strain[0] / (strain[0] - strain[1]), evidence = (two - one) / 5; /* points of a peak count as one */
    snprintf(text, sizeof text, "cell between %s (%+.2f %%) and %s (%+.2f %%), Vegard %.2f of the latter; lines %.1f times the pattern's width; %s (evidence %+.0f)", end[0]->name,
             100 * strain[0], end[1]->name, 100 * strain[1], share, t->broad,
             evidence > 10 ? "one solid solution explains more than both" : evidence < -10 ? "both together explain more than one cell" : "one cell or both explain the same", evidence);
    return bragg_arena_strdup(arena, text);
}

/* The other way: two phases of one type are there; would one cell between them do? */
static bragg_status compare_with_one(const scene *s, trial *const *t, double *const *each, size_t n, size_t i, size_t j, double chi2, double *evidence, bragg_error *err)
{
    const double *known[BRAGG_MAX_PHASES];
    size_t m = 0;
    trial one;
    double apart = log(cbrt(bragg_cell_volume_ang3(&t[j]->card->cell) / bragg_cell_volume_ang3(&t[i]->card->cell)));
    for (size_t k = 0; k < n; k++)
        if (k != i && k != j)
            known[m++] = each[k];
    bragg_status st = bragg_cards_trial_lines(s, t[i]->card, &one, err);
    *evidence = NAN;
    for (size_t c = 0; c < one.n_strains && c < 3; c++)
        one.strain[c] = fmin(fmax(apart / 2, -0.039), 0.039);
    one.scale = t[i]->scale + t[j]->scale;
    one.broad = fmax(t[i]->broad, t[j]->broad);
    if (st == BRAGG_OK)
        st = bragg_cards_scene_screen(s, &one, known, m, evidence, err);
    *evidence = (*evidence - chi2) / 5;
    bragg_cards_trial_free(&one);
    return st;
}

bragg_status bragg_cards_two_phase_remark(const scene *s, trial *const *t, double *const *each, size_t n, size_t index, double chi2, bragg_arena *arena, char **out, bragg_error *err)
{
    *out = NULL;
    for (size_t j = 0; j < n; j++) {
        const bragg_card *a = t[index]->card, *b = t[j]->card;
        if (j == index || a->group_number != b->group_number || !a->group_number || !are_kin(a, b) || !(a->cell.a > 0 && b->cell.a > 0))
            continue;
        bragg_cell ca = bragg_cards_trial_cell(t[index]), cb = bragg_cards_trial_cell(t[j]);
        double apart = cbrt(bragg_cell_volume_ang3(&cb) / bragg_cell_volume_ang3(&ca)) - 1, evidence;
        if (fabs(apart) > 0.08)
            continue;
        bragg_status st = compare_with_one(s, t, each, n, index, j, chi2, &evidence, err);
        if (st < 0)
            return st;
        char text[300];
        snprintf(text, sizeof text, "of one type with %s, whose cell is %+.2f %% off: %s (evidence %+.0f)", b->name, 100 * apart,
                 evidence > 10 ? "two phases, one cell between them explains less" : "one cell between them would do as well", evidence);
        *out = bragg_arena_strdup(arena, text);
        return *out ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a remark");
    }
    return BRAGG_OK;
}

bragg_status bragg_cards_solution_remark(const bragg_cards *set, const scene *s, const trial *t, double *const *each, size_t n, size_t index, double chi2, const relative *list,
                             size_t n_list, bragg_arena *arena, char **out, bragg_error *err)
{
    bragg_card *card[RELATIVES] = { NULL };
    const bragg_card *end[2] = { NULL, NULL };
    double strain[2] = { 0, 0 };
    bragg_status st = BRAGG_OK;
    *out = NULL;
    for (size_t k = 0; k < n_list && st == BRAGG_OK; k++)
        st = bragg_cards_card(set, list[k].card, &card[k], err);
    for (size_t i = 0; i < n_list && st == BRAGG_OK; i++)
        for (size_t j = 0; j < n_list; j++) /* the nearest pair on both sides */
            if (list[i].strain > least_strain && list[j].strain < -least_strain && are_kin(card[i], card[j]) &&
                share_element(card[i], t->card) && share_element(card[j], t->card) &&
                (!end[0] || list[i].strain - list[j].strain < strain[0] - strain[1])) {
                end[0] = card[i];
                end[1] = card[j];
                strain[0] = list[i].strain;
                strain[1] = list[j].strain;
            }
    double both;
    if (st == BRAGG_OK && end[0] && (st = weigh(s, t, end, each, n, index, &both, err)) == BRAGG_OK)
        *out = say(arena, end, strain, t, chi2, both);
    for (size_t k = 0; k < n_list; k++)
        bragg_card_free(card[k]);
    return st;
}
