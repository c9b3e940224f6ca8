/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_ZIP_H
#define BRAGG_ZIP_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Zip archives in memory (PKWARE APPNOTE.TXT 6.3.10): stored and deflated members
 *  without encryption, sizes and counts of Zip64, members of at most 1 GiB.  A walk
 *  through the central directory:
 *
 *      member … member  [entry entry entry]  end record
 *                        ^at
 */
typedef struct bragg_zip {
    const unsigned char *bytes;
    size_t size, at;
    size_t left;             /**< entries not yet seen */
    const char *name;        /**< of the current entry; not NUL-terminated */
    size_t name_length;
    size_t packed, unpacked, offset;
    uint32_t crc;
    unsigned method;         /**< 0 stored, 8 deflated; 0xffff encrypted */
} bragg_zip;

/** True when the bytes are a zip archive whose directory is found and has room for
 *  the entries it counts. */
bool bragg_zip_open(const void *bytes, size_t size, bragg_zip *zip);
/** The next entry; false behind the last or where the directory is damaged. */
bool bragg_zip_next(bragg_zip *zip);
/** The entry of that name from the archive's start; false when absent. */
bool bragg_zip_find(const void *bytes, size_t size, const char *name, bragg_zip *zip);
/** Its bytes with a NUL behind them: malloc.  EDATA when sizes or the check sum do
 *  not hold. */
bragg_status bragg_zip_extract(const bragg_zip *zip, unsigned char **bytes, size_t *size, bragg_error *err);

#endif
