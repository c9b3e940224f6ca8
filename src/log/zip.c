/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Members of zip archives, as .ndax and .xlsx are (PKWARE APPNOTE 6.3.10):
 * stored or deflated, no encryption; sizes of Zip64 (Neware writes them), though
 * not more than 65535 members. */
#include "config.h"
#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30, COMMENT_MAX = 65535 };
static const size_t member_max = (size_t)1 << 30; /* bytes; also keeps avail_in within uInt */

typedef struct entry {
    const unsigned char *name;
    size_t name_length, packed, size, at; /* at: the local header */
    unsigned method, flags;
} entry;

/* Where the central directory starts and ends. */
static bool directory(const unsigned char *zip, size_t n, size_t *start, size_t *count)
{
    if (n < END_BYTES)
        return false;
    for (size_t i = n - END_BYTES;; i--) {
        if (le32(zip + i) == 0x06054b50) {
            *count = le16(zip + i + 10);
            *start = le32(zip + i + 16);
            return *start < n;
        }
        if (i == 0 || n - i > END_BYTES + COMMENT_MAX)
            return false;
    }
}

/* Zip64: the sizes that are 0xFFFFFFFF stand in the extra field 1, in the order
 * size, packed size, place (APPNOTE 4.5.3). */
static void zip64_sizes(const unsigned char *extra, size_t n, entry *e)
{
    size_t *wanted[] = { &e->size, &e->packed, &e->at };
    while (n >= 4) {
        size_t length = le16(extra + 2), k = 4;
        if (length > n - 4)
            return;
        for (int i = 0; le16(extra) == 1 && i < 3; i++)
            if (*wanted[i] == 0xFFFFFFFFu && k + 8 <= 4 + length) {
                *wanted[i] = (size_t)le64(extra + k);
                k += 8;
            }
        extra += 4 + length;
        n -= 4 + length;
    }
}

static bool entry_at(const unsigned char *zip, size_t n, size_t *at, entry *e)
{
    if (*at > n || n - *at < ENTRY_BYTES || le32(zip + *at) != 0x02014b50)
        return false;
    const unsigned char *p = zip + *at;
    size_t length = ENTRY_BYTES + (size_t)le16(p + 28) + le16(p + 30) + le16(p + 32);
    if (length > n - *at)
        return false;
    *e = (entry){ p + ENTRY_BYTES, le16(p + 28), le32(p + 20), le32(p + 24), le32(p + 42), le16(p + 10), le16(p + 8) };
    zip64_sizes(p + ENTRY_BYTES + e->name_length, le16(p + 30), e);
    *at += length;
    return true;
}

bool bragg_zip_name(const unsigned char *zip, size_t n, size_t index, char *name, size_t room)
{
    size_t at, count;
    entry e;
    if (!directory(zip, n, &at, &count) || index >= count)
        return false;
    for (size_t i = 0; i <= index; i++)
        if (!entry_at(zip, n, &at, &e))
            return false;
    snprintf(name, room, "%.*s", (int)e.name_length, (const char *)e.name);
    return true;
}

/* A size in the directory may lie: grow by what comes out, up to the limit. */
static bragg_status inflate_all(const unsigned char *from, size_t n, size_t size, unsigned char **out, size_t *length,
                                bragg_error *err)
{
    z_stream z = { .next_in = (unsigned char *)from, .avail_in = (uInt)n };
    size_t room = size < member_max / 2 && size < 1100 * n + 1024 ? size + 1 : 4 * n + 1024;
    unsigned char *to = malloc(room + 1);
    if (!to || inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        free(to);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bytes", room);
    }
    int state = Z_OK;
    while (state == Z_OK) {
        if (z.total_out == room) {
            unsigned char *more = room < member_max ? realloc(to, 2 * room + 1) : NULL;
            if (!more)
                break;
            to = more;
            room *= 2;
        }
        z.next_out = to + z.total_out;
        z.avail_out = (uInt)(room - z.total_out);
        state = inflate(&z, Z_NO_FLUSH);
    }
    *length = z.total_out;
    inflateEnd(&z);
    if (state != Z_STREAM_END) {
        free(to);
        return bragg_fail(err, BRAGG_EDATA, "compressed data are damaged or end early after %zu bytes", *length);
    }
    to[*length] = '\0';
    *out = to;
    return BRAGG_OK;
}

static bragg_status extract(const unsigned char *zip, size_t n, const entry *e, unsigned char **bytes, size_t *length,
                            bragg_error *err)
{
    if (e->flags & 1)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "it is encrypted");
    if (e->at > n || n - e->at < LOCAL_BYTES || le32(zip + e->at) != 0x04034b50)
        return bragg_fail(err, BRAGG_EDATA, "its local header is missing");
    size_t start = e->at + LOCAL_BYTES + le16(zip + e->at + 26) + le16(zip + e->at + 28);
    if (start > n || e->packed > n - start)
        return bragg_fail(err, BRAGG_EDATA, "expected %zu bytes of data, found %zu", e->packed, start > n ? 0 : n - start);
    if (e->packed > member_max)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "it has %zu bytes, more than are read", e->packed);
    if (e->method == 8)
        return inflate_all(zip + start, e->packed, e->size, bytes, length, err);
    if (e->method)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "expected it stored or deflated, found method %u", e->method);
    if (!(*bytes = malloc(e->packed + 1)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bytes", e->packed);
    memcpy(*bytes, zip + start, e->packed);
    (*bytes)[e->packed] = '\0';
    *length = e->packed;
    return BRAGG_OK;
}

bragg_status bragg_zip_member(const unsigned char *zip, size_t n, const char *member, unsigned char **bytes,
                              size_t *length, bragg_error *err)
{
    size_t at, count;
    entry e;
    *bytes = NULL;
    *length = 0;
    if (!directory(zip, n, &at, &count))
        return bragg_fail(err, BRAGG_EDATA, "the zip archive has no directory: it is cut off or still being written");
    for (size_t i = 0; i < count && entry_at(zip, n, &at, &e); i++)
        if (e.name_length == strlen(member) && !memcmp(e.name, member, e.name_length)) {
            bragg_status st = extract(zip, n, &e, bytes, length, err);
            return st < 0 ? bragg_context(err, st, "member '%s'", member) : st;
        }
    return BRAGG_OK;
}
