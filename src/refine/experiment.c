/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: from its sections to a model with its parameters chosen. */
#include "config.h"
#include "model.h"
#include "reading.h"

#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bragg_status bragg_experiment_start(bragg_experiment *x, const char *result, bragg_error *err)
{
    struct stat info;
    if (!result)
        return BRAGG_OK;
    x->start = stat(result, &info) == 0 && S_ISDIR(info.st_mode) ? bragg_path_join(x->arena, result, "fit.json") : bragg_arena_strdup(x->arena, result);
    if (!bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "strategy"))
        x->options.stages = false; /* what was found stays near */
    return x->start ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
}

/* Where results go when the command line does not say. */
static bragg_status read_output(const loading *l, bragg_error *err)
{
    static const char *const keys[] = { "directory" };
    const bragg_yaml *map = bragg_yaml_get(l->root, "output"), *node = bragg_yaml_get(map, "directory");
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, 1, err) : BRAGG_OK;
    if (st < 0)
        return st;
    return node ? bragg_reading_path(l, node, &l->x->directory, err) : BRAGG_OK;
}

/* Their keys; what they name is looked up in the model. */
static bragg_status check_restraints(const bragg_yaml *list, bragg_error *err)
{
    static const char *const keys[] = { "phase", "distance", "angle", "sum", "value", "sigma" };
    bragg_status st = BRAGG_OK;
    if (list && list->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_fail(list, err, "restraints: expected a list");
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next)
        st = bragg_yaml_check_keys(c, keys, sizeof keys / sizeof *keys, err);
    return st;
}

static bragg_status check_standard(const bragg_yaml *map, bragg_error *err)
{
    static const char *const keys[] = { "phase", "weight_fraction" };
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, 2, err) : BRAGG_OK;
    if (st == BRAGG_OK && map && (!bragg_yaml_get(map, "phase") || !bragg_yaml_get(map, "weight_fraction")))
        return bragg_yaml_fail(map, err, "standard: expected a phase and its weight_fraction");
    return st;
}

static bragg_status read_refine(const loading *l, bragg_error *err)
{
    static const char *const keys[] = { "background", "instrument", "strategy", "parameters", "values", "bounds", "ties", "restraints", "standard", "cycles", "start" };
    const bragg_yaml *map = bragg_yaml_get(l->root, "refine"), *node;
    long long n;
    const char *text;
    if (!map)
        return BRAGG_OK;
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK)
        st = check_restraints(bragg_yaml_get(map, "restraints"), err);
    if (st == BRAGG_OK)
        st = check_standard(bragg_yaml_get(map, "standard"), err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "start"))) {
        if ((st = bragg_reading_path(l, node, &text, err)) == BRAGG_OK)
            st = bragg_experiment_start(l->x, text, err);
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "strategy")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "auto") && strcmp(text, "all"))
            return bragg_yaml_fail(node, err, "strategy: expected auto or all, found '%s'", text);
        l->x->options.stages = *text == 'a' && text[1] == 'u';
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "cycles")) && (st = bragg_yaml_integer(node, &n, err)) == BRAGG_OK) {
        if (n < 1 || n > 10000)
            return bragg_yaml_fail(node, err, "cycles: expected 1 to 10000, found %lld", n);
        l->x->options.max_cycles = (int)n;
    }
    return st;
}

