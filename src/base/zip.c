/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Members of zip archives: .brml, .rasx, .xlsx, .ndax and plain ones. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/zip.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, WIDE_END_SIZE = 56, WIDE_LOCATOR_SIZE = 20, MAX_COMMENT = 65535 };
static const size_t max_member = (size_t)1 << 30; /* also keeps zlib's counts within unsigned */

/* Zip64: a locator stands before the end record and tells where one with wide counts is
 * (APPNOTE 4.3.14, 4.3.15). */
static void take_wide_end(const unsigned char *p, size_t end, bragg_zip *z)
{
    const unsigned char *locator = p + end - WIDE_LOCATOR_SIZE;
    if (end < WIDE_END_SIZE + WIDE_LOCATOR_SIZE || memcmp(locator, "PK\6\7", 4))
        return;
    uint64_t at = bragg_le64(locator + 8);
    if (at > end - WIDE_LOCATOR_SIZE - WIDE_END_SIZE || memcmp(p + at, "PK\6\6", 4))
        return;
    z->left = (size_t)bragg_le64(p + at + 32);
    z->at = (size_t)bragg_le64(p + at + 48);
}

bool bragg_zip_open(const void *bytes, size_t size, bragg_zip *z)
{
    const unsigned char *p = bytes;
    if (size < END_SIZE || memcmp(p, "PK", 2))
        return false;
    /* a comment of at most 65535 bytes may follow the end record */
    size_t last = size - END_SIZE, first = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (size_t at = last + 1; at-- > first;) {
        if (memcmp(p + at, "PK\5\6", 4))
            continue;
        *z = (bragg_zip){ .bytes = p, .size = size, .at = bragg_le32(p + at + 16), .left = bragg_le16(p + at + 10) };
        take_wide_end(p, at, z);
        return z->at < at && z->left <= (at - z->at) / ENTRY_SIZE; /* whoever makes room for all may believe it */
    }
    return false;
}

/* Zip64: sizes that are 0xFFFFFFFF stand in the extra field 1, in the order size,
 * packed size, place (APPNOTE 4.5.3). */
static void take_wide_sizes(const unsigned char *extra, size_t n, bragg_zip *z)
{
    size_t *wanted[] = { &z->unpacked, &z->packed, &z->offset };
    while (n >= 4) {
        size_t length = bragg_le16(extra + 2), k = 4;
        if (length > n - 4)
            return;
        for (int i = 0; bragg_le16(extra) == 1 && i < 3; i++)
            if (*wanted[i] == 0xFFFFFFFFu && k + 8 <= 4 + length) {
                *wanted[i] = (size_t)bragg_le64(extra + k);
                k += 8;
            }
        extra += 4 + length;
        n -= 4 + length;
    }
}

bool bragg_zip_next(bragg_zip *z)
{
    if (!z->left || z->at > z->size || z->size - z->at < ENTRY_SIZE || memcmp(z->bytes + z->at, "PK\1\2", 4))
        return false;
    const unsigned char *e = z->bytes + z->at;
    size_t name = bragg_le16(e + 28), extra = bragg_le16(e + 30), comment = bragg_le16(e + 32);
    if (z->size - z->at - ENTRY_SIZE < name + extra + comment)
        return false;
    z->left--;
    z->method = bragg_le16(e + 8) & 1 ? 0xffff : bragg_le16(e + 10); /* bit 0: encrypted */
    z->crc = bragg_le32(e + 16);
    z->packed = bragg_le32(e + 20);
    z->unpacked = bragg_le32(e + 24);
    z->offset = bragg_le32(e + 42);
    z->name = (const char *)e + ENTRY_SIZE;
    z->name_length = name;
    take_wide_sizes(e + ENTRY_SIZE + name, extra, z);
    z->at += ENTRY_SIZE + name + extra + comment;
    return true;
}

bool bragg_zip_find(const void *bytes, size_t size, const char *name, bragg_zip *z)
{
    if (!bragg_zip_open(bytes, size, z))
        return false;
    while (bragg_zip_next(z))
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
static bool sum_matches(const unsigned char *bytes, const bragg_zip *z)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)bytes;
    (void)z;
    return true;
#else
    return crc32(0, bytes, (unsigned)z->unpacked) == z->crc;
#endif
}

static bragg_status damaged(const bragg_zip *z, const char *what, bragg_error *err)
{
    int length = z->name_length > 80 ? 80 : (int)z->name_length;
    return bragg_fail(err, BRAGG_EDATA, "member '%.*s' of the zip archive: %s", length, z->name, what);
}

bragg_status bragg_zip_extract(const bragg_zip *z, unsigned char **bytes, size_t *size, bragg_error *err)
{
    *bytes = NULL;
    if (z->method != 0 && z->method != 8)
        return damaged(z, "expected it stored or deflated without a password", err);
    if (z->offset > z->size || z->size - z->offset < LOCAL_SIZE || memcmp(z->bytes + z->offset, "PK\3\4", 4))
        return damaged(z, "expected its header, the archive is damaged", err);
    const unsigned char *h = z->bytes + z->offset;
    size_t start = z->offset + LOCAL_SIZE + bragg_le16(h + 26) + bragg_le16(h + 28);
    /* Deflate packs 1032 to 1 at best: a larger claim is no archive. */
    if (start > z->size || z->size - start < z->packed || z->unpacked > max_member || z->packed > max_member ||
        (double)z->unpacked > 1100.0 * ((double)z->packed + 1) || (!z->method && z->packed != z->unpacked))
        return damaged(z, "its sizes are impossible, the archive is damaged", err);
    *bytes = malloc(z->unpacked + 1);
    if (!*bytes)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bytes", z->unpacked);
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
