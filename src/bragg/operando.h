/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_OPERANDO_H
#define BRAGG_OPERANDO_H

#include <bragg/experiment.h>
#include <bragg/log.h>
#include <bragg/observer.h>
#include <bragg/pattern.h>
#include <stdint.h>
#include <stdio.h>

/** A run of frames or patterns, each refined from where its neighbour ended, beside
 *  the log of the cycler or furnace.
 *
 *      data:     {patterns: run/x*.xye}            a folder, a shell pattern or a list; or
 *      data:     {frames: run/x*.tif}              integrated with detector: {poni, mask, dark, flip}
 *      log:      {file: cell.mpt, mass_mg: 1.2, frames: {start: 2024-05-01T10:00:00, every_s: 300},
 *                 clock: {offset_s: 12, drift_ppm: 3}}
 *      sequence: {direction: both, propagate: true, appear: bic, block: 32}
 *
 *  Frames are shared out in blocks that do not depend on the number of threads:
 *
 *      anchors   o───────────o───────────o        one after the other, first
 *      blocks    o─►─►─►─►─►  o─►─►─►─►─►  o─►─►   side by side
 *
 *  so that the result is the same bit for bit on any number of them. */

/* --------------------------------------------------------------- frames */

typedef struct bragg_frame_item {
    const char *file;
    size_t index;             /**< within the file */
    double number;            /**< the last number in the file's name; NAN without one */
} bragg_frame_item;

/** What is to be analysed, and how it becomes patterns. */
typedef struct bragg_frames bragg_frames;
/** The experiment's data: patterns or frames.  A list that is empty is EDATA unless
 *  may_be_empty (whoever waits for frames). */
bragg_status bragg_frames_open(const bragg_experiment *experiment, const char *experiment_path, bool may_be_empty,
                               bragg_frames **out, bragg_error *err);
void bragg_frames_free(bragg_frames *frames);
size_t bragg_frames_count(const bragg_frames *frames);
const bragg_frame_item *bragg_frames_item(const bragg_frames *frames, size_t k);
/** Look for files that have come since; *n is the new count.  Those known keep their
 *  place. */
bragg_status bragg_frames_rescan(bragg_frames *frames, size_t *n, bragg_error *err);
/** Folder in which new files appear; borrowed. */
const char *bragg_frames_folder(const bragg_frames *frames);
/** Read, and integrate, frame k.  *exposure_s NAN when unknown.  May be called from
 *  several threads. */
bragg_status bragg_frames_read(const bragg_frames *frames, size_t k, bragg_pattern **out, double *exposure_s, bragg_error *err);

/* --------------------------------------------------------------- series */

typedef enum bragg_frame_status {
    BRAGG_FRAME_PENDING,      /**< not looked at yet */
    BRAGG_FRAME_OK,
    BRAGG_FRAME_AT_BOUND,     /**< fitted, a parameter stands on its bound */
    BRAGG_FRAME_POOR,         /**< not converged, or twice as bad as the last good one */
    BRAGG_FRAME_NO_BEAM,      /**< less than 2 % of the usual intensity */
    BRAGG_FRAME_CORRUPT,      /**< cannot be read or holds no pattern */
    BRAGG_FRAME_SKIPPED       /**< left out while frames came too fast */
} bragg_frame_status;
const char *bragg_frame_status_name(bragg_frame_status status);

/** The log during an exposure; NAN where there is none. */
typedef struct bragg_frame_log {
    double time_s;            /**< on the log's clock, since its start */
    double voltage_v, current_a, temperature_k;
    double charge_c;          /**< since the start of its half-cycle, signed */
    double capacity_mah_g;    /**< of charge_c; NAN without mass */
    double cycle;             /**< from 1 */
    double kind;              /**< of bragg_log_step_kind */
} bragg_frame_log;

enum { BRAGG_FRAME_UNKNOWN_PEAKS = 4 };

