/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The points of a model's patterns: taken, weighed, replaced by the next pattern's; where their residuals
 * begin, and how these hang together. */
#include "config.h"
#include "model.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_excluded(const bragg_histogram_options *o, double x)
{
    if ((o->first_rad > 0 && x < o->first_rad) || (o->last_rad > 0 && x > o->last_rad))
        return true;
    for (size_t k = 0; k < o->n_exclude; k++)
        if (x >= o->exclude_rad[k][0] && x <= o->exclude_rad[k][1])
            return true;
    return false;
}

/* Points that count, in rising 2theta; how many.  Only counted without x. */
static size_t take_points(const bragg_pattern *p, const bragg_histogram_options *o, double *x_out, double *y, double *weight)
{
    bool reversed = p->axis == BRAGG_AXIS_D;
    size_t n = 0;
    for (size_t k = 0; k < p->n; k++) {
        size_t i = reversed ? p->n - 1 - k : k;
        double x = bragg_axis_convert(p->x[i], p->axis, BRAGG_AXIS_TTH, o->radiation.wavelength_ang[0]);
        double sigma = isnan(p->sigma[i]) ? sqrt(fmax(p->y[i], 1)) : p->sigma[i];
        if (!isfinite(x) || !isfinite(p->y[i]) || !(sigma > 0) || !isfinite(sigma) || is_excluded(o, x))
            continue;
        if (x_out) {
            x_out[n] = x;
            y[n] = p->y[i];
            weight[n] = sqrt(o->weight) / sigma;
        }
        n++;
    }
    return n;
}

void bragg_refine_scale_points(histogram *h)
{
    double step = (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1);
    h->variance_floor = 0.01 * step * step;
    bragg_refine_fill_background(h);
}

static double *keep(bragg_model *m, const double *v, size_t n)
{
    double *copy = bragg_arena_alloc(m->arena, n + 1, sizeof *copy);
    if (copy && n)
        memcpy(copy, v, n * sizeof *v);
    return copy;
}

static bragg_status keep_background(bragg_model *m, histogram *h, const bragg_histogram_options *o, bragg_error *err)
{
    if (o->background_terms > BRAGG_MAX_BACKGROUND)
        return bragg_fail(err, BRAGG_EINVAL, "background: expected at most %d terms, got %zu", BRAGG_MAX_BACKGROUND, o->background_terms);
    h->background = o->background;
    h->n_functions = o->background_terms;
    h->n_background = o->background_terms + (o->n_container > 0);
    h->n_container = o->n_container;
    h->n_debye = o->n_debye;
    h->n_humps = o->n_humps;
    h->container_x = keep(m, o->container_rad, o->n_container);
    h->container_y = keep(m, o->container, o->n_container);
    h->debye_ang = keep(m, o->debye_ang, o->n_debye);
    h->hump_deg = (double(*)[2])keep(m, o->hump_deg ? &o->hump_deg[0][0] : NULL, 2 * o->n_humps);
    return h->container_x && h->container_y && h->debye_ang && h->hump_deg ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a background");
}

static double in_deg(const bragg_pattern *p, const bragg_histogram_options *o, size_t k)
{
    return k < p->n ? bragg_axis_convert(p->x[k], p->axis, BRAGG_AXIS_TTH, o->radiation.wavelength_ang[0]) / BRAGG_DEG : NAN;
}

bragg_status bragg_refine_take_points(bragg_model *m, histogram *h, const bragg_pattern *p,
                                   const bragg_histogram_options *o, bragg_error *err)
{
    double *v = bragg_arena_alloc(m->arena, 3 * p->n + 1, sizeof *v);
    h->name = o->name ? bragg_arena_strdup(m->arena, o->name) : "";
    if (!v || !h->name)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    h->exclude_rad = bragg_arena_alloc(m->arena, o->n_exclude + 1, sizeof *h->exclude_rad);
    if (!h->exclude_rad)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu excluded regions", o->n_exclude);
    h->n_exclude = o->n_exclude;
    if (o->n_exclude)
        memcpy(h->exclude_rad, o->exclude_rad, o->n_exclude * sizeof *h->exclude_rad);
    h->x = v;
    h->y = v + p->n;
    h->weight = v + 2 * p->n;
    h->n = take_points(p, o, h->x, h->y, h->weight);
    h->room = p->n;
    memcpy(h->correlation, p->correlation, sizeof h->correlation);
    if (h->n < 3)
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected points to fit, found %zu with an intensity and a sigma in range; the pattern has %zu from %.4g to %.4g deg",
                          *h->name ? " " : "", h->name, h->n, p->n, in_deg(p, o, 0), in_deg(p, o, p->n - 1));
    double most = 0;
    for (size_t i = 0; i < h->n; i++)
        most = fmax(most, fabs(h->y[i]));
    if (!(most > 0) && o->background_terms) /* a model without background is a simulation */
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected intensities, found %zu zeros", *h->name ? " " : "", h->name, h->n);
    bragg_status kept = keep_background(m, h, o, err);
    if (kept < 0)
        return kept;
    h->first_rad = o->first_rad;
    h->last_rad = o->last_rad;
    h->n_blocks = (h->n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    h->background_at = bragg_arena_alloc(m->arena, p->n * h->n_background + 1, sizeof *v);
    h->block_start = bragg_arena_alloc(m->arena, p->n / BRAGG_LSQ_BLOCK + 3, sizeof *h->block_start);
    if (!h->background_at || !h->block_start)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    bragg_refine_scale_points(h);
    return BRAGG_OK;
}

