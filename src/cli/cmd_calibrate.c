/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg calibrate: the frame of a standard to a PONI file. */
#include "config.h"
#include "cli.h"

#include <bragg/calibrate.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *calibrant, *detector, *out, *mask, *flip, *poni, *raw, *plot;
    double wavelength_ang, pixel_um, distance_mm;
    bool json, force, orient, fit_wavelength;
} wish;

typedef struct lines {
    double *d, *strength;
    size_t n;
} lines;

/* "1<tab>58.38": a list of spacings for standards without a structure. */
static bragg_status read_spacings(bragg_arena *arena, const char *path, lines *out, bragg_error *err)
{
    FILE *in = fopen(path, "r");
    char line[256];
    if (!in)
        return bragg_fail(err, BRAGG_EIO, "%s: cannot be read", path);
    out->d = bragg_arena_alloc(arena, 200, sizeof(double));
    out->strength = bragg_arena_alloc(arena, 200, sizeof(double));
    while (out->d && out->strength && out->n < 200 && fgets(line, sizeof line, in)) {
        const char *tab = strrchr(line, '\t'), *end;
        double d;
        if (*line == '#' || !tab || !bragg_number_scan(tab + 1, &end, &d) || !(d > 0))
            continue;
        out->d[out->n] = d;
        out->strength[out->n++] = 1;
    }
    fclose(in);
    return out->n > 1 ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: expected spacings, found %zu", path, out->n);
}

static bragg_status read_calibrant(bragg_arena *arena, const wish *w, lines *out, bragg_error *err)
{
    char name[200];
    const char *path = w->calibrant;
    *out = (lines){ NULL, NULL, 0 };
    if (strcasecmp(bragg_path_extension(path), ".cif")) {
        snprintf(name, sizeof name, "cif/%.150s.dspacing.tsv", w->calibrant);
        path = bragg_data_path(arena, name);
        if (path && bragg_path_exists(path))
            return read_spacings(arena, path, out, err);
        snprintf(name, sizeof name, "cif/%.150s.cif", w->calibrant);
        path = bragg_data_path(arena, name);
    }
    if (!path || !bragg_path_exists(path))
        return bragg_fail(err, BRAGG_EINVAL, "--calibrant '%s': expected a CIF file or a bundled card (LaB6, CeO2, Si, Al2O3, Ni, Cr2O3, Au, AgBehenate …)", w->calibrant);
    bragg_structure *s;
    bragg_card_line *line = NULL;
    size_t n = 0;
    bragg_status st = bragg_structure_read_cif(path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    st = bragg_structure_lines(s, w->wavelength_ang, 0.5, fmax(2 * BRAGG_PI / 12, 0.52 * w->wavelength_ang), &line, &n, err);
    bragg_structure_free(s);
    if (st < 0)
        return st;
    out->d = bragg_arena_alloc(arena, n + 1, sizeof(double));
    out->strength = bragg_arena_alloc(arena, n + 1, sizeof(double));
    for (size_t k = 0; out->d && out->strength && k < n; k++)
        if (line[k].intensity > 0.3) {
            out->d[out->n] = line[k].d_ang;
            out->strength[out->n++] = line[k].intensity / 100;
        }
    free(line);
    return out->n ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the calibrant's lines");
}

static json_t *as_json(const bragg_calibration *c)
{
    static const struct { const char *key, *name, *unit; } rows[] = { { "distance_m", "distance", "m" }, { "poni1_m", "poni1", "m" }, { "poni2_m", "poni2", "m" },
        { "rot1_rad", "rot1", "rad" }, { "rot2_rad", "rot2", "rad" }, { "rot3_rad", "rot3", "rad" }, { "wavelength_ang", "wavelength", "angstrom" } };
    json_t *root = json_object(), *rings = json_array();
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ptrdiff_t at = bragg_params_find(&c->params, rows[k].name);
        json_object_set_new(root, rows[k].key, bragg_json_quantity(c->params.at[at].value, c->params.at[at].esd, rows[k].unit));
    }
    json_object_set_new(root, "rms_px", bragg_json_number(c->rms_px));
    for (size_t k = 0; k < c->n_rings; k++)
        json_array_append_new(rings, json_pack("{s:f, s:f, s:i, s:f, s:f}", "d_ang", c->ring[k].d_ang, "two_theta_deg", c->ring[k].two_theta_rad / BRAGG_DEG,
                                               "points", (int)c->ring[k].points, "offset_px", c->ring[k].offset_px, "rms_px", c->ring[k].rms_px));
    json_object_set_new(root, "rings", rings);
    return root;
}

