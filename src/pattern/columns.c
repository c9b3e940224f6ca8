/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Patterns as columns of text, in the dialects people have. */
#include "config.h"
#include "reader.h"

#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/number.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LINES = 4, MAX_COLUMNS = 32 };

/* Points as they are read; x still in the file's unit. */
typedef struct columns {
    size_t n, room;
    double *at;              /* x y sigma, x y sigma, … */
    size_t width;            /* columns of the first point */
    size_t sigma;            /* which column is sigma; 0: none */
    size_t header;           /* lines of other text before the first point */
    bool comment;            /* between slash-star and star-slash */
    bool named;              /* a header named its columns */
    bool marked;             /* "#### start data" is still to come: all before it is header */
    bragg_axis axis;
    bragg_pattern facts;
    const char *title;
    size_t title_length;
} columns;

static bool separator(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == ';';
}

/* Numbers of a line; their count (those beyond MAX_COLUMNS only counted), or -1
 * when there is other text. */
static int split(const char *text, size_t length, double values[MAX_COLUMNS])
{
    const char *end = text + length;
    int n = 0;
    for (;;) {
        while (text < end && separator(*text))
            text++;
        const char *stop = text;
        while (stop < end && !separator(*stop))
            stop++;
        double v;
        if (stop == text)
            return n;
        if (!bragg_number_parse_n(text, (size_t)(stop - text), &v))
            return -1;
        if (n < MAX_COLUMNS)
            values[n] = v;
        n++;
        text = stop;
    }
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "10,02 345" or "10,02;345": a comma between digits where something else
 * already separates the numbers. */
static bool decimal_comma(const char *text, size_t length)
{
    bool comma = false, other = false;
    for (size_t i = 1; i + 1 < length; i++) {
        comma |= text[i] == ',' && digit(text[i - 1]) && digit(text[i + 1]);
        other |= (text[i] == ';' || text[i] == ' ' || text[i] == '\t') && digit(text[i - 1]);
    }
    return comma && other;
}

/* Axis names of Fit2D, pyFAI and PDFgetX3 in headers: "Q (Inverse Angstroms)", "q_nm^-1", "#L Q(A^{-1})". */
static void axis_fact(columns *c, const char *text, size_t length)
{
    static const struct { const char *name; bragg_axis axis; } known[] = {
        { "q_A^-1", BRAGG_AXIS_Q }, { "q_nm^-1", BRAGG_AXIS_QNM }, { "2th_deg", BRAGG_AXIS_TTH },
        { "r_mm", BRAGG_AXIS_R }, { "Q (Inverse Angstrom", BRAGG_AXIS_Q },
        { "Q (Inverse Nanomet", BRAGG_AXIS_QNM }, { "2-Theta Angle (Degrees)", BRAGG_AXIS_TTH }, { "#L Q(A", BRAGG_AXIS_Q },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (bragg_pattern_find_text(text, length, known[i].name)) {
            c->axis = known[i].axis;
            return;
        }
}

/* Our own headers bind: "unit: q_A^-1" and "wavelength_ang: 0.4066"; others inform. */
static bragg_status read_comment(columns *c, const lines *l, bragg_error *err)
{
    const char *end = l->text + l->length, *unit = bragg_pattern_find_text(l->text, l->length, "unit:");
    const char *wave = bragg_pattern_find_text(l->text, l->length, "wavelength_ang:");
    if (unit && (unit == l->text || !bragg_pattern_find_text(unit - 1, 1, "s"))) {
        char name[24] = "";
        for (unit += 5; unit < end && (*unit == ' ' || *unit == '\t'); unit++)
            ;
        for (size_t i = 0; i + 1 < sizeof name && unit < end && *unit != ' ' && *unit != '\t'; i++)
            name[i] = *unit++;
        if (!bragg_axis_parse(name, &c->axis))
            return bragg_fail(err, BRAGG_EDATA, "line %zu: expected a unit such as 2th_deg or q_A^-1, found '%.*s'",
                              l->number, bragg_utf8_most(name, 20), name);
    } else if (wave && (!bragg_pattern_numbers_of(wave + 15, (size_t)(end - wave) - 15, &c->facts.wavelength_ang, 1) ||
                        !(c->facts.wavelength_ang > 0))) {
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected a positive wavelength, found '%.*s'", l->number,
                          end - wave - 15 > 20 ? 20 : (int)(end - wave - 15), wave + 15);
    }
    if (!unit)
        axis_fact(c, l->text, l->length);
    bragg_pattern_header_fact(&c->facts, l->text, l->length);
    return BRAGG_OK;
}

static void note_title(columns *c, const char *text, size_t length)
{
    while (length > 1 && (strchr("#!';*\" \t", *text) || (*text == '/' && text[1] == '*')))
        text++, length--;
    if (c->title || !length || bragg_pattern_find_text(text, length, "unit:") || bragg_pattern_find_text(text, length, "columns:"))
        return;
    c->title = text;
    c->title_length = length;
}

/* Column names, "2theta,intensity,error": the one called sigma is where it says. */
static void read_names(columns *c, const char *text, size_t length)
{
    static const char *const names[] = { "sigma", "esd", "err", "uncert", "std" };
    const char *p = text, *end = text + length;
    size_t column = 0;
    bool comma = memchr(text, ',', length) || memchr(text, ';', length) || memchr(text, '\t', length);
    for (; p < end; column++) {
        const char *stop = p;
        while (stop < end && !(comma ? strchr(",;\t", *stop) != NULL : *stop == ' '))
            stop++;
        for (size_t i = 0; column >= 2 && i < sizeof names / sizeof *names; i++)
            if (bragg_pattern_find_text(p, (size_t)(stop - p), names[i]) && !c->named) {
                c->named = true;
                c->sigma = column;
            }
        for (p = stop < end ? stop + 1 : end; !comma && p < end && *p == ' '; p++)
            ;
    }
}

static void read_header(columns *c, const char *text, size_t length)
{
    double value;
    c->header++;
    axis_fact(c, text, length);
    if (!strncmp(text, "TEMP", 4) && bragg_pattern_numbers_of(text + 4, length - 4, &value, 1))
        c->facts.temperature_k = value;
    if (bragg_pattern_find_text(text, length, "integrationspace") && bragg_pattern_find_text(text, length, "qspace"))
        c->axis = BRAGG_AXIS_Q;   /* SrXplanar */
    bragg_pattern_header_fact(&c->facts, text, length);
    read_names(c, text, length);
    if (c->header == 1)
        note_title(c, text, length);
}

/* Programs for pair distribution functions write the same columns: r would pass
 * for an angle. */
static bragg_status refuse_gr(const source *src, bragg_error *err)
{
    size_t head = src->size < 65536 ? src->size : 65536;
    if (strcmp(src->extension, "gr") && !bragg_pattern_find_text((const char *)src->bytes, head, "PDF from PDFget") &&
        !bragg_pattern_find_text((const char *)src->bytes, head, "outputtype = gr"))
        return BRAGG_OK;
    return bragg_fail(err, BRAGG_EDATA, "expected a powder pattern, found a pair distribution function G(r)");
}

static bragg_status add_point(columns *c, const lines *l, const double *values, size_t n, bragg_error *err)
{
    if (!c->n) {
        c->width = n;
        if (!c->named || c->sigma >= n)
            c->sigma = n == 3 ? 2 : 0;
    }
    if (n != c->width)
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected %zu columns as before, found %zu", l->number,
                          c->width, n);
    bragg_status st = bragg_array_grow(&c->at, &c->room, c->n + 1, 3 * sizeof *c->at, err);
    if (st < 0)
        return st;
    double *to = c->at + 3 * c->n++;
    to[0] = values[0];
    to[1] = values[1];
    to[2] = c->sigma && c->sigma < MAX_COLUMNS ? values[c->sigma] : NAN;
    return BRAGG_OK;
}

