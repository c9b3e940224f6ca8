/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frames of a run: which files, and how each becomes a pattern. */
#include "config.h"
#include "operando.h"

#include <bragg/array.h>
#include <bragg/detector.h>
#include <bragg/frame.h>
#include <bragg/hash.h>
#include <bragg/path.h>
#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MASKS = 16 };

struct bragg_frames {
    bragg_arena *arena;
    const bragg_experiment *x;
    const bragg_yaml *node;          /* of the data section */
    const char *experiment_path;
    bool raw;                        /* frames of a detector, not patterns */
    bool several;                    /* a file holds more than one */
    size_t n, room;
    bragg_frame_item *item;
    size_t n_seen, seen_room;        /* a power of two; items + 1 by the hash of their file, 0: free */
    size_t *seen;
    bragg_geometry geometry;
    bragg_plan_options options;
    bragg_plan *plan;                /* made for the shape of the first frame that can be read */
    double correlation[BRAGG_PATTERN_LAGS]; /* of neighbouring bins, the same for all frames */
    size_t rows, columns;
    const char *flip, *mask[MOST_MASKS];
    size_t n_masks;
    bragg_frame *dark, *flat;
    const char *in_file;             /* FILE:/path of a data section that names both */
};

/* ------------------------------------------------------------- the list */

static double last_number(const char *file)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    const char *end = base + strlen(base) - strlen(bragg_path_extension(file));
    while (end > base && !isdigit((unsigned char)end[-1]))
        end--;
    const char *from = end;
    while (from > base && isdigit((unsigned char)from[-1]))
        from--;
    double v = 0;
    for (const char *c = from; c < end; c++)
        v = 10 * v + (*c - '0');
    return from < end ? v : NAN;
}

static size_t slot_of(const bragg_frames *f, const char *file)
{
    size_t at = bragg_fnv_text(file) & (f->seen_room - 1);
    while (f->seen[at] && strcmp(f->item[f->seen[at] - 1].file, file))
        at = (at + 1) & (f->seen_room - 1);
    return at;
}

static bool known(const bragg_frames *f, const char *file) { return f->seen_room && f->seen[slot_of(f, file)]; }

/* Item k is the first of its file. */
static bragg_status remember(bragg_frames *f, size_t k, bragg_error *err)
{
    if (2 * (f->n_seen + 1) > f->seen_room) {
        size_t n = f->seen_room, *old = f->seen;
        f->seen_room = n ? 2 * n : 256;
        if (!(f->seen = calloc(f->seen_room, sizeof *f->seen))) {
            f->seen = old, f->seen_room = n;
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a list of files");
        }
        for (size_t i = 0; i < n; i++)
            if (old[i])
                f->seen[slot_of(f, f->item[old[i] - 1].file)] = old[i];
        free(old);
    }
    f->seen[slot_of(f, f->item[k].file)] = k + 1;
    f->n_seen++;
    return BRAGG_OK;
}

bool bragg_frames_stack(const char *file)
{
    return strstr(file, ":/") || bragg_path_is_hdf5(file);
}

static size_t count_of(const bragg_frames *f, const char *file)
{
    size_t n = 1;
    bragg_status st = f->raw ? bragg_frame_count(file, &n, NULL) : bragg_pattern_count(file, &n, NULL);
    return st < 0 || !n ? 1 : n;
}

static bragg_status append(bragg_frames *f, const char *file, size_t first, size_t n, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&f->item, &f->room, f->n + n - first, sizeof *f->item, err);
    bool numbered = n > 1 || bragg_frames_stack(file);
    for (size_t k = first; k < n && st == BRAGG_OK; k++)
        f->item[f->n++] = (bragg_frame_item){ file, k, numbered ? (double)k : last_number(file) };
    return st;
}

/* A file of several frames is several items.  One that cannot be counted is one:
 * reading it says what is wrong. */
static bragg_status add_items(bragg_frames *f, const char *file, bragg_error *err)
{
    /* the first tells whether it is worth opening them all */
    size_t n = !f->n || f->several || bragg_frames_stack(file) ? count_of(f, file) : 1, first = f->n;
    const char *own = bragg_arena_strdup(f->arena, file);
    f->several |= n > 1;
    if (!own)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    bragg_status st = append(f, own, 0, n, err);
    return st == BRAGG_OK ? remember(f, first, err) : st;
}

