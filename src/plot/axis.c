/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Axes: from values to places on the page, and round numbers to write there. */
#include "config.h"
#include "figure.h"

#include <stdlib.h>
#include <string.h>

double bragg_fig_scaled(bragg_plot_scale scale, double v)
{
    if (scale == BRAGG_PLOT_LOG)
        return v > 0 ? log10(v) : NAN;
    return scale == BRAGG_PLOT_SQRT ? copysign(sqrt(fabs(v)), v) : v;
}

double bragg_fig_unscaled(bragg_plot_scale scale, double u)
{
    return scale == BRAGG_PLOT_LOG ? pow(10, u) : scale == BRAGG_PLOT_SQRT ? copysign(u * u, u) : u;
}

double bragg_fig_at(const bragg_fig_axis *a, double v)
{
    double low = bragg_fig_scaled(a->scale, a->min), high = bragg_fig_scaled(a->scale, a->max);
    return a->from + (a->to - a->from) * (bragg_fig_scaled(a->scale, v) - low) / (high - low);
}

bool bragg_fig_inside(const bragg_fig_axis *a, double v)
{
    double slack = 1e-9 * fabs(a->max - a->min);
    return v >= fmin(a->min, a->max) - slack && v <= fmax(a->min, a->max) + slack;
}

/* Widen the range of the data by fractions of its length on the page. */
void bragg_fig_pad(bragg_fig_axis *a, double low, double high)
{
    if (!(a->max > a->min)) { /* one value: give it room */
        double v = a->min, d = v != 0 ? 0.1 * fabs(v) : 1;
        a->min = v - (a->scale == BRAGG_PLOT_LOG ? 0.5 * fabs(v) : d);
        a->max = v + (a->scale == BRAGG_PLOT_LOG ? fabs(v) : d);
    }
    double u = bragg_fig_scaled(a->scale, a->min), w = bragg_fig_scaled(a->scale, a->max), d = w - u;
    a->min = bragg_fig_unscaled(a->scale, u - low * d);
    a->max = bragg_fig_unscaled(a->scale, w + high * d);
}

typedef struct choice {
    double score, first, step;
    size_t n;
} choice;

/* Talbot, Lin & Hanrahan, IEEE Trans. Vis. Comput. Graph. 16 (2010) 1036:
 * simplicity, coverage and density of labels, weighed 0.25 : 0.2 : 0.5.  Here
 * labels lie within the data's range (the axis ends where the data do), steps
 * are 1, 2, 5 and 2.5 times a power of ten only, and there is no skipping. */
static void weigh(double min, double max, double wanted, double step, double simple, choice *best)
{
    double slack = 1e-9 * (max - min);
    double first = ceil((min - slack) / step) * step, last = floor((max + slack) / step) * step;
    double n = floor((last - first) / step + 0.5) + 1;
    if (!(n >= 1 && n < FIG_TICKS))
        return;
    double d = max - min, over = max - last, under = first - min;
    double cover = 1 - 0.5 * (over * over + under * under) / (0.04 * d * d);
    double rate = (n - 1) / (last - first), want = (wanted - 1) / d;
    double dense = n < 2 ? 0 : 2 - fmax(rate / want, want / rate) - (n < 3 && wanted > 2.5 ? 0.4 : 0);
    bool zero = min <= 0 && max >= 0;
    double score = 0.25 * (simple + (zero ? 1 : 0)) + 0.2 * fmax(cover, -1) + 0.5 * dense - (n < 2 ? 5 : 0);
    if (score > best->score)
        *best = (choice){ score, first, step, (size_t)n };
}

size_t bragg_fig_nice(double min, double max, double wanted, double *first, double *step)
{
    static const double round[] = { 1, 5, 2, 2.5 }, simple[] = { 1, 0.8, 0.7, -0.6 };
    choice best = { -INFINITY, min, max - min, 0 };
    if (!(max > min) || !isfinite(max - min))
        return 0;
    int power = (int)floor(log10((max - min) / fmax(wanted, 1)));
    for (int p = power - 1; p <= power + 1; p++)
        for (int q = 0; q < 4; q++)
            weigh(min, max, fmax(wanted, 2), round[q] * pow(10, p), simple[q], &best);
    *first = best.first;
    *step = best.step;
    return best.n;
}

static bool may_tick(const bragg_fig_axis *a, double v)
{
    return bragg_fig_inside(a, v) && !(a->share && (v < -1e-9 || v > 100 + 1e-7));
}

