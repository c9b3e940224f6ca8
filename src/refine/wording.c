/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a model used, in the words of a pdCIF.  Each line of a text field starts with a
 * blank, so that no name inside can end it. */
#include "config.h"
#include "wording.h"

#include <bragg/units.h>
#include <ctype.h>
#include <math.h>
#include <string.h>

/* ----------------------------------------------------------------- words */

const char *bragg_refine_esd_text(char buffer[BRAGG_NUMBER_TEXT], double value, double esd)
{
    if (!isfinite(value) || !bragg_number_determined(value, esd, NULL))
        return "?";
    return esd > 0 && isfinite(esd) ? bragg_number_print_esd(buffer, value, esd) : bragg_number_print_digits(buffer, value, 7);
}

void bragg_refine_put_word(FILE *to, const char *word)
{
    for (; *word; word++)
        fputc(isalnum((unsigned char)*word) && (unsigned char)*word < 128 ? *word : strchr("+-_.'*()", *word) && word[1] != 0 ? *word : '_', to);
}

static void put_row(FILE *to, const bragg_model *m, size_t row, const char *name, const char *unit)
{
    char text[BRAGG_NUMBER_TEXT];
    const bragg_param *p = &m->params.at[row];
    fprintf(to, "%s %s%s%s", name, bragg_refine_esd_text(text, p->value, p->esd), *unit ? " " : "", unit);
}

/* Refined, or set to something else than what changes nothing. */
static bool used(const bragg_model *m, size_t row, double nothing)
{
    return row != NO_ROW && (m->params.at[row].value != nothing || isfinite(m->params.at[row].esd));
}

static const char *mark(bool *first)
{
    const char *text = *first ? " " : ", ";
    *first = false;
    return text;
}

static void put_used(FILE *to, const bragg_model *m, const histogram *h, int kind, const char *name, const char *unit, bool *first)
{
    if (!used(m, h->row[kind], 0))
        return;
    fprintf(to, "%s", mark(first));
    put_row(to, m, h->row[kind], name, unit);
}

/* ---------------------------------------------------------------- method */

static const char *intensities_of(const phase *p)
{
    if (p->pawley)
        return "Pawley fit, G. S. Pawley, J. Appl. Cryst. 14 (1981) 357";
    if (p->extracted)
        return "Le Bail extraction, A. Le Bail, H. Duroy & J. L. Fourquet, Mater. Res. Bull. 23 (1988) 447";
    if (p->spacings)
        return "listed spacings and relative intensities with one scale";
    return p->n_known ? "given intensities with one scale" : "Rietveld refinement, H. M. Rietveld, J. Appl. Cryst. 2 (1969) 65";
}

void bragg_refine_say_method(FILE *to, const bragg_model *m)
{
    fprintf(to, "_pd_calc_method\n;\n");
    for (size_t i = 0; i < m->n_phases; i++) {
        fprintf(to, " ");
        bragg_refine_put_word(to, m->phase[i].name);
        fprintf(to, ": %s\n", m->phase[i].off ? "left out" : intensities_of(&m->phase[i]));
    }
    fprintf(to, ";\n");
}

void bragg_refine_say_intensities(FILE *to, const phase *p)
{
    if (p->pawley || p->extracted || p->spacings || p->n_known)
        fprintf(to, "_refine_special_details\n;\n Intensities: %s\n;\n", intensities_of(p));
}

/* --------------------------------------------------------------- profile */

static bool any_stephens(const bragg_model *m)
{
    bool any = false;
    for (size_t i = 0; i < m->n_phases; i++)
        any = any || m->phase[i].quartic.n;
    return any;
}

