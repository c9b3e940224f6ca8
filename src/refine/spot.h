/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef REFINE_SPOT_H
#define REFINE_SPOT_H

#include "model.h"

/* Where a reflection of one line stands, how wide and how bright it is, with what
 * that depends on.  Angles in radians. */
typedef struct spot {
    size_t reflection, line;
    double q, theta, position, dposition_dtheta, dtheta_dq, wavelength;
    double dalong, dacross;         /* position with what scatters further up the beam, and beside it, in m */
    double gauss, lorentz, d_gauss[4], d_lorentz[3], dgauss_dtheta, dlorentz_dtheta, dgauss_dvariance;
    double lorentz_size, size_change[2], strain_change[2];          /* with equator and axis */
    double stephens, stephens_lorentz, dstephens_dsum, dstephens_dlnq; /* FWHM of the anisotropic strain */
    double intensity, per_scale, per_f2, per_ratio, dln_df2, dintensity_dq, dintensity_dtheta, lp;
    double texture, extinction, dln_dx, dln_change[3];      /* ln intensity with absorption and both roughnesses */
    bragg_tch tch;
    struct texture_slopes *slopes;
} spot;

/* Change of intensity, position, Gaussian and Lorentzian width with one row. */
typedef struct change {
    double intensity, position, gauss, lorentz;
} change;

/* Change of the texture factor with its rows. */
typedef struct texture_slopes {
    double march[MAX_MARCH], part[MAX_MARCH], harmonic[BRAGG_MAX_HARMONIC_TERMS];
} texture_slopes;

#pragma GCC visibility push(hidden)

/* broaden.c */
void bragg_refine_widen(const bragg_params *t, const histogram *h, const phase *p, spot *s);
change bragg_refine_broadening_change(const bragg_params *t, const phase *p, const spot *s, int kind, int index);

/* absorb.c: factor of the intensity, its d ln with theta and with the three rows */
double bragg_refine_absorption(const histogram *h, double theta, double *dln_dtheta, double dln_drow[3]);
/* Cylinder in the beam, International Tables C, 6.3.3: transmission of its section, and
 * -d of it / d(mu R). */
double bragg_refine_cylinder(double mu_r, double two_theta, double *mean_path);
/* texture.c: mean over n equivalents of (r^2 cos^2 + sin^2 / r)^(-3/2) (March & Dollase), and its
 * slope with r; and all texture of a reflection */
double bragg_refine_march(const double *cos2, size_t n, double r, double *slope);
double bragg_refine_texture(const bragg_params *t, const histogram *h, const phase *p, size_t reflection, texture_slopes *slopes);
/* extinction.c: Sabine's y, its slopes; x for blocks of 1 um */
double bragg_refine_extinction(double x, double theta, double *dx, double *dtheta);
double bragg_refine_extinction_unit(bool neutron, double wavelength_ang, double f2, double volume_ang3);
/* once a cycle */
void bragg_refine_prepare_absorption(histogram *h);

#pragma GCC visibility pop

enum { K_CELL = N_INSTRUMENT, K_DIJ, K_OFFSET, K_SIZE, K_STRAIN, K_STEPHENS, K_LORENTZ, K_SCALE, K_MARCH, K_MARCH_PART, K_HARMONIC, K_EXTINCTION, K_ATOM };

#endif
