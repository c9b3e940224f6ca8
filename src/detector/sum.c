/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames through a plan, eight at a time: sums of each bin. */
#include "config.h"
#include "sum.h"

#include <bragg/array.h>
#include <bragg/thread.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Eight frames go side by side, one in each lane of a vector, so that an entry of the
 * plan is read and unpacked once for all of them:
 *
 *      frames 0 … 7, row by row ─► tile: pixel 0: 0 … 7, pixel 1: 0 … 7, …
 *      entry (weight, offset)   ─► sum[bin] += weight * tile[offset]
 *
 * A lane's sums do not depend on what is in the others.  (Vector types are those of
 * GCC and Clang, which turn them into what the processor has.) */
enum { LANES = 8 };
typedef double lanes __attribute__((vector_size(64)));
typedef int64_t lanes_mask __attribute__((vector_size(64)));
typedef int32_t lanes_i32 __attribute__((vector_size(32)));

/* Made also for processors with wider vectors, chosen when the program starts. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(BRAGG_SANITIZE)
#define FOR_MORE_PROCESSORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_MORE_PROCESSORS
#endif
#define INLINE static inline __attribute__((always_inline))

/* Of eight frames: a bin's sums. */
typedef struct sums {
    lanes signal, variance;
} sums;

/* What pixels that do not count would have added to a bin's norms and dark counts. */
typedef struct losses {
    lanes one, two, dark;
} losses;

/* Room of one thread: a tile of eight frames and the sums of a batch and of one
 * group of tiles. */
typedef struct room {
    lanes *tile;
    sums *total, *group;
    losses *lost, *group_lost;
    atomic_flag taken;
} room;

typedef struct pass {
    const bragg_plan *plan;
    const bragg_frame *const *frame;
    size_t n;
    bragg_pixel type;
    const double *dark;          /* a pixel; NULL: none */
    const double *dark_sum;      /* a bin */
    const double *monitor;       /* a frame; NULL: 1 */
    bragg_sums out;
    room *room;
    size_t n_rooms;
    /* when the threads share the groups of one batch */
    size_t batch;
    sums *group;
    losses *group_lost;
    bool *lost;                  /* a group */
} pass;

/* ----------------------------------------------------------- pixels of tiles */

double bragg_plan_value(const bragg_frame *f, size_t pixel)
{
    double y;
    bragg_frame_doubles(f, pixel, 1, &y);
    if (f->type >= BRAGG_F32)
        return isfinite(y) ? y : NAN;
    bool marker = (f->type == BRAGG_U16 && y == UINT16_MAX) || (f->type == BRAGG_U32 && y == UINT32_MAX) ||
                  (f->type == BRAGG_U64 && ((const uint64_t *)f->data)[pixel] == UINT64_MAX);
    return y < 0 || marker ? NAN : y;
}

/* n pixels of eight frames one by one: any type, NAN where one does not count. */
static void load_slowly(const bragg_frame *const frame[LANES], size_t from, size_t n, double *to)
{
    for (size_t j = 0; j < n; j++)
        for (size_t l = 0; l < LANES; l++)
            to[j * LANES + l] = bragg_plan_value(frame[l], from + j);
}

#define MIX(A, B, ...) __builtin_shufflevector((A), (B), __VA_ARGS__)

