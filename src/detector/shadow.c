/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The beam stop and its arm, found by their shadow. */
#include "config.h"
#include "tiles.h"

#include <bragg/array.h>
#include <stdlib.h>
#include <string.h>

/* A pixel is judged with those about it, so many that these expect ENOUGH counts: five
 * standard deviations from the SHADOW of it that an arm of plastic lets through at
 * least. */
enum { WIDEST = 5, ENOUGH = 625, LEVELS = 15, BORDER = 2, FEW = 20, WIDEST_GAP = 40, WIDEST_RING = 12, NEAR_BEAM = 4, WAYS = 8, EDGE = 10, CLOSED = 8, MOST_RINGS = 20000 };
static const double shadow = 0.8, steep = 1.5;

typedef struct scene {
    size_t rows, columns, n;
    const uint8_t *mask;
    double *value;             /* a pixel, over solid angle and polarization; NAN where it does not count */
    float *radius;             /* in pixels */
    double *level;             /* a ring of one pixel's width: how bright it is where it is bright */
    double *count, *sum;       /* integral images, (rows + 1) x (columns + 1) */
    uint8_t *dark;
} scene;

/* ------------------------------------------------------------------ levels */

/* Medians: an arm covers less than half of a ring, and single bright pixels do not count. */
static bragg_status ring_levels(scene *s, bragg_error *err)
{
    size_t pixels = s->rows * s->columns;
    size_t *start = calloc(s->n + 2, sizeof *start);
    double *sorted = malloc((pixels + 1) * sizeof *sorted);
    bragg_status st = start && sorted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu pixels", pixels);
    for (size_t i = 0; st == BRAGG_OK && i < pixels; i++)
        if (isfinite(s->value[i]))
            start[(size_t)s->radius[i] + 2]++;
    for (size_t k = 0; st == BRAGG_OK && k < s->n; k++)
        start[k + 2] += start[k + 1];
    for (size_t i = 0; st == BRAGG_OK && i < pixels; i++)
        if (isfinite(s->value[i]))
            sorted[start[(size_t)s->radius[i] + 1]++] = s->value[i];
    for (size_t k = 0; st == BRAGG_OK && k < s->n; k++) {
        size_t n = start[k + 1] - start[k];
        qsort(sorted + start[k], n, sizeof *sorted, bragg_array_by_value);
        s->level[k] = n ? sorted[start[k] + n / 2] : NAN;
    }
    free(start);
    free(sorted);
    return st;
}

/* Medians over rings of many radii take Bragg's rings out and leave the edge of the stop
 * sharp: inside of it all would be as bright as just outside.  A pattern's own humps
 * rise slowly. */
