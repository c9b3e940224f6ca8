/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Real-space fit of a structure to G(r).
 *
 *      table: scale delta1 delta2 qdamp qbroad spdiameter cell.a … atom.X.uiso, .x, .y, .z
 *        │ into a structure and a shape        derivatives: central differences
 *        ▼                                     of the model, one pair a variable
 *      bragg_pdf_model ──► every k-th point ──► bragg_lsq */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/lsq.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE, DELTA1, DELTA2, QDAMP, QBROAD, SPDIAMETER, N_SHAPE, CELL = N_SHAPE, ATOMS = CELL + 6, UISO = 0, X = 1, N_ATOM = 4 };

static const struct {
    const char *name, *unit;
    double upper;
} shape_rows[N_SHAPE] = { { "scale", "", INFINITY },           { "delta1", "angstrom", 5 },      { "delta2", "angstrom^2", 20 },
                          { "qdamp", "angstrom^-1", 0.5 }, { "qbroad", "angstrom^-1", 0.5 }, { "spdiameter", "angstrom", 1e5 } };

typedef struct fitting {
    bragg_structure *structure;
    const bragg_pdf_data *data;
    bragg_pdf_shape shape;
    bragg_params *params;
    size_t first, every, n, wide;    /* fitted points: first + i every; wide: all model points */
    double *model, *shifted, *jacobian; /* jacobian: one row of n for each variable */
    size_t room;
} fitting;

/* ------------------------------------------------------------ parameters */

static double *shape_value(bragg_pdf_shape *s, int row)
{
    double *const at[N_SHAPE] = { &s->scale, &s->delta1_ang, &s->delta2_ang2, &s->qdamp_invang, &s->qbroad_invang, &s->spdiameter_ang };
    return at[row];
}

/* G(r) does not change at first with what enters squared: away from 0 to begin. */
static double start_of(int row, double value, bool refine)
{
    return !refine || value > 0 ? value : row == QDAMP ? 0.03 : row == QBROAD ? 0.01 : row == SPDIAMETER ? 60 : value;
}

/* The whole word in a list of names between commas or blanks. */
static bool wanted(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || strchr(", ", at[-1])) && (!at[length] || strchr(", ", at[length])))
            return true;
    return false;
}

static bragg_status check_names(const char *list, bragg_error *err)
{
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ", ");
        bool known = (length == 4 && (!strncmp(at, "cell", 4) || !strncmp(at, "uiso", 4))) || !length || (length == 9 && !strncmp(at, "positions", 9));
        for (int k = 0; k < N_SHAPE; k++)
            known = known || (strlen(shape_rows[k].name) == length && !strncmp(at, shape_rows[k].name, length));
        if (!known)
            return bragg_fail(err, BRAGG_EINVAL, "refine: expected scale, cell, uiso, positions, delta1, delta2, qdamp, qbroad or spdiameter, found '%.*s'",
                              (int)length, at);
        at += length + (at[length] != 0);
    }
    return BRAGG_OK;
}

static bragg_status add_row(fitting *f, const char *name, const char *unit, double value, double lower, double upper, bool refine, bragg_error *err)
{
    size_t k;
    bragg_status st = bragg_params_add(f->params, name, unit, value, &k, err);
    if (st < 0)
        return st;
    f->params->at[k].lower = lower;
    f->params->at[k].upper = upper;
    f->params->at[k].refine = refine;
    return BRAGG_OK;
}

static bragg_status add_cell(fitting *f, bool refine, bragg_error *err)
{
    static const char *const names[] = { "cell.a", "cell.b", "cell.c", "cell.alpha", "cell.beta", "cell.gamma" };
    int tie[6];
    bragg_status st = BRAGG_OK;
    const double *v = &f->structure->cell.a;
    bragg_symmetry_cell_ties(&f->structure->symmetry, tie);
    for (int k = 0; k < 6 && st == BRAGG_OK; k++)
        st = add_row(f, names[k], k < 3 ? "angstrom" : "rad", v[k], v[k] * 0.8, v[k] * 1.2, refine && tie[k] == BRAGG_CELL_FREE, err);
    for (int k = 0; k < 6 && st == BRAGG_OK; k++)
        if (tie[k] >= 0)
            st = bragg_params_tie(f->params, CELL + (size_t)k, CELL + (size_t)tie[k], 1, 0, err);
    return st;
}

