/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A refinement handed to the Rietveld plot. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Positions of the first line's reflections of a phase, in degrees. */
static size_t tick_positions(const bragg_model *m, size_t phase, double *out)
{
    size_t n, found = 0;
    const bragg_model_peak *peaks = bragg_model_peaks(m, 0, &n);
    for (size_t k = 0; k < n; k++)
        if (peaks[k].phase == phase && peaks[k].line == 0)
            out[found++] = peaks[k].two_theta_rad / BRAGG_DEG;
    return found;
}

bragg_status cli_plot_fit(bragg_model *m, const bragg_fit *f, const char *title, const char *path, bool force, bragg_error *err)
{
    size_t n = bragg_model_points(m, 0), n_peaks;
    (void)bragg_model_peaks(m, 0, &n_peaks);
    double *v = malloc((5 * n + n_peaks + 1) * sizeof *v), *ticks = v + 5 * n;
    bragg_plot_ticks *rows = calloc(f->n_phases + 1, sizeof *rows);
    char note[100];
    bragg_status st = v && rows ? bragg_model_calculate(m, 0, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, err)
                                : bragg_fail(err, BRAGG_ENOMEM, "no room for a plot of %zu points", n);
    if (st == BRAGG_OK) {
        bragg_plot_rietveld r = BRAGG_PLOT_RIETVELD_INIT;
        for (size_t i = 0; i < n; i++)
            v[i] /= BRAGG_DEG;
        for (size_t k = 0; k < f->n_phases; k++) {
            rows[k] = (bragg_plot_ticks){ f->phase[k].name, ticks, tick_positions(m, k, ticks) };
            ticks += rows[k].n;
        }
        snprintf(note, sizeof note, "<i>R</i><span size=\"6000\" rise=\"-2000\">wp</span> = %.2f %%   GOF = %.2f", 100 * f->rwp, f->gof);
        r.n = n;
        r.x = v;
        r.observed = v + n;
        r.sigma = v + 2 * n;
        r.calculated = v + 3 * n;
        r.background = v + 4 * n;
        r.title = title;
        r.note = note;
        r.ticks = rows;
        r.n_ticks = f->n_phases;
        st = bragg_plot_write_rietveld(&r, path, force, err);
    }
    free(v);
    free(rows);
    return st;
}
