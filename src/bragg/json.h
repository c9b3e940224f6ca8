/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_JSON_H
#define BRAGG_JSON_H

#include <bragg/error.h>
#include <jansson.h>
#include <stdbool.h>

/** JSON as every command prints it, built with Jansson's own functions. */

/** A real; null when it is not finite. */
json_t *bragg_json_number(double value);
/** {"value": …, "esd": …, "unit": …}, the shape of every refined quantity. */
json_t *bragg_json_quantity(double value, double esd, const char *unit);
/** Write to a file, whole or not at all.  Consumes root. */
bragg_status bragg_json_write_take(json_t *root, const char *path, bool force, bragg_error *err);
/** Write to standard output.  Consumes root. */
bragg_status bragg_json_print_take(json_t *root, bragg_error *err);

#endif
