/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the steps of the hunt for phases share. */
#include "config.h"
#include "hunt.h"

#include <math.h>

void bragg_cards_hunt_drop(candidate *c)
{
    bragg_cards_trial_free(&c->t);
    bragg_card_free(c->card);
    *c = (candidate){ .card = NULL };
}

/* Cells change by temperature and composition, mostly little: doubt grows with the
 * mean strain and with its anisotropy, and with peaks broader than the pattern's. */
double bragg_cards_hunt_trust(const trial *t)
{
    double mean = bragg_cards_mean_strain(t), odd = 0;
    for (size_t c = 0; c < t->n_strains; c++)
        odd = fmax(odd, fabs(t->strain[c] - (c < 3 ? mean : 0)));
    double broad = fmax(0, log(t->broad / 1.5)); /* humps explain what a background leaves */
    return 1 / (1 + 0.08 * pow(mean / 0.01, 2) + 0.10 * pow(odd / 0.01, 2) + 0.15 * broad * broad);
}

/* Broad lines also fit what a background leaves: they must prove more. */
bool bragg_cards_hunt_is_wide(const hunt *h, const found *f)
{
    const scene *s = h->s;
    double tangent = tan((s->first + s->last) / 4), usual = s->width[0] + s->width[1] * tangent;
    return !(f->c.t.broad + fmax(f->c.t.slope, 0) * tangent / usual < 2.5);
}

/* Lines that should be seen beside the other phases, and those that are: where the
 * others give less, and before the phase was there much of it was left. */
void bragg_cards_hunt_count_lines(const hunt *h, found *f, const double *own, const double *before)
{
    const scene *s = h->s;
    bool wide = bragg_cards_hunt_is_wide(h, f);
    f->expected = f->seen = 0;
    for (size_t i = 1; i + 1 < s->n; i++) {
        if (!(own[i] > own[i - 1] && own[i] >= own[i + 1]) || own[i] < (wide ? 5 : 3.5) * s->noise[i] || own[i] < 0.004 * s->scale || h->all[i] > (wide ? 2 : 3) * own[i])
            continue;
        double high = 0;
        for (size_t k = i > 2 ? i - 2 : 0; k < s->n && k <= i + 2; k++)
            high = fmax(high, before ? before[k] : s->left[k] + own[k]);
        f->expected++;
        f->seen += high > 0.4 * own[i];
    }
}

/* Calculated profiles of what is known, and what they leave. */
bragg_status bragg_cards_hunt_refit(hunt *h, bragg_error *err)
{
    trial *t[BRAGG_MAX_PHASES];
    scene *s = h->s;
    for (size_t i = 0; i < h->n_known; i++)
        t[i] = &h->known[i].c.t;
    bragg_status st = bragg_cards_scene_fit(s, t, h->n_known, &h->chi2, h->all, h->each, err);
    for (size_t i = 0; i < s->n && st == BRAGG_OK; i++) {
        s->known[i] = h->all[i];
        s->left[i] = s->net[i] - h->all[i] - bragg_cards_scene_background(s, i);
    }
    return st;
}
