/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Phases come and go: in on evidence, out without it, and with as many parameters as their
 * strength allows. */
#include "config.h"
#include "fitting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cells need ten esds of the scale, widths and atoms thirty; fewer to keep them. */
int bragg_admit_level(int level, double z)
{
    if (level < 3 && z > 30)
        return 3;
    if (level < 2 && z > 10)
        return 2;
    if (level == 3 && z < 20)
        return z < 7 ? 1 : 2;
    return level == 2 && z < 7 ? 1 : level;
}

bool bragg_admit_any_extracted(const seq_worker *w)
{
    for (size_t i = 0; i < w->shape.n_phases; i++)
        if (w->x->phase[i].extract)
            return true;
    return false;
}

/* Fit with the phase in; kept when delta BIC (G. Schwarz, Ann. Stat. 6 (1978) 461; misfit
 * and serial correlation taken off) says so by more than `enter`. */
static bragg_status try_phase(seq_worker *w, size_t phase, const score *s, bragg_fit **f, bool *taken, bragg_error *err)
{
    double before = w->misfit, widening = w->widening;
    bragg_fit *with = NULL;
    bragg_evidence_dress(w, phase, s);
    bragg_memory_believe(w, phase);
    bragg_worker_set_value(w, w->scale_of[phase], fmax(s->scale, 0));
    w->level[phase] = bragg_admit_level(1, s->z / widening);
    if (s->broad && w->level[phase] == 2) /* its widths are a guess */
        w->level[phase] = 3;
    bragg_worker_apply_levels(w);
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_status st = bragg_worker_refine(w, false, &with, &ignored);
    *taken = false;
    if (st == BRAGG_OK) /* with the sigmas of before */
        st = bragg_model_calculate(w->m, 0, NULL, NULL, NULL, column(w, CALCULATED), NULL, &ignored);
    double gain = st == BRAGG_OK ? (before - bragg_evidence_residuals(w)) / (widening * widening) - bragg_worker_columns(w, phase, w->level[phase]) * log_points(w) : 0;
    *taken = gain > w->plan.enter;
    if (!*taken) {
        bragg_fit_free(with);
        bragg_worker_restore(w);
        return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
    }
    bragg_fit_free(*f);
    *f = with;
    return BRAGG_OK;
}

/* Phases that are not there: the strongest candidate comes in, until none is worth
 * its parameters.  Of those that stay out the scale they would have is told. */
bragg_status bragg_admit_in(seq_worker *w, int steps, bragg_fit **f, absent *out, bragg_error *err)
{
    memset(w->tried, 0, w->shape.n_phases * sizeof *w->tried);
    bragg_status st = BRAGG_OK;
    for (size_t turn = 0; turn < 2 * w->shape.n_phases && st == BRAGG_OK; turn++) {
        size_t best = SIZE_MAX;
        score top = { .sigma = NAN }, s;
        bool any = false, taken;
        for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
            if (w->level[i] || !may_go(w, i))
                continue;
            if (!any) {
                bragg_worker_save(w);
                st = bragg_evidence_calculate(w, err);
                bragg_evidence_basis(w, SIZE_MAX);
                any = true;
            }
            if (st == BRAGG_OK)
                st = bragg_evidence_score(w, i, steps, &s, err);
            out[i] = (absent){ s.scale, s.sigma * w->widening };
            if (!w->tried[i] && s.z > top.z)
                top = s, best = i;
        }
        if (st < 0 || best == SIZE_MAX || !(pow(top.z / w->widening, 2) > w->plan.enter + log_points(w)))
            return st;
        st = try_phase(w, best, &top, f, &taken, err);
        w->tried[best] = true;
    }
    return st;
}

/* What a phase that is not there was fitted to is no place to look for it again: what is known
 * of it from when it was seen is, and where nothing is known, the start.  Nor is it one to
 * weigh it by its scale alone, as if it had been found there without looking. */
static void send_home(seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        if (w->phase_of[k] != phase || w->kind[k] == KIND_SCALE || w->kind[k] <= w->level[phase])
            continue;
        bragg_worker_set_value(w, k, w->doubt[k] > 0 ? w->known[k] : w->kind[k] == KIND_CELL || w->level[phase] ? w->home[k] : w->initial[k]);
        if (w->level[phase])
            bragg_evidence_give_width(w, k, 0);
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
}

/* Widths that earlier frames have told, or none to tell. */
static bool is_width_known(const seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && bragg_memory_is_width(w, k) && !(w->doubt[k] > 0))
            return false;
    return true;
}

