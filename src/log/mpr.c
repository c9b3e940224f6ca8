/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BioLogic EC-Lab binary files (.mpr). */
#include "config.h"
#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file:
 *
 *      "BIO-LOGIC MODULAR FILE" …                           52 bytes
 *      "MODULE" | short 10 | long 25 | length 4 | version 4 | date 8 | data …
 *      "MODULE" …
 *
 * EC-Lab 11.50 and later put 0xFFFFFFFF before the length and a second version
 * behind the first.  Modules: "VMP Set", "VMP data", "VMP LOG", "VMP loop". */
enum { MAGIC_BYTES = 52, OLD_HEADER = 57, NEW_HEADER = 65, OLE_OFFSET = 585, MAX_COLUMNS = 1024, MAX_RECORD = 8192 };

typedef struct module {
    char name[11];
    unsigned version;
    size_t claimed;             /* the header's length */
    const unsigned char *data;
    size_t length;              /* what is there of it */
} module;

static const struct column_kind {
    unsigned id;
    char kind;                  /* b: bits of the flag byte; f u */
    unsigned mask, bytes;
    const char *name, *unit;
} column_kinds[] = {
#include "mpr_columns.inc"
};

static const struct column_kind *find_kind(unsigned id)
{
    for (size_t i = 0; i < sizeof column_kinds / sizeof *column_kinds; i++)
        if (column_kinds[i].id == id)
            return &column_kinds[i];
    return NULL;
}

/* The module at *at; *at then stands behind it.  False at the end. */
static bool next_module(const log_source *s, size_t *at, module *m)
{
    if (*at > s->length || s->length - *at < OLD_HEADER || memcmp(s->bytes + *at, "MODULE", 6))
        return false;
    const unsigned char *p = s->bytes + *at;
    bool fresh = bragg_le32(p + 41) == 0xFFFFFFFFu && s->length - *at >= NEW_HEADER;
    size_t header = fresh ? NEW_HEADER : OLD_HEADER, rest = s->length - *at - header;
    memcpy(m->name, p + 6, 10);
    m->name[10] = '\0';
    for (int i = 9; i >= 0 && m->name[i] == ' '; i--)
        m->name[i] = '\0';
    for (int i = 0; m->name[i]; i++)
        if (m->name[i] < ' ' || m->name[i] > '~')
            m->name[i] = '?';
    m->claimed = bragg_le32(p + (fresh ? 45 : 41));
    m->version = fresh ? bragg_le32(p + 53) : bragg_le32(p + 45);
    m->data = p + header;
    m->length = m->claimed < rest ? m->claimed : rest;
    *at += header + m->length;
    return true;
}

/* Where the parts of the data module are, by its version. */
typedef struct layout {
    size_t ids, id_bytes, records;
    unsigned n_columns;
} layout;

static bragg_status find_layout(const module *m, layout *l, bragg_error *err)
{
    if (m->length < 8)
        return bragg_fail(err, BRAGG_EDATA, "data module: expected its header, found %zu bytes", m->length);
    *l = (layout){ .ids = 5, .id_bytes = 2, .n_columns = m->data[4] };
    switch (m->version) {
    case 0: l->id_bytes = 1; l->records = 100; break;
    case 2: l->records = 405; break;
    case 3: l->records = 406; break;
    case 10: case 11: l->ids = 6; l->records = 1007; l->n_columns = bragg_le16(m->data + 4); break;
    default:
        return bragg_fail(err, BRAGG_ENOSUPPORT, "data module: version %u is unknown (known: 0, 2, 3, 10, 11); export the run as .mpt",
                          m->version);
    }
    if (!l->n_columns || l->n_columns > MAX_COLUMNS || l->ids + l->n_columns * l->id_bytes > l->records)
        return bragg_fail(err, BRAGG_EDATA, "data module: expected 1 to %zu columns, found %u", (l->records - l->ids) / l->id_bytes,
                          l->n_columns);
    if (m->length < l->records)
        return bragg_fail(err, BRAGG_EDATA, "data module: expected at least %zu bytes, found %zu", l->records, m->length);
    return BRAGG_OK;
}

/* Columns in the order of the record; flags share one byte, where the first of
 * them stands. */
