/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mar345 image plates: a binary and a text header, pixels above 65535 listed, the
 * rest in "CCP4 packed" form (J. P. Abrahams' pack format, mar345 documentation). */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/bytes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t word(const unsigned char *p, bool swap)
{
    return swap ? bragg_be32(p) : bragg_le32(p);
}

/* The first word is 1234 in the order of the machine that wrote it. */
static bool probe(const unsigned char *h, size_t n) { return n >= 128 && (word(h, false) == 1234 || word(h, true) == 1234); }

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    *n = 1;
    return BRAGG_OK;
    (void)path, (void)err;
}

typedef struct bits {
    const unsigned char *at;
    size_t n, position; /* bytes; bit */
} bits;

static bool take_bits(bits *b, unsigned n, uint32_t *value)
{
    if (b->position + n > 8 * b->n)
        return false;
    *value = 0;
    for (unsigned k = 0; k < n;) {
        unsigned in_byte = (unsigned)(b->position % 8), part = 8 - in_byte < n - k ? 8 - in_byte : n - k;
        uint32_t piece = (uint32_t)(b->at[b->position / 8] >> in_byte) & ((1u << part) - 1);
        *value |= piece << k;
        k += part;
        b->position += part;
    }
    return true;
}

/* Runs: three bits the logarithm of their length, three bits the width of their
 * differences.  The prediction is the pixel before on the first row, then the mean
 * of it and the three above, rounded; arithmetic is in 16 bits. */
static bool unpack(const unsigned char *at, size_t n, uint16_t *out, size_t width, size_t pixels)
{
    static const unsigned widths[8] = { 0, 4, 5, 6, 7, 8, 16, 32 };
    bits b = { at, n, 0 };
    size_t k = 0;
    while (k < pixels) {
        uint32_t log, kind;
        if (!take_bits(&b, 3, &log) || !take_bits(&b, 3, &kind))
            return false;
        for (size_t end = k + ((size_t)1 << log); k < end && k < pixels; k++) {
            uint32_t raw = 0;
            unsigned w = widths[kind];
            if (w && !take_bits(&b, w, &raw))
                return false;
            int32_t step = w && w < 32 && (raw >> (w - 1)) ? (int32_t)(raw | ~((1u << w) - 1)) : (int32_t)raw;
            int32_t guess = 0;
            if (k > width)
                guess = ((int16_t)out[k - 1] + (int16_t)out[k - width + 1] + (int16_t)out[k - width] + (int16_t)out[k - width - 1] + 2) / 4;
            else if (k)
                guess = (int16_t)out[k - 1];
            out[k] = (uint16_t)((uint32_t)step + (uint32_t)guess);
        }
    }
    return true;
}

enum { TEXT_AT = 128, PIXELS_AT = 4096, MOST_SIDE = 1 << 16 };

static double header_number(const bytes *b, const char *key) { return bragg_frame_header_number(b->at + TEXT_AT, PIXELS_AT - TEXT_AT, key); }

/* "CENTER         X 600.000  Y 600.000": the number behind a word on the line of a key. */
static double header_word(const bytes *b, const char *key, const char *word)
{
    char line[128];
    return bragg_frame_header(b->at + TEXT_AT, PIXELS_AT - TEXT_AT, key, line, sizeof line)
        ? bragg_frame_header_number((const unsigned char *)line, strlen(line), word) : NAN;
}

/* Distance in mm, pixels in micrometres; the program writes 1.54179 and 100 when nobody
 * has told it, which cannot be told from the truth. */
static bragg_status take_facts(const bytes *b, bragg_frame *f, bragg_error *err)
{
    static const struct { const char *name, *key, *word; } motors[] = {
        { "phi", "PHI", "START" }, { "phi_end", "PHI", "END" }, { "omega", "OMEGA", "START" }, { "omega_end", "OMEGA", "END" } };
    char text[80];
    bragg_status st = BRAGG_OK;
    f->wavelength_ang = header_number(b, "WAVELENGTH");
    f->distance_m = 1e-3 * header_number(b, "DISTANCE");
    f->exposure_s = header_number(b, "TIME");
    f->pixel_fast_m = 1e-6 * header_word(b, "PIXEL", "LENGTH");
    f->pixel_slow_m = 1e-6 * header_word(b, "PIXEL", "HEIGHT");
    f->beam_fast_px = header_word(b, "CENTER", "X");
    f->beam_slow_px = header_word(b, "CENTER", "Y");
    f->time_s = bragg_frame_header(b->at + TEXT_AT, PIXELS_AT - TEXT_AT, "DATE", text, sizeof text) ? bragg_frame_time(text) : NAN;
    for (size_t k = 0; st == BRAGG_OK && k < sizeof motors / sizeof *motors; k++)
        st = bragg_frame_set(f, motors[k].name, header_word(b, motors[k].key, motors[k].word), err);
    if (st == BRAGG_OK)
        st = bragg_frame_set(f, "chi", header_number(b, "CHI"), err);
    return st == BRAGG_OK ? bragg_frame_set(f, "twotheta", header_number(b, "TWOTHETA"), err) : st;
}

