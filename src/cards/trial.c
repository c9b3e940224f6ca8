/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A card laid over the scene: lines in range, how strain moves them, a first match. */
#include "config.h"
#include "scene.h"

#include <bragg/array.h>
#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lines that decide a first match. */
enum { STRONG = 24 };

/* --------------------------------------------------------------- strain */

/* The strains a crystal system allows, as symmetric tensors in the Cartesian frame of
 * bragg_cell_cartesian: indices of xx yy zz yz xz xy set to one. */
static size_t strains_of(const bragg_card *c, int member[TRIAL_STRAINS][6])
{
    static const int cubic[1][6] = { { 1, 1, 1 } }, uniaxial[2][6] = { { 1, 1, 0 }, { 0, 0, 1 } };
    static const int axes[3][6] = { { 1 }, { 0, 1 }, { 0, 0, 1 } };
    int g = c->group_number;
    memset(member, 0, TRIAL_STRAINS * sizeof *member);
    if (!(c->cell.a > 0) || g >= 195 || g < 1 || (g >= 143 && g <= 167 && fabs(c->cell.gamma - 120 * BRAGG_DEG) > 0.02)) {
        memcpy(member, cubic, sizeof cubic);
        return 1;
    }
    if (g >= 75) {
        memcpy(member, uniaxial, sizeof uniaxial);
        return 2;
    }
    memcpy(member, axes, sizeof axes);
    if (g >= 16)
        return 3;
    if (g >= 3) { /* the angle that is not right: alpha yz, beta xz, gamma xy */
        int shear = fabs(c->cell.alpha - BRAGG_PI / 2) > 1e-4 ? 3 : fabs(c->cell.gamma - BRAGG_PI / 2) > 1e-4 ? 5 : 4;
        member[3][shear] = 1;
        return 4;
    }
    for (int k = 3; k < 6; k++)
        member[k][k] = 1;
    return 6;
}

/* ln d of a line changes by n' e n, n its unit normal; off-diagonal terms twice. */
static void fill_basis(const bragg_card *card, const bragg_card_line *l, size_t n_strains, const int member[TRIAL_STRAINS][6], double *out)
{
    double m[3][3], v[3] = { 0 }, h[3] = { l->h, l->k, l->l }, length = 0;
    if (n_strains == 1) {
        out[0] = 1;
        return;
    }
    bragg_cell_cartesian(&card->cell, m); /* columns a b c, upper triangular: solve m' v = h */
    for (int i = 0; i < 3; i++) {
        v[i] = h[i];
        for (int j = 0; j < i; j++)
            v[i] -= m[j][i] * v[j];
        v[i] /= m[i][i];
        length += v[i] * v[i];
    }
    const double nn[6] = { v[0] * v[0], v[1] * v[1], v[2] * v[2], 2 * v[1] * v[2], 2 * v[0] * v[2], 2 * v[0] * v[1] };
    for (size_t c = 0; c < n_strains; c++) {
        out[c] = 0;
        for (int k = 0; k < 6; k++)
            out[c] += member[c][k] * nn[k] / length;
    }
}

/* -------------------------------------------------------------- texture */

/* Preferred orientation of a powder in lowest order: P2 of the angle with the unique
 * axis, with c* and b* below tetragonal, and the cubic harmonic of fourth order
 * (H.-J. Bunge, Texture Analysis in Materials Science, Butterworths 1982, ch. 14). */
static size_t fill_shape(const bragg_card *card, const double g[6], const bragg_card_line *l, double out[TRIAL_TEXTURES])
{
    double h = l->h, k = l->k, q = l->l, d2 = l->d_ang * l->d_ang;
    int number = card->group_number;
    out[0] = out[1] = 0;
    if (!(card->cell.a > 0) || number < 1 || card->flags & BRAGG_CARD_LIST || (number >= 143 && number <= 167 && fabs(card->cell.gamma - 120 * BRAGG_DEG) > 0.02))
        return 0;
    if (number >= 195) {
        double sum = h * h + k * k + q * q;
        out[0] = 2.5 * ((h * h * h * h + k * k * k * k + q * q * q * q) / (sum * sum) - 0.6);
        return 1;
    }
    out[0] = 1.5 * pow(h * g[4] + k * g[3] + q * g[2], 2) * d2 / g[2] - 0.5;
    out[1] = 1.5 * pow(h * g[5] + k * g[1] + q * g[3], 2) * d2 / g[1] - 0.5;
    return number >= 75 ? 1 : 2;
}

