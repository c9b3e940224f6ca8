/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames through a plan in rounds: batches read and summed side by side, results
 * written in order.  A frame that cannot be read is told, counted and passed over. */
#include "config.h"
#include "integrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, BATCH_OF_LARGE = 8, FRAMES_A_THREAD = 64, MOST_TOLD = 10 };
static const size_t round_bytes = (size_t)256 << 20, batch_bytes = (size_t)128 << 20;

/* One frame of one file, and where its pattern goes. */
typedef struct job {
    const char *path;
    size_t index;
    char *out;           /* NULL: into the store */
} job;

typedef struct run {
    const integrate_wish *w;
    bragg_arena *arena;
    bragg_geometry g;
    bragg_plan_options plan_options;
    bragg_integrate_options options;
    bragg_frame *dark, *flat, *variance;
    bragg_plan *plan;
    bool store;
    bragg_nxazint_header header;
    double *x, *chi, *norm, correlation[BRAGG_PATTERN_LAGS];
    char *settings;
    job *job;
    size_t n, room, done, bad;
    double started;
    /* of a round: frames first … first + n_round - 1 */
    size_t first, n_round, bins, batch; /* batch: frames a thread reads and sums at a time */
    double *intensity, *sem, *std;   /* std: NULL when not asked for */
    bragg_nxazint_row *row;
    bragg_error *problem;
} run;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --------------------------------------------------------------- what to do */

/* The one -o names, or NAME.xye in its folder, with the frame's number when the
 * file holds several. */
static char *output_name(const run *r, const job *j, size_t n_files, size_t n_frames)
{
    const char *extension = r->w->out ? bragg_path_extension(r->w->out) : "";
    if (r->w->out && n_files == 1 && n_frames == 1 && *extension)
        return bragg_arena_strdup(r->arena, r->w->out);
    char *stem = bragg_path_stem(r->arena, j->path), name[600];
    if (!stem)
        return NULL;
    if (n_frames > 1)
        snprintf(name, sizeof name, "%.500s_%05zu.xye", stem, j->index);
    else
        snprintf(name, sizeof name, "%.500s.xye", stem);
    for (char *c = name; *c; c++) /* FILE:/path/in/hdf5 */
        if (*c == ':')
            *c = '_';
    return bragg_path_join(r->arena, r->w->out ? r->w->out : "", name);
}

/* A file whose frames cannot be counted is one bad frame among others. */
static bragg_status add_file(run *r, const char *path, size_t n_files, bragg_error *err)
{
    size_t n = 0;
    bragg_error problem = BRAGG_ERROR_INIT;
    bragg_status st = cli_frame_count(path, r->w->raw, &n, n_files > 1 ? &problem : err);
    if (st < 0 && n_files == 1)
        return st;
    if (st < 0)
        n = 1;
    size_t first = r->w->frame >= 0 ? (size_t)r->w->frame : 0, last = r->w->frame >= 0 ? first + 1 : n;
    st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        job j = { path, k, NULL };
        if (!r->store && !(j.out = output_name(r, &j, n_files, last - first)))
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        st = bragg_array_grow(&r->job, &r->room, r->n + 1, sizeof j, err);
        if (st == BRAGG_OK)
            r->job[r->n++] = j;
    }
    return st;
}

static int by_output(const void *a, const void *b) { return strcmp(((const job *)a)->out, ((const job *)b)->out); }

/* Before hours of work: no two frames to one file, nothing there that may not be
 * overwritten. */
static bragg_status check_outputs(const run *r, bragg_error *err)
{
    if (r->store)
        return !r->w->force && !r->w->resume && bragg_path_exists(r->w->out)
            ? bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it, --resume goes on with it", r->w->out) : BRAGG_OK;
    job *sorted = malloc((r->n + 1) * sizeof *sorted);
    bragg_status st = sorted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", r->n);
    if (sorted && r->n) {
        memcpy(sorted, r->job, r->n * sizeof *sorted);
        qsort(sorted, r->n, sizeof *sorted, by_output);
    }
    for (size_t k = 0; st == BRAGG_OK && k < r->n; k++) {
        if (k && !strcmp(sorted[k].out, sorted[k - 1].out))
            st = bragg_fail(err, BRAGG_EINVAL, "'%s' and '%s' would both be written to '%s'", sorted[k - 1].path, sorted[k].path, sorted[k].out);
        else if (!r->w->force && !r->w->resume && bragg_path_exists(sorted[k].out))
            st = bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", sorted[k].out);
    }
    free(sorted);
    return st;
}

