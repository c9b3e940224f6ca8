/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scattering of finite particles by the Debye sum over histograms of distances. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/pdf.h>

#include <bragg/array.h>
#include <bragg/number.h>
#include <bragg/numeric.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ATOMS = 20000000, PARTS = 32, RUN = 512 };

/* ------------------------------------------------------------ particles */

/* Atoms as they come, before they are sorted. */
typedef struct pile {
    bragg_particle *p;
    double (*x)[3];
    unsigned char *kind;
    size_t n, room_x, room_kind;
} pile;

static bragg_status add_atom(pile *t, size_t kind, const double x[3], bragg_error *err)
{
    if (t->n >= MOST_ATOMS)
        return bragg_fail(err, BRAGG_EDATA, "particle: more than %d atoms", MOST_ATOMS);
    bragg_status st = bragg_array_grow(&t->x, &t->room_x, t->n + 1, sizeof *t->x, err);
    if (st == BRAGG_OK)
        st = bragg_array_grow(&t->kind, &t->room_kind, t->n + 1, 1, err);
    if (st < 0)
        return st;
    memcpy(t->x[t->n], x, sizeof *t->x);
    t->kind[t->n++] = (unsigned char)kind;
    return BRAGG_OK;
}

static bragg_status find_kind(bragg_particle *p, const bragg_scatterer *s, double uiso, size_t *k, bragg_error *err)
{
    for (*k = 0; *k < p->n_kinds; ++*k)
        if (!strcmp(p->kind[*k].name, s->name) && p->uiso_ang2[*k] == uiso)
            return BRAGG_OK;
    if (*k == BRAGG_COMPOSITION_ELEMENTS)
        return bragg_fail(err, BRAGG_EDATA, "particle: more than %d kinds of atoms", BRAGG_COMPOSITION_ELEMENTS);
    p->kind[*k] = *s;
    p->uiso_ang2[*k] = uiso;
    p->n_kinds++;
    return BRAGG_OK;
}

static bragg_status sort_atoms(pile *t, bragg_error *err)
{
    bragg_particle *p = t->p;
    size_t at = 0;
    if (t->n < 2)
        return bragg_fail(err, BRAGG_EDATA, "particle: expected at least 2 atoms, found %zu", t->n);
    p->x = calloc(t->n, sizeof *p->x);
    if (!p->x)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu atoms", t->n);
    for (size_t k = 0; k < p->n_kinds; k++) {
        p->first[k] = at;
        for (size_t i = 0; i < t->n; i++)
            if (t->kind[i] == k)
                memcpy(p->x[at++], t->x[i], sizeof *p->x);
        p->first[k + 1] = at;
    }
    p->n = at;
    return BRAGG_OK;
}

static bragg_status close_pile(pile *t, bragg_status st, bragg_particle **out, bragg_error *err)
{
    if (st == BRAGG_OK)
        st = sort_atoms(t, err);
    free(t->x);
    free(t->kind);
    *out = st == BRAGG_OK ? t->p : NULL;
    if (st < 0)
        bragg_particle_free(t->p);
    return st;
}

static bragg_status take_line(pile *t, const char *path, size_t line, const char *text, bragg_error *err)
{
    char name[12];
    const char *at = text + strspn(text, " \t");
    size_t length = strcspn(at, " \t\r\n"), kind;
    double x[3];
    bragg_scatterer s;
    bool exact, good = length > 0 && length < sizeof name;
    snprintf(name, sizeof name, "%.*s", (int)(good ? length : 0), at);
    at += length;
    for (int k = 0; k < 3 && good; k++)
        good = bragg_number_scan(at, &at, &x[k]) && isfinite(x[k]);
    if (!good)
        return bragg_fail(err, BRAGG_EDATA, "%s:%zu: expected an element and three coordinates, found '%.*s'", path, line, bragg_utf8_most(text, 30), text);
    bragg_status st = bragg_scatterer_find(name, &s, &exact, err);
    if (st == BRAGG_OK)
        st = find_kind(t->p, &s, 0, &kind, err);
    return st == BRAGG_OK ? add_atom(t, kind, x, err) : bragg_context(err, st, "%s:%zu", path, line);
}

