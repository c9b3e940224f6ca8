/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The figures of a run: maps beside the log, and what the phases did. */
#include "config.h"
#include "figure.h"
#include "page.h"

#include <bragg/arena.h>
#include <bragg/log.h>
#include <bragg/numeric.h>
#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef bragg_report_sheet book;

/* ------------------------------------------------------------------ maps */

static double *doubles(book *b, size_t n) { return bragg_arena_alloc(b->arena, n + 1, sizeof(double)); }

/* From the log itself where it is at hand, else what each frame saw of it. */
static bragg_plot_curve log_curve(book *b, bool temperature)
{
    const bragg_series *s = b->s;
    bragg_plot_curve c = { 0, NULL, NULL, NULL, temperature ? "Temperature (K)" : "Voltage (V)" };
    const double *t = NULL, *v = NULL;
    size_t n = 0;
    if (s->log && s->logged) {
        t = s->log->channel[BRAGG_CHANNEL_TIME], v = s->log->channel[temperature ? BRAGG_CHANNEL_TEMPERATURE : BRAGG_CHANNEL_VOLTAGE];
        n = s->log->n;
    } else if (s->stored_log) {
        t = s->stored_log, v = s->stored_log + (temperature ? 3 : 1) * s->n_stored_log;
        n = s->n_stored_log;
    }
    size_t finite = 0;
    for (size_t k = 0; v && k < n; k++)
        finite += isfinite(v[k]);
    if (finite > 1 && !b->axis.by_frame)
        return (bragg_plot_curve){ n, t, v, NULL, c.label };
    double *own = doubles(b, s->n);
    for (size_t k = 0; own && k < s->n; k++) {
        own[k] = temperature ? bragg_series_fitted(s, k)->temperature_k : bragg_series_fitted(s, k)->log.voltage_v;
        finite += isfinite(own[k]);
    }
    if (finite > 1)
        c.n = s->n, c.x = b->axis.map_s, c.y = own;
    return c;
}

/* When each phase was there. */
static size_t phase_spans(book *b, bragg_plot_span **out)
{
    const bragg_series *s = b->s;
    size_t n = 0;
    *out = bragg_arena_alloc(b->arena, s->n_phases * (s->n + 1) + 1, sizeof **out);
    for (size_t p = 0; *out && s->n_phases > 1 && p < s->n_phases; p++) {
        bool open = false;
        for (size_t k = 0; k < s->n; k++) {
            if (!bragg_series_fitted(s, k)->done)
                continue;
            bool there = bragg_series_fitted(s, k)->level[p] > 0;
            double half = k ? (b->axis.map_s[k] - b->axis.map_s[k - 1]) / 2 : s->n > 1 ? (b->axis.map_s[1] - b->axis.map_s[0]) / 2 : 0.5;
            if (there && !open)
                (*out)[n++] = (bragg_plot_span){ s->phase[p], b->axis.map_s[k] - half, b->axis.map_s[k] + half };
            else if (there)
                (*out)[n - 1].to_s = b->axis.map_s[k] + half;
            open = there;
        }
    }
    return n;
}

static size_t cycle_marks(book *b, double **out) { return bragg_report_cycles(b->s, b->axis.map_s, b->arena, out); }

static double *row_times(book *b, size_t rows, size_t frames)
{
    double *time = doubles(b, rows);
    for (size_t k = 0; time && k < rows; k++)
        time[k] = bragg_report_middle(b->s, b->axis.map_s, k, frames);
    return time;
}

static bragg_status draw_map(book *b, const bragg_plot_map *map, bragg_plot_contour_options *o, const char *stem, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    o->page.width_mm = 170;
    o->page.title = b->s->title;
    for (size_t k = 0; k < BRAGG_REPORT_KINDS && st == BRAGG_OK; k++) {
        o->page.force = b->force || k;
        st = bragg_plot_contour(map, o, bragg_report_name(b, stem, bragg_report_kinds[k]), err);
    }
    return st;
}

