/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Masks: drawn in YAML, learnt from frames. */
#include "config.h"
#include "tiles.h"

#include <bragg/array.h>
#include <bragg/path.h>
#include <bragg/thread.h>
#include <bragg/yaml.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CORNERS = 1000, NEAR = 3, ROWS_A_BLOCK = 16 };

typedef struct canvas {
    const bragg_geometry *g;
    const bragg_frame *frame;
    size_t rows, columns;
    uint8_t *mask;
} canvas;

/* A shape: its numbers, and whether the centre of a pixel lies in it. */
typedef struct shape {
    double v[2 * MOST_CORNERS];
    size_t n;
} shape;

typedef bool (*within)(const canvas *c, const shape *s, double row, double column);

static bool in_rectangle(const canvas *c, const shape *s, double row, double column)
{
    return column > fmin(s->v[0], s->v[2]) && column < fmax(s->v[0], s->v[2]) && row > fmin(s->v[1], s->v[3]) && row < fmax(s->v[1], s->v[3]);
    (void)c;
}

static bool in_circle(const canvas *c, const shape *s, double row, double column)
{
    return hypot(column - s->v[0], row - s->v[1]) < s->v[2];
    (void)c;
}

/* Even-odd rule: edges crossed on the way to the right (W. R. Franklin). */
static bool in_polygon(const canvas *c, const shape *s, double row, double column)
{
    bool inside = false;
    for (size_t i = 0, j = s->n - 2; i < s->n; j = i, i += 2) {
        double xi = s->v[i], yi = s->v[i + 1], xj = s->v[j], yj = s->v[j + 1];
        if ((yi > row) != (yj > row) && column < (xj - xi) * (row - yi) / (yj - yi) + xi)
            inside = !inside;
    }
    return inside;
    (void)c;
}

static bool in_ring(const canvas *c, const shape *s, double row, double column)
{
    double tth = bragg_geometry_ray(c->g, row, column).two_theta_rad / BRAGG_DEG;
    return tth >= s->v[0] && tth <= s->v[1];
}

/* Azimuths go round: 350 to 10 is a sector of 20 degrees. */
static bool in_sector(const canvas *c, const shape *s, double row, double column)
{
    double chi = bragg_geometry_ray(c->g, row, column).chi_rad / BRAGG_DEG - s->v[0], width = s->v[1] - s->v[0];
    chi -= 360 * floor(chi / 360);
    width -= width > 360 || width < 0 ? 360 * floor(width / 360) : 0;
    return chi <= width;
}

static void draw(const canvas *c, const shape *s, within inside)
{
    for (size_t i = 0; i < c->rows; i++)
        for (size_t j = 0; j < c->columns; j++)
            if (!c->mask[i * c->columns + j] && inside(c, s, (double)i + 0.5, (double)j + 0.5))
                c->mask[i * c->columns + j] = 1;
}

/* [[c, r], [c, r], …] or [v, v, …] of n numbers. */
static bragg_status read_shape(const bragg_yaml *node, size_t n, shape *s, bragg_error *err)
{
    s->n = n;
    if (n)
        return bragg_yaml_numbers(node, s->v, n, err);
    if (node->kind != BRAGG_YAML_SEQUENCE || node->n_children < 3 || node->n_children > MOST_CORNERS)
        return bragg_yaml_fail(node, err, "expected the corners of a polygon, 3 to %d pairs [column, row]", MOST_CORNERS);
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *k = node->child; k && st == BRAGG_OK; k = k->next, s->n += 2)
        st = bragg_yaml_numbers(k, s->v + s->n, 2, err);
    return st;
}

static bragg_status draw_all(const canvas *c, const bragg_yaml *list, size_t n, bool geometry, within inside, bragg_error *err)
{
    shape *s = list ? malloc(sizeof *s) : NULL;
    bragg_status st = BRAGG_OK;
    if (list && !s)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a shape");
    else if (list && list->kind != BRAGG_YAML_SEQUENCE)
        st = bragg_yaml_fail(list, err, "expected a list of shapes");
    else if (list && geometry && !c->g)
        st = bragg_yaml_fail(list, err, "rings and sectors need a geometry, found none");
    for (const bragg_yaml *k = list ? list->child : NULL; k && st == BRAGG_OK; k = k->next) {
        st = read_shape(k, n, s, err);
        if (st == BRAGG_OK)
            draw(c, s, inside);
    }
    free(s);
    return st;
}

