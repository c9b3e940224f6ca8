/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Levenberg-Marquardt over named parameters, by normal equations or QR. */
#include "config.h"
#include <bragg/arena.h>
#include <bragg/lsq.h>
#include <bragg/numeric.h>
#include <bragg/thread.h>

#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LANES = 32, TEXT = 400 };

/* Eigenvalues of the normal matrix scaled to a unit diagonal below this are
 * directions without information: the square of what 53 bits leave of J. */
static const double singular_eigenvalue = 1e-12;

/* What one evaluation yields: A is the lower triangle, row-major. */
typedef struct sums {
    double chi2;
    double *a, *g;
} sums;

struct bragg_lsq {
    const bragg_lsq_problem *problem;
    bragg_params *params;
    bragg_lsq_options opt;
    bragg_arena *arena;
    bragg_lsq_layout layout;
    size_t m;                 /* variables */
    size_t *row;              /* of each variable */
    size_t *free;             /* room for those that move in a step */
    double *work;             /* room for their normal equations */
    sums now, trial;
    double *scale, *delta, *saved, *inverse;
    double *covariance;       /* the inverse, unless errors hang together */
    double *d_variables;      /* of bragg_lsq_variance: derivatives by variable */
    char **singular;
    size_t n_singular;
    bool *undetermined;       /* variables */
    double mu, nu, chi2_first;
    double widened;           /* covariance over the inverse of A */
    int cycles, crawls;       /* crawls: steps in a row that lowered chi2 by nothing that counts */
    bool evaluated, finished, cut;
    double *jacobian, *r;     /* DENSE only: points x m */
    double *dense;            /* room for solve_dense */
    size_t lanes;
    double *lane;             /* lanes x (1 + m + m m) */
};

/* ---------------------------------------------------------------- layout */

static ptrdiff_t root_of(const bragg_params *p, size_t row, double *weight)
{
    *weight = 1;
    while (p->at[row].tie_to >= 0) {
        *weight *= p->at[row].tie_factor;
        row = (size_t)p->at[row].tie_to;
    }
    return p->at[row].refine ? (ptrdiff_t)row : -1;
}

static bragg_status make_layout(bragg_lsq *l, bragg_error *err)
{
    const bragg_params *p = l->params;
    ptrdiff_t *column = bragg_arena_alloc(l->arena, p->n + 1, sizeof *column);
    double *weight = bragg_arena_alloc(l->arena, p->n + 1, sizeof *weight);
    l->row = bragg_arena_alloc(l->arena, p->n + 1, sizeof *l->row);
    if (!column || !weight || !l->row)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", p->n);
    for (size_t i = 0; i < p->n; i++) {
        column[i] = -1;
        if (p->at[i].tie_to < 0 && p->at[i].refine) {
            column[i] = (ptrdiff_t)l->m;
            l->row[l->m++] = i;
        }
    }
    for (size_t i = 0; i < p->n; i++) {
        ptrdiff_t root = root_of(p, i, &weight[i]);
        column[i] = root < 0 ? -1 : column[root];
    }
    l->layout = (bragg_lsq_layout){ l->m, column, weight };
    return BRAGG_OK;
}

