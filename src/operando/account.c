/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happened: the run cut into intervals of steady change, and for each the evidence
 * that it was a change of amounts or of cells.
 *
 *      fractions ─┐  lines over frames,          transfer between phases ─┐
 *      volumes  ──┴► cut where they bend  ──►    strain of the cells ─────┴► four descriptions */
#include "config.h"
#include "operando.h"

#include <bragg/number.h>
#include <bragg/units.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MOST_BINS = 1500, SHORTEST = 4 };

/* What fits never tell better than, whatever their esds say: they know nothing of texture
 * that changes, of absorption, of curves that are not quite lines. */
static const double fraction_floor = 0.005, strain_floor = 0.0003;

/* ------------------------------------------------------------- courses
 *
 * A course is a fraction or the logarithm of a volume; of each prefix sums of weight,
 * weight * t, ... so that the line through any interval costs nothing. */
enum { W, WT, WY, WTT, WTY, WYY, SUMS };
typedef struct courses {
    size_t n, n_phases, each;  /* bins of `each` frames */
    double *sums;              /* [bin + 1][course][SUMS]; fractions first, then volumes */
    bool *forced;              /* an interval begins at this bin whatever the courses say */
} courses;

static double *at(const courses *c, size_t bin, size_t course) { return c->sums + (bin * 2 * c->n_phases + course) * SUMS; }

static void add_point(double *to, double t, double y, double sigma)
{
    double w = 1 / (sigma * sigma);
    if (!isfinite(w) || !isfinite(y))
        return;
    to[W] += w, to[WT] += w * t, to[WY] += w * y, to[WTT] += w * t * t, to[WTY] += w * t * y, to[WYY] += w * y * y;
}

static bool counts(const bragg_frame_fit *s) { return s->done && s->status != BRAGG_FRAME_POOR; }

static void add_frame(const courses *c, const bragg_series *s, size_t k, double *to)
{
    const bragg_frame_fit *step = bragg_series_fitted(s, k);
    for (size_t i = 0; counts(step) && i < c->n_phases; i++) {
        double t = (double)k;
        bragg_quantity f = step->fraction[i], v = step->volume[i];
        bool there = step->level[i] > 0;
        add_point(to + i * SUMS, t, f.value, hypot(fraction_floor, there ? f.esd : isfinite(step->limit[i]) ? step->limit[i] / 1.645 : 0));
        if (there && v.esd > 0)
            add_point(to + (c->n_phases + i) * SUMS, t, log(v.value), hypot(strain_floor, v.esd / v.value));
    }
}

/* The step of the log a frame belongs to, when it lasts. */
static double lasting_kind(const bragg_series *s, size_t k)
{
    double kind = bragg_series_log(s, k)->kind;
    size_t from = k, to = k;
    while (from > 0 && bragg_series_log(s, from - 1)->kind == kind)
        from--;
    while (to + 1 < s->n && bragg_series_log(s, to + 1)->kind == kind)
        to++;
    return isfinite(kind) && to - from + 1 >= SHORTEST ? kind : NAN;
}

static bragg_status sum_courses(const bragg_series *s, bragg_arena *arena, courses *c, bragg_error *err)
{
    c->n_phases = s->n_phases;
    c->each = (s->n + MOST_BINS - 1) / MOST_BINS;
    c->n = c->each ? (s->n + c->each - 1) / c->each : 0;
    size_t row = 2 * c->n_phases * SUMS;
    c->sums = bragg_arena_alloc(arena, (c->n + 1) * row + 1, sizeof *c->sums);
    c->forced = bragg_arena_alloc(arena, c->n + 1, sizeof *c->forced);
    if (!c->sums || !c->forced)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the courses of %zu frames", s->n);
    double before = NAN;
    for (size_t b = 0; b < c->n; b++) {
        memcpy(at(c, b + 1, 0), at(c, b, 0), row * sizeof(double));
        for (size_t k = b * c->each; k < s->n && k < (b + 1) * c->each; k++) {
            double kind = lasting_kind(s, k);
            c->forced[b] |= isfinite(kind) && isfinite(before) && kind != before;
            before = isfinite(kind) ? kind : before;
            add_frame(c, s, k, at(c, b + 1, 0));
        }
    }
    return BRAGG_OK;
}

/* The line through a course over bins first ... last - 1: what it leaves, its height in
 * the middle, its change from the first frame to the last and the variance of that. */
typedef struct line {
    double weight, left, mean, change, variance;
} line;

