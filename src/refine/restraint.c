/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is known besides the patterns: residuals of their own behind the points. */
#include "config.h"
#include "model.h"

#include <bragg/array.h>
#include <math.h>
#include <string.h>

bragg_status bragg_refine_add_restraint(bragg_model *m, enum restraint_kind kind, restraint **out, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&m->restraint, &m->room_restraints, m->n_restraints + 1, sizeof *m->restraint, err);
    if (st < 0)
        return st;
    *out = &m->restraint[m->n_restraints++];
    **out = (restraint){ .kind = kind, .sigma = 1 };
    return BRAGG_OK;
}

/* Those that one fit made for itself. */
void bragg_refine_drop_passing(bragg_model *m)
{
    size_t kept = 0;
    for (size_t k = 0; k < m->n_restraints; k++)
        if (!m->restraint[k].passing)
            m->restraint[kept++] = m->restraint[k];
    m->n_restraints = kept;
}

/* Behind the last pattern, in blocks of their own. */
void bragg_refine_place_restraints(bragg_model *m)
{
    size_t blocks = (m->n_restraints + BRAGG_LSQ_BLOCK - 1) / BRAGG_LSQ_BLOCK;
    m->problem.n = m->first_restraint + blocks * BRAGG_LSQ_BLOCK;
    m->problem.padding = m->problem.n - m->n_observations - m->n_restraints;
}

static void add_slope(const bragg_lsq_layout *l, double *jacobian, size_t at, size_t row, double slope)
{
    if (jacobian && l && l->n_variables && l->column[row] >= 0)
        jacobian[(size_t)l->column[row] * BRAGG_LSQ_BLOCK + at] += slope * l->weight[row];
}

static double difference(const bragg_model *m, const restraint *t, size_t at, double *jacobian)
{
    add_slope(m->layout, jacobian, at, t->row[0], 1 / t->sigma);
    add_slope(m->layout, jacobian, at, t->row[1], -1 / t->sigma);
    return (m->params.at[t->row[0]].value - m->params.at[t->row[1]].value - t->value) / t->sigma;
}

void bragg_refine_restrain(const bragg_model *m, size_t first, size_t last, double *r, double *jacobian)
{
    for (size_t i = first; i < last && i - m->first_restraint < m->n_restraints; i++) {
        const restraint *t = &m->restraint[i - m->first_restraint];
        r[i - first] = difference(m, t, i - first, jacobian);
    }
}
