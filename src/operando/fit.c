/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One frame of a run: from its neighbour's state to its own, phases coming and going
 * on evidence. */
#include "config.h"
#include "operando.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_SHARED, KIND_SCALE, KIND_CELL, KIND_REST };

/* The scale a phase that is not there would have; sigma NAN when nobody asked. */
typedef struct absent {
    double scale, sigma;
} absent;

struct seq_worker {
    bragg_arena *arena;
    const bragg_experiment *x;
    seq_plan plan;
    bragg_model *m;
    seq_shape shape;
    size_t *row;             /* of the table, a parameter each */
    size_t *phase_of;
    size_t (*pair)[2];       /* parameters of one phase */
    size_t *variable;        /* of the last fit, from 1, a row of the table each */
    int *kind;
    double *initial;         /* values of the experiment's start */
    double *home;            /* what phases that leave go back to */
    double *known, *doubt;   /* what earlier frames have said, and by how much that may be wrong; NAN: nothing */
    double *expected;        /* known, doubt as the row's fit had them */
    size_t *expect_row;      /* of the table, those that the fit expects, with: */
    double *expect_value, *expect_sigma;
    size_t *scale_of;        /* the phase's scale among the parameters; n_params when held */
    double *mass;            /* of a cell's content; NAN without atoms */
    int *level;
    double *saved;
    int *saved_level;
    bool *tried;
    struct absent *absent, *absent2;
    size_t room, n;          /* points */
    double *points;          /* x, observed, sigma, calculated, background, residual, unit pattern */
    double *basis;           /* background terms and phases, weighted and orthonormal */
    size_t n_basis;
    double *pattern;         /* of each phase that is there, as it stands, over sigma */
    double *strength;        /* evidence of each */
    double widening;         /* of an esd by misfit and serial correlation */
    double misfit;           /* chi^2 of the last calculate */
    size_t window;           /* of the high pass, points either way */
};

enum { X, OBSERVED, SIGMA, CALCULATED, BACKGROUND, RESIDUAL, UNIT, MEASURED, SUMS, N_COLUMNS };
static double *column(const seq_worker *w, int k) { return w->points + (size_t)k * w->room; }

/* ------------------------------------------------------------- the plan */

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

/* ------------------------------------------------------------ the worker */

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

/* --------------------------------------------------------------- states */

static bragg_param *param(const seq_worker *w, size_t k) { return &bragg_model_params(w->m)->at[w->row[k]]; }

/* A phase whose scale is held, or whose intensities are extracted, cannot be weighed. */
static bool has_scale(const seq_worker *w, size_t phase) { return w->scale_of[phase] < w->shape.n_params && isfinite(w->mass[phase]); }
static bool may_go(const seq_worker *w, size_t phase) { return w->plan.appear && has_scale(w, phase); }

/* -------------------------------------------------------------- memory
 *
 * A phase that is hardly seen does not tell its cell and the width of its lines, but the frames
 * before have.  What they said, with the doubt that it has by now, is expected of the fit: so the
 * weight of what is hardly seen is neither that of a wrong width nor more certain than the
 * width is, and a phase that comes back is first looked for where it was.  Of each parameter
 * a Kalman filter of one state (R. E. Kalman, J. Basic Eng. 82 (1960) 35) is kept.
 *
 * Phases whose intensities are extracted (the windows of a cell) find something everywhere
 * when nothing holds their cells: each is expected near where it was, loosely. */

static bool begins_with(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static bool is_width(const seq_worker *w, size_t k)
{
    const char *rest;
    return bragg_seq_phase_of(&w->shape, w->shape.name[k], &rest) != SIZE_MAX && (begins_with(rest, "size") || begins_with(rest, "strain"));
}

/* Not an offset, which moves lines as well. */
static bool is_edge(const seq_worker *w, size_t k) { return strstr(w->shape.name[k], ".cell.") != NULL; }

static bool is_loose(const seq_worker *w, size_t k)
{
    return w->kind[k] == KIND_CELL && w->phase_of[k] != SIZE_MAX && w->x->phase[w->phase_of[k]].extract;
}

static bool is_remembered(const seq_worker *w, size_t k)
{
    if (is_loose(w, k))
        return true;
    return w->phase_of[k] != SIZE_MAX && may_go(w, w->phase_of[k]) && (w->kind[k] == KIND_CELL || is_width(w, k));
}

/* The phase is too weak to tell it by itself. */
static bool is_expected(const seq_worker *w, size_t k)
{
    size_t i = w->phase_of[k];
    return i != SIZE_MAX && w->level[i] > 0 && (w->kind[k] > w->level[i] || is_loose(w, k)) && w->doubt[k] > 0;
}

/* Earlier frames have told its cell. */
static bool was_seen(const seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && w->kind[k] == KIND_CELL && w->doubt[k] > 0)
            return true;
    return false;
}

/* What a part of it is a part of: a window that stands off by a part of the distance has its lines
 * where one whose lattice is larger by as much has them. */
static double extent(const seq_worker *w, size_t k, double value)
{
    return w->kind[k] == KIND_CELL && !is_edge(w, k) ? 1000 * w->x->pattern->histogram.radius_m : fabs(value);
}

/* How far it may wander in a frame: lattices by a ten thousandth, widths by a twentieth.
 * Faster ones are those of phases that react, and are strong. */
static double wanders(const seq_worker *w, size_t k, double value)
{
    return w->kind[k] == KIND_CELL ? 1e-4 * extent(w, k, value) : 0.05 * fmax(fabs(value), strstr(w->shape.name[k], ".strain") ? 1000 : 0);
}

/* What a neighbour knows, so many frames later. */
static void recall(const seq_worker *w, const double *row, size_t apart, size_t k, double *known, double *doubt)
{
    *known = row ? row[seq_known(&w->shape, k)] : NAN;
    *doubt = row ? hypot(row[seq_doubt(&w->shape, k)], wanders(w, k, *known) * sqrt((double)apart)) : NAN;
}

static void remember_start(seq_worker *w, const seq_start *start)
{
    size_t n = w->shape.n_params;
    for (size_t k = 0; k < n; k++) {
        double known, doubt;
        recall(w, start->from, start->from_apart, k, &w->known[k], &w->doubt[k]);
        recall(w, start->hint, start->hint_apart, k, &known, &doubt);
        if (doubt > 0 && !(w->doubt[k] <= doubt))
            w->known[k] = known, w->doubt[k] = doubt;
    }
}

static void forget(seq_worker *w)
{
    for (size_t k = 0; k < 2 * w->shape.n_params; k++)
        w->known[k] = NAN;
}

/* As the experiment says, to a hundredth. */
static void forget_windows(seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (is_loose(w, k))
            w->known[k] = w->initial[k], w->doubt[k] = 0.01 * extent(w, k, w->initial[k]);
}

