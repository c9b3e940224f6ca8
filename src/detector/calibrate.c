/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calibration: rings found, indexed, measured by sectors and fitted. */
#include "config.h"
#include "ridges.h"
#include "rings.h"

#include <bragg/calibrate.h>
#include <bragg/lsq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RINGS = 60, SECTORS = 240, MOST_POINTS = MOST_RINGS * SECTORS, HALF_WINDOW = 9, MOST_ROUNDS = 12, CANDIDATES = 6 };
enum { ROT1 = BRAGG_CALIBRATE_ROT1, ROT3 = BRAGG_CALIBRATE_ROT3, LAMBDA = BRAGG_CALIBRATE_WAVELENGTH, N_ROWS = BRAGG_CALIBRATE_ROWS };

/* A place on a ring: pixels, ring, its doubt in pixels. */
typedef struct control {
    double slow, fast, sigma_px;
    size_t ring;
} control;

typedef struct work {
    const bragg_frame *frame;
    const uint8_t *mask;
    const double *d, *strength;
    size_t n_d;
    bragg_geometry g;
    double pixel;             /* mean size, m */
    control *point;
    size_t n_points;
    bragg_params params;
    const bragg_lsq_layout *layout;
    bragg_geometry trial, start;
    const bragg_calibrate_options *o;
    bool any_wavelength;      /* none was given */
    bool no_room;             /* a trial failed for want of memory, which says nothing about rings */
    bragg_correlation *correlation;
    size_t n_correlations;
} work;

/* --------------------------------------------------------------- rings */

/* Share of the ring at each radius (half pixels) that is a ridge pointing home. */
typedef struct radii {
    double *share;
    size_t n;
    double slow, fast;
} radii;

static bragg_status measure_radii(const work *w, const ridges *r, radii *out, bragg_error *err)
{
    double far = 0;
    for (int c = 0; c < 4; c++)
        far = fmax(far, hypot(out->slow - (c & 1 ? (double)w->frame->height : 0), out->fast - (c & 2 ? (double)w->frame->width : 0)));
    out->n = (size_t)(2 * far) + 2;
    out->share = calloc(2 * out->n, sizeof *out->share);
    if (!out->share)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for radii");
    double *pixels = out->share + out->n;
    for (size_t i = 0; i < w->frame->height; i++)
        for (size_t j = 0; j < w->frame->width; j++)
            if (!w->mask || !w->mask[i * w->frame->width + j])
                pixels[(size_t)(2 * hypot((double)i + 0.5 - out->slow, (double)j + 0.5 - out->fast))]++;
    for (size_t k = 0; k < r->n; k++) {
        double ds = r->at[k].slow - out->slow, df = r->at[k].fast - out->fast, radius = hypot(ds, df);
        double miss = fabs(ds * r->at[k].n_fast - df * r->at[k].n_slow) / (radius + 1);
        if (miss < 0.08 && 2 * radius < (double)out->n)
            out->share[(size_t)(2 * radius)]++;
    }
    for (size_t k = 0; k < out->n; k++)
        out->share[k] = pixels[k] > 30 ? out->share[k] / pixels[k] : 0;
    return BRAGG_OK;
}

/* Share near a radius: the best over a window that tilt may move it by. */
static double share_near(const radii *r, double radius, double tolerance)
{
    double best = 0;
    for (double x = 2 * (radius - tolerance); x <= 2 * (radius + tolerance); x++)
        if (x >= 1 && x + 1 < (double)r->n)
            best = fmax(best, r->share[(size_t)x - 1] + r->share[(size_t)x] + r->share[(size_t)x + 1]);
    return best;
}

static double radius_of(const work *w, double d, double distance)
{
    double s = w->g.wavelength_ang / (2 * d);
    return s < 0.7 ? distance * tan(2 * asin(s)) / w->pixel : NAN;
}

/* How well the standard explains the rings at a distance: what stands at its lines
 * over what stands between them, times the part of all rings it explains. */
