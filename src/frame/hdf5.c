/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames in HDF5: Eiger masters, NeXus stacks, any data set by FILE:/path[slice]. */
#include "config.h"
#include "reader.h"

#include <string.h>

static bool probe(const unsigned char *h, size_t n) { return n > 8 && !memcmp(h, "\x89HDF\r\n\x1a\n", 8); }

#ifndef HAVE_HDF5

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    *n = 0;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: this build has no HDF5", path);
}

static bragg_status read_hdf5(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: this build has no HDF5", path);
    (void)index, (void)out;
}

static bragg_status read_mask(const char *path, bragg_frame **out, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: this build has no HDF5", path);
    (void)out;
}

#else

#include "base/hdf5_safely.h"
#include "nexus.h"

#include <bragg/hdf5.h>
#include <bragg/number.h>
#include <bragg/path.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_SETS = 10000 };

/* FILE:/path[first:last:step] taken apart; path empty: to be found. */
typedef struct place {
    char file[4096], path[1024];
    size_t first, last, step; /* frames first, first + step … < last */
} place;

/* The data sets that hold the frames, in order, and their numbers of frames. */
typedef struct sets {
    hid_t file;
    hdf5_links links;
    size_t n;
    char (*name)[256];
    hsize_t *frames;
    char missing[64]; /* a numbered set whose link leads nowhere */
} sets;

/* [first:last:step], each of which may be missing, or [one]. */
static bool parse_slice(const char *at, place *p)
{
    size_t *part[3] = { &p->first, &p->last, &p->step };
    int colons = 0;
    for (at++; *at != ']'; at++) {
        const char *end = at;
        double v;
        if (*at != ':') {
            if (!bragg_number_scan(at, &end, &v) || !(v >= (colons == 2) && v < 1e12) || v != floor(v))
                return false;
            *part[colons] = (size_t)v;
        }
        if (*end == ']')
            at = end - 1;
        else if (*end == ':' && ++colons < 3)
            at = end;
        else
            return false;
    }
    if (!colons)
        p->last = p->first + 1;
    return !at[1];
}

static bragg_status parse_place(const char *spec, place *p, bragg_error *err)
{
    const char *path, *slice;
    size_t length = bragg_path_split(spec, &path, &slice);
    *p = (place){ .last = (size_t)-1, .step = 1 };
    if (length >= sizeof p->file || (size_t)(slice - path) >= sizeof p->path)
        return bragg_fail(err, BRAGG_EINVAL, "'%.60s …': expected a file and a data set, found %zu bytes", spec, strlen(spec));
    memcpy(p->file, spec, length);
    memcpy(p->path, path, (size_t)(slice - path));
    if (*slice && !parse_slice(slice, p))
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected a slice like [first:last:step], or [one]", spec);
    return BRAGG_OK;
}