/* The log, the phases and the cycles beside a map over time. */
static void put_beside(book *b, bragg_plot_curve curves[2], bragg_plot_map *map)
{
    bragg_plot_span *spans;
    double *marks;
    curves[0] = log_curve(b, false);
    map->n_curves = curves[0].n > 0;
    curves[map->n_curves] = log_curve(b, true);
    map->n_curves += curves[map->n_curves].n > 0;
    map->curves = curves;
    map->n_spans = phase_spans(b, &spans);
    map->spans = spans;
    map->n_marks = cycle_marks(b, &marks);
    map->marks_s = marks;
}

/* What a map shows: rows of the curves, of which some may be left out. */
typedef struct shown {
    const bragg_store_curves *c;
    const size_t *row;       /* NULL: all */
    double *calculated;      /* room for a row; NULL: what was observed, not the difference */
} shown;

static const double *shown_frame(const void *payload, size_t frame, double *room)
{
    const shown *s = payload;
    size_t row = s->row ? s->row[frame] : frame;
    const double *observed = bragg_store_curves_row(s->c, BRAGG_CURVE_OBSERVED, row, room);
    if (!s->calculated)
        return observed;
    const double *calculated = bragg_store_curves_row(s->c, BRAGG_CURVE_CALCULATED, row, s->calculated);
    for (size_t i = 0; i < s->c->n; i++)
        room[i] = observed[i] - calculated[i];
    return room;
}

static bragg_status plot_map(book *b, const char *stem, bragg_plot_scale scale, bool difference, bragg_error *err)
{
    const bragg_store_curves *c = b->c;
    double *time = row_times(b, c->rows, c->frames);
    shown z = { c, NULL, difference ? doubles(b, c->n) : NULL };
    if (!time || (difference && !z.calculated))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a map of %zu patterns", c->rows);
    bragg_plot_curve curves[2];
    bragg_plot_map map = { .n = c->n, .frames = c->rows, .x = c->x_rad, .time_s = time, .axis = BRAGG_AXIS_TTH, .wavelength_ang = NAN, .frame = shown_frame, .payload = &z };
    put_beside(b, curves, &map);
    bragg_plot_contour_options o = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
    o.scale = scale;
    o.by_frame = b->axis.by_frame;
    o.diverging = difference;
    o.z_label = difference ? "Observed \xe2\x88\x92 calculated" : NULL;
    return draw_map(b, &map, &o, stem, err);
}

/* ------------------------------------------------------- total scattering */

static const double *changed_row(const void *payload, size_t row, double *room)
{
    const bragg_pdf_course *t = payload;
    size_t first = 0;
    while (first + 1 < t->rows && !isfinite(t->change[0][first]))
        first++;
    for (size_t i = 0; i < t->n; i++)
        room[i] = t->gr[row * t->n + i] - t->change[1][row] * t->gr[first * t->n + i];
    return room;
}

static bragg_status plot_total(book *b, const bragg_pdf_course *t, bool change, bragg_error *err)
{
    double *time = row_times(b, t->rows, t->frames);
    if (!time)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a map of %zu rows", t->rows);
    bragg_plot_curve curves[2];
    bragg_plot_map map = { .n = t->n, .frames = t->rows, .x = t->r_ang, .time_s = time, .wavelength_ang = NAN };
    if (change)
        map.frame = changed_row, map.payload = t;
    else
        map.intensity = t->gr;
    put_beside(b, curves, &map);
    bragg_plot_contour_options o = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
    o.scale = BRAGG_PLOT_LINEAR;
    o.by_frame = b->axis.by_frame;
    o.diverging = true;
    o.abscissa = "<i>r</i> (\xc3\x85)";
    o.z_label = change ? "Change of <i>G</i>(<i>r</i>) (\xc3\x85<sup>\xe2\x88\x92""2</sup>)" : "<i>G</i>(<i>r</i>) (\xc3\x85<sup>\xe2\x88\x92""2</sup>)";
    return draw_map(b, &map, &o, change ? "map-pdf-change" : "map-pdf", err);
}

