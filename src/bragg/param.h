/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PARAM_H
#define BRAGG_PARAM_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>

/** A named quantity that a fit may move: the same object in calibration, peak
 *  fits, Rietveld, real-space and series fits. */
typedef struct bragg_param {
    char name[96];       /**< "phase.LaB6.cell.a" */
    char unit[16];       /**< as printed: "angstrom", "deg", "" */
    double value, esd;   /**< esd is NAN until a fit has set it */
    double lower, upper; /**< bounds; -INFINITY, INFINITY when none */
    double scale;        /**< a typical change, > 0; 0 lets the engine choose */
    bool refine;
    /* tie: value = tie_offset + tie_factor * params[tie_to].value; -1 = free */
    ptrdiff_t tie_to;
    double tie_factor, tie_offset;
} bragg_param;

typedef struct bragg_params {
    size_t n, room;
    bragg_param *at;
} bragg_params;

#define BRAGG_PARAMS_INIT { 0, 0, NULL }

/** Append a parameter; *index (may be NULL) receives its row.  EINVAL when the
 *  name is taken or too long, ENOMEM without memory. */
bragg_status bragg_params_add(bragg_params *params, const char *name, const char *unit,
                              double value, size_t *index, bragg_error *err);

/** Row of a name, or -1. */
ptrdiff_t bragg_params_find(const bragg_params *params, const char *name);

/** value(name) = offset + factor * value(to).  Chains are followed; a circle or
 *  an unknown name is EINVAL. */
bragg_status bragg_params_tie(bragg_params *params, size_t index, size_t to, double factor,
                              double offset, bragg_error *err);

/** Recompute every tied value from what it is tied to. */
void bragg_params_apply_ties(bragg_params *params);

bragg_status bragg_params_copy(bragg_params *to, const bragg_params *from, bragg_error *err);
void bragg_params_free(bragg_params *params);

#endif
