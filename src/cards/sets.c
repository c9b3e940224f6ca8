/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Named sets: what a chemistry may show, in YAML.
 *
 *   name: bisnsb-k
 *   title: BiSnSb in potassium cells
 *   source: where the list comes from
 *   members:
 *     - {card: K3Bi_hex, pdf: 04-004-7809, window: 0.0-0.4 V, note: …, source: …}
 *   cards:
 *     - name: KBiSnSb
 *       formula: KBiSnSb
 *       like: KBi2          (the lines of that bundled structure …)
 *       scale: 1.004        (… with a cell so much larger)
 *       lines: [[d, I, h, k, l], …]   (or lines of their own)
 */
#include "config.h"
#include "private.h"

#include <bragg/number.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const bragg_yaml *map, const char *key)
{
    const char *text = NULL;
    const bragg_yaml *node = bragg_yaml_get(map, key);
    return node && bragg_yaml_text(node, &text, NULL) == BRAGG_OK && text ? text : "";
}

static bragg_status read_member(const bragg_yaml *node, const bragg_yaml *root, bragg_cards_member *m, bragg_error *err)
{
    static const char *const keys[] = { "card", "pdf", "window", "note", "source" };
    bragg_status st = bragg_yaml_check_keys(node, keys, 5, err);
    *m = (bragg_cards_member){ text_of(root, "name"), text_of(root, "title"), text_of(node, "card"), text_of(node, "pdf"), text_of(node, "window"),
                               text_of(node, "note"), *text_of(node, "source") ? text_of(node, "source") : text_of(root, "source") };
    return st == BRAGG_OK && !*m->card ? bragg_yaml_fail(node, err, "expected a member with the name of its card") : st;
}

/* Lines of a bundled structure whose cell is scaled: a card where only relatives have
 * a structure. */
static bragg_status lines_like(const bragg_yaml *node, bragg_card *c, bragg_error *err)
{
    double scale = 1;
    char name[200];
    bragg_structure *s;
    bragg_status st = bragg_yaml_get(node, "scale") ? bragg_yaml_number(bragg_yaml_get(node, "scale"), &scale, err) : BRAGG_OK;
    if (st == BRAGG_OK && !(scale > 0.5 && scale < 2))
        st = bragg_yaml_fail(node, err, "scale: expected 0.5 to 2, found %g", scale);
    snprintf(name, sizeof name, "cif/%.150s.cif", text_of(node, "like"));
    char *beside = bragg_path_beside(c->arena, node->file, "../cif/x");
    char *path = beside ? bragg_path_beside(c->arena, beside, name + 4) : NULL;
    if (path && !bragg_path_exists(path))
        path = bragg_data_path(c->arena, name);
    if (st == BRAGG_OK)
        st = path ? bragg_structure_read_cif(path, NULL, &s, NULL, 0, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st < 0)
        return st;
    for (int k = 0; k < 3; k++)
        (&s->cell.a)[k] *= scale;
    c->cell = s->cell;
    c->group_number = s->symmetry.number;
    c->space_group = bragg_arena_strdup(c->arena, s->symmetry.hm);
    st = c->space_group ? bragg_cards_lines_of(s, c, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    c->density = c->rir = NAN; /* another composition */
    c->flags |= BRAGG_CARD_ESTIMATED;
    bragg_structure_free(s);
    return st;
}

static bragg_status own_lines(const bragg_yaml *list, bragg_card *c, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    c->line = bragg_arena_alloc(c->arena, list->n_children + 1, sizeof *c->line);
    if (!c->line)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", list->n_children);
    for (const bragg_yaml *row = list->child; row && st == BRAGG_OK; row = row->next) {
        double v[5] = { 0 };
        size_t n = row->n_children == 2 ? 2 : 5;
        st = bragg_yaml_numbers(row, v, n, err);
        c->line[c->n_lines++] = (bragg_card_line){ bragg_number_miller(v[2]), bragg_number_miller(v[3]), bragg_number_miller(v[4]), v[0], v[1] };
    }
    return st;
}

static bragg_status read_card(const bragg_yaml *node, const cards_source *from, bragg_card **out, bragg_error *err)
{
    static const char *const keys[] = { "name", "formula", "pdf", "reference", "note", "like", "scale", "lines", "rir" };
    bragg_arena *arena = bragg_arena_new();
    bragg_card *c = arena ? bragg_arena_alloc(arena, 1, sizeof *c) : NULL;
    if (!c) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    }
    bragg_status st = bragg_yaml_check_keys(node, keys, 9, err);
    *c = (bragg_card){ .arena = arena, .name = bragg_arena_strdup(arena, text_of(node, "name")), .formula = bragg_arena_strdup(arena, text_of(node, "formula")),
                       .pdf = bragg_arena_strdup(arena, text_of(node, "pdf")), .reference = bragg_arena_strdup(arena, text_of(node, "reference")),
                       .note = bragg_arena_strdup(arena, text_of(node, "note")), .space_group = "", .cod = "", .icsd = "", .cell.a = NAN, .density = NAN, .rir = NAN };
    if (st == BRAGG_OK && (!c->name || !c->formula || !c->pdf || !c->reference || !c->note))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    if (st == BRAGG_OK && (!*c->name || !*c->formula))
        st = bragg_yaml_fail(node, err, "expected a card with name and formula");
    if (st == BRAGG_OK && bragg_yaml_get(node, "like")) {
        st = lines_like(node, c, err);
        if (st == BRAGG_OK)
            bragg_cards_formula_elements(c);
    } else if (st == BRAGG_OK && bragg_yaml_get(node, "lines")) {
        st = own_lines(bragg_yaml_get(node, "lines"), c, err);
        if (st == BRAGG_OK)
            st = bragg_cards_finish_list(c, err);
    } else if (st == BRAGG_OK) {
        st = bragg_yaml_fail(node, err, "card '%s': expected lines, or like: a bundled structure", c->name);
    }
    if (st == BRAGG_OK && bragg_yaml_get(node, "rir"))
        st = bragg_yaml_number(bragg_yaml_get(node, "rir"), &c->rir, err);
    *out = c; /* the set frees it, failed or not */
    return st;
    (void)from;
}

