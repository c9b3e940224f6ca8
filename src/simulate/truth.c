/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The truth file, read. */
#include "config.h"
#include "truth.h"

#include <bragg/frame.h>
#include <bragg/log.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const bragg_truth_instrument[TRUTH_INSTRUMENT] = { "u", "v", "w", "p", "x", "y", "z", "zero", "displacement", "sl", "hl", "box" };

#define COUNT(list) (sizeof(list) / sizeof *(list))

double bragg_truth_mean(const bragg_truth *t, const truth_curve *c, const truth_shot *s, double otherwise)
{
    enum { SLICES = 8 };
    double sum = 0;
    if (c->n <= 1)
        return bragg_truth_at(c, 0, otherwise);
    for (int k = 0; k < SLICES; k++) {
        double time = s->start_s + s->exposure_s * (k + 0.5) / SLICES;
        sum += bragg_truth_at(c, t->by_charge ? bragg_truth_passed(&t->cycler, time) : time, otherwise);
    }
    return sum / SLICES;
}

/* ------------------------------------------------------------- radiation */

static bragg_status read_lines(const bragg_yaml *map, bragg_radiation *r, bragg_error *err)
{
    const bragg_yaml *waves = bragg_yaml_get(map, "wavelength"), *ratios = bragg_yaml_get(map, "ratios");
    if (!waves)
        return bragg_yaml_fail(map, err, "radiation: expected a wavelength in angstrom, found none");
    r->n_lines = waves->kind == BRAGG_YAML_SEQUENCE ? waves->n_children : 1;
    if (r->n_lines < 1 || r->n_lines > BRAGG_MAX_LINES)
        return bragg_yaml_fail(waves, err, "wavelength: expected 1 to %d numbers, found %zu", BRAGG_MAX_LINES, r->n_lines);
    for (size_t k = 0; k < r->n_lines; k++)
        r->ratio[k] = k ? 0.5 : 1;
    bragg_status st = waves->kind == BRAGG_YAML_SEQUENCE ? bragg_yaml_numbers(waves, r->wavelength_ang, r->n_lines, err)
                                                         : bragg_yaml_number(waves, r->wavelength_ang, err);
    if (st == BRAGG_OK && ratios)
        st = bragg_yaml_numbers(ratios, r->ratio, r->n_lines, err);
    for (size_t k = 0; k < r->n_lines && st == BRAGG_OK; k++)
        if (!(r->wavelength_ang[k] > 0))
            st = bragg_yaml_fail(waves, err, "wavelength: expected a positive number of angstrom");
    return st;
}

static bragg_status read_radiation(bragg_truth *t, bragg_error *err)
{
    static const char *const keys[] = { "wavelength", "ratios", "polarization" };
    const bragg_yaml *map = bragg_yaml_get(t->root, "radiation");
    if (!map)
        return bragg_yaml_fail(t->root, err, "expected a section 'radiation', found none");
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    if (st == BRAGG_OK)
        st = read_lines(map, &t->radiation, err);
    t->polarization = t->radiation.n_lines > 1 ? 0.5 : 0.99;
    return st == BRAGG_OK ? bragg_yaml_number_at(map, "polarization", &t->polarization, err) : st;
}

static bragg_status read_instrument(bragg_truth *t, bragg_error *err)
{
    const char *keys[TRUTH_INSTRUMENT + 2], *text;
    const bragg_yaml *map = bragg_yaml_get(t->root, "instrument"), *node;
    double radius_mm = NAN;
    memcpy(keys, bragg_truth_instrument, sizeof bragg_truth_instrument);
    keys[TRUTH_INSTRUMENT] = "mount";
    keys[TRUTH_INSTRUMENT + 1] = "radius_mm";
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, COUNT(keys), err) : BRAGG_OK;
    for (int k = 0; k < TRUTH_INSTRUMENT && st == BRAGG_OK; k++)
        st = bragg_yaml_number_at(map, keys[k], &t->instrument[k], err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "mount")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (!bragg_mount_parse(text, &t->mount) || t->mount == BRAGG_TRANSMISSION)
            return bragg_yaml_fail(node, err, "mount: expected debye-scherrer or bragg-brentano, found '%s'", text);
    }
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "radius_mm", &radius_mm, err);
    t->radius_m = radius_mm / 1000;
    return st;
}

