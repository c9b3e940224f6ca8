/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fits of a run as one: the parameters of each phase wander from frame to frame, and
 * each fit has seen them with its covariance.
 *
 *      x[k] = x[k-1] + w,  w ~ N(0, q^2 dt)       y[k] = x[k] + v,  v ~ N(0, s R[k])
 *
 *  q, how far a parameter wanders, and s, by how much more than their esds the fits
 *  scatter, are learnt from the run; the smoother of H. E. Rauch, F. Tung & C. T.
 *  Striebel, AIAA J. 3 (1965) 1445 then gives each frame what all others know of it. */
#include "config.h"
#include "analysis.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 12, FEWEST = 6 };

typedef struct walk {
    const bragg_series *s;
    size_t n, m;              /* frames, parameters */
    size_t param[MOST];
    double *gap;              /* to the frame before, in usual gaps */
    double q[MOST], s2[MOST]; /* spread of a step, and scale of R */
} walk;

static bool seen(const bragg_series *s, size_t k, size_t p)
{
    const bragg_step *t = &s->step[k];
    return t->done && t->status != BRAGG_FRAME_POOR && t->esd[p] > 0 && isfinite(t->value[p]);
}

/* --------------------------------------------------------- one parameter */

/* -2 ln of the likelihood of one course by its innovations (F. C. Schweppe, IEEE Trans.
 * Inf. Theory 11 (1965) 61); the first value is where it starts. */
static double misfit_of(const walk *w, size_t p, double q, double s2)
{
    double x = NAN, variance = 0, sum = 0;
    for (size_t k = 0; k < w->n; k++) {
        variance += q * q * w->gap[k];
        if (!seen(w->s, k, p))
            continue;
        double y = w->s->step[k].value[p], r = s2 * pow(w->s->step[k].esd[p], 2);
        if (isfinite(x)) {
            double all = variance + r, off = y - x;
            sum += log(all) + off * off / all;
            x += variance / all * off;
            variance *= r / all;
        } else {
            x = y;
            variance = r;
        }
    }
    return sum;
}

/* Over q first on a coarse grid, then both in turn on ever finer ones. */
static bragg_status learn(const walk *w, size_t p, double *q, double *s2, bragg_error *err)
{
    double *esd = malloc((w->n + 1) * sizeof *esd), least = INFINITY;
    size_t n = 0;
    if (!esd)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu esds", w->n);
    for (size_t k = 0; k < w->n; k++)
        if (seen(w->s, k, p))
            esd[n++] = w->s->step[k].esd[p];
    qsort(esd, n, sizeof *esd, bragg_by_value);
    double usual = n ? esd[n / 2] : 1, log_q = 0, log_s = 0;
    free(esd);
    for (int i = -28; i <= 24; i++)
        for (int j = 0; j <= 10; j++) {
            double left = misfit_of(w, p, usual * exp(0.4 * i), exp(0.4 * j));
            if (left < least)
                least = left, log_q = 0.4 * i, log_s = 0.4 * j;
        }
    for (double step = 0.2; step > 0.01; step /= 2)
        for (int turn = 0; turn < 3; turn++)
            for (int way = 0; way < 4; way++) {
                double a = log_q + (way == 0 ? step : way == 1 ? -step : 0), b = fmax(log_s + (way == 2 ? step : way == 3 ? -step : 0), 0);
                double left = misfit_of(w, p, usual * exp(a), exp(b));
                if (left < least)
                    least = left, log_q = a, log_s = b;
            }
    *q = usual * exp(log_q);
    *s2 = exp(log_s);
    return BRAGG_OK;
}

/* ----------------------------------------------------------- all of a phase */

/* What the fit of frame k saw: which parameters, where, and their covariance. */
static size_t look(const walk *w, size_t k, size_t *which, double *y, double *r)
{
    const bragg_step *t = &w->s->step[k];
    size_t n = 0;
    for (size_t i = 0; i < w->m; i++)
        if (seen(w->s, k, w->param[i]))
            which[n++] = i;
    for (size_t a = 0; a < n; a++) {
        y[a] = t->value[w->param[which[a]]];
        for (size_t b = 0; b < n; b++) {
            double c = a == b ? 1 : bragg_series_correlation(w->s, k, w->param[which[a]], w->param[which[b]]);
            r[a * n + b] = c * t->esd[w->param[which[a]]] * t->esd[w->param[which[b]]] * sqrt(w->s2[which[a]] * w->s2[which[b]]);
        }
    }
    return n;
}

