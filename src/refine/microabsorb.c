/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Weight fractions, with the grains' own absorption in them. */
#include "config.h"
#include "spot.h"

#include <bragg/numeric.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* G. W. Brindley, Phil. Mag. 36 (1945) 347: a grain of a phase in a powder sees, instead
 * of the mean powder, exp(-(mu - mean mu) path) along the way of the beam inside it.
 * His tau is the mean of that over a sphere, which is a sphere's transmission factor
 * (International Tables C, 6.3.3) with mu - mean mu in place of mu, and so above 1
 * for the weaker absorber.  A sphere is a stack of cylinders. */
double bragg_sphere_transmission(double mu_radius, double two_theta_rad)
{
    enum { SLICES = 10 };
    double z[SLICES], w[SLICES], sum = 0, path;
    bragg_gauss_legendre(SLICES, 0, 1, z, w);
    for (size_t i = 0; i < SLICES; i++) {
        double radius = sqrt(1 - z[i] * z[i]);
        sum += 1.5 * w[i] * radius * radius * bragg_refine_cylinder(mu_radius * radius, two_theta_rad, &path);
    }
    return sum;
}

/* Angle that stands for the phase's lines in the first pattern: tau changes little with it
 * and the mean of sin^2 theta, weighted with intensities, is where their mean tau is. */
static double mean_two_theta(const bragg_model *m, size_t which)
{
    const histogram *h = &m->histogram[0];
    double above = 0, below = 0;
    for (size_t k = 0; k < h->n_peaks; k++)
        if (h->peak[k].phase == which && h->peak[k].position > h->x[0] && h->peak[k].position < h->x[h->n - 1]) {
            above += h->peak[k].intensity * pow(sin(h->peak[k].position / 2), 2);
            below += h->peak[k].intensity;
        }
    return below > 0 ? 2 * asin(sqrt(above / below)) : BRAGG_PI / 3;
}

typedef struct powder {
    size_t n;
    double *amount;     /* scale times mass of the cell */
    double *mu_invcm, *radius_cm, *two_theta, *density;
} powder;

/* w ~ amount / tau, where tau waits for the mean mu of what w makes: turns until it stays.
 * Pores count for nothing, as mu and volume are the grains'. */
static void weigh(const powder *p, double *w, double *tau)
{
    for (size_t i = 0; i < p->n; i++)
        tau[i] = 1;
    for (int turn = 0; turn < 100; turn++) {
        double sum = 0, volume = 0, mu = 0, moved = 0;
        for (size_t i = 0; i < p->n; i++)
            sum += p->amount[i] / tau[i];
        for (size_t i = 0; i < p->n; i++) {
            w[i] = p->amount[i] / tau[i] / sum;
            volume += p->mu_invcm[i] > 0 ? w[i] / p->density[i] : 0;
            mu += p->mu_invcm[i] > 0 ? w[i] / p->density[i] * p->mu_invcm[i] : 0;
        }
        for (size_t i = 0; i < p->n; i++) {
            double next = p->radius_cm[i] > 0 ? bragg_sphere_transmission((p->mu_invcm[i] - mu / volume) * p->radius_cm[i], p->two_theta[i]) : 1;
            moved = fmax(moved, fabs(next / tau[i] - 1));
            tau[i] = next;
        }
        if (!(moved > 1e-10))
            return;
    }
}

/* The grains of each phase in the first pattern's radiation, of `untold` where nothing says how
 * large they are; whether any has a size. */
static bool describe_powder(const bragg_model *m, double untold_um, powder *p)
{
    const histogram *h = &m->histogram[0];
    bool any = false;
    p->n = m->n_phases;
    for (size_t i = 0; i < p->n; i++) {
        const phase *f = &m->phase[i];
        double mass = bragg_refine_mass(f);
        p->amount[i] = mass > 0 ? m->params.at[f->mix[0].scale_row].value * mass : 0;
        p->mu_invcm[i] = !h->radiation.neutron && f->structure->n_atoms ? bragg_structure_absorption_invcm(f->structure, h->radiation.wavelength_ang[0]) : 0;
        p->density[i] = f->structure->n_atoms ? bragg_structure_density_g_cm3(f->structure) : 1;
        p->radius_cm[i] = p->mu_invcm[i] > 0 ? (f->particle_um > 0 ? f->particle_um : untold_um) / 2 * 1e-4 : 0;
        p->two_theta[i] = p->radius_cm[i] > 0 ? mean_two_theta(m, i) : 0;
        any = any || p->radius_cm[i] > 0;
    }
    return any;
}

/* Change of w with each amount, the change of tau with it included. */
static void differentiate(powder *p, double *room, double *slopes)
{
    size_t n = p->n;
    double *tau = room, *low = room + n, *high = room + 2 * n, all = 0;
    for (size_t k = 0; k < n; k++)
        all += p->amount[k];
    for (size_t k = 0; k < n; k++) { /* of a phase that is not there, by a step that the others set */
        double here = p->amount[k], step = 1e-4 * (here > 0 ? here : all);
        for (int side = 0; side < 2; side++) {
            p->amount[k] = side ? here + step : here - step;
            weigh(p, side ? high : low, tau);
        }
        p->amount[k] = here;
        for (size_t i = 0; i < n; i++)
            slopes[i * n + k] = step > 0 ? (high[i] - low[i]) / (2 * step) : 0;
    }
}

bragg_status bragg_refine_weigh(const bragg_model *m, double *w, double *slopes, double *tau, bragg_error *err)
{
    size_t n = m->n_phases;
    double *room = calloc(8 * n + 1, sizeof *room), sum = 0;
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the fractions of %zu phases", n);
    powder p = { n, room, room + n, room + 2 * n, room + 3 * n, room + 4 * n };
    if (describe_powder(m, 0, &p)) {
        weigh(&p, w, tau);
        differentiate(&p, room + 5 * n, slopes);
    } else {
        for (size_t i = 0; i < n; i++)
            sum += p.amount[i];
        for (size_t i = 0; i < n; i++) {
            tau[i] = 1;
            w[i] = p.amount[i] / sum;
            for (size_t k = 0; k < n; k++)
                slopes[i * n + k] = ((k == i) - w[i]) / sum;
        }
    }
    free(room);
    return BRAGG_OK;
}

bragg_status bragg_model_coarse_fractions(const bragg_model *m, double diameter_um, double *w, bragg_error *err)
{
    size_t n = m->n_phases;
    double *room = calloc(6 * n + 1, sizeof *room);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the fractions of %zu phases", n);
    powder p = { n, room, room + n, room + 2 * n, room + 3 * n, room + 4 * n };
    describe_powder(m, diameter_um, &p);
    weigh(&p, w, room + 5 * n);
    free(room);
    return BRAGG_OK;
}

bragg_status bragg_model_microabsorption(bragg_model *m, const char *name, double diameter_um, bragg_error *err)
{
    phase *p = bragg_refine_phase(m, name);
    if (!p)
        return bragg_fail(err, BRAGG_EINVAL, "phase %s: not in the model", name);
    if (!(diameter_um > 0 && diameter_um < 1e3))
        return bragg_fail(err, BRAGG_EDATA, "phase %s: expected a particle diameter of 0 to 1000 um, found %g", name, diameter_um);
    if (!p->structure->n_atoms)
        return bragg_fail(err, BRAGG_EDATA, "phase %s: microabsorption needs a structure, which tells how it absorbs", name);
    p->particle_um = diameter_um;
    return BRAGG_OK;
}
