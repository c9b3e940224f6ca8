/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NXazint1d and NXazint2d: integrated frames in HDF5, read and written. */
#include "config.h"
#include "reader.h"

#include <bragg/nxazint.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool bragg_pattern_nxazint_is(const char *spec)
{
    char path[4096];
    unsigned char head[8] = { 0 };
    const char *inside, *slice;
    size_t length = bragg_path_split(spec, &inside, &slice);
    if (length >= sizeof path)
        return false;
    snprintf(path, sizeof path, "%.*s", (int)length, spec);
    FILE *in = fopen(path, "rb");
    if (!in)
        return false;
    size_t n = fread(head, 1, sizeof head, in);
    fclose(in);
    return n == 8 && !memcmp(head, "\x89HDF\r\n\x1a\n", 8);
}

#ifndef HAVE_HDF5

static bragg_status no_hdf5(const char *path, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
}

bragg_status bragg_nxazint_create(const char *path, bool force, const bragg_nxazint_header *header, bragg_error *err)
{
    return no_hdf5(path, err);
    (void)force, (void)header;
}

bragg_status bragg_nxazint_append(const char *path, const bragg_nxazint_header *header, size_t n, const bragg_nxazint_row *rows,
                                  const double *intensity, const double *sigma, const double *deviation, bragg_error *err)
{
    return no_hdf5(path, err);
    (void)header, (void)n, (void)rows, (void)intensity, (void)sigma, (void)deviation;
}

bragg_status bragg_nxazint_resume(const char *path, const bragg_nxazint_header *header, size_t *n, char *last, bragg_error *err)
{
    return no_hdf5(path, err);
    (void)header, (void)n, (void)last;
}

bragg_status bragg_pattern_nxazint_read(const char *spec, pattern_list *list, bragg_error *err)
{
    return no_hdf5(spec, err);
    (void)list;
}

#else

#include "base/hdf5_links.h"
#include "base/hdf5_safely.h"
#include "base/hdf5_put.h"
#include <bragg/hdf5.h>

enum { NAME = 256, ROWS_A_CHUNK = 16, NAMES_A_CHUNK = 128 };

/* ----------------------------------------------------------------- writing */