bragg_status bragg_experiment_read(const char *path, bragg_experiment **out, bragg_error *err)
{
    static const char *const keys[] = { "title", "radiation", "detector", "data", "log", "phases", "refine", "sequence", "analysis", "pdf", "output" };
    bragg_arena *arena = bragg_arena_new();
    bragg_experiment *x = arena ? bragg_arena_alloc(arena, 1, sizeof *x) : NULL;
    *out = NULL;
    if (!x) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an experiment");
    }
    x->arena = arena;
    x->options = (bragg_refine_options)BRAGG_REFINE_OPTIONS_INIT;
    loading l = { NULL, arena, path, x };
    bragg_status st = bragg_yaml_read(path, arena, &l.root, err);
    x->root = l.root;
    const bragg_yaml *title = st == BRAGG_OK ? bragg_yaml_get(l.root, "title") : NULL;
    if (st == BRAGG_OK)
        st = bragg_yaml_check_keys(l.root, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && title)
        st = bragg_yaml_text(title, &x->title, err);
    if (st == BRAGG_OK)
        st = bragg_reading_data(&l, err);
    if (st == BRAGG_OK)
        st = bragg_reading_phases(&l, err);
    if (st == BRAGG_OK)
        st = read_refine(&l, err);
    if (st == BRAGG_OK)
        st = read_output(&l, err);
    if (st < 0) {
        bragg_experiment_free(x);
        return st;
    }
    *out = x;
    return BRAGG_OK;
}

void bragg_experiment_free(bragg_experiment *x)
{
    if (!x)
        return;
    for (size_t k = 0; k < x->n_patterns; k++)
        bragg_pattern_free(x->pattern[k].asked);
    bragg_arena_free(x->arena);
}

/* ---------------------------------------------------------------- model */

static bragg_status add_cell(bragg_model *m, const bragg_experiment_phase *p, const bragg_cell *cell, const bragg_symmetry *symmetry, bragg_error *err)
{
    if (p->known)
        return bragg_model_add_intensities(m, p->name, cell, symmetry, p->known, p->n_known, p->mass, err);
    return p->pawley ? bragg_model_add_pawley(m, p->name, cell, symmetry, p->positive, err) : bragg_model_add_cell(m, p->name, cell, symmetry, err);
}

