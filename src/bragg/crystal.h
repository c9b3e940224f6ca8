/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_CRYSTAL_H
#define BRAGG_CRYSTAL_H

#include <bragg/arena.h>
#include <bragg/error.h>
#include <bragg/param.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* ------------------------------------------------------------------ cell */

/** Unit cell: angstrom and radians.  Also read as double[6]. */
typedef struct bragg_cell {
    double a, b, c, alpha, beta, gamma;
} bragg_cell;

/** EDATA unless all edges are positive and the angles make a cell. */
bragg_status bragg_cell_check(const bragg_cell *cell, bragg_error *err);
double bragg_cell_volume_ang3(const bragg_cell *cell);
/** Metric: the products of the axes with each other, square angstrom. */
void bragg_cell_metric(const bragg_cell *cell, double g[3][3]);

/** Reciprocal metric g = { g11, g22, g33, g23, g13, g12 } in inverse square
 *  angstrom, so that 1/d^2 = bragg_cell_invd2(g, h, k, l). */
void bragg_cell_reciprocal(const bragg_cell *cell, double g[6]);
/** d g[i] / d (a, b, c, alpha, beta, gamma)[j]. */
void bragg_cell_reciprocal_derivatives(const bragg_cell *cell, double d[6][6]);
double bragg_cell_invd2(const double g[6], int h, int k, int l);
/** The way back; EDATA for no cell. */
bragg_status bragg_cell_from_reciprocal(const double g[6], bragg_cell *out, bragg_error *err);

/** Fractional to Cartesian (a along x, b in the xy plane), angstrom. */
void bragg_cell_cartesian(const bragg_cell *cell, double m[3][3]);

/* -------------------------------------------------------------- symmetry */

/** x' = r x + t. */
typedef struct bragg_symop {
    int r[3][3];
    double t[3];
} bragg_symop;

typedef enum bragg_system {
    BRAGG_TRICLINIC, BRAGG_MONOCLINIC, BRAGG_ORTHORHOMBIC, BRAGG_TETRAGONAL, BRAGG_TRIGONAL,
    BRAGG_HEXAGONAL, BRAGG_CUBIC
} bragg_system;
/** Of a space group's number in International Tables. */
bragg_system bragg_symmetry_system(int number);

/** How much longer the edges a, b, c of a calibrant are at temperature_k than in its
 *  bundled card ("Si"), whose cell is that of the certificate, at 295.65 K: factors about
 *  1.  Si: Y. Okada & Y. Tokumaru, J. Appl. Phys. 56 (1984) 314, 120 to 1500 K; Al2O3:
 *  M. Lucht et al., J. Appl. Cryst. 36 (2003) 1075, 4.5 to 374 K.  EINVAL beyond these, and
 *  for a name whose expansion is not in the table, with those that are. */
bragg_status bragg_calibrant_stretch(const char *name, double temperature_k, double stretch[3], bragg_error *err);

/** The Niggli-reduced cell (I. Krivy & B. Gruber, Acta Cryst. A32 (1976) 297; spglib's). */
bragg_status bragg_cell_niggli(const bragg_cell *cell, bragg_cell *out, bragg_error *err);
/** New axes, one a row, in terms of the old ones. */
bragg_status bragg_cell_transform(const bragg_cell *cell, double rows[3][3], bragg_cell *out, bragg_error *err);
/** A primitive cell of a lattice given by a cell centred P I F A B C or R (obverse). */
bragg_status bragg_cell_primitive(const bragg_cell *cell, char centring, bragg_cell *out, bragg_error *err);

/** A Bravais lattice: R lattices in hexagonal axes, TRIGONAL. */
typedef struct bragg_lattice {
    bragg_cell cell;
    bragg_system system;
    char centring;
} bragg_lattice;

/** The Bravais lattice of highest symmetry that a primitive cell has when lattice
 *  points may be off by the tolerance (spglib's standard axes; I instead of C where
 *  that makes beta less oblique). */
bragg_status bragg_cell_bravais(const bragg_cell *cell, double tolerance_ang, bragg_lattice *out, bragg_error *err);
/** Is the lattice of coarse (a primitive, reduced cell) one of the sublattices of
 *  fine, axes equal within the relative tolerance?  Its index, 1 for the same
 *  lattice, at most `most`; 0: no. */
int bragg_cell_sublattice(const bragg_cell *fine, const bragg_cell *coarse, double tolerance, int most);

/** A space group in one setting, centring translations included in the
 *  operations; the identity is op[0]. */
