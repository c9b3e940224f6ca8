/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logs: readers against the samples, steps, clocks, bad files. */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/log.h>
#include <bragg/units.h>
#include <bragg/number.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *shared(const char *file)
{
    static char path[4096];
    const char *root = getenv("BRAGG_SHARED");
    snprintf(path, sizeof path, "%s/data/%s", root ? root : "../shared", file);
    if (access(path, R_OK)) {
        fprintf(stderr, "skipped: no '%s'\n", path);
        return NULL;
    }
    return path;
}

static bragg_log_table *parse(const char *text, const bragg_log_options *options)
{
    bragg_log_table *t;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_log_parse(text, strlen(text), "t", options, &t, &err) == BRAGG_OK, "%s", err.text);
    return t;
}

static size_t notes_of(const bragg_log_table *t, int kind)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_notes; i++)
        n += (int)t->notes[i].kind == kind;
    return n;
}

/* ---- samples ---- */

START_TEST(sample_logs_have_the_golden_values)
{
    char path[4096], line[1024], file[256], column[128], value_text[64], last[256] = "";
    const char *top = getenv("BRAGG_DATADIR");
    snprintf(path, sizeof path, "%s/tests/golden/logs.tsv", top ? top : ".");
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "no '%s'", path);
    bragg_log_table *t = NULL;
    size_t compared = 0, row;
    double tolerance, value;
    while (fgets(line, sizeof line, f)) {
        if (*line == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%255[^\t]\t%127[^\t]\t%zu\t%63[^\t]\t%lf", file, column, &row, value_text, &tolerance), 5);
        if (strcmp(file, last)) {
            char name[300];
            snprintf(name, sizeof name, "cyclers/%s", file);
            const char *sample = shared(name);
            bragg_error err = BRAGG_ERROR_INIT;
            bragg_log_free(t);
            t = NULL;
            strcpy(last, file);
            ck_assert_msg(!sample || bragg_log_read(sample, NULL, &t, &err) == BRAGG_OK, "%s", err.text);
        }
        if (!t)
            continue;
        const bragg_log_column *c = bragg_log_find(t, column);
        ck_assert_msg(c && row < t->n, "%s: column %s, row %zu", file, column, row);
        ck_assert(bragg_number_parse(value_text, &value));
        double found = (c->values[row] - c->offset) / c->factor;
        ck_assert_msg(fabs(found - value) <= (tolerance + 2e-15) * fmax(fabs(value), c->offset),
                      "%s, column %s, row %zu: %.17g, expected %s", file, column, row, found, value_text);
        compared++;
    }
    bragg_log_free(t);
    fclose(f);
    fprintf(stderr, "%zu golden values compared\n", compared);
}
END_TEST

/* Half a unit of the last digit of EC-Lab's "1.4643160E-001": seven decimals in
 * columns of floats, fifteen in those of doubles. */
