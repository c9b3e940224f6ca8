/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Experiment files: what each key means, and what is refused. */
#include "config.h"
#include "close.h"
#include "folder.h"
#include "suite.h"

#include <bragg/experiment.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bragg_status read_text(const char *text, bragg_experiment **x, bragg_error *err)
{
    write_file("x.yaml", text);
    return bragg_experiment_read(in_folder("x.yaml"), x, err);
}

static bragg_experiment *experiment(const char *text)
{
    bragg_experiment *x;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(read_text(text, &x, &err) == BRAGG_OK, "%s", err.text);
    return x;
}

/* Two patterns of silicon: X-rays in 2theta, neutrons in Q. */
static void write_data(void)
{
    static const char cif[] = "data_Si\n_cell_length_a 5.431\n_cell_length_b 5.431\n_cell_length_c 5.431\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
                              "_cell_angle_gamma 90\n_space_group_name_H-M_alt 'F d -3 m:2'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
                              "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nSi1 Si 0.125 0.125 0.125\n";
    char text[60000];
    size_t used = 0;
    write_file("Si.cif", cif);
    for (int i = 0; i < 900; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%.3f %d\n", 20 + 0.1 * i, 100 + (i * 7919) % 13);
    write_file("x.xy", text);
    used = 0;
    for (int i = 0; i < 600; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%.4f %d\n", 1 + 0.01 * i, 200 + (i * 7919) % 17);
    write_file("n.xy", text);
}

static const char joint[] =
    "radiation: {anode: Cu}\n"
    "data:\n"
    "  range: [25, 100]\n"
    "  patterns:\n"
    "    - {name: lab, file: x.xy, mount: bragg-brentano, radius_mm: 217, exclude: [[30.1, 31.7]], refine: [w, displacement], background: {terms: 9}}\n"
    "    - {name: pile, file: n.xy, unit: q_A^-1, range: [1.5, 5.5], radiation: {type: neutron, wavelength: 1.494}, weight: 0.25, refine: [zero]}\n"
    "phases: [{name: Si, card: Si.cif, refine: [scale, cell, dij, uiso]}]\n"
    "refine:\n"
    "  background: {type: chebyshev, terms: 4}\n"
    "  parameters: [x]\n"
    "  values: {lab.instrument.w: 0.02}\n"
    "  bounds: {lab.instrument.y: [-1, 1]}\n"
    "  ties: {pile.instrument.x: 2 * lab.instrument.x}\n";

START_TEST(several_patterns_have_their_own_range_background_and_radiation)
{
    write_data();
    bragg_experiment *x = experiment(joint);
    ck_assert_uint_eq(x->n_patterns, 2);
    assert_close(x->pattern[0].histogram.first_rad, 25 * BRAGG_DEG, 1e-12);
    assert_close(x->pattern[1].histogram.first_rad, bragg_axis_convert(1.5, BRAGG_AXIS_Q, BRAGG_AXIS_TTH, 1.494), 1e-12);
    ck_assert_uint_eq(x->pattern[0].histogram.n_exclude, 1);
    ck_assert_uint_eq(x->pattern[1].histogram.n_exclude, 0);
    ck_assert_uint_eq(x->pattern[0].histogram.background_terms, 9);
    ck_assert_uint_eq(x->pattern[1].histogram.background_terms, 4);
    ck_assert(!x->pattern[0].histogram.radiation.neutron && x->pattern[1].histogram.radiation.neutron);
    assert_close(x->pattern[1].histogram.weight, 0.25, 1e-15);
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
    const bragg_params *t = bragg_model_params(m);
    static const struct { const char *name; bool refined; } rows[] = {
        { "lab.instrument.w", true }, { "pile.instrument.w", false }, { "lab.instrument.displacement", true }, { "pile.instrument.zero", true },
        { "lab.instrument.zero", false }, { "lab.instrument.x", true }, { "pile.phase.Si.dij.d11", true }, { "lab.phase.Si.scale", true },
        { "pile.phase.Si.scale", true }, { "phase.Si.cell.a", true }, { "phase.Si.atom.Si1.uiso", true }, { "lab.background.8", true },
        { "pile.background.3", true } };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ptrdiff_t row = bragg_params_find(t, rows[k].name);
        ck_assert_msg(row >= 0, "no %s", rows[k].name);
        ck_assert_msg(t->at[row].refine == rows[k].refined, "%s", rows[k].name);
    }
    ck_assert_int_lt(bragg_params_find(t, "pile.background.4"), 0);
    ptrdiff_t y = bragg_params_find(t, "lab.instrument.y"), tied = bragg_params_find(t, "pile.instrument.x");
    assert_close(t->at[y].lower, -1, 1e-15);
    ck_assert(t->at[tied].tie_to == bragg_params_find(t, "lab.instrument.x") && t->at[tied].tie_factor == 2);
    bragg_model_free(m);
    bragg_pattern *p;
    ck_assert_int_eq(bragg_experiment_pattern_read(&x->pattern[1], &p, &err), BRAGG_OK);
    ck_assert_int_eq(p->axis, BRAGG_AXIS_Q);
    assert_close(p->x[7], 1.07, 1e-12);
    ck_assert_int_eq(bragg_experiment_model(x, p, &m, &err), BRAGG_EDATA); /* a series of joint patterns */
    bragg_pattern_free(p);
    bragg_experiment_free(x);
}
END_TEST

/* Neither a section nor an instrument: then the pattern's file; what stands in the
 * experiment counts more; where nobody tells, the message says what to write. */
START_TEST(a_pattern_that_tells_its_wavelength_needs_no_radiation)
{
    static const char rest[] = "data: {pattern: told.xye}\nphases: [{card: Si.cif}]\n";
    char text[400];
    bragg_error err = BRAGG_ERROR_INIT;
    write_data();
    write_file("told.xye", "# unit: 2th_deg\n# wavelength_ang: 0.4137\n10 5 1\n10.1 6 1\n10.2 4 1\n");
    bragg_experiment *x = experiment(rest);
    const bragg_radiation *r = &x->pattern->histogram.radiation;
    ck_assert(r->n_lines == 1 && r->wavelength_ang[0] == 0.4137 && r->ratio[0] == 1 && !r->neutron);
    assert_close(r->polarization, 0.99, 1e-15);
    bragg_experiment_free(x);
    snprintf(text, sizeof text, "radiation: {polarization: 0.9}\n%s", rest);
    x = experiment(text);
    r = &x->pattern->histogram.radiation;
    ck_assert(r->n_lines == 1 && r->wavelength_ang[0] == 0.4137 && r->polarization == 0.9);
    bragg_experiment_free(x);
    snprintf(text, sizeof text, "radiation: {wavelength: 0.5}\n%s", rest);
    x = experiment(text);
    ck_assert(x->pattern->histogram.radiation.wavelength_ang[0] == 0.5);
    bragg_experiment_free(x);
    x = experiment("data:\n  patterns:\n    - {name: a, file: told.xye}\n    - {name: b, file: x.xy, radiation: {anode: Cu}}\nphases: [{card: Si.cif}]\n");
    ck_assert(x->pattern[0].histogram.radiation.wavelength_ang[0] == 0.4137 && x->pattern[1].histogram.radiation.n_lines == 2);
    bragg_experiment_free(x);
    ck_assert_int_eq(read_text("data: {pattern: x.xy}\nphases: [{card: Si.cif}]\n", &x, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "{wavelength: 0.4066} or {anode: Cu}") != NULL, "%s", err.text);
}
END_TEST

/* A series by a wildcard asks the first; that file is not the pattern of a refinement. */
START_TEST(of_many_patterns_the_first_is_asked)
{
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    write_data();
    write_file("run-2.xye", "# unit: 2th_deg\n# wavelength: 1.7\n10 5 1\n10.1 6 1\n10.2 4 1\n");
    write_file("run-10.xye", "# unit: 2th_deg\n# wavelength: 1.8\n10 5 1\n10.1 6 1\n10.2 4 1\n");
    bragg_experiment *x = experiment("data: {patterns: run-*.xye}\nphases: [{card: Si.cif}]\n");
    ck_assert_double_eq(x->pattern->histogram.radiation.wavelength_ang[0], 1.7);
    ck_assert_ptr_null(x->pattern->asked);
    ck_assert_int_lt(bragg_experiment_load(x, &m, &err), 0);
    ck_assert_msg(strstr(err.text, "run-*.xye") != NULL, "%s", err.text);
    bragg_experiment_free(x);
}
END_TEST

/* Of the experiment, else its instrument, else the pattern's file, which a capillary is not asked of. */
START_TEST(a_pattern_that_tells_its_radius_needs_none)
{
    static const char rest[] = "radiation: {wavelength: 1.5406}\nphases: [{card: Si.cif}]\n";
    char text[400];
    bragg_experiment *x;
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    write_data();
    write_file("told.xye", "# unit: 2th_deg\n# goniometer_radius_mm: 217.5\n10 5 1\n10.1 6 1\n10.2 4 1\n");
    write_file("i.instr", "mount: bragg-brentano\nradius_mm: 190\n");
    static const struct { const char *data; double radius_m; bool asked; } said[] = {
        { "data: {pattern: told.xye, mount: bragg-brentano}\n", 0.2175, true },
        { "data: {pattern: told.xye, mount: bragg-brentano, radius_mm: 185}\n", 0.185, false },
        { "data: {pattern: told.xye}\nrefine: {instrument: i.instr}\n", 0.19, false },
        { "data: {pattern: told.xye}\n", NAN, false },
        { "data: {patterns: [{name: a, file: told.xye, mount: bragg-brentano}, {name: b, file: x.xy}]}\n", 0.2175, true },
    };
    for (size_t k = 0; k < sizeof said / sizeof *said; k++) {
        snprintf(text, sizeof text, "%s%s", said[k].data, rest);
        x = experiment(text);
        double radius = x->pattern->histogram.radius_m;
        ck_assert_msg(isnan(said[k].radius_m) ? isnan(radius) : fabs(radius / said[k].radius_m - 1) < 1e-13, "%s: %g", said[k].data, radius);
        ck_assert(x->pattern->radius_asked == said[k].asked);
        bragg_experiment_free(x);
    }
    snprintf(text, sizeof text, "data: {pattern: x.xy, mount: bragg-brentano}\n%s", rest);
    x = experiment(text);
    ck_assert_int_lt(bragg_experiment_load(x, &m, &err), 0);
    ck_assert_msg(strstr(err.text, "expected radius_mm of the goniometer, found it neither here nor in the pattern's file") != NULL, "%s", err.text);
    bragg_experiment_free(x);
}
END_TEST

/* H. G. J. Moseley, Phil. Mag. 27 (1914) 703: sqrt(1/lambda) is linear in Z - 1. */
START_TEST(tubes_follow_moseley)
{
    static const struct { const char *name; int z; } anodes[] = { { "Cr", 24 }, { "Mn", 25 }, { "Fe", 26 }, { "Co", 27 }, { "Ni", 28 }, { "Cu", 29 },
                                                                  { "Mo", 42 }, { "Ag", 47 } };
    for (size_t k = 0; k < sizeof anodes / sizeof *anodes; k++) {
        char text[300];
        snprintf(text, sizeof text, "radiation: {anode: %s, kbeta: 0.013}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n", anodes[k].name);
        bragg_experiment *x = experiment(text);
        const bragg_radiation *r = &x->pattern->histogram.radiation;
        ck_assert_uint_eq(r->n_lines, 3);
        ck_assert(r->wavelength_ang[2] < r->wavelength_ang[0] && r->wavelength_ang[0] < r->wavelength_ang[1]);
        assert_close(r->ratio[2], 0.013, 1e-15);
        assert_close(1215.0 / (r->wavelength_ang[0] * pow(anodes[k].z - 1, 2)), 1, 0.03); /* relativity: (Z alpha)^2 / 4 */
        bragg_experiment_free(x);
    }
    bragg_experiment *x = experiment("radiation: {anode: Co, lines: kalpha1}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n");
    ck_assert_uint_eq(x->pattern->histogram.radiation.n_lines, 1);
    bragg_experiment_free(x);
}
END_TEST

START_TEST(spectra_of_tubes_have_the_lines_and_the_balance_of_their_doublet)
{
    static const char *const anodes[] = { "Cr", "Mn", "Fe", "Co", "Ni", "Cu" };
    for (size_t k = 0; k < sizeof anodes / sizeof *anodes; k++) {
        char text[300];
        snprintf(text, sizeof text, "radiation: {anode: %s}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n", anodes[k]);
        bragg_experiment *plain = experiment(text);
        snprintf(text, sizeof text, "radiation: {anode: %s, lines: spectrum, kbeta: 0.007}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n", anodes[k]);
        bragg_experiment *x = experiment(text);
        const bragg_radiation *r = &x->pattern->histogram.radiation, *two = &plain->pattern->histogram.radiation;
        double sum[2] = { 0 }, place[2] = { 0 }, middle = (two->wavelength_ang[0] + two->wavelength_ang[1]) / 2;
        ck_assert(two->width_ang[0] == 0 && r->n_lines >= 5 && r->width_ang[r->n_lines - 1] == 0);
        assert_close(r->ratio[r->n_lines - 1], 0.007, 1e-14);
        for (size_t i = 0; i + 1 < r->n_lines; i++) {
            int second = r->wavelength_ang[i] > middle;
            sum[second] += r->ratio[i];
            place[second] += r->ratio[i] * r->wavelength_ang[i];
            ck_assert(r->ratio[i] <= 1 && r->width_ang[i] > 1e-4 && r->width_ang[i] < 3e-3);
        }
        ck_assert_msg(sum[1] / sum[0] > 0.4 && sum[1] / sum[0] < 0.65, "%s: %g", anodes[k], sum[1] / sum[0]);
        for (int d = 0; d < 2; d++) /* the shoulder lies at long wavelengths */
            ck_assert_msg(fabs(place[d] / sum[d] / two->wavelength_ang[d] - 1) < 2.5e-4, "%s: %.6f", anodes[k], place[d] / sum[d]);
        bragg_experiment_free(plain);
        bragg_experiment_free(x);
    }
}
END_TEST

START_TEST(radiation_knows_its_monochromator_and_a_spectrum_of_its_own)
{
    static const struct { const char *text; double p; } cases[] = {
        { "anode: Cu, monochromator: graphite", 1 / (1 + 0.8002) }, { "wavelength: 1.5, monochromator: 90", 1 }, { "wavelength: [1.5, 1.6], monochromator: 45", 1 / 1.5 },
        { "anode: Cu, lines: kalpha1", 0.5 }, { "wavelength: 0.7", 0.99 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[300];
        snprintf(text, sizeof text, "radiation: {%s}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n", cases[k].text);
        bragg_experiment *x = experiment(text);
        assert_close(x->pattern->histogram.radiation.polarization, cases[k].p, 1e-3);
        bragg_experiment_free(x);
    }
    write_file("tube.txt", "# mine\n1.5406 400 0.0005\n\n1.5444, 200\n1.3922 4 # beta\n");
    bragg_experiment *x = experiment("radiation: {spectrum: tube.txt}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n");
    const bragg_radiation *r = &x->pattern->histogram.radiation;
    ck_assert(r->n_lines == 3 && r->ratio[0] == 1 && r->width_ang[0] == 0.0005 && r->width_ang[1] == 0);
    assert_close(r->ratio[1], 0.5, 1e-15);
    assert_close(r->ratio[2], 0.01, 1e-15);
    assert_close(r->wavelength_ang[2], 1.3922, 1e-15);
    bragg_experiment_free(x);
    static const struct { const char *radiation, *says; } bad[] = {
        { "anode: Mo, lines: spectrum", "not tabulated" }, { "anode: Cu, lines: all", "or spectrum" }, { "wavelength: 1.5, monochromator: iron", "graphite" },
        { "wavelength: 1.5, monochromator: 26, polarization: 0.6", "one of them" }, { "wavelength: [1.5, 1.6], widths: [0.001]", "2" },
        { "wavelength: 1.5, widths: [-1]", "widths: expected" }, { "spectrum: nowhere.txt", "No such file" }, { "spectrum: x.yaml", "line 1: expected a wavelength" } };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char text[300];
        bragg_error err = BRAGG_ERROR_INIT;
        snprintf(text, sizeof text, "radiation: {%s}\ndata: {pattern: x.xy}\nphases: [{card: Si}]\n", bad[k].radiation);
        ck_assert_int_eq(read_text(text, &x, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, bad[k].says) != NULL, "%s: %s", bad[k].radiation, err.text);
    }
}
END_TEST

START_TEST(nonsense_is_refused_with_its_place)
{
    static const struct { const char *text, *message; } cases[] = {
        { "data: {pattern: x.xy, exclude: 7}", "exclude: expected a list of pairs" },
        { "data: {pattern: x.xy, exclude: [[7, 3]]}", "exclude: expected rising pairs" },
        { "data: {pattern: x.xy, unit: furlong}", "unit: expected 2th_deg" },
        { "data: {pattern: x.xy, bins: -3}", "bins: expected a positive number" },
        { "data: {patterns: []}", "patterns: expected files" },
        { "data: {patterns: [{name: a, file: x.xy}, 7]}", "patterns: expected maps" },
        { "data: {patterns: [{name: a, file: x.xy}, {name: a, file: x.xy}]}", "stands there twice" },
        { "data: {patterns: [{name: phase, file: x.xy}]}", "has a meaning of its own" },
        { "data: {patterns: [{name: a/b, file: x.xy}]}", "without dots, blanks, commas, quotes, slashes and wildcards" },
        { "data: {patterns: [{name: 'a\"b', file: x.xy}]}", "without dots, blanks, commas, quotes, slashes and wildcards" },
        { "data: {patterns: [{name: \"a\\nb\", file: x.xy}]}", "without dots, blanks, commas, quotes, slashes and wildcards" },
        { "data: {patterns: [{file: x.xy}]}", "expected a name and a file, found no name" },
        { "data: {patterns: [{name: a, file: x.xy, weight: 0}]}", "weight: expected a positive number" },
        { "data: {pattern: x.xy}\nrefine: {background: {type: spline}}", "expected type chebyshev, linear, cosine or log" },
        { "data: {pattern: x.xy}\nrefine: {background: {debye: [-1]}}", "distances of 0.5 to 50" },
        { "data: {pattern: x.xy}\nrefine: {background: {peaks: [[20, 0]]}}", "positive width" },
        { "data: {pattern: x.xy}\nrefine: {cycles: -5}", "cycles: expected 1 to 10000, found -5" },
        { "data: {pattern: x.xy}\nrefine: {background: {terms: 0}}", "terms: expected 1 to 40" },
        { "data: {pattern: x.xy}\noutput: {directory: [a]}", "directory: expected" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[500];
        bragg_experiment *x;
        bragg_error err = BRAGG_ERROR_INIT;
        snprintf(text, sizeof text, "radiation: {wavelength: 1.5}\nphases: [{card: Si}]\n%s\n", cases[k].text);
        ck_assert_msg(read_text(text, &x, &err) == BRAGG_EDATA, "%s", cases[k].text);
        ck_assert_msg(strstr(err.text, cases[k].message) && strstr(err.text, "x.yaml:"), "%s: %s", cases[k].text, err.text);
    }
    bragg_experiment *named;
    bragg_error told = BRAGG_ERROR_INIT;
    ck_assert_int_eq(read_text("radiation: {wavelength: 1.5}\nphases: [{name: 'Si,cubic', card: Si}]\ndata: {pattern: x.xy}\n", &named, &told), BRAGG_EDATA);
    ck_assert_msg(strstr(told.text, "phase name 'Si,cubic': expected one without"), "%s", told.text);
}
END_TEST

START_TEST(what_a_model_has_not_is_refused_with_its_place)
{
    static const struct { const char *text, *message; } tables[] = {
        { "ties: {instrument.x: 2 * instrument.nothing}", "is no parameter" },
        { "ties: {instrument.x: 2 / instrument.y}", "expected 'NAME'" },
        { "ties: {instrument.x: instrument.x}", "circle" },
        { "parameters: [displacement]", "cannot be refined here" },
        { "bounds: {instrument.x: [2, 1]}", "bounds that rise" },
        { "bounds: {instrument.q: [1, 2]}", "is no parameter" },
        { "values: {instrument.x: -1}", "expected 0 to" },
        { "restraints: [{phase: Si, distance: [Si1], value: 2, sigma: 1}]", "expected a phase and 2 atoms, found 1" },
        { "restraints: [{phase: Si, distance: [Si1, O7], value: 2, sigma: 1}]", "has no atom 'O7'" },
        { "restraints: [{phase: Si, distance: [Si1, Si1], value: 2}]", "positive sigma" },
        { "restraints: [{sum: [phase.Si.nothing], value: 2, sigma: 1}]", "is no parameter" },
        { "standard: {phase: Ge, weight_fraction: 0.2}", "phase Ge: not in the model" },
        { "standard: {phase: Si, weight_fraction: 1.2}", "between 0 and 1" },
        { "parameters: [instrument.nothing]", "no parameter has this name" },
    };
    write_data();
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
        char text[500];
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_model *m;
        snprintf(text, sizeof text, "radiation: {wavelength: 1.5}\ndata: {pattern: x.xy}\nphases: [{card: Si.cif}]\nrefine: {%s}\n", tables[k].text);
        bragg_experiment *x = experiment(text);
        ck_assert_msg(bragg_experiment_load(x, &m, &err) == BRAGG_EDATA, "%s", tables[k].text);
        ck_assert_msg(strstr(err.text, tables[k].message) && strstr(err.text, "x.yaml:4"), "%s: %s", tables[k].text, err.text);
        bragg_experiment_free(x);
    }
}
END_TEST

START_TEST(a_model_has_what_its_file_asks_for)
{
    write_data();
    bragg_experiment *x = experiment(
        "radiation: {wavelength: 1.5}\n"
        "data: {pattern: x.xy, mount: transmission}\n"
        "phases:\n"
        "  - {name: Si, card: Si.cif, march: [[1, 0, 0], [1, 1, 1]], harmonics: 6, extinction: true, stephens: true, refine: [scale, march, harmonics, stephens]}\n"
        "  - {name: L, peaks: [[3.1, 100], [1.9, 55]], wavelength: 1.54, mass: 120, refine: [scale, cell.a]}\n"
        "refine:\n"
        "  background: {type: linear, terms: 7, container: x.xy, debye: [2.1], peaks: [[33, 8]]}\n"
        "  restraints: [{phase: Si, distance: [Si1, Si1], value: 2.35, sigma: 0.01}, {sum: [phase.Si.atom.Si1.occupancy, phase.L.scale], value: 1.3, sigma: 0.1}]\n"
        "  standard: {phase: Si, weight_fraction: 0.2}\n");
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
    static const char *const names[] = { "phase.Si.march", "phase.Si.march.r2", "phase.Si.march.part2", "phase.Si.harmonics.c4_1", "phase.Si.harmonics.c6_1",
                                         "phase.Si.stephens.s400", "phase.Si.stephens.s220", "background.6", "background.container", "background.debye1.r",
                                         "background.peak1.fwhm", "phase.L.cell.a" };
    const bragg_params *t = bragg_model_params(m);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ptrdiff_t row = bragg_params_find(t, names[k]);
        ck_assert_msg(row >= 0 && t->at[row].refine, "%s", names[k]);
    }
    ck_assert_int_lt(bragg_params_find(t, "phase.Si.harmonics.c2_1"), 0); /* a cube has none */
    ck_assert_int_ge(bragg_params_find(t, "phase.Si.extinction"), 0);
    const bragg_lsq_problem *p = bragg_model_problem(m);
    ck_assert_uint_eq(p->n - p->padding, bragg_model_points(m, 0) + 2);
    bragg_model_free(m);
    bragg_experiment_free(x);
}
END_TEST

