/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store that is read: the series, a frame, the rows of a map. */
#include "config.h"

#ifdef HAVE_HDF5

#include "store_parts.h"

#include "base/hdf5_safely.h"
#include <bragg/bytes.h>
#include <bragg/units.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static bool read_names(hid_t file, const char *name, bragg_arena *arena, const char ***out, size_t *n)
{
    *n = bragg_store_extent(file, name, 0);
    hid_t type = bragg_store_text_type(NAME);
    char(*text)[NAME] = bragg_hdf5_noted(calloc(*n + 1, sizeof *text));
    *out = bragg_hdf5_noted(bragg_arena_alloc(arena, *n + 1, sizeof **out));
    bool good = text && *out && (!*n || bragg_store_get_set(file, name, type, *n, text));
    for (size_t k = 0; good && k < *n; k++) {
        text[k][NAME - 1] = 0;
        good = ((*out)[k] = bragg_hdf5_noted(bragg_arena_strdup(arena, text[k]))) != NULL;
    }
    H5Tclose(type);
    free(text);
    return good;
}

static bragg_status read_log(hid_t file, bragg_series *s, bragg_error *err)
{
    static const struct { const char *name; bragg_channel channel; } list[] = { { "/log/time_s", BRAGG_CHANNEL_TIME }, { "/log/voltage_v", BRAGG_CHANNEL_VOLTAGE },
        { "/log/current_a", BRAGG_CHANNEL_CURRENT }, { "/log/temperature_k", BRAGG_CHANNEL_TEMPERATURE } };
    size_t n = H5Lexists(file, "/log", H5P_DEFAULT) > 0 ? bragg_store_extent(file, list[0].name, 0) : 0;
    if (!n)
        return BRAGG_OK;
    s->stored_log = bragg_arena_alloc(s->arena, 4 * n, sizeof(double));
    if (!s->stored_log)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu rows of a log", n);
    s->n_stored_log = n;
    for (size_t k = 0; k < 4; k++) {
        double *to = s->stored_log + k * n;
        for (size_t i = 0; i < n; i++)
            to[i] = NAN;
        bragg_store_get_set(file, list[k].name, H5T_NATIVE_DOUBLE, n, to);
    }
    bragg_store_get_set(file, "/log/molar_mass", H5T_NATIVE_DOUBLE, 1, &s->molar_mass); /* 0 where there is none */
    return BRAGG_OK;
}

static bragg_status read_notes(hid_t file, bragg_series *s, bragg_error *err)
{
    char *text = bragg_store_get_text(file, bragg_store_text[3]);
    char *left = NULL;
    for (char *line = text ? strtok_r(text, "\n", &left) : NULL; line; line = strtok_r(NULL, "\n", &left))
        bragg_join_note(s, "%s", line);
    free(text);
    char *title = bragg_store_get_text(file, bragg_store_text[0]);
    s->title = title && *title ? bragg_arena_strdup(s->arena, title) : NULL;
    free(title);
    char *provenance = bragg_store_get_text(file, bragg_store_text[1]), *experiment = bragg_store_get_text(file, bragg_store_text[2]);
    s->provenance = bragg_arena_strdup(s->arena, provenance ? provenance : "");
    s->experiment = bragg_arena_strdup(s->arena, experiment ? experiment : "");
    free(provenance);
    free(experiment);
    return s->provenance && s->experiment ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for notes");
}

/* Before the end the log is joined by the clocks as they stand. */
static bool has_ended(hid_t file) { return H5Lexists(file, bragg_store_time[0], H5P_DEFAULT) > 0; }

static void note_growing(bragg_series *s)
{
    bool any = false;
    for (size_t k = 0; k < s->n; k++)
        any |= isfinite(s->frame[k].log.voltage_v) || isfinite(s->frame[k].log.temperature_k);
    if (any)
        bragg_join_note(s, "log: the run has not ended: what it tells is preliminary, by the clocks as they stand; where their difference is not given, it is estimated at the end");
}

