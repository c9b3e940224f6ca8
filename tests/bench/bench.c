/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make bench: times as ratios to a peer of the same run (a memory copy) or to the
 * figure another program's documentation of the same data gives. */
#include "config.h"

#include "../cards_made.h"
#include "bench.h"
#include <bragg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Median seconds of seven runs. */
static double median(void (*work)(void *), void *payload)
{
    double t[7];
    for (int k = 0; k < 7; k++) {
        double start = now();
        work(payload);
        t[k] = now() - start;
    }
    qsort(t, 7, sizeof *t, by_value);
    return t[3];
}

void bench_row(FILE *to, const char *name, double value, const char *unit, const char *peer, double ratio)
{
    fprintf(to, "%s\t%.4g\t%s\t%s\t%.4g\n", name, value, unit, peer, ratio);
    printf("%-32s %10.4g %-10s %-34s %8.4g\n", name, value, unit, peer, ratio);
    fflush(stdout);
}

/* -------------------------------------------------------------- machine */

enum { EXPS = 20000000 };

/* Work of libm alone, no memory; an element of payload takes each thread's sum. */
static bragg_status some_exps(void *payload, size_t first, size_t last, bragg_error *err)
{
    double *sums = payload;
    for (size_t k = first; k < last; k++) {
        double sum = 0;
        for (int i = 0; i < EXPS; i++)
            sum += exp(-1e-7 * i);
        sums[k] = sum;
    }
    return BRAGG_OK;
    (void)err;
}

static void exps_of_one(void *payload) { some_exps(payload, 0, 1, NULL); }

static void exps_of_all(void *payload) { bragg_parallel_for((size_t)bragg_thread_count(), 1, some_exps, payload, NULL); }

/* What the machine gives just now: a shared one may be a third of itself, and its threads
 * halves of one core.  To be read beside each figure of the part that has no peer in its run. */
static void bench_machine(const char *part, FILE *to)
{
    char name[40];
    int threads = bragg_thread_count();
    double *sums = calloc((size_t)threads, sizeof *sums);
    if (!sums)
        exit(1);
    double one = median(exps_of_one, sums), all = median(exps_of_all, sums);
    snprintf(name, sizeof name, "machine.%.20s", part);
    bench_row(to, name, 1e-6 * EXPS / one, "1/us", "exp() by one thread", 1);
    snprintf(name, sizeof name, "machine.%.20s.threads", part);
    bench_row(to, name, 1e-6 * EXPS * threads / all, "1/us", "by one thread", threads * one / all);
    free(sums);
}

/* ------------------------------------------------------------ integrate */

/* Frames of a night do not live in a cache: as many as fill four times the last one, and
 * the copies the same. */
enum { LEAST_FRAMES = 32, MOST_FRAMES = 1024, BINS = 2000 };
typedef struct stack {
    bragg_geometry g;
    bragg_plan_options o;
    bragg_plan *plan;
    size_t n;
    bragg_frame *frame[MOST_FRAMES];
    double *out;
    char *copy;
    size_t bytes, n_copies;
} stack;

static size_t frames_beyond_caches(size_t bytes)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t n = (4 * (size_t)(cache > 0 ? cache : 64 << 20) / bytes + 15) / 16 * 16;
    return n < LEAST_FRAMES ? LEAST_FRAMES : n > MOST_FRAMES ? MOST_FRAMES : n;
}

static void build(void *payload)
{
    stack *s = payload;
    bragg_plan_free(s->plan);
    if (bragg_plan_new(&s->g, s->g.rows, s->g.columns, NULL, &s->o, &s->plan, NULL) < 0)
        exit(1);
}

static void integrate(void *payload)
{
    stack *s = payload;
    if (bragg_plan_integrate_frames(s->plan, (const bragg_frame *const *)s->frame, s->n, NULL, s->out, s->out + s->n * BINS, NULL, NULL) < 0)
        exit(1);
}

static void integrate_singly(void *payload)
{
    stack *s = payload;
    for (size_t k = 0; k < s->n; k++)
        if (bragg_plan_integrate_frames(s->plan, (const bragg_frame *const *)&s->frame[k], 1, NULL, s->out, s->out + BINS, NULL, NULL) < 0)
            exit(1);
}

