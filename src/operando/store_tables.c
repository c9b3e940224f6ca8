/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables that the analysis adds to a store, and G(r) read from there. */
#include "config.h"

#ifdef HAVE_HDF5

#include "store_parts.h"

#include "base/hdf5_links.h"
#include "base/hdf5_safely.h"
#include <bragg/csv.h>
#include <bragg/hdf5.h>
#include <bragg/number.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_numbers(char *line, double *v, size_t n)
{
    line[strcspn(line, "\n")] = 0;
    for (size_t k = 0; k < n; k++) {
        const char *field = strsep(&line, ",");
        if (!field || !bragg_number_parse(field, &v[k]))
            v[k] = NAN;
    }
}

/* The lines that follow, a row each, written as they are read: tables of long runs are long. */
static bool put_numbers(hid_t file, const char *path, FILE *from, size_t columns)
{
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT), space = set >= 0 ? H5Dget_space(set) : -1;
    hsize_t at[2] = { 0, 0 }, count[2] = { 1, columns };
    hid_t row = H5Screate_simple(2, count, NULL);
    double *v = bragg_hdf5_noted(malloc((columns + 1) * sizeof *v));
    char *line = NULL;
    size_t room = 0;
    bool good = v && space >= 0;
    for (; good && getline(&line, &room, from) > 0; at[0]++) {
        read_numbers(line, v, columns);
        good = H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, count, NULL) >= 0 && H5Dwrite(set, H5T_NATIVE_DOUBLE, row, space, H5P_DEFAULT, v) >= 0;
    }
    good = good && feof(from); /* a line that could not be had is not the end */
    free(line);
    free(v);
    H5Sclose(row);
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return good && !ferror(from);
}

/* The fields of a line as texts one behind the other; to has room for as many bytes as the
 * line.  Their number. */
static size_t split(const char *line, char *to)
{
    size_t n = 1;
    for (; bragg_csv_field(&line, to, strlen(line) + 1); n++)
        to += strlen(to) + 1;
    return n;
}

/* First line names, the others numbers; an empty one is NAN. */
static bool put_table(hid_t file, const char *name, FILE *from)
{
    size_t rows = 0, columns = 0, room = 0;
    char path[NAME], *head = NULL, *text;
    bool good = getline(&head, &room, from) > 0;
    long begin = ftell(from);
    for (int c = getc(from); c != EOF; c = getc(from))
        rows += c == '\n';
    good = good && begin >= 0 && !fseek(from, begin, SEEK_SET);
    text = good ? bragg_hdf5_noted(malloc(strlen(head) + 1)) : NULL;
    if ((good = text != NULL))
        columns = split(head, text);
    const char **names = bragg_hdf5_noted(calloc(columns + 1, sizeof *names));
    for (size_t k = 0, at = 0; good && names && k < columns; k++) {
        names[k] = text + at;
        at += strlen(names[k]) + 1;
    }
    hsize_t dims[2] = { rows, columns };
    snprintf(path, sizeof path, "/analysis/%.60s", name);
    good = good && names && bragg_store_put_set(file, path, H5T_NATIVE_DOUBLE, 2, dims, NULL) && put_numbers(file, path, from, columns);
    snprintf(path, sizeof path, "/analysis/%.60s_columns", name);
    good = good && bragg_store_put_names(file, path, names, columns);
    free(names);
    free(text);
    free(head);
    return good;
}

static bool put_tables(const char *path, const char *const *names, FILE *const *tables, size_t n, const char *json)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (file < 0)
        return false;
    bool good = H5Lexists(file, "/analysis", H5P_DEFAULT) <= 0 || H5Ldelete(file, "/analysis", H5P_DEFAULT) >= 0;
    hid_t group = H5Gcreate2(file, "/analysis", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    good = good && group >= 0;
    for (size_t k = 0; k < n && good; k++)
        good = put_table(file, names[k], tables[k]);
    good = good && bragg_store_put_text(file, "/analysis/json", json);
    if (group >= 0)
        H5Gclose(group);
    return H5Fclose(file) >= 0 && good;
}

