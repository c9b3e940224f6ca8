/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_YAML_H
#define BRAGG_YAML_H

#include <bragg/arena.h>
#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** A YAML document as a tree in an arena.  Every node knows where it stood, so
 *  that every error names file, line and column.  All nodes are borrowed.
 *
 *      map:       child ─► child ─► …      each with its key
 *      sequence:  child ─► child ─► …      key NULL
 *      scalar:    text                     (plain `null`, `~` or nothing: is_null)
 */
typedef enum bragg_yaml_kind { BRAGG_YAML_SCALAR, BRAGG_YAML_SEQUENCE, BRAGG_YAML_MAP } bragg_yaml_kind;

typedef struct bragg_yaml {
    bragg_yaml_kind kind;
    const char *file;
    size_t line, column;           /**< where the value starts, from 1 */
    size_t key_line, key_column;   /**< where its key starts; the value's in a list */
    const char *key, *text;
    bool is_null;
    size_t n_children;
    struct bragg_yaml *child, *next;
} bragg_yaml;

/** Read one document.  Aliases and merge keys are refused: nobody means them
 *  here and they make size unbounded. */
bragg_status bragg_yaml_read(const char *path, bragg_arena *arena, const bragg_yaml **root,
                             bragg_error *err);
/** As above from memory; name stands for the file in messages. */
bragg_status bragg_yaml_parse(const char *text, size_t length, const char *name, bragg_arena *arena,
                              const bragg_yaml **root, bragg_error *err);

/** The value of a key, or NULL.  map may be NULL. */
const bragg_yaml *bragg_yaml_get(const bragg_yaml *map, const char *key);

/** Every key of map is one of the n known, else EDATA with line, column and the
 *  nearest known key: "did you mean". */
bragg_status bragg_yaml_check_keys(const bragg_yaml *map, const char *const *known, size_t n,
                                   bragg_error *err);

/** Typed values; a node of another kind or text is EDATA saying what was found. */
bragg_status bragg_yaml_number(const bragg_yaml *node, double *value, bragg_error *err);
bragg_status bragg_yaml_integer(const bragg_yaml *node, long long *value, bragg_error *err);
bragg_status bragg_yaml_bool(const bragg_yaml *node, bool *value, bragg_error *err);
bragg_status bragg_yaml_text(const bragg_yaml *node, const char **value, bragg_error *err);

/** The value of a key that need not be there: without it *value stays. */
bragg_status bragg_yaml_number_at(const bragg_yaml *map, const char *key, double *value, bragg_error *err);
bragg_status bragg_yaml_text_at(const bragg_yaml *map, const char *key, const char **value, bragg_error *err);

/** The CIF that a phase's card means, as bragg_card_path has it from the document; EDATA
 *  when there is none. */
bragg_status bragg_yaml_card(const bragg_yaml *node, bragg_arena *arena, const char **path, bragg_error *err);

/** Exactly n numbers in a sequence. */
bragg_status bragg_yaml_numbers(const bragg_yaml *node, double *values, size_t n, bragg_error *err);

/** Record "FILE:LINE:COLUMN: message". */
bragg_status bragg_yaml_fail(const bragg_yaml *node, bragg_error *err, const char *format, ...)
    BRAGG_PRINTF(3, 4);

/** A tree of its own in the arena; NULL without memory. */
bragg_yaml *bragg_yaml_copy(bragg_arena *arena, const bragg_yaml *from);
/** Keys of a map, and of the maps in it, that `to` has not; false without memory. */
bool bragg_yaml_add_missing(bragg_arena *arena, bragg_yaml *to, const bragg_yaml *from);
/** Paths (a scalar, or all in a list) that are seen from the document's folder become
 *  absolute; node may be NULL; false without memory. */
bool bragg_yaml_make_absolute(bragg_arena *arena, bragg_yaml *node);
/** The tree as a document that reads back the same. */
void bragg_yaml_write(FILE *to, const bragg_yaml *root);

/** The entry of names nearest to text by edit distance when near enough to be
 *  meant, else NULL. */
const char *bragg_nearest(const char *text, const char *const *names, size_t n);

#endif