void bragg_refine_say_profile(FILE *to, const bragg_model *m, const histogram *h)
{
    bool first = true;
    fprintf(to, "_pd_proc_ls_profile_function\n;\n Pseudo-Voigt after Thompson, Cox & Hastings, J. Appl. Cryst. 20 (1987) 79\n");
    put_used(to, m, h, CAGLIOTI_U, "U", "deg^2", &first);
    put_used(to, m, h, CAGLIOTI_V, "V", "deg^2", &first);
    put_used(to, m, h, CAGLIOTI_W, "W", "deg^2", &first);
    put_used(to, m, h, CAGLIOTI_P, "P", "deg^2", &first);
    put_used(to, m, h, LORENTZ_X, "X", "deg", &first);
    put_used(to, m, h, LORENTZ_Y, "Y", "deg", &first);
    put_used(to, m, h, LORENTZ_Z, "Z", "deg", &first);
    fprintf(to, "%s", first ? " no width of the instrument\n" : "\n");
    if (used(m, h->row[AXIAL_S], 0) || used(m, h->row[AXIAL_H], 0)) {
        first = true;
        fprintf(to, " Axial divergence after Finger, Cox & Jephcoat, J. Appl. Cryst. 27 (1994) 892:\n");
        put_used(to, m, h, AXIAL_S, "S/L", "", &first);
        put_used(to, m, h, AXIAL_H, "H/L", "", &first);
        fprintf(to, "\n");
    }
    if (used(m, h->row[BOX], 0) || used(m, h->row[PIXEL], 0)) {
        first = true;
        fprintf(to, " Mean over a box:\n");
        put_used(to, m, h, BOX, "bin", "deg", &first);
        put_used(to, m, h, PIXEL, "pixel of a flat detector at 2theta = 0", "deg", &first);
        fprintf(to, "\n");
    }
    if (any_stephens(m))
        fprintf(to, " Anisotropic strain after P. W. Stephens, J. Appl. Cryst. 32 (1999) 281\n");
    fprintf(to, ";\n");
}

/* ------------------------------------------------------------ background */

static void put_terms(FILE *to, const bragg_model *m, size_t n, size_t row, const char *const names[3], const char *const units[3])
{
    for (size_t k = 0; k < n; k++)
        for (size_t d = 0; d < 3; d++) {
            fprintf(to, "%s", d ? ", " : "  ");
            put_row(to, m, row + 3 * k + d, names[d], units[d]);
            fprintf(to, "%s", d == 2 ? "\n" : "");
        }
}

void bragg_refine_say_background(FILE *to, const bragg_model *m, const histogram *h)
{
    static const char *const functions[] = {
        [BRAGG_BACKGROUND_CHEBYSHEV] = "Chebyshev polynomial of the first kind, terms:",
        [BRAGG_BACKGROUND_LINEAR] = "Linear interpolation between points equally spaced in 2theta, points:",
        [BRAGG_BACKGROUND_COSINE] = "Cosine series in 2theta, terms:",
        [BRAGG_BACKGROUND_LOG] = "Linear interpolation between points equally spaced in log 2theta, points:",
    };
    static const char *const of_debye[3] = { "a", "R", "U" }, *const debye_units[3] = { "", "angstrom", "angstrom^2" };
    static const char *const of_hump[3] = { "area", "position", "FWHM" }, *const hump_units[3] = { "deg", "deg", "deg" };
    fprintf(to, "_pd_proc_ls_background_function\n;\n");
    if (h->n_functions)
        fprintf(to, " %s %zu\n", functions[h->background], h->n_functions);
    if (h->n_container) {
        put_row(to, m, h->background_row + h->n_functions, " Counts of the empty container, factor", "");
        fprintf(to, "\n");
    }
    if (h->n_debye)
        fprintf(to, " Debye scattering, a sin(QR)/(QR) exp(-U Q^2 / 2), %zu terms:\n", h->n_debye);
    put_terms(to, m, h->n_debye, h->debye_row, of_debye, debye_units);
    if (h->n_humps)
        fprintf(to, " Broad Gaussian peaks, %zu of them:\n", h->n_humps);
    put_terms(to, m, h->n_humps, h->hump_row, of_hump, hump_units);
    if (!h->n_functions && !h->n_container && !h->n_debye && !h->n_humps)
        fprintf(to, " none\n");
    fprintf(to, ";\n");
}

/* --------------------------------------------------------------- texture */