/* Each byte read once and written once, from memory to memory. */
static bragg_status copy_frames(void *payload, size_t first, size_t last, bragg_error *err)
{
    const stack *s = payload;
    for (size_t k = first; k < last; k++)
        memcpy(s->copy + k % s->n_copies * s->bytes, s->frame[k]->data, s->bytes);
    return BRAGG_OK;
    (void)err;
}

static void copy(void *payload)
{
    copy_frames(payload, 0, ((const stack *)payload)->n, NULL);
}

static void copy_threads(void *payload)
{
    bragg_parallel_for(((const stack *)payload)->n, 1, copy_frames, payload, NULL);
}

/* n frames; 0: as many as no cache holds. */
static void fill(stack *s, bragg_pixel type, size_t n)
{
    s->bytes = bragg_pixel_size(type) * s->g.rows * s->g.columns;
    s->n = n ? n : frames_beyond_caches(s->bytes);
    for (size_t k = 0; k < s->n; k++) {
        if (bragg_frame_new(s->g.columns, s->g.rows, type, &s->frame[k], NULL) < 0)
            exit(1);
        for (size_t i = 0; i < s->g.rows * s->g.columns; i++) {
            uint32_t v = (uint32_t)((i * 2654435761u + k * 977) >> 22 & 1023);
            if (type == BRAGG_U16)
                ((uint16_t *)s->frame[k]->data)[i] = (uint16_t)v;
            else
                ((uint32_t *)s->frame[k]->data)[i] = v;
        }
    }
}

/* pyFAI in the same run, when it is installed; else what its authors' version 0.21.3
 * reached on two cores, from the notes beside its reference numbers. */
static const char *ask_pyfai(size_t rows, size_t columns, const char *type, double *frames, double *plan)
{
    static char name[64];
    char command[512], version[32] = "";
    snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/bench/pyfai.py %zu %zu %s 2>/dev/null", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".", rows, columns, type);
    FILE *in = popen(command, "r");
    int got = in ? fscanf(in, "%lf %lf %31s", frames, plan, version) : 0;
    if (in)
        pclose(in);
    snprintf(name, sizeof name, got == 3 ? "pyFAI %s CSR, this run" : "pyFAI 0.21.3 CSR (published)", version);
    return name;
}

/* Both in turn, so that what else the machine does meets both; the median of ratios. */
static double ratio_of(void (*work)(void *), void (*peer)(void *), void *payload, double *seconds)
{
    double r[9], t[9];
    work(payload);
    for (int k = 0; k < 9; k++) {
        double start = now();
        work(payload);
        t[k] = now() - start;
        start = now();
        peer(payload);
        r[k] = (now() - start) / t[k];
    }
    qsort(t, 9, sizeof *t, by_value);
    qsort(r, 9, sizeof *r, by_value);
    *seconds = t[4];
    return r[4];
}

static void bench_integrate(FILE *to)
{
    static const struct { const char *size; size_t rows, columns; double pyfai_frames, pyfai_plan; } cases[] = {
        { "1M", 1043, 981, 33, 0.57 }, { "4M", 2048, 2048, 5.2, 2.6 }, { "10M", 3262, 3108, 2.1, 7.3 } };
    static const bragg_pixel types[] = { BRAGG_I32, BRAGG_U16, BRAGG_U32 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t t = 0; t < 3; t++) {
            stack s = { .g = BRAGG_GEOMETRY_INIT, .o = BRAGG_PLAN_OPTIONS_INIT };
            char name[64], stem[40];
            s.g = (bragg_geometry){ 0.21, 0.087, 0.080, -0.018, 0.004, 0, 172e-6, 172e-6, cases[c].rows, cases[c].columns, 0.4066, 3, "" };
            s.o.polarization = 0.99;
            s.o.n_bins = BINS;
            fill(&s, types[t], 0);
            s.n_copies = frames_beyond_caches(s.bytes);
            s.copy = calloc(s.n_copies, s.bytes);
            s.out = malloc(2 * s.n * BINS * sizeof *s.out);
            snprintf(stem, sizeof stem, "integrate.%s.full%s%s", cases[c].size, t ? "." : "", t ? bragg_pixel_name(types[t]) : "");
            double plan = median(build, &s), run, single, streaming = ratio_of(integrate, copy, &s, &run), both = ratio_of(integrate, copy_threads, &s, &run);
            double alone = ratio_of(integrate_singly, copy, &s, &single);
            if (!t) {
                double frames = cases[c].pyfai_frames, seconds = cases[c].pyfai_plan;
                const char *peer = ask_pyfai(cases[c].rows, cases[c].columns, bragg_pixel_name(types[t]), &frames, &seconds);
                bench_row(to, stem, (double)s.n / run, "frames/s", peer, (double)s.n / run / frames);
                snprintf(name, sizeof name, "%s.plan", stem);
                bench_row(to, name, plan, "s", peer, seconds / plan);
            }
            snprintf(name, sizeof name, "%s.streaming", stem);
            bench_row(to, name, (double)s.n / run, "frames/s", "memory copy by one thread, this run", streaming);
            snprintf(name, sizeof name, "%s.streaming_threads", stem);
            bench_row(to, name, (double)s.n / run, "frames/s", "memory copy by all threads, this run", both);
            snprintf(name, sizeof name, "%s.singly", stem);
            bench_row(to, name, (double)s.n / single, "frames/s", "memory copy by one thread, this run", alone);
            for (size_t k = 0; k < s.n; k++)
                bragg_frame_free(s.frame[k]);
            bragg_plan_free(s.plan);
            free(s.copy);
            free(s.out);
        }
}