static void compare_runs(const char *mpr_name, const char *mpt_name)
{
    bragg_log_table *mpr, *mpt;
    bragg_error err = BRAGG_ERROR_INIT;
    char first[4096];
    const char *path = shared(mpr_name);
    if (!path)
        return;
    strcpy(first, path);
    ck_assert_msg(bragg_log_read(first, NULL, &mpr, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_log_read(shared(mpt_name), NULL, &mpt, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(mpr->n, mpt->n);
    ck_assert_msg(fabs(mpr->start_unix_s - mpt->start_unix_s) < 1e-3, "%.6f %.6f", mpr->start_unix_s, mpt->start_unix_s);
    ck_assert(mpr->mass_kg == mpt->mass_kg || (isnan(mpr->mass_kg) && isnan(mpt->mass_kg))
              || fabs(mpr->mass_kg / mpt->mass_kg - 1) < 1e-6);
    for (size_t k = 0; k < mpr->n_columns; k++) {
        const bragg_log_column *a = &mpr->columns[k], *b = NULL;
        for (size_t j = 0; j < mpt->n_columns && !b; j++)
            if (!strcmp(mpt->columns[j].name, a->name) && !strcmp(mpt->columns[j].unit, a->unit))
                b = &mpt->columns[j];
        ck_assert_msg(b != NULL, "%s: column '%s' [%s] is not in the text", mpr_name, a->name, a->unit);
        ck_assert_int_eq(a->channel, b->channel);
        bool is_double = !strcmp(a->name, "time") || !strncmp(a->name, "Q charge", 8) || !strncmp(a->name, "Energy", 6)
                         || !strncmp(a->name, "Capacitance", 11) || !strcmp(a->name, "dq") || !strcmp(a->unit, "mA.h");
        for (size_t r = 0; r < mpr->n; r++) {
            double text = b->values[r] / b->factor, size = text != 0 ? pow(10, floor(log10(fabs(text)))) : 0;
            ck_assert_msg(fabs(a->values[r] / a->factor - text) <= (is_double ? 1.5e-15 : 0.501e-7) * size,
                          "%s: column '%s' row %zu: %.17g, text %.17g", mpr_name, a->name, r, a->values[r] / a->factor, text);
        }
    }
    bragg_log_free(mpr);
    bragg_log_free(mpt);
}

START_TEST(every_column_of_mpr_equals_the_text_of_the_same_run)
{
    compare_runs("cyclers/ca.mpr", "cyclers/ca.mpt");
    compare_runs("cyclers/cp.issue_149.mpr", "cyclers/cp.issue_149.mpt");
    compare_runs("cyclers/gcpl.issue_149.mpr", "cyclers/gcpl.issue_149.mpt");
    compare_runs("cyclers/ocv.mpr", "cyclers/ocv.mpt");
}
END_TEST

START_TEST(integrated_charge_agrees_with_the_cycler)
{
    const char *path = shared("cyclers/gcpl.issue_149.mpr");
    bragg_log_table *t;
    bragg_log_step *steps;
    size_t n;
    if (!path)
        return;
    ck_assert_int_eq(bragg_log_read(path, NULL, &t, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_log_steps(t, NULL, &steps, &n, NULL), BRAGG_OK);
    ck_assert_uint_eq(n, 12);
    double *charge = malloc(t->n * sizeof *charge);
    bragg_log_capacity(t, steps, n, charge);
    const bragg_log_column *q = bragg_log_find(t, "Q charge/discharge");
    static const int kinds[] = { BRAGG_STEP_REST, BRAGG_STEP_CHARGE, BRAGG_STEP_DISCHARGE };
    for (size_t k = 0; k < n; k++) {
        ck_assert_int_eq(steps[k].kind, kinds[k % 3]);
        if (steps[k].kind != BRAGG_STEP_REST) {
            assert_close(steps[k].charge_c, q->values[steps[k].last], 1e-5);
            assert_close(charge[steps[k].last], q->values[steps[k].last], 1e-5);
        }
    }
    ck_assert_uint_eq(steps[11].half_cycle, 7);
    ck_assert_uint_eq(steps[11].cycle, 3);
    free(charge);
    free(steps);
    bragg_log_free(t);
}
END_TEST

START_TEST(two_cycles_of_arbin_have_its_own_capacity)
{
    const char *path = shared("cyclers/arbin_example.xlsx");
    bragg_log_table *t;
    bragg_log_step *steps;
    size_t n;
    if (!path)
        return;
    ck_assert_int_eq(bragg_log_read(path, NULL, &t, NULL), BRAGG_OK);
    ck_assert_uint_eq(t->n_notes, 0);
    ck_assert_int_eq(bragg_log_steps(t, NULL, &steps, &n, NULL), BRAGG_OK);
    ck_assert_uint_eq(n, 5);
    const bragg_log_column *out = bragg_log_find(t, "Discharge_Capacity"), *in = bragg_log_find(t, "Charge_Capacity");
    assert_close(-(steps[1].charge_c + steps[3].charge_c), out->values[t->n - 1], 1e-4);
    assert_close(steps[2].charge_c + steps[4].charge_c, in->values[t->n - 1], 1e-3);
    free(steps);
    bragg_log_free(t);
}
END_TEST

START_TEST(a_header_that_lies_about_its_unit_is_seen_by_the_integral)
{
    bragg_log_table *t = parse("time/s,Ewe/V,I/mA,Charge_Capacity(Ah)\n0,3,2,0\n100,3.1,2,0.2\n200,3.2,2,0.4\n300,3.3,2,0.6\n", NULL);
    ck_assert_uint_eq(t->n_notes, 1);
    ck_assert_msg(strstr(t->notes[0].text, "charge_in of the file is 3600 times the integral"), "%s", t->notes[0].text);
    bragg_log_free(t);
}
END_TEST

START_TEST(frame_metadata_is_a_furnace_log)
{
    const char *path = shared("insitu/Na2CO3-Mn2O3-YCl3_ramp/Metadata");
    bragg_log_table *t;
    if (!path)
        return;
    ck_assert_int_eq(bragg_log_read(path, NULL, &t, NULL), BRAGG_OK);
    ck_assert_uint_eq(t->n, 65);
    const double *kelvin = t->channel[BRAGG_CHANNEL_TEMPERATURE], *time = t->channel[BRAGG_CHANNEL_TIME];
    assert_close(kelvin[1], 34.4 + 273.15, 1e-14);
    assert_close(t->start_unix_s + time[1], 1540494557.493, 1e-12);
    ck_assert(!t->start_is_local);
    bragg_log_free(t);
}
END_TEST

/* ---- text ---- */

START_TEST(headers_units_and_decimal_commas_are_understood)
{
    static const char text[] = "Furnace 3\r\nOperator;X\r\nZeit/min;T / °C;U [mV];I(µA)\r\n0,0;25,5;3210,7;-12,5\r\n"
                               "1,5;27,25;3209;-12,25\r\n3,0;1.030,5;3208,5;0\r\n";
    static const bragg_log_map map[] = { { BRAGG_CHANNEL_TIME, "Zeit", NULL } };
    bragg_log_options o = BRAGG_LOG_OPTIONS_INIT;
    o.map = map;
    o.n_map = 1;
    bragg_log_table *t = parse(text, &o);
    ck_assert_uint_eq(t->n, 3);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][1], 90, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_TEMPERATURE][1], 27.25 + 273.15, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_TEMPERATURE][2], 1030.5 + 273.15, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_VOLTAGE][0], 3.2107, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_CURRENT][1], -12.25e-6, 1e-14);
    bragg_log_free(t);
}
END_TEST

START_TEST(an_mpt_with_dates_for_times_and_commas_is_read)
{
    bragg_log_options o = BRAGG_LOG_OPTIONS_INIT;
    o.utc_offset_s = 3600;
    bragg_log_table *t = parse("EC-Lab ASCII FILE\r\nNb header lines : 5\r\n\r\nMass of active material : 2,385 mg\r\n"
                               "mode\ttime/s\tEwe/V\tI/mA\t\r\n"
                               "1\t01/10/2024 11:02:29.8860\t3,4244580E+000\t2,0E-002\t\r\n"
                               "1\t01/10/2024 11:02:30.8865\t3,5E+000\t-2,0E-002\t\r\n", &o);
    ck_assert_uint_eq(t->n, 2);
    assert_close(t->mass_kg, 2.385e-6, 1e-14);
    ck_assert_msg(fabs(t->start_unix_s - 1704880949.886) < 1e-5 && !t->start_is_local, "%.6f", t->start_unix_s);
    ck_assert(fabs(t->channel[BRAGG_CHANNEL_TIME][1] - 1.0005) < 1e-5);
    assert_close(t->channel[BRAGG_CHANNEL_VOLTAGE][0], 3.424458, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_CURRENT][1], -2e-5, 1e-14);
    bragg_log_free(t);
}
END_TEST

