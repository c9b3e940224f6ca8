/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Members of a zip archive in memory: PKWARE APPNOTE.TXT 6.3.10, stored and
 * deflated members without encryption, archives below 4 GiB. */
#include "config.h"
#include "zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, MAX_MEMBER = 1 << 29 };

bool zip_open(const source *src, zip *z)
{
    if (src->size < END_SIZE || memcmp(src->bytes, "PK", 2))
        return false;
    /* A comment of at most 65535 bytes may follow the end record. */
    size_t last = src->size - END_SIZE, first = last > 65535 ? last - 65535 : 0;
    for (size_t at = last + 1; at-- > first;) {
        const unsigned char *e = src->bytes + at;
        if (memcmp(e, "PK\5\6", 4))
            continue;
        *z = (zip){ .bytes = src->bytes, .size = src->size, .at = le32(e + 16), .left = le16(e + 10) };
        return z->at < at;
    }
    return false;
}

bool zip_next(zip *z)
{
    if (!z->left || z->at > z->size || z->size - z->at < ENTRY_SIZE || memcmp(z->bytes + z->at, "PK\1\2", 4))
        return false;
    const unsigned char *e = z->bytes + z->at;
    size_t name = le16(e + 28), rest = (size_t)le16(e + 30) + le16(e + 32);
    if (z->size - z->at - ENTRY_SIZE < name + rest)
        return false;
    z->left--;
    z->method = le16(e + 8) & 1 ? 0xffff : le16(e + 10);   /* bit 0: encrypted */
    z->crc = le32(e + 16);
    z->packed = le32(e + 20);
    z->unpacked = le32(e + 24);
    z->offset = le32(e + 42);
    z->name = (const char *)e + ENTRY_SIZE;
    z->name_length = name;
    z->at += ENTRY_SIZE + name + rest;
    return true;
}

bool zip_find(const source *src, const char *name, zip *z)
{
    if (!zip_open(src, z))
        return false;
    while (zip_next(z))
        if (z->name_length == strlen(name) && !memcmp(z->name, name, z->name_length))
            return true;
    return false;
}

/* Raw deflate of a known size; false when the stream says otherwise. */
static bool inflate_all(const unsigned char *from, size_t packed, unsigned char *to, size_t unpacked)
{
    z_stream s = { 0 };
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return false;
    s.next_in = (unsigned char *)(uintptr_t)from;
    s.avail_in = (unsigned)packed;
    s.next_out = to;
    s.avail_out = (unsigned)unpacked + 1;
    int end = inflate(&s, Z_FINISH);
    size_t out = s.total_out;
    inflateEnd(&s);
    return end == Z_STREAM_END && out == unpacked;
}

/* Fuzzers are let through to what lies behind the sum. */
static bool sum_matches(const unsigned char *bytes, const zip *z)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)bytes;
    (void)z;
    return true;
#else
    return crc32(0, bytes, z->unpacked) == z->crc;
#endif
}

static bragg_status damaged(const zip *z, const char *what, bragg_error *err)
{
    int length = z->name_length > 80 ? 80 : (int)z->name_length;
    return bragg_fail(err, BRAGG_EDATA, "member '%.*s' of the zip archive: %s", length, z->name, what);
}

bragg_status zip_extract(const zip *z, unsigned char **bytes, size_t *size, bragg_error *err)
{
    *bytes = NULL;
    if (z->method != 0 && z->method != 8)
        return damaged(z, "expected it stored or deflated without a password", err);
    if (z->offset > z->size || z->size - z->offset < LOCAL_SIZE || memcmp(z->bytes + z->offset, "PK\3\4", 4))
        return damaged(z, "expected its header, the archive is damaged", err);
    const unsigned char *h = z->bytes + z->offset;
    size_t start = z->offset + LOCAL_SIZE + le16(h + 26) + le16(h + 28);
    /* Deflate packs 1032 to 1 at best: a larger claim is no archive. */
    if (start > z->size || z->size - start < z->packed || z->unpacked > MAX_MEMBER ||
        (double)z->unpacked > 1100.0 * ((double)z->packed + 1) || (!z->method && z->packed != z->unpacked))
        return damaged(z, "its sizes are impossible, the archive is damaged", err);
    *bytes = malloc((size_t)z->unpacked + 1);
    if (!*bytes)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %u bytes", z->unpacked);
    if (!z->method)
        memcpy(*bytes, z->bytes + start, z->unpacked);
    bool whole = !z->method || inflate_all(z->bytes + start, z->packed, *bytes, z->unpacked);
    if (!whole || !sum_matches(*bytes, z)) {
        free(*bytes);
        *bytes = NULL;
        return damaged(z, "its check sum does not match, the archive is damaged", err);
    }
    (*bytes)[z->unpacked] = '\0';
    *size = z->unpacked;
    return BRAGG_OK;
}