static bragg_status add_phase(bragg_model *m, const bragg_experiment_phase *p, bragg_error *err)
{
    bragg_structure *s;
    if (p->spacings)
        return bragg_model_add_list(m, p->name, p->known, p->n_known, p->wavelength_ang, p->mass, err);
    if (p->symmetry)
        return add_cell(m, p, &p->cell, p->symmetry, err);
    bragg_status st = bragg_structure_read_cif(p->path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    if (p->isotropic)
        bragg_structure_make_isotropic(s);
    if (p->extract || p->known)
        st = add_cell(m, p, &s->cell, &s->symmetry, err);
    else
        st = bragg_model_add_phase(m, p->name, s, NULL, err);
    bragg_structure_free(s);
    return st;
}

/* Is all that the name stands for held, as this mount or radiation does not know it? */
static bool none_moves(const bragg_model *m, const char *name)
{
    const bragg_params *t = &m->params;
    bool held = false;
    for (size_t i = 0; i < t->n; i++) {
        size_t n = strlen(t->at[i].name), k = strlen(name);
        if (n < k || strcmp(t->at[i].name + n - k, name) || (n > k && t->at[i].name[n - k - 1] != '.'))
            continue;
        if (t->at[i].tie_to >= 0 || t->at[i].lower < t->at[i].upper)
            return false;
        held = true;
    }
    return held;
}

/* What its shifts divide by must be told. */
static bool wants_radius(const char *name) { return !strcmp(name, "displacement") || !strcmp(name, "transparency") || !strcmp(name, "shift_x") || !strcmp(name, "shift_y"); }

/* Names in a list, checked: each must select something. */
static bragg_status select_list(bragg_model *m, const bragg_yaml *list, const char *prefix, const char *second, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (list && list->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_fail(list, err, "expected a list of parameters");
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next) {
        const char *name;
        st = bragg_yaml_text(c, &name, err);
        if (st == BRAGG_OK && !bragg_structure_select_rows(bragg_model_params(m), prefix, name) && !bragg_structure_select_rows(bragg_model_params(m), second, name))
            st = bragg_yaml_fail(c, err, "'%s': no parameter has this name (bragg refine --parameters lists them)", name);
        else if (st == BRAGG_OK && wants_radius(name) && none_moves(m, name))
            st = bragg_yaml_fail(c, err, "'%s': cannot be refined here (displacement and transparency want mount: bragg-brentano, shift_x and shift_y another, each radius_mm)", name);
    }
    return st;
}

/* {sum: [NAME, ...], value: 1, sigma: 0.001} */
static bragg_status restrain_sum(bragg_model *m, const bragg_yaml *names, double value, double sigma, bragg_error *err)
{
    size_t rows[64], n = 0;
    bragg_status st = BRAGG_OK;
    if (names->kind != BRAGG_YAML_SEQUENCE || names->n_children > 64)
        return bragg_yaml_fail(names, err, "sum: expected a list of up to 64 parameters");
    for (const bragg_yaml *c = names->child; c && st == BRAGG_OK; c = c->next) {
        const char *name;
        if ((st = bragg_yaml_text(c, &name, err)) < 0)
            break;
        ptrdiff_t row = bragg_params_find(bragg_model_params(m), name);
        if (row < 0)
            return bragg_yaml_fail(c, err, "sum: '%s' is no parameter (bragg refine --parameters lists them)", name);
        rows[n++] = (size_t)row;
    }
    return st == BRAGG_OK ? bragg_model_restrain_sum(m, rows, n, value, sigma, err) : st;
}

/* {phase: P, distance: [A, B], value: 2.1, sigma: 0.02}, or angle: [A, B, C]. */
static bragg_status restrain_atoms(bragg_model *m, const bragg_yaml *map, const bragg_yaml *labels, size_t n, double value, double sigma, bragg_error *err)
{
    const bragg_yaml *owner = bragg_yaml_get(map, "phase");
    const char *name, *label[3];
    if (!owner || labels->kind != BRAGG_YAML_SEQUENCE || labels->n_children != n)
        return bragg_yaml_fail(labels, err, "restraint: expected a phase and %zu atoms, found %zu%s", n, labels->n_children, owner ? "" : " and no phase");
    bragg_status st = bragg_yaml_text(owner, &name, err);
    size_t k = 0;
    for (const bragg_yaml *c = labels->child; c && st == BRAGG_OK; c = c->next)
        st = bragg_yaml_text(c, &label[k++], err);
    bragg_error cause = BRAGG_ERROR_INIT;
    if (st == BRAGG_OK && bragg_model_restrain_atoms(m, name, label, n, value, sigma, &cause) < 0)
        st = bragg_yaml_fail(labels, err, "%s", cause.text);
    return st;
}

static bragg_status set_restraints(bragg_model *m, const bragg_yaml *list, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next) {
        const bragg_yaml *distance = bragg_yaml_get(c, "distance"), *angle = bragg_yaml_get(c, "angle"), *sum = bragg_yaml_get(c, "sum");
        double value = NAN, sigma = NAN;
        st = bragg_yaml_number_at(c, "value", &value, err);
        if (st == BRAGG_OK)
            st = bragg_yaml_number_at(c, "sigma", &sigma, err);
        if (st == BRAGG_OK && (!(sigma > 0) || !isfinite(value) || (distance != NULL) + (angle != NULL) + (sum != NULL) != 1))
            st = bragg_yaml_fail(c, err, "restraint: expected one of distance, angle and sum with a value and a positive sigma");
        if (st == BRAGG_OK)
            st = sum ? restrain_sum(m, sum, value, sigma, err) : restrain_atoms(m, c, distance ? distance : angle, distance ? 2 : 3, value, sigma, err);
    }
    return st;
}

/* {phase: P, weight_fraction: 0.2}: what was weighed in. */
static bragg_status set_standard(bragg_model *m, const bragg_yaml *map, bragg_error *err)
{
    const char *name = "";
    double fraction = NAN;
    if (!map)
        return BRAGG_OK;
    bragg_status st = bragg_yaml_text(bragg_yaml_get(map, "phase"), &name, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "weight_fraction", &fraction, err);
    bragg_error cause = BRAGG_ERROR_INIT;
    if (st == BRAGG_OK && bragg_model_standard(m, name, fraction, &cause) < 0)
        st = bragg_yaml_fail(map, err, "standard: %s", cause.text);
    return st;
}

