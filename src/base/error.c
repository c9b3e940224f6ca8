/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The error chain: the cause once, context in front of it. */
#include "config.h"
#include <bragg/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *bragg_printable(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
}

bragg_status bragg_fail(bragg_error *err, bragg_status status, const char *format, ...)
{
    if (!err || err->status < 0)
        return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    bragg_printable(err->text);
    err->status = status;
    return status;
}

/* Behind the n bytes of a text, as much as there is room for. */
static size_t append(char text[BRAGG_ERROR_TEXT], size_t n, const char *more)
{
    size_t fits = strnlen(more, BRAGG_ERROR_TEXT - 1 - n);
    memcpy(text + n, more, fits);
    text[n + fits] = '\0';
    return n + fits;
}

bragg_status bragg_context(bragg_error *err, bragg_status status, const char *format, ...)
{
    if (!err)
        return status;
    char cause[BRAGG_ERROR_TEXT];
    memcpy(cause, err->text, sizeof cause);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    bragg_printable(err->text);
    if (n >= 0 && (size_t)n < sizeof err->text - 3)
        append(err->text, append(err->text, (size_t)n, *cause ? ": " : ""), cause);
    err->status = status;
    return status;
}

bragg_status bragg_status_of_errno(int cause) { return cause == ENOMEM ? BRAGG_ENOMEM : BRAGG_EIO; }

const char *bragg_status_name(bragg_status status)
{
    switch (status) {
    case BRAGG_CONVERGED: return "CONVERGED";
    case BRAGG_STOPPED: return "STOPPED";
    case BRAGG_OK: return "OK";
    case BRAGG_EINVAL: return "EINVAL";
    case BRAGG_ENOMEM: return "ENOMEM";
    case BRAGG_EIO: return "EIO";
    case BRAGG_EDATA: return "EDATA";
    case BRAGG_EEXIST: return "EEXIST";
    case BRAGG_ENOSUPPORT: return "ENOSUPPORT";
    case BRAGG_ENOCONV: return "ENOCONV";
    case BRAGG_EINTERNAL: return "EINTERNAL";
    }
    return "unknown";
}

int bragg_status_exit(bragg_status status)
{
    switch (status) {
    case BRAGG_CONVERGED:
    case BRAGG_STOPPED:
    case BRAGG_OK: return 0;
    case BRAGG_EINVAL:
    case BRAGG_EEXIST: return 2;
    case BRAGG_EIO:
    case BRAGG_EDATA:
    case BRAGG_ENOSUPPORT: return 3;
    case BRAGG_ENOCONV: return 4;
    default: return 1;
    }
}
