/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PLOT_H
#define BRAGG_PLOT_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>

/** Figures by Cairo and Pango.  The extension of the path chooses SVG, PDF or
 *  PNG; the plotted numbers appear beside it as NAME.csv. */

typedef enum bragg_plot_scale { BRAGG_PLOT_LINEAR, BRAGG_PLOT_SQRT, BRAGG_PLOT_LOG } bragg_plot_scale;

/** One phase of a Rietveld plot: where its reflections stand. */
typedef struct bragg_plot_ticks {
    const char *name;
    const double *x;
    size_t n;
} bragg_plot_ticks;

/** The plot people know: observed dots, calculated line, background, a row of
 *  ticks a phase, the difference below. */
typedef struct bragg_plot_rietveld {
    size_t n;
    const double *x, *observed, *sigma, *calculated, *background; /**< sigma may be NULL */
    const char *x_label;       /**< Pango markup: "2<i>θ</i> (°)" */
    const char *title, *note;  /**< may be NULL; note stands in the corner: "Rwp 5.1 %" */
    const bragg_plot_ticks *ticks;
    size_t n_ticks;
    bragg_plot_scale scale;
    bool weighted;             /**< difference over sigma */
    double width_mm, height_mm;
} bragg_plot_rietveld;
#define BRAGG_PLOT_RIETVELD_INIT { 0, NULL, NULL, NULL, NULL, NULL, "2<i>θ</i> (°)", NULL, NULL, NULL, 0, BRAGG_PLOT_LINEAR, false, 170, 110 }

bragg_status bragg_plot_write_rietveld(const bragg_plot_rietveld *plot, const char *path, bool force, bragg_error *err);

/** Values for about `wanted` ticks in [low, high]: 1, 2 or 5 times a power of ten
 *  (P. S. Heckbert, Graphics Gems (1990) 61).  At most room values; their number. */
size_t bragg_plot_tick_values(double low, double high, int wanted, double *out, size_t room);

#endif
