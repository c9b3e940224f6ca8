/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The integration plan: pixels shared among bins once, frames summed many times. */
#include "config.h"
#include <bragg/detector.h>
#include <bragg/sparse.h>
#include <bragg/thread.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_A_BLOCK = 16, BINS_A_BLOCK = 16, PIXELS_A_BLOCK = 1 << 15 };

struct bragg_plan {
    bragg_plan_options opt;
    size_t rows, columns;
    double first, step, wavelength_ang;
    bragg_sparse matrix; /* bins x pixels */
    float *correction;  /* a pixel */
};

bool bragg_split_parse(const char *name, bragg_split *split)
{
    static const char *const names[] = { "none", "bbox", "full" };
    for (int k = 0; k < 3; k++)
        if (!strcmp(name, names[k])) {
            *split = (bragg_split)k;
            return true;
        }
    return false;
}

/* ----------------------------------------------------------- coordinates */

typedef struct point {
    double x, chi;
} point;

typedef struct making {
    const bragg_geometry *g;
    const bragg_plan_options *opt;
    const uint8_t *mask;
    bragg_plan *plan;
    point *corner, *centre;   /* (rows + 1) x (columns + 1), rows x columns */
    double *low, *high;       /* a block of rows */
    bragg_triplets *list;     /* a block of rows */
} making;

static double axis_value(const making *m, const bragg_ray *r)
{
    if (m->opt->axis == BRAGG_AXIS_TTH)
        return r->two_theta_rad;
    if (m->opt->axis == BRAGG_AXIS_R)
        return r->r_m;
    return bragg_axis_convert(r->two_theta_rad, BRAGG_AXIS_TTH, m->opt->axis, m->g->wavelength_ang);
}

static bragg_status locate_corners(void *payload, size_t first, size_t last, bragg_error *err)
{
    const making *m = payload;
    size_t columns = m->plan->columns + 1;
    for (size_t i = first; i < last; i++)
        for (size_t j = 0; j < columns; j++) {
            bragg_ray r = bragg_geometry_ray(m->g, (double)i, (double)j);
            m->corner[i * columns + j] = (point){ axis_value(m, &r), r.chi_rad };
        }
    return BRAGG_OK;
    (void)err;
}

/* Half the extent that pyFAI's bounding box gives a pixel: the farthest corner. */
static double half_extent(const making *m, size_t i, size_t j)
{
    const point *c = m->corner + i * (m->plan->columns + 1) + j;
    double x = m->centre[i * m->plan->columns + j].x;
    size_t down = m->plan->columns + 1;
    return fmax(fmax(fabs(c[0].x - x), fabs(c[1].x - x)), fmax(fabs(c[down].x - x), fabs(c[down + 1].x - x)));
}

static bool in_sector(const making *m, double chi)
{
    double a = m->opt->chi_first_rad, b = m->opt->chi_last_rad;
    if (!(a < b))
        return true;
    while (chi < a)
        chi += 2 * BRAGG_PI;
    return chi - 2 * BRAGG_PI * floor((chi - a) / (2 * BRAGG_PI)) <= b;
}

static bool is_used(const making *m, size_t i, size_t j)
{
    size_t k = i * m->plan->columns + j;
    return !(m->mask && m->mask[k]) && isfinite(m->centre[k].x) && in_sector(m, m->centre[k].chi);
}

static bragg_status locate_centres(void *payload, size_t first, size_t last, bragg_error *err)
{
    const making *m = payload;
    bool corners = m->opt->split != BRAGG_SPLIT_NONE;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = first; i < last; i++)
        for (size_t j = 0; j < m->plan->columns; j++) {
            size_t k = i * m->plan->columns + j;
            bragg_ray r = bragg_geometry_ray(m->g, (double)i + 0.5, (double)j + 0.5);
            m->centre[k] = (point){ axis_value(m, &r), r.chi_rad };
            double c = m->opt->solid_angle ? r.solid_angle : 1;
            if (!isnan(m->opt->polarization))
                c *= bragg_polarization(r.two_theta_rad, r.chi_rad, m->opt->polarization);
            m->plan->correction[k] = (float)c;
            if (!is_used(m, i, j))
                continue;
            double reach = corners ? half_extent(m, i, j) : 0;
            low = fmin(low, m->centre[k].x - reach);
            high = fmax(high, m->centre[k].x + reach);
        }
    m->low[first / ROWS_A_BLOCK] = low;
    m->high[first / ROWS_A_BLOCK] = high;
    return BRAGG_OK;
    (void)err;
}

/* -------------------------------------------------------------- sharing */