/* XYDATA of FullProf: keywords until the numbers begin. */
static bool keyword(const char *text, size_t length)
{
    static const char *const words[] = { "XYDATA", "INTER", "TEMP", "FILE", "LAMBDA", "FAC_" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (length >= strlen(words[i]) && !strncmp(text, words[i], strlen(words[i])))
            return true;
    return false;
}

static bragg_status read_other(columns *c, const lines *l, const char *start, size_t length, bragg_error *err)
{
    if (c->n == 0 && (c->header < HEADER_LINES || c->marked || keyword(start, length))) {
        read_header(c, start, length);
        return BRAGG_OK;
    }
    if (length == 1 && *start == 0x1a)   /* DOS end of file */
        return BRAGG_OK;
    return bragg_fail(err, BRAGG_EDATA, "line %zu: expected two or three numbers, found '%.*s'", l->number,
                      length > 40 ? 40 : (int)length, start);
}

static bragg_status read_line(columns *c, const lines *l, bragg_error *err)
{
    const char *start = l->text, *end = l->text + l->length;
    double values[MAX_COLUMNS];
    if (memchr(l->text, '\0', l->length))
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected text, found a NUL byte", l->number);
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    size_t length = (size_t)(end - start);
    if (!length)
        return BRAGG_OK;
    if (c->marked && bragg_pattern_find_text(start, length, "#### start data"))
        c->marked = false;
    bool opens = length > 1 && start[0] == '/' && start[1] == '*', inside = c->comment || opens;
    if (inside)
        c->comment = !bragg_pattern_find_text(start + 2 * opens, length - 2 * (size_t)opens, "*/");
    if (inside || strchr("#!';/*\"", *start)) {
        if (*start == '"')
            read_names(c, start, length);
        note_title(c, start, length);
        return read_comment(c, l, err);
    }
    if (!c->marked && decimal_comma(start, length))
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected a decimal point, found a decimal comma in '%.*s'",
                          l->number, length > 40 ? 40 : (int)length, start);
    int n = c->marked ? -1 : split(start, length, values);
    if (n >= 2 && !(c->n == 0 && c->header < HEADER_LINES && n > MAX_COLUMNS))
        return add_point(c, l, values, (size_t)n, err);
    return read_other(c, l, start, length, err);
}

