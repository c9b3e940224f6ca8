/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: an HDF5 file that is whole at every moment.
 *
 * HDF5 does not promise that a file whose writer was killed can be opened again, for
 * its own tables move while data are added.  So they never move here: every data set is
 * laid out at its full size in one contiguous piece (holes take no room on the disk)
 * before the file appears under its name, and frames are written into their places by
 * plain pwrite.
 *
 *      /series/table[frame][column]    /patterns/observed[frame][point]
 *      /series/file, message, check    /patterns/calculated, sigma[frame][point]
 *      /series/status[frame]           last of all: a row counts when its status is not 0
 *                                      and the check (XXH3-64 of the rest) is right
 *
 * More frames than there is room for, and the end of a run, are a new file of the right
 * size that takes the name of the old. */
#include "config.h"
#include "operando.h"
#include "analyse.h"

#include <stdlib.h>

#ifndef HAVE_HDF5

bragg_status bragg_store_open(const seq_store_start *o, seq_store **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5, so that nothing can be kept for --resume", o->path);
}

bool bragg_store_row(const seq_store *s, size_t k, double *row, char message[256], char file[256])
{
    return false;
    (void)s, (void)k, (void)row, (void)message, (void)file;
}

bragg_status bragg_store_put(seq_store *s, size_t k, const char *file, const double *row, const char *message, const seq_curves *curves, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)k, (void)file, (void)row, (void)message, (void)curves, (void)err;
}

bragg_status bragg_store_room(seq_store *s, size_t frames, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)frames, (void)err;
}

bragg_status bragg_store_numbers(const seq_store *s, size_t k, double *row, bragg_error *err)
{
    return bragg_fail(err, BRAGG_EINTERNAL, "row %zu: this build has no HDF5", k);
    (void)s, (void)row;
}

seq_place bragg_store_place(const seq_store *s)
{
    return (seq_place){ NULL, -1, 0 };
    (void)s;
}

bragg_status bragg_store_close(seq_store *s, bragg_series *series, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)series, (void)err;
}

bragg_status bragg_store_read(const char *path, bragg_series **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
}

bragg_status bragg_store_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err)
{
    *out = (bragg_store_curves){ 0 };
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
    (void)rows;
}

static void read_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *to) { (void)c, (void)which, (void)row, (void)to; }

static void free_rows(struct bragg_store_rows *stored) { (void)stored; }

static bool rows_lost(const struct bragg_store_rows *stored)
{
    return false;
    (void)stored;
}

bragg_status bragg_store_look(const char *path, bragg_store_view **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
}

void bragg_store_view_free(bragg_store_view *v) { (void)v; }

bool bragg_store_view_replaced(const bragg_store_view *v)
{
    return false;
    (void)v;
}

bool bragg_store_view_states(const bragg_store_view *v, uint64_t *state)
{
    return false;
    (void)v, (void)state;
}

bool bragg_store_view_frame(bragg_store_view *v, size_t k, float *observed, float *calculated, float *sigma)
{
    return false;
    (void)v, (void)k, (void)observed, (void)calculated, (void)sigma;
}

bragg_status bragg_store_add_tables(const char *store, const char *const *names, FILE *const *tables, size_t n, const char *json, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", store);
    (void)names, (void)tables, (void)n, (void)json;
}

bragg_status bragg_store_total(const char *store, bragg_arena *arena, bragg_total **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", store);
    (void)arena;
}

#else

#include "base/hdf5_links.h"
#include "base/hdf5_put.h"
#include "base/hdf5_safely.h"

#include <bragg/csv.h>
#include <bragg/bytes.h>
#include <bragg/number.h>
#include <bragg/units.h>
#include <errno.h>
#include <fcntl.h>
#include <bragg/hdf5.h>
#include <hdf5.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { TEXT = 256, NAME = 128, FORMAT = 3 /* of this file's layout and the rows' columns */ };
enum { TABLE, FILES, MESSAGES, OBSERVED, CALCULATED, SIGMA, LOG, CHECK, STATUS, PARTS };
enum { CLOCK_NUMBERS = 6 }; /* reference_s, offset_s, drift, the esds of both, and the log's zero */
enum { LOG_COLUMNS = sizeof(bragg_step_log) / sizeof(double) };
static const char *const part_names[PARTS] = { "/series/table", "/series/file", "/series/message", "/patterns/observed", "/patterns/calculated",
                                               "/patterns/sigma", "/series/log", "/series/check", "/series/status" };

struct seq_store {
    char *path, *lock_path;
    int fd, lock;
    size_t room, points, n_params, n_phases, columns;
    const char *const *name, *const *unit, *const *phase;
    off_t offset[PARTS];
    size_t size[PARTS];      /* of a row */
    char *texts[4];          /* title, provenance, experiment, notes */
    double *x_rad, wavelength_ang;
    bragg_arena *arena;
};
static const char *const text_names[4] = { "/title", "/provenance", "/experiment", "/notes" };
static const char *const time_names[2] = { "/series/time_s", "/series/exposure_s" };

/* ----------------------------------------------------------- lay out */

static void size_parts(seq_store *s)
{
    const size_t size[PARTS] = { [TABLE] = s->columns * sizeof(double), [FILES] = TEXT, [MESSAGES] = TEXT, [OBSERVED] = s->points * sizeof(float),
                                 [CALCULATED] = s->points * sizeof(float), [SIGMA] = s->points * sizeof(float), [LOG] = LOG_COLUMNS * sizeof(double), [CHECK] = sizeof(uint64_t), [STATUS] = 1 };
    memcpy(s->size, size, sizeof size);
}

static hid_t fixed_text(size_t length)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, length);
    H5Tset_strpad(t, H5T_STR_NULLPAD);
    return t;
}

static bool put_set(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, const void *data)
{
    hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR), make = bragg_hdf5_new_set();
    H5Pset_layout(make, H5D_CONTIGUOUS);
    H5Pset_alloc_time(make, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(make, H5D_FILL_TIME_NEVER);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, make, H5P_DEFAULT);
    bool good = set >= 0 && (!data || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(make);
    H5Sclose(space);
    return good;
}

static bool put_text(hid_t file, const char *name, const char *text)
{
    hid_t type = fixed_text(text && *text ? strlen(text) : 1);
    bool good = put_set(file, name, type, 0, NULL, text ? text : "");
    H5Tclose(type);
    return good;
}

static bool put_names(hid_t file, const char *name, const char *const *at, size_t n)
{
    char(*text)[NAME] = calloc(n + 1, sizeof *text);
    hid_t type = fixed_text(NAME);
    hsize_t dims = n;
    for (size_t k = 0; text && k < n; k++)
        snprintf(text[k], sizeof *text, "%s", at[k]);
    bool good = text && (!n || put_set(file, name, type, 1, &dims, text));
    H5Tclose(type);
    free(text);
    return good;
}

