/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_REFINE_H
#define BRAGG_REFINE_H

#include <bragg/crystal.h>
#include <bragg/lsq.h>
#include <bragg/pattern.h>
#include <bragg/profile.h>
#include <stdbool.h>
#include <stddef.h>

/** The whole-pattern model.  At 2theta_i
 *
 *      y_i = background_i + sum over phases, reflections h, lines k of
 *            S ratio_k m_h L P(theta_k) |F_h|^2 / V  O(2theta_i - 2theta_hk)
 *
 *  with L = 1 / (2 sin^2 theta cos theta), P = (1 - p) cos^2 2theta + p (p = 0.5
 *  unpolarized, 0.99 a synchrotron), O the Thompson-Cox-Hastings pseudo-Voigt of
 *  unit area per centidegree, drawn out by axial divergence (Finger, Cox &
 *  Jephcoat, J. Appl. Cryst. 27 (1994) 892).  H. M. Rietveld, J. Appl. Cryst. 2
 *  (1969) 65; A. C. Larson & R. B. Von Dreele, GSAS, LAUR 86-748.
 *
 *  Parameters and their units in the table (all may be refined):
 *      background.K                      intensity, functions over the fit's range
 *      background.container              factor of an empty container's counts
 *      background.debyeK.a r u           a sin(Qr)/(Qr) exp(-u Q^2/2), angstrom
 *      background.peakK.area position fwhm   broad Gaussian, deg
 *      instrument.zero                   deg, added to every 2theta
 *      instrument.displacement           mm, Bragg-Brentano: -2 s cos(theta) / R
 *      instrument.wavelength             angstrom (the first line; others follow)
 *      instrument.u v w p                deg^2, FWHM^2 = U tan^2 + V tan + W + P / cos^2
 *      instrument.x y z                  deg, Lorentzian FWHM = X / cos + Y tan + Z
 *      instrument.sl hl                  S/L and H/L of the axial divergence
 *      instrument.ratio                  of the second line to the first
 *      instrument.transparency           mm, 1/mu: Bragg-Brentano, -sin(2theta) / (2 mu R)
 *      instrument.shift_x shift_y        mm, sample off centre across and along the beam,
 *                                        Debye-Scherrer: (x cos 2theta - y sin 2theta) / R,
 *                                        on a flat detector cos 2theta times that
 *      instrument.absorption             mu R of a capillary, mu t of a plate; relative to
 *                                        2theta = 0 but for a thin plate in reflection
 *      instrument.roughness_p _q         Suortti's surface roughness
 *      instrument.box pixel              deg, full width of the bin, and of a flat detector's
 *                                        pixel at 2theta = 0 (cos^2 2theta of it elsewhere):
 *                                        the profile is its mean over both
 *      phase.NAME.scale
 *      phase.NAME.cell.a … cell.gamma    angstrom, deg
 *      phase.NAME.size                   nm, volume-weighted column length L_vol =
 *                                        lambda / (beta cos theta), beta integral breadth
 *      phase.NAME.strain                 Stokes-Wilson e = beta / (4 tan theta), 1e-6
 *      phase.NAME.offset                 mm, its own place beside the sample's (a window):
 *                                        up the beam, rings larger, tan 2theta' = (1 + o / D)
 *                                        tan 2theta on a flat detector, + o sin(2theta) / R on
 *                                        a cylinder; Bragg-Brentano as the displacement
 *      phase.NAME.size.axial strain.axial  the same along the axis of a uniaxial phase
 *      phase.NAME.stephens.s400 …        1e-12/angstrom^4, P. W. Stephens, J. Appl. Cryst.
 *                                        32 (1999) 281: FWHM = sqrt(sum S h^H k^K l^L) d^2 tan
 *      phase.NAME.lorentz                part of that width that is Lorentzian, the rest
 *                                        Gaussian
 *      phase.NAME.march                  March-Dollase r (W. A. Dollase, J. Appl.
 *                                        Cryst. 19 (1986) 267)
 *      phase.NAME.march.rK partK         of further axes
 *      phase.NAME.harmonics.cL_K         texture index 1 + sum C^2 / (2L + 1)
 *      phase.NAME.extinction             um^2, squared size of the blocks
 *      phase.NAME.atom.LABEL.x y z occupancy uiso u11 … u12
 *      phase.NAME.dij.d11 …              1/angstrom^2, added to 1/d^2 of the cell in this
 *                                        pattern; those that symmetry leaves
 *  With several patterns the names of the first two groups, the scales and D_ij
 *  start with the pattern's name and a dot; the first pattern has no D_ij. */
