/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Structure factors of a list of reflections and their derivatives. */
#include "config.h"
#include <bragg/crystal.h>
#include <bragg/thread.h>
#include <bragg/units.h>

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32 };

/* The sum over the group needs one operation of each rotation: centring
 * translations repeat the same phase for every reflection that is not absent.
 * With an inversion at the origin it needs one of each pair R, -R. */
struct bragg_factors {
    size_t n, n_ops;
    bragg_reflection *list;
    bragg_symop *op;
    double repeat;      /* operations of the group a kept one stands for */
    bool centric, neutron;
    struct still *still;/* n rows of n_atoms; NULL before the first slopes, or without room */
    size_t n_atoms;     /* 0 before */
    double (*place)[3]; /* of the atoms when `still` was filled */
    bool *stands;       /* the atom is there still */
};

/* G and dG/dx of an isotropic atom hang on its place and the indices alone: while the
 * cell moves and the atom does not they are what they were. */
typedef struct still {
    double complex g, dx[3];
} still;
static const size_t most_still = (size_t)1 << 17;

static bool same_rotation(const bragg_symop *a, const bragg_symop *b, int sign)
{
    for (int i = 0; i < 9; i++)
        if ((&a->r[0][0])[i] != sign * (&b->r[0][0])[i])
            return false;
    return true;
}

static bool is_origin_inversion(const bragg_symop *op, const bragg_symop *identity)
{
    double t = 0;
    for (int i = 0; i < 3; i++)
        t += fabs(op->t[i] - rint(op->t[i]));
    return t < 1e-6 && same_rotation(op, identity, -1);
}

static void choose_operations(bragg_factors *f, const bragg_symmetry *s)
{
    for (size_t i = 0; i < s->n_ops; i++)
        f->centric = f->centric || is_origin_inversion(&s->op[i], &s->op[0]);
    for (size_t i = 0; i < s->n_ops; i++) {
        bool known = false;
        for (size_t k = 0; k < f->n_ops && !known; k++)
            known = same_rotation(&s->op[i], &f->op[k], 1) ||
                    (f->centric && same_rotation(&s->op[i], &f->op[k], -1));
        if (!known)
            f->op[f->n_ops++] = s->op[i];
    }
    f->repeat = (double)s->n_ops / (double)f->n_ops;
}

bragg_status bragg_factors_new(const bragg_structure *structure, const bragg_reflection *list, size_t n,
                               bool neutron, bragg_factors **out, bragg_error *err)
{
    *out = NULL;
    for (size_t i = 0; neutron && i < structure->n_scatterers; i++)
        if (isnan(structure->scatterer[i].neutron_fm))
            return bragg_fail(err, BRAGG_EDATA, "%s: no neutron scattering length is known", structure->scatterer[i].name);
    bragg_factors *f = calloc(1, sizeof *f);
    if (f) {
        f->list = malloc((n + 1) * sizeof *f->list);
        f->op = malloc(structure->symmetry.n_ops * sizeof *f->op);
    }
    if (!f || !f->list || !f->op) {
        bragg_factors_free(f);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu structure factors", n);
    }
    if (n) /* a list of none may be NULL */
        memcpy(f->list, list, n * sizeof *list);
    f->n = n;
    f->neutron = neutron;
    choose_operations(f, &structure->symmetry);
    *out = f;
    return BRAGG_OK;
}

void bragg_factors_free(bragg_factors *f)
{
    if (!f)
        return;
    free(f->list);
    free(f->op);
    free(f->still);
    free(f->place);
    free(f->stands);
    free(f);
}

/* ------------------------------------------------------------ evaluation */

typedef struct job {
    const bragg_factors *f;
    const bragg_structure *s;
    const double *g;
    double *f2, *d_invd2;
    bragg_factor_derivative *derivative;
} job;

/* G of one atom: the sum of its phases (and anisotropic factors), and what its
 * derivatives need. */
typedef struct phase_sum {
    double complex g, dx[3], du[6];
    double complex dq;     /* with respect to 1/d^2, anisotropic part */
} phase_sum;

static const int pair_i[6] = { 0, 1, 2, 1, 0, 0 }, pair_j[6] = { 0, 1, 2, 2, 2, 1 };