bragg_status bragg_particle_read_xyz(const char *path, bragg_particle **out, bragg_error *err)
{
    pile t = { .p = calloc(1, sizeof *t.p) };
    char text[512];
    double expected = NAN;
    size_t line = 0;
    FILE *in = fopen(path, "r");
    *out = NULL;
    bragg_status st = !in ? bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno))
                          : t.p ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
    while (st == BRAGG_OK && (!(t.n >= expected) || line < 2) && fgets(text, sizeof text, in)) {
        line++;
        if (line == 1 && (!bragg_number_parse(text, &expected) || !(expected >= 1 && expected <= MOST_ATOMS)))
            st = bragg_fail(err, BRAGG_EDATA, "%s:1: expected the number of atoms, found '%.*s'", path, bragg_utf8_most(text, 30), text);
        else if (line > 2)
            st = take_line(&t, path, line, text, err);
    }
    if (st == BRAGG_OK && (double)t.n != expected)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected %.0f atoms, found %zu", path, expected, t.n);
    if (in)
        fclose(in);
    return close_pile(&t, st, out, err);
}

static bool is_inside(bragg_cut cut, const double x[3], const double along[3], double diameter, double length)
{
    double r2 = x[0] * x[0] + x[1] * x[1] + x[2] * x[2], z = x[0] * along[0] + x[1] * along[1] + x[2] * along[2];
    if (cut == BRAGG_CUT_SPHERE)
        return 4 * r2 <= diameter * diameter;
    return 4 * (r2 - z * z) <= diameter * diameter && 2 * fabs(z) <= length;
}

/* A fixed choice: the same particle every time (xorshift, G. Marsaglia, J. Stat. Softw. 8
 * (2003) 14). */
static double next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* The places of a cell: atoms of one place share it by their occupancies. */
typedef struct place {
    double x[3];
    size_t n, atom[8];
} place;

static size_t collect_places(const bragg_structure *s, place *list, size_t room)
{
    size_t n = 0;
    for (size_t a = 0; a < s->n_atoms; a++)
        for (size_t o = 0; o < s->symmetry.n_ops; o++) {
            const bragg_symop *op = &s->symmetry.op[o];
            double x[3];
            size_t k;
            for (int i = 0; i < 3; i++) {
                x[i] = op->r[i][0] * s->atom[a].x[0] + op->r[i][1] * s->atom[a].x[1] + op->r[i][2] * s->atom[a].x[2] + op->t[i];
                x[i] -= floor(x[i] + 1e-9);
            }
            for (k = 0; k < n; k++) {
                double far = 0;
                for (int i = 0; i < 3; i++)
                    far = fmax(far, fabs(remainder(x[i] - list[k].x[i], 1)));
                if (far < 1e-4)
                    break;
            }
            if (k == n && n < room) {
                memcpy(list[n].x, x, sizeof x);
                list[n++].n = 0;
            }
            if (k < n && list[k].n < 8 && !(list[k].n && list[k].atom[list[k].n - 1] == a))
                list[k].atom[list[k].n++] = a;
        }
    return n;
}

static bragg_status put_place(pile *t, const bragg_structure *s, const place *at, const double x[3], uint64_t *seed, bragg_error *err)
{
    double toss = next_random(seed), so_far = 0;
    for (size_t k = 0; k < at->n; k++) {
        const bragg_atom *a = &s->atom[at->atom[k]];
        size_t kind;
        double u = bragg_atom_equivalent_u(&s->cell, a);
        so_far += a->occupancy;
        if (toss >= so_far && !(k + 1 == at->n && so_far > 0.9999))
            continue;
        bragg_status st = find_kind(t->p, &s->scatterer[a->scatterer], u > 0 ? u : 0, &kind, err);
        return st == BRAGG_OK ? add_atom(t, kind, x, err) : st;
    }
    return BRAGG_OK;
}

static bragg_status fill_cut(pile *t, const bragg_structure *s, bragg_cut cut, double diameter, double length, bragg_error *err)
{
    size_t room = s->n_atoms * s->symmetry.n_ops;
    place *list = calloc(room + 1, sizeof *list);
    double m[3][3], g[6], reach = cut == BRAGG_CUT_SPHERE ? diameter / 2 : sqrt(diameter * diameter + length * length) / 2;
    uint64_t seed = 0x9e3779b97f4a7c15u;
    bragg_cell_cartesian(&s->cell, m);
    bragg_cell_reciprocal(&s->cell, g);
    const double along[3] = { m[0][2] / s->cell.c, m[1][2] / s->cell.c, m[2][2] / s->cell.c };
    int span[3];
    for (int k = 0; k < 3; k++)
        span[k] = (int)ceil(reach * sqrt(g[k])) + 1;
    bragg_status st = list ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu places", room);
    size_t n = list ? collect_places(s, list, room) : 0;
    for (int u = -span[0]; u <= span[0] && st == BRAGG_OK; u++)
        for (int v = -span[1]; v <= span[1] && st == BRAGG_OK; v++)
            for (int w = -span[2]; w <= span[2] && st == BRAGG_OK; w++)
                for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
                    const double f[3] = { list[k].x[0] + u - 0.5, list[k].x[1] + v - 0.5, list[k].x[2] + w - 0.5 };
                    double x[3];
                    for (int i = 0; i < 3; i++)
                        x[i] = m[i][0] * f[0] + m[i][1] * f[1] + m[i][2] * f[2];
                    if (is_inside(cut, x, along, diameter, length))
                        st = put_place(t, s, &list[k], x, &seed, err);
                }
    free(list);
    return st;
}

