/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg sources: the papers and tables the results rest on. */
#include "config.h"
#include "cli.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* "subject<tab>authors<tab>journal<tab>place", cut in place; false for a comment. */
static bool cut(char *line, char *field[4])
{
    line[strcspn(line, "\n")] = 0;
    if (*line == '#' || !*line)
        return false;
    for (int k = 0; k < 4; k++) {
        field[k] = line ? line : "";
        line = line ? strchr(line, '\t') : NULL;
        if (line)
            *line++ = 0;
    }
    return true;
}

static bool asked_for(char *const field[4], char *const *words, int n)
{
    for (int k = 0; k < n; k++) {
        bool found = false;
        for (int i = 0; i < 4 && !found; i++)
            found = strcasestr(field[i], words[k]);
        if (!found)
            return false;
    }
    return true;
}

static bragg_status print_sources(char *const *words, int n, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    const char *path = arena ? bragg_data_path(arena, "doc/sources.tsv") : NULL;
    FILE *from = path ? fopen(path, "r") : NULL;
    char line[1000], *field[4];
    size_t printed = 0;
    bragg_status st = BRAGG_OK;
    if (!path)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    else if (!from)
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    while (st == BRAGG_OK && fgets(line, sizeof line, from))
        if (cut(line, field) && asked_for(field, words, n)) {
            printf("%s: %s, %s %s\n", field[0], field[1], field[2], field[3]);
            printed++;
        }
    if (st == BRAGG_OK && !printed)
        st = bragg_fail(err, BRAGG_EDATA, "no source has '%s'%s; bragg sources lists all", words[0], n > 1 ? " and the other words" : "");
    if (from)
        fclose(from);
    bragg_arena_free(arena);
    return st;
}

static bragg_status work(void *wish, int operands, char **argv, bragg_error *err)
{
    return print_sources(argv, operands, err);
    (void)wish;
}

static int run(int argc, char **argv) { return cli_run(&cli_sources, NULL, 0, argc, argv, work, NULL); }

const cli_command cli_sources = { "sources", "[WORD…]", "papers and tables the results rest on", run };
