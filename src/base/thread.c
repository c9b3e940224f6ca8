/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One parallel loop, the same blocks for any number of threads. */
#include "config.h"
#include <bragg/thread.h>

#include <stdint.h>
#ifdef _OPENMP
#include <omp.h>
#endif

bragg_status bragg_parallel_for(size_t n, size_t block, bragg_range_work work, void *payload,
                                bragg_error *err)
{
    size_t blocks = n / block + (n % block != 0), failed = SIZE_MAX;
    bragg_status status = BRAGG_OK;
#pragma omp parallel for schedule(dynamic, 1) if (blocks > 1)
    for (size_t b = 0; b < blocks; b++) {
        size_t earliest;
#pragma omp atomic read
        earliest = failed;
        if (earliest < b)
            continue;
        bragg_error own = BRAGG_ERROR_INIT;
        size_t first = b * block, last = n - first < block ? n : first + block;
        bragg_status st = work(payload, first, last, &own);
        if (st >= 0)
            continue;
#pragma omp critical(bragg_parallel_error)
        if (b < failed) {
#pragma omp atomic write
            failed = b;
            status = st;
            if (err)
                *err = own;
        }
    }
    return status;
}

int bragg_thread_count(void)
{
#ifdef _OPENMP
    return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
}
