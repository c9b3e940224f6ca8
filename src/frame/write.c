/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames into files: which writer, and that all of a stack go together. */
#include "config.h"
#include "writer.h"

#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bragg_frame_writer *const writers[] = { &bragg_frame_tiff_writer, &bragg_frame_edf_writer, &bragg_frame_cbf_writer, &bragg_frame_npy_writer,
                                                     &bragg_frame_fits_writer, &bragg_frame_hdf5_writer };

struct bragg_frame_stack {
    const bragg_frame_writer *writer;
    bragg_output *out;
    char *path;
    void *state;
    size_t n, done, width, height;
    bragg_pixel type;
};

static const bragg_frame_writer *writer_of(const char *path)
{
    char word[24];
    if (strlen(bragg_path_extension(path)) < 2 || strlen(bragg_path_extension(path)) > 10)
        return NULL;
    snprintf(word, sizeof word, " %s ", bragg_path_extension(path));
    for (size_t k = 0; k < sizeof writers / sizeof *writers; k++)
        if (strcasestr(writers[k]->extensions, word))
            return writers[k];
    return NULL;
}

bool bragg_frame_writable(const char *path) { return writer_of(path) != NULL; }

static bragg_status stack_open(const bragg_frame_writer *writer, const char *path, size_t n, bool force, bragg_frame_stack **out, bragg_error *err)
{
    *out = NULL;
    if (n < 1 || (n > 1 && !writer->several))
        return bragg_fail(err, BRAGG_EINVAL, "'%s': a %s file holds one frame, found %zu to write: choose one, or a format of stacks (.h5 .tif .edf .npy .fits)", path,
                          writer->name, n);
    bragg_frame_stack *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        free(s);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    }
    s->writer = writer;
    s->n = n;
    bragg_status st = bragg_output_open(path, force, &s->out, err);
    if (st < 0) {
        free(s->path);
        free(s);
        return st;
    }
    *out = s;
    return BRAGG_OK;
}

bragg_status bragg_frame_stack_open(const char *path, size_t n, bool force, bragg_frame_stack **out, bragg_error *err)
{
    const bragg_frame_writer *writer = writer_of(path);
    *out = NULL;
    return writer ? stack_open(writer, path, n, force, out, err)
        : bragg_fail(err, BRAGG_EINVAL, "'%s': expected a name that ends in .tif, .edf, .cbf, .npy, .fits or .h5", path);
}

static bragg_status check_type(const bragg_frame_stack *s, const bragg_frame *f, bragg_error *err)
{
    char can[128] = "";
    for (int k = BRAGG_U8; k <= BRAGG_F64; k++)
        if (s->writer->types >> k & 1)
            snprintf(can + strlen(can), sizeof can - strlen(can), "%s%s", *can ? ", " : "", bragg_pixel_name((bragg_pixel)k));
    return s->writer->types >> f->type & 1 ? BRAGG_OK
        : bragg_fail(err, BRAGG_EDATA, "%s holds %s, found %s, which would lose: choose another format, or --type where its values fit", s->writer->name, can,
                     bragg_pixel_name(f->type));
}

bragg_status bragg_frame_stack_add(bragg_frame_stack *s, const bragg_frame *f, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (!s->done) {
        s->width = f->width;
        s->height = f->height;
        s->type = f->type;
        st = check_type(s, f, err);
        if (st == BRAGG_OK)
            st = s->writer->begin(s->out, f, s->n, &s->state, err);
    } else if (f->width != s->width || f->height != s->height || f->type != s->type) {
        st = bragg_fail(err, BRAGG_EDATA, "expected %zu x %zu %s like its first frame, found %zu x %zu %s", s->width, s->height, bragg_pixel_name(s->type), f->width,
                        f->height, bragg_pixel_name(f->type));
    }
    if (st == BRAGG_OK)
        st = s->done < s->n ? s->writer->add(s->state, f, s->done, err) : bragg_fail(err, BRAGG_EINTERNAL, "more than %zu frames", s->n);
    s->done += st == BRAGG_OK;
    return st < 0 ? bragg_context(err, st, "'%s': frame %zu", s->path, s->done) : st;
}

static void stack_free(bragg_frame_stack *s)
{
    free(s->path);
    free(s);
}

