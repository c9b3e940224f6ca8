/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All that is asked of a run beyond its fits, and how it is told: text, CSV, JSON. */
#include "config.h"
#include "analyse.h"
#include "operando.h"

#include <bragg/csv.h>
#include <bragg/json.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------- options */

/* auto, none, or something else that the caller reads: *other. */
static void read_choice(const bragg_yaml *node, bool *wanted, bool *other)
{
    bool named = node && node->kind == BRAGG_YAML_SCALAR && node->text && (!strcmp(node->text, "auto") || !strcmp(node->text, "none"));
    if (node)
        *wanted = !named || *node->text == 'a';
    *other = node && !named;
}

static bragg_status read_peaks(const bragg_yaml *node, bragg_arena *arena, bragg_analysis_options *o, bragg_error *err)
{
    if (node->kind != BRAGG_YAML_SEQUENCE || !node->n_children)
        return bragg_yaml_fail(node, err, "peaks: expected auto, none or a list of positions in deg");
    double *at = bragg_arena_alloc(arena, node->n_children, sizeof *at);
    bragg_status st = at ? bragg_yaml_numbers(node, at, node->n_children, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu peaks", node->n_children);
    for (size_t k = 0; k < node->n_children && st == BRAGG_OK; k++) {
        if (!(at[k] > 0 && at[k] < 180))
            return bragg_yaml_fail(node, err, "peaks: expected 2theta from 0 to 180 deg, found %g", at[k]);
        at[k] *= BRAGG_DEG;
    }
    o->n_peaks = node->n_children;
    o->peak_rad = at;
    return st;
}

bragg_status bragg_analysis_options_read(const bragg_experiment *x, bragg_arena *arena, bragg_analysis_options *o, bragg_error *err)
{
    static const char *const keys[] = { "peaks", "components", "smooth" };
    const bragg_yaml *map = bragg_yaml_get(x->root, "analysis"), *peaks = bragg_yaml_get(map, "peaks"), *components = bragg_yaml_get(map, "components");
    const bragg_radiation *r = &x->pattern->histogram.radiation;
    bool other;
    long long n = 0;
    *o = (bragg_analysis_options){ .peaks = true, .components = true, .smooth = true, .wavelength_ang = { r->wavelength_ang[0], r->wavelength_ang[0] } };
    if (r->n_lines > 1) {
        o->wavelength_ang[1] = r->wavelength_ang[1];
        o->ratio2 = r->ratio[1] / r->ratio[0];
    }
    bragg_status st = map ? bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err) : BRAGG_OK;
    read_choice(peaks, &o->peaks, &other);
    if (st == BRAGG_OK && other)
        st = read_peaks(peaks, arena, o, err);
    read_choice(components, &o->components, &other);
    if (st == BRAGG_OK && other)
        st = bragg_yaml_integer(components, &n, err);
    if (st == BRAGG_OK && other && (n < 1 || n > 8))
        st = bragg_yaml_fail(components, err, "components: expected auto, none or 1 to 8, found %lld", n);
    o->n_components = st == BRAGG_OK ? (size_t)n : 0;
    if (st == BRAGG_OK && bragg_yaml_get(map, "smooth"))
        st = bragg_yaml_bool(bragg_yaml_get(map, "smooth"), &o->smooth, err);
    return st;
}

typedef struct analyst {
    const bragg_series *s;
    const bragg_store_curves *c;
    const bragg_analysis_options *o;
} analyst;

static bragg_status separate(const analyst *w, bragg_arena *arena, bragg_analysis *to, bragg_error *err)
{
    return bragg_series_components(w->c, w->o, arena, &to->components, err);
}

/* What a row's frames have above and below the refined background, means of those that were
 * fitted well; false: of none. */
static bool ground_of(const bragg_series *s, size_t first, size_t last, double *above, double *below, double *esd)
{
    double n = 0, variance = 0;
    *above = *below = 0;
    for (size_t k = first; k < last && k < s->n; k++) {
        const bragg_frame_fit *f = bragg_series_fitted(s, k);
        bool good = f->done && (f->status == BRAGG_FRAME_OK || f->status == BRAGG_FRAME_AT_BOUND) && isfinite(f->above) && f->background.esd > 0;
        if (good)
            *above += f->above, *below += f->background.value, variance += f->background.esd * f->background.esd, n++;
    }
    *above /= n, *below /= n, *esd = sqrt(variance) / n; /* NAN of none */
    return n > 0;
}