static line line_of(const courses *c, size_t first, size_t last, size_t course)
{
    double s[SUMS];
    for (int k = 0; k < SUMS; k++)
        s[k] = at(c, last, course)[k] - at(c, first, course)[k];
    line l = { s[W], 0, NAN, 0, INFINITY };
    if (!(s[W] > 0))
        return l;
    double sxx = s[WTT] - s[WT] * s[WT] / s[W], sxy = s[WTY] - s[WT] * s[WY] / s[W], syy = s[WYY] - s[WY] * s[WY] / s[W];
    double length = (double)((last - first) * c->each - 1);
    l.mean = s[WY] / s[W];
    l.left = fmax(syy, 0);
    if (sxx > 1e-9 * s[WTT]) {
        l.change = sxy / sxx * length;
        l.variance = length * length / sxx;
        l.left = fmax(syy - sxy * sxy / sxx, 0);
    }
    return l;
}

/* --------------------------------------------------------------- cutting */

/* The fewest lines that leave little: an exact search over all cuts (B. Jackson et al.,
 * IEEE Signal Process. Lett. 12 (2005) 105), each cut at the price that BIC asks for its
 * place and for a line more in each course. */
static bragg_status cut(const courses *c, bragg_arena *arena, size_t *cuts, size_t *n, bragg_error *err)
{
    double *best = bragg_arena_alloc(arena, c->n + 1, sizeof *best), price = (1 + 2 * 2 * (double)c->n_phases) * log((double)(c->n + 2));
    size_t *from = bragg_arena_alloc(arena, c->n + 1, sizeof *from);
    if (!best || !from)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu cuts", c->n);
    for (size_t last = 1; last <= c->n; last++) {
        best[last] = INFINITY;
        for (size_t first = last; first-- > 0;) {
            double left = best[first] + price;
            bool short_one = last - first < SHORTEST && last - first < c->n && !(last == c->n || c->forced[last]) && first > 0 && !c->forced[first];
            for (size_t k = 0; k < 2 * c->n_phases; k++)
                left += line_of(c, first, last, k).left;
            if (!short_one && left < best[last])
                best[last] = left, from[last] = first;
            if (c->forced[first])
                break;
        }
        if (!isfinite(best[last]))
            best[last] = best[last - 1] + price, from[last] = last - 1;
    }
    *n = 0;
    for (size_t last = c->n; last > 0; last = from[last])
        cuts[(*n)++] = from[last];
    for (size_t k = 0; k < *n / 2; k++) {
        size_t keep = cuts[k];
        cuts[k] = cuts[*n - 1 - k];
        cuts[*n - 1 - k] = keep;
    }
    return BRAGG_OK;
}

/* -------------------------------------------------------------- verdicts */

/* Logarithm of the probability of a change seen as x with variance s^2, where changes
 * have the spread `usual`. */
static double log_normal(double x, double variance, double usual)
{
    double v = variance + usual * usual;
    return -0.5 * (log(2 * BRAGG_PI * v) + x * x / v);
}

/* Four descriptions of an interval, each with what it expects of the amount that went
 * over and of the mean strain of the cells; the evidence of each is the probability of
 * what was seen, changes integrated out (R. E. Kass & A. E. Raftery, J. Am. Stat. Assoc.
 * 90 (1995) 773).  Where phases turn into each other the cells still creep, by
 * coherency and with temperature; where cells change the amounts still waver, with
 * texture and absorption. */
static const struct { double transfer, strain; } expected[BRAGG_VERDICT_BOTH + 1] = {
    [BRAGG_VERDICT_NOTHING] = { 0.02, 0.0003 },
    [BRAGG_VERDICT_TWO_PHASE] = { 0.5, 0.003 },
    [BRAGG_VERDICT_SOLID_SOLUTION] = { 0.02, 0.03 },
    [BRAGG_VERDICT_BOTH] = { 0.5, 0.03 },
};

static void judge(bragg_episode *e)
{
    double vt = pow(e->transfer.esd, 2), vs = pow(e->strain.esd, 2), second = -INFINITY;
    bool amounts = e->transfer.esd > 0 && e->n_phases > 1, cells = isfinite(e->strain.esd);
    e->verdict = BRAGG_VERDICT_UNKNOWN;
    e->log_odds = e->log_certainty = 0;
    for (int v = 0; v <= BRAGG_VERDICT_BOTH; v++)
        e->log_evidence[v] = -INFINITY;
    if (e->last - e->first + 1 < SHORTEST || (!amounts && !cells))
        return;
    for (int v = BRAGG_VERDICT_NOTHING; v <= BRAGG_VERDICT_BOTH; v++)
        e->log_evidence[v] = !amounts && expected[v].transfer > 0.1 ? -INFINITY
                           : (amounts ? log_normal(e->transfer.value, vt, expected[v].transfer) : 0) + (cells ? log_normal(e->strain.value, vs, expected[v].strain) : 0);
    for (int v = BRAGG_VERDICT_NOTHING; v <= BRAGG_VERDICT_BOTH; v++)
        if (e->verdict == BRAGG_VERDICT_UNKNOWN || e->log_evidence[v] > e->log_evidence[e->verdict])
            e->verdict = (bragg_verdict)v;
    for (int v = BRAGG_VERDICT_NOTHING; v <= BRAGG_VERDICT_BOTH; v++)
        if (v != (int)e->verdict)
            second = fmax(second, e->log_evidence[v]);
    e->log_certainty = fmin(e->log_evidence[e->verdict] - second, 700);
    e->log_odds = fmax(fmin(e->log_evidence[BRAGG_VERDICT_TWO_PHASE] - e->log_evidence[BRAGG_VERDICT_SOLID_SOLUTION], 700), -700);
}

