/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a perfect instrument of these resolutions would see, and the state behind it. */
#include "config.h"
#include "truth.h"

#include <bragg/units.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- state */

static double time_of(const truth_shot *s)
{
    return s->start_s + s->exposure_s / 2;
}

/* Number of cells of a phase, in mol: what scatters. */
static double cells_of(const bragg_truth *t, const truth_phase *p, const truth_shot *s)
{
    double moles = p->moles.n ? bragg_truth_mean(t, &p->moles, s, 0) / p->formula_units : bragg_truth_mean(t, &p->weight, s, 1) / p->mass;
    return moles > 0 ? moles : 0;
}

static double weight_of_sample(const bragg_truth *t, const truth_shot *s)
{
    double sum = 0;
    for (size_t k = 0; k < s->scene->n; k++)
        sum += cells_of(t, &s->scene->phase[k], s) * s->scene->phase[k].mass;
    return sum;
}

void bragg_truth_cell(const bragg_truth *t, const truth_phase *p, const truth_shot *s, double cell[6])
{
    const double *card = &p->structure->cell.a;
    double heated = bragg_truth_temperature(t, time_of(s)) - 298.15;
    int tie[6];
    bragg_symmetry_cell_ties(&p->structure->symmetry, tie);
    for (int k = 0; k < 6; k++) {
        cell[k] = bragg_truth_mean(t, &p->cell[k], s, card[k] / (k < 3 ? 1 : BRAGG_DEG));
        if (k < 3 && isfinite(heated))
            cell[k] *= 1 + p->expansion_per_k[k] * heated;
        if (tie[k] >= 0)
            cell[k] = cell[tie[k]];
    }
}

bragg_status bragg_truth_state_at(const bragg_truth *t, size_t i, bragg_truth_state *out, bragg_error *err)
{
    if (i >= t->n_shots)
        return bragg_fail(err, BRAGG_EINVAL, "frame %zu: the truth has %zu", i, t->n_shots);
    const truth_shot *s = &t->shot[i];
    double weight = weight_of_sample(t, s), time = time_of(s);
    *out = (bragg_truth_state){ .name = s->name, .time_s = time, .electrons = NAN, .voltage_v = NAN, .n = s->scene->n };
    out->temperature_k = bragg_truth_temperature(t, time);
    if (t->cycler.n_steps) {
        out->electrons = bragg_truth_passed(&t->cycler, time);
        out->voltage_v = bragg_truth_voltage(&t->cycler, time);
    }
    out->phase = bragg_arena_alloc(t->arena, s->scene->n + 1, sizeof *out->phase);
    if (!out->phase)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the state of frame %zu", i);
    for (size_t k = 0; k < s->scene->n; k++) {
        const truth_phase *p = &s->scene->phase[k];
        bragg_truth_phase *q = &out->phase[k];
        *q = (bragg_truth_phase){ .name = p->name, .size_nm = bragg_truth_mean(t, &p->size_nm, s, NAN), .strain = bragg_truth_mean(t, &p->strain, s, NAN),
                                  .uiso_ang2 = bragg_truth_mean(t, &p->uiso, s, NAN), .z = p->z, .delta2 = p->delta2 };
        q->weight_fraction = weight > 0 ? cells_of(t, p, s) * p->mass / weight : 0;
        bragg_truth_cell(t, p, s, q->cell);
    }
    return BRAGG_OK;
}

/* -------------------------------------------------------------- pattern */

static bragg_status set_row(bragg_model *m, const char *name, double value, bragg_error *err)
{
    bragg_params *p = bragg_model_params(m);
    ptrdiff_t row = bragg_params_find(p, name);
    if (row < 0)
        return bragg_fail(err, BRAGG_EINTERNAL, "the model has no parameter %s", name);
    p->at[row].value = value;
    p->at[row].tie_to = -1;
    return BRAGG_OK;
}