/* What each column of the table is. */
static bool put_columns(hid_t file, const seq_store *s)
{
    static const char *const head[ROW_HEAD] = { "status", "converged", "restarted", "rwp", "gof", "serial_factor", "mean_intensity", "path", "time_s", "exposure_s",
                                                "temperature_k", "reference_gof", "mended" };
    static const char *const what[PHASE_COLUMNS] = { "weight_fraction", "weight_fraction.esd", "volume", "volume.esd", "weight_fraction.limit", "weight_fraction.guess", "weight_fraction.guess.esd", "evidence", "level" };
    static const char *const log[LOG_COLUMNS] = { "time_s", "voltage_v", "current_a", "temperature_k", "charge_c", "capacity_mah_g", "cycle", "step" };
    seq_shape shape = { .n_params = s->n_params, .n_phases = s->n_phases, .columns = s->columns, .name = s->name, .unit = s->unit, .phase = s->phase };
    size_t(*pair)[2] = calloc(s->n_params * s->n_params / 2 + 1, sizeof *pair);
    if (pair)
        bragg_seq_complete(&shape, pair);
    char(*text)[NAME] = calloc(s->columns + 1, sizeof *text);
    const char **at = calloc(s->columns + 1, sizeof *at);
    for (size_t k = 0; text && at && k < s->columns; k++)
        at[k] = text[k];
    bool good = text && at && pair;
    for (size_t k = 0; good && k < ROW_HEAD; k++)
        snprintf(text[k], NAME, "%s", head[k]);
    for (size_t k = 0; good && k < s->n_params; k++) {
        snprintf(text[seq_value(&shape, k)], NAME, "%s", s->name[k]);
        snprintf(text[seq_esd(&shape, k)], NAME, "%.120s.esd", s->name[k]);
    }
    for (size_t i = 0; good && i < s->n_phases; i++)
        for (int q = 0; q < PHASE_COLUMNS; q++)
            snprintf(text[seq_phase(&shape, q, i)], NAME, "phase.%.90s.%s", s->phase[i], what[q]);
    for (size_t k = 0; good && k < 2 * BRAGG_STEP_UNKNOWN_PEAKS; k++)
        snprintf(text[seq_unknown(&shape) + k], NAME, "unexplained.%zu.%s", k / 2, k % 2 ? "significance" : "two_theta_rad");
    for (size_t k = 0; good && k < shape.n_pairs; k++)
        snprintf(text[seq_correlation(&shape) + k], NAME, "correlation.%.56s:%.56s", s->name[pair[k][0]], s->name[pair[k][1]]);
    for (size_t k = 0; good && k < s->n_params; k++) {
        snprintf(text[seq_known(&shape, k)], NAME, "%.110s.known", s->name[k]);
        snprintf(text[seq_doubt(&shape, k)], NAME, "%.110s.known.doubt", s->name[k]);
    }
    good = good && put_names(file, "/series/columns", at, s->columns) && put_names(file, "/series/log_columns", log, LOG_COLUMNS) &&
           put_names(file, "/series/parameters", s->name, s->n_params) && put_names(file, "/series/units", s->unit, s->n_params) &&
           put_names(file, "/series/phases", s->phase, s->n_phases);
    free(pair);
    free(text);
    free(at);
    return good;
}

static bool put_parts(hid_t file, const seq_store *s)
{
    const hsize_t dims[PARTS][2] = { [TABLE] = { s->room, s->columns }, [FILES] = { s->room }, [MESSAGES] = { s->room }, [OBSERVED] = { s->room, s->points },
                                     [CALCULATED] = { s->room, s->points }, [SIGMA] = { s->room, s->points }, [LOG] = { s->room, LOG_COLUMNS }, [CHECK] = { s->room }, [STATUS] = { s->room } };
    hid_t text = fixed_text(TEXT);
    const hid_t type[PARTS] = { H5T_NATIVE_DOUBLE, text, text, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, H5T_NATIVE_UINT64, H5T_NATIVE_UINT8 };
    bool good = true;
    for (int k = 0; k < PARTS && good; k++)
        good = put_set(file, part_names[k], type[k], dims[k][1] ? 2 : 1, dims[k], NULL);
    H5Tclose(text);
    return good;
}

static bool put_log(hid_t file, const bragg_series *s)
{
    if (!s || !s->log || !s->log->n)
        return true;
    static const struct { const char *name; bragg_channel channel; } list[] = { { "/log/time_s", BRAGG_CHANNEL_TIME }, { "/log/voltage_v", BRAGG_CHANNEL_VOLTAGE },
        { "/log/current_a", BRAGG_CHANNEL_CURRENT }, { "/log/temperature_k", BRAGG_CHANNEL_TEMPERATURE } };
    hid_t group = H5Gcreate2(file, "/log", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t n = s->log->n;
    bool good = group >= 0;
    for (size_t k = 0; k < sizeof list / sizeof *list && good; k++)
        if (s->log->channel[list[k].channel])
            good = put_set(file, list[k].name, H5T_NATIVE_DOUBLE, 1, &n, s->log->channel[list[k].channel]);
    if (good && s->molar_mass > 0)
        good = put_set(file, "/log/molar_mass", H5T_NATIVE_DOUBLE, 0, NULL, &s->molar_mass);
    if (group >= 0)
        H5Gclose(group);
    return good;
}

/* When each frame was taken, which its row knows only where the frame says so itself. */
static bool put_times(hid_t file, const bragg_series *s)
{
    hsize_t n = s ? s->n : 0;
    double *time = n ? malloc(2 * n * sizeof *time) : NULL;
    for (size_t k = 0; time && k < n; k++)
        time[k] = s->frame[k].time_s, time[n + k] = s->frame[k].exposure_s;
    bool good = !n || (time && put_set(file, time_names[0], H5T_NATIVE_DOUBLE, 1, &n, time) && put_set(file, time_names[1], H5T_NATIVE_DOUBLE, 1, &n, time + n));
    free(time);
    return good;
}

static bool put_clock(hid_t file, const bragg_series *s)
{
    hsize_t n = CLOCK_NUMBERS;
    const bragg_clock none = BRAGG_CLOCK_INIT, *c = s ? &s->clock : &none;
    const double v[CLOCK_NUMBERS] = { c->reference_s, c->offset_s, c->drift, c->offset_esd_s, c->drift_esd, s ? s->clock_zero_s : 0 };
    return put_set(file, "/clock", H5T_NATIVE_DOUBLE, 1, &n, v);
}

static char *notes_of(const bragg_series *s)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    for (size_t k = 0; to && s && k < s->n_notes; k++)
        fprintf(to, "%s\n", s->note[k]);
    if (to)
        fclose(to);
    return text;
}

