/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Background by SNIP, and the peaks above it. */
#include "config.h"
#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/pattern.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

bragg_status bragg_pattern_background(const bragg_pattern *p, double half_width, double *out, bragg_error *err)
{
    bragg_status st = bragg_pattern_check(p, err);
    if (st < 0)
        return st;
    double step = (p->x[p->n - 1] - p->x[0]) / (double)(p->n - 1);
    size_t window = (size_t)fmin(fmax(half_width / step, 1), (double)p->n / 2);
    return bragg_snip(p->y, p->n, window, out, err);
}

/* ----------------------------------------------------------------- peaks */

/* Third differences forget all that is smooth: their median over the noise is
 * 0.6745 sqrt(1 + 9 + 9 + 1) sigma. */
static double noise_of(const double *y, size_t n, double *scratch)
{
    size_t m = 0;
    for (size_t i = 3; i < n; i++)
        scratch[m++] = fabs(y[i] - 3 * y[i - 1] + 3 * y[i - 2] - y[i - 3]);
    if (!m)
        return 0;
    qsort(scratch, m, sizeof *scratch, bragg_array_by_value);
    return scratch[m / 2] / (0.6745 * sqrt(20));
}

typedef struct search {
    const bragg_pattern *p;
    double *net, *smooth, *sigma;
    double significance;
} search;

/* Where a side falls to a level; linear between points. */
static double crossing(const search *s, size_t top, int step, double level)
{
    size_t i = top;
    while (i + (size_t)step < s->p->n && s->smooth[i] > level && (step > 0 || i > 0))
        i += (size_t)step;
    size_t back = i - (size_t)step;
    double drop = s->smooth[back] - s->smooth[i];
    double part = drop > 0 && s->smooth[i] <= level ? (s->smooth[back] - level) / drop : 1;
    return s->p->x[back] + part * (s->p->x[i] - s->p->x[back]);
}

static double step_at(const bragg_pattern *p, size_t i) { return i + 1 < p->n ? p->x[i + 1] - p->x[i] : p->x[i] - p->x[i - 1]; }

/* One side of a top. */
typedef struct flank {
    bool parted;              /* by a valley above half height from a neighbour */
    double valley, half;      /* height of it; half of the full width at half maximum */
} flank;

/* A valley is both tops' about equally; how wide a Gaussian with half of it there is. */
static flank flank_of(const search *s, size_t top, int step)
{
    double height = s->smooth[top];
    size_t low = top;
    bool parted = false;
    for (size_t i = top; i < s->p->n && s->smooth[i] > height / 2 && !parted; i += (size_t)step) {
        low = s->smooth[i] < s->smooth[low] ? i : low;
        parted = s->smooth[i] > s->smooth[low] + s->significance * s->sigma[i];
        if (step < 0 && i == 0)
            break;
    }
    if (!parted)
        return (flank){ false, 0, fabs(crossing(s, top, step, height / 2) - s->p->x[top]) };
    return (flank){ true, s->smooth[low], fabs(s->p->x[low] - s->p->x[top]) * sqrt(log(2) / log(2 * height / s->smooth[low])) };
}

/* Centre of mass of what stands above half height, or half way up from a valley; its
 * uncertainty is that of a weighted mean whose weights are uncertain,
 * sum (x - mean)^2 sigma^2 / (sum w)^2, and what a neighbour pulls, a thirtieth of the width. */
static bragg_peak measure(const search *s, size_t top)
{
    flank low = flank_of(s, top, -1), high = flank_of(s, top, 1);
    bool parted = low.parted || high.parted;
    double level = parted ? (s->smooth[top] + fmax(low.valley, high.valley)) / 2 : s->smooth[top] / 2;
    double left = crossing(s, top, -1, level), right = crossing(s, top, 1, level), wide = parted ? low.half + high.half : right - left;
    double sum = 0, moment = 0, area = 0, variance = 0;
    size_t first = top;
    while (first > 0 && s->p->x[first - 1] >= left - wide)
        first--;
    for (size_t i = first; i < s->p->n && s->p->x[i] <= right + wide; i++) {
        area += s->net[i] * step_at(s->p, i);
        if (s->p->x[i] >= left && s->p->x[i] <= right) {
            double above = fmax(s->net[i] - level, 0);
            sum += above;
            moment += above * s->p->x[i];
        }
    }
    double x = sum > 0 ? moment / sum : s->p->x[top];
    for (size_t i = first; i < s->p->n && s->p->x[i] <= right; i++)
        if (s->p->x[i] >= left) /* sigma of the smoothed point is 0.61 of the point's */
            variance += pow((s->p->x[i] - x) * s->sigma[i] / 0.61, 2);
    double pull = parted ? wide / 30 : step_at(s->p, top) / 40;
    return (bragg_peak){ x, s->smooth[top], area, wide, s->smooth[top] / s->sigma[top], sqrt((sum > 0 ? variance / (sum * sum) : 0) + pull * pull), false, false };
}