static void add_minor(bragg_fig_axis *a, double v)
{
    if (a->n_minor < FIG_MINOR && may_tick(a, v))
        a->minor[a->n_minor++] = v;
}

static bool add_major(bragg_fig_axis *a, double v)
{
    if (a->n_major >= FIG_TICKS || !may_tick(a, v))
        return false;
    a->major[a->n_major++] = v;
    return true;
}

/* Fewest decimals that write every tick exactly, after a power of ten that
 * keeps numbers short: it goes to the name of the axis. */
static void choose_digits(bragg_fig_axis *a)
{
    double top = 0;
    for (size_t i = 0; i < a->n_major; i++)
        top = fmax(top, fabs(a->major[i]));
    a->exponent = 0;
    if (top >= (a->short_numbers ? 0.99999e4 : 0.99999e5) || (top > 0 && top < 1.5e-3))
        a->exponent = 3 * (int)floor(log10(top) / 3 + 1e-9);
    for (a->decimals = 0; a->decimals < 12; a->decimals++) {
        bool exact = true;
        for (size_t i = 0; i < a->n_major; i++) {
            double v = a->major[i] / pow(10, a->exponent) * pow(10, a->decimals);
            exact &= fabs(v - round(v)) < 1e-4;
        }
        if (exact)
            break;
    }
}

static void linear_ticks(bragg_fig_axis *a, double wanted, double edge)
{
    double first, step, low = fmin(a->min, a->max), high = fmax(a->min, a->max), inset = edge * (high - low);
    low += inset, high -= inset;
    size_t n = bragg_fig_nice(low, high, wanted, &first, &step);
    if (a->whole && n && step < 1) {
        step = 1;
        first = ceil(low - 1e-9);
        n = (size_t)(floor(high + 1e-9) - first + 1);
    }
    for (size_t i = 0; i < n; i++) {
        double v = first + (double)i * step;
        add_major(a, fabs(v) < 1e-9 * step ? 0 : v);
    }
    double mantissa = step / pow(10, floor(log10(step) + 1e-9));
    int parts = mantissa < 1.5 ? 5 : mantissa < 2.2 ? 4 : 5;
    if (a->whole && step < parts)
        return;
    for (long k = -4 * parts; n && k <= (long)(n + 3) * parts; k++) /* beyond the ends too, edge */
        if (k % parts)
            add_minor(a, first + (double)k * step / parts);
    choose_digits(a);
}

/* Decades, every second or third where they are many; within two decades 2 and
 * 5 are written too. */
static void log_ticks(bragg_fig_axis *a, double wanted)
{
    double low = log10(fmin(a->min, a->max)), high = log10(fmax(a->min, a->max));
    int first = (int)floor(low), last = (int)ceil(high), every = (int)ceil((high - low) / fmax(wanted, 1));
    if (high - low < 0.7) {
        linear_ticks(a, wanted, 0);
        return;
    }
    every = every < 1 ? 1 : every;
    bool between = high - low <= 2 && wanted > 2;
    for (int e = first; e <= last; e++)
        for (int k = 1; k < 10; k++) {
            double v = k * pow(10, e);
            bool major = k == 1 ? e % every == 0 : between && (k == 2 || k == 5);
            if (major)
                add_major(a, v);
            else if (every == 1 || k == 1)
                add_minor(a, v);
        }
    a->powers = !between && (last >= 4 || first <= -3);
    if (!a->powers)
        choose_digits(a);
}

static bool clear_of(const bragg_fig_axis *a, double v, double gap)
{
    for (size_t i = 0; i < a->n_major; i++)
        if (fabs(bragg_fig_at(a, v) - bragg_fig_at(a, a->major[i])) < gap)
            return false;
    return true;
}

/* On a square root axis even steps crowd at zero.  Take the roundest numbers
 * first, and each further one where it stands clear of those taken. */
