/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run: through `bragg operando`, and its rows beside the truth. */
#include "config.h"
#include "demo.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ rows */

static bragg_quantity quantity_of(const json_t *q)
{
    const json_t *value = json_object_get(q, "value"), *esd = json_object_get(q, "esd");
    return (bragg_quantity){ json_is_number(value) ? json_number_value(value) : NAN, json_is_number(esd) ? json_number_value(esd) : NAN };
}

static double number_of(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* Weight fraction of a phase in a frame; an absent one has its limit for an esd. */
static bool fraction_of(const json_t *row, const char *phase, bragg_quantity *out)
{
    const json_t *list = json_object_get(row, "phases"), *p;
    size_t k;
    json_array_foreach((json_t *)list, k, p) {
        const char *name = json_string_value(json_object_get(p, "name"));
        if (!name || strcmp(name, phase))
            continue;
        const json_t *present = json_object_get(p, "present");
        *out = quantity_of(json_object_get(p, "weight_fraction"));
        if (present && !json_is_true(present))
            *out = (bragg_quantity){ 0, number_of(p, "weight_fraction_limit") / 1.645 };
        return true;
    }
    return false;
}

typedef struct rows {
    demo *d;
    const json_t *frame;         /* array, a row a frame */
    size_t n;
    bragg_truth_state *truth;
} rows;

typedef struct tally {
    size_t good, of;
    double worst, pull, pull2;
    size_t at;
} tally;

static void add(tally *t, double difference, double esd, bool good, size_t frame)
{
    double pull = fabs(difference) / esd;
    t->of++;
    t->good += good;
    t->pull += difference / esd;
    t->pull2 += pull * pull;
    if (!good && !(fabs(difference) <= fabs(t->worst))) {
        t->worst = difference;
        t->at = frame;
    }
}

static void tell(const rows *r, const char *what, const char *phase, const tally *t, double needed, const char *unit)
{
    char name[160], worst[120] = "";
    snprintf(name, sizeof name, "%.60s.%.60s", phase, what);
    if (t->good < t->of)
        snprintf(worst, sizeof worst, "worst %+.4g %s in frame %zu", t->worst, unit, t->at);
    demo_count(r->d, name, t->good, t->of, needed, worst);
}

/* Fractions within 2 wt% or 3 esd, cells within 3 esd, and none where there is none. */
static void count_phase(const rows *r, size_t phase)
{
    tally fraction = { 0 }, cell = { 0 }, absent = { 0 };
    const char *name = r->truth[0].phase[phase].name;
    char row_name[160];
    for (size_t i = 0; i < r->n; i++) {
        const json_t *row = json_array_get(r->frame, i), *params = json_object_get(row, "parameters");
        const bragg_truth_phase *t = &r->truth[i].phase[phase];
        bragg_quantity q;
        if (!fraction_of(row, name, &q))
            continue;
        double off = q.value - t->weight_fraction;
        add(&fraction, 100 * off, 100 * q.esd, fabs(off) <= 0.02 || fabs(off) <= 3 * q.esd, i);
        if (t->weight_fraction <= 0)
            add(&absent, 100 * q.value, 100 * q.esd, !(q.value > 3 * q.esd && q.value > 0.005), i);
        for (int k = 0; k < 6; k++) {
            snprintf(row_name, sizeof row_name, "phase.%.100s.cell.%s", name, cli_cell_names[k]);
            bragg_quantity c = quantity_of(json_object_get(params, row_name));
            if (demo_cell_free(t, k) && c.esd > 0 && t->weight_fraction > 0.01)
                add(&cell, c.value - t->cell[k], c.esd, fabs(c.value - t->cell[k]) <= 3 * c.esd, i);
        }
    }
    tell(r, "weight within 2 % or 3 esd", name, &fraction, 0.95, "wt%");
    tell(r, "cell within 3 esd", name, &cell, 0.95, "");
    tell(r, "absent where it is absent", name, &absent, 0.99, "wt%");
}

/* A few frames one by one: the evenly spaced ones. */
static void compare_some(const rows *r)
{
    enum { SHOWN = 8 };
    char name[200];
    for (size_t s = 0; s < SHOWN && s < r->n; s++) {
        size_t i = (2 * s + 1) * r->n / (2 * SHOWN);
        const json_t *row = json_array_get(r->frame, i);
        for (size_t p = 0; p < r->truth[i].n; p++) {
            const bragg_truth_phase *t = &r->truth[i].phase[p];
            bragg_quantity q;
            if (!fraction_of(row, t->name, &q) || !(q.esd > 0))
                continue;
            snprintf(name, sizeof name, "frame %zu.%.60s.weight_fraction", i, t->name);
            demo_compare(r->d, name, t->weight_fraction, q, "");
            snprintf(name, sizeof name, "phase.%.60s.cell.a", t->name);
            bragg_quantity a = quantity_of(json_object_get(json_object_get(row, "parameters"), name));
            snprintf(name, sizeof name, "frame %zu.%.60s.a", i, t->name);
            if (a.esd > 0 && t->weight_fraction > 0.01)
                demo_compare(r->d, name, t->cell[0], a, "angstrom");
        }
    }
}

/* --------------------------------------------------------------- onsets */

static bool weight_at(const rows *r, size_t phase, size_t frame, bool exact, bragg_quantity *q)
{
    const bragg_truth_phase *t = &r->truth[frame].phase[phase];
    *q = (bragg_quantity){ t->weight_fraction, 0.01 };
    return exact || (fraction_of(json_array_get(r->frame, frame), t->name, q) && q->esd > 0);
}

/* The first growth: frames from 3 wt% on, 25 of them, until 30 wt% (top 1) or the top is reached. */
static void first_growth(const rows *r, size_t phase, bool exact, size_t *from, size_t *to, double *top)
{
    *from = *to = r->n;
    *top = 0;
    bragg_quantity q;
    for (size_t i = 0; i < r->n && (*from == r->n || i <= *from + 25); i++) {
        if (!weight_at(r, phase, i, exact, &q) || q.value < 0.03 || (!exact && q.value < 1.645 * q.esd))
            continue;
        if (*from == r->n)
            *from = i;
        if (q.value > 0.3)
            *top = 1;
        if (q.value < *top - fmax(0.01, exact ? 0 : 3 * q.esd))
            return;
        if (q.value > *top)
            *top = q.value, *to = i + 1;
    }
}

/* Where a straight line through the first growth of a fraction meets zero, in frames.
 * exact: of the truth itself.  A phase that is there from the start has no onset. */
static bool onset_of(const rows *r, size_t phase, bool exact, bragg_quantity *out)
{
    double s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, top;
    size_t n = 0, from, to;
    first_growth(r, phase, exact, &from, &to, &top);
    for (size_t i = from; i < to; i++) {
        bragg_quantity q;
        if (!weight_at(r, phase, i, exact, &q) || q.value < 0.03 || q.value > fmax(0.85 * top, 0.06)) /* the top is round */
            continue;
        double w = 1 / (q.esd * q.esd), x = (double)i;
        s += w, sx += w * x, sy += w * q.value, sxx += w * x * x, sxy += w * x * q.value;
        n++;
    }
    double det = s * sxx - sx * sx, slope = (s * sxy - sx * sy) / det, base = (sxx * sy - sx * sxy) / det;
    if (n < 2 || !(slope > 0) || !(-base / slope >= 0))
        return false;
    out->value = -base / slope;
    /* variance of a line's root */
    out->esd = sqrt(fabs(sxx - 2 * sx * out->value + s * out->value * out->value) / det) / slope;
    return true;
}

static double voltage_at(const rows *r, double frame, bool exact)
{
    if (!(frame >= 0 && frame < (double)r->n - 1))
        return NAN;
    size_t i = (size_t)frame;
    double u = frame - (double)i, a = exact ? r->truth[i].voltage_v : number_of(json_array_get(r->frame, i), "voltage_v");
    double b = exact ? r->truth[i + 1].voltage_v : number_of(json_array_get(r->frame, i + 1), "voltage_v");
    return a + u * (b - a);
}

static void compare_onset(const rows *r, size_t phase)
{
    bragg_quantity truth, found;
    char name[160], worst[120] = "";
    const char *p = r->truth[0].phase[phase].name;
    if (r->truth[0].phase[phase].weight_fraction > 0 || !onset_of(r, phase, true, &truth))
        return;
    bool seen = onset_of(r, phase, false, &found);
    snprintf(name, sizeof name, "%.60s.onset_frame", p);
    if (seen)
        demo_compare(r->d, name, truth.value, found, "frames");
    snprintf(name, sizeof name, "%.60s.onset within one frame", p);
    if (seen)
        snprintf(worst, sizeof worst, "%.2f instead of %.2f", found.value, truth.value);
    demo_count(r->d, name, seen && fabs(found.value - truth.value) <= 1, 1, 1, seen ? worst : "none seen, or there from the start");
    double v = voltage_at(r, truth.value, true), w = seen ? voltage_at(r, found.value, false) : NAN;
    /* as far as the voltage moves in a frame, to the side on which it was found */
    double step = fabs(voltage_at(r, truth.value + (found.value < truth.value ? -1 : 1), true) - v);
    snprintf(name, sizeof name, "%.60s.onset voltage within one frame", p);
    snprintf(worst, sizeof worst, "%.4f V instead of %.4f V", w, v);
    if (isfinite(v) && isfinite(w))
        demo_count(r->d, name, fabs(w - v) <= fmax(step, 0.005), 1, 1, worst);
}

/* ----------------------------------------------------------------- series */

static void compare_clock(demo *d, const json_t *root)
{
    const json_t *clock = json_object_get(root, "clock");
    bragg_quantity offset = quantity_of(json_object_get(clock, "offset_s"));
    if (d->about.logged && offset.esd > 0 && isfinite(offset.esd))
        demo_compare(d, "clock.offset_s", d->about.clock_offset_s, offset, "s");
}

/* Voltage of each frame as the log has it: within a frame's own change. */
static void count_voltage(const rows *r)
{
    tally t = { 0 };
    for (size_t i = 1; i + 1 < r->n; i++) {
        double v = number_of(json_array_get(r->frame, i), "voltage_v"), truth = r->truth[i].voltage_v;
        if (!isfinite(truth))
            return;
        double step = fmax(fabs(r->truth[i + 1].voltage_v - truth), fabs(truth - r->truth[i - 1].voltage_v));
        add(&t, v - truth, fmax(step, 0.005), fabs(v - truth) <= fmax(step, 0.005), i);
    }
    tell(r, "voltage within one frame", "log", &t, 0.95, "V");
}

static void compare_rows(const rows *r)
{
    if (!r->d->json)
        printf("\n  %-38s %14s %18s\n", "", "truth", "found");
    compare_some(r);
    for (size_t p = 0; p < r->truth[0].n; p++)
        compare_onset(r, p);
    if (!r->d->json)
        printf("\n");
    for (size_t p = 0; p < r->truth[0].n; p++)
        count_phase(r, p);
    count_voltage(r);
}

static bragg_status run_operando(const demo *d, const char *results, bragg_error *err)
{
    char experiment[100];
    snprintf(experiment, sizeof experiment, "experiment%.60s.yaml", d->suffix);
    const char *argv[] = { "operando", bragg_path_join(d->arena, d->out, experiment), "-o", results, "--force" };
    if (!d->json)
        printf("bragg operando %s -o %s\n", argv[1], results);
    return demo_command(&cli_operando, 5, argv, bragg_path_join(d->arena, d->out, "operando.txt"), err);
}

bragg_status demo_series(demo *d, bragg_error *err)
{
    const char *results = bragg_path_join(d->arena, d->out, "results");
    bragg_status st = run_operando(d, results, err);
    if (st < 0)
        return st;
    json_error_t cause;
    json_t *root = json_load_file(bragg_path_join(d->arena, results, "series.json"), 0, &cause);
    rows r = { .d = d, .frame = json_object_get(root, "frames") };
    r.n = json_array_size(r.frame);
    size_t n = bragg_truth_count(d->truth) - d->about.n_states;
    if (r.n != n)
        st = bragg_fail(err, BRAGG_EDATA, "%s/series.json: expected %zu frames, found %zu", results, n, r.n);
    r.truth = st == BRAGG_OK ? bragg_arena_alloc(d->arena, n, sizeof *r.truth) : NULL;
    for (size_t i = 0; i < n && st == BRAGG_OK; i++)
        st = r.truth ? bragg_truth_state_at(d->truth, d->about.n_states + i, &r.truth[i], err) : bragg_fail(err, BRAGG_ENOMEM, "no room for the truth");
    if (st == BRAGG_OK) {
        compare_rows(&r);
        compare_clock(d, root);
    }
    json_decref(root);
    return st;
}
