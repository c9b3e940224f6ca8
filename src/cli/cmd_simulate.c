/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg simulate: a truth file to frames. */
#include "config.h"
#include "cli.h"

static int run(int argc, char **argv)
{
    const char *out = NULL;
    bool force = false, help;
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &out, "DIR", "write the frames or patterns, setup.poni and logs here" },
        { "force", 'f', CLI_FLAG, &force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    int n;
    bragg_status st = cli_parse(&cli_simulate, options, 2, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected one TRUTH.yaml, found %d names", n);
    if (st == BRAGG_OK && !out)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected -o DIR, found none");
    if (st == BRAGG_OK) {
        cli_progress bar;
        st = bragg_simulate(argv[0], out, force, cli_observer(&bar, "frame"), &err);
        cli_progress_end(&bar);
    }
    return cli_report(&cli_simulate, st, &err);
}

const cli_command cli_simulate = { "simulate", "TRUTH.yaml -o DIR", "frames and patterns of a digital twin", run };
