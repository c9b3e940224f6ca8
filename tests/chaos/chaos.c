/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded, makes one allocation of bragg's own fail: CHAOS_FAIL=N the Nth call of malloc,
 * calloc, realloc, strdup, strndup, asprintf, getline or open_memstream made from the program or
 * libbragg (others' libraries are not ours to test).  CHAOS_COUNT=FILE writes how many calls
 * there were, and how many of the blocks that they gave nobody had freed at the end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdarg.h>
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
void __libc_free(void *);

typedef struct range {
    uintptr_t first, last;
} range;
static range ours[8];
static int n_ours;
static long fail_at;
static atomic_long calls;
static FILE *places;

/* Blocks of ours that have not been freed, by their address; GONE keeps the way to the next. */
enum { ROOM = 1 << 18 };
static const uintptr_t GONE = 1;
static uintptr_t held[ROOM];
static long n_held;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static size_t place_of(uintptr_t block)
{
    return (size_t)(block >> 4) * 2654435761u % ROOM;
}

static void hold(void *block)
{
    if (!block)
        return;
    while (atomic_flag_test_and_set(&busy))
        ;
    size_t k = place_of((uintptr_t)block);
    for (int tried = 0; tried < ROOM && held[k] > GONE; tried++)
        k = (k + 1) % ROOM;
    if (held[k] <= GONE)
        held[k] = (uintptr_t)block, n_held++;
    atomic_flag_clear(&busy);
}

static bool let_go(void *block)
{
    bool ours_was = false;
    if (!block)
        return false;
    while (atomic_flag_test_and_set(&busy))
        ;
    size_t k = place_of((uintptr_t)block);
    for (int tried = 0; tried < ROOM && held[k] && held[k] != (uintptr_t)block; tried++)
        k = (k + 1) % ROOM;
    if (held[k] == (uintptr_t)block)
        held[k] = GONE, n_held--, ours_was = true;
    atomic_flag_clear(&busy);
    return ours_was;
}

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
    const char *path = getenv("CHAOS_PLACES");
    places = path ? fopen(path, "w") : NULL;
}

__attribute__((destructor)) static void end(void)
{
    if (places)
        fclose(places);
    places = NULL;
    const char *path = getenv("CHAOS_COUNT");
    long left = n_held;
    FILE *to = path ? fopen(path, "w") : NULL;
    if (to) {
        fprintf(to, "%ld %ld\n", atomic_load(&calls), left);
        fclose(to);
    }
}

static bool is_ours(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    for (int k = 0; k < n_ours; k++)
        if (at >= ours[k].first && at < ours[k].last)
            return true;
    return false;
}

/* The call's number and a number for the way by which it was reached. */
static void note_place(long call)
{
    enum { DEPTH = 16 };
    void *at[DEPTH];
    uintptr_t sum = 0;
    int n = backtrace(at, DEPTH);
    for (int k = 0; k < n; k++)
        sum = sum * 1099511628211u + (uintptr_t)at[k];
    fprintf(places, "%ld %lx\n", call, (unsigned long)sum);
}

/* the next call of ours; true when it is the one that fails */
static bool fails(void)
{
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (places)
        note_place(call);
    if (call != fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

static void *given(void *block)
{
    hold(block);
    return block;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    return !is_ours(CALLER) ? __libc_malloc(size) : fails() ? NULL : given(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return !is_ours(CALLER) ? __libc_calloc(n, size) : fails() ? NULL : given(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    bool mine = is_ours(CALLER);
    if (mine && fails())
        return NULL;
    bool was_ours = let_go(old);
    void *block = __libc_realloc(old, size);
    if (was_ours && !block && size)
        hold(old);
    if (mine || was_ours)
        hold(block);
    return block;
}

void free(void *block)
{
    let_go(block);
    __libc_free(block);
}

static char *copy(const char *text, size_t n)
{
    char *to = __libc_malloc(n + 1);
    if (!to)
        return NULL;
    memcpy(to, text, n);
    to[n] = 0;
    return to;
}

char *strdup(const char *text)
{
    bool mine = is_ours(CALLER);
    if (mine && fails())
        return NULL;
    char *to = copy(text, strlen(text));
    return mine ? given(to) : to;
}

char *strndup(const char *text, size_t most)
{
    bool mine = is_ours(CALLER);
    if (mine && fails())
        return NULL;
    char *to = copy(text, strnlen(text, most));
    return mine ? given(to) : to;
}

int asprintf(char **to, const char *format, ...)
{
    va_list list;
    if (is_ours(CALLER) && fails())
        return -1;
    va_start(list, format);
    int n = vasprintf(to, format, list);
    va_end(list);
    return n < 0 ? n : (hold(*to), n);
}

/* What these two give comes from within the C library and is not told from its own. */
ssize_t __getdelim(char **line, size_t *size, int end, FILE *from);
ssize_t __getdelim(char **line, size_t *size, int end, FILE *from)
{
    return is_ours(CALLER) && fails() ? -1 : getdelim(line, size, end, from);
}

FILE *open_memstream(char **text, size_t *size)
{
    return is_ours(CALLER) && fails() ? NULL : ((__typeof__(&open_memstream))dlsym(RTLD_NEXT, "open_memstream"))(text, size);
}