/* A fit has told it well enough to be of use. */
static bool is_told(const seq_worker *w, size_t k, double value, double esd)
{
    if (!(esd > 0) || !isfinite(esd))
        return false;
    return w->kind[k] == KIND_CELL ? esd < 2e-3 * extent(w, k, value) : esd < 0.5 * fmax(fabs(value), strstr(w->shape.name[k], ".strain") ? 1000 : 0);
}

/* After the fit.  What the phase told by itself joins what was known, unless both disagree. */
static void remember(seq_worker *w, double widening)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        double value = param(w, k)->value, esd = param(w, k)->esd * widening, known = w->known[k], doubt = w->doubt[k];
        if (!is_remembered(w, k) || !param(w, k)->refine || !is_told(w, k, value, esd))
            continue;
        if (is_expected(w, k) && !is_loose(w, k)) {
            w->known[k] = value, w->doubt[k] = fmin(esd, doubt);
        } else if (doubt > 0 && fabs(value - known) < 3 * hypot(doubt, esd)) {
            double gain = doubt * doubt / (doubt * doubt + esd * esd);
            w->known[k] += gain * (value - known), w->doubt[k] = doubt * sqrt(1 - gain);
        } else {
            w->known[k] = value, w->doubt[k] = esd;
        }
    }
}

/* Which parameters the next fit moves: those of phases that are there, as far as
 * the phases are strong. */
static void apply_levels(seq_worker *w)
{
    for (size_t i = 0; i < w->shape.n_phases; i++)
        bragg_model_switch(w->m, i, w->level[i] > 0);
    for (size_t k = 0; k < w->shape.n_params; k++) {
        size_t i = w->phase_of[k];
        param(w, k)->refine = i == SIZE_MAX || w->kind[k] <= w->level[i] || is_expected(w, k);
        if (i != SIZE_MAX && !w->level[i] && w->kind[k] == KIND_SCALE)
            param(w, k)->value = 0;
        if (!param(w, k)->refine)
            param(w, k)->esd = NAN;
    }
}

static void set_value(const seq_worker *w, size_t k, double v)
{
    bragg_param *p = param(w, k);
    p->value = isfinite(v) ? fmin(fmax(v, p->lower), p->upper) : p->value;
}

static void set_state(seq_worker *w, const double *from, const double *hint)
{
    const seq_shape *s = &w->shape;
    for (size_t i = 0; i < s->n_phases; i++)
        w->level[i] = (int)from[seq_phase(s, PHASE_LEVEL, i)];
    for (size_t k = 0; k < s->n_params; k++) {
        size_t i = w->phase_of[k];
        bool new = hint && i != SIZE_MAX && !w->level[i] && hint[seq_phase(s, PHASE_LEVEL, i)] > 0 && w->kind[k] != KIND_SCALE;
        bool known = i != SIZE_MAX && !w->level[i] && w->doubt[k] > 0;
        set_value(w, k, known ? w->known[k] : (new ? hint : from)[seq_value(s, k)]);
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
    apply_levels(w);
}

static void save_state(seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        w->saved[k] = param(w, k)->value;
        w->saved[w->shape.n_params + k] = param(w, k)->esd;
        w->saved[2 * w->shape.n_params + k] = w->doubt[k];
    }
    memcpy(w->saved_level, w->level, w->shape.n_phases * sizeof *w->level);
}

static void restore_state(seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        param(w, k)->value = w->saved[k];
        param(w, k)->esd = w->saved[w->shape.n_params + k];
        w->doubt[k] = w->saved[2 * w->shape.n_params + k];
    }
    memcpy(w->level, w->saved_level, w->shape.n_phases * sizeof *w->level);
    bragg_params_apply_ties(bragg_model_params(w->m));
    apply_levels(w);
}

/* ------------------------------------------------------------------ fits */

static bragg_status expect(seq_worker *w, bragg_error *err)
{
    size_t n = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (param(w, k)->refine && is_expected(w, k))
            w->expect_row[n] = w->row[k], w->expect_value[n] = w->known[k], w->expect_sigma[n++] = is_loose(w, k) ? fmax(w->doubt[k], 3e-3 * extent(w, k, w->known[k])) : w->doubt[k];
    return bragg_model_expect(w->m, w->expect_row, w->expect_value, w->expect_sigma, n, err);
}

/* ENOCONV is an answer here. */
static bragg_status refine(seq_worker *w, bool stages, bragg_fit **f, bragg_error *err)
{
    bragg_refine_options o = w->x->options;
    o.observer = NULL;
    o.stages = stages && o.stages;
    bragg_error own = BRAGG_ERROR_INIT;
    bragg_fit_free(*f);
    *f = NULL;
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_status st = expect(w, &own);
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

static double chi2_of(const bragg_fit *f) { return f->gof * f->gof * ((double)f->points - (double)f->variables); }

static int columns_of(const seq_worker *w, size_t phase, int level)
{
    int n = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        n += w->phase_of[k] == phase && w->kind[k] <= level;
    return n;
}

/* Cells need ten esds of the scale, widths and atoms thirty; fewer to keep them. */
static int next_level(int level, double z)
{
    if (level < 3 && z > 30)
        return 3;
    if (level < 2 && z > 10)
        return 2;
    if (level == 3 && z < 20)
        return z < 7 ? 1 : 2;
    return level == 2 && z < 7 ? 1 : level;
}

static bool any_extracted(const seq_worker *w)
{
    for (size_t i = 0; i < w->shape.n_phases; i++)
        if (w->x->phase[i].extract)
            return true;
    return false;
}

/* ------------------------------------------------------------- evidence */

static bragg_status make_room(seq_worker *w, bragg_error *err)
{
    size_t n = bragg_model_points(w->m, 0), terms = w->x->pattern->histogram.background_terms, phases = w->shape.n_phases;
    if (n > w->room || !w->points) {
        free(w->points);
        free(w->basis);
        free(w->pattern);
        w->room = n;
        w->points = malloc((N_COLUMNS * n + 2) * sizeof(double));
        w->basis = malloc(((terms + phases) * n + 1) * sizeof(double));
        w->pattern = malloc((phases * n + 1) * sizeof(double));
    }
    w->n = n;
    return w->points && w->basis && w->pattern ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void subtract(double *a, const double *b, double by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] -= by * b[i];
}

/* A further column of the basis, by modified Gram-Schmidt. */
static void add_basis(seq_worker *w, const double *from)
{
    double *b = w->basis + w->n_basis * w->n, before = dot(from, from, w->n);
    memcpy(b, from, w->n * sizeof *b);
    for (size_t j = 0; j < w->n_basis; j++)
        subtract(b, w->basis + j * w->n, dot(b, w->basis + j * w->n, w->n), w->n);
    double size = dot(b, b, w->n);
    if (!(size > 1e-12 * before) || !(before > 0))
        return;
    for (size_t i = 0; i < w->n; i++)
        b[i] /= sqrt(size);
    w->n_basis++;
}

/* What the fit moves anyway and a further phase must not live on: background, and the
 * phases that are there but one. */
static void make_basis(seq_worker *w, size_t but)
{
    double row[64], *x = column(w, X), *u = column(w, UNIT);
    size_t terms = w->x->pattern->histogram.background_terms;
    w->n_basis = 0;
    for (size_t k = 0; k < terms; k++) {
        for (size_t i = 0; i < w->n; i++) {
            bragg_chebyshev_row((2 * x[i] - x[0] - x[w->n - 1]) / (x[w->n - 1] - x[0]), k + 1, row);
            u[i] = row[k] / column(w, SIGMA)[i];
        }
        add_basis(w, u);
    }
    for (size_t i = 0; i < w->shape.n_phases; i++)
        if (w->level[i] && i != but)
            add_basis(w, w->pattern + i * w->n);
}

/* Profiles are never quite right, and where they are strong they are wrong by many
 * sigmas.  For weighing phases sigma is widened to sigma^2 b + (f net)^2: b from the
 * median of the points without peaks, f from what is left where peaks stand. */
static void widen_sigmas(seq_worker *w)
{
    double *sigma = column(w, SIGMA), *u = column(w, UNIT), above = 0, net2 = 0;
    size_t quiet = 0;
    for (size_t i = 0; i < w->n; i++) {
        double d = column(w, OBSERVED)[i] - column(w, CALCULATED)[i], net = column(w, CALCULATED)[i] - column(w, BACKGROUND)[i];
        if (net < sigma[i])
            u[quiet++] = fabs(d / sigma[i]);
        else
            above += d * d - sigma[i] * sigma[i], net2 += net * net;
    }
    qsort(u, quiet, sizeof *u, bragg_array_by_value);
    double base = quiet > 20 ? fmax(1, 1.4826 * u[quiet / 2]) : 1, f2 = net2 > 0 ? fmax(above / net2, 0) : 0;
    for (size_t i = 0; i < w->n; i++) {
        double net = column(w, CALCULATED)[i] - column(w, BACKGROUND)[i];
        sigma[i] = sqrt(base * base * sigma[i] * sigma[i] + f2 * net * net);
    }
}

/* Berar & Lelann, as in <bragg/refine.h>. */
static double serial(const double *r, size_t n, double chi2)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && r[i] * r[i - 1] < 0)
            total += sum * sum, sum = 0;
        sum += r[i];
    }
    return chi2 > 0 ? sqrt(fmax((total + sum * sum) / chi2 / (1 + 4 / BRAGG_PI), 1)) : 1;
}

