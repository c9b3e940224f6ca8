/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machinery under the figures: page, axes, text, marks, colours.  Private. */
#ifndef BRAGG_PLOT_FIGURE_H
#define BRAGG_PLOT_FIGURE_H

#include <bragg/arena.h>
#include <bragg/csv.h>
#include <bragg/error.h>
#include <bragg/plot.h>
#include <cairo.h>
#include <stdio.h>

#pragma GCC visibility push(hidden)

typedef struct bragg_fig bragg_fig;
typedef struct bragg_fig_rgb { double r, g, b; } bragg_fig_rgb;

/* One axis of a panel.  Value min lies at page position `from`, max at `to`
 * (points; y grows downward, so an upright axis has from > to).
 *
 *      from ──┴────┴────┴────┴── to
 *      min    major[k]          max    labels are major[k] / 10^exponent
 */
enum { FIG_TICKS = 64, FIG_MINOR = 512 };
typedef struct bragg_fig_axis {
    bragg_plot_scale scale;
    double min, max, from, to;
    const char *label;
    const char *unit;      /* appended in brackets, after the power of ten */
    int exponent, decimals;
    bool powers;           /* labels are 10^n */
    bool bare;             /* no labels, no name */
    bool tight;            /* no labels at the very ends, where a neighbour has his */
    bool short_numbers;    /* powers of ten from 10^4 */
    bool whole;            /* whole numbers only: frames, pixels */
    bool share;            /* no ticks below 0 and above 100, where only a legend may be */
    size_t n_major, n_minor;
    double major[FIG_TICKS], minor[FIG_MINOR];
} bragg_fig_axis;

typedef struct bragg_fig_panel {
    bragg_fig_axis x, y;
} bragg_fig_panel;

typedef enum bragg_fig_side { FIG_BOTTOM, FIG_LEFT, FIG_TOP, FIG_RIGHT } bragg_fig_side;

struct bragg_fig {
    cairo_t *cr;
    bragg_arena *arena;        /* what lives as long as the drawing */
    double width, height;      /* points */
    double em;                 /* size of the text, points */
    double top;                /* room for the title */
    bragg_fig_rgb ink;         /* of words, ticks and their numbers */
    double dpi;
    struct fig_out *out;       /* files and bytes, figure.c */
    void *font;                /* text.c */
};

/* figure.c: the page and its files */
bragg_status bragg_fig_open(const char *path, const bragg_plot_page *page, double height_mm, bragg_fig **out,
                            bragg_error *err);
bragg_status bragg_fig_table(bragg_fig *fig, const char *part, FILE **stream, bragg_error *err);
bragg_status bragg_fig_close(bragg_fig *fig, bragg_status st, bragg_error *err);
void bragg_fig_abscissa(FILE *f, double x, bragg_axis axis, const char *after);
void bragg_fig_label_field(FILE *f, const char *label, const char *after); /* without its markup */
bragg_status bragg_fig_curve_table(bragg_fig *fig, FILE **stream, bragg_error *err); /* with its head; and the rows of a curve: */
void bragg_fig_curve_rows(FILE *f, const char *panel, const bragg_plot_curve *curve);
bragg_status bragg_fig_nomem(bragg_error *err);
const char *bragg_fig_axis_title(bragg_axis axis, const char **unit);
double *bragg_fig_doubles(bragg_fig *fig, size_t n);
bragg_fig_axis bragg_fig_abscissa_axis(bragg_axis axis);

/* axis.c: scales and ticks */
double bragg_fig_scaled(bragg_plot_scale scale, double v);
double bragg_fig_unscaled(bragg_plot_scale scale, double u);
double bragg_fig_at(const bragg_fig_axis *axis, double v);
bool bragg_fig_inside(const bragg_fig_axis *axis, double v);
size_t bragg_fig_nice(double min, double max, double wanted, double *first, double *step);
void bragg_fig_pad(bragg_fig_axis *axis, double low, double high);
void bragg_fig_ticks(bragg_fig *fig, bragg_fig_axis *axis, bool upright);
void bragg_fig_fixed(char *text, size_t size, double v, int decimals);
void bragg_fig_tick_text(const bragg_fig_axis *axis, double v, char *text, size_t size);
double bragg_fig_tick_width(bragg_fig *fig, const bragg_fig_axis *axis);
void bragg_fig_draw_axis(bragg_fig *fig, const bragg_fig_axis *axis, bragg_fig_side side, double across, double room);