/* Evenly over [a, b], both in bins. */
static bragg_status share_evenly(bragg_triplets *l, size_t n_bins, size_t pixel, double a, double b, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (b <= 0 || a >= (double)n_bins)
        return st;
    double length = b - a;
    for (long k = (long)floor(fmax(a, 0)); k < (long)n_bins && (double)k < b && st == BRAGG_OK; k++) {
        double part = fmin(b, (double)k + 1) - fmax(a, (double)k);
        if (part > 0)
            st = bragg_triplets_add(l, (size_t)k, pixel, length > 0 ? part / length : 1, err);
    }
    return st;
}

/* Integral of y dx along an edge, bin by bin. */
static void add_edge(point a, point b, long low, double *area)
{
    double dx = b.x - a.x;
    if (dx == 0)
        return;
    double slope = (b.chi - a.chi) / dx, sign = dx > 0 ? 1 : -1, x = fmin(a.x, b.x), end = fmax(a.x, b.x);
    while (x < end) {
        long k = (long)floor(x);
        double to = fmin((double)k + 1, end);
        if (to <= x) /* x sits on the border by rounding */
            to = fmin((double)++k + 1, end);
        area[k - low] += sign * (to - x) * (a.chi + slope * ((x + to) / 2 - a.x));
        x = to;
    }
}

enum { MOST_BINS = 256 }; /* a pixel over more is shared evenly */

/* By the area of the quadrilateral of its corners in the plane of x and chi. */
static bragg_status share_by_area(const making *m, bragg_triplets *l, size_t i, size_t j, bragg_error *err)
{
    size_t down = m->plan->columns + 1, pixel = i * m->plan->columns + j, n_bins = m->opt->n_bins;
    const point *c = m->corner + i * down + j;
    point p[4] = { c[0], c[down], c[down + 1], c[1] };
    double low = INFINITY, high = -INFINITY, narrow = 0, wide = 0, area[MOST_BINS + 2], total = 0;
    for (int k = 0; k < 4; k++) {
        p[k].x = (p[k].x - m->plan->first) / m->plan->step;
        p[k].chi -= c[0].chi; /* the cut at +-pi may run through a pixel */
        p[k].chi -= 2 * BRAGG_PI * rint(p[k].chi / (2 * BRAGG_PI));
        low = fmin(low, p[k].x);
        high = fmax(high, p[k].x);
        narrow = fmin(narrow, p[k].chi);
        wide = fmax(wide, p[k].chi);
    }
    if (high <= 0 || low >= (double)n_bins)
        return BRAGG_OK;
    if (floor(low) == floor(high))
        return bragg_triplets_add(l, (size_t)floor(low), pixel, 1, err);
    if (!(wide - narrow < BRAGG_PI) || high - low > MOST_BINS) /* the beam goes through it */
        return share_evenly(l, n_bins, pixel, low, high, err);
    long from = (long)floor(low), to = (long)floor(high);
    memset(area, 0, (size_t)(to - from + 1) * sizeof *area);
    for (int k = 0; k < 4; k++)
        add_edge(p[k], p[(k + 1) % 4], from, area);
    for (long k = from; k <= to; k++)
        total += area[k - from];
    bragg_status st = BRAGG_OK;
    for (long k = from; k <= to && st == BRAGG_OK; k++)
        if (k >= 0 && k < (long)n_bins && area[k - from] / total > 0)
            st = bragg_triplets_add(l, (size_t)k, pixel, area[k - from] / total, err);
    return st;
}

static bragg_status share_pixel(const making *m, bragg_triplets *l, size_t i, size_t j, bragg_error *err)
{
    size_t pixel = i * m->plan->columns + j;
    double at = (m->centre[pixel].x - m->plan->first) / m->plan->step;
    if (m->opt->split == BRAGG_SPLIT_FULL)
        return share_by_area(m, l, i, j, err);
    if (m->opt->split == BRAGG_SPLIT_BBOX) {
        double half = half_extent(m, i, j) / m->plan->step;
        return share_evenly(l, m->opt->n_bins, pixel, at - half, at + half, err);
    }
    bool last = at == (double)m->opt->n_bins; /* the range's end belongs to it */
    return at >= 0 && (at < (double)m->opt->n_bins || last) ? bragg_triplets_add(l, (size_t)at - last, pixel, 1, err) : BRAGG_OK;
}

static bragg_status share_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const making *m = payload;
    bragg_status st = BRAGG_OK;
    for (size_t i = first; i < last; i++)
        for (size_t j = 0; j < m->plan->columns && st == BRAGG_OK; j++)
            if (is_used(m, i, j))
                st = share_pixel(m, &m->list[first / ROWS_A_BLOCK], i, j, err);
    return st;
}