/* Width of a peak in points: of the phase whose peaks are broadest. */
static size_t peak_points(const seq_worker *w)
{
    size_t n;
    const bragg_model_peak *p = bragg_model_peaks(w->m, 0, &n);
    double most = 0, sum = 0, all = 0, step = (column(w, X)[w->n - 1] - column(w, X)[0]) / (double)(w->n - 1);
    for (size_t k = 0; k < n; k++) {
        if (k && p[k].phase != p[k - 1].phase)
            sum = all = 0;
        sum += p[k].intensity * hypot(p[k].gauss_fwhm_rad, p[k].lorentz_fwhm_rad), all += p[k].intensity;
        if (all > 0 && (k + 1 == n || p[k + 1].phase != p[k].phase))
            most = fmax(most, sum / all);
    }
    double points = most > 0 ? most / step : 8;
    return (size_t)fmin(fmax(points, 2), (double)w->n / 40);
}

/* Less the mean over the window: a background that is not quite right is no peak. */
static void high_pass(const seq_worker *w, double *v)
{
    double *sums = column(w, SUMS);
    sums[0] = 0;
    for (size_t i = 0; i < w->n; i++)
        sums[i + 1] = sums[i] + v[i];
    for (size_t i = 0; i < w->n; i++) {
        size_t from = i > w->window ? i - w->window : 0, to = i + w->window + 1 < w->n ? i + w->window + 1 : w->n;
        v[i] -= (sums[to] - sums[from]) / (double)(to - from);
    }
}

static double residuals(seq_worker *w)
{
    double *r = column(w, RESIDUAL);
    for (size_t i = 0; i < w->n; i++)
        r[i] = (column(w, OBSERVED)[i] - column(w, CALCULATED)[i]) / column(w, SIGMA)[i];
    high_pass(w, r);
    return dot(r, r, w->n);
}

static bragg_status unit_pattern(seq_worker *w, size_t phase, double *g, bragg_error *err)
{
    for (size_t i = 0; i < w->shape.n_phases; i++)
        bragg_model_switch(w->m, i, i == phase);
    double *background = column(w, UNIT);
    bragg_status st = bragg_model_calculate(w->m, 0, NULL, NULL, NULL, g, background, err);
    for (size_t i = 0; st == BRAGG_OK && i < w->n; i++)
        g[i] = (g[i] - background[i]) / column(w, SIGMA)[i];
    if (st == BRAGG_OK)
        high_pass(w, g);
    return st;
}

/* The pattern as it stands, and how much of it each phase is worth: its part that
 * neither background nor other phases can take over, in sigmas. */
static bragg_status calculate(seq_worker *w, bragg_error *err)
{
    bragg_status st = make_room(w, err);
    if (st == BRAGG_OK)
        st = bragg_model_calculate(w->m, 0, column(w, X), column(w, OBSERVED), column(w, SIGMA), column(w, CALCULATED), column(w, BACKGROUND), err);
    if (st < 0)
        return st;
    memcpy(column(w, MEASURED), column(w, SIGMA), w->n * sizeof(double));
    widen_sigmas(w);
    w->window = 8 * peak_points(w);
    w->misfit = residuals(w);
    w->widening = sqrt(fmax(w->misfit / (double)w->n, 1)) * serial(column(w, RESIDUAL), w->n, w->misfit);
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++)
        if (w->level[i])
            st = unit_pattern(w, i, w->pattern + i * w->n, err);
    for (size_t i = 0; i < w->shape.n_phases; i++)
        bragg_model_switch(w->m, i, w->level[i] > 0);
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
        w->strength[i] = 0;
        if (!w->level[i] || !has_scale(w, i))
            continue;
        double *g = column(w, UNIT);
        make_basis(w, i);
        memcpy(g, w->pattern + i * w->n, w->n * sizeof *g);
        for (size_t k = 0; k < w->n_basis; k++)
            subtract(g, w->basis + k * w->n, dot(g, w->basis + k * w->n, w->n), w->n);
        w->strength[i] = sqrt(dot(g, g, w->n)) / w->widening;
    }
    return st;
}

static double log_points(const seq_worker *w) { return log((double)w->n); }

typedef struct score {
    double z, scale, sigma, strain;
    double worth;            /* z^2, misfit taken off, less what contradicts what is known */
    bool anew;               /* the experiment's cell rather than the last one's */
    int broad;               /* 0: as wide as it was, 2: broad */
} score;

static bool is_length(const seq_worker *w, size_t k)
{
    const char *name = w->shape.name[k];
    return w->kind[k] == KIND_CELL && is_edge(w, k) && !strstr(name, ".cell.al") && !strstr(name, ".cell.be") && !strstr(name, ".cell.ga");
}

