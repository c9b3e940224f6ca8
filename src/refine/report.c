/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a refinement leaves for others: pdCIF, and tables of parameters and reflections. */
#include "config.h"
#include "wording.h"

#include <bragg/csv.h>
#include <bragg/output.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ------------------------------------------------------------ CIF words */

static void put(FILE *to, const char *name, double value, double esd)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, "%-40s %s\n", name, bragg_refine_esd_text(text, value, esd));
}

static void put_row(FILE *to, const bragg_model *m, size_t row)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, " %s", bragg_refine_esd_text(text, m->params.at[row].value, m->params.at[row].esd));
}

/* ------------------------------------------------------------- pattern */

static void put_radiation(FILE *to, const bragg_model *m, const histogram *h)
{
    char text[BRAGG_NUMBER_TEXT];
    double first = m->params.at[h->row[WAVELENGTH]].value, scale = first / h->radiation.wavelength_ang[0];
    fprintf(to, "%-40s %s\n", "_diffrn_radiation_probe", h->radiation.neutron ? "neutron" : "x-ray");
    if (h->radiation.n_lines == 1) {
        put(to, "_diffrn_radiation_wavelength", first, m->params.at[h->row[WAVELENGTH]].esd);
    } else {
        fprintf(to, "loop_\n _diffrn_radiation_wavelength_id\n _diffrn_radiation_wavelength\n _diffrn_radiation_wavelength_wt\n");
        for (size_t k = 0; k < h->radiation.n_lines; k++) {
            fprintf(to, " %zu %s", k + 1, bragg_number_print_digits(text, h->radiation.wavelength_ang[k] * scale, 8));
            fprintf(to, " %s\n", bragg_number_print_digits(text, k == 1 ? m->params.at[h->row[RATIO]].value : h->radiation.ratio[k], 6));
        }
    }
    if (!h->radiation.neutron && h->radiation.polarization < 1) /* perpendicular over parallel */
        put(to, "_diffrn_radiation_polarisn_ratio", h->radiation.polarization / (1 - h->radiation.polarization), NAN);
}

static void put_excluded(FILE *to, const histogram *h)
{
    if (h->n_exclude == 0) {
        fprintf(to, "%-40s none\n", "_pd_proc_info_excluded_regions");
        return;
    }
    fprintf(to, "_pd_proc_info_excluded_regions\n;\n");
    for (size_t k = 0; k < h->n_exclude; k++)
        fprintf(to, " from %.6g to %.6g degrees 2theta\n", h->exclude_rad[k][0] / BRAGG_DEG, h->exclude_rad[k][1] / BRAGG_DEG);
    fprintf(to, ";\n");
}

/* Rows that follow refined ones, by symmetry or by a tie. */
static size_t count_constraints(const bragg_model *m)
{
    size_t n = 0;
    for (size_t k = 0; k < m->params.n; k++)
        n += m->params.at[k].tie_to >= 0 && isfinite(m->params.at[k].esd);
    return n;
}

static void put_weighting(FILE *to, const histogram *h)
{
    fprintf(to, "%-40s full\n%-40s Inet\n%-40s sigma\n", "_refine_ls_matrix_type", "_refine_ls_structure_factor_coef", "_refine_ls_weighting_scheme");
    if (h->emphasis == 1)
        fprintf(to, "%-40s 'w = 1/sigma^2'\n", "_refine_ls_weighting_details");
    else
        fprintf(to, "%-40s 'w = %.6g/sigma^2 beside the other patterns'\n", "_refine_ls_weighting_details", h->emphasis);
}

/* R factors of one pattern of several: its part of the sums, and of the degrees of freedom
 * as many as it has of the points. */
static void put_r_factors(FILE *to, const bragg_model *m, const bragg_fit *f, size_t n, const double *observed, const double *sigma, const double *calculated)
{
    double r[3] = { f->rp, f->rwp, f->rexp }, sum[4] = { 0 };
    for (size_t i = 0; i < n; i++) {
        sum[0] += fabs(observed[i] - calculated[i]);
        sum[1] += fabs(observed[i]);
        sum[2] += pow((observed[i] - calculated[i]) / sigma[i], 2);
        sum[3] += pow(observed[i] / sigma[i], 2);
    }
    if (m->n_histograms > 1) {
        r[0] = sum[0] / sum[1];
        r[1] = sqrt(sum[2] / sum[3]);
        r[2] = sqrt((double)n * (1 - (double)f->variables / (double)f->points) / sum[3]);
    }
    put(to, "_pd_proc_ls_prof_R_factor", r[0], NAN);
    put(to, "_pd_proc_ls_prof_wR_factor", r[1], NAN);
    put(to, "_pd_proc_ls_prof_wR_expected", r[2], NAN);
}

