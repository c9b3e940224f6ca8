/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg convert between frames: all of the inputs into one stack. */
#include "config.h"
#include "convert.h"

#include <string.h>

static bragg_status pixel_type(const char *name, bragg_pixel *type, bragg_error *err)
{
    for (int k = BRAGG_U8; k <= BRAGG_F64; k++)
        if (!strcmp(name, bragg_pixel_name((bragg_pixel)k))) {
            *type = (bragg_pixel)k;
            return BRAGG_OK;
        }
    return bragg_fail(err, BRAGG_EINVAL, "--type: expected uint8 to uint64, int8 to int64, float32 or float64, found '%s'", name);
}

/* Frame k of a file, in the type that is wished for. */
static bragg_status add_frame(const convert_wish *w, const char *path, size_t k, bragg_frame_stack *stack, bragg_error *err)
{
    bragg_frame *f = NULL, *as = NULL;
    bragg_pixel type = BRAGG_U8;
    bragg_status st = cli_frame_read(path, k, w->flip, w->raw, &f, err);
    if (st == BRAGG_OK && w->wavelength_ang > 0)
        f->wavelength_ang = w->wavelength_ang;
    if (st == BRAGG_OK && w->type)
        st = pixel_type(w->type, &type, err);
    if (st == BRAGG_OK && w->type && (st = bragg_frame_as(f, type, &as, err)) < 0)
        bragg_context(err, st, "%s: frame %zu: --type", path, k);
    if (st == BRAGG_OK)
        st = bragg_frame_stack_add(stack, as ? as : f, err);
    bragg_frame_free(as);
    bragg_frame_free(f);
    return st;
}

static bragg_status add_file(const convert_wish *w, const char *path, size_t n, size_t all, size_t *done, const bragg_observer *observer,
                             bragg_frame_stack *stack, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        st = add_frame(w, path, w->frame >= 0 ? (size_t)w->frame : k, stack, err);
        if (st == BRAGG_OK && !bragg_progress(observer, ++*done, all))
            st = bragg_fail(err, BRAGG_EINTERNAL, "stopped");
    }
    return st;
}

bragg_status convert_frames(const convert_wish *w, char **paths, size_t n_paths, const char *out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_frame_stack *stack = NULL;
    cli_progress progress;
    size_t all = 0, done = 0;
    size_t *n = bragg_arena_alloc(arena, n_paths, sizeof *n);
    bragg_pixel type;
    bragg_status st = n ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu files", n_paths);
    if (st == BRAGG_OK && w->type)
        st = pixel_type(w->type, &type, err);
    for (size_t i = 0; st == BRAGG_OK && i < n_paths; i++) {
        st = bragg_frame_count_as(paths[i], w->raw, &n[i], err);
        n[i] = w->frame >= 0 ? 1 : n[i];
        all += n[i];
    }
    if (st == BRAGG_OK && !all)
        st = bragg_fail(err, BRAGG_EDATA, "expected frames, found none in the files");
    if (st == BRAGG_OK)
        st = bragg_frame_stack_open(out, all, w->force, &stack, err);
    const bragg_observer *observer = cli_observer(&progress, "frames");
    for (size_t i = 0; st == BRAGG_OK && i < n_paths; i++)
        st = add_file(w, paths[i], n[i], all, &done, observer, stack, err);
    cli_progress_end(&progress);
    if (st == BRAGG_OK)
        st = bragg_frame_stack_commit(stack, err);
    else
        bragg_frame_stack_abandon(stack);
    bragg_arena_free(arena);
    return st;
}
