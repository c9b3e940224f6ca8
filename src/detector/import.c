/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Geometries of other programs: GSAS-II's image controls and Fit2D's parameters. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/detector.h>
#include <bragg/number.h>
#include <bragg/path.h>

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct facts {
    double distance_mm, centre[2], tilt_deg, rotation_deg, pixel_um[2], wavelength_ang;   /* centre: x, y */
    bool invert_x, invert_y;
} facts;

/* From where the beam meets the detector to where its normal through the sample does,
 * and the tilts that make it so. */
static void set_tilt(bragg_geometry *g, double beam1_m, double beam2_m, double away1_m, double away2_m)
{
    g->poni1_m = beam1_m + away1_m;
    g->poni2_m = beam2_m + away2_m;
    g->rot1_rad = atan(away2_m / g->distance_m);
    g->rot2_rad = -atan(away1_m * cos(g->rot1_rad) / g->distance_m);
    g->rot3_rad = 0;
}

/* A point (x, y) mm from the beam's lies Z = sin(tilt) (x sin(rotation) - y cos(rotation))
 * nearer to the sample, and distance is that to the plane (B. H. Toby & R. B. Von Dreele,
 * J. Appl. Cryst. 46 (2013) 544, GetTthAzmG of its image module): the normal's foot is
 * where Z grows fastest.  invert_y counts y from the last row, as orientation 2 does. */
static void from_gsas(const facts *f, bragg_geometry *g)
{
    double t = f->tilt_deg * BRAGG_DEG, phi = f->rotation_deg * BRAGG_DEG;
    g->distance_m = f->distance_mm / 1000;
    g->orientation = f->invert_y ? (f->invert_x ? 1 : 2) : f->invert_x ? 4 : 3;
    double away = g->distance_m * tan(t);
    set_tilt(g, f->centre[1] / 1000, f->centre[0] / 1000, -away * cos(phi), away * sin(phi));
}

/* Fit2D's distance is along the beam, its centre in pixels (A. P. Hammersley et al.,
 * High Press. Res. 14 (1996) 235); the signs are pyFAI's (G. Ashiotis et al., J. Appl.
 * Cryst. 48 (2015) 510), without the turn about the beam it adds. */
static void from_fit2d(const facts *f, bragg_geometry *g)
{
    double t = f->tilt_deg * BRAGG_DEG, phi = f->rotation_deg * BRAGG_DEG, direct_m = f->distance_mm / 1000;
    g->pixel_fast_m = f->pixel_um[0] * 1e-6;
    g->pixel_slow_m = f->pixel_um[1] * 1e-6;
    g->distance_m = direct_m * cos(t);
    set_tilt(g, f->centre[1] * g->pixel_slow_m, f->centre[0] * g->pixel_fast_m, -direct_m * sin(t) * sin(phi), -direct_m * sin(t) * cos(phi));
}

/* "center:[np.float64(168.59), 173.45]": n numbers, whatever stands around them. */
static bool numbers(const char *text, double *v, int n)
{
    for (int k = 0; k < n; k++) {
        for (;; text++) {
            if (!*text)
                return false;
            if (isalpha((unsigned char)*text)) { /* a name, with its digits */
                while (isalnum((unsigned char)text[1]))
                    text++;
                continue;
            }
            if (isdigit((unsigned char)*text) || ((*text == '-' || *text == '.') && isdigit((unsigned char)text[1])))
                break;
        }
        if (!bragg_number_scan(text, &text, &v[k]))
            return false;
    }
    return true;
}

typedef struct field {
    const char *key;
    size_t offset;
    int n;
} field;

static const field gsas_fields[] = { { "distance", offsetof(facts, distance_mm), 1 }, { "center", offsetof(facts, centre), 2 }, { "tilt", offsetof(facts, tilt_deg), 1 },
                                     { "rotation", offsetof(facts, rotation_deg), 1 }, { "wavelength", offsetof(facts, wavelength_ang), 1 } };
