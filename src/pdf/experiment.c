/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file of a real-space fit. */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/arena.h>
#include <bragg/experiment.h>
#include <bragg/path.h>
#include <bragg/yaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    bragg_pdf_set_options o;
    bool neutron_given;
    size_t n_files;
    const char **file;
    const bragg_yaml *node;
} source;

typedef struct member {
    const char *name, *path;
    bool isotropic;
    const bragg_yaml *refine, *node;
} member;

struct bragg_pdf_experiment {
    bragg_arena *arena;
    const bragg_yaml *root;
    const char *file, *title;
    size_t n_sets, n_phases, n_files, n_windows;
    source *set;
    member *phase;
    double window_ang, step_ang;
    bool propagate;
    long long cycles;
    const char **label;
    bragg_experiment *joint;      /* powder patterns fitted together with G(r); NULL: none */
};

/* ------------------------------------------------------------- sections */

static bragg_status read_files(bragg_pdf_experiment *x, const bragg_yaml *node, source *s, bragg_error *err)
{
    bool list = node->kind == BRAGG_YAML_SEQUENCE;
    s->file = bragg_arena_alloc(x->arena, list ? node->n_children + 1 : 1, sizeof *s->file);
    bragg_status st = s->file ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for names");
    for (const bragg_yaml *c = list ? node->child : node; c && st == BRAGG_OK; c = list ? c->next : NULL) {
        const char *text;
        st = bragg_yaml_text(c, &text, err);
        if (st == BRAGG_OK && !(s->file[s->n_files++] = bragg_path_beside(x->arena, x->file, text)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    return st == BRAGG_OK && !s->n_files ? bragg_yaml_fail(node, err, "gr: expected a file, found none") : st;
}

static bragg_status read_type(const bragg_yaml *map, source *s, bragg_error *err)
{
    const char *type = NULL;
    bragg_status st = bragg_yaml_text_at(map, "type", &type, err);
    if (st < 0 || !type)
        return st;
    if (strcmp(type, "x-ray") && strcmp(type, "neutron"))
        return bragg_yaml_fail(bragg_yaml_get(map, "type"), err, "type: expected x-ray or neutron, found '%s'", type);
    s->neutron_given = true;
    s->o.neutron = *type == 'n';
    return BRAGG_OK;
}

/* The keys of a set; `first` are those allowed (data has "sets" before them). */
static bragg_status read_set(bragg_pdf_experiment *x, const bragg_yaml *map, const char *const *keys, size_t n_keys, source *s, bragg_error *err)
{
    const bragg_yaml *node;
    double range[2];
    bragg_status st = bragg_yaml_check_keys(map, keys, n_keys, err);
    if (st == BRAGG_OK)
        st = read_type(map, s, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "range")) && (st = bragg_yaml_numbers(node, range, 2, err)) == BRAGG_OK) {
        if (!(range[0] >= 0) || !(range[1] > range[0]))
            return bragg_yaml_fail(node, err, "range: expected two rising numbers, found %g and %g", range[0], range[1]);
        s->o.rmin_ang = range[0];
        s->o.rmax_ang = range[1];
    }
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "qmin", &s->o.qmin_invang, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "qmax", &s->o.qmax_invang, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "weight", &s->o.weight, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "gr")))
        st = read_files(x, node, s, err);
    s->node = map;
    return st;
}

static bragg_status check_sets(bragg_pdf_experiment *x, bragg_error *err)
{
    for (size_t k = 0; k < x->n_sets; k++) {
        source *s = &x->set[k];
        if (!s->n_files)
            return bragg_yaml_fail(s->node, err, "expected 'gr', a file of G(r), found none");
        bool several = x->n_sets > 1 || bragg_yaml_get(bragg_yaml_get(x->root, "data"), "patterns");
        if (several && !(s->o.name && bragg_params_is_word(s->o.name)))
            return bragg_yaml_fail(s->node, err, "set: expected a name without dots, blanks, commas, quotes, slashes and wildcards, found %s", s->o.name ? s->o.name : "none");
        for (size_t i = 0; i < k; i++)
            if (!strcmp(x->set[i].o.name, s->o.name))
                return bragg_yaml_fail(s->node, err, "set '%s': stands there twice", s->o.name);
        if (s->n_files > 1 && x->n_files > 1 && s->n_files != x->n_files)
            return bragg_yaml_fail(s->node, err, "gr: expected as many files as the other sets have, %zu, found %zu", x->n_files, s->n_files);
        x->n_files = s->n_files > x->n_files ? s->n_files : x->n_files;
        if (!several)
            s->o.name = NULL;
    }
    return BRAGG_OK;
}

