/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rigaku RAS (text) and RASX (a zip of profiles and their conditions). */
#include "config.h"
#include "xml.h"
#include "reader.h"

#include <bragg/array.h>
#include <bragg/number.h>
#include <bragg/zip.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns: angle, intensity, factor of the attenuator.  Intensities are as
 * counted; the factor restores what the attenuator took. */
typedef struct profile {
    double *at;              /* x y factor, x y factor, … */
    size_t n, room;
    bool rates;
    double counting_s;
} profile;

static bragg_status add(profile *f, const lines *l, bragg_error *err)
{
    double v[3] = { 0, 0, 1 };
    if (bragg_pattern_numbers_of(l->text, l->length, v, 3) < 2 || !(v[2] > 0))
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected angle, intensity and factor, found '%.*s'", l->number,
                          l->length > 40 ? 40 : (int)l->length, l->text);
    bragg_status st = bragg_array_grow(&f->at, &f->room, f->n + 1, sizeof v, err);
    if (st == BRAGG_OK)
        memcpy(f->at + 3 * f->n++, v, sizeof v);
    return st;
}

/* Sigma only where sqrt(y) is not it: under an attenuator or for rates. */
static bragg_status finish(const profile *f, bragg_pattern **out, bragg_error *err)
{
    bragg_pattern *p;
    bool whole = true, attenuated = false;
    bragg_status st = bragg_pattern_make((double)f->n, BRAGG_AXIS_TTH, &p, err);
    *out = p;
    if (st < 0)
        return st;
    for (size_t i = 0; i < f->n; i++) {
        p->x[i] = f->at[3 * i] * BRAGG_DEG;
        p->y[i] = f->at[3 * i + 1] * f->at[3 * i + 2];
        attenuated |= f->at[3 * i + 2] != 1;
        whole &= f->at[3 * i + 1] >= 0 && f->at[3 * i + 1] == floor(f->at[3 * i + 1]);
    }
    p->counting_s = f->counting_s;
    p->counts = !f->rates && !attenuated && whole;
    double time = f->rates ? f->counting_s : 1;
    for (size_t i = 0; (f->rates || attenuated) && time > 0 && i < f->n; i++)
        p->sigma[i] = sqrt(fmax(f->at[3 * i + 1] * time, 1)) / time * f->at[3 * i + 2];
    return BRAGG_OK;
}

/* Axes along which 2theta moves; "2θ" is Shift-JIS in Japanese files. */
static bool moves(const char *axis, size_t length)
{
    return !length || bragg_pattern_find_text(axis, length, "twotheta") || bragg_pattern_find_text(axis, length, "2-theta") ||
           bragg_pattern_find_text(axis, length, "2theta") || bragg_pattern_find_text(axis, length, "2\xce\xb8") ||
           bragg_pattern_find_text(axis, length, "2\x83\xc6");
}

/* "*KEY "value"" */
static const char *value_of(const lines *l, const char *key, size_t *length)
{
    size_t n = strlen(key);
    const char *p = l->text + n, *end = l->text + l->length;
    if (l->length <= n || strncmp(l->text, key, n) || *p != ' ')
        return NULL;
    while (p < end && (*p == ' ' || *p == '"'))
        p++;
    while (end > p && end[-1] == '"')
        end--;
    *length = (size_t)(end - p);
    return p;
}

/* "06/11/26 13:59:11" or "06/11/2026 …", American. */
static double ras_clock(const char *p, size_t n)
{
    double v[6] = { 0 };
    size_t k = 0;
    for (size_t i = 0; i < n && k < 6;) {
        size_t d = i;
        while (d < n && p[d] >= '0' && p[d] <= '9')
            d++;
        if (d > i && bragg_number_parse_n(p + i, d - i, &v[k]))
            k++;
        i = d > i ? d : i + 1;
    }
    if (k < 6 || v[0] > 12 || v[1] > 31 || v[2] > 2999 || v[3] > 24 || v[4] > 60 || v[5] > 61)
        return NAN;
    return bragg_time_civil((int)(v[2] < 70 ? 2000 + v[2] : v[2] < 100 ? 1900 + v[2] : v[2]), (int)v[0], (int)v[1],
                         3600 * v[3] + 60 * v[4] + v[5]);
}