/* Of a run that has ended; before that what the rows say has to do. */
static bragg_status read_times(hid_t file, bragg_series *s, bragg_error *err)
{
    double *v = malloc((s->n + 1) * sizeof *v);
    for (int which = 0; v && which < 2; which++)
        if (bragg_store_get_set(file, bragg_store_time[which], H5T_NATIVE_DOUBLE, s->n, v))
            for (size_t k = 0; k < s->n; k++)
                *(which ? &s->frame[k].exposure_s : &s->frame[k].time_s) = v[k];
    bool good = v != NULL;
    free(v);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the times of %zu frames", s->n);
}

static bragg_status read_alarms(hid_t file, bragg_series *s, bragg_error *err)
{
    char *text = H5Lexists(file, "/analysis", H5P_DEFAULT) > 0 && H5Lexists(file, "/analysis/json", H5P_DEFAULT) > 0 ? bragg_store_get_text(file, "/analysis/json") : NULL;
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    bragg_status st = bragg_alarms_take(s, json_object_get(root, "unexplained"), err);
    json_decref(root);
    return st;
}

static void read_clock(hid_t file, bragg_series *s)
{
    double v[CLOCK_NUMBERS];
    if (bragg_store_get_set(file, "/clock", H5T_NATIVE_DOUBLE, CLOCK_NUMBERS, v))
        s->clock = (bragg_clock){ v[0], v[1], v[2], v[3], v[4] }, s->clock_zero_s = v[5];
}

static void close_view(seq_store *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* A store to look at only; names live in the arena. */
static bragg_status open_view(const char *path, bragg_arena *arena, seq_store *s, hid_t *file, bragg_error *err)
{
    *s = (seq_store){ .fd = -1, .lock = -1 };
    bragg_status st = bragg_store_find_parts(s, path, err);
    if (st < 0)
        return st;
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const char **name, **unit, **phase;
    size_t n_units = 0;
    bool good = *file >= 0 && read_names(*file, "/series/parameters", arena, &name, &s->n_params) && read_names(*file, "/series/units", arena, &unit, &n_units) &&
                n_units == s->n_params && read_names(*file, "/series/phases", arena, &phase, &s->n_phases);
    s->columns = bragg_store_extent(*file, bragg_store_part[TABLE], 1);
    s->points = bragg_store_extent(*file, bragg_store_part[OBSERVED], 1);
    if (good) {
        seq_shape shape = { .n_params = s->n_params, .n_phases = s->n_phases, .name = name, .phase = phase };
        bragg_seq_complete(&shape, NULL);
        good = s->columns == shape.columns;
    }
    if (good) {
        s->name = name, s->unit = unit, s->phase = phase;
        bragg_store_size_parts(s);
        s->fd = open(path, O_RDONLY | O_CLOEXEC);
        good = s->fd >= 0;
    }
    if (!good && *file >= 0)
        H5Fclose(*file);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "'%s': expected a store of this version of bragg operando, found another", path);
}

/* The log's counts more than the frame's own. */
static void take_temperature(bragg_series_frame *frame)
{
    if (isfinite(frame->log.temperature_k))
        frame->temperature_k = frame->log.temperature_k;
}

static bragg_status read_frames(const char *path, seq_store *view, bragg_series *s, bragg_error *err)
{
    char message[TEXT], name[TEXT];
    double *row = malloc((view->columns + 1) * sizeof *row);
    bragg_status st = row ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a row");
    for (size_t k = 0; st == BRAGG_OK && k < view->room; k++) {
        bragg_series_frame *frame = &s->frame[k];
        *message = *name = 0;
        errno = 0;
        bool whole = bragg_store_row(view, k, row, message, name);
        if ((!whole && errno) || !bragg_store_read_joined(view, k, &frame->log)) { /* a disk that fails, not a frame that has not been fitted */
            st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': frame %zu: %s", path, k, strerror(errno ? errno : EIO));
            break;
        }
        if (!whole)
            memset(row, 0, view->columns * sizeof *row);
        if (!(frame->file = bragg_arena_strdup(s->arena, whole ? name : "")))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", view->room);
        if (st == BRAGG_OK)
            st = bragg_series_set_frame(s, k, row, whole ? message : "not reached", err);
        if (whole)
            take_temperature(frame);
    }
    free(row);
    return st;
}

