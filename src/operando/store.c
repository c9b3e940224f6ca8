/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: an HDF5 file that is whole at every moment.
 *
 * HDF5 does not promise that a file whose writer was killed can be opened again, for
 * its own tables move while data are added.  So they never move here: every data set is
 * laid out at its full size in one contiguous piece (holes take no room on the disk)
 * before the file appears under its name, and frames are written into their places by
 * plain pwrite.
 *
 *      /series/table[frame][column]    /patterns/observed[frame][point]
 *      /series/file, message, check    /patterns/calculated, sigma[frame][point]
 *      /series/status[frame]           last of all: a row counts when its status is not 0
 *                                      and the check (XXH3-64 of the rest) is right
 *
 * More frames than there is room for, and the end of a run, are a new file of the right
 * size that takes the name of the old. */
#include "config.h"

#ifdef HAVE_HDF5

#include "store_parts.h"

#include "base/hdf5_safely.h"
#include <bragg/hdf5.h>
#include <unistd.h>

/* All that HDF5 reads of a store, by a child (base/hdf5_safely.h) alone: what it says of it
 * is for the parent to find. */
static bragg_status survive(void *payload, bragg_error *err)
{
    const char *path = payload;
    bragg_series *s = NULL;
    bragg_pdf_course *total = NULL;
    bragg_store_curves curves;
    hid_t file = bragg_hdf5_rehearses() ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (file < 0)
        return BRAGG_OK;
    if (bragg_store_get_series(path, &s, NULL) == BRAGG_OK)
        bragg_store_get_total(file, s->arena, &total, NULL);
    bragg_store_get_patterns(path, 1, &curves, NULL);
    for (size_t k = 0; k < sizeof bragg_store_text / sizeof *bragg_store_text; k++)
        bragg_store_get_text(file, bragg_store_text[k]);
    return BRAGG_OK;
    (void)err;
}

static bragg_status try_store(const char *path, bragg_error *err) { return bragg_hdf5_safely(path, "store", survive, (void *)path, err); }

bragg_status bragg_store_pdf(const char *path, bragg_arena *arena, bragg_pdf_course **out, bragg_error *err)
{
    *out = NULL;
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = try_store(path, err);
    bool named = st < 0;
    hid_t file = st == BRAGG_OK ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (st == BRAGG_OK)
        st = file < 0 ? bragg_fail(err, BRAGG_EDATA, "'%s': cannot be opened as HDF5", path) : bragg_store_get_total(file, arena, out, err);
    if (file >= 0)
        H5Fclose(file);
    st = bragg_hdf5_end_whole(turn, st, path, err);
    return st < 0 && !named ? bragg_context(err, st, "'%s'", path) : st;
}

bragg_status bragg_store_open(const seq_store_start *o, seq_store **out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = o->resume && access(o->path, F_OK) == 0 ? try_store(o->path, err) : BRAGG_OK;
    st = bragg_hdf5_end_whole(turn, st < 0 ? st : bragg_store_begin(o, out, err), o->path, err);
    if (st < 0 && *out)
        bragg_store_free(*out), *out = NULL;
    return st;
}

bragg_status bragg_store_room(seq_store *s, size_t frames, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    return bragg_hdf5_end_whole(turn, bragg_store_make_room(s, frames, err), s->path, err);
}

bragg_status bragg_store_close(seq_store *s, bragg_series *series, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = bragg_store_end(s, series, err);
    bragg_hdf5_end(turn);
    return st;
}

bragg_status bragg_store_look(const char *path, bragg_store_view **out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = try_store(path, err);
    st = bragg_hdf5_end_whole(turn, st < 0 ? st : bragg_store_get_view(path, out, err), path, err);
    if (st < 0 && *out)
        bragg_store_view_free(*out), *out = NULL;
    return st;
}

bragg_status bragg_store_read(const char *path, bragg_series **out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    *out = NULL;
    bragg_status st = try_store(path, err);
    st = bragg_hdf5_end_whole(turn, st < 0 ? st : bragg_store_get_series(path, out, err), path, err);
    if (st < 0 && *out)
        bragg_series_free(*out), *out = NULL;
    return st;
}

bragg_status bragg_store_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    bragg_status st = try_store(path, err);
    *out = (bragg_store_curves){ 0 };
    return bragg_hdf5_end_whole(turn, st < 0 ? st : bragg_store_get_patterns(path, rows, out, err), path, err);
}

#endif
