/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A refinement under way: what its strategies are made of. */
#include "config.h"
#include "run.h"

#include <bragg/array.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ notes */

void bragg_run_note(run *r, const bragg_fit_step *step)
{
    if (r->report) {
        fprintf(r->report, "%s: ", step->name);
        if (step->variables)
            fprintf(r->report, "%zu variables, %d cycles, ", step->variables, step->cycles);
        fprintf(r->report, "Rwp %.3f %%", 100 * step->rwp);
        if (isfinite(step->delta_bic))
            fprintf(r->report, ", Delta BIC %+.0f", step->delta_bic);
        fprintf(r->report, "%s%s\n", step->kept ? "" : ", stepped back: ", step->kept ? "" : step->why);
    }
    if (bragg_array_grow(&r->step, &r->room_steps, r->n_steps + 1, sizeof *r->step, NULL) == BRAGG_OK)
        r->step[r->n_steps++] = *step;
}

/* ----------------------------------------------------------------- absurd */

/* Far beyond what a powder or a diffractometer does: not unusual, impossible.  What nobody
 * asked for is chosen with more care: a displacement may come out a little below zero by
 * noise, further below it makes up for what another part of the model lacks. */
static const struct { const char *end; double low, high; const char *what; bool chosen; } limits[] = {
    { ".uiso", -0.05, 0.5, "a mean square displacement no crystal has", false },
    { ".uiso", -0.005, INFINITY, "a mean square below zero", true },
    { ".occupancy", -0.05, 1.5, "an occupancy no site has", false },
    { ".size", 0.8, INFINITY, "crystallites smaller than a unit cell", false },
    { ".strain", -INFINITY, 8e4, "a strain no lattice bears", false },
    { "instrument.zero", -2, 2, "a zero no goniometer has", false },
    { "instrument.displacement", -3, 3, "a displacement no sample has", false },
    { "instrument.w", -INFINITY, 4, "peaks two degrees wide", false },
    { "instrument.sl", -INFINITY, 0.3, "an axial divergence no slits give", false },
    { ".march", 0.07, 14, "a texture of one orientation", false },
};

/* The first row beyond a limit of the table; of those for what was chosen only where asked. */
const char *bragg_run_beyond(const bragg_params *t, const bragg_params *before, bool chosen, size_t *row)
{
    for (size_t i = 0; i < t->n; i++) {
        const bragg_param *p = &t->at[i];
        *row = i;
        if (!p->refine || p->tie_to >= 0)
            continue;
        if (!isfinite(p->value))
            return "no number";
        size_t n = strlen(p->name);
        bool place = strstr(p->name, ".atom.") && n > 2 && p->name[n - 2] == '.';
        if (place && fabs(p->value - before->at[i].value) > 0.2)
            return "an atom that left its site";
        for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
            if (limits[k].chosen <= chosen && bragg_run_ends_with(p->name, limits[k].end) && !(p->value >= limits[k].low && p->value <= limits[k].high))
                return limits[k].what;
    }
    return NULL;
}

/* --------------------------------------------------------------- stages */

bool bragg_run_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* A line of the phase stands elsewhere with it. */
static bool is_place(const char *name) { return strstr(name, ".cell.") || bragg_run_ends_with(name, ".offset"); }

/* The order an expert frees parameters in: what a stage needs must be nearly
 * right before it (R. A. Young (ed.), The Rietveld Method, OUP 1993, ch. 1). */
int bragg_run_stage(const char *name)
{
    if (strstr(name, "background.") || bragg_run_ends_with(name, ".scale"))
        return 0;
    if (is_place(name) || strstr(name, ".dij.") || bragg_run_ends_with(name, "instrument.zero") || bragg_run_ends_with(name, "instrument.displacement"))
        return 1;
    if (bragg_run_ends_with(name, "instrument.w") || bragg_run_ends_with(name, "instrument.x") || bragg_run_ends_with(name, "instrument.y") ||
        bragg_run_ends_with(name, ".size") || bragg_run_ends_with(name, ".strain") || bragg_run_ends_with(name, ".axial") || strstr(name, ".stephens.") || bragg_run_ends_with(name, ".lorentz"))
        return 2;
    if (strstr(name, "instrument."))
        return 3;
    if (bragg_run_ends_with(name, ".uiso") || strstr(name, ".march") || strstr(name, ".harmonics.") || bragg_run_ends_with(name, ".extinction"))
        return 4;
    return 5;
}

