/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Real-space fit of structures to one or several G(r).
 *
 *      table ── values ──► structures, shapes        layout ── columns ──► motions of each phase
 *                               └────────► bragg_pdf_evaluate ◄────────────────┘
 *                                     every k-th point │ weights or whitening
 *                                                      ▼
 *                                                  bragg_lsq */
#include "config.h"
#include "joint.h"
#include "model.h"

#include <bragg/arena.h>
#include <bragg/array.h>
#include <bragg/lsq.h>
#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a phase behind its cell: shared by all sets. */
enum { ROW_DELTA1, ROW_DELTA2, ROW_SRATIO, ROW_RCUT, ROW_SPDIAMETER, ROW_STEPCUT, N_PHASE_ROWS };

typedef struct set {
    const char *name;
    bragg_pdf_set_options o;
    size_t n_data, first, every, n, wide, offset; /* fitted points: first + i every */
    double *r, *g, *sigma;        /* of the data between the limits: wide points */
    double *weight, *covariance;  /* 1 / sigma; of the fitted points, NULL when unknown */
    size_t qdamp_row, qbroad_row, *scale_row;
} set;

typedef struct phase {
    const char *name;
    bragg_structure *structure;
    size_t cell_row, shape_row, atom_row;
} phase;

struct bragg_pdf_study {
    bragg_arena *arena;
    size_t n_sets, n_phases, room_sets, room_phases, n;
    set *set;
    phase *phase;
    bragg_params params;
    bool built;
    double *residual, *jacobian;  /* n; one row of n a variable */
    size_t room;
    const bragg_lsq_layout *layout;
    patterns patterns;
};

/* ---------------------------------------------------------- sets, phases */

bragg_pdf_study *bragg_pdf_study_new(void)
{
    bragg_pdf_study *s = calloc(1, sizeof *s);
    if (s && !(s->arena = bragg_arena_new())) {
        free(s);
        return NULL;
    }
    return s;
}

void bragg_pdf_study_free(bragg_pdf_study *s)
{
    if (!s)
        return;
    for (size_t k = 0; k < s->n_phases; k++)
        bragg_structure_free(s->phase[k].structure);
    free(s->set);
    free(s->phase);
    free(s->residual);
    free(s->jacobian);
    bragg_pdf_patterns_free(&s->patterns);
    bragg_params_free(&s->params);
    bragg_arena_free(s->arena);
    free(s);
}

/* The grid of the data between the limits; it must have equal steps. */
static bragg_status choose_points(set *t, const bragg_pdf_data *d, bragg_error *err)
{
    size_t last = d->n;
    double step = (d->r[d->n - 1] - d->r[0]) / (double)(d->n - 1);
    for (size_t i = 0; i < d->n; i++)
        if (fabs(d->r[i] - d->r[0] - (double)i * step) > 0.02 * step)
            return bragg_fail(err, BRAGG_EDATA, "G(r): expected equal steps of %g angstrom, found r = %g at point %zu", step, d->r[i], i + 1);
    while (t->first < d->n && d->r[t->first] < fmax(t->o.rmin_ang, 0.1 * step) - 1e-9)
        t->first++;
    while (last > t->first && d->r[last - 1] > t->o.rmax_ang + 1e-9)
        last--;
    t->every = isfinite(t->o.qmax_invang) ? (size_t)fmax(1, floor(BRAGG_PI / t->o.qmax_invang / step)) : 1;
    t->wide = last - t->first;
    t->n = t->wide ? (t->wide - 1) / t->every + 1 : 0;
    if (t->n < 8)
        return bragg_fail(err, BRAGG_EINVAL, "r range %g to %g angstrom: only %zu points of the data are in it", t->o.rmin_ang, t->o.rmax_ang, t->wide);
    return BRAGG_OK;
}

/* Covariance of the fitted points; 0 beyond the band. */
static bragg_status take_covariance(bragg_pdf_study *s, set *t, const bragg_pdf_data *d, bragg_error *err)
{
    if (!d->covariance)
        return BRAGG_OK;
    double *c = t->covariance = bragg_arena_alloc(s->arena, t->n * t->n, sizeof *c);
    if (!c)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu points", t->n);
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = 0; j < t->n; j++) {
            size_t low = i < j ? i : j, lag = (i < j ? j - i : i - j) * t->every;
            c[i * t->n + j] = lag <= d->band ? d->covariance[(t->first + low * t->every) * (d->band + 1) + lag] : 0;
        }
    return BRAGG_OK;
}

/* Without errors a set weighs as if its misfit were the usual one. */
static const double usual_rw = 0.05;