/* Files that are there already are done. */
static void skip_done(run *r)
{
    size_t n = 0;
    for (size_t k = 0; k < r->n; k++)
        if (!bragg_path_exists(r->job[k].out))
            r->job[n++] = r->job[k];
    if (n < r->n)
        fprintf(stderr, "%zu frames are done already\n", r->n - n);
    r->n = n;
}

/* ------------------------------------------------------------------ the plan */

enum { MOST_LESSONS = 16 };

/* Hot and dead pixels of up to 16 frames of a file.  Not of the frames themselves: on
 * spotty rings a grain looks like a hot pixel. */
static bragg_status learn_mask(const run *r, const bragg_frame *like, uint8_t *mask, bragg_error *err)
{
    bragg_frame *f[MOST_LESSONS];
    size_t n = 0, all = 0, before = 0, after = 0, pixels = like->width * like->height;
    bragg_status st = cli_frame_count(r->w->learn, r->w->raw, &all, err);
    size_t most = all < MOST_LESSONS ? all : MOST_LESSONS;
    for (size_t k = 0; k < most && st == BRAGG_OK; k++)
        if ((st = cli_frame_read_raw(r->w->learn, k * all / most, r->w->flip, r->w->raw, &f[n], err)) == BRAGG_OK)
            n++;
    if (st == BRAGG_OK && n && (f[0]->width != like->width || f[0]->height != like->height))
        st = bragg_fail(err, BRAGG_EDATA, "--learn-mask '%s': expected %zu x %zu pixels, found %zu x %zu", r->w->learn, like->width, like->height, f[0]->width, f[0]->height);
    for (size_t i = 0; i < pixels; i++)
        before += mask[i] != 0;
    if (st == BRAGG_OK)
        st = bragg_mask_learn((const bragg_frame *const *)f, n, r->w->hot, mask, err);
    for (size_t i = 0; i < pixels; i++)
        after += mask[i] != 0;
    if (st == BRAGG_OK)
        fprintf(stderr, "%zu hot or dead pixels learnt from %zu frame%s\n", after - before, n, n == 1 ? "" : "s");
    for (size_t k = 0; k < n; k++)
        bragg_frame_free(f[k]);
    return st;
}

static bragg_status hide_beam_stop(const run *r, const bragg_frame *f, uint8_t *mask, bragg_error *err)
{
    size_t found;
    bragg_status st = bragg_mask_beam_stop(f, &r->g, r->w->polarization, mask, &found, err);
    if (st == BRAGG_OK && found)
        fprintf(stderr, "beam stop: %zu pixels\n", found);
    else if (st == BRAGG_OK)
        fprintf(stderr, "beam stop: none found on the first frame\n");
    return st;
}

static bragg_status get_plan(run *r, const bragg_frame *f, const uint8_t *mask, bragg_error *err)
{
    return r->w->plans ? bragg_plan_get(r->w->plans, &r->g, f->height, f->width, mask, &r->plan_options, NULL, &r->plan, err)
                       : bragg_plan_new(&r->g, f->height, f->width, mask, &r->plan_options, &r->plan, err);
}

/* The plan is made for the first frame that can be read; one of another shape is a
 * bad one.  What that frame marks as invalid is masked in all. */