/* exp(-2 pi^2 sum_ij h_i h_j a*_i a*_j U_ij) and its derivatives; U off the
 * diagonal counts twice.  Trueblood et al., Acta Cryst. A52 (1996) 770. */
static double anisotropic(const double u[6], const int h[3], const double astar[3], double du[6],
                          double *exponent)
{
    double e = 0;
    for (int k = 0; k < 6; k++) {
        du[k] = -2 * BRAGG_PI * BRAGG_PI * (k < 3 ? 1 : 2) * h[pair_i[k]] * h[pair_j[k]] *
                astar[pair_i[k]] * astar[pair_j[k]];
        e += du[k] * u[k];
    }
    *exponent = e;
    return exp(e);
}

/* With an inversion at the origin G = 2 sum cos, else sum exp(i phase). */
static void add_operation(phase_sum *sum, const bragg_atom *a, const bragg_symop *op, const int hkl[3],
                          const double astar[3], double invd2, bool centric, bool derivatives)
{
    int h[3];
    double phase = 0;
    for (int j = 0; j < 3; j++) {
        h[j] = hkl[0] * op->r[0][j] + hkl[1] * op->r[1][j] + hkl[2] * op->r[2][j];
        phase += h[j] * a->x[j] + hkl[j] * op->t[j];
    }
    phase *= 2 * BRAGG_PI;
    double du[6], exponent = 0, t = a->anisotropic ? anisotropic(a->u, h, astar, du, &exponent) : 1;
    double c = cos(phase), s = sin(phase);
    double complex e = centric ? 2 * t * c : t * (c + I * s);
    sum->g += e;
    if (!derivatives)
        return;
    double complex slope = centric ? -2 * t * s : t * (-s + I * c);
    for (int j = 0; j < 3; j++)
        sum->dx[j] += 2 * BRAGG_PI * h[j] * slope;
    for (int k = 0; a->anisotropic && k < 6; k++)
        sum->du[k] += du[k] * e;
    sum->dq += exponent / invd2 * e;
}

static double form_factor(const bragg_factors *f, const bragg_scatterer *s, double s2, double *slope)
{
    *slope = 0;
    if (f->neutron)
        return s->neutron_fm;
    double f0 = s->c;
    for (int i = 0; i < 5; i++) {
        double e = s->a[i] * exp(-s->b[i] * s2);
        f0 += e;
        *slope -= s->b[i] * e / 4; /* d/d(1/d^2), s^2 = 1/(4 d^2) */
    }
    return f0 + s->f1;
}

/* What one atom gives to one reflection: f = f0 + f', its f'', the slope of f
 * with 1/d^2, and weight = sites x isotropic displacement factor, for occupancy 1. */
typedef struct term {
    phase_sum sum;
    double f, f2, slope, weight, uiso;
} term;

static void sum_atom(const job *w, const bragg_reflection *r, double invd2, bool derivatives,
                     const bragg_atom *a, term *t)
{
    const bragg_factors *f = w->f;
    const bragg_scatterer *sc = &w->s->scatterer[a->scatterer];
    const double astar[3] = { sqrt(w->g[0]), sqrt(w->g[1]), sqrt(w->g[2]) };
    const int hkl[3] = { r->h, r->k, r->l };
    *t = (term){ .f2 = f->neutron ? 0 : sc->f2 };
    t->f = form_factor(f, sc, invd2 / 4, &t->slope);
    t->uiso = a->anisotropic || isnan(a->uiso_ang2) ? 0 : a->uiso_ang2;
    /* an orbit on a special position is met n_ops / multiplicity times */
    t->weight = f->repeat * a->multiplicity / (double)w->s->symmetry.n_ops * (f->centric ? 0.5 : 1) *
                exp(-2 * BRAGG_PI * BRAGG_PI * t->uiso * invd2);
    size_t j = (size_t)(a - w->s->atom);
    still *kept = f->still && f->n_atoms == w->s->n_atoms && derivatives && !a->anisotropic ? &f->still[(size_t)(r - f->list) * f->n_atoms + j] : NULL;
    if (kept && f->stands[j]) {
        t->sum.g = kept->g;
        memcpy(t->sum.dx, kept->dx, sizeof kept->dx);
        return;
    }
    for (size_t o = 0; o < f->n_ops; o++)
        add_operation(&t->sum, a, &f->op[o], hkl, astar, invd2, f->centric, derivatives);
    if (kept) {
        kept->g = t->sum.g;
        memcpy(kept->dx, t->sum.dx, sizeof kept->dx);
    }
}

