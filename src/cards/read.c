/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One card from the bytes of its source, whatever the format. */
#include "config.h"
#include "private.h"

#include <bragg/number.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <ctype.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Structures with more atoms are read again from their source when one is needed. */
enum { MOST_ATOMS = 120 };

static bragg_card *new_card(const cards_source *from)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_card *c = arena ? bragg_arena_alloc(arena, 1, sizeof *c) : NULL;
    if (!c) {
        bragg_arena_free(arena);
        return NULL;
    }
    const char *file = *from->member ? from->member : from->path;
    const char *stem = bragg_path_stem(arena, file);
    if (stem && strlen(stem) > 4 && !strcasecmp(stem + strlen(stem) - 4, ".cif")) /* .cif.gz */
        stem = bragg_arena_strndup(arena, stem, strlen(stem) - 4);
    *c = (bragg_card){ .arena = arena, .name = stem, .formula = "", .space_group = "", .reference = "", .note = "",
                       .source = "", .hash = "", .pdf = "", .cod = "", .icsd = "", .cell.a = NAN, .density = NAN, .rir = NAN };
    if (c->name)
        return c;
    bragg_arena_free(arena);
    return NULL;
}

static const char *keep(bragg_card *c, const char *text, size_t n)
{
    while (n && isspace((unsigned char)*text))
        text++, n--;
    while (n && isspace((unsigned char)text[n - 1]))
        n--;
    const char *copy = bragg_arena_strndup(c->arena, text, n);
    return copy ? copy : "";
}

static bragg_status add_line(bragg_card *c, size_t *room, bragg_card_line line, bragg_error *err)
{
    if (c->n_lines == *room) { /* the arena keeps the old ones: twice the room at most */
        size_t more = *room ? 2 * *room : 64;
        bragg_card_line *at = bragg_arena_alloc(c->arena, more, sizeof *at);
        if (!at)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", more);
        if (c->n_lines)
            memcpy(at, c->line, c->n_lines * sizeof *at);
        c->line = at;
        *room = more;
    }
    c->line[c->n_lines++] = line;
    return BRAGG_OK;
}

/* -------------------------------------------------------------------- cif */

/* What follows a key to the end of its line, quotes taken off; "" without it. */
static const char *value_of(bragg_card *c, const char *text, const char *key)
{
    const char *at = strcasestr(text, key);
    if (!at)
        return "";
    at += strlen(key);
    at += strspn(at, " \t:=#'\"");
    return keep(c, at, strcspn(at, "'\"\r\n"));
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
            return keep(c, digits, n);
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
static bragg_status read_cif(const cards_source *from, bragg_card *c, unsigned char **blob, size_t *size, bragg_error *err)
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
    c->space_group = keep(c, s->symmetry.hm, strlen(s->symmetry.hm));
    c->reference = s->reference ? keep(c, s->reference, strlen(s->reference)) : value_of(c, text, "# Reference   :");
    cross_references(c, text);
    c->flags = flags_of(s, text, value_of(c, text, "_chemical_formula_sum"));
    c->note = keep(c, s->name, strlen(s->name));
    st = cards_formula_of(s, c, err);
    if (st == BRAGG_OK)
        st = cards_lines_of(s, c, err);
    c->has_structure = s->n_atoms <= MOST_ATOMS && s->n_scatterers < 256;
    if (st == BRAGG_OK && c->has_structure)
        st = cards_pack_structure(s, blob, size, err);
    bragg_structure_free(s);
    return st;
}

/* ------------------------------------------------------------------ lists */

/* Intensities of a list were measured with the wavelength it names: from there to
 * copper's. */
static void rescale(bragg_card *c, double wavelength_ang)
{
    for (size_t k = 0; wavelength_ang > 0 && k < c->n_lines; k++) {
        double from = bragg_lorentz_polarization(c->line[k].d_ang, wavelength_ang, 0.5), to = bragg_lorentz_polarization(c->line[k].d_ang, CARDS_CU_ALPHA1, 0.5);
        if (from > 0 && to > 0)
            c->line[k].intensity *= to / from;
    }
}

