/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What earlier frames have said of a phase's cell and widths.
 *
 * A phase that is hardly seen does not tell its cell and the width of its lines, but the frames
 * before have.  What they said, with the doubt that it has by now, is expected of the fit: so the
 * weight of what is hardly seen is neither that of a wrong width nor more certain than the
 * width is, and a phase that comes back is first looked for where it was.  Of each parameter
 * a Kalman filter of one state (R. E. Kalman, J. Basic Eng. 82 (1960) 35) is kept.
 *
 * Phases whose intensities are extracted (the windows of a cell) find something everywhere
 * when nothing holds their cells: each is expected near where it was, loosely. */
#include "config.h"
#include "fitting.h"

#include <math.h>
#include <string.h>

static bool begins_with(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

bool bragg_memory_is_width(const seq_worker *w, size_t k)
{
    const char *rest;
    return bragg_seq_phase_of(&w->shape, w->shape.name[k], &rest) != SIZE_MAX && (begins_with(rest, "size") || begins_with(rest, "strain"));
}

bool bragg_memory_is_loose(const seq_worker *w, size_t k)
{
    return w->kind[k] == KIND_CELL && w->phase_of[k] != SIZE_MAX && w->x->phase[w->phase_of[k]].extract;
}

static bool is_remembered(const seq_worker *w, size_t k)
{
    if (bragg_memory_is_loose(w, k))
        return true;
    return w->phase_of[k] != SIZE_MAX && may_go(w, w->phase_of[k]) && (w->kind[k] == KIND_CELL || bragg_memory_is_width(w, k));
}

/* The phase is too weak to tell it by itself. */
bool bragg_memory_is_expected(const seq_worker *w, size_t k)
{
    size_t i = w->phase_of[k];
    return i != SIZE_MAX && w->level[i] > 0 && (w->kind[k] > w->level[i] || bragg_memory_is_loose(w, k)) && w->doubt[k] > 0;
}

/* Earlier frames have told its cell. */
bool bragg_memory_was_seen(const seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && w->kind[k] == KIND_CELL && w->doubt[k] > 0)
            return true;
    return false;
}

/* What a part of it is a part of: a window that stands off by a part of the distance has its lines
 * where one whose lattice is larger by as much has them. */
static double extent(const seq_worker *w, size_t k, double value)
{
    return w->kind[k] == KIND_CELL && !is_edge(w, k) ? 1000 * w->x->pattern->histogram.radius_m : fabs(value);
}

/* How far it may wander in a frame: lattices by a ten thousandth, widths by a twentieth.
 * Faster ones are those of phases that react, and are strong. */
static double wanders(const seq_worker *w, size_t k, double value)
{
    return w->kind[k] == KIND_CELL ? 1e-4 * extent(w, k, value) : 0.05 * fmax(fabs(value), strstr(w->shape.name[k], ".strain") ? 1000 : 0);
}

/* What a neighbour knows, so many frames later. */
static void recall(const seq_worker *w, const double *row, size_t apart, size_t k, double *known, double *doubt)
{
    *known = row ? row[seq_known(&w->shape, k)] : NAN;
    *doubt = row ? hypot(row[seq_doubt(&w->shape, k)], wanders(w, k, *known) * sqrt((double)apart)) : NAN;
}

void bragg_memory_start(seq_worker *w, const seq_start *start)
{
    size_t n = w->shape.n_params;
    w->apart = start->from_apart;
    for (size_t k = 0; k < n; k++) {
        double known, doubt;
        recall(w, start->from, start->from_apart, k, &w->known[k], &w->doubt[k]);
        recall(w, start->hint, start->hint_apart, k, &known, &doubt);
        if (doubt > 0 && !(w->doubt[k] <= doubt))
            w->known[k] = known, w->doubt[k] = doubt;
    }
}

void bragg_memory_forget(seq_worker *w)
{
    for (size_t k = 0; k < 2 * w->shape.n_params; k++)
        w->known[k] = NAN;
}

