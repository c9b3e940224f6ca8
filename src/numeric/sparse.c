/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sparse matrices by rows. */
#include "config.h"
#include <bragg/array.h>
#include <bragg/sparse.h>
#include <bragg/thread.h>

#include <stdlib.h>
#include <string.h>

bragg_status bragg_triplets_add(bragg_triplets *l, size_t row, size_t column, double weight, bragg_error *err)
{
    if (row > UINT32_MAX || column > UINT32_MAX)
        return bragg_fail(err, BRAGG_EINVAL, "sparse matrix: row %zu or column %zu is beyond 32 bits", row, column);
    bragg_status st = bragg_array_grow(&l->at, &l->room, l->n + 1, sizeof *l->at, err);
    if (st == BRAGG_OK)
        l->at[l->n++] = (bragg_triplet){ (uint32_t)row, { (uint32_t)column, (float)weight } };
    return st;
}

bragg_status bragg_sparse_new(const bragg_triplets *lists, size_t n_lists, size_t n_rows, size_t n_columns, bragg_sparse *out, bragg_error *err)
{
    *out = (bragg_sparse){ n_rows, n_columns, calloc(n_rows + 1, sizeof *out->start), NULL };
    size_t *next = malloc((n_rows + 1) * sizeof *next), total = 0;
    for (size_t b = 0; b < n_lists; b++)
        total += lists[b].n;
    out->entry = malloc((total + 1) * sizeof *out->entry);
    if (!out->start || !out->entry || !next) {
        free(next);
        bragg_sparse_clear(out);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a sparse matrix of %zu entries", total);
    }
    for (size_t b = 0; b < n_lists; b++)
        for (size_t k = 0; k < lists[b].n; k++)
            out->start[lists[b].at[k].row + 1]++;
    for (size_t i = 0; i < n_rows; i++)
        out->start[i + 1] += out->start[i];
    memcpy(next, out->start, (n_rows + 1) * sizeof *next);
    for (size_t b = 0; b < n_lists; b++)
        for (size_t k = 0; k < lists[b].n; k++)
            out->entry[next[lists[b].at[k].row]++] = lists[b].at[k].entry;
    free(next);
    return BRAGG_OK;
}

void bragg_sparse_clear(bragg_sparse *m)
{
    free(m->start);
    free(m->entry);
    m->start = NULL;
    m->entry = NULL;
}

typedef struct job {
    const bragg_sparse *m;
    const double *x;
    double *y;
} job;

static bragg_status multiply_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const job *w = payload;
    for (size_t i = first; i < last; i++) {
        double sum = 0;
        for (size_t k = w->m->start[i]; k < w->m->start[i + 1]; k++)
            sum += (double)w->m->entry[k].weight * w->x[w->m->entry[k].column];
        w->y[i] = sum;
    }
    return BRAGG_OK;
    (void)err;
}

bragg_status bragg_sparse_multiply(const bragg_sparse *m, const double *x, double *y, bragg_error *err)
{
    job w = { m, x, y };
    return bragg_parallel_for(m->n_rows, 16, multiply_rows, &w, err);
}