static bragg_status fill(const cards_source *from, const bragg_yaml *root, cards_named_set *s, bragg_error *err)
{
    static const char *const keys[] = { "name", "title", "source", "members", "cards" };
    const bragg_yaml *members = bragg_yaml_get(root, "members"), *cards = bragg_yaml_get(root, "cards");
    bragg_status st = root->kind == BRAGG_YAML_MAP ? bragg_yaml_check_keys(root, keys, 5, err) : bragg_yaml_fail(root, err, "expected a named set");
    if (st == BRAGG_OK && !*text_of(root, "name"))
        st = bragg_yaml_fail(root, err, "expected a set with a name");
    if (st < 0)
        return st;
    s->member = bragg_arena_alloc(s->arena, (members ? members->n_children : 0) + 1, sizeof *s->member);
    s->card = bragg_arena_alloc(s->arena, (cards ? cards->n_children : 0) + 1, sizeof *s->card);
    if (!s->member || !s->card)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a set");
    for (const bragg_yaml *k = members ? members->child : NULL; k && st == BRAGG_OK; k = k->next)
        st = read_member(k, root, &s->member[s->n_members++], err);
    for (const bragg_yaml *k = cards ? cards->child : NULL; k && st == BRAGG_OK; k = k->next) {
        st = read_card(k, from, &s->card[s->n_cards], err);
        s->n_cards += s->card[s->n_cards] != NULL;
    }
    return st;
}

bragg_status bragg_cards_read_set(const cards_source *from, cards_named_set **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    cards_named_set *s = arena ? bragg_arena_alloc(arena, 1, sizeof *s) : NULL;
    const bragg_yaml *root;
    *out = NULL;
    if (!s) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a set");
    }
    s->arena = arena;
    *out = s;
    bragg_status st = bragg_yaml_parse((const char *)from->bytes, from->size, *from->member ? from->member : from->path, arena, &root, err);
    return st == BRAGG_OK ? fill(from, root, s, err) : st;
}
