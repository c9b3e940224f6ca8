/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The physical route's normalization: what the experiment leaves uncertain is found
 * where nothing can be, below the first distance.
 *
 *      a (1 + d1 x + d2 (2 x^2 - 1)) I = <f^2> + <f>^2 (S - 1) + k C + m M + c
 *
 *  is linear in a, a d1, a d2, k, m and c, and so is G(r); with G(r) = -4 pi rho0 r for
 *  r < r1, and more strictly its slope there and S = 1 in the tail, it is a least-squares
 *  problem of six unknowns, held near what is expected of them.  Its limit r -> 0 is the
 *  normalization of J. Krogh-Moe, Acta Cryst. 9 (1956) 951
 *  and N. Norman, Acta Cryst. 10 (1957) 370; S -> 1 at high Q is its other end. */
#include "config.h"
#include "reduce.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE, DRIFT1, DRIFT2, COMPTON, MULTIPLE, CONSTANT, UNKNOWNS, LOW = 120, SLOPE = LOW, TAIL, ROWS };

typedef struct low_r {
    size_t first, last;              /* points of Q that count */
    double r[LOW], target[ROWS], g[UNKNOWNS][ROWS], noise[ROWS]; /* rows: G at r, its slope, the tail of S */
    double width[UNKNOWNS], expected[UNKNOWNS]; /* what they are held to; width 0: exactly */
    double x[UNKNOWNS];
} low_r;

/* Part k of F(Q): Q / <f>^2 times intensity, Compton … */
static double part(const bragg_pdf *p, const weights *w, const double *multiple, int k, size_t i)
{
    double x = 2 * p->q[i] / p->used.qmaxinst_invang - 1, y = 0;
    switch (k) {
    case SCALE: y = p->iq[i]; break;
    case DRIFT1: y = x * p->iq[i]; break;
    case DRIFT2: y = (2 * x * x - 1) * p->iq[i]; break;
    case COMPTON: y = -w[i].compton; break;
    case MULTIPLE: y = -multiple[i]; break;
    case CONSTANT: y = -1; break;
    default: y = -w[i].square;
    }
    return p->q[i] * y / w[i].mean2;
}

static bragg_status low_transform(const bragg_pdf *p, const weights *w, const double *multiple, int k, const low_r *l, double *out, bragg_error *err)
{
    size_t n = l->last - l->first;
    double *f = calloc(2 * n, sizeof *f);
    if (!f)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    bragg_trapezoid_weights(p->q + l->first, n, f + n);
    for (size_t i = 0; i < n; i++)
        f[i] = 2 / BRAGG_PI * part(p, w, multiple, k, l->first + i);
    bragg_status st = bragg_sine_transform(p->q + l->first, f, f + n, NULL, n, l->r, LOW, out, NULL, err);
    free(f);
    return st;
}

/* Below the first point S is 0: 2/pi integral of -Q sin(Q r). */
double bragg_pdf_unseen(double q0, double r) { return !(r > 0) ? 0 : -2 / BRAGG_PI * (sin(q0 * r) / (r * r) - q0 * cos(q0 * r) / r); }

/* Slope of a curve at r through the origin from 0.3 angstrom on, as it is reported. */
static double slope_of(const low_r *l, const double *g)
{
    double xy = 0, xx = 0;
    for (int j = 0; j < LOW; j++)
        if (l->r[j] >= 0.3) {
            xy += l->r[j] * g[j];
            xx += l->r[j] * l->r[j];
        }
    return xy / xx;
}

/* Mean of a part of S over the last fifth. */
static double tail_of(const bragg_pdf *p, const weights *w, const double *multiple, int k)
{
    double sum = 0, count = 0;
    for (size_t i = p->n - p->n / 5; i < p->n; i++, count++)
        sum += part(p, w, multiple, k, i) / p->q[i];
    return sum / count;
}

static bragg_status fill_low(const bragg_pdf *p, const weights *w, const double *multiple, double to, low_r *l, bragg_error *err)
{
    double fixed[LOW], expected = -4 * BRAGG_PI * p->used.number_density;
    bragg_status st = BRAGG_OK;
    while (l->first < p->n && (p->q[l->first] < p->used.qmin_invang || !(p->iq[l->first] > 0)))
        l->first++;
    for (l->last = l->first; l->last < p->n && p->q[l->last] <= p->used.qmax_invang + 1e-9;)
        l->last++;
    if (l->last < l->first + 32)
        return bragg_fail(err, BRAGG_EDATA, "physical route: only %zu points of intensity up to qmax", l->last - l->first);
    for (int j = 0; j < LOW; j++)
        l->r[j] = to * (j + 1) / LOW;
    for (int k = 0; k < UNKNOWNS && st == BRAGG_OK; k++) {
        st = low_transform(p, w, multiple, k, l, l->g[k], err);
        l->g[k][SLOPE] = slope_of(l, l->g[k]);
        l->g[k][TAIL] = tail_of(p, w, multiple, k);
    }
    if (st == BRAGG_OK)
        st = low_transform(p, w, multiple, UNKNOWNS, l, fixed, err);
    /* ripples of the peaks are about a third of what is there; of LOW points so many are independent */
    double alike = sqrt(LOW * BRAGG_PI / (to * p->used.qmax_invang));
    for (int j = 0; j < LOW && st == BRAGG_OK; j++) {
        l->target[j] = expected * l->r[j] - fixed[j] - bragg_pdf_unseen(p->q[l->first], l->r[j]);
        l->noise[j] = -0.3 * expected * to * fmax(alike, 1);
    }
    l->target[SLOPE] = slope_of(l, l->target);
    l->noise[SLOPE] = -0.005 * expected;
    l->target[TAIL] = -tail_of(p, w, multiple, UNKNOWNS);
    l->noise[TAIL] = 0.005;
    return st;
}

