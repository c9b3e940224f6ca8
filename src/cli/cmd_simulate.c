/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg simulate: a truth file to frames. */
#include "config.h"
#include "cli.h"

typedef struct wish {
    const char *out;
    bool force;
} wish;

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const wish *w = payload;
    cli_progress bar;
    bragg_status st = cli_one("TRUTH.yaml", operands, argv, err);
    if (st == BRAGG_OK && !w->out)
        st = bragg_fail(err, BRAGG_EINVAL, "expected -o DIR, found none");
    if (st < 0)
        return st;
    st = bragg_simulate(argv[0], w->out, w->force, cli_observer(&bar, "frame"), err);
    cli_progress_end(&bar);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { 0 };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.out, "DIR", "write the frames or patterns, setup.poni and logs here" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_simulate, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_simulate = { "simulate", "TRUTH.yaml -o DIR", "frames and patterns of a digital twin", run };
