/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg pdf fit: structures to measured G(r). */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct wish {
    const char *card, *out, *refine;
    bool json, force, neutron, xray, parameters;
    double rmin, rmax, qmax, uiso, qdamp, qbroad, delta1, delta2, spdiameter;
    long long cycles;
} wish;

/* ------------------------------------------------------------- one study */

/* A CIF file, or the name of a bundled card. */
static bragg_status read_card(const wish *w, bragg_arena *arena, bragg_structure **out, bragg_error *err)
{
    const char *path = bragg_path_exists(w->card) ? w->card : bragg_card_path(arena, NULL, w->card);
    if (path && !bragg_path_exists(path))
        return bragg_fail(err, BRAGG_EINVAL, "--card '%s': expected a CIF file or a bundled card, found neither; bragg cards list shows those that there are", w->card);
    bragg_status st = path ? cli_card_read(path, out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", w->card);
    for (size_t a = 0; st == BRAGG_OK && isfinite(w->uiso) && a < (*out)->n_atoms; a++) {
        (*out)->atom[a].uiso_ang2 = w->uiso;
        (*out)->atom[a].anisotropic = false;
    }
    return st;
}

static void set_value(bragg_params *t, const char *pattern, double value)
{
    const char *dot = strchr(pattern, '*');
    for (size_t k = 0; isfinite(value) && k < t->n; k++) {
        size_t n = strlen(t->at[k].name), tail = dot ? strlen(dot + 1) : 0;
        if (dot ? n > tail && !strcmp(t->at[k].name + n - tail, dot + 1) : !strcmp(t->at[k].name, pattern))
            t->at[k].value = value;
    }
}

/* "scale,cell,uiso": each word a parameter of the phase, its atoms or the instrument. */
static bragg_status select_words(bragg_params *t, const char *list, bragg_error *err)
{
    static const char *const forms[] = { "phase.*.%s", "phase.*.atom.*.%s", "instrument.%s" };
    for (const char *at = list; *at; at += strspn(at, ", ")) {
        char word[64], pattern[128];
        size_t length = strcspn(at, ", "), found = 0;
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        for (size_t k = 0; length && k < 3; k++) {
            snprintf(pattern, sizeof pattern, forms[k], !strcmp(word, "positions") ? "[xyz]" : word);
            found += bragg_params_select(t, pattern, true);
        }
        if (length && !found)
            return bragg_fail(err, BRAGG_EINVAL, "--refine: expected names like scale, cell, uiso, positions, delta2, qdamp, found '%s'", word);
        at += length;
    }
    return BRAGG_OK;
}

static bragg_status plain_study(const wish *w, const char *path, bragg_pdf_study **out, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_structure *s = NULL;
    bragg_pdf_data *data = NULL;
    bragg_pdf_set_options o = BRAGG_PDF_SET_OPTIONS_INIT;
    bragg_pdf_study *x = *out = bragg_pdf_study_new();
    bragg_status st = arena && x ? read_card(w, arena, &s, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a fit");
    if (st == BRAGG_OK)
        st = bragg_pdf_data_read(path, &data, err);
    if (st == BRAGG_OK) {
        o.rmin_ang = w->rmin;
        o.rmax_ang = w->rmax;
        o.qmax_invang = w->qmax;
        o.neutron = w->neutron || (data->neutron && !w->xray);
        st = bragg_pdf_study_add_set(x, data, &o, err);
    }
    const char *name = st == BRAGG_OK ? bragg_path_stem(arena, w->card) : NULL;
    if (st == BRAGG_OK)
        st = bragg_pdf_study_add_phase(x, name ? name : "phase", s, err);
    if (st == BRAGG_OK)
        st = bragg_pdf_study_build(x, err);
    if (st == BRAGG_OK) {
        bragg_params *t = bragg_pdf_study_params(x);
        set_value(t, "instrument.qdamp", w->qdamp);
        set_value(t, "instrument.qbroad", w->qbroad);
        set_value(t, "*.delta1", w->delta1);
        set_value(t, "*.delta2", w->delta2);
        set_value(t, "*.spdiameter", w->spdiameter);
        st = select_words(t, w->refine, err);
    }
    bragg_pdf_data_free(data);
    bragg_structure_free(s);
    bragg_arena_free(arena);
    return st;
}

/* --------------------------------------------------------------- results */

/* The columns of PDFgui's .fgr: r, calculated, two of zeros, difference. */
static bragg_status write_curve(const char *path, bool force, const bragg_params *t, const bragg_pdf_fit_set *f, const char *label, bragg_error *err)
{
    char a[BRAGG_QUANTITY_TEXT], b[BRAGG_NUMBER_TEXT], c[BRAGG_NUMBER_TEXT];
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "# data: %s\n# rw: %s\n", label, bragg_number_print_digits(a, f->rw, 6));
    for (size_t k = 0; k < t->n; k++)
        fprintf(to, "# %s = %s%s\n", t->at[k].name, bragg_number_print_quantity(a, t->at[k].value, t->at[k].esd, t->at[k].unit),
                t->at[k].tie_to >= 0 ? " (tied)" : t->at[k].refine ? "" : " (not refined)");
    fprintf(to, "#### start data\n#L r(A) Gcalc(A^{-2}) dr dG Gdiff(A^{-2})\n");
    for (size_t i = 0; i < f->n; i++)
        fprintf(to, "%s %s 0 0 %s\n", bragg_number_print_digits(a, f->r[i], 9), bragg_number_print_digits(b, f->calculated[i], 8),
                bragg_number_print_digits(c, f->observed[i] - f->calculated[i], 8));
    return bragg_output_commit(out, err);
}

static bragg_status write_pattern(const char *path, bool force, const bragg_pdf_fit_pattern *p, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "two_theta_deg,observed,sigma,calculated,background\n");
    for (size_t i = 0; i < p->n; i++) {
        const double v[5] = { p->two_theta_rad[i] / BRAGG_DEG, p->observed[i], p->sigma[i], p->calculated[i], p->background[i] };
        char text[BRAGG_NUMBER_TEXT];
        for (int k = 0; k < 5; k++)
            fprintf(to, "%s%s", bragg_number_print_digits(text, v[k], 9), k < 4 ? "," : "\n");
    }
    return bragg_output_commit(out, err);
}