/* ink.c */
extern const bragg_fig_rgb bragg_fig_black, bragg_fig_grey, bragg_fig_light;
bragg_fig_rgb bragg_fig_okabe_ito(size_t k);
void bragg_fig_colour(bragg_fig *fig, bragg_fig_rgb c);

/* text.c */
bool bragg_fig_font_open(bragg_fig *fig, const char *family);
void bragg_fig_font_close(bragg_fig *fig);
void bragg_fig_measure(bragg_fig *fig, double size, const char *text, double *width, double *height);
void bragg_fig_text(bragg_fig *fig, double x, double y, double ax, double ay, double turn, double size, const char *text);
const char *bragg_fig_formula(bragg_fig *fig, const char *name);
/* A name as it stands, within markup; NULL without memory. */
const char *bragg_fig_escape(bragg_arena *arena, const char *name);
/* Markup without its marks, UTF-8 whatever it was; to be freed with free(). */
char *bragg_fig_plain(const char *text);

/* draw.c */
void bragg_fig_clip(bragg_fig *fig, const bragg_fig_panel *p);
void bragg_fig_unclip(bragg_fig *fig);
void bragg_fig_frame(bragg_fig *fig, const bragg_fig_panel *p);
void bragg_fig_line(bragg_fig *fig, const bragg_fig_panel *p, const double *x, const double *y, size_t n,
                    bragg_fig_rgb c, double width);
void bragg_fig_segment(bragg_fig *fig, double x0, double y0, double x1, double y1, bragg_fig_rgb c, double width);
bragg_status bragg_fig_dots(bragg_fig *fig, const bragg_fig_panel *p, const double *x, const double *y, size_t n,
                            bragg_fig_rgb c, double diameter);
void bragg_fig_marker(bragg_fig *fig, double x, double y, size_t kind, bragg_fig_rgb c, double diameter);

/* A box of words in the corner that is freest, with a sample before each line. */
typedef enum bragg_fig_sample { FIG_NONE, FIG_DOT, FIG_LINE, FIG_TICK, FIG_MARKER } bragg_fig_sample;
typedef struct bragg_fig_entry {
    bragg_fig_sample sample;
    bragg_fig_rgb colour;
    const char *text;
    size_t kind;
} bragg_fig_entry;
void bragg_fig_legend_size(bragg_fig *fig, const bragg_fig_entry *e, size_t n, double *width, double *height);
void bragg_fig_legend(bragg_fig *fig, const bragg_fig_entry *e, size_t n, double x, double y);
double bragg_fig_place(bragg_fig *fig, bragg_fig_panel *p, const double *x, const double *y, size_t n, double width,
                       double height, double stretch, const double *taken);

/* colour.c */
typedef struct bragg_fig_colours {
    bragg_plot_scale scale;
    double low, high;
    bool diverging;
    unsigned table[1024];  /* 0xRRGGBB, by bragg_fig_colour_range */
} bragg_fig_colours;
bragg_fig_rgb bragg_fig_map(bool diverging, double t);
enum { FIG_SAMPLE = 1 << 18 }; /* values that bragg_fig_colour_range looks at: of more, every second, third … */
bragg_status bragg_fig_colour_range(bragg_fig_colours *c, const double *v, const bool *mask, size_t n, bragg_error *err);
unsigned bragg_fig_pixel(const bragg_fig_colours *c, double v);
bragg_status bragg_fig_image(bragg_fig *fig, const bragg_fig_panel *p, const unsigned *pixels, int width, int height,
                             bragg_error *err);
void bragg_fig_bar(bragg_fig *fig, const bragg_fig_colours *c, const char *label, bragg_fig_side side, double x0, double y0,
                   double x1, double y1);

#pragma GCC visibility pop

#endif
