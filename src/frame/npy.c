/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NumPy arrays of two or three dimensions, C order. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/number.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct npy {
    size_t data, n, width, height;
    bragg_pixel type;
    bool big_endian;
} npy;

static bool probe(const unsigned char *h, size_t n) { return n > 10 && !memcmp(h, "\x93NUMPY", 6); }

static bool pixel_type(const char *descr, npy *a)
{
    static const struct { const char *name; bragg_pixel type; } names[] = {
        { "u1", BRAGG_U8 }, { "u2", BRAGG_U16 }, { "u4", BRAGG_U32 }, { "u8", BRAGG_U64 }, { "i1", BRAGG_I8 }, { "i2", BRAGG_I16 },
        { "i4", BRAGG_I32 }, { "i8", BRAGG_I64 }, { "f4", BRAGG_F32 }, { "f8", BRAGG_F64 }, { "b1", BRAGG_U8 } };
    a->big_endian = *descr == '>';
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (!strncmp(descr + 1, names[k].name, 2)) {
            a->type = names[k].type;
            return true;
        }
    return false;
}

static bragg_status parse(const char *path, const bytes *b, npy *a, bragg_error *err)
{
    size_t wide = b->at[6] >= 2 ? 4 : 2, length = b->n > 12 ? (size_t)b->at[8] | (size_t)b->at[9] << 8 : 0;
    if (wide == 4 && b->n > 12)
        length |= (size_t)b->at[10] << 16 | (size_t)b->at[11] << 24;
    *a = (npy){ .data = 8 + wide + length, .n = 1 };
    if (a->data > b->n)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a header of %zu bytes, found the end", path, length);
    const char *h = (const char *)b->at + 8 + wide, *descr = memmem(h, length, "'descr':", 8), *shape = memmem(h, length, "'shape':", 8);
    descr = descr ? strchr(descr + 8, '\'') : NULL;
    shape = shape ? strchr(shape, '(') : NULL;
    if (!descr || !shape || !pixel_type(descr + 1, a) || memmem(h, length, "'fortran_order': True", 21))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected an array of numbers in C order, found '%.60s'", path, h);
    size_t dims[4] = { 0 }, n = 0;
    for (const char *at = shape + 1; *at != ')' && n < 4;) {
        double v;
        const char *end;
        if (!bragg_number_scan(at, &end, &v) || !(v >= 1 && v < 1e9))
            return bragg_fail(err, BRAGG_EDATA, "%s: expected a shape, found '%.40s'", path, shape);
        dims[n++] = (size_t)v;
        for (at = end; *at == ',' || isspace((unsigned char)*at); at++)
            ;
    }
    if (n < 2 || n > 3)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected 2 or 3 dimensions, found %zu", path, n);
    a->n = n == 3 ? dims[0] : 1;
    a->height = dims[n - 2];
    a->width = dims[n - 1];
    if ((b->n - a->data) / bragg_pixel_size(a->type) / a->width / a->height < a->n)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu frames of %zu x %zu %s, found %zu bytes", path, a->n, a->width, a->height,
                          bragg_pixel_name(a->type), b->n - a->data);
    return BRAGG_OK;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    bytes b;
    npy a = { 0 };
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = parse(path, &b, &a, err);
    *n = a.n;
    free(b.at);
    return st;
}

static bragg_status read_npy(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    npy a;
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = parse(path, &b, &a, err);
    if (st == BRAGG_OK && index >= a.n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, a.n);
    if (st == BRAGG_OK)
        st = bragg_frame_new(a.width, a.height, a.type, out, err);
    if (st == BRAGG_OK) {
        size_t size = a.width * a.height * bragg_pixel_size(a.type);
        memcpy((*out)->data, b.at + a.data + index * size, size);
        if (a.big_endian)
            bragg_frame_swap((*out)->data, a.width * a.height, bragg_pixel_size(a.type));
    }
    free(b.at);
    return st;
}

const bragg_frame_reader bragg_frame_npy = { "NumPy", probe, count, read_npy };