static bragg_status check_start(const bragg_lsq *l, bragg_error *err)
{
    for (size_t k = 0; k < l->m; k++) {
        const bragg_param *p = &l->params->at[l->row[k]];
        if (!isfinite(p->value) || !(p->value >= p->lower && p->value <= p->upper))
            return bragg_fail(err, BRAGG_EINVAL, "%s: starts at %g, expected %g to %g", p->name,
                              p->value, p->lower, p->upper);
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------ evaluation */

static double weigh(const bragg_lsq_options *o, double r, double *loss)
{
    double k = o->loss_scale, x = r / k;
    if (o->loss == BRAGG_LSQ_CAUCHY) {
        *loss = k * k * log1p(x * x);
        return 1 / (1 + x * x);
    }
    if (o->loss == BRAGG_LSQ_HUBER && fabs(r) > k) {
        *loss = k * (2 * fabs(r) - k);
        return k / fabs(r);
    }
    *loss = r * r;
    return 1;
}

/* a += J'J (lower triangle) over the columns that a block touches, four against one
 * so that each value read from memory is used four times. */
CLONES static void add_products(size_t m, const size_t *restrict touched, size_t n, const double *restrict j, double *restrict a)
{
    for (size_t p = 0; p < n; p++) {
        const double *x = j + touched[p] * BRAGG_LSQ_BLOCK;
        double *row = a + touched[p] * m;
        size_t q = 0;
        for (; q + 4 <= p + 1; q += 4) {
            const double *y0 = j + touched[q] * BRAGG_LSQ_BLOCK, *y1 = j + touched[q + 1] * BRAGG_LSQ_BLOCK,
                         *y2 = j + touched[q + 2] * BRAGG_LSQ_BLOCK, *y3 = j + touched[q + 3] * BRAGG_LSQ_BLOCK;
            double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
            for (int i = 0; i < BRAGG_LSQ_BLOCK; i++) {
                s0 += x[i] * y0[i];
                s1 += x[i] * y1[i];
                s2 += x[i] * y2[i];
                s3 += x[i] * y3[i];
            }
            row[touched[q]] += s0;
            row[touched[q + 1]] += s1;
            row[touched[q + 2]] += s2;
            row[touched[q + 3]] += s3;
        }
        for (; q <= p; q++) {
            const double *y = j + touched[q] * BRAGG_LSQ_BLOCK;
            double s = 0;
#pragma omp simd reduction(+ : s)
            for (int i = 0; i < BRAGG_LSQ_BLOCK; i++)
                s += x[i] * y[i];
            row[touched[q]] += s;
        }
    }
}

/* Columns that are not all zero in a block, an intensity is known to few of them, and
 * their products with the residuals, added to g. */
CLONES static size_t find_touched(size_t m, const double *restrict j, const double *restrict r, size_t *restrict touched, double *restrict g)
{
    size_t n = 0;
    for (size_t k = 0; k < m; k++) {
        const double *x = j + k * BRAGG_LSQ_BLOCK;
        double size = 0, s = 0;
#pragma omp simd reduction(+ : size, s)
        for (int i = 0; i < BRAGG_LSQ_BLOCK; i++) {
            size += fabs(x[i]);
            s += r[i] * x[i];
        }
        if (size == 0)
            continue;
        touched[n++] = k;
        g[k] += s;
    }
    return n;
}

/* Losses turn into weights: rows of r and J are scaled by their square roots. */
static double apply_loss(const bragg_lsq *l, size_t n, double *r, double *j)
{
    double chi2 = 0;
    for (size_t i = 0; i < n; i++) {
        double loss, w = sqrt(weigh(&l->opt, r[i], &loss));
        chi2 += loss;
        if (w == 1)
            continue;
        r[i] *= w;
        for (size_t k = 0; k < l->m; k++)
            j[k * BRAGG_LSQ_BLOCK + i] *= w;
    }
    return chi2;
}

static void keep_rows(bragg_lsq *l, size_t first, size_t n, const double *r, const double *j)
{
    for (size_t i = 0; i < n; i++) {
        l->r[first + i] = r[i];
        for (size_t k = 0; k < l->m; k++)
            l->jacobian[(first + i) * l->m + k] = j[k * BRAGG_LSQ_BLOCK + i];
    }
}

static bragg_status one_block(bragg_lsq *l, size_t first, double *r, double *j, size_t *touched, double *lane,
                              bragg_error *err)
{
    size_t m = l->m, last = first + BRAGG_LSQ_BLOCK < l->problem->n ? first + BRAGG_LSQ_BLOCK : l->problem->n;
    memset(r, 0, BRAGG_LSQ_BLOCK * sizeof *r);
    memset(j, 0, m * BRAGG_LSQ_BLOCK * sizeof *j);
    bragg_status st = l->problem->residuals(l->problem->payload, first, last, r, j, err);
    if (st < 0)
        return st;
    lane[0] += apply_loss(l, last - first, r, j);
    size_t n = find_touched(m, j, r, touched, lane + 1);
    add_products(m, touched, n, j, lane + 1 + m);
    if (l->jacobian)
        keep_rows(l, first, last - first, r, j);
    return BRAGG_OK;
}

/* A lane is a run of blocks summed by one thread into its own place. */
static bragg_status lane_work(void *payload, size_t first, size_t last, bragg_error *err)
{
    bragg_lsq *l = payload;
    size_t m = l->m, blocks = (l->problem->n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    double *r = malloc((1 + m) * BRAGG_LSQ_BLOCK * sizeof *r + (m + 1) * sizeof(size_t));
    if (!r)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a block of %zu variables", m);
    size_t *touched = (size_t *)(r + (1 + m) * BRAGG_LSQ_BLOCK);
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st >= 0; k++) {
        double *lane = l->lane + k * (1 + m + m * m);
        memset(lane, 0, (1 + m + m * m) * sizeof *lane);
        for (size_t b = blocks * k / l->lanes; b < blocks * (k + 1) / l->lanes && st >= 0; b++)
            st = one_block(l, b * BRAGG_LSQ_BLOCK, r, r + BRAGG_LSQ_BLOCK, touched, lane, err);
    }
    free(r);
    return st;
}

static bragg_status evaluate(bragg_lsq *l, sums *s, bragg_error *err)
{
    size_t m = l->m;
    bragg_status st = l->problem->prepare(l->problem->payload, l->params, &l->layout, err);
    if (st >= 0)
        st = bragg_parallel_for(l->lanes, 1, lane_work, l, err);
    if (st < 0)
        return st;
    s->chi2 = 0;
    memset(s->g, 0, m * sizeof *s->g);
    memset(s->a, 0, m * m * sizeof *s->a);
    for (size_t k = 0; k < l->lanes; k++) {
        const double *lane = l->lane + k * (1 + m + m * m);
        s->chi2 += lane[0];
        for (size_t i = 0; i < m; i++)
            s->g[i] += lane[1 + i];
        for (size_t i = 0; i < m * m; i++)
            s->a[i] += lane[1 + m + i];
    }
    double all = s->chi2;
    for (size_t i = 0; i < m; i++)
        all += fabs(s->g[i]) + s->a[i * m + i];
    return isfinite(all) ? BRAGG_OK
                         : bragg_fail(err, BRAGG_EDATA, "residuals or derivatives: expected numbers, got a sum of %g", all);
}

/* ------------------------------------------------------------------ step */

/* Variables that a bound holds: the step would leave the allowed range at once. */
static bool is_held(const bragg_lsq *l, size_t k)
{
    const bragg_param *p = &l->params->at[l->row[k]];
    return !(l->now.a[k * l->m + k] > 0) || (p->value <= p->lower && l->now.g[k] > 0) ||
           (p->value >= p->upper && l->now.g[k] < 0);
}

CLONES static double dot(const double *restrict x, const double *restrict y, size_t n)
{
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t i = 0; i < n; i++)
        s += x[i] * y[i];
    return s;
}

CLONES static void add_multiple(double *restrict y, const double *restrict x, size_t n, double by)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] += by * x[i];
}

