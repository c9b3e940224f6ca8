/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may speak to HDF5, and that it does not speak by itself. */
#include "config.h"
#include <bragg/hdf5.h>

#include <stddef.h>

#ifndef HAVE_HDF5

bragg_hdf5_turn bragg_hdf5_begin(void) { return (bragg_hdf5_turn){ NULL, NULL }; }
void bragg_hdf5_end(bragg_hdf5_turn turn) { (void)turn; }
int bragg_hdf5_failed(void) { return 0; }
bragg_status bragg_hdf5_end_whole(bragg_hdf5_turn turn, bragg_status status, const char *path, bragg_error *err)
{
    (void)turn, (void)path, (void)err;
    return status;
}

#else

#include "hdf5_safely.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
static int failed; /* errno of the first failed call to the disk in this turn; whoever is alone has it */

/* HDF5's own text has it ("file read failed: time = …, errno = 5, …"); errno itself has
 * been through its clean-up. */
static herr_t find_cause(unsigned n, const H5E_error2_t *e, void *payload)
{
    const char *found = e->maj_num == H5E_IO && e->desc ? strstr(e->desc, "errno = ") : NULL;
    (void)n, (void)payload;
    if (found && !failed)
        failed = (int)strtol(found + strlen("errno = "), NULL, 10);
    return 0;
}

static herr_t note_failure(hid_t stack, void *payload)
{
    return H5Ewalk2(stack, H5E_WALK_UPWARD, find_cause, payload);
}

bragg_hdf5_turn bragg_hdf5_begin(void)
{
    bragg_hdf5_turn turn;
    H5E_auto2_t printer;
    pthread_mutex_lock(&alone);
    H5Eget_auto2(H5E_DEFAULT, &printer, &turn.data);
    H5Eset_auto2(H5E_DEFAULT, note_failure, NULL);
    failed = 0;
    turn.function = (void (*)(void))printer;
    return turn;
}

void bragg_hdf5_end(bragg_hdf5_turn turn)
{
    H5Eset_auto2(H5E_DEFAULT, (H5E_auto2_t)turn.function, turn.data);
    pthread_mutex_unlock(&alone);
}

int bragg_hdf5_failed(void)
{
    return failed;
}

void bragg_hdf5_note(int cause)
{
    if (!failed)
        failed = cause;
}

void *bragg_hdf5_noted(void *room)
{
    if (!room)
        bragg_hdf5_note(ENOMEM);
    return room;
}

bragg_status bragg_hdf5_end_whole(bragg_hdf5_turn turn, bragg_status status, const char *path, bragg_error *err)
{
    int cause = failed;
    bragg_hdf5_end(turn);
    if (!cause)
        return status;
    if (err) /* what else was said of the file came of this */
        *err = (bragg_error)BRAGG_ERROR_INIT;
    return bragg_fail(err, bragg_status_of_errno(cause), "'%s': not read or written whole: %s", path, strerror(cause));
}

#endif
