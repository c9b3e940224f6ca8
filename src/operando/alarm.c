/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Peaks that no phase of the list explains, named: what the fits leave in the frames
 * where they stand, through the card set. */
#include "config.h"
#include "analyse.h"

#include <bragg/cards.h>
#include <bragg/units.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GROUPS = 6 };

typedef struct rows {
    const double *observed, *calculated, *sigma;
} rows;

static rows rows_at(const bragg_store_curves *c, size_t row, double *room)
{
    return (rows){ bragg_store_curves_row(c, BRAGG_CURVE_OBSERVED, row, room), bragg_store_curves_row(c, BRAGG_CURVE_CALCULATED, row, room + c->n),
                   bragg_store_curves_row(c, BRAGG_CURVE_SIGMA, row, room + 2 * c->n) };
}

/* What stays of rows first ... last on the average.  Profiles are never quite right:
 * where the model has peaks a part of their height is doubt. */
static bragg_pattern *remainder_of(const bragg_store_curves *c, size_t first, size_t last, double wavelength_ang)
{
    bragg_pattern *p = bragg_pattern_new(c->n, BRAGG_AXIS_TTH);
    double lowest = INFINITY, *room = p ? malloc((3 * c->n + 1) * sizeof *room) : NULL;
    struct sums { double left, variance, model, m; } *sum = room ? calloc(c->n + 1, sizeof *sum) : NULL;
    size_t n = 0;
    if (!sum) {
        free(room);
        bragg_pattern_free(p);
        return NULL;
    }
    for (size_t r = first; r <= last && r < c->rows; r++) {
        rows now = rows_at(c, r, room);
        for (size_t i = 0; i < c->n; i++) {
            double y = now.observed[i], model = now.calculated[i], s = now.sigma[i];
            if (!isfinite(y) || !isfinite(model) || !(s > 0))
                continue;
            sum[i].left += y - model, sum[i].model += model, sum[i].variance += s * s;
            sum[i].m++;
        }
    }
    for (size_t i = 0; i < c->n; i++) {
        double m = sum[i].m, model = sum[i].model / m;
        if (!(m > 0))
            continue;
        lowest = fmin(lowest, model);
        p->x[n] = c->x_rad[i], p->y[n] = sum[i].left / m;
        p->sigma[n++] = hypot(sqrt(sum[i].variance) / m, 0.1 * fmax(model - lowest, 0));
    }
    free(sum);
    free(room);
    double base = 0;
    for (size_t i = 0; p && i < n; i++)
        base = fmax(base, 3 * p->sigma[i] - p->y[i]);
    for (size_t i = 0; p && i < n; i++)
        p->y[i] += base; /* intensities of a pattern are positive */
    if (p) {
        p->n = n;
        p->wavelength_ang = wavelength_ang;
    }
    return p;
}

/* What stands at x in a row beyond the model and the neighbourhood, over its sigma; room
 * for three rows. */
static double excess_at(const bragg_store_curves *c, size_t row, double x, double *room)
{
    enum { HALF = 4 };
    size_t at = 0;
    double inner = 0, outer = 0, vi = 0, vo = 0, ni = 0, no = 0;
    rows now = rows_at(c, row, room);
    while (at + 1 < c->n && c->x_rad[at] < x)
        at++;
    for (size_t i = at > 4 * HALF ? at - 4 * HALF : 0; i < c->n && i <= at + 4 * HALF; i++) {
        double d = now.observed[i] - now.calculated[i], s = now.sigma[i];
        size_t off = i > at ? i - at : at - i;
        if (!isfinite(d) || !(s > 0) || (off > HALF && off <= 2 * HALF))
            continue;
        if (off <= HALF)
            inner += d, vi += s * s, ni++;
        else
            outer += d, vo += s * s, no++;
    }
    return ni > 0 && no > 0 ? (inner / ni - outer / no) / sqrt(vi / (ni * ni) + vo / (no * no)) : NAN;
}

/* A peak is told when nothing else can be meant; once it is known where, it can be
 * followed to where it began: as long as two rows of three have it at two sigmas. */
