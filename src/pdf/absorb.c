/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Absorption by sample and container, and what is scattered twice. */
#include "config.h"
#include "reduce.h"

#include <bragg/units.h>
#include <math.h>

/* Ways through sample (inside radius a) and container (a to b) from a point in the
 * direction (c, s), both circles about the origin. */
static void ways_out(double x, double y, double c, double s, double a, double b, double way[2])
{
    double along = x * c + y * s, across2 = x * x + y * y - along * along, r2 = x * x + y * y;
    double outer = sqrt(fmax(b * b - across2, 0)) - along, half = sqrt(fmax(a * a - across2, 0)), inner;
    if (r2 <= a * a)
        inner = half - along;                      /* from inside */
    else
        inner = along < 0 && across2 < a * a ? 2 * half : 0; /* through it, or past it */
    way[0] = inner;
    way[1] = fmax(outer - inner, 0);
}

/* Mean transmission of rays scattered between radii r0 and r1 through sample and wall:
 * the integrals of H. H. Paalman & C. J. Pings, J. Appl. Phys. 33 (1962) 2635, on a
 * grid of rings and spokes; the beam comes along x. */
static double cylinder(double r0, double r1, double a, double b, double mu, double wall_mu, double two_theta_rad)
{
    enum { RINGS = 12, SPOKES = 24 };
    double sum = 0, c = cos(two_theta_rad), s = sin(two_theta_rad);
    for (int i = 0; i < RINGS; i++)
        for (int j = 0; j < SPOKES; j++) {
            double r = sqrt(r0 * r0 + (i + 0.5) / RINGS * (r1 * r1 - r0 * r0)), t = 2 * BRAGG_PI * (j + 0.5) / SPOKES, in[2], out[2];
            ways_out(r * cos(t), r * sin(t), -1, 0, a, b, in);
            ways_out(r * cos(t), r * sin(t), c, s, a, b, out);
            sum += exp(-mu * (in[0] + out[0]) - wall_mu * (in[1] + out[1]));
        }
    return sum / (RINGS * SPOKES);
}

/* A plate across the beam, in transmission: layers of wall, sample, wall; scattered
 * between depths z0 and z1 of the stack. */
static double plate(double z0, double z1, double wall, double thickness, double mu, double wall_mu, double two_theta_rad)
{
    enum { LAYERS = 48 };
    double sum = 0, slant = 1 / fmax(cos(two_theta_rad), 0.05);
    for (int i = 0; i < LAYERS; i++) {
        double z = z0 + (i + 0.5) / LAYERS * (z1 - z0), first = fmin(z, wall), middle = fmin(fmax(z - wall, 0), thickness), last = fmax(z - wall - thickness, 0);
        double in = wall_mu * (first + last) + mu * middle;
        double out = wall_mu * (2 * wall - first - last) + mu * (thickness - middle);
        sum += exp(-in - slant * out);
    }
    return sum / LAYERS;
}

absorption bragg_pdf_absorption(const bragg_pdf_options *o, double mu, double two_theta_rad)
{
    double a = o->size_mm, w = o->wall_mm, wall_mu = o->wall_mu_per_mm;
    if (!(a > 0))
        return (absorption){ 1, 1 };
    if (o->mount == BRAGG_PDF_CYLINDER)
        return (absorption){ cylinder(0, a, a, a + w, mu, wall_mu, two_theta_rad),
                             w > 0 ? cylinder(a, a + w, a, a + w, mu, wall_mu, two_theta_rad) / cylinder(a, a + w, a, a + w, 0, wall_mu, two_theta_rad)
                                   : exp(-mu * BRAGG_PI / 2 * a) };
    double front = plate(0, w, w, a, mu, wall_mu, two_theta_rad), back = plate(w + a, 2 * w + a, w, a, mu, wall_mu, two_theta_rad);
    double front0 = plate(0, w, w, a, 0, wall_mu, two_theta_rad), back0 = plate(w + a, 2 * w + a, w, a, 0, wall_mu, two_theta_rad);
    return (absorption){ plate(w, w + a, w, a, mu, wall_mu, two_theta_rad), w > 0 ? (front + back) / (front0 + back0) : exp(-mu * a) };
}