/* -------------------------------------------------------------- capacity
 *
 * The charge that has passed, in or out, is an ordinate on which cycles follow each other
 * and rests take no room. */

typedef struct passed {
    size_t n;
    const double *t, *v;     /* of the log */
    double *q, *x;           /* charge passed in the unit of the label; electrons taken up */
    const char *label;
} passed;

/* False where the log has no current, or none flows. */
static bool charge_passed(book *b, passed *p)
{
    const bragg_series *s = b->s;
    const double *current = NULL;
    *p = (passed){ 0 };
    if (s->log && s->logged) {
        p->n = s->log->n;
        p->t = s->log->channel[BRAGG_CHANNEL_TIME], p->v = s->log->channel[BRAGG_CHANNEL_VOLTAGE], current = s->log->channel[BRAGG_CHANNEL_CURRENT];
    } else if (s->stored_log) {
        p->n = s->n_stored_log;
        p->t = s->stored_log, p->v = p->t + p->n, current = p->t + 2 * p->n;
    }
    if (b->axis.by_frame || !current || !p->t || p->n < 2 || !(p->q = doubles(b, p->n)) || !(p->x = doubles(b, p->n)))
        return false;
    double most = 0, per_c = NAN; /* mAh/g of a coulomb, as the frames have it */
    for (size_t k = 0; k < s->n; k++)
        if (fabs(bragg_series_fitted(s, k)->log.charge_c) > most) {
            most = fabs(bragg_series_fitted(s, k)->log.charge_c);
            per_c = bragg_series_fitted(s, k)->log.capacity_mah_g / most;
        }
    double unit = isfinite(per_c) ? per_c : 1 / 3.6, per_electron = s->molar_mass > 0 && per_c > 0 ? 3.6 * per_c * s->molar_mass / BRAGG_FARADAY_C_MOL : NAN;
    p->label = isfinite(per_c) ? "Capacity passed (mAh g<sup>\xe2\x88\x92""1</sup>)" : "Charge passed (mAh)";
    p->q[0] = p->x[0] = 0;
    for (size_t i = 1; i < p->n; i++) {
        double charge = (current[i] + current[i - 1]) / 2 * (p->t[i] - p->t[i - 1]);
        charge = isfinite(charge) ? charge : 0;
        p->q[i] = p->q[i - 1] + unit * fabs(charge);
        p->x[i] = p->x[i - 1] - charge * per_electron; /* a discharge, below zero, fills the electrode */
    }
    return p->q[p->n - 1] > 0;
}

/* Rows between which charge has passed. */
static size_t rows_by_charge(const book *b, const passed *p, const double *time, double *q, size_t *row)
{
    const bragg_store_curves *c = b->c;
    size_t m = 0;
    double least = 1e-5 * p->q[p->n - 1];
    for (size_t k = 0; k < c->rows; k++) {
        double here = bragg_interpolate(p->t, p->q, p->n, time[k]);
        if (!(time[k] >= p->t[0] && time[k] <= p->t[p->n - 1]) || (m && !(here > q[m - 1] + least)))
            continue;
        row[m] = k;
        q[m++] = here;
    }
    return m;
}

