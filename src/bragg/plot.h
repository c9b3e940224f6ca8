/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_PLOT_H
#define BRAGG_PLOT_H

#include <bragg/analysis.h>
#include <bragg/error.h>
#include <bragg/operando.h>
#include <bragg/pattern.h>
#include <bragg/refine.h>
#include <bragg/units.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Figures for print, one function each.  The extension of the path chooses
 *  SVG, PDF or PNG.  The numbers behind the figure, every one of them, appear
 *  beside it as NAME.csv; what does not fit that table as NAME.PART.csv.  All
 *  files appear whole, none is overwritten without page.force, and the same
 *  input gives the same bytes.
 *
 *      NAME.svg             figure
 *      NAME.csv             the main table
 *      NAME.reflections.csv rietveld: phase, position
 *      NAME.curves.csv      contour, frame: the curves
 *      NAME.spans.csv       contour: from when to when, and the marks
 *
 *  Abscissae are in the units of the inside (2theta in radians).  Texts are
 *  plain UTF-8 or Pango markup ("<i>a</i>"); names that are chemical formulas
 *  get their subscripts.  Positions that are not finite break a line. */

typedef struct bragg_plot_page {
    double width_mm, height_mm; /**< 85: a column, 170: both; height 0: what suits the figure */
    double font_pt;             /**< 0: 7 on one column, 8 on wider pages */
    double dpi;                 /**< of PNG and of images */
    const char *font;           /**< family, NULL: a sans serif */
    const char *title;          /**< above the figure, may be NULL */
    bool force;                 /**< overwrite */
} bragg_plot_page;

#define BRAGG_PLOT_PAGE_INIT { .width_mm = 85, .dpi = 300 }

typedef enum bragg_plot_scale {
    BRAGG_PLOT_LINEAR,
    BRAGG_PLOT_SQRT, /**< sign(y) sqrt|y| */
    BRAGG_PLOT_LOG   /**< what is not positive is not drawn */
} bragg_plot_scale;

/** "linear", "sqrt", "log"; false when unknown. */
bool bragg_plot_scale_parse(const char *name, bragg_plot_scale *scale);

/** EINVAL unless path ends in .svg, .pdf or .png; to ask before long work. */
bragg_status bragg_plot_check_path(const char *path, bragg_error *err);

/** Reflections of a phase: a row of ticks. */
typedef struct bragg_plot_phase {
    const char *name;
    size_t n;
    const double *x;
} bragg_plot_phase;

/** Observed, calculated, difference.  sigma and background may be NULL;
 *  observed or calculated NAN: an excluded point. */
typedef struct bragg_plot_fit {
    size_t n;
    const double *x, *observed, *sigma, *calculated, *background;
    bragg_axis axis;
    double wavelength_ang; /**< NAN when unknown */
    size_t n_phases;
    const bragg_plot_phase *phases;
} bragg_plot_fit;

typedef struct bragg_plot_rietveld_options {
    bragg_plot_page page;
    bragg_plot_scale scale;
    bragg_axis axis;        /**< to show, with `convert` */
    bool convert;           /**< show on `axis` instead of the data's own; needs a wavelength */
    bool weighted;          /**< difference over sigma */
    double x_min, x_max;    /**< part to show, data's axis; NAN: all */
    double inset_min, inset_max; /**< part to show again in an inset; NAN: none */
    double rwp_percent, gof;     /**< written into the figure; NAN: not */
    const char *note;       /**< one more line of text, may be NULL */
    const char *y_label;    /**< NULL: Intensity (counts) */
    bool no_legend;
} bragg_plot_rietveld_options;

#define BRAGG_PLOT_RIETVELD_OPTIONS_INIT { .page = BRAGG_PLOT_PAGE_INIT, .x_min = NAN, \
        .x_max = NAN, .inset_min = NAN, .inset_max = NAN, .rwp_percent = NAN, .gof = NAN }

bragg_status bragg_plot_rietveld(const bragg_plot_fit *fit, const bragg_plot_rietveld_options *options,
                                 const char *path, bragg_error *err);

