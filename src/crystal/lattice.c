/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lattices behind cells: reduced cells, Bravais lattices, sublattices. */
#include "config.h"
#include <bragg/crystal.h>

#include <math.h>
#include <spglib.h>
#include <string.h>

static bragg_cell cell_of_axes(double m[3][3])
{
    double g[3][3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            g[i][j] = m[0][i] * m[0][j] + m[1][i] * m[1][j] + m[2][i] * m[2][j];
    double a = sqrt(g[0][0]), b = sqrt(g[1][1]), c = sqrt(g[2][2]);
    return (bragg_cell){ a, b, c, acos(g[1][2] / (b * c)), acos(g[0][2] / (a * c)), acos(g[0][1] / (a * b)) };
}

bragg_status bragg_cell_from_reciprocal(const double g[6], bragg_cell *out, bragg_error *err)
{
    /* the metric is its own inverse's: read g as a direct metric and go over */
    double a = sqrt(g[0]), b = sqrt(g[1]), c = sqrt(g[2]);
    bragg_cell star = { a, b, c, acos(g[3] / (b * c)), acos(g[4] / (a * c)), acos(g[5] / (a * b)) };
    bragg_status st = bragg_cell_check(&star, err);
    if (st < 0)
        return st;
    double d[6];
    bragg_cell_reciprocal(&star, d);
    a = sqrt(d[0]), b = sqrt(d[1]), c = sqrt(d[2]);
    *out = (bragg_cell){ a, b, c, acos(d[3] / (b * c)), acos(d[4] / (a * c)), acos(d[5] / (a * b)) };
    return bragg_cell_check(out, err);
}

bragg_status bragg_cell_niggli(const bragg_cell *cell, bragg_cell *out, bragg_error *err)
{
    double m[3][3];
    bragg_status st = bragg_cell_check(cell, err);
    if (st < 0)
        return st;
    bragg_cell_cartesian(cell, m);
    if (!spg_niggli_reduce(m, 1e-5))
        return bragg_fail(err, BRAGG_EDATA, "cell %g %g %g: could not be reduced", cell->a, cell->b, cell->c);
    *out = cell_of_axes(m);
    return bragg_cell_check(out, err);
}

/* Primitive axes in terms of the conventional ones (rows, times six). */
static const struct { char letter; int row[3][3]; } centrings[] = {
    { 'P', { { 6, 0, 0 }, { 0, 6, 0 }, { 0, 0, 6 } } },  { 'I', { { -3, 3, 3 }, { 3, -3, 3 }, { 3, 3, -3 } } },
    { 'F', { { 0, 3, 3 }, { 3, 0, 3 }, { 3, 3, 0 } } },  { 'A', { { 6, 0, 0 }, { 0, 3, 3 }, { 0, -3, 3 } } },
    { 'B', { { 3, 0, 3 }, { 0, 6, 0 }, { -3, 0, 3 } } }, { 'C', { { 3, 3, 0 }, { -3, 3, 0 }, { 0, 0, 6 } } },
    { 'R', { { 4, 2, 2 }, { -2, 2, 2 }, { -2, -4, 2 } } } };

bragg_status bragg_cell_transform(const bragg_cell *cell, double rows[3][3], bragg_cell *out, bragg_error *err)
{
    double m[3][3], p[3][3] = { { 0 } };
    bragg_status st = bragg_cell_check(cell, err);
    if (st < 0)
        return st;
    bragg_cell_cartesian(cell, m);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 9; j++)
            p[i][j / 3] += m[i][j % 3] * rows[j / 3][j % 3];
    *out = cell_of_axes(p);
    return bragg_cell_check(out, err);
}

bragg_status bragg_cell_primitive(const bragg_cell *cell, char centring, bragg_cell *out, bragg_error *err)
{
    double rows[3][3];
    for (size_t k = 0; k < sizeof centrings / sizeof *centrings; k++) {
        if (centrings[k].letter != centring)
            continue;
        for (int j = 0; j < 9; j++)
            rows[j / 3][j % 3] = centrings[k].row[j / 3][j % 3] / 6.0;
        return bragg_cell_transform(cell, rows, out, err);
    }
    return bragg_fail(err, BRAGG_EINVAL, "centring: expected one of PIFABCR, found '%c'", centring);
}

/* Body-centred axes of a C-centred monoclinic lattice where they meet less obliquely:
 * a' = -a - c, c' = c. */