typedef struct bragg_frame_fit {
    const char *file;
    size_t index;             /**< within the file */
    bragg_frame_status status;
    bool done;                /**< fitted; else error says why not */
    bool converged, restarted; /**< restarted: from the experiment's start, as the neighbour's led nowhere */
    double time_s, exposure_s; /**< start, seconds since 1970 or of the log; NAN when unknown */
    double temperature_k;     /**< the log's, else the pattern's */
    bragg_frame_log log;
    double rwp, gof;
    double serial;            /**< by which serial correlation widens esds */
    double total;             /**< intensity in the range, a point's mean */
    bragg_quantity background; /**< a point's mean of the refined background, counts */
    double above;             /**< what was observed beyond that, a point's mean: Bragg scattering */
    double path;              /**< direction both: largest disagreement of both ways in esds */
    double *value, *esd;      /**< a row of the table each */
    bragg_quantity *fraction, *volume; /**< a phase each; a phase that is not there has 0 */
    double *limit;            /**< of the weight fraction of a phase that is not there, 95 % */
    double *guess, *guess_esd; /**< what it would be if it were there, below zero too; NAN: unknown */
    double *evidence;         /**< scale over its esd */
    double *level;            /**< 0: not there, 1: scale, 2: and cell, 3: all of it is refined */
    double *unknown;          /**< BRAGG_FRAME_UNKNOWN_PEAKS times 2theta in rad and significance */
    const char *error;        /**< NULL when done */
    const double *correlation; /**< of each of the series' pairs; NAN where either was held */
} bragg_frame_fit;

/** What is known of a frame without its fit. */
typedef struct bragg_series_frame {
    const char *file, *error; /**< error NULL when it was fitted */
    size_t index;             /**< within the file */
    bragg_frame_status status;
    bool done, whole;         /**< fitted; its row stands in the table */
    double time_s, exposure_s, temperature_k;
    bragg_frame_log log;
} bragg_series_frame;

/** A stretch of frames in which peaks stand that no phase explains. */
typedef struct bragg_alarm {
    size_t first, last;
    double two_theta_rad, significance;
    const char *cards;        /**< of the card set that would explain it: "K3Bi", "A + B"; NULL: none found */
    double score;             /**< of that answer, 0 to 1 */
} bragg_alarm;

typedef struct bragg_series {
    bragg_arena *arena;
    const char *title;
    size_t n, n_params, n_phases;
    const char *const *name, *const *unit; /**< of the parameters that are refined in any frame */
    bool *refined;            /**< in at least one step */
    const char *const *phase;
    bragg_series_frame *frame; /**< a frame each */
    struct bragg_series_rows *rows; /**< what was fitted: in the run's store, or in memory without one */
    bragg_frame_fit *by_hand; /**< the fits of a series that was made by hand and has neither frame nor rows; else NULL */
    double points;            /**< of a pattern */
    bragg_log_table *log;     /**< may be NULL */
    size_t n_log_steps;
    bragg_log_step *log_steps;
    double *log_charge_c;
    double molar_mass;        /**< of the active material, g/mol of a formula unit; 0 when unknown */
    bragg_clock clock;        /**< from the frames' times to seconds of the log */
    double clock_zero_s;      /**< when the log began on its own clock: offset_s plus this is how far the clocks are apart */
    bool clock_estimated;
    bool logged, absolute;    /**< frames have a place in the log; their times are of the clock on the wall */
    bool timed;               /**< all frames have a time, and it rises */
    size_t n_pairs;
    size_t (*pair)[2];        /**< parameters of one phase */
    size_t n_alarms;
    bragg_alarm *alarm;
    size_t n_notes;
    const char **note;        /**< what was noticed about log, clock and frames */
    /* of a series read from its store */
    size_t n_stored_log;
    double *stored_log;       /**< time, voltage, current, temperature: n_stored_log each, or NULL */
    const char *provenance, *experiment; /**< texts, or NULL */
} bragg_series;

/** Processes that share one run.  All see the same files; rank 0 alone writes. */
typedef struct bragg_peers {
    int rank, size;
    void *payload;
    /** To rank 0.  The bytes are copied and nobody is waited for. */
    bragg_status (*send)(void *payload, const void *bytes, size_t n, bragg_error *err);
    /** Rank 0: what has come from any rank, in the order of each (free); *n is 0 when nothing
     *  has and wait is false. */
    bragg_status (*receive)(void *payload, bool wait, void **bytes, size_t *n, bragg_error *err);
    /** From rank 0 to all, who all call it. */
    bragg_status (*broadcast)(void *payload, void *bytes, size_t n, bragg_error *err);
    bool apart;               /**< set while each works on its own: who fails then has to end the others */
} bragg_peers;

