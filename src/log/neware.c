/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Neware BTS binary files: .nda (version 29) and .ndax (a zip of .ndc). */
#include "config.h"
#include "private.h"

#include <bragg/array.h>
#include <bragg/zip.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns of both, in this order; currents and the like in m-units as
 * Neware's own export has them. */
enum { INDEX, CYCLE, STEP, STATUS, MODE, STEP_TIME, TIME, VOLTAGE, CURRENT, CHARGE_IN, CHARGE_OUT, ENERGY_IN,
       ENERGY_OUT, WALL, N_COLUMNS };
static const struct { const char *name, *unit; int channel; } columns[N_COLUMNS] = {
    [INDEX] = { "Index", "", BRAGG_CHANNEL_OTHER },
    [CYCLE] = { "Cycle", "", BRAGG_CHANNEL_CYCLE },
    [STEP] = { "Step", "", BRAGG_CHANNEL_STEP },
    [STATUS] = { "Status", "", BRAGG_CHANNEL_OTHER },
    [MODE] = { "Mode", "", BRAGG_CHANNEL_MODE },
    [STEP_TIME] = { "Step time", "s", BRAGG_CHANNEL_STEP_TIME },
    [TIME] = { "Time", "s", BRAGG_CHANNEL_TIME },
    [VOLTAGE] = { "Voltage", "V", BRAGG_CHANNEL_VOLTAGE },
    [CURRENT] = { "Current", "mA", BRAGG_CHANNEL_CURRENT },
    [CHARGE_IN] = { "Charge_Capacity", "mAh", BRAGG_CHANNEL_CHARGE_IN },
    [CHARGE_OUT] = { "Discharge_Capacity", "mAh", BRAGG_CHANNEL_CHARGE_OUT },
    [ENERGY_IN] = { "Charge_Energy", "mWh", BRAGG_CHANNEL_ENERGY_IN },
    [ENERGY_OUT] = { "Discharge_Energy", "mWh", BRAGG_CHANNEL_ENERGY_OUT },
    [WALL] = { "Timestamp", "", BRAGG_CHANNEL_WALL },
};

static const struct { long code; double factor; } ranges[] = {
#include "neware_ranges.inc"
};

static bool range_factor(long code, double *factor)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].code == code) {
            *factor = ranges[i].factor;
            return true;
        }
    return false;
}

/* What a record's status controls: 1 2 CC charge, discharge; 3 19 CV; 4 rest;
 * 13 pause; 22 OCV; 7 20 CCCV and the rest change over. */
static double mode_of(unsigned status)
{
    switch (status) {
    case 1: case 2: return BRAGG_MODE_CURRENT;
    case 3: case 19: return BRAGG_MODE_VOLTAGE;
    case 4: case 13: case 22: return BRAGG_MODE_REST;
    default: return BRAGG_MODE_UNKNOWN;
    }
}

static bragg_status name_grid(log_grid *g, size_t extra, bragg_error *err)
{
    bragg_status st = bragg_grid_init(g, N_COLUMNS + extra, err);
    for (int c = 0; st == BRAGG_OK && c < N_COLUMNS; c++)
        st = bragg_grid_name(g, (size_t)c, columns[c].name, columns[c].unit, columns[c].channel, err);
    return st;
}

/* Records know the time since their step began.  Steps follow one another,
 * unless the wall clock (whole seconds) shows a pause between them. */
static void total_time(log_grid *g)
{
    double base = 0, start = NAN;
    for (size_t i = 0; i < g->n; i++) {
        double *row = g->cells + i * g->width, *before = i ? row - g->width : NULL;
        if (before && (row[STEP] != before[STEP] || row[STEP_TIME] < before[STEP_TIME])) {
            base = before[TIME];
            double wall = row[WALL] - start - row[STEP_TIME];
            if (wall > base + 2)
                base = wall;
        }
        row[TIME] = base + row[STEP_TIME];
        if (isnan(start) && isfinite(row[WALL]))
            start = row[WALL] - row[TIME];
    }
}

/* Steps numbered as they come, from 1: the file's own number repeats in loops. */
static void count_steps(log_grid *g)
{
    double raw = NAN, step = 0;
    for (size_t i = 0; i < g->n; i++) {
        double *row = g->cells + i * g->width;
        if (row[STEP] != raw) {
            raw = row[STEP];
            step++;
        }
        row[STEP] = step;
    }
}

