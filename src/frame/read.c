/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which reader reads a frame. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <bragg/path.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const bragg_frame_reader *const readers[] = { &bragg_frame_tiff, &bragg_frame_cbf, &bragg_frame_edf, &bragg_frame_hdf5,
                                                     &bragg_frame_fits, &bragg_frame_mar345, &bragg_frame_npy, &bragg_frame_ge };

/* Without the bytes that no text has. */
static bool is_text(const unsigned char *head, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (head[k] < ' ' && !(head[k] && strchr("\t\n\r\f", head[k])))
            return false;
    return true;
}

static bragg_status find_reader(const char *spec, const bragg_frame_reader **out, bragg_error *err)
{
    unsigned char head[1024];
    char path[4096];
    const char *inside, *slice;
    size_t length = bragg_path_split(spec, &inside, &slice);
    if (length >= sizeof path)
        return bragg_fail(err, BRAGG_EINVAL, "expected the name of a file, found one of %zu bytes", length);
    snprintf(path, sizeof path, "%.*s", (int)length, spec);
    size_t n = sizeof head;
    bragg_status st = bragg_frame_head(path, head, &n, err);
    if (st < 0)
        return st;
    if (!n)
        return bragg_path_is_folder(path) ? bragg_fail(err, BRAGG_EDATA, "%s: expected a frame, found a folder; name its files, as in %s/*.tif", path, path)
                                          : bragg_fail(err, BRAGG_EDATA, "%s: expected a frame, found an empty file", path);
    for (size_t k = 0; k < sizeof readers / sizeof *readers; k++)
        if (readers[k]->probe(head, n)) {
            *out = readers[k];
            return BRAGG_OK;
        }
    return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected a frame (TIFF, CBF, EDF, HDF5, FITS, mar345, GE, NumPy), found %s", path,
                      is_text(head, n) ? "text; patterns are for bragg identify, refine, pdf, plot and convert" : "a file that begins with none of their marks");
}

bragg_status bragg_frame_count(const char *path, size_t *n, bragg_error *err)
{
    const bragg_frame_reader *reader;
    bragg_status st = find_reader(path, &reader, err);
    return st < 0 ? st : reader->count(path, n, err);
}

bragg_status bragg_frame_read(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    const bragg_frame_reader *reader;
    *out = NULL;
    bragg_status st = find_reader(path, &reader, err);
    if (st == BRAGG_OK)
        st = reader->read(path, index, out, err);
    return st < 0 && *out ? (bragg_frame_free(*out), *out = NULL, st) : st;
}

bragg_status bragg_frame_read_mask(const char *path, bragg_frame **out, bragg_error *err)
{
    const bragg_frame_reader *reader;
    *out = NULL;
    bragg_status st = find_reader(path, &reader, NULL);
    if (st < 0 || !reader->mask) /* what is no frame is told elsewhere */
        return BRAGG_OK;
    st = reader->mask(path, out, err);
    return st < 0 && *out ? (bragg_frame_free(*out), *out = NULL, st) : st;
}

/* --------------------------------------------------------- as people hold them */

bragg_status bragg_frame_count_as(const char *path, const char *raw, size_t *n, bragg_error *err)
{
    bragg_raw layout;
    bragg_error problem = BRAGG_ERROR_INIT;
    bragg_status st = bragg_frame_count(path, n, raw ? &problem : err);
    if (!raw || st >= 0)
        return st;
    if (st != BRAGG_ENOSUPPORT)
        return bragg_fail(err, st, "%s", problem.text);
    st = bragg_raw_parse(raw, &layout, err);
    return st < 0 ? st : bragg_raw_count(path, &layout, n, err);
}

bragg_status bragg_frame_read_as(const char *path, size_t index, const char *flip, const char *raw, bragg_frame **out, bragg_error *err)
{
    bragg_raw layout;
    bragg_error problem = BRAGG_ERROR_INIT;
    bool vertical, horizontal;
    *out = NULL;
    if (!bragg_flip_parse(flip, &vertical, &horizontal))
        return bragg_fail(err, BRAGG_EINVAL, "flip: expected vertical, horizontal or both, found '%s'", flip);
    bragg_status st = bragg_frame_read(path, index, out, raw ? &problem : err);
    if (st < 0 && raw && st != BRAGG_ENOSUPPORT)
        st = bragg_fail(err, st, "%s", problem.text);
    else if (st < 0 && raw && (st = bragg_raw_parse(raw, &layout, err)) >= 0)
        st = bragg_raw_read(path, &layout, index, out, err);
    if (st >= 0)
        bragg_frame_flip(*out, vertical, horizontal);
    return st;
}
