/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The series as CSV and JSON, row by row. */
#include "config.h"
#include "operando.h"

#include <bragg/csv.h>
#include <bragg/json.h>
#include <bragg/output.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[] = { "rest", "charge", "discharge" };

/* A store that is damaged may say anything. */
static const char *kind_of(const bragg_frame_fit *s) { return s->log.kind >= 0 && s->log.kind < 3 ? kinds[(int)s->log.kind] : ""; }

/* ------------------------------------------------------------------ csv */

static void print(FILE *to, double v, int digits)
{
    fputc(',', to);
    bragg_csv_number(to, v, digits, "");
}

static void print_text(FILE *to, const char *text)
{
    fputc(',', to);
    bragg_csv_text(to, text, "");
}

/* ",NAME.WHAT" */
static void print_name(FILE *to, const char *before, const char *name, const char *what)
{
    char text[300];
    snprintf(text, sizeof text, "%s%s%s", before, name, what);
    print_text(to, text);
}

static void print_head(FILE *to, const bragg_series *s)
{
    fprintf(to, "frame,file,index,status,time_s,log_time_s,voltage_v,current_a,temperature_k,capacity_mah_g,cycle,step,rwp,gof,path");
    for (size_t k = 0; k < s->n_params; k++)
        if (s->refined[k]) {
            print_name(to, "", s->name[k], "");
            print_name(to, "", s->name[k], ".esd");
        }
    for (size_t k = 0; k < s->n_phases; k++)
        for (int q = 0; q < 6; q++) {
            static const char *const what[] = { ".volume", ".volume.esd", ".weight_fraction", ".weight_fraction.esd", ".weight_fraction.limit", ".evidence" };
            print_name(to, "phase.", s->phase[k], what[q]);
        }
    fprintf(to, ",restarted,message\n");
}

static void print_row(FILE *to, const bragg_series *s, size_t i)
{
    const bragg_frame_fit *t = bragg_series_fitted(s, i);
    fprintf(to, "%zu", i);
    print_text(to, t->file);
    fprintf(to, ",%zu,%s", t->index, bragg_frame_status_name(t->status));
    print(to, t->time_s, 14);
    const double log[] = { t->log.time_s, t->log.voltage_v, t->log.current_a, t->temperature_k, t->log.capacity_mah_g, t->log.cycle };
    for (size_t k = 0; k < sizeof log / sizeof *log; k++)
        print(to, log[k], 9);
    fprintf(to, ",%s", kind_of(t));
    print(to, t->rwp, 6);
    print(to, t->gof, 6);
    print(to, t->path, 3);
    for (size_t k = 0; k < s->n_params; k++)
        if (s->refined[k]) {
            print(to, t->done ? t->value[k] : NAN, 10);
            print(to, t->done ? t->esd[k] : NAN, 3);
        }
    for (size_t k = 0; k < s->n_phases; k++) {
        print(to, t->done ? t->volume[k].value : NAN, 10);
        print(to, t->done ? t->volume[k].esd : NAN, 3);
        print(to, t->done ? t->fraction[k].value : NAN, 8);
        print(to, t->done ? t->fraction[k].esd : NAN, 3);
        print(to, t->done ? t->limit[k] : NAN, 3);
        print(to, t->done ? t->evidence[k] : NAN, 4);
    }
    fprintf(to, ",%d", t->restarted);
    print_text(to, t->error ? t->error : "");
    fputc('\n', to);
}

bragg_status bragg_series_commit(const bragg_series *s, bragg_output *out, bragg_error *err)
{
    bragg_status st = bragg_series_whole(s, err);
    if (st == BRAGG_OK)
        return bragg_output_commit(out, err);
    bragg_output_abandon(out);
    return st;
}

bragg_status bragg_series_write_csv(const bragg_series *s, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    print_head(to, s);
    for (size_t i = 0; i < s->n; i++)
        print_row(to, s, i);
    return bragg_series_commit(s, out, err);
}

/* ----------------------------------------------------------------- json */

