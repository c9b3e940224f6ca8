/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef REFINE_MODEL_H
#define REFINE_MODEL_H

#include <bragg/arena.h>
#include <bragg/refine.h>

/* Inside of the whole-pattern model.
 *
 *   model ─┬─ histogram[] ── points x, y, 1/sigma ── background's rows ── peak[] ── coefficients
 *          ├─ phase[] ────── structure, reflections, rows of its parameters
 *          └─ mix[phase][histogram] ── scale row, f', f'', |F|^2
 */

enum instrument_row {
    ZERO, DISPLACEMENT, TRANSPARENCY, SHIFT_X, SHIFT_Y, WAVELENGTH, RATIO, CAGLIOTI_U, CAGLIOTI_V, CAGLIOTI_W, CAGLIOTI_P, LORENTZ_X,
    LORENTZ_Y, LORENTZ_Z, ABSORPTION, ROUGHNESS_P, ROUGHNESS_Q, AXIAL_S, AXIAL_H, BOX, PIXEL, N_INSTRUMENT
};

enum { N_ABSORPTION = 16 }; /* terms of the series of a capillary's absorption */

enum { MAX_MARCH = 4 };

#define NO_ROW ((size_t)-1)

/* 8 ln 2: FWHM^2 of a Gaussian in units of its variance */
#define FWHM2_PER_VARIANCE 5.5451774444795625

/* A quadrature node of the axial divergence: 2phi - 2theta, its weight, and their
 * derivatives with respect to 2theta, S/L and H/L. */
typedef struct axial_node {
    double shift, weight, dshift[3], dweight[3], dshift_dwidth; /* of the box */
} axial_node;

/* Points and weights of Gauss and Legendre over [0, 1]; n is 0 before the first use. */
enum { MAX_GAUSS = 48 };
typedef struct gauss_rule {
    size_t n;
    double at[MAX_GAUSS], weight[MAX_GAUSS];
} gauss_rule;

/* One reflection of one line.  Its derivatives stand in the histogram's
 * coefficient array: 4 a full column (P, position, Gaussian and Lorentzian width), 1 an intensity
 * column. */
typedef struct peak {
    double position, fwhm, eta, intensity;
    size_t first, near_first, near_last, last; /* points it reaches; between, those that see its nodes one by one */
    size_t node, n_nodes;
    double mix[4];              /* d fwhm / d Gaussian, Lorentzian width; d eta */
    double centre, m2, dcentre[3], dm2[3], dm2_dwidth; /* the nodes' mean place and variance, for the rest */
    size_t coefficient;
    size_t phase, reflection;
    ptrdiff_t own_column;       /* of its intensity (Pawley), or -1 */
    double own_slope;
    double dwidth[2];           /* of the box with box and pixel */
} peak;

/* Which columns a phase's peaks move in a histogram, and through what.  A term
 * is one moving row; several (a tied cell) may share a column. */
typedef struct term {
    size_t local;               /* into full[] or intensity[] of its list */
    double weight;
    int kind, index, atom;
} term;

typedef struct terms {
    size_t n_full, n_intensity; /* columns */
    ptrdiff_t *full, *intensity;
    size_t n_full_terms, n_intensity_terms;
    term *full_term, *intensity_term;
} terms;

typedef struct mix {
    size_t scale_row, intensity_row, strain_row[6];    /* D_ij, one a polynomial of the phase's metric */
    bragg_scatterer *scatterer;
    bragg_factors *factors;
    double *f2, *df2_dq;
    bragg_factor_derivative *df2;
    bragg_atom *seen;                                  /* what f2, df2_dq and, with seen_slopes, df2 belong to */
    double seen_g[6];
    bool is_seen, seen_slopes;
    terms terms;
} mix;

typedef struct histogram {
    const char *name;
    bragg_radiation radiation;
    bragg_mount mount;
    bool flat_detector;
    double radius_m, variance_floor, emphasis; /* its chi^2 counts that many times */
    size_t n_exclude;
    double (*exclude_rad)[2];
    double first_rad, last_rad; /* of the options; then the range reflections were listed for */
    double listed_first_rad, listed_last_rad;
    size_t n, room, offset;     /* points, room for them; first residual */
    double *x, *y, *weight;     /* radians; 1/sigma */
    double correlation[BRAGG_PATTERN_LAGS]; /* of the errors of points in a row */
    size_t n_background, n_functions; /* with a factor each; the container's is the last */
    bragg_background background;
    size_t n_container, n_debye, n_humps, debye_row, hump_row;
    double *container_x, *container_y, *debye_ang, (*hump_deg)[2];
    double *background_at;      /* the functions of the background: n_background rows of n */
    size_t background_row, row[N_INSTRUMENT];
    double tabulated, ln_absorption[N_ABSORPTION], slope_absorption[N_ABSORPTION];
    double value[N_INSTRUMENT]; /* inside units, at the last prepare */
    size_t n_peaks, room_peaks, n_nodes, room_nodes, n_coefficients, room_coefficients;
    peak *peak;
    bragg_model_peak *listed;
    axial_node *node;
    gauss_rule axial_rule, box_rule;
    double *coefficient;
    size_t n_blocks, *block_start, *block_peak, room_block_peaks;
} histogram;