/* An empty data set that grows by frames. */
static bool put_growing(hid_t file, const char *path, hid_t type, int rank, const hsize_t *size, hsize_t rows_a_chunk, const char *units, const char *long_name)
{
    hsize_t dims[3] = { 0, rank > 1 ? size[0] : 0, rank > 2 ? size[1] : 0 }, most[3] = { H5S_UNLIMITED, dims[1], dims[2] };
    hsize_t chunk[3] = { rows_a_chunk, dims[1], dims[2] };
    hid_t space = H5Screate_simple(rank, dims, most), how = bragg_hdf5_new_set();
    H5Pset_chunk(how, rank, chunk);
    hid_t set = H5Dcreate2(file, path, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    bool good = set >= 0 && (!units || bragg_hdf5_put_text_attribute(set, "units", units)) && (!long_name || bragg_hdf5_put_text_attribute(set, "long_name", long_name));
    H5Dclose(set);
    H5Pclose(how);
    H5Sclose(space);
    return good;
}

static const char *units_of(bragg_axis axis)
{
    switch (axis) {
    case BRAGG_AXIS_TTH: return "degrees";
    case BRAGG_AXIS_Q: return "1/angstrom";
    case BRAGG_AXIS_QNM: return "1/nm";
    case BRAGG_AXIS_D: return "angstrom";
    case BRAGG_AXIS_R: return "mm";
    }
    return "";
}

static const char *label_of(bragg_axis axis)
{
    return axis == BRAGG_AXIS_TTH ? "2theta" : axis == BRAGG_AXIS_D ? "d" : axis == BRAGG_AXIS_R ? "r" : "q";
}

/* Centres and edges of even bins, or of even logarithms, in the unit of files. */
static bool put_axis(hid_t file, const char *name, const double *centre, size_t n, bool logarithmic, double factor, const char *units, const char *label)
{
    char path[64], text[64];
    double *v = bragg_hdf5_noted(malloc((2 * n + 1) * sizeof *v)), *edge = v + n;
    if (!v)
        return false;
    double span = logarithmic ? log(centre[n - 1] / centre[0]) : centre[n - 1] - centre[0], step = n > 1 ? span / (double)(n - 1) : 1;
    for (size_t k = 0; k < n; k++)
        v[k] = centre[k] / factor;
    for (size_t k = 0; k <= n; k++)
        edge[k] = (logarithmic ? centre[0] * exp(((double)k - 0.5) * step) : centre[0] + ((double)k - 0.5) * step) / factor;
    snprintf(path, sizeof path, "/entry/data/%s", name);
    bool good = bragg_hdf5_put(file, path, H5T_NATIVE_DOUBLE, n, v, units, label);
    snprintf(path, sizeof path, "/entry/data/%s_edges", name);
    snprintf(text, sizeof text, "%s bin edges", label);
    good = good && bragg_hdf5_put(file, path, H5T_NATIVE_DOUBLE, n + 1, edge, units, text);
    free(v);
    return good;
}

static bool put_norm(hid_t file, const bragg_nxazint_header *h)
{
    hsize_t dims[2] = { h->n_azimuth ? h->n_azimuth : h->n_rings, h->n_rings };
    hid_t space = H5Screate_simple(h->n_azimuth ? 2 : 1, dims, NULL), how = bragg_hdf5_new_set();
    hid_t set = H5Dcreate2(file, "/entry/data/norm", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    bool good = set >= 0 && H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, h->norm) >= 0 &&
                bragg_hdf5_put_text_attribute(set, "long_name", "sum of pixel parts times corrections of a bin");
    H5Dclose(set);
    H5Sclose(space);
    return good;
}

static bool put_data(hid_t file, const bragg_nxazint_header *h)
{
    static const char axes[3][NAME] = { ".", "azimuthal_axis", "radial_axis" }, flat[2][NAME] = { ".", "radial_axis" };
    bool cake = h->n_azimuth > 0, good = bragg_hdf5_put_group(file, "/entry/data", "NXdata");
    hid_t g = H5Gopen2(file, "/entry/data", H5P_DEFAULT), type = bragg_hdf5_text_type(NAME);
    good = good && bragg_hdf5_put_text_attribute(g, "signal", "I") && bragg_hdf5_put_text_attribute(g, "interpretation", cake ? "image" : "spectrum") &&
           bragg_hdf5_put_attribute(g, "axes", type, cake ? 3 : 2, cake ? (const void *)axes : (const void *)flat);
    H5Tclose(type);
    H5Gclose(g);
    hsize_t size[2] = { cake ? h->n_azimuth : h->n_rings, h->n_rings };
    hsize_t rows = h->n_rings * (cake ? h->n_azimuth : 1) > 1 << 16 ? 1 : ROWS_A_CHUNK;
    good = good && put_axis(file, "radial_axis", h->x, h->n_rings, h->logarithmic, bragg_axis_factor(h->axis), units_of(h->axis), label_of(h->axis));
    good = good && (!cake || put_axis(file, "azimuthal_axis", h->chi_rad, h->n_azimuth, false, BRAGG_DEG, "degrees", "azimuth"));
    good = good && put_growing(file, "/entry/data/I", H5T_IEEE_F32LE, cake ? 3 : 2, size, rows, "arbitrary units", "intensity");
    good = good && put_growing(file, "/entry/data/I_errors", H5T_IEEE_F32LE, cake ? 3 : 2, size, rows, "arbitrary units", "standard error of the intensity");
    good = good && (!h->deviations || put_growing(file, "/entry/data/I_deviations", H5T_IEEE_F32LE, cake ? 3 : 2, size, rows, "arbitrary units", "standard deviation of a pixel"));
    return good && (!h->norm || put_norm(file, h));
}

static bool put_frames(hid_t file)
{
    hid_t name = bragg_hdf5_text_type(NAME);
    bool good = bragg_hdf5_put_group(file, "/entry/frames", "NXcollection") && put_growing(file, "/entry/frames/name", name, 1, NULL, NAMES_A_CHUNK, NULL, "file and frame") &&
                put_growing(file, "/entry/frames/time", H5T_IEEE_F64LE, 1, NULL, NAMES_A_CHUNK, "s", "start, seconds since 1970") &&
                put_growing(file, "/entry/frames/exposure", H5T_IEEE_F64LE, 1, NULL, NAMES_A_CHUNK, "s", NULL) &&
                put_growing(file, "/entry/frames/monitor", H5T_IEEE_F64LE, 1, NULL, NAMES_A_CHUNK, "counts", NULL) &&
                put_growing(file, "/entry/frames/temperature", H5T_IEEE_F64LE, 1, NULL, NAMES_A_CHUNK, "K", NULL) &&
                put_growing(file, "/entry/frames/valid", H5T_STD_U8LE, 1, NULL, NAMES_A_CHUNK, NULL, "0: the frame could not be integrated");
    H5Tclose(name);
    return good;
}

/* What the definition wants of instrument and process.  It fixes the note on the
 * azimuth, and asks for an instrument's and a source's name. */
static bool put_process(hid_t file, const bragg_nxazint_header *h)
{
    char date[64];
    time_t now = time(NULL);
    struct tm utc;
    const int one_part = 1;
    char note[600];
    snprintf(note, sizeof note, "Geometry convention:\nAzimuthal origin in the horizontal plane to the right of the beam position, "
             "i.e., at 3 o'clock, seen from the sample. Positive azimuthal direction: clockwise.\n%.200s",
             h->bins ? h->bins : "Bins are ratios of sums: counts over solid angle, polarization and pixel parts.");
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    bool good = bragg_hdf5_put_group(file, "/entry/instrument", "NXinstrument") && bragg_hdf5_put_text(file, "/entry/instrument/name", "unknown") &&
                bragg_hdf5_put_group(file, "/entry/instrument/source", "NXsource") && bragg_hdf5_put_text(file, "/entry/instrument/source/name", "unknown") &&
                bragg_hdf5_put_text(file, "/entry/instrument/source/type", "unknown") && bragg_hdf5_put_text(file, "/entry/instrument/source/probe", "x-ray") &&
                bragg_hdf5_put_group(file, "/entry/instrument/monochromator", "NXmonochromator") && bragg_hdf5_put_group(file, "/entry/reduction", "NXprocess") &&
                bragg_hdf5_put_text(file, "/entry/reduction/program", "bragg") && bragg_hdf5_put_text(file, "/entry/reduction/version", PACKAGE_VERSION) &&
                bragg_hdf5_put_text(file, "/entry/reduction/date", date) &&
                bragg_hdf5_put_text(file, "/entry/reduction/note", note) &&
                bragg_hdf5_put_group(file, "/entry/reduction/input", "NXparameters") && bragg_hdf5_put_text(file, "/entry/reduction/input/poni", h->poni ? h->poni : "") &&
                bragg_hdf5_put_text(file, "/entry/reduction/input/poni_file", h->poni_name ? h->poni_name : "") &&
                bragg_hdf5_put_text(file, "/entry/reduction/input/settings", h->settings ? h->settings : "") &&
                bragg_hdf5_put_text(file, "/entry/reduction/input/unit", bragg_axis_name(h->axis)) &&
                bragg_hdf5_put_number(file, "/entry/reduction/input/radial_bins", (double)h->n_rings, NULL) &&
                bragg_hdf5_put_number(file, "/entry/reduction/input/azimuth_bins", h->n_azimuth ? (double)h->n_azimuth : 1, NULL) &&
                bragg_hdf5_put_number(file, "/entry/reduction/input/polarization_factor", isnan(h->polarization) ? 0 : h->polarization, NULL);
    if (good && h->bin_rad > 0)
        good = bragg_hdf5_put_number(file, "/entry/reduction/input/bin_width", h->bin_rad / BRAGG_DEG, "degrees");
    if (good && h->pixel_rad > 0)
        good = bragg_hdf5_put_number(file, "/entry/reduction/input/pixel_width", h->pixel_rad / BRAGG_DEG, "degrees");
    if (good && h->correlation)
        good = bragg_hdf5_put(file, "/entry/reduction/input/bin_correlation", H5T_NATIVE_DOUBLE, BRAGG_PATTERN_LAGS, h->correlation, NULL, "of the errors of bins 1, 2 ... apart");
    if (good && h->split && *h->split)
        good = bragg_hdf5_put_text(file, "/entry/reduction/input/pixel_splitting", h->split);
    if (good && h->split && !strcmp(h->split, "none")) /* by area a pixel has no number of parts */
        good = bragg_hdf5_put(file, "/entry/reduction/input/n_splitting", H5T_NATIVE_INT, 0, &one_part, NULL, NULL);
    if (good && h->wavelength_ang > 0)
        good = bragg_hdf5_put_number(file, "/entry/instrument/monochromator/wavelength", h->wavelength_ang, "angstrom") &&
               bragg_hdf5_put_number(file, "/entry/instrument/monochromator/energy", BRAGG_HC_KEV_ANG / h->wavelength_ang, "keV") &&
               bragg_hdf5_put_number(file, "/entry/reduction/input/wavelength", h->wavelength_ang, "angstrom");
    return good;
}

static bool put_entry(hid_t file, const bragg_nxazint_header *h)
{
    unsigned char angle = h->solid_angle, polarized = !isnan(h->polarization), normalized = 1;
    bool good = bragg_hdf5_put_text_attribute(file, "NX_class", "NXroot") && bragg_hdf5_put_text_attribute(file, "default", "entry") && bragg_hdf5_put_group(file, "/entry", "NXentry");
    hid_t g = H5Gopen2(file, "/entry", H5P_DEFAULT);
    good = good && bragg_hdf5_put_text_attribute(g, "default", "data");
    H5Gclose(g);
    return good && bragg_hdf5_put_text(file, "/entry/definition", h->n_azimuth ? "NXazint2d" : "NXazint1d") &&
           bragg_hdf5_put(file, "/entry/solid_angle_applied", H5T_NATIVE_UINT8, 0, &angle, NULL, NULL) &&
           bragg_hdf5_put(file, "/entry/polarization_applied", H5T_NATIVE_UINT8, 0, &polarized, NULL, NULL) &&
           bragg_hdf5_put(file, "/entry/normalization_applied", H5T_NATIVE_UINT8, 0, &normalized, NULL, NULL) && put_process(file, h) && put_frames(file) && put_data(file, h);
}

bragg_status bragg_nxazint_create(const char *path, bool force, const bragg_nxazint_header *h, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    bool good = false;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    hid_t file = H5Fcreate(bragg_output_temporary(out), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    good = file >= 0 && put_entry(file, h);
    good = H5Fclose(file) >= 0 && good;
    st = bragg_hdf5_end_whole(turn, good ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': cannot be written", path), path, err);
    if (st < 0) {
        bragg_output_abandon(out);
        return st;
    }
    return bragg_output_commit(out, err);
}

/* Rows first … first + n - 1 of a data set that grows to hold them. */
static bool add_rows(hid_t file, const char *path, hid_t memory, hsize_t first, hsize_t n, const void *values)
{
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT), space = H5Dget_space(set);
    hsize_t dims[3] = { 0, 1, 1 }, start[3] = { first, 0, 0 };
    int rank = H5Sget_simple_extent_ndims(space);
    bool good = rank >= 1 && rank <= 3 && H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    H5Sclose(space);
    dims[0] = first + n;
    good = good && H5Dset_extent(set, dims) >= 0;
    dims[0] = n;
    hid_t room = H5Screate_simple(rank, dims, NULL);
    space = H5Dget_space(set);
    good = good && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, dims, NULL) >= 0 && H5Dwrite(set, memory, room, space, H5P_DEFAULT, values) >= 0;
    H5Sclose(room);
    H5Sclose(space);
    H5Dclose(set);
    return good;
}

static hsize_t rows_of(hid_t file)
{
    hid_t set = H5Dopen2(file, "/entry/data/I", H5P_DEFAULT), space = H5Dget_space(set);
    hsize_t dims[3] = { 0 };
    if (H5Sget_simple_extent_ndims(space) <= 3)
        H5Sget_simple_extent_dims(space, dims, NULL);
    H5Sclose(space);
    H5Dclose(set);
    return dims[0];
}

static bool add_facts(hid_t file, hsize_t first, size_t n, const bragg_nxazint_row *rows)
{
    static const struct { const char *path; size_t offset; } numbers[] = {
        { "/entry/frames/time", offsetof(bragg_nxazint_row, time_s) }, { "/entry/frames/exposure", offsetof(bragg_nxazint_row, exposure_s) },
        { "/entry/frames/monitor", offsetof(bragg_nxazint_row, monitor) }, { "/entry/frames/temperature", offsetof(bragg_nxazint_row, temperature_k) } };
    double *v = bragg_hdf5_noted(malloc((n + 1) * sizeof *v));
    char(*name)[NAME] = bragg_hdf5_noted(calloc(n + 1, sizeof *name));
    unsigned char *valid = bragg_hdf5_noted(malloc(n + 1));
    bool good = v && name && valid;
    for (size_t i = 0; good && i < 4; i++) {
        for (size_t k = 0; k < n; k++)
            memcpy(&v[k], (const char *)&rows[k] + numbers[i].offset, sizeof *v);
        good = add_rows(file, numbers[i].path, H5T_NATIVE_DOUBLE, first, n, v);
    }
    for (size_t k = 0; good && k < n; k++) {
        snprintf(name[k], NAME, "%s", rows[k].name ? rows[k].name : "");
        valid[k] = rows[k].valid;
    }
    hid_t type = bragg_hdf5_text_type(NAME);
    good = good && add_rows(file, "/entry/frames/name", type, first, n, name) && add_rows(file, "/entry/frames/valid", H5T_NATIVE_UINT8, first, n, valid);
    H5Tclose(type);
    free(v);
    free(name);
    free(valid);
    return good;
}

static hid_t open_patiently(const char *path, unsigned how)
{
    enum { TRIES = 600 };
    const struct timespec tenth = { 0, 100000000 };
    hid_t file = -1;
    for (int k = 0; k < TRIES && (file = H5Fopen(path, how, H5P_DEFAULT)) < 0; k++)
        nanosleep(&tenth, NULL);
    return file;
}

/* The rows of intensities last: who sees them finds the rest. */
bragg_status bragg_nxazint_append(const char *path, const bragg_nxazint_header *h, size_t n, const bragg_nxazint_row *rows, const double *intensity,
                                  const double *sigma, const double *deviation, bragg_error *err)
{
    bool good = false;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    hid_t file = open_patiently(path, H5F_ACC_RDWR);
    hsize_t first = file >= 0 ? rows_of(file) : 0;
    good = file >= 0 && add_facts(file, first, n, rows) && add_rows(file, "/entry/data/I_errors", H5T_NATIVE_DOUBLE, first, n, sigma) &&
           (!h->deviations || add_rows(file, "/entry/data/I_deviations", H5T_NATIVE_DOUBLE, first, n, deviation)) &&
           add_rows(file, "/entry/data/I", H5T_NATIVE_DOUBLE, first, n, intensity);
    good = file >= 0 && H5Fclose(file) >= 0 && good;
    bragg_status st = good ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "'%s': %zu frames of %zu bins cannot be added: is the disk full, or another program writing to it?", path, n, h->n_rings);
    return bragg_hdf5_end_whole(turn, st, path, err);
}

