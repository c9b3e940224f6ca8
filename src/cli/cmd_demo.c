/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg demo: simulate a twin, analyse it blind, compare with its truth. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct demo {
    const char *name, *out;
    bool json, force;
    bragg_arena *arena;
    const char *examples;        /* folder of the example */
    json_t *comparisons;
    bragg_quantity volume[16];   /* of the first phase, a frame */
    double true_volume[16];
    size_t n_frames;
    const char *frame[16];
} demo;

/* ------------------------------------------------------------ comparison */

static void compare(demo *d, const char *name, double truth, bragg_quantity q, const char *unit)
{
    char text[BRAGG_NUMBER_TEXT], wide[BRAGG_NUMBER_TEXT];
    double pull = (q.value - truth) / q.esd;
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(name));
    json_object_set_new(row, "truth", bragg_json_number(truth));
    json_object_set_new(row, "value", bragg_json_number(q.value));
    json_object_set_new(row, "esd", bragg_json_number(q.esd));
    json_object_set_new(row, "pull", bragg_json_number(pull));
    json_object_set_new(row, "unit", json_string(unit));
    json_array_append_new(d->comparisons, row);
    if (!d->json)
        printf("  %-34s %14s %18s %-11s pull %+.2f\n", name, bragg_number_print_digits(wide, truth, 7), bragg_number_print_esd(text, q.value, q.esd), unit, pull);
}

static double true_number(const bragg_yaml *map, const char *key)
{
    double v = NAN;
    const bragg_yaml *node = bragg_yaml_get(map, key);
    if (node && bragg_yaml_number(node, &v, NULL) < 0)
        v = NAN;
    return v;
}

/* A phase's truth against its fit: the cell, size and strain that the file gives. */
static void compare_phase(demo *d, const char *frame, const bragg_yaml *truth, const bragg_fit_phase *f)
{
    static const char *const edges[] = { "a", "b", "c", "alpha", "beta", "gamma" };
    const bragg_yaml *cell = bragg_yaml_get(truth, "cell");
    char name[200];
    for (int k = 0; k < 6; k++) {
        double v = true_number(cell, edges[k]);
        snprintf(name, sizeof name, "%s.%s.%s", frame, f->name, edges[k]);
        if (!isnan(v))
            compare(d, name, v, f->cell[k], k < 3 ? "angstrom" : "deg");
    }
    double size = true_number(truth, "size_nm"), strain = true_number(truth, "strain");
    snprintf(name, sizeof name, "%s.%s.size_nm", frame, f->name);
    if (!isnan(size) && isfinite(f->size_nm.esd))
        compare(d, name, size, f->size_nm, "nm");
    snprintf(name, sizeof name, "%s.%s.strain", frame, f->name);
    if (!isnan(strain) && isfinite(f->strain.esd))
        compare(d, name, strain * 1e-6, f->strain, "");
}

/* Volume of the true cell: the fit's angles, the truth's edges. */
static double volume_of(const bragg_yaml *truth, const bragg_fit_phase *f)
{
    const bragg_yaml *cell = bragg_yaml_get(truth, "cell");
    double a = true_number(cell, "a"), b = true_number(cell, "b"), c = true_number(cell, "c");
    bragg_cell x = { a, isnan(b) ? a : b, isnan(c) ? a : c, f->cell[3].value * BRAGG_DEG, f->cell[4].value * BRAGG_DEG, f->cell[5].value * BRAGG_DEG };
    return bragg_cell_volume(&x);
}

/* ---------------------------------------------------------------- analysis */

static bragg_status copy_file(const char *from, const char *to, bool force, bragg_error *err)
{
    char buffer[4096];
    bragg_output *out;
    FILE *in = fopen(from, "rb");
    if (!in)
        return bragg_fail(err, BRAGG_EIO, "%s: cannot be read", from);
    bragg_status st = bragg_output_open(to, force, &out, err);
    for (size_t n; st == BRAGG_OK && (n = fread(buffer, 1, sizeof buffer, in)) > 0;)
        fwrite(buffer, 1, n, bragg_output_stream(out));
    fclose(in);
    return st < 0 ? st : bragg_output_commit(out, err);
}