/* A new file at `path`, closed and on the disk. */
static bragg_status make_file(const seq_store *s, const bragg_series *series, const char *path, bragg_error *err)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0)
        return bragg_fail(err, BRAGG_EIO, "'%s': cannot be made", path);
    hid_t a = H5Gcreate2(file, "/series", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), b = H5Gcreate2(file, "/patterns", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    double *deg = malloc((s->points + 1) * sizeof *deg);
    for (size_t i = 0; deg && i < s->points; i++)
        deg[i] = s->x_rad[i] / BRAGG_DEG;
    hsize_t n = s->points;
    const int format = FORMAT;
    bool good = a >= 0 && b >= 0 && deg && put_text(file, "/creator", "bragg " PACKAGE_VERSION) && put_set(file, "/format", H5T_NATIVE_INT, 0, NULL, &format) &&
                put_set(file, "/patterns/two_theta_deg", H5T_NATIVE_DOUBLE, 1, &n, deg) &&
                put_set(file, "/patterns/wavelength_ang", H5T_NATIVE_DOUBLE, 0, NULL, &s->wavelength_ang) && put_columns(file, s) && put_parts(file, s) &&
                put_times(file, series) && put_clock(file, series);
    for (int k = 0; k < 4 && good; k++)
        good = put_text(file, text_names[k], s->texts[k]);
    good = good && put_log(file, series);
    free(deg);
    H5Gclose(a);
    H5Gclose(b);
    good = H5Fclose(file) >= 0 && good && !bragg_hdf5_failed();
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': cannot be written: %s", path, strerror(bragg_hdf5_failed() ? bragg_hdf5_failed() : EIO));
}

/* ------------------------------------------------------------- open */

/* The n values of a data set that has n of them; false, and nothing read, of any other. */
static bool get_set(hid_t file, const char *name, hid_t type, size_t n, void *to)
{
    hid_t set = H5Lexists(file, name, H5P_DEFAULT) > 0 ? bragg_hdf5_open_sound(file, name, H5P_DEFAULT) : -1;
    if (set < 0)
        return false;
    hid_t space = H5Dget_space(set);
    bool good = H5Sget_simple_extent_npoints(space) == (hssize_t)n && bragg_hdf5_read(set, type, H5S_ALL, H5S_ALL, to) >= 0;
    H5Sclose(space);
    H5Dclose(set);
    return good;
}

/* Stores of before there were versions have none. */
static bragg_status check_format(hid_t file, const char *path, bragg_error *err)
{
    int format = 0;
    if (file < 0 || H5Lexists(file, "/series", H5P_DEFAULT) <= 0)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected a store of bragg operando, found another file", path);
    get_set(file, "/format", H5T_NATIVE_INT, 1, &format);
    if (format > FORMAT)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': was written by a newer bragg (format %d, this one reads %d): use that one, or --force begins anew", path, format, FORMAT);
    return format == FORMAT ? BRAGG_OK
                            : bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': was written by an older bragg (format %d, this one reads %d); --force begins anew", path, format, FORMAT);
}

static bragg_status find_parts(seq_store *s, const char *path, bragg_error *err)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bragg_status st = check_format(file, path, err);
    bool good = st == BRAGG_OK;
    for (int k = 0; k < PARTS && good; k++) {
        hid_t set = bragg_hdf5_open_sound(file, part_names[k], H5P_DEFAULT);
        haddr_t at = set >= 0 ? H5Dget_offset(set) : HADDR_UNDEF;
        good = at != HADDR_UNDEF;
        s->offset[k] = (off_t)at;
        if (k == STATUS && set >= 0) {
            hid_t space = H5Dget_space(set);
            hsize_t n = 0;
            H5Sget_simple_extent_dims(space, &n, NULL);
            s->room = n;
            H5Sclose(space);
        }
        if (set >= 0)
            H5Dclose(set);
    }
    if (file >= 0)
        H5Fclose(file);
    return good || st < 0 ? st : bragg_fail(err, BRAGG_EDATA, "'%s': expected a store of bragg operando, found another file", path);
}

static bragg_status open_parts(seq_store *s, bragg_error *err)
{
    bragg_status st = find_parts(s, s->path, err);
    if (st < 0)
        return st;
    s->fd = open(s->path, O_RDWR | O_CLOEXEC);
    return s->fd >= 0 ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': %s", s->path, strerror(errno));
}

/* The lock is a file of its own: one on the store would keep readers out, and the
 * store's place may be taken by a larger one.  The system drops it with the process. */
static bragg_status take_lock(seq_store *s, bragg_error *err)
{
    for (int turn = 0; turn < 10; turn++) {
        struct stat mine, there;
        s->lock = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (s->lock < 0)
            return bragg_fail(err, BRAGG_EIO, "'%s': %s", s->lock_path, strerror(errno));
        if (flock(s->lock, LOCK_EX | LOCK_NB)) {
            int cause = errno;
            close(s->lock); /* and leave it there: it is another's */
            s->lock = -1;
            return cause == EWOULDBLOCK ? bragg_fail(err, BRAGG_EEXIST, "'%s': another process is writing to it", s->path)
                                        : bragg_fail(err, BRAGG_EIO, "'%s': cannot be locked: %s", s->lock_path, strerror(cause));
        }
        if (!fstat(s->lock, &mine) && !stat(s->lock_path, &there) && mine.st_ino == there.st_ino)
            return BRAGG_OK;
        close(s->lock); /* whoever held it has just taken it away */
        s->lock = -1;
    }
    return bragg_fail(err, BRAGG_EIO, "'%s': cannot be locked", s->lock_path);
}

static char *read_text(hid_t file, const char *name)
{
    hid_t set = bragg_hdf5_open_sound(file, name, H5P_DEFAULT), type = set >= 0 ? H5Dget_type(set) : -1;
    size_t n = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : 0;
    char *text = n ? calloc(n + 1, 1) : NULL;
    if (text && !get_set(file, name, type, 1, text))
        *text = 0;
    if (type >= 0)
        H5Tclose(type);
    if (set >= 0)
        H5Dclose(set);
    return text;
}

static size_t extent(hid_t file, const char *name, int axis)
{
    hid_t set = bragg_hdf5_open_sound(file, name, H5P_DEFAULT), space = set >= 0 ? H5Dget_space(set) : -1;
    hsize_t dims[H5S_MAX_RANK] = { 0 };
    int rank = space >= 0 ? H5Sget_simple_extent_dims(space, dims, NULL) : 0;
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return axis < rank ? dims[axis] : 0;
}