static bragg_status take_data(bragg_pdf_study *s, set *t, const bragg_pdf_data *d, bragg_error *err)
{
    double square = 0, *v = bragg_arena_alloc(s->arena, 4 * t->wide, sizeof *v);
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", t->wide);
    t->r = v;
    t->g = v + t->wide;
    t->sigma = d->sigma ? v + 2 * t->wide : NULL;
    t->weight = v + 3 * t->wide;
    for (size_t i = 0; i < t->wide; i++) {
        t->r[i] = d->r[t->first + i];
        t->g[i] = d->g[t->first + i];
        if (!isfinite(t->g[i]))
            return bragg_fail(err, BRAGG_EDATA, "G(r): expected a number at r = %g, found %g", t->r[i], t->g[i]);
        if (t->sigma)
            t->sigma[i] = d->sigma[t->first + i];
        square += t->g[i] * t->g[i] / (double)t->wide;
    }
    if (!(square > 0))
        return bragg_fail(err, BRAGG_EDATA, "G(r): found nothing but zeros between %g and %g angstrom", t->r[0], t->r[t->wide - 1]);
    for (size_t i = 0; i < t->wide; i++)
        t->weight[i] = t->o.weight / (t->sigma ? t->sigma[i] : usual_rw * sqrt(square));
    return take_covariance(s, t, d, err);
}

bragg_status bragg_pdf_study_add_set(bragg_pdf_study *s, const bragg_pdf_data *d, const bragg_pdf_set_options *o, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&s->set, &s->room_sets, s->n_sets + 1, sizeof *s->set, err);
    if (st < 0)
        return st;
    set *t = &s->set[s->n_sets];
    memset(t, 0, sizeof *t);
    t->o = *o;
    if (!(t->name = bragg_arena_strdup(s->arena, o->name ? o->name : "")))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a name");
    if (isnan(t->o.qmin_invang))
        t->o.qmin_invang = d->qmin_invang;
    if (isnan(t->o.qmax_invang))
        t->o.qmax_invang = d->qmax_invang > 0 ? d->qmax_invang : INFINITY;
    if (!(t->o.weight > 0) || !isfinite(t->o.weight))
        st = bragg_fail(err, BRAGG_EINVAL, "weight: must be positive, got %g", t->o.weight);
    if (st == BRAGG_OK)
        st = choose_points(t, d, err);
    if (st == BRAGG_OK)
        st = take_data(s, t, d, err);
    if (st < 0)
        return *t->name ? bragg_context(err, st, "set %s", t->name) : st;
    s->n_sets++;
    return BRAGG_OK;
}

bragg_status bragg_pdf_study_add_phase(bragg_pdf_study *s, const char *name, const bragg_structure *structure, bragg_error *err)
{
    for (size_t k = 0; k < s->n_phases; k++)
        if (!strcmp(s->phase[k].name, name))
            return bragg_fail(err, BRAGG_EINVAL, "phase %s: stands in the model already", name);
    bragg_status st = bragg_array_grow(&s->phase, &s->room_phases, s->n_phases + 1, sizeof *s->phase, err);
    if (st < 0)
        return st;
    phase *p = &s->phase[s->n_phases];
    p->name = bragg_arena_strdup(s->arena, name);
    p->structure = bragg_structure_copy(structure);
    if (!p->name || !p->structure) {
        bragg_structure_free(p->structure);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for phase %s", name);
    }
    s->n_phases++;
    st = bragg_structure_check(p->structure, err);
    for (size_t a = 0; a < p->structure->n_atoms; a++)
        if (!(p->structure->atom[a].uiso_ang2 > 0))
            p->structure->atom[a].uiso_ang2 = 0.005;
    return st < 0 ? bragg_context(err, st, "phase %s", name) : st;
}

/* ------------------------------------------------------------- the table */

static bragg_status add_set_rows(bragg_pdf_study *s, set *t, bragg_error *err)
{
    char name[160];
    t->scale_row = bragg_arena_alloc(s->arena, s->n_phases + 1, sizeof *t->scale_row);
    if (!t->scale_row)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu scales", s->n_phases);
    bragg_status st = bragg_params_add_bounded(&s->params, t->name, "instrument.qdamp", "angstrom^-1", 0, 0, 0.5, &t->qdamp_row, err);
    if (st == BRAGG_OK)
        st = bragg_params_add_bounded(&s->params, t->name, "instrument.qbroad", "angstrom^-1", 0, 0, 0.5, &t->qbroad_row, err);
    for (size_t k = 0; k < s->n_phases && st == BRAGG_OK; k++) {
        snprintf(name, sizeof name, "phase.%s.scale", s->phase[k].name);
        st = bragg_params_add_bounded(&s->params, t->name, name, "", 1, 0, INFINITY, &t->scale_row[k], err);
    }
    return st;
}

