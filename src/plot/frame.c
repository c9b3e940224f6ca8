/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A detector image with calculated rings over it. */
#include "config.h"
#include "figure.h"

typedef struct picture {
    const double *values;
    const bool *mask;
    size_t rows, columns;
    const bragg_plot_frame_options *o;
    bragg_fig_colours colours;
    bragg_fig_panel panel;
    double room;
} picture;

enum { LEFT_EM = 6, RIGHT_EM = 7, BOTTOM_EM = 4 };  /* margins, in widths of a letter */

static bool bad(const picture *p, size_t i)
{
    return (p->mask && p->mask[i]) || !isfinite(p->values[i]);
}

/* The largest box of the image's shape that the page has room for. */
static void lay_out(picture *p, bragg_fig *fig)
{
    double em = fig->em, wide = fig->width - (LEFT_EM + RIGHT_EM) * em, tall = fig->height - BOTTOM_EM * em - fig->top;
    double k = fmin(wide / (double)p->columns, tall / (double)p->rows);
    bragg_fig_axis *x = &p->panel.x, *y = &p->panel.y;
    x->from = LEFT_EM * em + (wide - k * (double)p->columns) / 2, x->to = x->from + k * (double)p->columns;
    y->to = fig->top + (tall - k * (double)p->rows) / 2, y->from = y->to + k * (double)p->rows;
    x->max = (double)p->columns;
    y->min = p->o->bottom_up ? 0 : (double)p->rows;
    y->max = p->o->bottom_up ? (double)p->rows : 0;
    x->whole = y->whole = true;
    x->label = "Column", y->label = "Row";
    x->unit = y->unit = "px";
    bragg_fig_ticks(fig, x, false);
    bragg_fig_ticks(fig, y, true);
    p->room = bragg_fig_tick_width(fig, y) + 2.4 * em;
}

/* Mean of the good pixels of a block; grey where there are none. */
static unsigned block(const picture *p, size_t r0, size_t r1, size_t c0, size_t c1)
{
    enum { MASKED = 0xb0b0b0 };
    double sum = 0, n = 0;
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1; c++)
            if (!bad(p, r * p->columns + c))
                sum += p->values[r * p->columns + c], n++;
    return n > 0 ? bragg_fig_pixel(&p->colours, sum / n) : MASKED;
}

static bragg_status draw_image(const picture *p, bragg_fig *fig, bragg_error *err)
{
    double k = fig->dpi / 72, wide = p->panel.x.to - p->panel.x.from, tall = p->panel.y.from - p->panel.y.to;
    while (wide * tall * k * k > 1.2e6)
        k *= 0.95;
    size_t w = (size_t)fmax(fmin(wide * k, (double)p->columns), 1), h = (size_t)fmax(fmin(tall * k, (double)p->rows), 1);
    unsigned *pixels = bragg_arena_alloc(fig->arena, w * h, sizeof *pixels);
    if (!pixels)
        return bragg_fig_nomem(err);
    for (size_t r = 0; r < h; r++)
        for (size_t c = 0; c < w; c++)
            pixels[(p->o->bottom_up ? h - 1 - r : r) * w + c] =
                block(p, r * p->rows / h, (r + 1) * p->rows / h, c * p->columns / w, (c + 1) * p->columns / w);
    return bragg_fig_image(fig, &p->panel, pixels, (int)w, (int)h, err);
}

static bragg_status draw(picture *p, bragg_fig *fig, bragg_error *err)
{
    lay_out(p, fig);
    bragg_status st = draw_image(p, fig, err);
    bragg_fig_clip(fig, &p->panel);
    for (size_t k = 0; k < p->o->n_curves; k++)
        bragg_fig_line(fig, &p->panel, p->o->curves[k].x, p->o->curves[k].y, p->o->curves[k].n, bragg_fig_okabe_ito(1), 0.5);
    bragg_fig_unclip(fig);
    bragg_fig_frame(fig, &p->panel);
    bragg_fig_draw_axis(fig, &p->panel.x, FIG_BOTTOM, p->panel.y.from, 0);
    bragg_fig_draw_axis(fig, &p->panel.y, FIG_LEFT, p->panel.x.from, p->room);
    double bar = p->panel.x.to + 0.8 * fig->em;
    bragg_fig_bar(fig, &p->colours, p->o->z_label ? p->o->z_label : "Intensity", FIG_RIGHT, bar, p->panel.y.to,
                  bar + 0.9 * fig->em, p->panel.y.from);
    return st;
}

static bragg_status write_image(const picture *p, bragg_fig *fig, bragg_error *err)
{
    FILE *f;
    bragg_status st = bragg_fig_table(fig, NULL, &f, err);
    if (st < 0)
        return st;
    for (size_t i = 0; i < p->rows * p->columns; i++)
        bragg_csv_number(f, bad(p, i) ? NAN : p->values[i], 0, (i + 1) % p->columns ? "," : "\n");
    return BRAGG_OK;
}

static bragg_status write_rings(const picture *p, bragg_fig *fig, bragg_error *err)
{
    FILE *f;
    bragg_status st = p->o->n_curves ? bragg_fig_table(fig, "curves", &f, err) : BRAGG_OK;
    if (st < 0 || !p->o->n_curves)
        return st;
    fprintf(f, "curve,column_px,row_px\n");
    for (size_t k = 0; k < p->o->n_curves; k++)
        for (size_t i = 0; i < p->o->curves[k].n; i++) {
            bragg_csv_text(f, p->o->curves[k].label ? p->o->curves[k].label : "", ",");
            bragg_csv_number(f, p->o->curves[k].x[i], 0, ",");
            bragg_csv_number(f, p->o->curves[k].y[i], 0, "\n");
        }
    return BRAGG_OK;
}

/* Height that lets the image fill the width of the page. */
static double natural_height_mm(const picture *p)
{
    const bragg_plot_page *page = &p->o->page;
    double em = (page->font_pt > 0 ? page->font_pt : page->width_mm <= 100 ? 7 : 8) * 25.4 / 72;
    double wide = page->width_mm - (LEFT_EM + RIGHT_EM) * em;
    double tall = wide * (double)p->rows / (double)p->columns + (BOTTOM_EM + (page->title ? 2.3 : 0.6)) * em;
    return fmin(fmax(tall, 25), 2 * page->width_mm);
}

bragg_status bragg_plot_frame(const double *values, const bool *mask, size_t rows, size_t columns,
                              const bragg_plot_frame_options *options, const char *path, bragg_error *err)
{
    static const bragg_plot_frame_options usual = BRAGG_PLOT_FRAME_OPTIONS_INIT;
    picture p = { .values = values, .mask = mask, .rows = rows, .columns = columns, .o = options ? options : &usual };
    bragg_fig *fig;
    if (!values || !rows || !columns || rows > 100000 || columns > 100000)
        return bragg_fail(err, BRAGG_EINVAL, "image: expected 1 to 100000 rows and columns, found %zu x %zu", rows, columns);
    p.colours = (bragg_fig_colours){ .scale = p.o->scale, .low = p.o->low, .high = p.o->high };
    bragg_status st = bragg_fig_colour_range(&p.colours, values, mask, rows * columns, err);
    if (st == BRAGG_OK)
        st = bragg_fig_open(path, &p.o->page, natural_height_mm(&p), &fig, err);
    if (st < 0)
        return st;
    st = draw(&p, fig, err);
    if (st == BRAGG_OK)
        st = write_image(&p, fig, err);
    if (st == BRAGG_OK)
        st = write_rings(&p, fig, err);
    return bragg_fig_close(fig, st, err);
}
