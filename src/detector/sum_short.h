/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames of 16 bits over a tile in whole numbers; sum.c includes this for processors
 * that multiply pairs of short numbers and add them up (AVX-512 VNNI).
 *
 * A weight and its square are cut into digits, which times a pixel below 2^15 stay
 * within 26 bits, so that 64 products add up in 32:
 *
 *      w  = l + 2^8 h                  (8, 8 bits)
 *      w² = a + 2^11 b + 2^22 c        (11, 11, 10 bits)
 *
 * and the sums, put together again in doubles, are the same as those of products of
 * doubles.  Two entries go at a time: a pair of digits meets the pixels of both.
 * Tiles with a pixel from 2^15 on, the marker among them, go the long way. */

#include "lanes.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

enum { SHORT_FRAMES = 32, SHORT_EIGHTS = SHORT_FRAMES / LANES, ENTRIES_A_TURN = 64, DIGITS = 5, VECTOR_ENTRIES = 16,
       LINE_PIXELS = LINE / sizeof(uint16_t), LEAST_SHORTS = LINE_PIXELS };

/* Which frame is number l of 32 in a tile's pixel, where each eight holds four of the
 * first sixteen and four of the others: pairs of pixels then part into these. */
INLINE size_t short_frame(size_t l) { return l / 4 % 2 * 16 + l / 8 * 4 + l % 4; }

/* A cache line of each of eight frames, turned while it is there: frames often begin
 * at the same place of their pages, and the lines of 32 do not find room in the cache
 * beside each other.  Vector j then has pixels j, 8 + j, 16 + j and 24 + j. */
