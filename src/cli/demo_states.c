/* SPDX-License-Identifier: GPL-3.0-or-later */
/* States one by one: integrate, name the phases, refine, compare. */
#include "config.h"
#include "demo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 16 };

typedef struct states {
    demo *d;
    size_t n;                    /* refined so far */
    const char *name[STATES];
    bragg_quantity volume[STATES];
    double true_volume[STATES];
} states;

static const bragg_truth_phase *find_truth(const bragg_truth_state *s, const char *name)
{
    for (size_t k = 0; k < s->n; k++)
        if (!strcmp(s->phase[k].name, name))
            return &s->phase[k];
    return NULL;
}

/* ----------------------------------------------------------- comparison */

/* Neighbouring bins of an integrated frame share pixels and err together: esds of
 * counting alone are too small by what serial correlation tells. */
static bragg_quantity widened(bragg_quantity q, double by) { return (bragg_quantity){ q.value, q.esd * by }; }

static void compare_phase(states *s, const char *state, const bragg_truth_phase *t, const bragg_fit_phase *f, double by, bool alone)
{
    char name[200];
    for (int k = 0; k < 6; k++) {
        snprintf(name, sizeof name, "%s.%s.%s", state, f->name, cli_cell_names[k]);
        if (demo_cell_free(t, k) && f->cell[k].esd > 0)
            demo_compare(s->d, name, t->cell[k], widened(f->cell[k], by), k < 3 ? "angstrom" : "deg");
    }
    snprintf(name, sizeof name, "%s.%s.weight_fraction", state, f->name);
    if (!alone)
        demo_compare(s->d, name, t->weight_fraction, widened(f->weight_fraction, by), "");
    snprintf(name, sizeof name, "%s.%s.size_nm", state, f->name);
    if (!isnan(t->size_nm) && f->size_nm.esd > 0 && isfinite(f->size_nm.esd))
        demo_compare(s->d, name, t->size_nm, widened(f->size_nm, by), "nm");
    snprintf(name, sizeof name, "%s.%s.strain", state, f->name);
    if (!isnan(t->strain) && f->strain.esd > 0 && isfinite(f->strain.esd))
        demo_compare(s->d, name, t->strain * 1e-6, widened(f->strain, by), "");
}

static double volume_of(const bragg_truth_phase *t)
{
    const double *c = t->cell;
    bragg_cell x = { c[0], c[1], c[2], c[3] * BRAGG_DEG, c[4] * BRAGG_DEG, c[5] * BRAGG_DEG };
    return bragg_cell_volume_ang3(&x);
}

static void compare_state(states *s, const bragg_truth_state *t, const bragg_fit *f)
{
    if (!s->d->json)
        printf("\n%s: Rwp %.2f %%, GOF %.2f\n", t->name, 100 * f->rwp, f->gof);
    for (size_t k = 0; k < f->n_phases; k++) {
        const bragg_truth_phase *p = find_truth(t, f->phase[k].name);
        if (p)
            compare_phase(s, t->name, p, &f->phase[k], f->serial_factor, f->n_phases == 1);
    }
    const bragg_truth_phase *first = f->n_phases ? find_truth(t, f->phase[0].name) : NULL;
    if (first && s->n < STATES) {
        s->name[s->n] = t->name;
        s->volume[s->n] = widened(f->phase[0].volume_ang3, f->serial_factor);
        s->true_volume[s->n++] = volume_of(first);
    }
}

/* What two states are about: by how much do the two lattices differ? */
static void compare_volumes(const states *s)
{
    if (s->n != 2)
        return;
    const bragg_quantity a = s->volume[0], b = s->volume[1];
    double change = 100 * (b.value / a.value - 1), truth = 100 * (s->true_volume[1] / s->true_volume[0] - 1);
    double esd = 100 * b.value / a.value * hypot(a.esd / a.value, b.esd / b.value);
    char name[200];
    snprintf(name, sizeof name, "volume change %.60s to %.60s", s->name[0], s->name[1]);
    if (!s->d->json)
        printf("\n");
    demo_compare(s->d, name, truth, (bragg_quantity){ change, esd }, "%");
}

/* ------------------------------------------------------------- analysis */