/* Cholesky in place (lower triangle, row-major) and solution; false when a is
 * not positive definite, for which GSL's would abort the program. */
static bool solve_cholesky(size_t n, double *a, double *b)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double s = a[i * n + j] - dot(a + i * n, a + j * n, j);
            if (i == j && !(s > 0))
                return false;
            a[i * n + j] = i == j ? sqrt(s) : s / a[j * n + j];
        }
    }
    for (size_t i = 0; i < n; i++)
        b[i] = (b[i] - dot(a + i * n, b, i)) / a[i * n + i];
    for (size_t i = n; i-- > 0;) {
        b[i] /= a[i * n + i];
        add_multiple(b, a + i * n, i, -b[i]);
    }
    return true;
}

/* Solve (A + mu D^2) delta = -g over the f variables that are not held, scaled
 * by D, the running maximum of the column lengths (More 1978). */
static bool solve_normal(bragg_lsq *l, const size_t *at, size_t f)
{
    double *a = l->work, *b = a + f * f;
    for (size_t i = 0; i < f; i++) {
        double di = l->scale[at[i]];
        for (size_t j = 0; j <= i; j++)
            a[i * f + j] = l->now.a[at[i] * l->m + at[j]] / (di * l->scale[at[j]]);
        a[i * f + i] += l->mu;
        b[i] = -l->now.g[at[i]] / di;
    }
    bool good = solve_cholesky(f, a, b);
    for (size_t i = 0; good && i < f; i++)
        l->delta[at[i]] = b[i] / l->scale[at[i]];
    return good;
}

