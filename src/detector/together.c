/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calibrations refined together, and what is said of each. */
#include "config.h"
#include "rings.h"

#include <bragg/array.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a frame's own geometry; the wavelength is everybody's. */
enum { OWN = BRAGG_CALIBRATE_WAVELENGTH };

/* ------------------------------------------------------------------- rings */

static double miss_of(const bragg_calibration *c, const bragg_ring_point *p)
{
    const bragg_geometry *g = &c->geometry;
    double tth = 2 * asin(g->wavelength_ang / (2 * p->d_ang)), cosine = cos(tth), pixel = (g->pixel_slow_m + g->pixel_fast_m) / 2;
    return (bragg_geometry_ray(g, p->slow, p->fast).two_theta_rad - tth) * g->distance_m / (pixel * cosine * cosine);
}

/* 1.4826 times the median of |miss|: the rms without the wild ones; false without memory. */
static bool robust_rms(const bragg_calibration *c, double *rms)
{
    double *v = malloc((c->n_points + 1) * sizeof *v);
    *rms = NAN;
    for (size_t k = 0; v && k < c->n_points; k++)
        v[k] = fabs(miss_of(c, &c->point[k]));
    if (v && c->n_points) {
        qsort(v, c->n_points, sizeof *v, bragg_array_by_value);
        *rms = 1.4826 * v[c->n_points / 2];
    }
    free(v);
    return v != NULL;
}

/* rms and rings from the points, which stand ring by ring; false without memory. */
bool bragg_calibration_describe(bragg_calibration *c)
{
    c->n_rings = 0;
    if (!robust_rms(c, &c->rms_px))
        return false;
    for (size_t first = 0, last; first < c->n_points; first = last) {
        double d = c->point[first].d_ang, sum = 0, squares = 0;
        bragg_ring ring = { d, 2 * asin(c->geometry.wavelength_ang / (2 * d)), 0, 0, 0 };
        for (last = first; last < c->n_points && c->point[last].d_ang == d; last++) {
            double m = miss_of(c, &c->point[last]);
            if (!(fabs(m) < 6 * c->rms_px + 0.1))
                continue;
            ring.points++;
            sum += m;
            squares += m * m;
        }
        if (!ring.points)
            continue;
        ring.offset_px = sum / (double)ring.points;
        ring.rms_px = sqrt(fmax(squares / (double)ring.points - ring.offset_px * ring.offset_px, 0));
        c->ring[c->n_rings++] = ring;
    }
    return true;
}

bool bragg_calibration_correlate(const bragg_lsq *lsq, bragg_correlation **list, size_t *count)
{
    size_t n = bragg_lsq_variables(lsq), at = 0;
    free(*list);
    *count = 0;
    *list = malloc((n * n / 2 + 1) * sizeof **list);
    for (size_t i = 0; *list && i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            (*list)[at++] = (bragg_correlation){ bragg_lsq_row(lsq, i), bragg_lsq_row(lsq, j), bragg_lsq_correlation(lsq, i, j) };
    *count = at;
    return *list != NULL;
}

/* ---------------------------------------------------------------- together */

typedef struct together {
    bragg_calibration *const *c;
    size_t n, *start;             /* of each one's points among all */
    bragg_params *params;
    const bragg_lsq_layout *layout;
    bragg_geometry *trial;
} together;

static bragg_geometry trial_of(const together *t, const bragg_params *p, size_t k)
{
    bragg_geometry g = t->c[k]->geometry;
    for (size_t i = 0; i < OWN; i++)
        (&g.distance_m)[i] = p->at[k * OWN + i].value;
    g.wavelength_ang = p->at[t->n * OWN].value;
    return g;
}

static bragg_status prepare_together(void *payload, const bragg_params *p, const bragg_lsq_layout *layout, bragg_error *err)
{
    together *t = payload;
    t->layout = layout;
    for (size_t k = 0; k < t->n; k++) {
        t->trial[k] = trial_of(t, p, k);
        if (!(t->trial[k].distance_m > 0) || !(t->trial[k].wavelength_ang > 0))
            return bragg_fail(err, BRAGG_EDATA, "calibration: distance %g m", t->trial[k].distance_m);
    }
    return BRAGG_OK;
}

static void add_derivative(const together *t, size_t row, double value, double *jacobian, size_t at)
{
    if (t->layout->column[row] >= 0)
        jacobian[(size_t)t->layout->column[row] * BRAGG_LSQ_BLOCK + at] += t->layout->weight[row] * value;
}

static bragg_status residuals_together(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const together *t = payload;
    size_t k = 0;
    for (size_t i = first; i < last; i++) {
        while (i >= t->start[k + 1])
            k++;
        const bragg_ring_point *p = &t->c[k]->point[i - t->start[k]];
        const bragg_geometry *g = &t->trial[k];
        double d[6], chi[6], sine = g->wavelength_ang / (2 * p->d_ang);
        if (!(sine < 1))
            return bragg_fail(err, BRAGG_EDATA, "calibration: no ring of %g angstrom at wavelength %g", p->d_ang, g->wavelength_ang);
        double tth = 2 * asin(sine), cosine = cos(tth), pixel = (g->pixel_slow_m + g->pixel_fast_m) / 2;
        double scale = t->c[k]->geometry.distance_m / (pixel * cosine * cosine) / p->sigma_px;
        bragg_geometry_ray_derivatives(g, p->slow, p->fast, d, chi);
        r[i - first] = scale * (bragg_geometry_ray(g, p->slow, p->fast).two_theta_rad - tth);
        for (size_t j = 0; j < OWN; j++)
            add_derivative(t, k * OWN + j, scale * d[j], jacobian, i - first);
        add_derivative(t, t->n * OWN, -scale * 2 * tan(tth / 2) / g->wavelength_ang, jacobian, i - first);
    }
    return BRAGG_OK;
}

/* A row of each frame's geometry, tied to the first frame's where it is common. */
static bragg_status list_rows(together *t, const bragg_calibration_joint_options *o, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < t->n && st == BRAGG_OK; k++)
        for (size_t i = 0; i < OWN && st == BRAGG_OK; i++) {
            const bragg_param *own = &t->c[k]->params.at[i];
            char name[128];
            size_t row;
            snprintf(name, sizeof name, "frame.%zu.%s", k, own->name);
            st = bragg_params_add(t->params, name, own->unit, (&t->c[k]->geometry.distance_m)[i], &row, err);
            if (st < 0)
                break;
            t->params->at[row].refine = own->refine;
            if (k && i == BRAGG_CALIBRATE_DISTANCE && o->moved_m && own->refine)
                st = bragg_params_tie(t->params, row, 0, 1, o->moved_m[k] - o->moved_m[0], err);
            else if (k && i >= BRAGG_CALIBRATE_ROT1 && own->refine && !o->own_tilts)
                st = bragg_params_tie(t->params, row, i, 1, 0, err);
        }
    if (st == BRAGG_OK)
        st = bragg_params_add(t->params, "wavelength", "angstrom", t->c[0]->geometry.wavelength_ang, NULL, err);
    if (st == BRAGG_OK)
        t->params->at[t->n * OWN].refine = o->fit_wavelength;
    return st;
}