typedef struct bragg_model bragg_model;

/** L P above of a spacing, whose cos theta counts 0.001 at least; 0 when it does not diffract. */
double bragg_lorentz_polarization(double d_ang, double wavelength_ang, double polarization);

typedef enum bragg_mount { BRAGG_DEBYE_SCHERRER, BRAGG_BRAGG_BRENTANO, BRAGG_TRANSMISSION } bragg_mount;

/** "debye-scherrer", "bragg-brentano", "transmission"; false for another text. */
const char *bragg_mount_name(bragg_mount mount);
bool bragg_mount_parse(const char *text, bragg_mount *mount);

enum { BRAGG_MAX_LINES = 8 };

typedef struct bragg_radiation {
    bool neutron;
    size_t n_lines;
    double wavelength_ang[BRAGG_MAX_LINES];
    double ratio[BRAGG_MAX_LINES];      /**< relative to the first, 1 */
    double polarization;                /**< p of P above */
    double width_ang[BRAGG_MAX_LINES];  /**< FWHM of the lines, Lorentzian; 0: sharp */
} bragg_radiation;

/** Functions of 2theta with a factor each; LINEAR and LOG go straight between as many
 *  points, equally spaced in 2theta or its logarithm. */
typedef enum bragg_background {
    BRAGG_BACKGROUND_CHEBYSHEV, BRAGG_BACKGROUND_LINEAR, BRAGG_BACKGROUND_COSINE, BRAGG_BACKGROUND_LOG
} bragg_background;

enum { BRAGG_MAX_BACKGROUND = 64, BRAGG_MAX_HARMONIC_ORDER = 12, BRAGG_MAX_HARMONIC_TERMS = 100 };

typedef struct bragg_histogram_options {
    const char *name;                   /**< prefix of its parameters; NULL for the only pattern */
    bragg_radiation radiation;
    bragg_mount mount;
    double radius_m;                    /**< of the goniometer or to the detector, for what displaces */
    bool flat_detector;                 /**< square to the beam at that distance, not a cylinder */
    double first_rad, last_rad;         /**< the fit's range of 2theta; NAN: all */
    const double (*exclude_rad)[2];     /**< regions left out */
    size_t n_exclude;
    size_t background_terms;
    bragg_background background;
    size_t n_container, n_debye, n_humps;
    const double *container_rad, *container; /**< an empty container's counts: one more function */
    const double *debye_ang;            /**< distances of Debye terms, where they start */
    const double (*hump_deg)[2];        /**< position and width of broad peaks, where they start */
    double weight;                      /**< of its chi^2 beside other patterns' */
} bragg_histogram_options;

#define BRAGG_HISTOGRAM_OPTIONS_INIT                                                              \
    { NULL, { false, 0, { 0 }, { 0 }, 0.5, { 0 } }, BRAGG_DEBYE_SCHERRER, NAN, false, NAN, NAN, NULL, 0, 6, BRAGG_BACKGROUND_CHEBYSHEV, 0, 0, 0, NULL, NULL, NULL, NULL, 1 }

bragg_model *bragg_model_new(void);
void bragg_model_free(bragg_model *model);

/** Add a measured pattern: 2theta axis in radians or anything convertible to it.
 *  Missing sigmas are counting ones, sqrt(max(y, 1)).  Points without intensity
 *  or with a sigma that is not positive are left out. */
bragg_status bragg_model_add_pattern(bragg_model *model, const bragg_pattern *pattern,
                                     const bragg_histogram_options *options, bragg_error *err);
/** Add a phase (its structure is copied).  march_hkl may be NULL. */
bragg_status bragg_model_add_phase(bragg_model *model, const char *name, const bragg_structure *structure,
                                   const int march_hkl[3], bragg_error *err);
/** Add a phase of which only the cell and its symmetry are known: intensities are
 *  extracted from the pattern between cycles (A. Le Bail, H. Duroy & J. L. Fourquet,
 *  Mater. Res. Bull. 23 (1988) 447), reflections of one position share evenly what
 *  stands there.  It has no scale, no atoms and no weight fraction; the esds of cell
 *  and profile are those at fixed intensities.  EDATA when cell and symmetry disagree. */
