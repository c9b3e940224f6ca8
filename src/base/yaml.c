/* SPDX-License-Identifier: GPL-3.0-or-later */
/* YAML as a tree that remembers where everything stood, by libyaml. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/number.h>
#include <bragg/path.h>
#include <bragg/yaml.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <strings.h>
#include <yaml.h>

enum { MAX_DEPTH = 64 };

typedef struct reader {
    yaml_parser_t parser;
    bragg_arena *arena;
    const char *file;
} reader;

bragg_status bragg_yaml_fail(const bragg_yaml *node, bragg_error *err, const char *format, ...)
{
    char text[BRAGG_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return bragg_fail(err, BRAGG_EDATA, "%s:%zu:%zu: %s", node->file, node->line, node->column, text);
}

static bragg_status parser_fail(const reader *r, bragg_error *err)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return bragg_fail(err, BRAGG_ENOMEM, "%s: no memory", r->file);
    bool token = p->problem && strstr(p->problem, "cannot start any token"), colon = p->problem && strstr(p->problem, "expected ':'");
    return bragg_fail(err, BRAGG_EDATA, "%s:%zu:%zu: %s%s%s%s", r->file, p->problem_mark.line + 1,
                      p->problem_mark.column + 1, p->problem ? p->problem : "not YAML",
                      p->context ? ", " : "", p->context ? p->context : "",
                      token ? "; YAML is indented with spaces, never with tabs" : colon ? "; behind a key stand a colon and a space, here or on the line before" : "");
}

static bool plain_null(const yaml_event_t *e)
{
    const char *v = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*v || !strcmp(v, "~") || !strcasecmp(v, "null"));
}

static bragg_status node_new(reader *r, const yaml_event_t *e, bragg_yaml **out, bragg_error *err)
{
    bragg_yaml *node = bragg_arena_alloc(r->arena, 1, sizeof *node);
    if (!node)
        return bragg_fail(err, BRAGG_ENOMEM, "%s: no memory", r->file);
    node->file = r->file;
    node->line = e->start_mark.line + 1;
    node->column = e->start_mark.column + 1;
    node->key_line = node->line;
    node->key_column = node->column;
    *out = node;
    if (e->type == YAML_ALIAS_EVENT)
        return bragg_yaml_fail(node, err, "aliases ('*name') are not supported here");
    if (e->type == YAML_SCALAR_EVENT) {
        node->text = bragg_arena_strndup(r->arena, (const char *)e->data.scalar.value,
                                         e->data.scalar.length);
        node->is_null = plain_null(e);
        if (node->text && strlen(node->text) != e->data.scalar.length)
            return bragg_yaml_fail(node, err, "expected text, found a NUL byte");
        return node->text ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "%s: no memory", r->file);
    }
    node->kind = e->type == YAML_MAPPING_START_EVENT ? BRAGG_YAML_MAP : BRAGG_YAML_SEQUENCE;
    return BRAGG_OK;
}

static bragg_status next_event(reader *r, yaml_event_t *e, bragg_error *err)
{
    return yaml_parser_parse(&r->parser, e) ? BRAGG_OK : parser_fail(r, err);
}

static bragg_status read_node(reader *r, const yaml_event_t *e, int depth, bragg_yaml **out, bragg_error *err);

/* The key of the next entry, or *done at the end of the map. */
static bragg_status read_key(reader *r, const bragg_yaml *map, yaml_event_t *e, const char **key, bragg_error *err)
{
    bragg_yaml *node;
    bragg_status st = node_new(r, e, &node, err);
    if (st < 0)
        return st;
    if (node->kind != BRAGG_YAML_SCALAR)
        return bragg_yaml_fail(node, err, "expected a name as key, found a %s",
                               node->kind == BRAGG_YAML_MAP ? "map" : "list");
    const bragg_yaml *before = bragg_yaml_get(map, node->text);
    if (before)
        return bragg_yaml_fail(node, err, "'%s' stands twice, first in line %zu", node->text, before->line);
    *key = node->text;
    return BRAGG_OK;
}

static bragg_status read_child(reader *r, bragg_yaml *parent, bragg_yaml ***tail, yaml_event_t *e,
                               int depth, bragg_error *err)
{
    const char *key = NULL;
    bragg_status st = BRAGG_OK;
    yaml_mark_t mark = e->start_mark;
    if (parent->kind == BRAGG_YAML_MAP) {
        st = read_key(r, parent, e, &key, err);
        yaml_event_delete(e);
        if (st == BRAGG_OK)
            st = next_event(r, e, err);
        if (st < 0) {
            memset(e, 0, sizeof *e);
            return st;
        }
    }
    bragg_yaml *child;
    st = read_node(r, e, depth + 1, &child, err);
    if (st < 0)
        return st;
    child->key = key;
    child->key_line = mark.line + 1;
    child->key_column = mark.column + 1;
    **tail = child;
    *tail = &child->next;
    parent->n_children++;
    return BRAGG_OK;
}