static size_t row_of(size_t atom, int what) { return ATOMS + N_ATOM * atom + (size_t)what; }

/* The directions that the site leaves free, to echelon form: coordinate pivot[r]
 * moves by itself and others with it. */
static void reduce_directions(double basis[3][3], size_t n, int pivot[3])
{
    size_t done = 0;
    for (int c = 0; c < 3 && done < n; c++) {
        size_t best = done;
        for (size_t r = done; r < n; r++)
            best = fabs(basis[r][c]) > fabs(basis[best][c]) ? r : best;
        if (fabs(basis[best][c]) < 1e-6)
            continue;
        for (int k = 0; k < 3; k++) {
            double swap = basis[done][k];
            basis[done][k] = basis[best][k];
            basis[best][k] = swap;
        }
        double scale = basis[done][c];
        for (int k = 0; k < 3; k++)
            basis[done][k] /= scale;
        for (size_t r = 0; r < n; r++) {
            double factor = basis[r][c];
            for (int k = 0; r != done && k < 3; k++)
                basis[r][k] -= factor * basis[done][k];
        }
        pivot[done++] = c;
    }
}

/* A coordinate that would follow two others stays. */
static bragg_status free_position(fitting *f, size_t a, bool refine, bragg_error *err)
{
    double basis[3][3];
    size_t n;
    int pivot[3] = { -1, -1, -1 };
    bragg_status st = BRAGG_OK;
    bragg_site_directions(&f->structure->symmetry, &f->structure->cell, f->structure->atom[a].x, basis, &n);
    reduce_directions(basis, n, pivot);
    for (int c = 0; c < 3; c++)
        for (size_t r = 0; r < n && st == BRAGG_OK; r++) {
            bragg_param *p = &f->params->at[row_of(a, X + c)];
            size_t follows = 0, to = row_of(a, X + pivot[r]);
            for (size_t k = 0; k < n; k++)
                follows += fabs(basis[k][c]) > 1e-6;
            if (pivot[r] == c)
                p->refine = refine;
            else if (follows == 1 && fabs(basis[r][c]) > 1e-6)
                st = bragg_params_tie(f->params, row_of(a, X + c), to, basis[r][c], p->value - basis[r][c] * f->params->at[to].value, err);
        }
    return st;
}

static bragg_status follow_atom(fitting *f, size_t a, size_t b, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < N_ATOM && st == BRAGG_OK; k++) {
        f->params->at[row_of(a, k)].refine = false;
        st = bragg_params_tie(f->params, row_of(a, k), row_of(b, k), 1, 0, err);
    }
    return st;
}

/* Species that share a site share its displacement and move together. */
static bragg_status tie_mixed_sites(fitting *f, bragg_error *err)
{
    const bragg_structure *s = f->structure;
    bragg_status st = BRAGG_OK;
    for (size_t a = 1; a < s->n_atoms; a++)
        for (size_t b = 0; b < a && st == BRAGG_OK; b++)
            if (!memcmp(s->atom[a].x, s->atom[b].x, sizeof s->atom[a].x) && s->atom[a].uiso_ang2 == s->atom[b].uiso_ang2) {
                st = follow_atom(f, a, b, err);
                break;
            }
    return st;
}

