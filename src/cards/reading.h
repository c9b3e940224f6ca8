/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CARDS_READING_H
#define CARDS_READING_H

#include "private.h"

#pragma GCC visibility push(hidden)

/* A copy without blanks at its ends; "" too where there is no room. */
const char *bragg_cards_keep(bragg_card *card, const char *text, size_t n);
bragg_status bragg_cards_add_line(bragg_card *card, size_t *room, bragg_card_line line, bragg_error *err);
/* a b c in angstrom, angles in degrees; false, and the card as it was, when that is no cell */
bool bragg_cards_set_cell(bragg_card *card, const double v[6]);
void bragg_cards_complete_cell(bragg_card *card, double v[6], const char *system);
void bragg_cards_rescale(bragg_card *card, double wavelength_ang);

bragg_status bragg_cards_read_cif(const cards_source *from, bragg_card *card, unsigned char **structure, size_t *size, bragg_error *err);
bragg_status bragg_cards_read_jcpds(const cards_source *from, bragg_card *card, bragg_error *err);
bragg_status bragg_cards_read_list(const cards_source *from, bragg_card *card, bragg_error *err);
bool bragg_cards_is_pdf2(const char *text);
bragg_status bragg_cards_read_pdf2(const cards_source *from, bragg_card *card, bragg_error *err);
bool bragg_cards_is_text(const char *text);
bragg_status bragg_cards_read_text(const cards_source *from, bragg_card *card, bragg_error *err);
bragg_status bragg_cards_read_pdf4(const cards_source *from, bragg_card *card, bragg_error *err);

#pragma GCC visibility pop

#endif