/* The refined background instead of lines between the peaks, once most of the rows have one. */
static bragg_status take_ground(const bragg_series *s, bragg_tracks *t, bragg_error *err)
{
    size_t known = 0;
    double above, below, esd;
    for (size_t r = 0; r < t->rows && s->n_phases; r++)
        known += ground_of(s, r * t->frames, (r + 1) * t->frames, &above, &below, &esd);
    t->by_fit = 2 * known > t->rows;
    for (size_t r = 0; t->by_fit && r < t->rows; r++)
        ground_of(s, r * t->frames, (r + 1) * t->frames, &t->bragg[r], &t->background[r], &t->bragg_esd[r]);
    return t->by_fit ? bragg_tracks_share(t, err) : BRAGG_OK;
}

static bragg_status track(const analyst *w, bragg_arena *arena, bragg_analysis *to, bragg_error *err)
{
    bragg_status st = bragg_series_track(w->c, w->o, arena, &to->tracks, err);
    return st == BRAGG_OK ? take_ground(w->s, to->tracks, err) : st;
}

static bragg_status smooth(const analyst *w, bragg_arena *arena, bragg_analysis *to, bragg_error *err)
{
    return bragg_series_smooth(w->s, arena, &to->smooth, err);
}

bragg_status bragg_series_analyse(const bragg_series *s, const bragg_store_curves *c, const bragg_analysis_options *o, bragg_analysis_visit *visit, void *payload,
                                  bragg_error *err)
{
    const analyst w = { s, c, o };
    const bool patterns = c->n >= 50 && c->rows > 2 && (c->sigma || c->stored);
    const struct { bool wanted; bragg_status (*make)(const analyst *, bragg_arena *, bragg_analysis *, bragg_error *); } parts[] = {
        { o->peaks && patterns, track }, { o->components && patterns, separate }, { o->smooth, smooth } };
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < sizeof parts / sizeof *parts && st == BRAGG_OK; k++) {
        bragg_analysis one = { 0 };
        bragg_arena *arena = parts[k].wanted ? bragg_arena_new() : NULL;
        if (parts[k].wanted)
            st = arena ? parts[k].make(&w, arena, &one, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for an analysis");
        if (st == BRAGG_OK)
            st = bragg_series_whole(s, err);
        bragg_status whole = bragg_store_curves_whole(c, err);
        st = whole < 0 ? whole : st;
        if (st == BRAGG_OK && arena)
            st = visit(payload, &one, err);
        bragg_arena_free(arena);
    }
    return st;
}

/* ----------------------------------------------------------------- places */

/* A row, not whole, as a frame. */
static double frame_of(double row, size_t frames) { return (row + 0.5) * (double)frames - 0.5; }

static double between(const bragg_series *s, double frame, double (*of)(const bragg_series *, size_t))
{
    double at = fmin(fmax(frame, 0), (double)(s->n - 1));
    size_t k = (size_t)at, next = k + 1 < s->n ? k + 1 : k;
    return of(s, k) + (at - (double)k) * (of(s, next) - of(s, k));
}

static double voltage_of(const bragg_series *s, size_t k) { return bragg_series_log(s, k)->voltage_v; }
static double temperature_of(const bragg_series *s, size_t k) { return bragg_series_fitted(s, k)->temperature_k; }

/* The voltage of an event, with the doubt of its frame and of the clocks. */
static bragg_quantity voltage_then(const bragg_series *s, double frame, double esd_frames)
{
    double v = between(s, frame, voltage_of), span_s = s->n > 1 ? bragg_series_time_s(s, s->n - 1) - bragg_series_time_s(s, 0) : NAN;
    double clocks = s->logged && s->clock.offset_esd_s > 0 && span_s > 0 ? s->clock.offset_esd_s * (double)(s->n - 1) / span_s : 0;
    double doubt = hypot(esd_frames, isfinite(clocks) ? clocks : 0), esd = fabs(between(s, frame + doubt, voltage_of) - between(s, frame - doubt, voltage_of)) / 2;
    return (bragg_quantity){ v, esd > 0 ? esd : NAN };
}

/* ------------------------------------------------------------------- csv */

static void put_number(FILE *to, double v, int digits)
{
    fputc(',', to);
    bragg_csv_number(to, v, digits, "");
}

