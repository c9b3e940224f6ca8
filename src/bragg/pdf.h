/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PDF_H
#define BRAGG_PDF_H

#include <bragg/arena.h>
#include <bragg/crystal.h>
#include <bragg/error.h>
#include <bragg/observer.h>
#include <bragg/param.h>
#include <bragg/pattern.h>
#include <bragg/refine.h>
#include <bragg/yaml.h>
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
double bragg_composition_mass_g_mol(const bragg_composition *composition);
/** Atoms/angstrom^3 at a density in g/cm^3. */
double bragg_pdf_number_density_invang3(const bragg_composition *composition, double density_g_cm3);

/* --------------------------------------------------------------- G(r) */

/** A measured G(r) as PDFgetX2/X3, PDFgetN or bragg_pdf_write left it: r G [dr dG]. */
typedef struct bragg_pdf_data {
    size_t n;
    double *r, *g, *sigma;    /**< sigma NULL unless every point has one */
    double qmin_invang, qmax_invang; /**< of the header; 0 and NAN when it is silent */
    bool neutron;             /**< the header says so */
    size_t band;              /**< covariance[i (band + 1) + k] of points i and i + k; NULL: unknown */
    double *covariance;
} bragg_pdf_data;

/** Also reads the covariance from NAME.cov beside NAME.gr when it is there. */
bragg_status bragg_pdf_data_read(const char *path, bragg_pdf_data **out, bragg_error *err);
void bragg_pdf_data_free(bragg_pdf_data *data);

/* ---------------------------------------------------------- reduction */

typedef enum bragg_pdf_window {
    BRAGG_PDF_WINDOW_NONE,
    BRAGG_PDF_WINDOW_LORCH,   /**< sin x / x, x = pi Q / Qmax: E. Lorch, J. Phys. C 2 (1969) 229 */
    BRAGG_PDF_WINDOW_SOPER,   /**< 3 (sin x - x cos x) / x^3: A. K. Soper & E. R. Barney, J. Appl. Cryst. 44 (2011) 714 */
    BRAGG_PDF_WINDOW_COSINE   /**< cos(x / 2) */
} bragg_pdf_window;
/** "none", "lorch", "soper-lorch", "cosine"; false when unknown. */
bool bragg_pdf_window_parse(const char *name, bragg_pdf_window *window);
const char *bragg_pdf_window_name(bragg_pdf_window window);

/** What the sample stands in. */
typedef enum bragg_pdf_mount { BRAGG_PDF_CYLINDER, BRAGG_PDF_PLATE } bragg_pdf_mount;

typedef struct bragg_pdf_options {
    double wavelength_ang;       /**< NAN: the pattern's; only 2theta needs it */
    double background_scale;     /**< NAN: found, see bragg_pdf_reduce */
    double qmin_invang;          /**< the transform begins here, or with the data */
    double qmax_invang;          /**< and ends here; NAN: qmaxinst */
    double qmaxinst_invang;      /**< data beyond are not used at all; NAN: found where the detector ends, INFINITY: the last */
    double rpoly_ang;            /**< the polynomial takes what oscillates slower than this; 0: none */
    double rmin_ang, rmax_ang, rstep_ang;
    bragg_pdf_window window;
    bool neutron;                /**< weights are scattering lengths */
    bool compton;                /**< take calculated Compton scattering off (needs the wavelength) */
    double polarization;         /**< to divide out: degree across the plane of scattering, 0 for whole rings or an
                                  *   unpolarized beam, 1 for none to correct; NAN: done already */
    double mu_r;                 /**< absorption of a cylinder, mu times radius; 0: none */
    double number_density;       /**< atoms/angstrom^3; NAN when unknown */
    bool auto_qmax;              /**< choose qmax where errors outweigh the signal */
    bool remove_outliers;        /**< replace points that stand alone far from their neighbours */
    bool anomalous;              /**< f' and f'' in <f> (needs the wavelength) */
    size_t band;                 /**< covariances of S(Q) and G(r) to this many points apart; 0: none */
    /* physical route */
    bool physical;               /**< corrections from the experiment instead of a polynomial; needs density and wavelength */
    bragg_pdf_mount mount;
    double size_mm;              /**< radius of the cylinder or thickness of the plate; 0: no absorption, no multiple scattering */
    double packing;              /**< fraction of the volume that is sample */
    double wall_mm;              /**< of the container, one side; 0: none */
    double wall_mu_per_mm;       /**< its attenuation */
    double first_distance_ang;   /**< G(r) is -4 pi rho0 r below; NAN: seen in an ad hoc G(r) */
    double compton_window_ang;   /**< integral width of an energy window (W. Ruland, Br. J. Appl. Phys. 15 (1964) 1301); 0: open */
    bool multiple, fluorescence, efficiency; /**< let the low-r fit find these: multiple scattering about what is calculated,
                                  *   a constant, a quadratic drift of the detector */
} bragg_pdf_options;

