/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: phases. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Cell and space group in place of a card. */
static bragg_status read_cell(const loading *l, const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *group = bragg_yaml_get(map, "space_group"), *cell = bragg_yaml_get(map, "cell");
    const char *symbol;
    double v[6];
    if (!group)
        return bragg_yaml_fail(cell, err, "cell: expected a space_group beside it, found none");
    if (!p->extract && !p->known)
        return bragg_yaml_fail(cell, err, "cell: expected 'method: lebail', intensities or a card with atoms, found none");
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
    static const char *const names[] = { "rietveld", "lebail", "pawley" };
    const bragg_yaml *node = bragg_yaml_get(map, "method"), *positive = bragg_yaml_get(map, "positive");
    const char *text = "rietveld";
    bragg_status st = node ? bragg_yaml_text(node, &text, err) : BRAGG_OK;
    if (st == BRAGG_OK && strcmp(text, names[0]) && strcmp(text, names[1]) && strcmp(text, names[2]))
        return bragg_yaml_fail(node, err, "method: expected rietveld, lebail or pawley, found '%s'", text);
    p->pawley = *text == 'p';
    p->extract = *text != 'r';
    return st == BRAGG_OK && positive ? bragg_yaml_bool(positive, &p->positive, err) : st;
}

/* [[d, I], ...] or a file of such columns. */
static bragg_status read_peaks(const loading *l, const bragg_yaml *node, bragg_experiment_phase *p, bragg_error *err)
{
    bragg_known_peak *list = NULL;
    bragg_status st = BRAGG_OK;
    p->spacings = true;
    if (node->kind == BRAGG_YAML_SCALAR) {
        const char *path;
        st = bragg_reading_path(l, node, &path, err);
        return st == BRAGG_OK ? bragg_reading_spacings(path, l->arena, &p->known, &p->n_known, err) : st;
    }
    list = bragg_arena_alloc(l->arena, node->n_children + 1, sizeof *list);
    if (!list)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for peaks");
    for (const bragg_yaml *c = node->child; c && st == BRAGG_OK; c = c->next) {
        double pair[2];
        st = bragg_yaml_numbers(c, pair, 2, err);
        list[p->n_known++] = (bragg_known_peak){ 0, 0, 0, pair[0], pair[1] };
    }
    p->known = list;
    return st == BRAGG_OK && !p->n_known ? bragg_yaml_fail(node, err, "peaks: expected [[d, intensity], ...], found none") : st;
}

static bragg_status read_known(const loading *l, const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *peaks = bragg_yaml_get(map, "peaks"), *file = bragg_yaml_get(map, "intensities"), *node;
    const char *path;
    bragg_status st = BRAGG_OK;
    p->mass = p->wavelength_ang = NAN;
    if (peaks && file)
        return bragg_yaml_fail(peaks, err, "phase: expected peaks or intensities, found both");
    if (peaks)
        st = read_peaks(l, peaks, p, err);
    if (file && (st = bragg_reading_path(l, file, &path, err)) == BRAGG_OK)
        st = bragg_reading_intensities(path, p->name, l->arena, &p->known, &p->n_known, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "mass")) && (st = bragg_yaml_number(node, &p->mass, err)) == BRAGG_OK && !(p->mass > 0))
        st = bragg_yaml_fail(node, err, "mass: expected g/mol, found %g", p->mass);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "wavelength")) && (st = bragg_yaml_number(node, &p->wavelength_ang, err)) == BRAGG_OK && !(p->wavelength_ang > 0))
        st = bragg_yaml_fail(node, err, "wavelength: expected angstrom, found %g", p->wavelength_ang);
    return st;
}

static bragg_status read_axis(const bragg_yaml *node, const char *key, int out[3], bragg_error *err)
{
    double axis[3];
    bragg_status st = bragg_yaml_numbers(node, axis, 3, err);
    for (int k = 0; k < 3 && st == BRAGG_OK; k++) {
        out[k] = (int)lrint(axis[k]);
        if (axis[k] != out[k])
            return bragg_yaml_fail(node, err, "%s: expected whole numbers h, k, l, found %g", key, axis[k]);
    }
    return st;
}