bool bragg_pattern_probe_ras(const source *src)
{
    return src->size > 15 && !memcmp(src->bytes, "*RAS_DATA_START", 15);
}

/* Where the detector stood, unlike the distance of its holder. */
#define COUNTER_DISTANCE "*MEAS_COND_COUNTER_DISTANCE"

typedef struct ras {
    bragg_pattern facts;
    profile points;
    double speed, step;      /* deg/min, deg */
    double expected;         /* points, NAN when not said */
    double from_mm, to_mm;   /* sample from source, detector from sample */
    bool inside, skip;
    const char *title;
    size_t title_length;
} ras;

static void ras_key(ras *r, const lines *l)
{
    static const struct { const char *key; size_t offset; } numbers[] = {
        { "*HW_XG_WAVE_LENGTH_ALPHA1", offsetof(ras, facts.wavelength_ang) },
        { "*HW_XG_WAVE_LENGTH_ALPHA2", offsetof(ras, facts.wavelength2_ang) },
        { "*MEAS_SCAN_SPEED", offsetof(ras, speed) }, { "*MEAS_SCAN_STEP", offsetof(ras, step) },
        { "*MEAS_DATA_COUNT", offsetof(ras, expected) },
        { "*HW_GONIOMETER_RADIUS-3", offsetof(ras, from_mm) }, /* of the distances that RASX names, in the same order */
        { COUNTER_DISTANCE, offsetof(ras, to_mm) },
    };
    size_t n;
    const char *p;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if ((p = value_of(l, numbers[i].key, &n)))
            bragg_number_parse_n(p, n, (double *)((char *)r + numbers[i].offset));
    if ((p = value_of(l, "*FILE_SAMPLE", &n)))
        r->title = p, r->title_length = n;
    if ((p = value_of(l, "*MEAS_SCAN_UNIT_Y", &n)))
        r->points.rates = bragg_pattern_find_text(p, n, "cps") != NULL;
    if ((p = value_of(l, "*MEAS_SCAN_AXIS_X_INTERNAL", &n)) || (p = value_of(l, "*MEAS_SCAN_AXIS_X", &n)))
        r->skip = !moves(p, n);
    if ((p = value_of(l, "*MEAS_SCAN_START_TIME", &n)))
        r->facts.time_s = ras_clock(p, n);
}

static void ras_reset(ras *r)
{
    double *at = r->points.at;
    size_t room = r->points.room;
    *r = (ras){ .facts = bragg_pattern_no_facts(), .speed = NAN, .step = NAN, .expected = NAN, .from_mm = NAN, .to_mm = NAN,
                .points = { .at = at, .room = room, .counting_s = NAN } };
}

static bragg_status ras_scan(ras *r, pattern_list *list, bragg_error *err)
{
    bragg_pattern *p;
    r->inside = false;
    if (r->skip)
        return BRAGG_OK;
    if (isfinite(r->expected) && r->expected != (double)r->points.n)
        return bragg_fail(err, BRAGG_EDATA, "scan %zu: expected %g points, found %zu", list->n + 1, r->expected,
                          r->points.n);
    r->points.counting_s = r->step > 0 && r->speed > 0 ? r->step / r->speed * 60 : NAN;
    bragg_status st = finish(&r->points, &p, err);
    if (st < 0)
        return st;
    r->facts.radius_m = bragg_pattern_arms_m(r->from_mm, r->to_mm);
    bragg_pattern_header_copy(p, &r->facts);
    bragg_pattern_title(p, r->title ? r->title : "", r->title_length);
    return bragg_pattern_list_take(list, p, err);
}

static bool starts(const lines *l, const char *word)
{
    return l->length >= strlen(word) && !strncmp(l->text, word, strlen(word));
}

