/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preferred orientation: March-Dollase and symmetrized spherical harmonics. */
#include "config.h"
#include "spot.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <gsl/gsl_sf_legendre.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------- directions */

/* Reciprocal vectors in Cartesian axes: columns of m^-1, transposed. */
static void reciprocal_axes(const bragg_cell *cell, double b[3][3])
{
    double m[3][3], volume = bragg_cell_volume_ang3(cell);
    bragg_cell_cartesian(cell, m);
    for (int i = 0; i < 3; i++) { /* a* = b x c / V and so on, as column i */
        int p = (i + 1) % 3, q = (i + 2) % 3;
        for (int k = 0; k < 3; k++) {
            int u = (k + 1) % 3, v = (k + 2) % 3;
            b[k][i] = (m[u][p] * m[v][q] - m[v][p] * m[u][q]) / volume;
        }
    }
}

static void direction(const double b[3][3], const double hkl[3], double out[3])
{
    double length = 0;
    for (int k = 0; k < 3; k++) {
        out[k] = b[k][0] * hkl[0] + b[k][1] * hkl[1] + b[k][2] * hkl[2];
        length += out[k] * out[k];
    }
    for (int k = 0; k < 3; k++)
        out[k] /= sqrt(length);
}

/* The 2l + 1 real harmonics of order l, each of mean square 1 over the sphere. */
static void harmonics(int l, const double n[3], double *y)
{
    double phi = atan2(n[1], n[0]), z = fmin(fmax(n[2], -1), 1), norm = sqrt(4 * BRAGG_PI);
    y[0] = norm * gsl_sf_legendre_sphPlm(l, 0, z);
    for (int m = 1; m <= l; m++) {
        double p = norm * sqrt(2) * gsl_sf_legendre_sphPlm(l, m, z);
        y[2 * m - 1] = p * cos(m * phi);
        y[2 * m] = p * sin(m * phi);
    }
}

/* ------------------------------------------------------ what symmetry leaves */

enum { MOST_L = BRAGG_MAX_HARMONIC_ORDER, WIDTH = 2 * MOST_L + 1, TURNS = 2 * MOST_L + 8, HEIGHTS = MOST_L + 4 };

typedef struct rotations {
    size_t n;
    double q[192][3][3];
} rotations;

/* h -> h R in Cartesian axes, each rotation once. */
static void collect(const bragg_symmetry *s, const double b[3][3], rotations *out)
{
    double inverse[3][3], det = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            int p = (i + 1) % 3, q = (i + 2) % 3, u = (j + 1) % 3, v = (j + 2) % 3;
            inverse[j][i] = b[p][u] * b[q][v] - b[p][v] * b[q][u];
        }
    for (int k = 0; k < 3; k++)
        det += b[0][k] * inverse[k][0];
    out->n = 0;
    for (size_t o = 0; o < s->n_ops; o++) {
        bool known = false;
        for (size_t k = 0; k < o && !known; k++)
            known = !memcmp(s->op[k].r, s->op[o].r, sizeof s->op[o].r);
        for (int i = 0; i < 3 && !known; i++)
            for (int j = 0; j < 3; j++) {
                double sum = 0;
                for (int u = 0; u < 3; u++)
                    for (int v = 0; v < 3; v++)
                        sum += b[i][u] * s->op[o].r[v][u] * inverse[v][j] / det;
                out->q[out->n][i][j] = sum;
            }
        out->n += !known;
    }
}

/* P[m][k] = mean over the sphere of Y_k and the mean of Y_m over the group: projects
 * on what the group leaves. */
static void project(int l, const rotations *g, double p[WIDTH][WIDTH])
{
    int width = 2 * l + 1;
    double heights[HEIGHTS], weight[HEIGHTS];
    bragg_gauss_legendre(HEIGHTS, -1, 1, heights, weight);
    memset(p, 0, WIDTH * WIDTH * sizeof(double));
    for (int i = 0; i < HEIGHTS; i++)
        for (int j = 0; j < TURNS; j++) {
            double z = heights[i], w = weight[i], y[WIDTH], turned[WIDTH], mean[WIDTH] = { 0 }, phi = 2 * BRAGG_PI * (j + 0.37) / TURNS;
            const double n[3] = { sqrt(1 - z * z) * cos(phi), sqrt(1 - z * z) * sin(phi), z };
            harmonics(l, n, y);
            for (size_t o = 0; o < g->n; o++) {
                double m[3];
                for (int k = 0; k < 3; k++)
                    m[k] = g->q[o][k][0] * n[0] + g->q[o][k][1] * n[1] + g->q[o][k][2] * n[2];
                harmonics(l, m, turned);
                for (int k = 0; k < width; k++)
                    mean[k] += turned[k] / (double)g->n;
            }
            for (int a = 0; a < width; a++)
                for (int c = 0; c < width; c++)
                    p[a][c] += mean[a] * y[c] * w / 2 / TURNS;
        }
}

/* Orthonormal rows that span those of p; how many. */
static size_t orthonormalize(double p[WIDTH][WIDTH], int width)
{
    size_t found = 0;
    for (int r = 0; r < width; r++) {
        double norm = 0;
        for (size_t k = 0; k < found; k++) {
            double dot = 0;
            for (int c = 0; c < width; c++)
                dot += p[r][c] * p[k][c];
            for (int c = 0; c < width; c++)
                p[r][c] -= dot * p[k][c];
        }
        for (int c = 0; c < width; c++)
            norm += p[r][c] * p[r][c];
        if (norm < 1e-6)
            continue;
        for (int c = 0; c < width; c++)
            p[found][c] = p[r][c] / sqrt(norm);
        found++;
    }
    return found;
}