static bragg_status make_plan(run *r, bragg_error *err)
{
    bragg_frame *f = NULL;
    uint8_t *mask = NULL;
    bragg_error problem = BRAGG_ERROR_INIT;
    bragg_status st = BRAGG_EDATA;
    size_t first = 0;
    for (size_t k = 0; k < r->n && st < 0; k++)
        st = cli_frame_read_raw(r->job[first = k].path, r->job[k].index, r->w->flip, r->w->raw, &f, &problem);
    if (st < 0)
        return r->n ? bragg_fail(err, problem.status, "%s", problem.text) : bragg_fail(err, BRAGG_EDATA, "expected frames, found none in the files");
    if (!(r->g.pixel_slow_m > 0)) { /* not in GSAS-II's image controls */
        r->g.pixel_slow_m = r->w->pixel_um > 0 ? r->w->pixel_um * 1e-6 : f->pixel_slow_m;
        r->g.pixel_fast_m = r->w->pixel_um > 0 ? r->w->pixel_um * 1e-6 : f->pixel_fast_m;
    }
    if (!(r->g.pixel_slow_m > 0) || !(r->g.pixel_fast_m > 0)) {
        bragg_frame_free(f);
        return bragg_fail(err, BRAGG_EINVAL, "expected --pixel-um SIZE, found no pixel size in '%s' nor in the frame's header", r->w->poni);
    }
    st = bragg_mask_read(&r->w->mask, 1, r->w->flip, &r->g, r->job[first].path, f, &mask, err);
    if (st == BRAGG_OK && !(isnan(r->w->below) && isnan(r->w->above)))
        bragg_frame_mark_outside(f, r->w->below, r->w->above, mask);
    if (st == BRAGG_OK && r->w->learn)
        st = learn_mask(r, f, mask, err);
    if (st == BRAGG_OK && r->w->beam_stop)
        st = hide_beam_stop(r, f, mask, err);
    r->plan_options.flat = r->flat;
    r->batch = f->width * f->height * bragg_pixel_size(f->type) <= batch_bytes / BATCH ? BATCH : BATCH_OF_LARGE;
    if (st == BRAGG_OK)
        st = get_plan(r, f, mask, err);
    free(mask);
    bragg_frame_free(f);
    return st;
}

static bragg_status read_geometry(run *r, bragg_error *err)
{
    bragg_status st = bragg_geometry_read(r->w->poni, &r->g, err);
    if (st == BRAGG_OK && r->w->wavelength_ang > 0)
        r->g.wavelength_ang = r->w->wavelength_ang;
    if (st == BRAGG_OK && r->w->dark)
        st = cli_frame_read_raw(r->w->dark, 0, r->w->flip, r->w->raw, &r->dark, err);
    if (st == BRAGG_OK && r->w->flat)
        st = cli_frame_read_raw(r->w->flat, 0, r->w->flip, r->w->raw, &r->flat, err);
    if (st == BRAGG_OK && r->w->variance)
        st = cli_frame_read_raw(r->w->variance, 0, r->w->flip, r->w->raw, &r->variance, err);
    r->options.dark = r->dark;
    return st;
}

/* ----------------------------------------------------------------- the store */

static const char *text_or(const char *text, const char *other) { return text ? text : other; }

/* A file as name and contents, for what a result depends on. */
static void add_hash(char *text, size_t size, const char *key, const char *path)
{
    char hash[BRAGG_HASH_TEXT] = "";
    size_t n = strlen(text);
    if (!path)
        return;
    if (bragg_hash_file(path, hash, NULL) < 0)
        hash[0] = '\0';
    snprintf(text + n, size - n, " %s=%.200s#%s", key, path, hash);
}