static bragg_status integrate(const demo *d, const char *frame_name, const char *pattern_name, bragg_error *err)
{
    bragg_geometry g;
    bragg_frame *f = NULL;
    bragg_plan *plan = NULL;
    bragg_pattern *p = NULL;
    uint8_t *mask = NULL;
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.n_bins = 3000;
    o.polarization = 0.99;
    bragg_status st = bragg_geometry_read_poni(demo_file(d, "setup", ".poni"), &g, err);
    if (st == BRAGG_OK)
        st = bragg_frame_read(frame_name, 0, &f, err);
    if (st == BRAGG_OK)
        st = bragg_mask_read(NULL, 0, NULL, NULL, NULL, f, &mask, err);
    if (st == BRAGG_OK)
        st = bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, err);
    if (st == BRAGG_OK)
        st = bragg_plan_integrate(plan, f, NULL, NULL, &p, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_write_text(p, pattern_name, d->force, err);
    free(mask);
    bragg_pattern_free(p);
    bragg_plan_free(plan);
    bragg_frame_free(f);
    return st;
}

static bragg_status plot(const demo *d, bragg_model *m, const bragg_fit *f, const char *title, const char *name, bragg_error *err)
{
    static const char *const endings[] = { "-rietveld.svg", "-rietveld.png", "-rietveld.pdf" };
    bragg_plot_rietveld_options o = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
    bragg_status st = BRAGG_OK;
    o.page.width_mm = 170;
    o.page.title = title;
    for (int k = 0; k < 3 && st >= 0; k++) {
        o.page.force = d->force || k;
        st = bragg_plot_refined(m, 0, f, &o, demo_file(d, name, endings[k]), err);
    }
    return st < 0 ? st : bragg_json_write_take(cli_fit_json(f, bragg_model_params(m), NULL), demo_file(d, name, ".json"), d->force, err);
}

/* Elements that the experiment speaks of, "K,V,S". */
static void elements_of(const bragg_experiment *x, char out[200])
{
    *out = 0;
    for (size_t k = 0; k < x->n_phases; k++) {
        bragg_structure *s;
        if (!x->phase[k].path || bragg_structure_read_cif(x->phase[k].path, NULL, &s, NULL, 0, NULL) < 0)
            continue;
        for (size_t j = 0; j < s->n_scatterers; j++) {
            char symbol[4] = "", word[8];
            snprintf(symbol, sizeof symbol, "%.*s", (int)strspn(s->scatterer[j].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), s->scatterer[j].name);
            snprintf(word, sizeof word, ",%s,", symbol);
            char all[208];
            snprintf(all, sizeof all, ",%s,", out);
            if (!strstr(all, word) && strlen(out) < 190)
                snprintf(out + strlen(out), 8, "%s%s", *out ? "," : "", symbol);
        }
        bragg_structure_free(s);
    }
}

static bool names_card(const json_t *phases, const char *card)
{
    size_t k;
    json_t *p;
    json_array_foreach((json_t *)phases, k, p) {
        const char *name = json_string_value(json_object_get(p, "name"));
        if (name && !strcmp(name, card))
            return true;
    }
    return false;
}

/* Would the card set have named these phases without being told? */
static bragg_status identify(states *s, const bragg_experiment *x, const char *state, bragg_error *err)
{
    char elements[200], wavelength[BRAGG_NUMBER_TEXT], name[160], seen[200] = "";
    const char *out = demo_file(s->d, state, "-identify.json");
    elements_of(x, elements);
    bragg_number_print(wavelength, x->pattern->histogram.radiation.wavelength_ang[0]);
    const char *argv[] = { "identify", demo_file(s->d, state, ".xye"), "--elements", elements, "--wavelength", wavelength, "--json" };
    bragg_status st = demo_command(&cli_identify, sizeof argv / sizeof *argv, argv, out, err);
    if (st < 0)
        return st;
    json_t *root = json_load_file(out, 0, NULL), *p;
    json_t *phases = json_object_get(json_array_get(json_object_get(root, "hypotheses"), 0), "phases");
    size_t k, found = 0, n = json_array_size(phases);
    for (k = 0; k < x->n_phases; k++)
        found += x->phase[k].path && names_card(phases, bragg_path_stem(s->d->arena, x->phase[k].path));
    json_array_foreach(phases, k, p) {
        const char *card = json_string_value(json_object_get(p, "name"));
        if (strlen(seen) < 150)
            snprintf(seen + strlen(seen), 48, "%s%.40s", k ? "+" : "named ", card ? card : "?");
    }
    snprintf(name, sizeof name, "%.60s: phases named by the card set", state);
    demo_count(s->d, name, found, x->n_phases, 1, seen);
    snprintf(name, sizeof name, "%.60s: named phases that are there", state);
    demo_count(s->d, name, found < n ? found : n, n, 1, "");
    json_decref(root);
    return BRAGG_OK;
}