/* ----------------------------------------------------------------- reading */

/* A text of any kind, "" when there is none. */
static void get_text(hdf5_links *links, hid_t file, const char *path, char *text, size_t size)
{
    *text = '\0';
    hid_t set = bragg_hdf5_open_set(links, file, path), type = set >= 0 ? H5Dget_type(set) : -1;
    if (type >= 0 && H5Tget_class(type) == H5T_STRING) {
        hid_t space = H5Dget_space(set);
        if (H5Tis_variable_str(type) > 0 && H5Sget_simple_extent_npoints(space) == 1) {
            char *value = NULL;
            hid_t memory = H5Tcopy(type);
            if (bragg_hdf5_read(set, memory, H5S_ALL, H5S_ALL, &value) >= 0 && value) {
                snprintf(text, size, "%s", value);
                H5Dvlen_reclaim(memory, space, H5P_DEFAULT, &value);
            }
            H5Tclose(memory);
        } else if (H5Tis_variable_str(type) == 0 && H5Tget_size(type) < 1 << 24 && H5Sget_simple_extent_npoints(space) == 1) {
            char *value = bragg_hdf5_noted(calloc(H5Tget_size(type) + 1, 1));
            if (value && bragg_hdf5_read(set, type, H5S_ALL, H5S_ALL, value) >= 0)
                snprintf(text, size, "%s", value);
            free(value);
        }
        H5Sclose(space);
    }
    if (type >= 0)
        H5Tclose(type);
    if (set >= 0)
        H5Dclose(set);
}

