/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pattern as the search sees it. */
#include "config.h"
#include "scene.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A card's intensities are off by texture, extinction and wrong displacements: so much
 * of the net intensity counts as uncertainty. */
static const double intensity_doubt = 0.15;
/* And nothing weaker than this share of the strongest peak is worth an argument.  Of a
 * phase of which one hundredth is there that would leave the first line: which card it
 * is, its weaker lines tell down to a share of its own strongest. */
static const double whole_doubt = 0.002, own_doubt = 0.01;

static double median_of(double *v, size_t n)
{
    qsort(v, n, sizeof *v, bragg_array_by_value);
    return n ? v[n / 2] : NAN;
}

/* Cards end at CARDS_D_MIN; the largest strain must not carry that end into the scene, or
 * the card with the largest cell has a line more than the others. */
static const double least_d = 1.04 * CARDS_D_MIN;

/* On 2theta of the first wavelength, rising; points without an angle are dropped, and
 * those of which no card tells. */
static bragg_pattern *on_two_theta(const bragg_pattern *p, double wavelength)
{
    bragg_pattern *q = bragg_pattern_new(p->n, BRAGG_AXIS_TTH);
    if (!q)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t k = p->axis == BRAGG_AXIS_D ? p->n - 1 - i : i; /* 2theta falls with d */
        double x = bragg_axis_convert(p->x[k], p->axis, BRAGG_AXIS_TTH, wavelength);
        if (!(x > 0 && x < 175 * BRAGG_DEG && wavelength > 2 * least_d * sin(x / 2)) || !isfinite(p->y[k]))
            continue;
        q->x[n] = x;
        q->y[n] = p->y[k];
        q->sigma[n++] = p->counts && !(p->sigma[k] > 0) ? sqrt(fmax(p->y[k], 1)) : p->sigma[k];
    }
    q->n = n;
    return q;
}

/* Width over tan(theta) through the peaks' widths: a line through their lower half,
 * for overlap only widens. */
static bragg_status learn_width(scene *s, double step, bragg_error *err)
{
    double sw = 0, st = 0, stt = 0, sy = 0, sty = 0, *v = malloc((s->n_peaks + 1) * sizeof *v);
    size_t n = 0;
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the widths of %zu peaks", s->n_peaks);
    for (size_t k = 0; k < s->n_peaks; k++)
        if (s->peak[k].significance > 8)
            v[n++] = s->peak[k].fwhm;
    double typical = n ? median_of(v, n) : 6 * step;
    free(v);
    s->width[0] = fmax(typical, 2 * step);
    s->width[1] = 0;
    for (size_t k = 0; k < s->n_peaks; k++) {
        const bragg_peak *p = &s->peak[k];
        if (p->significance < 8 || p->fwhm > 1.6 * typical || p->fwhm < 0.4 * typical)
            continue;
        double t = tan(p->x / 2), w = fmin(p->significance, 100);
        sw += w;
        st += w * t;
        stt += w * t * t;
        sy += w * p->fwhm;
        sty += w * t * p->fwhm;
    }
    double det = sw * stt - st * st;
    if (n < 5 || !(det > 1e-3 * sw * stt))
        return BRAGG_OK;
    double slope = (sw * sty - st * sy) / det, base = (sy - slope * st) / sw;
    slope = fmax(slope, 0);
    base = slope > 0 ? base : sy / sw;
    if (base > 0.3 * typical) {
        s->width[0] = base;
        s->width[1] = slope;
    }
    return BRAGG_OK;
}

static void fill(scene *s, const bragg_pattern *p, const double *background, size_t bin)
{
    for (size_t k = 0; k < s->n; k++) {
        double y = 0, b = 0, v = 0, x = 0;
        for (size_t i = k * bin; i < (k + 1) * bin; i++) {
            x += p->x[i] / (double)bin;
            y += p->y[i] / (double)bin;
            b += background[i] / (double)bin;
            v += p->sigma[i] * p->sigma[i] / (double)(bin * bin);
        }
        s->x[k] = x;
        s->net[k] = s->left[k] = y - b;
        s->known[k] = 0;
        s->noise[k] = sqrt(v);
        s->scale = fmax(s->scale, s->net[k]);
    }
    for (size_t k = 0; k < s->n; k++)
        s->sigma[k] = sqrt(s->noise[k] * s->noise[k] + pow(intensity_doubt * s->net[k], 2) + pow(whole_doubt * s->scale, 2));
}

/* Points without a sigma get the noise that neighbours show. */
static void complete_sigma(bragg_pattern *p, double *v)
{
    size_t n = 0;
    for (size_t i = 1; i + 1 < p->n; i++)
        v[n++] = fabs(p->y[i] - 0.5 * (p->y[i - 1] + p->y[i + 1]));
    double noise = n ? median_of(v, n) / 0.6745 / sqrt(1.5) : 1;
    for (size_t i = 0; i < p->n; i++)
        if (!(p->sigma[i] > 0))
            p->sigma[i] = noise > 0 ? noise : 1;
}

