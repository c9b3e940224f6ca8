/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Truth file to detector frames. */
#include "config.h"
#include <bragg/simulate.h>

#include <bragg/detector.h>
#include <bragg/path.h>
#include <bragg/refine.h>
#include <bragg/thread.h>
#include <bragg/yaml.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 60000, SUBPIXELS = 3, SECTORS = 720 };

typedef struct truth {
    bragg_arena *arena;
    const char *file;
    const bragg_yaml *root;
    bragg_geometry geometry;
    bragg_radiation radiation;
    double polarization;
    long long seed, dead_pixels;
    bool gaps;
    double first_rad, last_rad;   /* of 2theta on the detector */
} truth;

static bragg_status number_at(const bragg_yaml *map, const char *key, double *value, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    return node ? bragg_yaml_number(node, value, err) : BRAGG_OK;
}

/* ---------------------------------------------------------------- truth */

static bragg_status read_detector(truth *t, bragg_error *err)
{
    static const char *const keys[] = { "name", "distance_m", "poni1_m", "poni2_m", "rot1_rad", "rot2_rad", "rot3_rad", "gaps", "dead_pixels" };
    const bragg_yaml *map = bragg_yaml_get(t->root, "detector"), *node;
    const char *name;
    bragg_geometry *g = &t->geometry;
    *g = (bragg_geometry)BRAGG_GEOMETRY_INIT;
    if (!map)
        return bragg_yaml_fail(t->root, err, "expected a section 'detector', found none");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && !(node = bragg_yaml_get(map, "name")))
        st = bragg_yaml_fail(map, err, "detector: expected a name, found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_text(node, &name, err);
    if (st == BRAGG_OK && (st = bragg_geometry_set_detector(g, name, err)) < 0)
        return bragg_context(err, st, "%s:%zu", t->file, node->line);
    for (int k = 0; k < 6 && st == BRAGG_OK; k++)
        st = number_at(map, keys[1 + k], &(&g->distance_m)[k], err);
    if (st == BRAGG_OK && !(g->distance_m > 0))
        st = bragg_yaml_fail(map, err, "distance_m: expected a positive number, found %g", g->distance_m);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "gaps")))
        st = bragg_yaml_bool(node, &t->gaps, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "dead_pixels")))
        st = bragg_yaml_integer(node, &t->dead_pixels, err);
    g->wavelength_ang = t->radiation.wavelength_ang[0];
    return st;
}