static void sqrt_ticks(bragg_fig_axis *a, double gap)
{
    static const double mantissa[] = { 1, 5, 2, 3, 4, 7, 8, 6, 9, 1.5, 2.5 };
    double top = fmax(fabs(a->min), fabs(a->max));
    int power = (int)floor(log10(top));
    if (bragg_fig_inside(a, 0))
        add_major(a, 0);
    for (size_t m = 0; m < sizeof mantissa / sizeof *mantissa; m++)
        for (int e = power; e >= power - 3; e--)
            for (int sign = 1; sign >= -1; sign -= 2) {
                double v = sign * mantissa[m] * pow(10, e);
                if (bragg_fig_inside(a, v) && clear_of(a, v, m < 1 ? gap : 1.3 * gap))
                    add_major(a, v);
            }
    for (int e = power; e >= power - 1; e--)
        for (int k = 1; k < 10; k++) {
            add_minor(a, k * pow(10, e));
            add_minor(a, -k * pow(10, e));
        }
    choose_digits(a);
}

static void choose_ticks(bragg_fig *fig, bragg_fig_axis *a, bool upright, double wanted)
{
    double length = fabs(a->to - a->from), gap = (upright ? 2.2 : 3.6) * fig->em;
    a->n_major = a->n_minor = 0;
    a->powers = false;
    a->exponent = a->decimals = 0;
    if (a->scale == BRAGG_PLOT_LOG)
        log_ticks(a, fmin(wanted, length / gap));
    else if (a->scale == BRAGG_PLOT_SQRT)
        sqrt_ticks(a, gap);
    else
        linear_ticks(a, wanted, a->tight ? fmin(0.65 * fig->em / length, 0.2) : 0);
}

/* Do two labels of a level axis come nearer than a blank? */
static bool crowded(bragg_fig *fig, const bragg_fig_axis *a)
{
    double most = bragg_fig_tick_width(fig, a) + 0.7 * fig->em;
    for (size_t i = 0; i < a->n_major; i++)
        for (size_t j = 0; j < i; j++)
            if (fabs(bragg_fig_at(a, a->major[i]) - bragg_fig_at(a, a->major[j])) < most)
                return true;
    return false;
}

void bragg_fig_ticks(bragg_fig *fig, bragg_fig_axis *a, bool upright)
{
    double length = fabs(a->to - a->from);
    double wanted = a->scale == BRAGG_PLOT_LOG ? length / fig->em : fmin(1 + length / (upright ? 3.3 : 4.2) / fig->em, 12);
    a->n_major = a->n_minor = 0;
    if (!isfinite(a->min) || !isfinite(a->max) || a->min == a->max)
        return;
    choose_ticks(fig, a, upright, wanted);
    for (wanted *= 0.85; !upright && wanted > 1 && a->scale != BRAGG_PLOT_SQRT && crowded(fig, a); wanted *= 0.85)
        choose_ticks(fig, a, upright, wanted);
    if (!upright && a->n_major > 2 && crowded(fig, a)) { /* no room: the ends alone, or one */
        for (size_t i = 1; i + 1 < a->n_major; i++)
            add_minor(a, a->major[i]);
        a->major[1] = a->major[a->n_major - 1];
        a->n_major = 2;
    }
    if (!upright && a->n_major == 2 && crowded(fig, a))
        a->n_major = 1;
}

/* With the sign of typography and a point, whatever the locale. */
void bragg_fig_fixed(char *text, size_t size, double v, int decimals)
{
    snprintf(text, size, "%s%.*f", v < 0 ? "−" : "", decimals, fabs(v));
    for (char *p = text; *p; p++)
        *p = *p == ',' ? '.' : *p;
}

void bragg_fig_tick_text(const bragg_fig_axis *a, double v, char *text, size_t size)
{
    if (a->powers) {
        int e = (int)lround(log10(v));
        snprintf(text, size, "10<sup>%s%d</sup>", e < 0 ? "−" : "", e < 0 ? -e : e);
        return;
    }
    double w = v / pow(10, a->exponent);
    bragg_fig_fixed(text, size, w, a->decimals);
}

double bragg_fig_tick_width(bragg_fig *fig, const bragg_fig_axis *a)
{
    double most = 0, width, height;
    char text[64];
    for (size_t i = 0; i < a->n_major; i++) {
        bragg_fig_tick_text(a, a->major[i], text, sizeof text);
        bragg_fig_measure(fig, 1, text, &width, &height);
        most = fmax(most, width);
    }
    return most;
}

