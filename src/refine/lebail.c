/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities extracted from the pattern: Le Bail, Duroy & Fourquet, Mater. Res.
 * Bull. 23 (1988) 447, by the partition of H. M. Rietveld, J. Appl. Cryst. 2 (1969) 65. */
#include "config.h"
#include "model.h"
#include "shape.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What falls below this part of the largest intensity is kept there: a zero could
 * never rise again. */
static const double least_intensity = 1e-9;

bool bragg_refine_extracts(const bragg_model *m)
{
    for (size_t i = 0; i < m->n_phases; i++)
        if (m->phase[i].extracted)
            return true;
    return false;
}

/* ------------------------------------------------------------ partition */

/* Profiles of all peaks over the points they reach, computed once for the rounds
 * of one extraction: peak k's begin at start[k]. */
typedef struct profiles {
    size_t n, *peak, *start;  /* peaks whose intensity is extracted, where their profiles begin */
    double *p, *background, *step, *net, *rest, *above; /* rest: what the other peaks add up to */
} profiles;

static void free_profiles(profiles *f)
{
    free(f->peak);
    free(f->p);
    free(f->background);
}

static void add_scaled_peak(const peak *e, const double *p, double *to) { bragg_shape_add_scaled(to + e->first, p, e->last - e->first, e->intensity); }

/* Sums of p a and p b. */
CLONES static void two_sums(const double *restrict p, const double *restrict a, const double *restrict b, size_t n, double sum[2])
{
    double s = 0, t = 0;
#pragma omp simd reduction(+ : s, t)
    for (size_t i = 0; i < n; i++) {
        s += p[i] * a[i];
        t += p[i] * b[i];
    }
    sum[0] = s;
    sum[1] = t;
}

