/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Total scattering of nickel simulated many times with counting noise, reduced and
 * fitted: are the errors of G(r) and of the cell what they say?
 *
 *      pdf_pulls [REALIZATIONS]     40 as a test, 400 in make validate
 */
#include "config.h"
#include <bragg.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NQ = 1200, NR = 701, FINE = 9000 };
static const double Q0 = 0.8, DQ = 0.02, COUNTS = 0.9, CELL = 3.5241, UISO = 0.0052;

typedef struct study {
    double q[NQ], f2[NQ], compton[NQ], mean[NQ]; /* expected counts of the sample */
    double empty[NQ];
    bragg_structure *ni;
    bragg_composition formula;
    bragg_pdf_options o;
    uint64_t seed;
} study;

static void must(bragg_status st, const bragg_error *err)
{
    if (st < 0) {
        fprintf(stderr, "pdf_pulls: %s\n", err->text);
        exit(1);
    }
}

/* A deviate of variance one: Marsaglia's polar method. */
static double gaussian(uint64_t *seed)
{
    double u, v, s;
    do {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        u = (double)(*seed >> 11) / 4503599627370496.0 - 1;
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        v = (double)(*seed >> 11) / 4503599627370496.0 - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * log(s) / s);
}

/* S(Q) - 1 = 1/Q integral of G(r) sin(Q r), G of the structure with the resolution. */
static void simulate(study *s)
{
    static double r[FINE], g[FINE], w[FINE], f[NQ];
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    shape.n = FINE;
    shape.rstep_ang = 0.02;
    shape.qdamp_invang = 0.035;
    s->ni->cell.a = s->ni->cell.b = s->ni->cell.c = CELL;
    s->ni->atom[0].uiso_ang2 = UISO;
    s->ni->atom[0].anisotropic = false;
    must(bragg_pdf_model(s->ni, &shape, g, NULL, &err), &err);
    for (int i = 0; i < FINE; i++)
        r[i] = 0.02 * i;
    bragg_trapezoid_weights(r, FINE, w);
    for (int i = 0; i < NQ; i++)
        s->q[i] = Q0 + DQ * i;
    must(bragg_sine_transform(r, g, w, NULL, FINE, s->q, NQ, f, NULL, &err), &err);
    for (int i = 0; i < NQ; i++) {
        double form = bragg_scatterer_f0(&s->formula.scatterer[0], s->q[i] / (4 * BRAGG_PI));
        s->mean[i] = COUNTS * form * form * (1 + f[i] / s->q[i]);
        s->empty[i] = 40 + 90 * exp(-(s->q[i] - 1.5) * (s->q[i] - 1.5) / 3);
    }
}

/* Noise times that of counting on sample + container, and on the container alone. */
static bragg_pdf *measure(study *s, double noise)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *a = bragg_pattern_new(NQ, BRAGG_AXIS_Q), *b = bragg_pattern_new(NQ, BRAGG_AXIS_Q);
    bragg_pdf *p;
    for (int i = 0; i < NQ; i++) {
        a->x[i] = b->x[i] = s->q[i];
        a->sigma[i] = noise * sqrt(s->mean[i] + s->empty[i]);
        b->sigma[i] = noise * sqrt(s->empty[i]);
        a->y[i] = s->mean[i] + s->empty[i] + a->sigma[i] * gaussian(&s->seed);
        b->y[i] = s->empty[i] + b->sigma[i] * gaussian(&s->seed);
    }
    must(bragg_pdf_reduce(a, b, &s->formula, &s->o, &p, &err), &err);
    bragg_pattern_free(a);
    bragg_pattern_free(b);
    return p;
}

typedef struct quantity {
    double value, esd;
} quantity;

enum { A, U, FITTED };

static void fit_nickel(const study *s, const bragg_pdf *p, quantity out[FITTED])
{
    bragg_error err = BRAGG_ERROR_INIT;
    const bragg_pdf_fit_options fo = BRAGG_PDF_FIT_OPTIONS_INIT;
    bragg_pdf_data data = { p->m, p->r, p->gr, p->gr_sigma, p->used.qmin_invang, p->used.qmax_invang, false, p->used.band, p->gr_covariance };
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    bragg_pdf_study *x = bragg_pdf_study_new();
    bragg_pdf_fit *fit;
    o.rmin_ang = 1.8;
    o.rmax_ang = 14;
    must(bragg_pdf_study_add_set(x, &data, &o, &err), &err);
    must(bragg_pdf_study_add_phase(x, "Ni", s->ni, &err), &err);
    must(bragg_pdf_study_build(x, &err), &err);
    bragg_params *t = bragg_pdf_study_params(x);
    t->at[bragg_params_find(t, "instrument.qdamp")].value = 0.035;
    bragg_params_select(t, "*.scale", true);
    bragg_params_select(t, "*.cell", true);
    bragg_params_select(t, "*.uiso", true);
    must(bragg_pdf_study_fit(x, &fo, &fit, &err), &err);
    static const char *const names[FITTED] = { "phase.Ni.cell.a", "phase.Ni.atom.Ni1.uiso" };
    for (int k = 0; k < FITTED; k++) {
        const bragg_param *a = &t->at[bragg_params_find(t, names[k])];
        out[k] = (quantity){ a->value, a->esd };
    }
    bragg_pdf_fit_free(fit);
    bragg_pdf_study_free(x);
}

