/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a command reads as its options ask for it: frames, masks, patterns. */
#include "config.h"
#include "cli.h"

#include <string.h>
#include <strings.h>

bragg_status cli_flip_check(const char *flip, bragg_error *err)
{
    bool vertical, horizontal;
    return bragg_flip_parse(flip, &vertical, &horizontal) ? BRAGG_OK
        : bragg_fail(err, BRAGG_EINVAL, "--flip: expected vertical, horizontal or both, found '%s'", flip);
}

bragg_status cli_frame_read(const char *path, size_t index, const char *flip, const char *raw, bragg_frame **f, bragg_error *err)
{
    bragg_status st = cli_flip_check(flip, err);
    return st < 0 ? st : bragg_frame_read_as(path, index, flip, raw, f, err);
}

/* What of several commands would take a file that is no pattern; NULL: none we know. */
static const char *taken_by(const char *path)
{
    static const struct { const char *extension, *hint; } others[] = {
        { ".yaml", "an experiment is for bragg refine, operando or pdf fit" },
        { ".yml", "an experiment is for bragg refine, operando or pdf fit" },
        { ".poni", "a geometry goes behind bragg integrate --poni" },
        { ".xlsx", "a workbook has to be exported as text" },
        { ".xls", "a workbook has to be exported as text" },
        { ".gr", "a G(r) is for bragg pdf fit and bragg plot" },
        { ".cif", "a structure is a card: bragg cards, or card: in an experiment" },
    };
    size_t frames;
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (!strcasecmp(bragg_path_extension(path), others[k].extension))
            return others[k].hint;
    return bragg_frame_count(path, &frames, NULL) == BRAGG_OK ? "it is a frame, of which bragg integrate makes a pattern" : NULL;
}

static bragg_status say_what_it_is(const char *path, bragg_status st, const bragg_error *why, bragg_error *err)
{
    const char *hint = st == BRAGG_EDATA || st == BRAGG_ENOSUPPORT ? taken_by(path) : NULL;
    return st < 0 ? bragg_fail(err, st, "%.900s%s%s", why->text, hint ? "; " : "", hint ? hint : "") : st;
}

bragg_status cli_pattern_read(const char *path, size_t index, bragg_pattern **out, bragg_error *err)
{
    bragg_error why = BRAGG_ERROR_INIT;
    bragg_status st = bragg_pattern_read(path, index, out, &why);
    return say_what_it_is(path, st, &why, err);
}

bragg_status cli_pattern_read_all(const char *path, bragg_pattern ***out, size_t *n, bragg_error *err)
{
    bragg_error why = BRAGG_ERROR_INIT;
    bragg_status st = bragg_pattern_read_all(path, out, n, &why);
    return say_what_it_is(path, st, &why, err);
}

void cli_trim(const char *path, bragg_pattern *p)
{
    size_t n = bragg_pattern_trim(p);
    if (n)
        fprintf(stderr, "%s: %zu points of intensity 0 at the ends were not measured and are left out\n", path, n);
}

bragg_status cli_card_read(const char *path, bragg_structure **out, bragg_error *err)
{
    char notes[4096] = "", *rest = notes, *line;
    bragg_status st = bragg_structure_read_cif(path, NULL, out, notes, sizeof notes, err);
    while (st == BRAGG_OK && (line = strsep(&rest, "\n")))
        if (*line)
            fprintf(stderr, "%s: %s\n", path, line);
    return st;
}

void cli_tell_card(const char *path)
{
    bragg_structure *s = NULL;
    if (path && cli_card_read(path, &s, NULL) == BRAGG_OK)
        bragg_structure_free(s);
}

void cli_tell_cards(const bragg_experiment *x)
{
    for (size_t k = 0; k < x->n_phases; k++)
        cli_tell_card(x->phase[k].path);
}
