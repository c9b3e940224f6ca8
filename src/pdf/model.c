/* SPDX-License-Identifier: GPL-3.0-or-later */
/* G(r) of a crystal and its derivatives, from the census of its distances: a
 * Gaussian at each, baseline, termination, envelopes.
 *
 *  Definitions after C. L. Farrow & S. J. L. Billinge, Acta Cryst. A65 (2009) 232;
 *  shape parameters as in C. L. Farrow et al., J. Phys.: Condens. Matter 19 (2007)
 *  335219. */
#include "config.h"
#include "model.h"

#include <bragg/thread.h>
#include <bragg/units.h>
#include <gsl/gsl_fft_complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_BLOCK = 256, MOST_POINTS = 1 << 22, RIPPLES = 12, MOST_CURVES = 256 };

/* ------------------------------------------------------------- curves */

/* Curve 0 is R(r) / r, curve m + 1 its derivative by motion m; n points each. */
typedef struct spread {
    const census *p;
    const bragg_pdf_shape *shape;
    const motion *motions;
    double r0, step, *curve;
    size_t n, n_curves;
    double norm;
} spread;

/* d sharpening / d variable of a motion. */
static double sharpening_motion(const bragg_pdf_shape *s, const motion *by, double r)
{
    bool close = r < s->rcut_ang;
    double square = close ? s->sratio * s->sratio : 1, x = bragg_pdf_sharpening(s, r);
    double d = -by->shape[SHAPE_DELTA1] / r - by->shape[SHAPE_DELTA2] / (r * r) + 2 * s->qbroad_invang * by->shape[SHAPE_QBROAD] * r * r;
    return x > 0 ? square * d + (close ? 2 * by->shape[SHAPE_SRATIO] * x / s->sratio : 0) : 0;
}

/* What one bin adds: to curve m a Gaussian times plain[m] + wide[m] (x^2 - 1), the
 * derivative of a Gaussian by its variance being (x^2 - 1) / (2 sigma^2) of it. */
typedef struct strokes {
    size_t n, curve[MOST_CURVES];
    double plain[MOST_CURVES], wide[MOST_CURVES];
} strokes;

static bool collect_strokes(const spread *w, size_t row, double r, double sigma2, strokes *s)
{
    const census *p = w->p;
    size_t plane = p->n_classes * p->bins;
    double own = p->part[row], msd = p->msd[row / p->bins], narrow = sigma2 / msd;
    s->n = 0;
    if (own != 0)
        s->curve[s->n] = 0, s->plain[s->n] = own / r, s->wide[s->n++] = 0;
    for (size_t m = 0; m + 1 < w->n_curves; m++) {
        const crystal_motion *by = &p->c->motion[m];
        double plain = by->dnorm * own, wide = own * msd * sharpening_motion(w->shape, &w->motions[m], r);
        if (p->plane_r[m] >= 0)
            plain += p->part[(size_t)p->plane_r[m] * plane + row];
        if (p->plane_u[m] >= 0)
            wide += narrow * p->part[(size_t)p->plane_u[m] * plane + row];
        if (plain != 0 || wide != 0)
            s->curve[s->n] = m + 1, s->plain[s->n] = plain / r, s->wide[s->n++] = wide / (2 * sigma2 * r);
    }
    return s->n > 0;
}

/* One Gaussian on the points [first, last) it reaches; the ratio of neighbouring
 * points is itself a geometric series, so three exponentials serve all. */
static void add_gaussian(const spread *w, size_t first, size_t last, double centre, double sigma, const strokes *s)
{
    double from = ceil((centre - bragg_pdf_reach * sigma - w->r0) / w->step), to = floor((centre + bragg_pdf_reach * sigma - w->r0) / w->step);
    double bell[OUTPUT_BLOCK], square[OUTPUT_BLOCK];
    if (to < (double)first || from >= (double)last)
        return;
    size_t begin = from > (double)first ? (size_t)from : first, end = to < (double)(last - 1) ? (size_t)to + 1 : last;
    double x = (w->r0 + (double)begin * w->step - centre) / sigma, h = w->step / sigma;
    double y = w->norm / (sigma * sqrt(2 * BRAGG_PI)) * exp(-x * x / 2), ratio = exp(-h * (x + h / 2)), change = exp(-h * h);
    for (size_t i = 0; i < end - begin; i++, x += h) {
        bell[i] = y;
        square[i] = y * (x * x - 1);
        y *= ratio;
        ratio *= change;
    }
    for (size_t k = 0; k < s->n; k++) {
        double *curve = w->curve + s->curve[k] * w->n + begin, plain = s->plain[k], wide = s->wide[k];
        for (size_t i = 0; i < end - begin; i++)
            curve[i] += plain * bell[i] + wide * square[i];
    }
}