/* Values of all functions of even orders up to l_max at the reflections, divided by
 * sqrt(2l + 1): what stands before C_l in GSAS's normalization (R. B. Von Dreele, J.
 * Appl. Cryst. 30 (1997) 517; M. Jarvinen, ibid. 26 (1993) 525; N. C. Popa, ibid. 25
 * (1992) 611), where the texture index is 1 + sum C^2 / (2l + 1). */
bragg_status bragg_refine_make_harmonics(bragg_model *m, phase *p, bragg_error *err)
{
    double b[3][3];
    p->n_harmonics = 0;
    if (!p->harmonics)
        return BRAGG_OK;
    rotations *g = malloc(sizeof *g);
    double(*basis)[WIDTH] = malloc(WIDTH * WIDTH * sizeof(double));
    p->harmonic_at = bragg_arena_alloc(m->arena, p->n_reflections * BRAGG_MAX_HARMONIC_TERMS + 1, sizeof(double));
    bragg_status st = g && basis && p->harmonic_at ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "phase %s: no room for texture", p->name);
    reciprocal_axes(&p->structure->cell, b);
    if (st == BRAGG_OK)
        collect(&p->structure->symmetry, (const double(*)[3])b, g);
    for (int l = 2; l <= p->harmonics && st == BRAGG_OK; l += 2) {
        project(l, g, basis);
        size_t n = orthonormalize(basis, 2 * l + 1);
        if (p->n_harmonics + n > BRAGG_MAX_HARMONIC_TERMS)
            st = bragg_fail(err, BRAGG_EDATA, "phase %s: expected at most %d texture coefficients, found more with order %d", p->name, BRAGG_MAX_HARMONIC_TERMS, l);
        for (size_t r = 0; r < p->n_reflections && st == BRAGG_OK; r++) {
            const double hkl[3] = { p->reflection[r].h, p->reflection[r].k, p->reflection[r].l };
            double unit[3], y[WIDTH];
            direction((const double(*)[3])b, hkl, unit);
            harmonics(l, unit, y);
            for (size_t k = 0; k < n; k++) {
                double sum = 0;
                for (int c = 0; c < 2 * l + 1; c++)
                    sum += basis[k][c] * y[c];
                p->harmonic_at[r * BRAGG_MAX_HARMONIC_TERMS + p->n_harmonics + k] = sum / sqrt(2 * l + 1);
            }
        }
        for (size_t k = 0; k < n && st == BRAGG_OK; k++)
            p->harmonic_order[p->n_harmonics++] = l;
    }
    free(g);
    free(basis);
    return st;
}

/* --------------------------------------------------------------- factors */

double bragg_refine_march(const double *cos2, size_t n, double r, double *slope)
{
    double sum = 0, by_r = 0;
    for (size_t k = 0; k < n; k++) {
        double c2 = cos2[k], b = r * r * c2 + (1 - c2) / r, power = 1 / (b * sqrt(b));
        sum += power;
        by_r -= 1.5 * power / b * (2 * r * c2 - (1 - c2) / (r * r));
    }
    *slope = by_r / (double)n;
    return sum / (double)n;
}

/* P_l of the angle between the scattering vector and the sample's axis: the normal of
 * a plate in reflection, else that of a plate in transmission or a capillary's axis,
 * which are across it. */
static double sample_factor(const histogram *h, int l)
{
    double p = 1;
    for (int k = 2; h->mount != BRAGG_BRAGG_BRENTANO && k <= l; k += 2)
        p *= -(k - 1.) / k;
    return p;
}

double bragg_refine_texture(const bragg_params *t, const histogram *h, const phase *p, size_t refl, texture_slopes *d)
{
    double value = 1, first = 0, rest = 1;
    if (p->n_march) {
        const size_t n_ops = p->structure->symmetry.n_ops;
        double part[MAX_MARCH], m[MAX_MARCH];
        for (size_t k = 0; k < p->n_march; k++) {
            m[k] = bragg_refine_march(p->march_cos2 + (k * p->n_reflections + refl) * n_ops, n_ops, t->at[p->march_row[k]].value, &d->march[k]);
            part[k] = k ? t->at[p->part_row[k]].value : 1;
            rest -= k ? part[k] : 0;
        }
        part[0] = rest;
        first = m[0];
        value = 0;
        for (size_t k = 0; k < p->n_march; k++) {
            value += part[k] * m[k];
            d->march[k] *= part[k];
            d->part[k] = m[k] - first;
        }
    }
    double sum = 1;
    for (size_t k = 0; k < p->n_harmonics; k++) {
        d->harmonic[k] = p->harmonic_at[refl * BRAGG_MAX_HARMONIC_TERMS + k] * sample_factor(h, p->harmonic_order[k]);
        sum += t->at[p->harmonic_row + k].value * d->harmonic[k];
    }
    for (size_t k = 0; k < p->n_march; k++) {
        d->march[k] *= sum;
        d->part[k] *= sum;
    }
    for (size_t k = 0; k < p->n_harmonics; k++)
        d->harmonic[k] *= value;
    return value * sum;
}