/* Width of a phase that nobody has seen yet: as of 60 nm, of 22 and 0.2 % of strain, or of 8
 * and 0.6 %. */
static void give_width(const seq_worker *w, size_t k, int broad)
{
    static const double size_nm[] = { 60, 22, 8 }, strain[] = { 0, 2000, 6000 };
    const char *rest = strrchr(w->shape.name[k], '.');
    if (!strcmp(rest, ".size") && (broad || param(w, k)->value >= 1e5)) /* what broadens nothing has no slope to start from */
        set_value(w, k, size_nm[broad]);
    if (!strcmp(rest, ".strain") && broad)
        set_value(w, k, strain[broad]);
}

/* The phase as it is tried: from w->saved, or the experiment's start. */
static void dress(const seq_worker *w, size_t phase, const score *s)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        if (w->phase_of[k] != phase)
            continue;
        if (w->kind[k] == KIND_CELL)
            set_value(w, k, (s->anew ? w->initial[k] : w->saved[k]) * (is_length(w, k) ? 1 + s->strain : 1));
        else if (w->kind[k] == KIND_REST)
            give_width(w, k, s->broad);
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
}

/* What is known may be wrong, but not for nothing: up to a free parameter's price each. */
static double contradiction(const seq_worker *w, size_t phase)
{
    double sum = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && w->doubt[k] > 0)
            sum += fmin(pow((param(w, k)->value - w->known[k]) / w->doubt[k], 2), log_points(w));
    return sum;
}

/* Then it is known no longer. */
static void believe(seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && fabs(param(w, k)->value - w->known[k]) > 3 * w->doubt[k])
            w->doubt[k] = NAN;
}

/* How much of the residual the phase would take at once, dressed like that: the score of
 * its scale at zero, background free. */
static bragg_status try_dress(seq_worker *w, size_t phase, const score *as, score *best, bragg_error *err)
{
    double *g = w->pattern + phase * w->n;
    dress(w, phase, as);
    param(w, w->scale_of[phase])->value = 1;
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_status st = unit_pattern(w, phase, g, err);
    if (st < 0)
        return st;
    double hit = dot(g, column(w, RESIDUAL), w->n);
    for (size_t k = 0; k < w->n_basis; k++)
        subtract(g, w->basis + k * w->n, dot(g, w->basis + k * w->n, w->n), w->n);
    double size = dot(g, g, w->n), z = size > 0 ? hit / sqrt(size) : 0, worth = copysign(pow(z / w->widening, 2), z) - contradiction(w, phase);
    if (worth > best->worth || !(best->sigma > 0)) {
        *best = *as;
        best->worth = worth, best->z = z, best->scale = size > 0 ? hit / size : 0, best->sigma = size > 0 ? 1 / sqrt(size) : NAN;
    }
    return BRAGG_OK;
}

/* Is there a cell that went far from where it began, a width that is narrow as it began? */
static void what_to_try(const seq_worker *w, size_t phase, bool *far, bool *narrow)
{
    *far = *narrow = false;
    for (size_t k = 0; k < w->shape.n_params; k++) {
        const char *rest = strrchr(w->shape.name[k], '.');
        if (w->phase_of[k] != phase)
            continue;
        *far |= is_length(w, k) && fabs(w->saved[k] / w->initial[k] - 1) > 0.01;
        *narrow |= w->saved[k] == w->initial[k] && !(w->doubt[k] > 0) && ((!strcmp(rest, ".size") && w->saved[k] > 20) || (!strcmp(rest, ".strain") && w->saved[k] < 1000));
    }
}

/* Over cells within +-steps * 0.12 %, half a synchrotron line's width; two and four times that
 * where the lines are broad.  State and residual are as save_state and calculate left
 * them, and are left so. */
static bragg_status score_phase(seq_worker *w, size_t phase, int steps, score *best, bragg_error *err)
{
    bool cell = columns_of(w, phase, KIND_CELL) > columns_of(w, phase, KIND_SCALE), far, narrow;
    bragg_status st = BRAGG_OK;
    what_to_try(w, phase, &far, &narrow);
    *best = (score){ .sigma = NAN };
    for (int anew = 0; anew <= (int)far; anew++)
        for (int broad = 0; broad <= (narrow ? 2 : 0); broad++) {
            int each = 1 << broad, most = cell ? steps / each : 0;
            for (int k = -most; k <= most && st == BRAGG_OK; k++) {
                const score as = { .strain = 1.2e-3 * k * each, .anew = anew, .broad = broad };
                st = try_dress(w, phase, &as, best, err);
            }
            restore_state(w);
        }
    return st;
}

/* Fit with the phase in; kept when delta BIC (G. Schwarz, Ann. Stat. 6 (1978) 461; misfit
 * and serial correlation taken off) says so by more than `enter`. */
static bragg_status try_phase(seq_worker *w, size_t phase, const score *s, bragg_fit **f, bool *taken, bragg_error *err)
{
    double before = w->misfit, widening = w->widening;
    bragg_fit *with = NULL;
    dress(w, phase, s);
    believe(w, phase);
    set_value(w, w->scale_of[phase], fmax(s->scale, 0));
    w->level[phase] = next_level(1, s->z / widening);
    if (s->broad && w->level[phase] == 2) /* its widths are a guess */
        w->level[phase] = 3;
    apply_levels(w);
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = refine(w, false, &with, &ignored);
    *taken = false;
    if (st == BRAGG_OK) /* with the sigmas of before */
        st = bragg_model_calculate(w->m, 0, NULL, NULL, NULL, column(w, CALCULATED), NULL, &ignored);
    double gain = st == BRAGG_OK ? (before - residuals(w)) / (widening * widening) - columns_of(w, phase, w->level[phase]) * log_points(w) : 0;
    *taken = gain > w->plan.enter;
    if (!*taken) {
        bragg_fit_free(with);
        restore_state(w);
        return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
    }
    bragg_fit_free(*f);
    *f = with;
    return BRAGG_OK;
}

/* Phases that are not there: the strongest candidate comes in, until none is worth
 * its parameters.  Of those that stay out the scale they would have is told. */
static bragg_status let_in(seq_worker *w, int steps, bragg_fit **f, absent *out, bragg_error *err)
{
    memset(w->tried, 0, w->shape.n_phases * sizeof *w->tried);
    bragg_status st = BRAGG_OK;
    for (size_t turn = 0; turn < 2 * w->shape.n_phases && st == BRAGG_OK; turn++) {
        size_t best = SIZE_MAX;
        score top = { .sigma = NAN }, s;
        bool any = false, taken;
        for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
            if (w->level[i] || !may_go(w, i))
                continue;
            if (!any) {
                save_state(w);
                st = calculate(w, err);
                make_basis(w, SIZE_MAX);
                any = true;
            }
            if (st == BRAGG_OK)
                st = score_phase(w, i, steps, &s, err);
            out[i] = (absent){ s.scale, s.sigma * w->widening };
            if (!w->tried[i] && s.z > top.z)
                top = s, best = i;
        }
        if (st < 0 || best == SIZE_MAX || !(pow(top.z / w->widening, 2) > w->plan.enter + log_points(w)))
            return st;
        st = try_phase(w, best, &top, f, &taken, err);
        w->tried[best] = true;
    }
    return st;
}

