/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Widths of a reflection: instrument, crystallite size, strain. */
#include "config.h"
#include "spot.h"

#include <bragg/units.h>
#include <math.h>
#include <string.h>

/* Size and strain are Lorentzian; their FWHM is 2/pi of the integral breadth:
 * Scherrer beta = lambda / (L cos theta), Stokes & Wilson, Proc. Phys. Soc. 56
 * (1944) 174, beta = 4 e tan theta.  With an axis the crystallites are ellipsoids of
 * revolution, 1/L^2 = cos^2 phi / L_axis^2 + sin^2 phi / L^2, and e = e_axis cos^2 phi
 * + e sin^2 phi (A. C. Larson & R. B. Von Dreele, GSAS, LAUR 86-748, in both). */
static void size_and_strain(const bragg_params *t, const phase *p, spot *s)
{
    double c2 = p->uniaxial ? p->axis_cos2[s->reflection] : 0, tangent = tan(s->theta);
    double equator = 10 * t->at[p->size_row].value, axis = p->uniaxial ? 10 * t->at[p->size_axial_row].value : equator;
    double inverse = c2 > 0 ? sqrt(c2 / (axis * axis) + (1 - c2) / (equator * equator)) : 1 / equator;
    double per = 2 / BRAGG_PI * s->wavelength / cos(s->theta);
    s->lorentz_size = per * inverse;
    s->size_change[0] = -10 * per * (1 - c2) / (equator * equator * equator * inverse);
    s->size_change[1] = -10 * per * c2 / (axis * axis * axis * inverse);
    s->strain_change[0] = 2 / BRAGG_PI * 4e-6 * tangent * (1 - c2);
    s->strain_change[1] = 2 / BRAGG_PI * 4e-6 * tangent * c2;
}

static double strain_width(const bragg_params *t, const phase *p, const spot *s)
{
    return s->strain_change[0] * t->at[p->strain_row].value + (p->uniaxial ? s->strain_change[1] * t->at[p->strain_axial_row].value : 0);
}

/* P. W. Stephens, J. Appl. Cryst. 32 (1999) 281: FWHM = sqrt(sum S_HKL h^H k^K l^L)
 * tan theta / M with M = 1/d^2, S in 1e-12 per angstrom^4.  The sum is kept above
 * that of a strain of 1e-8: a fit may pass where it is negative. */
static void stephens(const bragg_params *t, const phase *p, spot *s)
{
    s->stephens = s->stephens_lorentz = s->dstephens_dsum = s->dstephens_dlnq = 0;
    if (!p->quartic.n)
        return;
    double d = p->reflection[s->reflection].d_ang, least = 1e-4 / (d * d * d * d), sum = 0;
    for (size_t k = 0; k < p->quartic.n; k++)
        sum += t->at[p->stephens_row + k].value * p->quartic_at[s->reflection * p->quartic.n + k];
    double root = hypot(sum, 2 * least), kept = (sum + root) / 2;
    s->stephens = 1e-6 * sqrt(kept) * tan(s->theta) / s->q;
    s->stephens_lorentz = t->at[p->lorentz_row].value;
    s->dstephens_dsum = s->stephens / (2 * kept) * (1 + sum / root) / 2;
    s->dstephens_dlnq = -s->stephens;
}

/* Gaussian variance of G. Caglioti, A. Paoletti & F. P. Ricci, Nucl. Instrum. 3 (1958) 223, and
 * GSAS's Lorentzian width (A. C. Larson & R. B. Von Dreele, GSAS, LAUR 86-748):
 *     sigma^2 = U tan^2 theta + V tan theta + W + P / cos^2 theta
 *     Gamma_L = X / cos theta + Y tan theta + Z */