const char *const bragg_run_stage_names[N_STAGES] = {
    "scale and background", "cell and zero", "widths", "instrument profile", "displacements and texture", "all"
};

double bragg_run_weighted_sum(const bragg_model *m)
{
    double sum = 0;
    for (size_t k = 0; k < m->n_histograms; k++)
        for (size_t i = 0; i < m->histogram[k].n; i++)
            sum += pow(m->histogram[k].y[i] * m->histogram[k].weight[i], 2);
    return sum;
}

/* A stage that is not the last need not end in its minimum, only near it. */
static bragg_status solve(run *r, int max_cycles, bool last, bragg_error *err)
{
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    o.max_cycles = max_cycles;
    o.tolerance_esd = last ? 0.01 : 0.5;
    o.tolerance_fall = last || r->searching ? 0 : 0.001; /* a search lives on the weakest hints */
    o.observer = r->opt->observer;
    bragg_lsq_free(r->lsq);
    bragg_status st = bragg_lsq_new(&r->model->problem, &r->model->params, &o, &r->lsq, err);
    if (st == BRAGG_OK)
        st = bragg_lsq_solve(r->lsq, err);
    if (r->lsq)
        *(r->coarse ? &r->coarse_cycles : &r->cycles) += bragg_lsq_cycles(r->lsq);
    return st;
}

/* Three successive states of the refined parameters, for the extrapolation below. */
typedef struct trail {
    size_t n, *row;
    double *state[3];
} trail;

static void note_state(const bragg_params *t, trail *to, int turn)
{
    to->n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->at[i].refine && t->at[i].tie_to < 0) {
            to->row[to->n] = i;
            to->state[turn][to->n++] = t->at[i].value;
        }
}

/* Turns crawl where intensities and profile pull each other.  Two steps tell the
 * pace of that: R. Varadhan & C. Roland, Scand. J. Stat. 35 (2008) 335, scheme S3,
 * parameters measured by their esds. */
static void extrapolate(bragg_params *t, const trail *s)
{
    double r2 = 0, v2 = 0;
    for (size_t i = 0; i < s->n; i++) {
        double esd = t->at[s->row[i]].esd, w = esd > 0 && isfinite(esd) ? 1 / (esd * esd) : 0;
        double r = s->state[1][i] - s->state[0][i], v = s->state[2][i] - s->state[1][i] - r;
        r2 += w * r * r;
        v2 += w * v * v;
    }
    double a = v2 > 0 ? fmin(fmax(sqrt(r2 / v2), 1), 30) : 1;
    for (size_t i = 0; i < s->n; i++) {
        double r = s->state[1][i] - s->state[0][i], v = s->state[2][i] - s->state[1][i] - r;
        bragg_param *p = &t->at[s->row[i]];
        p->value = fmin(fmax(s->state[0][i] + 2 * a * r + a * a * v, p->lower), p->upper);
    }
    bragg_params_apply_ties(t);
}

static bragg_status one_turn(run *r, bool last, double *chi2, bragg_error *err)
{
    bragg_error ignored = BRAGG_ERROR_INIT;
    double change;
    bragg_status st = bragg_refine_prepare(r->model, &r->model->params, NULL, err);
    if (st >= 0)
        st = bragg_refine_extract(r->model, last ? 60 : 20, last, &change, err);
    if (st < 0)
        return st;
    st = solve(r, 3, last, &ignored);
    if (st < 0 && st != BRAGG_ENOCONV)
        return bragg_fail(err, st, "%s", ignored.text);
    *chi2 = bragg_lsq_chi2(r->lsq);
    return st == BRAGG_STOPPED ? st : BRAGG_OK;
}

