/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames through a plan: sums of each bin. */
#include "config.h"
#include "plan.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_BINS_A_BLOCK = 16, PIXELS_A_BLOCK = 1 << 15 };

/* What a frame gives; one of the two outputs. */
typedef struct pass {
    const bragg_plan *plan;
    const bragg_frame *frame, *dark, *variance;
    double *value, *noise;   /* a pixel, when there is a dark or a variance */
    double *y, *sigma;
} pass;

/* A bin's sums. */
typedef struct sums {
    double signal, variance;
    bool invalid;            /* met a pixel that does not count */
} sums;

/* Four entries side by side (vector types of GCC and Clang, which turn them into
 * what the processor has).  Four partial sums, in the same order on any number of
 * threads. */
typedef double four __attribute__((vector_size(32)));
typedef entry four_entry __attribute__((vector_size(16)));
typedef int32_t four_int __attribute__((vector_size(16)));
typedef int64_t four_long __attribute__((vector_size(32)));

/* Made also for processors with AVX2, chosen when the program starts.  Without FMA,
 * so that both give the same bits. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(BRAGG_SANITIZE)
#define FOR_MORE_PROCESSORS __attribute__((target_clones("avx2", "default")))
#else
#define FOR_MORE_PROCESSORS
#endif

#define WIDE(V) __builtin_convertvector((V), four)
#define GATHER(V, T) (V){ (T)value[entry_offset(e[0])], (T)value[entry_offset(e[1])], (T)value[entry_offset(e[2])], (T)value[entry_offset(e[3])] }

/* V, T: the vector that takes pixels of type P as they are; B what a comparison of
 * such vectors gives. */
#define DEFINE_SUM(NAME, P, V, T, B, INVALID)                                                    \
    FOR_MORE_PROCESSORS static sums NAME(const void *data, const run *r, const run *end, const entry *e) \
    {                                                                                            \
        four s = { 0 }, v = { 0 };                                                               \
        B bad = { 0 };                                                                           \
        for (; r < end; r++) {                                                                   \
            const P *value = (const P *)data + r->base;                                          \
            const entry *stop = e + r->n;                                                        \
            for (; stop - e >= 4; e += 4) {                                                      \
                V y = GATHER(V, T);                                                              \
                four_entry raw;                                                                  \
                memcpy(&raw, e, sizeof raw);                                                     \
                four w = WIDE((four_int)(raw >> 16)), wy = w * WIDE(y);                          \
                bad |= INVALID;                                                                  \
                s += wy;                                                                         \
                v += w * wy;                                                                     \
            }                                                                                    \
            for (int k = 0; e < stop; e++, k++) {                                                \
                V y = { (T)value[entry_offset(*e)] };                                            \
                double w = entry_weight(*e), wy = w * (double)y[0];                              \
                bad |= INVALID;                                                                  \
                s[k] += wy;                                                                      \
                v[k] += w * wy;                                                                  \
            }                                                                                    \
        }                                                                                        \
        bool invalid = bad[0] || bad[1] || bad[2] || bad[3];                                     \
        return (sums){ (s[0] + s[1]) + (s[2] + s[3]), (v[0] + v[1]) + (v[2] + v[3]), invalid };  \
    }

/* Invalid: negative integers, the markers of unsigned types (bragg_frame_mark_invalid),
 * what is not finite. */
DEFINE_SUM(sum_u8, uint8_t, four_int, int32_t, four_int, (four_int){ 0 })
DEFINE_SUM(sum_u16, uint16_t, four_int, int32_t, four_int, (y == UINT16_MAX))
DEFINE_SUM(sum_u32, uint32_t, four, double, four_long, (y == UINT32_MAX))
DEFINE_SUM(sum_u64, uint64_t, four, double, four_long, (y >= 0x1p64))
DEFINE_SUM(sum_i8, int8_t, four_int, int32_t, four_int, (y < 0))
DEFINE_SUM(sum_i16, int16_t, four_int, int32_t, four_int, (y < 0))
DEFINE_SUM(sum_i32, int32_t, four_int, int32_t, four_int, (y < 0))
DEFINE_SUM(sum_i64, int64_t, four, double, four_long, (y < 0))
DEFINE_SUM(sum_f32, float, four, double, four_long, (y - y != 0))
DEFINE_SUM(sum_f64, double, four, double, four_long, (y - y != 0))

typedef sums (*sum_function)(const void *data, const run *r, const run *end, const entry *e);

static const sum_function sum_of[] = {
    [BRAGG_U8] = sum_u8, [BRAGG_U16] = sum_u16, [BRAGG_U32] = sum_u32, [BRAGG_U64] = sum_u64, [BRAGG_I8] = sum_i8,
    [BRAGG_I16] = sum_i16, [BRAGG_I32] = sum_i32, [BRAGG_I64] = sum_i64, [BRAGG_F32] = sum_f32, [BRAGG_F64] = sum_f64,
};

