/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: from its sections to a model with its parameters chosen. */
#include "config.h"
#include "model.h"

#include <bragg/experiment.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Characteristic lines K alpha 1 and 2: G. Hoelzer et al., Phys. Rev. A 56 (1997)
 * 4554 (Cr to Cu); R. D. Deslattes et al., Rev. Mod. Phys. 75 (2003) 35 (Mo, Ag).
 * The ratio is the usual 0.5 of a tube without monochromator. */
static const struct { const char *name; double k1, k2; } tubes[] = {
    { "Cr", 2.289726, 2.293651 }, { "Fe", 1.936041, 1.939973 }, { "Co", 1.788996, 1.792835 }, { "Cu", 1.540593, 1.544427 },
    { "Mo", 0.709317, 0.713607 }, { "Ag", 0.559422, 0.563813 },
};

typedef struct loading {
    const bragg_yaml *root;
    bragg_arena *arena;
    const char *file;
    bragg_experiment *x;
} loading;

/* ------------------------------------------------------------- sections */

static bragg_status optional_number(const bragg_yaml *map, const char *key, double *value, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    return node ? bragg_yaml_number(node, value, err) : BRAGG_OK;
}

static bragg_status read_wavelengths(const bragg_yaml *node, const bragg_yaml *ratios, bragg_radiation *r, bragg_error *err)
{
    if (node->kind == BRAGG_YAML_SCALAR) {
        r->n_lines = 1;
        r->ratio[0] = 1;
        return bragg_yaml_number(node, &r->wavelength_ang[0], err);
    }
    if (node->kind != BRAGG_YAML_SEQUENCE || node->n_children < 1 || node->n_children > BRAGG_MAX_LINES)
        return bragg_yaml_fail(node, err, "wavelength: expected a number or a list of 1 to %d", BRAGG_MAX_LINES);
    r->n_lines = node->n_children;
    for (size_t k = 0; k < r->n_lines; k++)
        r->ratio[k] = k ? 0.5 : 1;
    bragg_status st = bragg_yaml_numbers(node, r->wavelength_ang, r->n_lines, err);
    return st == BRAGG_OK && ratios ? bragg_yaml_numbers(ratios, r->ratio, r->n_lines, err) : st;
}

static bragg_status read_anode(const bragg_yaml *node, bragg_radiation *r, bragg_error *err)
{
    const char *name;
    bragg_status st = bragg_yaml_text(node, &name, err);
    for (size_t k = 0; st == BRAGG_OK && k < sizeof tubes / sizeof *tubes; k++)
        if (!strcasecmp(name, tubes[k].name)) {
            r->n_lines = 2;
            r->wavelength_ang[0] = tubes[k].k1;
            r->wavelength_ang[1] = tubes[k].k2;
            r->ratio[0] = 1;
            r->ratio[1] = 0.5;
            return BRAGG_OK;
        }
    return st < 0 ? st : bragg_yaml_fail(node, err, "anode: expected Cr, Fe, Co, Cu, Mo or Ag, found '%s'", name);
}

static bragg_status read_radiation(const loading *l, bragg_error *err)
{
    static const char *const keys[] = { "type", "wavelength", "ratios", "anode", "polarization" };
    const bragg_yaml *map = bragg_yaml_get(l->root, "radiation"), *node;
    bragg_radiation *r = &l->x->histogram.radiation;
    const bragg_instrument *known = &l->x->instrument;
    const char *type = known->radiation.neutron ? "neutron" : "x-ray";
    if (known->radiation.n_lines)
        *r = known->radiation;
    if (!map && known->radiation.n_lines)
        return BRAGG_OK;
    if (!map)
        return bragg_yaml_fail(l->root, err, "expected a section 'radiation', found none");
    bragg_status st = bragg_yaml_check_keys(map, keys, 5, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "type")))
        st = bragg_yaml_text(node, &type, err);
    if (st == BRAGG_OK && strcmp(type, "x-ray") && strcmp(type, "neutron"))
        return bragg_yaml_fail(bragg_yaml_get(map, "type"), err, "type: expected x-ray or neutron, found '%s'", type);
    r->neutron = !strcmp(type, "neutron");
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "anode")))
        st = read_anode(node, r, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "wavelength")))
        st = read_wavelengths(node, bragg_yaml_get(map, "ratios"), r, err);
    if (st == BRAGG_OK && r->n_lines == 0)
        st = bragg_yaml_fail(map, err, "radiation: expected a wavelength in angstrom or an anode, found none");
    r->polarization = isfinite(known->radiation.polarization) ? known->radiation.polarization : r->n_lines > 1 ? 0.5 : 0.99;
    return st == BRAGG_OK ? optional_number(map, "polarization", &r->polarization, err) : st;
}

