/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Detector geometry: pixel to ray and back. */
#include "config.h"
#include "tiles.h"
#include <bragg/yaml.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "detector_tables.h"

enum { N_DETECTORS = sizeof detectors / sizeof *detectors };

/* "Pilatus 1M", "pilatus_1m" and "Pilatus1M" are one, "Eiger2 CdTe 1M" an Eiger2. */
static bool same_detector(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && strchr(" _-", *a))
            a++;
        while (*b && strchr(" _-", *b))
            b++;
        if (!strncasecmp(b, "cdte", 4) && strncasecmp(a, "cdte", 4))
            for (b += 4; *b && strchr(" _-", *b); b++)
                ;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

bragg_status bragg_geometry_set_detector(bragg_geometry *g, const char *name, bragg_error *err)
{
    const char *names[N_DETECTORS];
    for (size_t k = 0; k < N_DETECTORS; k++) {
        names[k] = detectors[k].name;
        if (!same_detector(detectors[k].name, name))
            continue;
        g->rows = detectors[k].rows;
        g->columns = detectors[k].columns;
        g->pixel_slow_m = detectors[k].slow_um * 1e-6;
        g->pixel_fast_m = detectors[k].fast_um * 1e-6;
        snprintf(g->detector, sizeof g->detector, "%s", detectors[k].name);
        return BRAGG_OK;
    }
    const char *near = bragg_nearest(name, names, N_DETECTORS);
    return bragg_fail(err, BRAGG_EINVAL, "unknown detector '%.40s'%s%s%s", name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bragg_status bragg_mask_gaps(const char *name, size_t rows, size_t columns, uint8_t *mask, bragg_error *err)
{
    bragg_geometry g = BRAGG_GEOMETRY_INIT;
    bragg_status st = bragg_geometry_set_detector(&g, name, err);
    if (st < 0)
        return st;
    if (g.rows != rows || g.columns != columns)
        return bragg_fail(err, BRAGG_EDATA, "gaps of %s: expected a frame of %zu x %zu pixels, found %zu x %zu", g.detector, g.columns, g.rows, columns, rows);
    for (size_t k = 0; k < N_DETECTORS; k++) {
        size_t tall = detectors[k].module_rows + detectors[k].gap_rows, wide = detectors[k].module_columns + detectors[k].gap_columns;
        if (strcmp(detectors[k].name, g.detector) || !tall || !wide)
            continue;
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++)
                mask[i * columns + j] |= i % tall >= detectors[k].module_rows || j % wide >= detectors[k].module_columns;
    }
    return BRAGG_OK;
}

/* Position along the detector's native axes (orientation 3), in pixels. */
void bragg_geometry_native(const bragg_geometry *g, double slow, double fast, double *d1, double *d2)
{
    double rows = (double)g->rows, columns = (double)g->columns;
    bool upright = g->orientation > 4;
    double vertical = upright ? fast : slow, horizontal = upright ? slow : fast;
    double tall = upright ? columns : rows, wide = upright ? rows : columns;
    int corner = upright ? g->orientation - 4 : g->orientation;
    *d1 = corner <= 2 ? tall - vertical : vertical;
    *d2 = corner == 1 || corner == 4 ? wide - horizontal : horizontal;
}

static void from_native(const bragg_geometry *g, double d1, double d2, double *slow, double *fast)
{
    double rows = (double)g->rows, columns = (double)g->columns;
    bool upright = g->orientation > 4;
    double tall = upright ? columns : rows, wide = upright ? rows : columns;
    int corner = upright ? g->orientation - 4 : g->orientation;
    double vertical = corner <= 2 ? tall - d1 : d1, horizontal = corner == 1 || corner == 4 ? wide - d2 : d2;
    *slow = upright ? horizontal : vertical;
    *fast = upright ? vertical : horizontal;
}

/* Rows of R3 R2 R1 that take (p1, p2, L) to the laboratory (pyFAI's calc_pos_zyx). */
void bragg_geometry_rotation(const bragg_geometry *g, double r[3][3])
{
    double c1 = cos(g->rot1_rad), s1 = sin(g->rot1_rad), c2 = cos(g->rot2_rad), s2 = sin(g->rot2_rad),
           c3 = cos(g->rot3_rad), s3 = sin(g->rot3_rad);
    const double rows[3][3] = {
        { c2 * c3, c3 * s1 * s2 - c1 * s3, -(c1 * c3 * s2 + s1 * s3) },
        { c2 * s3, c1 * c3 + s1 * s2 * s3, -(-c3 * s1 + c1 * s2 * s3) },
        { s2, -c2 * s1, c1 * c2 },
    };
    memcpy(r, rows, sizeof rows);
}

static bragg_ray ray_of(const bragg_geometry *g, const double r[3][3], double slow, double fast)
{
    double d1, d2, t[3];
    bragg_geometry_native(g, slow, fast, &d1, &d2);
    double pixel1 = g->orientation > 4 ? g->pixel_fast_m : g->pixel_slow_m, pixel2 = g->orientation > 4 ? g->pixel_slow_m : g->pixel_fast_m;
    const double p[3] = { d1 * pixel1 - g->poni1_m, d2 * pixel2 - g->poni2_m, g->distance_m };
    for (int i = 0; i < 3; i++)
        t[i] = r[i][0] * p[0] + r[i][1] * p[1] + r[i][2] * p[2];
    double across = sqrt(t[0] * t[0] + t[1] * t[1]);
    double incidence = p[2] / sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    return (bragg_ray){ atan2(across, t[2]), atan2(t[0], t[1]), g->distance_m * across / t[2], incidence * incidence * incidence };
}

bragg_ray bragg_geometry_ray(const bragg_geometry *g, double slow, double fast)
{
    double r[3][3];
    bragg_geometry_rotation(g, r);
    return ray_of(g, (const double(*)[3])r, slow, fast);
}

/* t = R p: dt/dp is R, dt/drot the derivative of R; then 2theta = atan2(|t12|, t3)
 * and chi = atan2(t1, t2). */
void bragg_geometry_ray_derivatives(const bragg_geometry *g, double slow, double fast, double d_tth[6], double d_chi[6])
{
    double r[3][3], d1, d2, t[3], dt[6][3];
    double c1 = cos(g->rot1_rad), s1 = sin(g->rot1_rad), c2 = cos(g->rot2_rad), s2 = sin(g->rot2_rad),
           c3 = cos(g->rot3_rad), s3 = sin(g->rot3_rad);
    bragg_geometry_rotation(g, r);
    bragg_geometry_native(g, slow, fast, &d1, &d2);
    double pixel1 = g->orientation > 4 ? g->pixel_fast_m : g->pixel_slow_m, pixel2 = g->orientation > 4 ? g->pixel_slow_m : g->pixel_fast_m;
    const double p[3] = { d1 * pixel1 - g->poni1_m, d2 * pixel2 - g->poni2_m, g->distance_m };
    const double dr[3][3][3] = {
        { { 0, c3 * c1 * s2 + s1 * s3, s1 * c3 * s2 - c1 * s3 }, { 0, -s1 * c3 + c1 * s2 * s3, c3 * c1 + s1 * s2 * s3 }, { 0, -c2 * c1, -s1 * c2 } },
        { { -s2 * c3, c3 * s1 * c2, -c1 * c3 * c2 }, { -s2 * s3, s1 * c2 * s3, -c1 * c2 * s3 }, { c2, s2 * s1, -c1 * s2 } },
        { { -c2 * s3, -s3 * s1 * s2 - c1 * c3, c1 * s3 * s2 - s1 * c3 }, { c2 * c3, -c1 * s3 + s1 * s2 * c3, -s3 * s1 - c1 * s2 * c3 }, { 0, 0, 0 } },
    };
    for (int i = 0; i < 3; i++) {
        t[i] = r[i][0] * p[0] + r[i][1] * p[1] + r[i][2] * p[2];
        dt[0][i] = r[i][2];
        dt[1][i] = -r[i][0];
        dt[2][i] = -r[i][1];
        for (int k = 0; k < 3; k++)
            dt[3 + k][i] = dr[k][i][0] * p[0] + dr[k][i][1] * p[1] + dr[k][i][2] * p[2];
    }
    double across2 = t[0] * t[0] + t[1] * t[1], across = sqrt(across2), length2 = across2 + t[2] * t[2];
    for (int k = 0; k < 6; k++) {
        double dacross = (t[0] * dt[k][0] + t[1] * dt[k][1]) / across;
        d_tth[k] = (t[2] * dacross - across * dt[k][2]) / length2;
        d_chi[k] = (t[1] * dt[k][0] - t[0] * dt[k][1]) / across2;
    }
}

bool bragg_geometry_point(const bragg_geometry *g, double tth, double chi, double *slow, double *fast)
{
    double r[3][3], p[3];
    bragg_geometry_rotation(g, r);
    const double u[3] = { sin(tth) * sin(chi), sin(tth) * cos(chi), cos(tth) };
    for (int i = 0; i < 3; i++) /* the transpose undoes the rotation */
        p[i] = r[0][i] * u[0] + r[1][i] * u[1] + r[2][i] * u[2];
    if (!(p[2] > 1e-6))
        return false;
    double pixel1 = g->orientation > 4 ? g->pixel_fast_m : g->pixel_slow_m, pixel2 = g->orientation > 4 ? g->pixel_slow_m : g->pixel_fast_m;
    from_native(g, (p[0] / p[2] * g->distance_m + g->poni1_m) / pixel1, (p[1] / p[2] * g->distance_m + g->poni2_m) / pixel2, slow, fast);
    return true;
}

/* R. Kahn, R. Fourme et al., J. Appl. Cryst. 15 (1982) 330, eq. 6, as pyFAI has it. */
double bragg_polarization(double tth, double chi, double factor)
{
    double c = cos(tth), c2 = c * c;
    return 0.5 * (1 + c2 - factor * cos(2 * chi) * (1 - c2));
}