static void reach_back(const bragg_store_curves *c, bragg_alarm *a, double *room)
{
    size_t row = a->first / c->frames;
    for (size_t r = row; r-- > 0;) {
        size_t seen = 0, looked = 0;
        for (size_t k = r + 1; k-- > 0 && looked < 3; looked++)
            seen += excess_at(c, k, a->two_theta_rad, room) > 2;
        if (seen < 2)
            break;
        if (excess_at(c, r, a->two_theta_rad, room) > 2)
            a->first = r * c->frames;
    }
}

/* Peaks that come within a few frames of each other are one phase's. */
static size_t group_alarms(const bragg_series *s, size_t *group)
{
    size_t n = 0, near = s->n / 20 > 4 ? s->n / 20 : 4;
    for (size_t k = 0; k < s->n_alarms; k++)
        group[k] = SIZE_MAX;
    for (size_t turn = 0; turn < MOST_GROUPS; turn++) {
        size_t strongest = SIZE_MAX;
        for (size_t k = 0; k < s->n_alarms; k++)
            if (group[k] == SIZE_MAX && (strongest == SIZE_MAX || s->alarm[k].significance > s->alarm[strongest].significance))
                strongest = k;
        if (strongest == SIZE_MAX)
            break;
        for (size_t k = 0; k < s->n_alarms; k++) {
            size_t a = s->alarm[k].first, b = s->alarm[strongest].first;
            if (group[k] == SIZE_MAX && (a > b ? a - b : b - a) <= near)
                group[k] = n;
        }
        n++;
    }
    return n;
}

static const char *names_of(const bragg_hypothesis *h, bragg_arena *arena)
{
    char text[400];
    size_t used = 0;
    for (size_t k = 0; k < h->n && used < sizeof text; k++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.80s", k ? " + " : "", h->phase[k].name);
    return bragg_arena_strdup(arena, text);
}

static bragg_status name_group(const bragg_cards *cards, const bragg_series *s, const bragg_store_curves *c, const bragg_radiation *radiation, const size_t *group, size_t which,
                               bragg_error *err)
{
    size_t first = SIZE_MAX, last = 0;
    for (size_t k = 0; k < s->n_alarms; k++)
        if (group[k] == which) {
            first = s->alarm[k].first < first ? s->alarm[k].first : first;
            last = s->alarm[k].last > last ? s->alarm[k].last : last;
        }
    bragg_pattern *p = remainder_of(c, first / c->frames, last / c->frames, radiation->wavelength_ang[0]);
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_identification *found = NULL;
    bragg_error ignored = BRAGG_ERROR_INIT;
    o.radiation = *radiation;
    o.refine = false;
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
    bragg_status st = p->n > 50 ? bragg_identify(cards, p, &o, &found, &ignored) : BRAGG_EDATA;
    bool named = st >= 0 && found->n && found->hypothesis[0].n && !found->hypothesis[0].guess;
    const char *names = named ? names_of(&found->hypothesis[0], s->arena) : NULL;
    for (size_t k = 0; named && k < s->n_alarms; k++)
        if (group[k] == which) {
            s->alarm[k].cards = names;
            s->alarm[k].score = found->hypothesis[0].score;
        }
    if (found)
        bragg_identification_free(found);
    bragg_pattern_free(p);
    return st == BRAGG_ENOMEM ? bragg_fail(err, st, "%s", ignored.text) : BRAGG_OK;
}

bragg_status bragg_series_name_alarms(bragg_series *s, const bragg_store_curves *c, const bragg_experiment *x, bragg_error *err)
{
    bragg_cards *cards = NULL;
    bragg_error ignored = BRAGG_ERROR_INIT;
    double *room = malloc((3 * c->n + 1) * sizeof *room);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for alarms");
    for (size_t k = 0; k < s->n_alarms && c->rows; k++)
        reach_back(c, &s->alarm[k], room);
    free(room);
    if (!s->n_alarms || !c->rows || bragg_cards_find_set(NULL, NULL, &cards, &ignored) < 0)
        return BRAGG_OK; /* an alarm without a name is one, too */
    size_t *group = malloc((s->n_alarms + 1) * sizeof *group), n = group ? group_alarms(s, group) : 0;
    bragg_status st = group ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for alarms");
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = name_group(cards, s, c, &x->pattern->histogram.radiation, group, k, err);
    free(group);
    bragg_cards_free(cards);
    return st;
}
