/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One fuzz target a reader: whatever the bytes of a file are, a reader answers with what
 * it read or with a message, soon and without leaving its memory.
 *
 *      fuzz                              the names of the formats
 *      fuzz FORMAT [FILE …]              read the samples as they are and say what came
 *      fuzz -n COUNT FORMAT [FILE …]     and COUNT damaged copies of each, the same on every machine
 *      fuzz -s SECONDS FORMAT [FILE …]   or go on damaging them for so long
 *
 * Samples are those of tests/fuzz/corpus/FORMAT and of $BRAGG_SHARED unless files are
 * named.  The file being read is fuzz-FORMAT.tmp.EXT in the current folder; it stays
 * when its reader dies, and belongs into the corpus.  Configured with --enable-fuzzer
 * this is a target for libFuzzer, whose format is in $BRAGG_FUZZ. */
#include "config.h"
#include <bragg.h>
#include <bragg/zip.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 20, MOST_FRAMES = 3, MOST_CARDS = 8, MOST_SECONDS = 60 };

/* A failure without a message, or with a result, is a bug too. */
static bragg_status judge(bragg_status st, const void *result, const bragg_error *err)
{
    if ((st < 0) == (result != NULL) || (st < 0 && !*err->text))
        abort();
    return st;
}

/* ----------------------------------------------------------------- readers */

static bragg_status read_frames(const char *path, bragg_error *err)
{
    size_t n = 0;
    bragg_status st = bragg_frame_count(path, &n, err);
    for (size_t k = 0; st >= 0 && k < n && k < MOST_FRAMES; k++) {
        bragg_frame *f = NULL;
        st = bragg_frame_read(path, k, &f, err);
        judge(st, f, err);
        bragg_frame_free(f);
    }
    return judge(st, st < 0 ? NULL : path, err);
}

/* A frame without a header is read as the first line of its file says. */
static bragg_status read_raw_frames(const char *path, bragg_error *err)
{
    char layout[64] = "";
    bragg_raw raw;
    size_t n = 0;
    FILE *in = fopen(path, "rb");
    if (in && fgets(layout, sizeof layout, in))
        layout[strcspn(layout, "\n")] = '\0';
    if (in)
        fclose(in);
    bragg_status st = bragg_raw_parse(layout, &raw, err);
    st = st < 0 ? st : bragg_raw_count(path, &raw, &n, err);
    for (size_t k = 0; st >= 0 && k <= n && k < MOST_FRAMES; k++) {
        bragg_frame *f = NULL;
        st = bragg_raw_read(path, &raw, k, &f, k < n ? err : NULL);
        if (k == n && st >= 0)
            abort(); /* one more than there are */
        if (k < n)
            judge(st, f, err);
        bragg_frame_free(f);
        st = k == n ? BRAGG_OK : st;
    }
    return judge(st, st < 0 ? NULL : path, err);
}

static bragg_status read_patterns(const char *path, bragg_error *err)
{
    bragg_pattern **patterns = NULL;
    size_t n = 0;
    bragg_status st = bragg_pattern_read_all(path, &patterns, &n, err);
    judge(st, patterns, err);
    for (size_t k = 0; st >= 0 && k < n; k++)
        if (patterns[k]->n && bragg_pattern_check(patterns[k], NULL) < 0)
            abort(); /* what is read can be used, but the place of a frame that was not integrated */
    bragg_patterns_free(patterns, n);
    return st;
}

static bragg_status read_poni(const char *path, bragg_error *err)
{
    bragg_geometry g;
    bragg_status st = bragg_geometry_read_poni(path, &g, err);
    return judge(st, st < 0 ? NULL : path, err);
}

static bragg_status read_instrument(const char *path, bragg_error *err)
{
    bragg_instrument i;
    bragg_status st = bragg_instrument_read(path, &i, err);
    return judge(st, st < 0 ? NULL : path, err);
}

static bragg_status read_cif(const char *path, bragg_error *err)
{
    bragg_structure *s = NULL;
    bragg_status st = bragg_structure_read_cif(path, NULL, &s, NULL, 0, err);
    judge(st, s, err);
    bragg_structure_free(s);
    return st;
}

