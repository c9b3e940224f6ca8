/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Rietveld plot: observed, calculated, difference, a row of ticks a phase. */
#include "config.h"
#include "figure.h"

#include <bragg/number.h>
#include <string.h>

/* What is drawn: the window, in the units of the axis shown. */
typedef struct view {
    const bragg_plot_fit *fit;
    const bragg_plot_rietveld_options *o;
    bragg_axis axis;
    size_t n;
    double *x, *observed, *calculated, *background, *difference;
    double low, high;              /* of x */
    double room, strip;            /* left of the frame; height of the ticks */
    bool names_outside;
    bragg_fig_panel main, ticks, rest;
} view;

static const bragg_fig_rgb OBSERVED = { 0, 0, 0 };
#define CALCULATED bragg_fig_okabe_ito(1)
#define BACKGROUND bragg_fig_okabe_ito(2)

static double shown(const view *v, double x)
{
    if (v->o->convert)
        x = bragg_axis_convert(x, v->fit->axis, v->axis, v->fit->wavelength_ang);
    return x / bragg_axis_factor(v->axis);
}

static bool in_window(const view *v, double x)
{
    return !(x < v->o->x_min) && !(x > v->o->x_max);
}

static bragg_status check(const bragg_plot_fit *fit, const bragg_plot_rietveld_options *o, bragg_error *err)
{
    if (!fit->n || !fit->x || !fit->observed || !fit->calculated)
        return bragg_fail(err, BRAGG_EDATA, "Rietveld plot: expected observed and calculated points, found none");
    if (o->weighted && !fit->sigma)
        return bragg_fail(err, BRAGG_EINVAL, "Rietveld plot: a weighted difference needs uncertainties, found none");
    if (o->convert && o->axis != fit->axis
        && (fit->axis == BRAGG_AXIS_R || o->axis == BRAGG_AXIS_R
            || ((fit->axis == BRAGG_AXIS_TTH || o->axis == BRAGG_AXIS_TTH) && !(fit->wavelength_ang > 0))))
        return bragg_fail(err, BRAGG_EINVAL, "Rietveld plot: from %s to %s needs a wavelength, found %g",
                          bragg_axis_name(fit->axis), bragg_axis_name(o->axis), fit->wavelength_ang);
    return BRAGG_OK;
}

static double difference_at(const view *v, size_t i)
{
    double d = v->fit->observed[i] - v->fit->calculated[i];
    if (v->o->weighted)
        d = v->fit->sigma[i] > 0 ? d / v->fit->sigma[i] : NAN;
    return d;
}

static bragg_status fill(view *v, bragg_fig *fig, bragg_error *err)
{
    const bragg_plot_fit *f = v->fit;
    double **columns[] = { &v->x, &v->observed, &v->calculated, &v->background, &v->difference };
    for (size_t k = 0; k < 5; k++)
        if (!(*columns[k] = bragg_fig_doubles(fig, f->n)))
            return bragg_fig_nomem(err);
    v->low = INFINITY, v->high = -INFINITY;
    bool any = false;
    for (size_t i = 0; i < f->n; i++) {
        double x = shown(v, f->x[i]);
        if (!in_window(v, f->x[i]) || !isfinite(x))
            continue;
        v->x[v->n] = x;
        v->observed[v->n] = f->observed[i];
        v->calculated[v->n] = f->calculated[i];
        v->background[v->n] = f->background ? f->background[i] : NAN;
        v->difference[v->n++] = difference_at(v, i);
        v->low = fmin(v->low, x), v->high = fmax(v->high, x);
        any |= isfinite(f->observed[i]);
    }
    if (!any)
        return bragg_fail(err, BRAGG_EDATA, "Rietveld plot: expected a finite observed point in the range shown, found none in %zu",
                          f->n);
    return BRAGG_OK;
}

static void widen(bragg_fig_axis *a, const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]) && (a->scale != BRAGG_PLOT_LOG || v[i] > 0)) {
            a->min = fmin(a->min, v[i]);
            a->max = fmax(a->max, v[i]);
        }
}

