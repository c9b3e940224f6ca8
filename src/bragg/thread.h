/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_THREAD_H
#define BRAGG_THREAD_H

#include <bragg/error.h>
#include <stddef.h>

/** Work on items [first, last) of a range.  May run on any thread; must touch
 *  only what belongs to its items. */
typedef bragg_status (*bragg_range_work)(void *payload, size_t first, size_t last, bragg_error *err);

/** Share n items over the threads in blocks of `block` items (> 0).  The blocks
 *  are the same for any number of threads, so a caller who keeps one partial sum
 *  a block and adds them in order gets the same bits on 1 and on N threads.
 *  The error of the lowest failing block is returned, whoever failed first. */
bragg_status bragg_parallel_for(size_t n, size_t block, bragg_range_work work, void *payload,
                                bragg_error *err);

/** Threads that bragg_parallel_for would use (OMP_NUM_THREADS); 1 from within one. */
int bragg_thread_count(void);

#endif