static double score_of(const work *w, const radii *r, double distance)
{
    double on = 0, weight = 0, explained = 0, total = 0, last = -1e9;
    for (size_t k = 0; k < r->n; k++)
        total += r->share[k];
    for (size_t k = 0; k < w->n_d; k++) {
        double x = radius_of(w, w->d[k], distance), tolerance = fmax(1.5, 0.004 * x);
        if (!(2 * x < (double)r->n - 4))
            break;
        double lowest = 2 * (x - tolerance), any = 0;
        for (double y = lowest; y <= 2 * (x + tolerance); y++)
            if (y >= 1 && y > last) {
                explained += r->share[(size_t)y];
                any += r->share[(size_t)y];
                last = y;
            }
        double here = share_near(r, x, tolerance), importance = pow(w->strength[k], 0.25);
        if (x > 15) {
            on += importance * fmin(here, 0.3);
            weight += importance;
        }
    }
    double few = weight > 0 ? fmin(weight / 2, 1) : 0;
    return weight > 0 && total > 0 ? few * on / weight * sqrt(explained / total) : 0;
}

typedef struct candidate {
    double distance, score, wavelength;
} candidate;

/* Distances that score best, apart from each other by more than a per cent. */
static size_t find_distances(const work *w, const radii *r, double rough, double step, candidate *best)
{
    double low = rough > 0 ? rough / 1.35 : 0.01, high = rough > 0 ? rough * 1.35 : 10;
    size_t n = 0;
    for (double distance = low; distance <= high; distance *= step) {
        candidate c = { distance, score_of(w, r, distance), w->g.wavelength_ang };
        size_t at = n;
        for (size_t k = 0; k < n; k++)
            if (fabs(best[k].distance / distance - 1) < 0.01)
                at = k;
        if (at < n && best[at].score >= c.score)
            continue;
        if (at == n && n == CANDIDATES)
            for (size_t k = at = 0; k < n; k++)
                at = best[k].score < best[at].score ? k : at;
        if (at < n && best[at].score >= c.score)
            continue;
        best[at] = c;
        n += at == n;
    }
    return n;
}

static int by_score(const void *a, const void *b)
{
    double x = ((const candidate *)a)->score, y = ((const candidate *)b)->score;
    return (x < y) - (x > y);
}

/* Wavelengths of powder beamlines and tubes, 1.5 % apart, which rings at wide angles tell
 * from each other; of each the distances, and of all the best. */
static const double shortest_ang = 0.12, longest_ang = 2.4, wavelength_step = 1.015;

static size_t find_wavelengths(work *w, const radii *r, double rough, candidate *best)
{
    candidate all[2 * CANDIDATES];
    size_t n = 0;
    for (double wavelength = shortest_ang; wavelength < longest_ang; wavelength *= wavelength_step) {
        w->g.wavelength_ang = wavelength;
        n += find_distances(w, r, rough, 1.003, all + n);
        qsort(all, n, sizeof *all, by_score);
        n = n < CANDIDATES ? n : CANDIDATES;
    }
    memcpy(best, all, n * sizeof *all);
    return n;
}

/* -------------------------------------------------------- control points */

static double ring_angle(const work *w, size_t ring, double wavelength) { return 2 * asin(wavelength / (2 * w->d[ring])); }

static double pixel_value(const work *w, double slow, double fast)
{
    if (!(slow >= 0.5 && fast >= 0.5) || slow >= (double)w->frame->height - 0.5 || fast >= (double)w->frame->width - 0.5)
        return NAN;
    size_t i = (size_t)(slow - 0.5), j = (size_t)(fast - 0.5);
    double u = slow - 0.5 - (double)i, v = fast - 0.5 - (double)j, p[4];
    for (int k = 0; k < 4; k++) {
        size_t at = (i + (size_t)(k / 2)) * w->frame->width + j + (size_t)(k % 2);
        if (w->mask && w->mask[at])
            return NAN;
        bragg_frame_doubles(w->frame, at, 1, &p[k]);
    }
    return (1 - u) * ((1 - v) * p[0] + v * p[1]) + u * ((1 - v) * p[2] + v * p[3]);
}

/* Where the ring crosses a ray from the centre: centre of mass of what stands above
 * the ends of a window, in steps of half a pixel, the mean of a few rays. */
