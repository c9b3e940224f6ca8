/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames through a plan, eight at a time: sums of each bin. */
#include "config.h"
#include "lanes.h"
#include "sum.h"

#include <bragg/array.h>
#include <bragg/thread.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What pixels that do not count would have added to a bin's norms and dark counts. */
typedef struct losses {
    double one[LANES], two[LANES], dark[LANES];
} losses;

/* Room of one thread: a tile of all frames that go at a time, and the sums of a batch
 * and of one group of tiles. */
typedef struct room {
    void *tile;
    sums *total, *group;
    losses *lost, *group_lost;
    atomic_flag taken;
} room;

typedef struct pass {
    const bragg_plan *plan;
    const bragg_frame *const *frame;
    size_t n, eights;            /* frames; how many times eight go at a time */
    const struct ways *ways;
    bool in_shorts;              /* four times eight at a time, as whole numbers */
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

/* Of rows shorter than a vector: pixels that all are looked at again. */
static bool load_few(const bragg_frame *const *frame, size_t lanes, size_t n, void *to)
{
    int32_t *pixel = to, none = frame[0]->type == BRAGG_F32 ? INT32_MAX : -1; /* as a float no number, too */
    for (size_t j = 0; j < n * lanes; j++)
        pixel[j] = none;
    return true;
}

static bool load_wide(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *to)
{
    for (size_t j = 0; j < n; j++)
        for (size_t l = 0; l < lanes; l++)
            ((double *)to)[j * lanes + l] = bragg_plan_value(frame[l], from + j);
    return true;
}

typedef bool summing(const pass *w, const bragg_frame *const *frame, const tile *t, const void *pixels, ahead *next, sums *to, losses *lost);

/* How n pixels of eight or sixteen frames come into a tile (true when some may not
 * count), as what (bytes a lane), and out of it (true when some do not), with less
 * ado when all of them count. */
typedef struct way {
    bool (*load)(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *to);
    size_t size;
    summing *sum[2], *sum_all[2];
} way;

/* Those of a kind of processor. */
typedef struct ways {
    size_t eights;                   /* of frames that go at a time */
    way of[BRAGG_F64 + 1];
} ways;

/* The same for the vectors of each kind of processor (types of GCC and Clang, which in
 * other sizes than the processor's own become slower than numbers one by one). */
#define FOR(NAME) NAME##_narrow
#define TARGET
#define DOUBLES 2
#define EIGHTS_AT_A_TIME 1
#include "sum_kernel.h"
#if defined(__x86_64__) && defined(__GNUC__)
#define FOR(NAME) NAME##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define DOUBLES 4
#define EIGHTS_AT_A_TIME 1
#include "sum_kernel.h"
#define FOR(NAME) NAME##_avx512
#define TARGET __attribute__((target("avx512f")))
#define DOUBLES 8
#define EIGHTS_AT_A_TIME 2
#include "sum_kernel.h"
#include "sum_short.h"
#define HAVE_SHORTS (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
#else
enum { SHORT_EIGHTS = MOST_EIGHTS, LEAST_SHORTS = 0 };
#define HAVE_SHORTS false
#define load_short load_wide
#define all_short(...) false
#define sum_short(...) ((void)0)
#endif

static const ways *ways_here(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f"))
        return &ways_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &ways_avx2;
#endif
    return &ways_narrow;
}

/* ----------------------------------------------------------------- groups */

/* From tile t on while the one before it is summed. */
static ahead look_ahead(const bragg_plan *p, const tile *t, const bragg_frame *const *frame, size_t frames)
{
    size_t size = bragg_pixel_size(frame[0]->type);
    ahead a = { .frames = frames, .offset = 0, .end = t->columns * size, .row_bytes = p->columns * size, .columns_bytes = t->columns * size, .rows = t->rows };
    size_t lines = (a.columns_bytes / LINE + 1) * t->rows * ((frames + LANES - 1) / LANES), pieces = (t - 1)->n_pieces + 1;
    a.a_piece = (lines + pieces - 1) / pieces;
    for (size_t l = 0; l < (frames + LANES - 1) / LANES * LANES; l++)
        a.data[l] = (const char *)frame[l]->data + (t->row * p->columns + t->column) * size;
    return a;
}

static size_t frames_a_batch(const pass *w) { return w->eights * LANES; }
/* Sums of a batch: of each bin one for each eight frames. */
static size_t slots(const pass *w) { return w->eights * plan_bins(w->plan); }

typedef bool loading(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *to);

/* True when a pixel may not count. */
static bool load_tile(const pass *w, loading *load, const bragg_frame *const *frame, size_t lanes, size_t size, const tile *t, char *pixels)
{
    size_t columns = w->plan->columns;
    bool any = false;
    for (size_t i = 0; i < t->rows; i++)
        any |= load(frame, lanes, (t->row + i) * columns + t->column, t->columns, pixels + i * TILE_COLUMNS * lanes * size);
    return any;
}

/* A batch of frames over a tile; true when there are losses. */
static bool sum_tile(const pass *w, const bragg_frame *const *frame, const tile *t, char *pixels, ahead *next, sums *to, losses *lost)
{
    const way *by = &w->ways->of[w->type];
    size_t eights = MIN(w->eights, w->ways->eights);
    bool any = false;
    if (w->in_shorts && t->columns >= LEAST_SHORTS && (!load_tile(w, load_short, frame, frames_a_batch(w), sizeof(uint16_t), t, pixels) || all_short(t, pixels))) {
        sum_short(t, pixels, next, to);
        return false;
    }
    for (size_t first = 0; first < w->eights; first += eights) {
        const bragg_frame *const *some = frame + first * LANES;
        bool none = load_tile(w, by->load, some, eights * LANES, by->size, t, pixels);
        any |= (none ? by->sum : by->sum_all)[eights - 1](w, some, t, pixels, next, to + first, lost + first);
    }
    return any;
}

/* A batch of frames over one group of tiles; true when there are losses. */
static bool sum_group(const pass *w, size_t batch, size_t group, char *pixels, sums *to, losses *lost)
{
    const bragg_plan *p = w->plan;
    const bragg_frame *frame[MOST_FRAMES];
    size_t start = batch * frames_a_batch(w), frames = MIN(w->n - start, frames_a_batch(w));
    for (size_t l = 0; l < frames_a_batch(w); l++) /* lanes without a frame repeat the last */
        frame[l] = w->frame[start + MIN(l, frames - 1)];
    size_t first = group * p->tiles_a_group, last = MIN(first + p->tiles_a_group, p->n_tiles);
    bool any = false;
    for (size_t k = first; k < last; k++) {
        const tile *t = &p->tile[k];
        ahead next = k + 1 < last ? look_ahead(p, t + 1, frame, frames) : (ahead){ .rows = 0 };
        any |= sum_tile(w, frame, t, pixels, &next, to, lost);
    }
    return any;
}

static void add_numbers(double *restrict to, const double *restrict from, size_t n)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++)
        to[k] += from[k];
}