/* Peaks need some width to start with: four steps of the pattern. */
static void start_widths(bragg_model *m, size_t which)
{
    bragg_params *t = bragg_model_params(m);
    const histogram *h = &m->histogram[which];
    double step = (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1) / BRAGG_DEG, width = 4 * step;
    t->at[h->row[CAGLIOTI_W]].value = width * width;
}

/* The bins and pixels that a pattern tells of, unless an instrument's file has them
 * inside its own widths: one that was fitted without. */
static void set_bins(const bragg_instrument *known, const bragg_pattern *p, bragg_model *m, size_t which)
{
    const double rad[2] = { p->bin_rad, p->pixel_rad };
    const double file[2] = { known->value[BRAGG_INSTRUMENT_BOX], known->value[BRAGG_INSTRUMENT_PIXEL] };
    bool apart = file[0] > 0 || file[1] > 0, widths = isfinite(known->value[BRAGG_INSTRUMENT_W]);
    for (int k = 0; k < 2; k++) {
        bragg_param *row = &bragg_model_params(m)->at[m->histogram[which].row[k ? PIXEL : BOX]];
        if (rad[k] > 0 && (apart || !widths))
            row->value = fmin(rad[k] / BRAGG_DEG, row->upper);
    }
}

static bragg_status set_starts(const bragg_experiment *x, const bragg_pattern *const *patterns, bragg_model *m, bragg_error *err)
{
    for (size_t k = 0; k < x->n_patterns; k++) {
        start_widths(m, k);
        bragg_instrument_apply(&x->pattern[k].instrument, m, k);
        set_bins(&x->pattern[k].instrument, patterns[k], m, k);
    }
    static const char command[] = "bragg refine";
    bragg_params *t = bragg_model_params(m);
    const bragg_yaml *refine = bragg_yaml_get(x->root, "refine");
    bragg_status st = x->bare ? BRAGG_OK : bragg_params_read_bounds(t, bragg_yaml_get(refine, "bounds"), command, err);
    if (st == BRAGG_OK && !x->bare)
        st = bragg_params_read_values(t, bragg_yaml_get(refine, "values"), true, command, err);
    if (st == BRAGG_OK && !x->bare)
        st = bragg_params_read_ties(t, bragg_yaml_get(refine, "ties"), command, err);
    if (st == BRAGG_OK)
        st = set_restraints(m, bragg_yaml_get(refine, "restraints"), err);
    return st == BRAGG_OK ? set_standard(m, bragg_yaml_get(refine, "standard"), err) : st;
}

static bool is_auto(const bragg_yaml *list) { return list && list->kind == BRAGG_YAML_SCALAR && list->text && !strcmp(list->text, "auto"); }

/* Whether the file leaves all to the strategy. */
static bool names_nothing(const bragg_experiment *x)
{
    bool any = bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "parameters");
    for (size_t k = 0; k < x->n_patterns; k++)
        any = any || x->pattern[k].refine;
    for (size_t k = 0; k < x->n_phases; k++)
        any = any || x->phase[k].refine;
    return !any;
}

bragg_status bragg_experiment_check_series(const bragg_experiment *x, bragg_error *err)
{
    const bragg_yaml *parameters = bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "parameters");
    if (is_auto(parameters))
        return bragg_yaml_fail(parameters, err, "parameters: auto chooses for one refinement; of a series, name them");
    for (size_t k = 0; k < x->n_phases; k++) {
        if (is_auto(x->phase[k].refine))
            return bragg_yaml_fail(x->phase[k].refine, err, "refine: auto chooses for one refinement; of a series, name the parameters");
        if (!x->phase[k].extract && names_nothing(x))
            return bragg_yaml_fail(bragg_yaml_get(x->root, "phases"), err, "phases: expected what to refine of each, as refine: [scale, cell, size], found nothing; "
                                   "bragg refine chooses for one pattern, of a series, name it");
    }
    return BRAGG_OK;
}