static bragg_status read_exclude(const loading *l, const bragg_yaml *node, bragg_error *err)
{
    double(*list)[2] = bragg_arena_alloc(l->arena, node->n_children + 1, sizeof *list);
    size_t n = 0;
    bragg_status st = list ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for excluded regions");
    for (const bragg_yaml *c = node->child; c && st == BRAGG_OK; c = c->next, n++) {
        st = bragg_yaml_numbers(c, list[n], 2, err);
        list[n][0] *= BRAGG_DEG;
        list[n][1] *= BRAGG_DEG;
    }
    l->x->histogram.exclude_rad = (const double(*)[2])list;
    l->x->histogram.n_exclude = n;
    return st;
}

static bragg_status read_data(const loading *l, bragg_error *err)
{
    static const char *const keys[] = { "pattern", "patterns", "frames", "unit", "range", "bins", "exclude", "mount", "radius_mm" };
    const bragg_yaml *map = bragg_yaml_get(l->root, "data"), *node;
    const char *text;
    double range[2];
    if (!map)
        return bragg_yaml_fail(l->root, err, "expected a section 'data', found none");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    node = bragg_yaml_get(map, "pattern") ? bragg_yaml_get(map, "pattern") : bragg_yaml_get(map, "patterns");
    if (st == BRAGG_OK && node) {
        st = bragg_yaml_text(node->kind == BRAGG_YAML_SEQUENCE && node->child ? node->child : node, &text, err);
        if (st == BRAGG_OK && !(l->x->pattern = bragg_path_beside(l->arena, l->file, text)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "range")) && (st = bragg_yaml_numbers(node, range, 2, err)) == BRAGG_OK) {
        l->x->histogram.first_rad = range[0] * BRAGG_DEG;
        l->x->histogram.last_rad = range[1] * BRAGG_DEG;
        if (!(range[1] > range[0]))
            st = bragg_yaml_fail(node, err, "range: expected two rising numbers, found %g and %g", range[0], range[1]);
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "exclude")))
        st = read_exclude(l, node, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "mount")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "debye-scherrer") && strcmp(text, "bragg-brentano"))
            return bragg_yaml_fail(node, err, "mount: expected debye-scherrer or bragg-brentano, found '%s'", text);
        l->x->histogram.mount = *text == 'b' ? BRAGG_BRAGG_BRENTANO : BRAGG_DEBYE_SCHERRER;
    }
    double radius_mm = 1000 * l->x->histogram.radius_m;
    if (st == BRAGG_OK)
        st = optional_number(map, "radius_mm", &radius_mm, err);
    l->x->histogram.radius_m = radius_mm / 1000;
    return st;
}

/* Read before all else: radiation and mount fall back on it. */
static bragg_status read_instrument(const loading *l, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(bragg_yaml_get(l->root, "refine"), "instrument");
    bragg_instrument *x = &l->x->instrument;
    const char *text;
    x->radius_m = x->radiation.polarization = NAN;
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS; k++)
        x->value[k] = NAN;
    bragg_status st = node ? bragg_yaml_text(node, &text, err) : BRAGG_OK;
    if (!node || st < 0)
        return st;
    const char *path = bragg_path_beside(l->arena, l->file, text);
    if (!path)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    st = bragg_instrument_read(path, x, err);
    if (st == BRAGG_OK && x->has_mount)
        l->x->histogram.mount = x->mount;
    l->x->histogram.radius_m = x->radius_m;
    return st;
}

