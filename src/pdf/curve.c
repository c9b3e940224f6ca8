/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A measurement on Q, and another one off it. */
#include "config.h"
#include "reduce.h"

#include <bragg/numeric.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void bragg_pdf_close_curve(curve *c)
{
    free(c->q);
    free(c->y);
    free(c->sigma2);
}

static double variance_of(const bragg_pattern *p, size_t i)
{
    return isfinite(p->sigma[i]) ? p->sigma[i] * p->sigma[i] : p->counts ? fmax(p->y[i], 1) : NAN;
}

static double q_of(const bragg_pattern *p, double x, double wavelength_ang)
{
    return p->axis == BRAGG_AXIS_Q ? x : p->axis == BRAGG_AXIS_QNM ? bragg_axis_convert(x, p->axis, BRAGG_AXIS_Q, 1)
                                                                   : bragg_axis_convert(x, p->axis, BRAGG_AXIS_Q, wavelength_ang);
}

/* Integration leaves zeros without error behind the beam stop and beyond the edge
 * of the detector. */
static bool is_unseen(const bragg_pattern *p, size_t i) { return p->y[i] == 0 && !(p->sigma[i] > 0); }

/* The pattern on rising Q, without what the detector did not see at its ends. */
bragg_status bragg_pdf_on_q(const bragg_pattern *p, double wavelength_ang, const char *what, curve *out, bragg_error *err)
{
    bool sigmas = true, falling = p->axis == BRAGG_AXIS_D;
    size_t first = 0, last = p->n;
    memset(out, 0, sizeof *out);
    if (p->axis == BRAGG_AXIS_R)
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected 2theta, Q or d, found the radius", what);
    if ((p->axis == BRAGG_AXIS_TTH) && !(wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "%s: data in 2theta need a wavelength, found none", what);
    while (last > 0 && is_unseen(p, last - 1))
        last--;
    while (first < last && is_unseen(p, first))
        first++;
    out->q = calloc(last + 1, sizeof *out->q);
    out->y = calloc(last + 1, sizeof *out->y);
    out->sigma2 = calloc(last + 1, sizeof *out->sigma2);
    if (!out->q || !out->y || !out->sigma2)
        return bragg_fail(err, BRAGG_ENOMEM, "%s: no room for %zu points", what, last);
    for (size_t k = first; k < last; k++) {
        size_t i = falling ? first + last - 1 - k : k;
        double q = q_of(p, p->x[i], wavelength_ang);
        if (!isfinite(q) || q < 0 || !isfinite(p->y[i]))
            return bragg_fail(err, BRAGG_EDATA, "%s: point %zu (x = %g, y = %g) is no intensity at a Q", what, i + 1, p->x[i], p->y[i]);
        out->q[out->n] = q;
        out->y[out->n] = p->y[i];
        out->sigma2[out->n++] = variance_of(p, i);
        sigmas = sigmas && isfinite(variance_of(p, i));
    }
    if (!sigmas) {
        free(out->sigma2);
        out->sigma2 = NULL;
    }
    return out->n >= 16 ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: expected at least 16 points, found %zu", what, out->n);
}

/* sample - scale x background, linear between the background's points. */
bragg_status bragg_pdf_subtract(curve *s, const curve *b, double scale, bragg_error *err)
{
    double slack = 1e-6 + (b->q[b->n - 1] - b->q[0]) / (double)b->n;
    if (s->q[0] < b->q[0] - slack || s->q[s->n - 1] > b->q[b->n - 1] + slack)
        return bragg_fail(err, BRAGG_EDATA, "background: covers Q %.4g to %.4g /angstrom, the sample %.4g to %.4g; lower qmaxinst or measure it further",
                          b->q[0], b->q[b->n - 1], s->q[0], s->q[s->n - 1]);
    if (!b->sigma2) {
        free(s->sigma2);
        s->sigma2 = NULL;
    }
    for (size_t i = 0, k = 0; i < s->n; i++) {
        double t = fmin(fmax(bragg_interval(b->q, b->n, s->q[i], &k), 0), 1);
        s->y[i] -= scale * ((1 - t) * b->y[k] + t * b->y[k + 1]);
        if (s->sigma2)
            s->sigma2[i] += scale * scale * ((1 - t) * (1 - t) * b->sigma2[k] + t * t * b->sigma2[k + 1]);
    }
    return BRAGG_OK;
}
