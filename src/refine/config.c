/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment as it is in force: what its file leaves open, filled in. */
#include "config.h"
#include "reading.h"

#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy's nodes may change. */
static bragg_yaml *at(bragg_yaml *map, const char *key) { return (bragg_yaml *)bragg_yaml_get(map, key); }

/* What a map of radiation means; the tube's or file's lines stay as they are named. */
static void put_radiation(FILE *to, const bragg_yaml *said, const bragg_radiation *r)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, "radiation: {type: %s", r->neutron ? "neutron" : "x-ray");
    if (!bragg_yaml_get(said, "monochromator"))
        fprintf(to, ", polarization: %s", bragg_number_print(text, r->polarization));
    if (bragg_yaml_get(said, "anode"))
        fprintf(to, "%s", bragg_yaml_get(said, "wavelength") ? "" : ", lines: kalpha, kbeta: 0");
    else if (!bragg_yaml_get(said, "spectrum")) {
        fprintf(to, ", ");
        bragg_output_numbers(to, "wavelength", r->wavelength_ang, r->n_lines, "");
        fprintf(to, ", ");
        bragg_output_numbers(to, "ratios", r->ratio, r->n_lines, "");
        if (r->width_ang[0] > 0) {
            fprintf(to, ", ");
            bragg_output_numbers(to, "widths", r->width_ang, r->n_lines, "");
        }
    }
    fprintf(to, "}");
}

static void put_measured(FILE *to, const bragg_experiment_pattern *p)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, "mount: %s", bragg_mount_name(p->histogram.mount));
    if (p->histogram.radius_m > 0)
        fprintf(to, ", %s: %s", p->histogram.flat_detector ? "distance_mm" : "radius_mm", bragg_number_print(text, 1000 * p->histogram.radius_m));
    if (p->has_unit)
        fprintf(to, ", unit: %s", bragg_axis_name(p->unit));
}

static void put_background(FILE *to, const bragg_histogram_options *h)
{
    fprintf(to, "background: {type: %s, terms: %zu}", bragg_reading_backgrounds[h->background], h->background_terms);
}

static void put_refine(FILE *to, const bragg_experiment *x)
{
    fprintf(to, "refine: {");
    if (x->n_patterns == 1) {
        put_background(to, &x->pattern->histogram);
        fprintf(to, ", ");
    }
    fprintf(to, x->start ? "start: x, " : "");
    fprintf(to, "strategy: %s, cycles: %d}\n", x->options.stages ? "auto" : "all", x->options.max_cycles);
}

/* Text written by `put` becomes a map that is added to node. */
static bragg_status add_text(bragg_arena *arena, bragg_yaml *node, char *text, bragg_error *err)
{
    const bragg_yaml *more = NULL;
    if (!text)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a configuration");
    bragg_status st = bragg_yaml_parse(text, strlen(text), "standard", arena, &more, err);
    free(text);
    if (st == BRAGG_OK && !bragg_yaml_add_missing(arena, node, more))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a configuration");
    return st;
}

/* A pattern that takes the whole file's radiation; NULL when each has its own. */
static const bragg_experiment_pattern *of_whole_file(const bragg_experiment *x)
{
    const bragg_yaml *c = x->pattern->name ? bragg_yaml_get(bragg_yaml_get(x->root, "data"), "patterns")->child : NULL;
    size_t k = 0;
    if (!x->pattern->name)
        return x->pattern;
    for (; c && bragg_yaml_get(c, "radiation"); c = c->next)
        k++;
    return c && bragg_yaml_get(x->root, "radiation") ? &x->pattern[k] : NULL;
}

static bragg_status add_whole(const bragg_experiment *x, bragg_arena *arena, bragg_yaml *root, bragg_error *err)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    const bragg_experiment_pattern *p = of_whole_file(x);
    if (to && p) {
        put_radiation(to, bragg_yaml_get(root, "radiation"), &p->histogram.radiation);
        fprintf(to, "\n");
    }
    if (to && x->n_patterns == 1) {
        fprintf(to, "data: {");
        put_measured(to, x->pattern);
        fprintf(to, "}\n");
    }
    if (to) {
        put_refine(to, x);
        fclose(to);
    }
    return add_text(arena, root, text, err);
}

static bragg_status add_pattern(const bragg_experiment *x, size_t k, bragg_arena *arena, bragg_yaml *node, bragg_error *err)
{
    char *text = NULL, number[BRAGG_NUMBER_TEXT];
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to) {
        const bragg_yaml *own = bragg_yaml_get(node, "radiation");
        fprintf(to, "{");
        if (own || !bragg_yaml_get(x->root, "radiation")) {
            put_radiation(to, own, &x->pattern[k].histogram.radiation);
            fprintf(to, ", ");
        }
        put_measured(to, &x->pattern[k]);
        fprintf(to, ", ");
        put_background(to, &x->pattern[k].histogram);
        fprintf(to, ", weight: %s}", bragg_number_print(number, x->pattern[k].histogram.weight));
        fclose(to);
    }
    return add_text(arena, node, text, err);
}

