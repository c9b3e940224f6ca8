/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Patterns as columns of text. */
#include "config.h"
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/pattern.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LINES = 4 };

/* Points as they are read; x still in the file's unit. */
typedef struct columns {
    size_t n, room, line;
    double *at;              /* x y sigma, x y sigma, … */
    int width;               /* columns of the first point */
    bragg_axis axis;
    double wavelength_ang;
} columns;

static bool separator(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == ';' || c == '\r' || c == '\n';
}

/* Up to three numbers of a line; the count, or -1 when there is other text. */
static int split(const char *text, double values[3])
{
    int n = 0;
    while (separator(*text))
        text++;
    while (*text) {
        double v;
        const char *end;
        if (!bragg_number_scan(text, &end, &v) || (*end && !separator(*end)))
            return -1;
        if (n < 3)
            values[n] = v;
        n++;
        for (text = end; separator(*text); text++)
            ;
    }
    return n;
}

static bragg_status read_comment(columns *c, char *text, bragg_error *err)
{
    char *unit = strstr(text, "unit:"), *wave = strstr(text, "wavelength_ang:");
    if (unit) {
        unit += strspn(unit + 5, " \t") + 5;
        unit[strcspn(unit, " \t\r\n")] = '\0';
        if (!bragg_axis_parse(unit, &c->axis))
            return bragg_fail(err, BRAGG_EDATA, "line %zu: expected a unit such as 2th_deg or q_A^-1, found '%.20s'",
                              c->line, unit);
    } else if (wave && (!bragg_number_parse(wave + 15, &c->wavelength_ang) || !(c->wavelength_ang > 0))) {
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected a positive wavelength, found '%.20s'", c->line,
                          wave + 15);
    }
    return BRAGG_OK;
}

static bragg_status add_point(columns *c, const double values[3], int n, bragg_error *err)
{
    if (!c->n)
        c->width = n;
    if (n != c->width)
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected %d columns as before, found %d", c->line, c->width, n);
    if (c->n == c->room) {
        size_t room = 2 * c->room + 1024;
        double *at = realloc(c->at, room * 3 * sizeof *at);
        if (!at)
            return bragg_fail(err, BRAGG_ENOMEM, "line %zu: no room for more points", c->line);
        c->at = at;
        c->room = room;
    }
    memcpy(c->at + 3 * c->n, values, 3 * sizeof *values);
    if (n < 3)
        c->at[3 * c->n + 2] = NAN;
    c->n++;
    return BRAGG_OK;
}

static bragg_status read_line(columns *c, char *text, size_t length, bragg_error *err)
{
    char *start = text + strspn(text, " \t\r\n");
    double values[3];
    if (strlen(text) != length)
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected text, found a NUL byte", c->line);
    if (!*start)
        return BRAGG_OK;
    if (strchr("#!';/*", *start))
        return read_comment(c, start, err);
    int n = split(start, values);
    if (n >= 2 && !(c->n == 0 && c->line <= HEADER_LINES && n > 3))
        return add_point(c, values, n, err);
    if (c->n == 0 && c->line <= HEADER_LINES)
        return BRAGG_OK;
    return bragg_fail(err, BRAGG_EDATA, "line %zu: expected two or three numbers, found '%.*s'", c->line,
                      (int)strcspn(start, "\r\n") < 40 ? (int)strcspn(start, "\r\n") : 40, start);
}

static bragg_status read_lines(FILE *file, columns *c, bragg_error *err)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    bragg_status st = BRAGG_OK;
    errno = 0;
    while (st == BRAGG_OK && (length = getline(&text, &room, file)) >= 0) {
        c->line++;
        st = read_line(c, text, (size_t)length, err);
    }
    if (st == BRAGG_OK && ferror(file))
        st = bragg_fail(err, BRAGG_EIO, "cannot read: %s", strerror(errno));
    free(text);
    return st;
}

static bragg_status to_pattern(const columns *c, bragg_pattern **out, bragg_error *err)
{
    bragg_pattern *p = bragg_pattern_new(c->n, c->axis);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", c->n);
    double factor = bragg_axis_factor(c->axis);
    p->wavelength_ang = c->wavelength_ang;
    for (size_t i = 0; i < c->n; i++) {
        p->x[i] = c->at[3 * i] * factor;
        p->y[i] = c->at[3 * i + 1];
        p->sigma[i] = c->at[3 * i + 2];
    }
    bragg_status st = bragg_pattern_check(p, err);
    if (st < 0)
        bragg_pattern_free(p);
    else
        *out = p;
    return st;
}

bragg_status bragg_pattern_read_text(const char *path, bragg_pattern **out, bragg_error *err)
{
    *out = NULL;
    FILE *file = fopen(path, "rb");
    if (!file)
        return bragg_fail(err, BRAGG_EIO, "'%s': cannot read: %s", path, strerror(errno));
    columns c = { .axis = BRAGG_AXIS_TTH, .wavelength_ang = NAN };
    bragg_status st = read_lines(file, &c, err);
    if (st == BRAGG_OK)
        st = to_pattern(&c, out, err);
    free(c.at);
    fclose(file);
    return st < 0 ? bragg_context(err, st, "'%s'", path) : st;
}

static bool any_sigma(const bragg_pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (isfinite(p->sigma[i]) && p->sigma[i] > 0)
            return true;
    return false;
}

bragg_status bragg_pattern_write_text(const bragg_pattern *p, const char *path, bool force,
                                      bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *f = bragg_output_stream(out);
    char x[BRAGG_NUMBER_TEXT], y[BRAGG_NUMBER_TEXT], s[BRAGG_NUMBER_TEXT];
    bool sigma = any_sigma(p);
    double factor = bragg_axis_factor(p->axis);
    fprintf(f, "# unit: %s\n", bragg_axis_name(p->axis));
    if (p->wavelength_ang > 0)
        fprintf(f, "# wavelength_ang: %s\n", bragg_number_print(x, p->wavelength_ang));
    fprintf(f, "# columns: %s intensity%s\n", bragg_axis_name(p->axis), sigma ? " sigma" : "");
    for (size_t i = 0; i < p->n; i++)
        if (isfinite(p->y[i]))
            fprintf(f, "%s %s%s%s\n", bragg_number_print_digits(x, p->x[i] / factor, 12),
                    bragg_number_print_digits(y, p->y[i], 9), sigma ? " " : "",
                    sigma ? bragg_number_print_digits(s, p->sigma[i], 6) : "");
    return bragg_output_commit(out, err);
}
