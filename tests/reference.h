/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading GSAS-II's calculated patterns in $BRAGG_SHARED/reference/gsas2/sim: the
 * model from README, form factors, patterns. */
#ifndef TESTS_GSAS2_H
#define TESTS_GSAS2_H

#include "close.h"
#include <bragg/crystal.h>
#include <bragg/number.h>
#include <bragg/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool shared_file(char path[512], const char *name)
{
    const char *top = getenv("BRAGG_SHARED");
    snprintf(path, 512, "%s/%s", top ? top : "../shared", name);
    return access(path, R_OK) == 0;
}

static inline char *whole_file(const char *path)
{
    FILE *in = fopen(path, "r");
    ck_assert_msg(in != NULL, "%s", path);
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, in);
    text[n] = 0;
    fclose(in);
    return text;
}

/* The index-th number behind a key like "'fc':"; NAN without the key. */
static inline double number_after(const char *text, const char *key, int index)
{
    const char *at = strstr(text, key), *end;
    double v = NAN;
    if (!at)
        return NAN;
    at += strlen(key);
    for (int k = 0; k <= index; k++) {
        while (strchr(" [(,:'", *at) && *at)
            at++;
        ck_assert_msg(bragg_number_scan(at, &end, &v), "%s: %.30s", key, at);
        at = end;
    }
    return v;
}

/* The reference's own numbers: Cromer-Mann, f', f''. */
static inline void take_form_factors(const char *path, bragg_structure *s)
{
    char *text = whole_file(path);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        for (size_t k = 0; k < s->n_scatterers; k++) {
            bragg_scatterer *f = &s->scatterer[k];
            size_t n = strcspn(f->name, "0123456789+-");
            if (strncmp(line, f->name, n) || line[n] != ' ' || !strstr(line, "'fa'"))
                continue;
            for (int i = 0; i < 4; i++) {
                f->a[i] = number_after(line, "'fa'", i);
                f->b[i] = number_after(line, "'fb'", i);
            }
            f->a[4] = f->b[4] = 0;
            f->c = number_after(line, "'fc'", 0);
            f->f1 = number_after(line, ":FP'", 0);
            f->f2 = number_after(line, ":FPP'", 0);
        }
    free(text);
}

/* The structure a README describes. */
static inline bragg_structure *read_structure(const char *readme, const char *symbol)
{
    bragg_structure *s = bragg_structure_new(16, 16);
    bragg_error err = BRAGG_ERROR_INIT;
    static const char *const keys[6] = { "'length_a'", "'length_b'", "'length_c'", "'angle_alpha'", "'angle_beta'", "'angle_gamma'" };
    for (int k = 0; k < 6; k++)
        (&s->cell.a)[k] = number_after(readme, keys[k], 0) * (k < 3 ? 1 : BRAGG_DEG);
    ck_assert_int_eq(bragg_symmetry_from_symbol(symbol, &s->symmetry, &err), BRAGG_OK);
    s->n_atoms = s->n_scatterers = 0;
    s->name = s->formula = "reference";
    for (const char *at = strstr(readme, "atoms [") + 7; (at = strchr(at, '(')); at = strchr(strchr(at, ')') + 1, ')')) {
        char label[16] = "", species[16] = "";
        bragg_atom *a = &s->atom[s->n_atoms];
        if (sscanf(at, "('%15[^']', '%15[^']'", label, species) != 2)
            break;
        *a = (bragg_atom){ .label = bragg_arena_strdup(s->arena, label) };
        for (int k = 0; k < 3; k++)
            a->x[k] = number_after(strchr(at + 1, '('), "(", k);
        a->occupancy = number_after(strchr(at, ')'), "),", 0);
        a->uiso_ang2 = number_after(strchr(at, ')'), "),", 1);
        while (a->scatterer < s->n_scatterers && strcmp(s->scatterer[a->scatterer].name, species))
            a->scatterer++;
        if (a->scatterer == s->n_scatterers)
            ck_assert_int_eq(bragg_scatterer_find(species, &s->scatterer[s->n_scatterers++], NULL, &err), BRAGG_OK);
        s->n_atoms++;
    }
    ck_assert_msg(bragg_structure_check(s, &err) == BRAGG_OK, "%s", err.text);
    return s;
}

#endif