/* ---- .nda ---- */

enum { NDA_RECORD = 86, NDA_MASS = 152, NDA_VERSION = 14 };

/* A record of version 29, 86 bytes:
 *   0 0x55 0x00 | 2 index u4 | 6 cycle u4 | 10 step u2 | 12 status u1 | 13 jump u1 | 14 time u8 ms |
 *  22 voltage i4 0.1 mV | 26 current i4 | 30 - | 38 charge, discharge i8 | 54 energies i8 |
 *  70 year u2, month, day, h, m, s u1 | 77 - | 78 range i4 | 82 zeros */
static bool is_record(const unsigned char *p)
{
    return p[0] == 0x55 && p[1] == 0 && bragg_le32(p + 82) == 0 && bragg_le32(p + 2) != 0 && p[12] != 0;
}

static bragg_status read_record(const unsigned char *p, double utc_offset_s, double *row, bragg_error *err)
{
    char date[40];
    double k;
    long code = (int32_t)bragg_le32(p + 78);
    if (!range_factor(code, &k))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "record %u: range code %ld of the current is unknown", bragg_le32(p + 2), code);
    row[INDEX] = bragg_le32(p + 2);
    row[CYCLE] = (double)bragg_le32(p + 6) + 1;
    row[STEP] = bragg_le16(p + 10);
    row[STATUS] = p[12];
    row[MODE] = mode_of(p[12]);
    row[STEP_TIME] = (double)bragg_le64(p + 14) / 1000;
    row[VOLTAGE] = (int32_t)bragg_le32(p + 22) / 1e4;
    row[CURRENT] = (int32_t)bragg_le32(p + 26) * k;
    row[CHARGE_IN] = (double)(int64_t)bragg_le64(p + 38) * k / 3600;
    row[CHARGE_OUT] = (double)(int64_t)bragg_le64(p + 46) * k / 3600;
    row[ENERGY_IN] = (double)(int64_t)bragg_le64(p + 54) * k / 3600;
    row[ENERGY_OUT] = (double)(int64_t)bragg_le64(p + 62) * k / 3600;
    snprintf(date, sizeof date, "%04u-%02u-%02u %02u:%02u:%02u", bragg_le16(p + 70), p[72], p[73], p[74], p[75], p[76]);
    bragg_time_parse(date, BRAGG_DATE_YMD, utc_offset_s, &row[WALL]);
    return BRAGG_OK;
}

/* Records stand in a row, at any place: the first of two that follow one another. */
static size_t first_record(const log_source *s)
{
    for (size_t i = 1024; i + NDA_RECORD <= s->length; i++) {
        const unsigned char *p = memchr(s->bytes + i, 0x55, s->length - NDA_RECORD - i + 1);
        if (!p)
            break;
        i = (size_t)(p - s->bytes);
        bool last = s->length - i < 2 * NDA_RECORD;
        if (is_record(p) && (last || p[NDA_RECORD] == 0x55 || p[NDA_RECORD] == 0x65 || p[NDA_RECORD] == 0xAA))
            return i;
    }
    return SIZE_MAX;
}

static bragg_status read_nda(const log_source *s, log_grid *g, bragg_log_table *t, bragg_error *err)
{
    size_t start = first_record(s), others = 0, at = start;
    if (start == SIZE_MAX)
        return bragg_fail(err, BRAGG_EDATA, "expected records of 86 bytes, found none in %zu bytes", s->length);
    for (; s->length - at >= NDA_RECORD; at += NDA_RECORD) {
        const unsigned char *p = s->bytes + at;
        others += p[0] == 0x65;
        if (!is_record(p))
            continue;
        double *row = bragg_grid_row(g);
        if (!row)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for more records");
        bragg_status st = read_record(p, s->options->utc_offset_s, row, err);
        if (st < 0)
            return st;
    }
    if (others)
        bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "%zu auxiliary records were not read", others);
    if (s->length > at && s->bytes[at] == 0x55)
        bragg_table_note(t, BRAGG_NOTE_INCOMPLETE, g->n, "the last record is half-written (%zu of %d bytes): left out",
                         s->length - at, NDA_RECORD);
    return BRAGG_OK;
}

