/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities to S(Q), F(Q) and G(r). */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xraylib.h>

enum { MOST_R = 1 << 22, MOST_DEGREE = 60 };

/* A measurement on Q; sigma2 is NULL when it has none. */
typedef struct curve {
    size_t n;
    double *q, *y, *sigma2;
} curve;

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
    if (!(o->qmaxinst_invang < last))
        o->qmaxinst_invang = last; /* files ask for "everything" by a large number */
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
    if (!isfinite(o->background_scale))
        return bragg_fail(err, BRAGG_EINVAL, "background scale: expected a number, found %g", o->background_scale);
    if (!(o->mu_r >= 0) || o->mu_r > 10)
        return bragg_fail(err, BRAGG_EINVAL, "mu r: expected 0 to 10, found %g", o->mu_r);
    if ((o->compton || isfinite(o->polarization) || o->mu_r > 0) && !(o->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "Compton, polarization and absorption need the wavelength, found none");
    return BRAGG_OK;
}

/* ---------------------------------------------------- what atoms scatter */

typedef struct weights {
    double mean2, square, compton; /* <f>^2, <f^2>, incoherent; electron units an atom */
} weights;

/* Incoherent scattering with the Breit-Dirac recoil factor squared (as a detector
 * counts photons; R. J. Temkin, V. E. Henrich & D. Turnbull, J. Phys. F 5 (1975)). */
static double compton_of(const bragg_scatterer *s, double q, double wavelength_ang)
{
    const double compton_wavelength_ang = 0.0242631023867;
    double s_invang = q / (4 * BRAGG_PI), sine = fmin(s_invang * wavelength_ang, 1);
    double recoil = 1 + 2 * compton_wavelength_ang / wavelength_ang * sine * sine;
    return SF_Compt(s->z, fmax(s_invang, 1e-6), NULL) / (recoil * recoil);
}

static weights weights_at(const bragg_composition *c, const bragg_pdf_options *o, double q)
{
    double atoms = 0, sum = 0, square = 0, compton = 0;
    for (size_t k = 0; k < c->n; k++) {
        double f = o->neutron ? c->scatterer[k].neutron_fm : bragg_scatterer_f0(&c->scatterer[k], q / (4 * BRAGG_PI));
        atoms += c->count[k];
        sum += c->count[k] * f;
        square += c->count[k] * f * f;
        compton += o->compton ? c->count[k] * compton_of(&c->scatterer[k], q, o->wavelength_ang) : 0;
    }
    return (weights){ sum * sum / (atoms * atoms), square / atoms, compton / atoms };
}

static bragg_status check_composition(const bragg_composition *c, const bragg_pdf_options *o, bragg_error *err)
{
    double atoms = 0;
    for (size_t k = 0; k < c->n; k++) {
        atoms += c->count[k];
        if (o->neutron && !isfinite(c->scatterer[k].neutron_fm))
            return bragg_fail(err, BRAGG_EDATA, "composition: no neutron scattering length is known for %s", c->scatterer[k].name);
    }
    if (!(atoms > 0) || !(weights_at(c, o, 1).mean2 > 0))
        return bragg_fail(err, BRAGG_EDATA, "composition: expected atoms that scatter, found none");
    return BRAGG_OK;
}

/* Transmission of a cylinder bathed in the beam, by the mean path over its disc:
 * numerical on a fixed grid of points and exit directions. */
static double cylinder_transmission(double mu_r, double two_theta_rad)
{
    enum { RINGS = 12, SPOKES = 24 };
    double sum = 0, c = cos(two_theta_rad), s = sin(two_theta_rad);
    for (int i = 0; i < RINGS; i++)
        for (int j = 0; j < SPOKES; j++) {
            double r = sqrt((i + 0.5) / RINGS), a = 2 * BRAGG_PI * (j + 0.5) / SPOKES, x = r * cos(a), y = r * sin(a);
            double in = x + sqrt(fmax(1 - y * y, 0)), along = x * c + y * s, across = x * s - y * c;
            double out = sqrt(fmax(1 - across * across, 0)) - along;
            sum += exp(-mu_r * (in + out));
        }
    return sum / (RINGS * SPOKES);
}

