/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The card set: structures from a folder, reduced to lines. */
#include "config.h"
#include <bragg/cards.h>

#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lines stronger than this part of the strongest are kept. */
static const double weakest_line = 0.003;

static void list_elements(const bragg_structure *s, bragg_card *c)
{
    for (size_t k = 0; k < s->n_scatterers; k++) {
        bool known = false;
        for (size_t i = 0; i < c->n_elements; i++)
            known = known || c->elements[i] == s->scatterer[k].z;
        if (!known && c->n_elements < sizeof c->elements)
            c->elements[c->n_elements++] = (unsigned char)s->scatterer[k].z;
    }
}

/* m L P |F|^2 without polarization, reflections of equal d joined. */
static bragg_status keep_lines(bragg_arena *arena, const bragg_reflection *list, double *strength, size_t n, double wavelength, bragg_card *c, bragg_error *err)
{
    double top = 0;
    size_t m = 0;
    for (size_t k = 0; k < n; k++) {
        double s = fmin(wavelength / (2 * list[k].d_ang), 0.999), cosine = sqrt(1 - s * s), c2 = 1 - 2 * s * s;
        strength[k] *= list[k].multiplicity * (1 + c2 * c2) / (s * s * cosine);
        size_t j = k;
        while (j > 0 && list[j - 1].d_ang - list[k].d_ang < 2e-4 * list[k].d_ang)
            j--;
        if (j < k) {
            strength[j] += strength[k];
            strength[k] = 0;
        }
        top = fmax(top, strength[j]);
    }
    for (size_t k = 0; k < n; k++)
        m += strength[k] > weakest_line * top;
    c->q_invang = bragg_arena_alloc(arena, 2 * m + 1, sizeof(double));
    if (!c->q_invang)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    c->intensity = c->q_invang + m;
    for (size_t k = 0; k < n; k++)
        if (strength[k] > weakest_line * top) {
            c->q_invang[c->n_lines] = 2 * BRAGG_PI / list[k].d_ang;
            c->intensity[c->n_lines++] = strength[k] / top;
        }
    return BRAGG_OK;
}

static bragg_status make_card(bragg_arena *arena, const char *path, double wavelength, double q_max, bragg_card *c, bragg_error *err)
{
    bragg_structure *s;
    bragg_reflection *list = NULL;
    bragg_factors *f = NULL;
    double *f2 = NULL, g[6];
    size_t n = 0;
    bragg_status st = bragg_structure_read_cif(path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < s->n_scatterers && st == BRAGG_OK; k++)
        st = bragg_scatterer_set_anomalous(&s->scatterer[k], wavelength, err);
    if (st == BRAGG_OK)
        st = bragg_reflections(&s->cell, &s->symmetry, 2 * BRAGG_PI / q_max, 100, &list, &n, err);
    if (st == BRAGG_OK)
        st = bragg_factors_new(s, list, n, false, &f, err);
    if (st == BRAGG_OK && !(f2 = malloc((n + 1) * sizeof *f2)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu reflections", n);
    bragg_cell_reciprocal(&s->cell, g);
    if (st == BRAGG_OK)
        st = bragg_factors_evaluate(f, s, g, f2, NULL, NULL, err);
    *c = (bragg_card){ .name = bragg_path_stem(arena, path), .formula = bragg_arena_strdup(arena, s->formula), .path = bragg_arena_strdup(arena, path) };
    list_elements(s, c);
    if (st == BRAGG_OK)
        st = keep_lines(arena, list, f2, n, wavelength, c, err);
    free(f2);
    free(list);
    bragg_factors_free(f);
    bragg_structure_free(s);
    return st;
}

bragg_status bragg_cards_read_folder(const char *folder, double wavelength, double q_max, const bragg_observer *observer, bragg_cards **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_cards *set = arena ? bragg_arena_alloc(arena, 1, sizeof *set) : NULL;
    const char **paths;
    size_t n;
    *out = NULL;
    bragg_status st = set ? bragg_path_list(arena, folder, ".cif", &paths, &n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for cards");
    if (st == BRAGG_OK && !(set->card = bragg_arena_alloc(arena, n + 1, sizeof *set->card)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu cards", n);
    for (size_t k = 0; st == BRAGG_OK && k < n; k++) {
        bragg_error one = BRAGG_ERROR_INIT;
        if (make_card(arena, paths[k], wavelength, q_max, &set->card[set->n], &one) == BRAGG_OK)
            set->n++;
        else
            bragg_log(observer, BRAGG_LOG_WARNING, "left out: %s", one.text);
        if (!bragg_progress(observer, k, n))
            st = BRAGG_STOPPED;
    }
    if (st >= 0 && set->n == 0)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected CIF files, found none that can be read", folder);
    if (st < 0) {
        bragg_arena_free(arena);
        return st;
    }
    set->arena = arena;
    *out = set;
    return BRAGG_OK;
}

void bragg_cards_free(bragg_cards *set)
{
    if (set)
        bragg_arena_free(set->arena);
}