static bragg_status read_patterns(bragg_truth *t, bragg_error *err)
{
    static const char *const keys[] = { "range", "step" };
    const bragg_yaml *map = bragg_yaml_get(t->root, "patterns");
    double range[2] = { NAN, NAN }, step = 0.02;
    if (!map)
        return BRAGG_OK;
    t->patterns = true;
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    if (st == BRAGG_OK && !bragg_yaml_get(map, "range"))
        st = bragg_yaml_fail(map, err, "patterns: expected a range, found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_numbers(bragg_yaml_get(map, "range"), range, 2, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "step", &step, err);
    if (st == BRAGG_OK && !(range[0] > 0 && range[1] > range[0] && range[1] < 180 && step > 0 && (range[1] - range[0]) / step < 1e6))
        st = bragg_yaml_fail(map, err, "patterns: expected two rising angles below 180 and a positive step");
    t->first_rad = range[0] * BRAGG_DEG;
    t->step_rad = step * BRAGG_DEG;
    t->last_rad = t->first_rad + floor((range[1] - range[0]) / step + 1e-6) * t->step_rad;
    return st;
}

static bragg_status read_total(bragg_truth *t, bragg_error *err)
{
    static const char *const keys[] = { "step", "qdamp", "qbroad", "pixels", "air", "flat", "qrange" };
    const bragg_yaml *map = bragg_yaml_get(t->root, "total");
    double range[2] = { 0.5, 25 };
    double *const values[] = { &t->total.step, &t->total.qdamp, &t->total.qbroad, &t->total.pixels, &t->total.air, &t->total.flat };
    t->total.step = 0.01;
    t->total.qdamp = 0.03;
    t->total.pixels = 400;
    if (!map)
        return BRAGG_OK;
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    for (size_t k = 0; k < COUNT(values) && st == BRAGG_OK; k++)
        st = bragg_yaml_number_at(map, keys[k], values[k], err);
    if (st == BRAGG_OK && bragg_yaml_get(map, "qrange"))
        st = bragg_yaml_numbers(bragg_yaml_get(map, "qrange"), range, 2, err);
    if (st == BRAGG_OK && !(range[0] > 0 && range[1] > range[0] && t->total.step > 0 && (range[1] - range[0]) / t->total.step < 1e5 &&
                            t->total.qdamp > 0.001 && t->total.pixels > 0))
        st = bragg_yaml_fail(map, err, "total: expected a rising qrange and a positive step, qdamp and pixels");
    t->total.first = range[0];
    t->total.n = st == BRAGG_OK ? (size_t)floor((range[1] - range[0]) / t->total.step + 1e-6) + 1 : 0;
    return st;
}

/* The range of 2theta that the detector sees. */
static void find_angles(bragg_truth *t)
{
    t->first_rad = INFINITY;
    t->last_rad = 0;
    for (size_t i = 0; i <= t->geometry.rows; i += 8)
        for (size_t j = 0; j <= t->geometry.columns; j += 8) {
            double tth = bragg_geometry_ray(&t->geometry, (double)i, (double)j).two_theta_rad;
            t->first_rad = fmin(t->first_rad, tth);
            t->last_rad = fmax(t->last_rad, tth);
        }
    t->first_rad = fmax(t->first_rad, 0.5 * BRAGG_DEG);
    t->last_rad += 0.5 * BRAGG_DEG;
}

static bragg_status read_detector(bragg_truth *t, bragg_error *err)
{
    static const char *const keys[] = { "distance_m", "poni1_m", "poni2_m", "rot1_rad", "rot2_rad", "rot3_rad", "name", "gaps", "dead_pixels", "error" };
    const bragg_yaml *map = bragg_yaml_get(t->root, "detector"), *error = bragg_yaml_get(map, "error"), *node;
    const char *name;
    bragg_geometry *g = &t->geometry;
    *g = (bragg_geometry)BRAGG_GEOMETRY_INIT;
    if (!map)
        return BRAGG_OK;
    t->detector = true;
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    if (st == BRAGG_OK && error)
        st = bragg_yaml_check_keys(error, keys, 6, err); /* those of the geometry */
    if (st == BRAGG_OK && !(node = bragg_yaml_get(map, "name")))
        st = bragg_yaml_fail(map, err, "detector: expected a name, found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_text(node, &name, err);
    if (st == BRAGG_OK && (st = bragg_geometry_set_detector(g, name, err)) < 0)
        return bragg_context(err, st, "%s:%zu", t->file, node->line);
    for (int k = 0; k < 6 && st == BRAGG_OK; k++) {
        st = bragg_yaml_number_at(map, keys[k], &(&g->distance_m)[k], err);
        if (st == BRAGG_OK)
            st = bragg_yaml_number_at(error, keys[k], &t->error[k], err);
    }
    if (st == BRAGG_OK && !(g->distance_m > 0))
        st = bragg_yaml_fail(map, err, "distance_m: expected a positive number, found %g", g->distance_m);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "gaps")))
        st = bragg_yaml_bool(node, &t->gaps, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "dead_pixels")))
        st = bragg_yaml_integer(node, &t->dead_pixels, err);
    g->wavelength_ang = t->radiation.wavelength_ang[0];
    if (st == BRAGG_OK)
        find_angles(t);
    return st;
}

