/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_CARDS_H
#define BRAGG_CARDS_H

#include <bragg/crystal.h>
#include <bragg/observer.h>
#include <bragg/pattern.h>
#include <bragg/refine.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* ----------------------------------------------------------------- cards */

/** One line of a card. */
typedef struct bragg_card_line {
    int h, k, l;             /**< 0 0 0 when the source does not index it */
    double d_ang;
    double intensity;        /**< Cu K alpha 1, Bragg-Brentano, without anomalous scattering; strongest 100 */
} bragg_card_line;

/** What is known to stand between a card and a perfect one. */
enum bragg_card_flag {
    BRAGG_CARD_PARTIAL = 1,      /**< sites that are not fully occupied */
    BRAGG_CARD_DISORDER = 2,     /**< several species on a site, or disorder groups */
    BRAGG_CARD_NO_HYDROGEN = 4,  /**< hydrogen in the formula that no site has */
    BRAGG_CARD_COMPUTED = 8,     /**< structure from a calculation (DFT), not an experiment */
    BRAGG_CARD_LIST = 16,        /**< a list of d and I: no structure behind it */
    BRAGG_CARD_CUT = 32,         /**< more lines exist above d = 0.8 angstrom than are kept */
    BRAGG_CARD_ESTIMATED = 64    /**< intensities derived from a related structure */
};

/** A card: what a phase shows of itself in a powder pattern.  Texts are "" and
 *  numbers NAN where the source is silent. */
typedef struct bragg_card {
    bragg_arena *arena;
    long long id;
    const char *name, *formula, *space_group, *reference, *note;
    const char *source, *hash;           /**< file (and member), XXH3-128 of its bytes */
    const char *pdf, *cod, *icsd;        /**< numbers of other collections' entries */
    int group_number;                    /**< 0 when unknown */
    bragg_cell cell;                     /**< a = NAN without one */
    double density, rir;                 /**< g/cm^3; I/Ic of the reference intensity ratio */
    unsigned flags;
    unsigned char elements[24];          /**< atomic numbers, rising */
    size_t n_elements, n_lines;
    bragg_card_line *line;               /**< by falling d */
    bool has_structure;
} bragg_card;

void bragg_card_free(bragg_card *card);
/** "partial occupancies, computed" of flags, into text; returns it. */
const char *bragg_card_flags_text(unsigned flags, char text[160]);
/** Intensity of a line at another wavelength, relative to the card's own scale:
 *  multiplied by LP(theta) / LP(theta of Cu K alpha 1); 0 beyond 2theta = 180 degrees of
 *  either. */
double bragg_card_line_intensity(const bragg_card_line *line, double wavelength_ang, double polarization);

/** All lines of a structure at a wavelength, equal d joined, by falling d, strongest
 *  100; what anomalous scattering the structure's scatterers carry is counted.  The
 *  caller frees *out. */
bragg_status bragg_structure_lines(const bragg_structure *structure, double wavelength_ang, double polarization, double d_min_ang,
                                   bragg_card_line **out, size_t *n, bragg_error *err);

/** What makes the rings of a calibrant, as bragg_calibrate takes it. */
typedef struct bragg_calibrant {
    size_t n;
    double *d_ang, *strength;   /**< falling; of 1 (all 1 where only spacings are known) */
} bragg_calibrant;
/** A bundled card's ("LaB6", "AgBehenate") or a CIF file's lines that a frame shows.  wavelength_ang
 *  NAN: unknown.  temperature_k, of a calibrant that bragg_calibrant_stretch knows; NAN: as the card
 *  has it.  EINVAL for another name or temperature, EDATA without lines at that wavelength. */
bragg_status bragg_calibrant_read(bragg_arena *arena, const char *name, double wavelength_ang, double temperature_k, bragg_calibrant *out, bragg_error *err);

/* ------------------------------------------------------------------- set */

/** A set of cards in one SQLite file. */
typedef struct bragg_cards bragg_cards;

/** Open a set to read; EDATA when the file is none. */
bragg_status bragg_cards_open(const char *path, bragg_cards **out, bragg_error *err);
/** Open a set to add to, made when absent; NULL: in memory. */
bragg_status bragg_cards_create(const char *path, bragg_cards **out, bragg_error *err);
/** What a user means: a set's file, a folder or other source of cards (built in
 *  memory), or NULL: $BRAGG_CARDS, else the installed set, else the installed CIFs. */
bragg_status bragg_cards_find_set(const char *path, const bragg_observer *observer, bragg_cards **out, bragg_error *err);
void bragg_cards_free(bragg_cards *cards);
size_t bragg_cards_count(const bragg_cards *cards);

typedef struct bragg_cards_report {
    size_t added, kept, replaced, skipped;  /**< cards; those of unchanged sources; of changed ones; not readable */
} bragg_cards_report;

/** Add what the sources hold: folders (with those below them), shell patterns,
 *  archives (.tar, .tar.gz, .zip), CIFs (.cif, .cif.gz), a CSV with a column of CIFs,
 *  .jcpds cards, lists of d and I (CSV, PDF-2 text cards of 80 columns,
 *  cards that Jade saved as text, PDF-4 XML) and
 *  named sets (YAML).  Sources already in the set whose bytes have not changed are
 *  kept; what cannot be read is noted with its reason and left out.  Work is saved as
 *  it goes on, so that a run that was interrupted goes on where it was when it is
 *  repeated; STOPPED when the observer wished so.  The same set for any number of
 *  threads. */
