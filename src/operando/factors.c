/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run as few spectra, mixed: no model, nothing negative.
 *
 *      rows │ observed / sigma │  ~  rows │ amounts │ x │ spectra │ points
 *
 *  The singular values say how many there can be, the criterion of Schwarz how many the
 *  noise allows.  Sigma^2 is taken for a row's times a point's, which keeps what is not
 *  negative so; the last turns and all that is told use the sigmas as they are. */
#include "config.h"
#include "analyse.h"

#include <bragg/numeric.h>
#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 200, MOST_POINTS = 1000, MOST = 8, KEPT = 16 };

typedef struct matrix {
    size_t rows, points;
    size_t *row;              /* of the curves, first of its group */
    double *x_rad;
    float *y, *root_weight;   /* [row][point], as exact as the store's; 1 / sigma */
    double *row_scale, *point_scale; /* roots of what sigma^2 is the product of */
    /* y / scales ~ left x right of rank kept */
    size_t kept;
    double *left, *right, *singular;
    size_t n_singular;
} matrix;

/* -------------------------------------------------------------- matrix */

static bool usable(const double *observed, const double *sigma, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(observed[i]) || !(sigma[i] > 0))
            return false;
    return true;
}

/* Means of neighbouring rows and points; room for four rows. */
static void fill(const bragg_store_curves *c, size_t each_row, size_t each_point, double *room, matrix *m)
{
    double *y = room + 2 * c->n, *w = y + c->n;
    m->rows = 0;
    for (size_t first = 0; first < c->rows; first += each_row) {
        double n = 0;
        memset(y, 0, 2 * c->n * sizeof *y);
        for (size_t r = first; r < c->rows && r < first + each_row; r++) {
            const double *observed = bragg_store_curves_row(c, BRAGG_CURVE_OBSERVED, r, room), *sigma = bragg_store_curves_row(c, BRAGG_CURVE_SIGMA, r, room + c->n);
            if (!usable(observed, sigma, c->n))
                continue;
            n++;
            for (size_t j = 0; j < m->points * each_point; j++) {
                y[j / each_point] += observed[j];
                w[j / each_point] += pow(sigma[j], 2);
            }
        }
        if (!(n > 0))
            continue;
        for (size_t j = 0; j < m->points; j++) {
            m->y[m->rows * m->points + j] = (float)(y[j] / (n * (double)each_point));
            m->root_weight[m->rows * m->points + j] = (float)(n * (double)each_point / sqrt(w[j]));
        }
        m->row[m->rows++] = first;
    }
    for (size_t j = 0; j < m->points; j++)
        m->x_rad[j] = (c->x_rad[j * each_point] + c->x_rad[(j + 1) * each_point - 1]) / 2;
}

static double weight(const matrix *m, size_t i, size_t j) { return pow(m->root_weight[i * m->points + j], 2); }

static void find_scales(matrix *m)
{
    for (size_t j = 0; j < m->points; j++) {
        double sum = 0;
        for (size_t i = 0; i < m->rows; i++)
            sum += 1 / weight(m, i, j);
        m->point_scale[j] = sqrt(sum / (double)m->rows);
    }
    for (size_t i = 0; i < m->rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < m->points; j++)
            sum += 1 / (weight(m, i, j) * m->point_scale[j] * m->point_scale[j]);
        m->row_scale[i] = sqrt(sum / (double)m->points);
    }
}

static double scaled(const matrix *m, size_t i, size_t j) { return m->y[i * m->points + j] / (m->row_scale[i] * m->point_scale[j]); }

/* Singular vectors of the side that has fewer members, `wide` of them, from its products; of the
 * other side's what the matrix makes of them, so that their product is right even where
 * the singular value is lost in rounding. */
static void keep(matrix *m, const double *vector, size_t wide)
{
    bool by_row = m->points >= m->rows;
    double *near = by_row ? m->left : m->right, *far = by_row ? m->right : m->left;
    size_t n_far = by_row ? m->points : m->rows;
    for (size_t k = 0; k < m->kept; k++) {
        double s = m->singular[k];
        for (size_t i = 0; i < wide; i++)
            near[i * KEPT + k] = vector[i * wide + k] * (by_row ? s : 1);
        for (size_t j = 0; j < n_far; j++) {
            double sum = 0;
            for (size_t i = 0; i < wide; i++)
                sum += vector[i * wide + k] * (by_row ? scaled(m, i, j) : scaled(m, j, i));
            far[j * KEPT + k] = !by_row ? sum : s > 0 ? sum / s : 0;
        }
    }
}

