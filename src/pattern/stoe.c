/* SPDX-License-Identifier: GPL-3.0-or-later */
/* STOE WinXPOW raw data, "RAW_1.06Powdat": blocks of 512 bytes. */
#include "config.h"
#include "reader.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 512 };

bool bragg_pattern_probe_stoe(const source *src)
{
    return src->size > 16 && !memcmp(src->bytes, "RAW_", 4) && !memcmp(src->bytes + 8, "Powdat", 6);
}

/* The block in front of the intensities describes the scan:
 *
 *      +0x00  start "dd-Mon-yy hh:mm"     +0x22  number of points
 *      +0x2c  2theta start, theta start, 2theta end, theta end, steps (floats)
 *      +0x78  smallest and largest intensity
 */
static bool scan_at(const source *src, size_t data, double *start, double *step, size_t *n)
{
    if (data < 2 * BLOCK || data > src->size)
        return false;
    const unsigned char *h = src->bytes + data - BLOCK;
    *n = bragg_le16(h + 0x22);
    *start = bragg_le_float(h + 0x2c);
    *step = bragg_le_float(h + 0x3c);
    double end = bragg_le_float(h + 0x34);
    if (*n < 2 || *n > (src->size - data) / 4 || !isfinite(*start) || !isfinite(end) || !(*step > 0))
        return false;
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < *n; i++) {
        uint32_t y = bragg_le32(src->bytes + data + 4 * i);
        least = y < least ? y : least;
        most = y > most ? y : most;
    }
    /* The step is a float of two ulp's doubt: the ends give a better one. */
    bool same = fabs((end - *start) / *step + 1 - (double)*n) < 1;
    *step = (end - *start) / (double)(*n - 1);
    return same && (!bragg_le32(h + 0x7c) || (bragg_le32(h + 0x78) == least && bragg_le32(h + 0x7c) == most));
}

static int month_of(const char *text)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++)
        if (bragg_pattern_find_text(text, 3, (char[]){ names[3 * i], names[3 * i + 1], names[3 * i + 2], '\0' }))
            return i + 1;
    return 0;
}

/* "22-Sep-20 17:18" */
static double stoe_clock(const char *t)
{
    double v[4];
    if (bragg_pattern_numbers_of(t, 2, v, 1) + bragg_pattern_numbers_of(t + 7, 2, v + 1, 1) + bragg_pattern_numbers_of(t + 10, 2, v + 2, 1) +
            bragg_pattern_numbers_of(t + 13, 2, v + 3, 1) < 4)
        return NAN;
    return bragg_time_civil(2000 + (int)v[1], month_of(t + 3), (int)v[0], 3600 * v[2] + 60 * v[3]);
}

/* The header counts the blocks of the intensities and of the file; where that
 * leads nowhere every block is tried. */
static size_t find_scan(const source *src, double *start, double *step, size_t *n)
{
    size_t part = bragg_le16(src->bytes + 0x1da), all = bragg_le16(src->bytes + 0x1dc);
    if (part < all && scan_at(src, (all - part) * BLOCK, start, step, n))
        return (all - part) * BLOCK;
    for (size_t at = 2 * BLOCK; at < src->size; at += BLOCK)
        if (scan_at(src, at, start, step, n))
            return at;
    return 0;
}

bragg_status bragg_pattern_read_stoe(const source *src, pattern_list *list, bragg_error *err)
{
    double start, step;
    size_t n, at = src->size >= 2 * BLOCK ? find_scan(src, &start, &step, &n) : 0;
    if (!at)
        return bragg_fail(err, BRAGG_EDATA, "expected a scan whose points, range and extremes agree, found none");
    bragg_pattern *p;
    bragg_status st = bragg_pattern_make((double)n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    for (size_t i = 0; i < n; i++) {
        /* Angles are floats; 0.0001 deg is what the goniometer means. */
        p->x[i] = round((start + (double)i * step) * 1e4) / 1e4 * BRAGG_DEG;
        p->y[i] = bragg_le32(src->bytes + at + 4 * i);
    }
    p->counts = true;
    double one = bragg_le_float(src->bytes + 0x142), two = bragg_le_float(src->bytes + 0x146);
    p->wavelength_ang = one > 0.05 && one < 50 ? one : NAN;
    p->wavelength2_ang = two > 0.05 && two < 50 ? two : NAN;
    p->time_s = stoe_clock((const char *)src->bytes + at - BLOCK);
    bragg_pattern_title(p, (const char *)src->bytes + 0x20, 80);
    return bragg_pattern_list_take(list, p, err);
}