/* Its attribute, when it is one text: variable, as h5py writes them, or fixed. */
static void get_text_attribute(hid_t set, const char *name, char *text, size_t size)
{
    *text = '\0';
    hid_t a = H5Aexists(set, name) > 0 ? H5Aopen(set, name, H5P_DEFAULT) : -1, type = a >= 0 ? H5Aget_type(a) : -1, space = a >= 0 ? H5Aget_space(a) : -1;
    if (type >= 0 && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1 && H5Aget_storage_size(a) < 1 << 16) {
        char *value = NULL, fixed[1 << 16] = "";
        bool variable = H5Tis_variable_str(type) > 0;
        if (H5Aread(a, type, variable ? (void *)&value : (void *)fixed) >= 0 && (!variable || value))
            snprintf(text, size, "%s", variable ? value : fixed);
        if (value)
            H5free_memory(value);
    }
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (a >= 0)
        H5Aclose(a);
}

/* All numbers of a data set of one axis; the caller frees. */
static double *get_line(hdf5_links *links, hid_t file, const char *path, size_t *n)
{
    double *v = NULL;
    hsize_t dims[1] = { 0 };
    hid_t set = bragg_hdf5_open_set(links, file, path), space = set >= 0 ? H5Dget_space(set) : -1;
    if (space >= 0 && H5Sget_simple_extent_ndims(space) == 1)
        H5Sget_simple_extent_dims(space, dims, NULL);
    if (dims[0] > 0 && dims[0] <= MAX_POINTS && (v = bragg_hdf5_noted(malloc(dims[0] * sizeof *v))) && bragg_hdf5_read(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, v) < 0) {
        free(v);
        v = NULL;
    }
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    *n = v ? dims[0] : 0;
    return v;
}

