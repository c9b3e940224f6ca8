/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happened: episodes between the comings and goings of phases, and whether each
 * was a change of amounts or of cells. */
#include "config.h"
#include "operando.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Weighted sums of squares of y about its mean and about a line over the frames. */
typedef struct course {
    size_t n;
    double about_mean, about_line, first, last;
} course;

static course follow_course(const bragg_series *s, const bragg_episode *e, size_t phase, bool volume)
{
    double w = 0, wt = 0, wy = 0, wtt = 0, wty = 0, wyy = 0;
    course c = { 0, 0, 0, NAN, NAN };
    for (size_t k = e->first; k <= e->last; k++) {
        const bragg_step *t = &s->step[k];
        if (!t->done || !(t->level[phase] > 0))
            continue;
        bragg_quantity q = volume ? t->volume[phase] : t->fraction[phase];
        double esd = q.esd * (t->serial > 1 ? t->serial : 1), x = (double)(k - e->first);
        if (!(esd > 0) || !isfinite(q.value))
            continue;
        double i = 1 / (esd * esd);
        w += i, wt += i * x, wy += i * q.value, wtt += i * x * x, wty += i * x * q.value, wyy += i * q.value * q.value;
        c.n++;
    }
    double sxx = wtt - wt * wt / w, sxy = wty - wt * wy / w, slope = sxx > 0 ? sxy / sxx : 0;
    if (!c.n)
        return c;
    c.about_mean = fmax(wyy - wy * wy / w, 0);
    c.about_line = fmax(c.about_mean - slope * sxy, 0);
    c.first = (wy - slope * wt) / w;
    c.last = c.first + slope * (double)(e->last - e->first);
    return c;
}

/* Two descriptions with one slope a phase each: amounts change and cells stand still,
 * or cells change and amounts stand still.  Half the difference of their BIC is the
 * logarithm of the odds (R. E. Kass & A. E. Raftery, J. Am. Stat. Assoc. 90 (1995) 773);
 * scatter about both lines sets the scale, so that neither gains by esds too small. */
static void judge(const bragg_series *s, bragg_episode *e)
{
    double amounts = 0, cells = 0, neither = 0, both = 0, points = 0, lines = 0;
    size_t phases = 0;
    for (size_t i = 0; i < s->n_phases; i++) {
        course f = follow_course(s, e, i, false), v = follow_course(s, e, i, true);
        if (f.n < 4 && v.n < 4)
            continue;
        phases++;
        amounts += f.about_line + v.about_mean;
        cells += f.about_mean + v.about_line;
        neither += f.about_mean + v.about_mean;
        both += f.about_line + v.about_line;
        points += (double)(f.n + v.n);
        lines += 2;
    }
    e->n_phases = phases;
    double scale = points > 2 * lines ? fmax(both / (points - 2 * lines), 1) : 1;
    e->log_odds = (cells - amounts) / scale / 2;
    double price = lines / 2 * log(fmax(points, 2)), gain_amounts = (neither - amounts) / scale - price, gain_cells = (neither - cells) / scale - price;
    double more = (fmin(amounts, cells) - both) / scale - price; /* has the second something to add? */
    e->verdict = !phases || points < 8 ? BRAGG_VERDICT_UNKNOWN
               : gain_amounts < 10 && gain_cells < 10 ? BRAGG_VERDICT_NOTHING
               : gain_amounts > 10 && gain_cells > 10 && more > 10 ? BRAGG_VERDICT_BOTH
               : e->log_odds > 0 && phases > 1 ? BRAGG_VERDICT_TWO_PHASE : e->log_odds > 0 ? BRAGG_VERDICT_NOTHING : BRAGG_VERDICT_SOLID_SOLUTION;
}

static bool same_phases(const bragg_series *s, size_t a, size_t b)
{
    for (size_t i = 0; i < s->n_phases; i++)
        if ((s->step[a].level[i] > 0) != (s->step[b].level[i] > 0))
            return false;
    return true;
}

static bool new_step(const bragg_series *s, size_t a, size_t b)
{
    double x = s->step[a].log.kind, y = s->step[b].log.kind;
    return isfinite(x) && isfinite(y) && x != y;
}

bragg_status bragg_series_episodes(const bragg_series *s, bragg_arena *arena, bragg_episode **out, size_t *n, bragg_error *err)
{
    *out = bragg_arena_alloc(arena, s->n + 1, sizeof **out);
    *n = 0;
    if (!*out)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu episodes", s->n);
    size_t last = SIZE_MAX;
    for (size_t k = 0; k < s->n; k++) {
        if (!s->step[k].done)
            continue;
        if (last == SIZE_MAX || !same_phases(s, last, k) || new_step(s, last, k))
            (*out)[(*n)++] = (bragg_episode){ .first = k };
        (*out)[*n - 1].last = last = k;
    }
    for (size_t k = 0; k < *n; k++)
        judge(s, &(*out)[k]);
    return BRAGG_OK;
}

const char *bragg_verdict_name(bragg_verdict v)
{
    static const char *const names[] = { "too short to tell", "nothing changes", "two-phase", "solid solution", "amounts and cells change" };
    return names[v];
}