static void put_quantity(FILE *to, bragg_quantity q)
{
    put_number(to, q.value, 9);
    put_number(to, q.esd, 3);
}

static void put_place(FILE *to, const bragg_series *s, double frame)
{
    char text[BRAGG_NUMBER_TEXT];
    fputs(bragg_number_print_digits(text, frame, 9), to);
    put_number(to, between(s, frame, bragg_series_time_s), 9);
    put_number(to, between(s, frame, voltage_of), 7);
    put_number(to, between(s, frame, temperature_of), 7);
}

static void put_tracks(FILE *to, const bragg_tracks *t, const bragg_series *s)
{
    fputs("frame,time_s,voltage_v,temperature_k,bragg,bragg.esd,background,amorphous,crystalline_fraction,crystalline_fraction.esd", to);
    for (size_t k = 0; k < t->n; k++)
        for (int q = 0; q < 6; q++)
            fprintf(to, ",peak.%zu.%s%s", k, q < 2 ? "two_theta_deg" : q < 4 ? "area" : "fwhm_deg", q % 2 ? ".esd" : "");
    fputc('\n', to);
    for (size_t r = 0; r < t->rows; r++) {
        put_place(to, s, frame_of((double)r, t->frames));
        put_quantity(to, (bragg_quantity){ t->bragg[r], t->bragg_esd[r] });
        put_number(to, t->background[r], 7);
        put_number(to, t->amorphous[r], 7);
        put_quantity(to, t->crystalline[r]);
        for (size_t k = 0; k < t->n; k++) {
            const bragg_track_point *p = &t->track[k].at[r];
            put_quantity(to, (bragg_quantity){ p->two_theta_rad.value / BRAGG_DEG, p->two_theta_rad.esd / BRAGG_DEG });
            put_quantity(to, (bragg_quantity){ p->area.value / BRAGG_DEG, p->area.esd / BRAGG_DEG });
            put_quantity(to, (bragg_quantity){ p->fwhm_rad.value / BRAGG_DEG, p->fwhm_rad.esd / BRAGG_DEG });
        }
        fputc('\n', to);
    }
}

static void put_amounts(FILE *to, const bragg_components *f, const bragg_series *s, size_t frames)
{
    fputs("frame,time_s,voltage_v,temperature_k", to);
    for (size_t k = 0; k < f->n; k++)
        fprintf(to, ",component.%zu,component.%zu.esd", k, k);
    fputc('\n', to);
    for (size_t r = 0; r < f->rows; r++) {
        put_place(to, s, frame_of((double)f->row[r], frames));
        for (size_t k = 0; k < f->n; k++)
            put_quantity(to, (bragg_quantity){ f->concentration[r * f->n + k], f->esd[r * f->n + k] });
        fputc('\n', to);
    }
}

static void put_spectra(FILE *to, const bragg_components *f)
{
    char text[BRAGG_NUMBER_TEXT];
    fputs("two_theta_deg", to);
    for (size_t k = 0; k < f->n; k++)
        fprintf(to, ",component.%zu", k);
    fputc('\n', to);
    for (size_t i = 0; i < f->points; i++) {
        fputs(bragg_number_print_digits(text, f->x_rad[i] / BRAGG_DEG, 9), to);
        for (size_t k = 0; k < f->n; k++)
            put_number(to, f->spectrum[k * f->points + i] * BRAGG_DEG, 6);
        fputc('\n', to);
    }
}

static void put_smooth(FILE *to, const bragg_smooth *m, const bragg_series *s)
{
    fputs("frame,time_s,voltage_v,temperature_k", to);
    for (size_t k = 0; k < m->n_params; k++)
        for (int esd = 0; esd < 2; esd++) {
            char text[120];
            snprintf(text, sizeof text, "%s%s", s->name[m->param[k]], esd ? ".esd" : "");
            fputc(',', to);
            bragg_csv_text(to, text, "");
        }
    fputc('\n', to);
    for (size_t i = 0; i < m->n; i++) {
        put_place(to, s, (double)i);
        for (size_t k = 0; k < m->n_params; k++)
            put_quantity(to, (bragg_quantity){ m->value[i * m->n_params + k], m->esd[i * m->n_params + k] });
        fputc('\n', to);
    }
}

