/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The quantities of a frame that are drawn over time. */
#include "config.h"
#include "page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void bragg_take_fraction(const bragg_frame_fit *t, size_t i, double *v, double *e) { *v = 100 * t->fraction[i].value, *e = 100 * t->fraction[i].esd; }
void bragg_take_volume(const bragg_frame_fit *t, size_t i, double *v, double *e) { *v = t->level[i] > 0 && t->volume[i].esd > 0 ? t->volume[i].value : NAN, *e = t->volume[i].esd; }
void bragg_take_param(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = isfinite(t->esd[k]) ? t->value[k] : NAN, *e = t->esd[k]; }
void bragg_take_voltage(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = t->log.voltage_v, *e = NAN; (void)k; }
void bragg_take_temperature(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = t->temperature_k, *e = NAN; (void)k; }
void bragg_take_rwp(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = 100 * t->rwp, *e = NAN; (void)k; }
static void take_gof(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = t->gof, *e = NAN; (void)k; }
static void take_current(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = 1000 * t->log.current_a, *e = NAN; (void)k; }
static void take_capacity(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = t->log.capacity_mah_g, *e = NAN; (void)k; }
static void take_cycle(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = t->log.cycle, *e = NAN; (void)k; }
static void take_total(const bragg_frame_fit *t, size_t k, double *v, double *e) { *v = t->total, *e = NAN; (void)k; }

const char *bragg_unit_text(const char *unit)
{
    static const struct { const char *own, *shown; } list[] = { { "angstrom", "Å" }, { "angstrom^2", "Å²" }, { "angstrom^3", "Å³" }, { "angstrom^-1", "Å⁻¹" },
                                                                { "deg", "°" }, { "deg^2", "°²" }, { "1e-6", "10⁻⁶" } };
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        if (!strcmp(unit, list[k].own))
            return list[k].shown;
    return unit;
}

static bragg_report_column quantity(const char *name, const char *label, const char *unit, const char *group, bragg_report_taker take)
{
    return (bragg_report_column){ name, label, unit, NULL, group, take, 0 };
}

/* "phase.Bi.cell.a" is a of Bi; its group is cell, width or other. */
static bool describe_param(const bragg_series *s, size_t k, bragg_arena *arena, bragg_report_column *c)
{
    const char *name = s->name[k], *dot = strncmp(name, "phase.", 6) ? NULL : strchr(name + 6, '.');
    const char *rest = dot ? dot + 1 : name;
    char label[256];
    bool cell = dot && !strncmp(rest, "cell.", 5), width = dot && (!strcmp(rest, "size") || !strcmp(rest, "strain"));
    *c = (bragg_report_column){ name, name, bragg_unit_text(s->unit[k]), NULL, cell ? "cell" : width ? "width" : "other", bragg_take_param, k };
    if (!dot)
        return true;
    snprintf(label, sizeof label, "%.100s %.*s", cell ? rest + 5 : rest, (int)(dot - name - 6), name + 6);
    c->phase = bragg_arena_strndup(arena, name + 6, (size_t)(dot - name - 6));
    c->label = bragg_arena_strdup(arena, label);
    return c->phase && c->label;
}

static bool wanted(const bragg_series *s, size_t k, bool live)
{
    const char *name = s->name[k], *dot = strncmp(name, "phase.", 6) ? NULL : strchr(name + 6, '.');
    if (!strncmp(name, "background", 10))
        return false;
    return s->refined[k] || (live && dot && (!strncmp(dot, ".cell.", 6) || !strcmp(dot, ".size") || !strcmp(dot, ".strain")));
}

static bool any_finite(const bragg_series *s, bragg_report_taker take, size_t which)
{
    for (size_t k = 0; k < s->n; k++) {
        double v, e;
        take(bragg_series_fitted(s, k), which, &v, &e);
        if (isfinite(v))
            return true;
    }
    return false;
}

bragg_status bragg_report_columns(const bragg_series *s, bool live, bragg_arena *arena, bragg_report_column **out, size_t *n, bragg_error *err)
{
    const bragg_report_column fixed[] = { quantity("voltage", "Voltage", "V", "log", bragg_take_voltage), quantity("current", "Current", "mA", "log", take_current),
        quantity("capacity", "Capacity", "mAh/g", "log", take_capacity), quantity("cycle", "Cycle", "", "log", take_cycle),
        quantity("temperature", "Temperature", "K", "log", bragg_take_temperature), quantity("rwp", "Rwp", "%", "fit", bragg_take_rwp),
        quantity("gof", "Goodness of fit", "", "fit", take_gof), quantity("total", "Mean intensity", "", "fit", take_total) };
    const size_t n_fixed = sizeof fixed / sizeof *fixed;
    bragg_report_column *c = *out = bragg_arena_alloc(arena, n_fixed + 2 * s->n_phases + s->n_params, sizeof *c);
    bool good = c != NULL;
    *n = 0;
    for (size_t k = 0; good && k < n_fixed; k++)
        if (live || any_finite(s, fixed[k].take, 0))
            c[(*n)++] = fixed[k];
    for (size_t p = 0; good && s->n_phases > 1 && p < s->n_phases; p++)
        c[(*n)++] = (bragg_report_column){ "fraction", s->phase[p], "%", s->phase[p], "fraction", bragg_take_fraction, p };
    for (size_t p = 0; good && p < s->n_phases; p++) {
        char label[256];
        if (!live && !any_finite(s, bragg_take_volume, p)) /* a cell that is held */
            continue;
        snprintf(label, sizeof label, "V %.200s", s->phase[p]);
        c[*n] = (bragg_report_column){ NULL, NULL, "Å³", s->phase[p], "volume", bragg_take_volume, p };
        c[*n].name = c[*n].label = bragg_arena_strdup(arena, label);
        good = c[(*n)++].name != NULL;
    }
    for (size_t k = 0; good && k < s->n_params; k++)
        if (wanted(s, k, live))
            good = describe_param(s, k, arena, &c[(*n)++]);
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu quantities", s->n_params);
}

json_t *bragg_report_file(const bragg_frame_fit *step)
{
    const char *base = strrchr(step->file, '/') ? strrchr(step->file, '/') + 1 : step->file;
    json_t *name = step->index ? json_sprintf("%s, %zu", base, step->index) : json_string(base);
    return name ? name : json_string(""); /* no UTF-8 */
}

json_t *bragg_report_describe(const bragg_series *s, const bragg_report_column *columns, size_t n)
{
    json_t *about = json_object(), *list = json_array(), *phases = json_array(), *statuses = json_array();
    for (size_t k = 0; k < n; k++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s?}", "name", columns[k].name, "label", columns[k].label, "unit", columns[k].unit, "group",
                                              columns[k].group, "phase", columns[k].phase));
    for (size_t p = 0; p < s->n_phases; p++)
        json_array_append_new(phases, json_string(s->phase[p]));
    for (int k = 0; k <= BRAGG_FRAME_SKIPPED; k++)
        json_array_append_new(statuses, json_string(bragg_frame_status_name((bragg_frame_status)k)));
    json_object_set_new(about, "kind", json_string("series"));
    json_object_set_new(about, "title", json_string(s->title ? s->title : ""));
    json_object_set_new(about, "columns", list);
    json_object_set_new(about, "phases", phases);
    json_object_set_new(about, "statuses", statuses);
    return about;
}