bragg_status bragg_pattern_read_ras(const source *src, pattern_list *list, bragg_error *err)
{
    ras r = { 0 };
    lines l = bragg_pattern_lines_of(src);
    bragg_status st = BRAGG_OK;
    ras_reset(&r);
    while (st == BRAGG_OK && bragg_pattern_lines_next(&l)) {
        if (starts(&l, "*RAS_HEADER_START"))
            ras_reset(&r);
        else if (starts(&l, "*RAS_INT_START"))
            r.inside = true, r.points.n = 0;
        else if (starts(&l, "*RAS_INT_END"))
            st = r.inside ? ras_scan(&r, list, err) : BRAGG_OK;
        else if (r.inside && l.length)
            st = add(&r.points, &l, err);
        else
            ras_key(&r, &l);
    }
    if (st == BRAGG_OK && r.inside)
        st = bragg_fail(err, BRAGG_EDATA, "expected *RAS_INT_END, the file ends after %zu points", r.points.n);
    free(r.points.at);
    if (st == BRAGG_OK && !list->n)
        st = bragg_fail(err, BRAGG_EDATA, "none of its scans moves 2theta");
    return st;
}

bool bragg_pattern_probe_rasx(const source *src)
{
    bragg_zip z;
    if (!bragg_zip_open(src->bytes, src->size, &z))
        return false;
    while (bragg_zip_next(&z))
        if (bragg_pattern_find_text(z.name, z.name_length, "/Profile"))
            return true;
    return false;
}

static bragg_status read_profile(const bragg_zip *z, profile *f, bragg_error *err)
{
    unsigned char *bytes;
    size_t size;
    bragg_status st = bragg_zip_extract(z, &bytes, &size, err);
    if (st < 0)
        return st;
    source text = { .bytes = bytes, .size = size, .path = "", .extension = "" };
    lines l = bragg_pattern_lines_of(&text);
    if (size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3))
        l.next += 3;
    while (st == BRAGG_OK && bragg_pattern_lines_next(&l))
        if (l.length)
            st = add(f, &l, err);
    free(bytes);
    return st;
}

/* The value of a key that RASX has from RAS. */
static double ras_number(xmlNode *root, const char *key)
{
    double value = NAN;
    for (xmlNode *pair = bragg_xml_child(bragg_xml_child(root, "RASHeader"), "Pair"); pair; pair = bragg_xml_again(pair)) {
        xmlNode *name = bragg_xml_child(pair, "string"), *of = name ? bragg_xml_again(name) : NULL;
        char *text = bragg_xml_text(name);
        if (text && !strcmp(text, key))
            value = bragg_xml_value(of);
        xmlFree(text);
    }
    return value;
}

static double radius_of(xmlNode *root)
{
    double from = NAN;
    for (xmlNode *d = bragg_xml_child(bragg_xml_below(root, "Distances"), "Distance"); d; d = bragg_xml_again(d))
        if (bragg_xml_is(d, "From", "XrayGenerator") && bragg_xml_is(d, "To", "AttachmentStage") && bragg_xml_is(d, "Unit", "mm"))
            from = bragg_xml_attribute_number(d, "Value");
    return bragg_pattern_arms_m(from, ras_number(root, COUNTER_DISTANCE));
}

/* True when the profile is one of 2theta; the facts go to where they belong. */
static bool read_conditions(xmlNode *root, bragg_pattern *facts, profile *f, char **sample)
{
    xmlNode *scan = bragg_xml_child(root, "ScanInformation"), *tube = bragg_xml_below(root, "XrayGenerator");
    char *axis = bragg_xml_text(bragg_xml_child(scan, "AxisName")), *unit = bragg_xml_text(bragg_xml_child(scan, "IntensityUnit"));
    char *start = bragg_xml_text(bragg_xml_child(scan, "StartTime")), *rate = bragg_xml_text(bragg_xml_child(scan, "SpeedUnit"));
    double speed = bragg_xml_number(scan, "Speed"), step = bragg_xml_number(scan, "Step");
    bool is_pattern = !axis || moves(axis, strlen(axis));
    f->rates = unit && bragg_pattern_find_text(unit, strlen(unit), "cps");
    if (rate && !strcmp(rate, "deg/min") && speed > 0 && step > 0)
        f->counting_s = step / speed * 60;
    facts->wavelength_ang = bragg_xml_number(tube, "WavelengthKalpha1");
    facts->wavelength2_ang = bragg_xml_number(tube, "WavelengthKalpha2");
    facts->radius_m = radius_of(root);
    facts->time_s = start ? bragg_pattern_clock_iso(start) : NAN;
    *sample = bragg_xml_text(bragg_xml_below(root, "SampleName"));
    xmlFree(axis);
    xmlFree(unit);
    xmlFree(start);
    xmlFree(rate);
    return is_pattern;
}

