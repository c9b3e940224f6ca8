/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_NEXUS_H
#define FRAME_NEXUS_H

#include "base/hdf5_links.h"

#include <bragg/frame.h>
#include <hdf5.h>

#pragma GCC visibility push(hidden)
/* What the file tells of frame `index` of the data set `name`: NeXus classes NXdetector,
 * NXmonochromator, NXbeam, NXsample, NXmonitor; and the names of Dectris' Eiger. */
bragg_status bragg_nexus_read_facts(hdf5_links *links, hid_t file, const char *name, hsize_t index, bragg_frame *frame, bragg_error *err);
/* Path of the detector's pixel_mask for frames of the set `name`; false without one. */
bool bragg_nexus_mask(hdf5_links *links, hid_t file, const char *name, char *path, size_t size);
#pragma GCC visibility pop

#endif