static bragg_status read_refine(const loading *l, bragg_error *err)
{
    static const char *const keys[] = { "background", "instrument", "strategy", "parameters", "values", "cycles", "start" };
    static const char *const background_keys[] = { "type", "terms" };
    const bragg_yaml *map = bragg_yaml_get(l->root, "refine"), *node, *sub;
    long long n;
    const char *text;
    if (!map)
        return BRAGG_OK;
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "background"))) {
        st = bragg_yaml_check_keys(node, background_keys, 2, err);
        if (st == BRAGG_OK && (sub = bragg_yaml_get(node, "type")) && (st = bragg_yaml_text(sub, &text, err)) == BRAGG_OK && strcmp(text, "chebyshev"))
            st = bragg_yaml_fail(sub, err, "background: expected type chebyshev, found '%s'", text);
        if (st == BRAGG_OK && (sub = bragg_yaml_get(node, "terms")) && (st = bragg_yaml_integer(sub, &n, err)) == BRAGG_OK) {
            if (n < 1 || n > 40)
                return bragg_yaml_fail(sub, err, "terms: expected 1 to 40, found %lld", n);
            l->x->histogram.background_terms = (size_t)n;
        }
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "start")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        l->x->start = bragg_path_beside(l->arena, l->file, text);
        l->x->options.stages = false; /* what was found stays near */
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "strategy")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "auto") && strcmp(text, "all"))
            return bragg_yaml_fail(node, err, "strategy: expected auto or all, found '%s'", text);
        l->x->options.stages = *text == 'a' && text[1] == 'u';
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "cycles")) && (st = bragg_yaml_integer(node, &n, err)) == BRAGG_OK)
        l->x->options.max_cycles = n > 0 && n < 10000 ? (int)n : 100;
    return st;
}

/* --------------------------------------------------------------- phases */

/* A path that ends in .cif, or the name of a bundled card. */
static bragg_status card_path(const loading *l, const bragg_yaml *node, const char *card, const char **path, bragg_error *err)
{
    char name[200];
    if (!strcasecmp(bragg_path_extension(card), ".cif"))
        *path = bragg_path_beside(l->arena, l->file, card);
    else {
        snprintf(name, sizeof name, "cif/%.180s.cif", card);
        *path = bragg_data_path(l->arena, name);
    }
    if (!*path)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return bragg_path_exists(*path) ? BRAGG_OK : bragg_yaml_fail(node, err, "card '%s': expected a CIF file or a bundled card, found no '%s'", card, *path);
}

/* Cell and space group in place of a card. */
static bragg_status read_cell(const loading *l, const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *group = bragg_yaml_get(map, "space_group"), *cell = bragg_yaml_get(map, "cell");
    const char *symbol;
    double v[6];
    if (!group)
        return bragg_yaml_fail(cell, err, "cell: expected a space_group beside it, found none");
    if (!p->extract)
        return bragg_yaml_fail(cell, err, "cell: expected 'method: lebail' or a card with atoms, found neither");
    bragg_symmetry *s = bragg_arena_alloc(l->arena, 1, sizeof *s);
    bragg_status st = s ? bragg_yaml_numbers(cell, v, 6, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a symmetry");
    if (st == BRAGG_OK)
        st = bragg_yaml_text(group, &symbol, err);
    bragg_error cause = BRAGG_ERROR_INIT;
    if (st == BRAGG_OK && bragg_symmetry_from_symbol(symbol, s, &cause) < 0)
        st = bragg_yaml_fail(group, err, "space_group: %s", cause.text);
    if (st == BRAGG_OK)
        p->cell = (bragg_cell){ v[0], v[1], v[2], v[3] * BRAGG_DEG, v[4] * BRAGG_DEG, v[5] * BRAGG_DEG };
    p->symmetry = s;
    return st;
}

static bragg_status read_method(const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "method");
    const char *text = "rietveld";
    bragg_status st = node ? bragg_yaml_text(node, &text, err) : BRAGG_OK;
    if (st == BRAGG_OK && strcmp(text, "rietveld") && strcmp(text, "lebail"))
        return bragg_yaml_fail(node, err, "method: expected rietveld or lebail, found '%s'", text);
    p->extract = *text == 'l';
    return st;
}