/* --------------------------------------------------------------- phases */

static bragg_status read_card(const bragg_truth *t, const bragg_yaml *map, truth_phase *p, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "card"), *named = bragg_yaml_get(map, "name");
    const char *card;
    char bundled[200];
    if (!node)
        return bragg_yaml_fail(map, err, "phase: expected a card, found none");
    bragg_status st = bragg_yaml_text(node, &card, err);
    if (st < 0)
        return st;
    snprintf(bundled, sizeof bundled, "cif/%.150s.cif", card);
    const char *path = *bragg_path_extension(card) ? bragg_path_beside(t->arena, t->file, card) : bragg_data_path(t->arena, bundled);
    p->name = bragg_path_stem(t->arena, card);
    if (!path || !p->name)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (named)
        st = bragg_yaml_text(named, &p->name, err);
    if (st == BRAGG_OK && (st = bragg_structure_read_cif(path, NULL, &p->structure, NULL, 0, err)) < 0)
        return bragg_context(err, st, "%s:%zu", t->file, node->line);
    for (size_t k = 0; st == BRAGG_OK && k < p->structure->n_scatterers; k++)
        if (!t->radiation.neutron)
            st = bragg_scatterer_set_anomalous(&p->structure->scatterer[k], t->radiation.wavelength_ang[0], err);
    if (st == BRAGG_OK)
        p->mass = bragg_structure_mass_g_mol(p->structure);
    return st;
}

static bragg_status read_cell(const bragg_truth *t, const bragg_yaml *map, truth_phase *p, bragg_error *err)
{
    static const char *const edges[] = { "a", "b", "c", "alpha", "beta", "gamma" };
    const bragg_yaml *cell = bragg_yaml_get(map, "cell"), *node = bragg_yaml_get(map, "expansion_per_k");
    bragg_status st = cell ? bragg_yaml_check_keys(cell, edges, COUNT(edges), err) : BRAGG_OK;
    for (int k = 0; k < 6 && st == BRAGG_OK; k++)
        st = bragg_truth_curve(bragg_yaml_get(cell, edges[k]), t->arena, &p->cell[k], err);
    if (st == BRAGG_OK && node && node->kind == BRAGG_YAML_SEQUENCE)
        return bragg_yaml_numbers(node, p->expansion_per_k, 3, err);
    if (st == BRAGG_OK && node)
        st = bragg_yaml_number(node, &p->expansion_per_k[0], err);
    p->expansion_per_k[1] = p->expansion_per_k[2] = p->expansion_per_k[0];
    return st;
}

static bragg_status read_phase(const bragg_truth *t, const bragg_yaml *map, truth_phase *p, bragg_error *err)
{
    static const char *const keys[] = { "weight", "moles", "size_nm", "strain", "uiso", "march", "card", "name", "cell", "march_hkl",
                                        "formula_units", "expansion_per_k", "displacement_mm", "z", "delta2" };
    truth_curve *const curves[] = { &p->weight, &p->moles, &p->size_nm, &p->strain, &p->uiso, &p->march };
    const bragg_yaml *node;
    double hkl[3] = { 0, 0, 1 };
    p->z = NAN;
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    if (st == BRAGG_OK)
        st = read_card(t, map, p, err);
    for (size_t k = 0; k < COUNT(curves) && st == BRAGG_OK; k++)
        st = bragg_truth_curve(bragg_yaml_get(map, keys[k]), t->arena, curves[k], err);
    if (st == BRAGG_OK && p->uiso.n) /* of all atoms */
        bragg_structure_make_isotropic(p->structure);
    if (st == BRAGG_OK)
        st = read_cell(t, map, p, err);
    if (st == BRAGG_OK && p->weight.n && p->moles.n)
        st = bragg_yaml_fail(map, err, "phase: expected weight or moles, found both");
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "march_hkl")))
        st = bragg_yaml_numbers(node, hkl, 3, err);
    for (int k = 0; k < 3; k++)
        p->march_hkl[k] = (int)lrint(hkl[k]);
    p->formula_units = p->structure ? p->structure->z : NAN;
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "formula_units", &p->formula_units, err);
    if (st == BRAGG_OK && p->moles.n && !(p->formula_units > 0))
        st = bragg_yaml_fail(map, err, "moles: expected formula_units, as the card does not say how many a cell has");
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "displacement_mm", &p->displacement_mm, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "z", &p->z, err);
    return st == BRAGG_OK ? bragg_yaml_number_at(map, "delta2", &p->delta2, err) : st;
}

