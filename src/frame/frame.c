/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frame: its pixels and what is known of them. */
#include "config.h"
#include "bytes.h"
#include "reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; size_t size; } types[] = {
    [BRAGG_U8] = { "uint8", 1 }, [BRAGG_U16] = { "uint16", 2 }, [BRAGG_U32] = { "uint32", 4 }, [BRAGG_U64] = { "uint64", 8 },
    [BRAGG_I8] = { "int8", 1 }, [BRAGG_I16] = { "int16", 2 }, [BRAGG_I32] = { "int32", 4 }, [BRAGG_I64] = { "int64", 8 },
    [BRAGG_F32] = { "float32", 4 }, [BRAGG_F64] = { "float64", 8 },
};

size_t bragg_pixel_size(bragg_pixel type) { return types[type].size; }
const char *bragg_pixel_name(bragg_pixel type) { return types[type].name; }

bragg_status bragg_frame_new(size_t width, size_t height, bragg_pixel type, bragg_frame **out, bragg_error *err)
{
    enum { MOST = 1 << 16, MOST_PIXELS = 1 << 28 }; /* the largest detectors have some 20000 pixels a side */
    *out = NULL;
    if (width < 1 || height < 1 || width > MOST || height > MOST || width * height > MOST_PIXELS)
        return bragg_fail(err, BRAGG_EDATA, "frame: expected 1 to %d pixels a side and at most %d of them, found %zu x %zu", MOST, MOST_PIXELS, width, height);
    bragg_frame *f = calloc(1, sizeof *f);
    if (f)
        f->data = calloc(width * height, types[type].size);
    if (!f || !f->data) {
        free(f);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a frame of %zu x %zu %s", width, height, types[type].name);
    }
    f->width = width;
    f->height = height;
    f->type = type;
    f->exposure_s = f->wavelength_ang = f->distance_m = f->temperature_k = f->monitor = f->time_s = NAN;
    f->pixel_slow_m = f->pixel_fast_m = f->beam_slow_px = f->beam_fast_px = f->saturation = NAN;
    *out = f;
    return BRAGG_OK;
}

void bragg_frame_free(bragg_frame *f)
{
    if (!f)
        return;
    free(f->data);
    free(f->value);
    free(f);
}

/* ------------------------------------------------------------------- facts */

static bragg_frame_value *find_value(const bragg_frame *f, const char *name)
{
    for (size_t k = 0; k < f->n_values; k++)
        if (!strcasecmp(f->value[k].name, name))
            return &f->value[k];
    return NULL;
}

bragg_status bragg_frame_set(bragg_frame *f, const char *name, double value, bragg_error *err)
{
    enum { MOST_VALUES = 512 };
    bragg_frame_value v = { "", value };
    snprintf(v.name, sizeof v.name, "%s", name);
    if (!isfinite(value) || !*v.name)
        return BRAGG_OK;
    bragg_frame_value *old = find_value(f, v.name);
    if (old) {
        *old = v;
        return BRAGG_OK;
    }
    if (f->n_values == MOST_VALUES)
        return BRAGG_OK;
    bragg_frame_value *more = realloc(f->value, (f->n_values + 1) * sizeof *more);
    if (!more)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu values of a frame", f->n_values + 1);
    more[f->n_values++] = v;
    f->value = more;
    return BRAGG_OK;
}

double bragg_frame_get(const bragg_frame *f, const char *name)
{
    const bragg_frame_value *v = find_value(f, name);
    return v ? v->value : NAN;
}

bragg_status bragg_frame_copy_facts(const bragg_frame *from, bragg_frame *to, bragg_error *err)
{
    bragg_frame old = *to;
    bragg_status st = BRAGG_OK;
    *to = *from;
    to->width = old.width;
    to->height = old.height;
    to->type = old.type;
    to->data = old.data;
    to->n_values = old.n_values;
    to->value = old.value;
    for (size_t k = 0; st == BRAGG_OK && k < from->n_values; k++)
        st = bragg_frame_set(to, from->value[k].name, from->value[k].value, err);
    return st;
}

/* ------------------------------------------------------------------ pixels */