/* Rows become columns. */
INLINE void transpose(lanes_i32 r[LANES])
{
    lanes_i32 a[LANES], b[LANES];
#pragma GCC unroll 8
    for (int k = 0; k < LANES; k += 2) {
        a[k] = MIX(r[k], r[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        a[k + 1] = MIX(r[k], r[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
#pragma GCC unroll 8
    for (int k = 0; k < LANES; k += 4) {
        b[k] = MIX(a[k], a[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        b[k + 1] = MIX(a[k], a[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        b[k + 2] = MIX(a[k + 1], a[k + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        b[k + 3] = MIX(a[k + 1], a[k + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 4; k++) {
        r[k] = MIX(b[k], b[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        r[k + 4] = MIX(b[k], b[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* Eight pixels (T) of eight frames as 32 bits (AS), turned, as doubles (of U).  When
 * one of them does not count (SUSPECT), or might not, they are done one by one. */
#define DEFINE_LOAD(NAME, T, U, AS, SUSPECT)                                                  \
    typedef T NAME##_pixels __attribute__((vector_size(LANES * sizeof(T))));                 \
    FOR_MORE_PROCESSORS static void NAME(const bragg_frame *const frame[LANES], size_t from, size_t n, double *restrict to) \
    {                                                                                         \
        size_t j = 0;                                                                         \
        for (; j + LANES <= n; j += LANES) {                                                  \
            union { lanes_i32 row[LANES]; U pixel[LANES * LANES]; } r;                        \
            lanes_i32 suspect = { 0 };                                                        \
            _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++) {                         \
                NAME##_pixels v;                                                              \
                memcpy(&v, (const T *)frame[l]->data + from + j, sizeof v);                   \
                r.row[l] = AS(v);                                                             \
                suspect |= SUSPECT(r.row[l]);                                                 \
            }                                                                                 \
            transpose(r.row);                                                                 \
            for (int k = 0; k < LANES * LANES; k++)                                           \
                to[j * LANES + (size_t)k] = (double)r.pixel[k];                               \
            if (__builtin_expect(any_negative(&suspect), 0))                                  \
                load_slowly(frame, from + j, LANES, to + j * LANES);                          \
        }                                                                                     \
        load_slowly(frame, from + j, n - j, to + j * LANES);                                  \
    }

INLINE bool any_negative(const lanes_i32 *v)
{
    int64_t part[4];
    memcpy(part, v, sizeof part);
    return ((part[0] | part[1] | part[2] | part[3]) & (int64_t)0x8000000080000000) != 0;
}

#define AS_INT(V) __builtin_convertvector((V), lanes_i32)
#define AS_IS(V) ((lanes_i32)(V))
#define BELOW_ZERO(R) (R)
#define ALL_ONES(R) ((R) == UINT16_MAX)
#define NOT_FINITE(R) (((R) & 0x7f800000) == 0x7f800000)
DEFINE_LOAD(load_u8, uint8_t, int32_t, AS_INT, BELOW_ZERO)
DEFINE_LOAD(load_u16, uint16_t, int32_t, AS_INT, ALL_ONES)
DEFINE_LOAD(load_u32, uint32_t, int32_t, AS_IS, BELOW_ZERO)
DEFINE_LOAD(load_i8, int8_t, int32_t, AS_INT, BELOW_ZERO)
DEFINE_LOAD(load_i16, int16_t, int32_t, AS_INT, BELOW_ZERO)
DEFINE_LOAD(load_i32, int32_t, int32_t, AS_IS, BELOW_ZERO)
DEFINE_LOAD(load_f32, float, float, AS_IS, NOT_FINITE)

typedef void (*load)(const bragg_frame *const frame[LANES], size_t from, size_t n, double *to);

static const load load_of[] = {
    [BRAGG_U8] = load_u8, [BRAGG_U16] = load_u16, [BRAGG_U32] = load_u32, [BRAGG_U64] = load_slowly, [BRAGG_I8] = load_i8,
    [BRAGG_I16] = load_i16, [BRAGG_I32] = load_i32, [BRAGG_I64] = load_slowly, [BRAGG_F32] = load_f32, [BRAGG_F64] = load_slowly,
};

/* ---------------------------------------------------------------- bins of tiles */

/* The lanes of V for which MASK holds, else 0. */
#define WHERE(MASK, V) ((lanes)((lanes_mask)(V) & (MASK)))

/* A piece with pixels that do not count in one lane at least, summed anew. */
static void sum_losses(const pass *w, const tile *t, const entry *e, size_t n, const lanes *pixel, sums *s, losses *lost)
{
    *s = (sums){ { 0 }, { 0 } };
    for (size_t k = 0; k < n; k++) {
        size_t at = plan_pixel(w->plan, t, entry_offset(e[k]));
        double weight = entry_weight(e[k]), norm = weight * (double)w->plan->correction[at];
        lanes y = pixel[entry_offset(e[k])], none = { 0 };
        lanes_mask valid = y == y;
        lanes wy = weight * WHERE(valid, y);
        s->signal += wy;
        s->variance += weight * wy;
        lost->one += WHERE(~valid, none + norm);
        lost->two += WHERE(~valid, none + norm * norm);
        if (w->dark)
            lost->dark += WHERE(~valid, none + weight * w->dark[at]);
    }
}

INLINE bool any_nan(const lanes *v)
{
    lanes_mask bad = *v != *v;
    int64_t any = 0;
    for (int l = 0; l < LANES; l++)
        any |= bad[l];
    return any != 0;
}

/* The pixels of the tile that comes next, to be brought into the cache line by line
 * while this one is summed: a step is a line of each frame. */
typedef struct ahead {
    const char *data[LANES];
    size_t frames, offset, end;      /* bytes from the start of a row; its end */
    size_t row_bytes, columns_bytes, rows;
} ahead;

enum { LINE = 64, ENTRIES_AHEAD = 128 };

INLINE void fetch(ahead *a)
{
    if (a->offset >= a->end) {
        if (a->rows <= 1)
            return;
        a->rows--;
        a->end += a->row_bytes;
        a->offset = a->end - a->columns_bytes;
    }
    for (size_t l = 0; l < a->frames; l++)
        __builtin_prefetch(a->data[l] + a->offset, 0, 2);
    a->offset += LINE;
}

/* All bins of a tile; true when there are losses.  Clean pieces are what has to be
 * fast: two sets of sums hide how long an addition takes. */
FOR_MORE_PROCESSORS static bool sum_tile(const pass *w, const tile *t, const lanes *pixel, ahead *next, sums *to, losses *lost)
{
    bool any = false;
    const entry *e = t->entry;
    for (const piece *p = t->piece, *end = p + t->n_pieces; p < end; p++) {
        lanes s = { 0 }, v = { 0 }, s2 = { 0 }, v2 = { 0 };
        fetch(next);
        for (const entry *stop = e + p->n; e < stop; e += UNROLL) {
            double weight[UNROLL];
            __builtin_prefetch(e + ENTRIES_AHEAD, 0, 2);
            for (int k = 0; k < UNROLL; k++)
                weight[k] = (double)(int32_t)entry_weight(e[k]);
#pragma GCC unroll 4
            for (int k = 0; k < UNROLL; k += 2) {
                lanes a = weight[k] * pixel[entry_offset(e[k])], b = weight[k + 1] * pixel[entry_offset(e[k + 1])];
                s += a;
                v += weight[k] * a;
                s2 += b;
                v2 += weight[k + 1] * b;
            }
        }
        sums sum = { s + s2, v + v2 };
        if (__builtin_expect(any_nan(&sum.signal), 0)) {
            sum_losses(w, t, e - p->n, p->n, pixel, &sum, &lost[p->bin]);
            any = true;
        }
        to[p->bin].signal += sum.signal;
        to[p->bin].variance += sum.variance;
    }
    return any;
}

/* ----------------------------------------------------------------- groups */

static ahead look_ahead(const bragg_plan *p, const tile *t, const bragg_frame *const frame[LANES], size_t frames)
{
    size_t size = bragg_pixel_size(frame[0]->type);
    ahead a = { .frames = frames, .offset = 0, .end = t->columns * size, .row_bytes = p->columns * size, .columns_bytes = t->columns * size, .rows = t->rows };
    for (size_t l = 0; l < LANES; l++)
        a.data[l] = (const char *)frame[l]->data + (t->row * p->columns + t->column) * size;
    return a;
}

/* A batch of frames over one group of tiles; true when there are losses. */
static bool sum_group(const pass *w, size_t batch, size_t group, lanes *pixels, sums *to, losses *lost)
{
    const bragg_plan *p = w->plan;
    const bragg_frame *frame[LANES];
    for (size_t l = 0; l < LANES; l++) /* lanes without a frame repeat the last */
        frame[l] = w->frame[MIN(batch * LANES + l, w->n - 1)];
    size_t first = group * p->tiles_a_group, last = MIN(first + p->tiles_a_group, p->n_tiles);
    bool any = false;
    for (size_t k = first; k < last; k++) {
        const tile *t = &p->tile[k];
        ahead next = k + 1 < last ? look_ahead(p, t + 1, frame, MIN(w->n - batch * LANES, LANES)) : (ahead){ .frames = 0 };
        for (size_t i = 0; i < t->rows; i++)
            load_of[w->type](frame, (t->row + i) * p->columns + t->column, t->columns, (double *)(pixels + i * TILE_COLUMNS));
        any |= sum_tile(w, t, pixels, &next, to, lost);
    }
    return any;
}

static void add_sums(sums *to, const sums *from, size_t n)
{
    for (size_t b = 0; b < n; b++) {
        to[b].signal += from[b].signal;
        to[b].variance += from[b].variance;
    }
}

static void add_losses(losses *to, const losses *from, size_t n)
{
    for (size_t b = 0; b < n; b++) {
        to[b].one += from[b].one;
        to[b].two += from[b].two;
        to[b].dark += from[b].dark;
    }
}

/* One lane's bin.  Of a bin whose pixels all do not count rounding may leave a
 * little; a bin with one pixel in 65535 parts of it has more.
 *
 * Counts that happen to be none still leave a doubt of about one: the variance is
 * at least that of one count in the pixel that weighs most.  (pyFAI takes at least
 * one count in every pixel, which doubles the variance of a frame of few counts.) */
static void finish_bin(const pass *w, size_t b, size_t k, double signal, double variance, double one, double two, double dark)
{
    const norms *n = &w->plan->norm[b];
    size_t at = k * plan_bins(w->plan) + b;
    double norm = n->one - one, monitor = w->monitor ? w->monitor[k] : 1;
    bool empty = !(norm > 1e-12 * n->one) || !(monitor > 0);
    if (w->dark)
        signal -= w->dark_sum[b] - dark;
    variance = MAX(variance, n->largest * n->largest);
    w->out.intensity[at] = empty ? NAN : signal / (norm * monitor);
    w->out.sem[at] = empty ? NAN : sqrt(variance) / (norm * monitor);
    if (w->out.std)
        w->out.std[at] = empty ? NAN : sqrt(variance / (n->two - two)) / monitor;
}

static void finish_batch(const pass *w, size_t batch, const sums *s, const losses *lost)
{
    size_t frames = MIN(w->n - batch * LANES, LANES);
    for (size_t b = 0; b < plan_bins(w->plan); b++)
        for (size_t l = 0; l < frames; l++)
            finish_bin(w, b, batch * LANES + l, s[b].signal[l], s[b].variance[l], lost[b].one[l], lost[b].two[l], lost[b].dark[l]);
}

static room *take_room(const pass *w)
{
    for (size_t k = 0;; k = (k + 1) % w->n_rooms) /* there is one for every thread */
        if (!atomic_flag_test_and_set(&w->room[k].taken))
            return &w->room[k];
}

static void sum_batch(const pass *w, size_t batch, room *r)
{
    size_t bins = plan_bins(w->plan);
    bool any = false;
    memset(r->total, 0, bins * sizeof *r->total);
    for (size_t g = 0; g < w->plan->n_groups; g++) {
        memset(r->group, 0, bins * sizeof *r->group);
        if (sum_group(w, batch, g, r->tile, r->group, r->group_lost)) {
            add_losses(r->lost, r->group_lost, bins);
            memset(r->group_lost, 0, bins * sizeof *r->group_lost);
            any = true;
        }
        add_sums(r->total, r->group, bins);
    }
    finish_batch(w, batch, r->total, r->lost);
    if (any)
        memset(r->lost, 0, bins * sizeof *r->lost);
}

static bragg_status sum_batches(void *payload, size_t first, size_t last, bragg_error *err)
{
    const pass *w = payload;
    room *r = take_room(w);
    for (size_t batch = first; batch < last; batch++)
        sum_batch(w, batch, r);
    atomic_flag_clear(&r->taken);
    return BRAGG_OK;
    (void)err;
}

static bragg_status sum_groups(void *payload, size_t first, size_t last, bragg_error *err)
{
    const pass *w = payload;
    size_t bins = plan_bins(w->plan);
    room *r = take_room(w);
    for (size_t g = first; g < last; g++)
        w->lost[g] = sum_group(w, w->batch, g, r->tile, w->group + g * bins, w->group_lost + g * bins);
    atomic_flag_clear(&r->taken);
    return BRAGG_OK;
    (void)err;
}

/* The groups of one batch by all threads, added up in the same order as above. */
static bragg_status share_batch(pass *w, size_t batch, bragg_error *err)
{
    size_t bins = plan_bins(w->plan), groups = w->plan->n_groups;
    room *r = &w->room[0];
    w->batch = batch;
    memset(w->group, 0, groups * bins * sizeof *w->group);
    bragg_status st = bragg_parallel_for(groups, 1, sum_groups, w, err);
    bool any = false;
    memset(r->total, 0, bins * sizeof *r->total);
    for (size_t g = 0; g < groups; g++) {
        add_sums(r->total, w->group + g * bins, bins);
        if (w->lost[g]) {
            add_losses(r->lost, w->group_lost + g * bins, bins);
            memset(w->group_lost + g * bins, 0, bins * sizeof *r->lost);
            any = true;
        }
    }
    finish_batch(w, batch, r->total, r->lost);
    if (any)
        memset(r->lost, 0, bins * sizeof *r->lost);
    return st;
}

/* ------------------------------------------------------------------- room */

/* Zeros from a multiple of a cache line; what has been got is kept in `got`. */
typedef struct store {
    void **got;
    size_t n, room;
} store;

static void *zeros(store *s, size_t count, size_t size)
{
    if (bragg_array_grow(&s->got, &s->room, s->n + 1, sizeof *s->got, NULL) < 0 || count > SIZE_MAX / size - 1)
        return NULL;
    char *at = calloc(count * size + LINE, 1);
    if (!at)
        return NULL;
    s->got[s->n++] = at;
    return at + (LINE - (uintptr_t)at % LINE);
}

static void drop(store *s)
{
    for (size_t k = 0; k < s->n; k++)
        free(s->got[k]);
    free(s->got);
}

static bool make_rooms(pass *w, store *s, size_t threads, bool groups)
{
    size_t bins = plan_bins(w->plan);
    bool good = (w->room = zeros(s, threads, sizeof *w->room)) != NULL;
    for (w->n_rooms = 0; good && w->n_rooms < threads; w->n_rooms++) {
        room *r = &w->room[w->n_rooms];
        atomic_flag_clear(&r->taken);
        good = (r->tile = zeros(s, TILE_PIXELS, sizeof *r->tile)) &&
               (r->total = zeros(s, bins, sizeof *r->total)) && (r->group = zeros(s, bins, sizeof *r->group)) &&
               (r->lost = zeros(s, bins, sizeof *r->lost)) && (r->group_lost = zeros(s, bins, sizeof *r->lost));
    }
    if (good && groups)
        good = (w->group = zeros(s, bins * w->plan->n_groups, sizeof *w->group)) && (w->group_lost = zeros(s, bins * w->plan->n_groups, sizeof *w->group_lost)) &&
               (w->lost = zeros(s, w->plan->n_groups, sizeof *w->lost));
    return good;
}

/* As many batches as the threads can share evenly go one to a thread; the rest by
 * groups.  That changes who sums, not what. */
bragg_status bragg_plan_sum(const bragg_plan *p, const bragg_frame *const *frame, size_t n, const double *dark, const double *dark_sum,
                            const double *monitor, bragg_sums out, bragg_error *err)
{
    pass w = { .plan = p, .frame = frame, .n = n, .type = frame[0]->type, .dark = dark, .dark_sum = dark_sum, .monitor = monitor, .out = out };
    size_t batches = (n + LANES - 1) / LANES, threads = (size_t)bragg_thread_count();
    size_t even = p->n_groups > 1 ? batches / threads * threads : batches;
    store s = { NULL, 0, 0 };
    bragg_status st = make_rooms(&w, &s, threads, even < batches) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to integrate %zu frames", n);
    if (st == BRAGG_OK && even)
        st = bragg_parallel_for(even, 1, sum_batches, &w, err);
    for (size_t batch = even; batch < batches && st == BRAGG_OK; batch++)
        st = share_batch(&w, batch, err);
    drop(&s);
    return st;
}