static void put_fit(FILE *to, const bragg_model *m, const bragg_fit *f, size_t which)
{
    const histogram *h = &m->histogram[which];
    put(to, "_refine_ls_goodness_of_fit_all", f->gof, NAN);
    put_weighting(to, h);
    fprintf(to, "%-40s %zu\n%-40s %zu\n%-40s %zu\n", "_refine_ls_number_parameters", f->variables, "_refine_ls_number_restraints",
            m->n_restraints, "_refine_ls_number_constraints", count_constraints(m));
    put(to, "_refine_ls_shift/su_max", f->shift_per_esd_max, NAN);
    put(to, "_refine_ls_shift/su_mean", f->shift_per_esd_mean, NAN);
    fprintf(to, "%-40s 0.0001\n", "_pd_proc_ls_peak_cutoff");
    bragg_refine_say_profile(to, m, h);
    bragg_refine_say_background(to, m, h);
    bragg_refine_say_orientation(to, m);
    bragg_refine_say_absorption(to, m, h);
    bragg_refine_say_details(to, m, f, which);
}

/* v: five runs of n, 2theta, observed, sigma, calculated and background. */
static void put_profile(FILE *to, const histogram *h, size_t n, const double *v)
{
    fprintf(to, "%-40s %zu\n", "_pd_proc_number_of_points", n);
    put(to, "_pd_proc_2theta_range_min", v[0] / BRAGG_DEG, NAN);
    put(to, "_pd_proc_2theta_range_max", v[n - 1] / BRAGG_DEG, NAN);
    put_excluded(to, h);
    fprintf(to, "loop_\n _pd_meas_2theta_scan\n _pd_proc_intensity_total\n _pd_calc_intensity_total\n"
                " _pd_proc_intensity_bkg_calc\n _pd_proc_ls_weight\n");
    for (size_t i = 0; i < n; i++)
        fprintf(to, " %.6f %.9g %.9g %.9g %.9g\n", v[i] / BRAGG_DEG, v[n + i], v[3 * n + i], v[4 * n + i], 1 / (v[2 * n + i] * v[2 * n + i]));
}

static bragg_status put_pattern(FILE *to, bragg_model *m, const bragg_fit *f, size_t which, const char *title, bragg_error *err)
{
    const histogram *h = &m->histogram[which];
    char text[BRAGG_NUMBER_TEXT];
    size_t n = h->n;
    double *v = malloc((5 * n + 1) * sizeof *v);
    bragg_status st = v ? bragg_model_calculate(m, which, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, err)
                        : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    if (st < 0) {
        free(v);
        return st;
    }
    fprintf(to, "\ndata_");
    bragg_refine_put_word(to, *h->name ? h->name : "pattern");
    fprintf(to, "\n_pd_block_id ");
    bragg_refine_put_word(to, *h->name ? h->name : "pattern");
    fprintf(to, "\n");
    if (title)
        bragg_cif_put_text(to, "_pd_meas_special_details", title);
    bragg_refine_say_method(to, m);
    put_radiation(to, m, h);
    put_r_factors(to, m, f, n, v + n, v + 2 * n, v + 3 * n);
    put_fit(to, m, f, which);
    fprintf(to, "loop_\n _pd_phase_id\n _pd_phase_block_id\n _pd_phase_mass_%%\n");
    for (size_t i = 0; i < m->n_phases; i++) {
        bragg_quantity w = f->phase[i].weight_fraction;
        fprintf(to, " %zu ", i + 1);
        bragg_refine_put_word(to, m->phase[i].name);
        fprintf(to, " %s\n", m->n_phases > 1 ? bragg_refine_esd_text(text, 100 * w.value, 100 * w.esd) : !m->phase[i].structure->n_atoms ? "?" : "100");
    }
    put_profile(to, h, n, v);
    free(v);
    return BRAGG_OK;
}

/* --------------------------------------------------------------- phase */

