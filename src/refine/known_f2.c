/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Known intensities as squares of structure factors. */
#include "config.h"
#include "model.h"

#include <math.h>
#include <string.h>

double bragg_lorentz_polarization(double d_ang, double wavelength_ang, double polarization)
{
    double s = wavelength_ang / (2 * d_ang), c2 = 1 - 2 * s * s;
    if (!(s > 0 && s < 1))
        return 0;
    return ((1 - polarization) * c2 * c2 + polarization) / (2 * s * s * fmax(sqrt(1 - s * s), 1e-3));
}

/* A list that names no wavelength was measured as the pattern is; all are of diffractometers
 * without monochromator. */
void bragg_refine_known_intensities(const histogram *h, const phase *p, double *f2)
{
    memset(f2, 0, p->n_reflections * sizeof *f2);
    if (p->spacings) {
        double wavelength = p->card_wavelength_ang > 0 ? p->card_wavelength_ang : h->radiation.wavelength_ang[0];
        for (size_t r = 0; r < p->n_reflections; r++) {
            double lp = bragg_lorentz_polarization(p->known[r].d_ang, wavelength, 0.5);
            f2[r] = lp > 0 ? p->known[r].intensity / lp : 0;
        }
        return;
    }
    for (size_t r = 0; r < p->n_reflections; r++)
        for (size_t k = 0; k < p->n_known; k++)
            if (p->known[k].h == p->reflection[r].h && p->known[k].k == p->reflection[r].k && p->known[k].l == p->reflection[r].l) {
                f2[r] = p->known[k].intensity;
                break;
            }
}
