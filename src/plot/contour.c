/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The in situ map: intensity over time, beside it voltage or temperature and
 * the phases.
 *
 *      [ colour bar       ]            temperature
 *      +------------------+ | | | +---------------+
 *      | time             | | | | | curves        |
 *      +------------------+ | | | +---------------+
 *        abscissa          phases     voltage
 */
#include "config.h"
#include "figure.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 16 };

typedef struct chart {
    const bragg_plot_map *map;
    const bragg_plot_contour_options *o;
    bragg_fig_colours colours;
    double unit_s;                  /* seconds in the unit of the ordinate */
    double *lower, *upper;          /* a frame's part of the ordinate */
    double *x;                      /* as shown */
    size_t first, last;             /* points of the window, last excluded */
    const char *names[MAX_COLUMNS]; /* of phases, a column each */
    size_t n_names;
    bragg_fig_panel panel, side;
    double strip_from, strip_to, room;
} chart;

static bragg_status check_steps(const double *v, size_t n, const char *what, bragg_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]) || (i && !(v[i] > v[i - 1])))
            return bragg_fail(err, BRAGG_EDATA, "map: %s %zu: expected finite and increasing, found %g after %g", what, i + 1,
                              v[i], i ? v[i - 1] : NAN);
    return BRAGG_OK;
}

static bragg_status check(const bragg_plot_map *m, bragg_error *err)
{
    if (!m->n || !m->frames || !m->x || !m->time_s || !(m->intensity || m->frame))
        return bragg_fail(err, BRAGG_EDATA, "map: expected frames with points, found %zu frames of %zu", m->frames, m->n);
    if (m->n_curves > 2)
        return bragg_fail(err, BRAGG_EINVAL, "map: expected at most 2 curves beside it, found %zu", m->n_curves);
    bragg_status st = check_steps(m->x, m->n, "point", err);
    return st == BRAGG_OK ? check_steps(m->time_s, m->frames, "time", err) : st;
}

static const double *frame_of(const bragg_plot_map *m, size_t frame, double *room)
{
    return m->intensity ? m->intensity + frame * m->n : m->frame(m->payload, frame, room);
}

/* A step is a gap where it is much longer than the steps around it: a series
 * may be fast in one part and slow in another. */
static double usual_step(const chart *c, size_t i)
{
    const double *t = c->map->time_s;
    double before = i ? t[i] - t[i - 1] : 0, after = i + 2 < c->map->frames ? t[i + 2] - t[i + 1] : 0;
    if (c->o->exposure_s > 0)
        return c->o->exposure_s;
    return fmax(before, after) > 0 ? fmax(before, after) : t[i + 1] - t[i];
}

static void frame_limits(chart *c)
{
    const double *t = c->map->time_s;
    size_t n = c->map->frames;
    double lone = c->o->exposure_s > 0 ? c->o->exposure_s : 1;
    for (size_t i = 0; i + 1 < n; i++) {
        double step = t[i + 1] - t[i], usual = usual_step(c, i);
        bool gap = step > 2.5 * usual;
        c->upper[i] = gap ? t[i] + usual / 2 : t[i] + step / 2;
        c->lower[i + 1] = gap ? t[i + 1] - usual / 2 : t[i + 1] - step / 2;
    }
    c->lower[0] = n > 1 ? 2 * t[0] - c->upper[0] : t[0] - lone / 2;
    c->upper[n - 1] = n > 1 ? 2 * t[n - 1] - c->lower[n - 1] : t[0] + lone / 2;
    for (size_t i = 0; i < n; i++) {
        c->lower[i] /= c->unit_s;
        c->upper[i] /= c->unit_s;
    }
}

static const char *choose_unit(chart *c)
{
    double span = c->map->time_s[c->map->frames - 1] - c->map->time_s[0];
    c->unit_s = span > 3 * 3600 ? 3600 : span > 180 ? 60 : 1;
    return c->unit_s == 3600 ? "h" : c->unit_s == 60 ? "min" : "s";
}

static double upright(const chart *c, double t_s) { return t_s / c->unit_s; }

