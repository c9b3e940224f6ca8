/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Panels of curves with their bands of error, each on its own abscissa: I, S, F and G, fits to
 * G(r), breadths. */
#include "config.h"
#include "figure.h"

typedef struct sheet {
    const bragg_plot_profile *panels;
    size_t n, columns, rows;
    bragg_fig_panel *at;
    double room;
} sheet;

static bool seen(const bragg_plot_profile *p, const bragg_plot_curve *c, size_t i)
{
    return isfinite(c->x[i]) && isfinite(c->y[i]) && !(c->x[i] < p->x_min) && !(c->x[i] > p->x_max);
}

static double band(const bragg_plot_curve *c, size_t i) { return c->esd && isfinite(c->esd[i]) ? c->esd[i] : 0; }

static bragg_status check(const sheet *s, bragg_error *err)
{
    if (!s->n || !s->columns)
        return bragg_fail(err, BRAGG_EINVAL, "profiles: expected at least one panel, found none");
    for (size_t k = 0; k < s->n; k++) {
        bool any = false;
        for (size_t j = 0; j < s->panels[k].n_traces; j++)
            for (size_t i = 0; i < s->panels[k].traces[j].curve.n; i++)
                any |= seen(&s->panels[k], &s->panels[k].traces[j].curve, i);
        if (!any)
            return bragg_fail(err, BRAGG_EDATA, "profiles: expected a finite point in panel %zu, found none", k + 1);
    }
    return BRAGG_OK;
}

static void ranges(const bragg_plot_profile *p, bragg_fig_panel *at)
{
    at->x.min = at->y.min = INFINITY, at->x.max = at->y.max = -INFINITY;
    for (size_t j = 0; j < p->n_traces; j++) {
        const bragg_plot_curve *c = &p->traces[j].curve;
        for (size_t i = 0; i < c->n; i++)
            if (seen(p, c, i)) {
                at->x.min = fmin(at->x.min, c->x[i]), at->x.max = fmax(at->x.max, c->x[i]);
                at->y.min = fmin(at->y.min, c->y[i] + p->traces[j].offset), at->y.max = fmax(at->y.max, c->y[i] + p->traces[j].offset);
            }
    }
    if (!(at->x.max > at->x.min))
        bragg_fig_pad(&at->x, 0.02, 0.02);
    bragg_fig_pad(&at->y, 0.05, 0.05);
    at->x.min = isnan(p->x_min) ? at->x.min : p->x_min, at->x.max = isnan(p->x_max) ? at->x.max : p->x_max;
    at->y.min = isnan(p->y_min) ? at->y.min : p->y_min, at->y.max = isnan(p->y_max) ? at->y.max : p->y_max;
    at->x.label = p->x_label, at->y.label = p->y_label;
}

static void lay_out(sheet *s, bragg_fig *fig)
{
    double em = fig->em, tall = (fig->height - fig->top) / (double)s->rows, wide = fig->width / (double)s->columns;
    for (size_t k = 0; k < s->n; k++) {
        bragg_fig_panel *at = &s->at[k];
        ranges(&s->panels[k], at);
        at->y.to = fig->top + (double)(k / s->columns) * tall + 0.5 * em;
        at->y.from = at->y.to + tall - 4 * em;
        bragg_fig_ticks(fig, &at->y, true);
        s->room = fmax(s->room, bragg_fig_tick_width(fig, &at->y));
    }
    s->room += 2.4 * em;
    for (size_t k = 0; k < s->n; k++) {
        bragg_fig_panel *at = &s->at[k];
        at->x.from = (double)(k % s->columns) * wide + s->room + 0.3 * em;
        at->x.to = (double)(k % s->columns + 1) * wide - 1.3 * em;
        bragg_fig_ticks(fig, &at->x, false);
    }
}

