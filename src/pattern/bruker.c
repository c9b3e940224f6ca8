/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Siemens / Bruker RAW, versions 1 ("RAW "), 2 ("RAW2"), 3 ("RAW1.01") and
 * 4 ("RAW4.00").  Versions 1 and 2: Siemens DIFFRAC-AT manual, Appendix B;
 * 3 and 4 are known from files beside their UXD, XYE and BRML twins. */
#include "config.h"
#include "reader.h"

#include <math.h>
#include <string.h>

/* What the ranges share. */
typedef struct tube {
    double alpha1, alpha2, ratio, time_s;
    const char *title;
    size_t title_length;
} tube;

/* Where the numbers of one range stand. */
typedef struct range {
    size_t at, stride;       /* first intensity, bytes from one to the next */
    double n, start_deg, step_deg, counting_s;
} range;

bool bragg_pattern_probe_bruker(const source *src)
{
    return src->size > 8 && (!memcmp(src->bytes, "RAW1.01", 7) || !memcmp(src->bytes, "RAW4.00", 7) ||
                             !memcmp(src->bytes, "RAW2", 4) || !memcmp(src->bytes, "RAW ", 4));
}

/* Angles are decimal: 0.02 kept as a float is 0.0199999996, which 7000 steps
 * make visible.  Seven digits are what a float holds. */
static double decimal(double value)
{
    if (!isfinite(value) || value == 0)
        return value;
    double unit = pow(10, floor(log10(fabs(value))) - 6);
    return round(value / unit) * unit;
}

static double positive(double value)
{
    return value > 0.05 && value < 50 ? value : NAN;
}

static bool whole_counts(const bragg_pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!(p->y[i] >= 0) || p->y[i] != floor(p->y[i]))
            return false;
    return true;
}

static bragg_status take_range(const source *src, const range *r, const tube *t, pattern_list *list,
                               bragg_error *err)
{
    bragg_pattern *p;
    if (!(r->n >= 1 && r->n <= MAX_POINTS) || r->at > src->size ||
        r->n * (double)r->stride > (double)(src->size - r->at))
        return bragg_fail(err, BRAGG_EDATA,
                          "range %zu: expected %.0f points of %zu bytes at byte %zu, the file has %zu bytes",
                          list->n + 1, r->n, r->stride, r->at, src->size);
    if (!isfinite(r->start_deg) || !isfinite(r->step_deg) || r->step_deg == 0 || fabs(r->start_deg) > 360 ||
        fabs(r->step_deg) * r->n > 720)
        return bragg_fail(err, BRAGG_EDATA,
                          "range %zu: expected a scan of 2theta, found a start of %g with steps of %g deg",
                          list->n + 1, r->start_deg, r->step_deg);
    bragg_status st = bragg_pattern_make(r->n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (r->start_deg + (double)i * r->step_deg) * BRAGG_DEG;
        p->y[i] = bragg_le_float(src->bytes + r->at + i * r->stride);
    }
    p->counts = whole_counts(p);
    p->wavelength_ang = positive(t->alpha1);
    p->wavelength2_ang = positive(t->alpha2);
    p->ratio2 = t->ratio >= 0 && t->ratio <= 2 ? t->ratio : NAN;
    p->counting_s = r->counting_s > 0 ? r->counting_s : NAN;
    p->time_s = t->time_s;
    bragg_pattern_title(p, t->title, t->title_length);
    return bragg_pattern_list_take(list, p, err);
}

/* Digits at p; -1 when they are none. */
static int two(const unsigned char *p)
{
    return p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9' ? 10 * (p[0] - '0') + p[1] - '0' : -1;
}

/* "MM/DD/YY" or "MM/DD/YYYY" and "hh:mm:ss". */
static double american_clock(const unsigned char *date, const unsigned char *time)
{
    int month = two(date), day = two(date + 3), year = two(date + 6), more = two(date + 8);
    int hour = two(time), minute = two(time + 3), second = two(time + 6);
    if (month < 0 || day < 0 || year < 0 || hour < 0 || minute < 0 || second < 0)
        return NAN;
    year = more >= 0 ? 100 * year + more : year < 70 ? 2000 + year : 1900 + year;
    return bragg_time_civil(year, month, day, 3600.0 * hour + 60 * minute + second);
}