/* DataN/ProfileN.txt beside DataN/MesurementConditionsN.xml (spelt so). */
static bragg_status conditions_of(const source *src, const bragg_zip *z, xmlDoc **doc, bragg_error *err)
{
    char name[256];
    const char *at = bragg_pattern_find_text(z->name, z->name_length, "Profile");
    size_t folder = (size_t)(at - z->name), number = z->name_length - folder - 7;
    bragg_zip c;
    unsigned char *bytes;
    size_t size;
    *doc = NULL;
    if (z->name_length > 200 || number < 4)
        return BRAGG_OK;
    snprintf(name, sizeof name, "%.*sMesurementConditions%.*s.xml", (int)folder, z->name, (int)number - 4, at + 7);
    if (!bragg_zip_find(src->bytes, src->size, name, &c))
        return BRAGG_OK;
    bragg_status st = bragg_zip_extract(&c, &bytes, &size, err);
    if (st == BRAGG_OK)
        st = bragg_xml_parse(bytes, size, doc, err);
    free(bytes);
    return st < 0 ? bragg_context(err, st, "'%s'", name) : st;
}

static bragg_status read_data(const source *src, const bragg_zip *z, pattern_list *list, bragg_error *err)
{
    profile f = { .counting_s = NAN };
    bragg_pattern facts = bragg_pattern_no_facts(), *p = NULL;
    xmlDoc *doc;
    char *sample = NULL;
    bragg_status st = conditions_of(src, z, &doc, err);
    bool wanted = st == BRAGG_OK && (!doc || read_conditions(xmlDocGetRootElement(doc), &facts, &f, &sample));
    if (wanted)
        st = read_profile(z, &f, err);
    if (wanted && st == BRAGG_OK)
        st = finish(&f, &p, err);
    if (wanted && st == BRAGG_OK) {
        bragg_pattern_header_copy(p, &facts);
        bragg_pattern_title(p, sample ? sample : "", sample ? strlen(sample) : 0);
        st = bragg_pattern_list_take(list, p, err);
    }
    xmlFree(sample);
    xmlFreeDoc(doc);
    free(f.at);
    return st;
}

bragg_status bragg_pattern_read_rasx(const source *src, pattern_list *list, bragg_error *err)
{
    bragg_zip z;
    bragg_status st = BRAGG_OK;
    bragg_zip_open(src->bytes, src->size, &z);
    while (st == BRAGG_OK && bragg_zip_next(&z))
        if (bragg_pattern_find_text(z.name, z.name_length, "/Profile"))
            st = read_data(src, &z, list, err);
    if (st == BRAGG_OK && !list->n)
        st = bragg_fail(err, BRAGG_EDATA, "none of its profiles moves 2theta");
    return st;
}

/* Rigaku text of older programs (.dat, .asc): "*KEY = value", then intensities
 * separated by commas or blanks, from *BEGIN or behind *COUNT to *END. */
bool bragg_pattern_probe_rigaku_text(const source *src)
{
    size_t head = src->size < 8192 ? src->size : 8192;
    const char *text = (const char *)src->bytes;
    return src->size > 5 && (!strncmp(text, "*TYPE", 5) || !strncmp(text, "*CLASS", 6)) &&
           bragg_pattern_find_text(text, head, "*START") && bragg_pattern_find_text(text, head, "*STEP");
}

typedef struct rigaku_text {
    bragg_pattern facts;
    double start, step, count;
    bool rates;
    const char *title;
    size_t title_length;
    bragg_pattern *open;     /* being filled */
    size_t n;
} rigaku_text;

static double key_number(const lines *l, const char *key, double old)
{
    size_t n = strlen(key);
    double value;
    const char *end = l->text + l->length, *p = l->text + n;
    if (l->length <= n || strncmp(l->text, key, n) || !strchr(" \t=", *p))
        return old;
    while (p < end && strchr(" \t=", *p))
        p++;
    return bragg_pattern_numbers_of(p, (size_t)(end - p), &value, 1) ? value : old;
}

