/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pixel as a number. */
#include "config.h"
#include "tiles.h"

#include <stdint.h>

double bragg_plan_value(const bragg_frame *f, size_t pixel)
{
    double y;
    bragg_frame_doubles(f, pixel, 1, &y);
    if (f->type >= BRAGG_F32)
        return isfinite(y) ? y : NAN;
    bool marker = (f->type == BRAGG_U16 && y == UINT16_MAX) || (f->type == BRAGG_U32 && y == UINT32_MAX) ||
                  (f->type == BRAGG_U64 && ((const uint64_t *)f->data)[pixel] == UINT64_MAX);
    return y < 0 || marker ? NAN : y;
}
