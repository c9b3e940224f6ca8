/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compressed FITS images (FITS Standard 4.0, 10.): what cfitsio's decoders trust is looked
 * at before they run.  They read on until all pixels of a tile are there, also beyond
 * the end of its bytes, and write as many as came out.  Rice and gzip codes are walked
 * through here; PLIO and HCOMPRESS are believed only under a checksum, which fpack
 * writes. */
#include "config.h"
#include "fits_tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* ------------------------------------------------------------------- codes */

typedef struct bits {
    const unsigned char *at;
    size_t n, position; /* bits */
} bits;

static bool next_bit(bits *b, unsigned *bit)
{
    if (b->position >= b->n)
        return false;
    *bit = b->at[b->position / 8] >> (7 - b->position % 8) & 1;
    b->position++;
    return true;
}

static bool next_bits(bits *b, unsigned n, unsigned *value)
{
    unsigned bit;
    for (*value = 0; n; n--) {
        if (!next_bit(b, &bit))
            return false;
        *value = 2 * *value + bit;
    }
    return true;
}

/* Zeros up to a one, then `split` bits more. */
static bool skip_pixel(bits *b, unsigned split)
{
    unsigned bit = 0;
    while (!bit)
        if (!next_bit(b, &bit))
            return false;
    b->position += split;
    return b->position <= b->n;
}

/* FITS Standard 4.0, 10.4.1 (Rice, Yeh and Miller, AIAA 93-4541): the first pixel as it
 * is, then blocks, each with the number of bits that are not in the unary part. */
static bool rice_is_whole(const unsigned char *at, size_t n, size_t pixels, size_t block, unsigned bytes_a_pixel)
{
    unsigned width = bytes_a_pixel == 1 ? 3 : bytes_a_pixel == 2 ? 4 : 5, most = bytes_a_pixel == 1 ? 6 : bytes_a_pixel == 2 ? 14 : 25, split;
    bits b = { at, 8 * n, 8 * bytes_a_pixel };
    if (n <= bytes_a_pixel)
        return false;
    for (size_t k = 0; k < pixels; k += block) {
        size_t here = pixels - k < block ? pixels - k : block;
        if (!next_bits(&b, width, &split))
            return false;
        if (split == most + 1)
            b.position += here * 8 * bytes_a_pixel; /* as they are */
        for (size_t i = 0; split && split <= most && i < here; i++)
            if (!skip_pixel(&b, split - 1))
                return false;
        if (split > most + 1 || b.position > b.n)
            return false;
    }
    return true;
}

/* The ways to compress; their names are those of ZCMPTYPE. */
typedef enum method { RICE, GZIP, PLIO, HCOMPRESS, NONE } method;
static const struct { const char *name; method method; } methods[] = { { "RICE_1", RICE }, { "RICE_ONE", RICE },           { "GZIP_1", GZIP },    { "GZIP_2", GZIP },
                                                                       { "PLIO_1", PLIO }, { "HCOMPRESS_1", HCOMPRESS }, { "NOCOMPRESS", NONE } };

/* A column of a table: TFORM "16I", "1PB(120)". */
typedef struct column {
    char type, element;     /* 'P' and 'Q' point to elements in the heap */
    size_t at, width;       /* bytes within a row; width 0: there is none */
} column;

/* How a compressed image lies in its table. */
typedef struct layout {
    size_t row, rows, heap, heap_bytes;     /* heap: from the begin of the data */
    column packed, gzipped, plain;
    method method;
    unsigned block, bytes;                  /* of Rice: pixels a block, bytes a pixel */
    size_t tile[3], tiles[3];
    unsigned pixel;                         /* bytes of one that is not compressed */
    bool real;
} layout;

/* ----------------------------------------------------------------- columns */

static size_t width_of(char type)
{
    static const char types[] = "LBAXIJEKDCPMQ";
    static const unsigned char widths[] = { 1, 1, 1, 1, 2, 4, 4, 8, 8, 8, 8, 16, 16 };
    const char *at = type ? strchr(types, type) : NULL;
    return at ? widths[at - types] : 0;
}