static bragg_status smooth_levels(scene *s, bragg_error *err)
{
    double *out = malloc((s->n + 1) * sizeof *out), near[2 * LEVELS + 1];
    if (!out)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu rings", s->n);
    size_t edge = 0;
    for (size_t k = 0; k < s->n; k++) {
        size_t n = 0;
        for (size_t j = k > LEVELS ? k - LEVELS : 0; j < s->n && j <= k + LEVELS; j++)
            if (isfinite(s->level[j]))
                near[n++] = s->level[j];
        qsort(near, n, sizeof *near, bragg_array_by_value);
        out[k] = n ? near[n / 2] : 0;
    }
    for (size_t k = 0; k + EDGE < s->n / 8; k++)
        if (out[k + EDGE] > steep * out[k])
            edge = k + EDGE;
    for (size_t k = 0; k < s->n; k++)
        s->level[k] = k < edge ? out[edge] : out[k];
    free(out);
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ shadow */

static void integrate_images(scene *s)
{
    size_t w = s->columns + 1;
    for (size_t i = 0; i < s->rows; i++) {
        double n = 0, sum = 0;
        for (size_t j = 0; j < s->columns; j++) {
            double v = s->value[i * s->columns + j];
            n += isfinite(v);
            sum += isfinite(v) ? v : 0;
            s->count[(i + 1) * w + j + 1] = s->count[i * w + j + 1] + n;
            s->sum[(i + 1) * w + j + 1] = s->sum[i * w + j + 1] + sum;
        }
    }
}

static double box(const double *image, size_t w, size_t i0, size_t j0, size_t i1, size_t j1)
{
    return image[i1 * w + j1] - image[i0 * w + j1] - image[i1 * w + j0] + image[i0 * w + j0];
}

/* Less bright than it should be, by the smallest window that can tell. */
static bool is_dark(const scene *s, size_t i, size_t j)
{
    size_t pixel = i * s->columns + j, w = s->columns + 1;
    double level = s->level[(size_t)s->radius[pixel]];
    for (size_t k = 1; k <= WIDEST; k++) {
        size_t i0 = i > k ? i - k : 0, j0 = j > k ? j - k : 0, i1 = MIN(i + k + 1, s->rows), j1 = MIN(j + k + 1, s->columns);
        double n = box(s->count, w, i0, j0, i1, j1);
        if (n > 0 && n * level >= ENOUGH)
            return box(s->sum, w, i0, j0, i1, j1) < n * level * shadow;
    }
    return false;
}

/* The next pixel in one of eight directions: over gaps the first that counts; of dark
 * ones also over a few that are not, for the arm crosses bright rings.  Itself when there
 * is none. */
static size_t beyond(const scene *s, size_t at, int way)
{
    static const struct { int row, column; } ways[WAYS] = { { -1, 0 }, { 1, 0 }, { 0, -1 }, { 0, 1 }, { -1, -1 }, { -1, 1 }, { 1, -1 }, { 1, 1 } };
    long i = (long)(at / s->columns), j = (long)(at % s->columns);
    bool from_dark = s->dark[at];
    for (int k = 0, bright = 0; k < WIDEST_GAP && bright < WIDEST_RING; k++) {
        i += ways[way].row;
        j += ways[way].column;
        if (i < 0 || j < 0 || i >= (long)s->rows || j >= (long)s->columns)
            break;
        size_t next = (size_t)i * s->columns + (size_t)j;
        if (s->dark[next] || (!from_dark && isfinite(s->value[next])))
            return next;
        bright += isfinite(s->value[next]);
    }
    return at;
}

static size_t take(scene *s, size_t at, size_t *todo, size_t n)
{
    if (s->dark[at] == 1) {
        s->dark[at] = 2;
        todo[n++] = at;
    }
    return n;
}

/* Dark pixels that hang together with those about the beam. */
static bragg_status spread(scene *s, size_t row, size_t column, bragg_error *err)
{
    size_t pixels = s->rows * s->columns, n = 0, centre = row * s->columns + column;
    size_t *todo = malloc((pixels + 1) * sizeof *todo);
    if (!todo)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu pixels", pixels);
    n = take(s, centre, todo, n);
    for (int way = 0; way < WAYS; way++) { /* out of a gap, and some pixels on: the beam may shine through */
        size_t at = centre;
        for (int k = 0; k < NEAR_BEAM; k++)
            n = take(s, at = beyond(s, at, way), todo, n);
    }
    while (n) {
        size_t at = todo[--n];
        for (int way = 0; way < WAYS; way++)
            n = take(s, beyond(s, at, way), todo, n);
    }
    free(todo);
    return BRAGG_OK;
}

/* Found pixels not far on both sides, along a row, a column or a diagonal. */
static bool lies_between(const scene *s, size_t i, size_t j)
{
    static const struct { int row, column; } ways[4] = { { 1, 0 }, { 0, 1 }, { 1, 1 }, { 1, -1 } };
    for (int way = 0; way < 4; way++) {
        int sides = 0;
        for (int sign = -1; sign < 2; sign += 2) {
            bool met = false;
            for (int k = 1; !met && k <= CLOSED; k++) {
                long a = (long)i + sign * k * ways[way].row, b = (long)j + sign * k * ways[way].column;
                met = a >= 0 && b >= 0 && a < (long)s->rows && b < (long)s->columns && s->dark[(size_t)a * s->columns + (size_t)b] == 2;
            }
            sides += met;
        }
        if (sides == 2)
            return true;
    }
    return false;
}

static bool lies_near(const scene *s, size_t i, size_t j)
{
    for (size_t a = i > BORDER ? i - BORDER : 0; a <= MIN(i + BORDER, s->rows - 1); a++)
        for (size_t b = j > BORDER ? j - BORDER : 0; b <= MIN(j + BORDER, s->columns - 1); b++)
            if (s->dark[a * s->columns + b] == 2)
                return true;
    return false;
}

/* With a border, and where bright rings cross the arm. */
static size_t mark(const scene *s, uint8_t *mask)
{
    size_t n = 0;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < s->columns; j++)
            if (!mask[i * s->columns + j] && (lies_near(s, i, j) || lies_between(s, i, j))) {
                mask[i * s->columns + j] = 1;
                n++;
            }
    return n;
}