static bool set_cell(bragg_card *c, const double v[6])
{
    bragg_cell cell = { v[0], v[1], v[2], v[3] * BRAGG_DEG, v[4] * BRAGG_DEG, v[5] * BRAGG_DEG };
    if (bragg_cell_check(&cell, NULL) < 0)
        return false;
    c->cell = cell;
    return true;
}

/* Right angles and equal edges that a source leaves out; of rhombohedral axes the one angle
 * is all three. */
static void complete_cell(bragg_card *c, double v[6], const char *system)
{
    bool one_angle = !strncasecmp(system, "rho", 3) && !(v[2] > 0) && v[3] > 0;
    v[4] = one_angle ? v[3] : v[4];
    v[5] = one_angle ? v[3] : v[5];
    v[1] = v[1] > 0 ? v[1] : v[0];
    v[2] = v[2] > 0 ? v[2] : v[0];
    for (int k = 3; k < 6; k++)
        v[k] = v[k] > 0 ? v[k] : 90;
    if (!one_angle && strchr("HTRhtr", *system) && *system && strncasecmp(system, "tet", 3) && strncasecmp(system, "tri", 3))
        v[5] = 120;
    if (!strncasecmp(system, "trig", 4))
        v[5] = 120;
    if (v[0] > 0)
        set_cell(c, v);
}

/* VERSION 4 of the cards of high-pressure work: KEY: value lines, DIHKL a line each
 * (M. Rivers, jcpds format of GSECARS).  Those before it, by place, are not read. */
static bragg_status read_jcpds(const cards_source *from, bragg_card *c, bragg_error *err)
{
    static const char *const edges[6] = { "A:", "B:", "C:", "ALPHA:", "BETA:", "GAMMA:" };
    char system[16] = "";
    double v[6] = { 0 };
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (const char *line = (const char *)from->bytes; *line && st == BRAGG_OK; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *end, *at = line + strspn(line, " \t");
        double n[5] = { 0 };
        for (int k = 0; k < 6; k++)
            if (!strncasecmp(at, edges[k], strlen(edges[k])))
                bragg_number_scan(at + strlen(edges[k]), &end, &v[k]);
        if (!strncasecmp(at, "COMMENT:", 8) && !*c->note)
            c->note = keep(c, at + 8, strcspn(at + 8, "\r\n"));
        if (!strncasecmp(at, "SYMMETRY:", 9))
            snprintf(system, sizeof system, "%.*s", (int)strcspn(at + 9 + strspn(at + 9, " \t"), " \t\r\n"), at + 9 + strspn(at + 9, " \t"));
        if (strncasecmp(at, "DIHKL:", 6))
            continue;
        at += 6;
        int got = 0;
        for (; got < 5 && bragg_number_scan(at += strspn(at, " ,\t"), &end, &n[got]); got++)
            at = end;
        if (got >= 2)
            st = add_line(c, &room, (bragg_card_line){ bragg_number_index(n[2]), bragg_number_index(n[3]), bragg_number_index(n[4]), n[0], n[1] }, err);
    }
    complete_cell(c, v, system);
    /* the comment of such cards starts with the formula or a name; the file is named after it */
    c->formula = keep(c, c->name, strcspn(c->name, "_- ."));
    return st;
}

/* A key of "# key: value" lines; true when it was one. */
static bool list_key(bragg_card *c, const char *key, size_t n, const char *value, size_t length, double *wavelength)
{
    static const char *const names[] = { "name", "formula", "space_group", "reference", "note", "pdf", "cod", "icsd" };
    const char **const places[] = { &c->name, &c->formula, &c->space_group, &c->reference, &c->note, &c->pdf, &c->cod, &c->icsd };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strlen(names[k]) == n && !strncasecmp(key, names[k], n)) {
            *places[k] = keep(c, value, length);
            return true;
        }
    char text[200];
    double v[6] = { 0 };
    const char *end, *at = text;
    snprintf(text, sizeof text, "%.*s", (int)(length < 190 ? length : 190), value);
    int got = 0;
    for (; got < 6 && bragg_number_scan(at += strspn(at, " ,;\t"), &end, &v[got]); got++)
        at = end;
    if (n == 4 && !strncasecmp(key, "cell", 4) && (got == 6 || got == 3))
        complete_cell(c, v, "");
    else if (n == 3 && !strncasecmp(key, "rir", 3) && got)
        c->rir = v[0];
    else if (n == 7 && !strncasecmp(key, "density", 7) && got)
        c->density = v[0];
    else if (!strncasecmp(key, "wavelength", 10) && got)
        *wavelength = v[0];
    else
        return false;
    return true;
}