/* The same from the Jacobian: least squares of [J D^-1; sqrt(mu)] x = [-r; 0]. */
static void solve_dense(bragg_lsq *l, const size_t *at, size_t f)
{
    size_t n = l->problem->n, rows = n + f;
    double *a = l->dense, *b = a + rows * f, *left = b + rows, *x = left + rows, *tau = x + f;
    memset(a, 0, (rows * f + 2 * rows + 2 * f) * sizeof *a);
    for (size_t i = 0; i < n; i++) {
        b[i] = -l->r[i];
        for (size_t k = 0; k < f; k++)
            a[i * f + k] = l->jacobian[i * l->m + at[k]] / l->scale[at[k]];
    }
    for (size_t k = 0; k < f; k++)
        a[(n + k) * f + k] = sqrt(l->mu);
    gsl_matrix_view m = gsl_matrix_view_array(a, rows, f);
    gsl_vector_view vb = gsl_vector_view_array(b, rows), vl = gsl_vector_view_array(left, rows), vx = gsl_vector_view_array(x, f), vt = gsl_vector_view_array(tau, f);
    gsl_linalg_QR_decomp(&m.matrix, &vt.vector);
    gsl_linalg_QR_lssolve(&m.matrix, &vt.vector, &vb.vector, &vx.vector, &vl.vector);
    for (size_t k = 0; k < f; k++)
        l->delta[at[k]] = x[k] / l->scale[at[k]];
}

/* How far variable k may still go the way its step points. */
static double room_for_step(const bragg_lsq *l, size_t k)
{
    const bragg_param *p = &l->params->at[l->row[k]];
    return l->delta[k] > 0 ? p->upper - p->value : p->lower - p->value;
}

/* Solve over the variables that are not held; one whose step leaves the bound it
 * stands on is held, too, and the rest solved again. */
static bool solve_within_bounds(bragg_lsq *l, size_t *at)
{
    size_t f = 0;
    for (size_t k = 0; k < l->m; k++)
        if (!is_held(l, k))
            at[f++] = k;
    for (;;) {
        size_t kept = 0;
        memset(l->delta, 0, l->m * sizeof *l->delta);
        if (f && l->jacobian)
            solve_dense(l, at, f);
        else if (f && !solve_normal(l, at, f))
            return false;
        for (size_t i = 0; i < f; i++)
            if (fabs(room_for_step(l, at[i])) > 1e-9 * fabs(l->delta[at[i]]))
                at[kept++] = at[i];
        if (kept == f)
            return true;
        f = kept;
    }
}

/* Step into delta; returns the predicted fall of chi2.  A step that would cross a
 * bound ends on it (cut): that is still downhill. */
static bool find_step(bragg_lsq *l, double *predicted)
{
    size_t m = l->m;
    double part = 1;
    if (!solve_within_bounds(l, l->free))
        return false;
    for (size_t k = 0; k < m; k++)
        if (fabs(l->delta[k]) > fabs(room_for_step(l, k)))
            part = fmin(part, room_for_step(l, k) / l->delta[k]);
    for (size_t k = 0; k < m; k++)
        l->delta[k] *= part;
    l->cut = part < 1;
    *predicted = 0;
    for (size_t i = 0; i < m; i++) {
        double ad = 0;
        for (size_t j = 0; j < m; j++)
            ad += l->now.a[i >= j ? i * m + j : j * m + i] * l->delta[j];
        *predicted -= l->delta[i] * (2 * l->now.g[i] + ad);
    }
    return *predicted >= 0 && isfinite(*predicted);
}

static void move_by_delta(bragg_lsq *l)
{
    for (size_t k = 0; k < l->m; k++) {
        bragg_param *p = &l->params->at[l->row[k]];
        l->saved[k] = p->value;
        p->value = fmin(fmax(p->value + l->delta[k], p->lower), p->upper);
    }
    bragg_params_apply_ties(l->params);
}

static void move_back(bragg_lsq *l)
{
    for (size_t k = 0; k < l->m; k++)
        l->params->at[l->row[k]].value = l->saved[k];
    bragg_params_apply_ties(l->params);
}

static void rescale(bragg_lsq *l)
{
    for (size_t k = 0; k < l->m; k++) {
        double length = sqrt(l->now.a[k * l->m + k]);
        l->scale[k] = fmax(l->scale[k], length > 0 ? length : 0);
    }
}

static double reduced(const bragg_lsq *l)
{
    size_t n = l->problem->n - l->problem->padding;
    return n > l->m ? l->now.chi2 / (double)(n - l->m) : l->now.chi2;
}

/* The fall of chi2 that a full step promises is the sum of (shift/esd)^2 over
 * the independent directions, in units of the reduced chi2. */
static bool is_small(const bragg_lsq *l, double predicted)
{
    double t = l->opt.tolerance_esd;
    return predicted <= fmax(t * t * reduced(l), l->opt.tolerance_fall * l->now.chi2) || predicted <= 1e-24 * l->chi2_first;
}