static void prefer_body_centring(bragg_lattice *l)
{
    bragg_cell c = l->cell;
    double x = -c.a - c.c * cos(c.beta), z = -c.c * sin(c.beta), a = hypot(x, z);
    double beta = acos((x * cos(c.beta) + z * sin(c.beta)) / a);
    if (l->system != BRAGG_MONOCLINIC || l->centring != 'C' || !(fabs(beta - acos(0)) < fabs(c.beta - acos(0))))
        return;
    l->cell.a = a;
    l->cell.beta = fmax(beta, 2 * acos(0) - beta); /* turned about a' when acute */
    l->centring = 'I';
}

bragg_status bragg_cell_bravais(const bragg_cell *cell, double tolerance_ang, bragg_lattice *out, bragg_error *err)
{
    double m[3][3], origin[1][3] = { { 0, 0, 0 } };
    const int type[1] = { 1 };
    bragg_status st = bragg_cell_check(cell, err);
    if (st < 0)
        return st;
    bragg_cell_cartesian(cell, m);
    SpglibDataset *d = spg_get_dataset(m, origin, type, 1, tolerance_ang);
    if (!d || d->spacegroup_number < 1) {
        spg_free_dataset(d);
        return bragg_fail(err, BRAGG_EDATA, "cell %g %g %g: no Bravais lattice within %g angstrom", cell->a, cell->b, cell->c, tolerance_ang);
    }
    *out = (bragg_lattice){ cell_of_axes(d->std_lattice), bragg_symmetry_system(d->spacegroup_number), d->international_symbol[0] };
    spg_free_dataset(d);
    prefer_body_centring(out);
    return bragg_cell_check(&out->cell, err);
}

/* ---------------------------------------------------------- sublattices */

enum { REACH = 5, MOST_VECTORS = 48 };

static double product(const double g[3][3], const int u[3], const int v[3])
{
    double sum = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            sum += u[i] * g[i][j] * v[j];
    return sum;
}

/* Vectors of the fine lattice as long as an axis of the coarse one. */
static size_t vectors_like(const double fine[3][3], double length2, double tolerance, int out[MOST_VECTORS][3])
{
    size_t n = 0;
    for (int h = -REACH; h <= REACH; h++)
        for (int k = -REACH; k <= REACH; k++)
            for (int l = -REACH; l <= REACH; l++) {
                int v[3] = { h, k, l };
                if (n < MOST_VECTORS && fabs(product(fine, v, v) - length2) <= 2 * tolerance * length2)
                    memcpy(out[n++], v, sizeof v);
            }
    return n;
}

int bragg_cell_sublattice(const bragg_cell *fine, const bragg_cell *coarse, double tolerance, int most)
{
    double f[3][3], c[3][3];
    int v[3][MOST_VECTORS][3];
    size_t n[3];
    double ratio = bragg_cell_volume_ang3(coarse) / bragg_cell_volume_ang3(fine);
    if (fabs(ratio - round(ratio)) > 4 * tolerance * ratio || ratio < 0.5 || round(ratio) > most)
        return 0;
    bragg_cell_metric(fine, f);
    bragg_cell_metric(coarse, c);
    for (int i = 0; i < 3; i++)
        n[i] = vectors_like((const double(*)[3])f, c[i][i], tolerance, v[i]);
    for (size_t a = 0; a < n[0]; a++)
        for (size_t b = 0; b < n[1]; b++) {
            const int *x = v[0][a], *y = v[1][b];
            if (fabs(product((const double(*)[3])f, x, y) - c[0][1]) > 2 * tolerance * sqrt(c[0][0] * c[1][1]))
                continue;
            for (size_t k = 0; k < n[2]; k++) {
                const int *z = v[2][k];
                int det = x[0] * (y[1] * z[2] - y[2] * z[1]) - x[1] * (y[0] * z[2] - y[2] * z[0]) + x[2] * (y[0] * z[1] - y[1] * z[0]);
                if (det && fabs(product((const double(*)[3])f, x, z) - c[0][2]) <= 2 * tolerance * sqrt(c[0][0] * c[2][2]) &&
                    fabs(product((const double(*)[3])f, y, z) - c[1][2]) <= 2 * tolerance * sqrt(c[1][1] * c[2][2]))
                    return det < 0 ? -det : det;
            }
        }
    return 0;
}
