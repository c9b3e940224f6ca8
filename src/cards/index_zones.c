/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zones, after T. Ito, Nature 164 (1949) 755 and J. W. Visser, J. Appl. Cryst. 2 (1969)
 * 89: two lines span a plane of the reciprocal lattice when their sums and differences
 * are lines, too; a third line and its angles to both make a cell.  Nothing is assumed
 * of symmetry, and a foreign line spoils only the planes that it spans. */
#include "config.h"
#include "indexing.h"

#include <math.h>
#include <string.h>

enum { FIRST_LINES = 10, HALVED = 5, MOST_SKEWS = 64 };

/* Index pairs of one plane without its axes, their first three give skews. */
static const int pairs[][2] = { { 1, 1 }, { 1, -1 }, { 2, 1 }, { 2, -1 }, { 1, 2 }, { 1, -2 }, { 3, 1 }, { 3, -1 }, { 1, 3 }, { 1, -3 },
                                { 3, 2 }, { 3, -2 }, { 2, 3 }, { 2, -3 } };
enum { N_PAIRS = sizeof pairs / sizeof *pairs };

static uint64_t axis_mask(const window_table *w, double a)
{
    uint64_t m = 0;
    for (int h = 1; h <= 8 && h * h * a <= w->q_max; h++)
        m |= bragg_index_mask(w, h * h * a, h * h * a);
    return m;
}

/* Lines off the axes of the plane; *tried counts the positions that could have met one. */
static uint64_t plane_mask(const window_table *w, double a, double b, double r, int *tried)
{
    uint64_t m = 0;
    for (int k = 0; k < N_PAIRS; k++) {
        int h = pairs[k][0], l = pairs[k][1];
        double q = h * h * a + l * l * b + h * l * r;
        if (q > w->q_max)
            continue;
        ++*tried;
        m |= bragg_index_mask(w, q, q);
    }
    return m;
}

/* Skews for which some line is (1 1), (1 -1), (2 1) or (1 2) of the plane, and none at
 * all; both signs when asked. */
static size_t skews(const window_table *w, double a, double b, double limit, double out[MOST_SKEWS])
{
    size_t n = 0;
    out[n++] = 0;
    for (size_t i = 0; i < w->n; i++)
        for (int k = 0; k < 3; k++) {
            int h = k == 1 ? 2 : 1, l = k == 2 ? 2 : 1;
            double r = fabs(w->q[i] - h * h * a - l * l * b) / (h * l);
            if (r > limit || r < 1.5 * w->half[i])
                continue;
            bool known = false;
            for (size_t m = 0; m < n && !known; m++)
                known = fabs(out[m] - r) < 0.7 * w->half[i];
            if (!known && n < MOST_SKEWS)
                out[n++] = r;
        }
    return n;
}

/* Least squares of a, b and r on the lines of the plane. */
static void smooth_zone(const window_table *w, zone *z)
{
    double s[3][4] = { { 0 } };
    for (int h = 0; h <= 4; h++)
        for (int k = h ? -4 : 1; k <= 4; k++) {
            double c[3] = { h * h, k * k, h * k }, q = c[0] * z->a + c[1] * z->b + c[2] * z->r;
            for (uint64_t m = q <= w->q_max ? bragg_index_mask(w, q, q) : 0; m; m &= m - 1) {
                size_t i = (size_t)__builtin_ctzll(m);
                double weight = 1 / (w->sigma[i] * w->sigma[i]);
                for (int p = 0; p < 3; p++) {
                    s[p][3] += weight * c[p] * w->q[i];
                    for (int k2 = 0; k2 < 3; k2++)
                        s[p][k2] += weight * c[p] * c[k2];
                }
            }
        }
    double det = s[0][0] * (s[1][1] * s[2][2] - s[1][2] * s[2][1]) - s[0][1] * (s[1][0] * s[2][2] - s[1][2] * s[2][0]) +
                 s[0][2] * (s[1][0] * s[2][1] - s[1][1] * s[2][0]);
    if (!(det > 1e-9 * s[0][0] * s[1][1] * s[2][2]))
        return;
    double *out[3] = { &z->a, &z->b, &z->r }, x[3];
    for (int p = 0; p < 3; p++) { /* Cramer */
        double m[3][3];
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                m[i][j] = j == p ? s[i][3] : s[i][j];
        x[p] = (m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])) / det;
    }
    for (int p = 0; p < 3; p++)
        *out[p] = x[p];
}

