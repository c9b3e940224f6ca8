/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of known intensities: spacings as cards list them, reflections as fits do. */
#include "config.h"
#include "reading.h"

#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/number.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct peaks {
    bragg_known_peak *at;
    size_t n, room;
} peaks;

static bragg_status append(peaks *to, bragg_known_peak e, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&to->at, &to->room, to->n + 1, sizeof e, err);
    if (st == BRAGG_OK)
        to->at[to->n++] = e;
    return st;
}

/* Into the arena; the list itself goes. */
static bragg_status hand_over(peaks *from, const char *path, bragg_arena *arena, const bragg_known_peak **out, size_t *n, bragg_error *err)
{
    bragg_known_peak *list = bragg_arena_alloc(arena, from->n + 1, sizeof *list);
    bragg_status st = !from->n ? bragg_fail(err, BRAGG_EDATA, "'%s': expected peaks, found none", path)
                      : !list  ? bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", from->n)
                               : BRAGG_OK;
    if (st == BRAGG_OK) {
        memcpy(list, from->at, from->n * sizeof *list);
        *out = list;
        *n = from->n;
    }
    return st;
}

bragg_status bragg_reading_spacings(const char *path, bragg_arena *arena, const bragg_known_peak **out, size_t *n, bragg_error *err)
{
    FILE *in = fopen(path, "r");
    char line[400];
    peaks found = { NULL, 0, 0 };
    bragg_status st = in ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': cannot read", path);
    for (size_t number = 1; st == BRAGG_OK && fgets(line, sizeof line, in); number++) {
        const char *at = line + strspn(line, " \t"), *end;
        bragg_known_peak e = { 0, 0, 0, 0, 0 };
        if (!*at || strchr("#!;\r\n", *at))
            continue;
        if (!bragg_number_scan(at, &end, &e.d_ang) || !bragg_number_scan(end + strspn(end, " ,\t"), &end, &e.intensity))
            st = bragg_fail(err, BRAGG_EDATA, "'%s': line %zu: expected a spacing and an intensity, found '%.*s'", path, number, bragg_utf8_most(at, 30), at);
        else
            st = append(&found, e, err);
    }
    if (in)
        fclose(in);
    if (st == BRAGG_OK)
        st = hand_over(&found, path, arena, out, n, err);
    free(found.at);
    return st;
}

/* ------------------------------------------------------ reflections.csv */

enum { COLUMN_PHASE, COLUMN_LINE, COLUMN_H, COLUMN_K, COLUMN_L, COLUMN_F2, N_COLUMNS };

static size_t split(char *line, char **field, size_t most)
{
    size_t n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && n < most; n++) {
        field[n] = at;
        if ((at = strchr(at, ',')))
            *at++ = 0;
    }
    return n;
}

static bool find_columns(char *const *field, size_t n, size_t column[N_COLUMNS])
{
    static const char *const names[N_COLUMNS] = { "phase", "line", "h", "k", "l", "f2_calc" };
    for (int c = 0; c < N_COLUMNS; c++) {
        column[c] = n;
        for (size_t k = 0; k < n; k++)
            if (!strcmp(field[k], names[c]))
                column[c] = k;
        if (column[c] == n)
            return false;
    }
    return true;
}

static bool take_peak(char *const *field, size_t n, const size_t column[N_COLUMNS], bragg_known_peak *e)
{
    double v[N_COLUMNS];
    for (int c = COLUMN_LINE; c < N_COLUMNS; c++)
        if (column[c] >= n || !bragg_number_parse(field[column[c]], &v[c]))
            return false;
    *e = (bragg_known_peak){ bragg_number_miller(v[COLUMN_H]), bragg_number_miller(v[COLUMN_K]), bragg_number_miller(v[COLUMN_L]), 0, v[COLUMN_F2] > 0 ? v[COLUMN_F2] : 0 };
    return true;
}

/* Lines of the phase; with name NULL of any, and *other tells whether there are two. */
static bragg_status read_table(FILE *in, const char *path, const char *name, peaks *found, bool *several, bragg_error *err)
{
    enum { MOST = 40 };
    char line[2000], *field[MOST], first[200] = "";
    size_t column[N_COLUMNS], n = fgets(line, sizeof line, in) ? split(line, field, MOST) : 0;
    if (!find_columns(field, n, column))
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected the reflections.csv of a fit (columns phase, line, h, k, l, f2_calc)", path);
    bragg_status st = BRAGG_OK;
    for (size_t number = 2; st == BRAGG_OK && fgets(line, sizeof line, in); number++) {
        bragg_known_peak e;
        n = split(line, field, MOST);
        if (!take_peak(field, n, column, &e))
            return bragg_fail(err, BRAGG_EDATA, "'%s': line %zu: expected numbers for h, k, l and f2_calc", path, number);
        if (!*first)
            snprintf(first, sizeof first, "%s", field[column[COLUMN_PHASE]]);
        *several = *several || strcmp(first, field[column[COLUMN_PHASE]]);
        if (strcmp(field[column[COLUMN_LINE]], "1") || (name && strcmp(name, field[column[COLUMN_PHASE]])))
            continue;
        st = append(found, e, err);
    }
    return st;
}

bragg_status bragg_reading_intensities(const char *path, const char *phase, bragg_arena *arena, const bragg_known_peak **out, size_t *n,
                                       bragg_error *err)
{
    FILE *in = fopen(path, "r");
    peaks found = { NULL, 0, 0 };
    bool several = false;
    if (!in)
        return bragg_fail(err, BRAGG_EIO, "'%s': cannot read", path);
    bragg_status st = read_table(in, path, phase, &found, &several, err);
    if (st == BRAGG_OK && !found.n && several)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected a phase '%s', found only others", path, phase);
    if (st == BRAGG_OK && !found.n) {
        rewind(in);
        st = read_table(in, path, NULL, &found, &several, err);
    }
    fclose(in);
    if (st == BRAGG_OK)
        st = hand_over(&found, path, arena, out, n, err);
    free(found.at);
    return st;
}
