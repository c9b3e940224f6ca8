/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg plot: a frame, patterns or G(r) as a figure. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_CURVES = 12 };   /* more patterns than this are drawn as a map */

typedef struct wish {
    const char *out, *scale, *range, *unit, *title, *flip;
    double wavelength_ang, width_mm, offset;
    bool map, normalize, force;
    bragg_plot_scale how;
    bragg_axis axis;
    double first, last;      /* of the range, in the unit typed */
} wish;

static bragg_plot_page page_of(const wish *w)
{
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    page.width_mm = w->width_mm;
    page.title = w->title;
    page.force = w->force;
    return page;
}

/* ---------------------------------------------------------------- frame */

static bragg_status plot_frame(const wish *w, const char *path, bragg_error *err)
{
    bragg_frame *f = NULL;
    uint8_t *mask = NULL;
    bragg_status st = cli_frame_read(path, 0, w->flip, NULL, &f, err);
    if (st == BRAGG_OK)
        st = bragg_mask_read(NULL, 0, NULL, NULL, NULL, f, &mask, err);
    size_t n = st == BRAGG_OK ? f->width * f->height : 0;
    double *v = malloc((n + 1) * sizeof *v);
    bool *bad = malloc((n + 1) * sizeof *bad);
    if (st == BRAGG_OK && (!v || !bad))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a picture of %zu pixels", n);
    if (st == BRAGG_OK) {
        bragg_plot_frame_options o = BRAGG_PLOT_FRAME_OPTIONS_INIT;
        o.page = page_of(w);
        o.scale = w->scale ? w->how : BRAGG_PLOT_LOG;
        bragg_frame_doubles(f, 0, n, v);
        for (size_t i = 0; i < n; i++)
            bad[i] = mask[i];
        st = bragg_plot_frame(v, bad, f->height, f->width, &o, w->out, err);
    }
    free(v);
    free(bad);
    free(mask);
    bragg_frame_free(f);
    return st;
}

/* ----------------------------------------------------------------- G(r) */

static bool is_pdf(const char *path)
{
    return !strcasecmp(bragg_path_extension(path), ".gr");
}

/* One above the other, so that they stand clear unless --offset says how far. */
static void stack_pdfs(const wish *w, bragg_pdf_data **data, size_t n)
{
    double low = 0, high = 0;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < data[k]->n; i++) {
            low = fmin(low, data[k]->g[i]);
            high = fmax(high, data[k]->g[i]);
        }
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < data[k]->n; i++)
            data[k]->g[i] += (double)k * (isfinite(w->offset) ? w->offset : 0.7 * (high - low));
}

static bragg_status plot_pdfs(const wish *w, char **paths, size_t n, bragg_error *err)
{
    bragg_pdf_data **data = calloc(n, sizeof *data);
    bragg_plot_curve *curves = calloc(n, sizeof *curves);
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = data && curves && arena ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu curves", n);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        if ((st = bragg_pdf_data_read(paths[k], &data[k], err)) == BRAGG_OK)
            curves[k] = (bragg_plot_curve){ data[k]->n, data[k]->r, data[k]->g, NULL, bragg_path_stem(arena, paths[k]) };
    if (st == BRAGG_OK) {
        bragg_plot_series_options o = BRAGG_PLOT_SERIES_OPTIONS_INIT;
        bragg_plot_panel panel = BRAGG_PLOT_PANEL_INIT;
        stack_pdfs(w, data, n);
        panel.y_label = n > 1 && !(w->offset == 0) ? "<i>G</i>(<i>r</i>) (Å⁻²), shifted" : "<i>G</i>(<i>r</i>) (Å⁻²)";
        panel.n_curves = n;
        panel.curves = curves;
        o.page = page_of(w);
        o.x_label = "<i>r</i> (Å)";
        o.x_min = w->first;
        o.x_max = w->last;
        st = bragg_plot_series(&panel, 1, &o, w->out, err);
    }
    for (size_t k = 0; data && k < n; k++)
        bragg_pdf_data_free(data[k]);
    free(data);
    free(curves);
    bragg_arena_free(arena);
    return st;
}

/* ------------------------------------------------------------- patterns */

typedef struct set {
    size_t n;
    bragg_pattern **at;
    char (*label)[80];
} set;

static void set_free(set *s)
{
    bragg_patterns_free(s->at, s->n);
    free(s->label);
}

static bragg_status grow(set *s, size_t more, bragg_error *err)
{
    bragg_pattern **at = realloc(s->at, (s->n + more) * sizeof *at);
    if (at)
        s->at = at;
    char(*label)[80] = at ? realloc(s->label, (s->n + more) * sizeof *label) : NULL;
    if (label)
        s->label = label;
    return label ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", s->n + more);
}