static bragg_status decompose(matrix *m, bragg_error *err)
{
    bool by_row = m->points >= m->rows;
    size_t wide = by_row ? m->rows : m->points, n_far = by_row ? m->points : m->rows;
    double *product = calloc(2 * wide * wide + wide, sizeof *product);
    if (!product)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to decompose %zu x %zu", m->rows, m->points);
    double *vector = product + wide * wide, *member = vector + wide * wide;
    for (size_t j = 0; j < n_far; j++) {
        for (size_t i = 0; i < wide; i++)
            member[i] = by_row ? scaled(m, i, j) : scaled(m, j, i);
        for (size_t i = 0; i < wide; i++)
            for (size_t k = 0; k < wide; k++)
                product[i * wide + k] += member[i] * member[k];
    }
    m->kept = wide < KEPT ? wide : KEPT;
    m->n_singular = wide;
    bragg_status st = bragg_symmetric_eigen(product, wide, m->singular, vector, err);
    for (size_t k = 0; st == BRAGG_OK && k < wide; k++)
        m->singular[k] = sqrt(fmax(m->singular[k], 0));
    if (st == BRAGG_OK)
        keep(m, vector, wide);
    free(product);
    return st < 0 ? bragg_context(err, st, "components") : st;
}

/* The numbers themselves are in `scratch`: nobody wants them once the components are told. */
static bragg_status make_matrix(const bragg_store_curves *c, bragg_arena *arena, bragg_arena *scratch, matrix *m, bragg_error *err)
{
    size_t each_row = (c->rows + MOST_ROWS - 1) / MOST_ROWS, each_point = (c->n + MOST_POINTS - 1) / MOST_POINTS;
    *m = (matrix){ .rows = (c->rows + each_row - 1) / each_row, .points = c->n / each_point };
    size_t all = m->rows * m->points, wide = m->rows < m->points ? m->rows : m->points;
    m->row = bragg_arena_alloc(arena, m->rows + 1, sizeof *m->row);
    m->y = bragg_arena_alloc(scratch, 2 * all + 1, sizeof *m->y);
    m->x_rad = bragg_arena_alloc(arena, (KEPT + 2) * (m->points + m->rows) + wide + 1, sizeof(double));
    double *room = m->row && m->y && m->x_rad ? malloc((4 * c->n + 1) * sizeof *room) : NULL;
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu x %zu", m->rows, m->points);
    m->root_weight = m->y + all;
    m->point_scale = m->x_rad + m->points;
    m->right = m->point_scale + m->points;
    m->row_scale = m->right + KEPT * m->points;
    m->left = m->row_scale + m->rows;
    m->singular = m->left + (KEPT + 1) * m->rows;
    fill(c, each_row, each_point, room, m);
    free(room);
    if (m->rows < 3 || m->points < 10)
        return BRAGG_OK;
    find_scales(m);
    return decompose(m, err);
}

/* -------------------------------------------------------------- factors */

typedef struct factors {
    size_t n;
    double *amount, *spectrum; /* [row][MOST], [point][MOST], of the scaled matrix */
    double chi2;
} factors;

/* Start of C. Boutsidis & E. Gallopoulos, Pattern Recognit. 41 (2008) 1350: of each pair
 * of singular vectors the heavier of both signs' parts. */
static void start(const matrix *m, factors *f)
{
    for (size_t k = 0; k < f->n; k++) {
        double l[2] = { 0, 0 }, r[2] = { 0, 0 };
        for (size_t i = 0; i < m->rows; i++)
            l[m->left[i * KEPT + k] < 0] += pow(m->left[i * KEPT + k], 2);
        for (size_t j = 0; j < m->points; j++)
            r[m->right[j * KEPT + k] < 0] += pow(m->right[j * KEPT + k], 2);
        int side = l[1] * r[1] > l[0] * r[0];
        double sign = side ? -1 : 1, share = sqrt(sqrt(l[side] * r[side]));
        for (size_t i = 0; i < m->rows; i++)
            f->amount[i * MOST + k] = l[side] > 0 ? share * fmax(sign * m->left[i * KEPT + k], 0) / sqrt(l[side]) : 0;
        for (size_t j = 0; j < m->points; j++)
            f->spectrum[j * MOST + k] = r[side] > 0 ? share * fmax(sign * m->right[j * KEPT + k], 0) / sqrt(r[side]) : 0;
    }
}

