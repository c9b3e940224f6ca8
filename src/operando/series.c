/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Patterns of a run, refined in sequence. */
#include "config.h"
#include <bragg/operando.h>

#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- files */

static bragg_status add_files(const char *experiment_path, const bragg_yaml *node, bragg_arena *arena, const char ***files, size_t *n, bragg_error *err)
{
    const char *text, **found;
    size_t more;
    bragg_status st = bragg_yaml_text(node, &text, err);
    char *pattern = st == BRAGG_OK ? bragg_path_beside(arena, experiment_path, text) : NULL;
    if (st == BRAGG_OK && !pattern)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK)
        st = bragg_path_list(arena, pattern, NULL, &found, &more, err);
    const char **all = st == BRAGG_OK ? bragg_arena_alloc(arena, *n + more + 1, sizeof *all) : NULL;
    if (st == BRAGG_OK && !all)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu files", *n + more);
    if (st < 0)
        return st;
    if (*n)
        memcpy(all, *files, *n * sizeof *all);
    memcpy(all + *n, found, more * sizeof *all);
    *files = all;
    *n += more;
    return BRAGG_OK;
}

bragg_status bragg_series_files(const bragg_experiment *x, const char *experiment_path, bragg_arena *arena, const char ***files, size_t *n, bragg_error *err)
{
    const bragg_yaml *data = bragg_yaml_get(x->root, "data"), *node = bragg_yaml_get(data, "patterns");
    *files = NULL;
    *n = 0;
    if (!node)
        node = bragg_yaml_get(data, "pattern");
    if (!node)
        return bragg_yaml_fail(data ? data : x->root, err, "data: expected patterns, found none");
    if (node->kind == BRAGG_YAML_SCALAR)
        return add_files(experiment_path, node, arena, files, n, err);
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *c = node->child; c && st == BRAGG_OK; c = c->next)
        st = add_files(experiment_path, c, arena, files, n, err);
    return st;
}

/* ------------------------------------------------------------- sequence */

typedef struct plan {
    bool backward, propagate;
} plan;

static bragg_status read_plan(const bragg_experiment *x, plan *p, bragg_error *err)
{
    static const char *const keys[] = { "direction", "propagate", "appear" };
    const bragg_yaml *map = bragg_yaml_get(x->root, "sequence"), *node;
    const char *text;
    *p = (plan){ false, true };
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, 3, err) : BRAGG_OK;
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "direction")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "forward") && strcmp(text, "backward"))
            return bragg_yaml_fail(node, err, "direction: expected forward or backward, found '%s'", text);
        p->backward = *text == 'b';
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "propagate")))
        st = bragg_yaml_bool(node, &p->propagate, err);
    return st;
}

/* The table's shape, from the first model: what the rows of all steps mean. */
static bragg_status lay_out(bragg_series *s, bragg_model *m, bragg_error *err)
{
    const bragg_params *t = bragg_model_params(m);
    const char **name = bragg_arena_alloc(s->arena, 2 * t->n + 1, sizeof *name), **unit = name ? name + t->n : NULL;
    bool *refined = bragg_arena_alloc(s->arena, t->n + 1, sizeof *refined);
    bool good = name && refined;
    for (size_t k = 0; good && k < t->n; k++) {
        name[k] = bragg_arena_strdup(s->arena, t->at[k].name);
        unit[k] = bragg_arena_strdup(s->arena, t->at[k].unit);
        good = name[k] && unit[k];
    }
    s->n_params = t->n;
    s->name = name;
    s->unit = unit;
    s->refined = refined;
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the series");
}