#define BRAGG_PDF_OPTIONS_INIT                                                                                    \
    { .wavelength_ang = NAN, .background_scale = 1, .qmax_invang = NAN, .qmaxinst_invang = NAN, .rpoly_ang = 0.9, \
      .rmax_ang = 30, .rstep_ang = 0.01, .polarization = NAN, .number_density = NAN, .packing = 0.6, .first_distance_ang = NAN,             \
      .multiple = true, .fluorescence = true, .efficiency = true }

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
    double *sq_covariance, *gr_covariance; /**< rows of band + 1 as in bragg_pdf_data; NULL unless asked for */
    double scale;                /**< intensity times this is <f^2> (+ Compton) in the mean */
    double slope, slope_esd;     /**< of G(r) below the first distance, angstrom^-3 */
    double slope_to_ang;         /**< which r it was taken to */
    double slope_expected;       /**< -4 pi rho0; NAN without density */
    double sq_tail;              /**< mean of S(Q) over the last fifth of the data */
    bool background_found, qmax_found, qmaxinst_found;
    double background_most;      /**< where it was found: the largest scale that leaves nothing negative */
    double error_ratio;          /**< error over scatter of neighbouring points beyond half of Q; NAN without errors */
    size_t n_outliers;           /**< points replaced, the first of them: */
    double outlier_q[8];
    /* physical route: what its fit found, with esds from the misfit */
    double compton_scale, multiple_ratio, multiple_scale, fluorescence, drift[2], mu_t;
    double strain;               /**< how far these are from what is expected, in widths of what is usual: beyond 4 something
                                  *   that was given may be wrong: density, composition, background */
} bragg_pdf;

/** Ad hoc route of P. Juhas, T. Davis, C. L. Farrow & S. J. L. Billinge, J. Appl.
 *  Cryst. 46 (2013) 560: background off, divided by <f>^2, a polynomial of degree
 *  rpoly qmaxinst / pi taken from F(Q).  background may be NULL; it is brought to
 *  the sample's axis and must cover it up to qmaxinst.
 *
 *  Physical route: background less attenuated by the sample (H. H. Paalman & C. J.
 *  Pings, J. Appl. Phys. 33 (1962) 2635), absorption, polarization, Compton with
 *  recoil and window, multiple scattering (I. A. Blech & B. L. Averbach, Phys. Rev.
 *  137 (1965) A1113; isotropic geometry, independent atoms), fluorescence; scale and
 *  what is known badly from the least squares of G(r) + 4 pi rho0 r below the first
 *  distance, of which the Krogh-Moe-Norman and the high-Q normalization are limits.
 *
 *  A background scale left open is the largest that leaves the sample's Compton
 *  scattering below Q = 4 and nothing negative beyond, in the mean over windows of
 *  0.05 /angstrom; where that is 1 to 1.5 it is 1, the scale of equal exposures.  EDATA when intensities do not follow
 *  <f^2> within a factor of five: a wrong wavelength or unit. */
bragg_status bragg_pdf_reduce(const bragg_pattern *sample, const bragg_pattern *background,
                              const bragg_composition *composition, const bragg_pdf_options *options,
                              bragg_pdf **out, bragg_error *err);
void bragg_pdf_free(bragg_pdf *pdf);

/** What an atom of a composition scatters at Q: <f>^2, <f^2> and, where the options ask
 *  for Compton scattering or the physical route, what is incoherent; electron units or
 *  fm^2.  f' and f'' are those of the scatterers, and count when options say anomalous. */