static json_t *phase_json(const bragg_series *s, const bragg_frame_fit *t, size_t k)
{
    json_t *phase = json_object();
    json_object_set_new(phase, "name", json_string(s->phase[k]));
    json_object_set_new(phase, "present", json_boolean(t->level[k] > 0));
    json_object_set_new(phase, "volume", bragg_json_quantity(t->volume[k].value, t->volume[k].esd, "angstrom^3"));
    json_object_set_new(phase, "weight_fraction", bragg_json_quantity(t->fraction[k].value, t->fraction[k].esd, ""));
    json_object_set_new(phase, "weight_fraction_limit", bragg_json_number(t->limit[k]));
    json_object_set_new(phase, "evidence", bragg_json_number(t->evidence[k]));
    return phase;
}

static json_t *step_json(const bragg_series *s, size_t i)
{
    const bragg_frame_fit *t = bragg_series_fitted(s, i);
    json_t *row = json_object(), *params = json_object(), *phases = json_array();
    json_object_set_new(row, "frame", json_integer((json_int_t)i));
    json_object_set_new(row, "file", json_string(t->file));
    json_object_set_new(row, "index", json_integer((json_int_t)t->index));
    json_object_set_new(row, "status", json_string(bragg_frame_status_name(t->status)));
    if (t->error)
        json_object_set_new(row, "error", json_string(t->error));
    json_object_set_new(row, "converged", json_boolean(t->converged));
    json_object_set_new(row, "restarted", json_boolean(t->restarted));
    json_object_set_new(row, "time_s", bragg_json_number(t->time_s));
    json_object_set_new(row, "log_time_s", bragg_json_number(t->log.time_s));
    json_object_set_new(row, "voltage_v", bragg_json_number(t->log.voltage_v));
    json_object_set_new(row, "current_a", bragg_json_number(t->log.current_a));
    json_object_set_new(row, "temperature_k", bragg_json_number(t->temperature_k));
    json_object_set_new(row, "capacity_mah_g", bragg_json_number(t->log.capacity_mah_g));
    json_object_set_new(row, "cycle", bragg_json_number(t->log.cycle));
    json_object_set_new(row, "step", *kind_of(t) ? json_string(kind_of(t)) : json_null());
    json_object_set_new(row, "rwp", bragg_json_number(t->rwp));
    json_object_set_new(row, "gof", bragg_json_number(t->gof));
    json_object_set_new(row, "path", bragg_json_number(t->path));
    for (size_t k = 0; t->done && k < s->n_params; k++)
        if (s->refined[k])
            json_object_set_new(params, s->name[k], bragg_json_quantity(t->value[k], t->esd[k], s->unit[k]));
    for (size_t k = 0; t->done && k < s->n_phases; k++)
        json_array_append_new(phases, phase_json(s, t, k));
    json_object_set_new(row, "parameters", params);
    json_object_set_new(row, "phases", phases);
    return row;
}

static json_t *phase_name(const bragg_series *s, size_t i) { return i < s->n_phases ? json_string(s->phase[i]) : json_null(); }

static json_t *episode_json(const bragg_series *s, const bragg_episode *e)
{
    json_t *evidence = json_object();
    for (int v = BRAGG_VERDICT_NOTHING; v <= BRAGG_VERDICT_BOTH; v++)
        json_object_set_new(evidence, bragg_verdict_name((bragg_verdict)v), bragg_json_number(e->log_evidence[v]));
    return json_pack("{s:I,s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "first", (json_int_t)e->first, "last", (json_int_t)e->last, "verdict",
                     bragg_verdict_name(e->verdict), "log_odds_two_phase", bragg_json_number(e->log_odds), "log_odds_verdict", bragg_json_number(e->log_certainty),
                     "log_evidence", evidence, "transfer", bragg_json_quantity(e->transfer.value, e->transfer.esd, ""), "from", phase_name(s, e->from), "to",
                     phase_name(s, e->to), "strain", bragg_json_quantity(e->strain.value, e->strain.esd, ""), "moving", phase_name(s, e->moving), "moved",
                     bragg_json_quantity(e->moved.value, e->moved.esd, ""));
}

