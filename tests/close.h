/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Relative comparison for the tests: Check's own is absolute only. */
#ifndef TESTS_CLOSE_H
#define TESTS_CLOSE_H

#include <check.h>
#include <math.h>

#define assert_close(a, b, relative)                                                      \
    do {                                                                                  \
        double a_ = (a), b_ = (b);                                                        \
        double size_ = fmax(fabs(a_), fabs(b_));                                          \
        ck_assert_msg(fabs(a_ - b_) <= (relative) * (size_ > 0 ? size_ : 1),              \
                      "%s = %.17g, expected %s = %.17g", #a, a_, #b, b_);                 \
    } while (0)

#endif