/* One side given the other, column by column: (target - to G) / G_kk, never below zero.
 * target = near (far' other), for the matrix is near far' of rank kept. */
static void improve(double *to, size_t n, const double *near, const double *other, const double *far, size_t n_other, size_t components, size_t kept)
{
    double gram[MOST][MOST] = { { 0 } }, cross[KEPT][MOST] = { { 0 } };
    for (size_t j = 0; j < n_other; j++)
        for (size_t k = 0; k < components; k++) {
            double v = other[j * MOST + k];
            for (size_t l = 0; l <= k; l++)
                gram[k][l] += v * other[j * MOST + l];
            for (size_t r = 0; r < kept; r++)
                cross[r][k] += far[j * KEPT + r] * v;
        }
    for (size_t k = 0; k < components; k++)
        for (size_t l = k + 1; l < components; l++)
            gram[k][l] = gram[l][k];
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < components; k++) {
            double target = 0, now = 0;
            for (size_t r = 0; r < kept; r++)
                target += near[i * KEPT + r] * cross[r][k];
            for (size_t l = 0; l < components; l++)
                now += to[i * MOST + l] * gram[l][k];
            if (gram[k][k] > 0)
                to[i * MOST + k] = fmax(to[i * MOST + k] + (target - now) / gram[k][k], 0);
        }
}

/* Non-negative factors (D. D. Lee & H. S. Seung, Nature 401 (1999) 788), in alternating
 * least squares by columns. */
static void alternate(const matrix *m, factors *f)
{
    enum { TURNS = 1500 };
    double before = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        improve(f->amount, m->rows, m->left, f->spectrum, m->right, m->points, f->n, m->kept);
        improve(f->spectrum, m->points, m->right, f->amount, m->left, m->rows, f->n, m->kept);
        if (turn % 50)
            continue;
        double size = 0;
        for (size_t i = 0; i < m->rows; i++)
            for (size_t k = 0; k < f->n; k++)
                size += f->amount[i * MOST + k] * (double)(k + 1);
        if (fabs(size - before) < 1e-9 * size)
            break;
        before = size;
    }
}

/* Least squares with the sigmas as they are: a row's amounts given the spectra, or a
 * point's spectra given the amounts; by coordinates, never below zero. */
static void weigh(double *x, const double *other, size_t n_other, const double *scale, double own_scale, const float *y, const float *root_weight,
                  size_t stride, size_t components, double gram[MOST][MOST])
{
    double target[MOST] = { 0 };
    memset(gram, 0, MOST * sizeof *gram);
    for (size_t j = 0; j < n_other; j++) {
        double s = scale[j] * own_scale, w = pow(root_weight[j * stride] * s, 2);
        for (size_t k = 0; k < components; k++) {
            target[k] += w * other[j * MOST + k] * y[j * stride] / s;
            for (size_t l = 0; l <= k; l++)
                gram[k][l] += w * other[j * MOST + k] * other[j * MOST + l];
        }
    }
    for (size_t k = 0; k < components; k++)
        for (size_t l = k + 1; l < components; l++)
            gram[k][l] = gram[l][k];
    for (int sweep = 0; sweep < 30; sweep++)
        for (size_t k = 0; k < components; k++) {
            double now = 0;
            for (size_t l = 0; l < components; l++)
                now += gram[k][l] * x[l];
            if (gram[k][k] > 0)
                x[k] = fmax(x[k] + (target[k] - now) / gram[k][k], 0);
        }
}