static bragg_status choose_window(chart *c, bragg_fig *fig, bragg_error *err)
{
    const bragg_plot_map *m = c->map;
    c->lower = bragg_fig_doubles(fig, m->frames);
    c->upper = bragg_fig_doubles(fig, m->frames);
    c->x = bragg_fig_doubles(fig, m->n);
    if (!c->lower || !c->upper || !c->x)
        return bragg_fig_nomem(err);
    for (c->first = 0; c->first < m->n && m->x[c->first] < c->o->x_min; c->first++)
        ;
    for (c->last = m->n; c->last > c->first && m->x[c->last - 1] > c->o->x_max; c->last--)
        ;
    if (c->first == c->last)
        return bragg_fail(err, BRAGG_EINVAL, "map: expected points in the range shown, found none");
    for (size_t i = 0; i < m->n; i++)
        c->x[i] = c->o->abscissa ? m->x[i] : m->x[i] / bragg_axis_factor(m->axis);
    return BRAGG_OK;
}

/* The ends of the colours follow what is shown. */
static bragg_status choose_colours(chart *c, bragg_error *err)
{
    const bragg_plot_map *m = c->map;
    size_t wide = c->last - c->first, every = (wide * m->frames + FIG_SAMPLE - 1) / FIG_SAMPLE, some = 0;
    double *shown = wide <= (size_t)-1 / 8 / m->frames ? malloc((FIG_SAMPLE + m->n) * sizeof *shown) : NULL; /* the sample that would be taken of all */
    if (!shown)
        return bragg_fig_nomem(err);
    for (size_t f = 0, i = 0; f < m->frames; f++) {
        const double *row = frame_of(m, f, shown + FIG_SAMPLE);
        for (; i < wide; i += every)
            shown[some++] = row[c->first + i];
        i -= wide;
    }
    c->colours = (bragg_fig_colours){ .scale = c->o->scale, .low = c->o->low, .high = c->o->high, .diverging = c->o->diverging };
    bragg_status st = bragg_fig_colour_range(&c->colours, shown, NULL, some, err);
    free(shown);
    return st;
}

static void name_columns(chart *c)
{
    for (size_t i = 0; i < c->map->n_spans; i++) {
        size_t k = 0;
        while (k < c->n_names && strcmp(c->names[k], c->map->spans[i].name))
            k++;
        if (k == c->n_names && k < MAX_COLUMNS)
            c->names[c->n_names++] = c->map->spans[i].name;
    }
}

static void lay_out(chart *c, bragg_fig *fig)
{
    double em = fig->em, top = fig->top + 4.7 * em, bottom = fig->height - 3.5 * em;
    bragg_fig_axis *y = &c->panel.y, *x = &c->panel.x;
    name_columns(c);
    bool plain = c->o->by_frame || c->o->ordinate;
    y->unit = plain ? NULL : choose_unit(c);
    y->label = c->o->ordinate ? c->o->ordinate : c->o->by_frame ? "Frame" : "Time";
    y->whole = c->o->by_frame;
    if (plain)
        c->unit_s = 1;
    frame_limits(c);
    y->min = c->lower[0], y->max = c->upper[c->map->frames - 1];
    y->from = bottom, y->to = top;
    bragg_fig_ticks(fig, y, true);
    c->room = bragg_fig_tick_width(fig, y) + 2.4 * em;
    double left = c->room + 0.3 * em, right = fig->width - 1.3 * em;
    double side = c->map->n_curves ? fmax(0.24 * (right - left), 8 * em) : 0;
    side = fmin(side, 0.4 * (right - left));
    double strip = c->n_names ? (double)c->n_names * 2.2 * em + 1.2 * em : 0;
    *x = bragg_fig_abscissa_axis(c->map->axis);
    if (c->o->abscissa)
        x->label = c->o->abscissa, x->unit = NULL;
    x->min = c->x[c->first], x->max = c->x[c->last - 1];
    if (x->min == x->max)
        bragg_fig_pad(x, 0, 0);
    x->from = left, x->to = right - side - strip - (side > 0 && strip == 0 ? 1.9 * em : 0);
    c->strip_from = x->to, c->strip_to = x->to + strip;
    c->side.x.from = right - side, c->side.x.to = right;
    c->side.y = *y;
    c->side.y.bare = true;
    bragg_fig_ticks(fig, x, false);
}

/* Mean of the points of a row that fall into a pixel; where points lie wider
 * than pixels the nearest one. */
static double pixel_mean(const chart *c, const double *row, double a, double b, size_t *from)
{
    size_t i = *from;
    while (i < c->last && c->x[i] < a)
        i++;
    *from = i;
    double sum = 0, n = 0, middle = (a + b) / 2;
    for (; i < c->last && c->x[i] < b; i++)
        if (isfinite(row[i]))
            sum += row[i], n++;
    if (n > 0)
        return sum / n;
    if (i > *from)
        return NAN;
    if (i == c->last || (i > c->first && middle - c->x[i - 1] < c->x[i] - middle))
        i--;
    return row[i];
}

