/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_RINGS_H
#define DETECTOR_RINGS_H
/* What calibrations of one frame and of several have in common. */

#include <bragg/calibrate.h>
#include <bragg/lsq.h>

#pragma GCC visibility push(hidden)
/* rms and rings from geometry and points, which stand ring by ring; false without memory. */
bool bragg_calibration_describe(bragg_calibration *calibration);
/* Of each two variables; false, and none, without memory. */
bool bragg_calibration_correlate(const bragg_lsq *lsq, bragg_correlation **list, size_t *n);
#pragma GCC visibility pop

#endif
