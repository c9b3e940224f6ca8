/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: radiation. */
#include "config.h"
#include "reading.h"

#include <bragg/units.h>
#include <math.h>
#include <string.h>
#include "tubes.h"

static bragg_status read_wavelengths(const bragg_yaml *node, const bragg_yaml *ratios, bragg_radiation *r, bragg_error *err)
{
    bragg_status st;
    if (node->kind == BRAGG_YAML_SCALAR) {
        r->n_lines = 1;
        r->ratio[0] = 1;
        st = bragg_yaml_number(node, &r->wavelength_ang[0], err);
    } else {
        if (node->kind != BRAGG_YAML_SEQUENCE || node->n_children < 1 || node->n_children > BRAGG_MAX_LINES)
            return bragg_yaml_fail(node, err, "wavelength: expected a number or a list of 1 to %d", BRAGG_MAX_LINES);
        r->n_lines = node->n_children;
        for (size_t k = 0; k < r->n_lines; k++)
            r->ratio[k] = k ? 0.5 : 1;
        st = bragg_yaml_numbers(node, r->wavelength_ang, r->n_lines, err);
        if (st == BRAGG_OK && ratios)
            st = bragg_yaml_numbers(ratios, r->ratio, r->n_lines, err);
    }
    for (size_t k = 0; st == BRAGG_OK && k < r->n_lines; k++)
        if (!(r->wavelength_ang[k] > 0 && r->wavelength_ang[k] < 100) || !(r->ratio[k] > 0))
            st = bragg_yaml_fail(node, err, "wavelength: expected angstrom and positive ratios, found %g and %g", r->wavelength_ang[k], r->ratio[k]);
    return st;
}

/* kbeta: what a filter leaves of that line, relative to K alpha 1. */
static bragg_status read_anode(const bragg_yaml *map, const bragg_yaml *node, bragg_radiation *r, bragg_error *err)
{
    const char *name, *lines = "kalpha";
    const bragg_yaml *which = bragg_yaml_get(map, "lines");
    double kbeta = 0;
    bragg_status st = bragg_yaml_text(node, &name, err);
    if (st == BRAGG_OK && which)
        st = bragg_yaml_text(which, &lines, err);
    if (st == BRAGG_OK && strcmp(lines, "kalpha") && strcmp(lines, "kalpha1") && strcmp(lines, "kbeta"))
        return bragg_yaml_fail(which, err, "lines: expected kalpha, kalpha1 or kbeta, found '%s'", lines);
    if (st == BRAGG_OK)
        st = bragg_reading_number(map, "kbeta", &kbeta, err);
    if (st == BRAGG_OK && !(kbeta >= 0 && kbeta <= 1))
        return bragg_yaml_fail(bragg_yaml_get(map, "kbeta"), err, "kbeta: expected a ratio of 0 to 1, found %g", kbeta);
    for (size_t k = 0; st == BRAGG_OK && k < sizeof tubes / sizeof *tubes; k++)
        if (!strcasecmp(name, tubes[k].anode)) {
            bool beta_alone = !strcmp(lines, "kbeta");
            r->n_lines = 1;
            r->wavelength_ang[0] = beta_alone ? tubes[k].kbeta_ang : tubes[k].kalpha1_ang;
            r->ratio[0] = 1;
            if (!strcmp(lines, "kalpha")) {
                r->wavelength_ang[r->n_lines] = tubes[k].kalpha2_ang;
                r->ratio[r->n_lines++] = tubes[k].ratio;
            }
            if (kbeta > 0 && !beta_alone) {
                r->wavelength_ang[r->n_lines] = tubes[k].kbeta_ang;
                r->ratio[r->n_lines++] = kbeta;
            }
            return BRAGG_OK;
        }
    return st < 0 ? st : bragg_yaml_fail(node, err, "anode: expected Cr, Mn, Fe, Co, Ni, Cu, Mo or Ag, found '%s'", name);
}

bragg_status bragg_reading_radiation(const loading *l, const bragg_yaml *map, const bragg_instrument *known, bragg_radiation *r, bragg_error *err)
{
    static const char *const keys[] = { "type", "wavelength", "ratios", "anode", "lines", "kbeta", "polarization" };
    const bragg_yaml *node;
    const char *type = known->radiation.neutron ? "neutron" : "x-ray";
    if (known->radiation.n_lines)
        *r = known->radiation;
    if (!map && !known->radiation.n_lines)
        return bragg_yaml_fail(l->root, err, "expected a section 'radiation', found none");
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err) : BRAGG_OK;
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "type")))
        st = bragg_yaml_text(node, &type, err);
    if (st == BRAGG_OK && strcmp(type, "x-ray") && strcmp(type, "neutron"))
        return bragg_yaml_fail(bragg_yaml_get(map, "type"), err, "type: expected x-ray or neutron, found '%s'", type);
    r->neutron = !strcmp(type, "neutron");
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "anode")))
        st = read_anode(map, node, r, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "wavelength")))
        st = read_wavelengths(node, bragg_yaml_get(map, "ratios"), r, err);
    if (st == BRAGG_OK && r->n_lines == 0)
        st = bragg_yaml_fail(map, err, "radiation: expected a wavelength in angstrom or an anode, found none");
    r->polarization = isfinite(known->radiation.polarization) ? known->radiation.polarization : r->n_lines > 1 ? 0.5 : 0.99;
    if (st == BRAGG_OK)
        st = bragg_reading_number(map, "polarization", &r->polarization, err);
    if (st == BRAGG_OK && !(r->polarization >= 0 && r->polarization <= 1))
        st = bragg_yaml_fail(bragg_yaml_get(map, "polarization"), err, "polarization: expected 0 to 1, found %g", r->polarization);
    return st;
}