/* What a phase that is not there was fitted to is no place to look for it again: what is known
 * of it from when it was seen is, and where nothing is known, the start.  Nor is it one to
 * weigh it by its scale alone, as if it had been found there without looking. */
static void send_home(seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        if (w->phase_of[k] != phase || w->kind[k] == KIND_SCALE || w->kind[k] <= w->level[phase])
            continue;
        set_value(w, k, w->doubt[k] > 0 ? w->known[k] : w->kind[k] == KIND_CELL || w->level[phase] ? w->home[k] : w->initial[k]);
        if (w->level[phase])
            give_width(w, k, 0);
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
}

/* Phases that are there and no longer worth it. */
static bragg_status let_out(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    for (size_t turn = 0; turn < w->shape.n_phases; turn++) {
        size_t worst = SIZE_MAX;
        double least = w->plan.leave;
        bragg_status st = calculate(w, err);
        if (st < 0)
            return st;
        for (size_t i = 0; i < w->shape.n_phases; i++) {
            if (!w->level[i] || !may_go(w, i))
                continue;
            double gain = w->strength[i] * w->strength[i] - columns_of(w, i, w->level[i]) * log_points(w);
            if (gain < least)
                least = gain, worst = i;
        }
        if (worst == SIZE_MAX)
            return BRAGG_OK;
        w->level[worst] = w->level[worst] > 1 ? 1 : 0; /* too many parameters for what is left? */
        send_home(w, worst);
        apply_levels(w);
        if ((st = refine(w, false, f, err)) < 0)
            return st;
    }
    return BRAGG_OK;
}

/* -------------------------------------------------------------- starts */

static bool is_at_bound(const bragg_param *p)
{
    double room = 1e-9 * fmax(fabs(p->value), 1e-12);
    return p->refine && p->lower < p->upper && (p->value <= p->lower + room || p->value >= p->upper - room);
}

/* A cell that has run to its bound has lost its lines, and nothing draws it back: all begins
 * again with that cell held where it was, and then set free. */
static bragg_status call_back(seq_worker *w, const double *from, const double *hint, bragg_fit **f, bragg_error *err)
{
    size_t lost = 0;
    for (size_t k = 0; k < w->shape.n_params; k++) {
        bool is_lost = w->kind[k] == KIND_CELL && is_at_bound(param(w, k));
        w->saved[k] = is_lost; /* set_state sets all free */
        lost += is_lost;
    }
    if (!lost)
        return BRAGG_OK;
    set_state(w, from, hint);
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->saved[k] > 0)
            param(w, k)->refine = false;
    bragg_status st = refine(w, false, f, err);
    apply_levels(w);
    return st == BRAGG_OK ? refine(w, false, f, err) : st;
}

static bragg_status warm(seq_worker *w, const double *from, const double *hint, bragg_fit **f, bragg_error *err)
{
    set_state(w, from, hint);
    memcpy(w->home, from + seq_value(&w->shape, 0), w->shape.n_params * sizeof *w->home);
    bragg_status st = refine(w, false, f, err);
    return st == BRAGG_OK ? call_back(w, from, hint, f, err) : st;
}

/* As much of each phase as its strength allows, at once instead of frame by frame. */
static bragg_status settle_levels(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    bragg_status st = calculate(w, err);
    for (int turn = 0; turn < 3 && st == BRAGG_OK; turn++) {
        bool changed = false;
        for (size_t i = 0; i < w->shape.n_phases; i++) {
            int level = w->level[i] && has_scale(w, i) ? next_level(w->level[i], w->strength[i]) : w->level[i];
            bool astray = level == 1 && w->level[i] > 1 && any_extracted(w); /* all began together */
            changed |= level != w->level[i];
            w->level[i] = level;
            if (astray)
                send_home(w, i);
        }
        if (!changed)
            break;
        apply_levels(w);
        st = refine(w, false, f, err);
        if (st == BRAGG_OK)
            st = calculate(w, err);
    }
    return st;
}

/* Two axes almost alike may have been taken for each other: the exchanged cell is
 * tried.  The order of the experiment's start has the benefit of the doubt. */
static bragg_status try_exchange(seq_worker *w, size_t phase, bragg_fit **f, bragg_error *err)
{
    static const char *const names[3] = { ".cell.a", ".cell.b", ".cell.c" };
    size_t row[3] = { SIZE_MAX, SIZE_MAX, SIZE_MAX };
    for (size_t k = 0; k < w->shape.n_params; k++)
        for (int j = 0; j < 3; j++)
            if (w->phase_of[k] == phase && w->kind[k] == KIND_CELL && !strcmp(strrchr(w->shape.name[k], '.') - 5, names[j]))
                row[j] = k;
    for (int j = 0; j < 3; j++) {
        size_t a = row[j], b = row[(j + 1) % 3];
        if (a == SIZE_MAX || b == SIZE_MAX || fabs(param(w, a)->value / param(w, b)->value - 1) > 0.01)
            continue;
        bragg_fit *other = NULL;
        bool as_begun = (param(w, a)->value < param(w, b)->value) == (w->initial[a] < w->initial[b]);
        double before = chi2_of(*f), keep = param(w, a)->value, doubt = 10 * w->widening * w->widening * fmax((*f)->gof * (*f)->gof, 1);
        save_state(w);
        set_value(w, a, param(w, b)->value);
        set_value(w, b, keep);
        bragg_error ignored = BRAGG_ERROR_INIT;
        bragg_status st = refine(w, false, &other, &ignored);
        if (st == BRAGG_ENOMEM)
            return bragg_fail(err, st, "%s", ignored.text);
        if (st == BRAGG_OK && chi2_of(other) < before + (as_begun ? -doubt : doubt)) {
            bragg_fit_free(*f);
            *f = other;
        } else {
            bragg_fit_free(other);
            restore_state(w);
        }
    }
    return BRAGG_OK;
}

/* The strongest phase that is not there yet comes in and is fitted in stages. */
static bragg_status greedy_step(seq_worker *w, bragg_fit **f, absent *out, bool *came, bragg_error *err)
{
    size_t best = SIZE_MAX;
    score top = { .sigma = NAN }, s;
    save_state(w);
    bragg_status st = calculate(w, err);
    if (st == BRAGG_OK)
        make_basis(w, SIZE_MAX);
    *came = false;
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
        if (w->level[i] || !has_scale(w, i))
            continue;
        st = score_phase(w, i, 17, &s, err);
        out[i] = (absent){ s.scale, s.sigma * w->widening };
        if (s.z > top.z)
            top = s, best = i;
    }
    bool nothing = true;
    for (size_t i = 0; i < w->shape.n_phases; i++)
        nothing &= !w->level[i];
    double by = nothing ? 1 : w->widening; /* all that stands there is misfit yet */
    if (st < 0 || best == SIZE_MAX || !(pow(top.z / by, 2) > w->plan.enter + log_points(w)))
        return st;
    if (!nothing)
        return try_phase(w, best, &top, f, came, err);
    dress(w, best, &top);
    set_value(w, w->scale_of[best], top.scale);
    w->level[best] = 3;
    apply_levels(w);
    *came = true;
    st = refine(w, true, f, err);
    return st == BRAGG_OK ? try_exchange(w, best, f, err) : st;
}

