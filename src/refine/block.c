/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The calculated pattern and its derivatives, block of points by block. */
#include "config.h"
#include "model.h"
#include "shape.h"

#include <bragg/units.h>
#include <math.h>
#include <string.h>

/* y is per centidegree, as GSAS and GSAS-II have it, so that scales compare. */
static const double per_centidegree = BRAGG_DEG / 100;

/* Points [first, last) of a block are taken in cells.  A peak whose top is far away is a
 * smooth function all over a cell: seen at a few Chebyshev nodes, where all such peaks add
 * up first, it costs a tenth.  With the top more than CLEAR half-widths beyond the edge the
 * series has fallen to 4.3^-12 = 3e-8 (L. N. Trefethen, Approximation Theory and
 * Approximation Practice, SIAM 2013, theorem 8.2), of tails below 1e-2 of the top. */
enum { CELL = 128, NODES = 12, MOST_COLUMNS = 1024 };
static const double CLEAR = 1.25;

/* Shapes of one peak over a cell: P and its derivatives with respect to
 * position, Gaussian and Lorentzian width, S/L and H/L, width of the box. */
typedef struct shapes {
    double p[CELL], position[CELL], gauss[CELL], lorentz[CELL];
    double axial[2][CELL], width[CELL];
} shapes;

/* What is wanted of a peak. */
typedef struct wish {
    bool slopes, axial, width;
} wish;

/* What far peaks add up to in a cell: y and columns at its nodes. */
typedef struct cell {
    bool used;
    size_t n_columns;
    double middle, half, u[NODES], x[NODES], t[NODES][NODES]; /* t: polynomials k at node j */
    double y[NODES], column[MOST_COLUMNS * NODES];
} cell;

static shapes_at from(shapes *s, size_t i, bool axial)
{
    return (shapes_at){ s->p + i, s->position + i, s->gauss + i, s->lorentz + i, { axial ? s->axial[0] + i : NULL, axial ? s->axial[1] + i : NULL } };
}

static shape shape_of(const peak *e)
{
    return (shape){ e->fwhm, e->eta, per_centidegree, { e->mix[0], e->mix[1], e->mix[2], e->mix[3] } };
}

static size_t within(size_t i, size_t low, size_t high) { return i < low ? low : i > high ? high : i; }

static void clear(const shapes_at *s, size_t n)
{
    double *const part[] = { s->p, s->position, s->gauss, s->lorentz, s->axial[0], s->axial[1] };
    for (size_t k = 0; k < sizeof part / sizeof *part; k++)
        if (part[k])
            memset(part[k], 0, n * sizeof(double));
}

/* Points [first, last) of the peak's shape, into s from its beginning. */
static void shape_peak(const histogram *h, const peak *e, size_t first, size_t last, bool axial, shapes *s)
{
    size_t a = within(e->near_first, first, last), b = within(e->near_last, first, last);
    const shape of = shape_of(e);
    shapes_at to = from(s, 0, axial);
    if (a > first)
        bragg_shape_far(h->x + first, a - first, e->centre, e->m2, e->dcentre, e->dm2, &of, &to);
    to = from(s, a - first, axial);
    if (b > a)
        clear(&to, b - a);
    for (size_t k = 0; b > a && k < e->n_nodes; k++) {
        const axial_node *o = &h->node[e->node + k];
        const double dx0[3] = { 1 + o->dshift[0], o->dshift[1], o->dshift[2] };
        bragg_shape_near(h->x + a, b - a, e->position + o->shift, o->weight, dx0, o->dweight, &of, &to);
    }
    to = from(s, b - first, axial);
    if (last > b)
        bragg_shape_far(h->x + b, last - b, e->centre, e->m2, e->dcentre, e->dm2, &of, &to);
}

/* The derivative with the width of the box alone, into s->width: the loops of an
 * axial derivative with the box in its place. */
