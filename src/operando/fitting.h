/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who fits a run's frames on one thread: the model with its parameters by phase, what earlier frames
 * have said, and the frame at hand.  Shared by worker.c, memory.c, evidence.c, admit.c and fit.c. */
#ifndef OPERANDO_FITTING_H
#define OPERANDO_FITTING_H

#include "operando.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma GCC visibility push(hidden)

enum { KIND_SHARED, KIND_SCALE, KIND_CELL, KIND_REST };

/* The scale a phase that is not there would have; sigma NAN when nobody asked. */
typedef struct absent {
    double scale, sigma;
} absent;

struct seq_worker {
    bragg_arena *arena;
    const bragg_experiment *x;
    seq_plan plan;
    bragg_model *m;
    seq_shape shape;
    size_t *row;             /* of the table, a parameter each */
    size_t *phase_of;
    size_t (*pair)[2];       /* parameters of one phase */
    size_t *variable;        /* of the last fit, from 1, a row of the table each */
    int *kind;
    double *initial;         /* values of the experiment's start */
    double *home;            /* what phases that leave go back to */
    size_t apart;            /* frames to the one that the fit begins from */
    double *known, *doubt;   /* what earlier frames have said, and by how much that may be wrong; NAN: nothing */
    double *expected;        /* known, doubt as the row's fit had them */
    size_t *expect_row;      /* of the table, those that the fit expects, with: */
    double *expect_value, *expect_sigma;
    size_t *scale_of;        /* the phase's scale among the parameters; n_params when held */
    double *mass;            /* of a cell's content; NAN without atoms */
    int *level;
    double *saved;
    int *saved_level;
    bool *tried;
    struct absent *absent, *absent2;
    size_t room, n;          /* points */
    double *points;          /* x, observed, sigma, calculated, background, residual, unit pattern */
    double *basis;           /* background terms and phases, weighted and orthonormal */
    size_t n_basis, n_background; /* columns; those of the background, which bragg_evidence_calculate makes */
    double *pattern;         /* of each phase that is there, as it stands, over sigma */
    double *strength;        /* evidence of each */
    double widening;         /* of an esd by misfit and serial correlation */
    double misfit;           /* chi^2 of the last calculate */
    size_t window;           /* of the high pass, points either way */
};

enum { X, OBSERVED, SIGMA, CALCULATED, BACKGROUND, RESIDUAL, UNIT, MEASURED, SUMS, N_COLUMNS };

static inline double *column(const seq_worker *w, int k) { return w->points + (size_t)k * w->room; }

static inline bragg_param *param(const seq_worker *w, size_t k) { return &bragg_model_params(w->m)->at[w->row[k]]; }

/* A phase whose scale is held, or whose intensities are extracted, cannot be weighed. */
static inline bool has_scale(const seq_worker *w, size_t phase) { return w->scale_of[phase] < w->shape.n_params && isfinite(w->mass[phase]); }

static inline bool may_go(const seq_worker *w, size_t phase) { return w->plan.appear && has_scale(w, phase); }

/* Not an offset, which moves lines as well. */
static inline bool is_edge(const seq_worker *w, size_t k) { return strstr(w->shape.name[k], ".cell.") != NULL; }

static inline double chi2_of(const bragg_fit *f) { return f->gof * f->gof * ((double)f->points - (double)f->variables); }

static inline double log_points(const seq_worker *w) { return log((double)w->n); }

typedef struct score {
    double z, scale, sigma, strain;
    double worth;            /* z^2, misfit taken off, less what contradicts what is known */
    bool anew;               /* the experiment's cell rather than the last one's */
    int broad;               /* 0: as wide as it was, 2: broad */
} score;

/* worker.c */
void bragg_worker_apply_levels(seq_worker *w);
void bragg_worker_set_value(const seq_worker *w, size_t k, double v); /* within its bounds; not a number: as it was */
/* As a row left it; of phases that come new, the hint's cell. */
void bragg_worker_set_state(seq_worker *w, const double *from, const double *hint);
void bragg_worker_save(seq_worker *w);
void bragg_worker_restore(seq_worker *w);
/* Parameters of a phase up to a level. */
int bragg_worker_columns(const seq_worker *w, size_t phase, int level);
/* ENOCONV is an answer here. */
bragg_status bragg_worker_refine(seq_worker *w, bool stages, bragg_fit **f, bragg_error *err);

/* memory.c */
bool bragg_memory_is_width(const seq_worker *w, size_t k);
bool bragg_memory_is_loose(const seq_worker *w, size_t k); /* of a phase whose intensities are extracted */
bool bragg_memory_is_expected(const seq_worker *w, size_t k);
bool bragg_memory_was_seen(const seq_worker *w, size_t phase);
void bragg_memory_start(seq_worker *w, const seq_start *start);
void bragg_memory_forget(seq_worker *w);
void bragg_memory_forget_windows(seq_worker *w);
void bragg_memory_learn(seq_worker *w, double widening);
double bragg_memory_contradiction(const seq_worker *w, size_t phase);
/* How far the phase's cell stands from what earlier frames have told, in esds of both; the
 * sum of squares, over the doubt of those frames alone, that a fit would have to pay for it. */
double bragg_memory_leap(const seq_worker *w, size_t phase, double widening);
double bragg_memory_dispute(const seq_worker *w, size_t phase);
void bragg_memory_believe(seq_worker *w, size_t phase);
bragg_status bragg_memory_expect(seq_worker *w, bragg_error *err);

/* evidence.c */
bragg_status bragg_evidence_calculate(seq_worker *w, bragg_error *err);
double bragg_evidence_residuals(seq_worker *w);
void bragg_evidence_basis(seq_worker *w, size_t but);
void bragg_evidence_give_width(const seq_worker *w, size_t k, int broad);
void bragg_evidence_dress(const seq_worker *w, size_t phase, const score *s);
bragg_status bragg_evidence_score(seq_worker *w, size_t phase, int steps, score *best, bragg_error *err);
void bragg_evidence_unknown(const seq_worker *w, double *out);

/* admit.c */
int bragg_admit_level(int level, double z);
bool bragg_admit_any_extracted(const seq_worker *w);
bragg_status bragg_admit_in(seq_worker *w, int steps, bragg_fit **f, absent *out, bragg_error *err);
bragg_status bragg_admit_out(seq_worker *w, bragg_fit **f, bragg_error *err);
bragg_status bragg_admit_cold(seq_worker *w, bragg_fit **f, absent *out, bragg_error *err);

#pragma GCC visibility pop

#endif
