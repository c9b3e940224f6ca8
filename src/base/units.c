/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Abscissae of a pattern: names, factors, conversions. */
#include "config.h"
#include <bragg/units.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *name; bragg_axis axis; } names[] = {
    /* the first name of each axis is the one we print */
    { "2th_deg", BRAGG_AXIS_TTH }, { "q_A^-1", BRAGG_AXIS_Q },  { "q_nm^-1", BRAGG_AXIS_QNM },
    { "d_A", BRAGG_AXIS_D },       { "r_mm", BRAGG_AXIS_R },    { "2th", BRAGG_AXIS_TTH },
    { "tth", BRAGG_AXIS_TTH },     { "q", BRAGG_AXIS_Q },       { "d", BRAGG_AXIS_D },
};

bool bragg_axis_parse(const char *name, bragg_axis *axis)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i].name)) {
            *axis = names[i].axis;
            return true;
        }
    return false;
}

const char *bragg_axis_name(bragg_axis axis)
{
    return names[axis].name;
}

double bragg_axis_factor(bragg_axis axis)
{
    return axis == BRAGG_AXIS_TTH ? BRAGG_DEG : axis == BRAGG_AXIS_R ? 1e-3 : 1;
}

void bragg_wavelength_readings(double value, char *text, size_t size)
{
    const struct { const char *unit; double ang; } readings[] = {
        { "metre", value * 1e10 }, { "nanometre", value * 10 }, { "picometre", value / 100 }, { "keV", BRAGG_HC_KEV_ANG / value },
    };
    size_t used = 0;
    *text = '\0';
    for (size_t k = 0; k < sizeof readings / sizeof *readings && used < size; k++)
        if (readings[k].ang >= BRAGG_WAVELENGTH_MIN_ANG && readings[k].ang <= BRAGG_WAVELENGTH_MAX_ANG)
            used += (size_t)snprintf(text + used, size - used, "%s were it %s: %.6g", used ? "," : ";", readings[k].unit, readings[k].ang);
}

static double to_q_invang(double x, bragg_axis from, double wavelength_ang)
{
    switch (from) {
    case BRAGG_AXIS_TTH: return 4 * BRAGG_PI * sin(x / 2) / wavelength_ang;
    case BRAGG_AXIS_Q: return x;
    case BRAGG_AXIS_QNM: return x / 10;
    case BRAGG_AXIS_D: return 2 * BRAGG_PI / x;
    default: return NAN;
    }
}

double bragg_axis_convert(double x, bragg_axis from, bragg_axis to, double wavelength_ang)
{
    if (from == to)
        return x;
    if ((from == BRAGG_AXIS_TTH || to == BRAGG_AXIS_TTH) && !(wavelength_ang > 0))
        return NAN;
    double q = to_q_invang(x, from, wavelength_ang);
    switch (to) {
    case BRAGG_AXIS_TTH: return 2 * asin(q * wavelength_ang / (4 * BRAGG_PI));
    case BRAGG_AXIS_Q: return q;
    case BRAGG_AXIS_QNM: return 10 * q;
    case BRAGG_AXIS_D: return 2 * BRAGG_PI / q;
    default: return NAN;
    }
}