/* Frames in a data set of two or three axes; 0 when it holds none. */
static hsize_t frames_of(hdf5_links *links, hid_t file, const char *name, hsize_t dims[3])
{
    hsize_t frames = 0;
    hid_t set = bragg_hdf5_open_sound(file, name, links->set), space = set >= 0 ? H5Dget_space(set) : -1, type = set >= 0 ? H5Dget_type(set) : -1;
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : 0;
    H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    if ((rank == 2 || rank == 3) && (class == H5T_INTEGER || class == H5T_FLOAT) && bragg_hdf5_names_inside(links, set)) {
        dims[0] = 1;
        H5Sget_simple_extent_dims(space, dims + (3 - rank), NULL);
        frames = dims[1] > 1 && dims[2] > 1 ? dims[0] : 0;
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return frames;
}

static bool add_set(sets *s, const char *name)
{
    hsize_t dims[3], frames = frames_of(&s->links, s->file, name, dims);
    if (!frames || s->n == MOST_SETS || strlen(name) >= sizeof *s->name)
        return false;
    char(*names)[256] = realloc(s->name, (s->n + 1) * sizeof *names);
    hsize_t *counts = names ? realloc(s->frames, (s->n + 1) * sizeof *counts) : NULL;
    if (names)
        s->name = names;
    if (counts)
        s->frames = counts;
    if (!names || !counts)
        return false;
    strcpy(s->name[s->n], name);
    s->frames[s->n++] = frames;
    return true;
}

typedef struct largest {
    hid_t file;
    hdf5_links *links;
    char name[256];
    hsize_t pixels;
} largest;

static herr_t visit(hid_t root, const char *name, const H5O_info_t *info, void *payload)
{
    largest *l = payload;
    hsize_t dims[3], frames = info->type == H5O_TYPE_DATASET && strlen(name) < sizeof l->name ? frames_of(l->links, l->file, name, dims) : 0;
    bool correction = strstr(name, "mask") || strstr(name, "flatfield"); /* of the detector, no frames */
    if (frames && !correction && frames * dims[1] * dims[2] > l->pixels) {
        l->pixels = frames * dims[1] * dims[2];
        strcpy(l->name, name);
    }
    return 0;
    (void)root;
}

/* A named set; else the numbered ones of an Eiger master (external links, that no
 * visit follows); else the largest in the file. */
static void find_sets(sets *s, const char *path)
{
    if (*path) {
        add_set(s, path);
        return;
    }
    for (int k = 1; k < MOST_SETS; k++) {
        char name[64];
        snprintf(name, sizeof name, "/entry/data/data_%06d", k);
        if (!bragg_hdf5_exists(&s->links, s->file, name))
            break;
        if (!add_set(s, name)) { /* a link to a file that is not there */
            snprintf(s->missing, sizeof s->missing, "%s", name);
            return;
        }
    }
    if (s->n)
        return;
    largest l = { s->file, &s->links, "", 0 };
#if H5_VERSION_GE(1, 12, 0)
    H5Ovisit1(s->file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &l);
#else
    H5Ovisit(s->file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &l);
#endif
    if (*l.name)
        add_set(s, l.name);
}

static void close_sets(sets *s)
{
    free(s->name);
    free(s->frames);
    H5Fclose(s->file);
    bragg_hdf5_links_close(&s->links);
}

static bragg_status leads_outside(const char *file, const char *what, const hdf5_links *links, bragg_error *err)
{
    return bragg_fail(err, BRAGG_EDATA, "%s: '%s' leads to '%s', which is not in this file's folder and is not followed: if it is to be read, name that file itself",
                      file, what, links->refused);
}

/* A run's tables have two axes as frames have, and are none. */
static bool is_run(const sets *s)
{
    return H5Lexists(s->file, "/series", H5P_DEFAULT) > 0 && H5Lexists(s->file, "/series/table", H5P_DEFAULT) > 0 && H5Lexists(s->file, "/patterns", H5P_DEFAULT) > 0;
}

static bragg_status complain(const place *p, const sets *s, bragg_error *err)
{
    const char *what = *p->path ? p->path : *s->missing ? s->missing : "a link";
    if (*s->links.refused)
        return leads_outside(p->file, what, &s->links, err);
    if (*s->missing)
        return bragg_fail(err, BRAGG_EDATA, "%s: '%s' cannot be read: is the file it links to beside the master?", p->file, s->missing);
    return *p->path ? bragg_fail(err, BRAGG_EDATA, "%s: expected frames in '%s', found no data set of 2 or 3 axes", p->file, p->path)
                    : bragg_fail(err, BRAGG_EDATA, "%s: expected frames, found no data set of 2 or 3 axes", p->file);
}

typedef struct job {
    place place;
    sets sets;
    const char *name; /* of the set that has the frame, the `index`th there */
    hsize_t index, whole;
    bragg_frame **out;
} job;

static bragg_status open_sets(void *payload, bragg_error *err)
{
    job *j = payload;
    const place *p = &j->place;
    sets *s = &j->sets;
    *s = (sets){ .file = -1 };
    bragg_status st = bragg_hdf5_links_open(p->file, &s->links, err);
    if (st < 0)
        return st;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS); /* closing takes along whatever a damaged file left open */
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    s->file = H5Fopen(p->file, H5F_ACC_RDONLY, access);
    if (s->file < 0) /* while it grows */
        s->file = H5Fopen(p->file, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access);
    H5Pclose(access);
    if (s->file < 0) {
        bragg_hdf5_links_close(&s->links);
        return bragg_fail(err, BRAGG_EDATA, "%s: HDF5 cannot open it (damaged, or being written without SWMR)", p->file);
    }
    bool run = !*p->path && is_run(s);
    if (!run)
        find_sets(s, p->path);
    if (run)
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected frames, found a run of bragg operando: bragg report makes a page of it, and '%s:/patterns/observed' names what was measured",
                        p->file, p->file);
    else if (!s->n || *s->missing)
        st = complain(p, s, err);
    if (st < 0)
        close_sets(s);
    return st;
}