bragg_status bragg_particle_cut(const bragg_structure *s, bragg_cut cut, double diameter, double length, bragg_particle **out, bragg_error *err)
{
    pile t = { .p = calloc(1, sizeof *t.p) };
    *out = NULL;
    bragg_status st = t.p ? bragg_cell_check(&s->cell, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a particle");
    double volume = diameter * diameter * (cut == BRAGG_CUT_SPHERE ? diameter / 1.9 : length);
    if (st == BRAGG_OK && (!(diameter > 0) || (cut != BRAGG_CUT_SPHERE && !(length > 0)) || !(volume / bragg_cell_volume_ang3(&s->cell) < MOST_ATOMS)))
        st = bragg_fail(err, BRAGG_EINVAL, "particle: expected a diameter and a length that hold 2 to %d cells, found %g and %g angstrom", MOST_ATOMS, diameter, length);
    if (st == BRAGG_OK)
        st = fill_cut(&t, s, cut, diameter, length, err);
    return close_pile(&t, st, out, err);
}

void bragg_particle_free(bragg_particle *p)
{
    if (!p)
        return;
    free(p->x);
    free(p);
}

/* ------------------------------------------------------------ distances */

/* Histogram of the distances between atoms of two kinds.  A bin holds in one word how
 * many there are (from bit 36 on) and the sum of their places in it, in 1/256: crystals
 * repeat few distances, which must not move to the middle of a bin. */
typedef struct count {
    const float *x, *y, *z;
    size_t a0, a1, b0, b1, bins;
    float per_bin;
    uint64_t *part;              /* PARTS rows of bins */
} count;

/* Bins of one atom against a run of others; the loop is one that compilers vectorize. */
CLONES
static void bins_of(const count *c, size_t i, size_t j, size_t n, int32_t *bin)
{
    const float x = c->x[i], y = c->y[i], z = c->z[i], per_bin = c->per_bin;
    const float *px = c->x + j, *py = c->y + j, *pz = c->z + j;
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float dx = px[k] - x, dy = py[k] - y, dz = pz[k] - z;
        bin[k] = (int32_t)(sqrtf(dx * dx + dy * dy + dz * dz) * per_bin);
    }
}

static bragg_status count_part(void *payload, size_t first, size_t last, bragg_error *err)
{
    const count *c = payload;
    int32_t bin[RUN];
    (void)err;
    for (size_t part = first; part < last; part++) {
        uint64_t *row = c->part + part * c->bins;
        for (size_t i = c->a0 + part; i < c->a1; i += PARTS) /* interleaved: equal work */
            for (size_t j = c->a0 == c->b0 ? i + 1 : c->b0; j < c->b1; j += RUN) {
                size_t n = c->b1 - j < RUN ? c->b1 - j : RUN;
                bins_of(c, i, j, n, bin);
                for (size_t k = 0; k < n; k++)
                    row[bin[k] >> 8] += ((uint64_t)1 << 36) + (uint64_t)(bin[k] & 255);
            }
    }
    return BRAGG_OK;
}

/* Longest distance from a centre, twice. */
static double extent(const bragg_particle *p)
{
    double mean[3] = { 0 }, most = 0;
    for (size_t i = 0; i < p->n; i++)
        for (int k = 0; k < 3; k++)
            mean[k] += p->x[i][k] / (double)p->n;
    for (size_t i = 0; i < p->n; i++) {
        double r2 = 0;
        for (int k = 0; k < 3; k++)
            r2 += (p->x[i][k] - mean[k]) * (p->x[i][k] - mean[k]);
        most = fmax(most, r2);
    }
    return 2 * sqrt(most);
}

typedef struct work {
    const bragg_particle *p;
    const bragg_debye_options *o;
    count c;
    double *h, *r, *ones, *sine;  /* histogram / r and its grid */
} work;

/* The histogram over r on even steps: what stands in a bin goes by Lagrange's cubic to
 * the four about its mean place. */
