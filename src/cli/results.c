/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A refinement as JSON and as the summary that fits one screen. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const cli_cell_names[6] = { "a", "b", "c", "alpha", "beta", "gamma" };

json_t *cli_cell_json(const bragg_cell *c)
{
    json_t *cell = json_object();
    for (int k = 0; k < 6; k++)
        json_object_set_new(cell, cli_cell_names[k], bragg_json_number((&c->a)[k] / (k < 3 ? 1 : BRAGG_DEG)));
    return cell;
}

/* Cells and atoms are held by symmetry, others by mount or radiation. */
static const char *why_held(const char *name) { return strstr(name, ".cell.") || strstr(name, ".atom.") ? "fixed by symmetry" : "fixed here"; }

void cli_list_params(const bragg_params *t)
{
    for (size_t k = 0; k < t->n; k++)
        printf("%-44s %-14.8g %-12s %s\n", t->at[k].name, t->at[k].value, t->at[k].unit,
               t->at[k].tie_to >= 0 ? "tied" : t->at[k].refine ? "refined" : t->at[k].lower < t->at[k].upper ? "" : why_held(t->at[k].name));
}

static json_t *quantity(bragg_quantity q, const char *unit) { return bragg_json_quantity(q.value, q.esd, unit); }

static json_t *phase_json(const bragg_fit_phase *f, const char *card)
{
    json_t *p = json_object(), *cell = json_object();
    for (int k = 0; k < 6; k++)
        json_object_set_new(cell, cli_cell_names[k], quantity(f->cell[k], k < 3 ? "angstrom" : "deg"));
    json_object_set_new(cell, "volume", quantity(f->volume_ang3, "angstrom^3"));
    json_object_set_new(p, "name", json_string(f->name));
    json_object_set_new(p, "card", json_string(card ? card : f->name));
    json_object_set_new(p, "cell", cell);
    json_object_set_new(p, "density", quantity(f->density, "g/cm^3"));
    json_object_set_new(p, "weight_fraction", quantity(f->weight_fraction, ""));
    if (isfinite(f->absolute_fraction.value))
        json_object_set_new(p, "absolute_fraction", quantity(f->absolute_fraction, ""));
    json_object_set_new(p, "size_nm", quantity(f->size_nm, "nm"));
    json_object_set_new(p, "strain", quantity(f->strain, ""));
    if (f->particle_um > 0) {
        json_object_set_new(p, "particle_diameter_um", bragg_json_number(f->particle_um));
        json_object_set_new(p, "microabsorption", bragg_json_number(f->microabsorption));
    }
    json_object_set_new(p, "rbragg", bragg_json_number(f->r_bragg));
    return p;
}

json_t *cli_params_json(const bragg_params *t, double serial_factor)
{
    json_t *params = json_object();
    for (size_t k = 0; k < t->n; k++) {
        json_t *q = bragg_json_quantity(t->at[k].value, t->at[k].esd, t->at[k].unit);
        json_object_set_new(q, "esd_serial", bragg_json_number(t->at[k].esd * serial_factor));
        json_object_set_new(params, t->at[k].name, q);
    }
    return params;
}

/* What hangs together so much that neither is certain by itself. */
static const double strong = 0.9;

static json_t *correlations_json(const bragg_fit *f, const bragg_params *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->variables; i++)
        for (size_t j = 0; j < i; j++)
            if (fabs(bragg_fit_correlation(f, i, j)) > strong)
                json_array_append_new(list, json_pack("{s:s, s:s, s:f}", "a", t->at[f->row[j]].name, "b", t->at[f->row[i]].name, "value", bragg_fit_correlation(f, i, j)));
    return list;
}

static void print_correlations(FILE *to, const bragg_fit *f, const bragg_params *t)
{
    bool any = false;
    for (size_t i = 0; i < f->variables; i++)
        for (size_t j = 0; j < i; j++) {
            double c = bragg_fit_correlation(f, i, j);
            if (fabs(c) <= strong || isnan(c))
                continue;
            fprintf(to, "%s%s and %s: %.3f\n", any ? "" : "correlations above 90 %:\n", t->at[f->row[j]].name, t->at[f->row[i]].name, c);
            any = true;
        }
}

