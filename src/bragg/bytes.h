/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_BYTES_H
#define BRAGG_BYTES_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Is this machine's own order little-endian? */
#define BRAGG_LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/** Little-endian numbers in the bytes of a file, wherever they stand. */
static inline uint16_t bragg_le16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t bragg_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bragg_le64(const unsigned char *p) { return bragg_le32(p) | (uint64_t)bragg_le32(p + 4) << 32; }

/** IEEE 754 numbers, as doubles. */
static inline double bragg_le_float(const unsigned char *p)
{
    uint32_t bits = bragg_le32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double bragg_le_double(const unsigned char *p)
{
    uint64_t bits = bragg_le64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/** Big-endian. */
static inline uint32_t bragg_be32(const unsigned char *p)
{
    return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

/** A character (Unicode's number) as UTF-8 of at most four bytes; how many they are. */
size_t bragg_utf8_put(char *to, uint32_t code);
/** How many of n bytes, from the first, are whole characters of UTF-8: n when all are. */
size_t bragg_utf8_whole(const void *bytes, size_t n);

/** For "%.*s": the bytes of a text, `most` at most, without a character of UTF-8 that `most` would
 *  cut.  Text in another encoding is left as it is. */
int bragg_utf8_most(const char *text, size_t most);

/** All n bytes at byte `at` of a file, however few a call gives and whatever interrupts it;
 *  false with the cause in errno, 0 where the file ends before them. */
bool bragg_bytes_read(int fd, void *to, size_t n, int64_t at);
bool bragg_bytes_write(int fd, const void *from, size_t n, int64_t at);

/** A whole file of at most so many bytes, with a NUL behind them that *n does not count: malloc.
 *  EIO for what cannot be read, for a folder and for a device, EDATA for a larger one. */
bragg_status bragg_bytes_of_file(const char *path, size_t most, unsigned char **out, size_t *n, bragg_error *err);

#endif