static void put_march(FILE *to, const bragg_model *m, const phase *p, size_t k)
{
    const int *a = p->march_axis[k];
    char name[80];
    snprintf(name, sizeof name, ": March-Dollase along %d %d %d, r", a[0], a[1], a[2]);
    fprintf(to, " ");
    bragg_refine_put_word(to, p->name);
    put_row(to, m, p->march_row[k], name, "");
    if (p->part_row[k] != NO_ROW)
        put_row(to, m, p->part_row[k], ", part", "");
    else if (p->n_march > 1)
        fprintf(to, ", part: the rest");
    fprintf(to, "\n");
}

/* 1 + sum C^2 / (2 l + 1), as the table defines the coefficients. */
static double texture_index(const bragg_model *m, const phase *p)
{
    double sum = 1;
    for (size_t k = 0; k < p->n_harmonics; k++)
        sum += pow(m->params.at[p->harmonic_row + k].value, 2) / (2 * p->harmonic_order[k] + 1);
    return sum;
}

void bragg_refine_say_orientation(FILE *to, const bragg_model *m)
{
    bool march = false, harmonics = false;
    for (size_t i = 0; i < m->n_phases; i++) {
        march = march || m->phase[i].n_march;
        harmonics = harmonics || m->phase[i].n_harmonics;
    }
    if (!march && !harmonics) {
        fprintf(to, "%-40s none\n", "_pd_proc_ls_pref_orient_corr");
        return;
    }
    fprintf(to, "_pd_proc_ls_pref_orient_corr\n;\n");
    if (march)
        fprintf(to, " March-Dollase: W. A. Dollase, J. Appl. Cryst. 19 (1986) 267\n");
    if (harmonics)
        fprintf(to, " Symmetrized spherical harmonics: M. Jarvinen, J. Appl. Cryst. 26 (1993) 525\n");
    for (size_t i = 0; i < m->n_phases; i++) {
        const phase *p = &m->phase[i];
        for (size_t k = 0; k < p->n_march; k++)
            put_march(to, m, p, k);
        if (!p->n_harmonics)
            continue;
        fprintf(to, " ");
        bragg_refine_put_word(to, p->name);
        fprintf(to, ": harmonics to order %d, %zu coefficients, texture index %.4f\n", p->harmonics, p->n_harmonics, texture_index(m, p));
    }
    fprintf(to, ";\n");
}

/* ------------------------------------------------------------ absorption */

/* The type is one of the dictionary's; what it stands for is told beside it. */
void bragg_refine_say_absorption(FILE *to, const bragg_model *m, const histogram *h)
{
    static const char *const shapes[] = {
        [BRAGG_DEBYE_SCHERRER] = "Cylinder, International Tables C, 6.3.3, mu R",
        [BRAGG_BRAGG_BRENTANO] = "Thin plate in reflection, mu t",
        [BRAGG_TRANSMISSION] = "Plate in transmission, mu t",
    };
    bool absorbs = used(m, h->row[ABSORPTION], 0), rough = used(m, h->row[ROUGHNESS_Q], 0);
    fprintf(to, "%-40s %s\n", "_exptl_absorpt_correction_type", !absorbs ? (rough ? "empirical" : "none") : h->mount == BRAGG_DEBYE_SCHERRER ? "cylinder" : "analytical");
    if (!absorbs && !rough)
        return;
    fprintf(to, "_exptl_absorpt_process_details\n;\n");
    if (absorbs) {
        fprintf(to, " ");
        put_row(to, m, h->row[ABSORPTION], shapes[h->mount], "");
        fprintf(to, "\n");
    }
    if (rough) {
        put_row(to, m, h->row[ROUGHNESS_P], " Surface roughness after P. Suortti, J. Appl. Cryst. 5 (1972) 325: p", "");
        put_row(to, m, h->row[ROUGHNESS_Q], ", q", "");
        fprintf(to, "\n");
    }
    fprintf(to, ";\n");
}

/* --------------------------------------------------------------- details */

static void put_restraints(FILE *to, const bragg_model *m)
{
    static const char *const kinds[] = {
        [RESTRAINT_DIFFERENCE] = "differences of overlapping intensities", [RESTRAINT_SUM] = "sums of parameters",
        [RESTRAINT_DISTANCE] = "distances", [RESTRAINT_ANGLE] = "angles", [RESTRAINT_VALUE] = "values expected from elsewhere",
    };
    size_t n[5] = { 0 };
    for (size_t k = 0; k < m->n_restraints; k++)
        n[m->restraint[k].kind]++;
    for (int k = 0; k < 5; k++)
        if (n[k])
            fprintf(to, " Restrained with weights 1/sigma^2: %s, %zu\n", kinds[k], n[k]);
}