/* Changes of each phase over an episode: what merging adds up. */
typedef struct change {
    double fraction, fraction_variance, strain, strain_variance, mean;
} change;

static void find_changes(const courses *c, size_t first, size_t last, change *to)
{
    for (size_t i = 0; i < c->n_phases; i++) {
        line f = line_of(c, first, last, i), v = line_of(c, first, last, c->n_phases + i);
        double n = fmax((double)(last - first) - 2, 1), usual_f = fmax(f.left / n, 1), usual_v = fmax(v.left / n, 1);
        bool weighed = f.weight > 0 && isfinite(f.variance);
        bool has_cell = v.weight > 0 && isfinite(v.variance) && v.variance * usual_v < 1e-4;
        to[i] = (change){ weighed ? f.change : 0, weighed ? f.variance * usual_f : 0, has_cell ? v.change : 0, has_cell ? v.variance * usual_v : 0,
                          f.weight > 0 ? fmin(fmax(f.mean, 0), 1) : NAN };
    }
}

static void sum_up(const bragg_series *s, bragg_episode *e, const change *c)
{
    double gain = 0, loss = 0, variance = 0, strain = 0, strain_variance = 0, most = 0, least = 0, moved = -1, all = 0;
    size_t n = s->n_phases;
    e->from = e->to = e->moving = SIZE_MAX;
    e->n_phases = 0;
    for (size_t i = 0; i < n; i++)
        all += isfinite(c[i].mean) ? c[i].mean : 0;
    for (size_t i = 0; i < n; i++) {
        double share = all > 0 ? (isfinite(c[i].mean) ? c[i].mean / all : 0) : 1 / (double)n; /* intensities extracted: none weighs more */
        e->n_phases += (isfinite(c[i].mean) && c[i].mean > 0.005) || fabs(c[i].fraction) > 0.01;
        gain += fmax(c[i].fraction, 0), loss += fmax(-c[i].fraction, 0);
        variance += c[i].fraction_variance / 4;
        strain += share * fabs(c[i].strain), strain_variance += share * share * c[i].strain_variance;
        if (c[i].fraction > most)
            most = c[i].fraction, e->to = i;
        if (c[i].fraction < least)
            least = c[i].fraction, e->from = i;
        if (c[i].strain_variance > 0 && share * fabs(c[i].strain) > moved)
            moved = share * fabs(c[i].strain), e->moving = i;
    }
    e->moved = e->moving == SIZE_MAX ? (bragg_quantity){ NAN, NAN } : (bragg_quantity){ c[e->moving].strain, sqrt(c[e->moving].strain_variance) };
    e->transfer = (bragg_quantity){ (gain + loss) / 2, variance > 0 ? sqrt(variance) : NAN };
    e->strain = (bragg_quantity){ strain, strain_variance > 0 ? sqrt(strain_variance) : NAN };
    judge(e);
}

/* Neighbours that tell the same story are one interval: curves are no bends. */
static bool same_story(const bragg_episode *a, const bragg_episode *b)
{
    if (a->verdict != b->verdict || a->verdict == BRAGG_VERDICT_UNKNOWN)
        return false;
    bool amounts = a->verdict == BRAGG_VERDICT_TWO_PHASE || a->verdict == BRAGG_VERDICT_BOTH;
    bool cells = a->verdict == BRAGG_VERDICT_SOLID_SOLUTION || a->verdict == BRAGG_VERDICT_BOTH;
    return (!amounts || (a->from == b->from && a->to == b->to)) && (!cells || (a->moving == b->moving && (a->moved.value > 0) == (b->moved.value > 0)));
}