static bragg_status open_job(const char *spec, job *j, bragg_error *err)
{
    *j = (job){ .name = NULL };
    bragg_status st = parse_place(spec, &j->place, err);
    return st < 0 ? st : bragg_hdf5_safely(j->place.file, j->place.path, open_sets, j, err);
}

static size_t frames_in(const place *p, const sets *s)
{
    hsize_t all = 0;
    for (size_t k = 0; k < s->n; k++)
        all += s->frames[k];
    size_t last = p->last < all ? p->last : (size_t)all;
    return last > p->first ? (last - p->first + p->step - 1) / p->step : 0;
}

static bragg_pixel pixel_type(hid_t set, hid_t *memory)
{
    hid_t type = H5Dget_type(set);
    size_t size = H5Tget_size(type);
    bool real = H5Tget_class(type) == H5T_FLOAT, sign = H5Tget_sign(type) == H5T_SGN_2;
    H5Tclose(type);
    if (real) {
        *memory = size <= 4 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
        return size <= 4 ? BRAGG_F32 : BRAGG_F64;
    }
    const hid_t memories[2][4] = { { H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_UINT32, H5T_NATIVE_UINT64 },
                                   { H5T_NATIVE_INT8, H5T_NATIVE_INT16, H5T_NATIVE_INT32, H5T_NATIVE_INT64 } };
    int log = size == 1 ? 0 : size == 2 ? 1 : size <= 4 ? 2 : 3;
    *memory = memories[sign][log];
    return (bragg_pixel)(log + (sign ? BRAGG_I8 : BRAGG_U8));
}

/* A set may be laid out for frames that are still to come: those are holes, which HDF5
 * would fill with zeros. */
static bool is_written(hid_t set, hsize_t index, const hsize_t dims[3], int rank)
{
    hid_t how = H5Dget_create_plist(set);
    H5D_layout_t layout = H5Pget_layout(how);
    H5D_space_status_t space = H5D_SPACE_STATUS_ALLOCATED;
    bool written = true;
    if (layout == H5D_CONTIGUOUS && H5Pget_external_count(how) == 0)
        written = H5Dget_space_status(set, &space) < 0 || space != H5D_SPACE_STATUS_NOT_ALLOCATED;
    if (layout == H5D_CHUNKED) {
        const hsize_t corner[3] = { index, 0, 0 }, opposite[3] = { index, dims[1] - 1, dims[2] - 1 };
        hsize_t chunk[3] = { 1, 1, 1 }, at[3];
        written = H5Pget_chunk(how, 3, chunk) == rank;
        for (int k = 0; k < 2 && written; k++) {
            for (int i = 0; i < rank; i++) {
                hsize_t c = (k ? opposite : corner)[i + 3 - rank];
                at[i] = chunk[i] ? c / chunk[i] * chunk[i] : c;
            }
            written = bragg_hdf5_chunk_bytes(set, at) != 0;
        }
    }
    H5Pclose(how);
    return written;
}