START_TEST(tables_without_a_plain_header_are_understood)
{
    bragg_log_table *t = parse("# furnace log\n# time temperature setpoint\n0.0 25.1 25\n60.0 25.5 26\n120 26.0 27\n", NULL);
    ck_assert_uint_eq(t->n, 3);
    assert_close(t->channel[BRAGG_CHANNEL_TEMPERATURE][1], 25.5 + 273.15, 1e-15);
    bragg_log_free(t);
    t = parse("Time,Temperature,Cap\nmin,degC,mAh\n5/1/2024 10:00:00 AM,25.1,1\n5/1/2024 1:00:10 PM,25.5,2\n5/13/2024 10:00:20 AM,26.5,\n", NULL);
    ck_assert_uint_eq(t->n, 3);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][1], 10810, 1e-12);
    assert_close(t->channel[BRAGG_CHANNEL_CHARGE][1], 7.2, 1e-15);
    ck_assert_uint_eq(t->n_notes, 0);
    bragg_log_free(t);
}
END_TEST

START_TEST(columns_of_texts_keep_them_and_give_the_current_its_sign)
{
    bragg_log_table *t = parse("Total Time\tVoltage(V)\tCurrent(mA)\tStep Type\n0:00:00\t3.05\t0.0\tRest\n0:00:30\t3.1\t1.5\tCC Chg\n"
                               "26:01:00\t3.15\t1.25\tCC DChg\n26:02:00\t3.12\t1.25\tCC DChg\n", NULL);
    const bragg_log_column *type = bragg_log_find(t, "Step Type");
    ck_assert(type && type->n_labels == 3 && type->values[3] == 2);
    ck_assert_str_eq(type->labels[1], "CC Chg");
    const double *current = t->channel[BRAGG_CHANNEL_CURRENT];
    assert_close(current[1], 1.5e-3, 1e-15);
    assert_close(current[2], -1.25e-3, 1e-15);
    assert_close(bragg_log_find(t, "Current")->values[2], 1.25e-3, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][2], 93660, 1e-15);
    bragg_log_free(t);
}
END_TEST

START_TEST(chinese_exports_are_read)
{
    static const char text[] = "\xBC" "\xC7" "\xC2" "\xBC" "\xD0" "\xF2" "\xBA" "\xC5" ",\xB2" "\xE2" "\xCA" "\xD4" "\xCA" "\xB1" "\xBC" "\xE4" "(s),\xB5" "\xE7" "\xD1" "\xB9" "(V),\xB5" "\xE7" "\xC1" "\xF7" "(mA),\xB9" "\xA4" "\xB2" "\xBD" "\n"
        "1,0,3.125,0.5,\xBA" "\xE3" "\xC1" "\xF7" "\xB3" "\xE4" "\xB5" "\xE7" "\n"
        "2,10,3.25,0.5,\xBA" "\xE3" "\xC1" "\xF7" "\xB3" "\xE4" "\xB5" "\xE7" "\n"
        "3,20,3.0,0.25,\xBA" "\xE3" "\xC1" "\xF7" "\xB7" "\xC5" "\xB5" "\xE7" "\n";
    bragg_log_table *t = parse(text, NULL);
    ck_assert_uint_eq(t->n, 3);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][2], 20, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_VOLTAGE][1], 3.25, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_CURRENT][2], -0.25e-3, 1e-15);
    ck_assert_str_eq(t->columns[2].name, "电压");
    bragg_log_free(t);
}
END_TEST

START_TEST(latin1_and_utf16_read_as_utf8_does)
{
    static const char latin1[] = "time/s\tTemperature/\xB0" "C\n1\t20.5\n2\t21.5\n3\t22.25\n";
    char wide[2 * sizeof latin1] = "\xFF\xFE";
    for (size_t i = 0; i + 1 < sizeof latin1; i++)
        wide[2 + 2 * i] = latin1[i];
    bragg_log_table *a = parse(latin1, NULL), *b;
    ck_assert_int_eq(bragg_log_parse(wide, 2 * sizeof latin1, "t", NULL, &b, NULL), BRAGG_OK);
    ck_assert_str_eq(a->columns[1].unit, "°C");
    ck_assert_str_eq(b->columns[1].unit, "°C");
    assert_close(b->channel[BRAGG_CHANNEL_TEMPERATURE][2], 22.25 + 273.15, 1e-15);
    bragg_log_free(a);
    bragg_log_free(b);
}
END_TEST

