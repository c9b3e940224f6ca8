/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A worker: the plan of its sequence section, the model with its parameters by phase, the state a fit
 * begins from, and the fit. */
#include "config.h"
#include "fitting.h"

#include <stdlib.h>
#include <string.h>

static bragg_status read_number(const bragg_yaml *map, const char *key, double low, double high, double *value, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    bragg_status st = node ? bragg_yaml_number(node, value, err) : BRAGG_OK;
    if (st == BRAGG_OK && !(*value >= low && *value <= high))
        return bragg_yaml_fail(node, err, "%s: expected %g to %g, found %g", key, low, high, *value);
    return st;
}

static bragg_status read_direction(const bragg_yaml *node, seq_plan *p, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st == BRAGG_OK && strcmp(text, "forward") && strcmp(text, "backward") && strcmp(text, "both"))
        return bragg_yaml_fail(node, err, "direction: expected forward, backward or both, found '%s'", text);
    p->backward = st == BRAGG_OK && !strcmp(text, "backward");
    p->both = st == BRAGG_OK && !strcmp(text, "both");
    return st;
}

bragg_status bragg_seq_plan(const bragg_experiment *x, seq_plan *p, bragg_error *err)
{
    static const char *const keys[] = { "direction", "propagate", "appear", "enter", "leave", "block" };
    const bragg_yaml *map = bragg_yaml_get(x->root, "sequence"), *node;
    const char *text;
    double block = 32;
    *p = (seq_plan){ .propagate = true, .appear = x->n_phases > 1, .enter = 10, .leave = 0 };
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err) : BRAGG_OK;
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "direction")))
        st = read_direction(node, p, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "propagate")))
        st = bragg_yaml_bool(node, &p->propagate, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "appear")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "bic") && strcmp(text, "always"))
            return bragg_yaml_fail(node, err, "appear: expected bic or always, found '%s'", text);
        p->appear = *text == 'b';
    }
    if (st == BRAGG_OK)
        st = read_number(map, "enter", 0, 1e6, &p->enter, err);
    if (st == BRAGG_OK)
        st = read_number(map, "leave", -1e6, p->enter, &p->leave, err);
    if (st == BRAGG_OK)
        st = read_number(map, "block", 2, 1e6, &block, err);
    p->block = (size_t)block;
    return st;
}

static void describe(seq_worker *w, size_t k, const bragg_param *p)
{
    const char *rest;
    size_t i = w->phase_of[k] = bragg_seq_phase_of(&w->shape, p->name, &rest);
    w->kind[k] = i == SIZE_MAX ? KIND_SHARED : !strcmp(rest, "scale") ? KIND_SCALE : !strncmp(rest, "cell.", 5) || !strcmp(rest, "offset") ? KIND_CELL : KIND_REST;
    if (w->kind[k] == KIND_SCALE)
        w->scale_of[i] = k;
}

/* Extracted intensities of crystallites of a nanometre would fit any background, and what
 * the sample's phases leave with it. */
static void no_hump(seq_worker *w, size_t k)
{
    bragg_param *p = &bragg_model_params(w->m)->at[w->row[k]];
    if (w->phase_of[k] < w->shape.n_phases && w->x->phase[w->phase_of[k]].extract && !strcmp(strrchr(p->name, '.'), ".size"))
        p->lower = fmax(p->lower, 15);
}