bragg_status bragg_model_add_cell(bragg_model *model, const char *name, const bragg_cell *cell,
                                  const bragg_symmetry *symmetry, bragg_error *err);
/** The same with intensities as parameters phase.NAME.intensity.h_k_l (G. S. Pawley,
 *  J. Appl. Cryst. 14 (1981) 357), with esds; reflections that fall together are
 *  loosely held equal.  positive keeps them from falling below zero. */
bragg_status bragg_model_add_pawley(bragg_model *model, const char *name, const bragg_cell *cell, const bragg_symmetry *symmetry,
                                    bool positive, bragg_error *err);

/** A peak whose intensity is known. */
typedef struct bragg_known_peak {
    int h, k, l;
    double d_ang, intensity;
} bragg_known_peak;

/** Add a phase of cell and symmetry with the |F|^2 of its reflections (those of an
 *  earlier extraction; unlisted ones are 0) and one scale.  mass (g/mol) is the
 *  calibrated mass of its cell for weight fractions (N. V. Y. Scarlett & I. C.
 *  Madsen, Powder Diffr. 21 (2006) 278), NAN when it has none. */
bragg_status bragg_model_add_intensities(bragg_model *model, const char *name, const bragg_cell *cell, const bragg_symmetry *symmetry,
                                         const bragg_known_peak *list, size_t n, double mass, bragg_error *err);
/** Add a phase of which only spacings and relative intensities are known, as a card
 *  lists them, measured at wavelength_ang (NAN: as the pattern is).  Its cell.a is
 *  the ratio of its spacings to the card's. */
bragg_status bragg_model_add_list(bragg_model *model, const char *name, const bragg_known_peak *list, size_t n, double wavelength_ang,
                                  double mass, bragg_error *err);
/** Before _build: anisotropic widths of a phase.  axis (NULL: none) makes size and
 *  strain uniaxial along that reciprocal direction, which symmetry must leave alone;
 *  stephens adds the anisotropic strain of its Laue class. */
bragg_status bragg_model_broaden(bragg_model *model, const char *name, const int axis[3], bool stephens, bragg_error *err);
/** Before _build: texture of a phase.  Several March-Dollase axes share it: parts 2, 3 …
 *  are rows, the first has the rest; harmonics are symmetrized, of even orders up to
 *  `order` (0: none) for a sample of cylindrical symmetry (M. Jarvinen, J. Appl. Cryst.
 *  26 (1993) 525; R. B. Von Dreele, ibid. 30 (1997) 517). */
bragg_status bragg_model_texture(bragg_model *model, const char *name, const int (*axes)[3], size_t n, int order, bragg_error *err);
/** Before _build: extinction in a phase, T. M. Sabine, Acta Cryst. A44 (1988) 368. */
bragg_status bragg_model_extinction(bragg_model *model, const char *name, bragg_error *err);
/** Microabsorption in a phase whose grains are spheres of this diameter: G. W. Brindley,
 *  Phil. Mag. 36 (1945) 347, with absorption coefficients of xraylib.  Weight
 *  fractions alone feel it.  A phase without is taken as infinitely fine; phases without
 *  structure do not count in the mean coefficient.  EDATA without structure. */
bragg_status bragg_model_microabsorption(bragg_model *model, const char *name, double diameter_um, bragg_error *err);
/** After a fit: the weight fractions w[n_phases] if the grains of each phase of which no diameter
 *  is told had this one, in um: what is at stake when they are taken as infinitely fine.  With
 *  neutrons, and where nothing absorbs more than the mean, those of the fit. */
bragg_status bragg_model_coarse_fractions(const bragg_model *model, double diameter_um, double *w, bragg_error *err);

/** Grains that lie: the axis hkl along which a texture of W. A. Dollase, J. Appl. Cryst. 19 (1986)
 *  267 explains a phase's intensities best, its r (below 1 for plates, above for needles, in
 *  reflection), and R_Bragg before and after, 0 to 1. */
typedef struct bragg_lying {
    int hkl[3];
    double r, before, after;
} bragg_lying;
/** After a fit, of the first pattern, among axes of small indices: after is NAN where none leaves
 *  less than 70 % of R_Bragg, where the phase has fewer than 8 lines, or no atoms. */
