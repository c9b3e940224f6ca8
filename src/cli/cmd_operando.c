/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg operando: a run of patterns, refined in sequence, with its map. */
#include "config.h"
#include "cli.h"

#include <bragg/operando.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *out;
    bool json, force;
} wish;

/* ------------------------------------------------------------------ json */

static json_t *step_json(const bragg_series *s, size_t i)
{
    const bragg_step *step = &s->step[i];
    json_t *row = json_object(), *params = json_object(), *phases = json_array();
    json_object_set_new(row, "frame", json_integer((json_int_t)i));
    json_object_set_new(row, "file", json_string(step->file));
    json_object_set_new(row, "status", json_string(!step->done ? "failed" : !step->converged ? "not converged" : step->restarted ? "restarted" : "converged"));
    if (!step->done)
        json_object_set_new(row, "error", json_string(step->error));
    json_object_set_new(row, "time_s", bragg_json_number(step->time_s));
    json_object_set_new(row, "voltage_v", json_null());
    json_object_set_new(row, "temperature_k", bragg_json_number(step->temperature_k));
    json_object_set_new(row, "rwp", bragg_json_number(step->rwp));
    json_object_set_new(row, "gof", bragg_json_number(step->gof));
    for (size_t k = 0; step->done && k < s->n_params; k++)
        if (s->refined[k])
            json_object_set_new(params, s->name[k], bragg_json_quantity(step->value[k], step->esd[k], s->unit[k]));
    for (size_t k = 0; step->done && k < s->n_phases; k++) {
        json_t *phase = json_object();
        json_object_set_new(phase, "name", json_string(s->phase[k]));
        json_object_set_new(phase, "volume", bragg_json_quantity(step->volume[k].value, step->volume[k].esd, "angstrom^3"));
        json_object_set_new(phase, "weight_fraction", bragg_json_quantity(step->fraction[k].value, step->fraction[k].esd, ""));
        json_array_append_new(phases, phase);
    }
    json_object_set_new(row, "parameters", params);
    json_object_set_new(row, "phases", phases);
    return row;
}

static json_t *series_json(const bragg_series *s)
{
    json_t *rows = json_array();
    for (size_t k = 0; k < s->n; k++)
        json_array_append_new(rows, step_json(s, k));
    return json_pack("{s:o}", "frames", rows);
}

/* ----------------------------------------------------------------- plots */