static bragg_status write_table(const char *path, bool force, const bragg_params *t, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "name,value,esd,unit,refined,tied_to\n");
    for (size_t k = 0; k < t->n; k++) {
        bragg_csv_text(to, t->at[k].name, ",");
        bragg_csv_number(to, t->at[k].value, 0, ",");
        bragg_csv_number(to, t->at[k].esd, 0, ",");
        fprintf(to, "%s,%d,", t->at[k].unit, t->at[k].refine);
        bragg_csv_text(to, t->at[k].tie_to >= 0 ? t->at[t->at[k].tie_to].name : "", "\n");
    }
    return bragg_output_commit(out, err);
}

/* A panel of points, model, and the difference below both; observed and calculated may
 * be of G(r) or of a powder pattern. */
static bragg_status fill_panel(bragg_arena *arena, size_t n, double *x, const double *observed, const double *calculated, bragg_plot_profile *p, bragg_error *err)
{
    double *rest = bragg_arena_alloc(arena, n + 1, sizeof *rest), low = INFINITY, most = -INFINITY;
    bragg_plot_trace *t = bragg_arena_alloc(arena, 3, sizeof *t);
    if (!rest || !t)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a figure");
    for (size_t i = 0; i < n; i++) {
        rest[i] = observed[i] - calculated[i];
        low = fmin(low, fmin(observed[i], calculated[i]));
        most = fmax(most, rest[i]);
    }
    t[0] = (bragg_plot_trace){ { n, x, observed, NULL, "observed" }, true, false, 0, false };
    t[1] = (bragg_plot_trace){ { n, x, calculated, NULL, "calculated" }, false, false, 0, false };
    t[2] = (bragg_plot_trace){ { n, x, rest, NULL, "difference" }, false, false, low - 1.3 * fmax(most, 0.05 * fabs(low)), false };
    p->n_traces = 3;
    p->traces = t;
    return BRAGG_OK;
}

static char *note_of(bragg_arena *arena, const char *name, const char *r, double value)
{
    char *note = bragg_arena_alloc(arena, 160, 1);
    if (note)
        snprintf(note, 160, "%.90s%s<i>R</i><sub>%s</sub> = %.1f %%", name, *name ? ": " : "", r, 100 * value);
    return note;
}