/* A line an r, G and its esd of each row under the frame in its middle. */
static void put_total(FILE *to, const bragg_pdf_course *t)
{
    char text[BRAGG_NUMBER_TEXT];
    fputs("r_ang", to);
    for (size_t r = 0; r < t->rows; r++) {
        const char *frame = bragg_number_print_digits(text, frame_of((double)r, t->frames), 9);
        fprintf(to, ",frame.%s,frame.%s.esd", frame, frame);
    }
    fputc('\n', to);
    for (size_t i = 0; i < t->n; i++) {
        fputs(bragg_number_print_digits(text, t->r_ang[i], 9), to);
        for (size_t r = 0; r < t->rows; r++)
            put_quantity(to, (bragg_quantity){ t->gr[r * t->n + i], t->gr_sigma[r * t->n + i] });
        fputc('\n', to);
    }
}

static void put_total_course(FILE *to, const bragg_pdf_course *t, const bragg_series *s)
{
    fputs("frame,time_s,voltage_v,temperature_k,changed,scale_of_first,low_r_slope,low_r_slope.esd\n", to);
    for (size_t r = 0; r < t->rows; r++) {
        put_place(to, s, frame_of((double)r, t->frames));
        put_number(to, t->change[0][r], 7);
        put_number(to, t->change[1][r], 7);
        put_quantity(to, (bragg_quantity){ t->slope[0][r], t->slope[1][r] });
        fputc('\n', to);
    }
}

/* ------------------------------------------------------------------ json */

static json_t *event_json(const bragg_track_event *e, const bragg_tracks *t, const bragg_series *s)
{
    double frame = frame_of(e->row.value, t->frames), esd = e->row.esd * (double)t->frames;
    double later = between(s, frame + esd / 2, bragg_series_time_s), sooner = between(s, frame - esd / 2, bragg_series_time_s);
    bragg_quantity v = voltage_then(s, frame, esd);
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "kind", e->onset ? "onset" : "end", "frame", bragg_json_quantity(frame, esd, "frames"), "time",
                     bragg_json_quantity(between(s, frame, bragg_series_time_s), later - sooner, "s"), "voltage_v", bragg_json_number(v.value), "voltage_esd_v", bragg_json_number(v.esd),
                     "temperature_k", bragg_json_number(between(s, frame, temperature_of)));
}

static json_t *relative(size_t k) { return k == SIZE_MAX ? json_null() : json_integer((json_int_t)k); }

static json_t *tracks_json(const bragg_tracks *t, const bragg_series *s)
{
    json_t *list = json_array();
    for (size_t k = 0; k < t->n; k++) {
        const bragg_track *one = &t->track[k];
        json_t *events = json_array();
        for (size_t e = 0; e < one->n_events; e++)
            json_array_append_new(events, event_json(&one->event[e], t, s));
        json_array_append_new(list, json_pack("{s:I,s:f,s:o,s:o,s:o}", "peak", (json_int_t)k, "two_theta_deg", one->two_theta_rad / BRAGG_DEG, "split_from",
                                              relative(one->split_from), "merged_into", relative(one->merged_into), "events", events));
    }
    return list;
}

static json_t *numbers_json(const double *v, size_t n)
{
    json_t *list = json_array();
    for (size_t k = 0; k < n; k++)
        json_array_append_new(list, bragg_json_number(v[k]));
    return list;
}

static json_t *factors_json(const bragg_components *f)
{
    return json_pack("{s:I,s:I,s:f,s:o,s:o,s:o}", "components", (json_int_t)f->n, "rank", (json_int_t)f->rank, "noise_edge", f->noise_edge, "singular_values",
                     numbers_json(f->singular, f->n_singular < 20 ? f->n_singular : 20), "bic", numbers_json(f->bic, f->n_tried), "chi2_reduced",
                     numbers_json(f->chi2_reduced, f->n_tried));
}

static json_t *smooth_json(const bragg_smooth *m, const bragg_series *s)
{
    json_t *all = json_object();
    for (size_t k = 0; k < m->n_params; k++)
        json_object_set_new(all, s->name[m->param[k]], json_pack("{s:o,s:o,s:s}", "step", bragg_json_number(m->walk[k]), "scatter_over_esd", bragg_json_number(m->misfit[k]), "unit",
                                                                 s->unit[m->param[k]]));
    return all;
}