static double get_number(hdf5_links *links, hid_t file, const char *path)
{
    double v = NAN;
    hid_t set = bragg_hdf5_open_set(links, file, path), space = set >= 0 ? H5Dget_space(set) : -1;
    if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 || bragg_hdf5_read(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, &v) < 0)
        v = NAN;
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return v;
}

/* What a file that is to be gone on with has. */
typedef struct begun {
    const char *path;
    char settings[4096], *poni, *last;
    size_t poni_room;        /* one byte more than what is expected: longer ones differ, too */
    size_t n, rings, azimuths;
    double *x;
    bool open;
} begun;

static bragg_status look_at_begun(void *payload, bragg_error *err)
{
    begun *b = payload;
    hdf5_links links;
    double *chi = NULL;
    hid_t file = bragg_hdf5_links_open(b->path, &links, NULL) < 0 ? -1 : open_patiently(b->path, H5F_ACC_RDONLY);
    if ((b->open = file >= 0)) {
        b->n = rows_of(file);
        get_text(&links, file, "/entry/reduction/input/settings", b->settings, sizeof b->settings);
        get_text(&links, file, "/entry/reduction/input/poni", b->poni, b->poni_room);
        b->x = get_line(&links, file, "/entry/data/radial_axis", &b->rings);
        chi = get_line(&links, file, "/entry/data/azimuthal_axis", &b->azimuths);
        hid_t set = H5Dopen2(file, "/entry/frames/name", H5P_DEFAULT), space = H5Dget_space(set), type = bragg_hdf5_text_type(NAME), one = H5Screate(H5S_SCALAR);
        hsize_t start = b->n ? b->n - 1 : 0, count = 1;
        if (b->n && (H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0 || bragg_hdf5_read(set, type, one, space, b->last) < 0))
            *b->last = '\0';
        H5Sclose(one);
        H5Tclose(type);
        H5Sclose(space);
        H5Dclose(set);
        H5Fclose(file);
    }
    bragg_hdf5_links_close(&links);
    free(chi);
    return BRAGG_OK;
    (void)err;
}

