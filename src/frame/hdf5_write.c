/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stacks of frames as NXdata, and what is known of each where the reader and other
 * programs look for it. */
#include "config.h"
#include "writer.h"

#ifndef HAVE_HDF5

static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "this build has no HDF5");
    (void)out, (void)first, (void)n, (void)state;
}

static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
    return BRAGG_ENOSUPPORT;
    (void)state, (void)f, (void)index, (void)err;
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    return BRAGG_OK;
    (void)state, (void)good, (void)err;
}

#else

#include "base/hdf5_put.h"

#include <bragg/hdf5.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers a frame. */
enum { TIME, EXPOSURE, TEMPERATURE, MONITOR, N_SERIES };
static const struct { const char *path, *unit, *long_name; size_t offset; } series[N_SERIES] = {
    [TIME] = { "/entry/data/timestamp", "s", "start, seconds since 1970", offsetof(bragg_frame, time_s) },
    [EXPOSURE] = { "/entry/instrument/detector/count_time", "s", NULL, offsetof(bragg_frame, exposure_s) },
    [TEMPERATURE] = { "/entry/sample/temperature", "K", NULL, offsetof(bragg_frame, temperature_k) },
    [MONITOR] = { "/entry/control/data", "counts", NULL, offsetof(bragg_frame, monitor) },
};

/* Numbers that are the same of all; the first frame's. */
static const struct { const char *path, *unit; size_t offset; } constants[] = {
    { "/entry/instrument/detector/x_pixel_size", "m", offsetof(bragg_frame, pixel_fast_m) },
    { "/entry/instrument/detector/y_pixel_size", "m", offsetof(bragg_frame, pixel_slow_m) },
    { "/entry/instrument/detector/distance", "m", offsetof(bragg_frame, distance_m) },
    { "/entry/instrument/detector/beam_center_x", "pixel", offsetof(bragg_frame, beam_fast_px) },
    { "/entry/instrument/detector/beam_center_y", "pixel", offsetof(bragg_frame, beam_slow_px) },
    { "/entry/instrument/detector/saturation_value", NULL, offsetof(bragg_frame, saturation) },
    { "/entry/instrument/beam/incident_wavelength", "angstrom", offsetof(bragg_frame, wavelength_ang) },
};

static double fact(const bragg_frame *f, size_t offset) { return *(const double *)((const char *)f + offset); }

typedef struct hdf5_state {
    hid_t file, set, memory;
    size_t n, n_motors;
    double *series[N_SERIES], *motor;  /* [motor][frame] */
    char (*name)[32];
} hdf5_state;

static hid_t type_of(bragg_pixel type, bool file)
{
    switch (type) {
    case BRAGG_U8: return file ? H5T_STD_U8LE : H5T_NATIVE_UINT8;
    case BRAGG_U16: return file ? H5T_STD_U16LE : H5T_NATIVE_UINT16;
    case BRAGG_U32: return file ? H5T_STD_U32LE : H5T_NATIVE_UINT32;
    case BRAGG_U64: return file ? H5T_STD_U64LE : H5T_NATIVE_UINT64;
    case BRAGG_I8: return file ? H5T_STD_I8LE : H5T_NATIVE_INT8;
    case BRAGG_I16: return file ? H5T_STD_I16LE : H5T_NATIVE_INT16;
    case BRAGG_I32: return file ? H5T_STD_I32LE : H5T_NATIVE_INT32;
    case BRAGG_I64: return file ? H5T_STD_I64LE : H5T_NATIVE_INT64;
    case BRAGG_F32: return file ? H5T_IEEE_F32LE : H5T_NATIVE_FLOAT;
    case BRAGG_F64: return file ? H5T_IEEE_F64LE : H5T_NATIVE_DOUBLE;
    }
    return -1;
}