static bragg_status read_truth(truth *t, bragg_error *err)
{
    static const char *const keys[] = { "title", "seed", "radiation", "detector", "instrument", "frames" };
    static const char *const radiation_keys[] = { "wavelength", "polarization" };
    bragg_status st = bragg_yaml_read(t->file, t->arena, &t->root, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_check_keys(t->root, keys, sizeof keys / sizeof *keys, err);
    const bragg_yaml *map = st == BRAGG_OK ? bragg_yaml_get(t->root, "radiation") : NULL, *seed;
    t->radiation = (bragg_radiation){ false, 1, { NAN }, { 1 }, 1 };
    t->polarization = 0.99;
    if (st == BRAGG_OK && !map)
        st = bragg_yaml_fail(t->root, err, "expected a section 'radiation', found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_check_keys(map, radiation_keys, 2, err);
    if (st == BRAGG_OK)
        st = number_at(map, "wavelength", &t->radiation.wavelength_ang[0], err);
    if (st == BRAGG_OK)
        st = number_at(map, "polarization", &t->polarization, err);
    if (st == BRAGG_OK && !(t->radiation.wavelength_ang[0] > 0))
        st = bragg_yaml_fail(map, err, "wavelength: expected a positive number of angstrom");
    if (st == BRAGG_OK && (seed = bragg_yaml_get(t->root, "seed")))
        st = bragg_yaml_integer(seed, &t->seed, err);
    return st == BRAGG_OK ? read_detector(t, err) : st;
}

/* ---------------------------------------------------- the ideal pattern */

static bragg_status add_truth_phase(const truth *t, bragg_model *m, const bragg_yaml *map, const char **name, bragg_error *err)
{
    static const char *const keys[] = { "card", "name", "weight", "cell", "size_nm", "strain", "uiso" };
    const bragg_yaml *node = bragg_yaml_get(map, "card");
    const char *card = NULL, *path;
    bragg_status st = bragg_yaml_check_keys(map, keys, 7, err);
    if (st == BRAGG_OK && !node)
        st = bragg_yaml_fail(map, err, "phase: expected a card, found none");
    if (st == BRAGG_OK)
        st = bragg_yaml_text(node, &card, err);
    if (st < 0)
        return st;
    char bundled[200];
    snprintf(bundled, sizeof bundled, "cif/%.150s.cif", card);
    path = *bragg_path_extension(card) ? bragg_path_beside(t->arena, t->file, card) : bragg_data_path(t->arena, bundled);
    *name = bragg_path_stem(t->arena, card);
    if (!path || !*name)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    bragg_structure *s;
    if ((st = bragg_structure_read_cif(path, NULL, &s, NULL, 0, err)) < 0)
        return st;
    const bragg_yaml *cell = bragg_yaml_get(map, "cell");
    static const char *const edges[] = { "a", "b", "c", "alpha", "beta", "gamma" };
    int tie[6];
    bragg_symmetry_cell_ties(&s->symmetry, tie);
    for (int k = 0; k < 6 && st == BRAGG_OK; k++) {
        double v = (&s->cell.a)[k] / (k < 3 ? 1 : BRAGG_DEG);
        st = number_at(cell, edges[k], &v, err);
        (&s->cell.a)[k] = tie[k] >= 0 ? (&s->cell.a)[tie[k]] : v * (k < 3 ? 1 : BRAGG_DEG);
    }
    if (st == BRAGG_OK)
        st = bragg_model_add_phase(m, *name, s, NULL, err);
    bragg_structure_free(s);
    return st;
}

static bragg_status set_row(bragg_model *m, const char *name, double value)
{
    bragg_params *p = bragg_model_params(m);
    ptrdiff_t row = bragg_params_find(p, name);
    if (row >= 0)
        p->at[row].value = value;
    return row >= 0 ? BRAGG_OK : BRAGG_EINTERNAL;
}

static bragg_status set_phase(bragg_model *m, const bragg_yaml *map, const char *name, bragg_error *err)
{
    double weight = 1, size = 1e5, strain = 0, uiso = NAN;
    char row[200], atoms[200];
    bragg_status st = number_at(map, "weight", &weight, err);
    if (st == BRAGG_OK)
        st = number_at(map, "size_nm", &size, err);
    if (st == BRAGG_OK)
        st = number_at(map, "strain", &strain, err);
    if (st == BRAGG_OK)
        st = number_at(map, "uiso", &uiso, err);
    if (st < 0)
        return st;
    const double values[] = { weight, size, strain };
    static const char *const ends[] = { "scale", "size", "strain" };
    for (int k = 0; k < 3 && st == BRAGG_OK; k++) {
        snprintf(row, sizeof row, "phase.%.120s.%s", name, ends[k]);
        st = set_row(m, row, values[k]);
    }
    bragg_params *p = bragg_model_params(m);
    snprintf(atoms, sizeof atoms, "phase.%.120s.atom.", name);
    for (size_t k = 0; k < p->n && !isnan(uiso); k++)
        if (!strncmp(p->at[k].name, atoms, strlen(atoms)) && !strcmp(strrchr(p->at[k].name, '.'), ".uiso"))
            p->at[k].value = uiso;
    return st < 0 ? bragg_fail(err, st, "phase %s: no parameter %s", name, row) : st;
}

static bragg_status set_instrument(const truth *t, bragg_model *m, bragg_error *err)
{
    static const char *const keys[] = { "u", "v", "w", "x", "y" };
    const bragg_yaml *map = bragg_yaml_get(t->root, "instrument");
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, 5, err) : BRAGG_OK;
    for (int k = 0; k < 5 && st == BRAGG_OK; k++) {
        char row[40];
        double v = 0;
        snprintf(row, sizeof row, "instrument.%s", keys[k]);
        st = number_at(map, keys[k], &v, err);
        if (st == BRAGG_OK)
            st = set_row(m, row, v);
    }
    return st;
}

/* Scales so that the weights of the file hold: S ~ w / mass of the cell. */
static bragg_status ideal_pattern(const truth *t, const bragg_yaml *frame, double *intensity, bragg_error *err)
{
    const bragg_yaml *phases = bragg_yaml_get(frame, "phases");
    const char *names[32];
    size_t n = 0;
    bragg_model *m = bragg_model_new();
    bragg_pattern *p = bragg_pattern_new(GRID, BRAGG_AXIS_TTH);
    bragg_status st = m && p ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    for (size_t i = 0; st == BRAGG_OK && i < GRID; i++) {
        p->x[i] = t->first_rad + (t->last_rad - t->first_rad) * (double)i / (GRID - 1);
        p->sigma[i] = 1;
    }
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.radiation = t->radiation;
    o.background_terms = 0;
    if (st == BRAGG_OK)
        st = bragg_model_add_pattern(m, p, &o, err);
    for (const bragg_yaml *c = phases ? phases->child : NULL; c && n < 32 && st == BRAGG_OK; c = c->next, n++)
        st = add_truth_phase(t, m, c, &names[n], err);
    if (st == BRAGG_OK)
        st = bragg_model_build(m, err);
    n = 0;
    for (const bragg_yaml *c = phases ? phases->child : NULL; c && n < 32 && st == BRAGG_OK; c = c->next, n++)
        st = set_phase(m, c, names[n], err);
    if (st == BRAGG_OK)
        st = set_instrument(t, m, err);
    if (st == BRAGG_OK)
        st = bragg_model_calculate(m, 0, NULL, NULL, NULL, intensity, NULL, err);
    bragg_model_free(m);
    bragg_pattern_free(p);
    return st;
}

/* --------------------------------------------------------------- counts */

typedef struct shot {
    const truth *t;
    const double *ideal;
    double scale, background;
    double *grain;           /* relative intensity by sector and ring */
    bragg_frame *frame;
    long long seed;
} shot;

static double at_angle(const shot *s, double tth)
{
    double u = (tth - s->t->first_rad) / (s->t->last_rad - s->t->first_rad) * (GRID - 1);
    if (!(u >= 0 && u < GRID - 1))
        return 0;
    size_t k = (size_t)u;
    return s->ideal[k] + (u - (double)k) * (s->ideal[k + 1] - s->ideal[k]);
}

/* Air falls with angle, an amorphous halo stands in the middle: what a capillary
 * in air shows. */
static double background_at(const shot *s, double tth)
{
    double u = (tth - s->t->first_rad) / (s->t->last_rad - s->t->first_rad);
    return s->background * (0.35 + 0.65 * exp(-4 * u) + 0.4 * exp(-0.5 * pow((u - 0.3) / 0.09, 2)));
}

/* Mean over subpixels: a pixel is as wide as many a peak. */
static double expected_counts(const shot *s, size_t i, size_t j)
{
    double sum = 0;
    for (int a = 0; a < SUBPIXELS; a++)
        for (int b = 0; b < SUBPIXELS; b++) {
            bragg_ray r = bragg_geometry_ray(&s->t->geometry, (double)i + (a + 0.5) / SUBPIXELS, (double)j + (b + 0.5) / SUBPIXELS);
            double grain = s->grain[(size_t)((r.chi_rad / (2 * BRAGG_PI) + 0.5) * SECTORS) % SECTORS];
            sum += (s->scale * at_angle(s, r.two_theta_rad) * grain + background_at(s, r.two_theta_rad)) * r.solid_angle *
                   bragg_polarization(r.two_theta_rad, r.chi_rad, s->t->polarization);
        }
    return sum / (SUBPIXELS * SUBPIXELS);
}

/* Modules and what lies between them: Pilatus 195 x 487 with 17 and 7 pixels,
 * Eiger2 512 x 1028 with 38 and 12 (Dectris data sheets). */
static bool in_gap(const truth *t, size_t i, size_t j)
{
    if (!t->gaps)
        return false;
    bool eiger = !strncmp(t->geometry.detector, "Eiger", 5);
    return eiger ? i % 550 >= 512 || j % 1040 >= 1028 : i % 212 >= 195 || j % 494 >= 487;
}

static bragg_status expose_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const shot *s = payload;
    for (size_t i = first; i < last; i++) {
        gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937); /* one a row: the same on any number of threads */
        if (!rng)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for random numbers");
        gsl_rng_set(rng, (unsigned long)(s->seed * 1000003 + (long long)i));
        int32_t *row = (int32_t *)s->frame->data + i * s->frame->width;
        for (size_t j = 0; j < s->frame->width; j++)
            row[j] = in_gap(s->t, i, j) ? -1 : (int32_t)gsl_ran_poisson(rng, expected_counts(s, i, j));
        gsl_rng_free(rng);
    }
    return BRAGG_OK;
}

