/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines, dots, markers and legends. */
#include "config.h"
#include "figure.h"

#include <stdint.h>
#include <stdlib.h>

static void panel_path(bragg_fig *fig, const bragg_fig_panel *p)
{
    cairo_rectangle(fig->cr, p->x.from, p->y.to, p->x.to - p->x.from, p->y.from - p->y.to);
}

void bragg_fig_clip(bragg_fig *fig, const bragg_fig_panel *p)
{
    cairo_save(fig->cr);
    panel_path(fig, p);
    cairo_clip(fig->cr);
}

void bragg_fig_unclip(bragg_fig *fig)
{
    cairo_restore(fig->cr);
}

void bragg_fig_frame(bragg_fig *fig, const bragg_fig_panel *p)
{
    panel_path(fig, p);
    bragg_fig_colour(fig, bragg_fig_black);
    cairo_set_line_width(fig->cr, 0.5);
    cairo_stroke(fig->cr);
}

void bragg_fig_segment(bragg_fig *fig, double x0, double y0, double x1, double y1, bragg_fig_rgb c, double width)
{
    cairo_move_to(fig->cr, x0, y0);
    cairo_line_to(fig->cr, x1, y1);
    bragg_fig_colour(fig, c);
    cairo_set_line_width(fig->cr, width);
    cairo_stroke(fig->cr);
}

/* Cairo's coordinates are 24.8 bits: keep what is far away near. */
static double near(double v)
{
    return v < -1e4 ? -1e4 : v > 1e4 ? 1e4 : v;
}

/* The points of a line that fall into one narrow column of the page.  Of them
 * the first, the lowest, the highest and the last draw the same ink as all, so
 * no peak is lost and 30,000 points stay a small file. */
typedef struct column {
    long key;
    size_t n;
    double at[4][2];     /* first, least, most, last */
    size_t order[4];
} column;

static const double COLUMN_PT = 0.25;

static void column_start(column *c, long key, size_t i, double x, double y)
{
    c->key = key;
    c->n = 1;
    for (int k = 0; k < 4; k++) {
        c->at[k][0] = x;
        c->at[k][1] = y;
        c->order[k] = i;
    }
}

static void column_add(column *c, size_t i, double x, double y, int across)
{
    double v = across ? y : x;
    bool take[4] = { false, v < c->at[1][across], v > c->at[2][across], true };
    c->n++;
    for (int k = 1; k < 4; k++)
        if (take[k]) {
            c->at[k][0] = x;
            c->at[k][1] = y;
            c->order[k] = i;
        }
}

static void column_draw(bragg_fig *fig, const column *c)
{
    bool swap = c->order[1] > c->order[2];
    const int path[4] = { 0, swap ? 2 : 1, swap ? 1 : 2, 3 };
    size_t last = SIZE_MAX;
    for (int k = 0; k < 4; k++)
        if (c->order[path[k]] != last) {
            last = c->order[path[k]];
            cairo_line_to(fig->cr, c->at[path[k]][0], c->at[path[k]][1]);
        }
}

static bool monotone(const double *x, size_t n)
{
    int sign = 0;
    for (size_t i = 1; i < n; i++) {
        int s = (x[i] > x[i - 1]) - (x[i] < x[i - 1]);
        if (s * sign < 0)
            return false;
        sign = s ? s : sign;
    }
    return true;
}

void bragg_fig_line(bragg_fig *fig, const bragg_fig_panel *p, const double *x, const double *y, size_t n,
                    bragg_fig_rgb colour, double width)
{
    int across = monotone(x, n) || !monotone(y, n) ? 1 : 0;
    column c = { .n = 0 };
    cairo_new_path(fig->cr);
    for (size_t i = 0; i < n; i++) {
        double px = near(bragg_fig_at(&p->x, x[i])), py = near(bragg_fig_at(&p->y, y[i]));
        if (!isfinite(px) || !isfinite(py)) {
            if (c.n)
                column_draw(fig, &c);
            cairo_new_sub_path(fig->cr);
            c.n = 0;
            continue;
        }
        long key = (long)floor((across ? px : py) / COLUMN_PT);
        if (c.n && key == c.key) {
            column_add(&c, i, px, py, across);
            continue;
        }
        if (c.n)
            column_draw(fig, &c);
        column_start(&c, key, i, px, py);
    }
    if (c.n)
        column_draw(fig, &c);
    bragg_fig_colour(fig, colour);
    cairo_set_line_width(fig->cr, width);
    cairo_stroke(fig->cr);
}

