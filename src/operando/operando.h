/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share; not API. */
#ifndef OPERANDO_PRIVATE_H
#define OPERANDO_PRIVATE_H

#include <bragg/json.h>
#include <bragg/operando.h>
#include <bragg/output.h>
#include <math.h>

#pragma GCC visibility push(hidden)

/* The sequence section. */
typedef struct seq_plan {
    bool backward, both, propagate, appear;
    double enter, leave;          /* delta BIC: hysteresis between the two */
    size_t block;
} seq_plan;

/* All that a frame leaves behind, also in the store: one row of doubles
 *
 *      status converged restarted rwp gof serial total path time exposure temperature good_gof mended
 *      background its_esd above_it
 *      | values | esds | fraction esd … | volume esd … | limits | guesses | their esds | evidences | levels
 *      | 2theta significance … of unknown peaks | correlations …
 *      | values known so far, of parameters of phases | their doubts, NAN where nothing is known
 *
 *  from which a neighbour starts. */
enum { ROW_STATUS, ROW_CONVERGED, ROW_RESTARTED, ROW_RWP, ROW_GOF, ROW_SERIAL, ROW_TOTAL, ROW_PATH, ROW_TIME, ROW_EXPOSURE,
       ROW_TEMPERATURE, ROW_GOOD_GOF, ROW_MENDED, ROW_BACKGROUND, ROW_BACKGROUND_ESD, ROW_ABOVE, ROW_HEAD };
enum { PHASE_FRACTION, PHASE_FRACTION_ESD, PHASE_VOLUME, PHASE_VOLUME_ESD, PHASE_LIMIT, PHASE_GUESS, PHASE_GUESS_ESD, PHASE_EVIDENCE, PHASE_LEVEL, PHASE_COLUMNS };

typedef struct seq_shape {
    size_t n_params, n_phases, columns, n_pairs; /* pairs: parameters of one phase */
    const char *const *name, *const *unit, *const *phase;
} seq_shape;

static inline size_t seq_value(const seq_shape *s, size_t k) { return ROW_HEAD + k + 0 * s->columns; }
static inline size_t seq_esd(const seq_shape *s, size_t k) { return ROW_HEAD + s->n_params + k; }
static inline size_t seq_phase(const seq_shape *s, int what, size_t i)
{
    size_t base = ROW_HEAD + 2 * s->n_params, n = s->n_phases;
    return what < PHASE_VOLUME ? base + 2 * i + (size_t)what : what < PHASE_LIMIT ? base + 2 * n + 2 * i + (size_t)(what - PHASE_VOLUME)
                                                             : base + (size_t)what * n + i;
}
static inline size_t seq_unknown(const seq_shape *s) { return ROW_HEAD + 2 * s->n_params + PHASE_COLUMNS * s->n_phases; }
static inline size_t seq_correlation(const seq_shape *s) { return seq_unknown(s) + 2 * BRAGG_FRAME_UNKNOWN_PEAKS; }
static inline size_t seq_known(const seq_shape *s, size_t k) { return seq_correlation(s) + s->n_pairs + k; }
static inline size_t seq_doubt(const seq_shape *s, size_t k) { return seq_known(s, k) + s->n_params; }

/* table.c: what no phase explains, as series.json and the store have it, and back. */
json_t *bragg_alarms_json(const bragg_series *s);
bragg_status bragg_alarms_take(bragg_series *s, const json_t *list, bragg_error *err);

/* rows.c: from names and phases: columns, and the pairs (into NULL: only counted). */
void bragg_seq_complete(seq_shape *s, size_t (*pair)[2]);
/* The phase that a parameter is of, SIZE_MAX for none; rest, its name within. */
size_t bragg_seq_phase_of(const seq_shape *s, const char *name, const char **rest);

/* Fitted, whatever became of it. */
static inline bool seq_is_done(const double *row) { return isfinite(row[ROW_RWP]); }

