/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Integrate every frame of a stack with one plan and say where each is brightest.
 *
 *     cc integrate-stack.c $(pkg-config --cflags --libs bragg) -o integrate-stack
 *     ./integrate-stack setup.poni run.h5:/entry/data/data
 */
#include <bragg.h>
#include <stdio.h>

static void print_brightest(size_t index, const bragg_pattern *p)
{
    size_t at = 0;
    for (size_t i = 0; i < p->n; i++)
        if (!(p->y[i] <= p->y[at])) /* empty bins are NAN */
            at = i;
    printf("%zu %.4f deg %.6g +- %.3g\n", index, p->x[at] / BRAGG_DEG, p->y[at], p->sigma[at]);
}

/* The plan costs more than a frame: it is made once, from the shape of the first. */
static bragg_status one_frame(const bragg_geometry *g, const char *path, size_t index, bragg_plan **plan, bragg_error *err)
{
    bragg_plan_options options = BRAGG_PLAN_OPTIONS_INIT;
    bragg_frame *frame;
    bragg_pattern *pattern;
    bragg_status st = bragg_frame_read(path, index, &frame, err);
    if (st < 0)
        return st;
    if (!*plan)
        st = bragg_plan_new(g, frame->height, frame->width, NULL, &options, plan, err);
    if (st == BRAGG_OK && (st = bragg_plan_integrate(*plan, frame, NULL, NULL, &pattern, err)) == BRAGG_OK) {
        print_brightest(index, pattern);
        bragg_pattern_free(pattern);
    }
    bragg_frame_free(frame);
    return st;
}

int main(int argc, char **argv)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_geometry geometry;
    bragg_plan *plan = NULL;
    size_t n = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s SETUP.poni STACK\n", argv[0]);
        return 2;
    }
    bragg_status st = bragg_geometry_read_poni(argv[1], &geometry, &err);
    if (st == BRAGG_OK)
        st = bragg_frame_count(argv[2], &n, &err);
    for (size_t i = 0; i < n && st == BRAGG_OK; i++)
        st = one_frame(&geometry, argv[2], i, &plan, &err);
    bragg_plan_free(plan);
    if (st < 0)
        fprintf(stderr, "%s: %s\n", argv[0], err.text);
    return bragg_status_exit(st);
}