static double instrument_factor(const bragg_pdf_options *o, double q)
{
    double sine = fmin(q * o->wavelength_ang / (4 * BRAGG_PI), 1), tth = 2 * asin(sine), c = cos(tth), factor = 1;
    if (isfinite(o->polarization))
        factor *= (1 + o->polarization) / 2 + (1 - o->polarization) / 2 * c * c;
    if (o->mu_r > 0)
        factor *= cylinder_transmission(o->mu_r, tth) / cylinder_transmission(o->mu_r, 0);
    return fmax(factor, 1e-6);
}

/* -------------------------------------------------------- S(Q) and F(Q) */

/* Ad hoc scale: intensity over <f^2> is 1 in the least-squares sense over all data,
 * as the processed files of PDFgetX3 have it. */
static double unit_scale(const bragg_pdf *p, const weights *w)
{
    double xy = 0, xx = 0;
    for (size_t i = 0; i < p->n; i++) {
        double x = p->iq[i] / w[i].square;
        xy += x;
        xx += x * x;
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

/* F less its least-squares polynomial q P_{n-1}(q), n = rpoly qmaxinst / pi: what
 * varies slower than structure beyond rpoly can (Juhas et al. 2013).  For a broken
 * n the last term counts in part, so that G(r) moves smoothly with rpoly.
 * Gram-Schmidt, twice, from q T_k(2 q / qmax - 1). */
static bragg_status subtract_polynomial(bragg_pdf *p, bragg_error *err)
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
        take_away(p->fq, b, w, n, k + 1 == degree ? exact + 1 - (double)degree : 1);
    }
    free(basis);
    free(w);
    return st;
}

/* ----------------------------------------------------------------- G(r) */

/* Lorch, J. Phys. C 2 (1969) 229. */
static double window_at(const bragg_pdf_options *o, double q)
{
    double x = BRAGG_PI * q / o->qmax_invang;
    return o->window == BRAGG_PDF_WINDOW_LORCH && x > 0 ? sin(x) / x : 1;
}

static bragg_status transform(bragg_pdf *p, bragg_error *err)
{
    size_t first = 0, last = p->n;
    const bragg_pdf_options *o = &p->used;
    while (first < p->n && p->q[first] < o->qmin_invang - 1e-9)
        first++;
    while (last > first && p->q[last - 1] > o->qmax_invang + 1e-9)
        last--;
    if (last - first < 8)
        return bragg_fail(err, BRAGG_EDATA, "only %zu points between qmin %g and qmax %g", last - first, o->qmin_invang, o->qmax_invang);
    size_t n = last - first;
    double *w = calloc(n, sizeof *w), *variance = p->fq_sigma ? calloc(n, sizeof *variance) : NULL;
    bragg_status st = w && (variance || !p->fq_sigma) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    if (st == BRAGG_OK)
        bragg_trapezoid_weights(p->q + first, n, w);
    for (size_t i = 0; st == BRAGG_OK && i < n; i++) {
        w[i] *= 2 / BRAGG_PI * window_at(o, p->q[first + i]);
        if (variance)
            variance[i] = p->fq_sigma[first + i] * p->fq_sigma[first + i];
    }
    if (st == BRAGG_OK)
        st = bragg_sine_transform(p->q + first, p->fq + first, w, variance, n, p->r, p->m, p->gr, p->gr_sigma, err);
    for (size_t j = 0; st == BRAGG_OK && variance && j < p->m; j++)
        p->gr_sigma[j] = sqrt(p->gr_sigma[j]);
    free(w);
    free(variance);
    return st;
}

/* Slope of the line through the origin from where the polynomial no longer acts to
 * where the first peak begins to rise. */
