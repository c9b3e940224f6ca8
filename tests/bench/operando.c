/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs of three phases through the command, as a user has it: speed of patterns on one and
 * two cores, memory for a hundred frames and for ten thousand; frames of a detector, and how
 * long after its file a frame has its fractions. */
#include "config.h"
#include "bench.h"

#include <bragg.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
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

enum { SHOTS = 12, PACED = 100, STORE_ROOM = 1024 };
static const char shots[] =
    "seed: 20260311\n"
    "radiation: {wavelength: 0.20735, polarization: 0.99}\n"
    "detector: {name: %s, distance_m: 0.5021, poni1_m: 0.1391, poni2_m: 0.1283, rot1_rad: 0.0042, rot2_rad: -0.0061}\n"
    "instrument: {u: 0.0011, v: -0.0003, w: 0.00052, x: 0.0011, y: 0.0024}\n"
    "run: {frames: 12, every_s: 2, exposure_s: 1.9, start: 2026-03-11T14:22:10, folder: frames, counts: 420, background: {flat: 0.09}}\n"
    "phases:\n"
    "  - {name: NiO, card: NiO, moles: [[0, 1], [24, 0.3]], cell: {a: [[0, 4.1777], [24, 4.1921]]}, size_nm: [[0, 60], [24, 31]]}\n"
    "  - {name: LaOH3, card: LaOH3, moles: [[0, 0.2], [12, 0.35], [24, 0.2]], size_nm: 25}\n"
    "  - {name: ZnO, card: ZnO, moles: [[0, 0.3], [24, 1]], cell: {a: 3.2499, c: [[0, 5.2066], [24, 5.2101]]}, size_nm: 80}\n";

static const char shot_experiment[] =
    "radiation: {wavelength: 0.20735, polarization: 1}\n"
    "detector: {poni: setup.poni}\n"
    "data: {frames: %s/*.tif, unit: 2th_deg, range: [2.2, 17], bins: 1600}\n"
    "phases:\n"
    "  - {name: NiO, card: NiO, refine: [scale, cell, size]}\n"
    "  - {name: LaOH3, card: LaOH3, refine: [scale, cell, size]}\n"
    "  - {name: ZnO, card: ZnO, refine: [scale, cell, size]}\n"
    "refine:\n"
    "  background: {type: chebyshev, terms: 6}\n"
    "  values: {instrument.u: 0.0011, instrument.v: -0.0003, instrument.w: 0.00052, instrument.x: 0.0011, instrument.y: 0.0024}\n";

typedef struct usage {
    double wall_s, cpu_s, main_s, rss_mb; /* main: of the first thread, the longest when all goes well */
} usage;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* libtool's script would be between the command and who waits for it. */
static pid_t begin(const char *threads, const char *const *argv)
{
    pid_t child = fork();
    if (child)
        return child;
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    setenv("OMP_NUM_THREADS", threads, 1);
    setenv("OMP_WAIT_POLICY", "passive", 1); /* a core that waits is none that works */
    if (!access(".libs/bragg", X_OK)) {
        setenv("LD_LIBRARY_PATH", ".libs", 1);
        execv(".libs/bragg", (char *const *)argv);
    }
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

/* CPU time of the first thread of a process that has ended and is not buried yet. */
static double first_thread(pid_t child)
{
    siginfo_t info;
    char path[80];
    double ns = 0;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)child, (int)child);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lf", &ns) != 1)
        ns = 0;
    if (f)
        fclose(f);
    return 1e-9 * ns;
}