/* Rows of frames become rows of pixels: the mean of the frames whose middles
 * fall into the row, else the frame that covers it, else a gap. */
typedef struct raster {
    int width, height;
    double *frame, *sum, *count, *room;
    unsigned *pixels;
} raster;

static void render_frame(const chart *c, raster *r, size_t frame)
{
    const double *row = frame_of(c->map, frame, r->room);
    double step = (c->panel.x.max - c->panel.x.min) / r->width;
    size_t from = c->first;
    for (int k = 0; k < r->width; k++) {
        double a = c->panel.x.min + k * step;
        r->frame[k] = pixel_mean(c, row, a, k + 1 == r->width ? INFINITY : a + step, &from);
    }
}

static void add_frame(raster *r)
{
    for (int k = 0; k < r->width; k++)
        if (isfinite(r->frame[k]))
            r->sum[k] += r->frame[k], r->count[k]++;
}

static void render_row(const chart *c, raster *r, int row, size_t *next, size_t *held)
{
    enum { GAP = 0xffffff };
    double step = (c->panel.y.max - c->panel.y.min) / r->height, a = c->panel.y.min + row * step, b = a + step;
    double middle = (a + b) / 2;
    memset(r->sum, 0, (size_t)r->width * sizeof *r->sum);
    memset(r->count, 0, (size_t)r->width * sizeof *r->count);
    while (*next + 1 < c->map->frames && c->upper[*next] <= middle)
        ++*next;
    size_t i = *next;
    bool covered = c->lower[i] <= middle && middle <= c->upper[i];
    for (size_t j = i; j-- > 0 && (c->lower[j] + c->upper[j]) / 2 >= a;) {
        render_frame(c, r, j);
        *held = j;
        add_frame(r);
    }
    for (size_t j = i + 1; j < c->map->frames && (c->lower[j] + c->upper[j]) / 2 < b; j++) {
        render_frame(c, r, j);
        *held = j;
        add_frame(r);
    }
    if (covered) {
        if (*held != i)
            render_frame(c, r, i);
        *held = i;
        add_frame(r);
    }
    unsigned *out = r->pixels + (size_t)(r->height - 1 - row) * (size_t)r->width;
    for (int k = 0; k < r->width; k++)
        out[k] = r->count[k] > 0 ? bragg_fig_pixel(&c->colours, r->sum[k] / r->count[k]) : GAP;
}

static bragg_status draw_map(const chart *c, bragg_fig *fig, bragg_error *err)
{
    double k = fmin(fig->dpi, 300) / 72, wide = c->panel.x.to - c->panel.x.from, tall = c->panel.y.from - c->panel.y.to;
    while (wide * tall * k * k > 1.2e6) /* a vector file stays small */
        k *= 0.95;
    raster r = { .width = (int)fmax(wide * k, 1), .height = (int)fmax(tall * k, 1) };
    r.frame = bragg_fig_doubles(fig, (size_t)r.width);
    r.sum = bragg_fig_doubles(fig, (size_t)r.width);
    r.count = bragg_fig_doubles(fig, (size_t)r.width);
    r.room = bragg_fig_doubles(fig, c->map->n);
    r.pixels = bragg_arena_alloc(fig->arena, (size_t)r.width * (size_t)r.height, sizeof *r.pixels);
    if (!r.frame || !r.sum || !r.count || !r.room || !r.pixels)
        return bragg_fig_nomem(err);
    size_t next = 0, held = (size_t)-1;
    for (int row = 0; row < r.height; row++)
        render_row(c, &r, row, &next, &held);
    return bragg_fig_image(fig, &c->panel, r.pixels, r.width, r.height, err);
}

