/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was found without a model, and the smoothed series, as figures. */
#include "config.h"
#include "report.h"

#include <bragg/analysis.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CURVES = 8, MOST_PANELS = 8 };

typedef struct sheet {
    const bragg_series *s;
    bragg_report_axis axis;
    bragg_arena *arena;
    const char *folder;
    bool force;
} sheet;

static bragg_status empty_curve(const sheet *b, size_t n, const char *label, double **x, double **y, double **esd, bragg_plot_curve *out, bragg_error *err)
{
    *x = bragg_arena_alloc(b->arena, 3 * n + 1, sizeof(double));
    *y = *x ? *x + n : NULL, *esd = *x ? *x + 2 * n : NULL;
    const char *own = label ? bragg_arena_strdup(b->arena, label) : NULL;
    *out = (bragg_plot_curve){ n, *x, *y, *esd, own };
    return *x && (own || !label) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a curve of %zu points", n);
}

/* The abscissa in the middle of a row's frames. */
static double abscissa(const sheet *b, size_t row, size_t frames)
{
    size_t first = row * frames, last = first + frames < b->s->n ? first + frames - 1 : b->s->n - 1;
    return first < b->s->n ? (b->axis.x[first] + b->axis.x[last]) / 2 : NAN;
}

static bragg_status draw(const sheet *b, const bragg_plot_panel *panels, size_t n, const char *stem, bragg_error *err)
{
    static const char *const kinds[] = { "svg", "png" };
    bragg_plot_series_options o = BRAGG_PLOT_SERIES_OPTIONS_INIT;
    bragg_status st = BRAGG_OK;
    o.page.width_mm = 120;
    o.page.height_mm = 30 + 32.0 * (double)(n > 6 ? 6 : n);
    o.page.title = b->s->title;
    o.x_label = b->axis.label;
    o.bands = true;
    for (size_t k = 0; n && k < 2 && st == BRAGG_OK; k++) {
        char name[80];
        snprintf(name, sizeof name, "%s.%s", stem, kinds[k]);
        o.page.force = b->force || k; /* the numbers are written once */
        st = bragg_plot_series(panels, n, &o, bragg_path_join(b->arena, b->folder, name), err);
    }
    return st;
}

/* --------------------------------------------------------------- components */

static bragg_status plot_components(const sheet *b, const bragg_factors *f, size_t frames, bragg_error *err)
{
    bragg_plot_curve curves[MOST_CURVES];
    bragg_plot_panel panel = BRAGG_PLOT_PANEL_INIT;
    bragg_status st = BRAGG_OK;
    panel.y_label = "Share of the intensity (%)";
    panel.curves = curves;
    for (size_t k = 0; k < f->n && k < MOST_CURVES && st == BRAGG_OK; k++) {
        double *x, *y, *e;
        char label[32];
        snprintf(label, sizeof label, "component %zu", k);
        st = empty_curve(b, f->rows, label, &x, &y, &e, &curves[k], err);
        for (size_t r = 0; st == BRAGG_OK && r < f->rows; r++)
            x[r] = abscissa(b, f->row[r], frames), y[r] = 100 * f->concentration[r * f->n + k], e[r] = 100 * f->esd[r * f->n + k];
        panel.n_curves = k + 1;
    }
    return st == BRAGG_OK ? draw(b, &panel, 1, "components-course", err) : st;
}

/* -------------------------------------------------------------------- peaks */

static double most_of(const bragg_track *t, size_t rows)
{
    double most = 0;
    for (size_t r = 0; r < rows; r++)
        most = t->at[r].there ? fmax(most, t->at[r].area.value) : most;
    return most;
}

/* The strongest peaks, in the order of their places. */
static size_t strongest(const bragg_tracks *t, size_t *which)
{
    size_t n = 0;
    for (size_t k = 0; k < t->n; k++) {
        size_t above = 0;
        for (size_t j = 0; j < t->n; j++)
            above += most_of(&t->track[j], t->rows) > most_of(&t->track[k], t->rows);
        if (above < MOST_CURVES && n < MOST_CURVES)
            which[n++] = k;
    }
    return n;
}

