/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One frame of a run: from its neighbour's state to its own row. */
#include "config.h"
#include "fitting.h"

#include <bragg/bytes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_at_bound(const bragg_param *p)
{
    double room = 1e-9 * fmax(fabs(p->value), 1e-12);
    return p->refine && p->lower < p->upper && (p->value <= p->lower + room || p->value >= p->upper - room);
}

/* A cell that has run to its bound has lost its lines, and nothing draws it back: all begins
 * again with that cell held where it was, and then set free. */
static bragg_status call_back(seq_worker *w, const double *from, const double *hint, bragg_fit **f, bragg_error *err)
{
    size_t lost = 0;
    for (size_t k = 0; k < w->shape.n_params; k++) {
        bool is_lost = w->kind[k] == KIND_CELL && is_at_bound(param(w, k));
        w->saved[k] = is_lost; /* set_state sets all free */
        lost += is_lost;
    }
    if (!lost)
        return BRAGG_OK;
    bragg_worker_set_state(w, from, hint);
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->saved[k] > 0)
            param(w, k)->refine = false;
    bragg_status st = bragg_worker_refine(w, false, f, err);
    bragg_worker_apply_levels(w);
    return st == BRAGG_OK ? bragg_worker_refine(w, false, f, err) : st;
}

static bragg_status warm(seq_worker *w, const double *from, const double *hint, bragg_fit **f, bragg_error *err)
{
    bragg_worker_set_state(w, from, hint);
    memcpy(w->home, from + seq_value(&w->shape, 0), w->shape.n_params * sizeof *w->home);
    bragg_status st = bragg_worker_refine(w, false, f, err);
    return st == BRAGG_OK ? call_back(w, from, hint, f, err) : st;
}

double bragg_seq_total(const bragg_experiment *x, const bragg_pattern *p)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < p->n; i++) {
        double at = bragg_axis_convert(p->x[i], p->axis, BRAGG_AXIS_TTH, x->pattern->histogram.radiation.wavelength_ang[0]);
        bool outside = (x->pattern->histogram.first_rad > 0 && at < x->pattern->histogram.first_rad) || (x->pattern->histogram.last_rad > 0 && at > x->pattern->histogram.last_rad);
        if (outside || !isfinite(p->y[i]) || !isfinite(at))
            continue;
        sum += p->y[i];
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

/* Lines as sharp as the instrument's are no fault: a size without end, no strain. */
static bool is_sharp(const seq_worker *w, size_t k)
{
    const bragg_param *p = param(w, k);
    bool high = p->value > p->lower + 0.5 * (p->upper - p->lower);
    return bragg_memory_is_width(w, k) && high == (strstr(p->name, ".size") != NULL);
}

static bool at_bound(const seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (is_at_bound(param(w, k)) && !is_sharp(w, k))
            return true;
    return false;
}

/* By how much misfit and serial correlation widen the esds of counting: spots on the rings
 * and profiles that are not quite right move cells by more than counts do. */
static double widening_of(const bragg_fit *f) { return fmax(f->gof, 1) * fmax(f->serial_factor, 1); }

/* Weak phases, and those with two axes almost alike, have minima beside the true one.  A cell
 * that has leapt from what earlier frames have told is fitted from there as well, and the better
 * of both kept, what was known counted in.  Leapt: by what chance does once in seventy frames. */
static bragg_status try_known(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        double widening = widening_of(*f), by = widening * widening;
        if (w->level[i] < 2 || !may_go(w, i) || !(pow(bragg_memory_leap(w, i, widening), 2) > 6))
            continue;
        double before = chi2_of(*f) / by + bragg_memory_dispute(w, i);
        bragg_fit *other = NULL;
        bragg_error ignored = BRAGG_ERROR_INIT;
        bragg_worker_save(w);
        for (size_t k = 0; k < w->shape.n_params; k++)
            if (w->phase_of[k] == i && w->kind[k] == KIND_CELL && w->doubt[k] > 0)
                bragg_worker_set_value(w, k, w->known[k]);
        bragg_status st = bragg_worker_refine(w, false, &other, &ignored);
        if (st == BRAGG_OK && other->converged && chi2_of(other) / by + bragg_memory_dispute(w, i) < before) {
            bragg_fit_free(*f);
            *f = other;
            continue;
        }
        bragg_fit_free(other);
        bragg_worker_restore(w);
        if (st == BRAGG_ENOMEM)
            return bragg_fail(err, st, "%s", ignored.text);
    }
    return BRAGG_OK;
}

