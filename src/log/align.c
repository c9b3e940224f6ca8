/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far two clocks disagree, from what the sample does when the cycler or the
 * furnace says so.
 *
 * What drives the sample (charge, or temperature) becomes a coordinate q that only
 * grows: it stands still at rest and goes on growing after each turn.
 *
 *      charge   /\__/        q        __/        turn: the slope of a signal against
 *              /  \/             __/  ^          q may change at once there
 *            _/   ^ turn       _/     turn
 *
 * A signal of the frames is a smooth function of q when the clocks agree.  Smooth: an
 * integrated random walk (G. Wahba, J. R. Stat. Soc. B 40 (1978) 364), of which the
 * Kalman filter gives the likelihood (R. Kohn & C. F. Ansley, Biometrika 74 (1987) 499),
 * the signal's noise taken out and the walk's strength at its most likely. */
#include "config.h"
#include "private.h"

#include <bragg/array.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TURNS = 256, OFFSETS = 401, STRENGTHS = 9, MAX_FRAMES = 4000 };

/* Before the frames have said anything: half of all pairs of clocks agree within a minute,
 * and of the others some are hours apart (summer time, a clock that nobody has set). */
static const double USUAL_S = 60;

typedef struct driver {
    size_t n, n_turns;
    const double *time;
    double *q;                  /* a row each */
    double turn[MAX_TURNS];     /* in q */
    bool quiet_first, quiet_last; /* at rest where the log begins, ends */
} driver;

typedef struct aligner {
    driver d;
    const bragg_clock_signals *s;
    double *q;                  /* of the frames at the offset tried; NAN: nothing known */
    double *spread2;            /* of each signal, in its squared esds */
    double *esd2;               /* [signal][frame], NAN: no value */
    double reference_s;
} aligner;

/* --------------------------------------------------------------- driver */

/* Rows where the driver turns by more than h; the first is where it sets out. */
static size_t find_turns(const double *v, size_t n, double h, size_t *at)
{
    size_t low = 0, high = 0, m = 0;
    int way = 0;
    for (size_t k = 0; k < n && m < MAX_TURNS; k++) {
        low = v[k] <= v[low] ? k : low;
        high = v[k] >= v[high] ? k : high;
        if (way <= 0 && v[k] > v[low] + h) {
            at[m++] = low;
            way = 1;
            high = k;
        } else if (way >= 0 && v[k] < v[high] - h) {
            at[m++] = high;
            way = -1;
            low = k;
        }
    }
    return m;
}

static void range_of(const double *v, size_t n, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (size_t k = 0; k < n; k++)
        if (isfinite(v[k]))
            *low = fmin(*low, v[k]), *high = fmax(*high, v[k]);
}

static bool make_driver(driver *d, const double *v)
{
    size_t at[MAX_TURNS];
    double low, high, done = 0, most = 0;
    range_of(v, d->n, &low, &high);
    if (!(high > low))
        return false;
    size_t m = find_turns(v, d->n, 0.02 * (high - low), at);
    for (size_t k = 0, leg = 0; k < d->n; k++) {
        if (leg < m && k == at[leg]) {
            done += most;
            most = 0;
            if (leg)
                d->turn[d->n_turns++] = done;
            leg++;
        }
        if (leg) {
            double way = leg < m ? v[at[leg]] - v[at[leg - 1]] : v[d->n - 1] - v[at[leg - 1]];
            most = fmax(most, (way > 0 ? 1 : -1) * (v[k] - v[at[leg - 1]]));
        }
        d->q[k] = (done + most) / (high - low);
    }
    for (size_t k = 0; k < d->n_turns; k++)
        d->turn[k] /= high - low;
    double first = d->time[0] + 0.002 * (d->time[d->n - 1] - d->time[0]), last = d->time[d->n - 1] - 0.002 * (d->time[d->n - 1] - d->time[0]);
    size_t a = 0, b = d->n - 1;
    while (a + 1 < d->n && d->time[a] < first)
        a++;
    while (b > 0 && d->time[b] > last)
        b--;
    d->quiet_first = d->q[a] < 1e-4;
    d->quiet_last = d->q[d->n - 1] - d->q[b] < 1e-4;
    return m > 0;
}

static double q_at(const driver *d, double time)
{
    if (!(time >= d->time[0]))
        return d->quiet_first ? d->q[0] : NAN;
    if (time >= d->time[d->n - 1])
        return time == d->time[d->n - 1] || d->quiet_last ? d->q[d->n - 1] : NAN;
    size_t high = bragg_array_first(d->time, d->n, time), low = high ? high - 1 : 0;
    double u = high ? (time - d->time[low]) / (d->time[high] - d->time[low]) : 0;
    return d->q[low] + u * (d->q[high] - d->q[low]);
}

/* ----------------------------------------------------------- likelihood */

/* Simpson over the exposure. */
static void place_frames(const aligner *a, double offset, double drift)
{
    for (size_t k = 0; k < a->s->n; k++) {
        double width = a->s->exposure_s && a->s->exposure_s[k] > 0 ? a->s->exposure_s[k] : 0;
        double from = a->s->start_s[k] + offset + drift * (a->s->start_s[k] - a->reference_s);
        double middle = q_at(&a->d, from + width / 2);
        a->q[k] = width > 0 ? (q_at(&a->d, from) + 4 * middle + q_at(&a->d, from + width)) / 6 : middle;
    }
}