static bragg_status pattern_panel(bragg_arena *arena, const bragg_pdf_fit_pattern *s, bragg_plot_profile *p, bragg_error *err)
{
    double *deg = bragg_arena_alloc(arena, s->n + 1, sizeof *deg);
    if (!deg)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a figure");
    for (size_t i = 0; i < s->n; i++)
        deg[i] = s->two_theta_rad[i] / BRAGG_DEG;
    p->x_label = "2<i>θ</i> (°)";
    p->y_label = "<i>I</i> (arb. units)";
    p->note = note_of(arena, s->name, "wp", s->rwp);
    return fill_panel(arena, s->n, deg, s->observed, s->calculated, p, err);
}

/* A panel a set, then one a pattern. */
static bragg_status plot(const bragg_pdf_fit *f, const char *title, const char *path, bool force, bragg_error *err)
{
    size_t n = f->n_sets + f->n_patterns;
    bragg_arena *arena = bragg_arena_new();
    bragg_plot_profile *p = arena ? bragg_arena_alloc(arena, n, sizeof *p) : NULL;
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    bragg_status st = p ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a figure");
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        p[k] = (bragg_plot_profile)BRAGG_PLOT_PROFILE_INIT;
        if (k >= f->n_sets) {
            st = pattern_panel(arena, &f->pattern[k - f->n_sets], &p[k], err);
            continue;
        }
        const bragg_pdf_fit_set *s = &f->set[k];
        p[k].x_label = "<i>r</i> (Å)";
        p[k].y_label = "<i>G</i>(<i>r</i>) (Å<sup>−2</sup>)";
        p[k].note = note_of(arena, s->name, "w", s->rw);
        st = fill_panel(arena, s->n, s->r, s->observed, s->calculated, &p[k], err);
    }
    page.width_mm = 120;
    page.title = title;
    page.force = force;
    if (st == BRAGG_OK)
        st = bragg_plot_profiles(p, n, 1, &page, path, err);
    bragg_arena_free(arena);
    return st;
}

static json_t *fit_json(const bragg_pdf_fit *f, const bragg_params *t, const char *label)
{
    json_t *root = json_object(), *params = json_object(), *sets = json_array(), *patterns = json_array();
    if (label)
        json_object_set_new(root, "label", json_string(label));
    json_object_set_new(root, "converged", json_boolean(f->converged));
    json_object_set_new(root, "cycles", json_integer(f->cycles));
    json_object_set_new(root, "points", json_integer((json_int_t)f->fitted));
    json_object_set_new(root, "variables", json_integer((json_int_t)f->variables));
    json_object_set_new(root, "rw", bragg_json_number(f->rw));
    json_object_set_new(root, "chi2", bragg_json_number(f->chi2));
    for (size_t k = 0; k < t->n; k++)
        json_object_set_new(params, t->at[k].name, bragg_json_quantity(t->at[k].value, t->at[k].esd, t->at[k].unit));
    json_object_set_new(root, "parameters", params);
    for (size_t k = 0; k < f->n_sets; k++) {
        const bragg_pdf_fit_set *s = &f->set[k];
        json_array_append_new(sets, json_pack("{s:s, s:I, s:I, s:o, s:o, s:b}", "name", s->name, "points", (json_int_t)s->n, "fitted",
                                              (json_int_t)s->fitted, "rw", bragg_json_number(s->rw), "rw_weighted",
                                              bragg_json_number(s->rw_weighted), "covariance", s->covariance));
    }
    json_object_set_new(root, "sets", sets);
    for (size_t k = 0; k < f->n_patterns; k++)
        json_array_append_new(patterns, json_pack("{s:s, s:I, s:o}", "name", f->pattern[k].name, "points", (json_int_t)f->pattern[k].n, "rwp",
                                                  bragg_json_number(f->pattern[k].rwp)));
    if (f->n_patterns)
        json_object_set_new(root, "patterns", json_incref(patterns));
    json_decref(patterns);
    json_object_set_new(root, "report", json_string(f->report));
    return root;
}