/* One frame a chunk, shuffled and deflated: what any HDF5 reads. */
static hid_t make_set(hid_t file, const bragg_frame *first, size_t n)
{
    hsize_t dims[3] = { n, first->height, first->width }, chunk[3] = { 1, first->height, first->width };
    hid_t space = H5Screate_simple(3, dims, NULL), how = bragg_hdf5_new_set();
    H5Pset_chunk(how, 3, chunk);
    H5Pset_shuffle(how);
    H5Pset_deflate(how, 1);
    hid_t set = H5Dcreate2(file, "/entry/data/data", type_of(first->type, true), space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    H5Sclose(space);
    return set;
}

static bool put_entry(hdf5_state *s, const bragg_frame *first, size_t n)
{
    hid_t file = s->file;
    bool good = bragg_hdf5_put_text_attribute(file, "NX_class", "NXroot") && bragg_hdf5_put_text_attribute(file, "default", "entry") &&
                bragg_hdf5_put_group(file, "/entry", "NXentry") && bragg_hdf5_put_group(file, "/entry/data", "NXdata") &&
                bragg_hdf5_put_group(file, "/entry/instrument", "NXinstrument") && bragg_hdf5_put_group(file, "/entry/instrument/detector", "NXdetector") &&
                bragg_hdf5_put_group(file, "/entry/instrument/beam", "NXbeam") && bragg_hdf5_put_group(file, "/entry/sample", "NXsample") &&
                bragg_hdf5_put_group(file, "/entry/control", "NXmonitor");
    hid_t entry = H5Gopen2(file, "/entry", H5P_DEFAULT), data = H5Gopen2(file, "/entry/data", H5P_DEFAULT);
    good = good && bragg_hdf5_put_text_attribute(entry, "default", "data") && bragg_hdf5_put_text_attribute(data, "signal", "data") &&
           bragg_hdf5_put_text_attribute(data, "interpretation", "image");
    H5Gclose(data);
    H5Gclose(entry);
    if (good && *first->title)
        good = bragg_hdf5_put_text(file, "/entry/instrument/detector/description", first->title);
    for (size_t k = 0; good && k < sizeof constants / sizeof *constants; k++)
        if (isfinite(fact(first, constants[k].offset)))
            good = bragg_hdf5_put_number(file, constants[k].path, fact(first, constants[k].offset), constants[k].unit);
    s->set = good ? make_set(file, first, n) : -1;
    return s->set >= 0;
}

static bool make_room(hdf5_state *s, const bragg_frame *first)
{
    bool good = true;
    for (int k = 0; k < N_SERIES; k++)
        good = (s->series[k] = malloc(s->n * sizeof(double))) && good;
    s->n_motors = first->n_values;
    s->motor = malloc((s->n_motors * s->n + 1) * sizeof *s->motor);
    s->name = calloc(s->n_motors + 1, sizeof *s->name);
    for (size_t k = 0; s->name && k < s->n_motors; k++)
        snprintf(s->name[k], sizeof *s->name, "%s", first->value[k].name);
    return good && s->motor && s->name;
}

static bragg_status finish(bragg_hdf5_turn turn, bool good, bragg_error *err)
{
    return bragg_hdf5_end_whole(turn, good ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "HDF5 cannot be written: is the disk full?"), "HDF5", err);
}

static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    hdf5_state *s = *state = calloc(1, sizeof *s);
    if (!s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to write HDF5");
    *s = (hdf5_state){ .file = -1, .set = -1, .n = n, .memory = -1 };
    if (!make_room(s, first))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for what is known of %zu frames", n);
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    s->memory = type_of(first->type, false);
    s->file = H5Fcreate(bragg_output_temporary(out), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    bool good = s->file >= 0 && put_entry(s, first, n);
    return finish(turn, good, err);
}

static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
    hdf5_state *s = state;
    hsize_t start[3] = { index, 0, 0 }, size[3] = { 1, f->height, f->width };
    for (int k = 0; k < N_SERIES; k++)
        s->series[k][index] = fact(f, series[k].offset);
    for (size_t k = 0; k < s->n_motors; k++)
        s->motor[k * s->n + index] = bragg_frame_get(f, s->name[k]);
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    hid_t space = H5Dget_space(s->set), memory = H5Screate_simple(2, size + 1, NULL);
    bool good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 && H5Dwrite(s->set, s->memory, memory, space, H5P_DEFAULT, f->data) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    return finish(turn, good, err);
}

static bool any_finite(const double *v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (isfinite(v[k]))
            return true;
    return false;
}

static bool put_series(hdf5_state *s)
{
    bool good = true;
    char path[64];
    for (int k = 0; good && k < N_SERIES; k++)
        if (any_finite(s->series[k], s->n))
            good = bragg_hdf5_put(s->file, series[k].path, H5T_NATIVE_DOUBLE, s->n, s->series[k], series[k].unit, series[k].long_name);
    if (good && s->n_motors)
        good = bragg_hdf5_put_group(s->file, "/entry/instrument/positioners", "NXcollection");
    for (size_t k = 0; good && k < s->n_motors; k++) {
        for (char *c = s->name[k]; *c; c++)
            *c = *c == '/' ? '_' : *c;
        snprintf(path, sizeof path, "/entry/instrument/positioners/%s", s->name[k]);
        good = bragg_hdf5_put(s->file, path, H5T_NATIVE_DOUBLE, s->n, s->motor + k * s->n, NULL, NULL);
    }
    return good;
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    hdf5_state *s = state;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bool wanted = good;
    good = !wanted || put_series(s);
    if (s->set >= 0)
        H5Dclose(s->set);
    if (s->file >= 0)
        good = H5Fclose(s->file) >= 0 && good;
    bragg_status st = finish(turn, good || !wanted, wanted ? err : NULL);
    for (int k = 0; k < N_SERIES; k++)
        free(s->series[k]);
    free(s->motor);
    free(s->name);
    free(s);
    return wanted ? st : BRAGG_OK;
}

#endif

const bragg_frame_writer bragg_frame_hdf5_writer = { "HDF5", " .h5 .hdf5 .nxs ", EVERY_TYPE, true, begin, add, end };
