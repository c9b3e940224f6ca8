/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The colours of lines and texts. */
#include "config.h"
#include "figure.h"

const bragg_fig_rgb bragg_fig_black = { 0, 0, 0 }, bragg_fig_grey = { 0.45, 0.45, 0.45 },
                    bragg_fig_light = { 0.85, 0.85, 0.85 };

/* Colours that colour-blind readers tell apart: Okabe & Ito, "Color Universal
 * Design" (2008), jfly.uni-koeln.de/color; darkest first, yellow left to the end. */
bragg_fig_rgb bragg_fig_okabe_ito(size_t k)
{
    static const unsigned char rgb[][3] = {
        { 0, 114, 178 }, { 213, 94, 0 }, { 0, 158, 115 }, { 204, 121, 167 },
        { 230, 159, 0 }, { 86, 180, 233 }, { 0, 0, 0 }, { 240, 228, 66 },
    };
    const unsigned char *c = rgb[k % 8];
    return (bragg_fig_rgb){ c[0] / 255.0, c[1] / 255.0, c[2] / 255.0 };
}

void bragg_fig_colour(bragg_fig *fig, bragg_fig_rgb c)
{
    cairo_set_source_rgb(fig->cr, c.r, c.g, c.b);
}
