/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One or several patterns, overlaid or above each other. */
#include "config.h"
#include "figure.h"

typedef struct bundle {
    const bragg_pattern *const *patterns;
    const char *const *labels;
    size_t n;
    const bragg_plot_patterns_options *o;
    bragg_axis axis;
    double **x, **y;       /* as drawn */
    double low, high, offset;
    bragg_fig_panel panel;
} bundle;

static bragg_status check(const bundle *b, bragg_error *err)
{
    if (!b->n)
        return bragg_fail(err, BRAGG_EINVAL, "patterns: expected at least one, found none");
    for (size_t k = 0; k < b->n; k++) {
        const bragg_pattern *p = b->patterns[k];
        bool any = false, angle = p->axis == BRAGG_AXIS_TTH || b->axis == BRAGG_AXIS_TTH;
        for (size_t i = 0; i < p->n; i++)
            any |= isfinite(p->x[i]) && isfinite(p->y[i]) && (b->o->scale != BRAGG_PLOT_LOG || p->y[i] > 0);
        if (!any)
            return bragg_fail(err, BRAGG_EDATA, "pattern %zu: expected a %s point, found none in %zu", k + 1,
                              b->o->scale == BRAGG_PLOT_LOG ? "positive" : "finite", p->n);
        if (p->axis != b->axis && (p->axis == BRAGG_AXIS_R || b->axis == BRAGG_AXIS_R || (angle && !(p->wavelength_ang > 0))))
            return bragg_fail(err, BRAGG_EINVAL, "pattern %zu: from %s to %s needs a wavelength, found %g", k + 1,
                              bragg_axis_name(p->axis), bragg_axis_name(b->axis), p->wavelength_ang);
    }
    return BRAGG_OK;
}

static double inside_x(const bundle *b, const bragg_pattern *p, size_t i)
{
    return p->axis == b->axis ? p->x[i] : bragg_axis_convert(p->x[i], p->axis, b->axis, p->wavelength_ang);
}

static bool in_window(const bundle *b, double x)
{
    return isfinite(x) && !(x < b->o->x_min) && !(x > b->o->x_max);
}

static bragg_status fill_one(bundle *b, bragg_fig *fig, size_t k, bragg_error *err)
{
    const bragg_pattern *p = b->patterns[k];
    double most = 0, factor = bragg_axis_factor(b->axis);
    b->x[k] = bragg_fig_doubles(fig, p->n);
    b->y[k] = bragg_fig_doubles(fig, p->n);
    if (!b->x[k] || !b->y[k])
        return bragg_fig_nomem(err);
    for (size_t i = 0; i < p->n; i++)
        if (in_window(b, inside_x(b, p, i)) && isfinite(p->y[i]))
            most = fmax(most, p->y[i]);
    for (size_t i = 0; i < p->n; i++) {
        double x = inside_x(b, p, i);
        b->x[k][i] = x / factor;
        b->y[k][i] = in_window(b, x) ? p->y[i] / (b->o->normalize && most > 0 ? most : 1) : NAN;
        if (in_window(b, x))
            b->low = fmin(b->low, x / factor), b->high = fmax(b->high, x / factor);
    }
    return BRAGG_OK;
}

static void add_range(const bundle *b, size_t k, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (size_t i = 0; i < b->patterns[k]->n; i++) {
        double v = b->y[k][i];
        if (isfinite(v) && (b->o->scale != BRAGG_PLOT_LOG || v > 0))
            *low = fmin(*low, v), *high = fmax(*high, v);
    }
}

/* Neighbours stand clear: the offset is the tallest of all, less a little
 * where there are many, for it is seldom that tall peaks meet. */
static void choose_offset(bundle *b)
{
    double most = 0, low, high;
    for (size_t k = 0; k < b->n; k++) {
        add_range(b, k, &low, &high);
        if (b->o->scale == BRAGG_PLOT_LOG)
            most = fmax(most, log10(high / low));
        else
            most = fmax(most, high - fmin(low, 0));
    }
    b->offset = isnan(b->o->offset) ? (b->n > 1 ? most * (b->n > 6 ? 0.5 : 1.03) : 0) : b->o->offset;
    if (!isfinite(b->offset))
        b->offset = 0;
    for (size_t k = 0; k < b->n; k++)
        for (size_t i = 0; i < b->patterns[k]->n; i++)
            b->y[k][i] = b->o->scale == BRAGG_PLOT_LOG ? b->y[k][i] * pow(10, b->offset * (double)k)
                                                       : b->y[k][i] + b->offset * (double)k;
}

