/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps, half-cycles, capacity and dQ/dV from the current. */
#include "config.h"
#include "private.h"

#include <bragg/array.h>
#include <stdlib.h>
#include <string.h>

static const double cv_tolerance_v = 2e-3;
/* In a hold at constant voltage the current falls by at least this part. */
static const double cv_decay = 0.2;

typedef struct cutter {
    size_t n;
    const double *t, *i, *v, *mode;
    const double *number[3]; /* the file's step, half-cycle and cycle, each may be NULL */
    bool mean_current;      /* each row's current is the mean since the row before */
    double rest_a, min_s, cv_v, gap_s;
    signed char *kind;      /* -1, 0, 1 a row */
} cutter;

static double median_of(double *v, size_t n)
{
    qsort(v, n, sizeof *v, bragg_array_by_value);
    return n ? v[n / 2] : 0;
}

/* |current| that is rest: five times the median of the small ones, which rests
 * are when there are any, and never above 0.2 % of the largest. */
static double find_rest(const cutter *c, double *work)
{
    double largest = 0;
    size_t n = 0;
    for (size_t k = 0; k < c->n; k++)
        if (fabs(c->i[k]) > largest)
            largest = fabs(c->i[k]);
    for (size_t k = 0; k < c->n; k++)
        if (fabs(c->i[k]) < 0.02 * largest)
            work[n++] = fabs(c->i[k]);
    return fmin(2e-3 * largest, fmax(1e-6 * largest, 5 * median_of(work, n)));
}

static double find_interval(const cutter *c, double *work)
{
    size_t n = 0;
    for (size_t k = 1; k < c->n; k++)
        if (c->t[k] > c->t[k - 1])
            work[n++] = c->t[k] - c->t[k - 1];
    return median_of(work, n);
}

/* The file's mode tells rest from small currents; else the threshold does. */
static void label_rows(cutter *c)
{
    for (size_t k = 0; k < c->n; k++) {
        bool known = c->mode && c->mode[k] >= BRAGG_MODE_CURRENT;
        double i = c->i[k];
        if (known && c->mode[k] == BRAGG_MODE_REST)
            c->kind[k] = 0;
        else if (known)
            c->kind[k] = (signed char)((i > 0) - (i < 0));
        else
            c->kind[k] = (signed char)((i > c->rest_a) - (i < -c->rest_a));
        if (isnan(i))
            c->kind[k] = k ? c->kind[k - 1] : 0;
    }
}

static bool same_number(const cutter *c, size_t a, size_t b)
{
    for (int j = 0; j < 3; j++)
        if (c->number[j] && c->number[j][a] != c->number[j][b] && !isnan(c->number[j][a]) && !isnan(c->number[j][b]))
            return false;
    return true;
}

/* Runs too short to be steps take the kind of the run before (the first: of the
 * run behind), unless the file itself began a step there. */
static void drop_flicker(cutter *c)
{
    for (size_t first = 0, last; first < c->n; first = last + 1) {
        for (last = first; last + 1 < c->n && c->kind[last + 1] == c->kind[first]; last++)
            ;
        bool whole = first == 0 && last + 1 == c->n;
        bool own = first > 0 && !same_number(c, first - 1, first);
        if (whole || own || c->t[last] - c->t[first] >= c->min_s || last - first > 2)
            continue;
        signed char other = first ? c->kind[first - 1] : c->kind[last + 1];
        memset(c->kind + first, other, last - first + 1);
    }
}

static bool boundary(const cutter *c, size_t k)
{
    bool mode_changes = c->mode && c->mode[k] != c->mode[k - 1] && c->mode[k] >= BRAGG_MODE_CURRENT
                        && c->mode[k - 1] >= BRAGG_MODE_CURRENT && c->mode[k] <= BRAGG_MODE_VOLTAGE
                        && c->mode[k - 1] <= BRAGG_MODE_VOLTAGE && c->kind[k];
    return c->kind[k] != c->kind[k - 1] || !same_number(c, k - 1, k) || mode_changes;
}

/* Where in first … last the voltage stays at its end while the current decays;
 * last + 1 when it does not. */
static size_t find_hold(const cutter *c, size_t first, size_t last)
{
    if (!c->v || !c->kind[first] || last - first < 4)
        return last + 1;
    size_t k = last;
    while (k > first && fabs(c->v[k - 1] - c->v[last]) <= c->cv_v)
        k--;
    if (last - k < 3 || !(fabs(c->i[last]) < (1 - cv_decay) * fabs(c->i[k])))
        return last + 1;
    /* a flat plateau at constant current does not decay; the hold begins with it */
    while (k < last && fabs(c->i[k + 1]) > 0.999 * fabs(c->i[k]) && k > first)
        k++;
    return last - k < 3 ? last + 1 : k;
}