static void low_r_slope(bragg_pdf *p)
{
    double top = 0, from = fmax(p->used.rpoly_ang, 0.3), xy = 0, xx = 0, vv = 0;
    size_t first = 0, end;
    while (first < p->m && p->r[first] < from)
        first++;
    for (size_t j = first; j < p->m && p->r[j] < 6; j++)
        top = fmax(top, p->gr[j]);
    for (end = first; end < p->m && p->gr[end] < 0.4 * top; end++)
        ;
    while (end > first && p->gr[end - 1] > 0) /* back to the foot, then half a ripple further */
        end--;
    p->slope_to_ang = end > first ? p->r[end - 1] - BRAGG_PI / (2 * p->used.qmax_invang) : NAN;
    for (size_t j = first; j < end && p->r[j] <= p->slope_to_ang; j++) {
        xy += p->r[j] * p->gr[j];
        xx += p->r[j] * p->r[j];
        vv += p->gr_sigma ? p->r[j] * p->r[j] * p->gr_sigma[j] * p->gr_sigma[j] : NAN;
    }
    p->slope = xx > 0 ? xy / xx : NAN;
    p->slope_esd = xx > 0 ? sqrt(vv) / xx : NAN;
    p->slope_expected = -4 * BRAGG_PI * p->used.number_density;
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

static bragg_status reduce(bragg_pdf *p, const curve *s, const bragg_composition *c, bragg_error *err)
{
    weights *w = calloc(p->n, sizeof *w);
    if (!w)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    for (size_t i = 0; i < p->n; i++) {
        double factor = instrument_factor(&p->used, s->q[i]);
        p->q[i] = s->q[i];
        p->iq[i] = s->y[i] / factor;
        if (s->sigma2)
            p->iq_sigma[i] = sqrt(s->sigma2[i]) / factor;
        w[i] = weights_at(c, &p->used, s->q[i]);
    }
    for (size_t j = 0; j < p->m; j++)
        p->r[j] = p->used.rmin_ang + (double)j * p->used.rstep_ang;
    p->scale = p->used.compton ? krogh_moe_norman_scale(p, w) : unit_scale(p, w);
    bragg_status st = p->scale > 0 ? BRAGG_OK
                                   : bragg_fail(err, BRAGG_EDATA, "intensity: nothing is left at high Q after %g x background; is its scale right?",
                                                p->used.background_scale);
    if (st == BRAGG_OK) {
        structure_functions(p, w);
        close_low_q(p);
    }
    if (st == BRAGG_OK)
        st = subtract_polynomial(p, err);
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
        p->sq[i] = p->q[i] > 0 ? 1 + p->fq[i] / p->q[i] : 1;
    if (st == BRAGG_OK)
        st = transform(p, err);
    if (st == BRAGG_OK)
        low_r_slope(p);
    free(w);
    return st;
}

bragg_status bragg_pdf_reduce(const bragg_pattern *sample, const bragg_pattern *background, const bragg_composition *composition,
                              const bragg_pdf_options *options, bragg_pdf **out, bragg_error *err)
{
    curve s = { 0 }, b = { 0 };
    bragg_pdf_options o = *options;
    *out = NULL;
    if (!(o.wavelength_ang > 0))
        o.wavelength_ang = sample->wavelength_ang;
    bragg_status st = to_q(sample, o.wavelength_ang, "sample", &s, err);
    if (st == BRAGG_OK)
        st = fill_options(&o, &s, err);
    if (st == BRAGG_OK)
        st = check_composition(composition, &o, err);
    while (st == BRAGG_OK && s.n > 16 && s.q[s.n - 1] > o.qmaxinst_invang + 1e-9)
        s.n--;
    if (st == BRAGG_OK && background)
        st = to_q(background, o.wavelength_ang, "background", &b, err);
    if (st == BRAGG_OK && background)
        st = subtract(&s, &b, o.background_scale, err);
    if (st == BRAGG_OK)
        st = make_pdf(&s, &o, out, err);
    if (st == BRAGG_OK)
        st = reduce(*out, &s, composition, err);
    if (st < 0) {
        bragg_pdf_free(*out);
        *out = NULL;
    }
    close_curve(&s);
    close_curve(&b);
    return st;
}

void bragg_pdf_free(bragg_pdf *p)
{
    if (!p)
        return;
    double *const all[] = { p->q, p->iq, p->iq_sigma, p->sq, p->sq_sigma, p->fq, p->fq_sigma, p->r, p->gr, p->gr_sigma };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
    free(p);
}