static bragg_status intensity_range(view *v, bragg_error *err)
{
    bragg_fig_axis *y = &v->main.y;
    y->scale = v->o->scale;
    y->min = INFINITY, y->max = -INFINITY;
    widen(y, v->observed, v->n);
    double floor = y->min;
    widen(y, v->calculated, v->n);
    if (!(y->max >= y->min))
        return bragg_fail(err, BRAGG_EDATA, "Rietveld plot: a logarithmic intensity needs positive points, found none");
    /* a model that falls to nothing must not stretch a logarithm */
    if (y->scale == BRAGG_PLOT_LOG)
        y->min = fmax(y->min, 0.3 * floor);
    if (y->scale != BRAGG_PLOT_LOG && y->min > 0 && y->min < 0.35 * y->max)
        y->min = 0;
    bragg_fig_pad(y, 0.02, 0.04);
    y->label = v->o->y_label ? v->o->y_label : "Intensity";
    y->unit = v->o->y_label ? NULL : "counts";
    return BRAGG_OK;
}

static void difference_range(view *v)
{
    bragg_fig_axis *y = &v->rest.y;
    y->min = y->max = 0;
    widen(y, v->difference, v->n);
    bragg_fig_pad(y, 0.08, 0.08);
    y->label = v->o->weighted ? "Δ/<i>σ</i>" : "Δ";
    y->tight = y->short_numbers = true;
}

static double widest_name(const view *v, bragg_fig *fig)
{
    double most = 0, w, h;
    for (size_t k = 0; k < v->fit->n_phases; k++) {
        bragg_fig_measure(fig, 1, bragg_fig_formula(fig, v->fit->phases[k].name), &w, &h);
        most = fmax(most, w);
    }
    return most;
}

/* From top to bottom: main, ticks, difference.  The left margin takes the
 * names of the phases if they fit in a fifth of the page. */
static void lay_out(view *v, bragg_fig *fig)
{
    double em = fig->em, bottom = fig->height - 3.5 * em, tall = bottom - fig->top, names = widest_name(v, fig) + 0.8 * em;
    v->strip = v->fit->n_phases ? (1.35 * (double)v->fit->n_phases + 0.2) * em : 0;
    v->strip = fmin(v->strip, 0.5 * tall);
    double rest = fmax(0.2 * tall, 3 * em), edge = bottom - rest - v->strip;
    v->main.y.from = edge, v->main.y.to = fig->top;
    v->ticks.y.from = bottom - rest, v->ticks.y.to = edge;
    v->rest.y.from = bottom, v->rest.y.to = bottom - rest;
    bragg_fig_ticks(fig, &v->main.y, true);
    bragg_fig_ticks(fig, &v->rest.y, true);
    double labels = fmax(bragg_fig_tick_width(fig, &v->main.y), bragg_fig_tick_width(fig, &v->rest.y));
    v->room = labels + 2.4 * em;
    v->names_outside = v->fit->n_phases && names <= fmax(0.2 * fig->width, v->room);
    double left = fmax(v->room + 0.3 * em, v->names_outside ? names + 0.3 * em : 0);
    v->main.x = bragg_fig_abscissa_axis(v->axis);
    v->main.x.min = v->low, v->main.x.max = v->high;
    v->main.x.from = left, v->main.x.to = fig->width - 1.3 * em;
    if (v->low == v->high)
        bragg_fig_pad(&v->main.x, 0, 0);
    bragg_fig_ticks(fig, &v->main.x, false);
    v->ticks.x = v->rest.x = v->main.x;
    v->main.x.bare = v->ticks.x.bare = true;
}

/* As many digits as a reader compares. */
static void result_text(const view *v, char *text, size_t size)
{
    const bragg_plot_rietveld_options *o = v->o;
    char rwp[40] = "", gof[40] = "";
    bragg_fig_fixed(rwp, sizeof rwp, o->rwp_percent, 2);
    bragg_fig_fixed(gof, sizeof gof, o->gof, 2);
    bool has_rwp = isfinite(o->rwp_percent), has_gof = isfinite(o->gof);
    snprintf(text, size, "%s%s%s%s%s%s", has_rwp ? "<i>R</i><sub>wp</sub> = " : "", has_rwp ? rwp : "", has_rwp ? " %" : "",
             has_rwp && has_gof ? ", " : "", has_gof ? "GOF = " : "", has_gof ? gof : "");
}