static void print_calibration(const bragg_calibration *c)
{
    char text[BRAGG_NUMBER_TEXT];
    printf("%zu rings, %zu points, rms %.3f pixel\n", c->n_rings, c->n_points, c->rms_px);
    for (size_t k = 0; k < c->params.n; k++)
        printf("  %-11s %s %s\n", c->params.at[k].name, bragg_number_print_esd(text, c->params.at[k].value, c->params.at[k].esd), c->params.at[k].unit);
    double slow, fast;
    if (bragg_geometry_point(&c->geometry, 0, 0, &slow, &fast))
        printf("  beam at row %.2f, column %.2f\n", slow, fast);
    printf("  %8s %9s %7s %10s %8s\n", "d/A", "2theta", "points", "offset/px", "rms/px");
    for (size_t k = 0; k < c->n_rings; k++)
        printf("  %8.4f %9.4f %7zu %+10.3f %8.3f\n", c->ring[k].d_ang, c->ring[k].two_theta_rad / BRAGG_DEG, c->ring[k].points, c->ring[k].offset_px, c->ring[k].rms_px);
}

static bragg_status print_orientations(const bragg_frame *f, const uint8_t *mask, const bragg_geometry *g, bool json, bragg_error *err)
{
    double s[8], best = 0;
    int at = 0;
    json_t *list = json_array();
    bragg_status st = bragg_calibrate_orientations(f, mask, g, s, err);
    for (int k = 0; k < 8 && st >= 0; k++)
        if (s[k] > best) {
            best = s[k];
            at = k;
        }
    for (int k = 0; k < 8 && st >= 0; k++) {
        json_array_append_new(list, bragg_json_number(s[k]));
        if (!json)
            printf("orientation %d  sharpness %8.3f%s\n", k + 1, s[k], k == at ? "   rings are sharpest" : "");
    }
    if (st >= 0 && json)
        return bragg_json_print_take(json_pack("{s:i, s:o}", "orientation", at + 1, "sharpness", list), err);
    json_decref(list);
    return st;
}

/* What the options leave open the frame's own header may tell; a wavelength from there
 * is said aloud, because cameras keep what somebody once typed. */