typedef struct bragg_pdf_weights {
    double mean2, square, compton;
} bragg_pdf_weights;
bragg_pdf_weights bragg_pdf_weights_at(const bragg_composition *composition, const bragg_pdf_options *options, double q_invang);

/** Take factor times an empty beam or dark counts off a sample or container before it is
 *  reduced.  empty is brought to the pattern's axis in place and must cover what the
 *  pattern has seen; a pattern without sigmas or an empty one without has none after. */
bragg_status bragg_pdf_take_off(bragg_pattern *pattern, bragg_pattern *empty, double factor, bragg_error *err);

/** Weight of each pair of elements in S(Q) at Q, c_i c_j f_i f_j / <f>^2 (twice that for
 *  i != j): rows i <= j of out[], n (n + 1) / 2 of them. */
void bragg_pdf_partial_weights(const bragg_composition *composition, const bragg_pdf_options *options, double q_invang, double *out);

/** What changes between two states on one grid: a - scale b, the scale the least-squares
 *  one between rmin and rmax unless given (not NAN).  out has a's points; sigma too where
 *  both have it. */
bragg_status bragg_pdf_difference(const bragg_pdf_data *a, const bragg_pdf_data *b, double rmin_ang, double rmax_ang, double *scale,
                                  bragg_pdf_data **out, bragg_error *err);
bragg_status bragg_pdf_data_write(const bragg_pdf_data *data, const char *comment, const char *path, bool force, bragg_error *err);

/** Names for the header of the files; each may be NULL. */
typedef struct bragg_pdf_names {
    const char *sample, *background, *composition;
} bragg_pdf_names;

/** Write one curve by the path's extension, .iq .sq .fq or .gr, under a header of
 *  all settings that PDFgui and diffpy read. */
bragg_status bragg_pdf_write(const bragg_pdf *pdf, const bragg_pdf_names *names, const char *path, bool force,
                             bragg_error *err);

/** One way from patterns to G(r) for a whole run: the section of an experiment
 *
 *      pdf: {composition: BiSnSb, background: empty.xye, qmin: 1.2, qmax: 20, rmax: 40}
 *
 *  with the names of the options of bragg pdf: bgscale qmin qmax qmaxinst rpoly rmin rmax rstep route density
 *  number_density first_distance window mount size_mm packing. */
typedef struct bragg_pdf_recipe {
    const char *formula, *background; /**< a file, NULL for none; both live in the arena */
    bragg_composition composition;
    bragg_pdf_options options;
} bragg_pdf_recipe;

/** EDATA with line and column for what the section has wrong. */
bragg_status bragg_pdf_recipe_read(const bragg_yaml *section, const char *experiment_path, bragg_arena *arena, bragg_pdf_recipe *out,
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

/* --------------------------------------------------- finite particles */

/** Atoms in space, sorted by kind. */
typedef struct bragg_particle {
    size_t n, n_kinds;
    double (*x)[3];              /**< angstrom */
    size_t first[BRAGG_COMPOSITION_ELEMENTS + 1]; /**< atoms first[k] … first[k + 1] - 1 are of kind k */
    bragg_scatterer kind[BRAGG_COMPOSITION_ELEMENTS];
    double uiso_ang2[BRAGG_COMPOSITION_ELEMENTS];
} bragg_particle;

typedef enum bragg_cut { BRAGG_CUT_SPHERE, BRAGG_CUT_ROD, BRAGG_CUT_PLATE } bragg_cut;

/** .xyz: number of atoms, a comment, then "Ni 0.0 1.7 3.5" a line. */
bragg_status bragg_particle_read_xyz(const char *path, bragg_particle **out, bragg_error *err);
/** Cut from a crystal about the centre of its cell: a sphere of the diameter; a rod of
 *  that diameter along c of the length; a plate of that diameter across c of the
 *  length, its thickness.  Partly occupied sites are filled by a fixed random choice. */
bragg_status bragg_particle_cut(const bragg_structure *structure, bragg_cut cut, double diameter_ang, double length_ang,
                                bragg_particle **out, bragg_error *err);
void bragg_particle_free(bragg_particle *particle);

typedef struct bragg_debye_options {
    double qmin_invang, qmax_invang, qstep_invang; /**< I(Q) and S(Q); G(r) is transformed over them */
    double rmin_ang, rmax_ang, rstep_ang;
    double qdamp_invang;
    bool neutron;
    double bin_ang;              /**< of the histogram of distances */
} bragg_debye_options;
#define BRAGG_DEBYE_OPTIONS_INIT { 0.5, 25, 0.01, 0, 30, 0.01, 0, false, 0.004 }

/** Scattering of a particle, per atom.
 *      I(Q) = sum_ij f_i f_j sin(Q r_ij) / (Q r_ij) exp(-Q^2 (u_i + u_j) / 2) / N
 *  P. Debye, Ann. Phys. 351 (1915) 809, through histograms of the distances between
 *  each two kinds. */
typedef struct bragg_debye {
    size_t n, m;
    double *q, *iq, *sq, *fq, *r, *gr;
} bragg_debye;
bragg_status bragg_debye_sum(const bragg_particle *particle, const bragg_debye_options *options, bragg_debye **out, bragg_error *err);
void bragg_debye_free(bragg_debye *debye);

/* ---------------------------------------------------------------- fit */

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
    double qmin_invang, qmax_invang; /**< termination; NAN: the data's header's, qmax INFINITY: none */
    bool neutron;
    double weight;            /**< of its residuals, beyond what its errors say */
} bragg_pdf_set_options;
#define BRAGG_PDF_SET_OPTIONS_INIT { NULL, 1.5, 20, NAN, NAN, false, 1 }