enum { MAX_ENTRIES = 32, TEXT = 128 };

static size_t entries(const view *v, bragg_fig *fig, bragg_fig_entry *e)
{
    size_t n = 0;
    char *result = bragg_arena_alloc(fig->arena, TEXT, 1), *wave = bragg_arena_alloc(fig->arena, TEXT, 1);
    e[n++] = (bragg_fig_entry){ FIG_DOT, OBSERVED, "observed", 0 };
    e[n++] = (bragg_fig_entry){ FIG_LINE, CALCULATED, "calculated", 0 };
    if (v->fit->background)
        e[n++] = (bragg_fig_entry){ FIG_LINE, BACKGROUND, "background", 0 };
    for (size_t k = 0; k < v->fit->n_phases && !v->names_outside && n < MAX_ENTRIES - 3; k++)
        e[n++] = (bragg_fig_entry){ FIG_TICK, bragg_fig_okabe_ito(k), bragg_fig_formula(fig, v->fit->phases[k].name), 0 };
    if (result)
        result_text(v, result, TEXT);
    if (result && *result)
        e[n++] = (bragg_fig_entry){ FIG_NONE, OBSERVED, result, 0 };
    if (wave && v->fit->wavelength_ang > 0) {
        char number[BRAGG_NUMBER_TEXT];
        snprintf(wave, TEXT, "<i>λ</i> = %s Å", bragg_number_print_digits(number, v->fit->wavelength_ang, 6));
        e[n++] = (bragg_fig_entry){ FIG_NONE, OBSERVED, wave, 0 };
    }
    if (v->o->note)
        e[n++] = (bragg_fig_entry){ FIG_NONE, OBSERVED, v->o->note, 0 };
    return n;
}

static double dot_size(const bragg_fig *fig, size_t n)
{
    double least = 0.15 * fig->em, most = 0.26 * fig->em;
    return n > 4000 ? least : n < 800 ? most : 0.2 * fig->em;
}

static bragg_status draw_data(const view *v, bragg_fig *fig, const bragg_fig_panel *p, bragg_error *err)
{
    bragg_fig_clip(fig, p);
    if (v->fit->background)
        bragg_fig_line(fig, p, v->x, v->background, v->n, BACKGROUND, 0.6);
    bragg_status st = bragg_fig_dots(fig, p, v->x, v->observed, v->n, OBSERVED, dot_size(fig, v->n));
    bragg_fig_line(fig, p, v->x, v->calculated, v->n, CALCULATED, 0.6);
    bragg_fig_unclip(fig);
    return st < 0 ? bragg_fig_nomem(err) : st;
}

/* The part again, stretched to its own highest point, over white. */
static bragg_status draw_inset(view *v, bragg_fig *fig, double left, double width, double height, bragg_error *err)
{
    double em = fig->em, a = shown(v, v->o->inset_min), b = shown(v, v->o->inset_max);
    bragg_fig_panel p = v->main;
    p.x.min = fmin(a, b), p.x.max = fmax(a, b);
    p.y.min = INFINITY, p.y.max = -INFINITY;
    for (size_t i = 0; i < v->n; i++)
        if (bragg_fig_inside(&p.x, v->x[i])) {
            widen(&p.y, v->observed + i, 1);
            widen(&p.y, v->calculated + i, 1);
        }
    if (!(p.y.max >= p.y.min))
        return bragg_fail(err, BRAGG_EINVAL, "inset: expected points from %g to %g, found none", a, b);
    bragg_fig_pad(&p.y, 0.04, 0.06);
    p.y.label = NULL, p.x.label = NULL, p.x.bare = false;
    p.y.from = fig->top + 0.5 * em + height - 1.8 * em, p.y.to = fig->top + 0.7 * em;
    bragg_fig_ticks(fig, &p.y, true);
    double labels = bragg_fig_tick_width(fig, &p.y) + 0.9 * em;
    if (p.y.exponent) /* there is no name to carry the power: leave the numbers out */
        p.y.bare = true, labels = 0.4 * em;
    p.x.from = left + labels, p.x.to = left + width - 0.8 * em;
    bragg_fig_ticks(fig, &p.x, false);
    cairo_rectangle(fig->cr, left, fig->top + 0.3, width, height);
    cairo_set_source_rgb(fig->cr, 1, 1, 1);
    cairo_fill(fig->cr);
    bragg_status st = draw_data(v, fig, &p, err);
    bragg_fig_frame(fig, &p);
    bragg_fig_draw_axis(fig, &p.x, FIG_BOTTOM, p.y.from, 0);
    bragg_fig_draw_axis(fig, &p.y, FIG_LEFT, p.x.from, 0);
    return st;
}

