/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef DETECTOR_LANES_H
#define DETECTOR_LANES_H

#include <stddef.h>

/* Eight frames go side by side, one in each lane, so that an entry of the plan is read
 * and unpacked once for all of them (32 of 16 bits have a way of their own, sum_short.h):
 *
 *      frames 0 … 7, row by row ─► tile: pixel 0: 0 … 7, pixel 1: 0 … 7, …
 *      entry (weight, offset)   ─► sum[bin] += weight * tile[offset]
 *
 * Pixels stay 32 bits wide in the tile and become doubles where they are used: half
 * the bytes to and from the cache.  Of many frames twice as many go at a time, for the
 * price of one reading of the plan, where the processor has the registers for it: a
 * pixel of all of them is then a cache line.  A lane's sums do not depend on what is in
 * the others. */
enum { LANES = 8, MOST_EIGHTS = 4, MOST_FRAMES = LANES * MOST_EIGHTS, TWICE = 2 * LANES, LINE = 64, ENTRIES_AHEAD = 128 };

#define INLINE static inline __attribute__((always_inline))

/* Of eight frames: a bin's sums.  Those of the second tile lie beside the first's. */
typedef struct sums {
    double signal[LANES], variance[LANES];
} sums;

/* The pixels of the tile that comes next, to be brought into the cache line by line
 * while this one is summed, a few lines for each of its pieces: as many at once as the
 * processor can wait for, it waits. */
typedef struct ahead {
    const char *data[MOST_FRAMES];
    size_t frames, frame, a_piece;   /* frame: the first of eight whose lines are next */
    size_t offset, end;              /* bytes from the start of a row; its end */
    size_t row_bytes, columns_bytes, rows;
} ahead;

INLINE void next_line(ahead *a)
{
    a->frame = 0;
    a->offset += LINE;
    if (a->offset < a->end || a->rows == 0)
        return;
    a->rows--;
    a->end += a->row_bytes;
    a->offset = a->end - a->columns_bytes;
}

INLINE void fetch(ahead *a)
{
    for (size_t k = 0; k < a->a_piece && a->rows; k++) {
        const char *const *data = a->data + a->frame;
#pragma GCC unroll 8
        for (int l = 0; l < LANES; l++)
            __builtin_prefetch(data[l] + a->offset, 0, 2);
        a->frame += LANES;
        if (a->frame >= a->frames)
            next_line(a);
    }
}

#endif
