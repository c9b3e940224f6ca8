/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg calibrate: the frame of a standard to a PONI file. */
#include "config.h"
#include "cli.h"

#include <bragg/calibrate.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *calibrant, *detector, *out, *mask, *flip, *poni, *raw, *plot, *refine, *fix, *moved;
    double wavelength_ang, pixel_um, distance_mm, temperature_k;   /* temperature_k: NAN as in the certificate */
    bool json, force, orient, fit_wavelength, own_tilts;
    bool fixed[BRAGG_CALIBRATE_ROWS];
} wish;

/* --------------------------------------------------------------- results */

/* What hangs together so much that neither is certain by itself. */
static const double strong = 0.9;

static json_t *correlations_json(const bragg_params *p, const bragg_correlation *c, size_t n)
{
    json_t *list = json_array();
    for (size_t k = 0; k < n; k++)
        if (fabs(c[k].value) > strong)
            json_array_append_new(list, json_pack("{s:s, s:s, s:f}", "a", p->at[c[k].a].name, "b", p->at[c[k].b].name, "value", c[k].value));
    return list;
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
    json_object_set_new(root, "orientation", json_integer(c->geometry.orientation));
    json_object_set_new(root, "rms_px", bragg_json_number(c->rms_px));
    json_object_set_new(root, "correlations", correlations_json(&c->params, c->correlation, c->n_correlations));
    for (size_t k = 0; k < c->n_rings; k++)
        json_array_append_new(rings, json_pack("{s:f, s:f, s:i, s:f, s:f}", "d_ang", c->ring[k].d_ang, "two_theta_deg", c->ring[k].two_theta_rad / BRAGG_DEG,
                                               "points", (int)c->ring[k].points, "offset_px", c->ring[k].offset_px, "rms_px", c->ring[k].rms_px));
    json_object_set_new(root, "rings", rings);
    return root;
}

/* Of several frames: what each says, and what they say together. */
static json_t *joint_json(const bragg_calibrate_shot *s, size_t n, const bragg_calibration_joint *j)
{
    json_t *root = json_object(), *frames = json_array();
    const bragg_param *wavelength = &j->params.at[bragg_params_find(&j->params, "wavelength")];
    for (size_t k = 0; k < n; k++) {
        json_t *one = as_json(s[k].found);
        json_object_set_new(one, "frame", json_string(s[k].path));
        json_array_append_new(frames, one);
    }
    json_object_set_new(root, "frames", frames);
    json_object_set_new(root, "wavelength_ang", bragg_json_quantity(wavelength->value, wavelength->esd, "angstrom"));
    json_object_set_new(root, "rms_px", bragg_json_number(j->rms_px));
    json_object_set_new(root, "correlations", correlations_json(&j->params, j->correlation, j->n_correlations));
    return root;
}

static void print_correlations(const bragg_params *p, const bragg_correlation *c, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (fabs(c[k].value) > strong)
            printf("  correlation of %s and %s %+.4f\n", p->at[c[k].a].name, p->at[c[k].b].name, c[k].value);
}