bragg_status bragg_model_lying(bragg_model *model, size_t phase, bragg_lying *out, bragg_error *err);
/** Brindley's tau: mean over a sphere of exp(-mu path) of the beam that is scattered by
 *  2theta; mu times radius may be negative. */
double bragg_sphere_transmission(double mu_radius, double two_theta_rad);
/** After _build: a distance of two atoms (the image nearest to it) or the angle at the
 *  second of three is known: angstrom or degrees, with a sigma. */
bragg_status bragg_model_restrain_atoms(bragg_model *model, const char *phase, const char *const *labels, size_t n, double value,
                                        double sigma, bragg_error *err);
/** After _build: the sum of rows of the table is known, as that of the occupancies of a site. */
bragg_status bragg_model_restrain_sum(bragg_model *model, const size_t *rows, size_t n, double value, double sigma, bragg_error *err);
/** After _build: values of single rows that are known to a sigma before the pattern is
 *  looked at, in place of those of an earlier call; n 0: none. */
bragg_status bragg_model_expect(bragg_model *model, const size_t *rows, const double *value, const double *sigma, size_t n, bragg_error *err);
/** A phase was weighed in as this fraction of the sample: the others' fractions become
 *  absolute and what is missing is amorphous.  EDATA for a phase without mass. */
bragg_status bragg_model_standard(bragg_model *model, const char *name, double weight_fraction, bragg_error *err);
/** Make reflections and the table of parameters; after the last _add. */
bragg_status bragg_model_build(bragg_model *model, bragg_error *err);

/** Put another measurement in place of a pattern of a built model, with the range,
 *  exclusions and radiation it was added with: structures, reflections, table and
 *  values stay, so that the next frame of a sequence starts from its neighbour.
 *  Number and places of the points may differ within the range the model was built
 *  for.  EDATA (and the model as it was) when they do not, or without intensities. */
bragg_status bragg_model_replace_pattern(bragg_model *model, size_t which, const bragg_pattern *pattern, bragg_error *err);

/** The table: set values, bounds and refine flags here. */
bragg_params *bragg_model_params(bragg_model *model);
/** Set the refine flag of every parameter whose name matches a pattern of shell
 *  kind ("phase.*.cell", also without its last part: all six); the number found. */
size_t bragg_model_select(bragg_model *model, const char *pattern, bool refine);

/** Offer them to bragg_refine's choice instead: refined only if the data carry them. */
size_t bragg_model_offer(bragg_model *model, const char *pattern);

/** Calculated pattern at the table's values: n values each (the points in use);
 *  any may be NULL. */
size_t bragg_model_points(const bragg_model *model, size_t pattern);
bragg_status bragg_model_calculate(bragg_model *model, size_t pattern, double *x_rad, double *observed,
                                   double *sigma, double *calculated, double *background, bragg_error *err);

/** One line of the reflection list. */
typedef struct bragg_model_peak {
    size_t phase, line;
    bragg_reflection hkl;
    double two_theta_rad, gauss_fwhm_rad, lorentz_fwhm_rad;
    double f2, lp, intensity;
} bragg_model_peak;
/** Peaks of a pattern at the last calculation, in order of phase, reflection,
 *  line; borrowed. */
const bragg_model_peak *bragg_model_peaks(const bragg_model *model, size_t pattern, size_t *n);

/** Leave a phase (in order of adding) out of all calculations, or take it in again.
 *  Its rows stay in the table; whoever leaves it out sets its scale to 0 and refines
 *  none of its parameters. */
void bragg_model_switch(bragg_model *model, size_t phase, bool on);

/** The least-squares problem of this model, for a caller who owns the loop. */
const bragg_lsq_problem *bragg_model_problem(bragg_model *model);

/* ------------------------------------------------------------------ fit */

typedef struct bragg_quantity {
    double value, esd;
} bragg_quantity;

typedef struct bragg_fit_phase {
    const char *name;
    bragg_quantity cell[6];          /**< angstrom, deg */
    bragg_quantity volume_ang3, density, weight_fraction;
    bragg_quantity absolute_fraction; /**< of the sample, amorphous part included; NAN without a standard or a mass */
    bragg_quantity size_nm, strain;
    double r_bragg;
    double particle_um, microabsorption; /**< as given, 0 without; Brindley's tau, 1 without */
} bragg_fit_phase;