static bragg_status make_table(fitting *f, const char *refine, bragg_error *err)
{
    bragg_status st = check_names(refine, err);
    for (int k = 0; k < N_SHAPE && st == BRAGG_OK; k++) {
        bool moves = wanted(refine, shape_rows[k].name);
        st = add_row(f, shape_rows[k].name, shape_rows[k].unit, start_of(k, *shape_value(&f->shape, k), moves), 0, shape_rows[k].upper, moves, err);
    }
    if (st == BRAGG_OK)
        st = add_cell(f, wanted(refine, "cell"), err);
    for (size_t a = 0; st == BRAGG_OK && a < f->structure->n_atoms; a++) {
        static const char *const ends[N_ATOM] = { "uiso", "x", "y", "z" };
        char stem[80], name[96];
        bragg_atom *atom = &f->structure->atom[a];
        if (!(atom->uiso_ang2 > 0))
            atom->uiso_ang2 = 0.005;
        snprintf(stem, sizeof stem, "atom.%.40s", atom->label ? atom->label : f->structure->scatterer[atom->scatterer].name);
        snprintf(name, sizeof name, "%s.uiso", stem);
        if (bragg_params_find(f->params, name) >= 0)
            snprintf(stem + strlen(stem), sizeof stem - strlen(stem), "-%zu", a + 1);
        for (int k = 0; k < N_ATOM && st == BRAGG_OK; k++) {
            snprintf(name, sizeof name, "%s.%s", stem, ends[k]);
            st = k == UISO ? add_row(f, name, "angstrom^2", atom->uiso_ang2, 1e-4, 1, wanted(refine, "uiso") && !atom->anisotropic, err)
                           : add_row(f, name, "", atom->x[k - X], atom->x[k - X] - 0.2, atom->x[k - X] + 0.2, false, err);
        }
        if (st == BRAGG_OK)
            st = free_position(f, a, wanted(refine, "positions"), err);
    }
    return st == BRAGG_OK ? tie_mixed_sites(f, err) : st;
}

static bragg_status calculate(fitting *f, const bragg_params *p, double *g, bragg_error *err)
{
    for (int k = 0; k < N_SHAPE; k++)
        *shape_value(&f->shape, k) = p->at[k].value;
    for (int k = 0; k < 6; k++)
        (&f->structure->cell.a)[k] = p->at[CELL + k].value;
    for (size_t a = 0; a < f->structure->n_atoms; a++) {
        f->structure->atom[a].uiso_ang2 = p->at[row_of(a, UISO)].value;
        for (int k = 0; k < 3; k++)
            f->structure->atom[a].x[k] = p->at[row_of(a, X + k)].value;
    }
    return bragg_pdf_model(f->structure, &f->shape, g, NULL, err);
}

/* ---------------------------------------------------------- least squares */

/* All rows that follow one variable move together, so ties need no thought. */
static bragg_status move_column(fitting *f, bragg_params *p, const bragg_lsq_layout *layout, size_t column, double by, double *g, bragg_error *err)
{
    for (size_t k = 0; k < p->n; k++)
        if (layout->column[k] == (ptrdiff_t)column)
            p->at[k].value += layout->weight[k] * by;
    bragg_status st = calculate(f, p, g, err);
    for (size_t k = 0; k < p->n; k++)
        if (layout->column[k] == (ptrdiff_t)column)
            p->at[k].value -= layout->weight[k] * by;
    return st;
}

static double difference_step(const bragg_params *p, const bragg_lsq_layout *layout, size_t column)
{
    for (size_t k = 0; k < p->n; k++)
        if (layout->column[k] == (ptrdiff_t)column)
            return k == DELTA1 || k == DELTA2 ? 1e-3 : k == QDAMP || k == QBROAD ? 1e-4 : k >= CELL && k < ATOMS ? 1e-5 * p->at[k].value : k >= ATOMS && (k - ATOMS) % N_ATOM != UISO ? 1e-4 : 1e-3 * fabs(p->at[k].value) + 1e-7;
    return 1e-6;
}

