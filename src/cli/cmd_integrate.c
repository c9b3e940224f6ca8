/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg integrate: frames to patterns. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *poni, *mask, *dark, *unit, *split, *flip, *out, *range;
    double wavelength_ang, polarization;
    long long bins, frame;
    bool no_solid_angle, force;
} wish;

static bragg_status plan_options(const wish *w, bragg_plan_options *o, bragg_error *err)
{
    *o = (bragg_plan_options)BRAGG_PLAN_OPTIONS_INIT;
    if (w->unit && !bragg_axis_parse(w->unit, &o->axis))
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1, d_A or r_mm, found '%s'", w->unit);
    if (w->split && !bragg_split_parse(w->split, &o->split))
        return bragg_fail(err, BRAGG_EINVAL, "--split: expected none, bbox or full, found '%s'", w->split);
    if (w->range) {
        bragg_status st = cli_range(w->range, &o->first, &o->last, err);
        if (st < 0)
            return st;
        o->first *= bragg_axis_factor(o->axis);
        o->last *= bragg_axis_factor(o->axis);
    }
    if (o->axis == BRAGG_AXIS_D && !w->range)
        return bragg_fail(err, BRAGG_EINVAL, "--unit d_A: expected --range FIRST,LAST, found none (d grows without end towards the beam)");
    if (w->bins < 1)
        return bragg_fail(err, BRAGG_EINVAL, "--bins: expected a positive number, found %lld", w->bins);
    o->n_bins = (size_t)w->bins;
    o->solid_angle = !w->no_solid_angle;
    o->polarization = w->polarization;
    return BRAGG_OK;
}

/* One frame of one file, and where its pattern goes. */
typedef struct job {
    const char *path;
    size_t index;
    char *out;
} job;

typedef struct jobs {
    job *at;
    size_t n, room;
} jobs;

/* The one -o names, or NAME.xye in its folder, with the frame's number when the
 * file holds several. */
static char *output_name(const wish *w, bragg_arena *arena, const job *j, size_t n_files, size_t n_frames)
{
    const char *extension = w->out ? bragg_path_extension(w->out) : "";
    if (w->out && n_files == 1 && n_frames == 1 && *extension)
        return bragg_arena_strdup(arena, w->out);
    char *stem = bragg_path_stem(arena, j->path), name[600];
    if (!stem)
        return NULL;
    if (n_frames > 1)
        snprintf(name, sizeof name, "%.500s_%05zu.xye", stem, j->index);
    else
        snprintf(name, sizeof name, "%.500s.xye", stem);
    for (char *c = name; *c; c++) /* FILE:/path/in/hdf5 */
        if (*c == ':')
            *c = '_';
    return bragg_path_join(arena, w->out ? w->out : "", name);
}