/* The experiment files come along, so that DIR can be analysed again by hand. */
static bragg_status copy_examples(demo *d, bragg_error *err)
{
    const char **list;
    size_t n;
    bragg_status st = bragg_path_list(d->arena, d->examples, NULL, &list, &n, err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        const char *base = strrchr(list[k], '/') ? strrchr(list[k], '/') + 1 : list[k];
        st = copy_file(list[k], bragg_path_join(d->arena, d->out, base), d->force, err);
    }
    return st;
}

static bragg_status integrate(const demo *d, const char *frame_name, const char *pattern_name, bragg_error *err)
{
    bragg_geometry g;
    bragg_frame *f = NULL;
    bragg_plan *plan = NULL;
    bragg_pattern *p = NULL;
    uint8_t *mask = NULL;
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.n_bins = 3000;
    o.polarization = 0.99;
    bragg_status st = bragg_geometry_read_poni(bragg_path_join(d->arena, d->out, "setup.poni"), &g, err);
    if (st == BRAGG_OK)
        st = cli_frame_read(frame_name, 0, NULL, &f, err);
    if (st == BRAGG_OK)
        st = cli_mask_read(NULL, NULL, f, &mask, err);
    if (st == BRAGG_OK)
        st = bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, err);
    if (st == BRAGG_OK)
        st = bragg_plan_integrate(plan, f, NULL, NULL, &p, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_write_text(p, pattern_name, d->force, err);
    free(mask);
    bragg_pattern_free(p);
    bragg_plan_free(plan);
    bragg_frame_free(f);
    return st;
}

