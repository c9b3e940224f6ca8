/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_NEXUS_H
#define FRAME_NEXUS_H

#include <bragg/frame.h>
#include <hdf5.h>

/* The way into an HDF5 file: links and virtual parts that lead out of its folder are not
 * followed, and the first one met is remembered. */
typedef struct nexus_way {
    char folder[4096];       /* that holds the file, resolved */
    char refused[1024];      /* a file outside of it that a link names; "" */
    hid_t link, set;         /* how to look up links, and to open data sets */
} nexus_way;

#pragma GCC visibility push(hidden)
bragg_status bragg_nexus_way_open(const char *path, nexus_way *way, bragg_error *err);
void bragg_nexus_way_close(nexus_way *way);
/* False when part of the data set lies in files outside of the folder. */
bool bragg_nexus_inside(nexus_way *way, hid_t set);
/* Is there something under each part of the path? */
bool bragg_nexus_exists(const nexus_way *way, hid_t file, const char *path);

/* What the file tells of frame `index` of the data set `name`: NeXus classes NXdetector,
 * NXmonochromator, NXbeam, NXsample, NXmonitor; and the names of Dectris' Eiger. */
bragg_status bragg_nexus_read_facts(const nexus_way *way, hid_t file, const char *name, hsize_t index, bragg_frame *frame, bragg_error *err);
/* Path of the detector's pixel_mask for frames of the set `name`; false without one. */
bool bragg_nexus_mask(const nexus_way *way, hid_t file, const char *name, char *path, size_t size);
#pragma GCC visibility pop

#endif
