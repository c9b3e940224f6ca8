/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the whole-pattern model is made of: each term's derivatives, and what it is
 * known to give. */
#include "config.h"
#include "derivatives.h"
#include "folder.h"
#include "model_made.h"
#include "suite.h"
#include "random.h"

#include "../src/refine/spot.h"

#include <bragg/number.h>
#include <bragg/units.h>
#include <stdio.h>
#include <unistd.h>

static bragg_model *mixture_in_a_lab(void)
{
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    add_pattern(m, &o, 21.3, 0.053, 900);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    return m;
}

/* What cells of points get from a few nodes against every peak at every point. */
START_TEST(far_peaks_are_the_same_from_nodes)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    enum { N = 4391 };
    add_pattern(m, &o, 13.7, 0.0173, N);
    add_structure(m, "B", rhombohedral());
    build(m);
    *value_of(m, "instrument.w") = 0.0071;
    *value_of(m, "instrument.sl") = 0.017;
    *value_of(m, "instrument.hl") = 0.013;
    *value_of(m, "phase.B.size") = 23;
    double *y = malloc(N * sizeof *y), *direct = calloc(N, sizeof *direct), top = 0;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, y, NULL, &err), BRAGG_OK);
    const histogram *h = &m->histogram[0];
    for (size_t k = 0; k < h->n_peaks; k++)
        bragg_refine_add_profile(h, &h->peak[k], h->peak[k].first, h->peak[k].last, h->peak[k].intensity * BRAGG_DEG / 100, direct + h->peak[k].first);
    size_t moved = 0;
    for (size_t i = 0; i < N; i++) {
        direct[i] += bragg_refine_background(m, h, i);
        top = fmax(top, direct[i]);
        moved += direct[i] != y[i];
    }
    for (size_t i = 0; i < N; i++)
        ck_assert_msg(fabs(y[i] - direct[i]) < 1e-9 * top, "point %zu: off by %g of the top", i, fabs(y[i] - direct[i]) / top);
    ck_assert_msg(moved > N / 2, "%zu points saw nodes", moved);
    free(y);
    free(direct);
    bragg_model_free(m);
}
END_TEST

/* Two phases, one triclinic with an anisotropic atom, two lines, everything free.  Anisotropic
 * factors are differentiated as if the cell swelled evenly: a cell of that phase is looser. */
START_TEST(everything_free_has_true_derivatives)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    bragg_structure *a = triclinic();
    const int march[3] = { 0, 1, 2 };
    a->atom[1].anisotropic = true;
    memcpy(a->atom[1].u, (const double[6]){ 0.011, 0.017, 0.023, 0.0031, -0.0022, 0.0047 }, sizeof a->atom[1].u);
    add_pattern(m, &o, 21.3, 0.053, 700);
    ck_assert_msg(bragg_model_add_phase(m, "A", a, march, &err) == BRAGG_OK, "%s", err.text);
    bragg_structure_free(a);
    add_structure(m, "B", rhombohedral());
    build(m);
    bragg_params *t = bragg_model_params(m);
    t->at[bragg_params_find(t, "instrument.hl")].tie_to = -1;
    static const struct { const char *name; double value; } values[] = { { "instrument.u", 0.011 }, { "instrument.v", -0.007 }, { "instrument.w", 0.021 },
        { "instrument.p", 0.003 }, { "instrument.x", 0.013 }, { "instrument.y", 0.031 }, { "instrument.z", 0.002 }, { "instrument.sl", 0.021 },
        { "instrument.hl", 0.013 }, { "instrument.zero", 0.017 }, { "instrument.displacement", 0.053 }, { "phase.A.size", 71 }, { "phase.A.strain", 830 },
        { "phase.B.size", 131 }, { "phase.A.march", 0.83 }, { "phase.A.scale", 0.71 }, { "phase.B.scale", 1.3 }, { "background.1", 3.1 } };
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        *value_of(m, values[k].name) = values[k].value;
    bragg_model_select(m, "*", true);
    static const char *const not_here[] = { "absorption", "roughness_?", "box", "pixel", "transparency" };
    for (size_t k = 0; k < sizeof not_here / sizeof *not_here; k++) {
        char name[60];
        snprintf(name, sizeof name, "instrument.%s", not_here[k]);
        bragg_model_select(m, name, false);
    }
    bragg_model_select(m, "phase.A.cell", false);
    size_t checked = check_derivatives(m, 5e-4, 0.05);
    bragg_model_select(m, "*", false);
    bragg_model_select(m, "phase.A.cell", true);
    checked += check_derivatives(m, 2e-2, 0.05);
    ck_assert_uint_gt(checked, 38);
    bragg_model_free(m);
}
END_TEST

/* X-rays and neutrons see one structure; the neutrons a lattice strained by D_ij. */
START_TEST(joint_patterns_have_true_derivatives)
{
    bragg_model *m = bragg_model_new();
    bragg_histogram_options x = lab("x"), n = neutrons("n");
    n.weight = 2.7;
    add_pattern(m, &x, 21.3, 0.053, 700);
    add_pattern(m, &n, 31.7, 0.097, 500);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    build(m);
    *value_of(m, "x.instrument.w") = 0.021;
    *value_of(m, "n.instrument.w") = 0.083;
    *value_of(m, "n.instrument.x") = 0.031;
    *value_of(m, "x.phase.A.scale") = 0.71;
    *value_of(m, "n.phase.A.scale") = 13;
    *value_of(m, "n.phase.B.scale") = 17;
    static const char *const dij[] = { "d11", "d22", "d33", "d23", "d13", "d12" };
    for (int k = 0; k < 6; k++) {
        char name[60];
        snprintf(name, sizeof name, "n.phase.A.dij.%s", dij[k]);
        *value_of(m, name) = 1e-4 * (k + 1.3) * (k % 2 ? -1 : 1);
    }
    *value_of(m, "n.phase.B.dij.d11") = 2.1e-4;
    ck_assert_int_lt(bragg_params_find(bragg_model_params(m), "x.phase.A.dij.d11"), 0);
    ck_assert_int_lt(bragg_params_find(bragg_model_params(m), "n.phase.B.dij.d22"), 0); /* follows D11 */
    bragg_model_select(m, "*.background", true);
    bragg_model_select(m, "*.dij", true);
    bragg_model_select(m, "*.scale", true);
    bragg_model_select(m, "phase.*.atom.*", true);
    bragg_model_select(m, "phase.*.cell", true);
    bragg_model_select(m, "*.instrument.[wxyz]", true);
    for (size_t k = 0; k < bragg_model_params(m)->n; k++)
        if (strstr(bragg_model_params(m)->at[k].name, "dij"))
            bragg_model_params(m)->at[k].scale = 1e-9;
    ck_assert_uint_gt(check_derivatives(m, 1e-3, 0.03), 45);
    bragg_model_free(m);
}
END_TEST

