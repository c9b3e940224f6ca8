/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store's file: what is laid out in it, and where its parts are. */
#include "config.h"

#ifdef HAVE_HDF5

#include "store_parts.h"

#include "base/hdf5_links.h"
#include "base/hdf5_put.h"
#include "base/hdf5_safely.h"
#include <bragg/hdf5.h>
#include <bragg/units.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bragg_store_part[PARTS] = { "/series/table", "/series/file", "/series/message", "/patterns/observed", "/patterns/calculated",
                                               "/patterns/sigma", "/series/log", "/series/check", "/series/status" };

const char *const bragg_store_text[4] = { "/title", "/provenance", "/experiment", "/notes" };

const char *const bragg_store_time[2] = { "/series/time_s", "/series/exposure_s" };

void bragg_store_size_parts(seq_store *s)
{
    const size_t size[PARTS] = { [TABLE] = s->columns * sizeof(double), [FILES] = TEXT, [MESSAGES] = TEXT, [OBSERVED] = s->points * sizeof(float),
                                 [CALCULATED] = s->points * sizeof(float), [SIGMA] = s->points * sizeof(float), [LOG] = LOG_COLUMNS * sizeof(double), [CHECK] = sizeof(uint64_t), [STATUS] = 1 };
    memcpy(s->size, size, sizeof size);
}

hid_t bragg_store_text_type(size_t length)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, length);
    H5Tset_strpad(t, H5T_STR_NULLPAD);
    return t;
}

bool bragg_store_put_set(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, const void *data)
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

bool bragg_store_put_text(hid_t file, const char *name, const char *text)
{
    hid_t type = bragg_store_text_type(text && *text ? strlen(text) : 1);
    bool good = bragg_store_put_set(file, name, type, 0, NULL, text ? text : "");
    H5Tclose(type);
    return good;
}

bool bragg_store_put_names(hid_t file, const char *name, const char *const *at, size_t n)
{
    char(*text)[NAME] = bragg_hdf5_noted(calloc(n + 1, sizeof *text));
    hid_t type = bragg_store_text_type(NAME);
    hsize_t dims = n;
    for (size_t k = 0; text && k < n; k++)
        snprintf(text[k], sizeof *text, "%s", at[k]);
    bool good = text && (!n || bragg_store_put_set(file, name, type, 1, &dims, text));
    H5Tclose(type);
    free(text);
    return good;
}

/* What each column of the table is. */
static bool put_columns(hid_t file, const seq_store *s)
{
    static const char *const head[] = { "status", "converged", "restarted", "rwp", "gof", "serial_factor", "mean_intensity", "path", "time_s", "exposure_s",
                                        "temperature_k", "reference_gof", "mended", "background", "background.esd", "above_background" };
    _Static_assert(sizeof head / sizeof *head == ROW_HEAD, "a name for each column");
    static const char *const what[PHASE_COLUMNS] = { "weight_fraction", "weight_fraction.esd", "volume", "volume.esd", "weight_fraction.limit", "weight_fraction.guess", "weight_fraction.guess.esd", "evidence", "level" };
    static const char *const log[LOG_COLUMNS] = { "time_s", "voltage_v", "current_a", "temperature_k", "charge_c", "capacity_mah_g", "cycle", "step" };
    seq_shape shape = { .n_params = s->n_params, .n_phases = s->n_phases, .columns = s->columns, .name = s->name, .unit = s->unit, .phase = s->phase };
    size_t(*pair)[2] = bragg_hdf5_noted(calloc(s->n_params * s->n_params / 2 + 1, sizeof *pair));
    if (pair)
        bragg_seq_complete(&shape, pair);
    char(*text)[NAME] = bragg_hdf5_noted(calloc(s->columns + 1, sizeof *text));
    const char **at = bragg_hdf5_noted(calloc(s->columns + 1, sizeof *at));
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
    for (size_t k = 0; good && k < 2 * BRAGG_FRAME_UNKNOWN_PEAKS; k++)
        snprintf(text[seq_unknown(&shape) + k], NAME, "unexplained.%zu.%s", k / 2, k % 2 ? "significance" : "two_theta_rad");
    for (size_t k = 0; good && k < shape.n_pairs; k++)
        snprintf(text[seq_correlation(&shape) + k], NAME, "correlation.%.56s:%.56s", s->name[pair[k][0]], s->name[pair[k][1]]);
    for (size_t k = 0; good && k < s->n_params; k++) {
        snprintf(text[seq_known(&shape, k)], NAME, "%.110s.known", s->name[k]);
        snprintf(text[seq_doubt(&shape, k)], NAME, "%.110s.known.doubt", s->name[k]);
    }
    good = good && bragg_store_put_names(file, "/series/columns", at, s->columns) && bragg_store_put_names(file, "/series/log_columns", log, LOG_COLUMNS) &&
           bragg_store_put_names(file, "/series/parameters", s->name, s->n_params) && bragg_store_put_names(file, "/series/units", s->unit, s->n_params) &&
           bragg_store_put_names(file, "/series/phases", s->phase, s->n_phases);
    free(pair);
    free(text);
    free(at);
    return good;
}

