/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log lines and progress go to whoever asked for them. */
#include "config.h"
#include <bragg/error.h>
#include <bragg/observer.h>

#include <stdarg.h>
#include <stdio.h>

void bragg_log(const bragg_observer *observer, int level, const char *format, ...)
{
    if (!observer || !observer->log)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    observer->log(observer->payload, level, bragg_printable(text));
}

bool bragg_progress(const bragg_observer *observer, size_t done, size_t total)
{
    return !observer || !observer->progress || observer->progress(observer->payload, done, total);
}