static bragg_status read_node(reader *r, const yaml_event_t *e, int depth, bragg_yaml **out, bragg_error *err)
{
    bragg_status st = node_new(r, e, out, err);
    if (st < 0 || (*out)->kind == BRAGG_YAML_SCALAR)
        return st;
    if (depth >= MAX_DEPTH)
        return bragg_yaml_fail(*out, err, "expected at most %d levels", MAX_DEPTH);
    bragg_yaml **tail = &(*out)->child;
    for (;;) {
        yaml_event_t inner;
        st = next_event(r, &inner, err);
        if (st < 0)
            return st;
        bool end = inner.type == YAML_MAPPING_END_EVENT || inner.type == YAML_SEQUENCE_END_EVENT;
        if (!end)
            st = read_child(r, *out, &tail, &inner, depth, err);
        yaml_event_delete(&inner);
        if (end || st < 0)
            return st;
    }
}

/* STREAM-START, DOCUMENT-START, node, DOCUMENT-END; an empty file is a null. */
static bragg_status read_document(reader *r, const bragg_yaml **root, bragg_error *err)
{
    *root = NULL;
    for (;;) {
        yaml_event_t e;
        bragg_status st = next_event(r, &e, err);
        if (st < 0)
            return st;
        yaml_event_type_t type = e.type;
        if (type == YAML_STREAM_END_EVENT && !*root)
            st = bragg_fail(err, BRAGG_EDATA, "%s: expected a YAML document, found an empty file", r->file);
        else if (type == YAML_DOCUMENT_START_EVENT && *root)
            st = bragg_fail(err, BRAGG_EDATA, "%s:%zu:1: expected one document, found a second",
                            r->file, e.start_mark.line + 1);
        else if (type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
                 type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
            st = read_node(r, &e, 0, (bragg_yaml **)root, err);
        yaml_event_delete(&e);
        if (st < 0 || type == YAML_STREAM_END_EVENT)
            return st;
    }
}

static bragg_status reader_run(reader *r, const bragg_yaml **root, bragg_error *err)
{
    bragg_status st = r->file ? read_document(r, root, err)
                              : bragg_fail(err, BRAGG_ENOMEM, "no memory");
    yaml_parser_delete(&r->parser);
    return st;
}

bragg_status bragg_yaml_read(const char *path, bragg_arena *arena, const bragg_yaml **root,
                             bragg_error *err)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file)
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(file);
        return bragg_fail(err, BRAGG_EIO, "'%s': expected a YAML file, found a folder", path);
    }
    reader r = { .arena = arena, .file = bragg_arena_strdup(arena, path) };
    bragg_status st = BRAGG_ENOMEM;
    if (r.file && yaml_parser_initialize(&r.parser)) {
        yaml_parser_set_input_file(&r.parser, file);
        st = reader_run(&r, root, err);
    } else {
        bragg_fail(err, st, "'%s': no memory", path);
    }
    fclose(file);
    return st;
}

bragg_status bragg_yaml_parse(const char *text, size_t length, const char *name, bragg_arena *arena,
                              const bragg_yaml **root, bragg_error *err)
{
    reader r = { .arena = arena, .file = bragg_arena_strdup(arena, name) };
    if (!r.file || !yaml_parser_initialize(&r.parser))
        return bragg_fail(err, BRAGG_ENOMEM, "'%s': no memory", name);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
    return reader_run(&r, root, err);
}

