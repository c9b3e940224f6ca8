/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_HDF5_H
#define BRAGG_HDF5_H

/** HDF5 as most distributions build it serves one thread, and it prints its errors by
 *  itself unless told not to.  Between begin and end the caller has it alone, and
 *  silent; turns do not nest.  Without HDF5 both do nothing. */
typedef struct bragg_hdf5_turn {
    void (*function)(void); /**< who printed before */
    void *data;
} bragg_hdf5_turn;

bragg_hdf5_turn bragg_hdf5_begin(void);
void bragg_hdf5_end(bragg_hdf5_turn turn);

#endif
