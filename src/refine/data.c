/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: the patterns, with their instruments and backgrounds. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <string.h>

typedef bragg_experiment_pattern target;

static bragg_status read_exclude(const loading *l, const bragg_yaml *node, target *to, bragg_error *err)
{
    if (node->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_fail(node, err, "exclude: expected a list of pairs [[from, to], ...], found '%s'", node->text ? node->text : "a map");
    double(*list)[2] = bragg_arena_alloc(l->arena, node->n_children + 1, sizeof *list);
    size_t n = 0;
    bragg_status st = list ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for excluded regions");
    for (const bragg_yaml *c = node->child; c && st == BRAGG_OK; c = c->next, n++) {
        st = bragg_yaml_numbers(c, list[n], 2, err);
        if (st == BRAGG_OK && !(list[n][1] > list[n][0]))
            st = bragg_yaml_fail(c, err, "exclude: expected rising pairs, found %g and %g", list[n][0], list[n][1]);
        list[n][0] *= BRAGG_DEG;
        list[n][1] *= BRAGG_DEG;
    }
    to->histogram.exclude_rad = (const double(*)[2])list;
    to->histogram.n_exclude = n;
    return st;
}

static bragg_status read_range(const bragg_yaml *node, target *to, bragg_error *err)
{
    double range[2];
    bragg_status st = bragg_yaml_numbers(node, range, 2, err);
    if (st < 0)
        return st;
    if (!(range[1] > range[0]))
        return bragg_yaml_fail(node, err, "range: expected two rising numbers, found %g and %g", range[0], range[1]);
    to->histogram.first_rad = range[0] * BRAGG_DEG;
    to->histogram.last_rad = range[1] * BRAGG_DEG;
    return BRAGG_OK;
}

static bragg_status read_unit(const bragg_yaml *node, target *to, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st < 0)
        return st;
    if (!bragg_axis_parse(text, &to->unit))
        return bragg_yaml_fail(node, err, "unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", text);
    to->has_unit = true;
    return BRAGG_OK;
}

static bragg_status read_mount(const bragg_yaml *node, target *to, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st < 0)
        return st;
    if (!bragg_mount_parse(text, &to->histogram.mount))
        return bragg_yaml_fail(node, err, "mount: expected debye-scherrer, bragg-brentano or transmission, found '%s'", text);
    return BRAGG_OK;
}

static bragg_status read_distances(const loading *l, const bragg_yaml *node, target *to, bragg_error *err)
{
    double *list = bragg_arena_alloc(l->arena, node->n_children + 1, sizeof *list);
    bragg_status st = !list ? bragg_fail(err, BRAGG_ENOMEM, "no room for a background")
                      : node->kind != BRAGG_YAML_SEQUENCE || node->n_children > 20 ? bragg_yaml_fail(node, err, "debye: expected a list of up to 20 distances")
                      : bragg_yaml_numbers(node, list, node->n_children, err);
    for (size_t k = 0; k < node->n_children && st == BRAGG_OK; k++)
        if (!(list[k] >= 0.5 && list[k] <= 50))
            st = bragg_yaml_fail(node, err, "debye: expected distances of 0.5 to 50 angstrom, found %g", list[k]);
    to->histogram.debye_ang = list;
    to->histogram.n_debye = node->n_children;
    return st;
}

static bragg_status read_humps(const loading *l, const bragg_yaml *node, target *to, bragg_error *err)
{
    double(*list)[2] = bragg_arena_alloc(l->arena, node->n_children + 1, sizeof *list);
    bragg_status st = !list ? bragg_fail(err, BRAGG_ENOMEM, "no room for a background")
                      : node->kind != BRAGG_YAML_SEQUENCE || node->n_children > 20 ? bragg_yaml_fail(node, err, "peaks: expected a list of up to 20 pairs [position, width]")
                      : BRAGG_OK;
    size_t n = 0;
    for (const bragg_yaml *c = node->child; c && st == BRAGG_OK; c = c->next, n++) {
        st = bragg_yaml_numbers(c, list[n], 2, err);
        if (st == BRAGG_OK && !(list[n][1] > 0))
            st = bragg_yaml_fail(c, err, "peaks: expected a positive width, found %g", list[n][1]);
    }
    to->histogram.hump_deg = (const double(*)[2])list;
    to->histogram.n_humps = n;
    return st;
}

