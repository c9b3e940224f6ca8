/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cells from lines: what the files of the search share; not API. */
#ifndef CARDS_INDEXING_H
#define CARDS_INDEXING_H

#include <bragg/index.h>
#include <bragg/units.h>
#include <stdatomic.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* ------------------------------------------------------------- metrics */

/* A crystal system as linear forms: 1/d^2 = sum over p of c_p(h, k, l) x_p.
 *
 *      cubic        (h2+k2+l2) A                     hexagonal  (h2+hk+k2) A + l2 B
 *      tetragonal   (h2+k2) A + l2 B                 orthorhombic  h2 A + k2 B + l2 C
 *      monoclinic   h2 A + k2 B + l2 C + hl D        triclinic  h2 h2 k2 l2, kl, hl, hk */
typedef enum form { CUBIC, TETRAGONAL, HEXAGONAL, ORTHORHOMBIC, MONOCLINIC, TRICLINIC, N_FORMS } form;

enum { MOST_PARAMETERS = 6, MOST_SEARCHED = 32, MOST_LINES = 40, MOST_CALCULATED = 4000 };

size_t bragg_index_parameters(form f);
void bragg_index_coefficients(form f, const int hkl[3], double c[MOST_PARAMETERS]);
/* x to the reciprocal metric g11 g22 g33 g23 g13 g12. */
void bragg_index_metric(form f, const double *x, double g[6]);

/* --------------------------------------------------------------- lines */

/* The lines as a search sees them, at one supposed zero error: windows in 1/d^2, and
 * tables that tell at once which windows an interval meets. */
enum { N_BINS = 8192 };
typedef struct window_table {
    size_t n;
    double q[MOST_SEARCHED], half[MOST_SEARCHED], slope[MOST_SEARCHED]; /* slope: d q / d 2theta */
    double sigma[MOST_SEARCHED];                                     /* of q */
    double zero_rad, q_max, bins_per_q;
    double range_rad, zero_sigma; /* of 2theta up to the last line; prior of the zero's rest */
    uint8_t first[N_BINS + 2]; /* windows that end below the bin */
    uint8_t end[N_BINS + 2];   /* windows that begin up to the bin's end */
} window_table;

/* What all lines are, for the ranks. */
typedef struct line_set {
    size_t n, foreign; /* foreign: so many are no surprise */
    double two_theta[MOST_LINES], sigma[MOST_LINES], outlier[MOST_LINES]; /* outlier: probability to be foreign */
    double first_rad, last_rad;
    double wavelength_ang, zero_sigma;
} line_set;

void bragg_index_windows(const line_set *lines, size_t n, double zero_rad, double tolerance_rad, window_table *out);

static inline uint64_t bragg_index_mask(const window_table *w, double low, double high)
{
    if (!(low <= w->q_max) || !(high >= 0))
        return 0;
    double top = high < w->q_max ? high : w->q_max;
    unsigned first = w->first[(size_t)((low > 0 ? low : 0) * w->bins_per_q)], end = w->end[(size_t)(top * w->bins_per_q)];
    return end > first ? ((1ull << end) - 1) & ~((1ull << first) - 1) : 0;
}

/* --------------------------------------------------------------- trials */

typedef struct trial {
    form form;
    double x[MOST_PARAMETERS], zero, score;
    unsigned centrings; /* bits of those that no indexed line forbids */
    uint64_t indexed;
} trial;

enum { MOST_TRIALS = 48 };
typedef struct trial_list {
    size_t n;
    trial at[MOST_TRIALS];
} trial_list;

/* Fit x and zero to the lines nearest to what it calculates, a few rounds; false when
 * too few are explained. */
bool bragg_index_settle(const window_table *w, form f, double x[MOST_PARAMETERS], size_t unindexed, trial *out);
void bragg_index_keep(trial_list *list, const trial *t);

static const char bragg_index_centrings[] = "PIFABCR";
bool bragg_index_allowed(char centring, int h, int k, int l);

/* --------------------------------------------------------------- engine */

typedef struct search_task {
    form form;
    size_t zero;              /* row of window tables */
    double low[4], high[4];   /* box of x */
    double v_low, v_high;     /* shell of volumes */
} search_task;

typedef struct search_control {
    double deadline;          /* monotonic seconds */
    atomic_bool late;
    const bragg_index_options *options;
} search_control;

bool bragg_index_is_late(search_control *c);

/* Dichotomy of one box; zones of one zero.  Both fill `found`. */
bragg_status bragg_index_dichotomy(const search_task *task, const window_table *w, search_control *c, size_t unindexed, trial_list *found,
                             bragg_error *err);
/* Zones of one zero: made once, then combined with third vectors, zone by zone. */
typedef struct zone {
    double a, b, r, score; /* q(h,k) = h2 a + k2 b + hk r */
    uint64_t mask;
} zone;
enum { MOST_ZONES = 900 };
size_t bragg_index_zones(const window_table *w, zone out[MOST_ZONES]);
void bragg_index_zone_cells(const window_table *w, const zone *z, double v_max, size_t unindexed, search_control *c, trial_list *found);

/* ----------------------------------------------------------------- ranks */

typedef struct calculated {
    double q; /* first: lists are searched by it */
    int h, k, l;
} calculated;

/* Reflections of a Bravais lattice up to q_max, one of each family of its holohedry, by
 * rising q; at most room.  calculate: families of one position once. */
size_t bragg_index_families(const bragg_lattice *l, double q_max, calculated *out, size_t room);
size_t bragg_index_calculate(const bragg_lattice *l, double q_max, calculated *out, size_t room);
/* Evidence of lines given calculated positions (by rising q); sigma is scaled by the
 * best of a few factors, returned in *scale when not NULL. */
double bragg_index_evidence(const line_set *lines, double zero, const calculated *calc, size_t n, double *scale);
/* Refine lattice and zero, fill all but the ranks.  CONVERGED or OK; negative: no cell. */
bragg_status bragg_index_refine(const line_set *lines, const bragg_lattice *start, double zero, bragg_index_cell *out, bragg_error *err);
void bragg_index_figures(const line_set *lines, bragg_index_cell *cell, const calculated *calc, size_t n);
/* Sort, drop the same lattice twice, mark derivatives; keeps at most `most`. */
size_t bragg_index_rank(bragg_index_cell *cell, size_t n, size_t most);
/* Extinction symbols of one cell. */
bragg_status bragg_index_extinctions(const line_set *lines, bragg_index_cell *cell, bragg_error *err);

void bragg_index_line_set(const bragg_index_lines *lines, const bragg_index_options *o, line_set *out);
double bragg_index_nearest(const calculated *calc, size_t n, double q);

#pragma GCC visibility pop

#endif