START_TEST(dates_of_all_kinds_become_utc)
{
    static const struct { const char *text; bragg_date_order order; double offset, unix_s; } good[] = {
        { "2024-05-01T10:00:00.5+02:00", BRAGG_DATE_AUTO, NAN, 1714550400.5 },
        { "2024-05-01T08:00:00Z", BRAGG_DATE_AUTO, 7200, 1714550400 },
        { "2024/05/01 10:00:00", BRAGG_DATE_AUTO, 7200, 1714550400 },
        { "5/1/2024 8:00:00 AM", BRAGG_DATE_MDY, NAN, 1714550400 },
        { "1/5/2024 08:00", BRAGG_DATE_DMY, NAN, 1714550400 },
        { "5/1/2024 12:00:00 AM", BRAGG_DATE_AUTO, NAN, 1714521600 },
        { "5/1/2024 12:30:00 PM", BRAGG_DATE_AUTO, NAN, 1714566600 },
        { "01.05.2024 08:00:00,25", BRAGG_DATE_AUTO, NAN, 1714550400.25 },
        { "1714550400", BRAGG_DATE_AUTO, 7200, 1714550400 },
        { "45413.333333333336", BRAGG_DATE_AUTO, NAN, 1714550400 },
        { "1714550400250", BRAGG_DATE_AUTO, NAN, 1714550400.25 },
        { "29 Feb 2024", BRAGG_DATE_AUTO, NAN, 1709164800 },
        { "01/10/2024 11:02:29.886", BRAGG_DATE_MDY, NAN, 1704884549.886 },
    };
    static const char *const bad[] = { "", "soon", "2023-02-29", "13/13/2024", "2024-05-01T25:00:00", "12:30", "5/1/2024 13:00 PM",
                                       "2024-05-01T10:00:00+99", "-3", "2024-05-01x" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double v = NAN;
        ck_assert_msg(bragg_time_parse(good[i].text, good[i].order, good[i].offset, &v), "%s", good[i].text);
        ck_assert_msg(fabs(v - good[i].unix_s) < 1e-3, "%s: %.3f", good[i].text, v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v;
        ck_assert_msg(!bragg_time_parse(bad[i], BRAGG_DATE_AUTO, NAN, &v), "'%s'", bad[i]);
    }
}
END_TEST

START_TEST(furnace_logs_with_dates_know_when_they_began)
{
    bragg_log_options o = BRAGG_LOG_OPTIONS_INIT;
    o.utc_offset_s = 7200;
    bragg_log_table *t = parse("Date,Time,Temp (C)\n30/04/2024,23:59:50,25.25\n30/04/2024,23:59:55,26\n01/05/2024,00:00:00,27.5\n", &o);
    assert_close(t->start_unix_s, 1714514390, 1e-15);
    ck_assert(!t->start_is_local);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][2], 10, 1e-12);
    bragg_log_free(t);
    t = parse("timestamp,temperature\n1714550400,300.5\n1714550460,301\n1714550520,302\n", NULL);
    ck_assert(!t->start_is_local);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][2], 120, 1e-12);
    bragg_log_free(t);
}
END_TEST

START_TEST(a_half_written_last_line_is_left_out_and_said)
{
    bragg_log_table *t = parse("time/s\tEwe/V\n1.0\t3.125\n2.0\t3.250\n3.0\t3.3", NULL);
    ck_assert_uint_eq(t->n, 2);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_INCOMPLETE), 1);
    ck_assert_str_eq(t->notes[0].text, "line 4 is half-written: left out");
    bragg_log_free(t);
    t = parse("time/s\tEwe/V\n1.0\t3.125\n2.0\t3.250\n3.0\t3.375", NULL);
    ck_assert_uint_eq(t->n, 3);
    bragg_log_free(t);
}
END_TEST

START_TEST(clocks_that_jump_are_mended_and_said)
{
    bragg_log_table *t = parse("time/s,Ewe/V\n0,3.1\n10,3.2\n20,3.3\n0,3.4\n10,3.5\n", NULL);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][3], 30, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][4], 40, 1e-15);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_BACKWARD), 1);
    bragg_log_free(t);
    t = parse("Date_Time,T1 (degC)\n2024-10-27 02:59:40,20\n2024-10-27 02:59:50,21\n2024-10-27 02:00:00,22\n2024-10-27 02:00:10,23\n", NULL);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][2], 20, 1e-12);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_DAYLIGHT), 1);
    ck_assert(t->start_is_local);
    bragg_log_free(t);
    t = parse("DateTime,Test_Time(s),V\n2024-03-31 01:59:40,0,1\n2024-03-31 01:59:50,10,1\n2024-03-31 03:00:00,20,1\n2024-03-31 03:00:10,30,1\n", NULL);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][3], 30, 1e-15);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_DAYLIGHT), 1);
    ck_assert_str_eq(t->notes[0].text, "the wall clock jumped by 3600 s against the test time (daylight saving?)");
    bragg_log_free(t);
}
END_TEST

static const char *failure(const char *bytes, size_t length, const bragg_log_options *o)
{
    static bragg_error err;
    bragg_log_table *t;
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_lt(bragg_log_parse(bytes, length, "x", o, &t, &err), 0);
    ck_assert(t == NULL);
    return err.text;
}

/* Nothing but a blank between name and unit. */
START_TEST(units_behind_a_blank_are_units)
{
    bragg_log_table *t = parse("Time s,Voltage mV,Current mA,Capacity mAh,Temp C\n1,3712,2.385,1.5,21\n3,3713,2.391,1.7,22\n", NULL);
    ck_assert(t->channel[BRAGG_CHANNEL_TIME] && t->channel[BRAGG_CHANNEL_CURRENT]);
    assert_close(t->channel[BRAGG_CHANNEL_CURRENT][1], 2.391e-3, 1e-14);
    bragg_log_free(t);
    t = parse("time,Voltage V,I mA,Capacity mAh\n1,3.712,2.385,1.5\n3,3.713,2.391,1.7\n", NULL);
    assert_close(t->channel[BRAGG_CHANNEL_CURRENT][0], 2.385e-3, 1e-14);
    assert_close(t->channel[BRAGG_CHANNEL_VOLTAGE][0], 3.712, 1e-14);
    assert_close(t->channel[BRAGG_CHANNEL_CHARGE][0], 5.4, 1e-14);
    bragg_log_free(t);
}
END_TEST

