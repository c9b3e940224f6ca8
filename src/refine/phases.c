/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: phases. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A path that ends in .cif, or the name of a bundled card. */
static bragg_status card_path(const loading *l, const bragg_yaml *node, const char *card, const char **path, bragg_error *err)
{
    *path = bragg_card_path(l->arena, l->file, card);
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