static bragg_status keep(bragg_series *s, bragg_step *step, bragg_model *m, const bragg_fit *f, bragg_error *err)
{
    const bragg_params *t = bragg_model_params(m);
    step->value = bragg_arena_alloc(s->arena, 2 * s->n_params + 1, sizeof(double));
    step->fraction = bragg_arena_alloc(s->arena, 2 * s->n_phases + 1, sizeof(bragg_quantity));
    if (!step->value || !step->fraction)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a step of the series");
    step->esd = step->value + s->n_params;
    step->volume = step->fraction + s->n_phases;
    for (size_t k = 0; k < s->n_params; k++) {
        step->value[k] = t->at[k].value;
        step->esd[k] = t->at[k].esd;
        s->refined[k] |= isfinite(t->at[k].esd);
    }
    for (size_t k = 0; k < s->n_phases; k++) {
        step->fraction[k] = f->phase[k].weight_fraction;
        step->volume[k] = f->phase[k].volume_ang3;
    }
    step->rwp = f->rwp;
    step->gof = f->gof;
    step->converged = f->converged;
    step->done = true;
    return BRAGG_OK;
}

static void start_from(bragg_model *m, const bragg_step *neighbour)
{
    bragg_params *t = bragg_model_params(m);
    for (size_t k = 0; k < t->n; k++)
        t->at[k].value = fmin(fmax(neighbour->value[k], t->at[k].lower), t->at[k].upper);
}

/* One attempt; the caller frees model and fit. */
static bragg_status attempt(const bragg_experiment *x, const bragg_pattern *p, const bragg_step *neighbour, bragg_model **m, bragg_fit **f, bragg_error *err)
{
    *f = NULL;
    bragg_status st = bragg_experiment_model(x, p, m, err);
    if (st < 0)
        return st;
    bragg_refine_options o = x->options;
    o.observer = NULL;
    if (neighbour) {
        start_from(*m, neighbour);
        o.stages = false;
    }
    st = bragg_refine(*m, &o, f, err);
    return st == BRAGG_ENOCONV ? BRAGG_OK : st;
}

/* From the neighbour first; from the experiment's own start when that fails or
 * ends with a fit worse by a third than the neighbour's. */
static bragg_status fit_step(const bragg_experiment *x, bragg_series *s, bragg_step *step, const bragg_step *neighbour, bragg_error *err)
{
    bragg_pattern *p;
    bragg_status st = bragg_pattern_read(step->file, 0, &p, err);
    if (st < 0)
        return st;
    step->time_s = p->time_s;
    step->temperature_k = p->temperature_k;
    bragg_model *m = NULL, *again = NULL;
    bragg_fit *f = NULL, *second = NULL;
    bragg_error first = BRAGG_ERROR_INIT;
    st = attempt(x, p, neighbour, &m, &f, &first);
    bool poor = st < 0 || !f->converged || (neighbour && f->gof > 1.33 * neighbour->gof);
    if (neighbour && poor && attempt(x, p, NULL, &again, &second, err) >= 0 && (st < 0 || second->rwp < f->rwp)) {
        step->restarted = true;
        st = keep(s, step, again, second, err);
    } else if (st >= 0) {
        st = s->name ? BRAGG_OK : lay_out(s, m, err);
        if (st == BRAGG_OK)
            st = keep(s, step, m, f, err);
    } else {
        bragg_fail(err, st, "%s", first.text);
    }
    bragg_fit_free(f);
    bragg_fit_free(second);
    bragg_model_free(m);
    bragg_model_free(again);
    bragg_pattern_free(p);
    return st;
}

static bragg_status prepare(const bragg_experiment *x, const char *const *files, size_t n, bragg_series **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_series *s = arena ? bragg_arena_alloc(arena, 1, sizeof *s) : NULL;
    const char **names = s ? bragg_arena_alloc(arena, x->n_phases + 1, sizeof *names) : NULL;
    if (!s || !names || !(s->step = bragg_arena_alloc(arena, n + 1, sizeof *s->step))) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a series of %zu patterns", n);
    }
    s->arena = arena;
    s->n = n;
    s->n_phases = x->n_phases;
    s->phase = names;
    for (size_t k = 0; k < x->n_phases; k++)
        names[k] = bragg_arena_strdup(arena, x->phase[k].name);
    for (size_t k = 0; k < n; k++)
        s->step[k] = (bragg_step){ .file = bragg_arena_strdup(arena, files[k]), .time_s = NAN, .temperature_k = NAN, .rwp = NAN, .gof = NAN };
    *out = s;
    return BRAGG_OK;
}