/* Frames that have come into a file since. */
static bragg_status grow_items(bragg_frames *f, const char *file, bragg_error *err)
{
    const char *own = f->item[f->seen[slot_of(f, file)] - 1].file;
    size_t have = 0, n = count_of(f, own);
    for (size_t k = f->n; k-- > 0 && !have;)
        have = f->item[k].file == own ? f->item[k].index + 1 : 0;
    return n > have ? append(f, own, have, n, err) : BRAGG_OK;
}

static bragg_status list_files(const char *experiment_path, const bragg_yaml *node, bragg_arena *arena, const char ***files, size_t *n, bragg_error *err)
{
    const char *text;
    bragg_status st = bragg_yaml_text(node, &text, err);
    char *pattern = st == BRAGG_OK ? bragg_path_beside(arena, experiment_path, text) : NULL;
    if (st == BRAGG_OK && !pattern)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK && strstr(pattern, ":/") && !bragg_path_exists(pattern)) { /* FILE:/path/in/hdf5 */
        *files = bragg_arena_alloc(arena, 1, sizeof **files);
        if (*files)
            **files = pattern;
        *n = 1;
        return *files ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    return st == BRAGG_OK ? bragg_path_list(arena, pattern, NULL, files, n, err) : st;
}

/* Files of one entry of the data section that are not in the list yet. */
static bragg_status scan_node(bragg_frames *f, const bragg_yaml *node, bool may_be_empty, bragg_error *err)
{
    bragg_arena *scratch = bragg_arena_new();
    const char **files;
    size_t n = 0;
    bragg_error cause = BRAGG_ERROR_INIT;
    bragg_status st = scratch ? list_files(f->experiment_path, node, scratch, &files, &n, &cause) : BRAGG_ENOMEM;
    if (st < 0 && st != BRAGG_ENOMEM && may_be_empty)
        st = BRAGG_OK, n = 0;
    else if (st < 0)
        bragg_fail(err, st, "%s", *cause.text ? cause.text : "no room for a list of files");
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        if (!known(f, files[k]))
            st = add_items(f, files[k], err);
        else if (may_be_empty && k + 1 == n && bragg_frames_stack(files[k])) /* only the last one grows */
            st = grow_items(f, files[k], err);
    bragg_arena_free(scratch);
    return st;
}

/* {file: run.h5, path: /entry/data/data} */
static bragg_status check_map(const bragg_yaml *map, bragg_error *err)
{
    static const char *const keys[] = { "file", "path" };
    bragg_status st = bragg_yaml_check_keys(map, keys, 2, err);
    return st == BRAGG_OK && !bragg_yaml_get(map, "file") ? bragg_yaml_fail(map, err, "frames: expected a file, found none") : st;
}

static bragg_status scan(bragg_frames *f, bool may_be_empty, bragg_error *err)
{
    if (f->node->kind == BRAGG_YAML_SCALAR)
        return scan_node(f, f->node, may_be_empty, err);
    if (f->node->kind == BRAGG_YAML_MAP) {
        const char *file, *path;
        if (f->in_file)
            return may_be_empty ? grow_items(f, f->in_file, err) : BRAGG_OK;
        bragg_status st = check_map(f->node, err);
        if (st == BRAGG_OK)
            st = bragg_yaml_text(bragg_yaml_get(f->node, "file"), &file, err);
        if (st < 0)
            return st;
        if (!bragg_yaml_get(f->node, "path"))
            return scan_node(f, bragg_yaml_get(f->node, "file"), may_be_empty, err);
        char name[5200];
        st = bragg_yaml_text(bragg_yaml_get(f->node, "path"), &path, err);
        if (st == BRAGG_OK)
            snprintf(name, sizeof name, "%s:%s%s", bragg_path_beside(f->arena, f->experiment_path, file), *path == '/' ? "" : "/", path);
        if (st == BRAGG_OK && !(f->in_file = bragg_arena_strdup(f->arena, name)))
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        return st < 0 ? st : add_items(f, f->in_file, err);
    }
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *c = f->node->child; c && st == BRAGG_OK; c = c->next)
        st = scan_node(f, c, may_be_empty, err);
    return st;
}