static const char cold_poni[] = "bench-cold.poni", cold_frame[] = "bench-cold.tif", cold_out[] = "bench-cold.xye";

/* The command as it is installed, without libtool's script round it; payload: more of
 * its options. */
static void run_cold(void *payload)
{
    char command[600];
    const char *more = payload;
    snprintf(command, sizeof command,
             "if [ -x .libs/bragg ]; then LD_LIBRARY_PATH=.libs; export LD_LIBRARY_PATH; exec .libs/bragg integrate bench-cold.tif --poni bench-cold.poni -o bench-cold.xye --force %s; fi 2>/dev/null; "
             "exec ./bragg integrate bench-cold.tif --poni bench-cold.poni -o bench-cold.xye --force %s 2>/dev/null", more, more);
    if (system(command))
        exit(1);
}

static double child_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* From the shell's prompt to the first pattern: one frame, full splitting. */
static void bench_cold(FILE *to)
{
    stack s = { .g = { 0.21, 0.087, 0.080, -0.018, 0.004, 0, 172e-6, 172e-6, 1043, 981, 0.4066, 3, "" } };
    fill(&s, BRAGG_I32, 1);
    if (bragg_geometry_write_poni(&s.g, cold_poni, true, NULL) < 0 || bragg_frame_write_tiff(s.frame[0], cold_frame, true, NULL) < 0)
        exit(1);
    static const struct { const char *name; char more[40]; } cases[] = { { "integrate.1M.cold", "" }, { "integrate.1M.cold.saved", "--plans bench-plans" } };
    for (int k = 0; k < 2; k++) {
        char name[60];
        if (k) /* the plan is made and saved by the first */
            run_cold((void *)cases[k].more);
        double before = child_seconds(), t = median(run_cold, (void *)cases[k].more), used = (child_seconds() - before) / 7;
        bench_row(to, cases[k].name, t, "s", "target 0.3 s", 0.3 / t);
        snprintf(name, sizeof name, "%s.cpu", cases[k].name);
        bench_row(to, name, used, "s", "user and system time, target 0.3 s", 0.3 / used);
    }
    if (system("rm -f bench-plans/*.plan && rmdir bench-plans"))
        fprintf(stderr, "bench-plans: not removed\n");
    for (size_t k = 0; k < s.n; k++)
        bragg_frame_free(s.frame[k]);
    remove(cold_poni);
    remove(cold_frame);
    remove(cold_out);
}

/* --------------------------------------------------------------- refine */

typedef struct rietveld {
    const char *path;
    bragg_experiment *x;
    bragg_pattern *p;
    bragg_model *end; /* converged */
} rietveld;

static void converge(void *payload)
{
    rietveld *r = payload;
    bragg_model *m;
    bragg_fit *f;
    if (bragg_experiment_model(r->x, r->p, &m, NULL) < 0 || bragg_refine(m, &r->x->options, &f, NULL) < 0)
        exit(1);
    bragg_fit_free(f);
    if (r->end)
        bragg_model_free(r->end);
    r->end = m;
}