/* Local order may differ from the average lattice: wide limits. */
static const bragg_row_limits limits = { .edge = 0.2, .angle_deg = 20, .coordinate = 0.2, .u_least_ang2 = 1e-4 };

static bragg_status add_phase_rows(bragg_pdf_study *s, phase *p, bragg_error *err)
{
    static const struct { const char *name, *unit; double value, lower, upper; } rows[N_PHASE_ROWS] = {
        [ROW_DELTA1] = { "delta1", "angstrom", 0, 0, 5 },     [ROW_DELTA2] = { "delta2", "angstrom^2", 0, 0, 20 },
        [ROW_SRATIO] = { "sratio", "", 1, 0.05, 5 },          [ROW_RCUT] = { "rcut", "angstrom", 0, 0, 1e3 },
        [ROW_SPDIAMETER] = { "spdiameter", "angstrom", 0, 0, 1e5 }, [ROW_STEPCUT] = { "stepcut", "angstrom", 0, 0, 1e5 } };
    char prefix[100];
    snprintf(prefix, sizeof prefix, "phase.%s", p->name);
    bragg_status st = bragg_structure_add_cell_rows(p->structure, prefix, &limits, &s->params, &p->cell_row, err);
    for (int k = 0; k < N_PHASE_ROWS && st == BRAGG_OK; k++) {
        size_t row;
        st = bragg_params_add_bounded(&s->params, prefix, rows[k].name, rows[k].unit, rows[k].value, rows[k].lower, rows[k].upper, &row, err);
        if (k == 0)
            p->shape_row = row;
    }
    return st == BRAGG_OK ? bragg_structure_add_atom_rows(p->structure, prefix, &limits, &s->params, &p->atom_row, err) : st;
}

bragg_status bragg_pdf_study_take_patterns(bragg_pdf_study *s, bragg_model *model, const char *const *names, size_t n, bragg_error *err)
{
    patterns *p = &s->patterns;
    bragg_pdf_patterns_free(p);
    p->model = model;
    p->name = bragg_arena_alloc(s->arena, n + 1, sizeof *p->name);
    for (p->n = 0; p->name && p->n < n; p->n++)
        if (!(p->name[p->n] = bragg_arena_strdup(s->arena, names[p->n])))
            break;
    return p->name && p->n == n ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu names", n);
}

bragg_status bragg_pdf_study_build(bragg_pdf_study *s, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (!s->n_sets || !s->n_phases)
        return bragg_fail(err, BRAGG_EINVAL, "fit: expected a measured G(r) and a phase, found %zu and %zu", s->n_sets, s->n_phases);
    for (size_t k = 0; k < s->n_sets && st == BRAGG_OK; k++) {
        s->set[k].offset = s->n;
        s->n += s->set[k].n;
        st = add_set_rows(s, &s->set[k], err);
    }
    for (size_t k = 0; k < s->n_phases && st == BRAGG_OK; k++)
        st = add_phase_rows(s, &s->phase[k], err);
    if (st == BRAGG_OK && s->patterns.model)
        st = bragg_pdf_patterns_merge(&s->patterns, &s->params, s->arena, err);
    s->residual = calloc(s->n, sizeof *s->residual);
    if (st == BRAGG_OK && !s->residual)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", s->n);
    s->built = st == BRAGG_OK;
    return st;
}

bragg_params *bragg_pdf_study_params(bragg_pdf_study *s) { return &s->params; }
size_t bragg_pdf_study_points(const bragg_pdf_study *s, size_t k) { return s->set[k].wide; }

/* --------------------------------------------------------- calculation */

static void move_structures(bragg_pdf_study *s, const bragg_param *at)
{
    for (phase *p = s->phase; p < s->phase + s->n_phases; p++) {
        bragg_structure_take_cell(p->structure, at + p->cell_row);
        bragg_structure_take_atoms(p->structure, at + p->atom_row);
    }
}

