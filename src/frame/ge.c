/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames of GE amorphous-silicon detectors (.ge, .ge2 … as at the APS): a standard and a
 * user header, then frames of 16 bits one after the other.  A. Miceli's description of
 * header version 8001, as FabIO tells it. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/bytes.h>
#include <stdlib.h>
#include <string.h>

enum { STANDARD_BLOCK = 8192, USER_SIZE_AT = 18, FRAMES_AT = 22, ROWS_AT = 24, COLUMNS_AT = 26, DEPTH_AT = 28, HEAD = 30 };

static bool probe(const unsigned char *h, size_t n) { return n >= HEAD && !memcmp(h, "ADEPT", 5); }

/* What the header says, and what of it the file holds. */
typedef struct layout {
    size_t first, frames, rows, columns;
} layout;

static bragg_status find(const char *path, const bytes *b, layout *l, bragg_error *err)
{
    if (b->n < HEAD)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a header of %d bytes, found %zu", path, STANDARD_BLOCK, b->n);
    size_t user = bragg_le32(b->at + USER_SIZE_AT);
    *l = (layout){ STANDARD_BLOCK + user, bragg_le16(b->at + FRAMES_AT), bragg_le16(b->at + ROWS_AT), bragg_le16(b->at + COLUMNS_AT) };
    if (bragg_le16(b->at + DEPTH_AT) != 16)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected pixels of 16 bits, found %u", path, bragg_le16(b->at + DEPTH_AT));
    if (!l->frames || !l->rows || !l->columns || user > b->n || l->first > b->n || l->frames > (b->n - l->first) / (2 * l->rows * l->columns))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu frames of %zu x %zu pixels behind %zu bytes, found %zu bytes", path, l->frames, l->columns, l->rows,
                          l->first, b->n);
    return BRAGG_OK;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    bytes b;
    layout l;
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = find(path, &b, &l, err);
    *n = st == BRAGG_OK ? l.frames : 0;
    free(b.at);
    return st;
}

static bragg_status read_ge(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    bytes b;
    layout l;
    bragg_status st = bragg_frame_load(path, &b, err);
    if (st == BRAGG_OK)
        st = find(path, &b, &l, err);
    if (st == BRAGG_OK && index >= l.frames)
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, l.frames);
    if (st == BRAGG_OK)
        st = bragg_frame_new(l.columns, l.rows, BRAGG_U16, out, err);
    for (size_t i = 0; st == BRAGG_OK && i < l.rows * l.columns; i++)
        ((uint16_t *)(*out)->data)[i] = bragg_le16(b.at + l.first + 2 * (index * l.rows * l.columns + i));
    free(b.at);
    return st;
}

const bragg_frame_reader bragg_frame_ge = { "GE", probe, count, read_ge };
