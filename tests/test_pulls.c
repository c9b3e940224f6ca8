/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Esds are what they say: fits of many noise realizations of simulated patterns.
 * BRAGG_PULLS sets their number (24 without it), BRAGG_SEED another run of them. */
#include "config.h"
#include "close.h"
#include "suite.h"
#include "random.h"
#include "parameters.h"

#include <bragg/number.h>
#include <bragg/refine.h>
#include <bragg/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long long number_from(const char *name, long long without)
{
    const char *text = getenv(name);
    if (text)
        ck_assert_msg(bragg_integer_parse(text, &without), "%s: %s", name, text);
    return without;
}

static bragg_structure *make_structure(const char *group, const double cell[6], const char *const elements[2], const double x[2][3], const double uiso[2])
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(2, 2);
    s->name = s->formula = "";
    s->cell = (bragg_cell){ cell[0], cell[1], cell[2], cell[3] * BRAGG_DEG, cell[4] * BRAGG_DEG, cell[5] * BRAGG_DEG };
    ck_assert_msg(bragg_symmetry_from_symbol(group, &s->symmetry, &err) == BRAGG_OK, "%s", err.text);
    for (int k = 0; k < 2; k++) {
        bragg_scatterer_find(elements[k], &s->scatterer[k], NULL, NULL);
        s->atom[k] = (bragg_atom){ .label = k ? "B" : "A", .scatterer = (size_t)k, .occupancy = 1, .uiso_ang2 = uiso[k] };
        memcpy(s->atom[k].x, x[k], 3 * sizeof(double));
    }
    return s;
}

/* A twin: one or two patterns, one or two phases, values of the truth, what is free. */
typedef struct twin {
    const char *name;
    int n_patterns, n_phases;
    struct { const char *name; bragg_radiation radiation; bragg_mount mount; double first_deg, step_deg; size_t n; } pattern[2];
    struct { const char *name, *group, *elements[2]; double cell[6], x[2][3], uiso[2]; } phase[2];
    struct { const char *name; double value; } truth[20];
    const char *wanted[12];
} twin;

static const twin twins[3] = {
    { "laboratory, two wavelengths, two phases", 1, 2,
      { { NULL, { .n_lines = 2, .wavelength_ang = { 1.540593, 1.544427 }, .ratio = { 1, 0.497 }, .polarization = 0.5 }, BRAGG_BRAGG_BRENTANO, 17.3, 0.021, 4700 } },
      { { "P", "P n m a", { "Pb", "S" }, { 8.482, 5.399, 6.961, 90, 90, 90 }, { { 0.1878, 0.25, 0.1673 }, { 0.0635, 0.25, 0.6843 } }, { 0.0137, 0.0091 } },
        { "Q", "P 63 m c", { "Zn", "O" }, { 3.2503, 3.2503, 5.2072, 90, 90, 120 }, { { 0.33333333333, 0.66666666667, 0 }, { 0.33333333333, 0.66666666667, 0.3819 } }, { 0.0067, 0.0081 } } },
      { { "background.0", 230 }, { "background.1", -60 }, { "background.2", 25 }, { "instrument.w", 0.0063 }, { "instrument.u", 0.004 }, { "instrument.v", -0.002 },
        { "instrument.x", 0.031 }, { "instrument.displacement", 0.083 }, { "phase.P.scale", 3.7 }, { "phase.Q.scale", 71 }, { "phase.P.size", 63 }, { "phase.Q.size", 41 } },
      { "background", "phase.*.scale", "phase.*.cell", "phase.*.size", "instrument.w", "instrument.displacement", "phase.P.atom.*.[xyz]", "phase.*.uiso" } },
    { "synchrotron, R-3m alloy with size and strain", 1, 1,
      { { NULL, { .n_lines = 1, .wavelength_ang = { 0.2413 }, .ratio = { 1 }, .polarization = 0.99 }, BRAGG_DEBYE_SCHERRER, 2.1, 0.0043, 3700 } },
      { { "A", "R -3 m:H", { "Bi", "Sb" }, { 4.4073, 4.4073, 11.7094, 90, 90, 120 }, { { 0, 0, 0.2346 }, { 0, 0, 0.2346 } }, { 0.0121, 0.0121 } } },
      { { "background.0", 410 }, { "background.1", -190 }, { "background.2", 60 }, { "background.3", -13 }, { "instrument.w", 0.00021 }, { "instrument.x", 0.0013 },
        { "instrument.zero", 0.0017 }, { "phase.A.scale", 0.13 }, { "phase.A.size", 37 }, { "phase.A.strain", 1730 }, { "phase.A.atom.A.occupancy", 0.5 },
        { "phase.A.atom.B.occupancy", 0.5 } },
      { "background", "phase.*.scale", "phase.*.cell", "phase.*.size", "phase.*.strain", "instrument.zero", "phase.*.z", "phase.*.uiso" } },
    { "X-rays and neutrons jointly", 2, 1,
      { { "X", { .n_lines = 2, .wavelength_ang = { 1.540593, 1.544427 }, .ratio = { 1, 0.497 }, .polarization = 0.5 }, BRAGG_BRAGG_BRENTANO, 17.3, 0.031, 3100 },
        { "N", { .neutron = true, .n_lines = 1, .wavelength_ang = { 1.909 }, .ratio = { 1 }, .polarization = 0.5 }, BRAGG_DEBYE_SCHERRER, 11.7, 0.051, 2700 } },
      { { "P", "P n m a", { "Pb", "S" }, { 8.482, 5.399, 6.961, 90, 90, 90 }, { { 0.1878, 0.25, 0.1673 }, { 0.0635, 0.25, 0.6843 } }, { 0.0137, 0.0091 } } },
      { { "X.background.0", 230 }, { "X.background.1", -60 }, { "N.background.0", 170 }, { "X.instrument.w", 0.0063 }, { "X.instrument.x", 0.031 },
        { "X.instrument.displacement", 0.083 }, { "N.instrument.u", 0.13 }, { "N.instrument.v", -0.35 }, { "N.instrument.w", 0.33 }, { "N.instrument.zero", -0.023 },
        { "X.phase.P.scale", 5.7 }, { "N.phase.P.scale", 3310 } },
      { "[XN].background", "[XN].phase.*.scale", "phase.*.cell", "X.instrument.w", "X.instrument.x", "X.instrument.displacement", "N.instrument.[uvw]",
        "N.instrument.zero", "phase.P.atom.*.[xyz]", "phase.*.uiso" } },
};

