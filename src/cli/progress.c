/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Progress on standard error, when that is a terminal. */
#include "config.h"
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "45 s", "12 min", "3.4 h" */
static void print_time(double s)
{
    if (s < 100)
        fprintf(stderr, ", %.0f s left", s);
    else if (s < 6000)
        fprintf(stderr, ", %.0f min left", s / 60);
    else
        fprintf(stderr, ", %.1f h left", s / 3600);
}

/* What was done before the first look (a run that goes on) does not count as speed. */
void cli_progress_show(cli_progress *p, size_t done, size_t total)
{
    double now = bragg_time_running_s();
    if (!p->terminal || !total)
        return;
    if (!(p->start_s > 0)) {
        p->start_s = now;
        p->before = done;
    }
    if (p->shown_s > 0 && now - p->shown_s < 0.1 && done < total)
        return;
    p->shown_s = now;
    fprintf(stderr, "\r%s %zu of %zu", p->what, done, total);
    double spent = now - p->start_s;
    if (spent > 1 && done > p->before) {
        double rate = (double)(done - p->before) / spent;
        fprintf(stderr, rate < 0.95 ? ", %.1f s each" : ", %.3g/s", rate < 0.95 ? 1 / rate : rate);
        if (done < total)
            print_time((double)(total - done) / rate);
    }
    fputs("\033[K", stderr);
}

static bool show(void *payload, size_t done, size_t total)
{
    cli_progress_show(payload, done, total);
    return true;
}

static volatile sig_atomic_t asked;

static void ask_to_stop(int signal) { asked = signal; }

void cli_end_as_asked(void)
{
    if (asked) {
        signal(asked, SIG_DFL);
        raise(asked);
    }
}

static bool show_until_asked(void *payload, size_t done, size_t total)
{
    cli_progress_show(payload, done, total);
    return !asked;
}

const bragg_observer *cli_observer_to_stop(cli_progress *p, const char *what)
{
    struct sigaction a = { .sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    cli_observer(p, what);
    p->observer.progress = show_until_asked;
    return &p->observer;
}

const bragg_observer *cli_observer_to_tidy(cli_progress *p, const char *what)
{
    struct sigaction a = { .sa_handler = ask_to_stop };
    const bragg_observer *o = cli_observer_to_stop(p, what);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    return o;
}

const bragg_observer *cli_observer(cli_progress *p, const char *what)
{
    const char *terminal = getenv("TERM");
    bool able = isatty(STDERR_FILENO) && !(terminal && !strcmp(terminal, "dumb"));
    *p = (cli_progress){ .what = what, .terminal = able, .observer = { NULL, show, p } };
    return &p->observer;
}

static void say(void *payload, int level, const char *text)
{
    cli_progress_end(payload);
    fprintf(stderr, "%s\n", text);
    (void)level;
}

const bragg_observer *cli_observer_loud(cli_progress *p, const char *what)
{
    cli_observer(p, what);
    p->observer.log = say;
    return &p->observer;
}

void cli_progress_end(const cli_progress *p)
{
    if (p->terminal)
        fprintf(stderr, "\r\033[K");
}
