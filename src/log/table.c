/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From cells to a table: channels, SI units, one time that increases. */
#include "config.h"
#include "private.h"

#include <bragg/array.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_NOTES = 200, NO_CHANNEL = -1, MAX_LABELS = 500 };
#define TIME_MAX_S 1e12

bragg_status bragg_grid_init(log_grid *g, size_t width, bragg_error *err)
{
    *g = (log_grid){ .width = width };
    g->names = calloc(width, sizeof *g->names);
    g->units = calloc(width, sizeof *g->units);
    g->channels = calloc(width, sizeof *g->channels);
    g->labels = calloc(width, sizeof *g->labels);
    if (!g->names || !g->units || !g->channels || !g->labels)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu columns", width);
    for (size_t i = 0; i < width; i++)
        g->channels[i] = NO_CHANNEL;
    return BRAGG_OK;
}

bragg_status bragg_grid_name(log_grid *g, size_t column, const char *name, const char *unit, int channel,
                             bragg_error *err)
{
    g->names[column] = strdup(name);
    g->units[column] = strdup(unit);
    g->channels[column] = channel;
    return g->names[column] && g->units[column] ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a name");
}

double bragg_grid_label(log_grid *g, size_t column, const char *text)
{
    struct log_labels *l = &g->labels[column];
    for (size_t i = l->n; i-- > 0;)
        if (!strcmp(l->at[i], text))
            return (double)i;
    if (l->n == MAX_LABELS)
        return NAN;
    char **at = realloc(l->at, (l->n + 1) * sizeof *at);
    if (!at)
        return NAN;
    l->at = at;
    if (!(at[l->n] = strdup(text)))
        return NAN;
    return (double)l->n++;
}

static void free_labels(char **labels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(labels[i]);
    free(labels);
}

double *bragg_grid_row(log_grid *g)
{
    if (g->n == g->room) {
        size_t room = 2 * g->room + 256;
        double *cells = room < SIZE_MAX / 8 / g->width ? realloc(g->cells, room * g->width * sizeof *cells) : NULL;
        if (!cells)
            return NULL;
        g->cells = cells;
        g->room = room;
    }
    double *row = g->cells + g->n++ * g->width;
    for (size_t i = 0; i < g->width; i++)
        row[i] = NAN;
    return row;
}

void bragg_grid_free(log_grid *g)
{
    for (size_t i = 0; i < g->width; i++) {
        if (g->names)
            free(g->names[i]);
        if (g->units)
            free(g->units[i]);
        if (g->labels)
            free_labels(g->labels[i].at, g->labels[i].n);
    }
    free(g->labels);
    free(g->names);
    free(g->units);
    free(g->channels);
    free(g->cells);
    *g = (log_grid){ 0 };
}

bragg_log_table *bragg_table_new(const char *format)
{
    bragg_log_table *t = calloc(1, sizeof *t);
    if (!t || !(t->format = strdup(format))) {
        free(t);
        return NULL;
    }
    t->start_unix_s = t->mass_kg = NAN;
    return t;
}

void bragg_log_free(bragg_log_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_columns; i++) {
        free(t->columns[i].name);
        free(t->columns[i].unit);
        free(t->columns[i].values);
        free_labels(t->columns[i].labels, t->columns[i].n_labels);
    }
    free(t->columns);
    free(t->notes);
    free(t->format);
    free(t->title);
    free(t);
}

/* A note more is not worth failing for: without memory, or past MAX_NOTES, it
 * is dropped. */
void bragg_table_note(bragg_log_table *t, int kind, size_t row, const char *format, ...)
{
    if (t->n_notes >= MAX_NOTES)
        return;
    bragg_log_note *notes = realloc(t->notes, (t->n_notes + 1) * sizeof *notes);
    if (!notes)
        return;
    t->notes = notes;
    bragg_log_note *note = &notes[t->n_notes++];
    note->kind = (__typeof__(note->kind))kind;
    note->row = row;
    va_list args;
    va_start(args, format);
    vsnprintf(note->text, sizeof note->text, format, args);
    va_end(args);
}

const bragg_log_column *bragg_log_find(const bragg_log_table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (!strcasecmp(t->columns[i].name, name))
            return &t->columns[i];
    return NULL;
}

/* ---- channels and units ---- */

