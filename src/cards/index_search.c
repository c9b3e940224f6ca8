/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Successive dichotomy, after A. Boultif & D. Louer, J. Appl. Cryst. 24 (1991) 987 and
 * 37 (2004) 724.  Boxes stand in the reciprocal metric, where 1/d^2 is linear and so
 * bounded exactly by the corners:
 *
 *      box ─► every hkl is an interval ─► lines that no interval meets > allowed? drop
 *          ─► shell of volumes missed? drop ─► thin? settle : halve the widest side */
#include "config.h"
#include "indexing.h"

#include <bragg/datetime.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 4, MOST_ROWS = 6000, MOST_DEPTH = 90 };

/* Boxes a task may look at: about ten seconds, and the same on every machine. */
static const size_t most_boxes = 6000000;

typedef struct row {
    double c[SIDES];
} row;

typedef struct descent {
    const search_task *task;
    const window_table *w;
    search_control *control;
    trial_list *found;
    size_t unindexed, boxes;
    uint64_t all;
    row *rows;
    uint16_t *level; /* lists of rows, one a depth */
} descent;

bool bragg_index_is_late(search_control *c)
{
    if (!atomic_load_explicit(&c->late, memory_order_relaxed) && bragg_time_running_s() > c->deadline)
        atomic_store_explicit(&c->late, true, memory_order_relaxed);
    return atomic_load_explicit(&c->late, memory_order_relaxed);
}

/* Squared reciprocal volume of the thinnest and the fullest cell of a box. */
static void volume_bounds(form f, const double *lo, const double *hi, double *least, double *most)
{
    const double *b[2] = { lo, hi };
    double v[2];
    for (int i = 0; i < 2; i++) {
        const double *x = b[i];
        double skew = b[1 - i][3];
        switch (f) {
        case CUBIC:
            v[i] = x[0] * x[0] * x[0];
            break;
        case TETRAGONAL:
            v[i] = x[0] * x[0] * x[1];
            break;
        case HEXAGONAL:
            v[i] = 0.75 * x[0] * x[0] * x[1];
            break;
        case ORTHORHOMBIC:
            v[i] = x[0] * x[1] * x[2];
            break;
        default:
            v[i] = x[1] * (x[0] * x[2] - skew * skew / 4);
        }
    }
    *least = v[0];
    *most = v[1];
}

/* Outside the shell, or a cell that another choice of axes describes. */
static bool is_elsewhere(const descent *d, const double *lo, const double *hi)
{
    const search_task *t = d->task;
    double least, most;
    volume_bounds(t->form, lo, hi, &least, &most);
    if (most < 1 / (t->v_high * t->v_high) || least > 1 / (t->v_low * t->v_low))
        return true;
    if (t->form == ORTHORHOMBIC)
        return lo[0] > hi[1] || lo[1] > hi[2];
    return t->form == MONOCLINIC && (lo[0] > hi[2] || lo[3] > hi[0]);
}

static void settle_box(descent *d, const double *lo, const double *hi)
{
    double x[MOST_PARAMETERS] = { 0 };
    trial t;
    for (int p = 0; p < SIDES; p++)
        x[p] = (lo[p] + hi[p]) / 2;
    if (bragg_index_settle(d->w, d->task->form, x, d->unindexed, &t))
        bragg_index_keep(d->found, &t);
}

/* Rows that can still meet a window, and the side that widens them most; false when
 * too many lines are missed. */
static bool sift(descent *d, const double *lo, const double *hi, const uint16_t *list, size_t n, uint16_t *kept, size_t *n_kept,
                 double reach[SIDES])
{
    const window_table *w = d->w;
    uint64_t met = 0;
    size_t m = 0;
    double most[SIDES] = { 0 };
    for (size_t k = 0; k < n; k++) {
        const double *c = d->rows[list[k]].c;
        bool falls = c[3] < 0;
        double low = c[0] * lo[0] + c[1] * lo[1] + c[2] * lo[2] + c[3] * (falls ? hi[3] : lo[3]);
        double high = c[0] * hi[0] + c[1] * hi[1] + c[2] * hi[2] + c[3] * (falls ? lo[3] : hi[3]);
        uint64_t mask = bragg_index_mask(w, low, high);
        if (!mask)
            continue;
        met |= mask;
        kept[m++] = list[k];
        for (int p = 0; p < SIDES; p++)
            most[p] = fmax(most[p], fabs(c[p]));
    }
    *n_kept = m;
    for (int p = 0; p < SIDES; p++)
        reach[p] = most[p] * (hi[p] - lo[p]);
    return (size_t)__builtin_popcountll(d->all & ~met) <= d->unindexed;
}

