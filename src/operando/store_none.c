/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No store: what a build without HDF5 says. */
#include "config.h"

#ifndef HAVE_HDF5

#include "analyse.h"
#include "operando.h"

bragg_status bragg_store_open(const seq_store_start *o, seq_store **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5, so that nothing can be kept for --resume", o->path);
}

bool bragg_store_row(const seq_store *s, size_t k, double *row, char message[256], char file[256])
{
    return false;
    (void)s, (void)k, (void)row, (void)message, (void)file;
}

bragg_status bragg_store_put(seq_store *s, size_t k, const char *file, const double *row, const char *message, const seq_curves *curves, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)k, (void)file, (void)row, (void)message, (void)curves, (void)err;
}

bragg_status bragg_store_room(seq_store *s, size_t frames, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)frames, (void)err;
}

bragg_status bragg_store_put_log(const seq_store *s, size_t k, const bragg_frame_log *log, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)k, (void)log, (void)err;
}

bragg_status bragg_store_numbers(const seq_store *s, size_t k, double *row, bragg_error *err)
{
    return bragg_fail(err, BRAGG_EINTERNAL, "row %zu: this build has no HDF5", k);
    (void)s, (void)row;
}

seq_place bragg_store_place(const seq_store *s)
{
    return (seq_place){ NULL, -1, 0 };
    (void)s;
}

bragg_status bragg_store_close(seq_store *s, bragg_series *series, bragg_error *err)
{
    return BRAGG_OK;
    (void)s, (void)series, (void)err;
}

bragg_status bragg_store_read(const char *path, bragg_series **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
}

bragg_status bragg_store_patterns(const char *path, size_t rows, bragg_store_curves *out, bragg_error *err)
{
    *out = (bragg_store_curves){ 0 };
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
    (void)rows;
}

void bragg_store_average_row(const bragg_store_curves *c, bragg_curve which, size_t row, double *to) { (void)c, (void)which, (void)row, (void)to; }

void bragg_store_free_rows(struct bragg_store_rows *stored) { (void)stored; }

int bragg_store_rows_lost(const struct bragg_store_rows *stored)
{
    return 0;
    (void)stored;
}

bragg_status bragg_store_look(const char *path, bragg_store_view **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", path);
}

void bragg_store_view_free(bragg_store_view *v) { (void)v; }

bool bragg_store_view_replaced(const bragg_store_view *v)
{
    return false;
    (void)v;
}

bool bragg_store_view_states(const bragg_store_view *v, uint64_t *state)
{
    return false;
    (void)v, (void)state;
}

bragg_status bragg_store_view_frame(bragg_store_view *v, size_t k, float *observed, float *calculated, float *sigma, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "frame %zu: this build has no HDF5", k);
    (void)v, (void)observed, (void)calculated, (void)sigma;
}

bragg_status bragg_store_add_tables(const char *store, const char *const *names, FILE *const *tables, size_t n, const char *json, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", store);
    (void)names, (void)tables, (void)n, (void)json;
}

bragg_status bragg_store_pdf(const char *store, bragg_arena *arena, bragg_pdf_course **out, bragg_error *err)
{
    *out = NULL;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no HDF5", store);
    (void)arena;
}

#endif