/* One evaluation with all derivatives, the normal equations and their inverse. */
static void cycle(void *payload)
{
    rietveld *r = payload;
    bragg_lsq *l;
    if (bragg_lsq_new(bragg_model_problem(r->end), bragg_model_params(r->end), NULL, &l, NULL) < 0 || bragg_lsq_finish(l, NULL) < 0)
        exit(1);
    bragg_lsq_free(l);
}

/* GSAS-II and BGMN on the same data: reference/gsas2/README.md. */
static void bench_refine(FILE *to)
{
    static const struct { const char *name; double gsas_total, gsas_cycle, bgmn; } cases[] = {
        { "pbso4-xray", 53, 1.12, NAN }, { "nac-11bm", 44, 0.74, NAN }, { "nio-laoh3-zno", 36, 0.53, 2.4 } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char path[1024], name[64];
        bragg_error err = BRAGG_ERROR_INIT;
        rietveld r = { 0 };
        snprintf(path, sizeof path, "%s/tests/validation/%s.yaml", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".", cases[c].name);
        if (bragg_experiment_read(path, &r.x, &err) < 0 || bragg_pattern_read(r.x->pattern->file, 0, &r.p, &err) < 0) {
            printf("skipped: %s\n", err.text);
            continue;
        }
        double t = median(converge, &r);
        snprintf(name, sizeof name, "refine.%s", cases[c].name);
        bench_row(to, name, t, "s", "GSAS-II to convergence", cases[c].gsas_total / t);
        snprintf(name, sizeof name, "refine.%s.cycle", cases[c].name);
        double once = median(cycle, &r);
        bench_row(to, name, once, "s", "GSAS-II a cycle", cases[c].gsas_cycle / once);
        if (!isnan(cases[c].bgmn)) {
            snprintf(name, sizeof name, "refine.%s.bgmn", cases[c].name);
            bench_row(to, name, t, "s", "BGMN to convergence", cases[c].bgmn / t);
        }
        bragg_model_free(r.end);
        bragg_pattern_free(r.p);
        bragg_experiment_free(r.x);
    }
}

enum { SEQUENCE = 1000, SEQUENCE_POINTS = 3000 };

static double deviate(unsigned long long *state)
{
    double u[2];
    for (int k = 0; k < 2; k++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        u[k] = ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
    }
    return sqrt(-2 * log(u[0])) * cos(2 * BRAGG_PI * u[1]);
}

static double *row_of(bragg_model *m, const char *name)
{
    ptrdiff_t i = bragg_params_find(bragg_model_params(m), name);
    if (i < 0)
        exit(1);
    return &bragg_model_params(m)->at[i].value;
}

/* A laboratory mixture whose fractions, cells and sizes drift: frame k of the truth. */
static void drift(bragg_model *m, double k)
{
    *row_of(m, "background.0") = 120;
    *row_of(m, "background.1") = -30;
    *row_of(m, "phase.NiO.scale") = 100 * (1.2 - 0.001 * k);
    *row_of(m, "phase.LaOH3.scale") = 15 * (1 + 0.5 * sin(0.01 * k));
    *row_of(m, "phase.ZnO.scale") = 60 * (0.3 + 0.001 * k);
    *row_of(m, "phase.NiO.cell.a") = 4.1777 + 1.5e-5 * k;
    *row_of(m, "phase.ZnO.cell.c") = 5.2066 + 0.003 * sin(0.006 * k);
    *row_of(m, "phase.NiO.size") = 60 - 0.03 * k;
    *row_of(m, "phase.LaOH3.size") = 25;
    *row_of(m, "phase.ZnO.size") = 80;
}