/* Highest of its surroundings and above the valleys to both sides by the same
 * significance that it must have over the background. */
static bool is_top(const search *s, size_t i)
{
    double need = s->significance * s->sigma[i];
    if (!(s->smooth[i] > need))
        return false;
    for (int side = -1; side <= 1; side += 2) {
        size_t k = i;
        for (;;) {
            if ((side < 0 && k == 0) || (side > 0 && k + 1 == s->p->n))
                break;
            k += (size_t)side;
            if (s->smooth[k] > s->smooth[i] || (s->smooth[k] == s->smooth[i] && side < 0))
                return false;
            if (s->smooth[k] < s->smooth[i] - need)
                break;
        }
    }
    return true;
}

static bragg_status collect(const search *s, bragg_peak **out, size_t *n, bragg_error *err)
{
    size_t room = 0;
    for (size_t i = 1; i + 1 < s->p->n; i++) {
        if (!is_top(s, i))
            continue;
        bragg_status st = bragg_array_grow(out, &room, *n + 1, sizeof **out, err);
        if (st < 0)
            return st;
        (*out)[(*n)++] = measure(s, i);
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------- shoulders */

/* -y'' over its noise, by a parabola through 2 m + 1 points (A. Savitzky & M. J. E.
 * Golay, Anal. Chem. 36 (1964) 1627); itself: -y'', but for a factor. */
static void curvature(const search *s, size_t m, double *over_noise, double *itself)
{
    size_t n = s->p->n;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, variance = 0, mm = (double)m * (double)(m + 1);
        over_noise[i] = itself[i] = 0;
        if (i < m || i + m >= n)
            continue;
        for (size_t k = 0; k <= 2 * m; k++) {
            double j = (double)k - (double)m, c = mm - 3 * j * j;
            sum += c * s->net[i + k - m];
            variance += pow(c * s->sigma[i + k - m] / 0.61, 2);
        }
        itself[i] = sum;
        over_noise[i] = variance > 0 ? sum / sqrt(variance) : 0;
    }
}

static size_t nearest_peak(const bragg_peak *peak, size_t n, double x)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (fabs(peak[k].x - x) < fabs(peak[best].x - x))
            best = k;
    return best;
}

/* A maximum of the curvature that stands out from the valley between it and the peak it
 * leans on, and is more than the ripples that the peak's own shape makes. */
static bool is_shoulder(const search *s, const double *over_noise, const double *itself, size_t i, const bragg_peak *on, double fwhm)
{
    static const double least_part = 0.06;
    if (!(over_noise[i] > s->significance && over_noise[i] > over_noise[i - 1] && over_noise[i] >= over_noise[i + 1]))
        return false;
    size_t top = bragg_array_first(s->p->x, s->p->n - 1, on->x), from = i < top ? i : top, to = i < top ? top : i;
    double off = fabs(s->p->x[i] - on->x), valley = over_noise[i], strongest = 0;
    if (off < 0.6 * fwhm || off > 2.2 * fwhm)
        return false;
    for (size_t k = from; k <= to; k++) {
        valley = fmin(valley, over_noise[k]);
        strongest = fmax(strongest, itself[k]);
    }
    return valley < over_noise[i] - s->significance && itself[i] > least_part * strongest;
}

/* Its height: what stands there less the tail of the peak it leans on (half Gaussian,
 * half Lorentzian), and not less than their curvatures say. */
static bragg_peak measure_shoulder(const search *s, const double *over_noise, const double *itself, size_t i, const bragg_peak *on, double fwhm)
{
    size_t top = bragg_array_first(s->p->x, s->p->n - 1, on->x);
    double most = itself[top], left = over_noise[i - 1], mid = over_noise[i], right = over_noise[i + 1], bend = left - 2 * mid + right;
    for (size_t k = top > 3 ? top - 3 : 0; k < s->p->n && k <= top + 3; k++)
        most = fmax(most, itself[k]);
    double t2 = pow((s->p->x[i] - on->x) / fwhm, 2), tail = on->height * (0.5 * exp2(-4 * t2) + 0.5 / (1 + 4 * t2));
    double height = fmin(s->smooth[i], fmax(on->height * itself[i] / most, s->smooth[i] - tail)), shift = bend < 0 ? fmin(fmax(0.5 * (left - right) / bend, -0.5), 0.5) : 0;
    double x = s->p->x[i] + shift * step_at(s->p, i);
    /* the flank of its neighbour bends the other way and pushes it out by a sixth of a width */
    return (bragg_peak){ x, height, 1.1 * height * fwhm, fwhm, mid, hypot(fwhm / fmax(mid, 1), fwhm / 6), false, true };
}

