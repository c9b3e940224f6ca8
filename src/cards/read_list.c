/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cards from lists of lines: .jcpds, and tables of d and I. */
#include "config.h"
#include "reading.h"

#include <bragg/number.h>
#include <bragg/units.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* VERSION 4 of the cards of high-pressure work: KEY: value lines, DIHKL a line each
 * (M. Rivers, jcpds format of GSECARS).  Those before it, by place, are not read. */
bragg_status bragg_cards_read_jcpds(const cards_source *from, bragg_card *c, bragg_error *err)
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
            c->note = bragg_cards_keep(c, at + 8, strcspn(at + 8, "\r\n"));
        if (!strncasecmp(at, "SYMMETRY:", 9))
            snprintf(system, sizeof system, "%.*s", (int)strcspn(at + 9 + strspn(at + 9, " \t"), " \t\r\n"), at + 9 + strspn(at + 9, " \t"));
        if (strncasecmp(at, "DIHKL:", 6))
            continue;
        at += 6;
        int got = 0;
        for (; got < 5 && bragg_number_scan(at += strspn(at, " ,\t"), &end, &n[got]); got++)
            at = end;
        if (got >= 2)
            st = bragg_cards_add_line(c, &room, (bragg_card_line){ bragg_number_miller(n[2]), bragg_number_miller(n[3]), bragg_number_miller(n[4]), n[0], n[1] }, err);
    }
    bragg_cards_complete_cell(c, v, system);
    /* the comment of such cards starts with the formula or a name; the file is named after it */
    c->formula = bragg_cards_keep(c, c->name, strcspn(c->name, "_- ."));
    return st;
}

/* A key of "# key: value" lines; true when it was one. */
static bool list_key(bragg_card *c, const char *key, size_t n, const char *value, size_t length, double *wavelength)
{
    static const char *const names[] = { "name", "formula", "space_group", "reference", "note", "pdf", "cod", "icsd" };
    const char **const places[] = { &c->name, &c->formula, &c->space_group, &c->reference, &c->note, &c->pdf, &c->cod, &c->icsd };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strlen(names[k]) == n && !strncasecmp(key, names[k], n)) {
            *places[k] = bragg_cards_keep(c, value, length);
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
        bragg_cards_complete_cell(c, v, "");
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
    *out = (bragg_card_line){ bragg_number_miller(v[COLUMN_H]), bragg_number_miller(v[COLUMN_K]), bragg_number_miller(v[COLUMN_L]), v[COLUMN_D], v[COLUMN_I] };
    return out->d_ang > 0 && out->intensity > 0;
}

/* "# key: value" lines, a header that names the columns d and I (h k l), rows. */
bragg_status bragg_cards_read_list(const cards_source *from, bragg_card *c, bragg_error *err)
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
            st = bragg_cards_add_line(c, &room, one, err);
    }
    if (st == BRAGG_OK && !headed)
        return bragg_fail(err, BRAGG_EDATA, "expected a header that names columns d and I (and h, k, l), or one of CIFs; found none");
    bragg_cards_rescale(c, wavelength);
    return st;
}