bragg_status bragg_nxazint_resume(const char *path, const bragg_nxazint_header *h, size_t *n, char *last, bragg_error *err)
{
    const char *poni = h->poni ? h->poni : "";
    begun b = { .path = path, .last = last, .poni_room = strlen(poni) + 2 };
    double f = bragg_axis_factor(h->axis);
    *last = '\0';
    if (!(b.poni = calloc(b.poni_room, 1)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a geometry");
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = bragg_hdf5_safely(path, "resume", look_at_begun, &b, err);
    st = bragg_hdf5_end_whole(turn, st, path, err);
    if (st < 0) {
        free(b.poni);
        return st;
    }
    *n = b.open ? b.n : *n;
    bool same = b.open && b.rings == h->n_rings && b.azimuths == h->n_azimuth && b.x && fabs(b.x[0] * f - h->x[0]) < 1e-9 * fabs(h->x[0]) + 1e-12 &&
                fabs(b.x[b.rings - 1] * f - h->x[b.rings - 1]) < 1e-9 * fabs(h->x[b.rings - 1]) && !strcmp(b.settings, h->settings ? h->settings : "") &&
                !strcmp(b.poni, poni);
    free(b.x);
    free(b.poni);
    if (!b.open)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected a file to go on with, found one that cannot be read", path);
    return same ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "'%s': was made with other settings (bins, geometry, mask or corrections): --force begins anew", path);
}

/* FILE:/path[frame]; path of an NXdata group or its I; "": /entry/data. */
typedef struct wanted {
    char file[4096], group[1024];
    long long frame;                  /* -1: all */
} wanted;

static bragg_status parse_spec(const char *spec, wanted *w, bragg_error *err)
{
    const char *group, *slice;
    size_t length = bragg_path_split(spec, &group, &slice);
    w->frame = -1;
    snprintf(w->file, sizeof w->file, "%.*s", (int)length, spec); /* bragg_pattern_nxazint_is() has seen how long it is */
    snprintf(w->group, sizeof w->group, "%.*s", (int)(slice - group), group);
    size_t n = strlen(w->group);
    if (n > 2 && !strcmp(w->group + n - 2, "/I"))
        w->group[n - 2] = '\0';
    if (!*w->group)
        strcpy(w->group, "/entry/data");
    if (*slice) {
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(slice + 1, "]"), slice + 1);
        if (!bragg_integer_parse(text, &w->frame) || w->frame < 0)
            return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a frame's number in [], found '%s'", spec, text);
    }
    return BRAGG_OK;
}

typedef struct stack {
    hid_t file, i, errors;
    hdf5_links links;
    hsize_t frames, azimuths, rings;
    int rank;
    double *x, *chi_deg, *time, *monitor, *temperature; /* chi_deg: NULL where there are no sectors */
    bragg_axis axis;
    double wavelength_ang, bin_rad, pixel_rad, correlation[BRAGG_PATTERN_LAGS];
} stack;

static void close_stack(stack *s)
{
    if (s->errors >= 0)
        H5Dclose(s->errors);
    if (s->i >= 0)
        H5Dclose(s->i);
    if (s->file >= 0)
        H5Fclose(s->file);
    bragg_hdf5_links_close(&s->links);
    free(s->x);
    free(s->chi_deg);
    free(s->time);
    free(s->monitor);
    free(s->temperature);
}