/* Pixels that 16 bits do not hold: pairs of position (from 1) and value. */
static void add_bright(const bytes *b, bool swap, size_t from, size_t records, bragg_frame *f)
{
    for (size_t k = 0; k < records && from + 8 * k + 8 <= b->n; k++) {
        uint32_t position = word(b->at + from + 8 * k, swap), value = word(b->at + from + 8 * k + 4, swap);
        if (position >= 1 && position <= f->width * f->height)
            ((uint32_t *)f->data)[position - 1] = value;
    }
}

static bragg_status parse(const char *path, const bytes *b, bragg_frame **out, bragg_error *err)
{
    bool swap = word(b->at, false) != 1234;
    size_t side = word(b->at + 4, swap), bright = word(b->at + 8, swap), width, height;
    const unsigned char *packed = memmem(b->at, b->n, "CCP4 packed image", 17);
    if (!packed)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected 'CCP4 packed image', found none", path);
    const unsigned char *line = memchr(packed, '\n', b->n - (size_t)(packed - b->at));
    if (!line || sscanf((const char *)packed, "CCP4 packed image, X: %zu, Y: %zu", &width, &height) != 2 || width != side)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a packed image of %zu pixels a side, found '%.*s'", path, side,
                          bragg_utf8_most((const char *)packed, 50), (const char *)packed);
    if (width > MOST_SIDE || height > MOST_SIDE || width * height / 128 * 6 > 8 * b->n) /* a run of 128 pixels takes 6 bits at least */
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu packed pixels, found %zu bytes", path, width, height, b->n);
    bragg_status st = bragg_frame_new(width, height, BRAGG_U32, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", path);
    uint16_t *low = calloc(width * height, sizeof *low);
    if (!low)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu x %zu pixels", width, height);
    bool good = unpack(line + 1, b->n - (size_t)(line + 1 - b->at), low, width, width * height);
    for (size_t k = 0; k < width * height; k++)
        ((uint32_t *)(*out)->data)[k] = low[k];
    free(low);
    if (!good)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu pixels, found the end before", path, width, height);
    add_bright(b, swap, PIXELS_AT, bright, *out);
    return take_facts(b, *out, err);
}

static bragg_status read_mar(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    if (index)
        return bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has 1", path, index);
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = b.n > PIXELS_AT ? parse(path, &b, out, err) : bragg_fail(err, BRAGG_EDATA, "%s: expected a header of %d bytes, found %zu", path, PIXELS_AT, b.n);
    free(b.at);
    return st;
}

/* The plate is scanned in a spiral that fills the circle within the square; the corners
 * are zeros that nobody measured, and the last pixel of the circle is half empty (seen in
 * scans of 1200, 1600 and 2300 pixels). */
static bragg_status read_mask(const char *path, bragg_frame **out, bragg_error *err)
{
    unsigned char head[128];
    size_t n = sizeof head;
    bragg_status st = bragg_frame_head(path, head, &n, err);
    if (st < 0)
        return st;
    if (n < sizeof head || !probe(head, sizeof head))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected the header of a mar345, found the end", path);
    size_t side = word(head + 4, word(head, false) != 1234);
    if (side > MOST_SIDE)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected at most %d pixels a side, found %zu", path, MOST_SIDE, side);
    st = bragg_frame_new(side, side, BRAGG_U8, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", path);
    double middle = 0.5 * ((double)side - 1), radius = 0.5 * (double)side - 1;
    for (size_t k = 0; k < side * side; k++)
        ((uint8_t *)(*out)->data)[k] = hypot((double)(k / side) - middle, (double)(k % side) - middle) > radius;
    return BRAGG_OK;
}

const bragg_frame_reader bragg_frame_mar345 = { "mar345", probe, count, read_mar, read_mask };
