/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fast profile fit: scales, strains and widths of a few cards at fixed relative
 * intensities, by the one least squares. */
#include "config.h"
#include "scene.h"

#include <bragg/array.h>
#include <bragg/lsq.h>
#include <bragg/numeric.h>
#include <bragg/param.h>
#include <bragg/profile.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1024 };
static const double reach_fwhm = 6;      /* profiles end there */
/* Of a card's cell, and of the logarithm of its intensities by texture: the priors that
 * hold what data leave open. */
static const double strain_doubt = 0.01, texture_doubt = 0.3;
enum { MOST_PRIORS = BRAGG_MAX_PHASES * (TRIAL_STRAINS + TRIAL_TEXTURES) };

typedef struct model {
    scene *s;
    trial *const *t;
    size_t n_trials;
    bragg_params params;
    size_t scale[BRAGG_MAX_PHASES], strain[BRAGG_MAX_PHASES], texture[BRAGG_MAX_PHASES], broad[BRAGG_MAX_PHASES], slope[BRAGG_MAX_PHASES], eta, zero, displacement, background;
    double *calculated, *column;    /* n; n_variables x n */
    double *const *each;
    const double *const *fixed;     /* profiles that only a factor changes */
    size_t n_fixed, factor;
    const bragg_lsq_layout *layout;
    struct { size_t row; double doubt; } prior[MOST_PRIORS];
    size_t n_priors;
} model;

/* Where d value / d row goes; NULL for a row that does not move. */
static double *column_of(const model *m, size_t row, size_t first)
{
    ptrdiff_t c = m->layout ? m->layout->column[row] : -1;
    return c < 0 ? NULL : m->column + (size_t)c * m->s->n + first;
}

CLONES static void add_to(double *restrict to, const double *restrict v, size_t n, double factor)
{
    for (size_t i = 0; to && i < n; i++)
        to[i] += factor * v[i];
}

/* One wavelength of one line of trial k. */
static void add_line(const model *m, size_t k, size_t line, int w)
{
    const trial *t = m->t[k];
    const scene *s = m->s;
    const bragg_param *p = m->params.at;
    double u = t->ln_d[line], value[WINDOW], dx[WINDOW], dwidth[WINDOW], deta[WINDOW];
    for (size_t c = 0; c < t->n_strains; c++)
        u += p[m->strain[k] + c].value * t->basis[line][c];
    double sine = s->radiation.wavelength_ang[w] / (2 * exp(u));
    if (!(sine < 0.999))
        return;
    double theta = asin(sine), tangent = tan(theta), base = s->width[0] + s->width[1] * tangent;
    double fwhm = fmax(base * p[m->broad[k]].value + p[m->slope[k]].value * tangent, 0.3 * s->width[0]);
    double x = 2 * theta + p[m->zero].value + p[m->displacement].value * cos(theta);
    size_t first = bragg_array_first(s->x, s->n, x - reach_fwhm * fwhm), last = bragg_array_first(s->x, s->n, x + reach_fwhm * fwhm);
    size_t n = last - first > WINDOW ? WINDOW : last - first;
    double strength = t->intensity[line] * s->radiation.ratio[w] * s->width[0], scale = p[m->scale[k]].value, turned = 0;
    for (size_t c = 0; c < t->n_textures; c++)
        turned += p[m->texture[k] + c].value * t->shape[line][c];
    strength *= exp(turned);
    if (!n)
        return;
    memset(value, 0, n * sizeof *value);
    bool slopes = m->layout && (column_of(m, m->broad[k], 0) || column_of(m, m->displacement, 0));
    if (slopes) {
        memset(dx, 0, n * sizeof *dx);
        memset(dwidth, 0, n * sizeof *dwidth);
        memset(deta, 0, n * sizeof *deta);
    }
    bragg_pseudo_voigt_add(s->x + first, n, x, fwhm, p[m->eta].value, strength, value, slopes ? dx : NULL, slopes ? dwidth : NULL, slopes ? deta : NULL);
    add_to(m->calculated + first, value, n, scale);
    if (m->each && m->each[k])
        add_to(m->each[k] + first, value, n, scale);
    add_to(column_of(m, m->scale[k], first), value, n, 1);
    for (size_t c = 0; c < t->n_textures; c++)
        add_to(column_of(m, m->texture[k] + c, first), value, n, scale * t->shape[line][c]);
    if (!slopes)
        return;
    /* dx is with respect to the point's x: the centre moves the other way */
    for (size_t c = 0; c < t->n_strains; c++)
        add_to(column_of(m, m->strain[k] + c, first), dx, n, scale * 2 * tangent * t->basis[line][c]);
    add_to(column_of(m, m->broad[k], first), dwidth, n, scale * base);
    add_to(column_of(m, m->slope[k], first), dwidth, n, scale * tangent);
    add_to(column_of(m, m->eta, first), deta, n, scale);
    add_to(column_of(m, m->displacement, first), dx, n, -scale * cos(theta));
}