static bragg_status truncated(const source *src, size_t at, bragg_error *err)
{
    return bragg_fail(err, BRAGG_EDATA, "expected a header at byte %zu, the file has %zu bytes", at, src->size);
}

/* Version 1: ranges of a 156-byte header "RAW ", points, seconds, step, …, and
 * float intensities; the last word of the header says whether one follows. */
static bragg_status read_v1(const source *src, pattern_list *list, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t at = 0; st == BRAGG_OK;) {
        const unsigned char *h = src->bytes + at;
        if (at > src->size || src->size - at < 156)
            return truncated(src, at, err);
        if (memcmp(h, "RAW ", 4))
            return bragg_fail(err, BRAGG_EDATA, "byte %zu: expected a range 'RAW '", at);
        tube t = { bragg_le_float(h + 72), bragg_le_float(h + 76), NAN, NAN, (const char *)h + 40, 32 };
        range r = { at + 156, 4, bragg_le32(h + 4), decimal(bragg_le_float(h + 24)), decimal(bragg_le_float(h + 12)),
                    bragg_le_float(h + 8) };
        bool more = bragg_le32(h + 152) > 0;
        st = take_range(src, &r, &t, list, err);
        if (!more)
            break;
        at = r.at + (size_t)r.n * 4;
    }
    return st;
}

/* Version 2: 256 bytes, then ranges whose headers say their own length. */
static bragg_status read_v2(const source *src, pattern_list *list, bragg_error *err)
{
    const unsigned char *f = src->bytes;
    if (src->size < 256)
        return truncated(src, 0, err);
    tube t = { bragg_le_float(f + 190), bragg_le_float(f + 194), bragg_le_float(f + 198), NAN, (const char *)f + 8, 32 };
    int day = two(f + 168), month = two(f + 171), hour = two(f + 178), minute = two(f + 181);
    if (two(f + 174) > 0 && day > 0 && month > 0 && hour >= 0 && minute >= 0)
        t.time_s = bragg_time_civil(100 * two(f + 174) + two(f + 176), month, day, 3600.0 * hour + 60 * minute);
    bragg_status st = BRAGG_OK;
    size_t at = 256, ranges = bragg_le16(f + 4);
    for (size_t i = 0; st == BRAGG_OK && i < ranges; i++) {
        const unsigned char *h = f + at;
        if (at > src->size || src->size - at < 24 || bragg_le16(h) < 24)
            return truncated(src, at, err);
        range r = { at + bragg_le16(h), 4, bragg_le16(h + 2), decimal(bragg_le_float(h + 16)), decimal(bragg_le_float(h + 12)),
                    bragg_le_float(h + 8) };
        st = take_range(src, &r, &t, list, err);
        at = r.at + (size_t)r.n * 4;
    }
    return st;
}

/* Scan types of version 3 without motion of 2theta: rocking curve, chi, phi, x,
 * y, z and auxiliary drives. */
static bool still(uint32_t type)
{
    return type >= 3 && type <= 11;
}

/* Version 3: 712 bytes, then ranges of a header (304 bytes), extra bytes and
 * records: a float, and a double for each bit set in `varying`. */
static bragg_status read_v3(const source *src, pattern_list *list, bragg_error *err)
{
    const unsigned char *f = src->bytes;
    bragg_status st = BRAGG_OK;
    if (src->size < 712)
        return truncated(src, 0, err);
    tube t = { bragg_le_double(f + 624), bragg_le_double(f + 632), bragg_le_double(f + 648), american_clock(f + 16, f + 26),
               (const char *)f + 326, 60 };
    size_t at = 712, ranges = bragg_le32(f + 12);
    for (size_t i = 0; st == BRAGG_OK && i < ranges; i++) {
        const unsigned char *h = f + at;
        if (at > src->size || src->size - at < 304 || bragg_le32(h) < 260)
            return truncated(src, at, err);
        size_t record = bragg_le32(h + 252), extra = bragg_le32(h + 256), n = bragg_le32(h + 4);
        range r = { at + bragg_le32(h) + extra, record,           (double)n, bragg_le_double(h + 16),
                    bragg_le_double(h + 176),   bragg_le_float(h + 192) };
        if (record < 4 || record > 512)
            return bragg_fail(err, BRAGG_EDATA, "range %zu: expected records of 4 to 512 bytes, found %zu", i + 1,
                              record);
        if (n && !still(bragg_le32(h + 196)))
            st = take_range(src, &r, &t, list, err);
        at = r.at + n * record;
    }
    return st;
}

