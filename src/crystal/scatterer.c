/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scattering of atoms: form factors, anomalous terms, neutron lengths. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/crystal.h>
#include <bragg/units.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xraylib.h>

#include "scattering_tables.h"

enum { N_FORM = sizeof form_factors / sizeof *form_factors, N_NEUTRON = sizeof neutron_lengths / sizeof *neutron_lengths };

/* "Pb+2", "PB2+", "O-2", "Fe1A", "Wat" … to element and charge. */
static bool split_species(const char *text, char element[3], int *charge)
{
    while (isspace((unsigned char)*text))
        text++;
    if (!isalpha((unsigned char)text[0]))
        return false;
    const char *rest = text + 1;
    element[0] = (char)toupper((unsigned char)text[0]);
    element[1] = element[2] = 0;
    if (!strncasecmp(text, "wat", 3)) /* water, as labels have it: no tungsten */
        element[0] = 'O';
    if (isalpha((unsigned char)text[1])) {
        char two[3] = { element[0], (char)tolower((unsigned char)text[1]), 0 };
        if (SymbolToAtomicNumber(two, NULL) > 0) {
            element[1] = two[1];
            rest++;
        }
    }
    *charge = 0;
    int digits = 0, sign = 0;
    for (; *rest; rest++)
        if (isdigit((unsigned char)*rest))
            digits = 10 * digits % 1000 + (*rest - '0');
        else if (*rest == '+' || *rest == '-')
            sign = *rest == '+' ? 1 : -1;
    *charge = sign * (digits ? digits : 1);
    return true;
}

static bool take_form_factor(const char *name, bragg_scatterer *s)
{
    for (int k = 0; k < N_FORM; k++)
        if (!strcmp(form_factors[k].name, name)) {
            memcpy(s->a, form_factors[k].a, sizeof s->a);
            memcpy(s->b, form_factors[k].b, sizeof s->b);
            s->c = form_factors[k].c;
            s->z = form_factors[k].z;
            return true;
        }
    return false;
}

/* The natural element, else its most abundant isotope; D is hydrogen 2. */
static double neutron_length(const char *element, bool deuterium)
{
    double b = NAN, most = -1;
    for (int k = 0; k < N_NEUTRON; k++) {
        if (strcmp(neutron_lengths[k].element, element))
            continue;
        double weight = neutron_lengths[k].isotope == 0 ? 1000 : neutron_lengths[k].abundance_percent;
        if (deuterium ? neutron_lengths[k].isotope == 2 : weight > most) {
            most = weight;
            b = neutron_lengths[k].b_fm;
        }
    }
    return b;
}

bragg_status bragg_scatterer_find(const char *species, bragg_scatterer *out, bool *exact, bragg_error *err)
{
    char element[3], name[12];
    int charge;
    if (exact)
        *exact = true;
    *out = (bragg_scatterer){ .neutron_fm = NAN };
    if (!split_species(species, element, &charge))
        return bragg_fail(err, BRAGG_EDATA, "scatterer: expected an element or ion, found '%.*s'", bragg_utf8_most(species, 20), species);
    bool deuterium = !strcmp(element, "D");
    if (deuterium)
        element[0] = 'H';
    if (charge) /* of three digits at most, which %hd tells the compiler, too */
        snprintf(name, sizeof name, "%s%hd%c", element, (short)(charge < 0 ? -charge : charge), charge < 0 ? '-' : '+');
    else
        snprintf(name, sizeof name, "%s", element);
    if (!take_form_factor(name, out)) {
        if (exact)
            *exact = false;
        if (!take_form_factor(element, out))
            return bragg_fail(err, BRAGG_EDATA, "scatterer: no form factor for '%.*s'", bragg_utf8_most(species, 20), species);
    }
    snprintf(out->name, sizeof out->name, "%s", deuterium ? "D" : name);
    out->neutron_fm = neutron_length(element, deuterium);
    out->weight = deuterium ? 2.01410177812 : AtomicWeight(out->z, NULL);
    return BRAGG_OK;
}

bragg_status bragg_scatterer_set_isotope(bragg_scatterer *s, int mass_number, bragg_error *err)
{
    char element[3] = { s->name[0], s->name[1] >= 'a' && s->name[1] <= 'z' ? s->name[1] : 0, 0 };
    for (int k = 0; k < N_NEUTRON; k++)
        if (!strcmp(neutron_lengths[k].element, element) && neutron_lengths[k].isotope == mass_number) {
            s->neutron_fm = neutron_lengths[k].b_fm;
            s->weight = mass_number;
            return BRAGG_OK;
        }
    return bragg_fail(err, BRAGG_EDATA, "isotope %d of %s: not in the table of scattering lengths", mass_number, element);
}

bragg_status bragg_scatterer_set_anomalous(bragg_scatterer *s, double wavelength_ang, bragg_error *err)
{
    if (!(wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "wavelength: must be positive, got %g", wavelength_ang);
    double energy_kev = BRAGG_HC_KEV_ANG / wavelength_ang;
    xrl_error *problem = NULL;
    double f1 = Fi(s->z, energy_kev, &problem), f2 = problem ? 0 : -Fii(s->z, energy_kev, &problem);
    if (problem) {
        bragg_status st = bragg_fail(err, BRAGG_EDATA, "%s at %g keV: no f' and f'': %s", s->name, energy_kev, problem->message);
        xrl_error_free(problem);
        return st;
    }
    s->f1 = f1;
    s->f2 = fabs(f2);
    return BRAGG_OK;
}

double bragg_scatterer_f0(const bragg_scatterer *s, double s_invang)
{
    double f = s->c;
    for (int i = 0; i < 5; i++)
        f += s->a[i] * exp(-s->b[i] * s_invang * s_invang);
    return f;
}