bragg_status bragg_frame_stack_commit(bragg_frame_stack *s, bragg_error *err)
{
    bragg_status st = s->done == s->n ? BRAGG_OK : bragg_fail(err, BRAGG_EINTERNAL, "'%s': expected %zu frames, found %zu", s->path, s->n, s->done);
    bragg_status ended = s->state ? s->writer->end(s->state, st == BRAGG_OK, err) : BRAGG_OK;
    if (st == BRAGG_OK && (st = ended) < 0)
        bragg_context(err, st, "'%s'", s->path);
    if (st == BRAGG_OK)
        st = bragg_output_commit(s->out, err);
    else
        bragg_output_abandon(s->out);
    stack_free(s);
    return st;
}

void bragg_frame_stack_abandon(bragg_frame_stack *s)
{
    if (!s)
        return;
    if (s->state)
        s->writer->end(s->state, false, NULL);
    bragg_output_abandon(s->out);
    stack_free(s);
}

static bragg_status write_one(const bragg_frame_writer *writer, const bragg_frame *f, const char *path, bool force, bragg_error *err)
{
    bragg_frame_stack *s;
    bragg_status st = stack_open(writer, path, 1, force, &s, err);
    if (st == BRAGG_OK && (st = bragg_frame_stack_add(s, f, err)) < 0) {
        bragg_frame_stack_abandon(s);
        return st;
    }
    return st < 0 ? st : bragg_frame_stack_commit(s, err);
}

bragg_status bragg_frame_write_tiff(const bragg_frame *f, const char *path, bool force, bragg_error *err)
{
    return write_one(&bragg_frame_tiff_writer, f, path, force, err);
}

/* ------------------------------------------------------------------- types */

void bragg_pixel_put(void *at, bragg_pixel type, double v)
{
    switch (type) {
    case BRAGG_U8: *(uint8_t *)at = (uint8_t)v; break;
    case BRAGG_U16: *(uint16_t *)at = (uint16_t)v; break;
    case BRAGG_U32: *(uint32_t *)at = (uint32_t)v; break;
    case BRAGG_U64: *(uint64_t *)at = (uint64_t)v; break;
    case BRAGG_I8: *(int8_t *)at = (int8_t)v; break;
    case BRAGG_I16: *(int16_t *)at = (int16_t)v; break;
    case BRAGG_I32: *(int32_t *)at = (int32_t)v; break;
    case BRAGG_I64: *(int64_t *)at = (int64_t)v; break;
    case BRAGG_F32: *(float *)at = (float)v; break;
    case BRAGG_F64: *(double *)at = v; break;
    }
}

/* Does the type hold the value as it is?  64-bit integers are asked through doubles and
 * so up to 2^53 only. */
static bool holds(bragg_pixel type, double v)
{
    static const double low[] = { 0, 0, 0, 0, -128, -32768, -2147483648., -9007199254740992. };
    static const double high[] = { 255, 65535, 4294967295., 9007199254740992., 127, 32767, 2147483647, 9007199254740992. };
    if (type == BRAGG_F64)
        return true;
    if (type == BRAGG_F32)
        return isnan(v) || (double)(float)v == v;
    return v >= low[type] && v <= high[type] && v == floor(v);
}

bragg_status bragg_frame_as(const bragg_frame *f, bragg_pixel type, bragg_frame **out, bragg_error *err)
{
    double row[256];
    size_t size = bragg_pixel_size(type);
    bragg_status st = bragg_frame_new(f->width, f->height, type, out, err);
    if (st == BRAGG_OK)
        st = bragg_frame_copy_facts(f, *out, err);
    for (size_t first = 0, all = f->width * f->height; st == BRAGG_OK && first < all; first += 256) {
        size_t n = all - first < 256 ? all - first : 256;
        bragg_frame_doubles(f, first, n, row);
        for (size_t i = 0; i < n && st == BRAGG_OK; i++) {
            bool wide = (f->type == BRAGG_U64 || f->type == BRAGG_I64) && fabs(row[i]) > 9007199254740992.;
            if (holds(type, row[i]) && !wide)
                bragg_pixel_put((char *)(*out)->data + (first + i) * size, type, row[i]);
            else
                st = bragg_fail(err, BRAGG_EDATA, "row %zu, column %zu: %s does not hold %.17g", (first + i) / f->width, (first + i) % f->width, bragg_pixel_name(type), row[i]);
        }
    }
    if (st < 0) {
        bragg_frame_free(*out);
        *out = NULL;
    }
    return st;
}