bragg_status bragg_cards_build(bragg_cards *cards, const char *const *sources, size_t n, const bragg_observer *observer,
                               bragg_cards_report *report, bragg_error *err);

/** One card with its lines; the caller frees it. */
bragg_status bragg_cards_card(const bragg_cards *cards, long long id, bragg_card **out, bragg_error *err);
/** Its structure; EDATA when it has none.  Displacements are isotropic. */
bragg_status bragg_cards_structure(const bragg_cards *cards, long long id, bragg_structure **out, bragg_error *err);

/** Which cards a list wants; zero: all. */
typedef struct bragg_cards_filter {
    const char *text;                              /**< shell pattern or part of name or formula, or a PDF, COD or ICSD number */
    const unsigned char *must, *may, *not;         /**< atomic numbers: all of these; only these (and must); none of these */
    size_t n_must, n_may, n_not;
    const char *set;                               /**< member of that named set */
} bragg_cards_filter;
/** The cards' numbers in order of formula; exact names first.  The caller frees *ids. */
bragg_status bragg_cards_list(const bragg_cards *cards, const bragg_cards_filter *filter, long long **ids, size_t *n, bragg_error *err);
/** True when the elements pass the filter's must, may and not. */
bool bragg_cards_elements_pass(const bragg_cards_filter *filter, const unsigned char *elements, size_t n);

/** Members of named sets, and files that were skipped with the reason, a row after the other: the
 *  set's other tables as text; stops when the callback returns false. */
typedef struct bragg_cards_member {
    const char *set, *title, *card, *pdf, *window, *note, *source;
} bragg_cards_member;
bragg_status bragg_cards_members(const bragg_cards *cards, bool (*each)(void *payload, const bragg_cards_member *member), void *payload, bragg_error *err);
bragg_status bragg_cards_skipped(const bragg_cards *cards, bool (*each)(void *payload, const char *source, const char *reason), void *payload,
                                 bragg_error *err);

/* -------------------------------------------------------------- identify */

enum { BRAGG_MAX_PHASES = 4, BRAGG_MAX_ALTERNATIVES = 16 };

/** A card in an answer. */
typedef struct bragg_match {
    long long card;
    const char *name, *formula, *source;             /**< borrowed from the answer */
    double score;                                    /**< probability that this card (or one of its group) is there; NAN but in the best */
    bragg_quantity fraction;                         /**< by weight; NAN where no scale is known */
    bool rietveld;                                   /**< fraction from a refinement; else from I/Ic */
    bragg_cell cell;                                 /**< fitted; a = NAN without one */
    double strain;                                   /**< cube root of the change of volume against the card */
    size_t lines, found;                             /**< lines that should be seen; those that are; 0 but in the best */
    size_t n_alternatives;                           /**< cards that fit as well in its place */
    long long alternative[BRAGG_MAX_ALTERNATIVES];
    const char *alternative_name[BRAGG_MAX_ALTERNATIVES];
    char *remark;                                    /**< on solid solution or two phases; may be NULL */
} bragg_match;

/** One answer: the phases together, fitted. */
typedef struct bragg_hypothesis {
    size_t n;
    bragg_match phase[BRAGG_MAX_PHASES];
    double score;        /**< 0 to 1, calibrated: part of such answers that are right */
    double rwp;          /**< of the profile fit; NAN when not tried */
    double explained;    /**< share of the intensity above the background */
    bool guess;          /**< too weak to be an answer: the best of what there is */
} bragg_hypothesis;

typedef struct bragg_identify_options {
    bragg_radiation radiation;
    bragg_cards_filter filter;
    size_t n_verify;                 /**< so many of the best are fitted, each time */
    bool refine;                     /**< fractions of the first answer by Rietveld refinement */
    const bragg_observer *observer;
} bragg_identify_options;
#define BRAGG_IDENTIFY_OPTIONS_INIT { .radiation = { .polarization = 0.5 }, .n_verify = 60, .refine = true }

typedef struct bragg_identification {
    bragg_arena *arena;
    size_t n;                        /**< best first; that of no phases stands where its score puts it */
    bragg_hypothesis *hypothesis;
    size_t n_peaks, n_unexplained;
    bragg_peak *peak, *unexplained;  /**< of the pattern; those that the first answer leaves */
    size_t searched;                 /**< cards that passed the filter */
    bragg_radiation radiation;       /**< as given, or with the second line of a tube where the pattern shows it */
    double radius_m;                 /**< of the goniometer, as the pattern says; NAN: it does not */
} bragg_identification;

/** Name the phases of a pattern.  Candidates by the strongest lines of all cards
 *  over ln d, where a cell that swells shifts them as one; each is verified by a
 *  profile fit (scale, strain of the cell, width, intensities that texture may change);
 *  phases are added as long as the fit's evidence and the explained peaks speak for one
 *  more.  Nothing found is an answer, too: a first hypothesis without phases.
 *  EINVAL without a wavelength. */
bragg_status bragg_identify(const bragg_cards *cards, const bragg_pattern *pattern, const bragg_identify_options *options,
                            bragg_identification **out, bragg_error *err);
void bragg_identification_free(bragg_identification *identification);
/** The best answer that names phases as an experiment of bragg refine, written to `to`, which
 *  becomes the file `path`: cards of the bundled set by their name; of another set (own_set) by
 *  their CIF, unpacked beside `path` where it lies in a database; without a structure as lines.
 *  EDATA when no answer names a phase. */
bragg_status bragg_identification_put(const bragg_identification *identification, const bragg_cards *cards, bool own_set, const char *pattern, const char *path,
                                      bool force, FILE *to, bragg_error *err);

#endif