/* The row before, from which the level comes, may be that of a frame far off: then the widths of a
 * strong phase are not held at a guess.  Those of one that has become weak are not asked of it where
 * they are known. */
static bool change_levels(seq_worker *w)
{
    bool changed = false;
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        int level = w->level[i] && may_go(w, i) ? bragg_admit_level(w->level[i], w->strength[i]) : w->level[i];
        bool weaker = level < w->level[i];
        if (level == w->level[i] || (weaker ? w->level[i] < 3 || !is_width_known(w, i) : w->apart < 2))
            continue;
        w->level[i] = weaker ? 2 : level;
        if (weaker)
            send_home(w, i);
        changed = true;
    }
    return changed;
}

/* Phases that are there and no longer worth it; then, once, those that are there with more
 * parameters or fewer. */
bragg_status bragg_admit_out(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    bool settled = false;
    for (size_t turn = 0; turn <= w->shape.n_phases; turn++) {
        size_t worst = SIZE_MAX;
        double least = w->plan.leave;
        bragg_status st = bragg_evidence_calculate(w, err);
        if (st < 0)
            return st;
        for (size_t i = 0; i < w->shape.n_phases; i++) {
            if (!w->level[i] || !may_go(w, i))
                continue;
            double gain = w->strength[i] * w->strength[i] - bragg_worker_columns(w, i, w->level[i]) * log_points(w);
            if (gain < least)
                least = gain, worst = i;
        }
        if (worst == SIZE_MAX && (settled || !change_levels(w)))
            return BRAGG_OK;
        if (worst == SIZE_MAX) {
            settled = true;
        } else {
            w->level[worst] = w->level[worst] > 1 ? 1 : 0; /* too many parameters for what is left? */
            send_home(w, worst);
        }
        bragg_worker_apply_levels(w);
        if ((st = bragg_worker_refine(w, false, f, err)) < 0)
            return st;
    }
    return BRAGG_OK;
}

/* As much of each phase as its strength allows, at once instead of frame by frame. */
static bragg_status settle_levels(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    bragg_status st = bragg_evidence_calculate(w, err);
    for (int turn = 0; turn < 3 && st == BRAGG_OK; turn++) {
        bool changed = false;
        for (size_t i = 0; i < w->shape.n_phases; i++) {
            int level = w->level[i] && has_scale(w, i) ? bragg_admit_level(w->level[i], w->strength[i]) : w->level[i];
            bool astray = level == 1 && w->level[i] > 1 && bragg_admit_any_extracted(w); /* all began together */
            changed |= level != w->level[i];
            w->level[i] = level;
            if (astray)
                send_home(w, i);
        }
        if (!changed)
            break;
        bragg_worker_apply_levels(w);
        st = bragg_worker_refine(w, false, f, err);
        if (st == BRAGG_OK)
            st = bragg_evidence_calculate(w, err);
    }
    return st;
}

/* Two axes almost alike may have been taken for each other: the exchanged cell is
 * tried.  The order of the experiment's start has the benefit of the doubt. */
static bragg_status try_exchange(seq_worker *w, size_t phase, bragg_fit **f, bragg_error *err)
{
    static const char *const names[3] = { ".cell.a", ".cell.b", ".cell.c" };
    size_t row[3] = { SIZE_MAX, SIZE_MAX, SIZE_MAX };
    for (size_t k = 0; k < w->shape.n_params; k++)
        for (int j = 0; j < 3; j++)
            if (w->phase_of[k] == phase && w->kind[k] == KIND_CELL && !strcmp(strrchr(w->shape.name[k], '.') - 5, names[j]))
                row[j] = k;
    for (int j = 0; j < 3; j++) {
        size_t a = row[j], b = row[(j + 1) % 3];
        if (a == SIZE_MAX || b == SIZE_MAX || fabs(param(w, a)->value / param(w, b)->value - 1) > 0.01)
            continue;
        bragg_fit *other = NULL;
        bool as_begun = (param(w, a)->value < param(w, b)->value) == (w->initial[a] < w->initial[b]);
        double before = chi2_of(*f), keep = param(w, a)->value, doubt = 10 * w->widening * w->widening * fmax((*f)->gof * (*f)->gof, 1);
        bragg_worker_save(w);
        bragg_worker_set_value(w, a, param(w, b)->value);
        bragg_worker_set_value(w, b, keep);
        bragg_error ignored = BRAGG_ERROR_INIT;
        bragg_status st = bragg_worker_refine(w, false, &other, &ignored);
        if (st == BRAGG_ENOMEM)
            return bragg_fail(err, st, "%s", ignored.text);
        if (st == BRAGG_OK && chi2_of(other) < before + (as_begun ? -doubt : doubt)) {
            bragg_fit_free(*f);
            *f = other;
        } else {
            bragg_fit_free(other);
            bragg_worker_restore(w);
        }
    }
    return BRAGG_OK;
}