static bragg_status plot_capacity(book *b, bragg_error *err)
{
    const bragg_store_curves *c = b->c;
    passed p;
    if (!charge_passed(b, &p))
        return BRAGG_OK;
    double *time = row_times(b, c->rows, c->frames), *q = doubles(b, c->rows), *marks;
    size_t *row = bragg_arena_alloc(b->arena, c->rows + 1, sizeof *row);
    if (!time || !q || !row)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a map of %zu patterns", c->rows);
    size_t n = rows_by_charge(b, &p, time, q, row), n_curves = 0;
    shown z = { c, row, NULL };
    bragg_plot_curve curves[2];
    if (p.v)
        curves[n_curves++] = (bragg_plot_curve){ p.n, p.q, p.v, NULL, "Voltage (V)" };
    if (isfinite(p.x[p.n - 1]))
        curves[n_curves++] = (bragg_plot_curve){ p.n, p.q, p.x, NULL, "<i>x</i> (electrons a formula)" };
    bragg_plot_span *spans;
    size_t n_spans = phase_spans(b, &spans), n_marks = cycle_marks(b, &marks);
    for (size_t k = 0; k < n_spans; k++)
        spans[k].from_s = bragg_interpolate(p.t, p.q, p.n, spans[k].from_s), spans[k].to_s = bragg_interpolate(p.t, p.q, p.n, spans[k].to_s);
    for (size_t k = 0; k < n_marks; k++)
        marks[k] = bragg_interpolate(p.t, p.q, p.n, marks[k]);
    bragg_plot_map map = { c->n, n, c->x_rad, q, NULL, BRAGG_AXIS_TTH, NAN, n_curves, curves, n_spans, spans, n_marks, marks, shown_frame, &z };
    bragg_plot_contour_options o = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
    o.ordinate = p.label;
    return n > 3 ? draw_map(b, &map, &o, "map-capacity", err) : BRAGG_OK;
}

/* --------------------------------------------------------------- courses */

typedef struct stack {
    bragg_plot_panel *panels;
    size_t n;
} stack;

/* A quantity of every phase: one curve each in one panel, or a panel each. */
static bragg_status add_curve(book *b, bragg_plot_panel *p, const char *label, bragg_report_taker take, size_t which, bragg_error *err)
{
    bragg_plot_curve *more = bragg_arena_alloc(b->arena, p->n_curves + 1, sizeof *more);
    double *y = doubles(b, b->s->n), *e = doubles(b, b->s->n);
    if (!more || !y || !e)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a curve of %zu frames", b->s->n);
    bool any = false;
    for (size_t k = 0; k < b->s->n; k++) {
        y[k] = e[k] = NAN;
        if (bragg_series_fitted(b->s, k)->done)
            take(bragg_series_fitted(b->s, k), which, &y[k], &e[k]);
        any |= isfinite(y[k]);
    }
    if (!any)
        return BRAGG_OK;
    if (p->n_curves)
        memcpy(more, p->curves, p->n_curves * sizeof *more);
    more[p->n_curves++] = (bragg_plot_curve){ b->s->n, b->axis.x, y, e, label };
    p->curves = more;
    return BRAGG_OK;
}

static bragg_status add_log_panel(book *b, stack *to, bragg_error *err)
{
    bragg_plot_panel *p = &to->panels[to->n];
    *p = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
    p->y_label = "Voltage (V)";
    bragg_status st = add_curve(b, p, NULL, bragg_take_voltage, 0, err);
    if (st == BRAGG_OK && !p->n_curves && !b->axis.heated) {
        p->y_label = "Temperature (K)";
        st = add_curve(b, p, NULL, bragg_take_temperature, 0, err);
    }
    to->n += p->n_curves > 0;
    return st;
}

static bragg_status plot_fractions(book *b, bragg_error *err)
{
    bragg_plot_panel panels[3];
    stack t = { panels, 0 };
    bragg_status st = add_log_panel(b, &t, err);
    bragg_plot_panel *p = &panels[t.n];
    *p = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
    p->y_label = "Weight fraction (%)";
    p->share = true;
    for (size_t i = 0; b->s->n_phases > 1 && i < b->s->n_phases && st == BRAGG_OK; i++)
        st = add_curve(b, p, b->s->phase[i], bragg_take_fraction, i, err);
    t.n += p->n_curves > 0;
    p = &panels[t.n];
    *p = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
    p->y_label = "<i>R</i><sub>wp</sub> (%)";
    if (st == BRAGG_OK)
        st = add_curve(b, p, NULL, bragg_take_rwp, 0, err);
    t.n += p->n_curves > 0;
    return st == BRAGG_OK ? bragg_report_courses(b, t.panels, t.n, "fractions", err) : st;
}