/* inverse <- of a symmetric positive matrix; false when it is none. */
static bool invert(double *a, size_t n)
{
    double scale[MOST];
    for (size_t i = 0; i < n; i++)
        scale[i] = a[i * n + i] > 0 ? 1 / sqrt(a[i * n + i]) : 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            a[i * n + j] = a[i * n + j] * scale[i] * scale[j] + (i == j ? 1e-12 : 0);
    if (!bragg_symmetric_invert(a, n))
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            a[i * n + j] *= scale[i] * scale[j];
    return true;
}

/* x, P given what frame k saw (R. E. Kalman's step). */
static void update(const walk *w, size_t k, double *x, double *p)
{
    size_t which[MOST], m = w->m, n;
    double y[MOST], s[MOST * MOST], gain[MOST * MOST], new[MOST * MOST];
    n = look(w, k, which, y, s);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            s[a * n + b] += p[which[a] * m + which[b]];
    if (!n || !invert(s, n))
        return;
    for (size_t i = 0; i < m; i++)
        for (size_t b = 0; b < n; b++) {
            gain[i * n + b] = 0;
            for (size_t a = 0; a < n; a++)
                gain[i * n + b] += p[i * m + which[a]] * s[a * n + b];
        }
    double off[MOST];
    for (size_t a = 0; a < n; a++)
        off[a] = y[a] - x[which[a]];
    for (size_t i = 0; i < m; i++)
        for (size_t a = 0; a < n; a++)
            x[i] += gain[i * n + a] * off[a];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++) {
            double less = 0;
            for (size_t a = 0; a < n; a++)
                less += gain[i * n + a] * p[which[a] * m + j];
            new[i * m + j] = p[i * m + j] - less;
        }
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            p[i * m + j] = (new[i * m + j] + new[j * m + i]) / 2;
}

/* Wide open where nothing is known yet, but not so wide that numbers are lost. */
static void begin(const walk *w, double *x, double *p)
{
    memset(p, 0, w->m * w->m * sizeof *p);
    for (size_t i = 0; i < w->m; i++) {
        double low = INFINITY, high = -INFINITY, most = 0;
        for (size_t k = 0; k < w->n; k++)
            if (seen(w->s, k, w->param[i])) {
                low = fmin(low, w->s->step[k].value[w->param[i]]), high = fmax(high, w->s->step[k].value[w->param[i]]);
                most = fmax(most, w->s->step[k].esd[w->param[i]]);
            }
        x[i] = (low + high) / 2;
        p[i * w->m + i] = pow(10 * (high - low) + 100 * most, 2);
    }
}

static void forward(const walk *w, double *x, double *p)
{
    size_t m = w->m;
    double state[MOST], variance[MOST * MOST];
    begin(w, state, variance);
    for (size_t k = 0; k < w->n; k++) {
        for (size_t i = 0; i < m; i++)
            variance[i * m + i] += w->q[i] * w->q[i] * w->gap[k];
        update(w, k, state, variance);
        memcpy(x + k * m, state, m * sizeof *x);
        memcpy(p + k * m * m, variance, m * m * sizeof *p);
    }
}

/* From frame k + 1 back to k: x += C (x' - x), P += C (P' - P - Q) C', C = P (P + Q)^-1. */
static void step_back(const walk *w, size_t k, double *x, double *p, const double *later, const double *later_p)
{
    size_t m = w->m;
    double ahead[MOST * MOST], inverse[MOST * MOST], c[MOST * MOST], d[MOST * MOST], off[MOST];
    memcpy(ahead, p, m * m * sizeof *p);
    for (size_t i = 0; i < m; i++)
        ahead[i * m + i] += w->q[i] * w->q[i] * w->gap[k + 1];
    memcpy(inverse, ahead, m * m * sizeof *p);
    if (!invert(inverse, m))
        return;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++) {
            c[i * m + j] = 0;
            for (size_t l = 0; l < m; l++)
                c[i * m + j] += p[i * m + l] * inverse[l * m + j];
        }
    for (size_t i = 0; i < m; i++)
        off[i] = later[i] - x[i];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++) {
            d[i * m + j] = 0;
            for (size_t l = 0; l < m; l++)
                d[i * m + j] += c[i * m + l] * (later_p[l * m + j] - ahead[l * m + j]);
        }
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++) {
            x[i] += c[i * m + j] * off[j];
            for (size_t l = 0; l < m; l++)
                p[i * m + j] += d[i * m + l] * c[j * m + l];
        }
}

