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

enum { PDF_MOST_DEGREE = 60 };

/* The polynomial that was taken off: F' = (1 - B c B'W) F, B orthonormal under W, c 1
 * but for a last term that counts in part; inner = c B'W V W B c. */
typedef struct polynomial {
    size_t degree;
    double *basis, *w, part[PDF_MOST_DEGREE + 2], inner[PDF_MOST_DEGREE + 2][PDF_MOST_DEGREE + 2];
} polynomial;

#pragma GCC visibility push(hidden) /* shared by the files of this folder only */

/* curve.c: a pattern on rising Q, without what the detector did not see at its ends (what: "sample" ...) */
bragg_status bragg_pdf_on_q(const bragg_pattern *p, double wavelength_ang, const char *what, curve *out, bragg_error *err);
void bragg_pdf_close_curve(curve *c);
/* Less scale times b on the points of s. */
bragg_status bragg_pdf_subtract(curve *s, const curve *b, double scale, bragg_error *err);

/* structure.c: S(Q) and F(Q) by either route; of the ad hoc one, what was taken off */
bragg_status bragg_pdf_structure(bragg_pdf *p, const bragg_composition *c, const weights *w, double low_end, polynomial *of, bragg_error *err);
void bragg_pdf_close_polynomial(polynomial *of);
/* V W B, a row a term: the caller frees it. */
double *bragg_pdf_noisy_basis(const bragg_pdf *p, const polynomial *b);
/* What the polynomial does to the covariance of points i and j of any linear image of F:
 * t rows the image of B, u that of V W B. */
double bragg_pdf_polynomial_covariance(const polynomial *b, const double *t, const double *u, size_t stride, size_t i, size_t j);

/* transform.c: G(r), its errors, what it says below and at the first distance */
bragg_status bragg_pdf_transform(bragg_pdf *p, const polynomial *of, bragg_error *err);
bragg_status bragg_pdf_low_r_slope(bragg_pdf *p, const polynomial *of, bragg_error *err);
bragg_status bragg_pdf_check_distance(const bragg_pdf *p, const bragg_composition *c, bragg_error *err);
/* G(r) up to here is below the first distance. */
double bragg_pdf_low_end(const bragg_pdf *p);

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

#pragma GCC visibility pop

#endif
