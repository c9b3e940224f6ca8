/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities to S(Q) and F(Q), and the polynomial that the ad hoc route takes off. */
#include "config.h"
#include "reduce.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>

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
double bragg_pdf_polynomial_covariance(const polynomial *b, const double *t, const double *u, size_t stride, size_t i, size_t j)
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
double *bragg_pdf_noisy_basis(const bragg_pdf *p, const polynomial *b)
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
    double *u = bragg_pdf_noisy_basis(p, b);
    p->sq_covariance = calloc(n * (band + 1), sizeof *p->sq_covariance);
    if (!p->sq_covariance || !u) {
        free(u);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu points", n);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= band && i + k < n; k++) {
            double sum = (k ? 0 : p->fq_sigma[i] * p->fq_sigma[i]) + bragg_pdf_polynomial_covariance(b, b->basis, u, n, i, i + k);
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
    double *basis = calloc((degree + 1) * n, sizeof *basis), *w = calloc(n, sizeof *w), row[PDF_MOST_DEGREE + 2];
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
bragg_status bragg_pdf_structure(bragg_pdf *p, const bragg_composition *c, const weights *w, double low_end, polynomial *of, bragg_error *err)
{
    bragg_status st = p->used.physical ? bragg_pdf_physical(p, c, w, low_end, err) : structure_ad_hoc(p, w, of, err);
    if (st == BRAGG_OK && p->used.physical && p->used.band && p->sq_sigma)
        st = sq_covariance(p, of, err); /* of its points alone: scale and corrections count as known */
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
        p->sq[i] = p->q[i] > 0 ? 1 + p->fq[i] / p->q[i] : 1;
    return st;
}

void bragg_pdf_close_polynomial(polynomial *of)
{
    free(of->basis);
    free(of->w);
    *of = (polynomial){ .degree = 0 };
}