/* A pixel as a double; NAN where it does not count. */
static double value_of(const bragg_frame *f, size_t pixel)
{
    double y;
    bragg_frame_doubles(f, pixel, 1, &y);
    if (f->type >= BRAGG_F32)
        return isfinite(y) ? y : NAN;
    bool marker = (f->type == BRAGG_U16 && y == UINT16_MAX) || (f->type == BRAGG_U32 && y == UINT32_MAX) ||
                  (f->type == BRAGG_U64 && ((const uint64_t *)f->data)[pixel] == UINT64_MAX);
    return y < 0 || marker ? NAN : y;
}

/* The bin whose pixels do not all count, or whose noise is not the counts'. */
static sums sum_slowly(const pass *w, size_t b, double *norm)
{
    const bragg_plan *p = w->plan;
    const entry *e = p->entry + p->start[b];
    sums s = { 0, 0, true };
    *norm = 0;
    for (size_t r = p->run_start[b]; r < p->run_start[b + 1]; r++)
        for (uint32_t k = 0; k < p->run[r].n; k++, e++) {
            size_t pixel = p->run[r].base + entry_offset(*e);
            double weight = entry_weight(*e), y = w->value ? w->value[pixel] : value_of(w->frame, pixel);
            double noise = w->noise ? w->noise[pixel] : y;
            if (!isfinite(y + noise))
                continue;
            s.signal += weight * y;
            s.variance += weight * weight * noise;
            *norm += weight * (double)p->correction[pixel];
        }
    return s;
}

/* Counts that happen to be none still leave a doubt of about one: the variance is
 * at least that of one count in the pixel that weighs most.  (pyFAI takes at least
 * one count in every pixel, which doubles the variance of a frame of few counts.) */
static double least_variance(const bragg_plan *p, size_t b)
{
    double largest = 0;
    for (size_t k = p->start[b]; k < p->start[b + 1]; k++)
        largest = MAX(largest, (double)entry_weight(p->entry[k]));
    return largest * largest;
}

static void sum_bins(const pass *w, size_t first, size_t last)
{
    const bragg_plan *p = w->plan;
    for (size_t b = first; b < last; b++) {
        double norm = p->norm[b];
        sums s = { 0, 0, true };
        if (!w->value)
            s = sum_of[w->frame->type](w->frame->data, p->run + p->run_start[b], p->run + p->run_start[b + 1], p->entry + p->start[b]);
        if (s.invalid)
            s = sum_slowly(w, b, &norm);
        if (!w->variance && s.variance < (double)FULL * FULL) /* no weight is larger */
            s.variance = MAX(s.variance, least_variance(p, b));
        w->y[b] = norm > 0 ? s.signal / norm : NAN;
        w->sigma[b] = norm > 0 ? sqrt(s.variance) / norm : NAN;
    }
}

/* --------------------------------------------------- dark and variance */

