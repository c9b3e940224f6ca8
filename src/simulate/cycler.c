/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cycler and the furnace: what they do and what they write down. */
#include "config.h"
#include "truth.h"

#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ----------------------------------------------------------------- read */

static bragg_status read_clock(const bragg_yaml *map, truth_log *l, bragg_error *err)
{
    static const char *const keys[] = { "offset_s", "drift" };
    const bragg_yaml *node = bragg_yaml_get(map, "clock");
    bragg_status st = node ? bragg_yaml_check_keys(node, keys, 2, err) : BRAGG_OK;
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(node, "offset_s", &l->offset_s, err);
    return st == BRAGG_OK ? bragg_yaml_number_at(node, "drift", &l->drift, err) : st;
}

static bragg_status read_step(const bragg_truth *t, const bragg_yaml *map, truth_step *s, bragg_error *err)
{
    static const char *const keys[] = { "rest_s", "current_ma", "electrons", "to_v" };
    double rest = NAN, current_ma = 0, electrons = 0;
    const truth_log *l = &t->cycler;
    bragg_status st = bragg_yaml_check_keys(map, keys, 4, err);
    s->rest_v = NAN;
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "rest_s", &rest, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "current_ma", &current_ma, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "electrons", &electrons, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "to_v", &s->rest_v, err);
    if (st < 0 || rest > 0) {
        s->duration_s = rest;
        return st;
    }
    s->current_a = current_ma / 1000;
    s->electrons = electrons;
    s->duration_s = electrons * BRAGG_FARADAY_C_MOL * l->mass_kg * 1000 / l->molar_mass / fabs(s->current_a);
    if (!(s->duration_s > 0 && s->duration_s < 1e9))
        return bragg_yaml_fail(map, err, "protocol: expected rest_s, or current_ma and positive electrons");
    return BRAGG_OK;
}

static bragg_status read_protocol(bragg_truth *t, const bragg_yaml *map, bragg_error *err)
{
    const bragg_yaml *list = bragg_yaml_get(map, "protocol");
    truth_log *l = &t->cycler;
    size_t n = list ? list->n_children : 0;
    l->step = bragg_arena_alloc(t->arena, n + 1, sizeof *l->step);
    if (!l->step)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu steps", n);
    double at = 0, passed = 0;
    bragg_status st = n ? BRAGG_OK : bragg_yaml_fail(list ? list : map, err, "cycler: expected a protocol, a list of steps, found none");
    for (const bragg_yaml *c = list ? list->child : NULL; c && st == BRAGG_OK; c = c->next) {
        truth_step *s = &l->step[l->n_steps++];
        st = read_step(t, c, s, err);
        s->start_s = at;
        s->passed = passed;
        at += s->duration_s;
        passed += s->electrons;
    }
    return st;
}

static bragg_status read_cycler(bragg_truth *t, const bragg_yaml *map, bragg_error *err)
{
    static const char *const keys[] = { "molar_mass", "every_s", "resistance_ohm", "relax_s", "start_s", "mass_mg", "file", "clock", "voltage",
                                        "protocol" };
    truth_log *l = &t->cycler;
    double *const values[] = { &l->molar_mass, &l->every_s, &l->resistance_ohm, &l->relax_s, &l->start_s };
    double mass_mg = 1;
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    *l = (truth_log){ .file = "cycler.mpt", .molar_mass = NAN, .every_s = 30, .relax_s = 90, .noise = 1.5e-4 };
    for (int k = 0; k < 5 && st == BRAGG_OK; k++)
        st = bragg_yaml_number_at(map, keys[k], values[k], err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "mass_mg", &mass_mg, err);
    l->mass_kg = mass_mg * 1e-6;
    if (st == BRAGG_OK && bragg_yaml_get(map, "file"))
        st = bragg_yaml_text(bragg_yaml_get(map, "file"), &l->file, err);
    if (st == BRAGG_OK)
        st = read_clock(map, l, err);
    if (st == BRAGG_OK)
        st = bragg_truth_curve(bragg_yaml_get(map, "voltage"), t->arena, &l->voltage, err);
    if (st == BRAGG_OK && !(l->molar_mass > 0 && l->mass_kg > 0 && l->every_s > 0 && l->relax_s > 0 && l->voltage.n))
        st = bragg_yaml_fail(map, err, "cycler: expected positive molar_mass, mass_mg and every_s, and a voltage");
    return st == BRAGG_OK ? read_protocol(t, map, err) : st;
}