static void finish(const matrix *m, factors *f)
{
    double gram[MOST][MOST];
    for (int turn = 0; turn < 6; turn++) {
        for (size_t i = 0; i < m->rows; i++)
            weigh(f->amount + i * MOST, f->spectrum, m->points, m->point_scale, m->row_scale[i], m->y + i * m->points, m->root_weight + i * m->points, 1, f->n, gram);
        for (size_t j = 0; turn < 5 && j < m->points; j++)
            weigh(f->spectrum + j * MOST, f->amount, m->rows, m->row_scale, m->point_scale[j], m->y + j, m->root_weight + j, m->points, f->n, gram);
    }
    f->chi2 = 0;
    for (size_t i = 0; i < m->rows; i++)
        for (size_t j = 0; j < m->points; j++) {
            double sum = 0;
            for (size_t k = 0; k < f->n; k++)
                sum += f->amount[i * MOST + k] * f->spectrum[j * MOST + k];
            f->chi2 += weight(m, i, j) * pow(m->y[i * m->points + j] - sum * m->row_scale[i] * m->point_scale[j], 2);
        }
}

typedef struct trials {
    const matrix *m;
    factors *at;
} trials;

static bragg_status try_numbers(void *payload, size_t first, size_t last, bragg_error *err)
{
    const trials *t = payload;
    for (size_t k = first; k < last; k++) {
        t->at[k].n = k + 1;
        start(t->m, &t->at[k]);
        alternate(t->m, &t->at[k]);
        finish(t->m, &t->at[k]);
    }
    return BRAGG_OK;
    (void)err;
}

/* --------------------------------------------------------------- results */

static double freedoms(const matrix *m, size_t n) { return (double)(n * (m->rows + m->points) - n * n); }

/* The number by BIC (G. Schwarz, Ann. Stat. 6 (1978) 461); what even the most components
 * leave beyond noise, as peaks that move do, is the scale of the rest. */
static size_t choose(const matrix *m, const factors *f, size_t tried, bragg_components *out)
{
    double points = (double)(m->rows * m->points), scale = fmax(1, f[tried - 1].chi2 / (points - freedoms(m, tried)));
    size_t best = 0;
    for (size_t k = 0; k < tried; k++) {
        out->chi2_reduced[k] = f[k].chi2 / (points - freedoms(m, k + 1));
        out->bic[k] = f[k].chi2 / scale + freedoms(m, k + 1) * log(points);
        best = out->bic[k] < out->bic[best] ? k : best;
    }
    return best + 1;
}

/* Shares of a row's intensity and their esds from the spread of its amounts. */
static void share(const matrix *m, const factors *f, size_t row, const double *area, double *share, double *esd)
{
    double gram[MOST][MOST], sum = 0, x[MOST], covariance[MOST * MOST];
    memcpy(x, f->amount + row * MOST, sizeof x);
    weigh(x, f->spectrum, m->points, m->point_scale, m->row_scale[row], m->y + row * m->points, m->root_weight + row * m->points, 1, f->n, gram);
    for (size_t k = 0; k < f->n; k++)
        sum += x[k] * area[k];
    for (size_t k = 0; k < f->n; k++)
        for (size_t l = 0; l < f->n; l++)
            covariance[k * f->n + l] = gram[k][l] + (k == l ? 1e-12 * gram[k][k] + 1e-300 : 0);
    bool known = bragg_symmetric_invert(covariance, f->n);
    for (size_t k = 0; k < f->n; k++) {
        double variance = 0;
        share[k] = sum > 0 ? x[k] * area[k] / sum : NAN;
        for (size_t i = 0; known && i < f->n; i++)
            for (size_t j = 0; j < f->n; j++) {
                double di = area[i] * ((i == k) - share[k]) / sum, dj = area[j] * ((j == k) - share[k]) / sum;
                variance += di * dj * covariance[i * f->n + j];
            }
        esd[k] = known ? sqrt(fmax(variance, 0)) : NAN;
    }
}

/* Components in the order of their times. */
static void order_of(const matrix *m, const factors *f, const double *area, size_t *order)
{
    double when[MOST];
    for (size_t k = 0; k < f->n; k++) {
        double sum = 0, moment = 0;
        for (size_t i = 0; i < m->rows; i++) {
            double v = f->amount[i * MOST + k] * m->row_scale[i] * area[k];
            sum += v, moment += v * (double)i;
        }
        when[k] = sum > 0 ? moment / sum : 0;
        size_t j = k;
        for (; j > 0 && when[order[j - 1]] > when[k]; j--)
            order[j] = order[j - 1];
        order[j] = k;
    }
}

