/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A YAML tree as text again, and with what another tree adds to it. */
#include "config.h"
#include <bragg/yaml.h>

#include <bragg/path.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bragg_yaml *bragg_yaml_copy(bragg_arena *arena, const bragg_yaml *from)
{
    bragg_yaml *to = bragg_arena_alloc(arena, 1, sizeof *to), **last;
    if (!to)
        return NULL;
    *to = *from;
    to->next = to->child = NULL;
    last = &to->child;
    for (const bragg_yaml *c = from->child; c; c = c->next) {
        if (!(*last = bragg_yaml_copy(arena, c)))
            return NULL;
        last = &(*last)->next;
    }
    return to;
}

bool bragg_yaml_add_missing(bragg_arena *arena, bragg_yaml *to, const bragg_yaml *from)
{
    if (to->kind != BRAGG_YAML_MAP || from->kind != BRAGG_YAML_MAP)
        return true;
    for (const bragg_yaml *c = from->child; c; c = c->next) {
        bragg_yaml **last = &to->child;
        while (*last && strcmp((*last)->key, c->key))
            last = &(*last)->next;
        if (*last && !bragg_yaml_add_missing(arena, *last, c))
            return false;
        if (*last)
            continue;
        if (!(*last = bragg_yaml_copy(arena, c)))
            return false;
        to->n_children++;
    }
    return true;
}

bool bragg_yaml_make_absolute(bragg_arena *arena, bragg_yaml *node)
{
    if (!node || node->is_null)
        return true;
    for (bragg_yaml *c = node->child; c; c = c->next)
        if (!bragg_yaml_make_absolute(arena, c))
            return false;
    if (node->kind != BRAGG_YAML_SCALAR || !*node->text)
        return true;
    char *beside = bragg_path_beside(arena, node->file, node->text), *here = *node->file == '/' ? NULL : realpath(".", NULL);
    node->text = !beside ? NULL : *beside == '/' ? beside : here ? bragg_path_join(arena, here, beside) : beside;
    free(here);
    return node->text != NULL;
}

/* ---------------------------------------------------------------- writing */

/* Whether the text stands for itself without quotes, inside of brackets, too. */
static bool is_plain(const char *text)
{
    if (!*text || !strcasecmp(text, "null") || (strchr("-?:,[]{}#&*!|>'\"%@`~ ", *text) && !(*text == '-' && isdigit((unsigned char)text[1]))))
        return false;
    for (const char *c = text; *c; c++)
        if (strchr(",[]{}\"'\\", *c) || (unsigned char)*c < ' ' || (*c == ':' && (c[1] == ' ' || !c[1])) || (*c == ' ' && (c[1] == '#' || !c[1])))
            return false;
    return true;
}

static void write_text(FILE *to, const char *text)
{
    if (is_plain(text)) {
        fputs(text, to);
        return;
    }
    fputc('"', to);
    for (const char *c = text; *c; c++)
        if (*c == '"' || *c == '\\')
            fprintf(to, "\\%c", *c);
        else if ((unsigned char)*c < ' ')
            fprintf(to, "\\x%02x", (unsigned)*c);
        else
            fputc(*c, to);
    fputc('"', to);
}

static void write_flow(FILE *to, const bragg_yaml *node)
{
    if (node->kind == BRAGG_YAML_SCALAR) {
        if (node->is_null)
            fputs("null", to);
        else
            write_text(to, node->text);
        return;
    }
    bool map = node->kind == BRAGG_YAML_MAP;
    fputc(map ? '{' : '[', to);
    for (const bragg_yaml *c = node->child; c; c = c->next) {
        if (map) {
            write_text(to, c->key);
            fputs(": ", to);
        }
        write_flow(to, c);
        fputs(c->next ? ", " : "", to);
    }
    fputc(map ? '}' : ']', to);
}

static bool is_flat(const bragg_yaml *node)
{
    size_t room = 0;
    for (const bragg_yaml *c = node->child; c; c = c->next) {
        if (c->kind == BRAGG_YAML_MAP || (c->kind == BRAGG_YAML_SEQUENCE && !is_flat(c)))
            return false;
        room += (c->key ? strlen(c->key) : 0) + (c->text ? strlen(c->text) : 8);
    }
    return node->kind == BRAGG_YAML_SEQUENCE || room < 60;
}

/* What is flat stands in brackets, all else line by line. */
static void write_block(FILE *to, const bragg_yaml *node, int depth)
{
    for (const bragg_yaml *c = node->child; c; c = c->next) {
        fprintf(to, "%*s", c == node->child && depth && node->kind == BRAGG_YAML_MAP && node->key == NULL ? 0 : 2 * depth, "");
        if (node->kind == BRAGG_YAML_MAP) {
            write_text(to, c->key);
            fputc(':', to);
        } else {
            fputc('-', to);
        }
        if (c->kind == BRAGG_YAML_SCALAR || is_flat(c)) {
            fputc(' ', to);
            write_flow(to, c);
            fputc('\n', to);
        } else if (node->kind == BRAGG_YAML_SEQUENCE) { /* its first key on the line of the dash */
            fputc(' ', to);
            write_block(to, c, depth + 1);
        } else {
            fputc('\n', to);
            write_block(to, c, depth + 1);
        }
    }
}

void bragg_yaml_write(FILE *to, const bragg_yaml *root)
{
    if (root->kind == BRAGG_YAML_MAP && root->child) {
        write_block(to, root, 0);
        return;
    }
    write_flow(to, root);
    fputc('\n', to);
}
