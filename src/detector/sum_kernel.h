/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eight or sixteen frames over a tile, written for vectors of any width.  sum.c includes
 * this once for each kind of processor: FOR (name) makes names, TARGET is the
 * processor, DOUBLES a vector has, EIGHTS_AT_A_TIME its registers can hold the sums of. */

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
 * count, or might not: who sums it looks again, and does not if there is none. */
#define DEFINE_LOAD(NAME, T, AS)                                                              \
    typedef T FOR(NAME##_pixels) __attribute__((vector_size(LANES * sizeof(T))));             \
    TARGET INLINE FOR(row) FOR(NAME##_block)(const T *const data[LANES], size_t at, int32_t *restrict to, size_t stride) \
    {                                                                                         \
        FOR(row) row[LANES];                                                                  \
        _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++) {                             \
            FOR(NAME##_pixels) v;                                                             \
            memcpy(&v, data[l] + at, sizeof v);                                               \
            row[l] = AS(v);                                                                   \
        }                                                                                     \
        FOR(row) any = (row[0] | row[1] | row[2] | row[3]) | (row[4] | row[5] | row[6] | row[7]); \
        FOR(transpose)(row);                                                                  \
        _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++)                               \
            *(FOR(row) *)(to + (size_t)l * stride) = row[l];                                  \
        return any;                                                                           \
    }                                                                                         \
    TARGET static bool FOR(NAME)(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *restrict to) \
    {                                                                                         \
        const T *data[LANES];                                                                 \
        FOR(row) any = { 0 };                                                                 \
        if (n < LANES)                                                                        \
            return load_few(frame, lanes, n, to);                                             \
        for (size_t eight = 0; eight < lanes; eight += LANES) {                               \
            int32_t *at = (int32_t *)to + eight;                                              \
            for (size_t l = 0; l < LANES; l++)                                                \
                data[l] = (const T *)frame[eight + l]->data + from;                           \
            for (size_t j = 0; j + LANES <= n; j += LANES)                                    \
                any |= FOR(NAME##_block)(data, j, at + j * lanes, lanes);                            \
            any |= FOR(NAME##_block)(data, n - LANES, at + (n - LANES) * lanes, lanes); /* some anew */ \
        }                                                                                     \
        int32_t sign = 0;                                                                     \
        for (int l = 0; l < LANES; l++)                                                       \
            sign |= any[l];                                                                   \
        return sign < 0;                                                                      \
    }
#else
#define AS_INT(V) ((int32_t)(V))
#define AS_IS(V) ((int32_t)(V))
#define UNLESS_FULL(V) ((V) == UINT16_MAX ? -1 : (int32_t)(V))
/* The same one by one: not all processors can turn vectors. */
#define DEFINE_LOAD(NAME, T, AS)                                                              \
    static bool FOR(NAME)(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *restrict to) \
    {                                                                                         \
        int32_t any = 0;                                                                      \
        for (size_t l = 0; l < lanes; l++) {                                                  \
            const T *data = (const T *)frame[l]->data + from;                                 \
            int32_t *lane = (int32_t *)to + l;                                                \
            for (size_t j = 0; j < n; j++)                                                    \
                any |= lane[j * lanes] = AS(data[j]);                                         \
        }                                                                                     \
        return any < 0;                                                                       \
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

#if EIGHTS_AT_A_TIME > 1
/* Eight pixels of sixteen frames, turned while they are 16 bits wide: half the work.
 * Frames 0 to 7 stay in the lower half of each row, 8 to 15 in the upper. */
TARGET INLINE void FOR(turn_short)(const uint16_t *const data[TWICE], size_t at, __m256i out[LANES])
{
    __m256i r[LANES], a[LANES], b[LANES];
#pragma GCC unroll 8
    for (int l = 0; l < LANES; l++)
        r[l] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)(data[l] + at))), _mm_loadu_si128((const void *)(data[l + LANES] + at)), 1);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* a: pixels 0 to 3 of frames 2k and 2k + 1, then 4 to 7 */
        a[k] = _mm256_unpacklo_epi16(r[2 * k], r[2 * k + 1]);
        a[k + 4] = _mm256_unpackhi_epi16(r[2 * k], r[2 * k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < LANES; k += 2) { /* b: pixels 0 and 1, 2 and 3, of four frames */
        b[k] = _mm256_unpacklo_epi32(a[k], a[k + 1]);
        b[k + 1] = _mm256_unpackhi_epi32(a[k], a[k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const __m256i *of = b + k / 2 * 4 + k % 2;
        out[2 * k] = _mm256_unpacklo_epi64(of[0], of[2]);
        out[2 * k + 1] = _mm256_unpackhi_epi64(of[0], of[2]);
    }
}

/* The same 32 bits wide in a tile; `full` remembers where a marker was. */
TARGET INLINE __m256i FOR(widen_block)(const uint16_t *const data[TWICE], size_t at, int32_t *restrict to, __m256i full)
{
    __m256i r[LANES];
    FOR(turn_short)(data, at, r);
#pragma GCC unroll 8
    for (int j = 0; j < LANES; j++) {
        _mm512_store_si512(to + j * TWICE, _mm512_cvtepu16_epi32(r[j]));
        full = _mm256_or_si256(full, _mm256_cmpeq_epi16(r[j], _mm256_set1_epi16(-1)));
    }
    return full;
}

/* Of sixteen frames; the few rows that have a marker are gone through again. */
TARGET static bool FOR(load_u16_all)(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *restrict to)
{
    const uint16_t *data[TWICE];
    int32_t *pixel = to;
    __m256i full = _mm256_setzero_si256();
    if (lanes < TWICE || n < LANES)
        return FOR(load_u16)(frame, lanes, from, n, to);
    for (int l = 0; l < TWICE; l++)
        data[l] = (const uint16_t *)frame[l]->data + from;
    for (size_t j = 0; j + LANES <= n; j += LANES)
        full = FOR(widen_block)(data, j, pixel + j * TWICE, full);
    full = FOR(widen_block)(data, n - LANES, pixel + (n - LANES) * TWICE, full);
    bool marker = !_mm256_testz_si256(full, full);
    for (size_t j = 0; marker && j < n * TWICE; j++)
        pixel[j] |= -(pixel[j] == UINT16_MAX);
    return marker;
}
#define LOAD_U16 FOR(load_u16_all)
#else
#define LOAD_U16 FOR(load_u16)
#endif

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
enum { FOR(PARTS) = LANES / DOUBLES, FOR(WIDTH) = EIGHTS_AT_A_TIME * LANES / DOUBLES };

typedef enum FOR(kind) { FOR(INTS), FOR(COUNTS), FOR(FLOATS), FOR(WIDE) } FOR(kind); /* counts: ints, none negative */

/* Vector i of the `width` that a pixel has. */
TARGET INLINE void FOR(pixel)(const void *pixels, uint32_t offset, int i, int width, FOR(kind) kind, FOR(vector) *out)
{
    size_t at = (offset * (size_t)width + (size_t)i) * DOUBLES;
    if (kind == FOR(INTS) || kind == FOR(COUNTS)) {
        FOR(ints) v = *(const FOR(ints) *)((const int32_t *)pixels + at);
        *out = WIDEN(v);
    } else if (kind == FOR(FLOATS)) {
        FOR(floats) v = *(const FOR(floats) *)((const float *)pixels + at);
        *out = WIDEN(v);
    } else {
        *out = *(const FOR(vector) *)((const double *)pixels + at);
    }
}

/* All bins of a tile; true when there are losses.  Clean pieces are what has
 * to be fast: two sets of sums hide how long an addition takes.  A pixel that is none
 * makes `bad` negative, a whole number by itself, others through their sum. */
TARGET INLINE bool FOR(sum)(const pass *w, const bragg_frame *const *frame, const tile *t, const void *pixels, ahead *next, sums *to, losses *lost, int eights,
                            FOR(kind) kind)
{
    bool any = false;
    const entry *e = t->entry;
    const int width = eights * FOR(PARTS);
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
                    FOR(pixel)(pixels, entry_offset(e[k]), i, width, kind, &a);
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
            if (kind == FOR(FLOATS) || kind == FOR(WIDE))
                bad |= s[0][i] - s[0][i] != s[0][i] - s[0][i];
        }
        int64_t sign = 0;
        for (int l = 0; l < DOUBLES; l++)
            sign |= bad[l];
        sums *at = to + p->bin * w->eights;
        if (__builtin_expect(sign < 0, 0)) {
            for (int i = 0; i < eights; i++)
                FOR(sum_losses)(w, frame + i * LANES, t, e - p->n, p->n, at + i, &lost[p->bin * w->eights + (size_t)i]);
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

#define DEFINE_SUM(NAME, EIGHTS, KIND)                                                        \
    TARGET static bool FOR(NAME)(const pass *w, const bragg_frame *const *frame, const tile *t, const void *pixels, ahead *next, sums *to, losses *lost) \
    {                                                                                         \
        return FOR(sum)(w, frame, t, pixels, next, to, lost, EIGHTS, FOR(KIND));              \
    }
DEFINE_SUM(sum_ints, 1, INTS)
DEFINE_SUM(sum_counts, 1, COUNTS)
DEFINE_SUM(sum_floats, 1, FLOATS)
DEFINE_SUM(sum_wide, 1, WIDE)
#if EIGHTS_AT_A_TIME > 1
DEFINE_SUM(sum_ints_twice, 2, INTS)
DEFINE_SUM(sum_counts_twice, 2, COUNTS)
DEFINE_SUM(sum_floats_twice, 2, FLOATS)
DEFINE_SUM(sum_wide_twice, 2, WIDE)
#define SUMS_OF(NAME) { FOR(NAME), FOR(NAME##_twice) }
#else
#define SUMS_OF(NAME) { FOR(NAME) }
#endif

#define WHOLE(LOAD) { FOR(LOAD), sizeof(int32_t), SUMS_OF(sum_ints), SUMS_OF(sum_counts) }
#define DOUBLE { load_wide, sizeof(double), SUMS_OF(sum_wide), SUMS_OF(sum_wide) }
static const ways FOR(ways) = { EIGHTS_AT_A_TIME, {
    [BRAGG_U8] = WHOLE(load_u8), [BRAGG_U16] = { LOAD_U16, sizeof(int32_t), SUMS_OF(sum_ints), SUMS_OF(sum_counts) }, [BRAGG_U32] = WHOLE(load_32), [BRAGG_U64] = DOUBLE,
    [BRAGG_I8] = WHOLE(load_i8), [BRAGG_I16] = WHOLE(load_i16), [BRAGG_I32] = WHOLE(load_32), [BRAGG_I64] = DOUBLE,
    [BRAGG_F32] = { FOR(load_32), sizeof(float), SUMS_OF(sum_floats), SUMS_OF(sum_floats) }, [BRAGG_F64] = DOUBLE,
} };

#undef KEEP
#undef WIDEN
#undef DEFINE_SUM
#undef SUMS_OF
#undef LOAD_U16
#undef WHOLE
#undef DOUBLE
#undef FOR
#undef TARGET
#undef DOUBLES
#undef EIGHTS_AT_A_TIME
