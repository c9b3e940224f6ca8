/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_LSQ_H
#define BRAGG_LSQ_H

#include <bragg/error.h>
#include <bragg/observer.h>
#include <bragg/param.h>
#include <stdbool.h>
#include <stddef.h>

/** The one least squares of the project: Levenberg-Marquardt over a table of
 *  parameters (K. Levenberg, Q. Appl. Math. 2 (1944) 164; D. Marquardt, SIAM J.
 *  11 (1963) 431; scaling after J. J. More, Lect. Notes Math. 630 (1978) 105).
 *
 *      rows of the table ──refine flags, ties──► variables (columns)
 *      residuals in blocks of BRAGG_LSQ_BLOCK ──► A = J'J, g = J'r ──► step
 *
 *  A problem hands over weighted residuals r = (observed - calculated) / sigma
 *  and their derivatives, block by block; blocks may run on any thread and their
 *  sums are added in an order that does not depend on the number of threads. */

enum { BRAGG_LSQ_BLOCK = 256 };

/** Which variable moves each row of the table: d value(row) = weight[row] * d
 *  variable[column[row]]; column is -1 for a row that does not move.  A problem
 *  adds weight[row] * (d r / d value(row)) to column[row] and thereby obeys all
 *  ties without knowing them. */
typedef struct bragg_lsq_layout {
    size_t n_variables;
    const ptrdiff_t *column;
    const double *weight;
} bragg_lsq_layout;

typedef struct bragg_lsq_problem {
    size_t n;       /**< residuals */
    size_t padding; /**< of them always zero: no observations */
    /** Called once before the blocks of an evaluation, on one thread.  Fails with
     *  a negative status when the model cannot be computed there: the step is
     *  then shortened. */
    bragg_status (*prepare)(void *payload, const bragg_params *params,
                            const bragg_lsq_layout *layout, bragg_error *err);
    /** Residuals first <= i < last into r[i - first], derivatives into
     *  jacobian[column * BRAGG_LSQ_BLOCK + i - first], zeroed on entry. */
    bragg_status (*residuals)(void *payload, size_t first, size_t last, double *r,
                              double *jacobian, bragg_error *err);
    void *payload;
    /** Errors of residuals i and i + d hang together by this much, for d = 1 … band
     *  (bins that share pixels): the minimum is that of independent ones, its esds are
     *  those of the errors as they are, inverse(A) J'VJ inverse(A) with V the band
     *  matrix (P. J. Huber, Proc. 5th Berkeley Symp. 1 (1967) 221).  band 0: independent. */
    double (*correlation)(void *payload, size_t i, size_t d);
    size_t band;
} bragg_lsq_problem;

/** STREAMING keeps only the normal equations; DENSE keeps the Jacobian and
 *  factors it by QR, for small problems whose condition number must not be
 *  squared. */
typedef enum bragg_lsq_form { BRAGG_LSQ_STREAMING, BRAGG_LSQ_DENSE } bragg_lsq_form;

/** Loss of a residual r beyond the scale k (P. J. Huber, Ann. Math. Stat. 35
 *  (1964) 73): Huber 2k|r| - k^2; Cauchy k^2 ln(1 + r^2/k^2) for all r. */
typedef enum bragg_lsq_loss { BRAGG_LSQ_SQUARES, BRAGG_LSQ_HUBER, BRAGG_LSQ_CAUCHY } bragg_lsq_loss;

typedef struct bragg_lsq_options {
    bragg_lsq_form form;
    bragg_lsq_loss loss;
    double loss_scale;       /**< k, in units of sigma */
    int max_cycles;
    double tolerance_esd;    /**< converged when the next step is shorter than this many esds */
    double tolerance_fall;   /**< converged, too, when the next step promises to lower chi^2 by less
                                  than this part; 0 for a fit that must end in the minimum */
    bool counting_esds;      /**< the sigmas are known: esds never smaller than they say */
    const bragg_observer *observer;
} bragg_lsq_options;

#define BRAGG_LSQ_OPTIONS_INIT { BRAGG_LSQ_STREAMING, BRAGG_LSQ_SQUARES, 2.5, 50, 0.01, 0, true, NULL }

typedef struct bragg_lsq bragg_lsq;

/** Borrow problem and params until _free.  EDATA without observations; EINVAL with more
 *  variables than these, or a start outside its bounds. */
bragg_status bragg_lsq_new(const bragg_lsq_problem *problem, bragg_params *params,
                           const bragg_lsq_options *options, bragg_lsq **out, bragg_error *err);
void bragg_lsq_free(bragg_lsq *lsq);

/** One accepted step, params moved.  BRAGG_CONVERGED when there is none left to
 *  take, ENOCONV when no step makes it better though the gradient says so. */
bragg_status bragg_lsq_step(bragg_lsq *lsq, bragg_error *err);

/** Steps to convergence, then esds into params (NAN for what the data do not
 *  determine).  CONVERGED, STOPPED by the observer, or ENOCONV after max_cycles:
 *  params then hold the best point and its esds all the same. */
bragg_status bragg_lsq_solve(bragg_lsq *lsq, bragg_error *err);

/** Covariance and esds at the present point; what solve does at its end. */
bragg_status bragg_lsq_finish(bragg_lsq *lsq, bragg_error *err);

double bragg_lsq_chi2(const bragg_lsq *lsq);         /**< sum of r^2 (of losses, if robust) */
size_t bragg_lsq_variables(const bragg_lsq *lsq);
int bragg_lsq_cycles(const bragg_lsq *lsq);
/** Row of the table that is variable k. */
size_t bragg_lsq_row(const bragg_lsq *lsq, size_t k);

/** After _finish: variance of a quantity with the given derivatives with respect
 *  to the rows of the table; NAN when it is not determined.  Works in the fit's own
 *  room: not from two threads at once. */
double bragg_lsq_variance(bragg_lsq *lsq, const double *d_rows);
/** After _finish: the step that is left from here to the minimum, in esds of each
 *  variable; the largest and the mean (NULL allowed) of those that no bound holds. */
void bragg_lsq_shift(const bragg_lsq *lsq, double *max_esd, double *mean_esd);
/** Covariance of variables i and j (NAN when not determined). */
double bragg_lsq_covariance(const bragg_lsq *lsq, size_t i, size_t j);
double bragg_lsq_correlation(const bragg_lsq *lsq, size_t i, size_t j);

/** Directions the data do not determine, found at _finish: a text naming the
 *  parameters of each, "phase.ZnSe.atom.Se.uiso and background.0"; NULL beyond
 *  the last. */
const char *bragg_lsq_singular(const bragg_lsq *lsq, size_t direction);

#endif
