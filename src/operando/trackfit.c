/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The peaks of one row: pseudo-Voigts on straight backgrounds, those that overlap
 * together; first their areas where they are expected, then, of those that are strong
 * enough, places and widths. */
#include "config.h"
#include "analyse.h"

#include <bragg/lsq.h>
#include <bragg/profile.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 12, PER_PEAK = 3, HEAD = 3 }; /* peaks of a cluster; place, area, width; flat, slope, eta */

typedef struct cluster {
    const double *x, *y, *sigma;
    size_t n, peaks;
    double middle, half;
    double image_wavelength;  /* second wavelength over the first; 0: none */
    double ratio;
    double place[MOST], area[MOST], wide[MOST], flat, slope, eta; /* as prepared */
    const bragg_lsq_layout *layout;
} cluster;

static bragg_status prepare(void *payload, const bragg_params *p, const bragg_lsq_layout *layout, bragg_error *err)
{
    cluster *c = payload;
    c->flat = p->at[0].value, c->slope = p->at[1].value, c->eta = p->at[2].value;
    for (size_t k = 0; k < c->peaks; k++) {
        c->place[k] = p->at[HEAD + PER_PEAK * k].value;
        c->area[k] = p->at[HEAD + PER_PEAK * k + 1].value;
        c->wide[k] = p->at[HEAD + PER_PEAK * k + 2].value;
    }
    c->layout = layout;
    return BRAGG_OK;
    (void)err;
}

/* Value of a peak of area 1 and its derivatives; a doublet is one peak. */
static double shape(const cluster *c, double x, size_t k, double *d_place, double *d_wide, double *d_eta)
{
    double dx, image_dx, image_wide, image_eta, v = bragg_pseudo_voigt(x - c->place[k], c->wide[k], c->eta, &dx, d_wide, d_eta);
    *d_place = -dx;
    if (!(c->ratio > 0))
        return v;
    double s = c->image_wavelength * sin(c->place[k] / 2), at = 2 * asin(fmin(s, 1)), moves = c->image_wavelength * cos(c->place[k] / 2) / sqrt(fmax(1 - s * s, 1e-6));
    double w = bragg_pseudo_voigt(x - at, c->wide[k], c->eta, &image_dx, &image_wide, &image_eta), all = 1 + c->ratio;
    *d_place = (*d_place - c->ratio * image_dx * moves) / all;
    *d_wide = (*d_wide + c->ratio * image_wide) / all;
    *d_eta = (*d_eta + c->ratio * image_eta) / all;
    return (v + c->ratio * w) / all;
}

static void add(const cluster *c, double *jacobian, size_t i, size_t row, double d)
{
    ptrdiff_t k = c->layout->column[row];
    if (k >= 0)
        jacobian[(size_t)k * BRAGG_LSQ_BLOCK + i] += c->layout->weight[row] * d;
}