/* Of the errors of two residuals: as many bins as their distance holds of the smaller of
 * the steps there lie between them, whatever has been left out. */
static double correlation_of(void *payload, size_t i, size_t d)
{
    const bragg_model *m = payload;
    for (size_t k = 0; k < m->n_histograms; k++) {
        const histogram *h = &m->histogram[k];
        if (i < h->offset || i - h->offset + d >= h->n)
            continue;
        const double *x = h->x + (i - h->offset);
        double step = x[1] - x[0];
        for (size_t j = 1; j < d; j++)
            step = fmin(step, x[j + 1] - x[j]);
        double bins = rint((x[d] - x[0]) / step);
        return bins >= 1 && bins <= BRAGG_PATTERN_LAGS ? h->correlation[(size_t)bins - 1] : 0;
    }
    return 0;
}

/* Where each pattern's residuals begin: on a block of its own. */
void bragg_refine_place_residuals(bragg_model *m)
{
    size_t next = 0, band = 0;
    m->n_observations = 0;
    for (size_t h = 0; h < m->n_histograms; h++) {
        m->histogram[h].offset = next;
        next += m->histogram[h].n_blocks * BRAGG_LSQ_BLOCK;
        m->n_observations += m->histogram[h].n;
        for (size_t d = 0; d < BRAGG_PATTERN_LAGS; d++)
            if (m->histogram[h].correlation[d] != 0)
                band = d + 1 > band ? d + 1 : band;
    }
    m->first_restraint = next;
    m->problem = (bragg_lsq_problem){ .n = next, .padding = next - m->n_observations, .prepare = bragg_refine_prepare, .residuals = bragg_refine_residuals,
                                       .payload = m, .correlation = correlation_of, .band = band };
    bragg_refine_place_restraints(m);
}

/* Room for n points; the old stays valid when there is none. */
static bragg_status more_points(bragg_model *m, histogram *h, size_t n, bragg_error *err)
{
    size_t blocks = (n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    double *v = bragg_arena_alloc(m->arena, 3 * n, sizeof *v);
    double *rows = bragg_arena_alloc(m->arena, n * h->n_background + 1, sizeof *rows);
    size_t *start = bragg_arena_alloc(m->arena, blocks + 2, sizeof *start);
    if (!v || !rows || !start)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    h->x = v;
    h->y = v + n;
    h->weight = v + 2 * n;
    h->background_at = rows;
    h->block_start = start;
    h->room = n;
    return BRAGG_OK;
}

/* The new points, checked, into a buffer of three runs of *n; free it. */
static bragg_status next_points(const histogram *h, const bragg_pattern *p, double **out, size_t *n, bragg_error *err)
{
    bragg_histogram_options o = { .radiation = h->radiation, .first_rad = h->first_rad, .last_rad = h->last_rad,
                                  .exclude_rad = (const double(*)[2])h->exclude_rad, .n_exclude = h->n_exclude, .weight = h->emphasis };
    *out = NULL;
    bragg_status st = bragg_pattern_check(p, err);
    if (st < 0)
        return st;
    *n = take_points(p, &o, NULL, NULL, NULL);
    double *v = *out = malloc((3 * *n + 1) * sizeof *v), most = 0;
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", *n);
    take_points(p, &o, v, v + *n, v + 2 * *n);
    for (size_t i = 0; i < *n; i++)
        most = fmax(most, fabs(v[*n + i]));
    if (*n < 3)
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected points to fit, found %zu with an intensity and a sigma in range", *h->name ? " " : "", h->name, *n);
    if (!(most > 0))
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected intensities, found %zu zeros", *h->name ? " " : "", h->name, *n);
    if (v[*n - 1] > h->listed_last_rad || v[0] < h->listed_first_rad)
        return bragg_fail(err, BRAGG_EDATA, "pattern%s%s: expected 2theta within %.4f to %.4f deg, for which reflections were listed, found %.4f to %.4f",
                          *h->name ? " " : "", h->name, h->listed_first_rad / BRAGG_DEG, h->listed_last_rad / BRAGG_DEG, v[0] / BRAGG_DEG, v[*n - 1] / BRAGG_DEG);
    return BRAGG_OK;
}

bragg_status bragg_model_replace_pattern(bragg_model *m, size_t which, const bragg_pattern *p, bragg_error *err)
{
    if (!m->built || which >= m->n_histograms)
        return bragg_fail(err, BRAGG_EINVAL, "model: expected one of its %zu patterns to replace, got number %zu", m->n_histograms, which);
    histogram *h = &m->histogram[which];
    double *v;
    size_t n;
    bragg_status st = next_points(h, p, &v, &n, err);
    if (st == BRAGG_OK && n > h->room)
        st = more_points(m, h, n, err);
    if (st == BRAGG_OK) {
        bool same = h->n == n && !memcmp(h->x, v, n * sizeof *v); /* then the background's rows stay */
        h->n = n;
        h->n_blocks = (n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
        memcpy(h->correlation, p->correlation, sizeof h->correlation);
        memcpy(h->x, v, n * sizeof *v);
        memcpy(h->y, v + n, n * sizeof *v);
        memcpy(h->weight, v + 2 * n, n * sizeof *v);
        if (!same)
            bragg_refine_scale_points(h);
        bragg_refine_place_residuals(m);
    }
    free(v);
    return st;
}
