/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BioLogic EC-Lab text (.mpt): a header that counts its lines, then tabs. */
#include "config.h"
#include "private.h"
#include <bragg/number.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EC-Lab writes 0.001 mg (or g) where nobody has entered a mass. */
#define UNSET_MASS 0.001

/* "Mass of active material : 0,875 mg" in kg, or NAN. */
static double header_mass(const char *text)
{
    char number[32];
    size_t n = strcspn(text, " "), k = 0;
    double v;
    for (; k < n && k + 1 < sizeof number; k++)
        number[k] = text[k] == ',' ? '.' : text[k];
    number[k] = '\0';
    if (!bragg_number_parse(number, &v) || !(v > 0) || fabs(v - UNSET_MASS) < 1e-9)
        return NAN;
    text += n + strspn(text + n, " ");
    double factor = !strncmp(text, "mg", 2) ? 1e-6 : !strncmp(text, "µg", 3) ? 1e-9 : !strncmp(text, "kg", 2) ? 1
                  : *text == 'g' ? 1e-3 : NAN;
    return v * factor;
}

static const char *after(const char *line, const char *key)
{
    line += strspn(line, " \t");
    size_t n = strlen(key);
    if (strncmp(line, key, n))
        return NULL;
    line += n + strspn(line + n, " ");
    return *line == ':' ? line + 1 + strspn(line + 1, " ") : NULL;
}

static void read_header(const log_lines *lines, size_t n, bragg_log_table *t, const log_source *source)
{
    double characteristic = NAN;
    for (size_t i = 2; i < n; i++) {
        const char *line = lines->line[i], *value;
        bragg_date_order order = source->options->date_order;
        if (!t->title && line[strspn(line, " \t")])
            t->title = strdup(line);
        if ((value = after(line, "Acquisition started on"))) {
            /* EC-Lab writes the month first whatever the system's language */
            if (!bragg_time_parse(value, order == BRAGG_DATE_AUTO ? BRAGG_DATE_MDY : order, source->options->utc_offset_s,
                                  &t->start_unix_s))
                bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "line %zu: expected the start's date, found '%.*s'", i + 1, bragg_utf8_most(value, 40), value);
        } else if ((value = after(line, "Mass of active material"))) {
            t->mass_kg = header_mass(value);
        } else if ((value = after(line, "Characteristic mass"))) {
            characteristic = header_mass(value);
        }
    }
    if (isnan(t->mass_kg))
        t->mass_kg = characteristic;
}

static bool column_names(const char *line)
{
    return strchr(line, '\t') && (strstr(line, "time/s") || strstr(line, "freq/Hz") || !strncmp(line, "mode\t", 5)
                                  || strstr(line, "Ewe/V"));
}

/* The header's own count says which line names the columns; where it lies the
 * line is looked for. */
static bragg_status find_names(const log_lines *lines, size_t *header, bragg_log_table *t, bragg_error *err)
{
    const char *count_text = lines->n > 1 ? after(lines->line[1], "Nb header lines") : NULL;
    char word[16];
    long long count = 0;
    snprintf(word, sizeof word, "%.*s", (int)(count_text ? strcspn(count_text, " \t") : 0), count_text ? count_text : "");
    bool counted = bragg_integer_parse(word, &count);
    if (counted && count >= 1 && (unsigned long long)count <= lines->n && column_names(lines->line[count - 1])) {
        *header = (size_t)count - 1;
        return BRAGG_OK;
    }
    for (size_t i = 1; i < lines->n; i++)
        if (column_names(lines->line[i])) {
            bragg_table_note(t, BRAGG_NOTE_COUNT, SIZE_MAX, "the header says '%.*s' lines, the columns are named in line %zu", bragg_utf8_most(word, 16),
                             word, i + 1);
            *header = i;
            return BRAGG_OK;
        }
    return bragg_fail(err, BRAGG_EDATA, "expected names of columns such as time/s in line %lld of the header, found none in %zu lines",
                      count, lines->n);
}

bragg_status bragg_log_mpt(const log_source *source, bragg_log_table **out, bragg_error *err)
{
    log_lines lines;
    size_t header = 0;
    bragg_log_table *t = bragg_table_new("BioLogic mpt");
    if (!t)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a table");
    bragg_status st = bragg_lines_read(source, &lines, err);
    if (st == BRAGG_OK)
        st = find_names(&lines, &header, t, err);
    if (st == BRAGG_OK) {
        lines.separator = '\t';
        read_header(&lines, header, t, source);
        st = bragg_lines_table(&lines, header, t, source, err);
    }
    bragg_lines_free(&lines);
    if (st < 0)
        bragg_log_free(t);
    else
        *out = t;
    return st;
}