/* back = 2 (f P* + f'' Q*): the real part of back dG is the change of |F|^2. */
static void differentiate(const bragg_atom *a, const term *t, double invd2, double complex back,
                          bragg_factor_derivative *d)
{
    d->occupancy = t->weight * creal(back * t->sum.g);
    d->uiso = a->anisotropic ? 0 : -2 * BRAGG_PI * BRAGG_PI * invd2 * a->occupancy * d->occupancy;
    for (int k = 0; k < 3; k++)
        d->x[k] = a->occupancy * t->weight * creal(back * t->sum.dx[k]);
    for (int k = 0; k < 6; k++)
        d->u[k] = a->occupancy * t->weight * creal(back * t->sum.du[k]);
}

/* Friedel mates: F(h) = P + iQ and F(-h) = P* + iQ* with P = sum (f0 + f') G and
 * Q = sum f'' G; the mean of their squares is |P|^2 + |Q|^2. */
static void one_reflection(const job *w, size_t r, term *t)
{
    const bragg_structure *s = w->s;
    const bragg_reflection *hkl = &w->f->list[r];
    double invd2 = bragg_cell_invd2(w->g, hkl->h, hkl->k, hkl->l);
    double complex p = 0, q = 0, dp = 0, dq = 0;
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_atom *a = &s->atom[j];
        sum_atom(w, hkl, invd2, w->derivative || w->d_invd2, a, &t[j]);
        double weight = t[j].weight * a->occupancy;
        double complex g = weight * t[j].sum.g;
        double complex dg = weight * t[j].sum.dq - 2 * BRAGG_PI * BRAGG_PI * t[j].uiso * g;
        p += t[j].f * g;
        q += t[j].f2 * g;
        dp += t[j].f * dg + t[j].slope * g;
        dq += t[j].f2 * dg;
    }
    for (size_t j = 0; w->derivative && j < s->n_atoms; j++)
        differentiate(&s->atom[j], &t[j], invd2, 2 * (t[j].f * conj(p) + t[j].f2 * conj(q)),
                      &w->derivative[r * s->n_atoms + j]);
    if (w->d_invd2)
        w->d_invd2[r] = 2 * creal(conj(p) * dp + conj(q) * dq);
    w->f2[r] = creal(p * conj(p) + q * conj(q));
}

static bragg_status evaluate_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    const job *w = payload;
    term *t = malloc((w->s->n_atoms + 1) * sizeof *t);
    if (!t)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu atoms", w->s->n_atoms);
    for (size_t r = first; r < last; r++)
        one_reflection(w, r, t);
    free(t);
    return BRAGG_OK;
}

/* ------------------------------------------------------- without slopes */

/* Where only |F|^2 is wanted the phases come from tables of exp(2 pi i n x) of every
 * atom and axis, a row an n, so that a term is two products instead of a sine and a
 * cosine, and a row of atoms is one vector:
 *
 *   re[axis] + (n + most[axis]) n_atoms ──► atom 0 │ atom 1 │ … */
typedef struct waves {
    const job *w;
    size_t n;                 /* atoms */
    int most[3];
    double *re[3], *im[3];
    bool anisotropic;
} waves;
static const size_t most_waves = (size_t)4 << 20;

/* |h'| of an image of h is at most sum_i |h_i| max |r_ij| over the operations. */
static void bound_indices(const bragg_factors *f, int most[3])
{
    int high[3][3] = { { 0 } };
    memset(most, 0, 3 * sizeof *most);
    for (size_t o = 0; o < f->n_ops; o++)
        for (int i = 0; i < 9; i++)
            high[i / 3][i % 3] = high[i / 3][i % 3] > abs(f->op[o].r[i / 3][i % 3]) ? high[i / 3][i % 3] : abs(f->op[o].r[i / 3][i % 3]);
    for (size_t k = 0; k < f->n; k++)
        for (int j = 0; j < 3; j++) {
            int sum = abs(f->list[k].h) * high[0][j] + abs(f->list[k].k) * high[1][j] + abs(f->list[k].l) * high[2][j];
            most[j] = sum > most[j] ? sum : most[j];
        }
}

