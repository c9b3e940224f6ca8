/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GSAS histograms.  Larson & Von Dreele, GSAS, LAUR 86-748 (2004), "Format of
 * the powder data file": a title, comments, and banks of 80-column records. */
#include "config.h"
#include "reader.h"

#include <bragg/number.h>
#include <math.h>
#include <string.h>
#include <strings.h>

typedef enum bank_type { STD, ESD, FXY, FXYE } bank_type;

/* BANK 1  5753  576 CONST 1500 2 0 0 STD */
typedef struct bank {
    double number, n, coefficient[4];
    bank_type type;
    size_t line;
} bank;

static bool is_bank(const lines *l)
{
    return l->length > 5 && !strncmp(l->text, "BANK", 4) && (l->text[4] == ' ' || l->text[4] == '\t');
}

bool bragg_pattern_probe_gsas(const source *src)
{
    lines l = bragg_pattern_lines_of(src);
    for (int i = 0; i < 200 && bragg_pattern_lines_next(&l); i++) {
        double n[3];
        if (is_bank(&l) && bragg_pattern_numbers_of(l.text + 4, l.length - 4, n, 3) == 3)
            return true;
    }
    return false;
}

/* Word number i of text, counted from 0; its length or 0. */
static size_t word(const char *text, size_t length, size_t i, const char **at)
{
    const char *p = text, *end = text + length;
    for (;; i--) {
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        *at = p;
        while (p < end && *p != ' ' && *p != '\t')
            p++;
        if (!i || p == end)
            return i ? 0 : (size_t)(p - *at);
    }
}

static bool is(const char *at, size_t n, const char *name)
{
    return n == strlen(name) && !strncasecmp(at, name, n);
}

/* The last word is the type unless it is a number; records without one are STD. */
static bragg_status parse_type(const lines *l, bank *b, bragg_error *err)
{
    static const char *const names[] = { "STD", "ESD", "FXY", "FXYE" };
    const char *at = l->text + l->length;
    double number;
    while (at > l->text && at[-1] != ' ' && at[-1] != '\t')
        at--;
    size_t n = (size_t)(l->text + l->length - at);
    b->type = STD;
    if (bragg_number_parse_n(at, n, &number))
        return BRAGG_OK;
    for (int i = 0; i < 4; i++)
        if (is(at, n, names[i])) {
            b->type = (bank_type)i;
            return BRAGG_OK;
        }
    if (is(at, n, "ALT"))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "line %zu: data ALT are times of flight", l->number);
    return bragg_fail(err, BRAGG_EDATA, "line %zu: expected data STD, ESD, FXY or FXYE, found '%.*s'", l->number,
                      n > 20 ? 20 : (int)n, at);
}

static bragg_status parse_bank(const lines *l, bank *b, bragg_error *err)
{
    double v[3];
    const char *kind;
    memset(b, 0, sizeof *b);
    b->line = l->number;
    if (bragg_pattern_numbers_of(l->text + 4, l->length - 4, v, 3) < 3 || !(v[1] >= 1 && v[1] <= MAX_POINTS))
        return bragg_fail(err, BRAGG_EDATA,
                          "line %zu: expected BANK with its number, points and records, found '%.*s'", l->number,
                          l->length > 40 ? 40 : (int)l->length, l->text);
    b->number = v[0];
    b->n = v[1];
    size_t n = word(l->text, l->length, 4, &kind);
    if (is(kind, n, "SLOG") || is(kind, n, "RALF") || is(kind, n, "TIME_MAP") || is(kind, n, "LOG6") ||
        is(kind, n, "LPSD") || is(kind, n, "COND"))
        return bragg_fail(err, BRAGG_ENOSUPPORT,
                          "line %zu: a time-of-flight bank (%.*s); patterns here have an angle or Q as abscissa",
                          l->number, (int)n, kind);
    if (!is(kind, n, "CONST") && !is(kind, n, "CONS"))
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected binning CONST, found '%.*s'", l->number,
                          n > 20 ? 20 : (int)n, kind);
    bragg_pattern_numbers_of(kind + n, (size_t)(l->text + l->length - kind) - n, b->coefficient, 4);
    return parse_type(l, b, err);
}

/* Columns of a fixed-width field; blank is zero, as Fortran reads it. */
static bool field(const lines *l, size_t at, size_t width, double *value)
{
    *value = 0;
    if (at >= l->length)
        return true;
    size_t n = l->length - at < width ? l->length - at : width;
    const char *p = l->text + at;
    while (n && (*p == ' ' || *p == '\t'))
        p++, n--;
    return !n || bragg_number_parse_n(p, n, value);
}

