/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of named parameters: rows, ties, copies. */
#include "config.h"
#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/number.h>
#include <bragg/param.h>

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bragg_params_is_word(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127 || strchr(".,\"/\\*?[]", *c))
            return false;
    return *text != '\0';
}

bragg_status bragg_params_add(bragg_params *params, const char *name, const char *unit,
                              double value, size_t *index, bragg_error *err)
{
    bragg_param row = { .value = value, .esd = NAN, .lower = -INFINITY, .upper = INFINITY,
                        .tie_to = -1, .tie_factor = 1 };
    if (!*name || strlen(name) >= sizeof row.name || strlen(unit) >= sizeof row.unit)
        return bragg_fail(err, BRAGG_EINVAL, "parameter '%.40s' in '%.20s': name or unit empty or too long",
                          name, unit);
    if (bragg_params_find(params, name) >= 0)
        return bragg_fail(err, BRAGG_EINVAL, "parameter '%s': stands in the table already", name);
    bragg_status st = bragg_array_grow(&params->at, &params->room, params->n + 1, sizeof *params->at, err);
    if (st < 0)
        return st;
    strcpy(row.name, name);
    strcpy(row.unit, unit);
    if (index)
        *index = params->n;
    params->at[params->n++] = row;
    return BRAGG_OK;
}

bragg_status bragg_params_add_bounded(bragg_params *params, const char *prefix, const char *name, const char *unit, double value, double lower,
                                      double upper, size_t *index, bragg_error *err)
{
    char full[300];
    size_t row;
    snprintf(full, sizeof full, "%s%s%s", prefix, *prefix ? "." : "", name);
    bragg_status st = bragg_params_add(params, full, unit, value, &row, err);
    if (st < 0)
        return st;
    params->at[row].lower = lower;
    params->at[row].upper = upper;
    if (index)
        *index = row;
    return st;
}

void bragg_params_hold(bragg_params *params, size_t index)
{
    bragg_param *row = &params->at[index];
    row->lower = row->upper = row->value;
}

ptrdiff_t bragg_params_find(const bragg_params *params, const char *name)
{
    for (size_t i = 0; i < params->n; i++)
        if (!strcmp(params->at[i].name, name))
            return (ptrdiff_t)i;
    return -1;
}

bragg_status bragg_params_tie(bragg_params *params, size_t index, size_t to, double factor,
                              double offset, bragg_error *err)
{
    if (index >= params->n || to >= params->n)
        return bragg_fail(err, BRAGG_EINVAL, "tie of row %zu to %zu: expected rows below %zu", index, to,
                          params->n);
    if (!isfinite(factor) || !isfinite(offset))
        return bragg_fail(err, BRAGG_EINVAL, "tie of '%s': factor %g and offset %g must be finite",
                          params->at[index].name, factor, offset);
    for (ptrdiff_t i = (ptrdiff_t)to; i >= 0; i = params->at[i].tie_to)
        if ((size_t)i == index)
            return bragg_fail(err, BRAGG_EINVAL, "tie of '%s' to '%s': closes a circle",
                              params->at[index].name, params->at[to].name);
    bragg_param *p = &params->at[index];
    p->tie_to = (ptrdiff_t)to;
    p->tie_factor = factor;
    p->tie_offset = offset;
    return BRAGG_OK;
}

/* To echelon form: row r alone has column pivot[r]. */
static void reduce_basis(double *basis, size_t n, size_t width, int *pivot)
{
    size_t done = 0;
    for (size_t c = 0; c < width && done < n; c++) {
        size_t best = done;
        for (size_t r = done; r < n; r++)
            if (fabs(basis[r * width + c]) > fabs(basis[best * width + c]))
                best = r;
        if (fabs(basis[best * width + c]) < 1e-6)
            continue;
        for (size_t k = 0; k < width; k++) {
            double keep = basis[best * width + k];
            basis[best * width + k] = basis[done * width + k];
            basis[done * width + k] = keep;
        }
        double by = basis[done * width + c];
        for (size_t k = 0; k < width; k++)
            basis[done * width + k] /= by;
        for (size_t r = 0; r < n; r++)
            for (size_t k = 0; r != done && k < width; k++)
                if (k != c)
                    basis[r * width + k] -= basis[r * width + c] * basis[done * width + k];
        for (size_t r = 0; r < n; r++)
            if (r != done)
                basis[r * width + c] = 0;
        pivot[done++] = (int)c;
    }
}

