/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our own columns of text, written. */
#include "config.h"
#include <bragg/datetime.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/pattern.h>

#include <math.h>
#include <stdio.h>

static bool any_sigma(const bragg_pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (isfinite(p->sigma[i]) && p->sigma[i] > 0)
            return true;
    return false;
}

/* What else is known of the measurement, as our reader finds it again. */
static void write_facts(FILE *f, const bragg_pattern *p)
{
    char text[BRAGG_NUMBER_TEXT], date[BRAGG_TIME_TEXT];
    if (*bragg_time_print(date, p->time_s))
        fprintf(f, "# time: %sZ\n", date);
    if (p->wavelength2_ang > 0 && p->ratio2 > 0) { /* without both it is no doublet */
        fprintf(f, "# k_alpha2_ang: %s", bragg_number_print_digits(text, p->wavelength2_ang, 12));
        fprintf(f, ", k_alpha2_ratio: %s\n", bragg_number_print_digits(text, p->ratio2, 7));
    }
    if (p->radius_m > 0)
        fprintf(f, "# goniometer_radius_mm: %s\n", bragg_number_print_digits(text, 1000 * p->radius_m, 7));
    if (p->counting_s > 0)
        fprintf(f, "# counting_s: %s\n", bragg_number_print_digits(text, p->counting_s, 9));
    if (isfinite(p->temperature_k))
        fprintf(f, "# temp (K): %s\n", bragg_number_print_digits(text, p->temperature_k, 7));
    if (isfinite(p->monitor))
        fprintf(f, "# monitor I0: %s\n", bragg_number_print_digits(text, p->monitor, 9));
    if (p->bin_rad > 0)
        fprintf(f, "# bin_width_deg: %s\n", bragg_number_print_digits(text, p->bin_rad / BRAGG_DEG, 7));
    if (p->pixel_rad > 0)
        fprintf(f, "# pixel_width_deg: %s\n", bragg_number_print_digits(text, p->pixel_rad / BRAGG_DEG, 7));
    for (int k = 0; k < BRAGG_PATTERN_LAGS; k++)
        if (p->correlation[k] != 0)
            fprintf(f, "# bin_correlation_%d: %s\n", k + 1, bragg_number_print_digits(text, p->correlation[k], 5));
}

bragg_status bragg_pattern_write_text(const bragg_pattern *p, const char *path, bool force,
                                      bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *f = bragg_output_stream(out);
    char x[BRAGG_NUMBER_TEXT], y[BRAGG_NUMBER_TEXT], s[BRAGG_NUMBER_TEXT];
    bool sigma = any_sigma(p);
    double factor = bragg_axis_factor(p->axis);
    fprintf(f, "# unit: %s\n", bragg_axis_name(p->axis));
    if (p->wavelength_ang > 0)
        fprintf(f, "# wavelength_ang: %s\n", bragg_number_print_digits(x, p->wavelength_ang, 12));
    write_facts(f, p);
    fprintf(f, "# columns: %s intensity%s\n", bragg_axis_name(p->axis), sigma ? " sigma" : "");
    for (size_t i = 0; i < p->n; i++)
        if (isfinite(p->y[i]))
            fprintf(f, "%s %s%s%s\n", bragg_number_print_digits(x, p->x[i] / factor, 12),
                    bragg_number_print_digits(y, p->y[i], 9), sigma ? " " : "",
                    sigma ? bragg_number_print_digits(s, p->sigma[i], 6) : "");
    return bragg_output_commit(out, err);
}
