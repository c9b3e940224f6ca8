/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities to S(Q), F(Q) and G(r). */
#include "config.h"
#include "reduce.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The polynomial is fitted a little beyond Qmax: what people choose is 1.2 to 1.4 of it. */
static const double FURTHER = 4.0 / 3;

enum { MOST_R = 1 << 22, MOST_DEGREE = 60 };

static void close_curve(curve *c)
{
    free(c->q);
    free(c->y);
    free(c->sigma2);
}

/* --------------------------------------------------------------- input */

static double variance_of(const bragg_pattern *p, size_t i)
{
    return isfinite(p->sigma[i]) ? p->sigma[i] * p->sigma[i] : p->counts ? fmax(p->y[i], 1) : NAN;
}

static double q_of(const bragg_pattern *p, double x, double wavelength_ang)
{
    return p->axis == BRAGG_AXIS_Q ? x : p->axis == BRAGG_AXIS_QNM ? bragg_axis_convert(x, p->axis, BRAGG_AXIS_Q, 1)
                                                                   : bragg_axis_convert(x, p->axis, BRAGG_AXIS_Q, wavelength_ang);
}

/* Integration leaves zeros without error behind the beam stop and beyond the edge
 * of the detector. */
static bool is_unseen(const bragg_pattern *p, size_t i) { return p->y[i] == 0 && !(p->sigma[i] > 0); }