void bragg_refine_say_details(FILE *to, const bragg_model *m, const bragg_fit *f, size_t which)
{
    fprintf(to, "_pd_proc_ls_special_details\n;\n");
    put_restraints(to, m);
    for (size_t i = 0; i < m->n_phases; i++)
        for (int k = 0; k < 6; k++)
            if (used(m, m->phase[i].mix[which].strain_row[k], 0)) {
                fprintf(to, " D_ij added to 1/d^2 of the cell of ");
                bragg_refine_put_word(to, m->phase[i].name);
                fprintf(to, " in this pattern\n");
                break;
            }
    if (f->serial_factor > 1)
        fprintf(to, " Serial correlation would widen the esds by %.2f: J.-F. Berar & P. Lelann, J. Appl. Cryst. 24 (1991) 1\n", f->serial_factor);
    for (const char *line = f->report ? f->report : ""; *line;) {
        size_t n = strcspn(line, "\n");
        fprintf(to, " ");
        for (size_t k = 0; k < n; k++)
            fputc((unsigned char)line[k] < 128 && line[k] != '\r' ? line[k] : '?', to);
        fprintf(to, "\n");
        line += n + (line[n] != 0);
    }
    fprintf(to, ";\n");
}

/* ---------------------------------------------------------------- sample */

/* Crystals of 0.1 mm broaden nothing. */
static const double no_size_nm = 1e5;

static void put_along(FILE *to, const bragg_model *m, const phase *p, const char *across, size_t row, size_t axial, const char *unit)
{
    fprintf(to, " ");
    put_row(to, m, row, across, unit);
    if (p->uniaxial) {
        char name[80];
        snprintf(name, sizeof name, " across, along %d %d %d*", p->axis[0], p->axis[1], p->axis[2]);
        put_row(to, m, axial, name, unit);
    }
    fprintf(to, "\n");
}

void bragg_refine_say_sample(FILE *to, const bragg_model *m, const phase *p)
{
    const bragg_param *l = &m->params.at[p->size_row];
    bool stephens = p->quartic.n, size = l->value < no_size_nm || isfinite(l->esd), strain = used(m, p->strain_row, 0);
    if (!size && !strain && !stephens)
        return;
    fprintf(to, "_pd_char_special_details\n;\n");
    if (size)
        put_along(to, m, p, "Volume-weighted column length", p->size_row, p->size_axial_row, "nm");
    if (strain)
        put_along(to, m, p, "Stokes-Wilson strain", p->strain_row, p->strain_axial_row, "1e-6");
    if (stephens) {
        fprintf(to, " Anisotropic strain (Stephens), 1e-12/angstrom^4:\n");
        for (size_t k = 0; k < p->quartic.n; k++) {
            const char *name = strrchr(m->params.at[p->stephens_row + k].name, '.');
            fprintf(to, "  ");
            put_row(to, m, p->stephens_row + k, name ? name + 1 : "s", "");
            fprintf(to, "\n");
        }
        put_row(to, m, p->lorentz_row, "  Lorentzian part", "");
        fprintf(to, "\n");
    }
    fprintf(to, ";\n");
}

void bragg_refine_say_extinction(FILE *to, const bragg_model *m, const phase *p)
{
    char text[BRAGG_NUMBER_TEXT];
    if (!used(m, p->extinction_row, 0)) {
        fprintf(to, "%-40s none\n", "_refine_ls_extinction_method");
        return;
    }
    const bragg_param *e = &m->params.at[p->extinction_row];
    fprintf(to, "_refine_ls_extinction_method\n;\n T. M. Sabine, Acta Cryst. A44 (1988) 368: squared size of the blocks, um^2\n;\n");
    fprintf(to, "%-40s %s\n", "_refine_ls_extinction_coef", bragg_refine_esd_text(text, e->value, e->esd));
}