/* What a column without a unit is taken to be in. */
static const char *default_unit(bragg_channel c)
{
    switch (c) {
    case BRAGG_CHANNEL_TIME: case BRAGG_CHANNEL_STEP_TIME: return "s";
    case BRAGG_CHANNEL_VOLTAGE: return "V";
    case BRAGG_CHANNEL_CURRENT: return "A";
    case BRAGG_CHANNEL_CHARGE: case BRAGG_CHANNEL_CHARGE_IN: case BRAGG_CHANNEL_CHARGE_OUT: return "Ah";
    case BRAGG_CHANNEL_ENERGY_IN: case BRAGG_CHANNEL_ENERGY_OUT: return "Wh";
    case BRAGG_CHANNEL_POWER: return "W";
    case BRAGG_CHANNEL_TEMPERATURE: return "degC";
    default: return "";
    }
}

/* The column map's word on a column: its entry or NULL. */
static const bragg_log_map *mapped(const bragg_log_options *o, const log_grid *g, size_t column)
{
    for (size_t k = 0; k < o->n_map; k++) {
        const char *want = o->map[k].column, *unit = g->units[column];
        char whole[256], number[24];
        snprintf(whole, sizeof whole, "%s/%s", g->names[column], unit);
        snprintf(number, sizeof number, "#%zu", column + 1);
        char *name = NULL, *its = NULL;
        bool same = !strcasecmp(want, g->names[column]) || !strcasecmp(want, whole) || !strcmp(want, number);
        if (!same && bragg_header_split(want, &name, &its))
            same = !strcasecmp(name, g->names[column]) && !strcasecmp(its, unit);
        free(name);
        free(its);
        if (same)
            return &o->map[k];
    }
    return NULL;
}

static bragg_status check_map(const bragg_log_options *o, const log_grid *g, bragg_error *err)
{
    for (size_t k = 0; k < o->n_map; k++) {
        bool found = false;
        for (size_t i = 0; i < g->width && !found; i++)
            found = mapped(o, g, i) == &o->map[k];
        if (!found)
            return bragg_fail(err, BRAGG_EDATA, "column '%s' of the map for %s: not in the file, which has '%s'%s%s%s",
                              o->map[k].column, bragg_channel_name(o->map[k].channel), g->names[0],
                              g->width > 1 ? ", '" : "", g->width > 1 ? g->names[1] : "", g->width > 1 ? "', …" : "");
    }
    return BRAGG_OK;
}

static bragg_status set_unit(bragg_log_table *t, bragg_log_column *c, const char *unit, bool guessed, bragg_error *err)
{
    c->factor = 1;
    c->offset = 0;
    if (c->channel == BRAGG_CHANNEL_WALL || c->channel == BRAGG_CHANNEL_OTHER || !*default_unit(c->channel))
        return BRAGG_OK;
    if (strstr(unit, "hh:")) /* the cells were clock times: seconds already */
        return BRAGG_OK;
    const char *last = strrchr(c->name, ' '); /* "Current mA"; "Cap C" is of charge, and no coulombs */
    if (!*unit && last && strcasecmp(last, " C") && bragg_unit_find(last + 1, c->channel, &c->factor, &c->offset))
        return BRAGG_OK;
    if (!*unit) {
        unit = default_unit(c->channel);
        if (!guessed && c->channel != BRAGG_CHANNEL_TIME && c->channel != BRAGG_CHANNEL_STEP_TIME
            && c->channel != BRAGG_CHANNEL_VOLTAGE)
            bragg_table_note(t, BRAGG_NOTE_COLUMN, SIZE_MAX, "column '%.*s' names no unit: taken as %s", bragg_utf8_most(c->name, 40), c->name, unit);
    }
    if (!bragg_unit_find(unit, c->channel, &c->factor, &c->offset))
        return bragg_fail(err, BRAGG_EDATA, "column '%s': expected a unit of %s, found '%s'", c->name,
                          bragg_channel_name(c->channel), unit);
    return BRAGG_OK;
}

/* One column out of the grid. */
static bragg_status take_column(bragg_log_table *t, log_grid *g, size_t i, const bragg_log_options *o, int *rank,
                                bragg_error *err)
{
    bragg_log_column *c = &t->columns[i];
    const bragg_log_map *map = mapped(o, g, i);
    *rank = map ? 5000 : 2000;
    c->name = g->names[i];
    c->unit = g->units[i];
    c->labels = g->labels[i].at;
    c->n_labels = g->labels[i].n;
    g->names[i] = g->units[i] = NULL;
    g->labels[i] = (struct log_labels){ 0 };
    c->channel = map ? map->channel : g->channels[i] >= 0 ? (bragg_channel)g->channels[i]
                                                          : bragg_channel_guess(c->name, c->unit, rank);
    c->values = malloc((t->n ? t->n : 1) * sizeof *c->values);
    if (!c->values)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu rows", t->n);
    bragg_status st = set_unit(t, c, map && map->unit ? map->unit : c->unit, map && map->unit, err);
    bool temperature = c->channel == BRAGG_CHANNEL_TEMPERATURE;
    for (size_t r = 0; st == BRAGG_OK && r < t->n; r++) {
        double v = g->cells[r * g->width + i];
        c->values[r] = c->factor == 1 && !temperature ? v : v * c->factor + c->offset;
    }
    return st;
}