/* What cannot be read is noted in the set and no failure of it. */
static bragg_status read_card(const char *path, bragg_error *err)
{
    bragg_cards *cards = NULL;
    bragg_cards_report report;
    bragg_status st = bragg_cards_create(NULL, &cards, err);
    judge(st, cards, err);
    if (st >= 0)
        st = bragg_cards_build(cards, &path, 1, NULL, &report, err);
    long long *ids = NULL;
    size_t n = 0;
    if (st >= 0)
        st = bragg_cards_list(cards, &(bragg_cards_filter){ 0 }, &ids, &n, err);
    for (size_t k = 0; st >= 0 && k < n && k < MOST_CARDS; k++) {
        bragg_card *card = NULL;
        st = bragg_cards_card(cards, ids[k], &card, err);
        judge(st, card, err);
        bragg_card_free(card);
    }
    free(ids);
    bragg_cards_free(cards);
    return judge(st, st < 0 ? NULL : path, err);
}

static bragg_status read_lines(const char *path, bragg_error *err)
{
    bragg_index_lines lines = { 0 };
    bragg_status st = bragg_index_lines_read(path, BRAGG_AXIS_TTH, 1.5406, &lines, err);
    bragg_index_lines_free(&lines);
    return judge(st, st < 0 ? NULL : path, err);
}

static bragg_status read_log(const char *path, bragg_error *err)
{
    bragg_log_table *t = NULL;
    bragg_status st = bragg_log_read(path, NULL, &t, err);
    judge(st, t, err);
    bragg_log_free(t);
    return st;
}

static bragg_status read_experiment(const char *path, bragg_error *err)
{
    bragg_experiment *e = NULL;
    bragg_status st = bragg_experiment_read(path, &e, err);
    judge(st, e, err);
    bragg_experiment_free(e);
    return st;
}

static bragg_status read_pdf_experiment(const char *path, bragg_error *err)
{
    bragg_pdf_experiment *e = NULL;
    bragg_status st = bragg_pdf_experiment_read(path, &e, err);
    judge(st, e, err);
    bragg_pdf_experiment_free(e);
    return st;
}

static bragg_status read_truth(const char *path, bragg_error *err)
{
    bragg_truth *t = NULL;
    bragg_status st = bragg_truth_read(path, &t, err);
    judge(st, t, err);
    bragg_truth_free(t);
    return st;
}

static bragg_status read_mask(const char *path, bragg_error *err)
{
    static uint8_t mask[97 * 89];
    bragg_geometry g = BRAGG_GEOMETRY_INIT;
    g.distance_m = 0.2;
    g.pixel_slow_m = g.pixel_fast_m = 1e-4;
    bragg_status st = bragg_mask_read_yaml(path, &g, NULL, 97, 89, mask, err);
    return judge(st, st < 0 ? NULL : path, err);
}

static bragg_status read_pdf_data(const char *path, bragg_error *err)
{
    bragg_pdf_data *d = NULL;
    bragg_status st = bragg_pdf_data_read(path, &d, err);
    judge(st, d, err);
    bragg_pdf_data_free(d);
    return st;
}

static bragg_status read_particle(const char *path, bragg_error *err)
{
    bragg_particle *p = NULL;
    bragg_status st = bragg_particle_read_xyz(path, &p, err);
    judge(st, p, err);
    bragg_particle_free(p);
    return st;
}

static bragg_status read_store(const char *path, bragg_error *err)
{
    bragg_series *s = NULL;
    bragg_status st = bragg_store_read(path, &s, err);
    judge(st, s, err);
    bragg_pdf_course *t = NULL;
    if (st == BRAGG_OK && bragg_store_pdf(path, s->arena, &t, NULL) == BRAGG_OK && t && (t->rows - 1) * t->frames >= s->n)
        abort(); /* rows of frames that the series does not have */
    bragg_series_free(s);
    return st;
}

typedef struct target {
    const char *name, *extension;   /* of the copies, where a name decides too */
    bragg_status (*read)(const char *path, bragg_error *err);
    const char *samples;            /* more of them below $BRAGG_SHARED */
    bool others;                    /* damaged files show faults of a library that is not ours: only by hand */
} target;