/* What stands below detection: the weight of what was seen before as it would be, of all the
 * doubt.  In the scales' units. */
static void weigh_hidden(const seq_worker *w, const absent *out, double *weight, double *doubt)
{
    double variance = 0;
    *weight = 0;
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        double guess = fmax(out[i].scale, 0) * w->mass[i], sigma = out[i].sigma * w->mass[i];
        if (w->level[i] || !may_go(w, i) || !isfinite(guess) || !(sigma > 0))
            continue;
        *weight += bragg_memory_was_seen(w, i) ? guess : 0;
        variance += sigma * sigma + (bragg_memory_was_seen(w, i) ? 0 : guess * guess);
    }
    *doubt = sqrt(variance);
}

static void fill_phases(const seq_worker *w, const bragg_fit *f, const absent *out, double *row)
{
    const seq_shape *s = &w->shape;
    double sum = 0, hidden, hidden_doubt;
    weigh_hidden(w, out, &hidden, &hidden_doubt);
    for (size_t i = 0; i < s->n_phases; i++)
        sum += w->level[i] && isfinite(w->mass[i]) && w->scale_of[i] < s->n_params ? param(w, w->scale_of[i])->value * w->mass[i] : 0;
    double share = sum > 0 ? sum / (sum + hidden) : 1, share_esd = sum > 0 ? share * hidden_doubt / (sum + hidden) : 0;
    for (size_t i = 0; i < s->n_phases; i++) {
        double guess = out[i].scale * w->mass[i], doubt = out[i].sigma * w->mass[i], more = fmax(guess, 0) + 1.645 * doubt;
        bool there = w->level[i] > 0;
        double all = there ? sum + hidden : sum + hidden + (bragg_memory_was_seen(w, i) ? 0 : fmax(guess, 0));
        bragg_quantity q = there ? f->phase[i].weight_fraction : (bragg_quantity){ 0, NAN };
        row[seq_phase(s, PHASE_FRACTION, i)] = q.value * share;
        row[seq_phase(s, PHASE_FRACTION_ESD, i)] = share_esd > 0 && there ? hypot(isfinite(q.esd) ? q.esd * widening_of(f) * share : 0, q.value * share_esd) : q.esd * widening_of(f);
        row[seq_phase(s, PHASE_VOLUME, i)] = there ? f->phase[i].volume_ang3.value : NAN;
        row[seq_phase(s, PHASE_VOLUME_ESD, i)] = there && f->phase[i].volume_ang3.esd > 0 ? f->phase[i].volume_ang3.esd * widening_of(f) : NAN;
        row[seq_phase(s, PHASE_LIMIT, i)] = there || !(sum + more > 0) ? NAN : more / (sum + more);
        row[seq_phase(s, PHASE_GUESS, i)] = there ? NAN : guess / all;
        row[seq_phase(s, PHASE_GUESS_ESD, i)] = there ? NAN : doubt / all;
        row[seq_phase(s, PHASE_EVIDENCE, i)] = there ? w->strength[i] : 0;
        row[seq_phase(s, PHASE_LEVEL, i)] = there && has_scale(w, i) ? fmax(bragg_admit_level(w->level[i], row[seq_phase(s, PHASE_EVIDENCE, i)]), 1) : w->level[i];
    }
}

