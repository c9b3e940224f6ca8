/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_HDF5_H
#define BRAGG_HDF5_H

#include <bragg/error.h>

/** HDF5 as most distributions build it serves one thread, and it prints its errors by
 *  itself unless told not to.  Between begin and end the caller has it alone, and
 *  silent; turns do not nest.  Without HDF5 both do nothing. */
typedef struct bragg_hdf5_turn {
    void (*function)(void); /**< who printed before */
    void *data;
} bragg_hdf5_turn;

bragg_hdf5_turn bragg_hdf5_begin(void);
void bragg_hdf5_end(bragg_hdf5_turn turn);

/** The errno of the first read or write that failed in this turn, 0: none.  What could not
 *  be read looks to most calls of HDF5 as if it were not there, and what could not be
 *  written is known to some only when they close. */
int bragg_hdf5_failed(void);

/** Ends the turn, and answers BRAGG_EIO, whatever the status, where the disk failed
 *  meanwhile, BRAGG_ENOMEM where memory did. */
bragg_status bragg_hdf5_end_whole(bragg_hdf5_turn turn, bragg_status status, const char *path, bragg_error *err);

#endif
