/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg operando: a run of frames or patterns, refined in sequence, with its log. */
#include "config.h"
#include "cli.h"

#include <bragg/analysis.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct wish {
    const char *out;
    const char *cif;         /* numbers of frames */
    bool json, force, config, resume, follow, no_plots;
    double idle_s;
    cli_peers *started;
    bragg_peers *peers;      /* of these; NULL: nobody */
} wish;

/* One of several processes, and not the one that writes and talks. */
static bool silent(const wish *w) { return w->peers && w->peers->rank; }

/* ----------------------------------------------------------- a clean end */

static void talk(void *payload, int level, const char *text)
{
    cli_progress *p = payload;
    if (level <= BRAGG_LOG_WARNING)
        fprintf(stderr, "%sbragg operando: %s\n", p->terminal ? "\r\033[K" : "", text);
}

/* --------------------------------------------------------------- results */

static void print_place(const bragg_series *s, size_t k)
{
    printf("%zu", k);
    if (isfinite(bragg_series_fitted(s, k)->log.voltage_v))
        printf(" (%.3f V)", bragg_series_fitted(s, k)->log.voltage_v);
    else if (isfinite(bragg_series_fitted(s, k)->temperature_k))
        printf(" (%.1f K)", bragg_series_fitted(s, k)->temperature_k);
}