/* Extraction by turns with least squares, few cycles each, until a run of three
 * turns brings chi^2 down no more. */
static bragg_status run_turns(run *r, bool last, trail *t, bragg_error *err)
{
    double before = INFINITY, chi2;
    int runs = last ? r->opt->max_cycles : 2;
    for (int k = 0; k < runs; k++) {
        for (int turn = 0; turn < 3; turn++) {
            bragg_status st = one_turn(r, last, &chi2, err);
            if (st != BRAGG_OK)
                return st;
            note_state(&r->model->params, t, turn);
        }
        if (fabs(before - chi2) < (last ? 1e-4 : 1e-2) * chi2)
            return BRAGG_CONVERGED;
        before = chi2;
        if (last && k + 1 < runs)
            extrapolate(&r->model->params, t);
    }
    return last ? bragg_fail(err, BRAGG_ENOCONV, "refinement: Rwp still changes after %d turns of extraction and least squares", 3 * runs)
                : BRAGG_ENOCONV;
}

static bragg_status fit_extracting(run *r, bool last, bragg_error *err)
{
    size_t n = r->model->params.n + 1;
    trail t = { 0, calloc(n, sizeof *t.row), { NULL } };
    double *room = calloc(3 * n, sizeof *room);
    bragg_status st = t.row && room ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu parameters", n);
    for (size_t k = 0; k < 3 && room; k++)
        t.state[k] = room + k * n;
    if (st == BRAGG_OK)
        st = run_turns(r, last, &t, err);
    free(t.row);
    free(room);
    return st;
}

bragg_status bragg_run_once(run *r, bool last, bragg_error *err)
{
    bool pawley = last && bragg_refine_has_pawley(r->model);
    bragg_status st = BRAGG_OK;
    if (bragg_refine_extracts(r->model))
        st = fit_extracting(r, last && !pawley, err);
    else if (!pawley)
        st = solve(r, last ? r->opt->max_cycles : 12, last, err);
    if (!pawley || (st < 0 && st != BRAGG_ENOCONV))
        return st;
    st = bragg_refine_pawley_begin(r->model, err);
    return st < 0 ? st : solve(r, r->opt->max_cycles, true, err);
}

size_t bragg_run_free(run *r, const bool *wanted, int stage)
{
    bragg_params *t = &r->model->params;
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->at[i].refine = wanted[i] && bragg_run_stage(t->at[i].name) <= stage;
    return n;
}

/* The distance that offsets are seen from. */
static double radius_mm(const bragg_model *m)
{
    for (size_t k = 0; k < m->n_histograms; k++)
        if (m->histogram[k].radius_m > 0)
            return 1000 * m->histogram[k].radius_m;
    return INFINITY;
}

/* While they are searched, cells stay within 2.5 per cent of their start, or a weak
 * phase wanders to wherever its lines do least harm; offsets within as much of the distance.  Undone with narrow = false;
 * false when one stands on such a bound, that is, was not found. */
static bool narrow_cells(const bragg_model *m, bragg_params *t, const bool *wanted, const bragg_params *before, bool narrow)
{
    bool inside = true;
    double radius = radius_mm(m);
    for (size_t i = 0; i < t->n; i++) {
        bragg_param *p = &t->at[i];
        double reach = 0.025 * (strstr(p->name, ".cell.") ? p->value : radius);
        if (!wanted[i] || !is_place(p->name))
            continue;
        inside = inside && p->value > p->lower && p->value < p->upper;
        p->lower = narrow ? fmax(before->at[i].lower, p->value - reach) : before->at[i].lower;
        p->upper = narrow ? fmin(before->at[i].upper, p->value + reach) : before->at[i].upper;
    }
    return inside;
}