static void shape_width(const histogram *h, const peak *e, size_t first, size_t last, shapes *s)
{
    static const double none[3] = { 0, 0, 0 };
    const double dm2[3] = { 0, e->dm2_dwidth, 0 };
    const shape of = shape_of(e);
    shapes spare;
    size_t a = within(e->near_first, first, last), b = within(e->near_last, first, last);
    shapes_at to = from(&spare, 0, true);
    to.axial[0] = s->width;
    if (a > first)
        bragg_shape_far(h->x + first, a - first, e->centre, e->m2, none, dm2, &of, &to);
    to.axial[0] = s->width + (a - first);
    clear(&to, b - a);
    for (size_t k = 0; b > a && k < e->n_nodes; k++) {
        const axial_node *o = &h->node[e->node + k];
        const double dx0[3] = { 0, o->dshift_dwidth, 0 };
        bragg_shape_near(h->x + a, b - a, e->position + o->shift, o->weight, dx0, none, &of, &to);
    }
    to.axial[0] = s->width + (b - first);
    if (last > b)
        bragg_shape_far(h->x + b, last - b, e->centre, e->m2, none, dm2, &of, &to);
}

void bragg_refine_add_profile(const histogram *h, const peak *e, size_t first, size_t last, double scale, double *p)
{
    size_t a = within(e->near_first, first, last), b = within(e->near_last, first, last);
    bragg_shape_far_values(h->x + first, a - first, e->centre, e->m2, e->fwhm, e->eta, scale, p);
    for (size_t k = 0; b > a && k < e->n_nodes; k++) {
        const axial_node *o = &h->node[e->node + k];
        bragg_shape_near_values(h->x + a, b - a, e->position + o->shift, o->weight, e->fwhm, e->eta, scale, p + (a - first));
    }
    bragg_shape_far_values(h->x + b, last - b, e->centre, e->m2, e->fwhm, e->eta, scale, p + (b - first));
}

/* ---------------------------------------------------------------- columns */

CLONES static void add_full(double *restrict j, const shapes *restrict s, size_t n, const double c[4])
{
    const double a = c[0], b = c[1], f = c[2], e = c[3];
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        j[i] += a * s->p[i] + b * s->position[i] + f * s->gauss[i] + e * s->lorentz[i];
}

CLONES static void multiply(double *restrict j, const double *restrict by, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        j[i] *= -by[i];
}

/* Most rows move one thing alone: a zero the position, a size the Lorentzian. */
static void add_column(double *restrict j, const shapes *restrict s, size_t n, const double c[4])
{
    const double *const part[4] = { s->p, s->position, s->gauss, s->lorentz };
    int moved = 0, last = 0;
    for (int k = 0; k < 4; k++)
        if (c[k] != 0) {
            moved++;
            last = k;
        }
    if (moved > 1)
        add_full(j, s, n, c);
    else if (moved == 1)
        bragg_shape_add_scaled(j, part[last], n, c[last]);
}

/* Into columns that stand `stride` apart. */
static void differentiate_peak(const bragg_model *model, const histogram *h, size_t which, const peak *e,
                               const shapes *s, size_t n, double *jacobian, size_t stride)
{
    const terms *t = &model->phase[e->phase].mix[which].terms;
    const double *c = h->coefficient + e->coefficient;
    for (size_t k = 0; k < t->n_full; k++)
        add_column(jacobian + (size_t)t->full[k] * stride, s, n, c + 4 * k);
    for (size_t k = 0; k < t->n_intensity; k++)
        if (c[4 * t->n_full + k] != 0)
            bragg_shape_add_scaled(jacobian + (size_t)t->intensity[k] * stride, s->p, n, c[4 * t->n_full + k]);
    if (e->own_column >= 0)
        bragg_shape_add_scaled(jacobian + (size_t)e->own_column * stride, s->p, n, e->own_slope);
    for (int d = 0; d < 2; d++) {
        ptrdiff_t column = model->layout->column[h->row[AXIAL_S + d]];
        if (column >= 0)
            bragg_shape_add_scaled(jacobian + (size_t)column * stride, s->axial[d], n, e->intensity * model->layout->weight[h->row[AXIAL_S + d]]);
        column = model->layout->column[h->row[BOX + d]];
        if (column >= 0)
            bragg_shape_add_scaled(jacobian + (size_t)column * stride, s->width, n, e->intensity * e->dwidth[d] * model->layout->weight[h->row[BOX + d]]);
    }
}

/* ------------------------------------------------------------- background */

