/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_OUTPUT_H
#define BRAGG_OUTPUT_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stdio.h>

/** A file that appears under its name whole, or not at all: written beside its
 *  name, flushed to the disk and renamed.  An interrupted run leaves whole
 *  files only. */
typedef struct bragg_output bragg_output;

/** Start writing path.  EINVAL for what stands there and is no file (a folder, a device);
 *  EEXIST when it exists and force is false; EIO when its folder cannot be written.
 *  A symbolic link is followed, so that the file it
 *  names is replaced and the link stays. */
bragg_status bragg_output_open(const char *path, bool force, bragg_output **out, bragg_error *err);

/** What open() of a new file at path failed for (its errno), told with what stands in the way:
 *  EINVAL for a folder of that name, EIO for a folder around it that is not there, is none or
 *  takes no files, ENOMEM for want of memory. */
bragg_status bragg_output_refused(const char *path, int cause, bragg_error *err);

/** Where to write, buffered. */
FILE *bragg_output_stream(bragg_output *output);

/** The temporary file's path, for libraries that open files by themselves. */
const char *bragg_output_temporary(const bragg_output *output);

/** Flush, rename, free.  On failure nothing appears and the cause is in err.
 *  A race with another writer that made the file meanwhile is EEXIST without
 *  force. */
bragg_status bragg_output_commit(bragg_output *output, bragg_error *err);

/** Drop what was written and free; NULL is a no-op. */
void bragg_output_abandon(bragg_output *output);

/** A line "KEY = VALUE" with so many digits and what ends it; nothing when the value is none. */
void bragg_output_number(FILE *to, const char *key, double value, int digits, const char *end);

/** "KEY: [VALUE, VALUE]", as YAML has it, and what ends it. */
void bragg_output_numbers(FILE *to, const char *key, const double *value, size_t n, const char *end);

#endif
