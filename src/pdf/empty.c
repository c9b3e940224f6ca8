/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Empty beam and dark counts, which sample and container have alike. */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/numeric.h>
#include <math.h>

/* Points that integration left as zeros without error were not seen. */
static bool is_seen(const bragg_pattern *p, size_t i) { return p->y[i] != 0 || p->sigma[i] > 0; }

bragg_status bragg_pdf_take_off(bragg_pattern *p, bragg_pattern *empty, double factor, bragg_error *err)
{
    if (!isfinite(factor))
        return bragg_fail(err, BRAGG_EINVAL, "empty: expected a finite factor, found %g", factor);
    if (!(empty->wavelength_ang > 0))
        empty->wavelength_ang = p->wavelength_ang;
    bragg_status st = empty->axis == p->axis ? bragg_pattern_check(empty, err) : bragg_pattern_to_axis(empty, p->axis, err);
    double slack = st == BRAGG_OK ? (empty->x[empty->n - 1] - empty->x[0]) / (double)empty->n : 0;
    for (size_t i = 0, j = 0; i < p->n && st == BRAGG_OK; i++) {
        double x = p->x[i];
        if (!is_seen(p, i))
            continue;
        if (!(x >= empty->x[0] - slack && x <= empty->x[empty->n - 1] + slack))
            return bragg_fail(err, BRAGG_EDATA, "empty: covers %g to %g, expected also %g; do sample and empty have one unit?", empty->x[0],
                              empty->x[empty->n - 1], x);
        double u = fmin(fmax(bragg_interval(empty->x, empty->n, x, &j), 0), 1);
        p->y[i] -= factor * ((1 - u) * empty->y[j] + u * empty->y[j + 1]);
        p->sigma[i] = hypot(p->sigma[i], factor * hypot((1 - u) * empty->sigma[j], u * empty->sigma[j + 1]));
    }
    p->counts = false; /* differences are none */
    return st;
}
