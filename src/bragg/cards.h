/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_CARDS_H
#define BRAGG_CARDS_H

#include <bragg/crystal.h>
#include <bragg/observer.h>
#include <bragg/pattern.h>
#include <bragg/refine.h>
#include <stdbool.h>
#include <stddef.h>

/** A card: a structure reduced to the lines a search compares. */
typedef struct bragg_card {
    const char *name, *formula, *path;
    unsigned char elements[16];      /**< atomic numbers, n_elements of them */
    size_t n_elements, n_lines;
    double *q_invang, *intensity;    /**< rising q; strongest line 1 */
} bragg_card;

/** A set of cards; owns all it holds. */
typedef struct bragg_cards {
    bragg_arena *arena;
    size_t n;
    bragg_card *card;
} bragg_cards;

/** Every CIF of a folder.  Files that cannot be read are told to the observer and
 *  left out; EDATA when none is left. */
bragg_status bragg_cards_read_folder(const char *folder, double wavelength_ang, double q_max_invang,
                                     const bragg_observer *observer, bragg_cards **out, bragg_error *err);
void bragg_cards_free(bragg_cards *cards);

/** A card and how well its lines match. */
typedef struct bragg_match {
    const bragg_card *card;
    double score;        /**< 0 to 1: share of the card's lines that stand in the pattern, and of the pattern that they explain */
    double shift;        /**< relative change of the cell that matches best */
} bragg_match;

enum { BRAGG_MOST_PHASES = 4 };

/** One answer: the phases together, fitted. */
typedef struct bragg_hypothesis {
    size_t n;
    bragg_match phase[BRAGG_MOST_PHASES];
    bragg_quantity fraction[BRAGG_MOST_PHASES];  /**< by weight */
    bragg_cell cell[BRAGG_MOST_PHASES];          /**< fitted; a = 0 when not */
    double rwp;          /**< of the fit of scales, background, zero, cells and widths; NAN when not tried */
} bragg_hypothesis;

typedef struct bragg_identify_options {
    bragg_radiation radiation;
    const unsigned char *elements;   /**< atomic numbers allowed; NULL: any */
    size_t n_elements;
    size_t n_verify;                 /**< so many of the best are fitted, each time */
    const bragg_observer *observer;
} bragg_identify_options;
#define BRAGG_IDENTIFY_OPTIONS_INIT { { false, 0, { 0 }, { 0 }, 0.5 }, NULL, 0, 10, NULL }

/** Rank the cards against a pattern: first by positions and intensities of lines;
 *  the best few are fitted.  What the best leaves unexplained is searched again, a
 *  second, third and fourth phase being added as long as Rwp falls by more than a
 *  tenth.  The mixtures come first, then the single phases, best first.  None
 *  (*n = 0): nothing matches.  The caller frees *out and *peaks. */
bragg_status bragg_identify(const bragg_cards *cards, const bragg_pattern *pattern, const bragg_identify_options *options,
                            bragg_hypothesis **out, size_t *n, bragg_peak **peaks, size_t *n_peaks, bragg_error *err);

#endif
