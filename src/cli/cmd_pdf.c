/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg pdf: intensities to the pair distribution function. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *background, *empties, *composition, *unit, *out, *route, *window, *mount, *plot;
    double density;
    bool all, json, force, lorch, keep_outliers, both, plain;
    long long band;
    bragg_pdf_options o;
    bragg_composition formula;
    bragg_pattern *empty;
} wish;

/* One pattern of those asked for, and what became of it: route 0 and, with both, 1. */
typedef struct item {
    const char *path, *stem;
    size_t index;
    bragg_pdf *pdf[2];
    bragg_status st;
    bragg_error err;
} item;

/* The unit that was asked for replaces the one the file was taken to be in. */
static bragg_status read_pattern(const char *path, size_t index, const char *unit, bragg_pattern **out, bragg_error *err)
{
    bragg_axis axis;
    if (!unit)
        return cli_pattern_read(path, index, out, err);
    if (!bragg_axis_parse(unit, &axis) || axis == BRAGG_AXIS_R)
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", unit);
    return bragg_pattern_read_as(path, index, axis, out, err);
}

/* "--empty air.xye*0.97,dark.xye": what sample and container have alike. */
static bragg_status take_empties_off(const wish *w, bragg_pattern *p, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (const char *at = w->empties; at && *at && st == BRAGG_OK; at += *at == ',') {
        char name[4096];
        size_t length = strcspn(at, ","), star = 0;
        double factor = 1;
        bragg_pattern *empty = NULL;
        for (size_t k = 0; k < length; k++)
            star = at[k] == '*' ? k : star;
        if (star && !bragg_number_parse_n(at + star + 1, length - star - 1, &factor))
            return bragg_fail(err, BRAGG_EINVAL, "--empty: expected FILE or FILE*FACTOR, found '%.*s'", (int)length, at);
        if (snprintf(name, sizeof name, "%.*s", (int)(star ? star : length), at) >= (int)sizeof name)
            return bragg_fail(err, BRAGG_EINVAL, "--empty: the name is too long");
        st = read_pattern(name, 0, w->unit, &empty, err);
        if (st == BRAGG_OK && w->o.wavelength_ang > 0)
            empty->wavelength_ang = w->o.wavelength_ang;
        if (st == BRAGG_OK && (st = bragg_pdf_take_off(p, empty, factor, err)) < 0)
            bragg_context(err, st, "'%s'", name);
        bragg_pattern_free(empty);
        at += length;
    }
    return st;
}