/* The pattern on rising Q, without what the detector did not see at its ends. */
static bragg_status to_q(const bragg_pattern *p, double wavelength_ang, const char *what, curve *out, bragg_error *err)
{
    bool sigmas = true, falling = p->axis == BRAGG_AXIS_D;
    size_t first = 0, last = p->n;
    memset(out, 0, sizeof *out);
    if (p->axis == BRAGG_AXIS_R)
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected 2theta, Q or d, found the radius", what);
    if ((p->axis == BRAGG_AXIS_TTH) && !(wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "%s: data in 2theta need a wavelength, found none", what);
    while (last > 0 && is_unseen(p, last - 1))
        last--;
    while (first < last && is_unseen(p, first))
        first++;
    out->q = calloc(last + 1, sizeof *out->q);
    out->y = calloc(last + 1, sizeof *out->y);
    out->sigma2 = calloc(last + 1, sizeof *out->sigma2);
    if (!out->q || !out->y || !out->sigma2)
        return bragg_fail(err, BRAGG_ENOMEM, "%s: no room for %zu points", what, last);
    for (size_t k = first; k < last; k++) {
        size_t i = falling ? first + last - 1 - k : k;
        double q = q_of(p, p->x[i], wavelength_ang);
        if (!isfinite(q) || q < 0 || !isfinite(p->y[i]))
            return bragg_fail(err, BRAGG_EDATA, "%s: point %zu (x = %g, y = %g) is no intensity at a Q", what, i + 1, p->x[i], p->y[i]);
        out->q[out->n] = q;
        out->y[out->n] = p->y[i];
        out->sigma2[out->n++] = variance_of(p, i);
        sigmas = sigmas && isfinite(variance_of(p, i));
    }
    if (!sigmas) {
        free(out->sigma2);
        out->sigma2 = NULL;
    }
    return out->n >= 16 ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: expected at least 16 points, found %zu", what, out->n);
}

/* sample - scale x background, linear between the background's points. */
static bragg_status subtract(curve *s, const curve *b, double scale, bragg_error *err)
{
    double slack = 1e-6 + (b->q[b->n - 1] - b->q[0]) / (double)b->n;
    if (s->q[0] < b->q[0] - slack || s->q[s->n - 1] > b->q[b->n - 1] + slack)
        return bragg_fail(err, BRAGG_EDATA, "background: covers Q %.4g to %.4g /angstrom, the sample %.4g to %.4g; lower qmaxinst or measure it further",
                          b->q[0], b->q[b->n - 1], s->q[0], s->q[s->n - 1]);
    if (!b->sigma2) {
        free(s->sigma2);
        s->sigma2 = NULL;
    }
    for (size_t i = 0, k = 1; i < s->n; i++) {
        while (k + 1 < b->n && b->q[k] < s->q[i])
            k++;
        double t = fmin(fmax((s->q[i] - b->q[k - 1]) / (b->q[k] - b->q[k - 1]), 0), 1);
        s->y[i] -= scale * ((1 - t) * b->y[k - 1] + t * b->y[k]);
        if (s->sigma2)
            s->sigma2[i] += scale * scale * ((1 - t) * (1 - t) * b->sigma2[k - 1] + t * t * b->sigma2[k]);
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------- options */

static bragg_status fill_options(bragg_pdf_options *o, const curve *s, bragg_error *err)
{
    double last = s->q[s->n - 1], beyond = last + (last - s->q[0]) / (double)s->n;
    if (isnan(o->qmaxinst_invang))
        o->qmaxinst_invang = fmin(bragg_pdf_choose_qmaxinst(s), isfinite(o->qmax_invang) ? FURTHER * o->qmax_invang : INFINITY);
    if (last > 100 || (o->wavelength_ang > 0 && last > 1.001 * 4 * BRAGG_PI / o->wavelength_ang))
        return bragg_fail(err, BRAGG_EDATA, "sample: its Q reaches %.4g /angstrom, expected at most %.4g; are unit and wavelength right?", last,
                          o->wavelength_ang > 0 ? fmin(4 * BRAGG_PI / o->wavelength_ang, 100) : 100);
    o->qmaxinst_invang = fmin(o->qmaxinst_invang, last); /* files ask for "everything" by a large number */
    if (isnan(o->qmax_invang))
        o->qmax_invang = o->qmaxinst_invang;
    if (!(o->qmax_invang <= beyond))
        return bragg_fail(err, BRAGG_EINVAL, "qmax: found %g /angstrom, but the data end at %.4g", o->qmax_invang, last);
    if (!(o->qmin_invang >= 0) || !(o->qmax_invang > o->qmin_invang))
        return bragg_fail(err, BRAGG_EINVAL, "expected 0 <= qmin < qmax, found %g and %g", o->qmin_invang, o->qmax_invang);
    o->qmaxinst_invang = fmax(o->qmaxinst_invang, fmin(o->qmax_invang, last));
    if (!(o->rstep_ang > 0) || !(o->rmin_ang >= 0) || !(o->rmax_ang > o->rmin_ang) || !((o->rmax_ang - o->rmin_ang) / o->rstep_ang < MOST_R))
        return bragg_fail(err, BRAGG_EINVAL, "r grid: expected 0 <= rmin < rmax and a step, found %g, %g, %g", o->rmin_ang, o->rmax_ang, o->rstep_ang);
    if (!(o->rpoly_ang >= 0) || o->rpoly_ang * o->qmaxinst_invang / BRAGG_PI > MOST_DEGREE)
        return bragg_fail(err, BRAGG_EINVAL, "rpoly: expected 0 to %.3g angstrom, found %g", MOST_DEGREE * BRAGG_PI / o->qmaxinst_invang, o->rpoly_ang);
    if (isinf(o->background_scale))
        return bragg_fail(err, BRAGG_EINVAL, "background scale: expected a number, found %g", o->background_scale);
    if (!(o->mu_r >= 0) || o->mu_r > 10)
        return bragg_fail(err, BRAGG_EINVAL, "mu r: expected 0 to 10, found %g", o->mu_r);
    if ((o->compton || isfinite(o->polarization) || o->mu_r > 0 || o->anomalous) && !(o->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "Compton, polarization, anomalous scattering and absorption need the wavelength, found none");
    return BRAGG_OK;
}

/* ---------------------------------------------------- what atoms scatter */

static bragg_status check_composition(const bragg_composition *c, const bragg_pdf_options *o, bragg_error *err)
{
    double atoms = 0;
    for (size_t k = 0; k < c->n; k++) {
        atoms += c->count[k];
        if (o->neutron && !isfinite(c->scatterer[k].neutron_fm))
            return bragg_fail(err, BRAGG_EDATA, "composition: no neutron scattering length is known for %s", c->scatterer[k].name);
    }
    if (!(atoms > 0) || !(bragg_pdf_weights_at(c, o, 1).mean2 > 0))
        return bragg_fail(err, BRAGG_EDATA, "composition: expected atoms that scatter, found none");
    return BRAGG_OK;
}

static double angle_of(const bragg_pdf_options *o, double q) { return 2 * asin(fmin(q * o->wavelength_ang / (4 * BRAGG_PI), 1)); }

/* Polarization and absorption; the latter relative to straight ahead on the ad hoc
 * route, which has no absolute scale. */
static absorption instrument_factor(const bragg_pdf_options *o, double mu, double q)
{
    absorption f = { 1, 1 };
    if (!(o->wavelength_ang > 0))
        return f;
    double tth = angle_of(o, q), c = cos(tth);
    bragg_pdf_options round = *o;
    if (o->mu_r > 0) {
        round.mount = BRAGG_PDF_CYLINDER;
        round.size_mm = 1;
        round.wall_mm = 0;
        f.sample = bragg_pdf_absorption(&round, o->mu_r, tth).sample / bragg_pdf_absorption(&round, o->mu_r, 0).sample;
    } else if (o->physical && o->size_mm > 0)
        f = bragg_pdf_absorption(o, mu * o->packing, tth);
    if (isfinite(o->polarization))
        f.sample *= (1 + o->polarization) / 2 + (1 - o->polarization) / 2 * c * c;
    f.sample = fmax(f.sample, 1e-6);
    return f;
}

/* -------------------------------------------------------- S(Q) and F(Q) */

/* Ad hoc scale: intensity over <f^2> is 1 in the least-squares sense over all data,
 * as the processed files of PDFgetX3 have it; the squares less what noise adds to them,
 * which would make the scale too small. */
static double unit_scale(const bragg_pdf *p, const weights *w)
{
    double xy = 0, xx = 0;
    for (size_t i = 0; i < p->n; i++) {
        double x = p->iq[i] / w[i].square, noise = p->iq_sigma ? p->iq_sigma[i] / w[i].square : 0;
        xy += x;
        xx += x * x - noise * noise;
    }
    return xx > 0 ? xy / xx : NAN;
}

/* Scale in electron units when all that scatters is accounted for: J. Krogh-Moe,
 * Acta Cryst. 9 (1956) 951; N. Norman, Acta Cryst. 10 (1957) 370. */
static double krogh_moe_norman_scale(const bragg_pdf *p, const weights *w)
{
    double rho0 = p->used.number_density, expected = isfinite(rho0) ? -2 * BRAGG_PI * BRAGG_PI * rho0 : 0, found = 0;
    for (size_t i = 1; i < p->n && p->q[i] <= p->used.qmax_invang; i++) {
        double step = p->q[i] - p->q[i - 1], q2 = p->q[i] * p->q[i] / w[i].mean2;
        expected += step * q2 * (w[i].square + w[i].compton);
        found += step * q2 * p->iq[i];
    }
    return found > 0 ? expected / found : NAN;
}

/* F = Q (S - 1), S = (scale I - Compton - <f^2> + <f>^2) / <f>^2. */
static void structure_functions(bragg_pdf *p, const weights *w)
{
    for (size_t i = 0; i < p->n; i++) {
        double f = p->scale * p->iq[i] - w[i].compton - w[i].square;
        p->fq[i] = p->q[i] * f / w[i].mean2;
        if (p->iq_sigma) {
            p->sq_sigma[i] = p->scale * p->iq_sigma[i] / w[i].mean2;
            p->fq_sigma[i] = p->q[i] * p->sq_sigma[i];
        }
    }
}

static double dot(const double *a, const double *b, const double *w, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += w[i] * a[i] * b[i];
    return sum;
}

static void take_away(double *y, const double *basis, const double *w, size_t n, double part)
{
    double c = part * dot(y, basis, w, n);
    for (size_t i = 0; i < n; i++)
        y[i] -= c * basis[i];
}

/* Before the fit S is 0 below qmin, so that what the beam stop leaves there cannot
 * bend the polynomial. */
static void close_low_q(bragg_pdf *p)
{
    for (size_t i = 0; i < p->n && p->q[i] < p->used.qmin_invang; i++)
        p->fq[i] = -p->q[i];
}

/* The polynomial that was taken off: F' = (1 - B c B'W) F, B orthonormal under W, c 1
 * but for a last term that counts in part; inner = c B'W V W B c. */
typedef struct polynomial {
    size_t degree;
    double *basis, *w, part[MOST_DEGREE + 2], inner[MOST_DEGREE + 2][MOST_DEGREE + 2];
} polynomial;

static void find_inner(const bragg_pdf *p, polynomial *b)
{
    for (size_t a = 0; a < b->degree; a++)
        for (size_t k = 0; k < b->degree; k++) {
            double sum = 0;
            for (size_t i = 0; i < p->n; i++)
                sum += b->basis[a * p->n + i] * b->basis[k * p->n + i] * b->w[i] * b->w[i] * p->fq_sigma[i] * p->fq_sigma[i];
            b->inner[a][k] = b->part[a] * sum * b->part[k];
        }
}

/* What the polynomial does to the covariance of points i and j of any linear image of F:
 * t rows the image of B, u that of V W B. */
static double polynomial_covariance(const polynomial *b, const double *t, const double *u, size_t stride, size_t i, size_t j)
{
    double sum = 0;
    for (size_t a = 0; a < b->degree; a++) {
        sum -= b->part[a] * (t[a * stride + i] * u[a * stride + j] + u[a * stride + i] * t[a * stride + j]);
        for (size_t k = 0; k < b->degree; k++)
            sum += t[a * stride + i] * b->inner[a][k] * t[k * stride + j];
    }
    return sum;
}

/* V W B, a row a term. */
static double *noisy_basis(const bragg_pdf *p, const polynomial *b)
{
    double *u = calloc(b->degree * p->n + 1, sizeof *u);
    for (size_t a = 0; u && a < b->degree; a++)
        for (size_t i = 0; i < p->n; i++)
            u[a * p->n + i] = p->fq_sigma[i] * p->fq_sigma[i] * b->w[i] * b->basis[a * p->n + i];
    return u;
}

static bragg_status sq_covariance(bragg_pdf *p, const polynomial *b, bragg_error *err)
{
    size_t n = p->n, band = p->used.band;
    double *u = noisy_basis(p, b);
    p->sq_covariance = calloc(n * (band + 1), sizeof *p->sq_covariance);
    if (!p->sq_covariance || !u) {
        free(u);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu points", n);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= band && i + k < n; k++) {
            double sum = (k ? 0 : p->fq_sigma[i] * p->fq_sigma[i]) + polynomial_covariance(b, b->basis, u, n, i, i + k);
            p->sq_covariance[i * (band + 1) + k] = p->q[i] > 0 && p->q[i + k] > 0 ? sum / (p->q[i] * p->q[i + k]) : 0;
        }
    free(u);
    return BRAGG_OK;
}

/* F less its least-squares polynomial q P_{n-1}(q), n = rpoly qmaxinst / pi: what
 * varies slower than structure beyond rpoly can (Juhas et al. 2013).  For a broken
 * n the last term counts in part, so that G(r) moves smoothly with rpoly.
 * Gram-Schmidt, twice, from q T_k(2 q / qmax - 1). */
static bragg_status subtract_polynomial(bragg_pdf *p, polynomial *of, bragg_error *err)
{
    double exact = p->used.rpoly_ang * p->used.qmaxinst_invang / BRAGG_PI;
    size_t degree = (size_t)ceil(exact), n = p->n;
    double *basis = calloc((degree + 1) * n, sizeof *basis), *w = calloc(n, sizeof *w), row[MOST_DEGREE + 2];
    bragg_status st = basis && w && degree < n ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a polynomial of degree %zu", degree);
    if (st == BRAGG_OK)
        bragg_trapezoid_weights(p->q, n, w);
    for (size_t i = 0; st == BRAGG_OK && i < n && degree; i++) {
        bragg_chebyshev_row(2 * p->q[i] / p->q[n - 1] - 1, degree, row);
        for (size_t k = 0; k < degree; k++)
            basis[k * n + i] = p->q[i] * row[k];
    }
    for (size_t k = 0; st == BRAGG_OK && k < degree; k++) {
        double *b = basis + k * n;
        for (size_t pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < k; j++)
                take_away(b, basis + j * n, w, n, 1);
        double norm = 1 / sqrt(dot(b, b, w, n));
        for (size_t i = 0; i < n; i++)
            b[i] *= norm;
        of->part[k] = k + 1 == degree ? exact + 1 - (double)degree : 1;
        take_away(p->fq, b, w, n, of->part[k]);
    }
    of->degree = degree;
    of->basis = basis;
    of->w = w;
    if (st == BRAGG_OK && p->used.band && p->sq_sigma) {
        find_inner(p, of);
        st = sq_covariance(p, of, err);
    }
    return st;
}

/* ----------------------------------------------------------------- G(r) */

static const char *const window_names[] = { "none", "lorch", "soper-lorch", "cosine" };

bool bragg_pdf_window_parse(const char *name, bragg_pdf_window *window)
{
    for (int k = 0; k < 4; k++)
        if (!strcmp(name, window_names[k])) {
            *window = (bragg_pdf_window)k;
            return true;
        }
    return false;
}

const char *bragg_pdf_window_name(bragg_pdf_window w) { return window_names[w]; }

static double window_at(const bragg_pdf_options *o, double q)
{
    double x = BRAGG_PI * q / o->qmax_invang;
    if (!(x > 1e-6))
        return 1;
    return o->window == BRAGG_PDF_WINDOW_LORCH ? sin(x) / x
         : o->window == BRAGG_PDF_WINDOW_SOPER ? 3 * (sin(x) - x * cos(x)) / (x * x * x)
         : o->window == BRAGG_PDF_WINDOW_COSINE ? cos(x / 2) : 1;
}

/* Images of B and V W B in G(r): rows of m. */
static bragg_status image(const bragg_pdf *p, const polynomial *of, size_t first, const double *w, size_t n, double *t, double *u, bragg_error *err)
{
    double *noisy = noisy_basis(p, of);
    bragg_status st = noisy ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a covariance");
    for (size_t a = 0; a < of->degree && st == BRAGG_OK; a++) {
        st = bragg_sine_transform(p->q + first, of->basis + a * p->n + first, w, NULL, n, p->r, p->m, t + a * p->m, NULL, err);
        if (st == BRAGG_OK)
            st = bragg_sine_transform(p->q + first, noisy + a * p->n + first, w, NULL, n, p->r, p->m, u + a * p->m, NULL, err);
    }
    free(noisy);
    return st;
}

/* cov(i, i + k) = 1/2 sum v (cos q(r_i+k - r_i) - cos q(r_i+k + r_i)), v = w^2 variance:
 * two cosine transforms serve all pairs; and what the polynomial takes of the noise at
 * low r.  The sigmas of G(r) become those of its diagonal. */
static bragg_status gr_covariance(bragg_pdf *p, const polynomial *of, size_t first, const double *w, const double *variance, size_t n, bragg_error *err)
{
    size_t band = p->used.band, many = 2 * p->m + band + 1, rows = of->degree * p->m;
    double step = p->used.rstep_ang, *x = calloc(4 * many + n + 2 * rows, sizeof *x), *w2 = x ? x + 4 * many : NULL, *t = x ? w2 + n : NULL;
    p->gr_covariance = calloc(p->m * (band + 1), sizeof *p->gr_covariance);
    if (!x || !p->gr_covariance) {
        free(x);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu points", p->m);
    }
    for (size_t i = 0; i < many; i++) {
        x[i] = (double)i * step;
        x[many + i] = 2 * p->used.rmin_ang + (double)i * step;
    }
    for (size_t i = 0; i < n; i++)
        w2[i] = w[i] * w[i];
    bragg_status st = bragg_cosine_transform(p->q + first, variance, w2, NULL, n, x, many, x + 2 * many, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_cosine_transform(p->q + first, variance, w2, NULL, n, x + many, many, x + 3 * many, NULL, err);
    if (st == BRAGG_OK)
        st = image(p, of, first, w, n, t, t + rows, err);
    for (size_t i = 0; st == BRAGG_OK && i < p->m; i++) {
        for (size_t k = 0; k <= band && i + k < p->m; k++)
            p->gr_covariance[i * (band + 1) + k] = (x[2 * many + k] - x[3 * many + 2 * i + k]) / 2 + polynomial_covariance(of, t, t + rows, p->m, i, i + k);
        p->gr_sigma[i] = sqrt(fmax(p->gr_covariance[i * (band + 1)], 0));
    }
    free(x);
    return st;
}

/* Points of Q that the transform takes: from `first` on, how many. */
static size_t transformed(const bragg_pdf *p, size_t *first)
{
    const bragg_pdf_options *o = &p->used;
    size_t last = p->n;
    *first = 0;
    while (!o->physical && *first < p->n && p->q[*first] < o->qmin_invang - 1e-9) /* else S is 0 there, and counts */
        ++*first;
    while (last > *first && p->q[last - 1] > o->qmax_invang + 1e-9)
        last--;
    return last - *first;
}

/* What F(Q) counts in G(r) beside its sine. */
static void transform_weights(const bragg_pdf *p, size_t first, size_t n, double *w)
{
    bragg_trapezoid_weights(p->q + first, n, w);
    for (size_t i = 0; i < n; i++)
        w[i] *= 2 / BRAGG_PI * window_at(&p->used, p->q[first + i]);
}

static bragg_status transform(bragg_pdf *p, const polynomial *of, bragg_error *err)
{
    const bragg_pdf_options *o = &p->used;
    size_t first, n = transformed(p, &first);
    if (n < 8)
        return bragg_fail(err, BRAGG_EDATA, "only %zu points between qmin %g and qmax %g", n, o->qmin_invang, o->qmax_invang);
    double *w = calloc(n, sizeof *w), *variance = p->fq_sigma ? calloc(n, sizeof *variance) : NULL;
    bragg_status st = w && (variance || !p->fq_sigma) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    if (st == BRAGG_OK)
        transform_weights(p, first, n, w);
    for (size_t i = 0; st == BRAGG_OK && variance && i < n; i++)
        variance[i] = p->fq_sigma[first + i] * p->fq_sigma[first + i];
    if (st == BRAGG_OK)
        st = bragg_sine_transform(p->q + first, p->fq + first, w, variance, n, p->r, p->m, p->gr, p->gr_sigma, err);
    for (size_t j = 0; st == BRAGG_OK && o->physical && j < p->m; j++)
        p->gr[j] += bragg_pdf_unseen(p->q[0], p->r[j]);
    if (!o->physical)
        p->used.qmin_invang = fmax(o->qmin_invang, p->q[first]);
    for (size_t j = 0; st == BRAGG_OK && variance && j < p->m; j++)
        p->gr_sigma[j] = sqrt(p->gr_sigma[j]);
    if (st == BRAGG_OK && variance && o->band)
        st = gr_covariance(p, of, first, w, variance, n, err);
    free(w);
    free(variance);
    return st;
}

/* From where the polynomial no longer acts to where the first peak begins to rise. */
double bragg_pdf_low_end(const bragg_pdf *p)
{
    double top = 0, from = fmax(p->used.rpoly_ang, 0.3);
    size_t first = 0, end;
    while (first < p->m && p->r[first] < from)
        first++;
    for (size_t j = first; j < p->m && p->r[j] < 6; j++)
        top = fmax(top, p->gr[j]);
    for (end = first; end < p->m && p->gr[end] < 0.4 * top; end++)
        ;
    while (end > first && p->gr[end - 1] > 0) /* back to the foot, then half a ripple further */
        end--;
    return end > first ? p->r[end - 1] - BRAGG_PI / (2 * p->used.qmax_invang) : NAN;
}

/* Noise, by errors that are those of counting: nothing that proves data wrong. */
static bool is_noise(const bragg_pdf *p, size_t j) { return p->gr_sigma && p->error_ratio > 0.25 && p->error_ratio < 4 && p->gr[j] < 5 * p->gr_sigma[j]; }

/* Place of the first strong peak of G(r); NAN where none stands apart. */
static double first_peak(const bragg_pdf *p, bool *noise)
{
    double top = 0, from = fmax(p->used.rpoly_ang, 0.3);
    size_t first = 0, j;
    while (first < p->m && p->r[first] < from)
        first++;
    for (j = first; j < p->m && p->r[j] < 8; j++)
        top = fmax(top, p->gr[j]);
    for (j = first; j < p->m && p->gr[j] >= 0.4 * top; j++) /* the end of a ripple near r = 0 */
        ;
    while (j < p->m && p->gr[j] < 0.4 * top)
        j++;
    while (j + 1 < p->m && p->gr[j + 1] > p->gr[j])
        j++;
    *noise = j < p->m && is_noise(p, j);
    return j + 1 < p->m ? p->r[j] : NAN;
}

static bragg_status refuse_distance(const double range[2], double found, bragg_error *err)
{
    char seen[40] = "no peak that stands apart";
    if (isfinite(found))
        snprintf(seen, sizeof seen, "its first peak at %.3g", found);
    return bragg_fail(err, BRAGG_EDATA, "G(r): expected the first distance of these elements at %.2f to %.2f angstrom, found %s; are wavelength, unit, "
                      "composition and background right? --first-distance says that it is", range[0], range[1], seen);
}

/* A wrong wavelength or unit stretches all distances; <f^2> falls so much like a power of
 * Q that it hardly shows there.  The physical route has looked at an ad hoc G(r), in which a
 * density that is not that of the sample does no harm. */
static bragg_status check_distance(const bragg_pdf *p, const bragg_composition *c, bragg_error *err)
{
    const bragg_pdf_options *o = &p->used;
    double range[2], found;
    bool noise;
    for (size_t k = 0; k < c->n; k++)
        if (o->neutron && c->scatterer[k].neutron_fm < 0)
            return BRAGG_OK; /* peaks may point down */
    if (o->physical || o->first_distance_ang > 0 || !(o->rmin_ang <= 1 && o->rmax_ang >= 8 && o->rstep_ang <= 0.1))
        return BRAGG_OK;
    bragg_pdf_distance_range(c, range);
    found = first_peak(p, &noise);
    if (noise)
        return BRAGG_OK;
    if (!(found >= range[0] && found <= range[1]))
        return refuse_distance(range, found, err);
    double packed = o->number_density > 0 && !o->neutron ? bragg_pdf_packed_distance(c, o->number_density) : INFINITY;
    if (found > 1.05 * packed)
        return bragg_fail(err, BRAGG_EDATA, "G(r): expected a first distance of at most %.3g angstrom, that of the closest packing of this density, found %.3g; "
                          "are wavelength, unit and density right? --first-distance says that it is", packed, found);
    return BRAGG_OK;
}

/* Standard deviation of sum f_j G(r_j) over points [0, m): G is linear in F, whose points err by
 * themselves, less what the polynomial takes of each.  F below the first Q is no measurement. */
static bragg_status linear_esd(const bragg_pdf *p, const polynomial *of, const double *f, size_t m, double *esd, bragg_error *err)
{
    size_t first, n = transformed(p, &first);
    double *k = calloc(2 * p->n + n + m, sizeof *k), *own = k ? k + p->n : NULL, *w = k ? own + p->n : NULL, *ones = k ? w + n : NULL, variance = 0;
    bragg_status st = k ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    for (size_t j = 0; st == BRAGG_OK && j < m; j++)
        ones[j] = 1;
    if (st == BRAGG_OK)
        st = bragg_sine_transform(p->r, f, ones, NULL, m, p->q + first, n, k + first, NULL, err);
    if (st == BRAGG_OK)
        transform_weights(p, first, n, w);
    for (size_t i = 0; st == BRAGG_OK && i < n; i++)
        k[first + i] *= w[i];
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
        own[i] = k[i];
    for (size_t a = 0; st == BRAGG_OK && a < of->degree; a++) {
        const double *b = of->basis + a * p->n;
        double part = 0;
        for (size_t i = 0; i < p->n; i++)
            part += of->part[a] * k[i] * b[i];
        for (size_t i = 0; i < p->n; i++)
            own[i] -= part * of->w[i] * b[i];
    }
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
        if (p->used.physical || p->q[i] >= p->used.qmin_invang)
            variance += pow(own[i] * p->fq_sigma[i], 2);
    *esd = sqrt(variance);
    free(k);
    return st;
}

/* Slope of the line through the origin up to there. */
static bragg_status low_r_slope(bragg_pdf *p, const polynomial *of, bragg_error *err)
{
    double xy = 0, xx = 0, from = fmax(p->used.rpoly_ang, 0.3);
    if (!p->used.physical && !(p->slope_to_ang > 0))
        p->slope_to_ang = bragg_pdf_low_end(p);
    double *f = calloc(p->m, sizeof *f);
    size_t m = 0;
    if (!f)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->m);
    for (; m < p->m && p->r[m] <= p->slope_to_ang; m++) {
        f[m] = p->r[m] < from ? 0 : p->r[m];
        xy += f[m] * p->gr[m];
        xx += f[m] * f[m];
    }
    p->slope = xx > 0 ? xy / xx : NAN;
    p->slope_esd = NAN;
    p->slope_expected = -4 * BRAGG_PI * p->used.number_density;
    for (size_t j = 0; j < m; j++)
        f[j] /= xx;
    bragg_status st = xx > 0 && p->fq_sigma ? linear_esd(p, of, f, m, &p->slope_esd, err) : BRAGG_OK;
    free(f);
    return st;
}

static void mean_tail(bragg_pdf *p)
{
    double sum = 0, count = 0;
    for (size_t i = 4 * p->n / 5; i < p->n; i++, count++)
        sum += p->sq[i];
    p->sq_tail = sum / count;
}

/* ------------------------------------------------------------------ all */

static double *room_for(size_t n, bool *ok)
{
    double *a = calloc(n ? n : 1, sizeof *a);
    *ok = *ok && a;
    return a;
}

static bragg_status make_pdf(const curve *s, const bragg_pdf_options *o, bragg_pdf **out, bragg_error *err)
{
    bragg_pdf *p = *out = calloc(1, sizeof *p);
    bool ok = p != NULL;
    if (!ok)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a pair distribution function");
    p->used = *o;
    while (p->n < s->n && s->q[p->n] <= o->qmaxinst_invang + 1e-9)
        p->n++;
    p->m = (size_t)floor((o->rmax_ang - o->rmin_ang) / o->rstep_ang + 1e-6) + 1;
    double **const both[] = { &p->q, &p->iq, &p->sq, &p->fq }, **const sigmas[] = { &p->iq_sigma, &p->sq_sigma, &p->fq_sigma };
    for (size_t k = 0; k < 4; k++)
        *both[k] = room_for(p->n, &ok);
    for (size_t k = 0; k < 3 && s->sigma2; k++)
        *sigmas[k] = room_for(p->n, &ok);
    p->r = room_for(p->m, &ok);
    p->gr = room_for(p->m, &ok);
    p->gr_sigma = s->sigma2 ? room_for(p->m, &ok) : NULL;
    return ok ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points of Q and %zu of r", p->n, p->m);
}

/* Intensities of a sample in electron units follow <f^2> + Compton slowly; on a wrong
 * scale of Q they do not.  Means over sixteenths of the data from a quarter on. */
static bragg_status check_match(const bragg_pdf *p, const bragg_composition *c, bragg_error *err)
{
    const double most = 5;
    double low = INFINITY, high = 0, q_low = 0, q_high = 0, at_low = p->q[p->n - 1] / 4;
    for (int k = 0; k < 12; k++) {
        double from = at_low * (1 + k / 4.0), to = at_low * (1 + (k + 1) / 4.0), found = 0, expected = 0;
        for (size_t i = 0; i < p->n; i++)
            if (p->q[i] >= from && p->q[i] < to) {
                found += p->iq[i];
                expected += bragg_pdf_weights_at(c, &p->used, p->q[i]).square + bragg_pdf_compton_at(c, &p->used, p->q[i]);
            }
        if (!(expected > 0) || p->used.neutron)
            continue;
        double ratio = found / expected;
        if (ratio > high)
            high = ratio, q_high = (from + to) / 2;
        if (ratio < low)
            low = ratio, q_low = (from + to) / 2;
    }
    if (high > 0 && !(high < most * low))
        return bragg_fail(err, BRAGG_EDATA, "intensity: cannot be matched to <f^2>: their ratio is %.3g at Q = %.3g and %.3g at %.3g /angstrom, expected a factor "
                          "below %g; are wavelength, unit, composition and background scale right?", high, q_high, low, q_low, most);
    return BRAGG_OK;
}

static bragg_status check_positive(const bragg_pdf *p, bragg_error *err)
{
    size_t negative = 0, first = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->iq[i] < 0 && p->q[i] >= p->used.qmin_invang) {
            first = negative ? first : i;
            negative++;
        }
    if (5 * negative > p->n)
        return bragg_fail(err, BRAGG_EDATA, "intensity: negative at %zu of %zu points after %g x background, first at Q = %.4g /angstrom; lower its scale", negative,
                          p->n, p->used.background_scale, p->q[first]);
    return BRAGG_OK;
}

static bragg_status structure_ad_hoc(bragg_pdf *p, const weights *w, polynomial *of, bragg_error *err)
{
    p->scale = p->used.compton ? krogh_moe_norman_scale(p, w) : unit_scale(p, w);
    if (!(p->scale > 0))
        return bragg_fail(err, BRAGG_EDATA, "intensity: nothing is left at high Q after %g x background; is its scale right?", p->used.background_scale);
    structure_functions(p, w);
    close_low_q(p);
    return subtract_polynomial(p, of, err);
}

/* S(Q) and F(Q) by either route. */
static bragg_status structure(bragg_pdf *p, const bragg_composition *c, const weights *w, double low_end, polynomial *of, bragg_error *err)
{
    bragg_status st = p->used.physical ? bragg_pdf_physical(p, c, w, low_end, err) : structure_ad_hoc(p, w, of, err);
    if (st == BRAGG_OK && p->used.physical && p->used.band && p->sq_sigma)
        st = sq_covariance(p, of, err); /* of its points alone: scale and corrections count as known */
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
        p->sq[i] = p->q[i] > 0 ? 1 + p->fq[i] / p->q[i] : 1;
    return st;
}

static void close_polynomial(polynomial *of)
{
    free(of->basis);
    free(of->w);
    *of = (polynomial){ .degree = 0 };
}

/* Qmax by what all data show; then again without those that are mostly error. */
static bragg_status choose_range(bragg_pdf *p, const bragg_composition *c, const weights *w, double low_end, polynomial *of, bragg_error *err)
{
    p->used.qmax_invang = fmax(bragg_pdf_choose_qmax(p, w), p->used.qmin_invang + 1);
    p->qmax_found = true;
    if (!p->qmaxinst_found && !p->used.physical)
        return BRAGG_OK;
    if (p->qmaxinst_found)
        p->used.qmaxinst_invang = fmin(p->used.qmaxinst_invang, FURTHER * p->used.qmax_invang);
    while (p->q[p->n - 1] > p->used.qmaxinst_invang + 1e-9)
        p->n--;
    free(p->sq_covariance);
    p->sq_covariance = NULL;
    close_polynomial(of);
    return structure(p, c, w, low_end, of, err);
}

static bragg_status reduce(bragg_pdf *p, const bragg_composition *c, double low_end, bragg_error *err)
{
    weights *w = calloc(p->n, sizeof *w);
    polynomial of = { .degree = 0 };
    if (!w)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    for (size_t i = 0; i < p->n; i++)
        w[i] = bragg_pdf_weights_at(c, &p->used, p->q[i]);
    for (size_t j = 0; j < p->m; j++)
        p->r[j] = p->used.rmin_ang + (double)j * p->used.rstep_ang;
    p->slope_to_ang = low_end;
    bragg_status st = structure(p, c, w, low_end, &of, err);
    if (st == BRAGG_OK && p->used.auto_qmax)
        st = choose_range(p, c, w, low_end, &of, err);
    if (st == BRAGG_OK)
        st = transform(p, &of, err);
    if (st == BRAGG_OK)
        st = low_r_slope(p, &of, err);
    if (st == BRAGG_OK) {
        mean_tail(p);
        st = check_distance(p, c, err);
    }
    close_polynomial(&of);
    free(w);
    return st;
}

/* What a reduction works on: the patterns on Q, and what they are made of. */
typedef struct job {
    curve s, b;
    bool has_background, qmaxinst_open;
    double error_ratio;
    const bragg_composition *composition;
} job;

/* The largest scale that leaves nothing negative is above the true one where a sample
 * scatters diffusely at low Q.  Patterns of equal exposure have 1, behind a sample rather
 * less: 1 it is when that is not far below. */
static double usual_scale(double most) { return most > 1 && most < 1.5 ? 1 : most; }

static bragg_status open_job(job *k, const bragg_pattern *sample, const bragg_pattern *background, bragg_pdf_options *o, bragg_pdf *notes,
                             bragg_error *err)
{
    bragg_status st = to_q(sample, o->wavelength_ang, "sample", &k->s, err);
    k->qmaxinst_open = isnan(o->qmaxinst_invang);
    if (st == BRAGG_OK)
        st = fill_options(o, &k->s, err);
    if (st == BRAGG_OK)
        st = check_composition(k->composition, o, err);
    while (st == BRAGG_OK && k->s.n > 16 && k->s.q[k->s.n - 1] > o->qmaxinst_invang + 1e-9)
        k->s.n--;
    if (st == BRAGG_OK && background)
        st = to_q(background, o->wavelength_ang, "background", &k->b, err);
    k->has_background = background != NULL;
    k->error_ratio = notes->error_ratio = st == BRAGG_OK ? bragg_pdf_error_ratio(&k->s) : NAN;
    if (st == BRAGG_OK && o->remove_outliers)
        notes->n_outliers = bragg_pdf_remove_outliers(&k->s, notes->outlier_q, 8);
    if (st == BRAGG_OK && isnan(o->background_scale)) {
        notes->background_most = background ? bragg_pdf_background_scale(&k->s, &k->b, k->composition, o) : 1;
        o->background_scale = usual_scale(notes->background_most);
        notes->background_found = background != NULL;
        if (!isfinite(o->background_scale))
            st = bragg_fail(err, BRAGG_EDATA, "background scale: found no region to compare sample and background in; give it");
    }
    return st;
}

/* Sample and background in the same units; the background behind the sample is weaker
 * by the container's factor. */
static bragg_status fill_intensities(const job *k, bragg_pdf *p, bragg_error *err)
{
    curve s = { 0 };
    double mu = bragg_pdf_attenuation(k->composition, &p->used);
    s.n = k->s.n;
    s.q = k->s.q;
    s.y = malloc(s.n * sizeof *s.y);
    s.sigma2 = k->s.sigma2 ? malloc(s.n * sizeof *s.sigma2) : NULL;
    if (!s.y || (k->s.sigma2 && !s.sigma2)) {
        free(s.y);
        free(s.sigma2);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", s.n);
    }
    for (size_t i = 0; i < s.n; i++) {
        double container = instrument_factor(&p->used, mu, s.q[i]).container; /* divided here, multiplied below */
        s.y[i] = k->s.y[i] / container;
        if (s.sigma2)
            s.sigma2[i] = k->s.sigma2[i] / (container * container);
    }
    bragg_status st = k->has_background ? subtract(&s, &k->b, p->used.background_scale, err) : BRAGG_OK;
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++) {
        absorption f = instrument_factor(&p->used, mu, s.q[i]);
        p->q[i] = s.q[i];
        p->iq[i] = s.y[i] * f.container / f.sample;
        if (p->iq_sigma)
            p->iq_sigma[i] = s.sigma2 ? sqrt(s.sigma2[i]) * f.container / f.sample : NAN;
    }
    free(s.y);
    free(s.sigma2);
    return st;
}

static bragg_status one_route(const job *k, const bragg_pdf_options *o, double low_end, bragg_pdf **out, bragg_error *err)
{
    bool sigmas = k->s.sigma2 && (!k->has_background || k->b.sigma2);
    curve like = { k->s.n, k->s.q, k->s.y, sigmas ? k->s.sigma2 : NULL };
    bragg_status st = make_pdf(&like, o, out, err);
    if (st == BRAGG_OK) {
        (*out)->qmaxinst_found = k->qmaxinst_open;
        (*out)->error_ratio = k->error_ratio;
    }
    if (st == BRAGG_OK)
        st = fill_intensities(k, *out, err);
    if (st == BRAGG_OK)
        st = check_positive(*out, err);
    if (st == BRAGG_OK)
        st = check_match(*out, k->composition, err);
    return st == BRAGG_OK ? reduce(*out, k->composition, low_end, err) : st;
}

static bragg_status check_physical(const bragg_pdf_options *o, bragg_error *err)
{
    if (!o->physical)
        return BRAGG_OK;
    if (!(o->number_density > 0))
        return bragg_fail(err, BRAGG_EINVAL, "physical route: expected a density or number density, found none; the ad hoc route needs none");
    if (!(o->wavelength_ang > 0) && !o->neutron)
        return bragg_fail(err, BRAGG_EINVAL, "physical route: expected the wavelength, found none");
    if (!(o->size_mm >= 0) || !(o->wall_mm >= 0) || !(o->wall_mu_per_mm >= 0) || !(o->packing > 0 && o->packing <= 1) || !(o->compton_window_ang >= 0))
        return bragg_fail(err, BRAGG_EINVAL, "physical route: expected sizes not below 0 and a packing of 0 to 1, found %g, %g, %g and %g", o->size_mm, o->wall_mm,
                          o->wall_mu_per_mm, o->packing);
    return BRAGG_OK;
}

/* Where the low-r region of the physical route ends is read from an ad hoc G(r). */
static bragg_status find_low_end(const job *k, const bragg_pdf_options *o, double *to, bragg_error *err)
{
    bragg_pdf *first = NULL;
    bragg_pdf_options plain = *o;
    plain.physical = plain.auto_qmax = false;
    plain.rpoly_ang = 0.9;
    plain.rmin_ang = 0;
    plain.rmax_ang = 8;
    plain.rstep_ang = 0.02;
    plain.band = 0;
    plain.window = BRAGG_PDF_WINDOW_NONE;
    bragg_status st = one_route(k, &plain, NAN, &first, err);
    if (st == BRAGG_OK && !isfinite(*to = first->slope_to_ang))
        st = bragg_fail(err, BRAGG_EDATA, "physical route: no first distance is seen in G(r) below 6 angstrom");
    bragg_pdf_free(first);
    return st;
}

static void copy_notes(bragg_pdf *to, const bragg_pdf *from)
{
    to->background_found = from->background_found;
    to->background_most = from->background_most;
    to->error_ratio = from->error_ratio;
    to->n_outliers = from->n_outliers;
    memcpy(to->outlier_q, from->outlier_q, sizeof to->outlier_q);
}

bragg_status bragg_pdf_reduce(const bragg_pattern *sample, const bragg_pattern *background, const bragg_composition *composition,
                              const bragg_pdf_options *options, bragg_pdf **out, bragg_error *err)
{
    bragg_composition own = *composition;
    job k = { .composition = &own };
    bragg_pdf_options o = *options;
    bragg_pdf notes = { 0 };
    double low_end = NAN;
    *out = NULL;
    if (!(o.wavelength_ang > 0))
        o.wavelength_ang = sample->wavelength_ang;
    bragg_status st = check_physical(&o, err);
    if (o.physical)
        o.rpoly_ang = 0;
    if (st == BRAGG_OK)
        st = bragg_pdf_set_anomalous(&own, &o, err);
    if (st == BRAGG_OK)
        st = open_job(&k, sample, background, &o, &notes, err);
    if (o.first_distance_ang > 0)
        low_end = o.first_distance_ang;
    else if (st == BRAGG_OK && o.physical)
        st = find_low_end(&k, &o, &low_end, err);
    if (st == BRAGG_OK)
        st = one_route(&k, &o, low_end, out, err);
    if (st == BRAGG_OK)
        copy_notes(*out, &notes);
    if (st < 0) {
        bragg_pdf_free(*out);
        *out = NULL;
    }
    close_curve(&k.s);
    close_curve(&k.b);
    return st;
}

void bragg_pdf_free(bragg_pdf *p)
{
    if (!p)
        return;
    double *const all[] = { p->q, p->iq, p->iq_sigma, p->sq, p->sq_sigma, p->fq, p->fq_sigma, p->r, p->gr, p->gr_sigma, p->sq_covariance, p->gr_covariance };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
    free(p);
}
