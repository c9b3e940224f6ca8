/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extinction in powders: T. M. Sabine, Acta Cryst. A44 (1988) 368. */
#include "config.h"
#include "spot.h"

#include <gsl/gsl_sf_bessel.h>
#include <math.h>

/* y = E_B sin^2 theta + E_L cos^2 theta with x = (lambda |F| D / V)^2, |F| a length:
 * E_B = (1 + x)^(-1/2) and E_L = exp(-x) (I0(x) + I1(x)), whose series for small and
 * large x the paper gives. */
double bragg_refine_extinction(double x, double theta, double *dx, double *dtheta)
{
    double sn = sin(theta), s2 = sn * sn, bragg = 1 / sqrt(1 + x), laue = 1 - x / 2, slope = -0.5;
    if (x > 1e-9) { /* GSL's give up where they underflow */
        double i0 = gsl_sf_bessel_I0_scaled(x), i1 = gsl_sf_bessel_I1_scaled(x);
        laue = i0 + i1;
        slope = -i1 / x;
    }
    *dx = -0.5 * bragg / (1 + x) * s2 + slope * (1 - s2);
    *dtheta = (bragg - laue) * sin(2 * theta);
    return bragg * s2 + laue * (1 - s2);
}

/* x for D^2 = 1 um^2: the classical electron radius (CODATA 2018) turns electrons into
 * angstrom, neutron lengths stand in fm. */
double bragg_refine_extinction_unit(bool neutron, double wavelength_ang, double f2, double volume_ang3)
{
    double length = (neutron ? 1e-5 : 2.8179403262e-5) * wavelength_ang * 1e4 / volume_ang3;
    return f2 > 0 ? length * length * f2 : 0;
}
