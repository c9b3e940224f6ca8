/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded, makes one allocation of bragg's own fail: CHAOS_FAIL=N the Nth call of malloc,
 * calloc or realloc made from the program or libbragg (others' libraries are not ours to
 * test).  CHAOS_COUNT=FILE writes how many calls there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own names, which a replaced malloc leaves in place */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

typedef struct range {
    uintptr_t first, last;
} range;
static range ours[8];
static int n_ours;
static long fail_at;
static atomic_long calls;

static int add_object(struct dl_phdr_info *info, size_t size, void *payload)
{
    const char *base = strrchr(info->dlpi_name, '/');
    bool program = !*info->dlpi_name;
    (void)size, (void)payload;
    if (!program && (!base || strncmp(base, "/libbragg", 9)))
        return 0;
    for (int k = 0; k < info->dlpi_phnum && n_ours < 8; k++)
        if (info->dlpi_phdr[k].p_type == PT_LOAD && (info->dlpi_phdr[k].p_flags & PF_X)) {
            uintptr_t first = info->dlpi_addr + info->dlpi_phdr[k].p_vaddr;
            ours[n_ours++] = (range){ first, first + info->dlpi_phdr[k].p_memsz };
        }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("CHAOS_FAIL");
    fail_at = at ? strtol(at, NULL, 10) : 0;
    dl_iterate_phdr(add_object, NULL);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("CHAOS_COUNT");
    FILE *to = path ? fopen(path, "w") : NULL;
    if (to) {
        fprintf(to, "%ld\n", atomic_load(&calls));
        fclose(to);
    }
}

static bool fails(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    for (int k = 0; k < n_ours; k++)
        if (at >= ours[k].first && at < ours[k].last)
            return atomic_fetch_add(&calls, 1) + 1 == fail_at;
    return false;
}

static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? none() : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? none() : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? none() : __libc_realloc(old, size);
}