static bool describe(run *r)
{
    enum { SIZE = 4000, MOST_PONI = 8000 };
    const integrate_wish *w = r->w;
    char *text = bragg_arena_alloc(r->arena, SIZE, 1), *poni = bragg_arena_alloc(r->arena, MOST_PONI, 1);
    FILE *in = poni ? fopen(w->poni, "r") : NULL;
    if (!text || !poni)
        return false;
    poni[in ? fread(poni, 1, MOST_PONI - 1, in) : 0] = '\0';
    if (in)
        fclose(in);
    snprintf(text, SIZE, "split=%s range=%s sector=%s errors=%s clip=%g quantiles=%s normalize=%s flip=%s polarization=%g solid_angle=%d sensor_mu_t=%g wavelength=%g",
             text_or(w->split, "full"), text_or(w->range, "all"), text_or(w->sector, "all"), w->variance ? "variance" : text_or(w->errors, "poisson"), w->clip,
             w->median ? "0.5,0.5" : text_or(w->quantiles, "none"), text_or(w->monitor, "none"), text_or(w->flip, "none"), w->polarization, !w->no_solid_angle, w->sensor_mu_t, r->g.wavelength_ang);
    if (w->sample_mu_t > 0)
        snprintf(text + strlen(text), SIZE - strlen(text), " sample_mu_t=%g", w->sample_mu_t);
    snprintf(text + strlen(text), SIZE - strlen(text), "%s%s%s bin=%s", w->logarithmic ? " log=1" : "", w->beam_stop ? " beam_stop=1" : "", w->deviations ? " deviations=1" : "",
             w->mean ? "mean" : w->median || w->quantiles ? "quantiles" : "ratio");
    if (w->pixel_um > 0)
        snprintf(text + strlen(text), SIZE - strlen(text), " pixel_um=%g", w->pixel_um);
    if (!isnan(w->below) || !isnan(w->above))
        snprintf(text + strlen(text), SIZE - strlen(text), " below=%g above=%g", w->below, w->above);
    if (w->learn)
        snprintf(text + strlen(text), SIZE - strlen(text), " hot=%g", w->hot);
    add_hash(text, SIZE, "learn", w->learn);
    add_hash(text, SIZE, "mask", w->mask);
    add_hash(text, SIZE, "dark", w->dark);
    add_hash(text, SIZE, "flat", w->flat);
    add_hash(text, SIZE, "variance", w->variance);
    r->header.settings = text;
    r->header.poni = poni;
    r->header.poni_name = w->poni;
    return true;
}

static bragg_status make_header(run *r, bragg_error *err)
{
    bragg_nxazint_header *h = &r->header;
    size_t rings = bragg_plan_rings(r->plan), azimuths = bragg_plan_azimuths(r->plan);
    r->x = bragg_arena_alloc(r->arena, rings, sizeof *r->x);
    r->chi = bragg_arena_alloc(r->arena, azimuths, sizeof *r->chi);
    r->norm = bragg_arena_alloc(r->arena, r->bins, sizeof *r->norm);
    if (!r->x || !r->chi || !r->norm || !describe(r))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bins", r->bins);
    for (size_t k = 0; k < rings; k++)
        r->x[k] = bragg_plan_ring_centre(r->plan, k);
    for (size_t k = 0; k < azimuths; k++)
        r->chi[k] = bragg_plan_azimuth_centre_rad(r->plan, k);
    for (size_t k = 0; k < r->bins; k++)
        r->norm[k] = bragg_plan_norm(r->plan, k);
    h->n_rings = rings;
    h->n_azimuth = azimuths > 1 ? azimuths : 0;
    h->x = r->x;
    h->chi_rad = r->chi;
    h->norm = r->norm;
    h->axis = r->plan_options.axis;
    h->wavelength_ang = r->g.wavelength_ang;
    h->bin_rad = bragg_plan_bin_rad(r->plan);
    h->pixel_rad = bragg_plan_pixel_rad(r->plan);
    h->split = r->plan_options.split == BRAGG_SPLIT_NONE ? "none" : r->plan_options.split == BRAGG_SPLIT_BBOX ? "bbox" : "full";
    h->polarization = r->w->polarization;
    h->solid_angle = !r->w->no_solid_angle;
    h->logarithmic = r->w->logarithmic;
    h->correlation = r->correlation;
    h->deviations = r->w->deviations;
    h->bins = r->w->median || r->w->quantiles ? "Bins are means of corrected pixels between two quantiles (settings)."
            : r->w->mean ? "Bins are means of corrected pixels, weighted by their parts." : NULL;
    return BRAGG_OK;
}

static void job_name(const job *j, char *name, size_t size)
{
    snprintf(name, size, "%.230s %zu", j->path, j->index);
}

