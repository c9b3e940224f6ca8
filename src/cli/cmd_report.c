/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg report: the results of a run on one page. */
#include "config.h"
#include "cli.h"

#include <bragg/analysis.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bragg_status report_series(const char *store, const char *out, bool force, bragg_error *err)
{
    bragg_series *s = NULL;
    bragg_store_curves c = { 0 };
    bragg_pdf_course *total = NULL;
    cli_progress progress = { 0 };
    bragg_status st = bragg_store_read(store, &s, err);
    if (st == BRAGG_OK)
        st = bragg_store_patterns(store, 1200, &c, err);
    if (st == BRAGG_OK)
        st = bragg_store_pdf(store, s->arena, &total, err);
    if (st == BRAGG_OK)
        st = bragg_report_html(s, &c, total, out, force, cli_observer_to_tidy(&progress, "figure"), err);
    cli_progress_end(&progress);
    bragg_store_curves_free(&c);
    bragg_series_free(s);
    return st;
}

static bragg_status report_file(const char *path, const char *out, bool force, bragg_error *err)
{
    bragg_error why = BRAGG_ERROR_INIT;
    bragg_status st = report_series(path, out, force, &why);
    bool store = !strcmp(bragg_path_extension(path), ".h5");
    return st < 0 ? bragg_fail(err, st, "%.900s%s", why.text, store ? "" : "; a report is made of a folder that -o of bragg operando, refine or pdf fit has named, or its series.h5") : st;
}

/* A store, or the folder of a run, of a refinement or of a fit to G(r). */
static bragg_status report(const char *results, const char *out, bool force, bragg_error *err)
{
    struct stat info;
    bragg_arena *arena = bragg_arena_new();
    const char *store = arena ? bragg_path_join(arena, results, "series.h5") : NULL, *fit = arena ? bragg_path_join(arena, results, "fit.json") : NULL;
    bragg_status st = BRAGG_OK;
    if (!store || !fit)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a report");
    else if (stat(results, &info))
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s; expected the folder that -o of bragg operando, refine or pdf fit has named", results, strerror(errno));
    else if (!S_ISDIR(info.st_mode))
        st = report_file(results, out, force, err);
    else if (bragg_path_exists(store))
        st = report_series(store, out, force, err);
    else if (bragg_path_exists(fit))
        st = bragg_report_fit_html(results, out, force, err);
    else
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected results of bragg operando, refine or pdf fit (series.h5 or fit.json), found neither", results);
    bragg_arena_free(arena);
    return st;
}

typedef struct wish {
    const char *out;
    bool force;
} wish;

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const wish *w = payload;
    bragg_status st = cli_one("folder of results, or series.h5", operands, argv, err);
    if (st == BRAGG_OK)
        st = report(argv[0], w->out, w->force, err);
    if (st == BRAGG_STOPPED)
        cli_end_as_asked();
    if (st == BRAGG_OK)
        fprintf(stderr, "%s -> %s\n", argv[0], w->out);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { .out = "report.html" };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.out, "FILE.html", "the page (report.html)" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_report, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_report = { "report", "RESULTS", "results as one self-contained HTML page to explore", run };
