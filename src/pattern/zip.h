/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Members of a zip archive in memory; private to the floor. */
#ifndef PATTERN_ZIP_H
#define PATTERN_ZIP_H

#include "reader.h"

#define zip_open bragg_pattern_zip_open
#define zip_next bragg_pattern_zip_next
#define zip_find bragg_pattern_zip_find
#define zip_extract bragg_pattern_zip_extract
#pragma GCC visibility push(hidden)

/* The walk through the central directory:
 *
 *      member … member  [entry entry entry]  end record
 *                        ^at
 */
typedef struct zip {
    const unsigned char *bytes;
    size_t size, at;
    size_t left;             /* entries not yet seen */
    const char *name;        /* of the current entry; not NUL-terminated */
    size_t name_length;
    uint32_t method, packed, unpacked, crc, offset;
} zip;

/* True when the bytes are a zip archive whose directory is found. */
bool zip_open(const source *src, zip *z);
/* The next entry; false behind the last or where the directory is damaged. */
bool zip_next(zip *z);
/* The entry of that name; false when absent. */
bool zip_find(const source *src, const char *name, zip *z);
/* Its bytes with a NUL behind them: malloc.  The sum is checked. */
bragg_status zip_extract(const zip *z, unsigned char **bytes, size_t *size, bragg_error *err);

#pragma GCC visibility pop
#endif