typedef struct phase {
    const char *name;
    bragg_structure *structure;
    size_t n_reflections;
    bragg_reflection *reflection;
    size_t cell_row, size_row, strain_row, offset_row, atom_row;
    size_t n_march, march_row[MAX_MARCH], part_row[MAX_MARCH]; /* axes of texture; part_row[0] is the rest */
    int march_axis[MAX_MARCH][3];
    int harmonics, harmonic_order[BRAGG_MAX_HARMONIC_TERMS]; /* highest order; of each function */
    size_t n_harmonics, harmonic_row, extinction_row;
    bool extinguishes;
    double *harmonic_at;        /* BRAGG_MAX_HARMONIC_TERMS a reflection */
    bool uniaxial, wants_stephens;
    int axis[3];
    double *axis_cos2, *quartic_at; /* of the reflections: cos^2 to the axis; values of the polynomials */
    size_t size_axial_row, strain_axial_row, stephens_row, lorentz_row;
    bragg_invariants quartic;   /* n 0: none wanted */
    bragg_invariants metric;    /* what symmetry leaves of D_ij */
    bool extracted;  /* extracted: intensities from the pattern, no atoms */
    bool pawley, positive;      /* intensities are rows; extracted until they are freed */
    bool spacings;              /* a list of d: reflections without indices */
    size_t n_known;             /* intensities given, in place of atoms */
    bragg_known_peak *known;
    double particle_um;         /* diameter of its grains, for microabsorption; 0: not told */
    double card_wavelength_ang, mass; /* mass: calibrated, in place of the atoms' */
    bool off;                   /* takes no part for the time being */
    double *march_cos2;         /* of the equivalents to the axis: [axis][reflection][operation] */
    double g[6], dg[6][6], volume, dvolume[6];
    mix *mix;                   /* one a histogram */
} phase;

enum restraint_kind { RESTRAINT_DIFFERENCE, RESTRAINT_SUM, RESTRAINT_DISTANCE, RESTRAINT_ANGLE, RESTRAINT_VALUE };

/* An atom of the cell or its image r x + shift. */
typedef struct site_image {
    size_t atom;
    double r[3][3], shift[3];
} site_image;

/* A number that is known to sigma, beside the patterns. */
typedef struct restraint {
    enum restraint_kind kind;
    bool passing;               /* made by a fit for itself */
    double value, sigma;
    size_t row[2], phase, n_rows;
    const size_t *rows;         /* of a sum */
    site_image site[3];         /* the ends of a distance; an angle's vertex in the middle */
} restraint;

struct bragg_model {
    bragg_arena *arena;
    size_t n_histograms, n_phases, room_histograms, room_phases;
    histogram *histogram;
    phase *phase;
    bragg_params params;
    bool built;
    bool *offered;              /* rows that are refined if the data carry them */
    const bragg_lsq_layout *layout;
    bragg_lsq_problem problem;
    size_t n_observations;
    size_t standard;            /* phase weighed in; n_phases without */
    double standard_fraction;
    size_t n_restraints, room_restraints, first_restraint;
    restraint *restraint;
};

#pragma GCC visibility push(hidden) /* shared by the files of this folder only */

/* prepare (calculate.c) and residuals (block.c) of the problem */
bragg_status bragg_refine_prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout,
                            bragg_error *err);
bragg_status bragg_refine_residuals(void *payload, size_t first, size_t last, double *r, double *jacobian,
                              bragg_error *err);
/* background alone at point i */
double bragg_refine_background(const bragg_model *model, const histogram *h, size_t i);

/* points.c: what counts of a pattern, into a new histogram of the model */
bragg_status bragg_refine_take_points(bragg_model *m, histogram *h, const bragg_pattern *p, const bragg_histogram_options *o, bragg_error *err);
/* what depends on a pattern's points alone; where each one's residuals begin */
void bragg_refine_scale_points(histogram *h);
void bragg_refine_place_residuals(bragg_model *model);

/* reflections.c: those that the patterns may show, and what is needed of each in every pattern */
bragg_status bragg_refine_list_reflections(bragg_model *m, phase *p, bragg_error *err);
/* of the angle between h and an axis; g as of bragg_cell_reciprocal */
double bragg_refine_cos2_to_axis(const double g[6], const int h[3], const int axis[3]);
/* the same of each equivalent of a reflection, one an operation; the end of what was written */
double *bragg_refine_equivalent_cos2(const phase *p, const double g[6], size_t reflection, const int axis[3], double *out);

/* table.c: rows of the parameter table */
bragg_status bragg_refine_add_histogram_rows(bragg_model *m, histogram *h, bragg_error *err);
bragg_status bragg_refine_add_phase_rows(bragg_model *m, phase *p, bragg_error *err);

/* Points averaged into bins, so many to the width of the narrowest peak of the last
 * calculation, and back again, which frees what was kept (coarse.c). */
