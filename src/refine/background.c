/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The background: functions that are added, Debye scattering and broad humps. */
#include "config.h"
#include "model.h"

#include <bragg/numeric.h>
#include <bragg/profile.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ----------------------------------------------- functions with a factor */

/* Hats between knots, equally spaced in u. */
static void hat_row(double u, size_t n, double *row)
{
    double at = u * (double)(n - 1);
    size_t low = n < 2 || !(at > 0) ? 0 : at >= (double)(n - 1) ? n - 2 : (size_t)at;
    memset(row, 0, n * sizeof *row);
    if (n < 2) {
        row[0] = 1;
        return;
    }
    row[low + 1] = at - (double)low;
    row[low] = 1 - row[low + 1];
}

static void function_row(const histogram *h, double x, double *row)
{
    double first = h->x[0], last = h->x[h->n - 1], u = (x - first) / (last - first);
    size_t n = h->n_functions;
    switch (h->background) {
    case BRAGG_BACKGROUND_CHEBYSHEV: bragg_chebyshev_row((2 * x - first - last) / (last - first), n, row); break;
    case BRAGG_BACKGROUND_LINEAR: hat_row(u, n, row); break;
    case BRAGG_BACKGROUND_LOG: hat_row(log(x / first) / log(last / first), n, row); break;
    case BRAGG_BACKGROUND_COSINE:
        for (size_t k = 0; k < n; k++)
            row[k] = cos(BRAGG_PI * (double)k * u);
        break;
    }
}

void bragg_refine_fill_background(histogram *h)
{
    double row[BRAGG_MAX_BACKGROUND];
    for (size_t i = 0; i < h->n; i++) {
        if (h->n_functions)
            function_row(h, h->x[i], row);
        for (size_t k = 0; k < h->n_functions; k++)
            h->background_at[k * h->n + i] = row[k];
        if (h->n_container)
            h->background_at[h->n_functions * h->n + i] = bragg_interpolate(h->container_x, h->container_y, h->n_container, h->x[i]);
    }
}

/* ------------------------------------------------- terms of their own */

/* P. Debye, Ann. Phys. 351 (1915) 809: a sin(QR)/(QR) exp(-U Q^2 / 2), with slopes. */
static double debye(const bragg_param *p, double q, double slope[3])
{
    double a = p[0].value, r = p[1].value, damp = exp(-p[2].value * q * q / 2), z = q * r;
    double sinc = z > 1e-6 ? sin(z) / z : 1, dsinc = z > 1e-6 ? (cos(z) - sinc) / z : 0;
    slope[0] = sinc * damp;
    slope[1] = a * damp * dsinc * q;
    slope[2] = -a * sinc * damp * q * q / 2;
    return a * sinc * damp;
}

/* A Gaussian of an area in intensity times degrees; position and width in degrees. */
static double hump(const bragg_param *p, double x_rad, double slope[3])
{
    double dx, dw, v = bragg_pseudo_voigt(x_rad / BRAGG_DEG - p[1].value, p[2].value, 0, &dx, &dw, NULL);
    slope[0] = v;
    slope[1] = -p[0].value * dx;
    slope[2] = p[0].value * dw;
    return p[0].value * v;
}

static double q_at(const histogram *h, double x) { return 4 * BRAGG_PI * sin(x / 2) / h->radiation.wavelength_ang[0]; }

double bragg_refine_own_terms(const bragg_model *m, const histogram *h, size_t i)
{
    double sum = 0, unused[3];
    for (size_t k = 0; k < h->n_debye; k++)
        sum += debye(&m->params.at[h->debye_row + 3 * k], q_at(h, h->x[i]), unused);
    for (size_t k = 0; k < h->n_humps; k++)
        sum += hump(&m->params.at[h->hump_row + 3 * k], h->x[i], unused);
    return sum;
}