/* What the run did, interval by interval. */
static bragg_status print_account(const bragg_series *s, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_episode *e;
    size_t n = 0;
    bragg_status st = arena ? bragg_series_episodes(s, arena, &e, &n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for an account");
    for (size_t k = 0; st == BRAGG_OK && k < n; k++) {
        printf("frames ");
        print_place(s, e[k].first);
        printf(" to ");
        print_place(s, e[k].last);
        printf(": ");
        bragg_episode_tell(s, &e[k], stdout);
        printf("\n");
    }
    bragg_arena_free(arena);
    return st;
}

/* A number of eight columns, or a dash at their end. */
static void print_logged(double value, int digits)
{
    if (isfinite(value))
        printf(" %8.*f", digits, value);
    else
        printf(" %8s", "-");
}

static bragg_status print_series(const bragg_series *s, bragg_error *err)
{
    char text[BRAGG_NUMBER_TEXT];
    bool volts = false, kelvins = false; /* without a log there is no column of it */
    for (size_t k = 0; k < s->n; k++) {
        volts = volts || isfinite(bragg_series_fitted(s, k)->log.voltage_v);
        kelvins = kelvins || isfinite(bragg_series_fitted(s, k)->temperature_k);
    }
    printf("%-24s%s%s %9s %6s  %s\n", "file", volts ? "      U/V" : "", kelvins ? "      T/K" : "", "Rwp/%", "GOF", "volumes/angstrom^3, weight fractions");
    for (size_t k = 0; k < s->n; k++) {
        const bragg_frame_fit *step = bragg_series_fitted(s, k);
        const char *base = strrchr(step->file, '/') ? strrchr(step->file, '/') + 1 : step->file;
        if (!step->done) {
            printf("%-24s %s: %s\n", base, bragg_frame_status_name(step->status), step->error);
            continue;
        }
        printf("%-24s", base);
        if (volts)
            print_logged(step->log.voltage_v, 4);
        if (kelvins)
            print_logged(step->temperature_k, 2);
        printf(" %9.3f %6.2f ", 100 * step->rwp, step->gof);
        for (size_t p = 0; p < s->n_phases; p++)
            printf(" %s", step->level[p] > 0 ? bragg_number_print_esd(text, step->volume[p].value, step->volume[p].esd) : "-");
        for (size_t p = 0; s->n_phases > 1 && p < s->n_phases; p++) {
            if (step->level[p] > 0)
                printf(" %s", bragg_number_print_esd(text, step->fraction[p].value, step->fraction[p].esd));
            else
                printf(" <%s", bragg_number_print_digits(text, step->limit[p], 2));
        }
        printf("%s%s%s\n", step->status == BRAGG_FRAME_OK ? "" : "  ", step->status == BRAGG_FRAME_OK ? "" : bragg_frame_status_name(step->status),
               step->restarted ? "  restarted" : "");
    }
    for (size_t k = 0; k < s->n_alarms; k++) {
        const bragg_alarm *a = &s->alarm[k];
        printf("unexplained: a peak at %.3f deg in frames %zu to %zu, %.0f sigma", a->two_theta_rad / BRAGG_DEG, a->first, a->last, a->significance);
        if (a->cards)
            printf(", perhaps %s (%.2f)", a->cards, a->score);
        printf("\n");
    }
    bragg_status st = print_account(s, err);
    return st == BRAGG_OK ? bragg_series_whole(s, err) : st;
}

/* "0,12,40": each as frame-00012.cif; s NULL: only looked at. */
static bragg_status write_cifs(const wish *w, const bragg_series *s, const bragg_experiment *x, const bragg_frames *f, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (const char *at = w->cif; at && st == BRAGG_OK; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char field[24], path[4200];
        double k;
        snprintf(field, sizeof field, "%.*s", (int)strcspn(at, ","), at);
        if (!bragg_number_parse(field, &k) || !(k >= 0 && k < 1e9) || k != floor(k))
            return bragg_fail(err, BRAGG_EINVAL, "--cif: expected numbers of frames like 0,12,40, found '%s'", w->cif);
        snprintf(path, sizeof path, "%.4000s/frame-%05.0f.cif", w->out ? w->out : ".", k);
        if (s)
            st = bragg_series_write_cif(s, (size_t)k, x, f, path, w->force || w->resume, err);
    }
    return st;
}

/* What is made of the run beside its fits. */
typedef struct wanted {
    bragg_analysis_options analysis;
    const bragg_yaml *section; /* "pdf"; NULL without */
    bragg_pdf_recipe recipe;
} wanted;

static bragg_status read_wanted(const bragg_experiment *x, const char *path, bragg_arena *arena, wanted *to, bragg_error *err)
{
    bragg_status st = bragg_analysis_options_read(x, arena, &to->analysis, err);
    to->section = bragg_yaml_get(x->root, "pdf");
    return st == BRAGG_OK && to->section ? bragg_pdf_recipe_read(to->section, path, arena, &to->recipe, err) : st;
}

/* What the work before has freed goes back to the system, so that the largest of several pieces
 * of work is what the run needs and not their sum. */
static void give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static bragg_status draw_figures(const char *out, const bragg_series *s, const bragg_store_curves *c, bool force, bragg_error *err)
{
    cli_progress p;
    bragg_status st = bragg_plot_operando(s, c, out, force, cli_observer(&p, "figure"), err);
    cli_progress_end(&p);
    return st;
}

typedef struct telling {
    const wish *w;
    const bragg_series *s;
    const bragg_store_curves *c;
    json_t *summary;
} telling;

/* A result as tables, text and figures. */
static bragg_status tell_part(void *payload, const bragg_analysis *part, bragg_error *err)
{
    const telling *t = payload;
    bool force = t->w->force || t->w->resume;
    bragg_status st = bragg_analysis_write(part, t->s, t->w->out, force, t->summary, err);
    if (st == BRAGG_OK && !t->w->json)
        bragg_analysis_tell(part, t->s, stdout);
    if (st == BRAGG_OK && !t->w->no_plots)
        st = bragg_plot_analysis(part, t->s, t->c->frames, t->w->out, force, err);
    if (st == BRAGG_OK && !t->w->no_plots && part->total)
        st = bragg_plot_pdf_maps(part->total, t->s, t->w->out, force, err);
    give_back();
    return st;
}

/* A G(r) that cannot be made is said, and costs nothing else: *total. */
static bragg_status analyse(telling *t, const bragg_experiment *x, const bragg_frames *f, const wanted *want, bragg_status *total, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_analysis g = { 0 };
    *total = BRAGG_OK;
    t->summary = bragg_analysis_summary();
    bragg_status st = arena && t->summary ? bragg_series_analyse(t->s, t->c, &want->analysis, tell_part, t, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for an analysis");
    if (st == BRAGG_OK && want->section)
        *total = bragg_series_pdf(t->s, f, x, &want->recipe, 1200, arena, &g.total, err);
    if (st == BRAGG_OK)
        st = bragg_store_curves_whole(t->c, err);
    if (st == BRAGG_OK && g.total)
        st = tell_part(t, &g, err);
    if (st == BRAGG_OK)
        st = bragg_json_write_take(json_incref(t->summary), bragg_path_join(arena, t->w->out, "analysis.json"), t->w->force || t->w->resume, err);
    bragg_arena_free(arena);
    return st;
}

static bragg_status write_results(const wish *w, bragg_series *s, const bragg_experiment *x, const bragg_frames *f, const char *store,
                                  const wanted *want, bragg_error *err)
{
    bool force = w->force || w->resume;
    bragg_store_curves c;
    telling t = { w, s, &c, NULL };
    bragg_status total = BRAGG_OK;
    give_back();
    bragg_status st = store ? bragg_store_patterns(store, 1200, &c, err) : bragg_frames_curves(f, x, 1200, &c, err);
    if (st == BRAGG_OK)
        st = bragg_series_name_alarms(s, &c, x, err);
    if (st == BRAGG_OK)
        st = bragg_series_write_csv(s, bragg_path_join(s->arena, w->out, "series.csv"), force, err);
    if (st == BRAGG_OK)
        st = bragg_series_write_json(s, bragg_path_join(s->arena, w->out, "series.json"), force, err);
    if (st == BRAGG_OK)
        st = analyse(&t, x, f, want, &total, err);
    if (st == BRAGG_OK && store)
        st = bragg_store_add_analysis(store, w->out, t.summary, s, err);
    json_decref(t.summary);
    if (st == BRAGG_OK)
        st = write_cifs(w, s, x, f, err);
    if (st == BRAGG_OK && !w->no_plots)
        st = draw_figures(w->out, s, &c, force, err);
    if (st == BRAGG_OK)
        st = bragg_store_curves_whole(&c, err);
    if (st == BRAGG_OK)
        st = bragg_series_whole(s, err);
    bragg_store_curves_free(&c);
    return st == BRAGG_OK ? total : st;
}

/* ---------------------------------------------------------------- command */

static bool has_store(void)
{
#ifdef HAVE_HDF5
    return true;
#else
    return false;
#endif
}

/* What a sequence is when the file does not say (bragg_seq_plan). */
static const char *usual_sequence(const bragg_experiment *x)
{
    return x->n_phases > 1 ? "sequence: {direction: forward, propagate: true, appear: bic, enter: 10, leave: 0, block: 32}"
                           : "sequence: {direction: forward, propagate: true, appear: always}";
}

/* A file that a section names; folders and things like "gaps" have no hash. */
static bragg_status add_named(json_t *inputs, const char *experiment, const bragg_yaml *node, bragg_arena *arena, bragg_error *err)
{
    const char *text;
    if (!node || node->kind != BRAGG_YAML_SCALAR || bragg_yaml_text(node, &text, NULL) < 0)
        return BRAGG_OK;
    const char *path = bragg_path_beside(arena, experiment, text);
    struct stat info;
    if (!path)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? cli_add_input(inputs, path, err) : BRAGG_OK;
}

static bragg_status add_text(json_t *root, const char *key, const char *path, bragg_error *err)
{
    enum { MOST = 1 << 26 };
    unsigned char *text;
    size_t n;
    bragg_status st = bragg_bytes_of_file(path, MOST, &text, &n, err);
    if (st == BRAGG_OK && json_object_set_new(root, key, json_string((const char *)text)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for the text of '%s', or it is no UTF-8", path);
    free(text);
    return st;
}

/* What the run was made with and from, and the configuration in force as prepare has
 * written it; the experiment's own text stands beside it in the store. */
static bragg_status make_provenance(const wish *w, const char *path, const bragg_experiment *x, bragg_arena *arena, const char **out, bragg_error *err)
{
    static const struct { const char *section, *key; } named[] = { { "log", "file" }, { "detector", "poni" }, { "detector", "mask" }, { "detector", "dark" },
        { "refine", "instrument" }, { "pdf", "background" } };
    json_t *root = json_object(), *inputs = json_array();
    bragg_status st = cli_add_input(inputs, path, err);
    for (size_t k = 0; k < x->n_phases && st == BRAGG_OK; k++)
        if (x->phase[k].path)
            st = cli_add_input(inputs, x->phase[k].path, err);
    for (size_t k = 0; k < sizeof named / sizeof *named && st == BRAGG_OK; k++)
        st = add_named(inputs, path, bragg_yaml_get(bragg_yaml_get(x->root, named[k].section), named[k].key), arena, err);
    json_object_set_new(root, "program", json_string("bragg " PACKAGE_VERSION));
    json_object_set_new(root, "inputs", inputs);
    const char *config = bragg_path_join(arena, w->out, "experiment.yaml");
    if (st == BRAGG_OK)
        st = config ? add_text(root, "configuration", config, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    *out = text ? bragg_arena_strdup(arena, text) : NULL;
    free(text);
    json_decref(root);
    return st < 0 || *out ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for the provenance");
}

static bragg_status prepare(const wish *w, const bragg_experiment *x, bragg_arena *arena, bragg_series_options *o, bragg_error *err)
{
    if (w->resume && !w->out)
        return bragg_fail(err, BRAGG_EINVAL, "--resume: expected -o DIR with the run to go on with, found none");
    bragg_status st = w->out && !silent(w) ? bragg_path_make_folder(w->out, err) : BRAGG_OK;
    o->follow = w->follow;
    o->idle_s = w->idle_s;
    o->peers = w->peers;
    if (st < 0 || !w->out)
        return st;
    const char *csv = bragg_path_join(arena, w->out, "series.csv"), *store = bragg_path_join(arena, w->out, "series.h5");
    if (!csv || !store)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    o->store = has_store() || w->resume ? store : NULL;
    o->resume = w->resume;
    o->force = w->force;
    if (silent(w))
        return BRAGG_OK;
    if (!w->force && !w->resume && bragg_path_exists(csv))
        return bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", csv);
    return cli_write_config(x, usual_sequence(x), bragg_path_join(arena, w->out, "experiment.yaml"), w->force || w->resume, err);
}

/* A run that ended before its store began, as a log that cannot be read ends it, is begun
 * again without --force. */
static void forget_config(const wish *w, const char *store, bragg_arena *arena)
{
    const char *config = w->out ? bragg_path_join(arena, w->out, "experiment.yaml") : NULL;
    if (config && !silent(w) && !w->force && !w->resume && !(store && bragg_path_exists(store)))
        unlink(config);
}

static bragg_status operando(wish *w, const char *path, bragg_error *err)
{
    bragg_experiment *x = NULL;
    bragg_series *s = NULL;
    bragg_frames *f = NULL;
    bragg_series_options o = BRAGG_SERIES_OPTIONS_INIT;
    wanted want;
    cli_progress bar;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? cli_experiment_read(path, &x, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a series");
    if (st == BRAGG_OK && !w->out)
        w->out = x->directory;
    if (st == BRAGG_OK) /* what is wrong with it is told before the work */
        st = write_cifs(w, NULL, NULL, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_series_check(x, err);
    if (st == BRAGG_OK)
        st = read_wanted(x, path, arena, &want, err);
    if (st == BRAGG_OK && w->config) {
        st = silent(w) ? BRAGG_OK : cli_print_config(x, usual_sequence(x), err);
        bragg_experiment_free(x);
        bragg_arena_free(arena);
        return st;
    }
    if (st == BRAGG_OK)
        st = bragg_frames_open(x, path, w->follow, &f, err);
    if (st == BRAGG_OK)
        st = prepare(w, x, arena, &o, err);
    bool written = st == BRAGG_OK;
    if (st == BRAGG_OK && o.store && !silent(w))
        st = make_provenance(w, path, x, arena, &o.provenance, err);
    st = bragg_peers_agree(w->peers, st, err);
    if (st == BRAGG_OK && !silent(w))
        cli_tell_cards(x);
    if (st == BRAGG_OK) {
        signal(SIGXFSZ, SIG_IGN); /* a full quota is an error of write, not the end */
        cli_observer_to_stop(&bar, "frame"); /* after the frame in hand */
        bar.terminal = bar.terminal && !silent(w);
        bar.observer.log = silent(w) ? NULL : talk;
        o.observer = &bar.observer;
        st = bragg_series_fit(x, path, f, &o, &s, err);
        cli_progress_end(&bar);
    }
    bool results = st >= 0 && s;
    if (written && st < 0)
        forget_config(w, o.store, arena);
    if (st == BRAGG_STOPPED && o.store)
        fprintf(stderr, "bragg operando: stopped; --resume goes on with '%s'\n", o.store);
    if (results && w->out)
        st = write_results(w, s, x, f, o.store, &want, err);
    if (results && st >= 0 && w->json)
        st = bragg_series_print_json(s, err);
    else if (results && st >= 0)
        st = print_series(s, err);
    bragg_series_free(s);
    bragg_frames_free(f);
    bragg_experiment_free(x);
    bragg_arena_free(arena);
    return st;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    wish *w = payload;
    bragg_status st = cli_one("EXPERIMENT.yaml", operands, argv, err);
    if (st == BRAGG_OK)
        st = cli_peers_begin(&w->started, err);
    w->peers = cli_peers_of(w->started);
    if (st == BRAGG_OK)
        st = operando(w, argv[0], err);
    return st < 0 && silent(w) ? cli_said(st, err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { 0 };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.out, "DIR", "write series.h5, series.csv, series.json and the figures here" },
        { "resume", 0, CLI_FLAG, &w.resume, NULL, "go on with the run that stands in DIR" },
        { "follow", 0, CLI_FLAG, &w.follow, NULL, "go on waiting for frames until Ctrl-C or SIGTERM" },
        { "idle", 0, CLI_NUMBER, &w.idle_s, "S", "with --follow: end when none has come for so many seconds" },
        { "cif", 0, CLI_TEXT, &w.cif, "FRAMES", "write these frames' fits as pdCIF too: 0,12,40" },
        { "no-figures", 0, CLI_FLAG, &w.no_plots, NULL, "write the tables only" },
        { "print-config", 0, CLI_FLAG, &w.config, NULL, "print the experiment as it is in force and exit" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    int status = cli_run(&cli_operando, options, sizeof options / sizeof *options, argc, argv, work, &w);
    cli_peers_end(w.started, status);
    return status;
}

const cli_command cli_operando = { "operando", "EXPERIMENT.yaml", "refine a run of frames or patterns in sequence, beside its log", run };
