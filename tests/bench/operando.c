/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run of three-phase patterns through the command, as a user has it: speed on one and
 * two cores, memory for a hundred frames and for ten thousand. */
#include "config.h"
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATTERNS = 1000, MANY = 10000, FEW = 100 };

static const char truth[] =
    "title: a laboratory mixture whose fractions, cells and sizes drift\n"
    "seed: 20240811\n"
    "radiation: {wavelength: [1.540593, 1.544427], ratios: [1, 0.5], polarization: 0.5}\n"
    "instrument: {mount: bragg-brentano, radius_mm: 200, w: 0.0044, x: 0.02, sl: 0.02, hl: 0.02}\n"
    "patterns: {range: [15, 104.97], step: 0.03}\n"
    "run: {frames: 1000, every_s: 60, exposure_s: 55, start: 2024-08-11T10:00:00, folder: frames, counts: 2500, background: {flat: 0.05}}\n"
    "phases:\n"
    "  - {name: NiO, card: NiO, moles: [[0, 1], [60000, 0.3]], cell: {a: [[0, 4.1777], [60000, 4.1921]]}, size_nm: [[0, 60], [60000, 31]]}\n"
    "  - {name: LaOH3, card: LaOH3, moles: [[0, 0.2], [30000, 0.35], [60000, 0.2]], size_nm: 25}\n"
    "  - {name: ZnO, card: ZnO, moles: [[0, 0.3], [60000, 1]], cell: {a: 3.2499, c: [[0, 5.2066], [60000, 5.2101]]}, size_nm: 80}\n";

static const char experiment[] =
    "radiation: {wavelength: [1.540593, 1.544427], ratios: [1, 0.5], polarization: 0.5}\n"
    "data: {patterns: %s/*.xye, mount: bragg-brentano, radius_mm: 200}\n"
    "phases:\n"
    "  - {name: NiO, card: NiO, refine: [scale, cell, size]}\n"
    "  - {name: LaOH3, card: LaOH3, refine: [scale, cell, size]}\n"
    "  - {name: ZnO, card: ZnO, refine: [scale, cell, size]}\n"
    "refine:\n"
    "  background: {type: chebyshev, terms: 6}\n"
    "  values: {instrument.w: 0.0044, instrument.x: 0.02, instrument.sl: 0.02, instrument.hl: 0.02}\n";

typedef struct usage {
    double wall_s, cpu_s, rss_mb;
} usage;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A command to its end; a bench that cannot be run is none. */
static usage spawn(const char *threads, const char *const *argv)
{
    struct rusage r;
    int status;
    double start = now();
    pid_t child = fork();
    if (!child) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        setenv("OMP_NUM_THREADS", threads, 1);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &r) != child || status) {
        fprintf(stderr, "operando: '%s %s' failed\n", argv[0], argv[1]);
        exit(1);
    }
    double cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    return (usage){ now() - start, cpu, (double)r.ru_maxrss / 1024 };
}

static const char *in(const char *folder, const char *name)
{
    static char path[8][300];
    static int next;
    next = (next + 1) % 8;
    snprintf(path[next], sizeof *path, "%.200s/%.90s", folder, name);
    return path[next];
}

static void write_text(const char *path, const char *format, const char *what)
{
    FILE *f = fopen(path, "w");
    if (!f)
        exit(1);
    fprintf(f, format, what);
    fclose(f);
}

/* To and fro through the first hundred, so that frames have their neighbours. */
static void link_frames(const char *folder, const char *name, int n)
{
    char from[300], to[400];
    mkdir(in(folder, name), 0777);
    for (int k = 0; k < n; k++) {
        int j = k % (2 * FEW - 2);
        snprintf(from, sizeof from, "../frames/%05d.xye", 1 + (j < FEW ? j : 2 * FEW - 2 - j));
        snprintf(to, sizeof to, "%.250s/%.60s/%05d.xye", folder, name, k);
        if (symlink(from, to))
            exit(1);
    }
}

static usage analyse(const char *folder, const char *frames, const char *threads)
{
    const char *file = in(folder, "e.yaml"), *out = in(folder, "out");
    write_text(file, experiment, frames);
    const char *const argv[] = { "./bragg", "operando", file, "-o", out, "--force", "--no-figures", NULL };
    return spawn(threads, argv);
}

void bench_operando(FILE *to)
{
    char folder[] = "/tmp/bragg-bench-XXXXXX", command[80];
    if (!mkdtemp(folder))
        exit(1);
    write_text(in(folder, "truth.yaml"), "%s", truth);
    const char *const simulate[] = { "./bragg", "simulate", in(folder, "truth.yaml"), "-o", folder, NULL };
    spawn("2", simulate);
    usage one = analyse(folder, "frames", "1"), two = analyse(folder, "frames", "2");
    bench_row(to, "operando.1000", PATTERNS / two.wall_s, "patterns/s", "target 50 on two cores", PATTERNS / two.wall_s / 50);
    bench_row(to, "operando.1000.cpu", PATTERNS / one.cpu_s, "1/CPU s", "target 25 a core", PATTERNS / one.cpu_s / 25);
    bench_row(to, "operando.scaling", one.wall_s / two.wall_s, "", "target 1.8 from one core to two", one.wall_s / two.wall_s / 1.8);
    link_frames(folder, "few", FEW);
    link_frames(folder, "many", MANY);
    usage few = analyse(folder, "few", "2"), many = analyse(folder, "many", "2");
    bench_row(to, "operando.memory.100", few.rss_mb, "MiB", "", 1);
    bench_row(to, "operando.memory.10000", many.rss_mb, "MiB", "target 1.1 of 100 frames'", 1.1 * few.rss_mb / many.rss_mb);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command))
        fprintf(stderr, "left behind: %s\n", folder);
}
