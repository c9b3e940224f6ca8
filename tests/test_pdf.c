/* SPDX-License-Identifier: GPL-3.0-or-later */
/* G(r) calculated and reduced, against libdiffpy and PDFgetX3. */
#include "config.h"
#include "reference.h"
#include "suite.h"
#include <bragg/pdf.h>
#include <stdint.h>
#include <time.h>

/* Columns x y … of a text file, from its first line of numbers; *n rows of up to
 * three. */
static double (*columns(const char *path, size_t *n))[3]
{
    FILE *in = fopen(path, "r");
    char line[512];
    double (*out)[3] = calloc(20000, sizeof *out);
    ck_assert_msg(in != NULL, "%s", path);
    for (*n = 0; *n < 20000 && fgets(line, sizeof line, in);) {
        const char *at = line;
        int k = 0;
        while (k < 3 && bragg_number_scan(at, &at, &out[*n][k]))
            k++;
        *n += k >= 2;
    }
    fclose(in);
    return out;
}

static bragg_structure *structure(const char *symbol, const bragg_cell *cell, const char *const *species, const double (*x)[3], double biso, size_t n)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(n, n);
    bool exact;
    s->cell = *cell;
    ck_assert_msg(bragg_symmetry_from_symbol(symbol, &s->symmetry, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = 0; k < n; k++) {
        ck_assert_int_eq(bragg_scatterer_find(species[k], &s->scatterer[k], &exact, &err), BRAGG_OK);
        s->atom[k].label = species[k];
        s->atom[k].scatterer = k;
        memcpy(s->atom[k].x, x[k], sizeof x[k]);
        s->atom[k].occupancy = 1.0 / (double)n;
        s->atom[k].uiso_ang2 = biso / (8 * BRAGG_PI * BRAGG_PI);
    }
    ck_assert_msg(bragg_structure_check(s, &err) == BRAGG_OK, "%s", err.text);
    return s;
}

static const bragg_cell NI_CELL = { 3.524, 3.524, 3.524, BRAGG_PI / 2, BRAGG_PI / 2, BRAGG_PI / 2 };
static const bragg_cell BI_CELL = { 4.5327, 4.5327, 11.7903, BRAGG_PI / 2, BRAGG_PI / 2, 2 * BRAGG_PI / 3 };

static bragg_structure *nickel(void)
{
    static const char *const species[] = { "Ni" };
    static const double x[1][3] = { { 0, 0, 0 } };
    return structure("F m -3 m", &NI_CELL, species, x, 0.35, 1);
}

static bragg_structure *bismuth_antimony(size_t n)
{
    static const char *const species[] = { "Bi", "Sb" };
    static const double x[2][3] = { { 0, 0, 0.234 }, { 0, 0, 0.234 } };
    return structure("R -3 m:H", &BI_CELL, species, x, 0.8, n);
}

/* Largest difference over the largest value, from 1 to 90 angstrom; within 0.5 % to
 * the end, where the reference's sharp cut at 101.4 angstrom ripples back. */
static double misfit(const char *name, bragg_structure *s, const bragg_pdf_shape *shape, double *rdf_misfit)
{
    char path[512];
    size_t n;
    bragg_error err = BRAGG_ERROR_INIT;
    if (!shared_file(path, name)) {
        fprintf(stderr, "skipped: %s is absent\n", path);
        bragg_structure_free(s);
        return *rdf_misfit = 0;
    }
    double (*ref)[3] = columns(path, &n), worst = 0, most = 0, worst_rdf = 0, most_rdf = 0, end = 0;
    ck_assert_uint_eq(n, shape->n);
    double *g = calloc(n, sizeof *g), *rdf = calloc(n, sizeof *rdf);
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    bragg_status st = bragg_pdf_model(s, shape, g, rdf, &err);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    ck_assert_msg(st == BRAGG_OK, "%s", err.text);
    for (size_t i = 100; i < n; i++) {
        end = fmax(end, fabs(g[i] - ref[i][1]));
        worst = i < 9000 ? end : worst;
        most = fmax(most, fabs(ref[i][1]));
        worst_rdf = fmax(worst_rdf, fabs(rdf[i] - ref[i][2]));
        most_rdf = fmax(most_rdf, fabs(ref[i][2]));
    }
    *rdf_misfit = worst_rdf / most_rdf;
    ck_assert_double_lt(end / most, 0.005);
    fprintf(stderr, "%s: G %.2e (to 100 angstrom %.2e), R %.2e of the maximum, %.1f ms\n", name, worst / most, end / most, *rdf_misfit,
            1e3 * (double)(t1.tv_sec - t0.tv_sec) + 1e-6 * (double)(t1.tv_nsec - t0.tv_nsec));
    free(ref);
    free(g);
    free(rdf);
    bragg_structure_free(s);
    return worst / most;
}

static bragg_pdf_shape reference_shape(double qmax)
{
    bragg_pdf_shape s = BRAGG_PDF_SHAPE_INIT;
    s.n = 10000;
    s.qmax_invang = qmax;
    s.qdamp_invang = 0.01;
    return s;
}

START_TEST(calculated_nickel_is_that_of_libdiffpy)
{
    bragg_pdf_shape s = reference_shape(INFINITY);
    double rdf;
    ck_assert_double_lt(misfit("reference/libdiffpy/libdiffpy_ni_G_noqmax_fullprec.txt", nickel(), &s, &rdf), 0.0005);
    ck_assert_double_lt(rdf, 0.0005);
    s.qmax_invang = 27;
    ck_assert_double_lt(misfit("reference/libdiffpy/libdiffpy_ni_G_fullprec.txt", nickel(), &s, &rdf), 0.0005);
    s.qbroad_invang = 0.015;
    s.delta2_ang2 = 2.2;
    ck_assert_double_lt(misfit("reference/libdiffpy/libdiffpy_ni_G_qbroad0.015_delta2_2.2_fullprec.txt", nickel(), &s, &rdf), 0.005);
    ck_assert_double_lt(rdf, 0.0005);
}
END_TEST

START_TEST(mixed_sites_weigh_as_in_libdiffpy)
{
    bragg_pdf_shape s = reference_shape(27);
    double rdf;
    ck_assert_double_lt(misfit("reference/libdiffpy/libdiffpy_bi_G_fullprec.txt", bismuth_antimony(1), &s, &rdf), 0.0005);
    ck_assert_double_lt(misfit("reference/libdiffpy/libdiffpy_bisb_G_fullprec.txt", bismuth_antimony(2), &s, &rdf), 0.0005);
    s.neutron = true;
    ck_assert_double_lt(misfit("reference/libdiffpy/libdiffpy_bisb_G_neutron_fullprec.txt", bismuth_antimony(2), &s, &rdf), 0.0005);
}
END_TEST

START_TEST(a_structure_without_its_symmetry_gives_the_same_g)
{
    static const char *const species[] = { "Ni", "Ni", "Ni", "Ni" };
    static const double x[4][3] = { { 0, 0, 0 }, { 0, 0.5, 0.5 }, { 0.5, 0, 0.5 }, { 0.5, 0.5, 0 } };
    bragg_structure *s[2] = { nickel(), structure("P 1", &NI_CELL, species, x, 0.35, 4) };
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    double g[2][3000];
    shape.delta1_ang = 0.3;
    shape.qmax_invang = 25;
    for (int k = 0; k < 2; k++) {
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_pdf_model(s[k], &shape, g[k], NULL, &err) == BRAGG_OK, "%s", err.text);
        bragg_structure_free(s[k]);
    }
    for (int i = 0; i < 3000; i++) /* a quarter of an atom on each of the four sites */
        ck_assert_msg(fabs(g[0][i] - 4 * g[1][i]) < 1e-9, "r = %g: %g, %g", 0.01 * i, g[0][i], 4 * g[1][i]);
}
END_TEST

/* A tensor as round as uiso, through the classes of displacement and between them,
 * against the exact one. */
START_TEST(a_round_tensor_gives_the_g_of_its_uiso)
{
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    double g[2][3000], most = 0, worst = 0, u = 0.8 / (8 * BRAGG_PI * BRAGG_PI);
    shape.qmax_invang = 25;
    for (int k = 0; k < 2; k++) {
        bragg_error err = BRAGG_ERROR_INIT;
        static const char *const species[] = { "Bi", "Sb" };
        static const double x[2][3] = { { 0, 0, 0.234 }, { 0, 0, 0 } };
        bragg_structure *s = structure("R -3 m:H", &BI_CELL, species, x, 0.8, 2);
        const double tensor[6] = { u, u, u, 0, 0, u / 2 }; /* hexagonal: U12 = U11 / 2 */
        s->atom[1].uiso_ang2 = 0.0061;
        s->atom[0].anisotropic = k == 1;
        memcpy(s->atom[0].u, tensor, sizeof tensor);
        ck_assert_msg(bragg_pdf_model(s, &shape, g[k], NULL, &err) == BRAGG_OK, "%s", err.text);
        bragg_structure_free(s);
    }
    for (int i = 0; i < 3000; i++) {
        most = fmax(most, fabs(g[0][i]));
        worst = fmax(worst, fabs(g[0][i] - g[1][i]));
    }
    fprintf(stderr, "anisotropic against isotropic: %.1e\n", worst / most);
    ck_assert_double_lt(worst / most, 2e-4);
}
END_TEST

/* ------------------------------------------------------------ reduction */

/* Value of "key = value" in a header, or NULL; at most 200 bytes. */
static const char *setting(const char *text, const char *key, char out[200])
{
    size_t length = strlen(key);
    for (const char *at = text; (at = strstr(at, key)); at += length)
        if ((at == text || at[-1] == '\n') && !strncmp(at + length, " = ", 3)) {
            snprintf(out, 200, "%.*s", (int)strcspn(at + length + 3, "\r\n"), at + length + 3);
            return out;
        }
    return NULL;
}

static double number_setting(const char *text, const char *key)
{
    char value[200];
    double v = NAN;
    ck_assert_msg(setting(text, key, value) && bragg_number_parse(value, &v), "no %s", key);
    return v;
}

static bragg_pattern *raw_pattern(const char *folder, const char *name, bragg_axis axis)
{
    char file[256], path[512];
    bragg_pattern *p = NULL;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(file, sizeof file, "data/pdf/%s/%s", folder, !strcmp(name, "Kapton.chi") ? "kapton.chi" : !strncmp(name, "sub_kapton", 10) ? "kapton_background.chi" : name);
    shared_file(path, file);
    ck_assert_msg(bragg_pattern_read(path, 0, &p, &err) == BRAGG_OK, "%s: %s", path, err.text);
    p->axis = axis;
    return p;
}