/* Misfit of the values in the table on the pattern's own points. */
double bragg_run_chi2(bragg_model *m)
{
    double r[BRAGG_LSQ_BLOCK], sum = 0;
    if (bragg_refine_prepare(m, &m->params, NULL, NULL) < 0)
        return INFINITY;
    for (size_t first = 0; first < m->problem.n; first += BRAGG_LSQ_BLOCK) {
        memset(r, 0, sizeof r);
        size_t last = first + BRAGG_LSQ_BLOCK < m->problem.n ? first + BRAGG_LSQ_BLOCK : m->problem.n;
        if (m->problem.residuals(m, first, last, r, NULL, NULL) < 0)
            return INFINITY;
        for (size_t i = 0; i < BRAGG_LSQ_BLOCK; i++)
            sum += r[i] * r[i];
    }
    return isfinite(sum) ? sum : INFINITY;
}

/* A stage before the last, on points no closer than its peaks need: what is found
 * there is where the last begins. */
bragg_status bragg_run_coarse(run *r, double bins_a_width, bragg_error *err)
{
    fine_points *fine = NULL;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_status st = bragg_refine_prepare(r->model, &r->model->params, NULL, &cause);
    if (st >= 0)
        st = bragg_refine_coarsen(r->model, bins_a_width, &fine, &cause);
    r->coarse = true;
    if (st >= 0)
        st = bragg_run_once(r, false, &cause);
    r->coarse = false;
    if (fine)
        bragg_refine_restore_points(r->model, fine);
    r->chi2 = st < 0 && st != BRAGG_ENOCONV ? INFINITY : bragg_run_chi2(r->model);
    return st < 0 ? bragg_fail(err, st, "%s", cause.text) : st;
}

static bool is_shift(const char *name) { return bragg_run_ends_with(name, "instrument.zero") || bragg_run_ends_with(name, "instrument.displacement"); }

/* One step of the search: peaks broadened as an error of the cells by `spread`
 * displaces them, on points no closer than such peaks need. */
static bragg_status search_broadened(run *r, const bool *wanted, const bragg_params *before, double spread, bool shifts, bragg_error *err)
{
    bragg_params *t = &r->model->params;
    for (size_t i = 0; i < t->n; i++) {
        t->at[i].refine = wanted[i] && (bragg_run_stage(t->at[i].name) == 0 || is_place(t->at[i].name) || (shifts && is_shift(t->at[i].name)));
        if (bragg_run_ends_with(t->at[i].name, "instrument.u"))
            t->at[i].value = before->at[i].value + pow(2 * spread / BRAGG_DEG, 2);
        if (t->at[i].refine && bragg_run_ends_with(t->at[i].name, ".scale") && !(t->at[i].value > 0)) /* nothing there, nothing to follow */
            t->at[i].value = before->at[i].value > 0 ? before->at[i].value : 1;
    }
    bragg_status st = bragg_run_coarse(r, 3, err);
    return st == BRAGG_ENOCONV || st == BRAGG_EDATA || st == BRAGG_CONVERGED ? BRAGG_OK : st;
}

/* Fit of scales, background, cells and shifts; what stalls is left as it is. */
static bragg_status fit_cells(run *r, const bool *wanted, double *chi2, bragg_error *err)
{
    bragg_run_free(r, wanted, 1);
    bragg_status st = bragg_run_coarse(r, 3, err);
    *chi2 = r->chi2;
    return st;
}

void bragg_run_take_values(bragg_params *to, const bragg_params *from)
{
    for (size_t i = 0; i < to->n; i++)
        to->at[i].value = from->at[i].value;
}

/* Misfit against what stands above the background, at the last calculation. */
static double net_misfit(const bragg_model *m, double chi2)
{
    double sum = 0;
    for (size_t k = 0; k < m->n_histograms; k++) {
        const histogram *h = &m->histogram[k];
        for (size_t i = 0; i < h->n; i++)
            sum += pow((h->y[i] - bragg_refine_background(m, h, i)) * h->weight[i], 2);
    }
    return sqrt(chi2 / sum);
}

