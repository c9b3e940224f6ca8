/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HDF5 file of a run: what it depends on, and where an earlier run has stopped. */
#include "config.h"
#include "files.h"

#include <bragg/bytes.h>
#include <bragg/path.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SETTINGS = 4000, MOST_PONI = 1 << 20 };

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void add(char *text, const char *format, ...)
{
    size_t n = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, MOST_SETTINGS - n, format, args);
    va_end(args);
}

/* A file as name and contents, for what a result depends on. */
static void add_hash(char *text, const char *key, const char *path)
{
    char hash[BRAGG_HASH_TEXT] = "";
    if (!path)
        return;
    if (bragg_hash_file(path, hash, NULL) < 0)
        hash[0] = '\0';
    add(text, " %s=%.200s#%s", key, path, hash);
}

/* As people give it: in the axis' unit, or degrees. */
static void add_range(char *text, const char *key, double first, double last, double unit)
{
    if (isnan(first))
        add(text, " %s=all", key);
    else
        add(text, " %s=%.12g,%.12g", key, first / unit, last / unit);
}

/* Runs that another version of this has begun go on only where the words are the same. */
static void describe(const files_run *r, char *text)
{
    const bragg_integrate_files_options *o = r->o;
    bool clip = o->frame.reject == BRAGG_REJECT_CLIP, quantiles = o->frame.reject == BRAGG_REJECT_QUANTILE;
    add(text, "split=%s", bragg_split_name(o->plan.split));
    add_range(text, "range", o->plan.first, o->plan.last, bragg_axis_factor(o->plan.axis));
    add_range(text, "sector", o->plan.chi_first_rad, o->plan.chi_last_rad, BRAGG_DEG);
    add(text, " errors=%s clip=%g", o->variance ? "variance" : o->frame.errors == BRAGG_ERRORS_AZIMUTHAL ? "azimuthal" : "poisson", clip ? o->frame.clip : NAN);
    if (quantiles)
        add(text, " quantiles=%g,%g", o->frame.low, o->frame.high);
    else
        add(text, " quantiles=none");
    add(text, " normalize=%s flip=%s polarization=%g solid_angle=%d sensor_mu_t=%g wavelength=%g", bragg_normalize_name(o->normalize), o->flip ? o->flip : "none",
        o->plan.polarization, o->plan.solid_angle, o->plan.sensor_mu_t, r->g.wavelength_ang);
    if (o->plan.sample_mu_t > 0)
        add(text, " sample_mu_t=%g", o->plan.sample_mu_t);
    add(text, "%s%s%s bin=%s", o->plan.logarithmic ? " log=1" : "", o->beam_stop ? " beam_stop=1" : "", o->deviations ? " deviations=1" : "",
        o->frame.mean ? "mean" : quantiles ? "quantiles" : "ratio");
    if (o->pixel_m > 0)
        add(text, " pixel_um=%g", o->pixel_m * 1e6);
    if (!isnan(o->below) || !isnan(o->above))
        add(text, " below=%g above=%g", o->below, o->above);
    if (o->learn)
        add(text, " hot=%g", o->hot);
    add_hash(text, "learn", o->learn);
    add_hash(text, "mask", o->mask);
    add_hash(text, "dark", o->dark);
    add_hash(text, "flat", o->flat);
    add_hash(text, "variance", o->variance);
}

static bool add_texts(files_run *r)
{
    char *text = bragg_arena_alloc(r->arena, MOST_SETTINGS, 1);
    unsigned char *poni;
    size_t n;
    if (!text)
        return false;
    bragg_status st = bragg_bytes_of_file(r->o->poni, MOST_PONI, &poni, &n, NULL);
    if (st == BRAGG_ENOMEM)
        return false;
    n = st < 0 ? 0 : n; /* gone since it was read, or too long */
    describe(r, text);
    r->header.settings = text;
    r->header.poni = bragg_arena_strndup(r->arena, n ? (char *)poni : "", n);
    r->header.poni_name = r->o->poni;
    free(poni);
    return r->header.poni != NULL;
}

/* Bins, as the plan has them. */
static bool add_bins(files_run *r)
{
    size_t rings = bragg_plan_rings(r->plan), azimuths = bragg_plan_azimuths(r->plan);
    double *x = bragg_arena_alloc(r->arena, rings, sizeof *x), *chi = bragg_arena_alloc(r->arena, azimuths, sizeof *chi);
    double *norm = bragg_arena_alloc(r->arena, r->bins, sizeof *norm);
    if (!x || !chi || !norm)
        return false;
    for (size_t k = 0; k < rings; k++)
        x[k] = bragg_plan_ring_centre(r->plan, k);
    for (size_t k = 0; k < azimuths; k++)
        chi[k] = bragg_plan_azimuth_centre_rad(r->plan, k);
    for (size_t k = 0; k < r->bins; k++)
        norm[k] = bragg_plan_norm(r->plan, k);
    r->header = (bragg_nxazint_header){ .n_rings = rings, .n_azimuth = azimuths > 1 ? azimuths : 0, .x = x, .chi_rad = chi, .norm = norm };
    return true;
}

static bragg_status make_header(files_run *r, bragg_error *err)
{
    bragg_nxazint_header *h = &r->header;
    const bragg_integrate_files_options *o = r->o;
    if (!add_bins(r) || !add_texts(r))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bins", r->bins);
    h->axis = o->plan.axis;
    h->wavelength_ang = r->g.wavelength_ang;
    h->bin_rad = bragg_plan_bin_rad(r->plan);
    h->pixel_rad = bragg_plan_pixel_rad(r->plan);
    h->split = bragg_split_name(o->plan.split);
    h->polarization = o->plan.polarization;
    h->solid_angle = o->plan.solid_angle;
    h->logarithmic = o->plan.logarithmic;
    h->correlation = r->correlation;
    h->deviations = o->deviations;
    h->bins = o->frame.reject == BRAGG_REJECT_QUANTILE ? "Bins are means of corrected pixels between two quantiles (settings)."
            : o->frame.mean ? "Bins are means of corrected pixels, weighted by their parts." : NULL;
    return BRAGG_OK;
}

void bragg_files_name(const files_job *j, char *name, size_t size)
{
    snprintf(name, size, "%.230s %zu", j->path, j->index);
}

bragg_status bragg_files_open_store(files_run *r, bragg_error *err)
{
    bragg_status st = make_header(r, err);
    if (st < 0 || !r->o->resume || !bragg_path_exists(r->o->out))
        return st < 0 ? st : bragg_nxazint_create(r->o->out, r->o->force, &r->header, err);
    char last[256], name[256];
    size_t n;
    st = bragg_nxazint_resume(r->o->out, &r->header, &n, last, err);
    if (st < 0 || !n)
        return st;
    if (n <= r->n)
        bragg_files_name(&r->job[n - 1], name, sizeof name);
    if (n > r->n || strcmp(name, last))
        return bragg_fail(err, BRAGG_EDATA, "'%s': has %zu frames up to '%s', which is not frame %zu of those named now; --force begins anew", r->o->out, n, last, n);
    memmove(r->job, r->job + n, (r->n - n) * sizeof *r->job);
    r->n -= n;
    bragg_log(r->o->observer, BRAGG_LOG_INFO, "%zu frames are done already", n);
    return BRAGG_OK;
}
