/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The unit cell and its reciprocal metric. */
#include "config.h"
#include <bragg/crystal.h>
#include <bragg/units.h>

#include <math.h>
#include <string.h>

/* (1 - sum cos^2 + 2 prod cos), the square of the volume of unit edges. */
static double unit_volume2(const bragg_cell *c)
{
    double ca = cos(c->alpha), cb = cos(c->beta), cg = cos(c->gamma);
    return 1 - ca * ca - cb * cb - cg * cg + 2 * ca * cb * cg;
}

bragg_status bragg_cell_check(const bragg_cell *c, bragg_error *err)
{
    const double *v = &c->a;
    for (int i = 0; i < 6; i++)
        if (!(v[i] > 0) || !isfinite(v[i]) || (i > 2 && !(v[i] < BRAGG_PI)))
            return bragg_fail(err, BRAGG_EDATA, "cell: expected positive edges and angles below 180 degrees, found %g %g %g %g %g %g",
                              v[0], v[1], v[2], v[3] / BRAGG_DEG, v[4] / BRAGG_DEG, v[5] / BRAGG_DEG);
    if (!(unit_volume2(c) > 1e-6))
        return bragg_fail(err, BRAGG_EDATA, "cell: angles %g %g %g make no cell", c->alpha / BRAGG_DEG, c->beta / BRAGG_DEG, c->gamma / BRAGG_DEG);
    return BRAGG_OK;
}

double bragg_cell_volume_ang3(const bragg_cell *c)
{
    return c->a * c->b * c->c * sqrt(unit_volume2(c));
}

void bragg_cell_metric(const bragg_cell *c, double g[3][3])
{
    const double e[3] = { c->a, c->b, c->c }, k[3][3] = { { 1, cos(c->gamma), cos(c->beta) },
        { cos(c->gamma), 1, cos(c->alpha) }, { cos(c->beta), cos(c->alpha), 1 } };
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            g[i][j] = e[i] * e[j] * k[i][j];
}

/* International Tables B, ch. 1.1: g* from the direct cell; the six cofactors of
 * the direct metric over its determinant. */
void bragg_cell_reciprocal(const bragg_cell *x, double g[6])
{
    double a = x->a, b = x->b, c = x->c, ca = cos(x->alpha), cb = cos(x->beta), cg = cos(x->gamma);
    double sa = sin(x->alpha), sb = sin(x->beta), sg = sin(x->gamma), w = unit_volume2(x);
    g[0] = sa * sa / (a * a * w);
    g[1] = sb * sb / (b * b * w);
    g[2] = sg * sg / (c * c * w);
    g[3] = (cb * cg - ca) / (b * c * w);
    g[4] = (ca * cg - cb) / (a * c * w);
    g[5] = (ca * cb - cg) / (a * b * w);
}

/* d G* = - G* (d G) G* with G the direct metric. */
void bragg_cell_reciprocal_derivatives(const bragg_cell *x, double d[6][6])
{
    const double e[3] = { x->a, x->b, x->c }, c[3] = { cos(x->alpha), cos(x->beta), cos(x->gamma) };
    const double s[3] = { sin(x->alpha), sin(x->beta), sin(x->gamma) };
    static const int at[6][2] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 1, 2 }, { 0, 2 }, { 0, 1 } };
    double g[6], r[3][3], dg[3][3];
    bragg_cell_reciprocal(x, g);
    for (int k = 0; k < 6; k++)
        r[at[k][0]][at[k][1]] = r[at[k][1]][at[k][0]] = g[k];
    for (int j = 0; j < 6; j++) {
        memset(dg, 0, sizeof dg);
        for (int k = 0; k < 3 && j < 3; k++) /* edge j: G_jk = e_j e_k cos */
            dg[j][k] = dg[k][j] = k == j ? 2 * e[j] : e[k] * c[3 - j - k];
        if (j > 2) {
            int p = at[j][0], q = at[j][1];
            dg[p][q] = dg[q][p] = -e[p] * e[q] * s[j - 3];
        }
        for (int k = 0; k < 6; k++) {
            double sum = 0;
            for (int m = 0; m < 3; m++)
                for (int n = 0; n < 3; n++)
                    sum -= r[at[k][0]][m] * dg[m][n] * r[n][at[k][1]];
            d[k][j] = sum;
        }
    }
}

double bragg_cell_invd2(const double g[6], int h, int k, int l)
{
    return h * (h * g[0] + 2 * (k * g[5] + l * g[4])) + k * (k * g[1] + 2 * l * g[3]) + (double)l * l * g[2];
}

void bragg_cell_cartesian(const bragg_cell *x, double m[3][3])
{
    double ca = cos(x->alpha), cb = cos(x->beta), cg = cos(x->gamma), sg = sin(x->gamma);
    const double rows[3][3] = {
        { x->a, x->b * cg, x->c * cb },
        { 0, x->b * sg, x->c * (ca - cb * cg) / sg },
        { 0, 0, x->c * sqrt(unit_volume2(x)) / sg },
    };
    memcpy(m, rows, sizeof rows);
}