static bragg_status read_phase(const loading *l, const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    static const char *const keys[] = { "name", "card", "cif", "refine", "march", "method", "cell", "space_group" };
    const bragg_yaml *node = bragg_yaml_get(map, "card") ? bragg_yaml_get(map, "card") : bragg_yaml_get(map, "cif"), *named = bragg_yaml_get(map, "name");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    bool has_cell = bragg_yaml_get(map, "cell");
    if (st == BRAGG_OK && !node && !has_cell)
        st = bragg_yaml_fail(map, err, "phase: expected a card, found none");
    if (st == BRAGG_OK && node && has_cell)
        st = bragg_yaml_fail(map, err, "phase: expected a card or a cell, found both");
    if (st == BRAGG_OK && !node && !named)
        st = bragg_yaml_fail(map, err, "phase: expected a name beside its cell, found none");
    if (st == BRAGG_OK)
        st = read_method(map, p, err);
    if (st == BRAGG_OK && has_cell)
        st = read_cell(l, map, p, err);
    if (st == BRAGG_OK && node)
        st = bragg_yaml_text(node, &p->card, err);
    if (st == BRAGG_OK && node)
        st = card_path(l, node, p->card, &p->path, err);
    if (st == BRAGG_OK)
        st = named ? bragg_yaml_text(named, &p->name, err) : (p->name = bragg_path_stem(l->arena, p->card)) ? BRAGG_OK : BRAGG_ENOMEM;
    if (st == BRAGG_OK && strpbrk(p->name, ". *?[]\t"))
        return bragg_yaml_fail(named ? named : node, err, "phase name '%s': expected one without dots, blanks and wildcards", p->name);
    p->refine = bragg_yaml_get(map, "refine");
    double march[3];
    const bragg_yaml *axis = bragg_yaml_get(map, "march");
    if (st == BRAGG_OK && axis && (st = bragg_yaml_numbers(axis, march, 3, err)) == BRAGG_OK) {
        p->has_march = true;
        for (int k = 0; k < 3; k++)
            p->march_hkl[k] = (int)lrint(march[k]);
    }
    return st;
}

static bragg_status read_phases(const loading *l, bragg_error *err)
{
    const bragg_yaml *list = bragg_yaml_get(l->root, "phases");
    if (!list || list->kind != BRAGG_YAML_SEQUENCE || !list->n_children)
        return bragg_yaml_fail(list ? list : l->root, err, "expected a list 'phases', found none");
    l->x->phase = bragg_arena_alloc(l->arena, list->n_children, sizeof *l->x->phase);
    if (!l->x->phase)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for phases");
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *c = list->child; c && st == BRAGG_OK; c = c->next)
        st = read_phase(l, c, &l->x->phase[l->x->n_phases++], err);
    return st;
}

bragg_status bragg_experiment_read(const char *path, bragg_experiment **out, bragg_error *err)
{
    static const char *const keys[] = { "title", "radiation", "detector", "data", "log", "phases", "refine", "sequence", "output" };
    bragg_arena *arena = bragg_arena_new();
    bragg_experiment *x = arena ? bragg_arena_alloc(arena, 1, sizeof *x) : NULL;
    *out = NULL;
    if (!x) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an experiment");
    }
    x->arena = arena;
    x->histogram = (bragg_histogram_options)BRAGG_HISTOGRAM_OPTIONS_INIT;
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
        st = read_instrument(&l, err);
    if (st == BRAGG_OK)
        st = read_radiation(&l, err);
    if (st == BRAGG_OK)
        st = read_data(&l, err);
    if (st == BRAGG_OK)
        st = read_phases(&l, err);
    if (st == BRAGG_OK)
        st = read_refine(&l, err);
    if (st < 0) {
        bragg_arena_free(arena);
        return st;
    }
    *out = x;
    return BRAGG_OK;
}

void bragg_experiment_free(bragg_experiment *x)
{
    if (x)
        bragg_arena_free(x->arena);
}

/* ---------------------------------------------------------------- model */

