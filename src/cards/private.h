/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of the card set; private to the floor. */
#ifndef CARDS_PRIVATE_H
#define CARDS_PRIVATE_H

#include <bragg/cards.h>
#include <bragg/hash.h>
#include <bragg/yaml.h>
#include <sqlite3.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define CARDS_CU_ALPHA1 1.540598  /* angstrom */
#define CARDS_D_MIN 0.8           /* angstrom: nearly all that copper can reach */

/* ------------------------------------------------------------- one card */

/* Lines and I/Ic of a structure into a card (its arena). */
bragg_status bragg_cards_lines_of(const bragg_structure *s, bragg_card *c, bragg_error *err);
/* Lines as they came, sorted and scaled to 100, elements from the formula; for lists. */
bragg_status bragg_cards_finish_list(bragg_card *c, bragg_error *err);
/* "K3Bi" and the elements in it, counts over their common divisor. */
bragg_status bragg_cards_formula_of(const bragg_structure *s, bragg_card *c, bragg_error *err);
/* Elements named in a formula as people write it. */
void bragg_cards_formula_elements(bragg_card *c);

/* Blobs: malloc'ed, little-endian whatever the machine.
 *
 *   lines      1 | h k l (3 x i8) intensity (u16) | …     with a cell
 *              2 | h k l (3 x i16) intensity (u16) | …    with a cell, large indices
 *              3 | d (f32) h k l (3 x i8) intensity (u16) | …
 *   structure  1 | hall (u16), 0: n (u16), n x (9 x i8, 3 x u8 in 24ths) | n (u8) species x (12 chars)
 *                | n (u16) x (species u8, x y z f32, occupancy u16 / 65535, U u16 / 1e4) */
bragg_status bragg_cards_pack_lines(const bragg_card *c, unsigned char **blob, size_t *n, bragg_error *err);
bragg_status bragg_cards_unpack_lines(const unsigned char *blob, size_t n, bragg_card *c, bragg_error *err);
bragg_status bragg_cards_pack_structure(const bragg_structure *s, unsigned char **blob, size_t *n, bragg_error *err);
bragg_status bragg_cards_unpack_structure(const unsigned char *blob, size_t n, const bragg_card *c, bragg_structure **out, bragg_error *err);

/* -------------------------------------------------------------- sources */

/* A source of cards in memory: a file, or a member of an archive. */
typedef struct cards_source {
    char *path, *member;         /* member "" for a plain file */
    unsigned char *bytes;        /* with a NUL behind them */
    size_t size;
    long long changed_ns;        /* of the file; 0 for a member */
} cards_source;

/* Hands over sources one by one; the receiver owns what is in them.  wanted says
 * whether a file is to be read at all. */
typedef struct cards_receiver {
    bool (*wanted)(void *payload, const char *path, size_t size, long long changed_ns);
    bragg_status (*take)(void *payload, cards_source *source, bragg_error *err);
    bragg_status (*broken)(void *payload, const char *path, const char *member, const char *reason, bragg_error *err);
    void *payload;
} cards_receiver;
bragg_status bragg_cards_walk(const char *path, const cards_receiver *to, bragg_error *err);

/* The card of a source, and its structure's blob (NULL without). */
bragg_status bragg_cards_read(const cards_source *from, bragg_card **card, unsigned char **structure, size_t *size, bragg_error *err);

/* A named set: YAML with members and cards of its own. */
typedef struct cards_named_set {
    bragg_arena *arena;
    size_t n_members, n_cards;
    bragg_cards_member *member;
    bragg_card **card;
} cards_named_set;
bragg_status bragg_cards_read_set(const cards_source *from, cards_named_set **out, bragg_error *err);

/* ------------------------------------------------------------------ set */

struct bragg_cards {
    sqlite3 *db;
    char *path;
    bool writes;              /* or only reads */
};
bragg_status bragg_cards_sql_fail(const bragg_cards *set, bragg_error *err);

/* Columns for the search, all cards after each other:
 *
 *   first[k] … first[k + 1]   lines of card k in at[], weight[]
 *   at       round(ln(d / 0.8 angstrom) / CARDS_LN_STEP)
 *   weight   255 sqrt(I / strongest I) */
#define CARDS_LN_STEP 1e-4
enum { CARDS_SEARCH_LINES = 48, CARDS_MASK_WORDS = 2 };
typedef struct cards_search {
    size_t n;
    uint32_t *id, *first;
    uint64_t (*elements)[CARDS_MASK_WORDS];
    uint16_t *at;
    uint8_t *weight;
} cards_search;
bragg_status bragg_cards_search_rebuild(bragg_cards *set, bragg_error *err);
bragg_status bragg_cards_search_load(const bragg_cards *set, cards_search *out, bragg_error *err);
void bragg_cards_search_free(cards_search *search);

#pragma GCC visibility pop
#endif