/* Dots whose centres fall into one small cell cover each other: one is drawn. */
bragg_status bragg_fig_dots(bragg_fig *fig, const bragg_fig_panel *p, const double *x, const double *y, size_t n,
                            bragg_fig_rgb colour, double diameter)
{
    double cell = 0.3 * diameter, x0 = p->x.from, y0 = p->y.to;
    size_t columns = (size_t)((p->x.to - x0) / cell) + 1, rows = (size_t)((p->y.from - y0) / cell) + 1;
    unsigned char *taken = calloc(columns, rows);
    if (!taken)
        return BRAGG_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        double px = bragg_fig_at(&p->x, x[i]), py = bragg_fig_at(&p->y, y[i]);
        if (!(px >= x0 && px <= p->x.to && py >= y0 && py <= p->y.from))
            continue;
        unsigned char *t = taken + (size_t)((py - y0) / cell) * columns + (size_t)((px - x0) / cell);
        if (*t)
            continue;
        *t = 1;
        cairo_move_to(fig->cr, px, py);
        cairo_line_to(fig->cr, px, py);
    }
    free(taken);
    bragg_fig_colour(fig, colour);
    cairo_set_line_cap(fig->cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_width(fig->cr, diameter);
    cairo_stroke(fig->cr);
    cairo_set_line_cap(fig->cr, CAIRO_LINE_CAP_BUTT);
    return BRAGG_OK;
}

static void polygon(bragg_fig *fig, double x, double y, double r, int corners, double turn_deg)
{
    for (int k = 0; k < corners; k++) {
        double a = (turn_deg + 360.0 * k / corners) * BRAGG_DEG;
        cairo_line_to(fig->cr, x + r * sin(a), y - r * cos(a));
    }
    cairo_close_path(fig->cr);
}

/* Circle, square, triangle, diamond, triangle down: told apart without colour too. */
void bragg_fig_marker(bragg_fig *fig, double x, double y, size_t kind, bragg_fig_rgb c, double diameter)
{
    static const struct { int corners; double turn, size; } shape[] = {
        { 0, 0, 1 }, { 4, 45, 1.2 }, { 3, 0, 1.3 }, { 4, 0, 1.25 }, { 3, 180, 1.3 },
    };
    double r = diameter / 2 * shape[kind % 5].size;
    cairo_new_path(fig->cr);
    if (shape[kind % 5].corners)
        polygon(fig, x, y, r, shape[kind % 5].corners, shape[kind % 5].turn);
    else
        cairo_arc(fig->cr, x, y, r, 0, 2 * BRAGG_PI);
    bragg_fig_colour(fig, c);
    cairo_fill(fig->cr);
}

static const double LEGEND_LINE = 1.35, LEGEND_SAMPLE = 2.2, LEGEND_GAP = 1.2; /* em */

static double entry_width(bragg_fig *fig, const bragg_fig_entry *e, size_t n)
{
    double w, h, most = 0;
    for (size_t i = 0; i < n; i++) {
        bragg_fig_measure(fig, 1, e[i].text, &w, &h);
        most = fmax(most, w + (e[i].sample == FIG_NONE ? 0 : LEGEND_SAMPLE * fig->em));
    }
    return most;
}

/* A tall legend pushes the data down: beyond four entries there are three rows, as far as the
 * page is wide. */
static size_t legend_rows(bragg_fig *fig, const bragg_fig_entry *e, size_t n)
{
    size_t rows = n > 4 ? 3 : n;
    while (rows < n && (double)((n + rows - 1) / rows) * (entry_width(fig, e, n) + LEGEND_GAP * fig->em) > 0.7 * fig->width)
        rows++;
    return rows;
}