typedef struct bragg_symmetry {
    int number;          /**< International Tables number, 1 to 230 */
    int hall_number;     /**< spglib's 1 to 530; 0 for a setting it does not list */
    char hm[32];         /**< "R -3 m:H" as read, or spglib's full symbol */
    bragg_system system;
    bool centric;        /**< has an inversion centre (anywhere) */
    size_t n_ops;
    bragg_symop op[192];
} bragg_symmetry;

/** From spglib's Hall number. */
bragg_status bragg_symmetry_from_hall_number(int hall_number, bragg_symmetry *out, bragg_error *err);
/** From a Hermann-Mauguin symbol ("R -3 m:H", "P 1 21/c 1", "Fm-3m", origin
 *  choice behind a colon; without it origin 2, hexagonal axes), a Hall symbol or
 *  a number ("62"). */
bragg_status bragg_symmetry_from_symbol(const char *symbol, bragg_symmetry *out, bragg_error *err);
/** From operations ("x,y,z" …); any setting.  They must form a group; number
 *  and system are found from them. */
bragg_status bragg_symmetry_from_xyz(const char *const *xyz, size_t n, bragg_symmetry *out,
                                     bragg_error *err);
/** The same where the source states the number of the space group (0: it does not): a
 *  stated type is tried first, which takes a hundredth of the time. */
bragg_status bragg_symmetry_from_xyz_of(const char *const *xyz, size_t n, int number, bragg_symmetry *out, bragg_error *err);
bragg_status bragg_symop_parse(const char *xyz, bragg_symop *out, bragg_error *err);
/** The reflection that an operation makes of another: the row hkl times its rotation. */
void bragg_symop_turn(const bragg_symop *op, const int hkl[3], int out[3]);

enum { BRAGG_CELL_FREE = -1, BRAGG_CELL_FIXED = -2 };
/** What the symmetry leaves free of a b c alpha beta gamma: tie[i] is
 *  BRAGG_CELL_FREE, BRAGG_CELL_FIXED (90 or 120 degrees), or the lower index j
 *  to which it is equal.  Found from the operations: any setting. */
void bragg_symmetry_cell_ties(const bragg_symmetry *symmetry, int tie[6]);
/** Largest relative change that averaging the metric over the group would make:
 *  about 0 when cell and symmetry agree. */
double bragg_symmetry_cell_misfit(const bragg_symmetry *symmetry, const bragg_cell *cell);

enum { BRAGG_MONOMIALS = 15 };
/** Polynomials in h, k, l of degree 2 or 4 that the Laue group leaves alone: what a
 *  lattice strain (D_ij) and the anisotropic strain of P. W. Stephens, J. Appl.
 *  Cryst. 32 (1999) 281 may be.  Polynomial i alone has the monomial
 *  power[pivot[i]], with coefficient 1. */
typedef struct bragg_invariants {
    int degree;
    size_t n_monomials, n;
    int power[BRAGG_MONOMIALS][3];      /**< 200 020 002 011 101 110; or 400 040 004 220 … */
    double basis[BRAGG_MONOMIALS][BRAGG_MONOMIALS];
    size_t pivot[BRAGG_MONOMIALS];
} bragg_invariants;
void bragg_symmetry_invariants(const bragg_symmetry *symmetry, int degree, bragg_invariants *out);
/** Polynomial i at a reflection. */
double bragg_invariant_at(const bragg_invariants *invariants, size_t i, int h, int k, int l);

/** Number of distinct points of the orbit of x (fractional). */
int bragg_site_multiplicity(const bragg_symmetry *symmetry, const bragg_cell *cell,
                            const double x[3], double tolerance_ang);
/** Directions in which a site may move: basis[0..n-1] (fractional) span the
 *  coordinates that the site symmetry leaves free, n = 0 to 3. */
void bragg_site_directions(const bragg_symmetry *symmetry, const bragg_cell *cell,
                           const double x[3], double basis[3][3], size_t *n);
/** As above for U11 U22 U33 U23 U13 U12: n = 1 to 6 rows of six. */
void bragg_site_adp_basis(const bragg_symmetry *symmetry, const bragg_cell *cell,
                          const double x[3], double basis[6][6], size_t *n);

/* ------------------------------------------------------------ scattering */

/** What scatters: f = sum a_i exp(-b_i s^2) + c + f1 + i f2, s = sin(theta)/lambda;
 *  or the neutron length.  A plain value, so that given numbers can replace ours. */