static bragg_status name_phases(seq_worker *w, bragg_error *err)
{
    const bragg_experiment *x = w->x;
    const char **names = bragg_arena_alloc(w->arena, x->n_phases + 1, sizeof *names);
    w->mass = bragg_arena_alloc(w->arena, x->n_phases + 1, sizeof *w->mass);
    w->scale_of = bragg_arena_alloc(w->arena, x->n_phases + 1, sizeof *w->scale_of);
    w->level = bragg_arena_alloc(w->arena, 2 * x->n_phases + 1, sizeof *w->level);
    w->tried = bragg_arena_alloc(w->arena, x->n_phases + 1, sizeof *w->tried);
    w->absent = bragg_arena_alloc(w->arena, 2 * x->n_phases + 1, sizeof *w->absent);
    w->strength = bragg_arena_alloc(w->arena, x->n_phases + 1, sizeof *w->strength);
    if (!w->strength || !w->absent || !names || !w->mass || !w->scale_of || !w->level || !w->tried)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for phases");
    w->saved_level = w->level + x->n_phases;
    w->absent2 = w->absent + x->n_phases;
    w->shape.phase = names;
    w->shape.n_phases = x->n_phases;
    for (size_t i = 0; i < x->n_phases; i++) {
        bragg_structure *s = NULL;
        names[i] = x->phase[i].name;
        w->mass[i] = NAN;
        w->level[i] = 3;
        if (x->phase[i].known)
            w->mass[i] = x->phase[i].mass;
        if (x->phase[i].extract || x->phase[i].known || !x->phase[i].path)
            continue;
        bragg_status st = bragg_structure_read_cif(x->phase[i].path, NULL, &s, NULL, 0, err);
        if (st < 0)
            return st;
        w->mass[i] = bragg_structure_mass_g_mol(s);
        bragg_structure_free(s);
    }
    return BRAGG_OK;
}

static bragg_status lay_out(seq_worker *w, bragg_error *err)
{
    const bragg_params *t = bragg_model_params(w->m);
    size_t n = 0, wanted = 0;
    for (size_t k = 0; k < t->n; k++)
        wanted += t->at[k].refine;
    const char **name = bragg_arena_alloc(w->arena, 2 * wanted + 1, sizeof *name);
    w->row = bragg_arena_alloc(w->arena, 2 * wanted + 1, sizeof *w->row);
    w->kind = bragg_arena_alloc(w->arena, wanted + 1, sizeof *w->kind);
    w->initial = bragg_arena_alloc(w->arena, 12 * wanted + 1, sizeof *w->initial);
    w->expect_row = bragg_arena_alloc(w->arena, wanted + 1, sizeof *w->expect_row);
    if (!name || !w->row || !w->kind || !w->initial || !w->expect_row)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", wanted);
    w->phase_of = w->row + wanted;
    w->saved = w->initial + wanted;
    w->home = w->saved + 3 * wanted;
    w->known = w->home + wanted;
    w->doubt = w->known + wanted;
    w->expected = w->doubt + wanted;
    w->expect_value = w->expected + 2 * wanted;
    w->expect_sigma = w->expect_value + wanted;
    for (size_t i = 0; i < w->shape.n_phases; i++)
        w->scale_of[i] = wanted;
    for (size_t k = 0; k < t->n; k++) {
        if (!t->at[k].refine)
            continue;
        name[n] = bragg_arena_strdup(w->arena, t->at[k].name);
        name[wanted + n] = bragg_arena_strdup(w->arena, t->at[k].unit);
        if (!name[n] || !name[wanted + n])
            return bragg_fail(err, BRAGG_ENOMEM, "no room for names");
        w->row[n] = k;
        w->initial[n] = t->at[k].value;
        describe(w, n, &bragg_model_params(w->m)->at[k]);
        no_hump(w, n++);
    }
    w->shape.n_params = wanted;
    w->shape.name = name;
    w->shape.unit = name + wanted;
    bragg_seq_complete(&w->shape, NULL);
    w->pair = bragg_arena_alloc(w->arena, w->shape.n_pairs + 1, sizeof *w->pair);
    w->variable = bragg_arena_alloc(w->arena, t->n + 1, sizeof *w->variable);
    if (!w->pair || !w->variable)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu correlations", w->shape.n_pairs);
    bragg_seq_complete(&w->shape, w->pair);
    return BRAGG_OK;
}

bragg_status bragg_seq_worker_new(const bragg_experiment *x, const seq_plan *plan, const bragg_pattern *p, seq_worker **out, bragg_error *err)
{
    seq_worker *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w || !(w->arena = bragg_arena_new())) {
        free(w);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a sequence");
    }
    w->x = x;
    w->plan = *plan;
    bragg_status st = bragg_experiment_model(x, p, &w->m, err);
    if (st == BRAGG_OK)
        st = name_phases(w, err);
    if (st == BRAGG_OK)
        st = lay_out(w, err);
    if (st < 0)
        bragg_seq_worker_free(w);
    else
        *out = w;
    return st;
}

