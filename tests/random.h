/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random numbers that are the same on every machine. */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <math.h>

static unsigned long long random_state = 88172645463325252ULL;

/* Between 0 and 1, neither of them (G. Marsaglia, xorshift, 2003). */
static inline double uniform(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return ((double)(random_state >> 11) + 0.5) / 9007199254740992.0;
}

/* Normal, of mean 0 and width 1 (G. E. P. Box & M. E. Muller 1958). */
static inline double deviate(void)
{
    double u = uniform(), v = uniform();
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

#endif
