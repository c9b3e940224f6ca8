/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The refinement: stages, R factors, and what is derived from the parameters. */
#include "config.h"
#include "run.h"

#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------- stages */

/* The last stage begins where averaged points end, a third of the work, if that is better. */
static bragg_status approach(run *r, bragg_error *err)
{
    bragg_params *t = &r->model->params, before = BRAGG_PARAMS_INIT;
    bragg_error ignored = BRAGG_ERROR_INIT;
    if (bragg_refine_extracts(r->model) || bragg_refine_has_pawley(r->model))
        return BRAGG_OK;
    bragg_status st = bragg_params_copy(&before, t, err);
    if (st < 0)
        return st;
    double was = bragg_run_chi2(r->model);
    st = bragg_run_coarse(r, 3, &ignored);
    if (!(r->chi2 < was))
        bragg_run_take_values(t, &before);
    bragg_params_free(&before);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

/* One stage; before the last, one that ends worse than it began is taken back: what it
 * freed is freed again later, from better ground. */
static bragg_status run_stage(run *r, int stage, size_t n, bool last, bragg_error *err)
{
    bragg_params *t = &r->model->params, before = BRAGG_PARAMS_INIT;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_fit_step step = { .variables = n, .kept = true, .delta_bic = NAN };
    double was = r->chi2;
    size_t row;
    bragg_status st = last ? BRAGG_OK : bragg_params_copy(&before, t, err);
    if (st < 0)
        return st;
    snprintf(step.name, sizeof step.name, "%s", bragg_run_stage_names[stage]);
    if (last && r->opt->stages && (st = approach(r, &cause)) < 0)
        return bragg_fail(err, st, "%s", cause.text);
    st = last ? bragg_run_once(r, true, &cause) : bragg_run_coarse(r, 3, &cause);
    if (!r->lsq) {
        bragg_params_free(&before);
        return bragg_fail(err, st, "%s", cause.text);
    }
    r->chi2 = last ? bragg_lsq_chi2(r->lsq) : r->chi2;
    step.cycles = bragg_lsq_cycles(r->lsq);
    step.rwp = sqrt(r->chi2 / bragg_run_weighted_sum(r->model));
    const char *absurd = last ? NULL : bragg_run_beyond(t, &before, false, &row);
    if (absurd)
        snprintf(step.why, sizeof step.why, "%.80s is %.4g, %s", t->at[row].name, t->at[row].value, absurd);
    else if (!last && stage > 0 && r->chi2 > was * 1.01 /* averaged points tell no less */ && !bragg_refine_extracts(r->model))
        snprintf(step.why, sizeof step.why, "the fit is worse, Rwp was %.3f %%", 100 * sqrt(was / bragg_run_weighted_sum(r->model)));
    if (*step.why) {
        step.kept = false;
        bragg_run_take_values(t, &before);
        r->chi2 = was;
    }
    bragg_run_note(r, &step);
    bragg_params_free(&before);
    return st < 0 && (last || st != BRAGG_ENOCONV) ? bragg_fail(err, st, "%s", cause.text) : st;
}

/* Stages that add no parameter are passed over; one that stalls is left to the
 * next, the last must converge. */
static bragg_status run_stages(run *r, bool *wanted, bragg_error *err)
{
    bragg_params *t = &r->model->params;
    size_t done = 0, total = 0;
    for (size_t i = 0; i < t->n; i++)
        total += wanted[i];
    bragg_status st = BRAGG_OK;
    if (bragg_refine_extracts(r->model) && (st = bragg_refine_extract_start(r->model, err)) < 0)
        return st;
    if (r->opt->stages)
        bragg_run_start_samples(t, wanted);
    for (size_t i = 0; i < r->model->n_phases; i++)
        if (r->model->phase[i].quartic.n && wanted[r->model->phase[i].stephens_row] && t->at[r->model->phase[i].stephens_row].value == 0)
            bragg_refine_start_stephens(t, &r->model->phase[i], 300);
    for (size_t i = 0; i < t->n; i++)
        if (r->model->offered[i])
            return bragg_run_choice(r, wanted, err);
    for (int stage = r->opt->stages ? 0 : N_STAGES - 1; stage < N_STAGES; stage++) {
        if (stage == 1 && (st = bragg_run_capture(r, wanted, err)) < 0)
            return st;
        size_t n = bragg_run_free(r, wanted, stage);
        if (n == done && stage < N_STAGES - 1 && n < total)
            continue;
        done = n;
        bool last = n == total;
        st = run_stage(r, stage, n, last, err);
        bool again = false;
        if (last && r->opt->stages && (st >= 0 || st == BRAGG_ENOCONV) && st != BRAGG_STOPPED && bragg_run_place_windows(r, wanted, &again, err) < 0)
            return BRAGG_ENOMEM;
        if (again)
            st = run_stage(r, stage, n, last, err);
        if (last || st == BRAGG_STOPPED || (st < 0 && st != BRAGG_ENOCONV))
            break;
    }
    return st;
}

/* -------------------------------------------------------------- results */

/* Bérar & Lelann: residuals of one sign in a row err together, so that their sum
 * counts squared.  Of white noise the ratio to chi^2 is 1 + 4/pi: there no widening. */
static double run_sums(const double *r, size_t n)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && r[i] * r[i - 1] < 0) {
            total += sum * sum;
            sum = 0;
        }
        sum += r[i];
    }
    return total + sum * sum;
}

