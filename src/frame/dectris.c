/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment lines with which Dectris' cameras describe an exposure.
 * Source: Dectris, CBF header specification 1.5 (2017), table 1. */
#include "config.h"
#include "bytes.h"

#include <bragg/datetime.h>
#include <bragg/number.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind a key, in the unit that stands behind it: all are SI but the
 * wavelength.  Zero is how the camera says unknown. */
static void take(const unsigned char *at, size_t n, const char *key, double *to)
{
    double v = bragg_frame_header_number(at, n, key);
    if (v > 0)
        *to = v;
}

/* "Pixel_size 172e-6 m x 172e-6 m": the first is along a row. */
static void pixel_size(bragg_frame *f, const unsigned char *at, size_t n)
{
    char text[128];
    const char *end, *times;
    double x, y;
    if (!bragg_frame_header(at, n, "Pixel_size", text, sizeof text) || !bragg_number_scan(text, &end, &x))
        return;
    times = strchr(end, 'x');
    if (times && bragg_number_scan(times + 1, &end, &y) && x > 0 && y > 0) {
        f->pixel_fast_m = x;
        f->pixel_slow_m = y;
    }
}

/* "Beam_xy (1229.30, 1200.48) pixels": column and row. */
static void beam(bragg_frame *f, const unsigned char *at, size_t n)
{
    char text[128];
    const char *end;
    double x, y;
    if (!bragg_frame_header(at, n, "Beam_xy", text, sizeof text) || *text != '(' || !bragg_number_scan(text + 1, &end, &x))
        return;
    end += strspn(end, ", ");
    if (!bragg_number_scan(end, &end, &y) || (x == 0 && y == 0))
        return;
    f->beam_fast_px = x;
    f->beam_slow_px = y;
}

/* "# 2017-11-23T15:23:41.880" or "# 2012/Feb/21 14:27:43.123": a line of its own. */
static void date(bragg_frame *f, const unsigned char *at, size_t n)
{
    for (const unsigned char *line = at; line && line < at + n && isnan(f->time_s); line = memchr(line, '\n', n - (size_t)(line - at))) {
        char text[40];
        size_t k = 0;
        line += *line == '\n';
        const unsigned char *c = line + 1;
        if (line + 7 > at + n || *line != '#')
            continue;
        while (c < at + n && *c == ' ')
            c++;
        for (; c + k < at + n && k + 1 < sizeof text && c[k] >= ' '; k++)
            text[k] = (char)c[k];
        text[k] = '\0';
        if (k > 9 && (text[4] == '-' || text[4] == '/'))
            f->time_s = bragg_frame_time(text);
    }
}

static bragg_status angles(bragg_frame *f, const unsigned char *at, size_t n, bragg_error *err)
{
    static const char *const keys[] = { "Start_angle", "Angle_increment", "Detector_2theta", "Alpha", "Kappa", "Phi", "Phi_increment", "Omega", "Omega_increment",
                                        "Chi", "Chi_increment", "Two_theta", "Filter_transmission", "Flux", "Exposure_period", "Threshold_setting", "Polarization" };
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; st == BRAGG_OK && k < sizeof keys / sizeof *keys; k++)
        st = bragg_frame_set(f, keys[k], bragg_frame_header_number(at, n, keys[k]), err);
    return st;
}

/* "# Motor samx -2.25", a line of ours. */
static bragg_status motors(bragg_frame *f, const unsigned char *at, size_t n, bragg_error *err)
{
    static const char mark[] = "# Motor ";
    bragg_status st = BRAGG_OK;
    const unsigned char *end = at + n;
    while (st == BRAGG_OK && (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1))) {
        char line[128], name[32];
        const char *rest;
        double v;
        size_t k = 0;
        for (at += sizeof mark - 1; at < end && *at >= ' ' && k + 1 < sizeof line; at++)
            line[k++] = (char)*at;
        line[k] = '\0';
        k = strcspn(line, " ");
        snprintf(name, sizeof name, "%.*s", (int)(k < sizeof name ? k : sizeof name - 1), line);
        if (bragg_number_scan(line + k, &rest, &v))
            st = bragg_frame_set(f, name, v, err);
    }
    return st;
}

bragg_status bragg_frame_dectris(bragg_frame *f, const unsigned char *at, size_t n, bragg_error *err)
{
    pixel_size(f, at, n);
    beam(f, at, n);
    date(f, at, n);
    take(at, n, "Exposure_time", &f->exposure_s);
    take(at, n, "Wavelength", &f->wavelength_ang);
    take(at, n, "Detector_distance", &f->distance_m);
    take(at, n, "Count_cutoff", &f->saturation);
    take(at, n, "Sample_temperature", &f->temperature_k);
    take(at, n, "Monitor", &f->monitor);
    char name[sizeof f->title];
    if (bragg_frame_header(at, n, "Detector", name, sizeof name))
        snprintf(f->title, sizeof f->title, "%s", name);
    bragg_status st = angles(f, at, n, err);
    return st == BRAGG_OK ? motors(f, at, n, err) : st;
}

/* ----------------------------------------------------------------- writing */

static void put(FILE *to, const char *key, double value, const char *unit)
{
    char text[BRAGG_NUMBER_TEXT];
    if (isfinite(value))
        fprintf(to, "# %s %s%s%s\n", key, bragg_number_print_digits(text, value, 15), *unit ? " " : "", unit);
}

char *bragg_frame_dectris_text(const bragg_frame *f)
{
    char *text = NULL, x[BRAGG_NUMBER_TEXT], y[BRAGG_NUMBER_TEXT], date[BRAGG_TIME_TEXT];
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    if (*f->title)
        fprintf(to, "# Detector: %s\n", f->title);
    if (*bragg_time_print(date, f->time_s))
        fprintf(to, "# %s\n", date);
    if (f->pixel_fast_m > 0 && f->pixel_slow_m > 0)
        fprintf(to, "# Pixel_size %s m x %s m\n", bragg_number_print_digits(x, f->pixel_fast_m, 15), bragg_number_print_digits(y, f->pixel_slow_m, 15));
    put(to, "Exposure_time", f->exposure_s, "s");
    put(to, "Count_cutoff", f->saturation, "counts");
    put(to, "Wavelength", f->wavelength_ang, "A");
    put(to, "Detector_distance", f->distance_m, "m");
    if (isfinite(f->beam_fast_px) && isfinite(f->beam_slow_px))
        fprintf(to, "# Beam_xy (%s, %s) pixels\n", bragg_number_print_digits(x, f->beam_fast_px, 15), bragg_number_print_digits(y, f->beam_slow_px, 15));
    put(to, "Sample_temperature", f->temperature_k, "K");
    put(to, "Monitor", f->monitor, "counts");
    for (size_t k = 0; k < f->n_values; k++) {
        fputs("# Motor ", to);
        bragg_frame_put_word(to, f->value[k].name);
        fprintf(to, " %s\n", bragg_number_print_digits(x, f->value[k].value, 15));
    }
    if (fclose(to)) {
        free(text);
        return NULL;
    }
    return text;
}