/* The filters of a data set that this machine has not; the packages are Debian's. */
static bool missing_filter(hid_t set, char *text, size_t size)
{
    static const struct { H5Z_filter_t id; const char *name; } known[] = {
        { 32008, "bitshuffle (package bitshuffle or python3-hdf5plugin)" }, { 32004, "LZ4 (package hdf5-filter-plugin)" },
        { 32001, "Blosc (package hdf5-filter-plugin-blosc-serial)" }, { 32015, "Zstandard (package python3-hdf5plugin)" },
        { 307, "BZIP2 (package hdf5-filter-plugin)" }, { 32000, "LZF (package hdf5-plugin-lzf)" }, { 32013, "ZFP (package hdf5-filter-plugin-zfp-serial)" } };
    hid_t made = H5Dget_create_plist(set);
    int n = H5Pget_nfilters(made);
    bool missing = false;
    for (int k = 0; k < n && !missing; k++) {
        char name[64] = "";
        unsigned flags, config;
        size_t n_values = 0;
        H5Z_filter_t id = H5Pget_filter2(made, (unsigned)k, &flags, &n_values, NULL, sizeof name, name, &config);
        if (id < 0 || H5Zfilter_avail(id) > 0)
            continue;
        missing = true;
        snprintf(text, size, "filter %d%s%.60s", (int)id, *name ? " " : "", name);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (known[i].id == id)
                snprintf(text, size, "%s", known[i].name);
    }
    H5Pclose(made);
    return missing;
}

/* A file that stores so little cannot hold so many pixels: packed a thousandfold at most;
 * more is believed only of small frames.  Virtual sets store nothing themselves. */
static bool believable(hid_t set, const hsize_t dims[3], bragg_pixel type)
{
    hid_t made = H5Dget_create_plist(set);
    bool virtual = H5Pget_layout(made) == H5D_VIRTUAL;
    H5Pclose(made);
    double need = (double)dims[1] * (double)dims[2] * (double)bragg_pixel_size(type);
    return virtual || need <= 1 << 26 || 2000 * (double)H5Dget_storage_size(set) >= need;
}

static bragg_status cannot_read(hid_t set, const char *file, const char *name, hsize_t index, bragg_error *err)
{
    char filter[128];
    return missing_filter(set, filter, sizeof filter)
        ? bragg_fail(err, BRAGG_ENOSUPPORT, "%s: '%s' is compressed with %s, for which HDF5 finds no plugin here: install it, or set HDF5_PLUGIN_PATH to its folder", file, name, filter)
        : bragg_fail(err, BRAGG_EDATA, "%s: '%s' frame %llu cannot be read: damaged or incomplete", file, name, (unsigned long long)index);
}

static bragg_status read_one(sets *s, const char *file, const char *name, hsize_t index, bragg_frame **out, bragg_error *err)
{
    hsize_t dims[3] = { 1, 1, 1 };
    if (!frames_of(&s->links, s->file, name, dims))
        return bragg_fail(err, BRAGG_EDATA, "%s: '%s' holds no frame", file, name);
    hid_t set = H5Dopen2(s->file, name, s->links.set), space = H5Dget_space(set), memory_type;
    int rank = H5Sget_simple_extent_ndims(space);
    bragg_pixel type = pixel_type(set, &memory_type);
    bragg_status st = believable(set, dims, type) ? bragg_frame_new((size_t)dims[2], (size_t)dims[1], type, out, err)
        : bragg_fail(err, BRAGG_EDATA, "'%s': expected %llu x %llu pixels, found %llu bytes", name, (unsigned long long)dims[2], (unsigned long long)dims[1],
                     (unsigned long long)H5Dget_storage_size(set));
    if (st < 0)
        st = bragg_context(err, st, "%s", file);
    hsize_t start[3] = { index, 0, 0 }, size[3] = { 1, dims[1], dims[2] };
    hid_t memory = H5Screate_simple(2, size + 1, NULL);
    if (st == BRAGG_OK && !bragg_hdf5_row_inside(&s->links, set, rank == 3 ? index : HDF5_WHOLE))
        st = leads_outside(file, name, &s->links, err);
    if (st == BRAGG_OK && !is_written(set, index, dims, rank))
        st = bragg_fail(err, BRAGG_EIO, "%s: '%s' frame %llu has not been written", file, name, (unsigned long long)index);
    if (st == BRAGG_OK) {
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start + (3 - rank), NULL, size + (3 - rank), NULL);
        if (bragg_hdf5_read(set, memory_type, memory, space, (*out)->data) < 0)
            st = cannot_read(set, file, name, index, err);
    }
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    return st;
}