typedef struct misfit {
    double difference, total, chi2, steps, runs; /* steps: of neighbours' residuals, squared */
} misfit;

static bragg_status add_misfit(bragg_model *m, size_t which, misfit *s, bragg_error *err)
{
    const histogram *h = &m->histogram[which];
    double *y = malloc((h->n + 1) * sizeof *y), before = 0;
    bragg_status st = y ? bragg_model_calculate(m, which, NULL, NULL, NULL, y, NULL, err)
                        : bragg_fail(err, BRAGG_ENOMEM, "no room for the R factors of %zu points", h->n);
    for (size_t i = 0; i < h->n && st == BRAGG_OK; i++) {
        double d = (h->y[i] - y[i]) * h->weight[i];
        s->difference += fabs(h->y[i] - y[i]);
        s->total += fabs(h->y[i]);
        s->chi2 += d * d;
        s->steps += i ? (d - before) * (d - before) : 0;
        before = d;
        y[i] = d;
    }
    if (st == BRAGG_OK)
        s->runs += run_sums(y, h->n);
    free(y);
    return st;
}

static bragg_status fill_r_factors(const run *r, bragg_fit *f, bragg_error *err)
{
    misfit s = { 0 };
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < r->model->n_histograms && st == BRAGG_OK; k++)
        st = add_misfit(r->model, k, &s, err);
    if (st < 0)
        return st;
    double freedom = (double)f->points - (double)f->variables, weighted = bragg_run_weighted_sum(r->model);
    f->rp = s.difference / s.total;
    f->rwp = sqrt(s.chi2 / weighted);
    f->rexp = sqrt(freedom / weighted);
    f->gof = sqrt(s.chi2 / freedom);
    f->durbin_watson = s.steps / s.chi2;
    f->serial_factor = sqrt(fmax(s.runs / s.chi2 / (1 + 4 / BRAGG_PI), 1));
    return BRAGG_OK;
}

static void count_reflections(const bragg_model *m, bragg_fit *f)
{
    for (size_t k = 0; k < m->n_histograms; k++) {
        const histogram *h = &m->histogram[k];
        for (size_t i = 0; i < h->n_peaks; i++)
            f->reflections += h->listed[i].line == 0 && h->peak[i].position >= h->x[0] && h->peak[i].position <= h->x[h->n - 1];
    }
}

static bragg_quantity row_quantity(const bragg_model *m, size_t row)
{
    return (bragg_quantity){ m->params.at[row].value, m->params.at[row].esd };
}

static double esd_of(const run *r, const double *gradient)
{
    double v = bragg_lsq_variance(r->lsq, gradient);
    return v > 0 ? sqrt(v) : NAN;
}

/* Times a factor into a gradient: how a cell's mass changes with its occupancies. */
static void add_mass_slopes(const phase *p, double factor, double *gradient)
{
    for (size_t j = 0; !(p->mass > 0) && j < p->structure->n_atoms; j++) {
        const bragg_atom *a = &p->structure->atom[j];
        gradient[p->atom_row + j * BRAGG_ATOM_ROWS + BRAGG_ATOM_OCCUPANCY] += factor * a->multiplicity * p->structure->scatterer[a->scatterer].weight;
    }
}

