/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A refinement handed to the Rietveld plot. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>

/* Positions of the first line's reflections of a phase, in radians. */
static size_t tick_positions(const bragg_model *m, size_t pattern, size_t phase, double *out)
{
    size_t n, found = 0;
    const bragg_model_peak *peaks = bragg_model_peaks(m, pattern, &n);
    for (size_t k = 0; k < n; k++)
        if (peaks[k].phase == phase && peaks[k].line == 0)
            out[found++] = peaks[k].two_theta_rad;
    return found;
}

bragg_status cli_plot_fit(bragg_model *m, size_t pattern, const bragg_fit *f, const char *title, const cli_plot_look *look, const char *path,
                          bool force, bragg_error *err)
{
    size_t n = bragg_model_points(m, pattern), n_peaks;
    (void)bragg_model_peaks(m, pattern, &n_peaks);
    double *v = malloc((5 * n + n_peaks + 1) * sizeof *v), *ticks = v + 5 * n;
    bragg_plot_phase *rows = calloc(f->n_phases + 1, sizeof *rows);
    bragg_status st = v && rows ? bragg_model_calculate(m, pattern, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, err)
                                : bragg_fail(err, BRAGG_ENOMEM, "no room for a plot of %zu points", n);
    for (size_t k = 0; st == BRAGG_OK && k < f->n_phases; k++) {
        rows[k] = (bragg_plot_phase){ f->phase[k].name, tick_positions(m, pattern, k, ticks), ticks };
        ticks += rows[k].n;
    }
    if (st == BRAGG_OK) {
        bragg_plot_fit data = { n, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, BRAGG_AXIS_TTH, NAN, f->n_phases, rows };
        bragg_plot_rietveld_options o = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
        o.page.width_mm = 170;
        o.page.title = title;
        o.page.force = force;
        o.rwp_percent = 100 * f->rwp;
        o.gof = f->gof;
        if (look)
            o.scale = look->scale, o.weighted = look->weighted;
        st = bragg_plot_rietveld(&data, &o, path, err);
    }
    free(v);
    free(rows);
    return st;
}