static bragg_pdf_shape shape_of(const bragg_pdf_study *s, const set *t, size_t k, const bragg_param *at)
{
    bragg_pdf_shape x = BRAGG_PDF_SHAPE_INIT;
    const bragg_param *own = at + s->phase[k].shape_row;
    x.scale = at[t->scale_row[k]].value;
    x.qmin_invang = t->o.qmin_invang;
    x.qmax_invang = t->o.qmax_invang;
    x.neutron = t->o.neutron;
    x.qdamp_invang = at[t->qdamp_row].value;
    x.qbroad_invang = at[t->qbroad_row].value;
    x.delta1_ang = own[ROW_DELTA1].value;
    x.delta2_ang2 = own[ROW_DELTA2].value;
    x.sratio = own[ROW_SRATIO].value;
    x.rcut_ang = own[ROW_RCUT].value;
    x.spdiameter_ang = own[ROW_SPDIAMETER].value;
    x.stepcut_ang = own[ROW_STEPCUT].value;
    x.rmin_ang = t->r[0];
    x.rstep_ang = (t->r[t->wide - 1] - t->r[0]) / (double)(t->wide - 1);
    x.n = t->wide;
    return x;
}

/* What a unit of row k does to phase p seen by set t; false when nothing. */
static bool add_motion(const bragg_pdf_study *s, const set *t, size_t p, size_t row, double by, motion *to)
{
    static const int shape_of_row[N_PHASE_ROWS] = { SHAPE_DELTA1, SHAPE_DELTA2, SHAPE_SRATIO, -1, SHAPE_SPDIAMETER, -1 };
    const phase *x = &s->phase[p];
    if (row == t->scale_row[p] || row == t->qdamp_row || row == t->qbroad_row) {
        to->shape[row == t->qdamp_row ? SHAPE_QDAMP : row == t->qbroad_row ? SHAPE_QBROAD : SHAPE_SCALE] += by;
        return true;
    }
    if (row >= x->cell_row && row < x->cell_row + 6) {
        to->cell[row - x->cell_row] += row - x->cell_row < 3 ? by : by * BRAGG_DEG;
        return true;
    }
    if (row >= x->shape_row && row < x->shape_row + N_PHASE_ROWS && shape_of_row[row - x->shape_row] >= 0) {
        to->shape[shape_of_row[row - x->shape_row]] += by;
        return true;
    }
    if (row < x->atom_row || row >= x->atom_row + BRAGG_ATOM_ROWS * x->structure->n_atoms)
        return false;
    size_t what = (row - x->atom_row) % BRAGG_ATOM_ROWS;
    atom_motion *a = &to->atom[(row - x->atom_row) / BRAGG_ATOM_ROWS];
    *(what < 3 ? &a->x[what] : what == BRAGG_ATOM_OCCUPANCY ? &a->occupancy : what == BRAGG_ATOM_UISO ? &a->uiso : &a->u[what - BRAGG_ATOM_U11]) += by;
    return true;
}

/* Motions of a phase: of each column of a fit, or of each row of the table. */
typedef struct motions {
    size_t n, *column;
    motion *at;
    atom_motion *atoms;
    double **dg, *values;
} motions;

static void free_motions(motions *m)
{
    free(m->column);
    free(m->at);
    free(m->atoms);
    free(m->dg);
    free(m->values);
}

static bragg_status collect_motions(const bragg_pdf_study *s, const set *t, size_t p, const bragg_lsq_layout *layout, size_t n_columns, size_t points,
                                    motions *m, bragg_error *err)
{
    size_t atoms = s->phase[p].structure->n_atoms;
    m->n = 0;
    m->column = calloc(n_columns + 1, sizeof *m->column);
    m->at = calloc(n_columns + 1, sizeof *m->at);
    m->atoms = calloc((n_columns + 1) * atoms, sizeof *m->atoms);
    m->dg = calloc(n_columns + 1, sizeof *m->dg);
    m->values = NULL;
    if (!m->column || !m->at || !m->atoms || !m->dg)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu variables", n_columns);
    for (size_t c = 0; c < n_columns; c++) {
        bool any = false;
        m->at[m->n].atom = m->atoms + m->n * atoms;
        for (size_t row = 0; row < s->params.n; row++)
            if (layout ? layout->column[row] == (ptrdiff_t)c : row == c)
                any = add_motion(s, t, p, row, layout ? layout->weight[row] : 1, &m->at[m->n]) || any;
        if (any)
            m->column[m->n++] = c;
    }
    m->values = calloc(m->n * points + 1, sizeof *m->values);
    for (size_t k = 0; m->values && k < m->n; k++)
        m->dg[k] = m->values + k * points;
    return m->values ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for derivatives");
}

/* G(r) of a set at every `every`-th of its points, and (unless NULL) its derivatives by
 * the columns of a layout (by the table's rows for NULL), `points` values each. */