bragg_status bragg_series_run(const bragg_experiment *x, const char *const *files, size_t n, const bragg_observer *observer, bragg_series **out, bragg_error *err)
{
    plan p;
    bragg_series *s = NULL;
    *out = NULL;
    bragg_status st = read_plan(x, &p, err);
    if (st == BRAGG_OK && !n)
        st = bragg_fail(err, BRAGG_EDATA, "series: expected patterns, found none");
    if (st == BRAGG_OK)
        st = prepare(x, files, n, &s, err);
    if (st < 0)
        return st;
    const bragg_step *neighbour = NULL;
    size_t good = 0;
    for (size_t k = 0; k < n && st >= 0; k++) {
        bragg_step *step = &s->step[p.backward ? n - 1 - k : k];
        bragg_error one = BRAGG_ERROR_INIT;
        bragg_status own = fit_step(x, s, step, p.propagate ? neighbour : NULL, &one);
        if (own < 0)
            snprintf(step->error, sizeof step->error, "%.250s", one.text);
        else {
            neighbour = step;
            good++;
        }
        bragg_log(observer, own < 0 ? BRAGG_LOG_WARNING : BRAGG_LOG_INFO, "%s: %s", step->file, own < 0 ? step->error : step->restarted ? "restarted" : "fitted");
        if (!bragg_progress(observer, k + 1, n))
            st = BRAGG_STOPPED;
    }
    if (st >= 0 && !good)
        st = bragg_fail(err, BRAGG_EDATA, "series: none of %zu patterns could be fitted; the first says: %s", n, s->step[p.backward ? n - 1 : 0].error);
    if (st < 0) {
        bragg_series_free(s);
        return st;
    }
    *out = s;
    return st;
}

void bragg_series_free(bragg_series *s)
{
    if (s)
        bragg_arena_free(s->arena);
}

/* ------------------------------------------------------------------ csv */

static void print(FILE *to, double v, int digits)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, ",%s", isfinite(v) ? bragg_number_print_digits(text, v, digits) : "");
}

static const char *status_of(const bragg_step *s)
{
    return !s->done ? "failed" : !s->converged ? "not converged" : s->restarted ? "restarted" : "converged";
}

bragg_status bragg_series_write_csv(const bragg_series *s, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "frame,file,status,time_s,temperature_k,rwp,gof");
    for (size_t k = 0; k < s->n_params; k++)
        if (s->refined[k])
            fprintf(to, ",%s,%s.esd", s->name[k], s->name[k]);
    for (size_t k = 0; k < s->n_phases; k++)
        fprintf(to, ",phase.%s.volume,phase.%s.volume.esd,phase.%s.weight_fraction,phase.%s.weight_fraction.esd", s->phase[k], s->phase[k], s->phase[k], s->phase[k]);
    fputc('\n', to);
    for (size_t i = 0; i < s->n; i++) {
        const bragg_step *step = &s->step[i];
        fprintf(to, "%zu,%s,%s", i, step->file, status_of(step));
        print(to, step->time_s, 14);
        print(to, step->temperature_k, 8);
        print(to, step->rwp, 6);
        print(to, step->gof, 6);
        for (size_t k = 0; k < s->n_params; k++)
            if (s->refined[k]) {
                print(to, step->done ? step->value[k] : NAN, 10);
                print(to, step->done ? step->esd[k] : NAN, 3);
            }
        for (size_t k = 0; k < s->n_phases; k++) {
            print(to, step->done ? step->volume[k].value : NAN, 10);
            print(to, step->done ? step->volume[k].esd : NAN, 3);
            print(to, step->done ? step->fraction[k].value : NAN, 8);
            print(to, step->done ? step->fraction[k].esd : NAN, 3);
        }
        fputc('\n', to);
    }
    return bragg_output_commit(out, err);
}
