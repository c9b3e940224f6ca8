/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PDF_REDUCE_H
#define PDF_REDUCE_H

#include <bragg/pdf.h>

/* Inside of the reduction. */

/* A measurement on Q; sigma2 is NULL when it has none. */
typedef struct curve {
    size_t n;
    double *q, *y, *sigma2;
} curve;

typedef bragg_pdf_weights weights;

#pragma GCC visibility push(hidden) /* shared by the files of this folder only */

/* scatter.c: what atoms scatter */
/* f' and f'' where asked for and not given. */
bragg_status bragg_pdf_set_anomalous(bragg_composition *c, const bragg_pdf_options *o, bragg_error *err);
/* Electrons^2 an atom scatters incoherently, whatever the options say. */
double bragg_pdf_compton_at(const bragg_composition *c, const bragg_pdf_options *o, double q);
/* 1/mm of the solid sample. */
double bragg_pdf_attenuation(const bragg_composition *c, const bragg_pdf_options *o);

/* absorb.c: factors of the mount at a scattering angle: of the sample alone, of the
 * container behind the sample over the container alone */
typedef struct absorption {
    double sample, container;
} absorption;
absorption bragg_pdf_absorption(const bragg_pdf_options *o, double mu_per_mm, double two_theta_rad);
/* Doubly over singly scattered intensity for isotropic scattering of cross section
 * sigma (an inverse length): the mean way out of the sample. */
double bragg_pdf_mean_way_mm(const bragg_pdf_options *o, double mu_per_mm);
/* Twice scattered intensity an atom on n points of Q. */
bragg_status bragg_pdf_multiple(const bragg_composition *c, const bragg_pdf_options *o, double mu_per_mm, const double *q, size_t n, double *out,
                                bragg_error *err);

/* Where the first distance of these elements may lie. */
void bragg_pdf_distance_range(const bragg_composition *c, double range[2]);
/* The furthest that atoms of a density can keep each other off. */
double bragg_pdf_packed_distance(const bragg_composition *c, double number_density);

/* choose.c: automatic choices */
size_t bragg_pdf_remove_outliers(curve *s, double *where, size_t room);
double bragg_pdf_background_scale(const curve *s, const curve *b, const bragg_composition *c, const bragg_pdf_options *o);
double bragg_pdf_error_ratio(const curve *s);
double bragg_pdf_choose_qmaxinst(const curve *s);
double bragg_pdf_choose_qmax(const bragg_pdf *p, const weights *w);

/* physical.c: scale and corrections by the low-r fit, S and F filled */
bragg_status bragg_pdf_physical(bragg_pdf *p, const bragg_composition *c, const weights *w, double low_to_ang, bragg_error *err);

/* What S = 0 below a first Q gives in G(r). */
double bragg_pdf_unseen(double q0, double r);

/* G(r) up to here is below the first distance. */
double bragg_pdf_low_end(const bragg_pdf *p);

#pragma GCC visibility pop

#endif
