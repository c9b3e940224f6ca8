/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Neutron and FullProf files that give start, step and end, then intensities
 * line by line: D1A/D1B/D20 of ILL as "D1A5" (FullProf INSTRM 6), DMC and HRPT
 * of PSI (INSTRM 8), D1A and D2B of old with 10(I2,I6) counters and counts
 * (INSTRM 1), and the free format (INSTRM 0).  The layouts are those of
 * the FullProf manual, "Input of the intensity data". */
#include "config.h"
#include "reader.h"

#include <bragg/number.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_HEADER = 10 };

/* Line number `header` holds start, step, end. */
typedef struct grid {
    double start, step, end;
    size_t n, header;
} grid;

/* A grid when the three numbers span a whole number of steps. */
static bool grid_of(const double v[3], grid *g)
{
    double n = (v[2] - v[0]) / v[1];
    if (!(v[1] > 0) || !(v[2] > v[0]) || !(n < MAX_POINTS) || fabs(v[0]) > 360 || fabs(v[2]) > 360 ||
        fabs(n - round(n)) > 0.01)
        return false;
    *g = (grid){ v[0], v[1], v[2], (size_t)round(n) + 1, 0 };
    return true;
}

static bool is_number_line(const lines *l)
{
    double v[64];
    size_t n = bragg_pattern_numbers_of(l->text, l->length, v, 64);
    const char *end = l->text + l->length, *p = l->text;
    for (size_t i = 0; i < n; i++) {
        while (p < end && strchr(" \t,;", *p))
            p++;
        while (p < end && !strchr(" \t,;", *p))
            p++;
    }
    return n && p == end;
}

/* How many numbers lines of numbers hold from here on: at least one line must
 * have more than three, else these are columns. */
static size_t numbers_follow(lines l, size_t enough)
{
    double v[64];
    size_t n = 0;
    bool wide = false;
    while (n < enough && bragg_pattern_lines_next(&l)) {
        if (!l.length)
            continue;
        if (memchr(l.text, '\0', l.length) || !is_number_line(&l))
            break;
        size_t k = bragg_pattern_numbers_of(l.text, l.length, v, 64);
        wide |= k > 3;
        n += k;
    }
    return wide ? n : 0;
}

static bool find_grid(const source *src, grid *g)
{
    lines l = bragg_pattern_lines_of(src);
    for (size_t i = 0; i < STEP_HEADER && bragg_pattern_lines_next(&l); i++) {
        double v[4];
        /* The line of three may go on with text or, at PSI, with the monitor. */
        if (l.length && bragg_pattern_numbers_of(l.text, l.length, v, 3) == 3 && grid_of(v, g) && numbers_follow(l, g->n) >= g->n) {
            g->header = l.number;
            return true;
        }
    }
    return false;
}

bool bragg_pattern_probe_steps(const source *src)
{
    grid g;
    return find_grid(src, &g);
}

/* Intensities, then for D1A5 and PSI as many sigmas. */
static size_t read_values(lines *l, double *to, size_t n)
{
    size_t i = 0;
    while (i < n && bragg_pattern_lines_next(l)) {
        if (!l->length)
            continue;
        size_t k = bragg_pattern_numbers_of(l->text, l->length, to + i, n - i);
        if (!k)
            break;
        i += k;
    }
    return i;
}

/* A full line of 10(I2,I6): every field of eight holds a number of counters and
 * the mean of their counts. */
static bool paired_line(const lines *l, double counters[10], double counts[10])
{
    if (l->length < 74 || l->length > 80)
        return false;
    for (size_t k = 0; k < 10; k++) {
        size_t at = 8 * k, width = l->length - at - 2 < 6 ? l->length - at - 2 : 6;
        const char *field = l->text + at;
        if (!bragg_number_parse_n(field, 2, &counters[k]) || !bragg_number_parse_n(field + 2, width, &counts[k]) ||
            counters[k] < 1 || memchr(field, '.', width + 2))
            return false;
    }
    return true;
}

static bool paired(lines l)
{
    double counters[10], counts[10];
    return bragg_pattern_lines_next(&l) && paired_line(&l, counters, counts);
}

