/* SPDX-License-Identifier: GPL-3.0-or-later */
/* strategy: auto where nothing is named: each part is kept only if the data carry it. */
#include "config.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *doubtful(const bragg_params *t, const bragg_params *before, size_t *row)
{
    const char *absurd = bragg_run_beyond(t, before, false, row);
    return absurd ? absurd : bragg_run_beyond(t, before, true, row);
}

/* ------------------------------------------------------------------ parts */

/* What is tried together: the displacements of a phase, its coordinates, u and v; else
 * one parameter. */
static void name_part(const char *row, char *part, size_t size)
{
    const char *atom = strstr(row, ".atom."), *last = strrchr(row, '.');
    if (strstr(row, ".cell.") || bragg_run_ends_with(row, "instrument.zero") || bragg_run_ends_with(row, "instrument.displacement"))
        snprintf(part, size, "cells and zero");
    else if (atom)
        snprintf(part, size, "%.*s %s", (int)(atom - row), row, !strcmp(last, ".uiso") ? "displacements" : "coordinates");
    else if (bragg_run_ends_with(row, "instrument.u") || bragg_run_ends_with(row, "instrument.v"))
        snprintf(part, size, "%.*su, v", (int)(strlen(row) - 1), row);
    else if (strstr(row, ".harmonics.") || strstr(row, ".stephens.") || strstr(row, ".march"))
        snprintf(part, size, "%.*s", (int)(strstr(row, ".harmonics.") || strstr(row, ".stephens.") ? last - row : strstr(row, ".march") + 6 - row), row);
    else
        snprintf(part, size, "%s", row);
}

static size_t mark_part(const bragg_params *t, const bool *offered, const char *part, bool on, bool *rows)
{
    char name[200];
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        name_part(t->at[i].name, name, sizeof name);
        if (offered[i] && !strcmp(name, part)) {
            rows[i] = on;
            n += t->at[i].tie_to < 0;
        }
    }
    return n;
}

/* Rows of the part follow its first one, from their mean on: of a weak phase in a mixture
 * the data know how fast its lines fade, not which of its atoms moves.  Of one row or none
 * false, and nothing is done. */
static bool tie_part(bragg_params *t, const bool *part)
{
    size_t first = t->n, n = 0;
    double sum = 0;
    for (size_t i = 0; i < t->n; i++)
        if (part[i] && t->at[i].tie_to < 0) {
            first = first < t->n ? first : i;
            sum += t->at[i].value;
            n++;
        }
    for (size_t i = first + 1; n > 1 && i < t->n; i++)
        if (part[i] && t->at[i].tie_to < 0)
            bragg_params_tie(t, i, first, 1, 0, NULL);
    if (n > 1)
        t->at[first].value = sum / (double)n;
    bragg_params_apply_ties(t);
    return n > 1;
}

static void take_ties(bragg_params *to, const bragg_params *from)
{
    for (size_t i = 0; i < to->n; i++) {
        to->at[i].tie_to = from->at[i].tie_to;
        to->at[i].tie_factor = from->at[i].tie_factor;
        to->at[i].tie_offset = from->at[i].tie_offset;
    }
}

/* Twice the logarithm of the odds against the part (G. Schwarz, Ann. Stat. 6 (1978) 461):
 * below -6 the evidence for it is strong (R. E. Kass & A. E. Raftery, J. Am. Stat. Assoc.
 * 90 (1995) 773).  sigma^2 is what the fit leaves, as models are never all there is. */
static double delta_bic(const bragg_model *m, double chi2, double before, size_t k)
{
    double n = (double)m->n_observations;
    return n * log(chi2 / before) + (double)k * log(n);
}

static double rwp_of(const run *r, double chi2) { return sqrt(chi2 / bragg_run_weighted_sum(r->model)); }

typedef struct trial {
    const char *part;
    int stage;
    bool *rows;     /* room for the part's */
    bool as_one;    /* in: all of the part's rows as one */
    bool below;     /* out: taken back for a mean square below zero */
} trial;

/* Fit with the part and keep it or step back; chi2 is that of the table's values. */
static bragg_status try_part(run *r, trial *what, bool *wanted, double *chi2, bragg_error *err)
{
    const char *part = what->part;
    int stage = what->stage;
    bragg_params *t = &r->model->params, before = BRAGG_PARAMS_INIT;
    bragg_fit_step step = { .kept = true };
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = bragg_params_copy(&before, t, err);
    if (st < 0)
        return st;
    snprintf(step.name, sizeof step.name, "%.95s%s", part, what->as_one ? ", one for all" : "");
    memset(what->rows, 0, t->n * sizeof *what->rows);
    mark_part(t, r->model->offered, part, true, what->rows);
    if (what->as_one && !tie_part(t, what->rows)) {
        bragg_params_free(&before);
        return BRAGG_OK;
    }
    size_t k = mark_part(t, r->model->offered, part, true, wanted), row = 0;
    bragg_run_start_samples(t, wanted);
    if (stage == 1)
        st = bragg_run_capture(r, wanted, err);
    step.variables = bragg_run_free(r, wanted, stage);
    if (st >= 0)
        st = bragg_run_coarse(r, 3, &ignored);
    const char *absurd = doubtful(t, &before, &row);
    step.cycles = r->lsq ? bragg_lsq_cycles(r->lsq) : 0;
    step.rwp = rwp_of(r, r->chi2);
    step.delta_bic = delta_bic(r->model, r->chi2, *chi2, k);
    step.kept = st >= 0 || st == BRAGG_ENOCONV ? !absurd && step.delta_bic < -6 : false;
    if (absurd)
        snprintf(step.why, sizeof step.why, "%.80s is %.4g, %s", t->at[row].name, t->at[row].value, absurd);
    else if (!step.kept)
        snprintf(step.why, sizeof step.why, "%s", r->chi2 > *chi2 ? "the fit is no better" : "the data do not carry it");
    if (step.kept)
        *chi2 = r->chi2;
    else {
        mark_part(t, r->model->offered, part, false, wanted);
        bragg_run_take_values(t, &before);
        take_ties(t, &before);
    }
    what->below = absurd && bragg_run_ends_with(t->at[row].name, ".uiso");
    bragg_run_note(r, &step);
    bragg_params_free(&before);
    return st == BRAGG_STOPPED || st == BRAGG_ENOMEM ? st : BRAGG_OK;
}

