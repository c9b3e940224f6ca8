/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all parts of an experiment file hold: paths, and the names of backgrounds. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>

const char *const bragg_reading_backgrounds[N_BACKGROUNDS] = { "chebyshev", "linear", "cosine", "log" };

bragg_status bragg_reading_path(const loading *l, const bragg_yaml *node, const char **path, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    if (st == BRAGG_OK && !(*path = bragg_path_beside(l->arena, l->file, text)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return st;
}