static bragg_status draw_main(view *v, bragg_fig *fig, bragg_error *err)
{
    bragg_fig_entry e[MAX_ENTRIES];
    size_t n = v->o->no_legend ? 0 : entries(v, fig, e);
    double width, height, left = 0, inset[2] = { 0, 0 };
    bool zoom = v->o->inset_max > v->o->inset_min;
    double w = 0.46 * (v->main.x.to - v->main.x.from), h = 0.5 * (v->main.y.from - v->main.y.to);
    if (zoom) {
        inset[0] = bragg_fig_place(fig, &v->main, v->x, v->observed, v->n, w, h, 1.3, NULL);
        inset[1] = inset[0] + w;
    }
    bragg_fig_legend_size(fig, e, n, &width, &height);
    if (n)
        left = bragg_fig_place(fig, &v->main, v->x, v->observed, v->n, width, height, 1.8, zoom ? inset : NULL);
    bragg_fig_ticks(fig, &v->main.y, true);
    bragg_status st = draw_data(v, fig, &v->main, err);
    bragg_fig_legend(fig, e, n, left, fig->top + 0.5 * fig->em);
    if (st == BRAGG_OK && zoom)
        st = draw_inset(v, fig, inset[0], w, h, err);
    return st;
}

static void draw_row(const view *v, bragg_fig *fig, size_t k)
{
    const bragg_plot_phase *phase = &v->fit->phases[k];
    double step = v->strip / (double)v->fit->n_phases, y = v->ticks.y.to + ((double)k + 0.5) * step;
    double half = fmin(0.42 * fig->em, 0.36 * step);
    for (size_t i = 0; i < phase->n; i++) {
        double x = shown(v, phase->x[i]);
        if (!bragg_fig_inside(&v->ticks.x, x) || !isfinite(x))
            continue;
        double at = bragg_fig_at(&v->ticks.x, x);
        cairo_move_to(fig->cr, at, y - half);
        cairo_line_to(fig->cr, at, y + half);
    }
    bragg_fig_colour(fig, bragg_fig_okabe_ito(k));
    cairo_set_line_width(fig->cr, 0.5);
    cairo_stroke(fig->cr);
    if (v->names_outside)
        bragg_fig_text(fig, v->ticks.x.from - 0.5 * fig->em, y, 1, 0.5, 0, 1, bragg_fig_formula(fig, phase->name));
}

static void draw_difference(const view *v, bragg_fig *fig)
{
    const bragg_fig_panel *p = &v->rest;
    double zero = bragg_fig_at(&p->y, 0);
    bragg_fig_clip(fig, p);
    if (v->o->weighted) { /* where a correct model stays, but for 3 points in 1000 */
        double up = bragg_fig_at(&p->y, 3), down = bragg_fig_at(&p->y, -3);
        cairo_rectangle(fig->cr, p->x.from, up, p->x.to - p->x.from, down - up);
        cairo_set_source_rgb(fig->cr, 0.9, 0.9, 0.9);
        cairo_fill(fig->cr);
    }
    bragg_fig_segment(fig, p->x.from, zero, p->x.to, zero, bragg_fig_grey, 0.4);
    bragg_fig_line(fig, p, v->x, v->difference, v->n, bragg_fig_okabe_ito(0), 0.5);
    bragg_fig_unclip(fig);
}

