/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What HDF5 files say about their frames. */
#include "config.h"

#ifdef HAVE_HDF5

#include "bytes.h"
#include "base/hdf5_safely.h"
#include "nexus.h"

#include <bragg/units.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ----------------------------------------------------------------- reading */

/* A scalar, or of a list item `index` (its first, when it has one only), and its unit. */
static double number_at(hdf5_links *links, hid_t file, const char *path, hsize_t index, char unit[32])
{
    double v = NAN;
    *unit = '\0';
    hid_t set = bragg_hdf5_open_set(links, file, path);
    if (set < 0)
        return NAN;
    hid_t space = H5Dget_space(set), type = H5Dget_type(set), one = H5Screate(H5S_SCALAR);
    hsize_t n = 1, size = 1;
    int rank = H5Sget_simple_extent_ndims(space);
    H5T_class_t class = H5Tget_class(type);
    bool good = (class == H5T_INTEGER || class == H5T_FLOAT) && rank >= 0 && rank <= 1;
    if (good && rank == 1) {
        H5Sget_simple_extent_dims(space, &n, NULL);
        hsize_t at = n == 1 ? 0 : index;
        good = at < n && H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &size, NULL) >= 0;
    }
    if (!good || bragg_hdf5_read(set, H5T_NATIVE_DOUBLE, one, space, &v) < 0)
        v = NAN;
    if (H5Aexists(set, "units") > 0) {
        hid_t a = H5Aopen(set, "units", H5P_DEFAULT), from = H5Aget_type(a), to = H5Tcopy(H5T_C_S1);
        H5Tset_size(to, 32);
        H5Tset_cset(to, H5Tget_cset(from) == H5T_CSET_UTF8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
        char *text = NULL;
        hid_t where = H5Aget_space(a);
        if (H5Tget_class(from) == H5T_STRING && H5Sget_simple_extent_npoints(where) == 1) {
            if (H5Tis_variable_str(from) > 0 && H5Aread(a, from, &text) >= 0 && text)
                snprintf(unit, 32, "%s", text);
            else if (H5Tis_variable_str(from) == 0 && H5Aread(a, to, unit) < 0)
                *unit = '\0';
            unit[31] = '\0';
            H5free_memory(text);
        }
        H5Sclose(where);
        H5Tclose(to);
        H5Tclose(from);
        H5Aclose(a);
    }
    H5Sclose(one);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return v;
}