static bragg_status plot_peaks(const sheet *b, const bragg_tracks *t, bragg_error *err)
{
    size_t which[MOST_CURVES], n = strongest(t, which);
    bragg_plot_curve area[MOST_CURVES], shift[MOST_CURVES], share;
    bragg_plot_panel panels[3] = { BRAGG_PLOT_PANEL_INIT, BRAGG_PLOT_PANEL_INIT, BRAGG_PLOT_PANEL_INIT };
    double *x, *y, *e, *u, *v, *w;
    bragg_status st = empty_curve(b, t->rows, NULL, &x, &y, &e, &share, err);
    for (size_t r = 0; st == BRAGG_OK && r < t->rows; r++)
        x[r] = abscissa(b, r, t->frames), y[r] = 100 * t->crystalline[r].value, e[r] = 100 * t->crystalline[r].esd;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        const bragg_track *one = &t->track[which[k]];
        char label[32];
        snprintf(label, sizeof label, "%.3f\xc2\xb0", one->two_theta_rad / BRAGG_DEG);
        st = empty_curve(b, t->rows, label, &x, &y, &e, &area[k], err);
        if (st == BRAGG_OK)
            st = empty_curve(b, t->rows, NULL, &u, &v, &w, &shift[k], err);
        for (size_t r = 0; st == BRAGG_OK && r < t->rows; r++) {
            const bragg_track_point *p = &one->at[r];
            x[r] = u[r] = abscissa(b, r, t->frames);
            y[r] = p->area.value / BRAGG_DEG, e[r] = p->area.esd / BRAGG_DEG;
            v[r] = p->there ? (p->two_theta_rad.value - one->two_theta_rad) / BRAGG_DEG : NAN, w[r] = p->two_theta_rad.esd / BRAGG_DEG;
        }
    }
    panels[0].y_label = "Area", panels[0].curves = area, panels[0].n_curves = n;
    panels[1].y_label = "Shift (\xc2\xb0)", panels[1].curves = shift, panels[1].n_curves = n;
    panels[2].y_label = "Crystalline (%)", panels[2].curves = &share, panels[2].n_curves = 1;
    return st == BRAGG_OK && n ? draw(b, panels, 3, "peaks-course", err) : st;
}

/* ------------------------------------------------------------------- smooth */

/* The fits as they are, and the course through them. */
static bragg_status smooth_panel(const sheet *b, const bragg_smooth *m, size_t k, bragg_plot_panel *to, bragg_error *err)
{
    bragg_plot_curve *curves = bragg_arena_alloc(b->arena, 2, sizeof *curves);
    size_t p = m->param[k];
    double *x, *y, *e, *u, *v, *w;
    char label[140];
    if (!curves)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for curves");
    bragg_status st = empty_curve(b, m->n, "smoothed", &x, &y, &e, &curves[0], err);
    if (st == BRAGG_OK)
        st = empty_curve(b, m->n, "fits", &u, &v, &w, &curves[1], err);
    for (size_t i = 0; st == BRAGG_OK && i < m->n; i++) {
        const bragg_step *t = &b->s->step[i];
        bool fitted = t->done && t->esd[p] > 0;
        x[i] = u[i] = b->axis.x[i];
        y[i] = m->value[i * m->n_params + k], e[i] = m->esd[i * m->n_params + k];
        v[i] = fitted ? t->value[p] : NAN, w[i] = fitted ? t->esd[p] : NAN;
    }
    snprintf(label, sizeof label, "%.100s", b->s->name[p] + strlen("phase."));
    *to = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
    to->y_label = bragg_arena_strdup(b->arena, label);
    to->curves = curves;
    to->n_curves = 2;
    return st;
}

static bragg_status plot_smooth(const sheet *b, const bragg_smooth *m, bragg_error *err)
{
    bragg_plot_panel panels[MOST_PANELS];
    size_t n = 0;
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < m->n_params && n < MOST_PANELS && st == BRAGG_OK; k++)
        if (strstr(b->s->name[m->param[k]], ".cell."))
            st = smooth_panel(b, m, k, &panels[n++], err);
    return st == BRAGG_OK && n ? draw(b, panels, n, "smooth-course", err) : st;
}

bragg_status bragg_plot_analysis(const bragg_analysis *a, const bragg_series *s, size_t frames_a_row, const char *folder, bool force, bragg_error *err)
{
    sheet b = { .s = s, .arena = bragg_arena_new(), .folder = folder, .force = force };
    bragg_status st = b.arena ? bragg_report_choose_axis(s, b.arena, &b.axis, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for figures");
    if (st == BRAGG_OK && a->tracks)
        st = plot_peaks(&b, a->tracks, err);
    if (st == BRAGG_OK && a->factors)
        st = plot_components(&b, a->factors, frames_a_row, err);
    if (st == BRAGG_OK && a->smooth)
        st = plot_smooth(&b, a->smooth, err);
    bragg_arena_free(b.arena);
    return st;
}