static bragg_status choose_density(wish *w, bragg_error *err)
{
    if (isnan(w->density))
        return BRAGG_OK;
    if (!(w->density > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--density: must be positive, got %g", w->density);
    if (isfinite(w->o.number_density))
        return bragg_fail(err, BRAGG_EINVAL, "expected --density or --number-density, found both");
    w->o.number_density = bragg_pdf_number_density_invang3(&w->formula, w->density);
    return BRAGG_OK;
}

/* ---------------------------------------------------------------- output */

static const char *const types[] = { ".iq", ".sq", ".fq", ".gr", ".cov", ".sqcov" };

static size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (int k = 0; dot && k < 6; k++)
        if (!strcmp(dot, types[k]))
            return (size_t)(dot - name);
    return strlen(name);
}

/* With --all the curves stand beside each other under one stem; the second of two
 * routes has its name in it. */
static bragg_status write_curves(const wish *w, const bragg_pdf *p, const char *sample, const char *out, bool second, bragg_error *err)
{
    const bragg_pdf_names names = { sample, w->background, w->composition };
    char path[4096];
    bragg_status st = BRAGG_OK;
    size_t stem = stem_length(out);
    const char *own = out[stem] ? out + stem : ".gr", *mark = second ? "-physical" : "";
    for (int k = 0; k < 6 && st == BRAGG_OK; k++) {
        bool covariance = k >= 4 && p->gr_covariance;
        if (!(k < 4 && (w->all || !strcmp(own, types[k]))) && !covariance)
            continue;
        if (snprintf(path, sizeof path, "%.*s%s%s", (int)stem, out, mark, types[k]) >= (int)sizeof path)
            return bragg_fail(err, BRAGG_EINVAL, "-o: the name is too long");
        if (k < 5 || p->sq_covariance)
            st = bragg_pdf_write(p, &names, path, w->force, err);
    }
    return st;
}

static json_t *pdf_json(const wish *w, const bragg_pdf *p, const char *label)
{
    json_t *root = json_object(), *outliers = json_array(), *partials = json_object();
    double weight[BRAGG_COMPOSITION_ELEMENTS * (BRAGG_COMPOSITION_ELEMENTS + 1) / 2], *next = weight;
    if (label)
        json_object_set_new(root, "pattern", json_string(label));
    json_object_set_new(root, "route", json_string(p->used.physical ? "physical" : "ad hoc"));
    json_object_set_new(root, "scale", bragg_json_quantity(p->scale, NAN, ""));
    json_object_set_new(root, "background_scale", bragg_json_quantity(p->used.background_scale, NAN, ""));
    json_object_set_new(root, "background_scale_found", json_boolean(p->background_found));
    json_object_set_new(root, "background_scale_most", bragg_json_number(p->background_found ? p->background_most : NAN));
    json_object_set_new(root, "qmin_invang", bragg_json_number(p->used.qmin_invang));
    json_object_set_new(root, "qmax_invang", bragg_json_number(p->used.qmax_invang));
    json_object_set_new(root, "qmax_found", json_boolean(p->qmax_found));
    json_object_set_new(root, "qmaxinst_invang", bragg_json_number(p->used.qmaxinst_invang));
    json_object_set_new(root, "qmaxinst_found", json_boolean(p->qmaxinst_found));
    json_object_set_new(root, "rpoly_ang", bragg_json_number(p->used.rpoly_ang));
    json_object_set_new(root, "window", json_string(bragg_pdf_window_name(p->used.window)));
    json_object_set_new(root, "low_r_slope", bragg_json_quantity(p->slope, p->slope_esd, "angstrom^-3"));
    json_object_set_new(root, "low_r_slope_expected", bragg_json_number(p->slope_expected));
    json_object_set_new(root, "low_r_slope_to_ang", bragg_json_number(p->slope_to_ang));
    json_object_set_new(root, "sq_tail", bragg_json_number(p->sq_tail));
    json_object_set_new(root, "points_q", json_integer((json_int_t)p->n));
    json_object_set_new(root, "points_r", json_integer((json_int_t)p->m));
    json_object_set_new(root, "errors", json_boolean(p->gr_sigma != NULL));
    json_object_set_new(root, "error_ratio", bragg_json_number(p->error_ratio));
    json_object_set_new(root, "outliers", json_integer((json_int_t)p->n_outliers));
    for (size_t k = 0; k < p->n_outliers && k < 8; k++)
        json_array_append_new(outliers, bragg_json_number(p->outlier_q[k]));
    json_object_set_new(root, "outliers_invang", outliers);
    bragg_pdf_partial_weights(&w->formula, &p->used, 0, weight);
    for (size_t i = 0; i < w->formula.n; i++)
        for (size_t j = i; j < w->formula.n; j++) {
            char name[32];
            snprintf(name, sizeof name, "%s-%s", w->formula.scatterer[i].name, w->formula.scatterer[j].name);
            json_object_set_new(partials, name, bragg_json_number(*next++));
        }
    json_object_set_new(root, "partial_weights", partials);
    if (p->used.physical)
        json_object_set_new(root, "physical", json_pack("{s:o, s:o, s:o, s:o, s:[o,o], s:o, s:o}", "compton_scale", bragg_json_number(p->compton_scale),
                                                        "multiple_ratio", bragg_json_number(p->multiple_ratio), "multiple_scale",
                                                        bragg_json_number(p->multiple_scale), "fluorescence", bragg_json_number(p->fluorescence), "drift",
                                                        bragg_json_number(p->drift[0]), bragg_json_number(p->drift[1]), "mu_t", bragg_json_number(p->mu_t),
                                                        "strain", bragg_json_number(p->strain)));
    return root;
}

static void print_text(const bragg_pdf *p, const char *label)
{
    char text[BRAGG_QUANTITY_TEXT];
    if (label)
        printf("%s: ", label);
    printf("%s route: Q %.4g to %.4g%s /angstrom transformed, data used to %.4g%s", p->used.physical ? "physical" : "ad hoc", p->used.qmin_invang,
           p->used.qmax_invang, p->qmax_found ? " (found from the noise)" : "", p->used.qmaxinst_invang, p->qmaxinst_found ? " (found)" : "");
    if (!p->used.physical)
        printf(", polynomial below %.3g angstrom", p->used.rpoly_ang);
    printf("\nscale %.6g with %.4g x background", p->scale, p->used.background_scale);
    if (p->background_found)
        printf(" (found; %.4g is the most that leaves nothing negative)", p->background_most);
    if (p->n_outliers)
        printf(", %zu outlier%s replaced, the first at Q = %.4g", p->n_outliers, p->n_outliers > 1 ? "s" : "", p->outlier_q[0]);
    printf("\nlow-r slope %s up to %.3g angstrom", bragg_number_print_quantity(text, p->slope, p->slope_esd, "/angstrom^3"), p->slope_to_ang);
    if (isfinite(p->slope_expected))
        printf(", -4 pi rho0 is %.4g", p->slope_expected);
    printf("; S(Q) is %.3f in the mean of the last fifth\n", p->sq_tail);
    if (p->used.physical)
        printf("Compton x %.3f, multiple scattering %.2g of single x %.2f, constant %.3g electrons^2, drift %.3f %.3f, mu t %.3g\n", p->compton_scale,
               p->multiple_ratio, p->multiple_scale, p->fluorescence, p->drift[0], p->drift[1], p->mu_t);
    if (p->strain > 4)
        printf("warning: G(r) below the first distance asks for corrections %.1f times those that are usual; are density, composition and background right?\n", p->strain);
    if (p->error_ratio > 4 || p->error_ratio < 0.25)
        printf("warning: errors of the data are %.2g x the scatter of neighbouring points: they are not those of counting, nor are those of G(r)\n", p->error_ratio);
    if (!p->gr_sigma)
        printf("no errors: the data have none\n");
}

/* I, S, F and G in one figure, both routes where there are two. */
static bragg_status plot(const wish *w, const item *x, bragg_error *err)
{
    static const char *const x_label[4] = { "<i>Q</i> (Å<sup>−1</sup>)", "<i>Q</i> (Å<sup>−1</sup>)", "<i>Q</i> (Å<sup>−1</sup>)", "<i>r</i> (Å)" };
    static const char *const y_label[4] = { "<i>I</i> (arb. units)", "<i>S</i>(<i>Q</i>)", "<i>F</i>(<i>Q</i>) (Å<sup>−1</sup>)", "<i>G</i>(<i>r</i>) (Å<sup>−2</sup>)" };
    bragg_plot_profile panel[4];
    bragg_plot_trace trace[4][3] = { { { { 0 }, false, false, 0, false } } };
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    double line_r[2] = { 0, x->pdf[0]->slope_to_ang }, line_g[2] = { 0, 0 };
    for (int k = 0; k < 4; k++) {
        panel[k] = (bragg_plot_profile)BRAGG_PLOT_PROFILE_INIT;
        panel[k].x_label = x_label[k];
        panel[k].y_label = y_label[k];
        panel[k].traces = trace[k];
        for (int route = 0; route < 2 && x->pdf[route] && !(k == 0 && route); route++) {
            const bragg_pdf *p = x->pdf[route];
            const double *const y[4] = { p->iq, p->sq, p->fq, p->gr }, *const e[4] = { p->iq_sigma, p->sq_sigma, p->fq_sigma, p->gr_sigma };
            const char *label = !x->pdf[1] || k == 0 ? NULL : route ? "physical" : "ad hoc";
            trace[k][panel[k].n_traces++].curve = (bragg_plot_curve){ k == 3 ? p->m : p->n, k == 3 ? p->r : p->q, y[k], e[k], label };
        }
        if (k < 3 && k > 0)
            panel[k].x_max = x->pdf[0]->used.qmax_invang;
    }
    if (isfinite(x->pdf[0]->slope_expected) && line_r[1] > 0) {
        line_g[1] = x->pdf[0]->slope_expected * line_r[1];
        trace[3][panel[3].n_traces] = (bragg_plot_trace){ { 2, line_r, line_g, NULL, "−4π<i>ρ</i><sub>0</sub><i>r</i>" }, false, true, 0, false };
        panel[3].n_traces++;
    }
    page.width_mm = 170;
    page.title = w->composition;
    page.force = w->force;
    return bragg_plot_profiles(panel, 4, 2, &page, w->plot, err);
}

/* ------------------------------------------------------------------ runs */

static bragg_status reduce_item(const wish *w, item *x, bragg_error *err)
{
    bragg_pattern *sample = NULL;
    bragg_pdf_options o = w->o;
    bragg_status st = read_pattern(x->path, x->index, w->unit, &sample, err);
    if (st == BRAGG_OK)
        st = take_empties_off(w, sample, err);
    o.anomalous = !w->plain && (o.wavelength_ang > 0 || (sample && sample->wavelength_ang > 0));
    if (st == BRAGG_OK)
        st = bragg_pdf_reduce(sample, w->empty, &w->formula, &o, &x->pdf[0], err);
    if (st == BRAGG_OK && w->both) {
        o.physical = true;
        o.background_scale = x->pdf[0]->used.background_scale;
        o.qmax_invang = x->pdf[0]->used.qmax_invang;
        o.auto_qmax = false;
        st = bragg_pdf_reduce(sample, w->empty, &w->formula, &o, &x->pdf[1], err);
    }
    bragg_pattern_free(sample);
    return st < 0 ? bragg_context(err, st, "'%s'", x->path) : st;
}

static void free_item(item *x)
{
    bragg_pdf_free(x->pdf[0]);
    bragg_pdf_free(x->pdf[1]);
    x->pdf[0] = x->pdf[1] = NULL;
}

typedef struct batch {
    const wish *w;
    item *item;
    json_t **json;
} batch;

/* Patterns of a batch run side by side; each writes its own files. */
static bragg_status reduce_batch(void *payload, size_t first, size_t last, bragg_error *err)
{
    const batch *b = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        item *x = &b->item[k];
        char out[4096];
        st = reduce_item(b->w, x, err);
        if (st == BRAGG_OK && snprintf(out, sizeof out, "%s/%s.gr", b->w->out, x->stem) >= (int)sizeof out)
            st = bragg_fail(err, BRAGG_EINVAL, "-o: the name is too long");
        for (int route = 0; route < 2 && st == BRAGG_OK && x->pdf[route]; route++)
            st = write_curves(b->w, x->pdf[route], x->path, out, route, err);
        if (st == BRAGG_OK)
            b->json[k] = pdf_json(b->w, x->pdf[0], x->stem);
        free_item(x);
    }
    return st;
}

