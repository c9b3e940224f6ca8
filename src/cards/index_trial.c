/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trial cells: the forms of the systems, windows around lines, and the quick fit that
 * a search makes a million times.  (Its normal equations are linear in seven unknowns
 * at most; candidates that survive are refined by the least squares of bragg/lsq.h.) */
#include "config.h"
#include "indexing.h"

#include <math.h>
#include <string.h>

size_t bragg_index_parameters(form f)
{
    static const size_t n[N_FORMS] = { 1, 2, 2, 3, 4, 6 };
    return n[f];
}

void bragg_index_coefficients(form f, const int v[3], double c[MOST_PARAMETERS])
{
    double h = v[0], k = v[1], l = v[2];
    switch (f) {
    case CUBIC:
        c[0] = h * h + k * k + l * l;
        break;
    case TETRAGONAL:
        c[0] = h * h + k * k, c[1] = l * l;
        break;
    case HEXAGONAL:
        c[0] = h * h + h * k + k * k, c[1] = l * l;
        break;
    case ORTHORHOMBIC:
        c[0] = h * h, c[1] = k * k, c[2] = l * l;
        break;
    case MONOCLINIC:
        c[0] = h * h, c[1] = k * k, c[2] = l * l, c[3] = h * l;
        break;
    default:
        c[0] = h * h, c[1] = k * k, c[2] = l * l, c[3] = k * l, c[4] = h * l, c[5] = h * k;
    }
}

void bragg_index_metric(form f, const double *x, double g[6])
{
    static const int at[N_FORMS][3] = { { 0, 0, 0 }, { 0, 0, 1 }, { 0, 0, 1 }, { 0, 1, 2 }, { 0, 1, 2 }, { 0, 1, 2 } };
    for (int i = 0; i < 3; i++)
        g[i] = x[at[f][i]];
    g[3] = f == TRICLINIC ? x[3] / 2 : 0;
    g[4] = f == TRICLINIC ? x[4] / 2 : f == MONOCLINIC ? x[3] / 2 : 0;
    g[5] = f == TRICLINIC ? x[5] / 2 : f == HEXAGONAL ? x[0] / 2 : 0;
}

bool bragg_index_allowed(char centring, int h, int k, int l)
{
    switch (centring) {
    case 'I':
        return (h + k + l) % 2 == 0;
    case 'F':
        return (h + k) % 2 == 0 && (k + l) % 2 == 0;
    case 'A':
        return (k + l) % 2 == 0;
    case 'B':
        return (h + l) % 2 == 0;
    case 'C':
        return (h + k) % 2 == 0;
    case 'R': /* one of (h k l) and (k h l), which stand together */
        return (k - h + l) % 3 == 0 || (h - k + l) % 3 == 0;
    default:
        return true;
    }
}

/* -------------------------------------------------------------- windows */

void bragg_index_windows(const line_set *s, size_t n, double zero, double tolerance, window_table *w)
{
    *w = (window_table){ .n = n < MOST_SEARCHED ? n : MOST_SEARCHED, .zero_rad = zero };
    double scale = 2 / s->wavelength_ang;
    for (size_t i = 0; i < w->n; i++) {
        double t = s->two_theta[i] - zero, d = scale * sin(t / 2);
        w->q[i] = d * d;
        w->slope[i] = scale * scale * sin(t) / 2;
        w->sigma[i] = w->slope[i] * s->sigma[i];
        w->half[i] = w->slope[i] * fmax(tolerance, 2.2 * s->sigma[i]);
    }
    size_t last = w->n - 1;
    w->range_rad = s->two_theta[last] - s->first_rad;
    w->q_max = w->q[last] + w->half[last];
    w->bins_per_q = N_BINS / w->q_max;
    for (size_t b = 0; b <= N_BINS + 1; b++) {
        double low = (double)b / w->bins_per_q, high = (double)(b + 1) / w->bins_per_q;
        size_t first = 0, end = w->n;
        while (first < w->n && w->q[first] + w->half[first] < low)
            first++;
        while (end > 0 && w->q[end - 1] - w->half[end - 1] > high)
            end--;
        w->first[b] = (uint8_t)first;
        w->end[b] = (uint8_t)end;
    }
}

/* ---------------------------------------------------------- enumeration */

typedef struct hkl_q {
    int v[3];
    double q;
} hkl_q;

enum { MOST_HKL = 1500 };