static void put_cell(FILE *to, const bragg_model *m, const bragg_fit *f, size_t i)
{
    static const char *const names[6] = { "_cell_length_a", "_cell_length_b", "_cell_length_c",
                                          "_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma" };
    const phase *p = &m->phase[i];
    for (int k = 0; k < 6; k++)
        put(to, names[k], f->phase[i].cell[k].value, f->phase[i].cell[k].esd);
    put(to, "_cell_volume", f->phase[i].volume_ang3.value, f->phase[i].volume_ang3.esd);
    if (isfinite(p->structure->z) && p->structure->z > 0)
        put(to, "_cell_formula_units_Z", p->structure->z, NAN);
    if (p->structure->n_atoms)
        put(to, "_exptl_crystal_density_diffrn", f->phase[i].density.value, f->phase[i].density.esd);
    fprintf(to, "%-40s '%s'\n", "_space_group_name_H-M_alt", p->structure->symmetry.hm);
    if (p->structure->symmetry.number > 0)
        fprintf(to, "%-40s %d\n", "_space_group_IT_number", p->structure->symmetry.number);
    bragg_symmetry_put_operations(to, &p->structure->symmetry);
}

static void put_atoms(FILE *to, const bragg_model *m, const phase *p)
{
    const bragg_structure *s = p->structure;
    char text[BRAGG_NUMBER_TEXT];
    bool any = false;
    fprintf(to, "loop_\n _atom_site_label\n _atom_site_type_symbol\n _atom_site_fract_x\n _atom_site_fract_y\n _atom_site_fract_z\n"
                " _atom_site_occupancy\n _atom_site_site_symmetry_multiplicity\n _atom_site_adp_type\n _atom_site_U_iso_or_equiv\n");
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_atom *a = &s->atom[j];
        size_t row = p->atom_row + j * BRAGG_ATOM_ROWS;
        fprintf(to, " ");
        bragg_refine_put_word(to, a->label);
        fprintf(to, " ");
        bragg_refine_put_word(to, s->scatterer[a->scatterer].name);
        for (int k = 0; k < 3; k++)
            put_row(to, m, row + BRAGG_ATOM_X + (size_t)k);
        put_row(to, m, row + BRAGG_ATOM_OCCUPANCY);
        fprintf(to, " %d %s", a->multiplicity, a->anisotropic ? "Uani" : "Uiso");
        if (a->anisotropic)
            fprintf(to, " %s\n", bragg_number_print_digits(text, bragg_atom_equivalent_u(&s->cell, a), 5));
        else {
            put_row(to, m, row + BRAGG_ATOM_UISO);
            fprintf(to, "\n");
        }
        any = any || a->anisotropic;
    }
    if (!any)
        return;
    fprintf(to, "loop_\n _atom_site_aniso_label\n _atom_site_aniso_U_11\n _atom_site_aniso_U_22\n _atom_site_aniso_U_33\n"
                " _atom_site_aniso_U_23\n _atom_site_aniso_U_13\n _atom_site_aniso_U_12\n");
    for (size_t j = 0; j < s->n_atoms; j++) {
        if (!s->atom[j].anisotropic)
            continue;
        fprintf(to, " ");
        bragg_refine_put_word(to, s->atom[j].label);
        for (size_t k = 0; k < 6; k++)
            put_row(to, m, p->atom_row + j * BRAGG_ATOM_ROWS + BRAGG_ATOM_U11 + k);
        fprintf(to, "\n");
    }
}

/* |F|^2 of each reflection of the first pattern: as shared out of the points, and
 * as calculated. */
static void put_reflections(FILE *to, const bragg_model *m, size_t i, const double *observed)
{
    const histogram *h = &m->histogram[0];
    fprintf(to, "loop_\n _refln_index_h\n _refln_index_k\n _refln_index_l\n _refln_d_spacing\n _refln_F_squared_meas\n _refln_F_squared_calc\n");
    for (size_t k = 0; k < h->n_peaks; k++) {
        const bragg_model_peak *e = &h->listed[k];
        if (e->phase != i || e->line != 0 || h->peak[k].position < h->x[0] || h->peak[k].position > h->x[h->n - 1])
            continue;
        double q = bragg_refine_invd2(&m->phase[i], h->peak[k].reflection);
        double meas = e->intensity > 0 ? e->f2 * observed[k] / e->intensity : 0;
        fprintf(to, " %d %d %d %.6f %.6g %.6g\n", e->hkl.h, e->hkl.k, e->hkl.l, 1 / sqrt(q), meas, e->f2);
    }
}

