/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Histograms of all distances of a crystal, sorted by mean square displacement:
 * each distance is shared over four bins (and four classes of displacement) by
 * Lagrange's cubic, so that sums over bins are smooth in the distance. */
#include "config.h"
#include "model.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_CLASSES = 24, MOST_PARTS = 8 };
static const double SAME_SITE_ANG = 1e-3;
static const double CLASS_RATIO = 1.1;    /* of neighbouring <u^2>: cubic between them is good to 1e-5 of a peak */
const double bragg_pdf_reach = 6.5;       /* Gaussians are cut where they are 7e-10 of their height */

/* Width^2 over <u^2>: I.-K. Jeong et al., Phys. Rev. B 67 (2003) 104301; sratio and
 * rcut as in C. L. Farrow et al., J. Phys.: Condens. Matter 19 (2007) 335219. */
double bragg_pdf_sharpening(const bragg_pdf_shape *s, double r)
{
    double x = 1 - s->delta1_ang / r - s->delta2_ang2 / (r * r) + s->qbroad_invang * s->qbroad_invang * r * r;
    return x > 0 ? (r < s->rcut_ang ? s->sratio * s->sratio * x : x) : 0;
}

/* -------------------------------------------------------------- classes */

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
    least = pow(CLASS_RATIO, floor(log(least) / log(CLASS_RATIO))); /* nodes stay where they are as displacements move a little */
    size_t nodes = (size_t)fmin(4 + ceil(log(most / least) / log(CLASS_RATIO)), 4096);
    p->msd = calloc(nodes > EXACT_CLASSES ? nodes : EXACT_CLASSES, sizeof *p->msd);
    if (!p->msd)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu displacements", nodes);
    if ((p->exact = collect_exact(p)))
        return BRAGG_OK;
    p->n_classes = nodes;
    for (size_t k = 0; k < nodes; k++)
        p->msd[k] = 2 * least * pow(CLASS_RATIO, (double)k - 1);
    return BRAGG_OK;
}

/* ------------------------------------------------------------- deposits */

/* Lagrange's cubic through the points -1, 0, 1, 2 at x, and its derivative. */
static inline void cubic(double x, double out[4])
{
    out[0] = -x * (x - 1) * (x - 2) / 6;
    out[1] = (x + 1) * (x - 1) * (x - 2) / 2;
    out[2] = -(x + 1) * x * (x - 2) / 2;
    out[3] = (x + 1) * x * (x - 1) / 6;
}

static inline void cubic_slope(double x, double out[4])
{
    out[0] = -(3 * x * x - 6 * x + 2) / 6;
    out[1] = (3 * x * x - 4 * x - 1) / 2;
    out[2] = -(3 * x * x - 2 * x - 2) / 2;
    out[3] = (3 * x * x - 1) / 6;
}

/* A pair of sites; class_ and share of an isotropic pair. */
typedef struct task {
    const census *p;
    const site *a, *b;
    size_t ia, ib;
    double pairs, weight, *histogram;   /* weight: pairs w_a w_b */
    size_t class_, n_shares;
    double share[4];
    bool anisotropic;
} task;

/* Nodes around a displacement and their shares. */
static size_t share_classes(const census *p, double msd, double share[4])
{
    double t = fmin(fmax(log(msd / p->msd[1]) / log(CLASS_RATIO), 0), (double)p->n_classes - 3 - 1e-9), k = floor(t);
    cubic(t - k, share);
    return (size_t)k;
}

static double along(const double u[6], const double a[3], const double b[3])
{
    return u[0] * a[0] * b[0] + u[1] * a[1] * b[1] + u[2] * a[2] * b[2] + u[3] * (a[1] * b[2] + a[2] * b[1]) +
           u[4] * (a[0] * b[2] + a[2] * b[0]) + u[5] * (a[0] * b[1] + a[1] * b[0]);
}

static double msd_along(const site *s, const double d[3], double r2) { return s->anisotropic ? along(s->u, d, d) / r2 : s->uiso; }

