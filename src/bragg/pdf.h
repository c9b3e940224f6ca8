/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PDF_H
#define BRAGG_PDF_H

#include <bragg/crystal.h>
#include <bragg/error.h>
#include <bragg/observer.h>
#include <bragg/param.h>
#include <bragg/pattern.h>
#include <stdbool.h>
#include <stddef.h>

/* -------------------------------------------------------- composition */

enum { BRAGG_COMPOSITION_ELEMENTS = 32 };

/** What is in the sample, by number of atoms (any common factor). */
typedef struct bragg_composition {
    size_t n;
    bragg_scatterer scatterer[BRAGG_COMPOSITION_ELEMENTS];
    double count[BRAGG_COMPOSITION_ELEMENTS];
} bragg_composition;

/** "BiSnSb", "K3Bi2", "Pb Ti0.5 Zr0.5 O3", "Zr(HPO4)2·H2O", nested brackets; an
 *  element may come again.  EDATA with the place for what is none. */
bragg_status bragg_composition_parse(const char *formula, bragg_composition *out, bragg_error *err);
/** Mean weight of an atom, g/mol. */
double bragg_composition_weight(const bragg_composition *composition);

/* ---------------------------------------------------------- reduction */

typedef enum bragg_pdf_window { BRAGG_PDF_WINDOW_NONE, BRAGG_PDF_WINDOW_LORCH } bragg_pdf_window;

typedef struct bragg_pdf_options {
    double wavelength_ang;       /**< NAN: the pattern's; only 2theta needs it */
    double background_scale;
    double qmin_invang;          /**< the transform begins here */
    double qmax_invang;          /**< and ends here; NAN: qmaxinst */
    double qmaxinst_invang;      /**< data beyond are not used at all; NAN: the last */
    double rpoly_ang;            /**< the polynomial takes what oscillates slower than this; 0: none */
    double rmin_ang, rmax_ang, rstep_ang;
    bragg_pdf_window window;
    bool neutron;                /**< weights are scattering lengths */
    bool compton;                /**< take calculated Compton scattering off (needs the wavelength) */
    double polarization;         /**< to divide out: degree across the plane of scattering, 0 for whole rings or an
                                  *   unpolarized beam, 1 for none to correct; NAN: done already */
    double mu_r;                 /**< absorption of a cylinder, mu times radius; 0: none */
    double number_density;       /**< atoms/angstrom^3; NAN when unknown */
} bragg_pdf_options;

#define BRAGG_PDF_OPTIONS_INIT \
    { NAN, 1, 0, NAN, NAN, 0.9, 0, 30, 0.01, BRAGG_PDF_WINDOW_NONE, false, false, NAN, 0, NAN }

/** From intensities to G(r).  The sigmas are NULL when the data have none.
 *
 *      q[n]  iq = sample - scale x background    sq    fq = q (sq - 1)
 *      r[m]  gr = 2/pi integral of fq sin(q r)
 */
typedef struct bragg_pdf {
    bragg_pdf_options used;      /**< with what was left open filled in */
    size_t n, m;
    double *q, *iq, *iq_sigma, *sq, *sq_sigma, *fq, *fq_sigma;
    double *r, *gr, *gr_sigma;
    double scale;                /**< intensity times this is <f^2> (+ Compton) in the mean */
    double slope, slope_esd;     /**< of G(r) below the first distance, angstrom^-3 */
    double slope_to_ang;         /**< which r it was taken to */
    double slope_expected;       /**< -4 pi rho0; NAN without density */
} bragg_pdf;

/** Ad hoc route of P. Juhas, T. Davis, C. L. Farrow & S. J. L. Billinge, J. Appl.
 *  Cryst. 46 (2013) 560: background off, divided by <f>^2, a polynomial of degree
 *  rpoly qmaxinst / pi taken from F(Q).  background may be NULL; it is brought to
 *  the sample's axis and must cover it up to qmaxinst. */
bragg_status bragg_pdf_reduce(const bragg_pattern *sample, const bragg_pattern *background,
                              const bragg_composition *composition, const bragg_pdf_options *options,
                              bragg_pdf **out, bragg_error *err);
void bragg_pdf_free(bragg_pdf *pdf);