static bool any_finite(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            return true;
    return false;
}

/* The best column of each channel; the losers stay columns of that channel. */
static bragg_status take_columns(bragg_log_table *t, log_grid *g, const bragg_log_options *o, bragg_error *err)
{
    int best[BRAGG_CHANNELS] = { 0 };
    t->n = g->n;
    t->columns = calloc(g->width, sizeof *t->columns);
    if (!t->columns)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu columns", g->width);
    for (size_t i = 0; i < g->width; i++) {
        int rank;
        t->n_columns = i + 1;
        bragg_status st = take_column(t, g, i, o, &rank, err);
        if (st < 0)
            return st;
        bragg_log_column *c = &t->columns[i];
        if (c->channel != BRAGG_CHANNEL_OTHER && rank > best[c->channel] && any_finite(c->values, t->n)) {
            best[c->channel] = rank;
            t->channel[c->channel] = c->values;
        }
    }
    return BRAGG_OK;
}

/* ---- time ---- */

/* Median of the first values, NAN left out; NAN when nothing is left. */
static double median(const double *v, size_t n)
{
    double *copy = malloc((n ? n : 1) * sizeof *copy), m = NAN;
    size_t k = 0;
    for (size_t i = 0; copy && i < n; i++)
        if (isfinite(v[i]))
            copy[k++] = v[i];
    if (k) {
        qsort(copy, k, sizeof *copy, bragg_array_by_value);
        m = copy[k / 2];
    }
    free(copy);
    return m;
}

static double median_interval(const double *time, size_t n)
{
    double *d = malloc((n ? n : 1) * sizeof *d), m;
    size_t k = 0;
    for (size_t i = 1; d && i < n; i++)
        if (time[i] > time[i - 1])
            d[k++] = time[i] - time[i - 1];
    m = d ? median(d, k) : NAN;
    free(d);
    return m;
}

static bool about_an_hour(double jump_s, double interval_s)
{
    return fabs(fabs(jump_s) - 3600) <= fmax(60, 3 * (isfinite(interval_s) ? interval_s : 0));
}

/* A wall clock as time since its first row: an hour back is the end of summer
 * time and undone; an hour forward may be a pause and is only said. */
static void time_from_wall(bragg_log_table *t, const double *wall, double *time)
{
    double first = NAN, shift = 0, last = NAN, interval = median_interval(wall, t->n);
    for (size_t i = 0; i < t->n; i++) {
        if (isnan(first) && isfinite(wall[i]))
            first = wall[i];
        double jump = wall[i] + shift - last;
        if (jump < -1800 && about_an_hour(jump - interval, interval)) {
            shift += 3600;
            bragg_table_note(t, BRAGG_NOTE_DAYLIGHT, i, "the clock went back by an hour (end of daylight saving?): undone");
        } else if (jump > 1800 && interval < 600 && about_an_hour(jump - interval, interval)) {
            bragg_table_note(t, BRAGG_NOTE_DAYLIGHT, i, "the clock went forward by an hour (start of daylight saving, or a pause): kept");
        }
        time[i] = wall[i] + shift - first;
        if (isfinite(wall[i]))
            last = wall[i] + shift;
    }
    t->start_unix_s = first;
}

/* The wall clock against the test time: where the second jumps by an hour. */
static void compare_clocks(bragg_log_table *t, const double *wall, const double *time)
{
    double last = NAN;
    for (size_t i = 0; i < t->n; i++) {
        double difference = wall[i] - time[i];
        if (!isfinite(difference))
            continue;
        if (isfinite(last) && about_an_hour(difference - last, 0))
            bragg_table_note(t, BRAGG_NOTE_DAYLIGHT, i, "the wall clock jumped by %.0f s against the test time (daylight saving?)",
                             difference - last);
        last = difference;
    }
}