static void draw_spans(const chart *c, bragg_fig *fig)
{
    double em = fig->em, wide = 0.75 * em;
    for (size_t i = 0; i < c->map->n_spans; i++) {
        const bragg_plot_span *s = c->map->spans + i;
        size_t k = 0;
        while (k < c->n_names && strcmp(c->names[k], s->name))
            k++;
        double low = fmax(upright(c, s->from_s), c->panel.y.min), high = fmin(upright(c, s->to_s), c->panel.y.max);
        if (k == c->n_names || !(high > low))
            continue;
        double left = c->strip_from + 0.5 * em + (double)k * 2.2 * em, y0 = bragg_fig_at(&c->panel.y, low),
               y1 = bragg_fig_at(&c->panel.y, high), w, h;
        cairo_rectangle(fig->cr, left, y1, wide, y0 - y1);
        bragg_fig_colour(fig, bragg_fig_okabe_ito(k));
        cairo_fill(fig->cr);
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first &= strcmp(c->map->spans[j].name, s->name) != 0;
        if (!first)
            continue;
        const char *text = bragg_fig_formula(fig, s->name);
        bragg_fig_measure(fig, 0.95, text, &w, &h);
        double middle = fmax(fmin((y0 + y1) / 2, c->panel.y.from - w / 2), c->panel.y.to + w / 2);
        bragg_fig_text(fig, left + wide + 0.1 * em, middle, 0.5, 0, 90, 0.95, text);
    }
}

static bragg_status draw_curve(chart *c, bragg_fig *fig, size_t k, bragg_error *err)
{
    const bragg_plot_curve *curve = c->map->curves + k;
    double *t = bragg_fig_doubles(fig, curve->n), zero = 0;
    bragg_fig_panel p = c->side;
    if (!t)
        return bragg_fig_nomem(err);
    p.x.min = INFINITY, p.x.max = -INFINITY;
    for (size_t i = 0; i < curve->n; i++) {
        t[i] = upright(c, curve->x[i]);
        if (isfinite(curve->y[i]) && bragg_fig_inside(&p.y, t[i]))
            p.x.min = fmin(p.x.min, curve->y[i]), p.x.max = fmax(p.x.max, curve->y[i]);
    }
    if (!(p.x.max >= p.x.min)) /* nothing in this time: an empty axis says so */
        p.x.min = zero, p.x.max = 1;
    bragg_fig_pad(&p.x, 0.08, 0.08);
    p.x.label = curve->label;
    bragg_fig_ticks(fig, &p.x, false);
    bragg_fig_clip(fig, &p);
    bragg_fig_line(fig, &p, curve->y, t, curve->n, bragg_fig_okabe_ito(k), 0.8);
    bragg_fig_unclip(fig);
    if (c->map->n_curves > 1) /* whose axis it is */
        fig->ink = bragg_fig_okabe_ito(k);
    bragg_fig_draw_axis(fig, &p.x, k ? FIG_TOP : FIG_BOTTOM, k ? p.y.to : p.y.from, 0);
    fig->ink = bragg_fig_black;
    return BRAGG_OK;
}

static void draw_marks(const chart *c, bragg_fig *fig)
{
    static const double dashes[] = { 3, 2 };
    cairo_set_dash(fig->cr, dashes, 2, 0);
    for (size_t i = 0; i < c->map->n_marks; i++) {
        double v = upright(c, c->map->marks_s[i]), y = bragg_fig_at(&c->panel.y, v);
        if (!bragg_fig_inside(&c->panel.y, v))
            continue;
        bragg_fig_segment(fig, c->panel.x.from, y, c->panel.x.to, y, (bragg_fig_rgb){ 1, 1, 1 }, 0.7);
        if (c->map->n_curves)
            bragg_fig_segment(fig, c->side.x.from, y, c->side.x.to, y, bragg_fig_grey, 0.5);
    }
    cairo_set_dash(fig->cr, NULL, 0, 0);
}

static bragg_status draw(chart *c, bragg_fig *fig, bragg_error *err)
{
    bragg_status st = choose_window(c, fig, err);
    if (st == BRAGG_OK)
        st = choose_colours(c, err);
    if (st < 0)
        return st;
    lay_out(c, fig);
    st = draw_map(c, fig, err);
    double bar = c->panel.y.to - 1.3 * fig->em;
    draw_spans(c, fig);
    draw_marks(c, fig);
    for (size_t k = 0; k < c->map->n_curves && st == BRAGG_OK; k++)
        st = draw_curve(c, fig, k, err);
    bragg_fig_bar(fig, &c->colours, c->o->z_label ? c->o->z_label : "Intensity", FIG_TOP, c->panel.x.from, bar, c->panel.x.to,
                  bar + 0.8 * fig->em);
    bragg_fig_frame(fig, &c->panel);
    bragg_fig_draw_axis(fig, &c->panel.x, FIG_BOTTOM, c->panel.y.from, 0);
    bragg_fig_draw_axis(fig, &c->panel.y, FIG_LEFT, c->panel.x.from, c->room);
    if (c->map->n_curves) {
        bragg_fig_frame(fig, &c->side);
        bragg_fig_draw_axis(fig, &c->side.y, FIG_LEFT, c->side.x.from, 0);
    }
    return st;
}