/* d<u^2> of a site when the distance moves by e and its tensor by its own motion. */
static double msd_motion(const site *s, const site_motion *by, const double d[3], const double e[3], double r2)
{
    if (!s->anisotropic)
        return by->u[0];
    double dot = (d[0] * e[0] + d[1] * e[1] + d[2] * e[2]) / r2;
    return (along(by->u, d, d) + 2 * along(s->u, d, e) - 2 * dot * along(s->u, d, d)) / r2;
}

static inline void put(double *row, const double share[4], double by)
{
    for (int k = 0; k < 4; k++)
        row[k] += by * share[k];
}

/* What every motion does to one distance d, in the planes it has. */
static void deposit_motions(const task *t, const double d[3], double r2, size_t k, const double bin[4], const double slope[4])
{
    const census *p = t->p;
    double r = sqrt(r2);
    size_t row = p->bins, plane = p->n_classes * p->bins;
    for (size_t m = 0; m < p->c->n_motions; m++) {
        const crystal_motion *by = &p->c->motion[m];
        const site_motion *a = &by->site[t->ia], *b = &by->site[t->ib];
        double e[3], dr = 0;
        for (int i = 0; i < 3 && by->moves; i++) {
            e[i] = by->strain[i][0] * d[0] + by->strain[i][1] * d[1] + by->strain[i][2] * d[2] + b->x[i] - a->x[i];
            dr += e[i] * d[i];
        }
        double whole = t->pairs * (a->weight * t->b->weight + t->a->weight * b->weight);
        dr *= t->weight / (r * p->h);
        for (size_t s = 0; s < t->n_shares && p->plane_r[m] >= 0; s++) {
            double *at = t->histogram + (size_t)p->plane_r[m] * plane + (t->class_ + s) * row + k;
            if (by->moves)
                put(at, slope, dr * t->share[s]);
            if (by->weighs)
                put(at, bin, whole * t->share[s]);
        }
        if (p->plane_u[m] < 0)
            continue;
        double du = t->weight * (by->moves ? msd_motion(t->a, a, d, e, r2) + msd_motion(t->b, b, d, e, r2)
                                           : msd_motion(t->a, a, d, (double[3]){ 0 }, r2) + msd_motion(t->b, b, d, (double[3]){ 0 }, r2));
        for (size_t s = 0; s < t->n_shares; s++)
            put(t->histogram + (size_t)p->plane_u[m] * plane + (t->class_ + s) * row + k, bin, du * t->share[s]);
    }
}

static void deposit(task *t, const double d[3], double r2)
{
    const census *p = t->p;
    double at = sqrt(r2) / p->h, k = floor(at), bin[4], slope[4];
    if (t->anisotropic)
        t->class_ = share_classes(p, msd_along(t->a, d, r2) + msd_along(t->b, d, r2), t->share);
    cubic(at - k, bin);
    for (size_t s = 0; s < t->n_shares; s++)
        put(t->histogram + (t->class_ + s) * p->bins + (size_t)k, bin, t->weight * t->share[s]);
    if (p->n_planes > 1) {
        cubic_slope(at - k, slope);
        deposit_motions(t, d, r2, (size_t)k, bin, slope);
    }
}

/* Copies of b in one row of cells along a. */
static void row_of_cells(task *t, double x0, double step, int u0, int u1, double y, double z)
{
    double rest = y * y + z * z;
    for (int u = u0; u <= u1; u++) {
        const double d[3] = { x0 + u * step, y, z };
        double r2 = d[0] * d[0] + rest;
        if (r2 >= SAME_SITE_ANG * SAME_SITE_ANG)
            deposit(t, d, r2);
    }
}

/* All lattice copies of b within reach of a, none outside: with a along x and b in
 * the xy plane the limits of z bound the index along c, those of y the one along b. */
