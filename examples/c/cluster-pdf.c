/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pair distribution function of a cluster: cut from a crystal, scattered by the Debye
 * sum, its intensities reduced as if they had been measured, the structure fitted back.
 *
 *     cc cluster-pdf.c $(pkg-config --cflags --libs bragg) -lm -o cluster-pdf
 *     ./cluster-pdf Ni.cif 28
 */
#include <bragg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Counts of a detector that sees the cluster: its intensity times a scale. */
static bragg_status measure(const bragg_structure *s, double diameter_ang, bragg_pattern **out, size_t *atoms, bragg_error *err)
{
    bragg_particle *p;
    bragg_debye *d = NULL;
    bragg_debye_options options = BRAGG_DEBYE_OPTIONS_INIT;
    *out = NULL;
    bragg_status st = bragg_particle_cut(s, BRAGG_CUT_SPHERE, diameter_ang, NAN, &p, err);
    if (st < 0)
        return st;
    *atoms = p->n;
    options.qmin_invang = 0.8; /* below lies what the shape alone scatters */
    st = bragg_debye_sum(p, &options, &d, err);
    if (st == BRAGG_OK && !(*out = bragg_pattern_new(d->n, BRAGG_AXIS_Q)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", d->n);
    for (size_t i = 0; st == BRAGG_OK && i < d->n; i++) {
        (*out)->x[i] = d->q[i];
        (*out)->y[i] = 3.7 * d->iq[i];
        (*out)->sigma[i] = 0.01 * (*out)->y[i];
    }
    bragg_debye_free(d);
    bragg_particle_free(p);
    return st;
}

static bragg_status reduce(const bragg_pattern *counts, const char *formula, bragg_pdf **out, bragg_error *err)
{
    bragg_composition composition;
    bragg_pdf_options options = BRAGG_PDF_OPTIONS_INIT;
    bragg_status st = bragg_composition_parse(formula, &composition, err);
    return st == BRAGG_OK ? bragg_pdf_reduce(counts, NULL, &composition, &options, out, err) : st;
}

/* Scale, cell, displacement and diameter, from a start some way off. */
static bragg_status fit(const bragg_pdf *pdf, const bragg_structure *s, double diameter_ang, bragg_error *err)
{
    const bragg_pdf_data data = { .n = pdf->m, .r = pdf->r, .g = pdf->gr, .sigma = pdf->gr_sigma, .qmin_invang = pdf->used.qmin_invang,
                                  .qmax_invang = pdf->used.qmax_invang };
    const bragg_pdf_set_options set = BRAGG_PDF_SET_OPTIONS_INIT;
    const bragg_pdf_fit_options options = BRAGG_PDF_FIT_OPTIONS_INIT;
    static const char *const refined[] = { "*.scale", "*.cell", "*.uiso", "*.spdiameter" };
    bragg_pdf_study *study = bragg_pdf_study_new();
    bragg_pdf_fit *result = NULL;
    bragg_status st = study ? bragg_pdf_study_add_set(study, &data, &set, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a fit");
    if (st == BRAGG_OK)
        st = bragg_pdf_study_add_phase(study, "X", s, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_study_build(study, err);
    if (st == BRAGG_OK) {
        bragg_params *t = bragg_pdf_study_params(study);
        for (size_t k = 0; k < sizeof refined / sizeof *refined; k++)
            bragg_params_select(t, refined[k], true);
        t->at[bragg_params_find(t, "phase.X.spdiameter")].value = 1.3 * diameter_ang;
        t->at[bragg_params_find(t, "phase.X.cell.a")].value *= 1.004;
        bragg_params_apply_ties(t);
        st = bragg_pdf_study_fit(study, &options, &result, err);
        for (size_t k = 0; st == BRAGG_OK && k < t->n; k++)
            if (t->at[k].refine)
                printf("%s %.6g %.2g\n", t->at[k].name, t->at[k].value, t->at[k].esd);
        if (st == BRAGG_OK)
            printf("rw %.4f\n", result->rw);
    }
    bragg_pdf_fit_free(result);
    bragg_pdf_study_free(study);
    return st;
}

int main(int argc, char **argv)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = NULL;
    bragg_pattern *counts = NULL;
    bragg_pdf *pdf = NULL;
    double diameter_ang = 28;
    size_t atoms = 0;
    if (argc < 2 || (argc > 2 && !bragg_number_parse(argv[2], &diameter_ang))) {
        fprintf(stderr, "usage: %s CIF [DIAMETER]\n", argv[0]);
        return 2;
    }
    bragg_status st = bragg_structure_read_cif(argv[1], NULL, &s, NULL, 0, &err);
    for (size_t k = 0; st == BRAGG_OK && k < s->n_atoms; k++) {
        s->atom[k].anisotropic = false;
        s->atom[k].uiso_ang2 = 0.0062;
    }
    if (st == BRAGG_OK)
        st = measure(s, diameter_ang, &counts, &atoms, &err);
    if (st == BRAGG_OK)
        st = reduce(counts, s->formula, &pdf, &err);
    if (st == BRAGG_OK) {
        printf("atoms %zu\n", atoms);
        st = fit(pdf, s, diameter_ang, &err);
    }
    if (st < 0)
        fprintf(stderr, "%s: %s\n", argv[0], err.text);
    bragg_pdf_free(pdf);
    bragg_pattern_free(counts);
    bragg_structure_free(s);
    return st < 0;
}
