/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_INSTRUMENT_H
#define BRAGG_INSTRUMENT_H

#include <bragg/refine.h>

/** What a standard taught of an instrument: the rows "instrument.*" of a model's
 *  table, in their units, with the radiation.  Fits of samples start from it. */
enum bragg_instrument_row {
    BRAGG_INSTRUMENT_ZERO, BRAGG_INSTRUMENT_U, BRAGG_INSTRUMENT_V, BRAGG_INSTRUMENT_W, BRAGG_INSTRUMENT_P,
    BRAGG_INSTRUMENT_X, BRAGG_INSTRUMENT_Y, BRAGG_INSTRUMENT_Z, BRAGG_INSTRUMENT_SL, BRAGG_INSTRUMENT_HL,
    BRAGG_INSTRUMENT_BOX, BRAGG_INSTRUMENT_PIXEL,
    BRAGG_INSTRUMENT_ROWS
};

typedef struct bragg_instrument {
    bragg_radiation radiation;            /**< n_lines 0 when the file names no wavelength */
    bool has_mount;
    bragg_mount mount;
    double radius_m;                      /**< NAN when unknown */
    bool flat_detector;                   /**< radius_m is the distance of a flat detector */
    double value[BRAGG_INSTRUMENT_ROWS];  /**< NAN when the file is silent */
} bragg_instrument;

/** Read ours (YAML, .instr), GSAS-II's .instprm or GSAS's .prm (first bank, CW
 *  profile functions 1 to 5): the content decides.  Their centidegrees and
 *  variances become degrees and squared FWHM; SH/L is shared evenly.  EDATA with
 *  line and cause for anything else. */
bragg_status bragg_instrument_read(const char *path, bragg_instrument *out, bragg_error *err);
/** Write ours; the file appears whole or not at all. */
bragg_status bragg_instrument_write(const bragg_instrument *instrument, const char *path, bool force, bragg_error *err);
/** Of a built model's pattern, at the present values of its table. */
void bragg_instrument_of(const bragg_model *model, size_t pattern, bragg_instrument *out);
/** Values into the table of a built model, as start of a fit; bounds give way to them. */
void bragg_instrument_apply(const bragg_instrument *instrument, bragg_model *model, size_t pattern);

#endif
