/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Total scattering: to G(r) and back to the structure, and its peaks by themselves. */
#include "config.h"
#include "demo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PEAKS = 8 };

typedef struct sample {
    bragg_truth_state truth;
    bragg_quantity peak[PEAKS];  /* where G(r) has its maxima, angstrom */
    double true_peak[PEAKS];
} sample;

/* ---------------------------------------------------------------- peaks */

/* The top of a parabola through the points within half_width of r.  Neighbouring
 * points of G share their errors: those of F grow with Q, so the slope's is sqrt(3/5)
 * Qmax sigma, and the top moves by that over the curvature. */
static bragg_quantity top_near(const double *r, const double *g, const double *sigma, size_t n, double qmax, double at, double half_width)
{
    double s[5] = { 0 }, t[3] = { 0 }, noise = 0;
    for (size_t i = 0; i < n; i++) {
        double x = r[i] - at, p = 1;
        if (fabs(x) > half_width)
            continue;
        noise = sigma ? fmax(noise, sigma[i]) : NAN;
        for (int k = 0; k < 5; k++, p *= x) {
            s[k] += p;
            if (k < 3)
                t[k] += p * g[i];
        }
    }
    /* normal matrix of 1, x, x^2 by Cramer's rule */
    double c00 = s[2] * s[4] - s[3] * s[3], c01 = s[2] * s[3] - s[1] * s[4], c02 = s[1] * s[3] - s[2] * s[2];
    double c11 = s[0] * s[4] - s[2] * s[2], c12 = s[1] * s[2] - s[0] * s[3], c22 = s[0] * s[2] - s[1] * s[1];
    double det = s[0] * c00 + s[1] * c01 + s[2] * c02;
    double b = (c01 * t[0] + c11 * t[1] + c12 * t[2]) / det, c = (c02 * t[0] + c12 * t[1] + c22 * t[2]) / det;
    return (bragg_quantity){ at - b / (2 * c), sqrt(0.6) * qmax * noise / fabs(2 * c) };
}

/* Maxima of a curve from 2.5 angstrom on, PEAKS at most. */
static size_t find_tops(const double *r, const double *g, size_t n, double out[PEAKS])
{
    size_t found = 0;
    for (size_t i = 1; i + 1 < n && found < PEAKS; i++)
        if (r[i] > 2.5 && g[i] > g[i - 1] && g[i] >= g[i + 1] && g[i] > 0)
            out[found++] = top_near(r, g, NULL, n, 0, r[i], 0.08).value;
    return found;
}

