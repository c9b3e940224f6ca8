/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames without a header, of a layout that the user knows. */
#include "config.h"
#include "bytes.h"

#include <bragg/number.h>
#include <stdio.h>
#include <string.h>

/* The next whole number of "2048x2048xuint16+8192,swap" up to `end`. */
static bool take(const char **at, char end, size_t most, size_t *value)
{
    char digits[24];
    size_t n = strcspn(*at, "x+,");
    long long v;
    if (n >= sizeof digits || (*at)[n] != end)
        return false;
    snprintf(digits, sizeof digits, "%.*s", (int)n, *at);
    if (!bragg_integer_parse(digits, &v) || v < 0 || (unsigned long long)v > most)
        return false;
    *value = (size_t)v;
    *at += n + (end != '\0');
    return true;
}

bragg_status bragg_raw_parse(const char *text, bragg_raw *raw, bragg_error *err)
{
    enum { MOST_SIDE = 1 << 16, MOST_OFFSET = 1 << 30 };
    const char *at = text;
    *raw = (bragg_raw){ 0 };
    bool good = take(&at, 'x', MOST_SIDE, &raw->width) && take(&at, 'x', MOST_SIDE, &raw->height) && raw->width && raw->height;
    size_t n = strcspn(at, "+,");
    int type = BRAGG_U8;
    while (good && type <= BRAGG_F64 && (strlen(bragg_pixel_name((bragg_pixel)type)) != n || strncmp(at, bragg_pixel_name((bragg_pixel)type), n)))
        type++;
    good = good && type <= BRAGG_F64;
    raw->type = good ? (bragg_pixel)type : BRAGG_U8;
    at += good ? n : 0;
    if (good && *at == '+') {
        at++;
        good = take(&at, strchr(at, ',') ? ',' : '\0', MOST_OFFSET, &raw->offset);
        at -= good && at[-1] == ',';
    }
    if (good && !strcmp(at, ",swap")) {
        raw->swap = true;
        at += 5;
    }
    return good && !*at ? BRAGG_OK
        : bragg_fail(err, BRAGG_EINVAL, "raw frame: expected WIDTHxHEIGHTxTYPE[+OFFSET][,swap] as 2048x2048xuint16+8192, found '%s'", text);
}

static size_t frame_bytes(const bragg_raw *raw) { return raw->width * raw->height * bragg_pixel_size(raw->type); }

/* Frames that a file of so many bytes has. */
static size_t frames_of(const frame_file *f, const bragg_raw *raw) { return f->n > raw->offset ? (f->n - raw->offset) / frame_bytes(raw) : 0; }

bragg_status bragg_raw_count(const char *path, const bragg_raw *raw, size_t *n, bragg_error *err)
{
    frame_file f;
    *n = 0;
    bragg_status st = bragg_frame_open(path, &f, err);
    if (st < 0)
        return st;
    if (!(*n = frames_of(&f, raw)))
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected %zu bytes and a frame of %zu x %zu %s, found %zu bytes", path, raw->offset, raw->width, raw->height,
                        bragg_pixel_name(raw->type), f.n);
    bragg_frame_close(&f);
    return st;
}

bragg_status bragg_raw_read(const char *path, const bragg_raw *raw, size_t index, bragg_frame **out, bragg_error *err)
{
    frame_file f;
    *out = NULL;
    bragg_status st = bragg_frame_open(path, &f, err);
    if (st < 0)
        return st;
    if (index >= frames_of(&f, raw))
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, frames_of(&f, raw));
    if (st == BRAGG_OK)
        st = bragg_frame_raw_pixels(&f, raw->offset + index * frame_bytes(raw), raw->width, raw->height, raw->type, raw->swap, out, err);
    bragg_frame_close(&f);
    if (st < 0) {
        bragg_frame_free(*out);
        *out = NULL;
    }
    return st;
}