/* What the upright numbers are called in the tables. */
static const char *ordinate(const chart *c) { return c->o->by_frame ? "frame" : c->o->ordinate ? "ordinate" : "time_s"; }

static bragg_status write_map(const chart *c, bragg_fig *fig, bragg_error *err)
{
    const bragg_plot_map *m = c->map;
    FILE *f;
    bragg_status st = bragg_fig_table(fig, NULL, &f, err);
    double *room = bragg_fig_doubles(fig, m->n);
    if (st < 0 || !room)
        return st < 0 ? st : bragg_fig_nomem(err);
    fprintf(f, "%s/%s,", ordinate(c), c->o->abscissa ? "abscissa" : bragg_axis_name(m->axis));
    for (size_t i = 0; i < m->n; i++) {
        const char *end = i + 1 < m->n ? "," : "\n";
        if (c->o->abscissa)
            bragg_csv_number(f, m->x[i], 0, end);
        else
            bragg_fig_abscissa(f, m->x[i], m->axis, end);
    }
    for (size_t k = 0; k < m->frames; k++) {
        const double *row = frame_of(m, k, room);
        bragg_csv_number(f, m->time_s[k], 0, ",");
        for (size_t i = 0; i < m->n; i++)
            bragg_csv_number(f, row[i], 0, i + 1 < m->n ? "," : "\n");
    }
    return BRAGG_OK;
}

static bragg_status write_curves(const chart *c, bragg_fig *fig, bragg_error *err)
{
    const bragg_plot_map *m = c->map;
    FILE *f;
    bragg_status st = m->n_curves ? bragg_fig_table(fig, "curves", &f, err) : BRAGG_OK;
    if (st < 0 || !m->n_curves)
        return st;
    fprintf(f, "curve,%s,value\n", ordinate(c));
    for (size_t k = 0; k < m->n_curves; k++)
        for (size_t i = 0; i < m->curves[k].n; i++) {
            bragg_fig_label_field(f, m->curves[k].label, ",");
            bragg_csv_number(f, m->curves[k].x[i], 0, ",");
            bragg_csv_number(f, m->curves[k].y[i], 0, "\n");
        }
    return BRAGG_OK;
}

static bragg_status write_spans(const chart *c, bragg_fig *fig, bragg_error *err)
{
    const bragg_plot_map *m = c->map;
    const char *unit = c->o->by_frame ? "_frame" : c->o->ordinate ? "" : "_s";
    bool any = m->n_spans || m->n_marks;
    FILE *f;
    bragg_status st = any ? bragg_fig_table(fig, "spans", &f, err) : BRAGG_OK;
    if (st < 0 || !any)
        return st;
    fprintf(f, "name,from%s,to%s\n", unit, unit);
    for (size_t i = 0; i < m->n_spans; i++) {
        bragg_csv_text(f, m->spans[i].name, ",");
        bragg_csv_number(f, m->spans[i].from_s, 0, ",");
        bragg_csv_number(f, m->spans[i].to_s, 0, "\n");
    }
    for (size_t i = 0; i < m->n_marks; i++) {
        bragg_csv_text(f, "mark", ",");
        bragg_csv_number(f, m->marks_s[i], 0, ",");
        bragg_csv_number(f, m->marks_s[i], 0, "\n");
    }
    return BRAGG_OK;
}

bragg_status bragg_plot_contour(const bragg_plot_map *map, const bragg_plot_contour_options *options, const char *path,
                                bragg_error *err)
{
    static const bragg_plot_contour_options usual = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
    chart c = { .map = map, .o = options ? options : &usual };
    bragg_fig *fig;
    double width = c.o->page.width_mm;
    bragg_status st = check(map, err);
    if (st == BRAGG_OK)
        st = bragg_fig_open(path, &c.o->page, width <= 120 ? width : 0.62 * width, &fig, err);
    if (st < 0)
        return st;
    st = draw(&c, fig, err);
    if (st == BRAGG_OK)
        st = write_map(&c, fig, err);
    if (st == BRAGG_OK)
        st = write_curves(&c, fig, err);
    if (st == BRAGG_OK)
        st = write_spans(&c, fig, err);
    return bragg_fig_close(fig, st, err);
}