/* The mean over points and directions of (1 - exp(-mu l)) / mu, l the way out.  A long
 * cylinder of radius a has chords of mean square 8 a^2 / 3 and mean pi a / 2 across, so
 * l = 8 a / (3 pi) there and pi / 2 times that in space; of a plate each direction is
 * integrated. */
double bragg_pdf_mean_way_mm(const bragg_pdf_options *o, double mu)
{
    enum { ANGLES = 64, DEPTHS = 16 };
    double a = o->size_mm, sum = 0;
    if (o->mount == BRAGG_PDF_CYLINDER) {
        double l = 4.0 / 3 * a;
        return mu * l > 1e-6 ? (1 - exp(-mu * l)) / mu : l;
    }
    for (int i = 0; i < ANGLES; i++)
        for (int j = 0; j < DEPTHS; j++) {
            double c = (i + 0.5) / ANGLES, l = (j + 0.5) / DEPTHS * a / c; /* c: cosine to the normal */
            sum += mu * l > 1e-6 ? (1 - exp(-mu * l)) / mu : l;
        }
    return sum / (ANGLES * DEPTHS);
}

/* ---------------------------------------------------- scattered twice */

enum { TABLE = 256, POLAR = 40, AZIMUTH = 24, NODES = 48 };

/* Intensity of independent atoms against the sine of half the angle. */
static double single(const double table[TABLE + 1], double sine)
{
    double t = fmin(fmax(sine, 0), 1) * TABLE;
    int k = (int)fmin(t, TABLE - 1);
    return table[k] + (t - k) * (table[k + 1] - table[k]);
}

/* I2(theta) = n <l> r_e^2 integral over directions of I1(first) I1(second): Blech &
 * Averbach (1965), with the mean way for the integral over places. */
static double twice(const double table[TABLE + 1], double two_theta_rad)
{
    double sum = 0, s = sin(two_theta_rad), c = cos(two_theta_rad);
    for (int i = 0; i < POLAR; i++)
        for (int j = 0; j < AZIMUTH; j++) {
            double t = (i + 0.5) / POLAR, cosine = 1 - 2 * t * t; /* dense where X-rays go: forward */
            double weight = 4 * t / POLAR * 2 * BRAGG_PI / AZIMUTH, phi = 2 * BRAGG_PI * (j + 0.5) / AZIMUTH;
            double second = c * cosine + s * sqrt(fmax(1 - cosine * cosine, 0)) * cos(phi);
            sum += weight * single(table, t) * single(table, sqrt(fmax((1 - second) / 2, 0)));
        }
    return sum;
}

bragg_status bragg_pdf_multiple(const bragg_composition *c, const bragg_pdf_options *o, double mu, const double *q, size_t n, double *out,
                                bragg_error *err)
{
    const double electron_radius_mm = 2.8179403262e-12, per_mm3 = 1e21, fm_mm = 1e-12;
    double table[TABLE + 1], node[NODES + 1], length = o->neutron ? fm_mm : electron_radius_mm;
    double factor = o->packing * o->number_density * per_mm3 * bragg_pdf_mean_way_mm(o, mu * o->packing) * length * length;
    if (!isfinite(factor))
        return bragg_fail(err, BRAGG_EINVAL, "multiple scattering: expected a number density and a size, found %g and %g", o->number_density, o->size_mm);
    for (int k = 0; k <= TABLE; k++) {
        double at = 4 * BRAGG_PI / o->wavelength_ang * k / TABLE;
        table[k] = bragg_pdf_weights_at(c, o, at).square + bragg_pdf_compton_at(c, o, at);
    }
    for (int k = 0; k <= NODES; k++)
        node[k] = factor * twice(table, 2 * asin((double)k / NODES));
    for (size_t i = 0; i < n; i++) {
        double t = fmin(q[i] * o->wavelength_ang / (4 * BRAGG_PI), 1) * NODES;
        int k = (int)fmin(t, NODES - 1);
        out[i] = node[k] + (t - k) * (node[k + 1] - node[k]);
    }
    return BRAGG_OK;
}