/* The lower third, for overlap only widens. */
static double typical_width(const bragg_peak *peak, size_t n, double *scratch)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++)
        if (peak[k].significance > 8)
            scratch[m++] = peak[k].fwhm;
    qsort(scratch, m, sizeof *scratch, bragg_array_by_value);
    return m ? scratch[m / 3] : NAN;
}

static int by_place(const void *a, const void *b)
{
    const bragg_peak *x = a, *y = b;
    return (x->x > y->x) - (x->x < y->x);
}

/* work: 3 n values. */
static bragg_status add_shoulders(const search *s, double *work, bragg_peak **peak, size_t *n, bragg_error *err)
{
    size_t tops = *n, room = *n;
    double *over_noise = work, *itself = work + s->p->n, typical = typical_width(*peak, tops, work + 2 * s->p->n);
    double step = (s->p->x[s->p->n - 1] - s->p->x[0]) / (double)(s->p->n - 1), half = floor(0.45 * typical / step);
    if (!(half >= 2) || half > 200)
        return BRAGG_OK;
    curvature(s, (size_t)half, over_noise, itself);
    for (size_t i = 1; i + 1 < s->p->n; i++) {
        const bragg_peak *on = &(*peak)[nearest_peak(*peak, tops, s->p->x[i])];
        double fwhm = fmin(on->fwhm, 1.3 * typical);
        if (!is_shoulder(s, over_noise, itself, i, on, fwhm))
            continue;
        bragg_peak found = measure_shoulder(s, over_noise, itself, i, on, fwhm);
        bragg_status st = bragg_array_grow(peak, &room, *n + 1, sizeof **peak, err);
        if (st < 0)
            return st;
        (*peak)[(*n)++] = found;
    }
    if (*n > tops)
        qsort(*peak, *n, sizeof **peak, by_place);
    return BRAGG_OK;
}

/* Where the second line of a doublet puts the image of a peak: equal d. */
static double image_of(const bragg_pattern *p, double x)
{
    double d = bragg_axis_convert(x, p->axis, BRAGG_AXIS_D, p->wavelength_ang);
    double tth = bragg_axis_convert(d, BRAGG_AXIS_D, BRAGG_AXIS_TTH, p->wavelength2_ang);
    return bragg_axis_convert(tth, BRAGG_AXIS_TTH, p->axis, p->wavelength_ang);
}

/* A stronger neighbour within a third of a width of the image, and a height like it. */
static void mark_second_lines(const bragg_pattern *p, bragg_peak *peak, size_t n)
{
    if (!(p->wavelength_ang > 0 && p->wavelength2_ang > 0 && p->ratio2 > 0))
        return;
    for (size_t k = 0; k < n; k++)
        if (k > 0 && !peak[k - 1].alpha2) {
            size_t j = k - 1;
            double off = fabs(image_of(p, peak[j].x) - peak[k].x), height = peak[k].height / (p->ratio2 * peak[j].height);
            double loose = peak[k].shoulder ? 0.3 : 0.6; /* a shoulder's height is less sure */
            peak[k].alpha2 = off < fmax(peak[j].fwhm, peak[k].fwhm) / 3 && height > loose && height < 1 / loose;
        }
}

bragg_status bragg_pattern_peaks(const bragg_pattern *p, double significance, bragg_peak **out, size_t *n, bragg_error *err)
{
    *out = NULL;
    *n = 0;
    bragg_status st = bragg_pattern_check(p, err);
    if (st < 0)
        return st;
    double *v = malloc(6 * p->n * sizeof *v);
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to search %zu points", p->n);
    search s = { p, v, v + p->n, v + 2 * p->n, significance };
    /* a fortieth of the range is wider than any peak and narrower than a hump */
    st = bragg_pattern_background(p, (p->x[p->n - 1] - p->x[0]) / 40, s.net, err);
    double noise = noise_of(p->y, p->n, v + 3 * p->n);
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
        s.net[i] = p->y[i] - s.net[i];
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++) {
        double left = s.net[i ? i - 1 : 0], right = s.net[i + 1 < p->n ? i + 1 : i];
        s.smooth[i] = (left + 2 * s.net[i] + right) / 4;
        double sigma = p->sigma[i] > 0 ? fmax(p->sigma[i], 0.3 * noise) : noise;
        s.sigma[i] = 0.61 * (sigma > 0 ? sigma : 1e-300); /* of a mean with weights 1 2 1 */
    }
    if (st == BRAGG_OK)
        st = collect(&s, out, n, err);
    if (st == BRAGG_OK && *n)
        st = add_shoulders(&s, v + 3 * p->n, out, n, err);
    if (st == BRAGG_OK)
        mark_second_lines(p, *out, *n);
    free(v);
    if (st < 0) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return st;
}