static void kill_pixels(const shot *s)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    size_t pixels = s->frame->width * s->frame->height;
    gsl_rng_set(rng, (unsigned long)s->t->seed + 17); /* the same ones in every frame */
    for (long long k = 0; k < s->t->dead_pixels; k++)
        ((int32_t *)s->frame->data)[gsl_rng_uniform_int(rng, pixels)] = -2;
    gsl_rng_free(rng);
}

static void make_grain(shot *s, double spread)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, (unsigned long)s->seed + 29);
    double sum = 0;
    for (int k = 0; k < SECTORS; k++)
        sum += s->grain[k] = spread > 0 ? gsl_ran_gamma(rng, 1 / (spread * spread), spread * spread) : 1;
    for (int k = 0; k < SECTORS; k++)
        s->grain[k] *= SECTORS / sum;
    gsl_rng_free(rng);
}

static bragg_status simulate_frame(const truth *t, const bragg_yaml *map, size_t index, const char *dir, bool force, bragg_error *err)
{
    static const char *const keys[] = { "name", "counts", "background", "graininess", "phases" };
    double counts = 1000, background = 0.05, graininess = 0, top = 0;
    const char *name = NULL;
    const bragg_yaml *node = bragg_yaml_get(map, "name");
    bragg_status st = bragg_yaml_check_keys(map, keys, 5, err);
    if (st == BRAGG_OK)
        st = node ? bragg_yaml_text(node, &name, err) : bragg_yaml_fail(map, err, "frame: expected a name, found none");
    if (st == BRAGG_OK)
        st = number_at(map, "counts", &counts, err);
    if (st == BRAGG_OK)
        st = number_at(map, "background", &background, err);
    if (st == BRAGG_OK)
        st = number_at(map, "graininess", &graininess, err);
    if (st < 0)
        return st;
    double *v = malloc((GRID + SECTORS) * sizeof *v);
    shot s = { .t = t, .ideal = v, .grain = v + GRID, .seed = t->seed + 7919 * (long long)(index + 1), .background = background * counts };
    st = v ? bragg_frame_new(t->geometry.columns, t->geometry.rows, BRAGG_I32, &s.frame, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a frame");
    if (st == BRAGG_OK)
        st = ideal_pattern(t, map, v, err);
    for (size_t k = 0; st == BRAGG_OK && k < GRID; k++)
        top = fmax(top, v[k]);
    if (st == BRAGG_OK) {
        char file[300];
        s.scale = top > 0 ? counts / top : 0;
        make_grain(&s, graininess);
        st = bragg_parallel_for(s.frame->height, 8, expose_rows, &s, err);
        kill_pixels(&s);
        snprintf(file, sizeof file, "%.250s.tif", name);
        if (st == BRAGG_OK)
            st = bragg_frame_write_tiff(s.frame, bragg_path_join(t->arena, dir, file), force, err);
    }
    bragg_frame_free(s.frame);
    free(v);
    return st;
}

static void find_angles(truth *t)
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

bragg_status bragg_simulate(const char *path, const char *dir, bool force, const bragg_observer *observer, bragg_error *err)
{
    truth t = { .arena = bragg_arena_new(), .file = path, .seed = 1 };
    if (!t.arena)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to simulate");
    bragg_status st = read_truth(&t, err);
    const bragg_yaml *frames = st == BRAGG_OK ? bragg_yaml_get(t.root, "frames") : NULL;
    if (st == BRAGG_OK && (!frames || !frames->n_children))
        st = bragg_yaml_fail(t.root, err, "expected a list 'frames', found none");
    if (st == BRAGG_OK)
        st = bragg_path_make_folder(dir, err);
    if (st == BRAGG_OK) {
        find_angles(&t);
        st = bragg_geometry_write_poni(&t.geometry, bragg_path_join(t.arena, dir, "setup.poni"), force, err);
    }
    size_t k = 0;
    for (const bragg_yaml *c = frames ? frames->child : NULL; c && st == BRAGG_OK; c = c->next, k++) {
        if (!bragg_progress(observer, k, frames->n_children))
            st = BRAGG_STOPPED;
        else
            st = simulate_frame(&t, c, k, dir, force, err);
    }
    bragg_arena_free(t.arena);
    return st;
}
