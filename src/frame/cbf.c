/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CBF frames with byte-offset compression, as all Dectris detectors write them.
 * Decoded here and not by CBFlib: it is the inner loop of live reduction, and what
 * a header claims must not be believed.  International Tables G, ch. 5.6. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/number.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Differences to the pixel before: one byte; -128 means two follow, -32768 then
 * four, -2^31 then eight.  False when the bytes end before the pixels. */
static bool decode(const unsigned char *at, size_t n, int32_t *out, size_t pixels)
{
    size_t i = 0;
    int64_t value = 0;
    for (size_t k = 0; k < pixels; k++) {
        if (i + 1 > n)
            return false;
        int64_t step = (int8_t)at[i++];
        if (step == -128) {
            if (i + 2 > n)
                return false;
            step = (int16_t)(at[i] | at[i + 1] << 8);
            i += 2;
            if (step == -32768) {
                if (i + 4 > n)
                    return false;
                step = (int32_t)((uint32_t)at[i] | (uint32_t)at[i + 1] << 8 | (uint32_t)at[i + 2] << 16 | (uint32_t)at[i + 3] << 24);
                i += 4;
                if (step == INT32_MIN) {
                    if (i + 8 > n)
                        return false;
                    uint64_t wide = 0;
                    for (int s = 7; s >= 0; s--)
                        wide = wide << 8 | at[i + (size_t)s];
                    step = (int64_t)wide;
                    i += 8;
                }
            }
        }
        value = (int64_t)((uint64_t)value + (uint64_t)step);
        out[k] = (int32_t)value;
    }
    return true;
}

/* "# Wavelength 0.9793 A", "# Exposure_time 0.2 s", "# Detector_distance 0.5 m" */
static bragg_status unpack(const char *path, const bytes *b, bragg_frame **out, bragg_error *err)
{
    const unsigned char *mark = memmem(b->at, b->n, start_of_data, 4);
    char text[100] = "";
    if (!mark)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected binary data, found none", path);
    size_t head = (size_t)(mark - b->at), n = b->n - head - 4;
    if (!memmem(b->at, head, "x-CBF_BYTE_OFFSET", 17)) {
        bragg_frame_header(b->at, head, "conversions", text, sizeof text);
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected x-CBF_BYTE_OFFSET compression, found '%s'", path, text);
    }
    if (bragg_frame_header(b->at, head, "X-Binary-Element-Type", text, sizeof text) && !strstr(text, "32-bit integer"))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected 32-bit integers, found %s", path, text);
    long long width = header_integer(b, head, "X-Binary-Size-Fastest-Dimension"), height = header_integer(b, head, "X-Binary-Size-Second-Dimension");
    if (width < 1 || height < 1)
        return bragg_fail(err, BRAGG_EDATA, "%s: header: expected the frame's two dimensions, found %lld and %lld", path, width, height);
    if ((unsigned long long)height > n || (unsigned long long)width > n / (unsigned long long)height) /* a byte a pixel at least */
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %lld x %lld pixels, found %zu bytes", path, width, height, n);
    bragg_status st = bragg_frame_new((size_t)width, (size_t)height, BRAGG_I32, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", path);
    if (!decode(mark + 4, n, (*out)->data, (size_t)(width * height)))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %lld x %lld pixels, found the end before", path, width, height);
    return bragg_frame_dectris(*out, b->at, head, err);
}

static bragg_status read_cbf(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    if (index)
        return bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has 1", path, index);
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = unpack(path, &b, out, err);
    free(b.at);
    return st;
}

const bragg_frame_reader bragg_frame_cbf = { "CBF", probe, count, read_cbf };