/** All return what the lowest rank that has failed says; without peers (NULL), mine. */
bragg_status bragg_peers_agree(const bragg_peers *peers, bragg_status mine, bragg_error *err);

typedef struct bragg_series_options {
    const char *store;        /**< HDF5 file that grows with the run; NULL: none */
    bool resume;              /**< go on with that file */
    bool force;               /**< overwrite it */
    const char *provenance;   /**< text kept in it, may be NULL */
    const bragg_observer *observer;
    bool follow;              /**< go on waiting for frames until the observer says stop */
    double idle_s;            /**< or none has come for so long; 0: for ever */
    bragg_peers *peers;       /**< who shares the run; NULL: nobody */
} bragg_series_options;
#define BRAGG_SERIES_OPTIONS_INIT { NULL, false, false, NULL, NULL, false, 0, NULL }

/** The sections that a run reads beside bragg_experiment_read (data, detector, log, sequence,
 *  analysis): EDATA with line and column for a key or a value that is none of theirs.  No file
 *  that they name is opened. */
bragg_status bragg_series_check(const bragg_experiment *experiment, bragg_error *err);

/** Refine all; a frame that fails costs only itself.  With `follow` frames are taken as
 *  their files become complete; when they come faster than they can be fitted every
 *  second, fourth … is taken first and the rest when there is time.  STOPPED by the
 *  observer: what is done is in *out.  EDATA when not a single frame could be fitted.
 *  With peers each takes the same share of neighbouring blocks, and the rows are those of
 *  one process, bit for bit; *out is NULL on ranks other than 0. */
bragg_status bragg_series_fit(const bragg_experiment *experiment, const char *experiment_path, bragg_frames *frames,
                              const bragg_series_options *options, bragg_series **out, bragg_error *err);
void bragg_series_free(bragg_series *series);

/** Frame k and what was fitted to it, fetched with its neighbours from where it stands, so that
 *  a long run needs hardly more room than a short one.  Borrowed: good until four others have
 *  been asked for.  From one thread at a time. */
const bragg_frame_fit *bragg_series_fitted(const bragg_series *series, size_t k);
/** EIO when a frame that was asked for could not be fetched: it came without a fit. */
bragg_status bragg_series_whole(const bragg_series *series, bragg_error *err);
/** What the log has of frame k. */
const bragg_frame_log *bragg_series_log(const bragg_series *series, size_t k);

/** A row a frame: file, status, time, log, R factors, every refined parameter,
 *  volume and weight fraction with its esd. */
bragg_status bragg_series_write_csv(const bragg_series *series, const char *path, bool force, bragg_error *err);
/** The same as {"frames": […]}, row by row. */
bragg_status bragg_series_print_json(const bragg_series *series, bragg_error *err);
bragg_status bragg_series_write_json(const bragg_series *series, const char *path, bool force, bragg_error *err);

/** Frame k as pdCIF, as bragg_fit_write_cif writes it: refined once more from where the
 *  run has left it, with the same parameters. */
bragg_status bragg_series_write_cif(const bragg_series *series, size_t k, const bragg_experiment *experiment, const bragg_frames *frames,
                                    const char *path, bool force, bragg_error *err);

/** A series as its store has it, also while it grows. */
bragg_status bragg_store_read(const char *path, bragg_series **out, bragg_error *err);

/** The store's patterns, rows of `frames` frames averaged: in memory as [row][point], or left
 *  in the store and read row by row, so that a long run needs no more room than a short
 *  one.  bragg_store_curves_row gives either. */
typedef struct bragg_store_curves {
    size_t n, rows, frames;
    double *x_rad, *observed, *calculated, *sigma; /**< NAN where there is none; the last three NULL when they are in the store */
    double wavelength_ang;    /**< NAN when unknown */
    struct bragg_store_rows *stored; /**< or NULL */
} bragg_store_curves;
typedef enum bragg_curve { BRAGG_CURVE_OBSERVED, BRAGG_CURVE_CALCULATED, BRAGG_CURVE_SIGMA } bragg_curve;
/** The n values of a row, borrowed: from memory, or in `room` [n], which is the caller's. From
 *  several threads at once if each has its own room. */
const double *bragg_store_curves_row(const bragg_store_curves *curves, bragg_curve which, size_t row, double *room);
/** EIO, or ENOMEM, when a row that was asked for could not be read: it came as NAN, and what else
 *  err may say came of that. */
