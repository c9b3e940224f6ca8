/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Certified cells with the instrument calibrated on LaB6 660a: what the fits find, and how
 * far that is from the certificates, in the uncertainty of all that goes into it.
 *
 *      u^2 = fit^2 + profile^2 + wavelength^2 + certificate^2
 *
 * fit: esd with serial correlation.  profile: U V W S/L of the calibration are held, their
 * covariance (serial correlation in it) goes through the change of the cell with each,
 * found by fits with it moved up and down by its esd.  wavelength: each run has its
 * own, calibrated by the beamline; how well such a one holds is what the LaB6 pattern says of
 * its own, the only such evidence there is: its difference, esd and certificate.
 * certificate: half of its expanded uncertainty (k = 2). */
#include "config.h"
#include <bragg.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_HELD = 4, MOST_CELLS = 2 };
static const char *const held[N_HELD] = { "instrument.u", "instrument.v", "instrument.w", "instrument.sl" };

typedef struct calibration {
    double value[N_HELD], covariance[N_HELD][N_HELD]; /* serial correlation in it */
    double wavelength_ppm;                            /* uncertainty of a beamline's wavelength */
} calibration;

typedef struct certified {
    char name[MOST_CELLS][60];
    double value[MOST_CELLS], expanded[MOST_CELLS];
    int n;
} certified;

static bool failed(const char *what, const bragg_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    return false;
}

static bool read_certified(const char *path, certified *c)
{
    char line[400] = "";
    FILE *in = fopen(path, "r");
    int used = 0, more;
    if (!in || !fgets(line, sizeof line, in) || sscanf(line, "# certified:%n", &used) != 0 || !used)
        fprintf(stderr, "%s: no first line '# certified: NAME VALUE EXPANDED'\n", path);
    if (in)
        fclose(in);
    for (c->n = 0; used && c->n < MOST_CELLS; c->n++, used += more)
        if (sscanf(line + used, "%59s %lf %lf%n", c->name[c->n], &c->value[c->n], &c->expanded[c->n], &more) != 3)
            break;
    return c->n > 0;
}

static bool load(const char *path, const double *with, bragg_model **m)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_experiment *x = NULL;
    bragg_status st = bragg_experiment_read(path, &x, &err);
    if (st == BRAGG_OK)
        st = bragg_experiment_load(x, m, &err);
    bragg_experiment_free(x);
    if (st < 0)
        return failed(path, &err);
    bragg_params *t = bragg_model_params(*m);
    for (int k = 0; with && k < N_HELD; k++)
        t->at[bragg_params_find(t, held[k])].value = with[k];
    bragg_params_apply_ties(t);
    return true;
}

/* The fit, and values and esds (serial correlation in them) of the certified lengths. */
static bool fit_cells(const char *path, const double *with, const certified *c, double *value, double *esd, bragg_fit **kept)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_model *m = NULL;
    bragg_fit *f = NULL;
    if (!load(path, with, &m))
        return false;
    bragg_status st = bragg_refine(m, NULL, &f, &err);
    const bragg_params *t = bragg_model_params(m);
    for (int k = 0; f && k < c->n; k++) {
        const bragg_param *p = &t->at[bragg_params_find(t, c->name[k])];
        value[k] = p->value;
        esd[k] = p->esd * f->serial_factor;
    }
    bragg_model_free(m);
    if (kept && f)
        *kept = f;
    else
        bragg_fit_free(f);
    return st == BRAGG_CONVERGED || failed(path, &err);
}

