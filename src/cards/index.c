/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From lines to ranked cells: plans the searches, gathers their trials, finds the Bravais
 * lattices behind them, refines and ranks. */
#include "config.h"
#include "indexing.h"

#include <bragg/array.h>
#include <bragg/datetime.h>
#include <bragg/thread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_LINES = 5, MOST_ZEROS = 5, SEARCHED = 20, PER_FORM = 60, CHUNK = 8, DERIVED = 6 };

static const bragg_system system_of[N_FORMS] = { BRAGG_CUBIC, BRAGG_TETRAGONAL, BRAGG_HEXAGONAL, BRAGG_ORTHORHOMBIC, BRAGG_MONOCLINIC,
                                                 BRAGG_TRICLINIC };

typedef struct plan {
    const bragg_index_options *o;
    line_set lines;
    size_t n_searched, n_zeros;
    window_table *window;          /* one a zero */
    double v_max[N_FORMS];
    search_control control;
    search_task *task;
    size_t n_tasks, room_tasks;
    zone *zone;                    /* MOST_ZONES a zero */
    size_t n_zones[MOST_ZEROS];
    trial_list *found;             /* one a task of the batch in hand */
    size_t first;                  /* its first task */
    trial *pool;
    size_t n_pool, room_pool;
    bool stopped;
} plan;

/* ------------------------------------------------------------------- lines */

static double scale_of(const bragg_index_options *o)
{
    return fmin(o->wavelength_ang / 1.5406, 1.5); /* the defaults are for copper radiation */
}

static double zero_of(const bragg_index_options *o)
{
    return isnan(o->zero_rad) ? 0.07 * BRAGG_DEG * scale_of(o) : o->zero_rad;
}

void bragg_index_line_set(const bragg_index_lines *lines, const bragg_index_options *o, line_set *out)
{
    double top = 0, k = scale_of(o), least = 0.008 * BRAGG_DEG * k; /* what peaks are wrong by whatever they count */
    *out = (line_set){ .n = lines->n < MOST_LINES ? lines->n : MOST_LINES, .foreign = o->unindexed, .first_rad = lines->first_rad, .wavelength_ang = o->wavelength_ang };
    out->zero_sigma = fmax(zero_of(o), 1e-7);
    double sigma = isnan(o->sigma_rad) ? 0.015 * BRAGG_DEG * k : o->sigma_rad;
    for (size_t i = 0; i < out->n; i++)
        top = fmax(top, lines->at[i].intensity);
    for (size_t i = 0; i < out->n; i++) {
        const bragg_index_line *l = &lines->at[i];
        out->two_theta[i] = l->two_theta_rad;
        out->sigma[i] = l->sigma_rad > 0 ? hypot(l->sigma_rad, least) : sigma;
        /* foreign lines are weak as a rule, and what is below one per cent may be anything */
        double part = l->intensity / top;
        out->outlier[i] = part > 0 ? 0.01 + 0.1 * exp(-part / 0.05) + 0.4 * fmax(0.01 - part, 0) / 0.01 : 0.05;
    }
    out->last_rad = out->two_theta[out->n - 1];
}

static double typical_sigma(const line_set *s, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += log(s->sigma[i]);
    return exp(sum / (double)n);
}

