/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Correlations of the variables of a fit as a picture. */
#include "config.h"
#include "figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bragg_status write_matrix(const bragg_plot_matrix *m, bragg_fig *fig, bragg_error *err)
{
    FILE *f;
    bragg_status st = bragg_fig_table(fig, NULL, &f, err);
    if (st < 0)
        return st;
    fprintf(f, "parameter");
    for (size_t k = 0; k < m->n; k++) {
        fprintf(f, ",");
        bragg_csv_text(f, m->names[k], "");
    }
    fprintf(f, "\n");
    for (size_t i = 0; i < m->n; i++) {
        bragg_csv_text(f, m->names[i], ",");
        for (size_t j = 0; j < m->n; j++)
            bragg_csv_number(f, m->correlation[i * m->n + j], 0, j + 1 < m->n ? "," : "\n");
    }
    return BRAGG_OK;
}

/* Names stand at the rows and, turned, under the columns; with so many that they
 * would touch, every so many-th. */
static void draw_names(const bragg_plot_matrix *m, bragg_fig *fig, const bragg_fig_panel *p, double size, size_t each)
{
    double cell = (p->x.to - p->x.from) / (double)m->n;
    for (size_t k = 0; k < m->n; k += each) {
        double at = ((double)k + 0.5) * cell;
        bragg_fig_text(fig, p->x.from - 0.4 * fig->em, p->y.to + at, 1, 0.5, 0, size, m->names[k]);
        bragg_fig_text(fig, p->x.from + at, p->y.from + 0.4 * fig->em, 1, 0.5, 90, size, m->names[k]);
    }
}

static bragg_status draw_matrix(const bragg_plot_matrix *m, bragg_fig *fig, bragg_error *err)
{
    const double size = 0.8;
    double names = 0, w, h, em = fig->em;
    for (size_t k = 0; k < m->n; k++) {
        bragg_fig_measure(fig, size, m->names[k], &w, &h);
        names = fmax(names, w);
    }
    double room = names + em, side = fmin(fig->width - room - 6.5 * em, fig->height - fig->top - room);
    if (!(side > 4 * em))
        return bragg_fail(err, BRAGG_EINVAL, "correlations: names of %.0f points leave no room on a page of %.0f", names, fig->width);
    bragg_fig_panel p = { .x = { .from = room, .to = room + side }, .y = { .from = fig->top + side, .to = fig->top } };
    p.x.max = p.y.max = 1;
    bragg_fig_colours c = { .scale = BRAGG_PLOT_LINEAR, .low = -1, .high = 1, .diverging = true };
    bragg_status st = bragg_fig_colour_range(&c, m->correlation, NULL, m->n * m->n, err);
    unsigned *pixels = malloc(m->n * m->n * sizeof *pixels);
    if (st == BRAGG_OK && !pixels)
        st = bragg_fig_nomem(err);
    for (size_t k = 0; k < m->n * m->n && st == BRAGG_OK; k++)
        pixels[k] = isfinite(m->correlation[k]) ? bragg_fig_pixel(&c, m->correlation[k]) : 0xb0b0b0;
    if (st == BRAGG_OK)
        st = bragg_fig_image(fig, &p, pixels, (int)m->n, (int)m->n, err);
    free(pixels);
    if (st < 0)
        return st;
    bragg_fig_frame(fig, &p);
    draw_names(m, fig, &p, size, (size_t)ceil(size * em * (double)m->n / side));
    bragg_fig_bar(fig, &c, "Correlation", FIG_RIGHT, p.x.to + em, p.y.to, p.x.to + 1.8 * em, p.y.from);
    return BRAGG_OK;
}

bragg_status bragg_plot_correlations(const bragg_plot_matrix *m, const bragg_plot_page *page, const char *path, bragg_error *err)
{
    static const bragg_plot_page usual = BRAGG_PLOT_PAGE_INIT;
    bragg_fig *fig;
    page = page ? page : &usual;
    if (!m->n)
        return bragg_fail(err, BRAGG_EDATA, "correlations: expected variables, found none");
    double em_mm = (page->font_pt > 0 ? page->font_pt : 8) / 72 * 25.4; /* the bar's room, which the names below do not need */
    bragg_status st = bragg_fig_open(path, page, page->width_mm - 5 * em_mm, &fig, err);
    if (st < 0)
        return st;
    st = draw_matrix(m, fig, err);
    if (st == BRAGG_OK)
        st = write_matrix(m, fig, err);
    return bragg_fig_close(fig, st, err);
}
