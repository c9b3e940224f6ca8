/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_SPARSE_H
#define BRAGG_SPARSE_H

#include <bragg/error.h>
#include <stddef.h>
#include <stdint.h>

/** A sparse matrix by rows; weights in single precision, sums in double.
 *
 *      row i:  entry[start[i]] … entry[start[i + 1] - 1]                        */
typedef struct bragg_sparse_entry {
    uint32_t column;
    float weight;
} bragg_sparse_entry;

typedef struct bragg_sparse {
    size_t n_rows, n_columns;
    size_t *start;
    bragg_sparse_entry *entry;
} bragg_sparse;

/** Entries with their rows, in any order of rows; one list a thread or block. */
typedef struct bragg_triplet {
    uint32_t row;
    bragg_sparse_entry entry;
} bragg_triplet;
typedef struct bragg_triplets {
    bragg_triplet *at;
    size_t n, room;
} bragg_triplets;

bragg_status bragg_triplets_add(bragg_triplets *list, size_t row, size_t column, double weight, bragg_error *err);

/** Sort lists into rows; within a row entries keep the order of the lists. */
bragg_status bragg_sparse_new(const bragg_triplets *lists, size_t n_lists, size_t n_rows, size_t n_columns,
                              bragg_sparse *out, bragg_error *err);
void bragg_sparse_clear(bragg_sparse *matrix);
/** y = A x, in parallel over rows, the same bits on any number of threads. */
bragg_status bragg_sparse_multiply(const bragg_sparse *matrix, const double *x, double *y, bragg_error *err);

#endif