/* Of parameters of one phase, for whoever looks at the run as a whole. */
static void fill_correlations(const seq_worker *w, const bragg_fit *f, double *row)
{
    double *out = row + seq_correlation(&w->shape);
    memset(w->variable, 0, bragg_model_params(w->m)->n * sizeof *w->variable);
    for (size_t v = 0; v < f->variables && f->covariance; v++)
        w->variable[f->row[v]] = v + 1;
    for (size_t k = 0; k < w->shape.n_pairs; k++) {
        size_t a = w->variable[w->row[w->pair[k][0]]], b = w->variable[w->row[w->pair[k][1]]];
        const double *c = f->covariance;
        out[k] = a && b ? c[(a - 1) * f->variables + b - 1] / sqrt(c[(a - 1) * (f->variables + 1)] * c[(b - 1) * (f->variables + 1)]) : NAN;
    }
}

/* What lies under the peaks and what stands above it, of the pattern as it was last calculated. */
static bragg_status fill_ground(const seq_worker *w, const bragg_fit *f, double *row, bragg_error *err)
{
    bragg_quantity ground;
    bragg_status st = bragg_model_background_mean(w->m, 0, f, &ground, err);
    double sum = 0;
    for (size_t i = 0; i < w->n; i++)
        sum += column(w, OBSERVED)[i] - column(w, BACKGROUND)[i];
    if (st == BRAGG_OK) {
        row[ROW_BACKGROUND] = ground.value;
        row[ROW_BACKGROUND_ESD] = ground.esd * widening_of(f);
        row[ROW_ABOVE] = sum / (double)w->n;
    }
    return st;
}

static void fill_row(seq_worker *w, const bragg_fit *f, const absent *out, double *row)
{
    const seq_shape *s = &w->shape;
    row[ROW_CONVERGED] = f->converged;
    row[ROW_RWP] = f->rwp;
    row[ROW_GOF] = f->gof;
    row[ROW_SERIAL] = f->serial_factor;
    for (size_t k = 0; k < s->n_params; k++) {
        row[seq_value(s, k)] = param(w, k)->value;
        row[seq_esd(s, k)] = param(w, k)->refine && (!bragg_memory_is_expected(w, k) || bragg_memory_is_loose(w, k)) ? param(w, k)->esd * widening_of(f) : NAN; /* of this frame alone */
    }
    memcpy(w->expected, w->known, 2 * s->n_params * sizeof *w->known);
    bragg_memory_learn(w, widening_of(f));
    memcpy(row + seq_known(s, 0), w->known, 2 * s->n_params * sizeof *row);
    fill_phases(w, f, out, row);
    bragg_evidence_unknown(w, row + seq_unknown(s));
    fill_correlations(w, f, row);
}

/* The score of a phase at nothing takes cells, widths and extracted intensities of the others for
 * certain, which have taken over what they could of it.  Of those that were seen before, whose
 * lines are known, a fit with their scales in tells what they would have. */
static bragg_status weigh_absent(seq_worker *w, absent *out, bragg_error *err)
{
    bragg_fit *with = NULL;
    size_t n = 0;
    bragg_worker_save(w);
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        w->tried[i] = !w->level[i] && may_go(w, i) && bragg_memory_was_seen(w, i);
        for (size_t k = 0; k < w->shape.n_params && w->tried[i]; k++)
            if (w->phase_of[k] == i && w->doubt[k] > 0)
                bragg_worker_set_value(w, k, w->known[k]), w->doubt[k] = NAN; /* held: a width that may move finds a hump of the background */
        if (w->tried[i])
            w->level[i] = 1, bragg_worker_set_value(w, w->scale_of[i], fmax(out[i].scale, 0.1 * out[i].sigma)), n++;
    }
    if (!n)
        return BRAGG_OK;
    bragg_worker_apply_levels(w);
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = bragg_worker_refine(w, false, &with, &ignored);
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
        double value = w->tried[i] ? param(w, w->scale_of[i])->value : NAN, esd = w->tried[i] ? param(w, w->scale_of[i])->esd * widening_of(with) : NAN;
        if (isfinite(value) && esd > 0 && isfinite(esd))
            out[i] = (absent){ value, esd };
    }
    bragg_fit_free(with);
    bragg_worker_restore(w);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