/* All patterns of a file, named by the file and, of several, their number. */
static bragg_status add_file(const wish *w, set *s, const char *path, bragg_error *err)
{
    bragg_pattern **more = NULL;
    size_t n = 0;
    bragg_status st = cli_pattern_read_all(path, &more, &n, err);
    if (st < 0)
        return st;
    if ((st = grow(s, n, err)) < 0) {
        bragg_patterns_free(more, n);
        return st;
    }
    const char *slash = strrchr(path, '/');
    for (size_t k = 0; k < n; k++) {
        if (!more[k]->n) { /* a frame that could not be integrated */
            bragg_pattern_free(more[k]);
            continue;
        }
        if (w->wavelength_ang > 0)
            more[k]->wavelength_ang = w->wavelength_ang;
        if (w->unit && st == BRAGG_OK)
            st = bragg_pattern_to_axis(more[k], w->axis, err);
        snprintf(s->label[s->n], sizeof *s->label, n > 1 ? "%.60s %zu" : "%.60s", slash ? slash + 1 : path, k);
        s->at[s->n++] = more[k];
    }
    free(more);
    return st;
}

static bragg_status plot_curves(const wish *w, const set *s, bragg_error *err)
{
    const char *labels[MOST_CURVES + 1];
    bragg_plot_patterns_options o = BRAGG_PLOT_PATTERNS_OPTIONS_INIT;
    for (size_t k = 0; k < s->n && k <= MOST_CURVES; k++)
        labels[k] = s->label[k];
    o.page = page_of(w);
    o.scale = w->how;
    o.normalize = w->normalize;
    o.offset = w->offset;
    o.x_min = w->first * bragg_axis_factor(s->at[0]->axis);
    o.x_max = w->last * bragg_axis_factor(s->at[0]->axis);
    return bragg_plot_patterns((const bragg_pattern *const *)s->at, labels, s->n, &o, w->out, err);
}

/* Sectors of one frame against their azimuth, anything else against its number. */
static bragg_status ordinates(const set *s, double *at, bool *sectors, bragg_error *err)
{
    size_t frames = 1;
    *sectors = true;
    for (size_t k = 0; k < s->n; k++) {
        double azimuth = s->at[k]->azimuth_rad / BRAGG_DEG;
        *sectors = *sectors && isfinite(azimuth);
        frames += k && !(azimuth > at[k - 1]);
        at[k] = azimuth;
    }
    if (*sectors && frames > 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected the sectors of one frame, found those of %zu; FILE:/entry/data[K] names one", frames);
    for (size_t k = 0; !*sectors && k < s->n; k++)
        at[k] = (double)k;
    return BRAGG_OK;
}

/* Where a pattern has no point within two steps nothing was measured. */
static void blank_gaps(const bragg_pattern *p, const double *x, size_t n, double *z)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = bragg_array_first(p->x, p->n, x[i]);
        double step = n > 1 ? fabs(x[i ? i : 1] - x[i ? i - 1 : 0]) : INFINITY;
        double near = fmin(j < p->n ? fabs(p->x[j] - x[i]) : INFINITY, j ? fabs(p->x[j - 1] - x[i]) : INFINITY);
        if (near > 2 * step)
            z[i] = NAN;
    }
}

/* The abscissa of all: the points of the pattern that has most. */
static const bragg_pattern *longest(const set *s)
{
    const bragg_pattern *most = s->at[0];
    for (size_t k = 1; k < s->n; k++)
        most = s->at[k]->n > most->n ? s->at[k] : most;
    return most;
}

