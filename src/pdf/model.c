/* SPDX-License-Identifier: GPL-3.0-or-later */
/* G(r) of a crystal: pair distances, widths, baseline, termination, envelopes.
 *
 *      atoms of the cell ── pairs ──► histogram of distances, one a width class
 *                                          │ Gaussians          R(r) / r - 4 pi rho0 r
 *                                          ▼                        │ sine transform, cut at Qmax, back
 *                                         R(r) ────────────────────►G(r) x envelopes
 *
 *  Definitions after C. L. Farrow & S. J. L. Billinge, Acta Cryst. A65 (2009) 232;
 *  widths after I.-K. Jeong et al., Phys. Rev. B 67 (2003) 104301; shape
 *  parameters as in C. L. Farrow et al., J. Phys.: Condens. Matter 19 (2007)
 *  335219. */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/thread.h>
#include <bragg/units.h>
#include <gsl/gsl_fft_complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_BLOCK = 256, MOST_POINTS = 1 << 22, RIPPLES = 12, EXACT_CLASSES = 24, MOST_PARTS = 8 };
static const double REACH = 6.5;          /* Gaussians are cut where they are 7e-10 of their height */
static const double SAME_SITE_ANG = 1e-3;
static const double CLASS_RATIO = 1.03;   /* of neighbouring <u^2> classes: linear between them is good to 1e-4 */

/* An atom of the whole cell, Cartesian; U as the six of the symmetric tensor. */
typedef struct site {
    double x[3], weight, uiso, u[6];
    size_t atom;
    bool anisotropic, first;              /* first: stands for its orbit */
    double multiplicity;
} site;

typedef struct crystal {
    double m[3][3], volume;
    site *site;
    size_t n;
    double rho0, mean_weight, atoms;
} crystal;

/* ---------------------------------------------------------------- cell */

static double pair_weight(const bragg_scatterer *s, bool neutron)
{
    return neutron ? s->neutron_fm : bragg_scatterer_f0(s, 0);
}