static bragg_status put_phase(FILE *to, const bragg_model *m, const bragg_fit *f, size_t i, const double *observed, bragg_error *err)
{
    const phase *p = &m->phase[i];
    fprintf(to, "\ndata_");
    bragg_refine_put_word(to, p->name);
    fprintf(to, "\n_pd_block_id ");
    bragg_refine_put_word(to, p->name);
    fprintf(to, "\n");
    if (p->structure->name && *p->structure->name)
        bragg_cif_put_text(to, "_chemical_name_common", p->structure->name);
    if (p->structure->formula && *p->structure->formula)
        fprintf(to, "%-40s '%s'\n", "_chemical_formula_sum", p->structure->formula);
    put_cell(to, m, f, i);
    put(to, "_refine_ls_R_I_factor", f->phase[i].r_bragg, NAN);
    bragg_refine_say_intensities(to, p);
    bragg_refine_say_sample(to, m, p);
    bragg_refine_say_extinction(to, m, p);
    if (p->structure->n_atoms)
        put_atoms(to, m, p);
    put_reflections(to, m, i, observed);
    return p->structure->n_atoms ? bragg_refine_put_geometry(to, m, f, i, err) : BRAGG_OK;
}

bragg_status bragg_fit_write_cif(bragg_model *m, const bragg_fit *f, const char *title, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_refine_prepare(m, &m->params, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    double *observed = malloc((m->histogram[0].n_peaks + 1) * sizeof *observed);
    time_t now = time(NULL);
    struct tm utc;
    char date[20] = "?";
    if (gmtime_r(&now, &utc))
        strftime(date, sizeof date, "%Y-%m-%d", &utc);
    if (!observed)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for reflections");
    fprintf(to, "#\\#CIF_1.1\ndata_global\n%-40s %s\n%-40s 'bragg %s'\n", "_audit_creation_date", date, "_computing_structure_refinement",
            PACKAGE_VERSION);
    if (st == BRAGG_OK)
        bragg_refine_partition(m, 0, observed);
    for (size_t i = 0; i < m->n_phases && st == BRAGG_OK; i++)
        st = put_phase(to, m, f, i, observed, err);
    for (size_t k = 0; k < m->n_histograms && st == BRAGG_OK; k++)
        st = put_pattern(to, m, f, k, title, err);
    free(observed);
    if (st == BRAGG_OK)
        return bragg_output_commit(out, err);
    bragg_output_abandon(out);
    return st;
}

/* -------------------------------------------------------------- tables */

bragg_status bragg_fit_write_parameters(const bragg_model *m, const bragg_fit *f, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "name,value,esd,esd_serial,unit,refined,tied_to\n");
    for (size_t k = 0; k < m->params.n; k++) {
        const bragg_param *p = &m->params.at[k];
        bragg_csv_text(to, p->name, ",");
        bragg_csv_number(to, p->value, 0, ",");
        bragg_csv_number(to, p->esd, 0, ",");
        bragg_csv_number(to, p->esd * f->serial_factor, 0, ",");
        fprintf(to, "%s,%d,", p->unit, p->refine);
        bragg_csv_text(to, p->tie_to >= 0 ? m->params.at[p->tie_to].name : "", "\n");
    }
    return bragg_output_commit(out, err);
}

bragg_status bragg_fit_write_reflections(bragg_model *m, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_refine_prepare(m, &m->params, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "pattern,phase,line,h,k,l,multiplicity,d_ang,two_theta_deg,gauss_fwhm_deg,lorentz_fwhm_deg,lp,f2_calc,intensity_calc,intensity_obs\n");
    for (size_t w = 0; w < m->n_histograms && st == BRAGG_OK; w++) {
        const histogram *h = &m->histogram[w];
        double *observed = malloc((h->n_peaks + 1) * sizeof *observed);
        if (!observed)
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", h->n_peaks);
        else
            bragg_refine_partition(m, w, observed);
        for (size_t k = 0; observed && k < h->n_peaks; k++) {
            const bragg_model_peak *e = &h->listed[k];
            double q = bragg_refine_invd2(&m->phase[e->phase], h->peak[k].reflection);
            bragg_csv_text(to, h->name, ",");
            bragg_csv_text(to, m->phase[e->phase].name, ",");
            fprintf(to, "%zu,%d,%d,%d,%d,%.7f,%.6f,%.6f,%.6f,%.6g,%.6g,%.6g,%.6g\n", e->line + 1, e->hkl.h, e->hkl.k, e->hkl.l, e->hkl.multiplicity,
                    1 / sqrt(q), e->two_theta_rad / BRAGG_DEG, e->gauss_fwhm_rad / BRAGG_DEG, e->lorentz_fwhm_rad / BRAGG_DEG, e->lp, e->f2, e->intensity, observed[k]);
        }
        free(observed);
    }
    if (st == BRAGG_OK)
        return bragg_output_commit(out, err);
    bragg_output_abandon(out);
    return st;
}
