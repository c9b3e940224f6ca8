/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Read every pattern of the files named and say what came: for fuzzers and for
 * looking.  AFL: afl-fuzz -i samples -o out -- fuzz_pattern @@
 * Without AFL: fuzz_pattern -m COUNT FILE … reads COUNT damaged copies of each,
 * fuzz_pattern.tmp being the last, whose extension is the file's own. */
#include "config.h"
#include <bragg/number.h>
#include <bragg/pattern.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One line a pattern: file, reader, index, n, x first and last, y max and sum. */
static void show(const char *path, const char *format, size_t index, const bragg_pattern *p)
{
    double factor = bragg_axis_factor(p->axis), most = -INFINITY, sum = 0, sigma = 0;
    for (size_t i = 0; i < p->n; i++) {
        most = fmax(most, p->y[i]);
        sum += p->y[i];
        sigma += isnan(p->sigma[i]) ? 0 : p->sigma[i];
    }
    const char *slash = path;
    for (const char *c = path; *c; c++)
        if (*c == '/')
            slash = c + 1;
    printf(
        "%s\t%s\t%zu\t%zu\t%.8g\t%.8g\t%.9g\t%.12g\t%.6g\t%s\t%d\t%.7g\t%.7g\t%.4g\t%.5g\t%.12g\t%.6g\t%.8g\t%s\n",
        slash, format, index, p->n, p->x[0] / factor, p->x[p->n - 1] / factor, most, sum, sigma,
        bragg_axis_name(p->axis), p->counts, p->wavelength_ang, p->wavelength2_ang, p->ratio2, p->temperature_k,
        p->time_s, p->counting_s, p->monitor, p->title ? p->title : "");
}

/* Marsaglia, J. Stat. Softw. 8 (2003) 14: the same damage on every machine. */
static unsigned long next_random(unsigned long *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Cut, flip, overwrite with awkward words, copy a piece elsewhere, or repeat one. */
static size_t damage(unsigned char *bytes, size_t n, unsigned long *state)
{
    static const unsigned char awkward[][4] = {
        { 0xff, 0xff, 0xff, 0xff }, { 0, 0, 0, 0 }, { 0, 0, 0, 0x80 }, { 0xff, 0xff, 0xff, 0x7f },
        { 0, 0, 0xc0, 0x7f }, { 0, 0, 0x80, 0x7f }, { '-', '9', 'e', '9' }, { '\n', '\n', 'B', 'A' },
        { ' ', 'n', 'a', 'n' }, { '<', '/', '>', '<' }, { '"', '\'', '*', '/' }, { 'i', 'n', 'f', ' ' },
    };
    unsigned long times = 1 + next_random(state) % 8;
    /* Headers matter most: half of the damage falls into the first 1024 bytes. */
    for (unsigned long i = 0; i < times && n > 8; i++) {
        size_t reach = next_random(state) % 2 && n > 1024 ? 1024 : n - 4, at = next_random(state) % reach;
        size_t other = next_random(state) % (n - 4), length = next_random(state) % 64;
        switch (next_random(state) % 6) {
        case 0: bytes[at] ^= (unsigned char)(1u << next_random(state) % 8); break;
        case 1: bytes[at] = (unsigned char)next_random(state); break;
        case 2: memcpy(bytes + at, awkward[next_random(state) % 12], 4); break;
        case 3: n = next_random(state) % 4 ? n : at + 1; break;
        case 4: if (at + length < n && other + length < n) memmove(bytes + at, bytes + other, length); break;
        default: bytes[at] = (unsigned char)('0' + next_random(state) % 10);
        }
    }
    return n;
}

static void read_quietly(const char *path)
{
    bragg_pattern **patterns;
    size_t n;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_status st = bragg_pattern_read_all(path, &patterns, &n, &err);
    if (st < 0 && !err.text[0])
        abort();   /* a failure without a message is a bug too */
    for (size_t k = 0; st == BRAGG_OK && k < n; k++)
        if (bragg_pattern_check(patterns[k], NULL) < 0)
            abort();
    bragg_patterns_free(patterns, n);
}

static void mutate(const char *path, long long count)
{
    const char *dot = strrchr(path, '.');
    char copy[64];
    snprintf(copy, sizeof copy, "fuzz_pattern.tmp.%.16s", dot && !strchr(dot, '/') ? dot + 1 : "x");
    FILE *f = fopen(path, "rb");
    if (!f)
        return;
    enum { MOST = 1 << 22 };
    unsigned char *original = malloc(MOST), *bytes = malloc(MOST);
    size_t size = original && bytes ? fread(original, 1, MOST, f) : 0;
    fclose(f);
    for (long long i = 1; i <= count && size; i++) {
        unsigned long state = 0x9e3779b97f4a7c15ul * (unsigned long)i + size;
        memcpy(bytes, original, size);
        size_t n = damage(bytes, size, &state);
        f = fopen(copy, "wb");
        if (!f || fwrite(bytes, 1, n, f) != n || fclose(f))
            break;
        read_quietly(copy);
    }
    unlink(copy);
    free(original);
    free(bytes);
}

int main(int argc, char **argv)
{
    long long count;
    if (argc > 2 && !strcmp(argv[1], "-m")) {
        for (int i = 3; i < argc; i++)
            if (bragg_integer_parse(argv[2], &count))
                mutate(argv[i], count);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        bragg_pattern **patterns;
        size_t n;
        const char *format = "?";
        bragg_error err = BRAGG_ERROR_INIT;
        if (bragg_pattern_format(argv[i], &format, &err) < 0 ||
            bragg_pattern_read_all(argv[i], &patterns, &n, &err) < 0) {
            printf("%s\t%s\t%s\t%s\n", argv[i], format, bragg_status_name(err.status), err.text);
            continue;
        }
        for (size_t k = 0; k < n; k++)
            show(argv[i], format, k, patterns[k]);
        bragg_patterns_free(patterns, n);
    }
    return 0;
}