/* By index, each once. */
static void sort_records(log_grid *g, bragg_log_table *t)
{
    bool sorted = true;
    size_t kept = 0;
    for (size_t i = 1; i < g->n && sorted; i++)
        sorted = g->cells[i * g->width] >= g->cells[(i - 1) * g->width];
    if (!sorted) {
        qsort(g->cells, g->n, g->width * sizeof *g->cells, bragg_array_by_value);
        bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "the records were not in the order of their index: sorted");
    }
    for (size_t i = 0; i < g->n; i++)
        if (!kept || g->cells[i * g->width] != g->cells[(kept - 1) * g->width])
            memmove(g->cells + kept++ * g->width, g->cells + i * g->width, g->width * sizeof *g->cells);
    g->n = kept;
}

bragg_status bragg_log_nda(const log_source *s, bragg_log_table **out, bragg_error *err)
{
    if (s->length < NDA_MASS + 4)
        return bragg_fail(err, BRAGG_EDATA, "expected a header of Neware, found %zu bytes", s->length);
    if (s->bytes[NDA_VERSION] != 29)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "Neware nda version %u is unknown (known: 29); export the test as .csv or .xlsx",
                          s->bytes[NDA_VERSION]);
    bragg_log_table *t = bragg_table_new("Neware nda 29");
    log_grid g = { 0 };
    bragg_status st = t ? name_grid(&g, 0, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a table");
    if (st == BRAGG_OK)
        st = read_nda(s, &g, t, err);
    if (st == BRAGG_OK) {
        sort_records(&g, t);
        count_steps(&g);
        total_time(&g);
        /* micrograms; 1 mg is what nobody has entered */
        uint32_t mass = bragg_le32(s->bytes + NDA_MASS);
        t->mass_kg = mass && mass != 1000 ? mass * 1e-9 : NAN;
        st = bragg_table_finish(t, &g, s, err);
    }
    bragg_grid_free(&g);
    if (st < 0)
        bragg_log_free(t);
    else
        *out = t;
    return st;
}

/* ---- .ndax ---- */

/* An .ndc file of version 14: blocks of 4096 bytes, the first a header
 * (type u1 at 0, version u1 at 2).  A block: u2 its kind, u2 records in it,
 * 128 bytes a bit for each record, records from 132, checksum in the last 4. */
enum { BLOCK = 4096, BLOCK_RECORDS = 132 };

typedef struct ndc {
    unsigned char *bytes;
    size_t n, record;         /* bytes a record */
} ndc;

static bragg_status open_ndc(const log_source *s, const char *member, unsigned type, size_t record, ndc *f, bragg_error *err)
{
    f->record = record;
    bragg_zip z;
    if (!bragg_zip_find(s->bytes, s->length, member, &z))
        return BRAGG_OK; /* the caller knows which it needs */
    bragg_status st = bragg_zip_extract(&z, &f->bytes, &f->n, err);
    if (st < 0)
        return st;
    if (f->n < BLOCK)
        return bragg_fail(err, BRAGG_EDATA, "member '%s': expected blocks of %d bytes, found %zu bytes", member, BLOCK, f->n);
    if (f->bytes[2] != 14 || f->bytes[0] != type)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "member '%s': type %u, version %u is unknown (known: type %u, version 14); export the test as .csv or .xlsx",
                          member, f->bytes[0], f->bytes[2], type);
    return BRAGG_OK;
}

/* The next record; *block and *i walk.  NULL behind the last. */
static const unsigned char *next_record(const ndc *f, size_t *block, size_t *i)
{
    size_t room = (BLOCK - 4 - BLOCK_RECORDS) / f->record;
    for (; f->bytes && (*block + 2) * BLOCK <= f->n; (*block)++, *i = 0) {
        const unsigned char *b = f->bytes + (*block + 1) * BLOCK;
        size_t count = bragg_le16(b + 2);
        if (*i < count && *i < room)
            return b + BLOCK_RECORDS + f->record * (*i)++;
    }
    return NULL;
}

static size_t count_records(const ndc *f)
{
    size_t block = 0, i = 0, n = 0;
    while (next_record(f, &block, &i))
        n++;
    return n;
}

typedef struct ndax {
    ndc data, info, step;
    ndc aux[8];
    char aux_name[8][64];
    size_t n_aux;
} ndax;

