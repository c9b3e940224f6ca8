/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The patterns of a run for its maps: of a store, or of one that has none, read once more. */
#include "config.h"
#include "operando.h"

#include <bragg/numeric.h>
#include <math.h>
#include <stdlib.h>

/* On the axis of the first; NAN where that has another. */
static void put_row(const bragg_pattern *p, const double *y, const bragg_pattern *first, double *row)
{
    bragg_resample(p->x, y, p->axis == first->axis ? p->n : 0, first->x, first->n, row);
}

bragg_status bragg_frames_curves(const bragg_frames *f, const bragg_experiment *x, size_t rows, bragg_store_curves *out, bragg_error *err)
{
    bragg_pattern *first = NULL;
    double exposure;
    size_t n_frames = bragg_frames_count(f), each = rows && n_frames > rows ? (n_frames + rows - 1) / rows : 1, n = (n_frames + each - 1) / each;
    *out = (bragg_store_curves){ 0 };
    for (size_t k = 0; k < n_frames && !first; k++)
        if (bragg_frames_read(f, k, &first, &exposure, NULL) == BRAGG_ENOMEM)
            return bragg_fail(err, BRAGG_ENOMEM, "map: no room for frame %zu", k);
    if (!first)
        return bragg_fail(err, BRAGG_EDATA, "map: none of %zu frames can be read", n_frames);
    double *v = malloc((first->n * (3 * n + 1) + 1) * sizeof *v);
    if (!v) {
        bragg_pattern_free(first);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", n);
    }
    *out = (bragg_store_curves){ first->n, n, each, v, v + first->n, v + first->n * (n + 1), v + first->n * (2 * n + 1),
                                  x->pattern->histogram.radiation.wavelength_ang[0], NULL };
    for (size_t i = 0; i < first->n; i++)
        v[i] = bragg_axis_convert(first->x[i], first->axis, BRAGG_AXIS_TTH, x->pattern->histogram.radiation.wavelength_ang[0]);
    for (size_t k = 0; k < n; k++) {
        bragg_pattern *p = NULL;
        double *row = out->observed + k * first->n;
        for (size_t i = 0; i < first->n; i++)
            row[i] = out->calculated[k * first->n + i] = out->sigma[k * first->n + i] = NAN;
        bragg_status st = bragg_frames_read(f, k * each, &p, &exposure, NULL);
        if (st == BRAGG_ENOMEM) {
            bragg_pattern_free(first);
            bragg_store_curves_free(out);
            return bragg_fail(err, st, "map: no room for frame %zu", k * each);
        }
        if (st >= 0) {
            put_row(p, p->y, first, row);
            put_row(p, p->sigma, first, out->sigma + k * first->n);
        }
        for (size_t i = 0; p && p->counts && i < first->n; i++) {
            double *sigma = &out->sigma[k * first->n + i];
            *sigma = isfinite(*sigma) || !isfinite(row[i]) ? *sigma : sqrt(fmax(row[i], 1));
        }
        bragg_pattern_free(p);
    }
    bragg_pattern_free(first);
    return BRAGG_OK;
}

const double *bragg_store_curves_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *room)
{
    const double *kept = which == BRAGG_CURVE_OBSERVED ? c->observed : which == BRAGG_CURVE_CALCULATED ? c->calculated : c->sigma;
    if (kept)
        return kept + row * c->n;
    bragg_store_average_row(c, which, row, room);
    return room;
}

bragg_status bragg_store_curves_whole(const bragg_store_curves *c, bragg_error *err)
{
    int why = bragg_store_rows_lost(c->stored);
    if (why && err)
        *err = (bragg_error)BRAGG_ERROR_INIT;
    if (bragg_status_of_errno(why) == BRAGG_ENOMEM)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for patterns of the store");
    return why ? bragg_fail(err, BRAGG_EIO, "patterns of the store cannot be read: is its disk there?") : BRAGG_OK;
}

void bragg_store_curves_free(bragg_store_curves *c)
{
    bragg_store_free_rows(c->stored);
    free(c->x_rad);
    *c = (bragg_store_curves){ 0 };
}