static bragg_status open_store(run *r, bragg_error *err)
{
    bragg_status st = make_header(r, err);
    if (st < 0 || !r->w->resume || !bragg_path_exists(r->w->out))
        return st < 0 ? st : bragg_nxazint_create(r->w->out, r->w->force, &r->header, err);
    char last[256], name[256];
    size_t n;
    st = bragg_nxazint_resume(r->w->out, &r->header, &n, last, err);
    if (st < 0 || !n)
        return st;
    if (n <= r->n)
        job_name(&r->job[n - 1], name, sizeof name);
    if (n > r->n || strcmp(name, last))
        return bragg_fail(err, BRAGG_EDATA, "'%s': has %zu frames up to '%s', which is not frame %zu of those named now; --force begins anew", r->w->out, n, last, n);
    memmove(r->job, r->job + n, (r->n - n) * sizeof *r->job);
    r->n -= n;
    fprintf(stderr, "%zu frames are done already\n", n);
    return BRAGG_OK;
}

/* ----------------------------------------------------------------- a round */

static double divisor(const run *r, const bragg_frame *f)
{
    return !r->w->monitor ? 1 : !strcmp(r->w->monitor, "monitor") ? f->monitor : f->exposure_s;
}

/* Read a frame; what is wrong with it is kept for telling it in order. */
static bragg_frame *read_frame(run *r, size_t k, double *by)
{
    bragg_frame *f = NULL;
    const job *j = &r->job[r->first + k];
    bragg_error *problem = &r->problem[k];
    *problem = (bragg_error)BRAGG_ERROR_INIT;
    bragg_status st = cli_frame_read_raw(j->path, j->index, r->w->flip, r->w->raw, &f, problem);
    if (st >= 0) {
        r->row[k].time_s = f->time_s;
        r->row[k].exposure_s = f->exposure_s;
        r->row[k].monitor = f->monitor;
        r->row[k].temperature_k = f->temperature_k;
        *by = divisor(r, f);
        if (!(*by > 0))
            st = bragg_fail(problem, BRAGG_EDATA, "%s: --normalize %s: expected it in the frame's file, found none", j->path, r->w->monitor);
    }
    if (st >= 0)
        return f;
    bragg_frame_free(f);
    return NULL;
}

static void fill_nan(run *r, size_t k)
{
    for (size_t b = 0; b < r->bins; b++)
        r->intensity[k * r->bins + b] = r->sem[k * r->bins + b] = NAN;
    for (size_t b = 0; r->std && b < r->bins; b++)
        r->std[k * r->bins + b] = NAN;
    r->row[k].valid = false;
}

/* n frames as one, alone when they cannot go together (one of another shape). */
static void sum(run *r, const bragg_frame **frame, const size_t *at, const double *by, size_t n)
{
    const bragg_frame *variance[BATCH];
    bragg_integrate_options o = r->options;
    double *room = n ? malloc((r->std ? 3 : 2) * n * r->bins * sizeof *room) : NULL;
    bragg_error problem = BRAGG_ERROR_INIT;
    for (size_t k = 0; k < n; k++)
        variance[k] = r->variance;
    o.variance = r->variance ? variance : NULL;
    o.monitor = by;
    bragg_status st = room || !n ? BRAGG_OK : bragg_fail(&problem, BRAGG_ENOMEM, "no room for %zu bins", r->bins);
    if (st == BRAGG_OK && n)
        st = bragg_plan_integrate_frames(r->plan, frame, n, &o, room, room + n * r->bins, r->std ? room + 2 * n * r->bins : NULL, &problem);
    for (size_t k = 0; k < n; k++) {
        r->row[at[k]].valid = st == BRAGG_OK;
        if (st == BRAGG_OK) {
            memcpy(r->intensity + at[k] * r->bins, room + k * r->bins, r->bins * sizeof *room);
            memcpy(r->sem + at[k] * r->bins, room + (n + k) * r->bins, r->bins * sizeof *room);
            if (r->std)
                memcpy(r->std + at[k] * r->bins, room + (2 * n + k) * r->bins, r->bins * sizeof *room);
        } else if (n == 1) {
            bragg_fail(&r->problem[at[0]], problem.status, "%s: %s", r->job[r->first + at[0]].path, problem.text);
            fill_nan(r, at[0]);
        }
    }
    free(room);
    for (size_t k = 0; st < 0 && n > 1 && k < n; k++)
        sum(r, frame + k, at + k, by + k, 1);
}

