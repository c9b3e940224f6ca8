/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the figures of a run have in common: the abscissa, names of files, panels over it. */
#include "config.h"
#include "figure.h"
#include "page.h"

#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool monotonic_temperature(const bragg_series *s)
{
    int way = 0;
    for (size_t k = 0; k < s->n; k++)
        if (!isfinite(bragg_series_fitted(s, k)->temperature_k))
            return false;
    for (size_t k = 1; k < s->n; k++) {
        double d = bragg_series_fitted(s, k)->temperature_k - bragg_series_fitted(s, k - 1)->temperature_k;
        if (!(fabs(d) > 0) || (way && (d > 0) != (way > 0)))
            return false;
        way = d > 0 ? 1 : -1;
    }
    return s->n > 1;
}

bragg_status bragg_report_choose_axis(const bragg_series *s, bragg_arena *arena, bragg_report_axis *a, bragg_error *err)
{
    a->x = bragg_arena_alloc(arena, s->n + 1, sizeof *a->x);
    a->map_s = bragg_arena_alloc(arena, s->n + 1, sizeof *a->map_s);
    if (!a->x || !a->map_s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", s->n);
    bool heated = monotonic_temperature(s), timed = s->timed && s->n > 1;
    double span = timed ? bragg_series_time_s(s, s->n - 1) - bragg_series_time_s(s, 0) : 0;
    double unit = span > 3 * 3600 ? 3600 : span > 180 ? 60 : 1;
    a->label = heated ? "Temperature (K)" : !timed ? "Frame" : unit == 3600 ? "Time (h)" : unit == 60 ? "Time (min)" : "Time (s)";
    a->by_frame = !timed;
    a->heated = heated;
    a->unit_s = timed && !heated ? unit : NAN;
    for (size_t k = 0; k < s->n; k++) {
        a->x[k] = heated ? bragg_series_fitted(s, k)->temperature_k : timed ? bragg_series_time_s(s, k) / unit : (double)k;
        a->map_s[k] = timed ? bragg_series_time_s(s, k) : (double)k;
    }
    return BRAGG_OK;
}

bragg_status bragg_report_sheet_open(bragg_report_sheet *b, bragg_error *err)
{
    b->arena = bragg_arena_new();
    return b->arena ? bragg_report_choose_axis(b->s, b->arena, &b->axis, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for figures");
}

const char *const bragg_report_kinds[BRAGG_REPORT_KINDS] = { "svg", "png" };

const char *bragg_report_name(const bragg_report_sheet *b, const char *stem, const char *kind)
{
    char name[80];
    snprintf(name, sizeof name, "%s.%s", stem, kind);
    return bragg_path_join(b->arena, b->folder, name);
}

size_t bragg_report_cycles(const bragg_series *s, const double *at, bragg_arena *arena, double **out)
{
    size_t n = 0;
    *out = bragg_arena_alloc(arena, s->n + 1, sizeof **out);
    for (size_t k = 1; *out && k < s->n; k++)
        if (bragg_series_fitted(s, k)->log.cycle > bragg_series_fitted(s, k - 1)->log.cycle)
            (*out)[n++] = (at[k] + at[k - 1]) / 2;
    return n;
}

double bragg_report_middle(const bragg_series *s, const double *at, size_t row, size_t frames)
{
    size_t first = row * frames, last = first + frames < s->n ? first + frames - 1 : s->n - 1;
    return first < s->n ? (at[first] + at[last]) / 2 : NAN;
}

bragg_status bragg_report_courses(const bragg_report_sheet *b, const bragg_plot_panel *panels, size_t n, const char *stem, bragg_error *err)
{
    bragg_plot_series_options o = BRAGG_PLOT_SERIES_OPTIONS_INIT;
    double *marks;
    o.page.width_mm = 120;
    o.page.height_mm = 30 + (n > 6 ? 60 + 22.0 * (double)n : 32.0 * (double)n);
    o.page.title = b->s->title;
    o.x_label = b->axis.label;
    o.n_marks = bragg_report_cycles(b->s, b->axis.x, b->arena, &marks);
    o.marks = marks;
    o.bands = true;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; n && k < BRAGG_REPORT_KINDS && st == BRAGG_OK; k++) {
        o.page.force = b->force || k;
        st = bragg_plot_series(panels, n, &o, bragg_report_name(b, stem, bragg_report_kinds[k]), err);
    }
    return st;
}

const char *bragg_report_param_label(const bragg_series *s, size_t param, bragg_arena *arena)
{
    const char *name = s->name[param], *rest = strncmp(name, "phase.", 6) ? name : name + 6, *dot = strchr(rest, '.'), *last = strrchr(name, '.');
    const char *unit = s->unit[param], *shown = !strcmp(unit, "1e-6") ? "10<sup>\xe2\x88\x92""6</sup>" : bragg_unit_text(unit);
    const char *what = bragg_fig_escape(arena, last ? last + 1 : name), *phase = dot ? bragg_arena_strndup(arena, rest, (size_t)(dot - rest)) : "";
    char label[400];
    phase = phase ? bragg_fig_escape(arena, phase) : NULL;
    if (!what || !phase)
        return NULL;
    snprintf(label, sizeof label, *shown ? "<i>%.100s</i> %.200s (%.40s)" : "<i>%.100s</i> %.200s", what, phase, shown);
    return bragg_arena_strdup(arena, label);
}
