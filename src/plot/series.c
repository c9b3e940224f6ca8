/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parameters against frame, time or temperature: panels on one abscissa. */
#include "config.h"
#include "figure.h"

typedef struct stack {
    const bragg_plot_panel *panels;
    size_t n;
    const bragg_plot_series_options *o;
    bragg_fig_panel *at;
} stack;

static bool counts(const bragg_plot_panel *p, const bragg_plot_curve *c, size_t i)
{
    return isfinite(c->x[i]) && isfinite(c->y[i]) && (p->scale != BRAGG_PLOT_LOG || c->y[i] > 0);
}

static double bar(const bragg_plot_curve *c, size_t i)
{
    return c->esd && isfinite(c->esd[i]) && c->esd[i] > 0 ? c->esd[i] : 0;
}

static bragg_status check(const stack *s, bragg_error *err)
{
    bool any = false;
    if (!s->n)
        return bragg_fail(err, BRAGG_EINVAL, "series: expected at least one panel, found none");
    for (size_t k = 0; k < s->n; k++)
        for (size_t j = 0; j < s->panels[k].n_curves; j++)
            for (size_t i = 0; i < s->panels[k].curves[j].n; i++)
                any |= counts(s->panels + k, s->panels[k].curves + j, i);
    return any ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "series: expected a finite point, found none");
}

static bool in_window(const stack *s, double x)
{
    return !(x < s->o->x_min) && !(x > s->o->x_max);
}

/* A bar ten times as long as the spread of its panel says "unknown"; the
 * ordinate follows the points then, and the bar runs out of the panel. */
static void y_range(const stack *s, size_t k)
{
    const bragg_plot_panel *p = s->panels + k;
    bragg_fig_axis *y = &s->at[k].y;
    double low = INFINITY, high = -INFINITY, most = 0;
    for (size_t j = 0; j < p->n_curves; j++)
        for (size_t i = 0; i < p->curves[j].n; i++)
            if (counts(p, p->curves + j, i) && in_window(s, p->curves[j].x[i]))
                low = fmin(low, p->curves[j].y[i]), high = fmax(high, p->curves[j].y[i]);
    most = high > low ? high - low : INFINITY;
    y->share = p->share && !(low < 0) && !(high > 100);
    y->min = low, y->max = high;
    for (size_t j = 0; j < p->n_curves; j++)
        for (size_t i = 0; i < p->curves[j].n; i++) {
            double e = bar(p->curves + j, i), v = p->curves[j].y[i];
            if (!counts(p, p->curves + j, i) || !in_window(s, p->curves[j].x[i]) || e > most)
                continue;
            y->max = fmax(y->max, v + e);
            if (p->scale != BRAGG_PLOT_LOG || v - e > 0)
                y->min = fmin(y->min, v - e);
        }
    y->min = y->share ? fmax(y->min, 0) : y->min; /* of a bar only what can be */
    y->max = y->share ? fmin(y->max, 100) : y->max;
    y->scale = p->scale;
    y->label = p->y_label;
    if (!(y->max >= y->min)) /* an empty panel keeps its place */
        y->min = p->scale == BRAGG_PLOT_LOG ? 1 : 0, y->max = p->scale == BRAGG_PLOT_LOG ? 10 : 1;
    bragg_fig_pad(y, 0.08, 0.08);
    y->min = isnan(p->y_min) ? y->min : p->y_min;
    y->max = isnan(p->y_max) ? y->max : p->y_max;
}

static void x_range(const stack *s, bragg_fig_axis *x)
{
    x->min = INFINITY, x->max = -INFINITY;
    for (size_t k = 0; k < s->n; k++)
        for (size_t j = 0; j < s->panels[k].n_curves; j++)
            for (size_t i = 0; i < s->panels[k].curves[j].n; i++)
                if (counts(s->panels + k, s->panels[k].curves + j, i)) {
                    x->min = fmin(x->min, s->panels[k].curves[j].x[i]);
                    x->max = fmax(x->max, s->panels[k].curves[j].x[i]);
                }
    bragg_fig_pad(x, 0.02, 0.02);
    x->min = isnan(s->o->x_min) ? x->min : s->o->x_min;
    x->max = isnan(s->o->x_max) ? x->max : s->o->x_max;
    x->label = s->o->x_label ? s->o->x_label : "Frame";
}