static bragg_status work(void *payload, size_t first, size_t last, bragg_error *err)
{
    run *r = payload;
    for (size_t from = first; from < last; from += r->batch) {
        const bragg_frame *frame[BATCH];
        size_t at[BATCH], n = 0;
        double by[BATCH];
        for (size_t k = from; k < last && k < from + r->batch; k++) {
            if (!(frame[n] = read_frame(r, k, &by[n]))) {
                fill_nan(r, k);
                continue;
            }
            at[n++] = k;
        }
        sum(r, frame, at, by, n);
        for (size_t k = 0; k < n; k++)
            bragg_frame_free((bragg_frame *)frame[k]);
    }
    return BRAGG_OK;
    (void)err;
}

static void tell_bad(run *r)
{
    for (size_t k = 0; k < r->n_round; k++)
        if (r->problem[k].status < 0) {
            if (r->bad++ < MOST_TOLD)
                fprintf(stderr, "%sframe %zu: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", r->job[r->first + k].index, r->problem[k].text);
            else if (r->bad == MOST_TOLD + 1)
                fprintf(stderr, "(more bad frames are only counted)\n");
        }
}

static bragg_status write_texts(run *r, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < r->n_round && st == BRAGG_OK; k++) {
        const job *j = &r->job[r->first + k];
        if (!r->row[k].valid)
            continue;
        bragg_pattern *p = bragg_pattern_new(r->bins, r->plan_options.axis);
        if (!p)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", r->bins);
        p->wavelength_ang = r->g.wavelength_ang;
        p->bin_rad = bragg_plan_bin_rad(r->plan);
        p->pixel_rad = bragg_plan_pixel_rad(r->plan);
        memcpy(p->correlation, r->correlation, sizeof p->correlation);
        p->time_s = r->row[k].time_s;
        p->temperature_k = r->row[k].temperature_k;
        p->counting_s = r->row[k].exposure_s;
        p->monitor = r->row[k].monitor;
        for (size_t b = 0; b < r->bins; b++)
            p->x[b] = bragg_plan_ring_centre(r->plan, b);
        memcpy(p->y, r->intensity + k * r->bins, r->bins * sizeof *p->y);
        memcpy(p->sigma, r->sem + k * r->bins, r->bins * sizeof *p->sigma);
        st = bragg_pattern_write_text(p, j->out, r->w->force, err);
        bragg_pattern_free(p);
        if (st == BRAGG_OK && r->n <= MOST_TOLD)
            fprintf(stderr, "%s -> %s\n", j->path, j->out);
    }
    return st;
}

