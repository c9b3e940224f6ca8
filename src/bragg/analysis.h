/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_ANALYSIS_H
#define BRAGG_ANALYSIS_H

#include <bragg/arena.h>
#include <bragg/json.h>
#include <bragg/operando.h>
#include <bragg/pdf.h>

/** What patterns of a run tell without a model, and what its fits tell as a whole.
 *
 *      patterns ──┬─► peaks, followed from row to row      bragg_series_track
 *                 ├─► few components and how much of each  bragg_series_components
 *                 └─► G(r), and what of it changes         bragg_series_pdf
 *      fits ────────► parameters smooth in time            bragg_series_smooth
 *
 *  Rows are those of bragg_store_curves: a frame, or the mean of a few.  All results
 *  live in the arena that is given. */

/** The experiment's section
 *
 *      analysis: {peaks: auto, components: auto, smooth: true}
 *
 *  peaks: auto, none or positions in deg of 2theta; components: auto, none or a number. */
typedef struct bragg_analysis_options {
    bool peaks, components, smooth;
    size_t n_peaks;           /**< 0: all that stand out */
    const double *peak_rad;
    size_t n_components;      /**< 0: by evidence */
    double wavelength_ang[2], ratio2; /**< second line of a doublet; ratio2 0: none */
} bragg_analysis_options;
/** The section analysis of an experiment; EDATA with line and column. */
bragg_status bragg_analysis_options_read(const bragg_experiment *experiment, bragg_arena *arena, bragg_analysis_options *options,
                                         bragg_error *err);

/* ---------------------------------------------------------------- peaks */

/** A peak in a row: NAN position and width where it is too weak to have them (they are
 *  then held where it was last seen, and the area is measured there). */
typedef struct bragg_track_point {
    bragg_quantity two_theta_rad, area, fwhm_rad;
    bool there;
} bragg_track_point;

/** A peak comes or goes.  Where a line through the first (last) growth of its area
 *  leaves zero, in rows (from 0, not whole). */
typedef struct bragg_track_event {
    bool onset;
    bragg_quantity row;
} bragg_track_event;

typedef struct bragg_track {
    double two_theta_rad;     /**< mean, by area */
    size_t split_from, merged_into; /**< tracks; SIZE_MAX: none */
    size_t n_events;
    bragg_track_event *event;
    bragg_track_point *at;    /**< a row each */
} bragg_track;

/** Shares of the intensity: of Bragg peaks (what stands above lines through the points
 *  beside them), and of what the background holds beyond the twentieth of the rows where it
 *  holds least (amorphous matter that comes and goes; what is always there cannot be told
 *  from air and windows).  In a run whose phases were fitted the refined background is taken
 *  instead of the lines, which in crowded patterns lie too high: so by_fit; NAN where a frame
 *  has no fit.  Without fits NAN where less than a fifth of the points is free of peaks. */
typedef struct bragg_tracks {
    size_t n, rows, frames;   /**< frames a row */
    bragg_track *track;       /**< by position */
    double *bragg, *bragg_esd, *background, *amorphous;  /**< mean intensities of a point, a row each */
    bragg_quantity *crystalline; /**< bragg / (bragg + amorphous) */
    bool by_fit;
} bragg_tracks;

/** Peaks are found in means of neighbouring rows, linked, and then fitted row by row:
 *  pseudo-Voigts (doublets as such) on straight backgrounds, overlapping ones together. */
bragg_status bragg_series_track(const bragg_store_curves *curves, const bragg_analysis_options *options, bragg_arena *arena,
                                bragg_tracks **out, bragg_error *err);

/* ----------------------------------------------------------- components */

/** rows x points ~ concentration x spectrum, nothing negative. */
typedef struct bragg_components {
    size_t rows, points;               /**< means of a few of the curves' where there are many */
    size_t curves;                     /**< rows of the curves */
    size_t *row;                       /**< of the curves, with which each begins; rows without data are left out */
    size_t rank;                       /**< singular values that noise does not make */
    size_t n_singular;
    double *singular;                  /**< of the patterns over sigma, largest first */
    double noise_edge;                 /**< largest that noise alone makes */
    size_t n;                          /**< components */
    size_t n_tried;
    double *bic, *chi2_reduced;        /**< of 1 ... n_tried components */
    double *x_rad;
    double *spectrum;                  /**< [component][point], areas of one */
    double *concentration, *esd;       /**< [row][component], shares of the intensity */
} bragg_components;
bragg_status bragg_series_components(const bragg_store_curves *curves, const bragg_analysis_options *options, bragg_arena *arena,
                                     bragg_components **out, bragg_error *err);