static void calculate(const model *m)
{
    const scene *s = m->s;
    memset(m->calculated, 0, s->n * sizeof *m->calculated);
    for (size_t k = 0; k < m->n_fixed; k++) {
        add_to(m->calculated, m->fixed[k], s->n, m->params.at[m->factor + k].value);
        add_to(column_of(m, m->factor + k, 0), m->fixed[k], s->n, 1);
    }
    for (size_t k = 0; k < m->n_trials; k++)
        for (size_t line = 0; line < m->t[k]->n; line++)
            for (size_t w = 0; w < s->radiation.n_lines; w++)
                add_line(m, k, line, (int)w);
}

double bragg_cards_scene_background(const scene *s, size_t i)
{
    double y = 0;
    for (size_t c = 0; c < SCENE_BACKGROUND; c++)
        y += s->background[c] * s->chebyshev[c * s->n + i];
    return y;
}

static bragg_status prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout, bragg_error *err)
{
    model *m = payload;
    const scene *s = m->s;
    (void)params, (void)err;
    m->layout = layout;
    memset(m->column, 0, (layout ? layout->n_variables : 0) * s->n * sizeof *m->column);
    calculate(m);
    for (size_t c = 0; c < SCENE_BACKGROUND; c++) {
        add_to(m->calculated, s->chebyshev + c * s->n, s->n, m->params.at[m->background + c].value);
        add_to(column_of(m, m->background + c, 0), s->chebyshev + c * s->n, s->n, 1);
    }
    return BRAGG_OK;
}

/* Behind the points stand the priors: values over their doubts. */
static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const model *m = payload;
    const scene *s = m->s;
    (void)err;
    for (size_t i = first; i < last; i++) {
        if (i < s->n) {
            r[i - first] = (s->net[i] - m->calculated[i]) / s->sigma[i];
            for (size_t c = 0; jacobian && c < m->layout->n_variables; c++)
                jacobian[c * BRAGG_LSQ_BLOCK + i - first] = -m->column[c * s->n + i] / s->sigma[i];
            continue;
        }
        size_t row = m->prior[i - s->n].row;
        double doubt = m->prior[i - s->n].doubt;
        r[i - first] = m->params.at[row].value / doubt;
        ptrdiff_t c = m->layout ? m->layout->column[row] : -1;
        if (jacobian && c >= 0)
            jacobian[(size_t)c * BRAGG_LSQ_BLOCK + i - first] = m->layout->weight[row] / doubt;
    }
    return BRAGG_OK;
}

static bragg_status add_row(model *m, const char *name, double value, double lower, double upper, bool refine, size_t *row, bragg_error *err)
{
    bragg_status st = bragg_params_add(&m->params, name, "", value, row, err);
    if (st == BRAGG_OK) {
        bragg_param *p = &m->params.at[*row];
        p->lower = lower;
        p->upper = upper;
        p->refine = refine;
        p->value = fmin(fmax(value, lower), upper);
    }
    return st;
}