static bragg_status plot_volumes(book *b, bragg_error *err)
{
    bragg_plot_panel *panels = bragg_arena_alloc(b->arena, b->s->n_phases + 2, sizeof *panels);
    stack t = { panels, 0 };
    bragg_status st = panels ? add_log_panel(b, &t, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for panels");
    for (size_t i = 0; i < b->s->n_phases && st == BRAGG_OK; i++) {
        const char *name = bragg_fig_escape(b->arena, b->s->phase[i]);
        char label[400];
        snprintf(label, sizeof label, "<i>V</i> %s (\xc3\x85\xc2\xb3)", name ? name : "");
        bragg_plot_panel *p = &panels[t.n];
        *p = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
        p->y_label = bragg_arena_strdup(b->arena, label);
        st = add_curve(b, p, NULL, bragg_take_volume, i, err);
        t.n += p->n_curves > 0;
    }
    return st == BRAGG_OK ? bragg_report_courses(b, t.panels, t.n, "volumes", err) : st;
}

/* Parameters of one kind, a panel each: cells or sizes and strains. */
static bragg_status plot_params(book *b, const char *const *what, size_t n_what, const char *stem, bragg_error *err)
{
    const bragg_series *s = b->s;
    bragg_plot_panel *panels = bragg_arena_alloc(b->arena, s->n_params + 2, sizeof *panels);
    stack t = { panels, 0 };
    bragg_status st = panels ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for panels");
    for (size_t k = 0; k < s->n_params && st == BRAGG_OK && t.n < 12; k++) {
        bool wanted = false;
        for (size_t j = 0; j < n_what; j++)
            wanted |= strncmp(s->name[k], "phase.", 6) == 0 && strstr(s->name[k], what[j]) != NULL;
        if (!wanted || !s->refined[k])
            continue;
        bragg_plot_panel *p = &panels[t.n];
        *p = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
        p->y_label = bragg_report_param_label(s, k, b->arena);
        st = add_curve(b, p, NULL, bragg_take_param, k, err);
        t.n += p->n_curves > 0;
    }
    return st == BRAGG_OK ? bragg_report_courses(b, t.panels, t.n, stem, err) : st;
}

/* ------------------------------------------------------------- waterfall */

/* Evenly over the run; one that was not fitted gives way to its neighbour. */
static size_t pick_states(const bragg_series *s, size_t most, size_t *out)
{
    size_t n = 0;
    for (size_t j = 0; j < most; j++) {
        size_t k = most > 1 ? (size_t)llrint((double)j * (double)(s->n - 1) / (double)(most - 1)) : 0, d = 0;
        while (d < s->n && !((k + d < s->n && bragg_series_fitted(s, k + d)->done) || (k >= d && bragg_series_fitted(s, k - d)->done)))
            d++;
        k = k + d < s->n && bragg_series_fitted(s, k + d)->done ? k + d : k >= d ? k - d : k;
        if (bragg_series_fitted(s, k)->done && (!n || out[n - 1] < k))
            out[n++] = k;
    }
    return n;
}

static const char *const roman[] = { "I", "II", "III", "IV", "V", "VI" };

/* The log, with a mark where each pattern of the waterfall was taken. */
static bragg_status plot_states(book *b, const size_t *at, size_t n, bragg_error *err)
{
    bragg_plot_curve log = log_curve(b, false);
    double unit = isfinite(b->axis.unit_s) ? b->axis.unit_s : 1;
    if (!log.n)
        log = log_curve(b, true);
    if (!log.n || b->axis.heated)
        return BRAGG_OK;
    double *t = doubles(b, log.n);
    bragg_plot_trace *traces = bragg_arena_alloc(b->arena, n + 1, sizeof *traces);
    double *points = doubles(b, 2 * n);
    if (!t || !traces || !points)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for states");
    for (size_t i = 0; i < log.n; i++)
        t[i] = log.x[i] / unit;
    traces[0] = (bragg_plot_trace){ .curve = { log.n, t, log.y, NULL, NULL } };
    for (size_t k = 0; k < n; k++) {
        double *p = points + 2 * k;
        size_t i = 0;
        p[0] = b->axis.map_s[at[k]];
        while (i + 1 < log.n && log.x[i + 1] <= p[0])
            i++;
        p[1] = log.y[i];
        p[0] /= unit;
        traces[k + 1] = (bragg_plot_trace){ .curve = { 1, p, p + 1, NULL, roman[k] }, .dots = true, .named = true };
    }
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < log.n; i++)
        low = fmin(low, log.y[i]), high = fmax(high, log.y[i]);
    bragg_plot_profile panel = BRAGG_PLOT_PROFILE_INIT;
    panel.x_min = t[0] - 0.02 * (t[log.n - 1] - t[0]); /* room for a mark at the ends and its name */
    panel.x_max = t[log.n - 1] + 0.02 * (t[log.n - 1] - t[0]);
    if (high > low) { /* else what suits a value that is held */
        panel.y_min = low - 0.05 * (high - low);
        panel.y_max = high + 0.14 * (high - low);
    }
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    panel.x_label = b->axis.label;
    panel.y_label = log.label;
    panel.n_traces = n + 1;
    panel.traces = traces;
    page.width_mm = 120;
    page.title = b->s->title;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < BRAGG_REPORT_KINDS && st == BRAGG_OK; k++) {
        page.force = b->force || k;
        st = bragg_plot_profiles(&panel, 1, 1, &page, bragg_report_name(b, "states", bragg_report_kinds[k]), err);
    }
    return st;
}