static void print_calibration(const bragg_calibration *c)
{
    char text[BRAGG_QUANTITY_TEXT];
    printf("%zu rings, %zu points, rms %.3f pixel\n", c->n_rings, c->n_points, c->rms_px);
    for (size_t k = 0; k < c->params.n; k++)
        printf("  %-11s %s\n", c->params.at[k].name, bragg_number_print_quantity(text, c->params.at[k].value, c->params.at[k].esd, c->params.at[k].unit));
    double slow, fast;
    if (bragg_geometry_point(&c->geometry, 0, 0, &slow, &fast))
        printf("  beam at row %.2f, column %.2f, orientation %d\n", slow, fast, c->geometry.orientation);
    print_correlations(&c->params, c->correlation, c->n_correlations);
    printf("  %8s %10s %7s %10s %8s\n", "d/A", "2theta/deg", "points", "offset/px", "rms/px");
    for (size_t k = 0; k < c->n_rings; k++)
        printf("  %8.4f %10.4f %7zu %+10.3f %8.3f\n", c->ring[k].d_ang, c->ring[k].two_theta_rad / BRAGG_DEG, c->ring[k].points, c->ring[k].offset_px, c->ring[k].rms_px);
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

/* A header's distance may be what somebody once typed.  At small angles rings tell the
 * distance times the wavelength only, so that one of the two may be what is wrong. */
static void compare_with_header(const bragg_calibrate_shot *s)
{
    double found = s->found->geometry.distance_m, said = s->frame->distance_m, wavelength = s->found->geometry.wavelength_ang;
    double widest = s->found->n_rings ? s->found->ring[s->found->n_rings - 1].two_theta_rad : 0;
    if (!(said > 0.01 && said < 100) || fabs(said / found - 1) < 0.05)
        return;
    fprintf(stderr, "%s: the header says a distance of %.4g m, the rings %.4g m at a wavelength of %.5g angstrom", s->path, said, found, wavelength);
    if (widest < 15 * BRAGG_DEG)
        fprintf(stderr, "; so near the beam (2theta up to %.1f deg) they tell the product of the two only: with the header's distance the wavelength would be %.4g angstrom", widest / BRAGG_DEG, wavelength * found / said);
    fprintf(stderr, "\n");
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

static bragg_status plot_frame(const wish *w, const bragg_calibrate_shot *s, const char *path, bragg_error *err)
{
    const bragg_frame *f = s->frame;
    const uint8_t *mask = s->mask;
    const bragg_calibration *c = s->found;
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
        st = bragg_plot_frame(v, bad, f->height, f->width, &o, path, err);
    }
    free(v);
    free(bad);
    free(curve);
    return st;
}

/* rings.png: rings.residuals.png beside it. */
static bragg_status plot_residuals(const wish *w, bragg_arena *arena, const bragg_calibration *c, const char *name, bragg_error *err)
{
    const char *extension = bragg_path_extension(name);
    size_t n = c->n_rings, size = strlen(name) + 20;
    double *v = bragg_arena_alloc(arena, 3 * n + 1, sizeof *v);
    char *path = bragg_arena_alloc(arena, size, 1);
    if (!v || !path)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a picture");
    snprintf(path, size, "%.*s.residuals%s", (int)(strlen(name) - strlen(extension)), name, extension);
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

/* ------------------------------------------------------------------ frames */

/* "distance,rot1": of each the flag is set. */
static bragg_status parse_names(const char *option, const char *text, bool *flag, bragg_error *err)
{
    static const char *const names[BRAGG_CALIBRATE_ROWS] = { "distance", "poni1", "poni2", "rot1", "rot2", "rot3", "wavelength" };
    while (text && *text) {
        size_t n = strcspn(text, ","), k = 0;
        while (k < BRAGG_CALIBRATE_ROWS && (strlen(names[k]) != n || strncmp(names[k], text, n)))
            k++;
        if (k == BRAGG_CALIBRATE_ROWS)
            return bragg_fail(err, BRAGG_EINVAL, "--%s: expected distance, poni1, poni2, rot1, rot2 or wavelength, found '%.*s'", option, (int)n, text);
        flag[k] = true;
        text += n + (text[n] == ',');
    }
    return BRAGG_OK;
}

static bragg_status choose_rows(wish *w, bragg_error *err)
{
    bool refine[BRAGG_CALIBRATE_ROWS] = { false };
    bragg_status st = parse_names("refine", w->refine, refine, err);
    if (st == BRAGG_OK)
        st = parse_names("fix", w->fix, w->fixed, err);
    if (st == BRAGG_OK && refine[BRAGG_CALIBRATE_ROT3])
        return bragg_fail(err, BRAGG_EINVAL, "--refine rot3: it turns the detector about the beam, which leaves every ring as it is: no rings can tell it; a PONI file to start from keeps its own");
    for (int k = 0; k < BRAGG_CALIBRATE_ROWS && st == BRAGG_OK; k++)
        if (refine[k] && w->fixed[k])
            st = bragg_fail(err, BRAGG_EINVAL, "expected a name in one of --refine and --fix, found it in both");
    for (int k = 0; k < BRAGG_CALIBRATE_WAVELENGTH && st == BRAGG_OK; k++)
        if (w->fixed[k] && !w->poni)
            st = bragg_fail(err, BRAGG_EINVAL, "--fix: expected --poni FILE for what is kept, found none");
    w->fit_wavelength = (w->fit_wavelength || refine[BRAGG_CALIBRATE_WAVELENGTH] || w->moved) && !w->fixed[BRAGG_CALIBRATE_WAVELENGTH];
    w->fixed[BRAGG_CALIBRATE_ROT3] = true;
    return st;
}

static bragg_status read_moved(const wish *w, size_t n, double *moved_m, bragg_error *err)
{
    const char *at = w->moved;
    for (size_t k = 0; k < n; k++) {
        if (!bragg_number_scan(at, &at, &moved_m[k]) || (k + 1 < n && *at != ',') || (k + 1 == n && *at))
            return bragg_fail(err, BRAGG_EINVAL, "--moved-mm: expected %zu numbers, one a frame, found '%s'", n, w->moved);
        at++;
        moved_m[k] /= 1000;
    }
    return BRAGG_OK;
}

/* Of several frames NAME_2.poni for the second. */
static const char *numbered(bragg_arena *arena, const char *path, size_t k, size_t n)
{
    size_t size = strlen(path) + 24;
    const char *extension = bragg_path_extension(path);
    char *name = n > 1 ? bragg_arena_alloc(arena, size, 1) : NULL;
    if (name)
        snprintf(name, size, "%.*s_%zu%s", (int)(strlen(path) - strlen(extension)), path, k + 1, extension);
    return n > 1 ? name : path;
}

static bragg_status write_all(const wish *w, bragg_arena *arena, const bragg_calibrate_shot *s, size_t n, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    char note[200];
    snprintf(note, sizeof note, "Calibrant: %.100s at %g K", w->calibrant, w->temperature_k);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        const char *plot = w->plot ? numbered(arena, w->plot, k, n) : NULL, *out = w->out ? numbered(arena, w->out, k, n) : NULL;
        compare_with_header(&s[k]);
        if (plot)
            st = plot_frame(w, &s[k], plot, err);
        if (st == BRAGG_OK && plot)
            st = plot_residuals(w, arena, s[k].found, plot, err);
        if (st == BRAGG_OK && out)
            st = bragg_geometry_write_poni_noted(&s[k].found->geometry, isnan(w->temperature_k) ? NULL : note, out, w->force, err);
    }
    return st;
}

static bragg_status tell(const wish *w, const bragg_calibrate_shot *s, size_t n, const bragg_calibration_joint *j, bragg_error *err)
{
    char text[BRAGG_QUANTITY_TEXT];
    if (w->json) {
        json_t *root = j ? joint_json(s, n, j) : as_json(s->found);
        if (!isnan(w->temperature_k))
            json_object_set_new(root, "temperature_k", bragg_json_number(w->temperature_k));
        return bragg_json_print_take(root, err);
    }
    if (!isnan(w->temperature_k))
        printf("calibrant %s at %g K\n", w->calibrant, w->temperature_k);
    for (size_t k = 0; k < n; k++) {
        if (n > 1)
            printf("%s: ", s[k].path);
        print_calibration(s[k].found);
    }
    if (j) {
        const bragg_param *wavelength = &j->params.at[bragg_params_find(&j->params, "wavelength")];
        printf("together: wavelength %s, rms %.3f pixel\n", bragg_number_print_quantity(text, wavelength->value, wavelength->esd, "angstrom"), j->rms_px);
        print_correlations(&j->params, j->correlation, j->n_correlations);
    }
    return BRAGG_OK;
}

/* Asked by itself, the temperature is what an error is of. */
static bragg_status check_temperature(const wish *w, bragg_error *err)
{
    double stretch[3];
    bragg_status st = isnan(w->temperature_k) ? BRAGG_OK : bragg_calibrant_stretch(w->calibrant, w->temperature_k, stretch, err);
    return st < 0 ? bragg_context(err, st, "--temperature") : st;
}

/* The geometry of each frame and, of several, of all together. */
static bragg_status find(const wish *w, bragg_arena *arena, bragg_calibrate_shot *s, size_t n, bragg_calibration_joint **j, bragg_error *err)
{
    bragg_calibrate_options o = BRAGG_CALIBRATE_OPTIONS_INIT;
    bragg_calibration_joint_options joint = { NULL, w->own_tilts, w->fit_wavelength };
    bragg_calibrant l;
    double *moved = bragg_arena_alloc(arena, n, sizeof *moved);
    memcpy(o.fixed, w->fixed, sizeof o.fixed);
    o.fit_wavelength = w->fit_wavelength;
    o.distance_m = w->distance_mm / 1000;
    bragg_status st = moved ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to calibrate %zu frames", n);
    if (st == BRAGG_OK && w->moved)
        st = read_moved(w, n, moved, err);
    if (st == BRAGG_OK)
        st = check_temperature(w, err);
    if (st == BRAGG_OK)
        st = bragg_calibrant_read(arena, w->calibrant, s->geometry.wavelength_ang, w->temperature_k, &l, err);
    joint.moved_m = w->moved ? moved : NULL;
    return st < 0 ? st : bragg_calibrate_shots(s, n, l.d_ang, l.strength, l.n, &o, &joint, j, err);
}

static bragg_status calibrate(const wish *w, const char *const *paths, size_t n, bragg_error *err)
{
    bragg_calibrate_known known = { w->poni, w->detector, w->pixel_um * 1e-6, w->wavelength_ang, w->mask, w->flip, w->raw };
    bragg_arena *arena = bragg_arena_new();
    bragg_calibration_joint *j = NULL;
    bragg_calibrate_shot *s = NULL;
    cli_progress bar;
    bragg_status st = arena ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to calibrate");
    if (st >= 0)
        st = bragg_calibrate_read(paths, n, &known, cli_observer_loud(&bar, "frame"), &s, err);
    if (st >= 0 && w->orient) {
        st = print_orientations(s->frame, s->mask, &s->geometry, w->json, err);
    } else if (st >= 0) {
        st = find(w, arena, s, n, &j, err);
        if (st >= 0)
            st = write_all(w, arena, s, n, err);
        if (st >= 0)
            st = tell(w, s, n, j, err);
    }
    bragg_calibrate_shots_free(s, n);
    bragg_calibration_joint_free(j);
    bragg_arena_free(arena);
    return st;
}

static bragg_status check_words(const wish *w, int n, bragg_error *err)
{
    if (n < 1 || (w->orient && n != 1))
        return bragg_fail(err, BRAGG_EINVAL, "expected %s, found %d names", w->orient ? "one FRAME" : "frames", n);
    if (w->moved && n < 2)
        return bragg_fail(err, BRAGG_EINVAL, "--moved-mm: expected frames at several distances, found one");
    if (w->orient && !w->poni)
        return bragg_fail(err, BRAGG_EINVAL, "--orient: expected --poni FILE, whose geometry is tried all eight ways up, found none; without one, calibrate first (-c STANDARD -o SETUP.poni)");
    if (!w->calibrant && !w->orient)
        return bragg_fail(err, BRAGG_EINVAL, "expected --calibrant NAME, found none");
    return cli_flip_check(w->flip, err);
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    wish *w = payload;
    bragg_status st = check_words(w, operands, err);
    if (st == BRAGG_OK)
        st = choose_rows(w, err);
    return st == BRAGG_OK ? calibrate(w, (const char *const *)argv, (size_t)operands, err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { .wavelength_ang = NAN, .pixel_um = NAN, .distance_mm = NAN, .temperature_k = NAN };
    const cli_option options[] = {
        { "calibrant", 'c', CLI_TEXT, &w.calibrant, "NAME", "bundled card or CIF file of the standard: LaB6, CeO2, Si, AgBehenate …" },
        { "temperature", 0, CLI_NUMBER, &w.temperature_k, "K", "temperature of the standard (Si, Al2O3) where it is not its certificate's, 295.65 K" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "wavelength; without it, or one in the frame's header, it is found from rings at wide angles" },
        { "detector", 'd', CLI_TEXT, &w.detector, "NAME", "detector by name: Pilatus1M, Eiger2_4M …" },
        { "pixel-um", 0, CLI_NUMBER, &w.pixel_um, "SIZE", "or its pixel size in micrometre" },
        { "poni", 'p', CLI_TEXT, &w.poni, "FILE", "or a PONI, .imctrl or Fit2D file to start from (or to judge, with --orient)" },
        { "distance-mm", 0, CLI_NUMBER, &w.distance_mm, "MM", "rough distance, within a third; without it all are tried" },
        { "refine", 0, CLI_TEXT, &w.refine, "NAMES", "refine these, too: wavelength" },
        { "fix", 0, CLI_TEXT, &w.fix, "NAMES", "keep these of the PONI file: distance, poni1, poni2, rot1, rot2; or the wavelength given: wavelength" },
        { "fit-wavelength", 0, CLI_FLAG, &w.fit_wavelength, NULL, "the same as --refine wavelength" },
        { "moved-mm", 0, CLI_TEXT, &w.moved, "MM,MM…", "of several frames, how far the detector was moved away each; frees the wavelength" },
        { "own-tilts", 0, CLI_FLAG, &w.own_tilts, NULL, "of several frames, a tilt for each instead of one for all" },
        { "mask", 'm', CLI_TEXT, &w.mask, "FRAME", "pixels that are not zero here are left out" },
        { "flip", 0, CLI_TEXT, &w.flip, "HOW", "read the frame upside down: vertical, horizontal or both" },
        { "raw", 0, CLI_TEXT, &w.raw, "LAYOUT", "a file without a header: WIDTHxHEIGHTxTYPE[+OFFSET][,swap]" },
        { "plot", 0, CLI_TEXT, &w.plot, "FILE", "draw the frame with the calculated rings (svg, pdf, png), residuals beside it" },
        { "orient", 0, CLI_FLAG, &w.orient, NULL, "try the PONI file's geometry on all eight ways up" },
        { "output", 'o', CLI_TEXT, &w.out, "SETUP.poni", "write the geometry here, of several frames SETUP_1.poni …" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_calibrate, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_calibrate = { "calibrate", "FRAME… --calibrant NAME --wavelength LAMBDA -o SETUP.poni", "detector geometry from the rings of a standard", run };