static bragg_status smooth_phase(const walk *w, size_t phase, size_t column, bragg_smooth *out, bragg_error *err)
{
    size_t m = w->m;
    double *x = malloc((w->n * m + 1) * sizeof *x), *p = malloc((w->n * m * m + 1) * sizeof *p);
    bragg_status st = x && p ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to smooth %zu frames", w->n);
    if (st == BRAGG_OK)
        forward(w, x, p);
    for (size_t k = w->n; st == BRAGG_OK && k-- > 0;) {
        if (k + 1 < w->n)
            step_back(w, k, x + k * m, p + k * m * m, x + (k + 1) * m, p + (k + 1) * m * m);
        for (size_t i = 0; i < m && w->s->step[k].done && w->s->step[k].level[phase] > 0; i++) {
            out->value[k * out->n_params + column + i] = x[k * m + i];
            out->esd[k * out->n_params + column + i] = sqrt(fmax(p[k * m * m + i * m + i], 0));
        }
    }
    free(x);
    free(p);
    return st;
}

/* ------------------------------------------------------------------ all */

static size_t list_params(const bragg_series *s, size_t phase, size_t *param)
{
    char prefix[160];
    size_t n = 0;
    int length = snprintf(prefix, sizeof prefix, "phase.%.120s.", s->phase[phase]);
    for (size_t p = 0; p < s->n_params && n < MOST; p++) {
        size_t times = 0;
        for (size_t k = 0; k < s->n && times < FEWEST; k++)
            times += seen(s, k, p);
        if (times == FEWEST && !strncmp(s->name[p], prefix, (size_t)length) && strcmp(s->name[p] + length, "scale"))
            param[n++] = p;
    }
    return n;
}

static bragg_status find_gaps(const bragg_series *s, double *gap, bragg_error *err)
{
    double *sorted = malloc((s->n + 1) * sizeof *sorted);
    if (!sorted)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu gaps", s->n);
    gap[0] = sorted[0] = 1;
    for (size_t k = 1; k < s->n; k++)
        gap[k] = sorted[k - 1] = s->timed ? bragg_series_time(s, k) - bragg_series_time(s, k - 1) : 1;
    qsort(sorted, s->n - 1, sizeof *sorted, bragg_by_value);
    double usual = s->n > 1 ? sorted[(s->n - 1) / 2] : 1;
    for (size_t k = 1; k < s->n; k++)
        gap[k] = usual > 0 ? gap[k] / usual : 1;
    free(sorted);
    return BRAGG_OK;
}

static bragg_status allot(const bragg_series *s, bragg_arena *arena, size_t n_params, bragg_smooth *out, bragg_error *err)
{
    *out = (bragg_smooth){ .n = s->n, .n_params = n_params };
    out->param = bragg_arena_alloc(arena, n_params + 1, sizeof *out->param);
    out->walk = bragg_arena_alloc(arena, 2 * n_params * (s->n + 1) + 1, sizeof(double));
    if (!out->param || !out->walk)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the smoothed series");
    out->misfit = out->walk + n_params;
    out->value = out->misfit + n_params;
    out->esd = out->value + n_params * s->n;
    for (size_t k = 0; k < 2 * n_params * s->n; k++)
        out->value[k] = NAN;
    return BRAGG_OK;
}

bragg_status bragg_series_smooth(const bragg_series *s, bragg_arena *arena, bragg_smooth **out, bragg_error *err)
{
    size_t total = 0, column = 0, ignored[MOST];
    *out = NULL;
    for (size_t i = 0; i < s->n_phases; i++)
        total += list_params(s, i, ignored);
    double *gap = malloc((s->n + 1) * sizeof *gap);
    bragg_smooth *to = bragg_arena_alloc(arena, 1, sizeof *to);
    bragg_status st = gap && to ? allot(s, arena, total, to, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for the smoothed series");
    if (st == BRAGG_OK && total)
        st = find_gaps(s, gap, err);
    for (size_t i = 0; i < s->n_phases && st == BRAGG_OK && total; i++) {
        walk w = { .s = s, .n = s->n, .gap = gap };
        w.m = list_params(s, i, w.param);
        for (size_t k = 0; k < w.m && st == BRAGG_OK; k++) {
            st = learn(&w, w.param[k], &w.q[k], &w.s2[k], err);
            to->param[column + k] = w.param[k];
            to->walk[column + k] = w.q[k];
            to->misfit[column + k] = sqrt(w.s2[k]);
        }
        if (st == BRAGG_OK && w.m)
            st = smooth_phase(&w, i, column, to, err);
        column += w.m;
    }
    free(gap);
    if (st == BRAGG_OK && total)
        *out = to;
    return st;
}