static double start_from_wall(const bragg_log_table *t, const double *wall, const double *time)
{
    enum { ROWS = 64 };
    double difference[ROWS];
    size_t n = 0;
    for (size_t i = 0; i < t->n && n < ROWS; i++)
        if (isfinite(wall[i] - time[i]))
            difference[n++] = wall[i] - time[i];
    return median(difference, n);
}

/* Interpolate where a row has no time (or one beyond 30,000 years); NAN before the first, after the last. */
static void fill_time(double *time, size_t n)
{
    size_t last = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(time[i]) < TIME_MAX_S))
            time[i] = NAN;
        if (isnan(time[i]))
            continue;
        if (last != SIZE_MAX)
            for (size_t k = last + 1; k < i; k++)
                time[k] = time[last] + (time[i] - time[last]) * (double)(k - last) / (double)(i - last);
        last = i;
    }
}

/* Time that goes back a little (rows written late) waits; that goes back a lot
 * (a restarted or appended test) goes on from where it was. */
static void mend_time(bragg_log_table *t, double *time)
{
    double shift = 0, interval = median_interval(time, t->n);
    for (size_t i = 1; i < t->n; i++) {
        double now = time[i] + shift;
        if (now < time[i - 1]) {
            double back = time[i - 1] - now;
            if (back > 1.5 * interval) {
                shift += back + interval;
                now = time[i] + shift;
                bragg_table_note(t, BRAGG_NOTE_BACKWARD, i, "time went back by %.6g s: the rest follows on", back);
            } else {
                now = time[i - 1];
                bragg_table_note(t, BRAGG_NOTE_BACKWARD, i, "time went back by %.3g s: held", back);
            }
        }
        time[i] = fmax(now, time[i - 1]); /* sums round */
    }
}

/* Rows without a time have no use: cut the ends, and all when none has one. */
static void drop_timeless(bragg_log_table *t, double *time)
{
    size_t kept = 0;
    for (size_t r = 0; r < t->n; r++) {
        if (!isfinite(time[r]))
            continue;
        for (size_t c = 0; c < t->n_columns && kept != r; c++)
            t->columns[c].values[kept] = t->columns[c].values[r];
        kept++;
    }
    if (kept < t->n)
        bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "%zu rows without a time were left out", t->n - kept);
    t->n = kept;
}

static bragg_status add_column(bragg_log_table *t, const char *name, const char *unit, bragg_channel channel, bragg_error *err)
{
    bragg_log_column *columns = realloc(t->columns, (t->n_columns + 1) * sizeof *columns);
    if (!columns)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the column '%s'", name);
    t->columns = columns;
    bragg_log_column *c = &columns[t->n_columns++];
    *c = (bragg_log_column){ .name = strdup(name), .unit = strdup(unit), .channel = channel, .factor = 1,
                             .values = malloc((t->n ? t->n : 1) * sizeof *c->values) };
    return c->name && c->unit && c->values ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the column '%s'", name);
}

static bragg_status fail_without_time(const bragg_log_table *t, bragg_error *err)
{
    char names[300] = "";
    for (size_t k = 0; k < t->n_columns && strlen(names) < 200; k++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s'%.*s'", k ? ", " : "", bragg_utf8_most(t->columns[k].name, 60), t->columns[k].name);
    return bragg_fail(err, BRAGG_EDATA, "no column is a time, found %s; tell which: log: {columns: {time: {column: NAME, unit: s}}}", *names ? names : "none");
}

/* channel[TIME] becomes a column of its own when the file's had to be mended,
 * so that the file's digits stay. */
static bragg_status set_time(bragg_log_table *t, bragg_error *err)
{
    const double *file = t->channel[BRAGG_CHANNEL_TIME], *wall = t->channel[BRAGG_CHANNEL_WALL];
    if (!file && !wall)
        return fail_without_time(t, err);
    bragg_status st = add_column(t, "time since start", "s", BRAGG_CHANNEL_TIME, err);
    if (st < 0)
        return st;
    double *time = t->columns[t->n_columns - 1].values;
    if (file) {
        memcpy(time, file, t->n * sizeof *time);
        if (wall)
            compare_clocks(t, wall, file);
        if (wall && isnan(t->start_unix_s))
            t->start_unix_s = start_from_wall(t, wall, file);
    } else {
        time_from_wall(t, wall, time);
    }
    fill_time(time, t->n);
    drop_timeless(t, time);
    mend_time(t, time);
    t->channel[BRAGG_CHANNEL_TIME] = time;
    return t->n ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "no row has a time");
}