/** A pattern of a model that was refined; the options (NULL: the usual ones) but for the R
 *  factors, which are the fit's. */
bragg_status bragg_plot_refined(bragg_model *model, size_t pattern, const bragg_fit *fit, const bragg_plot_rietveld_options *options,
                                const char *path, bragg_error *err);
/** bragg_plot_breadths of all its phases in the first pattern. */
bragg_status bragg_plot_refined_breadths(bragg_model *model, const bragg_fit *fit, const char *path, bool force, bragg_error *err);
/** bragg_plot_correlations of what was refined, but for single intensities. */
bragg_status bragg_plot_refined_correlations(bragg_model *model, const bragg_fit *fit, const char *path, bool force, bragg_error *err);

typedef struct bragg_plot_patterns_options {
    bragg_plot_page page;
    bragg_plot_scale scale;
    double x_min, x_max;  /**< axis of the first pattern; NAN: all */
    double offset;        /**< between neighbours, in intensity; NAN: none with one pattern, else
                               so that they stand clear; 0: overlaid.  Drawn on linear and sqrt
                               ordinates in units of the axis, on log as decades */
    bool normalize;       /**< divide each by its maximum */
    const char *y_label;  /**< NULL: Intensity */
} bragg_plot_patterns_options;

#define BRAGG_PLOT_PATTERNS_OPTIONS_INIT { .page = BRAGG_PLOT_PAGE_INIT, .x_min = NAN, .x_max = NAN, \
        .offset = NAN }

/** One or several patterns, the first at the bottom, all on the axis of the
 *  first (others are converted with their own wavelengths).  labels and each of
 *  them may be NULL: the pattern's title. */
bragg_status bragg_plot_patterns(const bragg_pattern *const *patterns, const char *const *labels, size_t n,
                                 const bragg_plot_patterns_options *options, const char *path,
                                 bragg_error *err);

/** A curve beside a map or in a panel. */
typedef struct bragg_plot_curve {
    size_t n;
    const double *x, *y, *esd; /**< esd may be NULL; beside a map x is time in seconds */
    const char *label;         /**< "Voltage (V)" */
} bragg_plot_curve;

/** From when to when a phase was there. */
typedef struct bragg_plot_span {
    const char *name;      /**< equal names share a column */
    double from_s, to_s;   /**< as time_s of the map */
} bragg_plot_span;

/** Frames over time:  intensity[frame * n + i] at x[i], time_s[frame] (the
 *  middle of the exposure).  Both increase. */
typedef struct bragg_plot_map {
    size_t n, frames;
    const double *x, *time_s, *intensity; /**< intensity NULL: asked for frame by frame */
    bragg_axis axis;
    double wavelength_ang;
    size_t n_curves;                 /**< 0, 1 or 2, each with its own axis */
    const bragg_plot_curve *curves;
    size_t n_spans;
    const bragg_plot_span *spans;
    size_t n_marks;                  /**< cycle boundaries */
    const double *marks_s;
    /** The n values of a frame, in room [n] or elsewhere until the next call. */
    const double *(*frame)(const void *payload, size_t frame, double *room);
    const void *payload;
} bragg_plot_map;

typedef struct bragg_plot_contour_options {
    bragg_plot_page page;
    bragg_plot_scale scale;      /**< of the colours */
    double low, high;            /**< ends of the colours; NAN: from the data */
    double x_min, x_max;
    double exposure_s;           /**< time a frame stands for; NAN: the median step */
    bool by_frame;               /**< time_s is no time but the frames' numbers */
    const char *ordinate;        /**< label when time_s is no time but, say, a capacity; else NULL */
    const char *abscissa;        /**< label when x is on none of the axes but, say, a distance, shown as it is; else NULL */
    bool diverging;              /**< colours about zero, for differences */
    const char *z_label;         /**< NULL: Intensity */
} bragg_plot_contour_options;