static bragg_status make_profiles(const bragg_model *m, const histogram *h, profiles *f, bragg_error *err)
{
    *f = (profiles){ .peak = calloc(2 * h->n_peaks + 1, sizeof *f->peak), .background = calloc(6 * h->n + 1, sizeof *f->p) };
    size_t total = 0;
    f->start = f->peak + h->n_peaks;
    for (size_t k = 0; f->peak && k < h->n_peaks; k++) {
        if (!m->phase[h->peak[k].phase].extracted)
            continue;
        f->start[f->n] = total;
        f->peak[f->n++] = k;
        total += h->peak[k].last - h->peak[k].first;
    }
    f->p = calloc(total + 1, sizeof *f->p);
    if (!f->peak || !f->background || !f->p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the profiles of %zu peaks", h->n_peaks);
    f->step = f->background + h->n;
    f->net = f->step + h->n;
    f->rest = f->net + h->n;
    f->above = f->rest + h->n;
    for (size_t i = 0; i < h->n; i++) {
        f->background[i] = bragg_refine_background(m, h, i);
        f->step[i] = bragg_refine_step_at(h, i);
    }
    double *one = f->above + h->n;
    for (size_t k = 0, j = 0; k < h->n_peaks; k++) {
        const peak *e = &h->peak[k];
        bool own = j < f->n && f->peak[j] == k;
        double *to = own ? f->p + f->start[j++] : memset(one, 0, (e->last - e->first) * sizeof *one);
        bragg_refine_add_profile(h, e, e->first, e->last, BRAGG_DEG / 100, to);
        if (!own)
            add_scaled_peak(e, to, f->rest);
    }
    return BRAGG_OK;
}

/* What peaks add up to. */
static void add_peaks(const histogram *h, const profiles *f)
{
    memcpy(f->net, f->rest, h->n * sizeof *f->net);
    for (size_t j = 0; j < f->n; j++)
        add_scaled_peak(&h->peak[f->peak[j]], f->p + f->start[j], f->net);
}

/* Rietveld's partition: each peak's share of what was observed above the background,
 * and its calculated intensity, both over the points in range. */
static void share_points(const histogram *h, const profiles *f, double *observed, double *calculated)
{
    for (size_t i = 0; i < h->n; i++) /* from here the ratio of observed to calculated, less one, by the step */
        f->net[i] = f->net[i] > 0 ? f->step[i] * ((h->y[i] - f->background[i]) / f->net[i] - 1) : 0;
    for (size_t j = 0; j < f->n; j++) {
        size_t k = f->peak[j];
        const peak *e = &h->peak[k];
        double sum[2];
        two_sums(f->p + f->start[j], f->step + e->first, f->net + e->first, e->last - e->first, sum);
        calculated[k] = e->intensity * sum[0];
        observed[k] = e->intensity * (sum[0] + sum[1]);
    }
}

/* The same with the fit's weights: observed and calculated pattern as each peak sees
 * them.  The partition alone does not end where chi^2 is least; these rounds do
 * (M. E. Daube-Witherspoon & G. Muehllehner, IEEE Trans. Med. Imaging 5 (1986) 61;
 * A. R. De Pierro, ibid. 6 (1987) 174), so that extraction and least squares pull
 * the same way. */
static void project_points(const histogram *h, const profiles *f, double *observed, double *calculated)
{
    for (size_t i = 0; i < h->n; i++) {
        double w = h->weight[i] * h->weight[i];
        f->net[i] *= w;
        f->above[i] = w * (h->y[i] - f->background[i]);
    }
    for (size_t j = 0; j < f->n; j++) {
        size_t k = f->peak[j];
        const peak *e = &h->peak[k];
        double sum[2];
        two_sums(f->p + f->start[j], f->above + e->first, f->net + e->first, e->last - e->first, sum);
        observed[k] = e->intensity * sum[0];
        calculated[k] = e->intensity * sum[1];
    }
}

/* Sums of a reflection's lines, which share its |F|^2, and its new |F|^2. */
static void gather(const bragg_model *m, const histogram *h, const double *observed, const double *calculated,
                   const size_t *start, double *sum)
{
    for (size_t k = 0; k < h->n_peaks; k++) {
        const peak *e = &h->peak[k];
        size_t r = start[e->phase] + e->reflection;
        sum[2 * r] += m->phase[e->phase].extracted ? observed[k] : 0;
        sum[2 * r + 1] += m->phase[e->phase].extracted ? calculated[k] : 0;
    }
}

static void update_intensities(bragg_model *m, size_t which, const size_t *start, double *sum, double *change)
{
    histogram *h = &m->histogram[which];
    double moved = 0, total = 0;
    for (size_t i = 0; i < m->n_phases; i++) {
        phase *p = &m->phase[i];
        double most = 0, *f2 = p->mix[which].f2;
        for (size_t r = 0; p->extracted && r < p->n_reflections; r++) {
            double *s = sum + 2 * (start[i] + r), next = s[1] > 0 ? f2[r] * s[0] / s[1] : f2[r];
            moved += fabs(s[0] - s[1]);
            total += s[1];
            s[0] = next;
            most = fmax(most, next);
        }
        for (size_t r = 0; p->extracted && r < p->n_reflections; r++) {
            double *s = sum + 2 * (start[i] + r), next = fmax(s[0], least_intensity * most);
            s[1] = f2[r] > 0 ? next / f2[r] : 1;
            f2[r] = next;
        }
    }
    for (size_t k = 0; k < h->n_peaks; k++)
        if (m->phase[h->peak[k].phase].extracted) {
            double factor = sum[2 * (start[h->peak[k].phase] + h->peak[k].reflection) + 1];
            h->peak[k].intensity *= factor;
            h->listed[k].intensity *= factor;
            h->listed[k].f2 *= factor;
        }
    *change = fmax(*change, total > 0 ? moved / total : 0);
}

/* Rounds of partition in one pattern; *change is the last one's. */
static bragg_status extract_pattern(bragg_model *m, size_t which, int rounds, bool weighted, double *change, bragg_error *err)
{
    const histogram *h = &m->histogram[which];
    profiles f;
    size_t *start = calloc(m->n_phases + 1, sizeof *start), n = 0;
    for (size_t i = 0; start && i < m->n_phases; i++) {
        start[i] = n;
        n += m->phase[i].n_reflections;
    }
    double *peaks = calloc(2 * h->n_peaks + 1, sizeof *peaks), *sum = calloc(2 * n + 1, sizeof *sum), moved = INFINITY;
    bragg_status st = make_profiles(m, h, &f, err);
    if (st == BRAGG_OK && (!start || !peaks || !sum))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", h->n_peaks);
    for (int k = 0; k < rounds && moved > 1e-6 && st == BRAGG_OK; k++) {
        moved = 0;
        memset(sum, 0, 2 * n * sizeof *sum);
        add_peaks(h, &f);
        (weighted ? project_points : share_points)(h, &f, peaks, peaks + h->n_peaks);
        gather(m, h, peaks, peaks + h->n_peaks, start, sum);
        update_intensities(m, which, start, sum, &moved);
    }
    *change = fmax(*change, moved);
    free_profiles(&f);
    free(start);
    free(peaks);
    free(sum);
    return st;
}

bragg_status bragg_refine_extract(bragg_model *m, int rounds, bool weighted, double *change, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    *change = 0;
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
        st = extract_pattern(m, h, rounds, weighted, change, err);
    return st;
}

/* ---------------------------------------------------------------- start */

/* The background before any intensity is known: the polynomial through what SNIP
 * leaves of the pattern, by the model's own least squares with all peaks off. */
static bragg_status swap_for_baseline(histogram *h, double **measured, bragg_error *err)
{
    bragg_pattern *p = bragg_pattern_new(h->n, BRAGG_AXIS_TTH);
    double *base = malloc(h->n * sizeof *base);
    bragg_status st = p && base ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", h->n);
    if (st == BRAGG_OK) {
        memcpy(p->x, h->x, h->n * sizeof *p->x);
        memcpy(p->y, h->y, h->n * sizeof *p->y);
        for (size_t i = 0; i < h->n; i++)
            p->sigma[i] = 1 / h->weight[i];
        st = bragg_pattern_background(p, 80 * (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1), base, err);
    }
    bragg_pattern_free(p);
    if (st < 0) {
        free(base);
        return st;
    }
    *measured = h->y;
    h->y = base;
    return BRAGG_OK;
}

static void silence(bragg_model *m, double scale)
{
    for (size_t i = 0; i < m->n_phases; i++)
        for (size_t h = 0; h < m->n_histograms; h++)
            m->params.at[m->phase[i].mix[h].scale_row].value = scale;
}

static bragg_status fit_baseline(bragg_model *m, bool *wanted, bragg_error *err)
{
    bragg_lsq *l = NULL;
    size_t n = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        wanted[i] = m->params.at[i].refine;
        n += m->params.at[i].refine = wanted[i] && strstr(m->params.at[i].name, "background.");
    }
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    bragg_status st = n ? bragg_lsq_new(&m->problem, &m->params, &o, &l, err) : BRAGG_OK;
    if (l && st == BRAGG_OK)
        st = bragg_lsq_solve(l, err);
    bragg_lsq_free(l);
    for (size_t i = 0; i < m->params.n; i++)
        m->params.at[i].refine = wanted[i];
    return st < 0 && st != BRAGG_ENOCONV ? st : BRAGG_OK;
}

