/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines, numbers and the facts that headers of text files state. */
#include "config.h"
#include "reader.h"

#include <bragg/number.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

lines bragg_pattern_lines_of(const source *src)
{
    return (lines){ .next = (const char *)src->bytes, .end = (const char *)src->bytes + src->size };
}

bool bragg_pattern_lines_next(lines *l)
{
    if (l->next >= l->end)
        return false;
    size_t left = (size_t)(l->end - l->next);
    const char *stop = memchr(l->next, '\n', left);
    l->text = l->next;
    l->length = stop ? (size_t)(stop - l->next) : left;
    l->next += l->length + (stop != NULL);
    /* Old Macintosh files end their lines with a bare carriage return. */
    const char *cr = memchr(l->text, '\r', l->length);
    if (cr && cr + 1 < l->text + l->length && cr[1] != '\r') {
        l->length = (size_t)(cr - l->text);
        l->next = cr + 1;
    }
    while (l->length && (l->text[l->length - 1] == '\r' || l->text[l->length - 1] == ' ' ||
                         l->text[l->length - 1] == '\t'))
        l->length--;
    l->number++;
    return true;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == ';' || c == '\r';
}

size_t bragg_pattern_numbers_of(const char *text, size_t length, double *values, size_t most)
{
    const char *end = text + length;
    size_t n = 0;
    while (n < most) {
        while (text < end && blank(*text))
            text++;
        const char *stop = text;
        while (stop < end && !blank(*stop))
            stop++;
        if (stop == text || !bragg_number_parse_n(text, (size_t)(stop - text), &values[n]))
            break;
        n++;
        text = stop;
    }
    return n;
}

const char *bragg_pattern_find_text(const char *text, size_t length, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= length; i++)
        if (!strncasecmp(text + i, word, n))
            return text + i;
    return NULL;
}

/* The number behind the '=' or ':' that follows word; NAN when none. */
static double fact(const char *text, size_t length, const char *word)
{
    const char *at = bragg_pattern_find_text(text, length, word), *end = text + length;
    double value;
    if (!at)
        return NAN;
    at += strlen(word);
    while (at < end && *at != '=' && *at != ':')
        at++;
    return at < end && bragg_pattern_numbers_of(at + 1, (size_t)(end - at - 1), &value, 1) ? value : NAN;
}

static void set(double *to, double value)
{
    if (isfinite(value) && isnan(*to))
        *to = value;
}

static int month_of(const char *text)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; i < 12; i++)
        if (!strncasecmp(text, names + 3 * i, 3))
            return i + 1;
    return 0;
}

double bragg_pattern_clock_iso(const char *text)
{
    double unix_s;
    text += strspn(text, " \t\r\n");
    return strspn(text, "0123456789") == 4 && text[4] == '-' && bragg_time_parse(text, BRAGG_DATE_YMD, 0, &unix_s) ? unix_s : NAN;
}

/* 11-BM writes "Scan time = NOV 29, 2012 18:07:11.025644" (local time). */
static double scan_time(const char *text, size_t length)
{
    const char *at = bragg_pattern_find_text(text, length, "scan time ");
    double v[3];
    if (!at || !(at = memchr(at, '=', length - (size_t)(at - text))))
        return NAN;
    const char *end = text + length;
    for (at++; at < end && *at == ' '; at++)
        ;
    if (end - at < 12 || !month_of(at))
        return NAN;
    int month = month_of(at);
    size_t n = bragg_pattern_numbers_of(at + 3, (size_t)(end - at - 3), v, 2);
    const char *colon = memchr(at, ':', (size_t)(end - at));
    if (n < 2 || !colon || colon - at < 2)
        return NAN;
    double hour, minute, second = 0;
    const char *colon2 = memchr(colon + 1, ':', (size_t)(end - colon - 1));
    if (!bragg_number_parse_n(colon - 2, 2, &hour) || end - colon < 3 || !bragg_number_parse_n(colon + 1, 2, &minute))
        return NAN;
    if (colon2)
        bragg_pattern_numbers_of(colon2 + 1, (size_t)(end - colon2 - 1), &second, 1);
    if (!(fabs(v[0]) < 100 && fabs(v[1]) < 10000))
        return NAN;
    return bragg_time_civil((int)v[1], month, (int)v[0], 3600 * hour + 60 * minute + second);
}

