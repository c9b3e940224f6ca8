/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rounds of frames: batches read and summed side by side, results written in order.  A
 * frame that cannot be read is told, counted and passed over. */
#include "config.h"
#include "files.h"

#include <bragg/thread.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_A_THREAD = 64 };

static double divisor(const files_run *r, const bragg_frame *f)
{
    bragg_normalize by = r->o->normalize;
    return by == BRAGG_NORMALIZE_MONITOR ? f->monitor : by == BRAGG_NORMALIZE_EXPOSURE ? f->exposure_s : 1;
}

/* Read a frame; what is wrong with it is kept for telling it in order. */
static bragg_frame *read_frame(files_run *r, size_t k, double *by)
{
    bragg_frame *f = NULL;
    const files_job *j = &r->job[r->first + k];
    bragg_error *problem = &r->problem[k];
    *problem = (bragg_error)BRAGG_ERROR_INIT;
    bragg_status st = bragg_frame_read_as(j->path, j->index, r->o->flip, r->o->raw, &f, problem);
    if (st >= 0) {
        r->row[k].time_s = f->time_s;
        r->row[k].exposure_s = f->exposure_s;
        r->row[k].monitor = f->monitor;
        r->row[k].temperature_k = f->temperature_k;
        *by = divisor(r, f);
        if (!(*by > 0))
            st = bragg_fail(problem, BRAGG_EDATA, "%s: --normalize %s: expected it in the frame's file, found none", j->path, bragg_normalize_name(r->o->normalize));
    }
    if (st >= 0)
        return f;
    bragg_frame_free(f);
    return NULL;
}

static void fill_nan(files_run *r, size_t k)
{
    for (size_t b = 0; b < r->bins; b++)
        r->intensity[k * r->bins + b] = r->sem[k * r->bins + b] = NAN;
    for (size_t b = 0; r->std && b < r->bins; b++)
        r->std[k * r->bins + b] = NAN;
    r->row[k].valid = false;
}

/* n frames as one, alone when they cannot go together (one of another shape). */
static void sum(files_run *r, const bragg_frame **frame, const size_t *at, const double *by, size_t n)
{
    const bragg_frame *variance[BATCH];
    bragg_integrate_options o = r->o->frame;
    o.dark = r->dark;
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
    files_run *r = payload;
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

static void tell_bad(files_run *r)
{
    for (size_t k = 0; k < r->n_round; k++)
        if (r->problem[k].status < 0) {
            if (r->bad++ < BRAGG_FRAMES_TOLD)
                bragg_log(r->o->observer, BRAGG_LOG_WARNING, "frame %zu: %s", r->job[r->first + k].index, r->problem[k].text);
            else if (r->bad == BRAGG_FRAMES_TOLD + 1)
                bragg_log(r->o->observer, BRAGG_LOG_WARNING, "(more bad frames are only counted)");
        }
}

/* Which says nothing of the frame: the run ends, and can go on. */
static bragg_status want_of_memory(const files_run *r, bragg_error *err)
{
    for (size_t k = 0; k < r->n_round; k++)
        if (r->problem[k].status == BRAGG_ENOMEM)
            return bragg_fail(err, BRAGG_ENOMEM, "%s", r->problem[k].text);
    return BRAGG_OK;
}

static bragg_status write_texts(files_run *r, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < r->n_round && st == BRAGG_OK; k++) {
        const files_job *j = &r->job[r->first + k];
        if (!r->row[k].valid)
            continue;
        bragg_pattern *p = bragg_pattern_new(r->bins, r->o->plan.axis);
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
        st = bragg_pattern_write_text(p, j->out, r->o->force, err);
        bragg_pattern_free(p);
        if (st == BRAGG_OK && r->n <= BRAGG_FRAMES_TOLD)
            bragg_log(r->o->observer, BRAGG_LOG_INFO, "%s -> %s", j->path, j->out);
    }
    return st;
}

static bragg_status one_round(files_run *r, bragg_error *err)
{
    char(*name)[256] = calloc(r->n_round, sizeof *name);
    if (!name)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", r->n_round);
    for (size_t k = 0; k < r->n_round; k++) {
        bragg_files_name(&r->job[r->first + k], name[k], sizeof *name);
        r->row[k] = (bragg_nxazint_row){ name[k], NAN, NAN, NAN, NAN, false };
    }
    while (r->batch > BATCH_OF_LARGE && r->batch * (size_t)bragg_thread_count() > r->n_round) /* some for each thread */
        r->batch /= 2;
    bragg_status st = bragg_parallel_for(r->n_round, r->batch, work, r, err);
    if (st == BRAGG_OK)
        st = want_of_memory(r, err);
    tell_bad(r);
    if (st == BRAGG_OK)
        st = r->store ? bragg_nxazint_append(r->o->out, &r->header, r->n_round, r->row, r->intensity, r->sem, r->std, err) : write_texts(r, err);
    free(name);
    r->done += r->n_round;
    return st == BRAGG_OK && !bragg_progress(r->o->observer, r->done, r->n) && r->done < r->n ? BRAGG_STOPPED : st;
}

/* Rooms of a round, of so many frames. */
static bragg_status make_room(files_run *r, size_t most, bragg_error *err)
{
    r->intensity = malloc(most * r->bins * sizeof *r->intensity);
    r->sem = malloc(most * r->bins * sizeof *r->sem);
    r->std = r->o->deviations ? malloc(most * r->bins * sizeof *r->std) : NULL;
    r->row = calloc(most, sizeof *r->row);
    r->problem = calloc(most, sizeof *r->problem);
    return r->intensity && r->sem && (r->std || !r->o->deviations) && r->row && r->problem ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", most);
}

bragg_status bragg_files_all_rounds(files_run *r, bragg_error *err)
{
    static const size_t round_bytes = (size_t)256 << 20;
    size_t most = FRAMES_A_THREAD * (size_t)bragg_thread_count(), fits = round_bytes / ((r->o->deviations ? 3 : 2) * r->bins * sizeof(double));
    most = fits < most ? fits : most;
    most = most < BATCH ? BATCH : most;
    bragg_status st = make_room(r, most, err);
    if (st == BRAGG_OK && r->n && !bragg_progress(r->o->observer, 0, r->n))
        st = BRAGG_STOPPED;
    for (r->first = 0; r->first < r->n && st == BRAGG_OK; r->first += r->n_round) {
        r->n_round = r->n - r->first < most ? r->n - r->first : most;
        st = one_round(r, err);
        if (r->n == 1 && r->bad)
            st = bragg_fail(err, r->problem[0].status, "%s", r->problem[0].text);
    }
    free(r->intensity);
    free(r->sem);
    free(r->std);
    free(r->row);
    free(r->problem);
    return st == BRAGG_OK && r->bad && r->bad == r->n ? bragg_fail(err, BRAGG_EDATA, "no frame could be integrated") : st;
}