/* A plane is worth the lines it explains beyond those that chance would give. */
static void weigh_zone(const window_table *w, zone *z)
{
    int tried = 0;
    z->mask = axis_mask(w, z->a) | axis_mask(w, z->b) | plane_mask(w, z->a, z->b, z->r, &tried);
    double met = __builtin_popcountll(z->mask), covered = 0;
    for (size_t i = 0; i < w->n; i++)
        covered += 2 * w->half[i];
    z->score = met - (tried + 2) * covered / w->q_max - 2;
}

static void keep_zone(zone out[MOST_ZONES], size_t *n, const zone *z)
{
    size_t at = *n;
    for (size_t k = 0; k < *n; k++)
        if (fabs(out[k].a - z->a) < 2e-3 * z->a && fabs(out[k].b - z->b) < 2e-3 * z->b && fabs(out[k].r - z->r) < 2e-3 * z->a)
            return;
    if (*n == MOST_ZONES && !(z->score > out[MOST_ZONES - 1].score))
        return;
    while (at > 0 && out[at - 1].score < z->score)
        at--;
    size_t end = *n < MOST_ZONES ? *n : MOST_ZONES - 1;
    memmove(out + at + 1, out + at, (end - at) * sizeof *out);
    out[at] = *z;
    *n = end + 1;
}

size_t bragg_index_zones(const window_table *w, zone out[MOST_ZONES])
{
    double base[FIRST_LINES + HALVED];
    size_t n_base = 0, n = 0;
    for (size_t i = 0; i < w->n && i < FIRST_LINES; i++)
        base[n_base++] = w->q[i];
    for (size_t i = 0; i < w->n && i < HALVED; i++)
        base[n_base++] = w->q[i] / 4; /* its first order is absent or below the range */
    for (size_t i = 0; i < n_base; i++)
        for (size_t j = 0; j < n_base; j++) { /* one line may hide two of the same spacing */
            double a = base[i], b = base[j], found[MOST_SKEWS];
            if (!(a <= b) || (i >= FIRST_LINES && j >= FIRST_LINES) || fabs(a - b / 4) < 1e-3 * a || fabs(a - b / 9) < 1e-3 * a)
                continue;
            size_t n_skews = skews(w, a, b, fmin(2.1 * a, 1.9 * sqrt(a * b)), found);
            for (size_t k = 0; k < n_skews; k++) {
                zone z = { a, b, found[k], 0, 0 };
                smooth_zone(w, &z);
                weigh_zone(w, &z);
                if (z.a > 0 && z.b > 0 && z.r * z.r < 3.9 * z.a * z.b && __builtin_popcountll(z.mask) >= 3)
                    keep_zone(out, &n, &z);
            }
        }
    return n;
}

/* ------------------------------------------------------------ third axis */

/* Lines with all three indices that a cell explains. */
static uint64_t space_mask(const window_table *w, const double x[MOST_PARAMETERS])
{
    uint64_t m = 0;
    for (int h = 1; h <= 3; h++)
        for (int k = -3; k <= 3; k++)
            for (int l = -2; l <= 2; l++) {
                if (!k || !l)
                    continue;
                double q = h * h * x[0] + k * k * x[1] + l * l * x[2] + k * l * x[3] + h * l * x[4] + h * k * x[5];
                /* errors of the axes grow with the indices */
                double reach = (h + (k < 0 ? -k : k) + (l < 0 ? -l : l)) * 0.15 * w->half[0];
                m |= bragg_index_mask(w, q - reach, q + reach);
            }
    return m;
}

typedef struct side {
    double r;
    uint64_t mask;
} side;

static size_t sides(const window_table *w, double a, double c, side out[2 * MOST_SKEWS], bool both)
{
    double found[MOST_SKEWS];
    size_t n_found = skews(w, a, c, 2.05 * fmin(a, c), found), n = 0;
    for (size_t k = 0; k < n_found; k++)
        for (int sign = 1; sign >= (both && found[k] > 0 ? -1 : 1); sign -= 2) {
            int tried = 0;
            out[n].r = sign * found[k];
            out[n++].mask = plane_mask(w, a, c, sign * found[k], &tried);
        }
    return n;
}

