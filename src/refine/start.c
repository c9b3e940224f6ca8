/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A refinement that goes on where an earlier one ended. */
#include "config.h"
#include "model.h"

#include <bragg/json.h>
#include <math.h>

static bool take_value(bragg_params *t, const char *name, const json_t *quantity)
{
    ptrdiff_t row = bragg_params_find(t, name);
    const json_t *value = json_object_get(quantity, "value");
    if (row < 0 || !json_is_number(value) || !isfinite(json_number_value(value)))
        return false;
    bragg_param *p = &t->at[row];
    double v = json_number_value(value);
    if (p->tie_to >= 0)
        return true; /* follows what it is tied to */
    p->value = fmin(fmax(v, p->lower), p->upper);
    return true;
}

bragg_status bragg_model_start(bragg_model *m, const char *path, bragg_error *err)
{
    json_error_t cause;
    json_t *root = json_load_file(path, 0, &cause), *params = root ? json_object_get(root, "parameters") : NULL;
    bragg_status st = BRAGG_OK;
    if (!root)
        st = cause.line > 0 ? bragg_fail(err, BRAGG_EDATA, "'%s': line %d: %s", path, cause.line, cause.text)
                            : bragg_fail(err, BRAGG_EIO, "'%s': cannot read it", path);
    else if (!json_is_object(params))
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected the result of a refinement, found no 'parameters'", path);
    size_t taken = 0;
    const char *name;
    json_t *quantity;
    if (st == BRAGG_OK)
        json_object_foreach(params, name, quantity)
            taken += take_value(&m->params, name, quantity);
    if (st == BRAGG_OK && taken == 0)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected parameters of this model, found none by name", path);
    json_decref(root);
    if (st == BRAGG_OK)
        bragg_params_apply_ties(&m->params);
    return st;
}
