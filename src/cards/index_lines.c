/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines from a pattern or from a list. */
#include "config.h"
#include "indexing.h"

#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/number.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LIST = 200 };

void bragg_index_lines_free(bragg_index_lines *l)
{
    free(l->at);
    *l = (bragg_index_lines){ 0 };
}

static int by_angle(const void *a, const void *b)
{
    const bragg_index_line *x = a, *y = b;
    return (x->two_theta_rad > y->two_theta_rad) - (x->two_theta_rad < y->two_theta_rad);
}

/* ----------------------------------------------------------------- pattern */

/* Two peaks closer than half a width are one line, the higher one's. */
static void merge_close(bragg_index_lines *l, double *width)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool close = kept && l->at[i].two_theta_rad - l->at[kept - 1].two_theta_rad < 0.5 * fmin(width[i], width[kept - 1]);
        if (close && l->at[i].intensity <= l->at[kept - 1].intensity)
            continue;
        kept -= close;
        l->at[kept] = l->at[i];
        width[kept++] = width[i];
    }
    l->n = kept;
}

/* The second line of a doublet stands where the first one's spacing puts it, with its
 * share of the height; the peak search marks the clear ones. */
static bool is_echo(const bragg_index_lines *l, size_t i, const bragg_radiation *r)
{
    for (size_t k = 0; k < i; k++) {
        double s = sin(l->at[k].two_theta_rad / 2) * r->wavelength_ang[1] / r->wavelength_ang[0], there = s < 1 ? 2 * asin(s) : NAN;
        double reach = 0.25 * (there - l->at[k].two_theta_rad) + 0.01 * BRAGG_DEG;
        if (fabs(there - l->at[i].two_theta_rad) < reach && l->at[i].intensity < 1.3 * r->ratio[1] * l->at[k].intensity)
            return true;
    }
    return false;
}

static void drop_echoes(bragg_index_lines *l, double *width, const bragg_radiation *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n && r->n_lines > 1; i++) {
        if (is_echo(l, i, r))
            l->at[i].intensity = -l->at[i].intensity; /* has no echo of its own */
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i].intensity >= 0) {
            width[kept] = width[i];
            l->at[kept++] = l->at[i];
        }
    l->n = kept;
}

/* Below one per cent of the strongest line stand the second radiations (K beta, W L), the
 * sample holder and the tails; lines that weak are left out as long as enough remain. */
static void drop_weak(bragg_index_lines *l)
{
    static const struct { double part; size_t enough; } steps[] = { { 0.01, 20 }, { 0.005, 20 }, { 0.0025, 20 }, { 0.01, 8 }, { 0.005, 8 } };
    double top = 0;
    for (size_t i = 0; i < l->n; i++)
        top = fmax(top, l->at[i].intensity);
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        size_t left = 0;
        for (size_t i = 0; i < l->n; i++)
            left += l->at[i].intensity >= steps[k].part * top;
        if (left < steps[k].enough)
            continue;
        size_t kept = 0;
        for (size_t i = 0; i < l->n; i++)
            if (l->at[i].intensity >= steps[k].part * top)
                l->at[kept++] = l->at[i];
        l->n = kept;
        return;
    }
}

/* The pattern with the doublet of the command line, which its file may not know. */
static bragg_pattern with_doublet(const bragg_pattern *p, const bragg_radiation *r)
{
    bragg_pattern copy = *p;
    copy.wavelength_ang = r->wavelength_ang[0];
    copy.wavelength2_ang = r->n_lines > 1 ? r->wavelength_ang[1] : NAN;
    copy.ratio2 = r->n_lines > 1 ? r->ratio[1] : NAN;
    return copy;
}

bragg_status bragg_index_lines_from_pattern(const bragg_pattern *pattern, const bragg_radiation *radiation, bragg_index_lines *out, bragg_error *err)
{
    bragg_peak *peak;
    size_t n;
    const bragg_pattern copy = with_doublet(pattern, radiation), *p = &copy;
    double wavelength = radiation->wavelength_ang[0];
    *out = (bragg_index_lines){ 0 };
    bragg_status st = bragg_pattern_peaks(p, 5, &peak, &n, err);
    if (st < 0)
        return st;
    double *width = calloc(n + 1, sizeof *width);
    out->at = calloc(n + 1, sizeof *out->at);
    if (!out->at || !width)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", n);
    double one = bragg_axis_convert(p->x[0], p->axis, BRAGG_AXIS_TTH, wavelength), other = bragg_axis_convert(p->x[p->n - 1], p->axis, BRAGG_AXIS_TTH, wavelength);
    out->first_rad = fmax(fmin(one, other), 0);
    for (size_t i = 0; i < n && st >= 0; i++) {
        const bragg_peak *e = &peak[p->axis == BRAGG_AXIS_D ? n - 1 - i : i]; /* by rising 2theta */
        double t = bragg_axis_convert(e->x, p->axis, BRAGG_AXIS_TTH, wavelength);
        double slope = fabs(bragg_axis_convert(e->x + e->fwhm / 2, p->axis, BRAGG_AXIS_TTH, wavelength) - t) / (e->fwhm / 2);
        if (!(t > 0) || !(e->area > 0) || e->alpha2 || e->shoulder || !(slope > 0)) /* cells want positions better than a shoulder's */
            continue;
        width[out->n] = e->fwhm * slope;
        /* neighbours that hide below a peak pull it by some of its width */
        out->at[out->n++] = (bragg_index_line){ t, hypot(e->x_esd, 0.05 * e->fwhm) * slope, e->height };
    }
    free(peak);
    if (st >= 0) {
        drop_echoes(out, width, radiation);
        merge_close(out, width);
        drop_weak(out);
    } else
        bragg_index_lines_free(out);
    free(width);
    return st;
}

