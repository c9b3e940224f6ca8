/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bins with all their pixels at hand: errors from scatter or a variance, outliers
 * rejected. */
#include "config.h"
#include "sum.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS_A_BLOCK = 1 << 15, BINS_A_BLOCK = 32, MOST_CYCLES = 20 };

/* Where the pieces of a bin are: place[start[b]] … place[start[b + 1] - 1]. */
typedef struct place {
    const tile *tile;
    const entry *entry;
    uint32_t n;
} place;

typedef struct sieve {
    const bragg_plan *plan;
    const bragg_frame *frame, *variance;
    const double *dark;
    const bragg_integrate_options *o;
    double monitor;
    double spread;             /* variance of a trimmed mean over that of the mean */
    size_t *start;
    place *place;
    double *value, *noise;     /* a pixel */
    bragg_sums out;
} sieve;

/* A pixel of a bin: intensity x = y / c; the mean of a bin is sum norm x / sum norm, with
 * w c for the ratio of sums and w for the mean of pixels.  weight, norm / c, is what one
 * count adds to the sum, and noise weight^2 v. */
typedef struct sample {
    double x, norm, weight, noise, correction;
} sample;

/* ------------------------------------------------------------------ places */

static bragg_status find_places(sieve *s, bragg_error *err)
{
    const bragg_plan *p = s->plan;
    size_t bins = plan_bins(p), n = 0;
    for (size_t i = 0; i < p->n_tiles; i++)
        n += p->tile[i].n_pieces;
    s->start = calloc(bins + 2, sizeof *s->start);
    s->place = malloc((n + 1) * sizeof *s->place);
    if (!s->start || !s->place)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to integrate %zu bins", bins);
    for (size_t i = 0; i < p->n_tiles; i++)
        for (size_t k = 0; k < p->tile[i].n_pieces; k++)
            s->start[p->tile[i].piece[k].bin + 2]++;
    for (size_t b = 0; b < bins; b++)
        s->start[b + 2] += s->start[b + 1];
    for (size_t i = 0; i < p->n_tiles; i++) {
        const entry *e = p->tile[i].entry;
        for (size_t k = 0; k < p->tile[i].n_pieces; k++) {
            piece a = p->tile[i].piece[k];
            s->place[s->start[a.bin + 1]++] = (place){ &p->tile[i], e, a.n };
            e += a.n;
        }
    }
    return BRAGG_OK;
}

static size_t samples_in(const sieve *s, size_t b)
{
    size_t n = 0;
    for (size_t k = s->start[b]; k < s->start[b + 1]; k++)
        n += s->place[k].n;
    return n;
}

static size_t take_samples(const sieve *s, size_t b, sample *out)
{
    size_t n = 0;
    for (size_t k = s->start[b]; k < s->start[b + 1]; k++)
        for (uint32_t i = 0; i < s->place[k].n; i++) {
            entry e = s->place[k].entry[i];
            size_t pixel = plan_pixel(s->plan, s->place[k].tile, entry_offset(e));
            double w = entry_weight(e), c = (double)s->plan->correction[pixel], y = s->value[pixel], v = s->noise[pixel];
            double norm = s->o->mean ? w : w * c, weight = s->o->mean ? w / c : w;
            if (isfinite(y + v) && w > 0 && c > 0)
                out[n++] = (sample){ y / c, norm, weight, weight * weight * v, c };
        }
    return n;
}

/* ------------------------------------------------------------------ a bin */

/* Sums over samples, and what they give. */
typedef struct outcome {
    double norm, norm2, norm3, noise, mean, largest;
    double sem, std;
} outcome;

static outcome mean_of(const sample *a, size_t n)
{
    outcome r = { 0 };
    double signal = 0;
    for (size_t i = 0; i < n; i++) {
        signal += a[i].norm * a[i].x;
        r.norm += a[i].norm;
        r.norm2 += a[i].norm * a[i].norm;
        r.norm3 += a[i].norm * a[i].norm * a[i].norm;
        r.noise += a[i].noise;
        r.largest = MAX(r.largest, a[i].weight);
    }
    r.mean = r.norm > 0 ? signal / r.norm : NAN;
    return r;
}

/* The scatter about the mean, of samples of equal variance s^2: its expectation is
 * s^2 (N2 - 2 N3 / N1 + N2^2 / N1^2), N_k the sums of norms to the k-th power. */
static double scatter_of(const sample *a, size_t n, const outcome *r)
{
    double sum = 0, lost = 2 * r->norm3 / r->norm - r->norm2 * r->norm2 / (r->norm * r->norm);
    for (size_t i = 0; i < n; i++)
        sum += a[i].norm * a[i].norm * (a[i].x - r->mean) * (a[i].x - r->mean);
    return r->norm2 - lost > 1e-9 * r->norm2 ? sum / (r->norm2 - lost) : NAN;
}