/* What was found goes back into each; false without memory. */
static bool spread(const together *t, const bragg_params *p, double *rms_px)
{
    double squares = 0;
    for (size_t k = 0; k < t->n; k++) {
        bragg_calibration *c = t->c[k];
        c->geometry = trial_of(t, p, k);
        for (size_t i = 0; i <= OWN; i++) {
            const bragg_param *from = &p->at[i < OWN ? k * OWN + i : t->n * OWN];
            c->params.at[i].value = from->value;
            c->params.at[i].esd = from->tie_to >= 0 ? fabs(from->tie_factor) * p->at[from->tie_to].esd : from->esd;
        }
        c->n_correlations = 0; /* are the joint's now */
        if (!bragg_calibration_describe(c))
            return false;
        squares += c->rms_px * c->rms_px / (double)t->n;
    }
    *rms_px = sqrt(squares);
    return true;
}

static bragg_status solve_together(together *t, bragg_calibration_joint *j, bragg_error *err)
{
    bragg_lsq_problem problem = { .n = t->start[t->n], .prepare = prepare_together, .residuals = residuals_together, .payload = t };
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    bragg_lsq *lsq;
    o.form = BRAGG_LSQ_DENSE;
    o.loss = BRAGG_LSQ_CAUCHY;
    o.loss_scale = 3;
    o.counting_esds = false;
    bragg_status st = bragg_lsq_new(&problem, &j->params, &o, &lsq, err);
    if (st < 0)
        return st;
    st = bragg_lsq_solve(lsq, err);
    if (st >= 0 && !bragg_calibration_correlate(lsq, &j->correlation, &j->n_correlations))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for correlations");
    bragg_lsq_free(lsq);
    if (st >= 0 && !spread(t, &j->params, &j->rms_px))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for the rings");
    return st < 0 ? bragg_context(err, st, "frames together") : BRAGG_OK;
}

bragg_status bragg_calibrate_together(bragg_calibration *const *c, size_t n, const bragg_calibration_joint_options *o, bragg_calibration_joint **out, bragg_error *err)
{
    *out = NULL;
    if (n < 1)
        return bragg_fail(err, BRAGG_EINVAL, "calibration: expected calibrations, found none");
    bragg_calibration_joint *j = calloc(1, sizeof *j);
    together t = { .c = c, .n = n, .start = calloc(n + 1, sizeof *t.start), .trial = calloc(n, sizeof *t.trial), .params = j ? &j->params : NULL };
    bragg_status st = j && t.start && t.trial ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to calibrate %zu frames", n);
    for (size_t k = 0; st == BRAGG_OK && k < n; k++)
        t.start[k + 1] = t.start[k] + c[k]->n_points;
    if (st == BRAGG_OK)
        st = list_rows(&t, o, err);
    if (st == BRAGG_OK)
        st = solve_together(&t, j, err);
    free(t.start);
    free(t.trial);
    if (st < 0)
        bragg_calibration_joint_free(j);
    else
        *out = j;
    return st;
}

void bragg_calibration_joint_free(bragg_calibration_joint *j)
{
    if (!j)
        return;
    bragg_params_free(&j->params);
    free(j->correlation);
    free(j);
}