/* Parts of one stage, each once. */
static bragg_status try_stage(run *r, int stage, bool *wanted, bool *tried, bool *rows, double *chi2, bragg_error *err)
{
    bragg_params *t = &r->model->params;
    bragg_status st = BRAGG_OK;
    for (size_t i = 0; i < t->n && st == BRAGG_OK; i++) {
        char part[200];
        if (!r->model->offered[i] || tried[i] || bragg_run_stage(t->at[i].name) != stage)
            continue;
        name_part(t->at[i].name, part, sizeof part);
        mark_part(t, r->model->offered, part, true, tried);
        trial what = { .part = part, .stage = stage, .rows = rows };
        if (!wanted[i])
            st = try_part(r, &what, wanted, chi2, err);
        if (st == BRAGG_OK && what.below) {
            what.as_one = true;
            st = try_part(r, &what, wanted, chi2, err);
        }
    }
    return st;
}

/* Parts that the whole fit leaves absurd or without an esd go back to where they began. */
static bool drop_doubtful(run *r, const bragg_params *start, bool *wanted)
{
    bragg_params *t = &r->model->params;
    for (size_t i = 0; i < t->n; i++) {
        char part[200];
        size_t row = i;
        const char *absurd = NULL;
        if (!wanted[i] || !r->model->offered[i] || t->at[i].tie_to >= 0)
            continue;
        bragg_param keep = t->at[i];
        bragg_params one = { .n = 1, .at = &keep };
        const bragg_params was = { .n = 1, .at = &start->at[i] };
        absurd = doubtful(&one, &was, &row);
        if (!absurd && isfinite(keep.esd))
            continue;
        bragg_fit_step step = { .rwp = rwp_of(r, r->chi2), .delta_bic = NAN };
        name_part(keep.name, part, sizeof part);
        snprintf(step.name, sizeof step.name, "%.110s", part);
        snprintf(step.why, sizeof step.why, "%.80s %s", keep.name, absurd ? absurd : "is not determined");
        bragg_run_note(r, &step);
        for (size_t k = 0; k < t->n; k++) {
            char other[200];
            name_part(t->at[k].name, other, sizeof other);
            if (r->model->offered[k] && !strcmp(part, other)) {
                wanted[k] = false;
                t->at[k].value = start->at[k].value;
                t->at[k].tie_to = start->at[k].tie_to;
            }
        }
        return true;
    }
    return false;
}

static bragg_status fit_whole(run *r, const bool *wanted, bragg_error *err)
{
    bragg_fit_step step = { .kept = true, .delta_bic = NAN };
    snprintf(step.name, sizeof step.name, "%s", bragg_run_stage_names[N_STAGES - 1]);
    step.variables = bragg_run_free(r, wanted, N_STAGES - 1);
    bragg_status st = bragg_run_once(r, true, err);
    if (st < 0 && st != BRAGG_ENOCONV)
        return st;
    r->chi2 = bragg_lsq_chi2(r->lsq);
    step.cycles = bragg_lsq_cycles(r->lsq);
    step.rwp = rwp_of(r, r->chi2);
    bragg_run_note(r, &step);
    return st;
}

bragg_status bragg_run_choice(run *r, bool *wanted, bragg_error *err)
{
    bragg_params *t = &r->model->params, start = BRAGG_PARAMS_INIT;
    bool *tried = calloc(2 * t->n + 1, sizeof *tried); /* and room for the rows of a part */
    bragg_fit_step first = { .kept = true, .delta_bic = NAN };
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = tried ? bragg_params_copy(&start, t, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", t->n);
    snprintf(first.name, sizeof first.name, "%s", bragg_run_stage_names[0]);
    if (st == BRAGG_OK) {
        first.variables = bragg_run_free(r, wanted, 0);
        st = bragg_run_coarse(r, 3, &ignored);
        st = st == BRAGG_ENOCONV || st > 0 ? BRAGG_OK : st < 0 ? bragg_fail(err, st, "%s", ignored.text) : st;
        first.cycles = r->lsq ? bragg_lsq_cycles(r->lsq) : 0;
        first.rwp = rwp_of(r, r->chi2);
        bragg_run_note(r, &first);
    }
    double chi2 = r->chi2;
    for (int stage = 1; stage < N_STAGES && st == BRAGG_OK; stage++)
        st = try_stage(r, stage, wanted, tried, tried + t->n, &chi2, err);
    bragg_error cause = BRAGG_ERROR_INIT;
    for (int turn = 0; turn < 6 && (st >= 0 || st == BRAGG_ENOCONV) && st != BRAGG_STOPPED && (!turn || drop_doubtful(r, &start, wanted)); turn++) {
        cause = (bragg_error)BRAGG_ERROR_INIT;
        st = fit_whole(r, wanted, &cause);
    }
    bragg_params_free(&start);
    free(tried);
    return st < 0 && *cause.text ? bragg_fail(err, st, "%s", cause.text) : st;
}