static void share_bins(work *w)
{
    size_t bins = w->c.bins;
    memset(w->h, 0, bins * sizeof *w->h);
    for (size_t i = 0; i + 3 < bins; i++) {
        double found = 0, offset = 0;
        for (size_t part = 0; part < PARTS; part++) {
            uint64_t v = w->c.part[part * bins + i];
            found += (double)(v >> 36);
            offset += (double)(v & (((uint64_t)1 << 36) - 1));
        }
        if (!(found > 0) || i == 0)
            continue;
        double x = (offset / found + 0.5) / 256, y = found / (((double)i + x) * w->o->bin_ang);
        w->h[i - 1] -= y * x * (x - 1) * (x - 2) / 6;
        w->h[i] += y * (x + 1) * (x - 1) * (x - 2) / 2;
        w->h[i + 1] -= y * (x + 1) * x * (x - 2) / 2;
        w->h[i + 2] += y * (x + 1) * x * (x - 1) / 6;
    }
}

/* What a pair of kinds adds to I(Q). */
static bragg_status add_pair(work *w, size_t a, size_t b, bragg_debye *out, bragg_error *err)
{
    const bragg_particle *p = w->p;
    size_t bins = w->c.bins;
    w->c.a0 = p->first[a], w->c.a1 = p->first[a + 1], w->c.b0 = p->first[b], w->c.b1 = p->first[b + 1];
    memset(w->c.part, 0, PARTS * bins * sizeof *w->c.part);
    bragg_status st = bragg_parallel_for(PARTS, 1, count_part, &w->c, err);
    for (size_t part = 0; part < PARTS && st == BRAGG_OK; part++)
        if (w->c.part[part * bins])
            st = bragg_fail(err, BRAGG_EDATA, "particle: atoms of %s and %s stand in one place", p->kind[a].name, p->kind[b].name);
    share_bins(w);
    if (st == BRAGG_OK)
        st = bragg_sine_transform(w->r, w->h, w->ones, NULL, bins, out->q, out->n, w->sine, NULL, err);
    for (size_t i = 0; st == BRAGG_OK && i < out->n; i++) {
        double q = out->q[i], s = q / (4 * BRAGG_PI), calm = exp(-q * q * (p->uiso_ang2[a] + p->uiso_ang2[b]) / 2);
        double fa = w->o->neutron ? p->kind[a].neutron_fm : bragg_scatterer_f0(&p->kind[a], s);
        double fb = w->o->neutron ? p->kind[b].neutron_fm : bragg_scatterer_f0(&p->kind[b], s);
        out->iq[i] += 2 * fa * fb * w->sine[i] / q * calm / (double)p->n;
    }
    return st;
}

static void normalize(const bragg_particle *p, const bragg_debye_options *o, bragg_debye *d)
{
    for (size_t i = 0; i < d->n; i++) {
        double mean = 0, square = 0;
        for (size_t k = 0; k < p->n_kinds; k++) {
            double part = (double)(p->first[k + 1] - p->first[k]) / (double)p->n;
            double f = o->neutron ? p->kind[k].neutron_fm : bragg_scatterer_f0(&p->kind[k], d->q[i] / (4 * BRAGG_PI));
            mean += part * f;
            square += part * f * f;
        }
        d->fq[i] = d->q[i] * d->iq[i] / (mean * mean); /* without the self term */
        d->sq[i] = 1 + d->iq[i] / (mean * mean);
        d->iq[i] += square;
    }
}

static bragg_status check(const bragg_particle *p, const bragg_debye_options *o, bragg_error *err)
{
    if (!(o->qmin_invang > 0) || !(o->qmax_invang > o->qmin_invang) || !(o->qstep_invang > 0) || !((o->qmax_invang - o->qmin_invang) / o->qstep_invang < 1e6))
        return bragg_fail(err, BRAGG_EINVAL, "Q grid: expected 0 < qmin < qmax and a step, found %g, %g, %g", o->qmin_invang, o->qmax_invang, o->qstep_invang);
    if (!(o->rstep_ang > 0) || !(o->rmin_ang >= 0) || !(o->rmax_ang > o->rmin_ang) || !((o->rmax_ang - o->rmin_ang) / o->rstep_ang < 1e6))
        return bragg_fail(err, BRAGG_EINVAL, "r grid: expected 0 <= rmin < rmax and a step, found %g, %g, %g", o->rmin_ang, o->rmax_ang, o->rstep_ang);
    if (!(o->bin_ang * o->qmax_invang < 1) || !(o->bin_ang > 1e-5) || !(extent(p) / o->bin_ang < 6e6))
        return bragg_fail(err, BRAGG_EINVAL, "bins: expected a width below 1 / qmax that takes %g angstrom in six million, found %g", extent(p), o->bin_ang);
    for (size_t k = 0; k < p->n_kinds; k++)
        if (o->neutron && !isfinite(p->kind[k].neutron_fm))
            return bragg_fail(err, BRAGG_EDATA, "particle: no neutron scattering length is known for %s", p->kind[k].name);
    return BRAGG_OK;
}