static void draw_frames(const view *v, bragg_fig *fig)
{
    bragg_fig_frame(fig, &v->main);
    if (v->strip > 0)
        bragg_fig_frame(fig, &v->ticks);
    bragg_fig_frame(fig, &v->rest);
    bragg_fig_draw_axis(fig, &v->main.y, FIG_LEFT, v->main.x.from, v->room);
    bragg_fig_draw_axis(fig, &v->rest.y, FIG_LEFT, v->rest.x.from, v->room);
    bragg_fig_draw_axis(fig, &v->rest.x, FIG_BOTTOM, v->rest.y.from, 0);
}

static bragg_status draw(view *v, bragg_fig *fig, bragg_error *err)
{
    bragg_status st = fill(v, fig, err);
    if (st == BRAGG_OK)
        st = intensity_range(v, err);
    if (st < 0)
        return st;
    difference_range(v);
    lay_out(v, fig);
    st = draw_main(v, fig, err);
    for (size_t k = 0; k < v->fit->n_phases; k++)
        draw_row(v, fig, k);
    draw_difference(v, fig);
    draw_frames(v, fig);
    return st;
}

static bragg_status write_profile(const bragg_plot_fit *f, bragg_fig *fig, bragg_error *err)
{
    FILE *out;
    bragg_status st = bragg_fig_table(fig, NULL, &out, err);
    if (st < 0)
        return st;
    fprintf(out, "%s,observed,calculated%s,difference%s\n", bragg_axis_name(f->axis), f->background ? ",background" : "",
            f->sigma ? ",sigma,difference_over_sigma" : "");
    for (size_t i = 0; i < f->n; i++) {
        double d = f->observed[i] - f->calculated[i];
        bragg_fig_abscissa(out, f->x[i], f->axis, ",");
        bragg_csv_number(out, f->observed[i], 0, ",");
        bragg_csv_number(out, f->calculated[i], 0, ",");
        if (f->background)
            bragg_csv_number(out, f->background[i], 0, ",");
        bragg_csv_number(out, d, 0, f->sigma ? "," : "\n");
        if (f->sigma) {
            bragg_csv_number(out, f->sigma[i], 0, ",");
            bragg_csv_number(out, f->sigma[i] > 0 ? d / f->sigma[i] : NAN, 0, "\n");
        }
    }
    return BRAGG_OK;
}

static bragg_status write_reflections(const bragg_plot_fit *f, bragg_fig *fig, bragg_error *err)
{
    FILE *out;
    bragg_status st = f->n_phases ? bragg_fig_table(fig, "reflections", &out, err) : BRAGG_OK;
    if (st < 0 || !f->n_phases)
        return st;
    fprintf(out, "phase,%s\n", bragg_axis_name(f->axis));
    for (size_t k = 0; k < f->n_phases; k++)
        for (size_t i = 0; i < f->phases[k].n; i++) {
            bragg_csv_text(out, f->phases[k].name, ",");
            bragg_fig_abscissa(out, f->phases[k].x[i], f->axis, "\n");
        }
    return BRAGG_OK;
}

bragg_status bragg_plot_rietveld(const bragg_plot_fit *fit, const bragg_plot_rietveld_options *options, const char *path,
                                 bragg_error *err)
{
    static const bragg_plot_rietveld_options usual = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
    view v = { .fit = fit, .o = options ? options : &usual };
    bragg_fig *fig;
    double width = v.o->page.width_mm, height = (width <= 120 ? 0.75 : 0.57) * width + 3.5 * (double)fit->n_phases;
    bragg_status st = check(fit, v.o, err);
    if (st == BRAGG_OK)
        st = bragg_fig_open(path, &v.o->page, height, &fig, err);
    if (st < 0)
        return st;
    v.axis = v.o->convert ? v.o->axis : fit->axis;
    st = draw(&v, fig, err);
    if (st == BRAGG_OK)
        st = write_profile(fit, fig, err);
    if (st == BRAGG_OK)
        st = write_reflections(fit, fig, err);
    return bragg_fig_close(fig, st, err);
}