static bool copy_file(const char *from, const char *to)
{
    char piece[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;
    bool good = in && out;
    while (good && (n = fread(piece, 1, sizeof piece, in)) > 0)
        good = fwrite(piece, 1, n, out) == n;
    good = good && !ferror(in) && !fflush(out) && !fsync(fileno(out));
    if (in)
        fclose(in);
    if (out)
        good = !fclose(out) && good;
    return good;
}

/* Into a copy that takes the store's place: whoever reads has a whole file, whatever
 * happens meanwhile. */
bragg_status bragg_store_add_tables(const char *store, const char *const *names, FILE *const *tables, size_t n, const char *json, bragg_error *err)
{
    char *new = bragg_store_beside(store, ".new");
    bragg_status st = new ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    errno = 0;
    bool good = st == BRAGG_OK && copy_file(store, new) && put_tables(new, names, tables, n, json) && !bragg_hdf5_failed() && !rename(new, store);
    if (st == BRAGG_OK && !good)
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': the analysis cannot be added: %s", store, strerror(errno ? errno : EIO));
    st = bragg_hdf5_end_whole(turn, st, store, err);
    if (st < 0 && new)
        unlink(new);
    free(new);
    return st;
}

/* How many bytes of a data set are in the file: what its extents promise may be absurd. */
static size_t bytes_of(hid_t file, const char *path)
{
    hid_t set = H5Lexists(file, path, H5P_DEFAULT) > 0 ? bragg_hdf5_open_sound(file, path, H5P_DEFAULT) : -1;
    size_t bytes = set >= 0 ? H5Dget_storage_size(set) : 0;
    if (set >= 0)
        H5Dclose(set);
    return bytes;
}

/* A table of /analysis with as many columns as it must have; NULL when it is not there. */
static double *get_table(hid_t file, const char *path, size_t columns, size_t *rows)
{
    size_t bytes = bytes_of(file, path), line = columns * sizeof(double), n = bytes / line;
    double *v = n && n * line == bytes && bragg_store_extent(file, path, 0) == n && bragg_store_extent(file, path, 1) == columns ? bragg_hdf5_noted(malloc(bytes)) : NULL;
    if (v && !bragg_store_get_set(file, path, H5T_NATIVE_DOUBLE, n * columns, v)) {
        free(v);
        v = NULL;
    }
    *rows = n;
    return v;
}

/* As analyse.c has written them: r, and G and esd of each row; the course, a row each. */
bragg_status bragg_store_get_total(hid_t file, bragg_arena *arena, bragg_pdf_course **out, bragg_error *err)
{
    enum { COURSE = 8, CHANGED = 4 };
    size_t rows = H5Lexists(file, "/analysis", H5P_DEFAULT) > 0 ? bragg_store_extent(file, "/analysis/pdf-course", 0) : 0, n, same;
    if (!rows)
        return BRAGG_OK;
    if (rows > bragg_store_extent(file, bragg_store_part[TABLE], 0))
        return bragg_fail(err, BRAGG_EDATA, "/analysis/pdf-course: expected a row for some frames each, found %zu", rows);
    double *gr = get_table(file, "/analysis/pdf", 1 + 2 * rows, &n), *course = get_table(file, "/analysis/pdf-course", COURSE, &same);
    bragg_pdf_course *t = bragg_arena_alloc(arena, 1, sizeof *t);
    double *room = gr && course ? bragg_arena_alloc(arena, n * (1 + 2 * rows) + 4 * rows + 1, sizeof *room) : NULL;
    double middle = course ? course[0] : NAN; /* of the first row's frames, from 0 */
    size_t frames = middle >= 0 && middle < 1e9 ? (size_t)lround(2 * middle) + 1 : 0;
    bool good = gr && course && same == rows && frames && (rows - 1) * frames < bragg_store_extent(file, bragg_store_part[TABLE], 0);
    bragg_status st = !good ? bragg_fail(err, BRAGG_EDATA, "/analysis/pdf: not what was written there") : t && room ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for G(r)");
    if (st == BRAGG_OK) {
        *t = (bragg_pdf_course){ .n = n, .rows = rows, .frames = frames, .r_ang = room, .gr = room + n, .gr_sigma = room + n + n * rows,
                            .slope_expected = NAN, .used = BRAGG_PDF_OPTIONS_INIT };
        for (size_t i = 0; i < n; i++) {
            const double *line = gr + i * (1 + 2 * rows);
            t->r_ang[i] = line[0];
            for (size_t r = 0; r < rows; r++)
                t->gr[r * n + i] = line[1 + 2 * r], t->gr_sigma[r * n + i] = line[2 + 2 * r];
        }
        double *at = t->gr_sigma + n * rows;
        for (int k = 0; k < 4; k++, at += rows) {
            *(k < 2 ? &t->change[k] : &t->slope[k - 2]) = at;
            for (size_t r = 0; r < rows; r++)
                at[r] = course[r * COURSE + CHANGED + (size_t)k];
        }
        *out = t;
    }
    free(gr);
    free(course);
    return st;
}

#endif