/* Poisson esd of the mean of m counters: sqrt(y m) / m, one count where none came. */
static double mean_sigma(double y, double m)
{
    return sqrt(fmax(y * m, 1)) / m;
}

/* One record of 80 columns into the pattern at *i: STD 10(I2,F6.0), the number
 * of counters averaged and their mean; ESD 5(2F8.0), intensity and esd. */
static bool parse_record(const bank *b, const lines *l, bragg_pattern *p, size_t *i, bool *averaged)
{
    size_t width = b->type == STD ? 8 : 16;
    for (size_t at = 0; at < 80 && at < l->length && *i < p->n; at += width, ++*i) {
        double counters = 1, y, s = NAN;
        bool ok = b->type == STD ? field(l, at, 2, &counters) && field(l, at + 2, 6, &y)
                                 : field(l, at, 8, &y) && field(l, at + 8, 8, &s);
        if (!ok)
            return false;
        *averaged |= counters > 1;
        p->y[*i] = y;
        p->sigma[*i] = b->type == STD ? mean_sigma(y, fmax(counters, 1)) : s > 0 ? s : NAN;
    }
    return true;
}

/* Free-format lines: x in centidegrees, y, and esd for FXYE. */
static bool parse_free(const bank *b, const lines *l, bragg_pattern *p, size_t *i)
{
    double v[3];
    size_t need = b->type == FXYE ? 3 : 2;
    if (bragg_pattern_numbers_of(l->text, l->length, v, need) < need)
        return false;
    p->x[*i] = v[0] / 100 * BRAGG_DEG;
    p->y[*i] = v[1];
    p->sigma[*i] = b->type == FXYE && v[2] > 0 ? v[2] : NAN;
    ++*i;
    return true;
}

static void settle(const bank *b, bragg_pattern *p, bool averaged)
{
    if (b->type == STD || b->type == ESD)
        for (size_t i = 0; i < p->n; i++)
            p->x[i] = (b->coefficient[0] + (double)i * b->coefficient[1]) / 100 * BRAGG_DEG;
    p->counts = b->type == STD && !averaged;
    if (p->counts)
        for (size_t i = 0; i < p->n; i++)
            p->sigma[i] = NAN;
}

/* A claim of n points must be borne out by the bytes behind it: each point
 * takes two at least. */
static bragg_status read_bank(lines *l, const bank *b, bragg_pattern *p, bragg_error *err)
{
    size_t i = 0;
    bool averaged = false;
    while (i < p->n && bragg_pattern_lines_next(l)) {
        if (!l->length || l->text[0] == '#')
            continue;
        if (is_bank(l) ||
            !(b->type <= ESD ? parse_record(b, l, p, &i, &averaged) : parse_free(b, l, p, &i)))
            return bragg_fail(err, BRAGG_EDATA, "line %zu: expected data of bank %g, found '%.*s'", l->number,
                              b->number, l->length > 40 ? 40 : (int)l->length, l->text);
    }
    if (i < p->n)
        return bragg_fail(err, BRAGG_EDATA, "bank %g: expected %zu points, the file ends after %zu", b->number,
                          p->n, i);
    settle(b, p, averaged);
    return BRAGG_OK;
}

static bragg_status take_bank(lines *l, const char *title, size_t length, const bragg_pattern *facts,
                              pattern_list *list, bragg_error *err)
{
    bank b;
    bragg_pattern *p;
    bragg_status st = parse_bank(l, &b, err);
    if (st < 0)
        return st;
    if (b.n > (double)(l->end - l->next))
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected %.0f points, found %zu bytes", l->number, b.n,
                          (size_t)(l->end - l->next));
    st = bragg_pattern_make(b.n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    st = read_bank(l, &b, p, err);
    if (st < 0) {
        bragg_pattern_free(p);
        return st;
    }
    bragg_pattern_title(p, title, length);
    bragg_pattern_header_copy(p, facts);
    return bragg_pattern_list_take(list, p, err);
}

bragg_status bragg_pattern_read_gsas(const source *src, pattern_list *list, bragg_error *err)
{
    lines l = bragg_pattern_lines_of(src);
    bragg_pattern facts = bragg_pattern_no_facts();
    const char *title = NULL;
    size_t length = 0;
    bragg_status st = BRAGG_OK;
    while (st == BRAGG_OK && bragg_pattern_lines_next(&l)) {
        if (is_bank(&l)) {
            st = take_bank(&l, title ? title : "", length, &facts, list, err);
        } else if (!title) {
            title = l.text;
            length = l.length;
        } else {
            bragg_pattern_header_fact(&facts, l.text, l.length);
        }
    }
    return st;
}