json_t *cli_fit_json(const bragg_fit *f, const bragg_params *t, const char *const *cards)
{
    json_t *root = json_object(), *phases = json_array();
    json_object_set_new(root, "converged", json_boolean(f->converged));
    json_object_set_new(root, "cycles", json_integer(f->cycles));
    json_object_set_new(root, "points", json_integer((json_int_t)f->points));
    json_object_set_new(root, "reflections", json_integer((json_int_t)f->reflections));
    json_object_set_new(root, "variables", json_integer((json_int_t)f->variables));
    json_object_set_new(root, "rp", bragg_json_number(f->rp));
    json_object_set_new(root, "rwp", bragg_json_number(f->rwp));
    json_object_set_new(root, "rexp", bragg_json_number(f->rexp));
    json_object_set_new(root, "gof", bragg_json_number(f->gof));
    json_object_set_new(root, "durbin_watson", bragg_json_number(f->durbin_watson));
    json_object_set_new(root, "serial_factor", bragg_json_number(f->serial_factor));
    json_object_set_new(root, "parameters", cli_params_json(t, f->serial_factor));
    for (size_t k = 0; k < f->n_phases; k++)
        json_array_append_new(phases, phase_json(&f->phase[k], cards ? cards[k] : NULL));
    json_object_set_new(root, "phases", phases);
    if (isfinite(f->amorphous.value))
        json_object_set_new(root, "amorphous", quantity(f->amorphous, ""));
    json_t *steps = json_array();
    for (size_t k = 0; k < f->n_steps; k++) {
        const bragg_fit_step *s = &f->step[k];
        json_t *step = json_pack("{s:s, s:I, s:I, s:b}", "name", s->name, "variables", (json_int_t)s->variables, "cycles", (json_int_t)s->cycles, "kept", s->kept);
        json_object_set_new(step, "rwp", bragg_json_number(s->rwp));
        json_object_set_new(step, "delta_bic", bragg_json_number(s->delta_bic));
        if (!s->kept)
            json_object_set_new(step, "why", json_string(s->why));
        json_array_append_new(steps, step);
    }
    json_object_set_new(root, "strategy", steps);
    json_object_set_new(root, "report", json_string(f->report ? f->report : ""));
    json_object_set_new(root, "correlations", correlations_json(f, t));
    return root;
}

static void print_quantity(FILE *to, const char *name, bragg_quantity q, const char *unit)
{
    char text[BRAGG_QUANTITY_TEXT];
    fprintf(to, "    %-16s %s\n", name, bragg_number_print_quantity(text, q.value, q.esd, unit));
}

/* Crystallites may be larger than the widths can tell. */
static void print_size(FILE *to, bragg_quantity q)
{
    if (q.esd < q.value)
        print_quantity(to, "size L_vol", q, "nm");
    else
        fprintf(to, "    %-16s larger than the widths show\n", "size L_vol");
}

static bool said_with_its_phase(const char *name)
{
    const char *last = strrchr(name, '.');
    return strstr(name, ".cell.") || (!strncmp(name, "phase.", 6) && last && (!strcmp(last, ".size") || !strcmp(last, ".strain")));
}

/* What symmetry ties to another, or holds, is not said again. */
static bool says_more(const bragg_fit_phase *p, int k)
{
    for (int j = k < 3 ? 0 : 3; j < k; j++)
        if (p->cell[j].value == p->cell[k].value)
            return false;
    return k == 0 || isfinite(p->cell[k].esd);
}

static void print_phase(FILE *to, const bragg_fit_phase *p)
{
    if (isfinite(p->r_bragg))
        fprintf(to, "  %s   R_Bragg %.2f %%\n", p->name, 100 * p->r_bragg);
    else
        fprintf(to, "  %s   no intensity of its own\n", p->name);
    for (int k = 0; k < 6; k++)
        if (says_more(p, k))
            print_quantity(to, cli_cell_names[k], p->cell[k], k < 3 ? "angstrom" : "deg");
    print_quantity(to, "volume", p->volume_ang3, "angstrom^3");
    if (isfinite(p->density.value))
        print_quantity(to, "density", p->density, "g/cm^3");
    if (isfinite(p->weight_fraction.esd))
        print_quantity(to, "weight fraction", p->weight_fraction, "");
    if (p->particle_um > 0)
        fprintf(to, "    %-16s %.4f with grains of %g um (Brindley 1945)\n", "microabsorption", p->microabsorption, p->particle_um);
    if (isfinite(p->absolute_fraction.value))
        print_quantity(to, "of the sample", p->absolute_fraction, "");
    if (isfinite(p->size_nm.esd))
        print_size(to, p->size_nm);
    if (isfinite(p->strain.esd))
        print_quantity(to, "strain e", (bragg_quantity){ 1e6 * p->strain.value, 1e6 * p->strain.esd }, "1e-6");
}