static void print_text(const bragg_pdf_fit *f, const bragg_params *t, const char *label)
{
    char text[BRAGG_QUANTITY_TEXT];
    if (label)
        printf("%s: ", label);
    printf("%s after %d cycles: %zu independent points, %zu variables", f->converged ? "converged" : "NOT CONVERGED", f->cycles, f->fitted, f->variables);
    for (size_t k = 0; k < f->n_sets; k++)
        printf(", %s%sRw %.3f %%", f->set[k].name, *f->set[k].name ? " " : "", 100 * f->set[k].rw);
    for (size_t k = 0; k < f->n_patterns; k++)
        printf(", %s Rwp %.3f %%", f->pattern[k].name, 100 * f->pattern[k].rwp);
    printf("\n");
    for (size_t k = 0; k < t->n; k++)
        if (t->at[k].refine)
            printf("  %-36s %s\n", t->at[k].name, bragg_number_print_quantity(text, t->at[k].value, t->at[k].esd, t->at[k].unit));
    printf("%s", f->report);
    for (size_t k = 0; k < t->n; k++) {
        const char *last = strrchr(t->at[k].name, '.');
        if (last && !strcmp(last, ".qdamp") && t->at[k].value == 0 && !t->at[k].refine && t->at[k].tie_to < 0)
            printf("%s is 0 and not refined: peaks are taken not to fade with r as every instrument makes them; give the value of a standard, or refine it with "
                   "qbroad on one\n", t->at[k].name);
    }
    if (!f->variables)
        fputs("nothing was refined: a phase's refine: [scale, cell, uiso] says what, see bragg-pdf-fit(1)\n", stdout);
}

static void put_number(FILE *to, const json_t *v, const char *end) { bragg_csv_number(to, json_is_number(v) ? json_number_value(v) : NAN, 0, end); }

/* One row a step: what was refined, with esds. */
static bragg_status write_series(const char *path, bool force, json_t *steps, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    json_t *first = json_object_get(json_array_get(steps, 0), "parameters"), *step, *value;
    const char *name;
    size_t k;
    fprintf(to, "label,converged,rw");
    json_object_foreach(first, name, value) {
        char esd[120];
        snprintf(esd, sizeof esd, "%.100s.esd", name);
        fputc(',', to);
        bragg_csv_text(to, name, ",");
        bragg_csv_text(to, esd, "");
    }
    fprintf(to, "\n");
    json_array_foreach(steps, k, step) {
        bragg_csv_text(to, json_string_value(json_object_get(step, "label")), ",");
        fprintf(to, "%d,", json_is_true(json_object_get(step, "converged")));
        put_number(to, json_object_get(step, "rw"), "");
        json_object_foreach(json_object_get(step, "parameters"), name, value) {
            fputc(',', to);
            put_number(to, json_object_get(value, "value"), ",");
            put_number(to, json_object_get(value, "esd"), "");
        }
        fprintf(to, "\n");
    }
    return bragg_output_commit(out, err);
}

