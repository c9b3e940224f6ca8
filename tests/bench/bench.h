/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdio.h>

void bench_row(FILE *to, const char *name, double value, const char *unit, const char *peer, double ratio);
void bench_operando(FILE *to);

#endif
