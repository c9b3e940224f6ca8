/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A phase that least squares has lost: its cell by trying all in reach. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Steps to either side and their size, by the number of free edges: a peak broadened
 * by one step's error overlaps its neighbours on the grid. */
static const struct { int steps; double size; } grids[4] = { { 0, 0 }, { 16, 0.0008 }, { 14, 0.0009 }, { 6, 0.002 } };

double bragg_refine_scan_spread(const bragg_model *m, size_t which)
{
    size_t edges[3];
    return grids[bragg_refine_free_edges(m, which, edges)].size;
}

size_t bragg_refine_free_edges(const bragg_model *m, size_t which, size_t edges[3])
{
    const phase *p = &m->phase[which];
    size_t n = 0;
    for (int k = 0; k < 3; k++) {
        const bragg_param *row = &m->params.at[p->cell_row + k];
        if (row->tie_to < 0 && row->lower < row->upper)
            edges[n++] = p->cell_row + k;
    }
    return n;
}

/* By how much the phase, at its best scale, lowers the sum of squares of what the
 * others leave: (r c)^2 / c c of weighted residuals r and its pattern c. */
static double gain(const bragg_model *m, size_t which, double *const *left, double *c)
{
    double sum = 0;
    for (size_t k = 0; k < m->n_histograms; k++) {
        const histogram *h = &m->histogram[k];
        double cross = 0, square = 0;
        memset(c, 0, h->n * sizeof *c);
        for (size_t i = 0; i < h->n_peaks; i++)
            if (h->peak[i].phase == which)
                bragg_refine_add_profile(h, &h->peak[i], h->peak[i].first, h->peak[i].last, h->peak[i].intensity, c);
        for (size_t i = 0; i < h->n; i++) {
            double v = c[i] * h->weight[i];
            cross += v * left[k][i];
            square += v * v;
        }
        sum += cross > 0 && square > 0 ? cross * cross / square : 0;
    }
    return sum;
}

static bragg_status try_all(bragg_model *m, size_t which, double *const *left, double *room, bragg_error *err)
{
    size_t edges[3], n = bragg_refine_free_edges(m, which, edges);
    int steps = grids[n].steps, side = 2 * steps + 1, total = 1;
    double start[3], best[3], most = -1;
    for (size_t k = 0; k < n; k++) {
        start[k] = best[k] = m->params.at[edges[k]].value;
        total *= side;
    }
    for (int at = 0; n && at < total; at++) {
        int rest = at;
        for (size_t k = 0; k < n; k++, rest /= side) {
            bragg_param *edge = &m->params.at[edges[k]];
            edge->value = fmin(fmax(start[k] * (1 + (rest % side - steps) * grids[n].size), edge->lower), edge->upper);
        }
        bragg_params_apply_ties(&m->params);
        bragg_status st = bragg_refine_prepare(m, &m->params, NULL, err);
        if (st < 0)
            return st;
        double found = gain(m, which, left, room);
        if (!(found > most))
            continue;
        most = found;
        for (size_t k = 0; k < n; k++)
            best[k] = m->params.at[edges[k]].value;
    }
    for (size_t k = 0; k < n; k++)
        m->params.at[edges[k]].value = best[k];
    bragg_params_apply_ties(&m->params);
    return BRAGG_OK;
}

/* What is left of each pattern without the phase, weighted, in one piece of memory with room for
 * one pattern more behind: free it. */
static bragg_status leave_out(bragg_model *m, size_t which, double ***out, double **room, bragg_error *err)
{
    size_t total = 0, most = 0;
    for (size_t k = 0; k < m->n_histograms; k++) {
        total += m->histogram[k].n;
        most = m->histogram[k].n > most ? m->histogram[k].n : most;
    }
    double **left = *out = malloc((m->n_histograms + 1) * sizeof *left + (total + most + 1) * sizeof **left), *next = (double *)(left + m->n_histograms + 1);
    bragg_status st = left ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to search a phase");
    for (size_t k = 0; k < m->n_histograms && st == BRAGG_OK; k++) { /* the phase's own scale counts as none */
        const histogram *h = &m->histogram[k];
        bragg_param *scale = &m->params.at[m->phase[which].mix[k].scale_row];
        double keep = scale->value;
        left[k] = next;
        next += h->n;
        scale->value = 0;
        st = bragg_model_calculate(m, k, NULL, NULL, NULL, left[k], NULL, err);
        scale->value = keep > 0 ? keep : 1;
        for (size_t i = 0; i < h->n && st == BRAGG_OK; i++)
            left[k][i] = (h->y[i] - left[k][i]) * h->weight[i];
    }
    *room = next;
    return st;
}

bragg_status bragg_refine_scan_cell(bragg_model *m, size_t which, bragg_error *err)
{
    double **left, *room;
    bragg_status st = leave_out(m, which, &left, &room, err);
    if (st == BRAGG_OK)
        st = try_all(m, which, left, room, err);
    free(left);
    return st;
}

/* ---------------------------------------------------------------- offsets */

/* The same of a phase with intensities of its own: each reflection at its best one. */
static double gain_apart(const bragg_model *m, size_t which, double *const *left, double *c)
{
    double sum = 0;
    for (size_t k = 0; k < m->n_histograms; k++) {
        const histogram *h = &m->histogram[k];
        for (size_t i = 0, next; i < h->n_peaks; i = next) { /* all lines of a reflection */
            size_t first = h->peak[i].first, last = h->peak[i].last;
            for (next = i; next < h->n_peaks && h->peak[next].phase == h->peak[i].phase && h->peak[next].reflection == h->peak[i].reflection; next++) {
                first = h->peak[next].first < first ? h->peak[next].first : first;
                last = h->peak[next].last > last ? h->peak[next].last : last;
            }
            if (h->peak[i].phase != which)
                continue;
            double cross = 0, square = 0;
            memset(c + first, 0, (last - first) * sizeof *c);
            for (size_t j = i; j < next; j++)
                bragg_refine_add_profile(h, &h->peak[j], h->peak[j].first, h->peak[j].last, h->peak[j].intensity, c);
            for (size_t j = first; j < last; j++) {
                double v = c[j] * h->weight[j];
                cross += v * left[k][j];
                square += v * v;
            }
            sum += cross > 0 && square > 0 ? cross * cross / square : 0;
        }
    }
    return sum;
}

/* Tens of micrometres at a goniometer's radius: less than the width of a line. */
static const double offset_step = 4e-4;
enum { OFFSET_STEPS = 60 };

bragg_status bragg_refine_scan_offset(bragg_model *m, size_t which, double radius_mm, double *gained, bragg_error *err)
{
    bragg_param *row = &m->params.at[m->phase[which].offset_row];
    double **left, *room, start = row->value, best = start, most = 0, here = 0;
    bragg_status st = leave_out(m, which, &left, &room, err);
    for (int k = -OFFSET_STEPS; k <= OFFSET_STEPS + 1 && st == BRAGG_OK; k++) {
        double try = k > OFFSET_STEPS ? start : k * offset_step * radius_mm;
        if (!(try >= row->lower && try <= row->upper))
            continue;
        row->value = try;
        st = bragg_refine_prepare(m, &m->params, NULL, err);
        double found = gain_apart(m, which, left, room);
        if (k > OFFSET_STEPS)
            here = found;
        else if (found > most)
            most = found, best = try;
    }
    row->value = st == BRAGG_OK ? best : start;
    *gained = most - here;
    free(left);
    return st;
}
