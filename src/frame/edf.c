/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EDF frames of the ESRF: text headers in braces, raw pixels behind each. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/number.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct edf {
    size_t header, data, size; /* offsets; bytes of pixels */
    size_t width, height;
    bragg_pixel type;
    bool big_endian;
} edf;

static bool probe(const unsigned char *h, size_t n)
{
    return n > 16 && (h[0] == '{' || (h[0] == '\n' && h[1] == '{')) && memmem(h, n, "Dim_1", 5);
}

static bool pixel_type(const char *name, bragg_pixel *type)
{
    static const struct { const char *name; bragg_pixel type; } names[] = {
        { "SignedByte", BRAGG_I8 }, { "UnsignedByte", BRAGG_U8 }, { "SignedShort", BRAGG_I16 }, { "UnsignedShort", BRAGG_U16 },
        { "SignedInteger", BRAGG_I32 }, { "UnsignedInteger", BRAGG_U32 }, { "SignedLong", BRAGG_I32 }, { "UnsignedLong", BRAGG_U32 },
        { "Signed64", BRAGG_I64 }, { "Unsigned64", BRAGG_U64 }, { "FloatValue", BRAGG_F32 }, { "Float", BRAGG_F32 },
        { "FloatIEEE32", BRAGG_F32 }, { "DoubleValue", BRAGG_F64 }, { "DoubleIEEE64", BRAGG_F64 }, { "Real", BRAGG_F32 } };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (!strcasecmp(name, names[k].name)) {
            *type = names[k].type;
            return true;
        }
    return false;
}

static bragg_status whole_number(const char *path, const unsigned char *h, size_t n, const char *key, size_t *value, bragg_error *err)
{
    char text[64];
    long long v;
    if (!bragg_frame_header(h, n, key, text, sizeof text) || !bragg_integer_parse(text, &v) || v < 1 || v > 1 << 30)
        return bragg_fail(err, BRAGG_EDATA, "%s: header: expected %s to be a positive number, found '%s'", path, key,
                          bragg_frame_header(h, n, key, text, sizeof text) ? text : "none");
    *value = (size_t)v;
    return BRAGG_OK;
}

/* The frame that starts at `from`; OK with data = 0 at the end of the file. */
static bragg_status one_header(const char *path, const bytes *b, size_t from, edf *e, bragg_error *err)
{
    char text[64];
    while (from < b->n && b->at[from] != '{')
        from++;
    *e = (edf){ .header = from };
    if (from >= b->n)
        return BRAGG_OK;
    const unsigned char *close = memmem(b->at + from, b->n - from, "}\n", 2);
    if (!close)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected '}' behind the header, found the end", path);
    const unsigned char *h = b->at + from;
    size_t n = (size_t)(close - h);
    bragg_status st = whole_number(path, h, n, "Dim_1", &e->width, err);
    if (st == BRAGG_OK)
        st = whole_number(path, h, n, "Dim_2", &e->height, err);
    if (st < 0)
        return st;
    if (!bragg_frame_header(h, n, "DataType", text, sizeof text) || !pixel_type(text, &e->type))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: header: unknown DataType '%s'", path, text);
    if (bragg_frame_header(h, n, "Compression", text, sizeof text) && strncasecmp(text, "no", 2))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: header: compression '%s' is not read", path, text);
    e->big_endian = bragg_frame_header(h, n, "ByteOrder", text, sizeof text) && !strncasecmp(text, "high", 4);
    e->data = (size_t)(close - b->at) + 2;
    e->size = e->width * e->height * bragg_pixel_size(e->type);
    if (e->data > b->n || e->size > b->n - e->data)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu %s pixels (%zu bytes), found %zu bytes", path, e->width, e->height,
                          bragg_pixel_name(e->type), e->size, b->n - e->data);
    return BRAGG_OK;
}

static bragg_status find_frame(const char *path, const bytes *b, size_t index, edf *e, size_t *count, bragg_error *err)
{
    size_t from = 0, n = 0;
    for (;;) {
        edf now;
        bragg_status st = one_header(path, b, from, &now, err);
        if (st < 0)
            return st;
        if (!now.data)
            break;
        if (n++ == index)
            *e = now;
        from = now.data + now.size;
    }
    *count = n;
    return BRAGG_OK;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    bytes b;
    edf e;
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = find_frame(path, &b, 0, &e, n, err);
    free(b.at);
    return st;
}

static double header_number(const bytes *b, const edf *e, const char *key)
{
    char text[64];
    double v;
    return bragg_frame_header(b->at + e->header, e->data - e->header, key, text, sizeof text) && bragg_number_parse(text, &v) ? v : NAN;
}

static bragg_status read_edf(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    edf e = { 0 };
    size_t n = 0;
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = find_frame(path, &b, index, &e, &n, err);
    if (st == BRAGG_OK && index >= n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, n);
    if (st == BRAGG_OK)
        st = bragg_frame_new(e.width, e.height, e.type, out, err);
    if (st == BRAGG_OK) {
        memcpy((*out)->data, b.at + e.data, e.size);
        if (e.big_endian)
            bragg_frame_swap((*out)->data, e.width * e.height, bragg_pixel_size(e.type));
        (*out)->exposure_s = header_number(&b, &e, "count_time");
        (*out)->wavelength_ang = 1e10 * header_number(&b, &e, "WaveLength");
        (*out)->distance_m = header_number(&b, &e, "SampleDistance");
    }
    free(b.at);
    return st;
}

const bragg_frame_reader bragg_frame_edf = { "EDF", probe, count, read_edf };
