/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CIF's words and numbers, and what a model used in sentences.  Private. */
#ifndef REFINE_WORDING_H
#define REFINE_WORDING_H

#include "model.h"

#include <bragg/number.h>
#include <stdio.h>

#pragma GCC visibility push(hidden)

/* A value with its esd in brackets when it has one, "?" when it is no number. */
const char *bragg_refine_esd_text(char buffer[BRAGG_NUMBER_TEXT], double value, double esd);
/* A data block's or atom's name: no blanks, no quotes, ASCII. */
void bragg_refine_put_word(FILE *to, const char *word);

/* Items of a pattern's block, text fields all: profile function, background,
 * preferred orientation, absorption, D_ij, and what was known beside the points. */
void bragg_refine_say_method(FILE *to, const bragg_model *m);
void bragg_refine_say_profile(FILE *to, const bragg_model *m, const histogram *h);
void bragg_refine_say_background(FILE *to, const bragg_model *m, const histogram *h);
void bragg_refine_say_orientation(FILE *to, const bragg_model *m);
void bragg_refine_say_absorption(FILE *to, const bragg_model *m, const histogram *h);
void bragg_refine_say_details(FILE *to, const bragg_model *m, const bragg_fit *f, size_t which);
/* Items of a phase's block: sizes and strains, extinction, where intensities come from. */
void bragg_refine_say_sample(FILE *to, const bragg_model *m, const phase *p);
void bragg_refine_say_extinction(FILE *to, const bragg_model *m, const phase *p);
void bragg_refine_say_intensities(FILE *to, const phase *p);

/* Loops of distances and of angles of a phase (geometry.c). */
bragg_status bragg_refine_put_geometry(FILE *to, const bragg_model *m, const bragg_fit *f, size_t which, bragg_error *err);

#pragma GCC visibility pop

#endif
