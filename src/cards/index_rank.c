/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How good is a cell: refinement, figures of merit, evidence, and who is whose sublattice. */
#include "config.h"
#include "indexing.h"

#include <bragg/array.h>
#include <bragg/lsq.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------- calculated lines */

static int by_q(const void *a, const void *b)
{
    const calculated *x = a, *y = b;
    if (x->q != y->q)
        return x->q < y->q ? -1 : 1;
    return x->h != y->h ? x->h - y->h : x->k != y->k ? x->k - y->k : x->l - y->l;
}

/* Half of reciprocal space, or the part of it that the system repeats. */
static bool is_representative(bragg_system s, int h, int k, int l)
{
    switch (s) {
    case BRAGG_CUBIC:
        return h >= k && k >= l && l >= 0;
    case BRAGG_TETRAGONAL:
    case BRAGG_HEXAGONAL:
    case BRAGG_TRIGONAL:
        return h >= k && k >= 0 && l >= 0;
    case BRAGG_ORTHORHOMBIC:
        return h >= 0 && k >= 0 && l >= 0;
    case BRAGG_MONOCLINIC:
        return k >= 0 && (h > 0 || (h == 0 && l >= 0));
    default:
        return h > 0 || (h == 0 && (k > 0 || (k == 0 && l > 0)));
    }
}

size_t bragg_index_families(const bragg_lattice *lattice, double q_max, calculated *out, size_t room)
{
    double g[6], root = sqrt(q_max);
    const bragg_cell *c = &lattice->cell;
    bragg_cell_reciprocal(c, g);
    /* |h| <= a / d, International Tables B, ch. 1.1 */
    if (!(c->a * root < 200 && c->b * root < 200 && c->c * root < 200)) /* and no NaN */
        return 0;
    int hm = (int)(c->a * root), km = (int)(c->b * root), lm = (int)(c->c * root);
    size_t n = 0;
    for (int h = 0; h <= hm; h++)
        for (int k = -km; k <= km; k++)
            for (int l = -lm; l <= lm; l++) {
                if (!(h || k || l) || !is_representative(lattice->system, h, k, l) || !bragg_index_allowed(lattice->centring, h, k, l))
                    continue;
                double q = bragg_cell_invd2(g, h, k, l);
                if (q <= q_max && n < room)
                    out[n++] = (calculated){ q, h, k, l };
            }
    qsort(out, n, sizeof *out, by_q);
    return n;
}

size_t bragg_index_calculate(const bragg_lattice *lattice, double q_max, calculated *out, size_t room)
{
    size_t n = bragg_index_families(lattice, q_max, out, room), m = 0;
    for (size_t i = 0; i < n; i++) /* (3 3 3) and (5 1 1) are one line */
        if (!m || out[i].q > out[m - 1].q * (1 + 1e-7))
            out[m++] = out[i];
    return m;
}

/* Row of the calculated line nearest to q. */
static size_t nearest_row(const calculated *c, size_t n, double q)
{
    size_t lo = bragg_array_first_of(c, sizeof *c, n, q);
    if (lo == n || (lo > 0 && q - c[lo - 1].q < c[lo].q - q))
        lo--;
    return lo;
}

double bragg_index_nearest(const calculated *c, size_t n, double q)
{
    return c[nearest_row(c, n, q)].q;
}

static double q_at(double two_theta, double wavelength)
{
    double d = 2 * sin(two_theta / 2) / wavelength;
    return d * d;
}

static double angle_at(double q, double wavelength)
{
    double s = sqrt(q) * wavelength / 2;
    return s < 1 ? 2 * asin(s) : BRAGG_PI;
}

/* ---------------------------------------------------------------- evidence */

typedef struct offsets {
    double of[MOST_LINES];
    size_t possible;
} offsets;