static bragg_status report(const matrix *m, const factors *f, bragg_arena *arena, bragg_components *out, bragg_error *err)
{
    size_t n = f->n, order[MOST];
    double area[MOST] = { 0 }, s[MOST], e[MOST], step = (m->x_rad[m->points - 1] - m->x_rad[0]) / (double)(m->points - 1);
    out->n = n;
    out->x_rad = m->x_rad;
    out->spectrum = bragg_arena_alloc(arena, n * m->points + 1, sizeof(double));
    out->concentration = bragg_arena_alloc(arena, 2 * n * out->rows + 1, sizeof(double));
    if (!out->spectrum || !out->concentration)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu components", n);
    out->esd = out->concentration + n * out->rows;
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < m->points; j++)
            area[k] += f->spectrum[j * MOST + k] * m->point_scale[j];
    order_of(m, f, area, order);
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < m->points; j++)
            out->spectrum[k * m->points + j] = area[order[k]] > 0 ? f->spectrum[j * MOST + order[k]] * m->point_scale[j] / (area[order[k]] * step) : 0;
    for (size_t i = 0; i < m->rows; i++) {
        share(m, f, i, area, s, e);
        for (size_t k = 0; k < n; k++) {
            out->concentration[i * n + k] = s[order[k]], out->esd[i * n + k] = e[order[k]];
        }
    }
    return BRAGG_OK;
}

static bragg_status factor(const bragg_store_curves *c, const bragg_analysis_options *o, bragg_arena *arena, bragg_arena *scratch, bragg_components **out, bragg_error *err)
{
    matrix m;
    factors f[MOST];
    bragg_status st = make_matrix(c, arena, scratch, &m, err);
    *out = st == BRAGG_OK ? bragg_arena_alloc(arena, 1, sizeof **out) : NULL;
    if (st == BRAGG_OK && !*out)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for components");
    if (st < 0 || m.rows < 3 || m.points < 10) {
        *out = NULL;
        return st;
    }
    size_t most = o->n_components ? o->n_components : MOST;
    most = most > MOST ? MOST : most > m.rows - 1 ? m.rows - 1 : most;
    bragg_components *to = *out;
    *to = (bragg_components){ .rows = m.rows, .row = m.row, .curves = c->rows, .points = m.points, .n_tried = most, .n_singular = m.n_singular, .singular = m.singular };
    /* V. A. Marchenko & L. A. Pastur, Math. USSR Sb. 1 (1967) 457 */
    to->noise_edge = sqrt((double)m.rows) + sqrt((double)m.points);
    for (size_t k = 0; k < m.n_singular; k++)
        to->rank += m.singular[k] > 1.02 * to->noise_edge;
    to->bic = bragg_arena_alloc(arena, 2 * most + 1, sizeof(double));
    st = to->bic ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for components");
    to->chi2_reduced = to->bic ? to->bic + most : NULL;
    for (size_t k = 0; k < most && st == BRAGG_OK; k++) {
        f[k].amount = bragg_arena_alloc(scratch, MOST * (m.rows + m.points) + 1, sizeof(double));
        f[k].spectrum = f[k].amount ? f[k].amount + MOST * m.rows : NULL;
        st = f[k].amount ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for components");
    }
    if (st == BRAGG_OK)
        st = bragg_parallel_for(most, 1, try_numbers, &(trials){ &m, f }, err);
    if (st == BRAGG_OK) {
        size_t n = choose(&m, f, most, to);
        st = report(&m, &f[o->n_components ? most - 1 : n - 1], arena, to, err);
    }
    return st;
}

bragg_status bragg_series_components(const bragg_store_curves *c, const bragg_analysis_options *o, bragg_arena *arena, bragg_components **out, bragg_error *err)
{
    bragg_arena *scratch = bragg_arena_new();
    *out = NULL;
    bragg_status st = scratch ? factor(c, o, arena, scratch, out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for components");
    bragg_arena_free(scratch);
    return st;
}
