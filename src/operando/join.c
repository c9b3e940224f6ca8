/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log beside the frames: whose clock says what, and what the log has to say of
 * each exposure. */
#include "config.h"
#include "operando.h"

#include <bragg/array.h>
#include <bragg/number.h>
#include <bragg/path.h>
#include <math.h>
#include <stdint.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void bragg_join_note(bragg_series *s, const char *format, ...)
{
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const char **more = bragg_arena_alloc(s->arena, s->n_notes + 1, sizeof *more), *own = bragg_arena_strdup(s->arena, text);
    if (!more || !own)
        return; /* a note less */
    if (s->n_notes)
        memcpy(more, s->note, s->n_notes * sizeof *more);
    more[s->n_notes++] = own;
    s->note = more;
}

/* -------------------------------------------------------------- the log */

static bragg_status read_clock(const bragg_yaml *log, bragg_clock *clock, bool *estimate, double *most_s, bragg_error *err)
{
    static const char *const keys[] = { "offset_s", "drift_ppm", "estimate", "max_offset_s" };
    const bragg_yaml *map = bragg_yaml_get(log, "clock"), *node;
    *clock = (bragg_clock)BRAGG_CLOCK_INIT;
    *estimate = !bragg_yaml_get(map, "offset_s");
    *most_s = 7500; /* summer time forgotten twice, and a little */
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, 4, err) : BRAGG_OK;
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "offset_s")))
        st = bragg_yaml_number(node, &clock->offset_s, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "drift_ppm"))) {
        st = bragg_yaml_number(node, &clock->drift, err);
        clock->drift *= 1e-6;
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "max_offset_s")))
        st = bragg_yaml_number(node, most_s, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "estimate")))
        st = bragg_yaml_bool(node, estimate, err);
    return st;
}

static void note_log(bragg_series *s)
{
    for (size_t k = 0; k < s->log->n_notes && k < 8; k++)
        bragg_join_note(s, "log: %s", s->log->notes[k].text);
    if (s->log->start_is_local)
        bragg_join_note(s, "log: its clock names no time zone and is taken as UTC; log: {utc_offset_h: …} says otherwise");
}

/* All of the section but the file and the times of frames. */
static bragg_status read_choices(const bragg_yaml *log, bragg_series *s, bragg_log_options *o, bragg_error *err)
{
    double most;
    const bragg_yaml *molar = bragg_yaml_get(log, "molar_mass");
    bragg_status st = bragg_log_options_yaml(log, s->arena, o, err);
    if (st == BRAGG_OK && molar)
        st = bragg_yaml_number(molar, &s->molar_mass, err);
    if (st == BRAGG_OK && molar && !(s->molar_mass > 0))
        return bragg_yaml_fail(molar, err, "molar_mass: must be positive, got %g", s->molar_mass);
    return st == BRAGG_OK ? read_clock(log, &s->clock, &s->clock_estimated, &most, err) : st;
}

bragg_status bragg_join_read(const bragg_experiment *x, const char *experiment_path, bragg_series *s, bragg_error *err)
{
    const bragg_yaml *log = bragg_yaml_get(x->root, "log"), *node = bragg_yaml_get(log, "file");
    const char *text, *key = NULL;
    bragg_log_options o;
    if (!log)
        return BRAGG_OK;
    bragg_status st = read_choices(log, s, &o, err);
    if (st < 0 || !node)
        return st;
    st = bragg_yaml_text(node, &text, err);
    const char *path = st == BRAGG_OK ? bragg_path_beside(s->arena, experiment_path, text) : NULL;
    if (st == BRAGG_OK && !path)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK && (node = bragg_yaml_get(log, "temperature_key")))
        st = bragg_yaml_text(node, &key, err);
    struct stat info;
    if (st == BRAGG_OK && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        st = bragg_log_read_metadata(path, key, &o, &s->log, err);
    else if (st == BRAGG_OK)
        st = bragg_log_read(path, &o, &s->log, err);
    if (st < 0)
        return st;
    note_log(s);
    s->log_charge_c = bragg_arena_alloc(s->arena, s->log->n + 1, sizeof(double));
    if (!s->log_charge_c)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu rows of the log", s->log->n);
    if (!s->log->channel[BRAGG_CHANNEL_CURRENT])
        return BRAGG_OK;
    bragg_error ignored = BRAGG_ERROR_INIT;
    if (bragg_log_steps(s->log, NULL, &s->log_steps, &s->n_log_steps, &ignored) < 0)
        bragg_join_note(s, "log: no steps: %.300s", ignored.text);
    else
        bragg_log_capacity(s->log, s->log_steps, s->n_log_steps, s->log_charge_c);
    return BRAGG_OK;
}

