/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chemical formulae to numbers of atoms. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/pdf.h>

#include <bragg/number.h>
#include <bragg/units.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEEPEST = 16 };

typedef struct formula {
    const char *text, *at;
    bragg_composition *out;
    int depth;
} formula;

static void skip_blanks(formula *f)
{
    while (isspace((unsigned char)*f->at))
        f->at++;
}

static bragg_status unexpected(const formula *f, const char *expected, bragg_error *err)
{
    if (!*f->at)
        return bragg_fail(err, BRAGG_EDATA, "composition '%.*s': expected %s, found the end", bragg_utf8_most(f->text, 80), f->text, expected);
    return bragg_fail(err, BRAGG_EDATA, "composition '%.*s': expected %s, found '%.*s'", bragg_utf8_most(f->text, 80), f->text, expected,
                      bragg_utf8_most(f->at, 12), f->at);
}

/* The number behind an element or bracket; 1 where there is none. */
static bragg_status take_count(formula *f, double *count, bragg_error *err)
{
    const char *end;
    skip_blanks(f);
    *count = 1;
    if (!isdigit((unsigned char)*f->at) && *f->at != '.')
        return BRAGG_OK;
    size_t length = strspn(f->at, "0123456789.");
    end = f->at + length;
    if (!bragg_number_parse_n(f->at, length, count) || !(*count > 0) || !isfinite(*count))
        return unexpected(f, "a positive number", err);
    f->at = end;
    return BRAGG_OK;
}

/* The row of an element (or isotope, [7]Li) in the composition, new if need be. */
static bragg_status find_row(formula *f, const char *name, int isotope, size_t *row, bragg_error *err)
{
    bragg_composition *c = f->out;
    bragg_scatterer found;
    bool exact;
    bragg_status st = bragg_scatterer_find(name, &found, &exact, err);
    if (st == BRAGG_OK && strcmp(found.name, name)) /* "OW" is a label of oxygen, but no element */
        st = bragg_fail(err, BRAGG_EDATA, "expected an element, found '%s'", name);
    if (st == BRAGG_OK && isotope) {
        st = bragg_scatterer_set_isotope(&found, isotope, err);
        snprintf(found.name, sizeof found.name, "[%d]%s", isotope, name);
    }
    if (st < 0)
        return bragg_context(err, st, "composition '%.*s'", bragg_utf8_most(f->text, 80), f->text);
    for (*row = 0; *row < c->n && strcmp(c->scatterer[*row].name, found.name); ++*row)
        ;
    if (*row == BRAGG_COMPOSITION_ELEMENTS)
        return bragg_fail(err, BRAGG_EDATA, "composition '%.*s': more than %d elements", bragg_utf8_most(f->text, 80), f->text, BRAGG_COMPOSITION_ELEMENTS);
    if (*row == c->n) {
        c->scatterer[*row] = found;
        c->count[*row] = 0;
        c->n++;
    }
    return BRAGG_OK;
}

static bragg_status take_element(formula *f, int isotope, bragg_error *err)
{
    char name[3] = { f->at[0], 0, 0 };
    size_t k;
    double count;
    if (islower((unsigned char)f->at[1]))
        name[1] = f->at[1];
    bragg_status st = find_row(f, name, isotope, &k, err);
    if (st < 0)
        return st;
    f->at += strlen(name);
    st = take_count(f, &count, err);
    f->out->count[k] += count;
    return st;
}

/* "[7]Li": the mass number of an isotope before its element, or 0. */
static int take_isotope(formula *f)
{
    size_t digits = f->at[0] == '[' ? strspn(f->at + 1, "0123456789") : 0;
    long long number;
    char text[8];
    if (!digits || digits > 3 || f->at[1 + digits] != ']' || !isupper((unsigned char)f->at[2 + digits]))
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)digits, f->at + 1);
    if (!bragg_integer_parse(text, &number))
        return 0;
    f->at += digits + 2;
    return (int)number;
}

static bragg_status take_sequence(formula *f, char until, bragg_error *err);

static bragg_status take_bracket(formula *f, bragg_error *err)
{
    char close = *f->at == '(' ? ')' : *f->at == '[' ? ']' : '}';
    double before[BRAGG_COMPOSITION_ELEMENTS] = { 0 }, count;
    memcpy(before, f->out->count, f->out->n * sizeof *before);
    if (++f->depth > DEEPEST)
        return unexpected(f, "fewer brackets in each other", err);
    f->at++;
    bragg_status st = take_sequence(f, close, err);
    f->depth--;
    if (st == BRAGG_OK)
        st = take_count(f, &count, err);
    for (size_t k = 0; st == BRAGG_OK && k < f->out->n; k++)
        f->out->count[k] = before[k] + count * (f->out->count[k] - before[k]);
    return st;
}

/* "·5 H2O": what follows counts five times. */
static bragg_status take_hydrate(formula *f, bragg_error *err)
{
    double before[BRAGG_COMPOSITION_ELEMENTS] = { 0 }, count;
    memcpy(before, f->out->count, f->out->n * sizeof *before);
    bragg_status st = take_count(f, &count, err);
    if (st == BRAGG_OK)
        st = take_sequence(f, 0, err);
    for (size_t k = 0; st == BRAGG_OK && k < f->out->n; k++)
        f->out->count[k] = before[k] + count * (f->out->count[k] - before[k]);
    return st;
}

static bool is_dot(formula *f)
{
    size_t length = !strncmp(f->at, "\xc2\xb7", 2) ? 2 : *f->at == '*' ? 1 : 0;
    f->at += length;
    return length > 0;
}

static bragg_status take_sequence(formula *f, char until, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    const char *start = f->at;
    for (skip_blanks(f); st == BRAGG_OK && *f->at && *f->at != until; skip_blanks(f)) {
        int isotope = take_isotope(f);
        if (isotope || isupper((unsigned char)*f->at))
            st = take_element(f, isotope, err);
        else if (strchr("([{", *f->at))
            st = take_bracket(f, err);
        else if (!until && f->at > start && is_dot(f))
            return take_hydrate(f, err);
        else
            return unexpected(f, "an element", err);
    }
    if (st == BRAGG_OK && f->at == start + strspn(start, " \t\r\n\v\f"))
        return unexpected(f, "an element", err);
    if (st == BRAGG_OK && until && *f->at++ != until) {
        f->at--;
        return unexpected(f, "a closing bracket", err);
    }
    return st;
}

bragg_status bragg_composition_parse(const char *text, bragg_composition *out, bragg_error *err)
{
    formula f = { text, text, out, 0 };
    memset(out, 0, sizeof *out);
    return take_sequence(&f, 0, err);
}

double bragg_composition_mass_g_mol(const bragg_composition *c)
{
    double mass = 0, atoms = 0;
    for (size_t k = 0; k < c->n; k++) {
        mass += c->count[k] * c->scatterer[k].weight;
        atoms += c->count[k];
    }
    return atoms > 0 ? mass / atoms : NAN;
}

double bragg_pdf_number_density_invang3(const bragg_composition *c, double density_g_cm3)
{
    return density_g_cm3 * BRAGG_AVOGADRO_1E24 / bragg_composition_mass_g_mol(c);
}