static bragg_status sort_shares(making *m, size_t blocks, bragg_error *err)
{
    bragg_plan *p = m->plan;
    size_t n = p->opt.n_bins;
    bragg_status st = bragg_sparse_new(m->list, blocks, n, p->rows * p->columns, &p->matrix, err);
    if (st < 0 || p->matrix.start[n])
        return st;
    double factor = bragg_axis_factor(p->opt.axis);
    return bragg_fail(err, BRAGG_EDATA, "integration: no pixel falls into the range %g to %g of %s", p->first / factor,
                      (p->first + p->step * (double)n) / factor, bragg_axis_name(p->opt.axis));
}

/* ----------------------------------------------------------------- plan */

static bragg_status check_options(const bragg_geometry *g, const bragg_plan_options *o, bragg_error *err)
{
    bool needs_wavelength = o->axis != BRAGG_AXIS_TTH && o->axis != BRAGG_AXIS_R;
    if (needs_wavelength && !(g->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "integration over %s: expected a wavelength in the PONI file or --wavelength, found none", bragg_axis_name(o->axis));
    if (o->n_bins < 1 || o->n_bins > 10000000)
        return bragg_fail(err, BRAGG_EINVAL, "bins: expected 1 to 10000000, got %zu", o->n_bins);
    if (!isnan(o->polarization) && !(fabs(o->polarization) <= 1))
        return bragg_fail(err, BRAGG_EINVAL, "polarization: expected -1 to 1, got %g", o->polarization);
    if (o->last <= o->first)
        return bragg_fail(err, BRAGG_EINVAL, "range: expected the first below the last, got %g and %g", o->first, o->last);
    return BRAGG_OK;
}

static bragg_status set_range(making *m, size_t blocks, bragg_error *err)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t b = 0; b < blocks; b++) {
        low = fmin(low, m->low[b]);
        high = fmax(high, m->high[b]);
    }
    double first = isnan(m->opt->first) ? fmax(low, 0) : m->opt->first, last = isnan(m->opt->last) ? high : m->opt->last;
    if (!(last > first))
        return bragg_fail(err, BRAGG_EDATA, "integration: every pixel is masked or out of range");
    m->plan->first = first;
    m->plan->step = (last - first) / (double)m->opt->n_bins;
    return BRAGG_OK;
}

