/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The phase of a name. */
#include "config.h"
#include "model.h"

#include <string.h>

phase *bragg_refine_phase(bragg_model *m, const char *name)
{
    for (size_t i = 0; i < m->n_phases; i++)
        if (!strcmp(m->phase[i].name, name))
            return &m->phase[i];
    return NULL;
}