static bragg_status plot_waterfall(book *b, bragg_error *err)
{
    size_t at[6], n = pick_states(b->s, 6, at);
    bragg_pattern *list[6] = { NULL };
    const char *labels[6];
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        const bragg_frame_fit *step = bragg_series_fitted(b->s, at[k]);
        double *room = doubles(b, b->c->n);
        char text[160], number[60];
        int used = snprintf(text, sizeof text, "%s", roman[k]);
        bragg_fig_fixed(number, sizeof number, step->log.voltage_v, 2);
        if (isfinite(step->log.voltage_v))
            used += snprintf(text + used, sizeof text - (size_t)used, "  %s V", number);
        if (isfinite(step->temperature_k))
            snprintf(text + used, sizeof text - (size_t)used, "  %.0f K", step->temperature_k);
        labels[k] = bragg_arena_strdup(b->arena, text);
        list[k] = bragg_pattern_new(b->c->n, BRAGG_AXIS_TTH);
        if (!list[k] || !labels[k] || !room)
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
        const double *y = st == BRAGG_OK ? bragg_store_curves_row(b->c, BRAGG_CURVE_OBSERVED, at[k] / b->c->frames, room) : NULL;
        for (size_t i = 0; st == BRAGG_OK && i < b->c->n; i++)
            list[k]->x[i] = b->c->x_rad[i], list[k]->y[i] = y[i];
    }
    bragg_plot_patterns_options o = BRAGG_PLOT_PATTERNS_OPTIONS_INIT;
    o.page.title = b->s->title;
    o.normalize = true; /* strong patterns would hide the others */
    for (size_t k = 0; n > 1 && k < BRAGG_REPORT_KINDS && st == BRAGG_OK; k++) {
        o.page.force = b->force || k;
        st = bragg_plot_patterns((const bragg_pattern *const *)list, labels, n, &o, bragg_report_name(b, "waterfall", bragg_report_kinds[k]), err);
    }
    for (size_t k = 0; k < n; k++)
        bragg_pattern_free(list[k]);
    if (st == BRAGG_OK && n > 1)
        st = plot_states(b, at, n, err);
    return st;
}