/* Mean and width of (G - expected) / sigma over all points and realizations, and the
 * worst mean of any one point in units of its own scatter. */
typedef struct pulls {
    double mean, width, worst;
} pulls;

static pulls weigh(const double *sum, const double *square, size_t n, int trials)
{
    pulls p = { 0, 0, 0 };
    for (size_t j = 0; j < n; j++) {
        double mean = sum[j] / trials, width = sqrt((square[j] - sum[j] * mean) / (trials - 1));
        p.mean += mean / (double)n;
        p.width += width / (double)n;
        p.worst = fmax(p.worst, fabs(mean) * sqrt(trials));
    }
    return p;
}

static bool within(const char *what, double found, double expected, double tolerance)
{
    bool good = fabs(found - expected) <= tolerance;
    printf("%-58s %9.4f  expected %.4g +- %.3g%s\n", what, found, expected, tolerance, good ? "" : "  <-- off");
    return good;
}

/* Long, because one loop over realizations fills the sums of all that is told of them. */
int main(int argc, char **argv)
{
    static study s;
    static const char *const names[FITTED] = { "cell", "Uiso" };
    double sum[NR] = { 0 }, square[NR] = { 0 }, mean[FITTED] = { 0 }, mean2[FITTED] = { 0 }, esd[FITTED] = { 0 };
    quantity still[FITTED], a[FITTED];
    long long trials = 40;
    bragg_error err = BRAGG_ERROR_INIT;
    if (argc > 1 && (!bragg_integer_parse(argv[1], &trials) || trials < 20))
        return 2;
    bragg_arena *arena = bragg_arena_new();
    must(bragg_structure_read_cif(bragg_data_path(arena, "cif/Ni.cif"), NULL, &s.ni, NULL, 0, &err), &err);
    must(bragg_composition_parse("Ni", &s.formula, &err), &err);
    s.o = (bragg_pdf_options)BRAGG_PDF_OPTIONS_INIT;
    s.o.rmax_ang = 14;
    s.o.rstep_ang = 0.02;
    s.o.band = 640; /* all of the fit's range */
    s.seed = 20240507;
    simulate(&s);
    bragg_pdf *quiet = measure(&s, 1e-4);
    fit_nickel(&s, quiet, still);
    if (quiet->m != NR) {
        printf("expected %d points of G(r), found %zu\n", NR, quiet->m);
        return 1;
    }
    for (int k = 0; k < trials; k++) {
        bragg_pdf *p = measure(&s, 1);
        fit_nickel(&s, p, a);
        for (size_t j = 40; j < p->m; j++) { /* from 0.8 angstrom */
            double pull = (p->gr[j] - quiet->gr[j]) / p->gr_sigma[j];
            sum[j] += pull;
            square[j] += pull * pull;
        }
        for (int j = 0; j < FITTED; j++) {
            double off = a[j].value - still[j].value;
            mean[j] += off / (double)trials;
            mean2[j] += off * off;
            esd[j] += a[j].esd / (double)trials;
        }
        bragg_pdf_free(p);
    }
    pulls g = weigh(sum + 40, square + 40, quiet->m - 40, (int)trials);
    double few = sqrt(1 / (double)trials);
    printf("%lld realizations, %zu points of G(r)\n", trials, quiet->m);
    bool good = within("pulls of G(r): mean", g.mean, 0, 2 * few);
    good = within("pulls of G(r): width", g.width, 1, 0.1) && good;
    good = within("pulls of G(r): worst mean of a point, in its error", g.worst, 0, 5) && good;
    good = within("cell: fit without noise (ppm off)", 1e6 * (still[A].value / CELL - 1), 0, 50) && good;
    good = within("Uiso: fit without noise (% off)", 100 * (still[U].value / UISO - 1), 0, 3) && good;
    for (int j = 0; j < FITTED; j++) {
        char what[80];
        double scatter = sqrt((mean2[j] - (double)trials * mean[j] * mean[j]) / (double)(trials - 1));
        snprintf(what, sizeof what, "%s: mean of fits less that, in its error", names[j]);
        good = within(what, mean[j] / scatter / few, 0, 3.5) && good;
        snprintf(what, sizeof what, "%s: scatter of fits over their esd", names[j]);
        good = within(what, scatter / esd[j], 1, fmax(0.1, 2.5 * few)) && good;
    }
    bragg_pdf_free(quiet);
    bragg_structure_free(s.ni);
    bragg_arena_free(arena);
    return !good;
}