/* A command to its end; a bench that cannot be run is none. */
static usage spawn(const char *threads, const char *const *argv)
{
    struct rusage r;
    int status;
    double start = now();
    pid_t child = begin(threads, argv);
    double first = child > 0 ? first_thread(child) : 0;
    if (child < 0 || wait4(child, &status, 0, &r) != child || status) {
        fprintf(stderr, "operando: '%s %s' failed\n", argv[0], argv[1]);
        exit(1);
    }
    double cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    return (usage){ now() - start, cpu, first, (double)r.ru_maxrss / 1024 };
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

static usage analyse_frames(const char *folder, const char *detector, const char *frames)
{
    const char *file = in(folder, "truth.yaml"), *own = in(folder, "e.yaml"), *out = in(folder, "out");
    const char *const simulate[] = { "./bragg", "simulate", file, "-o", folder, "--force", NULL };
    write_text(file, shots, detector);
    spawn("2", simulate);
    write_text(own, shot_experiment, frames);
    const char *const argv[] = { "./bragg", "operando", own, "-o", out, "--force", "--no-figures", NULL };
    return spawn("1", argv);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* A folder that fills, and when its frames came and had their rows. */
typedef struct live {
    char folder[300], store[400];
    struct dirent **entry;   /* the frames to link there; they begin anew when there are no more */
    int entries, moved, seen;
    bragg_store_view *view;
    double start_s[PACED], latency_s[PACED];
    bool there[PACED];
} live;

static int is_frame(const struct dirent *e) { return strstr(e->d_name, ".tif") != NULL; }

/* The next frame takes its name whole. */
static bool add_frame(live *l, const char *from)
{
    char path[700], part[700], source[700];
    snprintf(source, sizeof source, "%.300s/%.250s", from, l->entry[l->moved % l->entries]->d_name);
    snprintf(part, sizeof part, "%.300s/%05d.part", l->folder, l->moved);
    snprintf(path, sizeof path, "%.300s/%05d.tif", l->folder, l->moved);
    l->start_s[l->moved] = now();
    return !link(source, part) && !rename(part, path) && ++l->moved;
}

/* Which frames have got their rows; a larger store takes the place of a smaller one. */
static void look_for_rows(live *l)
{
    uint64_t state[STORE_ROOM] = { 0 };
    if (l->view && bragg_store_view_replaced(l->view)) {
        bragg_store_view_free(l->view);
        l->view = NULL;
    }
    if (!l->view && bragg_store_look(l->store, &l->view, NULL) < 0)
        l->view = NULL;
    if (!l->view || l->view->room > STORE_ROOM || !bragg_store_view_states(l->view, state))
        return;
    for (int k = 0; k < l->moved; k++)
        if (state[k] && !l->there[k]) {
            l->there[k] = true;
            l->latency_s[k] = now() - l->start_s[k];
            l->seen++;
        }
}

/* Seconds from the name of each of n frames to its row, every_s apart; with 0 the next
 * follows a while after the row of the last. */
static void follow_frames(const char *folder, int n, double every_s, double *latency_s)
{
    static live l;
    const char *own = in(folder, "e.yaml"), *out = in(folder, "live-out"), *from = in(folder, "frames");
    char command[800];
    int status;
    l = (live){ 0 };
    snprintf(l.folder, sizeof l.folder, "%.200s/live", folder);
    snprintf(l.store, sizeof l.store, "%.300s/series.h5", out);
    write_text(own, shot_experiment, "live");
    l.entries = mkdir(l.folder, 0777) ? 0 : scandir(from, &l.entry, is_frame, alphasort);
    const char *const argv[] = { "./bragg", "operando", own, "-o", out, "--force", "--no-figures", "--follow", "--idle", "3", NULL };
    pid_t child = begin("2", argv);
    double begun = now(), next = begun;
    while (l.entries > 0 && l.seen < n && now() - begun < 120) {
        if (l.moved < n && now() >= next) {
            if (!add_frame(&l, from))
                break;
            next = every_s > 0 ? begun + every_s * l.moved : INFINITY;
        }
        usleep(2000);
        look_for_rows(&l);
        if (every_s <= 0 && l.seen == l.moved && next == INFINITY)
            next = now() + 0.2;
    }
    bragg_store_view_free(l.view);
    if (l.seen < n || waitpid(child, &status, 0) != child || status) {
        fprintf(stderr, "operando: --follow failed: %d of %d frames\n", l.seen, n);
        exit(1);
    }
    memcpy(latency_s, l.latency_s, (size_t)n * sizeof *latency_s);
    snprintf(command, sizeof command, "rm -rf '%.300s' '%.300s'", l.folder, out);
    if (system(command))
        exit(1);
}

static void bench_live(FILE *to, const char *folder)
{
    double t[PACED];
    usage two = analyse_frames(folder, "Pilatus2M", "frames");
    bench_row(to, "operando.frames.2M.cpu", SHOTS / two.cpu_s, "1/CPU s", "target 2.5 a core (start included)", SHOTS / two.cpu_s / 2.5);
    follow_frames(folder, PACED, 0.2, t);
    qsort(t + 1, PACED - 1, sizeof *t, by_value); /* models and the plan are made with the first */
    bench_row(to, "operando.live.2M.median", t[PACED / 2], "s", "target 0.5 s, 5 frames/s", 0.5 / t[PACED / 2]);
    bench_row(to, "operando.live.2M.longest", t[PACED - 1], "s", "target 0.5 s, 5 frames/s", 0.5 / t[PACED - 1]);
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%.300s/frames'", folder);
    if (system(command))
        exit(1);
    analyse_frames(folder, "Perkin", "frames");
    follow_frames(folder, SHOTS, 0, t);
    qsort(t + 1, SHOTS - 1, sizeof *t, by_value);
    bench_row(to, "operando.live.4M", t[SHOTS / 2], "s", "target 0.2 s from file to fractions", 0.2 / t[SHOTS / 2]);
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
    bench_row(to, "operando.scaling.cpu", two.cpu_s / two.main_s, "", "target 1.8, CPU time over that of the longest thread", two.cpu_s / two.main_s / 1.8);
    link_frames(folder, "few", FEW);
    link_frames(folder, "many", MANY);
    usage few = analyse(folder, "few", "2"), many = analyse(folder, "many", "2");
    bench_row(to, "operando.memory.100", few.rss_mb, "MiB", "", 1);
    bench_row(to, "operando.memory.10000", many.rss_mb, "MiB", "target 1.1 of 100 frames'", 1.1 * few.rss_mb / many.rss_mb);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command))
        exit(1);
    if (mkdir(folder, 0700))
        exit(1);
    bench_live(to, folder);
    if (system(command))
        fprintf(stderr, "left behind: %s\n", folder);
}