/* A text of one item, cut to size. */
static bool text_at(hdf5_links *links, hid_t file, const char *path, char *text, size_t size)
{
    *text = '\0';
    hid_t set = bragg_hdf5_open_set(links, file, path);
    if (set < 0)
        return false;
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    if (H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        if (H5Tis_variable_str(type) > 0) {
            char *found = NULL;
            if (bragg_hdf5_read(set, type, H5S_ALL, H5S_ALL, &found) >= 0 && found)
                snprintf(text, size, "%s", found);
            H5free_memory(found);
        } else if (H5Tget_size(type) < 4096) {
            char found[4097] = "";
            if (bragg_hdf5_read(set, type, H5S_ALL, H5S_ALL, found) >= 0)
                snprintf(text, size, "%s", found);
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
    return *text != '\0';
}

/* ------------------------------------------------------------------- facts */

/* A length without a unit could be anything: it is not believed. */
static double in_metres(double v, const char *unit)
{
    static const struct { const char *name; double m; } symbols[] = {
        { "m", 1 }, { "cm", 1e-2 }, { "mm", 1e-3 }, { "um", 1e-6 }, { "\xc2\xb5m", 1e-6 }, { "\xce\xbcm", 1e-6 }, { "nm", 1e-9 }, { "A", 1e-10 } };
    static const struct { const char *name; double m; } words[] = { /* "metre", "metres" */
        { "met", 1 }, { "centimet", 1e-2 }, { "millimet", 1e-3 }, { "micromet", 1e-6 }, { "micron", 1e-6 }, { "nanomet", 1e-9 }, { "angstrom", 1e-10 } };
    for (size_t k = 0; k < sizeof symbols / sizeof *symbols; k++)
        if (!strcmp(unit, symbols[k].name))
            return v * symbols[k].m;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (!strncasecmp(unit, words[k].name, strlen(words[k].name)))
            return v * words[k].m;
    return NAN;
}

static double in_angstrom(double v, const char *unit)
{
    return !*unit || !strcasecmp(unit, "a") || !strncasecmp(unit, "ang", 3) || !strcmp(unit, "\xc3\x85") ? v : 1e10 * in_metres(v, unit);
}

static double in_seconds(double v, const char *unit) { return !strcmp(unit, "ms") ? 1e-3 * v : !strcmp(unit, "us") ? 1e-6 * v : v; }
static double in_kelvin(double v, const char *unit) { return strchr(unit, 'C') || !strncasecmp(unit, "cel", 3) || !strncasecmp(unit, "deg", 3) ? v + 273.15 : v; }
static double in_pixels(double v, const char *unit) { return !*unit || !strncasecmp(unit, "pix", 3) || !strcasecmp(unit, "px") ? v : NAN; }
static double as_it_is(double v, const char *unit) { (void)unit; return v; }
static double from_energy(double v, const char *unit) { return v > 0 ? BRAGG_HC_KEV_ANG / (!strcasecmp(unit, "ev") ? 1e-3 * v : v) : NAN; }

/* Where a frame's own things stand: below D, the detector's group, or E, the entry. */
static const struct fact {
    const char *path;
    size_t offset;
    double (*convert)(double v, const char *unit);
} facts[] = {
#define AT(member) offsetof(bragg_frame, member)
    { "D/count_time", AT(exposure_s), in_seconds },
    { "D/exposure_time", AT(exposure_s), in_seconds },
    { "D/detector_distance", AT(distance_m), in_metres },
    { "D/distance", AT(distance_m), in_metres },
    { "D/x_pixel_size", AT(pixel_fast_m), in_metres },
    { "D/y_pixel_size", AT(pixel_slow_m), in_metres },
    { "D/beam_center_x", AT(beam_fast_px), in_pixels },
    { "D/beam_center_y", AT(beam_slow_px), in_pixels },
    { "D/saturation_value", AT(saturation), as_it_is },
    { "D/detectorSpecific/countrate_correction_count_cutoff", AT(saturation), as_it_is },
    { "E/instrument/beam/incident_wavelength", AT(wavelength_ang), in_angstrom },
    { "E/instrument/monochromator/wavelength", AT(wavelength_ang), in_angstrom },
    { "E/instrument/monochromator/energy", AT(wavelength_ang), from_energy },
    { "E/sample/beam/incident_wavelength", AT(wavelength_ang), in_angstrom },
    { "E/sample/temperature", AT(temperature_k), in_kelvin },
    { "E/control/data", AT(monitor), as_it_is },
    { "E/control/integral", AT(monitor), as_it_is },
    { "E/monitor/data", AT(monitor), as_it_is },
    { "E/monitor/integral", AT(monitor), as_it_is },
    { "E/frames/exposure", AT(exposure_s), in_seconds },
    { "E/frames/monitor", AT(monitor), as_it_is },
    { "E/frames/temperature", AT(temperature_k), in_kelvin },
    { "E/frames/time", AT(time_s), in_seconds },
#undef AT
};

/* The entry that a data set is in, and its detector: the group that holds the set when it
 * is below /entry/instrument, else /entry/instrument/detector. */
typedef struct places {
    char entry[300], detector[400];
} places;

static places places_of(const char *name)
{
    places p;
    size_t skip = strspn(name, "/"), n = skip + strcspn(name + skip, "/");
    const char *last = strrchr(name, '/'), *instrument = strstr(name, "/instrument/");
    snprintf(p.entry, sizeof p.entry, "%s%.*s", skip ? "" : "/", (int)(n < 256 ? n : 256), name);
    if (!name[n]) /* the set stands at the top */
        snprintf(p.entry, sizeof p.entry, "/entry");
    if (instrument && last > instrument + strlen("/instrument"))
        snprintf(p.detector, sizeof p.detector, "%s%.*s", skip ? "" : "/", (int)(last - name), name);
    else
        snprintf(p.detector, sizeof p.detector, "%s/instrument/detector", p.entry);
    return p;
}

static void full_path(const places *p, const char *path, char full[600])
{
    snprintf(full, 600, "%s%s", *path == 'D' ? p->detector : p->entry, path + 1);
}

/* A time a frame in the file, else that of the start and so many frames since. */
static double time_of(hdf5_links *links, hid_t file, const places *p, hsize_t index)
{
    static const char *const starts[] = { "D/detectorSpecific/data_collection_date", "E/start_time" };
    static const char *const stamps[] = { "E/data/timestamp", "E/data/time", "D/timestamp" };
    char path[600], unit[32], text[64];
    double start = NAN;
    for (size_t k = 0; isnan(start) && k < sizeof starts / sizeof *starts; k++) {
        full_path(p, starts[k], path);
        start = text_at(links, file, path, text, sizeof text) ? bragg_frame_time(text) : NAN;
    }
    for (size_t k = 0; k < sizeof stamps / sizeof *stamps; k++) {
        full_path(p, stamps[k], path);
        double t = in_seconds(number_at(links, file, path, index, unit), unit);
        if (isfinite(t))
            return t > 1e8 ? t : start + t;
    }
    full_path(p, "D/frame_time", path);
    double step = in_seconds(number_at(links, file, path, index, unit), unit);
    return index ? start + step * (double)index : start;
}

/* All numbers of a group, by their names. */
typedef struct motors {
    char name[64][32];
    size_t n;
} motors;

static herr_t list(hid_t group, const char *name, const H5L_info_t *info, void *payload)
{
    motors *m = payload;
    if (info->type == H5L_TYPE_HARD && m->n < 64 && strlen(name) < sizeof *m->name)
        strcpy(m->name[m->n++], name);
    return 0;
    (void)group;
}

static bragg_status read_motors(hdf5_links *links, hid_t file, const places *p, hsize_t index, bragg_frame *f, bragg_error *err)
{
    static const char *const groups[] = { "sample/goniometer", "sample/transformations", "instrument/positioners" };
    char path[600], unit[32];
    bragg_status st = BRAGG_OK;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        motors m = { .n = 0 };
        snprintf(path, sizeof path, "%s/%s", p->entry, groups[g]);
        hid_t group = bragg_hdf5_open_group(links, file, path);
        if (group < 0)
            continue;
        H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, list, &m);
        H5Gclose(group);
        for (size_t k = 0; st == BRAGG_OK && k < m.n; k++) {
            snprintf(path, sizeof path, "%s/%s/%s", p->entry, groups[g], m.name[k]);
            st = bragg_frame_set(f, m.name[k], number_at(links, file, path, index, unit), err);
        }
    }
    return st;
}

