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
    bool by_frame;
} bragg_report_axis;
/* Any value calculated; room for a row. */
bool bragg_report_calculated(const bragg_store_curves *c, double *room);
bragg_status bragg_report_choose_axis(const bragg_series *s, bragg_arena *arena, bragg_report_axis *axis, bragg_error *err);

#pragma GCC visibility pop

#endif
