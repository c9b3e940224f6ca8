/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_FITS_TILES_H
#define FRAME_FITS_TILES_H

#include "fits_card.h"

#pragma GCC visibility push(hidden)
/* The columns of a binary table fill its rows, its heap is within its data. */
bragg_status bragg_fits_check_table(const frame_file *f, const fits_unit *u, bragg_error *err);
/* Sizes, tiles and columns of a compressed image are some that cfitsio can take. */
bragg_status bragg_fits_check_compression(const frame_file *f, const fits_picture *p, bragg_error *err);
/* OK when cfitsio's decoder will not run beyond the bytes of frame `index`; EDATA else.
 * *sums: only a right CHECKSUM and DATASUM can tell, which is left to the caller. */
bragg_status bragg_fits_check_tiles(const frame_file *f, const fits_picture *p, size_t index, bool *sums, bragg_error *err);
#pragma GCC visibility pop

#endif