/* Each line from its nearest calculated one. */
static void measure(const line_set *s, double zero, const calculated *calc, size_t n, offsets *out)
{
    double low = q_at(fmax(s->first_rad - zero, 0), s->wavelength_ang), top = q_at(s->last_rad - zero, s->wavelength_ang) * (1 + 1e-3);
    out->possible = 0;
    for (size_t j = 0; j < n; j++)
        out->possible += calc[j].q >= low && calc[j].q <= top;
    for (size_t i = 0; i < s->n; i++) {
        double t = s->two_theta[i] - zero;
        out->of[i] = n ? t - angle_at(bragg_index_nearest(calc, n, q_at(t, s->wavelength_ang)), s->wavelength_ang) : INFINITY;
    }
}

/* (1 - f) / possible R N(offset; sigma), R the range. */
static double likelihood(const line_set *s, const offsets *o, size_t i, double scale)
{
    double sigma = scale * s->sigma[i], x = o->of[i] / sigma;
    return (1 - s->outlier[i]) * (s->last_rad - s->first_rad) / ((double)(o->possible ? o->possible : 1) * sigma * 2.5066) * exp(-x * x / 2);
}

/* The lines are either one of the n calculated ones, each as likely, seen with a
 * Gaussian error, or (with their small probability to be foreign) anywhere:
 *
 *      sum over lines  ln [ (1 - f) R / (n s) N(offset / s) + f ],  R the range, f outlier
 *
 *  the ln of the ratio to a source of lines at random.  Many possible lines cost as much
 *  as a bad fit: the M_N of P. M. de Wolff, J. Appl. Cryst. 1 (1968) 108, weighs the same
 *  two, but not what a single foreign line means.  The scale of s is the likeliest.  More
 *  foreign lines than are allowed for cost e^6 each: else the main reflections of a
 *  superstructure would do without its weak ones. */
double bragg_index_evidence(const line_set *s, double zero, const calculated *calc, size_t n, double *scale)
{
    offsets o;
    double best = -INFINITY;
    if (!n)
        return -INFINITY;
    measure(s, zero, calc, n, &o);
    for (double k = 0.25; k < 4.5; k *= 1.19) {
        double sum = 0;
        double foreign = 0;
        for (size_t i = 0; i < s->n; i++) {
            double own = likelihood(s, &o, i, k);
            sum += log(own + s->outlier[i]);
            if (own < s->outlier[i]) /* the weakest are hardly counted */
                foreign += fmin(1, fmax(0, (0.4 - s->outlier[i]) / 0.25));
        }
        sum -= 6 * fmax(foreign - (double)s->foreign, 0);
        if (sum > best) {
            best = sum;
            if (scale)
                *scale = k;
        }
    }
    return best;
}

/* ------------------------------------------------------------- refinement */

typedef struct fit {
    const line_set *s;
    size_t n, row[MOST_LINES];      /* lines in use */
    calculated hkl[MOST_LINES];
    size_t zero;                    /* row of the table */
    bragg_cell cell;
    double g[6], dg[6][6], shift;
    const bragg_lsq_layout *layout;
    bragg_lsq_layout copy;
} fit;

static bragg_status prepare(void *payload, const bragg_params *params, const bragg_lsq_layout *layout, bragg_error *err)
{
    fit *f = payload;
    for (int k = 0; k < 6; k++)
        (&f->cell.a)[k] = params->at[k].value * (k < 3 ? 1 : BRAGG_DEG);
    f->shift = params->at[6].value * BRAGG_DEG;
    f->copy = *layout;
    bragg_status st = bragg_cell_check(&f->cell, err);
    if (st < 0)
        return st;
    bragg_cell_reciprocal(&f->cell, f->g);
    bragg_cell_reciprocal_derivatives(&f->cell, f->dg);
    return BRAGG_OK;
}

