/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much of a pattern each phase is worth: of those that are there, of those that might be, and
 * what none of them explains. */
#include "config.h"
#include "fitting.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bragg_status make_room(seq_worker *w, bragg_error *err)
{
    size_t n = bragg_model_points(w->m, 0), terms = w->x->pattern->histogram.background_terms, phases = w->shape.n_phases;
    if (n > w->room || !w->points) {
        free(w->points);
        free(w->basis);
        free(w->pattern);
        w->room = n;
        w->points = malloc((N_COLUMNS * n + 2) * sizeof(double));
        w->basis = malloc(((terms + phases) * n + 1) * sizeof(double));
        w->pattern = malloc((phases * n + 1) * sizeof(double));
    }
    w->n = n;
    return w->points && w->basis && w->pattern ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void subtract(double *a, const double *b, double by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] -= by * b[i];
}

/* A further column of the basis, by modified Gram-Schmidt. */
static void add_basis(seq_worker *w, const double *from)
{
    double *b = w->basis + w->n_basis * w->n, before = dot(from, from, w->n);
    memcpy(b, from, w->n * sizeof *b);
    for (size_t j = 0; j < w->n_basis; j++)
        subtract(b, w->basis + j * w->n, dot(b, w->basis + j * w->n, w->n), w->n);
    double size = dot(b, b, w->n);
    if (!(size > 1e-12 * before) || !(before > 0))
        return;
    for (size_t i = 0; i < w->n; i++)
        b[i] /= sqrt(size);
    w->n_basis++;
}

/* The background's part of what follows: one for all phases that are weighed with the same
 * sigmas. */
static void make_background_basis(seq_worker *w)
{
    double row[64], *x = column(w, X), *u = column(w, UNIT);
    size_t terms = w->x->pattern->histogram.background_terms;
    w->n_basis = 0;
    for (size_t k = 0; k < terms; k++) {
        for (size_t i = 0; i < w->n; i++) {
            bragg_chebyshev_row((2 * x[i] - x[0] - x[w->n - 1]) / (x[w->n - 1] - x[0]), k + 1, row);
            u[i] = row[k] / column(w, SIGMA)[i];
        }
        add_basis(w, u);
    }
    w->n_background = w->n_basis;
}

/* What the fit moves anyway and a further phase must not live on: background, and the
 * phases that are there but one. */
void bragg_evidence_basis(seq_worker *w, size_t but)
{
    w->n_basis = w->n_background;
    for (size_t i = 0; i < w->shape.n_phases; i++)
        if (w->level[i] && i != but)
            add_basis(w, w->pattern + i * w->n);
}

/* Profiles are never quite right, and where they are strong they are wrong by many
 * sigmas.  For weighing phases sigma is widened to sigma^2 b + (f net)^2: b from the
 * median of the points without peaks, f from what is left where peaks stand. */
static void widen_sigmas(seq_worker *w)
{
    double *sigma = column(w, SIGMA), *u = column(w, UNIT), above = 0, net2 = 0;
    size_t quiet = 0;
    for (size_t i = 0; i < w->n; i++) {
        double d = column(w, OBSERVED)[i] - column(w, CALCULATED)[i], net = column(w, CALCULATED)[i] - column(w, BACKGROUND)[i];
        if (net < sigma[i])
            u[quiet++] = fabs(d / sigma[i]);
        else
            above += d * d - sigma[i] * sigma[i], net2 += net * net;
    }
    qsort(u, quiet, sizeof *u, bragg_array_by_value);
    double base = quiet > 20 ? fmax(1, 1.4826 * u[quiet / 2]) : 1, f2 = net2 > 0 ? fmax(above / net2, 0) : 0;
    for (size_t i = 0; i < w->n; i++) {
        double net = column(w, CALCULATED)[i] - column(w, BACKGROUND)[i];
        sigma[i] = sqrt(base * base * sigma[i] * sigma[i] + f2 * net * net);
    }
}

/* Berar & Lelann, as in <bragg/refine.h>. */
static double serial(const double *r, size_t n, double chi2)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && r[i] * r[i - 1] < 0)
            total += sum * sum, sum = 0;
        sum += r[i];
    }
    return chi2 > 0 ? sqrt(fmax((total + sum * sum) / chi2 / (1 + 4 / BRAGG_PI), 1)) : 1;
}

/* Width of a peak in points: of the phase whose peaks are broadest. */
static size_t peak_points(const seq_worker *w)
{
    size_t n;
    const bragg_model_peak *p = bragg_model_peaks(w->m, 0, &n);
    double most = 0, sum = 0, all = 0, step = (column(w, X)[w->n - 1] - column(w, X)[0]) / (double)(w->n - 1);
    for (size_t k = 0; k < n; k++) {
        if (k && p[k].phase != p[k - 1].phase)
            sum = all = 0;
        sum += p[k].intensity * hypot(p[k].gauss_fwhm_rad, p[k].lorentz_fwhm_rad), all += p[k].intensity;
        if (all > 0 && (k + 1 == n || p[k + 1].phase != p[k].phase))
            most = fmax(most, sum / all);
    }
    double points = most > 0 ? most / step : 8;
    return (size_t)fmin(fmax(points, 2), (double)w->n / 40);
}

