/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames of a standard: read, calibrated each and, of several, together. */
#include "config.h"
#include <bragg/calibrate.h>

#include <math.h>
#include <stdlib.h>

/* Readers name their file themselves; of what else is wrong one of several frames is named. */
static bragg_status read_shot(const bragg_calibrate_known *known, const bragg_observer *observer, bool several, bragg_calibrate_shot *s, bragg_error *err)
{
    bragg_status st = bragg_frame_read_as(s->path, 0, known->flip, known->raw, &s->frame, err);
    if (st < 0)
        return st;
    st = bragg_calibrate_start(known, s->frame, observer, &s->geometry, err);
    if (st >= 0)
        st = bragg_mask_read(&known->mask, 1, known->flip, known->poni || known->detector ? &s->geometry : NULL, s->path, s->frame, &s->mask, err);
    return st < 0 && several ? bragg_context(err, st, "%s", s->path) : st;
}

bragg_status bragg_calibrate_read(const char *const *paths, size_t n, const bragg_calibrate_known *known, const bragg_observer *observer,
                                  bragg_calibrate_shot **out, bragg_error *err)
{
    bragg_calibrate_known own = *known;
    *out = NULL;
    if (n < 1)
        return bragg_fail(err, BRAGG_EINVAL, "calibration: expected frames, found none");
    bragg_calibrate_shot *s = calloc(n, sizeof *s);
    bragg_status st = s ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", n);
    for (size_t k = 0; k < n && st >= 0; k++) {
        s[k].path = paths[k];
        st = read_shot(&own, observer, n > 1, &s[k], err);
        own.wavelength_ang = s[k].geometry.wavelength_ang;
    }
    if (st < 0)
        bragg_calibrate_shots_free(s, n);
    else
        *out = s;
    return st < 0 ? st : BRAGG_OK;
}

static bragg_status join(const bragg_calibrate_shot *s, size_t n, const bragg_calibration_joint_options *options, bragg_calibration_joint **out,
                         bragg_error *err)
{
    static const bragg_calibration_joint_options usual = { NULL, false, false };
    bragg_calibration **c = calloc(n, sizeof *c);
    if (!c)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to calibrate %zu frames", n);
    for (size_t k = 0; k < n; k++)
        c[k] = s[k].found;
    bragg_status st = bragg_calibrate_together(c, n, options ? options : &usual, out, err);
    free(c);
    return st;
}

bragg_status bragg_calibrate_shots(bragg_calibrate_shot *s, size_t n, const double *d_ang, const double *strength, size_t n_lines,
                                   const bragg_calibrate_options *options, const bragg_calibration_joint_options *together,
                                   bragg_calibration_joint **out, bragg_error *err)
{
    bragg_calibrate_options each = options ? *options : (bragg_calibrate_options)BRAGG_CALIBRATE_OPTIONS_INIT;
    bragg_status st = BRAGG_OK;
    *out = NULL;
    if (n > 1 && each.fit_wavelength) { /* which all frames tell together */
        each.fixed[BRAGG_CALIBRATE_WAVELENGTH] = true;
        each.fit_wavelength = false;
    }
    for (size_t k = 0; k < n && st >= 0; k++) {
        st = bragg_calibrate_find(s[k].frame, s[k].mask, &s[k].geometry, d_ang, strength, n_lines, &each, &s[k].found, err);
        if (st < 0 && n > 1)
            st = bragg_context(err, st, "%s", s[k].path);
    }
    return st >= 0 && n > 1 ? join(s, n, together, out, err) : st;
}

void bragg_calibrate_shots_free(bragg_calibrate_shot *s, size_t n)
{
    for (size_t k = 0; s && k < n; k++) {
        bragg_calibration_free(s[k].found);
        free(s[k].mask);
        bragg_frame_free(s[k].frame);
    }
    free(s);
}