bragg_pdf_study *bragg_pdf_study_new(void);
void bragg_pdf_study_free(bragg_pdf_study *study);
/** Points and structure are copied.  Only every k-th point is fitted, k the most that
 *  keeps steps below pi / Qmax: between them the data say nothing new (C. L. Farrow et
 *  al., Phys. Rev. B 84 (2011) 134105), and esds of all points would be too small.
 *  Where the covariance is known esds take it into account. */
bragg_status bragg_pdf_study_add_set(bragg_pdf_study *study, const bragg_pdf_data *data, const bragg_pdf_set_options *options, bragg_error *err);
/** Atoms without displacement start from 0.005 angstrom^2. */
bragg_status bragg_pdf_study_add_phase(bragg_pdf_study *study, const char *name, const bragg_structure *structure, bragg_error *err);
/** Fit powder patterns together with G(r): a built whole-pattern model, which the study
 *  owns from here on (also on failure), with a name for each of its patterns.  Its rows
 *  join the table; phase.NAME.cell… and phase.NAME.atom… of phases of one name are the
 *  same rows.  The selected ones are refined by the patterns alone before all are fitted. */
bragg_status bragg_pdf_study_take_patterns(bragg_pdf_study *study, bragg_model *model, const char *const *names, size_t n, bragg_error *err);
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
    bool covariance;          /**< esds with the covariance of its points */
} bragg_pdf_fit_set;

/** A powder pattern fitted with them: the points in use. */
typedef struct bragg_pdf_fit_pattern {
    const char *name;
    size_t n;
    double *two_theta_rad, *observed, *sigma, *calculated, *background;
    double rwp;
} bragg_pdf_fit_pattern;

/** What came out, beside the study's table with its esds. */
typedef struct bragg_pdf_fit {
    size_t n_sets, n_patterns, fitted, variables; /**< fitted: points of both */
    bragg_pdf_fit_set *set;
    bragg_pdf_fit_pattern *pattern;
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
 *      data: {sets: [{name: xray, gr: a.gr, type: x-ray, range: [1.5, 20], qmin: 0.6, qmax: 24, weight: 1}, …]}
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
/** The card of phase k, a CIF file; NULL past the last. */
const char *bragg_pdf_experiment_card(const bragg_pdf_experiment *experiment, size_t k);
/** The study of a step, values set and parameters selected; values start from those of
 *  the study before, unless NULL. */
bragg_status bragg_pdf_experiment_study(const bragg_pdf_experiment *experiment, size_t step, bragg_pdf_study *before, bragg_pdf_study **out,
                                        bragg_error *err);

#endif
