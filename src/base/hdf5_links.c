/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the links of an HDF5 file may lead. */
#include "config.h"

#ifdef HAVE_HDF5

#include "hdf5_links.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file that a link from a file `from` to `name` leads to: HDF5 tries an absolute name as
 * it is, then its last part beside the file that has the link, as it does with a relative
 * one (H5Lcreate_external).  False when it is not there or outside. */
static bool resolve(const hdf5_links *links, const char *from, const char *name, char found[PATH_MAX])
{
    char wanted[2 * PATH_MAX];
    const char *slash = strrchr(from, '/'), *last = strrchr(name, '/');
    size_t n = strlen(links->folder);
    if (*name != '/' || !realpath(name, found)) {
        snprintf(wanted, sizeof wanted, "%.*s%s", slash ? (int)(slash - from + 1) : 0, from, *name == '/' && last ? last + 1 : name);
        if (!realpath(wanted, found))
            return false;
    }
    return !strncmp(found, links->folder, n) && (found[n] == '/' || n == 1);
}

static bool refuse(hdf5_links *links, const char *name)
{
    if (!*links->refused)
        snprintf(links->refused, sizeof links->refused, "%s", name);
    return false;
}

static bool check(hdf5_links *links, const char *from, const char *name)
{
    char found[PATH_MAX];
    return resolve(links, from, name, found) || refuse(links, name);
}

static herr_t follow(const char *parent, const char *group, const char *child, const char *object, unsigned *flags, hid_t access, void *payload)
{
    return check(payload, parent, child) ? 0 : -1;
    (void)group, (void)object, (void)flags, (void)access;
}

bragg_status bragg_hdf5_links_open(const char *path, hdf5_links *links, bragg_error *err)
{
    char resolved[PATH_MAX];
    *links = (hdf5_links){ .link = -1, .set = -1, .group = -1 };
    if (!realpath(path, resolved))
        return bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", path, strerror(errno));
    char *slash = strrchr(resolved, '/');
    slash[slash == resolved] = '\0';
    snprintf(links->folder, sizeof links->folder, "%s", resolved);
    links->link = H5Pcreate(H5P_LINK_ACCESS);
    links->set = H5Pcreate(H5P_DATASET_ACCESS);
    links->group = H5Pcreate(H5P_GROUP_ACCESS);
    H5Pset_elink_cb(links->link, follow, links);
    H5Pset_elink_cb(links->set, follow, links);
    H5Pset_elink_cb(links->group, follow, links);
    H5Pset_efile_prefix(links->set, "${ORIGIN}"); /* raw data lie beside their file, not where we stand */
    return BRAGG_OK;
}

void bragg_hdf5_links_close(hdf5_links *links)
{
    if (links->link >= 0)
        H5Pclose(links->link);
    if (links->set >= 0)
        H5Pclose(links->set);
    if (links->group >= 0)
        H5Pclose(links->group);
}

