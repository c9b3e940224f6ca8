/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is known besides the patterns: residuals of their own behind the points. */
#include "config.h"
#include "model.h"

#include <bragg/array.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bragg_status bragg_refine_add_restraint(bragg_model *m, enum restraint_kind kind, restraint **out, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&m->restraint, &m->room_restraints, m->n_restraints + 1, sizeof *m->restraint, err);
    if (st < 0)
        return st;
    *out = &m->restraint[m->n_restraints++];
    **out = (restraint){ .kind = kind, .sigma = 1 };
    return BRAGG_OK;
}

/* Those that one fit made for itself. */
void bragg_refine_drop_passing(bragg_model *m)
{
    size_t kept = 0;
    for (size_t k = 0; k < m->n_restraints; k++)
        if (!m->restraint[k].passing)
            m->restraint[kept++] = m->restraint[k];
    m->n_restraints = kept;
}

/* Behind the last pattern, in blocks of their own. */
void bragg_refine_place_restraints(bragg_model *m)
{
    size_t blocks = (m->n_restraints + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    m->problem.n = m->first_restraint + blocks * BRAGG_LSQ_BLOCK;
    m->problem.padding = m->problem.n - m->n_observations - m->n_restraints;
}

static void add_slope(const bragg_lsq_layout *l, double *jacobian, size_t at, size_t row, double slope)
{
    if (jacobian && l && l->n_variables && l->column[row] >= 0)
        jacobian[(size_t)l->column[row] * BRAGG_LSQ_BLOCK + at] += slope * l->weight[row];
}

static double difference(const bragg_model *m, const restraint *t, size_t at, double *jacobian)
{
    add_slope(m->layout, jacobian, at, t->row[0], 1 / t->sigma);
    add_slope(m->layout, jacobian, at, t->row[1], -1 / t->sigma);
    return (m->params.at[t->row[0]].value - m->params.at[t->row[1]].value - t->value) / t->sigma;
}

/* ------------------------------------------------------------- geometry */

/* A vector between two atoms in fractions, and how both atoms move it. */
typedef struct arm {
    double d[3];
    const site_image *from, *to;
} arm;

static void place(const phase *p, const site_image *s, double out[3])
{
    const double *x = p->structure->atom[s->atom].x;
    for (int i = 0; i < 3; i++)
        out[i] = s->shift[i] + s->r[i][0] * x[0] + s->r[i][1] * x[1] + s->r[i][2] * x[2];
}

static arm arm_between(const phase *p, const site_image *from, const site_image *to)
{
    double a[3], b[3];
    place(p, from, a);
    place(p, to, b);
    return (arm){ { b[0] - a[0], b[1] - a[1], b[2] - a[2] }, from, to };
}

static void metric(const bragg_cell *c, double e[3], double cosine[3][3])
{
    const double k[3][3] = { { 1, cos(c->gamma), cos(c->beta) }, { cos(c->gamma), 1, cos(c->alpha) }, { cos(c->beta), cos(c->alpha), 1 } };
    e[0] = c->a;
    e[1] = c->b;
    e[2] = c->c;
    memcpy(cosine, k, sizeof k);
}

static double dot(const bragg_cell *cell, const double u[3], const double v[3])
{
    double e[3], c[3][3], sum = 0;
    metric(cell, e, c);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            sum += u[i] * v[j] * e[i] * e[j] * c[i][j];
    return sum;
}

/* d(u.v) times factor into the Jacobian: through both arms' atoms and the cell. */
static void dot_slopes(const bragg_model *m, const phase *p, const arm *u, const arm *v, double factor, size_t at, double *jacobian)
{
    const bragg_cell *cell = &p->structure->cell;
    const double angle[3] = { cell->alpha, cell->beta, cell->gamma };
    double e[3], c[3][3];
    metric(cell, e, c);
    for (int side = 0; side < 2; side++) {
        const arm *moved = side ? v : u, *other = side ? u : v;
        for (int i = 0; i < 3; i++) {
            double by = 0; /* d(u.v) / d moved_i */
            for (int j = 0; j < 3; j++)
                by += e[i] * e[j] * c[i][j] * other->d[j];
            for (int k = 0; k < 3; k++) {
                add_slope(m->layout, jacobian, at, p->atom_row + moved->to->atom * BRAGG_ATOM_ROWS + (size_t)k, factor * by * moved->to->r[i][k]);
                add_slope(m->layout, jacobian, at, p->atom_row + moved->from->atom * BRAGG_ATOM_ROWS + (size_t)k, -factor * by * moved->from->r[i][k]);
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        double by_edge = 0;
        for (int j = 0; j < 3; j++)
            by_edge += (u->d[i] * v->d[j] + u->d[j] * v->d[i]) * e[j] * c[i][j];
        add_slope(m->layout, jacobian, at, p->cell_row + i, factor * by_edge);
        int j = (i + 1) % 3, k = (i + 2) % 3;
        double by_angle = -(u->d[j] * v->d[k] + u->d[k] * v->d[j]) * e[j] * e[k] * sin(angle[i]);
        add_slope(m->layout, jacobian, at, p->cell_row + 3 + i, factor * by_angle * BRAGG_DEG);
    }
}

static double distance(const bragg_model *m, const restraint *t, size_t at, double *jacobian)
{
    const phase *p = &m->phase[t->phase];
    arm u = arm_between(p, &t->site[0], &t->site[1]);
    double d = sqrt(dot(&p->structure->cell, u.d, u.d));
    dot_slopes(m, p, &u, &u, 0.5 / d / t->sigma, at, jacobian);
    return (d - t->value) / t->sigma;
}

/* At the second of three sites, degrees. */
static double angle(const bragg_model *m, const restraint *t, size_t at, double *jacobian)
{
    const phase *p = &m->phase[t->phase];
    const bragg_cell *cell = &p->structure->cell;
    arm u = arm_between(p, &t->site[1], &t->site[0]), v = arm_between(p, &t->site[1], &t->site[2]);
    double uv = dot(cell, u.d, v.d), uu = dot(cell, u.d, u.d), vv = dot(cell, v.d, v.d), root = sqrt(uu * vv);
    double cosine = fmin(fmax(uv / root, -1), 1), sine = sqrt(fmax(1 - cosine * cosine, 1e-12)), per = -1 / (sine * BRAGG_DEG * t->sigma);
    dot_slopes(m, p, &u, &v, per / root, at, jacobian);
    dot_slopes(m, p, &u, &u, -per * cosine / (2 * uu), at, jacobian);
    dot_slopes(m, p, &v, &v, -per * cosine / (2 * vv), at, jacobian);
    return (acos(cosine) / BRAGG_DEG - t->value) / t->sigma;
}

static double sum(const bragg_model *m, const restraint *t, size_t at, double *jacobian)
{
    double total = 0;
    for (size_t k = 0; k < t->n_rows; k++) {
        total += m->params.at[t->rows[k]].value;
        add_slope(m->layout, jacobian, at, t->rows[k], 1 / t->sigma);
    }
    return (total - t->value) / t->sigma;
}

static double expected(const bragg_model *m, const restraint *t, size_t at, double *jacobian)
{
    add_slope(m->layout, jacobian, at, t->row[0], 1 / t->sigma);
    return (m->params.at[t->row[0]].value - t->value) / t->sigma;
}

void bragg_refine_restrain(const bragg_model *m, size_t first, size_t last, double *r, double *jacobian)
{
    static double (*const kinds[])(const bragg_model *, const restraint *, size_t, double *) = {
        [RESTRAINT_DIFFERENCE] = difference, [RESTRAINT_SUM] = sum, [RESTRAINT_DISTANCE] = distance, [RESTRAINT_ANGLE] = angle, [RESTRAINT_VALUE] = expected };
    for (size_t i = first; i < last && i - m->first_restraint < m->n_restraints; i++) {
        const restraint *t = &m->restraint[i - m->first_restraint];
        r[i - first] = kinds[t->kind](m, t, i - first, jacobian);
    }
}

/* ---------------------------------------------------------------- making */

static size_t atom_named(const phase *p, const char *label)
{
    for (size_t j = 0; j < p->structure->n_atoms; j++)
        if (!strcmp(p->structure->atom[j].label, label))
            return j;
    return NO_ROW;
}

static site_image as_listed(size_t atom)
{
    return (site_image){ atom, { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } }, { 0, 0, 0 } };
}

enum { MOST_IMAGES = 400 };

/* Images of an atom around a site, by every operation and the lattice steps nearby,
 * that are not the site itself; those within `reach` times the nearest distance. */
static size_t images_around(const phase *p, const site_image *centre, size_t atom, double near, double reach, site_image *out)
{
    const bragg_symmetry *s = &p->structure->symmetry;
    double shortest = INFINITY, c[3];
    size_t n = 0;
    place(p, centre, c);
    for (int pass = 0; pass < 2; pass++)
        for (size_t o = 0; o < s->n_ops; o++)
            for (int step = 0; step < 125; step++) {
                site_image at = { .atom = atom };
                for (int i = 0; i < 3; i++)
                    for (int j = 0; j < 3; j++)
                        at.r[i][j] = s->op[o].r[i][j];
                for (int i = 0; i < 3; i++)
                    at.shift[i] = s->op[o].t[i];
                double x[3];
                place(p, &at, x);
                const int steps[3] = { step % 5 - 2, step / 5 % 5 - 2, step / 25 - 2 };
                for (int i = 0; i < 3; i++)
                    at.shift[i] += rint(c[i] - x[i]) + steps[i];
                arm u = arm_between(p, centre, &at);
                double d = sqrt(dot(&p->structure->cell, u.d, u.d)), off = near > 0 ? fabs(d - near) : d;
                if (d < 0.1)
                    continue;
                if (!pass)
                    shortest = fmin(shortest, off);
                else if (n < MOST_IMAGES && off <= (near > 0 ? shortest + 1e-6 : reach * shortest))
                    out[n++] = at;
            }
    return n;
}

static bragg_status check_values(double value, double sigma, bragg_error *err)
{
    return isfinite(value) && sigma > 0 && isfinite(sigma) ? BRAGG_OK
               : bragg_fail(err, BRAGG_EDATA, "restraint: expected a value and a positive sigma, found %g and %g", value, sigma);
}

static bragg_status find_atoms(const phase *p, const char *const *labels, size_t n, size_t *atom, bragg_error *err)
{
    for (size_t k = 0; k < n; k++) {
        atom[k] = atom_named(p, labels[k]);
        if (atom[k] == NO_ROW)
            return bragg_fail(err, BRAGG_EDATA, "restraint: phase %s has no atom '%s'", p->name, labels[k]);
    }
    return BRAGG_OK;
}

/* The pair of images around the vertex whose angle is nearest to the one wanted. */
static bool choose_angle(const phase *p, const size_t atom[3], double wanted, restraint *t)
{
    site_image *a = malloc(2 * MOST_IMAGES * sizeof *a), *c = a ? a + MOST_IMAGES : NULL;
    double best = INFINITY;
    t->site[1] = as_listed(atom[1]);
    size_t na = a ? images_around(p, &t->site[1], atom[0], 0, 1.25, a) : 0, nc = a ? images_around(p, &t->site[1], atom[2], 0, 1.25, c) : 0;
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nc; j++) {
            arm u = arm_between(p, &t->site[1], &a[i]), v = arm_between(p, &t->site[1], &c[j]);
            const bragg_cell *cell = &p->structure->cell;
            double cosine = dot(cell, u.d, v.d) / sqrt(dot(cell, u.d, u.d) * dot(cell, v.d, v.d));
            double off = fabs(acos(fmin(fmax(cosine, -1), 1)) / BRAGG_DEG - wanted);
            if (cosine < 0.999 && off < best) {
                best = off;
                t->site[0] = a[i];
                t->site[2] = c[j];
            }
        }
    free(a);
    return isfinite(best);
}

bragg_status bragg_model_restrain_atoms(bragg_model *m, const char *name, const char *const *labels, size_t n, double value, double sigma, bragg_error *err)
{
    size_t atom[3] = { 0 };
    restraint *t;
    if (!m->built || (n != 2 && n != 3))
        return bragg_fail(err, BRAGG_EINVAL, "restraint: expected a built model and two or three atoms, got %zu", n);
    bragg_status st = check_values(value, sigma, err);
    const phase *p = bragg_refine_phase(m, name);
    if (st == BRAGG_OK && !p)
        st = bragg_fail(err, BRAGG_EDATA, "restraint: '%s' is no phase", name);
    if (st == BRAGG_OK)
        st = find_atoms(p, labels, n, atom, err);
    if (st == BRAGG_OK)
        st = bragg_refine_add_restraint(m, n == 2 ? RESTRAINT_DISTANCE : RESTRAINT_ANGLE, &t, err);
    if (st < 0)
        return st;
    t->phase = (size_t)(p - m->phase);
    t->value = value;
    t->sigma = sigma;
    t->site[0] = as_listed(atom[0]);
    site_image found[MOST_IMAGES];
    bool good = n == 2 ? images_around(p, &t->site[0], atom[1], value, 1, found) > 0 : choose_angle(p, atom, value, t);
    if (good && n == 2)
        t->site[1] = found[0];
    m->n_restraints -= !good;
    bragg_refine_place_restraints(m);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "restraint: phase %s: found no such %s", name, n == 2 ? "distance" : "angle");
}

