/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arenas: memory that goes at once. */
#include "config.h"
#include <bragg/arena.h>

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef BRAGG_SANITIZE
enum { BLOCK_BYTES = 0 };
#else
enum { BLOCK_BYTES = 64 * 1024 };
#endif

typedef struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
} block;

struct bragg_arena {
    block *first;
};

bragg_arena *bragg_arena_new(void)
{
    return calloc(1, sizeof(bragg_arena));
}

void bragg_arena_free(bragg_arena *arena)
{
    if (!arena)
        return;
    for (block *b = arena->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(arena);
}

/* A request larger than a block gets one of its own, put behind the first so
 * that the room left there is not lost. */
static void *from_new_block(bragg_arena *arena, size_t bytes)
{
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    block *b = size <= SIZE_MAX - sizeof *b ? calloc(1, sizeof *b + size) : NULL;
    if (!b)
        return NULL;
    b->size = size;
    b->used = bytes;
    if (arena->first && bytes > BLOCK_BYTES) {
        b->next = arena->first->next;
        arena->first->next = b;
    } else {
        b->next = arena->first;
        arena->first = b;
    }
    return b->bytes;
}

void *bragg_arena_alloc(bragg_arena *arena, size_t count, size_t size)
{
    if (size && count > (SIZE_MAX - alignof(max_align_t)) / size)
        return NULL;
    size_t bytes = count && size ? count * size : 1;
#ifndef BRAGG_SANITIZE
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
#endif
    block *b = arena->first;
    void *memory;
    if (b && b->size - b->used >= bytes) {
        memory = b->bytes + b->used;
        b->used += bytes;
    } else {
        memory = from_new_block(arena, bytes);
    }
    return memory;
}

char *bragg_arena_strndup(bragg_arena *arena, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? bragg_arena_alloc(arena, length + 1, 1) : NULL;
    return copy ? memcpy(copy, text, length) : NULL;
}

char *bragg_arena_strdup(bragg_arena *arena, const char *text)
{
    return bragg_arena_strndup(arena, text, strlen(text));
}