static int by_stem(const void *a, const void *b) { return strcmp((*(const item *const *)a)->stem, (*(const item *const *)b)->stem); }

/* Patterns of one name in two folders would be one file. */
static bragg_status check_stems(const wish *w, const item *list, size_t n, bragg_error *err)
{
    const item **sorted = malloc((n + 1) * sizeof *sorted);
    bragg_status st = sorted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", n);
    for (size_t k = 0; sorted && k < n; k++)
        sorted[k] = &list[k];
    if (sorted)
        qsort(sorted, n, sizeof *sorted, by_stem);
    for (size_t k = 1; st == BRAGG_OK && k < n; k++)
        if (!strcmp(sorted[k]->stem, sorted[k - 1]->stem))
            st = bragg_fail(err, BRAGG_EINVAL, "'%s' and '%s' would both be written to '%s/%s.gr'", sorted[k - 1]->path, sorted[k]->path, w->out, sorted[k]->stem);
    free(sorted);
    return st;
}

static bragg_status run_batch(const wish *w, item *list, size_t n, bragg_error *err)
{
    batch b = { w, list, calloc(n, sizeof *b.json) };
    json_t *all = json_array();
    bragg_status st = b.json ? check_stems(w, list, n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", n);
    if (st == BRAGG_OK)
        st = bragg_path_make_folder(w->out, err);
    if (st == BRAGG_OK)
        st = bragg_parallel_for(n, 1, reduce_batch, &b, err);
    for (size_t k = 0; b.json && k < n; k++)
        if (b.json[k])
            json_array_append_new(all, b.json[k]);
    if (st == BRAGG_OK && w->json)
        st = bragg_json_print_take(json_pack("{s:O}", "patterns", all), err);
    else if (st == BRAGG_OK)
        printf("%zu patterns to %s\n", n, w->out);
    json_decref(all);
    free(b.json);
    return st;
}

static bragg_status run_one(const wish *w, item *x, bragg_error *err)
{
    bragg_status st = reduce_item(w, x, err);
    for (int route = 0; route < 2 && st == BRAGG_OK && x->pdf[route] && w->out; route++)
        st = write_curves(w, x->pdf[route], x->path, w->out, route, err);
    if (st == BRAGG_OK && w->plot)
        st = plot(w, x, err);
    if (st == BRAGG_OK && w->json) {
        json_t *root = pdf_json(w, x->pdf[0], NULL);
        if (x->pdf[1])
            json_object_set_new(root, "second", pdf_json(w, x->pdf[1], NULL));
        st = bragg_json_print_take(root, err);
    } else
        for (int route = 0; route < 2 && st == BRAGG_OK && x->pdf[route]; route++)
            print_text(x->pdf[route], NULL);
    free_item(x);
    return st;
}

/* Every pattern of every file. */
static bragg_status list_items(char **paths, int n_paths, bragg_arena *arena, item **out, size_t *n, bragg_error *err)
{
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (int k = 0; k < n_paths && st == BRAGG_OK; k++) {
        size_t count = 1;
        st = bragg_pattern_count(paths[k], &count, err);
        if (st == BRAGG_OK)
            st = bragg_array_grow(out, &room, *n + count, sizeof **out, err);
        for (size_t i = 0; i < count && st == BRAGG_OK; i++) {
            char stem[300];
            const char *base = bragg_path_stem(arena, paths[k]);
            snprintf(stem, sizeof stem, count > 1 ? "%.200s-%05zu" : "%.200s", base ? base : "pattern", i + 1);
            (*out)[*n] = (item){ .path = paths[k], .stem = bragg_arena_strdup(arena, stem), .index = i };
            if (!(*out)[(*n)++].stem)
                st = bragg_fail(err, BRAGG_ENOMEM, "no room for names");
        }
    }
    return st;
}

static bragg_status reduce(wish *w, char **paths, int n_paths, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    item *list = NULL;
    size_t n = 0;
    bragg_status st = arena ? bragg_composition_parse(w->composition, &w->formula, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for names");
    if (st == BRAGG_OK)
        st = choose_density(w, err);
    if (st == BRAGG_OK)
        st = list_items(paths, n_paths, arena, &list, &n, err);
    if (st == BRAGG_OK && w->background)
        st = read_pattern(w->background, 0, w->unit, &w->empty, err);
    if (st == BRAGG_OK && w->empty)
        st = take_empties_off(w, w->empty, err);
    if (st == BRAGG_OK && n > 1 && (!w->out || w->plot))
        st = bragg_fail(err, BRAGG_EINVAL, "%zu patterns: expected -o DIR and no --plot", n);
    if (st == BRAGG_OK)
        st = n > 1 ? run_batch(w, list, n, err) : run_one(w, list, err);
    bragg_pattern_free(w->empty);
    free(list);
    bragg_arena_free(arena);
    return st;
}

static bragg_status check_wish(wish *w, int operands, bragg_error *err)
{
    if (operands < 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected a PATTERN, found none");
    if (!w->composition)
        return bragg_fail(err, BRAGG_EINVAL, "expected --composition FORMULA, found none");
    if (!w->out && !w->json && !w->plot)
        return bragg_fail(err, BRAGG_EINVAL, "expected -o FILE.gr, --plot or --json, found none");
    if (strcmp(w->route, "adhoc") && strcmp(w->route, "physical") && strcmp(w->route, "both"))
        return bragg_fail(err, BRAGG_EINVAL, "--route: expected adhoc, physical or both, found '%s'", w->route);
    w->o.physical = !strcmp(w->route, "physical");
    w->both = !strcmp(w->route, "both");
    if (!bragg_pdf_window_parse(w->lorch ? "lorch" : w->window, &w->o.window))
        return bragg_fail(err, BRAGG_EINVAL, "--window: expected none, lorch, soper-lorch or cosine, found '%s'", w->window);
    if (strcmp(w->mount, "cylinder") && strcmp(w->mount, "plate"))
        return bragg_fail(err, BRAGG_EINVAL, "--mount: expected cylinder or plate, found '%s'", w->mount);
    w->o.mount = *w->mount == 'p' ? BRAGG_PDF_PLATE : BRAGG_PDF_CYLINDER;
    if (w->band < 0 || w->band > 5000)
        return bragg_fail(err, BRAGG_EINVAL, "--covariance: expected 0 to 5000 points, found %lld", w->band);
    w->o.band = (size_t)w->band;
    w->o.remove_outliers = !w->keep_outliers;
    w->o.auto_qmax = isnan(w->o.qmax_invang);
    return w->plot ? bragg_plot_check_path(w->plot, err) : BRAGG_OK;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    wish *w = payload;
    bragg_status st = check_wish(w, operands, err);
    return st == BRAGG_OK ? reduce(w, argv, operands, err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { .density = NAN, .o = BRAGG_PDF_OPTIONS_INIT, .route = "adhoc", .window = "none", .mount = "cylinder" };
    w.o.background_scale = NAN;
    const cli_option options[] = {
        { "background", 'b', CLI_TEXT, &w.background, "FILE", "pattern of container and air" },
        { "empty", 0, CLI_TEXT, &w.empties, "LIST", "further ones off both: air.xye*0.98,dark.xye" },
        { "bgscale", 0, CLI_NUMBER, &w.o.background_scale, "FACTOR", "of the background [found: the most that leaves nothing negative, or 1]" },
        { "composition", 'c', CLI_TEXT, &w.composition, "FORMULA", "of the sample: BiSnSb, 'Zr(HPO4)2', '[7]Li2O'" },
        { "wavelength", 'w', CLI_NUMBER, &w.o.wavelength_ang, "ANGSTROM", "for data in 2theta; default the file's" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "of the patterns, if they do not say: 2th_deg, q_A^-1, q_nm^-1" },
        { "qmin", 0, CLI_NUMBER, &w.o.qmin_invang, "Q", "the transform begins here [0]" },
        { "qmax", 0, CLI_NUMBER, &w.o.qmax_invang, "Q", "and ends here [found: where errors outweigh the signal]" },
        { "qmaxinst", 0, CLI_NUMBER, &w.o.qmaxinst_invang, "Q", "data beyond are not used [found: the detector's edge, or 4/3 qmax]" },
        { "rpoly", 0, CLI_NUMBER, &w.o.rpoly_ang, "ANGSTROM", "range of r the polynomial may bend, 0 for none [0.9]" },
        { "rmin", 0, CLI_NUMBER, &w.o.rmin_ang, "ANGSTROM", "first r [0]" },
        { "rmax", 0, CLI_NUMBER, &w.o.rmax_ang, "ANGSTROM", "last r [30]" },
        { "rstep", 0, CLI_NUMBER, &w.o.rstep_ang, "ANGSTROM", "step of r [0.01]" },
        { "window", 0, CLI_TEXT, &w.window, "NAME", "on F(Q): none, lorch, soper-lorch, cosine [none]" },
        { "lorch", 0, CLI_FLAG, &w.lorch, NULL, "the same as --window lorch" },
        { "route", 0, CLI_TEXT, &w.route, "NAME", "adhoc, physical (needs a density) or both [adhoc]" },
        { "neutron", 0, CLI_FLAG, &w.o.neutron, NULL, "weights are neutron scattering lengths" },
        { "no-anomalous", 0, CLI_FLAG, &w.plain, NULL, "leave f' and f'' out of the weights, as without wavelength" },
        { "compton", 0, CLI_FLAG, &w.o.compton, NULL, "take calculated Compton scattering off, also ad hoc" },
        { "compton-window", 0, CLI_NUMBER, &w.o.compton_window_ang, "ANGSTROM", "integral width of the detector's energy window [open]" },
        { "polarization", 0, CLI_NUMBER, &w.o.polarization, "P", "divide out: 0 whole rings of an unpolarized beam [done]" },
        { "mu-r", 0, CLI_NUMBER, &w.o.mu_r, "NUMBER", "absorption of a capillary, mu x radius [0]" },
        { "mount", 0, CLI_TEXT, &w.mount, "NAME", "cylinder or plate [cylinder]" },
        { "size", 0, CLI_NUMBER, &w.o.size_mm, "MM", "radius or thickness, for absorption and multiple scattering [none]" },
        { "packing", 0, CLI_NUMBER, &w.o.packing, "FRACTION", "of the volume that is sample [0.6]" },
        { "wall", 0, CLI_NUMBER, &w.o.wall_mm, "MM", "of the container [0]" },
        { "wall-mu", 0, CLI_NUMBER, &w.o.wall_mu_per_mm, "PER_MM", "its attenuation [0]" },
        { "density", 0, CLI_NUMBER, &w.density, "G_CM3", "of the solid: for the physical route and the expected low-r slope" },
        { "number-density", 0, CLI_NUMBER, &w.o.number_density, "PER_A3", "the same in atoms/angstrom^3" },
        { "first-distance", 0, CLI_NUMBER, &w.o.first_distance_ang, "ANGSTROM", "of atoms, as you know it; the low-r slope is taken below it [seen]" },
        { "keep-outliers", 0, CLI_FLAG, &w.keep_outliers, NULL, "do not replace points that stand alone" },
        { "covariance", 0, CLI_INTEGER, &w.band, "POINTS", "write .cov and .sqcov, covariances this many points apart" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE|DIR", "write .gr, .fq, .sq or .iq; of many patterns each a .gr in DIR" },
        { "all", 0, CLI_FLAG, &w.all, NULL, "write all four beside each other" },
        { "plot", 0, CLI_TEXT, &w.plot, "FILE", "figure of I, S, F and G: .svg, .pdf or .png" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    static const cli_command *const subs[] = { &cli_pdf_fit, &cli_pdf_difference, &cli_pdf_debye };
    for (size_t k = 0; argc > 1 && k < sizeof subs / sizeof *subs; k++)
        if (!strcmp(argv[1], subs[k]->name + 4))
            return subs[k]->run(argc - 1, argv + 1);
    return cli_run(&cli_pdf, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_pdf = { "pdf", "PATTERN… --background B --composition X --qmax Q -o OUT.gr", "total scattering to the pair distribution function", run };

/* ------------------------------------------------------------ difference */

typedef struct change {
    const char *out;
    double scale, rmin, rmax;
    bool json, force;
} change;

static bragg_status subtract(change *w, char **paths, bragg_error *err)
{
    bragg_pdf_data *a = NULL, *b = NULL, *d = NULL;
    char comment[600];
    double left = 0, all = 0;
    bragg_status st = bragg_pdf_data_read(paths[0], &a, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_data_read(paths[1], &b, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_difference(a, b, w->rmin, w->rmax, &w->scale, &d, err);
    for (size_t i = 0; st == BRAGG_OK && i < d->n; i++) {
        left += d->g[i] * d->g[i];
        all += a->g[i] * a->g[i];
    }
    if (st == BRAGG_OK && w->out) {
        snprintf(comment, sizeof comment, "inputfile = %.250s\nsubtracted = %.250s\nscale = %.9g", paths[0], paths[1], w->scale);
        st = bragg_pdf_data_write(d, comment, w->out, w->force, err);
    }
    if (st == BRAGG_OK && w->json)
        st = bragg_json_print_take(json_pack("{s:o, s:o}", "scale", bragg_json_quantity(w->scale, NAN, ""), "changed", bragg_json_number(sqrt(left / all))), err);
    else if (st == BRAGG_OK)
        printf("%s - %.6g x %s: %.2f %% of G(r) has changed\n", paths[0], w->scale, paths[1], 100 * sqrt(left / all));
    bragg_pdf_data_free(a);
    bragg_pdf_data_free(b);
    bragg_pdf_data_free(d);
    return st;
}

static bragg_status work_difference(void *payload, int operands, char **argv, bragg_error *err)
{
    if (operands != 2)
        return bragg_fail(err, BRAGG_EINVAL, "expected two .gr files, found %d names", operands);
    return subtract(payload, argv, err);
}

static int run_difference(int argc, char **argv)
{
    change w = { .scale = NAN, .rmin = 1, .rmax = 1e9 };
    const cli_option options[] = {
        { "scale", 0, CLI_NUMBER, &w.scale, "FACTOR", "of the second [fitted]" },
        { "rmin", 0, CLI_NUMBER, &w.rmin, "ANGSTROM", "fit it from [1]" },
        { "rmax", 0, CLI_NUMBER, &w.rmax, "ANGSTROM", "to [the last]" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE.gr", "write the difference" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_pdf_difference, options, sizeof options / sizeof *options, argc, argv, work_difference, &w);
}

const cli_command cli_pdf_difference = { "pdf difference", "A.gr B.gr -o OUT.gr", "what of G(r) changes between two states", run_difference };