static bragg_status first_evaluation(bragg_lsq *l, bragg_error *err)
{
    bragg_status st = evaluate(l, &l->now, err);
    if (st < 0)
        return bragg_context(err, st, "start of the fit");
    l->chi2_first = l->now.chi2;
    l->evaluated = true;
    rescale(l);
    return BRAGG_OK;
}

/* A sum of squares has small steps where points enter a peak's reach; near the
 * minimum they spoil the forecast, damping grows and the fit would creep on. */
enum { MOST_CRAWLS = 3 };

static void accept(bragg_lsq *l, double gain)
{
    sums keep = l->now;
    double t = l->opt.tolerance_esd;
    l->crawls = keep.chi2 - l->trial.chi2 <= 10 * t * t * reduced(l) ? l->crawls + 1 : 0;
    l->now = l->trial;
    l->trial = keep;
    rescale(l);
    l->nu = 2;
    if (gain > 0.75)
        l->mu = fmax(l->mu * 0.1, 1e-10);
    else if (gain < 0.25)
        l->mu *= 4;
    l->cycles++;
}

/* Damping hides what is left to gain where many variables share a weak direction:
 * a step that promises nothing is asked again without.  True, with that step, when
 * there is something left. */
static const double undamped = 1e-7;

static bool look_undamped(bragg_lsq *l, double *predicted)
{
    double mu = l->mu, before = *predicted;
    l->mu = undamped;
    if (find_step(l, predicted) && !is_small(l, *predicted))
        return true;
    l->mu = mu;
    find_step(l, predicted);
    *predicted = before;
    l->cut = false;
    return false;
}

/* After a step that failed.  Of a matrix with a unit diagonal less than this damps
 * nothing that a model has, and to rise there by and by costs an evaluation each. */
static const double least_damping = 1e-3;

static void raise_damping(bragg_lsq *l)
{
    l->mu = fmax(l->mu * l->nu, least_damping);
    l->nu *= 2;
}

bragg_status bragg_lsq_step(bragg_lsq *l, bragg_error *err)
{
    bool looked = false;
    bragg_status st = l->evaluated ? BRAGG_OK : first_evaluation(l, err);
    l->finished = false;
    if (st < 0)
        return st;
    if (l->m == 0)
        return BRAGG_CONVERGED;
    for (; l->mu < 1e12; raise_damping(l)) {
        double predicted;
        if (!find_step(l, &predicted))
            continue;
        bool small = !l->cut && is_small(l, predicted);
        if (small && l->mu > undamped && !looked) {
            looked = true;
            small = !look_undamped(l, &predicted);
        }
        if (small && (l->mu <= 0.01 || l->crawls >= MOST_CRAWLS))
            return BRAGG_CONVERGED;
        bragg_error ignored = BRAGG_ERROR_INIT;
        move_by_delta(l);
        st = evaluate(l, &l->trial, &ignored);
        if (st >= 0 && l->trial.chi2 < l->now.chi2) {
            accept(l, (l->now.chi2 - l->trial.chi2) / predicted);
            return BRAGG_OK;
        }
        /* so small a fall drowns in rounding, the step is as good as ever */
        if (st >= 0 && predicted < 1e-13 * l->now.chi2 && l->trial.chi2 < l->now.chi2 * (1 + 1e-13)) {
            accept(l, 1);
            return BRAGG_CONVERGED;
        }
        move_back(l);
        if (ignored.status == BRAGG_ENOMEM)
            return bragg_fail(err, ignored.status, "%s", ignored.text);
        /* rounding, not the model, decides at this distance from the minimum */
        if (small || predicted < 1e-13 * l->now.chi2)
            return BRAGG_CONVERGED;
        if (l->jacobian && (st = evaluate(l, &l->now, err)) < 0)
            return st;
    }
    return bragg_fail(err, BRAGG_ENOCONV, "no step lowers the sum of squares %g", l->now.chi2);
}

/* ---------------------------------------------------------------- finish */

static void describe_direction(bragg_lsq *l, const double *vectors, size_t column)
{
    char *text = bragg_arena_alloc(l->arena, TEXT, 1);
    size_t used = 0;
    for (size_t k = 0; text && k < l->m; k++) {
        if (fabs(vectors[k * l->m + column]) < 0.2)
            continue;
        l->undetermined[k] = true;
        if (used < TEXT)
            used += (size_t)snprintf(text + used, TEXT - used, "%s%s", used ? " and " : "",
                                     l->params->at[l->row[k]].name);
    }
    if (text)
        l->singular[l->n_singular++] = text;
}