static void descend(descent *d, const double lo[SIDES], const double hi[SIDES], const uint16_t *list, size_t n, size_t depth)
{
    uint16_t *kept = d->level + depth * MOST_ROWS;
    double reach[SIDES], total = 0;
    size_t n_kept;
    if (++d->boxes > most_boxes || ((d->boxes & 1023) == 0 && bragg_index_is_late(d->control)))
        return;
    if (is_elsewhere(d, lo, hi) || !sift(d, lo, hi, list, n, kept, &n_kept, reach))
        return;
    int widest = 0;
    for (int p = 0; p < SIDES; p++) {
        total += reach[p];
        widest = reach[p] > reach[widest] ? p : widest;
    }
    if (total < 1.2 * d->w->half[d->w->n - 1] || depth + 1 == MOST_DEPTH) {
        settle_box(d, lo, hi);
        return;
    }
    double cut = widest < 3 ? sqrt(lo[widest] * hi[widest]) : (lo[3] + hi[3]) / 2;
    double one[SIDES], other[SIDES];
    memcpy(one, hi, sizeof one);
    memcpy(other, lo, sizeof other);
    one[widest] = other[widest] = cut;
    descend(d, lo, one, kept, n_kept, depth + 1);
    descend(d, other, hi, kept, n_kept, depth + 1);
}

/* Every row that some cell of the box places below q_max. */
static size_t make_rows(const search_task *t, double q_max, row *out)
{
    size_t n = 0;
    const double *lo = t->low;
    bool skew = t->form == MONOCLINIC;
    for (int h = 0; h < 64; h++)
        for (int k = 0; k < 64; k++)
            for (int l = skew && h ? -63 : 0; l < 64; l++) {
                double c[MOST_PARAMETERS] = { 0 };
                if ((t->form <= HEXAGONAL && k > h) || (t->form == CUBIC && l > k) || (!h && !k && !l))
                    continue;
                bragg_index_coefficients(t->form, (int[3]){ h, k, l }, c);
                double low = c[0] * lo[0] + c[1] * lo[1] + c[2] * lo[2] + c[3] * (c[3] < 0 ? t->high[3] : lo[3]);
                /* a skew row is at least its part across: D^2 <= A^2 <= A C, so (1 - 1/4) of it */
                if (skew)
                    low = fmax(low, fmax(0.75 * c[0] * lo[0], 0.75 * c[2] * lo[2]) + c[1] * lo[1]);
                if (low <= q_max && n < MOST_ROWS)
                    memcpy(out[n++].c, c, sizeof out->c);
            }
    return n;
}

bragg_status bragg_index_dichotomy(const search_task *task, const window_table *w, search_control *control, size_t unindexed, trial_list *found,
                             bragg_error *err)
{
    descent d = { task, w, control, found, unindexed, 0, (1ull << w->n) - 1, malloc(MOST_ROWS * sizeof *d.rows), NULL };
    d.level = malloc((MOST_DEPTH + 1) * MOST_ROWS * sizeof *d.level);
    uint16_t *root = malloc(MOST_ROWS * sizeof *root);
    bragg_status st = d.rows && d.level && root ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to search cells");
    if (st == BRAGG_OK) {
        size_t n = make_rows(task, w->q_max, d.rows);
        for (size_t k = 0; k < n; k++)
            root[k] = (uint16_t)k;
        descend(&d, task->low, task->high, root, n, 0);
    }
    free(d.rows);
    free(d.level);
    free(root);
    return st;
}
