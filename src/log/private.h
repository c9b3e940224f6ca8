/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the readers of logs share; not API. */
#ifndef BRAGG_LOG_PRIVATE_H
#define BRAGG_LOG_PRIVATE_H

#include <bragg/bytes.h>
#include <bragg/log.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* A file in memory and what the caller said about it. */
typedef struct log_source {
    const unsigned char *bytes;
    size_t length;
    const bragg_log_options *options;
} log_source;

/* The file's cells before they have a meaning, row after row:
 *
 *      names[0] units[0] | names[1] units[1] | …      width columns
 *      cells[0]            cells[1]            …      row 0
 *      cells[width]        …                          row 1
 *
 * A reader that knows what a column is sets channels; otherwise the name
 * decides.  values[] are in the file's unit; NAN is an empty cell. */
typedef struct log_grid {
    size_t width, n, room;
    char **names, **units;
    int *channels;            /* bragg_channel, or -1: find out */
    bool utc;                 /* the wall times name their zone, or are seconds since 1970 */
    double *cells;
    struct log_labels { char **at; size_t n; } *labels; /* of columns of texts */
} log_grid;

bragg_status bragg_grid_init(log_grid *grid, size_t width, bragg_error *err);
bragg_status bragg_grid_name(log_grid *grid, size_t column, const char *name, const char *unit,
                             int channel, bragg_error *err);
/* The number of a text among a column's labels, added when new; NAN when there
 * are too many to be labels, or without memory. */
double bragg_grid_label(log_grid *grid, size_t column, const char *text);
/* A further row of NANs, or NULL without memory. */
double *bragg_grid_row(log_grid *grid);
void bragg_grid_free(log_grid *grid);

bragg_log_table *bragg_table_new(const char *format);
void bragg_table_note(bragg_log_table *table, int kind, size_t row, const char *format, ...)
    BRAGG_PRINTF(4, 5);
/* Columns from the grid: channels, units, then time made to increase. */
bragg_status bragg_table_finish(bragg_log_table *table, log_grid *grid, const log_source *source,
                                bragg_error *err);

/* Header "Voltage(V)", "Ewe/V", "I [mA]", "time_s" into name and unit (malloc'ed). */
bool bragg_header_split(const char *header, char **name, char **unit);
/* Channel that a name with a unit most likely is, and how sure (0: not at all). */
bragg_channel bragg_channel_guess(const char *name, const char *unit, int *rank);
/* What a unit's text means for a channel; false when it is none of its units. */
bool bragg_unit_find(const char *unit, bragg_channel channel, double *factor, double *offset);
bool bragg_unit_known(const char *unit);

/* Bytes as UTF-8 with a NUL behind, malloc'ed; the source may be UTF-8, UTF-16
 * with a byte order mark, GB 18030 or Latin-1. */
char *bragg_text_utf8(const unsigned char *bytes, size_t length, size_t *out_length);

/* Lines of a text with their separator; used by .mpt, .csv and .xlsx. */
typedef struct log_lines {
    char *text;               /* owned; line ends are NUL */
    char **line;
    size_t n;
    bool terminated;          /* the last line ended with a newline */
    char separator;           /* ' ' stands for any blanks */
    bool decimal_comma;
} log_lines;
bragg_status bragg_lines_read(const log_source *source, log_lines *lines, bragg_error *err);
void bragg_lines_free(log_lines *lines);
/* Cells of the lines after `header` into a table that is then finished. */
bragg_status bragg_lines_table(log_lines *lines, size_t header, bragg_log_table *table,
                               const log_source *source, bragg_error *err);

bragg_status bragg_log_text(const log_source *source, bragg_log_table **out, bragg_error *err);
bragg_status bragg_log_mpt(const log_source *source, bragg_log_table **out, bragg_error *err);
bragg_status bragg_log_mpr(const log_source *source, bragg_log_table **out, bragg_error *err);
bragg_status bragg_log_nda(const log_source *source, bragg_log_table **out, bragg_error *err);
bragg_status bragg_log_ndax(const log_source *source, bragg_log_table **out, bragg_error *err);
bragg_status bragg_log_xlsx(const log_source *source, bragg_log_table **out, bragg_error *err);

#pragma GCC visibility pop


#endif