static double lay_out(const stack *s, bragg_fig *fig)
{
    double bottom = fig->height - 3.5 * fig->em, each = (bottom - fig->top) / (double)s->n, room = 0;
    for (size_t k = 0; k < s->n; k++) {
        y_range(s, k);
        bragg_fig_axis *y = &s->at[k].y;
        y->to = fig->top + (double)k * each;
        y->from = y->to + each;
        y->tight = s->n > 1;
        bragg_fig_ticks(fig, y, true);
        room = fmax(room, bragg_fig_tick_width(fig, y));
    }
    room += 2.4 * fig->em;
    bragg_fig_axis x = { .from = room + 0.3 * fig->em, .to = fig->width - 1.5 * fig->em };
    x_range(s, &x);
    bragg_fig_ticks(fig, &x, false);
    for (size_t k = 0; k < s->n; k++) {
        s->at[k].x = x;
        s->at[k].x.bare = k + 1 < s->n;
    }
    return room;
}

static void draw_bars(const stack *s, bragg_fig *fig, size_t k, const bragg_plot_curve *c, bragg_fig_rgb colour)
{
    const bragg_fig_panel *p = s->at + k;
    double cap = 0.2 * fig->em;
    for (size_t i = 0; i < c->n; i++) {
        double e = bar(c, i);
        if (!counts(s->panels + k, c, i) || !(e > 0))
            continue;
        double x = bragg_fig_at(&p->x, c->x[i]), up = bragg_fig_at(&p->y, c->y[i] + e),
               down = bragg_fig_at(&p->y, c->y[i] - e);
        down = isfinite(down) ? fmin(down, p->y.from + 9) : p->y.from + 9;
        up = fmax(up, p->y.to - 9);
        cairo_move_to(fig->cr, x, up);
        cairo_line_to(fig->cr, x, down);
        for (int end = 0; end < 2; end++) {
            cairo_move_to(fig->cr, x - cap, end ? up : down);
            cairo_line_to(fig->cr, x + cap, end ? up : down);
        }
    }
    bragg_fig_colour(fig, colour);
    cairo_set_line_width(fig->cr, 0.4);
    cairo_stroke(fig->cr);
}

/* One esd either way as a band, where points stand so close that bars would be a
 * carpet; broken where a point has no esd. */
static bool as_band(const stack *s, const bragg_fig_panel *p, const bragg_plot_curve *c, const bragg_fig *fig)
{
    return s->o->bands && c->esd && c->n > 1 && (p->x.to - p->x.from) / (double)c->n < 0.6 * fig->em;
}

static void fill_band(const bragg_fig_panel *p, bragg_fig *fig, const bragg_plot_curve *c, size_t from, size_t to)
{
    for (size_t j = 0; j < 2 * (to - from); j++) {
        bool up = j < to - from;
        size_t i = up ? from + j : to - 1 - (j - (to - from));
        double x = bragg_fig_at(&p->x, c->x[i]), y = bragg_fig_at(&p->y, c->y[i] + (up ? 1 : -1) * bar(c, i));
        y = isfinite(y) ? fmax(fmin(y, p->y.from + 9), p->y.to - 9) : p->y.from + 9;
        if (j)
            cairo_line_to(fig->cr, x, y);
        else
            cairo_move_to(fig->cr, x, y);
    }
    cairo_close_path(fig->cr);
}

static void draw_band(const stack *s, bragg_fig *fig, size_t k, const bragg_plot_curve *c, bragg_fig_rgb colour)
{
    const bragg_fig_panel *p = s->at + k;
    for (size_t i = 0, from = 0; i <= c->n; i++) {
        if (i < c->n && counts(s->panels + k, c, i) && bar(c, i) > 0)
            continue;
        if (i > from + 1)
            fill_band(p, fig, c, from, i);
        from = i + 1;
    }
    cairo_set_source_rgba(fig->cr, colour.r, colour.g, colour.b, 0.28);
    cairo_fill(fig->cr);
}

/* Markers shrink where they would cover each other, and where a line joins points that
 * no eye tells apart there are none. */
static double marker_size(const bragg_fig *fig, const bragg_fig_panel *p, size_t n, bool joined)
{
    double each = (p->x.to - p->x.from) / (double)(n ? n : 1);
    if (joined && each < 0.1 * fig->em)
        return 0;
    return fmin(0.5 * fig->em, fmax(0.2 * fig->em, 1.2 * each));
}

static void draw_curve(const stack *s, bragg_fig *fig, size_t k, size_t j)
{
    const bragg_plot_curve *c = s->panels[k].curves + j;
    const bragg_fig_panel *p = s->at + k;
    bragg_fig_rgb colour = bragg_fig_okabe_ito(j);
    double size = marker_size(fig, p, c->n, s->o->lines);
    if (as_band(s, p, c, fig))
        draw_band(s, fig, k, c, colour);
    else
        draw_bars(s, fig, k, c, colour);
    if (s->o->lines)
        bragg_fig_line(fig, p, c->x, c->y, c->n, colour, 0.5);
    for (size_t i = 0; size > 0 && i < c->n; i++)
        if (counts(s->panels + k, c, i) && bragg_fig_inside(&p->x, c->x[i]) && bragg_fig_inside(&p->y, c->y[i]))
            bragg_fig_marker(fig, bragg_fig_at(&p->x, c->x[i]), bragg_fig_at(&p->y, c->y[i]), j, colour, size);
}

