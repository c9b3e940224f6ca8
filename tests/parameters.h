/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parameters of a model by their names. */
#ifndef TESTS_PARAMETERS_H
#define TESTS_PARAMETERS_H

#include <bragg/refine.h>
#include <check.h>

static inline double *value_of(bragg_model *m, const char *name)
{
    bragg_params *t = bragg_model_params(m);
    ptrdiff_t row = bragg_params_find(t, name);
    ck_assert_msg(row >= 0, "no parameter %s", name);
    return &t->at[row].value;
}

static inline void set(bragg_model *m, const char *name, double value) { *value_of(m, name) = value; }
static inline double get(bragg_model *m, const char *name) { return *value_of(m, name); }

#endif
