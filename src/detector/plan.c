/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The integration plan: geometry, mask and bins turned into a sparse matrix once. */
#include "config.h"
#include "tiles.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of each bragg_split the first name is ours. */
static const struct { const char *name; bragg_split split; } splits[] = {
    { "none", BRAGG_SPLIT_NONE }, { "no", BRAGG_SPLIT_NONE }, { "bbox", BRAGG_SPLIT_BBOX }, { "full", BRAGG_SPLIT_FULL },
};

bool bragg_split_parse(const char *name, bragg_split *split)
{
    for (size_t k = 0; k < sizeof splits / sizeof *splits; k++)
        if (!strcmp(name, splits[k].name)) {
            *split = splits[k].split;
            return true;
        }
    return false;
}

const char *bragg_split_name(bragg_split split)
{
    size_t k = 0;
    while (splits[k].split != split)
        k++;
    return splits[k].name;
}

/* ----------------------------------------------------------- coordinates */

/* A band of rows: the lists of its tiles and, for the norms, the sums of their
 * pieces. */
typedef struct band {
    share_list *list;
    norms **sum;
    double low, high;
} band;

typedef struct making {
    bragg_geometry g;
    const uint8_t *mask;
    bragg_plan *plan;
    band *band;
    size_t n_bands, tiles_a_band;
    bool needs_chi;
    double r[3][3], pixel1, pixel2;  /* the rotation; pixel along the native axes */
    double q_factor;                 /* 4 pi / lambda in the axis' unit */
} making;

/* A ray in the laboratory; squares of its distance from the beam and its length. */
typedef struct ray {
    double t[3], across2, length2;
} ray;

/* Along a row the rays step evenly: start + j * step. */
typedef struct line {
    double start[3], step[3];
} line;

static line line_of(const making *m, double slow, double fast)
{
    line l;
    double a[2], b[2];
    bragg_geometry_native(&m->g, slow, fast, &a[0], &a[1]);
    bragg_geometry_native(&m->g, slow, fast + 1, &b[0], &b[1]);
    const double p[3] = { a[0] * m->pixel1 - m->g.poni1_m, a[1] * m->pixel2 - m->g.poni2_m, m->g.distance_m };
    for (int i = 0; i < 3; i++) {
        l.start[i] = m->r[i][0] * p[0] + m->r[i][1] * p[1] + m->r[i][2] * p[2];
        l.step[i] = m->r[i][0] * (b[0] - a[0]) * m->pixel1 + m->r[i][1] * (b[1] - a[1]) * m->pixel2;
    }
    return l;
}

static inline ray ray_on(const line *l, size_t j)
{
    ray u;
    for (int i = 0; i < 3; i++)
        u.t[i] = l->start[i] + (double)j * l->step[i];
    u.across2 = u.t[0] * u.t[0] + u.t[1] * u.t[1];
    u.length2 = u.across2 + u.t[2] * u.t[2];
    return u;
}

/* sin(theta) = sqrt((1 - cos(2 theta)) / 2), without the difference where it would
 * cancel. */
static inline double axis_of(const making *m, const ray *u)
{
    switch (m->plan->opt.axis) {
    case BRAGG_AXIS_TTH: return atan2(sqrt(u->across2), u->t[2]);
    case BRAGG_AXIS_R: return u->t[2] > 0 ? m->g.distance_m * sqrt(u->across2) / u->t[2] : NAN;
    default: break;
    }
    double length = sqrt(u->length2);
    double sine2 = u->t[2] > 0 ? u->across2 / (2 * length * (length + u->t[2])) : (1 - u->t[2] / length) / 2;
    double q = m->q_factor * sqrt(sine2);
    return m->plan->opt.axis == BRAGG_AXIS_D ? 2 * BRAGG_PI / q : q;
}

/* What leaves a plate across the beam along a ray, over what leaves it straight ahead:
 * the mean of exp(-mu z - mu (t - z) s) over the depth z, with s = 1 / cos(2 theta)
 * (International Tables C, 6.3.3), over exp(-mu t). */
