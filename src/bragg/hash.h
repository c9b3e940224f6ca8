/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_HASH_H
#define BRAGG_HASH_H

#include <bragg/error.h>
#include <stddef.h>

enum { BRAGG_HASH_TEXT = 33 };

/** XXH3-128 of a file's bytes as 32 hexadecimal digits: provenance, not
 *  cryptography.  EIO when it cannot be read. */
bragg_status bragg_hash_file(const char *path, char text[BRAGG_HASH_TEXT], bragg_error *err);
/** The same of bytes in memory. */
void bragg_hash_bytes(const void *bytes, size_t size, char text[BRAGG_HASH_TEXT]);

#endif
