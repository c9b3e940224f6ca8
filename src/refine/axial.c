/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Axial divergence: the quadrature that draws a peak out towards 2theta = 0 or pi. */
#include "config.h"
#include "model.h"

#include <bragg/numeric.h>
#include <math.h>

/* Finger, Cox & Jephcoat, J. Appl. Cryst. 27 (1994) 892: a peak at 2theta is the
 * mean over 2phi of pseudo-Voigts at 2phi with the weight W / (h cos 2phi), where
 *     h = L sqrt(cos^2 2phi / cos^2 2theta - 1)                              (eq. 10)
 *     W = 2 min(S, H) for h < |S - H|,  S + H - h beyond                     (eq. 14-16)
 * The pole at h = 0 goes away when h itself (in units of L) is the variable:
 *     d(2phi) / (h cos 2phi) = - dh / ((1 + h^2) sin 2phi),
 *     cos 2phi = cos 2theta sqrt(1 + h^2)
 * so that a few Gauss-Legendre points do. */
typedef struct place {
    double shift, weight, dshift_dh, dlnw_dh, dshift_dx, dlnw_dx;
} place;

static place at_height(double x, double h, double w_over_wh)
{
    double root = sqrt(1 + h * h), c = cos(x) * root, s = sqrt(fmax(1 - c * c, 1e-12));
    double phi = acos(fmin(fmax(c, -1), 1));
    double dphi_dh = -cos(x) * h / (root * s), dphi_dx = sin(x) * root / s;
    place p = { phi - x, w_over_wh / (root * root * s), dphi_dh, 0, dphi_dx - 1, 0 };
    p.dlnw_dh = -2 * h / (root * root) - c / s * dphi_dh;
    p.dlnw_dx = -c / s * dphi_dx;
    return p;
}

/* Points enough for the extent of the asymmetry in units of the width. */
static size_t points_for(double extent)
{
    return extent < 0.02 ? 1 : extent < 0.5 ? 4 : extent < 2 ? 7 : extent < 6 ? 14 : extent < 12 ? 28 : 48;
}

/* A rule of n points: kept, for neighbouring peaks mostly want the same. */
static void use(gauss_rule *rule, size_t n)
{
    if (rule->n != n)
        bragg_gauss_legendre(n, 0, 1, rule->at, rule->weight);
    rule->n = n;
}

/* Gauss-Legendre points over h in [low, high], where both ends move with S and H
 * as dlow[] and dhigh[] (S, H); W = top - slope h. */
static size_t stretch(double x, double low, double high, const double dlow[2], const double dhigh[2],
                      double top, const double dtop[2], double slope, const gauss_rule *rule, axial_node *out)
{
    for (size_t k = 0; k < rule->n; k++) {
        double u = rule->at[k], w = rule->weight[k];
        double h = low + u * (high - low), width = top - slope * h;
        place p = at_height(x, h, width);
        axial_node *o = &out[k];
        double scale = w * (high - low);
        *o = (axial_node){ p.shift, p.weight * scale, { p.dshift_dx }, { p.dlnw_dx * p.weight * scale }, 0 };
        for (int d = 0; d < 2; d++) {
            double dh = dlow[d] + u * (dhigh[d] - dlow[d]);
            o->dshift[1 + d] = p.dshift_dh * dh;
            double dw = width > 0 ? (dtop[d] - slope * dh) / width : 0;
            double dl = high > low ? (dhigh[d] - dlow[d]) / (high - low) : 0;
            o->dweight[1 + d] = o->weight * (p.dlnw_dh * dh + dw + dl);
        }
    }
    return rule->n;
}

static void normalize(axial_node *out, size_t n)
{
    double sum = 0, dsum[3] = { 0 };
    for (size_t k = 0; k < n; k++) {
        sum += out[k].weight;
        for (int d = 0; d < 3; d++)
            dsum[d] += out[k].dweight[d];
    }
    for (size_t k = 0; k < n; k++) {
        out[k].weight /= sum;
        for (int d = 0; d < 3; d++)
            out[k].dweight[d] = (out[k].dweight[d] - out[k].weight * dsum[d]) / sum;
    }
}

size_t bragg_refine_axial_nodes(double x, double s, double h, double fwhm_rad, gauss_rule *rule, axial_node *out)
{
    double least = 1e-6 * fmax(s, h); /* of a point the weight is W / min(S, H) in its limit */
    s = fmax(s, least);
    h = fmax(h, least);
    double reach = 0.98 * fabs(tan(x)), high = s + h, low = fabs(s - h), sign = s > h ? 1 : -1;
    double moves = high < reach ? 1 : 0; /* beyond, no ray of this cone exists */
    high = fmin(high, reach);
    low = fmin(low, high);
    if (!(high > 0)) {
        out[0] = (axial_node){ .weight = 1 };
        return 1;
    }
    use(rule, points_for(fabs(at_height(x, high, 1).shift) / fwhm_rad));
    const double none[2] = { 0, 0 }, dlow[2] = { sign, -sign }, dhigh[2] = { moves, moves }, dsum[2] = { 1, 1 };
    const double dflat[2] = { s < h ? 2 : 0, s < h ? 0 : 2 };
    size_t made = 0;
    bool equal = low < 1e-9 * high;
    if (!equal)
        made += stretch(x, 0, low, none, dlow, 2 * fmin(s, h), dflat, 0, rule, out);
    made += stretch(x, equal ? 0 : low, high, equal ? none : dlow, dhigh, s + h, dsum, 1, rule, out + made);
    normalize(out, made);
    return made;
}

/* The bin or pixel sees the mean of the profile over its width: Gauss-Legendre points,
 * more the wider it is.  Two are right to the fourth moment of the box. */
size_t bragg_refine_box_nodes(const axial_node *nodes, size_t n, double width, double dwidth_dx, double fwhm, gauss_rule *rule, axial_node *out)
{
    double r = width / fwhm;
    size_t made = 0;
    use(rule, r < 0.25 ? 2 : r < 0.8 ? 3 : r < 1.6 ? 5 : MAX_BOX);
    for (size_t j = 0; j < rule->n; j++) {
        double u = rule->at[j] - 0.5, w = rule->weight[j];
        for (size_t k = 0; k < n; k++) {
            axial_node o = nodes[k];
            o.shift += u * width;
            o.dshift[0] += u * dwidth_dx;
            o.dshift_dwidth = u;
            o.weight *= w;
            for (int d = 0; d < 3; d++)
                o.dweight[d] *= w;
            out[made++] = o;
        }
    }
    return made;
}
