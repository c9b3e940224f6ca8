/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the sample's shape takes from the intensity. */
#include "config.h"
#include "spot.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>

enum { RADII = 24, ANGLES = 48 };

/* A = mean over the section of exp(-mu (path in + path out)), lengths in units of the radius. */
static double cylinder(double mu_r, double two_theta, const double *r, const double *weight, double *mean_path)
{
    double sum = 0, path_sum = 0, c = cos(two_theta), s = sin(two_theta);
    for (int i = 0; i < RADII; i++)
        for (int j = 0; j < ANGLES; j++) {
            double phi = 2 * BRAGG_PI * (j + 0.5) / ANGLES, x = r[i] * cos(phi), y = r[i] * sin(phi);
            double across = x * s - y * c;
            double path = sqrt(1 - y * y) + x + sqrt(1 - across * across) - (x * c + y * s);
            double part = weight[i] * r[i] * 2 / ANGLES * exp(-mu_r * path);
            sum += part;
            path_sum += part * path;
        }
    *mean_path = path_sum;
    return sum;
}

double bragg_refine_cylinder(double mu_r, double two_theta, double *mean_path)
{
    double r[RADII], w[RADII];
    bragg_gauss_legendre(RADII, 0, 1, r, w);
    return cylinder(mu_r, two_theta, r, w, mean_path);
}

/* ln A and its slope with mu R over cos 2theta, as Chebyshev series. */
static void tabulate_cylinder(histogram *h, double mu_r)
{
    enum { N = N_ABSORPTION };
    double r[RADII], w[RADII], row[N];
    bragg_gauss_legendre(RADII, 0, 1, r, w);
    for (size_t k = 0; k < N; k++)
        h->ln_absorption[k] = h->slope_absorption[k] = 0;
    for (int j = 0; j < N; j++) {
        double u = cos(BRAGG_PI * (j + 0.5) / N), path, a = cylinder(mu_r, acos(u), r, w, &path);
        bragg_chebyshev_row(u, N, row);
        for (int k = 0; k < N; k++) {
            h->ln_absorption[k] += (k ? 2. : 1.) / N * row[k] * log(a);
            h->slope_absorption[k] -= (k ? 2. : 1.) / N * row[k] * path / a;
        }
    }
}

/* Series, its slope with u. */
static double series(const double *c, double u, double *slope)
{
    double t0 = 1, t1 = u, u0 = 1, u1 = 2 * u, sum = c[0] + c[1] * u, by_u = c[1];
    for (int k = 2; k < N_ABSORPTION; k++) {
        double t2 = 2 * u * t1 - t0;
        by_u += k * u1 * c[k]; /* T_k' = k U_(k-1) */
        sum += c[k] * t2;
        double u2 = 2 * u * u1 - u0;
        t0 = t1;
        t1 = t2;
        u0 = u1;
        u1 = u2;
    }
    *slope = by_u;
    return sum;
}

void bragg_refine_prepare_absorption(histogram *h)
{
    if (h->mount == BRAGG_DEBYE_SCHERRER && h->value[ABSORPTION] > 0 && h->value[ABSORPTION] != h->tabulated) {
        tabulate_cylinder(h, h->value[ABSORPTION]);
        h->tabulated = h->value[ABSORPTION];
    }
}

/* ln of a capillary's transmission relative to that at 2theta = 0. */
static double capillary(const histogram *h, double theta, double *dln_dtheta, double *dln_dmu)
{
    double slope, unused, at0, u = cos(2 * theta);
    double ln = series(h->ln_absorption, u, &slope) - series(h->ln_absorption, 1, &unused);
    *dln_dtheta = slope * -2 * sin(2 * theta);
    at0 = series(h->slope_absorption, 1, &unused);
    *dln_dmu = series(h->slope_absorption, u, &unused) - at0;
    return ln;
}

/* Plate in reflection, thin: 1 - exp(-2 mu t / sin theta); in transmission:
 * exp(-mu t (sec theta - 1)) sec theta (International Tables C, 6.3.3). */
static double plate(const histogram *h, double theta, double *dln_dtheta, double *dln_dmu)
{
    double mu = h->value[ABSORPTION], sn = sin(theta), cs = cos(theta);
    if (h->mount == BRAGG_TRANSMISSION) {
        *dln_dmu = 1 - 1 / cs;
        *dln_dtheta = sn / cs * (1 - mu / cs);
        return mu * (1 - 1 / cs) - log(cs);
    }
    double x = 2 * mu / sn, full = -expm1(-x), per = exp(-x) / full;
    *dln_dmu = per * 2 / sn;
    *dln_dtheta = -per * x * cs / sn;
    return log(full);
}

/* P. Suortti, J. Appl. Cryst. 5 (1972) 325: (p + (1 - p) exp(-q / sin theta)) over
 * the same at theta = 90 deg. */
static double roughness(const histogram *h, double theta, double *dln_dtheta, double *dln_dp, double *dln_dq)
{
    double p = h->value[ROUGHNESS_P], q = h->value[ROUGHNESS_Q], sn = sin(theta);
    double e = exp(-q / sn), top = exp(-q), a = p + (1 - p) * e, b = p + (1 - p) * top;
    *dln_dtheta = (1 - p) * e / a * q * cos(theta) / (sn * sn);
    *dln_dp = (1 - e) / a - (1 - top) / b;
    *dln_dq = (1 - p) * (top / b - e / (sn * a));
    return log(a / b);
}

double bragg_refine_absorption(const histogram *h, double theta, double *dln_dtheta, double dln_drow[3])
{
    double ln = 0, slope;
    *dln_dtheta = dln_drow[0] = dln_drow[1] = dln_drow[2] = 0;
    if (h->value[ABSORPTION] > 0 || h->mount == BRAGG_TRANSMISSION)
        ln = h->mount == BRAGG_DEBYE_SCHERRER ? capillary(h, theta, dln_dtheta, &dln_drow[0]) : plate(h, theta, dln_dtheta, &dln_drow[0]);
    if (h->value[ROUGHNESS_Q] > 0) {
        ln += roughness(h, theta, &slope, &dln_drow[1], &dln_drow[2]);
        *dln_dtheta += slope;
    }
    return exp(ln);
}