enum { COLUMN_D, COLUMN_I, COLUMN_H, COLUMN_K, COLUMN_L, COLUMN_TTH, N_COLUMNS };

/* Which column is which; -1 where none is. */
static bool list_header(const char *line, int column[N_COLUMNS])
{
    int k = 0;
    for (int i = 0; i < N_COLUMNS; i++)
        column[i] = -1;
    for (const char *at = line; *at && *at != '\n'; k++) {
        size_t n = strcspn(at, ",;\t\r\n");
        char name[40] = "";
        for (size_t i = 0, m = 0; i < n && m < 38; i++)
            if (!strchr(" \"()[]", at[i]))
                name[m++] = (char)tolower((unsigned char)at[i]);
        int what = !strcmp(name, "d") || !strncmp(name, "d_", 2) || !strncmp(name, "dang", 4) || !strcmp(name, "da") || !strncmp(name, "d-sp", 4) ? COLUMN_D
                   : !strcmp(name, "i") || !strncmp(name, "i/", 2) || !strncmp(name, "int", 3) || !strncmp(name, "irel", 4) || !strcmp(name, "if") ? COLUMN_I
                   : !strcmp(name, "h") ? COLUMN_H : !strcmp(name, "k") ? COLUMN_K : !strcmp(name, "l") ? COLUMN_L
                   : strstr(name, "theta") || !strcmp(name, "tth") ? COLUMN_TTH : -1;
        if (what >= 0 && column[what] < 0)
            column[what] = k;
        at += n;
        at += *at && *at != '\n';
    }
    return (column[COLUMN_D] >= 0 || column[COLUMN_TTH] >= 0) && column[COLUMN_I] >= 0;
}

static bool list_row(const char *line, const int column[N_COLUMNS], double wavelength, bragg_card_line *out)
{
    double v[N_COLUMNS] = { NAN, NAN, 0, 0, 0, NAN };
    int k = 0;
    for (const char *at = line; *at && *at != '\n'; k++) {
        size_t n = strcspn(at, ",;\t\r\n");
        for (int i = 0; i < N_COLUMNS; i++) {
            const char *end, *digits = at + strspn(at, " \"<~");
            if (column[i] == k)
                bragg_number_scan(digits, &end, &v[i]);
        }
        at += n;
        at += *at && *at != '\n';
    }
    if (isnan(v[COLUMN_D]) && wavelength > 0)
        v[COLUMN_D] = wavelength / (2 * sin(v[COLUMN_TTH] * BRAGG_DEG / 2));
    *out = (bragg_card_line){ bragg_number_index(v[COLUMN_H]), bragg_number_index(v[COLUMN_K]), bragg_number_index(v[COLUMN_L]), v[COLUMN_D], v[COLUMN_I] };
    return out->d_ang > 0 && out->intensity > 0;
}

/* "# key: value" lines, a header that names the columns d and I (h k l), rows. */
static bragg_status read_list(const cards_source *from, bragg_card *c, bragg_error *err)
{
    int column[N_COLUMNS];
    bool headed = false;
    double wavelength = NAN;
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (const char *line = (const char *)from->bytes; *line && st == BRAGG_OK; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\r\n"), key = strspn(line, "#!; \t\"'"), colon = strcspn(line, ":=\n");
        bragg_card_line one;
        if (!n)
            continue;
        if (!headed && colon < n && list_key(c, line + key, colon > key ? colon - key : 0, line + colon + 1, n - colon - 1, &wavelength))
            continue;
        if (!headed)
            headed = *line != '#' && list_header(line, column);
        else if (list_row(line, column, wavelength, &one))
            st = add_line(c, &room, one, err);
    }
    if (st == BRAGG_OK && !headed)
        return bragg_fail(err, BRAGG_EDATA, "expected a header that names columns d and I (and h, k, l), or one of CIFs; found none");
    rescale(c, wavelength);
    return st;
}