bool bragg_report_calculated(const bragg_store_curves *c, double *room)
{
    for (size_t r = 0; room && r < c->rows; r++) {
        const double *row = bragg_store_curves_row(c, BRAGG_CURVE_CALCULATED, r, room);
        for (size_t i = 0; i < c->n; i++)
            if (isfinite(row[i]))
                return true;
    }
    return false;
}

/* ------------------------------------------------------------------- all */

static bragg_status draw_root(book *b, bragg_error *err) { return plot_map(b, "map", BRAGG_PLOT_SQRT, false, err); }
static bragg_status draw_linear(book *b, bragg_error *err) { return plot_map(b, "map-linear", BRAGG_PLOT_LINEAR, false, err); }
static bragg_status draw_log(book *b, bragg_error *err) { return plot_map(b, "map-log", BRAGG_PLOT_LOG, false, err); }

static bragg_status draw_difference(book *b, bragg_error *err)
{
    return bragg_report_calculated(b->c, doubles(b, b->c->n)) ? plot_map(b, "difference", BRAGG_PLOT_SQRT, true, err) : BRAGG_OK;
}

static bragg_status draw_cells(book *b, bragg_error *err)
{
    static const char *const what[] = { ".cell." };
    return plot_params(b, what, 1, "cells", err);
}

static bragg_status draw_widths(book *b, bragg_error *err)
{
    static const char *const what[] = { ".size", ".strain" };
    return plot_params(b, what, 2, "widths", err);
}

bragg_status bragg_report_check(const bragg_store_curves *c, bragg_error *err)
{
    return c->rows && !c->frames ? bragg_fail(err, BRAGG_EINVAL, "curves: expected one frame or more a row, found none in %zu rows", c->rows) : BRAGG_OK;
}

bragg_status bragg_plot_operando(const bragg_series *s, const bragg_store_curves *c, const char *folder, bool force, const bragg_observer *observer, bragg_error *err)
{
    static const struct { bragg_status (*draw)(book *, bragg_error *); size_t rows; } figures[] = { /* rows of curves that each needs */
        { draw_root, 2 }, { draw_linear, 2 }, { draw_log, 2 }, { plot_capacity, 2 }, { draw_difference, 2 }, { plot_waterfall, 1 },
        { plot_fractions, 0 }, { plot_volumes, 0 }, { draw_cells, 0 }, { draw_widths, 0 } };
    enum { FIGURES = sizeof figures / sizeof *figures };
    book b = { .s = s, .c = c, .folder = folder, .force = force };
    bragg_status st = bragg_report_check(c, err);
    if (st == BRAGG_OK)
        st = bragg_report_sheet_open(&b, err);
    for (size_t k = 0; k < FIGURES && st == BRAGG_OK; k++)
        if (!bragg_progress(observer, k, FIGURES))
            st = BRAGG_STOPPED;
        else if (s->n > 1 && c->rows >= figures[k].rows)
            st = figures[k].draw(&b, err);
    bragg_arena_free(b.arena);
    bragg_status whole = bragg_store_curves_whole(c, err); /* else its rows were NAN, which no figure takes */
    return whole < 0 ? whole : st;
}

bragg_status bragg_plot_pdf_maps(const bragg_pdf_course *t, const bragg_series *s, const char *folder, bool force, bragg_error *err)
{
    book b = { .s = s, .folder = folder, .force = force };
    bragg_status st = bragg_report_sheet_open(&b, err);
    if (st == BRAGG_OK && t->rows > 1)
        st = plot_total(&b, t, false, err);
    if (st == BRAGG_OK && t->rows > 1)
        st = plot_total(&b, t, true, err);
    bragg_arena_free(b.arena);
    return st;
}
