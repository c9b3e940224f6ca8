/* SPDX-License-Identifier: GPL-3.0-or-later */
/* F(Q) to G(r), and what G(r) below the first distance says of the data. */
#include "config.h"
#include "reduce.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    double *noisy = bragg_pdf_noisy_basis(p, of);
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
            p->gr_covariance[i * (band + 1) + k] = (x[2 * many + k] - x[3 * many + 2 * i + k]) / 2 + bragg_pdf_polynomial_covariance(of, t, t + rows, p->m, i, i + k);
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

bragg_status bragg_pdf_transform(bragg_pdf *p, const polynomial *of, bragg_error *err)
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
bragg_status bragg_pdf_check_distance(const bragg_pdf *p, const bragg_composition *c, bragg_error *err)
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
bragg_status bragg_pdf_low_r_slope(bragg_pdf *p, const polynomial *of, bragg_error *err)
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