/* inverse = D^-1 V (1/lambda) V' D^-1 over the directions the data determine. */
static bragg_status invert(bragg_lsq *l, bragg_error *err)
{
    size_t m = l->m;
    memset(l->inverse, 0, m * m * sizeof *l->inverse);
    double *a = malloc((2 * m * m + 3 * m) * sizeof *a);
    if (!a)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu variables", m);
    double *v = a + m * m, *lambda = v + m * m, *d = lambda + m, *w = d + m;
    for (size_t i = 0; i < m; i++) {
        double length = sqrt(l->now.a[i * m + i]);
        d[i] = length > 0 ? length : 1;
        for (size_t j = 0; j <= i; j++)
            a[i * m + j] = a[j * m + i] = l->now.a[i * m + j] / (d[i] * d[j]);
    }
    bragg_status st = bragg_symmetric_eigen(a, m, lambda, v, err);
    for (size_t e = 0; st == BRAGG_OK && e < m; e++) {
        if (!(lambda[e] > singular_eigenvalue)) {
            describe_direction(l, v, e);
            continue;
        }
        for (size_t i = 0; i < m; i++)
            w[i] = v[i * m + e] / d[i];
        for (size_t i = 0; i < m; i++)
            add_multiple(l->inverse + i * m, w, i + 1, w[i] / lambda[e]);
    }
    for (size_t i = 0; i < m; i++)
        for (size_t j = i + 1; j < m; j++)
            l->inverse[i * m + j] = l->inverse[j * m + i];
    free(a);
    return st;
}

/* Of one column, what the earlier residuals that hang together with each of a block's
 * add: out[i] = sum over d of correlation(i - d, d) j[i - d]; the block before lies
 * before j. */
static void add_earlier(const bragg_lsq_problem *p, size_t first, size_t n, const double *rho, const double *j, const double *before, double *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = 0;
        for (size_t d = 1; d <= p->band && d <= first + i; d++)
            out[i] += rho[i * p->band + d - 1] * (d <= i ? j[i - d] : before[BRAGG_LSQ_BLOCK + i - d]);
    }
}

/* s += the products of a block's derivatives with the earlier ones'. */
static void add_band(const bragg_lsq *l, size_t first, size_t n, const double *rho, const double *j, const double *before, double *out, double *s)
{
    size_t m = l->m;
    for (size_t p = 0; p < m; p++) {
        add_earlier(l->problem, first, n, rho, j + p * BRAGG_LSQ_BLOCK, before + p * BRAGG_LSQ_BLOCK, out);
        for (size_t q = 0; q < m; q++)
            for (size_t i = 0; i < n; i++)
                s[p * m + q] += out[i] * j[q * BRAGG_LSQ_BLOCK + i];
    }
}

static bragg_status sum_band(bragg_lsq *l, double *s, bragg_error *err)
{
    const bragg_lsq_problem *p = l->problem;
    size_t m = l->m, block = BRAGG_LSQ_BLOCK;
    double *room = calloc((2 + 2 * m + p->band) * block, sizeof *room);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a block of %zu variables", m);
    double *r = room, *out = r + block, *rho = out + block, *j = rho + p->band * block, *before = j + m * block;
    bragg_status st = p->prepare(p->payload, l->params, &l->layout, err);
    for (size_t first = 0; first < p->n && st >= 0; first += block) {
        size_t last = first + block < p->n ? first + block : p->n, n = last - first;
        double *swap = before;
        before = j;
        j = swap;
        memset(r, 0, block * sizeof *r);
        memset(j, 0, m * block * sizeof *j);
        if ((st = p->residuals(p->payload, first, last, r, j, err)) < 0)
            break;
        apply_loss(l, n, r, j);
        for (size_t i = 0; i < n; i++)
            for (size_t d = 1; d <= p->band; d++)
                rho[i * p->band + d - 1] = d <= first + i ? p->correlation(p->payload, first + i - d, d) : 0;
        add_band(l, first, n, rho, j, before, out, s);
    }
    free(room);
    return st < 0 ? st : BRAGG_OK;
}