/* Less the mean over the window: a background that is not quite right is no peak. */
static void high_pass(const seq_worker *w, double *v)
{
    double *sums = column(w, SUMS);
    sums[0] = 0;
    for (size_t i = 0; i < w->n; i++)
        sums[i + 1] = sums[i] + v[i];
    for (size_t i = 0; i < w->n; i++) {
        size_t from = i > w->window ? i - w->window : 0, to = i + w->window + 1 < w->n ? i + w->window + 1 : w->n;
        v[i] -= (sums[to] - sums[from]) / (double)(to - from);
    }
}

double bragg_evidence_residuals(seq_worker *w)
{
    double *r = column(w, RESIDUAL);
    for (size_t i = 0; i < w->n; i++)
        r[i] = (column(w, OBSERVED)[i] - column(w, CALCULATED)[i]) / column(w, SIGMA)[i];
    high_pass(w, r);
    return dot(r, r, w->n);
}

static bragg_status unit_pattern(seq_worker *w, size_t phase, double *g, bragg_error *err)
{
    for (size_t i = 0; i < w->shape.n_phases; i++)
        bragg_model_switch(w->m, i, i == phase);
    double *background = column(w, UNIT);
    bragg_status st = bragg_model_calculate(w->m, 0, NULL, NULL, NULL, g, background, err);
    for (size_t i = 0; st == BRAGG_OK && i < w->n; i++)
        g[i] = (g[i] - background[i]) / column(w, SIGMA)[i];
    if (st == BRAGG_OK)
        high_pass(w, g);
    return st;
}

/* The pattern as it stands, and how much of it each phase is worth: its part that
 * neither background nor other phases can take over, in sigmas. */
bragg_status bragg_evidence_calculate(seq_worker *w, bragg_error *err)
{
    bragg_status st = make_room(w, err);
    if (st == BRAGG_OK)
        st = bragg_model_calculate(w->m, 0, column(w, X), column(w, OBSERVED), column(w, SIGMA), column(w, CALCULATED), column(w, BACKGROUND), err);
    if (st < 0)
        return st;
    memcpy(column(w, MEASURED), column(w, SIGMA), w->n * sizeof(double));
    widen_sigmas(w);
    make_background_basis(w);
    w->window = 8 * peak_points(w);
    w->misfit = bragg_evidence_residuals(w);
    w->widening = sqrt(fmax(w->misfit / (double)w->n, 1)) * serial(column(w, RESIDUAL), w->n, w->misfit);
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++)
        if (w->level[i])
            st = unit_pattern(w, i, w->pattern + i * w->n, err);
    for (size_t i = 0; i < w->shape.n_phases; i++)
        bragg_model_switch(w->m, i, w->level[i] > 0);
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
        w->strength[i] = 0;
        if (!w->level[i] || !has_scale(w, i))
            continue;
        double *g = column(w, UNIT);
        bragg_evidence_basis(w, i);
        memcpy(g, w->pattern + i * w->n, w->n * sizeof *g);
        for (size_t k = 0; k < w->n_basis; k++)
            subtract(g, w->basis + k * w->n, dot(g, w->basis + k * w->n, w->n), w->n);
        w->strength[i] = sqrt(dot(g, g, w->n)) / w->widening;
    }
    return st;
}

static bool is_length(const seq_worker *w, size_t k)
{
    const char *name = w->shape.name[k];
    return w->kind[k] == KIND_CELL && is_edge(w, k) && !strstr(name, ".cell.al") && !strstr(name, ".cell.be") && !strstr(name, ".cell.ga");
}

/* Width of a phase that nobody has seen yet: as of 60 nm, of 22 and 0.2 % of strain, or of 8
 * and 0.6 %. */
void bragg_evidence_give_width(const seq_worker *w, size_t k, int broad)
{
    static const double size_nm[] = { 60, 22, 8 }, strain[] = { 0, 2000, 6000 };
    const char *rest = strrchr(w->shape.name[k], '.');
    if (!strcmp(rest, ".size") && (broad || param(w, k)->value >= 1e5)) /* what broadens nothing has no slope to start from */
        bragg_worker_set_value(w, k, size_nm[broad]);
    if (!strcmp(rest, ".strain") && broad)
        bragg_worker_set_value(w, k, strain[broad]);
}

/* The phase as it is tried: from w->saved, or the experiment's start. */
void bragg_evidence_dress(const seq_worker *w, size_t phase, const score *s)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        if (w->phase_of[k] != phase)
            continue;
        if (w->kind[k] == KIND_CELL)
            bragg_worker_set_value(w, k, (s->anew ? w->initial[k] : w->saved[k]) * (is_length(w, k) ? 1 + s->strain : 1));
        else if (w->kind[k] == KIND_REST)
            bragg_evidence_give_width(w, k, s->broad);
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
}