/* The same data with one phase less: what the others cannot explain. */
static bragg_status without(states *s, const bragg_experiment *x, const bragg_pattern *p, const bragg_fit *best, const char *state, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < x->n_phases && x->n_phases > 1 && st >= 0; k++) {
        bragg_experiment one = *x;
        bragg_experiment_phase *rest = bragg_arena_alloc(s->d->arena, x->n_phases, sizeof *rest);
        bragg_model *m = NULL;
        bragg_fit *f = NULL;
        char name[160], worst[80];
        if (!rest)
            return bragg_fail(err, BRAGG_ENOMEM, "no room for phases");
        one.n_phases = 0;
        for (size_t j = 0; j < x->n_phases; j++)
            if (j != k)
                rest[one.n_phases++] = x->phase[j];
        one.phase = rest;
        st = bragg_experiment_model(&one, p, &m, err);
        if (st >= 0)
            st = bragg_refine(m, &one.options, &f, err);
        if (st == BRAGG_ENOCONV)
            st = BRAGG_OK; /* the wrong model need not converge */
        if (st >= 0 && f) {
            snprintf(name, sizeof name, "%.40s: worse without %.40s", state, x->phase[k].name);
            snprintf(worst, sizeof worst, "Rwp %.2f %% instead of %.2f %%", 100 * f->rwp, 100 * best->rwp);
            demo_count(s->d, name, f->rwp > 1.1 * best->rwp, 1, 1, worst);
        }
        bragg_fit_free(f);
        bragg_model_free(m);
    }
    return st;
}

static bragg_status refine(states *s, const bragg_truth_state *t, bragg_error *err)
{
    demo *d = s->d;
    bragg_experiment *x = NULL;
    bragg_pattern *p = NULL;
    bragg_model *m = NULL;
    bragg_fit *f = NULL;
    bragg_status st = bragg_experiment_read(demo_file(d, t->name, ".yaml"), &x, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_read(x->pattern->file, 0, &p, err);
    if (st == BRAGG_OK)
        st = bragg_experiment_model(x, p, &m, err);
    if (st == BRAGG_OK)
        st = bragg_refine(m, &x->options, &f, err);
    if (st == BRAGG_ENOCONV && f) { /* said, and compared all the same */
        char name[160];
        snprintf(name, sizeof name, "%.60s: converged", t->name);
        demo_count(d, name, 0, 1, 1, "");
        st = BRAGG_OK;
    }
    if (st >= 0)
        st = plot(d, m, f, x->title, t->name, err);
    if (st >= 0)
        compare_state(s, t, f);
    if (st >= 0 && d->about.twin == BRAGG_TWIN_PATTERNS)
        st = identify(s, x, t->name, err);
    if (st >= 0 && d->about.twin == BRAGG_TWIN_PATTERNS)
        st = without(s, x, p, f, t->name, err);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_pattern_free(p);
    bragg_experiment_free(x);
    return st < 0 ? bragg_context(err, st, "%s", t->name) : st;
}

/* The calibrant's frame puts right the geometry at hand, as `bragg calibrate`. */
static bragg_status calibrate(demo *d, const char *name, bragg_error *err)
{
    const char *argv[] = { "calibrate", demo_file(d, name, ".tif"), "--calibrant", name, "--poni", demo_file(d, "setup", ".poni"), "-o",
                           demo_file(d, "setup", ".poni"), "--force" };
    if (!d->json)
        printf("calibrating on %s\n", name);
    return demo_command(&cli_calibrate, sizeof argv / sizeof *argv, argv, demo_file(d, "calibrate", ".txt"), err);
}

bragg_status demo_states(demo *d, bragg_error *err)
{
    states s = { .d = d };
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < d->about.n_states && st >= 0; k++) {
        bragg_truth_state t;
        if ((st = bragg_truth_state_at(d->truth, k, &t, err)) < 0)
            break;
        bool analysed = bragg_path_exists(demo_file(d, t.name, ".yaml"));
        if (!analysed && d->about.twin == BRAGG_TWIN_FRAMES)
            st = calibrate(d, t.name, err);
        else if (analysed && d->about.twin == BRAGG_TWIN_FRAMES)
            st = integrate(d, demo_file(d, t.name, ".tif"), demo_file(d, t.name, ".xye"), err);
        if (st >= 0 && analysed)
            st = refine(&s, &t, err);
    }
    if (st >= 0 && d->about.twin == BRAGG_TWIN_FRAMES)
        compare_volumes(&s);
    return st;
}
