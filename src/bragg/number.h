/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_NUMBER_H
#define BRAGG_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/** Numbers in text, whatever the locale: text becomes a number whole, or not at all. */

/** Parse all of text ("-1.5e3", surrounding blanks allowed, "." is the decimal
 *  point always).  "nan" and "inf" are numbers; hexadecimal is not.  False and
 *  *value untouched when anything else is left over or the value overflows. */
bool bragg_number_parse(const char *text, double *value);

/** As above for the first length bytes. */
bool bragg_number_parse_n(const char *text, size_t length, double *value);

/** Parse the number at the start of text; *end is set behind it.  For columns. */
bool bragg_number_scan(const char *text, const char **end, double *value);

/** Parse "4.15691(12)": value and standard uncertainty in the last digits
 *  (IUCr notation).  *esd is NAN when there is none. */
bool bragg_number_parse_esd(const char *text, double *value, double *esd);

/** Parse a whole decimal integer. */
bool bragg_integer_parse(const char *text, long long *value);

/** A Miller index out of a list; 0 for what is none, beyond +-9999 or no number. */
int bragg_number_miller(double value);

enum { BRAGG_NUMBER_TEXT = 48 };

/** Print with as few digits as read back exactly; returns buffer. */
char *bragg_number_print(char buffer[BRAGG_NUMBER_TEXT], double value);

/** Print with the given significant digits ("%.*g" with a decimal point). */
char *bragg_number_print_digits(char buffer[BRAGG_NUMBER_TEXT], double value, int digits);

/** False for an esd that leaves nothing of its value: infinite; a million and a hundred times the
 *  value; of a size (unit "nm", which has no negative values) larger than the size.  True without
 *  an esd (NAN), as what was not fitted is known.  unit may be NULL. */
bool bragg_number_determined(double value, double esd, const char *unit);

/** Print "4.15691(12)": the esd has two digits when it starts with 1 (the rule
 *  of 19, Schwarzenbach et al., Acta Cryst. A51 (1995) 565), else one.
 *  Without a positive esd prints six significant digits, and "not determined" where the esd
 *  leaves nothing of the value. */
char *bragg_number_print_esd(char buffer[BRAGG_NUMBER_TEXT], double value, double esd);

enum { BRAGG_QUANTITY_TEXT = 112 };

/** Print "4.15691(12) angstrom" or, without its unit, "not determined". */
char *bragg_number_print_quantity(char buffer[BRAGG_QUANTITY_TEXT], double value, double esd, const char *unit);

#endif