#define BRAGG_PLOT_CONTOUR_OPTIONS_INIT { .page = BRAGG_PLOT_PAGE_INIT, .scale = BRAGG_PLOT_SQRT, \
        .low = NAN, .high = NAN, .x_min = NAN, .x_max = NAN, .exposure_s = NAN }

bragg_status bragg_plot_contour(const bragg_plot_map *map, const bragg_plot_contour_options *options,
                                const char *path, bragg_error *err);

typedef struct bragg_plot_frame_options {
    bragg_plot_page page;
    bragg_plot_scale scale;
    double low, high;            /**< ends of the colours; NAN: from the data */
    bool bottom_up;              /**< row 0 at the bottom */
    size_t n_curves;             /**< rings: x is the column, y the row, in pixels; pixel 0
                                      reaches from 0 to 1 */
    const bragg_plot_curve *curves;
    const char *z_label;
} bragg_plot_frame_options;

#define BRAGG_PLOT_FRAME_OPTIONS_INIT { .page = BRAGG_PLOT_PAGE_INIT, .scale = BRAGG_PLOT_LOG, \
        .low = NAN, .high = NAN }

/** A detector image: values[row * columns + column]; mask (true: bad) may be NULL. */
bragg_status bragg_plot_frame(const double *values, const bool *mask, size_t rows, size_t columns,
                              const bragg_plot_frame_options *options, const char *path,
                              bragg_error *err);

/** Curves that share an ordinate. */
typedef struct bragg_plot_panel {
    const char *y_label;
    size_t n_curves;
    const bragg_plot_curve *curves;
    bragg_plot_scale scale;
    double y_min, y_max;         /**< NAN: from the data */
    bool share;                  /**< per cent of a whole: no ticks below 0 or above 100 while no point lies there */
} bragg_plot_panel;

#define BRAGG_PLOT_PANEL_INIT { .y_min = NAN, .y_max = NAN }

typedef struct bragg_plot_series_options {
    bragg_plot_page page;
    const char *x_label;         /**< "Temperature (K)" */
    double x_min, x_max;
    size_t n_marks;              /**< upright lines */
    const double *marks;
    bool lines;                  /**< join the points */
    bool bands;                  /**< esds as bands where points stand close */
} bragg_plot_series_options;

#define BRAGG_PLOT_SERIES_OPTIONS_INIT { .page = BRAGG_PLOT_PAGE_INIT, .x_min = NAN, .x_max = NAN, \
        .lines = true }

/** Parameters against frame, time or temperature: panels above each other on
 *  one abscissa.  A y that is not finite is a gap. */
bragg_status bragg_plot_series(const bragg_plot_panel *panels, size_t n, const bragg_plot_series_options *options,
                               const char *path, bragg_error *err);

/** A curve of a profile: a line with a shaded band of one esd, or dots. */
typedef struct bragg_plot_trace {
    bragg_plot_curve curve;      /**< label NULL: not in the legend */
    bool dots;
    bool dashed;
    double offset;               /**< added to y on the page, with a line at its zero */
    bool named;                  /**< the label stands above its first point, not in the legend */
} bragg_plot_trace;

/** A panel with an abscissa of its own. */
typedef struct bragg_plot_profile {
    const char *x_label, *y_label;
    size_t n_traces;
    const bragg_plot_trace *traces;
    double x_min, x_max, y_min, y_max; /**< NAN: from the data */
    const char *note;            /**< a line in the legend, may be NULL */
} bragg_plot_profile;

#define BRAGG_PLOT_PROFILE_INIT { .x_min = NAN, .x_max = NAN, .y_min = NAN, .y_max = NAN }

/** Panels in rows of `columns`: I(Q), S(Q), F(Q) and G(r), or G(r) fitted with its
 *  difference below.  NAME.csv has panel, curve, x, y, esd. */
bragg_status bragg_plot_profiles(const bragg_plot_profile *panels, size_t n, size_t columns, const bragg_plot_page *page,
                                 const char *path, bragg_error *err);

/** Integral breadths of a phase's lines and of the instrument at the same angles. */
typedef struct bragg_plot_breadth {
    const char *name;
    size_t n;
    const double *two_theta_rad, *breadth_rad, *instrument_rad;
    double wavelength_ang;
} bragg_plot_breadth;