/* How much of the residual the phase would take at once, dressed like that: the score of
 * its scale at zero, background free. */
static bragg_status try_dress(seq_worker *w, size_t phase, const score *as, score *best, bragg_error *err)
{
    double *g = w->pattern + phase * w->n;
    bragg_evidence_dress(w, phase, as);
    param(w, w->scale_of[phase])->value = 1;
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_status st = unit_pattern(w, phase, g, err);
    if (st < 0)
        return st;
    double hit = dot(g, column(w, RESIDUAL), w->n);
    for (size_t k = 0; k < w->n_basis; k++)
        subtract(g, w->basis + k * w->n, dot(g, w->basis + k * w->n, w->n), w->n);
    double size = dot(g, g, w->n), z = size > 0 ? hit / sqrt(size) : 0, worth = copysign(pow(z / w->widening, 2), z) - bragg_memory_contradiction(w, phase);
    if (worth > best->worth || !(best->sigma > 0)) {
        *best = *as;
        best->worth = worth, best->z = z, best->scale = size > 0 ? hit / size : 0, best->sigma = size > 0 ? 1 / sqrt(size) : NAN;
    }
    return BRAGG_OK;
}

/* Is there a cell that went far from where it began, a width that is narrow as it began? */
static void what_to_try(const seq_worker *w, size_t phase, bool *far, bool *narrow)
{
    *far = *narrow = false;
    for (size_t k = 0; k < w->shape.n_params; k++) {
        const char *rest = strrchr(w->shape.name[k], '.');
        if (w->phase_of[k] != phase)
            continue;
        *far |= is_length(w, k) && fabs(w->saved[k] / w->initial[k] - 1) > 0.01;
        *narrow |= w->saved[k] == w->initial[k] && !(w->doubt[k] > 0) && ((!strcmp(rest, ".size") && w->saved[k] > 20) || (!strcmp(rest, ".strain") && w->saved[k] < 1000));
    }
}

/* Over cells within +-steps * 0.12 %, half a synchrotron line's width; two and four times that
 * where the lines are broad.  State and residual are as save_state and calculate left
 * them, and are left so. */
bragg_status bragg_evidence_score(seq_worker *w, size_t phase, int steps, score *best, bragg_error *err)
{
    bool cell = bragg_worker_columns(w, phase, KIND_CELL) > bragg_worker_columns(w, phase, KIND_SCALE), far, narrow;
    bragg_status st = BRAGG_OK;
    what_to_try(w, phase, &far, &narrow);
    *best = (score){ .sigma = NAN };
    for (int anew = 0; anew <= (int)far; anew++)
        for (int broad = 0; broad <= (narrow ? 2 : 0); broad++) {
            int each = 1 << broad, most = cell ? steps / each : 0;
            for (int k = -most; k <= most && st == BRAGG_OK; k++) {
                const score as = { .strain = 1.2e-3 * k * each, .anew = anew, .broad = broad };
                st = try_dress(w, phase, &as, best, err);
            }
            bragg_worker_restore(w);
        }
    return st;
}

/* Maxima of the residual, smoothed over a peak's width, where nothing is calculated. */
void bragg_evidence_unknown(const seq_worker *w, double *out)
{
    size_t half = w->window / 16 + 1;
    const double *r = column(w, RESIDUAL), *x = column(w, X), *c = column(w, CALCULATED), *b = column(w, BACKGROUND), *sigma = column(w, SIGMA);
    double before = 0, here = 0; /* not over the misfit: that is what they make */
    for (int k = 0; k < 2 * BRAGG_FRAME_UNKNOWN_PEAKS; k++)
        out[k] = 0;
    bool free_here = false;
    for (size_t i = half; i + half < w->n; i++) {
        double sum = 0, excess = 0, known = 0;
        for (size_t j = i - half; j <= i + half; j++) {
            sum += r[j];
            excess += r[j] * sigma[j];
        }
        for (size_t j = i > 3 * half ? i - 3 * half : 0; j <= i + 3 * half && j < w->n; j++) /* the flank of a peak is no peak */
            known += c[j] - b[j];
        double after = sum / sqrt(2 * (double)half + 1);
        bool free_after = excess > known;
        if (here > 8 && here >= before && here > after && free_here) {
            int weakest = 0;
            for (int k = 1; k < BRAGG_FRAME_UNKNOWN_PEAKS; k++)
                if (out[2 * k + 1] < out[2 * weakest + 1])
                    weakest = k;
            if (here > out[2 * weakest + 1])
                out[2 * weakest] = x[i - 1], out[2 * weakest + 1] = here;
        }
        before = here, here = after, free_here = free_after;
    }
}

size_t bragg_seq_points(const seq_worker *w, const double **x_rad, const double **observed, const double **calculated, const double **sigma)
{
    if (w->n) {
        *x_rad = column(w, X);
        *observed = column(w, OBSERVED);
        *calculated = column(w, CALCULATED);
        *sigma = column(w, MEASURED);
    }
    return w->n;
}