static void spread_class(const spread *w, size_t class_, size_t first, size_t last)
{
    const census *p = w->p;
    double lo = w->r0 + (double)first * w->step, hi = w->r0 + (double)last * w->step;
    double widest = sqrt(p->msd[class_] * fmax(bragg_pdf_sharpening(w->shape, p->reach), 1)), margin = bragg_pdf_reach * widest + p->h;
    size_t k0 = lo - margin > 0 ? (size_t)((lo - margin) / p->h) : 0, k1 = (size_t)fmin((hi + margin) / p->h + 2, (double)p->bins);
    strokes s;
    for (size_t k = k0 > 2 ? k0 : 2; k < k1; k++) { /* k = 1 is r = 0 */
        double r = ((double)k - 1) * p->h, sigma2 = p->msd[class_] * bragg_pdf_sharpening(w->shape, r);
        if (sigma2 > 0 && collect_strokes(w, class_ * p->bins + k, r, sigma2, &s))
            add_gaussian(w, first, last, r, sqrt(sigma2), &s);
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

/* Curves at r0 + i step, i < n; a Gaussian of R(r) / r, not of R(r), stands at each
 * distance, as in PDFgui and libdiffpy. */
static bragg_status radial_distribution(const crystal *c, const bragg_pdf_shape *shape, const motion *motions, double r0, double step, size_t n,
                                        double *curve, bragg_error *err)
{
    census p;
    spread w = { &p, shape, motions, r0, step, curve, n, c->n_motions + 1, 1 / (c->mean_weight * c->mean_weight * c->atoms) };
    bragg_status st = bragg_pdf_census_take(&p, c, shape, step, r0 + (double)n * step, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(n, OUTPUT_BLOCK, spread_points, &w, err);
    bragg_pdf_census_close(&p);
    return st;
}

static void subtract_baseline(const crystal *c, double r0, double step, size_t n, double *curve)
{
    for (size_t m = 0; m <= c->n_motions; m++) {
        double rho = m ? c->motion[m - 1].drho0 : c->rho0;
        for (size_t i = 0; i < n && rho != 0; i++)
            curve[m * n + i] -= 4 * BRAGG_PI * rho * (r0 + (double)i * step);
    }
}

/* -------------------------------------------------------- termination */

/* A bin of Q counts by the share of it that lies between qmin and qmax. */
static double share_of(double q, double q_step, const bragg_pdf_shape *shape)
{
    double low = fmax(fabs(q) - q_step / 2, shape->qmin_invang), high = fmin(fabs(q) + q_step / 2, shape->qmax_invang);
    return fmax(high - low, 0) / q_step;
}

static void keep_band(double *z, size_t n, double q_step, const bragg_pdf_shape *shape)
{
    size_t half = n / 2;
    for (size_t k = 0; k < n; k++) {
        double q = q_step * (k < half ? (double)k : (double)k - 2 * (double)half), re = z[2 * k], im = z[2 * k + 1];
        double share = share_of(q, q_step, shape);
        if (!(share > 0)) {
            z[2 * k] = z[2 * k + 1] = 0;
            continue;
        }
        double c = share * cos(q * shape->rmin_ang), s = share * sin(q * shape->rmin_ang);
        z[2 * k] = re * c - im * s;
        z[2 * k + 1] = re * s + im * c;
    }
}

/* Odd curves a and b (b may be NULL) at i step keep only qmin to qmax and are taken at
 * rmin + i every step: the convolution with the termination function, done in Q, with
 * a phase that moves the grid.  Both go through one transform as real and imaginary
 * part. */
static bragg_status terminate(const double *a, const double *b, size_t n, double step, const bragg_pdf_shape *shape, size_t every, double *out_a,
                              double *out_b, bragg_error *err)
{
    size_t half = 1;
    while (half < n + 1)
        half *= 2;
    double *z = calloc(4 * half, sizeof *z), q_step = BRAGG_PI / ((double)half * step);
    if (!z)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to transform %zu points", n);
    for (size_t i = 1; i < n; i++) {
        z[2 * i] = a[i];
        z[2 * (2 * half - i)] = -a[i];
        z[2 * i + 1] = b ? b[i] : 0;
        z[2 * (2 * half - i) + 1] = b ? -b[i] : 0;
    }
    gsl_fft_complex_radix2_forward(z, 1, 2 * half);
    keep_band(z, 2 * half, q_step, shape);
    gsl_fft_complex_radix2_inverse(z, 1, 2 * half);
    for (size_t i = 0; i < shape->n; i++) {
        out_a[i] = z[2 * i * every];
        if (b)
            out_b[i] = z[2 * i * every + 1];
    }
    free(z);
    return BRAGG_OK;
}

/* A sharp end of G would itself ripple back into the range: it fades instead. */
static void fade_out(double *g, size_t n, double step, double from)
{
    size_t first = (size_t)(from / step);
    for (size_t i = first; i < n; i++)
        g[i] *= 0.5 * (1 + cos(BRAGG_PI * (double)(i - first) / (double)(n - first)));
}

typedef struct termination {
    const bragg_pdf_shape *shape;
    const double *wide;
    size_t n, n_curves, every;
    double step;
    double *const *out;
} termination;

static bragg_status terminate_pairs(void *payload, size_t first, size_t last, bragg_error *err)
{
    const termination *t = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        bool both = 2 * k + 1 < t->n_curves;
        st = terminate(t->wide + 2 * k * t->n, both ? t->wide + (2 * k + 1) * t->n : NULL, t->n, t->step, t->shape, t->every, t->out[2 * k],
                       both ? t->out[2 * k + 1] : NULL, err);
    }
    return st;
}

/* Termination wants G from 0 to beyond the last point, on steps that resolve Qmax
 * and the peaks. */
static bragg_status terminated(const crystal *c, const bragg_pdf_shape *s, const motion *motions, double *const *out, bragg_error *err)
{
    termination t = { .shape = s, .n_curves = c->n_motions + 1, .out = out };
    t.every = (size_t)ceil(s->rstep_ang / fmin(0.02, BRAGG_PI / (4 * s->qmax_invang)) - 1e-9);
    t.step = s->rstep_ang / (double)t.every;
    double last = s->rmin_ang + (double)s->n * s->rstep_ang + RIPPLES * 2 * BRAGG_PI / s->qmax_invang;
    t.n = (size_t)ceil(last / t.step) + 1;
    double *wide = calloc(t.n * t.n_curves, sizeof *wide);
    bragg_status st = wide ? radial_distribution(c, s, motions, 0, t.step, t.n, wide, err)
                           : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", t.n * t.n_curves);
    t.wide = wide;
    if (st == BRAGG_OK) {
        subtract_baseline(c, 0, t.step, t.n, wide);
        for (size_t k = 0; k < t.n_curves; k++)
            fade_out(wide + k * t.n, t.n, t.step, last - (RIPPLES - 2) * 2 * BRAGG_PI / s->qmax_invang);
        st = bragg_parallel_for((t.n_curves + 1) / 2, 1, terminate_pairs, &t, err);
    }
    free(wide);
    return st;
}

/* --------------------------------------------------------- envelopes */

/* Resolution in Q, sphere (R. C. Howell, Th. Proffen & S. D. Conradson, Phys. Rev. B
 * 73 (2006) 094107), step; without the scale. */
static double envelope(const bragg_pdf_shape *s, double r)
{
    double e = exp(-s->qdamp_invang * s->qdamp_invang * r * r / 2);
    if (s->spdiameter_ang > 0) {
        double t = r / s->spdiameter_ang;
        e *= t < 1 ? 1 - 1.5 * t + 0.5 * t * t * t : 0;
    }
    return s->stepcut_ang > 0 && r > s->stepcut_ang ? 0 : e;
}

/* Relative change of scale and envelope by a motion. */
static double envelope_motion(const bragg_pdf_shape *s, const motion *by, double r)
{
    double d = -s->qdamp_invang * r * r * by->shape[SHAPE_QDAMP], t = s->spdiameter_ang > 0 ? r / s->spdiameter_ang : 1;
    if (t < 1)
        d += 1.5 * (t - t * t * t) / (s->spdiameter_ang * (1 - 1.5 * t + 0.5 * t * t * t)) * by->shape[SHAPE_SPDIAMETER];
    return d;
}

static void envelop(const bragg_pdf_shape *s, const motion *motions, size_t n_motions, double *const *out)
{
    for (size_t i = 0; i < s->n; i++) {
        double r = s->rmin_ang + (double)i * s->rstep_ang, e = envelope(s, r), g = out[0][i] * e;
        for (size_t m = 0; m < n_motions; m++)
            out[m + 1][i] = s->scale * (e * out[m + 1][i] + g * envelope_motion(s, &motions[m], r)) + g * motions[m].shape[SHAPE_SCALE];
        out[0][i] = s->scale * g;
    }
}

/* ----------------------------------------------------------------- all */

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

static bragg_status plain_curves(const crystal *c, const bragg_pdf_shape *s, const motion *motions, double *const *out, bragg_error *err)
{
    double *curve = calloc(s->n * (c->n_motions + 1), sizeof *curve);
    bragg_status st = curve ? radial_distribution(c, s, motions, s->rmin_ang, s->rstep_ang, s->n, curve, err)
                            : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", s->n * (c->n_motions + 1));
    if (st == BRAGG_OK)
        subtract_baseline(c, s->rmin_ang, s->rstep_ang, s->n, curve);
    for (size_t m = 0; st == BRAGG_OK && m <= c->n_motions; m++)
        memcpy(out[m], curve + m * s->n, s->n * sizeof *curve);
    free(curve);
    return st;
}

static bragg_status find_rdf(const crystal *c, const bragg_pdf_shape *s, double *rdf, bragg_error *err)
{
    crystal still = *c;
    still.n_motions = 0;
    bragg_status st = plain_curves(&still, s, NULL, &rdf, err);
    for (size_t i = 0; st == BRAGG_OK && i < s->n; i++) {
        double r = s->rmin_ang + (double)i * s->rstep_ang;
        rdf[i] = r * (rdf[i] + 4 * BRAGG_PI * c->rho0 * r);
    }
    return st;
}

bragg_status bragg_pdf_evaluate(const bragg_structure *structure, const bragg_pdf_shape *s, const motion *motions, size_t n_motions, double *g,
                                double *rdf, double *const *dg, bragg_error *err)
{
    crystal c = { 0 };
    bragg_pdf_shape shape = *s;
    double **out = calloc(n_motions + 1, sizeof *out);
    bragg_status st = out ? check_shape(s, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu variables", n_motions);
    if (st == BRAGG_OK && n_motions >= MOST_CURVES)
        st = bragg_fail(err, BRAGG_EINVAL, "refine: expected fewer than %d variables of a phase, found %zu", MOST_CURVES, n_motions);
    if (st == BRAGG_OK)
        st = bragg_pdf_crystal_open(&c, structure, s->neutron, motions, n_motions, err);
    for (size_t m = 0; st == BRAGG_OK && m <= n_motions; m++)
        out[m] = m ? dg[m - 1] : g;
    if (!isfinite(shape.qmax_invang))
        shape.qmax_invang = BRAGG_PI / s->rstep_ang;
    if (st == BRAGG_OK && (isfinite(s->qmax_invang) || s->qmin_invang > 0))
        st = terminated(&c, &shape, motions, out, err);
    else if (st == BRAGG_OK)
        st = plain_curves(&c, s, motions, out, err);
    if (st == BRAGG_OK && rdf)
        st = find_rdf(&c, s, rdf, err);
    if (st == BRAGG_OK)
        envelop(s, motions, n_motions, out);
    bragg_pdf_crystal_close(&c);
    free(out);
    return st;
}

bragg_status bragg_pdf_model(const bragg_structure *structure, const bragg_pdf_shape *s, double *g, double *rdf, bragg_error *err)
{
    return bragg_pdf_evaluate(structure, s, NULL, 0, g, rdf, NULL, err);
}