static bragg_pdf_options options_of(const char *head)
{
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    o.background_scale = number_setting(head, "bgscale");
    o.rpoly_ang = number_setting(head, "rpoly");
    o.qmaxinst_invang = number_setting(head, "qmaxinst");
    o.qmin_invang = number_setting(head, "qmin");
    o.qmax_invang = number_setting(head, "qmax");
    o.rmin_ang = number_setting(head, "rmin");
    o.rmax_ang = number_setting(head, "rmax");
    o.rstep_ang = number_setting(head, "rstep");
    return o;
}

/* Rw over 1 to 30 angstrom after a scale, between a reduction with the settings
 * of a processed file and that file. */
static double rw_of(const bragg_pdf *p, const char *path, double *scale)
{
    size_t n;
    double (*ref)[3] = columns(path, &n), xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n && i < p->m; i++) {
        assert_close(p->r[i], ref[i][0], 1e-6);
        if (ref[i][0] < 1 || ref[i][0] > 30)
            continue;
        xy += p->gr[i] * ref[i][1];
        xx += p->gr[i] * p->gr[i];
        yy += ref[i][1] * ref[i][1];
    }
    free(ref);
    *scale = xy / xx;
    return sqrt(fmax(0, 1 - xy * xy / xx / yy));
}

/* What is left to the program when a file of the header's settings is made again. */
typedef enum freedom { AS_THERE, FREE_BACKGROUND, FREE } freedom;

static double reduced_again(const char *folder, const char *gr, freedom free_, double *scale, double *qmax_ratio)
{
    char name[256], path[512], value[200], other[200];
    bool swapped = strstr(gr, "TbDifference") != NULL; /* the files were renamed after its header was written */
    bragg_composition c;
    bragg_pdf *p = NULL;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(name, sizeof name, "data/pdf/%s", gr);
    if (!shared_file(path, name)) {
        fprintf(stderr, "skipped: %s is absent\n", path);
        return -1;
    }
    char *head = whole_file(path);
    *strstr(head, "#### start data") = 0;
    bragg_pdf_options o = options_of(head);
    bragg_axis axis = !strcmp(setting(head, "dataformat", value), "QA") ? BRAGG_AXIS_Q : BRAGG_AXIS_QNM;
    ck_assert_int_eq(bragg_composition_parse(setting(head, "composition", value), &c, &err), BRAGG_OK);
    bragg_pattern *sample = raw_pattern(folder, setting(head, swapped ? "backgroundfile" : "inputfile", value), axis);
    bragg_pattern *background = raw_pattern(folder, setting(head, swapped ? "inputfile" : "backgroundfile", other), axis);
    double qmax = o.qmax_invang;
    if (free_ != AS_THERE) {
        o.background_scale = NAN;
        o.remove_outliers = true;
    }
    if (free_ == FREE) {
        o.qmax_invang = o.qmaxinst_invang = NAN;
        o.auto_qmax = true;
    }
    ck_assert_msg(bragg_pdf_reduce(sample, background, &c, &o, &p, &err) == BRAGG_OK, "%s: %s", gr, err.text);
    double rw = rw_of(p, path, scale);
    *qmax_ratio = p->used.qmax_invang / qmax;
    if (free_ != AS_THERE)
        fprintf(stderr, "background x %.4f (%.4f there), %zu outliers; ", p->used.background_scale, number_setting(head, "bgscale"), p->n_outliers);
    if (free_ == FREE)
        fprintf(stderr, "Qmax %.2f (%.2f), Qmaxinst %.2f; ", p->used.qmax_invang, qmax, p->used.qmaxinst_invang);
    fprintf(stderr, "%s: Rw %.2f %% after a scale of %.4f, low-r slope %.3f to %.2f\n", gr, 100 * rw, *scale, p->slope, p->slope_to_ang);
    bragg_pdf_free(p);
    bragg_pattern_free(sample);
    bragg_pattern_free(background);
    free(head);
    return rw;
}

/* The nickel was measured once and processed thrice, with Qmax of 15, 24 and 25: of the
 * first nothing can be found.  That of the zirconium phosphate is 18 in its file as in
 * those of the others of its series, but its F^2 between 18 and 22 is thirty times the
 * noise and still falls as it did before. */
START_TEST(reduction_agrees_with_the_processed_files)
{
    static const struct { const char *folder, *gr; double qmax_within, rw; } files[] = {
        { "Ni", "Ni/Ni.gr", 0.05, 0.05 },
        { "Ni", "Ni/Ni-hires.gr", 0.05, 0.05 },
        { "Ni", "Ni/Ni-lownoise.gr", 1, 1 },
        { "HZr", "HZr/pdfs/aZrP.gr", 0.25, 0.11 },
        { "HZr", "HZr/pdfs/H-Zr_1-0_PP_cutFirstPeak.gr", 0.1, 0.1 },
        { "HZr", "HZr/pdfs/H-Zr_1-0_PP_includeFirstPeak.gr", 0.1, 0.1 },
        { "HZr", "HZr/pdfs/H-Zr_2-1_PP_cutFirstPeak.gr", 0.15, 0.1 },
        { "HZr", "HZr/pdfs/H-Zr_2-1_PP_includeFirstPeak.gr", 0.15, 0.1 },
        { "HZr", "HZr/pdfs/H-Zr_2-1_PP_TbDifferencePDF.gr", 0.1, 0.1 },
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        double scale, qmax, rw = reduced_again(files[k].folder, files[k].gr, AS_THERE, &scale, &qmax);
        if (rw < 0)
            return;
        ck_assert_msg(rw < 0.02, "%s: Rw %g", files[k].gr, rw);
        assert_close(scale, 1, 0.01);
        rw = reduced_again(files[k].folder, files[k].gr, FREE_BACKGROUND, &scale, &qmax);
        ck_assert_msg(rw < 0.1, "%s, background found: Rw %g", files[k].gr, rw);
        rw = reduced_again(files[k].folder, files[k].gr, FREE, &scale, &qmax);
        ck_assert_msg(rw < files[k].rw, "%s, automatic: Rw %g", files[k].gr, rw);
        assert_close(qmax, 1, files[k].qmax_within);
    }
}
END_TEST

/* Two shells of atoms: I = scale <f^2> S with Poisson noise of a simple generator. */
static bragg_pattern *synthetic(size_t n, double counts, uint64_t *seed)
{
    bragg_pattern *p = bragg_pattern_new(n, BRAGG_AXIS_Q);
    bragg_scatterer ni;
    bool exact;
    ck_assert_int_eq(bragg_scatterer_find("Ni", &ni, &exact, NULL), BRAGG_OK);
    for (size_t i = 0; i < n; i++) {
        double q = p->x[i] = 0.03 + 0.043 * (double)i, f = bragg_scatterer_f0(&ni, q / (4 * BRAGG_PI)), r = 2.385, noise = 0;
        double y = counts * f * f * (1 + 3 * sin(q * r) / (q * r) * exp(-0.006 * q * q));
        for (int k = 0; k < 12 && seed; k++) { /* the sum of twelve evens is a fair Gaussian */
            *seed = *seed * 6364136223846793005u + 1442695040888963407u;
            noise += (double)(*seed >> 11) / 9007199254740992.0 - 0.5;
        }
        p->sigma[i] = sqrt(y);
        p->y[i] = y + noise * p->sigma[i];
    }
    return p;
}

START_TEST(errors_of_g_are_the_scatter_of_repeated_measurements)
{
    enum { TRIALS = 200, M = 120 };
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    double sum[M] = { 0 }, sum2[M] = { 0 }, sigma[M], ratio = 0;
    uint64_t seed = 4711;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    o.rmin_ang = 1.5; /* below, the polynomial takes noise away too */
    o.rmax_ang = o.rmin_ang + (M - 1) * 0.17;
    o.rstep_ang = 0.17;
    ck_assert_int_eq(bragg_composition_parse("Ni", &c, &err), BRAGG_OK);
    for (int t = 0; t < TRIALS; t++) {
        bragg_pattern *s = synthetic(400, 3.7, &seed), *b = synthetic(421, 1.3, &seed);
        bragg_pdf *p;
        ck_assert_msg(bragg_pdf_reduce(s, b, &c, &o, &p, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_uint_eq(p->m, M);
        for (size_t j = 0; j < M; j++) {
            sum[j] += p->gr[j];
            sum2[j] += p->gr[j] * p->gr[j];
            sigma[j] = p->gr_sigma[j];
        }
        bragg_pdf_free(p);
        bragg_pattern_free(s);
        bragg_pattern_free(b);
    }
    for (size_t j = 0; j < M; j++)
        ratio += sqrt((sum2[j] - sum[j] * sum[j] / TRIALS) / (TRIALS - 1)) / sigma[j] / M;
    fprintf(stderr, "scatter over sigma: %.3f\n", ratio);
    ck_assert_msg(fabs(ratio - 1) < 0.03, "scatter over sigma: %g", ratio);
}
END_TEST

START_TEST(a_known_structure_comes_back)
{
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *s = synthetic(700, 37.1, NULL);
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf *p;
    size_t top = 0;
    double area = 0;
    ck_assert_int_eq(bragg_composition_parse("Ni", &c, &err), BRAGG_OK);
    ck_assert_msg(bragg_pdf_reduce(s, NULL, &c, &o, &p, &err) == BRAGG_OK, "%s", err.text);
    for (size_t j = 0; j < p->m; j++) {
        top = p->r[j] > 1 && (!top || p->gr[j] > p->gr[top]) ? j : top;
        area += fabs(p->r[j] - 2.385) < 0.6 ? p->gr[j] * 0.01 : 0;
    }
    assert_close(p->r[top], 2.385, 0.005);
    assert_close(area, 3 / 2.385 * p->scale * 37.1, 0.03); /* 3 neighbours: G is R / r */
    bragg_pdf_free(p);
    bragg_pattern_free(s);
}
END_TEST

static bragg_composition formula_of(const char *text)
{
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_composition_parse(text, &c, &err) == BRAGG_OK, "%s", err.text);
    return c;
}

static void assert_refused(const bragg_pattern *s, const bragg_pattern *b, const bragg_pdf_options *o, bragg_status status, const char *word)
{
    bragg_composition c;
    bragg_pdf *p;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_composition_parse("Ni", &c, &err), BRAGG_OK);
    ck_assert_msg(bragg_pdf_reduce(s, b, &c, o, &p, &err) == status, "%s: %s", word, err.text);
    ck_assert_ptr_null(p);
    ck_assert_msg(strstr(err.text, word) != NULL, "'%s' does not name %s", err.text, word);
}