bragg_status bragg_refine_extract_start(bragg_model *m, bragg_error *err)
{
    double **measured = calloc(m->n_histograms + 1, sizeof *measured), *scales = calloc(m->params.n + 1, sizeof *scales), change;
    bool *wanted = calloc(m->params.n + 1, sizeof *wanted);
    bragg_status st = measured && scales && wanted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a start");
    for (size_t i = 0; st == BRAGG_OK && i < m->params.n; i++)
        scales[i] = m->params.at[i].value;
    for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
        st = swap_for_baseline(&m->histogram[h], &measured[h], err);
    if (st == BRAGG_OK) {
        silence(m, 0);
        st = fit_baseline(m, wanted, err);
    }
    for (size_t h = 0; measured && h < m->n_histograms && measured[h]; h++) {
        free(m->histogram[h].y);
        m->histogram[h].y = measured[h];
    }
    for (size_t i = 0; i < m->n_phases && scales; i++)
        for (size_t h = 0; h < m->n_histograms; h++)
            m->params.at[m->phase[i].mix[h].scale_row].value = scales[m->phase[i].mix[h].scale_row];
    if (st == BRAGG_OK)
        st = bragg_refine_prepare(m, &m->params, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_refine_extract(m, 5, false, &change, err);
    free(measured);
    free(scales);
    free(wanted);
    return st;
}