double bragg_refine_background(const bragg_model *model, const histogram *h, size_t i)
{
    double y = 0;
    for (size_t k = 0; k < h->n_background; k++)
        y += model->params.at[h->background_row + k].value * h->background_at[k * h->n + i];
    return h->n_debye + h->n_humps ? y + bragg_refine_own_terms(model, h, i) : y;
}

/* The same for points [first, first + n). */
static void background_block(const bragg_model *model, const histogram *h, size_t first, size_t n, double *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = h->n_debye + h->n_humps ? bragg_refine_own_terms(model, h, first + i) : 0;
    for (size_t k = 0; k < h->n_background; k++)
        bragg_shape_add_scaled(y, h->background_at + k * h->n + first, n, model->params.at[h->background_row + k].value);
}

static void differentiate_background(const bragg_model *model, const histogram *h, size_t first, size_t n, double *jacobian)
{
    const bragg_lsq_layout *l = model->layout;
    bragg_refine_own_slopes(model, h, first, n, jacobian);
    for (size_t k = 0; k < h->n_background; k++)
        if (l->column[h->background_row + k] >= 0)
            bragg_shape_add_scaled(jacobian + (size_t)l->column[h->background_row + k] * BRAGG_LSQ_BLOCK,
                       h->background_at + k * h->n + first, n, l->weight[h->background_row + k]);
}

/* ------------------------------------------------------------------ cells */

static void begin_cell(const histogram *h, size_t first, size_t last, size_t n_columns, cell *c)
{
    c->used = false;
    c->n_columns = n_columns;
    c->middle = (h->x[first] + h->x[last - 1]) / 2;
    c->half = (h->x[last - 1] - h->x[first]) / 2;
}

/* Nodes, and nothing there yet. */
static void open_cell(cell *c)
{
    c->used = true;
    for (int k = 0; k < NODES; k++) {
        c->u[k] = cos(BRAGG_PI * (k + 0.5) / NODES);
        c->x[k] = c->middle + c->half * c->u[k];
        c->t[0][k] = 1;
        c->t[1][k] = c->u[k];
        for (int j = 2; j < NODES; j++)
            c->t[j][k] = 2 * c->u[k] * c->t[j - 1][k] - c->t[j - 2][k];
    }
    memset(c->y, 0, sizeof c->y);
    memset(c->column, 0, c->n_columns * NODES * sizeof(double));
}

static bool is_smooth(const cell *c, const peak *e, size_t first, size_t last)
{
    return last - first > 4 * NODES && e->first <= first && e->last >= last && (e->near_last <= first || e->near_first >= last) &&
           c->n_columns <= MOST_COLUMNS && fabs(e->centre - c->middle) > (1 + CLEAR) * c->half;
}

/* The peak at the nodes of its cell. */
static void add_at_nodes(const bragg_model *model, const histogram *h, size_t which, const peak *e, const wish *w, shapes *s, cell *c)
{
    if (!c->used)
        open_cell(c);
    if (!w->slopes) {
        bragg_shape_far_values(c->x, NODES, e->centre, e->m2, e->fwhm, e->eta, e->intensity * per_centidegree, c->y);
        return;
    }
    const shape of = shape_of(e);
    shapes_at to = from(s, 0, w->axial);
    bragg_shape_far(c->x, NODES, e->centre, e->m2, e->dcentre, e->dm2, &of, &to);
    if (w->width) {
        static const double none[3] = { 0, 0, 0 };
        const double dm2[3] = { 0, e->dm2_dwidth, 0 };
        shapes spare;
        to = from(&spare, 0, true);
        to.axial[0] = s->width;
        bragg_shape_far(c->x, NODES, e->centre, e->m2, none, dm2, &of, &to);
    }
    bragg_shape_add_scaled(c->y, s->p, NODES, e->intensity);
    differentiate_peak(model, h, which, e, s, NODES, c->column, NODES);
}

/* j += the series through the values at the nodes; t: its polynomials at the points. */
CLONES static void add_series(double *restrict j, double (*restrict t)[CELL], size_t n, const double *restrict a)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double even = 0, odd = 0;
#pragma GCC unroll 12
        for (int k = 0; k < NODES; k += 2) {
            even += a[k] * t[k][i];
            odd += a[k + 1] * t[k + 1][i];
        }
        j[i] += even + odd;
    }
}

