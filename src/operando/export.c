/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One frame of a run for others: pdCIF, as a refinement of its own would leave it. */
#include "config.h"
#include "operando.h"

#include <math.h>
#include <stdio.h>

static void title_of(const bragg_series *s, size_t k, char *text, size_t size)
{
    const bragg_frame_fit *t = bragg_series_fitted(s, k);
    int n = snprintf(text, size, "%.150s%sframe %zu, %.60s", s->title ? s->title : "", s->title ? ", " : "", k, bragg_frame_status_name(t->status));
    if (isfinite(t->log.voltage_v))
        n += snprintf(text + n, size - (size_t)n, ", %.4f V", t->log.voltage_v);
    if (isfinite(t->temperature_k))
        snprintf(text + n, size - (size_t)n, ", %.2f K", t->temperature_k);
}

bragg_status bragg_series_write_cif(const bragg_series *s, size_t k, const bragg_experiment *x, const bragg_frames *frames, const char *path, bool force,
                                    bragg_error *err)
{
    seq_plan plan;
    seq_worker *w = NULL;
    bragg_pattern *p = NULL;
    bragg_model *m;
    bragg_fit *f = NULL;
    double exposure;
    char title[300];
    if (k >= s->n)
        return bragg_fail(err, BRAGG_EINVAL, "pdCIF: expected a frame from 0 to %zu, found %zu", s->n - 1, k);
    if (!bragg_series_fitted(s, k)->done)
        return bragg_fail(err, BRAGG_EDATA, "pdCIF of frame %zu: expected one that was fitted, found %s", k, bragg_frame_status_name(bragg_series_fitted(s, k)->status));
    title_of(s, k, title, sizeof title);
    bragg_status st = bragg_seq_plan(x, &plan, err);
    if (st == BRAGG_OK)
        st = bragg_frames_read(frames, k, &p, &exposure, err);
    if (st >= 0)
        st = bragg_seq_worker_new(x, &plan, p, &w, err);
    if (st >= 0)
        st = bragg_seq_again(w, p, bragg_series_fitted(s, k)->value - seq_value(bragg_seq_shape(w), 0), &m, &f, err);
    if (st >= 0)
        st = bragg_fit_write_cif(m, f, title, path, force, err);
    bragg_fit_free(f);
    bragg_seq_worker_free(w);
    bragg_pattern_free(p);
    return st < 0 ? st : BRAGG_OK;
}