/* Normal equations of the low-r misfit and what holds the unknowns, in units of their
 * widths. */
static bragg_status solve(low_r *l, bragg_error *err)
{
    double a[UNKNOWNS * UNKNOWNS] = { 0 }, b[UNKNOWNS] = { 0 }, own[UNKNOWNS];
    for (int i = 0; i < UNKNOWNS; i++)
        own[i] = l->width[i] > 0 ? l->width[i] : 1e-9;
    for (int k = 0; k < ROWS; k++) {
        double rest = l->target[k], weight = 1 / (l->noise[k] * l->noise[k]);
        for (int m = 0; m < UNKNOWNS; m++)
            rest -= l->expected[m] * l->g[m][k];
        for (int i = 0; i < UNKNOWNS; i++) {
            for (int j = 0; j < UNKNOWNS; j++)
                a[i * UNKNOWNS + j] += own[i] * l->g[i][k] * l->g[j][k] * own[j] * weight;
            b[i] += own[i] * l->g[i][k] * rest * weight;
        }
    }
    for (int i = 0; i < UNKNOWNS; i++)
        a[i * UNKNOWNS + i] += 1;
    if (!bragg_symmetric_invert(a, UNKNOWNS))
        return bragg_fail(err, BRAGG_EDATA, "physical route: the low-r region tells nothing; are density and first distance right?");
    for (int i = 0; i < UNKNOWNS; i++) {
        l->x[i] = l->expected[i];
        for (int j = 0; j < UNKNOWNS; j++)
            l->x[i] += own[i] * a[i * UNKNOWNS + j] * b[j];
    }
    return BRAGG_OK;
}

/* The scale from the tail alone, to begin. */
static double tail_scale(const bragg_pdf *p, const weights *w, const double *multiple, const low_r *l)
{
    double expected = 0, found = 0;
    for (size_t i = l->first + 3 * (l->last - l->first) / 4; i < l->last; i++) {
        expected += w[i].square + w[i].compton + multiple[i];
        found += p->iq[i];
    }
    return expected / found;
}

static void finish(bragg_pdf *p, const weights *w, const double *multiple, const low_r *l)
{
    p->scale = l->x[SCALE];
    p->drift[0] = l->x[DRIFT1] / l->x[SCALE];
    p->drift[1] = l->x[DRIFT2] / l->x[SCALE];
    p->compton_scale = l->x[COMPTON];
    p->multiple_scale = l->x[MULTIPLE];
    p->fluorescence = l->x[CONSTANT];
    for (int k = DRIFT1; k < UNKNOWNS; k++)
        if (l->width[k] > 0)
            p->strain = hypot(p->strain, (l->x[k] - l->expected[k]) / l->width[k]);
    for (size_t i = 0; i < p->n; i++) {
        double x = 2 * p->q[i] / p->used.qmaxinst_invang - 1, scale = l->x[SCALE] + l->x[DRIFT1] * x + l->x[DRIFT2] * (2 * x * x - 1);
        p->fq[i] = part(p, w, multiple, UNKNOWNS, i);
        for (int k = 0; k < UNKNOWNS; k++)
            p->fq[i] += l->x[k] * part(p, w, multiple, k, i);
        if (i < l->first)
            p->fq[i] = -p->q[i];
        if (p->iq_sigma) {
            p->sq_sigma[i] = scale * p->iq_sigma[i] / w[i].mean2;
            p->fq_sigma[i] = p->q[i] * p->sq_sigma[i];
        }
    }
}

bragg_status bragg_pdf_physical(bragg_pdf *p, const bragg_composition *c, const weights *w, double to, bragg_error *err)
{
    const bragg_pdf_options *o = &p->used;
    double mu = bragg_pdf_attenuation(c, o), *multiple = calloc(p->n, sizeof *multiple), mean = 0, square = 0;
    low_r *l = calloc(1, sizeof *l);
    bragg_status st = l && multiple ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the low-r fit");
    bool thick = o->size_mm > 0 && o->wavelength_ang > 0;
    if (st == BRAGG_OK && thick)
        st = bragg_pdf_multiple(c, o, mu, p->q, p->n, multiple, err);
    if (st == BRAGG_OK)
        st = fill_low(p, w, multiple, to, l, err);
    if (st == BRAGG_OK) {
        double scale = tail_scale(p, w, multiple, l);
        const double expected[UNKNOWNS] = { scale, 0, 0, o->neutron ? 0 : 1, thick ? 1 : 0, 0 };
        const double width[UNKNOWNS] = { 10 * scale, o->efficiency ? 0.1 * scale : 0, o->efficiency ? 0.1 * scale : 0, o->neutron ? 0 : 0.05,
                                         thick && o->multiple ? 0.5 : 0, o->fluorescence ? 0.2 * w[p->n / 2].square : 0 };
        memcpy(l->expected, expected, sizeof expected);
        memcpy(l->width, width, sizeof width);
        st = solve(l, err);
        if (st == BRAGG_OK && !(l->x[SCALE] > 0))
            st = bragg_fail(err, BRAGG_EDATA, "physical route: the scale came out as %g; expected intensities that follow <f^2>, is density %g right?",
                            l->x[SCALE], o->number_density);
    }
    if (st == BRAGG_OK) {
        finish(p, w, multiple, l);
        for (size_t i = l->first; i < l->last; i++) {
            mean += multiple[i];
            square += w[i].square + w[i].compton;
        }
        p->multiple_ratio = mean / square;
        p->mu_t = mu * o->packing * o->size_mm;
    }
    free(l);
    free(multiple);
    return st;
}