/* G(r) of the truth on the points of the measured one, cut at the same Q. */
static bragg_status true_curve(const char *card, const bragg_truth_phase *t, const bragg_pdf_data *data, double *g, bragg_error *err)
{
    bragg_structure *s;
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    bragg_status st = bragg_structure_read_cif(card, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    for (int k = 0; k < 6; k++)
        (&s->cell.a)[k] = t->cell[k] * (k < 3 ? 1 : BRAGG_DEG);
    for (size_t k = 0; k < s->n_atoms; k++) {
        s->atom[k].uiso_ang2 = t->uiso_ang2;
        s->atom[k].x[2] = t->z;
    }
    shape.rmin_ang = data->r[0];
    shape.rstep_ang = data->r[1] - data->r[0];
    shape.n = data->n;
    shape.qmax_invang = data->qmax_invang;
    shape.delta2_ang2 = t->delta2;
    shape.qdamp_invang = 0.03; /* moves no top */
    st = bragg_pdf_model(s, &shape, g, NULL, err);
    bragg_structure_free(s);
    return st;
}

static bragg_status measure_peaks(const demo *d, sample *s, const char *card, bragg_error *err)
{
    bragg_pdf_data *data;
    bragg_status st = bragg_pdf_data_read(demo_file(d, s->truth.name, ".gr"), &data, err);
    double *g = st == BRAGG_OK ? malloc(data->n * sizeof *g) : NULL;
    if (st == BRAGG_OK)
        st = g ? true_curve(card, &s->truth.phase[0], data, g, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a curve");
    double tops[PEAKS];
    size_t n = st == BRAGG_OK ? find_tops(data->r, g, data->n, tops) : 0;
    for (size_t k = 0; k < PEAKS; k++) {
        s->true_peak[k] = k < n ? tops[k] : NAN;
        if (k < n)
            s->peak[k] = top_near(data->r, data->g, data->sigma, data->n, data->qmax_invang, tops[k], 0.08);
    }
    free(g);
    if (st >= 0)
        bragg_pdf_data_free(data);
    return st;
}

/* Which way does each distance move? */
static void compare_shifts(demo *d, const sample *a, const sample *b)
{
    char name[160], worst[120] = "";
    size_t good = 0, of = 0;
    if (!d->json)
        printf("\n");
    for (size_t k = 0; k < PEAKS; k++) {
        size_t j = 0;
        for (size_t i = 1; i < PEAKS; i++) /* its neighbour in the other sample */
            if (fabs(b->true_peak[i] - 1.015 * a->true_peak[k]) < fabs(b->true_peak[j] - 1.015 * a->true_peak[k]))
                j = i;
        if (!isfinite(a->true_peak[k]) || !(fabs(b->true_peak[j] - 1.015 * a->true_peak[k]) < 0.15))
            continue;
        double truth = b->true_peak[j] - a->true_peak[k];
        bragg_quantity q = { b->peak[j].value - a->peak[k].value, hypot(a->peak[k].esd, b->peak[j].esd) };
        snprintf(name, sizeof name, "shift of the peak at %.3f", a->true_peak[k]);
        demo_compare(d, name, truth, q, "angstrom");
        of++;
        good += fabs(q.value - truth) <= 2 * q.esd;
    }
    demo_count(d, "shifts within 2 esd", good, of, 1, worst);
}

/* ------------------------------------------------------------- analysis */

static bragg_status reduce(const demo *d, const char *name, const char *empty, const char *composition, bragg_error *err)
{
    char log[200];
    const char *argv[] = { "pdf", demo_file(d, name, ".xye"), "--background", demo_file(d, empty, ".xye"), "--composition", composition, "--qmax", "24", "--rmin", "0.5", "-o",
                           demo_file(d, name, ".gr"), "--all", "--force" };
    snprintf(log, sizeof log, "%.150s-pdf.txt", name);
    return demo_command(&cli_pdf, sizeof argv / sizeof *argv, argv, bragg_path_join(d->arena, d->out, log), err);
}

static bragg_status draw(const demo *d, const char *name, bragg_error *err)
{
    const char *argv[] = { "plot", demo_file(d, name, ".gr"), "-o", demo_file(d, name, "-gr.png"), "--force" };
    return demo_command(&cli_plot, 5, argv, demo_file(d, name, "-plot.txt"), err);
}

static bragg_quantity parameter(const json_t *root, const char *phase, const char *end)
{
    const char *name;
    json_t *q;
    json_object_foreach(json_object_get(root, "parameters"), name, q) {
        size_t n = strlen(name), m = strlen(end);
        if (!strncmp(name, "phase.", 6) && strstr(name, phase) && n > m && !strcmp(name + n - m, end) && json_is_number(json_object_get(q, "esd")))
            return (bragg_quantity){ json_number_value(json_object_get(q, "value")), json_number_value(json_object_get(q, "esd")) };
    }
    return (bragg_quantity){ NAN, NAN };
}

static bragg_status fit(demo *d, const sample *s, bragg_error *err)
{
    const bragg_truth_phase *t = &s->truth.phase[0];
    const char *argv[] = { "fit", demo_file(d, s->truth.name, ".yaml"), "--json" };
    const char *out = demo_file(d, s->truth.name, "-fit.json");
    bragg_status st = demo_command(&cli_pdf_fit, 3, argv, out, err);
    if (st < 0)
        return st;
    json_t *root = json_load_file(out, 0, NULL);
    const struct { const char *end; double truth; const char *unit; } rows[] = {
        { ".cell.a", t->cell[0], "angstrom" }, { ".cell.c", t->cell[2], "angstrom" }, { ".z", t->z, "" }, { ".uiso", t->uiso_ang2, "angstrom^2" } };
    if (!d->json)
        printf("\n%s: Rw %.2f %%\n", s->truth.name, 100 * json_number_value(json_object_get(root, "rw")));
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        char name[160];
        bragg_quantity q = parameter(root, t->name, rows[k].end);
        snprintf(name, sizeof name, "%.60s.%.60s%s", s->truth.name, t->name, rows[k].end);
        if (isfinite(rows[k].truth) && isfinite(q.esd))
            demo_compare(d, name, rows[k].truth, q, rows[k].unit);
    }
    json_decref(root);
    return BRAGG_OK;
}

/* The card of the experiment, and what it is made of: "Bi2 Sb2 Sn2". */
static bragg_status read_card(const demo *d, const char *name, const char **card, const char **formula, bragg_error *err)
{
    const bragg_yaml *root, *phases, *node;
    const char *text;
    bragg_structure *s;
    bragg_status st = bragg_yaml_read(demo_file(d, name, ".yaml"), d->arena, &root, err);
    if (st < 0)
        return st;
    phases = bragg_yaml_get(root, "phases");
    node = phases && phases->child ? bragg_yaml_get(phases->child, "card") : NULL;
    if (!node || (st = bragg_yaml_text(node, &text, err)) < 0)
        return bragg_fail(err, BRAGG_EDATA, "%s.yaml: expected a phase with a card, found none", name);
    *card = bragg_path_join(d->arena, d->out, text);
    st = bragg_structure_read_cif(*card, NULL, &s, NULL, 0, err);
    if (st == BRAGG_OK) {
        if (!(*formula = bragg_arena_strdup(d->arena, s->formula)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a formula");
        bragg_structure_free(s);
    }
    return st;
}

bragg_status demo_total(demo *d, bragg_error *err)
{
    sample s[2] = { { .truth = { .n = 0 } } };
    const char *empty = NULL, *card = NULL, *formula = NULL;
    size_t n = 0;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < d->about.n_states && st >= 0; k++) {
        bragg_truth_state t;
        if ((st = bragg_truth_state_at(d->truth, k, &t, err)) < 0)
            break;
        if (!t.n)
            empty = t.name;
        else if (n < 2)
            s[n++].truth = t;
    }
    if (st >= 0 && !empty)
        st = bragg_fail(err, BRAGG_EDATA, "total scattering: expected an empty container among the frames, found none");
    for (size_t k = 0; k < n && st >= 0; k++) {
        const char *name = s[k].truth.name;
        st = read_card(d, name, &card, &formula, err);
        if (st >= 0)
            st = reduce(d, name, empty, formula, err);
        if (st >= 0)
            st = draw(d, name, err);
        if (st >= 0)
            st = fit(d, &s[k], err);
        if (st >= 0)
            st = measure_peaks(d, &s[k], card, err);
    }
    if (st >= 0 && n == 2)
        compare_shifts(d, &s[0], &s[1]);
    return st;
}