/* Where the straight way has found the lines, widths are all that is still wrong: with
 * them the pattern fits, and there is nothing to search for.  Else the values stay. */
static const double lines_found = 0.2;

static bragg_status look_with_widths(run *r, const bool *wanted, const bragg_params *before, const bragg_params *straight, bool *found, bragg_error *err)
{
    bragg_params *t = &r->model->params;
    bragg_error ignored = BRAGG_ERROR_INIT;
    size_t row;
    *found = false;
    if (bragg_refine_extracts(r->model)) /* intensities of their own fit wrong lines, too */
        return BRAGG_OK;
    bragg_run_free(r, wanted, 2);
    bragg_status st = bragg_run_coarse(r, 3, &ignored);
    if (st == BRAGG_ENOMEM || st == BRAGG_STOPPED)
        return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : st;
    *found = st >= 0 && !bragg_run_beyond(t, before, false, &row) && net_misfit(r->model, r->chi2) < lines_found;
    if (!*found)
        bragg_run_take_values(t, straight);
    return BRAGG_OK;
}

static bragg_status search_cells(run *r, const bool *wanted, const bragg_params *before, bragg_params *straight, bragg_error *err)
{
    static const double spread[] = { 0.02, 0.012, 0.008, 0.0055, 0.0037, 0.0025, 0.0015, 0.0006 };
    bragg_params *t = &r->model->params;
    double plain, found = INFINITY;
    bool at_once = false;
    narrow_cells(r->model, t, wanted, before, true);
    bragg_status st = fit_cells(r, wanted, &plain, err);
    if (st < 0 && st != BRAGG_ENOCONV)
        return st;
    st = bragg_params_copy(straight, t, err);
    if (st == BRAGG_OK)
        st = look_with_widths(r, wanted, before, straight, &at_once, err);
    if (st != BRAGG_OK || (at_once && narrow_cells(r->model, t, wanted, before, false)))
        return st;
    bragg_run_take_values(t, before);
    r->searching = true;
    for (size_t k = 0; k < sizeof spread / sizeof *spread && st == BRAGG_OK; k++)
        st = search_broadened(r, wanted, before, spread[k], false, err);
    for (size_t i = 0; i < t->n && st == BRAGG_OK; i++)
        if (bragg_run_ends_with(t->at[i].name, "instrument.u"))
            t->at[i].value = before->at[i].value;
    bragg_error ignored = BRAGG_ERROR_INIT;
    if (st == BRAGG_OK && fit_cells(r, wanted, &found, &ignored) == BRAGG_ENOMEM)
        return bragg_fail(err, BRAGG_ENOMEM, "%s", ignored.text);
    if (st < 0)
        return st;
    bool inside = narrow_cells(r->model, t, wanted, before, false);
    double noise = fmax(found, plain) / (double)r->model->n_observations;
    if (!(inside && found < plain - 10 * noise))
        bragg_run_take_values(t, straight);
    else if (r->report)
        fprintf(r->report, "cells: found by broadened peaks, Rwp %.3f %% instead of %.3f %%\n",
                100 * sqrt(found / bragg_run_weighted_sum(r->model)), 100 * sqrt(plain / bragg_run_weighted_sum(r->model)));
    return BRAGG_OK;
}

/* Without a scale that stands out of its noise a phase has no lines to follow. */
static bool is_lost(const run *r, const bool *wanted, size_t which)
{
    const bragg_params *t = &r->model->params;
    const phase *p = &r->model->phase[which];
    size_t edges[3], n = bragg_refine_free_edges(r->model, which, edges);
    bool any = false, lost = true;
    for (size_t k = 0; k < n; k++)
        any = any || wanted[edges[k]];
    for (size_t h = 0; h < r->model->n_histograms; h++) {
        const bragg_param *scale = &t->at[p->mix[h].scale_row];
        lost = lost && wanted[p->mix[h].scale_row] && (!(scale->value > 0) || scale->value < 3 * scale->esd);
    }
    return any && lost && !p->extracted;
}

