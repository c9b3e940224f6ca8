/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The section "pdf" of an experiment: one way from patterns to G(r) for a whole run. */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/path.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* Keys with one number, named as the options of bragg pdf. */
static const struct number_key {
    const char *key;
    size_t at;
    bool zero;               /* 0 has a meaning */
} numbers[] = {
    { "bgscale", offsetof(bragg_pdf_options, background_scale), true },
    { "qmin", offsetof(bragg_pdf_options, qmin_invang), true },
    { "qmax", offsetof(bragg_pdf_options, qmax_invang), false },
    { "qmaxinst", offsetof(bragg_pdf_options, qmaxinst_invang), false },
    { "rpoly", offsetof(bragg_pdf_options, rpoly_ang), true },
    { "rmin", offsetof(bragg_pdf_options, rmin_ang), true },
    { "rmax", offsetof(bragg_pdf_options, rmax_ang), false },
    { "rstep", offsetof(bragg_pdf_options, rstep_ang), false },
    { "number_density", offsetof(bragg_pdf_options, number_density), false },
    { "first_distance", offsetof(bragg_pdf_options, first_distance_ang), false },
    { "size_mm", offsetof(bragg_pdf_options, size_mm), true },
    { "packing", offsetof(bragg_pdf_options, packing), false },
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };
static const char *const others[] = { "composition", "background", "density", "route", "window", "mount" };
enum { OTHERS = sizeof others / sizeof *others };

static bragg_status read_numbers(const bragg_yaml *map, bragg_pdf_options *o, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < NUMBERS && st == BRAGG_OK; k++) {
        const bragg_yaml *node = bragg_yaml_get(map, numbers[k].key);
        double v = NAN;
        if (!node)
            continue;
        st = bragg_yaml_number(node, &v, err);
        if (st == BRAGG_OK && !(numbers[k].zero ? v >= 0 : v > 0))
            st = bragg_yaml_fail(node, err, "%s: expected %s, found %g", numbers[k].key, numbers[k].zero ? "zero or more" : "a positive number", v);
        memcpy((char *)o + numbers[k].at, &v, sizeof v);
    }
    return st;
}

static bragg_status read_names(const bragg_yaml *map, bragg_pdf_options *o, bragg_error *err)
{
    const bragg_yaml *route = bragg_yaml_get(map, "route"), *window = bragg_yaml_get(map, "window"), *mount = bragg_yaml_get(map, "mount");
    const char *text;
    bragg_status st = BRAGG_OK;
    if (route && (st = bragg_yaml_text(route, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "adhoc") && strcmp(text, "physical"))
            return bragg_yaml_fail(route, err, "route: expected adhoc or physical, found '%s'", text);
        o->physical = *text == 'p';
    }
    if (window && st == BRAGG_OK && (st = bragg_yaml_text(window, &text, err)) == BRAGG_OK && !bragg_pdf_window_parse(text, &o->window))
        return bragg_yaml_fail(window, err, "window: expected none, lorch, soper-lorch or cosine, found '%s'", text);
    if (mount && st == BRAGG_OK && (st = bragg_yaml_text(mount, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "cylinder") && strcmp(text, "plate"))
            return bragg_yaml_fail(mount, err, "mount: expected cylinder or plate, found '%s'", text);
        o->mount = *text == 'p' ? BRAGG_PDF_PLATE : BRAGG_PDF_CYLINDER;
    }
    return st;
}

/* Composition and, by it, density. */
static bragg_status read_sample(const bragg_yaml *map, bragg_pdf_recipe *to, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "composition"), *density = bragg_yaml_get(map, "density");
    double v;
    if (!node)
        return bragg_yaml_fail(map, err, "pdf: expected 'composition' of the sample, found none");
    bragg_status st = bragg_yaml_text(node, &to->formula, err);
    if (st == BRAGG_OK && (st = bragg_composition_parse(to->formula, &to->composition, err)) < 0)
        return bragg_context(err, st, "%s:%zu:%zu: composition", node->file, node->line, node->column);
    if (!density || st < 0)
        return st;
    if (bragg_yaml_get(map, "number_density"))
        return bragg_yaml_fail(density, err, "density: expected this or number_density, found both");
    st = bragg_yaml_number(density, &v, err);
    if (st == BRAGG_OK && !(v > 0))
        st = bragg_yaml_fail(density, err, "density: expected a positive number, found %g", v);
    if (st == BRAGG_OK)
        to->options.number_density = bragg_pdf_number_density_invang3(&to->composition, v);
    return st;
}

bragg_status bragg_pdf_recipe_read(const bragg_yaml *map, const char *experiment_path, bragg_arena *arena, bragg_pdf_recipe *to, bragg_error *err)
{
    const char *keys[NUMBERS + OTHERS], *text;
    const bragg_yaml *background = bragg_yaml_get(map, "background");
    for (size_t k = 0; k < NUMBERS + OTHERS; k++)
        keys[k] = k < NUMBERS ? numbers[k].key : others[k - NUMBERS];
    *to = (bragg_pdf_recipe){ .options = BRAGG_PDF_OPTIONS_INIT };
    to->options.background_scale = NAN;
    to->options.remove_outliers = true;
    bragg_status st = map->kind == BRAGG_YAML_MAP ? bragg_yaml_check_keys(map, keys, NUMBERS + OTHERS, err)
                                                  : bragg_yaml_fail(map, err, "pdf: expected keys like {composition: BiSnSb, qmax: 24}, found a value");
    if (st == BRAGG_OK)
        st = read_numbers(map, &to->options, err);
    if (st == BRAGG_OK)
        st = read_names(map, &to->options, err);
    if (st == BRAGG_OK)
        st = read_sample(map, to, err);
    if (st == BRAGG_OK && to->options.physical && !isfinite(to->options.number_density))
        st = bragg_yaml_fail(bragg_yaml_get(map, "route"), err, "route: physical: expected 'density' (g/cm3) or 'number_density' too, found neither");
    to->options.auto_qmax = isnan(to->options.qmax_invang);
    if (!background || st < 0)
        return st;
    if ((st = bragg_yaml_text(background, &text, err)) == BRAGG_OK && !(to->background = bragg_path_beside(arena, experiment_path, text)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return st;
}