bragg_status bragg_store_get_series(const char *path, bragg_series **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_series *s = arena ? bragg_arena_alloc(arena, 1, sizeof *s) : NULL;
    seq_store view;
    hid_t file;
    *out = NULL;
    if (!s) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    }
    *s = (bragg_series){ .arena = arena, .clock = BRAGG_CLOCK_INIT };
    bragg_status st = open_view(path, arena, &view, &file, err);
    if (st < 0) {
        bragg_arena_free(arena);
        return st;
    }
    seq_shape shape = { .n_params = view.n_params, .n_phases = view.n_phases, .name = view.name, .unit = view.unit, .phase = view.phase };
    bragg_seq_complete(&shape, NULL);
    st = bragg_series_attach(s, &shape, view.room, err);
    if (st == BRAGG_OK)
        st = bragg_series_take_rows(s, &shape, &(seq_place){ NULL, view.fd, (int64_t)view.offset[TABLE] }, err);
    if (st == BRAGG_OK)
        st = read_frames(path, &view, s, err);
    if (st == BRAGG_OK)
        st = read_times(file, s, err); /* before any step is looked at, which has them from here */
    if (st == BRAGG_OK)
        bragg_series_find_refined(s);
    if (st == BRAGG_OK)
        st = bragg_series_whole(s, err);
    if (st == BRAGG_OK)
        st = read_log(file, s, err);
    if (st == BRAGG_OK)
        st = read_notes(file, s, err);
    if (st == BRAGG_OK)
        st = read_alarms(file, s, err);
    if (st == BRAGG_OK && !has_ended(file))
        note_growing(s);
    read_clock(file, s);
    s->logged = s->n_stored_log > 0;
    if (st == BRAGG_OK)
        bragg_join_settle(s);
    close_view(&view);
    H5Fclose(file);
    if (st < 0)
        bragg_series_free(s);
    else
        *out = s;
    return st;
}

static void read_positions(hid_t file, double *x_rad, size_t n)
{
    bool good = bragg_store_get_set(file, "/patterns/two_theta_deg", H5T_NATIVE_DOUBLE, n, x_rad);
    for (size_t i = 0; i < n; i++)
        x_rad[i] = good ? x_rad[i] * BRAGG_DEG : NAN;
}

static double read_wavelength(hid_t file)
{
    double v = NAN;
    bragg_store_get_set(file, "/patterns/wavelength_ang", H5T_NATIVE_DOUBLE, 1, &v);
    return v;
}

typedef struct seq_view {
    bragg_store_view open; /* first: it is what the caller holds */
    seq_store store;
    seq_shape shape;
    const char *path;
    double *row;
    bragg_arena *seen;     /* texts of the frame that was read last */
} seq_view;

void bragg_store_view_free(bragg_store_view *open)
{
    seq_view *v = (seq_view *)(void *)open;
    if (!v)
        return;
    close_view(&v->store);
    bragg_arena_free(v->seen);
    bragg_arena_free(v->open.series.arena);
}

/* A larger file takes the name of a smaller one. */
bool bragg_store_view_replaced(const bragg_store_view *open)
{
    const seq_view *v = (const seq_view *)(const void *)open;
    struct stat mine, there;
    return stat(v->path, &there) == 0 && fstat(v->store.fd, &mine) == 0 && (mine.st_ino != there.st_ino || mine.st_dev != there.st_dev);
}

static bool mix_logs(const seq_store *s, uint64_t *state)
{
    enum { ROWS = 512 };
    double row[ROWS][LOG_COLUMNS];
    for (size_t k = 0; k < s->room; k += ROWS) {
        size_t n = s->room - k < ROWS ? s->room - k : ROWS;
        if (!bragg_bytes_read(s->fd, row, n * sizeof *row, place(s, LOG, k)))
            return false;
        for (size_t i = 0; i < n; i++)
            state[k + i] ^= XXH3_64bits(row[i], sizeof *row);
    }
    return true;
}

