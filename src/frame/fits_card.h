/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FRAME_FITS_CARD_H
#define FRAME_FITS_CARD_H

#include "bytes.h"

#include <stdint.h>

/* One card of a header: "ZVAL1   =                   32 / pixels per block". */
typedef struct fits_card {
    char key[9];
    char type;          /* 's'tring, 'i'nteger, 'r'eal, 'l'ogical, 'c'omplex; 0 without value, '?' what is none of them */
    long long integer;  /* of 'i'; of 'l' 0 or 1 */
    double number;      /* of 'i' and 'r' */
    char text[71];      /* of 's' without quotes and blanks at its end; of '?' as it stands */
} fits_card;

/* A header and where its data are: one of the units of a file. */
typedef struct fits_unit {
    size_t number;      /* from 1 */
    fits_card *card;
    size_t n_cards, room;
    size_t data, bytes; /* where they begin, how many there are */
} fits_unit;

/* A picture: an image, or the table that a compressed image is. */
typedef struct fits_picture {
    fits_unit unit;
    bool compressed;
    size_t axes, axis[3]; /* fast first; 1 where there is none */
} fits_picture;

#pragma GCC visibility push(hidden)
/* The 80 bytes of a card; what cfitsio would take from it is of the type it expects. */
void bragg_fits_read_card(const unsigned char *at, fits_card *c);
bragg_status bragg_fits_check_card(const frame_file *f, const fits_unit *u, const fits_card *c, bragg_error *err);

const fits_card *bragg_fits_card(const fits_unit *u, const char *key);
/* "TFORM", 3: the card of TFORM3. */
const fits_card *bragg_fits_card_of(const fits_unit *u, const char *key, size_t k);
long long bragg_fits_integer(const fits_card *c, long long without);
double bragg_fits_number(const fits_card *c);       /* NAN without */
const char *bragg_fits_text(const fits_card *c);    /* "" without */
#pragma GCC visibility pop

#endif
