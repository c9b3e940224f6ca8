/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CBF frames.  Byte-offset compression, as all Dectris detectors write it, is decoded here
 * and not by CBFlib: it is the inner loop of live reduction, and what a header claims must
 * not be believed.  CBFlib packs and unpacks the rest, and writes.  International Tables G,
 * ch. 5.6. */
#include "config.h"
#include "bytes.h"
#include "reader.h"
#include "writer.h"

#include <bragg/bytes.h>
#include <bragg/number.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_CBF
#include <cbflib/cbf.h>
#endif

static const unsigned char start_of_data[4] = { 0x0c, 0x1a, 0x04, 0xd5 };

static bool probe(const unsigned char *h, size_t n) { return n > 7 && !memcmp(h, "###CBF:", 7); }

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    *n = 1;
    return BRAGG_OK;
    (void)path, (void)err;
}

static long long header_integer(const bytes *b, size_t n, const char *key)
{
    char text[64];
    long long v;
    return bragg_frame_header(b->at, n, key, text, sizeof text) && bragg_integer_parse(text, &v) ? v : -1;
}

/* What the header of the binary section says of its pixels. */
typedef struct section {
    size_t head, n;          /* bytes in front of the data, and of the data and all behind */
    size_t width, height;
    bragg_pixel type;
    enum { BYTE_OFFSET, PACKED } packing;
} section;

static const struct { const char *name; bragg_pixel type; } elements[] = {
    { "signed 32-bit integer", BRAGG_I32 }, { "unsigned 32-bit integer", BRAGG_U32 }, { "signed 16-bit integer", BRAGG_I16 },
    { "unsigned 16-bit integer", BRAGG_U16 }, { "signed 8-bit integer", BRAGG_I8 }, { "unsigned 8-bit integer", BRAGG_U8 } };

static bool pixel_type(const char *text, bragg_pixel *type)
{
    text += *text == '"';
    for (size_t k = 0; k < sizeof elements / sizeof *elements; k++)
        if (!strncmp(text, elements[k].name, strlen(elements[k].name))) {
            *type = elements[k].type;
            return true;
        }
    return false;
}

static bragg_status find_section(const char *path, const bytes *b, section *s, bragg_error *err)
{
    const unsigned char *mark = memmem(b->at, b->n, start_of_data, 4);
    char text[100] = "";
    *s = (section){ .type = BRAGG_I32 };
    if (!mark)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected binary data, found none", path);
    s->head = (size_t)(mark - b->at);
    s->n = b->n - s->head - 4;
    long long stated = header_integer(b, s->head, "X-Binary-Size");
    if (stated > 0 && (unsigned long long)stated < s->n)
        s->n = (size_t)stated;
    if (memmem(b->at, s->head, "x-CBF_PACKED", 12)) {
        s->packing = PACKED;
    } else if (!memmem(b->at, s->head, "x-CBF_BYTE_OFFSET", 17)) {
        bragg_frame_header(b->at, s->head, "conversions", text, sizeof text);
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected x-CBF_BYTE_OFFSET or x-CBF_PACKED compression, found '%s'", path, text);
    }
    if (bragg_frame_header(b->at, s->head, "X-Binary-Element-Type", text, sizeof text) && !pixel_type(text, &s->type))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected integers of 8 to 32 bits, found %s", path, text);
    long long width = header_integer(b, s->head, "X-Binary-Size-Fastest-Dimension"), height = header_integer(b, s->head, "X-Binary-Size-Second-Dimension");
    if (width < 1 || height < 1)
        return bragg_fail(err, BRAGG_EDATA, "%s: header: expected the frame's two dimensions, found %lld and %lld", path, width, height);
    /* a byte a pixel at least; packed, 6 bits for 128 pixels */
    unsigned long long most = s->packing == BYTE_OFFSET ? s->n : s->n * 171ull;
    if ((unsigned long long)height > most || (unsigned long long)width > most / (unsigned long long)height)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %lld x %lld pixels, found %zu bytes", path, width, height, s->n);
    s->width = (size_t)width;
    s->height = (size_t)height;
    return BRAGG_OK;
}