static void to_cartesian(const double m[3][3], const double x[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = m[i][0] * x[0] + m[i][1] * x[1] + m[i][2] * x[2];
}

/* U of the CIF (on a*, b*, c*) turned by an operation, to Cartesian: B = m R N,
 * U_cart = B U B' with N the lengths of the reciprocal axes. */
static void turn_displacement(const bragg_cell *cell, const double m[3][3], const bragg_symop *op, const double u[6], double out[6])
{
    double g[6], b[3][3], full[3][3] = { { u[0], u[5], u[4] }, { u[5], u[1], u[3] }, { u[4], u[3], u[2] } }, c[3][3];
    bragg_cell_reciprocal(cell, g);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            b[i][j] = (m[i][0] * op->r[0][j] + m[i][1] * op->r[1][j] + m[i][2] * op->r[2][j]) * sqrt(g[j]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            c[i][j] = 0;
            for (int k = 0; k < 3; k++)
                for (int l = 0; l < 3; l++)
                    c[i][j] += b[i][k] * full[k][l] * b[j][l];
        }
    const double packed[6] = { c[0][0], c[1][1], c[2][2], c[1][2], c[0][2], c[0][1] };
    memcpy(out, packed, sizeof packed);
}

static bool same_place(const crystal *c, const double a[3], const double b[3])
{
    double d[3], x[3];
    for (int k = 0; k < 3; k++) {
        d[k] = a[k] - b[k];
        d[k] -= round(d[k]);
    }
    to_cartesian(c->m, d, x);
    return x[0] * x[0] + x[1] * x[1] + x[2] * x[2] < SAME_SITE_ANG * SAME_SITE_ANG;
}

/* Species that share a site and its displacement make the same distances: the
 * first of them carries the weight of all. */
static size_t leader(const crystal *c, const bragg_structure *s, size_t a)
{
    for (size_t b = 0; b < a; b++)
        if (!s->atom[a].anisotropic && !s->atom[b].anisotropic && s->atom[a].uiso_ang2 == s->atom[b].uiso_ang2 &&
            same_place(c, s->atom[a].x, s->atom[b].x))
            return b;
    return a;
}

static double group_weight(const crystal *c, const bragg_structure *s, size_t a, bool neutron, double *occupancy)
{
    double weight = 0;
    *occupancy = 0;
    for (size_t b = a; b < s->n_atoms; b++)
        if (leader(c, s, b) == a) {
            weight += s->atom[b].occupancy * pair_weight(&s->scatterer[s->atom[b].scatterer], neutron);
            *occupancy += s->atom[b].occupancy;
        }
    return weight;
}

static void add_orbit(crystal *c, const bragg_structure *s, size_t a, double weight, double (*fraction)[3])
{
    const bragg_atom *atom = &s->atom[a];
    size_t start = c->n;
    for (size_t k = 0; k < s->symmetry.n_ops; k++) {
        const bragg_symop *op = &s->symmetry.op[k];
        double x[3];
        for (int i = 0; i < 3; i++) {
            x[i] = op->r[i][0] * atom->x[0] + op->r[i][1] * atom->x[1] + op->r[i][2] * atom->x[2] + op->t[i];
            x[i] -= floor(x[i]);
        }
        size_t old = start;
        while (old < c->n && !same_place(c, x, fraction[old]))
            old++;
        if (old < c->n)
            continue;
        site *at = &c->site[c->n];
        memcpy(fraction[c->n++], x, sizeof x);
        to_cartesian(c->m, x, at->x);
        at->atom = a;
        at->first = k == 0;
        at->weight = weight;
        at->anisotropic = atom->anisotropic;
        at->uiso = atom->uiso_ang2;
        if (atom->anisotropic)
            turn_displacement(&s->cell, c->m, op, atom->u, at->u);
    }
    c->site[start].multiplicity = (double)(c->n - start);
}

static bragg_status check_atoms(const bragg_structure *s, bool neutron, bragg_error *err)
{
    if (!s->n_atoms)
        return bragg_fail(err, BRAGG_EDATA, "structure '%s': expected atoms, found none", s->name ? s->name : "");
    for (size_t a = 0; a < s->n_atoms; a++) {
        const bragg_atom *atom = &s->atom[a];
        const bragg_scatterer *f = &s->scatterer[atom->scatterer];
        const char *label = atom->label ? atom->label : f->name;
        if (!atom->anisotropic && !(atom->uiso_ang2 > 0 && isfinite(atom->uiso_ang2)))
            return bragg_fail(err, BRAGG_EDATA, "atom %s: expected a positive displacement (Uiso), found %g", label, atom->uiso_ang2);
        if (!isfinite(pair_weight(f, neutron)))
            return bragg_fail(err, BRAGG_EDATA, "atom %s: no neutron scattering length is known for %s", label, f->name);
    }
    return BRAGG_OK;
}

static bragg_status open_crystal(crystal *c, const bragg_structure *s, bool neutron, bragg_error *err)
{
    size_t room = s->n_atoms * s->symmetry.n_ops;
    double (*fraction)[3] = calloc(room ? room : 1, sizeof *fraction), sum = 0;
    memset(c, 0, sizeof *c);
    bragg_status st = bragg_cell_check(&s->cell, err);
    c->site = calloc(room ? room : 1, sizeof *c->site);
    if (st == BRAGG_OK && (!fraction || !c->site))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu sites", room);
    if (st == BRAGG_OK)
        st = check_atoms(s, neutron, err);
    if (st == BRAGG_OK) {
        bragg_cell_cartesian(&s->cell, c->m);
        c->volume = bragg_cell_volume(&s->cell);
        for (size_t a = 0; a < s->n_atoms; a++) {
            size_t before = c->n;
            double occupancy, weight;
            if (leader(c, s, a) != a)
                continue;
            weight = group_weight(c, s, a, neutron, &occupancy);
            add_orbit(c, s, a, weight, fraction);
            c->atoms += occupancy * (double)(c->n - before);
            sum += weight * (double)(c->n - before);
        }
        c->rho0 = c->atoms / c->volume;
        c->mean_weight = sum / c->atoms;
        if (!(fabs(c->mean_weight) > 0))
            st = bragg_fail(err, BRAGG_EDATA, "structure: the mean scattering length is zero, G(r) is not defined");
    }
    free(fraction);
    return st;
}

/* --------------------------------------------------------- histograms */

/* Distances of all pairs, sorted by mean square displacement: row `class` of a
 * histogram of `bins` with step h, each distance shared over four bins so that the
 * first four moments stay. */
typedef struct census {
    const crystal *c;
    size_t *first;            /* sites that stand for an orbit */
    size_t n_first, n_tasks, tasks_a_part, n_parts;
    double h, reach;
    size_t bins, n_classes;
    bool exact;               /* msd[] are the very values, else nodes in constant ratio */
    double *msd, *part;       /* part: n_parts histograms */
} census;

static double isotropic_u(const site *s) { return s->anisotropic ? (s->u[0] + s->u[1] + s->u[2]) / 3 : s->uiso; }

/* Least and greatest <u^2> of a site along any direction, safe bounds: trace and
 * off-diagonal terms of a positive tensor. */
static void displacement_bounds(const site *s, double *least, double *most)
{
    *least = *most = isotropic_u(s);
    if (!s->anisotropic)
        return;
    double off = fabs(s->u[3]) + fabs(s->u[4]) + fabs(s->u[5]);
    *most = fmax(s->u[0], fmax(s->u[1], s->u[2])) + off;
    *least = fmax(fmin(s->u[0], fmin(s->u[1], s->u[2])) - off, 0.05 * *least);
}

static double msd_along(const site *a, const site *b, const double d[3], double r2)
{
    double sum = 0;
    for (int k = 0; k < 2; k++) {
        const site *s = k ? b : a;
        const double *u = s->u;
        sum += !s->anisotropic ? s->uiso
                               : (u[0] * d[0] * d[0] + u[1] * d[1] * d[1] + u[2] * d[2] * d[2] +
                                  2 * (u[3] * d[1] * d[2] + u[4] * d[0] * d[2] + u[5] * d[0] * d[1])) / r2;
    }
    return sum;
}

static size_t exact_class(const census *p, double msd)
{
    size_t k = 0;
    while (k < p->n_classes && fabs(p->msd[k] - msd) > 1e-9 * msd)
        k++;
    return k;
}

static bool collect_exact(census *p)
{
    for (size_t i = 0; i < p->n_first; i++)
        for (size_t j = 0; j < p->c->n; j++) {
            const site *a = &p->c->site[p->first[i]], *b = &p->c->site[j];
            double msd = a->uiso + b->uiso;
            if (a->anisotropic || b->anisotropic)
                return false;
            if (exact_class(p, msd) < p->n_classes)
                continue;
            if (p->n_classes == EXACT_CLASSES)
                return false;
            p->msd[p->n_classes++] = msd;
        }
    return true;
}

static bragg_status choose_classes(census *p, bragg_error *err)
{
    double least = INFINITY, most = 0;
    for (size_t j = 0; j < p->c->n; j++) {
        double lo, hi;
        displacement_bounds(&p->c->site[j], &lo, &hi);
        least = fmin(least, lo);
        most = fmax(most, hi);
    }
    if (!(least > 0) || !isfinite(most))
        return bragg_fail(err, BRAGG_EDATA, "structure: expected displacements that are positive, found %g to %g", least, most);
    size_t nodes = (size_t)fmin(2 + ceil(log(most / least) / log(CLASS_RATIO)), 4096);
    p->msd = calloc(nodes > EXACT_CLASSES ? nodes : EXACT_CLASSES, sizeof *p->msd);
    if (!p->msd)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu displacements", nodes);
    if ((p->exact = collect_exact(p) && p->n_classes <= nodes))
        return BRAGG_OK;
    p->n_classes = nodes;
    for (size_t k = 0; k < nodes; k++)
        p->msd[k] = 2 * least * pow(CLASS_RATIO, (double)k);
    return BRAGG_OK;
}

static inline void deposit(double *row, double t, double weight)
{
    double k = floor(t), x = t - k;
    double *at = row + (size_t)k;
    at[0] -= weight * x * (x - 1) * (x - 2) / 6; /* Lagrange's cubic through bins k-1 … k+2; row begins at bin -1 */
    at[1] += weight * (x + 1) * (x - 1) * (x - 2) / 2;
    at[2] -= weight * (x + 1) * x * (x - 2) / 2;
    at[3] += weight * (x + 1) * x * (x - 1) / 6;
}

typedef struct task {
    const census *p;
    const site *a, *b;
    double weight, *histogram;
    size_t class_;            /* of an isotropic pair, with the share of the next class */
    double part;
    bool anisotropic;
} task;

/* The class below a displacement, and the share of the next one. */
static size_t class_between(const census *p, double msd, double *part)
{
    size_t k = (size_t)fmin(fmax(log(msd / p->msd[0]) / log(CLASS_RATIO), 0), (double)(p->n_classes - 2));
    *part = fmin(fmax((msd - p->msd[k]) / (p->msd[k + 1] - p->msd[k]), 0), 1);
    return k;
}

static void deposit_between(const task *t, const double d[3], double r2, double bin)
{
    const census *p = t->p;
    double part;
    size_t k = class_between(p, msd_along(t->a, t->b, d, r2), &part);
    deposit(t->histogram + k * p->bins, bin, t->weight * (1 - part));
    deposit(t->histogram + (k + 1) * p->bins, bin, t->weight * part);
}

/* Copies of b in one row of cells along a. */
static void row_of_cells(const task *t, double x0, double step, int u0, int u1, double y, double z)
{
    double per_bin = 1 / t->p->h, rest = y * y + z * z;
    double *row = t->histogram + t->class_ * t->p->bins;
    for (int u = u0; u <= u1; u++) {
        const double d[3] = { x0 + u * step, y, z };
        double r2 = d[0] * d[0] + rest;
        if (r2 < SAME_SITE_ANG * SAME_SITE_ANG)
            continue;
        double bin = sqrt(r2) * per_bin;
        if (t->anisotropic) {
            deposit_between(t, d, r2, bin);
            continue;
        }
        deposit(row, bin, t->weight * (1 - t->part));
        if (t->part > 0)
            deposit(row + t->p->bins, bin, t->weight * t->part);
    }
}

/* All lattice copies of b within reach of a, none outside: with a along x and b in
 * the xy plane the limits of z bound the index along c, those of y the one along b. */
static void count_pairs(const task *t)
{
    const double (*m)[3] = (const double (*)[3])t->p->c->m;
    double reach2 = t->p->reach * t->p->reach, o[3];
    for (int k = 0; k < 3; k++)
        o[k] = t->b->x[k] - t->a->x[k];
    int w1 = (int)floor((t->p->reach - o[2]) / m[2][2]);
    for (int w = (int)ceil((-t->p->reach - o[2]) / m[2][2]); w <= w1; w++) {
        double z = o[2] + w * m[2][2], y0 = o[1] + w * m[1][2], room = sqrt(fmax(reach2 - z * z, 0));
        int v1 = (int)floor((room - y0) / m[1][1]);
        for (int v = (int)ceil((-room - y0) / m[1][1]); v <= v1; v++) {
            double y = y0 + v * m[1][1], x0 = o[0] + v * m[0][1] + w * m[0][2];
            double half = sqrt(fmax(reach2 - z * z - y * y, 0));
            row_of_cells(t, x0, m[0][0], (int)ceil((-half - x0) / m[0][0]), (int)floor((half - x0) / m[0][0]), y, z);
        }
    }
}

static bragg_status count_parts(void *payload, size_t first, size_t last, bragg_error *err)
{
    census *p = payload;
    (void)err;
    for (size_t part = first; part < last; part++)
        for (size_t k = part * p->tasks_a_part; k < (part + 1) * p->tasks_a_part && k < p->n_tasks; k++) {
            task t = { .p = p, .a = &p->c->site[p->first[k / p->c->n]], .b = &p->c->site[k % p->c->n],
                       .histogram = p->part + part * p->n_classes * p->bins };
            if (t.b->atom < t.a->atom)
                continue; /* as many pairs lead from orbit to orbit as back: counted twice there */
            t.weight = (t.b->atom > t.a->atom ? 2 : 1) * t.a->multiplicity * t.a->weight * t.b->weight;
            t.anisotropic = t.a->anisotropic || t.b->anisotropic;
            if (!t.anisotropic)
                t.class_ = p->exact ? exact_class(p, t.a->uiso + t.b->uiso) : class_between(p, t.a->uiso + t.b->uiso, &t.part);
            count_pairs(&t);
        }
    return BRAGG_OK;
}

/* Parts depend on the work alone, never on the threads, and are added in order. */
static bragg_status take_census(census *p, bragg_error *err)
{
    size_t most = p->n_classes > 16 ? 2 : MOST_PARTS, row = p->n_classes * p->bins;
    p->n_tasks = p->n_first * p->c->n;
    p->n_parts = p->n_tasks < most ? p->n_tasks : most;
    p->tasks_a_part = (p->n_tasks + p->n_parts - 1) / p->n_parts;
    p->part = calloc(p->n_parts * row, sizeof *p->part);
    if (!p->part)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu distances", p->n_parts * row);
    bragg_status st = bragg_parallel_for(p->n_parts, 1, count_parts, p, err);
    for (size_t k = 1; k < p->n_parts; k++)
        for (size_t i = 0; i < row; i++)
            p->part[i] += p->part[k * row + i];
    return st;
}

/* ------------------------------------------------------------- curves */

/* Width^2 over <u^2> at a distance (Jeong et al. 2003); 0 where the parameters
 * leave no width. */
static double sharpening(const bragg_pdf_shape *s, double r)
{
    double x = 1 - s->delta1_ang / r - s->delta2_ang2 / (r * r) + s->qbroad_invang * s->qbroad_invang * r * r;
    return x > 0 ? (r < s->rcut_ang ? s->sratio * s->sratio * x : x) : 0;
}

typedef struct spread {
    const census *p;
    const bragg_pdf_shape *shape;
    double r0, step, *curve;   /* R(r) / r at r0 + i step */
    size_t n;
    double norm;
} spread;

/* One Gaussian on the points [first, last) it reaches; the ratio of neighbouring
 * points is itself a geometric series, so three exponentials serve all. */
static void add_gaussian(const spread *w, size_t first, size_t last, double centre, double sigma, double area)
{
    double from = ceil((centre - REACH * sigma - w->r0) / w->step), to = floor((centre + REACH * sigma - w->r0) / w->step);
    if (to < (double)first || from >= (double)last)
        return;
    size_t i = from > (double)first ? (size_t)from : first, end = to < (double)(last - 1) ? (size_t)to + 1 : last;
    double x = (w->r0 + (double)i * w->step - centre) / sigma, h = w->step / sigma;
    double y = area / (sigma * sqrt(2 * BRAGG_PI)) * exp(-x * x / 2), ratio = exp(-h * (x + h / 2)), change = exp(-h * h);
    for (; i < end; i++) {
        w->curve[i] += y;
        y *= ratio;
        ratio *= change;
    }
}

static void spread_class(const spread *w, size_t class_, size_t first, size_t last)
{
    const census *p = w->p;
    const double *row = p->part + class_ * p->bins;
    double lo = w->r0 + (double)first * w->step, hi = w->r0 + (double)last * w->step;
    double widest = sqrt(p->msd[class_] * fmax(sharpening(w->shape, p->reach), 1)), margin = REACH * widest + p->h;
    size_t k0 = lo - margin > 0 ? (size_t)((lo - margin) / p->h) : 0, k1 = (size_t)fmin((hi + margin) / p->h + 2, (double)p->bins);
    for (size_t k = k0 > 2 ? k0 : 2; k < k1; k++) { /* k = 1 is r = 0 */
        double r = ((double)k - 1) * p->h, sigma2 = p->msd[class_] * sharpening(w->shape, r);
        if (row[k] != 0 && sigma2 > 0)
            add_gaussian(w, first, last, r, sqrt(sigma2), w->norm * row[k] / r);
    }
}

static bragg_status spread_points(void *payload, size_t first, size_t last, bragg_error *err)
{
    const spread *w = payload;
    (void)err;
    for (size_t k = 0; k < w->p->n_classes; k++)
        spread_class(w, k, first, last);
    return BRAGG_OK;
}

/* Bins finer than the narrowest peak asks for, so that what is lost in sharing a
 * distance over four of them is below 1e-4 of a peak. */
static bragg_status choose_bins(census *p, const bragg_pdf_shape *shape, double step, double last_r, bragg_error *err)
{
    double widest = 1, narrowest = fmin(1, shape->rcut_ang > 0 ? shape->sratio * shape->sratio : 1), least = INFINITY, most = 0;
    for (size_t k = 0; k < p->n_classes; k++) {
        least = fmin(least, p->msd[k]);
        most = fmax(most, p->msd[k]);
    }
    widest = fmax(widest, sharpening(shape, last_r + 1));
    p->reach = last_r + REACH * sqrt(most * widest);
    p->h = fmin(step, sqrt(least * narrowest) / 8);
    double bins = ceil(p->reach / p->h) + 5;
    if (!(bins * (double)p->n_classes < 64e6))
        return bragg_fail(err, BRAGG_EINVAL, "r range: %g angstrom with peaks of %g angstrom is too much", last_r, sqrt(least));
    p->bins = (size_t)bins;
    return BRAGG_OK;
}

/* R(r) / r at r0 + i step, i < n; a Gaussian of R(r) / r, not of R(r), stands at each
 * distance, as in PDFgui and libdiffpy. */
static bragg_status radial_distribution(const crystal *c, const bragg_pdf_shape *shape, double r0, double step, size_t n, double *curve,
                                        bragg_error *err)
{
    census p = { .c = c };
    spread w = { &p, shape, r0, step, curve, n, 1 / (c->mean_weight * c->mean_weight * c->atoms) };
    p.first = calloc(c->n, sizeof *p.first);
    for (size_t k = 0; p.first && k < c->n; k++)
        if (c->site[k].first)
            p.first[p.n_first++] = k;
    bragg_status st = p.first ? choose_classes(&p, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu sites", c->n);
    if (st == BRAGG_OK)
        st = choose_bins(&p, shape, step, r0 + (double)n * step, err);
    if (st == BRAGG_OK)
        st = take_census(&p, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(n, OUTPUT_BLOCK, spread_points, &w, err);
    free(p.first);
    free(p.msd);
    free(p.part);
    return st;
}

/* -------------------------------------------------------- termination */

/* gsl_fft_complex of 2 N interleaved values. */
static void keep_band(double *z, size_t n, double q_step, const bragg_pdf_shape *shape)
{
    size_t half = n / 2;
    double first = ceil(shape->qmin_invang / q_step), last = ceil(shape->qmax_invang / q_step);
    for (size_t k = 0; k < n; k++) {
        double index = k <= half ? (double)k : (double)(n - k);
        if (index < first || index >= last)
            z[2 * k] = z[2 * k + 1] = 0;
    }
}

/* g (odd, at i step) keeps only qmin to qmax and is taken at r0 + i * every * step:
 * the convolution with the termination function, done in Q, with a phase that
 * moves the grid. */
static bragg_status terminate(const double *g, size_t n, double step, const bragg_pdf_shape *shape, size_t every, double *out, bragg_error *err)
{
    size_t half = 1;
    while (half < n + 1)
        half *= 2;
    double *z = calloc(4 * half, sizeof *z), q_step = BRAGG_PI / ((double)half * step);
    if (!z)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to transform %zu points", n);
    for (size_t i = 1; i < n; i++) {
        z[2 * i] = g[i];
        z[2 * (2 * half - i)] = -g[i];
    }
    gsl_fft_complex_radix2_forward(z, 1, 2 * half);
    keep_band(z, 2 * half, q_step, shape);
    for (size_t k = 0; k < 2 * half; k++) {
        double q = q_step * (k < half ? (double)k : (double)k - 2 * (double)half);
        double c = cos(q * shape->rmin_ang), s = sin(q * shape->rmin_ang), re = z[2 * k], im = z[2 * k + 1];
        z[2 * k] = re * c - im * s;
        z[2 * k + 1] = re * s + im * c;
    }
    gsl_fft_complex_radix2_inverse(z, 1, 2 * half);
    for (size_t i = 0; i < shape->n; i++)
        out[i] = z[2 * i * every];
    free(z);
    return BRAGG_OK;
}

/* Envelopes: resolution in Q, sphere (R. C. Howell, Th. Proffen & S. D. Conradson,
 * Phys. Rev. B 73 (2006) 094107), step. */
static double envelope(const bragg_pdf_shape *s, double r)
{
    double e = s->scale * exp(-s->qdamp_invang * s->qdamp_invang * r * r / 2);
    if (s->spdiameter_ang > 0) {
        double t = r / s->spdiameter_ang;
        e *= t < 1 ? 1 - 1.5 * t + 0.5 * t * t * t : 0;
    }
    return s->stepcut_ang > 0 && r > s->stepcut_ang ? 0 : e;
}

static void subtract_baseline(const crystal *c, double r0, double step, size_t n, double *g)
{
    for (size_t i = 0; i < n; i++) {
        double r = r0 + (double)i * step;
        g[i] -= 4 * BRAGG_PI * c->rho0 * r;
    }
}

static bragg_status check_shape(const bragg_pdf_shape *s, bragg_error *err)
{
    if (!(s->rmin_ang >= 0) || !(s->rstep_ang > 0) || s->n < 1 || s->n > MOST_POINTS || !isfinite(s->rmin_ang + s->rstep_ang))
        return bragg_fail(err, BRAGG_EINVAL, "r grid: expected rmin >= 0, rstep > 0 and 1 to %d points, found %g, %g, %zu", MOST_POINTS, s->rmin_ang,
                          s->rstep_ang, s->n);
    if (!(s->qmin_invang >= 0) || !(s->qmax_invang > s->qmin_invang))
        return bragg_fail(err, BRAGG_EINVAL, "termination: expected 0 <= qmin < qmax, found %g and %g", s->qmin_invang, s->qmax_invang);
    if (!isfinite(s->scale + s->qdamp_invang + s->qbroad_invang + s->delta1_ang + s->delta2_ang2 + s->spdiameter_ang + s->stepcut_ang))
        return bragg_fail(err, BRAGG_EINVAL, "shape: expected finite parameters");
    if (s->rcut_ang > 0 && !(s->sratio > 0))
        return bragg_fail(err, BRAGG_EINVAL, "sratio: must be positive, got %g", s->sratio);
    if (s->rmin_ang + (double)s->n * s->rstep_ang > 2000)
        return bragg_fail(err, BRAGG_EINVAL, "r grid: ends at %g angstrom, expected 2000 at most", s->rmin_ang + (double)s->n * s->rstep_ang);
    return BRAGG_OK;
}

/* A sharp end of G would itself ripple back into the range: it fades instead. */
static void fade_out(double *g, size_t n, double step, double from)
{
    size_t first = (size_t)(from / step);
    for (size_t i = first; i < n; i++)
        g[i] *= 0.5 * (1 + cos(BRAGG_PI * (double)(i - first) / (double)(n - first)));
}

/* Termination wants G from 0 to beyond the last point, on steps that resolve Qmax
 * and the peaks. */
static bragg_status terminated(const crystal *c, const bragg_pdf_shape *s, double *g, bragg_error *err)
{
    size_t every = (size_t)ceil(s->rstep_ang / fmin(0.02, BRAGG_PI / (4 * s->qmax_invang)) - 1e-9);
    double step = s->rstep_ang / (double)every, last = s->rmin_ang + (double)s->n * s->rstep_ang + RIPPLES * 2 * BRAGG_PI / s->qmax_invang;
    size_t n = (size_t)ceil(last / step) + 1;
    double *wide = calloc(n, sizeof *wide);
    bragg_status st = wide ? radial_distribution(c, s, 0, step, n, wide, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    if (st == BRAGG_OK) {
        subtract_baseline(c, 0, step, n, wide);
        fade_out(wide, n, step, last - (RIPPLES - 2) * 2 * BRAGG_PI / s->qmax_invang);
        st = terminate(wide, n, step, s, every, g, err);
    }
    free(wide);
    return st;
}

bragg_status bragg_pdf_model(const bragg_structure *structure, const bragg_pdf_shape *s, double *g, double *rdf, bragg_error *err)
{
    crystal c;
    bool cut = isfinite(s->qmax_invang) || s->qmin_invang > 0;
    bragg_pdf_shape shape = *s;
    bragg_status st = check_shape(s, err);
    if (st < 0)
        return st;
    st = open_crystal(&c, structure, s->neutron, err);
    memset(g, 0, s->n * sizeof *g);
    if (!isfinite(shape.qmax_invang))
        shape.qmax_invang = BRAGG_PI / s->rstep_ang;
    if (st == BRAGG_OK && (!cut || rdf))
        st = radial_distribution(&c, s, s->rmin_ang, s->rstep_ang, s->n, g, err);
    for (size_t i = 0; st == BRAGG_OK && rdf && i < s->n; i++)
        rdf[i] = g[i] * (s->rmin_ang + (double)i * s->rstep_ang);
    if (st == BRAGG_OK && cut)
        st = terminated(&c, &shape, g, err);
    else if (st == BRAGG_OK)
        subtract_baseline(&c, s->rmin_ang, s->rstep_ang, s->n, g);
    for (size_t i = 0; st == BRAGG_OK && i < s->n; i++)
        g[i] *= envelope(s, s->rmin_ang + (double)i * s->rstep_ang);
    free(c.site);
    return st;
}
