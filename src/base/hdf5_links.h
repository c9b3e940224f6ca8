/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_HDF5_LINKS_H
#define BASE_HDF5_LINKS_H

#include <bragg/error.h>
#include <hdf5.h>
#include <stdbool.h>

/* How an HDF5 file of somebody else's is read, within a turn of the caller's (see
 * <bragg/hdf5.h>): links, virtual parts and raw data that lead out of its folder are not
 * followed, and the first one met is remembered. */
typedef struct hdf5_links {
    char folder[4096];        /* that holds the file, resolved */
    char refused[1024];       /* a file outside of it that a link names; "" */
    hid_t link, set, group;   /* how to look up links, and to open data sets and groups */
} hdf5_links;

/* All rows of a set. */
#define HDF5_WHOLE ((hsize_t)-1)

#pragma GCC visibility push(hidden)
bragg_status bragg_hdf5_links_open(const char *path, hdf5_links *links, bragg_error *err);
void bragg_hdf5_links_close(hdf5_links *links);
/* Is there something under each part of the path? */
bool bragg_hdf5_exists(const hdf5_links *links, hid_t file, const char *path);
/* A data set whose layout can hold what it says it holds; negative else.  HDF5 itself believes a
 * damaged one, and copies from where nothing is, or makes room for chunks of any size. */
hid_t bragg_hdf5_open_sound(hid_t file, const char *path, hid_t access);
/* A data set to read, or a group, to be closed; negative when there is none inside. */
hid_t bragg_hdf5_open_set(hdf5_links *links, hid_t file, const char *path);
hid_t bragg_hdf5_open_group(const hdf5_links *links, hid_t file, const char *path);
/* False when a file that the set names as the place of its data lies outside. */
bool bragg_hdf5_names_inside(hdf5_links *links, hid_t set);
/* The same of the data of one row of its first axis, through the sets that these come from. */
bool bragg_hdf5_row_inside(hdf5_links *links, hid_t set, hsize_t row);
#pragma GCC visibility pop

#endif