static const field fit2d_fields[] = { { "directDist", offsetof(facts, distance_mm), 1 }, { "centerX", offsetof(facts, centre), 1 }, { "centerY", offsetof(facts, centre) + sizeof(double), 1 },
                                      { "tilt", offsetof(facts, tilt_deg), 1 }, { "tiltPlanRotation", offsetof(facts, rotation_deg), 1 },
                                      { "pixelX", offsetof(facts, pixel_um), 1 }, { "pixelY", offsetof(facts, pixel_um) + sizeof(double), 1 },
                                      { "wavelength", offsetof(facts, wavelength_ang), 1 } };

/* "key: value", "key = value" or "key value"; which of the fields are there. */
static bragg_status read_fields(const char *path, const field *fields, size_t n, facts *f, unsigned *has, bragg_error *err)
{
    FILE *in = fopen(path, "r");
    char line[4096];
    bragg_status st = BRAGG_OK;
    if (!in)
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", path, strerror(errno));
    while (st == BRAGG_OK && fgets(line, sizeof line, in)) {
        char *key = line + strspn(line, " \t\"'"), *value = key + strcspn(key, ":= \t\"'");
        size_t length = (size_t)(value - key);
        if (*key == '#')
            continue;
        f->invert_x |= length == 8 && !strncasecmp(key, "invert_x", 8) && strstr(value, "True");
        f->invert_y |= length == 8 && !strncasecmp(key, "invert_y", 8) && strstr(value, "True");
        for (size_t k = 0; k < n && st == BRAGG_OK; k++)
            if (strlen(fields[k].key) == length && !strncasecmp(key, fields[k].key, length)) {
                const char *found = value + strspn(value, ":= \t");
                if (!numbers(value, (double *)((char *)f + fields[k].offset), fields[k].n))
                    st = bragg_fail(err, BRAGG_EDATA, "%s: %s: expected %s, found '%.*s'", path, fields[k].key, fields[k].n > 1 ? "two numbers" : "a number",
                                    bragg_utf8_most(found, 40), found);
                *has |= 1u << k;
            }
    }
    fclose(in);
    return st;
}

static bragg_status check_fields(const char *path, const field *fields, size_t n, unsigned has, bragg_error *err)
{
    for (size_t k = 0; k < n; k++)
        if (!(has & 1u << k) && strcmp(fields[k].key, "wavelength"))
            return bragg_fail(err, BRAGG_EDATA, "%s: expected the key %s, found none", path, fields[k].key);
    return BRAGG_OK;
}

/* Whether a line begins with Fit2D's distance. */
static bool is_fit2d(const char *path)
{
    FILE *in = fopen(path, "r");
    char line[4096];
    bool found = false;
    while (in && !found && fgets(line, sizeof line, in))
        found = !strncasecmp(line + strspn(line, " \t\"'"), "directDist", 10);
    if (in)
        fclose(in);
    return found;
}

bragg_status bragg_geometry_read(const char *path, bragg_geometry *g, bragg_error *err)
{
    bool gsas = !strcasecmp(bragg_path_extension(path), ".imctrl"), fit2d = !gsas && is_fit2d(path);
    const field *fields = gsas ? gsas_fields : fit2d_fields;
    size_t n = gsas ? sizeof gsas_fields / sizeof *gsas_fields : sizeof fit2d_fields / sizeof *fit2d_fields;
    facts f = { NAN, { NAN, NAN }, 0, 0, { NAN, NAN }, NAN, false, false };
    unsigned has = 0;
    if (!gsas && !fit2d)
        return bragg_geometry_read_poni(path, g, err);
    *g = (bragg_geometry)BRAGG_GEOMETRY_INIT;
    bragg_status st = read_fields(path, fields, n, &f, &has, err);
    if (st == BRAGG_OK)
        st = check_fields(path, fields, n, has, err);
    if (st < 0)
        return st;
    if (!(f.distance_mm > 0) || !(fabs(f.tilt_deg) < 90))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a positive distance and a tilt below 90 degrees, found %g mm and %g", path, f.distance_mm, f.tilt_deg);
    g->wavelength_ang = f.wavelength_ang;
    if (gsas)
        from_gsas(&f, g);
    else
        from_fit2d(&f, g);
    return BRAGG_OK;
}