/* The old run must have been of the same experiment. */
static bragg_status check_old(const seq_store *s, bragg_error *err)
{
    hid_t file = H5Fopen(s->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bragg_status st = check_format(file, s->path, err);
    if (st < 0) {
        if (file >= 0)
            H5Fclose(file);
        return st;
    }
    char *text = read_text(file, text_names[2]);
    size_t columns = extent(file, part_names[TABLE], 1), points = extent(file, part_names[OBSERVED], 1), phases = extent(file, "/series/phases", 0);
    H5Fclose(file);
    bool same = text && !strcmp(text, s->texts[2] ? s->texts[2] : "");
    free(text);
    if (!same)
        return bragg_fail(err, BRAGG_EDATA, "'%s': was made with another experiment file; --force begins anew", s->path);
    if (columns != s->columns || points != s->points || phases != s->n_phases)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected %zu columns and %zu points, found %zu and %zu; --force begins anew", s->path, s->columns, s->points, columns, points);
    return BRAGG_OK;
}

static void free_store(seq_store *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->lock >= 0) {
        unlink(s->lock_path);
        close(s->lock);
    }
    for (int k = 0; k < 4; k++)
        free(s->texts[k]);
    free(s->path);
    free(s->lock_path);
    free(s->x_rad);
    free(s);
}

static char *beside(const char *path, const char *ending)
{
    size_t n = strlen(path) + strlen(ending) + 1;
    char *text = malloc(n);
    if (text)
        snprintf(text, n, "%s%s", path, ending);
    return text;
}

/* Written beside the name and renamed: the name is always that of a whole file. */
static bragg_status begin(seq_store *s, const bragg_series *series, bragg_error *err)
{
    char *new = beside(s->path, ".new");
    bragg_status st = new ? make_file(s, series, new, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK && rename(new, s->path))
        st = bragg_fail(err, BRAGG_EIO, "'%s': %s", s->path, strerror(errno));
    if (st < 0 && new)
        unlink(new);
    free(new);
    return st;
}

static bragg_status copy_text(char **to, const char *from, bragg_error *err)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a text");
}

static bragg_status fill(seq_store *s, const seq_store_start *o, bragg_error *err)
{
    const char *const texts[3] = { o->title, o->provenance, o->experiment_text };
    *s = (seq_store){ .fd = -1, .lock = -1, .room = o->frames, .points = o->points, .n_params = o->shape->n_params, .n_phases = o->shape->n_phases,
                      .columns = o->shape->columns, .name = o->shape->name, .unit = o->shape->unit, .phase = o->shape->phase, .wavelength_ang = o->wavelength_ang };
    size_parts(s);
    s->path = strdup(o->path);
    s->lock_path = beside(o->path, ".lock");
    s->x_rad = malloc((o->points + 1) * sizeof *s->x_rad);
    bragg_status st = s->path && s->lock_path && s->x_rad ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a store");
    for (int k = 0; k < 3 && st == BRAGG_OK; k++)
        st = copy_text(&s->texts[k], texts[k], err);
    if (st == BRAGG_OK)
        memcpy(s->x_rad, o->x_rad, o->points * sizeof *s->x_rad);
    return st;
}

static bragg_status make_room(seq_store *s, size_t frames, bragg_error *err);