/* frames.c */
/* The sections data and detector as a run reads them, without their files. */
bragg_status bragg_frames_check(const bragg_experiment *x, bragg_error *err);
bool bragg_frames_raw(const bragg_frames *f);
bool bragg_frames_stack(const char *file); /* HDF5, which may grow */

/* worker.c, fit.c: one frame after the other, on one thread */
typedef struct seq_worker seq_worker;
bragg_status bragg_seq_plan(const bragg_experiment *x, seq_plan *plan, bragg_error *err);
/* Made with any pattern of the run; the shape is the same for all. */
bragg_status bragg_seq_worker_new(const bragg_experiment *x, const seq_plan *plan, const bragg_pattern *p, seq_worker **out, bragg_error *err);
void bragg_seq_worker_free(seq_worker *w);
const seq_shape *bragg_seq_shape(const seq_worker *w);
/* Rows of other frames.  from NULL: from the experiment's start.  last: the neighbour's
 * row, which may be a poor one that `from` is not.  hint: a later frame's row or NULL, whose cells
 * are tried for phases that are not there yet.  apart: frames from there to here. */
typedef struct seq_start {
    const double *from, *last, *hint;
    size_t from_apart, hint_apart;
} seq_start;
/* usual_total: NAN when unknown.  message (256 bytes) says what is wrong with a frame
 * that is not fitted.  calculated gets a value a point
 * of the pattern in use, see bragg_seq_points. */
bragg_status bragg_seq_frame(seq_worker *w, const bragg_pattern *p, double exposure_s, const seq_start *start, double usual_total, double *row,
                             char *message, bragg_error *err);
/* The fit that left the row, made again from there; the model is the worker's. */
bragg_status bragg_seq_again(seq_worker *w, const bragg_pattern *p, const double *row, bragg_model **m, bragg_fit **f, bragg_error *err);
double bragg_seq_total(const bragg_experiment *x, const bragg_pattern *p);
/* Points of the last frame: x, observed, calculated, sigma (borrowed); their number. */
size_t bragg_seq_points(const seq_worker *w, const double **x_rad, const double **observed, const double **calculated, const double **sigma);

/* join.c */
bragg_status bragg_join_read(const bragg_experiment *x, const char *experiment_path, bragg_series *s, bragg_error *err);
/* The section alone, no file of it. */
bragg_status bragg_join_check(const bragg_experiment *x, bragg_series *trial, bragg_error *err);
bragg_status bragg_join_times(const bragg_experiment *x, const bragg_frames *frames, bragg_series *s, bragg_error *err);
/* The offset of both clocks, where the frames tell it. */
bragg_status bragg_join_estimate(const bragg_experiment *x, bragg_series *s, bragg_error *err);
void bragg_join_log(bragg_series *s);
void bragg_join_settle(bragg_series *s); /* timed or not */
void bragg_join_note(bragg_series *s, const char *format, ...) BRAGG_PRINTF(2, 3);

/* rows.c */
/* Names, and room for n frames. */
bragg_status bragg_series_attach(bragg_series *s, const seq_shape *shape, size_t n, bragg_error *err);
/* What the row has of frame k; an error is in its arena. */
bragg_status bragg_series_set_frame(bragg_series *s, size_t k, const double *row, const char *message, bragg_error *err);
/* The step points into the row. */
void bragg_step_set(const seq_shape *shape, const bragg_series_frame *frame, double *row, bragg_frame_fit *step);
/* Where the rows of a series stand: n in memory, of which it takes possession, or (rows NULL) in
 * a file, whose descriptor it doubles; move: the same rows in another file. */
typedef struct seq_place {
    double *rows;
    int fd;
    int64_t offset;
} seq_place;
bragg_status bragg_series_take_rows(bragg_series *s, const seq_shape *shape, const seq_place *place, bragg_error *err);
bragg_status bragg_series_move_rows(bragg_series *s, seq_place place, bragg_error *err);
/* Frames have changed since they were fetched with their rows. */
void bragg_series_forget(bragg_series *s);
/* All rows are there: which parameters were refined. */
void bragg_series_find_refined(bragg_series *s);

