/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PONI files, versions 1, 2 and 2.1. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/detector.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HAS_DISTANCE = 1, HAS_PONI1 = 2, HAS_PONI2 = 4, HAS_ROT1 = 8, HAS_ROT2 = 16, HAS_ROT3 = 32, HAS_ALL = 63, MOST_SIDE = 1 << 16 };

static bragg_status number(const char *path, const char *key, const char *text, double *value, bragg_error *err)
{
    if (!strcmp(text, "None"))
        return BRAGG_OK;
    return bragg_number_parse(text, value) ? BRAGG_OK
        : bragg_fail(err, BRAGG_EDATA, "%s: %s: expected a number, found '%.*s'", path, key, bragg_utf8_most(text, 30), text);
}

/* Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "max_shape": [2048, 2048], "orientation": 3} */
static bragg_status read_config(const char *path, const char *text, bragg_geometry *g, bragg_error *err)
{
    json_error_t where;
    json_t *root = json_loads(text, 0, &where), *v;
    if (!json_is_object(root)) {
        json_decref(root);
        return bragg_fail(err, BRAGG_EDATA, "%s: Detector_config: expected a JSON object, found '%.*s'", path, bragg_utf8_most(text, 40), text);
    }
    if (json_is_number(v = json_object_get(root, "pixel1")))
        g->pixel_slow_m = json_number_value(v);
    if (json_is_number(v = json_object_get(root, "pixel2")))
        g->pixel_fast_m = json_number_value(v);
    if (json_is_integer(v = json_object_get(root, "orientation")))
        g->orientation = (int)json_integer_value(v);
    if (json_is_array(v = json_object_get(root, "max_shape")) && json_array_size(v) == 2) {
        long long rows = json_integer_value(json_array_get(v, 0)), columns = json_integer_value(json_array_get(v, 1));
        if (rows < 0 || columns < 0 || rows > MOST_SIDE || columns > MOST_SIDE) {
            json_decref(root);
            return bragg_fail(err, BRAGG_EDATA, "%s: Detector_config: max_shape: expected up to %d pixels a side, found %lld x %lld", path, MOST_SIDE, rows, columns);
        }
        g->rows = (size_t)rows;
        g->columns = (size_t)columns;
    }
    json_decref(root);
    if (g->orientation < 1 || g->orientation > 8)
        return bragg_fail(err, BRAGG_EDATA, "%s: orientation: expected 1 to 8, found %d", path, g->orientation);
    return BRAGG_OK;
}

static bragg_status take(const char *path, const char *key, char *value, bragg_geometry *g, unsigned *has, bragg_error *err)
{
    static const struct { const char *key; size_t offset; unsigned flag; } numbers[] = {
        { "distance", offsetof(bragg_geometry, distance_m), HAS_DISTANCE }, { "poni1", offsetof(bragg_geometry, poni1_m), HAS_PONI1 },
        { "poni2", offsetof(bragg_geometry, poni2_m), HAS_PONI2 }, { "rot1", offsetof(bragg_geometry, rot1_rad), HAS_ROT1 },
        { "rot2", offsetof(bragg_geometry, rot2_rad), HAS_ROT2 }, { "rot3", offsetof(bragg_geometry, rot3_rad), HAS_ROT3 },
        { "pixelsize1", offsetof(bragg_geometry, pixel_slow_m), 0 }, { "pixelsize2", offsetof(bragg_geometry, pixel_fast_m), 0 },
    };
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (!strcmp(key, numbers[k].key)) {
            *has |= numbers[k].flag;
            return number(path, key, value, (double *)((char *)g + numbers[k].offset), err);
        }
    if (!strcmp(key, "wavelength")) {
        double metres = NAN;
        bragg_status st = number(path, key, value, &metres, err);
        g->wavelength_ang = metres * 1e10;
        return st;
    }
    if (!strcmp(key, "poni_version")) {
        double version = 1;
        bragg_status st = number(path, key, value, &version, err);
        if (st == BRAGG_OK && !(version <= 2.1))
            st = bragg_fail(err, BRAGG_ENOSUPPORT, "%s: PONI version %s: we know up to 2.1", path, value);
        return st;
    }
    if (!strcmp(key, "detector") && strcmp(value, "Detector")) { /* which is pyFAI's word for any; a name we do not know leaves the sizes to other lines */
        snprintf(g->detector, sizeof g->detector, "%s", value);
        (void)bragg_geometry_set_detector(g, value, NULL);
        return BRAGG_OK;
    }
    return !strcmp(key, "detector_config") ? read_config(path, value, g, err) : BRAGG_OK;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (size_t n = strlen(text); n && isspace((unsigned char)text[n - 1]); n--)
        text[n - 1] = 0;
    return text;
}