static bragg_status open_store(const seq_store_start *o, seq_store **out, bragg_error *err)
{
    seq_store *s = malloc(sizeof *s);
    *out = NULL;
    if (!s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a store");
    bragg_status st = fill(s, o, err);
    bool there = st == BRAGG_OK && access(o->path, F_OK) == 0;
    if (st == BRAGG_OK)
        st = take_lock(s, err);
    if (st == BRAGG_OK && there && !o->resume && !o->force)
        st = bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --resume goes on with it, --force overwrites it", o->path);
    if (st == BRAGG_OK && there && o->resume)
        st = check_old(s, err);
    if (st == BRAGG_OK && !(there && o->resume))
        st = begin(s, NULL, err);
    if (st == BRAGG_OK)
        st = open_parts(s, err);
    if (st == BRAGG_OK && s->room < o->frames)
        st = make_room(s, o->frames, err);
    if (st < 0)
        free_store(s);
    else
        *out = s;
    return st;
}

/* -------------------------------------------------------------- rows */

static off_t place(const seq_store *s, int part, size_t k) { return s->offset[part] + (off_t)(k * s->size[part]); }

static bool read_part(const seq_store *s, int part, size_t k, void *to)
{
    return bragg_bytes_read(s->fd, to, s->size[part], place(s, part, k));
}

static uint64_t check_of(const double *row, size_t columns, const char *file, const char *message, const seq_curves *c, size_t points)
{
    XXH64_hash_t h = XXH3_64bits(row, columns * sizeof *row);
    h = XXH3_64bits_withSeed(file, TEXT, h);
    h = XXH3_64bits_withSeed(message, TEXT, h);
    h = XXH3_64bits_withSeed(c->observed, points * sizeof *c->observed, h);
    h = XXH3_64bits_withSeed(c->calculated, points * sizeof *c->calculated, h);
    return XXH3_64bits_withSeed(c->sigma, points * sizeof *c->sigma, h);
}

bool bragg_store_row(const seq_store *s, size_t k, double *row, char message[TEXT], char file[TEXT])
{
    uint8_t status = 0;
    uint64_t check = 0;
    float *room = malloc((3 * s->points + 1) * sizeof *room);
    seq_curves c = { room, room ? room + s->points : NULL, room ? room + 2 * s->points : NULL };
    bool good = room && k < s->room && read_part(s, STATUS, k, &status) && status && read_part(s, TABLE, k, row) && read_part(s, MESSAGES, k, message) &&
                read_part(s, FILES, k, file) && read_part(s, OBSERVED, k, c.observed) && read_part(s, CALCULATED, k, c.calculated) && read_part(s, SIGMA, k, c.sigma) && read_part(s, CHECK, k, &check) &&
                check == check_of(row, s->columns, file, message, &c, s->points) && status <= BRAGG_FRAME_SKIPPED && row[ROW_STATUS] == status;
    if (good)
        message[TEXT - 1] = file[TEXT - 1] = 0;
    free(room);
    return good;
}

bragg_status bragg_store_numbers(const seq_store *s, size_t k, double *row, bragg_error *err)
{
    errno = 0;
    return read_part(s, TABLE, k, row) ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': frame %zu: %s", s->path, k, strerror(errno ? errno : EIO));
}

seq_place bragg_store_place(const seq_store *s) { return (seq_place){ NULL, s->fd, (int64_t)s->offset[TABLE] }; }

/* Log and frames are joined at the end of a run; before that there is a hole. */
static void read_joined(const seq_store *s, size_t k, bragg_step_log *log)
{
    static const bragg_step_log hole;
    if (!read_part(s, LOG, k, log) || !memcmp(log, &hole, sizeof hole))
        *log = (bragg_step_log){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
}

static bool write_part(const seq_store *s, int part, size_t k, const void *from)
{
    return bragg_bytes_write(s->fd, from, s->size[part], place(s, part, k));
}

bragg_status bragg_store_put(seq_store *s, size_t k, const char *file, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    char name[TEXT] = "", text[TEXT] = "";
    uint8_t status = (uint8_t)row[ROW_STATUS], none = 0;
    size_t n = strlen(file);
    snprintf(name, sizeof name, "%s", n < TEXT ? file : file + (n - TEXT + 1));
    snprintf(text, sizeof text, "%s", message);
    memset(name + strlen(name), 0, TEXT - strlen(name));
    memset(text + strlen(text), 0, TEXT - strlen(text));
    uint64_t check = check_of(row, s->columns, name, text, c, s->points);
    bool good = write_part(s, STATUS, k, &none) && write_part(s, TABLE, k, row) && write_part(s, FILES, k, name) && write_part(s, MESSAGES, k, text) &&
                write_part(s, OBSERVED, k, c->observed) && write_part(s, CALCULATED, k, c->calculated) && write_part(s, SIGMA, k, c->sigma) && write_part(s, CHECK, k, &check) && write_part(s, STATUS, k, &status);
    return good ? BRAGG_OK
                : bragg_fail(err, BRAGG_EIO, "'%s': frame %zu cannot be written: %s; --resume goes on when there is room", s->path, k, strerror(errno));
}

/* --------------------------------------------------------- a new file */

static bool copy_parts(const seq_store *from, const seq_store *to, size_t n)
{
    size_t most = 0;
    for (int k = 0; k < PARTS; k++)
        most = from->size[k] > most ? from->size[k] : most;
    char *row = malloc(most + 1);
    bool good = row != NULL;
    for (size_t i = 0; i < n && good; i++) {
        uint8_t status = 0;
        if (!read_part(from, STATUS, i, &status) || !status)
            continue; /* nothing there yet: a hole stays a hole */
        for (int k = 0; k < PARTS && good; k++)
            good = read_part(from, k, i, row) && write_part(to, k, i, row);
    }
    free(row);
    return good;
}

static bool put_joined(const seq_store *s, const bragg_series *series)
{
    bool good = true;
    for (size_t i = 0; good && series && i < series->n && i < s->room; i++)
        good = write_part(s, LOG, i, &series->frame[i].log);
    return good;
}

/* All rows into a file with room for `frames`, which takes the old one's place. */
static bragg_status move_to(seq_store *s, size_t frames, const bragg_series *series, bragg_error *err)
{
    char *new = beside(s->path, ".new");
    seq_store other = *s;
    other.room = frames;
    other.fd = -1;
    bragg_status st = new ? make_file(&other, series, new, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK)
        st = find_parts(&other, new, err);
    if (st == BRAGG_OK && (other.fd = open(new, O_RDWR | O_CLOEXEC)) < 0)
        st = bragg_fail(err, BRAGG_EIO, "'%s': %s", new, strerror(errno));
    size_t n = s->room < frames ? s->room : frames;
    if (st == BRAGG_OK && (!copy_parts(s, &other, n) || !put_joined(&other, series) || fsync(other.fd) || rename(new, s->path)))
        st = bragg_fail(err, BRAGG_EIO, "'%s': cannot be written: %s", new, strerror(errno));
    if (st < 0) {
        if (other.fd >= 0)
            close(other.fd);
        if (new)
            unlink(new);
    } else {
        close(s->fd);
        *s = other;
    }
    free(new);
    return st;
}

static bragg_status make_room(seq_store *s, size_t frames, bragg_error *err)
{
    if (frames <= s->room)
        return BRAGG_OK;
    return move_to(s, frames > 2 * s->room ? frames : 2 * s->room, NULL, err);
}

static bragg_status close_store(seq_store *s, bragg_series *series, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (series) {
        free(s->texts[3]);
        s->texts[3] = notes_of(series);
        st = move_to(s, series->n ? series->n : 1, series, err);
        if (st == BRAGG_OK && series->rows)
            st = bragg_series_move_rows(series, bragg_store_place(s), err);
    } else if (fsync(s->fd)) {
        st = bragg_fail(err, BRAGG_EIO, "'%s': %s", s->path, strerror(errno));
    }
    free_store(s);
    return st;
}

/* ------------------------------------------------------------ reading */

static bool read_names(hid_t file, const char *name, bragg_arena *arena, const char ***out, size_t *n)
{
    *n = extent(file, name, 0);
    hid_t type = fixed_text(NAME);
    char(*text)[NAME] = calloc(*n + 1, sizeof *text);
    *out = bragg_arena_alloc(arena, *n + 1, sizeof **out);
    bool good = text && *out && (!*n || get_set(file, name, type, *n, text));
    for (size_t k = 0; good && k < *n; k++) {
        text[k][NAME - 1] = 0;
        good = ((*out)[k] = bragg_arena_strdup(arena, text[k])) != NULL;
    }
    H5Tclose(type);
    free(text);
    return good;
}

static bragg_status read_log(hid_t file, bragg_series *s, bragg_error *err)
{
    static const struct { const char *name; bragg_channel channel; } list[] = { { "/log/time_s", BRAGG_CHANNEL_TIME }, { "/log/voltage_v", BRAGG_CHANNEL_VOLTAGE },
        { "/log/current_a", BRAGG_CHANNEL_CURRENT }, { "/log/temperature_k", BRAGG_CHANNEL_TEMPERATURE } };
    size_t n = H5Lexists(file, "/log", H5P_DEFAULT) > 0 ? extent(file, list[0].name, 0) : 0;
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
        get_set(file, list[k].name, H5T_NATIVE_DOUBLE, n, to);
    }
    get_set(file, "/log/molar_mass", H5T_NATIVE_DOUBLE, 1, &s->molar_mass); /* 0 where there is none */
    return BRAGG_OK;
}

static bragg_status read_notes(hid_t file, bragg_series *s, bragg_error *err)
{
    char *text = read_text(file, text_names[3]);
    char *left = NULL;
    for (char *line = text ? strtok_r(text, "\n", &left) : NULL; line; line = strtok_r(NULL, "\n", &left))
        bragg_join_note(s, "%s", line);
    free(text);
    char *title = read_text(file, text_names[0]);
    s->title = title && *title ? bragg_arena_strdup(s->arena, title) : NULL;
    free(title);
    char *provenance = read_text(file, text_names[1]), *experiment = read_text(file, text_names[2]);
    s->provenance = bragg_arena_strdup(s->arena, provenance ? provenance : "");
    s->experiment = bragg_arena_strdup(s->arena, experiment ? experiment : "");
    free(provenance);
    free(experiment);
    return s->provenance && s->experiment ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for notes");
}

/* Of a run that has ended; before that what the rows say has to do. */
static bragg_status read_times(hid_t file, bragg_series *s, bragg_error *err)
{
    double *v = malloc((s->n + 1) * sizeof *v);
    for (int which = 0; v && which < 2; which++)
        if (get_set(file, time_names[which], H5T_NATIVE_DOUBLE, s->n, v))
            for (size_t k = 0; k < s->n; k++)
                *(which ? &s->frame[k].exposure_s : &s->frame[k].time_s) = v[k];
    bool good = v != NULL;
    free(v);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the times of %zu frames", s->n);
}

static bragg_status read_alarms(hid_t file, bragg_series *s, bragg_error *err)
{
    char *text = H5Lexists(file, "/analysis", H5P_DEFAULT) > 0 && H5Lexists(file, "/analysis/json", H5P_DEFAULT) > 0 ? read_text(file, "/analysis/json") : NULL;
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    bragg_status st = bragg_alarms_take(s, json_object_get(root, "unexplained"), err);
    json_decref(root);
    return st;
}

static void read_clock(hid_t file, bragg_series *s)
{
    double v[CLOCK_NUMBERS];
    if (get_set(file, "/clock", H5T_NATIVE_DOUBLE, CLOCK_NUMBERS, v))
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
    bragg_status st = find_parts(s, path, err);
    if (st < 0)
        return st;
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const char **name, **unit, **phase;
    size_t n_units = 0;
    bool good = *file >= 0 && read_names(*file, "/series/parameters", arena, &name, &s->n_params) && read_names(*file, "/series/units", arena, &unit, &n_units) &&
                n_units == s->n_params && read_names(*file, "/series/phases", arena, &phase, &s->n_phases);
    s->columns = extent(*file, part_names[TABLE], 1);
    s->points = extent(*file, part_names[OBSERVED], 1);
    if (good) {
        seq_shape shape = { .n_params = s->n_params, .n_phases = s->n_phases, .name = name, .phase = phase };
        bragg_seq_complete(&shape, NULL);
        good = s->columns == shape.columns;
    }
    if (good) {
        s->name = name, s->unit = unit, s->phase = phase;
        size_parts(s);
        s->fd = open(path, O_RDONLY | O_CLOEXEC);
        good = s->fd >= 0;
    }
    if (!good && *file >= 0)
        H5Fclose(*file);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "'%s': expected a store of this version of bragg operando, found another", path);
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
        if (!whole && errno) { /* a disk that fails, not a frame that has not been fitted */
            st = bragg_fail(err, BRAGG_EIO, "'%s': frame %zu: %s", path, k, strerror(errno));
            break;
        }
        if (!whole)
            memset(row, 0, view->columns * sizeof *row);
        read_joined(view, k, &frame->log);
        if (!(frame->file = bragg_arena_strdup(s->arena, whole ? name : "")))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", view->room);
        if (st == BRAGG_OK)
            st = bragg_series_set_frame(s, k, row, whole ? message : "not reached", err);
        if (isfinite(frame->log.temperature_k) && whole)
            frame->temperature_k = frame->log.temperature_k;
    }
    free(row);
    return st;
}