/** Names for the header of the files; each may be NULL. */
typedef struct bragg_pdf_names {
    const char *sample, *background, *composition;
} bragg_pdf_names;

/** Write one curve by the path's extension, .iq .sq .fq or .gr, under a header of
 *  all settings that PDFgui and diffpy read. */
bragg_status bragg_pdf_write(const bragg_pdf *pdf, const bragg_pdf_names *names, const char *path, bool force,
                             bragg_error *err);

/* -------------------------------------------------------------- model */

/** Grid and shape of a calculated G(r); the names are PDFgui's. */
typedef struct bragg_pdf_shape {
    double rmin_ang, rstep_ang;
    size_t n;                    /**< points rmin + i rstep */
    double scale;
    double qmin_invang, qmax_invang; /**< termination; qmax INFINITY: none */
    double qdamp_invang, qbroad_invang; /**< resolution: envelope, and widths growing with r */
    double delta1_ang, delta2_ang2;  /**< correlated motion: width^2 x (1 - delta1/r - delta2/r^2 + (qbroad r)^2) */
    double sratio, rcut_ang;     /**< peaks below rcut are narrower by this factor; 1, 0: none */
    double spdiameter_ang;       /**< spherical particles; 0: infinite crystal */
    double stepcut_ang;          /**< zero beyond; 0: none */
    bool neutron;
} bragg_pdf_shape;

#define BRAGG_PDF_SHAPE_INIT { 0, 0.01, 3000, 1, 0, INFINITY, 0, 0, 0, 0, 1, 0, 0, 0, false }

/** G(r) of a crystal into g[shape->n] and, unless NULL, the radial distribution
 *  R(r) = r (G + 4 pi rho0 r) before damping and termination into rdf.  Atoms
 *  without displacement are EDATA. */
bragg_status bragg_pdf_model(const bragg_structure *structure, const bragg_pdf_shape *shape, double *g, double *rdf,
                             bragg_error *err);

/* ---------------------------------------------------------------- fit */

/** A measured G(r) as PDFgetX2/X3, PDFgetN or bragg_pdf_write left it: r G [dr dG]. */
typedef struct bragg_pdf_data {
    size_t n;
    double *r, *g, *sigma;    /**< sigma NULL unless every point has one */
    double qmax_invang;       /**< of the header; NAN when it is silent */
    bool neutron;             /**< the header says so */
} bragg_pdf_data;

bragg_status bragg_pdf_data_read(const char *path, bragg_pdf_data **out, bragg_error *err);
void bragg_pdf_data_free(bragg_pdf_data *data);

typedef struct bragg_pdf_fit_options {
    double rmin_ang, rmax_ang;
    bragg_pdf_shape shape;    /**< start; its grid is not used, qmax INFINITY: the data's */
    const char *refine;       /**< "scale,cell,uiso,delta2,qdamp"; also positions delta1 qbroad spdiameter */
    int max_cycles;
    const bragg_observer *observer;
} bragg_pdf_fit_options;
#define BRAGG_PDF_FIT_OPTIONS_INIT { 1.5, 20, BRAGG_PDF_SHAPE_INIT, "scale,cell,uiso,delta2,qdamp", 50, NULL }

/** What came out: the table of parameters with esds, and the curves on the data's
 *  points between rmin and rmax. */
typedef struct bragg_pdf_fit {
    bragg_params params;
    size_t n, fitted;         /**< points shown, and independent ones fitted */
    double *r, *observed, *calculated;
    double rw;                /**< sqrt(sum (o - c)^2 / sum o^2) over the n points */
    int cycles;
    bool converged;
} bragg_pdf_fit;

/** Fit a structure to G(r) in real space.  Only every k-th point is used, k the
 *  most that keeps steps below pi / Qmax: between them the data say nothing new
 *  (C. L. Farrow et al., Phys. Rev. B 84 (2011) 134105), and esds of all points
 *  would be too small.  Atoms without displacement start from 0.005 angstrom^2.
 *  ENOCONV with *out set when the cycles did not do. */
bragg_status bragg_pdf_fit_structure(const bragg_structure *structure, const bragg_pdf_data *data,
                                     const bragg_pdf_fit_options *options, bragg_pdf_fit **out, bragg_error *err);
void bragg_pdf_fit_free(bragg_pdf_fit *fit);

#endif