bragg_status bragg_frames_rescan(bragg_frames *f, size_t *n, bragg_error *err)
{
    bragg_status st = scan(f, true, err);
    *n = f->n;
    return st;
}

/* ---------------------------------------------------------- integration */

/* One or a list: files beside the experiment and "gaps". */
static bragg_status read_masks(bragg_frames *f, const bragg_yaml *node, bragg_error *err)
{
    const char *text;
    bragg_status st = BRAGG_OK;
    bool list = node->kind == BRAGG_YAML_SEQUENCE;
    for (const bragg_yaml *one = list ? node->child : node; one && st == BRAGG_OK; one = list ? one->next : NULL) {
        st = bragg_yaml_text(one, &text, err);
        if (st < 0)
            continue;
        if (f->n_masks == MOST_MASKS)
            return bragg_yaml_fail(one, err, "mask: expected at most %d masks, found more", MOST_MASKS);
        if (!(f->mask[f->n_masks++] = !strcmp(text, "gaps") ? "gaps" : bragg_path_beside(f->arena, f->experiment_path, text)))
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    return st;
}

/* A frame of the detector section, turned like all others; *out NULL without the key. */
static bragg_status read_beside(const bragg_frames *f, const bragg_yaml *map, const char *key, bragg_frame **out, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, key);
    const char *text, *path;
    bragg_status st = node ? bragg_yaml_text(node, &text, err) : BRAGG_OK;
    if (st < 0 || !node)
        return st;
    if (!(path = bragg_path_beside(f->arena, f->experiment_path, text)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return bragg_frame_read_as(path, 0, f->flip, NULL, out, err);
}

/* The section detector, without its files. */
static bragg_status read_choices(bragg_frames *f, bragg_error *err)
{
    static const char *const keys[] = { "poni", "mask", "dark", "flat", "flip", "split", "polarization", "solid_angle" };
    const bragg_yaml *map = bragg_yaml_get(f->x->root, "detector"), *node;
    const char *text;
    bool vertical, horizontal;
    if (!map)
        return bragg_yaml_fail(f->x->root, err, "frames: expected a section 'detector' with a poni, found none");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK && !bragg_yaml_get(map, "poni"))
        st = bragg_yaml_fail(map, err, "detector: expected a poni, found none");
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "flip")))
        st = bragg_yaml_text(node, &f->flip, err);
    if (st == BRAGG_OK && !bragg_flip_parse(f->flip, &vertical, &horizontal))
        st = bragg_yaml_fail(bragg_yaml_get(map, "flip"), err, "flip: expected vertical, horizontal or both, found '%s'", f->flip);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "split")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK && !bragg_split_parse(text, &f->options.split))
        st = bragg_yaml_fail(node, err, "split: expected none, bbox or full, found '%s'", text);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "polarization")))
        st = bragg_yaml_number(node, &f->options.polarization, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "solid_angle")))
        st = bragg_yaml_bool(node, &f->options.solid_angle, err);
    return st;
}

static bragg_status read_detector(bragg_frames *f, bragg_error *err)
{
    const bragg_yaml *map = bragg_yaml_get(f->x->root, "detector"), *node;
    const char *text, *path = NULL;
    bragg_status st = read_choices(f, err);
    if (st == BRAGG_OK && (st = bragg_yaml_text(bragg_yaml_get(map, "poni"), &text, err)) == BRAGG_OK && !(path = bragg_path_beside(f->arena, f->experiment_path, text)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK)
        st = bragg_geometry_read_poni(path, &f->geometry, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "mask")))
        st = read_masks(f, node, err);
    if (st == BRAGG_OK)
        st = read_beside(f, map, "dark", &f->dark, err);
    if (st == BRAGG_OK)
        st = read_beside(f, map, "flat", &f->flat, err);
    f->options.flat = f->flat;
    return st;
}

