/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all parts of an experiment file hold: paths, and the names of backgrounds. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>
#include <math.h>

const char *const bragg_reading_backgrounds[N_BACKGROUNDS] = { "chebyshev", "linear", "cosine", "log" };

bragg_status bragg_reading_path(const loading *l, const bragg_yaml *node, const char **path, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st == BRAGG_OK && !(*path = bragg_path_beside(l->arena, l->file, text)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return st;
}

bragg_status bragg_reading_distance(const bragg_yaml *map, double *radius_m, bool *flat, bragg_error *err)
{
    const bragg_yaml *radius = bragg_yaml_get(map, "radius_mm"), *distance = bragg_yaml_get(map, "distance_mm"), *node = distance ? distance : radius;
    double mm = NAN;
    if (!node)
        return BRAGG_OK;
    if (radius && distance)
        return bragg_yaml_fail(distance, err, "distance_mm: expected it, for a flat detector, or radius_mm, found both");
    bragg_status st = bragg_yaml_number(node, &mm, err);
    if (st == BRAGG_OK && !(mm > 0))
        return bragg_yaml_fail(node, err, "%s: expected more than 0 mm, found %g", distance ? "distance_mm" : "radius_mm", mm);
    *radius_m = mm / 1000;
    *flat = distance != NULL;
    return st;
}