static const target targets[] = {
    { "tiff", "tif", read_frames, NULL, false },
    { "cbf", "cbf", read_frames, NULL, false },
    { "edf", "edf", read_frames, "data/frames/*.edf", false },
    { "fits", "fits", read_frames, NULL, false },
    { "mar345", "mar2300", read_frames, "data/frames/*.mar*", false },
    { "npy", "npy", read_frames, NULL, false },
    { "ge", "ge", read_frames, NULL, false },
    { "raw-frame", "raw", read_raw_frames, NULL, false },
    { "hdf5", "h5", read_frames, "data/frames/*.hdf5", true },
    { "nxazint", "h5", read_patterns, NULL, true },
    { "gsas", "fxye", read_patterns, "data/rietveld/*.fxye", false },
    { "xrdml", "xrdml", read_patterns, "data/formats/patterns/*.xrdml", false },
    { "brml", "brml", read_patterns, "data/formats/patterns/*.brml", false },
    { "ras", "ras", read_patterns, NULL, false },
    { "rasx", "rasx", read_patterns, "data/formats/patterns/*.rasx", false },
    { "bruker", "raw", read_patterns, "data/formats/patterns/*.raw", false },
    { "stoe", "raw", read_patterns, "data/formats/patterns/stoe.raw", false },
    { "uxd", "uxd", read_patterns, "data/formats/patterns/*.UXD", false },
    { "udf", "udf", read_patterns, NULL, false },
    { "xylib", "rd", read_patterns, NULL, false },
    { "rigaku_text", "dat", read_patterns, NULL, false },
    { "pdcif", "cif", read_patterns, "data/formats/patterns/*.cif", false },
    { "steps", "dat", read_patterns, "data/formats/patterns/*.dat", false },
    { "zip", "zip", read_patterns, "data/rietveld/*.zip", false },
    { "columns", "xye", read_patterns, "data/formats/patterns/*.xy*", false },
    { "poni", "poni", read_poni, "data/frames/*.poni", false },
    { "instrument", "instr", read_instrument, NULL, false },
    { "instprm", "instprm", read_instrument, "data/mixtures/*.instprm", false },
    { "prm", "prm", read_instrument, "data/rietveld/*.prm", false },
    { "cif", "cif", read_cif, "data/formats/cif/*.cif", false },
    { "jcpds", "jcpds", read_card, NULL, false },
    { "di", "csv", read_card, NULL, false },
    { "pdf2", "dat", read_card, NULL, false },
    { "pdf4", "xml", read_card, NULL, false },
    { "card-archive", "tar", read_card, NULL, false },
    { "card-set", "yaml", read_card, NULL, false },
    { "lines", "txt", read_lines, NULL, false },
    { "mpt", "mpt", read_log, "data/cyclers/*.mpt", false },
    { "mpr", "mpr", read_log, "data/cyclers/*.mpr", false },
    { "nda", "nda", read_log, "data/cyclers/*.nda", false },
    { "ndax", "ndax", read_log, "data/cyclers/*.ndax", false },
    { "xlsx", "xlsx", read_log, "data/cyclers/*.xlsx", false },
    { "csv", "csv", read_log, "data/cyclers/*.csv", false },
    { "experiment", "yaml", read_experiment, NULL, false },
    { "pdf-experiment", "yaml", read_pdf_experiment, NULL, false },
    { "truth", "yaml", read_truth, NULL, false },
    { "mask", "yaml", read_mask, NULL, false },
    { "gr", "gr", read_pdf_data, "data/pdf/gr/*.gr", false },
    { "xyz", "xyz", read_particle, NULL, false },
    { "store", "h5", read_store, NULL, true },
};
enum { N_TARGETS = sizeof targets / sizeof *targets };

static const target *find_target(const char *name)
{
    for (size_t k = 0; k < N_TARGETS; k++)
        if (!strcmp(targets[k].name, name))
            return &targets[k];
    fprintf(stderr, "fuzz: no format '%s'\n", name);
    exit(2);
}

/* --------------------------------------------------------------- one input */

static char copy_path[4096]; /* of the bytes being read */

static bragg_status read_bytes(const target *t, const unsigned char *bytes, size_t n, bragg_error *err)
{
    FILE *f = fopen(copy_path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) {
        perror(copy_path);
        exit(1);
    }
    /* a reader that hangs dies, and its input stays; by its own time, on a busy machine */
    setitimer(ITIMER_PROF, &(struct itimerval){ .it_value = { MOST_SECONDS, 0 } }, NULL);
    alarm(20 * MOST_SECONDS);
    bragg_status st = t->read(copy_path, err);
    alarm(0);
    setitimer(ITIMER_PROF, &(struct itimerval){ .it_value = { 0, 0 } }, NULL);
    return st;
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t n)
{
    static const target *t;
    bragg_error err = BRAGG_ERROR_INIT;
    if (!t) {
        const char *folder = getenv("TMPDIR");
        t = find_target(getenv("BRAGG_FUZZ") ? getenv("BRAGG_FUZZ") : "");
        snprintf(copy_path, sizeof copy_path, "%s/fuzz-%ld.%s", folder ? folder : "/tmp", (long)getpid(), t->extension);
    }
    read_bytes(t, bytes, n, &err);
    return 0;
}