static void swap_bytes(char *a, char *b, size_t n)
{
    char keep[1024];
    for (size_t k = 0; k < n; k += sizeof keep) {
        size_t part = n - k < sizeof keep ? n - k : sizeof keep;
        memcpy(keep, a + k, part);
        memcpy(a + k, b + k, part);
        memcpy(b + k, keep, part);
    }
}

#define REVERSE(T)                                          \
    for (T *a = row, *b = a + n - 1; a < b; a++, b--) {     \
        T keep = *a;                                        \
        *a = *b;                                            \
        *b = keep;                                          \
    }                                                       \
    break

static void reverse_row(void *row, size_t n, size_t size)
{
    switch (size) {
    case 1: REVERSE(uint8_t);
    case 2: REVERSE(uint16_t);
    case 4: REVERSE(uint32_t);
    case 8: REVERSE(uint64_t);
    }
}

bool bragg_flip_parse(const char *flip, bool *vertical, bool *horizontal)
{
    bool both = flip && !strcmp(flip, "both");
    *vertical = both || (flip && !strcmp(flip, "vertical"));
    *horizontal = both || (flip && !strcmp(flip, "horizontal"));
    return !flip || *vertical || *horizontal;
}

void bragg_frame_flip(bragg_frame *f, bool vertical, bool horizontal)
{
    size_t size = types[f->type].size, row = f->width * size;
    char *data = f->data;
    for (size_t i = 0; vertical && i < f->height / 2; i++)
        swap_bytes(data + i * row, data + (f->height - 1 - i) * row, row);
    for (size_t i = 0; horizontal && i < f->height; i++)
        reverse_row(data + i * row, f->width, size);
}

#define COPY(T)                                          \
    for (size_t i = 0; i < n; i++)                       \
        out[i] = (double)((const T *)f->data)[first + i]; \
    break

void bragg_frame_doubles(const bragg_frame *f, size_t first, size_t n, double *out)
{
    switch (f->type) {
    case BRAGG_U8: COPY(uint8_t);
    case BRAGG_U16: COPY(uint16_t);
    case BRAGG_U32: COPY(uint32_t);
    case BRAGG_U64: COPY(uint64_t);
    case BRAGG_I8: COPY(int8_t);
    case BRAGG_I16: COPY(int16_t);
    case BRAGG_I32: COPY(int32_t);
    case BRAGG_I64: COPY(int64_t);
    case BRAGG_F32: COPY(float);
    case BRAGG_F64: COPY(double);
    }
}

/* Unsigned detectors mark gaps with their largest value (Eiger: 2^32 - 1). */
static double marker_of(bragg_pixel type)
{
    return type == BRAGG_U16 ? 65535. : type == BRAGG_U32 ? 4294967295. : type == BRAGG_U64 ? 18446744073709551615. : INFINITY;
}

void bragg_frame_mark_invalid(const bragg_frame *f, uint8_t *mask)
{
    double row[256], marker = marker_of(f->type);
    for (size_t first = 0, all = f->width * f->height; first < all; first += 256) {
        size_t n = all - first < 256 ? all - first : 256;
        bragg_frame_doubles(f, first, n, row);
        for (size_t i = 0; i < n; i++)
            mask[first + i] |= !(row[i] >= 0 && row[i] < marker);
    }
}

void bragg_frame_mark_outside(const bragg_frame *f, double low, double high, uint8_t *mask)
{
    double row[256];
    for (size_t first = 0, all = f->width * f->height; first < all; first += 256) {
        size_t n = all - first < 256 ? all - first : 256;
        bragg_frame_doubles(f, first, n, row);
        for (size_t i = 0; i < n; i++)
            mask[first + i] |= row[i] < low || row[i] > high; /* false with a NAN */
    }
}

bragg_status bragg_frame_add_mask(const bragg_frame *f, size_t width, size_t height, uint8_t *mask, bragg_error *err)
{
    if (f->width != width || f->height != height)
        return bragg_fail(err, BRAGG_EDATA, "mask: expected %zu x %zu pixels like the frame, found %zu x %zu", width, height, f->width, f->height);
    double row[256];
    for (size_t first = 0, all = width * height; first < all; first += 256) {
        size_t n = all - first < 256 ? all - first : 256;
        bragg_frame_doubles(f, first, n, row);
        for (size_t i = 0; i < n; i++)
            mask[first + i] |= row[i] != 0;
    }
    return BRAGG_OK;
}