/** A step on the way: what was freed, and whether that was kept. */
typedef struct bragg_fit_step {
    char name[120];
    size_t variables;
    int cycles;
    double rwp, delta_bic;           /**< against the step before; NAN where nothing was to choose */
    bool kept;
    char why[160];                   /**< it was not */
} bragg_fit_step;

typedef struct bragg_fit {
    bool converged;
    int cycles;
    size_t points, reflections, variables;
    double rp, rwp, rexp, gof;       /**< fractions, not per cent */
    double durbin_watson;            /**< serial correlation of residuals; 2 = none */
    double serial_factor;            /**< by which serial correlation widens esds, 1 without it:
                                          J.-F. Berar & P. Lelann, J. Appl. Cryst. 24 (1991) 1 */
    double shift_per_esd_max, shift_per_esd_mean; /**< of the step not taken at the end */
    bragg_quantity amorphous;        /**< weight fraction; NAN without a standard, or beside a phase of unknown mass */
    size_t n_phases;
    bragg_fit_phase *phase;
    char *report;                    /**< what was done and why, lines of text */
    size_t n_steps;
    bragg_fit_step *step;            /**< the same */
    size_t *row;                     /**< of the table, of each variable */
    ptrdiff_t *variable;             /**< of each row; -1: it is none */
    double *covariance;              /**< variables x variables; NAN where not determined */
} bragg_fit;

typedef struct bragg_refine_options {
    int max_cycles;
    bool stages;                     /**< free the selected parameters in an expert's order */
    const bragg_observer *observer;
} bragg_refine_options;

#define BRAGG_REFINE_OPTIONS_INIT { 100, true, NULL }

/** Refine the selected parameters.  What was offered (bragg_model_offer) is tried part by
 *  part, in the same order, and kept where it lowers the BIC by more than 6.  A stage on
 *  the way that ends worse than it began, or at an absurd value, is taken back; the last
 *  refines all that was selected, whatever comes.  CONVERGED, or ENOCONV with the best point in
 *  the table and *out filled all the same. */
bragg_status bragg_refine(bragg_model *model, const bragg_refine_options *options, bragg_fit **out,
                          bragg_error *err);
void bragg_fit_free(bragg_fit *fit);

/* --------------------------------------------------------------- results */

/** pdCIF (CIF_POW): a block a phase with cell, operations, atoms, reflections, distances
 *  and angles,
 *  a block a pattern with R factors, weighting and the profile; title may be NULL.
 *  Refined values carry their esds in brackets. */
bragg_status bragg_fit_write_cif(bragg_model *model, const bragg_fit *fit, const char *title, const char *path, bool force,
                                 bragg_error *err);
/** CSV: the whole table with plain esds and those widened by serial correlation. */
bragg_status bragg_fit_write_parameters(const bragg_model *model, const bragg_fit *fit, const char *path, bool force, bragg_error *err);
/** CSV: every peak of every pattern. */
bragg_status bragg_fit_write_reflections(bragg_model *model, const char *path, bool force, bragg_error *err);
/** Variance of a quantity with the given derivatives with respect to the rows of the
 *  model's table, ties obeyed; NAN when the data do not determine it. */
double bragg_fit_variance(const bragg_fit *fit, const bragg_params *params, const double *d_rows);
/** Mean of the refined background over the points in use of a pattern, in its counts: what
 *  the observed mean has above it is Bragg scattering.  The esd is the fit's, NAN without one
 *  (fit NULL). */
bragg_status bragg_model_background_mean(const bragg_model *model, size_t pattern, const bragg_fit *fit,
                                         bragg_quantity *out, bragg_error *err);
/** Of two variables; NAN where the data do not determine both. */
double bragg_fit_correlation(const bragg_fit *fit, size_t i, size_t j);
/** CSV: distances to the first shell of neighbours of each atom and the angles between
 *  them, angstrom and degrees, symmetry as CIF writes it (n_klm); esds from the full
 *  covariance, none where symmetry fixes the value or the fit has refined nothing of it. */
bragg_status bragg_fit_write_geometry(const bragg_model *model, const bragg_fit *fit, const char *path, bool force, bragg_error *err);
/** Start from the parameters of an earlier fit.json, by name; what it does not name
 *  keeps its value.  EDATA when none of its names is in the table. */
bragg_status bragg_model_start(bragg_model *model, const char *fit_json, bragg_error *err);

#endif