static bragg_status add_phase(const bragg_truth *t, bragg_model *m, const truth_phase *p, const truth_shot *s, bragg_error *err)
{
    double cell[6];
    bragg_structure *copy = bragg_structure_copy(p->structure);
    if (!copy)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a structure");
    bragg_truth_cell(t, p, s, cell);
    for (int k = 0; k < 6; k++)
        (&copy->cell.a)[k] = cell[k] * (k < 3 ? 1 : BRAGG_DEG);
    bragg_status st = bragg_model_add_phase(m, p->name, copy, p->march.n ? p->march_hkl : NULL, err);
    bragg_structure_free(copy);
    return st;
}

static bragg_status set_phase(const bragg_truth *t, bragg_model *m, const truth_phase *p, const truth_shot *s, double scale, bragg_error *err)
{
    const double values[] = { scale, bragg_truth_mean(t, &p->size_nm, s, 1e5), bragg_truth_mean(t, &p->strain, s, 0),
                              bragg_truth_mean(t, &p->march, s, 1) };
    static const char *const ends[] = { "scale", "size", "strain", "march" };
    char row[200], atoms[200];
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < (p->march.n ? 4 : 3) && st == BRAGG_OK; k++) {
        snprintf(row, sizeof row, "phase.%.120s.%s", p->name, ends[k]);
        st = set_row(m, row, values[k], err);
    }
    double uiso = bragg_truth_mean(t, &p->uiso, s, NAN);
    bragg_params *list = bragg_model_params(m);
    snprintf(atoms, sizeof atoms, "phase.%.120s.atom.", p->name);
    for (size_t k = 0; k < list->n && !isnan(uiso); k++)
        if (!strncmp(list->at[k].name, atoms, strlen(atoms)) && !strcmp(strrchr(list->at[k].name, '.'), ".uiso"))
            list->at[k].value = uiso;
    return st;
}

static bragg_status set_instrument(const bragg_truth *t, bragg_model *m, double displacement_mm, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < TRUTH_INSTRUMENT && st == BRAGG_OK; k++) {
        char row[40];
        double v = t->instrument[k];
        bool displacement = !strcmp(bragg_truth_instrument[k], "displacement");
        if (displacement && t->mount == BRAGG_BRAGG_BRENTANO)
            v += displacement_mm;
        snprintf(row, sizeof row, "instrument.%s", bragg_truth_instrument[k]);
        if (v != 0)
            st = set_row(m, row, v, err);
    }
    bragg_params_apply_ties(bragg_model_params(m));
    return st;
}

/* Nearer to the detector a powder's rings are smaller: tan 2theta' = (D + d)/D tan
 * 2theta.  So the intensity at 2theta' is that of the undisplaced at 2theta. */
static double undisplaced(const bragg_truth *t, double two_theta_rad, double displacement_mm)
{
    double distance = t->detector ? t->geometry.distance_m : t->radius_m;
    if (displacement_mm == 0 || t->mount == BRAGG_BRAGG_BRENTANO || !(distance > 0))
        return two_theta_rad;
    return atan2(sin(two_theta_rad) * distance, cos(two_theta_rad) * (distance + displacement_mm / 1000));
}

static bragg_status make_model(const bragg_truth *t, size_t n, double displacement_mm, bragg_model **out, bragg_error *err)
{
    bragg_model *m = bragg_model_new();
    bragg_pattern *p = bragg_pattern_new(n, BRAGG_AXIS_TTH);
    bragg_status st = m && p ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    for (size_t i = 0; st == BRAGG_OK && i < n; i++) {
        p->x[i] = undisplaced(t, t->first_rad + (t->last_rad - t->first_rad) * (double)i / (double)(n - 1), displacement_mm);
        p->sigma[i] = 1;
    }
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.radiation = t->radiation;
    /* on a detector polarization varies around the ring and is put on there */
    o.radiation.polarization = t->detector ? 1 : t->polarization;
    o.mount = t->mount;
    o.radius_m = t->radius_m;
    o.background_terms = 0;
    if (st == BRAGG_OK)
        st = bragg_model_add_pattern(m, p, &o, err);
    bragg_pattern_free(p);
    *out = m;
    return st;
}

