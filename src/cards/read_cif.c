/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cards from CIFs: their structure, whose lines are calculated. */
#include "config.h"
#include "reading.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Structures with more atoms are read again from their source when one is needed. */
enum { MOST_ATOMS = 120 };

/* What follows a key to the end of its line, quotes taken off; "" without it. */
static const char *value_of(bragg_card *c, const char *text, const char *key)
{
    const char *at = strcasestr(text, key);
    if (!at)
        return "";
    at += strlen(key);
    at += strspn(at, " \t:=#'\"");
    return bragg_cards_keep(c, at, strcspn(at, "'\"\r\n"));
}

/* "ICSD 55068" and the like anywhere in the text: so many digits behind the word. */
static const char *number_after(bragg_card *c, const char *text, const char *word, size_t fewest)
{
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) {
        const char *digits = at + strlen(word);
        digits += strspn(digits, " :#'\"");
        size_t n = strspn(digits, "0123456789-");
        while (n && digits[n - 1] == '-')
            n--;
        if (n >= fewest && n < 16)
            return bragg_cards_keep(c, digits, n);
    }
    return "";
}

static void cross_references(bragg_card *c, const char *text)
{
    c->cod = number_after(c, text, "_cod_database_code", 7);
    c->icsd = number_after(c, text, "_database_code_ICSD", 1);
    c->pdf = number_after(c, text, "_database_code_PDF", 6);
    if (!*c->cod)
        c->cod = number_after(c, text, "COD ", 7);
    if (!*c->icsd)
        c->icsd = number_after(c, text, "ICSD ", 2);
    if (!*c->pdf)
        c->pdf = number_after(c, text, "PDF", 6);
}

static bool names_hydrogen(const char *formula)
{
    for (const char *p = formula; *p; p++)
        if ((*p == 'H' || *p == 'D') && !islower((unsigned char)p[1]) && (p == formula || !isalpha((unsigned char)p[-1])))
            return true;
    return false;
}

static unsigned flags_of(const bragg_structure *s, const char *text, const char *formula_sum)
{
    unsigned flags = 0;
    bool hydrogen = false;
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_atom *a = &s->atom[j];
        if (a->occupancy < 0.995)
            flags |= BRAGG_CARD_PARTIAL;
        hydrogen = hydrogen || s->scatterer[a->scatterer].z == 1;
        for (size_t k = 0; k < j && a->occupancy < 0.995; k++)
            if (fabs(a->x[0] - s->atom[k].x[0]) + fabs(a->x[1] - s->atom[k].x[1]) + fabs(a->x[2] - s->atom[k].x[2]) < 1e-3)
                flags |= BRAGG_CARD_DISORDER;
    }
    if (strcasestr(text, "_atom_site_disorder_group"))
        flags |= BRAGG_CARD_DISORDER;
    if (!hydrogen && names_hydrogen(formula_sum))
        flags |= BRAGG_CARD_NO_HYDROGEN;
    if (strstr(text, "DFT") || strstr(text, "VASP") || strcasestr(text, "theoretical calculation") || strstr(text, "mp-id") || strstr(text, "pymatgen"))
        flags |= strstr(text, "Kind        : experimental") ? 0 : BRAGG_CARD_COMPUTED;
    return flags;
}

/* "archive:member", as lists of what was left out have it. */
static const char *source_of(bragg_card *c, const cards_source *from)
{
    size_t room = strlen(from->path) + strlen(from->member) + 2;
    char *name = bragg_arena_alloc(c->arena, room, 1);
    if (name)
        snprintf(name, room, "%s%s%s", from->path, *from->member ? ":" : "", from->member);
    return name;
}

/* Notes of what the parser assumed are no part of a card. */
bragg_status bragg_cards_read_cif(const cards_source *from, bragg_card *c, unsigned char **blob, size_t *size, bragg_error *err)
{
    bragg_structure *s;
    const char *text = (const char *)from->bytes;
    const char *name = source_of(c, from);
    bragg_status st = name ? bragg_structure_parse_cif(from->bytes, from->size, name, NULL, &s, NULL, 0, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    if (st < 0)
        return st;
    for (size_t k = 0; k < s->n_atoms; k++) /* a solid's at room temperature, where the source has none */
        if (!(s->atom[k].uiso_ang2 > 0) && !s->atom[k].anisotropic)
            s->atom[k].uiso_ang2 = 0.006;
    c->cell = s->cell;
    c->group_number = s->symmetry.number;
    c->space_group = bragg_cards_keep(c, s->symmetry.hm, strlen(s->symmetry.hm));
    c->reference = s->reference ? bragg_cards_keep(c, s->reference, strlen(s->reference)) : value_of(c, text, "# Reference   :");
    cross_references(c, text);
    c->flags = flags_of(s, text, value_of(c, text, "_chemical_formula_sum"));
    c->note = bragg_cards_keep(c, s->name, strlen(s->name));
    st = bragg_cards_formula_of(s, c, err);
    if (st == BRAGG_OK)
        st = bragg_cards_lines_of(s, c, err);
    c->has_structure = s->n_atoms <= MOST_ATOMS && s->n_scatterers < 256;
    if (st == BRAGG_OK && c->has_structure)
        st = bragg_cards_pack_structure(s, blob, size, err);
    bragg_structure_free(s);
    return st;
}