static bragg_status read_scene(bragg_truth *t, const bragg_yaml *list, bool window, truth_scene *out, bragg_error *err)
{
    if (list && list->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_fail(list, err, "expected a list of phases");
    if (!list || !list->n_children)
        return BRAGG_OK;
    out->phase = bragg_arena_alloc(t->arena, list->n_children, sizeof *out->phase);
    if (!out->phase)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for phases");
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *c = list->child; c && st == BRAGG_OK; c = c->next) {
        truth_phase *p = &out->phase[out->n++];
        p->window = window;
        st = read_phase(t, c, p, err);
    }
    return st;
}

/* ---------------------------------------------------------------- shots */

static bragg_status read_background(bragg_truth *t, const bragg_yaml *node, const truth_background **out, bragg_error *err)
{
    static const char *const keys[] = { "flat", "air", "air_deg", "halos" }, *const halo_keys[] = { "at", "width", "height" };
    truth_background *b = bragg_arena_alloc(t->arena, 1, sizeof *b);
    *out = b;
    if (!b)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a background");
    *b = (truth_background){ .simple = true, .flat = 0.05, .air_deg = 10 };
    if (!node)
        return BRAGG_OK;
    if (node->kind == BRAGG_YAML_SCALAR)
        return bragg_yaml_number(node, &b->flat, err);
    b->simple = false;
    bragg_status st = bragg_yaml_check_keys(node, keys, COUNT(keys), err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(node, "flat", &b->flat, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(node, "air", &b->air, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(node, "air_deg", &b->air_deg, err);
    const bragg_yaml *halos = bragg_yaml_get(node, "halos");
    for (const bragg_yaml *c = halos ? halos->child : NULL; c && st == BRAGG_OK; c = c->next) {
        if (b->n_halos == TRUTH_HALOS)
            return bragg_yaml_fail(c, err, "halos: expected at most %d", TRUTH_HALOS);
        st = bragg_yaml_check_keys(c, halo_keys, 3, err);
        if (st == BRAGG_OK)
            st = bragg_yaml_number_at(c, "at", &b->halo[b->n_halos].at_deg, err);
        if (st == BRAGG_OK)
            st = bragg_yaml_number_at(c, "width", &b->halo[b->n_halos].width_deg, err);
        if (st == BRAGG_OK)
            st = bragg_truth_curve(bragg_yaml_get(c, "height"), t->arena, &b->halo[b->n_halos].height, err);
        if (st == BRAGG_OK && !(b->halo[b->n_halos++].width_deg > 0))
            st = bragg_yaml_fail(c, err, "halo: expected a positive width in deg");
    }
    return st;
}

static bragg_status read_state(bragg_truth *t, const bragg_yaml *map, bragg_error *err)
{
    static const char *const keys[] = { "name", "counts", "background", "graininess", "phases", "container" };
    const bragg_yaml *node = bragg_yaml_get(map, "name");
    truth_shot *s = &t->shot[t->n_shots];
    truth_scene *scene = &t->scene[t->n_scenes++];
    *s = (truth_shot){ .scene = scene, .counts = 1000, .own_scale = true, .start_s = (double)t->n_shots };
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    if (st == BRAGG_OK)
        st = node ? bragg_yaml_text(node, &s->name, err) : bragg_yaml_fail(map, err, "frame: expected a name, found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "counts", &s->counts, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "graininess", &s->graininess, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "container", &s->container, err);
    if (st == BRAGG_OK)
        st = read_background(t, bragg_yaml_get(map, "background"), &s->background, err);
    if (st == BRAGG_OK)
        st = read_scene(t, bragg_yaml_get(map, "phases"), false, scene, err);
    t->n_shots++;
    return st;
}

static bragg_status read_states(bragg_truth *t, const bragg_yaml *list, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next)
        st = read_state(t, c, err);
    return st;
}

/* What the frames of a run end in: .tif without it, of which a thousand of a megapixel are 4 GB. */
static bragg_status read_format(const bragg_yaml *node, const char **format, bragg_error *err)
{
    char name[40];
    bragg_status st = bragg_yaml_text(node, format, err);
    if (st < 0)
        return st;
    snprintf(name, sizeof name, "x.%.30s", *format);
    return bragg_frame_writable(name) ? BRAGG_OK : bragg_yaml_fail(node, err, "format: expected tif, edf, cbf, npy, fits or h5, found '%s'", *format);
}

static bragg_status read_run_numbers(bragg_truth *t, const bragg_yaml *map, long long *n, double *every_s, truth_shot *s, bragg_error *err)
{
    static const char *const keys[] = { "frames", "every_s", "exposure_s", "counts", "graininess", "ripple", "temperature_k", "start", "folder",
                                        "over", "monitor", "background", "format" };
    double *const values[] = { every_s, &s->exposure_s, &s->counts, &s->graininess, &t->ripple, &t->temperature_k };
    const bragg_yaml *node;
    const char *text;
    bragg_status st = bragg_yaml_check_keys(map, keys, COUNT(keys), err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "frames")))
        st = bragg_yaml_integer(node, n, err);
    for (size_t k = 0; k < COUNT(values) && st == BRAGG_OK; k++)
        st = bragg_yaml_number_at(map, keys[1 + k], values[k], err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "start")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK &&
        !bragg_time_parse(text, BRAGG_DATE_YMD, NAN, &t->start_unix_s))
        return bragg_yaml_fail(node, err, "start: expected a date such as 2024-05-01T10:00:00, found '%s'", text);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "folder")))
        st = bragg_yaml_text(node, &t->folder, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "format")))
        st = read_format(node, &t->format, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "over")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        if (strcmp(text, "electrons") && strcmp(text, "seconds"))
            return bragg_yaml_fail(node, err, "over: expected electrons or seconds, found '%s'", text);
        t->by_charge = *text == 'e';
    }
    if (st == BRAGG_OK && !(*n > 0 && *n < 1000000 && *every_s > 0 && s->exposure_s >= 0 && s->counts > 0))
        st = bragg_yaml_fail(map, err, "run: expected positive frames, every_s, exposure_s and counts");
    return st;
}

