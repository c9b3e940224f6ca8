/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as bytes: gzip, byte order, text headers. */
#include "config.h"
#include "bytes.h"
#include <bragg/bytes.h>

#include <bragg/array.h>
#include <bragg/datetime.h>
#include <bragg/number.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* 128 Mpixel of doubles: nothing that a detector writes and somebody packs is longer. */
static const size_t most_bytes = (size_t)1 << 30;

bragg_status bragg_frame_load(const char *path, bytes *out, bragg_error *err)
{
    *out = (bytes){ NULL, 0 };
    gzFile in = gzopen(path, "rb"); /* reads plain files as they are */
    if (!in)
        return bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", path, strerror(errno));
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
        st = bragg_fail(err, code == Z_ERRNO ? bragg_status_of_errno(errno) : code == Z_MEM_ERROR ? BRAGG_ENOMEM : BRAGG_EDATA, "%s: %s", path, code == Z_ERRNO ? strerror(errno) : message);
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

bragg_status bragg_frame_open(const char *path, frame_file *f, bragg_error *err)
{
    unsigned char magic[2];
    struct stat info;
    *f = (frame_file){ .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC) };
    if (f->fd < 0 || fstat(f->fd, &info)) {
        bragg_status st = bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", path, strerror(errno));
        bragg_frame_close(f);
        return st;
    }
    f->n = (size_t)info.st_size;
    if (S_ISREG(info.st_mode) && !(bragg_bytes_read(f->fd, magic, 2, 0) && magic[0] == 0x1f && magic[1] == 0x8b))
        return BRAGG_OK;
    bragg_status st = bragg_frame_load(path, &f->all, err); /* packed, or no plain file */
    f->n = f->all.n;
    if (st < 0)
        bragg_frame_close(f);
    return st;
}

void bragg_frame_close(frame_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->all.at);
    *f = (frame_file){ .fd = -1 };
}

bragg_status bragg_frame_piece(const frame_file *f, size_t at, size_t n, void *out, bragg_error *err)
{
    if (at > f->n || n > f->n - at)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu bytes at byte %zu, the file has %zu", f->path, n, at, f->n);
    if (f->all.at) {
        memcpy(out, f->all.at + at, n);
        return BRAGG_OK;
    }
    return bragg_bytes_read(f->fd, out, n, (int64_t)at)
               ? BRAGG_OK
               : bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", f->path, errno ? strerror(errno) : "has become shorter while it was read");
}

bragg_status bragg_frame_raw_pixels(const frame_file *f, size_t at, size_t width, size_t height, bragg_pixel type, bool swap, bragg_frame **out, bragg_error *err)
{
    size_t size = bragg_pixel_size(type), n = width * height;
    bragg_status st = bragg_frame_new(width, height, type, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", f->path);
    st = bragg_frame_piece(f, at, n * size, (*out)->data, err);
    if (st == BRAGG_OK && swap)
        bragg_frame_swap((*out)->data, n, size);
    return st;
}

bragg_status bragg_frame_head(const char *path, unsigned char *head, size_t *n, bragg_error *err)
{
    errno = 0;
    gzFile in = gzopen(path, "rb");
    int got = in ? gzread(in, head, (unsigned)*n) : -1, cause = errno ? errno : ENOMEM, fault = Z_ERRNO;
    if (in && got < 0)
        gzerror(in, &fault);
    if (in)
        gzclose(in);
    *n = got > 0 ? (size_t)got : 0;
    if (got < 0 && fault == Z_DATA_ERROR)
        return bragg_fail(err, BRAGG_EDATA, "%s: damaged gzip", path);
    if (got < 0 && cause != EISDIR)
        return bragg_fail(err, bragg_status_of_errno(cause), "%s: %s", path, strerror(cause));
    return BRAGG_OK;
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

double bragg_frame_header_number(const unsigned char *at, size_t n, const char *key)
{
    char text[128];
    const char *end;
    double v;
    return bragg_frame_header(at, n, key, text, sizeof text) && bragg_number_scan(text, &end, &v) ? v : NAN;
}

/* "Wed Jun 16 19:14:09 2010" as C writes it, "2014:10:24 16:33:09" as cameras do, and
 * whatever else is a date. */
double bragg_frame_time(const char *text)
{
    char month[4], clock[32], other[80];
    int day, year;
    double t;
    if (isalpha((unsigned char)*text) && sscanf(text, "%*3s %3s %d %31s %d", month, &day, clock, &year) == 4)
        snprintf(other, sizeof other, "%d %s %d %s", day, month, year, clock);
    else
        snprintf(other, sizeof other, "%s", text);
    if (strlen(other) > 9 && other[4] == ':' && other[7] == ':')
        other[4] = other[7] = '-';
    return bragg_time_parse(other, BRAGG_DATE_AUTO, 0, &t) ? t : NAN;
}

void bragg_frame_put_word(FILE *to, const char *name)
{
    for (; *name; name++)
        fputc((unsigned char)*name <= ' ' || strchr(";{}=", *name) ? '_' : *name, to);
}

bragg_status bragg_frame_put_pixels(FILE *to, const bragg_frame *f, bragg_error *err)
{
    size_t n = f->width * f->height;
    return fwrite(f->data, bragg_pixel_size(f->type), n, to) == n ? BRAGG_OK : bragg_fail(err, bragg_status_of_errno(errno), "cannot be written: %s", strerror(errno));
}