static void fill_phase(const run *r, size_t i, double *gradient, bragg_fit_phase *f)
{
    const bragg_model *m = r->model;
    const phase *p = &m->phase[i];
    f->name = p->name;
    for (int k = 0; k < 6; k++)
        f->cell[k] = row_quantity(m, p->cell_row + k);
    memset(gradient, 0, m->params.n * sizeof *gradient);
    for (int k = 0; k < 6; k++)
        gradient[p->cell_row + k] = p->dvolume[k] * (k < 3 ? 1 : BRAGG_DEG);
    f->volume_ang3 = (bragg_quantity){ p->volume, esd_of(r, gradient) };
    f->density.value = !p->structure->n_atoms ? NAN : bragg_structure_density_g_cm3(p->structure);
    for (size_t k = 0; k < m->params.n; k++)
        gradient[k] *= -f->density.value / p->volume;
    add_mass_slopes(p, f->density.value / bragg_refine_mass(p), gradient);
    f->density.esd = p->structure->n_atoms ? esd_of(r, gradient) : NAN;
    f->size_nm = row_quantity(m, p->size_row);
    f->strain = row_quantity(m, p->strain_row);
    f->strain.value *= 1e-6;
    f->strain.esd *= 1e-6;
}

/* Hill & Howard, J. Appl. Cryst. 20 (1987) 467: w ~ S Z M V when I = S m LP |F|^2;
 * our scale carries one V more, so w ~ S times the mass of the cell. */
