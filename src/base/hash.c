/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes of inputs, for provenance, by xxHash. */
#include "config.h"
#include <bragg/hash.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static bool feed(XXH3_state_t *state, FILE *file)
{
    unsigned char bytes[1 << 16];
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
        XXH3_128bits_update(state, bytes, n);
    return !ferror(file);
}

static void print_hash(XXH128_hash_t h, char text[BRAGG_HASH_TEXT])
{
    snprintf(text, BRAGG_HASH_TEXT, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void bragg_hash_bytes(const void *bytes, size_t size, char text[BRAGG_HASH_TEXT]) { print_hash(XXH3_128bits(bytes, size), text); }

bragg_status bragg_hash_file(const char *path, char text[BRAGG_HASH_TEXT], bragg_error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    XXH3_state_t *state = XXH3_createState();
    bragg_status st = BRAGG_OK;
    if (!state) {
        st = bragg_fail(err, BRAGG_ENOMEM, "'%s': no memory to hash it", path);
    } else {
        XXH3_128bits_reset(state);
        if (!feed(state, file))
            st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
        print_hash(XXH3_128bits_digest(state), text);
    }
    XXH3_freeState(state);
    fclose(file);
    return st;
}
