/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Read every frame of the files named, damaged in ways that repeat: for fuzzers and
 * for looking.  AFL: afl-fuzz -i samples -o out -- fuzz_frame @@
 * Without AFL: fuzz_frame -s SECONDS FILE … reads damaged copies of each in turn;
 * fuzz_frame.tmp is the last.  A reader is known by a file's first bytes, so that a
 * sample of each format is a target for each reader. */
#include "config.h"
#include <bragg/frame.h>
#include <bragg/number.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1 << 23, MOST_FRAMES = 3 };

static bragg_status read_all(const char *path, bragg_error *err)
{
    size_t n = 0;
    bragg_status st = bragg_frame_count(path, &n, err);
    for (size_t k = 0; st >= 0 && k < n && k < MOST_FRAMES; k++) {
        bragg_frame *f = NULL;
        st = bragg_frame_read(path, k, &f, err);
        if ((st < 0) == (f != NULL))
            abort(); /* a frame with a failure, or neither */
        bragg_frame_free(f);
    }
    if (st < 0 && !*err->text)
        abort(); /* a failure without a message is a bug too */
    return st;
}

/* Marsaglia, J. Stat. Softw. 8 (2003) 14: the same damage on every machine. */
static unsigned long next_random(unsigned long *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Cut, flip, awkward words, digits; two thirds of it in the first 4096 bytes. */
static size_t damage(unsigned char *bytes, size_t n, unsigned long *state)
{
    static const unsigned char awkward[][4] = { { 0xff, 0xff, 0xff, 0xff }, { 0, 0, 0, 0 }, { 0, 0, 0, 0x80 }, { 0xff, 0xff, 0xff, 0x7f }, { 0, 0, 1, 0 }, { '9', '9', '9', '9' } };
    unsigned long times = 1 + next_random(state) % 8;
    for (unsigned long i = 0; i < times && n > 8; i++) {
        size_t reach = next_random(state) % 3 && n > 4096 ? 4096 : n - 4, at = next_random(state) % reach;
        switch (next_random(state) % 5) {
        case 0: bytes[at] ^= (unsigned char)(1u << next_random(state) % 8); break;
        case 1: bytes[at] = (unsigned char)next_random(state); break;
        case 2: memcpy(bytes + at, awkward[next_random(state) % 6], 4); break;
        case 3: n = next_random(state) % 3 ? n : next_random(state) % n + 1; break;
        default: bytes[at] = (unsigned char)('0' + next_random(state) % 10);
        }
    }
    return n;
}

static size_t slurp(const char *path, unsigned char *to)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(to, 1, MOST, f) : 0;
    if (f)
        fclose(f);
    return n;
}

static int mutate(double seconds, char **paths, int n)
{
    const char *copy = "fuzz_frame.tmp";
    unsigned char *original = malloc(MOST), *bytes = malloc(MOST);
    time_t end = time(NULL) + (time_t)seconds;
    unsigned long trials = 0;
    while (original && bytes && time(NULL) < end)
        for (int i = 0; i < n; i++) {
            size_t size = slurp(paths[i], original);
            for (int k = 0; k < 40 && size && time(NULL) < end; k++) {
                unsigned long state = 0x9e3779b97f4a7c15ul * ++trials + size;
                bragg_error err = BRAGG_ERROR_INIT;
                memcpy(bytes, original, size);
                size_t left = damage(bytes, size, &state);
                FILE *f = fopen(copy, "wb");
                if (!f || fwrite(bytes, 1, left, f) != left || fclose(f))
                    return 1;
                read_all(copy, &err);
            }
        }
    unlink(copy);
    free(original);
    free(bytes);
    printf("%lu damaged frames read\n", trials);
    return 0;
}

int main(int argc, char **argv)
{
    double seconds;
    if (argc > 3 && !strcmp(argv[1], "-s"))
        return bragg_number_parse(argv[2], &seconds) ? mutate(seconds, argv + 3, argc - 3) : 2;
    for (int i = 1; i < argc; i++) {
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_status st = read_all(argv[i], &err);
        printf("%s\t%s\t%s\n", argv[i], bragg_status_name(st), err.text);
    }
    return 0;
}