static bool calibrate(const char *path, calibration *c)
{
    bragg_error err = BRAGG_ERROR_INIT;
    certified of;
    bragg_model *m = NULL;
    bragg_fit *f = NULL;
    if (!read_certified(path, &of) || !load(path, NULL, &m))
        return false;
    bragg_params *t = bragg_model_params(m);
    size_t wavelength = (size_t)bragg_params_find(t, "instrument.wavelength"), row[N_HELD];
    double header = t->at[wavelength].value;
    bragg_status st = bragg_refine(m, NULL, &f, &err);
    if (st != BRAGG_CONVERGED) {
        bragg_fit_free(f);
        bragg_model_free(m);
        return failed(path, &err);
    }
    for (int k = 0; k < N_HELD; k++) {
        row[k] = (size_t)bragg_params_find(t, held[k]);
        c->value[k] = t->at[row[k]].value;
    }
    double serial2 = f->serial_factor * f->serial_factor;
    for (int j = 0; j < N_HELD; j++)
        for (int k = 0; k < N_HELD; k++)
            c->covariance[j][k] = serial2 * f->covariance[(size_t)f->variable[row[j]] * f->variables + (size_t)f->variable[row[k]]];
    double off = 1e6 * (t->at[wavelength].value / header - 1), esd = 1e6 * t->at[wavelength].esd * f->serial_factor / header;
    double certificate = 1e6 * of.expanded[0] / 2 / of.value[0];
    c->wavelength_ppm = sqrt(off * off + esd * esd + certificate * certificate);
    printf("Calibration on LaB6 660a, a held at %.7f Å: wavelength %.7f(%.0f) Å, %+.1f(%.1f) ppm from the header's; u %.2e(%.0e), v %.2e(%.0e), "
           "w %.1e(%.0e) deg², S/L %.5f(%.5f); GOF %.2f. A beamline's wavelength is taken to hold to %.1f ppm.\n\n",
           of.value[0], t->at[wavelength].value, 1e7 * t->at[wavelength].esd * f->serial_factor, off, esd, c->value[0], sqrt(c->covariance[0][0]), c->value[1],
           sqrt(c->covariance[1][1]), c->value[2], sqrt(c->covariance[2][2]), c->value[3], sqrt(c->covariance[3][3]), f->gof, c->wavelength_ppm);
    bragg_fit_free(f);
    bragg_model_free(m);
    return true;
}

/* Variance that the calibration's profile leaves in each length. */
static bool profile_variance(const char *path, const calibration *c, const certified *of, double *variance)
{
    double slope[N_HELD][MOST_CELLS] = { { 0 } }, up[MOST_CELLS], down[MOST_CELLS], esd[MOST_CELLS];
    for (int j = 0; j < N_HELD; j++) {
        double moved[N_HELD], step = sqrt(c->covariance[j][j]);
        memcpy(moved, c->value, sizeof moved);
        moved[j] = c->value[j] + step;
        if (!fit_cells(path, moved, of, up, esd, NULL))
            return false;
        moved[j] = c->value[j] - step;
        if (!fit_cells(path, moved, of, down, esd, NULL))
            return false;
        for (int k = 0; k < of->n; k++)
            slope[j][k] = (up[k] - down[k]) / (2 * step);
    }
    for (int k = 0; k < of->n; k++) {
        variance[k] = 0;
        for (int i = 0; i < N_HELD; i++)
            for (int j = 0; j < N_HELD; j++)
                variance[k] += slope[i][k] * c->covariance[i][j] * slope[j][k];
    }
    return true;
}

/* A row a length; false when one is off by more than 50 ppm or three uncertainties. */
static bool compare(const char *path, const char *name, const calibration *c)
{
    certified of;
    bragg_fit *f = NULL;
    double value[MOST_CELLS], esd[MOST_CELLS], variance[MOST_CELLS];
    bool good = read_certified(path, &of) && fit_cells(path, c->value, &of, value, esd, &f) && profile_variance(path, c, &of, variance);
    for (int k = 0; good && k < of.n; k++) {
        double ppm = 1e6 / of.value[k], off = (value[k] - of.value[k]) * ppm, fit = esd[k] * ppm, profile = sqrt(variance[k]) * ppm;
        double certificate = of.expanded[k] / 2 * ppm;
        double u = sqrt(fit * fit + profile * profile + c->wavelength_ppm * c->wavelength_ppm + certificate * certificate);
        printf("| %s | %s | %.6f | %.6f | %+.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %+.2f | %.2f |\n", name, strrchr(of.name[k], '.') + 1, value[k],
               of.value[k], off, fit, profile, c->wavelength_ppm, certificate, u, off / u, f->gof);
        good = fabs(off) < 50 && fabs(off) < 3 * u;
    }
    bragg_fit_free(f);
    return good;
}

int main(void)
{
    static const char *const standards[] = { "si-640c", "al2o3-676a" };
    char path[512];
    calibration c;
    const char *top = getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".";
    snprintf(path, sizeof path, "%s/tests/validation/certified/lab6-660a.yaml", top);
    if (!calibrate(path, &c))
        return 1;
    printf("| standard | | found Å | certified Å | off, ppm | fit | profile | wavelength | certificate | u, ppm | off / u | GOF |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    bool good = true;
    for (size_t k = 0; k < sizeof standards / sizeof *standards; k++) {
        snprintf(path, sizeof path, "%s/tests/validation/certified/%s.yaml", top, standards[k]);
        good = compare(path, standards[k], &c) && good;
    }
    return good ? 0 : 1;
}