/* Intensities that are extracted would take what belongs to phases that are not in yet:
 * then all begin together, and let_out sends home what is not there. */
static bragg_status cold_together(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        param(w, k)->value = w->initial[k];
    for (size_t i = 0; i < w->shape.n_phases; i++)
        w->level[i] = 3;
    bragg_params_apply_ties(bragg_model_params(w->m));
    apply_levels(w);
    bragg_status st = refine(w, true, f, err);
    return st == BRAGG_OK ? settle_levels(w, f, err) : st;
}

/* Without neighbour: phases one by one, the strongest first. */
static bragg_status cold(seq_worker *w, bragg_fit **f, absent *out, bragg_error *err)
{
    bool certain = false, came = true;
    forget_windows(w); /* of the others only what turns out weak is expected */
    memcpy(w->home, w->initial, w->shape.n_params * sizeof *w->home);
    if (any_extracted(w))
        return cold_together(w, f, err);
    for (size_t k = 0; k < w->shape.n_params; k++)
        param(w, k)->value = w->initial[k];
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        w->level[i] = has_scale(w, i) ? 0 : 3;
        certain |= w->level[i] > 0;
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
    apply_levels(w);
    for (size_t k = 0; !certain && k < w->shape.n_params; k++) /* nothing to have a profile */
        param(w, k)->refine = w->phase_of[k] == SIZE_MAX && strstr(w->shape.name[k], "background.");
    bragg_status st = refine(w, certain, f, err);
    for (size_t turn = 0; turn < w->shape.n_phases && came && st == BRAGG_OK; turn++) {
        st = greedy_step(w, f, out, &came, err);
        if (st == BRAGG_OK && came)
            st = settle_levels(w, f, err);
    }
    bool forced = false;
    for (size_t i = 0; i < w->shape.n_phases && !w->plan.appear; i++)
        if (!w->level[i])
            w->level[i] = 1, forced = true;
    if (st == BRAGG_OK && forced) {
        apply_levels(w);
        st = refine(w, false, f, err);
    }
    return st;
}

/* -------------------------------------------------------- unknown peaks */

/* Maxima of the residual, smoothed over a peak's width, where nothing is calculated. */
static void find_unknown(const seq_worker *w, double *out)
{
    size_t half = w->window / 16 + 1;
    const double *r = column(w, RESIDUAL), *x = column(w, X), *c = column(w, CALCULATED), *b = column(w, BACKGROUND), *sigma = column(w, SIGMA);
    double before = 0, here = 0; /* not over the misfit: that is what they make */
    for (int k = 0; k < 2 * BRAGG_STEP_UNKNOWN_PEAKS; k++)
        out[k] = 0;
    bool free_here = false;
    for (size_t i = half; i + half < w->n; i++) {
        double sum = 0, excess = 0, known = 0;
        for (size_t j = i - half; j <= i + half; j++) {
            sum += r[j];
            excess += r[j] * sigma[j];
        }
        for (size_t j = i > 3 * half ? i - 3 * half : 0; j <= i + 3 * half && j < w->n; j++) /* the flank of a peak is no peak */
            known += c[j] - b[j];
        double after = sum / sqrt(2 * (double)half + 1);
        bool free_after = excess > known;
        if (here > 8 && here >= before && here > after && free_here) {
            int weakest = 0;
            for (int k = 1; k < BRAGG_STEP_UNKNOWN_PEAKS; k++)
                if (out[2 * k + 1] < out[2 * weakest + 1])
                    weakest = k;
            if (here > out[2 * weakest + 1])
                out[2 * weakest] = x[i - 1], out[2 * weakest + 1] = here;
        }
        before = here, here = after, free_here = free_after;
    }
}

/* ------------------------------------------------------------- the frame */

double bragg_seq_total(const bragg_experiment *x, const bragg_pattern *p)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < p->n; i++) {
        double at = bragg_axis_convert(p->x[i], p->axis, BRAGG_AXIS_TTH, x->pattern->histogram.radiation.wavelength_ang[0]);
        bool outside = (x->pattern->histogram.first_rad > 0 && at < x->pattern->histogram.first_rad) || (x->pattern->histogram.last_rad > 0 && at > x->pattern->histogram.last_rad);
        if (outside || !isfinite(p->y[i]) || !isfinite(at))
            continue;
        sum += p->y[i];
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

/* Lines as sharp as the instrument's are no fault: a size without end, no strain. */
static bool is_sharp(const seq_worker *w, size_t k)
{
    const bragg_param *p = param(w, k);
    bool high = p->value > p->lower + 0.5 * (p->upper - p->lower);
    return is_width(w, k) && high == (strstr(p->name, ".size") != NULL);
}

static bool at_bound(const seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (is_at_bound(param(w, k)) && !is_sharp(w, k))
            return true;
    return false;
}

/* By how much misfit and serial correlation widen the esds of counting: spots on the rings
 * and profiles that are not quite right move cells by more than counts do. */
static double widening_of(const bragg_fit *f) { return fmax(f->gof, 1) * fmax(f->serial_factor, 1); }

/* By how much a phase's cell contradicts what is known of it, in sums of squares: the fit's esd
 * is in the doubt only where it is asked whether it does. */
static double disputes(const seq_worker *w, size_t phase, double widening, bool most)
{
    double sum = 0;
    for (size_t k = 0; k < w->shape.n_params; k++) {
        const bragg_param *p = param(w, k);
        if (w->phase_of[k] != phase || w->kind[k] != KIND_CELL || !p->refine || !(w->doubt[k] > 0) || is_expected(w, k))
            continue;
        double sigma = most ? hypot(w->doubt[k], isfinite(p->esd) ? p->esd * widening : 0) : w->doubt[k], square = pow((p->value - w->known[k]) / sigma, 2);
        sum = most ? fmax(sum, square) : sum + square;
    }
    return sum;
}

/* Weak phases, and those with two axes almost alike, have minima beside the true one.  A cell
 * that has leapt from what earlier frames have told is fitted from there as well, and the better
 * of both kept, what was known counted in. */
static bragg_status try_known(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        double widening = widening_of(*f), by = widening * widening;
        if (w->level[i] < 2 || !may_go(w, i) || !(disputes(w, i, widening, true) > 6))
            continue;
        double before = chi2_of(*f) / by + disputes(w, i, 0, false);
        bragg_fit *other = NULL;
        bragg_error ignored = BRAGG_ERROR_INIT;
        save_state(w);
        for (size_t k = 0; k < w->shape.n_params; k++)
            if (w->phase_of[k] == i && w->kind[k] == KIND_CELL && w->doubt[k] > 0)
                set_value(w, k, w->known[k]);
        bragg_status st = refine(w, false, &other, &ignored);
        if (st == BRAGG_OK && other->converged && chi2_of(other) / by + disputes(w, i, 0, false) < before) {
            bragg_fit_free(*f);
            *f = other;
            continue;
        }
        bragg_fit_free(other);
        restore_state(w);
        if (st == BRAGG_ENOMEM)
            return bragg_fail(err, st, "%s", ignored.text);
    }
    return BRAGG_OK;
}

