/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames without a header, of a layout that the user knows. */
#include "config.h"
#include "bytes.h"

#include <bragg/number.h>
#include <stdio.h>
#include <stdlib.h>
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

bragg_status bragg_raw_count(const char *path, const bragg_raw *raw, size_t *n, bragg_error *err)
{
    bytes b;
    bragg_status st = bragg_frame_load(path, &b, err);
    *n = st == BRAGG_OK && b.n > raw->offset ? (b.n - raw->offset) / frame_bytes(raw) : 0;
    if (st == BRAGG_OK && !*n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected %zu bytes and a frame of %zu x %zu %s, found %zu bytes", path, raw->offset, raw->width, raw->height,
                        bragg_pixel_name(raw->type), b.n);
    free(b.at);
    return st;
}

bragg_status bragg_raw_read(const char *path, const bragg_raw *raw, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    size_t size = frame_bytes(raw);
    *out = NULL;
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK && (b.n < raw->offset || index >= (b.n - raw->offset) / size))
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, b.n < raw->offset ? 0 : (b.n - raw->offset) / size);
    if (st == BRAGG_OK)
        st = bragg_frame_new(raw->width, raw->height, raw->type, out, err);
    if (st == BRAGG_OK) {
        memcpy((*out)->data, b.at + raw->offset + index * size, size);
        if (raw->swap)
            bragg_frame_swap((*out)->data, raw->width * raw->height, bragg_pixel_size(raw->type));
    }
    free(b.at);
    return st;
}