/* -------------------------------------------------------------------- list */

bool bragg_index_lines_is_list(const bragg_pattern *p)
{
    if (p->n > MOST_LIST)
        return false;
    double step = (p->x[p->n - 1] - p->x[0]) / (double)(p->n - 1);
    for (size_t i = 1; i < p->n; i++)
        if (fabs(p->x[i] - p->x[i - 1] - step) > 0.2 * fabs(step))
            return true;
    return false;
}

/* One row of the list; the numbers found in v, how many returned, -1 for other text. */
static int numbers(const char *text, double v[3])
{
    int n = 0;
    for (;;) {
        text += strspn(text, " \t,;\r\n");
        if (!*text || *text == '#' || *text == '!')
            return n;
        const char *end;
        double value;
        if (!bragg_number_scan(text, &end, &value) || (*end && !strchr(" \t,;\r\n#!", *end)))
            return n ? n : -1;
        if (n < 3)
            v[n++] = value;
        text = end;
    }
}

static bragg_status take_row(bragg_index_lines *out, size_t *room, const double v[3], int n, bragg_axis axis, double wavelength, bragg_error *err)
{
    double x = v[0] * bragg_axis_factor(axis), t = x > 0 ? bragg_axis_convert(x, axis, BRAGG_AXIS_TTH, wavelength) : NAN;
    if (!isfinite(v[0]) || !(v[0] > 0))
        return bragg_fail(err, BRAGG_EDATA, "expected a positive position, found %g", v[0]);
    if (!(t > 0 && t < BRAGG_PI))
        return bragg_fail(err, BRAGG_EDATA, "%s = %g does not diffract at %g angstrom; name the list's unit with --unit", bragg_axis_name(axis), v[0], wavelength);
    if ((n > 1 && !isfinite(v[1])) || (n > 2 && !(v[2] > 0 && isfinite(v[2]))))
        return bragg_fail(err, BRAGG_EDATA, "expected a finite intensity and a positive sigma, found %g %g", v[1], n > 2 ? v[2] : NAN);
    double sigma = NAN;
    if (n > 2)
        sigma = fabs(bragg_axis_convert((v[0] + v[2]) * bragg_axis_factor(axis), axis, BRAGG_AXIS_TTH, wavelength) - t);
    for (size_t k = 0; k < out->n; k++)
        if (fabs(out->at[k].two_theta_rad - t) < 1e-7)
            return bragg_fail(err, BRAGG_EDATA, "position %g stands there twice", v[0]);
    bragg_status st = bragg_array_grow(&out->at, room, out->n + 1, sizeof *out->at, err);
    if (st >= 0)
        out->at[out->n++] = (bragg_index_line){ t, sigma, n > 1 && v[1] > 0 ? v[1] : NAN };
    return st;
}

/* Degrees, spacings and Q are easily mistaken: a list of spacings read as angles ends
 * where no pattern does. */
static bragg_status check_unit(const bragg_index_lines *l, const char *path, bragg_axis axis, bragg_error *err)
{
    double first = l->at[0].two_theta_rad / BRAGG_DEG, last = l->at[l->n - 1].two_theta_rad / BRAGG_DEG;
    if (axis == BRAGG_AXIS_TTH && last < 12 && first < 3)
        return bragg_fail(err, BRAGG_EDATA, "%s: lines from %g to %g look like spacings or Q, not degrees of 2theta; name the unit with --unit d_A or q_A^-1", path,
                          first, last);
    return BRAGG_OK;
}

bragg_status bragg_index_lines_read(const char *path, bragg_axis axis, double wavelength, bragg_index_lines *out, bragg_error *err)
{
    char text[512];
    size_t room = 0, number = 0;
    bragg_status st = BRAGG_OK;
    *out = (bragg_index_lines){ 0 };
    FILE *in = fopen(path, "r");
    if (!in)
        return bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", path, strerror(errno));
    while (st >= 0 && fgets(text, sizeof text, in)) {
        double v[3];
        char *unit = strstr(text, "unit:"), name[24];
        number++;
        if (unit && sscanf(unit + 5, " %23s", name) == 1 && !bragg_axis_parse(name, &axis))
            st = bragg_fail(err, BRAGG_EDATA, "unknown unit '%s'; expected 2th_deg, d_A or q_A^-1", name);
        int n = st < 0 || unit ? 0 : numbers(text, v);
        if (n < 0 && out->n)
            st = bragg_fail(err, BRAGG_EDATA, "expected a position, found '%.*s'", bragg_utf8_most(text, 20), text);
        if (n > 0)
            st = take_row(out, &room, v, n, axis, wavelength, err);
        if (st < 0)
            bragg_context(err, st, "%s: line %zu", path, number);
    }
    fclose(in);
    if (st >= 0 && !out->n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected positions of lines, found none", path);
    if (st >= 0) {
        qsort(out->at, out->n, sizeof *out->at, by_angle);
        st = check_unit(out, path, axis, err);
    }
    if (st < 0)
        bragg_index_lines_free(out);
    return st;
}