static bragg_status residuals(void *payload, size_t first, size_t last, double *r, double *jacobian, bragg_error *err)
{
    const fit *f = payload;
    const bragg_lsq_layout *l = &f->copy;
    for (size_t i = first; i < last; i++) {
        if (i == f->n) { /* what is known of the zero beforehand */
            r[i - first] = -f->shift / f->s->zero_sigma;
            if (l->column[6] >= 0)
                jacobian[l->column[6] * BRAGG_LSQ_BLOCK + (ptrdiff_t)(i - first)] += -BRAGG_DEG / f->s->zero_sigma * l->weight[6];
            continue;
        }
        const calculated *v = &f->hkl[i];
        double sigma = f->s->sigma[f->row[i]], q = bragg_cell_invd2(f->g, v->h, v->k, v->l);
        double half_sine = sqrt(q) * f->s->wavelength_ang / 2;
        if (!(half_sine < 1))
            return bragg_fail(err, BRAGG_EDATA, "%d %d %d does not diffract", v->h, v->k, v->l);
        double t = 2 * asin(half_sine), slope = 2 * sin(t) / (f->s->wavelength_ang * f->s->wavelength_ang);
        r[i - first] = (f->s->two_theta[f->row[i]] - f->shift - t) / sigma;
        const double c[6] = { v->h * v->h, v->k * v->k, v->l * v->l, 2 * v->k * v->l, 2 * v->h * v->l, 2 * v->h * v->k };
        for (int p = 0; p < 7; p++) {
            if (l->column[p] < 0)
                continue;
            double d = 0;
            for (int k = 0; k < 6 && p < 6; k++)
                d += c[k] * f->dg[k][p] * (p < 3 ? 1 : BRAGG_DEG);
            d = p == 6 ? BRAGG_DEG : d / slope;
            jacobian[l->column[p] * BRAGG_LSQ_BLOCK + (ptrdiff_t)(i - first)] -= d / sigma * l->weight[p];
        }
    }
    return BRAGG_OK;
}

/* Equal axes and fixed angles of each system. */
static void constrain(bragg_params *p, bragg_system s)
{
    static const int ties[][6] = { /* as bragg_symmetry_cell_ties */
        [BRAGG_TRICLINIC] = { -1, -1, -1, -1, -1, -1 },    [BRAGG_MONOCLINIC] = { -1, -1, -1, -2, -1, -2 },
        [BRAGG_ORTHORHOMBIC] = { -1, -1, -1, -2, -2, -2 }, [BRAGG_TETRAGONAL] = { -1, 0, -1, -2, -2, -2 },
        [BRAGG_TRIGONAL] = { -1, 0, -1, -2, -2, -2 },      [BRAGG_HEXAGONAL] = { -1, 0, -1, -2, -2, -2 },
        [BRAGG_CUBIC] = { -1, 0, 0, -2, -2, -2 } };
    for (int k = 0; k < 6; k++) {
        p->at[k].refine = ties[s][k] == BRAGG_CELL_FREE;
        if (ties[s][k] >= 0)
            bragg_params_tie(p, (size_t)k, (size_t)ties[s][k], 1, 0, NULL);
        if (ties[s][k] == BRAGG_CELL_FIXED)
            p->at[k].value = k == 5 && (s == BRAGG_HEXAGONAL || s == BRAGG_TRIGONAL) ? 120 : 90;
    }
}

static bragg_status make_table(bragg_params *p, const bragg_lattice *l, double zero, bragg_error *err)
{
    static const char *const names[] = { "a", "b", "c", "alpha", "beta", "gamma", "zero" };
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < 7 && st == BRAGG_OK; k++) {
        double v = k == 6 ? zero / BRAGG_DEG : (&l->cell.a)[k] / (k < 3 ? 1 : BRAGG_DEG);
        st = bragg_params_add(p, names[k], k < 3 ? "angstrom" : "deg", v, NULL, err);
    }
    if (st < 0)
        return st;
    constrain(p, l->system);
    bragg_params_apply_ties(p);
    p->at[6].refine = true;
    return BRAGG_OK;
}

static bragg_lattice lattice_of(const bragg_params *p, const bragg_lattice *like)
{
    bragg_lattice l = *like;
    for (int k = 0; k < 6; k++)
        (&l.cell.a)[k] = p->at[k].value * (k < 3 ? 1 : BRAGG_DEG);
    return l;
}