/* ------------------------------------------------------------ smoothing */

/** Parameters of the phases as random walks seen through the fits: value and esd of each
 *  in each frame given all frames. */
typedef struct bragg_smooth {
    size_t n, n_params;       /**< frames, parameters */
    size_t *param;            /**< of the series */
    double *walk;             /**< spread of the step from a frame to the next (of usual distance in time): learnt */
    double *value, *esd;      /**< [frame][parameter]; NAN outside the stay of a phase */
    double *misfit;           /**< by which the scatter about the walk exceeds the fits' esds, a parameter each */
} bragg_smooth;
/** H. E. Rauch, F. Tung & C. T. Striebel, AIAA J. 3 (1965) 1445, over the estimates of
 *  all frames with their covariance; the steps by maximum likelihood. */
bragg_status bragg_series_smooth(const bragg_series *series, bragg_arena *arena, bragg_smooth **out, bragg_error *err);

/* ----------------------------------------------------- total scattering */

/** G(r) of each row with the settings that the first left open filled in, and what has
 *  changed since: G - scale G_first, the scale the least-squares one beyond 1 angstrom. */
typedef struct bragg_pdf_course {
    size_t n, rows, frames;   /**< points, rows, frames a row */
    double *r_ang;
    double *gr, *gr_sigma;    /**< [row][point], angstrom^-2; NAN where no frame of the row can be used; sigma without errors too */
    double *change[2];        /**< a row each: sqrt(sum (G - scale G_first)^2 / sum G^2), and that scale */
    double *slope[2];         /**< of G(r) below the first distance, and its esd, angstrom^-3 */
    double slope_expected;    /**< -4 pi rho0; NAN without density */
    bragg_pdf_options used;
} bragg_pdf_course;

/** The experiment's section "pdf"; *out NULL without one.  Frames are read, and integrated,
 *  again: the fits' range is not that of total scattering.  Of at most `rows` rows each is the
 *  mean of its frames, without those that are empty, damaged or not looked at.  EDATA when
 *  none of them gives a G(r), with the first one's reason. */
bragg_status bragg_series_pdf(const bragg_series *series, const bragg_frames *frames, const bragg_experiment *experiment,
                              const bragg_pdf_recipe *recipe, size_t rows, bragg_arena *arena, bragg_pdf_course **out, bragg_error *err);
/** As the store of a run that has ended has it; *out NULL when it has none. */
bragg_status bragg_store_pdf(const char *store, bragg_arena *arena, bragg_pdf_course **out, bragg_error *err);

/** Follow the alarms of a series back to where their peaks began, and give them names from
 *  the card set (as bragg_cards_find_set finds it;
 *  without one they stay as they are): the mean of what the fits leave in the frames
 *  of peaks that came together is identified. */
bragg_status bragg_series_name_alarms(bragg_series *series, const bragg_store_curves *curves, const bragg_experiment *experiment,
                                      bragg_error *err);

/* --------------------------------------------------------------- output */

typedef struct bragg_analysis {
    bragg_tracks *tracks;     /**< each NULL when it is not at hand or has nothing to say */
    bragg_components *components;
    bragg_smooth *smooth;
    bragg_pdf_course *total;
} bragg_analysis;

/** One result, the others NULL; what it has is let go when this returns. */
typedef bragg_status bragg_analysis_visit(void *payload, const bragg_analysis *part, bragg_error *err);
/** All that the options ask for but total, one after the other: results of long runs are long.
 *  Ends with the first visit that fails. */
bragg_status bragg_series_analyse(const bragg_series *series, const bragg_store_curves *curves, const bragg_analysis_options *options,
                                  bragg_analysis_visit *visit, void *payload, bragg_error *err);

/** What analysis.json will have, of nothing yet; NULL without memory.  The caller's. */
json_t *bragg_analysis_summary(void);
/** What there is of peaks.csv, components.csv, spectra.csv, smooth.csv, pdf.csv and pdf-course.csv into a
 *  folder, and its part of analysis.json into summary. */
bragg_status bragg_analysis_write(const bragg_analysis *analysis, const bragg_series *series, const char *folder, bool force,
                                  json_t *summary, bragg_error *err);
/** The tables of that folder and the summary into a store that is complete, as group /analysis. */
bragg_status bragg_store_add_analysis(const char *store, const char *folder, const json_t *summary, const bragg_series *series, bragg_error *err);
/** Some lines of text. */
void bragg_analysis_tell(const bragg_analysis *analysis, const bragg_series *series, FILE *to);

#endif