START_TEST(bad_logs_end_in_one_clear_line)
{
    static const struct { const char *text; size_t length; const char *message; } bad[] = {
        { "", 0, "'x': the file is empty" },
        { "hello\nworld\n", 12, "'x': expected a table of numbers, found none in 2 lines" },
        { "a,b\n1,2\n2,3\n", 12, "'x': no column is a time, found 'a', 'b'; tell which: log: {columns: {time: {column: NAME, unit: s}}}" },
        { "time/s,b\n1,2\n2,\0003\n", 18, "'x': expected text, found a NUL at byte 15" },
        { "EC-Lab ASCII FILE\nNb header lines : 9\n", 38,
          "'x': expected names of columns such as time/s in line 9 of the header, found none in 2 lines" },
        { "BIO-LOGIC MODULAR FILE\x1a", 23, "'x': expected a module 'VMP data', found none before byte 52 of 23" },
        { "NEWARE20200325\x82", 15, "'x': expected a header of Neware, found 15 bytes" },
        { "PK\3\4abc", 7, "'x': the zip archive has no directory: it is cut off or still being written" },
        { "ARROW1", 6, "'x': an Arrow/Feather table; export it as .csv" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_str_eq(failure(bad[i].text, bad[i].length, NULL), bad[i].message);
    char text[80], says[80]; /* a name that is cut in a letter of two bytes */
    snprintf(text, sizeof text, "%059d\xc3\xa4,b\n1,2\n2,3\n", 0);
    text[0] = 'x';
    snprintf(says, sizeof says, "found 'x%058d', 'b'", 0);
    ck_assert_ptr_nonnull(strstr(failure(text, strlen(text), NULL), says));
    static const bragg_log_map map[] = { { BRAGG_CHANNEL_VOLTAGE, "Ecell", NULL } };
    bragg_log_options o = BRAGG_LOG_OPTIONS_INIT;
    o.map = map;
    o.n_map = 1;
    ck_assert_str_eq(failure("time/s,U/V\n1,2\n2,3\n", 19, &o),
                     "'x': column 'Ecell' of the map for voltage: not in the file, which has 'time', 'U', …");
    o = (bragg_log_options)BRAGG_LOG_OPTIONS_INIT;
    o.format = "mpx";
    ck_assert_str_eq(failure("1", 1, &o), "'x': log format 'mpx': expected mpt, mpr, nda, ndax, xlsx or csv");
}
END_TEST

/* A file of the samples whole, for cutting and changing. */
static unsigned char *sample_bytes(const char *name, size_t *n)
{
    const char *path = shared(name);
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f)
        return NULL;
    unsigned char *bytes = malloc(1 << 20);
    *n = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

START_TEST(a_cut_mpr_keeps_its_whole_records_and_says_so)
{
    size_t n;
    unsigned char *bytes = sample_bytes("cyclers/ocv.mpr", &n);
    bragg_log_table *t;
    if (!bytes)
        return;
    ck_assert_int_eq(bragg_log_parse(bytes, 6760 + 57 + 405 + 1 + 13 * 100 + 5, "x", NULL, &t, NULL), BRAGG_OK);
    ck_assert_uint_eq(t->n, 100);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_INCOMPLETE), 1);
    bragg_log_free(t);
    bytes[6760 + 45] = 77;
    ck_assert_str_eq(failure((const char *)bytes, n, NULL),
                     "'x': data module: version 77 is unknown (known: 0, 2, 3, 10, 11); export the run as .mpt");
    bytes[6760 + 45] = 3;
    /* an unknown column: those before it are read, the size of a record comes from the module's */
    bytes[6760 + 57 + 5 + 6] = 0xF0;
    ck_assert_int_eq(bragg_log_parse(bytes, n, "x", NULL, &t, NULL), BRAGG_OK);
    ck_assert_uint_eq(t->n, 602);
    ck_assert(t->channel[BRAGG_CHANNEL_VOLTAGE] == NULL);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][601], 36000, 1e-6);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_COLUMN), 1);
    bragg_log_free(t);
    free(bytes);
}
END_TEST

START_TEST(an_mpt_whose_header_lies_is_read_and_said)
{
    size_t n;
    unsigned char *bytes = sample_bytes("cyclers/ocv.mpt", &n);
    bragg_log_table *t;
    if (!bytes)
        return;
    char *count = strstr((char *)bytes, "53  ");
    memcpy(count, "12", 2);
    ck_assert_int_eq(bragg_log_parse(bytes, n, "x", NULL, &t, NULL), BRAGG_OK);
    ck_assert_uint_eq(t->n, 602);
    ck_assert_uint_eq(notes_of(t, BRAGG_NOTE_COUNT), 1);
    bragg_log_free(t);
    free(bytes);
}
END_TEST

START_TEST(unknown_neware_versions_are_named)
{
    size_t n;
    unsigned char *bytes = sample_bytes("cyclers/new_nda_file.nda", &n);
    bragg_log_table *t;
    if (!bytes)
        return;
    ck_assert_int_eq(bragg_log_parse(bytes, n - 300, "x", NULL, &t, NULL), BRAGG_OK);
    ck_assert_uint_lt(t->n, 439);
    bragg_log_free(t);
    bytes[14] = 130;
    ck_assert_str_eq(failure((const char *)bytes, n, NULL),
                     "'x': Neware nda version 130 is unknown (known: 29); export the test as .csv or .xlsx");
    free(bytes);
}
END_TEST

