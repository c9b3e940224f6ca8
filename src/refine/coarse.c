/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pattern with fewer, wider points: searches with broad peaks need no others. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

/* Points to a bin: so many bins to the narrowest peak at the last calculation, and a
 * pattern of some hundred points all the same. */
static size_t points_a_bin(const histogram *h, double bins_a_width)
{
    double narrowest = INFINITY, step = (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1);
    for (size_t k = 0; k < h->n_peaks; k++)
        if (h->peak[k].position > h->x[0] && h->peak[k].position < h->x[h->n - 1])
            narrowest = fmin(narrowest, h->peak[k].fwhm);
    double most = fmin(fmin(narrowest / (bins_a_width * step), (double)h->n / 400), MOST);
    return most >= 2 ? (size_t)most : 1;
}

/* Means of up to `by` points that follow each other without a gap. */
static void bin_points(histogram *h, size_t by, double step)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n;) {
        double x = 0, y = 0, variance = 0;
        size_t first = i;
        do {
            x += h->x[i];
            y += h->y[i];
            variance += 1 / (h->weight[i] * h->weight[i]);
            i++;
        } while (i < h->n && i < first + by && h->x[i] - h->x[i - 1] < 1.6 * step);
        double count = (double)(i - first);
        h->x[n] = x / count;
        h->y[n] = y / count;
        h->weight[n++] = count / sqrt(variance);
    }
    h->n = n;
    h->n_blocks = (n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    bragg_refine_scale_points(h);
}

static void keep_points(const histogram *h, double *to)
{
    memcpy(to, h->x, h->n * sizeof *to);
    memcpy(to + h->n, h->y, h->n * sizeof *to);
    memcpy(to + 2 * h->n, h->weight, h->n * sizeof *to);
    memcpy(to + 3 * h->n, h->background_at, h->n_background * h->n * sizeof *to);
}

bragg_status bragg_refine_coarsen(bragg_model *m, double bins_a_width, fine_points **out, bragg_error *err)
{
    fine_points *f = calloc(m->n_histograms + 1, sizeof *f);
    bragg_status st = f ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a coarse pattern");
    for (size_t k = 0; k < m->n_histograms && st == BRAGG_OK; k++) {
        const histogram *h = &m->histogram[k];
        f[k] = (fine_points){ h->n, malloc((3 + h->n_background) * h->n * sizeof *f->points), h->variance_floor };
        if (!f[k].points)
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", h->n);
        else
            keep_points(h, f[k].points);
    }
    for (size_t k = 0; k < m->n_histograms && st == BRAGG_OK; k++) {
        histogram *h = &m->histogram[k];
        size_t by = points_a_bin(h, bins_a_width);
        if (by > 1)
            bin_points(h, by, (h->x[h->n - 1] - h->x[0]) / (double)(h->n - 1));
    }
    *out = st == BRAGG_OK ? f : NULL;
    if (st == BRAGG_OK)
        bragg_refine_place_residuals(m);
    else
        bragg_refine_restore_points(m, f);
    return st;
}

void bragg_refine_restore_points(bragg_model *m, fine_points *f)
{
    for (size_t k = 0; f && k < m->n_histograms; k++) {
        histogram *h = &m->histogram[k];
        if (!f[k].points)
            continue;
        h->n = f[k].n;
        h->n_blocks = (h->n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
        memcpy(h->x, f[k].points, h->n * sizeof *h->x);
        memcpy(h->y, f[k].points + h->n, h->n * sizeof *h->x);
        memcpy(h->weight, f[k].points + 2 * h->n, h->n * sizeof *h->x);
        memcpy(h->background_at, f[k].points + 3 * h->n, h->n_background * h->n * sizeof *h->x);
        h->variance_floor = f[k].variance_floor;
        free(f[k].points);
    }
    free(f);
    bragg_refine_place_residuals(m);
}