static bool put_parts(hid_t file, const seq_store *s)
{
    const hsize_t dims[PARTS][2] = { [TABLE] = { s->room, s->columns }, [FILES] = { s->room }, [MESSAGES] = { s->room }, [OBSERVED] = { s->room, s->points },
                                     [CALCULATED] = { s->room, s->points }, [SIGMA] = { s->room, s->points }, [LOG] = { s->room, LOG_COLUMNS }, [CHECK] = { s->room }, [STATUS] = { s->room } };
    hid_t text = bragg_store_text_type(TEXT);
    const hid_t type[PARTS] = { H5T_NATIVE_DOUBLE, text, text, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, H5T_NATIVE_UINT64, H5T_NATIVE_UINT8 };
    bool good = true;
    for (int k = 0; k < PARTS && good; k++)
        good = bragg_store_put_set(file, bragg_store_part[k], type[k], dims[k][1] ? 2 : 1, dims[k], NULL);
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
            good = bragg_store_put_set(file, list[k].name, H5T_NATIVE_DOUBLE, 1, &n, s->log->channel[list[k].channel]);
    if (good && s->molar_mass > 0)
        good = bragg_store_put_set(file, "/log/molar_mass", H5T_NATIVE_DOUBLE, 0, NULL, &s->molar_mass);
    if (group >= 0)
        H5Gclose(group);
    return good;
}

/* When each frame was taken, which its row knows only where the frame says so itself. */
static bool put_times(hid_t file, const bragg_series *s)
{
    hsize_t n = s ? s->n : 0;
    double *time = n ? bragg_hdf5_noted(malloc(2 * n * sizeof *time)) : NULL;
    for (size_t k = 0; time && k < n; k++)
        time[k] = s->frame[k].time_s, time[n + k] = s->frame[k].exposure_s;
    bool good = !n || (time && bragg_store_put_set(file, bragg_store_time[0], H5T_NATIVE_DOUBLE, 1, &n, time) && bragg_store_put_set(file, bragg_store_time[1], H5T_NATIVE_DOUBLE, 1, &n, time + n));
    free(time);
    return good;
}

static bool put_clock(hid_t file, const bragg_series *s)
{
    hsize_t n = CLOCK_NUMBERS;
    const bragg_clock none = BRAGG_CLOCK_INIT, *c = s ? &s->clock : &none;
    const double v[CLOCK_NUMBERS] = { c->reference_s, c->offset_s, c->drift, c->offset_esd_s, c->drift_esd, s ? s->clock_zero_s : 0 };
    return bragg_store_put_set(file, "/clock", H5T_NATIVE_DOUBLE, 1, &n, v);
}