/* ------------------------------------------------------------ frame times */

typedef struct timing {
    enum { FROM_HEADER, FROM_FILES, FROM_START, FROM_ROWS } from;
    double start_s, every_s, exposure_s;
    bool absolute;       /* start is a time of day */
    const char *column, *file;
} timing;

static bragg_status read_start(const bragg_yaml *node, const bragg_log_options *o, timing *t, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st < 0)
        return st;
    bool number = strspn(text, "+-.0123456789eE") == strlen(text);
    t->absolute = !number;
    if (number)
        return bragg_yaml_number(node, &t->start_s, err);
    if (!bragg_time_parse(text, o->date_order, o->utc_offset_s, &t->start_s))
        return bragg_yaml_fail(node, err, "start: expected a time like 2024-05-01T10:00:00 or seconds of the log, found '%s'", text);
    return BRAGG_OK;
}

static bragg_status read_timing(const bragg_experiment *x, bragg_arena *arena, timing *t, bragg_error *err)
{
    static const char *const keys[] = { "start", "every_s", "exposure_s", "from" };
    static const char *const names[] = { "header", "files", "start", "rows" };
    const bragg_yaml *log = bragg_yaml_get(x->root, "log"), *map = bragg_yaml_get(log, "frames"), *node;
    const char *text = NULL;
    bragg_log_options o;
    *t = (timing){ .start_s = NAN, .every_s = NAN, .exposure_s = NAN };
    bragg_status st = bragg_log_options_yaml(log, arena, &o, err);
    if (st < 0 || !map)
        return st;
    if (map->kind == BRAGG_YAML_SCALAR)
        st = bragg_yaml_text(map, &text, err);
    else
        st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && !text && (node = bragg_yaml_get(map, "from")))
        st = bragg_yaml_text(node, &text, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "every_s"))) {
        st = bragg_yaml_number(node, &t->every_s, err);
        if (st == BRAGG_OK && !(t->every_s > 0))
            return bragg_yaml_fail(node, err, "every_s: must be positive, got %g", t->every_s);
        t->from = FROM_START;
        t->start_s = 0;
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "start")))
        st = read_start(node, &o, t, err);
    if (st == BRAGG_OK && isfinite(t->start_s) && !(t->every_s > 0))
        return bragg_yaml_fail(map, err, "frames: expected every_s beside start, found none");
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "exposure_s")))
        st = bragg_yaml_number(node, &t->exposure_s, err);
    for (int k = 0; st == BRAGG_OK && text && k < 4; k++)
        if (!strcmp(text, names[k])) {
            t->from = k;
            return BRAGG_OK;
        }
    return st == BRAGG_OK && text ? bragg_yaml_fail(map, err, "frames: expected header, files, rows or {start: …, every_s: …}, found '%s'", text) : st;
}

/* Numbers that most frames are apart: 1, or 6 when every sixth was kept.  0 when the
 * names have no rising numbers. */
static double usual_step(const bragg_frames *f, bragg_arena *arena)
{
    size_t n = bragg_frames_count(f);
    double *step = n > 1 ? bragg_arena_alloc(arena, n - 1, sizeof *step) : NULL;
    for (size_t k = 1; step && k < n; k++) {
        step[k - 1] = bragg_frames_item(f, k)->number - bragg_frames_item(f, k - 1)->number;
        if (!(step[k - 1] > 0))
            return 0;
    }
    if (!step)
        return 0;
    qsort(step, n - 1, sizeof *step, bragg_array_by_value);
    return step[(n - 1) / 2];
}

