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
#include "analyse.h"

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
    const double *gap;        /* to the frame before, in usual gaps */
    double *value, *esd;      /* of one parameter, a frame each; NAN where it was not seen */
    double q[MOST], s2[MOST]; /* spread of a step, and scale of R */
} walk;

static bool seen(const bragg_frame_fit *t, size_t p)
{
    return t->done && t->status != BRAGG_FRAME_POOR && t->esd[p] > 0 && isfinite(t->value[p]);
}

/* --------------------------------------------------------- one parameter */

/* Looked at hundreds of times: a column of the table at a time is here, all of it nowhere. */
static void take_column(const walk *w, size_t p)
{
    for (size_t k = 0; k < w->n; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(w->s, k);
        bool there = seen(t, p);
        w->value[k] = there ? t->value[p] : NAN;
        w->esd[k] = there ? t->esd[p] : NAN;
    }
}

/* -2 ln of the likelihood of one course by its innovations (F. C. Schweppe, IEEE Trans.
 * Inf. Theory 11 (1965) 61); the first value is where it starts. */
static double misfit_of(const walk *w, double q, double s2)
{
    double x = NAN, variance = 0, sum = 0;
    for (size_t k = 0; k < w->n; k++) {
        variance += q * q * w->gap[k];
        double y = w->value[k], r = s2 * pow(w->esd[k], 2);
        if (isnan(y))
            continue;
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
    take_column(w, p);
    for (size_t k = 0; k < w->n; k++)
        if (!isnan(w->value[k]))
            esd[n++] = w->esd[k];
    qsort(esd, n, sizeof *esd, bragg_array_by_value);
    double usual = n ? esd[n / 2] : 1, log_q = 0, log_s = 0;
    free(esd);
    for (int i = -28; i <= 24; i++)
        for (int j = 0; j <= 10; j++) {
            double left = misfit_of(w, usual * exp(0.4 * i), exp(0.4 * j));
            if (left < least)
                least = left, log_q = 0.4 * i, log_s = 0.4 * j;
        }
    for (double step = 0.2; step > 0.01; step /= 2)
        for (int turn = 0; turn < 3; turn++)
            for (int way = 0; way < 4; way++) {
                double a = log_q + (way == 0 ? step : way == 1 ? -step : 0), b = fmax(log_s + (way == 2 ? step : way == 3 ? -step : 0), 0);
                double left = misfit_of(w, usual * exp(a), exp(b));
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
    const bragg_frame_fit *t = bragg_series_fitted(w->s, k);
    size_t n = 0;
    for (size_t i = 0; i < w->m; i++)
        if (seen(t, w->param[i]))
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
    double low[MOST], high[MOST], most[MOST];
    memset(p, 0, w->m * w->m * sizeof *p);
    for (size_t i = 0; i < w->m; i++)
        low[i] = INFINITY, high[i] = -INFINITY, most[i] = 0;
    for (size_t k = 0; k < w->n; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(w->s, k);
        for (size_t i = 0; i < w->m; i++)
            if (seen(t, w->param[i])) {
                low[i] = fmin(low[i], t->value[w->param[i]]), high[i] = fmax(high[i], t->value[w->param[i]]);
                most[i] = fmax(most[i], t->esd[w->param[i]]);
            }
    }
    for (size_t i = 0; i < w->m; i++) {
        x[i] = (low[i] + high[i]) / 2;
        p[i * w->m + i] = pow(10 * (high[i] - low[i]) + 100 * most[i], 2);
    }
}

/* From the state before frame `first` to that after each of frames first ... last - 1. */
static void forward(const walk *w, size_t first, size_t last, double *state, double *variance, double *x, double *p)
{
    size_t m = w->m;
    for (size_t k = first; k < last; k++) {
        for (size_t i = 0; i < m; i++)
            variance[i * m + i] += w->q[i] * w->q[i] * w->gap[k];
        update(w, k, state, variance);
        memcpy(x + (k - first) * m, state, m * sizeof *x);
        memcpy(p + (k - first) * m * m, variance, m * m * sizeof *p);
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

/* The way back needs what the way out knew of every frame.  It is kept before every PIECE-th
 * only, and what lies between is gone through once more: so little stands in memory of a
 * long run, and the numbers are the same. */
enum { PIECE = 128 };

static void smooth_piece(const walk *w, size_t phase, size_t column, size_t first, size_t last, double *x, double *p, double *later, bragg_smooth *out)
{
    size_t m = w->m;
    for (size_t k = last; k-- > first;) {
        double *now = x + (k - first) * m, *now_p = p + (k - first) * m * m;
        const bragg_frame_fit *t = bragg_series_fitted(w->s, k);
        if (k + 1 < w->n)
            step_back(w, k, now, now_p, k + 1 < last ? now + m : later, k + 1 < last ? now_p + m * m : later + m);
        for (size_t i = 0; i < m && t->done && t->level[phase] > 0; i++) {
            out->value[k * out->n_params + column + i] = now[i];
            out->esd[k * out->n_params + column + i] = sqrt(fmax(now_p[i * m + i], 0));
        }
    }
    memcpy(later, x, m * sizeof *x);
    memcpy(later + m, p, m * m * sizeof *p);
}

static bragg_status smooth_phase(const walk *w, size_t phase, size_t column, bragg_smooth *out, bragg_error *err)
{
    size_t m = w->m, one = m + m * m, pieces = (w->n + PIECE - 1) / PIECE;
    double *x = malloc((PIECE + pieces + 1) * one * sizeof *x), *p = x + PIECE * m, *kept = x + PIECE * one, *later = kept + pieces * one;
    double state[MOST], variance[MOST * MOST];
    if (!x)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to smooth %zu frames", w->n);
    begin(w, state, variance);
    for (size_t b = 0; b < pieces; b++) {
        memcpy(kept + b * one, state, m * sizeof *x);
        memcpy(kept + b * one + m, variance, m * m * sizeof *x);
        forward(w, b * PIECE, (b + 1) * PIECE < w->n ? (b + 1) * PIECE : w->n, state, variance, x, p);
    }
    for (size_t b = pieces; b-- > 0;) {
        size_t first = b * PIECE, last = first + PIECE < w->n ? first + PIECE : w->n;
        if (b + 1 < pieces) /* else it stands there still */
            forward(w, first, last, kept + b * one, kept + b * one + m, x, p);
        smooth_piece(w, phase, column, first, last, x, p, later, out);
    }
    free(x);
    return BRAGG_OK;
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
            times += seen(bragg_series_fitted(s, k), p);
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
        gap[k] = sorted[k - 1] = s->timed ? bragg_series_time_s(s, k) - bragg_series_time_s(s, k - 1) : 1;
    qsort(sorted, s->n - 1, sizeof *sorted, bragg_array_by_value);
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
    double *gap = malloc(3 * (s->n + 1) * sizeof *gap);
    bragg_smooth *to = bragg_arena_alloc(arena, 1, sizeof *to);
    bragg_status st = gap && to ? allot(s, arena, total, to, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for the smoothed series");
    if (st == BRAGG_OK && total)
        st = find_gaps(s, gap, err);
    for (size_t i = 0; i < s->n_phases && st == BRAGG_OK && total; i++) {
        walk w = { .s = s, .n = s->n, .gap = gap, .value = gap + s->n + 1, .esd = gap + 2 * (s->n + 1) };
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