bool bragg_store_view_states(const bragg_store_view *open, uint64_t *state)
{
    const seq_view *v = (const seq_view *)(const void *)open;
    const seq_store *s = &v->store;
    uint8_t status[4096];
    if (!bragg_bytes_read(s->fd, state, s->room * sizeof *state, s->offset[CHECK]) || !mix_logs(s, state))
        return false;
    for (size_t k = 0; k < s->room; k += sizeof status) {
        size_t n = s->room - k < sizeof status ? s->room - k : sizeof status;
        if (!bragg_bytes_read(s->fd, status, n, place(s, STATUS, k)))
            return false;
        for (size_t i = 0; i < n; i++)
            state[k + i] = status[i] ? state[k + i] | 1 : 0;
    }
    return true;
}

/* A row that cannot be read now, by the cause that errno holds. */
static bragg_status lost_frame(size_t k, bragg_error *err)
{
    if (errno == ENOMEM)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for frame %zu", k);
    return errno ? bragg_fail(err, BRAGG_EIO, "frame %zu: %s", k, strerror(errno)) : bragg_fail(err, BRAGG_EDATA, "frame %zu: is not there", k);
}

bragg_status bragg_store_view_frame(bragg_store_view *open, size_t k, float *observed, float *calculated, float *sigma, bragg_error *err)
{
    seq_view *v = (seq_view *)(void *)open;
    bragg_series *series = &v->open.series;
    bragg_arena *own = series->arena;
    char message[TEXT] = "", name[TEXT] = "";
    bragg_arena_free(v->seen);
    v->seen = bragg_arena_new();
    errno = v->seen ? 0 : ENOMEM;
    bragg_frame_log joined;
    if (!v->seen || !bragg_store_row(&v->store, k, v->row, message, name) || !bragg_store_read_joined(&v->store, k, &joined))
        return lost_frame(k, err);
    series->arena = v->seen; /* set_frame keeps the message there */
    name[TEXT - 1] = 0;
    bragg_series_frame *frame = series->frame;
    frame->file = bragg_arena_strdup(v->seen, name);
    frame->log = joined;
    bragg_status st = frame->file ? bragg_series_set_frame(series, 0, v->row, message, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for frame %zu", k);
    take_temperature(frame);
    series->arena = own;
    bragg_step_set(&v->shape, frame, v->row, series->by_hand);
    errno = 0;
    bool whole = (!observed || bragg_store_read_part(&v->store, OBSERVED, k, observed)) && (!calculated || bragg_store_read_part(&v->store, CALCULATED, k, calculated)) &&
                 (!sigma || bragg_store_read_part(&v->store, SIGMA, k, sigma));
    return st < 0 || whole ? st : lost_frame(k, err);
}

/* Rows of the map: of more frames than `rows` neighbours are averaged, sigmas as those
 * of a mean; false with the cause in errno when one cannot be read. */
static bool average(const seq_store *s, int part, size_t first, size_t last, double *to)
{
    errno = 0;
    float *row = malloc((s->points + 1) * sizeof *row);
    bool whole = row;
    for (size_t i = 0; i < s->points; i++)
        to[i] = 0;
    size_t n = 0;
    for (size_t k = first; row && k < last; k++) {
        uint8_t status;
        bool told = bragg_store_read_part(s, STATUS, k, &status), there = told && status && bragg_store_read_part(s, part, k, row), has = false;
        whole &= told && (there || !status);
        for (size_t i = 0; i < s->points && there; i++)
            has |= isfinite(row[i]);
        for (size_t i = 0; i < s->points && has; i++)
            to[i] += part == SIGMA ? row[i] * row[i] : row[i];
        n += has;
    }
    for (size_t i = 0; i < s->points; i++)
        to[i] = n ? (part == SIGMA ? sqrt(to[i]) : to[i]) / (double)n : NAN;
    free(row);
    return whole;
}

struct bragg_store_rows {
    seq_store view;          /* whose names are gone: only places and sizes are used */
    atomic_int lost;         /* why a row could not be read, as errno has it */
};

bragg_status bragg_store_get_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err)
{
    hid_t file;
    bragg_arena *arena = bragg_arena_new();
    struct bragg_store_rows *stored = calloc(1, sizeof *stored);
    *out = (bragg_store_curves){ 0 };
    bragg_status st = arena && stored ? open_view(path, arena, &stored->view, &file, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a view");
    if (st == BRAGG_OK) {
        const seq_store *s = &stored->view;
        size_t each = rows && s->room > rows ? (s->room + rows - 1) / rows : 1;
        *out = (bragg_store_curves){ .n = s->points, .rows = (s->room + each - 1) / each, .frames = each, .x_rad = malloc((s->points + 1) * sizeof(double)), .stored = stored };
        stored = NULL;
        if (out->x_rad) {
            read_positions(file, out->x_rad, out->n);
            out->wavelength_ang = read_wavelength(file);
        } else {
            bragg_store_curves_free(out);
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
        }
        H5Fclose(file);
    }
    free(stored);
    bragg_arena_free(arena);
    return st;
}

/* Values that cannot be read are as those that are not there; bragg_store_curves_whole tells. */
void bragg_store_average_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *to)
{
    static const int parts[] = { [BRAGG_CURVE_OBSERVED] = OBSERVED, [BRAGG_CURVE_CALCULATED] = CALCULATED, [BRAGG_CURVE_SIGMA] = SIGMA };
    const seq_store *s = &c->stored->view;
    size_t first = row * c->frames, last = first + c->frames < s->room ? first + c->frames : s->room;
    if (!average(s, parts[which], first, last, to))
        atomic_store(&c->stored->lost, errno ? errno : EIO);
}

