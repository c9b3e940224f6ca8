/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quantities that follow a curve, and the seeds of their noise. */
#include "config.h"
#include "truth.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

bragg_status bragg_truth_curve(const bragg_yaml *node, bragg_arena *arena, truth_curve *out, bragg_error *err)
{
    *out = (truth_curve){ 0, NULL, NULL };
    if (!node)
        return BRAGG_OK;
    size_t n = node->kind == BRAGG_YAML_SEQUENCE ? node->n_children : 1;
    double *v = bragg_arena_alloc(arena, 2 * n + 1, sizeof *v), pair[2];
    if (!v)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a curve of %zu points", n);
    *out = (truth_curve){ n, v, v + n };
    if (node->kind != BRAGG_YAML_SEQUENCE)
        return bragg_yaml_number(node, &v[1], err);
    if (!n)
        return bragg_yaml_fail(node, err, "expected a number or [[x, y], …], found an empty list");
    bragg_status st = BRAGG_OK;
    size_t k = 0;
    for (const bragg_yaml *c = node->child; c && st == BRAGG_OK; c = c->next, k++) {
        st = bragg_yaml_numbers(c, pair, 2, err);
        v[k] = pair[0];
        v[n + k] = pair[1];
        if (st == BRAGG_OK && k && !(v[k] >= v[k - 1]))
            st = bragg_yaml_fail(c, err, "expected rising x in a curve, found %g behind %g", v[k], v[k - 1]);
    }
    return st;
}

double bragg_truth_at(const truth_curve *c, double x, double otherwise)
{
    if (!c->n)
        return otherwise;
    if (c->n == 1 || !(x > c->x[0]))
        return c->y[0];
    for (size_t k = 1; k < c->n; k++)
        if (x <= c->x[k])
            return c->x[k] > c->x[k - 1] ? c->y[k - 1] + (c->y[k] - c->y[k - 1]) * (x - c->x[k - 1]) / (c->x[k] - c->x[k - 1]) : c->y[k];
    return c->y[c->n - 1];
}

/* splitmix64: G. L. Steele, D. Lea & C. H. Flood, OOPSLA (2014) 453. */
static unsigned long long mix(unsigned long long x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

unsigned long bragg_truth_seed(long long seed, size_t shot, size_t part)
{
    return (unsigned long)(mix(mix(mix((unsigned long long)seed) + shot) + part) & 0xffffffffUL);
}

/* GSL's own would abort the program where there is no room. */
gsl_rng *bragg_truth_random(void)
{
    gsl_rng *rng = malloc(sizeof *rng + gsl_rng_taus2->size);
    if (rng)
        *rng = (gsl_rng){ gsl_rng_taus2, rng + 1 };
    return rng;
}

/* GSL's has 32 bits, and does not come back from what is beyond them.  Of so many the law is
 * normal to 1e-5 of its width. */
double bragg_truth_counts(gsl_rng *rng, double mean)
{
    static const double many = 1e9;
    return mean < many || isnan(mean) ? gsl_ran_poisson(rng, fmax(mean, 0)) : rint(mean + gsl_ran_gaussian(rng, sqrt(mean)));
}