void bragg_refine_own_slopes(const bragg_model *m, const histogram *h, size_t first, size_t n, double *jacobian)
{
    const bragg_lsq_layout *l = m->layout;
    for (size_t k = 0; k < h->n_debye + h->n_humps; k++) {
        size_t row = k < h->n_debye ? h->debye_row + 3 * k : h->hump_row + 3 * (k - h->n_debye);
        for (size_t i = 0; i < n; i++) {
            double slope[3];
            if (k < h->n_debye)
                debye(&m->params.at[row], q_at(h, h->x[first + i]), slope);
            else
                hump(&m->params.at[row], h->x[first + i], slope);
            for (int d = 0; d < 3; d++)
                if (l->column[row + (size_t)d] >= 0)
                    jacobian[(size_t)l->column[row + (size_t)d] * BRAGG_LSQ_BLOCK + i] += slope[d] * l->weight[row + (size_t)d];
        }
    }
}

void bragg_refine_mean_slopes(const bragg_model *m, const histogram *h, double *d_rows)
{
    for (size_t i = 0; i < h->n; i++) {
        double slope[3];
        for (size_t k = 0; k < h->n_background; k++)
            d_rows[h->background_row + k] += h->background_at[k * h->n + i] / (double)h->n;
        for (size_t k = 0; k < h->n_debye + h->n_humps; k++) {
            size_t row = k < h->n_debye ? h->debye_row + 3 * k : h->hump_row + 3 * (k - h->n_debye);
            if (k < h->n_debye)
                debye(&m->params.at[row], q_at(h, h->x[i]), slope);
            else
                hump(&m->params.at[row], h->x[i], slope);
            for (size_t d = 0; d < 3; d++)
                d_rows[row + d] += slope[d] / (double)h->n;
        }
    }
}

/* ----------------------------------------------------------------- table */

static double mean_of(const histogram *h)
{
    double sum = 0;
    for (size_t i = 0; i < h->n; i++)
        sum += h->y[i];
    return sum / (double)h->n;
}

static bragg_status add_term(bragg_model *m, const histogram *h, const char *kind, size_t k, const char *const names[3], const char *const units[3],
                             const double values[3], const double lower[3], const double upper[3], size_t *first, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (int d = 0; d < 3 && st == BRAGG_OK; d++) {
        char name[60];
        size_t row;
        snprintf(name, sizeof name, "background.%s%zu.%s", kind, k + 1, names[d]);
        st = bragg_params_add_bounded(&m->params, h->name, name, units[d], values[d], lower[d], upper[d], &row, err);
        if (k == 0 && d == 0)
            *first = row;
    }
    return st;
}

bragg_status bragg_refine_add_background_rows(bragg_model *m, histogram *h, bragg_error *err)
{
    static const char *const of_debye[3] = { "a", "r", "u" }, *const debye_units[3] = { "", "angstrom", "angstrom^2" };
    static const char *const of_hump[3] = { "area", "position", "fwhm" }, *const hump_units[3] = { "deg", "deg", "deg" };
    bragg_status st = BRAGG_OK;
    double some = 0.05 * mean_of(h);
    for (size_t k = 0; k < h->n_background && st == BRAGG_OK; k++) {
        char name[32];
        size_t row;
        bool container = k >= h->n_functions;
        snprintf(name, sizeof name, container ? "background.container" : "background.%zu", k);
        st = bragg_params_add_bounded(&m->params, h->name, name, "", container ? 1 : 0, container ? 0 : -INFINITY, INFINITY, &row, err);
        if (k == 0)
            h->background_row = row;
    }
    for (size_t k = 0; k < h->n_debye && st == BRAGG_OK; k++) {
        const double values[3] = { some, h->debye_ang[k], 0.05 }, lower[3] = { -INFINITY, 0.5, 0 }, upper[3] = { INFINITY, 50, 5 };
        st = add_term(m, h, "debye", k, of_debye, debye_units, values, lower, upper, &h->debye_row, err);
    }
    for (size_t k = 0; k < h->n_humps && st == BRAGG_OK; k++) {
        double at = h->hump_deg[k][0], width = h->hump_deg[k][1];
        const double values[3] = { some * width, at, width }, lower[3] = { 0, at - width, width / 5 }, upper[3] = { INFINITY, at + width, 5 * width };
        st = add_term(m, h, "peak", k, of_hump, hump_units, values, lower, upper, &h->hump_row, err);
    }
    return st;
}