/* n rows of a trial that a prior holds at zero. */
static bragg_status add_held(model *m, const char *what, size_t k, const double *value, size_t n, double most, double doubt, size_t *first, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    char name[48];
    size_t row;
    for (size_t c = 0; c < n && st == BRAGG_OK; c++) {
        snprintf(name, sizeof name, "%s%zu.%zu", what, k, c);
        st = add_row(m, name, value[c], -most, most, true, &row, err);
        *first = c ? *first : row;
        m->prior[m->n_priors].row = row;
        m->prior[m->n_priors++].doubt = doubt;
    }
    return st;
}

static bragg_status add_rows(model *m, bool free_all, size_t terms, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    char name[32];
    size_t row;
    for (size_t k = 0; k < m->n_trials && st == BRAGG_OK; k++) {
        const trial *t = m->t[k];
        snprintf(name, sizeof name, "scale%zu", k);
        st = add_row(m, name, fmax(t->scale, 1e-4 * m->s->scale), 0, INFINITY, true, &m->scale[k], err);
        if (st == BRAGG_OK)
            st = add_held(m, "strain", k, t->strain, t->n_strains, 0.04, strain_doubt, &m->strain[k], err);
        if (st == BRAGG_OK) /* a prior of one peak stands beside as many points as a peak has */
            st = add_held(m, "texture", k, t->texture, t->n_textures, 1.2, texture_doubt / sqrt(m->s->points_a_peak), &m->texture[k], err);
        snprintf(name, sizeof name, "broad%zu", k);
        if (st == BRAGG_OK)
            st = add_row(m, name, t->broad, 0.3, 15, true, &m->broad[k], err);
        snprintf(name, sizeof name, "slope%zu", k);
        if (st == BRAGG_OK)
            st = add_row(m, name, t->slope, -5 * m->s->width[0], 20 * m->s->width[0], free_all, &m->slope[k], err);
    }
    for (size_t k = 0; k < m->n_fixed && st == BRAGG_OK; k++) {
        snprintf(name, sizeof name, "factor%zu", k);
        st = add_row(m, name, 1, 0, INFINITY, true, &row, err);
        m->factor = k ? m->factor : row;
    }
    double x = 0.4 * BRAGG_DEG;
    if (st == BRAGG_OK)
        st = add_row(m, "eta", m->s->eta, 0, 1, free_all && m->n_trials, &m->eta, err);
    if (st == BRAGG_OK)
        st = add_row(m, "zero", m->s->zero, -x, x, false, &m->zero, err);
    if (st == BRAGG_OK)
        st = add_row(m, "displacement", m->s->displacement, -x, x, free_all && m->n_trials, &m->displacement, err);
    for (size_t c = 0; c < SCENE_BACKGROUND && st == BRAGG_OK; c++) {
        snprintf(name, sizeof name, "background%zu", c);
        st = add_row(m, name, m->s->background[c], -INFINITY, INFINITY, c < terms, &row, err);
        m->background = c ? m->background : row;
    }
    return st;
}

static void keep(model *m, bool free_all)
{
    const bragg_param *p = m->params.at;
    for (size_t k = 0; k < m->n_trials; k++) {
        trial *t = m->t[k];
        t->scale = p[m->scale[k]].value;
        t->scale_esd = p[m->scale[k]].esd;
        t->broad = p[m->broad[k]].value;
        t->slope = p[m->slope[k]].value;
        for (size_t c = 0; c < t->n_strains; c++)
            t->strain[c] = p[m->strain[k] + c].value;
        for (size_t c = 0; c < t->n_textures; c++)
            t->texture[c] = p[m->texture[k] + c].value;
    }
    if (!free_all)
        return;
    m->s->zero = p[m->zero].value;
    m->s->eta = p[m->eta].value;
    m->s->displacement = p[m->displacement].value;
    for (size_t c = 0; c < SCENE_BACKGROUND; c++)
        m->s->background[c] = p[m->background + c].value;
}

/* Without the background's terms, which stay in the scene. */
static void hand_out(model *m, double *calculated)
{
    m->layout = NULL;
    for (size_t k = 0; m->each && k < m->n_trials; k++)
        if (m->each[k])
            memset(m->each[k], 0, m->s->n * sizeof(double));
    calculate(m);
    if (calculated)
        memcpy(calculated, m->calculated, m->s->n * sizeof *calculated);
}