/* Missing files leave gaps in the numbers, and so in time. */
static void times_from_start(const bragg_frames *f, const timing *t, bragg_series *s)
{
    double step = usual_step(f, s->arena), first = s->n ? bragg_frames_item(f, 0)->number : 0;
    size_t gaps = 0;
    double before = -1;
    for (size_t k = 0; k < s->n; k++) {
        double at = step > 0 ? (bragg_frames_item(f, k)->number - first) / step : (double)k;
        gaps += at > before + 1.5;
        before = at;
        s->frame[k].time_s = t->start_s + at * t->every_s;
        if (!isfinite(s->frame[k].exposure_s))
            s->frame[k].exposure_s = t->every_s;
    }
    if (gaps)
        bragg_join_note(s, "frames: %zu gaps in the numbers of the files are gaps in time", gaps);
}

static void times_from_rows(const timing *t, bragg_series *s)
{
    for (size_t k = 0; k < s->n; k++)
        s->frame[k].time_s = s->log && k < s->log->n ? s->log->channel[BRAGG_CHANNEL_TIME][k] : NAN;
    if (s->log && s->log->n != s->n)
        bragg_join_note(s, "log: %zu rows for %zu frames; row k is taken for frame k", s->log->n, s->n);
    (void)t;
}

static void times_from_files(bragg_series *s)
{
    struct stat info;
    for (size_t k = 0; k < s->n; k++)
        s->frame[k].time_s = stat(s->frame[k].file, &info) == 0 ? (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec : NAN;
}

/* Patterns of a step scan say how long each point was counted: as many times that as
 * there is room for before the next pattern began. */
static void scale_exposures(const bragg_frames *f, bragg_series *s)
{
    if (bragg_frames_raw(f))
        return;
    for (size_t k = 0; k < s->n; k++) {
        bragg_series_frame *a = &s->frame[k];
        double gap = k + 1 < s->n ? s->frame[k + 1].time_s - a->time_s : k ? a->time_s - s->frame[k - 1].time_s : NAN, all = a->exposure_s * s->points;
        if (a->exposure_s > 0 && gap > 0 && all < 1.02 * gap)
            a->exposure_s = all;
    }
}

bragg_status bragg_join_check(const bragg_experiment *x, bragg_series *trial, bragg_error *err)
{
    const bragg_yaml *log = bragg_yaml_get(x->root, "log");
    bragg_log_options o;
    timing t;
    bragg_status st = log ? read_choices(log, trial, &o, err) : BRAGG_OK;
    return st == BRAGG_OK ? read_timing(x, trial->arena, &t, err) : st;
}

bragg_status bragg_join_times(const bragg_experiment *x, const bragg_frames *f, bragg_series *s, bragg_error *err)
{
    timing t;
    bragg_status st = read_timing(x, s->arena, &t, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < s->n; k++)
        if (isfinite(t.exposure_s))
            s->frame[k].exposure_s = t.exposure_s;
    if (t.from == FROM_START)
        times_from_start(f, &t, s);
    else if (t.from == FROM_ROWS)
        times_from_rows(&t, s);
    else if (t.from == FROM_FILES)
        times_from_files(s);
    if (t.from == FROM_HEADER && !isfinite(t.exposure_s))
        scale_exposures(f, s);
    s->absolute = t.from == FROM_HEADER || t.from == FROM_FILES || (t.from == FROM_START && t.absolute);
    s->logged = s->log != NULL;
    double first = INFINITY;
    for (size_t k = 0; k < s->n; k++)
        if (isfinite(s->frame[k].time_s))
            first = fmin(first, s->frame[k].time_s);
    if (!s->log)
        return BRAGG_OK;
    if (!isfinite(first)) {
        bragg_join_note(s, "log: the frames do not say when they were taken, so the log is not used; log: {frames: {start: …, every_s: …}} tells");
        s->logged = false;
    } else if (s->absolute && isnan(s->log->start_unix_s)) {
        bragg_join_note(s, "log: it does not say when it began; its start is taken for that of the first frame");
        s->clock_zero_s = first;
    } else if (s->absolute) {
        s->clock_zero_s = s->log->start_unix_s;
    }
    s->clock.offset_s -= s->clock_zero_s;
    s->clock.reference_s = isfinite(first) ? first : 0;
    return BRAGG_OK;
}

/* ------------------------------------------------------------ estimate */

/* Charge that has passed at each row, signed; temperature for a log without current. */
static double *what_drives(const bragg_series *s)
{
    const bragg_log_table *t = s->log;
    const double *time = t->channel[BRAGG_CHANNEL_TIME], *current = t->channel[BRAGG_CHANNEL_CURRENT], *kelvin = t->channel[BRAGG_CHANNEL_TEMPERATURE];
    size_t told = 0; /* rows before the first with a temperature had that one */
    while (!current && kelvin && told < t->n && !isfinite(kelvin[told]))
        told++;
    double first = !current && kelvin && told < t->n ? kelvin[told] : 0;
    double *v = time && (current || kelvin) ? bragg_arena_alloc(s->arena, t->n + 1, sizeof *v) : NULL;
    for (size_t k = 0; v && k < t->n; k++)
        v[k] = current ? 0 : isfinite(kelvin[k]) ? kelvin[k] : k ? v[k - 1] : first;
    for (size_t j = 0; v && current && j < s->n_log_steps; j++)
        for (size_t k = s->log_steps[j].first; k <= s->log_steps[j].last && k < t->n; k++)
            if (k && s->log_steps[j].kind != BRAGG_STEP_REST && isfinite(current[k]))
                v[k] = current[k] * (time[k] - time[k - 1]);
    for (size_t k = 1; v && current && k < t->n; k++)
        v[k] += v[k - 1];
    return v;
}

/* Fractions under current; what is heated tells by its cell.  Phases below detection
 * have the fractions that they would have, as the step from none to a little would pass
 * for an event. */
static bragg_quantity signal_of(const bragg_series *s, const bragg_frame_fit *step, size_t phase, bool fractions)
{
    bragg_quantity q = fractions ? step->fraction[phase] : step->volume[phase];
    double hidden = 0, doubt2 = 0, seen = 0;
    if (step->status != BRAGG_FRAME_OK && step->status != BRAGG_FRAME_AT_BOUND)
        return (bragg_quantity){ NAN, NAN };
    if (!fractions)
        return q;
    for (size_t i = 0; i < s->n_phases; i++)
        if (!(step->level[i] > 0) && isfinite(step->guess[i] * step->guess_esd[i]))
            hidden += step->guess[i], doubt2 += step->guess_esd[i] * step->guess_esd[i];
    if (!(step->level[phase] > 0))
        return (bragg_quantity){ step->guess[phase], step->guess_esd[phase] };
    for (size_t i = 0; i < s->n_phases; i++)
        seen += step->level[i] > 0 && step->fraction[i].value > 0 ? step->fraction[i].value : 0;
    if (!(seen > 0)) /* all that is there has no weight: extracted, or at nothing */
        return (bragg_quantity){ NAN, NAN };
    return (bragg_quantity){ q.value / seen * (1 - hidden), hypot(isfinite(q.esd) ? q.esd : 0, q.value * sqrt(doubt2)) };
}

typedef struct gathered {
    double *block, *start, *width, *value, *esd;
    size_t n, n_signals;
} gathered;

/* `each` frames are one, so that a long run has not too many. */
static void put_group(const bragg_series *s, const size_t *phase, bool fractions, size_t first, size_t each, size_t room, gathered *g)
{
    size_t last = first + each < s->n ? first + each : s->n;
    double from = s->frame[first].time_s, to = s->frame[last - 1].time_s + fmax(0, s->frame[last - 1].exposure_s);
    if (!isfinite(from) || (g->n && !(bragg_clock_to_log(&s->clock, from) > g->start[g->n - 1])))
        return;
    g->start[g->n] = bragg_clock_to_log(&s->clock, from);
    g->width[g->n] = isfinite(to) ? to - from : 0;
    for (size_t j = 0; j < g->n_signals; j++) {
        double w = 0, sum = 0;
        for (size_t k = first; k < last; k++) {
            bragg_quantity q = signal_of(s, bragg_series_fitted(s, k), phase[j], fractions);
            if (s->frame[k].done && isfinite(q.value) && q.esd > 0 && isfinite(q.esd))
                w += 1 / (q.esd * q.esd), sum += q.value / (q.esd * q.esd);
        }
        g->value[j * room + g->n] = w > 0 ? sum / w : NAN;
        g->esd[j * room + g->n] = w > 0 ? 1 / sqrt(w) : NAN;
    }
    g->n++;
}

/* Phases whose signal is known in eight frames and moves more than its esds. */
static size_t telling_phases(const bragg_series *s, bool fractions, size_t *phase)
{
    size_t m = 0;
    for (size_t i = 0; i < s->n_phases; i++) {
        double low = INFINITY, high = -INFINITY, esd = 0;
        size_t n = 0;
        for (size_t k = 0; k < s->n; k++) {
            bragg_quantity q = s->frame[k].done ? signal_of(s, bragg_series_fitted(s, k), i, fractions) : (bragg_quantity){ NAN, NAN };
            if (!isfinite(q.value) || !(q.esd > 0))
                continue;
            low = fmin(low, q.value), high = fmax(high, q.value), esd += q.esd, n++;
        }
        if (n >= 8 && high - low > 5 * esd / (double)n)
            phase[m++] = i;
    }
    return m;
}

static void take_estimate(bragg_series *s, const bragg_clock *found, double evidence)
{
    if (!isfinite(found->offset_esd_s)) {
        bragg_join_note(s, "clock: the frames do not tell how far both clocks are apart; it stays as given");
        return;
    }
    char text[BRAGG_NUMBER_TEXT];
    bragg_join_note(s, "clock: the log's is %s s ahead of the frames', by what follows charge or temperature (log odds %.1f)",
                    bragg_number_print_esd(text, found->offset_s, found->offset_esd_s), evidence);
    if (found->drift != 0)
        bragg_join_note(s, "clock: the log's gains %s ppm", bragg_number_print_esd(text, 1e6 * found->drift, 1e6 * found->drift_esd));
    double reference = bragg_clock_to_frame(&s->clock, found->reference_s);
    s->clock.offset_s += found->offset_s + s->clock.drift * (reference - s->clock.reference_s);
    s->clock.reference_s = reference;
    s->clock.drift += found->drift * (1 + s->clock.drift);
    s->clock.drift_esd = found->drift != 0 ? found->drift_esd : s->clock.drift_esd;
    s->clock.offset_esd_s = found->offset_esd_s;
}

bragg_status bragg_join_estimate(const bragg_experiment *x, bragg_series *s, bragg_error *err)
{
    enum { MOST = 3000 };
    const bragg_yaml *log = bragg_yaml_get(x->root, "log"), *map = bragg_yaml_get(log, "clock");
    double most, evidence, *driver = what_drives(s);
    bool fractions = s->log->channel[BRAGG_CHANNEL_CURRENT] != NULL, asked = false, ignored;
    size_t each = (s->n + MOST - 1) / MOST, room = s->n + 1;
    bragg_clock found;
    gathered g = { 0 };
    size_t *phase = bragg_arena_alloc(s->arena, s->n_phases + 1, sizeof *phase);
    bragg_status st = read_clock(log, &found, &ignored, &most, err);
    if (st == BRAGG_OK && bragg_yaml_get(map, "estimate"))
        st = bragg_yaml_bool(bragg_yaml_get(map, "estimate"), &asked, err);
    if (st < 0 || !driver || !phase || !s->n)
        return st;
    g.n_signals = telling_phases(s, fractions, phase);
    g.block = malloc((2 * room + 2 * room * g.n_signals) * sizeof(double));
    if (!g.block)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", s->n);
    g.start = g.block, g.width = g.start + room, g.value = g.width + room, g.esd = g.value + room * g.n_signals;
    for (size_t k = 0; k < s->n; k += each)
        put_group(s, phase, fractions, k, each, room, &g);
    for (size_t j = 1; j < g.n_signals; j++) { /* as close as they are read */
        memmove(g.value + j * g.n, g.value + j * room, g.n * sizeof(double));
        memmove(g.esd + j * g.n, g.esd + j * room, g.n * sizeof(double));
    }
    /* no clock gains a second and a half in a quarter of an hour; fits that err together may say so */
    const bragg_clock_signals signals = { g.n, g.n_signals, g.start, g.width, g.value, g.esd, fractions, 1.5e-3 };
    bragg_error cause = BRAGG_ERROR_INIT;
    st = bragg_clock_estimate(s->log->channel[BRAGG_CHANNEL_TIME], driver, s->log->n, &signals, most, &found, &evidence, &cause);
    if (st == BRAGG_OK)
        take_estimate(s, &found, evidence);
    else if (st != BRAGG_ENOMEM && asked)
        bragg_join_note(s, "clock: not estimated: %s", cause.text);
    free(g.block);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", cause.text) : BRAGG_OK;
}

/* ------------------------------------------------------------ interpolation */

static size_t row_before(const bragg_log_table *t, double time)
{
    const double *at = t->channel[BRAGG_CHANNEL_TIME];
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at[middle] <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}

/* What is usual in the log: the time between its rows, and how far each channel goes. */
typedef struct usual {
    double interval_s, voltage, current, temperature;
} usual;

static double range_of(const double *v, size_t n)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t k = 0; v && k < n; k++)
        if (isfinite(v[k]))
            low = fmin(low, v[k]), high = fmax(high, v[k]);
    return high > low ? high - low : 0;
}