static bragg_model *sequence_model(const bragg_pattern *p)
{
    static const char *const names[3] = { "NiO", "LaOH3", "ZnO" };
    bragg_histogram_options o = BRAGG_HISTOGRAM_OPTIONS_INIT;
    bragg_model *m = bragg_model_new();
    bragg_arena *arena = bragg_arena_new();
    o.radiation = (bragg_radiation){ .n_lines = 2, .wavelength_ang = { 1.540593, 1.544427 }, .ratio = { 1, 0.5 }, .polarization = 0.5 };
    o.mount = BRAGG_BRAGG_BRENTANO;
    o.radius_m = 0.2;
    if (bragg_model_add_pattern(m, p, &o, NULL) < 0)
        exit(1);
    for (int k = 0; k < 3; k++) {
        char card[64];
        bragg_structure *s;
        snprintf(card, sizeof card, "cif/%s.cif", names[k]);
        if (bragg_structure_read_cif(bragg_data_path(arena, card), NULL, &s, NULL, 0, NULL) < 0 ||
            bragg_model_add_phase(m, names[k], s, NULL, NULL) < 0)
            exit(1);
        bragg_structure_free(s);
    }
    bragg_arena_free(arena);
    if (bragg_model_build(m, NULL) < 0)
        exit(1);
    *row_of(m, "instrument.w") = 0.0044;
    *row_of(m, "instrument.x") = 0.02;
    *row_of(m, "instrument.sl") = *row_of(m, "instrument.hl") = 0.02;
    static const char *const wanted[] = { "background", "phase.*.scale", "phase.*.cell", "phase.*.size", "instrument.displacement" };
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        bragg_model_select(m, wanted[k], true);
    return m;
}

/* Frames after their neighbours: the pattern is swapped, model and values stay. */
static void bench_sequence(FILE *to)
{
    bragg_pattern *p = bragg_pattern_new(SEQUENCE_POINTS, BRAGG_AXIS_TTH);
    double *t = malloc(SEQUENCE * sizeof *t), total = 0, worst = 0;
    unsigned long long state = 88172645463325252ULL;
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (15 + 0.03 * (double)i) * BRAGG_DEG;
        p->y[i] = p->sigma[i] = 1;
    }
    bragg_model *truth = sequence_model(p), *m = sequence_model(p);
    bragg_refine_options o = BRAGG_REFINE_OPTIONS_INIT;
    bragg_error err = BRAGG_ERROR_INIT;
    int cycles = 0;
    drift(m, 0);
    o.stages = false;
    for (int k = 0; k < SEQUENCE; k++) {
        drift(truth, k);
        if (bragg_model_calculate(truth, 0, NULL, NULL, NULL, p->y, NULL, NULL) < 0)
            exit(1);
        for (size_t i = 0; i < p->n; i++) {
            p->sigma[i] = sqrt(p->y[i]);
            p->y[i] += p->sigma[i] * deviate(&state);
        }
        bragg_fit *f;
        double start = now();
        if (bragg_model_replace_pattern(m, 0, p, &err) < 0 || bragg_refine(m, &o, &f, &err) < 0) {
            printf("refine.sequence: pattern %d: %s\n", k, err.text);
            exit(1);
        }
        total += t[k] = now() - start;
        worst = fmax(worst, f->gof);
        cycles += f->cycles;
        bragg_fit_free(f);
    }
    qsort(t, SEQUENCE, sizeof *t, by_value);
    bench_row(to, "refine.sequence", SEQUENCE / total, "patterns/s", "target 50", SEQUENCE / total / 50);
    bench_row(to, "refine.sequence.fit", t[SEQUENCE / 2], "s", "target 20 ms", 0.02 / t[SEQUENCE / 2]);
    printf("%-32s %.2f cycles a pattern, worst goodness of fit %.3f\n", "", (double)cycles / SEQUENCE, worst);
    bragg_model_free(truth);
    bragg_model_free(m);
    bragg_pattern_free(p);
    free(t);
}

/* ------------------------------------------------------------------ pdf */

typedef struct total {
    double q[3000], f[3000], w[3000], v[3000], r[6000], g[6000], e[6000];
} total;

static void transform(void *payload)
{
    total *t = payload;
    bragg_sine_transform(t->q, t->f, t->w, t->v, 3000, t->r, 6000, t->g, t->e, NULL);
}

/* R-3m Bi-Sb, 12 sites, G(r) to 100 angstrom with termination. */
static void model(void *payload)
{
    static double g[10000];
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    shape.n = 10000;
    shape.qmax_invang = 27;
    shape.qdamp_invang = 0.01;
    if (bragg_pdf_model(payload, &shape, g, NULL, NULL) < 0)
        exit(1);
}