/* Trials that move beside profiles that only factors change. */
typedef struct task {
    trial *const *t;
    size_t n;
    const double *const *fixed;
    size_t n_fixed;
    bool all, lent;     /* widths, shape and displacement, too; the scene stays as it is */
    int cycles;
    size_t terms;       /* of the background */
} task;

static bragg_status fit(scene *s, const task *w, double *chi2, double *calculated, double *const *each, bragg_error *err)
{
    model m = { .s = s, .t = w->t, .n_trials = w->n, .fixed = w->fixed, .n_fixed = w->n_fixed };
    bragg_lsq *lsq = NULL;
    bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
    bragg_status st = add_rows(&m, w->all, w->terms, err);
    if (st == BRAGG_OK && !(m.calculated = malloc((m.params.n + 1) * s->n * sizeof *m.calculated)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room to fit %zu points", s->n);
    bragg_lsq_problem problem = { .n = s->n + m.n_priors, .padding = m.n_priors, .prepare = prepare, .residuals = residuals, .payload = &m };
    m.column = m.calculated ? m.calculated + s->n : NULL;
    o.max_cycles = w->cycles;
    o.tolerance_esd = 0.1;
    if (st == BRAGG_OK)
        st = bragg_lsq_new(&problem, &m.params, &o, &lsq, err);
    if (st == BRAGG_OK) {
        bragg_error ignored = BRAGG_ERROR_INIT;
        st = bragg_lsq_solve(lsq, &ignored);
        st = st == BRAGG_ENOMEM ? bragg_fail(err, st, "no room to fit") : BRAGG_OK; /* not quite converged is good enough */
    }
    if (st == BRAGG_OK) {
        *chi2 = bragg_lsq_chi2(lsq);
        keep(&m, w->all && !w->lent);
        if (calculated || each) {
            m.each = each;
            hand_out(&m, calculated);
        }
    }
    bragg_lsq_free(lsq);
    bragg_params_free(&m.params);
    free(m.calculated);
    return st;
}

bragg_status bragg_cards_scene_fit(scene *s, trial *const *t, size_t n, double *chi2, double *calculated, double *const *each, bragg_error *err)
{
    return fit(s, &(task){ t, n, NULL, 0, true, false, 15, SCENE_BACKGROUND }, chi2, calculated, each, err);
}

/* The scene is left as it is by all that follow. */
static scene *borrowed(const scene *s) { return (scene *)(uintptr_t)s; }

bragg_status bragg_cards_scene_screen(const scene *s, trial *t, const double *const *known, size_t n_known, double *chi2, bragg_error *err)
{
    return fit(borrowed(s), &(task){ &t, 1, known, n_known, false, true, 6, SCENE_LOOSE }, chi2, NULL, NULL, err);
}

bragg_status bragg_cards_scene_contest(const scene *s, trial *t, const double *const *known, size_t n_known, double *chi2, bragg_error *err)
{
    return fit(borrowed(s), &(task){ &t, 1, known, n_known, true, true, 15, SCENE_LOOSE }, chi2, NULL, NULL, err);
}

bragg_status bragg_cards_scene_factors(const scene *s, const double *const *known, size_t n_known, double *chi2, bragg_error *err)
{
    return fit(borrowed(s), &(task){ NULL, 0, known, n_known, false, true, 6, SCENE_LOOSE }, chi2, NULL, NULL, err);
}

bragg_status bragg_cards_scene_profile(const scene *s, trial *t, double *out, bragg_error *err)
{
    model m = { .s = borrowed(s), .t = &t, .n_trials = 1 };
    double *each[1] = { out };
    bragg_status st = add_rows(&m, false, SCENE_LOOSE, err);
    if (st == BRAGG_OK && !(m.calculated = malloc(s->n * sizeof *m.calculated)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a profile");
    if (st == BRAGG_OK) {
        m.each = each;
        hand_out(&m, NULL);
    }
    bragg_params_free(&m.params);
    free(m.calculated);
    return st;
}