static bragg_status read_background(const loading *l, const bragg_yaml *map, target *to, bragg_error *err)
{
    static const char *const keys[] = { "type", "terms", "container", "debye", "peaks" };
    const bragg_yaml *node;
    const char *text;
    long long n;
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "type")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        int k = 0;
        while (k < N_BACKGROUNDS && strcmp(text, bragg_reading_backgrounds[k]))
            k++;
        if (k == N_BACKGROUNDS)
            return bragg_yaml_fail(node, err, "background: expected type chebyshev, linear, cosine or log, found '%s'", text);
        to->histogram.background = (bragg_background)k;
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "terms")) && (st = bragg_yaml_integer(node, &n, err)) == BRAGG_OK) {
        if (n < 1 || n > 40)
            return bragg_yaml_fail(node, err, "terms: expected 1 to 40, found %lld", n);
        to->histogram.background_terms = (size_t)n;
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "container")))
        st = bragg_reading_path(l, node, &to->container, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "debye")))
        st = read_distances(l, node, to, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "peaks")))
        st = read_humps(l, node, to, err);
    return st;
}

/* The empty container's counts over 2theta. */
static bragg_status read_container(const loading *l, target *to, bragg_error *err)
{
    bragg_pattern *p = NULL;
    if (!to->container)
        return BRAGG_OK;
    bragg_status st = bragg_pattern_read(to->container, 0, &p, err);
    double *v = st == BRAGG_OK ? bragg_arena_alloc(l->arena, 2 * p->n + 1, sizeof *v) : NULL;
    if (st == BRAGG_OK && !v)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    for (size_t i = 0; v && st == BRAGG_OK && i < p->n; i++) {
        size_t from = p->axis == BRAGG_AXIS_D ? p->n - 1 - i : i;
        v[i] = bragg_axis_convert(p->x[from], p->axis, BRAGG_AXIS_TTH, to->histogram.radiation.wavelength_ang[0]);
        v[p->n + i] = p->y[from];
        if (!isfinite(v[i]) || !isfinite(v[p->n + i]))
            st = bragg_fail(err, BRAGG_EDATA, "'%s': expected angles and counts, found none at point %zu", to->container, from);
    }
    if (st == BRAGG_OK) {
        to->histogram.n_container = p->n;
        to->histogram.container_rad = v;
        to->histogram.container = v + p->n;
    }
    bragg_pattern_free(p);
    return st;
}

static bragg_status read_instrument(const loading *l, const bragg_yaml *node, target *to, bragg_error *err)
{
    const char *path;
    bragg_status st = bragg_reading_path(l, node, &path, err);
    if (st == BRAGG_OK)
        st = bragg_instrument_read(path, &to->instrument, err);
    if (st == BRAGG_OK && to->instrument.has_mount)
        to->histogram.mount = to->instrument.mount;
    if (st == BRAGG_OK) {
        to->histogram.radius_m = to->instrument.radius_m;
        to->histogram.flat_detector = to->instrument.flat_detector;
    }
    return st;
}

bragg_status bragg_experiment_pattern_read(const bragg_experiment_pattern *from, bragg_pattern **out, bragg_error *err)
{
    return from->has_unit ? bragg_pattern_read_as(from->file, 0, from->unit, out, err) : bragg_pattern_read(from->file, 0, out, err);
}

static void take_lines(const bragg_pattern *p, bragg_radiation *r)
{
    bool doublet = p->wavelength2_ang > 0 && p->ratio2 > 0;
    r->n_lines = doublet ? 2 : 1;
    r->wavelength_ang[0] = p->wavelength_ang;
    r->wavelength_ang[1] = doublet ? p->wavelength2_ang : 0;
    r->ratio[0] = 1;
    r->ratio[1] = doublet ? p->ratio2 : 0;
}

/* The file, or the first of a folder or of a name with wildcards: *itself tells which. */
static bragg_status read_first(const loading *l, const target *to, bool *itself, bragg_pattern **out)
{
    target first = *to;
    const char **found = NULL;
    size_t n = 0;
    bragg_status st = bragg_path_list(l->arena, to->file, "", &found, &n, NULL);
    first.file = st == BRAGG_OK && n ? found[0] : to->file;
    *itself = !strcmp(first.file, to->file);
    return bragg_experiment_pattern_read(&first, out, NULL);
}

/* Where neither experiment nor instrument names lines or radius, the pattern's file may: read once,
 * for the model, too, but not where that may be another of many. */
static void ask_file(const loading *l, const bragg_yaml *radiation, bool own, target *to)
{
    bragg_radiation *r = &to->instrument.radiation;
    bragg_pattern *p = NULL;
    bool lines = own && !r->n_lines && !bragg_yaml_get(radiation, "wavelength") && !bragg_yaml_get(radiation, "anode") && !bragg_yaml_get(radiation, "spectrum");
    bool radius = to->histogram.mount == BRAGG_BRAGG_BRENTANO && !(to->histogram.radius_m > 0), itself;
    if (!to->file || !(lines || radius) || read_first(l, to, &itself, &p) < 0) /* whoever loads the model says why */
        return;
    if (lines && p->wavelength_ang > 0)
        take_lines(p, r);
    to->radius_asked = radius && p->radius_m > 0;
    if (to->radius_asked)
        to->histogram.radius_m = p->radius_m;
    if (itself)
        to->asked = p;
    else
        bragg_pattern_free(p);
}