static usual look_at_log(const bragg_log_table *t)
{
    const double *time = t->channel[BRAGG_CHANNEL_TIME];
    return (usual){ time && t->n > 1 ? (time[t->n - 1] - time[0]) / (double)(t->n - 1) : NAN, range_of(t->channel[BRAGG_CHANNEL_VOLTAGE], t->n),
                    range_of(t->channel[BRAGG_CHANNEL_CURRENT], t->n), range_of(t->channel[BRAGG_CHANNEL_TEMPERATURE], t->n) };
}

/* Of a pause in the log longer than ten of its steps and the exposure nothing is known,
 * unless it was one in which nothing happened: cells at rest are written down rarely. */
static bool is_pause(const bragg_log_table *t, const double *v, double range, double interval_s, double from, double to)
{
    const double *time = t->channel[BRAGG_CHANNEL_TIME];
    size_t k = row_before(t, (from + to) / 2);
    if (k + 1 >= t->n)
        return false;
    double width = time[k + 1] - time[k];
    return width > 10 * interval_s && width > to - from && !(fabs(v[k + 1] - v[k]) < 0.02 * range);
}

static double mean(const bragg_series *s, const double *v, double range, double interval_s, double from, double to)
{
    double covered;
    double value = v && !is_pause(s->log, v, range, interval_s, from, to) ? bragg_log_mean(s->log, v, from, to, &covered) : NAN;
    return isfinite(value) && covered >= 0.5 ? value : NAN;
}