/* What stands below detection: the weight of what was seen before as it would be, of all the
 * doubt.  In the scales' units. */
static void weigh_hidden(const seq_worker *w, const absent *out, double *weight, double *doubt)
{
    double variance = 0;
    *weight = 0;
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        double guess = fmax(out[i].scale, 0) * w->mass[i], sigma = out[i].sigma * w->mass[i];
        if (w->level[i] || !may_go(w, i) || !isfinite(guess) || !(sigma > 0))
            continue;
        *weight += was_seen(w, i) ? guess : 0;
        variance += sigma * sigma + (was_seen(w, i) ? 0 : guess * guess);
    }
    *doubt = sqrt(variance);
}

static void fill_phases(const seq_worker *w, const bragg_fit *f, const absent *out, double *row)
{
    const seq_shape *s = &w->shape;
    double sum = 0, hidden, hidden_doubt;
    weigh_hidden(w, out, &hidden, &hidden_doubt);
    for (size_t i = 0; i < s->n_phases; i++)
        sum += w->level[i] && isfinite(w->mass[i]) && w->scale_of[i] < s->n_params ? param(w, w->scale_of[i])->value * w->mass[i] : 0;
    double share = sum > 0 ? sum / (sum + hidden) : 1, share_esd = sum > 0 ? share * hidden_doubt / (sum + hidden) : 0;
    for (size_t i = 0; i < s->n_phases; i++) {
        double guess = out[i].scale * w->mass[i], doubt = out[i].sigma * w->mass[i], more = fmax(guess, 0) + 1.645 * doubt;
        bool there = w->level[i] > 0;
        double all = there ? sum + hidden : sum + hidden + (was_seen(w, i) ? 0 : fmax(guess, 0));
        bragg_quantity q = there ? f->phase[i].weight_fraction : (bragg_quantity){ 0, NAN };
        row[seq_phase(s, PHASE_FRACTION, i)] = q.value * share;
        row[seq_phase(s, PHASE_FRACTION_ESD, i)] = share_esd > 0 && there ? hypot(isfinite(q.esd) ? q.esd * widening_of(f) * share : 0, q.value * share_esd) : q.esd * widening_of(f);
        row[seq_phase(s, PHASE_VOLUME, i)] = there ? f->phase[i].volume_ang3.value : NAN;
        row[seq_phase(s, PHASE_VOLUME_ESD, i)] = there && f->phase[i].volume_ang3.esd > 0 ? f->phase[i].volume_ang3.esd * widening_of(f) : NAN;
        row[seq_phase(s, PHASE_LIMIT, i)] = there || !(sum + more > 0) ? NAN : more / (sum + more);
        row[seq_phase(s, PHASE_GUESS, i)] = there ? NAN : guess / all;
        row[seq_phase(s, PHASE_GUESS_ESD, i)] = there ? NAN : doubt / all;
        row[seq_phase(s, PHASE_EVIDENCE, i)] = there ? w->strength[i] : 0;
        row[seq_phase(s, PHASE_LEVEL, i)] = there && has_scale(w, i) ? fmax(next_level(w->level[i], row[seq_phase(s, PHASE_EVIDENCE, i)]), 1) : w->level[i];
    }
}

/* Of parameters of one phase, for whoever looks at the run as a whole. */
static void fill_correlations(const seq_worker *w, const bragg_fit *f, double *row)
{
    double *out = row + seq_correlation(&w->shape);
    memset(w->variable, 0, bragg_model_params(w->m)->n * sizeof *w->variable);
    for (size_t v = 0; v < f->variables && f->covariance; v++)
        w->variable[f->row[v]] = v + 1;
    for (size_t k = 0; k < w->shape.n_pairs; k++) {
        size_t a = w->variable[w->row[w->pair[k][0]]], b = w->variable[w->row[w->pair[k][1]]];
        const double *c = f->covariance;
        out[k] = a && b ? c[(a - 1) * f->variables + b - 1] / sqrt(c[(a - 1) * (f->variables + 1)] * c[(b - 1) * (f->variables + 1)]) : NAN;
    }
}

static void fill_row(seq_worker *w, const bragg_fit *f, const absent *out, double *row)
{
    const seq_shape *s = &w->shape;
    row[ROW_CONVERGED] = f->converged;
    row[ROW_RWP] = f->rwp;
    row[ROW_GOF] = f->gof;
    row[ROW_SERIAL] = f->serial_factor;
    for (size_t k = 0; k < s->n_params; k++) {
        row[seq_value(s, k)] = param(w, k)->value;
        row[seq_esd(s, k)] = param(w, k)->refine && (!is_expected(w, k) || is_loose(w, k)) ? param(w, k)->esd * widening_of(f) : NAN; /* of this frame alone */
    }
    memcpy(w->expected, w->known, 2 * s->n_params * sizeof *w->known);
    remember(w, widening_of(f));
    memcpy(row + seq_known(s, 0), w->known, 2 * s->n_params * sizeof *row);
    fill_phases(w, f, out, row);
    find_unknown(w, row + seq_unknown(s));
    fill_correlations(w, f, row);
}

/* The score of a phase at nothing takes cells, widths and extracted intensities of the others for
 * certain, which have taken over what they could of it.  Of those that were seen before, whose
 * lines are known, a fit with their scales in tells what they would have. */
static bragg_status weigh_absent(seq_worker *w, absent *out, bragg_error *err)
{
    bragg_fit *with = NULL;
    size_t n = 0;
    save_state(w);
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        w->tried[i] = !w->level[i] && may_go(w, i) && was_seen(w, i);
        for (size_t k = 0; k < w->shape.n_params && w->tried[i]; k++)
            if (w->phase_of[k] == i && w->doubt[k] > 0)
                set_value(w, k, w->known[k]), w->doubt[k] = NAN; /* held: a width that may move finds a hump of the background */
        if (w->tried[i])
            w->level[i] = 1, set_value(w, w->scale_of[i], fmax(out[i].scale, 0.1 * out[i].sigma)), n++;
    }
    if (!n)
        return BRAGG_OK;
    apply_levels(w);
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = refine(w, false, &with, &ignored);
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
        double value = w->tried[i] ? param(w, w->scale_of[i])->value : NAN, esd = w->tried[i] ? param(w, w->scale_of[i])->esd * widening_of(with) : NAN;
        if (isfinite(value) && esd > 0 && isfinite(esd))
            out[i] = (absent){ value, esd };
    }
    bragg_fit_free(with);
    restore_state(w);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

