/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The experiment file: radiation. */
#include "config.h"
#include "reading.h"

#include <bragg/number.h>
#include <bragg/units.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "emission.h"
#include "tubes.h"

static bragg_status check_lines(const bragg_yaml *node, const bragg_radiation *r, bragg_error *err)
{
    char readings[160];
    for (size_t k = 0; k < r->n_lines; k++) {
        double w = r->wavelength_ang[k];
        if (!(w >= BRAGG_WAVELENGTH_MIN_ANG && w < 100)) {
            bragg_wavelength_readings(w, readings, sizeof readings);
            return bragg_yaml_fail(node, err, "wavelength: expected angstrom from %g to 100, found %g%s", (double)BRAGG_WAVELENGTH_MIN_ANG, w, readings);
        }
        if (!(r->ratio[k] > 0))
            return bragg_yaml_fail(node, err, "ratios: expected positive numbers, found %g", r->ratio[k]);
    }
    return BRAGG_OK;
}

static bragg_status read_wavelengths(const bragg_yaml *node, const bragg_yaml *ratios, bragg_radiation *r, bragg_error *err)
{
    bragg_status st;
    memset(r->width_ang, 0, sizeof r->width_ang);
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
    return st < 0 ? st : check_lines(node, r, err);
}

/* FWHM of the lines, in angstrom; none: sharp. */
static bragg_status read_line_widths(const bragg_yaml *map, bragg_radiation *r, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "widths");
    bragg_status st = node ? bragg_yaml_numbers(node, r->width_ang, r->n_lines, err) : BRAGG_OK;
    for (size_t k = 0; node && st == BRAGG_OK && k < r->n_lines; k++)
        if (!(r->width_ang[k] >= 0 && r->width_ang[k] < 0.1 * r->wavelength_ang[k]))
            st = bragg_yaml_fail(node, err, "widths: expected angstrom, small beside the wavelength, found %g", r->width_ang[k]);
    return st;
}

/* The tube's K alpha as it is emitted, line by line. */
static bragg_status take_emission(const bragg_yaml *node, const char *anode, bragg_radiation *r, bragg_error *err)
{
    r->n_lines = 0;
    double first = NAN;
    for (size_t k = 0; k < sizeof emission / sizeof *emission && r->n_lines < BRAGG_MAX_LINES; k++)
        if (!strcasecmp(anode, emission[k].anode)) {
            first = r->n_lines ? first : emission[k].intensity;
            r->wavelength_ang[r->n_lines] = emission[k].wavelength_ang;
            r->width_ang[r->n_lines] = emission[k].width_ang;
            r->ratio[r->n_lines++] = emission[k].intensity / first;
        }
    return r->n_lines ? BRAGG_OK : bragg_yaml_fail(node, err, "lines: the spectrum of '%s' is not tabulated; expected Cr, Mn, Fe, Co, Ni or Cu", anode);
}

/* A file of columns: wavelength, intensity and, if known, FWHM, angstrom; its strongest line first. */
static bragg_status read_spectrum(const loading *l, const bragg_yaml *node, bragg_radiation *r, bragg_error *err)
{
    const char *path;
    char line[300];
    bragg_status st = bragg_reading_path(l, node, &path, err);
    FILE *in = st == BRAGG_OK ? fopen(path, "r") : NULL;
    if (st == BRAGG_OK && !in)
        return bragg_yaml_fail(node, err, "spectrum '%s': %s", path, strerror(errno));
    r->n_lines = 0;
    for (size_t number = 1; st == BRAGG_OK && fgets(line, sizeof line, in); number++) {
        double v[3] = { NAN, NAN, 0 };
        int n = 0;
        bool good = true;
        for (char *rest = line, *word; good && n < 3 && (word = strtok_r(rest, " \t,;\r\n", &rest)) && *word != '#'; n++)
            good = bragg_number_parse(word, &v[n]);
        if (n == 0)
            continue;
        if (!good || !(v[0] > 0 && v[0] < 100) || !(v[1] > 0) || !(v[2] >= 0 && v[2] < 0.1 * v[0]))
            st = bragg_fail(err, BRAGG_EDATA, "'%s': line %zu: expected a wavelength in angstrom, an intensity and perhaps a width", path, number);
        else if (r->n_lines == BRAGG_MAX_LINES)
            st = bragg_fail(err, BRAGG_EDATA, "'%s': expected at most %d lines", path, BRAGG_MAX_LINES);
        else {
            r->wavelength_ang[r->n_lines] = v[0];
            r->ratio[r->n_lines] = r->n_lines ? v[1] / r->ratio[0] : v[1];
            r->width_ang[r->n_lines++] = v[2];
        }
    }
    if (in)
        fclose(in);
    if (st == BRAGG_OK && !r->n_lines)
        st = bragg_yaml_fail(node, err, "spectrum '%s': expected lines of wavelength and intensity, found none", path);
    r->ratio[0] = r->n_lines ? 1 : r->ratio[0];
    return st;
}

/* What a mosaic crystal of that Bragg angle makes of P (L. V. Azaroff, Acta Cryst. 8 (1955)
 * 701): A = cos^2 2theta_m beside 1, so p = 1 / (1 + A). */
