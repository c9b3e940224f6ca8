/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values, bounds and ties that an experiment file gives to rows of a table. */
#include "config.h"
#include <bragg/param.h>
#include <bragg/yaml.h>

#include <math.h>

static bragg_status find_row(const bragg_params *t, const bragg_yaml *node, const char *section, const char *command, size_t *row, bragg_error *err)
{
    ptrdiff_t found = node->key ? bragg_params_find(t, node->key) : -1;
    *row = 0;
    if (found < 0)
        return bragg_yaml_fail(node, err, "%s: '%s' is no parameter (%s --parameters lists them)", section, node->key ? node->key : "", command);
    *row = (size_t)found;
    return BRAGG_OK;
}

static bragg_status check_map(const bragg_yaml *map, const char *section, const char *of, bragg_error *err)
{
    return map && map->kind != BRAGG_YAML_MAP ? bragg_yaml_fail(map, err, "%s: expected a map of parameters and %s", section, of) : BRAGG_OK;
}

bragg_status bragg_params_read_values(bragg_params *t, const bragg_yaml *map, bool untie, const char *command, bragg_error *err)
{
    bragg_status st = check_map(map, "values", "numbers", err);
    for (const bragg_yaml *c = map ? map->child : NULL; c && st == BRAGG_OK; c = c->next) {
        size_t row;
        double value;
        if ((st = find_row(t, c, "values", command, &row, err)) < 0 || (st = bragg_yaml_number(c, &value, err)) < 0)
            break;
        bragg_param *at = &t->at[row];
        if (!untie && at->tie_to >= 0)
            return bragg_yaml_fail(c, err, "values: '%s' follows '%s' already; set that one", c->key, t->at[at->tie_to].name);
        if (!(value >= at->lower && value <= at->upper))
            return bragg_yaml_fail(c, err, "%s: expected %g to %g, found %g", c->key, at->lower, at->upper, value);
        at->value = value;
        at->tie_to = -1;
    }
    if (st == BRAGG_OK && !untie)
        bragg_params_apply_ties(t);
    return st;
}

bragg_status bragg_params_read_bounds(bragg_params *t, const bragg_yaml *map, const char *command, bragg_error *err)
{
    bragg_status st = check_map(map, "bounds", "pairs [lowest, highest]", err);
    for (const bragg_yaml *c = map ? map->child : NULL; c && st == BRAGG_OK; c = c->next) {
        size_t row;
        double pair[2];
        if ((st = find_row(t, c, "bounds", command, &row, err)) < 0 || (st = bragg_yaml_numbers(c, pair, 2, err)) < 0)
            break;
        if (!(pair[0] <= pair[1]))
            return bragg_yaml_fail(c, err, "%s: expected bounds that rise, found %g and %g", c->key, pair[0], pair[1]);
        t->at[row].lower = pair[0];
        t->at[row].upper = pair[1];
        t->at[row].value = fmin(fmax(t->at[row].value, pair[0]), pair[1]);
    }
    return st;
}

bragg_status bragg_params_read_ties(bragg_params *t, const bragg_yaml *map, const char *command, bragg_error *err)
{
    bragg_status st = check_map(map, "ties", "what they equal", err);
    for (const bragg_yaml *c = map ? map->child : NULL; c && st == BRAGG_OK; c = c->next) {
        size_t row;
        const char *text;
        bragg_error cause = BRAGG_ERROR_INIT;
        if ((st = find_row(t, c, "ties", command, &row, err)) < 0 || (st = bragg_yaml_text(c, &text, err)) < 0)
            break;
        if (bragg_params_tie_text(t, row, text, &cause) < 0)
            return bragg_yaml_fail(c, err, "%s", cause.text);
    }
    return st;
}