/** Williamson-Hall plot, a panel a phase (G. K. Williamson & W. H. Hall, Acta Metall.
 *  1 (1953) 22): beta cos theta / lambda against 2 sin theta / lambda. */
bragg_status bragg_plot_breadths(const bragg_plot_breadth *phases, size_t n, const bragg_plot_page *page, const char *path, bragg_error *err);

/** n x n correlations from -1 to 1 (NAN: not determined) with their names. */
typedef struct bragg_plot_matrix {
    size_t n;
    const char *const *names;
    const double *correlation;
} bragg_plot_matrix;

/** The matrix as a picture; NAME.csv holds it. */
bragg_status bragg_plot_correlations(const bragg_plot_matrix *matrix, const bragg_plot_page *page, const char *path, bragg_error *err);

/** The figures of a run into a folder, each as SVG and PNG: map (square root), map-linear,
 *  map-log, map-capacity (against the charge that has passed, where the log has a current),
 *  difference, waterfall, states (the log with the places of its patterns), fractions,
 *  volumes, cells, widths; time is upright beside the log.  STOPPED by the observer, who sees
 *  each figure (may be NULL), with some of them not made. */
bragg_status bragg_plot_operando(const bragg_series *series, const bragg_store_curves *curves, const char *folder,
                                 bool force, const bragg_observer *observer, bragg_error *err);

/** Figures of an analysis, each as SVG and PNG: peaks-course (areas, shifts, crystalline
 *  share), components-course, smooth-course (cells as fitted and smoothed); frames_a_row
 *  as in the curves that it was made of. */
bragg_status bragg_plot_analysis(const bragg_analysis *analysis, const bragg_series *series, size_t frames_a_row, const char *folder,
                                 bool force, bragg_error *err);

/** Maps of G(r) and of G(r) - scale x the first, where any row could be made: map-pdf and
 *  map-pdf-change, each as SVG and PNG. */
bragg_status bragg_plot_pdf_maps(const bragg_pdf_course *total, const bragg_series *series, const char *folder, bool force, bragg_error *err);

/** One self-contained page: the account of what happened, the map and the courses to
 *  explore (in a build with uPlot), the figures for print, the table of episodes and of the
 *  frames that failed, and the settings.  total may be NULL.  EINVAL for rows of no frames;
 *  STOPPED by the observer, who sees each figure (may be NULL), without a page. */
bragg_status bragg_report_html(const bragg_series *series, const bragg_store_curves *curves, const bragg_pdf_course *total, const char *path,
                               bool force, const bragg_observer *observer, bragg_error *err);

/** The same of the folder that bragg refine -o or bragg pdf fit -o has written. */
bragg_status bragg_report_fit_html(const char *folder, const char *path, bool force, bragg_error *err);

/** A store that still grows, as the page of bragg serve asks for it.  Memory is that of a
 *  few frames and three numbers a frame.  One thread at a time. */
typedef struct bragg_live bragg_live;
/** The store may come later; ENOSUPPORT in a build without uPlot. */
bragg_status bragg_live_new(const char *store, bragg_live **out, bragg_error *err);
void bragg_live_free(bragg_live *live);
/** The page itself: it asks for the following. */
bragg_status bragg_live_page(bragg_live *live, FILE *to, bragg_error *err);
/** What the run is made of.  This and the next are a length (32 bits, little-endian), a
 *  description in JSON, zeros up to a multiple of 8, and arrays. */
bragg_status bragg_live_run(bragg_live *live, FILE *to, bragg_error *err);
/** Frames that have changed after the version; of another epoch none, the page loads anew. */
bragg_status bragg_live_changes(bragg_live *live, uint64_t after, uint64_t epoch, FILE *to, bragg_error *err);
/** Curves of frame k as the store has them; EDATA when it is not there. */
bragg_status bragg_live_frame(bragg_live *live, size_t k, FILE *to, bragg_error *err);

#endif