static void offer_names(bragg_model *m, const char *prefix, const char *const *names)
{
    for (; *names; names++) {
        char full[300];
        snprintf(full, sizeof full, "%s%s", prefix, *names);
        bragg_model_offer(m, full);
    }
}

/* What an expert would try of an instrument: one that is known keeps its widths. */
static void offer_instrument(const bragg_experiment *x, bragg_model *m)
{
    static const char *const flat[] = { "displacement", "roughness_q", NULL }, *const round[] = { "zero", NULL }, *const widths[] = { "w", "u", "v", "sl", NULL };
    for (size_t k = 0; k < x->n_patterns; k++) {
        const bragg_histogram_options *h = &x->pattern[k].histogram;
        const char *name = x->pattern[k].name ? x->pattern[k].name : "";
        char prefix[160];
        snprintf(prefix, sizeof prefix, "%.100s%sinstrument.", name, *name ? "." : "");
        offer_names(m, prefix, h->mount == BRAGG_BRAGG_BRENTANO && h->radius_m > 0 ? flat : round);
        if (!isfinite(x->pattern[k].instrument.value[BRAGG_INSTRUMENT_W]))
            offer_names(m, prefix, widths);
    }
}

/* X-rays see too little of hydrogen for its place and motion. */
static void withdraw_hydrogen(bragg_model *m, const char *name)
{
    const phase *p = bragg_refine_phase(m, name);
    for (size_t h = 0; h < m->n_histograms; h++)
        if (m->histogram[h].radiation.neutron)
            return;
    for (size_t j = 0; p && j < p->structure->n_atoms; j++)
        for (size_t k = 0; p->structure->scatterer[p->structure->atom[j].scatterer].z == 1 && k < BRAGG_ATOM_ROWS; k++)
            m->offered[p->atom_row + j * BRAGG_ATOM_ROWS + k] = false;
}

static void offer_phase(const bragg_experiment_phase *p, bragg_model *m)
{
    static const char *const names[] = { "cell.*", "size", "size.axial", "strain", "strain.axial", "stephens.*", "march*", "harmonics.*", "extinction",
                                         "atom.*.uiso", "atom.*.[xyz]", NULL };
    static const char *const scales[] = { "phase.%.100s.scale", "*.phase.%.100s.scale" };
    char text[160];
    for (int k = 0; k < 2; k++) {
        snprintf(text, sizeof text, scales[k], p->name);
        bragg_model_select(m, text, true);
    }
    snprintf(text, sizeof text, "phase.%.100s.", p->name);
    offer_names(m, text, names);
    withdraw_hydrogen(m, p->name);
}

static bragg_status select_parameters(const bragg_experiment *x, bragg_model *m, bool choose, bragg_error *err)
{
    char prefix[160];
    const bragg_yaml *parameters = bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "parameters");
    bool all = choose && names_nothing(x);
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "*.background", true);
    if (all || is_auto(parameters))
        offer_instrument(x, m);
    bragg_status st = is_auto(parameters) ? BRAGG_OK : select_list(m, parameters, "instrument.", "", err);
    for (size_t k = 0; k < x->n_patterns && st == BRAGG_OK; k++) {
        char whole[160];
        snprintf(prefix, sizeof prefix, "%.100s.instrument.", x->pattern[k].name ? x->pattern[k].name : "");
        snprintf(whole, sizeof whole, "%.100s.", x->pattern[k].name ? x->pattern[k].name : "");
        st = select_list(m, x->pattern[k].refine, prefix, whole, err);
    }
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++) {
        snprintf(prefix, sizeof prefix, "phase.%.100s.", x->phase[k].name);
        if (all || is_auto(x->phase[k].refine))
            offer_phase(&x->phase[k], m);
        else
            st = select_list(m, x->phase[k].refine, prefix, prefix, err);
    }
    return st;
}

/* An earlier result goes before `values` where a parameter is refined: those are where
 * it once started.  What is held stays at the value that is asked for now. */
