/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures of a refinement: its patterns, its breadths, its correlations. */
#include "config.h"

#include <bragg/plot.h>
#include <bragg/profile.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

bragg_status bragg_plot_refined(bragg_model *m, size_t pattern, const bragg_fit *f, const bragg_plot_rietveld_options *options, const char *path, bragg_error *err)
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
        bragg_plot_rietveld_options o = options ? *options : (bragg_plot_rietveld_options)BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
        o.rwp_percent = 100 * f->rwp;
        o.gof = f->gof;
        st = bragg_plot_rietveld(&data, &o, path, err);
    }
    free(v);
    free(rows);
    return st;
}

/* Integral breadth of the pseudo-Voigt that stands for both widths. */
static double breadth_of(double gauss, double lorentz)
{
    if (!(gauss > 0) && !(lorentz > 0))
        return 0;
    bragg_tch t = bragg_tch_mix(gauss, lorentz);
    return t.fwhm * BRAGG_PI / 2 / (t.eta + (1 - t.eta) * sqrt(BRAGG_PI * log(2)));
}

static double instrument_breadth(const bragg_instrument *x, double theta)
{
    const double *v = x->value;
    double t = tan(theta), c = cos(theta);
    double g2 = v[BRAGG_INSTRUMENT_U] * t * t + v[BRAGG_INSTRUMENT_V] * t + v[BRAGG_INSTRUMENT_W] + v[BRAGG_INSTRUMENT_P] / (c * c);
    double l = v[BRAGG_INSTRUMENT_X] / c + v[BRAGG_INSTRUMENT_Y] * t + v[BRAGG_INSTRUMENT_Z];
    return breadth_of(sqrt(fmax(g2, 0)) * BRAGG_DEG, fmax(l, 0) * BRAGG_DEG);
}

bragg_status bragg_plot_refined_breadths(bragg_model *m, const bragg_fit *f, const char *path, bool force, bragg_error *err)
{
    size_t n, shown = 0, at = 0;
    const bragg_model_peak *peaks = bragg_model_peaks(m, 0, &n);
    bragg_instrument x;
    bragg_instrument_of(m, 0, &x);
    double *v = malloc((3 * n + 1) * sizeof *v), *beta = v + n, *own = v + 2 * n;
    bragg_plot_breadth *phases = calloc(f->n_phases + 1, sizeof *phases);
    bragg_status st = v && phases ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu breadths", n);
    for (size_t i = 0; i < f->n_phases && st == BRAGG_OK; i++) {
        size_t first = at;
        for (size_t k = 0; k < n; k++)
            if (peaks[k].phase == i && peaks[k].line == 0) {
                v[at] = peaks[k].two_theta_rad;
                beta[at] = breadth_of(peaks[k].gauss_fwhm_rad, peaks[k].lorentz_fwhm_rad);
                own[at++] = instrument_breadth(&x, peaks[k].two_theta_rad / 2);
            }
        if (at > first)
            phases[shown++] = (bragg_plot_breadth){ f->phase[i].name, at - first, v + first, beta + first, own + first, x.radiation.wavelength_ang[0] };
    }
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    page.width_mm = shown > 1 ? 170 : 85;
    page.force = force;
    if (st == BRAGG_OK)
        st = bragg_plot_breadths(phases, shown, &page, path, err);
    free(v);
    free(phases);
    return st;
}

bragg_status bragg_plot_refined_correlations(bragg_model *m, const bragg_fit *f, const char *path, bool force, bragg_error *err)
{
    size_t all = f->variables, n = 0;
    const bragg_params *t = bragg_model_params(m);
    double *c = malloc((all * all + 1) * sizeof *c);
    const char **names = malloc((all + 1) * sizeof *names);
    size_t *of = malloc((all + 1) * sizeof *of);
    bragg_status st = c && names && of ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu correlations", all * all);
    for (size_t i = 0; i < all && st == BRAGG_OK; i++)
        if (!strstr(t->at[f->row[i]].name, ".intensity.")) { /* a thousand of them would hide the others */
            names[n] = t->at[f->row[i]].name;
            of[n++] = i * all;
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            size_t k = of[j] / all;
            c[i * n + j] = f->covariance[of[i] + k] / sqrt(f->covariance[of[i] + of[i] / all] * f->covariance[of[j] + k]);
        }
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    page.width_mm = 170;
    page.force = force;
    if (st == BRAGG_OK)
        st = bragg_plot_correlations(&(bragg_plot_matrix){ n, names, c }, &page, path, err);
    free(c);
    free(names);
    free(of);
    return st;
}