/* Scalar products of a, b, c and d = -(a + b + c). */
static void close_tetrahedron(const double x[MOST_PARAMETERS], double g[4][4])
{
    g[0][0] = x[0], g[1][1] = x[1], g[2][2] = x[2];
    g[1][2] = g[2][1] = x[3] / 2, g[0][2] = g[2][0] = x[4] / 2, g[0][1] = g[1][0] = x[5] / 2;
    g[3][3] = 0;
    for (int i = 0; i < 3; i++) {
        g[i][3] = g[3][i] = -(g[i][0] + g[i][1] + g[i][2]);
        g[3][3] -= g[i][3];
    }
}

/* To short axes, so that few indices reach all lines: E. Selling, J. reine angew. Math. 77
 * (1874) 143; while two of the four vectors meet acutely, u -> -u and the two others + u. */
static bool reduce(double x[MOST_PARAMETERS])
{
    double g[4][4], turned[4][4];
    close_tetrahedron(x, g);
    for (int round = 0; round < 60; round++) {
        int u = 0, v = 1;
        for (int i = 0; i < 4; i++)
            for (int j = i + 1; j < 4; j++)
                if (g[i][j] > g[u][v])
                    u = i, v = j;
        if (!(g[u][v] > 1e-7))
            break;
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                double add_i = i != u && i != v, add_j = j != u && j != v, si = i == u ? -1 : 1, sj = j == u ? -1 : 1;
                turned[i][j] = si * sj * g[i][j] + add_i * sj * g[u][j] + add_j * si * g[i][u] + add_i * add_j * g[u][u];
            }
        memcpy(g, turned, sizeof g);
    }
    int out = 0; /* the longest of the four is left out */
    for (int i = 1; i < 4; i++)
        out = g[i][i] > g[out][out] ? i : out;
    int a = out == 0, b = a + 1 + (a + 1 == out), c = b + 1 + (b + 1 == out);
    x[0] = g[a][a], x[1] = g[b][b], x[2] = g[c][c];
    x[3] = 2 * g[b][c], x[4] = 2 * g[a][c], x[5] = 2 * g[a][b];
    return x[0] > 0 && x[1] > 0 && x[2] > 0;
}

static double determinant(const double x[MOST_PARAMETERS])
{
    double d = x[3] / 2, e = x[4] / 2, f = x[5] / 2;
    return x[0] * x[1] * x[2] + 2 * d * e * f - x[0] * d * d - x[1] * e * e - x[2] * f * f;
}

static void try_cell(const window_table *w, double x[MOST_PARAMETERS], double least_det, uint64_t mask, size_t unindexed, trial_list *found)
{
    trial t;
    if (determinant(x) < least_det)
        return;
    mask |= space_mask(w, x);
    if ((size_t)__builtin_popcountll(mask) + unindexed + 3 < w->n || !reduce(x))
        return;
    if (bragg_index_settle(w, TRICLINIC, x, unindexed, &t))
        bragg_index_keep(found, &t);
}

void bragg_index_zone_cells(const window_table *w, const zone *z, double v_max, size_t unindexed, search_control *control, trial_list *found)
{
    side ac[2 * MOST_SKEWS], bc[2 * MOST_SKEWS];
    double least_det = 1 / (v_max * v_max);
    for (size_t i = 0; i < w->n + HALVED && !bragg_index_is_late(control); i++) {
        size_t line = i < w->n ? i : i - w->n;
        double c = i < w->n ? w->q[i] : w->q[line] / 4; /* its first order is absent; or it overlaps with one of the plane */
        size_t n_ac = sides(w, z->a, c, ac, false), n_bc = sides(w, z->b, c, bc, true);
        uint64_t own = z->mask | axis_mask(w, c);
        for (size_t j = 0; j < n_ac; j++)
            for (size_t k = 0; k < n_bc; k++) {
                uint64_t mask = own | ac[j].mask | bc[k].mask;
                if ((size_t)__builtin_popcountll(mask) * 5 < w->n * 2)
                    continue;
                double x[MOST_PARAMETERS] = { z->a, z->b, c, bc[k].r, ac[j].r, z->r };
                try_cell(w, x, least_det, mask, unindexed, found);
            }
    }
}
