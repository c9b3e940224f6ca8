/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Progress on standard error, when that is a terminal. */
#include "config.h"
#include "cli.h"

#include <stdio.h>
#include <unistd.h>

static bool show(void *payload, size_t done, size_t total)
{
    cli_progress *p = payload;
    if (p->terminal && total)
        fprintf(stderr, "\r%s %zu of %zu\033[K", p->what, done, total);
    return true;
}

const bragg_observer *cli_observer(cli_progress *p, const char *what)
{
    *p = (cli_progress){ what, isatty(STDERR_FILENO), { NULL, show, p } };
    return &p->observer;
}

void cli_progress_end(const cli_progress *p)
{
    if (p->terminal)
        fprintf(stderr, "\r\033[K");
}