/* D_ij and a cell that is strained so are the same pattern. */
START_TEST(lattice_strain_moves_peaks_as_its_cell_does)
{
    bragg_model *m = bragg_model_new();
    bragg_histogram_options x = lab("x"), n = neutrons("n");
    add_pattern(m, &x, 21.3, 0.053, 700);
    add_pattern(m, &n, 31.7, 0.097, 500);
    add_structure(m, "B", rhombohedral());
    build(m);
    *value_of(m, "n.instrument.w") = 0.083;
    double g[6], other[6], strained[500], moved[500], top = 0;
    bragg_cell cell = { 4.407, 4.407, 11.709, BRAGG_PI / 2, BRAGG_PI / 2, 2 * BRAGG_PI / 3 }, grown = cell;
    grown.a = grown.b = 4.4231;
    grown.c = 11.6713;
    bragg_cell_reciprocal(&cell, g);
    bragg_cell_reciprocal(&grown, other);
    *value_of(m, "n.phase.B.dij.d11") = other[0] - g[0];
    *value_of(m, "n.phase.B.dij.d33") = other[2] - g[2];
    *value_of(m, "n.phase.B.scale") = bragg_cell_volume_ang3(&cell) / bragg_cell_volume_ang3(&grown);
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_model_calculate(m, 1, NULL, NULL, NULL, strained, NULL, &err), BRAGG_OK);
    *value_of(m, "n.phase.B.dij.d11") = *value_of(m, "n.phase.B.dij.d33") = 0;
    *value_of(m, "n.phase.B.scale") = 1;
    *value_of(m, "phase.B.cell.a") = *value_of(m, "phase.B.cell.b") = grown.a;
    *value_of(m, "phase.B.cell.c") = grown.c;
    ck_assert_int_eq(bragg_model_calculate(m, 1, NULL, NULL, NULL, moved, NULL, &err), BRAGG_OK);
    for (int i = 0; i < 500; i++)
        top = fmax(top, moved[i]);
    for (int i = 0; i < 500; i++) /* displacements know the true 1/d^2 only of the cell */
        ck_assert_double_eq_tol(strained[i], moved[i], 3e-4 * top);
    bragg_model_free(m);
}
END_TEST

static bragg_histogram_options synchrotron(void)
{
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.radiation = (bragg_radiation){ .n_lines = 1, .wavelength_ang = { 0.7137 }, .ratio = { 1 }, .polarization = 0.95 };
    return o;
}

/* The pattern of the triclinic phase, counted. */
static bragg_pattern *counted(double scale, bragg_model **truth)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = *truth = bragg_model_new();
    bragg_histogram_options o = synchrotron();
    bragg_pattern *p = points(7.3, 0.011, 2400);
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    add_structure(m, "A", triclinic());
    build(m);
    *value_of(m, "instrument.w") = 0.0019;
    *value_of(m, "instrument.x") = 0.007;
    *value_of(m, "background.0") = 83;
    *value_of(m, "phase.A.scale") = scale;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < p->n; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * deviate();
    }
    return p;
}

START_TEST(pawley_finds_intensities_with_honest_esds)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *truth, *m = bragg_model_new();
    bragg_pattern *p = counted(0.13, &truth);
    bragg_structure *s = triclinic();
    bragg_histogram_options o = synchrotron();
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_add_pawley(m, "A", &s->cell, &s->symmetry, false, &err), BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.0023;
    *value_of(m, "instrument.x") = 0.006;
    *value_of(m, "phase.A.cell.a") *= 1.0004;
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "phase.A.cell", true);
    bragg_model_select(m, "instrument.[wx]", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    ck_assert(f->gof < 1.08);
    size_t n, seen = 0;
    const bragg_model_peak *peaks = bragg_model_peaks(truth, 0, &n);
    double sum = 0, squares = 0;
    for (size_t k = 0; k < n; k++) {
        char name[80];
        snprintf(name, sizeof name, "phase.A.intensity.%d_%d_%d", peaks[k].hkl.h, peaks[k].hkl.k, peaks[k].hkl.l);
        const bragg_params *t = bragg_model_params(m);
        ptrdiff_t row = bragg_params_find(t, name);
        ck_assert_int_ge(row, 0);
        double fwhm = 0.06 * BRAGG_DEG, alone = k && k + 1 < n ? fmin(peaks[k].two_theta_rad - peaks[k - 1].two_theta_rad,
                                                                     peaks[k + 1].two_theta_rad - peaks[k].two_theta_rad) : 0;
        if (alone < 0.6 * fwhm || !(t->at[row].esd > 0))
            continue;
        double pull = (t->at[row].value - 0.13 * peaks[k].f2) / t->at[row].esd;
        sum += pull;
        squares += pull * pull;
        seen++;
    }
    ck_assert_uint_gt(seen, 60);
    ck_assert_msg(fabs(sum / (double)seen) < 3 / sqrt((double)seen), "mean pull %g of %zu", sum / (double)seen, seen);
    ck_assert_msg(fabs(sqrt(squares / (double)seen) - 1) < 0.25, "width of pulls %g of %zu", sqrt(squares / (double)seen), seen);
    bragg_params *t = bragg_model_params(m);
    for (size_t k = 0; k < t->n; k++) /* as the fit had them: tables forget the intensities' flags */
        t->at[k].refine = t->at[k].refine || (strstr(t->at[k].name, ".intensity.") && isfinite(t->at[k].esd));
    ck_assert_uint_gt(check_derivatives(m, 1e-3, 0.02), seen);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

/* Peaks whose |F|^2 are known are the pattern that atoms make. */
START_TEST(known_intensities_make_the_same_pattern_and_fractions)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *truth = bragg_model_new(), *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    add_pattern(truth, &o, 21.3, 0.053, 1500);
    add_structure(truth, "B", rhombohedral());
    build(truth);
    *value_of(truth, "instrument.w") = 0.011;
    double want[1500], ours[1500], listed[1500], top = 0;
    ck_assert_int_eq(bragg_model_calculate(truth, 0, NULL, NULL, NULL, want, NULL, &err), BRAGG_OK);
    size_t n, found = 0;
    const bragg_model_peak *peaks = bragg_model_peaks(truth, 0, &n);
    bragg_known_peak known[200], list[200];
    for (size_t k = 0; k < n; k++) {
        if (peaks[k].line != 0)
            continue;
        double s = 1.540593 / (2 * peaks[k].hkl.d_ang), c2 = 1 - 2 * s * s, lp = (0.5 + 0.5 * c2 * c2) / (2 * s * s * sqrt(1 - s * s));
        known[found] = (bragg_known_peak){ peaks[k].hkl.h, peaks[k].hkl.k, peaks[k].hkl.l, 0, peaks[k].f2 };
        list[found++] = (bragg_known_peak){ 0, 0, 0, peaks[k].hkl.d_ang, peaks[k].f2 * peaks[k].hkl.multiplicity * lp };
    }
    bragg_structure *s = rhombohedral();
    add_pattern(m, &o, 21.3, 0.053, 1500);
    ck_assert_msg(bragg_model_add_intensities(m, "K", &s->cell, &s->symmetry, known, found, 2 * 365.28, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_add_list(m, "L", list, found, NAN, NAN, &err) == BRAGG_OK, "%s", err.text);
    add_structure(m, "B", rhombohedral());
    build(m);
    *value_of(m, "instrument.w") = 0.011;
    *value_of(m, "phase.L.scale") = *value_of(m, "phase.B.scale") = 0;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, ours, NULL, &err), BRAGG_OK);
    *value_of(m, "phase.K.scale") = 0;
    *value_of(m, "phase.L.scale") = 1 / bragg_cell_volume_ang3(&s->cell);
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, listed, NULL, &err), BRAGG_OK);
    for (int i = 0; i < 1500; i++)
        top = fmax(top, want[i]);
    for (int i = 0; i < 1500; i++) {
        ck_assert_double_eq_tol(ours[i], want[i], 1e-12 * top);
        ck_assert_double_eq_tol(listed[i], want[i], 1e-9 * top);
    }
    *value_of(m, "phase.K.scale") = 0.31;
    *value_of(m, "phase.L.scale") = 0.0017;
    *value_of(m, "phase.B.scale") = 0.69;
    bragg_model_select(m, "*.scale", true);
    bragg_model_select(m, "*.cell", true);
    ck_assert_uint_eq(check_derivatives(m, 1e-3, 0.03), 8);
    bragg_model_free(truth);
    bragg_model_free(m);
    bragg_structure_free(s);
}
END_TEST