static bragg_status check(const char *path, const bragg_geometry *g, unsigned has, bragg_error *err)
{
    static const char *const names[] = { "Distance", "Poni1", "Poni2", "Rot1", "Rot2", "Rot3" };
    for (int k = 0; k < 6; k++)
        if (!(has & 1u << k))
            return bragg_fail(err, BRAGG_EDATA, "%s: expected the key %s of a PONI file, found none", path, names[k]);
    if (!(g->distance_m > 0))
        return bragg_fail(err, BRAGG_EDATA, "%s: Distance: must be positive, found %g", path, g->distance_m);
    if (!(g->pixel_slow_m > 0) || !(g->pixel_fast_m > 0))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected pixel sizes (PixelSize1, PixelSize2, Detector_config or a Detector we know), found %s", path, *g->detector ? g->detector : "none");
    return BRAGG_OK;
}

bragg_status bragg_geometry_read_poni(const char *path, bragg_geometry *out, bragg_error *err)
{
    if (bragg_path_is_folder(path))
        return bragg_fail(err, BRAGG_EIO, "%s: expected a PONI file, found a folder", path);
    FILE *in = fopen(path, "r");
    if (!in)
        return bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", path, strerror(errno));
    *out = (bragg_geometry)BRAGG_GEOMETRY_INIT;
    char line[4096];
    unsigned has = 0;
    bragg_status st = BRAGG_OK;
    while (st == BRAGG_OK && fgets(line, sizeof line, in)) {
        char *colon = strchr(line, ':');
        if (*trim(line) == '#' || !colon)
            continue;
        *colon = 0;
        char *key = trim(line);
        for (char *c = key; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        st = take(path, key, trim(colon + 1), out, &has, err);
    }
    fclose(in);
    return st < 0 ? st : check(path, out, has, err);
}

/* What a detector's name says to whoever reads the file: its gaps, beside the sizes. */
static bool is_known_detector(const bragg_geometry *g)
{
    bragg_geometry known = *g;
    return *g->detector && bragg_geometry_set_detector(&known, g->detector, NULL) == BRAGG_OK && known.pixel_slow_m == g->pixel_slow_m &&
           known.pixel_fast_m == g->pixel_fast_m && known.rows == g->rows && known.columns == g->columns;
}

bragg_status bragg_geometry_write_poni_noted(const bragg_geometry *g, const char *note, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    char b[10][BRAGG_NUMBER_TEXT];
    const double v[9] = { g->pixel_slow_m, g->pixel_fast_m, g->distance_m, g->poni1_m, g->poni2_m, g->rot1_rad, g->rot2_rad, g->rot3_rad,
                          g->wavelength_ang * 1e-10 };
    for (int k = 0; k < 9; k++)
        bragg_number_print(b[k], v[k]);
    bool known = is_known_detector(g);
    fprintf(to, "# Nota: C-Order, 1 refers to the Y axis, 2 to the X axis\n");
    if (note)
        fprintf(to, "# %s\n", note);
    fprintf(to, "poni_version: 2.1\nDetector: %s\nDetector_config: {", known ? g->detector : "Detector");
    if (!known) {
        fprintf(to, "\"pixel1\": %s, \"pixel2\": %s, \"max_shape\": ", b[0], b[1]);
        fprintf(to, g->rows && g->columns ? "[%zu, %zu], " : "null, ", g->rows, g->columns);
    }
    fprintf(to, "\"orientation\": %d}\n", g->orientation);
    fprintf(to, "Distance: %s\nPoni1: %s\nPoni2: %s\nRot1: %s\nRot2: %s\nRot3: %s\n", b[2], b[3], b[4], b[5], b[6], b[7]);
    if (g->wavelength_ang > 0)
        fprintf(to, "Wavelength: %s\n", b[8]);
    return bragg_output_commit(out, err);
}

bragg_status bragg_geometry_write_poni(const bragg_geometry *g, const char *path, bool force, bragg_error *err)
{
    return bragg_geometry_write_poni_noted(g, NULL, path, force, err);
}