/* The strongest phase that is not there yet comes in and is fitted in stages. */
static bragg_status greedy_step(seq_worker *w, bragg_fit **f, absent *out, bool *came, bragg_error *err)
{
    size_t best = SIZE_MAX;
    score top = { .sigma = NAN }, s;
    bragg_worker_save(w);
    bragg_status st = bragg_evidence_calculate(w, err);
    if (st == BRAGG_OK)
        bragg_evidence_basis(w, SIZE_MAX);
    *came = false;
    for (size_t i = 0; i < w->shape.n_phases && st == BRAGG_OK; i++) {
        if (w->level[i] || !has_scale(w, i))
            continue;
        st = bragg_evidence_score(w, i, 17, &s, err);
        out[i] = (absent){ s.scale, s.sigma * w->widening };
        if (s.z > top.z)
            top = s, best = i;
    }
    bool nothing = true;
    for (size_t i = 0; i < w->shape.n_phases; i++)
        nothing &= !w->level[i];
    double by = nothing ? 1 : w->widening; /* all that stands there is misfit yet */
    if (st < 0 || best == SIZE_MAX || !(pow(top.z / by, 2) > w->plan.enter + log_points(w)))
        return st;
    if (!nothing)
        return try_phase(w, best, &top, f, came, err);
    bragg_evidence_dress(w, best, &top);
    bragg_worker_set_value(w, w->scale_of[best], top.scale);
    w->level[best] = 3;
    bragg_worker_apply_levels(w);
    *came = true;
    st = bragg_worker_refine(w, true, f, err);
    return st == BRAGG_OK ? try_exchange(w, best, f, err) : st;
}

/* Intensities that are extracted would take what belongs to phases that are not in yet:
 * then all begin together, and let_out sends home what is not there. */
static bragg_status cold_together(seq_worker *w, bragg_fit **f, bragg_error *err)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        param(w, k)->value = w->initial[k];
    for (size_t i = 0; i < w->shape.n_phases; i++)
        w->level[i] = 3;
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_worker_apply_levels(w);
    bragg_status st = bragg_worker_refine(w, true, f, err);
    return st == BRAGG_OK ? settle_levels(w, f, err) : st;
}

/* Without neighbour: phases one by one, the strongest first. */
bragg_status bragg_admit_cold(seq_worker *w, bragg_fit **f, absent *out, bragg_error *err)
{
    bool certain = false, came = true;
    bragg_memory_forget_windows(w); /* of the others only what turns out weak is expected */
    memcpy(w->home, w->initial, w->shape.n_params * sizeof *w->home);
    if (bragg_admit_any_extracted(w))
        return cold_together(w, f, err);
    for (size_t k = 0; k < w->shape.n_params; k++)
        param(w, k)->value = w->initial[k];
    for (size_t i = 0; i < w->shape.n_phases; i++) {
        w->level[i] = has_scale(w, i) ? 0 : 3;
        certain |= w->level[i] > 0;
    }
    bragg_params_apply_ties(bragg_model_params(w->m));
    bragg_worker_apply_levels(w);
    for (size_t k = 0; !certain && k < w->shape.n_params; k++) /* nothing to have a profile */
        param(w, k)->refine = w->phase_of[k] == SIZE_MAX && strstr(w->shape.name[k], "background.");
    bragg_status st = bragg_worker_refine(w, certain, f, err);
    for (size_t turn = 0; turn < w->shape.n_phases && came && st == BRAGG_OK; turn++) {
        st = greedy_step(w, f, out, &came, err);
        if (st == BRAGG_OK && came)
            st = settle_levels(w, f, err);
    }
    bool forced = false;
    for (size_t i = 0; i < w->shape.n_phases && !w->plan.appear; i++)
        if (!w->level[i])
            w->level[i] = 1, forced = true;
    if (st == BRAGG_OK && forced) {
        bragg_worker_apply_levels(w);
        st = bragg_worker_refine(w, false, f, err);
    }
    return st;
}
