/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg refine: an experiment file to refined parameters. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *out, *scale, *start;
    bragg_plot_rietveld_options look;
    bool json, force, parameters, config;
} wish;

static bragg_status add_provenance(json_t *root, const bragg_experiment *x, bragg_error *err)
{
    json_t *inputs = json_array();
    bragg_status st = cli_add_input(inputs, x->root->file, err);
    for (size_t k = 0; k < x->n_patterns && st == BRAGG_OK; k++)
        st = cli_add_input(inputs, x->pattern[k].file, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        if (x->phase[k].path)
            st = cli_add_input(inputs, x->phase[k].path, err);
    if (x->title)
        json_object_set_new(root, "title", json_string(x->title));
    json_object_set_new(root, "program", json_string("bragg " PACKAGE_VERSION));
    json_object_set_new(root, "inputs", inputs);
    return st;
}

static const char *file_of(const wish *w, const bragg_experiment *x, size_t k, const char *stem, const char *end, bragg_arena *arena)
{
    char name[200];
    snprintf(name, sizeof name, "%s%s%.120s%s", stem, x->n_patterns > 1 ? "-" : "", x->n_patterns > 1 ? x->pattern[k].name : "", end);
    return bragg_path_join(arena, w->out, name);
}

/* Plot and instrument of one pattern; of several they carry its name. */
static bragg_status write_pattern(const wish *w, const bragg_experiment *x, bragg_model *m, size_t k, const bragg_fit *f, bragg_arena *arena, bragg_error *err)
{
    bragg_instrument instrument;
    bragg_plot_rietveld_options o = w->look;
    o.page.width_mm = 170;
    o.page.title = x->title;
    o.page.force = w->force;
    bragg_status st = bragg_plot_refined(m, k, f, &o, file_of(w, x, k, "fit", ".svg", arena), err);
    o.page.force = true; /* its numbers are there already */
    if (st == BRAGG_OK)
        st = bragg_plot_refined(m, k, f, &o, file_of(w, x, k, "fit", ".png", arena), err);
    bragg_instrument_of(m, k, &instrument);
    return st == BRAGG_OK ? bragg_instrument_write(&instrument, file_of(w, x, k, "instrument", ".instr", arena), w->force, err) : st;
}

/* Everything a reader of the results may want, beside each other in one folder. */
static bragg_status write_results(const wish *w, const bragg_experiment *x, bragg_model *m, const bragg_fit *f, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    const char *cards[64];
    bragg_status st = arena ? bragg_path_make_folder(w->out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for results");
    for (size_t k = 0; k < x->n_phases && k < 64; k++)
        cards[k] = x->phase[k].card;
    json_t *root = cli_fit_json(f, bragg_model_params(m), x->n_phases <= 64 ? cards : NULL);
    if (st == BRAGG_OK)
        st = add_provenance(root, x, err);
    if (st == BRAGG_OK)
        st = bragg_json_write_take(root, bragg_path_join(arena, w->out, "fit.json"), w->force, err);
    else
        json_decref(root);
    for (size_t k = 0; k < x->n_patterns && st == BRAGG_OK; k++)
        st = write_pattern(w, x, m, k, f, arena, err);
    if (st == BRAGG_OK)
        st = bragg_fit_write_cif(m, f, x->title, bragg_path_join(arena, w->out, "fit.cif"), w->force, err);
    if (st == BRAGG_OK)
        st = bragg_fit_write_parameters(m, f, bragg_path_join(arena, w->out, "parameters.csv"), w->force, err);
    if (st == BRAGG_OK)
        st = bragg_fit_write_reflections(m, bragg_path_join(arena, w->out, "reflections.csv"), w->force, err);
    if (st == BRAGG_OK)
        st = bragg_fit_write_geometry(m, f, bragg_path_join(arena, w->out, "geometry.csv"), w->force, err);
    static const char *const endings[] = { ".svg", ".png" };
    for (int k = 0; k < 2 && st == BRAGG_OK; k++) { /* the numbers of the second are there already */
        char name[2][40];
        snprintf(name[0], sizeof name[0], "breadth%s", endings[k]);
        snprintf(name[1], sizeof name[1], "correlations%s", endings[k]);
        st = bragg_plot_refined_breadths(m, f, bragg_path_join(arena, w->out, name[0]), w->force || k, err);
        if (st == BRAGG_OK && f->variables)
            st = bragg_plot_refined_correlations(m, f, bragg_path_join(arena, w->out, name[1]), w->force || k, err);
    }
    bragg_arena_free(arena);
    return st;
}

/* What the refinement begins with, written before it does: nothing is lost whatever
 * becomes of it, and a folder that holds results already is found out in time. */
static bragg_status write_start(const wish *w, const bragg_experiment *x, bragg_model *m, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? bragg_path_make_folder(w->out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for results");
    if (st == BRAGG_OK)
        st = cli_write_config(x, NULL, bragg_path_join(arena, w->out, "experiment.yaml"), w->force, err);
    json_t *root = st == BRAGG_OK ? json_pack("{s:o}", "parameters", cli_params_json(bragg_model_params(m), 1)) : NULL;
    if (root && (st = add_provenance(root, x, err)) == BRAGG_OK)
        st = bragg_json_write_take(root, bragg_path_join(arena, w->out, "start.json"), w->force, err);
    else
        json_decref(root);
    bragg_arena_free(arena);
    return st;
}

/* X-rays see less of the grains of a phase that absorbs more than the rest, the coarser the less:
 * how much is said where it could matter, as nothing in the pattern tells it. */
static bragg_status print_grains(const bragg_model *m, const bragg_fit *f, bragg_error *err)
{
    static const double grain_um = 5; /* a powder that was ground by hand */
    char text[BRAGG_NUMBER_TEXT];
    const char *before = " ";
    double *w = malloc((f->n_phases + 1) * sizeof *w), most = 0;
    bragg_status st = w ? bragg_model_coarse_fractions(m, grain_um, w, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for fractions");
    for (size_t k = 0; k < f->n_phases && st == BRAGG_OK; k++)
        most = fmax(most, fabs(w[k] - f->phase[k].weight_fraction.value));
    if (st == BRAGG_OK && most > 0.01) {
        printf("weight fractions are those of fine grains, far below 1 um; in coarse ones the phase that absorbs more shows too little of itself (microabsorption).\n"
               "  The pattern does not tell how coarse they are; all of %g um, as ground by hand, they would be:", grain_um);
        for (size_t k = 0; k < f->n_phases; k++)
            if (isfinite(f->phase[k].weight_fraction.value)) {
                printf("%s%s %s", before, f->phase[k].name, bragg_number_print_digits(text, w[k], 3));
                before = ", ";
            }
        printf(".\n  Grind finer, or give their diameter, from a microscope, beside each card: particle_diameter_um: %g\n", grain_um);
    }
    free(w);
    return st;
}

/* The phase of which more than a trace is there and whose intensities are least its structure's. */
static size_t least_like_itself(const bragg_fit *f)
{
    static const double strange = 0.15; /* R_Bragg; a good fit has a few per cent */
    size_t worst = SIZE_MAX;
    for (size_t k = 0; k < f->n_phases; k++)
        if (f->phase[k].r_bragg > (worst == SIZE_MAX ? strange : f->phase[worst].r_bragg) && !(f->phase[k].weight_fraction.value < 0.05))
            worst = k;
    return worst;
}

/* Intensities that are not the structure's make wrong scales: of a laboratory's powders most
 * often because plates and needles lie.  The worst is told, as others err with it. */
static bragg_status print_lying(bragg_model *m, const bragg_fit *f, bragg_error *err)
{
    size_t worst = least_like_itself(f);
    bragg_lying best;
    char row[300];
    if (worst == SIZE_MAX)
        return BRAGG_OK;
    const bragg_fit_phase *p = &f->phase[worst];
    snprintf(row, sizeof row, "phase.%.200s.march", p->name);
    if (bragg_params_find(bragg_model_params(m), row) >= 0)
        return BRAGG_OK;
    bragg_status st = bragg_model_lying(m, worst, &best, err);
    if (st < 0)
        return st;
    printf("%s has intensities that are not its structure's: R_Bragg %.0f %%%s.\n", p->name, 100 * p->r_bragg,
           f->n_phases > 1 ? ", so that its weight fraction errs by more than its esd" : "");
    if (isfinite(best.after))
        printf("  Grains that lie along [%d, %d, %d] would leave about %.0f %%; beside its card: march: [%d, %d, %d], and march in its refine where it has one\n", best.hkl[0], best.hkl[1], best.hkl[2],
               100 * best.after, best.hkl[0], best.hkl[1], best.hkl[2]);
    else
        printf("  No axis of small indices along which grains could lie explains it: is it this structure, does another phase stand on its lines, are grains so coarse\n"
               "  that few reflect (turn the sample)? An axis of one's own: march: [h, k, l] beside its card\n");
    return BRAGG_OK;
}

/* What the experiment does not say and the pattern's file does. */
static void print_radius(const bragg_experiment *x)
{
    char text[BRAGG_NUMBER_TEXT];
    for (size_t k = 0; k < x->n_patterns; k++)
        if (x->pattern[k].radius_asked)
            printf("goniometer radius%s%s: %s mm, as the pattern's file says\n", x->n_patterns > 1 ? " of " : "", x->n_patterns > 1 ? x->pattern[k].name : "",
                   bragg_number_print_digits(text, 1000 * x->pattern[k].histogram.radius_m, 7));
}

static bragg_status show_results(const wish *w, const bragg_experiment *x, bragg_model *m, const bragg_fit *f, bragg_error *err)
{
    bragg_status st = w->out ? write_results(w, x, m, f, err) : BRAGG_OK;
    if (st == BRAGG_OK && w->json)
        return bragg_json_print_take(cli_fit_json(f, bragg_model_params(m), NULL), err);
    if (!w->json) {
        cli_print_fit(stdout, f, bragg_model_params(m));
        print_radius(x);
        st = st == BRAGG_OK ? print_lying(m, f, err) : st;
        st = st == BRAGG_OK ? print_grains(m, f, err) : st;
    }
    return st;
}

static bragg_status refine(wish *w, const char *path, bragg_error *err)
{
    bragg_experiment *x = NULL;
    bragg_model *m = NULL;
    bragg_fit *f = NULL;
    bragg_status st = cli_experiment_read(path, &x, err);
    if (st == BRAGG_OK)
        st = bragg_experiment_start(x, w->start, err);
    if (st == BRAGG_OK && !w->out)
        w->out = x->directory;
    if (st == BRAGG_OK && w->config) {
        st = cli_print_config(x, NULL, err);
        bragg_experiment_free(x);
        return st;
    }
    if (st == BRAGG_OK)
        st = bragg_experiment_load(x, &m, err);
    if (st == BRAGG_OK)
        cli_tell_cards(x);
    if (st == BRAGG_OK && w->parameters)
        cli_list_params(bragg_model_params(m));
    else if (st == BRAGG_OK && w->out)
        st = write_start(w, x, m, err);
    if (st == BRAGG_OK && !w->parameters) {
        cli_progress bar;
        x->options.observer = cli_observer(&bar, "refine");
        st = bragg_refine(m, &x->options, &f, err);
        cli_progress_end(&bar);
    }
    if (f) { /* also what did not converge is written and shown */
        bragg_status shown = show_results(w, x, m, f, st < 0 ? NULL : err);
        st = st < 0 ? st : shown;
    }
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_experiment_free(x);
    return st;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    wish *w = payload;
    bragg_status st = cli_one("EXPERIMENT.yaml", operands, argv, err);
    if (st == BRAGG_OK && w->scale && !bragg_plot_scale_parse(w->scale, &w->look.scale))
        st = bragg_fail(err, BRAGG_EINVAL, "--scale: expected linear, sqrt or log, found '%s'", w->scale);
    return st == BRAGG_OK ? refine(w, argv[0], err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { .look = BRAGG_PLOT_RIETVELD_OPTIONS_INIT };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.out, "DIR", "write fit.json, fit.cif, tables, plots and instrument.instr here" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "scale", 's', CLI_TEXT, &w.scale, "HOW", "intensities of the plot: linear, sqrt or log [linear]" },
        { "weighted", 'w', CLI_FLAG, &w.look.weighted, NULL, "difference of the plot over its uncertainty" },
        { "start", 0, CLI_TEXT, &w.start, "RESULT", "start from an earlier result: a fit.json or start.json, or their folder" },
        { "print-config", 0, CLI_FLAG, &w.config, NULL, "print the experiment as it is in force and exit" },
        { "parameters", 0, CLI_FLAG, &w.parameters, NULL, "list all parameters at their start and exit" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_refine, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_refine = { "refine", "EXPERIMENT.yaml", "Rietveld refinement of an experiment file", run };