static void blank_row(const seq_shape *s, double *row)
{
    for (size_t k = 0; k < s->columns; k++)
        row[k] = NAN;
    row[ROW_CONVERGED] = row[ROW_RESTARTED] = row[ROW_MENDED] = 0;
    for (size_t i = 0; i < s->n_phases; i++)
        row[seq_phase(s, PHASE_LEVEL, i)] = 0;
    for (int k = 0; k < 2 * BRAGG_FRAME_UNKNOWN_PEAKS; k++)
        row[seq_unknown(s) + (size_t)k] = 0;
}

/* What the fit has become; good: the goodness of fit of the last frame that was. */
static bragg_status finish_row(seq_worker *w, const bragg_fit *f, double good, double *row, bragg_error *err)
{
    bragg_status st = bragg_evidence_calculate(w, err);
    if (st == BRAGG_OK && w->plan.appear)
        st = weigh_absent(w, w->absent, err);
    if (st == BRAGG_OK)
        st = fill_ground(w, f, row, err);
    if (st < 0)
        return st;
    fill_row(w, f, w->absent, row);
    bool poor = !f->converged || f->gof > 2 * good;
    row[ROW_STATUS] = poor ? BRAGG_FRAME_POOR : at_bound(w) ? BRAGG_FRAME_AT_BOUND : BRAGG_FRAME_OK;
    row[ROW_GOOD_GOF] = poor && isfinite(good) ? good : f->gof;
    return BRAGG_OK;
}

/* A fit worse than the last good one by this may have lost its way.  Extracted intensities
 * hide most of what a new phase would leave: there little more than noise is told. */
static double suspicious(const seq_worker *w) { return bragg_admit_any_extracted(w) ? 1.05 : 1.33; }

/* From the neighbour first; from the experiment's own start when that fails or ends
 * with a fit that is suspiciously worse than the last good one's, unless that was in vain for
 * the neighbour already. */
static bragg_status fit(seq_worker *w, const seq_start *start, double *row, bragg_error *err)
{
    const double *from = start->from, *last = start->last, *hint = start->hint;
    bragg_fit *f = NULL;
    bragg_memory_start(w, start);
    for (size_t i = 0; i < 2 * w->shape.n_phases; i++)
        w->absent[i] = (absent){ 0, NAN };
    double good = from ? from[ROW_GOOD_GOF] : NAN;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_status st = from ? warm(w, from, hint, &f, &cause) : BRAGG_ENOCONV;
    if (st == BRAGG_OK && w->plan.appear)
        st = bragg_admit_out(w, &f, &cause);
    if (st == BRAGG_OK && w->plan.appear)
        st = bragg_admit_in(w, hint ? 5 : 17, &f, w->absent, &cause);
    if (st == BRAGG_OK && w->plan.appear)
        st = try_known(w, &f, &cause);
    bool in_vain = last && last[ROW_RESTARTED] > 1 && f && f->gof < suspicious(w) * last[ROW_GOF];
    bool bad = st < 0 || !f->converged || f->gof > suspicious(w) * good;
    if (bad && !in_vain && st != BRAGG_ENOMEM) {
        double before = f ? chi2_of(f) : INFINITY;
        bool had = st == BRAGG_OK && f && (st = bragg_evidence_calculate(w, &cause)) == BRAGG_OK;
        if (had)
            fill_row(w, f, w->absent, row);
        bragg_error second = BRAGG_ERROR_INIT;
        bragg_status again = bragg_admit_cold(w, &f, w->absent2, &second);
        if (again == BRAGG_OK && w->plan.appear)
            again = bragg_admit_out(w, &f, &second);
        if (again == BRAGG_OK && w->plan.appear && bragg_admit_any_extracted(w))
            again = bragg_admit_in(w, 17, &f, w->absent2, &second); /* not asked yet: all began together */
        if (again == BRAGG_ENOMEM) {
            st = bragg_fail(&cause, again, "%s", second.text);
        } else if (again == BRAGG_OK && (!had || chi2_of(f) < 0.98 * before)) {
            row[ROW_RESTARTED] = from ? 1 : 0;
            memcpy(w->absent, w->absent2, w->shape.n_phases * sizeof *w->absent);
            st = BRAGG_OK;
        } else if (had) { /* as it was: the row is whole, the model is put back */
            memcpy(w->known, w->expected, 2 * w->shape.n_params * sizeof *w->known);
            bragg_worker_set_state(w, row, NULL);
            row[ROW_RESTARTED] = 2;
            st = bragg_worker_refine(w, false, &f, &cause);
        } else {
            st = again < 0 ? again : st;
            bragg_fail(&cause, st, "%s", second.text);
        }
    }
    if (st == BRAGG_OK)
        st = finish_row(w, f, good, row, &cause);
    bragg_fit_free(f);
    return st < 0 ? bragg_fail(err, st, "%s", cause.text) : BRAGG_OK;
}