static bragg_status make(making *m, bragg_error *err)
{
    bragg_plan *p = m->plan;
    size_t pixels = p->rows * p->columns, blocks = (p->rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK;
    bool corners = m->opt->split != BRAGG_SPLIT_NONE;
    m->centre = malloc(pixels * sizeof *m->centre);
    m->corner = malloc(corners ? (p->rows + 1) * (p->columns + 1) * sizeof *m->corner : 1);
    m->low = malloc(2 * blocks * sizeof *m->low);
    m->list = calloc(blocks, sizeof *m->list);
    p->correction = malloc(pixels * sizeof *p->correction);
    bragg_status st = m->centre && m->corner && m->low && m->list && p->correction ? BRAGG_OK
        : bragg_fail(err, BRAGG_ENOMEM, "no room for a plan of %zu x %zu pixels", p->rows, p->columns);
    m->high = m->low + blocks;
    if (st == BRAGG_OK && corners)
        st = bragg_parallel_for(p->rows + 1, ROWS_A_BLOCK, locate_corners, m, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(p->rows, ROWS_A_BLOCK, locate_centres, m, err);
    if (st == BRAGG_OK)
        st = set_range(m, blocks, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(p->rows, ROWS_A_BLOCK, share_rows, m, err);
    if (st == BRAGG_OK)
        st = sort_shares(m, blocks, err);
    for (size_t b = 0; m->list && b < blocks; b++)
        free(m->list[b].at);
    free(m->centre);
    free(m->corner);
    free(m->low);
    free(m->list);
    return st;
}

bragg_status bragg_plan_new(const bragg_geometry *geometry, size_t rows, size_t columns, const uint8_t *mask,
                            const bragg_plan_options *options, bragg_plan **out, bragg_error *err)
{
    bragg_geometry g = *geometry;
    *out = NULL;
    if (!g.rows)
        g.rows = rows;
    if (!g.columns)
        g.columns = columns;
    if (g.rows != rows || g.columns != columns)
        return bragg_fail(err, BRAGG_EDATA, "frame: expected %zu x %zu pixels (rows x columns) of detector %s, found %zu x %zu", g.rows, g.columns, g.detector, rows, columns);
    bragg_status st = check_options(&g, options, err);
    if (st < 0)
        return st;
    bragg_plan *p = calloc(1, sizeof *p);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a plan");
    p->opt = *options;
    p->rows = rows;
    p->columns = columns;
    p->wavelength_ang = g.wavelength_ang;
    making m = { .g = &g, .opt = &p->opt, .mask = mask, .plan = p };
    st = make(&m, err);
    if (st < 0) {
        bragg_plan_free(p);
        return st;
    }
    *out = p;
    return BRAGG_OK;
}

void bragg_plan_free(bragg_plan *p)
{
    if (!p)
        return;
    bragg_sparse_clear(&p->matrix);
    free(p->correction);
    free(p);
}

size_t bragg_plan_entries(const bragg_plan *p) { return p->matrix.start[p->opt.n_bins]; }

/* ------------------------------------------------------------ integration */

typedef struct pass {
    const bragg_plan *plan;
    const bragg_frame *frame, *dark, *variance;
    double *value, *noise;   /* a pixel; noise may be value */
    bragg_pattern *out;
} pass;

static bragg_status convert_pixels(void *payload, size_t first, size_t last, bragg_error *err)
{
    const pass *w = payload;
    size_t n = last - first;
    bragg_frame_doubles(w->frame, first, n, w->value + first);
    for (size_t i = first; i < last; i++) /* the detector's own marker */
        if (!(w->value[i] >= 0) && w->frame->type < BRAGG_F32)
            w->value[i] = NAN;
    if (w->noise != w->value) {
        if (w->variance)
            bragg_frame_doubles(w->variance, first, n, w->noise + first);
        else
            memcpy(w->noise + first, w->value + first, n * sizeof(double));
    }
    for (size_t i = first; w->dark && i < last; i++) {
        double dark;
        bragg_frame_doubles(w->dark, i, 1, &dark);
        w->value[i] -= dark;
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status sum_bins(void *payload, size_t first, size_t last, bragg_error *err)
{
    const pass *w = payload;
    const bragg_plan *p = w->plan;
    for (size_t b = first; b < last; b++) {
        double signal = 0, norm = 0, variance = 0, largest = 0;
        for (size_t k = p->matrix.start[b]; k < p->matrix.start[b + 1]; k++) {
            const bragg_sparse_entry *e = &p->matrix.entry[k];
            double y = w->value[e->column], weight = e->weight;
            if (!isfinite(y))
                continue;
            signal += weight * y;
            norm += weight * p->correction[e->column];
            variance += weight * weight * w->noise[e->column];
            largest = fmax(largest, weight * weight);
        }
        /* counts that happen to be none still leave a doubt of about one */
        if (!w->variance)
            variance = fmax(variance, largest);
        w->out->y[b] = norm > 0 ? signal / norm : NAN;
        w->out->sigma[b] = norm > 0 ? sqrt(variance) / norm : NAN;
        w->out->x[b] = p->first + ((double)b + 0.5) * p->step;
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status check_shape(const bragg_plan *p, const bragg_frame *f, const char *what, bragg_error *err)
{
    return !f || (f->height == p->rows && f->width == p->columns) ? BRAGG_OK
        : bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu pixels, found %zu x %zu", what, p->columns, p->rows, f->width, f->height);
}

bragg_status bragg_plan_integrate(const bragg_plan *p, const bragg_frame *frame, const bragg_frame *dark,
                                  const bragg_frame *variance, bragg_pattern **out, bragg_error *err)
{
    *out = NULL;
    bragg_status st = check_shape(p, frame, "frame", err);
    if (st == BRAGG_OK)
        st = check_shape(p, dark, "dark", err);
    if (st == BRAGG_OK)
        st = check_shape(p, variance, "variance", err);
    if (st < 0)
        return st;
    size_t pixels = p->rows * p->columns;
    bool separate = dark || variance;
    pass w = { p, frame, dark, variance, malloc(pixels * (separate ? 2 : 1) * sizeof(double)), NULL, bragg_pattern_new(p->opt.n_bins, p->opt.axis) };
    w.noise = separate && w.value ? w.value + pixels : w.value;
    if (!w.value || !w.out)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room to integrate %zu pixels", pixels);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(pixels, PIXELS_A_BLOCK, convert_pixels, &w, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(p->opt.n_bins, BINS_A_BLOCK, sum_bins, &w, err);
    free(w.value);
    if (st < 0) {
        bragg_pattern_free(w.out);
        return st;
    }
    w.out->wavelength_ang = p->wavelength_ang;
    *out = w.out;
    return BRAGG_OK;
}