static bool says(const unsigned char *field, size_t length, const char *word)
{
    return bragg_pattern_find_text((const char *)field, strnlen((const char *)field, length), word) != NULL;
}

/* Version 4: 61 bytes, then segments of a type and a length.
 *
 *      type 10  text: name at +12 (24 bytes), value from +36
 *      type 30  the tube: K alpha 1 at +80, 2 at +88, ratio at +104
 *      type 0 or 160: a range, no length: 160 bytes, its own segments, records
 */
static bragg_status read_v4_range(const source *src, size_t *at, const tube *t, pattern_list *list, bragg_error *err)
{
    const unsigned char *h = src->bytes + *at;
    if (src->size - *at < 160)
        return truncated(src, *at, err);
    size_t record = bragg_le32(h + 136), extra = bragg_le32(h + 140), n = bragg_le32(h + 88);
    range r = { *at + 160 + extra, record, (double)n, bragg_le_double(h + 72), bragg_le_double(h + 80), bragg_le_float(h + 92) };
    if (record < 4 || record > 512)
        return bragg_fail(err, BRAGG_EDATA, "byte %zu: expected records of 4 to 512 bytes, found %zu", *at, record);
    bool moves = says(h + 32, 24, "coupled") || says(h + 32, 24, "detector") || says(h + 32, 24, "2theta") ||
                 says(h + 32, 24, "twotheta") || says(h + 32, 24, "psd");
    *at = r.at + n * record;
    return n && moves ? take_range(src, &r, t, list, err) : BRAGG_OK;
}

static bragg_status read_v4(const source *src, pattern_list *list, bragg_error *err)
{
    const unsigned char *f = src->bytes;
    if (src->size < 61)
        return truncated(src, 0, err);
    tube t = { NAN, NAN, NAN, american_clock(f + 12, f + 24), "", 0 };
    bragg_status st = BRAGG_OK;
    for (size_t at = 61; st == BRAGG_OK && at < src->size && src->size - at >= 8;) {
        const unsigned char *s = f + at;
        uint32_t type = bragg_le32(s), length = bragg_le32(s + 4);
        if (type == 0 || type == 160) {
            st = read_v4_range(src, &at, &t, list, err);
            continue;
        }
        if (length < 8 || length > src->size - at)
            return bragg_fail(err, BRAGG_EDATA,
                              "byte %zu: expected a segment inside the file, found a length of %u", at, length);
        if (type == 10 && length > 36 && says(s + 12, 24, "SAMPLEID")) {
            t.title = (const char *)s + 36;
            t.title_length = length - 36;
        } else if (type == 30 && length >= 112) {
            t.alpha1 = bragg_le_double(s + 80);
            t.alpha2 = bragg_le_double(s + 88);
            t.ratio = bragg_le_double(s + 104);
        }
        at += length;
    }
    return st;
}

bragg_status bragg_pattern_read_bruker(const source *src, pattern_list *list, bragg_error *err)
{
    const unsigned char *f = src->bytes;
    bragg_status st = f[3] == ' ' ? read_v1(src, list, err)
                    : f[3] == '2' ? read_v2(src, list, err)
                    : f[3] == '1' ? read_v3(src, list, err)
                                  : read_v4(src, list, err);
    if (st == BRAGG_OK && !list->n)
        st = bragg_fail(err, BRAGG_EDATA, "none of its ranges moves 2theta");
    return st;
}
