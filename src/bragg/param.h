/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PARAM_H
#define BRAGG_PARAM_H

#include <bragg/error.h>
#include <bragg/yaml.h>
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

/** May a phase, pattern or data set be called so?  Its name becomes part of the names of
 *  parameters, of files and of columns: not empty, without dots, blanks, commas, double
 *  quotes, slashes, wildcards and control characters. */
bool bragg_params_is_word(const char *text);

/** Append a parameter; *index (may be NULL) receives its row.  EINVAL when the
 *  name is taken or too long, ENOMEM without memory. */
bragg_status bragg_params_add(bragg_params *params, const char *name, const char *unit,
                              double value, size_t *index, bragg_error *err);

/** The same of PREFIX.NAME (NAME alone for an empty prefix) between two bounds. */
bragg_status bragg_params_add_bounded(bragg_params *params, const char *prefix, const char *name, const char *unit, double value, double lower,
                                      double upper, size_t *index, bragg_error *err);
/** Bounds that meet at the present value: no fit moves the row. */
void bragg_params_hold(bragg_params *params, size_t index);

/** Row of a name, or -1. */
ptrdiff_t bragg_params_find(const bragg_params *params, const char *name);

/** value(row index) = offset + factor * value(row to).  Chains are followed; a circle or
 *  a row that is not there is EINVAL. */
bragg_status bragg_params_tie(bragg_params *params, size_t index, size_t to, double factor,
                              double offset, bragg_error *err);

/** Ties that leave the `width` rows from `row` on (coordinates, U_ij) the freedom that
 *  n rows of basis[n][width] span; rows that follow two others are held.  basis is
 *  reduced in place; width is at most 6. */
bragg_status bragg_params_tie_basis(bragg_params *params, size_t row, double *basis, size_t n, size_t width,
                                    bragg_error *err);

/** A tie in words: "phase.B.cell.a", "2 * NAME", "1 - NAME", "0.5 * NAME + 0.1"; the
 *  row is no longer refined by itself.  EINVAL names what is not understood. */
bragg_status bragg_params_tie_text(bragg_params *params, size_t index, const char *text, bragg_error *err);

/** Set the refine flag of every parameter whose name matches a pattern of shell
 *  kind ("phase.*.cell", also without its last part) unless tied or held; the number
 *  that match. */
size_t bragg_params_select(bragg_params *params, const char *pattern, bool refine);

/** Recompute every tied value from what it is tied to. */
void bragg_params_apply_ties(bragg_params *params);

/** What an experiment file gives: {NAME: number}, {NAME: [lowest, highest]}, {NAME: tie in
 *  words}; map may be NULL.  A tied row that gets a value is free with untie, else EDATA.
 *  command is named where there is no such parameter. */
bragg_status bragg_params_read_values(bragg_params *params, const bragg_yaml *map, bool untie, const char *command, bragg_error *err);
bragg_status bragg_params_read_bounds(bragg_params *params, const bragg_yaml *map, const char *command, bragg_error *err);
bragg_status bragg_params_read_ties(bragg_params *params, const bragg_yaml *map, const char *command, bragg_error *err);

/** to becomes the same rows, whatever it held; ENOMEM leaves it as it was. */
bragg_status bragg_params_copy(bragg_params *to, const bragg_params *from, bragg_error *err);
void bragg_params_free(bragg_params *params);

#endif