static bragg_status write_folder(const wish *w, bragg_pdf_study *x, const bragg_pdf_fit *f, const char *title, const char *label, const char *stem,
                                 bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    char name[400];
    bragg_status st = arena ? bragg_path_make_folder(w->out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for results");
    for (size_t k = 0; k < f->n_sets && st == BRAGG_OK; k++) {
        snprintf(name, sizeof name, "%s%s%s.fgr", stem, *f->set[k].name ? "-" : "", f->set[k].name);
        st = write_curve(bragg_path_join(arena, w->out, name), w->force, bragg_pdf_study_params(x), &f->set[k], label, err);
    }
    for (size_t k = 0; k < f->n_patterns && st == BRAGG_OK; k++) {
        snprintf(name, sizeof name, "%s-%s.csv", stem, f->pattern[k].name);
        st = write_pattern(bragg_path_join(arena, w->out, name), w->force, &f->pattern[k], err);
    }
    if (st == BRAGG_OK) {
        snprintf(name, sizeof name, "%s-parameters.csv", stem);
        st = write_table(bragg_path_join(arena, w->out, name), w->force, bragg_pdf_study_params(x), err);
    }
    for (int k = 0; k < 2 && st == BRAGG_OK; k++) {
        snprintf(name, sizeof name, "%s.%s", stem, k ? "png" : "svg");
        st = plot(f, title, bragg_path_join(arena, w->out, name), w->force || k, err);
    }
    bragg_arena_free(arena);
    return st;
}

/* ------------------------------------------------------------------ runs */

static bragg_status fit_study(bragg_pdf_study *x, int cycles, bragg_pdf_fit **f, bragg_error *err)
{
    cli_progress bar;
    bragg_pdf_fit_options o = BRAGG_PDF_FIT_OPTIONS_INIT;
    o.max_cycles = cycles;
    o.observer = cli_observer(&bar, "fit");
    bragg_status st = bragg_pdf_study_fit(x, &o, f, err);
    cli_progress_end(&bar);
    return st;
}

static bragg_status fit_plain(const wish *w, const char *path, bragg_error *err)
{
    bragg_pdf_study *x = NULL;
    bragg_pdf_fit *f = NULL;
    bragg_status st = plain_study(w, path, &x, err), last = BRAGG_OK;
    if (st == BRAGG_OK && w->parameters)
        cli_list_params(bragg_pdf_study_params(x));
    else if (st == BRAGG_OK)
        st = fit_study(x, (int)w->cycles, &f, err);
    if (f && w->out) /* also what did not converge is written and shown */
        last = write_curve(w->out, w->force, bragg_pdf_study_params(x), &f->set[0], path, st < 0 ? NULL : err);
    if (f && w->json)
        last = last < 0 ? last : bragg_json_print_take(fit_json(f, bragg_pdf_study_params(x), NULL), st < 0 ? NULL : err);
    else if (f)
        print_text(f, bragg_pdf_study_params(x), NULL);
    bragg_pdf_fit_free(f);
    bragg_pdf_study_free(x);
    return st < 0 ? st : last;
}

/* The fits of a file, one after the other; what did not converge is kept, and said at
 * the end. */
static bragg_status fit_steps(const wish *w, const bragg_pdf_experiment *x, json_t *steps, bragg_error *err)
{
    bragg_pdf_study *before = NULL, *now = NULL;
    bragg_status st = BRAGG_OK, worst = BRAGG_OK;
    size_t n = bragg_pdf_experiment_steps(x);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++) {
        bragg_pdf_fit *f = NULL;
        char stem[32] = "fit";
        const char *label = bragg_pdf_experiment_label(x, k);
        st = bragg_pdf_experiment_study(x, k, before, &now, err);
        for (size_t p = 0; st == BRAGG_OK && k == 0 && bragg_pdf_experiment_card(x, p); p++)
            cli_tell_card(bragg_pdf_experiment_card(x, p));
        if (st == BRAGG_OK && w->parameters) {
            cli_list_params(bragg_pdf_study_params(now));
            bragg_pdf_study_free(now);
            break;
        }
        if (st == BRAGG_OK)
            st = fit_study(now, bragg_pdf_experiment_cycles(x), &f, err);
        if (st == BRAGG_ENOCONV && f) {
            worst = st;
            st = BRAGG_OK;
        }
        if (n > 1)
            snprintf(stem, sizeof stem, "fit-%04zu", k + 1);
        if (f && w->out && st == BRAGG_OK)
            st = write_folder(w, now, f, bragg_pdf_experiment_title(x), label, stem, err);
        if (f && st == BRAGG_OK)
            json_array_append_new(steps, fit_json(f, bragg_pdf_study_params(now), n > 1 ? label : NULL));
        if (f && !w->json && st == BRAGG_OK)
            print_text(f, bragg_pdf_study_params(now), n > 1 ? label : NULL);
        bragg_pdf_fit_free(f);
        bragg_pdf_study_free(before);
        before = now;
        now = NULL;
    }
    bragg_pdf_study_free(before);
    return st < 0 ? st : worst;
}

static bragg_status add_provenance(json_t *root, const bragg_pdf_experiment *x, bragg_error *err)
{
    json_t *inputs = json_array();
    bragg_status st = BRAGG_OK;
    const char *path;
    for (size_t k = 0; st == BRAGG_OK && (path = bragg_pdf_experiment_input(x, k)); k++)
        st = cli_add_input(inputs, path, err);
    if (bragg_pdf_experiment_title(x))
        json_object_set_new(root, "title", json_string(bragg_pdf_experiment_title(x)));
    json_object_set_new(root, "program", json_string("bragg " PACKAGE_VERSION));
    json_object_set_new(root, "inputs", inputs);
    return st;
}