static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const cluster *c = payload;
    for (size_t i = first; i < last; i++) {
        double u = (c->x[i] - c->middle) / c->half, sum = c->flat + c->slope * u, w = -1 / c->sigma[i], eta = 0;
        size_t j = i - first;
        add(c, jacobian, j, 0, w);
        add(c, jacobian, j, 1, w * u);
        for (size_t k = 0; k < c->peaks; k++) {
            double d_place, d_wide, d_eta, v = shape(c, c->x[i], k, &d_place, &d_wide, &d_eta);
            sum += c->area[k] * v;
            eta += c->area[k] * d_eta;
            add(c, jacobian, j, HEAD + PER_PEAK * k, w * c->area[k] * d_place);
            add(c, jacobian, j, HEAD + PER_PEAK * k + 1, w * v);
            add(c, jacobian, j, HEAD + PER_PEAK * k + 2, w * c->area[k] * d_wide);
        }
        add(c, jacobian, j, 2, w * eta);
        r[j] = (c->y[i] - sum) / c->sigma[i];
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status table_of(const cluster *c, bragg_track_point *const *p, bragg_params *t, bragg_error *err)
{
    char name[32];
    bragg_status st = bragg_params_add(t, "flat", "", c->flat, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_params_add(t, "slope", "", 0, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_params_add_bounded(t, "", "eta", "", 0.5, 0, 1, NULL, err);
    for (size_t k = 0; k < c->peaks && st == BRAGG_OK; k++) {
        double x = p[k]->two_theta_rad.value, wide = p[k]->fwhm_rad.value, low = x - 0.7 * wide, high = x + 0.7 * wide;
        if (k) /* no two change places */
            low = fmax(low, (x + p[k - 1]->two_theta_rad.value) / 2);
        if (k + 1 < c->peaks)
            high = fmin(high, (x + p[k + 1]->two_theta_rad.value) / 2);
        snprintf(name, sizeof name, "peak.%zu", k);
        st = bragg_params_add_bounded(t, name, "place", "rad", x, low, high, NULL, err);
        if (st == BRAGG_OK)
            st = bragg_params_add_bounded(t, name, "area", "", 0, -INFINITY, INFINITY, NULL, err);
        if (st == BRAGG_OK)
            st = bragg_params_add_bounded(t, name, "width", "rad", wide, 0.5 * wide, 2 * wide, NULL, err);
    }
    for (size_t k = 0; k < t->n && st == BRAGG_OK; k++)
        t->at[k].refine = k < 2 || (k >= HEAD && (k - HEAD) % PER_PEAK == 1);
    return st;
}

/* *good: it has ended somewhere.  Only the want of memory is an error. */
static bragg_status solve(const bragg_lsq_problem *problem, bragg_params *t, bool *good, bragg_error *err)
{
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    bragg_lsq *lsq = NULL;
    bragg_error ignored = BRAGG_ERROR_INIT;
    o.max_cycles = 25;
    bragg_status st = bragg_lsq_new(problem, t, &o, &lsq, &ignored);
    if (st == BRAGG_OK)
        st = bragg_lsq_solve(lsq, &ignored);
    bragg_lsq_free(lsq);
    *good = st >= 0;
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

/* No peak is negative.  One that comes out so by three esds, as beside another with which it
 * merges, is left out, the worst first, and the others are asked again; had: the esds of
 * those, 0 of the others. */
static bragg_status leave_out_negative(const bragg_lsq_problem *problem, bragg_params *t, size_t peaks, double *had, bool *good, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t turn = 0; turn < peaks && *good && st == BRAGG_OK; turn++) {
        size_t worst = SIZE_MAX;
        double z = -3;
        for (size_t k = 0; k < peaks; k++) {
            const bragg_param *area = &t->at[HEAD + PER_PEAK * k + 1];
            if (area->refine && area->value < z * area->esd)
                z = area->value / area->esd, worst = k;
        }
        if (worst == SIZE_MAX)
            break;
        bragg_param *area = &t->at[HEAD + PER_PEAK * worst + 1];
        had[worst] = area->esd;
        area->value = 0;
        area->refine = false;
        st = solve(problem, t, good, err);
    }
    return st;
}

/* Which rows may move beside backgrounds and areas: those of strong peaks. */
static bool release(bragg_params *t, size_t peaks)
{
    bool any = false, shapely = false;
    for (size_t k = 0; k < peaks; k++) {
        const bragg_param *area = &t->at[HEAD + PER_PEAK * k + 1];
        double z = area->value / area->esd;
        t->at[HEAD + PER_PEAK * k].refine = t->at[HEAD + PER_PEAK * k + 2].refine = z > 6;
        any |= z > 6;
        shapely |= z > 40;
    }
    t->at[2].refine = shapely;
    return any;
}

/* Places and widths at a bound are none: a width that takes in a whole thicket, a place in
 * another's half.  Back to where they were expected; false: there is none. */
static bool put_back(bragg_params *t, size_t peaks, bragg_track_point *const *p)
{
    bool any = false;
    for (size_t k = 0; k < peaks; k++) {
        bragg_param *at = &t->at[HEAD + PER_PEAK * k];
        if (!at[0].refine || (at[0].esd > 0 && at[2].esd > 0))
            continue;
        at[0].value = p[k]->two_theta_rad.value, at[2].value = p[k]->fwhm_rad.value;
        at[0].refine = at[2].refine = false;
        any = true;
    }
    return any;
}

/* A profile that makes another peak negative is none either. */
static bool any_negative(const bragg_params *t, size_t peaks)
{
    for (size_t k = 0; k < peaks; k++)
        if (t->at[HEAD + PER_PEAK * k + 1].value < -3 * t->at[HEAD + PER_PEAK * k + 1].esd)
            return true;
    return false;
}

static void read_back(const bragg_params *t, size_t peaks, const double *had, bragg_track_point *const *p)
{
    for (size_t k = 0; k < peaks; k++) {
        const bragg_param *at = &t->at[HEAD + PER_PEAK * k];
        bool placed = at[0].refine && at[0].esd > 0, known = at[1].esd > 0;
        p[k]->area = known ? (bragg_quantity){ at[1].value, at[1].esd } : had[k] > 0 ? (bragg_quantity){ 0, had[k] } : (bragg_quantity){ NAN, NAN };
        p[k]->two_theta_rad = placed ? (bragg_quantity){ at[0].value, at[0].esd } : (bragg_quantity){ NAN, NAN };
        p[k]->fwhm_rad = placed ? (bragg_quantity){ at[2].value, at[2].esd } : (bragg_quantity){ NAN, NAN };
    }
}

static bragg_status fit_cluster(cluster *c, bragg_track_point *const *p, bragg_error *err)
{
    bragg_params t = BRAGG_PARAMS_INIT, areas = BRAGG_PARAMS_INIT;
    const bragg_lsq_problem problem = { .n = c->n, .prepare = prepare, .residuals = residuals, .payload = c };
    bragg_status st = table_of(c, p, &t, err);
    bool good = false, freed = false;
    double had[MOST] = { 0 };
    if (st == BRAGG_OK && c->n > PER_PEAK * c->peaks + HEAD + 2)
        st = solve(&problem, &t, &good, err);
    if (good)
        st = leave_out_negative(&problem, &t, c->peaks, had, &good, err);
    if (good && st == BRAGG_OK)
        st = bragg_params_copy(&areas, &t, err);
    if (good && st == BRAGG_OK && release(&t, c->peaks))
        do
            st = solve(&problem, &t, &freed, err);
        while (st == BRAGG_OK && freed && put_back(&t, c->peaks, p));
    if (good && st == BRAGG_OK)
        read_back(freed && !any_negative(&t, c->peaks) ? &t : &areas, c->peaks, had, p);
    bragg_params_free(&t);
    bragg_params_free(&areas);
    return st;
}

/* ------------------------------------------------------------- clusters */

/* In the order of their places in this row; of two at the same place the one that was
 * seen here. */
static size_t line_up(bragg_track *track, size_t n, size_t row, bragg_track_point **p)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++) {
        bragg_track_point *own = &track[k].at[row];
        size_t j = m++;
        for (; j > 0 && p[j - 1]->two_theta_rad.value > own->two_theta_rad.value; j--)
            p[j] = p[j - 1];
        p[j] = own;
    }
    for (size_t k = 1; k < m;) {
        bool close = p[k]->two_theta_rad.value - p[k - 1]->two_theta_rad.value < 0.4 * fmin(p[k]->fwhm_rad.value, p[k - 1]->fwhm_rad.value);
        if (!close) {
            k++;
            continue;
        }
        size_t out = p[k]->there || !p[k - 1]->there ? k - (p[k]->there && !p[k - 1]->there) : k;
        *p[out] = (bragg_track_point){ { NAN, NAN }, { NAN, NAN }, { NAN, NAN }, false };
        memmove(p + out, p + out + 1, (m - out - 1) * sizeof *p);
        m--;
    }
    return m;
}

static double reach(const bragg_track_point *p) { return 2.5 * p->fwhm_rad.value; }

static void none(bragg_track_point *const *p, size_t n)
{
    for (size_t k = 0; k < n; k++)
        *p[k] = (bragg_track_point){ { NAN, NAN }, { NAN, NAN }, { NAN, NAN }, false };
}

bragg_status bragg_track_fit_row(const bragg_store_curves *curves, size_t row, const bragg_analysis_options *o, bragg_track *track, size_t n, bragg_error *err)
{
    bragg_track_point **p = malloc((n + 1) * sizeof *p);
    double *room = malloc((5 * curves->n + 3) * sizeof *room), *read = room ? room + 3 * curves->n : NULL;
    bragg_status st = p && room ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the peaks of a row");
    size_t m = st == BRAGG_OK ? line_up(track, n, row, p) : 0;
    const double *y = m ? bragg_store_curves_row(curves, BRAGG_CURVE_OBSERVED, row, read) : NULL, *sigma = m ? bragg_store_curves_row(curves, BRAGG_CURVE_SIGMA, row, read + curves->n) : NULL;
    for (size_t first = 0, last; first < m && st == BRAGG_OK; first = last) {
        double *to = room;
        cluster c = { .x = room, .y = room + curves->n, .sigma = room + 2 * curves->n, .image_wavelength = o->wavelength_ang[1] / o->wavelength_ang[0], .ratio = o->ratio2 };
        for (last = first + 1; last < m && last - first < MOST && p[last]->two_theta_rad.value - p[last - 1]->two_theta_rad.value < reach(p[last]) + reach(p[last - 1]); last++)
            ;
        c.peaks = last - first;
        double image = o->ratio2 > 0 ? 2 * tan(p[last - 1]->two_theta_rad.value / 2) * (c.image_wavelength - 1) : 0;
        double low = p[first]->two_theta_rad.value - reach(p[first]), high = p[last - 1]->two_theta_rad.value + reach(p[last - 1]) + image, lowest = INFINITY;
        for (size_t i = 0; i < curves->n; i++)
            if (curves->x_rad[i] >= low && curves->x_rad[i] <= high && isfinite(y[i]) && sigma[i] > 0) {
                to[c.n] = curves->x_rad[i], to[curves->n + c.n] = y[i], to[2 * curves->n + c.n] = sigma[i];
                lowest = fmin(lowest, y[i]);
                c.n++;
            }
        c.middle = (low + high) / 2, c.half = (high - low) / 2, c.flat = lowest;
        if (c.n > PER_PEAK * c.peaks + HEAD + 2)
            st = fit_cluster(&c, p + first, err);
        else
            none(p + first, c.peaks);
    }
    free(room);
    free(p);
    return st;
}