static bragg_status read_texture(const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *march = bragg_yaml_get(map, "march"), *order = bragg_yaml_get(map, "harmonics"), *extinction = bragg_yaml_get(map, "extinction");
    const size_t most = sizeof p->march / sizeof *p->march;
    bool several = march && march->child && march->child->kind == BRAGG_YAML_SEQUENCE;
    bragg_status st = BRAGG_OK;
    long long l = 0;
    if (several && march->n_children > most)
        return bragg_yaml_fail(march, err, "march: expected at most %zu axes, found %zu", most, march->n_children);
    for (const bragg_yaml *c = several ? march->child : march; c && st == BRAGG_OK; c = several ? c->next : NULL)
        st = read_axis(c, "march", p->march[p->n_march++], err);
    if (st == BRAGG_OK && order && (st = bragg_yaml_integer(order, &l, err)) == BRAGG_OK && (l < 2 || l > BRAGG_MAX_HARMONIC_ORDER || l % 2))
        st = bragg_yaml_fail(order, err, "harmonics: expected an even order from 2 to %d, found %lld", BRAGG_MAX_HARMONIC_ORDER, l);
    p->harmonics = (int)l;
    return st == BRAGG_OK && extinction ? bragg_yaml_bool(extinction, &p->extinction, err) : st;
}

static bragg_status read_widths(const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *uniaxial = bragg_yaml_get(map, "uniaxial"), *stephens = bragg_yaml_get(map, "stephens");
    bragg_status st = stephens ? bragg_yaml_bool(stephens, &p->stephens, err) : BRAGG_OK;
    p->uniaxial = uniaxial != NULL;
    return st == BRAGG_OK && uniaxial ? read_axis(uniaxial, "uniaxial", p->axis, err) : st;
}

static bragg_status read_particle(const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "particle_diameter_um");
    bragg_status st = bragg_yaml_number_at(map, "particle_diameter_um", &p->particle_um, err);
    if (st == BRAGG_OK && node && !(p->particle_um > 0 && p->particle_um < 1000))
        st = bragg_yaml_fail(node, err, "particle_diameter_um: expected 0 to 1000 um, found %g", p->particle_um);
    return st;
}

static bragg_status read_displacement(const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "displacement");
    const char *text = "anisotropic"; /* where the card has it */
    bragg_status st = node ? bragg_yaml_text(node, &text, err) : BRAGG_OK;
    if (st == BRAGG_OK && strcmp(text, "isotropic") && strcmp(text, "anisotropic"))
        return bragg_yaml_fail(node, err, "displacement: expected isotropic or anisotropic, found '%s'", text);
    p->isotropic = *text == 'i';
    return st;
}

static bragg_status read_phase(const loading *l, const bragg_yaml *map, bragg_experiment_phase *p, bragg_error *err)
{
    static const char *const keys[] = { "name", "card", "cif", "refine", "march", "method", "cell", "space_group", "positive",
                                        "peaks", "intensities", "mass", "wavelength", "uniaxial", "stephens",
                                        "harmonics", "extinction", "particle_diameter_um", "displacement" };
    const bragg_yaml *node = bragg_yaml_get(map, "card") ? bragg_yaml_get(map, "card") : bragg_yaml_get(map, "cif"), *named = bragg_yaml_get(map, "name");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    bool has_cell = bragg_yaml_get(map, "cell"), has_peaks = bragg_yaml_get(map, "peaks");
    if (st == BRAGG_OK && !node && !has_cell && !has_peaks)
        st = bragg_yaml_fail(map, err, "phase: expected a card, found none");
    if (st == BRAGG_OK && (node != NULL) + has_cell + has_peaks > 1)
        st = bragg_yaml_fail(map, err, "phase: expected a card, a cell or a list of peaks, found several");
    if (st == BRAGG_OK && !node && !named)
        st = bragg_yaml_fail(map, err, "phase: expected a name beside its %s, found none", has_cell ? "cell" : "peaks");
    if (st == BRAGG_OK)
        st = read_method(map, p, err);
    if (st == BRAGG_OK && node)
        st = bragg_yaml_text(node, &p->card, err);
    if (st == BRAGG_OK && node)
        st = bragg_yaml_card(node, l->arena, &p->path, err);
    if (st == BRAGG_OK)
        st = named ? bragg_yaml_text(named, &p->name, err) : (p->name = bragg_path_stem(l->arena, p->card)) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a name");
    if (st == BRAGG_OK && !bragg_params_is_word(p->name))
        return bragg_yaml_fail(named ? named : node, err, "phase name '%s': expected one without dots, blanks, commas, quotes, slashes and wildcards", p->name);
    p->refine = bragg_yaml_get(map, "refine");
    if (st == BRAGG_OK)
        st = read_displacement(map, p, err);
    if (st == BRAGG_OK)
        st = read_known(l, map, p, err);
    if (st == BRAGG_OK && has_cell)
        st = read_cell(l, map, p, err);
    if (st == BRAGG_OK)
        st = read_widths(map, p, err);
    if (st == BRAGG_OK)
        st = read_texture(map, p, err);
    return st == BRAGG_OK ? read_particle(map, p, err) : st;
}

bragg_status bragg_reading_phases(const loading *l, bragg_error *err)
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