static bragg_status read_data(bragg_pdf_experiment *x, bragg_error *err)
{
    static const char *const keys[] = { "sets", "patterns", "name", "gr", "type", "range", "qmin", "qmax", "weight" };
    const bragg_yaml *map = bragg_yaml_get(x->root, "data"), *list = bragg_yaml_get(map, "sets");
    source usual = { .o = BRAGG_PDF_SET_OPTIONS_INIT };
    if (!map || map->kind != BRAGG_YAML_MAP)
        return bragg_yaml_fail(map ? map : x->root, err, "expected a section 'data', found none");
    if (list && (list->kind != BRAGG_YAML_SEQUENCE || !list->n_children))
        return bragg_yaml_fail(list, err, "sets: expected a list of maps, found none");
    if (bragg_yaml_get(map, "patterns") && (!list || bragg_yaml_get(map, "range")))
        return bragg_yaml_fail(map, err, "data: expected sets and patterns, each with its own range, for a fit of both");
    bragg_status st = read_set(x, map, keys, sizeof keys / sizeof *keys, &usual, err);
    x->set = bragg_arena_alloc(x->arena, list ? list->n_children : 1, sizeof *x->set);
    if (st == BRAGG_OK && !x->set)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for data");
    if (st == BRAGG_OK && !list)
        x->set[x->n_sets++] = usual;
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next) {
        source *s = &x->set[x->n_sets++];
        *s = usual;
        st = read_set(x, c, keys + 2, sizeof keys / sizeof *keys - 2, s, err);
        if (st == BRAGG_OK)
            st = bragg_yaml_text_at(c, "name", &s->o.name, err);
    }
    return st == BRAGG_OK ? check_sets(x, err) : st;
}

static bragg_status read_phase(bragg_pdf_experiment *x, const bragg_yaml *map, member *p, bragg_error *err)
{
    static const char *const keys[] = { "name", "card", "cif", "displacement", "refine", "march", "uniaxial", "stephens", "harmonics", "extinction" };
    const size_t n_keys = bragg_yaml_get(bragg_yaml_get(x->root, "data"), "patterns") ? sizeof keys / sizeof *keys : 5; /* others are of patterns */
    const bragg_yaml *node = bragg_yaml_get(map, "card") ? bragg_yaml_get(map, "card") : bragg_yaml_get(map, "cif");
    const char *card = NULL, *displacement = "as read";
    bragg_status st = bragg_yaml_check_keys(map, keys, n_keys, err);
    if (st == BRAGG_OK && !node)
        st = bragg_yaml_fail(map, err, "phase: expected a card, found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_text(node, &card, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_card(node, x->arena, &p->path, err);
    if (st == BRAGG_OK && !(p->name = bragg_path_stem(x->arena, card)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a name");
    if (st == BRAGG_OK)
        st = bragg_yaml_text_at(map, "name", &p->name, err);
    if (st == BRAGG_OK && !bragg_params_is_word(p->name))
        st = bragg_yaml_fail(map, err, "phase name '%s': expected one without dots, blanks, commas, quotes, slashes and wildcards", p->name);
    if (st == BRAGG_OK)
        st = bragg_yaml_text_at(map, "displacement", &displacement, err);
    p->isotropic = *displacement == 'i';
    if (st == BRAGG_OK && bragg_yaml_get(map, "displacement") && strcmp(displacement, "isotropic") && strcmp(displacement, "anisotropic"))
        st = bragg_yaml_fail(bragg_yaml_get(map, "displacement"), err, "displacement: expected isotropic or anisotropic, found '%s'", displacement);
    p->refine = bragg_yaml_get(map, "refine");
    p->node = map;
    return st;
}

static bragg_status read_phases(bragg_pdf_experiment *x, bragg_error *err)
{
    const bragg_yaml *list = bragg_yaml_get(x->root, "phases");
    bragg_status st = BRAGG_OK;
    if (!list || list->kind != BRAGG_YAML_SEQUENCE || !list->n_children)
        return bragg_yaml_fail(list ? list : x->root, err, "expected a list 'phases', found none");
    x->phase = bragg_arena_alloc(x->arena, list->n_children, sizeof *x->phase);
    if (!x->phase)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for phases");
    for (const bragg_yaml *c = list->child; c && st == BRAGG_OK; c = c->next)
        st = read_phase(x, c, &x->phase[x->n_phases++], err);
    return st;
}

static bragg_status read_refine(bragg_pdf_experiment *x, bragg_error *err)
{
    static const char *const keys[] = { "parameters", "values", "bounds", "ties", "cycles", "background", "instrument", "restraints", "standard", "strategy" };
    const bragg_yaml *map = bragg_yaml_get(x->root, "refine"), *node;
    const size_t n_keys = bragg_yaml_get(bragg_yaml_get(x->root, "data"), "patterns") ? sizeof keys / sizeof *keys : 5;
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, n_keys, err) : BRAGG_OK;
    x->cycles = 50;
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "cycles")) && (st = bragg_yaml_integer(node, &x->cycles, err)) == BRAGG_OK &&
        (x->cycles < 1 || x->cycles > 10000))
        st = bragg_yaml_fail(node, err, "cycles: expected 1 to 10000, found %lld", x->cycles);
    return st;
}