static bragg_debye *new_debye(const bragg_debye_options *o)
{
    bragg_debye *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->n = (size_t)floor((o->qmax_invang - o->qmin_invang) / o->qstep_invang + 1e-6) + 1;
    d->m = (size_t)floor((o->rmax_ang - o->rmin_ang) / o->rstep_ang + 1e-6) + 1;
    d->q = calloc(4 * d->n + 2 * d->m, sizeof *d->q);
    if (!d->q) {
        free(d);
        return NULL;
    }
    d->iq = d->q + d->n;
    d->sq = d->iq + d->n;
    d->fq = d->sq + d->n;
    d->r = d->fq + d->n;
    d->gr = d->r + d->m;
    for (size_t i = 0; i < d->n; i++)
        d->q[i] = o->qmin_invang + (double)i * o->qstep_invang;
    for (size_t i = 0; i < d->m; i++)
        d->r[i] = o->rmin_ang + (double)i * o->rstep_ang;
    return d;
}

static bragg_status open_work(work *w, size_t n_q, bragg_error *err)
{
    const bragg_particle *p = w->p;
    float *x = malloc(3 * p->n * sizeof *x);
    size_t bins = w->c.bins = (size_t)(extent(p) / w->o->bin_ang) + 8;
    w->c.x = x;
    w->c.part = calloc(PARTS * bins, sizeof *w->c.part);
    w->h = calloc(3 * bins + n_q, sizeof *w->h);
    if (!x || !w->c.part || !w->h)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu atoms and %zu distances", p->n, bins);
    w->r = w->h + bins;
    w->ones = w->r + bins;
    w->sine = w->ones + bins;
    for (size_t i = 0; i < bins; i++) {
        w->r[i] = (double)i * w->o->bin_ang;
        w->ones[i] = 1;
    }
    for (size_t i = 0; i < p->n; i++)
        for (int k = 0; k < 3; k++) /* from the first atom: a float keeps seven digits */
            x[(size_t)k * p->n + i] = (float)(p->x[i][k] - p->x[0][k]);
    w->c.y = x + p->n;
    w->c.z = x + 2 * p->n;
    w->c.per_bin = (float)(256 / w->o->bin_ang);
    return BRAGG_OK;
}

static bragg_status to_gr(const bragg_debye_options *o, bragg_debye *d, bragg_error *err)
{
    double *w = calloc(d->n, sizeof *w);
    if (!w)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", d->n);
    bragg_trapezoid_weights(d->q, d->n, w);
    for (size_t i = 0; i < d->n; i++)
        w[i] *= 2 / BRAGG_PI;
    bragg_status st = bragg_sine_transform(d->q, d->fq, w, NULL, d->n, d->r, d->m, d->gr, NULL, err);
    for (size_t i = 0; i < d->m; i++)
        d->gr[i] *= exp(-o->qdamp_invang * o->qdamp_invang * d->r[i] * d->r[i] / 2);
    free(w);
    return st;
}

bragg_status bragg_debye_sum(const bragg_particle *p, const bragg_debye_options *o, bragg_debye **out, bragg_error *err)
{
    work w = { .p = p, .o = o };
    bragg_debye *d = NULL;
    *out = NULL;
    bragg_status st = check(p, o, err);
    if (st == BRAGG_OK && !(d = new_debye(o)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a Debye sum");
    if (st == BRAGG_OK)
        st = open_work(&w, d->n, err);
    for (size_t a = 0; a < p->n_kinds; a++)
        for (size_t b = a; b < p->n_kinds && st == BRAGG_OK; b++)
            st = add_pair(&w, a, b, d, err);
    if (st == BRAGG_OK) {
        normalize(p, o, d);
        st = to_gr(o, d, err);
    }
    free((void *)w.c.x);
    free(w.c.part);
    free(w.h);
    if (st < 0)
        bragg_debye_free(d);
    else
        *out = d;
    return st;
}

void bragg_debye_free(bragg_debye *d)
{
    if (!d)
        return;
    free(d->q);
    free(d);
}
