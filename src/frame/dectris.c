/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment lines with which Dectris' cameras describe an exposure.
 * Source: Dectris, CBF header specification 1.5 (2017), table 1. */
#include "config.h"
#include "bytes.h"

#include <bragg/number.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The number behind a key, in the unit that stands behind it: all are SI but the
 * wavelength.  Zero is how the camera says unknown. */
static double number_of(const unsigned char *at, size_t n, const char *key)
{
    char text[128];
    const char *end;
    double v;
    if (!bragg_frame_header(at, n, key, text, sizeof text))
        return NAN;
    return bragg_number_scan(text, &end, &v) && v > 0 ? v : NAN;
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

void bragg_frame_dectris(bragg_frame *f, const unsigned char *at, size_t n)
{
    pixel_size(f, at, n);
    f->exposure_s = number_of(at, n, "Exposure_time");
    f->wavelength_ang = number_of(at, n, "Wavelength");
    f->distance_m = number_of(at, n, "Detector_distance");
    f->saturation = number_of(at, n, "Count_cutoff");
    char name[sizeof f->title];
    if (bragg_frame_header(at, n, "Detector", name, sizeof name))
        snprintf(f->title, sizeof f->title, "%s", name);
}