/* Ripples of noise below the first distance do not show a wrong wavelength. */
START_TEST(a_weak_measurement_is_not_refused)
{
    bragg_composition c = formula_of("Ni");
    bragg_error err = BRAGG_ERROR_INIT;
    uint64_t seed = 271;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    o.rmax_ang = 9;
    o.rstep_ang = 0.03;
    for (int t = 0; t < 60; t++) {
        bragg_pattern *s = synthetic(500, 0.3, &seed);
        bragg_pdf *p;
        ck_assert_msg(bragg_pdf_reduce(s, NULL, &c, &o, &p, &err) == BRAGG_OK, "measurement %d: %s", t, err.text);
        bragg_pdf_free(p);
        bragg_pattern_free(s);
    }
}
END_TEST

START_TEST(what_cannot_be_reduced_is_explained)
{
    bragg_pattern *s = synthetic(400, 3.7, NULL), *b = synthetic(200, 1, NULL);
    const bragg_pdf_options good = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf_options o = good;
    o.qmax_invang = 77;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "qmax");
    o = good, o.qmin_invang = 12, o.qmax_invang = 11;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "qmin");
    o = good, o.rstep_ang = NAN;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "r grid");
    o = good, o.rmax_ang = 1e12;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "r grid");
    o = good, o.rpoly_ang = 50;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "rpoly");
    o = good, o.compton = true;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "wavelength");
    o = good, o.mu_r = -1;
    assert_refused(s, NULL, &o, BRAGG_EINVAL, "mu r");
    assert_refused(s, b, &good, BRAGG_EDATA, "background");
    o = good, o.background_scale = 1.7;
    assert_refused(s, s, &o, BRAGG_EDATA, "background");
    s->y[17] = NAN;
    assert_refused(s, NULL, &good, BRAGG_EDATA, "point 18");
    s->y[17] = 1;
    s->axis = BRAGG_AXIS_TTH;
    assert_refused(s, NULL, &good, BRAGG_EINVAL, "wavelength");
    s->axis = BRAGG_AXIS_Q;
    for (size_t i = 0; i < s->n; i++)
        s->x[i] *= 17;
    assert_refused(s, NULL, &good, BRAGG_EDATA, "unit");
    bragg_pattern_free(s);
    s = synthetic(600, 37, NULL);
    for (size_t i = 0; i < s->n; i++)
        s->x[i] = bragg_axis_convert(s->x[i], BRAGG_AXIS_Q, BRAGG_AXIS_TTH, 0.1839);
    s->axis = BRAGG_AXIS_TTH;
    for (int k = 0; k < 2; k++) { /* distances 1.4 times too long, 1.6 times too short */
        o = good, o.wavelength_ang = k ? 0.115 : 0.2575;
        assert_refused(s, NULL, &o, BRAGG_EDATA, "first distance");
    }
    bragg_composition c = formula_of("Ni");
    bragg_pdf *p;
    o = good, o.wavelength_ang = 1.13 * 0.1839, o.number_density = 0.1037; /* their density is less than that */
    assert_refused(s, NULL, &o, BRAGG_EDATA, "closest packing");
    o.wavelength_ang = 0.1839;
    ck_assert_int_eq(bragg_pdf_reduce(s, NULL, &c, &o, &p, NULL), BRAGG_OK);
    bragg_pdf_free(p);
    o.first_distance_ang = 1.2; /* whoever knows better goes on */
    o.wavelength_ang = 0.115;
    ck_assert_int_eq(bragg_pdf_reduce(s, NULL, &c, &o, &p, NULL), BRAGG_OK);
    bragg_pdf_free(p);
    bragg_pattern_free(s);
    bragg_pattern_free(b);
}
END_TEST