typedef struct bragg_scatterer {
    char name[12];             /**< "Pb2+" */
    int z;                     /**< atomic number */
    double a[5], b[5], c;      /**< Waasmaier & Kirfel (1995) */
    double f1, f2;             /**< f', f'' at the wavelength in use, electrons */
    double neutron_fm;         /**< bound coherent scattering length; NAN when unknown */
    double weight;             /**< atomic weight, g/mol */
} bragg_scatterer;

/** By species: "Pb", "Pb2+", "O-2", "Fe3+"; an ion that the table lacks is its
 *  neutral element (*exact false).  "D" is known.  EDATA for an unknown one. */
bragg_status bragg_scatterer_find(const char *species, bragg_scatterer *out, bool *exact,
                                  bragg_error *err);
/** Make it one isotope by mass number: neutron length and (to 1e-3) weight.  EDATA
 *  when the table has no such isotope. */
bragg_status bragg_scatterer_set_isotope(bragg_scatterer *scatterer, int mass_number, bragg_error *err);
/** Set f1 and f2 for X-rays of the wavelength (xraylib). */
bragg_status bragg_scatterer_set_anomalous(bragg_scatterer *scatterer, double wavelength_ang,
                                           bragg_error *err);
double bragg_scatterer_f0(const bragg_scatterer *scatterer, double s_invang);

/* ------------------------------------------------------------- structure */

typedef struct bragg_atom {
    const char *label;
    size_t scatterer;       /**< row of bragg_structure.scatterer */
    double x[3];            /**< fractional */
    double occupancy;
    double uiso_ang2;       /**< isotropic displacement; NAN when the source has none */
    bool anisotropic;
    double u[6];            /**< U11 U22 U33 U23 U13 U12, angstrom^2, CIF convention */
    int multiplicity;       /**< sites in the cell */
} bragg_atom;

/** A crystal structure.  Owns its arena: everything reached from it lives there. */
typedef struct bragg_structure {
    bragg_arena *arena;
    const char *name;       /**< common name, or the data block */
    const char *formula;    /**< "O4 Pb S" as counted from the sites */
    const char *reference;  /**< where it comes from; may be NULL */
    bragg_cell cell;
    bragg_symmetry symmetry;
    size_t n_atoms, n_scatterers;
    bragg_atom *atom;
    bragg_scatterer *scatterer;
    double z;               /**< formula units a cell; NAN when unknown */
} bragg_structure;

/** Read one data block (the first with atoms; or the named one).  Operations
 *  from the file, else Hall, Hermann-Mauguin, number.  EDATA with the line for
 *  a file without cell or atoms.  Notes on what was assumed go to notes
 *  (one text, may be NULL, at most size bytes). */
bragg_status bragg_structure_read_cif(const char *path, const char *block, bragg_structure **out,
                                      char *notes, size_t size, bragg_error *err);
/** The same of a CIF in memory; name stands for the file in messages. */
bragg_status bragg_structure_parse_cif(const void *bytes, size_t length, const char *name, const char *block, bragg_structure **out,
                                       char *notes, size_t size, bragg_error *err);
/** As a CIF that the above reads back: cell, operations, sites with isotropic
 *  displacements (tensors become U_eq).  Name and reference (or NULL) are texts. */
bragg_status bragg_structure_write_cif(const bragg_structure *structure, const char *name, const char *reference, const char *path, bool force,
                                       bragg_error *err);
/** Pieces of a CIF: a text between semicolons, whatever is in it; the loop of symmetry
 *  operations. */
void bragg_cif_put_text(FILE *to, const char *name, const char *text);
void bragg_symmetry_put_operations(FILE *to, const bragg_symmetry *symmetry);
/** Empty structure with room for atoms and scatterers; NULL without memory. */
bragg_structure *bragg_structure_new(size_t n_atoms, size_t n_scatterers);
bragg_structure *bragg_structure_copy(const bragg_structure *structure);
void bragg_structure_free(bragg_structure *structure);
/** U_eq of an atom: a third of the trace of its Cartesian tensor of displacement (R. X. Fischer
 *  & E. Tillmanns, Acta Cryst. C44 (1988) 775), or its U_iso. */
double bragg_atom_equivalent_u(const bragg_cell *cell, const bragg_atom *atom);
/** Tensors of displacement become U_eq. */
void bragg_structure_make_isotropic(bragg_structure *structure);
/** There are atoms, the cell has the symmetry (EDATA beyond 0.2 %), coordinates are numbers
 *  and occupancies 0 to 1; multiplicities are recomputed. */