/* Reflections up to q_max, one of those that the form makes equal: the ranges of k and
 * l follow from completing the square.  0 when x is no metric or there are too many. */
static size_t enumerate(form f, const double *x, double q_max, hkl_q *out)
{
    double g[6];
    bragg_index_metric(f, x, g);
    if (!(g[2] > 1e-7))
        return 0;
    double p11 = g[0] - g[4] * g[4] / g[2], p22 = g[1] - g[3] * g[3] / g[2], p12 = g[5] - g[4] * g[3] / g[2];
    if (!(p22 > 1e-7) || !(p11 - p12 * p12 / p22 > 1e-7))
        return 0;
    double r11 = p11 - p12 * p12 / p22;
    int h_max = (int)sqrt(q_max / r11);
    size_t n = 0;
    if (h_max > 60)
        return 0;
    for (int h = 0; h <= h_max; h++) {
        double k_mid = -h * p12 / p22, k_half = sqrt(fmax(q_max - h * h * r11, 0) / p22);
        int k_low = f == TRICLINIC ? (int)ceil(k_mid - k_half) : 0, k_high = (int)floor(k_mid + k_half);
        if (f <= HEXAGONAL && k_high > h)
            k_high = h;
        if (h == 0 && k_low < 0)
            k_low = 0;
        for (int k = k_low; k <= k_high; k++) {
            double rest = q_max - (h * h * p11 + k * k * p22 + 2 * h * k * p12);
            double l_mid = -(k * g[3] + h * g[4]) / g[2], l_half = sqrt(fmax(rest, 0) / g[2]);
            int l_low = f >= MONOCLINIC && (h || (f == TRICLINIC && k)) ? (int)ceil(l_mid - l_half) : 0, l_high = (int)floor(l_mid + l_half);
            if (f == CUBIC && l_high > k)
                l_high = k;
            for (int l = l_low; l <= l_high; l++) {
                if (!h && !k && !l)
                    continue;
                if (n == MOST_HKL)
                    return 0;
                out[n++] = (hkl_q){ { h, k, l }, h * (h * g[0] + 2 * k * g[5] + 2 * l * g[4]) + k * (k * g[1] + 2 * l * g[3]) + l * l * g[2] };
            }
        }
    }
    return n;
}

/* ----------------------------------------------------------------- fit */

enum { UNKNOWNS = MOST_PARAMETERS + 1 };

/* Cholesky of a small symmetric matrix, a' = L L'; false when it is not positive. */
static bool solve(size_t n, double a[UNKNOWNS][UNKNOWNS], double b[UNKNOWNS])
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double s = a[i][j];
            for (size_t k = 0; k < j; k++)
                s -= a[i][k] * a[j][k];
            if (i == j && !(s > 1e-10 * a[i][i]))
                return false;
            a[i][j] = i == j ? sqrt(s) : s / a[j][j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
    return true;
}

typedef struct assignment {
    const hkl_q *hkl[MOST_SEARCHED];
    double off[MOST_SEARCHED]; /* calculated minus observed */
    uint64_t mask;
} assignment;

/* The nearest calculated line in each window, which is widened by `wide` of its half. */
static void assign(const window_table *w, const hkl_q *list, size_t n, double zero, double wide, assignment *a)
{
    a->mask = 0;
    for (size_t j = 0; j < n; j++) {
        double reach = wide * w->half[w->n - 1];
        uint64_t m = bragg_index_mask(w, list[j].q - reach, list[j].q + reach);
        for (; m; m &= m - 1) {
            size_t i = (size_t)__builtin_ctzll(m);
            double off = list[j].q - (w->q[i] - w->slope[i] * zero);
            if (fabs(off) > (1 + wide) * w->half[i])
                continue;
            if ((a->mask >> i & 1) && fabs(a->off[i]) <= fabs(off))
                continue;
            a->hkl[i] = &list[j];
            a->off[i] = off;
            a->mask |= 1ull << i;
        }
    }
}

/* Sum c x + slope zero = q over the assigned lines; the zero is held near nought. */
static bool regress(const window_table *w, form f, const assignment *a, double x[MOST_PARAMETERS], double *zero)
{
    size_t np = bragg_index_parameters(f), m = np + 1;
    double s[UNKNOWNS][UNKNOWNS] = { { 0 } }, b[UNKNOWNS] = { 0 }, row[UNKNOWNS];
    for (uint64_t left = a->mask; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        double weight = 1 / (w->sigma[i] * w->sigma[i]);
        bragg_index_coefficients(f, a->hkl[i]->v, row);
        row[np] = w->slope[i];
        for (size_t p = 0; p < m; p++) {
            b[p] += weight * row[p] * w->q[i];
            for (size_t q = 0; q <= p; q++)
                s[p][q] += weight * row[p] * row[q];
        }
    }
    s[np][np] += 1 / (w->zero_sigma * w->zero_sigma);
    if (!solve(m, s, b))
        return false;
    memcpy(x, b, np * sizeof *x);
    *zero = b[np];
    return true;
}

