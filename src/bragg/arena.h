/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_ARENA_H
#define BRAGG_ARENA_H

#include <stddef.h>

/** Memory of one parse, one frame, one fit: requested piece by piece, freed at
 *  once.
 *
 *      arena ─► block ─► block ─► NULL        a block: | next | used | size | bytes … |
 *
 *  Built with --enable-sanitize each request is its own malloc, so that an
 *  overrun is seen where it happens. */
typedef struct bragg_arena bragg_arena;

bragg_arena *bragg_arena_new(void);
void bragg_arena_free(bragg_arena *arena);

/** Zeroed memory for count items of size bytes, aligned for any type; NULL
 *  without memory or when the product overflows. */
void *bragg_arena_alloc(bragg_arena *arena, size_t count, size_t size);

/** Copies of text, the second of its first length bytes, with a NUL behind. */
char *bragg_arena_strdup(bragg_arena *arena, const char *text);
char *bragg_arena_strndup(bragg_arena *arena, const char *text, size_t length);

#endif