static void set_errors(const sieve *s, const sample *a, size_t n, outcome *r)
{
    double variance; /* of the signal */
    if (s->o->errors == BRAGG_ERRORS_AZIMUTHAL)
        variance = scatter_of(a, n, r) * r->norm2;
    else
        variance = s->variance ? r->noise : MAX(r->noise, r->largest * r->largest);
    r->sem = sqrt(variance) / r->norm;
    r->std = sqrt(variance / r->norm2);
}

/* The middle one of n numbers, whose order is lost (C. A. R. Hoare, Comm. ACM 4
 * (1961) 321). */
static double middle_of(double *v, size_t n)
{
    size_t low = 0, high = n - 1, k = n / 2;
    while (low < high) {
        double pivot = v[(low + high) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            double keep = v[i];
            v[i++] = v[j];
            v[j--] = keep;
        }
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return v[k];
}

/* Median and squared deviation to begin with.  (pyFAI begins with the mean and its
 * standard deviation: of n pixels one that is x times the others is sqrt(n) deviations
 * from that mean however large x is, so that below n = clip^2 no outlier is ever
 * rejected, and several hide each other; and with errors of counting the mean of a bin
 * with a bright spot lies so far from all of its pixels that none would be left.  From
 * the median on both are the same.) */
static double begin_clip(const sample *a, double *scratch, size_t n, double *scatter)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = a[i].x;
    double middle = middle_of(scratch, n);
    for (size_t i = 0; i < n; i++)
        scratch[i] = fabs(a[i].x - middle);
    *scatter = pow(1.4826 * middle_of(scratch, n), 2);
    return middle;
}

/* Which differ from the mean by more than the limit go, those that are left are
 * looked at again.  A pixel is judged by the deviation that the mean makes one
 * expect of it and not by its own count, which an outlier has made large itself.
 * a has room for 2 n. */
static size_t clip(const sieve *s, sample *a, size_t n, outcome *r)
{
    double scatter = NAN;
    for (int cycle = 0; n && cycle < MOST_CYCLES; cycle++) {
        *r = mean_of(a, n);
        if (cycle == 0)
            r->mean = begin_clip(a, (double *)(a + n), n, &scatter);
        else if (s->o->errors == BRAGG_ERRORS_AZIMUTHAL)
            scatter = scatter_of(a, n, r);
        size_t kept = 0, all = n;
        for (size_t i = 0; i < n; i++) {
            double w2c2 = a[i].norm * a[i].norm, variance = scatter;
            if (s->o->errors == BRAGG_ERRORS_POISSON) /* of counts: mean c / c^2, of one count at least */
                variance = s->variance ? a[i].noise / w2c2 : MAX(r->mean / a[i].correction, 1 / (a[i].correction * a[i].correction));
            if (!(fabs(a[i].x - r->mean) > s->o->clip * sqrt(variance)))
                a[kept++] = a[i];
        }
        if (kept == 0) /* a deviation of none: the middle ones, or all */
            break;
        n = kept;
        if (kept == all && cycle)
            break;
    }
    *r = mean_of(a, n);
    return n;
}

static int by_x(const void *a, const void *b)
{
    const sample *p = a, *q = b;
    return (p->x > q->x) - (p->x < q->x);
}

/* The mean between two quantiles of the norm; pixels at the ends count by their part
 * inside.  For equal quantiles that is the value there. */
static double trimmed_mean(sample *a, size_t n, double norm, double low, double high)
{
    double at = 0, sum = 0, from = low * norm, to = high * norm;
    qsort(a, n, sizeof *a, by_x);
    for (size_t i = 0; i < n; i++) {
        double next = at + a[i].norm, part = MIN(next, to) - MAX(at, from);
        if (to - from <= 1e-9 * norm && next >= from)
            return i + 1 < n && next - from <= 1e-9 * norm ? (a[i].x + a[i + 1].x) / 2 : a[i].x;
        sum += part > 0 ? part * a[i].x : 0;
        at = next;
    }
    return sum / (to - from);
}

/* Of half of the samples, the largest deviation from the mean, over what it is for
 * the normal distribution. */
static double median_scatter(const sample *a, sample *scratch, size_t n, double norm, double mean)
{
    for (size_t i = 0; i < n; i++) {
        scratch[i] = a[i];
        scratch[i].x = fabs(a[i].x - mean);
    }
    double s = 1.4826 * trimmed_mean(scratch, n, norm, 0.5, 0.5);
    return s * s;
}

/* Errors that outliers cannot spoil: of the counts that the mean makes one expect,
 * or of the median deviation. */