static bragg_status read_store(const char *path, bragg_series **out, bragg_error *err)
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

/* ------------------------------------------------------------- a view */

static void read_positions(hid_t file, double *x_rad, size_t n)
{
    bool good = get_set(file, "/patterns/two_theta_deg", H5T_NATIVE_DOUBLE, n, x_rad);
    for (size_t i = 0; i < n; i++)
        x_rad[i] = good ? x_rad[i] * BRAGG_DEG : NAN;
}

static double read_wavelength(hid_t file)
{
    double v = NAN;
    get_set(file, "/patterns/wavelength_ang", H5T_NATIVE_DOUBLE, 1, &v);
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

bool bragg_store_view_states(const bragg_store_view *open, uint64_t *state)
{
    const seq_view *v = (const seq_view *)(const void *)open;
    const seq_store *s = &v->store;
    uint8_t status[4096];
    if (!bragg_bytes_read(s->fd, state, s->room * sizeof *state, s->offset[CHECK]))
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

bool bragg_store_view_frame(bragg_store_view *open, size_t k, float *observed, float *calculated, float *sigma)
{
    seq_view *v = (seq_view *)(void *)open;
    bragg_series *series = &v->open.series;
    bragg_arena *own = series->arena;
    char message[TEXT] = "", name[TEXT] = "";
    bragg_arena_free(v->seen);
    v->seen = bragg_arena_new();
    if (!v->seen || !bragg_store_row(&v->store, k, v->row, message, name))
        return false;
    series->arena = v->seen; /* set_frame keeps the message there */
    name[TEXT - 1] = 0;
    bragg_series_frame *frame = series->frame;
    frame->file = bragg_arena_strdup(v->seen, name);
    read_joined(&v->store, k, &frame->log);
    bragg_status st = bragg_series_set_frame(series, 0, v->row, message, NULL);
    series->arena = own;
    bragg_step_set(&v->shape, frame, v->row, series->by_hand);
    return st == BRAGG_OK && frame->file && (!observed || read_part(&v->store, OBSERVED, k, observed)) &&
           (!calculated || read_part(&v->store, CALCULATED, k, calculated)) && (!sigma || read_part(&v->store, SIGMA, k, sigma));
}

/* Rows of the map: of more frames than `rows` neighbours are averaged, sigmas as those
 * of a mean. */
static bool average(const seq_store *s, int part, size_t first, size_t last, double *to)
{
    float *row = malloc((s->points + 1) * sizeof *row);
    bool whole = row;
    for (size_t i = 0; i < s->points; i++)
        to[i] = 0;
    size_t n = 0;
    for (size_t k = first; row && k < last; k++) {
        uint8_t status;
        bool told = read_part(s, STATUS, k, &status), there = told && status && read_part(s, part, k, row), has = false;
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
    atomic_bool lost;        /* a row could not be read */
};

static bragg_status read_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err)
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
static void read_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *to)
{
    static const int parts[] = { [BRAGG_CURVE_OBSERVED] = OBSERVED, [BRAGG_CURVE_CALCULATED] = CALCULATED, [BRAGG_CURVE_SIGMA] = SIGMA };
    const seq_store *s = &c->stored->view;
    size_t first = row * c->frames, last = first + c->frames < s->room ? first + c->frames : s->room;
    if (!average(s, parts[which], first, last, to))
        atomic_store(&c->stored->lost, true);
}

static bool rows_lost(const struct bragg_store_rows *stored) { return stored && atomic_load(&stored->lost); }

static void free_rows(struct bragg_store_rows *stored)
{
    if (stored)
        close_view(&stored->view);
    free(stored);
}

/* ------------------------------------------------------- further tables */

static void read_numbers(char *line, double *v, size_t n)
{
    line[strcspn(line, "\n")] = 0;
    for (size_t k = 0; k < n; k++) {
        const char *field = strsep(&line, ",");
        if (!field || !bragg_number_parse(field, &v[k]))
            v[k] = NAN;
    }
}

/* The lines that follow, a row each, written as they are read: tables of long runs are long. */
static bool put_numbers(hid_t file, const char *path, FILE *from, size_t columns)
{
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT), space = set >= 0 ? H5Dget_space(set) : -1;
    hsize_t at[2] = { 0, 0 }, count[2] = { 1, columns };
    hid_t row = H5Screate_simple(2, count, NULL);
    double *v = malloc((columns + 1) * sizeof *v);
    char *line = NULL;
    size_t room = 0;
    bool good = v && space >= 0;
    for (; good && getline(&line, &room, from) > 0; at[0]++) {
        read_numbers(line, v, columns);
        good = H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, count, NULL) >= 0 && H5Dwrite(set, H5T_NATIVE_DOUBLE, row, space, H5P_DEFAULT, v) >= 0;
    }
    free(line);
    free(v);
    H5Sclose(row);
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return good && !ferror(from);
}