/* "Intensity (10³ counts)"; a label that brings its own unit gets the power there. */
static void axis_name(const bragg_fig_axis *a, char *text, size_t size)
{
    const char *unit = a->unit ? a->unit : "";
    char power[48] = "";
    if (a->exponent)
        snprintf(power, sizeof power, "10<sup>%s%d</sup>%s", a->exponent < 0 ? "−" : "", abs(a->exponent),
                 *unit ? " " : "");
    const char *open = a->exponent && !*unit ? strrchr(a->label, '(') : NULL;
    if (open && a->label[strlen(a->label) - 1] == ')')
        snprintf(text, size, "%.*s%s %s", (int)(open + 1 - a->label), a->label, power, open + 1);
    else if (*power || *unit)
        snprintf(text, size, "%s (%s%s)", a->label, power, unit);
    else
        snprintf(text, size, "%s", a->label);
}

static void draw_marks(bragg_fig *fig, const bragg_fig_axis *a, const double *at, size_t n, bragg_fig_side side, double across,
                       double length)
{
    bool flat = side == FIG_BOTTOM || side == FIG_TOP;
    double out = side == FIG_BOTTOM || side == FIG_RIGHT ? length : -length;
    for (size_t i = 0; i < n; i++) {
        double p = bragg_fig_at(a, at[i]);
        cairo_move_to(fig->cr, flat ? p : across, flat ? across : p);
        cairo_line_to(fig->cr, flat ? p : across + out, flat ? across + out : p);
    }
}

static void draw_labels(bragg_fig *fig, const bragg_fig_axis *a, bragg_fig_side side, double across)
{
    double gap = 0.65 * fig->em;
    char text[64];
    for (size_t i = 0; i < a->n_major; i++) {
        double p = bragg_fig_at(a, a->major[i]);
        if (a->tight && fmin(fabs(p - a->from), fabs(p - a->to)) < 0.6 * fig->em)
            continue;
        bragg_fig_tick_text(a, a->major[i], text, sizeof text);
        switch (side) {
        case FIG_BOTTOM: bragg_fig_text(fig, p, across + 0.5 * fig->em, 0.5, 0, 0, 1, text); break;
        case FIG_TOP: bragg_fig_text(fig, p, across - 0.5 * fig->em, 0.5, 1, 0, 1, text); break;
        case FIG_LEFT: bragg_fig_text(fig, across - gap, p, 1, 0.5, 0, 1, text); break;
        case FIG_RIGHT: bragg_fig_text(fig, across + gap, p, 0, 0.5, 0, 1, text); break;
        }
    }
}

/* A name longer than its axis would run into that of the panel above or below. */
static double shrunk(bragg_fig *fig, const char *text, double length)
{
    double width, height;
    bragg_fig_measure(fig, 1.1, text, &width, &height);
    return width > length ? fmax(length / width, 0.6) : 1;
}

/* room: how far from the axis its name stands, upright axes only. */
void bragg_fig_draw_axis(bragg_fig *fig, const bragg_fig_axis *a, bragg_fig_side side, double across, double room)
{
    double middle = (a->from + a->to) / 2;
    char text[256];
    draw_marks(fig, a, a->major, a->n_major, side, across, 0.4 * fig->em);
    draw_marks(fig, a, a->minor, a->n_minor, side, across, 0.22 * fig->em);
    bragg_fig_colour(fig, fig->ink);
    cairo_set_line_width(fig->cr, 0.5);
    cairo_stroke(fig->cr);
    if (a->bare)
        return;
    draw_labels(fig, a, side, across);
    if (!a->label)
        return;
    axis_name(a, text, sizeof text);
    if (side == FIG_BOTTOM || side == FIG_TOP) { /* a long name must not leave the page */
        double width, height;
        bragg_fig_measure(fig, 1.1, text, &width, &height);
        middle = fmax(fmin(middle, fig->width - width / 2 - 0.3 * fig->em), width / 2 + 0.3 * fig->em);
    }
    double size = 1.1 * (side == FIG_LEFT || side == FIG_RIGHT ? shrunk(fig, text, fabs(a->to - a->from)) : 1);
    switch (side) {
    case FIG_BOTTOM: bragg_fig_text(fig, middle, across + 1.75 * fig->em, 0.5, 0, 0, 1.1, text); break;
    case FIG_TOP: bragg_fig_text(fig, middle, across - 1.75 * fig->em, 0.5, 1, 0, 1.1, text); break;
    case FIG_LEFT: bragg_fig_text(fig, across - room, middle, 0.5, 0, 90, size, text); break;
    case FIG_RIGHT: bragg_fig_text(fig, across + room, middle, 0.5, 1, 90, size, text); break;
    }
}