/* Flags of a model: nothing named, or auto in its place. */
START_TEST(what_is_left_to_the_strategy_is_offered_not_selected)
{
    static const struct { const char *phase, *refine; bool scale, cell; } cases[] = {
        { "", "cycles: 7", true, false }, { ", refine: auto", "parameters: [w]", true, false }, { ", refine: [scale]", "parameters: auto", true, false },
        { ", refine: [cell]", "cycles: 7", false, true },
    };
    write_data();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[600];
        bragg_model *m;
        bragg_error err = BRAGG_ERROR_INIT;
        snprintf(text, sizeof text, "radiation: {wavelength: 1.5}\ndata: {pattern: x.xy}\nphases: [{name: Si, card: Si.cif%s}]\nrefine: {%s}\n", cases[k].phase, cases[k].refine);
        bragg_experiment *x = experiment(text);
        ck_assert_msg(bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
        const bragg_params *t = bragg_model_params(m);
        ck_assert_msg(t->at[bragg_params_find(t, "phase.Si.scale")].refine == cases[k].scale, "case %zu", k);
        ck_assert_msg(t->at[bragg_params_find(t, "phase.Si.cell.a")].refine == cases[k].cell, "case %zu", k);
        bragg_model_free(m);
        bragg_pattern *p = NULL;
        ck_assert_int_eq(bragg_experiment_pattern_read(x->pattern, &p, &err), BRAGG_OK);
        bragg_status st = bragg_experiment_model(x, p, &m, &err); /* of a series */
        ck_assert_msg(st == (k < 3 ? BRAGG_EDATA : BRAGG_OK), "case %zu: %s", k, err.text);
        if (st == BRAGG_OK)
            bragg_model_free(m);
        bragg_pattern_free(p);
        bragg_experiment_free(x);
    }
}
END_TEST