/* ---- steps ---- */

/* CC charge at 2.385 mA for 1000 s, hold while the current decays, rest, and
 * discharge; noise on the current, one flicker in the rest. */
static bragg_log_table *synthetic(void)
{
    static char text[200000];
    size_t at = (size_t)sprintf(text, "time/s,Ewe/V,I/mA\n");
    unsigned seed = 7;
    for (int k = 0; k <= 500; k++) {
        double t = 10 * k, v, i;
        seed = seed * 1103515245u + 12345u;
        double noise = ((seed >> 16 & 0x7FFF) / 16384.0 - 1) * 1e-3;
        if (t <= 1000)
            v = 3.2 + t * 1e-3, i = 2.385;
        else if (t <= 2000)
            v = 4.2, i = 2.385 * exp(-(t - 1000) / 400);
        else if (t <= 3000)
            v = 4.15, i = t == 2500 ? 1.7 : 0;
        else
            v = 4.1 - (t - 3000) * 0.4e-3, i = -1.193;
        at += (size_t)sprintf(text + at, "%g,%.6f,%.6f\n", t, v + noise * 0.1, i + noise);
    }
    bragg_log_options o = BRAGG_LOG_OPTIONS_INIT;
    o.mass_kg = 1.7e-6;
    return parse(text, &o);
}

START_TEST(steps_hold_against_noise_and_flicker)
{
    bragg_log_table *t = synthetic();
    bragg_log_step *s;
    size_t n;
    ck_assert_int_eq(bragg_log_steps(t, NULL, &s, &n, NULL), BRAGG_OK);
    ck_assert_uint_eq(n, 4);
    ck_assert(s[0].kind == BRAGG_STEP_CHARGE && !s[0].constant_voltage);
    ck_assert(s[1].kind == BRAGG_STEP_CHARGE && s[1].constant_voltage);
    ck_assert(s[2].kind == BRAGG_STEP_REST && s[3].kind == BRAGG_STEP_DISCHARGE);
    assert_close(s[0].charge_c, 2.385, 2e-2);
    assert_close(s[0].charge_c + s[1].charge_c, 2.385 + 2.385 * 0.4 * (1 - exp(-2.5)), 1e-3);
    assert_close(s[3].charge_c, -1.193e-3 * 2000, 1e-3);
    assert_close(s[3].capacity_mah_g, 1.193e-3 * 2000 / 3.6 / 1.7e-3, 1e-3);
    ck_assert(s[1].half_cycle == 0 && s[2].half_cycle == 0 && s[3].half_cycle == 1 && s[3].cycle == 0);
    double v[40], dq[40], sum = 0;
    ck_assert_int_eq(bragg_log_dqdv(t, s, n, 1, 40, v, dq, NULL), BRAGG_OK);
    for (int k = 0; k < 40; k++)
        sum += dq[k] * (v[1] - v[0]);
    assert_close(sum, -1.193e-3 * 2000, 1e-2); /* from row to row: the first interval has no voltage before it */
    free(s);
    bragg_log_free(t);
}
END_TEST

/* ---- clocks ---- */

START_TEST(a_window_has_the_mean_and_not_the_point)
{
    bragg_log_table *t = parse("time/s,Ewe/V,T/degC\n0,1,20\n10,3,\n20,3,40\n40,7,60\n", NULL);
    const double *v = t->channel[BRAGG_CHANNEL_VOLTAGE], *kelvin = t->channel[BRAGG_CHANNEL_TEMPERATURE];
    double part;
    assert_close(bragg_log_mean(t, v, 0, 40, &part), (20 + 30 + 100) / 40.0, 1e-14);
    assert_close(part, 1, 1e-14);
    assert_close(bragg_log_mean(t, v, 5, 15, &part), (2.5 * 5 + 3 * 5) / 10, 1e-14);
    assert_close(bragg_log_mean(t, v, 30, 30, &part), 5, 1e-14);
    assert_close(bragg_log_mean(t, v, 35, 45, &part), 6.5, 1e-14);
    assert_close(part, 0.5, 1e-14);
    assert_close(bragg_log_mean(t, kelvin, 0, 40, &part), 50 + 273.15, 1e-14);
    assert_close(part, 0.5, 1e-14);
    ck_assert(isnan(bragg_log_mean(t, v, 50, 60, &part)) && part == 0);
    ck_assert(isnan(bragg_log_mean(t, v, 20, 10, NULL)) && isnan(bragg_log_mean(t, NULL, 0, 1, NULL)));
    bragg_log_free(t);
}
END_TEST

START_TEST(offset_and_drift_come_back_from_events)
{
    double frame[7], log[7];
    for (int k = 0; k < 7; k++) {
        frame[k] = 1.7e9 + 3071.0 * k;
        log[k] = frame[k] + 17.25 + 3e-5 * (frame[k] - 1.7e9) + (k % 2 ? 0.1 : -0.1);
    }
    bragg_clock c;
    ck_assert_int_eq(bragg_clock_fit(frame, log, NULL, 7, &c, NULL), BRAGG_OK);
    double drift_esd = c.drift_esd;
    ck_assert(fabs(c.drift - 3e-5) < 3 * drift_esd && drift_esd < 1e-4);
    ck_assert(fabs(bragg_clock_to_log(&c, 1.7e9) - 1.7e9 - 17.25) < 0.3);
    ck_assert(fabs(bragg_clock_to_frame(&c, bragg_clock_to_log(&c, frame[3])) - frame[3]) < 1e-5);
    ck_assert_int_eq(bragg_clock_fit(frame, log, NULL, 1, &c, NULL), BRAGG_OK);
    ck_assert(c.drift == 0 && isnan(c.drift_esd));
    ck_assert_int_eq(bragg_clock_fit(frame, log, NULL, 0, &c, NULL), BRAGG_EINVAL);
}
END_TEST

