/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a search sees of a pattern, and the profile fit that verifies candidates;
 * private to the floor. */
#ifndef CARDS_SCENE_H
#define CARDS_SCENE_H

#include "private.h"

#include <bragg/pattern.h>
#include <bragg/refine.h>

#pragma GCC visibility push(hidden)

/* Terms of the background: SNIP keeps a part of an amorphous hump, and what is left of it
 * would look like peaks that no phase explains.  The first of them are free beside each
 * candidate, too. */
/* Bins are made so that a peak has so many points over its width, over which profiles
 * correlate: they count as one. */
enum { FEWEST_A_PEAK = 5 };
enum { SCENE_BACKGROUND = 14, SCENE_LOOSE = 5, TRIAL_STRAINS = 6, TRIAL_TEXTURES = 2 };

/* The pattern over 2theta (first wavelength), thinned to some points a peak width,
 * without its background. */
typedef struct scene {
    size_t n, n_raw;                 /* points; of the pattern */
    double *x, *net, *sigma;         /* radians; counts; noise and what a card's intensities may be off */
    double *noise;                   /* of counting alone */
    double *left;                    /* net less what the known phases give */
    double *known;                   /* what the known phases give */
    double first, last, scale;       /* scale: highest net intensity */
    double width[2], eta;            /* FWHM = width[0] + width[1] tan(theta) */
    double points_a_peak;            /* what a peak covers: its misfits are one */
    bragg_radiation radiation;
    bragg_peak *peak;                /* by rising 2theta in radians */
    size_t n_peaks;
    double zero, displacement, background[SCENE_BACKGROUND];
    double *chebyshev;               /* terms of the background, each over all points */
} scene;

bragg_status bragg_cards_scene_new(const bragg_pattern *p, const bragg_radiation *radiation, scene **out, bragg_error *err);
void bragg_cards_scene_free(scene *s);
/* sigma for an argument about a phase whose strongest peak is `own` high: its weaker lines
 * count, what the tails of strong ones leave does not.  False, and nothing done, where
 * the phase is too strong to need it.  work: n values. */
bool bragg_cards_scene_look_closer(const scene *s, double own, double *work, double *sigma);

/* A card in the scene.  Its lines' ln d move by sum strain[c] basis[line][c], their
 * intensities by the factor exp sum texture[c] shape[line][c]. */
typedef struct trial {
    const bragg_card *card;
    size_t n, n_strains, n_textures;
    double *ln_d, *intensity;        /* at the scene's wavelength; strongest in range about 1 */
    double (*basis)[TRIAL_STRAINS], (*shape)[TRIAL_TEXTURES];
    double scale, strain[TRIAL_STRAINS], texture[TRIAL_TEXTURES], broad, slope; /* FWHM = broad x the scene's + slope tan(theta) */
    double scale_esd;
    double score;
} trial;

/* The lines of a card within the scene; n = 0 when it has none there. */
bragg_status bragg_cards_trial_lines(const scene *s, const bragg_card *card, trial *out, bragg_error *err);
void bragg_cards_trial_free(trial *t);
/* Start strain, scale and width by matching strong lines with peaks, from an isotropic
 * shift; score: how well lines and what is left agree, 0 to 1. */
void bragg_cards_trial_match(const scene *s, double shift, trial *t);
/* Cell after strain; a = NAN without one. */
bragg_cell bragg_cards_trial_cell(const trial *t);

/* Fit n trials together: scales, strains, widths, displacement and background, which
 * stay in trials and scene.  calculated: n values without background, or NULL; each: the
 * trials' own, or NULL. */
bragg_status bragg_cards_scene_fit(scene *s, trial *const *t, size_t n, double *chi2, double *calculated, double *const *each, bragg_error *err);
/* Fit one more beside the profiles of known ones, which only change by factors. */
bragg_status bragg_cards_scene_screen(const scene *s, trial *t, const double *const *known, size_t n_known, double *chi2, bragg_error *err);
/* The same to the end, with widths, peak shape and displacement of its own: what decides
 * between cards that are nearly the same. */
bragg_status bragg_cards_scene_contest(const scene *s, trial *t, const double *const *known, size_t n_known, double *chi2, bragg_error *err);
/* The same without one more: factors and background only. */
bragg_status bragg_cards_scene_factors(const scene *s, const double *const *known, size_t n_known, double *chi2, bragg_error *err);
/* The profile of a trial as it is. */
bragg_status bragg_cards_scene_profile(const scene *s, trial *t, double *out, bragg_error *err);
/* What the fit adds to the background at point i. */
double bragg_cards_scene_background(const scene *s, size_t i);

/* Cube root of the change of the cell's volume. */
double bragg_cards_mean_strain(const trial *t);

/* A relative of a phase: a card of the same space group that was tried in its place. */
typedef struct relative {
    long long card;
    double strain;                   /* that its cell would need */
} relative;
enum { RELATIVES = 12 };
/* Solid solution or two phases: whether the phase's cell lies between those of two
 * relatives, and whether one phase or both ends explain more.  each: profiles of all n
 * phases of the fit, of which `index` is t.  *out stays NULL when there is nothing to say. */
bragg_status bragg_cards_solution_remark(const bragg_cards *set, const scene *s, const trial *t, double *const *each, size_t n, size_t index, double chi2,
                             const relative *list, size_t n_list, bragg_arena *arena, char **out, bragg_error *err);

/* The same where two of the phases are of one type. */
bragg_status bragg_cards_two_phase_remark(const scene *s, trial *const *t, double *const *each, size_t n, size_t index, double chi2, bragg_arena *arena, char **out, bragg_error *err);

/* A card of the search and how its lines agree at the best shift of ln d. */
typedef struct hit {
    size_t row;
    float score, shift;
} hit;
/* The best of all cards that pass the filter, by falling score. */
bragg_status bragg_cards_scene_search(const scene *s, const cards_search *cards, const bragg_cards_filter *filter, hit *out, size_t room, size_t *n, size_t *searched, bragg_error *err);

#pragma GCC visibility pop
#endif