/* A standard's fit may leave a width below zero: cut there, its sample's peaks were too broad. */
START_TEST(an_instrument_is_taken_beyond_the_usual_bounds)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m;
    char text[20000];
    size_t used = 0;
    write_data();
    for (int i = 0; i < 600; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%.3f %d\n", 20 + 0.1 * i, 100 + (i * 7919) % 13);
    write_file("below.xy", text);
    write_file("below.instr", "wavelength: [1.5]\nw: 0.004\nx: -0.013\ny: 0.11\n");
    bragg_experiment *x = experiment("data: {pattern: below.xy}\nphases: [{name: Si, card: Si.cif}]\nrefine: {instrument: below.instr, parameters: [x]}\n");
    ck_assert_msg(bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
    const bragg_params *t = bragg_model_params(m);
    const bragg_param *row = &t->at[bragg_params_find(t, "instrument.x")];
    ck_assert_msg(row->value == -0.013 && row->lower <= row->value, "%g from %g on", row->value, row->lower);
    bragg_model_free(m);
    bragg_experiment_free(x);
}
END_TEST

/* of a model of the pattern with widths in its header: box and pixel in degrees */
static void check_bins(const char *refine, double box, double pixel)
{
    char text[600];
    snprintf(text, sizeof text, "radiation: {wavelength: 1.5}\ndata: {pattern: b.xy}\nphases: [{name: Si, card: Si.cif}]\nrefine: {%s}\n", refine);
    bragg_experiment *x = experiment(text);
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
    const bragg_params *t = bragg_model_params(m);
    const bragg_param *rows[2] = { &t->at[bragg_params_find(t, "instrument.box")], &t->at[bragg_params_find(t, "instrument.pixel")] };
    ck_assert(!rows[0]->refine && !rows[1]->refine);
    ck_assert_msg(fabs(rows[0]->value - box) < 1e-12, "%s: box %g", refine, rows[0]->value);
    ck_assert_msg(fabs(rows[1]->value - pixel) < 1e-12, "%s: pixel %g", refine, rows[1]->value);
    bragg_model_free(m);
    bragg_experiment_free(x);
}

START_TEST(a_pattern_that_tells_its_bins_and_pixels_has_them_in_the_model_once)
{
    char text[40000];
    size_t used = (size_t)snprintf(text, sizeof text, "# bin_width_deg: 0.0137\n# pixel_width_deg: 0.0291\n");
    write_data();
    for (int i = 0; i < 900; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%.3f %d\n", 20 + 0.1 * i, 100 + (i * 7919) % 13);
    write_file("b.xy", text);
    write_file("whole.instr", "w: 0.002\n");
    write_file("zero.instr", "w: 0.002\nbox: 0\npixel: 0\n");
    write_file("apart.instr", "w: 0.002\nbox: 0.05\npixel: 0.031\n");
    write_file("zero_alone.instr", "zero: 0.01\n");
    check_bins("cycles: 5", 0.0137, 0.0291);
    check_bins("values: {instrument.box: 0, instrument.pixel: 0.02}", 0, 0.02);
    check_bins("instrument: whole.instr", 0, 0); /* its w has them inside */
    check_bins("instrument: zero.instr", 0, 0);
    check_bins("instrument: apart.instr", 0.0137, 0.0291); /* of this pattern, not of the standard's */
    check_bins("instrument: zero_alone.instr", 0.0137, 0.0291);
}
END_TEST

static char *effective(const char *path)
{
    bragg_experiment *x = NULL;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_arena *arena = bragg_arena_new();
    bragg_yaml *root = NULL;
    char *text = NULL;
    size_t n;
    ck_assert_msg(bragg_experiment_read(path, &x, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_experiment_effective(x, arena, &root, &err) == BRAGG_OK, "%s", err.text);
    FILE *to = open_memstream(&text, &n);
    bragg_yaml_write(to, root);
    fclose(to);
    bragg_experiment_free(x);
    bragg_arena_free(arena);
    return text;
}

static double start_of(const char *path, const char *name)
{
    bragg_experiment *x;
    bragg_model *m;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_experiment_read(path, &x, &err) == BRAGG_OK && bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
    double v = bragg_model_params(m)->at[bragg_params_find(bragg_model_params(m), name)].value;
    bragg_model_free(m);
    bragg_experiment_free(x);
    return v;
}

START_TEST(what_is_in_force_can_be_kept_elsewhere_and_run_again)
{
    char path[300], other[300], command[700];
    static const char single[] = "radiation: {anode: Co, lines: spectrum, monochromator: graphite}\ndata: {pattern: x.xy, mount: transmission}\nphases: [{card: Si.cif, particle_diameter_um: 3.5}]\n"
                                 "refine: {start: old, instrument: known.instr, values: {instrument.x: 0.01, instrument.u: 0.3, instrument.v: 0.2}, parameters: [x, v]}\n";
    write_data();
    write_file("known.instr", "w: 0.0123\n");
    snprintf(command, sizeof command, "mkdir -p %s/old %s/kept", folder, folder);
    ck_assert_int_eq(system(command), 0);
    write_file("old/fit.json", "{\"parameters\": {\"instrument.x\": {\"value\": 0.0715}, \"instrument.u\": {\"value\": 0.9}}}");
    for (int k = 0; k < 2; k++) {
        write_file("x.yaml", k ? single : joint);
        snprintf(path, sizeof path, "%s/x.yaml", folder);
        snprintf(other, sizeof other, "%s/kept/experiment.yaml", folder);
        char *first = effective(path);
        write_file("kept/experiment.yaml", first);
        char *second = effective(other);
        ck_assert_str_eq(first, second);
        ck_assert(strstr(first, "strategy: ") && (k || strstr(first, "polarization: 0.5")) && strstr(first, "method: rietveld") && strstr(first, "terms: "));
        ck_assert(k == 0 || (strstr(first, "/old/fit.json") && strstr(first, "strategy: all") && strstr(first, "kbeta: 0")));
        free(first);
        free(second);
    }
    assert_close(start_of(other, "instrument.x"), 0.0715, 1e-14);
    assert_close(start_of(other, "instrument.w"), 0.0123, 1e-14);
    assert_close(start_of(other, "instrument.u"), 0.3, 1e-14); /* held: as asked for now */
    assert_close(start_of(other, "instrument.v"), 0.2, 1e-14);
}
END_TEST

int main(void)
{
    make_folder("experiment");
    Suite *suite = suite_create("experiment");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, several_patterns_have_their_own_range_background_and_radiation);
    tcase_add_test(all, a_pattern_that_tells_its_wavelength_needs_no_radiation);
    tcase_add_test(all, of_many_patterns_the_first_is_asked);
    tcase_add_test(all, a_pattern_that_tells_its_radius_needs_none);
    tcase_add_test(all, tubes_follow_moseley);
    tcase_add_test(all, spectra_of_tubes_have_the_lines_and_the_balance_of_their_doublet);
    tcase_add_test(all, radiation_knows_its_monochromator_and_a_spectrum_of_its_own);
    tcase_add_test(all, nonsense_is_refused_with_its_place);
    tcase_add_test(all, what_a_model_has_not_is_refused_with_its_place);
    tcase_add_test(all, a_model_has_what_its_file_asks_for);
    tcase_add_test(all, an_instrument_is_taken_beyond_the_usual_bounds);
    tcase_add_test(all, a_pattern_that_tells_its_bins_and_pixels_has_them_in_the_model_once);
    tcase_add_test(all, what_is_left_to_the_strategy_is_offered_not_selected);
    tcase_add_test(all, what_is_in_force_can_be_kept_elsewhere_and_run_again);
    suite_add_tcase(suite, all);
    int failed = run_suite(suite);
    return drop_folder() && !failed ? 0 : 1;
}