static bragg_status start_geometry(const wish *w, const bragg_frame *f, bragg_geometry *g, bragg_error *err)
{
    *g = (bragg_geometry)BRAGG_GEOMETRY_INIT;
    bragg_status st = w->poni ? bragg_geometry_read_poni(w->poni, g, err) : BRAGG_OK;
    if (st == BRAGG_OK && w->detector)
        st = bragg_geometry_set_detector(g, w->detector, err);
    if (st == BRAGG_OK && w->pixel_um > 0)
        g->pixel_slow_m = g->pixel_fast_m = w->pixel_um * 1e-6;
    if (w->wavelength_ang > 0)
        g->wavelength_ang = w->wavelength_ang;
    if (st == BRAGG_OK && !(g->pixel_slow_m > 0) && f->pixel_slow_m > 0 && f->pixel_fast_m > 0) {
        g->pixel_slow_m = f->pixel_slow_m;
        g->pixel_fast_m = f->pixel_fast_m;
    }
    if (st == BRAGG_OK && !(g->wavelength_ang > 0) && f->wavelength_ang > 0) {
        g->wavelength_ang = f->wavelength_ang;
        fprintf(stderr, "wavelength %g angstrom from the frame's header\n", f->wavelength_ang);
    }
    if (st == BRAGG_OK && !(g->pixel_slow_m > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "expected --detector NAME, --pixel-um SIZE or --poni FILE, found none, nor a pixel size in the frame's header");
    if (st == BRAGG_OK && !(g->wavelength_ang > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "expected --wavelength LAMBDA, found none, nor one in the frame's header");
    return st;
}

/* The distance of the header first; when no rings fit it, all. */
static bragg_status find_geometry(const wish *w, const bragg_frame *f, const uint8_t *mask, const bragg_geometry *g, const lines *l, bragg_calibration **c, bragg_error *err)
{
    bragg_calibrate_options o = BRAGG_CALIBRATE_OPTIONS_INIT;
    bragg_error problem = BRAGG_ERROR_INIT;
    o.fit_wavelength = w->fit_wavelength;
    o.distance_m = w->distance_mm / 1000;
    if (!(o.distance_m > 0) && f->distance_m > 0.01 && f->distance_m < 10) {
        o.distance_m = f->distance_m;
        if (bragg_calibrate(f, mask, g, l->d, l->strength, l->n, &o, c, &problem) >= 0)
            return BRAGG_OK;
        o.distance_m = NAN;
    }
    return bragg_calibrate(f, mask, g, l->d, l->strength, l->n, &o, c, err);
}

enum { RING_POINTS = 721 };

/* Where a ring lies on the frame; points beyond it are gaps in the line. */
static void draw_ring(const bragg_calibration *c, size_t ring, double *column, double *row)
{
    for (int k = 0; k < RING_POINTS; k++) {
        double slow = NAN, fast = NAN;
        if (!bragg_geometry_point(&c->geometry, c->ring[ring].two_theta_rad, 2 * BRAGG_PI * k / (RING_POINTS - 1), &slow, &fast) || slow < 0 || fast < 0 ||
            slow > (double)c->geometry.rows || fast > (double)c->geometry.columns)
            slow = fast = NAN;
        row[k] = slow;
        column[k] = fast;
    }
}

static bragg_status plot_frame(const wish *w, const bragg_frame *f, const uint8_t *mask, const bragg_calibration *c, bragg_error *err)
{
    size_t pixels = f->width * f->height, n = c->n_rings;
    double *v = malloc((pixels + 2 * n * RING_POINTS + 1) * sizeof *v), *at = v + pixels;
    bool *bad = malloc(pixels * sizeof *bad);
    bragg_plot_curve *curve = calloc(n + 1, sizeof *curve);
    bragg_plot_frame_options o = BRAGG_PLOT_FRAME_OPTIONS_INIT;
    bragg_status st = v && bad && curve ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a picture of %zu pixels", pixels);
    if (st == BRAGG_OK) {
        bragg_frame_doubles(f, 0, pixels, v);
        for (size_t i = 0; i < pixels; i++)
            bad[i] = mask[i];
        for (size_t k = 0; k < n; k++, at += 2 * RING_POINTS) {
            draw_ring(c, k, at, at + RING_POINTS);
            curve[k] = (bragg_plot_curve){ .n = RING_POINTS, .x = at, .y = at + RING_POINTS, .label = "calculated" };
        }
        o.page.force = w->force;
        o.n_curves = n;
        o.curves = curve;
        st = bragg_plot_frame(v, bad, f->height, f->width, &o, w->plot, err);
    }
    free(v);
    free(bad);
    free(curve);
    return st;
}

/* rings.png: rings.residuals.png beside it. */
static bragg_status plot_residuals(const wish *w, bragg_arena *arena, const bragg_calibration *c, bragg_error *err)
{
    const char *extension = bragg_path_extension(w->plot);
    size_t n = c->n_rings, size = strlen(w->plot) + 20;
    double *v = bragg_arena_alloc(arena, 3 * n + 1, sizeof *v);
    char *path = bragg_arena_alloc(arena, size, 1);
    if (!v || !path)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a picture");
    snprintf(path, size, "%.*s.residuals%s", (int)(strlen(w->plot) - strlen(extension)), w->plot, extension);
    for (size_t k = 0; k < n; k++) {
        v[k] = c->ring[k].two_theta_rad / BRAGG_DEG;
        v[n + k] = c->ring[k].offset_px;
        v[2 * n + k] = c->ring[k].rms_px;
    }
    bragg_plot_curve offset = { .n = n, .x = v, .y = v + n, .label = "offset" }, rms = { .n = n, .x = v, .y = v + 2 * n, .label = "rms" };
    bragg_plot_panel panels[2] = { BRAGG_PLOT_PANEL_INIT, BRAGG_PLOT_PANEL_INIT };
    panels[0].y_label = "Mean residual (px)";
    panels[0].n_curves = 1;
    panels[0].curves = &offset;
    panels[1].y_label = "rms (px)";
    panels[1].n_curves = 1;
    panels[1].curves = &rms;
    bragg_plot_series_options o = BRAGG_PLOT_SERIES_OPTIONS_INIT;
    o.page.force = w->force;
    o.x_label = "2\xce\xb8 (deg)";
    return bragg_plot_series(panels, 2, &o, path, err);
}

static bragg_status calibrate(wish *w, const char *path, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_frame *f = NULL;
    uint8_t *mask = NULL;
    bragg_geometry g;
    lines l = { NULL, NULL, 0 };
    bragg_calibration *c = NULL;
    bragg_status st = arena ? cli_frame_read_raw(path, 0, w->flip, w->raw, &f, err) : bragg_fail(err, BRAGG_ENOMEM, "no room to calibrate");
    if (st == BRAGG_OK)
        st = start_geometry(w, f, &g, err);
    if (st == BRAGG_OK)
        w->wavelength_ang = g.wavelength_ang;
    if (st == BRAGG_OK)
        st = cli_mask_read(w->mask, w->flip, w->poni || w->detector ? &g : NULL, f, &mask, err);
    if (st == BRAGG_OK)
        st = cli_mask_add_own(path, w->flip, f, mask, err);
    if (st == BRAGG_OK && w->orient) {
        st = print_orientations(f, mask, &g, w->json, err);
    } else if (st == BRAGG_OK) {
        st = read_calibrant(arena, w, &l, err);
        if (st == BRAGG_OK)
            st = find_geometry(w, f, mask, &g, &l, &c, err);
        if (st == BRAGG_OK && w->plot)
            st = plot_frame(w, f, mask, c, err);
        if (st == BRAGG_OK && w->plot)
            st = plot_residuals(w, arena, c, err);
        if (st == BRAGG_OK && w->out)
            st = bragg_geometry_write_poni(&c->geometry, w->out, w->force, err);
        if (st == BRAGG_OK && w->json)
            st = bragg_json_print_take(as_json(c), err);
        else if (st == BRAGG_OK)
            print_calibration(c);
    }
    bragg_calibration_free(c);
    free(mask);
    bragg_frame_free(f);
    bragg_arena_free(arena);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { .wavelength_ang = NAN, .pixel_um = NAN, .distance_mm = NAN };
    const cli_option options[] = {
        { "calibrant", 'c', CLI_TEXT, &w.calibrant, "NAME", "bundled card or CIF file of the standard: LaB6, CeO2, Si, AgBehenate …" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "wavelength" },
        { "detector", 'd', CLI_TEXT, &w.detector, "NAME", "detector by name: Pilatus1M, Eiger2_4M …" },
        { "pixel-um", 0, CLI_NUMBER, &w.pixel_um, "SIZE", "or its pixel size in micrometre" },
        { "poni", 'p', CLI_TEXT, &w.poni, "FILE", "or a PONI file to start from (or to judge, with --orient)" },
        { "distance-mm", 0, CLI_NUMBER, &w.distance_mm, "MM", "rough distance, within a third; without it all are tried" },
        { "fit-wavelength", 0, CLI_FLAG, &w.fit_wavelength, NULL, "refine the wavelength, too" },
        { "mask", 'm', CLI_TEXT, &w.mask, "FRAME", "pixels that are not zero here are left out" },
        { "flip", 0, CLI_TEXT, &w.flip, "HOW", "read the frame upside down: vertical, horizontal or both" },
        { "raw", 0, CLI_TEXT, &w.raw, "LAYOUT", "a file without a header: WIDTHxHEIGHTxTYPE[+OFFSET][,swap]" },
        { "plot", 0, CLI_TEXT, &w.plot, "FILE", "draw the frame with the calculated rings (svg, pdf, png), residuals beside it" },
        { "orient", 0, CLI_FLAG, &w.orient, NULL, "try the PONI file's geometry on all eight ways up" },
        { "output", 'o', CLI_TEXT, &w.out, "SETUP.poni", "write the geometry here" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_calibrate, options, sizeof options / sizeof *options, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected one FRAME, found %d names", n);
    if (st == BRAGG_OK && !w.calibrant && !w.orient)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected --calibrant NAME, found none");
    if (st == BRAGG_OK)
        st = calibrate(&w, argv[0], &err);
    return cli_report(&cli_calibrate, st, &err);
}

const cli_command cli_calibrate = { "calibrate", "FRAME --calibrant NAME --wavelength LAMBDA -o SETUP.poni", "detector geometry from the rings of a standard", run };
