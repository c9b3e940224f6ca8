/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Rietveld plot. */
#include "config.h"
#include "canvas.h"

#include <bragg/number.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Colours that the colour-blind tell apart: M. Okabe & K. Ito, Color Universal
 * Design (2008). */
static const colour palette[] = { { 0, 0.447, 0.698 }, { 0.835, 0.369, 0 }, { 0, 0.62, 0.451 }, { 0.8, 0.475, 0.655 },
                                  { 0.902, 0.624, 0 }, { 0.337, 0.706, 0.914 } };
static const colour red = { 0.80, 0.10, 0.10 }, black = { 0, 0, 0 }, grey = { 0.45, 0.45, 0.45 }, blue = { 0.15, 0.25, 0.55 };
enum { N_PALETTE = sizeof palette / sizeof *palette };

static void find_range(const bragg_plot_rietveld *r, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < r->n; i++) {
        *low = fmin(*low, fmin(r->observed[i], r->background ? r->background[i] : r->calculated[i]));
        *high = fmax(*high, fmax(r->observed[i], r->calculated[i]));
    }
}

static double *differences(const bragg_plot_rietveld *r)
{
    double *d = malloc((r->n + 1) * sizeof *d);
    for (size_t i = 0; d && i < r->n; i++)
        d[i] = (r->observed[i] - r->calculated[i]) / (r->weighted && r->sigma ? r->sigma[i] : 1);
    return d;
}

static panel main_panel(const bragg_plot_rietveld *r, const canvas *c, double below)
{
    double low, high;
    find_range(r, &low, &high);
    panel p = { 62, r->title ? 20 : 8, c->width - 62 - 10, 0, r->x[0], r->x[r->n - 1], low, high, r->scale };
    p.height = c->height - p.top - below;
    if (r->scale == BRAGG_PLOT_LOG) {
        p.y0 = fmax(low, high * 1e-5) * 0.8;
        p.y1 = high * 1.3;
    } else {
        double span = high - low;
        p.y0 = low >= 0 && low < 0.3 * high ? 0 : low - 0.04 * span;
        p.y1 = high + 0.05 * span;
    }
    return p;
}

static void draw_legend(canvas *c, const bragg_plot_rietveld *r, const panel *p)
{
    double x = p->left + p->width - 8, y = p->top + 6;
    if (r->note)
        bragg_canvas_text(c, x, y, CANVAS_RIGHT, 0, 8.5, false, r->note);
    const struct { const char *text; colour k; } rows[] = { { "observed", black }, { "calculated", red }, { "background", grey }, { "difference", blue } };
    y += r->note ? 17 : 0;
    for (int k = 0; k < 4; k++, y += 11) {
        if (k == 2 && !r->background)
            continue;
        bragg_canvas_colour(c, black);
        bragg_canvas_text(c, x - 16, y, CANVAS_RIGHT, 0, 7.5, false, rows[k].text);
        bragg_canvas_colour(c, rows[k].k);
        cairo_set_line_width(c->cr, k ? 1.2 : 2.4);
        cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_ROUND);
        cairo_move_to(c->cr, k ? x - 12 : x - 6, y + 5);
        cairo_line_to(c->cr, k ? x : x - 6, y + 5);
        cairo_stroke(c->cr);
        cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_BUTT);
    }
}

static void draw_ticks(canvas *c, const bragg_plot_rietveld *r, const panel *p, double top, double row)
{
    for (size_t k = 0; k < r->n_ticks; k++) {
        double y = top + (double)k * row + 2;
        bragg_canvas_colour(c, palette[k % N_PALETTE]);
        cairo_set_line_width(c->cr, 0.6);
        for (size_t i = 0; i < r->ticks[k].n; i++) {
            double x = r->ticks[k].x[i];
            if (x < p->x0 || x > p->x1)
                continue;
            cairo_move_to(c->cr, bragg_panel_x(p, x), y);
            cairo_line_to(c->cr, bragg_panel_x(p, x), y + row - 5);
            cairo_stroke(c->cr);
        }
        double wide = bragg_canvas_text_width(c, 7, r->ticks[k].name);
        bragg_canvas_text(c, wide < 52 ? p->left - 4 : p->left + 4, y + (row - 5) / 2, wide < 52 ? CANVAS_RIGHT : CANVAS_LEFT, 0.5, 7, false, r->ticks[k].name);
    }
}