/* Charge and energy that row k adds to its step. */
static void add_row(const cutter *c, size_t k, size_t first, double *charge, double *energy)
{
    double dt = k ? c->t[k] - c->t[k - 1] : 0, i = c->i[k], v = c->v ? c->v[k] : NAN;
    if (!k || (k == first && dt > c->gap_s) || isnan(i))
        return;
    bool flat = c->mean_current || k == first || isnan(c->i[k - 1]);
    double dq = flat ? i * dt : (i + c->i[k - 1]) / 2 * dt;
    *charge += dq;
    *energy += dq * (k == first || !c->v ? v : (v + c->v[k - 1]) / 2);
}

static void measure(const cutter *c, bragg_log_step *s, double mass_kg)
{
    double energy = 0;
    for (size_t k = s->first; k <= s->last; k++)
        add_row(c, k, s->first, &s->charge_c, &energy);
    bool joined = s->first && c->t[s->first] - c->t[s->first - 1] <= c->gap_s;
    s->start_s = joined ? c->t[s->first - 1] : c->t[s->first];
    s->end_s = c->t[s->last];
    s->voltage_start_v = c->v ? c->v[s->first] : NAN;
    s->voltage_end_v = c->v ? c->v[s->last] : NAN;
    double time = s->end_s - s->start_s;
    s->current_a = time > 0 ? s->charge_c / time : c->i[s->first];
    s->capacity_mah = fabs(s->charge_c) / 3.6;
    s->capacity_mah_g = s->capacity_mah / (mass_kg * 1e3);
    s->energy_j = energy;
}

static bool mode_is_voltage(const cutter *c, size_t first, size_t last)
{
    return c->mode && c->mode[first + (last - first) / 2] == BRAGG_MODE_VOLTAGE;
}

static size_t cut(const cutter *c, bragg_log_step *steps, double mass_kg)
{
    size_t n = 0;
    for (size_t first = 0, last; first < c->n; first = last + 1) {
        for (last = first; last + 1 < c->n && !boundary(c, last + 1); last++)
            ;
        bool by_mode = mode_is_voltage(c, first, last) && c->kind[first];
        size_t hold = by_mode ? first : find_hold(c, first, last);
        bragg_log_step_kind kind = c->kind[first] > 0 ? BRAGG_STEP_CHARGE : c->kind[first] < 0 ? BRAGG_STEP_DISCHARGE : BRAGG_STEP_REST;
        if (hold > first) {
            size_t end = hold > last ? last : hold - 1;
            steps[n++] = (bragg_log_step){ .kind = kind, .first = first, .last = end };
        }
        if (hold <= last)
            steps[n++] = (bragg_log_step){ .kind = kind, .constant_voltage = true, .first = hold, .last = last };
    }
    for (size_t k = 0; k < n; k++)
        measure(c, &steps[k], mass_kg);
    return n;
}

static void count_cycles(bragg_log_step *steps, size_t n)
{
    bragg_log_step_kind before = BRAGG_STEP_REST;
    size_t half = 0;
    for (size_t k = 0; k < n; k++) {
        if (steps[k].kind != BRAGG_STEP_REST) {
            half += before != BRAGG_STEP_REST && before != steps[k].kind;
            before = steps[k].kind;
        }
        steps[k].half_cycle = half;
        steps[k].cycle = half / 2;
    }
}

static bool current_is_mean(const bragg_log_table *t)
{
    for (size_t k = 0; k < t->n_columns; k++)
        if (t->columns[k].values == t->channel[BRAGG_CHANNEL_CURRENT])
            return t->columns[k].name[0] == '<';
    return false;
}

static cutter make_cutter(const bragg_log_table *t)
{
    return (cutter){ .n = t->n, .t = t->channel[BRAGG_CHANNEL_TIME], .i = t->channel[BRAGG_CHANNEL_CURRENT],
                     .v = t->channel[BRAGG_CHANNEL_VOLTAGE], .mode = t->channel[BRAGG_CHANNEL_MODE],
                     .number = { t->channel[BRAGG_CHANNEL_STEP], t->channel[BRAGG_CHANNEL_HALF_CYCLE],
                                 t->channel[BRAGG_CHANNEL_CYCLE] }, .mean_current = current_is_mean(t) };
}