typedef struct state {
    double level, slope, ll, ls, ss, q; /* mean and covariance, where */
} state;

static void advance(state *x, double q, double strength)
{
    double d = q - x->q;
    x->level += d * x->slope;
    x->ll += 2 * d * x->ls + d * d * x->ss + strength * d * d * d / 3;
    x->ls += d * x->ss + strength * d * d / 2;
    x->ss += strength * d;
    x->q = q;
}

/* Minus twice the logarithm of the likelihood, in units in which the esds are right
 * but for a factor. */
static double deviance(const aligner *a, const double *y, const double *esd2, double spread2, double strength)
{
    double sum = 0, logs = 0, free_slope = 100 * spread2;
    size_t n = 0, turn = 0;
    state x = { 0, 0, 0, 0, 0, NAN };
    for (size_t k = 0; k < a->s->n; k++) {
        if (!isfinite(esd2[k]))
            continue;
        double q = a->q[k], f = spread2 + esd2[k], v = NAN;
        if (isfinite(q) && isfinite(x.q)) {
            for (; turn < a->d.n_turns && a->d.turn[turn] <= fmax(q, x.q); turn++) {
                if (a->d.turn[turn] < x.q)
                    continue;
                advance(&x, a->d.turn[turn], strength);
                x.ls = 0, x.ss = free_slope;
            }
            advance(&x, fmax(q, x.q), strength);
            f = x.ll + esd2[k];
            v = y[k] - x.level;
            double gain = x.ll / f, gain_slope = x.ls / f;
            x.level += gain * v;
            x.slope += gain_slope * v;
            x.ss -= gain_slope * x.ls;
            x.ls -= gain * x.ls;
            x.ll -= gain * x.ll;
        } else { /* from nothing, or into it: as likely as anything */
            if (isfinite(q))
                x = (state){ y[k], 0, esd2[k], 0, a->d.quiet_first && q <= a->d.q[0] ? 0 : free_slope, q };
            else
                x.q = NAN;
        }
        sum += isfinite(v) ? v * v / f : 1;
        logs += log(f);
        n++;
    }
    return n > 3 ? (double)n * log(sum / (double)n) + logs : 0;
}

/* All signals at one offset.  Fractions add up to one, so that one of them says
 * nothing new. */
static double misfit(const aligner *a, double offset, double drift)
{
    double total = 0, n = (double)a->s->n_signals;
    place_frames(a, offset, drift);
    for (size_t j = 0; j < a->s->n_signals; j++) {
        double best = INFINITY, scale = a->spread2[j] / 1e4;
        for (int k = 0; k < STRENGTHS; k++, scale *= 10)
            best = fmin(best, deviance(a, a->s->value + j * a->s->n, a->esd2 + j * a->s->n, a->spread2[j], scale));
        total += best;
    }
    return total * (a->s->shares && n > 1 ? (n - 1) / n : 1);
}

/* --------------------------------------------------------------- search */

typedef struct scan {
    double middle, step, m[OFFSETS], least; /* misfit at n offsets around the middle */
    size_t n;
} scan;

static double offset_at(const scan *c, size_t k) { return c->middle + ((double)k - (double)(c->n / 2)) * c->step; }

static void look(const aligner *a, double middle, double step, size_t n, double drift, scan *c)
{
    c->middle = middle, c->step = step, c->n = n, c->least = INFINITY;
    for (size_t k = 0; k < n; k++) {
        c->m[k] = misfit(a, offset_at(c, k), drift);
        c->least = fmin(c->least, c->m[k]);
    }
}

/* Mean and width of what is likely, by the signals and by what is usual before them: a
 * Cauchy distribution, half of which lies within +-usual_s. */
static void weigh(const scan *c, double usual_s, double *mean, double *width)
{
    double sum = 0, first = 0, second = 0;
    for (size_t k = 0; k < c->n; k++) {
        double x = offset_at(c, k), w = exp(-(c->m[k] - c->least) / 2) / (1 + x * x / (usual_s * usual_s));
        sum += w, first += w * x, second += w * x * x;
    }
    *mean = first / sum;
    *width = sqrt(fmax(second / sum - *mean * *mean, 0) + c->step * c->step / 12);
}