static bragg_model *model_of(const twin *w, bragg_pattern *const *p)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    for (int k = 0; k < w->n_patterns; k++) {
        bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
        o.name = w->pattern[k].name;
        o.radiation = w->pattern[k].radiation;
        o.mount = w->pattern[k].mount;
        o.radius_m = 0.217;
        o.background_terms = 4;
        ck_assert_msg(bragg_model_add_pattern(m, p[k], &o, &err) == BRAGG_OK, "%s", err.text);
    }
    for (int k = 0; k < w->n_phases; k++) {
        bragg_structure *s = make_structure(w->phase[k].group, w->phase[k].cell, w->phase[k].elements, w->phase[k].x, w->phase[k].uiso);
        ck_assert_msg(bragg_model_add_phase(m, w->phase[k].name, s, NULL, &err) == BRAGG_OK, "%s", err.text);
        bragg_structure_free(s);
    }
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = 0; k < 20 && w->truth[k].name; k++)
        set(m, w->truth[k].name, w->truth[k].value);
    bragg_params_apply_ties(bragg_model_params(m));
    for (size_t k = 0; k < 12 && w->wanted[k]; k++)
        ck_assert_msg(bragg_model_select(m, w->wanted[k], true), "%s selects nothing", w->wanted[k]);
    return m;
}

/* The first pattern's mean background: as it is, sum of its pulls and of their squares. */
typedef struct ground {
    double truth, sum, square;
} ground;