static bragg_status add_phase(bragg_model *m, const bragg_experiment_phase *p, bragg_error *err)
{
    bragg_structure *s;
    if (p->symmetry)
        return bragg_model_add_cell(m, p->name, &p->cell, p->symmetry, err);
    bragg_status st = bragg_structure_read_cif(p->path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    if (p->extract)
        st = bragg_model_add_cell(m, p->name, &s->cell, &s->symmetry, err);
    else
        st = bragg_model_add_phase(m, p->name, s, p->has_march ? p->march_hkl : NULL, err);
    bragg_structure_free(s);
    return st;
}

/* Names in a list, checked: each must select something. */
static bragg_status select_list(bragg_model *m, const bragg_yaml *list, const char *prefix, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (list && list->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_fail(list, err, "expected a list of parameters");
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next) {
        const char *name;
        char full[300], atoms[300];
        if ((st = bragg_yaml_text(c, &name, err)) < 0)
            break;
        snprintf(full, sizeof full, "%s%s", prefix, name);
        snprintf(atoms, sizeof atoms, "%satom.*.%s", prefix, name);
        if (!bragg_model_select(m, full, true) && !(*prefix == 'p' && bragg_model_select(m, atoms, true)) &&
            !(*prefix == 'i' && bragg_model_select(m, name, true)))
            st = bragg_yaml_fail(c, err, "'%s': no parameter has this name (bragg refine --parameters lists them)", name);
    }
    return st;
}

static bragg_status set_values(bragg_model *m, const bragg_yaml *map, bragg_error *err)
{
    bragg_params *t = bragg_model_params(m);
    bragg_status st = BRAGG_OK;
    if (map && map->kind != BRAGG_YAML_MAP)
        return bragg_yaml_fail(map, err, "values: expected a map of parameters and numbers");
    for (const bragg_yaml *c = map ? map->child : NULL; c && st == BRAGG_OK; c = c->next) {
        ptrdiff_t row = c->key ? bragg_params_find(t, c->key) : -1;
        if (row < 0)
            return bragg_yaml_fail(c, err, "values: '%s' is no parameter (bragg refine --parameters lists them)", c->key ? c->key : "");
        st = bragg_yaml_number(c, &t->at[row].value, err);
        if (st == BRAGG_OK && !(t->at[row].value >= t->at[row].lower && t->at[row].value <= t->at[row].upper))
            return bragg_yaml_fail(c, err, "%s: expected %g to %g, found %g", c->key, t->at[row].lower, t->at[row].upper, t->at[row].value);
        if (t->at[row].tie_to >= 0) /* given: no longer what it is tied to */
            t->at[row].tie_to = -1;
    }
    return st;
}

/* Peaks need some width to start with: four steps of the pattern. */
static void start_widths(bragg_model *m)
{
    bragg_params *t = bragg_model_params(m);
    const histogram *h = &m->histogram[0];
    double step = (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1) / BRAGG_DEG, width = 4 * step;
    t->at[h->row[CAGLIOTI_W]].value = width * width;
}

bragg_status bragg_experiment_model(const bragg_experiment *x, const bragg_pattern *pattern, bragg_model **out, bragg_error *err)
{
    bragg_model *m = bragg_model_new();
    *out = NULL;
    if (!m)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    bragg_status st = bragg_model_add_pattern(m, pattern, &x->histogram, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        st = add_phase(m, &x->phase[k], err);
    if (st == BRAGG_OK)
        st = bragg_model_build(m, err);
    if (st == BRAGG_OK) {
        start_widths(m);
        bragg_instrument_apply(&x->instrument, m, 0);
        if (x->start)
            st = bragg_model_start(m, x->start, err);
    }
    if (st == BRAGG_OK) {
        st = set_values(m, bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "values"), err);
    }
    if (st == BRAGG_OK)
        bragg_model_select(m, "background", true);
    if (st == BRAGG_OK)
        st = select_list(m, bragg_yaml_get(bragg_yaml_get(x->root, "refine"), "parameters"), "instrument.", err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++) {
        char prefix[160];
        snprintf(prefix, sizeof prefix, "phase.%.100s.", x->phase[k].name);
        st = select_list(m, x->phase[k].refine, prefix, err);
    }
    if (st < 0) {
        bragg_model_free(m);
        return st;
    }
    *out = m;
    return BRAGG_OK;
}