static void look(scene *s, const bragg_frame *f, const bragg_geometry *g, double polarization, const uint8_t *mask)
{
    double pixel = (g->pixel_slow_m + g->pixel_fast_m) / 2;
    s->n = 0;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < s->columns; j++) {
            size_t at = i * s->columns + j;
            bragg_ray r = bragg_geometry_ray(g, (double)i + 0.5, (double)j + 0.5);
            double radius = r.r_m / pixel;
            s->value[at] = mask[at] || !(radius >= 0 && radius < MOST_RINGS) ? NAN : bragg_plan_value(f, at) / (r.solid_angle * (isnan(polarization) ? 1 : bragg_polarization(r.two_theta_rad, r.chi_rad, polarization)));
            s->radius[at] = radius >= 0 && radius < MOST_RINGS ? (float)radius : 0;
            s->n = MAX(s->n, (size_t)s->radius[at] + 1);
        }
}

static bragg_status find(scene *s, size_t row, size_t column, uint8_t *mask, size_t *found, bragg_error *err)
{
    bragg_status st = ring_levels(s, err);
    if (st == BRAGG_OK)
        st = smooth_levels(s, err);
    if (st < 0)
        return st;
    integrate_images(s);
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < s->columns; j++)
            s->dark[i * s->columns + j] = isfinite(s->value[i * s->columns + j]) && is_dark(s, i, j);
    st = spread(s, row, column, err);
    size_t n = 0;
    for (size_t i = 0; i < s->rows * s->columns; i++)
        n += s->dark[i] == 2 && !mask[i];
    if (st == BRAGG_OK && n >= FEW)
        *found = mark(s, mask);
    return st;
}

bragg_status bragg_mask_beam_stop(const bragg_frame *f, const bragg_geometry *geometry, double polarization, uint8_t *mask, size_t *found, bragg_error *err)
{
    bragg_geometry g = *geometry;
    double slow, fast;
    size_t pixels = f->width * f->height, n = 0, image = (f->width + 1) * (f->height + 1);
    g.rows = f->height;
    g.columns = f->width;
    if (found)
        *found = 0;
    if (!bragg_geometry_point(&g, 0, 0, &slow, &fast) || !(slow >= 0 && slow < (double)f->height && fast >= 0 && fast < (double)f->width))
        return BRAGG_OK;
    scene s = { .rows = f->height, .columns = f->width, .mask = mask, .value = malloc(pixels * sizeof *s.value), .radius = malloc(pixels * sizeof *s.radius),
                .level = malloc((MOST_RINGS + 1) * sizeof *s.level) /* a float may round up to it */, .count = calloc(2 * image, sizeof *s.count), .dark = calloc(pixels, 1) };
    s.sum = s.count ? s.count + image : NULL;
    bragg_status st = BRAGG_OK;
    if (!s.value || !s.radius || !s.level || !s.count || !s.dark)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu pixels", pixels);
    if (st == BRAGG_OK) {
        look(&s, f, &g, polarization, mask);
        st = find(&s, (size_t)slow, (size_t)fast, mask, &n, err);
    }
    if (found)
        *found = n;
    free(s.value);
    free(s.radius);
    free(s.level);
    free(s.count);
    free(s.dark);
    return st;
}