static void fill_axis(waves *t, int axis)
{
    size_t zero = (size_t)t->most[axis] * t->n;
    for (size_t j = 0; j < t->n; j++) {
        double x = 2 * BRAGG_PI * t->w->s->atom[j].x[axis], c = cos(x), s = sin(x), re = 1, im = 0;
        for (int m = 0; m <= t->most[axis]; m++) {
            size_t up = zero + (size_t)m * t->n + j, down = zero - (size_t)m * t->n + j;
            t->re[axis][up] = t->re[axis][down] = re;
            t->im[axis][up] = im;
            t->im[axis][down] = -im;
            double next = re * c - im * s;
            im = re * s + im * c;
            re = next;
        }
    }
}

/* False when there is no room: the slow way does it, too. */
static bool make_waves(const job *w, waves *t)
{
    *t = (waves){ .w = w, .n = w->s->n_atoms };
    bound_indices(w->f, t->most);
    size_t rows[3], all = 0;
    for (int k = 0; k < 3; k++)
        all += rows[k] = (2 * (size_t)t->most[k] + 1) * t->n;
    double *v = all < most_waves ? malloc((2 * all + 1) * sizeof *v) : NULL;
    for (int k = 0; v && k < 3; k++) {
        t->re[k] = k ? t->im[k - 1] + rows[k - 1] : v;
        t->im[k] = t->re[k] + rows[k];
        fill_axis(t, k);
    }
    for (size_t j = 0; j < t->n; j++)
        t->anisotropic = t->anisotropic || w->s->atom[j].anisotropic;
    return v != NULL;
}

/* What one operation adds to every atom's G; c + i s is the phase of its shift. */
typedef struct rows {
    const double *xr, *xi, *yr, *yi, *zr, *zi;
    double c, s;
} rows;

CLONES static void add_waves(const rows *v, size_t n, const double *restrict damp, double *restrict g_re, double *restrict g_im)
{
    for (size_t j = 0; j < n; j++) {
        double re = v->xr[j] * v->yr[j] - v->xi[j] * v->yi[j], im = v->xr[j] * v->yi[j] + v->xi[j] * v->yr[j];
        double a = re * v->zr[j] - im * v->zi[j], b = re * v->zi[j] + im * v->zr[j];
        g_re[j] += damp[j] * (a * v->c - b * v->s);
        g_im[j] += damp[j] * (a * v->s + b * v->c);
    }
}

/* The exponent of the anisotropic factor as in `anisotropic`, its coefficients once an
 * operation. */
static void fill_damping(const waves *t, const int h[3], const double astar[3], double *damp)
{
    double c[6];
    for (int k = 0; k < 6; k++)
        c[k] = -2 * BRAGG_PI * BRAGG_PI * (k < 3 ? 1 : 2) * h[pair_i[k]] * h[pair_j[k]] * astar[pair_i[k]] * astar[pair_j[k]];
    for (size_t j = 0; j < t->n; j++) {
        const bragg_atom *a = &t->w->s->atom[j];
        if (a->anisotropic)
            damp[j] = exp(c[0] * a->u[0] + c[1] * a->u[1] + c[2] * a->u[2] + c[3] * a->u[3] + c[4] * a->u[4] + c[5] * a->u[5]);
    }
}

static void sum_waves(const waves *t, const bragg_reflection *r, double *damp, double *g_re, double *g_im)
{
    const bragg_factors *f = t->w->f;
    const double *g = t->w->g, astar[3] = { sqrt(g[0]), sqrt(g[1]), sqrt(g[2]) };
    memset(g_re, 0, t->n * sizeof *g_re);
    memset(g_im, 0, t->n * sizeof *g_im);
    for (size_t o = 0; o < f->n_ops; o++) {
        const bragg_symop *op = &f->op[o];
        size_t at[3];
        int h[3];
        for (int j = 0; j < 3; j++) {
            h[j] = r->h * op->r[0][j] + r->k * op->r[1][j] + r->l * op->r[2][j];
            at[j] = (size_t)(h[j] + t->most[j]) * t->n;
        }
        double shift = 2 * BRAGG_PI * (r->h * op->t[0] + r->k * op->t[1] + r->l * op->t[2]);
        rows v = { t->re[0] + at[0], t->im[0] + at[0], t->re[1] + at[1], t->im[1] + at[1], t->re[2] + at[2], t->im[2] + at[2], cos(shift), sin(shift) };
        if (t->anisotropic)
            fill_damping(t, h, astar, damp);
        add_waves(&v, t->n, damp, g_re, g_im);
    }
}

