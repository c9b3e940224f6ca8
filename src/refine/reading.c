/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all parts of an experiment file hold: numbers and paths. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>

bragg_status bragg_reading_number(const bragg_yaml *map, const char *key, double *value, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    return node ? bragg_yaml_number(node, value, err) : BRAGG_OK;
}

bragg_status bragg_reading_path(const loading *l, const bragg_yaml *node, const char **path, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st == BRAGG_OK && !(*path = bragg_path_beside(l->arena, l->file, text)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return st;
}