static bragg_status prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout, bragg_error *err)
{
    fitting *f = payload;
    bragg_params p = BRAGG_PARAMS_INIT;
    bragg_status st = bragg_params_copy(&p, params, err);
    if (st == BRAGG_OK && f->room < layout->n_variables) {
        free(f->jacobian);
        f->jacobian = calloc(layout->n_variables * f->n, sizeof *f->jacobian);
        f->room = f->jacobian ? layout->n_variables : 0;
        st = f->jacobian ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for derivatives");
    }
    for (size_t c = 0; st == BRAGG_OK && c < layout->n_variables; c++) {
        double h = difference_step(&p, layout, c), *row = f->jacobian + c * f->n;
        st = move_column(f, &p, layout, c, h, f->shifted, err);
        for (size_t i = 0; st == BRAGG_OK && i < f->n; i++)
            row[i] = f->shifted[i * f->every] / (2 * h);
        if (st == BRAGG_OK)
            st = move_column(f, &p, layout, c, -h, f->shifted, err);
        for (size_t i = 0; st == BRAGG_OK && i < f->n; i++)
            row[i] -= f->shifted[i * f->every] / (2 * h);
    }
    if (st == BRAGG_OK)
        st = calculate(f, &p, f->model, err);
    bragg_params_free(&p);
    return st;
}

static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const fitting *f = payload;
    (void)err;
    for (size_t i = first; i < last; i++) {
        size_t at = f->first + i * f->every;
        double w = f->data->sigma ? 1 / f->data->sigma[at] : 1;
        r[i - first] = w * (f->data->g[at] - f->model[i * f->every]);
        for (size_t c = 0; c < f->room; c++)
            jacobian[c * BRAGG_LSQ_BLOCK + i - first] = -w * f->jacobian[c * f->n + i];
    }
    return BRAGG_OK;
}

/* The grid of the data between the limits; it must have equal steps. */
static bragg_status choose_points(fitting *f, const bragg_pdf_fit_options *o, bragg_error *err)
{
    const bragg_pdf_data *d = f->data;
    size_t last = d->n;
    double step = (d->r[d->n - 1] - d->r[0]) / (double)(d->n - 1);
    for (size_t i = 0; i < d->n; i++)
        if (fabs(d->r[i] - d->r[0] - (double)i * step) > 0.02 * step)
            return bragg_fail(err, BRAGG_EDATA, "G(r): expected equal steps of %g angstrom, found r = %g at point %zu", step, d->r[i], i + 1);
    while (f->first < d->n && d->r[f->first] < fmax(o->rmin_ang, 0.1 * step) - 1e-9)
        f->first++;
    while (last > f->first && d->r[last - 1] > o->rmax_ang + 1e-9)
        last--;
    f->every = isfinite(f->shape.qmax_invang) ? (size_t)fmax(1, floor(BRAGG_PI / f->shape.qmax_invang / step)) : 1;
    f->wide = last - f->first;
    f->n = f->wide ? (f->wide - 1) / f->every + 1 : 0;
    if (f->n < 8)
        return bragg_fail(err, BRAGG_EINVAL, "r range %g to %g angstrom: only %zu points of the data are in it", o->rmin_ang, o->rmax_ang, f->wide);
    f->shape.rmin_ang = d->r[0] + (double)f->first * step;
    f->shape.rstep_ang = step;
    f->shape.n = f->wide;
    f->model = calloc(f->wide, sizeof *f->model);
    f->shifted = calloc(f->wide, sizeof *f->shifted);
    return f->model && f->shifted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", f->wide);
}

/* The scale is linear: start from its best value. */
static bragg_status start_scale(fitting *f, bragg_error *err)
{
    double xy = 0, xx = 0;
    bragg_param *scale = &f->params->at[SCALE];
    if (!scale->refine)
        return BRAGG_OK;
    scale->value = 1;
    bragg_status st = calculate(f, f->params, f->model, err);
    for (size_t i = 0; st == BRAGG_OK && i < f->wide; i++) {
        xy += f->model[i] * f->data->g[f->first + i];
        xx += f->model[i] * f->model[i];
    }
    scale->value = xy > 0 ? xy / xx : 1;
    return st;
}

