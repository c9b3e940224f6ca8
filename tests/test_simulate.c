/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "folder.h"
#include "suite.h"

#include <bragg/detector.h>
#include <bragg/frame.h>
#include <bragg/log.h>
#include <bragg/path.h>
#include <bragg/pattern.h>
#include <bragg/pdf.h>
#include <bragg/simulate.h>
#include <bragg/units.h>
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static bragg_arena *arena;
static bragg_error error;

static void enter_folder(void)
{
    arena = bragg_arena_new();
    make_folder("simulate");
    error = (bragg_error)BRAGG_ERROR_INIT;
}

static void leave_folder(void)
{
    ck_assert(drop_folder());
    bragg_arena_free(arena);
}

static const char *write_truth(const char *text)
{
    write_file("truth.yaml", text);
    return in_folder("truth.yaml");
}

static void threads(int n)
{
#ifdef _OPENMP
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

static char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is not there", path);
    char *bytes = malloc(1 << 24);
    *size = fread(bytes, 1, 1 << 24, f);
    fclose(f);
    return bytes;
}

static void assert_same_file(const char *a, const char *b)
{
    size_t n, m;
    char *x = slurp(in_folder(a), &n), *y = slurp(in_folder(b), &m);
    ck_assert_msg(n == m && !memcmp(x, y, n), "%s and %s differ", a, b);
    free(x);
    free(y);
}

#define BATTERY \
    "seed: 11\n" \
    "radiation: {wavelength: [1.540593, 1.544427], ratios: [1, 0.5]}\n" \
    "instrument: {w: 0.01, x: 0.02, y: 0.03, radius_mm: 217.5, mount: bragg-brentano, displacement: 0.1}\n" \
    "patterns: {range: [20.13, 45.13], step: 0.05}\n" \
    "run: {frames: 13, every_s: 700, exposure_s: 650, start: '2024-05-01T10:00:00', folder: frames, counts: 3000,\n" \
    "      monitor: [[0, 1], [9100, 0.7]], background: {flat: 0.05}}\n" \
    "phases:\n" \
    "  - {card: Bi, moles: [[0, 1], [3, 0]], cell: {a: [[0, 4.5467], [3, 4.5611]]}, size_nm: 31}\n" \
    "  - {card: K3Bi_hex, name: K3Bi, moles: [[0, 0], [3, 1]], size_nm: 23}\n" \
    "windows: [{card: Be, weight: 0.3, displacement_mm: -0.7}]\n" \
    "cycler:\n" \
    "  {file: c.mpt, mass_mg: 1.31, molar_mass: 208.98, every_s: 41, relax_s: 19, clock: {offset_s: 131.5, drift: 0.0003},\n" \
    "   voltage: [[0, 1.1], [3, 0.2], [5.5, 1.3]],\n" \
    "   protocol: [{rest_s: 911, to_v: 1.9}, {current_ma: -0.37, electrons: 3}, {current_ma: 0.53, electrons: 2.5}, {rest_s: 3000}]}\n"

START_TEST(the_same_seed_makes_the_same_files_on_any_number_of_threads)
{
    const char *truth = write_truth(BATTERY);
    threads(1);
    ck_assert_msg(bragg_simulate(truth, in_folder("one"), false, NULL, &error) == BRAGG_OK, "%s", error.text);
    threads(3);
    ck_assert_int_eq(bragg_simulate(truth, in_folder("three"), false, NULL, &error), BRAGG_OK);
    assert_same_file("one/frames/00001.xye", "three/frames/00001.xye");
    assert_same_file("one/frames/00013.xye", "three/frames/00013.xye");
    assert_same_file("one/c.mpt", "three/c.mpt");
    assert_same_file("one/truth.csv", "three/truth.csv");
}
END_TEST