static void spread_nodes(const cell *c, const double *at_nodes, double (*t)[CELL], size_t n, double *j)
{
    double a[NODES], size = 0;
    for (int k = 0; k < NODES; k++)
        size += fabs(at_nodes[k]);
    if (size == 0)
        return;
    for (int k = 0; k < NODES; k++) {
        a[k] = 0;
        for (int i = 0; i < NODES; i++)
            a[k] += c->t[k][i] * at_nodes[i];
        a[k] *= (k ? 2. : 1.) / NODES;
    }
    add_series(j, t, n, a);
}

CLONES static void polynomials(const double *restrict x, size_t n, double middle, double per_half, double (*restrict t)[CELL])
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double u = (x[i] - middle) * per_half, before = 1, now = u;
        t[0][i] = 1;
        t[1][i] = u;
#pragma GCC unroll 12
        for (int k = 2; k < NODES; k++) {
            double next = 2 * u * now - before;
            before = now;
            t[k][i] = now = next;
        }
    }
}

static void close_cell(const histogram *h, const cell *c, size_t first, size_t n, const wish *w, double *y, double *jacobian)
{
    double t[NODES][CELL];
    if (!c->used)
        return;
    polynomials(h->x + first, n, c->middle, 1 / c->half, t);
    spread_nodes(c, c->y, t, n, y);
    for (size_t k = 0; w->slopes && k < c->n_columns; k++)
        spread_nodes(c, c->column + k * NODES, t, n, jacobian + k * BRAGG_LSQ_BLOCK);
}

/* Peaks in points [first, last) of one cell. */
static void calculate_cell(const bragg_model *model, size_t which, size_t first, size_t last, const wish *w, double *y, double *jacobian)
{
    const histogram *h = &model->histogram[which];
    size_t block = first / BRAGG_LSQ_BLOCK;
    shapes s;
    cell c;
    begin_cell(h, first, last, w->slopes ? model->layout->n_variables : 0, &c);
    for (size_t k = h->block_start[block]; k < h->block_start[block + 1]; k++) {
        const peak *e = &h->peak[h->block_peak[k]];
        size_t a = e->first > first ? e->first : first, b = e->last < last ? e->last : last;
        if (a >= b)
            continue;
        if (is_smooth(&c, e, first, last)) {
            add_at_nodes(model, h, which, e, w, &s, &c);
        } else if (w->slopes) {
            shape_peak(h, e, a, b, w->axial, &s);
            if (w->width)
                shape_width(h, e, a, b, &s);
            bragg_shape_add_scaled(y + (a - first), s.p, b - a, e->intensity);
            differentiate_peak(model, h, which, e, &s, b - a, jacobian + (a - first), BRAGG_LSQ_BLOCK);
        } else {
            bragg_refine_add_profile(h, e, a, b, e->intensity * per_centidegree, y + (a - first));
        }
    }
    close_cell(h, &c, first, last - first, w, y, jacobian);
}

/* Calculated values of points [first, last) of one block into y, and their
 * derivatives into jacobian when the layout has columns. */
static void calculate_block(const bragg_model *model, size_t which, size_t first, size_t last, double *y, double *jacobian)
{
    const histogram *h = &model->histogram[which];
    const bragg_lsq_layout *l = model->layout;
    wish w = { .slopes = jacobian && l && l->n_variables };
    w.axial = w.slopes && (l->column[h->row[AXIAL_S]] >= 0 || l->column[h->row[AXIAL_H]] >= 0);
    w.width = w.slopes && (l->column[h->row[BOX]] >= 0 || l->column[h->row[PIXEL]] >= 0);
    background_block(model, h, first, last - first, y);
    if (w.slopes)
        differentiate_background(model, h, first, last - first, jacobian);
    for (size_t a = first; a < last; a += CELL)
        calculate_cell(model, which, a, a + CELL < last ? a + CELL : last, &w, y + (a - first), jacobian ? jacobian + (a - first) : NULL);
}

static size_t histogram_at(const bragg_model *model, size_t residual)
{
    size_t k = model->n_histograms - 1;
    while (model->histogram[k].offset > residual)
        k--;
    return k;
}