char *bragg_store_notes(const bragg_series *s)
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
bragg_status bragg_store_make_file(const seq_store *s, const bragg_series *series, const char *path, bragg_error *err)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0)
        return bragg_fail(err, BRAGG_EIO, "'%s': cannot be made", path);
    hid_t a = H5Gcreate2(file, "/series", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), b = H5Gcreate2(file, "/patterns", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    double *deg = bragg_hdf5_noted(malloc((s->points + 1) * sizeof *deg));
    for (size_t i = 0; deg && i < s->points; i++)
        deg[i] = s->x_rad[i] / BRAGG_DEG;
    hsize_t n = s->points;
    const int format = FORMAT;
    bool good = a >= 0 && b >= 0 && deg && bragg_store_put_text(file, "/creator", "bragg " PACKAGE_VERSION) && bragg_store_put_set(file, "/format", H5T_NATIVE_INT, 0, NULL, &format) &&
                bragg_store_put_set(file, "/patterns/two_theta_deg", H5T_NATIVE_DOUBLE, 1, &n, deg) &&
                bragg_store_put_set(file, "/patterns/wavelength_ang", H5T_NATIVE_DOUBLE, 0, NULL, &s->wavelength_ang) && put_columns(file, s) && put_parts(file, s) &&
                put_times(file, series) && put_clock(file, series);
    for (int k = 0; k < 4 && good; k++)
        good = bragg_store_put_text(file, bragg_store_text[k], s->texts[k]);
    good = good && put_log(file, series);
    free(deg);
    H5Gclose(a);
    H5Gclose(b);
    good = H5Fclose(file) >= 0 && good && !bragg_hdf5_failed();
    return good ? BRAGG_OK : bragg_fail(err, bragg_status_of_errno(bragg_hdf5_failed()), "'%s': cannot be written: %s", path, strerror(bragg_hdf5_failed() ? bragg_hdf5_failed() : EIO));
}

/* The n values of a data set that has n of them; false, and nothing read, of any other. */
bool bragg_store_get_set(hid_t file, const char *name, hid_t type, size_t n, void *to)
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
bragg_status bragg_store_check_format(hid_t file, const char *path, bragg_error *err)
{
    int format = 0;
    if (file < 0 || H5Lexists(file, "/series", H5P_DEFAULT) <= 0)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected a store of bragg operando, found another file", path);
    bragg_store_get_set(file, "/format", H5T_NATIVE_INT, 1, &format);
    if (format > FORMAT)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': was written by a newer bragg (format %d, this one reads %d): use that one, or --force begins anew", path, format, FORMAT);
    return format == FORMAT ? BRAGG_OK
                            : bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': was written by an older bragg (format %d, this one reads %d); --force begins anew", path, format, FORMAT);
}

bragg_status bragg_store_find_parts(seq_store *s, const char *path, bragg_error *err)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bragg_status st = bragg_store_check_format(file, path, err);
    bool good = st == BRAGG_OK;
    for (int k = 0; k < PARTS && good; k++) {
        hid_t set = bragg_hdf5_open_sound(file, bragg_store_part[k], H5P_DEFAULT);
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

char *bragg_store_get_text(hid_t file, const char *name)
{
    hid_t set = bragg_hdf5_open_sound(file, name, H5P_DEFAULT), type = set >= 0 ? H5Dget_type(set) : -1;
    size_t n = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : 0;
    char *text = n ? bragg_hdf5_noted(calloc(n + 1, 1)) : NULL;
    if (text && !bragg_store_get_set(file, name, type, 1, text))
        *text = 0;
    if (type >= 0)
        H5Tclose(type);
    if (set >= 0)
        H5Dclose(set);
    return text;
}

size_t bragg_store_extent(hid_t file, const char *name, int axis)
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

char *bragg_store_beside(const char *path, const char *ending)
{
    size_t n = strlen(path) + strlen(ending) + 1;
    char *text = malloc(n);
    if (text)
        snprintf(text, n, "%s%s", path, ending);
    return text;
}

#endif