bragg_status bragg_nexus_read_facts(hdf5_links *links, hid_t file, const char *name, hsize_t index, bragg_frame *f, bragg_error *err)
{
    places p = places_of(name);
    char path[600], unit[32];
    bool detector = bragg_hdf5_exists(links, file, p.detector), entry = bragg_hdf5_exists(links, file, p.entry);
    if (!entry)
        return BRAGG_OK;
    for (size_t k = 0; k < sizeof facts / sizeof *facts; k++) {
        double *to = (double *)((char *)f + facts[k].offset);
        if (isfinite(*to) || (*facts[k].path == 'D' && !detector))
            continue;
        full_path(&p, facts[k].path, path);
        double v = number_at(links, file, path, index, unit);
        if (isfinite(v))
            *to = facts[k].convert(v, unit);
    }
    if (isnan(f->time_s))
        f->time_s = time_of(links, file, &p, index);
    full_path(&p, "D/description", path);
    if (!text_at(links, file, path, f->title, sizeof f->title)) {
        full_path(&p, "D/name", path);
        text_at(links, file, path, f->title, sizeof f->title);
    }
    return read_motors(links, file, &p, index, f, err);
}

bool bragg_nexus_mask(hdf5_links *links, hid_t file, const char *name, char *path, size_t size)
{
    static const char *const masks[] = { "D/pixel_mask", "D/detectorSpecific/pixel_mask", "D/detectorSpecific/detectorModule_000/pixel_mask" };
    places p = places_of(name);
    char full[600];
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
        full_path(&p, masks[k], full);
        if (bragg_hdf5_exists(links, file, full)) {
            snprintf(path, size, "%s", full);
            return true;
        }
    }
    return false;
}

#endif
