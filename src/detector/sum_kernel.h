/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eight or sixteen frames over a tile, written for vectors of any width.  sum.c includes
 * this once for each kind of processor: FOR (name) makes names, TARGET is the
 * processor, DOUBLES a vector has, TILES_AT_A_TIME its registers can hold the sums of. */

typedef double FOR(vector) __attribute__((vector_size(DOUBLES * 8)));
typedef int64_t FOR(mask) __attribute__((vector_size(DOUBLES * 8)));
typedef int32_t FOR(ints) __attribute__((vector_size(DOUBLES * 4)));
typedef float FOR(floats) __attribute__((vector_size(DOUBLES * 4)));

/* --------------------------------------------------------------------- load */

#if DOUBLES > 2
typedef int32_t FOR(row) __attribute__((vector_size(LANES * 4)));
#define MIX(A, B, ...) __builtin_shufflevector((A), (B), __VA_ARGS__)

/* Rows become columns. */
TARGET INLINE void FOR(transpose)(FOR(row) r[LANES])
{
    FOR(row) a[LANES], b[LANES];
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
#undef MIX

#define AS_INT(V) __builtin_convertvector((V), FOR(row))
#define AS_IS(V) ((FOR(row))(V))
#define UNLESS_FULL(V) (AS_INT(V) | (AS_INT(V) == UINT16_MAX))

/* Eight pixels (T) of eight frames as 32 bits (AS), turned.  A negative one does not
 * count, or might not: who sums it looks again. */
#define DEFINE_LOAD(NAME, T, AS)                                                              \
    typedef T FOR(NAME##_pixels) __attribute__((vector_size(LANES * sizeof(T))));             \
    TARGET INLINE void FOR(NAME##_block)(const T *const data[LANES], size_t at, int32_t *restrict to) \
    {                                                                                         \
        FOR(row) row[LANES];                                                                  \
        _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++) {                             \
            FOR(NAME##_pixels) v;                                                             \
            memcpy(&v, data[l] + at, sizeof v);                                               \
            row[l] = AS(v);                                                                   \
        }                                                                                     \
        FOR(transpose)(row);                                                                  \
        _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++)                               \
            *(FOR(row) *)(to + l * LANES) = row[l];                                           \
    }                                                                                         \
    TARGET static void FOR(NAME)(const bragg_frame *const *frame, size_t from, size_t n, void *restrict to) \
    {                                                                                         \
        const T *data[LANES];                                                                 \
        if (n < LANES) {                                                                      \
            load_few(frame, n, to);                                                           \
            return;                                                                           \
        }                                                                                     \
        for (int l = 0; l < LANES; l++)                                                       \
            data[l] = (const T *)frame[l]->data + from;                                       \
        for (size_t j = 0; j + LANES <= n; j += LANES)                                        \
            FOR(NAME##_block)(data, j, (int32_t *)to + j * LANES);                            \
        FOR(NAME##_block)(data, n - LANES, (int32_t *)to + (n - LANES) * LANES); /* some anew */ \
    }
#else
#define AS_INT(V) ((int32_t)(V))
#define AS_IS(V) ((int32_t)(V))
#define UNLESS_FULL(V) ((V) == UINT16_MAX ? -1 : (int32_t)(V))
/* The same one by one: not all processors can turn vectors. */
#define DEFINE_LOAD(NAME, T, AS)                                                              \
    static void FOR(NAME)(const bragg_frame *const *frame, size_t from, size_t n, void *restrict to) \
    {                                                                                         \
        for (size_t l = 0; l < LANES; l++) {                                                  \
            const T *data = (const T *)frame[l]->data + from;                                 \
            int32_t *lane = (int32_t *)to + l;                                                \
            for (size_t j = 0; j < n; j++)                                                    \
                lane[j * LANES] = AS(data[j]);                                                \
        }                                                                                     \
        (void)load_few;                                                                       \
    }
#endif

DEFINE_LOAD(load_u8, uint8_t, AS_INT)
DEFINE_LOAD(load_u16, uint16_t, UNLESS_FULL)
DEFINE_LOAD(load_i8, int8_t, AS_INT)
DEFINE_LOAD(load_i16, int16_t, AS_INT)
DEFINE_LOAD(load_32, int32_t, AS_IS)
#undef AS_INT
#undef AS_IS
#undef UNLESS_FULL
#undef DEFINE_LOAD

/* ---------------------------------------------------------------------- sum */

/* Of a piece with pixels that do not count in one lane at least: what they would have
 * added to the norms, and the sums anew, added up as they are in a clean one. */
TARGET static void FOR(sum_losses)(const pass *w, const bragg_frame *const *frame, const tile *t, const entry *e, size_t n, sums *to, losses *lost)
{
    for (int l = 0; l < LANES; l++) {
        double s[2] = { 0, 0 }, v[2] = { 0, 0 };
        for (size_t k = 0; k < n; k++) {
            size_t at = plan_pixel(w->plan, t, entry_offset(e[k]));
            double weight = entry_weight(e[k]), square = weight * weight, norm = weight * (double)w->plan->correction[at];
            double y = bragg_plan_value(frame[l], at);
            if (isnan(y)) {
                lost->one[l] += norm;
                lost->two[l] += norm * norm;
                lost->dark[l] += w->dark ? weight * w->dark[at] : 0;
                continue;
            }
            s[k % 2] += weight * y;
            v[k % 2] += square * y;
        }
        to->signal[l] += s[0] + s[1];
        to->variance[l] += v[0] + v[1];
    }
}

/* In memory a weight costs nothing to be spread over the lanes of a vector. */
#define KEEP(ARRAY) __asm__("" : "+m"(ARRAY))
/* Numbers of type FROM to doubles; written so, GCC 12 takes one instruction for it. */
#if DOUBLES == 8
#define WIDEN(V) ((FOR(vector)){ (double)(V)[0], (double)(V)[1], (double)(V)[2], (double)(V)[3], (double)(V)[4], (double)(V)[5], (double)(V)[6], (double)(V)[7] })
#elif DOUBLES == 4
#define WIDEN(V) ((FOR(vector)){ (double)(V)[0], (double)(V)[1], (double)(V)[2], (double)(V)[3] })
#else
#define WIDEN(V) ((FOR(vector)){ (double)(V)[0], (double)(V)[1] })
#endif
enum { FOR(PARTS) = LANES / DOUBLES, FOR(WIDTH) = MOST_TILES * LANES / DOUBLES };

typedef enum FOR(kind) { FOR(INTS), FOR(FLOATS), FOR(WIDE) } FOR(kind);

/* Vector i of a pixel, from the tile it is in. */
TARGET INLINE void FOR(pixel)(void *const *tiles, uint32_t offset, int i, FOR(kind) kind, FOR(vector) *out)
{
    size_t at = offset * (size_t)LANES + (size_t)(i % FOR(PARTS)) * DOUBLES;
    const void *pixels = tiles[i / FOR(PARTS)];
    if (kind == FOR(INTS)) {
        FOR(ints) v = *(const FOR(ints) *)((const int32_t *)pixels + at);
        *out = WIDEN(v);
    } else if (kind == FOR(FLOATS)) {
        FOR(floats) v = *(const FOR(floats) *)((const float *)pixels + at);
        *out = WIDEN(v);
    } else {
        *out = *(const FOR(vector) *)((const double *)pixels + at);
    }
}

/* All bins of one tile or two; true when there are losses.  Clean pieces are what has
 * to be fast: two sets of sums hide how long an addition takes.  A pixel that is none
 * makes `bad` negative, a whole number by itself, others through their sum. */
TARGET INLINE bool FOR(sum)(const pass *w, const bragg_frame *const *frame, const tile *t, void *const *tiles, ahead *next, sums *to, losses *lost, int n_tiles,
                            FOR(kind) kind)
{
    bool any = false;
    const entry *e = t->entry;
    const int width = n_tiles * FOR(PARTS);
    for (const piece *p = t->piece, *end = p + t->n_pieces; p < end; p++) {
        FOR(vector) s[2][FOR(WIDTH)] = { { { 0 } } }, v[2][FOR(WIDTH)] = { { { 0 } } };
        FOR(mask) bad = { 0 };
        fetch(next);
        for (const entry *stop = e + p->n; e < stop; e += UNROLL) {
            double weight[UNROLL], square[UNROLL];
            __builtin_prefetch(e + ENTRIES_AHEAD, 0, 2);
            for (int k = 0; k < UNROLL; k++) {
                weight[k] = (double)(int32_t)entry_weight(e[k]);
                square[k] = weight[k] * weight[k];
            }
            KEEP(weight);
            KEEP(square);
#pragma GCC unroll 4
            for (int k = 0; k < UNROLL; k++)
#pragma GCC unroll 8
                for (int i = 0; i < width; i++) {
                    FOR(vector) a;
                    FOR(pixel)(tiles, entry_offset(e[k]), i, kind, &a);
                    if (kind == FOR(INTS))
                        bad |= (FOR(mask))a;
                    s[k % 2][i] += weight[k] * a;
                    v[k % 2][i] += square[k] * a;
                }
        }
#pragma GCC unroll 8
        for (int i = 0; i < width; i++) {
            s[0][i] += s[1][i];
            v[0][i] += v[1][i];
            if (kind != FOR(INTS))
                bad |= s[0][i] - s[0][i] != s[0][i] - s[0][i];
        }
        int64_t sign = 0;
        for (int l = 0; l < DOUBLES; l++)
            sign |= bad[l];
        sums *at = to + p->bin * (size_t)n_tiles;
        if (__builtin_expect(sign < 0, 0)) {
            for (int i = 0; i < n_tiles; i++)
                FOR(sum_losses)(w, frame + i * LANES, t, e - p->n, p->n, at + i, &lost[p->bin * (size_t)n_tiles + (size_t)i]);
            any = true;
            continue;
        }
#pragma GCC unroll 8
        for (int i = 0; i < width; i++) {
            *(FOR(vector) *)&at[i / FOR(PARTS)].signal[i % FOR(PARTS) * DOUBLES] += s[0][i];
            *(FOR(vector) *)&at[i / FOR(PARTS)].variance[i % FOR(PARTS) * DOUBLES] += v[0][i];
        }
    }
    return any;
}

#define DEFINE_SUM(NAME, TILES, KIND)                                                         \
    TARGET static bool FOR(NAME)(const pass *w, const bragg_frame *const *frame, const tile *t, void *const tiles[MOST_TILES], ahead *next, sums *to, losses *lost) \
    {                                                                                         \
        return FOR(sum)(w, frame, t, tiles, next, to, lost, TILES, FOR(KIND));                \
    }
DEFINE_SUM(sum_ints, 1, INTS)
DEFINE_SUM(sum_floats, 1, FLOATS)
DEFINE_SUM(sum_wide, 1, WIDE)
#if TILES_AT_A_TIME > 1
DEFINE_SUM(sum_ints_twice, 2, INTS)
DEFINE_SUM(sum_floats_twice, 2, FLOATS)
DEFINE_SUM(sum_wide_twice, 2, WIDE)
#define SUMS_OF(NAME) { FOR(NAME), FOR(NAME##_twice) }
#else
#define SUMS_OF(NAME) { FOR(NAME), NULL }
#endif

#define WHOLE(LOAD) { FOR(LOAD), LANES * sizeof(int32_t), SUMS_OF(sum_ints) }
#define DOUBLE { load_wide, LANES * sizeof(double), SUMS_OF(sum_wide) }
static const ways FOR(ways) = { TILES_AT_A_TIME, {
    [BRAGG_U8] = WHOLE(load_u8), [BRAGG_U16] = WHOLE(load_u16), [BRAGG_U32] = WHOLE(load_32), [BRAGG_U64] = DOUBLE,
    [BRAGG_I8] = WHOLE(load_i8), [BRAGG_I16] = WHOLE(load_i16), [BRAGG_I32] = WHOLE(load_32), [BRAGG_I64] = DOUBLE,
    [BRAGG_F32] = { FOR(load_32), LANES * sizeof(float), SUMS_OF(sum_floats) }, [BRAGG_F64] = DOUBLE,
} };

#undef KEEP
#undef WIDEN
#undef DEFINE_SUM
#undef SUMS_OF
#undef WHOLE
#undef DOUBLE
#undef FOR
#undef TARGET
#undef DOUBLES
#undef TILES_AT_A_TIME