/* The fields of a line as texts one behind the other; to has room for as many bytes as the
 * line.  Their number. */
static size_t split(const char *line, char *to)
{
    size_t n = 1;
    for (; bragg_csv_field(&line, to, strlen(line) + 1); n++)
        to += strlen(to) + 1;
    return n;
}

/* First line names, the others numbers; an empty one is NAN. */
static bool put_table(hid_t file, const char *name, FILE *from)
{
    size_t rows = 0, columns = 0, room = 0;
    char path[NAME], *head = NULL, *text;
    bool good = getline(&head, &room, from) > 0;
    long begin = ftell(from);
    for (int c = getc(from); c != EOF; c = getc(from))
        rows += c == '\n';
    good = good && begin >= 0 && !fseek(from, begin, SEEK_SET);
    text = good ? malloc(strlen(head) + 1) : NULL;
    if ((good = text != NULL))
        columns = split(head, text);
    const char **names = calloc(columns + 1, sizeof *names);
    for (size_t k = 0, at = 0; good && names && k < columns; k++) {
        names[k] = text + at;
        at += strlen(names[k]) + 1;
    }
    hsize_t dims[2] = { rows, columns };
    snprintf(path, sizeof path, "/analysis/%.60s", name);
    good = good && names && put_set(file, path, H5T_NATIVE_DOUBLE, 2, dims, NULL) && put_numbers(file, path, from, columns);
    snprintf(path, sizeof path, "/analysis/%.60s_columns", name);
    good = good && put_names(file, path, names, columns);
    free(names);
    free(text);
    free(head);
    return good;
}

static bool put_tables(const char *path, const char *const *names, FILE *const *tables, size_t n, const char *json)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (file < 0)
        return false;
    bool good = H5Lexists(file, "/analysis", H5P_DEFAULT) <= 0 || H5Ldelete(file, "/analysis", H5P_DEFAULT) >= 0;
    hid_t group = H5Gcreate2(file, "/analysis", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    good = good && group >= 0;
    for (size_t k = 0; k < n && good; k++)
        good = put_table(file, names[k], tables[k]);
    good = good && put_text(file, "/analysis/json", json);
    if (group >= 0)
        H5Gclose(group);
    return H5Fclose(file) >= 0 && good;
}