/* ------------------------------------------------------ PDF-2, 80 columns */

static bool fixed_number(const char *line, int first, int last, double *v)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", last - first + 1, line + first - 1);
    for (char *p = text; *p; p++)
        if (!strchr("0123456789.-+ ", *p))
            *p = ' ';
    return bragg_number_parse(text, v);
}

/* One line of the AID text form of PDF-2, columns as EDDIDAT's LoadFromPDF.m has them: 80, the last tells what it is, 73
 * to 78 the card's number. */
static bragg_status take_pdf2(bragg_card *c, const char *line, double v[6], size_t *room, bragg_error *err)
{
    static const int cell[6][2] = { { 1, 9 }, { 10, 18 }, { 19, 27 }, { 28, 35 }, { 36, 43 }, { 44, 51 } };
    bragg_status st = BRAGG_OK;
    double number;
    if (line[79] == '1') {
        char text[12];
        for (int k = 0; k < 6; k++)
            fixed_number(line, cell[k][0], cell[k][1], &v[k]);
        snprintf(text, sizeof text, "%.2s-%.4s", line + 72, line + 74);
        c->pdf = keep(c, text, 7);
    } else if (line[79] == '4') {
        c->space_group = keep(c, line, 8);
        if (fixed_number(line, 12, 14, &number))
            c->group_number = (int)number;
        if (fixed_number(line, 37, 43, &number))
            c->density = number;
    } else if (line[79] == '6' && !*c->note) {
        c->note = keep(c, line, 67);
    } else if (line[79] == '8' && !*c->formula) {
        c->formula = keep(c, line, 67);
    } else if (line[79] == 'I') {
        for (int k = 0; k < 69 && st == BRAGG_OK; k += 23) {
            double d, i, h = 0, q = 0, l = 0;
            fixed_number(line, 12 + k, 14 + k, &h);
            fixed_number(line, 15 + k, 17 + k, &q);
            fixed_number(line, 18 + k, 20 + k, &l);
            if (fixed_number(line, 1 + k, 7 + k, &d) && fixed_number(line, 8 + k, 10 + k, &i))
                st = add_line(c, room, (bragg_card_line){ (int)h, (int)q, (int)l, d, i }, err);
        }
    }
    return st;
}

static bool is_pdf2(const char *text)
{
    size_t n = strcspn(text, "\r\n");
    return n == 80 && strchr("123456789ABCI*", text[79]) && isdigit((unsigned char)text[72]);
}

static bragg_status read_pdf2(const cards_source *from, bragg_card *c, bragg_error *err)
{
    double v[6] = { 0 };
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (const char *line = (const char *)from->bytes; *line && st == BRAGG_OK; line += strcspn(line, "\n"), line += *line == '\n')
        if (strcspn(line, "\r\n") >= 80)
            st = take_pdf2(c, line, v, &room, err);
    complete_cell(c, v, c->group_number >= 143 && c->group_number <= 194 ? "hex" : "");
    return st;
}

/* ------------------------------------------------------ a card as text (Jade) */

/* "PDF#35-0517: QM=Star; d=…", name, formula, "I/Ic(RIR)=", "Hexagonal, R-3m (166) Z=3",
 * "CELL: a x b x c <alpha x beta x gamma>", "2-Theta d(A) I(f) ( h k l) Theta …", rows; as
 * programs that read such exports take it. */
static bool is_text_card(const char *text)
{
    return !strncmp(text + strspn(text, " \t\r\n\xef\xbb\xbf"), "PDF#", 4);
}

/* Numbers from text on, all else between them passed over; returns how many. */
static int numbers_in(const char *text, size_t n, double *v, int most)
{
    int got = 0;
    for (const char *at = text, *end; at < text + n && got < most;)
        if (bragg_number_scan(at, &end, &v[got])) {
            got++;
            at = end;
        } else {
            at++;
        }
    return got;
}

static double after_key(const char *line, size_t n, const char *key)
{
    const char *at = memmem(line, n, key, strlen(key)), *end;
    double v;
    return at && bragg_number_scan(at + strlen(key) + strspn(at + strlen(key), " "), &end, &v) ? v : NAN;
}

