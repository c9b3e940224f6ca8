/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames of files through a plan: which there are, where they go, and all of it in order. */
#include "config.h"
#include "files.h"

#include <bragg/array.h>
#include <bragg/datetime.h>
#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ----------------------------------------------------------- what to do */

/* The one `out` names, or NAME.xye in its folder, with the frame's number when the
 * file holds several. */
static char *output_name(const files_run *r, const files_job *j, size_t n_files, size_t n_frames)
{
    const char *extension = r->o->out ? bragg_path_extension(r->o->out) : "";
    if (r->o->out && n_files == 1 && n_frames == 1 && *extension)
        return bragg_arena_strdup(r->arena, r->o->out);
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
    return bragg_path_join(r->arena, r->o->out ? r->o->out : "", name);
}

/* A file whose frames cannot be counted is one bad frame among others. */
static bragg_status add_file(files_run *r, const char *path, size_t n_files, bragg_error *err)
{
    size_t n = 0;
    bragg_error problem = BRAGG_ERROR_INIT;
    bragg_status st = bragg_frame_count_as(path, r->o->raw, &n, n_files > 1 ? &problem : err);
    if (st < 0 && n_files == 1)
        return st;
    if (st < 0)
        n = 1;
    size_t first = r->o->index >= 0 ? (size_t)r->o->index : 0, last = r->o->index >= 0 ? first + 1 : n;
    st = BRAGG_OK;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        files_job j = { path, k, NULL };
        if (!r->store && !(j.out = output_name(r, &j, n_files, last - first)))
            return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        st = bragg_array_grow(&r->job, &r->room, r->n + 1, sizeof j, err);
        if (st == BRAGG_OK)
            r->job[r->n++] = j;
    }
    return st;
}

static int by_output(const void *a, const void *b)
{
    return strcmp(((const files_job *)a)->out, ((const files_job *)b)->out);
}

/* Before hours of work: no two frames to one file, nothing there that may not be
 * overwritten. */
static bragg_status check_outputs(const files_run *r, bragg_error *err)
{
    if (r->store)
        return !r->o->force && !r->o->resume && bragg_path_exists(r->o->out)
            ? bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it, --resume goes on with it", r->o->out) : BRAGG_OK;
    files_job *sorted = malloc((r->n + 1) * sizeof *sorted);
    bragg_status st = sorted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", r->n);
    if (sorted && r->n) {
        memcpy(sorted, r->job, r->n * sizeof *sorted);
        qsort(sorted, r->n, sizeof *sorted, by_output);
    }
    for (size_t k = 0; st == BRAGG_OK && k < r->n; k++) {
        if (k && !strcmp(sorted[k].out, sorted[k - 1].out))
            st = bragg_fail(err, BRAGG_EINVAL, "'%s' and '%s' would both be written to '%s'", sorted[k - 1].path, sorted[k].path, sorted[k].out);
        else if (!r->o->force && !r->o->resume && bragg_path_exists(sorted[k].out))
            st = bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", sorted[k].out);
    }
    free(sorted);
    return st;
}

/* Files that are there already are done. */
static void skip_done(files_run *r)
{
    size_t n = 0;
    for (size_t k = 0; k < r->n; k++)
        if (!bragg_path_exists(r->job[k].out))
            r->job[n++] = r->job[k];
    if (n < r->n)
        bragg_log(r->o->observer, BRAGG_LOG_INFO, "%zu frames are done already", r->n - n);
    r->n = n;
}

/* A pattern's name cannot take several: rather asked than a folder of that name made. */
static bragg_status check_one(const files_run *r, bragg_error *err)
{
    static const char *const patterns[] = { ".xye", ".xy", ".chi", ".fxye", ".dat", ".txt", ".csv" };
    struct stat info;
    if (r->store || r->n < 2 || !r->o->out || (stat(r->o->out, &info) == 0 && S_ISDIR(info.st_mode)))
        return BRAGG_OK;
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++)
        if (!strcmp(bragg_path_extension(r->o->out), patterns[k]))
            return bragg_fail(err, BRAGG_EINVAL, "-o %s: expected OUT.h5 or a folder for %zu frames, found the name of one pattern", r->o->out, r->n);
    return BRAGG_OK;
}

/* All that can be known to fail before the work begins. */
static bragg_status prepare(files_run *r, const char *const *paths, size_t n, bragg_error *err)
{
    if (!r->store && (r->o->plan.n_azimuth > 1 || r->o->deviations))
        return bragg_fail(err, BRAGG_EINVAL, "expected OUT.h5 for sectors or deviations, found %s", r->o->out ? r->o->out : "none");
    if (r->o->resume && r->o->force)
        return bragg_fail(err, BRAGG_EINVAL, "expected one of going on and beginning anew, found both");
    bragg_status st = r->o->poni ? bragg_files_read_geometry(r, err) : bragg_fail(err, BRAGG_EINVAL, "expected a geometry to integrate with, found none");
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = add_file(r, paths[k], n, err);
    if (st == BRAGG_OK)
        st = check_one(r, err);
    if (st == BRAGG_OK)
        st = check_outputs(r, err);
    if (st == BRAGG_OK)
        st = bragg_files_make_plan(r, err);
    if (st == BRAGG_OK)
        st = bragg_plan_correlation(r->plan, r->correlation, err);
    if (st == BRAGG_OK && r->store)
        st = bragg_files_open_store(r, err);
    if (st == BRAGG_OK && !r->store && r->o->out && (r->n > 1 || !*bragg_path_extension(r->o->out)))
        st = bragg_path_make_folder(r->o->out, err);
    if (st == BRAGG_OK && !r->store && r->o->resume)
        skip_done(r);
    return st;
}

bragg_status bragg_integrate_files(const char *const *paths, size_t n, const bragg_integrate_files_options *options,
                                   bragg_integrate_files_report *report, bragg_error *err)
{
    files_run r = { .o = options, .store = options->out && bragg_path_is_hdf5(options->out), .arena = bragg_arena_new() };
    bragg_status st = r.arena ? prepare(&r, paths, n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room to integrate");
    double start = bragg_time_running_s();
    if (st == BRAGG_OK)
        st = bragg_files_all_rounds(&r, err);
    *report = (bragg_integrate_files_report){ r.done, r.bad, r.store, bragg_time_running_s() - start };
    bragg_frame_free(r.dark);
    bragg_frame_free(r.flat);
    bragg_frame_free(r.variance);
    bragg_plan_free(r.plan);
    free(r.job);
    bragg_arena_free(r.arena);
    return st;
}
