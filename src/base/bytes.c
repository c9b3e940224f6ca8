/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes of a file, all of those asked for; letters as bytes. */
#include "config.h"
#include <bragg/bytes.h>

#include <bragg/array.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

size_t bragg_utf8_put(char *to, uint32_t c)
{
    size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = { 0, 0xc0, 0xe0, 0xf0 };
    to[0] = (char)(first[more] | c >> 6 * more);
    for (size_t k = 1; k <= more; k++)
        to[k] = (char)(0x80 | (c >> 6 * (more - k) & 0x3f));
    return more + 1;
}

size_t bragg_utf8_whole(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0, next; i < n; i = next) {
        size_t more = p[i] < 0x80 ? 0 : (p[i] & 0xe0) == 0xc0 ? 1 : (p[i] & 0xf0) == 0xe0 ? 2 : (p[i] & 0xf8) == 0xf0 ? 3 : n;
        next = i + 1 + more;
        if (next > n)
            return i;
        for (size_t k = i + 1; k < next; k++)
            if ((p[k] & 0xc0) != 0x80)
                return i;
    }
    return n;
}

int bragg_utf8_most(const char *text, size_t most)
{
    size_t n = strnlen(text, most), first = n;
    while (first > 0 && n - first < 3 && ((unsigned char)text[first] & 0xc0) == 0x80)
        first--;
    bool within = ((unsigned char)text[n] & 0xc0) == 0x80 && ((unsigned char)text[first] & 0xc0) == 0xc0;
    return (int)(within ? first : n);
}

bool bragg_bytes_read(int fd, void *to, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t some = pread(fd, (char *)to + done, n - done, (off_t)at + (off_t)done);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0) {
            errno = some ? errno : 0;
            return false;
        }
        done += (size_t)some;
    }
    return true;
}

bool bragg_bytes_write(int fd, const void *from, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t some = pwrite(fd, (const char *)from + done, n - done, (off_t)at + (off_t)done);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return false;
        done += (size_t)some;
    }
    return true;
}

/* All that is left of a stream; one byte more than `most` tells that it is too long. */
static bragg_status read_on(FILE *in, size_t guess, size_t most, unsigned char **bytes, size_t *n, bragg_error *err)
{
    size_t room = 0;
    bragg_status st = bragg_array_grow(bytes, &room, guess, 1, err);
    while (st == BRAGG_OK && *n <= most) {
        size_t some = fread(*bytes + *n, 1, room - 1 - *n, in);
        *n += some;
        if (!some)
            break;
        st = bragg_array_grow(bytes, &room, *n + 2, 1, err);
    }
    return st;
}

bragg_status bragg_bytes_of_file(const char *path, size_t most, unsigned char **out, size_t *n, bragg_error *err)
{
    struct stat info;
    *out = NULL;
    *n = 0;
    errno = 0;
    FILE *in = fopen(path, "rb");
    if (!in || fstat(fileno(in), &info)) {
        bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
        if (in)
            fclose(in);
        return BRAGG_EIO;
    }
    bool large = info.st_size > 0 && (size_t)info.st_size > most;
    const char *no_file = S_ISDIR(info.st_mode) ? "a folder" : S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode) ? "a device" : NULL;
    bragg_status st = no_file ? bragg_fail(err, BRAGG_EIO, "'%s': expected a file, found %s", path, no_file)
                      : large ? BRAGG_OK : read_on(in, info.st_size > 0 ? (size_t)info.st_size + 2 : 1 << 14, most, out, n, err);
    if (st == BRAGG_OK && ferror(in))
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    else if (st == BRAGG_OK && (large || *n > most))
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected a file of at most %zu bytes, found a larger one", path, most);
    else if (st == BRAGG_ENOMEM)
        bragg_context(err, st, "'%s'", path);
    fclose(in);
    if (st == BRAGG_OK)
        (*out)[*n] = '\0';
    else
        free(*out), *out = NULL;
    return st;
}