static double square(const waves *t, size_t r, double *factor, double *damp, double *g_re, double *g_im)
{
    const bragg_structure *s = t->w->s;
    const bragg_factors *f = t->w->f;
    const bragg_reflection *hkl = &f->list[r];
    double invd2 = bragg_cell_invd2(t->w->g, hkl->h, hkl->k, hkl->l), slope;
    double complex p = 0, q = 0;
    sum_waves(t, hkl, damp, g_re, g_im);
    for (size_t k = 0; k < s->n_scatterers; k++)
        factor[k] = form_factor(f, &s->scatterer[k], invd2 / 4, &slope);
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_atom *a = &s->atom[j];
        double u = a->anisotropic || isnan(a->uiso_ang2) ? 0 : a->uiso_ang2;
        double weight = f->repeat * a->multiplicity / (double)s->symmetry.n_ops * a->occupancy * exp(-2 * BRAGG_PI * BRAGG_PI * u * invd2);
        double complex g = weight * (g_re[j] + (f->centric ? 0 : I * g_im[j])); /* the other half of a centric sum takes the sines away */
        p += factor[a->scatterer] * g;
        q += (f->neutron ? 0 : s->scatterer[a->scatterer].f2) * g;
    }
    return creal(p * conj(p) + q * conj(q));
}

static bragg_status square_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    const waves *t = payload;
    double *v = malloc((3 * t->n + t->w->s->n_scatterers + 1) * sizeof *v), *damp = v;
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu atoms", t->n);
    for (size_t j = 0; j < t->n; j++)
        damp[j] = 1;
    for (size_t r = first; r < last; r++)
        t->w->f2[r] = square(t, r, v + 3 * t->n, damp, v + t->n, v + 2 * t->n);
    free(v);
    return BRAGG_OK;
}

static void make_still(bragg_factors *f, const bragg_structure *s)
{
    f->n_atoms = s->n_atoms;
    f->place = calloc(s->n_atoms, sizeof *f->place);
    f->stands = calloc(s->n_atoms, sizeof *f->stands);
    if (f->place && f->stands && f->n < most_still / s->n_atoms)
        f->still = malloc((f->n * s->n_atoms + 1) * sizeof *f->still);
    for (size_t j = 0; f->still && j < s->n_atoms; j++)
        f->place[j][0] = NAN;
}

/* Which atoms stand where they stood; without room none does, and nothing is kept. */
static void find_still(bragg_factors *f, const bragg_structure *s)
{
    if (!f->n_atoms && s->n_atoms)
        make_still(f, s);
    for (size_t j = 0; f->still && j < f->n_atoms && f->n_atoms == s->n_atoms; j++) {
        const bragg_atom *a = &s->atom[j];
        f->stands[j] = !a->anisotropic && f->place[j][0] == a->x[0] && f->place[j][1] == a->x[1] && f->place[j][2] == a->x[2];
    }
}

/* An atom whose displacement is anisotropic has left nothing. */
static void note_places(bragg_factors *f, const bragg_structure *s, bool filled)
{
    for (size_t j = 0; f->still && j < f->n_atoms && f->n_atoms == s->n_atoms; j++) {
        memcpy(f->place[j], s->atom[j].x, sizeof f->place[j]);
        if (!filled || s->atom[j].anisotropic)
            f->place[j][0] = NAN;
    }
}

bragg_status bragg_factors_evaluate(bragg_factors *f, const bragg_structure *s, const double g[6],
                                    double *f2, bragg_factor_derivative *derivative, double *d_invd2,
                                    bragg_error *err)
{
    job w = { f, s, g, f2, d_invd2, derivative };
    waves t = { .n = 0 };
    bragg_status st;
    if (derivative || d_invd2 || !make_waves(&w, &t)) {
        bool slopes = derivative || d_invd2;
        if (slopes)
            find_still(f, s);
        st = bragg_parallel_for(f->n, BLOCK, evaluate_range, &w, err);
        if (slopes)
            note_places(f, s, st == BRAGG_OK);
        return st;
    }
    st = bragg_parallel_for(f->n, BLOCK, square_range, &t, err);
    free(t.re[0]);
    return st;
}