static void rigaku_key(rigaku_text *t, const lines *l)
{
    t->start = key_number(l, "*START", t->start);
    t->step = key_number(l, "*STEP", t->step);
    t->count = key_number(l, "*COUNT", t->count);
    t->facts.wavelength_ang = key_number(l, "*WAVE_LENGTH1", key_number(l, "*WAVELENGTH", t->facts.wavelength_ang));
    t->facts.wavelength2_ang = key_number(l, "*WAVE_LENGTH2", t->facts.wavelength2_ang);
    if (starts(l, "*YUNIT"))
        t->rates = bragg_pattern_find_text(l->text, l->length, "cps") != NULL;
    if (starts(l, "*SAMPLE") && memchr(l->text, '=', l->length)) {
        t->title = (const char *)memchr(l->text, '=', l->length) + 1;
        t->title_length = (size_t)(l->text + l->length - t->title);
    }
}

static bragg_status rigaku_numbers(rigaku_text *t, const source *src, const lines *l, bragg_error *err)
{
    double v[64];
    size_t n = bragg_pattern_numbers_of(l->text, l->length, v, 64);
    if (!n)
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected intensities, found '%.*s'", l->number,
                          l->length > 40 ? 40 : (int)l->length, l->text);
    if (!t->open) {
        if (!(t->step > 0) || !isfinite(t->start) || !(t->count >= 2 && t->count <= (double)src->size))
            return bragg_fail(err, BRAGG_EDATA, "line %zu: expected *START, *STEP and *COUNT before the intensities",
                              l->number);
        bragg_status st = bragg_pattern_make(t->count, BRAGG_AXIS_TTH, &t->open, err);
        if (st < 0)
            return st;
        t->n = 0;
    }
    if (n > t->open->n - t->n)
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected %zu intensities, found more", l->number, t->open->n);
    memcpy(t->open->y + t->n, v, n * sizeof *v);
    t->n += n;
    return BRAGG_OK;
}

static bragg_status rigaku_close(rigaku_text *t, pattern_list *list, bragg_error *err)
{
    bragg_pattern *p = t->open;
    bool whole = !t->rates;
    if (t->n != p->n)
        return bragg_fail(err, BRAGG_EDATA, "scan %zu: expected %zu intensities, found %zu", list->n + 1, p->n, t->n);
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (t->start + (double)i * t->step) * BRAGG_DEG;
        whole &= p->y[i] >= 0 && p->y[i] == floor(p->y[i]);
    }
    p->counts = whole;
    bragg_pattern_header_copy(p, &t->facts);
    bragg_pattern_title(p, t->title ? t->title : "", t->title_length);
    t->open = NULL;
    return bragg_pattern_list_take(list, p, err);
}

bragg_status bragg_pattern_read_rigaku_text(const source *src, pattern_list *list, bragg_error *err)
{
    rigaku_text t = { .facts = bragg_pattern_no_facts(), .start = NAN, .step = NAN, .count = NAN };
    lines l = bragg_pattern_lines_of(src);
    bragg_status st = BRAGG_OK;
    while (st == BRAGG_OK && bragg_pattern_lines_next(&l)) {
        if (!l.length || *l.text == '#')
            continue;
        if (*l.text != '*') {
            st = rigaku_numbers(&t, src, &l, err);
            continue;
        }
        if (t.open)
            st = rigaku_close(&t, list, err);
        rigaku_key(&t, &l);
    }
    if (st == BRAGG_OK && t.open)
        st = rigaku_close(&t, list, err);
    bragg_pattern_free(t.open);
    return st;
}

/* SmartLab's binary .raw: its layout is not public and no two descriptions of
 * it agree. */
bool bragg_pattern_probe_rigaku_binary(const source *src)
{
    return src->size > 64 && !memcmp(src->bytes, "FI\0\0", 4);
}

bragg_status bragg_pattern_read_rigaku_binary(const source *src, pattern_list *list, bragg_error *err)
{
    (void)src;
    (void)list;
    return bragg_fail(err, BRAGG_ENOSUPPORT,
                      "a Rigaku binary file, whose layout is not public: save it as .ras or .rasx");
}