/* A cell of two phases: at rest, discharged, at rest, charged, at rest; the second comes
 * somewhat after the current does, and is a little richer while it goes. */
enum { CELL_ROWS = 1400, CELL_FRAMES = 150 };
static double cell_charge(double t)
{
    return fmin(fmax(t - 1750, 0), 11300) - fmin(fmax(t - 14290, 0), 10650);
}

static double cell_fraction(double t)
{
    double q = cell_charge(t) / 11300;
    return 0.87 * fmax(q - 0.04, 0) + 0.09 * q * q;
}

static void make_cell(double *time, double *charge, double *start, double *width, double *value, double *esd, double offset, double drift, double sigma, unsigned seed)
{
    for (int k = 0; k < CELL_ROWS; k++) {
        time[k] = 23.0 * k;
        charge[k] = cell_charge(time[k]);
    }
    for (int k = 0; k < CELL_FRAMES; k++) {
        double sum = 0, noise = -6;
        start[k] = 187.0 * k;
        width[k] = 151;
        for (int j = 0; j < 8; j++)
            sum += cell_fraction(start[k] + offset + drift * (start[k] - 187.0 * (CELL_FRAMES - 1) / 2) + width[k] * (j + 0.5) / 8) / 8;
        for (int j = 0; j < 12; j++) {
            seed = seed * 1664525u + 1013904223u;
            noise += seed / 4294967296.0;
        }
        value[k] = sum + sigma * noise;
        esd[k] = sigma;
        value[CELL_FRAMES + k] = 1 - value[k];
        esd[CELL_FRAMES + k] = sigma;
    }
}

START_TEST(the_offset_comes_back_from_fractions_that_follow_the_charge)
{
    static double time[CELL_ROWS], charge[CELL_ROWS], start[CELL_FRAMES], width[CELL_FRAMES], value[2 * CELL_FRAMES], esd[2 * CELL_FRAMES];
    bragg_clock_signals s = { CELL_FRAMES, 2, start, width, value, esd, true, 0 };
    double evidence, pulls = 0, esds = 0;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_clock c;
    enum { TRIES = 12 };
    for (unsigned k = 0; k < TRIES; k++) {
        double offset = -700.0 + 131.7 * k;
        make_cell(time, charge, start, width, value, esd, offset, 0, 4e-3, 11 + k);
        ck_assert_msg(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, &err) == BRAGG_OK, "%s", err.text);
        double pull = (c.offset_s - offset) / c.offset_esd_s;
        ck_assert_msg(fabs(pull) < 4 && c.drift == 0, "offset %g(%g), expected %g; drift %g", c.offset_s, c.offset_esd_s, offset, c.drift);
        ck_assert(fabs(offset) < 200 || evidence > 5);
        pulls += pull * pull / TRIES;
        esds += c.offset_esd_s / TRIES;
    }
    ck_assert_msg(pulls > 0.2 && pulls < 2.5 && esds < 45, "mean square pull %g, esd %g s", pulls, esds);
}
END_TEST

/* Fractions so poor that they tell the offset to minutes: what is usual counts as well, and
 * clocks that agree are left alone; what is found is as good as its esd says. */
START_TEST(an_offset_that_is_hardly_told_counts_little)
{
    static double time[CELL_ROWS], charge[CELL_ROWS], start[CELL_FRAMES], width[CELL_FRAMES], value[2 * CELL_FRAMES], esd[2 * CELL_FRAMES];
    bragg_clock_signals s = { CELL_FRAMES, 2, start, width, value, esd, true, 0 };
    double evidence, pulls = 0, alone = 0, esds = 0;
    bragg_clock c;
    enum { TRIES = 16 };
    for (unsigned k = 0; k < 2 * TRIES; k++) {
        double offset = k < TRIES ? 60 * tan(BRAGG_PI * ((k + 0.5) / TRIES - 0.5)) : 0;
        make_cell(time, charge, start, width, value, esd, offset, 0, 0.1, 311 + k);
        ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, NULL), BRAGG_OK);
        if (k < TRIES)
            pulls += pow((c.offset_s - offset) / c.offset_esd_s, 2) / TRIES, esds += c.offset_esd_s / TRIES;
        else
            alone += c.offset_s * c.offset_s / TRIES;
    }
    ck_assert_msg(esds > 60 && pulls > 0.3 && pulls < 2.5, "mean square pull %g, esd %g s", pulls, esds);
    ck_assert_msg(sqrt(alone) < 0.7 * esds, "clocks that agree are moved by %g s, esd %g s", sqrt(alone), esds);
}
END_TEST

START_TEST(a_drift_is_told_from_an_offset_when_it_is_large)
{
    static double time[CELL_ROWS], charge[CELL_ROWS], start[CELL_FRAMES], width[CELL_FRAMES], value[2 * CELL_FRAMES], esd[2 * CELL_FRAMES];
    bragg_clock_signals s = { CELL_FRAMES, 2, start, width, value, esd, true, 0 };
    double evidence;
    bragg_clock c;
    make_cell(time, charge, start, width, value, esd, 391, 0.011, 1e-3, 5);
    ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, NULL), BRAGG_OK);
    ck_assert_msg(fabs(c.drift - 0.011) < 4 * c.drift_esd && c.drift > 0, "drift %g(%g)", c.drift, c.drift_esd);
    ck_assert_msg(fabs(c.offset_s - 391) < 4 * c.offset_esd_s, "offset %g(%g)", c.offset_s, c.offset_esd_s);
    s.max_drift = 1.5e-3; /* that no clock does, and so it is none */
    ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, NULL), BRAGG_OK);
    ck_assert_msg(c.drift == 0, "drift %g(%g)", c.drift, c.drift_esd);
}
END_TEST

