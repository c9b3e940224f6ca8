/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file's `log:` section. */
#include "config.h"
#include "private.h"

#include <string.h>
#include <strings.h>

static bragg_status read_order(const bragg_yaml *node, bragg_date_order *order, bragg_error *err)
{
    static const char *const names[] = { "auto", "mdy", "dmy", "ymd" };
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st < 0)
        return st;
    for (int i = 0; i < 4; i++)
        if (!strcasecmp(text, names[i])) {
            *order = (bragg_date_order)i;
            return BRAGG_OK;
        }
    return bragg_yaml_fail(node, err, "date_order: expected auto, mdy, dmy or ymd, found '%s'", text);
}

/* "Ecell/mV", or {column: Ecell, unit: mV}. */
static bragg_status read_map(const bragg_yaml *node, bragg_log_map *map, bragg_error *err)
{
    static const char *const known[] = { "column", "unit" };
    const bragg_yaml *column = node, *unit = NULL;
    double factor, offset;
    *map = (bragg_log_map){ 0 };
    if (!bragg_channel_parse(node->key, &map->channel))
        return bragg_yaml_fail(node, err, "columns: expected a channel such as time, voltage, current or temperature, found '%s'",
                               node->key);
    if (node->kind == BRAGG_YAML_MAP) {
        bragg_status st = bragg_yaml_check_keys(node, known, 2, err);
        if (st < 0)
            return st;
        column = bragg_yaml_get(node, "column");
        unit = bragg_yaml_get(node, "unit");
        if (!column)
            return bragg_yaml_fail(node, err, "%s: expected the key 'column'", node->key);
    }
    bragg_status st = bragg_yaml_text(column, &map->column, err);
    if (st == BRAGG_OK && unit)
        st = bragg_yaml_text(unit, &map->unit, err);
    if (st == BRAGG_OK && unit && !bragg_unit_find(map->unit, map->channel, &factor, &offset))
        return bragg_yaml_fail(unit, err, "expected a unit of %s, found '%s'", node->key, map->unit);
    return st;
}

static bragg_status read_maps(const bragg_yaml *node, bragg_arena *arena, bragg_log_options *o, bragg_error *err)
{
    if (node->kind != BRAGG_YAML_MAP)
        return bragg_yaml_fail(node, err, "columns: expected a map such as {voltage: Ecell/mV}");
    bragg_log_map *map = bragg_arena_alloc(arena, node->n_children + 1, sizeof *map);
    if (!map)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a column map");
    o->map = map;
    for (const bragg_yaml *c = node->child; c; c = c->next) {
        bragg_status st = read_map(c, &map[o->n_map++], err);
        if (st < 0)
            return st;
    }
    return BRAGG_OK;
}

bragg_status bragg_log_options_yaml(const bragg_yaml *log, bragg_arena *arena, bragg_log_options *o, bragg_error *err)
{
    static const char *const known[] = { "file", "format", "mass_mg", "molar_mass", "date_order", "utc_offset_h", "columns", "frames",
                                         "clock", "temperature_key" };
    const bragg_yaml *node;
    double v;
    *o = (bragg_log_options)BRAGG_LOG_OPTIONS_INIT;
    bragg_status st = log ? bragg_yaml_check_keys(log, known, sizeof known / sizeof *known, err) : BRAGG_OK;
    if (st == BRAGG_OK && (node = bragg_yaml_get(log, "format")))
        st = bragg_yaml_text(node, &o->format, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(log, "mass_mg")) && (st = bragg_yaml_number(node, &v, err)) == BRAGG_OK) {
        if (!(v > 0))
            return bragg_yaml_fail(node, err, "mass_mg: must be positive, got %g", v);
        o->mass_kg = v * 1e-6;
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(log, "utc_offset_h")) && (st = bragg_yaml_number(node, &v, err)) == BRAGG_OK) {
        if (!(fabs(v) <= 14))
            return bragg_yaml_fail(node, err, "utc_offset_h: expected -14 to 14, got %g", v);
        o->utc_offset_s = v * 3600;
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(log, "date_order")))
        st = read_order(node, &o->date_order, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(log, "columns")))
        st = read_maps(node, arena, o, err);
    return st;
}