static void add_sums(sums *to, const sums *from, size_t n)
{
    add_numbers(to->signal, from->signal, n * sizeof *to / sizeof(double));
}

static void add_losses(losses *to, const losses *from, size_t n)
{
    add_numbers(to->one, from->one, n * sizeof *to / sizeof(double));
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
    size_t start = batch * frames_a_batch(w), frames = MIN(w->n - start, frames_a_batch(w));
    for (size_t b = 0; b < plan_bins(w->plan); b++)
        for (size_t k = 0; k < frames; k++) {
            size_t at = b * w->eights + k / LANES, l = k % LANES;
            finish_bin(w, b, start + k, s[at].signal[l], s[at].variance[l], lost[at].one[l], lost[at].two[l], lost[at].dark[l]);
        }
}

static room *take_room(const pass *w)
{
    for (size_t k = 0;; k = (k + 1) % w->n_rooms) /* there is one for every thread */
        if (!atomic_flag_test_and_set(&w->room[k].taken))
            return &w->room[k];
}

static void sum_batch(const pass *w, size_t batch, room *r)
{
    size_t n = slots(w);
    bool any = false;
    memset(r->total, 0, n * sizeof *r->total);
    for (size_t g = 0; g < w->plan->n_groups; g++) {
        memset(r->group, 0, n * sizeof *r->group);
        if (sum_group(w, batch, g, r->tile, r->group, r->group_lost)) {
            add_losses(r->lost, r->group_lost, n);
            memset(r->group_lost, 0, n * sizeof *r->group_lost);
            any = true;
        }
        add_sums(r->total, r->group, n);
    }
    finish_batch(w, batch, r->total, r->lost);
    if (any)
        memset(r->lost, 0, n * sizeof *r->lost);
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
    size_t n = slots(w);
    room *r = take_room(w);
    for (size_t g = first; g < last; g++)
        w->lost[g] = sum_group(w, w->batch, g, r->tile, w->group + g * n, w->group_lost + g * n);
    atomic_flag_clear(&r->taken);
    return BRAGG_OK;
    (void)err;
}

