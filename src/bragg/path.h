/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PATH_H
#define BRAGG_PATH_H

#include <bragg/arena.h>
#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>

/** Paths; results live in the arena, NULL without memory. */

/** name itself when absolute, else name in the folder `folder`. */
char *bragg_path_join(bragg_arena *arena, const char *folder, const char *name);
/** name as seen from the folder that holds `file`; a leading $VARIABLE is replaced
 *  by its value. */
char *bragg_path_beside(bragg_arena *arena, const char *file, const char *name);
/** Last part without folder and without ".ext". */
char *bragg_path_stem(bragg_arena *arena, const char *path);
/** ".tif" of "a/b.tif"; "" without one.  Borrowed. */
const char *bragg_path_extension(const char *path);
/** By its name an HDF5 file: .h5, .nxs or .hdf5 in any case. */
bool bragg_path_is_hdf5(const char *path);
/** "FILE:/path/in/hdf5[slice]" taken apart: bytes of FILE (all without ":/"), the path, and
 *  where its '[' or the end is; path is "" and slice "" without ":/".  Borrowed. */
size_t bragg_path_split(const char *spec, const char **path, const char **slice);
bool bragg_path_exists(const char *path);
bool bragg_path_is_folder(const char *path);
/** Make a folder and those above it. */
bragg_status bragg_path_make_folder(const char *path, bragg_error *err);

/** Files of a folder (or that file, or those a shell pattern names), sorted so that
 *  frame2 stands before frame10.  suffix: only names that end so; NULL: all. */
bragg_status bragg_path_list(bragg_arena *arena, const char *folder_or_pattern, const char *suffix, const char ***out,
                             size_t *n, bragg_error *err);

/** A file of the installed data ("cif/CeO2.cif"): below $BRAGG_DATADIR, else the
 *  folder the program was installed to, else that it was built from. */
char *bragg_data_path(bragg_arena *arena, const char *name);
/** Is a phase's card a file by its name (.cif in any case)?  Else a bundled one. */
bool bragg_card_is_file(const char *card);
/** The CIF of a phase: a file as seen from `file` (NULL: from here),
 *  else the bundled card of that name.  It need not exist. */
char *bragg_card_path(bragg_arena *arena, const char *file, const char *card);

#endif
