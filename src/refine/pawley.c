/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities as parameters: G. S. Pawley, J. Appl. Cryst. 14 (1981) 357. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Rows "phase.NAME.intensity.h_k_l", one a reflection and pattern: |F|^2 as the
 * model means it. */
bragg_status bragg_refine_add_intensity_rows(bragg_model *m, phase *p, size_t which, bool positive, bragg_error *err)
{
    mix *x = &p->mix[which];
    bragg_status st = BRAGG_OK;
    for (size_t r = 0; r < p->n_reflections && st == BRAGG_OK; r++) {
        char name[200];
        size_t row;
        const bragg_reflection *h = &p->reflection[r];
        snprintf(name, sizeof name, "phase.%s.intensity.%d_%d_%d", p->name, h->h, h->k, h->l);
        st = bragg_params_add_bounded(&m->params, m->histogram[which].name, name, "", 1, positive ? 0 : -INFINITY, INFINITY, &row, err);
        if (r == 0)
            x->intensity_row = row;
    }
    return st;
}

void bragg_refine_pawley_reset(bragg_model *m)
{
    for (size_t i = 0; i < m->n_phases; i++)
        m->phase[i].extracted = m->phase[i].extracted || m->phase[i].pawley;
    bragg_refine_place_restraints(m);
}

/* Seen by the pattern: also a peak whose flank alone stands in range. */
static bool is_within(const histogram *h, const peak *e)
{
    double flank = 1.5 * e->fwhm;
    return e->position > h->x[0] - flank && e->position < h->x[h->n - 1] + flank && e->last > e->first;
}

/* Two reflections that fall together show only their sum: their difference is held
 * at 0 with a sigma of three times their mean, which counts only where the pattern is silent.
 * Pawley's slack constraints, as loose as they can be. */
static bragg_status restrain_pair(bragg_model *m, const mix *x, const peak *a, const peak *b, double typical, bragg_error *err)
{
    const double at_widths = 0.3;
    double apart = fabs(a->position - b->position) / fmax(a->fwhm, b->fwhm);
    if (!(apart < at_widths))
        return BRAGG_OK;
    double mean = fmax((fabs(x->f2[a->reflection]) + fabs(x->f2[b->reflection])) / 2, 0.01 * typical);
    restraint *new;
    bragg_status st = bragg_refine_add_restraint(m, RESTRAINT_DIFFERENCE, &new, err);
    if (st < 0)
        return st;
    new->row[0] = x->intensity_row + a->reflection;
    new->row[1] = x->intensity_row + b->reflection;
    new->sigma = 3 * mean;
    new->passing = true;
    return BRAGG_OK;
}

/* Mean over the last fifty peaks in range: what stands beyond is like those. */
static double mean_seen(const histogram *h, size_t i, const mix *x)
{
    double sum = 0;
    size_t n = 0;
    for (size_t k = h->n_peaks; k-- > 0 && n < 50;)
        if (h->peak[k].phase == i && h->listed[k].line == 0 && h->peak[k].position < h->x[h->n - 1] && h->peak[k].position > h->x[0]) {
            sum += fabs(x->f2[h->peak[k].reflection]);
            n++;
        }
    return n ? sum / (double)n : 0;
}

static int by_position(const void *a, const void *b)
{
    const peak *x = *(const peak *const *)a, *y = *(const peak *const *)b;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* The first line's peaks of a phase in range; their rows are freed and start at the
 * extracted intensities. */
static bragg_status free_intensities(bragg_model *m, size_t i, size_t which, bragg_error *err)
{
    const histogram *h = &m->histogram[which];
    const phase *p = &m->phase[i];
    const mix *x = &p->mix[which];
    const peak **list = calloc(h->n_peaks + 1, sizeof *list);
    size_t n = 0;
    bragg_status st = list ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", h->n_peaks);
    double typical = mean_seen(h, i, x);
    for (size_t r = 0; r < p->n_reflections; r++) /* of a tail alone nobody knows the peak */
        m->params.at[x->intensity_row + r].value = typical;
    for (size_t k = 0; st == BRAGG_OK && k < h->n_peaks; k++) {
        const peak *e = &h->peak[k];
        if (e->phase != i || h->listed[k].line != 0 || !is_within(h, e))
            continue;
        m->params.at[x->intensity_row + e->reflection].refine = true;
        m->params.at[x->intensity_row + e->reflection].value = x->f2[e->reflection];
        list[n++] = e;
    }
    if (list)
        qsort(list, n, sizeof *list, by_position);
    for (size_t k = 1; k < n && st == BRAGG_OK; k++)
        st = restrain_pair(m, x, list[k - 1], list[k], typical, err);
    free(list);
    return st;
}

bragg_status bragg_refine_pawley_begin(bragg_model *m, bragg_error *err)
{
    bragg_status st = bragg_refine_prepare(m, &m->params, NULL, err);
    bragg_refine_drop_passing(m);
    for (size_t i = 0; i < m->n_phases; i++)
        for (size_t h = 0; m->phase[i].pawley && h < m->n_histograms && st == BRAGG_OK; h++)
            st = free_intensities(m, i, h, err);
    for (size_t i = 0; i < m->n_phases; i++)
        if (m->phase[i].pawley)
            m->phase[i].extracted = false;
    bragg_refine_place_restraints(m);
    return st;
}

bool bragg_refine_has_pawley(const bragg_model *m)
{
    for (size_t i = 0; i < m->n_phases; i++)
        if (m->phase[i].pawley)
            return true;
    return false;
}