/* The groups of one batch by all threads, added up in the same order as above. */
static bragg_status share_batch(pass *w, size_t batch, bragg_error *err)
{
    size_t n = slots(w), groups = w->plan->n_groups;
    room *r = &w->room[0];
    w->batch = batch;
    memset(w->group, 0, groups * n * sizeof *w->group);
    bragg_status st = bragg_parallel_for(groups, 1, sum_groups, w, err);
    bool any = false;
    memset(r->total, 0, n * sizeof *r->total);
    for (size_t g = 0; g < groups; g++) {
        add_sums(r->total, w->group + g * n, n);
        if (w->lost[g]) {
            add_losses(r->lost, w->group_lost + g * n, n);
            memset(w->group_lost + g * n, 0, n * sizeof *r->lost);
            any = true;
        }
    }
    finish_batch(w, batch, r->total, r->lost);
    if (any)
        memset(r->lost, 0, n * sizeof *r->lost);
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
    size_t n = slots(w);
    bool good = (w->room = zeros(s, threads, sizeof *w->room)) != NULL;
    for (w->n_rooms = 0; good && w->n_rooms < threads; w->n_rooms++) {
        room *r = &w->room[w->n_rooms];
        atomic_flag_clear(&r->taken);
        good = (r->tile = zeros(s, TILE_PIXELS, frames_a_batch(w) * sizeof(double))) &&
               (r->total = zeros(s, n, sizeof *r->total)) && (r->group = zeros(s, n, sizeof *r->group)) &&
               (r->lost = zeros(s, n, sizeof *r->lost)) && (r->group_lost = zeros(s, n, sizeof *r->lost));
    }
    if (good && groups)
        good = (w->group = zeros(s, n * w->plan->n_groups, sizeof *w->group)) && (w->group_lost = zeros(s, n * w->plan->n_groups, sizeof *w->group_lost)) &&
               (w->lost = zeros(s, w->plan->n_groups, sizeof *w->lost));
    return good;
}

/* As many batches as the threads can share evenly go one to a thread; the rest by
 * groups.  That changes who sums, not what. */
static bragg_status sum_all(pass *w, bragg_error *err)
{
    size_t batches = (w->n + frames_a_batch(w) - 1) / frames_a_batch(w), threads = (size_t)bragg_thread_count();
    size_t even = w->plan->n_groups > 1 ? batches / threads * threads : batches;
    store s = { NULL, 0, 0 };
    bragg_status st = make_rooms(w, &s, threads, even < batches) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to integrate %zu frames", w->n);
    if (st == BRAGG_OK && even)
        st = bragg_parallel_for(even, 1, sum_batches, w, err);
    for (size_t batch = even; batch < batches && st == BRAGG_OK; batch++)
        st = share_batch(w, batch, err);
    drop(&s);
    return st;
}

/* As many frames at a time as the processor likes, and the rest by fewer. */
bragg_status bragg_plan_sum(const bragg_plan *p, const bragg_frame *const *frame, size_t n, const double *dark, const double *dark_sum,
                            const double *monitor, bragg_sums out, bragg_error *err)
{
    const ways *here = ways_here();
    size_t bins = plan_bins(p), done = 0;
    bragg_pixel type = frame[0]->type;
    bragg_status st = BRAGG_OK;
    for (size_t eights = type == BRAGG_U16 && HAVE_SHORTS ? SHORT_EIGHTS : here->eights; done < n && st == BRAGG_OK; eights /= 2) {
        size_t most = eights * LANES, left = n - done, now = eights > 1 ? (left + LANES - 1) / most * most : left;
        pass w = { .plan = p, .frame = frame + done, .n = MIN(now, left), .eights = eights, .ways = here, .in_shorts = eights > here->eights, .type = type,
                   .dark = dark, .dark_sum = dark_sum, .monitor = monitor ? monitor + done : NULL,
                   .out = { out.intensity + done * bins, out.sem + done * bins, out.std ? out.std + done * bins : NULL } };
        if (w.n)
            st = sum_all(&w, err);
        done += w.n;
    }
    return st;
}