/* 7.3.1 and 7.3.5. */
static bool read_form(const char *form, column *c)
{
    size_t repeat = 1, digits = strspn(form, "0123456789");
    if (digits > 9)
        return false;
    if (digits)
        repeat = strtoul(form, NULL, 10);
    const char *rest = form + digits + 1;
    *c = (column){ .type = form[digits] };
    if (!width_of(c->type))
        return false;
    c->width = c->type == 'X' ? (repeat + 7) / 8 : repeat * width_of(c->type);
    if (c->type == 'P' || c->type == 'Q') {
        c->element = *rest;
        if (repeat > 1 || !width_of(*rest++))
            return false;
        return !*rest || (*rest == '(' && strspn(rest + 1, "0123456789") + 2 == strlen(rest) && rest[strlen(rest) - 1] == ')');
    }
    return strspn(rest, "0123456789") == strlen(rest) && (!*rest || c->type == 'A');
}

/* The column of that name; width 0 when there is none. */
static column find_column(const fits_unit *u, const char *name)
{
    size_t n = (size_t)bragg_fits_integer(bragg_fits_card(u, "TFIELDS"), 0), at = 0;
    for (size_t k = 1; k <= n; k++) {
        column c;
        if (!read_form(bragg_fits_text(bragg_fits_card_of(u, "TFORM", k)), &c))
            break;
        c.at = at;
        at += c.width;
        if (!strcasecmp(bragg_fits_text(bragg_fits_card_of(u, "TTYPE", k)), name))
            return c;
    }
    return (column){ 0 };
}

