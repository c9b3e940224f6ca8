/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_UNITS_H
#define BRAGG_UNITS_H

#include <stdbool.h>
#include <stddef.h>

#define BRAGG_PI 3.14159265358979323846
#define BRAGG_DEG (BRAGG_PI / 180)  /**< one degree in radians */
/** hc in keV angstrom, CODATA 2018 (exact in SI): E = hc / lambda. */
#define BRAGG_HC_KEV_ANG 12.398419843320026
/** Faraday constant, C/mol, and Avogadro's number, 1e24/mol, by which g/cm^3 become g/mol a
 *  cubic angstrom; CODATA 2018 (exact in SI). */
#define BRAGG_FARADAY_C_MOL 96485.33212331
#define BRAGG_AVOGADRO_1E24 0.602214076

/** Abscissae.  Inside, an axis is held in radians, inverse angstrom, angstrom
 *  or metres; the name says what files and people use. */
typedef enum bragg_axis {
    BRAGG_AXIS_TTH,   /**< "2th_deg": 2theta, radians inside */
    BRAGG_AXIS_Q,     /**< "q_A^-1": 4 pi sin(theta) / lambda, inverse angstrom */
    BRAGG_AXIS_QNM,   /**< "q_nm^-1": inverse nanometre */
    BRAGG_AXIS_D,     /**< "d_A": angstrom */
    BRAGG_AXIS_R      /**< "r_mm": distance from the beam centre, metres inside */
} bragg_axis;

/** "2th_deg" and friends, also "2th", "tth", "q", "d"; false when unknown. */
bool bragg_axis_parse(const char *name, bragg_axis *axis);
const char *bragg_axis_name(bragg_axis axis);

/** Wavelengths in angstrom that powders are measured with: gamma rays to cold neutrons. */
#define BRAGG_WAVELENGTH_MIN_ANG 0.01
#define BRAGG_WAVELENGTH_MAX_ANG 30

/** What a wavelength outside of these would be were it metre (as in PONI files), nanometre,
 *  picometre or keV, those readings only that are wavelengths of powders:
 *  "; were it metre: 0.4066"; "" without any. */
void bragg_wavelength_readings(double value, char *text, size_t size);

/** Factor from the file's unit to the inside unit (pi/180 for 2th_deg, 1e-3 for r_mm). */
double bragg_axis_factor(bragg_axis axis);

/** Convert between TTH, Q, QNM and D at a wavelength; NAN where there is no
 *  such angle or the wavelength is not positive. */
double bragg_axis_convert(double x, bragg_axis from, bragg_axis to, double wavelength_ang);

#endif
