/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store as its files see it: shared by store.c, store_write.c, store_file.c, store_view.c and store_tables.c. */
#ifndef OPERANDO_STORE_PARTS_H
#define OPERANDO_STORE_PARTS_H

#include "analyse.h"
#include "operando.h"

#include <hdf5.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

enum { TEXT = 256, NAME = 128, FORMAT = 4 /* of this file's layout and the rows' columns */ };

enum { TABLE, FILES, MESSAGES, OBSERVED, CALCULATED, SIGMA, LOG, CHECK, STATUS, PARTS };

enum { CLOCK_NUMBERS = 6 }; /* reference_s, offset_s, drift, the esds of both, and the log's zero */
enum { LOG_COLUMNS = sizeof(bragg_frame_log) / sizeof(double) };

struct seq_store {
    char *path, *lock_path;
    int fd, lock;
    size_t room, points, n_params, n_phases, columns;
    const char *const *name, *const *unit, *const *phase;
    off_t offset[PARTS];
    size_t size[PARTS];      /* of a row */
    char *texts[4];          /* title, provenance, experiment, notes */
    double *x_rad, wavelength_ang;
    bragg_arena *arena;
};

static inline off_t place(const seq_store *s, int part, size_t k) { return s->offset[part] + (off_t)(k * s->size[part]); }

/* store_file.c; false or nothing where HDF5 refuses */
extern const char *const bragg_store_part[PARTS], *const bragg_store_text[4], *const bragg_store_time[2]; /* names in the file */
void bragg_store_size_parts(seq_store *s);
hid_t bragg_store_text_type(size_t length);
bool bragg_store_put_set(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, const void *data);
bool bragg_store_put_text(hid_t file, const char *name, const char *text);
bool bragg_store_put_names(hid_t file, const char *name, const char *const *at, size_t n);
/* The n values of a data set that has n of them; false, and nothing read, of any other. */
bool bragg_store_get_set(hid_t file, const char *name, hid_t type, size_t n, void *to);
char *bragg_store_get_text(hid_t file, const char *name); /* free it */
size_t bragg_store_extent(hid_t file, const char *name, int axis);
bragg_status bragg_store_check_format(hid_t file, const char *path, bragg_error *err);
bragg_status bragg_store_find_parts(seq_store *s, const char *path, bragg_error *err);
char *bragg_store_notes(const bragg_series *s); /* free it */
bragg_status bragg_store_make_file(const seq_store *s, const bragg_series *series, const char *path, bragg_error *err);
char *bragg_store_beside(const char *path, const char *ending); /* free it */

/* store_write.c: what <operando.h> has of them, within a turn */
bragg_status bragg_store_begin(const seq_store_start *o, seq_store **out, bragg_error *err);
bragg_status bragg_store_make_room(seq_store *s, size_t frames, bragg_error *err);
bragg_status bragg_store_end(seq_store *s, bragg_series *series, bragg_error *err);
void bragg_store_free(seq_store *s);
bool bragg_store_read_part(const seq_store *s, int part, size_t k, void *to);
bool bragg_store_read_joined(const seq_store *s, size_t k, bragg_frame_log *log);

/* store_view.c */
bragg_status bragg_store_get_series(const char *path, bragg_series **out, bragg_error *err);
bragg_status bragg_store_get_view(const char *path, bragg_store_view **out, bragg_error *err);
bragg_status bragg_store_get_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err);

/* store_tables.c */
bragg_status bragg_store_get_total(hid_t file, bragg_arena *arena, bragg_pdf_course **out, bragg_error *err);

#pragma GCC visibility pop

#endif