/* What data says of all patterns and a pattern of itself. */
static bragg_status read_measured(const loading *l, const bragg_yaml *map, target *to, bragg_error *err)
{
    const bragg_yaml *node;
    bragg_status st = BRAGG_OK;
    if ((node = bragg_yaml_get(map, "range")))
        st = read_range(node, to, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "exclude")))
        st = read_exclude(l, node, to, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "mount")))
        st = read_mount(node, to, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "unit")))
        st = read_unit(node, to, err);
    return st == BRAGG_OK ? bragg_reading_distance(map, &to->histogram.radius_m, &to->histogram.flat_detector, err) : st;
}

static void blank(target *to)
{
    *to = (target){ .histogram = BRAGG_HISTOGRAM_OPTIONS_INIT };
    to->instrument.radius_m = to->instrument.radiation.polarization = NAN;
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS; k++)
        to->instrument.value[k] = NAN;
}

/* The whole file's instrument, data and background, which each pattern may overrule. */
static bragg_status read_common(const loading *l, target *to, bragg_error *err)
{
    const bragg_yaml *data = bragg_yaml_get(l->root, "data"), *refine = bragg_yaml_get(l->root, "refine"), *node;
    bragg_status st = BRAGG_OK;
    blank(to);
    if ((node = bragg_yaml_get(refine, "instrument")))
        st = read_instrument(l, node, to, err);
    if (st == BRAGG_OK)
        st = read_measured(l, data, to, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(refine, "background")))
        st = read_background(l, node, to, err);
    return st;
}

static bragg_status check_name(const loading *l, const bragg_yaml *map, const target *to, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "name");
    if (!bragg_params_is_word(to->name))
        return bragg_yaml_fail(node, err, "pattern name '%s': expected one without dots, blanks, commas, quotes, slashes and wildcards", to->name);
    if (!strcmp(to->name, "phase") || !strcmp(to->name, "instrument") || !strcmp(to->name, "background"))
        return bragg_yaml_fail(node, err, "pattern name '%s': has a meaning of its own, choose another", to->name);
    for (const target *other = l->x->pattern; other < to; other++)
        if (!strcmp(other->name, to->name))
            return bragg_yaml_fail(node, err, "pattern name '%s': stands there twice", to->name);
    return BRAGG_OK;
}

/* Ranges stand in the pattern's unit; inside they are 2theta. */
static double angle_of(const target *to, double stored)
{
    return bragg_axis_convert(stored / BRAGG_DEG * bragg_axis_factor(to->unit), to->unit, BRAGG_AXIS_TTH, to->histogram.radiation.wavelength_ang[0]);
}

static bragg_status convert_ranges(const loading *l, target *to, bragg_error *err)
{
    bragg_histogram_options *h = &to->histogram;
    if (!to->has_unit || to->unit == BRAGG_AXIS_TTH)
        return BRAGG_OK;
    double first = angle_of(to, h->first_rad), last = angle_of(to, h->last_rad);
    h->first_rad = fmin(first, last); /* d falls as 2theta rises; NAN where none is given */
    h->last_rad = fmax(first, last);
    double(*list)[2] = bragg_arena_alloc(l->arena, h->n_exclude + 1, sizeof *list);
    if (!list)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for excluded regions");
    for (size_t k = 0; k < h->n_exclude; k++) {
        double a = angle_of(to, h->exclude_rad[k][0]), b = angle_of(to, h->exclude_rad[k][1]);
        list[k][0] = fmin(a, b);
        list[k][1] = fmax(a, b);
    }
    h->exclude_rad = (const double(*)[2])list;
    return BRAGG_OK;
}

