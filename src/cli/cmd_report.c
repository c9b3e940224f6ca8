/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg report: the results of a run on one page. */
#include "config.h"
#include "cli.h"

#include <bragg/operando.h>
#include <string.h>
#include <sys/stat.h>

static bragg_status report(const char *results, const char *out, bool force, bragg_error *err)
{
    struct stat info;
    bragg_arena *arena = bragg_arena_new();
    bragg_series *s = NULL;
    bragg_store_curves c = { 0 };
    bool folder = stat(results, &info) == 0 && S_ISDIR(info.st_mode);
    const char *store = arena ? folder ? bragg_path_join(arena, results, "series.h5") : results : NULL;
    bragg_status st = store ? bragg_store_read(store, &s, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a report");
    if (st == BRAGG_OK)
        st = bragg_store_patterns(store, 1200, &c, err);
    if (st == BRAGG_OK)
        st = bragg_report_html(s, &c, out, force, err);
    bragg_store_curves_free(&c);
    bragg_series_free(s);
    bragg_arena_free(arena);
    return st;
}

static int run(int argc, char **argv)
{
    const char *out = "report.html";
    bool force = false, help;
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &out, "FILE.html", "the page (report.html)" },
        { "force", 'f', CLI_FLAG, &force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    int n;
    bragg_status st = cli_parse(&cli_report_page, options, 2, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected the folder of one run or its series.h5, found %d names", n);
    if (st == BRAGG_OK)
        st = report(argv[0], out, force, &err);
    return cli_report(&cli_report_page, st, &err);
}

const cli_command cli_report_page = { "report", "RESULTS", "the results of bragg operando as one self-contained HTML page", run };