/* --------------------------------------------------------------- score */

static const char *centrings_of(form f)
{
    static const char *const letters[N_FORMS] = { "PIF", "PI", "PR", "PIFABC", "PIAC", "P" };
    return letters[f];
}

/* ln evidence of the lines against lines at random (see bragg_index_evidence), when n_calc
 * lines are possible. */
static double quick_evidence(const window_table *w, const assignment *a, uint64_t mask, double n_calc)
{
    double best = -INFINITY;
    for (double scale = 0.5; scale < 3; scale *= 1.4) {
        double sum = 0;
        for (size_t i = 0; i < w->n; i++) {
            double p = 0;
            if (mask >> i & 1) {
                double sigma = w->sigma[i] * scale, t = a->off[i] / sigma;
                p = 0.95 * w->range_rad * w->slope[i] / (n_calc * sigma * 2.5066) * exp(-t * t / 2);
            }
            sum += log(p + 0.05);
        }
        best = fmax(best, sum);
    }
    return best;
}

static void score(const window_table *w, const assignment *a, size_t n_calc, size_t unindexed, trial *t)
{
    t->score = -INFINITY;
    t->centrings = 0;
    for (const char *c = centrings_of(t->form); *c; c++) {
        uint64_t mask = 0;
        for (uint64_t left = a->mask; left; left &= left - 1) {
            size_t i = (size_t)__builtin_ctzll(left);
            const int *v = a->hkl[i]->v;
            mask |= (uint64_t)bragg_index_allowed(*c, v[0], v[1], v[2]) << i;
        }
        if ((size_t)__builtin_popcountll(mask) + unindexed < w->n)
            continue;
        double part = *c == 'P' ? 1 : *c == 'F' ? 0.25 : *c == 'R' ? 5.0 / 9 : 0.5;
        double e = quick_evidence(w, a, mask, fmax(n_calc * part, 1)) - 3.5 * (double)bragg_index_parameters(t->form);
        t->centrings |= 1u << (strchr(bragg_index_centrings, *c) - bragg_index_centrings);
        t->score = fmax(t->score, e);
    }
    t->indexed = a->mask;
}

bool bragg_index_settle(const window_table *w, form f, double x[MOST_PARAMETERS], size_t unindexed, trial *out)
{
    hkl_q list[MOST_HKL];
    assignment a;
    double zero = 0;
    size_t n = 0;
    for (int round = 0; round < 4; round++) {
        n = enumerate(f, x, w->q_max * 1.01, list);
        if (!n)
            return false;
        assign(w, list, n, zero, round ? 0 : 0.6, &a);
        if ((size_t)__builtin_popcountll(a.mask) + unindexed + (round < 2 ? 1 : 0) < w->n)
            return false;
        if (round < 3 && !regress(w, f, &a, x, &zero))
            return false;
    }
    *out = (trial){ .form = f, .zero = w->zero_rad + zero };
    memcpy(out->x, x, sizeof out->x);
    score(w, &a, n, unindexed, out);
    return out->score > 0;
}

static bool alike(const trial *a, const trial *b)
{
    if (a->form != b->form)
        return false;
    for (size_t p = 0; p < bragg_index_parameters(a->form); p++)
        if (fabs(a->x[p] - b->x[p]) > 3e-3 * fmax(fabs(a->x[p]), p < 3 ? 0 : fmin(a->x[0], a->x[2])))
            return false;
    return true;
}

void bragg_index_keep(trial_list *list, const trial *t)
{
    size_t worst = 0;
    for (size_t k = 0; k < list->n; k++) {
        if (alike(&list->at[k], t)) {
            if (t->score > list->at[k].score)
                list->at[k] = *t;
            return;
        }
        if (list->at[k].score < list->at[worst].score)
            worst = k;
    }
    if (list->n < MOST_TRIALS)
        list->at[list->n++] = *t;
    else if (t->score > list->at[worst].score)
        list->at[worst] = *t;
}
