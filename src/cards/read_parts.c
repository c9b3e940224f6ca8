/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the readers of cards share: texts that are kept, lines, cells. */
#include "config.h"
#include "reading.h"

#include <bragg/units.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *bragg_cards_keep(bragg_card *c, const char *text, size_t n)
{
    while (n && isspace((unsigned char)*text))
        text++, n--;
    while (n && isspace((unsigned char)text[n - 1]))
        n--;
    const char *copy = bragg_arena_strndup(c->arena, text, n);
    return copy ? copy : "";
}

bragg_status bragg_cards_add_line(bragg_card *c, size_t *room, bragg_card_line line, bragg_error *err)
{
    if (c->n_lines == *room) { /* the arena keeps the old ones: twice the room at most */
        size_t more = *room ? 2 * *room : 64;
        bragg_card_line *at = bragg_arena_alloc(c->arena, more, sizeof *at);
        if (!at)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", more);
        if (c->n_lines)
            memcpy(at, c->line, c->n_lines * sizeof *at);
        c->line = at;
        *room = more;
    }
    c->line[c->n_lines++] = line;
    return BRAGG_OK;
}

/* Intensities of a list were measured with the wavelength it names: from there to
 * copper's. */
void bragg_cards_rescale(bragg_card *c, double wavelength_ang)
{
    for (size_t k = 0; wavelength_ang > 0 && k < c->n_lines; k++) {
        double from = bragg_lorentz_polarization(c->line[k].d_ang, wavelength_ang, 0.5), to = bragg_lorentz_polarization(c->line[k].d_ang, CARDS_CU_ALPHA1, 0.5);
        if (from > 0 && to > 0)
            c->line[k].intensity *= to / from;
    }
}

bool bragg_cards_set_cell(bragg_card *c, const double v[6])
{
    bragg_cell cell = { v[0], v[1], v[2], v[3] * BRAGG_DEG, v[4] * BRAGG_DEG, v[5] * BRAGG_DEG };
    if (bragg_cell_check(&cell, NULL) < 0)
        return false;
    c->cell = cell;
    return true;
}

/* Right angles and equal edges that a source leaves out; of rhombohedral axes the one angle
 * is all three. */
void bragg_cards_complete_cell(bragg_card *c, double v[6], const char *system)
{
    bool one_angle = !strncasecmp(system, "rho", 3) && !(v[2] > 0) && v[3] > 0;
    v[4] = one_angle ? v[3] : v[4];
    v[5] = one_angle ? v[3] : v[5];
    v[1] = v[1] > 0 ? v[1] : v[0];
    v[2] = v[2] > 0 ? v[2] : v[0];
    for (int k = 3; k < 6; k++)
        v[k] = v[k] > 0 ? v[k] : 90;
    if (!one_angle && strchr("HTRhtr", *system) && *system && strncasecmp(system, "tet", 3) && strncasecmp(system, "tri", 3))
        v[5] = 120;
    if (!strncasecmp(system, "trig", 4))
        v[5] = 120;
    if (v[0] > 0)
        bragg_cards_set_cell(c, v);
}
