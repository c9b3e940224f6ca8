/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may speak to HDF5, and that it does not speak by itself. */
#include "config.h"
#include <bragg/hdf5.h>

#include <stddef.h>

#ifndef HAVE_HDF5

bragg_hdf5_turn bragg_hdf5_begin(void) { return (bragg_hdf5_turn){ NULL, NULL }; }
void bragg_hdf5_end(bragg_hdf5_turn turn) { (void)turn; }

#else

#include <hdf5.h>
#include <pthread.h>

static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;

bragg_hdf5_turn bragg_hdf5_begin(void)
{
    bragg_hdf5_turn turn;
    H5E_auto2_t printer;
    pthread_mutex_lock(&alone);
    H5Eget_auto2(H5E_DEFAULT, &printer, &turn.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    turn.function = (void (*)(void))printer;
    return turn;
}

void bragg_hdf5_end(bragg_hdf5_turn turn)
{
    H5Eset_auto2(H5E_DEFAULT, (H5E_auto2_t)turn.function, turn.data);
    pthread_mutex_unlock(&alone);
}

#endif