static void blank_row(const seq_shape *s, double *row)
{
    for (size_t k = 0; k < s->columns; k++)
        row[k] = NAN;
    row[ROW_CONVERGED] = row[ROW_RESTARTED] = row[ROW_MENDED] = 0;
    for (size_t i = 0; i < s->n_phases; i++)
        row[seq_phase(s, PHASE_LEVEL, i)] = 0;
    for (int k = 0; k < 2 * BRAGG_STEP_UNKNOWN_PEAKS; k++)
        row[seq_unknown(s) + (size_t)k] = 0;
}

/* A fit worse than the last good one by this may have lost its way.  Extracted intensities
 * hide most of what a new phase would leave: there little more than noise is told. */
static double suspicious(const seq_worker *w) { return any_extracted(w) ? 1.05 : 1.33; }

/* From the neighbour first; from the experiment's own start when that fails or ends
 * with a fit that is suspiciously worse than the last good one's, unless that was in vain for
 * the neighbour already. */
static bragg_status fit(seq_worker *w, const seq_start *start, double *row, bragg_error *err)
{
    const double *from = start->from, *last = start->last, *hint = start->hint;
    bragg_fit *f = NULL;
    remember_start(w, start);
    for (size_t i = 0; i < 2 * w->shape.n_phases; i++)
        w->absent[i] = (absent){ 0, NAN };
    double good = from ? from[ROW_GOOD_GOF] : NAN;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_status st = from ? warm(w, from, hint, &f, &cause) : BRAGG_ENOCONV;
    if (st == BRAGG_OK && w->plan.appear)
        st = let_out(w, &f, &cause);
    if (st == BRAGG_OK && w->plan.appear)
        st = let_in(w, hint ? 5 : 17, &f, w->absent, &cause);
    if (st == BRAGG_OK && w->plan.appear)
        st = try_known(w, &f, &cause);
    bool in_vain = last && last[ROW_RESTARTED] > 1 && f && f->gof < suspicious(w) * last[ROW_GOF];
    bool bad = st < 0 || !f->converged || f->gof > suspicious(w) * good;
    if (bad && !in_vain && st != BRAGG_ENOMEM) {
        double before = f ? chi2_of(f) : INFINITY;
        bool had = st == BRAGG_OK && f && (st = calculate(w, &cause)) == BRAGG_OK;
        if (had)
            fill_row(w, f, w->absent, row);
        bragg_error second = BRAGG_ERROR_INIT;
        bragg_status again = cold(w, &f, w->absent2, &second);
        if (again == BRAGG_OK && w->plan.appear)
            again = let_out(w, &f, &second);
        if (again == BRAGG_OK && w->plan.appear && any_extracted(w))
            again = let_in(w, 17, &f, w->absent2, &second); /* not asked yet: all began together */
        if (again == BRAGG_ENOMEM) {
            st = bragg_fail(&cause, again, "%s", second.text);
        } else if (again == BRAGG_OK && (!had || chi2_of(f) < 0.98 * before)) {
            row[ROW_RESTARTED] = from ? 1 : 0;
            memcpy(w->absent, w->absent2, w->shape.n_phases * sizeof *w->absent);
            st = BRAGG_OK;
        } else if (had) { /* as it was: the row is whole, the model is put back */
            memcpy(w->known, w->expected, 2 * w->shape.n_params * sizeof *w->known);
            set_state(w, row, NULL);
            row[ROW_RESTARTED] = 2;
            st = refine(w, false, &f, &cause);
        } else {
            st = again < 0 ? again : st;
            bragg_fail(&cause, st, "%s", second.text);
        }
    }
    if (st == BRAGG_OK)
        st = calculate(w, &cause);
    if (st == BRAGG_OK && w->plan.appear)
        st = weigh_absent(w, w->absent, &cause);
    if (st == BRAGG_OK) {
        fill_row(w, f, w->absent, row);
        bool poor = !f->converged || f->gof > 2 * good;
        row[ROW_STATUS] = poor ? BRAGG_FRAME_POOR : at_bound(w) ? BRAGG_FRAME_AT_BOUND : BRAGG_FRAME_OK;
        row[ROW_GOOD_GOF] = poor && isfinite(good) ? good : f->gof;
    }
    bragg_fit_free(f);
    return st < 0 ? bragg_fail(err, st, "%s", cause.text) : BRAGG_OK;
}

bragg_status bragg_seq_frame(seq_worker *w, const bragg_pattern *p, double exposure_s, const seq_start *start, double usual_total, double *row,
                             char *message, bragg_error *err)
{
    bragg_error own = BRAGG_ERROR_INIT;
    double total = bragg_seq_total(w->x, p);
    blank_row(&w->shape, row);
    *message = 0;
    w->n = 0;
    row[ROW_TIME] = p->time_s;
    row[ROW_EXPOSURE] = exposure_s;
    row[ROW_TEMPERATURE] = p->temperature_k;
    row[ROW_TOTAL] = total;
    if (!(total > 0.02 * usual_total) && isfinite(usual_total)) {
        row[ROW_STATUS] = BRAGG_FRAME_NO_BEAM;
        snprintf(message, 256, "no beam: mean intensity %.3g, usually %.3g", total, usual_total);
        return BRAGG_OK;
    }
    bragg_status st = bragg_model_replace_pattern(w->m, 0, p, &own);
    if (st < 0) {
        row[ROW_STATUS] = BRAGG_FRAME_CORRUPT;
        snprintf(message, 256, "%.250s", own.text);
        return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", own.text) : BRAGG_OK;
    }
    st = fit(w, start, row, &own);
    if (st == BRAGG_ENOMEM)
        return bragg_fail(err, st, "%s", own.text);
    if (st < 0) {
        row[ROW_STATUS] = BRAGG_FRAME_POOR;
        row[ROW_RWP] = NAN;
        w->n = 0;
        snprintf(message, 256, "%.250s", *own.text ? own.text : "the fit failed");
    }
    return BRAGG_OK;
}

/* What was refined has an esd; levels are already those of the next frame. */
bragg_status bragg_seq_again(seq_worker *w, const bragg_pattern *p, const double *row, bragg_model **m, bragg_fit **f, bragg_error *err)
{
    bragg_status st = bragg_model_replace_pattern(w->m, 0, p, err);
    *m = w->m;
    if (st < 0)
        return st;
    forget(w); /* what was expected stays as it came out */
    set_state(w, row, NULL);
    for (size_t k = 0; k < w->shape.n_params; k++)
        param(w, k)->refine = isfinite(row[seq_esd(&w->shape, k)]);
    return refine(w, false, f, err);
}

size_t bragg_seq_points(const seq_worker *w, const double **x_rad, const double **observed, const double **calculated, const double **sigma)
{
    if (w->n) {
        *x_rad = column(w, X);
        *observed = column(w, OBSERVED);
        *calculated = column(w, CALCULATED);
        *sigma = column(w, MEASURED);
    }
    return w->n;
}