/* All patterns on the abscissa of the first, row by row. */
static bragg_status read_map(const bragg_series *s, const bragg_pattern *first, double *map, bragg_error *err)
{
    for (size_t k = 0; k < s->n; k++) {
        bragg_pattern *p;
        double *row = map + k * first->n;
        if (bragg_pattern_read(s->step[k].file, 0, &p, NULL) < 0) { /* told already */
            for (size_t i = 0; i < first->n; i++)
                row[i] = NAN;
            continue;
        }
        for (size_t i = 0, j = 0; i < first->n; i++) {
            while (j + 1 < p->n && p->x[j + 1] < first->x[i])
                j++;
            bool inside = j + 1 < p->n && first->x[i] >= p->x[0];
            double u = inside ? (first->x[i] - p->x[j]) / (p->x[j + 1] - p->x[j]) : 0;
            row[i] = inside && p->axis == first->axis ? (1 - u) * p->y[j] + u * p->y[j + 1] : NAN;
        }
        bragg_pattern_free(p);
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status plot_map(const bragg_series *s, const bragg_experiment *x, const char *path, bool force, bragg_error *err)
{
    bragg_pattern *first;
    bragg_status st = bragg_pattern_read(s->step[0].file, 0, &first, err);
    if (st < 0)
        return st;
    double *map = malloc((s->n * first->n + 2 * s->n) * sizeof *map), *number = map + s->n * first->n, *temperature = number + s->n;
    bool heated = map != NULL;
    for (size_t k = 0; map && k < s->n; k++) {
        number[k] = (double)k;
        temperature[k] = s->step[k].temperature_k;
        heated = heated && isfinite(temperature[k]);
    }
    st = map ? read_map(s, first, map, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a map of %zu patterns", s->n);
    if (st == BRAGG_OK) {
        bragg_plot_curve curve = { s->n, number, temperature, NULL, "Temperature (K)" };
        bragg_plot_map data = { first->n, s->n, first->x, number, map, first->axis, first->wavelength_ang, heated, &curve, 0, NULL, 0, NULL };
        bragg_plot_contour_options o = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
        o.page.width_mm = 170;
        o.page.title = x->title;
        o.page.force = force;
        o.by_frame = true;
        o.x_min = x->pattern->histogram.first_rad;
        o.x_max = x->pattern->histogram.last_rad;
        st = bragg_plot_contour(&data, &o, path, err);
    }
    free(map);
    bragg_pattern_free(first);
    return st;
}

/* Volumes of all phases, one panel each, against temperature or frame. */
static bragg_status plot_volumes(const bragg_series *s, const bragg_experiment *x, const char *path, bool force, bragg_error *err)
{
    double *v = malloc((s->n + 2 * s->n * s->n_phases) * sizeof *v + 1);
    bragg_plot_panel *panels = calloc(s->n_phases + 1, sizeof *panels);
    bragg_plot_curve *curves = calloc(s->n_phases + 1, sizeof *curves);
    char(*labels)[160] = calloc(s->n_phases + 1, sizeof *labels);
    bragg_status st = v && panels && curves && labels ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a plot");
    bool heated = true;
    for (size_t k = 0; k < s->n; k++)
        heated = heated && isfinite(s->step[k].temperature_k);
    for (size_t k = 0; st == BRAGG_OK && k < s->n; k++) {
        v[k] = heated ? s->step[k].temperature_k : (double)k;
        for (size_t p = 0; p < s->n_phases; p++) {
            v[s->n + 2 * p * s->n + k] = s->step[k].done ? s->step[k].volume[p].value : NAN;
            v[s->n + (2 * p + 1) * s->n + k] = s->step[k].done ? s->step[k].volume[p].esd : NAN;
        }
    }
    for (size_t p = 0; st == BRAGG_OK && p < s->n_phases; p++) {
        const double *y = v + s->n + 2 * p * s->n;
        snprintf(labels[p], sizeof labels[p], "<i>V</i> %.60s (Å³)", s->phase[p]);
        curves[p] = (bragg_plot_curve){ s->n, v, y, y + s->n, s->phase[p] };
        panels[p] = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
        panels[p].y_label = labels[p];
        panels[p].n_curves = 1;
        panels[p].curves = &curves[p];
    }
    if (st == BRAGG_OK && s->n_phases && s->n > 1) {
        bragg_plot_series_options o = BRAGG_PLOT_SERIES_OPTIONS_INIT;
        o.page.title = x->title;
        o.page.force = force;
        o.x_label = heated ? "Temperature (K)" : "Frame";
        st = bragg_plot_series(panels, s->n_phases, &o, path, err);
    }
    free(v);
    free(panels);
    free(curves);
    free(labels);
    return st;
}

/* -------------------------------------------------------------- command */

static bragg_status write_results(const wish *w, const bragg_series *s, const bragg_experiment *x, bragg_error *err)
{
    static const char *const kinds[] = { "svg", "png" };
    bragg_status st = bragg_path_make_folder(w->out, err);
    char name[64];
    if (st == BRAGG_OK)
        st = bragg_series_write_csv(s, bragg_path_join(s->arena, w->out, "series.csv"), w->force, err);
    if (st == BRAGG_OK)
        st = bragg_json_write_take(series_json(s), bragg_path_join(s->arena, w->out, "series.json"), w->force, err);
    for (int k = 0; k < 2 && st == BRAGG_OK; k++) {
        snprintf(name, sizeof name, "map.%s", kinds[k]);
        st = s->n > 1 ? plot_map(s, x, bragg_path_join(s->arena, w->out, name), w->force || k, err) : BRAGG_OK;
        snprintf(name, sizeof name, "volumes.%s", kinds[k]);
        if (st == BRAGG_OK)
            st = plot_volumes(s, x, bragg_path_join(s->arena, w->out, name), w->force || k, err);
    }
    return st;
}

static void print_series(const bragg_series *s)
{
    char text[BRAGG_NUMBER_TEXT];
    printf("%-24s %8s %9s %6s  %s\n", "file", "T/K", "Rwp/%", "GOF", "volumes/angstrom^3, weight fractions");
    for (size_t k = 0; k < s->n; k++) {
        const bragg_step *step = &s->step[k];
        const char *base = strrchr(step->file, '/') ? strrchr(step->file, '/') + 1 : step->file;
        if (!step->done) {
            printf("%-24s failed: %s\n", base, step->error);
            continue;
        }
        printf("%-24s %8.2f %9.3f %6.2f ", base, step->temperature_k, 100 * step->rwp, step->gof);
        for (size_t p = 0; p < s->n_phases; p++)
            printf(" %s", bragg_number_print_esd(text, step->volume[p].value, step->volume[p].esd));
        for (size_t p = 0; s->n_phases > 1 && p < s->n_phases; p++)
            printf(" %s", bragg_number_print_esd(text, step->fraction[p].value, step->fraction[p].esd));
        printf("%s\n", step->restarted ? "  restarted" : !step->converged ? "  not converged" : "");
    }
}

static bragg_status operando(const wish *w, const char *path, bragg_error *err)
{
    bragg_experiment *x = NULL;
    bragg_series *s = NULL;
    const char **files;
    size_t n = 0;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? bragg_experiment_read(path, &x, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    if (st == BRAGG_OK)
        st = bragg_series_files(x, path, arena, &files, &n, err);
    if (st == BRAGG_OK) {
        cli_progress bar;
        st = bragg_series_run(x, files, n, cli_observer(&bar, "pattern"), &s, err);
        cli_progress_end(&bar);
    }
    if (st >= 0 && w->out)
        st = write_results(w, s, x, err);
    if (st >= 0 && w->json)
        st = bragg_json_write_take(series_json(s), NULL, false, err);
    else if (st >= 0)
        print_series(s);
    bragg_series_free(s);
    bragg_experiment_free(x);
    bragg_arena_free(arena);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { 0 };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.out, "DIR", "write series.csv, series.json, the map and the volumes here" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_operando, options, 3, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected one EXPERIMENT.yaml, found %d names", n);
    if (st == BRAGG_OK)
        st = operando(&w, argv[0], &err);
    return cli_report(&cli_operando, st, &err);
}

const cli_command cli_operando = { "operando", "EXPERIMENT.yaml", "refine a run of patterns in sequence and draw its map", run };