bragg_status bragg_structure_check(bragg_structure *structure, bragg_error *err);
/** Mass of the cell's content, g/mol, and density, g/cm^3. */
double bragg_structure_mass_g_mol(const bragg_structure *structure);
double bragg_structure_density_g_cm3(const bragg_structure *structure);
/** Linear absorption coefficient for X-rays, 1/cm, from xraylib's total cross sections;
 *  0 where it has none. */
double bragg_structure_absorption_invcm(const bragg_structure *structure, double wavelength_ang);

/* ------------------------------------------------- rows of the table */

/** Rows of an atom, one atom behind the other. */
enum bragg_atom_row {
    BRAGG_ATOM_X, BRAGG_ATOM_Y, BRAGG_ATOM_Z, BRAGG_ATOM_OCCUPANCY, BRAGG_ATOM_UISO, BRAGG_ATOM_U11,
    BRAGG_ATOM_ROWS = BRAGG_ATOM_U11 + 6 /**< U11 U22 U33 U23 U13 U12 */
};

/** How far a fit may take a structure from where it starts. */
typedef struct bragg_row_limits {
    double edge;            /**< of a, b, c: a fraction of each */
    double angle_deg;
    double coordinate;      /**< fractional */
    double u_least_ang2;    /**< of Uiso, U11, U22, U33 */
} bragg_row_limits;

/** Append PREFIX.cell.a … PREFIX.cell.gamma (angstrom, deg), tied and held as the symmetry
 *  has it; *first is the first of the six rows. */
bragg_status bragg_structure_add_cell_rows(const bragg_structure *structure, const char *prefix, const bragg_row_limits *limits, bragg_params *params,
                                           size_t *first, bragg_error *err);
/** Append BRAGG_ATOM_ROWS rows an atom, PREFIX.atom.LABEL.x …, tied as the site symmetry
 *  has it; atoms that share a site share all but the occupancy.  The displacement that
 *  an atom does not use (U_ij or Uiso) is held. */
bragg_status bragg_structure_add_atom_rows(const bragg_structure *structure, const char *prefix, const bragg_row_limits *limits, bragg_params *params,
                                           size_t *first, bragg_error *err);
/** bragg_params_select of PREFIX NAME as the table has it, else of the same in every pattern or
 *  set ("*.PREFIX NAME"), else of every atom's ("PREFIX atom.*.NAME"); the number that match. */
size_t bragg_structure_select_rows(bragg_params *params, const char *prefix, const char *name);
/** The way back: six rows of a cell, all rows of the atoms. */
void bragg_structure_take_cell(bragg_structure *structure, const bragg_param *row);
void bragg_structure_take_atoms(bragg_structure *structure, const bragg_param *row);

/* ----------------------------------------------------------- reflections */

typedef struct bragg_reflection {
    int h, k, l;
    int multiplicity;       /**< Laue-equivalent reflections, Friedel mates included */
    double d_ang;
} bragg_reflection;

/** One reflection of each Laue family with d_min <= d <= d_max that no
 *  systematic absence forbids, by falling d.  The caller frees *out. */
bragg_status bragg_reflections(const bragg_cell *cell, const bragg_symmetry *symmetry,
                               double d_min_ang, double d_max_ang, bragg_reflection **out,
                               size_t *n, bragg_error *err);

/** Structure factors of a list of reflections, prepared once and evaluated many
 *  times as atoms move. */
typedef struct bragg_factors bragg_factors;
bragg_status bragg_factors_new(const bragg_structure *structure, const bragg_reflection *list,
                               size_t n, bool neutron, bragg_factors **out, bragg_error *err);
void bragg_factors_free(bragg_factors *factors);

/** Derivatives of |F|^2 with respect to one atom. */
typedef struct bragg_factor_derivative {
    double x[3], occupancy, uiso, u[6];
} bragg_factor_derivative;

/** |F|^2 (electron^2 or fm^2), the mean of both Friedel mates as a powder has
 *  it: |sum f G|^2 + |sum f'' G|^2.  structure must be the one given to _new with
 *  atoms moved or f', f'' set; g is the reciprocal metric of the cell, which may
 *  have changed.  derivative: n rows of structure->n_atoms, or NULL.  d_invd2: n
 *  derivatives with respect to 1/d^2 (through form factors and displacements,
 *  anisotropic ones as if the cell swelled evenly), or NULL. */
bragg_status bragg_factors_evaluate(bragg_factors *factors, const bragg_structure *structure,
                                    const double g[6], double *f2,
                                    bragg_factor_derivative *derivative, double *d_invd2,
                                    bragg_error *err);

#endif