/* Data: voltage V, current A (floats).  Run info: 0 time i4 ms | 5 capacities,
 * energies f4 A h, W h | 33 timestamp u4 | 37 step u4 | 41 index u4.  Step:
 * 0 cycle i4 | 4 step index i4 | 24 status u1.  Auxiliary: temperature f4 °C. */
enum { DATA_RECORD = 8, INFO_RECORD = 55, STEP_RECORD = 37, AUX_RECORD = 4 };

static bragg_status open_ndax(const log_source *s, ndax *x, bragg_error *err)
{
    char name[64];
    bragg_status st = open_ndc(s, "data.ndc", 1, DATA_RECORD, &x->data, err);
    if (st == BRAGG_OK)
        st = open_ndc(s, "data_runInfo.ndc", 0x12, INFO_RECORD, &x->info, err);
    if (st == BRAGG_OK)
        st = open_ndc(s, "data_step.ndc", 7, STEP_RECORD, &x->step, err);
    if (st == BRAGG_OK && (!x->data.bytes || !x->info.bytes || !x->step.bytes))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "expected the members data.ndc, data_runInfo.ndc and data_step.ndc, found not all of them; export the test as .csv or .xlsx");
    bragg_zip z;
    bool open = bragg_zip_open(s->bytes, s->length, &z);
    while (open && st == BRAGG_OK && x->n_aux < 8 && bragg_zip_next(&z)) {
        snprintf(name, sizeof name, "%.*s", (int)z.name_length, z.name);
        if (strncmp(name, "data_AUX_", 9) || !strstr(name, ".ndc"))
            continue;
        snprintf(x->aux_name[x->n_aux], sizeof x->aux_name[0], "Aux %.*s", (int)strcspn(name + 9, "."), name + 9);
        st = open_ndc(s, name, 5, AUX_RECORD, &x->aux[x->n_aux++], err);
    }
    return st;
}

static void close_ndax(ndax *x)
{
    free(x->data.bytes);
    free(x->info.bytes);
    free(x->step.bytes);
    for (size_t i = 0; i < x->n_aux; i++)
        free(x->aux[i].bytes);
}

static void take_info(double *row, const unsigned char *p)
{
    row[STEP_TIME] = (int32_t)bragg_le32(p) / 1000.0;
    row[CHARGE_IN] = bragg_le_float(p + 5) * 1000;
    row[CHARGE_OUT] = bragg_le_float(p + 9) * 1000;
    row[ENERGY_IN] = bragg_le_float(p + 13) * 1000;
    row[ENERGY_OUT] = bragg_le_float(p + 17) * 1000;
    row[WALL] = bragg_le32(p + 33);
    row[STEP] = bragg_le32(p + 37);
}

/* Run info stands at some records only, and twice where a step begins: the
 * row is then there twice, as in Neware's export. */
static bragg_status read_rows(const ndax *x, log_grid *g, bragg_error *err)
{
    size_t block = 0, i = 0, info_block = 0, info_i = 0, index = 0;
    const unsigned char *p, *info = next_record(&x->info, &info_block, &info_i);
    while ((p = next_record(&x->data, &block, &i))) {
        index++;
        bool again = false;
        while (info && bragg_le32(info + 41) < index)
            info = next_record(&x->info, &info_block, &info_i);
        do {
            double *row = bragg_grid_row(g);
            if (!row)
                return bragg_fail(err, BRAGG_ENOMEM, "no room for more records");
            row[INDEX] = (double)index;
            row[VOLTAGE] = bragg_le_float(p);
            row[CURRENT] = bragg_le_float(p + 4) * 1000;
            if (info && bragg_le32(info + 41) == index) {
                take_info(row, info);
                info = next_record(&x->info, &info_block, &info_i);
            }
            again = info && bragg_le32(info + 41) == index;
        } while (again);
    }
    return g->n ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "member 'data.ndc': no records");
}

/* Between records with run info: the step stays, its time grows evenly, and the
 * capacities are the integral of the current; behind the last the interval of
 * before goes on. */