static void show_progress(const run *r)
{
    double seconds = now() - r->started, rate = (double)r->done / fmax(seconds, 1e-3), left = (double)(r->n - r->done) / rate;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu of %zu frames, %.3g frames/s, %.0f:%02d left\033[K", r->done, r->n, rate, floor(left / 60), (int)fmod(left, 60));
}

static bragg_status one_round(run *r, bragg_error *err)
{
    char(*name)[256] = calloc(r->n_round, sizeof *name);
    if (!name)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", r->n_round);
    for (size_t k = 0; k < r->n_round; k++) {
        job_name(&r->job[r->first + k], name[k], sizeof *name);
        r->row[k] = (bragg_nxazint_row){ name[k], NAN, NAN, NAN, NAN, false };
    }
    while (r->batch > BATCH_OF_LARGE && r->batch * (size_t)bragg_thread_count() > r->n_round) /* some for each thread */
        r->batch /= 2;
    bragg_status st = bragg_parallel_for(r->n_round, r->batch, work, r, err);
    tell_bad(r);
    if (st == BRAGG_OK)
        st = r->store ? bragg_nxazint_append(r->w->out, &r->header, r->n_round, r->row, r->intensity, r->sem, r->std, err) : write_texts(r, err);
    free(name);
    r->done += r->n_round;
    show_progress(r);
    return st;
}

static bragg_status all_rounds(run *r, bragg_error *err)
{
    size_t most = FRAMES_A_THREAD * (size_t)bragg_thread_count(), fits = round_bytes / ((r->w->deviations ? 3 : 2) * r->bins * sizeof(double));
    most = fits < most ? fits : most;
    most = most < BATCH ? BATCH : most;
    r->intensity = malloc(most * r->bins * sizeof *r->intensity);
    r->sem = malloc(most * r->bins * sizeof *r->sem);
    r->std = r->w->deviations ? malloc(most * r->bins * sizeof *r->std) : NULL;
    r->row = calloc(most, sizeof *r->row);
    r->problem = calloc(most, sizeof *r->problem);
    bragg_status st = r->intensity && r->sem && (r->std || !r->w->deviations) && r->row && r->problem ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", most);
    r->started = now();
    for (r->first = 0; r->first < r->n && st == BRAGG_OK; r->first += r->n_round) {
        r->n_round = r->n - r->first < most ? r->n - r->first : most;
        st = one_round(r, err);
        if (r->n == 1 && r->bad)
            st = bragg_fail(err, r->problem[0].status, "%s", r->problem[0].text);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    double seconds = now() - r->started;
    if (st == BRAGG_OK && (r->store || r->n > MOST_TOLD || r->bad))
        fprintf(stderr, "%zu frame%s -> %s in %.1f s (%.3g frames/s)%s", r->n - r->bad, r->n - r->bad == 1 ? "" : "s", r->w->out ? r->w->out : ".", seconds, (double)r->n / fmax(seconds, 1e-3), r->bad ? "" : "\n");
    if (st == BRAGG_OK && r->bad)
        fprintf(stderr, "; %zu could not be integrated%s\n", r->bad, r->store ? ", their rows are empty" : "");
    return st == BRAGG_OK && r->bad && r->bad == r->n ? bragg_fail(err, BRAGG_EDATA, "no frame could be integrated") : st;
}

/* A pattern's name cannot take several: rather asked than a folder of that name made. */
static bragg_status check_one(const run *r, bragg_error *err)
{
    static const char *const patterns[] = { ".xye", ".xy", ".chi", ".fxye", ".dat", ".txt", ".csv" };
    struct stat info;
    if (r->store || r->n < 2 || !r->w->out || (stat(r->w->out, &info) == 0 && S_ISDIR(info.st_mode)))
        return BRAGG_OK;
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++)
        if (!strcmp(bragg_path_extension(r->w->out), patterns[k]))
            return bragg_fail(err, BRAGG_EINVAL, "-o %s: expected OUT.h5 or a folder for %zu frames, found the name of one pattern", r->w->out, r->n);
    return BRAGG_OK;
}

bragg_status cli_integrate_all(const integrate_wish *w, const bragg_plan_options *plan, const bragg_integrate_options *frames, char **paths, size_t n, bragg_error *err)
{
    run r = { .w = w, .plan_options = *plan, .options = *frames, .store = w->out && bragg_path_is_hdf5(w->out), .arena = bragg_arena_new() };
    bragg_status st = r.arena ? read_geometry(&r, err) : bragg_fail(err, BRAGG_ENOMEM, "no room to integrate");
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = add_file(&r, paths[k], n, err);
    if (st == BRAGG_OK)
        st = check_one(&r, err);
    if (st == BRAGG_OK)
        st = check_outputs(&r, err);
    if (st == BRAGG_OK)
        st = make_plan(&r, err);
    if (st == BRAGG_OK)
        r.bins = bragg_plan_rings(r.plan) * bragg_plan_azimuths(r.plan);
    if (st == BRAGG_OK)
        st = bragg_plan_correlation(r.plan, r.correlation, err);
    if (st == BRAGG_OK && r.store)
        st = open_store(&r, err);
    if (st == BRAGG_OK && !r.store && w->out && (r.n > 1 || !*bragg_path_extension(w->out)))
        st = bragg_path_make_folder(w->out, err);
    if (st == BRAGG_OK && !r.store && w->resume)
        skip_done(&r);
    if (st == BRAGG_OK)
        st = all_rounds(&r, err);
    free(r.intensity);
    free(r.sem);
    free(r.std);
    free(r.row);
    free(r.problem);
    bragg_frame_free(r.dark);
    bragg_frame_free(r.flat);
    bragg_frame_free(r.variance);
    bragg_plan_free(r.plan);
    free(r.job);
    bragg_arena_free(r.arena);
    return st;
}