static bragg_status check(const bragg_index_lines *lines, const bragg_index_options *o, bragg_error *err)
{
    if (!(o->wavelength_ang > 0) || !isfinite(o->wavelength_ang))
        return bragg_fail(err, BRAGG_EINVAL, "wavelength: must be positive, got %g", o->wavelength_ang);
    if (o->sigma_rad <= 0 || o->zero_rad < 0 || !(o->max_volume_ang3 >= 0) || !(o->max_edge_ang > 2))
        return bragg_fail(err, BRAGG_EINVAL, "index: sigma, zero error, largest volume and edge must be positive");
    if (lines->n < LEAST_LINES)
        return bragg_fail(err, BRAGG_EDATA, "lines: expected at least %d, found %zu; a cell of low symmetry needs 20", LEAST_LINES, lines->n);
    for (size_t i = 0; i < lines->n; i++) {
        double t = lines->at[i].two_theta_rad;
        if (!(t > 0 && t < BRAGG_PI) || (i && !(t > lines->at[i - 1].two_theta_rad)))
            return bragg_fail(err, BRAGG_EDATA, "line %zu: expected rising 2theta between 0 and 180 degrees, found %g", i + 1, t / BRAGG_DEG);
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------------- plan */

/* Points of the reciprocal lattice that fall together, and the least part of the
 * lines that is seen at all: with them the density of lines bounds the volume
 * (G. S. Smith, J. Appl. Cryst. 10 (1977) 252, for what is usual). */
static void volume_limits(plan *p)
{
    static const double together[N_FORMS] = { 24, 12, 14, 7, 3.6, 2 }, seen[N_FORMS] = { 0.1, 0.15, 0.15, 0.17, 0.33, 0.42 };
    const window_table *w = &p->window[0];
    double points = 4.18879 * pow(w->q[w->n - 1], 1.5);
    for (int f = 0; f < N_FORMS; f++) {
        double v = (double)w->n * together[f] / seen[f] / points;
        p->v_max[f] = p->o->max_volume_ang3 > 0 ? p->o->max_volume_ang3 : fmin(fmax(v, 60), f == CUBIC ? 60000 : 12000);
    }
}

static bragg_status make_windows(plan *p, bragg_error *err)
{
    double k = scale_of(p->o), zero = zero_of(p->o);
    p->n_searched = p->lines.n < SEARCHED ? p->lines.n : SEARCHED;
    double tolerance = fmax(2.2 * typical_sigma(&p->lines, p->n_searched), 0.012 * BRAGG_DEG * k), step = 1.5 * tolerance;
    size_t half = zero > tolerance / 2 ? (size_t)ceil((zero - tolerance * 0.75) / step) : 0;
    if (half > MOST_ZEROS / 2) {
        half = MOST_ZEROS / 2;
        step = zero / (half + 0.5);
        tolerance = fmax(tolerance, step / 1.5);
    }
    p->n_zeros = 2 * half + 1;
    p->window = calloc(p->n_zeros, sizeof *p->window);
    if (!p->window)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for search tables");
    for (size_t z = 0; z < p->n_zeros; z++) { /* 0, +1, -1, +2 … */
        double at = (double)((z + 1) / 2) * (z % 2 ? step : -step);
        bragg_index_windows(&p->lines, p->n_searched, at, tolerance, &p->window[z]);
        p->window[z].zero_sigma = step / 2;
    }
    volume_limits(p);
    return BRAGG_OK;
}

static bragg_status add_task(plan *p, const search_task *t, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&p->task, &p->room_tasks, p->n_tasks + 1, sizeof *p->task, err);
    if (st >= 0)
        p->task[p->n_tasks++] = *t;
    return st;
}

/* Shells of growing volume for one form at one zero. */
static bragg_status add_shells(plan *p, form f, size_t zero, double low, double high, bragg_error *err)
{
    double thin = 1 / (p->o->max_edge_ang * p->o->max_edge_ang), thick = p->window[zero].q_max;
    double growth = f == MONOCLINIC ? 1.3 : f == ORTHORHOMBIC ? 2 : 1e9;
    bragg_status st = BRAGG_OK;
    for (double v = low; v < high && st >= 0; v *= growth) {
        search_task t = { f, zero, { thin, thin, thin, 0 }, { thick, thick, thick, f == MONOCLINIC ? thick : 0 }, v, fmin(v * growth, high) };
        if (f < ORTHORHOMBIC)
            t.low[2] = t.high[2] = 0;
        if (f == CUBIC)
            t.low[1] = t.high[1] = 0;
        st = add_task(p, &t, err);
    }
    return st;
}

static bool wanted(const plan *p, form f)
{
    unsigned bits = p->o->systems, mine = 1u << system_of[f];
    if (f == HEXAGONAL)
        mine |= 1u << BRAGG_TRIGONAL;
    return (!bits || (bits & mine)) && p->n_searched >= bragg_index_parameters(f) + 4;
}

/* -------------------------------------------------------------------- run */

static size_t allowed_unindexed(const plan *p, form f)
{
    size_t spare = p->n_searched - bragg_index_parameters(f) - 3;
    size_t most = p->o->unindexed + (f == TRICLINIC ? 4 : f < ORTHORHOMBIC ? 2 : f == ORTHORHOMBIC); /* lines out of their windows count, too */
    return most < spare / 3 ? most : spare / 3;
}

static bragg_status run_tasks(void *payload, size_t first, size_t last, bragg_error *err)
{
    plan *p = payload;
    bragg_status st = BRAGG_OK;
    for (size_t k = first; k < last && st >= 0; k++) {
        const search_task *t = &p->task[p->first + k];
        p->found[k].n = 0;
        if (!bragg_index_is_late(&p->control))
            st = bragg_index_dichotomy(t, &p->window[t->zero], &p->control, allowed_unindexed(p, t->form), &p->found[k], err);
    }
    return st;
}

static bragg_status run_zones(void *payload, size_t first, size_t last, bragg_error *err)
{
    plan *p = payload;
    (void)err;
    for (size_t k = first; k < last; k++) {
        size_t zero = (p->first + k) / MOST_ZONES, row = (p->first + k) % MOST_ZONES;
        p->found[k].n = 0;
        if (row < p->n_zones[zero] && !bragg_index_is_late(&p->control))
            bragg_index_zone_cells(&p->window[zero], &p->zone[p->first + k], p->v_max[MONOCLINIC], allowed_unindexed(p, TRICLINIC), &p->control, &p->found[k]);
    }
    return BRAGG_OK;
}

static bragg_status find_zones(void *payload, size_t first, size_t last, bragg_error *err)
{
    plan *p = payload;
    (void)err;
    for (size_t z = first; z < last; z++)
        p->n_zones[z] = bragg_index_zones(&p->window[z], p->zone + z * MOST_ZONES);
    return BRAGG_OK;
}

/* Batches of work; the trials are gathered in the order of the tasks, whoever did them. */
static bragg_status run_all(plan *p, size_t n, bragg_range_work work, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    size_t batch = work == run_zones ? 4 * CHUNK : CHUNK;
    for (size_t first = 0; first < n && st >= 0 && !p->stopped; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        p->first = first;
        st = bragg_parallel_for(count, 1, work, p, err);
        for (size_t k = 0; k < count && st >= 0; k++) {
            st = bragg_array_grow(&p->pool, &p->room_pool, p->n_pool + p->found[k].n, sizeof *p->pool, err);
            if (st >= 0 && p->found[k].n)
                memcpy(p->pool + p->n_pool, p->found[k].at, p->found[k].n * sizeof *p->pool);
            p->n_pool += st >= 0 ? p->found[k].n : 0;
        }
        if (!bragg_progress(p->o->observer, first + count, n) || bragg_index_is_late(&p->control))
            p->stopped = true;
    }
    return st;
}

/* ------------------------------------------------------------ from trials to cells */

static int by_score(const void *a, const void *b)
{
    const trial *x = a, *y = b;
    if (x->form != y->form)
        return x->form < y->form ? -1 : 1;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return memcmp(x->x, y->x, sizeof x->x);
}

/* Best of each form, near doubles dropped. */
static size_t thin_out(plan *p)
{
    size_t kept = 0, of_form = 0;
    if (p->n_pool)
        qsort(p->pool, p->n_pool, sizeof *p->pool, by_score);
    for (size_t k = 0; k < p->n_pool; k++) {
        const trial *t = &p->pool[k];
        if (kept && p->pool[kept - 1].form != t->form)
            of_form = 0;
        bool known = of_form >= PER_FORM;
        for (size_t m = kept - of_form; m < kept && !known; m++) {
            known = true;
            for (size_t i = 0; i < bragg_index_parameters(t->form) && known; i++)
                known = fabs(p->pool[m].x[i] - t->x[i]) < 2e-3 * (p->pool[m].x[i < 3 ? i : 0]);
        }
        if (known)
            continue;
        p->pool[kept++] = *t;
        of_form++;
    }
    return kept;
}

typedef struct candidate {
    bragg_lattice lattice;
    double zero;
} candidate;

typedef struct candidates {
    size_t n, room;
    candidate *at;
    const plan *plan;
    bragg_index_cell *cell;
    bool *good;
} candidates;

static bool near_cell(const bragg_cell *a, const bragg_cell *b, double tolerance)
{
    for (int k = 0; k < 6; k++)
        if (fabs((&a->a)[k] - (&b->a)[k]) > tolerance * (k < 3 ? (&a->a)[k] : 1))
            return false;
    return true;
}

static bragg_status add_candidate(candidates *c, const bragg_lattice *l, double zero, bragg_error *err)
{
    for (size_t k = 0; k < c->n; k++)
        if (c->at[k].lattice.system == l->system && c->at[k].lattice.centring == l->centring && near_cell(&c->at[k].lattice.cell, &l->cell, 1e-3))
            return BRAGG_OK;
    bragg_status st = bragg_array_grow(&c->at, &c->room, c->n + 1, sizeof *c->at, err);
    if (st >= 0)
        c->at[c->n++] = (candidate){ *l, zero };
    return st;
}

/* The Bravais lattices that a primitive cell may stand for, errors allowed for. */
static bragg_status add_bravais(candidates *c, const bragg_cell *primitive, double zero, bragg_error *err)
{
    static const double tolerances[] = { 1e-3, 0.01, 0.03, 0.08, 0.2 }; /* angstrom */
    bragg_cell reduced;
    bragg_status st = BRAGG_OK;
    if (bragg_cell_niggli(primitive, &reduced, NULL) < 0)
        return BRAGG_OK;
    for (size_t k = 0; k < sizeof tolerances / sizeof *tolerances && st >= 0; k++) {
        bragg_lattice l;
        if (bragg_cell_bravais(&reduced, tolerances[k], &l, NULL) >= 0)
            st = add_candidate(c, &l, zero, err);
    }
    return st;
}

static bragg_status add_trial(candidates *c, const trial *t, bragg_error *err)
{
    double g[6];
    bragg_cell cell, primitive;
    bragg_status st = BRAGG_OK;
    bragg_index_metric(t->form, t->x, g);
    if (bragg_cell_from_reciprocal(g, &cell, NULL) < 0)
        return BRAGG_OK;
    for (int k = 0; bragg_index_centrings[k] && st >= 0; k++)
        if ((t->centrings >> k & 1) && bragg_cell_primitive(&cell, bragg_index_centrings[k], &primitive, NULL) >= 0)
            st = add_bravais(c, &primitive, t->zero, err);
    return st;
}

static bragg_status refine_some(void *payload, size_t first, size_t last, bragg_error *err)
{
    candidates *c = payload;
    (void)err;
    for (size_t k = first; k < last; k++) {
        bragg_error own = BRAGG_ERROR_INIT; /* a candidate that is no cell is out */
        bragg_index_cell *out = &c->cell[k];
        bragg_cell primitive;
        *out = (bragg_index_cell){ .rwp = NAN };
        c->good[k] = bragg_index_refine(&c->plan->lines, &c->at[k].lattice, c->at[k].zero, out, &own) >= 0 && isfinite(out->evidence) &&
            bragg_cell_primitive(&out->lattice.cell, out->lattice.centring, &primitive, &own) >= 0 && bragg_cell_niggli(&primitive, &out->reduced, &own) >= 0;
    }
    return BRAGG_OK;
}

/* Refine all candidates and add the sensible ones to the n cells there are. */
static bragg_status refine_all(candidates *c, bragg_index_cell **cell, size_t *n, bragg_error *err)
{
    bragg_index_cell *all = realloc(*cell, (*n + c->n + 1) * sizeof *all);
    if (!all || !(*cell = all, c->good = calloc(c->n + 1, sizeof *c->good)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu cells", c->n);
    c->cell = all + *n;
    bragg_status st = bragg_parallel_for(c->n, 4, refine_some, c, err);
    for (size_t k = 0; k < c->n && st >= 0; k++)
        if (c->good[k] && c->cell[k].evidence > 0)
            all[(*n)++] = c->cell[k];
    free(c->good);
    return st;
}

static double adjoint(const int m[3][3], int i, int j)
{
    int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
    return m[a][c] * m[b][d] - m[a][d] * m[b][c];
}

/* Lattices of index two and three above and below the best, by Hermite's normal forms
 * (rows a r s, 0 b t, 0 0 d): absent lines hide the true one. */
static bragg_status add_derivatives(candidates *c, const bragg_index_cell *cell, bragg_error *err)
{
    static const int diagonals[6][3] = { { 1, 1, 2 }, { 1, 2, 1 }, { 2, 1, 1 }, { 1, 1, 3 }, { 1, 3, 1 }, { 3, 1, 1 } };
    double up[3][3], down[3][3];
    bragg_status st = BRAGG_OK;
    for (int f = 0; f < 6; f++) {
        int a = diagonals[f][0], b = diagonals[f][1], d = diagonals[f][2], index = a * b * d;
        for (int rest = 0; rest < b * d * d && st >= 0; rest++) {
            const int m[3][3] = { { a, rest % b, rest / b % d }, { 0, b, rest / b / d }, { 0, 0, d } };
            bragg_cell axes;
            for (int i = 0; i < 9; i++) {
                up[i / 3][i % 3] = m[i / 3][i % 3];
                down[i / 3][i % 3] = adjoint(m, i % 3, i / 3) / index; /* of the transpose: each finer lattice once */
            }
            if (bragg_cell_transform(&cell->reduced, up, &axes, NULL) >= 0)
                st = add_bravais(c, &axes, cell->zero_rad.value, err);
            if (st >= 0 && bragg_cell_transform(&cell->reduced, down, &axes, NULL) >= 0)
                st = add_bravais(c, &axes, cell->zero_rad.value, err);
        }
    }
    return st;
}

/* All trials so far: the best cells, ranked; *n of them in *cell. */
static bragg_status evaluate(plan *p, bragg_index_cell **cell, size_t *n, bragg_error *err)
{
    candidates c = { .plan = p };
    bragg_status st = BRAGG_OK;
    *n = 0;
    p->n_pool = thin_out(p);
    for (size_t k = 0; k < p->n_pool && st >= 0; k++)
        st = add_trial(&c, &p->pool[k], err);
    for (int round = 0; round < 3 && st >= 0; round++) { /* the second and third: derivatives of the best */
        for (size_t k = 0; k < *n && k < DERIVED && round && st >= 0; k++)
            st = add_derivatives(&c, &(*cell)[k], err);
        if (st >= 0)
            st = refine_all(&c, cell, n, err);
        *n = st >= 0 ? bragg_index_rank(*cell, *n, p->o->n_cells) : 0;
        c.n = 0;
    }
    free(c.at);
    return st;
}

/* Nothing of lower symmetry needs to be sought when all lines stand where they should,
 * and few others could. */
static bool is_settled(const bragg_index_cell *cell, size_t n, const line_set *s, const bragg_index_options *o)
{
    double usual = fmax(typical_sigma(s, s->n), 0.012 * BRAGG_DEG * scale_of(o));
    size_t spare = s->n >= 10 ? o->unindexed : 0;
    if (!n || !(cell[0].m > 20) || !(cell[0].rms_rad < 1.5 * usual))
        return false;
    double least = fmax(25, 1.5 * (double)s->n);
    return cell[0].evidence > least && (cell[0].indexed + spare >= s->n || (cell[0].evidence > 1.5 * least && cell[0].indexed * 10 >= s->n * 8));
}

/* Shells of one form between two volumes at all zeros. */
static bragg_status run_shells(plan *p, form f, double low, double high, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    p->n_tasks = 0;
    for (size_t z = 0; z < p->n_zeros && wanted(p, f) && st >= 0; z++)
        st = add_shells(p, f, z, low, fmin(high, p->v_max[f]), err);
    return st < 0 ? st : run_all(p, p->n_tasks, run_tasks, err);
}

static bragg_status run_planes(plan *p, bragg_error *err)
{
    bragg_status st = bragg_parallel_for(p->n_zeros, 1, find_zones, p, err);
    return st < 0 ? st : run_all(p, p->n_zeros * MOST_ZONES, run_zones, err);
}

/* From high symmetry and small volumes to low and large, each step only as long as no
 * cell so far explains all. */
static bragg_status search(plan *p, bragg_index_cell **cell, size_t *n, bragg_error *err)
{
    static const struct { form f; double low, high; bool judge; } steps[] = {
        { CUBIC, 8, 1e6, true }, { TETRAGONAL, 8, 1e6, false }, { HEXAGONAL, 8, 1e6, true }, { ORTHORHOMBIC, 8, 600, true },
        { TRICLINIC, 0, 0, true }, { MONOCLINIC, 8, 300, false }, { ORTHORHOMBIC, 600, 1300, true }, { MONOCLINIC, 300, 600, true },
        { ORTHORHOMBIC, 1300, 1e6, true }, { MONOCLINIC, 600, 1e6, true } };
    bragg_status st = BRAGG_OK;
    p->found = malloc(4 * CHUNK * sizeof *p->found);
    p->zone = malloc(MOST_ZEROS * MOST_ZONES * sizeof *p->zone);
    if (!p->found || !p->zone)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to search cells");
    for (size_t k = 0; k < sizeof steps / sizeof *steps && st >= 0 && !p->stopped; k++) {
        if (steps[k].f != TRICLINIC)
            st = run_shells(p, steps[k].f, steps[k].low, steps[k].high, err);
        else if (wanted(p, TRICLINIC) || wanted(p, MONOCLINIC)) /* planes serve both */
            st = run_planes(p, err);
        if (st >= 0 && (steps[k].judge || p->stopped))
            st = evaluate(p, cell, n, err);
        if (st >= 0 && steps[k].judge && is_settled(*cell, *n, &p->lines, p->o))
            break;
    }
    return st;
}

void bragg_index_free(bragg_index_result *r)
{
    if (r)
        free(r->cell);
    free(r);
}

bragg_status bragg_index(const bragg_index_lines *lines, const bragg_index_options *o, bragg_index_result **out, bragg_error *err)
{
    plan p = { .o = o };
    double start = bragg_time_running_s();
    *out = NULL;
    bragg_status st = check(lines, o, err);
    if (st < 0)
        return st;
    bragg_index_line_set(lines, o, &p.lines);
    p.control.deadline = o->seconds > 0 ? start + o->seconds : INFINITY;
    p.control.options = o;
    *out = calloc(1, sizeof **out);
    st = *out ? make_windows(&p, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a result");
    if (st >= 0)
        st = search(&p, &(*out)->cell, &(*out)->n, err);
    for (size_t k = 0; st >= 0 && k < (*out)->n; k++)
        st = bragg_index_extinctions(&p.lines, &(*out)->cell[k], err);
    free(p.window);
    free(p.task);
    free(p.zone);
    free(p.found);
    free(p.pool);
    if (st < 0) {
        bragg_index_free(*out);
        *out = NULL;
        return st;
    }
    (*out)->stopped = p.stopped;
    (*out)->last_rad = p.lines.last_rad;
    (*out)->seconds = bragg_time_running_s() - start;
    return p.stopped ? BRAGG_STOPPED : BRAGG_OK;
}

bragg_status bragg_index_assign(const bragg_index_cell *cell, const bragg_index_lines *lines, const bragg_index_options *o, bragg_index_match *match,
                                bragg_error *err)
{
    calculated *calc = malloc(MOST_CALCULATED * sizeof *calc);
    if (!calc)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for reflections");
    line_set s;
    bragg_index_line_set(lines, o, &s);
    double scale = 2 / o->wavelength_ang, reach = fmax(3.5 * typical_sigma(&s, s.n), 3 * cell->rms_rad);
    double top = scale * sin(fmin(lines->at[lines->n - 1].two_theta_rad + 0.02, BRAGG_PI) / 2);
    size_t n = bragg_index_calculate(&cell->lattice, top * top, calc, MOST_CALCULATED);
    for (size_t i = 0; i < lines->n; i++) {
        double d = scale * sin((lines->at[i].two_theta_rad - cell->zero_rad.value) / 2), best = INFINITY;
        match[i] = (bragg_index_match){ false, 0, 0, 0, NAN };
        for (size_t j = 0; j < n; j++)
            if (fabs(calc[j].q - d * d) < best) {
                best = fabs(calc[j].q - d * d);
                double t = 2 * asin(fmin(sqrt(calc[j].q) / scale, 1)) + cell->zero_rad.value;
                match[i] = (bragg_index_match){ fabs(t - lines->at[i].two_theta_rad) < reach, calc[j].h, calc[j].k, calc[j].l, t };
            }
    }
    free(calc);
    return BRAGG_OK;
}