static bragg_status add_file(const wish *w, bragg_arena *arena, const char *path, size_t n_files, jobs *list, bragg_error *err)
{
    size_t n = 0;
    bragg_status st = bragg_frame_count(path, &n, err);
    size_t first = w->frame >= 0 ? (size_t)w->frame : 0, last = w->frame >= 0 ? first + 1 : n;
    for (size_t k = first; k < last && st == BRAGG_OK; k++) {
        job j = { path, k, NULL };
        j.out = output_name(w, arena, &j, n_files, last - first);
        st = j.out ? bragg_array_grow(&list->at, &list->room, list->n + 1, sizeof j, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        if (st == BRAGG_OK)
            list->at[list->n++] = j;
    }
    return st;
}

static int by_output(const void *a, const void *b) { return strcmp(((const job *)a)->out, ((const job *)b)->out); }

/* Before hours of work: no two frames to one file, nothing there that may not be
 * overwritten. */
static bragg_status check_outputs(const wish *w, const jobs *list, bragg_error *err)
{
    job *sorted = malloc((list->n + 1) * sizeof *sorted);
    bragg_status st = sorted ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", list->n);
    if (sorted && list->n) {
        memcpy(sorted, list->at, list->n * sizeof *sorted);
        qsort(sorted, list->n, sizeof *sorted, by_output);
    }
    for (size_t k = 0; st == BRAGG_OK && k < list->n; k++) {
        if (k && !strcmp(sorted[k].out, sorted[k - 1].out))
            st = bragg_fail(err, BRAGG_EINVAL, "'%s' and '%s' would both be written to '%s'", sorted[k - 1].path, sorted[k].path, sorted[k].out);
        else if (!w->force && bragg_path_exists(sorted[k].out))
            st = bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", sorted[k].out);
    }
    free(sorted);
    return st;
}

/* The plan is made for the first frame; one of another shape gets its own message. */
static bragg_status integrate_one(const wish *w, const job *j, const bragg_geometry *g, const bragg_plan_options *o, const bragg_frame *dark, bragg_plan **plan, bragg_error *err)
{
    bragg_frame *f = NULL;
    bragg_pattern *p = NULL;
    uint8_t *mask = NULL;
    bragg_status st = cli_frame_read(j->path, j->index, w->flip, &f, err);
    if (st < 0)
        return st;
    if (!*plan)
        st = cli_mask_read(w->mask, w->flip, f, &mask, err);
    if (st == BRAGG_OK && !*plan)
        st = bragg_plan_new(g, f->height, f->width, mask, o, plan, err);
    if (st == BRAGG_OK)
        st = bragg_plan_integrate(*plan, f, dark, NULL, &p, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_write_text(p, j->out, w->force, err);
    free(mask);
    bragg_frame_free(f);
    bragg_pattern_free(p);
    return st < 0 ? bragg_context(err, st, "%s", j->path) : st;
}

static bragg_status integrate_all(const wish *w, char **paths, size_t n, bragg_error *err)
{
    bragg_geometry g;
    bragg_plan_options o;
    bragg_plan *plan = NULL;
    bragg_frame *dark = NULL;
    jobs list = { NULL, 0, 0 };
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? bragg_geometry_read_poni(w->poni, &g, err) : bragg_fail(err, BRAGG_ENOMEM, "no room to integrate");
    if (st == BRAGG_OK && !isnan(w->wavelength_ang) && !(w->wavelength_ang > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "--wavelength: must be positive, got %g", w->wavelength_ang);
    if (st == BRAGG_OK && w->wavelength_ang > 0)
        g.wavelength_ang = w->wavelength_ang;
    if (st == BRAGG_OK)
        st = plan_options(w, &o, err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = add_file(w, arena, paths[k], n, &list, err);
    if (st == BRAGG_OK)
        st = check_outputs(w, &list, err);
    if (st == BRAGG_OK && w->out && (list.n > 1 || !*bragg_path_extension(w->out)))
        st = bragg_path_make_folder(w->out, err);
    if (st == BRAGG_OK && w->dark)
        st = cli_frame_read(w->dark, 0, w->flip, &dark, err);
    for (size_t k = 0; k < list.n && st == BRAGG_OK; k++) {
        st = integrate_one(w, &list.at[k], &g, &o, dark, &plan, err);
        if (st == BRAGG_OK)
            fprintf(stderr, "%s -> %s\n", list.at[k].path, list.at[k].out);
    }
    bragg_frame_free(dark);
    bragg_plan_free(plan);
    free(list.at);
    bragg_arena_free(arena);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { .wavelength_ang = NAN, .polarization = 0.99, .bins = 2000, .frame = -1 };
    const cli_option options[] = {
        { "poni", 'p', CLI_TEXT, &w.poni, "FILE", "geometry, as pyFAI writes it" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE|DIR", "where to; several frames go to a folder, NAME.xye each" },
        { "mask", 'm', CLI_TEXT, &w.mask, "FRAME", "pixels that are not zero here are left out" },
        { "dark", 0, CLI_TEXT, &w.dark, "FRAME", "subtract this frame" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "2th_deg (default), q_A^-1, q_nm^-1, d_A or r_mm" },
        { "bins", 'n', CLI_INTEGER, &w.bins, "N", "number of bins [2000]" },
        { "range", 'r', CLI_TEXT, &w.range, "FIRST,LAST", "range in the unit; default all" },
        { "split", 0, CLI_TEXT, &w.split, "HOW", "share a pixel among bins: none, bbox or full [full]" },
        { "polarization", 0, CLI_NUMBER, &w.polarization, "FACTOR", "-1 to 1, nan for no correction [0.99]" },
        { "no-solid-angle", 0, CLI_FLAG, &w.no_solid_angle, NULL, "do not correct for the solid angle" },
        { "flip", 0, CLI_TEXT, &w.flip, "HOW", "read the frame upside down: vertical, horizontal or both" },
        { "frame", 0, CLI_INTEGER, &w.frame, "I", "only this frame of each file, from 0 [all]" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "instead of the PONI file's" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_integrate, options, sizeof options / sizeof *options, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n < 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected frames, found none");
    if (st == BRAGG_OK && !w.poni)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected --poni FILE, found none");
    if (st == BRAGG_OK && w.frame < -1)
        st = bragg_fail(&err, BRAGG_EINVAL, "--frame: expected 0 or more, found %lld", w.frame);
    if (st == BRAGG_OK)
        st = integrate_all(&w, argv, (size_t)n, &err);
    return cli_report(&cli_integrate, st, &err);
}

const cli_command cli_integrate = { "integrate", "FRAME… --poni SETUP.poni -o OUT.xye|DIR", "azimuthal integration of detector frames", run };