static double plate(double mu_t, const ray *u)
{
    if (!(u->t[2] > 0))
        return 0;
    double extra = mu_t * u->across2 / (u->t[2] * (sqrt(u->length2) + u->t[2])); /* mu t (s - 1) */
    return extra > 0 ? -expm1(-extra) / extra : 1;
}

/* Solid angle cos^3 of the incidence; polarization: bragg_polarization() with the
 * cosines read off the vector. */
static double correction_of(const making *m, const ray *u)
{
    const bragg_plan_options *o = &m->plan->opt;
    double c = 1;
    if (o->solid_angle)
        c = m->g.distance_m * m->g.distance_m * m->g.distance_m / (u->length2 * sqrt(u->length2));
    if (!isnan(o->polarization)) {
        double sine2 = u->across2 / u->length2;
        double twist = (u->t[1] * u->t[1] - u->t[0] * u->t[0]) / u->length2; /* cos(2 chi) sin^2 */
        c *= 0.5 * (2 - sine2 - o->polarization * twist);
    }
    if (o->sensor_mu_t > 0) /* J. Zaleski, G. Wu & P. Coppens, J. Appl. Cryst. 31 (1998) 302 */
        c *= expm1(-o->sensor_mu_t * sqrt(u->length2) / m->g.distance_m) / expm1(-o->sensor_mu_t);
    return o->sample_mu_t > 0 ? c * plate(o->sample_mu_t, u) : c;
}

static bool masked(const making *m, size_t pixel)
{
    return m->mask && m->mask[pixel];
}

/* ----------------------------------------------------------------- range */

/* Rows of corners, of which each step computes the lower, and a row of centres. */
typedef struct places {
    point *corner, *centre;
    double *y, *x, *angle;
    size_t n;
} places;

static bool make_places(places *r, size_t columns)
{
    r->n = columns + 1;
    r->corner = calloc(3 * r->n, sizeof *r->corner);
    r->y = malloc(3 * r->n * sizeof *r->y);
    r->centre = r->corner ? r->corner + 2 * r->n : NULL;
    r->x = r->y ? r->y + r->n : NULL;
    r->angle = r->y ? r->y + 2 * r->n : NULL;
    return r->corner && r->y;
}

static void free_places(places *r)
{
    free(r->corner);
    free(r->y);
}

static point *corner_row(const places *r, size_t i)
{
    return r->corner + i % 2 * r->n;
}

/* The first n points of a row from (slow, fast) on. */
static void locate(const making *m, double slow, double fast, size_t n, bool chi, places *r, point *at)
{
    line l = line_of(m, slow, fast);
    bool angles = m->plan->opt.axis == BRAGG_AXIS_TTH;
    for (size_t j = 0; j < n; j++) {
        ray u = ray_on(&l, j);
        at[j] = (point){ angles ? 0 : axis_of(m, &u), 0 };
        r->y[j] = sqrt(u.across2);
        r->x[j] = u.t[2];
    }
    if (angles) {
        bragg_plan_angles(r->y, r->x, n, r->angle);
        for (size_t j = 0; j < n; j++)
            at[j].x = r->angle[j];
    }
    for (size_t j = 0; m->plan->opt.logarithmic && j < n; j++)
        at[j].x = log(at[j].x);
    for (size_t j = 0; chi && j < n; j++) {
        ray u = ray_on(&l, j);
        r->y[j] = u.t[0];
        r->x[j] = u.t[1];
    }
    if (chi) {
        bragg_plan_angles(r->y, r->x, n, r->angle);
        for (size_t j = 0; j < n; j++)
            at[j].chi = r->angle[j];
    }
}

static void locate_corners(const making *m, size_t row, bool chi, places *r)
{
    locate(m, (double)row, 0, r->n, chi, r, corner_row(r, row));
}