static void debye(void *payload)
{
    bragg_debye_options o = BRAGG_DEBYE_OPTIONS_INIT;
    bragg_debye *d;
    if (bragg_debye_sum(payload, &o, &d, NULL) < 0)
        exit(1);
    bragg_debye_free(d);
}

/* A pattern of 1500 points with errors, its background, to 3000 points of G(r). */
static bragg_status reduce_some(void *payload, size_t first, size_t last, bragg_error *err)
{
    bragg_pattern *const *p = payload;
    bragg_composition c;
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    bragg_status st = bragg_composition_parse("BiSnSb", &c, err);
    o.auto_qmax = o.remove_outliers = true;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        bragg_pdf *out = NULL;
        st = bragg_pdf_reduce(p[0], p[1], &c, &o, &out, err);
        bragg_pdf_free(out);
    }
    return st;
}

static void reduce_many(void *payload)
{
    if (bragg_parallel_for(100, 1, reduce_some, payload, NULL) < 0)
        exit(1);
}

static void bench_structures(FILE *to)
{
    char path[1024];
    bragg_structure *s;
    bragg_particle *p;
    bragg_error err = BRAGG_ERROR_INIT;
    const char *folder = getenv("BRAGG_DATADIR") ? getenv("BRAGG_DATADIR") : ".";
    snprintf(path, sizeof path, "%s/cif/BiSb_50_50.cif", folder);
    if (bragg_structure_read_cif(path, NULL, &s, NULL, 0, &err) < 0) {
        printf("skipped: %s\n", err.text);
        return;
    }
    for (size_t a = 0; a < s->n_atoms; a++) {
        s->atom[a].anisotropic = false;
        s->atom[a].uiso_ang2 = 0.0101;
    }
    double t = median(model, s);
    bench_row(to, "pdf.model.bisb.100A", t, "s", "libdiffpy PDFCalculator 4.1 s", 4.1 / t);
    if (bragg_particle_cut(s, BRAGG_CUT_SPHERE, 181, NAN, &p, &err) == BRAGG_OK) {
        char name[64];
        double start = now();
        debye(p);
        t = now() - start;
        snprintf(name, sizeof name, "pdf.debye.%zuk", p->n / 1000);
        bench_row(to, name, t, "s", "pairs/s", (double)p->n * (double)p->n / 2 / t);
        bragg_particle_free(p);
    }
    bragg_structure_free(s);
}

static void bench_batch(FILE *to)
{
    bragg_pattern *p[2] = { bragg_pattern_new(1500, BRAGG_AXIS_Q), bragg_pattern_new(1500, BRAGG_AXIS_Q) };
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 1500; i++) {
            double q = p[k]->x[i] = 0.5 + 0.017 * i;
            p[k]->y[i] = (k ? 20 : 3000 * exp(-q / 7) * (1 + sin(3 * q) / (3 * q)) + 60);
            p[k]->sigma[i] = sqrt(p[k]->y[i]);
        }
    double t = median(reduce_many, p);
    bench_row(to, "pdf.batch", 100 / t, "patterns/s", "target 200", 100 / t / 200);
    bragg_pattern_free(p[0]);
    bragg_pattern_free(p[1]);
}

static void bench_pdf(FILE *to)
{
    total *t = malloc(sizeof *t);
    for (int i = 0; i < 3000; i++) {
        t->q[i] = 0.5 + 0.01 * i;
        t->f[i] = cos(3 * t->q[i]);
        t->v[i] = 0.01;
    }
    for (int j = 0; j < 6000; j++)
        t->r[j] = 0.01 * j;
    bragg_trapezoid_weights(t->q, 3000, t->w);
    double s = median(transform, t);
    bench_row(to, "pdf.transform.3000x6000", s, "s", "target 5 ms", 0.005 / s);
    free(t);
    bench_batch(to);
    bench_structures(to);
}

/* ---------------------------------------------------------------- cards */

typedef struct search {
    const bragg_cards *set;
    const bragg_pattern *pattern;
    bool refine;
} search;

static void find_phases(void *payload)
{
    const search *s = payload;
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_identification *r;
    o.radiation = (bragg_radiation){ .n_lines = 2, .wavelength_ang = { 1.540598, 1.544426 }, .ratio = { 1, 0.5 }, .polarization = 0.5 };
    o.refine = s->refine;
    if (bragg_identify(s->set, s->pattern, &o, &r, NULL) < 0)
        exit(1);
    bragg_identification_free(r);
}