int bragg_store_rows_lost(const struct bragg_store_rows *stored) { return stored ? atomic_load(&stored->lost) : 0; }

void bragg_store_free_rows(struct bragg_store_rows *stored)
{
    if (stored)
        close_view(&stored->view);
    free(stored);
}

bragg_status bragg_store_get_view(const char *path, bragg_store_view **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    seq_view *v = arena ? bragg_arena_alloc(arena, 1, sizeof *v) : NULL;
    hid_t file;
    *out = NULL;
    if (!v) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a view");
    }
    v->open.series = (bragg_series){ .arena = arena, .clock = BRAGG_CLOCK_INIT };
    bragg_status st = open_view(path, arena, &v->store, &file, err);
    if (st < 0) {
        bragg_arena_free(arena);
        return st;
    }
    seq_store *s = &v->store;
    v->shape = (seq_shape){ .n_params = s->n_params, .n_phases = s->n_phases, .name = s->name, .unit = s->unit, .phase = s->phase };
    bragg_seq_complete(&v->shape, NULL);
    v->path = bragg_arena_strdup(arena, path);
    v->row = bragg_arena_alloc(arena, s->columns, sizeof *v->row);
    v->open.room = s->room;
    v->open.n = s->points;
    v->open.x_rad = bragg_arena_alloc(arena, s->points + 1, sizeof *v->open.x_rad);
    v->open.wavelength_ang = read_wavelength(file);
    v->open.series.by_hand = bragg_arena_alloc(arena, 1, sizeof(bragg_frame_fit));
    st = v->path && v->row && v->open.x_rad && v->open.series.by_hand && (v->seen = bragg_arena_new()) ? bragg_series_attach(&v->open.series, &v->shape, 1, err)
                                                                            : bragg_fail(err, BRAGG_ENOMEM, "no room for a view");
    if (st == BRAGG_OK)
        read_positions(file, v->open.x_rad, s->points);
    if (st == BRAGG_OK)
        st = read_notes(file, &v->open.series, err);
    v->open.ended = has_ended(file);
    H5Fclose(file);
    if (st < 0)
        bragg_store_view_free(&v->open);
    else
        *out = &v->open;
    return st;
}

#endif