static bragg_status show(fitting *f, bragg_pdf_fit *out, bragg_error *err)
{
    double miss = 0, all = 0;
    out->n = f->wide;
    out->fitted = f->n;
    out->r = calloc(f->wide, sizeof *out->r);
    out->observed = calloc(f->wide, sizeof *out->observed);
    out->calculated = calloc(f->wide, sizeof *out->calculated);
    if (!out->r || !out->observed || !out->calculated)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", f->wide);
    bragg_status st = calculate(f, f->params, out->calculated, err);
    for (size_t i = 0; st == BRAGG_OK && i < f->wide; i++) {
        out->r[i] = f->data->r[f->first + i];
        out->observed[i] = f->data->g[f->first + i];
        miss += (out->observed[i] - out->calculated[i]) * (out->observed[i] - out->calculated[i]);
        all += out->observed[i] * out->observed[i];
    }
    out->rw = all > 0 ? sqrt(miss / all) : NAN;
    return st;
}

/* Without sigmas of the data esds come from the misfit. */
static bragg_status solve(fitting *f, const bragg_pdf_fit_options *o, bragg_pdf_fit *out, bragg_error *err)
{
    const bragg_lsq_problem problem = { .n = f->n, .prepare = prepare, .residuals = residuals, .payload = f };
    bragg_lsq_options options = BRAGG_LSQ_OPTIONS_INIT;
    bragg_lsq *lsq = NULL;
    options.max_cycles = o->max_cycles;
    options.observer = o->observer;
    options.counting_esds = f->data->sigma != NULL;
    bragg_status st = bragg_lsq_new(&problem, f->params, &options, &lsq, err);
    if (st == BRAGG_OK)
        st = bragg_lsq_solve(lsq, err);
    out->converged = st == BRAGG_CONVERGED;
    out->cycles = lsq ? bragg_lsq_cycles(lsq) : 0;
    bragg_lsq_free(lsq);
    return st > 0 ? BRAGG_OK : st;
}

bragg_status bragg_pdf_fit_structure(const bragg_structure *structure, const bragg_pdf_data *data, const bragg_pdf_fit_options *o, bragg_pdf_fit **out,
                                     bragg_error *err)
{
    bragg_pdf_fit *fit = *out = calloc(1, sizeof *fit);
    fitting f = { .structure = bragg_structure_copy(structure), .data = data, .shape = o->shape };
    bragg_status st = fit && f.structure ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a fit"), shown;
    if (st == BRAGG_OK) {
        f.params = &fit->params;
        if (!isfinite(f.shape.qmax_invang) && data->qmax_invang > 0)
            f.shape.qmax_invang = data->qmax_invang;
        st = choose_points(&f, o, err);
    }
    if (st == BRAGG_OK)
        st = make_table(&f, o->refine, err);
    if (st == BRAGG_OK)
        st = start_scale(&f, err);
    if (st == BRAGG_OK)
        st = solve(&f, o, fit, err);
    if (st == BRAGG_OK || st == BRAGG_ENOCONV) {
        shown = show(&f, fit, st < 0 ? NULL : err);
        st = st < 0 ? st : shown;
    }
    if (st < 0 && st != BRAGG_ENOCONV) {
        bragg_pdf_fit_free(fit);
        *out = NULL;
    }
    bragg_structure_free(f.structure);
    free(f.model);
    free(f.shifted);
    free(f.jacobian);
    return st;
}

void bragg_pdf_fit_free(bragg_pdf_fit *f)
{
    if (!f)
        return;
    bragg_params_free(&f->params);
    free(f->r);
    free(f->observed);
    free(f->calculated);
    free(f);
}