TARGET INLINE __m512i turn_lines(const uint16_t *const data[LANES], size_t at, __m512i out[LANES], __m512i any)
{
    __m512i r[LANES], a[LANES], b[LANES];
#pragma GCC unroll 8
    for (int l = 0; l < LANES; l++) {
        r[l] = _mm512_loadu_si512(data[l] + at);
        any = _mm512_or_si512(any, r[l]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        a[k] = _mm512_unpacklo_epi16(r[2 * k], r[2 * k + 1]);
        a[k + 4] = _mm512_unpackhi_epi16(r[2 * k], r[2 * k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < LANES; k += 2) {
        b[k] = _mm512_unpacklo_epi32(a[k], a[k + 1]);
        b[k + 1] = _mm512_unpackhi_epi32(a[k], a[k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const __m512i *of = b + k / 2 * 4 + k % 2;
        out[2 * k] = _mm512_unpacklo_epi64(of[0], of[2]);
        out[2 * k + 1] = _mm512_unpackhi_epi64(of[0], of[2]);
    }
    return any;
}

/* The lines of one eight of frames, turned. */
typedef struct turned {
    __m512i line[TILE_COLUMNS / LINE_PIXELS + 1][LANES];
} turned;

/* n pixels of eight frames. */
TARGET INLINE __m512i turn_row(const uint16_t *const data[LANES], size_t n, __m512i any, turned *to)
{
    size_t at = 0, k = 0;
    for (; at + LINE_PIXELS <= n; at += LINE_PIXELS)
        any = turn_lines(data, at, to->line[k++], any);
    return at < n ? turn_lines(data, n - LINE_PIXELS, to->line[k], any) : any; /* some anew */
}

/* A line of all eights into the tile. */
TARGET INLINE void join_eights(const turned eight[SHORT_EIGHTS], size_t line, __m512i *restrict to)
{
#pragma GCC unroll 8
    for (int j = 0; j < LANES; j++) {
        __m512i p = eight[0].line[line][j], q = eight[1].line[line][j], r = eight[2].line[line][j], s = eight[3].line[line][j];
        __m512i a = _mm512_shuffle_i32x4(p, q, 0x44), b = _mm512_shuffle_i32x4(r, s, 0x44);
        __m512i c = _mm512_shuffle_i32x4(p, q, 0xee), d = _mm512_shuffle_i32x4(r, s, 0xee);
        _mm512_store_si512(to + j, _mm512_shuffle_i32x4(a, b, 0x88));
        _mm512_store_si512(to + 8 + j, _mm512_shuffle_i32x4(a, b, 0xdd));
        _mm512_store_si512(to + 16 + j, _mm512_shuffle_i32x4(c, d, 0x88));
        _mm512_store_si512(to + 24 + j, _mm512_shuffle_i32x4(c, d, 0xdd));
    }
}

/* n pixels, a line at least; true when one is not below 2^15. */
TARGET static bool load_short(const bragg_frame *const *frame, size_t lanes, size_t from, size_t n, void *restrict to)
{
    const uint16_t *data[SHORT_FRAMES];
    __m512i any = _mm512_setzero_si512();
    turned eight[SHORT_EIGHTS];
    for (size_t l = 0; l < lanes; l++)
        data[l] = (const uint16_t *)frame[short_frame(l)]->data + from;
    for (int g = 0; g < SHORT_EIGHTS; g++)
        any = turn_row(data + g * LANES, n, any, &eight[g]);
    size_t at = 0, k = 0;
    for (; at + LINE_PIXELS <= n; at += LINE_PIXELS)
        join_eights(eight, k++, (__m512i *)to + at);
    if (at < n)
        join_eights(eight, k, (__m512i *)to + n - LINE_PIXELS);
    return _mm512_movepi16_mask(any) != 0;
}

/* Whether all pixels that the plan uses are below 2^15: those of gaps that are masked are not. */
TARGET static bool all_short(const tile *t, const void *pixels)
{
    const __m512i *pixel = pixels;
    __m512i any = _mm512_setzero_si512();
    for (const entry *e = t->entry, *end = e + t->n_entries; e < end; e++)
        any = _mm512_or_si512(any, pixel[entry_offset(*e)]);
    return _mm512_movepi16_mask(any) == 0;
}

/* Digits of n weights in turns of 16 entries: of four entries the pairs l l h h, a a b b
 * and c c. */
TARGET INLINE void cut_weights(const entry *e, size_t n, __m512i lh[], __m512i ab[], __m512i c[])
{
    for (size_t k = 0; k < n; k += VECTOR_ENTRIES) {
        __mmask16 which = n - k < VECTOR_ENTRIES ? (__mmask16)((1u << (n - k)) - 1) : (__mmask16)-1;
        __m512i w = _mm512_srli_epi32(_mm512_maskz_loadu_epi32(which, e + k), 16), q = _mm512_mullo_epi32(w, w);
        __m512i eleven = _mm512_set1_epi32(2047);
        *lh++ = _mm512_packus_epi32(_mm512_and_si512(w, _mm512_set1_epi32(255)), _mm512_srli_epi32(w, 8));
        *ab++ = _mm512_packus_epi32(_mm512_and_si512(q, eleven), _mm512_and_si512(_mm512_srli_epi32(q, 11), eleven));
        *c++ = _mm512_packus_epi32(_mm512_srli_epi32(q, 22), _mm512_setzero_si512());
    }
}

/* Eight sums of digits as doubles. */
TARGET INLINE __m512d widen_digit(const __m512i *sum, int half)
{
    return _mm512_cvtepu32_pd(half ? _mm512_extracti64x4_epi64(*sum, 1) : _mm512_castsi512_si256(*sum));
}

TARGET INLINE void put_together(const __m512i digit[DIGITS], int half, sums *to)
{
    __m512d l = widen_digit(&digit[0], half), h = widen_digit(&digit[1], half);
    __m512d a = widen_digit(&digit[2], half), b = widen_digit(&digit[3], half), c = widen_digit(&digit[4], half);
    __m512d signal = _mm512_fmadd_pd(h, _mm512_set1_pd(256), l);
    __m512d variance = _mm512_fmadd_pd(c, _mm512_set1_pd(1 << 22), _mm512_fmadd_pd(b, _mm512_set1_pd(1 << 11), a));
    _mm512_store_pd(to->signal, _mm512_add_pd(_mm512_load_pd(to->signal), signal));
    _mm512_store_pd(to->variance, _mm512_add_pd(_mm512_load_pd(to->variance), variance));
}

#define PAIR(WORDS) _mm512_set1_epi32((int)(WORDS))
#define MORE(SUM, PIXELS, DIGIT) ((SUM) = _mm512_dpwssd_epi32((SUM), (PIXELS), (DIGIT)))

/* Up to 64 entries of a piece. */
TARGET INLINE void sum_turn(const entry *e, size_t n, const __m512i *pixels, sums *to)
{
    __m512i lh[ENTRIES_A_TURN / VECTOR_ENTRIES], ab[ENTRIES_A_TURN / VECTOR_ENTRIES], c[ENTRIES_A_TURN / VECTOR_ENTRIES];
    __m512i s[2][DIGITS];
#pragma GCC unroll 16
    for (int d = 0; d < 2 * DIGITS; d++)
        s[d / DIGITS][d % DIGITS] = _mm512_setzero_si512();
    cut_weights(e, n, lh, ab, c);
    const uint32_t *first = (const uint32_t *)lh, *second = (const uint32_t *)ab, *third = (const uint32_t *)c;
    for (size_t k = 0; k < n; k += 4, first += 4, second += 4, third += 4) {
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; pair++) {
            __m512i x = pixels[entry_offset(e[k + 2 * (size_t)pair])], y = pixels[entry_offset(e[k + 2 * (size_t)pair + 1])];
            __m512i p = _mm512_unpacklo_epi16(x, y), q = _mm512_unpackhi_epi16(x, y);
            __m512i digit[DIGITS] = { PAIR(first[pair]), PAIR(first[2 + pair]), PAIR(second[pair]), PAIR(second[2 + pair]), PAIR(third[pair]) };
#pragma GCC unroll 5
            for (int d = 0; d < DIGITS; d++) {
                MORE(s[0][d], p, digit[d]);
                MORE(s[1][d], q, digit[d]);
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < SHORT_EIGHTS; i++)
        put_together(s[i / 2], i % 2, to + i);
}

TARGET static void sum_short(const tile *t, const void *pixels, ahead *next, sums *to)
{
    const entry *e = t->entry;
    for (const piece *p = t->piece, *end = p + t->n_pieces; p < end; p++) {
        fetch(next);
        __builtin_prefetch(e + ENTRIES_AHEAD, 0, 2);
        __builtin_prefetch(e + ENTRIES_AHEAD + LINE / sizeof *e, 0, 2);
        for (size_t k = 0, n; k < p->n; k += n, e += n) {
            n = MIN(p->n - k, (size_t)ENTRIES_A_TURN);
            sum_turn(e, n, pixels, to + p->bin * (size_t)SHORT_EIGHTS);
        }
    }
}
#undef PAIR
#undef MORE
#undef TARGET