typedef struct fine_points {
    size_t n;
    double *points; /* x, y, weight, rows of the background */
    double variance_floor;
} fine_points;
bragg_status bragg_refine_coarsen(bragg_model *model, double bins_a_width, fine_points **out, bragg_error *err);
void bragg_refine_restore_points(bragg_model *model, fine_points *fine);

/* Rows of a phase's edges that may move, at most three; its cell set to the best of a
 * grid of them, a per cent to either side, with the others as they are, and the
 * relative step of that grid (search.c). */
size_t bragg_refine_free_edges(const bragg_model *model, size_t phase, size_t edges[3]);
bragg_status bragg_refine_scan_cell(bragg_model *model, size_t phase, bragg_error *err);
/* The same for the offset of a phase whose intensities are extracted, and by how much
 * chi^2 may fall with it. */
bragg_status bragg_refine_scan_offset(bragg_model *model, size_t phase, double radius_mm, double *gained, bragg_error *err);
double bragg_refine_scan_spread(const bragg_model *model, size_t phase);

/* p[] += the profile of unit area per `scale` of a peak at points [first, last) */
void bragg_refine_add_profile(const histogram *h, const peak *e, size_t first, size_t last, double scale, double *p);

/* step of the points at one: the narrower side, as the wider may span an excluded region */
double bragg_refine_step_at(const histogram *h, size_t i);

/* observed intensity of each peak */
void bragg_refine_partition(const bragg_model *model, size_t which, double *observed);
/* is peak k one of that phase, and its place within the pattern? */
bool bragg_refine_shows(const histogram *h, size_t k, size_t which);

/* Le Bail (lebail.c): is any phase's intensity extracted, a start of background and
 * intensities, and rounds of partition (or of weighted projection, which minimizes
 * chi^2) at the last calculation, which must have been made without layout; *change is the last round's, relative. */
bool bragg_refine_extracts(const bragg_model *model);
bragg_status bragg_refine_extract_start(bragg_model *model, bragg_error *err);
bragg_status bragg_refine_extract(bragg_model *model, int rounds, bool weighted, double *change, bragg_error *err);

/* Pawley (pawley.c): rows of a phase in a pattern; extraction again; intensities
 * freed as the last extraction left them */
bragg_status bragg_refine_add_intensity_rows(bragg_model *model, phase *p, size_t which, bool positive, bragg_error *err);
void bragg_refine_pawley_reset(bragg_model *model);
bragg_status bragg_refine_pawley_begin(bragg_model *model, bragg_error *err);
bool bragg_refine_has_pawley(const bragg_model *model);

/* restraint.c */
bragg_status bragg_refine_add_restraint(bragg_model *model, enum restraint_kind kind, restraint **out, bragg_error *err);
void bragg_refine_drop_passing(bragg_model *model);
void bragg_refine_place_restraints(bragg_model *model);
void bragg_refine_restrain(const bragg_model *model, size_t first, size_t last, double *r, double *jacobian);

/* known.c: |F|^2 of the reflections */
void bragg_refine_known_intensities(const histogram *h, const phase *p, double *f2);

/* background.c: rows of the functions; terms with parameters of their own at point i,
 * and their slopes; rows of the table */
void bragg_refine_fill_background(histogram *h);
double bragg_refine_own_terms(const bragg_model *model, const histogram *h, size_t i);
void bragg_refine_own_slopes(const bragg_model *model, const histogram *h, size_t first, size_t n, double *jacobian);
/* How the background's mean over the points moves with each row of the table, added. */
void bragg_refine_mean_slopes(const bragg_model *model, const histogram *h, double *d_rows);
bragg_status bragg_refine_add_background_rows(bragg_model *model, histogram *h, bragg_error *err);

/* microabsorb.c: weight fractions, their slopes [fraction][phase] with the phases' scale
 * times mass, and Brindley's tau of each, 1 without a particle size */
bragg_status bragg_refine_weigh(const bragg_model *model, double *w, double *slopes, double *tau, bragg_error *err);

/* texture.c */
bragg_status bragg_refine_make_harmonics(bragg_model *model, phase *p, bragg_error *err);

/* broaden.c */
void bragg_refine_start_stephens(bragg_params *t, const phase *p, double strain);

/* named.c */
phase *bragg_refine_phase(bragg_model *model, const char *name); /* NULL: not there */
/* 1/d^2 of a reflection in the present cell (calculate.c), and the mass that its
 * scale stands for */
double bragg_refine_invd2(const phase *p, size_t reflection);
double bragg_refine_mass(const phase *p);

/* nodes of the axial divergence at 2theta (axial.c); at most MAX_NODES.  The rule is filled as is needed. */
enum { MAX_NODES = 2 * MAX_GAUSS, MAX_BOX = 9 };
size_t bragg_refine_axial_nodes(double two_theta_rad, double s, double h, double fwhm_rad, gauss_rule *rule, axial_node *out);
/* the nodes, each drawn out to a box of this width (d width / d 2theta given) into
 * out[MAX_NODES * MAX_BOX]; how many */
size_t bragg_refine_box_nodes(const axial_node *nodes, size_t n, double width_rad, double dwidth_dx, double fwhm_rad, gauss_rule *rule, axial_node *out);

#pragma GCC visibility pop

#endif