/* Sums of pulls and their squares, by row. */
static void one_fit(bragg_model *m, const bragg_params *truth, double *sum, double *square, ground *mean, double *gof)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_refine_options o = BRAGG_REFINE_OPTIONS_INIT;
    bragg_fit *f;
    o.stages = false;
    bragg_params *t = bragg_model_params(m);
    for (size_t i = 0; i < t->n; i++)
        t->at[i].value = truth->at[i].value;
    ck_assert_msg(bragg_refine(m, &o, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    for (size_t i = 0; i < t->n; i++) {
        if (!t->at[i].refine)
            continue;
        double pull = (t->at[i].value - truth->at[i].value) / t->at[i].esd;
        ck_assert_msg(isfinite(pull), "%s: %g +- %g", t->at[i].name, t->at[i].value, t->at[i].esd);
        sum[i] += pull;
        square[i] += pull * pull;
    }
    bragg_quantity below;
    ck_assert_int_eq(bragg_model_background_mean(m, 0, f, &below, &err), BRAGG_OK);
    mean->sum += (below.value - mean->truth) / below.esd;
    mean->square += pow((below.value - mean->truth) / below.esd, 2);
    *gof += f->gof;
    bragg_fit_free(f);
}

/* With n realizations a mean scatters by 1 / sqrt(n) and a width by 1 / sqrt(2 n): the
 * worst of some twenty parameters by three times that, which is allowed on top. */
static int judge(const bragg_params *t, const double *sum, const double *square, int n)
{
    double worst_mean = 0, worst_width = 0, slack_mean = fmax(0.2, 3.7 / sqrt(n)), slack_width = fmax(0.1, 3.7 / sqrt(2. * n));
    int bad = 0, free_rows = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->at[i].refine)
            continue;
        double mean = sum[i] / n, width = sqrt(fmax(square[i] / n - mean * mean, 0) * n / (n - 1.));
        bool good = fabs(mean) < slack_mean && fabs(width - 1) < slack_width;
        free_rows++;
        bad += !good;
        if (fabs(mean) > fabs(worst_mean))
            worst_mean = mean;
        if (fabs(width - 1) > fabs(worst_width - 1) || free_rows == 1)
            worst_width = width;
        if (!good || fabs(mean) > 0.2 || fabs(width - 1) > 0.1)
            printf("    %-28s mean %+.3f  width %.3f\n", t->at[i].name, mean, width);
    }
    printf("  %d parameters, %d realizations: worst mean %+.3f, worst width %.3f\n", free_rows, n, worst_mean, worst_width);
    return bad;
}

START_TEST(pulls_are_normal)
{
    const twin *w = &twins[_i];
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p[2] = { NULL, NULL };
    double *clean[2] = { NULL, NULL }, gof = 0;
    int n = (int)number_from("BRAGG_PULLS", 24);
    random_state = 88172645463325252ULL + 0x9e3779b97f4a7c15ULL * (unsigned long long)(number_from("BRAGG_SEED", 0) * 3 + _i);
    for (int k = 0; k < w->n_patterns; k++) {
        p[k] = bragg_pattern_new(w->pattern[k].n, BRAGG_AXIS_TTH);
        clean[k] = malloc(p[k]->n * sizeof **clean);
        for (size_t i = 0; i < p[k]->n; i++) {
            p[k]->x[i] = (w->pattern[k].first_deg + w->pattern[k].step_deg * (double)i) * BRAGG_DEG;
            p[k]->y[i] = p[k]->sigma[i] = 1;
        }
    }
    bragg_model *m = model_of(w, p);
    bragg_params truth = BRAGG_PARAMS_INIT;
    ck_assert_int_eq(bragg_params_copy(&truth, bragg_model_params(m), &err), BRAGG_OK);
    for (int k = 0; k < w->n_patterns; k++) {
        ck_assert_int_eq(bragg_model_calculate(m, (size_t)k, NULL, NULL, NULL, clean[k], NULL, &err), BRAGG_OK);
        double top = 0, least = INFINITY;
        for (size_t i = 0; i < p[k]->n; i++) {
            top = fmax(top, clean[k][i]);
            least = fmin(least, clean[k][i]);
        }
        printf("%s: %.0f to %.0f counts\n", w->name, least, top);
        ck_assert(least > 20 && top > 10 * least);
    }
    bragg_quantity below;
    ck_assert_int_eq(bragg_model_background_mean(m, 0, NULL, &below, &err), BRAGG_OK);
    ck_assert(below.value > 20 && isnan(below.esd));
    ground mean = { below.value, 0, 0 };
    double *sum = calloc(2 * truth.n, sizeof *sum);
    for (int run = 0; run < n; run++) {
        for (int k = 0; k < w->n_patterns; k++) {
            for (size_t i = 0; i < p[k]->n; i++) {
                p[k]->sigma[i] = sqrt(clean[k][i]);
                p[k]->y[i] = clean[k][i] + p[k]->sigma[i] * deviate();
            }
            ck_assert_int_eq(bragg_model_replace_pattern(m, (size_t)k, p[k], &err), BRAGG_OK);
        }
        one_fit(m, &truth, sum, sum + truth.n, &mean, &gof);
    }
    int bad = judge(bragg_model_params(m), sum, sum + truth.n, n);
    double off = mean.sum / n, width = sqrt((mean.square / n - off * off) * n / (n - 1.));
    printf("  mean background: pulls of mean %+.3f, width %.3f\n", off, width);
    ck_assert_msg(fabs(off) < 3.7 / sqrt(n) && fabs(width - 1) < 3.7 / sqrt(2. * n), "mean background: pulls of mean %.3f, width %.3f", off, width);
    printf("  mean goodness of fit %.4f\n", gof / n);
    fflush(stdout);
    ck_assert_msg(!bad, "%d pulls", bad);
    free(sum);
    bragg_params_free(&truth);
    bragg_model_free(m);
    for (int k = 0; k < w->n_patterns; k++) {
        bragg_pattern_free(p[k]);
        free(clean[k]);
    }
}
END_TEST

