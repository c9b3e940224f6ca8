/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities extracted from the pattern: Le Bail, Duroy & Fourquet, Mater. Res.
 * Bull. 23 (1988) 447, by the partition of H. M. Rietveld, J. Appl. Cryst. 2 (1969) 65. */
#include "config.h"
#include "model.h"

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

/* Sums over the points of one peak: its share of the observed and of the
 * calculated pattern.  Points weigh by their own step, which a gap does not widen. */
static double step_at(const histogram *h, size_t i)
{
    double left = i ? h->x[i] - h->x[i - 1] : INFINITY, right = i + 1 < h->n ? h->x[i + 1] - h->x[i] : INFINITY;
    return fmin(left, right);
}

static void share_block(const histogram *h, size_t first, size_t last, const double *ratio, const double *step,
                        double *observed, double *calculated)
{
    size_t block = first / BRAGG_LSQ_BLOCK;
    for (size_t k = h->block_start[block]; k < h->block_start[block + 1]; k++) {
        size_t which = h->block_peak[k];
        const peak *e = &h->peak[which];
        size_t a = e->first > first ? e->first : first, b = e->last < last ? e->last : last;
        double p[BRAGG_LSQ_BLOCK] = { 0 };
        for (size_t o = 0; o < e->n_nodes; o++)
            bragg_pseudo_voigt_add(h->x + a, b - a, e->position + h->node[e->node + o].shift, e->fwhm, e->eta,
                                   h->node[e->node + o].weight, p, NULL, NULL, NULL);
        for (size_t i = a; i < b; i++) {
            double part = e->intensity * p[i - a] * step[i - first];
            observed[which] += part * ratio[i - first];
            calculated[which] += part;
        }
    }
}

static void share_points(const bragg_model *m, size_t which, double *observed, double *calculated)
{
    const histogram *h = &m->histogram[which];
    double y[BRAGG_LSQ_BLOCK], ratio[BRAGG_LSQ_BLOCK], step[BRAGG_LSQ_BLOCK];
    for (size_t first = 0; first < h->n; first += BRAGG_LSQ_BLOCK) {
        size_t last = first + BRAGG_LSQ_BLOCK < h->n ? first + BRAGG_LSQ_BLOCK : h->n;
        bragg_refine_calculate_block(m, which, first, last, y);
        for (size_t i = first; i < last; i++) {
            double b = bragg_refine_background(m, h, i), net = y[i - first] - b;
            ratio[i - first] = net > 0 ? (h->y[i] - b) / net : 1;
            step[i - first] = step_at(h, i);
        }
        share_block(h, first, last, ratio, step, observed, calculated);
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

static bragg_status extract_once(bragg_model *m, size_t which, double *change, bragg_error *err)
{
    const histogram *h = &m->histogram[which];
    size_t *start = calloc(m->n_phases + 1, sizeof *start), n = 0;
    for (size_t i = 0; start && i < m->n_phases; i++) {
        start[i] = n;
        n += m->phase[i].n_reflections;
    }
    double *peaks = calloc(2 * h->n_peaks + 1, sizeof *peaks), *sum = calloc(2 * n + 1, sizeof *sum);
    bragg_status st = start && peaks && sum ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", h->n_peaks);
    if (st == BRAGG_OK) {
        share_points(m, which, peaks, peaks + h->n_peaks);
        gather(m, h, peaks, peaks + h->n_peaks, start, sum);
        update_intensities(m, which, start, sum, change);
    }
    free(start);
    free(peaks);
    free(sum);
    return st;
}

bragg_status bragg_refine_extract(bragg_model *m, int rounds, double *change, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    *change = INFINITY;
    for (int k = 0; k < rounds && *change > 1e-5 && st == BRAGG_OK; k++) {
        *change = 0;
        for (size_t h = 0; h < m->n_histograms && st == BRAGG_OK; h++)
            st = extract_once(m, h, change, err);
    }
    return st;
}

size_t bragg_refine_extracted_get(const bragg_model *m, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_phases; i++)
        for (size_t h = 0; m->phase[i].extracted && h < m->n_histograms; h++)
            for (size_t r = 0; r < m->phase[i].n_reflections; r++, n++)
                if (out)
                    out[n] = log(fmax(m->phase[i].mix[h].f2[r], 1e-300));
    return n;
}

void bragg_refine_extracted_set(bragg_model *m, const double *from)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_phases; i++)
        for (size_t h = 0; m->phase[i].extracted && h < m->n_histograms; h++)
            for (size_t r = 0; r < m->phase[i].n_reflections; r++)
                m->phase[i].mix[h].f2[r] = exp(from[n++]);
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
        st = bragg_refine_extract(m, 5, &change, err);
    free(measured);
    free(scales);
    free(wanted);
    return st;
}
