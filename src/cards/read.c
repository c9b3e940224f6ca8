/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One card from the bytes of its source, whatever the format. */
#include "config.h"
#include "read.h"

#include <bragg/path.h>
#include <bragg/units.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bragg_card *new_card(const cards_source *from)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_card *c = arena ? bragg_arena_alloc(arena, 1, sizeof *c) : NULL;
    if (!c) {
        bragg_arena_free(arena);
        return NULL;
    }
    const char *file = *from->member ? from->member : from->path;
    const char *stem = bragg_path_stem(arena, file);
    if (stem && strlen(stem) > 4 && !strcasecmp(stem + strlen(stem) - 4, ".cif")) /* .cif.gz */
        stem = bragg_arena_strndup(arena, stem, strlen(stem) - 4);
    *c = (bragg_card){ .arena = arena, .name = stem, .formula = "", .space_group = "", .reference = "", .note = "",
                       .source = "", .hash = "", .pdf = "", .cod = "", .icsd = "", .cell.a = NAN, .density = NAN, .rir = NAN };
    if (c->name)
        return c;
    bragg_arena_free(arena);
    return NULL;
}

/* ------------------------------------------------- what formats share */

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

/* -------------------------------------------------------------------- all */

static bool named(const cards_source *from, const char *suffix)
{
    const char *name = *from->member ? from->member : from->path;
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcasecmp(name + n - m, suffix);
}

static bragg_status read_kind(const cards_source *from, bragg_card *c, unsigned char **structure, size_t *size, bragg_error *err)
{
    bragg_status st;
    if (bragg_cards_is_pdf2((const char *)from->bytes))
        st = bragg_cards_read_pdf2(from, c, err);
    else if (bragg_cards_is_text((const char *)from->bytes))
        st = bragg_cards_read_text(from, c, err);
    else if (named(from, ".jcpds"))
        st = bragg_cards_read_jcpds(from, c, err);
    else if (named(from, ".xml"))
        st = bragg_cards_read_pdf4(from, c, err);
    else if (named(from, ".cif") || named(from, ".cif.gz") || named(from, ".mcif") || strcasestr((const char *)from->bytes, "_cell_length_a"))
        return bragg_cards_read_cif(from, c, structure, size, err);
    else
        st = bragg_cards_read_list(from, c, err);
    return st == BRAGG_OK ? bragg_cards_finish_list(c, err) : st;
}

bragg_status bragg_cards_read(const cards_source *from, bragg_card **out, unsigned char **structure, size_t *size, bragg_error *err)
{
    bragg_card *c = new_card(from);
    *out = NULL;
    *structure = NULL;
    *size = 0;
    bragg_status st = c ? read_kind(from, c, structure, size, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    if (st == BRAGG_OK && strlen(c->name) == 0)
        c->name = "card";
    if (st < 0) {
        free(*structure);
        *structure = NULL;
        bragg_card_free(c);
        return st;
    }
    *out = c;
    return BRAGG_OK;
}

void bragg_card_free(bragg_card *c)
{
    if (c)
        bragg_arena_free(c->arena);
}