/* Triclinic with all fifteen S_HKL, and uniaxial; a capillary off centre, pixels and bins. */
START_TEST(anisotropic_widths_have_true_derivatives)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = neutrons(NULL);
    o.radius_m = 0.57;
    add_pattern(m, &o, 31.7, 0.067, 900);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    const int axis[3] = { 0, 0, 3 };
    ck_assert_int_eq(bragg_model_broaden(m, "A", NULL, true, &err), BRAGG_OK);
    ck_assert_msg(bragg_model_broaden(m, "B", axis, true, &err) == BRAGG_OK, "%s", err.text);
    build(m);
    *value_of(m, "instrument.w") = 0.043;
    *value_of(m, "instrument.x") = 0.021;
    *value_of(m, "instrument.box") = 0.11;
    *value_of(m, "instrument.pixel") = 0.19;
    *value_of(m, "instrument.shift_x") = 0.41;
    *value_of(m, "instrument.shift_y") = -0.37;
    *value_of(m, "instrument.absorption") = 1.37;
    *value_of(m, "instrument.sl") = 0.017;
    *value_of(m, "instrument.hl") = 0.011;
    bragg_model_params(m)->at[bragg_params_find(bragg_model_params(m), "instrument.hl")].tie_to = -1;
    *value_of(m, "phase.A.scale") = 0.7;
    *value_of(m, "phase.A.lorentz") = 0.37;
    *value_of(m, "phase.B.lorentz") = 0.71;
    *value_of(m, "phase.B.size") = 37;
    *value_of(m, "phase.B.size.axial") = 19;
    *value_of(m, "phase.B.strain") = 1730;
    *value_of(m, "phase.B.strain.axial") = 2930;
    bragg_params *t = bragg_model_params(m);
    bragg_model_calculate(m, 0, NULL, NULL, NULL, NULL, NULL, &err);
    bragg_refine_start_stephens(t, &m->phase[0], 3300);
    bragg_refine_start_stephens(t, &m->phase[1], 2100);
    for (size_t k = 0; k < t->n; k++)
        if (strstr(t->at[k].name, "stephens")) {
            t->at[k].value *= 1 + 0.3 * sin((double)k);
            t->at[k].scale = 3;
        }
    static const char *const names[] = { "phase.*.stephens", "phase.*.lorentz", "phase.B.size", "phase.B.strain", "phase.*.cell", "instrument.[uvwxyz]",
                                         "instrument.zero", "instrument.sl", "instrument.hl", "instrument.box", "instrument.pixel", "instrument.shift_?",
                                         "instrument.absorption", "instrument.wavelength", "phase.*.atom.*.x" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        ck_assert_msg(bragg_model_select(m, names[k], true) > 0, "%s", names[k]);
    ck_assert_uint_gt(check_derivatives(m, 1e-3, 0.05), 48);
    bragg_model_free(m);
}
END_TEST

/* Windows beside the sample's plane: on a cylinder, a flat detector, under Bragg-Brentano. */
static bragg_model *with_windows(int which)
{
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = which == 2 ? lab(NULL) : neutrons(NULL);
    o.radius_m = 0.19;
    o.flat_detector = which == 1;
    add_pattern(m, &o, 21.3, 0.067, 900);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    build(m);
    *value_of(m, "instrument.w") = 0.043;
    *value_of(m, "phase.A.scale") = 0.7;
    return m;
}

START_TEST(offsets_have_true_derivatives)
{
    static const char *const names[] = { "phase.*.offset", "phase.*.cell", "phase.*.scale", "instrument.[wxy]", "instrument.zero", "phase.B.size" };
    bragg_model *m = with_windows(_i);
    static const char *const across[] = { "instrument.shift_x", "instrument.shift_y", "instrument.displacement", "instrument.transparency" };
    *value_of(m, "phase.A.offset") = 1.37;
    *value_of(m, "phase.B.offset") = -0.61;
    *value_of(m, "phase.B.size") = 37;
    for (int k = _i == 2 ? 2 : 0; k < (_i == 2 ? 4 : 2); k++) {
        *value_of(m, across[k]) = 0.23 * (k + 1);
        ck_assert_uint_eq(bragg_model_select(m, across[k], true), 1);
    }
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        ck_assert_msg(bragg_model_select(m, names[k], true) > 0, "%s", names[k]);
    ck_assert_uint_gt(check_derivatives(m, 1e-3, 0.05), 15);
    bragg_model_free(m);
}
END_TEST

/* Lines of the window stand where its distance from the detector sends them, the sample's
 * where they stood. */
