/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An answer of search-match as the experiment that refines it. */
#include "config.h"

#include <bragg/arena.h>
#include <bragg/cards.h>
#include <bragg/number.h>
#include <bragg/param.h>
#include <bragg/path.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As text of YAML, whatever is in it. */
static void put_text(FILE *to, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    fputs(quoted ? quoted : "''", to);
    free(quoted);
    json_decref(string);
}

/* "name: " as a phase may be called, for what comes of a file of any name. */
static void put_name(FILE *to, const char *name)
{
    char *word = strdup(name);
    for (char *c = word; c && *c; c++)
        if (!bragg_params_is_word((char[2]){ *c }))
            *c = '_';
    fputs("name: ", to);
    put_text(to, word ? word : "phase");
    free(word);
}

/* The file that is written. */
typedef struct target {
    const char *path;
    bool own, force;          /* the cards are of another set than the bundled one */
} target;

/* The structure of a card that lies in a database or an archive, as NAME-CARD.cif beside
 * NAME.yaml; its name without the folder stays in name. */
static bragg_status unpack_card(const target *w, const bragg_cards *cards, const bragg_card *c, char name[300], bragg_error *err)
{
    const char *slash = strrchr(w->path, '/'), *file = slash ? slash + 1 : w->path, *dot = strrchr(file, '.');
    int stem = (int)(dot && dot > file ? dot - file : (ptrdiff_t)strlen(file)), n = snprintf(name, 300, "%.*s-%.80s.cif", stem < 200 ? stem : 200, file, c->name);
    for (char *p = name + (stem < 200 ? stem : 200); p < name + n; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+_.", *p))
            *p = '_';
    char *path = NULL;
    bragg_structure *s;
    bragg_status st = bragg_cards_structure(cards, c->id, &s, err);
    if (st < 0)
        return st;
    st = asprintf(&path, "%.*s%s", (int)(file - w->path), w->path, name) < 0 ? bragg_fail(err, BRAGG_ENOMEM, "no room for a name")
                                                                           : bragg_structure_write_cif(s, c->name, c->reference, path, w->force, err);
    bragg_structure_free(s);
    free(path);
    return st;
}

static void put_lines(FILE *to, const bragg_card *c)
{
    fputs("  - ", to);
    put_name(to, c->name);
    fputs("\n    peaks: [", to);
    for (size_t k = 0; k < c->n_lines; k++)
        fprintf(to, "%s[%.5g, %.4g]", k ? ", " : "", c->line[k].d_ang, c->line[k].intensity);
    fputs("]", to);
}

/* A card of the bundled set by its name, the CIF of another set by its file, or unpacked,
 * lines without a structure as what they are. */
static bragg_status put_card(FILE *to, const target *w, const bragg_cards *cards, const bragg_card *c, bragg_error *err)
{
    char name[300];
    char *path = w->own ? realpath(c->source, NULL) : NULL;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = BRAGG_OK;
    if (!c->has_structure)
        put_lines(to, c);
    else if (path || !w->own || (st = unpack_card(w, cards, c, name, err)) == BRAGG_OK) {
        const char *said = path ? path : w->own ? name : c->name, *stem = arena ? bragg_path_stem(arena, said) : NULL;
        fputs("  - {", to);
        if (!stem || !bragg_params_is_word(stem)) {
            put_name(to, c->name);
            fputs(", ", to);
        }
        fputs(w->own ? "cif: " : "card: ", to);
        put_text(to, said);
        fputs("}", to);
    }
    free(path);
    bragg_arena_free(arena);
    return st;
}

static bragg_status put_phase(FILE *to, const target *w, const bragg_cards *cards, const bragg_match *m, bragg_error *err)
{
    bragg_card *c;
    char text[BRAGG_QUANTITY_TEXT] = "no weight";
    bragg_status st = bragg_cards_card(cards, m->card, &c, err);
    if (st < 0)
        return st;
    st = put_card(to, w, cards, c, err);
    if (isfinite(m->fraction.value))
        bragg_number_print_quantity(text, 100 * m->fraction.value, fmax(100 * m->fraction.esd, 0.1), "wt%");
    fprintf(to, "  # %s, %s", m->formula, text);
    if (isfinite(m->score))
        fprintf(to, ", score %.2f", m->score);
    for (size_t k = 0; k < m->n_alternatives; k++)
        fprintf(to, "%s%s", k ? ", " : "; or as well ", m->alternative_name[k]);
    fputs("\n", to);
    bragg_card_free(c);
    return st;
}

static void put_title(FILE *to, const char *pattern)
{
    bragg_arena *arena = bragg_arena_new();
    const char *stem = arena ? bragg_path_stem(arena, pattern) : NULL;
    put_text(to, stem ? stem : pattern);
    bragg_arena_free(arena);
}

/* Lines displaced by a sample beside the axis tell its height by the radius. */
static void put_mount(FILE *to, double radius_m)
{
    char text[BRAGG_NUMBER_TEXT];
    bool told = radius_m > 0;
    fprintf(to, "\n  mount: bragg-brentano  # as most with a tube; or debye-scherrer, transmission\n  radius_mm: %s  # %s\n",
            told ? bragg_number_print_digits(text, 1000 * radius_m, 7) : "240",
            told ? "of the goniometer, as the pattern's file says" : "of your goniometer, which the pattern's file does not tell: the displacement found goes with it");
}

static void put_data(FILE *to, const char *path, const char *beside, const bragg_identification *found)
{
    const bragg_radiation *r = &found->radiation;
    char *whole = strchr(beside, '/') ? realpath(path, NULL) : NULL;
    fputs("# An experiment of bragg refine, see bragg-experiment(5).\ntitle: ", to);
    put_title(to, path);
    if (r->n_lines > 1)
        fprintf(to, "\nradiation: {wavelength: [%.8g, %.8g], ratios: [1, %.4g]}\n", r->wavelength_ang[0], r->wavelength_ang[1], r->ratio[1]);
    else
        fprintf(to, "\nradiation: {wavelength: %.8g}\n", r->wavelength_ang[0]);
    fputs("data:\n  pattern: ", to);
    put_text(to, whole ? whole : path);
    if (r->n_lines > 1)
        put_mount(to, found->radius_m);
    else
        fputs("\n", to);
    free(whole);
}

bragg_status bragg_identification_put(const bragg_identification *r, const bragg_cards *cards, bool own_set, const char *pattern, const char *path, bool force,
                                      FILE *to, bragg_error *err)
{
    const target w = { path, own_set, force };
    size_t best = 0;
    while (best < r->n && !r->hypothesis[best].n)
        best++;
    if (best == r->n)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected phases for '%s', found none", pattern, path);
    const bragg_hypothesis *h = &r->hypothesis[best];
    bragg_status st = BRAGG_OK;
    put_data(to, pattern, path, r);
    fprintf(to, "phases:  # score %.2f%s\n", h->score, h->guess ? ", a guess" : "");
    for (size_t k = 0; k < h->n && st == BRAGG_OK; k++)
        st = put_phase(to, &w, cards, &h->phase[k], err);
    return st;
}