static bragg_status fill(bundle *b, bragg_fig *fig, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    b->x = bragg_arena_alloc(fig->arena, b->n, sizeof *b->x);
    b->y = bragg_arena_alloc(fig->arena, b->n, sizeof *b->y);
    if (!b->x || !b->y)
        return bragg_fig_nomem(err);
    b->low = INFINITY, b->high = -INFINITY;
    for (size_t k = 0; k < b->n && st == BRAGG_OK; k++)
        st = fill_one(b, fig, k, err);
    if (st == BRAGG_OK && !(b->high >= b->low))
        st = bragg_fail(err, BRAGG_EINVAL, "patterns: expected points in the range shown, found none");
    return st;
}

static const char *label_of(const bundle *b, size_t k)
{
    return b->labels && b->labels[k] ? b->labels[k] : b->patterns[k]->title;
}

static double lay_out(bundle *b, bragg_fig *fig)
{
    bragg_fig_axis *y = &b->panel.y, *x = &b->panel.x;
    double low, high;
    y->scale = b->o->scale;
    y->min = INFINITY, y->max = -INFINITY;
    for (size_t k = 0; k < b->n; k++) {
        add_range(b, k, &low, &high);
        y->min = fmin(y->min, low), y->max = fmax(y->max, high);
    }
    if (y->scale != BRAGG_PLOT_LOG && y->min > 0 && y->min < 0.35 * y->max)
        y->min = 0;
    bragg_fig_pad(y, 0.02, b->offset > 0 ? 0.08 : 0.04);
    y->from = fig->height - 3.5 * fig->em, y->to = fig->top;
    bool stacked = b->offset != 0; /* the numbers mean nothing then */
    y->label = b->o->y_label ? b->o->y_label : b->o->normalize ? "Normalized intensity" : "Intensity";
    y->unit = b->o->y_label || b->o->normalize ? NULL : stacked ? "shifted" : "counts";
    bragg_fig_ticks(fig, y, true);
    if (stacked)
        y->n_major = y->n_minor = 0, y->exponent = 0;
    double room = bragg_fig_tick_width(fig, y) + (stacked ? 1.9 : 2.4) * fig->em;
    *x = bragg_fig_abscissa_axis(b->axis);
    x->min = b->low, x->max = b->high;
    x->from = room + 0.3 * fig->em, x->to = fig->width - 1.3 * fig->em;
    if (b->low == b->high)
        bragg_fig_pad(x, 0, 0);
    bragg_fig_ticks(fig, x, false);
    return room;
}

/* A label stands over the right end of its pattern, where powder patterns are low, and
 * behind it where the pattern ends long before the others. */
static void draw_labels(const bundle *b, bragg_fig *fig)
{
    const bragg_fig_panel *p = &b->panel;
    double width, height;
    for (size_t k = 0; k < b->n; k++) {
        double top = p->y.from, last = p->x.from, behind = p->y.from;
        if (!label_of(b, k))
            continue;
        const char *text = bragg_fig_formula(fig, label_of(b, k));
        bragg_fig_measure(fig, 1, text, &width, &height);
        for (size_t i = 0; i < b->patterns[k]->n; i++) {
            double x = bragg_fig_at(&p->x, b->x[k][i]), y = bragg_fig_at(&p->y, b->y[k][i]);
            if (x > p->x.to - width - fig->em && isfinite(y))
                top = fmin(top, y);
            if (isfinite(x) && isfinite(y) && x >= last)
                last = x, behind = y;
        }
        if (last < p->x.to - width - fig->em) {
            bragg_fig_text(fig, last + 0.5 * fig->em, behind, 0, 0.5, 0, 1, text);
            continue;
        }
        bragg_fig_text(fig, p->x.to - 0.5 * fig->em, fmax(top - 0.15 * fig->em, p->y.to + height), 1, 1, 0, 1, text);
    }
}