/* table.c: only if all that was asked for was there */
bragg_status bragg_series_commit(const bragg_series *s, bragg_output *out, bragg_error *err);

/* store.c */
typedef struct seq_store seq_store;
typedef struct seq_store_start {
    const char *path, *provenance, *title, *experiment_text;
    bool resume, force;
    size_t frames, points;
    const double *x_rad;
    const seq_shape *shape;
    double usual_total, wavelength_ang;
} seq_store_start;
bragg_status bragg_store_open(const seq_store_start *start, seq_store **out, bragg_error *err);
/* Row k when it is whole, false when it is to be computed. */
bool bragg_store_row(const seq_store *s, size_t k, double *row, char message[256], char file[256]);
/* Points of a frame each: NAN where there are none. */
typedef struct seq_curves {
    float *observed, *calculated, *sigma;
} seq_curves;
bragg_status bragg_store_put(seq_store *s, size_t k, const char *file, const double *row, const char *message, const seq_curves *curves,
                             bragg_error *err);
/* What the log says of frame k, as far as is known before the end. */
bragg_status bragg_store_put_log(const seq_store *s, size_t k, const bragg_frame_log *log, bragg_error *err);
/* The numbers of row k, which was put or found whole. */
bragg_status bragg_store_numbers(const seq_store *s, size_t k, double *row, bragg_error *err);
seq_place bragg_store_place(const seq_store *s);
bragg_status bragg_store_room(seq_store *s, size_t frames, bragg_error *err);
/* series NULL: as it stands; else with its log, in a file of its size, from which the series has
 * its rows then. */
bragg_status bragg_store_close(seq_store *s, bragg_series *series, bragg_error *err);

/* store_view.c: a row of a map from the store, and why one could not be read (errno's; 0: all could) */
void bragg_store_average_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *to);
int bragg_store_rows_lost(const struct bragg_store_rows *stored);
void bragg_store_free_rows(struct bragg_store_rows *stored);

/* share.c: processes that share a run */
bool bragg_peers_several(const bragg_peers *p);
bool bragg_peers_other(const bragg_peers *p); /* not the one that writes */
/* A frame on its way to the one that writes; columns and points are known to both. */
typedef struct seq_parcel {
    size_t k, columns, points;  /* points 0: no curves */
    const double *row;
    char message[256];
    seq_curves curves;          /* to be sent: observed, calculated, sigma in one piece */
    void *bytes;                /* of a received one: free */
} seq_parcel;
bragg_status bragg_share_send(const bragg_peers *p, const seq_parcel *parcel, bragg_error *err);
bragg_status bragg_share_end(const bragg_peers *p, bragg_status st, bragg_error *err);
/* A parcel if one has come; *end: a rank has no more.  An error of its is returned. */
bragg_status bragg_share_receive(const bragg_peers *p, bool wait, seq_parcel *parcel, bool *came, bool *end, bragg_error *err);

/* follow.c */
typedef struct seq_watch seq_watch;
typedef enum bragg_whole { BRAGG_NOT_WHOLE_YET, BRAGG_WHOLE, BRAGG_NEVER_WHOLE } bragg_whole;
/* Seconds that a file of a folder that is there may stay missing, empty or half before its frame
 * is given up. */
#define SEQ_PATIENCE_S 60.0
bragg_status bragg_watch_new(const char *folder, double patience_s, seq_watch **out, bragg_error *err);
void bragg_watch_free(seq_watch *w);
void bragg_watch_wait(seq_watch *w);
/* Frame k as a pattern, when its file is complete; err says why it never will be: ENOMEM is no
 * fault of the frame. */
bragg_whole bragg_watch_whole(seq_watch *w, const bragg_frames *f, size_t k, bragg_pattern **p, double *exposure_s, bragg_error *err);

#pragma GCC visibility pop

#endif