bragg_cell bragg_cards_trial_cell(const trial *t)
{
    int member[TRIAL_STRAINS][6];
    double m[3][3], e[6] = { 0 }, v[3][3], length[3];
    bragg_cell c = t->card->cell;
    if (!(c.a > 0))
        return c;
    size_t n = strains_of(t->card, member);
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < 6; i++)
            e[i] += member[k][i] * t->strain[k];
    const double strain[3][3] = { { 1 + e[0], e[5], e[4] }, { e[5], 1 + e[1], e[3] }, { e[4], e[3], 1 + e[2] } };
    bragg_cell_cartesian(&c, m);
    for (int axis = 0; axis < 3; axis++) {
        length[axis] = 0;
        for (int i = 0; i < 3; i++) {
            v[axis][i] = 0;
            for (int j = 0; j < 3; j++)
                v[axis][i] += strain[i][j] * m[j][axis];
            length[axis] += v[axis][i] * v[axis][i];
        }
        length[axis] = (&c.a)[axis] = sqrt(length[axis]);
    }
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        double angle = acos((v[i][0] * v[j][0] + v[i][1] * v[j][1] + v[i][2] * v[j][2]) / (length[i] * length[j]));
        if (fabs(angle - (&c.alpha)[k]) > 1e-9) /* right ones stay exactly so */
            (&c.alpha)[k] = angle;
    }
    return c;
}

/* ---------------------------------------------------------------- lines */

bragg_status bragg_cards_trial_lines(const scene *s, const bragg_card *card, trial *t, bragg_error *err)
{
    int member[TRIAL_STRAINS][6];
    double wavelength = s->radiation.wavelength_ang[0], top = 0, g[6];
    /* what strain may carry into range counts, too */
    double least = wavelength / (2 * sin(fmin(s->last / 2 + 0.02, 1.55))), most = wavelength / (2 * sin(fmax(s->first / 2 - 0.002, 1e-4)));
    *t = (trial){ .card = card, .broad = 1 };
    t->n_strains = strains_of(card, member);
    t->ln_d = malloc((card->n_lines + 1) * (2 + TRIAL_STRAINS + TRIAL_TEXTURES) * sizeof(double));
    if (!t->ln_d)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", card->n_lines);
    t->intensity = t->ln_d + card->n_lines + 1;
    t->basis = (double (*)[TRIAL_STRAINS])(t->intensity + card->n_lines + 1);
    t->shape = (double (*)[TRIAL_TEXTURES])(t->basis + card->n_lines + 1);
    bragg_cell_reciprocal(&card->cell, g);
    for (size_t k = 0; k < card->n_lines; k++) {
        const bragg_card_line *l = &card->line[k];
        double i = l->d_ang > least && l->d_ang < most ? bragg_card_line_intensity(l, wavelength, s->radiation.polarization) / 100 : 0;
        if (!(i > 0))
            continue;
        top = fmax(top, i);
        t->ln_d[t->n] = log(l->d_ang);
        t->intensity[t->n] = i;
        t->n_textures = fill_shape(card, g, l, t->shape[t->n]);
        fill_basis(card, l, t->n_strains, member, t->basis[t->n++]);
    }
    size_t n = 0;
    for (size_t k = 0; k < t->n; k++)
        if (t->intensity[k] > 0.006 * top) {
            t->ln_d[n] = t->ln_d[k];
            t->intensity[n] = t->intensity[k];
            memcpy(t->shape[n], t->shape[k], sizeof *t->shape);
            memcpy(t->basis[n++], t->basis[k], sizeof *t->basis);
        }
    t->n = n;
    if (n < 6) /* few lines fit any texture */
        t->n_textures = 0;
    return BRAGG_OK;
}

void bragg_cards_trial_free(trial *t)
{
    free(t->ln_d);
    t->ln_d = NULL;
}

/* ---------------------------------------------------------------- match */

typedef struct strong {
    size_t line[STRONG], n;
    double top;
} strong;

static void choose_strong(const trial *t, strong *out)
{
    *out = (strong){ .n = 0 };
    for (size_t k = 0; k < t->n; k++) {
        size_t at = out->n;
        while (at > 0 && t->intensity[out->line[at - 1]] < t->intensity[k])
            at--;
        if (at == STRONG)
            continue;
        out->n += out->n < STRONG;
        memmove(out->line + at + 1, out->line + at, (out->n - at - 1) * sizeof *out->line);
        out->line[at] = k;
    }
    out->top = out->n ? t->intensity[out->line[0]] : 0;
}

static double position_of(const scene *s, const trial *t, size_t line)
{
    double u = t->ln_d[line];
    for (size_t c = 0; c < t->n_strains; c++)
        u += t->strain[c] * t->basis[line][c];
    double sine = s->radiation.wavelength_ang[0] / (2 * exp(u)), theta = asin(sine);
    return sine < 1 ? 2 * theta + s->displacement * cos(theta) : NAN; /* as phases found before have it */
}

static size_t index_of(const scene *s, double x)
{
    size_t i = bragg_array_first(s->x, s->n, x);
    return i < s->n ? i : s->n - 1;
}

/* The peak a line belongs to: near, and high in what is left. */
static const bragg_peak *partner(const scene *s, double x, double reach)
{
    const bragg_peak *best = NULL;
    double most = 0;
    for (size_t k = 0; k < s->n_peaks; k++) {
        const bragg_peak *p = &s->peak[k];
        double off = (p->x - x) / reach;
        if (fabs(off) > 1 || p->alpha2)
            continue;
        double value = (1 - 0.8 * off * off) * pow(fmax(s->left[index_of(s, p->x)], 0.05 * p->height), 0.25);
        if (value > most) {
            most = value;
            best = p;
        }
    }
    return best;
}

