/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PLOT_CANVAS_H
#define PLOT_CANVAS_H

#include <bragg/output.h>
#include <bragg/plot.h>
#include <cairo.h>

/* A page that becomes a file: one unit is a PostScript point, 1/72 inch. */
typedef struct canvas {
    cairo_t *cr;
    cairo_surface_t *surface;
    bragg_output *out;
    enum { CANVAS_SVG, CANVAS_PDF, CANVAS_PNG } kind;
    double width, height;
} canvas;

/* A rectangle of the page with the data range that it shows. */
typedef struct panel {
    double left, top, width, height;
    double x0, x1, y0, y1;
    bragg_plot_scale scale;
} panel;

typedef struct colour {
    double r, g, b;
} colour;

#pragma GCC visibility push(hidden)
bragg_status bragg_canvas_open(canvas *c, const char *path, double width_mm, double height_mm, bool force, bragg_error *err);
/* Finish and write (status OK so far), or drop everything; returns the first failure. */
bragg_status bragg_canvas_close(canvas *c, bragg_status status, bragg_error *err);

enum { CANVAS_LEFT, CANVAS_CENTRE, CANVAS_RIGHT };
/* Pango markup at a point: align along x, anchored at its top (vertical 0),
 * middle (0.5) or bottom (1); turned by quarter when `upright`. */
void bragg_canvas_text(canvas *c, double x, double y, int align, double vertical, double size, bool upright, const char *markup);
double bragg_canvas_text_width(canvas *c, double size, const char *markup);
void bragg_canvas_colour(canvas *c, colour k);

double bragg_panel_x(const panel *p, double x);
double bragg_panel_y(const panel *p, double y);
/* Frame, ticks and numbers; labels may be NULL for none. */
void bragg_panel_axes(canvas *c, const panel *p, const char *x_label, const char *y_label, bool x_numbers, bool y_numbers);
/* A line through points in page coordinates, thinned to lowest and highest of
 * each tenth of a point so that a file stays small and no peak is lost. */
void bragg_panel_line(canvas *c, const panel *p, const double *x, const double *y, size_t n, colour k, double width);
void bragg_panel_dots(canvas *c, const panel *p, const double *x, const double *y, size_t n, colour k, double radius);
#pragma GCC visibility pop

#endif