START_TEST(an_offset_moves_the_lines_of_its_phase_alone)
{
    static const double off_mm = 1.37, r_mm = 190;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = with_windows(_i);
    size_t n, moved = 0;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, NULL, NULL, &err), BRAGG_OK);
    const bragg_model_peak *p = bragg_model_peaks(m, 0, &n);
    bragg_model_peak *was = malloc(n * sizeof *was);
    size_t n_was = n;
    memcpy(was, p, n * sizeof *was);
    *value_of(m, "phase.A.offset") = off_mm;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, NULL, NULL, &err), BRAGG_OK);
    p = bragg_model_peaks(m, 0, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_was; k++) {
            const bragg_reflection *a = &p[i].hkl, *b = &was[k].hkl;
            double x = was[k].two_theta_rad;
            if (p[i].phase != was[k].phase || p[i].line != was[k].line || a->h != b->h || a->k != b->k || a->l != b->l)
                continue;
            double there = _i == 0 ? x + off_mm / r_mm * sin(x) : _i == 1 ? atan(tan(x) * (r_mm + off_mm) / r_mm) : x - 2 * off_mm / r_mm * cos(x / 2);
            ck_assert_double_eq_tol(p[i].two_theta_rad, p[i].phase ? x : there < 0 ? there + BRAGG_PI : there, 1e-12);
            moved += p[i].phase == 0;
        }
    ck_assert_uint_gt(moved, 20);
    free(was);
    bragg_model_free(m);
}
END_TEST

/* Bragg-Brentano and a plate in transmission. */
START_TEST(flat_samples_have_true_derivatives)
{
    for (int k = 0; k < 2; k++) {
        bragg_model *m = bragg_model_new();
        bragg_histogram_options o = lab(NULL);
        o.mount = k ? BRAGG_TRANSMISSION : BRAGG_BRAGG_BRENTANO;
        o.radiation.width_ang[1] = 0.0007; /* of the second line alone: the ratio stays free */
        add_pattern(m, &o, 21.3, 0.053, 700);
        add_structure(m, "A", triclinic());
        build(m);
        *value_of(m, "instrument.w") = 0.043;
        *value_of(m, "instrument.absorption") = 0.61;
        *value_of(m, "instrument.roughness_p") = 0.37;
        *value_of(m, "instrument.roughness_q") = 0.73;
        if (!k) {
            *value_of(m, "instrument.transparency") = 0.13;
            *value_of(m, "instrument.displacement") = 0.07;
        }
        bragg_model_select(m, "instrument.*", true);
        bragg_model_select(m, "phase.A.cell", true);
        bragg_model_select(m, "instrument.box", false);
        bragg_model_select(m, "instrument.pixel", false);
        bragg_model_select(m, "instrument.[ush]*", false);
        ck_assert_uint_gt(check_derivatives(m, 1e-3, 0.05), 15);
        bragg_model_free(m);
    }
}
END_TEST

/* The mean of a profile over a box, by brute force. */
START_TEST(a_box_is_the_mean_over_its_width)
{
    bragg_error err = BRAGG_ERROR_INIT;
    double sharp[4001], boxed[4001], top = 0;
    for (int wide = 0; wide < 2; wide++) {
        bragg_model *m = bragg_model_new();
        bragg_histogram_options o = neutrons(NULL);
        add_pattern(m, &o, 60, 0.01, 4001);
        add_structure(m, "B", rhombohedral());
        build(m);
        *value_of(m, "instrument.w") = 0.013;
        *value_of(m, "instrument.x") = 0.031;
        ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, sharp, NULL, &err), BRAGG_OK);
        int half = wide ? 17 : 4; /* 0.35 and 0.09 deg: about two widths, half a width */
        *value_of(m, "instrument.box") = 0.01 * (2 * half + 1);
        ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, boxed, NULL, &err), BRAGG_OK);
        for (int i = 0; i < 4001; i++)
            top = fmax(top, boxed[i]);
        for (int i = 100; i < 3900; i++) {
            double sum = 0;
            for (int k = -half; k <= half; k++)
                sum += (sharp[i + k] + (sharp[i + k + 1] - 2 * sharp[i + k] + sharp[i + k - 1]) / 24) / (2 * half + 1);
            ck_assert_double_eq_tol(boxed[i], sum, 1e-3 * top);
        }
        bragg_model_free(m);
    }
}
END_TEST

START_TEST(stephens_of_an_isotropic_strain_is_that_strain)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = neutrons(NULL);
    add_pattern(m, &o, 31.7, 0.067, 900);
    add_structure(m, "A", triclinic());
    ck_assert_int_eq(bragg_model_broaden(m, "A", NULL, true, &err), BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.043;
    *value_of(m, "phase.A.strain") = 2310;
    double with[900], without[900], top = 0;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, with, NULL, &err), BRAGG_OK);
    *value_of(m, "phase.A.strain") = 0;
    bragg_refine_start_stephens(bragg_model_params(m), &m->phase[0], 2310);
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, without, NULL, &err), BRAGG_OK);
    for (int i = 0; i < 900; i++)
        top = fmax(top, with[i]);
    for (int i = 0; i < 900; i++)
        ck_assert_double_eq_tol(with[i], without[i], 1e-5 * top);
    const int odd[3] = { 1, 0, 0 };
    bragg_model *other = bragg_model_new();
    add_pattern(other, &o, 31.7, 0.067, 900);
    add_structure(other, "B", rhombohedral());
    ck_assert_int_eq(bragg_model_broaden(other, "B", odd, false, &err), BRAGG_EDATA);
    bragg_model_free(other);
    bragg_model_free(m);
}
END_TEST

