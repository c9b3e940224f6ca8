/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_LOG_H
#define BRAGG_LOG_H

#include <bragg/datetime.h>
#include <bragg/error.h>
#include <bragg/observer.h>
#include <bragg/yaml.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/** What the cycler or the furnace wrote down, beside the frames: time, voltage,
 *  current, capacity, temperature.
 *
 *      file ──► bragg_log_table ──► steps, half-cycles, capacity
 *                     ▲
 *      frame times ──► bragg_clock ──► the mean of each channel over an exposure
 *
 *  (`bragg_log()` without more is the observer's, see <bragg/observer.h>.) */

/** What a column means.  Values are SI inside: s, V, A, C, J, W, K. */
typedef enum bragg_channel {
    BRAGG_CHANNEL_OTHER,            /**< kept by name, in the file's unit when that is unknown */
    BRAGG_CHANNEL_TIME,             /**< s since the start of the test */
    BRAGG_CHANNEL_WALL,             /**< UTC, s since 1970 (the file's clock, see utc_offset_s) */
    BRAGG_CHANNEL_STEP_TIME,        /**< s since the start of the step */
    BRAGG_CHANNEL_VOLTAGE,          /**< V, working against reference */
    BRAGG_CHANNEL_CURRENT,          /**< A, positive on charge (oxidation of the working electrode) */
    BRAGG_CHANNEL_CHARGE,           /**< C, signed, since the start or the half-cycle: the file's choice */
    BRAGG_CHANNEL_CHARGE_IN,        /**< C, counter of charge */
    BRAGG_CHANNEL_CHARGE_OUT,       /**< C, counter of discharge */
    BRAGG_CHANNEL_ENERGY_IN,        /**< J */
    BRAGG_CHANNEL_ENERGY_OUT,       /**< J */
    BRAGG_CHANNEL_POWER,            /**< W */
    BRAGG_CHANNEL_TEMPERATURE,      /**< K */
    BRAGG_CHANNEL_CYCLE,            /**< cycle number of the file */
    BRAGG_CHANNEL_HALF_CYCLE,       /**< half-cycle number of the file */
    BRAGG_CHANNEL_STEP,             /**< step number of the file */
    BRAGG_CHANNEL_MODE,             /**< what was controlled, see bragg_mode */
    BRAGG_CHANNELS
} bragg_channel;

/** Values of BRAGG_CHANNEL_MODE. */
enum { BRAGG_MODE_UNKNOWN, BRAGG_MODE_CURRENT = 1, BRAGG_MODE_VOLTAGE = 2, BRAGG_MODE_REST = 3 };

typedef struct bragg_log_column {
    char *name;              /**< as the file has it, without the unit: "Q charge/discharge" */
    char *unit;              /**< as the file has it: "mA.h"; "" without */
    bragg_channel channel;
    double factor, offset;   /**< value = file * factor + offset */
    double *values;          /**< NAN where the file has nothing */
    size_t n_labels;         /**< a column of texts: values[i] is the number of its label */
    char **labels;
} bragg_log_column;

/** A thing the reader noticed that did not stop it. */
typedef struct bragg_log_note {
    enum { BRAGG_NOTE_INCOMPLETE, /**< a half-written last line or record was left out */
           BRAGG_NOTE_BACKWARD,   /**< time went backward */
           BRAGG_NOTE_DAYLIGHT,   /**< the wall clock jumped by an hour (daylight saving) */
           BRAGG_NOTE_COUNT,      /**< the header's count and the file disagree */
           BRAGG_NOTE_COLUMN,     /**< a column was unknown, ambiguous or partly not numbers */
           BRAGG_NOTE_OTHER } kind;
    size_t row;              /**< where, from 0; SIZE_MAX: the whole file */
    char text[160];
} bragg_log_note;

/** The table of one file.  Time never decreases; rows of a clock that went
 *  backward were mended or refused, and a note says so. */
typedef struct bragg_log_table {
    char *format;            /**< "BioLogic mpt", "Neware nda 29", … */
    char *title;             /**< technique or test name; may be NULL */
    size_t n, n_columns;
    bragg_log_column *columns;
    double start_unix_s;     /**< UTC at time 0; NAN when unknown */
    bool start_is_local;     /**< the file named no zone and no utc_offset_s was given: taken as UTC */
    double mass_kg;          /**< active material, from the options or the file; NAN when unknown */
    const double *channel[BRAGG_CHANNELS]; /**< the values of the best column of each, or NULL */
    size_t n_notes;
    bragg_log_note *notes;
} bragg_log_table;

/** One entry of a column map: `voltage: {column: "Ecell", unit: mV}`. */
typedef struct bragg_log_map {
    bragg_channel channel;
    const char *column;      /**< header without regard to case, or "#3": third column */
    const char *unit;        /**< NULL: the header's */
} bragg_log_map;

typedef struct bragg_log_options {
    const char *format;      /**< NULL: found from the content; else "csv", "mpt", "mpr", "nda", "ndax", "xlsx" */
    bragg_date_order date_order;
    double utc_offset_s;     /**< what the file's clock shows minus UTC (7200 for CEST); NAN: unknown */
    double mass_kg;          /**< NAN: the file's */
    const bragg_log_map *map;
    size_t n_map;
    const bragg_observer *observer;
} bragg_log_options;
#define BRAGG_LOG_OPTIONS_INIT { NULL, BRAGG_DATE_AUTO, NAN, NAN, NULL, 0, NULL }

/** Read a log of any known kind: BioLogic .mpt .mpr, Neware .nda .ndax, Arbin
 *  and other .xlsx, delimited text (Arbin, LAND, Neware, PEC, furnaces …; UTF-8,
 *  Latin-1, GB 18030 or UTF-16, comma or point for decimals), or a folder of QXRD frame
 *  .metadata.  options may be NULL. */
bragg_status bragg_log_read(const char *path, const bragg_log_options *options,
                            bragg_log_table **out, bragg_error *err);
/** As above from memory; name stands for the file in messages and its ending
 *  plays no role. */
bragg_status bragg_log_parse(const void *bytes, size_t length, const char *name,
                             const bragg_log_options *options, bragg_log_table **out,
                             bragg_error *err);
/** Folder of `*.metadata` files that QXRD writes beside its frames (INI text):
 *  time from timeStamp, temperature in °C from the key (NULL: userComment4).
 *  Rows are sorted by time. */
bragg_status bragg_log_read_metadata(const char *folder, const char *temperature_key,
                                     const bragg_log_options *options, bragg_log_table **out,
                                     bragg_error *err);
/** Options from the experiment file's `log:` section; texts are borrowed from
 *  the document, the map lives in arena. */
bragg_status bragg_log_options_yaml(const bragg_yaml *log, bragg_arena *arena,
                                    bragg_log_options *options, bragg_error *err);
void bragg_log_free(bragg_log_table *table);

/** "voltage", "temperature" …; false when unknown. */
bool bragg_channel_parse(const char *name, bragg_channel *channel);
const char *bragg_channel_name(bragg_channel channel);
/** Column by its name without regard to case, or NULL. */
const bragg_log_column *bragg_log_find(const bragg_log_table *table, const char *name);

/* ---- steps, capacity ---- */

typedef enum bragg_log_step_kind { BRAGG_STEP_REST, BRAGG_STEP_CHARGE, BRAGG_STEP_DISCHARGE } bragg_log_step_kind;

/** A stretch of one kind.  Rows first … last, both inside. */
typedef struct bragg_log_step {
    bragg_log_step_kind kind;
    bool constant_voltage;
    size_t first, last;
    double start_s, end_s;
    double voltage_start_v, voltage_end_v, current_a; /**< mean current over time */
    double charge_c;         /**< integral of current, signed */
    double capacity_mah;     /**< |charge| */
    double capacity_mah_g;   /**< NAN without mass */
    double energy_j;
    size_t half_cycle, cycle; /**< from 0; a rest belongs to what came before it */
} bragg_log_step;

typedef struct bragg_log_step_options {
    double rest_a;           /**< |current| below is rest; NAN: from the data's own noise and scale */
    double min_duration_s;   /**< shorter flickers join their neighbours; NAN: three intervals */
    double cv_tolerance_v;   /**< voltage that moves less while the current decays; NAN: 2 mV */
} bragg_log_step_options;
#define BRAGG_LOG_STEP_OPTIONS_INIT { NAN, NAN, NAN }

/** Cut the log into steps; *steps is the caller's to free().  EDATA without a
 *  current.  options may be NULL. */
bragg_status bragg_log_steps(const bragg_log_table *table, const bragg_log_step_options *options,
                             bragg_log_step **steps, size_t *n, bragg_error *err);

/** Charge in C for each row, integrated from the current: since the start of
 *  its half-cycle, negative on discharge. */
void bragg_log_capacity(const bragg_log_table *table, const bragg_log_step *steps, size_t n,
                        double *charge_c);

/** dQ/dV in A s / V over a half-cycle, on n_grid equal voltage bins between its
 *  ends; NAN in bins without data. */
bragg_status bragg_log_dqdv(const bragg_log_table *table, const bragg_log_step *steps, size_t n,
                            size_t half_cycle, size_t n_grid, double *voltage_v, double *dqdv,
                            bragg_error *err);

/* ---- clocks ---- */

/** log time = frame time + offset + drift * (frame time - reference). */
typedef struct bragg_clock {
    double reference_s, offset_s, drift;
    double offset_esd_s, drift_esd;  /**< NAN when given, not fitted */
} bragg_clock;
#define BRAGG_CLOCK_INIT { 0, 0, 0, NAN, NAN }

/** The time of one clock by the other's, in seconds. */
double bragg_clock_to_log(const bragg_clock *clock, double frame_s);
double bragg_clock_to_frame(const bragg_clock *clock, double log_s);

/** Offset and drift from n pairs of the same events on both clocks, weighted by
 *  1/sigma^2 (sigma_s NULL: equal).  One pair gives the offset only. */
bragg_status bragg_clock_fit(const double *frame_s, const double *log_s, const double *sigma_s,
                             size_t n, bragg_clock *clock, bragg_error *err);

/** What the frames saw of a sample that the log drives: weight fractions, or the cell
 *  of what is heated. */
typedef struct bragg_clock_signals {
    size_t n, n_signals;     /**< frames (8 to 4000, times rising), signals */
    const double *start_s, *exposure_s; /**< of each frame; exposure_s may be NULL */
    const double *value, *esd; /**< [signal][frame]; NAN: not known */
    bool shares;             /**< the signals add up to one */
    double max_drift;        /**< more no clock gains or loses (s/s); 0: any */
} bragg_clock_signals;

/** Offset, and drift when it is more than three of its esds, from signals that are smooth
 *  functions of what drives the sample (charge that has passed, or temperature, a finite
 *  number for each row of the log): they stand still when it does and may bend when it
 *  turns.  The offset within +-max_offset_s is the mean of what is likely, its esd the
 *  width, given that half of all clocks agree within a minute (Cauchy's distribution): a
 *  difference that the signals hardly tell counts little, a clear one whole.  The esd is
 *  INFINITY when the signals' likelihood reaches the ends.  *evidence: logarithm of the
 *  largest likelihood over that of no offset. */
bragg_status bragg_clock_estimate(const double *time_s, const double *driven, size_t n_rows,
                                  const bragg_clock_signals *signals, double max_offset_s,
                                  bragg_clock *clock, double *evidence, bragg_error *err);

/** Mean over from_s … to_s (log time) of a channel, linear between rows; the
 *  value there when both are equal.  NAN when nothing of the window is in the
 *  log; *covered is the part that is.  Gaps (rows NAN) are not bridged. */
double bragg_log_mean(const bragg_log_table *table, const double *values, double from_s,
                      double to_s, double *covered);

#endif
