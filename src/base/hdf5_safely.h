/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_HDF5_SAFELY_H
#define BASE_HDF5_SAFELY_H

#include <bragg/error.h>
#include <hdf5.h>
#include <stdbool.h>

/* HDF5 ends the process at some damaged files (metadata that leads to address zero, room for
 * 10^16 bytes), and nothing that can be asked of it beforehand tells which: to open a file is
 * enough.  So a file is first read by a child, whose death is a message and no more. */

/* What is done with a file, within the caller's turn (see <bragg/hdf5.h>): all that a child
 * is to have survived.  What it leaves open or allocated when it fails is its own affair. */
typedef bragg_status hdf5_act(void *payload, bragg_error *err);

#pragma GCC visibility push(hidden)
/* Acts on the file, as long as it stays as it is for the first time in a child.  `what` is done
 * there (a data set, say): each is tried once.  BRAGG_EDATA where the child died. */
bragg_status bragg_hdf5_safely(const char *path, const char *what, hdf5_act *act, void *payload, bragg_error *err);
/* Is this the child?  It may look longer. */
bool bragg_hdf5_rehearses(void);
/* The errno of the first failed call to the disk becomes this where there was none. */
void bragg_hdf5_note(int cause);
/* room itself; that there is none is noted so. */
void *bragg_hdf5_noted(void *room);

/* H5Dread of the default properties, where each chunk that is touched holds as much as is to
 * be copied out of it: HDF5 1.10 takes the filters' word for that, and reads on behind. */
herr_t bragg_hdf5_read(hid_t set, hid_t type, hid_t memory, hid_t space, void *to);
/* What is stored of the chunk that begins there; 0: it has not been written. */
#define HDF5_LOST ((hsize_t)-1)
hsize_t bragg_hdf5_chunk_bytes(hid_t set, const hsize_t *corner);
#pragma GCC visibility pop

#endif