static bool copy_file(const char *from, const char *to)
{
    char piece[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;
    bool good = in && out;
    while (good && (n = fread(piece, 1, sizeof piece, in)) > 0)
        good = fwrite(piece, 1, n, out) == n;
    good = good && !ferror(in) && !fflush(out) && !fsync(fileno(out));
    if (in)
        fclose(in);
    if (out)
        good = !fclose(out) && good;
    return good;
}

/* Into a copy that takes the store's place: whoever reads has a whole file, whatever
 * happens meanwhile. */
bragg_status bragg_store_add_tables(const char *store, const char *const *names, FILE *const *tables, size_t n, const char *json, bragg_error *err)
{
    char *new = beside(store, ".new");
    bragg_status st = new ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    errno = 0;
    bool good = st == BRAGG_OK && copy_file(store, new) && put_tables(new, names, tables, n, json) && !bragg_hdf5_failed() && !rename(new, store);
    if (st == BRAGG_OK && !good)
        st = bragg_fail(err, BRAGG_EIO, "'%s': the analysis cannot be added: %s", store, strerror(errno ? errno : EIO));
    st = bragg_hdf5_end_whole(turn, st, store, err);
    if (st < 0 && new)
        unlink(new);
    free(new);
    return st;
}

/* How many bytes of a data set are in the file: what its extents promise may be absurd. */
static size_t bytes_of(hid_t file, const char *path)
{
    hid_t set = H5Lexists(file, path, H5P_DEFAULT) > 0 ? bragg_hdf5_open_sound(file, path, H5P_DEFAULT) : -1;
    size_t bytes = set >= 0 ? H5Dget_storage_size(set) : 0;
    if (set >= 0)
        H5Dclose(set);
    return bytes;
}

/* A table of /analysis with as many columns as it must have; NULL when it is not there. */
static double *get_table(hid_t file, const char *path, size_t columns, size_t *rows)
{
    size_t bytes = bytes_of(file, path), line = columns * sizeof(double), n = bytes / line;
    double *v = n && n * line == bytes && extent(file, path, 0) == n && extent(file, path, 1) == columns ? malloc(bytes) : NULL;
    if (v && !get_set(file, path, H5T_NATIVE_DOUBLE, n * columns, v)) {
        free(v);
        v = NULL;
    }
    *rows = n;
    return v;
}

/* As analyse.c has written them: r, and G and esd of each row; the course, a row each. */
static bragg_status read_total(hid_t file, bragg_arena *arena, bragg_total **out, bragg_error *err)
{
    enum { COURSE = 8, CHANGED = 4 };
    size_t rows = H5Lexists(file, "/analysis", H5P_DEFAULT) > 0 ? extent(file, "/analysis/pdf-course", 0) : 0, n, same;
    if (!rows)
        return BRAGG_OK;
    if (rows > extent(file, part_names[TABLE], 0))
        return bragg_fail(err, BRAGG_EDATA, "/analysis/pdf-course: expected a row for some frames each, found %zu", rows);
    double *gr = get_table(file, "/analysis/pdf", 1 + 2 * rows, &n), *course = get_table(file, "/analysis/pdf-course", COURSE, &same);
    bragg_total *t = bragg_arena_alloc(arena, 1, sizeof *t);
    double *room = gr && course ? bragg_arena_alloc(arena, n * (1 + 2 * rows) + 4 * rows + 1, sizeof *room) : NULL;
    double middle = course ? course[0] : NAN; /* of the first row's frames, from 0 */
    size_t frames = middle >= 0 && middle < 1e9 ? (size_t)lround(2 * middle) + 1 : 0;
    bool good = gr && course && same == rows && frames && (rows - 1) * frames < extent(file, part_names[TABLE], 0);
    bragg_status st = !good ? bragg_fail(err, BRAGG_EDATA, "/analysis/pdf: not what was written there") : t && room ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for G(r)");
    if (st == BRAGG_OK) {
        *t = (bragg_total){ .n = n, .rows = rows, .frames = frames, .r_ang = room, .gr = room + n, .gr_sigma = room + n + n * rows,
                            .slope_expected = NAN, .used = BRAGG_PDF_OPTIONS_INIT };
        for (size_t i = 0; i < n; i++) {
            const double *line = gr + i * (1 + 2 * rows);
            t->r_ang[i] = line[0];
            for (size_t r = 0; r < rows; r++)
                t->gr[r * n + i] = line[1 + 2 * r], t->gr_sigma[r * n + i] = line[2 + 2 * r];
        }
        double *at = t->gr_sigma + n * rows;
        for (int k = 0; k < 4; k++, at += rows) {
            *(k < 2 ? &t->change[k] : &t->slope[k - 2]) = at;
            for (size_t r = 0; r < rows; r++)
                at[r] = course[r * COURSE + CHANGED + (size_t)k];
        }
        *out = t;
    }
    free(gr);
    free(course);
    return st;
}

/* All that HDF5 reads of a store, by a child (base/hdf5_safely.h) alone: what it says of it
 * is for the parent to find. */
static bragg_status survive(void *payload, bragg_error *err)
{
    const char *path = payload;
    bragg_series *s = NULL;
    bragg_total *total = NULL;
    hid_t file = bragg_hdf5_rehearses() ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (file >= 0 && read_store(path, &s, NULL) == BRAGG_OK)
        read_total(file, s->arena, &total, NULL);
    return BRAGG_OK;
    (void)err;
}

static bragg_status try_store(const char *path, bragg_error *err) { return bragg_hdf5_safely(path, "store", survive, (void *)path, err); }

bragg_status bragg_store_total(const char *path, bragg_arena *arena, bragg_total **out, bragg_error *err)
{
    *out = NULL;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = try_store(path, err);
    bool named = st < 0;
    hid_t file = st == BRAGG_OK ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (st == BRAGG_OK)
        st = file < 0 ? bragg_fail(err, BRAGG_EDATA, "'%s': cannot be opened as HDF5", path) : read_total(file, arena, out, err);
    if (file >= 0)
        H5Fclose(file);
    st = bragg_hdf5_end_whole(turn, st, path, err);
    return st < 0 && !named ? bragg_context(err, st, "'%s'", path) : st;
}

/* --------------------------------------------------- one at a time */

bragg_status bragg_store_open(const seq_store_start *o, seq_store **out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = o->resume && access(o->path, F_OK) == 0 ? try_store(o->path, err) : BRAGG_OK;
    st = bragg_hdf5_end_whole(turn, st < 0 ? st : open_store(o, out, err), o->path, err);
    if (st < 0 && *out)
        free_store(*out), *out = NULL;
    return st;
}

bragg_status bragg_store_room(seq_store *s, size_t frames, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    return bragg_hdf5_end_whole(turn, make_room(s, frames, err), s->path, err);
}

bragg_status bragg_store_close(seq_store *s, bragg_series *series, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = close_store(s, series, err);
    bragg_hdf5_end(turn);
    return st;
}

static bragg_status look(const char *path, bragg_store_view **out, bragg_error *err)
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
    v->open.series.by_hand = bragg_arena_alloc(arena, 1, sizeof(bragg_step));
    st = v->path && v->row && v->open.x_rad && v->open.series.by_hand && (v->seen = bragg_arena_new()) ? bragg_series_attach(&v->open.series, &v->shape, 1, err)
                                                                            : bragg_fail(err, BRAGG_ENOMEM, "no room for a view");
    if (st == BRAGG_OK)
        read_positions(file, v->open.x_rad, s->points);
    if (st == BRAGG_OK)
        st = read_notes(file, &v->open.series, err);
    H5Fclose(file);
    if (st < 0)
        bragg_store_view_free(&v->open);
    else
        *out = &v->open;
    return st;
}

bragg_status bragg_store_look(const char *path, bragg_store_view **out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = try_store(path, err);
    st = bragg_hdf5_end_whole(turn, st < 0 ? st : look(path, out, err), path, err);
    if (st < 0 && *out)
        bragg_store_view_free(*out), *out = NULL;
    return st;
}

bragg_status bragg_store_read(const char *path, bragg_series **out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    *out = NULL;
    bragg_status st = try_store(path, err);
    st = bragg_hdf5_end_whole(turn, st < 0 ? st : read_store(path, out, err), path, err);
    if (st < 0 && *out)
        bragg_series_free(*out), *out = NULL;
    return st;
}

bragg_status bragg_store_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    return bragg_hdf5_end_whole(turn, read_patterns(path, rows, out, err), path, err);
}

#endif

const double *bragg_store_curves_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *room)
{
    const double *kept = which == BRAGG_CURVE_OBSERVED ? c->observed : which == BRAGG_CURVE_CALCULATED ? c->calculated : c->sigma;
    if (kept)
        return kept + row * c->n;
    read_row(c, which, row, room);
    return room;
}

bragg_status bragg_store_curves_whole(const bragg_store_curves *c, bragg_error *err)
{
    return rows_lost(c->stored) ? bragg_fail(err, BRAGG_EIO, "patterns of the store cannot be read: is its disk there?") : BRAGG_OK;
}

void bragg_store_curves_free(bragg_store_curves *c)
{
    free_rows(c->stored);
    free(c->x_rad);
    *c = (bragg_store_curves){ 0 };
}