void bragg_seq_worker_free(seq_worker *w)
{
    if (!w)
        return;
    bragg_model_free(w->m);
    free(w->points);
    free(w->basis);
    free(w->pattern);
    bragg_arena_free(w->arena);
    free(w);
}

const seq_shape *bragg_seq_shape(const seq_worker *w) { return &w->shape; }

/* Which parameters the next fit moves: those of phases that are there, as far as
 * the phases are strong. */
void bragg_worker_apply_levels(seq_worker *w)
{
    for (size_t i = 0; i < w->shape.n_phases; i++)
        bragg_model_switch(w->m, i, w->level[i] > 0);
    for (size_t k = 0; k < w->shape.n_params; k++) {
        size_t i = w->phase_of[k];
        param(w, k)->refine = i == SIZE_MAX || w->kind[k] <= w->level[i] || bragg_memory_is_expected(w, k);
        if (i != SIZE_MAX && !w->level[i] && w->kind[k] == KIND_SCALE)
            param(w, k)->value = 0;
        if (!param(w, k)->refine)
            param(w, k)->esd = NAN;
    }
}

void bragg_worker_set_value(const seq_worker *w, size_t k, double v)
{
    bragg_param *p = param(w, k);
    p->value = isfinite(v) ? fmin(fmax(v, p->lower), p->upper) : p->value;
}

void bragg_worker_set_state(seq_worker *w, const double *from, const double *hint)
{
    const seq_shape *s = &w->shape;
    for (size_t i = 0; i < s->n_phases; i++)
        w->level[i] = (int)from[seq_phase(s, PHASE_LEVEL, i)];
    for (size_t k = 0; k < s->n_params; k++) {
        size_t i = w->phase_of[k];
        bool new = hint && i != SIZE_MAX && !w->level[i] && hint[seq_phase(s, PHASE_LEVEL, i)] > 0 && w->kind[k] != KIND_SCALE;
        bool known = i != SIZE_MAX && !w->level[i] && w->doubt[k] > 0;
        bragg_worker_set_value(w, k, known ? w->known[k] : (new ? hint : from)[seq_value(s, k)]);
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_worker_apply_levels(w);
}

void bragg_worker_save(seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        w->saved[k] = param(w, k)->value;
        w->saved[w->shape.n_params + k] = param(w, k)->esd;
        w->saved[2 * w->shape.n_params + k] = w->doubt[k];
    }
    memcpy(w->saved_level, w->level, w->shape.n_phases * sizeof *w->level);
}

void bragg_worker_restore(seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        param(w, k)->value = w->saved[k];
        param(w, k)->esd = w->saved[w->shape.n_params + k];
        w->doubt[k] = w->saved[2 * w->shape.n_params + k];
    }
    memcpy(w->level, w->saved_level, w->shape.n_phases * sizeof *w->level);
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_worker_apply_levels(w);
}

/* ENOCONV is an answer here. */
bragg_status bragg_worker_refine(seq_worker *w, bool stages, bragg_fit **f, bragg_error *err)
{
    bragg_refine_options o = w->x->options;
    o.observer = NULL;
    o.stages = stages && o.stages;
    bragg_error own = BRAGG_ERROR_INIT;
    bragg_fit_free(*f);
    *f = NULL;
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_status st = bragg_memory_expect(w, &own);
    if (st == BRAGG_OK)
        st = bragg_refine(w->m, &o, f, &own);
    if (st == BRAGG_ENOCONV && *f) { /* a stalled step is often past with a fresh start from there */
        bragg_fit *again = NULL;
        bragg_error ignored = BRAGG_ERROR_INIT;
        o.stages = false;
        st = bragg_refine(w->m, &o, &again, &ignored);
        if (!again)
            return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
        bragg_fit_free(*f);
        *f = again;
        return BRAGG_OK;
    }
    return st < 0 ? bragg_fail(err, st, "%s", own.text) : BRAGG_OK;
}

int bragg_worker_columns(const seq_worker *w, size_t phase, int level)
{
    int n = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        n += w->phase_of[k] == phase && w->kind[k] <= level;
    return n;
}