/* Each line its nearest calculated one, as far as it belongs to it rather than not. */
static void choose_lines(fit *f, const bragg_lattice *l, double zero, double reach, calculated *calc)
{
    const line_set *s = f->s;
    size_t n = bragg_index_calculate(l, q_at(s->last_rad - zero, s->wavelength_ang) * 1.03, calc, MOST_CALCULATED);
    f->n = 0;
    for (size_t i = 0; i < s->n && n; i++) {
        double t = s->two_theta[i] - zero;
        size_t at = nearest_row(calc, n, q_at(t, s->wavelength_ang));
        if (fabs(angle_at(calc[at].q, s->wavelength_ang) - t) > reach * s->sigma[i])
            continue;
        f->row[f->n] = i;
        f->hkl[f->n++] = calc[at];
    }
}

static void take_esds(const bragg_params *p, const bragg_lsq *q, size_t n, bragg_index_cell *out)
{
    /* the lines' own scatter where it is wider than their sigmas say */
    double spread = sqrt(fmax(1, bragg_lsq_chi2(q) / fmax((double)n + 1 - (double)bragg_lsq_variables(q), 1)));
    for (int k = 0; k < 6; k++)
        out->esd[k] = p->at[k].esd * (k < 3 ? 1 : BRAGG_DEG) * spread;
    for (int k = 1; k < 3; k++)
        if (p->at[k].tie_to >= 0)
            out->esd[k] = out->esd[p->at[k].tie_to];
    out->zero_rad = (bragg_quantity){ p->at[6].value * BRAGG_DEG, p->at[6].esd * BRAGG_DEG * spread };
}