static bool measure_crossing(const work *w, size_t ring, double chi, double half_window, control *out)
{
    double tth = ring_angle(w, ring, w->g.wavelength_ang), slow, fast, s2, f2, profile[4 * HALF_WINDOW + 1] = { 0 };
    if (!bragg_geometry_point(&w->g, tth, chi, &slow, &fast) || !bragg_geometry_point(&w->g, tth * 1.001, chi, &s2, &f2))
        return false;
    double length = hypot(s2 - slow, f2 - fast), us = (s2 - slow) / length, uf = (f2 - fast) / length;
    int half = (int)(2 * half_window);
    for (int k = -half; k <= half; k++)
        for (int side = -2; side <= 2; side++) {
            double v = pixel_value(w, slow + us * k / 2 - uf * side, fast + uf * k / 2 + us * side);
            if (isnan(v))
                return false;
            profile[k + half] += v / 5;
        }
    double base = 0, sum = 0, moment = 0, top = 0, first = 0, last = 0;
    for (int k = 0; k < 4; k++) {
        first += profile[k] / 4;
        last += profile[2 * half - k] / 4;
    }
    for (int k = 0; k <= 2 * half; k++) {
        base = first + (last - first) * k / (2 * half);
        double above = profile[k] - base;
        top = fmax(top, above);
        profile[k] = above;
    }
    for (int k = 0; k <= 2 * half; k++)
        if (profile[k] > 0.3 * top) {
            sum += profile[k] - 0.3 * top;
            moment += (profile[k] - 0.3 * top) * (k - half) / 2;
        }
    double noise = sqrt(fmax(first + last, 2) / 2 / 5);
    if (!(sum > 0) || !(top > 4 * noise) || fabs(moment / sum) > 0.8 * half_window)
        return false;
    double at = moment / sum;
    *out = (control){ slow + us * at, fast + uf * at, fmin(fmax(2 * noise / top, 0.05), 1), ring };
    return true;
}

/* Half of what separates a ring from its neighbours, in pixels. */
static double room_around(const work *w, size_t ring)
{
    double here = radius_of(w, w->d[ring], w->g.distance_m), room = HALF_WINDOW;
    if (ring > 0)
        room = fmin(room, 0.45 * (here - radius_of(w, w->d[ring - 1], w->g.distance_m)));
    if (ring + 1 < w->n_d) {
        double next = radius_of(w, w->d[ring + 1], w->g.distance_m);
        room = isnan(next) ? room : fmin(room, 0.45 * (next - here));
    }
    return room;
}

static void collect_points(work *w, size_t rings, double window)
{
    w->n_points = 0;
    for (size_t r = 0; r < w->n_d && r < rings; r++) {
        double tth = ring_angle(w, r, w->g.wavelength_ang), half = fmin(window, room_around(w, r));
        if (!(tth < 1.4) || half < 2)
            continue;
        for (int k = 0; k < SECTORS && w->n_points < MOST_POINTS; k++)
            w->n_points += measure_crossing(w, r, 2 * BRAGG_PI * (k + 0.5) / SECTORS - BRAGG_PI, half, &w->point[w->n_points]);
    }
}

/* ----------------------------------------------------------------- fit */

static bragg_status prepare(void *payload, const bragg_params *p, const bragg_lsq_layout *layout, bragg_error *err)
{
    work *w = payload;
    w->layout = layout;
    w->trial = w->g;
    for (int k = 0; k < 6; k++)
        (&w->trial.distance_m)[k] = p->at[k].value;
    w->trial.wavelength_ang = p->at[LAMBDA].value;
    return BRAGG_OK;
    (void)err;
}