/* Two phases with three axes of texture and harmonics, extinction, every part of a background. */
static bragg_model *decorated(bragg_background kind, bool neutron)
{
    const double empty_x[3] = { 0.3, 0.7, 1.6 }, empty[3] = { 30, 47, 21 }, debye[2] = { 1.61, 2.73 }, humps[1][2] = { { 47, 9 } };
    const int axes[3][3] = { { 0, 1, 2 }, { 1, 0, 0 }, { 1, 1, 3 } };
    static const struct { const char *name; double value; } values[] = { { "instrument.w", 0.083 }, { "phase.A.march", 0.71 }, { "phase.A.march.r2", 1.31 },
        { "phase.A.march.part2", 0.21 }, { "phase.A.march.part3", 0.13 }, { "phase.A.harmonics.c2_1", 0.31 }, { "phase.A.harmonics.c2_4", -0.23 },
        { "phase.B.harmonics.c2_1", 0.41 }, { "phase.B.harmonics.c4_2", -0.27 }, { "background.0", 31 },
        { "background.3", 7 }, { "background.container", 0.7 }, { "background.debye1.a", 17 }, { "phase.A.scale", 0.37 } };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = neutron ? neutrons(NULL) : lab(NULL);
    o.background = kind;
    o.background_terms = 5;
    o.n_container = 3;
    o.container_rad = empty_x;
    o.container = empty;
    o.n_debye = 2;
    o.debye_ang = debye;
    o.n_humps = 1;
    o.hump_deg = humps;
    add_pattern(m, &o, 31.7, 0.067, 700);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    ck_assert_int_eq(bragg_model_texture(m, "A", axes, 3, 2, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_texture(m, "B", NULL, 0, 6, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_texture(m, "B", NULL, 0, 5, &err), BRAGG_EDATA);
    ck_assert_int_eq(bragg_model_extinction(m, "A", &err), BRAGG_OK);
    build(m);
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        *value_of(m, values[v].name) = values[v].value;
    *value_of(m, "phase.A.extinction") = neutron ? 3 : 37;
    return m;
}

static const bragg_background backgrounds[] = { BRAGG_BACKGROUND_CHEBYSHEV, BRAGG_BACKGROUND_LINEAR, BRAGG_BACKGROUND_COSINE, BRAGG_BACKGROUND_LOG };

START_TEST(texture_extinction_and_background_have_true_derivatives)
{
    static const char *const names[] = { "background", "phase.*.march", "phase.*.harmonics", "phase.A.extinction", "phase.*.cell", "phase.*.scale",
                                         "phase.A.atom", "instrument.wavelength" };
    bragg_model *m = decorated(backgrounds[_i], _i % 2 == 0);
    for (size_t v = 0; v < sizeof names / sizeof *names; v++)
        ck_assert_msg(bragg_model_select(m, names[v], true) > 0, "%s", names[v]);
    ck_assert_uint_gt(check_derivatives(m, 1e-3, 0.05), 45);
    bragg_model_free(m);
}
END_TEST

/* The mean background is that of its points, and its esd that of all of its parts. */
START_TEST(the_mean_of_a_background_has_the_doubt_of_its_parts)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = decorated(backgrounds[_i], false);
    bragg_params *t = bragg_model_params(m);
    double background[700], y[700], *slope = calloc(t->n, sizeof *slope);
    bragg_pattern *p = points(31.7, 0.067, 700);
    bragg_refine_options at_once = BRAGG_REFINE_OPTIONS_INIT;
    bragg_fit *f;
    at_once.stages = false;
    *value_of(m, "background.peak1.area") = 23;
    for (int k = 0; k < 5; k++) /* of one scale, or the data do not tell all of them */
        t->at[(size_t)bragg_params_find(t, "background.0") + (size_t)k].refine = k != 1;
    bragg_model_select(m, "background.peak1.area", true);
    bragg_model_select(m, "background.debye1.a", true);
    bragg_model_select(m, "phase.A.scale", true);
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_replace_pattern(m, 0, p, &err), BRAGG_OK);
    ck_assert_msg(bragg_refine(m, &at_once, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    bragg_quantity mean;
    ck_assert_int_eq(bragg_model_background_mean(m, 0, f, &mean, &err), BRAGG_OK);
    for (size_t row = 0; row < t->n; row++) {
        double keep = t->at[row].value, h = 1e-4 * fmax(fabs(keep), 1);
        for (int side = -1; side < 2 && t->at[row].refine; side += 2) {
            t->at[row].value = keep + side * h;
            ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, y, background, &err), BRAGG_OK);
            for (int i = 0; i < 700; i++)
                slope[row] += side * background[i] / 700 / (2 * h);
        }
        t->at[row].value = keep;
    }
    double sum = 0;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, y, background, &err), BRAGG_OK);
    for (int i = 0; i < 700; i++)
        sum += background[i] / 700;
    assert_close(mean.value, sum, 1e-12);
    assert_close(mean.esd, sqrt(bragg_fit_variance(f, t, slope)), 1e-7);
    free(slope);
    bragg_fit_free(f);
    bragg_pattern_free(p);
    bragg_model_free(m);
}
END_TEST

