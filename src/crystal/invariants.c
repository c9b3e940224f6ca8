/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Polynomials in h, k, l that a Laue group leaves alone. */
#include "config.h"
#include <bragg/crystal.h>

#include <math.h>
#include <string.h>

enum { MOST = BRAGG_MONOMIALS };

/* h k l powers in the order people list them: D11 D22 D33 D23 D13 D12, and the
 * fifteen S_HKL of P. W. Stephens, J. Appl. Cryst. 32 (1999) 281. */
static const int squares[6][3] = { { 2, 0, 0 }, { 0, 2, 0 }, { 0, 0, 2 }, { 0, 1, 1 }, { 1, 0, 1 }, { 1, 1, 0 } };
static const int quartics[15][3] = { { 4, 0, 0 }, { 0, 4, 0 }, { 0, 0, 4 }, { 2, 2, 0 }, { 2, 0, 2 }, { 0, 2, 2 }, { 3, 1, 0 }, { 1, 0, 3 },
                                     { 0, 3, 1 }, { 1, 3, 0 }, { 3, 0, 1 }, { 0, 1, 3 }, { 2, 1, 1 }, { 1, 2, 1 }, { 1, 1, 2 } };

static size_t find(const bragg_invariants *v, int h, int k, int l)
{
    for (size_t m = 0; m < v->n_monomials; m++)
        if (v->power[m][0] == h && v->power[m][1] == k && v->power[m][2] == l)
            return m;
    return 0;
}

/* Polynomial times (c0 h + c1 k + c2 l); at[h][k] holds the coefficient of
 * h^h k^k l^(degree - h - k). */
static void times_linear(double at[5][5], int degree, const int c[3])
{
    double out[5][5] = { { 0 } };
    for (int h = 0; h <= degree; h++)
        for (int k = 0; h + k <= degree; k++) {
            out[h][k] += c[2] * at[h][k];
            if (h + 1 < 5)
                out[h + 1][k] += c[0] * at[h][k];
            if (k + 1 < 5)
                out[h][k + 1] += c[1] * at[h][k];
        }
    memcpy(at, out, sizeof out);
}

/* Monomial m after h -> h R, added to row. */
static void add_image(const bragg_invariants *v, size_t m, const int r[3][3], double *row)
{
    double at[5][5] = { { 1 } };
    int degree = 0;
    for (int j = 0; j < 3; j++)
        for (int p = 0; p < v->power[m][j]; p++) {
            const int c[3] = { r[0][j], r[1][j], r[2][j] };
            times_linear(at, degree++, c);
        }
    for (int h = 0; h <= degree; h++)
        for (int k = 0; h + k <= degree; k++)
            if (at[h][k] != 0)
                row[find(v, h, k, degree - h - k)] += at[h][k];
}

/* Echelon form by columns in the order of the list: names come from the first
 * monomial of each polynomial. */
static void reduce(bragg_invariants *v, double rows[MOST][MOST])
{
    v->n = 0;
    for (size_t c = 0; c < v->n_monomials; c++) {
        size_t best = v->n;
        for (size_t r = v->n; r < v->n_monomials; r++)
            if (fabs(rows[r][c]) > fabs(rows[best][c]))
                best = r;
        if (best >= v->n_monomials || fabs(rows[best][c]) < 1e-9)
            continue;
        double keep[MOST], by = rows[best][c];
        memcpy(keep, rows[best], sizeof keep);
        memcpy(rows[best], rows[v->n], sizeof keep);
        for (size_t k = 0; k < v->n_monomials; k++)
            rows[v->n][k] = keep[k] / by;
        for (size_t r = 0; r < v->n_monomials; r++) {
            double much = r == v->n ? 0 : rows[r][c];
            for (size_t k = 0; k < v->n_monomials; k++)
                rows[r][k] -= much * rows[v->n][k];
        }
        v->pivot[v->n++] = c;
    }
    memcpy(v->basis, rows, sizeof v->basis);
}

void bragg_symmetry_invariants(const bragg_symmetry *s, int degree, bragg_invariants *out)
{
    double rows[MOST][MOST] = { { 0 } };
    *out = (bragg_invariants){ .degree = degree, .n_monomials = degree == 2 ? 6 : 15 };
    for (size_t m = 0; m < out->n_monomials; m++)
        memcpy(out->power[m], degree == 2 ? squares[m] : quartics[m], sizeof out->power[m]);
    for (size_t m = 0; m < out->n_monomials; m++)
        for (size_t o = 0; o < s->n_ops; o++)
            add_image(out, m, s->op[o].r, rows[m]);
    for (size_t m = 0; m < out->n_monomials; m++)
        for (size_t k = 0; k < out->n_monomials; k++)
            rows[m][k] /= (double)s->n_ops;
    reduce(out, rows);
}

double bragg_invariant_at(const bragg_invariants *v, size_t i, int h, int k, int l)
{
    const double x[3] = { h, k, l };
    double sum = 0;
    for (size_t m = 0; m < v->n_monomials; m++) {
        double term = v->basis[i][m];
        for (int j = 0; j < 3 && term != 0; j++)
            for (int p = 0; p < v->power[m][j]; p++)
                term *= x[j];
        sum += term;
    }
    return sum;
}
