/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NumPy arrays of two or three dimensions, C order. */
#include "config.h"
#include "bytes.h"
#include "reader.h"
#include "writer.h"

#include <bragg/bytes.h>
#include <bragg/number.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct npy {
    size_t data, n, width, height;
    bragg_pixel type;
    bool big_endian;
} npy;

static bool probe(const unsigned char *h, size_t n) { return n > 10 && !memcmp(h, "\x93NUMPY", 6); }

/* In the order of bragg_pixel; truth values are read as numbers. */
static const struct { const char *name; bragg_pixel type; } names[] = {
    { "u1", BRAGG_U8 }, { "u2", BRAGG_U16 }, { "u4", BRAGG_U32 }, { "u8", BRAGG_U64 }, { "i1", BRAGG_I8 }, { "i2", BRAGG_I16 },
    { "i4", BRAGG_I32 }, { "i8", BRAGG_I64 }, { "f4", BRAGG_F32 }, { "f8", BRAGG_F64 }, { "b1", BRAGG_U8 } };

static bool pixel_type(const char *descr, npy *a)
{
    a->big_endian = *descr == '>';
    for (size_t k = 0; *descr && k < sizeof names / sizeof *names; k++)
        if (!strncmp(descr + 1, names[k].name, 2)) {
            a->type = names[k].type;
            return true;
        }
    return false;
}

static bragg_status parse_header(const frame_file *f, const char *h, size_t length, npy *a, bragg_error *err)
{
    const char *descr = memmem(h, length, "'descr':", 8), *shape = memmem(h, length, "'shape':", 8);
    descr = descr ? strchr(descr + 8, '\'') : NULL;
    shape = shape ? strchr(shape, '(') : NULL;
    if (!descr || !shape || !pixel_type(descr + 1, a) || memmem(h, length, "'fortran_order': True", 21))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected an array of numbers in C order, found '%.*s'", f->path, bragg_utf8_most(h, 60), h);
    size_t dims[4] = { 0 }, n = 0;
    for (const char *at = shape + 1; *at != ')' && n < 4;) {
        double v;
        const char *end;
        if (!bragg_number_scan(at, &end, &v) || !(v >= 1 && v < 1e9))
            return bragg_fail(err, BRAGG_EDATA, "%s: expected a shape, found '%.*s'", f->path, bragg_utf8_most(shape, 40), shape);
        dims[n++] = (size_t)v;
        for (at = end; *at == ',' || isspace((unsigned char)*at); at++)
            ;
    }
    if (n < 2 || n > 3)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected 2 or 3 dimensions, found %zu", f->path, n);
    a->n = n == 3 ? dims[0] : 1;
    a->height = dims[n - 2];
    a->width = dims[n - 1];
    if ((f->n - a->data) / bragg_pixel_size(a->type) / a->width / a->height < a->n)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu frames of %zu x %zu %s, found %zu bytes", f->path, a->n, a->width, a->height,
                          bragg_pixel_name(a->type), f->n - a->data);
    return BRAGG_OK;
}

static bragg_status parse(const frame_file *f, npy *a, bragg_error *err)
{
    enum { MOST_HEADER = 1 << 16 };
    const char *path = f->path;
    unsigned char start[12];
    bragg_status st = bragg_frame_piece(f, 0, sizeof start, start, err);
    if (st < 0)
        return st;
    size_t wide = start[6] >= 2 ? 4 : 2, length = wide == 4 ? bragg_le32(start + 8) : bragg_le16(start + 8);
    *a = (npy){ .data = 8 + wide + length, .n = 1 };
    if (length >= MOST_HEADER || a->data > f->n)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a header of %zu bytes, found the end", path, length);
    char *h = malloc(length + 1);
    if (!h)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a header of %zu bytes", length);
    st = bragg_frame_piece(f, 8 + wide, length, h, err);
    h[length] = '\0';
    if (st == BRAGG_OK)
        st = parse_header(f, h, length, a, err);
    free(h);
    return st;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    frame_file f;
    npy a = { 0 };
    bragg_status st = bragg_frame_open(path, &f, err);
    if (st < 0)
        return st;
    st = parse(&f, &a, err);
    *n = a.n;
    bragg_frame_close(&f);
    return st;
}

static bragg_status read_npy(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    frame_file f;
    npy a;
    bragg_status st = bragg_frame_open(path, &f, err);
    if (st < 0)
        return st;
    st = parse(&f, &a, err);
    if (st == BRAGG_OK && index >= a.n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, a.n);
    if (st == BRAGG_OK)
        st = bragg_frame_raw_pixels(&f, a.data + index * a.width * a.height * bragg_pixel_size(a.type), a.width, a.height, a.type,
                                    a.big_endian == BRAGG_LITTLE_ENDIAN, out, err);
    bragg_frame_close(&f);
    return st;
}

const bragg_frame_reader bragg_frame_npy = { "NumPy", probe, count, read_npy, NULL };

/* ----------------------------------------------------------------- writing */

/* Format version 1.0 (NumPy Enhancement Proposal 1): the header ends at a multiple of 64. */
static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    char header[118], count[24] = "";
    FILE *to = *state = bragg_output_stream(out);
    if (n > 1)
        snprintf(count, sizeof count, "%zu, ", n);
    int used = snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s%zu, %zu), }",
                        bragg_pixel_size(first->type) == 1 ? '|' : BRAGG_LITTLE_ENDIAN ? '<' : '>', names[first->type].name, count, first->height, first->width);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, to);
    fprintf(to, "%s%*s\n", header, (int)sizeof header - 1 - used, "");
    return BRAGG_OK;
    (void)err;
}

static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
    return bragg_frame_put_pixels(state, f, err);
    (void)index;
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    return BRAGG_OK; /* the output's stream is flushed and closed by the commit */
    (void)state, (void)good, (void)err;
}

const bragg_frame_writer bragg_frame_npy_writer = { "NumPy", " .npy ", EVERY_TYPE, true, begin, add, end };
