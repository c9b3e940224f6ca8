/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compressed FITS images: what cfitsio's decoders trust is looked at before they run.
 * They read on until all pixels of a tile are there, also beyond the end of its bytes.
 * Rice codes are walked through here; PLIO and HCOMPRESS are believed only under a
 * checksum, which fpack writes. */
#include "config.h"
#include "fits_tiles.h"

#include <bragg/number.h>
#include <stdlib.h>
#include <string.h>

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

static bragg_status check_tile(fitsfile *f, const char *path, LONGLONG row, size_t pixels, LONGLONG most_bytes, bragg_error *err)
{
    const FITSfile *x = f->Fptr;
    int status = 0, any;
    LONGLONG n = 0, offset;
    unsigned char nothing = 0;
    if (fits_read_descriptll(f, x->cn_compressed, row, &n, &offset, &status) || n < 0 || n > most_bytes) {
        fits_clear_errmsg();
        return bragg_fail(err, BRAGG_EDATA, "%s: tile %lld: expected its compressed bytes within the file", path, (long long)row);
    }
    if (n == 0) /* kept in another column, with gzip or not compressed */
        return BRAGG_OK;
    unsigned char *at = malloc((size_t)n);
    if (!at)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a tile of %lld bytes", (long long)n);
    fits_read_col(f, TBYTE, x->cn_compressed, row, 1, n, &nothing, at, &any, &status);
    bool whole = !status && rice_is_whole(at, (size_t)n, pixels, (size_t)x->rice_blocksize, (unsigned)x->rice_bytepix);
    fits_clear_errmsg();
    free(at);
    return whole ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: tile %lld: expected Rice codes of %zu pixels, found the end before", path, (long long)row, pixels);
}

static bragg_status check_rice(fitsfile *f, const char *path, long index, bragg_error *err)
{
    const FITSfile *x = f->Fptr;
    long tiles[3] = { 1, 1, 1 }, axis[3] = { 1, 1, 1 }, size[3] = { 1, 1, 1 };
    if (x->rice_blocksize < 1 || x->rice_blocksize > 1024 || (x->rice_bytepix != 1 && x->rice_bytepix != 2 && x->rice_bytepix != 4))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected blocks of 16 or 32 pixels of 1, 2 or 4 bytes, found %d of %d", path, x->rice_blocksize, x->rice_bytepix);
    for (int k = 0; k < x->zndim && k < 3; k++) {
        axis[k] = x->znaxis[k];
        size[k] = x->tilesize[k];
        if (size[k] < 1 || axis[k] < 1)
            return bragg_fail(err, BRAGG_EDATA, "%s: expected tiles and axes of 1 pixel at least, found %ld of %ld", path, size[k], axis[k]);
        tiles[k] = (axis[k] - 1) / size[k] + 1;
    }
    long plane = index / size[2];
    for (long j = 0; j < tiles[1]; j++)
        for (long i = 0; i < tiles[0]; i++) {
            size_t pixels = 1;
            long at[3] = { i, j, plane };
            for (int k = 0; k < 3; k++)
                pixels *= (size_t)(axis[k] - at[k] * size[k] < size[k] ? axis[k] - at[k] * size[k] : size[k]);
            bragg_status st = check_tile(f, path, 1 + i + tiles[0] * (j + tiles[1] * plane), pixels, x->logfilesize, err);
            if (st < 0)
                return st;
        }
    return BRAGG_OK;
}

/* "ZVAL1   =                   32 / pixels per block": the number, 1 where it is none. */
static double card_number(const unsigned char *card)
{
    char text[71] = "";
    const char *end;
    double v;
    memcpy(text, card + 10, 70);
    return bragg_number_scan(text + strspn(text, " "), &end, &v) ? v : 1;
}

bool bragg_fits_header_divides_by_zero(const unsigned char *head, size_t n)
{
    bool rice = memmem(head, n, "'RICE_", 6);
    for (size_t at = 0; at + 80 <= n; at += 80)
        if ((!memcmp(head + at, "ZTILE", 5) || (rice && !memcmp(head + at, "ZVAL", 4))) && !(card_number(head + at) >= 1))
            return true;
    return false;
}

bragg_status bragg_fits_check_tiles(fitsfile *f, const char *path, size_t index, bragg_error *err)
{
    int status = 0, data = 0, unit = 0;
    const FITSfile *x = f->Fptr;
    if (!x->compressimg || x->compress_type == GZIP_1 || x->compress_type == GZIP_2 || x->compress_type == NOCOMPRESS)
        return BRAGG_OK;
    if (x->compress_type == RICE_1)
        return check_rice(f, path, (long)index, err);
    fits_verify_chksum(f, &data, &unit, &status);
    fits_clear_errmsg();
    if (!status && data == 1 && unit == 1)
        return BRAGG_OK;
    return bragg_fail(err, BRAGG_EDATA, "%s: compressed with %s, whose decoder believes what it reads: expected the right CHECKSUM and DATASUM, found %s; funpack and fpack the file again",
                      path, x->zcmptype, unit == 0 || data == 0 ? "none" : "another");
}