static void get_axis_unit(stack *s, const char *path)
{
    char units[64];
    hid_t set = bragg_hdf5_open_set(&s->links, s->file, path);
    get_text_attribute(set, "units", units, sizeof units);
    H5Dclose(set);
    s->axis = !strcmp(units, "1/angstrom") || !strcmp(units, "1/Angstrom") || !strcmp(units, "A-1") ? BRAGG_AXIS_Q
        : !strcmp(units, "1/nm") ? BRAGG_AXIS_QNM : !strcmp(units, "angstrom") ? BRAGG_AXIS_D : !strcmp(units, "mm") ? BRAGG_AXIS_R : BRAGG_AXIS_TTH;
}

/* A column of the frames' facts, as long as there are frames. */
static double *get_facts(stack *s, const char *path)
{
    size_t n;
    double *v = get_line(&s->links, s->file, path, &n);
    if (n < s->frames) {
        free(v);
        return NULL;
    }
    return v;
}

static void get_correlation(stack *s)
{
    static const char path[] = "/entry/reduction/input/bin_correlation";
    size_t n = 0;
    double *v = get_line(&s->links, s->file, path, &n);
    for (size_t k = 0; k < n && k < BRAGG_PATTERN_LAGS; k++)
        s->correlation[k] = fabs(v[k]) <= 1 ? v[k] : 0;
    free(v);
}

static bragg_status open_stack(const wanted *w, stack *s, bragg_error *err)
{
    char path[1100];
    hsize_t dims[3] = { 0 }, most = 1;
    size_t rings = 0, sectors = 0;
    *s = (stack){ .file = -1, .i = -1, .errors = -1, .azimuths = 1, .axis = BRAGG_AXIS_TTH, .wavelength_ang = NAN, .bin_rad = NAN, .pixel_rad = NAN };
    bragg_status st = bragg_hdf5_links_open(w->file, &s->links, err);
    if (st < 0)
        return st;
    if ((s->file = H5Fopen(w->file, H5F_ACC_RDONLY, H5P_DEFAULT)) < 0)
        return bragg_fail(err, BRAGG_EDATA, "'%s': cannot be opened: damaged, or a program is writing to it", w->file);
    snprintf(path, sizeof path, "%s/I", w->group);
    s->i = bragg_hdf5_open_set(&s->links, s->file, path);
    hid_t space = s->i >= 0 ? H5Dget_space(s->i) : -1;
    s->rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : 0;
    if (s->rank >= 1 && s->rank <= 3)
        H5Sget_simple_extent_dims(space, dims, NULL);
    if (space >= 0)
        H5Sclose(space);
    if (*s->links.refused)
        return bragg_fail(err, BRAGG_EDATA, "'%s': '%s' leads to '%s', which is not in this file's folder and is not followed", w->file, path, s->links.refused);
    if (s->rank < 1 || s->rank > 3)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected integrated frames (NXazint) in '%s', found none", w->file, w->group);
    s->frames = s->rank > 1 ? dims[0] : 1;
    s->azimuths = s->rank > 2 ? dims[1] : 1;
    s->rings = dims[s->rank - 1];
    most = s->frames * s->azimuths;
    snprintf(path, sizeof path, "%s/radial_axis", w->group);
    s->x = get_line(&s->links, s->file, path, &rings);
    if (!s->x || rings != s->rings || s->rings < 2 || s->azimuths > 1 << 20 || s->frames > 1 << 28)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected a radial_axis of %llu bins beside %llu patterns, found %zu", w->file, (unsigned long long)s->rings, (unsigned long long)most, rings);
    get_axis_unit(s, path);
    snprintf(path, sizeof path, "%s/azimuthal_axis", w->group);
    s->chi_deg = s->rank > 2 ? get_line(&s->links, s->file, path, &sectors) : NULL;
    if (sectors != s->azimuths) {
        free(s->chi_deg);
        s->chi_deg = NULL;
    }
    snprintf(path, sizeof path, "%s/I_errors", w->group);
    s->errors = bragg_hdf5_open_set(&s->links, s->file, path);
    s->wavelength_ang = get_number(&s->links, s->file, "/entry/instrument/monochromator/wavelength");
    s->bin_rad = get_number(&s->links, s->file, "/entry/reduction/input/bin_width") * BRAGG_DEG;
    s->pixel_rad = get_number(&s->links, s->file, "/entry/reduction/input/pixel_width") * BRAGG_DEG;
    get_correlation(s);
    s->time = get_facts(s, "/entry/frames/time");
    s->monitor = get_facts(s, "/entry/frames/monitor");
    s->temperature = get_facts(s, "/entry/frames/temperature");
    return BRAGG_OK;
}