/* covariance = inverse + inverse (S + S') inverse / widened, which is of A + S + S'. */
static bragg_status widen_by_band(bragg_lsq *l, bragg_error *err)
{
    size_t m = l->m;
    double *s = calloc(2 * m * m + 1, sizeof *s), *half = s + m * m;
    bragg_status st = s ? sum_band(l, s, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu variables", m);
    for (size_t i = 0; st == BRAGG_OK && i < m; i++)
        for (size_t k = 0; k < m; k++)
            for (size_t j = 0; j < m; j++)
                half[i * m + j] += l->inverse[i * m + k] * (s[k * m + j] + s[j * m + k]);
    for (size_t i = 0; st == BRAGG_OK && i < m; i++)
        for (size_t j = 0; j < m; j++)
            for (size_t k = 0; k < m; k++)
                l->covariance[i * m + j] += half[i * m + k] * l->inverse[k * m + j] / l->widened;
    free(s);
    return st;
}

bragg_status bragg_lsq_finish(bragg_lsq *l, bragg_error *err)
{
    bragg_status st = l->evaluated ? BRAGG_OK : first_evaluation(l, err);
    if (st < 0)
        return st;
    l->n_singular = 0;
    memset(l->undetermined, 0, (l->m + 1) * sizeof *l->undetermined);
    st = l->m ? invert(l, err) : BRAGG_OK;
    if (st < 0)
        return st;
    /* esds grow with the misfit; with known sigmas they never shrink below what
     * counting allows */
    double factor = reduced(l);
    if (l->opt.counting_esds)
        factor = fmax(factor, 1);
    for (size_t i = 0; i < l->m * l->m; i++)
        l->inverse[i] *= factor;
    l->widened = factor;
    memcpy(l->covariance, l->inverse, l->m * l->m * sizeof *l->inverse);
    st = l->problem->band && l->problem->correlation && l->m ? widen_by_band(l, err) : BRAGG_OK;
    if (st < 0)
        return st;
    l->finished = true;
    for (size_t i = 0; i < l->params->n; i++) {
        ptrdiff_t k = l->layout.column[i];
        l->params->at[i].esd = k < 0 ? NAN : fabs(l->layout.weight[i]) * sqrt(bragg_lsq_covariance(l, (size_t)k, (size_t)k));
    }
    return BRAGG_OK;
}

bragg_status bragg_lsq_solve(bragg_lsq *l, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    while (st == BRAGG_OK && l->cycles < l->opt.max_cycles) {
        if (!bragg_progress(l->opt.observer, (size_t)l->cycles, (size_t)l->opt.max_cycles))
            st = BRAGG_STOPPED;
        else
            st = bragg_lsq_step(l, err);
        if (st == BRAGG_OK)
            bragg_log(l->opt.observer, BRAGG_LOG_DEBUG, "cycle %d: chi2 %.8g", l->cycles, l->now.chi2);
    }
    if (st == BRAGG_OK)
        st = bragg_fail(err, BRAGG_ENOCONV, "still moving after %d cycles", l->cycles);
    if (st < 0 && st != BRAGG_ENOCONV)
        return st;
    bragg_status end = bragg_lsq_finish(l, err);
    return end < 0 ? end : st;
}

/* --------------------------------------------------------------- results */

double bragg_lsq_chi2(const bragg_lsq *l) { return l->evaluated ? l->now.chi2 : NAN; }
size_t bragg_lsq_variables(const bragg_lsq *l) { return l->m; }
int bragg_lsq_cycles(const bragg_lsq *l) { return l->cycles; }
size_t bragg_lsq_row(const bragg_lsq *l, size_t k) { return l->row[k]; }

double bragg_lsq_covariance(const bragg_lsq *l, size_t i, size_t j)
{
    if (!l->finished || l->undetermined[i] || l->undetermined[j])
        return NAN;
    return l->covariance[i * l->m + j];
}

double bragg_lsq_correlation(const bragg_lsq *l, size_t i, size_t j)
{
    return bragg_lsq_covariance(l, i, j) / sqrt(bragg_lsq_covariance(l, i, i) * bragg_lsq_covariance(l, j, j));
}

double bragg_lsq_variance(bragg_lsq *l, const double *d_rows)
{
    double *d = l->d_variables, sum = 0;
    memset(d, 0, l->m * sizeof *d);
    for (size_t i = 0; i < l->params->n; i++)
        if (l->layout.column[i] >= 0 && d_rows[i] != 0)
            d[l->layout.column[i]] += l->layout.weight[i] * d_rows[i];
    for (size_t i = 0; i < l->m; i++)
        for (size_t j = 0; j < l->m; j++)
            if (d[i] != 0 && d[j] != 0)
                sum += d[i] * d[j] * bragg_lsq_covariance(l, i, j);
    return sum;
}

void bragg_lsq_shift(const bragg_lsq *l, double *max_esd, double *mean_esd)
{
    double most = 0, sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < l->m && l->finished; i++) {
        double step = 0, esd = sqrt(bragg_lsq_covariance(l, i, i));
        for (size_t j = 0; j < l->m; j++)
            step -= is_held(l, j) ? 0 : l->inverse[i * l->m + j] * l->now.g[j] / l->widened;
        if (is_held(l, i) || !(esd > 0))
            continue;
        most = fmax(most, fabs(step) / esd);
        sum += fabs(step) / esd;
        n++;
    }
    if (max_esd)
        *max_esd = l->finished ? most : NAN;
    if (mean_esd)
        *mean_esd = !l->finished ? NAN : n ? sum / (double)n : 0;
}

