/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plan that all frames of a run go through, and what it takes. */
#include "config.h"
#include "files.h"

#include <math.h>
#include <stdlib.h>

/* Not of the frames themselves: on spotty rings a grain looks like a hot pixel. */
static bragg_status learn_mask(const files_run *r, const bragg_frame *like, uint8_t *mask, bragg_error *err)
{
    size_t learnt, n;
    bragg_status st = bragg_mask_learn_file(r->o->learn, r->o->flip, r->o->raw, r->o->hot, like->height, like->width, mask, &learnt, &n, err);
    if (st == BRAGG_OK)
        bragg_log(r->o->observer, BRAGG_LOG_INFO, "%zu hot or dead pixels learnt from %zu frame%s", learnt, n, n == 1 ? "" : "s");
    return st;
}

static bragg_status hide_beam_stop(const files_run *r, const bragg_frame *f, uint8_t *mask, bragg_error *err)
{
    size_t found;
    bragg_status st = bragg_mask_beam_stop(f, &r->g, r->o->plan.polarization, mask, &found, err);
    if (st == BRAGG_OK && found)
        bragg_log(r->o->observer, BRAGG_LOG_INFO, "beam stop: %zu pixels", found);
    else if (st == BRAGG_OK)
        bragg_log(r->o->observer, BRAGG_LOG_INFO, "beam stop: none found on the first frame");
    return st;
}

static bragg_status get_plan(files_run *r, const bragg_frame *f, const uint8_t *mask, bragg_error *err)
{
    bragg_plan_options o = r->o->plan;
    o.flat = r->flat;
    return r->o->plans ? bragg_plan_get(r->o->plans, &r->g, f->height, f->width, mask, &o, NULL, &r->plan, err)
                       : bragg_plan_new(&r->g, f->height, f->width, mask, &o, &r->plan, err);
}

static bool has_pixel_size(files_run *r, const bragg_frame *f)
{
    if (!(r->g.pixel_slow_m > 0)) { /* not in GSAS-II's image controls */
        r->g.pixel_slow_m = r->o->pixel_m > 0 ? r->o->pixel_m : f->pixel_slow_m;
        r->g.pixel_fast_m = r->o->pixel_m > 0 ? r->o->pixel_m : f->pixel_fast_m;
    }
    return r->g.pixel_slow_m > 0 && r->g.pixel_fast_m > 0;
}

static bragg_status make_mask(const files_run *r, const char *path, const bragg_frame *f, uint8_t **mask, bragg_error *err)
{
    bragg_status st = bragg_mask_read(&r->o->mask, 1, r->o->flip, &r->g, path, f, mask, err);
    if (st == BRAGG_OK && !(isnan(r->o->below) && isnan(r->o->above)))
        bragg_frame_mark_outside(f, r->o->below, r->o->above, *mask);
    if (st == BRAGG_OK && r->o->learn)
        st = learn_mask(r, f, *mask, err);
    if (st == BRAGG_OK && r->o->beam_stop)
        st = hide_beam_stop(r, f, *mask, err);
    return st;
}

/* One of another shape is a bad one later; want of memory says nothing of a frame. */
static bragg_status first_frame(const files_run *r, size_t *at, bragg_frame **f, bragg_error *err)
{
    bragg_error first = BRAGG_ERROR_INIT;
    for (size_t k = 0; k < r->n; k++) {
        bragg_error one = BRAGG_ERROR_INIT;
        bragg_status st = bragg_frame_read_as(r->job[*at = k].path, r->job[k].index, r->o->flip, r->o->raw, f, &one);
        if (st >= 0)
            return st;
        if (st == BRAGG_ENOMEM || r->n == 1)
            return bragg_fail(err, st, "%s", one.text);
        first = k ? first : one;
    }
    return r->n ? bragg_fail(err, BRAGG_EDATA, "none of %zu frames can be read; the first: %s", r->n, first.text)
                : bragg_fail(err, BRAGG_EDATA, "expected frames, found none in the files");
}

bragg_status bragg_files_make_plan(files_run *r, bragg_error *err)
{
    static const size_t batch_bytes = (size_t)128 << 20;
    bragg_frame *f = NULL;
    uint8_t *mask = NULL;
    size_t first = 0;
    bragg_status st = first_frame(r, &first, &f, err);
    if (st < 0)
        return st;
    if (!has_pixel_size(r, f))
        st = bragg_fail(err, BRAGG_EINVAL, "expected --pixel-um SIZE, found no pixel size in '%s' nor in the frame's header", r->o->poni);
    if (st == BRAGG_OK)
        st = make_mask(r, r->job[first].path, f, &mask, err);
    r->batch = f->width * f->height * bragg_pixel_size(f->type) <= batch_bytes / BATCH ? BATCH : BATCH_OF_LARGE;
    if (st == BRAGG_OK)
        st = get_plan(r, f, mask, err);
    if (st == BRAGG_OK)
        r->bins = bragg_plan_rings(r->plan) * bragg_plan_azimuths(r->plan);
    free(mask);
    bragg_frame_free(f);
    return st;
}

/* One of the frames beside those of the run; *out stays NULL without a name. */
static bragg_status read_beside(const files_run *r, const char *path, bragg_frame **out, bragg_error *err)
{
    return path ? bragg_frame_read_as(path, 0, r->o->flip, r->o->raw, out, err) : BRAGG_OK;
}

bragg_status bragg_files_read_geometry(files_run *r, bragg_error *err)
{
    bragg_status st = bragg_geometry_read(r->o->poni, &r->g, err);
    if (st == BRAGG_OK && r->o->wavelength_ang > 0)
        r->g.wavelength_ang = r->o->wavelength_ang;
    if (st == BRAGG_OK)
        st = read_beside(r, r->o->dark, &r->dark, err);
    if (st == BRAGG_OK)
        st = read_beside(r, r->o->flat, &r->flat, err);
    return st == BRAGG_OK ? read_beside(r, r->o->variance, &r->variance, err) : st;
}