/* The next difference, of n bytes; -128 in one byte means that two follow, -32768 then
 * four, -2^31 then eight. */
static bool take_step(const unsigned char *at, size_t n, size_t *i, int64_t *step)
{
    if (*i + 1 > n)
        return false;
    *step = (int8_t)at[(*i)++];
    if (*step != -128)
        return true;
    if (*i + 2 > n)
        return false;
    *step = (int16_t)bragg_le16(at + *i);
    *i += 2;
    if (*step != -32768)
        return true;
    if (*i + 4 > n)
        return false;
    *step = (int32_t)bragg_le32(at + *i);
    *i += 4;
    if (*step != INT32_MIN)
        return true;
    if (*i + 8 > n)
        return false;
    *step = (int64_t)bragg_le64(at + *i);
    *i += 8;
    return true;
}

/* Differences to the pixel before.  False when the bytes end before the pixels. */
#define DECODE(T)                                                  \
    for (size_t k = 0; k < pixels; k++) {                          \
        if (i < n && at[i] != 0x80) {                              \
            value += (uint64_t)(int64_t)(int8_t)at[i++];           \
        } else {                                                   \
            if (!take_step(at, n, &i, &step))                      \
                return false;                                      \
            value += (uint64_t)step;                               \
        }                                                          \
        ((T *)out)[k] = (T)value;                                  \
    }                                                              \
    return true

static bool decode(const unsigned char *at, size_t n, size_t size, void *out, size_t pixels)
{
    size_t i = 0;
    uint64_t value = 0;
    int64_t step;
    switch (size) {
    case 1: DECODE(uint8_t);
    case 2: DECODE(uint16_t);
    default: DECODE(uint32_t);
    }
}

#ifdef HAVE_CBF

static bool is_signed(bragg_pixel type) { return type >= BRAGG_I8; }

static const char *element_name(bragg_pixel type)
{
    size_t k = 0;
    while (elements[k].type != type)
        k++;
    return elements[k].name;
}

/* The same data in a file of our own words: CBFlib's lexer is not made for damaged ones. */
static FILE *clean_copy(const bytes *b, const section *s, char **at, size_t *n)
{
    FILE *to = open_memstream(at, n);
    if (!to)
        return NULL;
    fprintf(to,
            "###CBF: VERSION 1.5\r\n\r\ndata_x\r\n\r\n_array_data.data\r\n;\r\n--CIF-BINARY-FORMAT-SECTION--\r\nContent-Type: application/octet-stream;\r\n"
            "     conversions=\"x-CBF_PACKED%s\"%s%s\r\nContent-Transfer-Encoding: BINARY\r\nX-Binary-Size: %zu\r\nX-Binary-ID: 1\r\n"
            "X-Binary-Element-Type: \"%s\"\r\nX-Binary-Element-Byte-Order: LITTLE_ENDIAN\r\nX-Binary-Number-of-Elements: %zu\r\n"
            "X-Binary-Size-Fastest-Dimension: %zu\r\nX-Binary-Size-Second-Dimension: %zu\r\n\r\n",
            memmem(b->at, s->head, "x-CBF_PACKED_V2", 15) ? "_V2" : "", memmem(b->at, s->head, "uncorrelated_sections", 21) ? "; \"uncorrelated_sections\"" : "",
            memmem(b->at, s->head, "\"flat\"", 6) ? "; \"flat\"" : "", s->n, element_name(s->type), s->width * s->height, s->width, s->height);
    fwrite(b->at + s->head, 1, s->n + sizeof start_of_data, to);
    fprintf(to, "\r\n--CIF-BINARY-FORMAT-SECTION----\r\n;\r\n");
    if (fclose(to))
        return NULL;
    return fmemopen(*at, *n, "rb");
}