#ifndef BRAGG_FUZZER

/* ------------------------------------------------------------------ damage */

/* Marsaglia, J. Stat. Softw. 8 (2003) 14: the same damage on every machine. */
static unsigned long next_random(unsigned long *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* The number that stands at or behind `at` becomes an awkward one of the same length
 * or shorter. */
static void spoil_number(unsigned char *bytes, size_t n, size_t at, unsigned long random)
{
    static const char *const numbers[] = { "-1", "0", "9999999999999999999", "1e308", "nan", "inf", "-", "0x7f", "65536", "4294967295", "2147483648", "1e-320" };
    while (at < n && (bytes[at] < '0' || bytes[at] > '9'))
        at++;
    const char *number = numbers[random % (sizeof numbers / sizeof *numbers)];
    for (size_t k = at; k < n && bytes[k] >= '0' && bytes[k] <= '9'; k++)
        bytes[k] = (unsigned char)(*number ? *number++ : ' ');
}

/* Cut, flip, overwrite with awkward words, copy a piece elsewhere, move one, spoil a
 * number.  Headers matter most: half of it falls into the first 1024 bytes. */
static size_t damage(unsigned char *bytes, size_t n, unsigned long *state)
{
    static const unsigned char awkward[][4] = {
        { 0xff, 0xff, 0xff, 0xff }, { 0, 0, 0, 0 }, { 0, 0, 0, 0x80 }, { 0xff, 0xff, 0xff, 0x7f }, { 0, 0, 1, 0 }, { 0, 0, 0xc0, 0x7f },
        { 0, 0, 0x80, 0x7f }, { '-', '9', 'e', '9' }, { '\n', '\n', 'B', 'A' }, { ' ', 'n', 'a', 'n' }, { '<', '/', '>', '<' },
        { '"', '\'', '*', '/' }, { 'i', 'n', 'f', ' ' }, { '9', '9', '9', '9' }, { '[', '{', ':', ' ' }, { '%', 's', '%', 'n' },
    };
    unsigned long times = 1 + next_random(state) % 8;
    for (unsigned long i = 0; i < times && n > 8; i++) {
        size_t reach = next_random(state) % 2 && n > 1024 ? 1024 : n - 4, at = next_random(state) % reach;
        size_t other = next_random(state) % (n - 4), length = next_random(state) % 64;
        switch (next_random(state) % 8) {
        case 0: bytes[at] ^= (unsigned char)(1u << next_random(state) % 8); break;
        case 1: bytes[at] = (unsigned char)next_random(state); break;
        case 2: memcpy(bytes + at, awkward[next_random(state) % (sizeof awkward / sizeof *awkward)], 4); break;
        case 3: n = next_random(state) % 4 ? n : at + 1; break;
        case 4: if (at + length < n && other + length < n) memmove(bytes + at, bytes + other, length); break;
        case 5: spoil_number(bytes, n, at, next_random(state)); break;
        case 6: if (at + length < n) memmove(bytes + at, bytes + at + length, n - at - length), n -= length; break;
        default: bytes[at] = (unsigned char)('0' + next_random(state) % 10);
        }
    }
    return n;
}

/* ----------------------------------------------------------------- samples */

typedef struct samples {
    bragg_arena *arena;
    const char **path;
    size_t n;
} samples;

static void add_samples(samples *s, const char *pattern)
{
    const char **more;
    size_t n;
    if (bragg_path_list(s->arena, pattern, NULL, &more, &n, NULL) < 0)
        return;
    const char **all = bragg_arena_alloc(s->arena, s->n + n + 1, sizeof *all);
    for (size_t k = 0; k < s->n + n; k++)
        all[k] = k < s->n ? s->path[k] : more[k - s->n];
    s->path = all;
    s->n += n;
}

static samples find_samples(const target *t, char **files, int n)
{
    samples s = { bragg_arena_new(), (const char **)files, (size_t)n };
    const char *source = getenv("TOP_SRCDIR"), *shared = getenv("BRAGG_SHARED");
    char pattern[4096];
    if (n)
        return s;
    snprintf(pattern, sizeof pattern, "%s/tests/fuzz/corpus/%s/*", source ? source : ".", t->name);
    add_samples(&s, pattern);
    if (shared && t->samples) {
        snprintf(pattern, sizeof pattern, "%s/%s", shared, t->samples);
        add_samples(&s, pattern);
    }
    return s;
}

static size_t slurp(const char *path, unsigned char *to)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(to, 1, MOST_BYTES, f) : 0;
    if (f)
        fclose(f);
    return n;
}

