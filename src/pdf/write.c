/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .iq .sq .fq .gr files under the settings that made them, as PDFgetX3 heads its
 * own: PDFgui and diffpy read qmax, mode and composition from there. */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/number.h>
#include <bragg/output.h>
#include <stdio.h>
#include <string.h>

static void put(FILE *to, const char *name, double value) { bragg_output_number(to, name, value, 9, "\n"); }

static void write_settings(FILE *to, const bragg_pdf *p, const bragg_pdf_names *names, const char *type)
{
    const bragg_pdf_options *o = &p->used;
    fprintf(to, "[DEFAULT]\n\nversion = bragg %s\n\n# input and output specifications\ndataformat = QA\n", PACKAGE_VERSION);
    fprintf(to, "inputfile = %s\nbackgroundfile = %s\noutputtype = %s\n\n# PDF calculation setup\nmode = %s\n", names->sample ? names->sample : "",
            names->background ? names->background : "", type, o->neutron ? "neutron" : "xray");
    put(to, "wavelength", o->wavelength_ang);
    fprintf(to, "composition = %s\n", names->composition ? names->composition : "");
    put(to, "bgscale", o->background_scale);
    put(to, "rpoly", o->rpoly_ang);
    put(to, "qmaxinst", o->qmaxinst_invang);
    put(to, "qmin", o->qmin_invang);
    put(to, "qmax", o->qmax_invang);
    put(to, "rmin", o->rmin_ang);
    put(to, "rmax", o->rmax_ang);
    put(to, "rstep", o->rstep_ang);
    fprintf(to, "\n# beyond PDFgetX3\nroute = %s\nwindow = %s\ncompton = %s\nanomalous = %s\n", o->physical ? "physical" : "ad hoc",
            bragg_pdf_window_name(o->window), o->compton || o->physical ? "yes" : "no", o->anomalous ? "yes" : "no");
    put(to, "polarization", o->polarization);
    put(to, "mu_r", o->mu_r);
    put(to, "number_density", o->number_density);
    put(to, "scale", p->scale);
    put(to, "low_r_slope", p->slope);
    put(to, "low_r_slope_expected", p->slope_expected);
    fprintf(to, "\n# End of config --------------------------------------------------------------\n\n");
}

/* The fourth column of a .gr stands for itself: PDFgui reads r G dr dG. */
static void write_points(FILE *to, const double *x, const double *y, const double *sigma, size_t n, bool with_dr)
{
    char a[BRAGG_NUMBER_TEXT], b[BRAGG_NUMBER_TEXT], c[BRAGG_NUMBER_TEXT];
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "%s %s", bragg_number_print_digits(a, x[i], 9), bragg_number_print_digits(b, y[i], 8));
        fprintf(to, sigma ? with_dr ? " 0 %s\n" : " %s\n" : "\n", sigma ? bragg_number_print_digits(c, sigma[i], 5) : "");
    }
}

static const char *type_of(const char *path)
{
    static const char *const types[] = { "iq", "sq", "fq", "gr", "cov", "sqcov" };
    const char *dot = strrchr(path, '.');
    for (size_t k = 0; dot && k < sizeof types / sizeof *types; k++)
        if (!strcmp(dot + 1, types[k]))
            return types[k];
    return NULL;
}

/* A row a point: x, its variance, its covariances with the points after it. */
static bragg_status write_covariance(const bragg_pdf *p, const char *type, const char *path, bool force, bragg_error *err)
{
    const double *c = *type == 'c' ? p->gr_covariance : p->sq_covariance, *x = *type == 'c' ? p->r : p->q;
    size_t n = *type == 'c' ? p->m : p->n, band = p->used.band;
    char text[BRAGG_NUMBER_TEXT];
    bragg_output *out = NULL;
    if (!c)
        return bragg_fail(err, BRAGG_EINVAL, "'%s': no covariance was asked for, or the data have no errors", path);
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "# covariance of %s: x, then of the point with itself and those after it\n# points %zu band %zu\n", *type == 'c' ? "G(r)" : "S(Q)", n, band);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "%s", bragg_number_print_digits(text, x[i], 9));
        for (size_t k = 0; k <= band; k++)
            fprintf(to, " %s", bragg_number_print_digits(text, c[i * (band + 1) + k], 7));
        fprintf(to, "\n");
    }
    return bragg_output_commit(out, err);
}

bragg_status bragg_pdf_data_write(const bragg_pdf_data *d, const char *comment, const char *path, bool force, bragg_error *err)
{
    bragg_output *out = NULL;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "[DEFAULT]\n\nversion = bragg %s\n%s\nmode = %s\n", PACKAGE_VERSION, comment ? comment : "", d->neutron ? "neutron" : "xray");
    put(to, "qmin", d->qmin_invang);
    put(to, "qmax", d->qmax_invang);
    fprintf(to, "\n#### start data\n\n#S 1\n#L r(A)  G(A^{-2})%s\n", d->sigma ? "  dr(A)  dG(A^{-2})" : "");
    write_points(to, d->r, d->g, d->sigma, d->n, true);
    return bragg_output_commit(out, err);
}

bragg_status bragg_pdf_write(const bragg_pdf *p, const bragg_pdf_names *names, const char *path, bool force, bragg_error *err)
{
    const char *type = type_of(path);
    bragg_output *out = NULL;
    if (!type)
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a name in .gr, .fq, .sq, .iq, .cov or .sqcov", path);
    if (!strcmp(type, "cov") || !strcmp(type, "sqcov"))
        return write_covariance(p, type, path, force, err);
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    write_settings(to, p, names, type);
    fprintf(to, "#### start data\n\n#S 1\n");
    if (*type == 'g') {
        fprintf(to, p->gr_sigma ? "#L r(A)  G(A^{-2})  dr(A)  dG(A^{-2})\n" : "#L r(A)  G(A^{-2})\n");
        write_points(to, p->r, p->gr, p->gr_sigma, p->m, true);
    } else {
        fprintf(to, "#L Q(A^{-1})  %s\n", *type == 'i' ? "I(a.u.)" : *type == 's' ? "S" : "F(A^{-1})");
        write_points(to, p->q, *type == 'i' ? p->iq : *type == 's' ? p->sq : p->fq,
                     *type == 'i' ? p->iq_sigma : *type == 's' ? p->sq_sigma : p->fq_sigma, p->n, false);
    }
    return bragg_output_commit(out, err);
}
