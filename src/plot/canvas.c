/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The page: Cairo surfaces written whole, text by Pango, axes with round numbers. */
#include "config.h"
#include "canvas.h"

#include <bragg/number.h>
#include <bragg/path.h>
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <errno.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <string.h>

static const double point_per_mm = 72 / 25.4, png_dots_per_inch = 300;

/* ------------------------------------------------------------------ page */

static cairo_status_t write_bytes(void *closure, const unsigned char *data, unsigned length)
{
    return fwrite(data, 1, length, closure) == length ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static cairo_surface_t *make_surface(canvas *c)
{
    FILE *to = bragg_output_stream(c->out);
    double zoom = png_dots_per_inch / 72;
    if (c->kind == CANVAS_SVG)
        return cairo_svg_surface_create_for_stream(write_bytes, to, c->width, c->height);
    if (c->kind == CANVAS_PNG)
        return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)lrint(c->width * zoom), (int)lrint(c->height * zoom));
    cairo_surface_t *s = cairo_pdf_surface_create_for_stream(write_bytes, to, c->width, c->height);
    /* the same numbers make the same bytes */
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATE_DATE, "2000-01-01T00:00:00");
    return s;
}

bragg_status bragg_canvas_open(canvas *c, const char *path, double width_mm, double height_mm, bool force, bragg_error *err)
{
    const char *extension = bragg_path_extension(path);
    *c = (canvas){ .width = width_mm * point_per_mm, .height = height_mm * point_per_mm };
    if (!(width_mm >= 30 && width_mm <= 2000 && height_mm >= 20 && height_mm <= 2000))
        return bragg_fail(err, BRAGG_EINVAL, "figure: expected 30 to 2000 mm, got %g x %g", width_mm, height_mm);
    if (strcasecmp(extension, ".svg") && strcasecmp(extension, ".pdf") && strcasecmp(extension, ".png"))
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected a figure's extension .svg, .pdf or .png, found '%s'", path, extension);
    c->kind = !strcasecmp(extension, ".svg") ? CANVAS_SVG : !strcasecmp(extension, ".pdf") ? CANVAS_PDF : CANVAS_PNG;
    bragg_status st = bragg_output_open(path, force, &c->out, err);
    if (st < 0)
        return st;
    c->surface = make_surface(c);
    c->cr = cairo_create(c->surface);
    if (cairo_status(c->cr) != CAIRO_STATUS_SUCCESS) {
        st = bragg_fail(err, BRAGG_ENOMEM, "%s: %s", path, cairo_status_to_string(cairo_status(c->cr)));
        return bragg_canvas_close(c, st, err);
    }
    if (c->kind == CANVAS_PNG)
        cairo_scale(c->cr, png_dots_per_inch / 72, png_dots_per_inch / 72);
    cairo_set_source_rgb(c->cr, 1, 1, 1);
    cairo_paint(c->cr);
    cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
    return BRAGG_OK;
}

bragg_status bragg_canvas_close(canvas *c, bragg_status status, bragg_error *err)
{
    cairo_status_t drawn = CAIRO_STATUS_SUCCESS;
    if (c->cr) {
        if (status >= 0 && c->kind == CANVAS_PNG)
            drawn = cairo_surface_write_to_png_stream(c->surface, write_bytes, bragg_output_stream(c->out));
        cairo_destroy(c->cr);
        cairo_surface_finish(c->surface);
        if (drawn == CAIRO_STATUS_SUCCESS)
            drawn = cairo_surface_status(c->surface);
        cairo_surface_destroy(c->surface);
    }
    if (status >= 0 && drawn != CAIRO_STATUS_SUCCESS && drawn != CAIRO_STATUS_SURFACE_FINISHED)
        status = bragg_fail(err, BRAGG_EIO, "figure: %s", cairo_status_to_string(drawn));
    if (status >= 0)
        return bragg_output_commit(c->out, err);
    bragg_output_abandon(c->out);
    return status;
}

/* ------------------------------------------------------------------ text */

static PangoLayout *layout_of(canvas *c, double size, const char *markup)
{
    PangoLayout *layout = pango_cairo_create_layout(c->cr);
    PangoFontDescription *font = pango_font_description_from_string("DejaVu Sans, Helvetica, Arial, sans-serif");
    pango_font_description_set_size(font, (int)lrint(size * PANGO_SCALE));
    pango_cairo_context_set_resolution(pango_layout_get_context(layout), 72); /* a point is a unit */
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    /* a name from a file may hold a stray < or & */
    if (pango_parse_markup(markup, -1, 0, NULL, NULL, NULL, NULL))
        pango_layout_set_markup(layout, markup, -1);
    else
        pango_layout_set_text(layout, markup, -1);
    return layout;
}