void bragg_fig_legend_size(bragg_fig *fig, const bragg_fig_entry *e, size_t n, double *width, double *height)
{
    size_t rows = legend_rows(fig, e, n), columns = rows ? (n + rows - 1) / rows : 0;
    *width = (double)columns * entry_width(fig, e, n) + (columns > 1 ? (double)(columns - 1) * LEGEND_GAP * fig->em : 0);
    *height = (double)rows * LEGEND_LINE * fig->em;
}

static void draw_sample(bragg_fig *fig, const bragg_fig_entry *e, double x, double y)
{
    double em = fig->em, middle = x + 0.8 * em;
    switch (e->sample) {
    case FIG_NONE: break;
    case FIG_LINE: bragg_fig_segment(fig, x, y, x + 1.6 * em, y, e->colour, 0.9); break;
    case FIG_TICK: bragg_fig_segment(fig, middle, y - 0.4 * em, middle, y + 0.4 * em, e->colour, 0.9); break;
    case FIG_DOT: bragg_fig_marker(fig, middle, y, 0, e->colour, 0.3 * em); break;
    case FIG_MARKER: bragg_fig_marker(fig, middle, y, e->kind, e->colour, 0.5 * em); break;
    }
}

/* (x, y): upper left corner. */
void bragg_fig_legend(bragg_fig *fig, const bragg_fig_entry *e, size_t n, double x, double y)
{
    size_t rows = legend_rows(fig, e, n);
    double wide = entry_width(fig, e, n) + LEGEND_GAP * fig->em;
    for (size_t i = 0; i < n; i++) {
        double left = x + (double)(i / rows) * wide, middle = y + ((double)(i % rows) + 0.5) * LEGEND_LINE * fig->em;
        draw_sample(fig, e + i, left, middle);
        bragg_fig_text(fig, left + (e[i].sample == FIG_NONE ? 0 : LEGEND_SAMPLE * fig->em), middle, 0, 0.5, 0, 1, e[i].text);
    }
}

/* The highest scaled ordinate between two places of the page. */
static double highest(const bragg_fig_panel *p, const double *x, const double *y, size_t n, double left, double right)
{
    double most = bragg_fig_scaled(p->y.scale, p->y.min);
    for (size_t i = 0; i < n; i++) {
        double at = bragg_fig_at(&p->x, x[i]), u = bragg_fig_scaled(p->y.scale, y[i]);
        if (at >= left && at <= right && u > most)
            most = u;
    }
    return most;
}

/* Find room for a box at the top of a panel, right of the data if it can be,
 * and raise the panel's ordinate (up to `stretch` times) until the data stand
 * below it.  taken: left and right end of another box, or NULL.  Returns the
 * left end; p->y.max changes, its ticks must be chosen afterwards. */
double bragg_fig_place(bragg_fig *fig, bragg_fig_panel *p, const double *x, const double *y, size_t n, double width,
                       double height, double stretch, const double *taken)
{
    enum { PLACES = 24 };
    double pad = 0.7 * fig->em, tall = p->y.from - p->y.to, best = INFINITY, place = p->x.to - pad - width;
    double low = bragg_fig_scaled(p->y.scale, p->y.min), high = bragg_fig_scaled(p->y.scale, p->y.max);
    double last = p->x.from + pad, room = fmax(tall - height - pad, 0.1 * tall);
    for (int k = 0; k < PLACES; k++) {
        double left = p->x.to - pad - width + (last - (p->x.to - pad - width)) * k / (PLACES - 1);
        if (taken && left < taken[1] + pad && left + width > taken[0] - pad)
            continue;
        double need = low + (highest(p, x, y, n, left - pad, left + width + pad) - low) * tall / room;
        need = fmax(need, high) * (1 + 1e-3 * k);
        if (need < best) {
            best = need;
            place = left;
        }
    }
    if (best > high && isfinite(best))
        p->y.max = bragg_fig_unscaled(p->y.scale, low + fmin(best - low, stretch * (high - low)));
    return place;
}