/* Observed less calculated angle, in pixels at the ring. */
static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const work *w = payload;
    for (size_t i = first; i < last; i++) {
        const control *c = &w->point[i];
        double d[6], chi[6], tth = ring_angle(w, c->ring, w->trial.wavelength_ang), cosine = cos(tth);
        double scale = w->g.distance_m / (w->pixel * cosine * cosine) / c->sigma_px;
        bragg_ray ray = bragg_geometry_ray(&w->trial, c->slow, c->fast);
        bragg_geometry_ray_derivatives(&w->trial, c->slow, c->fast, d, chi);
        r[i - first] = scale * (ray.two_theta_rad - tth);
        for (int k = 0; k < 6; k++)
            if (w->layout->column[k] >= 0)
                jacobian[(size_t)w->layout->column[k] * BRAGG_LSQ_BLOCK + i - first] += scale * d[k];
        if (w->layout->column[LAMBDA] >= 0)
            jacobian[(size_t)w->layout->column[LAMBDA] * BRAGG_LSQ_BLOCK + i - first] -= scale * 2 * tan(tth / 2) / w->trial.wavelength_ang;
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status fit(work *w, bool tilt, bool wavelength, bragg_error *err)
{
    bragg_lsq_problem problem = { .n = w->n_points, .prepare = prepare, .residuals = residuals, .payload = w };
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    bragg_lsq *lsq;
    o.loss = BRAGG_LSQ_CAUCHY;
    o.loss_scale = 3;
    o.counting_esds = false;
    for (int k = 0; k < 6; k++) {
        w->params.at[k].value = (&w->g.distance_m)[k];
        w->params.at[k].refine = (k < ROT1 || (tilt && k < ROT3)) && !w->o->fixed[k];
    }
    w->params.at[LAMBDA].value = w->g.wavelength_ang;
    w->params.at[LAMBDA].refine = wavelength;
    bragg_status st = bragg_lsq_new(&problem, &w->params, &o, &lsq, err);
    if (st == BRAGG_OK)
        st = bragg_lsq_solve(lsq, err);
    if (st >= 0 || st == BRAGG_ENOCONV)
        w->no_room |= !bragg_calibration_correlate(lsq, &w->correlation, &w->n_correlations);
    w->no_room |= st == BRAGG_ENOMEM;
    bragg_lsq_free(lsq);
    for (int k = 0; k < 6 && st >= 0; k++)
        (&w->g.distance_m)[k] = w->params.at[k].value;
    if (st >= 0)
        w->g.wavelength_ang = w->params.at[LAMBDA].value;
    return st;
}

static double miss_px(const work *w, const control *c)
{
    double tth = ring_angle(w, c->ring, w->g.wavelength_ang), cosine = cos(tth);
    return (bragg_geometry_ray(&w->g, c->slow, c->fast).two_theta_rad - tth) * w->g.distance_m / (w->pixel * cosine * cosine);
}

/* Ridge points near a ring are its first control points; few rings, then more, as
 * the geometry gets better. */
static void take_ridges(work *w, const ridges *r, double tolerance_px, size_t rings)
{
    w->n_points = 0;
    size_t step = r->n / 8000 + 1;
    for (size_t k = 0; k < r->n && w->n_points < MOST_POINTS; k += step) {
        bragg_ray ray = bragg_geometry_ray(&w->g, r->at[k].slow, r->at[k].fast);
        double scale = w->g.distance_m / w->pixel / pow(cos(ray.two_theta_rad), 2), best = tolerance_px;
        control c = { r->at[k].slow, r->at[k].fast, 1, w->n_d };
        for (size_t i = 0; i < w->n_d && i < rings; i++) {
            double off = fabs(ring_angle(w, i, w->g.wavelength_ang) - ray.two_theta_rad) * scale;
            if (off < best && off < room_around(w, i)) {
                best = off;
                c.ring = i;
            }
        }
        if (c.ring < w->n_d)
            w->point[w->n_points++] = c;
    }
}

/* What the start says and the rings may not change; the tilts move poni, to leave the
 * beam where it is. */
static void keep_fixed(work *w)
{
    bragg_geometry *g = &w->g;
    for (int k = ROT1; k <= ROT3; k++)
        (&g->distance_m)[k] = w->o->fixed[k] ? (&w->start.distance_m)[k] : 0;
    g->poni1_m -= g->distance_m * tan(g->rot2_rad) / cos(g->rot1_rad);
    g->poni2_m += g->distance_m * tan(g->rot1_rad);
    for (int k = BRAGG_CALIBRATE_PONI1; k <= BRAGG_CALIBRATE_PONI2; k++)
        if (w->o->fixed[k])
            (&g->distance_m)[k] = (&w->start.distance_m)[k];
}

/* From a distance and a centre to a geometry; the figure of merit is the share of
 * ridges explained within two pixels. */
static double refine_candidate(work *w, const ridges *r, const radii *where, double distance)
{
    static const struct { double tolerance; bool tilt; } rounds[] = { { 12, false }, { 10, true }, { 7, true }, { 5, true }, { 3, true }, { 3, true } };
    w->g.distance_m = w->o->fixed[BRAGG_CALIBRATE_DISTANCE] ? w->start.distance_m : distance;
    w->g.rot1_rad = w->g.rot2_rad = w->g.rot3_rad = 0;
    w->g.poni1_m = w->g.poni2_m = 0;
    /* poni of an untilted detector whose beam hits (slow, fast), in any orientation */
    bragg_geometry flat = w->g;
    bragg_ray ray = bragg_geometry_ray(&flat, where->slow, where->fast);
    w->g.poni1_m = ray.r_m * sin(ray.chi_rad);
    w->g.poni2_m = ray.r_m * cos(ray.chi_rad);
    keep_fixed(w);
    for (size_t k = 0; k < sizeof rounds / sizeof *rounds; k++) {
        bragg_error ignored = BRAGG_ERROR_INIT;
        take_ridges(w, r, rounds[k].tolerance, MOST_RINGS);
        if (w->n_points < 50 || (fit(w, rounds[k].tilt, false, &ignored) < 0 && ignored.status != BRAGG_ENOCONV) || fabs(w->g.rot1_rad) > 1 || fabs(w->g.rot2_rad) > 1)
            return 0;
    }
    take_ridges(w, r, 2, MOST_RINGS);
    size_t rings = 0;
    for (size_t i = 0; i < w->n_d && i < MOST_RINGS; i++) {
        double x = radius_of(w, w->d[i], w->g.distance_m);
        rings += 2 * x < (double)where->n;
    }
    /* more lines explain more by chance: each takes four pixels of all radii */
    double chance = fmin(0.9, 4.0 * (double)rings / ((double)where->n / 2));
    double share = (double)w->n_points / ((double)r->n / (double)(r->n / 8000 + 1)), squares = 0;
    for (size_t k = 0; k < w->n_points; k++)
        squares += pow(miss_px(w, &w->point[k]), 2);
    /* points that are there by chance spread evenly over the two pixels */
    double even = 2 / sqrt(3), sharp = w->n_points ? 1 - sqrt(squares / (double)w->n_points) / even : 0;
    return fmax(sharp, 0) * (share - chance) / (1 - chance);
}

/* The furthest that a parameter moved, in esds. */
static double moved(const work *w, const bragg_geometry *from)
{
    double most = fabs(w->g.wavelength_ang - from->wavelength_ang) / fmax(w->params.at[LAMBDA].esd, 1e-12);
    for (int k = 0; k < 6; k++)
        most = fmax(most, fabs((&w->g.distance_m)[k] - (&from->distance_m)[k]) / fmax(w->params.at[k].esd, 1e-12));
    return most;
}

/* Where a ring crosses a ray depends a little on where it is expected: it is measured anew
 * until that no longer counts. */
static bragg_status polish(work *w, const bragg_calibrate_options *o, bragg_error *err)
{
    static const double windows[] = { 8, 6, 5, 5 };
    bragg_geometry before = w->g;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < MOST_ROUNDS && st >= 0 && (k < 4 || moved(w, &before) > 0.02); k++) {
        before = w->g;
        collect_points(w, MOST_RINGS, windows[k < 4 ? k : 3]);
        if (w->n_points < 30)
            return bragg_fail(err, BRAGG_ENOCONV, "calibration: expected rings to measure, found %zu points on them", w->n_points);
        bragg_error problem = BRAGG_ERROR_INIT;
        st = fit(w, true, (o->fit_wavelength || w->any_wavelength) && k > 1, &problem);
        if (st == BRAGG_ENOCONV)
            st = BRAGG_OK;
        else if (st < 0)
            bragg_fail(err, st, "%s", problem.text);
    }
    return st;
}