static void draw(canvas *c, const bragg_plot_rietveld *r, const double *difference)
{
    enum { BELOW = 34, ROW = 12 };
    double lane = 0.19 * c->height, ticks = (double)r->n_ticks * ROW + 4;
    panel p = main_panel(r, c, BELOW + lane + ticks);
    panel d = p;
    double reach = 0;
    for (size_t i = 0; i < r->n; i++)
        reach = fmax(reach, isfinite(difference[i]) ? fabs(difference[i]) : 0);
    d.scale = BRAGG_PLOT_LINEAR;
    d.top = p.top + p.height + ticks;
    d.height = lane;
    d.y1 = reach > 0 ? 1.08 * reach : 1;
    d.y0 = -d.y1;
    if (r->background)
        bragg_panel_line(c, &p, r->x, r->background, r->n, grey, 0.8);
    bragg_panel_dots(c, &p, r->x, r->observed, r->n, black, r->n > 3000 ? 0.7 : 0.95);
    bragg_panel_line(c, &p, r->x, r->calculated, r->n, red, 0.8);
    draw_ticks(c, r, &p, p.top + p.height, ROW);
    const double ends[2] = { d.x0, d.x1 }, zero[2] = { 0, 0 };
    bragg_panel_line(c, &d, ends, zero, 2, (colour){ 0.75, 0.75, 0.75 }, 0.5);
    bragg_panel_line(c, &d, r->x, difference, r->n, blue, 0.7);
    bragg_panel_axes(c, &p, NULL, r->scale == BRAGG_PLOT_SQRT ? "Intensity (square root)" : "Intensity", false, true);
    bragg_panel_axes(c, &d, r->x_label, r->weighted ? "Δ/σ" : "obs. − calc.", true, true);
    draw_legend(c, r, &p);
    bragg_canvas_colour(c, black);
    if (r->title)
        bragg_canvas_text(c, p.left, 4, CANVAS_LEFT, 0, 10, false, r->title);
}

static bragg_status write_csv(const bragg_plot_rietveld *r, const char *path, bool force, bragg_error *err)
{
    char name[4096], b[4][BRAGG_NUMBER_TEXT];
    bragg_output *out;
    snprintf(name, sizeof name, "%.*s.csv", (int)(strrchr(path, '.') - path), path);
    bragg_status st = bragg_output_open(name, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "x,observed,calculated,background\n");
    for (size_t i = 0; i < r->n; i++)
        fprintf(to, "%s,%s,%s,%s\n", bragg_number_print_digits(b[0], r->x[i], 10), bragg_number_print_digits(b[1], r->observed[i], 9),
                bragg_number_print_digits(b[2], r->calculated[i], 9), bragg_number_print_digits(b[3], r->background ? r->background[i] : NAN, 9));
    return bragg_output_commit(out, err);
}

bragg_status bragg_plot_write_rietveld(const bragg_plot_rietveld *r, const char *path, bool force, bragg_error *err)
{
    if (r->n < 2 || !(r->x[r->n - 1] > r->x[0]))
        return bragg_fail(err, BRAGG_EDATA, "Rietveld plot: expected at least two points at rising positions, found %zu", r->n);
    canvas c;
    bragg_status st = bragg_canvas_open(&c, path, r->width_mm, r->height_mm, force, err);
    if (st < 0)
        return st;
    double *d = differences(r);
    if (d)
        draw(&c, r, d);
    else
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", r->n);
    free(d);
    st = bragg_canvas_close(&c, st, err);
    return st < 0 ? st : write_csv(r, path, force, err);
}