START_TEST(two_theta_and_q_give_the_same_g)
{
    bragg_pattern *s = synthetic(400, 3.7, NULL);
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf *p, *q;
    ck_assert_int_eq(bragg_composition_parse("Ni", &c, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_reduce(s, NULL, &c, &o, &p, &err), BRAGG_OK);
    for (size_t i = 0; i < s->n; i++)
        s->x[i] = bragg_axis_convert(s->x[i], BRAGG_AXIS_Q, BRAGG_AXIS_TTH, 0.1839);
    s->axis = BRAGG_AXIS_TTH;
    o.wavelength_ang = 0.1839;
    ck_assert_msg(bragg_pdf_reduce(s, NULL, &c, &o, &q, &err) == BRAGG_OK, "%s", err.text);
    for (size_t j = 0; j < p->m; j++)
        ck_assert_msg(fabs(p->gr[j] - q->gr[j]) < 1e-8, "r = %g: %g, %g", p->r[j], p->gr[j], q->gr[j]);
    bragg_pdf_free(p);
    bragg_pdf_free(q);
    bragg_pattern_free(s);
}
END_TEST

START_TEST(a_written_gr_reads_back)
{
    bragg_pattern *s = synthetic(400, 3.7, NULL);
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    const bragg_pdf_names names = { "s.chi", NULL, "Ni" };
    bragg_pdf *p;
    char path[64];
    o.rstep_ang = 0.037;
    ck_assert_int_eq(bragg_composition_parse("Ni", &c, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_reduce(s, NULL, &c, &o, &p, &err), BRAGG_OK);
    snprintf(path, sizeof path, "test_pdf_%d.gr", (int)getpid());
    ck_assert_msg(bragg_pdf_write(p, &names, path, false, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_pdf_write(p, &names, path, false, &err), BRAGG_EEXIST);
    size_t n;
    double (*rows)[3] = columns(path, &n);
    ck_assert_uint_eq(n, p->m);
    for (size_t j = 0; j < n; j++) {
        assert_close(rows[j][0], p->r[j], 1e-8);
        ck_assert(fabs(rows[j][1] - p->gr[j]) < 1e-6);
    }
    remove(path);
    ck_assert_int_eq(bragg_pdf_write(p, &names, "x.txt", false, &err), BRAGG_EINVAL);
    free(rows);
    bragg_pdf_free(p);
    bragg_pattern_free(s);
}
END_TEST


/* The densities are those of the crystals; of the phosphonate it is the usual 2.2 g/cm^3. */
START_TEST(the_physical_route_has_the_slope_of_the_density)
{
    static const struct { const char *folder, *sample, *background, *formula; double per_ang3, first; } cases[] = {
        { "Ni", "Ni.chi", "kapton.chi", "Ni", 0.09137, NAN },
        { "HZr", "aZrP.chi", "kapton_background.chi", "Zr H2 P2 O8 H2 O", 0.08698, 1.25 },
        { "HZr", "H-Zr_1-0_PP.chi", "kapton_background.chi", "Zr0.34 O4.47 P1.68 C2.04 H5.24 O2", 0.0984, 1.25 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[256], path[512];
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
        bragg_pdf *p;
        snprintf(name, sizeof name, "data/pdf/%s/%s", cases[k].folder, cases[k].sample);
        if (!shared_file(path, name)) {
            fprintf(stderr, "skipped: %s is absent\n", path);
            return;
        }
        bragg_axis axis = k ? BRAGG_AXIS_QNM : BRAGG_AXIS_Q;
        bragg_pattern *s = raw_pattern(cases[k].folder, cases[k].sample, axis), *b = raw_pattern(cases[k].folder, cases[k].background, axis);
        bragg_composition c = formula_of(cases[k].formula);
        o.background_scale = NAN;
        o.wavelength_ang = 0.1836;
        o.physical = o.auto_qmax = true;
        o.number_density = cases[k].per_ang3;
        o.first_distance_ang = cases[k].first;
        ck_assert_msg(bragg_pdf_reduce(s, b, &c, &o, &p, &err) == BRAGG_OK, "%s", err.text);
        fprintf(stderr, "%s: slope %.4f, expected %.4f; S %.3f in the tail, Compton x %.2f, Qmax %.2f, strain %.2f\n", cases[k].sample, p->slope, p->slope_expected, p->sq_tail,
                p->compton_scale, p->used.qmax_invang, p->strain);
        assert_close(p->slope, p->slope_expected, 0.05);
        assert_close(p->sq_tail, 1, 0.03);
        bragg_pdf_free(p);
        o.number_density = NAN;
        ck_assert_int_eq(bragg_pdf_reduce(s, b, &c, &o, &p, &err), BRAGG_EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "density"));
        bragg_pattern_free(s);
        bragg_pattern_free(b);
    }
}
END_TEST

/* A background left to be found, a spike, and noise that ends the transform early. */
START_TEST(what_is_left_open_is_found)
{
    uint64_t seed = 815;
    bragg_pattern *s = synthetic(700, 2.1, &seed), *b = bragg_pattern_new(700, BRAGG_AXIS_Q);
    bragg_composition c = formula_of("Ni");
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf *p;
    o.background_scale = NAN;
    o.auto_qmax = o.remove_outliers = true;
    for (size_t i = 0; i < s->n; i++) {
        double q = b->x[i] = s->x[i], seen = q < 1.7 ? 0.02 : 1; /* a crystal scatters little before its first peak */
        b->y[i] = 3000 * exp(-q / 9);
        b->sigma[i] = 1;
        s->y[i] = s->y[i] * seen + 0.73 * b->y[i];
    }
    s->y[432] *= 31;
    ck_assert_msg(bragg_pdf_reduce(s, b, &c, &o, &p, &err) == BRAGG_OK, "%s", err.text);
    fprintf(stderr, "found: background x %.3f (0.73), Qmax %.2f of %.2f, %zu outliers, the first at %.3f\n", p->used.background_scale, p->used.qmax_invang,
            p->used.qmaxinst_invang, p->n_outliers, p->outlier_q[0]);
    assert_close(p->used.background_scale, 0.73, 0.05);
    ck_assert_uint_eq(p->n_outliers, 1);
    assert_close(p->outlier_q[0], s->x[432], 1e-9);
    ck_assert(p->qmax_found && p->background_found && p->used.qmax_invang > 8 && p->used.qmax_invang < 29);
    bragg_pdf_free(p);
    bragg_pattern_free(s);
    bragg_pattern_free(b);
}
END_TEST

static double background_found(const bragg_pattern *s, const bragg_pattern *b, double qmin)
{
    bragg_composition c = formula_of("Ni");
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf *p;
    o.background_scale = NAN;
    o.qmin_invang = qmin;
    o.qmax_invang = 24;
    ck_assert_msg(bragg_pdf_reduce(s, b, &c, &o, &p, &err) == BRAGG_OK, "qmin %g: %s", qmin, err.text);
    double found = p->used.background_scale;
    bragg_pdf_free(p);
    return found;
}

/* With a transform that begins at 3 the most that leaves nothing negative beyond would be twice the
 * right scale.  The header of the processed file has 0.4. */
START_TEST(the_scale_of_the_background_does_not_depend_on_where_the_transform_begins)
{
    char path[512];
    if (!shared_file(path, "data/pdf/Ni/Ni.chi")) {
        fprintf(stderr, "skipped: %s is absent\n", path);
        return;
    }
    bragg_pattern *s = raw_pattern("Ni", "Ni.chi", BRAGG_AXIS_Q), *b = raw_pattern("Ni", "kapton.chi", BRAGG_AXIS_Q);
    for (double qmin = 0; qmin < 3.2; qmin += 0.77)
        assert_close(background_found(s, b, qmin), 0.4, 0.03);
    for (size_t i = 0; i < s->n; i++) /* behind a beam stop some stray light is left, more of it with the sample away */
        if (s->x[i] < 1.3)
            s->y[i] = 11, b->y[i] = 61;
    assert_close(background_found(s, b, 1.5), 0.4, 0.03);
    bragg_pattern_free(s);
    bragg_pattern_free(b);
}
END_TEST

/* Air and dark counts on grids of their own, off the sample. */
START_TEST(further_empties_are_taken_off)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *s = bragg_pattern_new(50, BRAGG_AXIS_Q), *e = bragg_pattern_new(33, BRAGG_AXIS_QNM);
    for (size_t i = 0; i < 50; i++) {
        s->x[i] = 1 + 0.2 * (double)i;
        s->y[i] = 7.3 + 0.83 * (40 + 3 * s->x[i]);
        s->sigma[i] = 1.7;
    }
    s->y[49] = s->sigma[49] = 0; /* not seen */
    for (size_t i = 0; i < 33; i++) {
        e->x[i] = 10 * (0.95 + 0.31 * (double)i);
        e->y[i] = 40 + 3 * e->x[i] / 10;
        e->sigma[i] = 0.9;
    }
    ck_assert_msg(bragg_pdf_take_off(s, e, 0.83, &err) == BRAGG_OK, "%s", err.text);
    for (size_t i = 0; i < 49; i++) {
        assert_close(s->y[i], 7.3, 1e-9);
        ck_assert(s->sigma[i] > 1.7 && s->sigma[i] <= hypot(1.7, 0.83 * 0.9) + 1e-12);
    }
    ck_assert(s->y[49] == 0);
    s->x[3] = 0.5;
    ck_assert_int_eq(bragg_pdf_take_off(s, e, 0.83, &err), BRAGG_EDATA);
    ck_assert_int_eq(bragg_pdf_take_off(s, e, NAN, NULL), BRAGG_EINVAL);
    bragg_pattern_free(s);
    bragg_pattern_free(e);
}
END_TEST

START_TEST(covariances_are_those_of_repeated_measurements)
{
    enum { TRIALS = 250, M = 30, BAND = 12 };
    bragg_composition c = formula_of("Ni");
    bragg_error err = BRAGG_ERROR_INIT;
    double g[TRIALS][M], mean[M] = { 0 }, sum = 0, norm = 0, s = 0, s_norm = 0, sq[TRIALS][2], sq_mean[2] = { 0 };
    uint64_t seed = 99;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf *p = NULL;
    o.rmin_ang = 1.5;
    o.rstep_ang = 0.103;
    o.rmax_ang = o.rmin_ang + (M - 1) * o.rstep_ang;
    o.band = BAND;
    for (int t = 0; t < TRIALS; t++) {
        bragg_pattern *a = synthetic(300, 3.7, &seed);
        bragg_pdf_free(p);
        ck_assert_msg(bragg_pdf_reduce(a, NULL, &c, &o, &p, &err) == BRAGG_OK, "%s", err.text);
        for (int j = 0; j < M; j++) {
            g[t][j] = p->gr[j];
            mean[j] += p->gr[j] / TRIALS;
        }
        for (int j = 0; j < 2; j++) {
            sq[t][j] = p->sq[1 + j]; /* the polynomial holds neighbours together where Q is small */
            sq_mean[j] += sq[t][j] / TRIALS;
        }
        bragg_pattern_free(a);
    }
    for (int lag = 0; lag <= BAND; lag += 3) { /* found over calculated, all points of a lag */
        double found = 0, expected = 0, variance = 0;
        for (int j = 0; j + lag < M; j++) {
            for (int t = 0; t < TRIALS; t++)
                found += (g[t][j] - mean[j]) * (g[t][j + lag] - mean[j + lag]) / (TRIALS - 1);
            expected += p->gr_covariance[j * (BAND + 1) + lag];
            variance += p->gr_covariance[j * (BAND + 1)];
        }
        ck_assert_msg(fabs(found - expected) < 0.08 * variance, "lag %d: %g, expected %g of %g", lag, found, expected, variance);
        sum += fabs(found - expected);
        norm += variance;
    }
    for (int t = 0; t < TRIALS; t++) {
        s += (sq[t][0] - sq_mean[0]) * (sq[t][0] - sq_mean[0]) / (TRIALS - 1);
        s_norm += (sq[t][0] - sq_mean[0]) * (sq[t][1] - sq_mean[1]) / (TRIALS - 1);
    }
    fprintf(stderr, "covariance of G off by %.1f %% of the variance; S: %.3g found %.3g, beside %.3g found %.3g\n", 100 * sum / norm,
            p->sq_covariance[BAND + 1], s, p->sq_covariance[BAND + 2], s_norm);
    ck_assert(fabs(s / p->sq_covariance[BAND + 1] - 1) < 0.25);
    for (int j = 0; j < M; j++)
        assert_close(sqrt(p->gr_covariance[j * (BAND + 1)]), p->gr_sigma[j], 1e-6);
    bragg_pdf_free(p);
}
END_TEST

/* Points of G(r) below the first distance err together, so that their slope has the scatter that
 * a sum over F(Q) tells, not that of as many measurements. */
START_TEST(the_esd_of_the_slope_is_its_scatter)
{
    enum { TRIALS = 250 };
    bragg_composition c = formula_of("Ni");
    bragg_error err = BRAGG_ERROR_INIT;
    double slope[TRIALS], mean = 0, found = 0;
    uint64_t seed = 4711;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_pdf *p = NULL;
    o.rmax_ang = 8;
    o.rstep_ang = 0.043;
    o.qmin_invang = 0.5;
    o.first_distance_ang = 1.9;
    for (int t = 0; t < TRIALS; t++) {
        bragg_pattern *a = synthetic(500, 37, &seed);
        bragg_pdf_free(p);
        ck_assert_msg(bragg_pdf_reduce(a, NULL, &c, &o, &p, &err) == BRAGG_OK, "%s", err.text);
        slope[t] = p->slope;
        mean += slope[t] / TRIALS;
        bragg_pattern_free(a);
    }
    for (int t = 0; t < TRIALS; t++)
        found += pow(slope[t] - mean, 2) / (TRIALS - 1);
    fprintf(stderr, "slope %.4f: esd %.5f, scatter of %d %.5f\n", mean, p->slope_esd, TRIALS, sqrt(found));
    assert_close(p->slope_esd, sqrt(found), 0.15);
    bragg_pdf_free(p);
}
END_TEST

/* .cov beside .gr: read with it, and the esds of a fit change. */
START_TEST(a_covariance_is_written_and_read_back)
{
    bragg_pattern *a = synthetic(300, 3.7, NULL);
    bragg_composition c = formula_of("Ni");
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    const bragg_pdf_names names = { "a.chi", NULL, "Ni" };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf *p;
    bragg_pdf_data *d;
    char path[3][64];
    o.rstep_ang = 0.05;
    o.band = 7;
    ck_assert_int_eq(bragg_pdf_reduce(a, NULL, &c, &o, &p, &err), BRAGG_OK);
    for (int k = 0; k < 3; k++) {
        snprintf(path[k], sizeof path[k], "test_pdf_%d.%s", (int)getpid(), k == 0 ? "gr" : k == 1 ? "cov" : "sqcov");
        ck_assert_msg(bragg_pdf_write(p, &names, path[k], true, &err) == BRAGG_OK, "%s", err.text);
    }
    ck_assert_msg(bragg_pdf_data_read(path[0], &d, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(d->band, 7);
    for (size_t i = 0; i + 7 < d->n; i++)
        for (size_t k = 0; k <= 7; k++)
            ck_assert_msg(fabs(d->covariance[i * 8 + k] - p->gr_covariance[i * 8 + k]) <= 1e-6 * fabs(p->gr_covariance[i * 8 + k]), "point %zu lag %zu", i, k);
    bragg_pdf_data_free(d);
    FILE *to = fopen(path[1], "w");
    fputs("# points 601 band 3\n0 1 2 3 4\n", to);
    fclose(to);
    ck_assert_int_eq(bragg_pdf_data_read(path[0], &d, &err), BRAGG_EDATA);
    ck_assert_ptr_null(d);
    for (int k = 0; k < 3; k++)
        remove(path[k]);
    o.band = 0;
    bragg_pdf_free(p);
    ck_assert_int_eq(bragg_pdf_reduce(a, NULL, &c, &o, &p, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_write(p, &names, path[1], true, NULL), BRAGG_EINVAL);
    bragg_pdf_free(p);
    bragg_pattern_free(a);
}
END_TEST

START_TEST(windows_calm_the_ripples)
{
    static const char *const names[] = { "none", "lorch", "soper-lorch", "cosine" };
    bragg_pattern *s = synthetic(300, 3.7, NULL);
    bragg_composition c = formula_of("Ni");
    double ripple[4];
    for (int k = 0; k < 4; k++) {
        bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
        bragg_pdf *p;
        ck_assert(bragg_pdf_window_parse(names[k], &o.window));
        ck_assert_str_eq(bragg_pdf_window_name(o.window), names[k]);
        o.rmin_ang = 4;
        ck_assert_int_eq(bragg_pdf_reduce(s, NULL, &c, &o, &p, NULL), BRAGG_OK);
        ripple[k] = 0;
        for (size_t j = 0; j < p->m; j++)
            ripple[k] += p->gr[j] * p->gr[j];
        bragg_pdf_free(p);
    }
    fprintf(stderr, "ripples: %.3g %.3g %.3g %.3g\n", ripple[0], ripple[1], ripple[2], ripple[3]);
    bragg_pdf_window other;
    ck_assert(!bragg_pdf_window_parse("hann", &other));
    ck_assert(ripple[1] < 0.1 * ripple[0] && ripple[2] < 0.15 * ripple[0] && ripple[3] < 0.1 * ripple[0]);
    bragg_pattern_free(s);
}
END_TEST

START_TEST(partial_weights_add_up_to_one)
{
    bragg_composition c = formula_of("BiSnSb");
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    double w[6], sum = 0;
    bragg_pdf_partial_weights(&c, &o, 0, w);
    for (int k = 0; k < 6; k++)
        sum += w[k];
    assert_close(sum, 1, 1e-12);
    assert_close(w[0], 83.0 * 83 / ((83 + 50 + 51) * (83 + 50 + 51)), 1e-3); /* f(0) = Z */
    assert_close(w[5], 51.0 * 51 / ((83 + 50 + 51) * (83 + 50 + 51)), 1e-3);
    c = formula_of("[7]Li2O");
    o.neutron = true;
    bragg_pdf_partial_weights(&c, &o, 5, w);
    assert_close(w[1], 4 * -2.22 * 5.805 / ((2 * -2.22 + 5.805) * (2 * -2.22 + 5.805)), 1e-3);
}
END_TEST

/* What changed, whatever the scale. */
START_TEST(a_difference_shows_what_has_changed)
{
    enum { M = 500 };
    double r[M], a[M], b[M], sigma[M], scale = NAN;
    bragg_error err = BRAGG_ERROR_INIT;
    for (int i = 0; i < M; i++) {
        r[i] = 0.02 * i;
        b[i] = sin(7 * r[i]);
        a[i] = 0.83 * b[i] + (fabs(r[i] - 5.1) < 0.2 ? 0.3 : 0);
        sigma[i] = 0.01 + 0.001 * r[i];
    }
    bragg_pdf_data x = { .n = M, .r = r, .g = a, .sigma = sigma, .qmax_invang = 24 }, y = { .n = M, .r = r, .g = b, .sigma = sigma, .qmax_invang = 24 }, *d;
    ck_assert_msg(bragg_pdf_difference(&x, &y, 1, 9, &scale, &d, &err) == BRAGG_OK, "%s", err.text);
    assert_close(scale, 0.83, 0.03); /* what changed pulls at it, too */
    ck_assert(fabs(d->g[255] - 0.3) < 0.03 && fabs(d->g[100]) < 0.03);
    assert_close(d->sigma[100], sigma[100] * sqrt(1 + scale * scale), 1e-12);
    bragg_pdf_data_free(d);
    y.qmax_invang = 20;
    ck_assert_int_eq(bragg_pdf_difference(&x, &y, 1, 9, &scale, &d, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "qmax"));
}
END_TEST

/* ------------------------------------------------------------- particles */

/* The model of the infinite crystal in a sphere, against the sum over the sphere's
 * atoms; below the sphere's own scattering nothing is transformed. */
START_TEST(the_debye_sum_is_the_periodic_model_in_a_large_sphere)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *ni = nickel();
    bragg_particle *p;
    bragg_debye *d;
    bragg_debye_options o = BRAGG_DEBYE_OPTIONS_INIT;
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    const double diameter = 71.3;
    o.qmin_invang = 1.1;
    o.qmax_invang = 23;
    o.qdamp_invang = 0.02;
    o.rmax_ang = 20;
    ck_assert_msg(bragg_particle_cut(ni, BRAGG_CUT_SPHERE, diameter, NAN, &p, &err) == BRAGG_OK, "%s", err.text);
    assert_close((double)p->n, 4 * BRAGG_PI / 3 * pow(diameter / 2 / 3.524, 3) * 4, 0.01);
    ck_assert_msg(bragg_debye_sum(p, &o, &d, &err) == BRAGG_OK, "%s", err.text);
    shape.n = d->m + 1000; /* away from the end of the model's range */
    shape.qmin_invang = 1.1;
    shape.qmax_invang = 23;
    shape.qdamp_invang = 0.02;
    shape.spdiameter_ang = diameter;
    double *g = calloc(shape.n, sizeof *g), worst = 0, most = 0;
    ck_assert_msg(bragg_pdf_model(ni, &shape, g, NULL, &err) == BRAGG_OK, "%s", err.text);
    for (size_t i = 150; i < d->m; i++) {
        most = fmax(most, fabs(g[i]));
        worst = fmax(worst, fabs(g[i] - d->gr[i]));
    }
    fprintf(stderr, "%zu atoms: Debye sum and periodic model within %.2f %% of the maximum\n", p->n, 100 * worst / most);
    ck_assert_double_lt(worst / most, 0.01);
    free(g);
    bragg_debye_free(d);
    bragg_particle_free(p);
    bragg_structure_free(ni);
}
END_TEST

/* Two atoms: f^2 (1 + sin(Q r) / (Q r)) an atom, in closed form. */
START_TEST(two_atoms_scatter_as_debye_wrote)
{
    static const char text[] = "2\na pair\nNi 0.1 0.2 0.3\nNi  0.1 2.6013 0.3 extra\n";
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_debye_options o = BRAGG_DEBYE_OPTIONS_INIT;
    bragg_particle *p;
    bragg_debye *d;
    char path[64];
    snprintf(path, sizeof path, "test_pdf_%d.xyz", (int)getpid());
    FILE *to = fopen(path, "w");
    fputs(text, to);
    fclose(to);
    ck_assert_msg(bragg_particle_read_xyz(path, &p, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_debye_sum(p, &o, &d, &err) == BRAGG_OK, "%s", err.text);
    for (size_t i = 0; i < d->n; i += 17) {
        double q = d->q[i], f = bragg_scatterer_f0(&p->kind[0], q / (4 * BRAGG_PI)), x = q * 2.4013;
        ck_assert_msg(fabs(d->iq[i] / (f * f) - 1 - sin(x) / x) < 1e-4, "Q = %g: %g, expected %g", q, d->iq[i] / (f * f), 1 + sin(x) / x);
    }
    bragg_debye_free(d);
    bragg_particle_free(p);
    static const char *const bad[] = { "", "two\n\nNi 0 0 0\n", "3\n\nNi 0 0 0\nNi 1 1 1\n", "2\n\nNi 0 0\nNi 1 1 1\n", "2\n\nXx 0 0 0\nNi 1 1 1\n", "2\n\nNi 0 0 nan\nNi 1 1 1\n" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        to = fopen(path, "w");
        fputs(bad[k], to);
        fclose(to);
        ck_assert_msg(bragg_particle_read_xyz(path, &p, &err) == BRAGG_EDATA, "'%s' was read", bad[k]);
        ck_assert_ptr_null(p);
    }
    remove(path);
}
END_TEST

/* A rod and a plate hold the cells that fit in, half-filled sites half their atoms. */
START_TEST(rods_and_plates_are_cut)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bismuth_antimony(2);
    bragg_particle *p;
    ck_assert_msg(bragg_particle_cut(s, BRAGG_CUT_ROD, 31, 73, &p, &err) == BRAGG_OK, "%s", err.text);
    assert_close((double)p->n, BRAGG_PI / 4 * 31 * 31 * 73 / bragg_cell_volume_ang3(&s->cell) * 6, 0.06); /* the surface is rough */
    ck_assert_uint_eq(p->n_kinds, 2);
    assert_close((double)p->first[1], (double)p->n / 2, 0.1);
    bragg_particle_free(p);
    ck_assert_int_eq(bragg_particle_cut(s, BRAGG_CUT_PLATE, 31, NAN, &p, &err), BRAGG_EINVAL);
    ck_assert_ptr_null(p);
    bragg_structure_free(s);
}
END_TEST

/* --------------------------------------------------------------- fit */

/* A study of one set and one phase "X", with names refined. */
typedef struct fitting {
    bragg_pdf_study *study;
    bragg_pdf_fit *fit;
} fitting;

static bragg_pdf_study *study_of(bragg_structure *s, const bragg_pdf_data *data, const bragg_pdf_set_options *o)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_study *x = bragg_pdf_study_new();
    ck_assert_msg(bragg_pdf_study_add_set(x, data, o, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_pdf_study_add_phase(x, "X", s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_pdf_study_build(x, &err) == BRAGG_OK, "%s", err.text);
    bragg_structure_free(s);
    return x;
}

static void refine(bragg_pdf_study *x, const char *const *names)
{
    for (; *names; names++)
        ck_assert_msg(bragg_params_select(bragg_pdf_study_params(x), *names, true) > 0, "no %s", *names);
}

static fitting fitted(bragg_pdf_study *x)
{
    bragg_error err = BRAGG_ERROR_INIT;
    const bragg_pdf_fit_options o = BRAGG_PDF_FIT_OPTIONS_INIT;
    fitting f = { x, NULL };
    bragg_status st = bragg_pdf_study_fit(x, &o, &f.fit, &err);
    ck_assert_msg(st == BRAGG_OK, "%s", err.text);
    const bragg_params *t = bragg_pdf_study_params(x);
    fprintf(stderr, "Rw %.4f (%.4f weighted), chi2 %.3g, %d cycles, %zu of %zu points:", f.fit->set[0].rw, f.fit->set[0].rw_weighted, f.fit->chi2,
            f.fit->cycles, f.fit->fitted, f.fit->set[0].n);
    for (size_t k = 0; k < t->n; k++)
        if (t->at[k].refine)
            fprintf(stderr, " %s %.6g(%.2g)", t->at[k].name, t->at[k].value, t->at[k].esd);
    fprintf(stderr, "\n");
    return f;
}

static void close_fit(fitting *f)
{
    bragg_pdf_fit_free(f->fit);
    bragg_pdf_study_free(f->study);
}

static bragg_param *param(const fitting *f, const char *name)
{
    ptrdiff_t k = bragg_params_find(bragg_pdf_study_params(f->study), name);
    ck_assert_msg(k >= 0, "no %s", name);
    return &bragg_pdf_study_params(f->study)->at[k];
}

static bragg_pdf_data *measured(const char *name)
{
    char path[512];
    bragg_pdf_data *data;
    bragg_error err = BRAGG_ERROR_INIT;
    if (!shared_file(path, name)) {
        fprintf(stderr, "skipped: %s is absent\n", path);
        return NULL;
    }
    ck_assert_msg(bragg_pdf_data_read(path, &data, &err) == BRAGG_OK, "%s", err.text);
    fprintf(stderr, "%s: Qmax %g%s, %zu points%s; ", name, data->qmax_invang, data->neutron ? ", neutrons" : "", data->n, data->sigma ? " with errors" : "");
    return data;
}

static bragg_structure *shared_structure(const char *name)
{
    char path[512];
    bragg_structure *s;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert(shared_file(path, name));
    ck_assert_msg(bragg_structure_read_cif(path, NULL, &s, NULL, 0, &err) == BRAGG_OK, "%s", err.text);
    return s;
}

START_TEST(measured_nickel_is_fitted)
{
    static const char *const names[] = { "*.scale", "*.cell", "*.uiso", "*.delta2", "*.qdamp", NULL };
    const char *const files[] = { "data/pdf/gr/Ni-xray.gr", "data/pdf/gr/Ni-neutron.gr" };
    for (int k = 0; k < 2; k++) {
        bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
        bragg_pdf_data *data = measured(files[k]);
        if (!data)
            return;
        o.neutron = data->neutron;
        fitting f = { study_of(nickel(), data, &o), NULL };
        refine(f.study, names);
        f = fitted(f.study);
        assert_close(param(&f, "phase.X.cell.a")->value, 3.524, 0.003);
        ck_assert(param(&f, "phase.X.atom.Ni.uiso")->value > 0.003 && param(&f, "phase.X.atom.Ni.uiso")->value < 0.0075);
        ck_assert_double_lt(f.fit->rw, 0.12);
        ck_assert(strstr(f.fit->report, "pi / qmax") != NULL);
        close_fit(&f);
        bragg_pdf_data_free(data);
    }
}
END_TEST

/* One cell and one displacement for X-rays and neutrons. */
START_TEST(x_rays_and_neutrons_are_fitted_together)
{
    static const char *const names[] = { "*.scale", "*.uiso", "*.delta2", "*.qdamp", "*.cell", NULL };
    bragg_pdf_data *data[2] = { measured("data/pdf/gr/Ni-xray.gr"), measured("data/pdf/gr/Ni-neutron.gr") };
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *ni = nickel();
    bragg_pdf_study *x = bragg_pdf_study_new();
    for (int k = 0; k < 2; k++) {
        if (!data[k])
            return;
        o.name = k ? "neutron" : "xray";
        o.neutron = k;
        ck_assert_msg(bragg_pdf_study_add_set(x, data[k], &o, &err) == BRAGG_OK, "%s", err.text);
        bragg_pdf_data_free(data[k]);
    }
    ck_assert_int_eq(bragg_pdf_study_add_phase(x, "Ni", ni, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_study_build(x, &err), BRAGG_OK);
    bragg_structure_free(ni);
    refine(x, names);
    fitting f = fitted(x);
    ck_assert_uint_eq(f.fit->n_sets, 2);
    ck_assert_double_lt(f.fit->set[0].rw, 0.12);
    ck_assert_double_lt(f.fit->set[1].rw, 0.15);
    ck_assert(isfinite(param(&f, "neutron.instrument.qdamp")->esd) && isfinite(param(&f, "xray.phase.Ni.scale")->esd));
    close_fit(&f);
}
END_TEST

START_TEST(measured_perovskite_is_fitted_with_positions)
{
    static const char *const names[] = { "*.scale", "*.cell", "*.uiso", "*.delta2", "*.qdamp", "*.atom.*.[xyz]", NULL };
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    bragg_pdf_data *data = measured("data/pdf/gr/300K.gr");
    if (!data)
        return;
    bragg_structure *s = shared_structure("data/pdf/gr/LaMnO3_Pbnm.cif");
    double x = s->atom[0].x[0], y = s->atom[0].x[1], z = s->atom[0].x[2];
    for (size_t a = 0; a < s->n_atoms; a++) {
        s->atom[a].anisotropic = false;
        s->atom[a].uiso_ang2 = 0.005;
    }
    s->atom[0].x[1] += 0.007;
    o.neutron = true;
    fitting f = { study_of(s, data, &o), NULL };
    refine(f.study, names);
    f = fitted(f.study);
    assert_close(param(&f, "phase.X.cell.a")->value, 5.5396, 0.001);
    assert_close(param(&f, "phase.X.cell.b")->value, 5.7430, 0.001);
    assert_close(param(&f, "phase.X.cell.c")->value, 7.705, 0.001);
    ck_assert(fabs(param(&f, "phase.X.atom.La2.x")->value - x) < 0.005 && fabs(param(&f, "phase.X.atom.La2.y")->value - y) < 0.005);
    ck_assert_double_eq(param(&f, "phase.X.atom.La2.z")->value, z); /* on a mirror */
    ck_assert_double_lt(f.fit->rw, 0.12);
    close_fit(&f);
    bragg_pdf_data_free(data);
}
END_TEST

enum { N = 2300 };

/* A calculated G(r) as data. */
static bragg_pdf_data calculated(const bragg_structure *s, bragg_pdf_shape *shape, double *r, double *g)
{
    bragg_error err = BRAGG_ERROR_INIT;
    shape->n = N;
    ck_assert_msg(bragg_pdf_model(s, shape, g, NULL, &err) == BRAGG_OK, "%s", err.text);
    for (int i = 0; i < N; i++)
        r[i] = 0.01 * i;
    return (bragg_pdf_data){ .n = N, .r = r, .g = g, .qmax_invang = shape->qmax_invang };
}

START_TEST(a_calculated_g_gives_its_own_parameters_back)
{
    static const char *const names[] = { "*.scale", "*.cell", "*.uiso", "*.delta2", "*.qdamp", "*.qbroad", NULL };
    double r[N], g[N];
    bragg_structure *s = bismuth_antimony(2);
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    shape.scale = 0.71;
    shape.qmax_invang = 23.7;
    shape.qdamp_invang = 0.033;
    shape.qbroad_invang = 0.012;
    shape.delta2_ang2 = 1.9;
    s->cell.a = s->cell.b = 4.5391;
    s->cell.c = 11.8117;
    bragg_pdf_data data = calculated(s, &shape, r, g);
    bragg_structure_free(s);
    fitting f = { study_of(bismuth_antimony(2), &data, &o), NULL };
    refine(f.study, names);
    f = fitted(f.study);
    assert_close(param(&f, "phase.X.cell.a")->value, 4.5391, 1e-6);
    assert_close(param(&f, "phase.X.cell.b")->value, 4.5391, 1e-6);
    assert_close(param(&f, "phase.X.cell.c")->value, 11.8117, 1e-6);
    assert_close(param(&f, "phase.X.scale")->value, 0.71, 1e-3);
    assert_close(param(&f, "phase.X.atom.Bi.uiso")->value, 0.8 / (8 * BRAGG_PI * BRAGG_PI), 1e-3);
    assert_close(param(&f, "phase.X.atom.Sb.uiso")->value, param(&f, "phase.X.atom.Bi.uiso")->value, 1e-12);
    assert_close(param(&f, "phase.X.delta2")->value, 1.9, 1e-2);
    assert_close(param(&f, "instrument.qdamp")->value, 0.033, 1e-3);
    assert_close(param(&f, "instrument.qbroad")->value, 0.012, 1e-2);
    close_fit(&f);
}
END_TEST

/* Two phases, one of them small particles, tied displacements. */
START_TEST(two_phases_come_back_with_their_ties)
{
    double r[N], g[N], h[N];
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *a = nickel(), *b = bismuth_antimony(2);
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    bragg_pdf_study *x = bragg_pdf_study_new();
    shape.qmax_invang = 25.3;
    shape.scale = 0.37;
    a->atom[0].uiso_ang2 = 0.0071;
    b->atom[0].uiso_ang2 = b->atom[1].uiso_ang2 = 0.0142;
    calculated(a, &shape, r, h);
    shape.scale = 0.53;
    shape.spdiameter_ang = 41;
    bragg_pdf_data data = calculated(b, &shape, r, g);
    for (int i = 0; i < N; i++)
        g[i] += h[i];
    o.rmax_ang = 22;
    ck_assert_int_eq(bragg_pdf_study_add_set(x, &data, &o, &err), BRAGG_OK);
    a->cell.a = a->cell.b = a->cell.c = 3.517;
    ck_assert_int_eq(bragg_pdf_study_add_phase(x, "Ni", a, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_study_add_phase(x, "BiSb", b, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_pdf_study_add_phase(x, "BiSb", b, &err), BRAGG_EINVAL);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_pdf_study_build(x, &err), BRAGG_OK);
    fitting f = { x, NULL };
    ptrdiff_t row = bragg_params_find(bragg_pdf_study_params(x), "phase.BiSb.atom.Bi.uiso");
    ck_assert_msg(bragg_params_tie_text(bragg_pdf_study_params(x), (size_t)row, "2 * phase.Ni.atom.Ni.uiso", &err) == BRAGG_OK, "%s", err.text);
    static const char *const names[] = { "*.scale", "*.cell", "*.uiso", "phase.BiSb.spdiameter", NULL };
    refine(x, names);
    param(&f, "phase.Ni.atom.Ni.uiso")->value = 0.005;
    f = fitted(x);
    assert_close(param(&f, "phase.Ni.cell.a")->value, 3.524, 1e-6);
    assert_close(param(&f, "phase.BiSb.spdiameter")->value, 41, 1e-3);
    assert_close(param(&f, "phase.Ni.scale")->value, 0.37, 1e-3);
    assert_close(param(&f, "phase.BiSb.scale")->value, 0.53, 1e-3);
    assert_close(param(&f, "phase.BiSb.atom.Sb.uiso")->value, 0.0142, 1e-3);
    close_fit(&f);
    bragg_structure_free(a);
    bragg_structure_free(b);
}
END_TEST

/* Every row of the table against central differences, in a triclinic crystal with a
 * tensor, a mixed site and every shape parameter at work. */
START_TEST(derivatives_are_those_of_the_model)
{
    static const char *const species[] = { "Bi", "O", "Ni", "K" };
    static const double x[4][3] = { { 0.11, 0.07, 0.93 }, { 0.31, 0.62, 0.41 }, { 0.71, 0.29, 0.58 }, { 0.71, 0.29, 0.58 } };
    const bragg_cell cell = { 4.137, 4.853, 5.291, 91.23 * BRAGG_DEG, 98.71 * BRAGG_DEG, 104.39 * BRAGG_DEG };
    enum { M = 900 };
    double r[M], g[M], up[M], down[M];
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = structure("P -1", &cell, species, x, 0.9, 4);
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    for (size_t a = 0; a < 4; a++)
        s->atom[a].occupancy = a < 2 ? 0.83 : 0.47;
    const double u[6] = { 0.013, 0.009, 0.016, 0.002, -0.003, 0.001 };
    s->atom[1].anisotropic = true;
    memcpy(s->atom[1].u, u, sizeof u);
    for (int i = 0; i < M; i++) {
        r[i] = 1.2 + 0.011 * i;
        g[i] = sin(r[i]);
    }
    const bragg_pdf_data data = { .n = M, .r = r, .g = g, .qmax_invang = 24.1 };
    o.rmin_ang = 1.3;
    o.rmax_ang = 10.7;
    bragg_pdf_study *study = study_of(s, &data, &o);
    bragg_params *t = bragg_pdf_study_params(study);
    static const struct { const char *name; double value; } start[] = {
        { "instrument.qdamp", 0.031 }, { "instrument.qbroad", 0.017 }, { "phase.X.scale", 0.83 }, { "phase.X.delta1", 0.27 },
        { "phase.X.delta2", 0.9 }, { "phase.X.sratio", 0.81 }, { "phase.X.rcut", 3.1 }, { "phase.X.spdiameter", 37 } };
    for (size_t k = 0; k < sizeof start / sizeof *start; k++)
        t->at[bragg_params_find(t, start[k].name)].value = start[k].value;
    size_t n = bragg_pdf_study_points(study, 0);
    double *d = calloc(t->n * n, sizeof *d), worst = 0;
    ck_assert_msg(bragg_pdf_study_calculate(study, 0, g, d, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = 0; k < t->n; k++) {
        bool dead = strstr(t->at[k].name, "rcut") || strstr(t->at[k].name, "stepcut");
        bool shared = strstr(t->at[k].name, "atom.K.") || strstr(t->at[k].name, "atom.Ni.");
        if (dead || (shared && !strstr(t->at[k].name, "occupancy"))) /* those two move together */
            continue;
        double value = t->at[k].value, h = 1e-5 * fmax(fabs(value), 0.05), most = 0, off = 0;
        t->at[k].value = value + h;
        ck_assert_int_eq(bragg_pdf_study_calculate(study, 0, up, NULL, &err), BRAGG_OK);
        t->at[k].value = value - h;
        ck_assert_int_eq(bragg_pdf_study_calculate(study, 0, down, NULL, &err), BRAGG_OK);
        t->at[k].value = value;
        for (size_t i = 0; i < n; i++) {
            most = fmax(most, fabs(up[i] - down[i]) / (2 * h));
            off = fmax(off, fabs((up[i] - down[i]) / (2 * h) - d[k * n + i]));
        }
        ck_assert_msg(off <= 2e-3 * most + 1e-9, "%s: off by %g of %g", t->at[k].name, off, most);
        worst = fmax(worst, most > 0 ? off / most : 0);
    }
    fprintf(stderr, "derivatives: %.1e of their largest\n", worst);
    free(d);
    bragg_pdf_study_free(study);
}
END_TEST

static bragg_status read_text(const char *text, bragg_pdf_data **out, bragg_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "test_pdf_data_%d.gr", (int)getpid());
    FILE *to = fopen(path, "w");
    ck_assert_ptr_nonnull(to);
    fputs(text, to);
    fclose(to);
    *err = (bragg_error)BRAGG_ERROR_INIT;
    bragg_status st = bragg_pdf_data_read(path, out, err);
    remove(path);
    return st;
}

START_TEST(a_gr_is_read_whatever_its_header_holds)
{
    static const char good[] = "mode = neutron\nqmax = 21.7\n 1 2 3\nstartqmax = 5\n#### start data\n#L r G dr dG\n"
                               "1 .1 0 1\n2 .2 0 1\n3 .3 0 1\n4 .4 0 1\n5 .5 0 1\n6 .6 0 1\n7 .7 0 1\n8 .8 0 1\n9 .9 0 1\n10 1 0 2\n";
    static const char *const bad[] = { "", "nothing here\n", "1 2\n2 3\n",
                                       "1 1\n2 1\n3 1\n4 1\n5 1\n6 1\n7 1\n8 1\n9 1\n10 1\n9 1\n",
                                       "1 1\n2 1\n3 1\n4 1\n5 1\n6 1\n7 1\n8 1\n9 1\n10 1\n11 nan\n",
                                       "1 1\n2 1\n3 1\n4 1\n5 1\n6 1\n7 1\n8 1\n9 1\n10 1\n11\n" };
    bragg_pdf_data *d;
    bragg_error err;
    ck_assert_msg(read_text(good, &d, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(d->n, 10);
    assert_close(d->qmax_invang, 21.7, 1e-15);
    ck_assert(d->neutron && d->sigma && d->sigma[9] == 2 && d->g[2] == 0.3);
    bragg_pdf_data_free(d);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ck_assert_msg(read_text(bad[k], &d, &err) == BRAGG_EDATA, "'%s' was read", bad[k]);
        ck_assert_ptr_null(d);
        ck_assert_msg(strstr(err.text, "test_pdf_data") != NULL, "%s", err.text);
    }
    ck_assert_int_eq(bragg_pdf_data_read("no/such/file.gr", &d, &err), BRAGG_EIO);
}
END_TEST

/* A written experiment: two sets of two files each, windows, values, ties. */
START_TEST(an_experiment_file_makes_its_studies)
{
    static const char text[] = "title: two\n"
                               "data:\n  range: [2, 12]\n  sets:\n"
                               "    - {name: a, gr: [test_pdf_x.gr, test_pdf_y.gr], type: neutron}\n    - {name: b, gr: test_pdf_x.gr, qmax: 21, weight: 2}\n"
                               "phases:\n  - {name: N, card: Ni, displacement: isotropic, refine: [scale, cell, uiso, positions]}\n"
                               "refine: {parameters: [qdamp, b.instrument.qbroad], values: {a.instrument.qdamp: 0.02}, ties: {b.phase.N.scale: 2 * a.phase.N.scale}, cycles: 7}\n"
                               "sequence: {window: 6, step: 4}\n";
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_experiment *x;
    bragg_pdf_study *s, *next;
    for (int k = 0; k < 3; k++) {
        FILE *to = fopen(k == 0 ? "test_pdf_x.gr" : k == 1 ? "test_pdf_y.gr" : "test_pdf_x.yaml", "w");
        for (int i = 1; k < 2 && i < 700; i++)
            fprintf(to, "%g %g\n", 0.02 * i, sin(0.1 * i * (k + 1)));
        if (k == 2)
            fputs(text, to);
        fclose(to);
    }
    ck_assert_msg(bragg_pdf_experiment_read("test_pdf_x.yaml", &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(bragg_pdf_experiment_steps(x), 4);
    ck_assert_int_eq(bragg_pdf_experiment_cycles(x), 7);
    ck_assert_str_eq(bragg_pdf_experiment_title(x), "two");
    ck_assert_str_eq(bragg_pdf_experiment_label(x, 3), "test_pdf_y.gr 6 to 12 angstrom");
    ck_assert_str_eq(bragg_pdf_experiment_input(x, 2), "test_pdf_y.gr");
    ck_assert_ptr_null(bragg_pdf_experiment_input(x, 5));
    ck_assert_msg(bragg_pdf_experiment_study(x, 3, NULL, &s, &err) == BRAGG_OK, "%s", err.text);
    bragg_params *t = bragg_pdf_study_params(s);
    assert_close(t->at[bragg_params_find(t, "a.instrument.qdamp")].value, 0.02, 1e-15);
    ck_assert(t->at[bragg_params_find(t, "b.instrument.qbroad")].refine && !t->at[bragg_params_find(t, "a.instrument.qbroad")].refine);
    ck_assert(t->at[bragg_params_find(t, "a.phase.N.scale")].refine && !t->at[bragg_params_find(t, "b.phase.N.scale")].refine);
    ck_assert(t->at[bragg_params_find(t, "phase.N.cell.a")].refine && !t->at[bragg_params_find(t, "phase.N.cell.b")].refine);
    t->at[bragg_params_find(t, "phase.N.cell.a")].value = 3.61;
    ck_assert_int_eq(bragg_pdf_experiment_study(x, 2, s, &next, &err), BRAGG_OK);
    t = bragg_pdf_study_params(next);
    assert_close(t->at[bragg_params_find(t, "phase.N.cell.a")].value, 3.61, 1e-15); /* taken over */
    bragg_pdf_study_free(next);
    bragg_pdf_study_free(s);
    bragg_pdf_experiment_free(x);
    remove("test_pdf_x.gr");
    remove("test_pdf_y.gr");
    remove("test_pdf_x.yaml");
}
END_TEST

/* A powder pattern of nickel with noise, calculated by the whole-pattern model. */
static void write_powder(const char *path, double cell, double uiso)
{
    enum { POINTS = 1400 };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_histogram_options h = BRAGG_HISTOGRAM_OPTIONS_INIT;
    bragg_pattern *p = bragg_pattern_new(POINTS, BRAGG_AXIS_TTH);
    bragg_structure *ni = nickel();
    bragg_model *m = bragg_model_new();
    uint64_t seed = 31;
    ni->cell.a = ni->cell.b = ni->cell.c = cell;
    ni->atom[0].uiso_ang2 = uiso;
    for (size_t i = 0; i < POINTS; i++) {
        p->x[i] = (4 + 0.013 * (double)i) * BRAGG_DEG;
        p->y[i] = p->sigma[i] = 1;
    }
    h.radiation.n_lines = 1;
    h.radiation.wavelength_ang[0] = 0.2117;
    h.radiation.ratio[0] = 1;
    h.background_terms = 2;
    ck_assert_msg(bragg_model_add_pattern(m, p, &h, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_add_phase(m, "Ni", ni, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    bragg_params *t = bragg_model_params(m);
    t->at[bragg_params_find(t, "phase.Ni.scale")].value = 0.4;
    t->at[bragg_params_find(t, "background.0")].value = 170;
    t->at[bragg_params_find(t, "background.1")].value = -31;
    t->at[bragg_params_find(t, "instrument.w")].value = 0.0023;
    ck_assert_msg(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err) == BRAGG_OK, "%s", err.text);
    for (size_t i = 0; i < POINTS; i++) {
        double noise = -6;
        for (int k = 0; k < 12; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            noise += (double)(seed >> 11) / 9007199254740992.0;
        }
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += noise * p->sigma[i];
    }
    ck_assert_msg(bragg_pattern_write_text(p, path, true, &err) == BRAGG_OK, "%s", err.text);
    bragg_model_free(m);
    bragg_structure_free(ni);
    bragg_pattern_free(p);
}

START_TEST(sets_and_patterns_are_told_apart_or_refused)
{
    static const char *const bad[] = { "data: {range: [1, 2], sets: [{name: gr, gr: test_pdf_apart.gr}], patterns: [{name: xrd, file: test_pdf_apart.xye}]}\nphases: [{card: Ni}]\n",
                                       "data: {sets: [{name: xrd, gr: test_pdf_apart.gr}], patterns: [{name: xrd, file: test_pdf_apart.xye, radiation: {wavelength: 1}}]}\nphases: [{card: Ni}]\n",
                                       "data: {sets: [{name: gr, gr: test_pdf_apart.gr}], patterns: [test_pdf_apart.xye]}\nradiation: {wavelength: 1}\nphases: [{card: Ni}]\n",
                                       "data: {gr: test_pdf_apart.gr, patterns: [{name: xrd, file: test_pdf_apart.xye}]}\nphases: [{card: Ni}]\n" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        bragg_pdf_experiment *x;
        bragg_error err = BRAGG_ERROR_INIT;
        FILE *to = fopen("test_pdf_apart.yaml", "w");
        fputs(bad[k], to);
        fclose(to);
        ck_assert_msg(bragg_pdf_experiment_read("test_pdf_apart.yaml", &x, &err) == BRAGG_EDATA, "%zu: %s", k, err.text);
        ck_assert_ptr_nonnull(strstr(err.text, "test_pdf_apart.yaml:"));
    }
    remove("test_pdf_apart.yaml");
}
END_TEST

/* One cell and one displacement in both spaces: what a table has twice stands there once. */
START_TEST(g_and_a_powder_pattern_are_fitted_together)
{
    static const char text[] = "data:\n  sets: [{name: gr, gr: test_pdf_joint.gr, range: [1.8, 18], qmax: 24, type: x-ray}]\n"
                               "  patterns: [{name: xrd, file: test_pdf_joint.xye, unit: 2th_deg, radiation: {wavelength: 0.2117, polarization: 0.5},\n"
                               "              background: {terms: 2}, refine: [w]}]\n"
                               "phases: [{name: Ni, card: Ni, displacement: isotropic, refine: [scale, cell, uiso, delta2]}]\n"
                               "refine: {values: {gr.instrument.qdamp: 0.04, xrd.instrument.w: 0.003, phase.Ni.cell.a: 3.53}, bounds: {phase.Ni.delta2: [0, 9]}}\n";
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_experiment *x;
    bragg_pdf_study *s;
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    double r[N], g[N];
    bragg_structure *ni = nickel();
    ni->cell.a = ni->cell.b = ni->cell.c = 3.5237;
    ni->atom[0].uiso_ang2 = 0.0061;
    shape.qmax_invang = 24;
    shape.qdamp_invang = 0.04;
    shape.delta2_ang2 = 1.3;
    calculated(ni, &shape, r, g);
    bragg_structure_free(ni);
    FILE *to = fopen("test_pdf_joint.gr", "w");
    for (int i = 1; i < N; i++)
        fprintf(to, "%.9g %.9g 0 0.05\n", r[i], g[i]);
    fclose(to);
    write_powder("test_pdf_joint.xye", 3.5237, 0.0061);
    to = fopen("test_pdf_joint.yaml", "w");
    fputs(text, to);
    fclose(to);
    ck_assert_msg(bragg_pdf_experiment_read("test_pdf_joint.yaml", &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_str_eq(bragg_pdf_experiment_input(x, 3), "test_pdf_joint.xye");
    ck_assert_msg(bragg_pdf_experiment_study(x, 0, NULL, &s, &err) == BRAGG_OK, "%s", err.text);
    size_t cells = 0;
    for (size_t k = 0; k < bragg_pdf_study_params(s)->n; k++)
        cells += strstr(bragg_pdf_study_params(s)->at[k].name, "cell.a") && !strstr(bragg_pdf_study_params(s)->at[k].name, "alpha");
    ck_assert_uint_eq(cells, 1);
    fitting f = fitted(s);
    ck_assert_uint_eq(f.fit->n_patterns, 1);
    ck_assert_str_eq(f.fit->pattern[0].name, "xrd");
    ck_assert(f.fit->pattern[0].rwp > 0.02 && f.fit->pattern[0].rwp < 0.1 && f.fit->set[0].rw < 0.01);
    ck_assert_uint_eq(f.fit->fitted, f.fit->pattern[0].n + f.fit->set[0].fitted);
    const bragg_param *a = param(&f, "phase.Ni.cell.a"), *u = param(&f, "phase.Ni.atom.Ni1.uiso"), *scale = param(&f, "xrd.phase.Ni.scale");
    ck_assert_msg(fabs(a->value - 3.5237) < 4 * a->esd && a->esd < 1e-4, "a = %g(%g)", a->value, a->esd);
    ck_assert_msg(fabs(u->value - 0.0061) < 4 * u->esd && u->esd < 3e-4, "uiso = %g(%g)", u->value, u->esd);
    assert_close(param(&f, "xrd.instrument.w")->value, 0.0023, 0.05);
    assert_close(param(&f, "gr.phase.Ni.scale")->value, 1, 0.02);
    ck_assert_msg(fabs(scale->value - 0.4) < 4 * scale->esd && scale->esd < 0.004, "scale = %g(%g)", scale->value, scale->esd);
    close_fit(&f);
    bragg_pdf_experiment_free(x);
    remove("test_pdf_joint.gr");
    remove("test_pdf_joint.xye");
    remove("test_pdf_joint.yaml");
}
END_TEST

START_TEST(a_fit_that_makes_no_sense_is_refused)
{
    double r[20], g[20];
    bragg_error err = BRAGG_ERROR_INIT;
    for (int i = 0; i < 20; i++) {
        r[i] = 2 + 0.1 * i;
        g[i] = cos(r[i]);
    }
    bragg_pdf_data data = { .n = 20, .r = r, .g = g, .qmax_invang = NAN };
    const bragg_pdf_set_options good = BRAGG_PDF_SET_OPTIONS_INIT;
    bragg_pdf_set_options o = good;
    bragg_pdf_fit *f;
    const bragg_pdf_fit_options fo = BRAGG_PDF_FIT_OPTIONS_INIT;
    bragg_pdf_study *x = bragg_pdf_study_new();
    o.rmin_ang = 30;
    ck_assert_int_eq(bragg_pdf_study_add_set(x, &data, &o, &err), BRAGG_EINVAL);
    o = good, o.weight = NAN, err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_pdf_study_add_set(x, &data, &o, &err), BRAGG_EINVAL);
    r[7] += 0.05, err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_pdf_study_add_set(x, &data, &good, &err), BRAGG_EDATA);
    r[7] -= 0.05, g[3] = NAN, err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_pdf_study_add_set(x, &data, &good, &err), BRAGG_EDATA);
    g[3] = 1, err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_pdf_study_build(x, &err), BRAGG_EINVAL);
    bragg_pdf_study_free(x);
    x = study_of(nickel(), &data, &good);
    bragg_params_select(bragg_pdf_study_params(x), "phase.X.rcut", true);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_pdf_study_fit(x, &fo, &f, &err), BRAGG_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "rcut"));
    ck_assert_ptr_null(f);
    bragg_pdf_study_free(x);
}
END_TEST

static void assert_formula(const char *text, const char *expected)
{
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    char got[256] = "";
    ck_assert_msg(bragg_composition_parse(text, &c, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = 0; k < c.n; k++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s %.6g", k ? " " : "", c.scatterer[k].name, c.count[k]);
    ck_assert_str_eq(got, expected);
}

START_TEST(formulae_become_numbers_of_atoms)
{
    assert_formula("BiSnSb", "Bi 1 Sn 1 Sb 1");
    assert_formula("K3Bi2", "K 3 Bi 2");
    assert_formula("Pb Ti0.5 Zr .5 O 3", "Pb 1 Ti 0.5 Zr 0.5 O 3");
    assert_formula("Zr(HPO4)2\xc2\xb7H2O", "Zr 1 H 4 P 2 O 9");
    assert_formula("CuSO4*5H2O", "Cu 1 S 1 O 9 H 10");
    assert_formula("Na2[Ca(CO3)2]1.5 {D2O}0.25", "Na 2 Ca 1.5 C 3 O 9.25 D 0.5");
    assert_formula("CH3 CH3", "C 2 H 6");
}
END_TEST

START_TEST(a_formula_that_is_none_is_explained)
{
    static const char *const bad[] = { "", "  ", "Xx2", "Ni0", "(NaCl", "NaCl)", "()2", "bi", "Ni1.2.3", "3Ni", "Ni-2", "*H2O",
                                       "((((((((((((((((((((Ni))))))))))))))))))))", "Ni1e9999" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        bragg_composition c;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_composition_parse(bad[k], &c, &err) == BRAGG_EDATA, "'%s' was read", bad[k]);
        ck_assert_msg(strstr(err.text, "composition") != NULL, "%s", err.text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pdf");
    TCase *model = tcase_create("model"), *formula = tcase_create("formula");
    tcase_add_test(model, calculated_nickel_is_that_of_libdiffpy);
    tcase_add_test(model, mixed_sites_weigh_as_in_libdiffpy);
    tcase_add_test(model, a_structure_without_its_symmetry_gives_the_same_g);
    tcase_add_test(model, a_round_tensor_gives_the_g_of_its_uiso);
    tcase_add_test(formula, formulae_become_numbers_of_atoms);
    tcase_add_test(formula, a_formula_that_is_none_is_explained);
    suite_add_tcase(suite, formula);
    suite_add_tcase(suite, model);
    TCase *reduction = tcase_create("reduction");
    tcase_add_test(reduction, reduction_agrees_with_the_processed_files);
    tcase_add_test(reduction, errors_of_g_are_the_scatter_of_repeated_measurements);
    tcase_add_test(reduction, a_weak_measurement_is_not_refused);
    tcase_add_test(reduction, a_known_structure_comes_back);
    tcase_add_test(reduction, the_physical_route_has_the_slope_of_the_density);
    tcase_add_test(reduction, what_is_left_open_is_found);
    tcase_add_test(reduction, the_scale_of_the_background_does_not_depend_on_where_the_transform_begins);
    tcase_add_test(reduction, further_empties_are_taken_off);
    tcase_add_test(reduction, covariances_are_those_of_repeated_measurements);
    tcase_add_test(reduction, the_esd_of_the_slope_is_its_scatter);
    tcase_add_test(reduction, a_covariance_is_written_and_read_back);
    tcase_add_test(reduction, windows_calm_the_ripples);
    tcase_add_test(reduction, partial_weights_add_up_to_one);
    tcase_add_test(reduction, a_difference_shows_what_has_changed);
    tcase_add_test(model, the_debye_sum_is_the_periodic_model_in_a_large_sphere);
    tcase_add_test(model, two_atoms_scatter_as_debye_wrote);
    tcase_add_test(model, rods_and_plates_are_cut);
    tcase_add_test(reduction, what_cannot_be_reduced_is_explained);
    tcase_add_test(reduction, two_theta_and_q_give_the_same_g);
    tcase_add_test(reduction, a_written_gr_reads_back);
    suite_add_tcase(suite, reduction);
    TCase *fit = tcase_create("fit");
    tcase_set_timeout(model, 60);
    tcase_set_timeout(reduction, 120);
    tcase_set_timeout(fit, 60);
    tcase_add_test(fit, measured_nickel_is_fitted);
    tcase_add_test(fit, x_rays_and_neutrons_are_fitted_together);
    tcase_add_test(fit, two_phases_come_back_with_their_ties);
    tcase_add_test(fit, derivatives_are_those_of_the_model);
    tcase_add_test(fit, measured_perovskite_is_fitted_with_positions);
    tcase_add_test(fit, a_calculated_g_gives_its_own_parameters_back);
    tcase_add_test(fit, a_gr_is_read_whatever_its_header_holds);
    tcase_add_test(fit, an_experiment_file_makes_its_studies);
    tcase_add_test(fit, sets_and_patterns_are_told_apart_or_refused);
    tcase_add_test(fit, g_and_a_powder_pattern_are_fitted_together);
    tcase_add_test(fit, a_fit_that_makes_no_sense_is_refused);
    suite_add_tcase(suite, fit);
    int failed = run_suite(suite);
    return failed > 0;
}