bragg_status bragg_index_refine(const line_set *s, const bragg_lattice *start, double zero, bragg_index_cell *out, bragg_error *err)
{
    bragg_params p = BRAGG_PARAMS_INIT;
    fit f = { .s = s };
    calculated *calc = malloc(MOST_CALCULATED * sizeof *calc);
    bragg_status st = calc ? make_table(&p, start, zero, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for reflections");
    static const double reach[] = { 5, 4, 3.5, 3.5 };
    for (int round = 0; round < 4 && st >= 0; round++) {
        bragg_lattice l = lattice_of(&p, start);
        choose_lines(&f, &l, p.at[6].value * BRAGG_DEG, reach[round], calc);
        bragg_lsq_problem problem = { .n = f.n + 1, .prepare = prepare, .residuals = residuals, .payload = &f };
        bragg_lsq_options o = BRAGG_LSQ_OPTIONS_INIT;
        o.form = BRAGG_LSQ_DENSE;
        o.max_cycles = 12;
        bragg_lsq *q = NULL;
        st = f.n < 3 ? bragg_fail(err, BRAGG_EDATA, "the cell explains %zu lines", f.n) : bragg_lsq_new(&problem, &p, &o, &q, err);
        if (st >= 0)
            st = bragg_lsq_solve(q, err);
        if (st == BRAGG_ENOCONV)
            st = BRAGG_OK;
        if (st >= 0)
            take_esds(&p, q, f.n, out);
        bragg_lsq_free(q);
    }
    if (st >= 0) {
        out->lattice = lattice_of(&p, start);
        st = bragg_cell_check(&out->lattice.cell, err);
    }
    if (st >= 0) {
        size_t n = bragg_index_calculate(&out->lattice, q_at(s->last_rad - out->zero_rad.value, s->wavelength_ang) * 1.03, calc, MOST_CALCULATED);
        out->volume_ang3 = bragg_cell_volume_ang3(&out->lattice.cell);
        bragg_index_figures(s, out, calc, n);
    }
    free(calc);
    bragg_params_free(&p);
    return st;
}

/* ---------------------------------------------------------------- figures */

static size_t free_parameters(bragg_system s)
{
    static const size_t n[] = { [BRAGG_TRICLINIC] = 6, [BRAGG_MONOCLINIC] = 4, [BRAGG_ORTHORHOMBIC] = 3, [BRAGG_TETRAGONAL] = 2,
                                [BRAGG_TRIGONAL] = 2, [BRAGG_HEXAGONAL] = 2, [BRAGG_CUBIC] = 1 };
    return n[s];
}

/* M_N = Q_N / (2 <dQ> possible), P. M. de Wolff, J. Appl. Cryst. 1 (1968) 108; F_N = N /
 * (<d2theta> possible), G. S. Smith & R. L. Snyder, J. Appl. Cryst. 12 (1979) 60; over the
 * first twenty lines that are explained. */
void bragg_index_figures(const line_set *s, bragg_index_cell *c, const calculated *calc, size_t n)
{
    double zero = c->zero_rad.value, scale = 1, dq = 0, dt = 0, q_last = 0, squares = 0;
    size_t used = 0;
    c->evidence = bragg_index_evidence(s, zero, calc, n, &scale);
    c->evidence -= 3.5 * (double)free_parameters(c->lattice.system);
    c->lines = s->n;
    c->indexed = 0;
    for (size_t i = 0; i < s->n && n; i++) {
        double t = s->two_theta[i] - zero, q = q_at(t, s->wavelength_ang), near = bragg_index_nearest(calc, n, q);
        double off = t - angle_at(near, s->wavelength_ang);
        if (fabs(off) > 3.5 * fmax(scale, 0.7) * s->sigma[i])
            continue;
        c->indexed++;
        squares += off * off;
        if (used < 20) {
            used++;
            dq += fabs(q - near);
            dt += fabs(off);
            q_last = fmax(q, near);
        }
    }
    double top = q_at(s->last_rad - zero, s->wavelength_ang) * (1 + 1e-3);
    c->possible = c->f_possible = 0;
    for (size_t j = 0; j < n; j++) {
        c->possible += calc[j].q <= top;
        c->f_possible += calc[j].q <= q_last * (1 + 1e-9);
    }
    c->figure_lines = used;
    double count = (double)used, possible = (double)c->f_possible;
    c->m = used && dq > 0 ? q_last / (2 * dq / count * possible) : 0;
    c->f_delta_deg = used ? dt / count / BRAGG_DEG : NAN;
    c->f = used && dt > 0 ? count / (dt / count / BRAGG_DEG * possible) : 0;
    c->rms_rad = c->indexed ? sqrt(squares / (double)c->indexed) : NAN;
}

/* ------------------------------------------------------------------- ranks */

static int by_evidence(const void *a, const void *b)
{
    const bragg_index_cell *x = a, *y = b;
    double ex = x->evidence + x->rwp_evidence, ey = y->evidence + y->rwp_evidence;
    if (ex != ey)
        return ex < ey ? 1 : -1;
    return (x->volume_ang3 > y->volume_ang3) - (x->volume_ang3 < y->volume_ang3);
}

/* Volume of the lattice that both share, over each one's; 0 when they share none that is
 * near. */
static bool derivative(const bragg_index_cell *c, const bragg_index_cell *better, int *super, int *sub)
{
    *super = bragg_cell_sublattice(&c->reduced, &better->reduced, 0.004, 6);
    *sub = 1;
    if (*super)
        return true;
    *super = 1;
    *sub = bragg_cell_sublattice(&better->reduced, &c->reduced, 0.004, 6);
    return *sub > 0;
}

size_t bragg_index_rank(bragg_index_cell *cell, size_t n, size_t most)
{
    size_t kept = 0;
    qsort(cell, n, sizeof *cell, by_evidence);
    for (size_t k = 0; k < n && kept < most; k++) {
        bool same = false;
        size_t of = 0;
        int super = 0, sub = 0;
        for (size_t m = 0; m < kept && !same; m++) {
            int a, b;
            if (!derivative(&cell[k], &cell[m], &a, &b))
                continue;
            same = a == 1 && b == 1;
            if (!of)
                of = m + 1, super = a, sub = b;
        }
        if (same)
            continue;
        cell[kept] = cell[k];
        cell[kept].derivative_of = of;
        cell[kept].super = super;
        cell[kept++].sub = sub;
    }
    return kept;
}