/* A drift by Newton's steps over both; kept when it is three of its esds and possible. */
static void find_drift(const aligner *a, double span_s, bragg_clock *c)
{
    double h = 2 * c->offset_esd_s, g = 4 * c->offset_esd_s / span_s, m[3][3], offset = c->offset_s, drift = 0, esd = NAN, least = INFINITY;
    scan near;
    for (int i = -4; i <= 4; i++)
        for (int j = -12; j <= 12; j++) {
            double here = misfit(a, c->offset_s + i * h, j * g);
            if (here < least)
                least = here, offset = c->offset_s + i * h, drift = j * g;
        }
    for (int turn = 0; turn < 5; turn++) {
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                m[i][j] = misfit(a, offset + (i - 1) * h, drift + (j - 1) * g);
        /* half the second derivatives: the inverse of the covariance */
        double oo = (m[0][1] - 2 * m[1][1] + m[2][1]) / (2 * h * h), dd = (m[1][0] - 2 * m[1][1] + m[1][2]) / (2 * g * g);
        double od = (m[2][2] - m[2][0] - m[0][2] + m[0][0]) / (8 * h * g), det = oo * dd - od * od;
        if (!(oo > 0 && dd > 0 && det > 0))
            return;
        double go = (m[2][1] - m[0][1]) / (4 * h), gd = (m[1][2] - m[1][0]) / (4 * g);
        esd = sqrt(oo / det);
        offset -= fmin(fmax((dd * go - od * gd) / det, -2 * h), 2 * h);
        drift -= fmin(fmax((oo * gd - od * go) / det, -2 * g), 2 * g);
    }
    c->drift_esd = esd;
    if (!(fabs(drift) > 3 * esd) || (a->s->max_drift > 0 && !(fabs(drift) < a->s->max_drift)))
        return;
    c->drift = drift;
    look(a, offset, c->offset_esd_s / 4, 41, drift, &near);
    weigh(&near, USUAL_S, &c->offset_s, &c->offset_esd_s);
}

static void search(const aligner *a, double most_s, bragg_clock *clock, double *evidence)
{
    double mean, width, least;
    scan c;
    look(a, 0, 2 * most_s / (OFFSETS - 1), OFFSETS, 0, &c);
    weigh(&c, INFINITY, &mean, &width);
    bool told = fabs(mean) + 3 * width < most_s; /* by the signals alone */
    weigh(&c, USUAL_S, &mean, &width);
    least = c.least;
    for (int turn = 0; turn < 3 && width < 8 * c.step; turn++) {
        look(a, mean, fmax(width, c.step / 8) / 4, 65, 0, &c);
        weigh(&c, USUAL_S, &mean, &width);
        least = fmin(least, c.least);
    }
    *clock = (bragg_clock){ a->reference_s, mean, 0, told ? width : INFINITY, NAN };
    *evidence = (misfit(a, 0, 0) - least) / 2;
    if (told)
        find_drift(a, a->s->start_s[a->s->n - 1] - a->s->start_s[0], clock);
}

/* Spread and squared esds; false when a signal has nothing to say. */
static void prepare(aligner *a)
{
    for (size_t j = 0; j < a->s->n_signals; j++) {
        const double *y = a->s->value + j * a->s->n, *e = a->s->esd + j * a->s->n;
        double sum = 0, sum2 = 0, n = 0;
        for (size_t k = 0; k < a->s->n; k++) {
            bool good = isfinite(y[k]) && e[k] > 0 && isfinite(e[k]);
            a->esd2[j * a->s->n + k] = good ? e[k] * e[k] : NAN;
            if (good)
                sum += y[k], sum2 += y[k] * y[k], n++;
        }
        a->spread2[j] = n > 3 ? fmax(sum2 / n - sum * sum / (n * n), 1e-300) : 1;
    }
}

bragg_status bragg_clock_estimate(const double *time_s, const double *driven, size_t n_rows, const bragg_clock_signals *s,
                                  double max_offset_s, bragg_clock *clock, double *evidence, bragg_error *err)
{
    aligner a = { .d = { .n = n_rows, .time = time_s }, .s = s };
    if (!(max_offset_s > 0) || !isfinite(max_offset_s))
        return bragg_fail(err, BRAGG_EINVAL, "max_offset_s: must be positive, got %g", max_offset_s);
    if (s->n < 8 || s->n > MAX_FRAMES || !s->n_signals || n_rows < 3)
        return bragg_fail(err, BRAGG_EDATA, "expected 8 to %d frames and a log, found %zu frames and %zu rows", MAX_FRAMES, s->n, n_rows);
    for (size_t k = 0; k < s->n; k++)
        if (!isfinite(s->start_s[k]) || (k && !(s->start_s[k] > s->start_s[k - 1])))
            return bragg_fail(err, BRAGG_EDATA, "frame %zu: expected times that increase", k + 1);
    a.reference_s = (s->start_s[0] + s->start_s[s->n - 1]) / 2;
    a.d.q = malloc(n_rows * sizeof(double));
    a.q = malloc(s->n * sizeof(double));
    a.spread2 = malloc(s->n_signals * sizeof(double));
    a.esd2 = malloc(s->n_signals * s->n * sizeof(double));
    bragg_status st = a.d.q && a.q && a.spread2 && a.esd2 ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu rows", n_rows);
    if (st == BRAGG_OK && !make_driver(&a.d, driven))
        st = bragg_fail(err, BRAGG_EDATA, "expected a charge or a temperature that changes, found none");
    if (st == BRAGG_OK) {
        prepare(&a);
        search(&a, max_offset_s, clock, evidence);
    }
    free(a.d.q);
    free(a.q);
    free(a.spread2);
    free(a.esd2);
    return st;
}
