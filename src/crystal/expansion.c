/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cells of calibrants away from the temperature of their certificates. */
#include "config.h"
#include <bragg/crystal.h>

#include "expansion_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_EXPANSIONS = sizeof expansions / sizeof *expansions };

/* Integral of alpha, but for a constant: Y. Okada & Y. Tokumaru, J. Appl. Phys. 56 (1984) 314. */
static double integral_of_rate(const double p[6], double t_k)
{
    return 1e-6 * (p[0] * (t_k + exp(-p[1] * (t_k - p[2])) / p[1]) + p[3] * t_k * t_k / 2);
}

/* A solid near 0 K goes over to a straight line: M. Lucht et al., J. Appl. Cryst. 36 (2003) 1075. */
static double length_ang(const double p[6], double t_k)
{
    double w = 1 / (1 + exp((sqrt(t_k) - sqrt(p[4])) / sqrt(p[5])));
    return w * (p[0] + p[1] * t_k * t_k * t_k * t_k) + (1 - w) * (p[2] + p[3] * t_k);
}

static double stretch_of(const struct expansion *e, double t_k)
{
    return e->is_rate ? 1 + integral_of_rate(e->p, t_k) - integral_of_rate(e->p, e->cell_at_k) : length_ang(e->p, t_k) / length_ang(e->p, e->cell_at_k);
}

static bragg_status fail_unknown(const char *name, bragg_error *err)
{
    char known[100] = "";
    for (size_t k = 0, n = 0; k < N_EXPANSIONS && n < sizeof known; k++)
        if (!k || strcmp(expansions[k].name, expansions[k - 1].name))
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", k ? ", " : "", expansions[k].name);
    return bragg_fail(err, BRAGG_EINVAL, "thermal expansion: expected a bundled card whose expansion is known (%s), found '%.60s'; of others give a CIF file with the cell at that temperature", known, name);
}

bragg_status bragg_calibrant_stretch(const char *name, double temperature_k, double stretch[3], bragg_error *err)
{
    bool found = false;
    for (size_t k = 0; k < N_EXPANSIONS; k++) {
        const struct expansion *e = &expansions[k];
        if (strcmp(e->name, name))
            continue;
        if (!(temperature_k >= e->from_k && temperature_k <= e->to_k))
            return bragg_fail(err, BRAGG_EINVAL, "thermal expansion of %s: expected a temperature from %g to %g K, found %g", name, e->from_k, e->to_k, temperature_k);
        for (const char *edge = e->edges; *edge; edge++)
            stretch[*edge - 'a'] = stretch_of(e, temperature_k);
        found = true;
    }
    return found ? BRAGG_OK : fail_unknown(name, err);
}
