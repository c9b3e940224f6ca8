/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_HASH_H
#define BRAGG_HASH_H

#include <bragg/error.h>
#include <stddef.h>
#include <stdint.h>

enum { BRAGG_HASH_TEXT = 33 };

/** XXH3-128 of a file's bytes as 32 hexadecimal digits: provenance, not
 *  cryptography.  EIO when it cannot be read. */
bragg_status bragg_hash_file(const char *path, char text[BRAGG_HASH_TEXT], bragg_error *err);
/** The same of bytes in memory. */
void bragg_hash_bytes(const void *bytes, size_t size, char text[BRAGG_HASH_TEXT]);

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv), value by value, for tables in memory:
 *  from BRAGG_FNV_START on, hash = bragg_fnv_next(hash, value). */
#define BRAGG_FNV_START UINT64_C(14695981039346656037)
static inline uint64_t bragg_fnv_next(uint64_t hash, uint64_t value) { return (hash ^ value) * UINT64_C(1099511628211); }
/** Of a text, byte by byte. */
static inline uint64_t bragg_fnv_text(const char *text)
{
    uint64_t hash = BRAGG_FNV_START;
    for (; *text; text++)
        hash = bragg_fnv_next(hash, (unsigned char)*text);
    return hash;
}

#endif