static bragg_status build(scene *s, bragg_pattern *p, double *work, bragg_error *err)
{
    double range = p->x[p->n - 1] - p->x[0], step = range / (double)(p->n - 1);
    complete_sigma(p, work);
    bragg_status st = bragg_pattern_peaks(p, 5, &s->peak, &s->n_peaks, err);
    if (st == BRAGG_OK)
        st = learn_width(s, step, err);
    if (st < 0)
        return st;
    size_t bin = (size_t)fmax(1, floor(s->width[0] / (FEWEST_A_PEAK * step)));
    while (p->n / bin > 6000)
        bin++;
    s->n = p->n / bin;
    s->n_raw = p->n;
    s->points_a_peak = fmax(FEWEST_A_PEAK, 2 * (s->width[0] + s->width[1] * tan((p->x[0] + p->x[p->n - 1]) / 4)) / (step * (double)bin));
    double *v = calloc((6 + SCENE_BACKGROUND) * s->n + 1, sizeof *v);
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", s->n);
    s->x = v;
    s->net = v + s->n;
    s->sigma = v + 2 * s->n;
    s->noise = v + 3 * s->n;
    s->left = v + 4 * s->n;
    s->known = v + 5 * s->n;
    s->chebyshev = v + 6 * s->n;
    st = bragg_pattern_background(p, fmax(range / 40, 4 * s->width[0]), work, err);
    if (st == BRAGG_OK)
        fill(s, p, work, bin);
    s->first = s->x[0];
    s->last = s->x[s->n - 1];
    s->eta = 0.6;
    for (size_t i = 0; i < s->n; i++) {
        double row[SCENE_BACKGROUND];
        bragg_chebyshev_row(2 * (s->x[i] - s->first) / (s->last - s->first) - 1, SCENE_BACKGROUND, row);
        for (size_t c = 0; c < SCENE_BACKGROUND; c++)
            s->chebyshev[c * s->n + i] = row[c];
    }
    return st;
}

/* Peaks' extents to either side over which the median misfit counts as doubt: lines of
 * the phase itself are few of these points, wrong tails of a strong one are most. */
enum { AROUND = 2 };

/* What is usually left between two points, as a standard deviation. */
static double usually_left(const scene *s, size_t first, size_t last, double *work)
{
    for (size_t i = first; i < last; i++)
        work[i - first] = fabs(s->left[i]);
    return 1.4826 * median_of(work, last - first);
}

bool bragg_cards_scene_look_closer(const scene *s, double own, double *work, double *sigma)
{
    double least = own_doubt * own, most = whole_doubt * s->scale;
    size_t step = (size_t)(s->points_a_peak / 4) + 1, reach = (size_t)(AROUND * s->points_a_peak);
    for (size_t k = 0; least < most && k < s->n; k += step) {
        size_t last = k + step < s->n ? k + step : s->n, end = last + reach < s->n ? last + reach : s->n;
        double left = usually_left(s, k > reach ? k - reach : 0, end, work);
        for (size_t i = k; i < last; i++) {
            double wrong = fmax(left * left - s->noise[i] * s->noise[i], 0);
            sigma[i] = sqrt(fmax(s->sigma[i] * s->sigma[i] - most * most, 0) + least * least + wrong);
        }
    }
    return least < most;
}

bragg_status bragg_cards_scene_new(const bragg_pattern *p, const bragg_radiation *radiation, scene **out, bragg_error *err)
{
    *out = NULL;
    bragg_status st = bragg_pattern_check(p, err);
    if (st < 0)
        return st;
    bragg_pattern *q = on_two_theta(p, radiation->wavelength_ang[0]);
    scene *s = calloc(1, sizeof *s);
    double *work = malloc((p->n + 1) * sizeof *work);
    if (!q || !s || !work)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n);
    else if (q->n < 20)
        st = bragg_fail(err, BRAGG_EDATA, "pattern: expected at least 20 points below 175 degrees and above d = %.2f angstrom at %g angstrom, found %zu; is the wavelength in angstrom?", least_d,
                        radiation->wavelength_ang[0], q->n);
    if (st == BRAGG_OK) {
        q->wavelength_ang = radiation->wavelength_ang[0];
        q->wavelength2_ang = radiation->n_lines > 1 ? radiation->wavelength_ang[1] : NAN;
        q->ratio2 = radiation->n_lines > 1 ? radiation->ratio[1] : NAN;
        s->radiation = *radiation;
        st = build(s, q, work, err);
    }
    free(work);
    bragg_pattern_free(q);
    if (st < 0) {
        bragg_cards_scene_free(s);
        return st;
    }
    *out = s;
    return BRAGG_OK;
}

void bragg_cards_scene_free(scene *s)
{
    if (!s)
        return;
    free(s->x);
    free(s->peak);
    free(s);
}