START_TEST(a_signal_that_does_not_care_tells_no_offset)
{
    static double time[CELL_ROWS], charge[CELL_ROWS], start[CELL_FRAMES], width[CELL_FRAMES], value[2 * CELL_FRAMES], esd[2 * CELL_FRAMES];
    bragg_clock_signals s = { CELL_FRAMES, 1, start, width, value, esd, false, 0 };
    double evidence;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_clock c;
    make_cell(time, charge, start, width, value, esd, 0, 0, 4e-3, 3);
    for (int k = 0; k < CELL_FRAMES; k++)
        value[k] = 0.5 + (value[k] - cell_fraction(start[k] + width[k] / 2)); /* noise */
    ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, &err), BRAGG_OK);
    ck_assert_msg(isinf(c.offset_esd_s) || evidence < 5, "offset %g(%g), evidence %g", c.offset_s, c.offset_esd_s, evidence);
    s.n = 4;
    ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, &err), BRAGG_EDATA);
    s.n = CELL_FRAMES;
    ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, NAN, &c, &evidence, &err), BRAGG_EINVAL);
    memset(charge, 0, sizeof charge);
    ck_assert_int_eq(bragg_clock_estimate(time, charge, CELL_ROWS, &s, 3600, &c, &evidence, &err), BRAGG_EDATA);
}
END_TEST

START_TEST(options_come_from_the_experiment_file)
{
    static const char text[] = "file: a.csv\nmass_mg: 1.25\ndate_order: dmy\nutc_offset_h: -5\n"
                               "columns: {voltage: {column: Ecell, unit: mV}, time: 't/min'}\n";
    bragg_arena *arena = bragg_arena_new();
    const bragg_yaml *root;
    bragg_log_options o;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_yaml_parse(text, strlen(text), "e.yaml", arena, &root, NULL), BRAGG_OK);
    ck_assert_msg(bragg_log_options_yaml(root, arena, &o, &err) == BRAGG_OK, "%s", err.text);
    assert_close(o.mass_kg, 1.25e-6, 1e-15);
    ck_assert(o.date_order == BRAGG_DATE_DMY && o.utc_offset_s == -18000 && o.n_map == 2);
    bragg_log_table *t = parse("t/min,Ecell\n0,3125.5\n2,3126\n4,3127\n", &o);
    assert_close(t->channel[BRAGG_CHANNEL_VOLTAGE][0], 3.1255, 1e-15);
    assert_close(t->channel[BRAGG_CHANNEL_TIME][2], 240, 1e-15);
    bragg_log_free(t);
    ck_assert_int_eq(bragg_yaml_parse("columns: {votage: U}", 20, "e.yaml", arena, &root, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_log_options_yaml(root, arena, &o, &err), BRAGG_EDATA);
    ck_assert_str_eq(err.text, "e.yaml:1:19: columns: expected a channel such as time, voltage, current or temperature, found 'votage'");
    bragg_arena_free(arena);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("log");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, sample_logs_have_the_golden_values);
    tcase_add_test(c, every_column_of_mpr_equals_the_text_of_the_same_run);
    tcase_add_test(c, integrated_charge_agrees_with_the_cycler);
    tcase_add_test(c, two_cycles_of_arbin_have_its_own_capacity);
    tcase_add_test(c, a_header_that_lies_about_its_unit_is_seen_by_the_integral);
    tcase_add_test(c, frame_metadata_is_a_furnace_log);
    tcase_add_test(c, headers_units_and_decimal_commas_are_understood);
    tcase_add_test(c, an_mpt_with_dates_for_times_and_commas_is_read);
    tcase_add_test(c, tables_without_a_plain_header_are_understood);
    tcase_add_test(c, columns_of_texts_keep_them_and_give_the_current_its_sign);
    tcase_add_test(c, chinese_exports_are_read);
    tcase_add_test(c, latin1_and_utf16_read_as_utf8_does);
    tcase_add_test(c, dates_of_all_kinds_become_utc);
    tcase_add_test(c, furnace_logs_with_dates_know_when_they_began);
    tcase_add_test(c, a_half_written_last_line_is_left_out_and_said);
    tcase_add_test(c, clocks_that_jump_are_mended_and_said);
    tcase_add_test(c, bad_logs_end_in_one_clear_line);
    tcase_add_test(c, units_behind_a_blank_are_units);
    tcase_add_test(c, a_cut_mpr_keeps_its_whole_records_and_says_so);
    tcase_add_test(c, an_mpt_whose_header_lies_is_read_and_said);
    tcase_add_test(c, unknown_neware_versions_are_named);
    tcase_add_test(c, steps_hold_against_noise_and_flicker);
    tcase_add_test(c, a_window_has_the_mean_and_not_the_point);
    tcase_add_test(c, offset_and_drift_come_back_from_events);
    tcase_add_test(c, the_offset_comes_back_from_fractions_that_follow_the_charge);
    tcase_add_test(c, an_offset_that_is_hardly_told_counts_little);
    tcase_add_test(c, a_drift_is_told_from_an_offset_when_it_is_large);
    tcase_add_test(c, a_signal_that_does_not_care_tells_no_offset);
    tcase_add_test(c, options_come_from_the_experiment_file);
    Suite *s = suite_create("log");
    suite_add_tcase(s, c);
    return run_suite(s);
}