bragg_status bragg_params_tie_basis(bragg_params *params, size_t row, double *basis, size_t n, size_t width, bragg_error *err)
{
    int pivot[6] = { 0 };
    reduce_basis(basis, n, width, pivot);
    for (size_t c = 0; c < width; c++) {
        bool is_pivot = false;
        size_t follows = 0, of = 0;
        for (size_t r = 0; r < n; r++) {
            is_pivot = is_pivot || (size_t)pivot[r] == c;
            if (fabs(basis[r * width + c]) > 1e-6) {
                follows++;
                of = r;
            }
        }
        bragg_param *p = &params->at[row + c];
        if (is_pivot)
            continue;
        if (follows != 1) { /* fixed, or a sum of two: held */
            p->lower = p->upper = p->value;
            continue;
        }
        size_t to = row + (size_t)pivot[of];
        double factor = basis[of * width + c];
        bragg_status st = bragg_params_tie(params, row + c, to, factor, p->value - factor * params->at[to].value, err);
        if (st < 0)
            return st;
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------ ties in words */

/* One term of "0.5 + 2 * name - 1": a number, a name, or a number times a name. */
static bool take_term(const char **at, double sign, double *factor, double *offset, char name[96])
{
    double value = 1;
    const char *s = *at + strspn(*at, " \t");
    bool number = bragg_number_scan(s, &s, &value);
    s += strspn(s, " \t");
    if (number && *s != '*') {
        *offset += sign * value;
        *at = s;
        return true;
    }
    if (number)
        s += 1 + strspn(s + 1, " \t");
    size_t length = strcspn(s, " \t+*");
    if (!length || length >= 96 || *name)
        return false;
    memcpy(name, s, length);
    name[length] = 0;
    *factor = sign * value;
    *at = s + length + strspn(s + length, " \t");
    return true;
}

bragg_status bragg_params_tie_text(bragg_params *params, size_t index, const char *text, bragg_error *err)
{
    double factor = 0, offset = 0, sign = 1;
    char name[96] = "";
    const char *at = text + strspn(text, " \t");
    bool good = *at;
    if (*at == '-' && !(at[1] >= '0' && at[1] <= '9') && at[1] != '.') {
        sign = -1;
        at++;
    }
    while (good && *at) {
        good = take_term(&at, sign, &factor, &offset, name);
        if (good && *at) {
            sign = *at == '-' ? -1 : 1;
            good = (*at == '-' || *at == '+') && at[1];
            at++;
        }
    }
    ptrdiff_t to = *name ? bragg_params_find(params, name) : -1;
    if (!good || !*name)
        return bragg_fail(err, BRAGG_EINVAL, "tie of '%s': expected 'NAME', 'NUMBER * NAME' or 'NUMBER - NAME', found '%.*s'", params->at[index].name, bragg_utf8_most(text, 60), text);
    if (to < 0)
        return bragg_fail(err, BRAGG_EINVAL, "tie of '%s': '%s' is no parameter", params->at[index].name, name);
    bragg_status st = bragg_params_tie(params, index, (size_t)to, factor, offset, err);
    if (st == BRAGG_OK) {
        params->at[index].refine = false;
        bragg_params_apply_ties(params);
    }
    return st;
}

/* "phase.*.cell" names the six below it, too. */
static bool matches(const char *pattern, const char *name)
{
    char below[200];
    snprintf(below, sizeof below, "%s.*", pattern);
    return fnmatch(pattern, name, 0) == 0 || fnmatch(below, name, 0) == 0;
}

size_t bragg_params_select(bragg_params *params, const char *pattern, bool refine)
{
    size_t found = 0;
    for (size_t i = 0; i < params->n; i++) {
        bragg_param *p = &params->at[i];
        if (!matches(pattern, p->name))
            continue;
        found++;
        p->refine = refine && p->tie_to < 0 && p->lower < p->upper;
    }
    return found;
}

/* Ties form a forest (bragg_params_tie refuses circles), so this ends. */
static double tied_value(const bragg_params *params, size_t i)
{
    const bragg_param *p = &params->at[i];
    return p->tie_to < 0 ? p->value : p->tie_offset + p->tie_factor * tied_value(params, (size_t)p->tie_to);
}

void bragg_params_apply_ties(bragg_params *params)
{
    for (size_t i = 0; i < params->n; i++)
        params->at[i].value = tied_value(params, i);
}

bragg_status bragg_params_copy(bragg_params *to, const bragg_params *from, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&to->at, &to->room, from->n, sizeof *to->at, err);
    if (st < 0)
        return st;
    if (from->n)
        memcpy(to->at, from->at, from->n * sizeof *to->at);
    to->n = from->n;
    return BRAGG_OK;
}

void bragg_params_free(bragg_params *params)
{
    free(params->at);
    *params = (bragg_params)BRAGG_PARAMS_INIT;
}