/* CBFlib closes the stream it reads. */
static bool unpack(const bytes *b, const section *s, void *out)
{
    size_t pixels = s->width * s->height, got = 0, n = 0;
    int id;
    char *copy = NULL;
    cbf_handle cbf = NULL;
    FILE *in = clean_copy(b, s, &copy, &n);
    bool good = in && !cbf_make_handle(&cbf);
    if (in && !good)
        fclose(in);
    good = good && !cbf_read_widefile(cbf, in, MSG_NODIGEST) && !cbf_find_tag(cbf, "_array_data.data") && !cbf_rewind_row(cbf) &&
           !cbf_get_integerarray(cbf, &id, out, bragg_pixel_size(s->type), is_signed(s->type), pixels, &got) && got == pixels;
    if (cbf)
        cbf_free_handle(cbf);
    free(copy);
    return good;
}

static bragg_status read_packed(const char *path, const bytes *b, const section *s, bragg_frame *f, bragg_error *err)
{
    return unpack(b, s, f->data) ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu packed pixels, found what CBFlib cannot unpack", path, s->width, s->height);
}

#else

static bragg_status read_packed(const char *path, const bytes *b, const section *s, bragg_frame *f, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: packed CBF takes CBFlib, which this build has not", path);
    (void)b, (void)s, (void)f;
}

#endif

static bragg_status read_pixels(const char *path, const bytes *b, bragg_frame **out, bragg_error *err)
{
    section s;
    bragg_status st = find_section(path, b, &s, err);
    if (st < 0)
        return st;
    st = bragg_frame_new(s.width, s.height, s.type, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", path);
    if (s.packing == PACKED)
        st = read_packed(path, b, &s, *out, err);
    else if (!decode(b->at + s.head + 4, s.n, bragg_pixel_size(s.type), (*out)->data, s.width * s.height))
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu pixels, found the end before", path, s.width, s.height);
    return st < 0 ? st : bragg_frame_dectris(*out, b->at, s.head, err);
}

static bragg_status read_cbf(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    if (index)
        return bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has 1", path, index);
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = read_pixels(path, &b, out, err);
    free(b.at);
    return st;
}

const bragg_frame_reader bragg_frame_cbf = { "CBF", probe, count, read_cbf, NULL };

/* ----------------------------------------------------------------- writing */

static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    *state = out;
#ifdef HAVE_CBF
    return BRAGG_OK;
#else
    return bragg_fail(err, BRAGG_ENOSUPPORT, "CBF is written by CBFlib, which this build has not");
#endif
    (void)first, (void)n, (void)err;
}

static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
#ifdef HAVE_CBF
    char *facts = bragg_frame_dectris_text(f);
    cbf_handle cbf = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size); /* CBFlib does not see that a disk is full */
    bool good = facts && to && !cbf_make_handle(&cbf) && !cbf_new_datablock(cbf, "frame") && !cbf_new_category(cbf, "array_data") &&
                !cbf_new_column(cbf, "header_convention") && !cbf_set_value(cbf, "PILATUS_1.2") && !cbf_new_column(cbf, "header_contents") &&
                !cbf_set_value(cbf, facts) && !cbf_new_column(cbf, "data") &&
                !cbf_set_integerarray_wdims_fs(cbf, CBF_BYTE_OFFSET, 1, f->data, bragg_pixel_size(f->type), is_signed(f->type), f->width * f->height,
                                               BRAGG_LITTLE_ENDIAN ? "little_endian" : "big_endian", f->width, f->height, 0, 0) &&
                !cbf_write_file(cbf, to, 0, CBF, MSG_DIGEST | MIME_HEADERS, ENC_NONE);
    if (to && fclose(to))
        good = false;
    if (cbf)
        cbf_free_handle(cbf);
    if (good)
        fwrite(text, 1, size, bragg_output_stream(state));
    free(text);
    free(facts);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EIO, "CBFlib cannot write it");
    (void)index;
#else
    return BRAGG_ENOSUPPORT;
    (void)state, (void)f, (void)index, (void)err;
#endif
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    return BRAGG_OK;
    (void)state, (void)good, (void)err;
}

const bragg_frame_writer bragg_frame_cbf_writer = { "CBF", " .cbf ",
    1 << BRAGG_U8 | 1 << BRAGG_U16 | 1 << BRAGG_U32 | 1 << BRAGG_I8 | 1 << BRAGG_I16 | 1 << BRAGG_I32, false, begin, add, end };