static bragg_status read_run(bragg_truth *t, const bragg_yaml *map, bragg_error *err)
{
    truth_shot s = { .counts = 1000 };
    long long n = 100;
    double every_s = 60;
    truth_scene *scene = &t->scene[t->n_scenes++];
    s.scene = scene;
    t->by_charge = t->cycler.n_steps > 0;
    bragg_status st = read_run_numbers(t, map, &n, &every_s, &s, err);
    if (st == BRAGG_OK && t->by_charge && !t->cycler.n_steps)
        st = bragg_yaml_fail(map, err, "over: expected a cycler's protocol for curves over electrons, found none");
    if (st == BRAGG_OK)
        st = bragg_truth_curve(bragg_yaml_get(map, "monitor"), t->arena, &t->monitor, err);
    if (st == BRAGG_OK)
        st = read_background(t, bragg_yaml_get(map, "background"), &s.background, err);
    if (st == BRAGG_OK)
        st = read_scene(t, bragg_yaml_get(t->root, "phases"), false, scene, err);
    truth_shot *more = st == BRAGG_OK ? bragg_arena_alloc(t->arena, t->n_shots + (size_t)n, sizeof *more) : NULL;
    if (st == BRAGG_OK && !more)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %lld frames", n);
    if (st < 0)
        return st;
    if (t->n_shots)
        memcpy(more, t->shot, t->n_shots * sizeof *more);
    for (size_t k = 0; k < (size_t)n; k++) {
        char name[40];
        snprintf(name, sizeof name, "%05zu", k + 1);
        s.name = bragg_path_join(t->arena, t->folder, name);
        s.start_s = every_s * (double)k;
        if (!s.name)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a name");
        more[t->n_shots++] = s;
    }
    t->shot = more;
    return BRAGG_OK;
}