/* Windows of the range, each `step` after the one before. */
static bragg_status read_sequence(bragg_pdf_experiment *x, bragg_error *err)
{
    static const char *const keys[] = { "window", "step", "propagate" };
    const bragg_yaml *map = bragg_yaml_get(x->root, "sequence"), *node;
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err) : BRAGG_OK;
    double width = x->set[0].o.rmax_ang - x->set[0].o.rmin_ang;
    x->propagate = true;
    x->n_windows = 1;
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "window", &x->window_ang, err);
    x->step_ang = x->window_ang;
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "step", &x->step_ang, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "propagate")))
        st = bragg_yaml_bool(node, &x->propagate, err);
    if (st < 0 || !bragg_yaml_get(map, "window"))
        return st;
    if (!(x->window_ang > 0) || !(x->window_ang <= width + 1e-9) || !(x->step_ang > 0) || (width - x->window_ang) / x->step_ang > 9999)
        return bragg_yaml_fail(map, err, "sequence: expected a window within the range of %g angstrom and a step, found %g and %g", width, x->window_ang,
                               x->step_ang);
    x->n_windows = 1 + (size_t)floor((width - x->window_ang) / x->step_ang + 1e-9);
    return BRAGG_OK;
}

static size_t window_of(const bragg_pdf_experiment *x, size_t step) { return step % x->n_windows; }
static const char *file_of(const bragg_pdf_experiment *x, const source *s, size_t step)
{
    size_t k = step / x->n_windows;
    return s->file[k < s->n_files ? k : s->n_files - 1];
}

static void window_range(const bragg_pdf_experiment *x, size_t step, bragg_pdf_set_options *o)
{
    if (!(x->window_ang > 0))
        return;
    o->rmin_ang += (double)window_of(x, step) * x->step_ang;
    o->rmax_ang = o->rmin_ang + x->window_ang;
}

static bragg_status make_labels(bragg_pdf_experiment *x, bragg_error *err)
{
    size_t n = bragg_pdf_experiment_steps(x);
    x->label = bragg_arena_alloc(x->arena, n, sizeof *x->label);
    for (size_t k = 0; x->label && k < n; k++) {
        char text[300];
        bragg_pdf_set_options o = x->set[0].o;
        const char *path = file_of(x, &x->set[0], k), *slash = strrchr(path, '/');
        window_range(x, k, &o);
        if (x->window_ang > 0)
            snprintf(text, sizeof text, "%.200s %g to %g angstrom", slash ? slash + 1 : path, o.rmin_ang, o.rmax_ang);
        else
            snprintf(text, sizeof text, "%.200s", slash ? slash + 1 : path);
        if (!(x->label[k] = bragg_arena_strdup(x->arena, text)))
            return bragg_fail(err, BRAGG_ENOMEM, "no room for labels");
    }
    return x->label ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for labels");
}

/* Patterns of the same sample, which the experiment of refine describes. */
static bragg_status read_joint(bragg_pdf_experiment *x, bragg_error *err)
{
    if (x->n_files > 1 || x->n_windows > 1)
        return bragg_yaml_fail(x->root, err, "expected one G(r) a set and no windows together with patterns, found %zu steps", x->n_files * x->n_windows);
    bragg_status st = bragg_experiment_read(x->file, &x->joint, err);
    if (st == BRAGG_OK && !x->joint->pattern[0].name)
        st = bragg_yaml_fail(bragg_yaml_get(bragg_yaml_get(x->root, "data"), "patterns"), err, "patterns: expected maps {name, file, ...}, found files");
    for (size_t k = 0; k < x->n_sets && st == BRAGG_OK; k++)
        for (size_t i = 0; i < x->joint->n_patterns; i++)
            if (!strcmp(x->set[k].o.name, x->joint->pattern[i].name))
                return bragg_yaml_fail(x->set[k].node, err, "set '%s': a pattern has this name, too", x->set[k].o.name);
    if (st == BRAGG_OK)
        x->joint->bare = true;
    return st;
}