/* Where the strategy chose, what it kept; always what it took back. */
static void print_steps(FILE *to, const bragg_fit *f)
{
    bool chose = false;
    for (size_t k = 0; k < f->n_steps; k++)
        chose = chose || isfinite(f->step[k].delta_bic);
    for (size_t k = 0; k < f->n_steps; k++) {
        const bragg_fit_step *s = &f->step[k];
        if (chose && s->kept)
            fprintf(to, "  tried %-36s Rwp %7.3f %%  kept", s->name, 100 * s->rwp);
        else if (!s->kept)
            fprintf(to, "  tried %-36s Rwp %7.3f %%  taken back: %s", s->name, 100 * s->rwp, s->why);
        else
            continue;
        if (isfinite(s->delta_bic))
            fprintf(to, " (Delta BIC %+.0f)", s->delta_bic);
        fprintf(to, "\n");
    }
}

void cli_print_fit(FILE *to, const bragg_fit *f, const bragg_params *t)
{
    char text[BRAGG_QUANTITY_TEXT];
    fprintf(to, "%s after %d cycles: %zu points, %zu reflections, %zu variables\n", f->converged ? "converged" : "NOT CONVERGED",
            f->cycles, f->points, f->reflections, f->variables);
    fprintf(to, "Rwp %.3f %%   Rp %.3f %%   Rexp %.3f %%   GOF %.3f   Durbin-Watson %.2f\n", 100 * f->rwp, 100 * f->rp,
            100 * f->rexp, f->gof, f->durbin_watson);
    if (f->serial_factor > 1.05)
        fprintf(to, "residuals err together: esds times %.1f with it (Berar & Lelann 1991)\n", f->serial_factor);
    for (size_t k = 0; k < f->n_phases; k++)
        print_phase(to, &f->phase[k]);
    if (isfinite(f->amorphous.value))
        print_quantity(to, "amorphous", f->amorphous, "");
    for (size_t k = 0; k < t->n; k++)
        if (t->at[k].refine && !strstr(t->at[k].name, "background.") && !strstr(t->at[k].name, ".intensity.") && !said_with_its_phase(t->at[k].name))
            fprintf(to, "  %-34s %s\n", t->at[k].name, bragg_number_print_quantity(text, t->at[k].value, t->at[k].esd, t->at[k].unit));
    for (const char *line = f->report; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, "cannot be told apart", 20))
            fprintf(to, "%.*s\n", (int)strcspn(line, "\n"), line);
    print_steps(to, f);
    print_correlations(to, f, t);
}

/* Which program made this of which bytes: XXH3-128 of every input. */
bragg_status cli_add_input(json_t *list, const char *path, bragg_error *err)
{
    char hash[BRAGG_HASH_TEXT];
    bragg_status st = bragg_hash_file(path, hash, err);
    if (st == BRAGG_OK)
        json_array_append_new(list, json_pack("{s:s, s:s}", "file", path, "xxh3_128", hash));
    return st;
}

static bragg_status config_of(const bragg_experiment *x, const char *more, bragg_arena *arena, bragg_yaml **root, bragg_error *err)
{
    const bragg_yaml *usual = NULL;
    bragg_status st = arena ? bragg_experiment_effective(x, arena, root, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a configuration");
    if (st == BRAGG_OK && more && (st = bragg_yaml_parse(more, strlen(more), "usual", arena, &usual, err)) == BRAGG_OK && !bragg_yaml_add_missing(arena, *root, usual))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for a configuration");
    return st;
}

bragg_status cli_print_config(const bragg_experiment *x, const char *more, bragg_error *err)
{
    bragg_yaml *root;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = config_of(x, more, arena, &root, err);
    if (st == BRAGG_OK)
        bragg_yaml_write(stdout, root);
    bragg_arena_free(arena);
    return st;
}

bragg_status cli_write_config(const bragg_experiment *x, const char *more, const char *path, bool force, bragg_error *err)
{
    bragg_yaml *root;
    bragg_output *out;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = config_of(x, more, arena, &root, err);
    if (st == BRAGG_OK && (st = bragg_output_open(path, force, &out, err)) == BRAGG_OK) {
        fprintf(bragg_output_stream(out), "# as it was in force, bragg %s\n", PACKAGE_VERSION);
        bragg_yaml_write(bragg_output_stream(out), root);
        st = bragg_output_commit(out, err);
    }
    bragg_arena_free(arena);
    return st;
}

bragg_status cli_experiment_read(const char *path, bragg_experiment **out, bragg_error *err)
{
    bragg_error cause = BRAGG_ERROR_INIT;
    const char *ending = bragg_path_extension(path);
    bragg_status st = bragg_experiment_read(path, out, &cause);
    bool named = !strcmp(ending, ".yaml") || !strcmp(ending, ".yml");
    return st < 0 ? bragg_fail(err, st, "%s%s", cause.text, named || st != BRAGG_EDATA ? "" : "; expected an experiment file in YAML, see man 5 bragg-experiment") : st;
}
