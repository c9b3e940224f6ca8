/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_ARRAY_H
#define BRAGG_ARRAY_H

#include <bragg/error.h>
#include <stddef.h>

/** Room for at least `need` items of `size` bytes in a malloc'ed array that grows
 *  by half: *at moves, *room is what it holds now.  Old items stay, new ones are
 *  not cleared.  ENOMEM (also when the product overflows) leaves all as it was. */
bragg_status bragg_array_grow(void *at, size_t *room, size_t need, size_t size, bragg_error *err);

/** For qsort of doubles, or of rows that begin with one: smallest first. */
int bragg_array_by_value(const void *a, const void *b);

/** Of n rising values the first that is not below `least`; n when all are. */
size_t bragg_array_first(const double *rising, size_t n, double least);
/** The same of items that are `stride` bytes apart, each beginning with its double. */
size_t bragg_array_first_of(const void *rising, size_t stride, size_t n, double least);

#endif