/* A7: (0 0 z) and (2/3 1/3 1/3-z) are apart d^2 = a^2/3 + c^2 (2z - 1/3)^2. */
START_TEST(distances_carry_the_full_covariance)
{
    const twin *w = &twins[1];
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p = bragg_pattern_new(w->pattern[0].n, BRAGG_AXIS_TTH);
    random_state = 88172645463325252ULL;
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (w->pattern[0].first_deg + w->pattern[0].step_deg * (double)i) * BRAGG_DEG;
        p->y[i] = p->sigma[i] = 1;
    }
    bragg_model *m = model_of(w, &p);
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < p->n; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * deviate();
    }
    ck_assert_int_eq(bragg_model_replace_pattern(m, 0, p, &err), BRAGG_OK);
    bragg_fit *f;
    bragg_refine_options o = BRAGG_REFINE_OPTIONS_INIT;
    o.stages = false;
    ck_assert_int_eq(bragg_refine(m, &o, &f, &err), BRAGG_CONVERGED);
    bragg_params *t = bragg_model_params(m);
    size_t row[3] = { (size_t)bragg_params_find(t, "phase.A.cell.a"), (size_t)bragg_params_find(t, "phase.A.cell.c"),
                      (size_t)bragg_params_find(t, "phase.A.atom.A.z") };
    double a = t->at[row[0]].value, c = t->at[row[1]].value, z = 2 * t->at[row[2]].value - 1. / 3, d = sqrt(a * a / 3 + c * c * z * z);
    double *slope = calloc(t->n, sizeof *slope);
    slope[row[0]] = a / (3 * d);
    slope[row[1]] = c * z * z / d;
    slope[row[2]] = 2 * c * c * z / d;
    double esd = sqrt(bragg_fit_variance(f, t, slope)), value = NAN, found = NAN;
    for (size_t i = 0; i < f->variables; i++) { /* var(x + y) tells their correlation */
        double *sum = calloc(t->n, sizeof *sum), other = t->at[f->row[(i + 3) % f->variables]].esd, own = t->at[f->row[i]].esd;
        sum[f->row[i]] = sum[f->row[(i + 3) % f->variables]] = 1;
        assert_close(bragg_fit_correlation(f, i, (i + 3) % f->variables) + 2, (bragg_fit_variance(f, t, sum) - own * own - other * other) / (2 * own * other) + 2, 1e-9);
        free(sum);
    }
    char name[] = "geometry-XXXXXX", path[64], line[200];
    ck_assert_ptr_nonnull(mkdtemp(name));
    snprintf(path, sizeof path, "%s/geometry.csv", name);
    ck_assert_msg(bragg_fit_write_geometry(m, f, path, false, &err) == BRAGG_OK, "%s", err.text);
    FILE *in = fopen(path, "r");
    while (isnan(value) && fgets(line, sizeof line, in))
        if (!strncmp(line, "A,A,A,", 6) && strstr(line, "distance,"))
            ck_assert_int_eq(sscanf(strstr(line, "distance,"), "distance,%lf,%lf", &value, &found), 2);
    fclose(in);
    remove(path);
    remove(name);
    ck_assert_msg(fabs(value - d) < 1e-6 && fabs(found / esd - 1) < 0.01, "%.7f +- %.3g, expected %.7f +- %.3g", value, found, d, esd);
    free(slope);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pulls");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 0);
    tcase_add_loop_test(all, pulls_are_normal, 0, 3);
    tcase_add_test(all, distances_carry_the_full_covariance);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