static bragg_status add_phase(const bragg_experiment_phase *p, bragg_arena *arena, bragg_yaml *node, bragg_error *err)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to) {
        fprintf(to, strpbrk(p->name, "'\\") ? "{" : "{name: '%s', ", p->name);
        fprintf(to, "method: %s}", p->pawley ? "pawley" : p->extract ? "lebail" : "rietveld");
        fclose(to);
    }
    return add_text(arena, node, text, err);
}

/* -------------------------------------------------------------------- paths */

static bool absolute(bragg_arena *arena, bragg_yaml *map, const char *const *keys)
{
    bool room = true;
    for (; *keys && room; keys++)
        room = bragg_yaml_make_absolute(arena, at(map, *keys));
    return room;
}

static bool absolute_patterns(bragg_arena *arena, bragg_yaml *data)
{
    static const char *const files[] = { "file", "instrument", NULL }, *const container[] = { "container", NULL };
    bragg_yaml *list = at(data, "patterns"), *frames = at(data, "frames");
    bool room = bragg_yaml_make_absolute(arena, at(data, "pattern"));
    if (frames && frames->kind == BRAGG_YAML_MAP)
        room = room && absolute(arena, frames, files);
    else
        room = room && bragg_yaml_make_absolute(arena, frames);
    if (!list || !list->child || list->child->kind != BRAGG_YAML_MAP)
        return room && bragg_yaml_make_absolute(arena, list);
    for (bragg_yaml *c = list->child; c && room; c = c->next)
        room = absolute(arena, c, files) && absolute(arena, at(c, "background"), container);
    return room;
}

/* Cards by name and the mask's "gaps" are no paths. */
static bool absolute_phase(bragg_arena *arena, bragg_yaml *map)
{
    static const char *const files[] = { "intensities", "cif", "card", NULL };
    bragg_yaml *peaks = at(map, "peaks");
    const bragg_yaml *card = bragg_yaml_get(map, "card");
    bool named = card && card->kind == BRAGG_YAML_SCALAR && !bragg_card_is_file(card->text);
    const char *const without[] = { files[0], files[1], NULL };
    return (!peaks || peaks->kind != BRAGG_YAML_SCALAR || bragg_yaml_make_absolute(arena, peaks)) && absolute(arena, map, named ? without : files);
}

static bool absolute_mask(bragg_arena *arena, bragg_yaml *mask)
{
    bool room = true;
    for (bragg_yaml *c = mask && mask->kind == BRAGG_YAML_SEQUENCE ? mask->child : mask; c && room; c = mask->kind == BRAGG_YAML_SEQUENCE ? c->next : NULL)
        room = (c->kind == BRAGG_YAML_SCALAR && !strcmp(c->text, "gaps")) || bragg_yaml_make_absolute(arena, c);
    return room;
}

static bool absolute_spectra(bragg_arena *arena, bragg_yaml *root)
{
    static const char *const spectrum[] = { "spectrum", NULL };
    bragg_yaml *list = at(at(root, "data"), "patterns");
    bool room = absolute(arena, at(root, "radiation"), spectrum);
    for (bragg_yaml *c = list && list->child && list->child->kind == BRAGG_YAML_MAP ? list->child : NULL; c && room; c = c->next)
        room = absolute(arena, at(c, "radiation"), spectrum);
    return room;
}

static bool make_absolute(bragg_arena *arena, bragg_yaml *root)
{
    static const char *const refine[] = { "instrument", "start", NULL }, *const container[] = { "container", NULL };
    static const char *const detector[] = { "poni", "dark", "flat", NULL }, *const log[] = { "file", NULL }, *const output[] = { "directory", NULL },
                             *const pdf[] = { "background", NULL };
    bragg_yaml *phases = at(root, "phases"), *fit = at(root, "refine");
    bragg_yaml *plate = at(root, "detector");
    bool room = absolute_patterns(arena, at(root, "data")) && absolute_spectra(arena, root) && absolute(arena, fit, refine) &&
                absolute(arena, at(fit, "background"), container) && absolute(arena, plate, detector) &&
                absolute_mask(arena, at(plate, "mask")) &&
                absolute(arena, at(root, "log"), log) && absolute(arena, at(root, "pdf"), pdf) && absolute(arena, at(root, "output"), output);
    for (bragg_yaml *c = phases ? phases->child : NULL; c && room; c = c->next)
        room = absolute_phase(arena, c);
    return room;
}

bragg_status bragg_experiment_effective(const bragg_experiment *x, bragg_arena *arena, bragg_yaml **out, bragg_error *err)
{
    bragg_yaml *root = *out = bragg_yaml_copy(arena, x->root);
    if (!root || !make_absolute(arena, root))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a configuration");
    bragg_status st = add_whole(x, arena, root, err);
    bragg_yaml *c = at(at(root, "data"), "patterns");
    c = c && x->pattern->name ? c->child : NULL;
    for (size_t k = 0; c && st == BRAGG_OK; c = c->next, k++)
        st = add_pattern(x, k, arena, c, err);
    bragg_yaml *start = at(at(root, "refine"), "start");
    if (st == BRAGG_OK && start && x->start) /* the command line may have named another */
        st = (start->text = x->start) && bragg_yaml_make_absolute(arena, start) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    c = at(root, "phases")->child;
    for (size_t k = 0; c && st == BRAGG_OK; c = c->next, k++)
        st = add_phase(&x->phase[k], arena, c, err);
    return st;
}