static bragg_status read_bins(bragg_frames *f, bragg_error *err)
{
    const bragg_yaml *data = bragg_yaml_get(f->x->root, "data"), *node;
    const char *text;
    long long n = 3000;
    bragg_status st = BRAGG_OK;
    if ((node = bragg_yaml_get(data, "bins")))
        st = bragg_yaml_integer(node, &n, err);
    if (st == BRAGG_OK && !(n > 1 && n < 1000000))
        st = bragg_yaml_fail(node, err, "bins: expected 2 to 1000000, found %lld", n);
    if (st == BRAGG_OK && (node = bragg_yaml_get(data, "unit")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK && !bragg_axis_parse(text, &f->options.axis))
        st = bragg_yaml_fail(node, err, "unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", text);
    f->options.n_bins = (size_t)n;
    if (f->geometry.wavelength_ang > 0 || st < 0)
        return st;
    f->geometry.wavelength_ang = f->x->pattern->histogram.radiation.wavelength_ang[0];
    return st;
}

static bragg_status make_plan(bragg_frames *f, const char *path, const bragg_frame *frame, bragg_error *err)
{
    uint8_t *mask = NULL;
    bragg_status st = bragg_mask_read(f->mask, f->n_masks, f->flip, &f->geometry, path, frame, &mask, err);
    if (st == BRAGG_OK)
        st = bragg_plan_new(&f->geometry, frame->height, frame->width, mask, &f->options, &f->plan, err);
    if (st == BRAGG_OK)
        st = bragg_plan_correlation(f->plan, f->correlation, err);
    f->rows = frame->height;
    f->columns = frame->width;
    free(mask);
    return st;
}

/* One library call at a time: HDF5 is seldom built for threads. */
static bragg_status read_frame(const bragg_frames *f, size_t k, bragg_frame **out, bragg_error *err)
{
    const bragg_frame_item *i = &f->item[k];
    bool locked = bragg_frames_stack(i->file);
    bragg_status st;
    if (locked) {
#pragma omp critical(bragg_operando_read)
        st = bragg_frame_read_as(i->file, i->index, f->flip, NULL, out, err);
    } else {
        st = bragg_frame_read_as(i->file, i->index, f->flip, NULL, out, err);
    }
    return st;
}

/* later: of frames that are still to come none need be there. */
static bragg_status plan_from_first(bragg_frames *f, bool later, bragg_error *err)
{
    bragg_error first = BRAGG_ERROR_INIT;
    for (size_t k = 0; k < f->n && k < 50; k++) {
        bragg_frame *frame;
        bragg_error one = BRAGG_ERROR_INIT;
        bragg_status st = read_frame(f, k, &frame, &one);
        if (st < 0) {
            first = k ? first : one;
            continue;
        }
        st = make_plan(f, f->item[k].file, frame, err);
        bragg_frame_free(frame);
        return st;
    }
    return f->n && !later ? bragg_fail(err, BRAGG_EDATA, "frames: none of the first can be read: %s", first.text) : BRAGG_OK;
}

static bragg_status integrate(const bragg_frames *f, size_t k, bragg_pattern **out, double *exposure_s, bragg_error *err)
{
    bragg_frame *frame;
    bragg_status st = read_frame(f, k, &frame, err);
    if (st < 0)
        return st;
    *exposure_s = frame->exposure_s;
    if (frame->height != f->rows || frame->width != f->columns)
        st = bragg_fail(err, BRAGG_EDATA, "expected a frame of %zu x %zu pixels, found %zu x %zu", f->rows, f->columns, frame->height, frame->width);
    if (st == BRAGG_OK)
        st = bragg_plan_integrate(f->plan, frame, f->dark, NULL, out, err);
    if (st == BRAGG_OK) {
        (*out)->time_s = frame->time_s;
        (*out)->temperature_k = frame->temperature_k;
        memcpy((*out)->correlation, f->correlation, sizeof f->correlation);
    }
    bragg_frame_free(frame);
    return st;
}

bragg_status bragg_frames_read(const bragg_frames *f, size_t k, bragg_pattern **out, double *exposure_s, bragg_error *err)
{
    *out = NULL;
    *exposure_s = NAN;
    bragg_status st = BRAGG_OK;
    if (f->raw && !f->plan) {
        bragg_frames *own = (bragg_frames *)(uintptr_t)f; /* an empty list had none to make it for */
#pragma omp critical(bragg_operando_plan)
        st = own->plan ? BRAGG_OK : plan_from_first(own, false, err);
    }
    if (st < 0)
        return st;
    const bragg_frame_item *item = &f->item[k];
    st = f->raw                      ? integrate(f, k, out, exposure_s, err)
         : f->x->pattern->has_unit ? bragg_pattern_read_as(item->file, item->index, f->x->pattern->unit, out, err)
                                     : bragg_pattern_read(item->file, item->index, out, err);
    if (st >= 0 && !f->raw && isfinite((*out)->counting_s))
        *exposure_s = (*out)->counting_s; /* of a point of a step scan, or of all at once: see bragg_join_times */
    return st;
}

/* ---------------------------------------------------------------- life */

/* What the section data names, and how it is read, but none of it. */
static bragg_status begin(bragg_frames *f, bragg_error *err)
{
    const bragg_yaml *data = bragg_yaml_get(f->x->root, "data");
    f->options.polarization = 0.99;
    f->node = bragg_yaml_get(data, "frames");
    f->raw = f->node != NULL;
    if (!f->node)
        f->node = bragg_yaml_get(data, "patterns");
    if (!f->node)
        f->node = bragg_yaml_get(data, "pattern");
    return f->node ? BRAGG_OK : bragg_yaml_fail(data ? data : f->x->root, err, "data: expected patterns or frames, found neither");
}

bragg_status bragg_frames_check(const bragg_experiment *x, bragg_error *err)
{
    bragg_frames f = { .x = x, .geometry = BRAGG_GEOMETRY_INIT, .options = BRAGG_PLAN_OPTIONS_INIT };
    bragg_status st = begin(&f, err);
    if (st == BRAGG_OK && f.raw && f.node->kind == BRAGG_YAML_MAP)
        st = check_map(f.node, err);
    if (st == BRAGG_OK && f.raw)
        st = read_choices(&f, err);
    return st == BRAGG_OK && f.raw ? read_bins(&f, err) : st;
}

bragg_status bragg_frames_open(const bragg_experiment *x, const char *experiment_path, bool may_be_empty, bragg_frames **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_frames *f = arena ? bragg_arena_alloc(arena, 1, sizeof *f) : NULL;
    *out = NULL;
    if (!f) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a list of frames");
    }
    *f = (bragg_frames){ .arena = arena, .x = x, .geometry = BRAGG_GEOMETRY_INIT, .options = BRAGG_PLAN_OPTIONS_INIT };
    if (!(f->experiment_path = bragg_arena_strdup(arena, experiment_path))) {
        bragg_frames_free(f);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    bragg_status st = begin(f, err);
    if (st == BRAGG_OK && f->raw)
        st = read_detector(f, err);
    if (st == BRAGG_OK && f->raw)
        st = read_bins(f, err);
    if (st == BRAGG_OK)
        st = scan(f, may_be_empty, err);
    if (st == BRAGG_OK && !f->n && !may_be_empty)
        st = bragg_yaml_fail(f->node, err, "expected files, found none");
    if (st == BRAGG_OK && f->raw)
        st = plan_from_first(f, may_be_empty, err);
    if (st < 0)
        bragg_frames_free(f);
    else
        *out = f;
    return st;
}

void bragg_frames_free(bragg_frames *f)
{
    if (!f)
        return;
    bragg_plan_free(f->plan);
    bragg_frame_free(f->dark);
    bragg_frame_free(f->flat);
    free(f->item);
    free(f->seen);
    bragg_arena_free(f->arena);
}

bool bragg_frames_raw(const bragg_frames *f) { return f->raw; }
size_t bragg_frames_count(const bragg_frames *f) { return f->n; }
const bragg_frame_item *bragg_frames_item(const bragg_frames *f, size_t k) { return &f->item[k]; }

/* The folder of the first entry, without what a shell pattern adds. */
const char *bragg_frames_folder(const bragg_frames *f)
{
    const bragg_yaml *node = f->node->kind == BRAGG_YAML_SEQUENCE ? f->node->child : f->node->kind == BRAGG_YAML_MAP ? bragg_yaml_get(f->node, "file") : f->node;
    const char *text = node && node->text ? bragg_path_beside(f->arena, f->experiment_path, node->text) : NULL;
    if (!text)
        return ".";
    size_t magic = strcspn(text, "*?["), end = strlen(text);
    if (magic == end && !*bragg_path_extension(text))
        return text;
    while (magic > 0 && text[magic - 1] != '/')
        magic--;
    return magic ? bragg_arena_strndup(f->arena, text, magic) : ".";
}
