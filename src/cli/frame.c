/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames and masks as the options of a command ask for them. */
#include "config.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

bragg_status cli_flip_check(const char *flip, bragg_error *err)
{
    return !flip || !strcmp(flip, "both") || !strcmp(flip, "vertical") || !strcmp(flip, "horizontal") ? BRAGG_OK
        : bragg_fail(err, BRAGG_EINVAL, "--flip: expected vertical, horizontal or both, found '%s'", flip);
}

bragg_status cli_frame_read(const char *path, size_t index, const char *flip, bragg_frame **f, bragg_error *err)
{
    bool both = flip && !strcmp(flip, "both");
    bragg_status st = cli_flip_check(flip, err);
    if (st >= 0)
        st = bragg_frame_read(path, index, f, err);
    if (st >= 0)
        bragg_frame_flip(*f, both || (flip && *flip == 'v'), both || (flip && *flip == 'h'));
    return st;
}

bragg_status cli_mask_read(const char *path, const char *flip, const bragg_geometry *g, const bragg_frame *f, uint8_t **mask, bragg_error *err)
{
    bragg_frame *m = NULL;
    bragg_status st = BRAGG_OK;
    const char *extension = path ? bragg_path_extension(path) : "";
    *mask = calloc(f->width * f->height, 1);
    if (!*mask)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a mask");
    bragg_frame_mark_invalid(f, *mask);
    if (!strcmp(extension, ".yaml") || !strcmp(extension, ".yml")) {
        st = bragg_mask_read_yaml(path, g, f, f->height, f->width, *mask, err);
    } else if (path) {
        st = cli_frame_read(path, 0, flip, &m, err);
        if (st == BRAGG_OK)
            st = bragg_frame_add_mask(m, f->width, f->height, *mask, err);
        bragg_frame_free(m);
    }
    return st;
}