double bragg_canvas_text_width(canvas *c, double size, const char *markup)
{
    PangoLayout *layout = layout_of(c, size, markup);
    int w, h;
    pango_layout_get_size(layout, &w, &h);
    g_object_unref(layout);
    return (double)w / PANGO_SCALE;
}

void bragg_canvas_text(canvas *c, double x, double y, int align, double vertical, double size, bool upright, const char *markup)
{
    PangoLayout *layout = layout_of(c, size, markup);
    int w, h;
    pango_layout_get_size(layout, &w, &h);
    double wide = (double)w / PANGO_SCALE, tall = (double)h / PANGO_SCALE;
    cairo_save(c->cr);
    cairo_translate(c->cr, x, y);
    if (upright)
        cairo_rotate(c->cr, -M_PI / 2);
    cairo_move_to(c->cr, -wide * align / 2, -tall * vertical);
    pango_cairo_show_layout(c->cr, layout);
    cairo_restore(c->cr);
    g_object_unref(layout);
}

void bragg_canvas_colour(canvas *c, colour k) { cairo_set_source_rgb(c->cr, k.r, k.g, k.b); }

/* ------------------------------------------------------------------ axes */

static double scaled(bragg_plot_scale s, double y)
{
    if (s == BRAGG_PLOT_SQRT)
        return y > 0 ? sqrt(y) : -sqrt(-y);
    return s == BRAGG_PLOT_LOG ? log10(fmax(y, 1e-300)) : y;
}

double bragg_panel_x(const panel *p, double x) { return p->left + p->width * (x - p->x0) / (p->x1 - p->x0); }

double bragg_panel_y(const panel *p, double y)
{
    double a = scaled(p->scale, p->y0), b = scaled(p->scale, p->y1);
    return p->top + p->height * (1 - (scaled(p->scale, y) - a) / (b - a));
}

size_t bragg_plot_tick_values(double low, double high, int wanted, double *out, size_t room)
{
    if (!(high > low) || !isfinite(low) || !isfinite(high) || wanted < 1)
        return 0;
    double raw = (high - low) / wanted, power = pow(10, floor(log10(raw))), f = raw / power;
    double step = (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10) * power;
    size_t n = 0;
    for (double k = ceil(low / step - 1e-9); k * step <= high + 1e-9 * step && n < room; k++)
        out[n++] = k * step;
    return n;
}

static void number_text(double v, double step, char *text, size_t size)
{
    int digits = step > 0 ? (int)fmax(0, -floor(log10(step) + 1e-9)) : 0;
    if (fabs(v) >= 1e6 || (v != 0 && fabs(v) < 1e-4)) {
        int e = (int)floor(log10(fabs(v)) + 1e-12);
        double m = v / pow(10, e);
        snprintf(text, size, fabs(m - rint(m)) < 1e-6 ? "%.0f×10<span size=\"5500\" rise=\"3000\">%d</span>" : "%.1f×10<span size=\"5500\" rise=\"3000\">%d</span>", m, e);
    } else {
        snprintf(text, size, "%.*f", digits, v == 0 ? 0 : v);
    }
    if (*text == '-') { /* a true minus is as wide as a digit */
        char rest[64];
        snprintf(rest, sizeof rest, "%s", text + 1);
        snprintf(text, size, "−%.56s", rest);
    }
}

static void x_axis(canvas *c, const panel *p, bool numbers)
{
    double v[40];
    char text[64];
    size_t n = bragg_plot_tick_values(p->x0, p->x1, (int)fmax(3, p->width / 55), v, 40);
    double step = n > 1 ? v[1] - v[0] : 0, bottom = p->top + p->height;
    for (size_t k = 0; k < n; k++) {
        double x = bragg_panel_x(p, v[k]);
        cairo_move_to(c->cr, x, bottom);
        cairo_line_to(c->cr, x, bottom - 4);
        cairo_stroke(c->cr);
        number_text(v[k], step, text, sizeof text);
        if (numbers)
            bragg_canvas_text(c, x, bottom + 3, CANVAS_CENTRE, 0, 8, false, text);
    }
    for (double x = n ? v[0] - step : 1; n > 1 && x <= p->x1; x += step / 5)
        if (x >= p->x0) {
            cairo_move_to(c->cr, bragg_panel_x(p, x), bottom);
            cairo_line_to(c->cr, bragg_panel_x(p, x), bottom - 2);
            cairo_stroke(c->cr);
        }
}