/* Near the beam rings tell the product of distance and wavelength only. */
static bragg_status check_wavelength(const work *w, bragg_error *err)
{
    const bragg_param *p = &w->params.at[BRAGG_CALIBRATE_WAVELENGTH];
    return p->esd < 0.01 * p->value ? BRAGG_OK
        : bragg_fail(err, BRAGG_ENOCONV, "calibration: the rings fit a wavelength of %.4g(%.2g) angstrom at %.4g m, but so near the beam they tell the product of the two only: give a wavelength, or frames at known steps of the distance",
                     p->value, p->esd, w->g.distance_m);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Half of the points are nearer to their rings, whatever crosses these; NAN without memory. */
static double median_miss_px(work *w)
{
    double *miss = malloc((w->n_points + 1) * sizeof *miss), median = NAN;
    w->no_room |= !miss;
    for (size_t k = 0; miss && k < w->n_points; k++)
        miss[k] = fabs(miss_px(w, &w->point[k]));
    if (miss && w->n_points) {
        qsort(miss, w->n_points, sizeof *miss, by_size);
        median = miss[w->n_points / 2];
    }
    free(miss);
    return median;
}

/* How far the rings are missed at the wavelength times a factor, the distance by as much
 * shorter and the beam where it is; NAN when they are not found there. */
static double miss_at(work *w, const bragg_geometry *from, double factor)
{
    static const double windows[] = { 8, 5 };
    bragg_geometry g = *from;
    g.wavelength_ang *= factor;
    g.distance_m /= factor;
    double nearer = from->distance_m - g.distance_m;
    g.poni1_m += nearer * tan(g.rot2_rad) / cos(g.rot1_rad);
    g.poni2_m -= nearer * tan(g.rot1_rad);
    w->g = g;
    for (size_t k = 0; k < 2; k++) {
        bragg_error ignored = BRAGG_ERROR_INIT;
        collect_points(w, MOST_RINGS, windows[k]);
        if (w->n_points < 30 || (fit(w, true, false, &ignored) < 0 && ignored.status != BRAGG_ENOCONV))
            return NAN;
    }
    return median_miss_px(w);
}

/* Were the wavelength an eighth shorter or longer.  Far from the beam that fits no rings;
 * near it any does almost, and only one that is clearly worse than another is known to be wrong:
 * rings to 9 degrees, other phases among them, are missed 0.94 times as far at 1.13 of the right
 * wavelength, 0.77 times where it was given 7 % too short (tests/validation/by-hand.md). */
static const double neighbours[2] = { 1 / 1.13, 1.13 };
#define CLEARLY 0.82

static void try_neighbours(work *w, double miss_px_at[2])
{
    const bool *fixed = w->o->fixed;
    bragg_geometry here = w->g;
    bool held = w->any_wavelength || w->o->fit_wavelength || fixed[BRAGG_CALIBRATE_WAVELENGTH] || fixed[BRAGG_CALIBRATE_DISTANCE];
    for (int k = 0; k < 2; k++) {
        miss_px_at[k] = held ? NAN : miss_at(w, &here, neighbours[k]);
        w->g = here;
    }
}

static bragg_status check_given(work *w, const double miss_px_at[2], bragg_error *err)
{
    double here = median_miss_px(w);
    for (int k = 0; k < 2; k++)
        if (miss_px_at[k] < CLEARLY * here)
            return bragg_fail(err, BRAGG_ENOCONV, "calibration: at the given wavelength of %.5g angstrom the rings are missed by %.2f pixel (%.4g m), at %.5g angstrom by %.2f: check the wavelength, or keep it with --fix wavelength",
                              w->g.wavelength_ang, here, w->g.distance_m, w->g.wavelength_ang * neighbours[k], miss_px_at[k]);
    return BRAGG_OK;
}

/* -------------------------------------------------------------- results */

static bragg_status report(work *w, bragg_calibration **out, bragg_error *err)
{
    bragg_calibration *c = calloc(1, sizeof *c);
    if (c) {
        c->ring = calloc(w->n_d + 1, sizeof *c->ring);
        c->point = malloc((w->n_points + 1) * sizeof *c->point);
    }
    if (!c || !c->ring || !c->point) {
        bragg_calibration_free(c);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the calibration");
    }
    c->geometry = w->g;
    c->n_points = w->n_points;
    for (size_t k = 0; k < w->n_points; k++)
        c->point[k] = (bragg_ring_point){ w->point[k].slow, w->point[k].fast, w->point[k].sigma_px, w->d[w->point[k].ring] };
    if (!bragg_calibration_describe(c)) {
        bragg_calibration_free(c);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the calibration's rings");
    }
    c->params = w->params;
    w->params = (bragg_params)BRAGG_PARAMS_INIT;
    c->correlation = w->correlation;
    c->n_correlations = w->n_correlations;
    w->correlation = NULL;
    *out = c;
    return BRAGG_OK;
}

void bragg_calibration_free(bragg_calibration *c)
{
    if (!c)
        return;
    free(c->ring);
    free(c->point);
    free(c->correlation);
    bragg_params_free(&c->params);
    free(c);
}

static bragg_status make_params(work *w, bragg_error *err)
{
    static const char *const names[N_ROWS] = { "distance", "poni1", "poni2", "rot1", "rot2", "rot3", "wavelength" };
    static const char *const units[N_ROWS] = { "m", "m", "m", "rad", "rad", "rad", "angstrom" };
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < N_ROWS && st == BRAGG_OK; k++)
        st = bragg_params_add(&w->params, names[k], units[k], 0, NULL, err);
    return st;
}