static void count_pairs(task *t)
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
            task t = { .p = p, .ia = p->first[k / p->c->n], .ib = k % p->c->n,
                       .histogram = p->part + part * p->n_planes * p->n_classes * p->bins, .n_shares = 4 };
            t.a = &p->c->site[t.ia];
            t.b = &p->c->site[t.ib];
            if (t.b->atom < t.a->atom)
                continue; /* as many pairs lead from orbit to orbit as back: counted twice there */
            t.pairs = (t.b->atom > t.a->atom ? 2 : 1) * t.a->multiplicity;
            t.weight = t.pairs * t.a->weight * t.b->weight;
            t.anisotropic = t.a->anisotropic || t.b->anisotropic;
            if (p->exact) {
                t.class_ = exact_class(p, t.a->uiso + t.b->uiso);
                t.n_shares = 1;
                t.share[0] = 1;
            } else if (!t.anisotropic)
                t.class_ = share_classes(p, t.a->uiso + t.b->uiso, t.share);
            if (t.weight != 0 || p->n_planes > 1)
                count_pairs(&t);
        }
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ all */

/* Bins finer than the narrowest peak asks for, so that what is lost in sharing a
 * distance over four of them is below 1e-4 of a peak. */
static bragg_status choose_bins(census *p, const bragg_pdf_shape *shape, double step, double last_r, bragg_error *err)
{
    double widest = 1, narrowest = fmin(1, shape->rcut_ang > 0 ? shape->sratio * shape->sratio : 1), least = INFINITY, most = 0;
    for (size_t k = 0; k < p->n_classes; k++) {
        least = fmin(least, p->msd[k]);
        most = fmax(most, p->msd[k]);
    }
    widest = fmax(widest, bragg_pdf_sharpening(shape, last_r + 1));
    p->reach = last_r + bragg_pdf_reach * sqrt(most * widest);
    p->h = step / ceil(fmax(8 * step / sqrt(least * narrowest), 1)); /* steps in the same way */
    double bins = ceil(p->reach / p->h) + 5;
    if (!(bins * (double)p->n_classes * (double)p->n_planes < 64e6))
        return bragg_fail(err, BRAGG_EINVAL, "r range: %g angstrom with peaks of %g angstrom is too much", last_r, sqrt(least));
    p->bins = (size_t)bins;
    return BRAGG_OK;
}

static bragg_status choose_planes(census *p, bragg_error *err)
{
    size_t n = p->c->n_motions;
    p->plane_r = calloc(2 * n + 1, sizeof *p->plane_r);
    if (!p->plane_r)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu variables", n);
    p->plane_u = p->plane_r + n;
    p->n_planes = 1;
    for (size_t m = 0; m < n; m++) {
        const crystal_motion *by = &p->c->motion[m];
        p->plane_r[m] = by->moves || by->weighs ? (ptrdiff_t)p->n_planes++ : -1;
        p->plane_u[m] = by->displaces ? (ptrdiff_t)p->n_planes++ : -1;
    }
    return BRAGG_OK;
}

/* Parts depend on the work alone, never on the threads, and are added in order. */
static bragg_status count(census *p, bragg_error *err)
{
    size_t row = p->n_planes * p->n_classes * p->bins, most = row > 200000 ? 2 : MOST_PARTS;
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

bragg_status bragg_pdf_census_take(census *p, const crystal *c, const bragg_pdf_shape *shape, double step, double last_r, bragg_error *err)
{
    memset(p, 0, sizeof *p);
    p->c = c;
    p->first = calloc(c->n, sizeof *p->first);
    for (size_t k = 0; p->first && k < c->n; k++)
        if (c->site[k].first)
            p->first[p->n_first++] = k;
    bragg_status st = p->first ? choose_classes(p, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu sites", c->n);
    if (st == BRAGG_OK)
        st = choose_planes(p, err);
    if (st == BRAGG_OK)
        st = choose_bins(p, shape, step, last_r, err);
    return st == BRAGG_OK ? count(p, err) : st;
}

void bragg_pdf_census_close(census *p)
{
    free(p->first);
    free(p->msd);
    free(p->plane_r);
    free(p->part);
}