static bool get_row(const stack *s, hid_t set, hsize_t frame, hsize_t azimuth, double *out)
{
    hsize_t start[3] = { frame, azimuth, 0 }, size[3] = { 1, 1, s->rings };
    if (s->rank < 3) {
        start[1] = 0;
        size[1] = s->rings;
    }
    if (s->rank == 1) {
        start[0] = 0;
        size[0] = s->rings;
    }
    hid_t space = H5Dget_space(set), room = H5Screate_simple(1, &s->rings, NULL);
    bool good = H5Sget_simple_extent_ndims(space) == s->rank && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
                bragg_hdf5_read(set, H5T_NATIVE_DOUBLE, room, space, out) >= 0;
    H5Sclose(room);
    H5Sclose(space);
    return good;
}

/* Empty bins go; a frame without any (a bad one) keeps its place with no points, so
 * that numbers of patterns stay numbers of frames. */
static void drop_empty(bragg_pattern *p)
{
    size_t n = 0;
    for (size_t k = 0; k < p->n; k++)
        if (isfinite(p->y[k])) {
            p->x[n] = p->x[k];
            p->y[n] = p->y[k];
            p->sigma[n++] = p->sigma[k];
        }
    p->n = n > 1 ? n : 0;
}

static bragg_status get_pattern(const stack *s, hsize_t frame, hsize_t azimuth, pattern_list *list, bragg_error *err)
{
    bragg_pattern *p;
    bragg_status st = bragg_pattern_make((double)s->rings, s->axis, &p, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < s->rings; k++)
        p->x[k] = s->x[k] * bragg_axis_factor(s->axis);
    if (!get_row(s, s->i, frame, azimuth, p->y) || (s->errors >= 0 && !get_row(s, s->errors, frame, azimuth, p->sigma))) {
        bragg_pattern_free(p);
        return bragg_fail(err, BRAGG_EDATA, "frame %llu cannot be read", (unsigned long long)frame);
    }
    drop_empty(p);
    p->wavelength_ang = s->wavelength_ang;
    p->bin_rad = s->bin_rad;
    p->pixel_rad = s->pixel_rad;
    memcpy(p->correlation, s->correlation, sizeof p->correlation);
    p->time_s = s->time ? s->time[frame] : NAN;
    p->monitor = s->monitor ? s->monitor[frame] : NAN;
    p->temperature_k = s->temperature ? s->temperature[frame] : NAN;
    p->azimuth_rad = s->chi_deg ? s->chi_deg[azimuth] * BRAGG_DEG : NAN;
    return p->n ? bragg_pattern_list_take(list, p, err) : bragg_pattern_list_add(list, p, err);
}

typedef struct job {
    wanted w;
    stack s;
} job;

/* A child (base/hdf5_safely.h) reads the first row as well. */
static bragg_status open_job(void *payload, bragg_error *err)
{
    job *j = payload;
    bragg_status st = open_stack(&j->w, &j->s, err);
    if (st == BRAGG_OK && bragg_hdf5_rehearses()) {
        hsize_t row = j->w.frame > 0 ? (hsize_t)j->w.frame : 0;
        double *v = row < j->s.frames ? malloc(j->s.rings * sizeof *v) : NULL;
        if (v && get_row(&j->s, j->s.i, row, 0, v) && j->s.errors >= 0)
            get_row(&j->s, j->s.errors, row, 0, v);
        free(v);
    }
    return st;
}

bragg_status bragg_pattern_nxazint_read(const char *spec, pattern_list *list, bragg_error *err)
{
    job j = { .s = { .file = -1, .i = -1, .errors = -1, .links = { .link = -1, .set = -1, .group = -1 } } };
    bragg_status st = parse_spec(spec, &j.w, err);
    if (st < 0)
        return st;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    st = bragg_hdf5_safely(j.w.file, j.w.group, open_job, &j, err);
    const wanted *w = &j.w;
    stack *s = &j.s;
    if (st == BRAGG_OK && w->frame >= 0 && (hsize_t)w->frame >= s->frames)
        st = bragg_fail(err, BRAGG_EINVAL, "'%s': expected a frame below %llu, found %lld asked for", spec, (unsigned long long)s->frames, w->frame);
    hsize_t first = w->frame >= 0 ? (hsize_t)w->frame : 0, last = w->frame >= 0 ? first + 1 : s->frames;
    for (hsize_t k = first; k < last && st == BRAGG_OK; k++)
        for (hsize_t a = 0; a < s->azimuths && st == BRAGG_OK; a++)
            st = get_pattern(s, k, a, list, err);
    close_stack(s);
    return bragg_hdf5_end_whole(turn, st, spec, err);
}

#endif