static json_t *total_json(const bragg_pdf_course *t)
{
    const bragg_pdf_options *o = &t->used;
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:o,s:I}", "route", o->physical ? "physical" : "ad hoc", "background_scale", bragg_json_number(o->background_scale),
                     "qmin_invang", bragg_json_number(o->qmin_invang), "qmax_invang", bragg_json_number(o->qmax_invang), "qmaxinst_invang",
                     bragg_json_number(o->qmaxinst_invang), "rpoly_ang", bragg_json_number(o->rpoly_ang), "window", bragg_pdf_window_name(o->window),
                     "low_r_slope_expected", bragg_json_number(t->slope_expected), "rows", (json_int_t)t->rows);
}

json_t *bragg_analysis_summary(void) { return json_pack("{s:n,s:n,s:n,s:n,s:n}", "peaks", "ground", "components", "smooth", "pdf"); }

/* ------------------------------------------------------------------ write */

enum { PEAKS, AMOUNTS, SPECTRA, SMOOTH, TOTAL, TOTAL_COURSE, TABLES };
static const struct { const char *name, *part; } tables[TABLES] = { { "peaks", "peaks" }, { "components", "components" }, { "spectra", "components" },
    { "smooth", "smooth" }, { "pdf", "pdf" }, { "pdf-course", "pdf" } };

static bool has_table(const bragg_analysis *a, int which)
{
    const void *const of[TABLES] = { a->tracks, a->components, a->components, a->smooth, a->total, a->total };
    return of[which] != NULL;
}

static void put_table(FILE *to, const bragg_analysis *a, const bragg_series *s, int which)
{
    if (which == PEAKS)
        put_tracks(to, a->tracks, s);
    else if (which == AMOUNTS)
        put_amounts(to, a->components, s, (s->n + a->components->curves - 1) / a->components->curves);
    else if (which == SPECTRA)
        put_spectra(to, a->components);
    else if (which == SMOOTH)
        put_smooth(to, a->smooth, s);
    else if (which == TOTAL)
        put_total(to, a->total);
    else
        put_total_course(to, a->total, s);
}

static const char *table_path(bragg_arena *arena, const char *folder, int which)
{
    char name[40];
    snprintf(name, sizeof name, "%s.csv", tables[which].name);
    return bragg_path_join(arena, folder, name);
}

static bool summarize(const bragg_analysis *a, const bragg_series *s, json_t *to)
{
    return (!a->tracks || (!json_object_set_new(to, "peaks", tracks_json(a->tracks, s)) && !json_object_set_new(to, "ground", json_string(a->tracks->by_fit ? "fit" : "points")))) && (!a->components || !json_object_set_new(to, "components", factors_json(a->components))) &&
           (!a->smooth || !json_object_set_new(to, "smooth", smooth_json(a->smooth, s))) && (!a->total || !json_object_set_new(to, "pdf", total_json(a->total)));
}

bragg_status bragg_analysis_write(const bragg_analysis *a, const bragg_series *s, const char *folder, bool force, json_t *summary, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    for (int k = 0; k < TABLES && st == BRAGG_OK; k++) {
        bragg_output *out;
        if (!has_table(a, k))
            continue;
        st = bragg_output_open(table_path(arena, folder, k), force, &out, err);
        if (st < 0)
            break;
        put_table(bragg_output_stream(out), a, s, k);
        st = bragg_series_commit(s, out, err);
    }
    bragg_arena_free(arena);
    return st < 0 || summarize(a, s, summary) ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for the analysis");
}

/* The tables that the summary tells of, opened where they were written. */
static bragg_status open_tables(const char *folder, const json_t *summary, FILE **table, const char **names, size_t *n, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    for (int k = 0; k < TABLES && st == BRAGG_OK; k++) {
        if (!json_is_object(json_object_get(summary, tables[k].part)) && !json_is_array(json_object_get(summary, tables[k].part)))
            continue;
        const char *path = table_path(arena, folder, k);
        if (!path)
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        else if (!(table[*n] = fopen(path, "rb")))
            st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", path, strerror(errno));
        else
            names[(*n)++] = tables[k].name;
    }
    bragg_arena_free(arena);
    return st;
}

