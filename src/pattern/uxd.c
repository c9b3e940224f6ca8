/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bruker UXD: "_KEY = value" lines, then points; a range ends where keys begin
 * again.  Keys before the first range hold for all. */
#include "config.h"
#include "reader.h"

#include <bragg/array.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* _2THETACOUNTS and _2THETACPS list angle and intensity, _COUNTS and _CPS
 * intensities only, and the angles follow from start and step. */
typedef struct uxd {
    double start, step;
    bool angles, rates, other, open;
    bragg_pattern facts;
    const char *title;
    size_t title_length;
    double *at;              /* x y, x y, … or y, y, … */
    size_t n, room;
} uxd;

bool bragg_pattern_probe_uxd(const source *src)
{
    size_t head = src->size < 8192 ? src->size : 8192;
    return bragg_pattern_find_text((const char *)src->bytes, head, "_FILEVERSION") &&
           (bragg_pattern_find_text((const char *)src->bytes, head, "_SAMPLE") ||
            bragg_pattern_find_text((const char *)src->bytes, head, "_DRIVE"));
}

/* The value of KEY on this line; NULL when it is another. */
static const char *value_of(const lines *l, const char *key, size_t *length)
{
    size_t n = strlen(key);
    const char *end = l->text + l->length, *p = l->text + n;
    if (l->length <= n || strncmp(l->text, key, n))
        return NULL;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == end || *p != '=')
        return NULL;
    for (p++; p < end && (*p == ' ' || *p == '\'' || *p == '\t');)
        p++;
    while (end > p && end[-1] == '\'')
        end--;
    *length = (size_t)(end - p);
    return p;
}

static void key_number(const lines *l, const char *key, double *to)
{
    size_t n;
    double value;
    const char *p = value_of(l, key, &n);
    if (p && bragg_pattern_numbers_of(p, n, &value, 1))
        *to = value;
}

static void read_key(uxd *u, const lines *l)
{
    size_t n;
    const char *p;
    double radius_mm = NAN;
    key_number(l, "_START", &u->start);
    key_number(l, "_STEPSIZE", &u->step);
    key_number(l, "_GONIOMETER_RADIUS", &radius_mm);
    if (isfinite(radius_mm))
        u->facts.radius_m = bragg_pattern_radius_m(radius_mm);
    key_number(l, "_STEPTIME", &u->facts.counting_s);
    key_number(l, "_WL1", &u->facts.wavelength_ang);
    key_number(l, "_WL2", &u->facts.wavelength2_ang);
    key_number(l, "_WLRATIO", &u->facts.ratio2);
    key_number(l, "_TEMPERATURE", &u->facts.temperature_k);
    if ((p = value_of(l, "_SAMPLE", &n)))
        u->title = p, u->title_length = n;
    if ((p = value_of(l, "_DRIVE", &n)))
        u->other = !bragg_pattern_find_text(p, n, "COUPLED") && !bragg_pattern_find_text(p, n, "2THETA") && !bragg_pattern_find_text(p, n, "DETECTOR");
}

/* True when the line opens a list of points. */
static bool opens(uxd *u, const lines *l)
{
    static const struct { const char *key; bool angles, rates; } keys[] = {
        { "_2THETACOUNTSTIME", true, false }, { "_2THETACOUNTS", true, false }, { "_2THETACPS", true, true },
        { "_COUNTS", false, false }, { "_CPS", false, true },
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (l->length == strlen(keys[i].key) && !strncmp(l->text, keys[i].key, l->length)) {
            u->angles = keys[i].angles;
            u->rates = keys[i].rates;
            return u->open = true;
        }
    return false;
}

/* Angles are listed with two or three decimals; start and step are finer.  They
 * are taken where no listed angle contradicts them. */
static void set_angles(const uxd *u, bragg_pattern *p)
{
    bool grid = u->step > 0 && isfinite(u->start);
    for (size_t i = 0; grid && u->angles && i < p->n; i++)
        grid = fabs(u->start + (double)i * u->step - u->at[2 * i]) < 0.0075;
    for (size_t i = 0; i < p->n; i++)
        p->x[i] = (grid || !u->angles ? u->start + (double)i * u->step : u->at[2 * i]) * BRAGG_DEG;
}

static bragg_status close_range(uxd *u, pattern_list *list, bragg_error *err)
{
    bragg_pattern *p;
    size_t n = u->angles ? u->n / 2 : u->n;
    u->open = false;
    if (!n || u->other) {
        u->n = 0;
        return BRAGG_OK;
    }
    bragg_status st = bragg_pattern_make((double)n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    set_angles(u, p);
    for (size_t i = 0; i < n; i++)
        p->y[i] = u->at[u->angles ? 2 * i + 1 : i];
    p->counts = !u->rates;
    for (size_t i = 0; u->rates && i < n && u->facts.counting_s > 0; i++)
        p->sigma[i] = sqrt(fmax(p->y[i] * u->facts.counting_s, 1)) / u->facts.counting_s;
    bragg_pattern_header_copy(p, &u->facts);
    bragg_pattern_title(p, u->title ? u->title : "", u->title_length);
    u->n = 0;
    return bragg_pattern_list_take(list, p, err);
}

static bragg_status add_numbers(uxd *u, const lines *l, bragg_error *err)
{
    double v[64];
    size_t n = bragg_pattern_numbers_of(l->text, l->length, v, 64);
    if (!n || (u->angles && n < 2))
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected points, found '%.*s'", l->number,
                          l->length > 40 ? 40 : (int)l->length, l->text);
    if (u->angles)
        n = 2;
    bragg_status st = bragg_array_grow(&u->at, &u->room, u->n + n, sizeof *u->at, err);
    if (st < 0)
        return st;
    memcpy(u->at + u->n, v, n * sizeof *v);
    u->n += n;
    return BRAGG_OK;
}

bragg_status bragg_pattern_read_uxd(const source *src, pattern_list *list, bragg_error *err)
{
    uxd u = { .start = NAN, .step = NAN, .facts = bragg_pattern_no_facts() };
    lines l = bragg_pattern_lines_of(src);
    bragg_status st = BRAGG_OK;
    while (st == BRAGG_OK && bragg_pattern_lines_next(&l)) {
        if (!l.length || *l.text == ';')
            continue;
        if (*l.text != '_') {
            st = u.open ? add_numbers(&u, &l, err) : BRAGG_OK;
            continue;
        }
        if (u.open)
            st = close_range(&u, list, err);
        if (st == BRAGG_OK && !opens(&u, &l))
            read_key(&u, &l);
    }
    if (st == BRAGG_OK && u.open)
        st = close_range(&u, list, err);
    free(u.at);
    return st;
}