static bragg_status go_on(const bragg_experiment *x, bragg_model *m, bragg_error *err)
{
    bragg_params *t = bragg_model_params(m);
    const bragg_yaml *values = bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "values");
    bragg_status st = x->start ? bragg_model_start(m, x->start, err) : BRAGG_OK;
    for (const bragg_yaml *c = values && x->start ? values->child : NULL; c && st == BRAGG_OK; c = c->next) {
        ptrdiff_t row = bragg_params_find(t, c->key);
        if (row >= 0 && !t->at[row].refine)
            st = bragg_yaml_number(c, &t->at[row].value, err);
    }
    if (st == BRAGG_OK)
        bragg_params_apply_ties(t);
    return st;
}

/* The whole model; patterns[k] belongs to the experiment's pattern k. */
static bragg_status make_model(const bragg_experiment *x, const bragg_pattern *const *patterns, bool choose, bragg_model **out, bragg_error *err)
{
    bragg_model *m = bragg_model_new();
    bragg_status st = m ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    *out = NULL;
    for (size_t k = 0; k < x->n_patterns && st == BRAGG_OK; k++) {
        st = bragg_model_add_pattern(m, patterns[k], &x->pattern[k].histogram, err);
        if (st < 0 && (x->pattern[k].name || x->pattern[k].file))
            bragg_context(err, st, x->pattern[k].name ? "pattern %s" : "'%s'", x->pattern[k].name ? x->pattern[k].name : x->pattern[k].file);
    }
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        st = add_phase(m, &x->phase[k], err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        st = bragg_model_broaden(m, x->phase[k].name, x->phase[k].uniaxial ? x->phase[k].axis : NULL, x->phase[k].stephens, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        if (x->phase[k].n_march || x->phase[k].harmonics)
            st = bragg_model_texture(m, x->phase[k].name, (const int(*)[3])x->phase[k].march, x->phase[k].n_march, x->phase[k].harmonics, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        if (x->phase[k].extinction)
            st = bragg_model_extinction(m, x->phase[k].name, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        if (x->phase[k].particle_um > 0)
            st = bragg_model_microabsorption(m, x->phase[k].name, x->phase[k].particle_um, err);
    if (st == BRAGG_OK)
        st = bragg_model_build(m, err);
    if (st == BRAGG_OK)
        st = set_starts(x, patterns, m, err);
    if (st == BRAGG_OK && !x->bare)
        st = select_parameters(x, m, choose, err);
    if (st == BRAGG_OK)
        st = go_on(x, m, err);
    if (st < 0) {
        bragg_model_free(m);
        return st;
    }
    *out = m;
    return BRAGG_OK;
}

bragg_status bragg_experiment_model(const bragg_experiment *x, const bragg_pattern *pattern, bragg_model **out, bragg_error *err)
{
    *out = NULL;
    if (x->n_patterns != 1)
        return bragg_fail(err, BRAGG_EDATA, "data: expected one pattern a step, found %zu refined together", x->n_patterns);
    bragg_status st = bragg_experiment_check_series(x, err);
    return st < 0 ? st : make_model(x, &pattern, false, out, err);
}

bragg_status bragg_experiment_load(const bragg_experiment *x, bragg_model **out, bragg_error *err)
{
    bragg_pattern **p = calloc(2 * x->n_patterns, sizeof *p), **own = p ? p + x->n_patterns : NULL;
    bragg_status st = p ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for patterns");
    *out = NULL;
    for (size_t k = 0; k < x->n_patterns && st == BRAGG_OK; k++) {
        if (!x->pattern[k].file)
            st = bragg_fail(err, BRAGG_EDATA, "%s: data: expected a pattern, found none", x->root->file);
        else if (!x->pattern[k].asked)
            st = bragg_experiment_pattern_read(&x->pattern[k], &own[k], err);
        p[k] = x->pattern[k].asked ? x->pattern[k].asked : own[k];
    }
    if (st == BRAGG_OK)
        st = make_model(x, (const bragg_pattern *const *)p, true, out, err);
    for (size_t k = 0; p && k < x->n_patterns; k++)
        bragg_pattern_free(own[k]);
    free(p);
    return st;
}
