/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs made in a folder of their own, for the tests of what follows them. */
#ifndef RUN_MADE_H
#define RUN_MADE_H

#include "folder.h"

#include <bragg/experiment.h>
#include <bragg/operando.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void set(bragg_model *m, const char *name, double v)
{
    bragg_params *t = bragg_model_params(m);
    ptrdiff_t row = bragg_params_find(t, name);
    must(row >= 0, name);
    t->at[row].value = v;
}

/* Sum of twelve uniform numbers less six: near enough to normal, the same everywhere. */
static inline double noise(unsigned *seed)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) {
        *seed = *seed * 1664525u + 1013904223u;
        sum += *seed / 4294967296.0;
    }
    return sum;
}

/* Run the experiment file of this name. */
static inline bragg_status fit(const char *name, const bragg_series_options *o, bragg_series **s, bragg_error *err)
{
    bragg_experiment *x = NULL;
    bragg_frames *f = NULL;
    *s = NULL;
    bragg_status st = bragg_experiment_read(in_folder(name), &x, err);
    if (st == BRAGG_OK)
        st = bragg_frames_open(x, in_folder(name), false, &f, err);
    if (st == BRAGG_OK)
        st = bragg_series_fit(x, in_folder(name), f, o, s, err);
    bragg_frames_free(f);
    bragg_experiment_free(x);
    return st;
}

#endif
