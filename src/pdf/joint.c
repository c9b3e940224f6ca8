/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Powder patterns fitted together with G(r).
 *
 *      table of the study ── row[] ──► table of the whole-pattern model
 *      its layout ─────────────────► layout of the model's rows ──► residuals, derivatives
 */
#include "config.h"
#include "joint.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void bragg_pdf_patterns_free(patterns *p)
{
    bragg_model_free(p->model);
    p->model = NULL;
}

static bragg_status add_row(const bragg_param *from, bragg_params *table, size_t *row, bragg_error *err)
{
    ptrdiff_t known = bragg_params_find(table, from->name);
    if (known >= 0) { /* one and the same: within the bounds of both */
        bragg_param *at = &table->at[*row = (size_t)known];
        at->lower = fmin(fmax(at->lower, from->lower), at->value);
        at->upper = fmax(fmin(at->upper, from->upper), at->value);
        return BRAGG_OK;
    }
    bragg_status st = bragg_params_add(table, from->name, from->unit, from->value, row, err);
    if (st == BRAGG_OK) {
        table->at[*row].lower = from->lower;
        table->at[*row].upper = from->upper;
        table->at[*row].scale = from->scale;
    }
    return st;
}

bragg_status bragg_pdf_patterns_merge(patterns *p, bragg_params *table, bragg_arena *arena, bragg_error *err)
{
    const bragg_params *own = bragg_model_params(p->model);
    size_t before = table->n;
    p->row = bragg_arena_alloc(arena, own->n + 1, sizeof *p->row);
    p->column = bragg_arena_alloc(arena, own->n + 1, sizeof *p->column);
    p->weight = bragg_arena_alloc(arena, own->n + 1, sizeof *p->weight);
    bragg_status st = p->row && p->column && p->weight ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", own->n);
    for (size_t i = 0; i < own->n && st == BRAGG_OK; i++)
        st = add_row(&own->at[i], table, &p->row[i], err);
    for (size_t i = 0; i < own->n && st == BRAGG_OK; i++)
        if (p->row[i] >= before && own->at[i].tie_to >= 0)
            st = bragg_params_tie(table, p->row[i], p->row[own->at[i].tie_to], own->at[i].tie_factor, own->at[i].tie_offset, err);
    return st;
}

static void take_values(patterns *p, const bragg_params *table)
{
    bragg_params *own = bragg_model_params(p->model);
    for (size_t i = 0; i < own->n; i++) {
        own->at[i].value = table->at[p->row[i]].value;
        own->at[i].esd = table->at[p->row[i]].esd;
    }
}

/* A tie that only the study's table has binds its row here to its value. */
bragg_status bragg_pdf_patterns_start(patterns *p, bragg_params *table, const bragg_observer *observer, bragg_error *err)
{
    bragg_params *own = bragg_model_params(p->model);
    bragg_refine_options options = BRAGG_REFINE_OPTIONS_INIT;
    bragg_fit *fit = NULL;
    bool any = false;
    options.observer = observer;
    take_values(p, table);
    for (size_t i = 0; i < own->n; i++) {
        own->at[i].refine = own->at[i].tie_to < 0 && table->at[p->row[i]].refine;
        any = any || own->at[i].refine;
    }
    bragg_status st = any ? bragg_refine(p->model, &options, &fit, err) : BRAGG_OK;
    bragg_fit_free(fit);
    for (size_t i = 0; i < own->n && (st >= 0 || st == BRAGG_ENOCONV); i++)
        if (own->at[i].refine) {
            bragg_param *to = &table->at[p->row[i]];
            to->value = fmin(fmax(own->at[i].value, to->lower), to->upper);
        }
    bragg_params_apply_ties(table);
    return st == BRAGG_STOPPED ? st : st < 0 && st != BRAGG_ENOCONV ? bragg_context(err, st, "the patterns alone") : BRAGG_OK;
}

bragg_status bragg_pdf_patterns_prepare(patterns *p, const bragg_params *table, const bragg_lsq_layout *layout, bragg_error *err)
{
    const bragg_lsq_problem *problem = bragg_model_problem(p->model);
    const bragg_params *own = bragg_model_params(p->model);
    take_values(p, table);
    for (size_t i = 0; i < own->n; i++) {
        p->column[i] = layout->column[p->row[i]];
        p->weight[i] = layout->weight[p->row[i]];
    }
    p->layout = (bragg_lsq_layout){ layout->n_variables, p->column, p->weight };
    return problem->prepare(problem->payload, own, &p->layout, err);
}

bragg_status bragg_pdf_patterns_residuals(const patterns *p, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const bragg_lsq_problem *problem = bragg_model_problem(p->model);
    return problem->residuals(problem->payload, first, last, r, jacobian, err);
}

size_t bragg_pdf_patterns_count(const patterns *p, size_t *padding)
{
    const bragg_lsq_problem *problem = bragg_model_problem(p->model);
    *padding = problem->padding;
    return problem->n;
}

bragg_status bragg_pdf_patterns_normal(const patterns *p, size_t m, double *h, double *noise, bragg_error *err)
{
    size_t padding, n = bragg_pdf_patterns_count(p, &padding);
    double r[BRAGG_LSQ_BLOCK], *j = malloc(m * BRAGG_LSQ_BLOCK * sizeof *j);
    bragg_status st = j ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for derivatives");
    for (size_t first = 0; first < n && st == BRAGG_OK; first += BRAGG_LSQ_BLOCK) {
        size_t last = first + BRAGG_LSQ_BLOCK < n ? first + BRAGG_LSQ_BLOCK : n;
        memset(j, 0, m * BRAGG_LSQ_BLOCK * sizeof *j);
        st = bragg_pdf_patterns_residuals(p, first, last, r, j, err);
        for (size_t a = 0; a < m && st == BRAGG_OK; a++)
            for (size_t b = 0; b < m; b++) {
                double sum = 0;
                for (size_t i = 0; i < last - first; i++)
                    sum += j[a * BRAGG_LSQ_BLOCK + i] * j[b * BRAGG_LSQ_BLOCK + i];
                h[a * m + b] += sum;
                noise[a * m + b] += sum;
            }
    }
    free(j);
    return st;
}

static bragg_status show_pattern(const patterns *p, size_t k, bragg_pdf_fit_pattern *out, bragg_error *err)
{
    size_t n = bragg_model_points(p->model, k);
    double *v = calloc(5 * n + 1, sizeof *v), miss = 0, all = 0;
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    *out = (bragg_pdf_fit_pattern){ p->name[k], n, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, NAN };
    bragg_status st = bragg_model_calculate(p->model, k, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, err);
    for (size_t i = 0; i < n; i++) {
        double w = 1 / (out->sigma[i] * out->sigma[i]), d = out->observed[i] - out->calculated[i];
        miss += w * d * d;
        all += w * out->observed[i] * out->observed[i];
    }
    out->rwp = sqrt(miss / all);
    return st;
}

bragg_status bragg_pdf_patterns_show(patterns *p, const bragg_params *table, bragg_pdf_fit *f, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    take_values(p, table);
    f->pattern = calloc(p->n, sizeof *f->pattern);
    if (!f->pattern)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for results");
    for (size_t k = 0; k < p->n && st == BRAGG_OK; k++, f->n_patterns++)
        st = show_pattern(p, k, &f->pattern[k], err);
    return st;
}
