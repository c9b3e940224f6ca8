/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .iq .sq .fq .gr files under the settings that made them, as PDFgetX3 heads its
 * own: PDFgui and diffpy read qmax, mode and composition from there. */
#include "config.h"
#include <bragg/pdf.h>

#include <bragg/number.h>
#include <bragg/output.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put(FILE *to, const char *name, double value)
{
    char text[BRAGG_NUMBER_TEXT];
    if (isfinite(value))
        fprintf(to, "%s = %s\n", name, bragg_number_print_digits(text, value, 9));
}

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
    fprintf(to, "\n# beyond PDFgetX3\nwindow = %s\ncompton = %s\n", o->window == BRAGG_PDF_WINDOW_LORCH ? "lorch" : "none", o->compton ? "yes" : "no");
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
    static const char *const types[] = { "iq", "sq", "fq", "gr" };
    const char *dot = strrchr(path, '.');
    for (size_t k = 0; dot && k < 4; k++)
        if (!strcmp(dot + 1, types[k]))
            return types[k];
    return NULL;
}

bragg_status bragg_pdf_write(const bragg_pdf *p, const bragg_pdf_names *names, const char *path, bool force, bragg_error *err)
{
    const char *type = type_of(path);
    bragg_output *out = NULL;
    if (!type)
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a name in .gr, .fq, .sq or .iq", path);
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
