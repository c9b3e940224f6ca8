/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Colour maps, images and colour bars. */
#include "config.h"
#include "figure.h"

#include <bragg/array.h>
#include <stdlib.h>
#include <string.h>

/* Oklab to linear sRGB: B. Ottosson, "A perceptual color space for image
 * processing" (2020), bottosson.github.io/posts/oklab. */
static void oklab_to_linear(double L, double a, double b, double rgb[3])
{
    double l = L + 0.3963377774 * a + 0.2158037573 * b, m = L - 0.1055613458 * a - 0.0638541728 * b,
           s = L - 0.0894841775 * a - 1.2914855480 * b;
    l *= l * l, m *= m * m, s *= s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

/* The curve of sRGB, IEC 61966-2-1. */
static double companded(double v)
{
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

/* Colour of lightness L and hue, as vivid as asked or as sRGB can. */
static bragg_fig_rgb lch(double L, double chroma, double hue_deg)
{
    double rgb[3], h = hue_deg * BRAGG_DEG, least = 0, most = chroma;
    for (int k = 0; k < 30; k++) { /* the first try is the colour asked for */
        double c = k ? (least + most) / 2 : chroma;
        oklab_to_linear(L, c * cos(h), c * sin(h), rgb);
        bool shown = fmin(rgb[0], fmin(rgb[1], rgb[2])) >= -1e-6 && fmax(rgb[0], fmax(rgb[1], rgb[2])) <= 1.000001;
        if (shown && !k)
            break;
        *(shown ? &least : &most) = c;
    }
    return (bragg_fig_rgb){ companded(rgb[0]), companded(rgb[1]), companded(rgb[2]) };
}

/* Even steps of Oklab lightness, so that equal steps of intensity look equal
 * and print well in grey: violet, blue, green, yellow; for differences blue,
 * white, red, with t = 0.5 white. */
bragg_fig_rgb bragg_fig_map(bool diverging, double t)
{
    t = !(t > 0) ? 0 : t > 1 ? 1 : t;
    if (diverging) {
        double s = fabs(2 * t - 1);
        return lch(0.98 - 0.55 * s, 0.19 * pow(s, 0.8), t < 0.5 ? 258 : 28);
    }
    double chroma = 0.099 + 0.16 * (t > 0.5 ? t - 0.5 : 0) * (t > 0.5 ? t - 0.5 : 0); /* in sRGB all along */
    return lch(0.20 + 0.74 * t, chroma, 303 - 195 * pow(t, 1.15));
}

/* A sample of the values that may be shown, sorted. */
static size_t sample(const bragg_fig_colours *c, const double *v, const bool *mask, size_t n, double *out, size_t room)
{
    size_t every = (n + room - 1) / room, m = 0;
    for (size_t i = 0; i < n && every && m < room; i += every)
        if (!(mask && mask[i]) && isfinite(v[i]) && (c->scale != BRAGG_PLOT_LOG || v[i] > 0))
            out[m++] = v[i];
    qsort(out, m, sizeof *out, bragg_array_by_value);
    return m;
}

static unsigned packed(bragg_fig_rgb c)
{
    return (unsigned)lround(255 * c.r) << 16 | (unsigned)lround(255 * c.g) << 8 | (unsigned)lround(255 * c.b);
}

static void fill_table(bragg_fig_colours *c)
{
    size_t n = sizeof c->table / sizeof *c->table;
    for (size_t i = 0; i < n; i++)
        c->table[i] = packed(bragg_fig_map(c->diverging, (double)i / (double)(n - 1)));
}

static bool usable(const bragg_fig_colours *c)
{
    return c->high > c->low && (c->scale != BRAGG_PLOT_LOG || c->low > 0);
}

/* Ends of the colours, where the caller gave none: hot pixels and the darkest
 * half per cent do not count. */
bragg_status bragg_fig_colour_range(bragg_fig_colours *c, const double *v, const bool *mask, size_t n, bragg_error *err)
{
    double *s = malloc(FIG_SAMPLE * sizeof *s);
    if (!s)
        return bragg_fig_nomem(err);
    size_t m = sample(c, v, mask, n, s, FIG_SAMPLE);
    bool low = isnan(c->low), high = isnan(c->high);
    if (m && low)
        c->low = s[m / 200];
    if (m && high)
        c->high = s[m - 1 - m / 500];
    if (m && c->diverging && low && high)
        c->low = -(c->high = fmax(fabs(c->low), fabs(c->high)));
    if (m && !usable(c) && low && high) { /* nearly all alike */
        c->low = s[0];
        c->high = s[m - 1] > s[0] ? s[m - 1] : s[0] + fmax(fabs(s[0]), 1);
    }
    free(s);
    fill_table(c);
    if (!m)
        return bragg_fail(err, BRAGG_EDATA, "image: expected at least one %s value, found none in %zu",
                          c->scale == BRAGG_PLOT_LOG ? "positive" : "finite", n);
    if (!usable(c))
        return bragg_fail(err, BRAGG_EINVAL, "colours: expected low < high%s, found %g and %g",
                          c->scale == BRAGG_PLOT_LOG ? " and both positive" : "", c->low, c->high);
    return BRAGG_OK;
}

unsigned bragg_fig_pixel(const bragg_fig_colours *c, double v)
{
    enum { LAST = sizeof c->table / sizeof *c->table - 1 };
    double low = bragg_fig_scaled(c->scale, c->low), high = bragg_fig_scaled(c->scale, c->high);
    double u = bragg_fig_scaled(c->scale, v);
    double t = (u - low) / (high - low);
    return c->table[!(t > 0) ? 0 : t >= 1 ? LAST : (size_t)(t * LAST + 0.5)];
}

/* Pixels 0xRRGGBB, row 0 on top, stretched over the panel. */
bragg_status bragg_fig_image(bragg_fig *fig, const bragg_fig_panel *p, const unsigned *pixels, int width, int height,
                             bragg_error *err)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    if (cairo_surface_status(s) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(s);
        return bragg_fig_nomem(err);
    }
    for (int r = 0; r < height; r++)
        memcpy(cairo_image_surface_get_data(s) + (size_t)r * (size_t)cairo_image_surface_get_stride(s),
               pixels + (size_t)r * (size_t)width, (size_t)width * sizeof *pixels);
    cairo_surface_mark_dirty(s);
    cairo_save(fig->cr);
    cairo_rectangle(fig->cr, p->x.from, p->y.to, p->x.to - p->x.from, p->y.from - p->y.to);
    cairo_clip(fig->cr);
    cairo_translate(fig->cr, p->x.from, p->y.to);
    cairo_scale(fig->cr, (p->x.to - p->x.from) / width, (p->y.from - p->y.to) / height);
    cairo_set_source_surface(fig->cr, s, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(fig->cr), CAIRO_FILTER_NEAREST);
    cairo_paint(fig->cr);
    cairo_restore(fig->cr);
    cairo_surface_destroy(s);
    return BRAGG_OK;
}

/* The bar is steps of colour, not a gradient, so that it is the map itself. */
void bragg_fig_bar(bragg_fig *fig, const bragg_fig_colours *c, const char *label, bragg_fig_side side, double x0, double y0,
                   double x1, double y1)
{
    enum { STEPS = 128 };
    bool flat = side == FIG_TOP || side == FIG_BOTTOM;
    unsigned pixels[STEPS];
    for (int k = 0; k < STEPS; k++)
        pixels[flat ? k : STEPS - 1 - k] = packed(bragg_fig_map(c->diverging, (k + 0.5) / STEPS));
    bragg_fig_panel p = { .x = { .from = x0, .to = x1, .min = 0, .max = 1 }, .y = { .from = y1, .to = y0, .min = 0, .max = 1 } };
    bragg_fig_image(fig, &p, pixels, flat ? STEPS : 1, flat ? 1 : STEPS, NULL);
    bragg_fig_frame(fig, &p);
    bragg_fig_axis a = { .scale = c->scale, .min = c->low, .max = c->high, .label = label };
    a.from = flat ? x0 : y1;
    a.to = flat ? x1 : y0;
    bragg_fig_ticks(fig, &a, !flat);
    double room = flat ? 0 : bragg_fig_tick_width(fig, &a) + 2.4 * fig->em;
    bragg_fig_draw_axis(fig, &a, side, side == FIG_TOP ? y0 : side == FIG_BOTTOM ? y1 : side == FIG_LEFT ? x0 : x1, room);
}