/* What a pixel covers of the axis: its centre, its box or its corners. */
static void reach_of(const making *m, double x, const point *above, const point *below, double *low, double *high)
{
    *low = *high = x;
    if (m->plan->opt.split == BRAGG_SPLIT_NONE)
        return;
    double least = MIN(MIN(above[0].x, above[1].x), MIN(below[0].x, below[1].x));
    double most = MAX(MAX(above[0].x, above[1].x), MAX(below[0].x, below[1].x));
    bool box = m->plan->opt.split == BRAGG_SPLIT_BBOX;
    double half = MAX(most - x, x - least);
    *low = box ? x - half : least;
    *high = box ? x + half : most;
}

static void widen_range(const making *m, size_t i, const places *r, band *b)
{
    const point *above = corner_row(r, i), *below = corner_row(r, i + 1);
    for (size_t j = 0; j < m->plan->columns; j++) {
        double low, high;
        if (masked(m, i * m->plan->columns + j))
            continue;
        reach_of(m, r->centre[j].x, above + j, below + j, &low, &high);
        if (isfinite(low + high)) {
            b->low = MIN(b->low, low);
            b->high = MAX(b->high, high);
        }
    }
}

static bragg_status find_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    making *m = payload;
    band *b = &m->band[first / TILE_ROWS];
    bool corners = m->plan->opt.split != BRAGG_SPLIT_NONE, centre = m->plan->opt.split != BRAGG_SPLIT_FULL;
    places r;
    if (!make_places(&r, m->plan->columns)) {
        free_places(&r);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
    }
    b->low = INFINITY;
    b->high = -INFINITY;
    if (corners)
        locate_corners(m, first, false, &r);
    for (size_t i = first; i < last; i++) {
        if (corners)
            locate_corners(m, i + 1, false, &r);
        if (centre)
            locate(m, (double)i + 0.5, 0.5, m->plan->columns, false, &r, r.centre);
        widen_range(m, i, &r, b);
    }
    free_places(&r);
    return BRAGG_OK;
}

static bragg_status set_range(making *m, bragg_error *err)
{
    bragg_plan *p = m->plan;
    bool logarithmic = p->opt.logarithmic;
    double low = logarithmic ? log(p->opt.first) : p->opt.first, high = logarithmic ? log(p->opt.last) : p->opt.last;
    if (isnan(low) || isnan(high)) {
        double least = INFINITY, most = -INFINITY;
        bragg_status st = bragg_parallel_for(p->rows, TILE_ROWS, find_range, m, err);
        if (st < 0)
            return st;
        for (size_t b = 0; b < m->n_bands; b++) {
            least = fmin(least, m->band[b].low);
            most = fmax(most, m->band[b].high);
        }
        low = isnan(low) ? fmax(least, 0) : low;
        high = isnan(high) ? most : high;
    }
    if (!(high > low) || !isfinite(low) || !isfinite(high))
        return bragg_fail(err, BRAGG_EDATA, "integration: every pixel is masked or out of range");
    p->first = low;
    p->step = (high - low) / (double)p->n_rings;
    return BRAGG_OK;
}

/* -------------------------------------------------------------- sharing */