static void drop_bad_sigmas(bragg_pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!(p->sigma[i] > 0))
            p->sigma[i] = NAN;
}

/* Whole numbers that are not negative, with no sigma beside them, are counts. */
static bool all_counts(const bragg_pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!(p->y[i] >= 0) || p->y[i] != floor(p->y[i]) || !isnan(p->sigma[i]))
            return false;
    return p->n > 0;
}

static bragg_status to_pattern(const columns *c, bragg_pattern **out, bragg_error *err)
{
    bragg_pattern *p;
    double factor = bragg_axis_factor(c->axis);
    *out = NULL;
    if (c->n < 2)
        return bragg_fail(err, BRAGG_EDATA, "expected at least 2 points, found %zu", c->n);
    bragg_status st = bragg_pattern_make((double)c->n, c->axis, &p, err);
    if (st < 0)
        return st;
    for (size_t i = 0; i < c->n; i++) {
        p->x[i] = c->at[3 * i] * factor;
        p->y[i] = c->at[3 * i + 1];
        p->sigma[i] = c->at[3 * i + 2];
    }
    drop_bad_sigmas(p);
    p->counts = all_counts(p);
    bragg_pattern_header_copy(p, &c->facts);
    if (c->title)
        bragg_pattern_title(p, c->title, c->title_length);
    *out = p;
    return BRAGG_OK;
}

/* Tables of other things are columns too: channels, times of flight, logs. */
static bragg_status check_angles(const columns *c, bragg_error *err)
{
    for (size_t i = 0; c->axis == BRAGG_AXIS_TTH && i < c->n; i++)
        if (fabs(c->at[3 * i]) > 180)
            return bragg_fail(err, BRAGG_EDATA,
                              "point %zu: expected 2theta in degrees, found %g (a line '# unit: q_A^-1' "
                              "would name another abscissa)",
                              i + 1, c->at[3 * i]);
    return BRAGG_OK;
}

bragg_status bragg_pattern_columns_read(const source *src, bragg_pattern **out, bragg_error *err)
{
    columns c = { .axis = BRAGG_AXIS_TTH, .facts = bragg_pattern_no_facts() };
    lines l = bragg_pattern_lines_of(src);
    *out = NULL;
    c.marked = bragg_pattern_find_text((const char *)src->bytes, src->size < 65536 ? src->size : 65536, "#### start data");
    bragg_status st = refuse_gr(src, err);
    while (st == BRAGG_OK && bragg_pattern_lines_next(&l))
        st = read_line(&c, &l, err);
    if (st == BRAGG_OK && !src->unit_known)
        st = check_angles(&c, err);
    if (st == BRAGG_OK)
        st = to_pattern(&c, out, err);
    free(c.at);
    return st;
}
