/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Le Bail extraction, instrument files, and what a refinement writes. */
#include "config.h"
#include "close.h"
#include "folder.h"
#include "suite.h"
#include "random.h"
#include "parameters.h"

#include <bragg/instrument.h>
#include <bragg/number.h>
#include <bragg/pattern.h>
#include <bragg/refine.h>
#include <bragg/units.h>
#include <cif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bragg_structure *monoclinic(void)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(2, 2);
    s->name = s->formula = "";
    s->cell = (bragg_cell){ 6.137, 5.853, 8.291, BRAGG_PI / 2, 98.71 * BRAGG_DEG, BRAGG_PI / 2 };
    ck_assert_int_eq(bragg_symmetry_from_symbol("P 1 21/c 1", &s->symmetry, &err), BRAGG_OK);
    bragg_scatterer_find("Bi", &s->scatterer[0], NULL, NULL);
    bragg_scatterer_find("S", &s->scatterer[1], NULL, NULL);
    s->atom[0] = (bragg_atom){ .label = "Bi1", .scatterer = 0, .x = { 0.1231, 0.2137, 0.3719 }, .occupancy = 1, .uiso_ang2 = 0.0137 };
    s->atom[1] = (bragg_atom){ .label = "S1", .scatterer = 1, .x = { 0.6173, 0.4231, 0.1171 }, .occupancy = 0.97, .anisotropic = true,
                               .u = { 0.011, 0.017, 0.023, 0.0031, -0.0022, 0.0047 } };
    return s;
}

static bragg_histogram_options synchrotron(void)
{
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.radiation = (bragg_radiation){ .n_lines = 1, .wavelength_ang = { 0.7093 }, .ratio = { 1 }, .polarization = 0.99 };
    o.background_terms = 3;
    return o;
}

static void set_profile(bragg_model *m)
{
    set(m, "instrument.u", 0.0008);
    set(m, "instrument.v", -0.0002);
    set(m, "instrument.w", 0.0006);
    set(m, "instrument.x", 0.009);
}

