/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which set of cards: the one named, the installed one, or what it is made of. */
#include "config.h"
#include "private.h"

#include <bragg/path.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_set_file(const char *path)
{
    char head[16] = "";
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(head, 1, sizeof head, in) : 0;
    if (in)
        fclose(in);
    return n == sizeof head && !memcmp(head, "SQLite format 3", 16);
}

static bragg_status build_in_memory(const char *const *paths, size_t n, const bragg_observer *observer, bragg_cards **out, bragg_error *err)
{
    bragg_cards_report report;
    bragg_status st = bragg_cards_create(NULL, out, err);
    if (st == BRAGG_OK)
        st = bragg_cards_build(*out, paths, n, observer, &report, err);
    if (st >= 0 && !report.added)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected cards, found none that can be read%s", paths[0], report.skipped ? "; bragg cards build tells why" : "");
    if (st < 0) {
        bragg_cards_free(*out);
        *out = NULL;
    }
    return st;
}

bragg_status bragg_cards_find_set(const char *path, const bragg_observer *observer, bragg_cards **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    const char *list[2] = { path && *path ? path : getenv("BRAGG_CARDS"), NULL };
    size_t n = 1;
    *out = NULL;
    if (arena && (!list[0] || !*list[0])) {
        list[0] = bragg_data_path(arena, "cards.db");
        if (list[0] && !bragg_path_exists(list[0])) { /* what the installed set is made of */
            list[0] = bragg_data_path(arena, "cif");
            list[1] = bragg_data_path(arena, "phases");
            n += list[1] && bragg_path_exists(list[1]);
        }
    }
    bragg_status st = !arena || !list[0] ? bragg_fail(err, BRAGG_ENOMEM, "no room for a path")
                      : is_set_file(list[0]) ? bragg_cards_open(list[0], out, err) : build_in_memory(list, n, observer, out, err);
    bragg_arena_free(arena);
    return st;
}
