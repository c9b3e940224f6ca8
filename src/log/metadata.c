/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The metadata that QXRD writes beside each frame, as a log of the furnace. */
#include "config.h"
#include "private.h"
#include <bragg/array.h>
#include <bragg/number.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WALL, TEMPERATURE, EXPOSURE, NUMBER, N_COLUMNS };

static bool take_key(const char *line, const char *key, double factor, double *value)
{
    size_t n = strlen(key);
    double v;
    if (strncmp(line, key, n) || line[n] != '=' || !bragg_number_parse(line + n + 1, &v))
        return false;
    *value = v * factor;
    return true;
}

/* The keys of one file; lines of embedded binary text are passed over. */
static bragg_status read_one(const char *path, const char *temperature_key, double *row, bragg_error *err)
{
    char *line = NULL;
    size_t room = 0;
    double exposure = NAN, summed = 1;
    FILE *f = fopen(path, "rb");
    if (!f)
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    ssize_t n;
    while ((n = getline(&line, &room, f)) >= 0 && (*line != '[' || strncmp(line, "[normal", 7))) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!take_key(line, "timeStamp", 1, &row[WALL]) && !take_key(line, temperature_key, 1, &row[TEMPERATURE])
            && !take_key(line, "exposureTime", 1, &exposure) && !take_key(line, "summedExposures", 1, &summed))
            take_key(line, "imageNumber", 1, &row[NUMBER]);
    }
    row[EXPOSURE] = exposure * summed;
    int cause = n >= 0 || feof(f) ? 0 : errno ? errno : EIO; /* a line that could not be had is not the end */
    free(line);
    fclose(f);
    return cause ? bragg_fail(err, bragg_status_of_errno(cause), "'%s': cannot read: %s", path, strerror(cause)) : BRAGG_OK;
}

static bool is_metadata(const char *name)
{
    size_t n = strlen(name);
    return n > 9 && !strcmp(name + n - 9, ".metadata");
}

static bragg_status read_folder(const char *folder, const char *key, log_grid *g, bragg_log_table *t, bragg_error *err)
{
    DIR *dir = opendir(folder);
    bragg_status st = BRAGG_OK;
    size_t without = 0;
    if (!dir)
        return bragg_fail(err, bragg_status_of_errno(errno), "cannot read the folder: %s", strerror(errno));
    for (struct dirent *e; st == BRAGG_OK && (e = readdir(dir));) {
        char path[4096];
        if (!is_metadata(e->d_name))
            continue;
        double *row = bragg_grid_row(g);
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        st = row ? read_one(path, key, row, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for more rows");
        if (st == BRAGG_OK && !isfinite(row[WALL])) {
            without++;
            g->n--;
        }
    }
    closedir(dir);
    if (without)
        bragg_table_note(t, BRAGG_NOTE_INCOMPLETE, SIZE_MAX, "%zu files without timeStamp were left out", without);
    if (st == BRAGG_OK && !g->n)
        st = bragg_fail(err, BRAGG_EDATA, "expected files *.metadata with timeStamp=…, found none");
    return st;
}

bragg_status bragg_log_read_metadata(const char *folder, const char *temperature_key, const bragg_log_options *options,
                                     bragg_log_table **out, bragg_error *err)
{
    static const bragg_log_options defaults = BRAGG_LOG_OPTIONS_INIT;
    log_source source = { NULL, 0, options ? options : &defaults };
    log_grid g = { 0 };
    *out = NULL;
    const char *key = temperature_key ? temperature_key : "userComment4";
    bragg_log_table *t = bragg_table_new("QXRD metadata");
    bragg_status st = t ? bragg_grid_init(&g, N_COLUMNS, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a table");
    if (st == BRAGG_OK)
        st = bragg_grid_name(&g, WALL, "timeStamp", "", BRAGG_CHANNEL_WALL, err);
    if (st == BRAGG_OK)
        st = bragg_grid_name(&g, TEMPERATURE, key, "degC", BRAGG_CHANNEL_TEMPERATURE, err);
    if (st == BRAGG_OK)
        st = bragg_grid_name(&g, EXPOSURE, "exposure", "s", BRAGG_CHANNEL_OTHER, err);
    if (st == BRAGG_OK)
        st = bragg_grid_name(&g, NUMBER, "imageNumber", "", BRAGG_CHANNEL_OTHER, err);
    if (st == BRAGG_OK)
        st = read_folder(folder, key, &g, t, err);
    if (st == BRAGG_OK) {
        qsort(g.cells, g.n, g.width * sizeof *g.cells, bragg_array_by_value);
        g.utc = true;
        st = bragg_table_finish(t, &g, &source, err);
    }
    bragg_grid_free(&g);
    if (st < 0) {
        bragg_log_free(t);
        return bragg_context(err, st, "'%s'", folder);
    }
    *out = t;
    return st;
}