static void trim(const sieve *s, sample *a, size_t n, outcome *r)
{
    *r = mean_of(a, n);
    r->mean = trimmed_mean(a, n, r->norm, s->o->low, s->o->high);
    double variance = 0;
    if (s->o->errors == BRAGG_ERRORS_AZIMUTHAL)
        variance = r->norm2 * median_scatter(a, a + n, n, r->norm, r->mean);
    else if (s->variance)
        variance = r->noise;
    else
        for (size_t i = 0; i < n; i++)
            variance += a[i].weight * a[i].norm * MAX(r->mean, 0);
    if (s->o->errors == BRAGG_ERRORS_POISSON && !s->variance)
        variance = MAX(variance, r->largest * r->largest);
    r->sem = sqrt(variance * s->spread) / r->norm;
    r->std = sqrt(variance / r->norm2);
}

static void finish(const sieve *s, size_t b, sample *a, size_t n)
{
    outcome r = { .norm = 0 };
    if (s->o->reject == BRAGG_REJECT_QUANTILE && n) {
        trim(s, a, n, &r);
    } else {
        if (s->o->reject == BRAGG_REJECT_CLIP)
            n = clip(s, a, n, &r);
        else
            r = mean_of(a, n);
        set_errors(s, a, n, &r);
    }
    bool empty = !(r.norm > 0) || !(s->monitor > 0);
    s->out.intensity[b] = empty ? NAN : r.mean / s->monitor;
    s->out.sem[b] = empty ? NAN : r.sem / s->monitor;
    if (s->out.std)
        s->out.std[b] = empty ? NAN : r.std / s->monitor;
}

static bragg_status finish_bins(void *payload, size_t first, size_t last, bragg_error *err)
{
    const sieve *s = payload;
    size_t most = 0;
    for (size_t b = first; b < last; b++)
        most = MAX(most, samples_in(s, b));
    sample *a = malloc((2 * most + 1) * sizeof *a);
    if (!a)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu pixels of a bin", most);
    for (size_t b = first; b < last; b++)
        finish(s, b, a, take_samples(s, b, a));
    free(a);
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ frames */

/* Counts of frame and dark are independent, but the dark is commonly the mean of so
 * many that its own noise does not count. */
static bragg_status prepare_pixels(void *payload, size_t first, size_t last, bragg_error *err)
{
    const sieve *s = payload;
    for (size_t i = first; i < last; i++) {
        double y = bragg_plan_value(s->frame, i);
        s->noise[i] = s->variance ? bragg_plan_value(s->variance, i) : y;
        s->value[i] = s->dark ? y - s->dark[i] : y;
    }
    return BRAGG_OK;
    (void)err;
}

/* Where the normal distribution has this part below. */
static double normal_quantile(double part)
{
    double low = -40, high = 40;
    for (int k = 0; k < 80; k++) {
        double middle = (low + high) / 2;
        if (0.5 * erfc(-middle / sqrt(2)) < part)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* Variance of the mean between two quantiles over that of the mean of all, of many
 * normal samples: that of the winsorized ones over the square of the part kept
 * (J. W. Tukey & D. H. McLaughlin, Sankhya A 25 (1963) 331); pi / 2 for the median. */
static double spread_of(double a, double b)
{
    double za = normal_quantile(MAX(a, 1e-12)), zb = normal_quantile(MIN(b, 1 - 1e-12));
    if (b - a < 1e-6)
        return a * (1 - a) * 2 * BRAGG_PI * exp(za * za);
    double fa = exp(-za * za / 2) / sqrt(2 * BRAGG_PI), fb = exp(-zb * zb / 2) / sqrt(2 * BRAGG_PI);
    double mean = fa - fb + a * za + (1 - b) * zb;
    double square = b - a + za * fa - zb * fb + a * za * za + (1 - b) * zb * zb;
    return (square - mean * mean) / ((b - a) * (b - a));
}

bragg_status bragg_plan_sift(const bragg_plan *p, const bragg_frame *const *frame, size_t n, const double *dark,
                             const bragg_integrate_options *o, bragg_sums out, bragg_error *err)
{
    size_t pixels = p->rows * p->columns, bins = plan_bins(p);
    sieve s = { .plan = p, .dark = dark, .o = o, .spread = o->reject == BRAGG_REJECT_QUANTILE ? spread_of(o->low, o->high) : 1 };
    bragg_status st = find_places(&s, err);
    s.value = malloc(2 * pixels * sizeof *s.value);
    s.noise = s.value ? s.value + pixels : NULL;
    if (st == BRAGG_OK && !s.value)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room to integrate %zu pixels", pixels);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        s.frame = frame[k];
        s.variance = o->variance ? o->variance[k] : NULL;
        s.monitor = o->monitor ? o->monitor[k] : 1;
        s.out = (bragg_sums){ out.intensity + k * bins, out.sem + k * bins, out.std ? out.std + k * bins : NULL };
        st = bragg_parallel_for(pixels, PIXELS_A_BLOCK, prepare_pixels, &s, err);
        if (st == BRAGG_OK)
            st = bragg_parallel_for(bins, BINS_A_BLOCK, finish_bins, &s, err);
    }
    free(s.start);
    free(s.place);
    free(s.value);
    return st;
}
