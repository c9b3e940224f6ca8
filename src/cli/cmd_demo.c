/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg demo: simulate a twin, analyse it blind, compare with its truth. */
#include "config.h"
#include "demo.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- files */

static bragg_status copy_file(const char *from, const char *to, bool force, bragg_error *err)
{
    enum { MOST = 1 << 28 };
    unsigned char *bytes;
    size_t n;
    bragg_output *out;
    bragg_status st = bragg_bytes_of_file(from, MOST, &bytes, &n, err);
    if (st < 0)
        return st;
    if ((st = bragg_output_open(to, force, &out, err)) == BRAGG_OK) {
        fwrite(bytes, 1, n, bragg_output_stream(out));
        st = bragg_output_commit(out, err);
    }
    free(bytes);
    return st;
}

static const char *base_of(const char *path)
{
    return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

/* What an experimenter would have: all but the truth. */
static bragg_status copy_examples(const demo *d, bragg_error *err)
{
    const char **list;
    size_t n;
    bragg_status st = bragg_path_list(d->arena, d->examples, NULL, &list, &n, err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        if (strncmp(base_of(list[k]), "truth", 5))
            st = copy_file(list[k], bragg_path_join(d->arena, d->out, base_of(list[k])), d->force, err);
    return st;
}

/* ----------------------------------------------------------------- demo */

static bragg_status simulate(demo *d, const char *truth_path, bragg_error *err)
{
    cli_progress bar;
    if (!d->json)
        printf("%s%s: simulating into %s\n", d->name, d->suffix, d->out);
    fflush(stdout);
    bragg_status st = bragg_simulate(truth_path, d->out, d->force, cli_observer(&bar, "frame"), err);
    cli_progress_end(&bar);
    return st;
}

static bragg_status analyse(demo *d, bragg_error *err)
{
    if (d->about.twin == BRAGG_TWIN_TOTAL)
        return demo_total(d, err);
    bragg_status st = d->about.n_states ? demo_states(d, err) : BRAGG_OK;
    return st >= 0 && bragg_truth_count(d->truth) > d->about.n_states ? demo_series(d, err) : st;
}

/* One truth file; what its name has beyond "truth" names the folder and experiment. */
static bragg_status run_truth(demo *d, const char *truth_path, bragg_error *err)
{
    bragg_truth *t;
    const char *stem = bragg_path_stem(d->arena, truth_path), *top = d->out;
    d->suffix = stem + strlen("truth");
    if (*d->suffix)
        d->out = bragg_path_join(d->arena, top, d->suffix + 1);
    bragg_status st = bragg_truth_read(truth_path, &t, err);
    if (st < 0)
        return st;
    d->truth = t;
    d->about = bragg_truth_describe(t);
    st = simulate(d, truth_path, err);
    if (st >= 0)
        st = copy_examples(d, err);
    if (st >= 0)
        st = analyse(d, err);
    d->out = top;
    bragg_truth_free(t);
    return st;
}

static bragg_status run_demo(demo *d, bragg_error *err)
{
    char folder[300];
    const char **list;
    size_t n;
    snprintf(folder, sizeof folder, "examples/%.200s", d->name);
    d->examples = bragg_data_path(d->arena, folder);
    const char *main_truth = d->examples && !strpbrk(d->name, "/\\") ? bragg_path_join(d->arena, d->examples, "truth.yaml") : NULL;
    if (!main_truth || !bragg_path_exists(main_truth))
        return bragg_fail(err, BRAGG_EINVAL, "demo '%s': expected one of those that bragg demo --list names, found none in '%s'", d->name,
                          d->examples ? d->examples : "");
    bragg_status st = run_truth(d, main_truth, err);
    if (st >= 0)
        st = bragg_path_list(d->arena, d->examples, ".yaml", &list, &n, err);
    for (size_t k = 0; st >= 0 && k < n; k++)
        if (!strncmp(base_of(list[k]), "truth-", 6))
            st = run_truth(d, list[k], err);
    if (st >= 0 && !d->json)
        printf("\n%zu quantities compared, %zu more than three esd from the truth; figures and tables are in %s\n", d->compared, d->beyond, d->out);
    return st;
}

static bragg_status list_demos(bragg_arena *arena, bragg_error *err)
{
    const char **list, *folder = bragg_data_path(arena, "examples");
    size_t n;
    bragg_status st = bragg_path_list(arena, folder, NULL, &list, &n, err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        bragg_truth *t;
        const char *path = bragg_path_join(arena, list[k], "truth.yaml");
        if (!bragg_path_exists(path) || bragg_truth_read(path, &t, NULL) < 0)
            continue;
        const char *title = bragg_truth_describe(t).title;
        printf("%-24s %s\n", base_of(list[k]), title ? title : "");
        bragg_truth_free(t);
    }
    return st;
}

static bragg_status show_demo(demo *d, bragg_error *err)
{
    bragg_status st = run_demo(d, err);
    if (st >= 0 && d->json)
        st = bragg_json_print_take(json_pack("{s:s, s:O, s:O}", "demo", d->name, "comparisons", d->comparisons, "summary", d->summary), err);
    return st;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    demo *d = payload;
    if (operands > 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected at most one NAME, found %d", operands);
    if (operands)
        d->name = argv[0];
    if (!d->out)
        d->out = d->name;
    d->arena = bragg_arena_new();
    d->comparisons = json_array();
    d->summary = json_array();
    bragg_status st = d->arena && d->comparisons && d->summary ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a demo");
    if (st == BRAGG_OK)
        st = d->list ? list_demos(d->arena, err) : show_demo(d, err);
    json_decref(d->comparisons);
    json_decref(d->summary);
    bragg_arena_free(d->arena);
    return st;
}

static int run(int argc, char **argv)
{
    demo d = { .name = "bisnsb-sxrd" };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &d.out, "DIR", "work here [NAME in the present folder]" },
        { "list", 'l', CLI_FLAG, &d.list, NULL, "name the demos" },
        { "json", 0, CLI_FLAG, &d.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &d.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_demo, options, sizeof options / sizeof *options, argc, argv, work, &d);
}

const cli_command cli_demo = { "demo", "[NAME]", "simulate an example, analyse it blind, compare with its truth", run };