static bragg_status calculate(bragg_pdf_study *s, const set *t, const bragg_param *at, size_t every, double *g, const bragg_lsq_layout *layout,
                              size_t n_columns, double *derivatives, bragg_error *err)
{
    size_t points = (t->wide - 1) / every + 1;
    double *own = calloc(points, sizeof *own);
    bragg_status st = own ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", points);
    memset(g, 0, points * sizeof *g);
    for (size_t p = 0; p < s->n_phases && st == BRAGG_OK; p++) {
        motions m = { 0 };
        bragg_pdf_shape shape = shape_of(s, t, p, at);
        shape.rstep_ang *= (double)every;
        shape.n = points;
        if (derivatives)
            st = collect_motions(s, t, p, layout, n_columns, points, &m, err);
        if (st == BRAGG_OK && (st = bragg_pdf_evaluate(s->phase[p].structure, &shape, m.at, m.n, own, NULL, m.dg, err)) < 0)
            bragg_context(err, st, "phase %s", s->phase[p].name);
        for (size_t i = 0; st == BRAGG_OK && i < points; i++)
            g[i] += own[i];
        for (size_t k = 0; st == BRAGG_OK && k < m.n; k++)
            for (size_t i = 0; i < points; i++)
                derivatives[m.column[k] * points + i] += m.dg[k][i];
        free_motions(&m);
    }
    free(own);
    return st;
}

bragg_status bragg_pdf_study_calculate(bragg_pdf_study *s, size_t k, double *g, double *derivatives, bragg_error *err)
{
    if (!s->built || k >= s->n_sets)
        return bragg_fail(err, BRAGG_EINVAL, "fit: expected a built study and one of its %zu sets", s->n_sets);
    move_structures(s, s->params.at);
    if (derivatives)
        memset(derivatives, 0, s->params.n * s->set[k].wide * sizeof *derivatives);
    return calculate(s, &s->set[k], s->params.at, 1, g, NULL, s->params.n, derivatives, err);
}

/* --------------------------------------------------------- least squares */

static void weigh(const set *t, double *v)
{
    for (size_t i = 0; i < t->n; i++)
        v[i] *= t->weight[i * t->every];
}

static bragg_status prepare_set(bragg_pdf_study *s, const set *t, const bragg_params *params, const bragg_lsq_layout *layout, bragg_error *err)
{
    double *g = calloc(t->n * (layout->n_variables + 1), sizeof *g), *d = g ? g + t->n : NULL;
    if (!g)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for derivatives");
    bragg_status st = calculate(s, t, params->at, t->every, g, layout, layout->n_variables, d, err);
    for (size_t i = 0; i < t->n; i++)
        s->residual[t->offset + i] = t->g[i * t->every] - g[i];
    weigh(t, s->residual + t->offset);
    for (size_t c = 0; st == BRAGG_OK && c < layout->n_variables; c++) {
        weigh(t, d + c * t->n);
        memcpy(s->jacobian + c * s->n + t->offset, d + c * t->n, t->n * sizeof *d);
    }
    free(g);
    return st;
}

static bragg_status prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout, bragg_error *err)
{
    bragg_pdf_study *s = payload;
    if (s->room < layout->n_variables || !s->jacobian) {
        free(s->jacobian);
        s->jacobian = calloc(layout->n_variables * s->n + 1, sizeof *s->jacobian);
        if (!s->jacobian)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for derivatives");
    }
    s->room = layout->n_variables;
    s->layout = layout;
    move_structures(s, params->at);
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < s->n_sets && st == BRAGG_OK; k++)
        st = prepare_set(s, &s->set[k], params, layout, err);
    return st == BRAGG_OK && s->patterns.model ? bragg_pdf_patterns_prepare(&s->patterns, params, layout, err) : st;
}

/* Points of G(r), and room up to where the patterns' blocks begin. */
static size_t whole_blocks(const bragg_pdf_study *s)
{
    return s->patterns.model ? (s->n + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK * BRAGG_LSQ_BLOCK : s->n;
}

static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const bragg_pdf_study *s = payload;
    size_t own = whole_blocks(s);
    if (first >= own)
        return bragg_pdf_patterns_residuals(&s->patterns, first - own, last - own, r, jacobian, err);
    for (size_t i = first; i < last; i++) {
        r[i - first] = i < s->n ? s->residual[i] : 0;
        for (size_t c = 0; c < s->room && i < s->n; c++)
            jacobian[c * BRAGG_LSQ_BLOCK + i - first] = -s->jacobian[c * s->n + i];
    }
    return BRAGG_OK;
}

/* G(r) does not change at first with what enters squared: away from 0 to begin.  An
 * envelope of no diameter is none. */
