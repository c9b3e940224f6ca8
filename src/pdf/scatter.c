/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the atoms of a composition scatter and absorb. */
#include "config.h"
#include "reduce.h"

#include <bragg/units.h>
#include <math.h>
#include <xraylib.h>

#include "pdf_tables.h"

/* Incoherent scattering (xraylib: J. H. Hubbell et al., J. Phys. Chem. Ref. Data 4 (1975)
 * 471) with the recoil factor of G. Breit, Phys. Rev. 27 (1926) 362, and P. A. M. Dirac, Proc.
 * R. Soc. A111 (1926) 405, squared as a detector counts photons (cubed it is of energy),
 * through an energy window of integral width b: exp(-pi (dlambda / b)^2), Ruland 1964.
 * Without a wavelength recoil is left out. */
static double compton_of(const bragg_scatterer *s, const bragg_pdf_options *o, double q)
{
    const double compton_wavelength_ang = 0.0242631023867;
    double s_invang = q / (4 * BRAGG_PI), base = SF_Compt(s->z, fmax(s_invang, 1e-6), NULL);
    if (!(o->wavelength_ang > 0))
        return base;
    double sine = fmin(s_invang * o->wavelength_ang, 1), shift_ang = 2 * compton_wavelength_ang * sine * sine;
    double recoil = 1 + shift_ang / o->wavelength_ang, x = o->compton_window_ang > 0 ? shift_ang / o->compton_window_ang : 0;
    return base / (recoil * recoil) * exp(-BRAGG_PI * x * x);
}

static void amplitude(const bragg_scatterer *s, const bragg_pdf_options *o, double q, double *re, double *im)
{
    *re = o->neutron ? s->neutron_fm : bragg_scatterer_f0(s, q / (4 * BRAGG_PI));
    *im = 0;
    if (!o->neutron && o->anomalous) {
        *re += s->f1;
        *im = s->f2;
    }
}

static double compton_mean(const bragg_composition *c, const bragg_pdf_options *o, double q)
{
    double atoms = 0, sum = 0;
    for (size_t k = 0; k < c->n; k++) {
        atoms += c->count[k];
        sum += c->count[k] * compton_of(&c->scatterer[k], o, q);
    }
    return sum / atoms;
}

double bragg_pdf_compton_at(const bragg_composition *c, const bragg_pdf_options *o, double q) { return o->neutron ? 0 : compton_mean(c, o, q); }

weights bragg_pdf_weights_at(const bragg_composition *c, const bragg_pdf_options *o, double q)
{
    double atoms = 0, re = 0, im = 0, square = 0;
    for (size_t k = 0; k < c->n; k++) {
        double a, b;
        amplitude(&c->scatterer[k], o, q, &a, &b);
        atoms += c->count[k];
        re += c->count[k] * a;
        im += c->count[k] * b;
        square += c->count[k] * (a * a + b * b);
    }
    double compton = (o->compton || o->physical) && !o->neutron ? compton_mean(c, o, q) : 0;
    return (weights){ (re * re + im * im) / (atoms * atoms), square / atoms, compton };
}

bragg_status bragg_pdf_set_anomalous(bragg_composition *c, const bragg_pdf_options *o, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (!o->anomalous || o->neutron)
        return BRAGG_OK;
    for (size_t k = 0; k < c->n && st == BRAGG_OK; k++)
        if (c->scatterer[k].f1 == 0 && c->scatterer[k].f2 == 0) /* whoever set them knows better */
            st = bragg_scatterer_set_anomalous(&c->scatterer[k], o->wavelength_ang, err);
    return st;
}

void bragg_pdf_partial_weights(const bragg_composition *composition, const bragg_pdf_options *o, double q, double *out)
{
    bragg_composition own = *composition, *c = &own;
    bragg_pdf_set_anomalous(c, o, NULL); /* the reduction has said what is wrong */
    double atoms = 0, whole = bragg_pdf_weights_at(c, o, q).mean2;
    for (size_t k = 0; k < c->n; k++)
        atoms += c->count[k];
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = i; j < c->n; j++) {
            double a[2], b[2];
            amplitude(&c->scatterer[i], o, q, &a[0], &a[1]);
            amplitude(&c->scatterer[j], o, q, &b[0], &b[1]);
            *out++ = (i == j ? 1 : 2) * c->count[i] * c->count[j] / (atoms * atoms) * (a[0] * b[0] + a[1] * b[1]) / whole;
        }
}

static double radius_of(int z)
{
    const int n = (int)(sizeof covalent_radius_ang / sizeof *covalent_radius_ang);
    return z > 0 && z < n ? covalent_radius_ang[z] : 1.5;
}

/* Molecules and noble gases keep each other further off than bonds do. */
static bool is_molecular(int z)
{
    static const int those[] = { 1, 2, 6, 7, 8, 9, 10, 15, 16, 17, 18, 34, 35, 36, 53, 54 };
    for (size_t k = 0; k < sizeof those / sizeof *those; k++)
        if (those[k] == z)
            return true;
    return false;
}

/* Share of a pair of elements in what is seen, by their electrons. */
static double share_of(const bragg_composition *c, size_t i, size_t j)
{
    double all = 0;
    for (size_t k = 0; k < c->n; k++)
        all += c->count[k] * c->scatterer[k].z;
    return (i == j ? 1 : 2) * c->count[i] * c->scatterer[i].z * c->count[j] * c->scatterer[j].z / (all * all);
}

static const double SEEN = 0.03;

/* Sums of covalent radii (B. Cordero et al., Dalton Trans. (2008) 2832) of the pairs that
 * are seen, from seven to thirteen tenths: metals lie at 1.2, double bonds at 0.85. */
void bragg_pdf_distance_range(const bragg_composition *c, double range[2])
{
    const double contact_ang = 1.6;
    range[0] = INFINITY;
    range[1] = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = i; j < c->n; j++) {
            int a = c->scatterer[i].z, b = c->scatterer[j].z;
            double sum = radius_of(a) + radius_of(b);
            if (share_of(c, i, j) < SEEN)
                continue;
            range[0] = fmin(range[0], 0.7 * sum);
            range[1] = fmax(range[1], 1.3 * sum + (is_molecular(a) && is_molecular(b) ? contact_ang : 0));
        }
}

/* No packing is denser than the closest one (T. C. Hales, Ann. Math. 162 (2005) 1065), in
 * which neighbours of density n are 2^(1/6) n^(-1/3) apart; of atoms that see themselves. */
double bragg_pdf_packed_distance(const bragg_composition *c, double number_density)
{
    double atoms = 0, seen = 0;
    for (size_t k = 0; k < c->n; k++) {
        atoms += c->count[k];
        seen += share_of(c, k, k) >= SEEN ? c->count[k] : 0;
    }
    return pow(2, 1.0 / 6) * pow(number_density * seen / atoms, -1.0 / 3);
}

double bragg_pdf_attenuation(const bragg_composition *c, const bragg_pdf_options *o)
{
    double mass = 0, sum = 0;
    if (o->neutron || !(o->wavelength_ang > 0) || !(o->number_density > 0))
        return 0;
    for (size_t k = 0; k < c->n; k++) {
        mass += c->count[k] * c->scatterer[k].weight;
        sum += c->count[k] * c->scatterer[k].weight * CS_Total(c->scatterer[k].z, BRAGG_HC_KEV_ANG / o->wavelength_ang, NULL);
    }
    return o->number_density * bragg_composition_mass_g_mol(c) / BRAGG_AVOGADRO_1E24 * sum / mass / 10;
}
