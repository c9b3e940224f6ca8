/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A refinement under way (run.c), its stages (fit.c) and their choice (choose.c).  Private. */
#ifndef REFINE_RUN_H
#define REFINE_RUN_H

#include "model.h"

#include <stdio.h>

enum { N_STAGES = 6 };

typedef struct run {
    bragg_model *model;
    const bragg_refine_options *opt;
    bragg_lsq *lsq;
    FILE *report;
    int cycles, coarse_cycles;
    bool coarse;                /* the points are averaged for a search */
    bool searching;             /* for cells */
    double chi2;                /* after the last stage; INFINITY before the first */
    size_t n_steps, room_steps;
    bragg_fit_step *step;
} run;

#pragma GCC visibility push(hidden)

extern const char *const bragg_run_stage_names[N_STAGES];
bool bragg_run_ends_with(const char *text, const char *end);
/* Values, not flags. */
void bragg_run_take_values(bragg_params *to, const bragg_params *from);
/* The stage that frees a parameter of this name, 0 to N_STAGES - 1. */
int bragg_run_stage(const char *name);
/* Refine what is wanted up to a stage; how many. */
size_t bragg_run_free(run *r, const bool *wanted, int stage);
/* A fit of what is free: near its minimum on points no closer than its peaks need, or
 * (last) in it. */
bragg_status bragg_run_coarse(run *r, double bins_a_width, bragg_error *err);
bragg_status bragg_run_once(run *r, bool last, bragg_error *err);
/* Cells that are wrong by more than a peak's width. */
bragg_status bragg_run_capture(run *r, const bool *wanted, bragg_error *err);
/* Windows whose plane is wrong by more than a peak's width; again: the last fit is to be made once more. */
bragg_status bragg_run_place_windows(run *r, const bool *wanted, bool *again, bragg_error *err);
/* Sizes and strains that have no slope where they stand begin elsewhere. */
void bragg_run_start_samples(bragg_params *t, const bool *wanted);
/* Misfit of the table's values on the pattern's own points, and of nothing at all. */
double bragg_run_chi2(bragg_model *m);
double bragg_run_weighted_sum(const bragg_model *m);

/* What is wrong with the values of the rows that are free, or NULL; `before` holds where
 * they began; `chosen`: also what is too much for what nobody has asked for. */
const char *bragg_run_beyond(const bragg_params *t, const bragg_params *before, bool chosen, size_t *row);
/* One line of the report and one step of the fit. */
void bragg_run_note(run *r, const bragg_fit_step *step);

/* choose.c: stages of which each part is kept only if the data carry it; adds to wanted. */
bragg_status bragg_run_choice(run *r, bool *wanted, bragg_error *err);

#pragma GCC visibility pop

#endif