/* Ours: "# time: 2024-05-01T10:00:00.000Z". */
static double own_time(const char *text, size_t length)
{
    char copy[40];
    const char *at = bragg_pattern_find_text(text, length, "time: ");
    size_t n = at ? length - (size_t)(at - text) - 6 : 0;
    if (!at || n >= sizeof copy)
        return NAN;
    memcpy(copy, at + 6, n);
    copy[n] = 0;
    return bragg_pattern_clock_iso(copy);
}

double bragg_pattern_radius_m(double mm)
{
    return mm > 10 && mm < 1e5 ? mm / 1000 : NAN; /* a field left at 0 or 1 says nothing */
}

double bragg_pattern_arms_m(double from_mm, double to_mm)
{
    return from_mm == to_mm ? bragg_pattern_radius_m(from_mm) : NAN;
}

/* No bin or pixel is as wide as ten degrees. */
static double width_rad(double deg)
{
    return deg > 0 && deg < 10 ? deg * BRAGG_DEG : NAN;
}

void bragg_pattern_header_fact(bragg_pattern *facts, const char *text, size_t length)
{
    double wavelength = fact(text, length, "wavelength");
    if (wavelength > 1e-12 && wavelength < 1e-8)   /* pyFAI writes metres */
        wavelength *= 1e10;
    if (wavelength > 0.01 && wavelength < 100)
        set(&facts->wavelength_ang, wavelength);
    double second = fact(text, length, "k_alpha2_ang"), ratio = fact(text, length, "k_alpha2_ratio");
    if (second > 0.01 && second < 100 && ratio > 0 && ratio < 10) {
        set(&facts->wavelength2_ang, second);
        set(&facts->ratio2, ratio);
    }
    set(&facts->temperature_k, fact(text, length, "temp (k)"));
    set(&facts->counting_s, fact(text, length, "time per step"));
    set(&facts->monitor, fact(text, length, "monitor i0"));
    set(&facts->time_s, scan_time(text, length));
    set(&facts->time_s, own_time(text, length));
    set(&facts->counting_s, fact(text, length, "counting_s"));
    set(&facts->radius_m, bragg_pattern_radius_m(fact(text, length, "gonio._radius [mm]"))); /* 11-BM's */
    set(&facts->radius_m, bragg_pattern_radius_m(fact(text, length, "goniometer_radius_mm")));
    set(&facts->bin_rad, width_rad(fact(text, length, "bin_width_deg")));
    set(&facts->pixel_rad, width_rad(fact(text, length, "pixel_width_deg")));
    for (int k = 0; k < BRAGG_PATTERN_LAGS; k++) {
        char key[40];
        snprintf(key, sizeof key, "bin_correlation_%d", k + 1);
        double v = fact(text, length, key);
        if (fabs(v) <= 1)
            facts->correlation[k] = v;
    }
}

bragg_pattern bragg_pattern_no_facts(void)
{
    return (bragg_pattern){ .wavelength_ang = NAN, .wavelength2_ang = NAN, .ratio2 = NAN, .radius_m = NAN, .temperature_k = NAN, .azimuth_rad = NAN,
                            .time_s = NAN, .counting_s = NAN, .monitor = NAN, .bin_rad = NAN, .pixel_rad = NAN };
}

void bragg_pattern_header_copy(bragg_pattern *to, const bragg_pattern *facts)
{
    set(&to->wavelength_ang, facts->wavelength_ang);
    set(&to->wavelength2_ang, facts->wavelength2_ang);
    set(&to->ratio2, facts->ratio2);
    set(&to->radius_m, facts->radius_m);
    set(&to->temperature_k, facts->temperature_k);
    set(&to->time_s, facts->time_s);
    set(&to->counting_s, facts->counting_s);
    set(&to->monitor, facts->monitor);
    set(&to->bin_rad, facts->bin_rad);
    set(&to->pixel_rad, facts->pixel_rad);
    memcpy(to->correlation, facts->correlation, sizeof to->correlation);
}