/* "Hexagonal - Powder, R-3m (166) Z=3": symbol and number before Z. */
static void take_group(bragg_card *c, const char *line, size_t n)
{
    const char *comma = memchr(line, ',', n), *open = memchr(line, '(', n);
    double number;
    if (!comma || !open || open < comma || !memmem(open, n - (size_t)(open - line), "Z=", 2) || numbers_in(open + 1, n - (size_t)(open + 1 - line), &number, 1) != 1)
        return;
    c->space_group = keep(c, comma + 1, (size_t)(open - comma - 1));
    c->group_number = number > 0 && number <= 230 ? (int)number : 0;
}

static void take_heading(bragg_card *c, const char *line, size_t n, size_t place, double *wavelength)
{
    double v[6], rir = after_key(line, n, "I/Ic(RIR)="), density = after_key(line, n, "Density(c)="), lambda = after_key(line, n, "Lambda=");
    c->rir = rir > 0 ? rir : c->rir;
    c->density = density > 0 ? density : c->density;
    *wavelength = lambda > 0 ? lambda : *wavelength;
    if (!place)
        c->pdf = keep(c, strchr(line, '#') + 1, strcspn(strchr(line, '#') + 1, ": \t\r\n"));
    else if (place == 1)
        c->note = keep(c, line, n);
    else if (place == 2)
        c->formula = keep(c, line, n);
    else if (!strncasecmp(line, "CELL:", 5) && numbers_in(line + 5, n - 5, v, 6) == 6)
        set_cell(c, v);
    else if (!strncasecmp(line, "Ref:", 4) && !*c->reference)
        c->reference = keep(c, line + 4, n - 4);
    else
        take_group(c, line, n);
}

/* Of a row the numbers of 2theta and d, the intensity, "<1" too, and the indices if there are. */
static bragg_card_line text_row(const char *line, size_t n)
{
    const char *open = memchr(line, '(', n);
    double v[3] = { NAN, NAN, NAN }, hkl[3] = { 0, 0, 0 };
    numbers_in(line, open ? (size_t)(open - line) : n, v, 3);
    if (open && numbers_in(open + 1, n - (size_t)(open + 1 - line), hkl, 3) != 3)
        memset(hkl, 0, sizeof hkl);
    return (bragg_card_line){ bragg_number_index(hkl[0]), bragg_number_index(hkl[1]), bragg_number_index(hkl[2]), v[1], v[2] };
}

static bragg_status read_text_card(const cards_source *from, bragg_card *c, bragg_error *err)
{
    size_t place = 0, room = 0;
    double wavelength = NAN;
    bool rows = false;
    bragg_status st = BRAGG_OK;
    for (const char *line = strstr((const char *)from->bytes, "PDF#"); *line && st == BRAGG_OK; line += strcspn(line, "\n"), line += *line == '\n') {
        line += strspn(line, " \t");
        size_t n = strcspn(line, "\r\n");
        if (rows && isdigit((unsigned char)*line))
            st = add_line(c, &room, text_row(line, n), err);
        else if (!strncasecmp(line, "2-Theta", 7))
            rows = true;
        else if (!rows && n)
            take_heading(c, line, n, place++, &wavelength);
    }
    rescale(c, wavelength);
    return st;
}

/* ------------------------------------------------------------- PDF-4, XML */

static const xmlNode *child_of(const xmlNode *node, const char *name)
{
    for (const xmlNode *k = node ? node->children : NULL; k; k = k->next)
        if (k->type == XML_ELEMENT_NODE && !strcmp((const char *)k->name, name))
            return k;
    return NULL;
}

/* All text of a child, tags like <sub> dropped; "". */
static const char *text_in(bragg_card *c, const xmlNode *node, const char *name)
{
    xmlChar *text = xmlNodeGetContent(child_of(node, name));
    const char *kept = text ? keep(c, (const char *)text, strlen((const char *)text)) : "";
    xmlFree(text);
    return kept;
}

static double number_in(bragg_card *c, const xmlNode *node, const char *name)
{
    const char *text = text_in(c, node, name), *end;
    double v;
    return bragg_number_scan(text + strspn(text, "<~ "), &end, &v) ? v : NAN;
}

