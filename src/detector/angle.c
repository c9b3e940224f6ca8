/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Angles of many vectors at once: making a plan takes four of them a pixel. */
#include "config.h"
#include "tiles.h"

#include <math.h>

/* Made also for processors with wider vectors, chosen when the program starts. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(BRAGG_SANITIZE)
#define FOR_MORE_PROCESSORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_MORE_PROCESSORS
#endif

/* atan2 without branches, so that a loop does all lanes of a vector: atan of at most
 * tan(pi / 8), the rest by symmetry.  The polynomial goes through atan(z) / z at
 * the twelve Chebyshev nodes of z^2 in that range, and is off by 1.3e-18 of it. */
FOR_MORE_PROCESSORS void bragg_plan_angles(const double *restrict y, const double *restrict x, size_t n, double *restrict out)
{
    static const double c[12] = { 0.9999999999999999987, -0.3333333333333312116, 0.1999999999994089146, -0.1428571427925024494,
                                  0.1111111074491965822, -0.0909089680906402671, 0.0769204533090221837, -0.0666295181362911441,
                                  0.05846878297330315133, -0.05035102456599009265, 0.03796525745380054536, -0.01780539720534697623 };
    const double tangent = 0.41421356237309503; /* of pi / 8 */
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double a = fabs(x[i]), b = fabs(y[i]), low = MIN(a, b), high = MAX(a, b);
        bool wide = low > tangent * high;
        double up = wide ? low - high : low, down = wide ? low + high : high;
        double z = up / (down > 0 ? down : 1), u = z * z;
        double p = c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * (c[4] + u * (c[5] + u * (c[6] + u * (c[7] + u * (c[8] + u * (c[9] + u * (c[10] + u * c[11]))))))))));
        double angle = (wide ? BRAGG_PI / 4 : 0) + z * p;
        angle = b > a ? BRAGG_PI / 2 - angle : angle;
        angle = x[i] < 0 ? BRAGG_PI - angle : angle;
        out[i] = copysign(angle, y[i]);
    }
}