typedef struct record {
    size_t bytes, n;
    struct { const struct column_kind *kind; size_t offset; } column[MAX_COLUMNS];
} record;

static bragg_status plan_record(const module *m, const layout *l, record *r, bragg_log_table *t, size_t n_points,
                                bragg_error *err)
{
    size_t flags = SIZE_MAX, unknown_id = 0, n_unknown = 0;
    *r = (record){ 0 };
    for (unsigned i = 0; i < l->n_columns; i++) {
        const unsigned char *p = m->data + l->ids + i * l->id_bytes;
        unsigned id = l->id_bytes == 1 ? *p : bragg_le16(p);
        const struct column_kind *kind = find_kind(id);
        if (!kind) {
            unknown_id = id;
            n_unknown++;
            continue;
        }
        if (n_unknown)
            continue; /* where this one is depends on the unknown's size */
        bool is_flag = kind->kind == 'b';
        r->column[r->n].kind = kind;
        r->column[r->n++].offset = is_flag && flags != SIZE_MAX ? flags : r->bytes;
        if (is_flag && flags != SIZE_MAX)
            continue;
        if (is_flag)
            flags = r->bytes;
        r->bytes += kind->bytes;
    }
    if (!n_unknown)
        return BRAGG_OK;
    /* The records' size is known from the module's: the columns before the
     * unknown one can be read, the others not. */
    size_t room = m->claimed - l->records;
    if (!n_points || m->claimed < l->records || room % n_points || room / n_points <= r->bytes || room / n_points > MAX_RECORD)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "data module: column %zu is unknown and the size of a record cannot be found; export the run as .mpt",
                          unknown_id);
    r->bytes = room / n_points;
    bragg_table_note(t, BRAGG_NOTE_COLUMN, SIZE_MAX, "%zu columns unknown (the last: %zu) or behind such a one were left out: %u of %u read",
                     n_unknown, unknown_id, (unsigned)r->n, l->n_columns);
    return r->n ? BRAGG_OK : bragg_fail(err, BRAGG_ENOSUPPORT, "data module: the first column (%zu) is unknown; export the run as .mpt", unknown_id);
}

static double field(const unsigned char *record_start, const struct column_kind *k, size_t offset)
{
    const unsigned char *p = record_start + offset;
    if (k->kind == 'b')
        return (double)((*p & k->mask) >> __builtin_ctz(k->mask));
    if (k->kind == 'f')
        return k->bytes == 8 ? bragg_le_double(p) : bragg_le_float(p);
    return k->bytes == 1 ? *p : k->bytes == 2 ? bragg_le16(p) : bragg_le32(p);
}

static bragg_status read_records(const module *m, const layout *l, const record *r, size_t n_points, log_grid *g,
                                 bragg_log_table *t, bragg_error *err)
{
    size_t there = (m->length - l->records) / r->bytes, n = there < n_points ? there : n_points;
    bragg_status st = BRAGG_OK;
    for (size_t c = 0; st == BRAGG_OK && c < r->n; c++) {
        const struct column_kind *k = r->column[c].kind;
        st = bragg_grid_name(g, c, k->name, k->unit, k->id == 1 ? BRAGG_CHANNEL_MODE : -1, err);
    }
    for (size_t i = 0; st == BRAGG_OK && i < n; i++) {
        double *row = bragg_grid_row(g);
        if (!row)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu records", n);
        for (size_t c = 0; c < r->n; c++)
            row[c] = field(m->data + l->records + i * r->bytes, r->column[c].kind, r->column[c].offset);
    }
    if (n < n_points)
        bragg_table_note(t, BRAGG_NOTE_INCOMPLETE, n, "the header counts %zu records, %zu are whole: the rest is left out", n_points, n);
    else if (there > n_points)
        bragg_table_note(t, BRAGG_NOTE_COUNT, n, "the header counts %zu records, there is room for %zu: the count was kept", n_points,
                         there);
    return st;
}

static size_t column_by_id(const record *r, unsigned id)
{
    for (size_t c = 0; c < r->n; c++)
        if (r->column[c].kind->id == id)
            return c;
    return SIZE_MAX;
}

