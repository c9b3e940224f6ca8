/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as bytes: gzip, byte order, text headers. */
#include "config.h"
#include "bytes.h"

#include <bragg/array.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* 64 Mpixel of doubles: nothing a detector writes is longer. */
static const size_t most_bytes = (size_t)1 << 30;

bragg_status bragg_frame_load(const char *path, bytes *out, bragg_error *err)
{
    *out = (bytes){ NULL, 0 };
    gzFile in = gzopen(path, "rb"); /* reads plain files as they are */
    if (!in)
        return bragg_fail(err, BRAGG_EIO, "%s: %s", path, strerror(errno));
    gzbuffer(in, 1 << 18);
    size_t room = 0;
    int got = 0;
    bragg_status st;
    do {
        st = bragg_array_grow(&out->at, &room, out->n + (1 << 20) + 1, 1, err);
        got = st == BRAGG_OK ? gzread(in, out->at + out->n, 1 << 20) : 0;
        out->n += got > 0 ? (size_t)got : 0;
    } while (got > 0 && out->n < most_bytes);
    int code;
    const char *message = gzerror(in, &code);
    if (st == BRAGG_OK && (got < 0 || code == Z_BUF_ERROR))
        st = bragg_fail(err, code == Z_ERRNO ? BRAGG_EIO : BRAGG_EDATA, "%s: %s", path, code == Z_ERRNO ? strerror(errno) : message);
    if (st == BRAGG_OK && got > 0)
        st = bragg_fail(err, BRAGG_EDATA, "%s: longer than any frame (%zu bytes)", path, most_bytes);
    gzclose(in);
    if (st < 0) {
        free(out->at);
        *out = (bytes){ NULL, 0 };
        return st;
    }
    out->at[out->n] = 0;
    return BRAGG_OK;
}

size_t bragg_frame_head(const char *path, unsigned char *head, size_t n)
{
    gzFile in = gzopen(path, "rb");
    if (!in)
        return 0;
    int got = gzread(in, head, (unsigned)n);
    gzclose(in);
    return got > 0 ? (size_t)got : 0;
}

void bragg_frame_swap(void *data, size_t count, size_t size)
{
    unsigned char *p = data;
    for (size_t i = 0; i < count; i++, p += size)
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char keep = p[k];
            p[k] = p[size - 1 - k];
            p[size - 1 - k] = keep;
        }
}

bool bragg_frame_header(const unsigned char *at, size_t n, const char *key, char *value, size_t size)
{
    size_t length = strlen(key), used = 0;
    for (size_t i = 0; i + length < n; i++) {
        bool starts = i == 0 || strchr(" \t\r\n;{#", at[i - 1]), ends = strchr(" \t=:,", at[i + length]) != NULL;
        if (!starts || !ends || strncasecmp((const char *)at + i, key, length))
            continue;
        i += length;
        while (i < n && strchr(" \t=:,", at[i]) && at[i])
            i++;
        while (i < n && used + 1 < size && !strchr("\r\n;", at[i]) && at[i])
            value[used++] = (char)at[i++];
        while (used && strchr(" \t", value[used - 1]))
            used--;
        value[used] = 0;
        return used > 0;
    }
    return false;
}
