/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inner loops of the calculated pattern: pseudo-Voigts near and far. */
#include "config.h"
#include "shape.h"

#include <bragg/units.h>
#include <math.h>

#define LN2 0.6931471805599453

/* gauss = 2 sqrt(ln2/pi)/fwhm exp(-4 ln2 t^2), lorentz = 2/(pi fwhm (1 + 4 t^2)) */
static inline __attribute__((always_inline)) void near(const double *restrict x, size_t n, double x0, double w, const double dx0[3], const double dw[3],
                                                       const shape *of, int axial, double *restrict p, double *restrict position,
                                                       double *restrict d_gauss, double *restrict d_lorentz, double *restrict a0, double *restrict a1)
{
    const double eta = of->eta, per = 1 / of->fwhm, g0 = of->scale * 2 * sqrt(LN2 / BRAGG_PI) * per, l0 = of->scale * 2 / BRAGG_PI * per;
    const double sx = w * per * dx0[0], s0 = w * per * dx0[1], s1 = w * per * dx0[2], v = dw[0], v0 = dw[1], v1 = dw[2];
    const double fg = -w * per * of->mix[0], fl = -w * per * of->mix[1], eg = w * of->mix[2], el = w * of->mix[3];
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - x0) * per, t2 = t * t, cauchy = 1 / (1 + 4 * t2);
        double gauss = g0 * exp_of_negative(-4 * LN2 * t2), lorentz = l0 * cauchy, more = lorentz - gauss;
        double value = eta * more + gauss;
        double slope = -8 * t * (eta * lorentz * cauchy + (1 - eta) * LN2 * gauss), wider = value + t * slope;
        p[i] += w * value;
        position[i] += v * value - sx * slope;
        d_gauss[i] += fg * wider + eg * more;
        d_lorentz[i] += fl * wider + el * more;
        if (axial) {
            a0[i] += v0 * value - s0 * slope;
            a1[i] += v1 * value - s1 * slope;
        }
    }
}

CLONES void bragg_shape_near(const double *x, size_t n, double x0, double w, const double dx0[3], const double dw[3], const shape *of, const shapes_at *to)
{
    if (to->axial[0])
        near(x, n, x0, w, dx0, dw, of, 1, to->p, to->position, to->gauss, to->lorentz, to->axial[0], to->axial[1]);
    else
        near(x, n, x0, w, dx0, dw, of, 0, to->p, to->position, to->gauss, to->lorentz, NULL, NULL);
}

CLONES void bragg_shape_near_values(const double *restrict x, size_t n, double x0, double w, double fwhm, double eta, double scale, double *restrict p)
{
    const double per = 1 / fwhm, a = w * scale * (1 - eta) * 2 * sqrt(LN2 / BRAGG_PI) * per, b = w * scale * eta * 2 / BRAGG_PI * per;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - x0) * per, t2 = t * t;
        p[i] += a * exp_of_negative(-4 * LN2 * t2) + b / (1 + 4 * t2);
    }
}

CLONES void bragg_shape_add_scaled(double *restrict to, const double *restrict p, size_t n, double by)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        to[i] += by * p[i];
}

/* With c = 1 / (1 + 4 t^2) and L = l0 c: L' = -8 t l0 c^2, L'' = l0 c^2 (24 - 32 c),
 * L''' = -384 t l0 c^3 (1 - 2 c), primes with respect to t. */
static inline __attribute__((always_inline)) void far(const double *restrict x, size_t n, double x0, double m2, const double dx0[3], const double dm2[3],
                                                      const shape *of, int axial, double *restrict p, double *restrict position,
                                                      double *restrict d_gauss, double *restrict d_lorentz, double *restrict a0, double *restrict a1)
{
    const double eta = of->eta, per = 1 / of->fwhm, l0 = of->scale * 2 / BRAGG_PI * per, half = 0.5 * m2 * per * per, per_m2 = 0.5 * eta * per * per;
    const double x1 = eta * per * dx0[0], x2 = eta * per * dx0[1], x3 = eta * per * dx0[2];
    const double m_1 = per_m2 * dm2[0], m_2 = per_m2 * dm2[1], m_3 = per_m2 * dm2[2];
    const double fg = -eta * per * of->mix[0], fl = -eta * per * of->mix[1], eg = of->mix[2], el = of->mix[3];
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - x0) * per, c = 1 / (1 + 4 * t * t), l = l0 * c, lc = l * c;
        double first = -8 * t * lc, second = lc * (24 - 32 * c), third = -384 * t * lc * c * (1 - 2 * c);
        double value = l + half * second, slope = first + half * third, wider = l + t * first + half * (3 * second + t * third);
        p[i] = eta * value;
        position[i] = m_1 * second - x1 * slope;
        d_gauss[i] = fg * wider + eg * value;
        d_lorentz[i] = fl * wider + el * value;
        if (axial) {
            a0[i] = m_2 * second - x2 * slope;
            a1[i] = m_3 * second - x3 * slope;
        }
    }
}

CLONES void bragg_shape_far(const double *x, size_t n, double x0, double m2, const double dx0[3], const double dm2[3], const shape *of, const shapes_at *to)
{
    if (to->axial[0])
        far(x, n, x0, m2, dx0, dm2, of, 1, to->p, to->position, to->gauss, to->lorentz, to->axial[0], to->axial[1]);
    else
        far(x, n, x0, m2, dx0, dm2, of, 0, to->p, to->position, to->gauss, to->lorentz, NULL, NULL);
}

CLONES void bragg_shape_far_values(const double *restrict x, size_t n, double x0, double m2, double fwhm, double eta, double scale, double *restrict p)
{
    const double per = 1 / fwhm, l0 = eta * scale * 2 / BRAGG_PI * per, half = 0.5 * m2 * per * per;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - x0) * per, c = 1 / (1 + 4 * t * t);
        p[i] += l0 * c * (1 + half * c * (24 - 32 * c));
    }
}
