/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Integration plans on the disk, under the hash of what they depend on. */
#include "config.h"
#include "tiles.h"

#include <bragg/output.h>
#include <bragg/path.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file, numbers as this machine holds them, each block from a multiple of eight:
 *
 *      head | norm[bins] | correction[pixels] | of each tile: n_pieces, n_entries |
 *      tile after tile its pieces | … its entries
 *
 * `sum` is the hash of all behind the head. */
static const char magic[8] = "BRAGGPL";
enum { PLAN_VERSION = 1, SAME_ORDER = 0x01020304 };

typedef struct head {
    char magic[8];
    uint32_t version, order;
    char key[BRAGG_HASH_TEXT + 7], sum[BRAGG_HASH_TEXT + 7];
    uint64_t size;                            /* of all behind the head */
    uint64_t rows, columns, n_rings, n_azimuth, n_tiles, tiles_a_group, n_groups, n_entries;
    uint64_t axis, split, solid_angle, round, logarithmic;
    double polarization, sensor_mu_t, sample_mu_t, range[2], sector[2];
    double first, step, wavelength_ang, pixel_rad, chi_first, chi_step;
} head;

typedef struct counts {
    uint64_t pieces, entries;
} counts;

static size_t padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

/* --------------------------------------------------------------------- key */

/* Text that grows: what counts, number by number as it is held. */
typedef struct words {
    char text[2000];
    size_t n;
} words;

static void add_number(words *w, double v)
{
    w->n += (size_t)snprintf(w->text + w->n, sizeof w->text - w->n, " %a", v);
}

static void add_hash(words *w, const void *bytes, size_t size)
{
    char hash[BRAGG_HASH_TEXT];
    bragg_hash_bytes(bytes, size, hash);
    w->n += (size_t)snprintf(w->text + w->n, sizeof w->text - w->n, " %s", hash);
}

bragg_status bragg_plan_key(const bragg_geometry *g, size_t rows, size_t columns, const uint8_t *mask, const bragg_plan_options *o, char key[BRAGG_HASH_TEXT],
                            bragg_error *err)
{
    words w = { .n = 0 };
    const double numbers[] = { PLAN_VERSION, g->distance_m, g->poni1_m, g->poni2_m, g->rot1_rad, g->rot2_rad, g->rot3_rad, g->pixel_slow_m, g->pixel_fast_m, g->wavelength_ang,
                               g->orientation, (double)g->rows, (double)g->columns, (double)rows, (double)columns, o->axis, (double)o->n_bins, o->first, o->last, o->split, o->solid_angle, o->polarization, o->chi_first_rad,
                               o->chi_last_rad, (double)o->n_azimuth, o->sensor_mu_t, o->sample_mu_t, o->logarithmic, mask != NULL, o->flat != NULL };
    uint8_t *zero_or_one = mask ? malloc(rows * columns + 1) : NULL;
    if (mask && !zero_or_one)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a mask of %zu x %zu pixels", columns, rows);
    w.n = (size_t)snprintf(w.text, sizeof w.text, "%s", PACKAGE_VERSION);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        add_number(&w, numbers[k]);
    for (size_t i = 0; mask && i < rows * columns; i++)
        zero_or_one[i] = mask[i] != 0;
    if (mask)
        add_hash(&w, zero_or_one, rows * columns);
    if (o->flat) {
        add_number(&w, o->flat->type);
        add_hash(&w, o->flat->data, o->flat->width * o->flat->height * bragg_pixel_size(o->flat->type));
    }
    bragg_hash_bytes(w.text, w.n, key);
    free(zero_or_one);
    return BRAGG_OK;
}

/* ----------------------------------------------------------------- writing */

static size_t size_of(const bragg_plan *p)
{
    size_t size = plan_bins(p) * sizeof *p->norm + padded(p->rows * p->columns * sizeof *p->correction) + p->n_tiles * sizeof(counts);
    for (size_t i = 0; i < p->n_tiles; i++)
        size += p->tile[i].n_pieces * sizeof(piece) + padded(p->tile[i].n_entries * sizeof(entry));
    return size;
}

static char *put(char *at, const void *from, size_t bytes)
{
    if (bytes)
        memcpy(at, from, bytes);
    return at + padded(bytes);
}

static void put_all(const bragg_plan *p, char *at)
{
    at = put(at, p->norm, plan_bins(p) * sizeof *p->norm);
    at = put(at, p->correction, p->rows * p->columns * sizeof *p->correction);
    for (size_t i = 0; i < p->n_tiles; i++)
        at = put(at, &(counts){ p->tile[i].n_pieces, p->tile[i].n_entries }, sizeof(counts));
    for (size_t i = 0; i < p->n_tiles; i++)
        at = put(at, p->tile[i].piece, p->tile[i].n_pieces * sizeof(piece));
    for (size_t i = 0; i < p->n_tiles; i++)
        at = put(at, p->tile[i].entry, p->tile[i].n_entries * sizeof(entry));
}

