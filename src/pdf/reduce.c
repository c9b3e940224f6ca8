/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reduction of total scattering: what is open is chosen, by either route, and looked at. */
#include "config.h"
#include "reduce.h"

#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_R = 1 << 22 };

/* The polynomial is fitted a little beyond Qmax: what people choose is 1.2 to 1.4 of it. */
static const double FURTHER = 4.0 / 3;

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
    if (!(o->rpoly_ang >= 0) || o->rpoly_ang * o->qmaxinst_invang / BRAGG_PI > PDF_MOST_DEGREE)
        return bragg_fail(err, BRAGG_EINVAL, "rpoly: expected 0 to %.3g angstrom, found %g", PDF_MOST_DEGREE * BRAGG_PI / o->qmaxinst_invang, o->rpoly_ang);
    if (isinf(o->background_scale))
        return bragg_fail(err, BRAGG_EINVAL, "background scale: expected a number, found %g", o->background_scale);
    if (!(o->mu_r >= 0) || o->mu_r > 10)
        return bragg_fail(err, BRAGG_EINVAL, "mu r: expected 0 to 10, found %g", o->mu_r);
    if ((o->compton || isfinite(o->polarization) || o->mu_r > 0 || o->anomalous) && !(o->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "Compton, polarization, anomalous scattering and absorption need the wavelength, found none");
    return BRAGG_OK;
}

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

static void mean_tail(bragg_pdf *p)
{
    double sum = 0, count = 0;
    for (size_t i = 4 * p->n / 5; i < p->n; i++, count++)
        sum += p->sq[i];
    p->sq_tail = sum / count;
}

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
    bragg_pdf_close_polynomial(of);
    return bragg_pdf_structure(p, c, w, low_end, of, err);
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
    bragg_status st = bragg_pdf_structure(p, c, w, low_end, &of, err);
    if (st == BRAGG_OK && p->used.auto_qmax)
        st = choose_range(p, c, w, low_end, &of, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_transform(p, &of, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_low_r_slope(p, &of, err);
    if (st == BRAGG_OK) {
        mean_tail(p);
        st = bragg_pdf_check_distance(p, c, err);
    }
    bragg_pdf_close_polynomial(&of);
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
    bragg_status st = bragg_pdf_on_q(sample, o->wavelength_ang, "sample", &k->s, err);
    k->qmaxinst_open = isnan(o->qmaxinst_invang);
    if (st == BRAGG_OK)
        st = fill_options(o, &k->s, err);
    if (st == BRAGG_OK)
        st = check_composition(k->composition, o, err);
    while (st == BRAGG_OK && k->s.n > 16 && k->s.q[k->s.n - 1] > o->qmaxinst_invang + 1e-9)
        k->s.n--;
    if (st == BRAGG_OK && background)
        st = bragg_pdf_on_q(background, o->wavelength_ang, "background", &k->b, err);
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
    bragg_status st = k->has_background ? bragg_pdf_subtract(&s, &k->b, p->used.background_scale, err) : BRAGG_OK;
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
    bragg_pdf_close_curve(&k.s);
    bragg_pdf_close_curve(&k.b);
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
