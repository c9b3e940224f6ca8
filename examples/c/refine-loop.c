/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refine patterns that never were in a file: a lattice that expands, ten times, each fit
 * starting where the last one ended.
 *
 *     cc refine-loop.c $(pkg-config --cflags --libs bragg) -lm -o refine-loop
 *     ./refine-loop Ni.cif
 */
#include <bragg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 3000, STEPS = 10 };

static bragg_status new_model(const bragg_structure *s, const bragg_pattern *p, bragg_model **m, bragg_error *err)
{
    bragg_histogram_options options = BRAGG_HISTOGRAM_OPTIONS_INIT;
    options.radiation.n_lines = 1;
    options.radiation.wavelength_ang[0] = 0.4066;
    options.radiation.ratio[0] = 1;
    options.background_terms = 1;
    bragg_status st = (*m = bragg_model_new()) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a model");
    if (st == BRAGG_OK)
        st = bragg_model_add_pattern(*m, p, &options, err);
    if (st == BRAGG_OK)
        st = bragg_model_add_phase(*m, "X", s, NULL, err);
    return st == BRAGG_OK ? bragg_model_build(*m, err) : st;
}

static double *value(bragg_model *m, const char *name)
{
    bragg_params *t = bragg_model_params(m);
    return &t->at[bragg_params_find(t, name)].value;
}

/* G. E. P. Box & M. E. Muller, Ann. Math. Stat. 29 (1958) 610. */
static double normal(void)
{
    return sqrt(-2 * log(1 - drand48())) * cos(2 * BRAGG_PI * drand48());
}

/* What an instrument would have sent: the model itself at another cell, with noise, in p. */
static bragg_status measure(bragg_model *truth, double a_ang, bragg_pattern *p, bragg_error *err)
{
    *value(truth, "phase.X.cell.a") = a_ang;
    bragg_params_apply_ties(bragg_model_params(truth));
    bragg_status st = bragg_model_calculate(truth, 0, NULL, NULL, NULL, p->y, NULL, err);
    for (size_t i = 0; i < p->n; i++) {
        p->sigma[i] = sqrt(p->y[i]);
        p->y[i] += p->sigma[i] * normal();
    }
    return st;
}

static bragg_status follow(bragg_model *truth, bragg_model *m, bragg_pattern *p, double a0_ang, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    const bragg_refine_options options = { .max_cycles = 50, .stages = false };
    const bragg_params *t = bragg_model_params(m);
    ptrdiff_t a = bragg_params_find(t, "phase.X.cell.a");
    for (int k = 0; k < STEPS && st >= 0; k++) {
        double a_ang = a0_ang * (1 + 1e-4 * k);
        bragg_fit *fit;
        st = measure(truth, a_ang, p, err);
        if (st == BRAGG_OK)
            st = bragg_model_replace_pattern(m, 0, p, err);
        if (st == BRAGG_OK && (st = bragg_refine(m, &options, &fit, err)) >= 0) {
            printf("%d a = %.6f(%.6f) angstrom, truth %.6f, GOF %.3f\n", k, t->at[a].value, t->at[a].esd, a_ang, fit->gof);
            bragg_fit_free(fit);
        }
    }
    return st;
}

int main(int argc, char **argv)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = NULL;
    bragg_model *truth = NULL, *m = NULL;
    bragg_pattern *p = bragg_pattern_new(POINTS, BRAGG_AXIS_TTH);
    if (argc != 2) {
        fprintf(stderr, "usage: %s STRUCTURE.cif\n", argv[0]);
        bragg_pattern_free(p);
        return 2;
    }
    for (size_t i = 0; p && i < p->n; i++) {
        p->x[i] = (5 + 0.01 * (double)i) * BRAGG_DEG;
        p->y[i] = 100;
        p->sigma[i] = 10;
    }
    bragg_status st = p ? bragg_structure_read_cif(argv[1], NULL, &s, NULL, 0, &err) : BRAGG_ENOMEM;
    if (st == BRAGG_OK)
        st = new_model(s, p, &truth, &err);
    if (st == BRAGG_OK)
        st = new_model(s, p, &m, &err);
    if (st == BRAGG_OK) {
        *value(truth, "background.0") = *value(m, "background.0") = 100;
        *value(truth, "phase.X.scale") = *value(m, "phase.X.scale") = 0.1;
        *value(truth, "instrument.w") = *value(m, "instrument.w") = 0.003;
        bragg_model_select(m, "background", true);
        bragg_model_select(m, "phase.X.scale", true);
        bragg_model_select(m, "phase.X.cell", true);
        bragg_model_select(m, "instrument.w", true);
        st = follow(truth, m, p, s->cell.a, &err);
    }
    if (st < 0)
        fprintf(stderr, "%s: %s\n", argv[0], err.text);
    bragg_model_free(m);
    bragg_model_free(truth);
    bragg_structure_free(s);
    bragg_pattern_free(p);
    return bragg_status_exit(st);
}
