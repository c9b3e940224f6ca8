/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One card from the bytes of its source, whatever the format. */
#include "config.h"
#include "reading.h"

#include <bragg/path.h>
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