const bragg_yaml *bragg_yaml_get(const bragg_yaml *map, const char *key)
{
    if (!map || map->kind != BRAGG_YAML_MAP)
        return NULL;
    for (const bragg_yaml *c = map->child; c; c = c->next)
        if (c->key && !strcmp(c->key, key))
            return c;
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein distance, two rows; longer names than 63 are never meant. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(b), row[64];
    if (n >= 64 || strlen(a) >= 64)
        return 64;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(swap, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

const char *bragg_nearest(const char *text, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = least(strlen(text) / 3 + 2, 4);
    for (size_t i = 0; i < n; i++) {
        size_t distance = edit_distance(text, names[i]);
        if (distance < best_distance && distance < strlen(names[i])) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

static const char *kind_name(const bragg_yaml *node)
{
    return node->kind == BRAGG_YAML_MAP ? "a map" : node->kind == BRAGG_YAML_SEQUENCE ? "a list" : "text";
}

/* "; expected one of name, card, refine": as many as a message bears. */
static void list_keys(char *text, size_t size, const char *const *known, size_t n)
{
    size_t used = (size_t)snprintf(text, size, "; expected %s", n > 1 ? "one of " : "");
    for (size_t i = 0; i < n && used < size - 60; i++) {
        bool last = i + 1 == n;
        used += (size_t)snprintf(text + used, size - used, "%s%.40s", i ? ", " : "", known[i]);
        if (!last && used >= size - 60)
            snprintf(text + used, size - used, " …");
    }
}

bragg_status bragg_yaml_check_keys(const bragg_yaml *map, const char *const *known, size_t n,
                                   bragg_error *err)
{
    if (map->kind != BRAGG_YAML_MAP)
        return bragg_yaml_fail(map, err, "expected a map ('key: value'), found %s", kind_name(map));
    for (const bragg_yaml *c = map->child; c; c = c->next) {
        size_t i = 0;
        while (i < n && strcmp(known[i], c->key))
            i++;
        if (i < n)
            continue;
        const char *near = bragg_nearest(c->key, known, n);
        bool digits = strspn(c->key, "0123456789") == strlen(c->key); /* 0,24125 is two things to YAML */
        char all[400];
        list_keys(all, sizeof all, known, n);
        return bragg_fail(err, BRAGG_EDATA, "%s:%zu:%zu: unknown key '%s'%s%s%s", c->file, c->key_line,
                          c->key_column, c->key, near ? "; did you mean '" : digits ? "; decimals are set off by a point" : n ? all : "",
                          near ? near : "", near ? "'?" : "");
    }
    return BRAGG_OK;
}

static bragg_status expected(const bragg_yaml *node, const char *what, bragg_error *err)
{
    const char *key = node->key ? node->key : "entry";
    if (node->kind != BRAGG_YAML_SCALAR)
        return bragg_yaml_fail(node, err, "%s: expected %s, found %s", key, what, kind_name(node));
    return bragg_yaml_fail(node, err, "%s: expected %s, found '%.*s'", key, what, bragg_utf8_most(node->text, 40), node->text);
}

bragg_status bragg_yaml_number(const bragg_yaml *node, double *value, bragg_error *err)
{
    bool ok = node->kind == BRAGG_YAML_SCALAR && bragg_number_parse(node->text, value);
    return ok ? BRAGG_OK : expected(node, "a number", err);
}

bragg_status bragg_yaml_integer(const bragg_yaml *node, long long *value, bragg_error *err)
{
    bool ok = node->kind == BRAGG_YAML_SCALAR && bragg_integer_parse(node->text, value);
    return ok ? BRAGG_OK : expected(node, "a whole number", err);
}

bragg_status bragg_yaml_bool(const bragg_yaml *node, bool *value, bragg_error *err)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    for (size_t i = 0; node->kind == BRAGG_YAML_SCALAR && i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(node->text, words[i])) {
            *value = i % 2;
            return BRAGG_OK;
        }
    return expected(node, "yes or no", err);
}

bragg_status bragg_yaml_text(const bragg_yaml *node, const char **value, bragg_error *err)
{
    if (node->kind != BRAGG_YAML_SCALAR || node->is_null)
        return expected(node, "text", err);
    *value = node->text;
    return BRAGG_OK;
}

bragg_status bragg_yaml_number_at(const bragg_yaml *map, const char *key, double *value, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    return node ? bragg_yaml_number(node, value, err) : BRAGG_OK;
}

bragg_status bragg_yaml_text_at(const bragg_yaml *map, const char *key, const char **value, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    return node ? bragg_yaml_text(node, value, err) : BRAGG_OK;
}

bragg_status bragg_yaml_card(const bragg_yaml *node, bragg_arena *arena, const char **path, bragg_error *err)
{
    const char *card;
    bragg_status st = bragg_yaml_text(node, &card, err);
    if (st < 0)
        return st;
    if (!(*path = bragg_card_path(arena, node->file, card)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (bragg_path_exists(*path))
        return BRAGG_OK;
    return bragg_yaml_fail(node, err, "card '%s': expected a CIF file or a bundled card, found no '%s'%s", card, *path,
                           bragg_card_is_file(card) ? "" : "; bragg cards list names the bundled ones, a file's name ends in .cif");
}

bragg_status bragg_yaml_numbers(const bragg_yaml *node, double *values, size_t n, bragg_error *err)
{
    if (node->kind != BRAGG_YAML_SEQUENCE || node->n_children != n)
        return bragg_yaml_fail(node, err, "%s: expected a list of %zu numbers, found %s of %zu",
                               node->key ? node->key : "entry", n, kind_name(node), node->n_children);
    size_t i = 0;
    for (const bragg_yaml *c = node->child; c; c = c->next) {
        bragg_status st = bragg_yaml_number(c, &values[i++], err);
        if (st < 0)
            return st;
    }
    return BRAGG_OK;
}