bool bragg_hdf5_exists(const hdf5_links *links, hid_t file, const char *path)
{
    char part[1024];
    if (strlen(path) >= sizeof part)
        return false;
    for (const char *end = path; *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
        if (H5Lexists(file, part, links->link) <= 0)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------- data sets */

/* Chunks of up to 64 MB are believed of any file, larger ones when they are packed two
 * thousandfold at most. */
static bool chunks_believable(hid_t set, hid_t made, int rank, double item)
{
    hsize_t size[H5S_MAX_RANK] = { 0 }, all = 0;
    hid_t file = H5Iget_file_id(set);
    int axes = H5Pget_chunk(made, H5S_MAX_RANK, size);
    double bytes = item;
    for (int k = 0; k < axes && k < H5S_MAX_RANK; k++)
        bytes *= (double)size[k];
    if (file < 0 || H5Fget_filesize(file, &all) < 0)
        all = 0;
    if (file >= 0)
        H5Fclose(file);
    return axes == rank && (bytes <= 1 << 26 || bytes <= 2000 * (double)all);
}

static bool is_sound(hid_t set)
{
    hid_t made = H5Dget_create_plist(set), type = H5Dget_type(set), space = H5Dget_space(set);
    hssize_t points = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    double item = type >= 0 ? (double)H5Tget_size(type) : 0, stored = (double)H5Dget_storage_size(set);
    bool good = made >= 0 && points >= 0 && item > 0;
    H5D_layout_t layout = good ? H5Pget_layout(made) : H5D_LAYOUT_ERROR;
    if (layout == H5D_COMPACT || (layout == H5D_CONTIGUOUS && H5Pget_external_count(made) == 0 && H5Dget_offset(set) != HADDR_UNDEF))
        good = stored >= (double)points * item;
    else if (layout == H5D_CHUNKED)
        good = chunks_believable(set, made, H5Sget_simple_extent_ndims(space), item);
    if (made >= 0)
        H5Pclose(made);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return good;
}

hid_t bragg_hdf5_open_sound(hid_t file, const char *path, hid_t access)
{
    hid_t set = H5Dopen2(file, path, access);
    if (set < 0 || is_sound(set))
        return set;
    H5Dclose(set);
    return -1;
}

bool bragg_hdf5_names_inside(hdf5_links *links, hid_t set)
{
    char own[PATH_MAX] = "", name[1024];
    hid_t made = H5Dget_create_plist(set);
    size_t virtual = 0;
    bool good = true;
    H5Fget_name(set, own, sizeof own);
    if (H5Pget_layout(made) == H5D_VIRTUAL)
        H5Pget_virtual_count(made, &virtual);
    for (size_t k = 0; good && k < virtual; k++) {
        bool named = H5Pget_virtual_filename(made, k, name, sizeof name) >= 0;
        good = named ? !strcmp(name, ".") || check(links, own, name) : refuse(links, "?");
    }
    int outer = H5Pget_external_count(made);
    for (int k = 0; good && k < outer; k++) {
        off_t offset;
        hsize_t size;
        bool named = H5Pget_external(made, (unsigned)k, sizeof name, name, &offset, &size) >= 0;
        good = named ? check(links, own, name) : refuse(links, "?");
    }
    H5Pclose(made);
    return good;
}

enum { MOST_STEPS = 4 };

static bool data_inside(hdf5_links *links, hid_t set, hsize_t row, int steps);

/* The set that part k of a virtual one comes from: HDF5 reads it as if no rules had been
 * given for links. */
static bool source_inside(hdf5_links *links, hid_t set, hid_t made, size_t k, int steps)
{
    char own[PATH_MAX] = "", name[1024], path[1024], found[PATH_MAX];
    H5Fget_name(set, own, sizeof own);
    if (H5Pget_virtual_filename(made, k, name, sizeof name) < 0 || H5Pget_virtual_dsetname(made, k, path, sizeof path) < 0 || steps == MOST_STEPS)
        return refuse(links, steps == MOST_STEPS ? path : "?");
    bool here = !strcmp(name, ".");
    if (!here && !resolve(links, own, name, found))
        return refuse(links, name);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    hid_t file = here ? H5Iget_file_id(set) : H5Fopen(found, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    hid_t source = file >= 0 ? H5Dopen2(file, path, links->set) : -1; /* what is not there is read as if it were empty */
    bool good = source < 0 ? !*links->refused : !is_sound(source) ? refuse(links, path) : data_inside(links, source, HDF5_WHOLE, steps + 1);
    if (source >= 0)
        H5Dclose(source);
    if (file >= 0)
        H5Fclose(file);
    return good;
}

static bool covers(hid_t made, size_t k, hsize_t row)
{
    hsize_t low[H5S_MAX_RANK] = { 0 }, high[H5S_MAX_RANK] = { 0 };
    hid_t space = H5Pget_virtual_vspace(made, k);
    bool known = space >= 0 && H5Sget_select_bounds(space, low, high) >= 0;
    if (space >= 0)
        H5Sclose(space);
    return row == HDF5_WHOLE || !known || (row >= low[0] && row <= high[0]);
}

static bool data_inside(hdf5_links *links, hid_t set, hsize_t row, int steps)
{
    if (!bragg_hdf5_names_inside(links, set))
        return false;
    hid_t made = H5Dget_create_plist(set);
    size_t virtual = 0;
    bool good = true;
    if (H5Pget_layout(made) == H5D_VIRTUAL)
        H5Pget_virtual_count(made, &virtual);
    for (size_t k = 0; good && k < virtual; k++)
        good = !covers(made, k, row) || source_inside(links, set, made, k, steps);
    H5Pclose(made);
    return good;
}

bool bragg_hdf5_row_inside(hdf5_links *links, hid_t set, hsize_t row) { return data_inside(links, set, row, 0); }

hid_t bragg_hdf5_open_set(hdf5_links *links, hid_t file, const char *path)
{
    hid_t set = bragg_hdf5_exists(links, file, path) ? bragg_hdf5_open_sound(file, path, links->set) : -1;
    if (set >= 0 && !bragg_hdf5_row_inside(links, set, HDF5_WHOLE)) {
        H5Dclose(set);
        return -1;
    }
    return set;
}

hid_t bragg_hdf5_open_group(const hdf5_links *links, hid_t file, const char *path)
{
    return bragg_hdf5_exists(links, file, path) ? H5Gopen2(file, path, links->group) : -1;
}

#endif