static bragg_status refine(demo *d, const char *name, const bragg_yaml *truth, bragg_error *err)
{
    char file[300], plot[300];
    bragg_experiment *x = NULL;
    bragg_pattern *p = NULL;
    bragg_model *m = NULL;
    bragg_fit *f = NULL;
    snprintf(file, sizeof file, "%.250s.yaml", name);
    bragg_status st = bragg_experiment_read(bragg_path_join(d->arena, d->out, file), &x, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_read(x->pattern->file, 0, &p, err);
    if (st == BRAGG_OK)
        st = bragg_experiment_model(x, p, &m, err);
    if (st == BRAGG_OK)
        st = bragg_refine(m, &x->options, &f, err);
    static const char *const kinds[] = { "svg", "png", "pdf" };
    for (int k = 0; k < 3 && st >= 0; k++) {
        snprintf(plot, sizeof plot, "%.250s-%s.%s", name, "rietveld", kinds[k]);
        st = cli_plot_fit(m, 0, f, x->title, bragg_path_join(d->arena, d->out, plot), d->force || k, err);
    }
    if (st >= 0) {
        snprintf(file, sizeof file, "%.250s.json", name);
        st = bragg_json_write_take(cli_fit_json(f, bragg_model_params(m), NULL), bragg_path_join(d->arena, d->out, file), d->force, err);
    }
    const bragg_yaml *phases = bragg_yaml_get(truth, "phases");
    size_t k = 0;
    if (st >= 0 && !d->json)
        printf("\n%s: Rwp %.2f %%, GOF %.2f\n", name, 100 * f->rwp, f->gof);
    for (const bragg_yaml *c = phases ? phases->child : NULL; c && st >= 0 && k < f->n_phases; c = c->next, k++)
        compare_phase(d, name, c, &f->phase[k]);
    if (st >= 0 && f->n_phases && phases && d->n_frames < 16) {
        d->frame[d->n_frames] = name;
        d->volume[d->n_frames] = f->phase[0].volume_ang3;
        d->true_volume[d->n_frames++] = volume_of(phases->child, &f->phase[0]);
    }
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_experiment_free(x);
    return st < 0 ? bragg_context(err, st, "%s", name) : st;
}

/* What the example is about: by how much do the two lattices differ? */
static void compare_volumes(demo *d)
{
    if (d->n_frames != 2)
        return;
    const bragg_quantity a = d->volume[0], b = d->volume[1];
    double change = 100 * (b.value / a.value - 1), truth = 100 * (d->true_volume[1] / d->true_volume[0] - 1);
    double esd = 100 * b.value / a.value * hypot(a.esd / a.value, b.esd / b.value);
    char name[200];
    snprintf(name, sizeof name, "volume change %.60s to %.60s", d->frame[0], d->frame[1]);
    if (!d->json)
        printf("\n");
    compare(d, name, truth, (bragg_quantity){ change, esd }, "%");
}

static bragg_status run_frames(demo *d, bragg_error *err)
{
    const bragg_yaml *root;
    const char *truth = bragg_path_join(d->arena, d->examples, "truth.yaml");
    bragg_status st = bragg_yaml_read(truth, d->arena, &root, err);
    const bragg_yaml *frames = st == BRAGG_OK ? bragg_yaml_get(root, "frames") : NULL;
    for (const bragg_yaml *c = frames ? frames->child : NULL; c && st >= 0; c = c->next) {
        const char *name;
        char frame[300], pattern[300];
        if ((st = bragg_yaml_text(bragg_yaml_get(c, "name"), &name, err)) < 0)
            break;
        snprintf(frame, sizeof frame, "%.250s.tif", name);
        snprintf(pattern, sizeof pattern, "%.250s.xye", name);
        st = integrate(d, bragg_path_join(d->arena, d->out, frame), bragg_path_join(d->arena, d->out, pattern), err);
        if (st >= 0)
            st = refine(d, name, c, err);
    }
    if (st >= 0)
        compare_volumes(d);
    return st;
}

static bragg_status run_demo(demo *d, bragg_error *err)
{
    char folder[300];
    snprintf(folder, sizeof folder, "examples/%.200s", d->name);
    d->examples = bragg_data_path(d->arena, folder);
    if (!d->examples || !bragg_path_exists(d->examples))
        return bragg_fail(err, BRAGG_EINVAL, "demo '%s': expected an example in '%s', found none", d->name, d->examples ? d->examples : "");
    if (!d->json)
        printf("%s: simulating frames into %s\n", d->name, d->out);
    cli_progress bar;
    bragg_status st = bragg_simulate(bragg_path_join(d->arena, d->examples, "truth.yaml"), d->out, d->force, cli_observer(&bar, "frame"), err);
    cli_progress_end(&bar);
    if (st >= 0)
        st = copy_examples(d, err);
    if (st >= 0) {
        if (!d->json)
            printf("  %-34s %14s %18s\n", "", "truth", "refined");
        st = run_frames(d, err);
    }
    if (st >= 0 && !d->json)
        printf("\nthe plots are %s/*-rietveld.svg, .pdf and .png, their numbers .csv\n", d->out);
    return st;
}

static int run(int argc, char **argv)
{
    demo d = { .name = "bisnsb-sxrd" };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &d.out, "DIR", "work here [NAME in the present folder]" },
        { "json", 0, CLI_FLAG, &d.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &d.force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_demo, options, 3, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n > 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected at most one NAME, found %d", n);
    if (n == 1)
        d.name = argv[0];
    if (!d.out)
        d.out = d.name;
    d.arena = bragg_arena_new();
    d.comparisons = json_array();
    if (st == BRAGG_OK && (!d.arena || !d.comparisons))
        st = bragg_fail(&err, BRAGG_ENOMEM, "no room for a demo");
    if (st == BRAGG_OK)
        st = run_demo(&d, &err);
    if (st >= 0 && d.json)
        st = bragg_json_write_take(json_pack("{s:s, s:O}", "demo", d.name, "comparisons", d.comparisons), NULL, false, &err);
    json_decref(d.comparisons);
    bragg_arena_free(d.arena);
    return cli_report(&cli_demo, st, &err);
}

const cli_command cli_demo = { "demo", "[NAME]", "simulate an example, analyse it blind, compare with its truth", run };