static bool says_discharge(const char *label)
{
    return strcasestr(label, "dchg") || strcasestr(label, "disch") || strstr(label, "放电");
}

/* Older Neware and LAND exports have |current|, and the direction in a text
 * such as "CC DChg": then a signed current is put beside the file's. */
static bragg_status sign_current(bragg_log_table *t, bragg_error *err)
{
    const double *current = t->channel[BRAGG_CHANNEL_CURRENT];
    const bragg_log_column *said = NULL;
    double lowest = 0, highest = 0;
    for (size_t k = 0; k < t->n_columns && !said; k++)
        for (size_t j = 0; j < t->columns[k].n_labels; j++)
            said = says_discharge(t->columns[k].labels[j]) ? &t->columns[k] : said;
    if (!current || !said)
        return BRAGG_OK;
    size_t which = (size_t)(said - t->columns);
    for (size_t i = 0; i < t->n; i++) {
        double label = said->values[i];
        bool out = isfinite(label) && says_discharge(said->labels[(size_t)label]);
        lowest = fmin(lowest, current[i]);
        highest = out ? fmax(highest, current[i]) : highest;
    }
    if (lowest < 0 || !(highest > 0))
        return BRAGG_OK;
    bragg_status st = add_column(t, "current, signed", "A", BRAGG_CHANNEL_CURRENT, err);
    if (st < 0)
        return st;
    said = &t->columns[which];
    double *signed_a = t->columns[t->n_columns - 1].values;
    for (size_t i = 0; i < t->n; i++) {
        double label = said->values[i];
        bool out = isfinite(label) && says_discharge(said->labels[(size_t)label]);
        signed_a[i] = out ? -current[i] : current[i];
    }
    t->channel[BRAGG_CHANNEL_CURRENT] = signed_a;
    bragg_table_note(t, BRAGG_NOTE_COLUMN, SIZE_MAX, "the current has no sign: negative where '%.*s' says discharge", bragg_utf8_most(said->name, 40), said->name);
    return BRAGG_OK;
}

/* The charge counters against the integral of the current: a file whose header
 * says Ah and means As or mAh is seen by a round factor. */
static void check_counters(bragg_log_table *t)
{
    static const struct { bragg_channel channel; int sign; } counters[] = { { BRAGG_CHANNEL_CHARGE_IN, 1 },
                                                                            { BRAGG_CHANNEL_CHARGE_OUT, -1 } };
    static const double factors[] = { 3600, 1.0 / 3600, 1000, 1e-3, 3.6, 1 / 3.6, 3.6e6, 1 / 3.6e6 };
    const double *time = t->channel[BRAGG_CHANNEL_TIME], *current = t->channel[BRAGG_CHANNEL_CURRENT];
    for (int c = 0; c < 2 && current; c++) {
        const double *counter = t->channel[counters[c].channel];
        double integral = 0, counted = 0;
        for (size_t i = 1; counter && i < t->n; i++) {
            double mean = counters[c].sign * (current[i] + current[i - 1]) / 2, step = fabs(counter[i]) - fabs(counter[i - 1]);
            integral += mean > 0 ? mean * (time[i] - time[i - 1]) : 0;
            counted += step > 0 ? step : 0;
        }
        for (size_t k = 0; k < sizeof factors / sizeof *factors; k++)
            if (integral > 0 && fabs(counted / integral / factors[k] - 1) < 0.03)
                bragg_table_note(t, BRAGG_NOTE_COLUMN, SIZE_MAX,
                                 "%s of the file is %.6g times the integral of its current: its unit is not what the header says",
                                 bragg_channel_name(counters[c].channel), factors[k]);
    }
}

bragg_status bragg_table_finish(bragg_log_table *t, log_grid *g, const log_source *source, bragg_error *err)
{
    const bragg_log_options *o = source->options;
    if (!g->n)
        return bragg_fail(err, BRAGG_EDATA, "no rows of data");
    bragg_status st = check_map(o, g, err);
    if (st == BRAGG_OK)
        st = take_columns(t, g, o, err);
    if (st == BRAGG_OK)
        st = sign_current(t, err);
    if (st == BRAGG_OK)
        st = set_time(t, err);
    if (st == BRAGG_OK)
        check_counters(t);
    if (isfinite(o->mass_kg))
        t->mass_kg = o->mass_kg;
    t->start_is_local = isfinite(t->start_unix_s) && isnan(o->utc_offset_s) && !g->utc;
    return st;
}