/* As the experiment says, to a hundredth. */
void bragg_memory_forget_windows(seq_worker *w)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (bragg_memory_is_loose(w, k))
            w->known[k] = w->initial[k], w->doubt[k] = 0.01 * extent(w, k, w->initial[k]);
}

/* A fit has told it well enough to be of use. */
static bool is_told(const seq_worker *w, size_t k, double value, double esd)
{
    if (!(esd > 0) || !isfinite(esd))
        return false;
    return w->kind[k] == KIND_CELL ? esd < 2e-3 * extent(w, k, value) : esd < 0.5 * fmax(fabs(value), strstr(w->shape.name[k], ".strain") ? 1000 : 0);
}

/* After the fit.  What the phase told by itself joins what was known, unless both disagree. */
void bragg_memory_learn(seq_worker *w, double widening)
{
    for (size_t k = 0; k < w->shape.n_params; k++) {
        double value = param(w, k)->value, esd = param(w, k)->esd * widening, known = w->known[k], doubt = w->doubt[k];
        if (!is_remembered(w, k) || !param(w, k)->refine || !is_told(w, k, value, esd))
            continue;
        if (bragg_memory_is_expected(w, k) && !bragg_memory_is_loose(w, k)) {
            w->known[k] = value, w->doubt[k] = fmin(esd, doubt);
        } else if (doubt > 0 && fabs(value - known) < 3 * hypot(doubt, esd)) {
            double gain = doubt * doubt / (doubt * doubt + esd * esd);
            w->known[k] += gain * (value - known), w->doubt[k] = doubt * sqrt(1 - gain);
        } else {
            w->known[k] = value, w->doubt[k] = esd;
        }
    }
}

bragg_status bragg_memory_expect(seq_worker *w, bragg_error *err)
{
    size_t n = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (param(w, k)->refine && bragg_memory_is_expected(w, k))
            w->expect_row[n] = w->row[k], w->expect_value[n] = w->known[k], w->expect_sigma[n++] = bragg_memory_is_loose(w, k) ? fmax(w->doubt[k], 3e-3 * extent(w, k, w->known[k])) : w->doubt[k];
    return bragg_model_expect(w->m, w->expect_row, w->expect_value, w->expect_sigma, n, err);
}

/* What is known may be wrong, but not for nothing: up to a free parameter's price each. */
double bragg_memory_contradiction(const seq_worker *w, size_t phase)
{
    double sum = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && w->doubt[k] > 0)
            sum += fmin(pow((param(w, k)->value - w->known[k]) / w->doubt[k], 2), log_points(w));
    return sum;
}

/* Then it is known no longer. */
void bragg_memory_believe(seq_worker *w, size_t phase)
{
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (w->phase_of[k] == phase && fabs(param(w, k)->value - w->known[k]) > 3 * w->doubt[k])
            w->doubt[k] = NAN;
}

/* A free edge or offset of the phase that earlier frames have told, too. */
static bool is_told_twice(const seq_worker *w, size_t phase, size_t k)
{
    return w->phase_of[k] == phase && w->kind[k] == KIND_CELL && param(w, k)->refine && w->doubt[k] > 0 && !bragg_memory_is_expected(w, k);
}

double bragg_memory_leap(const seq_worker *w, size_t phase, double widening)
{
    double most = 0;
    for (size_t k = 0; k < w->shape.n_params; k++) {
        const bragg_param *p = param(w, k);
        if (is_told_twice(w, phase, k))
            most = fmax(most, fabs(p->value - w->known[k]) / hypot(w->doubt[k], isfinite(p->esd) ? p->esd * widening : 0));
    }
    return most;
}

double bragg_memory_dispute(const seq_worker *w, size_t phase)
{
    double sum = 0;
    for (size_t k = 0; k < w->shape.n_params; k++)
        if (is_told_twice(w, phase, k))
            sum += pow((param(w, k)->value - w->known[k]) / w->doubt[k], 2);
    return sum;
}