static bragg_status read_furnace(bragg_truth *t, const bragg_yaml *map, bragg_error *err)
{
    static const char *const keys[] = { "file", "clock", "temperature", "every_s", "start_s" };
    truth_log *l = &t->furnace;
    bragg_status st = bragg_yaml_check_keys(map, keys, 5, err);
    *l = (truth_log){ .file = "furnace.csv", .every_s = 1, .noise = 0.3 };
    if (st == BRAGG_OK && bragg_yaml_get(map, "file"))
        st = bragg_yaml_text(bragg_yaml_get(map, "file"), &l->file, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "every_s", &l->every_s, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "start_s", &l->start_s, err);
    if (st == BRAGG_OK)
        st = read_clock(map, l, err);
    if (st == BRAGG_OK)
        st = bragg_truth_curve(bragg_yaml_get(map, "temperature"), t->arena, &l->temperature, err);
    if (st == BRAGG_OK && !(l->every_s > 0 && l->temperature.n))
        st = bragg_yaml_fail(map, err, "furnace: expected a positive every_s and a temperature in K over seconds");
    return st;
}

bragg_status bragg_truth_read_log(bragg_truth *t, bragg_error *err)
{
    const bragg_yaml *cycler = bragg_yaml_get(t->root, "cycler"), *furnace = bragg_yaml_get(t->root, "furnace");
    bragg_status st = cycler ? read_cycler(t, cycler, err) : BRAGG_OK;
    return st == BRAGG_OK && furnace ? read_furnace(t, furnace, err) : st;
}

/* ---------------------------------------------------------------- state */

const truth_step *bragg_truth_step(const truth_log *l, double time_s)
{
    size_t k = 0;
    while (k + 1 < l->n_steps && time_s >= l->step[k + 1].start_s)
        k++;
    return &l->step[k];
}

static double end_of(const truth_log *l)
{
    const truth_step *s = &l->step[l->n_steps - 1];
    return s->start_s + s->duration_s;
}

double bragg_truth_passed(const truth_log *l, double time_s)
{
    const truth_step *s = bragg_truth_step(l, time_s);
    double part = (time_s - s->start_s) / s->duration_s;
    return s->passed + s->electrons * fmin(fmax(part, 0), 1);
}

/* Under current the table's voltage with the ohmic drop, at rest the one given. */
static double target_voltage(const truth_log *l, const truth_step *s, double time_s)
{
    if (s->electrons == 0 && isfinite(s->rest_v))
        return s->rest_v;
    return bragg_truth_at(&l->voltage, bragg_truth_passed(l, time_s), 0) + s->current_a * l->resistance_ohm;
}

/* A step begins where the one before has ended and relaxes to its own curve. */
double bragg_truth_voltage(const truth_log *l, double time_s)
{
    const truth_step *now = bragg_truth_step(l, fmin(time_s, end_of(l)));
    double gap = 0;
    for (const truth_step *s = l->step + 1; s <= now; s++) {
        double before = target_voltage(l, s - 1, nextafter(s->start_s, 0)) + gap * exp(-(s - 1)->duration_s / l->relax_s);
        gap = before - target_voltage(l, s, s->start_s);
    }
    return target_voltage(l, now, time_s) + gap * exp(-fmax(time_s - now->start_s, 0) / l->relax_s);
}

double bragg_truth_temperature(const bragg_truth *t, double time_s)
{
    return bragg_truth_at(&t->furnace.temperature, time_s, t->temperature_k);
}

/* ---------------------------------------------------------------- write */

static const char *date_text(double unix_s, const char *format, char *buffer, size_t size)
{
    time_t whole = (time_t)floor(unix_s);
    struct tm utc;
    if (!gmtime_r(&whole, &utc) || !strftime(buffer, size, format, &utc))
        *buffer = 0;
    return buffer;
}

/* What the log's clock shows at a time of the run. */
static double shown(const bragg_truth *t, const truth_log *l, double time_s)
{
    return t->start_unix_s + time_s + l->offset_s + l->drift * time_s;
}

/* EC-Lab's text export, as version 11.50 writes it for galvanostatic cycling
 * with potential limitation; ISO 8859-1. */
static void write_mpt_header(FILE *f, const bragg_truth *t)
{
    const truth_log *l = &t->cycler;
    char date[64], number[BRAGG_NUMBER_TEXT];
    enum { LINES = 22 };
    double start = shown(t, l, l->start_s);
    fprintf(f, "EC-Lab ASCII FILE\r\nNb header lines : %-30d\r\n\r\nGalvanostatic Cycling with Potential Limitation\r\n\r\n", LINES);
    fprintf(f, "Run on channel : 3 (SN 10214)\r\nUser : \r\nElectrode connection : standard\r\nPotential control : Ewe\r\n");
    fprintf(f, "Ewe ctrl range : min = 0.00 V, max = 5.00 V\r\nSafety Limits :\r\n\tDo not start on E overload\r\nChannel : Grounded\r\n");
    fprintf(f, "Acquisition started on : %s.%03d\r\n", date_text(start, "%m/%d/%Y %H:%M:%S", date, sizeof date), (int)(1000 * (start - floor(start))));
    fprintf(f, "Saved on :\r\n\tFile : %s\r\n\tDirectory : \r\n", l->file);
    fprintf(f, "Mass of active material : %s mg\r\n at x = 0.000\r\nMolecular weight of active material (at x = 0) : ",
            bragg_number_print_digits(number, l->mass_kg * 1e6, 6));
    fprintf(f, "%s g/mol\r\n\r\n", bragg_number_print_digits(number, l->molar_mass, 6));
    fprintf(f, "mode\tox/red\terror\tcontrol changes\tNs changes\tcounter inc.\tNs\ttime/s\tdq/mA.h\t(Q-Qo)/mA.h\tcontrol/mA\tEwe/V\t<I>/mA\t"
               "Q charge/discharge/mA.h\thalf cycle\tcycle number\t\r\n");
}