/* Seconds of processors, of all threads: what a busy machine does not change. */
static double worked(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_utime.tv_sec + 1e-6 * (double)r.ru_utime.tv_usec + (double)r.ru_stime.tv_sec + 1e-6 * (double)r.ru_stime.tv_usec;
}

/* A mixture of four bundled phases against 45,000 cards derived from all of them. */
static void bench_cards(FILE *to)
{
    static const char *const phases[] = { "NiO", "LaOH3", "ZnO", "CaF2" };
    char folder[1024], path[1200];
    const char *csv = "bench-cards.csv", *db = "bench-cards.db", *sources[] = { csv, folder };
    bragg_cards *set;
    bragg_cards_report report;
    bragg_pattern *p = NULL;
    made_seed seed = 3;
    snprintf(folder, sizeof folder, "%s/cif", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".");
    made_write_set(folder, 45000, csv);
    remove(db);
    double start = now(), busy = worked();
    if (bragg_cards_create(db, &set, NULL) < 0 || bragg_cards_build(set, sources, 2, NULL, &report, NULL) < 0)
        exit(1);
    double rate = (double)report.added / (now() - start), alone = (double)report.added / (worked() - busy);
    bench_row(to, "cards.build.45k", rate, "cards/s", "target 1000 cards/s", rate / 1000);
    bench_row(to, "cards.build.45k.cpu", alone, "cards/CPU s", "target 500 on each of two cores", alone / 500);
    for (int k = 0; k < 4; k++) {
        bragg_structure *s;
        snprintf(path, sizeof path, "%s/%s.cif", folder, phases[k]);
        if (bragg_structure_read_cif(path, NULL, &s, NULL, 0, NULL) < 0)
            exit(1);
        bragg_pattern *one = made_pattern(s, 0.0005, 1, &seed);
        for (size_t i = 0; p && i < p->n; i++)
            p->y[i] += one->y[i];
        if (p)
            bragg_pattern_free(one);
        else
            p = one;
        bragg_structure_free(s);
    }
    for (size_t i = 0; i < p->n; i++)
        p->sigma[i] = sqrt(fmax(p->y[i], 1));
    search s = { set, p, false };
    double t = median(find_phases, &s);
    bench_row(to, "cards.search.45k", t, "s", "target 1 s", 1 / t);
    busy = worked();
    find_phases(&s);
    t = worked() - busy;
    bench_row(to, "cards.search.45k.cpu", t, "CPU s", "target 2 CPU s", 2 / t);
    s.refine = true;
    t = median(find_phases, &s);
    bench_row(to, "cards.search.45k.refined", t, "s", "target 1 s", 1 / t);
    bragg_pattern_free(p);
    bragg_cards_free(set);
    remove(csv);
    remove(db);
}

static void bench_fits(FILE *to)
{
    bench_refine(to);
    bench_sequence(to);
}

static void bench_frames(FILE *to)
{
    bench_cold(to);
    bench_integrate(to);
}

typedef struct part {
    const char *name;
    void (*run)(FILE *to);
} part;

/* In a process of its own: the largest memory of a command is told together with
 * that of the process it was started from. */
static bool run_part(const part *p, FILE *to)
{
    int status;
    fflush(to);
    pid_t child = fork();
    if (child == 0) {
        bench_machine(p->name, to);
        p->run(to);
        exit(fflush(to) != 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && !status;
}

int main(void)
{
    static const part parts[] = {
        { "integrate", bench_frames }, { "refine", bench_fits }, { "pdf", bench_pdf }, { "cards", bench_cards }, { "operando", bench_operando } };
    const char *which = getenv("BENCH");
    FILE *to = fopen("bench.tsv", "w");
    bool good = to, any = false;
    if (!to)
        return 1;
    fprintf(to, "name\tmedian\tunit\tpeer\tratio\n");
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        if (!which || !*which || !strcmp(which, parts[k].name)) {
            any = true;
            good &= run_part(&parts[k], to);
        }
    if (!any)
        fprintf(stderr, "BENCH: expected integrate, refine, pdf, cards or operando, found '%s'\n", which);
    return fclose(to) || !good || !any;
}
