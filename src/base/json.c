/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON out, in one shape for all commands. */
#include "config.h"
#include <bragg/json.h>
#include <bragg/output.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *bragg_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *bragg_json_quantity(double value, double esd, const char *unit)
{
    json_t *q = json_object();
    if (!q || json_object_set_new(q, "value", bragg_json_number(value)) || json_object_set_new(q, "esd", bragg_json_number(esd)) ||
        json_object_set_new(q, "unit", json_string(unit ? unit : ""))) {
        json_decref(q);
        return NULL;
    }
    return q;
}

static bragg_status dump(json_t *root, FILE *to, const char *name, bragg_error *err)
{
    if (json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) || fputc('\n', to) == EOF || fflush(to))
        return bragg_fail(err, bragg_status_of_errno(errno), "%s: %s", name, strerror(errno));
    return BRAGG_OK;
}

bragg_status bragg_json_write_take(json_t *root, const char *path, bool force, bragg_error *err)
{
    bragg_output *out = NULL;
    bragg_status st = root ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the results as JSON");
    if (st == BRAGG_OK)
        st = bragg_output_open(path, force, &out, err);
    if (st == BRAGG_OK)
        st = dump(root, bragg_output_stream(out), path, err);
    json_decref(root);
    if (st == BRAGG_OK)
        return bragg_output_commit(out, err);
    bragg_output_abandon(out);
    return st;
}

bragg_status bragg_json_print_take(json_t *root, bragg_error *err)
{
    bragg_status st = root ? dump(root, stdout, "standard output", err) : bragg_fail(err, BRAGG_ENOMEM, "no room for the results as JSON");
    json_decref(root);
    return st;
}