/* Strains by least squares over line-peak pairs, held near where they are. */
static void pull_strains(const scene *s, trial *t, const strong *set, double reach_ln)
{
    double a[TRIAL_STRAINS * TRIAL_STRAINS] = { 0 }, b[TRIAL_STRAINS] = { 0 };
    size_t n = t->n_strains;
    for (size_t k = 0; k < set->n; k++) {
        size_t line = set->line[k];
        double x = position_of(s, t, line), tangent = tan(x / 2);
        const bragg_peak *p = x > s->first && x < s->last ? partner(s, x, 2 * reach_ln * tangent + 0.05 * BRAGG_DEG) : NULL;
        if (!p)
            continue;
        double off = -(p->x - x) / (2 * tangent), w = sqrt(t->intensity[line] / set->top) * fmin(1, tangent / 0.2);
        for (size_t i = 0; i < n; i++) {
            b[i] += w * t->basis[line][i] * off;
            for (size_t j = 0; j < n; j++)
                a[i * n + j] += w * t->basis[line][i] * t->basis[line][j];
        }
    }
    for (size_t i = 0; i < n; i++)
        a[i * n + i] += 0.05;
    if (!bragg_symmetric_invert(a, n))
        return;
    for (size_t i = 0; i < n; i++) {
        double step = 0;
        for (size_t j = 0; j < n; j++)
            step += a[i * n + j] * b[j];
        t->strain[i] = fmin(fmax(t->strain[i] + step, -0.035), 0.035);
    }
}

/* How high what is left stands about a position. */
static double left_at(const scene *s, double x)
{
    size_t i = index_of(s, x);
    double most = 0;
    for (size_t k = i > 1 ? i - 1 : 0; k < s->n && k <= i + 1; k++)
        most = fmax(most, s->left[k]);
    return most;
}

/* Widths of peaks that are the trial's alone, over the scene's. */
static double broadening(const scene *s, const trial *t, const strong *set)
{
    double ratio[STRONG];
    size_t n = 0;
    for (size_t k = 0; k < set->n && k < 8; k++) {
        double x = position_of(s, t, set->line[k]);
        const bragg_peak *p = isfinite(x) ? partner(s, x, fmax(s->width[0], 0.1 * BRAGG_DEG)) : NULL;
        if (p && s->left[index_of(s, p->x)] > 0.5 * p->height)
            ratio[n++] = p->fwhm / (s->width[0] + s->width[1] * tan(x / 2));
    }
    qsort(ratio, n, sizeof *ratio, bragg_array_by_value);
    return n ? fmin(fmax(ratio[n / 2], 0.7), 10) : 1;
}

static void rate(const scene *s, trial *t, const strong *set)
{
    double ratio[STRONG], weight[STRONG], sum = 0, found = 0, explained = 0, left = 0;
    size_t n = 0;
    for (size_t k = 0; k < set->n; k++) {
        double x = position_of(s, t, set->line[k]);
        if (!(x > s->first && x < s->last))
            continue;
        double i = t->intensity[set->line[k]];
        ratio[n] = left_at(s, x) / i;
        weight[n++] = sqrt(i);
    }
    /* scale: where two fifths of the weight stand lower */
    size_t order[STRONG];
    for (size_t k = 0; k < n; k++) {
        size_t at = k;
        while (at > 0 && ratio[order[at - 1]] > ratio[k]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = k;
        sum += weight[k];
    }
    double below = 0, scale = 0;
    for (size_t k = 0; k < n && below <= 0.4 * sum; k++) {
        below += weight[order[k]];
        scale = ratio[order[k]];
    }
    for (size_t k = 0; k < n; k++) {
        double i = weight[k] * weight[k], have = ratio[k] * i;
        found += weight[k] * fmin(1, have / fmax(scale * i, 1e-300));
        explained += fmin(have, 1.5 * scale * i);
    }
    for (size_t k = 0; k < s->n_peaks; k++)
        left += s->peak[k].alpha2 ? 0 : fmax(s->left[index_of(s, s->peak[k].x)], 0);
    t->scale = scale * fmax(t->broad, 1);
    t->score = n && sum > 0 && left > 0 ? pow(found / sum, 1.5) * pow(fmin(1, explained / left), 0.4) * (1 - exp(-(double)n / 2)) : 0;
}

void bragg_cards_trial_match(const scene *s, double shift, trial *t)
{
    static const double reach[] = { 0.006, 0.004, 0.002 };
    strong set;
    choose_strong(t, &set);
    for (size_t c = 0; c < t->n_strains; c++) /* only the diagonal ones are dilations */
        t->strain[c] = c < 3 ? shift : 0;
    for (int k = 0; k < 3 && set.n; k++)
        pull_strains(s, t, &set, reach[k]);
    t->broad = broadening(s, t, &set);
    rate(s, t, &set);
}