static void leave_zero(bragg_pdf_study *s)
{
    for (size_t k = 0; k < s->n_sets; k++) {
        bragg_param *damp = &s->params.at[s->set[k].qdamp_row], *broad = &s->params.at[s->set[k].qbroad_row];
        damp->value = damp->refine && !(damp->value > 0) ? 0.03 : damp->value;
        broad->value = broad->refine && !(broad->value > 0) ? 0.01 : broad->value;
    }
    for (size_t k = 0; k < s->n_phases; k++) {
        bragg_param *d = &s->params.at[s->phase[k].shape_row + ROW_SPDIAMETER];
        d->value = d->refine && !(d->value > 0) ? 60 : d->value;
    }
}

/* Scales are linear: those of a set start from their common best value. */
static bragg_status start_scales(bragg_pdf_study *s, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    move_structures(s, s->params.at);
    for (size_t k = 0; k < s->n_sets && st == BRAGG_OK; k++) {
        const set *t = &s->set[k];
        bool all = true;
        double xy = 0, xx = 0, *g = calloc(t->n, sizeof *g);
        for (size_t p = 0; p < s->n_phases; p++)
            all = all && s->params.at[t->scale_row[p]].refine;
        st = g ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", t->n);
        if (st == BRAGG_OK && all)
            st = calculate(s, t, s->params.at, t->every, g, NULL, 0, NULL, err);
        for (size_t i = 0; st == BRAGG_OK && all && i < t->n; i++) {
            double w = t->weight[i * t->every] * t->weight[i * t->every];
            xy += w * g[i] * t->g[i * t->every];
            xx += w * g[i] * g[i];
        }
        for (size_t p = 0; p < s->n_phases && xy > 0 && xx > 0; p++)
            s->params.at[t->scale_row[p]].value *= xy / xx;
        free(g);
    }
    bragg_params_apply_ties(&s->params);
    return st;
}

/* --------------------------------------------------------------- results */

static void say(bragg_pdf_fit *f, const char *format, ...) BRAGG_PRINTF(2, 3);
static void say(bragg_pdf_fit *f, const char *format, ...)
{
    va_list list;
    size_t used = strlen(f->report);
    va_start(list, format);
    vsnprintf(f->report + used, sizeof f->report - used, format, list);
    va_end(list);
}

static void report_sampling(const bragg_pdf_study *s, bragg_pdf_fit *f)
{
    for (size_t k = 0; k < s->n_sets; k++) {
        const set *t = &s->set[k];
        double step = (t->r[t->wide - 1] - t->r[0]) / (double)(t->wide - 1), nyquist = BRAGG_PI / t->o.qmax_invang;
        say(f, "%s%s", t->name, *t->name ? ": " : "");
        if (!isfinite(t->o.qmax_invang))
            say(f, "warning: no qmax is known: no termination ripples, and all points are taken as independent, so esds may be too small\n");
        else if (step > nyquist * 1.001)
            say(f, "warning: steps of %.4g angstrom are wider than pi / qmax = %.4g: the data have lost information\n", step, nyquist);
        else
            say(f, "every %zu. point is fitted, steps of %.4g angstrom are within pi / qmax = %.4g%s\n", t->every, (double)t->every * step, nyquist,
                t->covariance ? "; esds with the covariance" : "");
    }
}

static void report_lsq(const bragg_pdf_study *s, const bragg_lsq *lsq, bragg_pdf_fit *f)
{
    const char *text;
    for (size_t k = 0; (text = bragg_lsq_singular(lsq, k)); k++)
        say(f, "cannot be told apart: %s\n", text);
    for (size_t i = 0; i < bragg_lsq_variables(lsq); i++)
        for (size_t j = 0; j < i; j++) {
            double c = bragg_lsq_correlation(lsq, i, j);
            if (fabs(c) > 0.9)
                say(f, "correlation %+.3f of %s and %s\n", c, s->params.at[bragg_lsq_row(lsq, j)].name, s->params.at[bragg_lsq_row(lsq, i)].name);
        }
}

static bragg_status show_set(bragg_pdf_study *s, const set *t, bragg_pdf_fit_set *out, double sum[2], bragg_error *err)
{
    double miss = 0, all = 0, weighted = 0, whole = 0, *v = calloc(4 * t->wide, sizeof *v);
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", t->wide);
    *out = (bragg_pdf_fit_set){ t->name, t->wide, t->n, v, v + t->wide, t->sigma ? v + 2 * t->wide : NULL, v + 3 * t->wide, NAN, NAN, t->covariance != NULL };
    bragg_status st = calculate(s, t, s->params.at, 1, out->calculated, NULL, 0, NULL, err);
    for (size_t i = 0; st == BRAGG_OK && i < t->wide; i++) {
        double d = t->g[i] - out->calculated[i], w = t->sigma ? 1 / (t->sigma[i] * t->sigma[i]) : NAN;
        out->r[i] = t->r[i];
        out->observed[i] = t->g[i];
        if (t->sigma)
            out->sigma[i] = t->sigma[i];
        miss += d * d;
        all += t->g[i] * t->g[i];
        weighted += w * d * d;
        whole += w * t->g[i] * t->g[i];
    }
    out->rw = sqrt(miss / all);
    out->rw_weighted = sqrt(weighted / whole);
    sum[0] += miss / all;
    sum[1] += 1;
    if (st < 0) { /* what is not counted is not freed with the fit */
        free(v);
        *out = (bragg_pdf_fit_set){ 0 };
    }
    return st;
}