/* One of several patterns that are refined together. */
static bragg_status read_joint(const loading *l, const bragg_yaml *map, const target *common, target *to, bragg_error *err)
{
    static const char *const keys[] = { "name", "file", "radiation", "instrument", "range", "exclude", "mount", "radius_mm", "distance_mm", "unit",
                                        "weight", "background", "refine" };
    const bragg_yaml *name = bragg_yaml_get(map, "name"), *file = bragg_yaml_get(map, "file"), *node;
    *to = *common;
    if (map->kind != BRAGG_YAML_MAP)
        return bragg_yaml_fail(map, err, "patterns: expected maps {name, file, ...} for a joint refinement, found '%s'", map->text ? map->text : "a list");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && (!name || !file))
        st = bragg_yaml_fail(map, err, "pattern: expected a name and a file, found no %s", name ? "file" : "name");
    if (st == BRAGG_OK)
        st = bragg_yaml_text(name, &to->name, err);
    if (st == BRAGG_OK)
        st = check_name(l, map, to, err);
    if (st == BRAGG_OK)
        st = bragg_reading_path(l, file, &to->file, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "instrument")))
        st = read_instrument(l, node, to, err);
    if (st == BRAGG_OK)
        st = read_measured(l, map, to, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "weight", &to->histogram.weight, err);
    if (st == BRAGG_OK && !(to->histogram.weight > 0 && to->histogram.weight < 1e6))
        st = bragg_yaml_fail(bragg_yaml_get(map, "weight"), err, "weight: expected a positive number, found %g", to->histogram.weight);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "background")))
        st = read_background(l, node, to, err);
    node = bragg_yaml_get(map, "radiation") ? bragg_yaml_get(map, "radiation") : bragg_yaml_get(l->root, "radiation");
    if (st == BRAGG_OK)
        ask_file(l, node, node == bragg_yaml_get(map, "radiation"), to); /* the whole file's is one for all */
    if (st == BRAGG_OK)
        st = bragg_reading_radiation(l, node, &to->instrument, &to->histogram.radiation, err);
    to->histogram.name = to->name;
    to->refine = bragg_yaml_get(map, "refine");
    if (st == BRAGG_OK)
        st = read_container(l, to, err);
    return st == BRAGG_OK ? convert_ranges(l, to, err) : st;
}

/* Frames and bins are for integration, which this file may describe, too. */
static bragg_status check_frames(const bragg_yaml *data, bragg_error *err)
{
    const bragg_yaml *bins = bragg_yaml_get(data, "bins"), *frames = bragg_yaml_get(data, "frames");
    long long n = 1;
    bragg_status st = bins ? bragg_yaml_integer(bins, &n, err) : BRAGG_OK;
    if (st == BRAGG_OK && n < 1)
        st = bragg_yaml_fail(bins, err, "bins: expected a positive number, found %lld", n);
    if (st == BRAGG_OK && frames && frames->kind == BRAGG_YAML_SCALAR && (frames->is_null || !*frames->text))
        st = bragg_yaml_fail(frames, err, "frames: expected files, found nothing");
    return st;
}

bragg_status bragg_reading_data(const loading *l, bragg_error *err)
{
    static const char *const keys[] = { "pattern", "patterns", "frames", "unit", "range", "bins", "exclude", "mount", "radius_mm", "distance_mm",
                                        "sets" /* of G(r), for a fit of both */ };
    const bragg_yaml *data = bragg_yaml_get(l->root, "data"), *node;
    target common;
    if (!data)
        return bragg_yaml_fail(l->root, err, "expected a section 'data', found none");
    bragg_status st = bragg_yaml_check_keys(data, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK)
        st = check_frames(data, err);
    if (st == BRAGG_OK)
        st = read_common(l, &common, err);
    if (st < 0)
        return st;
    node = bragg_yaml_get(data, "pattern") ? bragg_yaml_get(data, "pattern") : bragg_yaml_get(data, "patterns");
    bool list = node && node->kind == BRAGG_YAML_SEQUENCE, joint = list && node->child && node->child->kind == BRAGG_YAML_MAP;
    if (list && !node->child)
        return bragg_yaml_fail(node, err, "patterns: expected files, found an empty list");
    l->x->pattern = bragg_arena_alloc(l->arena, joint ? node->n_children : 1, sizeof *l->x->pattern);
    if (!l->x->pattern)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for patterns");
    for (const bragg_yaml *c = joint ? node->child : NULL; c && st == BRAGG_OK; c = c->next)
        st = read_joint(l, c, &common, &l->x->pattern[l->x->n_patterns++], err);
    if (joint)
        return st;
    target *to = &l->x->pattern[l->x->n_patterns++];
    *to = common;
    if (node) /* of a list the first: the others are a series' */
        st = bragg_reading_path(l, list ? node->child : node, &to->file, err);
    if (st == BRAGG_OK)
        ask_file(l, bragg_yaml_get(l->root, "radiation"), true, to);
    if (st == BRAGG_OK)
        st = bragg_reading_radiation(l, bragg_yaml_get(l->root, "radiation"), &to->instrument, &to->histogram.radiation, err);
    if (st == BRAGG_OK)
        st = read_container(l, to, err);
    return st == BRAGG_OK ? convert_ranges(l, to, err) : st;
}