bragg_status bragg_pdf_experiment_read(const char *path, bragg_pdf_experiment **out, bragg_error *err)
{
    static const char *const keys[] = { "title", "data", "phases", "refine", "sequence", "radiation", "detector", "log", "output" };
    bragg_arena *arena = bragg_arena_new();
    bragg_pdf_experiment *x = arena ? bragg_arena_alloc(arena, 1, sizeof *x) : NULL;
    *out = NULL;
    if (!x) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an experiment");
    }
    x->arena = arena;
    x->file = bragg_arena_strdup(arena, path);
    bragg_status st = x->file ? bragg_yaml_read(path, arena, &x->root, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK)
        st = bragg_yaml_check_keys(x->root, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_text_at(x->root, "title", &x->title, err);
    if (st == BRAGG_OK)
        st = read_data(x, err);
    if (st == BRAGG_OK)
        st = read_phases(x, err);
    if (st == BRAGG_OK)
        st = read_refine(x, err);
    if (st == BRAGG_OK)
        st = read_sequence(x, err);
    if (st == BRAGG_OK && bragg_yaml_get(bragg_yaml_get(x->root, "data"), "patterns"))
        st = read_joint(x, err);
    if (st == BRAGG_OK)
        st = make_labels(x, err);
    if (st < 0) {
        bragg_pdf_experiment_free(x);
        return st;
    }
    *out = x;
    return BRAGG_OK;
}

void bragg_pdf_experiment_free(bragg_pdf_experiment *x)
{
    if (!x)
        return;
    bragg_experiment_free(x->joint);
    bragg_arena_free(x->arena);
}

const char *bragg_pdf_experiment_title(const bragg_pdf_experiment *x) { return x->title; }
size_t bragg_pdf_experiment_steps(const bragg_pdf_experiment *x) { return x->n_files * x->n_windows; }
int bragg_pdf_experiment_cycles(const bragg_pdf_experiment *x) { return (int)x->cycles; }
const char *bragg_pdf_experiment_label(const bragg_pdf_experiment *x, size_t step) { return x->label[step]; }

const char *bragg_pdf_experiment_card(const bragg_pdf_experiment *x, size_t k) { return k < x->n_phases ? x->phase[k].path : NULL; }

const char *bragg_pdf_experiment_input(const bragg_pdf_experiment *x, size_t k)
{
    if (k == 0)
        return x->file;
    k--;
    for (size_t s = 0; s < x->n_sets; s++) {
        if (k < x->set[s].n_files)
            return x->set[s].file[k];
        k -= x->set[s].n_files;
    }
    if (k < x->n_phases)
        return x->phase[k].path;
    k -= x->n_phases;
    return x->joint && k < x->joint->n_patterns ? x->joint->pattern[k].file : NULL;
}

/* ---------------------------------------------------------------- study */

static bragg_status add_set(const bragg_pdf_experiment *x, const source *s, size_t step, bragg_pdf_study *to, bragg_error *err)
{
    bragg_pdf_data *data;
    bragg_pdf_set_options o = s->o;
    bragg_status st = bragg_pdf_data_read(file_of(x, s, step), &data, err);
    if (st < 0)
        return st;
    window_range(x, step, &o);
    o.neutron = s->neutron_given ? s->o.neutron : data->neutron;
    st = bragg_pdf_study_add_set(to, data, &o, err);
    bragg_pdf_data_free(data);
    return st < 0 ? bragg_context(err, st, "%s", bragg_pdf_experiment_label(x, step)) : st;
}

