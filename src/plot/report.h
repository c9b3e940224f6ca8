/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the report's files share.  Private. */
#ifndef BRAGG_PLOT_REPORT_H
#define BRAGG_PLOT_REPORT_H

#include <bragg/operando.h>
#include <bragg/plot.h>

#pragma GCC visibility push(hidden)

/* The abscissa that suits a series: time, a temperature that rises or falls, or the frame. */
typedef struct bragg_report_axis {
    double *x;               /* a frame each, in the unit of the label */
    const char *label;
    double *map_s;           /* for maps: seconds, or the frame's number */
    double unit_s;           /* seconds in the unit of x; NAN when it is no time */
    bool by_frame, heated;   /* map_s are numbers; x is a temperature */
} bragg_report_axis;
bragg_status bragg_report_choose_axis(const bragg_series *s, bragg_arena *arena, bragg_report_axis *axis, bragg_error *err);

/* What the figures of a run are drawn from, and where to. */
typedef struct bragg_report_sheet {
    const bragg_series *s;
    const bragg_store_curves *c; /* may be NULL */
    const char *folder;
    bool force;
    bragg_arena *arena;
    bragg_report_axis axis;
} bragg_report_sheet;
bragg_status bragg_report_sheet_open(bragg_report_sheet *sheet, bragg_error *err);
/* STEM.KIND in the folder.  A figure is written as bragg_report_kinds: SVG for print, PNG to
 * look at; the numbers once, with the first. */
enum { BRAGG_REPORT_KINDS = 2 };
extern const char *const bragg_report_kinds[BRAGG_REPORT_KINDS];
const char *bragg_report_name(const bragg_report_sheet *sheet, const char *stem, const char *kind);
/* Panels over the axis, with the cycles. */
bragg_status bragg_report_courses(const bragg_report_sheet *sheet, const bragg_plot_panel *panels, size_t n, const char *stem, bragg_error *err);
/* "<i>a</i> NAME (angstrom)" of a phase's parameter; NULL without memory. */
const char *bragg_report_param_label(const bragg_series *s, size_t param, bragg_arena *arena);
/* Where cycles begin, in the unit of at [frames]; their number. */
size_t bragg_report_cycles(const bragg_series *s, const double *at, bragg_arena *arena, double **out);
/* The middle of the frames of a row, in the unit of at. */
double bragg_report_middle(const bragg_series *s, const double *at, size_t row, size_t frames);

/* EINVAL for rows of no frames. */
bragg_status bragg_report_check(const bragg_store_curves *c, bragg_error *err);
/* Any value calculated; room for a row. */
bool bragg_report_calculated(const bragg_store_curves *c, double *room);

#pragma GCC visibility pop

#endif