/* The last line of pairs may be short. */
static size_t read_pairs(lines *l, bragg_pattern *p)
{
    double v[64];
    size_t i = 0;
    while (i < p->n && bragg_pattern_lines_next(l)) {
        double counters[10], counts[10];
        size_t n = 10;
        if (!paired_line(l, counters, counts)) {
            n = bragg_pattern_numbers_of(l->text, l->length, v, 20) / 2;
            for (size_t k = 0; k < n; k++)
                counters[k] = v[2 * k], counts[k] = v[2 * k + 1];
        }
        if (!n)
            break;
        for (size_t k = 0; k < n && i < p->n; k++, i++) {
            double m = counters[k] >= 1 ? counters[k] : 1;
            p->y[i] = counts[k];
            p->sigma[i] = sqrt(fmax(counts[k] * m, 1)) / m;
        }
    }
    return i;
}

/* "lambda=  1.49400, T=   0.000": T of zero means not measured. */
static double after(const lines *l, const char *word)
{
    double value;
    const char *at = bragg_pattern_find_text(l->text, l->length, word);
    if (!at)
        return NAN;
    at += strlen(word);
    return bragg_pattern_numbers_of(at, (size_t)(l->text + l->length - at), &value, 1) ? value : NAN;
}

/* "1.9114 A  LaNi2Mn3Dx 13.9.01": D1A writes the wavelength first. */
static double leading_wavelength(const lines *l)
{
    double value;
    const char *end = l->text + l->length, *p = l->text;
    if (!bragg_pattern_numbers_of(p, l->length, &value, 1))
        return NAN;
    while (p < end && *p == ' ')
        p++;
    while (p < end && *p != ' ')
        p++;
    while (p < end && *p == ' ')
        p++;
    return end - p > 1 && *p == 'A' && p[1] == ' ' ? value : NAN;
}

static void header_line(const lines *l, const grid *g, bragg_pattern *p)
{
    double wavelength = after(l, "lambda="), kelvin = after(l, " T="), v[8];
    if (l->number == 1)
        bragg_pattern_title(p, l->text, l->length);
    if (isnan(wavelength))
        wavelength = leading_wavelength(l);
    if (wavelength > 0.1 && wavelength < 20)
        p->wavelength_ang = wavelength;
    if (kelvin > 0)
        p->temperature_k = kelvin;
    size_t n = bragg_pattern_numbers_of(l->text, l->length, v, 8);
    if (l->number == g->header && n == 4 && v[3] > 0)   /* PSI: start step end monitor */
        p->monitor = v[3];
    if (l->number + 1 == g->header && n == 6 && v[0] == (double)g->n && v[4] > 0)
        p->monitor = v[4];                              /* D1A5: n, two temperatures, ., monitor, . */
}

bragg_status bragg_pattern_read_steps(const source *src, pattern_list *list, bragg_error *err)
{
    grid g;
    bragg_pattern *p;
    if (!find_grid(src, &g))
        return bragg_fail(err, BRAGG_EDATA, "expected start, step and end, then as many intensities");
    bragg_status st = bragg_pattern_make((double)g.n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    lines l = bragg_pattern_lines_of(src);
    while (l.number < g.header && bragg_pattern_lines_next(&l))
        header_line(&l, &g, p);
    bool pairs = paired(l);
    size_t n = pairs ? read_pairs(&l, p) : read_values(&l, p->y, g.n);
    size_t m = pairs ? g.n : read_values(&l, p->sigma, g.n);
    bool whole = m != g.n;
    for (size_t i = 0; i < g.n; i++) {
        p->x[i] = (g.start + (double)i * g.step) * BRAGG_DEG;
        whole &= p->y[i] >= 0 && p->y[i] == floor(p->y[i]);
        if (m != g.n || !(p->sigma[i] > 0))
            p->sigma[i] = NAN;
    }
    p->counts = whole;
    if (n == g.n)
        return bragg_pattern_list_take(list, p, err);
    bragg_pattern_free(p);
    return bragg_fail(err, BRAGG_EDATA, "line %zu: expected %zu intensities, found %zu", g.header, g.n, n);
}
