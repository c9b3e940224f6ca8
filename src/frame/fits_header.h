/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_FITS_HEADER_H
#define FRAME_FITS_HEADER_H

#include "fits_card.h"

#pragma GCC visibility push(hidden)
/* The first unit with a picture of 2 or 3 axes.  All that cfitsio takes from the
 * headers up to there has been looked at: it copies and adds without asking. */
bragg_status bragg_fits_find_picture(const frame_file *f, fits_picture *p, bragg_error *err);
void bragg_fits_picture_free(fits_picture *p);
#pragma GCC visibility pop

#endif