bragg_status bragg_log_steps(const bragg_log_table *t, const bragg_log_step_options *options, bragg_log_step **steps,
                             size_t *n, bragg_error *err)
{
    static const bragg_log_step_options defaults = BRAGG_LOG_STEP_OPTIONS_INIT;
    const bragg_log_step_options *o = options ? options : &defaults;
    *steps = NULL;
    *n = 0;
    if (!t->channel[BRAGG_CHANNEL_CURRENT])
        return bragg_fail(err, BRAGG_EDATA, "no column is a current, without which there are no steps");
    cutter c = make_cutter(t);
    double *work = malloc((c.n + 1) * sizeof *work);
    c.kind = malloc(c.n + 1);
    bragg_log_step *out = calloc(2 * c.n + 1, sizeof *out);
    if (work && c.kind && out) {
        double interval = find_interval(&c, work);
        c.rest_a = o->rest_a >= 0 ? o->rest_a : find_rest(&c, work);
        c.min_s = o->min_duration_s >= 0 ? o->min_duration_s : 3 * interval;
        c.cv_v = o->cv_tolerance_v > 0 ? o->cv_tolerance_v : cv_tolerance_v;
        c.gap_s = 20 * interval;
        label_rows(&c);
        drop_flicker(&c);
        *n = cut(&c, out, t->mass_kg);
        count_cycles(out, *n);
        bragg_log_step *less = realloc(out, (*n + 1) * sizeof *out);
        *steps = less ? less : out;
    } else {
        free(out);
    }
    free(work);
    free(c.kind);
    return *steps ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the steps of %zu rows", t->n);
}

void bragg_log_capacity(const bragg_log_table *t, const bragg_log_step *steps, size_t n, double *charge_c)
{
    cutter c = make_cutter(t);
    double charge = 0, energy = 0;
    for (size_t k = 0; k < t->n; k++)
        charge_c[k] = NAN;
    if (!c.i)
        return;
    /* gaps between steps are those that bragg_log_steps left out of its sums */
    for (size_t s = 0; s < n; s++) {
        if (s && steps[s].half_cycle != steps[s - 1].half_cycle)
            charge = 0;
        c.gap_s = steps[s].first && steps[s].start_s < c.t[steps[s].first] ? INFINITY : -1;
        for (size_t k = steps[s].first; k <= steps[s].last; k++) {
            add_row(&c, k, steps[s].first, &charge, &energy);
            charge_c[k] = charge;
        }
    }
}

/* The charge of one interval over the voltages it passed, evenly. */
static void spread(double v0, double v1, double dq, double low, double width, size_t n, double *sum)
{
    double a = fmin(v0, v1), b = fmax(v0, v1);
    double first = floor((a - low) / width), last = floor((b - low) / width);
    if (!(last >= 0) || !(first < (double)n))
        return;
    for (double k = fmax(first, 0); k <= last && k < (double)n; k++) {
        double from = low + k * width, part = fmin(b, from + width) - fmax(a, from);
        sum[(size_t)k] += b > a ? dq * part / (b - a) : dq;
    }
}

bragg_status bragg_log_dqdv(const bragg_log_table *t, const bragg_log_step *steps, size_t n, size_t half_cycle,
                            size_t n_grid, double *voltage_v, double *dqdv, bragg_error *err)
{
    cutter c = make_cutter(t);
    double low = INFINITY, high = -INFINITY;
    if (!c.i || !c.v || !n_grid)
        return bragg_fail(err, BRAGG_EDATA, "dQ/dV needs a current, a voltage and at least one bin");
    for (size_t s = 0; s < n; s++)
        for (size_t k = steps[s].first; steps[s].half_cycle == half_cycle && steps[s].kind != BRAGG_STEP_REST
                                        && !steps[s].constant_voltage && k <= steps[s].last; k++) {
            low = fmin(low, c.v[k]);
            high = fmax(high, c.v[k]);
        }
    if (!(high > low))
        return bragg_fail(err, BRAGG_EDATA, "half-cycle %zu: its voltage does not change", half_cycle);
    double width = (high - low) / (double)n_grid * (1 + 1e-12);
    memset(dqdv, 0, n_grid * sizeof *dqdv);
    for (size_t s = 0; s < n; s++) {
        if (steps[s].half_cycle != half_cycle || steps[s].kind == BRAGG_STEP_REST || steps[s].constant_voltage)
            continue;
        for (size_t k = steps[s].first + 1; k <= steps[s].last; k++) {
            double dq = 0, energy = 0;
            c.gap_s = INFINITY;
            add_row(&c, k, steps[s].first, &dq, &energy);
            spread(c.v[k - 1], c.v[k], dq, low, width, n_grid, dqdv);
        }
    }
    for (size_t k = 0; k < n_grid; k++) {
        voltage_v[k] = low + ((double)k + 0.5) * width;
        dqdv[k] = dqdv[k] == 0 ? NAN : dqdv[k] / width;
    }
    return BRAGG_OK;
}