bragg_status bragg_store_curves_whole(const bragg_store_curves *curves, bragg_error *err);
/** At most `rows` rows (0: all), which stay in the store. */
bragg_status bragg_store_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err);
/** The same read, and integrated, again; nothing is calculated. */
bragg_status bragg_frames_curves(const bragg_frames *frames, const bragg_experiment *experiment, size_t rows,
                                 bragg_store_curves *out, bragg_error *err);
void bragg_store_curves_free(bragg_store_curves *curves);

/** A store that may still grow, looked at frame by frame.  What of a log belongs to a
 *  frame is NAN until the run has ended. */
typedef struct bragg_store_view {
    size_t room, n;           /**< frames there is room for, points of a pattern */
    double *x_rad, wavelength_ang;
    bool ended;               /**< log and frames are joined for good */
    bragg_series series;      /**< names and texts, and one step: the frame that was read last */
} bragg_store_view;
bragg_status bragg_store_look(const char *path, bragg_store_view **out, bragg_error *err);
void bragg_store_view_free(bragg_store_view *view);
/** Another file has taken the path: look again. */
bool bragg_store_view_replaced(const bragg_store_view *view);
/** A number a frame, state[room], another one when its row is another; 0: not there yet. */
bool bragg_store_view_states(const bragg_store_view *view, uint64_t *state);
/** Frame k into the series' step 0, and what is not NULL of its curves [n]; BRAGG_EDATA when it
 *  is not there, or not whole yet. */
bragg_status bragg_store_view_frame(bragg_store_view *view, size_t k, float *observed, float *calculated, float *sigma, bragg_error *err);

/** Time of frame k in seconds for an axis: the log's clock, else since the first
 *  frame; NAN when any frame's is unknown. */
double bragg_series_time_s(const bragg_series *series, size_t k);
/** Correlation of two parameters in frame k, 0 where it was not kept. */
double bragg_series_correlation(const bragg_series *series, size_t k, size_t a, size_t b);

/* -------------------------------------------------------------- account */

typedef enum bragg_verdict {
    BRAGG_VERDICT_UNKNOWN,        /**< too few frames */
    BRAGG_VERDICT_NOTHING,        /**< neither amounts nor cells change */
    BRAGG_VERDICT_TWO_PHASE,      /**< amounts change, cells stand still */
    BRAGG_VERDICT_SOLID_SOLUTION, /**< cells change, amounts stand still */
    BRAGG_VERDICT_BOTH
} bragg_verdict;
const char *bragg_verdict_name(bragg_verdict verdict);

/** Frames first … last (both inside) over which fractions and volumes follow lines.
 *  What was seen of the interval is two numbers, its evidence their probability under
 *  four descriptions (see account.c for what each expects):
 *
 *                            amounts stand             amounts change
 *      cells stand           NOTHING                   TWO_PHASE
 *      cells change          SOLID_SOLUTION            BOTH              */
typedef struct bragg_episode {
    size_t first, last, n_phases;   /**< phases that are there */
    bragg_verdict verdict;
    double log_odds;                /**< natural logarithm of the odds of two-phase over solid solution */
    double log_certainty;           /**< of the verdict over the next best of the four */
    double log_evidence[BRAGG_VERDICT_BOTH + 1]; /**< of each verdict, up to a constant; -INFINITY: not possible */
    bragg_quantity transfer;        /**< weight fraction that went from some phases to others */
    bragg_quantity strain;          /**< relative change of volume, mean over the phases by weight */
    size_t from, to;                /**< phases that lost and gained most; SIZE_MAX: none */
    size_t moving;                  /**< phase whose cell moved most by weight; SIZE_MAX: none */
    bragg_quantity moved;           /**< its relative change of volume */
} bragg_episode;

/** Cut a series into episodes, at the steps of its log and where fractions or volumes
 *  bend; they live in the arena. */
bragg_status bragg_series_episodes(const bragg_series *series, bragg_arena *arena, bragg_episode **out, size_t *n,
                                   bragg_error *err);
/** The verdict in words: "two-phase (odds over 1000 : 1), Bi to K3Bi, 93(2) wt%". */
void bragg_episode_tell(const bragg_series *series, const bragg_episode *episode, FILE *to);

#endif
