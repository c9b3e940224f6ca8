/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Headers of FITS files (FITS Standard 4.0, 4.), read whole before cfitsio sees the file.
 * cfitsio 4.2 writes beyond the buffer of a message when an integer is none, divides by
 * sizes that are zero and trusts counts: what it would take from a card must have that
 * card's type here. */
#include "config.h"
#include "fits_header.h"
#include "fits_tiles.h"

#include <bragg/array.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CARD = 80, BLOCK = 2880, MOST_CARDS = 7200 };

/* ------------------------------------------------------------------- units */

static bool all_in(const unsigned char *at, size_t n, unsigned char least)
{
    for (size_t k = 0; k < n; k++)
        if (at[k] < least && at[k] != '\t')
            return false;
    return true;
}

/* One card: kept, passed over (a comment), or the end (1). */
static bragg_status take_card(const frame_file *f, const unsigned char *at, fits_unit *u, bragg_error *err)
{
    bool name = true;
    if (!memcmp(at, "END     ", 8))
        return 1;
    for (size_t k = 0; k < 8; k++)
        name = name && (isalnum(at[k]) || at[k] == '_' || at[k] == '-' || at[k] == ' ');
    if (!name || !all_in(at, CARD, ' '))
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected a card of 80 printable characters that begins with a name, found '%.8s'", f->path, u->number,
                          all_in(at, 8, ' ') ? (const char *)at : "?");
    if (at[8] != '=' || at[9] != ' ' || !memcmp(at, "COMMENT ", 8) || !memcmp(at, "HISTORY ", 8) || !memcmp(at, "CONTINUE", 8) || at[0] == ' ')
        return BRAGG_OK;
    if (u->n_cards == MOST_CARDS)
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected at most %d cards, found more", f->path, u->number, MOST_CARDS);
    bragg_status st = bragg_array_grow(&u->card, &u->room, u->n_cards + 1, sizeof *u->card, err);
    if (st < 0)
        return st;
    bragg_fits_read_card(at, u->card + u->n_cards++);
    return bragg_fits_check_card(f, u, u->card + u->n_cards - 1, err);
}

static bragg_status read_cards(const frame_file *f, size_t at, fits_unit *u, bragg_error *err)
{
    unsigned char block[BLOCK];
    for (size_t blocks = 0; blocks < MOST_CARDS * CARD / BLOCK; blocks++, at += BLOCK) {
        bragg_status st = bragg_frame_piece(f, at, BLOCK, block, err);
        for (size_t k = 0; st == BRAGG_OK && k < BLOCK; k += CARD)
            st = take_card(f, block + k, u, err);
        u->data = at + BLOCK;
        if (st != BRAGG_OK)
            return st < 0 ? st : BRAGG_OK;
    }
    return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected END within %d cards", f->path, u->number, MOST_CARDS);
}

/* The cards that must come first, in their order; the axes are at least 0. */
static bool starts_well(const fits_unit *u)
{
    long long axes = bragg_fits_integer(bragg_fits_card(u, "NAXIS"), -1);
    if (axes < 0 || axes > 999 || u->n_cards < (size_t)axes + 3)
        return false;
    bool good = !strcmp(u->card[0].key, u->number == 1 ? "SIMPLE" : "XTENSION") && !strcmp(u->card[1].key, "BITPIX") && !strcmp(u->card[2].key, "NAXIS");
    for (size_t k = 1; k <= (size_t)axes; k++)
        good = good && bragg_fits_card_of(u, "NAXIS", k) == u->card + 2 + k && u->card[2 + k].integer >= 0;
    return good && (u->number > 1 || u->card[0].integer == 1);
}

/* Bytes of the data, 4.4.1.1 and 4.4.1.2: false when they are more than a file has. */
static bool count_bytes(const fits_unit *u, size_t most, size_t *size)
{
    long long bits = bragg_fits_integer(bragg_fits_card(u, "BITPIX"), 0), axes = bragg_fits_integer(bragg_fits_card(u, "NAXIS"), 0);
    long long more = bragg_fits_integer(bragg_fits_card(u, "PCOUNT"), 0), groups = bragg_fits_integer(bragg_fits_card(u, "GCOUNT"), 1);
    size_t n = axes > 0;
    *size = 0;
    if ((bits != 8 && bits != 16 && bits != 32 && bits != 64 && bits != -32 && bits != -64) || more < 0 || groups != 1)
        return false;
    for (size_t k = 0; k < (size_t)axes; k++)
        if (__builtin_mul_overflow(n, (size_t)u->card[3 + k].integer, &n))
            return false;
    return !__builtin_add_overflow(n, (size_t)more, &n) && !__builtin_mul_overflow(n, (size_t)llabs(bits) / 8, size) && *size <= most;
}