static head head_of(const bragg_plan *p, const char *key, size_t size)
{
    const bragg_plan_options *o = &p->opt;
    head h = { .version = PLAN_VERSION, .order = SAME_ORDER, .size = size, .rows = p->rows, .columns = p->columns, .n_rings = p->n_rings, .n_azimuth = p->n_azimuth,
               .n_tiles = p->n_tiles, .tiles_a_group = p->tiles_a_group, .n_groups = p->n_groups, .n_entries = p->n_entries, .axis = o->axis, .split = o->split,
               .solid_angle = o->solid_angle, .round = p->round, .logarithmic = o->logarithmic, .polarization = o->polarization, .sensor_mu_t = o->sensor_mu_t,
               .sample_mu_t = o->sample_mu_t, .range = { o->first, o->last }, .sector = { o->chi_first_rad, o->chi_last_rad }, .first = p->first, .step = p->step,
               .wavelength_ang = p->wavelength_ang, .pixel_rad = p->pixel_rad, .chi_first = p->chi_first, .chi_step = p->chi_step };
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.key, sizeof h.key, "%s", key);
    return h;
}

bragg_status bragg_plan_save(const bragg_plan *p, const char *key, const char *path, bragg_error *err)
{
    size_t size = size_of(p);
    bragg_output *out;
    char *bytes = calloc(size + 1, 1);
    if (!bytes)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to save a plan of %zu bytes", size);
    put_all(p, bytes);
    head h = head_of(p, key, size);
    bragg_hash_bytes(bytes, size, h.sum);
    bragg_status st = bragg_output_open(path, true, &out, err);
    if (st >= 0) {
        fwrite(&h, sizeof h, 1, bragg_output_stream(out));
        fwrite(bytes, size, 1, bragg_output_stream(out));
        st = bragg_output_commit(out, err);
    }
    free(bytes);
    return st;
}

/* ----------------------------------------------------------------- reading */

/* Numbers of the head that a plan could have; the hash has told that no byte of the rest
 * is another, and the next function that they belong together. */
static bool head_is_whole(const head *h, const char *key)
{
    bool ours = !memcmp(h->magic, magic, sizeof magic) && h->version == PLAN_VERSION && h->order == SAME_ORDER && !strncmp(h->key, key, BRAGG_HASH_TEXT);
    const uint64_t most = UINT32_MAX;
    return ours && h->rows && h->columns && h->rows <= most / h->columns && h->n_rings && h->n_azimuth && h->n_rings <= 10000000 && h->n_azimuth <= 100000 &&
           h->n_rings * h->n_azimuth <= 100000000 && h->axis <= BRAGG_AXIS_R && h->split <= BRAGG_SPLIT_FULL &&
           h->n_tiles == ((h->rows + TILE_ROWS - 1) / TILE_ROWS) * ((h->columns + TILE_COLUMNS - 1) / TILE_COLUMNS) && h->tiles_a_group &&
           h->n_groups == (h->n_tiles + h->tiles_a_group - 1) / h->tiles_a_group && h->step > 0;
}

static void take_head(bragg_plan *p, const head *h)
{
    p->opt = (bragg_plan_options){ .axis = (bragg_axis)h->axis, .n_bins = h->n_rings, .first = h->range[0], .last = h->range[1], .split = (bragg_split)h->split,
                                   .solid_angle = h->solid_angle, .polarization = h->polarization, .chi_first_rad = h->sector[0], .chi_last_rad = h->sector[1],
                                   .n_azimuth = h->n_azimuth, .sensor_mu_t = h->sensor_mu_t, .sample_mu_t = h->sample_mu_t, .logarithmic = h->logarithmic };
    p->rows = h->rows;
    p->columns = h->columns;
    p->n_rings = h->n_rings;
    p->n_azimuth = h->n_azimuth;
    p->first = h->first;
    p->step = h->step;
    p->wavelength_ang = h->wavelength_ang;
    p->pixel_rad = h->pixel_rad;
    p->chi_first = h->chi_first;
    p->chi_step = h->chi_step;
    p->round = h->round;
    p->n_tiles = h->n_tiles;
    p->tiles_a_group = h->tiles_a_group;
    p->n_groups = h->n_groups;
    p->n_entries = h->n_entries;
}

/* The next `bytes` of the store; NULL beyond its end. */
static void *next_block(char **at, const char *end, uint64_t n, size_t size)
{
    char *block = *at;
    if (n > (size_t)(end - block) / size || padded(n * size) > (size_t)(end - block))
        return NULL;
    *at += padded(n * size);
    return block;
}

/* Pieces name bins there are, and their entries pixels of the tile. */
static bool tile_is_whole(const bragg_plan *p, const tile *t)
{
    uint64_t n = 0;
    for (size_t k = 0; k < t->n_pieces; k++) {
        n += t->piece[k].n;
        if (t->piece[k].bin >= plan_bins(p) || t->piece[k].n % UNROLL)
            return false;
    }
    uint32_t widest = 0;
    for (size_t k = 0; k < t->n_entries; k++)
        widest |= (uint32_t)(entry_offset(t->entry[k]) >= t->rows << TILE_SHIFT) | (uint32_t)((entry_offset(t->entry[k]) & (TILE_COLUMNS - 1)) >= t->columns);
    return n == t->n_entries && !widest;
}

