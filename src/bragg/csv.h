/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_CSV_H
#define BRAGG_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** Fields of comma-separated values, as RFC 4180 has them. */

/** A text, in quotes where it has to be, and what ends it: "," or "\n". */
void bragg_csv_text(FILE *to, const char *text, const char *end);
/** A number of so many significant digits, 0: as few as read back exactly; nothing when it
 *  is not finite. */
void bragg_csv_number(FILE *to, double value, int digits, const char *end);

/** The field at *at without its quotes, as much of it as has room; *at is set behind its comma.
 *  False when it was the last of its line. */
bool bragg_csv_field(const char **at, char *text, size_t size);

#endif