static bragg_status show(bragg_pdf_study *s, bragg_pdf_fit *f, bragg_error *err)
{
    double sum[2] = { 0, 0 };
    f->set = calloc(s->n_sets, sizeof *f->set);
    bragg_status st = f->set ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for results");
    move_structures(s, s->params.at);
    for (size_t k = 0; k < s->n_sets && st == BRAGG_OK; k++) {
        st = show_set(s, &s->set[k], &f->set[k], sum, err);
        f->n_sets += st == BRAGG_OK;
    }
    f->rw = sqrt(sum[0] / sum[1]);
    return st == BRAGG_OK && s->patterns.model ? bragg_pdf_patterns_show(&s->patterns, &s->params, f, err) : st;
}

static bragg_status check_selection(const bragg_pdf_study *s, bragg_error *err)
{
    for (size_t k = 0; k < s->n_phases; k++)
        for (int row = ROW_RCUT; row <= ROW_STEPCUT; row += ROW_STEPCUT - ROW_RCUT)
            if (s->params.at[s->phase[k].shape_row + (size_t)row].refine)
                return bragg_fail(err, BRAGG_EINVAL, "%s: cannot be refined, G(r) jumps with it; try values instead",
                                  s->params.at[s->phase[k].shape_row + (size_t)row].name);
    return BRAGG_OK;
}

/* out = J' W C W J of weighted derivatives, the identity for W C W of sets whose
 * covariance is unknown. */
static void spread_noise(const bragg_pdf_study *s, double *out)
{
    size_t m = s->room;
    memset(out, 0, m * m * sizeof *out);
    for (size_t k = 0; k < s->n_sets; k++) {
        const set *t = &s->set[k];
        for (size_t a = 0; a < m; a++)
            for (size_t i = 0; i < t->n; i++) {
                double row = t->covariance ? 0 : s->jacobian[a * s->n + t->offset + i];
                for (size_t j = 0; t->covariance && j < t->n; j++)
                    row += s->jacobian[a * s->n + t->offset + j] * t->weight[j * t->every] * t->covariance[i * t->n + j] * t->weight[i * t->every];
                for (size_t b = 0; b < m; b++)
                    out[a * m + b] += row * s->jacobian[b * s->n + t->offset + i];
            }
    }
}

/* Points weighted each by itself are fitted, which the misfit of a model bears best; what
 * their noise, correlated as it is, does to the parameters is H J'W C W J H with H the
 * inverse of J'W W J (P. J. Huber, Proc. 5th Berkeley Symp. 1 (1967) 221).  No esd becomes
 * smaller than the misfit allows. */
