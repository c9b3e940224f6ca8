/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Analytic derivatives of a model's patterns against central differences. */
#ifndef TESTS_DERIVATIVES_H
#define TESTS_DERIVATIVES_H

#include "close.h"
#include "parameters.h"

#include <bragg/refine.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

typedef struct derivatives {
    bragg_model *m;
    bragg_lsq_layout layout;
    ptrdiff_t *column;
    double *weight, *j;
    size_t n;                  /* residuals */
} derivatives;

static derivatives derivatives_of(bragg_model *m)
{
    bragg_params *t = bragg_model_params(m);
    derivatives d = { m, { 0 }, malloc(t->n * sizeof(ptrdiff_t)), malloc(t->n * sizeof(double)), NULL, bragg_model_problem(m)->n };
    size_t free_rows = 0;
    for (size_t k = 0; k < t->n; k++)
        d.column[k] = t->at[k].refine && t->at[k].tie_to < 0 ? (ptrdiff_t)free_rows++ : -1;
    for (size_t k = 0; k < t->n; k++) {
        ptrdiff_t root = (ptrdiff_t)k;
        d.weight[k] = 1;
        for (; t->at[root].tie_to >= 0; root = t->at[root].tie_to)
            d.weight[k] *= t->at[root].tie_factor;
        d.column[k] = d.column[root];
    }
    d.j = calloc(free_rows * BRAGG_LSQ_BLOCK + 1, sizeof *d.j);
    d.layout = (bragg_lsq_layout){ free_rows, d.column, d.weight };
    return d;
}

static void free_derivatives(derivatives *d)
{
    free(d->column);
    free(d->weight);
    free(d->j);
}

/* Residuals at the table's values, and the derivatives of one column when asked. */
static void evaluate_residuals(derivatives *d, double *r, ptrdiff_t column, double *slope)
{
    const bragg_lsq_problem *p = bragg_model_problem(d->m);
    bragg_params *t = bragg_model_params(d->m);
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_params_apply_ties(t);
    ck_assert_msg(p->prepare(p->payload, t, &d->layout, &err) >= 0, "%s", err.text);
    for (size_t first = 0; first < d->n; first += BRAGG_LSQ_BLOCK) {
        size_t last = first + BRAGG_LSQ_BLOCK < d->n ? first + BRAGG_LSQ_BLOCK : d->n;
        memset(d->j, 0, d->layout.n_variables * BRAGG_LSQ_BLOCK * sizeof *d->j);
        memset(r + first, 0, (last - first) * sizeof *r);
        ck_assert_msg(p->residuals(p->payload, first, last, r + first, d->j, &err) >= 0, "%s", err.text);
        for (size_t i = first; slope && i < last; i++)
            slope[i] = d->j[(size_t)column * BRAGG_LSQ_BLOCK + i - first];
    }
}

/* Every selected parameter, to `tolerance` of the largest slope at all but `stray`
 * of the residuals (a peak's reach may begin between both sides of a difference).
 * Returns how many were checked. */
static size_t check_derivatives(bragg_model *m, double tolerance, double stray)
{
    bragg_params *t = bragg_model_params(m);
    derivatives d = derivatives_of(m);
    double *up = calloc(3 * d.n, sizeof *up), *down = up + d.n, *ours = down + d.n;
    size_t checked = 0;
    for (size_t k = 0; k < t->n; k++) {
        if (!t->at[k].refine || t->at[k].tie_to >= 0)
            continue;
        double keep = t->at[k].value, scale = 0;
        double h = t->at[k].scale > 0 ? t->at[k].scale : 1e-5 * fmax(fabs(keep), 1e-2);
        evaluate_residuals(&d, up, d.column[k], ours);
        t->at[k].value = keep + h;
        evaluate_residuals(&d, up, 0, NULL);
        t->at[k].value = keep - h;
        evaluate_residuals(&d, down, 0, NULL);
        t->at[k].value = keep;
        for (size_t i = 0; i < d.n; i++) {
            scale = fmax(scale, fabs(ours[i]));
            ours[i] = fabs((up[i] - down[i]) / (2 * h) - ours[i]);
        }
        qsort(ours, d.n, sizeof *ours, by_size);
        double off = ours[(size_t)((double)(d.n - 1) * (1 - stray))];
        ck_assert_msg(scale > 0, "%s moves nothing", t->at[k].name);
        ck_assert_msg(off < tolerance * scale, "%s: off by %g of %g", t->at[k].name, off, scale);
        checked++;
    }
    bragg_params_apply_ties(t);
    free_derivatives(&d);
    free(up);
    return checked;
}

#endif
