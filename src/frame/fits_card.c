/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cards of FITS headers (FITS Standard 4.0, 4.1): "ZVAL1   =                   32 / pixels per block". */
#include "config.h"
#include "fits_card.h"

#include <bragg/number.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CARD = 80 };

static const char *after_blanks(const char *at) { return at + strspn(at, " "); }

/* 'it''s' without its quotes; NULL when it does not end. */
static const char *read_string(const char *at, char *to)
{
    size_t n = 0;
    for (at++; *at; to[n++] = *at++)
        if (*at == '\'' && *++at != '\'') {
            while (n && to[n - 1] == ' ')
                n--;
            to[n] = 0;
            return at;
        }
    return NULL;
}

/* 32, -1.5, 1.D-3: all of a word, or NULL.  Doubles may be written with D. */
static const char *read_number(const char *at, fits_card *c)
{
    char word[71] = "";
    size_t n = strcspn(at, " /"), digits = strspn(at + strspn(at, "+-"), "0123456789") + strspn(at, "+-");
    if (strspn(at, "+-") > 1 || strspn(at, "+-.0123456789DEde") != n)
        return NULL;
    for (size_t k = 0; k < n; k++)
        word[k] = at[k] == 'D' || at[k] == 'd' ? 'E' : at[k];
    if (!bragg_number_parse(word, &c->number))
        return NULL;
    c->type = digits == n && bragg_integer_parse(word + (*word == '+'), &c->integer) ? 'i' : 'r';
    return at + n;
}

/* What stands in columns 11 to 80, up to the comment. */
static bool read_value(const char *at, fits_card *c)
{
    const char *end = at = after_blanks(at);
    if (!*at || *at == '/')
        return true;
    if (*at == '\'') {
        c->type = 's';
        end = read_string(at, c->text);
    } else if (*at == '(') {
        c->type = 'c';
        end = strchr(at, ')');
        end = end ? end + 1 : NULL;
    } else if (*at == 'T' || *at == 'F') {
        c->type = 'l';
        c->integer = *at == 'T';
        end = at + 1;
    } else {
        end = read_number(at, c);
    }
    if (!end)
        return false;
    end = after_blanks(end);
    return !*end || *end == '/';
}

/* A card with a value; of those that cannot be read the text is kept, for its message. */
void bragg_fits_read_card(const unsigned char *at, fits_card *c)
{
    char text[71];
    memcpy(text, at + 10, 70);
    text[70] = 0;
    memset(c, 0, sizeof *c);
    memcpy(c->key, at, 8);
    for (size_t n = 8; n && c->key[n - 1] == ' '; n--)
        c->key[n - 1] = 0;
    if (read_value(text, c))
        return;
    c->type = '?';
    snprintf(c->text, sizeof c->text, "%.30s", after_blanks(text));
}

/* What a key must be that cfitsio reads on its way to the pixels (all but 'x', and those
 * with a number behind them where it says so), and whether it may come but once. */
static const struct { const char *key; bool numbered; char type; bool once; } known[] = {
    { "SIMPLE", false, 'l', true },  { "XTENSION", false, 's', true }, { "BITPIX", false, 'i', true },    { "NAXIS", false, 'i', true },
    { "NAXIS", true, 'i', true },    { "PCOUNT", false, 'i', true },   { "GCOUNT", false, 'i', true },    { "GROUPS", false, 'l', true },
    { "TFIELDS", false, 'i', true }, { "THEAP", false, 'i', true },    { "TFORM", true, 's', true },      { "TTYPE", true, 's', true },
    { "TNULL", true, 'i', true },    { "TSCAL", true, 'r', true },     { "TZERO", true, 'r', true },      { "TDIM", true, 's', true },
    { "TUNIT", true, 's', true },    { "TDISP", true, 's', true },     { "ZIMAGE", false, 'l', true },    { "ZTABLE", false, 'l', true },
    { "ZCMPTYPE", false, 's', true }, { "ZBITPIX", false, 'i', true }, { "ZNAXIS", false, 'i', true },    { "ZNAXIS", true, 'i', true },
    { "ZTILE", true, 'i', true },    { "ZNAME", true, 's', true },     { "ZVAL", true, 'r', true },       { "ZQUANTIZ", false, 's', true },
    { "ZDITHER0", false, 'i', true }, { "ZBLANK", false, 'i', true },  { "ZSCALE", false, 'r', true },    { "ZZERO", false, 'r', true },
    { "BLANK", false, 'i', false },  { "BZERO", false, 'r', false },   { "BSCALE", false, 'r', false },   { "EXTNAME", false, 's', false },
    { "CHECKSUM", false, 's', false }, { "DATASUM", false, 's', false }, { "INHERIT", false, 'l', false }, { "EXTVER", false, 'i', false },
    { "EXTLEVEL", false, 'i', false } };

static const char *type_name(char type) { return type == 's' ? "a string" : type == 'i' ? "an integer" : type == 'l' ? "T or F" : "a number"; }

bragg_status bragg_fits_check_card(const frame_file *f, const fits_unit *u, const fits_card *c, bragg_error *err)
{
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        size_t n = strlen(known[k].key);
        const char *rest = c->key + n;
        if (strncmp(c->key, known[k].key, n) || (known[k].numbered ? !*rest || strspn(rest, "0123456789") < strlen(rest) : *rest))
            continue;
        char type = known[k].type;
        if (c->type != type && !(type == 'r' && c->type == 'i'))
            return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: %s: expected %s, found %s", f->path, u->number, c->key, type_name(type),
                              c->type == '?' || c->type == 's' ? c->text : c->type ? "another type" : "nothing");
        if (known[k].once && c != bragg_fits_card(u, c->key))
            return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected %s once, found it twice", f->path, u->number, c->key);
        return BRAGG_OK;
    }
    return BRAGG_OK;
}

const fits_card *bragg_fits_card(const fits_unit *u, const char *key)
{
    for (size_t k = 0; k < u->n_cards; k++)
        if (!strcmp(u->card[k].key, key))
            return u->card + k;
    return NULL;
}

const fits_card *bragg_fits_card_of(const fits_unit *u, const char *key, size_t k)
{
    char name[32];
    snprintf(name, sizeof name, "%s%zu", key, k);
    return bragg_fits_card(u, name);
}

long long bragg_fits_integer(const fits_card *c, long long without) { return c && (c->type == 'i' || c->type == 'l') ? c->integer : without; }
double bragg_fits_number(const fits_card *c) { return c && (c->type == 'i' || c->type == 'r') ? c->number : NAN; }
const char *bragg_fits_text(const fits_card *c) { return c && c->type == 's' ? c->text : ""; }