static bragg_status correlated_esds(bragg_pdf_study *s, double chi2, bragg_error *err)
{
    size_t m = s->room;
    bool known = false;
    for (size_t k = 0; k < s->n_sets; k++)
        known = known || s->set[k].covariance;
    if (!known || !m)
        return BRAGG_OK;
    double *h = calloc(2 * m * m + m, sizeof *h), *noise = h ? h + m * m : NULL, *variance = h ? noise + m * m : NULL;
    bragg_status st = h ? prepare(s, &s->params, s->layout, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for esds");
    for (size_t a = 0; st == BRAGG_OK && a < m; a++)
        for (size_t b = 0; b < m; b++)
            for (size_t i = 0; i < s->n; i++)
                h[a * m + b] += s->jacobian[a * s->n + i] * s->jacobian[b * s->n + i];
    if (st == BRAGG_OK)
        spread_noise(s, noise);
    if (st == BRAGG_OK && s->patterns.model)
        st = bragg_pdf_patterns_normal(&s->patterns, m, h, noise, err);
    if (st == BRAGG_OK && bragg_symmetric_invert(h, m)) {
        for (size_t k = 0; k < m; k++)
            for (size_t a = 0; a < m; a++)
                for (size_t b = 0; b < m; b++)
                    variance[k] += h[k * m + a] * noise[a * m + b] * h[b * m + k];
        for (size_t row = 0; row < s->params.n; row++)
            if (s->layout->column[row] >= 0)
                s->params.at[row].esd = fabs(s->layout->weight[row]) * sqrt(fmax(variance[s->layout->column[row]], 0) * fmax(chi2, 1));
    }
    free(h);
    return st;
}

/* What went to the end where G(r) no longer feels it has no esd. */
static void forget_vanished(bragg_pdf_study *s, bragg_pdf_fit *f)
{
    const double least_invang = 1e-4;
    for (size_t k = 0; k < s->n_sets; k++)
        for (int i = 0; i < 2; i++) {
            bragg_param *p = &s->params.at[i ? s->set[k].qbroad_row : s->set[k].qdamp_row];
            if (p->refine && p->value < least_invang) {
                p->value = 0;
                p->esd = NAN;
                say(f, "%s: went to 0, where G(r) does not feel it\n", p->name);
            }
        }
}

/* Without sigmas of the data esds come from the misfit. */
static bragg_status solve(bragg_pdf_study *s, const bragg_pdf_fit_options *o, bragg_pdf_fit *f, bragg_error *err)
{
    bragg_lsq_problem problem = { .n = whole_blocks(s), .padding = whole_blocks(s) - s->n, .prepare = prepare, .residuals = residuals, .payload = s };
    size_t padding = 0;
    bragg_lsq_options options = BRAGG_LSQ_OPTIONS_INIT;
    bragg_lsq *lsq = NULL;
    if (s->patterns.model)
        problem.n += bragg_pdf_patterns_count(&s->patterns, &padding);
    problem.padding += padding;
    f->fitted = problem.n - problem.padding;
    options.max_cycles = o->max_cycles;
    options.observer = o->observer;
    options.counting_esds = true;
    for (size_t k = 0; k < s->n_sets; k++)
        options.counting_esds = options.counting_esds && s->set[k].sigma;
    bragg_status st = bragg_lsq_new(&problem, &s->params, &options, &lsq, err);
    if (st == BRAGG_OK)
        st = bragg_lsq_solve(lsq, err);
    f->converged = st == BRAGG_CONVERGED;
    f->cycles = lsq ? bragg_lsq_cycles(lsq) : 0;
    f->variables = lsq ? bragg_lsq_variables(lsq) : 0;
    f->chi2 = lsq && options.counting_esds && f->fitted > f->variables ? bragg_lsq_chi2(lsq) / (double)(f->fitted - f->variables) : NAN;
    if (lsq && (st >= 0 || st == BRAGG_ENOCONV)) {
        report_lsq(s, lsq, f);
        if (options.counting_esds && correlated_esds(s, f->chi2, st < 0 ? NULL : err) < 0)
            st = st < 0 ? st : BRAGG_ENOMEM;
        forget_vanished(s, f);
    }
    bragg_lsq_free(lsq);
    return st > 0 ? BRAGG_OK : st;
}

bragg_status bragg_pdf_study_fit(bragg_pdf_study *s, const bragg_pdf_fit_options *o, bragg_pdf_fit **out, bragg_error *err)
{
    bragg_pdf_fit *f = *out = calloc(1, sizeof *f);
    bragg_status st = f ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a fit"), shown;
    if (st == BRAGG_OK && !s->built)
        st = bragg_fail(err, BRAGG_EINVAL, "fit: expected a built study");
    if (st == BRAGG_OK)
        st = check_selection(s, err);
    if (st == BRAGG_OK) {
        report_sampling(s, f);
        leave_zero(s);
        if (s->patterns.model)
            st = bragg_pdf_patterns_start(&s->patterns, &s->params, o->observer, err);
    }
    if (st == BRAGG_OK)
        st = start_scales(s, err);
    if (st == BRAGG_OK)
        st = solve(s, o, f, err);
    if (st == BRAGG_OK || st == BRAGG_ENOCONV) {
        shown = show(s, f, st < 0 ? NULL : err);
        st = st < 0 ? st : shown;
    }
    if (st < 0 && st != BRAGG_ENOCONV) {
        bragg_pdf_fit_free(f);
        *out = NULL;
    }
    return st;
}

void bragg_pdf_fit_free(bragg_pdf_fit *f)
{
    if (!f)
        return;
    for (size_t k = 0; f->set && k < f->n_sets; k++)
        free(f->set[k].r);
    for (size_t k = 0; f->pattern && k < f->n_patterns; k++)
        free(f->pattern[k].two_theta_rad);
    free(f->set);
    free(f->pattern);
    free(f);
}