static void fill_rows(log_grid *g)
{
    size_t known = SIZE_MAX;
    double interval = 1;
    for (size_t i = 0; i < g->n; i++) {
        double *row = g->cells + i * g->width;
        if (isfinite(row[STEP])) {
            known = i;
            continue;
        }
        if (known == SIZE_MAX)
            continue;
        size_t next = i;
        while (next < g->n && !isfinite(g->cells[next * g->width + STEP]))
            next++;
        const double *from = g->cells + known * g->width, *to = next < g->n ? g->cells + next * g->width : NULL;
        if (to && to[STEP] == from[STEP] && to[STEP_TIME] > from[STEP_TIME])
            interval = (to[STEP_TIME] - from[STEP_TIME]) / (double)(next - known);
        for (; i < next; i++) {
            double *now = g->cells + i * g->width, *before = now - g->width, dt_h = interval / 3600;
            now[STEP] = from[STEP];
            now[STEP_TIME] = from[STEP_TIME] + interval * (double)(i - known);
            now[WALL] = from[WALL] + interval * (double)(i - known);
            double dq = fabs(now[CURRENT]) * dt_h;
            bool in = now[CURRENT] > 0, out = now[CURRENT] < 0;
            now[CHARGE_IN] = before[CHARGE_IN] + (in ? dq : 0);
            now[CHARGE_OUT] = before[CHARGE_OUT] + (out ? dq : 0);
            now[ENERGY_IN] = before[ENERGY_IN] + (in ? dq * now[VOLTAGE] : 0);
            now[ENERGY_OUT] = before[ENERGY_OUT] + (out ? dq * now[VOLTAGE] : 0);
        }
        i = next - 1;
    }
}

/* Cycle and status of each step, and temperatures of each record. */
static bragg_status join_rows(const ndax *x, log_grid *g, bragg_log_table *t, bragg_error *err)
{
    size_t n_steps = count_records(&x->step), n = 0, block = 0, i = 0;
    const unsigned char **step = calloc(n_steps + 1, sizeof *step);
    if (!step)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu steps", n_steps);
    while (n < n_steps && (step[n] = next_record(&x->step, &block, &i)))
        n++;
    count_steps(g);
    for (size_t r = 0; r < g->n; r++) {
        double *row = g->cells + r * g->width;
        size_t k = (size_t)row[STEP];
        if (!(row[STEP] >= 1) || k > n_steps)
            continue;
        row[CYCLE] = (double)(int32_t)bragg_le32(step[k - 1]) + 1;
        row[STATUS] = step[k - 1][24];
        row[MODE] = mode_of(step[k - 1][24]);
    }
    free(step);
    for (size_t a = 0; a < x->n_aux; a++) {
        const unsigned char *p = NULL;
        double last = NAN;
        block = i = 0;
        for (size_t r = 0; r < g->n; r++) {
            double *row = g->cells + r * g->width;
            if (row[INDEX] != last)
                p = next_record(&x->aux[a], &block, &i);
            last = row[INDEX];
            row[N_COLUMNS + a] = p ? bragg_le_float(p) : NAN;
        }
    }
    if (count_records(&x->info) < g->n)
        bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "the file has times for %zu of %zu records: the others were filled in between",
                         count_records(&x->info), g->n);
    return BRAGG_OK;
}

static bragg_status read_ndax(const log_source *s, ndax *x, log_grid *g, bragg_log_table *t, bragg_error *err)
{
    bragg_status st = open_ndax(s, x, err);
    if (st == BRAGG_OK)
        st = name_grid(g, x->n_aux, err);
    for (size_t a = 0; st == BRAGG_OK && a < x->n_aux; a++)
        st = bragg_grid_name(g, N_COLUMNS + a, x->aux_name[a], "°C", BRAGG_CHANNEL_TEMPERATURE, err);
    if (st == BRAGG_OK)
        st = read_rows(x, g, err);
    if (st < 0)
        return st;
    g->utc = true;
    fill_rows(g);
    st = join_rows(x, g, t, err);
    if (st == BRAGG_OK) {
        total_time(g);
        st = bragg_table_finish(t, g, s, err);
    }
    return st;
}

bragg_status bragg_log_ndax(const log_source *s, bragg_log_table **out, bragg_error *err)
{
    ndax x = { 0 };
    log_grid g = { 0 };
    bragg_log_table *t = bragg_table_new("Neware ndax 14");
    if (!t)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a table");
    bragg_status st = read_ndax(s, &x, &g, t, err);
    close_ndax(&x);
    bragg_grid_free(&g);
    if (st < 0)
        bragg_log_free(t);
    else
        *out = t;
    return st;
}
