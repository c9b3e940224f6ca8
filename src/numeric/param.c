/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of named parameters: rows, ties, copies. */
#include "config.h"
#include <bragg/array.h>
#include <bragg/param.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bragg_status bragg_params_add(bragg_params *params, const char *name, const char *unit,
                              double value, size_t *index, bragg_error *err)
{
    bragg_param row = { .value = value, .esd = NAN, .lower = -INFINITY, .upper = INFINITY,
                        .tie_to = -1, .tie_factor = 1 };
    if (!*name || strlen(name) >= sizeof row.name || strlen(unit) >= sizeof row.unit)
        return bragg_fail(err, BRAGG_EINVAL, "parameter '%.40s' in '%.20s': name or unit empty or too long",
                          name, unit);
    if (bragg_params_find(params, name) >= 0)
        return bragg_fail(err, BRAGG_EINVAL, "parameter '%s': stands in the table already", name);
    bragg_status st = bragg_array_grow(&params->at, &params->room, params->n + 1, sizeof *params->at, err);
    if (st < 0)
        return st;
    strcpy(row.name, name);
    strcpy(row.unit, unit);
    if (index)
        *index = params->n;
    params->at[params->n++] = row;
    return BRAGG_OK;
}

ptrdiff_t bragg_params_find(const bragg_params *params, const char *name)
{
    for (size_t i = 0; i < params->n; i++)
        if (!strcmp(params->at[i].name, name))
            return (ptrdiff_t)i;
    return -1;
}

bragg_status bragg_params_tie(bragg_params *params, size_t index, size_t to, double factor,
                              double offset, bragg_error *err)
{
    if (index >= params->n || to >= params->n)
        return bragg_fail(err, BRAGG_EINVAL, "tie of row %zu to %zu: expected rows below %zu", index, to,
                          params->n);
    if (!isfinite(factor) || !isfinite(offset))
        return bragg_fail(err, BRAGG_EINVAL, "tie of '%s': factor %g and offset %g must be finite",
                          params->at[index].name, factor, offset);
    for (ptrdiff_t i = (ptrdiff_t)to; i >= 0; i = params->at[i].tie_to)
        if ((size_t)i == index)
            return bragg_fail(err, BRAGG_EINVAL, "tie of '%s' to '%s': closes a circle",
                              params->at[index].name, params->at[to].name);
    bragg_param *p = &params->at[index];
    p->tie_to = (ptrdiff_t)to;
    p->tie_factor = factor;
    p->tie_offset = offset;
    return BRAGG_OK;
}

/* Ties form a forest (bragg_params_tie refuses circles), so this ends. */
static double tied_value(const bragg_params *params, size_t i)
{
    const bragg_param *p = &params->at[i];
    return p->tie_to < 0 ? p->value : p->tie_offset + p->tie_factor * tied_value(params, (size_t)p->tie_to);
}

void bragg_params_apply_ties(bragg_params *params)
{
    for (size_t i = 0; i < params->n; i++)
        params->at[i].value = tied_value(params, i);
}

bragg_status bragg_params_copy(bragg_params *to, const bragg_params *from, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&to->at, &to->room, from->n, sizeof *to->at, err);
    if (st < 0)
        return st;
    if (from->n)
        memcpy(to->at, from->at, from->n * sizeof *to->at);
    to->n = from->n;
    return BRAGG_OK;
}

void bragg_params_free(bragg_params *params)
{
    free(params->at);
    *params = (bragg_params)BRAGG_PARAMS_INIT;
}
