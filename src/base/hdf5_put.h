/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_HDF5_PUT_H
#define BASE_HDF5_PUT_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>

/* Small things written into HDF5, within a turn of the caller's (see <bragg/hdf5.h>);
 * false when HDF5 refuses. */
#pragma GCC visibility push(hidden)
/* How a data set is made, without the time it was made: two runs write the same bytes.  To
 * be closed. */
hid_t bragg_hdf5_new_set(void);
/* Texts of a fixed size, in UTF-8; to be closed. */
hid_t bragg_hdf5_text_type(size_t size);
/* n values, 0: one without an axis. */
bool bragg_hdf5_put_attribute(hid_t at, const char *name, hid_t type, hsize_t n, const void *value);
bool bragg_hdf5_put_text_attribute(hid_t at, const char *name, const char *text);
/* A group of a NeXus class. */
bool bragg_hdf5_put_group(hid_t file, const char *path, const char *nx_class);
/* n values (0: one, without an axis) with a unit and a long name, which may be NULL. */
bool bragg_hdf5_put(hid_t file, const char *path, hid_t type, hsize_t n, const void *value, const char *units, const char *long_name);
bool bragg_hdf5_put_text(hid_t file, const char *path, const char *text);
bool bragg_hdf5_put_number(hid_t file, const char *path, double value, const char *units);
#pragma GCC visibility pop

#endif