static bragg_model *restrained(void)
{
    static const char *const bond[] = { "Bi1", "S1" }, *const corner[] = { "S1", "Bi1", "S1" }, *const nobody[] = { "Bi1", "Xx9" }, *const alone[] = { "S1", "S1", "S1" };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = decorated(BRAGG_BACKGROUND_CHEBYSHEV, false);
    const bragg_params *t = bragg_model_params(m);
    const size_t rows[2] = { (size_t)bragg_params_find(t, "phase.A.atom.Bi1.occupancy"), (size_t)bragg_params_find(t, "phase.A.atom.S1.occupancy") };
    ck_assert_msg(bragg_model_restrain_atoms(m, "A", bond, 2, 2.9, 0.03, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_restrain_atoms(m, "A", corner, 3, 97, 2, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_restrain_sum(m, rows, 2, 1.7, 0.01, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_model_restrain_atoms(m, "A", nobody, 2, 2.9, 0.03, &err), BRAGG_EDATA);
    ck_assert_int_eq(bragg_model_restrain_atoms(m, "A", alone, 3, 97, 2, &err), BRAGG_EDATA); /* one neighbour makes no angle */
    ck_assert_uint_eq(m->n_restraints, 3);
    ck_assert_int_eq(bragg_model_restrain_atoms(m, "A", bond, 2, 2.9, 0, &err), BRAGG_EDATA);
    const size_t edge = (size_t)bragg_params_find(t, "phase.A.cell.b"), beyond = t->n;
    const double expected[2] = { 7.9, 7.81 }, doubt[2] = { 0.02, 0.013 };
    for (int k = 0; k < 2; k++) /* in place of those of the call before */
        ck_assert_msg(bragg_model_expect(m, &edge, &expected[k], &doubt[k], 1, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(m->problem.n - m->problem.padding, 704);
    ck_assert_int_eq(bragg_model_expect(m, &beyond, expected, doubt, 1, &err), BRAGG_EINVAL);
    ck_assert_uint_eq(m->problem.n - m->problem.padding, 703);
    ck_assert_int_eq(bragg_model_expect(m, &edge, &expected[1], &doubt[1], 1, &err), BRAGG_OK);
    return m;
}

/* Four residuals behind the points, each to 1e-5. */
START_TEST(restraints_have_true_derivatives)
{
    bragg_model *m = restrained();
    bragg_model_select(m, "*", false);
    bragg_model_select(m, "phase.A.cell", true);
    bragg_model_select(m, "phase.A.atom.*.[xyz]", true);
    bragg_model_select(m, "phase.A.atom.*.occupancy", true);
    bragg_params *t = bragg_model_params(m);
    derivatives d = derivatives_of(m);
    double *r = calloc(3 * d.n, sizeof *r), *up = r + d.n, *slope = up + d.n, moved[4] = { 0 };
    for (size_t row = 0; row < t->n; row++) {
        if (!t->at[row].refine)
            continue;
        double kept = t->at[row].value, h = 1e-6 * fmax(fabs(kept), 0.1);
        evaluate_residuals(&d, r, d.column[row], slope);
        t->at[row].value = kept + h;
        evaluate_residuals(&d, up, 0, NULL);
        t->at[row].value = kept - h;
        evaluate_residuals(&d, r, 0, NULL);
        t->at[row].value = kept;
        for (size_t i = 0; i < 4; i++) {
            size_t at = m->first_restraint + i;
            ck_assert_double_eq_tol((up[at] - r[at]) / (2 * h), slope[at], 1e-5 * fmax(fabs(slope[at]), 1));
            moved[i] = fmax(moved[i], fabs(slope[at]));
        }
    }
    ck_assert(moved[0] > 1 && moved[1] > 1 && moved[2] > 1 && moved[3] > 70);
    free_derivatives(&d);
    free(r);
    bragg_model_free(m);
}
END_TEST

/* A third of the sample scatters no lines: the standard tells. */
START_TEST(a_standard_tells_the_amorphous_part)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    bragg_pattern *p = points(21.3, 0.053, 1200);
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", rhombohedral());
    ck_assert_int_eq(bragg_model_standard(m, "B", 0.2, &err), BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.021;
    *value_of(m, "background.0") = 91;
    double ma = bragg_structure_mass_g_mol(m->phase[0].structure), mb = bragg_structure_mass_g_mol(m->phase[1].structure);
    *value_of(m, "phase.A.scale") = 1.3;
    *value_of(m, "phase.B.scale") = 1.3 * ma / mb * 0.2 / 0.47;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < p->n; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * deviate();
    }
    ck_assert_msg(bragg_model_replace_pattern(m, 0, p, &err) == BRAGG_OK, "%s", err.text);
    bragg_model_select(m, "phase.*.scale", true);
    bragg_model_select(m, "background", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    assert_close(f->phase[1].absolute_fraction.value, 0.2, 1e-12);
    ck_assert_double_eq_tol(f->phase[0].absolute_fraction.value, 0.47, 4 * f->phase[0].absolute_fraction.esd);
    ck_assert_double_eq_tol(f->amorphous.value, 0.33, 4 * f->amorphous.esd);
    ck_assert(f->amorphous.esd > 0 && f->amorphous.esd < 0.02);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
}
END_TEST

/* Where the scattered beam goes on or comes back, the mean over a sphere is an integral over its
 * chords 2s alone; elsewhere it is summed point by point. */
START_TEST(a_sphere_transmits_the_mean_over_its_volume)
{
    static const double mu[] = { -1.37, -0.2, 0.1, 0.513, 2.71 };
    for (int k = 0; k < 5; k++) {
        double u = mu[k], on = 0, back = 0;
        enum { N = 20000 };
        for (int i = 0; i < N; i++) {
            double s = (i + 0.5) / N;
            on += 3 * s * s * exp(-2 * u * s) / N;
            back += 0.75 / u * s * (1 - exp(-4 * u * s)) / N;
        }
        assert_close(bragg_sphere_transmission(u, 0), on, 3e-4);
        assert_close(bragg_sphere_transmission(u, BRAGG_PI), back, 3e-4);
    }
    double two_theta = 73.1 * BRAGG_DEG, sum = 0, count = 0;
    enum { SIDE = 120 };
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int k = 0; k < SIDE; k++) {
                double x = 2 * (i + 0.5) / SIDE - 1, y = 2 * (j + 0.5) / SIDE - 1, z = 2 * (k + 0.5) / SIDE - 1, r2 = x * x + y * y + z * z;
                if (r2 >= 1)
                    continue;
                double along = x * cos(two_theta) + y * sin(two_theta);
                sum += exp(-0.83 * (x + sqrt(x * x + 1 - r2) - along + sqrt(along * along + 1 - r2)));
                count++;
            }
    assert_close(bragg_sphere_transmission(0.83, two_theta), sum / count, 2e-3);
}
END_TEST

/* coarse: fractions if grains that are not told were of 3.7 um. */
static bragg_fit *fit_with_grains(double um_a, double um_b, const bragg_structure *b, double *mu, double *density, double *ratio, double *coarse)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    bragg_pattern *p = points(21.3, 0.053, 900);
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    add_structure(m, "A", triclinic());
    add_structure(m, "B", bragg_structure_copy(b));
    ck_assert(um_a == 0 || bragg_model_microabsorption(m, "A", um_a, &err) == BRAGG_OK);
    ck_assert(um_b == 0 || bragg_model_microabsorption(m, "B", um_b, &err) == BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.021;
    *value_of(m, "background.0") = 91;
    *value_of(m, "phase.A.scale") = 1.3;
    *value_of(m, "phase.B.scale") = 2.1;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    ck_assert_msg(bragg_model_replace_pattern(m, 0, p, &err) == BRAGG_OK, "%s", err.text);
    bragg_model_select(m, "phase.*.scale", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    for (int k = 0; k < 2; k++) {
        mu[k] = bragg_structure_absorption_invcm(m->phase[k].structure, o.radiation.wavelength_ang[0]);
        density[k] = bragg_structure_density_g_cm3(m->phase[k].structure);
    }
    ck_assert_int_eq(bragg_model_coarse_fractions(m, 3.7, coarse, &err), BRAGG_OK);
    *ratio = 1.3 * bragg_structure_mass_g_mol(m->phase[0].structure) / (2.1 * bragg_structure_mass_g_mol(m->phase[1].structure));
    bragg_model_free(m);
    bragg_pattern_free(p);
    return f;
}

START_TEST(coarse_grains_of_the_stronger_absorber_weigh_more_than_they_scatter)
{
    double mu[2], density[2], ratio, coarse[2], told[2];
    bragg_structure *other = rhombohedral(), *same = triclinic();
    bragg_fit *plain = fit_with_grains(0, 6.1, other, mu, density, &ratio, coarse);
    bragg_fit_free(plain);
    bragg_fit *f = fit_with_grains(3.7, 6.1, other, mu, density, &ratio, told);
    for (int k = 0; k < 2; k++) { /* the one that is told keeps its own */
        assert_close(coarse[k], f->phase[k].weight_fraction.value, 1e-9);
        assert_close(told[k], coarse[k], 1e-9);
    }
    plain = fit_with_grains(0, 0, other, mu, density, &ratio, coarse);
    ck_assert(fabs(coarse[0] - plain->phase[0].weight_fraction.value) > 0.01);
    assert_close(plain->phase[0].weight_fraction.value, ratio / (1 + ratio), 1e-6);
    ck_assert(plain->phase[0].microabsorption == 1 && mu[0] > 500 && mu[1] > 1000);
    double w[2] = { f->phase[0].weight_fraction.value, f->phase[1].weight_fraction.value };
    double mean = (w[0] / density[0] * mu[0] + w[1] / density[1] * mu[1]) / (w[0] / density[0] + w[1] / density[1]);
    static const double radius_cm[2] = { 1.85e-4, 3.05e-4 };
    assert_close(w[0] + w[1], 1, 1e-12);
    assert_close(w[0] / w[1], ratio * f->phase[1].microabsorption / f->phase[0].microabsorption, 1e-6);
    for (int k = 0; k < 2; k++) { /* tau at one of the pattern's angles */
        double low = bragg_sphere_transmission((mu[k] - mean) * radius_cm[k], 21 * BRAGG_DEG), tau = f->phase[k].microabsorption;
        double high = bragg_sphere_transmission((mu[k] - mean) * radius_cm[k], 70 * BRAGG_DEG);
        ck_assert_msg((tau - low) * (tau - high) < 0, "tau %g, expected %g to %g", tau, low, high);
        ck_assert((tau < 1) == (mu[k] > mean));
    }
    ck_assert(f->phase[0].weight_fraction.esd > 0 && fabs(f->phase[0].weight_fraction.esd / plain->phase[0].weight_fraction.esd - 1) < 0.5);
    bragg_fit *even = fit_with_grains(20, 20, same, mu, density, &ratio, coarse);
    assert_close(even->phase[0].weight_fraction.value, 1.3 / 3.4, 1e-6);
    bragg_fit_free(plain);
    bragg_fit_free(f);
    bragg_fit_free(even);
    bragg_structure_free(other);
    bragg_structure_free(same);
}
END_TEST

/* J. H. Hubbell & S. M. Seltzer, NISTIR 5632 (1995), mass attenuation at 8 keV: Si 64.68, W 170.5 cm^2/g. */
START_TEST(grains_absorb_as_the_tables_say)
{
    bragg_error err = BRAGG_ERROR_INIT;
    static const struct { const char *element; double a, mass; } cases[] = { { "Si", 5.431, 64.68 }, { "W", 3.165, 170.5 } };
    for (int k = 0; k < 2; k++) {
        bragg_structure *s = bragg_structure_new(1, 1);
        s->name = s->formula = "";
        s->cell = (bragg_cell){ cases[k].a, cases[k].a, cases[k].a, BRAGG_PI / 2, BRAGG_PI / 2, BRAGG_PI / 2 };
        ck_assert_int_eq(bragg_symmetry_from_symbol(k ? "I m -3 m" : "F d -3 m:1", &s->symmetry, &err), BRAGG_OK);
        bragg_scatterer_find(cases[k].element, &s->scatterer[0], NULL, NULL);
        s->atom[0] = (bragg_atom){ .label = "A", .occupancy = 1, .uiso_ang2 = 0.005 };
        ck_assert_int_eq(bragg_structure_check(s, &err), BRAGG_OK);
        assert_close(bragg_structure_absorption_invcm(s, BRAGG_HC_KEV_ANG / 8) / bragg_structure_density_g_cm3(s), cases[k].mass, 0.02);
        bragg_structure_free(s);
    }
}
END_TEST

/* Where nothing of the first stages is wanted, the first that is freed has nothing to be worse than. */
START_TEST(the_first_stage_is_not_taken_back_for_want_of_one_before)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *truth, *m = bragg_model_new();
    bragg_pattern *p = counted(0.13, &truth);
    bragg_histogram_options o = synchrotron();
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    add_structure(m, "A", triclinic());
    build(m);
    *value_of(m, "instrument.w") = 0.0033;
    *value_of(m, "instrument.x") = 0.007;
    *value_of(m, "background.0") = 83;
    *value_of(m, "phase.A.scale") = 0.13;
    *value_of(m, "phase.A.atom.Bi1.uiso") = 0.019;
    bragg_model_select(m, "instrument.w", true);
    bragg_model_select(m, "phase.A.atom.Bi1.uiso", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    ck_assert_uint_eq(f->n_steps, 2);
    ck_assert_msg(f->step[0].kept && f->step[0].variables == 1, "%s: %s", f->step[0].name, f->step[0].why);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
}
END_TEST

/* A second line of no height has a slope with its height all the same. */
START_TEST(a_second_line_can_begin_at_nothing)
{
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    add_pattern(m, &o, 21.3, 0.053, 700);
    add_structure(m, "A", triclinic());
    build(m);
    *value_of(m, "instrument.w") = 0.02;
    *value_of(m, "instrument.ratio") = 0;
    bragg_model_select(m, "instrument.ratio", true);
    ck_assert_uint_eq(check_derivatives(m, 1e-6, 0.01), 1);
    bragg_model_free(m);
}
END_TEST

/* What a phase without atoms weighs nobody knows, and so not what is missing. */
START_TEST(a_standard_says_nothing_of_phases_without_mass)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab(NULL);
    bragg_structure *s = rhombohedral();
    add_pattern(m, &o, 21.3, 0.053, 900);
    add_structure(m, "A", triclinic());
    ck_assert_int_eq(bragg_model_add_cell(m, "C", &s->cell, &s->symmetry, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_standard(m, "A", 0.2, &err), BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.021;
    bragg_model_select(m, "background.0", true);
    bragg_refine_options brief = BRAGG_REFINE_OPTIONS_INIT;
    brief.max_cycles = 3;
    bragg_fit *f;
    bragg_refine(m, &brief, &f, &err);
    ck_assert_msg(f != NULL, "%s", err.text);
    assert_close(f->phase[0].absolute_fraction.value, 0.2, 1e-12);
    ck_assert_msg(isnan(f->phase[1].absolute_fraction.value), "%g of a phase without mass", f->phase[1].absolute_fraction.value);
    ck_assert_msg(isnan(f->amorphous.value), "%g amorphous beside it", f->amorphous.value);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_structure_free(s);
}
END_TEST

/* Weight and density of a phase know its occupancies no better than the fit does: esds against
 * differences of what they are made of, with the fit's covariance. */
START_TEST(weights_and_densities_know_the_doubt_of_occupancies)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = mixture_in_a_lab();
    ck_assert_int_eq(bragg_model_standard(m, "B", 0.2, &err), BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.021;
    bragg_model_select(m, "phase.*.scale", true);
    bragg_model_select(m, "background.0", true);
    bragg_model_select(m, "phase.A.cell", true);
    bragg_model_select(m, "phase.A.atom.*.occupancy", true);
    bragg_params *t = bragg_model_params(m);
    for (int k = 0; k < 2; k++) { /* scale and occupancies are one but for this */
        const size_t row = (size_t)bragg_params_find(t, k ? "phase.A.atom.S1.occupancy" : "phase.A.atom.Bi1.occupancy");
        ck_assert_int_eq(bragg_model_restrain_sum(m, &row, 1, k ? 0.97 : 0.83, 0.02, &err), BRAGG_OK);
    }
    bragg_refine_options at_once = BRAGG_REFINE_OPTIONS_INIT;
    at_once.stages = false;
    bragg_fit *f;
    bragg_pattern *p = points(21.3, 0.053, 900);
    *value_of(m, "background.0") = 91;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_replace_pattern(m, 0, p, &err), BRAGG_OK);
    ck_assert_msg(bragg_refine(m, &at_once, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    double *slopes[4];
    for (int k = 0; k < 4; k++)
        slopes[k] = calloc(t->n, sizeof **slopes);
    for (size_t row = 0; row < t->n; row++) {
        double made[2][4], keep = t->at[row].value, h = 1e-5 * fmax(fabs(keep), 0.01);
        for (int side = 0; side < 2 && t->at[row].refine; side++) {
            t->at[row].value = keep + (side ? -h : h);
            ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, NULL, NULL, &err), BRAGG_OK);
            double a = *value_of(m, "phase.A.scale") * bragg_structure_mass_g_mol(m->phase[0].structure), b = *value_of(m, "phase.B.scale") * bragg_structure_mass_g_mol(m->phase[1].structure);
            const double values[4] = { a / (a + b), bragg_structure_density_g_cm3(m->phase[0].structure), 0.2 * a / b, 0.8 - 0.2 * a / b };
            memcpy(made[side], values, sizeof values);
        }
        t->at[row].value = keep;
        for (int k = 0; k < 4 && t->at[row].refine; k++)
            slopes[k][row] = (made[0][k] - made[1][k]) / (2 * h);
    }
    const bragg_quantity *said[4] = { &f->phase[0].weight_fraction, &f->phase[0].density, &f->phase[0].absolute_fraction, &f->amorphous };
    for (int k = 0; k < 4; k++) {
        assert_close(said[k]->esd, sqrt(bragg_fit_variance(f, t, slopes[k])), 1e-4);
        free(slopes[k]);
    }
    bragg_fit_free(f);
    bragg_pattern_free(p);
    bragg_model_free(m);
}
END_TEST

/* A block of a CIF tells the R factors of its own pattern, and the lines as they were refined. */
START_TEST(each_pattern_of_a_cif_has_its_own_r_factors)
{
    bragg_error err = BRAGG_ERROR_INIT;
    char key[2][80], *text = NULL;
    bragg_model *m = bragg_model_new();
    bragg_histogram_options o = lab("lab"), second = neutrons("pile");
    add_pattern(m, &o, 21.3, 0.053, 900);
    add_pattern(m, &second, 17.1, 0.071, 800);
    add_structure(m, "A", triclinic());
    build(m);
    *value_of(m, "lab.instrument.w") = 0.021;
    *value_of(m, "pile.instrument.w") = 0.033;
    *value_of(m, "lab.instrument.ratio") = 0.513;
    bragg_model_select(m, "*.background.0", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    make_folder("model");
    const char *path = in_folder("two.cif");
    ck_assert_msg(bragg_fit_write_cif(m, f, NULL, path, false, &err) == BRAGG_OK, "%s", err.text);
    FILE *in = fopen(path, "r");
    size_t room = 0;
    ck_assert(in && getdelim(&text, &room, 0, in) > 0);
    fclose(in);
    for (size_t k = 0; k < 2; k++) {
        size_t n = bragg_model_points(m, k);
        double *v = malloc(3 * n * sizeof *v), above = 0, below = 0;
        ck_assert_int_eq(bragg_model_calculate(m, k, NULL, v, v + n, v + 2 * n, NULL, &err), BRAGG_OK);
        for (size_t i = 0; i < n; i++) {
            above += pow((v[i] - v[2 * n + i]) / v[n + i], 2);
            below += pow(v[i] / v[n + i], 2);
        }
        free(v);
        char number[BRAGG_NUMBER_TEXT];
        snprintf(key[k], sizeof key[k], "%-40s %s\n", "_pd_proc_ls_prof_wR_factor", bragg_number_print_digits(number, sqrt(above / below), 7));
        const char *block = strstr(text, k ? "data_pile" : "data_lab");
        ck_assert_msg(block && strstr(block, "_pd_proc_ls_prof_wR_factor") == strstr(block, key[k]), "expected %s", key[k]);
    }
    ck_assert(strcmp(key[0], key[1]) != 0);
    ck_assert_msg(strstr(text, " 2 1.544427 0.513\n") != NULL, "no second line of 0.513");
    free(text);
    ck_assert(unlink(path) == 0 && rmdir(folder) == 0);
    bragg_fit_free(f);
    bragg_model_free(m);
}
END_TEST

/* A phase that is not there yet has a share as soon as there is some of it, coarse or not. */
START_TEST(a_phase_of_no_amount_has_a_slope_of_its_fraction)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = mixture_in_a_lab();
    ck_assert_int_eq(bragg_model_microabsorption(m, "A", 3.7, &err), BRAGG_OK);
    build(m);
    *value_of(m, "instrument.w") = 0.021;
    *value_of(m, "phase.B.scale") = 0;
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, NULL, NULL, &err), BRAGG_OK);
    double w[2], tau[2], slopes[4], mass = bragg_structure_mass_g_mol(m->phase[1].structure), little = 1e-5 * bragg_structure_mass_g_mol(m->phase[0].structure);
    ck_assert_int_eq(bragg_refine_weigh(m, w, slopes, tau, &err), BRAGG_OK);
    double slope = slopes[1 * 2 + 1];
    *value_of(m, "phase.B.scale") = little / mass;
    ck_assert_int_eq(bragg_refine_weigh(m, w, slopes, tau, &err), BRAGG_OK);
    assert_close(slope, w[1] / little, 1e-3);
    bragg_model_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, far_peaks_are_the_same_from_nodes);
    tcase_add_test(all, each_pattern_of_a_cif_has_its_own_r_factors);
    tcase_add_test(all, a_phase_of_no_amount_has_a_slope_of_its_fraction);
    tcase_add_test(all, the_first_stage_is_not_taken_back_for_want_of_one_before);
    tcase_add_test(all, a_second_line_can_begin_at_nothing);
    tcase_add_test(all, a_standard_says_nothing_of_phases_without_mass);
    tcase_add_test(all, weights_and_densities_know_the_doubt_of_occupancies);
    tcase_add_test(all, everything_free_has_true_derivatives);
    tcase_add_test(all, joint_patterns_have_true_derivatives);
    tcase_add_test(all, lattice_strain_moves_peaks_as_its_cell_does);
    tcase_add_test(all, pawley_finds_intensities_with_honest_esds);
    tcase_add_test(all, known_intensities_make_the_same_pattern_and_fractions);
    tcase_add_test(all, anisotropic_widths_have_true_derivatives);
    tcase_add_test(all, flat_samples_have_true_derivatives);
    tcase_add_loop_test(all, offsets_have_true_derivatives, 0, 3);
    tcase_add_loop_test(all, an_offset_moves_the_lines_of_its_phase_alone, 0, 3);
    tcase_add_test(all, a_box_is_the_mean_over_its_width);
    tcase_add_test(all, stephens_of_an_isotropic_strain_is_that_strain);
    tcase_add_loop_test(all, texture_extinction_and_background_have_true_derivatives, 0, sizeof backgrounds / sizeof *backgrounds);
    tcase_add_loop_test(all, the_mean_of_a_background_has_the_doubt_of_its_parts, 0, sizeof backgrounds / sizeof *backgrounds);
    tcase_add_test(all, restraints_have_true_derivatives);
    tcase_add_test(all, a_standard_tells_the_amorphous_part);
    tcase_add_test(all, a_sphere_transmits_the_mean_over_its_volume);
    tcase_add_test(all, coarse_grains_of_the_stronger_absorber_weigh_more_than_they_scatter);
    tcase_add_test(all, grains_absorb_as_the_tables_say);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
