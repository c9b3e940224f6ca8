/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_OBSERVER_H
#define BRAGG_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>

enum { BRAGG_LOG_ERROR, BRAGG_LOG_WARNING, BRAGG_LOG_INFO, BRAGG_LOG_DEBUG };

/** Who wants to hear of it.  The library neither prints nor exits; both
 *  callbacks may be NULL, and so may the observer itself. */
typedef struct bragg_observer {
    void (*log)(void *payload, int level, const char *text);
    bool (*progress)(void *payload, size_t done, size_t total); /**< false: please stop */
    void *payload;
} bragg_observer;

/** As printf has it, cut at 1023 bytes and without control characters; nothing where nobody
 *  listens. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void bragg_log(const bragg_observer *observer, int level, const char *format, ...);

/** True to go on. */
bool bragg_progress(const bragg_observer *observer, size_t done, size_t total);

#endif