START_TEST(the_cyclers_file_is_read_back_with_its_wrong_clock)
{
    bragg_log_table *log;
    bragg_truth *t;
    bragg_truth_state s;
    double covered;
    ck_assert_int_eq(bragg_simulate(write_truth(BATTERY), folder, false, NULL, &error), BRAGG_OK);
    ck_assert_msg(bragg_log_read(in_folder("c.mpt"), NULL, &log, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_str_eq(log->format, "BioLogic mpt");
    ck_assert_uint_eq(log->n_notes, 0);
    assert_close(log->mass_kg, 1.31e-6, 1e-12);
    assert_close(log->start_unix_s, 1714557600 + 131.5, 1e-12);
    ck_assert_int_eq(bragg_truth_read(in_folder("truth.yaml"), &t, &error), BRAGG_OK);
    for (size_t k = 0; k < bragg_truth_count(t); k++) {
        ck_assert_int_eq(bragg_truth_state_at(t, k, &s, &error), BRAGG_OK);
        double at = s.time_s * 1.0003, v = bragg_log_mean(log, log->channel[BRAGG_CHANNEL_VOLTAGE], at, at, &covered);
        ck_assert_msg(fabs(v - s.voltage_v) < 3e-3, "frame %zu: %g V, truth %g", k, v, s.voltage_v);
    }
    bragg_truth_free(t);
    bragg_log_free(log);
}
END_TEST

START_TEST(the_log_holds_the_charge_of_the_electrons)
{
    bragg_log_table *log;
    bragg_log_step *steps;
    size_t n;
    ck_assert_int_eq(bragg_simulate(write_truth(BATTERY), folder, false, NULL, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_log_read(in_folder("c.mpt"), NULL, &log, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_log_steps(log, NULL, &steps, &n, &error), BRAGG_OK);
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(steps[0].kind, BRAGG_STEP_REST);
    ck_assert_int_eq(steps[1].kind, BRAGG_STEP_DISCHARGE);
    ck_assert_int_eq(steps[2].kind, BRAGG_STEP_CHARGE);
    /* the discharge's mean current over its rows: its ends are known to a row */
    double charge = 3 * 96485.33212 * 1.31e-3 / 208.98;
    ck_assert_msg(fabs(fabs(steps[1].charge_c) / charge - 1) < 0.03, "%g C, expected %g", steps[1].charge_c, charge);
    free(steps);
    bragg_log_free(log);
}
END_TEST

START_TEST(two_phases_share_the_metal_by_the_charge_passed)
{
    bragg_truth *t;
    bragg_truth_state s;
    ck_assert_int_eq(bragg_truth_read(write_truth(BATTERY), &t, &error), BRAGG_OK);
    ck_assert_uint_eq(bragg_truth_count(t), 13);
    ck_assert_int_eq(bragg_truth_state_at(t, 5, &s, &error), BRAGG_OK);
    ck_assert_str_eq(s.phase[1].name, "K3Bi");
    double x = s.electrons / 3, bi = 208.98, k3bi = 208.98 + 3 * 39.098;
    assert_close(s.phase[1].weight_fraction, x * k3bi / (x * k3bi + (1 - x) * bi), 2e-5);
    assert_close(s.phase[0].cell[0], 4.5467 + 0.0144 * x, 1e-9);
    assert_close(s.phase[0].cell[1], s.phase[0].cell[0], 1e-15);
    bragg_truth_free(t);
}
END_TEST

static double sum_between(const bragg_pattern *p, double from_deg, double to_deg)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->x[i] >= from_deg * BRAGG_DEG && p->x[i] <= to_deg * BRAGG_DEG)
            sum += p->y[i];
    return sum;
}

START_TEST(a_pattern_has_the_counts_time_and_place_the_truth_gives)
{
    bragg_pattern *first, *last;
    ck_assert_int_eq(bragg_simulate(write_truth(BATTERY), folder, false, NULL, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_pattern_read(in_folder("frames/00001.xye"), 0, &first, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_pattern_read(in_folder("frames/00013.xye"), 0, &last, &error), BRAGG_OK);
    assert_close(first->time_s, 1714557600, 1e-15);
    assert_close(last->time_s - first->time_s, 12 * 700, 1e-12);
    assert_close(first->counting_s, 650, 1e-12);
    ck_assert_uint_eq(first->n, 501);
    /* bismuth 012 at 27.1 deg, shifted by -2 s cos(theta) / R; nothing of K3Bi yet */
    size_t top = 0;
    for (size_t i = 0; i < first->n; i++)
        top = first->y[i] > first->y[top] ? i : top;
    double d012 = 1 / sqrt(4.0 / (3 * 4.5467 * 4.5467) + 4 / (11.862 * 11.862)), theta = asin(1.540593 / (2 * d012));
    ck_assert_msg(fabs(first->x[top] - 2 * theta + 2 * 0.1 / 217.5 * cos(theta)) < 0.05 * BRAGG_DEG, "peak at %g deg", first->x[top] / BRAGG_DEG);
    /* (the top keeps its place although noise may choose a neighbour's height) */
    ck_assert_msg(fabs(first->y[top] / (3000 * 1.05) - 1) < 0.07, "top %g", first->y[top]);
    /* flat background only, at the end of the range, times the monitor */
    double ratio = sum_between(last, 20.2, 21.2) / sum_between(first, 20.2, 21.2), monitor = 1 - 0.3 * (12 * 700 + 325) / 9100, start = 1 - 0.3 * 325 / 9100;
    ck_assert_msg(fabs(ratio - monitor / start) < 0.06, "%g, expected %g", ratio, monitor / start);
    bragg_pattern_free(first);
    bragg_pattern_free(last);
}
END_TEST

#define FURNACE \
    "radiation: {wavelength: 0.1839}\n" \
    "detector: {name: Pilatus100k, distance_m: 0.31, poni1_m: 0.011, poni2_m: 0.043, gaps: true, dead_pixels: 20,\n" \
    "           error: {poni1_m: 0.00052}}\n" \
    "run: {frames: 2, every_s: 2, exposure_s: 2, start: '2024-05-01T10:00:00', counts: 900, graininess: 0.1}\n" \
    "phases: [{card: NaCl, expansion_per_k: 4e-5}]\n" \
    "furnace: {file: f.csv, temperature: [[0, 300], [2, 700]], every_s: 0.5, clock: {offset_s: -7}}\n"

/* A truth's displacement is that of all atoms, of those that the card gives tensors, too. */
START_TEST(the_truths_displacement_takes_the_place_of_tensors)
{
    static const char cif[] = "data_x\n_cell_length_a 4.137\n_cell_length_b 4.137\n_cell_length_c 4.137\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
                              "_cell_angle_gamma 90\n_space_group_name_H-M_alt 'P m -3 m'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
                              "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_U_iso_or_equiv\n_atom_site_adp_type\nLa1 La 0 0 0 0.007 %s\n%s";
    static const char tensor[] = "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n_atom_site_aniso_U_33\n_atom_site_aniso_U_23\n"
                                 "_atom_site_aniso_U_13\n_atom_site_aniso_U_12\nLa1 0.031 0.031 0.031 0 0 0\n";
    for (int k = 0; k < 2; k++) {
        char truth[400];
        FILE *f = fopen(in_folder(k ? "tensor.cif" : "plain.cif"), "w");
        ck_assert_ptr_nonnull(f);
        fprintf(f, cif, k ? "Uani" : "Uiso", k ? tensor : "");
        fclose(f);
        snprintf(truth, sizeof truth, "seed: 3\nradiation: {wavelength: 0.7093}\ninstrument: {w: 0.002}\npatterns: {range: [8, 60], step: 0.05}\n"
                 "frames: [{name: %s, counts: 20000, phases: [{name: X, card: %s.cif, uiso: 0.013}]}]\n", k ? "tensor" : "plain", k ? "tensor" : "plain");
        ck_assert_msg(bragg_simulate(write_truth(truth), folder, true, NULL, &error) == BRAGG_OK, "%s", error.text);
    }
    assert_same_file("plain.xye", "tensor.xye");
}
END_TEST

START_TEST(a_furnace_stretches_the_cell_and_writes_its_log)
{
    bragg_truth *t;
    bragg_truth_state s;
    bragg_log_table *log;
    ck_assert_msg(bragg_simulate(write_truth(FURNACE), folder, false, NULL, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_int_eq(bragg_truth_read(in_folder("truth.yaml"), &t, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_truth_state_at(t, 1, &s, &error), BRAGG_OK);
    assert_close(s.temperature_k, 700, 1e-12);
    assert_close(s.phase[0].cell[0], 5.6401 * (1 + 4e-5 * (700 - 298.15)), 1e-12);
    ck_assert_msg(bragg_log_read(in_folder("f.csv"), NULL, &log, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_ptr_nonnull(log->channel[BRAGG_CHANNEL_TEMPERATURE]);
    ck_assert_msg(fabs(log->channel[BRAGG_CHANNEL_TEMPERATURE][0] - 300) < 2, "%g K", log->channel[BRAGG_CHANNEL_TEMPERATURE][0]);
    assert_close(log->start_unix_s, 1714557600 - 7, 1e-12);
    bragg_log_free(log);
    bragg_truth_free(t);
}
END_TEST

START_TEST(frames_are_the_same_on_any_number_of_threads_and_have_holes)
{
    bragg_frame *f;
    const char *truth = write_truth(FURNACE);
    threads(1);
    ck_assert_msg(bragg_simulate(truth, in_folder("one"), false, NULL, &error) == BRAGG_OK, "%s", error.text);
    threads(3);
    ck_assert_int_eq(bragg_simulate(truth, in_folder("three"), false, NULL, &error), BRAGG_OK);
    assert_same_file("one/00002.tif", "three/00002.tif");
    ck_assert_int_eq(bragg_frame_read(in_folder("one/00002.tif"), 0, &f, &error), BRAGG_OK);
    size_t dead = 0, good = 0;
    for (size_t k = 0; k < f->width * f->height; k++) {
        dead += ((const int32_t *)f->data)[k] == -2;
        good += ((const int32_t *)f->data)[k] > 0;
    }
    ck_assert_uint_ge(dead, 19);
    ck_assert_uint_gt(good, f->width * f->height / 2);
    bragg_frame_free(f);
}
END_TEST

/* The first Eiger's modules are larger than the second's, and nearer. */
START_TEST(gaps_are_those_of_the_detector)
{
    bragg_frame *f;
    ck_assert_msg(bragg_simulate(write_truth("radiation: {wavelength: 0.1839}\ndetector: {name: Eiger1M, distance_m: 0.31, poni1_m: 0.031, poni2_m: 0.043, gaps: true}\n"
                                             "frames: [{name: one, counts: 90, phases: [{card: NaCl}]}]\n"), folder, false, NULL, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_int_eq(bragg_frame_read(in_folder("one.tif"), 0, &f, &error), BRAGG_OK);
    uint8_t *mask = calloc(f->width * f->height, 1);
    ck_assert_int_eq(bragg_mask_gaps("Eiger1M", f->height, f->width, mask, &error), BRAGG_OK);
    size_t wrong = 0, gaps = 0;
    for (size_t i = 0; i < f->width * f->height; i++) {
        wrong += (((const int32_t *)f->data)[i] == -1) != (mask[i] != 0);
        gaps += mask[i] != 0;
    }
    ck_assert_msg(wrong == 0 && gaps > 10000, "%zu of %zu", wrong, gaps);
    free(mask);
    bragg_frame_free(f);
}
END_TEST

START_TEST(frames_of_a_run_can_be_written_smaller)
{
    static const char usual[] = FURNACE;
    char text[4000];
    bragg_frame *f, *g;
    const char *run = strstr(usual, "run: {");
    snprintf(text, sizeof text, "%.*srun: {format: cbf, %s", (int)(run - usual), usual, run + strlen("run: {"));
    ck_assert_msg(bragg_simulate(write_truth(usual), in_folder("wide"), false, NULL, &error) == BRAGG_OK, "%s", error.text);
    bragg_status st = bragg_simulate(write_truth(text), in_folder("small"), false, NULL, &error);
#ifndef HAVE_CBF
    ck_assert_int_eq(st, BRAGG_ENOSUPPORT);
    return;
#endif
    ck_assert_msg(st == BRAGG_OK, "%s", error.text);
    ck_assert_int_eq(bragg_frame_read(in_folder("wide/00002.tif"), 0, &f, &error), BRAGG_OK);
    ck_assert_msg(bragg_frame_read(in_folder("small/00002.cbf"), 0, &g, &error) == BRAGG_OK, "%s", error.text);
    ck_assert(f->type == g->type && f->width == g->width && f->height == g->height);
    ck_assert(!memcmp(f->data, g->data, f->width * f->height * sizeof(int32_t)));
    bragg_frame_free(f);
    bragg_frame_free(g);
    size_t n, m;
    free(slurp(in_folder("wide/00002.tif"), &n));
    free(slurp(in_folder("small/00002.cbf"), &m));
    ck_assert_uint_lt(3 * m, n);
}
END_TEST

static void assert_refused(const char *text, const char *with)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_truth *t;
    ck_assert_int_lt(bragg_truth_read(write_truth(text), &t, &err), 0);
    ck_assert_msg(strstr(err.text, with) != NULL, "'%s' lacks '%s'", err.text, with);
}

#define TOTAL \
    "radiation: {wavelength: 0.1839}\n" \
    "total: {qrange: [0.7, 25], step: 0.02, qdamp: 0.04, pixels: 5000, flat: 3}\n" \
    "frames:\n" \
    "  - {name: sample, counts: 0.7, container: 0.4, phases: [{card: Al, cell: {a: 4.1137}, uiso: 0.007}]}\n" \
    "  - {name: empty, counts: 0.7, container: 0.4, phases: []}\n"

START_TEST(total_scattering_transforms_to_the_distances_of_the_structure)
{
    bragg_pattern *sample, *empty;
    bragg_composition al;
    bragg_pdf *pdf;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    ck_assert_msg(bragg_simulate(write_truth(TOTAL), folder, false, NULL, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_int_eq(bragg_pattern_read(in_folder("sample.xye"), 0, &sample, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_pattern_read(in_folder("empty.xye"), 0, &empty, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_composition_parse("Al", &al, &error), BRAGG_OK);
    o.compton = true;
    o.qmax_invang = 23;
    ck_assert_msg(bragg_pdf_reduce(sample, empty, &al, &o, &pdf, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_msg(fabs(pdf->scale * 0.7 - 1) < 0.02, "scale %g of electron units", pdf->scale * 0.7);
    const double expected[] = { 4.1137 / sqrt(2), 4.1137 };
    for (int k = 0; k < 2; k++) {
        size_t top = 0;
        for (size_t i = 0; i < pdf->m; i++)
            if (fabs(pdf->r[i] - expected[k]) < 0.15 && (!top || pdf->gr[i] > pdf->gr[top]))
                top = i;
        ck_assert_msg(fabs(pdf->r[top] - expected[k]) < 0.021, "distance %g, expected %g", pdf->r[top], expected[k]);
    }
    bragg_pdf_free(pdf);
    bragg_pattern_free(sample);
    bragg_pattern_free(empty);
}
END_TEST

/* The empty one was exposed longer than the container in the sample, the density is
 * known, or is that of another metal. */
#define ALLOY \
    "radiation: {wavelength: 0.1839}\n" \
    "total: {qrange: [0.6, 26], step: 0.01, qdamp: 0.031, qbroad: 0.008, pixels: 310, air: 160, flat: 12}\n" \
    "frames:\n" \
    "  - name: sample\n    counts: 0.31\n    container: 0.9\n" \
    "    phases: [{card: Bi, cell: {a: 4.4073, c: 11.7094}, z: 0.2349, uiso: 0.0131, delta2: 2.1, size_nm: 46}]\n" \
    "  - {name: empty, counts: 0.33, container: 1, phases: []}\n"

START_TEST(a_reduction_that_chooses_all_itself_has_the_g_of_the_structure)
{
    const double per_ang3 = 6 / (4.4073 * 4.4073 * 11.7094 * sqrt(0.75));
    const double amiss[] = { 1, 1.27 };
    double qmax = NAN;
    bragg_pattern *sample, *empty;
    bragg_composition bi;
    ck_assert_msg(bragg_simulate(write_truth(ALLOY), folder, false, NULL, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_int_eq(bragg_pattern_read(in_folder("sample.xye"), 0, &sample, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_pattern_read(in_folder("empty.xye"), 0, &empty, &error), BRAGG_OK);
    ck_assert_int_eq(bragg_composition_parse("Bi", &bi, &error), BRAGG_OK);
    for (int k = 0; k < 4; k++) {
        bragg_pdf *pdf;
        bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
        size_t top = 0;
        o.background_scale = NAN;
        o.auto_qmax = o.remove_outliers = o.anomalous = true;
        o.physical = k % 2;
        o.number_density = per_ang3 * amiss[k / 2];
        if (k == 3) { /* one Qmax for both routes, as they are shown together */
            o.qmax_invang = qmax;
            o.auto_qmax = false;
        }
        ck_assert_msg(bragg_pdf_reduce(sample, empty, &bi, &o, &pdf, &error) == BRAGG_OK, "%s", error.text);
        for (size_t i = 0; i < pdf->m && pdf->r[i] < 3.25; i++)
            if (pdf->r[i] > 1 && (!top || pdf->gr[i] > pdf->gr[top]))
                top = i;
        fprintf(stderr, "%s, density x %.2f: background x %.3f, Qmax %.2f, first peak %.3f, slope %.4f for %.4f, strain %.2f\n", k % 2 ? "physical" : "ad hoc",
                amiss[k / 2], pdf->used.background_scale, pdf->used.qmax_invang, pdf->r[top], pdf->slope, pdf->slope_expected, pdf->strain);
        ck_assert(fabs(pdf->r[top] - 3.005) < 0.02);
        ck_assert(pdf->used.background_scale > 0.75 && pdf->used.background_scale < 1.05);
        ck_assert(pdf->used.qmax_invang > 15 && pdf->used.qmax_invang < 25);
        if (k % 2)
            ck_assert(fabs(pdf->slope / pdf->slope_expected - 1) < 0.05 && (pdf->strain > 4) == (k > 1));
        qmax = pdf->used.qmax_invang;
        bragg_pdf_free(pdf);
    }
    bragg_pattern_free(sample);
    bragg_pattern_free(empty);
}
END_TEST

/* GSL's own law of Poisson has 32 bits and never came back from these. */
START_TEST(counts_may_be_more_than_32_bits_hold)
{
    bragg_pattern *p;
    ck_assert_msg(bragg_simulate(write_truth("radiation: {wavelength: 0.7093}\npatterns: {range: [10, 12], step: 0.01}\n"
                                             "frames: [{name: bright, counts: 2.385e11, background: {flat: 1}}]\n"), folder, false, NULL, &error) == BRAGG_OK, "%s", error.text);
    ck_assert_int_eq(bragg_pattern_read(in_folder("bright.xye"), 0, &p, &error), BRAGG_OK);
    double square = 0;
    for (size_t i = 0; i < p->n; i++)
        square += pow((p->y[i] - 2.385e11) / sqrt(2.385e11), 2) / (double)p->n;
    ck_assert_msg(square > 0.7 && square < 1.3, "%zu points spread by %g", p->n, square);
    bragg_pattern_free(p);
}
END_TEST

START_TEST(a_wrong_truth_file_is_named_with_its_line)
{
    assert_refused("radiation: {wavelength: 1.5}\n", "neither");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [20, 10]}\n", "rising angles");
    assert_refused("radiation: {wavelength: -1}\npatterns: {range: [10, 20]}\n", "positive");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {frames: 0}\n", "positive frames");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {format: jpeg}\n", "expected tif");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {over: electrons}\nphases: []\n", "protocol");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {frames: 2}\nphases: [{card: Bi, weight: [[1, 2], [0, 1]]}]\n", "rising x");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {frames: 2}\nphases: [{card: Bi, wieght: 1}]\n", "weight");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {frames: 2}\nphases: [{card: Bi, weight: 1, moles: 1}]\n", "both");
    assert_refused("radiation: {wavelength: 1.5}\ndetector: {name: Pilatus100k, distance_m: 1, error: {poni1: 1}}\n", "poni1_m");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\ncycler: {molar_mass: 59, voltage: 1}\n", "protocol");
    assert_refused("radiation: {wavelength: 1.5}\npatterns: {range: [10, 20]}\nrun: {frames: 2}\nfurnace: {temperature: 300}\n", "start");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("simulate");
    TCase *c = tcase_create("twins");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, enter_folder, leave_folder);
    tcase_add_test(c, the_same_seed_makes_the_same_files_on_any_number_of_threads);
    tcase_add_test(c, the_cyclers_file_is_read_back_with_its_wrong_clock);
    tcase_add_test(c, the_log_holds_the_charge_of_the_electrons);
    tcase_add_test(c, two_phases_share_the_metal_by_the_charge_passed);
    tcase_add_test(c, a_pattern_has_the_counts_time_and_place_the_truth_gives);
    tcase_add_test(c, the_truths_displacement_takes_the_place_of_tensors);
    tcase_add_test(c, a_furnace_stretches_the_cell_and_writes_its_log);
    tcase_add_test(c, gaps_are_those_of_the_detector);
    tcase_add_test(c, frames_are_the_same_on_any_number_of_threads_and_have_holes);
    tcase_add_test(c, frames_of_a_run_can_be_written_smaller);
    tcase_add_test(c, total_scattering_transforms_to_the_distances_of_the_structure);
    tcase_add_test(c, a_reduction_that_chooses_all_itself_has_the_g_of_the_structure);
    tcase_add_test(c, counts_may_be_more_than_32_bits_hold);
    tcase_add_test(c, a_wrong_truth_file_is_named_with_its_line);
    suite_add_tcase(s, c);
    return run_suite(s);
}
