/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a page and the data inside it.  Private. */
#ifndef BRAGG_PLOT_PAGE_H
#define BRAGG_PLOT_PAGE_H

#include "report.h"

#include <bragg/arena.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

#pragma GCC visibility push(hidden)

/* Arrays one after the other in one run of bytes, and a description that says where each
 * begins: {"arrays": {name: [type, offset, count]}}.  Little-endian, each at a multiple
 * of 8.  In a page they are deflated and then written in base64; for a server they stay as
 * they are. */
typedef struct bragg_pack {
    FILE *to;
    json_t *arrays;
    size_t at;
    bool deflated, failed;
    z_stream z;
    unsigned char hold[3];
    unsigned held;
} bragg_pack;
void bragg_pack_begin(bragg_pack *p, FILE *to, bool deflated);
/* type: "f64", "f32", "u32", "u16" or "u8". */
void bragg_pack_put(bragg_pack *p, const char *name, const char *type, const void *data, size_t n);
/* The arrays' description; EIO when they could not be written. */
bragg_status bragg_pack_end(bragg_pack *p, json_t **arrays, bragg_error *err);

/* Text for HTML; bytes of a file in base64. */
void bragg_page_escape(FILE *to, const char *text);
void bragg_page_encode(FILE *to, FILE *from);
/* Up to and with <h1>, and from the program to the end; about says what the arrays are. */
void bragg_page_head(FILE *to, const char *title);
void bragg_page_tail(FILE *to, const json_t *about);
/* False in a build without the plotting library: then there is nothing to explore. */
bool bragg_page_interactive(void);
/* Where the interactive part comes to stand. */
void bragg_page_explore(FILE *to);

/* Codes of intensities: 0 nothing, 1 … 4095 even steps of the signed root from low to high. */
typedef struct bragg_page_codes { double low, high; } bragg_page_codes;
bragg_page_codes bragg_page_codes_of(const double *v, size_t n);
uint16_t bragg_page_code(const bragg_page_codes *c, double v);
void bragg_page_colours(bragg_pack *p);

/* Quantities of a frame that are drawn over time. */
typedef void (*bragg_report_taker)(const bragg_frame_fit *step, size_t which, double *value, double *esd);
typedef struct bragg_report_column {
    const char *name, *label, *unit, *phase, *group;
    bragg_report_taker take;
    size_t which;
} bragg_report_column;
/* live: also those that no frame has refined yet. */
bragg_status bragg_report_columns(const bragg_series *s, bool live, bragg_arena *arena, bragg_report_column **out, size_t *n, bragg_error *err);
json_t *bragg_report_describe(const bragg_series *s, const bragg_report_column *columns, size_t n);
/* Last part of a file's name, and the frame in it. */
json_t *bragg_report_file(const bragg_frame_fit *step);

void bragg_take_fraction(const bragg_frame_fit *t, size_t i, double *v, double *e);
void bragg_take_volume(const bragg_frame_fit *t, size_t i, double *v, double *e);
void bragg_take_param(const bragg_frame_fit *t, size_t k, double *v, double *e);
void bragg_take_voltage(const bragg_frame_fit *t, size_t k, double *v, double *e);
void bragg_take_temperature(const bragg_frame_fit *t, size_t k, double *v, double *e);
void bragg_take_rwp(const bragg_frame_fit *t, size_t k, double *v, double *e);
const char *bragg_unit_text(const char *unit);

/* Which files a result was made of, an array of {"file", "xxh3_128"}, and by which program;
 * either may be NULL. */
void bragg_page_inputs(FILE *to, const json_t *inputs, const char *program);

/* The figures of a folder that bragg_plot_operando or bragg refine has written. */
typedef struct bragg_page_figure { const char *stem, *kind, *caption; } bragg_page_figure;
void bragg_page_figures(FILE *to, const char *folder, const bragg_page_figure *list, size_t n);

#pragma GCC visibility pop

#endif