/* Counts of frame and dark are independent: their variances add. */
static bragg_status prepare_pixels(void *payload, size_t first, size_t last, bragg_error *err)
{
    const pass *w = payload;
    for (size_t i = first; i < last; i++) {
        double y = value_of(w->frame, i), dark = w->dark ? value_of(w->dark, i) : 0;
        w->noise[i] = w->variance ? value_of(w->variance, i) : y;
        w->value[i] = y - dark;
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status check_shape(const bragg_plan *p, const bragg_frame *f, const char *what, bragg_error *err)
{
    return !f || (f->height == p->rows && f->width == p->columns) ? BRAGG_OK
        : bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu pixels, found %zu x %zu", what, p->columns, p->rows, f->width, f->height);
}

/* The blocks of a frame: first some of its memory, read in order, which brings it
 * into the cache several times faster than the bins' own order would; then its bins. */
typedef struct blocks {
    pass *pass;
    size_t touches, bins_a_block;
} blocks;

enum { BYTES_A_TOUCH = 1 << 17, LINE = 64 };

static void touch(const bragg_frame *f, size_t k)
{
    size_t size = f->width * f->height * bragg_pixel_size(f->type), end = (k + 1) * BYTES_A_TOUCH;
    const volatile char *data = f->data;
    for (size_t at = k * BYTES_A_TOUCH; at < MIN(end, size); at += LINE)
        (void)data[at];
}

static bragg_status work_on_block(void *payload, size_t first, size_t last, bragg_error *err)
{
    const blocks *w = payload;
    const bragg_plan *p = w->pass->plan;
    size_t bins = p->n_rings * p->n_azimuth;
    for (size_t k = first; k < last; k++) {
        if (k < w->touches) {
            touch(w->pass->frame, k);
            continue;
        }
        size_t from = (k - w->touches) * w->bins_a_block, to = from + w->bins_a_block;
        sum_bins(w->pass, from, MIN(to, bins));
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_status sum_blocks(pass *w, bragg_error *err)
{
    size_t bins = w->plan->n_rings * w->plan->n_azimuth, bytes = w->plan->rows * w->plan->columns * bragg_pixel_size(w->frame->type);
    blocks all = { w, w->value ? 0 : (bytes + BYTES_A_TOUCH - 1) / BYTES_A_TOUCH, MAX(bins / 256, LEAST_BINS_A_BLOCK) };
    size_t n = all.touches + (bins + all.bins_a_block - 1) / all.bins_a_block;
    return bragg_parallel_for(n, 1, work_on_block, &all, err);
}

static bragg_status sum_frame(pass *w, bragg_error *err)
{
    const bragg_plan *p = w->plan;
    size_t pixels = p->rows * p->columns;
    bragg_status st = check_shape(p, w->frame, "frame", err);
    if (st == BRAGG_OK)
        st = check_shape(p, w->dark, "dark", err);
    if (st == BRAGG_OK)
        st = check_shape(p, w->variance, "variance", err);
    if (st == BRAGG_OK && (w->dark || w->variance)) {
        w->value = malloc(2 * pixels * sizeof *w->value);
        if (!w->value)
            return bragg_fail(err, BRAGG_ENOMEM, "no room to integrate %zu pixels", pixels);
        w->noise = w->value + pixels;
        st = bragg_parallel_for(pixels, PIXELS_A_BLOCK, prepare_pixels, w, err);
    }
    if (st == BRAGG_OK)
        st = sum_blocks(w, err);
    free(w->value);
    return st;
}

/* --------------------------------------------------------------- results */

static double ring_centre(const bragg_plan *p, size_t k)
{
    return p->first + ((double)k + 0.5) * p->step;
}

static bragg_status needs_one_azimuth(const bragg_plan *p, bragg_error *err)
{
    return p->n_azimuth == 1 ? BRAGG_OK
        : bragg_fail(err, BRAGG_EINVAL, "integration: a plan of %zu azimuths gives a cake, not a pattern", p->n_azimuth);
}

static bragg_pattern *new_pattern(const bragg_plan *p)
{
    bragg_pattern *out = bragg_pattern_new(p->n_rings, p->opt.axis);
    for (size_t k = 0; out && k < out->n; k++)
        out->x[k] = ring_centre(p, k);
    if (out)
        out->wavelength_ang = p->wavelength_ang;
    return out;
}

bragg_status bragg_plan_integrate(const bragg_plan *p, const bragg_frame *frame, const bragg_frame *dark,
                                  const bragg_frame *variance, bragg_pattern **out, bragg_error *err)
{
    *out = NULL;
    bragg_status st = needs_one_azimuth(p, err);
    if (st < 0)
        return st;
    bragg_pattern *pattern = new_pattern(p);
    if (!pattern)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", p->n_rings);
    pass w = { .plan = p, .frame = frame, .dark = dark, .variance = variance, .y = pattern->y, .sigma = pattern->sigma };
    st = sum_frame(&w, err);
    if (st < 0)
        bragg_pattern_free(pattern);
    else
        *out = pattern;
    return st;
}

static bragg_cake *new_cake(const bragg_plan *p)
{
    bragg_cake *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->n_rings = p->n_rings;
    c->n_azimuth = p->n_azimuth;
    c->axis = p->opt.axis;
    c->wavelength_ang = p->wavelength_ang;
    c->x = malloc(c->n_rings * sizeof *c->x);
    c->chi_rad = malloc(c->n_azimuth * sizeof *c->chi_rad);
    c->intensity = malloc(c->n_rings * c->n_azimuth * sizeof *c->intensity);
    c->sigma = malloc(c->n_rings * c->n_azimuth * sizeof *c->sigma);
    if (!c->x || !c->chi_rad || !c->intensity || !c->sigma) {
        bragg_cake_free(c);
        return NULL;
    }
    for (size_t k = 0; k < c->n_rings; k++)
        c->x[k] = ring_centre(p, k);
    for (size_t k = 0; k < c->n_azimuth; k++)
        c->chi_rad[k] = p->chi_first + ((double)k + 0.5) * p->chi_step;
    return c;
}

void bragg_cake_free(bragg_cake *c)
{
    if (!c)
        return;
    free(c->x);
    free(c->chi_rad);
    free(c->intensity);
    free(c->sigma);
    free(c);
}

bragg_status bragg_plan_integrate_cake(const bragg_plan *p, const bragg_frame *frame, const bragg_frame *dark,
                                       const bragg_frame *variance, bragg_cake **out, bragg_error *err)
{
    *out = NULL;
    bragg_cake *cake = new_cake(p);
    if (!cake)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu x %zu bins", p->n_rings, p->n_azimuth);
    pass w = { .plan = p, .frame = frame, .dark = dark, .variance = variance, .y = cake->intensity, .sigma = cake->sigma };
    bragg_status st = sum_frame(&w, err);
    if (st < 0)
        bragg_cake_free(cake);
    else
        *out = cake;
    return st;
}
