/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_WRITER_H
#define FRAME_WRITER_H

#include <bragg/frame.h>
#include <bragg/output.h>

/* A format to write: one file beside its reader.  `out` is the file that will be, `n`
 * the number of frames it shall hold; all are of the first one's shape and type. */
typedef struct bragg_frame_writer {
    const char *name, *extensions;  /* " .tif .tiff " */
    unsigned types;                 /* bits 1 << bragg_pixel that it can hold as they are */
    bool several;                   /* more than one frame a file */
    bragg_status (*begin)(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err);
    bragg_status (*add)(void *state, const bragg_frame *frame, size_t index, bragg_error *err);
    bragg_status (*end)(void *state, bool good, bragg_error *err); /* frees; what is not good is only freed */
} bragg_frame_writer;

enum { EVERY_TYPE = (1 << (BRAGG_F64 + 1)) - 1 };

#pragma GCC visibility push(hidden)
extern const bragg_frame_writer bragg_frame_tiff_writer, bragg_frame_edf_writer, bragg_frame_cbf_writer, bragg_frame_npy_writer,
    bragg_frame_fits_writer, bragg_frame_hdf5_writer;
#pragma GCC visibility pop

#endif