bragg_status bragg_seq_frame(seq_worker *w, const bragg_pattern *p, double exposure_s, const seq_start *start, double usual_total, double *row,
                             char *message, bragg_error *err)
{
    bragg_error own = BRAGG_ERROR_INIT;
    double total = bragg_seq_total(w->x, p);
    blank_row(&w->shape, row);
    *message = 0;
    w->n = 0;
    row[ROW_TIME] = p->time_s;
    row[ROW_EXPOSURE] = exposure_s;
    row[ROW_TEMPERATURE] = p->temperature_k;
    row[ROW_TOTAL] = total;
    if (!(total > 0.02 * usual_total) && isfinite(usual_total)) {
        row[ROW_STATUS] = BRAGG_FRAME_NO_BEAM;
        snprintf(message, 256, "no beam: mean intensity %.3g, usually %.3g", total, usual_total);
        return BRAGG_OK;
    }
    bragg_status st = bragg_model_replace_pattern(w->m, 0, p, &own);
    if (st < 0) {
        row[ROW_STATUS] = BRAGG_FRAME_CORRUPT;
        snprintf(message, 256, "%.*s", bragg_utf8_most(own.text, 250), own.text);
        return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", own.text) : BRAGG_OK;
    }
    st = fit(w, start, row, &own);
    if (st == BRAGG_ENOMEM)
        return bragg_fail(err, st, "%s", own.text);
    if (st < 0) {
        const char *why = *own.text ? own.text : "the fit failed";
        row[ROW_STATUS] = BRAGG_FRAME_POOR;
        row[ROW_RWP] = NAN;
        w->n = 0;
        snprintf(message, 256, "%.*s", bragg_utf8_most(why, 250), why);
    }
    return BRAGG_OK;
}

/* What was refined has an esd; levels are already those of the next frame. */
bragg_status bragg_seq_again(seq_worker *w, const bragg_pattern *p, const double *row, bragg_model **m, bragg_fit **f, bragg_error *err)
{
    bragg_status st = bragg_model_replace_pattern(w->m, 0, p, err);
    *m = w->m;
    if (st < 0)
        return st;
    bragg_memory_forget(w); /* what was expected stays as it came out */
    bragg_worker_set_state(w, row, NULL);
    for (size_t k = 0; k < w->shape.n_params; k++)
        param(w, k)->refine = isfinite(row[seq_esd(&w->shape, k)]);
    return bragg_worker_refine(w, false, f, err);
}
