/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg convert: a pattern from one file and axis to another. */
#include "config.h"
#include "cli.h"

#include <bragg/pattern.h>
#include <math.h>

static int run(int argc, char **argv)
{
    const char *unit = NULL;
    double wavelength_ang = NAN;
    bool force = false, help;
    const cli_option options[] = {
        { "unit", 'u', CLI_TEXT, &unit, "UNIT", "axis to write: 2th_deg, q_A^-1, q_nm^-1 or d_A" },
        { "wavelength", 'w', CLI_NUMBER, &wavelength_ang, "ANGSTROM", "where the file does not say it" },
        { "force", 'f', CLI_FLAG, &force, NULL, "overwrite OUT" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p = NULL;
    bragg_axis axis = BRAGG_AXIS_TTH;
    int n;
    bragg_status st = cli_parse(&cli_convert, options, 3, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 2)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected IN and OUT, found %d names", n);
    if (st == BRAGG_OK && unit && (!bragg_axis_parse(unit, &axis) || axis == BRAGG_AXIS_R))
        st = bragg_fail(&err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", unit);
    if (st == BRAGG_OK && !isnan(wavelength_ang) && !(wavelength_ang > 0))
        st = bragg_fail(&err, BRAGG_EINVAL, "--wavelength: must be positive, got %g", wavelength_ang);
    if (st == BRAGG_OK)
        st = bragg_pattern_read(argv[0], 0, &p, &err);
    if (st == BRAGG_OK && wavelength_ang > 0)
        p->wavelength_ang = wavelength_ang;
    if (st == BRAGG_OK && unit)
        st = bragg_pattern_to_axis(p, axis, &err);
    if (st == BRAGG_OK)
        st = bragg_pattern_write_text(p, argv[1], force, &err);
    bragg_pattern_free(p);
    return cli_report(&cli_convert, st, &err);
}

const cli_command cli_convert = { "convert", "IN OUT", "write a pattern in another file or unit", run };