bragg_status bragg_refine_residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const bragg_model *model = payload;
    (void)err;
    if (first >= model->first_restraint) {
        bragg_refine_restrain(model, first, last, r, jacobian);
        return BRAGG_OK;
    }
    size_t which = histogram_at(model, first);
    const histogram *h = &model->histogram[which];
    size_t from = first - h->offset, to = last - h->offset < h->n ? last - h->offset : h->n;
    double y[BRAGG_LSQ_BLOCK];
    calculate_block(model, which, from, to, y, jacobian);
    for (size_t i = from; i < to; i++)
        r[i - from] = (h->y[i] - y[i - from]) * h->weight[i];
    for (size_t k = 0; model->layout && k < model->layout->n_variables; k++)
        multiply(jacobian + k * BRAGG_LSQ_BLOCK, h->weight + from, to - from);
    return BRAGG_OK;
}

/* ---------------------------------------------------------- for callers */

double bragg_refine_step_at(const histogram *h, size_t i)
{
    double left = i ? h->x[i] - h->x[i - 1] : INFINITY, right = i + 1 < h->n ? h->x[i + 1] - h->x[i] : INFINITY;
    return fmin(left, right);
}

/* In eight lanes that the compiler need not order. */
CLONES static double product(const double *restrict a, const double *restrict b, size_t n)
{
    enum { LANES = 8 };
    double sum[LANES] = { 0 }, rest = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        rest += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])) + rest;
}

/* Observed intensities by Rietveld's partition: each peak takes of every point
 * the share it has in the calculated pattern. */
void bragg_refine_partition(const bragg_model *model, size_t which, double *observed)
{
    const histogram *h = &model->histogram[which];
    memset(observed, 0, h->n_peaks * sizeof *observed);
    for (size_t first = 0; first < h->n; first += BRAGG_LSQ_BLOCK) {
        size_t last = first + BRAGG_LSQ_BLOCK < h->n ? first + BRAGG_LSQ_BLOCK : h->n, block = first / BRAGG_LSQ_BLOCK;
        double y[BRAGG_LSQ_BLOCK], b[BRAGG_LSQ_BLOCK], share[BRAGG_LSQ_BLOCK], p[BRAGG_LSQ_BLOCK];
        calculate_block(model, which, first, last, y, NULL);
        background_block(model, h, first, last - first, b);
        for (size_t i = first; i < last; i++) {
            double net = y[i - first] - b[i - first];
            share[i - first] = net > 0 ? (h->y[i] - b[i - first]) / net * bragg_refine_step_at(h, i) : 0;
        }
        for (size_t k = h->block_start[block]; k < h->block_start[block + 1]; k++) {
            const peak *e = &h->peak[h->block_peak[k]];
            size_t begin = e->first > first ? e->first : first, end = e->last < last ? e->last : last;
            memset(p, 0, (end - begin) * sizeof *p);
            bragg_refine_add_profile(h, e, begin, end, 1, p);
            observed[h->block_peak[k]] += e->intensity * product(p, share + (begin - first), end - begin);
        }
    }
}

bool bragg_refine_shows(const histogram *h, size_t k, size_t which)
{
    return h->peak[k].phase == which && h->peak[k].position > h->x[0] && h->peak[k].position < h->x[h->n - 1];
}

bragg_status bragg_model_calculate(bragg_model *model, size_t which, double *x, double *observed, double *sigma,
                                   double *calculated, double *background, bragg_error *err)
{
    bragg_status st = bragg_refine_prepare(model, &model->params, NULL, err);
    if (st < 0)
        return st;
    const histogram *h = &model->histogram[which];
    for (size_t first = 0; calculated && first < h->n; first += BRAGG_LSQ_BLOCK)
        calculate_block(model, which, first, first + BRAGG_LSQ_BLOCK < h->n ? first + BRAGG_LSQ_BLOCK : h->n,
                        calculated + first, NULL);
    for (size_t i = 0; i < h->n; i++) {
        if (x)
            x[i] = h->x[i];
        if (observed)
            observed[i] = h->y[i];
        if (sigma)
            sigma[i] = sqrt(h->emphasis) / h->weight[i];
        if (background)
            background[i] = bragg_refine_background(model, h, i);
    }
    return BRAGG_OK;
}

const bragg_model_peak *bragg_model_peaks(const bragg_model *model, size_t which, size_t *n)
{
    *n = model->histogram[which].n_peaks;
    return model->histogram[which].listed;
}