static bragg_status read_monochromator(const bragg_yaml *map, bragg_radiation *r, bragg_error *err)
{
    static const struct { const char *name; double d_ang; } crystals[] = { { "graphite", 3.354 }, { "germanium", 3.2664 }, { "silicon", 3.1356 }, { "quartz", 3.3435 } };
    const bragg_yaml *node = bragg_yaml_get(map, "monochromator");
    double two_theta_deg = NAN;
    const char *name = NULL;
    if (!node)
        return BRAGG_OK;
    bragg_status st = bragg_yaml_text(node, &name, err);
    for (size_t k = 0; st == BRAGG_OK && k < sizeof crystals / sizeof *crystals; k++)
        if (!strcasecmp(name, crystals[k].name))
            two_theta_deg = 2 * asin(r->wavelength_ang[0] / (2 * crystals[k].d_ang)) / BRAGG_DEG;
    if (st == BRAGG_OK && ((isnan(two_theta_deg) && !bragg_number_parse(name, &two_theta_deg)) || !(two_theta_deg > 0 && two_theta_deg < 180)))
        return bragg_yaml_fail(node, err, "monochromator: expected its 2theta in degrees, or graphite, germanium, silicon or quartz, found '%s'", name);
    if (st == BRAGG_OK && bragg_yaml_get(map, "polarization"))
        return bragg_yaml_fail(node, err, "monochromator: stands beside a polarization, which it would make; expected one of them");
    if (st == BRAGG_OK)
        r->polarization = 1 / (1 + pow(cos(two_theta_deg * BRAGG_DEG), 2));
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
    if (st == BRAGG_OK && strcmp(lines, "kalpha") && strcmp(lines, "kalpha1") && strcmp(lines, "kbeta") && strcmp(lines, "spectrum"))
        return bragg_yaml_fail(which, err, "lines: expected kalpha, kalpha1, kbeta or spectrum, found '%s'", lines);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "kbeta", &kbeta, err);
    if (st == BRAGG_OK && !(kbeta >= 0 && kbeta <= 1))
        return bragg_yaml_fail(bragg_yaml_get(map, "kbeta"), err, "kbeta: expected a ratio of 0 to 1, found %g", kbeta);
    for (size_t k = 0; st == BRAGG_OK && k < sizeof tubes / sizeof *tubes; k++)
        if (!strcasecmp(name, tubes[k].anode)) {
            bool beta_alone = !strcmp(lines, "kbeta");
            memset(r->width_ang, 0, sizeof r->width_ang);
            r->n_lines = 1;
            r->wavelength_ang[0] = beta_alone ? tubes[k].kbeta_ang : tubes[k].kalpha1_ang;
            r->ratio[0] = 1;
            if (!strcmp(lines, "kalpha")) {
                r->wavelength_ang[r->n_lines] = tubes[k].kalpha2_ang;
                r->ratio[r->n_lines++] = tubes[k].ratio;
            }
            if (!strcmp(lines, "spectrum") && (st = take_emission(which, name, r, err)) < 0)
                return st;
            if (kbeta > 0 && !beta_alone && r->n_lines < BRAGG_MAX_LINES) {
                r->width_ang[r->n_lines] = 0;
                r->wavelength_ang[r->n_lines] = tubes[k].kbeta_ang;
                r->ratio[r->n_lines++] = kbeta;
            }
            return BRAGG_OK;
        }
    return st < 0 ? st : bragg_yaml_fail(node, err, "anode: expected Cr, Mn, Fe, Co, Ni, Cu, Mo or Ag, found '%s'", name);
}

bragg_status bragg_reading_radiation(const loading *l, const bragg_yaml *map, const bragg_instrument *known, bragg_radiation *r, bragg_error *err)
{
    static const char *const keys[] = { "type", "wavelength", "ratios", "anode", "lines", "kbeta", "polarization", "widths", "spectrum", "monochromator" };
    const bragg_yaml *node;
    const char *type = known->radiation.neutron ? "neutron" : "x-ray";
    if (known->radiation.n_lines)
        *r = known->radiation;
    if (!map && !known->radiation.n_lines)
        return bragg_yaml_fail(l->root, err, "expected a section 'radiation', as {wavelength: 0.4066} or {anode: Cu}, found none here nor in the pattern's file");
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
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "spectrum")))
        st = read_spectrum(l, node, r, err);
    if (st == BRAGG_OK && map)
        st = read_line_widths(map, r, err);
    if (st == BRAGG_OK && r->n_lines == 0)
        st = bragg_yaml_fail(map, err, "radiation: expected a wavelength in angstrom or an anode, found none here nor in the pattern's file");
    bool tube = r->n_lines > 1 || bragg_yaml_get(map, "anode");
    r->polarization = isfinite(known->radiation.polarization) ? known->radiation.polarization : tube ? 0.5 : 0.99;
    if (st == BRAGG_OK && map)
        st = read_monochromator(map, r, err);
    if (st == BRAGG_OK)
        st = bragg_yaml_number_at(map, "polarization", &r->polarization, err);
    if (st == BRAGG_OK && !(r->polarization >= 0 && r->polarization <= 1))
        st = bragg_yaml_fail(bragg_yaml_get(map, "polarization"), err, "polarization: expected 0 to 1, found %g", r->polarization);
    return st;
}