static bragg_status add_files(const canvas *c, const bragg_yaml *list, const char *path, bragg_arena *arena, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (const bragg_yaml *k = list ? list->child : NULL; k && st == BRAGG_OK; k = k->next) {
        const char *name;
        bragg_frame *f = NULL;
        if ((st = bragg_yaml_text(k, &name, err)) < 0)
            break;
        const char *file = bragg_path_beside(arena, path, name);
        st = file ? bragg_frame_read(file, 0, &f, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        if (st == BRAGG_OK)
            st = bragg_frame_add_mask(f, c->columns, c->rows, c->mask, err);
        bragg_frame_free(f);
    }
    return st;
}

static bragg_status add_limits(const canvas *c, const bragg_yaml *root, bragg_error *err)
{
    double low = NAN, high = NAN;
    const bragg_yaml *below = bragg_yaml_get(root, "below"), *above = bragg_yaml_get(root, "above");
    bragg_status st = below ? bragg_yaml_number(below, &low, err) : BRAGG_OK;
    if (st == BRAGG_OK && above)
        st = bragg_yaml_number(above, &high, err);
    if (st == BRAGG_OK && c->frame)
        bragg_frame_mark_outside(c->frame, low, high, c->mask);
    return st;
}

bragg_status bragg_mask_read_yaml(const char *path, const bragg_geometry *geometry, const bragg_frame *frame, size_t rows, size_t columns, uint8_t *mask,
                                  bragg_error *err)
{
    static const char *const keys[] = { "files", "gaps", "below", "above", "rectangles", "circles", "polygons", "rings", "sectors" };
    bragg_geometry g = geometry ? *geometry : (bragg_geometry)BRAGG_GEOMETRY_INIT;
    g.rows = rows;
    g.columns = columns;
    canvas c = { geometry ? &g : NULL, frame, rows, columns, mask };
    const bragg_yaml *root;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? bragg_yaml_read(path, arena, &root, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a mask");
    if (st == BRAGG_OK)
        st = bragg_yaml_check_keys(root, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK)
        st = add_files(&c, bragg_yaml_get(root, "files"), path, arena, err);
    const char *detector = NULL;
    if (st == BRAGG_OK && bragg_yaml_get(root, "gaps"))
        st = bragg_yaml_text(bragg_yaml_get(root, "gaps"), &detector, err);
    if (st == BRAGG_OK && detector)
        st = bragg_mask_gaps(detector, rows, columns, mask, err);
    if (st == BRAGG_OK)
        st = add_limits(&c, root, err);
    if (st == BRAGG_OK)
        st = draw_all(&c, bragg_yaml_get(root, "rectangles"), 4, false, in_rectangle, err);
    if (st == BRAGG_OK)
        st = draw_all(&c, bragg_yaml_get(root, "circles"), 3, false, in_circle, err);
    if (st == BRAGG_OK)
        st = draw_all(&c, bragg_yaml_get(root, "polygons"), 0, false, in_polygon, err);
    if (st == BRAGG_OK)
        st = draw_all(&c, bragg_yaml_get(root, "rings"), 2, true, in_ring, err);
    if (st == BRAGG_OK)
        st = draw_all(&c, bragg_yaml_get(root, "sectors"), 2, true, in_sector, err);
    bragg_arena_free(arena);
    return st;
}

/* ---------------------------------------------------------------- learning */

typedef struct lesson {
    const double *mean;
    size_t rows, columns, n;
    double deviations;
    uint8_t *mask;
} lesson;

/* How many of the eight next to a pixel are half as far off on its side: it is alone, or
 * one of two, when it is to blame; on a sharp ring it has two beside it at least. */
static int company(const lesson *l, size_t i, size_t j, double middle)
{
    double own = l->mean[i * l->columns + j] - middle;
    int n = 0;
    for (size_t a = i ? i - 1 : 0; a <= MIN(i + 1, l->rows - 1); a++)
        for (size_t b = j ? j - 1 : 0; b <= MIN(j + 1, l->columns - 1); b++) {
            double other = l->mean[a * l->columns + b] - middle;
            n += (a != i || b != j) && fabs(other) > fabs(own) / 2 && (other > 0) == (own > 0);
        }
    return n;
}

/* The neighbours' median and scatter: 1.4826 times the median deviation, and no less
 * than counting makes it. */
static void judge(const lesson *l, size_t i, size_t j)
{
    double v[(2 * NEAR + 1) * (2 * NEAR + 1)], own = l->mean[i * l->columns + j];
    size_t n = 0, i0 = i > NEAR ? i - NEAR : 0, j0 = j > NEAR ? j - NEAR : 0;
    for (size_t a = i0; a <= MIN(i + NEAR, l->rows - 1); a++)
        for (size_t b = j0; b <= MIN(j + NEAR, l->columns - 1); b++)
            if ((a != i || b != j) && isfinite(l->mean[a * l->columns + b]))
                v[n++] = l->mean[a * l->columns + b];
    if (n < 9 || !isfinite(own))
        return;
    qsort(v, n, sizeof *v, bragg_array_by_value);
    double middle = v[n / 2];
    for (size_t k = 0; k < n; k++)
        v[k] = fabs(v[k] - middle);
    qsort(v, n, sizeof *v, bragg_array_by_value);
    double sigma = fmax(1.4826 * v[n / 2], sqrt(fmax(middle, 1) / (double)l->n));
    bool off = fabs(own - middle) > l->deviations * sigma && company(l, i, j, middle) < 2;
    if (off || (own == 0 && middle * (double)l->n > 50))
        l->mask[i * l->columns + j] = 1;
}

static bragg_status judge_rows(void *payload, size_t first, size_t last, bragg_error *err)
{
    const lesson *l = payload;
    for (size_t i = first; i < last; i++)
        for (size_t j = 0; j < l->columns; j++)
            judge(l, i, j);
    return BRAGG_OK;
    (void)err;
}

bragg_status bragg_mask_learn(const bragg_frame *const *frames, size_t n, double deviations, uint8_t *mask, bragg_error *err)
{
    if (!n || !(deviations > 0))
        return bragg_fail(err, BRAGG_EINVAL, "mask: expected frames and a positive number of deviations, found %zu and %g", n, deviations);
    size_t rows = frames[0]->height, columns = frames[0]->width;
    double *mean = calloc(rows * columns, sizeof *mean);
    if (!mean)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu pixels", rows * columns);
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        if (frames[k]->height != rows || frames[k]->width != columns)
            st = bragg_fail(err, BRAGG_EDATA, "mask: expected %zu x %zu pixels, found %zu x %zu", columns, rows, frames[k]->width, frames[k]->height);
        for (size_t i = 0; i < rows * columns && st == BRAGG_OK; i++)
            mean[i] += mask[i] ? NAN : bragg_plan_value(frames[k], i) / (double)n;
    }
    lesson l = { mean, rows, columns, n, deviations, mask };
    if (st == BRAGG_OK)
        st = bragg_parallel_for(rows, ROWS_A_BLOCK, judge_rows, &l, err);
    free(mean);
    return st;
}

static size_t count_masked(const uint8_t *mask, size_t pixels)
{
    size_t n = 0;
    for (size_t i = 0; i < pixels; i++)
        n += mask[i] != 0;
    return n;
}

bragg_status bragg_mask_learn_file(const char *path, const char *flip, const char *raw, double deviations, size_t rows, size_t columns, uint8_t *mask,
                                   size_t *learnt, size_t *n_frames, bragg_error *err)
{
    enum { MOST_LESSONS = 16 };
    bragg_frame *f[MOST_LESSONS];
    size_t n = 0, all = 0, before = count_masked(mask, rows * columns);
    bragg_status st = bragg_frame_count_as(path, raw, &all, err);
    size_t most = all < MOST_LESSONS ? all : MOST_LESSONS;
    for (size_t k = 0; k < most && st == BRAGG_OK; k++)
        if ((st = bragg_frame_read_as(path, k * all / most, flip, raw, &f[n], err)) == BRAGG_OK)
            n++;
    if (st == BRAGG_OK && n && (f[0]->width != columns || f[0]->height != rows))
        st = bragg_fail(err, BRAGG_EDATA, "'%s', to learn a mask from: expected %zu x %zu pixels, found %zu x %zu", path, columns, rows, f[0]->width, f[0]->height);
    if (st == BRAGG_OK)
        st = bragg_mask_learn((const bragg_frame *const *)f, n, deviations, mask, err);
    *learnt = count_masked(mask, rows * columns) - before;
    *n_frames = n;
    for (size_t k = 0; k < n; k++)
        bragg_frame_free(f[k]);
    return st;
}

/* ------------------------------------------------------------ of all kinds */

/* What the file of a frame masks itself (Eiger, NeXus), or a frame that is a mask. */
static bragg_status add_frame(bragg_frame *m, const char *flip, const bragg_frame *f, uint8_t *mask, bragg_error *err)
{
    bool vertical, horizontal;
    bragg_flip_parse(flip, &vertical, &horizontal);
    bragg_frame_flip(m, vertical, horizontal);
    bragg_status st = bragg_frame_add_mask(m, f->width, f->height, mask, err);
    bragg_frame_free(m);
    return st;
}

static bragg_status add_own(const char *path, const char *flip, const bragg_frame *f, uint8_t *mask, bragg_error *err)
{
    bragg_frame *own = NULL;
    bragg_status st = bragg_frame_read_mask(path, &own, err);
    if (st < 0 || !own)
        return st;
    st = add_frame(own, flip, f, mask, err);
    return st < 0 ? bragg_context(err, st, "%s: pixel_mask", path) : st;
}

/* What helps there: only bragg calibrate goes without a geometry, and has --detector. */
static bragg_status add_gaps(const bragg_geometry *g, const bragg_frame *f, uint8_t *mask, bragg_error *err)
{
    if (!g)
        return bragg_fail(err, BRAGG_EINVAL, "mask gaps: expected --detector NAME (Pilatus1M …) or a PONI file that names a detector we know, found neither");
    return *g->detector ? bragg_mask_gaps(g->detector, f->height, f->width, mask, err)
        : bragg_fail(err, BRAGG_EINVAL, "mask gaps: expected the name of a detector we know in the PONI file ('Detector: Pilatus1M'), found none; a mask file in YAML with the line 'gaps: Pilatus1M' names it, too");
}

static bragg_status add_one(const char *path, const char *flip, const bragg_geometry *g, const bragg_frame *f, uint8_t *mask, bragg_error *err)
{
    const char *extension = bragg_path_extension(path);
    bragg_frame *m = NULL;
    if (!strcmp(path, "gaps"))
        return add_gaps(g, f, mask, err);
    if (!strcmp(extension, ".yaml") || !strcmp(extension, ".yml"))
        return bragg_mask_read_yaml(path, g, f, f->height, f->width, mask, err);
    bragg_status st = bragg_frame_read(path, 0, &m, err);
    return st < 0 ? st : add_frame(m, flip, f, mask, err);
}

bragg_status bragg_mask_read(const char *const *masks, size_t n, const char *flip, const bragg_geometry *geometry, const char *frame_path,
                             const bragg_frame *f, uint8_t **mask, bragg_error *err)
{
    *mask = calloc(f->width * f->height, 1);
    if (!*mask)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a mask");
    bragg_frame_mark_invalid(f, *mask); /* the detector's own gaps and dead pixels */
    bragg_status st = frame_path ? add_own(frame_path, flip, f, *mask, err) : BRAGG_OK;
    for (size_t k = 0; k < n && st >= 0; k++)
        st = masks[k] ? add_one(masks[k], flip, geometry, f, *mask, err) : st;
    if (st < 0) {
        free(*mask);
        *mask = NULL;
    }
    return st;
}