static bragg_status plot_map(const wish *w, const set *s, bragg_error *err)
{
    const bragg_pattern *first = longest(s);
    bool sectors = false;
    double *z = malloc(s->n * first->n * sizeof *z), *at = malloc(s->n * sizeof *at);
    bragg_status st = z && at ? ordinates(s, at, &sectors, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a map of %zu patterns", s->n);
    for (size_t k = 0; k < s->n && st == BRAGG_OK; k++) {
        if (s->at[k]->axis != first->axis)
            st = bragg_pattern_to_axis(s->at[k], first->axis, err);
        if (st == BRAGG_OK) {
            bragg_pattern_resample(s->at[k], first->x, first->n, z + k * first->n);
            blank_gaps(s->at[k], first->x, first->n, z + k * first->n);
        }
    }
    if (st == BRAGG_OK) {
        bragg_plot_map map = { .n = first->n, .frames = s->n, .x = first->x, .time_s = at, .intensity = z,
                               .axis = first->axis, .wavelength_ang = first->wavelength_ang };
        bragg_plot_contour_options o = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
        o.page = page_of(w);
        o.scale = w->scale ? w->how : BRAGG_PLOT_SQRT;
        o.by_frame = !sectors;
        o.ordinate = sectors ? "Azimuth (\xc2\xb0)" : NULL;
        o.x_min = w->first * bragg_axis_factor(first->axis);
        o.x_max = w->last * bragg_axis_factor(first->axis);
        st = bragg_plot_contour(&map, &o, w->out, err);
    }
    free(z);
    free(at);
    return st;
}

static bragg_status plot_patterns(const wish *w, char **paths, size_t n, bragg_error *err)
{
    set s = { 0, NULL, NULL };
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = add_file(w, &s, paths[k], err);
    if (st == BRAGG_OK && w->map && s.n < 2)
        st = bragg_fail(err, BRAGG_EINVAL, "--map: expected several patterns, found %zu", s.n);
    if (st == BRAGG_OK)
        st = w->map || s.n > MOST_CURVES || (s.n > 1 && isfinite(s.at[0]->azimuth_rad)) ? plot_map(w, &s, err) : plot_curves(w, &s, err);
    set_free(&s);
    return st;
}

/* -------------------------------------------------------------- command */

static bragg_status check(wish *w, int n, bragg_error *err)
{
    if (n < 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected files to draw, found none");
    if (!w->out)
        return bragg_fail(err, BRAGG_EINVAL, "expected -o FIGURE.svg, .pdf or .png, found none");
    if (w->scale && !bragg_plot_scale_parse(w->scale, &w->how))
        return bragg_fail(err, BRAGG_EINVAL, "--scale: expected linear, sqrt or log, found '%s'", w->scale);
    if (w->unit && !bragg_axis_parse(w->unit, &w->axis))
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", w->unit);
    if (!(w->width_mm >= 40 && w->width_mm <= 1000))
        return bragg_fail(err, BRAGG_EINVAL, "--width-mm: expected 40 to 1000, found %g", w->width_mm);
    bragg_status st = w->range ? cli_range_ascending("range", w->range, &w->first, &w->last, err) : BRAGG_OK;
    return st == BRAGG_OK ? bragg_plot_check_path(w->out, err) : st;
}

/* HDF5 holds frames as they were taken, or what was integrated from them. */
static bool is_integrated(const char *path)
{
    const char *format;
    size_t n;
    return bragg_pattern_format(path, &format, NULL) == BRAGG_OK && !strcmp(format, "nxazint") && bragg_pattern_count(path, &n, NULL) == BRAGG_OK;
}

static bragg_status draw(const wish *w, char **paths, size_t n, bragg_error *err)
{
    size_t frames;
    if (is_pdf(paths[0]))
        return plot_pdfs(w, paths, n, err);
    if (!is_integrated(paths[0]) && bragg_frame_count(paths[0], &frames, NULL) == BRAGG_OK)
        return n == 1 ? plot_frame(w, paths[0], err) : bragg_fail(err, BRAGG_EINVAL, "expected one frame a figure, found %zu", n);
    return plot_patterns(w, paths, n, err);
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    bragg_status st = check(payload, operands, err);
    return st == BRAGG_OK ? draw(payload, argv, (size_t)operands, err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { .wavelength_ang = NAN, .width_mm = 170, .offset = NAN, .first = NAN, .last = NAN };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.out, "FIGURE", "where to: .svg, .pdf or .png; the numbers go beside it as .csv" },
        { "scale", 's', CLI_TEXT, &w.scale, "HOW", "linear, sqrt or log [linear; maps sqrt, frames log]" },
        { "range", 'r', CLI_TEXT, &w.range, "FIRST,LAST", "part of the abscissa to draw" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "abscissa: 2th_deg, q_A^-1, q_nm^-1 or d_A [the first file's]" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "where the files do not say it" },
        { "map", 0, CLI_FLAG, &w.map, NULL, "patterns as a map [when there are more than 12]" },
        { "offset", 0, CLI_NUMBER, &w.offset, "COUNTS", "between patterns, 0 for none [so that they stand clear]" },
        { "normalize", 0, CLI_FLAG, &w.normalize, NULL, "divide each pattern by its maximum" },
        { "flip", 0, CLI_TEXT, &w.flip, "HOW", "draw a frame upside down: vertical, horizontal or both" },
        { "title", 't', CLI_TEXT, &w.title, "TEXT", "above the figure" },
        { "width-mm", 0, CLI_NUMBER, &w.width_mm, "MM", "of the figure; 85 for one column [170]" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_plot, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_plot = { "plot", "FILE… -o FIGURE", "draw a frame, patterns or G(r)", run };
