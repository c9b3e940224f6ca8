/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLI_INTEGRATE_H
#define CLI_INTEGRATE_H

#include "cli.h"

/** What the options of bragg integrate say. */
typedef struct integrate_wish {
    const char *poni, *mask, *learn, *dark, *flat, *variance, *unit, *split, *flip, *out, *range, *sector, *errors, *quantiles, *monitor, *raw, *plans;
    double wavelength_ang, polarization, sensor_mu_t, sample_mu_t, clip, pixel_um, hot, below, above;
    long long bins, azimuth, frame;
    bool no_solid_angle, median, mean, logarithmic, beam_stop, deviations, resume, force;
} integrate_wish;

/** All frames of n files to where the wish says. */
bragg_status cli_integrate_all(const integrate_wish *wish, const bragg_plan_options *plan, const bragg_integrate_options *frames,
                               char **paths, size_t n, bragg_error *err);

#endif