enum { AT_A_TIME = 40 };

/* Copies AT_A_TIME * round … of a sample, until `end` or `count`; those that were readable. */
static unsigned long read_copies(const target *t, const unsigned char *original, size_t size, unsigned char *bytes, unsigned long round, time_t end, unsigned long count, unsigned long *trials)
{
    unsigned long readable = 0;
    for (unsigned long k = AT_A_TIME * round; k < AT_A_TIME * (round + 1) && (end ? time(NULL) < end : k < count); k++, ++*trials) {
        unsigned long state = 0x9e3779b97f4a7c15ul * (k + 1) + size;
        bragg_error err = BRAGG_ERROR_INIT;
        memcpy(bytes, original, size);
        readable += read_bytes(t, bytes, damage(bytes, size, &state), &err) >= 0;
    }
    return readable;
}

/* The same in a process of its own: where a library that is not ours dies, its file is
 * kept, and the others go on. */
static unsigned long read_apart(const target *t, const unsigned char *original, size_t size, unsigned char *bytes, unsigned long round, time_t end, unsigned long *trials, unsigned long *died)
{
    unsigned long said[2] = { 0, 0 };
    int way[2], status = 0;
    if (pipe(way))
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        said[1] = read_copies(t, original, size, bytes, round, end, 0, &said[0]);
        exit(write(way[1], said, sizeof said) != sizeof said);
    }
    close(way[1]);
    if (child < 0 || read(way[0], said, sizeof said) < 0 || waitpid(child, &status, 0) != child)
        exit(1);
    close(way[0]);
    *trials += said[0];
    if (status) {
        char kept[4200];
        snprintf(kept, sizeof kept, "fuzz-%s.died-%lu.%s", t->name, ++*died, t->extension);
        rename(copy_path, kept);
    }
    return said[1];
}

/* Damaged copies of each sample in turn, 40 at a time, until there are enough. */
static void mutate(const target *t, const samples *s, double seconds, unsigned long count)
{
    unsigned char *original = malloc(MOST_BYTES), *bytes = malloc(MOST_BYTES);
    time_t end = time(NULL) + (time_t)seconds;
    unsigned long trials = 0, readable = 0, died = 0;
    snprintf(copy_path, sizeof copy_path, "fuzz-%s.tmp.%s", t->name, t->extension);
    for (unsigned long round = 0; original && bytes && s->n && (seconds > 0 ? time(NULL) < end : AT_A_TIME * round < count); round++)
        for (size_t i = 0; i < s->n; i++) {
            size_t size = slurp(s->path[i], original);
            readable += t->others ? read_apart(t, original, size, bytes, round, end, &trials, &died)
                                  : read_copies(t, original, size, bytes, round, seconds > 0 ? end : 0, count, &trials);
        }
    unlink(copy_path);
    free(original);
    free(bytes);
    printf("%s: %lu damaged copies of %zu samples, %lu of them readable\n", t->name, trials, s->n, readable);
    if (died)
        printf("%s: died %lu times, of what is in fuzz-%s.died-*; the copies of that turn are not counted\n", t->name, died, t->name);
}

static void replay(const target *t, const samples *s, bool talk)
{
    if (!s->n)
        printf("%s: no samples\n", t->name);
    for (size_t i = 0; i < s->n; i++) {
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_status st = t->read(s->path[i], &err);
        if (talk)
            printf("%s\t%s\t%s\n", s->path[i], bragg_status_name(st), err.text);
    }
}

int main(int argc, char **argv)
{
    double amount = 0;
    bool timed = argc > 3 && !strcmp(argv[1], "-s"), counted = argc > 3 && !strcmp(argv[1], "-n");
    if (argc < 2) {
        for (size_t k = 0; k < N_TARGETS; k++)
            puts(targets[k].name);
        return 0;
    }
    if ((timed || counted) && !(bragg_number_parse(argv[2], &amount) && amount > 0))
        return 2;
    int first = timed || counted ? 3 : 1;
    const target *t = find_target(argv[first]);
    samples s = find_samples(t, argv + first + 1, argc - first - 1);
    replay(t, &s, !timed && !counted);
    if (timed || (counted && !t->others))
        mutate(t, &s, timed ? amount : 0, counted ? (unsigned long)amount : 0);
    bragg_arena_free(s.arena);
    return 0;
}

#endif
