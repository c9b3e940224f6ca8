/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A phase that least squares has lost: its cell by trying all in reach. */
#include "config.h"
#include "model.h"

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
        for (size_t k = 0; k < n; k++, rest /= side)
            m->params.at[edges[k]].value = start[k] * (1 + (rest % side - steps) * grids[n].size);
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

bragg_status bragg_refine_scan_cell(bragg_model *m, size_t which, bragg_error *err)
{
    double **left = calloc(m->n_histograms + 1, sizeof *left), *room = NULL;
    size_t most = 0;
    bragg_status st = left ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to search a cell");
    for (size_t k = 0; k < m->n_histograms && st == BRAGG_OK; k++) { /* the phase's own scale counts as none */
        const histogram *h = &m->histogram[k];
        bragg_param *scale = &m->params.at[m->phase[which].mix[k].scale_row];
        double keep = scale->value;
        scale->value = 0;
        left[k] = malloc((h->n + 1) * sizeof **left);
        st = left[k] ? bragg_model_calculate(m, k, NULL, NULL, NULL, left[k], NULL, err) : bragg_fail(err, BRAGG_ENOMEM, "no room to search a cell");
        scale->value = keep > 0 ? keep : 1;
        for (size_t i = 0; i < h->n && st == BRAGG_OK; i++)
            left[k][i] = (h->y[i] - left[k][i]) * h->weight[i];
        most = h->n > most ? h->n : most;
    }
    if (st == BRAGG_OK && !(room = malloc((most + 1) * sizeof *room)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room to search a cell");
    if (st == BRAGG_OK)
        st = try_all(m, which, left, room, err);
    for (size_t k = 0; left && k < m->n_histograms; k++)
        free(left[k]);
    free(left);
    free(room);
    return st;
}