typedef struct tally {
    double q_mah, half_mah;
    size_t half, step;
    bool started;
} tally;

static void write_row(FILE *f, const bragg_truth *t, const truth_step *s, double time_s, double dt_s, bool changed, tally *sum, gsl_rng *rng)
{
    const truth_log *l = &t->cycler;
    double current = 1000 * s->current_a, dq = current * dt_s / 3600, v = bragg_truth_voltage(l, time_s) + gsl_ran_gaussian(rng, l->noise);
    double seconds = (time_s - l->start_s) * (1 + l->drift);
    sum->q_mah += dq;
    sum->half_mah += dq;
    fprintf(f, "%d\t%d\t0\t%d\t%d\t0\t%zu\t%.15E\t%.15E\t%.15E\t%.7E\t%.7E\t%.7E\t%.15E\t%zu\t%.15E\r\n", s->electrons > 0 ? 1 : 3, current > 0, changed,
            changed, sum->step, seconds, dq, sum->q_mah, current, v, current + (current != 0 ? gsl_ran_gaussian(rng, 2e-4 * fabs(current)) : 0),
            sum->half_mah, sum->half, (double)(sum->half / 2));
}

bragg_status bragg_truth_write_cycler(const bragg_truth *t, const char *dir, bool force, bragg_error *err)
{
    const truth_log *l = &t->cycler;
    bragg_output *out;
    tally sum = { 0 };
    if (!l->n_steps)
        return BRAGG_OK;
    gsl_rng *rng = bragg_truth_random();
    bragg_status st = rng ? bragg_output_open(bragg_path_join(t->arena, dir, l->file), force, &out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for random numbers");
    if (st == BRAGG_OK) {
        FILE *f = bragg_output_stream(out);
        gsl_rng_set(rng, bragg_truth_seed(t->seed, 0, 5));
        write_mpt_header(f, t);
        double before = l->start_s;
        for (size_t k = 0; k < l->n_steps; k++) {
            const truth_step *s = &l->step[k];
            sum.step = k;
            if (s->electrons > 0 && sum.started && (s->current_a > 0) != (sum.half % 2 == 1 || l->step[0].current_a > 0)) {
                sum.half++;
                sum.half_mah = 0;
            }
            sum.started = sum.started || s->electrons > 0;
            size_t rows = (size_t)ceil(s->duration_s / l->every_s);
            for (size_t i = 0; i < rows; i++) {
                double at = s->start_s + (i == 0 ? 1e-3 : l->every_s * (double)i);
                if (at >= l->start_s)
                    write_row(f, t, s, at, at - before, i == 0, &sum, rng);
                before = fmax(at, l->start_s);
            }
        }
        st = bragg_output_commit(out, err);
    }
    free(rng);
    return st < 0 ? bragg_context(err, st, "%s", l->file) : st;
}

/* A controller set to German: semicolons, decimal commas, degrees Celsius. */
bragg_status bragg_truth_write_furnace(const bragg_truth *t, const char *dir, bool force, bragg_error *err)
{
    const truth_log *l = &t->furnace;
    bragg_output *out;
    if (!l->temperature.n)
        return BRAGG_OK;
    double last = t->shot[t->n_shots - 1].start_s + t->shot[t->n_shots - 1].exposure_s + 10 * l->every_s;
    gsl_rng *rng = bragg_truth_random();
    bragg_status st = rng ? bragg_output_open(bragg_path_join(t->arena, dir, l->file), force, &out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for random numbers");
    if (st == BRAGG_OK) {
        FILE *f = bragg_output_stream(out);
        gsl_rng_set(rng, bragg_truth_seed(t->seed, 0, 6));
        fprintf(f, "Date;Temperature (°C);Setpoint (°C)\n");
        for (double at = l->start_s; at <= last; at += l->every_s) {
            char date[64], line[160];
            double unix_s = shown(t, l, at), kelvin = bragg_truth_temperature(t, at);
            snprintf(line, sizeof line, "%s.%03d;%.2f;%.1f\n", date_text(unix_s, "%Y-%m-%d %H:%M:%S", date, sizeof date),
                     (int)(1000 * (unix_s - floor(unix_s))), kelvin - 273.15 + gsl_ran_gaussian(rng, l->noise), kelvin - 273.15);
            for (char *p = strchr(line, ';'); *p; p++)
                if (*p == '.')
                    *p = ',';
            fputs(line, f);
        }
        st = bragg_output_commit(out, err);
    }
    free(rng);
    return st < 0 ? bragg_context(err, st, "%s", l->file) : st;
}
