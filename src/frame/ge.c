/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames of GE amorphous-silicon detectors (.ge, .ge2 … as at the APS): a standard and a
 * user header, then frames of 16 bits one after the other.  A. Miceli's description of
 * header version 8001, as FabIO tells it. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/bytes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STANDARD_BLOCK = 8192, USER_SIZE_AT = 18, FRAMES_AT = 22, ROWS_AT = 24, COLUMNS_AT = 26, DEPTH_AT = 28, DATE_AT = 30, TIME_AT = 50, TEXT = 20,
       EXPOSURE_MS_AT = 696, HEAD = 700 };

static bool probe(const unsigned char *h, size_t n) { return n >= HEAD && !memcmp(h, "ADEPT", 5); }

/* What the header says, and what of it the file holds. */
typedef struct layout {
    unsigned char head[HEAD];
    size_t first, frames, rows, columns;
} layout;

static bragg_status find(const frame_file *f, layout *l, bragg_error *err)
{
    bragg_status st = bragg_frame_piece(f, 0, HEAD, l->head, err);
    if (st < 0)
        return bragg_context(err, st, "header");
    size_t user = bragg_le32(l->head + USER_SIZE_AT);
    l->first = STANDARD_BLOCK + user;
    l->frames = bragg_le16(l->head + FRAMES_AT);
    l->rows = bragg_le16(l->head + ROWS_AT);
    l->columns = bragg_le16(l->head + COLUMNS_AT);
    if (bragg_le16(l->head + DEPTH_AT) != 16)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected pixels of 16 bits, found %u", f->path, bragg_le16(l->head + DEPTH_AT));
    if (!l->frames || !l->rows || !l->columns || l->first > f->n || l->frames > (f->n - l->first) / (2 * l->rows * l->columns))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu frames of %zu x %zu pixels behind %zu bytes, found %zu bytes", f->path, l->frames, l->columns, l->rows,
                          l->first, f->n);
    return BRAGG_OK;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    frame_file f;
    layout l;
    bragg_status st = bragg_frame_open(path, &f, err);
    if (st < 0)
        return st;
    st = find(&f, &l, err);
    *n = st == BRAGG_OK ? l.frames : 0;
    bragg_frame_close(&f);
    return st;
}

/* The date is of the first frame; the others follow without a time of their own. */
static void take_facts(const layout *l, size_t index, bragg_frame *f)
{
    char text[2 * TEXT + 2];
    float exposure_ms;
    uint32_t bits = bragg_le32(l->head + EXPOSURE_MS_AT);
    memcpy(&exposure_ms, &bits, sizeof exposure_ms);
    f->exposure_s = exposure_ms > 0 && exposure_ms < 1e8f ? 1e-3 * (double)exposure_ms : NAN;
    snprintf(text, sizeof text, "%.*s %.*s", TEXT, (const char *)l->head + DATE_AT, TEXT, (const char *)l->head + TIME_AT);
    f->time_s = index ? NAN : bragg_frame_time(text);
}

static bragg_status read_ge(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    frame_file f;
    layout l;
    bragg_status st = bragg_frame_open(path, &f, err);
    if (st < 0)
        return st;
    st = find(&f, &l, err);
    if (st == BRAGG_OK && index >= l.frames)
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, l.frames);
    if (st == BRAGG_OK)
        st = bragg_frame_raw_pixels(&f, l.first + 2 * index * l.rows * l.columns, l.columns, l.rows, BRAGG_U16, !BRAGG_LITTLE_ENDIAN, out, err);
    if (st == BRAGG_OK)
        take_facts(&l, index, *out);
    bragg_frame_close(&f);
    return st;
}

const bragg_frame_reader bragg_frame_ge = { "GE", probe, count, read_ge, NULL };