enum { MAX_ENTRIES = 24 };

static void draw_legend(bundle *b, bragg_fig *fig, bool measure, double *left)
{
    bragg_fig_entry e[MAX_ENTRIES];
    size_t n = 0;
    double width, height;
    for (size_t k = b->n; k-- > 0 && n < MAX_ENTRIES;)
        if (label_of(b, k))
            e[n++] = (bragg_fig_entry){ FIG_LINE, bragg_fig_okabe_ito(k), bragg_fig_formula(fig, label_of(b, k)), 0 };
    if (!n)
        return;
    bragg_fig_legend_size(fig, e, n, &width, &height);
    if (!measure) {
        bragg_fig_legend(fig, e, n, *left, fig->top + 0.5 * fig->em);
        return;
    }
    for (size_t k = 0; k < b->n; k++) /* the place for the last suits all: the ordinate only grows */
        *left = bragg_fig_place(fig, &b->panel, b->x[k], b->y[k], b->patterns[k]->n, width, height, 1.6, NULL);
}

static void draw(bundle *b, bragg_fig *fig)
{
    double room = lay_out(b, fig), left = 0;
    bool stacked = b->offset != 0;
    if (!stacked) {
        draw_legend(b, fig, true, &left);
        bragg_fig_ticks(fig, &b->panel.y, true);
    }
    bragg_fig_clip(fig, &b->panel);
    for (size_t k = b->n; k-- > 0;)
        bragg_fig_line(fig, &b->panel, b->x[k], b->y[k], b->patterns[k]->n, bragg_fig_okabe_ito(k), 0.6);
    bragg_fig_unclip(fig);
    if (stacked)
        draw_labels(b, fig);
    else
        draw_legend(b, fig, false, &left);
    bragg_fig_frame(fig, &b->panel);
    bragg_fig_draw_axis(fig, &b->panel.x, FIG_BOTTOM, b->panel.y.from, 0);
    bragg_fig_draw_axis(fig, &b->panel.y, FIG_LEFT, b->panel.x.from, room);
}

static bragg_status write_table(const bundle *b, bragg_fig *fig, bragg_error *err)
{
    FILE *f;
    bragg_status st = bragg_fig_table(fig, NULL, &f, err);
    if (st < 0)
        return st;
    fprintf(f, "pattern,%s,intensity,sigma\n", bragg_axis_name(b->axis));
    for (size_t k = 0; k < b->n; k++)
        for (size_t i = 0; i < b->patterns[k]->n; i++) {
            if (label_of(b, k))
                bragg_csv_text(f, label_of(b, k), ",");
            else
                fprintf(f, "%zu,", k + 1);
            bragg_fig_abscissa(f, inside_x(b, b->patterns[k], i), b->axis, ",");
            bragg_csv_number(f, b->patterns[k]->y[i], 0, ",");
            bragg_csv_number(f, b->patterns[k]->sigma ? b->patterns[k]->sigma[i] : NAN, 0, "\n");
        }
    return BRAGG_OK;
}

bragg_status bragg_plot_patterns(const bragg_pattern *const *patterns, const char *const *labels, size_t n,
                                 const bragg_plot_patterns_options *options, const char *path, bragg_error *err)
{
    static const bragg_plot_patterns_options usual = BRAGG_PLOT_PATTERNS_OPTIONS_INIT;
    bundle b = { .patterns = patterns, .labels = labels, .n = n, .o = options ? options : &usual };
    b.axis = n ? patterns[0]->axis : BRAGG_AXIS_TTH;
    bragg_fig *fig;
    double width = b.o->page.width_mm, more = n > 4 && b.o->offset != 0 ? 1.3 : 1;
    bragg_status st = check(&b, err);
    if (st == BRAGG_OK)
        st = bragg_fig_open(path, &b.o->page, (width <= 120 ? 0.72 * width : 0.55 * width) * more, &fig, err);
    if (st < 0)
        return st;
    st = fill(&b, fig, err);
    if (st == BRAGG_OK) {
        choose_offset(&b);
        draw(&b, fig);
        st = write_table(&b, fig, err);
    }
    return bragg_fig_close(fig, st, err);
}