/* GCPL keeps time and dq (column 7) alone. */
static bool needs_current(const record *r)
{
    return column_by_id(r, 8) == SIZE_MAX && column_by_id(r, 11) == SIZE_MAX && column_by_id(r, 76) == SIZE_MAX
           && column_by_id(r, 4) != SIZE_MAX && column_by_id(r, 7) != SIZE_MAX;
}

/* EC-Lab's text then has <I> = dq / dt since the point before, and 0 for the
 * first: equal in all rows of the GCPL sample. */
static bragg_status derive_current(log_grid *g, const record *r, bragg_error *err)
{
    size_t time = column_by_id(r, 4), dq = column_by_id(r, 7);
    for (size_t i = 0; i < g->n; i++) {
        double *row = g->cells + i * g->width, dt = i ? row[time] - g->cells[(i - 1) * g->width + time] : 0;
        row[r->n] = dt > 0 ? row[dq] * 3600 / dt : i ? NAN : 0;
    }
    return bragg_grid_name(g, r->n, "<I>", "mA", BRAGG_CHANNEL_CURRENT, err);
}

/* The active mass, float in mg; 0.001 where nobody entered one. */
static double settings_mass(const module *m)
{
    double mass = m->length >= 0x10B ? bragg_le_float(m->data + 0x107) : NAN;
    if (!(mass > 0) || mass > 1e9 || fabs(mass - 0.001) < 1e-8)
        mass = m->length >= 0x250 ? bragg_le_float(m->data + 0x24C) : NAN;
    return mass > 0 && mass < 1e9 && fabs(mass - 0.001) > 1e-8 ? mass * 1e-6 : NAN;
}

/* Days since 1899-12-30 at the start of the acquisition, local time. */
static double log_start(const module *m, double utc_offset_s)
{
    double days = m->length >= OLE_OFFSET + 8 ? bragg_le_double(m->data + OLE_OFFSET) : NAN;
    if (!(days > 20000 && days < 80000))
        return NAN;
    /* EC-Lab's clock has milliseconds; a double of days keeps a microsecond */
    return round((days - 25569) * 86400e3) / 1e3 - (isnan(utc_offset_s) ? 0 : utc_offset_s);
}

static bragg_status read_data(const module *m, bragg_log_table *t, const log_source *source, bragg_error *err)
{
    layout l = { 0 };
    record *r = malloc(sizeof *r);
    log_grid g = { 0 };
    bragg_status st = r ? find_layout(m, &l, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a record");
    size_t n_points = st == BRAGG_OK ? bragg_le32(m->data) : 0;
    if (st == BRAGG_OK)
        st = plan_record(m, &l, r, t, n_points, err);
    if (st == BRAGG_OK)
        st = bragg_grid_init(&g, r->n + needs_current(r), err);
    if (st == BRAGG_OK)
        st = read_records(m, &l, r, n_points, &g, t, err);
    if (st == BRAGG_OK && needs_current(r))
        st = derive_current(&g, r, err);
    if (st == BRAGG_OK)
        st = bragg_table_finish(t, &g, source, err);
    bragg_grid_free(&g);
    free(r);
    return st;
}

static bragg_status read_modules(bragg_log_table *t, const log_source *source, bragg_error *err)
{
    module m, data = { 0 };
    size_t at = MAGIC_BYTES;
    while (next_module(source, &at, &m)) {
        if (!strcmp(m.name, "VMP data"))
            data = m;
        else if (!strcmp(m.name, "VMP Set"))
            t->mass_kg = settings_mass(&m);
        else if (!strcmp(m.name, "VMP LOG"))
            t->start_unix_s = log_start(&m, source->options->utc_offset_s);
    }
    if (!data.data)
        return bragg_fail(err, BRAGG_EDATA, "expected a module 'VMP data', found none before byte %zu of %zu", at, source->length);
    if (at < source->length)
        bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "%zu bytes behind the last module were not read", source->length - at);
    return read_data(&data, t, source, err);
}

bragg_status bragg_log_mpr(const log_source *source, bragg_log_table **out, bragg_error *err)
{
    bragg_log_table *t = bragg_table_new("BioLogic mpr");
    if (!t)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a table");
    bragg_status st = read_modules(t, source, err);
    if (st < 0)
        bragg_log_free(t);
    else
        *out = t;
    return st;
}