bragg_status bragg_fits_check_table(const frame_file *f, const fits_unit *u, bragg_error *err)
{
    long long fields = bragg_fits_integer(bragg_fits_card(u, "TFIELDS"), -1);
    if (bragg_fits_integer(u->card + 1, 0) != 8 || bragg_fits_integer(u->card + 2, 0) != 2 || fields < 0 || fields > 999)
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected a table of bytes (BITPIX 8, NAXIS 2) of at most 999 columns, found TFIELDS %lld", f->path, u->number, fields);
    size_t row = (size_t)u->card[3].integer, table = row * (size_t)u->card[4].integer, sum = 0;
    for (size_t k = 1; k <= (size_t)fields; k++) {
        column c;
        const char *form = bragg_fits_text(bragg_fits_card_of(u, "TFORM", k));
        if (!read_form(form, &c))
            return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: TFORM%zu: expected a form like '16I' or '1PB(99)', found '%.20s'", f->path, u->number, k, form);
        sum += c.width;
    }
    if (sum != row)
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected columns of %zu bytes together (NAXIS1), found %zu", f->path, u->number, row, sum);
    long long heap = bragg_fits_integer(bragg_fits_card(u, "THEAP"), (long long)table);
    if (heap < (long long)table || (size_t)heap > u->bytes)
        return bragg_fail(err, BRAGG_EDATA, "%s: unit %zu: expected THEAP between %zu and %zu, found %lld", f->path, u->number, table, u->bytes, heap);
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ layout */

/* ZVAL1 is the block, ZVAL2 the bytes of a pixel; some have it the other way round. */
static void read_rice(const fits_unit *u, layout *l)
{
    double block = bragg_fits_number(bragg_fits_card(u, "ZVAL1")), each = bragg_fits_number(bragg_fits_card(u, "ZVAL2"));
    if (!(fabs(each) < 1e6) || !strcmp(bragg_fits_text(bragg_fits_card(u, "ZNAME2")), "NOISEBIT"))
        each = 4;
    if (block < 16 && each > 8) {
        double keep = block;
        block = each;
        each = keep;
    }
    l->block = block >= 1 && block <= 1024 ? (unsigned)block : 0;
    l->bytes = each == 1 || each == 2 || each == 4 ? (unsigned)each : 0;
}

static bragg_status read_tile_sizes(const frame_file *f, const fits_picture *p, layout *l, bragg_error *err)
{
    enum { MOST_PIXELS = 1 << 28 };
    size_t rows = 1, pixels = 1;
    for (size_t k = 0; k < 3; k++) {
        long long n = k < p->axes ? bragg_fits_integer(bragg_fits_card_of(&p->unit, "ZTILE", k + 1), k ? 1 : (long long)p->axis[0]) : 1;
        if (n < 1 || n > MOST_PIXELS)
            return bragg_fail(err, BRAGG_EDATA, "%s: expected tiles of 1 pixel at least, found ZTILE%zu = %lld", f->path, k + 1, n);
        l->tile[k] = (size_t)n;
        l->tiles[k] = (p->axis[k] - 1) / l->tile[k] + 1;
        pixels *= l->tile[k]; /* no overflow: twice 2^28 at most before it is looked at */
        if (pixels > MOST_PIXELS || __builtin_mul_overflow(rows, l->tiles[k], &rows) || rows > l->rows)
            return bragg_fail(err, BRAGG_EDATA, "%s: expected as many tiles of at most %d pixels as the table has rows, %zu", f->path, MOST_PIXELS, l->rows);
    }
    return rows == l->rows ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: expected %zu tiles, found %zu rows", f->path, rows, l->rows);
}

static bragg_status read_method(const frame_file *f, const fits_unit *u, layout *l, bragg_error *err)
{
    const char *name = bragg_fits_text(bragg_fits_card(u, "ZCMPTYPE"));
    size_t k = 0, n = sizeof methods / sizeof *methods;
    while (k < n && strcmp(methods[k].name, name))
        k++;
    if (k == n)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected ZCMPTYPE RICE_1, GZIP_1, GZIP_2, PLIO_1, HCOMPRESS_1 or NOCOMPRESS, found '%.20s'", f->path, name);
    l->method = methods[k].method;
    if (l->method == RICE)
        read_rice(u, l);
    if (l->method == RICE && (!l->block || !l->bytes || (l->real && l->bytes != 4)))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected blocks of 16 or 32 pixels of 1, 2 or 4 bytes, found %u of %u", f->path, l->block, l->bytes);
    return BRAGG_OK;
}

static bool is_number(column c) { return !c.width || (strchr("BIJKED", c.type) && c.width == width_of(c.type)); }
static bool points_to(column c, const char *elements) { return !c.width || (c.element && strchr(elements, c.element)); }

static bragg_status read_layout(const frame_file *f, const fits_picture *p, layout *l, bragg_error *err)
{
    const fits_unit *u = &p->unit;
    long long depth = bragg_fits_integer(bragg_fits_card(u, "ZBITPIX"), 0), dither = bragg_fits_integer(bragg_fits_card(u, "ZDITHER0"), 1);
    *l = (layout){ .row = (size_t)u->card[3].integer, .rows = (size_t)u->card[4].integer };
    l->heap = (size_t)bragg_fits_integer(bragg_fits_card(u, "THEAP"), (long long)(l->row * l->rows));
    l->heap_bytes = u->bytes - l->heap;
    l->pixel = (unsigned)llabs(depth) / 8;
    l->real = depth < 0;
    if (depth != 8 && depth != 16 && depth != 32 && depth != -32 && depth != -64)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a compressed image with a ZBITPIX of 8, 16, 32, -32 or -64, found %lld", f->path, depth);
    if (dither < 1 || dither > 10000) /* 10.2.1 */
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a ZDITHER0 of 1 to 10000, found %lld", f->path, dither);
    bragg_status st = read_method(f, u, l, err);
    if (st == BRAGG_OK)
        st = read_tile_sizes(f, p, l, err);
    if (st < 0)
        return st;
    l->packed = find_column(u, "COMPRESSED_DATA");
    l->gzipped = find_column(u, "GZIP_COMPRESSED_DATA");
    l->plain = find_column(u, "UNCOMPRESSED_DATA");
    if (!l->packed.width || !points_to(l->packed, l->method == PLIO ? "I" : "B") || !points_to(l->gzipped, "B") || !points_to(l->plain, "BIJED"))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected columns of arrays of %s for compressed tiles", f->path, l->method == PLIO ? "16-bit integers" : "bytes");
    if (!is_number(find_column(u, "ZSCALE")) || !is_number(find_column(u, "ZZERO")) || !is_number(find_column(u, "ZBLANK")))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected one number a tile in the columns ZSCALE, ZZERO and ZBLANK", f->path);
    return BRAGG_OK;
}

bragg_status bragg_fits_check_compression(const frame_file *f, const fits_picture *p, bragg_error *err)
{
    layout l;
    return read_layout(f, p, &l, err);
}

/* ------------------------------------------------------------------- tiles */

static size_t big_endian(const unsigned char *at, size_t n)
{
    size_t v = 0;
    while (n--)
        v = v << 8 | *at++;
    return v;
}

/* Elements of a row in the heap, and where. */
static bragg_status describe(const frame_file *f, const fits_picture *p, const layout *l, const column *c, size_t row, size_t *n, size_t *at, bragg_error *err)
{
    unsigned char d[16];
    size_t half = c->type == 'P' ? 4 : 8, size;
    *n = *at = 0;
    if (!c->width)
        return BRAGG_OK;
    bragg_status st = bragg_frame_piece(f, p->unit.data + row * l->row + c->at, 2 * half, d, err);
    if (st < 0)
        return st;
    *n = big_endian(d, half);
    *at = big_endian(d + half, half);
    if (*at > l->heap_bytes || __builtin_mul_overflow(*n, width_of(c->element), &size) || size > l->heap_bytes - *at)
        return bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected its bytes within the heap of %zu, found %zu elements at byte %zu", f->path, row + 1, l->heap_bytes, *n, *at);
    *at += p->unit.data + l->heap;
    return BRAGG_OK;
}

/* As much as is said, and then the end: cfitsio would go on asking for memory.  gzip
 * with one header (RFC 1952), which has sums of its own. */
static bool gzip_is_whole(unsigned char *at, size_t n, size_t size, size_t other)
{
    unsigned char out[16384];
    z_stream z = { .next_in = at, .avail_in = (uInt)n };
    int rc = n <= UINT32_MAX && inflateInit2(&z, 15 + 16) == Z_OK ? Z_OK : Z_MEM_ERROR;
    while (rc == Z_OK && z.total_out <= size + other) {
        z.next_out = out;
        z.avail_out = sizeof out;
        rc = inflate(&z, Z_NO_FLUSH);
    }
    size_t got = z.total_out;
    inflateEnd(&z);
    return rc == Z_STREAM_END && (got == size || got == other);
}

static bragg_status check_bytes(const frame_file *f, const layout *l, bool gzipped, size_t row, size_t at, size_t n, size_t pixels, bragg_error *err)
{
    unsigned char *piece = malloc(n);
    if (!piece)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a tile of %zu bytes", n);
    bragg_status st = bragg_frame_piece(f, at, n, piece, err);
    if (st == BRAGG_OK && gzipped && !gzip_is_whole(piece, n, pixels * l->pixel, pixels * l->pixel))
        st = bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected gzip of %zu real numbers, found less or more", f->path, row + 1, pixels);
    else if (st == BRAGG_OK && !gzipped && l->method == GZIP && !gzip_is_whole(piece, n, pixels * l->pixel, pixels * 4))
        st = bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected gzip of %zu pixels, found less or more", f->path, row + 1, pixels);
    else if (st == BRAGG_OK && !gzipped && l->method == RICE && !rice_is_whole(piece, n, pixels, l->block, l->bytes))
        st = bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected Rice codes of %zu pixels, found the end before", f->path, row + 1, pixels);
    free(piece);
    return st;
}

/* cfitsio takes the first of three columns that has something for the tile. */
static bragg_status check_tile(const frame_file *f, const fits_picture *p, const layout *l, size_t row, size_t pixels, bragg_error *err)
{
    size_t n, at;
    bragg_status st = describe(f, p, l, &l->packed, row, &n, &at, err);
    if (st < 0 || n)
        return st < 0 ? st : l->method == NONE ? bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected no compressed bytes, found %zu", f->path, row + 1, n)
                           : check_bytes(f, l, false, row, at, n, pixels, err);
    st = describe(f, p, l, &l->plain, row, &n, &at, err);
    if (st < 0 || l->plain.width)
        return st < 0 || n == pixels ? st : bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected %zu pixels, found %zu", f->path, row + 1, pixels, n);
    st = describe(f, p, l, &l->gzipped, row, &n, &at, err);
    if (st < 0)
        return st;
    if (!n || !l->real)
        return bragg_fail(err, BRAGG_EDATA, "%s: tile %zu: expected its pixels, found none", f->path, row + 1);
    return check_bytes(f, l, true, row, at, n, pixels, err);
}

bragg_status bragg_fits_check_tiles(const frame_file *f, const fits_picture *p, size_t index, bool *sums, bragg_error *err)
{
    layout l;
    *sums = false;
    bragg_status st = p->compressed ? read_layout(f, p, &l, err) : BRAGG_OK;
    if (st < 0 || !p->compressed)
        return st;
    *sums = l.method == PLIO || l.method == HCOMPRESS;
    size_t plane = index / l.tile[2], at[3] = { 0, 0, plane };
    for (at[1] = 0; st == BRAGG_OK && at[1] < l.tiles[1]; at[1]++)
        for (at[0] = 0; st == BRAGG_OK && at[0] < l.tiles[0]; at[0]++) {
            size_t pixels = 1;
            for (size_t k = 0; k < 3; k++) {
                size_t left = p->axis[k] - at[k] * l.tile[k];
                pixels *= left < l.tile[k] ? left : l.tile[k];
            }
            st = check_tile(f, p, &l, at[0] + l.tiles[0] * (at[1] + l.tiles[1] * plane), pixels, err);
        }
    return st;
}
