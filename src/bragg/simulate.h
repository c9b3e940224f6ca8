/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_SIMULATE_H
#define BRAGG_SIMULATE_H

#include <bragg/error.h>
#include <bragg/observer.h>
#include <stdbool.h>
#include <stddef.h>

/** Digital twins: a truth file becomes frames or patterns as an instrument would
 *  write them, with the log of the cycler or the furnace beside them.
 *
 *      title: …            seed: 7
 *      radiation:  {wavelength: 0.24125, polarization: 0.99}     or a list with ratios
 *      instrument: {u: …, v: …, w: …, x: …, y: …, zero: …, sl: …, hl: …, displacement: …,
 *                   mount: bragg-brentano, radius_mm: 217.5}     as in <bragg/refine.h>
 *      detector:   {name: Pilatus2M, distance_m: 0.3, poni1_m: …, poni2_m: …, rot1_rad: …, gaps: true,
 *                   dead_pixels: 300, error: {poni1_m: 0.0004}}  error: of the setup.poni that is written
 *      patterns:   {range: [10, 70], step: 0.02}                 instead of a detector
 *      total:      {qrange: [0.5, 26], step: 0.01, qdamp: 0.03, qbroad: 0.01, pixels: 400, air: …, flat: …}
 *                  or total scattering over Q: a state's counts are those of one electron unit of an atom in
 *                  a pixel, pixels a bin's at 1 A^-1; `container` of silica is atoms for one of the sample;
 *                  a phase takes delta2 and the z of all its atoms
 *
 *  Either states one by one:
 *
 *      frames:
 *        - name: M-BiSnSb
 *          counts: 3000          # of the strongest ring's brightest pixel
 *          background: 0.05      # air and amorphous, part of counts
 *          graininess: 0.05      # relative spread of intensity along a ring
 *          phases: [{card: BiSnSb.cif, weight: 1, cell: {a: 4.4, c: 11.7}, size_nm: 80, strain: 900, uiso: 0.01}]
 *
 *  or a run, in which every number of a phase may be a curve, [[x, y], …], over
 *  seconds or over the electrons passed (always rising):
 *
 *      run:
 *        frames: 200
 *        every_s: 300            exposure_s: 280        counts: 9000
 *        start: 2024-05-01T10:00:00
 *        folder: frames          over: electrons        temperature_k: 298.15
 *        monitor: [[0, 1], [60000, 0.8]]    ripple: 0.01
 *        background: {flat: 0.02, air: 0.1, air_deg: 9, halos: [{at: 24, width: 7, height: 0.05}]}
 *      phases:
 *        - {name: K3Bi, card: K3Bi_hex, moles: [[1.5, 0], [3, 1]], cell: {a: 6.19, c: 10.95}, size_nm: 20,
 *           formula_units: 2, expansion_per_k: 30e-6, march: 0.9, march_hkl: [0, 0, 1]}
 *      windows:                  # peaks of the cell, weights against the first frame's sample
 *        - {card: Be, weight: 0.1, displacement_mm: 0.3}
 *      cycler:
 *        file: cycler.mpt
 *        mass_mg: 1.8            molar_mass: 149.8      every_s: 30
 *        clock: {offset_s: 137, drift: 2e-5}            # what the log shows minus the frames' clock
 *        voltage: [[0, 1.6], …]                         # over electrons; resistance_ohm, relax_s
 *        protocol: [{rest_s: 1800}, {current_ma: -0.1, electrons: 3}, …]   # charge is positive
 *      furnace: {file: furnace.csv, temperature: [[0, 300], …], every_s: 1, clock: {…}}
 *
 *  Weights or moles are amounts, not fractions: what is not there does not scatter.
 *  Written to dir: NAME.tif (int32, gaps -1, dead pixels -2) with setup.poni, or
 *  NAME.xye; the logs; and truth.csv for people to look at.  The same seed makes the
 *  same bytes on any number of threads. */
bragg_status bragg_simulate(const char *truth_path, const char *dir, bool force, const bragg_observer *observer,
                            bragg_error *err);

/** The truth, to compare with. */
typedef struct bragg_truth bragg_truth;

/** Of the sample at one frame (mean over its exposure). */
typedef struct bragg_truth_phase {
    const char *name;
    double weight_fraction;        /**< of the sample's crystalline part; 0: absent */
    double cell[6];                /**< angstrom, deg */
    double size_nm, strain;        /**< NAN where the file is silent */
    double uiso_ang2, z, delta2;   /**< of total scattering, NAN where the file is silent */
} bragg_truth_phase;

typedef struct bragg_truth_state {
    const char *name;              /**< of the frame, without extension */
    double time_s;                 /**< middle of the exposure, since the first frame's start */
    double electrons, voltage_v, temperature_k; /**< NAN where there is no such log */
    size_t n;
    bragg_truth_phase *phase;
} bragg_truth_state;

/** A truth file, see bragg-truth(5); EDATA with line and column for what is none. */
bragg_status bragg_truth_read(const char *path, bragg_truth **out, bragg_error *err);
void bragg_truth_free(bragg_truth *truth);
size_t bragg_truth_count(const bragg_truth *truth); /**< frames, those named one by one and those of the run */

typedef enum bragg_twin { BRAGG_TWIN_FRAMES, BRAGG_TWIN_PATTERNS, BRAGG_TWIN_TOTAL } bragg_twin;
typedef struct bragg_truth_about {
    const char *title;             /**< NULL without one */
    bragg_twin twin;               /**< what is written */
    size_t n_states;               /**< frames named one by one; those of the run come behind */
    bool logged;                   /**< there is a cycler or a furnace: */
    double clock_offset_s, clock_drift; /**< what its clock shows minus the frames' at their first */
} bragg_truth_about;
bragg_truth_about bragg_truth_describe(const bragg_truth *truth);
/** State at frame i; its arrays live as long as the truth. */
bragg_status bragg_truth_state_at(const bragg_truth *truth, size_t i, bragg_truth_state *out, bragg_error *err);

#endif