static bragg_status add_phase(const member *p, bragg_pdf_study *to, bragg_error *err)
{
    bragg_structure *s;
    bragg_status st = bragg_structure_read_cif(p->path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    if (p->isotropic)
        bragg_structure_make_isotropic(s);
    st = bragg_pdf_study_add_phase(to, p->name, s, err);
    bragg_structure_free(s);
    return st;
}

static bragg_status add_patterns(const bragg_experiment *x, bragg_pdf_study *to, bragg_error *err)
{
    bragg_model *model;
    const char **names = malloc(x->n_patterns * sizeof *names);
    bragg_status st = names ? bragg_experiment_load(x, &model, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for names");
    for (size_t k = 0; names && k < x->n_patterns; k++)
        names[k] = x->pattern[k].name;
    if (st == BRAGG_OK)
        st = bragg_pdf_study_take_patterns(to, model, names, x->n_patterns, err);
    free(names);
    return st;
}

static bragg_status select_list(bragg_params *t, const bragg_yaml *list, const char *prefix, bragg_error *err)
{
    static const struct { const char *name, *parts[6]; } groups[] = { { "positions", { "x", "y", "z" } },
                                                                       { "adp", { "u11", "u22", "u33", "u23", "u13", "u12" } } };
    const char *part = strstr(prefix, "instrument.");
    char whole[160]; /* what is not of the instrument may stand among its parameters, by its whole name */
    bragg_status st = BRAGG_OK;
    snprintf(whole, sizeof whole, "%.*s", part ? (int)(part - prefix) : 0, prefix);
    if (list && list->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_fail(list, err, "expected a list of parameters");
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next) {
        const char *name;
        size_t found = 0;
        if ((st = bragg_yaml_text(c, &name, err)) < 0)
            break;
        for (size_t g = 0; g < 2; g++)
            for (size_t k = 0; !strcmp(name, groups[g].name) && k < 6 && groups[g].parts[k]; k++)
                found += bragg_structure_select_rows(t, prefix, groups[g].parts[k]);
        if (!found && !bragg_structure_select_rows(t, prefix, name) && !(part && bragg_structure_select_rows(t, whole, name)))
            st = bragg_yaml_fail(c, err, "'%s': no parameter has this name (bragg pdf fit --parameters lists them)", name);
    }
    return st;
}

/* Values of the study before, where they may move here and lie in bounds. */
static void take_over(bragg_params *t, const bragg_params *from)
{
    for (size_t k = 0; k < t->n; k++) {
        ptrdiff_t row = bragg_params_find(from, t->at[k].name);
        if (row >= 0 && from->at[row].value >= t->at[k].lower && from->at[row].value <= t->at[k].upper)
            t->at[k].value = from->at[row].value;
    }
}

/* Backgrounds always, and what each pattern lists. */
static bragg_status select_patterns(const bragg_experiment *x, bragg_params *t, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    bragg_params_select(t, "*.background", true);
    for (size_t k = 0; k < x->n_patterns && st == BRAGG_OK; k++) {
        char prefix[160];
        snprintf(prefix, sizeof prefix, "%.100s.instrument.", x->pattern[k].name);
        st = select_list(t, x->pattern[k].refine, prefix, err);
    }
    return st;
}

static bragg_status choose(const bragg_pdf_experiment *x, bragg_pdf_study *s, bragg_pdf_study *before, bragg_error *err)
{
    static const char command[] = "bragg pdf fit";
    const bragg_yaml *refine = bragg_yaml_get(x->root, "refine");
    bragg_params *t = bragg_pdf_study_params(s);
    bragg_status st = bragg_params_read_bounds(t, bragg_yaml_get(refine, "bounds"), command, err);
    if (st == BRAGG_OK)
        st = bragg_params_read_values(t, bragg_yaml_get(refine, "values"), false, command, err);
    if (st == BRAGG_OK)
        st = bragg_params_read_ties(t, bragg_yaml_get(refine, "ties"), command, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++) {
        char prefix[160];
        snprintf(prefix, sizeof prefix, "phase.%.100s.", x->phase[k].name);
        st = select_list(t, x->phase[k].refine, prefix, err);
    }
    if (st == BRAGG_OK)
        st = select_list(t, bragg_yaml_get(refine, "parameters"), "instrument.", err);
    if (st == BRAGG_OK && x->joint)
        st = select_patterns(x->joint, t, err);
    if (st == BRAGG_OK && before && x->propagate)
        take_over(t, bragg_pdf_study_params(before));
    return st;
}

bragg_status bragg_pdf_experiment_study(const bragg_pdf_experiment *x, size_t step, bragg_pdf_study *before, bragg_pdf_study **out, bragg_error *err)
{
    bragg_pdf_study *s = *out = bragg_pdf_study_new();
    bragg_status st = s ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a study");
    for (size_t k = 0; k < x->n_sets && st == BRAGG_OK; k++)
        st = add_set(x, &x->set[k], step, s, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        st = add_phase(&x->phase[k], s, err);
    if (st == BRAGG_OK && x->joint)
        st = add_patterns(x->joint, s, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_study_build(s, err);
    if (st == BRAGG_OK)
        st = choose(x, s, before, err);
    if (st < 0) {
        bragg_pdf_study_free(s);
        *out = NULL;
    }
    return st;
}