static size_t y_values(const panel *p, double *v, size_t room)
{
    if (p->scale != BRAGG_PLOT_LOG)
        return bragg_plot_tick_values(p->y0, p->y1, (int)fmax(2, p->height / 32), v, room);
    size_t n = 0;
    for (double e = ceil(log10(fmax(p->y0, 1e-300)) - 1e-9); e <= log10(p->y1) + 1e-9 && n < room; e++)
        v[n++] = pow(10, e);
    return n;
}

static void y_axis(canvas *c, const panel *p, bool numbers)
{
    double v[40];
    char text[64];
    size_t n = y_values(p, v, 40);
    double step = n > 1 ? v[1] - v[0] : 0;
    for (size_t k = 0; k < n; k++) {
        double y = bragg_panel_y(p, v[k]);
        cairo_move_to(c->cr, p->left, y);
        cairo_line_to(c->cr, p->left + 4, y);
        cairo_stroke(c->cr);
        number_text(v[k], p->scale == BRAGG_PLOT_LOG ? v[k] : step, text, sizeof text);
        if (numbers)
            bragg_canvas_text(c, p->left - 3, y, CANVAS_RIGHT, 0.5, 8, false, text);
    }
}

void bragg_panel_axes(canvas *c, const panel *p, const char *x_label, const char *y_label, bool x_numbers, bool y_numbers)
{
    bragg_canvas_colour(c, (colour){ 0, 0, 0 });
    cairo_set_line_width(c->cr, 0.7);
    x_axis(c, p, x_numbers);
    y_axis(c, p, y_numbers);
    cairo_rectangle(c->cr, p->left, p->top, p->width, p->height);
    cairo_stroke(c->cr);
    if (x_label)
        bragg_canvas_text(c, p->left + p->width / 2, p->top + p->height + 15, CANVAS_CENTRE, 0, 9.5, false, x_label);
    if (y_label)
        bragg_canvas_text(c, p->left - 46, p->top + p->height / 2, CANVAS_CENTRE, 0, 9.5, true, y_label);
}

/* ------------------------------------------------------------------ data */

static void clip_to(canvas *c, const panel *p)
{
    cairo_save(c->cr);
    cairo_rectangle(c->cr, p->left, p->top, p->width, p->height);
    cairo_clip(c->cr);
}

void bragg_panel_line(canvas *c, const panel *p, const double *x, const double *y, size_t n, colour k, double width)
{
    clip_to(c, p);
    bragg_canvas_colour(c, k);
    cairo_set_line_width(c->cr, width);
    bool pen = false;
    for (size_t i = 0; i < n;) {
        double column = floor(10 * bragg_panel_x(p, x[i])), low = INFINITY, high = -INFINITY, first = NAN, last = NAN;
        size_t j = i;
        for (; j < n && floor(10 * bragg_panel_x(p, x[j])) == column; j++) {
            double v = bragg_panel_y(p, y[j]);
            if (!isfinite(v)) {
                pen = false;
                continue;
            }
            first = isnan(first) ? v : first;
            last = v;
            low = fmin(low, v);
            high = fmax(high, v);
        }
        double px = j - i == 1 ? bragg_panel_x(p, x[i]) : (column + 0.5) / 10;
        const double path[4] = { first, low, high, last };
        for (int m = 0; m < 4 && isfinite(first); m++) {
            if (m && path[m] == path[m - 1])
                continue;
            if (pen)
                cairo_line_to(c->cr, px, path[m]);
            else
                cairo_move_to(c->cr, px, path[m]);
            pen = true;
        }
        i = j;
    }
    cairo_stroke(c->cr);
    cairo_restore(c->cr);
}

void bragg_panel_dots(canvas *c, const panel *p, const double *x, const double *y, size_t n, colour k, double radius)
{
    double last_x = -1e9, last_y = -1e9;
    clip_to(c, p);
    bragg_canvas_colour(c, k);
    cairo_set_line_width(c->cr, 2 * radius);
    cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_ROUND);
    for (size_t i = 0; i < n; i++) {
        double px = bragg_panel_x(p, x[i]), py = bragg_panel_y(p, y[i]);
        if (!isfinite(py) || hypot(px - last_x, py - last_y) < 0.35 * radius) /* hidden by its neighbour */
            continue;
        cairo_move_to(c->cr, px, py);
        cairo_close_path(c->cr);
        last_x = px;
        last_y = py;
    }
    cairo_stroke(c->cr);
    cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_BUTT);
    cairo_restore(c->cr);
}