static bragg_status fill_fractions(const run *r, double *gradient, bragg_fit *f, bragg_error *err)
{
    const bragg_model *m = r->model;
    size_t n = m->n_phases;
    double *w = calloc(n * (n + 2) + 1, sizeof *w), *tau = w + n, *slopes = w + 2 * n;
    bragg_status st = w ? bragg_refine_weigh(m, w, slopes, tau, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for the fractions of %zu phases", n);
    for (size_t i = 0; i < n && st == BRAGG_OK; i++) {
        const phase *p = &m->phase[i];
        f->phase[i].weight_fraction = (bragg_quantity){ NAN, NAN };
        f->phase[i].particle_um = p->particle_um;
        f->phase[i].microabsorption = tau[i];
        if (!(bragg_refine_mass(p) > 0))
            continue;
        memset(gradient, 0, m->params.n * sizeof *gradient);
        for (size_t k = 0; k < n; k++) {
            const size_t row = m->phase[k].mix[0].scale_row;
            gradient[row] = slopes[i * n + k] * bragg_refine_mass(&m->phase[k]);
            add_mass_slopes(&m->phase[k], slopes[i * n + k] * m->params.at[row].value, gradient);
        }
        f->phase[i].weight_fraction = (bragg_quantity){ w[i], n > 1 ? esd_of(r, gradient) : NAN };
    }
    free(w);
    return st;
}

/* With a phase weighed in: w = S M / (S_s M_s) w_s of each, masses over their tau (A. G.
 * De la Torre, S. Bruque & M. A. G. Aranda, J. Appl. Cryst. 34 (2001) 196).  Its slopes are
 * added to a gradient. */
static double against_standard(const bragg_model *m, const bragg_fit *f, size_t i, double sign, double *gradient)
{
    const phase *p = &m->phase[i], *s = &m->phase[m->standard];
    if (i == m->standard)
        return m->standard_fraction;
    double mass = bragg_refine_mass(p), known = bragg_refine_mass(s), scale = m->params.at[p->mix[0].scale_row].value, unit = m->params.at[s->mix[0].scale_row].value;
    double per = m->standard_fraction * mass * f->phase[m->standard].microabsorption / (unit * known * f->phase[i].microabsorption);
    gradient[p->mix[0].scale_row] += sign * per;
    gradient[s->mix[0].scale_row] -= sign * per * scale / unit;
    add_mass_slopes(p, sign * per * scale / mass, gradient);
    add_mass_slopes(s, -sign * per * scale / known, gradient);
    return per * scale;
}

/* The others, and what is missing: unknown beside a phase of unknown mass. */
static void fill_absolute(const run *r, double *gradient, bragg_fit *f)
{
    const bragg_model *m = r->model;
    double missing = 1;
    f->amorphous = (bragg_quantity){ NAN, NAN };
    for (size_t i = 0; i < m->n_phases; i++)
        f->phase[i].absolute_fraction = f->amorphous;
    if (!(m->standard_fraction > 0))
        return;
    for (size_t i = 0; i < m->n_phases; i++) {
        if (!(bragg_refine_mass(&m->phase[i]) > 0))
            continue;
        memset(gradient, 0, m->params.n * sizeof *gradient);
        double w = against_standard(m, f, i, 1, gradient);
        f->phase[i].absolute_fraction = (bragg_quantity){ w, i == m->standard ? 0 : esd_of(r, gradient) };
    }
    memset(gradient, 0, m->params.n * sizeof *gradient);
    for (size_t i = 0; i < m->n_phases; i++)
        if (!m->phase[i].off)
            missing -= bragg_refine_mass(&m->phase[i]) > 0 ? against_standard(m, f, i, -1, gradient) : NAN;
    f->amorphous = (bragg_quantity){ missing, isfinite(missing) ? esd_of(r, gradient) : NAN };
}

static bragg_status fill_r_bragg(const run *r, bragg_fit *f, bragg_error *err)
{
    const bragg_model *m = r->model;
    const histogram *h = &m->histogram[0];
    double *observed = malloc((h->n_peaks + 1) * sizeof *observed);
    if (!observed)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", h->n_peaks);
    bragg_refine_partition(m, 0, observed);
    for (size_t i = 0; i < m->n_phases; i++) {
        double above = 0, below = 0;
        for (size_t k = 0; k < h->n_peaks; k++)
            if (bragg_refine_shows(h, k, i)) {
                above += fabs(observed[k] - h->peak[k].intensity);
                below += fabs(observed[k]);
            }
        f->phase[i].r_bragg = below > 0 ? above / below : NAN;
    }
    free(observed);
    return BRAGG_OK;
}

static bragg_status keep_covariance(const run *r, bragg_fit *f, bragg_error *err)
{
    size_t n = f->variables;
    f->row = malloc((n + 1) * sizeof *f->row);
    f->covariance = malloc((n * n + 1) * sizeof *f->covariance);
    f->variable = malloc((r->model->params.n + 1) * sizeof *f->variable);
    if (!f->row || !f->covariance || !f->variable)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu variables", n);
    for (size_t i = 0; i < r->model->params.n; i++)
        f->variable[i] = -1;
    for (size_t i = 0; i < n; i++) {
        f->row[i] = bragg_lsq_row(r->lsq, i);
        f->variable[f->row[i]] = (ptrdiff_t)i;
        for (size_t j = 0; j < n; j++)
            f->covariance[i * n + j] = bragg_lsq_covariance(r->lsq, i, j);
    }
    return BRAGG_OK;
}

/* The variable that a row hangs on, or -1, and how. */
static ptrdiff_t variable_of(const bragg_fit *f, const bragg_params *t, size_t row, double *weight)
{
    for (; t->at[row].tie_to >= 0; row = (size_t)t->at[row].tie_to)
        *weight *= t->at[row].tie_factor;
    return f->variable[row];
}

double bragg_fit_variance(const bragg_fit *f, const bragg_params *t, const double *d_rows)
{
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) {
        double wi = d_rows[i];
        ptrdiff_t a = wi != 0 ? variable_of(f, t, i, &wi) : -1;
        for (size_t j = 0; a >= 0 && j < t->n; j++) {
            double wj = d_rows[j];
            ptrdiff_t b = wj != 0 ? variable_of(f, t, j, &wj) : -1;
            if (b >= 0)
                sum += wi * wj * f->covariance[(size_t)a * f->variables + (size_t)b];
        }
    }
    return sum;
}