static bragg_status read_shots(bragg_truth *t, bragg_error *err)
{
    const bragg_yaml *frames = bragg_yaml_get(t->root, "frames"), *run = bragg_yaml_get(t->root, "run");
    size_t n = frames ? frames->n_children : 0;
    if (!n && !run)
        return bragg_yaml_fail(t->root, err, "expected a list 'frames' or a section 'run', found neither");
    t->scene = bragg_arena_alloc(t->arena, n + 1, sizeof *t->scene);
    t->shot = bragg_arena_alloc(t->arena, n + 1, sizeof *t->shot);
    if (!t->scene || !t->shot)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", n);
    bragg_status st = read_states(t, frames, err);
    if (st == BRAGG_OK && run)
        st = read_run(t, run, err);
    if (st == BRAGG_OK && (t->cycler.n_steps || t->furnace.temperature.n) && isnan(t->start_unix_s))
        st = bragg_yaml_fail(run ? run : t->root, err, "run: expected a start such as 2024-05-01T10:00:00 for the clock of its log, found none");
    return st;
}

static bragg_status read_all(bragg_truth *t, bragg_error *err)
{
    static const char *const keys[] = { "title", "seed", "radiation", "detector", "patterns", "total", "instrument", "frames", "run", "phases",
                                        "windows", "cycler", "furnace" };
    const bragg_yaml *seed;
    bragg_status st = bragg_yaml_read(t->file, t->arena, &t->root, err);
    if (st == BRAGG_OK && bragg_yaml_get(t->root, "data"))
        st = bragg_yaml_fail(bragg_yaml_get(t->root, "data"), err, "a section 'data' stands in experiments, which are analysed: expected the truth of a twin, see man bragg-simulate");
    if (st == BRAGG_OK)
        st = bragg_yaml_check_keys(t->root, keys, COUNT(keys), err);
    if (st == BRAGG_OK && (seed = bragg_yaml_get(t->root, "seed")))
        st = bragg_yaml_integer(seed, &t->seed, err);
    bragg_status (*const sections[])(bragg_truth *, bragg_error *) = { read_radiation, read_instrument, read_patterns, read_detector, read_total,
                                                                       bragg_truth_read_log };
    for (size_t k = 0; k < COUNT(sections) && st == BRAGG_OK; k++)
        st = sections[k](t, err);
    int ways = t->detector + t->patterns + (t->total.n > 0);
    if (st == BRAGG_OK && ways != 1)
        st = bragg_yaml_fail(t->root, err, "expected a section 'detector', 'patterns' or 'total', found %s", ways ? "several" : "neither");
    if (st == BRAGG_OK)
        st = read_scene(t, bragg_yaml_get(t->root, "windows"), true, &t->windows, err);
    return st == BRAGG_OK ? read_shots(t, err) : st;
}

bragg_status bragg_truth_read(const char *path, bragg_truth **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_truth *t = arena ? bragg_arena_alloc(arena, 1, sizeof *t) : NULL;
    *out = NULL;
    if (!t) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a truth");
    }
    *t = (bragg_truth){ .arena = arena, .file = bragg_arena_strdup(arena, path), .seed = 1, .start_unix_s = NAN, .folder = ".", .temperature_k = NAN,
                        .radius_m = NAN };
    bragg_status st = t->file ? read_all(t, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a truth");
    if (st < 0)
        bragg_truth_free(t);
    else
        *out = t;
    return st;
}

static void free_scene(const truth_scene *s)
{
    for (size_t k = 0; k < s->n; k++)
        bragg_structure_free(s->phase[k].structure);
}

void bragg_truth_free(bragg_truth *t)
{
    if (!t)
        return;
    for (size_t k = 0; k < t->n_scenes; k++)
        free_scene(&t->scene[k]);
    free_scene(&t->windows);
    bragg_arena_free(t->arena);
}

size_t bragg_truth_count(const bragg_truth *t)
{
    return t->n_shots;
}

bragg_truth_about bragg_truth_describe(const bragg_truth *t)
{
    const bragg_yaml *title = bragg_yaml_get(t->root, "title");
    const truth_log *log = t->cycler.n_steps ? &t->cycler : &t->furnace;
    bragg_truth_about a = { NULL, t->detector ? BRAGG_TWIN_FRAMES : t->patterns ? BRAGG_TWIN_PATTERNS : BRAGG_TWIN_TOTAL, 0, log->file != NULL,
                            log->offset_s, log->drift };
    if (title && bragg_yaml_text(title, &a.title, NULL) < 0)
        a.title = NULL;
    while (a.n_states < t->n_shots && t->shot[a.n_states].own_scale)
        a.n_states++;
    return a;
}
