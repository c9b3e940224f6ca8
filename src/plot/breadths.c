/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Williamson-Hall plots: breadths of lines against sin theta. */
#include "config.h"
#include "figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A panel a phase: G. K. Williamson & W. H. Hall, Acta Metall. 1 (1953) 22.  Breadths
 * in reciprocal space, beta cos theta / lambda, against s = 2 sin theta / lambda: size
 * lifts the line by 1/L, strain turns it by 2 e. */
static size_t fill(const bragg_plot_breadth *b, double *x, double *sample, double *line)
{
    for (size_t i = 0; i < b->n; i++) {
        double theta = b->two_theta_rad[i] / 2, to = 1000 * cos(theta) / b->wavelength_ang;
        x[i] = 2 * sin(theta) / b->wavelength_ang;
        sample[i] = b->breadth_rad[i] * to;
        line[i] = b->instrument_rad[i] * to;
    }
    return b->n;
}

static double largest(const double *v, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, v[i]);
    return most;
}

bragg_status bragg_plot_breadths(const bragg_plot_breadth *phases, size_t n, const bragg_plot_page *page, const char *path, bragg_error *err)
{
    size_t total = 0, at = 0;
    for (size_t k = 0; k < n; k++) {
        if (!(phases[k].wavelength_ang > 0))
            return bragg_fail(err, BRAGG_EINVAL, "breadths of %s: expected a wavelength, found %g", phases[k].name, phases[k].wavelength_ang);
        total += phases[k].n;
    }
    if (!total)
        return bragg_fail(err, BRAGG_EDATA, "breadths: expected reflections, found none");
    double *v = malloc(3 * total * sizeof *v);
    bragg_plot_profile *panels = calloc(n, sizeof *panels);
    bragg_plot_trace *traces = calloc(2 * n, sizeof *traces);
    for (size_t k = 0; v && panels && traces && k < n; k++) {
        double *x = v + 3 * at, *sample = x + phases[k].n, *line = sample + phases[k].n;
        at += fill(&phases[k], x, sample, line);
        traces[2 * k] = (bragg_plot_trace){ .curve = { phases[k].n, x, sample, NULL, phases[k].name }, .dots = true };
        traces[2 * k + 1] = (bragg_plot_trace){ .curve = { phases[k].n, x, line, NULL, "instrument" } };
        panels[k] = (bragg_plot_profile)BRAGG_PLOT_PROFILE_INIT;
        panels[k].x_label = "2 sin <i>θ</i> / <i>λ</i> (Å<sup>−1</sup>)";
        panels[k].y_label = "<i>β</i> cos <i>θ</i> / <i>λ</i> (10<sup>−3</sup> Å<sup>−1</sup>)";
        panels[k].n_traces = 2;
        panels[k].traces = traces + 2 * k;
        panels[k].x_min = panels[k].y_min = 0; /* where size is read off */
        panels[k].x_max = 1.04 * largest(x, phases[k].n);
    }
    bragg_status st = v && panels && traces ? bragg_plot_profiles(panels, n, n > 1 ? 2 : 1, page, path, err)
                                            : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu breadths", total);
    free(v);
    free(panels);
    free(traces);
    return st;
}