static void join_one(const bragg_series *s, const usual *u, bragg_series_frame *step)
{
    const bragg_log_table *t = s->log;
    step->log = (bragg_frame_log){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
    if (!s->logged || !isfinite(step->time_s))
        return;
    double exposure = step->exposure_s > 0 ? step->exposure_s : 0;
    double from = bragg_clock_to_log(&s->clock, step->time_s), to = bragg_clock_to_log(&s->clock, step->time_s + exposure), middle = (from + to) / 2;
    const double *time = t->channel[BRAGG_CHANNEL_TIME];
    step->log.time_s = middle;
    if (!t->n || !time || middle < time[0] || middle > time[t->n - 1])
        return;
    step->log.voltage_v = mean(s, t->channel[BRAGG_CHANNEL_VOLTAGE], u->voltage, u->interval_s, from, to);
    step->log.current_a = mean(s, t->channel[BRAGG_CHANNEL_CURRENT], u->current, u->interval_s, from, to);
    step->log.temperature_k = mean(s, t->channel[BRAGG_CHANNEL_TEMPERATURE], u->temperature, u->interval_s, from, to);
    size_t row = row_before(t, middle);
    const double *cycle = t->channel[BRAGG_CHANNEL_CYCLE];
    for (size_t k = 0; k < s->n_log_steps; k++)
        if (row >= s->log_steps[k].first && row <= s->log_steps[k].last) {
            step->log.cycle = (double)s->log_steps[k].cycle + 1;
            step->log.kind = s->log_steps[k].kind;
            step->log.charge_c = s->log_charge_c[row];
            step->log.capacity_mah_g = fabs(s->log_charge_c[row]) / 3.6 / (1000 * t->mass_kg);
            break;
        }
    if (!s->n_log_steps && cycle)
        step->log.cycle = cycle[row];
}

/* Frames before, after and in the gaps of the log, told once each. */
static void note_uncovered(bragg_series *s)
{
    const double *time = s->log->channel[BRAGG_CHANNEL_TIME];
    size_t before = 0, after = 0, inside = 0, untimed = 0;
    if (!s->log->n || !time)
        return;
    for (size_t k = 0; k < s->n; k++) {
        double at = s->frame[k].log.time_s;
        untimed += isnan(at);
        before += at < time[0];
        after += at > time[s->log->n - 1];
        inside += at >= time[0] && at <= time[s->log->n - 1] && isnan(s->frame[k].log.voltage_v) && isnan(s->frame[k].log.temperature_k);
    }
    if (before + after == s->n && s->n)
        bragg_join_note(s, "log: it covers none of the frames: the frames run from %.0f to %.0f s of its clock, the log from %.0f to %.0f s; is the clock right (utc_offset_h, clock: {offset_s: …})?",
                        s->frame[0].log.time_s, s->frame[s->n - 1].log.time_s, time[0], time[s->log->n - 1]);
    else {
        if (before)
            bragg_join_note(s, "log: %zu of %zu frames lie before it begins", before, s->n);
        if (after)
            bragg_join_note(s, "log: %zu of %zu frames lie after it ends", after, s->n);
    }
    if (inside)
        bragg_join_note(s, "log: %zu frames lie in its gaps", inside);
    if (untimed)
        bragg_join_note(s, "frames: %zu have no time", untimed);
}

/* A frame that cannot be read does not say when it was taken; its neighbours do. */
static void bridge_times(bragg_series *s)
{
    size_t last = SIZE_MAX;
    for (size_t k = 0; k < s->n; k++) {
        if (!isfinite(s->frame[k].time_s))
            continue;
        for (size_t j = last + 1; last != SIZE_MAX && j < k; j++)
            s->frame[j].time_s = s->frame[last].time_s + (s->frame[k].time_s - s->frame[last].time_s) * (double)(j - last) / (double)(k - last);
        last = k;
    }
}

void bragg_join_log(bragg_series *s)
{
    usual u = s->logged ? look_at_log(s->log) : (usual){ NAN, 0, 0, 0 };
    bridge_times(s);
    for (size_t k = 0; k < s->n; k++) {
        join_one(s, &u, &s->frame[k]);
        if (isfinite(s->frame[k].log.temperature_k))
            s->frame[k].temperature_k = s->frame[k].log.temperature_k;
    }
    bragg_join_settle(s);
    if (s->logged)
        note_uncovered(s);
}

void bragg_join_settle(bragg_series *s)
{
    s->timed = s->n > 0;
    for (size_t k = 0; k < s->n; k++)
        s->timed = s->timed && isfinite(s->frame[k].time_s) && (!k || s->frame[k].time_s > s->frame[k - 1].time_s);
}

double bragg_series_time_s(const bragg_series *s, size_t k)
{
    if (!s->timed)
        return NAN;
    if (s->logged)
        return bragg_series_log(s, k)->time_s;
    const bragg_series_frame *f = &s->frame[k];
    return f->time_s + (f->exposure_s > 0 ? f->exposure_s : 0) / 2 - s->frame[0].time_s;
}