static bragg_status read_unit(const frame_file *f, size_t at, fits_unit *u, bragg_error *err)
{
    u->n_cards = 0;
    u->number++;
    bragg_status st = read_cards(f, at, u, err);
    if (st < 0)
        return st;
    if (!starts_well(u))
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected a header that begins with %s, BITPIX, NAXIS and its axes", f->path, u->number, u->number == 1 ? "SIMPLE" : "XTENSION");
    if (!count_bytes(u, f->n - u->data, &u->bytes))
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected the data of its BITPIX, axes, PCOUNT and GCOUNT (1), found %zu bytes", f->path, u->number, f->n - u->data);
    return BRAGG_OK;
}

/* ---------------------------------------------------------------- pictures */

static bragg_status picture_axes(const frame_file *f, fits_picture *p, bragg_error *err)
{
    const char *axis = p->compressed ? "ZNAXIS" : "NAXIS";
    long long axes = bragg_fits_integer(bragg_fits_card(&p->unit, axis), 0);
    if (axes < 2 || axes > 3)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected an image of 2 or 3 axes, found %lld", f->path, axes);
    p->axes = (size_t)axes;
    for (size_t k = 0; k < 3; k++) {
        long long n = k < p->axes ? bragg_fits_integer(bragg_fits_card_of(&p->unit, axis, k + 1), 0) : 1;
        if (n < 1 || n > INT32_MAX)
            return bragg_fail(err, BRAGG_EDATA, "%s: expected axes of 1 pixel at least, found %lld", f->path, n);
        p->axis[k] = (size_t)n;
    }
    return BRAGG_OK;
}

/* Yes: 1, no: 0. */
static bragg_status is_picture(const frame_file *f, fits_picture *p, bragg_error *err)
{
    const fits_unit *u = &p->unit;
    const char *kind = u->number == 1 ? "IMAGE" : bragg_fits_text(u->card);
    bool table = !strcmp(kind, "BINTABLE") || !strcmp(kind, "A3DTABLE") || !strcmp(kind, "3DTABLE");
    if (!table && strcmp(kind, "IMAGE"))
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected IMAGE or BINTABLE before the first picture, found '%s'", f->path, u->number, kind);
    bragg_status st = table ? bragg_fits_check_table(f, u, err) : BRAGG_OK;
    if (st < 0)
        return st;
    p->compressed = table && bragg_fits_integer(bragg_fits_card(u, "ZIMAGE"), 0);
    if (!p->compressed && (table || bragg_fits_integer(bragg_fits_card(u, "NAXIS"), 0) < 2))
        return 0;
    st = picture_axes(f, p, err);
    if (st == BRAGG_OK && p->compressed)
        st = bragg_fits_check_compression(f, p, err);
    return st < 0 ? st : 1;
}

bragg_status bragg_fits_find_picture(const frame_file *f, fits_picture *p, bragg_error *err)
{
    size_t at = 0;
    bragg_status st = BRAGG_OK;
    *p = (fits_picture){ .axis = { 1, 1, 1 } };
    while (st == BRAGG_OK && at < f->n) {
        st = read_unit(f, at, &p->unit, err);
        if (st == BRAGG_OK)
            st = is_picture(f, p, err);
        at = p->unit.data + (p->unit.bytes + BLOCK - 1) / BLOCK * BLOCK;
    }
    if (st == BRAGG_OK)
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected an image of 2 or 3 axes, found none in %zu units", f->path, p->unit.number);
    if (st < 0)
        bragg_fits_picture_free(p);
    return st < 0 ? st : BRAGG_OK;
}

void bragg_fits_picture_free(fits_picture *p)
{
    free(p->unit.card);
    p->unit.card = NULL;
    p->unit.n_cards = 0;
}