/* One esd to each side, as an area. */
static void draw_band(bragg_fig *fig, const bragg_fig_panel *at, const bragg_plot_profile *p, const bragg_plot_trace *t, bragg_fig_rgb colour)
{
    const bragg_plot_curve *c = &t->curve;
    bool any = false;
    if (!c->esd)
        return;
    for (int side = 0; side < 2; side++)
        for (size_t k = 0; k < c->n; k++) {
            size_t i = side ? c->n - 1 - k : k;
            if (!seen(p, c, i))
                continue;
            double y = c->y[i] + t->offset + (side ? -1 : 1) * band(c, i);
            (any ? cairo_line_to : cairo_move_to)(fig->cr, bragg_fig_at(&at->x, c->x[i]), bragg_fig_at(&at->y, y));
            any = true;
        }
    cairo_close_path(fig->cr);
    cairo_set_source_rgba(fig->cr, colour.r, colour.g, colour.b, 0.25);
    cairo_fill(fig->cr);
}

static bragg_status draw_trace(bragg_fig *fig, const bragg_fig_panel *at, const bragg_plot_profile *p, const bragg_plot_trace *t, bragg_fig_rgb colour)
{
    const bragg_plot_curve *c = &t->curve;
    double *x = bragg_fig_doubles(fig, c->n), *y = bragg_fig_doubles(fig, c->n), dash[2] = { 0.35 * fig->em, 0.25 * fig->em };
    if (!x || !y)
        return BRAGG_ENOMEM;
    for (size_t i = 0; i < c->n; i++) {
        x[i] = c->x[i];
        y[i] = seen(p, c, i) ? c->y[i] + t->offset : NAN;
    }
    if (t->offset != 0)
        bragg_fig_segment(fig, at->x.from, bragg_fig_at(&at->y, t->offset), at->x.to, bragg_fig_at(&at->y, t->offset), bragg_fig_light, 0.4);
    draw_band(fig, at, p, t, colour);
    if (t->dots)
        return bragg_fig_dots(fig, at, x, y, c->n, colour, (c->n > 800 ? 0.18 : 0.26) * fig->em);
    if (t->dashed)
        cairo_set_dash(fig->cr, dash, 2, 0);
    bragg_fig_line(fig, at, x, y, c->n, colour, 0.6);
    cairo_set_dash(fig->cr, NULL, 0, 0);
    return BRAGG_OK;
}

enum { MAX_ENTRIES = 24 };

/* Dots are the data, in black; lines take the colours in turn. */
static bragg_fig_rgb colour_of(const bragg_plot_profile *p, size_t j)
{
    size_t lines = 0;
    for (size_t k = 0; k < j; k++)
        lines += !p->traces[k].dots;
    return p->traces[j].dots ? bragg_fig_black : bragg_fig_okabe_ito(lines + (p->traces[0].dots ? 1 : 0));
}

static size_t entries(const bragg_plot_profile *p, bragg_fig_entry *e)
{
    size_t n = 0;
    for (size_t j = 0; j < p->n_traces && n < MAX_ENTRIES - 1; j++)
        if (p->traces[j].curve.label && !p->traces[j].named)
            e[n++] = (bragg_fig_entry){ p->traces[j].dots ? FIG_DOT : FIG_LINE, colour_of(p, j), p->traces[j].curve.label, 0 };
    if (p->note)
        e[n++] = (bragg_fig_entry){ FIG_NONE, bragg_fig_black, p->note, 0 };
    return n;
}

/* The legend stands above the highest points under it. */
static double make_room(const sheet *s, bragg_fig *fig, size_t k, const bragg_fig_entry *e, size_t n, bragg_error *err)
{
    const bragg_plot_profile *p = &s->panels[k];
    size_t points = 0, m = 0;
    double width, height;
    for (size_t j = 0; j < p->n_traces; j++)
        points += p->traces[j].curve.n;
    double *x = bragg_fig_doubles(fig, points), *y = bragg_fig_doubles(fig, points);
    if (!x || !y)
        return bragg_fig_nomem(err), NAN;
    for (size_t j = 0; j < p->n_traces; j++)
        for (size_t i = 0; i < p->traces[j].curve.n; i++, m++)
            x[m] = p->traces[j].curve.x[i], y[m] = seen(p, &p->traces[j].curve, i) ? p->traces[j].curve.y[i] + p->traces[j].offset : NAN;
    bragg_fig_legend_size(fig, e, n, &width, &height);
    return bragg_fig_place(fig, &s->at[k], x, y, points, width, height, 1.6, NULL);
}