enum { MOST_TOLD = 8, RADIUS_STEP = 3 };

/* "9 rings at 62, 126, 189 … pixels from row 569, column 483": where more of a radius is
 * ridge than about it. */
static void tell_rings(const radii *r, char *text, size_t size)
{
    double typical = 0;
    size_t n = 0, at = 0;
    char list[12 * MOST_TOLD] = "";
    for (size_t k = 0; k < r->n; k++)
        typical += r->share[k] / (double)r->n;
    for (size_t k = 2 * RADIUS_STEP; k + 2 * RADIUS_STEP < r->n; k++) {
        bool top = r->share[k] > fmax(0.1, 3 * typical);
        for (size_t j = k - 2 * RADIUS_STEP; top && j <= k + 2 * RADIUS_STEP; j++)
            top = r->share[j] < r->share[k] || j == k || (j > k && r->share[j] == r->share[k]);
        if (!top)
            continue;
        if (n++ < MOST_TOLD && at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%.0f", n > 1 ? ", " : "", ((double)k + 0.5) / 2);
    }
    snprintf(text, size, "%zu rings seen%s%s%s about row %.0f, column %.0f", n, n ? ", radius " : "", list, n > MOST_TOLD ? " \xe2\x80\xa6 pixels" : n ? " pixels" : "", r->slow, r->fast);
}

static bragg_status index_rings(work *w, const ridges *r, const bragg_calibrate_options *o, bragg_error *err)
{
    radii where = { NULL, 0, 0, 0 };
    bragg_status st = bragg_ridges_centre(r, (double)w->frame->height, (double)w->frame->width, &where.slow, &where.fast, err);
    if (st < 0)
        return st;
    st = measure_radii(w, r, &where, err);
    candidate list[CANDIDATES];
    size_t n = st < 0 ? 0 : w->any_wavelength ? find_wavelengths(w, &where, o->distance_m, list) : find_distances(w, &where, o->distance_m, 1.001, list);
    bragg_geometry best = w->g;
    double merit = 0;
    for (size_t k = 0; k < n; k++) {
        w->g.wavelength_ang = list[k].wavelength;
        double m = refine_candidate(w, r, &where, list[k].distance);
        bragg_log(o->observer, BRAGG_LOG_INFO, "centre %.1f %.1f, distance %.4f m (score %.4f): %.4f m, merit %.3f", where.slow, where.fast,
                  list[k].distance, list[k].score, w->g.distance_m, m);
        if (m > merit) {
            merit = m;
            best = w->g;
        }
    }
    w->g = best;
    if (st == BRAGG_OK && w->no_room)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a calibration");
    if (st == BRAGG_OK && merit < 0.05) {
        char seen[200];
        tell_rings(&where, seen, sizeof seen);
        st = n ? bragg_fail(err, BRAGG_ENOCONV, "calibration: %s; no distance %s makes them the standard's (the best, %.4g m, explains %.0f %% of %zu ridge points): check calibrant, wavelength and pixel size", seen,
                            o->distance_m > 0 ? "within a third of the given one" : "from 0.01 to 10 m", best.distance_m, 100 * merit, r->n)
               : bragg_fail(err, BRAGG_ENOCONV, "calibration: %s, none where the standard's could be: check calibrant, wavelength and pixel size", seen);
    }
    free(where.share);
    return st;
}

bragg_status bragg_calibrate(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *start, const double *d_ang, const double *strength,
                             size_t n, const bragg_calibrate_options *options, bragg_calibration **out, bragg_error *err)
{
    static const bragg_calibrate_options defaults = BRAGG_CALIBRATE_OPTIONS_INIT;
    const bragg_calibrate_options *o = options ? options : &defaults;
    *out = NULL;
    if ((!(start->wavelength_ang > 0) && !isnan(start->wavelength_ang)) || !(start->pixel_slow_m > 0) || !(start->pixel_fast_m > 0))
        return bragg_fail(err, BRAGG_EINVAL, "calibration: expected wavelength and pixel size, found %g angstrom and %g m", start->wavelength_ang, start->pixel_slow_m);
    work w = { .frame = frame, .mask = mask, .d = d_ang, .strength = strength, .n_d = n, .g = *start,
               .pixel = (start->pixel_slow_m + start->pixel_fast_m) / 2, .point = malloc(MOST_POINTS * sizeof *w.point), .start = *start, .o = o, .any_wavelength = isnan(start->wavelength_ang) };
    w.g.rows = frame->height;
    w.g.columns = frame->width;
    ridges r = { NULL, 0, 0 };
    bragg_status st = w.point ? make_params(&w, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a calibration");
    if (st == BRAGG_OK)
        st = bragg_ridges_find(frame, mask, 2, &r, err);
    if (st == BRAGG_OK)
        st = index_rings(&w, &r, o, err);
    double missed_px[2];
    if (st == BRAGG_OK) {
        try_neighbours(&w, missed_px);
        st = polish(&w, o, err);
    }
    if (st >= 0)
        st = w.any_wavelength ? check_wavelength(&w, err) : check_given(&w, missed_px, err);
    if (st >= 0)
        st = w.no_room ? bragg_fail(err, BRAGG_ENOMEM, "no room for a calibration") : report(&w, out, err);
    free(r.at);
    free(w.point);
    free(w.correlation);
    bragg_params_free(&w.params);
    return st;
}

bragg_status bragg_calibrate_orientations(const bragg_frame *frame, const uint8_t *mask, const bragg_geometry *geometry, double sharpness[8], bragg_error *err)
{
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.split = BRAGG_SPLIT_NONE;
    o.n_bins = 1500;
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < 8 && st >= 0; k++) {
        bragg_geometry g = *geometry;
        bragg_plan *plan;
        bragg_pattern *p;
        g.orientation = k + 1;
        g.rows = frame->height;
        g.columns = frame->width;
        sharpness[k] = NAN;
        if ((st = bragg_plan_new(&g, frame->height, frame->width, mask, &o, &plan, err)) < 0)
            break;
        if ((st = bragg_plan_integrate(plan, frame, NULL, NULL, &p, err)) >= 0) {
            double sum = 0, squares = 0, n = 0;
            for (size_t i = 0; i < p->n; i++)
                if (isfinite(p->y[i])) {
                    sum += p->y[i];
                    squares += p->y[i] * p->y[i];
                    n++;
                }
            sharpness[k] = squares * n / (sum * sum);
            bragg_pattern_free(p);
        }
        bragg_plan_free(plan);
    }
    return st;
}
