/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_FITS_TILES_H
#define FRAME_FITS_TILES_H

#include <bragg/error.h>
#include <fitsio.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)
/* cfitsio divides by the sizes of tiles and blocks as soon as it sees them. */
bool bragg_fits_header_divides_by_zero(const unsigned char *head, size_t n);
/* OK when cfitsio's decoder will not run beyond the bytes of frame `index`; EDATA else. */
bragg_status bragg_fits_check_tiles(fitsfile *f, const char *path, size_t index, bragg_error *err);
#pragma GCC visibility pop

#endif