enum { MAX_ENTRIES = 24 };

static size_t entries(const stack *s, const bragg_plot_panel *p, const bragg_fig_panel *at, bragg_fig *fig, bragg_fig_entry *e)
{
    size_t n = 0;
    for (size_t j = 0; j < p->n_curves && n < MAX_ENTRIES; j++)
        if (p->curves[j].label)
            e[n++] = (bragg_fig_entry){ marker_size(fig, at, p->curves[j].n, s->o->lines) > 0 ? FIG_MARKER : FIG_LINE, bragg_fig_okabe_ito(j), bragg_fig_formula(fig, p->curves[j].label), j };
    return n;
}

static bragg_status draw_panel(const stack *s, bragg_fig *fig, size_t k, double room, bragg_error *err)
{
    const bragg_plot_panel *p = s->panels + k;
    bragg_fig_panel *at = s->at + k;
    bragg_fig_entry e[MAX_ENTRIES];
    size_t n = entries(s, p, at, fig, e), points = 0, m = 0;
    double width, height, left = 0;
    for (size_t j = 0; j < p->n_curves; j++)
        points += p->curves[j].n;
    double *x = bragg_fig_doubles(fig, points), *y = bragg_fig_doubles(fig, points);
    if (!x || !y)
        return bragg_fig_nomem(err);
    for (size_t j = 0; j < p->n_curves; j++)
        for (size_t i = 0; i < p->curves[j].n; i++, m++)
            x[m] = p->curves[j].x[i], y[m] = p->curves[j].y[i] + bar(p->curves + j, i);
    bragg_fig_legend_size(fig, e, n, &width, &height);
    if (n)
        left = bragg_fig_place(fig, at, x, y, points, width, height, isnan(p->y_max) ? 2 : 1, NULL);
    bragg_fig_ticks(fig, &at->y, true);
    bragg_fig_clip(fig, at);
    for (size_t i = 0; i < s->o->n_marks; i++) {
        double up = bragg_fig_at(&at->x, s->o->marks[i]);
        bragg_fig_segment(fig, up, at->y.from, up, at->y.to, bragg_fig_light, 0.6);
    }
    for (size_t j = 0; j < p->n_curves; j++)
        draw_curve(s, fig, k, j);
    bragg_fig_unclip(fig);
    bragg_fig_legend(fig, e, n, left, at->y.to + 0.4 * fig->em);
    bragg_fig_frame(fig, at);
    bragg_fig_draw_axis(fig, &at->y, FIG_LEFT, at->x.from, room);
    bragg_fig_draw_axis(fig, &at->x, FIG_BOTTOM, at->y.from, 0);
    return BRAGG_OK;
}

static bragg_status write_table(const stack *s, bragg_fig *fig, bragg_error *err)
{
    FILE *f;
    bragg_status st = bragg_fig_curve_table(fig, &f, err);
    for (size_t k = 0; st == BRAGG_OK && k < s->n; k++)
        for (size_t j = 0; j < s->panels[k].n_curves; j++)
            bragg_fig_curve_rows(f, s->panels[k].y_label, &s->panels[k].curves[j]);
    return st;
}

bragg_status bragg_plot_series(const bragg_plot_panel *panels, size_t n, const bragg_plot_series_options *options,
                               const char *path, bragg_error *err)
{
    static const bragg_plot_series_options usual = BRAGG_PLOT_SERIES_OPTIONS_INIT;
    stack s = { panels, n, options ? options : &usual, NULL };
    bragg_fig *fig;
    double width = s.o->page.width_mm;
    bragg_status st = check(&s, err);
    if (st == BRAGG_OK)
        st = bragg_fig_open(path, &s.o->page, fmin(14 + (n == 1 ? 0.6 : 0.38) * fmin(width, 100) * (double)n, 1900), &fig, err);
    if (st < 0)
        return st;
    s.at = bragg_arena_alloc(fig->arena, n, sizeof *s.at);
    if (!s.at)
        return bragg_fig_close(fig, bragg_fig_nomem(err), err);
    double room = lay_out(&s, fig);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = draw_panel(&s, fig, k, room, err);
    if (st == BRAGG_OK)
        st = write_table(&s, fig, err);
    return bragg_fig_close(fig, st, err);
}