static bragg_status count(const char *spec, size_t *n, bragg_error *err)
{
    job j;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = open_job(spec, &j, err);
    if (st == BRAGG_OK) {
        *n = frames_in(&j.place, &j.sets);
        close_sets(&j.sets);
    }
    return bragg_hdf5_end_whole(turn, st, j.place.file, err);
}

static bragg_status read_frame(void *payload, bragg_error *err)
{
    job *j = payload;
    bragg_status st = read_one(&j->sets, j->place.file, j->name, j->index, j->out, err);
    return st < 0 ? st : bragg_nexus_read_facts(&j->sets.links, j->sets.file, j->name, j->whole, *j->out, err);
}

static bragg_status read_pixel_mask(void *payload, bragg_error *err)
{
    job *j = payload;
    return read_one(&j->sets, j->place.file, j->name, 0, j->out, err);
}

/* What a set holds lies in another file than the one that was opened, where a link leads to it. */
static bragg_status act_on_set(job *j, const char *kind, hdf5_act *act, bragg_error *err)
{
    char file[4096] = "", what[1100];
    hid_t set = H5Dopen2(j->sets.file, j->name, j->sets.links.set);
    if (set < 0 || H5Fget_name(set, file, sizeof file) <= 0)
        snprintf(file, sizeof file, "%s", j->place.file);
    if (set >= 0)
        H5Dclose(set);
    snprintf(what, sizeof what, "%s %s", kind, j->name);
    return bragg_hdf5_safely(file, what, act, j, err);
}

static bragg_status read_hdf5(const char *spec, size_t index, bragg_frame **out, bragg_error *err)
{
    job j;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = open_job(spec, &j, err);
    if (st == BRAGG_OK) {
        size_t have = frames_in(&j.place, &j.sets), k = 0;
        j.index = j.whole = j.place.first + index * j.place.step;
        j.out = out;
        if (index >= have)
            st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", spec, index, have);
        while (st == BRAGG_OK && j.index >= j.sets.frames[k])
            j.index -= j.sets.frames[k++];
        j.name = j.sets.name[k];
        if (st == BRAGG_OK)
            st = act_on_set(&j, "frame", read_frame, err);
        close_sets(&j.sets);
    }
    return bragg_hdf5_end_whole(turn, st, j.place.file, err);
}

static bragg_status read_mask(const char *spec, bragg_frame **out, bragg_error *err)
{
    job j;
    char path[1024];
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = open_job(spec, &j, err);
    if (st == BRAGG_OK) {
        j.name = path;
        j.out = out;
        if (bragg_nexus_mask(&j.sets.links, j.sets.file, j.sets.name[0], path, sizeof path))
            st = act_on_set(&j, "mask", read_pixel_mask, err);
        close_sets(&j.sets);
    }
    return bragg_hdf5_end_whole(turn, st, j.place.file, err);
}

#endif

const bragg_frame_reader bragg_frame_hdf5 = { "HDF5", probe, count, read_hdf5, read_mask };