/* Intensities like "7m" (several hkl) and "<1". */
static bragg_status xml_lines(bragg_card *c, const xmlNode *series, bragg_error *err)
{
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (const xmlNode *k = series ? series->children : NULL; k && st == BRAGG_OK; k = k->next) {
        if (k->type != XML_ELEMENT_NODE || strcmp((const char *)k->name, "intensity"))
            continue;
        double h = number_in(c, k, "h"), q = number_in(c, k, "k"), l = number_in(c, k, "l");
        st = add_line(c, &room, (bragg_card_line){ isnan(h) ? 0 : (int)h, isnan(q) ? 0 : (int)q, isnan(l) ? 0 : (int)l, number_in(c, k, "da"), number_in(c, k, "intensity") }, err);
    }
    return st;
}

/* The card of ICDD's PDF-4 as XML: pdfcard / pdf_data, graphs / stick_series, whose
 * elements people's scripts name alike. */
static bragg_status read_xml(const cards_source *from, bragg_card *c, bragg_error *err)
{
    static const char *const edges[6] = { "xtla", "xtlb", "xtlc", "xtlal", "xtlbe", "xtlga" };
    xmlDoc *doc = xmlReadMemory((const char *)from->bytes, (int)from->size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL, *data = child_of(root, "pdf_data");
    double v[6];
    if (!data) {
        xmlFreeDoc(doc);
        return bragg_fail(err, BRAGG_EDATA, "expected a PDF-4 card (pdfcard with pdf_data), found another or damaged XML");
    }
    c->pdf = text_in(c, data, "pdf_number");
    c->formula = text_in(c, data, *text_in(c, data, "empirical_formula") ? "empirical_formula" : "chemical_formula");
    c->note = text_in(c, data, *text_in(c, data, "mineral_name") ? "mineral_name" : "chemical_name");
    c->space_group = text_in(c, data, *text_in(c, data, "spgr") ? "spgr" : "xtlsg");
    c->rir = number_in(c, data, "iic");
    for (int k = 0; k < 6; k++)
        v[k] = number_in(c, data, edges[k]);
    complete_cell(c, v, text_in(c, data, "xstal_system"));
    bragg_status st = xml_lines(c, child_of(child_of(root, "graphs"), "stick_series"), err);
    xmlFreeDoc(doc);
    return st;
}

/* -------------------------------------------------------------------- all */

static bool named(const cards_source *from, const char *suffix)
{
    const char *name = *from->member ? from->member : from->path;
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcasecmp(name + n - m, suffix);
}

static bragg_status read_kind(const cards_source *from, bragg_card *c, unsigned char **structure, size_t *size, bragg_error *err)
{
    bragg_status st;
    if (is_pdf2((const char *)from->bytes))
        st = read_pdf2(from, c, err);
    else if (is_text_card((const char *)from->bytes))
        st = read_text_card(from, c, err);
    else if (named(from, ".jcpds"))
        st = read_jcpds(from, c, err);
    else if (named(from, ".xml"))
        st = read_xml(from, c, err);
    else if (named(from, ".cif") || named(from, ".cif.gz") || named(from, ".mcif") || strcasestr((const char *)from->bytes, "_cell_length_a"))
        return read_cif(from, c, structure, size, err);
    else
        st = read_list(from, c, err);
    return st == BRAGG_OK ? cards_finish_list(c, err) : st;
}

bragg_status cards_read(const cards_source *from, bragg_card **out, unsigned char **structure, size_t *size, bragg_error *err)
{
    bragg_card *c = new_card(from);
    *out = NULL;
    *structure = NULL;
    *size = 0;
    bragg_status st = c ? read_kind(from, c, structure, size, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    if (st == BRAGG_OK && strlen(c->name) == 0)
        c->name = "card";
    if (st < 0) {
        free(*structure);
        *structure = NULL;
        bragg_card_free(c);
        return st;
    }
    *out = c;
    return BRAGG_OK;
}

void bragg_card_free(bragg_card *c)
{
    if (c)
        bragg_arena_free(c->arena);
}
