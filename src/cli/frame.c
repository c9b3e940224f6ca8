/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames and masks as the options of a command ask for them. */
#include "config.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

bragg_status cli_frame_read(const char *path, size_t index, const char *flip, bragg_frame **f, bragg_error *err)
{
    bool both = flip && !strcmp(flip, "both");
    bool vertical = both || (flip && !strcmp(flip, "vertical")), horizontal = both || (flip && !strcmp(flip, "horizontal"));
    if (flip && !vertical && !horizontal)
        return bragg_fail(err, BRAGG_EINVAL, "--flip: expected vertical, horizontal or both, found '%s'", flip);
    bragg_status st = bragg_frame_read(path, index, f, err);
    if (st >= 0)
        bragg_frame_flip(*f, vertical, horizontal);
    return st;
}

bragg_status cli_mask_read(const char *path, const char *flip, const bragg_frame *f, uint8_t **mask, bragg_error *err)
{
    bragg_frame *m = NULL;
    bragg_status st = BRAGG_OK;
    *mask = calloc(f->width * f->height, 1);
    if (!*mask)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a mask");
    bragg_frame_mark_invalid(f, *mask);
    if (path) {
        st = cli_frame_read(path, 0, flip, &m, err);
        if (st == BRAGG_OK)
            st = bragg_frame_add_mask(m, f->width, f->height, *mask, err);
        bragg_frame_free(m);
    }
    return st;
}