/* Tiles point into the store; the rest is copied, as what frees a plan expects. */
static bragg_status take_store(bragg_plan *p, char *at, const char *end)
{
    size_t bins = plan_bins(p), pixels = p->rows * p->columns, a_band = (p->columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const norms *norm = next_block(&at, end, bins, sizeof *norm);
    const float *correction = next_block(&at, end, pixels, sizeof *correction);
    const counts *n = next_block(&at, end, p->n_tiles, sizeof *n);
    bool good = norm && correction && n;
    if (!good)
        return BRAGG_EDATA;
    p->norm = malloc(bins * sizeof *norm);
    p->correction = malloc(pixels * sizeof *correction);
    p->tile = calloc(p->n_tiles, sizeof *p->tile);
    if (!p->norm || !p->correction || !p->tile)
        return BRAGG_ENOMEM;
    memcpy(p->norm, norm, bins * sizeof *norm);
    memcpy(p->correction, correction, pixels * sizeof *correction);
    for (size_t i = 0; good && i < p->n_tiles; i++) {
        size_t row = i / a_band * TILE_ROWS, column = i % a_band * TILE_COLUMNS;
        p->tile[i] = (tile){ .row = row, .column = column, .rows = MIN(TILE_ROWS, p->rows - row), .columns = MIN(TILE_COLUMNS, p->columns - column),
                             .n_pieces = n[i].pieces, .n_entries = n[i].entries, .piece = next_block(&at, end, n[i].pieces, sizeof(piece)) };
        good = p->tile[i].piece;
    }
    for (size_t i = 0; good && i < p->n_tiles; i++)
        good = (p->tile[i].entry = next_block(&at, end, n[i].entries, sizeof(entry))) && tile_is_whole(p, &p->tile[i]);
    return good && at == end ? BRAGG_OK : BRAGG_EDATA;
}

static bragg_status read_store(FILE *in, const head *h, bragg_plan *p)
{
    char sum[BRAGG_HASH_TEXT];
    if (fseek(in, 0, SEEK_END) || ftell(in) < 0 || (uint64_t)ftell(in) != sizeof *h + h->size || fseek(in, sizeof *h, SEEK_SET))
        return BRAGG_EDATA;
    if (!(p->store = malloc(h->size + 1)))
        return BRAGG_ENOMEM;
    if (fread(p->store, 1, h->size, in) != h->size)
        return BRAGG_EIO;
    bragg_hash_bytes(p->store, h->size, sum);
    return strncmp(sum, h->sum, sizeof sum) ? BRAGG_EDATA : take_store(p, p->store, (char *)p->store + h->size);
}

bragg_status bragg_plan_load(const char *path, const char *key, bragg_plan **out, bragg_error *err)
{
    *out = NULL;
    head h;
    FILE *in = fopen(path, "rb");
    bragg_plan *p = calloc(1, sizeof *p);
    bragg_status st = !in ? BRAGG_EIO : !p ? BRAGG_ENOMEM : fread(&h, sizeof h, 1, in) == 1 && head_is_whole(&h, key) ? BRAGG_OK : BRAGG_EDATA;
    if (st == BRAGG_OK) {
        take_head(p, &h);
        st = read_store(in, &h, p);
    }
    if (in)
        fclose(in);
    if (st == BRAGG_OK) {
        *out = p;
        return BRAGG_OK;
    }
    if (p && !p->store)
        p->n_tiles = 0;
    bragg_plan_free(p);
    return st == BRAGG_EIO ? bragg_fail(err, st, "'%s': cannot be read", path) : st == BRAGG_ENOMEM ? bragg_fail(err, st, "'%s': no room for the plan", path)
         : bragg_fail(err, st, "'%s': expected the integration plan %s, found another or a damaged one", path, key);
}

bragg_status bragg_plan_get(const char *folder, const bragg_geometry *g, size_t rows, size_t columns, const uint8_t *mask, const bragg_plan_options *o, bool *known,
                            bragg_plan **out, bragg_error *err)
{
    char key[BRAGG_HASH_TEXT], name[BRAGG_HASH_TEXT + 8];
    bragg_error ignored = BRAGG_ERROR_INIT;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = bragg_plan_key(g, rows, columns, mask, o, key, err);
    if (known)
        *known = false;
    snprintf(name, sizeof name, "%.32s.plan", st == BRAGG_OK ? key : "");
    const char *path = arena && st == BRAGG_OK ? bragg_path_join(arena, folder, name) : NULL;
    if (path && bragg_plan_load(path, key, out, &ignored) == BRAGG_OK) {
        if (known)
            *known = true;
    } else if (st == BRAGG_OK) {
        st = bragg_plan_new(g, rows, columns, mask, o, out, err);
        ignored = (bragg_error)BRAGG_ERROR_INIT;
        if (st == BRAGG_OK && path && bragg_path_make_folder(folder, &ignored) >= 0)
            bragg_plan_save(*out, key, path, &ignored);
    }
    bragg_arena_free(arena);
    return st;
}
