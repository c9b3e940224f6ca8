/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arrays that grow, and values in order. */
#include "config.h"
#include <bragg/array.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bragg_status bragg_array_grow(void *at, size_t *room, size_t need, size_t size, bragg_error *err)
{
    if (need <= *room)
        return BRAGG_OK;
    size_t more = need < SIZE_MAX / 2 ? need + need / 2 + 16 : need;
    void *old;
    memcpy(&old, at, sizeof old); /* any pointer type comes in as void * */
    void *new = more <= SIZE_MAX / size ? realloc(old, more * size) : NULL;
    if (!new)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu items of %zu bytes", more, size);
    memcpy(at, &new, sizeof new);
    *room = more;
    return BRAGG_OK;
}

int bragg_array_by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static inline __attribute__((always_inline)) size_t first_of(const char *rising, size_t stride, size_t n, double least)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        double value;
        memcpy(&value, rising + mid * stride, sizeof value);
        if (value < least)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t bragg_array_first(const double *rising, size_t n, double least) { return first_of((const char *)rising, sizeof *rising, n, least); }

size_t bragg_array_first_of(const void *rising, size_t stride, size_t n, double least) { return first_of(rising, stride, n, least); }
