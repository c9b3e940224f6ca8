/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_INDEX_H
#define BRAGG_INDEX_H

#include <bragg/crystal.h>
#include <bragg/observer.h>
#include <bragg/pattern.h>
#include <bragg/refine.h>
#include <stdbool.h>
#include <stddef.h>

/** Unit cells from the positions of powder lines.
 *
 *      pattern ─► lines ─► dichotomy, by system and volume ─┐
 *                    └───► zones and their pairs ───────────┴─► trials
 *      trials ─► Bravais lattices ─► least squares, zero too ─► evidence, M_N, F_N
 *             ─► extinction symbols ─► Le Bail of the best ─► ranked cells */

/** One observed line. */
typedef struct bragg_index_line {
    double two_theta_rad, sigma_rad;   /**< sigma NAN: unknown */
    double intensity;                  /**< relative; NAN: unknown */
} bragg_index_line;

typedef struct bragg_index_lines {
    size_t n;
    bragg_index_line *at;                    /**< by rising 2theta */
    double first_rad;                  /**< the measurement begins here; 0 when unknown */
} bragg_index_lines;

void bragg_index_lines_free(bragg_index_lines *lines);

/** Lines of a pattern: its peaks, the second line of a doublet (radiation of two
 *  lines) left out. */
bragg_status bragg_index_lines_from_pattern(const bragg_pattern *pattern, const bragg_radiation *radiation, bragg_index_lines *out,
                                      bragg_error *err);
/** Lines of a list: columns position [intensity [sigma]], blanks, commas or semicolons
 *  between them, # begins a comment; a line of the file that says "unit: d_A" is
 *  obeyed, otherwise axis is what the positions are.  EDATA with the line for what is
 *  no number, not positive, given twice, or impossible at this wavelength. */
bragg_status bragg_index_lines_read(const char *path, bragg_axis axis, double wavelength_ang, bragg_index_lines *out, bragg_error *err);
/** Is the file a short list rather than a pattern (at most 200 rows that do not step evenly)? */
bool bragg_index_lines_is_list(const bragg_pattern *pattern);

typedef struct bragg_index_options {
    double wavelength_ang;
    double sigma_rad;          /**< of lines without a sigma; NAN: 0.015 deg at 1.54 angstrom, in proportion elsewhere */
    double zero_rad;           /**< zero errors up to this are searched; NAN: 0.07 deg, likewise */
    double max_volume_ang3;    /**< 0: from the density of lines */
    double max_edge_ang;
    size_t unindexed;          /**< so many lines may belong to something else */
    unsigned systems;          /**< bits 1 << bragg_system; 0: all */
    size_t n_cells;            /**< so many are kept */
    double seconds;            /**< stop searching after this time; 0: never */
    const bragg_observer *observer;
} bragg_index_options;

#define BRAGG_INDEX_OPTIONS_INIT { NAN, NAN, NAN, 0, 40, 2, 0, 12, 60, NULL }

enum { BRAGG_MAX_EXTINCTIONS = 4, BRAGG_MAX_GROUPS = 8 };

/** Space groups that the absent lines cannot tell apart. */
typedef struct bragg_extinction {
    size_t n_groups;                   /**< of which the first BRAGG_MAX_GROUPS are named */
    int hall_number[BRAGG_MAX_GROUPS];
    double probability;                /**< among those of this lattice */
    size_t possible;                   /**< lines it allows in the range */
} bragg_extinction;

typedef struct bragg_index_cell {
    bragg_lattice lattice;             /**< conventional cell, angstrom and radians */
    double esd[6];
    bragg_cell reduced;                /**< Niggli */
    double volume_ang3;
    bragg_quantity zero_rad;           /**< observed minus calculated 2theta */
    size_t lines, indexed;             /**< looked at, explained */
    size_t possible;                   /**< calculated lines up to the last looked at */
    double m, f, f_delta_deg;          /**< de Wolff's M_N; Smith & Snyder's F_N (f_delta_deg, f_possible) */
    size_t figure_lines, f_possible;   /**< the N of both */
    double rms_rad;                    /**< of observed minus calculated */
    double evidence;                   /**< ln of probability ratio to lines at random; ranks */
    double rwp;                        /**< of the Le Bail check; NAN when not tried */
    double rwp_evidence;               /**< what that check adds to evidence */
    size_t derivative_of;              /**< rank (from 1) of a better cell; 0: none */
    int super, sub;                    /**< volume of the common lattice over this one's and that one's */
    size_t n_extinctions;
    bragg_extinction extinction[BRAGG_MAX_EXTINCTIONS];
} bragg_index_cell;

/** One line as the best cell explains it. */
typedef struct bragg_index_match {
    bool indexed;
    int h, k, l;
    double calculated_rad;             /**< 2theta, zero included */
} bragg_index_match;

typedef struct bragg_index_result {
    size_t n;
    bragg_index_cell *cell;            /**< best first */
    bool stopped;                      /**< time or observer ended the search early */
    double last_rad;                   /**< 2theta of the last line looked at */
    double seconds;
} bragg_index_result;

/** Search.  Dichotomy in the reciprocal metric after A. Boultif & D. Louer, J. Appl.
 *  Cryst. 24 (1991) 987 and 37 (2004) 724; zones after T. Ito, Nature 164 (1949) 755 and
 *  J. W. Visser, J. Appl. Cryst. 2 (1969) 89.  EDATA for fewer lines than a cubic cell
 *  needs.  The result does not depend on the number of threads unless the time is up.
 *  STOPPED when it was; *out is valid then. */
bragg_status bragg_index(const bragg_index_lines *lines, const bragg_index_options *options, bragg_index_result **out, bragg_error *err);
void bragg_index_free(bragg_index_result *result);

/** Le Bail fits of the best n cells to the pattern, then the final ranks. */
bragg_status bragg_index_check(bragg_index_result *result, const bragg_pattern *pattern, const bragg_radiation *radiation, size_t n,
                               const bragg_index_options *options, bragg_error *err);

/** The assignment of every line by a cell: n rows of match. */
bragg_status bragg_index_assign(const bragg_index_cell *cell, const bragg_index_lines *lines, const bragg_index_options *options,
                                bragg_index_match *match, bragg_error *err);

#endif