bragg_status bragg_model_restrain_sum(bragg_model *m, const size_t *rows, size_t n, double value, double sigma, bragg_error *err)
{
    restraint *t;
    bragg_status st = check_values(value, sigma, err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        if (rows[k] >= m->params.n)
            st = bragg_fail(err, BRAGG_EINVAL, "restraint: expected rows below %zu, got %zu", m->params.n, rows[k]);
    size_t *kept = st == BRAGG_OK ? bragg_arena_alloc(m->arena, n + 1, sizeof *kept) : NULL;
    if (st == BRAGG_OK && !kept)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a restraint");
    if (st == BRAGG_OK)
        st = bragg_refine_add_restraint(m, RESTRAINT_SUM, &t, err);
    if (st < 0)
        return st;
    memcpy(kept, rows, n * sizeof *rows);
    t->rows = kept;
    t->n_rows = n;
    t->value = value;
    t->sigma = sigma;
    bragg_refine_place_restraints(m);
    return BRAGG_OK;
}

bragg_status bragg_model_expect(bragg_model *m, const size_t *rows, const double *value, const double *sigma, size_t n, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    size_t kept = 0;
    restraint *t;
    for (size_t k = 0; k < m->n_restraints; k++)
        if (m->restraint[k].kind != RESTRAINT_VALUE)
            m->restraint[kept++] = m->restraint[k];
    m->n_restraints = kept;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        st = rows[k] < m->params.n ? check_values(value[k], sigma[k], err)
                                   : bragg_fail(err, BRAGG_EINVAL, "restraint: expected rows below %zu, got %zu", m->params.n, rows[k]);
        if (st == BRAGG_OK && (st = bragg_refine_add_restraint(m, RESTRAINT_VALUE, &t, err)) == BRAGG_OK)
            t->row[0] = rows[k], t->value = value[k], t->sigma = sigma[k];
    }
    bragg_refine_place_restraints(m);
    return st;
}
