/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PDF_MODEL_H
#define PDF_MODEL_H

#include <bragg/pdf.h>

/* Inside of the real-space model.
 *
 *      atoms of the cell ── pairs ──► census: histograms of distances, a plane each
 *                                     for G and for what a motion does to it
 *                                          │ Gaussians          R(r) / r - 4 pi rho0 r
 *                                          ▼                        │ sine transform, cut at Qmax, back
 *                                       curves ───────────────────► G(r) and its derivatives x envelopes
 *
 *  A motion is what one variable of a fit does to one phase: its derivatives of cell,
 *  atoms and shape, so that ties and symmetry need no thought here. */

enum shape_row { SHAPE_SCALE, SHAPE_DELTA1, SHAPE_DELTA2, SHAPE_QDAMP, SHAPE_QBROAD, SHAPE_SRATIO, SHAPE_SPDIAMETER, N_SHAPE };

typedef struct atom_motion {
    double x[3], occupancy, uiso, u[6];
} atom_motion;

typedef struct motion {
    double cell[6], shape[N_SHAPE];   /* angstrom and radians */
    atom_motion *atom;                /* one an atom; NULL: none moves */
} motion;

/* An atom of the whole cell, Cartesian; U as the six of the symmetric tensor. */
typedef struct site {
    double x[3], weight, uiso, u[6];
    size_t atom, op;
    bool anisotropic, first;              /* first: stands for its orbit */
    double multiplicity;
} site;

/* What a motion does to a site. */
typedef struct site_motion {
    double x[3], weight, u[6];            /* u: of an isotropic site the first alone */
} site_motion;

typedef struct crystal_motion {
    bool moves, displaces, weighs;        /* distances, displacements, weights */
    double strain[3][3], dvolume, dnorm, drho0; /* dnorm relative */
    site_motion *site;
} crystal_motion;

typedef struct crystal {
    const bragg_structure *structure;
    double m[3][3], volume;
    site *site;
    size_t n;
    double rho0, mean_weight, atoms;
    size_t n_motions;
    crystal_motion *motion;
} crystal;

/* Histograms: plane 0 is R(r); a motion has a plane of what moves its distances or
 * weights and one of what widens its peaks, or -1.  A plane is n_classes rows of
 * `bins`, bin 1 is r = 0. */
typedef struct census {
    const crystal *c;
    size_t *first;            /* sites that stand for an orbit */
    size_t n_first, n_tasks, tasks_a_part, n_parts;
    double h, reach;
    size_t bins, n_classes, n_planes;
    bool exact;               /* msd[] are the very values, else nodes in constant ratio */
    double *msd, *part;       /* part: n_parts times n_planes planes */
    ptrdiff_t *plane_r, *plane_u;
} census;

#pragma GCC visibility push(hidden) /* shared by the files of this folder only */

double bragg_pdf_pair_weight(const bragg_scatterer *s, bool neutron);

bragg_status bragg_pdf_crystal_open(crystal *c, const bragg_structure *s, bool neutron, const motion *motions, size_t n_motions,
                                    bragg_error *err);
void bragg_pdf_crystal_close(crystal *c);

bragg_status bragg_pdf_census_take(census *p, const crystal *c, const bragg_pdf_shape *shape, double step, double last_r, bragg_error *err);
void bragg_pdf_census_close(census *p);
/* Width^2 over <u^2> at a distance; 0 where the parameters leave no width. */
double bragg_pdf_sharpening(const bragg_pdf_shape *s, double r);

/* G(r) on the shape's grid, and its derivatives: dg[k] for motion k. */
bragg_status bragg_pdf_evaluate(const bragg_structure *s, const bragg_pdf_shape *shape, const motion *motions, size_t n_motions, double *g,
                                double *rdf, double *const *dg, bragg_error *err);

extern const double bragg_pdf_reach;      /* of a Gaussian, in sigmas */

#pragma GCC visibility pop

#endif