/* The Rietveld model of the structure over points of its own, with noise. */
static bragg_pattern *simulate(const bragg_structure *s, bragg_model **truth)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p = bragg_pattern_new(3100, BRAGG_AXIS_TTH);
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (4.3 + 0.011 * (double)i) * BRAGG_DEG;
        p->sigma[i] = 1;
    }
    bragg_histogram_options o = synchrotron();
    bragg_model *m = bragg_model_new();
    p->y[0] = 1; /* a pattern of zeros is refused */
    ck_assert_msg(bragg_model_add_pattern(m, p, &o, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_add_phase(m, "T", s, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    set_profile(m);
    set(m, "background.0", 130);
    set(m, "background.1", -40);
    set(m, "phase.T.scale", 1.7);
    ck_assert_int_eq(bragg_model_calculate(m, 0, NULL, NULL, NULL, p->y, NULL, &err), BRAGG_OK);
    for (size_t i = 0; i < p->n; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * deviate();
    }
    *truth = m;
    return p;
}

static bragg_model *extraction_model(const bragg_pattern *p, const bragg_cell *cell, const bragg_symmetry *symmetry)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_histogram_options o = synchrotron();
    bragg_model *m = bragg_model_new();
    ck_assert_msg(bragg_model_add_pattern(m, p, &o, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_add_cell(m, "L", cell, symmetry, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    set_profile(m);
    set(m, "instrument.w", 0.0009);
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "phase.*.cell", true);
    bragg_model_select(m, "instrument.w", true);
    bragg_model_select(m, "instrument.x", true);
    return m;
}

/* Intensities of reflections the true list has, apart from neighbours. */
static void compare_intensities(bragg_model *ours, bragg_model *truth)
{
    size_t n, n_true, compared = 0;
    double off = 0, total = 0;
    const bragg_model_peak *a = bragg_model_peaks(ours, 0, &n), *b = bragg_model_peaks(truth, 0, &n_true);
    for (size_t i = 0; i < n_true; i++)
        for (size_t k = 0; k < n; k++)
            if (a[k].hkl.h == b[i].hkl.h && a[k].hkl.k == b[i].hkl.k && a[k].hkl.l == b[i].hkl.l && b[i].two_theta_rad < 20 * BRAGG_DEG) {
                off += fabs(a[k].intensity - b[i].intensity);
                total += b[i].intensity;
                compared++;
            }
    printf("intensities of %zu reflections below 20 deg off by %.2f %%\n", compared, 100 * off / total);
    fflush(stdout);
    ck_assert_uint_gt(compared, 30);
    ck_assert_msg(off < 0.04 * total, "off by %g of %g", off, total);
}

START_TEST(extraction_finds_cell_and_intensities_of_a_simulated_pattern)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = monoclinic();
    bragg_model *truth;
    bragg_pattern *p = simulate(s, &truth);
    bragg_cell start = s->cell;
    start.a *= 1.002;
    start.c *= 0.998;
    bragg_model *m = extraction_model(p, &start, &s->symmetry);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    printf("Rwp %.3f %% expected %.3f %%, a %.6f(%.6f) c %.6f(%.6f), serial factor %.3f\n", 100 * f->rwp, 100 * f->rexp, f->phase[0].cell[0].value,
           f->phase[0].cell[0].esd, f->phase[0].cell[2].value, f->phase[0].cell[2].esd, f->serial_factor);
    fflush(stdout);
    ck_assert(f->rwp < 1.05 * f->rexp);
    ck_assert(fabs(f->phase[0].cell[0].value - s->cell.a) < 5 * f->phase[0].cell[0].esd);
    ck_assert(fabs(f->phase[0].cell[1].value - s->cell.b) < 5 * f->phase[0].cell[1].esd);
    ck_assert(fabs(f->phase[0].cell[2].value - s->cell.c) < 5 * f->phase[0].cell[2].esd);
    ck_assert(f->phase[0].cell[0].esd < 3e-4);
    ck_assert_msg(f->serial_factor >= 1 && f->serial_factor < 1.1, "serial factor of white noise %g", f->serial_factor);
    ck_assert(isnan(f->phase[0].weight_fraction.value));
    compare_intensities(m, truth);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

/* 333 and 511 of a cubic cell stand at one angle and nothing tells them apart. */
START_TEST(reflections_of_one_position_share_evenly)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = bragg_structure_new(1, 1);
    s->name = s->formula = "";
    s->cell = (bragg_cell){ 6.0312, 6.0312, 6.0312, BRAGG_PI / 2, BRAGG_PI / 2, BRAGG_PI / 2 };
    ck_assert_int_eq(bragg_symmetry_from_symbol("F d -3 m:2", &s->symmetry, &err), BRAGG_OK);
    bragg_scatterer_find("Si", &s->scatterer[0], NULL, NULL);
    s->atom[0] = (bragg_atom){ .label = "Si", .scatterer = 0, .x = { 0.125, 0.125, 0.125 }, .occupancy = 1, .uiso_ang2 = 0.0061 };
    bragg_model *truth;
    bragg_pattern *p = simulate(s, &truth);
    bragg_model *m = extraction_model(p, &s->cell, &s->symmetry);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    size_t n;
    const bragg_model_peak *peak = bragg_model_peaks(m, 0, &n);
    double f2[2] = { 0, 0 };
    for (size_t k = 0; k < n; k++) {
        int sum = abs(peak[k].hkl.h) + abs(peak[k].hkl.k) + abs(peak[k].hkl.l), square = peak[k].hkl.h * peak[k].hkl.h +
                  peak[k].hkl.k * peak[k].hkl.k + peak[k].hkl.l * peak[k].hkl.l;
        if (square == 27)
            f2[sum == 9] = peak[k].f2;
    }
    ck_assert(f2[0] > 0);
    assert_close(f2[1], f2[0], 1e-9);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

/* A phase with atoms beside one without: scale and cell of the first are not eaten. */
START_TEST(extraction_leaves_a_rietveld_phase_its_own)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = monoclinic(), *si = bragg_structure_new(1, 1);
    si->name = si->formula = "";
    si->cell = (bragg_cell){ 5.4312, 5.4312, 5.4312, BRAGG_PI / 2, BRAGG_PI / 2, BRAGG_PI / 2 };
    ck_assert_int_eq(bragg_symmetry_from_symbol("F d -3 m:2", &si->symmetry, &err), BRAGG_OK);
    bragg_scatterer_find("Si", &si->scatterer[0], NULL, NULL);
    si->atom[0] = (bragg_atom){ .label = "Si", .scatterer = 0, .x = { 0.125, 0.125, 0.125 }, .occupancy = 1, .uiso_ang2 = 0.0061 };
    bragg_model *truth, *truth_si;
    bragg_pattern *p = simulate(s, &truth), *q = simulate(si, &truth_si);
    for (size_t i = 0; i < p->n; i++) {
        p->y[i] += 3 * q->y[i];
        p->sigma[i] = sqrt(p->sigma[i] * p->sigma[i] + 9 * q->sigma[i] * q->sigma[i]);
    }
    bragg_histogram_options o = synchrotron();
    bragg_model *m = bragg_model_new();
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_add_cell(m, "L", &s->cell, &s->symmetry, &err), BRAGG_OK);
    si->cell.a = si->cell.b = si->cell.c = 5.4351;
    ck_assert_int_eq(bragg_model_add_phase(m, "Si", si, NULL, &err), BRAGG_OK);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    set_profile(m);
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "phase.*.cell", true);
    bragg_model_select(m, "phase.*.scale", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    printf("beside an extracted phase: scale %.4f of 5.1, a %.5f(%.5f) of 5.4312\n", get(m, "phase.Si.scale"), f->phase[1].cell[0].value, f->phase[1].cell[0].esd);
    fflush(stdout);
    ck_assert(fabs(get(m, "phase.Si.scale") - 5.1) < 0.1 * 5.1);
    ck_assert(fabs(f->phase[1].cell[0].value - 5.4312) < 5 * f->phase[1].cell[0].esd);
    assert_close(f->phase[1].weight_fraction.value, 1, 1e-12); /* of what has atoms */
    ck_assert(isnan(f->phase[0].weight_fraction.value));
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_model_free(truth_si);
    bragg_pattern_free(p);
    bragg_pattern_free(q);
    bragg_structure_free(s);
    bragg_structure_free(si);
}
END_TEST

/* Sum of squares of the reference's own profile up to a last angle. */
static double reference_chi2(const char *path, double last_deg, size_t *n)
{
    char line[300];
    FILE *in = fopen(path, "r");
    double chi2 = 0;
    *n = 0;
    while (in && fgets(line, sizeof line, in)) {
        const char *at = line;
        double v[4];
        int k = 0;
        while (k < 4 && bragg_number_scan(at, &at, &v[k]))
            k++;
        if (k == 4 && v[0] <= last_deg) {
            chi2 += v[2] * (v[1] - v[3]) * (v[1] - v[3]);
            ++*n;
        }
    }
    if (in)
        fclose(in);
    return chi2;
}

/* The first third of GSAS-II's Le Bail fit of sucrose; the whole is in validation/. */
START_TEST(sucrose_is_fitted_no_worse_than_by_gsas2)
{
    const char *top = getenv("BRAGG_SHARED");
    char data[512], profile[512];
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(data, sizeof data, "%s/data/rietveld/11bmb_8716.fxye", top ? top : "../shared");
    snprintf(profile, sizeof profile, "%s/reference/gsas2/1e_lebail_sucrose/profile_0.txt", top ? top : "../shared");
    if (access(data, R_OK) || access(profile, R_OK)) {
        printf("skipped: no %s\n", data);
        return;
    }
    size_t n;
    double theirs = reference_chi2(profile, 9.0002, &n);
    bragg_pattern *p;
    ck_assert_msg(bragg_pattern_read(data, 0, &p, &err) == BRAGG_OK, "%s", err.text);
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    o.radiation = (bragg_radiation){ .n_lines = 1, .wavelength_ang = { 0.413259 }, .ratio = { 1 }, .polarization = 0.99 };
    o.background_terms = 9;
    o.first_rad = 2 * BRAGG_DEG;
    o.last_rad = 9.0002 * BRAGG_DEG;
    bragg_symmetry symmetry;
    bragg_cell cell = { 7.72, 8.67, 10.82, BRAGG_PI / 2, 103 * BRAGG_DEG, BRAGG_PI / 2 };
    ck_assert_int_eq(bragg_symmetry_from_symbol("P 1 21 1", &symmetry, &err), BRAGG_OK);
    bragg_model *m = bragg_model_new();
    ck_assert_msg(bragg_model_add_pattern(m, p, &o, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_add_cell(m, "sucrose", &cell, &symmetry, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    set(m, "instrument.u", 0.000645);
    set(m, "instrument.v", -0.00007);
    set(m, "instrument.w", 0.000035);
    set(m, "instrument.sl", 0.001);
    static const char *const wanted[] = { "background", "phase.*.cell", "phase.*.size", "phase.*.strain", "instrument.zero", "instrument.[uvw]", "instrument.sl" };
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        ck_assert_uint_gt(bragg_model_select(m, wanted[k], true), 0);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    double ours = f->gof * f->gof * (double)(f->points - f->variables);
    printf("sucrose to 9 deg: chi^2 %.0f of %zu points, GSAS-II %.0f of %zu; a %.5f b %.5f c %.5f\n", ours, f->points, theirs, n, f->phase[0].cell[0].value,
           f->phase[0].cell[1].value, f->phase[0].cell[2].value);
    fflush(stdout);
    ck_assert(n > 6900 && f->points + 1 >= n);
    ck_assert(ours < theirs);
    assert_close(f->phase[0].cell[0].value, 7.715643, 5e-5); /* zero and axial divergence differ between both */
    assert_close(f->phase[0].cell[1].value, 8.664309, 5e-5);
    assert_close(f->phase[0].cell[2].value, 10.810078, 5e-5);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
}
END_TEST

START_TEST(a_cell_its_symmetry_forbids_is_refused)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_symmetry symmetry;
    bragg_cell cell = { 6.137, 5.853, 8.291, BRAGG_PI / 2, 98.71 * BRAGG_DEG, BRAGG_PI / 2 }, none = { 0, 1, 1, 1, 1, 1 };
    ck_assert_int_eq(bragg_symmetry_from_symbol("P 21 21 21", &symmetry, &err), BRAGG_OK);
    bragg_model *m = bragg_model_new();
    ck_assert_int_eq(bragg_model_add_cell(m, "L", &cell, &symmetry, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "phase L: expected a cell of the symmetry P2_12_12_1") != NULL, "%s", err.text);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_lt(bragg_model_add_cell(m, "L", &none, &symmetry, &err), 0);
    bragg_model_free(m);
}
END_TEST

/* ------------------------------------------------------------ instrument */

START_TEST(an_instrument_reads_back_as_written)
{
    bragg_error err = BRAGG_ERROR_INIT;
    const char *path = in_folder("a.instr");
    bragg_instrument a = { .radiation = { false, 2, { 1.540593, 1.544427 }, { 1, 0.497 }, 0.53 }, .has_mount = true,
                           .mount = BRAGG_BRAGG_BRENTANO, .radius_m = 0.217,
                           .value = { 0.0137, 0.011, -0.007, 0.0213, 0, 0.013, 0.031, 0.0021, 0.0211, NAN } }, b;
    ck_assert_msg(bragg_instrument_write(&a, path, false, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_instrument_read(path, &b, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(b.radiation.n_lines, 2);
    ck_assert(b.radiation.wavelength_ang[1] == 1.544427 && b.radiation.ratio[1] == 0.497 && b.radiation.polarization == 0.53);
    ck_assert(b.has_mount && b.mount == BRAGG_BRAGG_BRENTANO);
    assert_close(b.radius_m, 0.217, 1e-14);
    for (int k = 0; k < BRAGG_INSTRUMENT_HL; k++)
        ck_assert_msg(a.value[k] == b.value[k], "row %d: %g", k, b.value[k]);
    ck_assert(isnan(b.value[BRAGG_INSTRUMENT_HL]));
    ck_assert_int_eq(bragg_instrument_write(&a, path, false, NULL), BRAGG_EEXIST);
}
END_TEST

START_TEST(instruments_of_gsas_are_read_in_our_units)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_instrument x;
    write_file("b.instprm", "#GSAS-II instrument parameter file; do not add/delete items!\nType:PXC\nBank:1.0\nLam1:1.5405\nLam2:1.5443\n"
               "Zero:0.0137\nPolariz.:0.7\nU:2.17\nV:-1.93\nW:4.71\nX:1.37\nY:2.91\nZ:0.31\nSH/L:0.0213\nI(L2)/I(L1):0.513\nAzimuth:0.0\n");
    ck_assert_msg(bragg_instrument_read(in_folder("b.instprm"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(x.radiation.n_lines, 2);
    ck_assert(x.radiation.wavelength_ang[0] == 1.5405 && x.radiation.wavelength_ang[1] == 1.5443 && x.radiation.ratio[1] == 0.513);
    assert_close(x.value[BRAGG_INSTRUMENT_U], 2.17e-4 * 5.545177444, 1e-9);
    assert_close(x.value[BRAGG_INSTRUMENT_V], -1.93e-4 * 5.545177444, 1e-9);
    assert_close(x.value[BRAGG_INSTRUMENT_Y], 0.0291, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_Z], 0.0031, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_SL], 0.01065, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_ZERO], 0.0137, 1e-12);
    write_file("c.prm", "            123456789012345678901234567890123456789012345678901234567890        \n"
               "INS   BANK      1                                                               \nINS   HTYPE   PXCR        \n"
               "INS  1 ICONS  0.413128    0.0000   -0.1370               0.990    0     0.500   \nINS  1 IRAD     0  \n"
               "INS  1PRCF1     3   19   0.00100                                                \n"
               "INS  1PRCF11       1.163000      -0.126000       0.063000   0.170000E-01        \n"
               "INS  1PRCF12       0.173000       0.310000       0.001100       0.001300        \n");
    ck_assert_msg(bragg_instrument_read(in_folder("c.prm"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(x.radiation.n_lines == 1 && x.radiation.wavelength_ang[0] == 0.413128);
    assert_close(x.radiation.polarization, 0.99, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_ZERO], -0.00137, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_W], 0.063e-4 * 5.545177444, 1e-9);
    assert_close(x.value[BRAGG_INSTRUMENT_P], 0.017e-4 * 5.545177444, 1e-9);
    assert_close(x.value[BRAGG_INSTRUMENT_X], 0.00173, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_Y], 0.0031, 1e-12);
    ck_assert(x.value[BRAGG_INSTRUMENT_SL] == 0.0011 && x.value[BRAGG_INSTRUMENT_HL] == 0.0013);
    write_file("d.prm", "INS   BANK      1                                                               \nINS   HTYPE   PNCR        \n"
               "INS  1 ICONS  1.909000  0.000000      -0.1         0       0.0    0       0.0\nINS  1PRCF1     1    6      0.01                        \n"
               "INS  1PRCF11   0.354031E+03  -0.760404E+03   0.651592E+03   0.710000E+00        \nINS  1PRCF12   0.130000E+00   0.170000E+00  \n");
    ck_assert_msg(bragg_instrument_read(in_folder("d.prm"), &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(x.radiation.neutron);
    assert_close(x.value[BRAGG_INSTRUMENT_V], -760.404e-4 * 5.545177444, 1e-9);
    ck_assert(isnan(x.value[BRAGG_INSTRUMENT_X]) && isnan(x.value[BRAGG_INSTRUMENT_P]) && isnan(x.value[BRAGG_INSTRUMENT_SL]));
}
END_TEST

START_TEST(records_of_gsas_are_read_by_their_columns)
{
    bragg_error err = BRAGG_ERROR_INIT;
    const char *path = in_folder("e.prm");
    bragg_instrument x;
    /* the fourth ten columns hold a 0 that others leave blank; function 4 has its S/L behind four corrections */
    write_file("e.prm", "INS   BANK      1                                                               \nINS   HTYPE   PXCR        \n"
               "INS  1 ICONS  1.540500  1.544300     -1.37         0       0.7    0     0.497   \n"
               "INS  1PRCF1     4   21      0.01                                                \n"
               "INS  1PRCF11   2.170000E+00  -1.930000E+00   4.710000E+00   0.170000E+00        \n"
               "INS  1PRCF12   0.130000E+01   0.230000E+01   0.330000E+01   0.430000E+01        \n"
               "INS  1PRCF13   0.530000E+01   0.151000E-01   0.163000E-01   0.750000E+00        \n");
    ck_assert_msg(bragg_instrument_read(path, &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(x.radiation.n_lines, 2);
    assert_close(x.radiation.polarization, 0.7, 1e-12);
    assert_close(x.radiation.ratio[1], 0.497, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_ZERO], -0.0137, 1e-12);
    assert_close(x.value[BRAGG_INSTRUMENT_P], 0.17e-4 * 5.545177444, 1e-9);
    assert_close(x.value[BRAGG_INSTRUMENT_X], 0.013, 1e-12);
    ck_assert(isnan(x.value[BRAGG_INSTRUMENT_Y]));
    ck_assert(x.value[BRAGG_INSTRUMENT_SL] == 0.0151 && x.value[BRAGG_INSTRUMENT_HL] == 0.0163);
}
END_TEST

START_TEST(what_is_no_instrument_is_refused_with_its_cause)
{
    static const struct { const char *text, *says; } cases[] = {
        { "", "found nothing" }, { "u: 1\nuu: 2\n", "uu" }, { "u: broad\n", "u" }, { "mount: table\n", "debye-scherrer" },
        { "wavelength: [-1]\n", "positive" }, { "Type:PNT\nLam:1\n#GSAS-II instrument parameter file\n", "PNT" },
        { "#GSAS-II instrument parameter file\nType:PXC\nU:1\n", "wavelength" }, { "INS   BANK      1\nINS   HTYPE   PXCR\n", "ICONS" },
        { "INS   BANK      1\nINS   HTYPE   PNTR\nINS  1 ICONS 1 1 1\n", "HTYPE" }, { "[1, 2", "" },
    };
    const char *path = in_folder("bad.instr");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_error err = BRAGG_ERROR_INIT;
    bragg_instrument x;
        write_file("bad.instr", cases[k].text);
        ck_assert_msg(bragg_instrument_read(path, &x, &err) < 0, "case %zu was taken", k);
        ck_assert_msg(strstr(err.text, cases[k].says) != NULL, "case %zu: %s", k, err.text);
    }
    ck_assert_int_eq(bragg_instrument_read("/nowhere/at/all", &(bragg_instrument){ 0 }, NULL), BRAGG_EIO);
}
END_TEST

/* --------------------------------------------------------------- results */

static bragg_fit *fit_structure(const bragg_pattern *p, const bragg_structure *s, bragg_model **out)
{
    static const double exclude[1][2] = { { 7.13 * BRAGG_DEG, 7.31 * BRAGG_DEG } };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_histogram_options o = synchrotron();
    o.exclude_rad = exclude;
    o.n_exclude = 1;
    bragg_model *m = bragg_model_new();
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_add_phase(m, "M", s, NULL, &err), BRAGG_OK);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    set_profile(m);
    bragg_model_select(m, "background", true);
    bragg_model_select(m, "phase.M.scale", true);
    bragg_model_select(m, "phase.M.cell", true);
    bragg_model_select(m, "phase.M.atom.*.[xyz]", true);
    bragg_model_select(m, "phase.M.atom.Bi1.uiso", true);
    bragg_fit *f;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    *out = m;
    return f;
}

START_TEST(the_cif_of_a_refinement_reads_back)
{
    bragg_error err = BRAGG_ERROR_INIT;
    const char *path = in_folder("fit.cif");
    char notes[500];
    bragg_structure *s = monoclinic(), *back;
    bragg_model *truth, *m;
    bragg_pattern *p = simulate(s, &truth), *profile;
    bragg_fit *f = fit_structure(p, s, &m);
    ck_assert_msg(bragg_fit_write_cif(m, f, "a; title\n;with \xc3\xa9", path, false, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_structure_read_cif(path, "M", &back, notes, sizeof notes, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(back->n_atoms, 2);
    ck_assert_uint_eq(back->symmetry.n_ops, 4);
    ck_assert(fabs(back->cell.a - get(m, "phase.M.cell.a")) < f->phase[0].cell[0].esd);
    ck_assert(fabs(back->cell.beta / BRAGG_DEG - get(m, "phase.M.cell.beta")) < f->phase[0].cell[4].esd);
    ck_assert(fabs(back->atom[0].x[1] - get(m, "phase.M.atom.Bi1.y")) < 1e-3);
    ck_assert(back->atom[1].anisotropic);
    assert_close(back->atom[1].u[5], 0.0047, 1e-6);
    assert_close(back->atom[1].occupancy, 0.97, 1e-9);
    ck_assert_msg(bragg_pattern_read(path, 0, &profile, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(profile->n, bragg_model_points(m, 0));
    assert_close(profile->x[0], p->x[0], 1e-6);
    assert_close(profile->y[0], p->y[0], 1e-7);
    assert_close(profile->sigma[17], p->sigma[17], 1e-7);
    assert_close(profile->wavelength_ang, 0.7093, 1e-9);
    bragg_pattern_free(profile);
    bragg_structure_free(back);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

/* Every item of a CIF as cif_api reads it, a line "name value" each; errors are counted. */
typedef struct cif_items {
    FILE *to;
    int errors;
} cif_items;

static void put_ascii(FILE *to, const UChar *text)
{
    for (; text && *text; text++)
        fputc(*text < 128 ? (char)*text : '?', to);
}

static int keep_item(UChar *name, cif_value_tp *value, void *context)
{
    cif_items *items = context;
    UChar *text = NULL;
    put_ascii(items->to, name);
    fputc(' ', items->to);
    if (value && cif_value_get_text(value, &text) == CIF_OK)
        put_ascii(items->to, text);
    fputc('\n', items->to);
    free(text);
    return CIF_TRAVERSE_CONTINUE;
}

static int count_error(int code, size_t line, size_t column, const UChar *text, size_t length, void *data)
{
    (void)line, (void)column, (void)text, (void)length;
    ((cif_items *)data)->errors++;
    return code > CIF_OK ? CIF_OK : code;
}

static char *read_items(const char *path, int *errors)
{
    char *all = NULL;
    size_t size;
    cif_items items = { open_memstream(&all, &size), 0 };
    cif_handler_tp handler = { .handle_item = keep_item };
    struct cif_parse_opts_s *opts = NULL;
    cif_tp *kept = NULL;
    FILE *in = fopen(path, "r");
    ck_assert(in && cif_parse_options_create(&opts) == CIF_OK);
    opts->handler = &handler;
    opts->error_callback = count_error;
    opts->user_data = &items;
    ck_assert_int_eq(cif_parse(in, opts, &kept), CIF_OK);
    ck_assert_int_eq(cif_destroy(kept), CIF_OK);
    free(opts);
    fclose(in);
    fclose(items.to);
    *errors = items.errors;
    return all;
}

START_TEST(the_cif_says_what_the_model_really_used)
{
    static const char *const says[] = {
        "Cosine series in 2theta, terms: 4", "Debye scattering, a sin(QR)/(QR) exp(-U Q^2 / 2), 1 terms", "R 2.71 angstrom", "Broad Gaussian peaks, 1",
        "March-Dollase along 0 1 0, r", "March-Dollase along 1 0 0, r", "harmonics to order 4", "Axial divergence after Finger",
        "bin 0.013 deg", "_exptl_absorpt_correction_type cylinder", "mu R 0.37", "Stephens, J. Appl. Cryst. 32 (1999) 281", "T. M. Sabine",
        "_refine_ls_extinction_coef 0.0031", "distances, 1", "sums of parameters, 1", "_refine_ls_number_restraints 2", "from 7.13 to 7.31",
        "w = 1/sigma^2", "_refine_ls_shift/su_max 0", "Rietveld refinement, H. M. Rietveld", "_geom_bond_distance 2.", "_geom_angle 9",
    };
    bragg_error err = BRAGG_ERROR_INIT;
    const char *path = in_folder("used.cif");
    static const double exclude[1][2] = { { 7.13 * BRAGG_DEG, 7.31 * BRAGG_DEG } }, hump[1][2] = { { 17.3, 4.1 } };
    static const double debye[1] = { 2.71 };
    static const int axes[2][3] = { { 0, 1, 0 }, { 1, 0, 0 } };
    bragg_structure *s = monoclinic();
    bragg_model *truth, *m = bragg_model_new();
    bragg_pattern *p = simulate(s, &truth);
    bragg_histogram_options o = synchrotron();
    o.exclude_rad = exclude, o.n_exclude = 1, o.background_terms = 4, o.background = BRAGG_BACKGROUND_COSINE;
    o.debye_ang = debye, o.n_debye = 1, o.hump_deg = hump, o.n_humps = 1;
    ck_assert_int_eq(bragg_model_add_pattern(m, p, &o, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_model_add_phase(m, "M", s, NULL, &err), BRAGG_OK);
    ck_assert_msg(bragg_model_texture(m, "M", axes, 2, 4, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_broaden(m, "M", NULL, true, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_extinction(m, "M", &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_build(m, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_model_restrain_atoms(m, "M", (const char *const[]){ "Bi1", "S1" }, 2, 2.77, 0.02, &err) == BRAGG_OK, "%s", err.text);
    const size_t rows[2] = { (size_t)bragg_params_find(bragg_model_params(m), "phase.M.atom.Bi1.occupancy"),
                             (size_t)bragg_params_find(bragg_model_params(m), "phase.M.atom.S1.occupancy") };
    ck_assert_msg(bragg_model_restrain_sum(m, rows, 2, 1.97, 0.01, &err) == BRAGG_OK, "%s", err.text);
    set_profile(m);
    set(m, "instrument.sl", 0.011);
    set(m, "instrument.box", 0.013);
    set(m, "instrument.absorption", 0.37);
    set(m, "phase.M.extinction", 0.0031);
    set(m, "background.0", 130);
    bragg_model_select(m, "background.[0-9]", true);
    bragg_model_select(m, "phase.M.scale", true);
    bragg_model_select(m, "phase.M.cell", true);
    bragg_fit *f = NULL;
    ck_assert_msg(bragg_refine(m, NULL, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    ck_assert(f->shift_per_esd_max <= 0.01 && f->shift_per_esd_mean <= f->shift_per_esd_max);
    ck_assert_msg(bragg_fit_write_cif(m, f, "a; title\n;with \xc3\xa9", path, false, &err) == BRAGG_OK, "%s", err.text);
    int errors;
    char *all = read_items(path, &errors);
    ck_assert_int_eq(errors, 0);
    for (size_t k = 0; k < sizeof says / sizeof *says; k++)
        ck_assert_msg(strstr(all, says[k]) != NULL, "the CIF does not say '%s'", says[k]);
    ck_assert(!strstr(all, "Chebyshev"));
    free(all);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

static size_t lines_of(const char *path)
{
    FILE *in = fopen(path, "r");
    ck_assert_ptr_nonnull(in);
    size_t n = 0;
    for (int c; (c = fgetc(in)) != EOF;)
        n += c == '\n';
    fclose(in);
    return n;
}

START_TEST(tables_hold_every_parameter_and_peak)
{
    bragg_error err = BRAGG_ERROR_INIT;
    const char *parameters = in_folder("parameters.csv"), *reflections = in_folder("reflections.csv");
    size_t n;
    bragg_structure *s = monoclinic();
    bragg_model *truth, *m;
    bragg_pattern *p = simulate(s, &truth);
    bragg_fit *f = fit_structure(p, s, &m);
    ck_assert_int_eq(bragg_fit_write_parameters(m, f, parameters, false, &err), BRAGG_OK);
    ck_assert_uint_eq(lines_of(parameters), 1 + bragg_model_params(m)->n);
    ck_assert_int_eq(bragg_fit_write_reflections(m, reflections, false, &err), BRAGG_OK);
    (void)bragg_model_peaks(m, 0, &n);
    ck_assert_uint_eq(lines_of(reflections), 1 + n);
    ck_assert_int_eq(bragg_fit_write_reflections(m, reflections, false, NULL), BRAGG_EEXIST);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

START_TEST(a_refinement_starts_from_an_earlier_result)
{
    static const struct { const char *text, *says; } bad[] = {
        { "{\"parameters\": ", "line 1" }, { "{\"rwp\": 1}", "parameters" }, { "{\"parameters\": {\"phase.other.scale\": {\"value\": 1}}}", "none by name" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    const char *path = in_folder("fit.json");
    bragg_structure *s = monoclinic();
    bragg_model *m;
    bragg_pattern *p = simulate(s, &m);
    write_file("fit.json", "{\"parameters\": {\"phase.T.cell.a\": {\"value\": 6.1391, \"esd\": 1e-4}, \"phase.T.cell.alpha\": {\"value\": 91},\n"
               "\"instrument.x\": {\"value\": -3}, \"instrument.y\": {\"value\": null}, \"phase.other.scale\": {\"value\": 7}}}");
    ck_assert_msg(bragg_model_start(m, path, &err) == BRAGG_OK, "%s", err.text);
    assert_close(get(m, "phase.T.cell.a"), 6.1391, 1e-14);
    assert_close(get(m, "phase.T.cell.alpha"), 90, 1e-12); /* symmetry knows better */
    ck_assert(get(m, "instrument.x") == 0);                /* within its bounds */
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        err = (bragg_error)BRAGG_ERROR_INIT;
        write_file("fit.json", bad[k].text);
        ck_assert_int_eq(bragg_model_start(m, path, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, bad[k].says) != NULL, "case %zu: %s", k, err.text);
    }
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_structure_free(s);
}
END_TEST

int main(void)
{
    make_folder("lebail");
    Suite *suite = suite_create("lebail");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, extraction_finds_cell_and_intensities_of_a_simulated_pattern);
    tcase_add_test(all, reflections_of_one_position_share_evenly);
    tcase_add_test(all, extraction_leaves_a_rietveld_phase_its_own);
    tcase_add_test(all, sucrose_is_fitted_no_worse_than_by_gsas2);
    tcase_add_test(all, a_cell_its_symmetry_forbids_is_refused);
    tcase_add_test(all, an_instrument_reads_back_as_written);
    tcase_add_test(all, instruments_of_gsas_are_read_in_our_units);
    tcase_add_test(all, records_of_gsas_are_read_by_their_columns);
    tcase_add_test(all, what_is_no_instrument_is_refused_with_its_cause);
    tcase_add_test(all, the_cif_of_a_refinement_reads_back);
    tcase_add_test(all, the_cif_says_what_the_model_really_used);
    tcase_add_test(all, tables_hold_every_parameter_and_peak);
    tcase_add_test(all, a_refinement_starts_from_an_earlier_result);
    suite_add_tcase(suite, all);
    int failed = run_suite(suite);
    return drop_folder() && !failed ? 0 : 1;
}