bragg_status bragg_model_background_mean(const bragg_model *m, size_t which, const bragg_fit *fit, bragg_quantity *out, bragg_error *err)
{
    const histogram *h = &m->histogram[which];
    double *d_rows = calloc(m->params.n + 1, sizeof *d_rows), sum = 0;
    if (!d_rows)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu derivatives", m->params.n);
    for (size_t i = 0; i < h->n; i++)
        sum += bragg_refine_background(m, h, i);
    bragg_refine_mean_slopes(m, h, d_rows);
    *out = (bragg_quantity){ sum / (double)h->n, fit ? sqrt(bragg_fit_variance(fit, &m->params, d_rows)) : NAN };
    free(d_rows);
    return BRAGG_OK;
}

double bragg_fit_correlation(const bragg_fit *f, size_t i, size_t j)
{
    const double *c = f->covariance;
    size_t n = f->variables;
    return c[i * n + j] / sqrt(c[i * n + i] * c[j * n + j]);
}

static bragg_status fill_fit(const run *r, bragg_status status, bragg_fit *f, bragg_error *err)
{
    const bragg_model *m = r->model;
    double *gradient = calloc(m->params.n + 1, sizeof *gradient);
    f->phase = calloc(m->n_phases + 1, sizeof *f->phase);
    if (!gradient || !f->phase) {
        free(gradient);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the results");
    }
    f->converged = status == BRAGG_CONVERGED;
    f->cycles = r->cycles;
    f->points = m->n_observations;
    f->variables = bragg_lsq_variables(r->lsq);
    f->n_phases = m->n_phases;
    bragg_lsq_shift(r->lsq, &f->shift_per_esd_max, &f->shift_per_esd_mean);
    bragg_status st = fill_r_factors(r, f, err);
    if (st < 0) {
        free(gradient);
        return st;
    }
    count_reflections(m, f);
    bool any = false;
    for (size_t i = 0; i < m->n_phases; i++)
        any = any || !m->phase[i].off;
    if (any && !f->reflections) {
        free(gradient);
        return bragg_fail(err, BRAGG_EDATA, "refinement: no reflection of any phase lies in the pattern's range (wavelength, unit or range?)");
    }
    for (size_t i = 0; i < m->n_phases; i++)
        fill_phase(r, i, gradient, &f->phase[i]);
    st = fill_fractions(r, gradient, f, err);
    if (st == BRAGG_OK)
        fill_absolute(r, gradient, f);
    free(gradient);
    if (st == BRAGG_OK)
        st = keep_covariance(r, f, err);
    if (st < 0)
        return st;
    return fill_r_bragg(r, f, err);
}

void bragg_fit_free(bragg_fit *f)
{
    if (!f)
        return;
    free(f->phase);
    free(f->report);
    free(f->step);
    free(f->variable);
    free(f->row);
    free(f->covariance);
    free(f);
}

bragg_status bragg_refine(bragg_model *m, const bragg_refine_options *options, bragg_fit **out, bragg_error *err)
{
    static const bragg_refine_options defaults = BRAGG_REFINE_OPTIONS_INIT;
    run r = { .model = m, .opt = options ? options : &defaults, .chi2 = INFINITY };
    *out = NULL;
    bragg_fit *f = calloc(1, sizeof *f);
    bool *wanted = calloc(m->params.n + 1, sizeof *wanted);
    size_t size;
    r.report = f ? open_memstream(&f->report, &size) : NULL;
    if (!f || !wanted || !r.report) {
        free(wanted);
        bragg_fit_free(f);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a refinement");
    }
    for (size_t i = 0; i < m->params.n; i++)
        wanted[i] = m->params.at[i].refine;
    bragg_refine_pawley_reset(m);
    bragg_status st = run_stages(&r, wanted, err), end = BRAGG_OK;
    for (size_t i = 0; i < m->params.n; i++)
        m->params.at[i].refine = wanted[i];
    for (size_t k = 0; r.lsq && bragg_lsq_singular(r.lsq, k); k++)
        fprintf(r.report, "cannot be told apart: %s\n", bragg_lsq_singular(r.lsq, k));
    fclose(r.report);
    free(wanted);
    if (st >= 0 || st == BRAGG_ENOCONV)
        end = fill_fit(&r, st, f, err);
    else
        end = st;
    bragg_lsq_free(r.lsq);
    f->n_steps = r.n_steps;
    f->step = r.step;
    if (end < 0) {
        bragg_fit_free(f);
        return end;
    }
    *out = f;
    return st;
}
