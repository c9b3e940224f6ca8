/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was found without a model, and the smoothed series, as figures. */
#include "config.h"
#include "figure.h"
#include "report.h"

#include <bragg/analysis.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CURVES = 8, MOST_PANELS = 8 };

typedef bragg_report_sheet sheet;

static bragg_status empty_curve(const sheet *b, size_t n, const char *label, double **x, double **y, double **esd, bragg_plot_curve *out, bragg_error *err)
{
    *x = bragg_arena_alloc(b->arena, 3 * n + 1, sizeof(double));
    *y = *x ? *x + n : NULL, *esd = *x ? *x + 2 * n : NULL;
    const char *own = label ? bragg_arena_strdup(b->arena, label) : NULL;
    *out = (bragg_plot_curve){ n, *x, *y, *esd, own };
    return *x && (own || !label) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a curve of %zu points", n);
}

/* --------------------------------------------------------------- components */

static bragg_status plot_components(const sheet *b, const bragg_components *f, size_t frames, bragg_error *err)
{
    bragg_plot_curve curves[MOST_CURVES];
    bragg_plot_panel panel = BRAGG_PLOT_PANEL_INIT;
    bragg_status st = BRAGG_OK;
    panel.y_label = "Share of the intensity (%)";
    panel.share = true;
    panel.curves = curves;
    for (size_t k = 0; k < f->n && k < MOST_CURVES && st == BRAGG_OK; k++) {
        double *x, *y, *e;
        char label[32];
        snprintf(label, sizeof label, "component %zu", k);
        st = empty_curve(b, f->rows, label, &x, &y, &e, &curves[k], err);
        for (size_t r = 0; st == BRAGG_OK && r < f->rows; r++)
            x[r] = bragg_report_middle(b->s, b->axis.x, f->row[r], frames), y[r] = 100 * f->concentration[r * f->n + k], e[r] = 100 * f->esd[r * f->n + k];
        panel.n_curves = k + 1;
    }
    return st == BRAGG_OK ? bragg_report_courses(b, &panel, 1, "components-course", err) : st;
}

/* -------------------------------------------------------------------- peaks */

/* Over the run: a single row may be fitted wrongly. */
static double total_of(const bragg_track *t, size_t rows)
{
    double sum = 0;
    for (size_t r = 0; r < rows; r++)
        sum += t->at[r].there && t->at[r].two_theta_rad.esd > 0 ? fmax(t->at[r].area.value, 0) : 0;
    return sum;
}

/* The strongest peaks, in the order of their places. */
static size_t strongest(const bragg_tracks *t, size_t *which)
{
    size_t n = 0;
    for (size_t k = 0; k < t->n; k++) {
        size_t above = 0;
        for (size_t j = 0; j < t->n; j++)
            above += total_of(&t->track[j], t->rows) > total_of(&t->track[k], t->rows);
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
        x[r] = bragg_report_middle(b->s, b->axis.x, r, t->frames), y[r] = 100 * t->crystalline[r].value, e[r] = 100 * t->crystalline[r].esd;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        const bragg_track *one = &t->track[which[k]];
        char label[32], angle[24];
        bragg_fig_fixed(angle, sizeof angle, one->two_theta_rad / BRAGG_DEG, 3);
        snprintf(label, sizeof label, "%s\xc2\xb0", angle);
        st = empty_curve(b, t->rows, label, &x, &y, &e, &area[k], err);
        if (st == BRAGG_OK)
            st = empty_curve(b, t->rows, NULL, &u, &v, &w, &shift[k], err);
        for (size_t r = 0; st == BRAGG_OK && r < t->rows; r++) {
            const bragg_track_point *p = &one->at[r];
            x[r] = u[r] = bragg_report_middle(b->s, b->axis.x, r, t->frames);
            y[r] = p->area.value / BRAGG_DEG, e[r] = p->area.esd / BRAGG_DEG;
            v[r] = p->there ? (p->two_theta_rad.value - one->two_theta_rad) / BRAGG_DEG : NAN, w[r] = p->two_theta_rad.esd / BRAGG_DEG;
        }
    }
    bool known = false;
    for (size_t r = 0; r < t->rows; r++)
        known |= isfinite(t->crystalline[r].value);
    panels[0].y_label = "Area (counts \xc2\xb0)", panels[0].curves = area, panels[0].n_curves = n;
    panels[1].y_label = "Shift in 2<i>\xce\xb8</i> (\xc2\xb0)", panels[1].curves = shift, panels[1].n_curves = n;
    panels[2].y_label = "Crystalline (%)", panels[2].curves = &share, panels[2].n_curves = 1, panels[2].share = true;
    return st == BRAGG_OK && n ? bragg_report_courses(b, panels, known ? 3 : 2, "peaks-course", err) : st;
}

/* ------------------------------------------------------------------- smooth */

/* The fits as they are, and the course through them. */
static bragg_status smooth_panel(const sheet *b, const bragg_smooth *m, size_t k, bragg_plot_panel *to, bragg_error *err)
{
    bragg_plot_curve *curves = bragg_arena_alloc(b->arena, 2, sizeof *curves);
    size_t p = m->param[k];
    double *x, *y, *e, *u, *v, *w;
    if (!curves)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for curves");
    bragg_status st = empty_curve(b, m->n, "smoothed", &x, &y, &e, &curves[0], err);
    if (st == BRAGG_OK)
        st = empty_curve(b, m->n, "fits", &u, &v, &w, &curves[1], err);
    for (size_t i = 0; st == BRAGG_OK && i < m->n; i++) {
        const bragg_frame_fit *t = bragg_series_fitted(b->s, i);
        bool fitted = t->done && t->esd[p] > 0;
        x[i] = u[i] = b->axis.x[i];
        y[i] = m->value[i * m->n_params + k], e[i] = m->esd[i * m->n_params + k];
        v[i] = fitted ? t->value[p] : NAN, w[i] = fitted ? t->esd[p] : NAN;
    }
    *to = (bragg_plot_panel)BRAGG_PLOT_PANEL_INIT;
    to->y_label = bragg_report_param_label(b->s, p, b->arena);
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
    return st == BRAGG_OK && n ? bragg_report_courses(b, panels, n, "smooth-course", err) : st;
}

bragg_status bragg_plot_analysis(const bragg_analysis *a, const bragg_series *s, size_t frames_a_row, const char *folder, bool force, bragg_error *err)
{
    sheet b = { .s = s, .folder = folder, .force = force };
    bragg_status st = bragg_report_sheet_open(&b, err);
    if (st == BRAGG_OK && a->tracks)
        st = plot_peaks(&b, a->tracks, err);
    if (st == BRAGG_OK && a->components)
        st = plot_components(&b, a->components, frames_a_row, err);
    if (st == BRAGG_OK && a->smooth)
        st = plot_smooth(&b, a->smooth, err);
    bragg_arena_free(b.arena);
    return st;
}
