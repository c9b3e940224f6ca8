/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One demo on its way: what was simulated, what came out. */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "cli.h"

typedef struct demo {
    const char *name, *out;      /* out: of this truth file */
    const char *suffix;          /* "-300" of truth-300.yaml; "" */
    bool json, force, list;
    bragg_arena *arena;
    const char *examples;        /* folder of the example */
    const bragg_truth *truth;
    bragg_truth_about about;
    json_t *comparisons, *summary;
    size_t compared, beyond;     /* comparisons, and those with |pull| > 3 */
} demo;

/** One quantity beside its truth; printed unless JSON is wanted. */
void demo_compare(demo *d, const char *name, double truth, bragg_quantity q, const char *unit);
/** How many of so many frames were as they should be, and whether that is enough. */
void demo_count(demo *d, const char *name, size_t good, size_t of, double needed, const char *worst);
/** A file of this demo's folder; lives in the arena. */
const char *demo_file(const demo *d, const char *name, const char *ending);
/** A cell parameter that symmetry and the truth leave to compare: 0 to 5. */
bool demo_cell_free(const bragg_truth_phase *truth, int k);

/** A command as it is typed, its output kept in the file log. */
bragg_status demo_command(const cli_command *command, size_t argc, const char *const *argv, const char *log, bragg_error *err);

/** The states that the truth names one by one, each with NAME.yaml; a state without
 *  one is the calibrant. */
bragg_status demo_states(demo *d, bragg_error *err);
/** The run, through `bragg operando`. */
bragg_status demo_series(demo *d, bragg_error *err);
/** Total scattering, through `bragg pdf`. */
bragg_status demo_total(demo *d, bragg_error *err);

#endif