bragg_status bragg_store_add_analysis(const char *store, const char *folder, const json_t *summary, const bragg_series *s, bragg_error *err)
{
    FILE *table[TABLES + 1];
    const char *names[TABLES + 1];
    size_t n = 0;
    bragg_status st = open_tables(folder, summary, table, names, &n, err);
    json_t *root = json_copy((json_t *)(uintptr_t)summary);
    bool listed = root && !json_object_set_new(root, "unexplained", bragg_alarms_json(s));
    char *json = listed ? json_dumps(root, JSON_REAL_PRECISION(12)) : NULL;
    if (st == BRAGG_OK)
        st = bragg_series_whole(s, err);
    if (json && st == BRAGG_OK)
        st = bragg_store_add_tables(store, names, table, n, json, err);
    else if (st == BRAGG_OK)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for the analysis");
    json_decref(root);
    free(json);
    while (n)
        fclose(table[--n]);
    return st;
}

/* ------------------------------------------------------------------- tell */

static void tell_event(FILE *to, const bragg_track_event *e, const bragg_tracks *t, const bragg_series *s)
{
    char text[BRAGG_NUMBER_TEXT];
    double frame = frame_of(e->row.value, t->frames), esd = e->row.esd * (double)t->frames, k = between(s, frame, temperature_of);
    bragg_quantity v = voltage_then(s, frame, esd);
    bool known = bragg_number_determined(frame, esd, NULL);
    fprintf(to, "%s%s%s", e->onset ? "comes" : "goes", known ? " at frame " : ", when is ", bragg_number_print_esd(text, frame, esd));
    if (isfinite(v.value) && v.esd > 0.0005)
        fprintf(to, " (%s V)", bragg_number_print_esd(text, v.value, v.esd));
    else if (isfinite(v.value))
        fprintf(to, " (%.3f V)", v.value);
    else if (isfinite(k))
        fprintf(to, " (%.0f K)", k);
}

/* Peaks that overlap come and go many times: those are left to the tables. */
static void tell_tracks(FILE *to, const bragg_tracks *t, const bragg_series *s)
{
    enum { MOST_EVENTS = 4 };
    size_t untold = 0;
    for (size_t k = 0; k < t->n; k++) {
        const bragg_track *one = &t->track[k];
        if (!one->n_events && one->split_from == SIZE_MAX && one->merged_into == SIZE_MAX)
            continue;
        if (one->n_events > MOST_EVENTS) {
            untold++;
            continue;
        }
        fprintf(to, "peak at %.3f deg:", one->two_theta_rad / BRAGG_DEG);
        bool begun = one->n_events && !one->event[0].onset && one->split_from == SIZE_MAX; /* what goes first has been there */
        fputs(begun ? " there from the start" : "", to);
        for (size_t e = 0; e < one->n_events; e++) {
            fputs(e || begun ? ", " : " ", to);
            tell_event(to, &one->event[e], t, s);
        }
        if (one->split_from != SIZE_MAX)
            fprintf(to, "%s splits from the one at %.3f deg", one->n_events ? "," : "", t->track[one->split_from].two_theta_rad / BRAGG_DEG);
        if (one->merged_into != SIZE_MAX)
            fprintf(to, "%s joins the one at %.3f deg", one->n_events || one->split_from != SIZE_MAX ? "," : "", t->track[one->merged_into].two_theta_rad / BRAGG_DEG);
        fputc('\n', to);
    }
    if (untold)
        fprintf(to, "%zu more peaks come and go more often, or overlap: see analysis.json\n", untold);
}

static void tell_total(FILE *to, const bragg_pdf_course *t)
{
    double most = 0;
    size_t at = 0;
    for (size_t r = 0; r < t->rows; r++)
        if (t->change[0][r] > most)
            most = t->change[0][r], at = r;
    fprintf(to, "G(r): Q %.4g to %.4g /angstrom, %.4g x background; at most %.1f %% of it has changed, in frame %.9g\n", t->used.qmin_invang, t->used.qmax_invang,
            t->used.background_scale, 100 * most, frame_of((double)at, t->frames));
}

void bragg_analysis_tell(const bragg_analysis *a, const bragg_series *s, FILE *to)
{
    if (a->tracks)
        tell_tracks(to, a->tracks, s);
    if (a->components)
        fprintf(to, "without a model: %zu singular value%s above noise, %zu component%s by evidence\n", a->components->rank, a->components->rank == 1 ? "" : "s", a->components->n, a->components->n == 1 ? "" : "s");
    if (a->total)
        tell_total(to, a->total);
}