static bragg_status draw_panel(const sheet *s, bragg_fig *fig, size_t k, bragg_error *err)
{
    const bragg_plot_profile *p = &s->panels[k];
    bragg_fig_panel *at = &s->at[k];
    bragg_fig_entry e[MAX_ENTRIES];
    size_t n = entries(p, e);
    double left = n ? make_room(s, fig, k, e, n, err) : 0;
    if (isnan(left))
        return BRAGG_ENOMEM;
    bragg_fig_ticks(fig, &at->y, true);
    bragg_fig_clip(fig, at);
    if (at->y.min < 0 && at->y.max > 0)
        bragg_fig_segment(fig, at->x.from, bragg_fig_at(&at->y, 0), at->x.to, bragg_fig_at(&at->y, 0), bragg_fig_light, 0.4);
    bragg_status st = BRAGG_OK;
    for (size_t j = 0; j < p->n_traces && st == BRAGG_OK; j++)
        st = draw_trace(fig, at, p, &p->traces[j], colour_of(p, j));
    bragg_fig_unclip(fig);
    for (size_t j = 0; j < p->n_traces; j++)
        if (p->traces[j].named && p->traces[j].curve.n)
            bragg_fig_text(fig, bragg_fig_at(&at->x, p->traces[j].curve.x[0]), bragg_fig_at(&at->y, p->traces[j].curve.y[0] + p->traces[j].offset) - 0.5 * fig->em,
                           0.5, 1, 0, 1, p->traces[j].curve.label);
    bragg_fig_legend(fig, e, n, left, at->y.to + 0.4 * fig->em);
    bragg_fig_frame(fig, at);
    bragg_fig_draw_axis(fig, &at->y, FIG_LEFT, at->x.from, s->room);
    bragg_fig_draw_axis(fig, &at->x, FIG_BOTTOM, at->y.from, 0);
    return st < 0 ? bragg_fig_nomem(err) : st;
}

static bragg_status write_table(const sheet *s, bragg_fig *fig, bragg_error *err)
{
    FILE *f;
    bragg_status st = bragg_fig_curve_table(fig, &f, err);
    for (size_t k = 0; st == BRAGG_OK && k < s->n; k++)
        for (size_t j = 0; j < s->panels[k].n_traces; j++)
            bragg_fig_curve_rows(f, s->panels[k].y_label, &s->panels[k].traces[j].curve);
    return st;
}

bragg_status bragg_plot_profiles(const bragg_plot_profile *panels, size_t n, size_t columns, const bragg_plot_page *page, const char *path,
                                 bragg_error *err)
{
    static const bragg_plot_page usual = BRAGG_PLOT_PAGE_INIT;
    sheet s = { panels, n, columns, columns ? (n + columns - 1) / columns : 0, NULL, 0 };
    bragg_fig *fig;
    if (!page)
        page = &usual;
    bragg_status st = check(&s, err);
    if (st == BRAGG_OK)
        st = bragg_fig_open(path, page, fmin((double)s.rows * (columns > 1 ? 0.75 : 0.55) * page->width_mm / (double)columns, 1900), &fig, err);
    if (st < 0)
        return st;
    s.at = bragg_arena_alloc(fig->arena, n, sizeof *s.at);
    if (!s.at)
        return bragg_fig_close(fig, bragg_fig_nomem(err), err);
    lay_out(&s, fig);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = draw_panel(&s, fig, k, err);
    if (st == BRAGG_OK)
        st = write_table(&s, fig, err);
    return bragg_fig_close(fig, st, err);
}
