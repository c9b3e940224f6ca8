/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What symmetry leaves free: cell parameters, coordinates, displacement tensors. */
#include "config.h"
#include <bragg/crystal.h>
#include <bragg/units.h>

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ cell */

/* Mean of R' G R over the group: the nearest metric with its symmetry. */
static void average_metric(const bragg_symmetry *s, const double g[3][3], double out[3][3])
{
    memset(out, 0, 9 * sizeof(double));
    for (size_t o = 0; o < s->n_ops; o++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                for (int k = 0; k < 3; k++)
                    for (int l = 0; l < 3; l++)
                        out[i][j] += s->op[o].r[k][i] * g[k][l] * s->op[o].r[l][j] / (double)s->n_ops;
}

static void cell_of(const double g[3][3], double v[6])
{
    for (int i = 0; i < 3; i++)
        v[i] = sqrt(g[i][i]);
    v[3] = g[1][2] / (v[1] * v[2]);
    v[4] = g[0][2] / (v[0] * v[2]);
    v[5] = g[0][1] / (v[0] * v[1]);
}

/* Two cells without any symmetry, averaged, show what the group leaves free: a
 * cosine equal in both is fixed, two elements equal in both are tied. */
void bragg_symmetry_cell_ties(const bragg_symmetry *s, int tie[6])
{
    const bragg_cell odd[2] = { { 7.137, 7.853, 10.291, 1.59, 1.72, 1.81 }, { 5.311, 9.407, 4.873, 1.47, 1.66, 1.43 } };
    double v[2][6];
    for (int k = 0; k < 2; k++) {
        double g[3][3], mean[3][3];
        bragg_cell_metric(&odd[k], g);
        average_metric(s, (const double(*)[3])g, mean);
        cell_of((const double(*)[3])mean, v[k]);
    }
    for (int i = 0; i < 6; i++) {
        tie[i] = i > 2 && fabs(v[0][i] - v[1][i]) < 1e-9 ? BRAGG_CELL_FIXED : BRAGG_CELL_FREE;
        for (int j = i < 3 ? 0 : 3; j < i && tie[i] == BRAGG_CELL_FREE; j++)
            if (fabs(v[0][i] - v[0][j]) < 1e-9 && fabs(v[1][i] - v[1][j]) < 1e-9)
                tie[i] = tie[j] == BRAGG_CELL_FREE ? j : tie[j];
    }
}

double bragg_symmetry_cell_misfit(const bragg_symmetry *s, const bragg_cell *cell)
{
    double g[3][3], mean[3][3], worst = 0;
    bragg_cell_metric(cell, g);
    average_metric(s, (const double(*)[3])g, mean);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            worst = fmax(worst, fabs(mean[i][j] - g[i][j]) / sqrt(g[i][i] * g[j][j]));
    return worst;
}

/* ------------------------------------------------------------------ site */

static void image_of(const bragg_symop *op, const double x[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = op->t[i] + op->r[i][0] * x[0] + op->r[i][1] * x[1] + op->r[i][2] * x[2];
}

/* Distance modulo the lattice, for points that are near each other. */
static double distance(const double m[3][3], const double a[3], const double b[3])
{
    double d[3], sum = 0;
    for (int i = 0; i < 3; i++) {
        d[i] = a[i] - b[i];
        d[i] -= rint(d[i]);
    }
    for (int i = 0; i < 3; i++) {
        double x = m[i][0] * d[0] + m[i][1] * d[1] + m[i][2] * d[2];
        sum += x * x;
    }
    return sqrt(sum);
}

int bragg_site_multiplicity(const bragg_symmetry *s, const bragg_cell *cell, const double x[3], double tolerance_ang)
{
    double m[3][3];
    int same = 0;
    bragg_cell_cartesian(cell, m);
    for (size_t k = 0; k < s->n_ops; k++) {
        double y[3];
        image_of(&s->op[k], x, y);
        same += distance((const double(*)[3])m, x, y) < tolerance_ang;
    }
    return (int)s->n_ops / (same ? same : 1);
}

/* Independent rows out of n rows of the given width, by Gram-Schmidt. */
static size_t independent_rows(const double *rows, size_t n, size_t width, double *basis, size_t most)
{
    size_t found = 0;
    for (size_t r = 0; r < n && found < most; r++) {
        double v[6], norm = 0;
        memcpy(v, rows + r * width, width * sizeof *v);
        for (size_t b = 0; b < found; b++) {
            double dot = 0, length = 0;
            for (size_t k = 0; k < width; k++) {
                dot += v[k] * basis[b * width + k];
                length += basis[b * width + k] * basis[b * width + k];
            }
            for (size_t k = 0; k < width; k++)
                v[k] -= dot / length * basis[b * width + k];
        }
        for (size_t k = 0; k < width; k++)
            norm += v[k] * v[k];
        if (norm > 1e-8)
            memcpy(basis + width * found++, v, width * sizeof *v);
    }
    return found;
}

static const double same_site_ang = 0.01;

/* The mean of the site group's rotations projects on the directions it leaves. */
void bragg_site_directions(const bragg_symmetry *s, const bragg_cell *cell, const double x[3], double basis[3][3], size_t *n)
{
    double m[3][3], columns[9] = { 0 }, count = 0;
    bragg_cell_cartesian(cell, m);
    for (size_t k = 0; k < s->n_ops; k++) {
        double y[3];
        image_of(&s->op[k], x, y);
        if (distance((const double(*)[3])m, x, y) >= same_site_ang)
            continue;
        count++;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                columns[j * 3 + i] += s->op[k].r[i][j];
    }
    for (int i = 0; i < 9; i++)
        columns[i] /= count;
    *n = independent_rows(columns, 3, 3, &basis[0][0], 3);
}

/* B_ij = a*_i a*_j U_ij is <u_i u_j> in fractions and turns into R B R'
 * (Trueblood et al., Acta Cryst. A52 (1996) 770). */
void bragg_site_adp_basis(const bragg_symmetry *s, const bragg_cell *cell, const double x[3], double basis[6][6], size_t *n)
{
    static const int at[6][2] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 1, 2 }, { 0, 2 }, { 0, 1 } };
    double m[3][3], g[6], images[36] = { 0 };
    bragg_cell_cartesian(cell, m);
    bragg_cell_reciprocal(cell, g);
    for (size_t k = 0; k < s->n_ops; k++) {
        double y[3];
        image_of(&s->op[k], x, y);
        if (distance((const double(*)[3])m, x, y) >= same_site_ang)
            continue;
        for (int u = 0; u < 6; u++) { /* image of the unit tensor U_u */
            double b[3][3] = { { 0 } }, weight = sqrt(g[at[u][0]] * g[at[u][1]]);
            b[at[u][0]][at[u][1]] = b[at[u][1]][at[u][0]] = weight;
            for (int v = 0; v < 6; v++) {
                double sum = 0;
                for (int p = 0; p < 3; p++)
                    for (int q = 0; q < 3; q++)
                        sum += s->op[k].r[at[v][0]][p] * b[p][q] * s->op[k].r[at[v][1]][q];
                images[u * 6 + v] += sum / sqrt(g[at[v][0]] * g[at[v][1]]);
            }
        }
    }
    *n = independent_rows(images, 6, 6, &basis[0][0], 6);
}