static bragg_status fit_experiment(const wish *w, const char *path, bragg_error *err)
{
    bragg_pdf_experiment *x = NULL;
    bragg_arena *arena = bragg_arena_new();
    json_t *steps = json_array(), *root = NULL;
    bragg_status st = arena ? bragg_pdf_experiment_read(path, &x, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for results"), last = BRAGG_OK;
    if (st == BRAGG_OK)
        st = fit_steps(w, x, steps, err);
    size_t n = json_array_size(steps);
    if (n)
        root = n > 1 ? json_pack("{s:O}", "steps", steps)
                     : json_deep_copy(json_array_get(steps, 0));
    if (root && w->out && (st >= 0 || st == BRAGG_ENOCONV)) {
        json_t *file = json_deep_copy(root);
        last = add_provenance(file, x, err);
        if (last == BRAGG_OK)
            last = bragg_json_write_take(file, bragg_path_join(arena, w->out, "fit.json"), w->force, err);
        else
            json_decref(file);
        if (last == BRAGG_OK && n > 1)
            last = write_series(bragg_path_join(arena, w->out, "series.csv"), w->force, steps, err);
    }
    if (root && w->json && last == BRAGG_OK && (st >= 0 || st == BRAGG_ENOCONV))
        last = bragg_json_print_take(json_incref(root), err);
    json_decref(root);
    json_decref(steps);
    bragg_pdf_experiment_free(x);
    bragg_arena_free(arena);
    return st < 0 ? st : last;
}

static bragg_status check_wish(const wish *w, int operands, char **argv, bragg_error *err)
{
    bragg_status st = cli_one("EXPERIMENT.yaml or DATA.gr", operands, argv, err);
    if (st < 0)
        return st;
    const char *path = argv[0];
    bool yaml = !strcmp(bragg_path_extension(path), ".yaml") || !strcmp(bragg_path_extension(path), ".yml");
    if (!yaml && !w->card)
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected --card CIF beside a .gr, or an experiment file .yaml, found neither", path);
    if (yaml && w->card)
        return bragg_fail(err, BRAGG_EINVAL, "--card: the phases stand in '%s' already", path);
    if (w->cycles < 1 || w->cycles > 10000)
        return bragg_fail(err, BRAGG_EINVAL, "--cycles: expected 1 to 10000, found %lld", w->cycles);
    return BRAGG_OK;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const wish *w = payload;
    bragg_status st = check_wish(w, operands, argv, err);
    if (st < 0)
        return st;
    return w->card ? fit_plain(w, argv[0], err) : fit_experiment(w, argv[0], err);
}

static int run(int argc, char **argv)
{
    wish w = { .rmin = 1.5, .rmax = 20, .qmax = NAN, .uiso = NAN, .qdamp = NAN, .qbroad = NAN, .delta1 = NAN, .delta2 = NAN, .spdiameter = NAN,
               .cycles = 50, .refine = "scale,cell,uiso,delta2,qdamp" };
    const cli_option options[] = {
        { "card", 'c', CLI_TEXT, &w.card, "CIF", "for a .gr: the structure, a CIF file or the name of a bundled card" },
        { "refine", 0, CLI_TEXT, &w.refine, "LIST", "of parameters; x y z are positions [scale,cell,uiso,delta2,qdamp]" },
        { "rmin", 0, CLI_NUMBER, &w.rmin, "ANGSTROM", "fit from [1.5]" },
        { "rmax", 0, CLI_NUMBER, &w.rmax, "ANGSTROM", "to [20]" },
        { "qmax", 0, CLI_NUMBER, &w.qmax, "Q", "of the data [their header's]" },
        { "qdamp", 0, CLI_NUMBER, &w.qdamp, "Q", "start or fixed value [0]" },
        { "qbroad", 0, CLI_NUMBER, &w.qbroad, "Q", "start or fixed value [0]" },
        { "delta1", 0, CLI_NUMBER, &w.delta1, "ANGSTROM", "start or fixed value [0]" },
        { "delta2", 0, CLI_NUMBER, &w.delta2, "ANGSTROM2", "start or fixed value [0]" },
        { "spdiameter", 0, CLI_NUMBER, &w.spdiameter, "ANGSTROM", "diameter of spherical particles [infinite]" },
        { "uiso", 0, CLI_NUMBER, &w.uiso, "ANGSTROM2", "start for every atom [the card's, else 0.005]" },
        { "neutron", 0, CLI_FLAG, &w.neutron, NULL, "weights are neutron scattering lengths [as the header says]" },
        { "xray", 0, CLI_FLAG, &w.xray, NULL, "weights are those of X-rays, whatever the header says" },
        { "cycles", 0, CLI_INTEGER, &w.cycles, "N", "at most [50]" },
        { "parameters", 0, CLI_FLAG, &w.parameters, NULL, "list all parameters at their start and exit" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE.fgr|DIR", "curves of a .gr; all results of an experiment" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_pdf_fit, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_pdf_fit = { "pdf fit", "EXPERIMENT.yaml | DATA.gr --card CIF", "fit structures to G(r) in real space", run };
