/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_SIMULATE_H
#define BRAGG_SIMULATE_H

#include <bragg/error.h>
#include <bragg/observer.h>
#include <stdbool.h>
#include <stddef.h>

/** Digital twins: a truth file becomes frames as a detector would write them.
 *
 *      title: …            seed: 7
 *      radiation: {wavelength: 0.24125, polarization: 0.99}
 *      detector: {name: Pilatus2M, distance_m: 0.3, poni1_m: …, poni2_m: …, rot1_rad: …,
 *                 gaps: true, dead_pixels: 300}
 *      instrument: {u: …, v: …, w: …, x: …, y: …}            deg^2 and deg, see <bragg/refine.h>
 *      frames:
 *        - name: M-BiSnSb
 *          counts: 3000          # of the strongest ring's brightest pixel
 *          background: 0.05      # air and amorphous, part of counts
 *          graininess: 0.05      # relative spread of intensity along a ring
 *          phases: [{card: BiSnSb.cif, weight: 1, cell: {a: 4.4, c: 11.7}, size_nm: 80, strain: 900, uiso: 0.01}]
 *
 *  Written to dir: NAME.tif for each frame (int32, gaps -1, dead pixels -2) and
 *  setup.poni.  The same seed makes the same counts on any number of threads. */
bragg_status bragg_simulate(const char *truth_path, const char *dir, bool force, const bragg_observer *observer,
                            bragg_error *err);

#endif