static void merge_changes(change *a, const change *b, size_t n, double wa, double wb)
{
    for (size_t i = 0; i < n; i++) {
        a[i].fraction += b[i].fraction, a[i].fraction_variance += b[i].fraction_variance;
        a[i].strain += b[i].strain, a[i].strain_variance += b[i].strain_variance;
        a[i].mean = isfinite(a[i].mean) && isfinite(b[i].mean) ? (wa * a[i].mean + wb * b[i].mean) / (wa + wb) : isfinite(a[i].mean) ? a[i].mean : b[i].mean;
    }
}

bragg_status bragg_series_episodes(const bragg_series *s, bragg_arena *arena, bragg_episode **out, size_t *n, bragg_error *err)
{
    courses c = { 0 };
    size_t n_cuts = 0, m = 0;
    *n = 0;
    bragg_status st = sum_courses(s, arena, &c, err);
    size_t *cuts = bragg_arena_alloc(arena, c.n + 2, sizeof *cuts);
    *out = bragg_arena_alloc(arena, c.n + 1, sizeof **out);
    if (st == BRAGG_OK && (!cuts || !*out))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu episodes", s->n);
    if (st == BRAGG_OK)
        st = cut(&c, arena, cuts, &n_cuts, err);
    change *changes = st == BRAGG_OK ? bragg_arena_alloc(arena, (n_cuts + 1) * s->n_phases + 1, sizeof *changes) : NULL;
    if (st == BRAGG_OK && !changes)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu episodes", n_cuts);
    for (size_t k = 0; st == BRAGG_OK && k < n_cuts; k++) {
        size_t first = cuts[k], last = k + 1 < n_cuts ? cuts[k + 1] : c.n;
        bragg_episode e = { .first = first * c.each, .last = (last * c.each < s->n ? last * c.each : s->n) - 1 };
        change *own = changes + m * s->n_phases, *before = own - s->n_phases;
        find_changes(&c, first, last, own);
        sum_up(s, &e, own);
        bragg_episode *left = m ? &(*out)[m - 1] : NULL;
        if (left && !c.forced[first] && same_story(left, &e)) {
            merge_changes(before, own, s->n_phases, (double)(left->last - left->first + 1), (double)(e.last - e.first + 1));
            left->last = e.last;
            sum_up(s, left, before);
        } else {
            (*out)[m++] = e;
        }
    }
    *n = m;
    return st;
}

const char *bragg_verdict_name(bragg_verdict v)
{
    static const char *const names[] = { "too short to tell", "nothing changes", "two-phase", "solid solution", "amounts and cells change" };
    return names[v];
}

/* ----------------------------------------------------------------- words */

static void tell_odds(FILE *to, double log_odds, const char *against)
{
    if (log_odds > 6.9)
        fprintf(to, " (odds over 1000 : 1%s)", against);
    else
        fprintf(to, " (odds %.3g : 1%s)", exp(log_odds), against);
}

/* 100 times a change with its sign, in a unit that a change which nobody knows has not. */
static void tell_change(FILE *to, const char *sign, bragg_quantity q, const char *unit)
{
    char text[BRAGG_NUMBER_TEXT];
    if (bragg_number_determined(100 * q.value, 100 * q.esd, NULL))
        fprintf(to, "%s%s %s", sign, bragg_number_print_esd(text, 100 * q.value, 100 * q.esd), unit);
    else
        fputs("by how much is not determined", to);
}

void bragg_episode_tell(const bragg_series *s, const bragg_episode *e, FILE *to)
{
    bool amounts = e->verdict == BRAGG_VERDICT_TWO_PHASE || e->verdict == BRAGG_VERDICT_BOTH, cells = e->verdict >= BRAGG_VERDICT_SOLID_SOLUTION;
    fprintf(to, "%s", bragg_verdict_name(e->verdict));
    if (e->verdict == BRAGG_VERDICT_UNKNOWN)
        return;
    if (e->verdict == BRAGG_VERDICT_TWO_PHASE)
        tell_odds(to, e->log_odds, " against a solid solution");
    else if (e->verdict == BRAGG_VERDICT_SOLID_SOLUTION && isfinite(e->log_evidence[BRAGG_VERDICT_TWO_PHASE]))
        tell_odds(to, -e->log_odds, " against two phases");
    else
        tell_odds(to, e->log_certainty, "");
    if (amounts && e->from != SIZE_MAX && e->to != SIZE_MAX) {
        fprintf(to, ", %s to %s, ", s->phase[e->from], s->phase[e->to]);
        tell_change(to, "", e->transfer, "wt%");
    }
    if ((cells || amounts) && e->moving != SIZE_MAX) {
        fprintf(to, ", volume of %s ", s->phase[e->moving]);
        tell_change(to, e->moved.value > 0 ? "+" : "", e->moved, "%");
    }
}
