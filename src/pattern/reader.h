/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every pattern reader is and the tools they share; private to the floor. */
#ifndef PATTERN_READER_H
#define PATTERN_READER_H

#include <bragg/bytes.h>
#include <bragg/datetime.h>
#include <bragg/pattern.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* A whole file in memory; bytes[size] is a NUL, so text readers may scan. */
typedef struct source {
    const unsigned char *bytes;
    size_t size;
    const char *path;
    const char *extension;   /* behind the last dot, lower case, "" when there is none */
    bool unit_known;         /* by the caller: what looks like 2theta may be something else */
} source;

/* The patterns of a file, in its order. */
typedef struct pattern_list {
    bragg_pattern **at;
    size_t n, room;
} pattern_list;

typedef struct pattern_reader {
    const char *name, *description;
    bool (*probe)(const source *src);
    bragg_status (*read)(const source *src, pattern_list *list, bragg_error *err);
    bool by_path;            /* a library reads the file itself: no member of an archive */
} pattern_reader;

enum { MAX_POINTS = 1 << 26 };   /* no 1D pattern is longer; a bound on what headers may claim */

/* make.c: append a pattern, one of no points too, or after its check; the list owns it,
 * also on failure. */
bragg_status bragg_pattern_list_add(pattern_list *list, bragg_pattern *pattern, bragg_error *err);
bragg_status bragg_pattern_list_take(pattern_list *list, bragg_pattern *pattern, bragg_error *err);
/* New 2theta pattern of n points, or a message; n of 0 or above MAX_POINTS is EDATA. */
bragg_status bragg_pattern_make(double n, bragg_axis axis, bragg_pattern **out, bragg_error *err);
/* Points that run downwards (a scan driven backwards) turned round. */
void bragg_pattern_upwards(bragg_pattern *pattern);
/* Title from the first length bytes of text, trimmed; UTF-8 or Latin-1 in, UTF-8 out. */
void bragg_pattern_title(bragg_pattern *pattern, const char *text, size_t length);

/* lines.c: the next line without its end; false behind the last.  A NUL byte
 * in a line is its end. */
typedef struct lines {
    const char *next, *end;
    const char *text;        /* the current line */
    size_t length, number;
} lines;
lines bragg_pattern_lines_of(const source *src);
bool bragg_pattern_lines_next(lines *l);
/* Numbers at the start of text up to `most`; the count. */
size_t bragg_pattern_numbers_of(const char *text, size_t length, double *values, size_t most);
/* Case-blind search in the first length bytes; NULL when absent. */
const char *bragg_pattern_find_text(const char *text, size_t length, const char *word);
/* "2022-03-04T16:49:48.25+01:00" and no other way to write a time; NAN when it is none. */
double bragg_pattern_clock_iso(const char *text);
/* A goniometer's radius where mm can be one, else NAN. */
double bragg_pattern_radius_m(double mm);
/* The same of a goniometer whose arms are alike, from the source and to the detector; else NAN. */
double bragg_pattern_arms_m(double from_mm, double to_mm);
/* Facts of a line of comment, "Temp (K) = 298.0" and the like, into the pattern. */
void bragg_pattern_header_fact(bragg_pattern *facts, const char *text, size_t length);
/* Facts all unknown, to begin with. */
bragg_pattern bragg_pattern_no_facts(void);
/* Copy what bragg_pattern_header_fact found. */
void bragg_pattern_header_copy(bragg_pattern *to, const bragg_pattern *facts);

/* columns.c */
bragg_status bragg_pattern_columns_read(const source *src, bragg_pattern **out, bragg_error *err);

/* the rows of the table in read.c */
bool bragg_pattern_probe_gsas(const source *src);
bragg_status bragg_pattern_read_gsas(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_xrdml(const source *src);
bragg_status bragg_pattern_read_xrdml(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_bruker(const source *src);
bragg_status bragg_pattern_read_bruker(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_stoe(const source *src);
bragg_status bragg_pattern_read_stoe(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_uxd(const source *src);
bragg_status bragg_pattern_read_uxd(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_steps(const source *src);
bragg_status bragg_pattern_read_steps(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_brml(const source *src);
bragg_status bragg_pattern_read_brml(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_ras(const source *src);
bragg_status bragg_pattern_read_ras(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_rasx(const source *src);
bragg_status bragg_pattern_read_rasx(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_pdcif(const source *src);
bragg_status bragg_pattern_read_pdcif(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_rigaku_text(const source *src);
bragg_status bragg_pattern_read_rigaku_text(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_rigaku_binary(const source *src);
bragg_status bragg_pattern_read_rigaku_binary(const source *src, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_udf(const source *src);
bragg_status bragg_pattern_read_udf(const source *src, pattern_list *list, bragg_error *err);
/* nxazint.c: HDF5 is read where it lies, FILE or FILE:/path[frame]. */
bool bragg_pattern_nxazint_is(const char *spec);
bragg_status bragg_pattern_nxazint_read(const char *spec, pattern_list *list, bragg_error *err);
bool bragg_pattern_probe_xylib(const source *src);
bragg_status bragg_pattern_read_xylib(const source *src, pattern_list *list, bragg_error *err);

#pragma GCC visibility pop
#endif