/* Phases first … last - 1 of a scene, added to out; factor: of their cells' number. */
static bragg_status add_scene(const bragg_truth *t, const truth_shot *s, const truth_scene *scene, size_t first, size_t last, double factor, size_t n,
                              double *out, bragg_error *err)
{
    bragg_model *m = NULL;
    double *y = malloc(n * sizeof *y), there = 0;
    bragg_status st = y ? make_model(t, n, scene->phase[first].displacement_mm, &m, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
    for (size_t k = first; k < last && st == BRAGG_OK; k++)
        if (cells_of(t, &scene->phase[k], s) > 0) {
            there++;
            st = add_phase(t, m, &scene->phase[k], s, err);
        }
    if (st == BRAGG_OK && there > 0)
        st = bragg_model_build(m, err);
    for (size_t k = first; k < last && st == BRAGG_OK && there > 0; k++)
        if (cells_of(t, &scene->phase[k], s) > 0)
            st = set_phase(t, m, &scene->phase[k], s, factor * cells_of(t, &scene->phase[k], s), err);
    if (st == BRAGG_OK && there > 0)
        st = set_instrument(t, m, scene->phase[first].displacement_mm, err);
    if (st == BRAGG_OK && there > 0)
        st = bragg_model_calculate(m, 0, NULL, NULL, NULL, y, NULL, err);
    for (size_t i = 0; i < n && st == BRAGG_OK && there > 0; i++)
        out[i] += y[i];
    bragg_model_free(m);
    free(y);
    return st;
}

bragg_status bragg_truth_ideal(const bragg_truth *t, const truth_shot *s, bool windows, size_t n, double *out, bragg_error *err)
{
    memset(out, 0, n * sizeof *out);
    if (!windows)
        return s->scene->n ? add_scene(t, s, s->scene, 0, s->scene->n, 1, n, out, err) : BRAGG_OK;
    double weight = weight_of_sample(t, &t->shot[0]);
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < t->windows.n && st == BRAGG_OK; k++) /* one by one: each has its place */
        st = add_scene(t, s, &t->windows, k, k + 1, weight, n, out, err);
    return st;
}

bragg_status bragg_truth_scale(const bragg_truth *t, size_t shot, size_t n, double *scale, bragg_error *err)
{
    const truth_shot *s = &t->shot[shot];
    double *y = malloc(n * sizeof *y), top = 0;
    bragg_status st = y ? bragg_truth_ideal(t, s, false, n, y, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
    for (size_t i = 0; st == BRAGG_OK && i < n; i++)
        top = fmax(top, y[i]);
    if (st == BRAGG_OK)
        *scale = top > 0 ? s->counts / top : 0;
    free(y);
    return st;
}

/* ------------------------------------------------- background and beam */

/* Without more said, air falls with angle and an amorphous halo stands in the
 * middle: what a capillary in air shows. */
double bragg_truth_background_at(const bragg_truth *t, const truth_shot *s, double two_theta_rad)
{
    const truth_background *b = s->background;
    if (b->simple) {
        double u = (two_theta_rad - t->first_rad) / (t->last_rad - t->first_rad);
        return b->flat * (0.35 + 0.65 * exp(-4 * u) + 0.4 * exp(-0.5 * pow((u - 0.3) / 0.09, 2)));
    }
    double deg = two_theta_rad / BRAGG_DEG, y = b->flat + b->air * exp(-(deg - t->first_rad / BRAGG_DEG) / b->air_deg);
    for (size_t k = 0; k < b->n_halos; k++)
        y += bragg_truth_mean(t, &b->halo[k].height, s, 0) * exp(-0.5 * pow((deg - b->halo[k].at_deg) / (b->halo[k].width_deg / 2.3548), 2));
    return y;
}

double bragg_truth_monitor(const bragg_truth *t, size_t shot)
{
    const truth_shot *s = &t->shot[shot];
    double v = bragg_truth_at(&t->monitor, time_of(s), 1);
    if (!(t->ripple > 0))
        return v;
    gsl_rng *rng = bragg_truth_random();
    if (rng) {
        gsl_rng_set(rng, bragg_truth_seed(t->seed, shot, 3));
        v *= 1 + gsl_ran_gaussian(rng, t->ripple);
        free(rng);
    }
    return v;
}
