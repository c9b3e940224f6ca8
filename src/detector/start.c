/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a calibration starts from: what is said, else what the frame's header tells. */
#include "config.h"
#include <bragg/calibrate.h>

#include <math.h>
#include <stdbool.h>

static bool fits(const bragg_geometry *g, const bragg_frame *f)
{
    return !g->rows || (g->rows == f->height && g->columns == f->width) || (g->rows == f->width && g->columns == f->height);
}

static bragg_status set_detector(const bragg_calibrate_known *known, const bragg_frame *f, bragg_geometry *g, bragg_error *err)
{
    bragg_status st = bragg_geometry_set_detector(g, known->detector, err);
    if (st < 0 || known->pixel_m > 0 || fits(g, f))
        return st;
    return bragg_fail(err, BRAGG_EDATA, "--detector %s: expected a frame of %zu x %zu pixels (rows x columns), found %zu x %zu; --pixel-um SIZE goes without a name",
                      g->detector, g->rows, g->columns, f->height, f->width);
}

static void take_header(const bragg_frame *f, const bragg_observer *observer, bragg_geometry *g)
{
    if (!(g->pixel_slow_m > 0) && f->pixel_slow_m > 0 && f->pixel_fast_m > 0) {
        g->pixel_slow_m = f->pixel_slow_m;
        g->pixel_fast_m = f->pixel_fast_m;
    }
    if (!(g->wavelength_ang > 0) && f->wavelength_ang > 0) {
        g->wavelength_ang = f->wavelength_ang;
        bragg_log(observer, BRAGG_LOG_INFO, "wavelength %g angstrom from the frame's header", f->wavelength_ang);
    }
}

bragg_status bragg_calibrate_start(const bragg_calibrate_known *known, const bragg_frame *f, const bragg_observer *observer, bragg_geometry *g,
                                   bragg_error *err)
{
    *g = (bragg_geometry)BRAGG_GEOMETRY_INIT;
    bragg_status st = known->poni ? bragg_geometry_read(known->poni, g, err) : BRAGG_OK;
    if (st == BRAGG_OK && known->detector)
        st = set_detector(known, f, g, err);
    if (st < 0)
        return st;
    if (known->pixel_m > 0)
        g->pixel_slow_m = g->pixel_fast_m = known->pixel_m;
    if (known->wavelength_ang > 0)
        g->wavelength_ang = known->wavelength_ang;
    take_header(f, observer, g);
    if (!(g->pixel_slow_m > 0))
        return bragg_fail(err, BRAGG_EINVAL, "expected --detector NAME, --pixel-um SIZE or --poni FILE, found none, nor a pixel size in the frame's header");
    if (!(g->wavelength_ang > 0)) {
        g->wavelength_ang = NAN;
        bragg_log(observer, BRAGG_LOG_INFO, "no wavelength given, none in the frame's header: looking for one");
    }
    return BRAGG_OK;
}

bragg_status bragg_calibrate_find(const bragg_frame *f, const uint8_t *mask, const bragg_geometry *start, const double *d_ang, const double *strength,
                                  size_t n, const bragg_calibrate_options *options, bragg_calibration **out, bragg_error *err)
{
    bragg_calibrate_options o = options ? *options : (bragg_calibrate_options)BRAGG_CALIBRATE_OPTIONS_INIT;
    bragg_error problem = BRAGG_ERROR_INIT;
    bool fixed = o.fixed[BRAGG_CALIBRATE_DISTANCE];
    *out = NULL;
    if (fixed)
        o.distance_m = start->distance_m;
    bool given = o.distance_m > 0;
    if (!given && f->distance_m > 0.01 && f->distance_m < 10)
        o.distance_m = f->distance_m;
    if (o.distance_m > 0) {
        bragg_status st = bragg_calibrate(f, mask, start, d_ang, strength, n, &o, out, &problem);
        if (st >= 0 || st != BRAGG_ENOCONV || fixed)
            return st < 0 ? bragg_fail(err, st, "%s", problem.text) : st;
        o.distance_m = NAN;
    }
    bragg_status st = bragg_calibrate(f, mask, start, d_ang, strength, n, &o, out, err);
    if (st >= 0 && given) {
        st = bragg_fail(err, BRAGG_ENOCONV, "%s; at %.5g m it does (%zu rings, rms %.2f pixel): give --distance-mm %.4g or none", problem.text,
                        (*out)->geometry.distance_m, (*out)->n_rings, (*out)->rms_px, 1000 * (*out)->geometry.distance_m);
        bragg_calibration_free(*out);
        *out = NULL;
    }
    return st;
}