const char *bragg_lsq_singular(const bragg_lsq *l, size_t direction)
{
    return l->finished && direction < l->n_singular ? l->singular[direction] : NULL;
}

/* ------------------------------------------------------------ life cycle */

static bragg_status make_room(bragg_lsq *l, bragg_error *err)
{
    size_t m = l->m, blocks = (l->problem->n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    l->lanes = blocks < MAX_LANES ? blocks : MAX_LANES;
    double *v = bragg_arena_alloc(l->arena, 6 * m + 4 * m * m + 1, sizeof *v);
    l->lane = bragg_arena_alloc(l->arena, l->lanes * (1 + m + m * m), sizeof *l->lane);
    l->free = bragg_arena_alloc(l->arena, m + 1, sizeof *l->free);
    l->work = bragg_arena_alloc(l->arena, m * m + m + 1, sizeof *l->work);
    l->undetermined = bragg_arena_alloc(l->arena, m + 1, sizeof *l->undetermined);
    l->singular = bragg_arena_alloc(l->arena, m + 1, sizeof *l->singular);
    if (!v || !l->lane || !l->free || !l->work || !l->undetermined || !l->singular)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu variables", m);
    l->scale = v;
    l->delta = v + m;
    l->saved = v + 2 * m;
    l->now = (sums){ 0, v + 5 * m, v + 3 * m };
    l->trial = (sums){ 0, v + 5 * m + m * m, v + 4 * m };
    l->inverse = v + 5 * m + 2 * m * m;
    l->d_variables = v + 5 * m + 3 * m * m;
    l->covariance = v + 6 * m + 3 * m * m;
    if (l->opt.form == BRAGG_LSQ_DENSE && m) {
        l->jacobian = bragg_arena_alloc(l->arena, l->problem->n * m, sizeof *l->jacobian);
        l->r = bragg_arena_alloc(l->arena, l->problem->n, sizeof *l->r);
        l->dense = bragg_arena_alloc(l->arena, (l->problem->n + m) * (m + 2) + 2 * m, sizeof *l->dense);
        if (!l->jacobian || !l->r || !l->dense)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu x %zu derivatives", l->problem->n, m);
    }
    return BRAGG_OK;
}

bragg_status bragg_lsq_new(const bragg_lsq_problem *problem, bragg_params *params,
                           const bragg_lsq_options *options, bragg_lsq **out, bragg_error *err)
{
    static const bragg_lsq_options defaults = BRAGG_LSQ_OPTIONS_INIT;
    *out = NULL;
    if (problem->n == problem->padding)
        return bragg_fail(err, BRAGG_EDATA, "fit: expected data points, found none");
    bragg_lsq *l = calloc(1, sizeof *l);
    if (!l || !(l->arena = bragg_arena_new())) {
        free(l);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a fit");
    }
    *l = (bragg_lsq){ .problem = problem, .params = params, .opt = options ? *options : defaults,
                      .arena = l->arena, .mu = 1e-3, .nu = 2 };
    bragg_params_apply_ties(params);
    bragg_status st = make_layout(l, err);
    if (st == BRAGG_OK && l->m > problem->n - problem->padding)
        st = bragg_fail(err, BRAGG_EINVAL, "fit: %zu variables and only %zu data points", l->m,
                        problem->n - problem->padding);
    if (st == BRAGG_OK)
        st = check_start(l, err);
    if (st == BRAGG_OK)
        st = make_room(l, err);
    if (st < 0) {
        bragg_lsq_free(l);
        return st;
    }
    *out = l;
    return BRAGG_OK;
}

void bragg_lsq_free(bragg_lsq *l)
{
    if (!l)
        return;
    bragg_arena_free(l->arena);
    free(l);
}