static json_t *episodes_json(const bragg_series *s)
{
    json_t *list = json_array();
    bragg_arena *arena = bragg_arena_new();
    bragg_episode *e;
    size_t n;
    if (arena && bragg_series_episodes(s, arena, &e, &n, NULL) == BRAGG_OK)
        for (size_t k = 0; k < n; k++)
            json_array_append_new(list, episode_json(s, &e[k]));
    bragg_arena_free(arena);
    return list;
}

json_t *bragg_alarms_json(const bragg_series *s)
{
    json_t *alarms = json_array();
    for (size_t k = 0; k < s->n_alarms; k++)
        json_array_append_new(alarms, json_pack("{s:I,s:I,s:f,s:f,s:s?,s:o}", "first", (json_int_t)s->alarm[k].first, "last", (json_int_t)s->alarm[k].last,
                                                "two_theta_deg", s->alarm[k].two_theta_rad / BRAGG_DEG, "significance", s->alarm[k].significance, "cards", s->alarm[k].cards, "score", bragg_json_number(s->alarm[k].score)));
    return alarms;
}

bragg_status bragg_alarms_take(bragg_series *s, const json_t *list, bragg_error *err)
{
    size_t n = json_array_size(list);
    s->alarm = bragg_arena_alloc(s->arena, n + 1, sizeof *s->alarm);
    if (!s->alarm)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu alarms", n);
    for (s->n_alarms = 0; s->n_alarms < n; s->n_alarms++) {
        const json_t *a = json_array_get(list, s->n_alarms), *score = json_object_get(a, "score");
        const char *cards = json_string_value(json_object_get(a, "cards"));
        s->alarm[s->n_alarms] = (bragg_alarm){ .first = (size_t)json_integer_value(json_object_get(a, "first")), .last = (size_t)json_integer_value(json_object_get(a, "last")),
                                               .two_theta_rad = BRAGG_DEG * json_number_value(json_object_get(a, "two_theta_deg")), .significance = json_number_value(json_object_get(a, "significance")),
                                               .cards = cards ? bragg_arena_strdup(s->arena, cards) : NULL, .score = json_is_number(score) ? json_number_value(score) : NAN };
    }
    return BRAGG_OK;
}

static json_t *head_json(const bragg_series *s)
{
    json_t *notes = json_array();
    for (size_t k = 0; k < s->n_notes; k++)
        json_array_append_new(notes, json_string(s->note[k]));
    json_t *clock = json_object();
    json_object_set_new(clock, "offset_s", bragg_json_quantity(s->clock.offset_s + s->clock_zero_s, s->clock.offset_esd_s, "s"));
    json_object_set_new(clock, "drift", bragg_json_quantity(s->clock.drift, s->clock.drift_esd, ""));
    return json_pack("{s:s?,s:o,s:o,s:o,s:o}", "title", s->title, "clock", clock, "notes", notes, "unexplained", bragg_alarms_json(s), "episodes", episodes_json(s));
}

/* A few thousand frames as one tree would fill the memory: one row at a time. */
static void print_json(FILE *to, const bragg_series *s)
{
    json_t *head = head_json(s);
    const char *key;
    json_t *value;
    fputs("{", to);
    json_object_foreach(head, key, value) {
        fprintf(to, "\n  \"%s\": ", key);
        json_dumpf(value, to, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
        fputs(",", to);
    }
    json_decref(head);
    fputs("\n  \"frames\": [", to);
    for (size_t i = 0; i < s->n; i++) {
        json_t *row = step_json(s, i);
        fputs(i ? ",\n    " : "\n    ", to);
        json_dumpf(row, to, JSON_REAL_PRECISION(12));
        json_decref(row);
    }
    fputs("\n  ]\n}\n", to);
}

bragg_status bragg_series_print_json(const bragg_series *s, bragg_error *err)
{
    print_json(stdout, s);
    return fflush(stdout) || ferror(stdout) ? bragg_fail(err, BRAGG_EIO, "standard output: cannot be written") : bragg_series_whole(s, err);
}

bragg_status bragg_series_write_json(const bragg_series *s, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    print_json(bragg_output_stream(out), s);
    return bragg_series_commit(s, out, err);
}