static bragg_status share_row(const making *m, share_list *lists, size_t i, places *r, bragg_error *err)
{
    bragg_plan *p = m->plan;
    bragg_status st = BRAGG_OK;
    line rays = line_of(m, (double)i + 0.5, 0.5);
    bool split = p->opt.split != BRAGG_SPLIT_NONE;
    const point *above = corner_row(r, i), *below = corner_row(r, i + 1);
    locate(m, (double)i + 0.5, 0.5, p->columns, m->needs_chi, r, r->centre);
    for (size_t j = 0; j < p->columns && st == BRAGG_OK; j++) {
        size_t pixel = i * p->columns + j;
        ray u = ray_on(&rays, j);
        double c = correction_of(m, &u) * (p->opt.flat ? bragg_plan_value(p->opt.flat, pixel) : 1);
        p->correction[pixel] = (float)c;
        if (masked(m, pixel) || !(c > 0))
            continue;
        point centre = r->centre[j];
        point corner[4] = { centre, centre, centre, centre };
        if (split)
            corner[0] = above[j], corner[1] = below[j], corner[2] = below[j + 1], corner[3] = above[j + 1];
        if (isfinite(centre.x + corner[0].x + corner[1].x + corner[2].x + corner[3].x))
            st = bragg_plan_share(p, &lists[j / TILE_COLUMNS], i % TILE_ROWS * TILE_COLUMNS + j % TILE_COLUMNS, centre, corner, err);
    }
    return st;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Which bins a tile meets, in order; next[bin] counts its entries. */
static size_t bins_of(const share_list *l, uint32_t *next, uint32_t *met)
{
    size_t n = 0;
    for (size_t k = 0; k < l->n; k++)
        if (next[l->at[k].bin]++ == 0)
            met[n++] = l->at[k].bin;
    qsort(met, n, sizeof *met, by_number);
    return n;
}

/* From shares by pixel to entries by bin, a counting sort.  next, of a bin, is zero
 * before and after. */
static bragg_status sort_tile(tile *t, share_list *l, uint32_t *next, uint32_t *met, bragg_error *err)
{
    t->n_pieces = bins_of(l, next, met);
    t->piece = malloc((t->n_pieces + 1) * sizeof *t->piece);
    t->entry = malloc((l->n + (UNROLL - 1) * t->n_pieces + 1) * sizeof *t->entry);
    if (!t->piece || !t->entry)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
    uint32_t from = 0;
    for (size_t k = 0; k < t->n_pieces; k++) {
        uint32_t n = next[met[k]];
        t->piece[k] = (piece){ met[k], (n + UNROLL - 1) / UNROLL * UNROLL };
        next[met[k]] = from;
        from += t->piece[k].n;
    }
    t->n_entries = from;
    for (size_t k = 0; k < l->n; k++)
        t->entry[next[l->at[k].bin]++] = l->at[k].e;
    from = 0;
    for (size_t k = 0; k < t->n_pieces; k++) {
        from += t->piece[k].n;
        for (uint32_t at = next[met[k]]; at < from; at++) /* a pixel of the piece, without weight */
            t->entry[at] = entry_offset(t->entry[at - 1]);
        next[met[k]] = 0;
    }
    free(l->at);
    *l = (share_list){ NULL, 0, 0 };
    return BRAGG_OK;
}

static norms *sum_norms(const bragg_plan *p, const tile *t)
{
    norms *sum = calloc(t->n_pieces + 1, sizeof *sum);
    const entry *e = t->entry;
    for (size_t k = 0; sum && k < t->n_pieces; k++)
        for (uint32_t i = 0; i < t->piece[k].n; i++, e++) {
            double w = entry_weight(*e), c = w * (double)p->correction[plan_pixel(p, t, entry_offset(*e))];
            sum[k].one += c;
            sum[k].two += c * c;
            sum[k].three += c * c * c;
            sum[k].largest = MAX(sum[k].largest, w);
        }
    return sum;
}

static bragg_status sort_band(const making *m, size_t b, bragg_error *err)
{
    size_t bins = plan_bins(m->plan);
    uint32_t *next = calloc(2 * bins, sizeof *next);
    bragg_status st = next ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
    for (size_t k = 0; k < m->tiles_a_band && st == BRAGG_OK; k++) {
        tile *t = &m->plan->tile[b * m->tiles_a_band + k];
        st = sort_tile(t, &m->band[b].list[k], next, next + bins, err);
        if (st == BRAGG_OK && !(m->band[b].sum[k] = sum_norms(m->plan, t)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
    }
    free(next);
    return st;
}

static bragg_status share_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const making *m = payload;
    band *b = &m->band[first / TILE_ROWS];
    bool split = m->plan->opt.split != BRAGG_SPLIT_NONE;
    places r;
    b->list = calloc(m->tiles_a_band, sizeof *b->list);
    b->sum = calloc(m->tiles_a_band, sizeof *b->sum);
    bragg_status st = make_places(&r, m->plan->columns) && b->list && b->sum ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
    if (st == BRAGG_OK && split)
        locate_corners(m, first, m->needs_chi, &r);
    for (size_t i = first; i < last && st == BRAGG_OK; i++) {
        if (split)
            locate_corners(m, i + 1, m->needs_chi, &r);
        st = share_row(m, b->list, i, &r, err);
    }
    free_places(&r);
    return st == BRAGG_OK ? sort_band(m, first / TILE_ROWS, err) : st;
}

/* Tile after tile, whoever made them. */
static bragg_status join_bands(making *m, bragg_error *err)
{
    bragg_plan *p = m->plan;
    for (size_t i = 0; i < p->n_tiles; i++) {
        const tile *t = &p->tile[i];
        const norms *sum = m->band[i / m->tiles_a_band].sum[i % m->tiles_a_band];
        p->n_entries += t->n_entries;
        for (size_t k = 0; k < t->n_pieces; k++) {
            norms *n = &p->norm[t->piece[k].bin];
            n->one += sum[k].one;
            n->two += sum[k].two;
            n->three += sum[k].three;
            n->largest = MAX(n->largest, sum[k].largest);
        }
    }
    double factor = bragg_axis_factor(p->opt.axis);
    return p->n_entries ? BRAGG_OK
        : bragg_fail(err, BRAGG_EDATA, "integration: no pixel falls into the range %g to %g of %s", plan_edge(p, 0) / factor,
                     plan_edge(p, (double)p->n_rings) / factor, bragg_axis_name(p->opt.axis));
}

/* ----------------------------------------------------------------- plan */

static bragg_status check_options(const bragg_geometry *g, const bragg_plan_options *o, bragg_error *err)
{
    bool needs_wavelength = o->axis != BRAGG_AXIS_TTH && o->axis != BRAGG_AXIS_R;
    if (needs_wavelength && !(g->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "integration over %s: expected a wavelength in the PONI file or --wavelength, found none", bragg_axis_name(o->axis));
    if (o->n_bins < 1 || o->n_bins > 10000000)
        return bragg_fail(err, BRAGG_EINVAL, "bins: expected 1 to 10000000, got %zu", o->n_bins);
    if (o->n_azimuth > 100000 || o->n_bins * (o->n_azimuth ? o->n_azimuth : 1) > 100000000)
        return bragg_fail(err, BRAGG_EINVAL, "bins: expected at most 1e8 in all, got %zu x %zu", o->n_bins, o->n_azimuth);
    if (!isnan(o->polarization) && !(fabs(o->polarization) <= 1))
        return bragg_fail(err, BRAGG_EINVAL, "polarization: expected -1 to 1, got %g", o->polarization);
    if (o->logarithmic && !(o->first > 0 && o->last > 0))
        return bragg_fail(err, BRAGG_EINVAL, "logarithmic bins: expected a range above zero, found %g to %g", o->first, o->last);
    if (o->sample_mu_t <= 0)
        return bragg_fail(err, BRAGG_EINVAL, "sample: expected a positive absorption times thickness, got %g", o->sample_mu_t);
    if (o->sensor_mu_t <= 0)
        return bragg_fail(err, BRAGG_EINVAL, "sensor: expected a positive absorption times thickness, got %g", o->sensor_mu_t);
    if (o->flat && (o->flat->height != g->rows || o->flat->width != g->columns))
        return bragg_fail(err, BRAGG_EDATA, "flat: expected %zu x %zu pixels, found %zu x %zu", g->columns, g->rows, o->flat->width, o->flat->height);
    if (o->last <= o->first)
        return bragg_fail(err, BRAGG_EINVAL, "range: expected the first below the last, got %g and %g", o->first, o->last);
    if (o->chi_last_rad <= o->chi_first_rad || o->chi_last_rad - o->chi_first_rad > 2 * BRAGG_PI * (1 + 1e-12))
        return bragg_fail(err, BRAGG_EINVAL, "azimuth: expected a range of up to 360 deg, got %g to %g deg", o->chi_first_rad / BRAGG_DEG, o->chi_last_rad / BRAGG_DEG);
    return BRAGG_OK;
}

static void set_azimuth(bragg_plan *p)
{
    const bragg_plan_options *o = &p->opt;
    bool all = isnan(o->chi_first_rad) || isnan(o->chi_last_rad);
    double width = all ? 2 * BRAGG_PI : o->chi_last_rad - o->chi_first_rad;
    p->n_azimuth = o->n_azimuth ? o->n_azimuth : 1;
    p->round = width > 2 * BRAGG_PI * (1 - 1e-12);
    p->chi_first = all ? -BRAGG_PI : o->chi_first_rad;
    p->chi_step = width / (double)p->n_azimuth;
}

static bragg_status lay_tiles(making *m, bragg_error *err)
{
    bragg_plan *p = m->plan;
    m->n_bands = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
    m->tiles_a_band = (p->columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    m->band = calloc(m->n_bands, sizeof *m->band);
    p->tile = calloc(m->n_bands * m->tiles_a_band, sizeof *p->tile);
    if (!m->band || !p->tile)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an integration plan");
    p->n_tiles = m->n_bands * m->tiles_a_band;
    for (size_t i = 0; i < p->n_tiles; i++) {
        tile *t = &p->tile[i];
        t->row = i / m->tiles_a_band * TILE_ROWS;
        t->column = i % m->tiles_a_band * TILE_COLUMNS;
        t->rows = MIN(TILE_ROWS, p->rows - t->row);
        t->columns = MIN(TILE_COLUMNS, p->columns - t->column);
    }
    /* As many groups as leave adding them up cheap beside summing their pixels. */
    size_t groups = p->rows * p->columns / (16 * plan_bins(p)) + 1;
    groups = MIN(MIN(groups, MOST_GROUPS), p->n_tiles);
    p->tiles_a_group = (p->n_tiles + groups - 1) / groups;
    p->n_groups = (p->n_tiles + p->tiles_a_group - 1) / p->tiles_a_group;
    return BRAGG_OK;
}

static void free_band(const making *m, band *b)
{
    for (size_t k = 0; k < m->tiles_a_band; k++) {
        if (b->list)
            free(b->list[k].at);
        if (b->sum)
            free(b->sum[k]);
    }
    free(b->list);
    free(b->sum);
}

static bragg_status make(making *m, bragg_error *err)
{
    bragg_plan *p = m->plan;
    bragg_status st = lay_tiles(m, err);
    p->norm = calloc(plan_bins(p), sizeof *p->norm);
    p->correction = malloc(p->rows * p->columns * sizeof *p->correction);
    if (st == BRAGG_OK && (!p->norm || !p->correction))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a plan of %zu x %zu pixels", p->rows, p->columns);
    if (st == BRAGG_OK)
        st = set_range(m, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(p->rows, TILE_ROWS, share_rows, m, err);
    if (st == BRAGG_OK)
        st = join_bands(m, err);
    for (size_t b = 0; m->band && b < m->n_bands; b++)
        free_band(m, &m->band[b]);
    free(m->band);
    return st;
}

static bragg_status check_shape(bragg_geometry *g, size_t rows, size_t columns, bragg_error *err)
{
    if (!g->rows)
        g->rows = rows;
    if (!g->columns)
        g->columns = columns;
    if (!rows || !columns || rows > UINT32_MAX / columns)
        return bragg_fail(err, BRAGG_EINVAL, "frame: expected 1 to 2^32 - 1 pixels, found %zu x %zu", rows, columns);
    if (g->rows != rows || g->columns != columns)
        return bragg_fail(err, BRAGG_EDATA, "frame: expected %zu x %zu pixels (rows x columns) of detector %s, found %zu x %zu", g->rows, g->columns, g->detector, rows, columns);
    if (!(g->distance_m > 0) || !(g->pixel_slow_m > 0) || !(g->pixel_fast_m > 0))
        return bragg_fail(err, BRAGG_EINVAL, "geometry: expected a positive distance and pixel size, found %g m and %g x %g m", g->distance_m, g->pixel_slow_m, g->pixel_fast_m);
    return BRAGG_OK;
}

/* Along the radius a square pixel's variance is w^2/12 at any azimuth; its bounding box
 * there is w (|cos| + |sin|) wide, squared on average 1 + 2/pi. */
static double pixel_width(const bragg_geometry *g, bragg_split split)
{
    double shared = split == BRAGG_SPLIT_NONE ? 0 : split == BRAGG_SPLIT_FULL ? 1 : 1 + 2 / BRAGG_PI;
    double one = sqrt((g->pixel_slow_m * g->pixel_slow_m + g->pixel_fast_m * g->pixel_fast_m) / 2) / g->distance_m;
    return one * sqrt(1 + shared);
}

bragg_status bragg_plan_new(const bragg_geometry *geometry, size_t rows, size_t columns, const uint8_t *mask,
                            const bragg_plan_options *options, bragg_plan **out, bragg_error *err)
{
    making m = { .g = *geometry, .mask = mask };
    *out = NULL;
    bragg_status st = check_shape(&m.g, rows, columns, err);
    if (st == BRAGG_OK)
        st = check_options(&m.g, options, err);
    if (st < 0)
        return st;
    bragg_plan *p = m.plan = calloc(1, sizeof *p);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a plan");
    p->opt = *options;
    p->rows = rows;
    p->columns = columns;
    p->n_rings = options->n_bins;
    p->wavelength_ang = m.g.wavelength_ang;
    p->pixel_rad = pixel_width(&m.g, options->split);
    set_azimuth(p);
    bragg_geometry_rotation(&m.g, m.r);
    bool upright = m.g.orientation > 4;
    m.pixel1 = upright ? m.g.pixel_fast_m : m.g.pixel_slow_m;
    m.needs_chi = options->split == BRAGG_SPLIT_FULL || p->n_azimuth > 1 || !p->round;
    m.q_factor = (options->axis == BRAGG_AXIS_QNM ? 40 : 4) * BRAGG_PI / m.g.wavelength_ang;
    m.pixel2 = upright ? m.g.pixel_slow_m : m.g.pixel_fast_m;
    st = make(&m, err);
    p->opt.flat = NULL; /* not ours */
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
    for (size_t i = 0; i < p->n_tiles && !p->store; i++) {
        free(p->tile[i].piece);
        free(p->tile[i].entry);
    }
    free(p->store);
    free(p->tile);
    free(p->norm);
    free(p->correction);
    free(p);
}

size_t bragg_plan_rings(const bragg_plan *p) { return p->n_rings; }
size_t bragg_plan_azimuths(const bragg_plan *p) { return p->n_azimuth; }
double bragg_plan_ring_centre(const bragg_plan *p, size_t k) { return plan_edge(p, (double)k + 0.5); }
double bragg_plan_azimuth_centre_rad(const bragg_plan *p, size_t k) { return p->chi_first + ((double)k + 0.5) * p->chi_step; }
double bragg_plan_pixel_rad(const bragg_plan *p) { return p->pixel_rad; }

double bragg_plan_bin_rad(const bragg_plan *p)
{
    double middle = bragg_plan_ring_centre(p, p->n_rings / 2), ends[2];
    if (p->opt.axis == BRAGG_AXIS_D || p->opt.axis == BRAGG_AXIS_R || p->opt.logarithmic)
        return NAN;
    for (int k = 0; k < 2; k++)
        ends[k] = p->opt.axis == BRAGG_AXIS_TTH ? (k - 0.5) * p->step
                : bragg_axis_convert(middle + (k - 0.5) * p->step, p->opt.axis, BRAGG_AXIS_TTH, p->wavelength_ang);
    return ends[1] - ends[0];
}

double bragg_plan_norm(const bragg_plan *p, size_t bin)
{
    return bin < plan_bins(p) ? p->norm[bin].one / FULL : NAN;
}