void bragg_refine_widen(const bragg_params *t, const histogram *h, const phase *p, spot *s)
{
    const struct { double u, v, w, p, x, y, z; } w = { h->value[CAGLIOTI_U], h->value[CAGLIOTI_V], h->value[CAGLIOTI_W], h->value[CAGLIOTI_P],
                                                       h->value[LORENTZ_X], h->value[LORENTZ_Y], h->value[LORENTZ_Z] };
    double tangent = tan(s->theta), secant = 1 / cos(s->theta), tt = tangent * tangent;
    size_and_strain(t, p, s);
    stephens(t, p, s);
    double part = (1 - s->stephens_lorentz) * s->stephens, sample = part * part / FWHM2_PER_VARIANCE;
    double variance = w.u * tt + w.v * tangent + w.w + w.p * secant * secant + sample;
    /* kept positive smoothly: a fit may pass where no Gaussian is */
    double root = hypot(variance, 2 * h->variance_floor), kept = (variance + root) / 2;
    double sigma = sqrt(kept), slope = (1 + variance / root) / 2;
    s->gauss = sqrt(FWHM2_PER_VARIANCE) * sigma;
    double per = s->dgauss_dvariance = sqrt(FWHM2_PER_VARIANCE) / (2 * sigma) * slope;
    s->d_gauss[0] = per * tt;
    s->d_gauss[1] = per * tangent;
    s->d_gauss[2] = per;
    s->d_gauss[3] = per * secant * secant;
    s->dgauss_dtheta = per * (2 * w.u * tangent + w.v + 2 * w.p * tangent + 2 * sample / tangent) * secant * secant;
    /* the line's own width: 2 tan(theta) d lambda / lambda, as Lorentzian as it is */
    double natural = 2 * h->radiation.width_ang[s->line] / h->radiation.wavelength_ang[s->line];
    double y = (w.y + natural) * tangent + strain_width(t, p, s) + s->stephens_lorentz * s->stephens, x = w.x * secant + s->lorentz_size;
    s->lorentz = x + y + w.z;
    s->dlorentz_dtheta = x * tangent + y / tangent * secant * secant;
    s->d_lorentz[0] = secant;
    s->d_lorentz[1] = tangent;
    s->d_lorentz[2] = 1;
    if (s->lorentz < 0) {
        s->lorentz = s->dlorentz_dtheta = 0;
        memset(s->d_lorentz, 0, sizeof s->d_lorentz);
    }
    s->tch = bragg_tch_mix(s->gauss, s->lorentz);
}

static change of_stephens(const spot *s, double dwidth)
{
    double gaussian = 1 - s->stephens_lorentz;
    return (change){ .lorentz = s->stephens_lorentz * dwidth,
                     .gauss = s->dgauss_dvariance * 2 * gaussian * gaussian * s->stephens / FWHM2_PER_VARIANCE * dwidth };
}

change bragg_refine_broadening_change(const bragg_params *t, const phase *p, const spot *s, int kind, int index)
{
    (void)t;
    switch (kind) {
    case K_SIZE: return (change){ .lorentz = s->size_change[index] };
    case K_STRAIN: return (change){ .lorentz = s->strain_change[index] };
    case K_STEPHENS: return of_stephens(s, s->dstephens_dsum * p->quartic_at[s->reflection * p->quartic.n + (size_t)index]);
    case K_LORENTZ:
        return (change){ .lorentz = s->stephens, .gauss = -s->dgauss_dvariance * 2 * (1 - s->stephens_lorentz) * s->stephens * s->stephens / FWHM2_PER_VARIANCE };
    case K_CELL: return of_stephens(s, s->dstephens_dlnq / s->q); /* with 1/d^2 at one angle */
    }
    return (change){ 0 };
}

/* S_HKL that stand for an isotropic strain e: (8 e / pi)^2 of the squared metric,
 * whose coefficients at the pivots they are. */
void bragg_refine_start_stephens(bragg_params *t, const phase *p, double strain)
{
    const double g[6] = { p->g[0], p->g[1], p->g[2], 2 * p->g[3], 2 * p->g[4], 2 * p->g[5] };
    static const int square[6][3] = { { 2, 0, 0 }, { 0, 2, 0 }, { 0, 0, 2 }, { 0, 1, 1 }, { 1, 0, 1 }, { 1, 1, 0 } };
    double k = 8 * strain / BRAGG_PI;
    for (size_t n = 0; n < p->quartic.n; n++) {
        const int *power = p->quartic.power[p->quartic.pivot[n]];
        double sum = 0;
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                if (square[i][0] + square[j][0] == power[0] && square[i][1] + square[j][1] == power[1] && square[i][2] + square[j][2] == power[2])
                    sum += g[i] * g[j];
        t->at[p->stephens_row + n].value = k * k * sum;
    }
}
