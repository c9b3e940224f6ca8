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
    size_t band;              /**< covariance[i (band + 1) + k] of points i and i + k; NULL: unknown */
    double *covariance;
} bragg_pdf_data;

/** Also reads the covariance from NAME.cov beside NAME.gr when it is there. */
bragg_status bragg_pdf_data_read(const char *path, bragg_pdf_data **out, bragg_error *err);
void bragg_pdf_data_free(bragg_pdf_data *data);

/** Structures and measured G(r) of one real-space fit: several phases, several data
 *  sets of X-rays and neutrons.  G(r) of a set is the sum over phases of scale times
 *  their own, each with the set's resolution and termination.
 *
 *  Parameters (units; names as bragg refine has them):
 *      instrument.qdamp qbroad              angstrom^-1, of a set
 *      phase.NAME.scale                     of a set
 *      phase.NAME.cell.a … cell.gamma       angstrom, deg
 *      phase.NAME.delta1 delta2             angstrom, angstrom^2
 *      phase.NAME.sratio rcut               peaks below rcut angstrom are narrower by sratio
 *      phase.NAME.spdiameter stepcut        angstrom; 0: infinite crystal
 *      phase.NAME.atom.LABEL.x y z occupancy uiso u11 … u12
 *  With several sets the names of the first two rows start with the set's name and a
 *  dot.  rcut and stepcut cannot be refined. */
typedef struct bragg_pdf_study bragg_pdf_study;

typedef struct bragg_pdf_set_options {
    const char *name;         /**< prefix; NULL for the only set */
    double rmin_ang, rmax_ang;
    double qmin_invang, qmax_invang; /**< termination; qmax NAN: the data's header's, INFINITY: none */
    bool neutron;
    double weight;            /**< of its residuals, beyond what its errors say */
} bragg_pdf_set_options;
#define BRAGG_PDF_SET_OPTIONS_INIT { NULL, 1.5, 20, 0, NAN, false, 1 }

bragg_pdf_study *bragg_pdf_study_new(void);
void bragg_pdf_study_free(bragg_pdf_study *study);
/** Points and structure are copied.  Only every k-th point is fitted, k the most that
 *  keeps steps below pi / Qmax: between them the data say nothing new (C. L. Farrow et
 *  al., Phys. Rev. B 84 (2011) 134105), and esds of all points would be too small.
 *  Where the covariance is known residuals are whitened with it. */
bragg_status bragg_pdf_study_add_set(bragg_pdf_study *study, const bragg_pdf_data *data, const bragg_pdf_set_options *options, bragg_error *err);
/** Atoms without displacement start from 0.005 angstrom^2. */
bragg_status bragg_pdf_study_add_phase(bragg_pdf_study *study, const char *name, const bragg_structure *structure, bragg_error *err);
/** Make the table of parameters, tied as symmetry wants it; after the last _add. */
bragg_status bragg_pdf_study_build(bragg_pdf_study *study, bragg_error *err);
bragg_params *bragg_pdf_study_params(bragg_pdf_study *study);
/** G(r) at the table's values on all points of a set between its limits: g[n] and, unless
 *  NULL, its derivative with respect to each row of the table, n values each. */
size_t bragg_pdf_study_points(const bragg_pdf_study *study, size_t set);
bragg_status bragg_pdf_study_calculate(bragg_pdf_study *study, size_t set, double *g, double *derivatives, bragg_error *err);

typedef struct bragg_pdf_fit_set {
    const char *name;
    size_t n, fitted;         /**< points shown, and independent ones fitted */
    double *r, *observed, *sigma, *calculated; /**< sigma NULL without */
    double rw;                /**< sqrt(sum (o - c)^2 / sum o^2) over the n points */
    double rw_weighted;       /**< the same weighted by 1 / sigma^2; NAN without sigma */
    bool whitened;
} bragg_pdf_fit_set;

/** What came out, beside the study's table with its esds. */
typedef struct bragg_pdf_fit {
    size_t n_sets, fitted, variables;
    bragg_pdf_fit_set *set;
    double rw, chi2;          /**< of all sets; chi2 a degree of freedom, NAN unless all have sigmas */
    int cycles;
    bool converged;
    char report[4096];        /**< sampling, undetermined and correlated parameters: lines of text */
} bragg_pdf_fit;

typedef struct bragg_pdf_fit_options {
    int max_cycles;
    const bragg_observer *observer;
} bragg_pdf_fit_options;
#define BRAGG_PDF_FIT_OPTIONS_INIT { 50, NULL }

/** Refine the selected parameters.  ENOCONV with *out filled when the cycles did not
 *  do; EINVAL for a parameter that cannot be refined. */
bragg_status bragg_pdf_study_fit(bragg_pdf_study *study, const bragg_pdf_fit_options *options, bragg_pdf_fit **out, bragg_error *err);
void bragg_pdf_fit_free(bragg_pdf_fit *fit);

/* --------------------------------------------------------- experiment */

/** The experiment file of a real-space fit: data, phases, refine, sequence.
 *
 *      data: {gr: Ni.gr, range: [1.5, 20]}                 # a list of files is a series
 *      data: {sets: [{name: xray, gr: a.gr, type: x-ray, range: [1.5, 20], qmin: 0, qmax: 24, weight: 1}, …]}
 *      phases: [{name: Ni, card: Ni, displacement: isotropic, refine: [scale, cell, uiso, delta2]}]
 *      refine: {parameters: [qdamp], values: {…}, ties: {phase.B.cell.a: phase.A.cell.a}, cycles: 50}
 *      sequence: {window: 10, step: 5, propagate: true}    # box-car over r
 *
 *  Steps are files times windows; each is one study. */
typedef struct bragg_pdf_experiment bragg_pdf_experiment;

bragg_status bragg_pdf_experiment_read(const char *path, bragg_pdf_experiment **out, bragg_error *err);
void bragg_pdf_experiment_free(bragg_pdf_experiment *experiment);
const char *bragg_pdf_experiment_title(const bragg_pdf_experiment *experiment);
size_t bragg_pdf_experiment_steps(const bragg_pdf_experiment *experiment);
int bragg_pdf_experiment_cycles(const bragg_pdf_experiment *experiment);
/** What step k is about: "300K.gr", "300K.gr 1.5 to 11.5 angstrom". */
const char *bragg_pdf_experiment_label(const bragg_pdf_experiment *experiment, size_t step);
/** Files that the experiment reads, number k; NULL past the last. */
const char *bragg_pdf_experiment_input(const bragg_pdf_experiment *experiment, size_t k);
/** The study of a step, values set and parameters selected; values start from those of
 *  the study before, unless NULL. */
bragg_status bragg_pdf_experiment_study(const bragg_pdf_experiment *experiment, size_t step, bragg_pdf_study *before, bragg_pdf_study **out,
                                        bragg_error *err);

#endif