static bool shift_is_free(const bragg_params *t, const bool *wanted)
{
    for (size_t i = 0; i < t->n; i++)
        if (wanted[i] && is_shift(t->at[i].name))
            return true;
    return false;
}

static bragg_status fit_shifts(run *r, const bool *wanted, bragg_error *err)
{
    bragg_params *t = &r->model->params;
    bragg_error ignored = BRAGG_ERROR_INIT;
    for (size_t i = 0; i < t->n; i++)
        t->at[i].refine = wanted[i] && (bragg_run_stage(t->at[i].name) == 0 || is_shift(t->at[i].name));
    bragg_status st = bragg_run_coarse(r, 3, &ignored);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

/* The cell of a lost phase from a grid, then sharpened as above. */
static bragg_status find_lost(run *r, const bool *wanted, size_t which, bragg_error *err)
{
    static const double spread[] = { 0.0025, 0.0015, 0.0009, 0.0005 };
    bragg_params *t = &r->model->params, before = BRAGG_PARAMS_INIT;
    bragg_status st = bragg_params_copy(&before, t, err);
    double without = bragg_run_chi2(r->model), chi2 = INFINITY;
    fine_points *fine = NULL;
    for (size_t i = 0; i < t->n; i++) { /* room for a sample that stands 0.2 mm off, too */
        if (bragg_run_ends_with(t->at[i].name, "instrument.u"))
            t->at[i].value += pow(2 * bragg_refine_scan_spread(r->model, which) / BRAGG_DEG, 2);
        if (bragg_run_ends_with(t->at[i].name, "instrument.w") && shift_is_free(t, wanted))
            t->at[i].value += 0.01;
    }
    if (st == BRAGG_OK)
        st = bragg_refine_prepare(r->model, t, NULL, err);
    if (st >= 0)
        st = bragg_refine_coarsen(r->model, 3, &fine, err);
    if (st >= 0)
        st = bragg_refine_scan_cell(r->model, which, err);
    if (fine)
        bragg_refine_restore_points(r->model, fine);
    if (st >= 0 && shift_is_free(t, wanted)) /* first shifts alone, then with the cells */
        st = fit_shifts(r, wanted, err);
    for (size_t i = 0; i < t->n && before.n; i++)
        if (bragg_run_ends_with(t->at[i].name, "instrument.w"))
            t->at[i].value = before.at[i].value;
    for (size_t k = 0; k < sizeof spread / sizeof *spread && st >= 0; k++)
        if (spread[k] < 2 * bragg_refine_scan_spread(r->model, which))
            st = search_broadened(r, wanted, &before, spread[k], true, err);
    for (size_t i = 0; i < t->n && before.n; i++)
        if (bragg_run_ends_with(t->at[i].name, "instrument.u"))
            t->at[i].value = before.at[i].value;
    bragg_error ignored = BRAGG_ERROR_INIT;
    if (st >= 0 && fit_cells(r, wanted, &chi2, &ignored) == BRAGG_ENOMEM)
        st = bragg_fail(err, BRAGG_ENOMEM, "%s", ignored.text);
    if (before.n && !(chi2 < without - 10 * without / (double)r->model->n_observations))
        bragg_run_take_values(t, &before);
    else if (r->report && st >= 0)
        fprintf(r->report, "cells: %s found by trying all in reach, Rwp %.3f %% instead of %.3f %%\n", r->model->phase[which].name,
                100 * sqrt(chi2 / bragg_run_weighted_sum(r->model)), 100 * sqrt(without / bragg_run_weighted_sum(r->model)));
    bragg_params_free(&before);
    return st < 0 ? st : BRAGG_OK;
}

/* Cells that are wrong by more than a peak's width leave least squares no slope
 * to follow.  Peaks broadened as an error e of the cell displaces them, 2 e tan
 * theta, reach their lines again; sharpening them step by step leads home
 * (graduated optimization).  Kept only where it ends below the straight way. */
bragg_status bragg_run_capture(run *r, const bool *wanted, bragg_error *err)
{
    bragg_params *t = &r->model->params, straight = BRAGG_PARAMS_INIT, before = BRAGG_PARAMS_INIT;
    bool cells = false;
    for (size_t i = 0; i < t->n; i++)
        cells = cells || (wanted[i] && is_place(t->at[i].name));
    if (!cells)
        return BRAGG_OK;
    bragg_status st = bragg_params_copy(&before, t, err);
    if (st == BRAGG_OK) {
        st = search_cells(r, wanted, &before, &straight, err);
        for (size_t k = 0; k < r->model->n_phases && st >= 0; k++)
            if (is_lost(r, wanted, k)) {
                r->searching = true;
                st = find_lost(r, wanted, k, err);
            }
        r->searching = false;
        narrow_cells(r->model, t, wanted, &before, false);
    }
    bragg_params_free(&before);
    bragg_params_free(&straight);
    return st;
}

/* A window's lines are few and weak: where its plane is wrong by more than their width they
 * are nowhere, and what was extracted is noise.  All planes in reach are tried at what the fit
 * has left; one that promises more than noise does is fitted from. */
bragg_status bragg_run_place_windows(run *r, const bool *wanted, bool *again, bragg_error *err)
{
    bragg_params *t = &r->model->params, before = BRAGG_PARAMS_INIT;
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = bragg_params_copy(&before, t, err);
    double chi2 = bragg_run_chi2(r->model), gained;
    *again = false;
    for (size_t k = 0; k < r->model->n_phases && st == BRAGG_OK; k++) {
        const phase *p = &r->model->phase[k];
        if (!p->extracted || p->off || !wanted[p->offset_row])
            continue;
        st = bragg_refine_scan_offset(r->model, k, radius_mm(r->model), &gained, err);
        if (gained > 20 * fmax(chi2 / (double)r->model->n_observations, 1))
            *again = true;
        else
            t->at[p->offset_row].value = before.at[p->offset_row].value;
    }
    bragg_run_free(r, wanted, N_STAGES - 1);
    if (st == BRAGG_OK && *again && bragg_run_coarse(r, 3, &ignored) == BRAGG_ENOMEM)
        st = bragg_fail(err, BRAGG_ENOMEM, "%s", ignored.text);
    if (*again && !(r->chi2 < chi2))
        bragg_run_take_values(t, &before);
    bragg_params_free(&before);
    return st;
}

/* A size of 0.1 mm broadens nothing, a strain of zero little, where nothing is rough
 * roughness_p does nothing, and the mean path through a capillary is the same at all
 * angles: no slope to start from.  Those to be refined start at what most samples have. */
void bragg_run_start_samples(bragg_params *t, const bool *wanted)
{
    for (size_t i = 0; i < t->n; i++) {
        if (wanted[i] && (bragg_run_ends_with(t->at[i].name, ".size") || bragg_run_ends_with(t->at[i].name, ".size.axial")) && t->at[i].value >= 1e5)
            t->at[i].value = 200;
        if (wanted[i] && (bragg_run_ends_with(t->at[i].name, ".strain") || bragg_run_ends_with(t->at[i].name, ".strain.axial")) && t->at[i].value == 0)
            t->at[i].value = 300;
        if (wanted[i] && bragg_run_ends_with(t->at[i].name, "instrument.sl") && t->at[i].value == 0)
            t->at[i].value = 0.01;
        if (wanted[i] && bragg_run_ends_with(t->at[i].name, "instrument.roughness_q") && t->at[i].value == 0)
            t->at[i].value = 0.1;
        if (wanted[i] && bragg_run_ends_with(t->at[i].name, "instrument.absorption") && t->at[i].value == 0)
            t->at[i].value = 0.3;
    }
}
