/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of a run: one page that opens anywhere without a network. */
#include "config.h"
#include "figure.h"
#include "page.h"

#include <bragg/array.h>
#include <bragg/json.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ", 3.42 V", with a point whatever the locale of the program is. */
static void put_fixed(FILE *to, const char *before, double v, int decimals, const char *after)
{
    char text[400];
    bragg_fig_fixed(text, sizeof text, v, decimals);
    fprintf(to, "%s%s%s", before, text, after);
}

/* "3.42 h", in a smaller unit where the axis's leaves nothing before the point; as
 * many decimals as tell two frames apart. */
static void put_time(FILE *to, const bragg_series *s, const bragg_report_axis *a, size_t k)
{
    double t_s = a->map_s[k], step_s = (a->map_s[s->n - 1] - a->map_s[0]) / (double)(s->n - 1), unit = a->unit_s;
    while (unit > 1 && fabs(t_s) < unit)
        unit /= 60;
    int decimals = step_s > 0 ? (int)fmin(fmax(ceil(-log10(step_s / unit / 4)), 0), 3) : 0;
    put_fixed(to, ", ", t_s / unit, decimals, unit > 60 ? " h" : unit > 1 ? " min" : " s");
}

/* "frame 12, 3.4 h, 0.61 V": where a frame stands. */
static void place(FILE *to, const bragg_series *s, const bragg_report_axis *a, size_t k)
{
    const bragg_frame_fit *t = bragg_series_fitted(s, k);
    fprintf(to, "frame %zu", k);
    if (isfinite(a->unit_s) && isfinite(a->map_s[k]))
        put_time(to, s, a, k);
    if (isfinite(t->log.voltage_v))
        put_fixed(to, ", ", t->log.voltage_v, 3, " V");
    if (isfinite(t->temperature_k))
        put_fixed(to, ", ", t->temperature_k, 1, " K");
}

/* -------------------------------------------------------------- account */

/* The cell over a stay: its volume where it is first and last known well, and where it was
 * furthest outside of both. */
typedef struct course {
    size_t first, last, out;  /* out: SIZE_MAX where it never was */
} course;

/* A volume that is known as well as most of the stay's, `most` a usual esd. */
static bool well_known(const bragg_frame_fit *t, size_t phase, double most)
{
    return t->done && t->level[phase] > 0 && t->volume[phase].esd > 0 && t->volume[phase].esd <= 3 * most;
}

static double usual_esd(const bragg_series *s, size_t phase, size_t first, size_t last, double *room)
{
    size_t n = 0;
    for (size_t k = first; k <= last; k++)
        if (well_known(bragg_series_fitted(s, k), phase, INFINITY))
            room[n++] = bragg_series_fitted(s, k)->volume[phase].esd;
    qsort(room, n, sizeof *room, bragg_array_by_value);
    return n ? room[n / 2] : NAN;
}

/* How far v is outside of what lies between a and b, in esds. */
static double outside(bragg_quantity v, bragg_quantity a, bragg_quantity b)
{
    bragg_quantity high = a.value > b.value ? a : b, low = a.value > b.value ? b : a;
    return fmax((v.value - high.value) / hypot(v.esd, high.esd), (low.value - v.value) / hypot(v.esd, low.esd));
}

static course follow(const bragg_series *s, size_t phase, size_t first, size_t last, double *room)
{
    double most = usual_esd(s, phase, first, last, room);
    course c = { SIZE_MAX, SIZE_MAX, SIZE_MAX };
    for (size_t k = first; k <= last; k++)
        if (well_known(bragg_series_fitted(s, k), phase, most)) {
            c.first = c.first == SIZE_MAX ? k : c.first;
            c.last = k;
        }
    if (c.first == c.last)
        return c;
    bragg_quantity a = bragg_series_fitted(s, c.first)->volume[phase], b = bragg_series_fitted(s, c.last)->volume[phase];
    double furthest = 5, before = 0;
    for (size_t k = c.first; k <= c.last; k++) { /* one frame alone may have gone astray */
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        if (!well_known(t, phase, most))
            continue;
        double here = outside(t->volume[phase], a, b);
        if (fmin(here, before) > furthest)
            furthest = fmin(here, before), c.out = k;
        before = here;
    }
    return c;
}

static void put_volume(FILE *to, const char *before, bragg_quantity v, const char *after)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, "%s%s \xc3\x85\xc2\xb3%s", before, bragg_number_print_esd(text, v.value, v.esd), after);
}

static void tell_growth(FILE *to, const bragg_series *s, const bragg_report_axis *axis, size_t phase, size_t first, size_t last, double *room)
{
    char text[BRAGG_NUMBER_TEXT];
    course c = follow(s, phase, first, last, room);
    if (c.first == SIZE_MAX || c.first == c.last)
        return;
    bragg_quantity v = bragg_series_fitted(s, c.first)->volume[phase], w = bragg_series_fitted(s, c.last)->volume[phase];
    double change = 100 * (w.value / v.value - 1), esd = 100 * hypot(v.esd, w.esd) / v.value;
    if (fabs(change) > 3 * esd) {
        put_volume(to, " Its cell volume goes from ", v, " to ");
        put_volume(to, "", w, ", ");
        fprintf(to, "%s %% %s", bragg_number_print_esd(text, fabs(change), esd), change > 0 ? "more" : "less");
    } else {
        put_volume(to, c.out == SIZE_MAX ? " Its cell keeps its volume: " : " Its cell volume is the same in the end: ", v, " at first, ");
        put_volume(to, "", w, " at last");
    }
    if (c.out != SIZE_MAX) {
        bragg_quantity out = bragg_series_fitted(s, c.out)->volume[phase];
        put_volume(to, out.value > v.value ? ", in between up to " : ", in between down to ", out, " at ");
        place(to, s, axis, c.out);
    }
    fputs(".", to);
}

/* A sentence for each stay of a phase; a gap of one frame is none. */
static void tell_phase(FILE *to, const bragg_series *s, const bragg_report_axis *a, size_t p, double *room)
{
    size_t seen = 0, first = 0, last = 0, most = 0, stays = 0;
    fputs("<li><b>", to);
    bragg_page_escape(to, s->phase[p]);
    fputs("</b>: ", to);
    for (size_t k = 0; k <= s->n; k++) {
        bool there = k < s->n && bragg_series_fitted(s, k)->done && bragg_series_fitted(s, k)->level[p] > 0;
        if (k < s->n && !bragg_series_fitted(s, k)->done)
            continue;
        if (there) {
            if (!seen++)
                first = most = k;
            last = k;
            most = bragg_series_fitted(s, k)->fraction[p].value > bragg_series_fitted(s, most)->fraction[p].value ? k : most;
            continue;
        }
        if (!seen || (k < s->n && k + 1 < s->n && bragg_series_fitted(s, k + 1)->done && bragg_series_fitted(s, k + 1)->level[p] > 0))
            continue;
        stays++;
        fputs(stays > 1 ? " Again " : "there ", to);
        if (!first && last + 1 >= s->n)
            fputs("all the time", to);
        else if (first == last) {
            fputs("only at ", to);
            place(to, s, a, first);
        } else {
            fputs(first ? "from " : "from the start", to);
            if (first)
                place(to, s, a, first);
            fputs(last + 1 < s->n ? " to " : " to the end", to);
            if (last + 1 < s->n)
                place(to, s, a, last);
        }
        char text[BRAGG_QUANTITY_TEXT];
        bragg_quantity f = bragg_series_fitted(s, most)->fraction[p];
        if (s->n_phases > 1 && isfinite(f.value)) {
            fprintf(to, ", %s%s", first == last ? "" : "at most ", bragg_number_print_quantity(text, 100 * f.value, 100 * f.esd, "wt%"));
            if (first != last) {
                fputs(" at ", to);
                place(to, s, a, most);
            }
        }
        fputs(".", to);
        tell_growth(to, s, a, p, first, last, room);
        seen = 0;
    }
    if (!stays)
        fputs("not found in any frame.", to);
    fputs("</li>\n", to);
}

/* The cell at the end of a cycle against that of the cycle before. */
typedef struct cycle_end {
    double cycle, before;
    bragg_quantity now, then;
} cycle_end;

static size_t find_ends(const bragg_series *s, size_t phase, cycle_end *out)
{
    cycle_end last = { .cycle = NAN };
    size_t n = 0;
    for (size_t k = 0; k < s->n; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        bool end = k + 1 == s->n || bragg_series_fitted(s, k + 1)->log.cycle > t->log.cycle;
        if (!end || !t->done || !(t->level[phase] > 0) || !(t->volume[phase].esd > 0) || !isfinite(t->log.cycle))
            continue;
        cycle_end now = { t->log.cycle, last.cycle, t->volume[phase], last.now };
        if (isfinite(now.before))
            out[n++] = now;
        last = now;
    }
    return n;
}

static double change_of(const cycle_end *e, double *esd)
{
    *esd = 100 * hypot(e->now.esd, e->then.esd) / e->then.value;
    return 100 * (e->now.value / e->then.value - 1);
}

/* Whose cells are others is told one by one, the rest in one sentence. */
static void tell_cycles(FILE *to, const bragg_series *s, bragg_arena *arena)
{
    char text[BRAGG_NUMBER_TEXT];
    cycle_end *ends = bragg_arena_alloc(arena, s->n + 1, sizeof *ends);
    size_t same = 0;
    for (size_t p = 0; ends && p < s->n_phases; p++) {
        size_t n = find_ends(s, p, ends), told = 0;
        for (size_t k = 0; k < n; k++) {
            double esd, change = change_of(&ends[k], &esd);
            if (!(fabs(change) > 2 * esd))
                continue;
            fprintf(to, "<li>At the end of cycle %.0f the cell of <b>", ends[k].cycle);
            bragg_page_escape(to, s->phase[p]);
            fprintf(to, "</b> is %s %% %s than at the end of cycle %.0f.</li>\n", bragg_number_print_esd(text, fabs(change), esd), change > 0 ? "larger" : "smaller", ends[k].before);
            told++;
        }
        same += n && !told;
    }
    if (!same)
        return;
    fputs("<li>At the ends of the cycles the same within twice the uncertainty: the cell of ", to);
    for (size_t p = 0, some = 0; p < s->n_phases; p++) {
        size_t n = find_ends(s, p, ends), changed = 0;
        for (size_t k = 0; k < n; k++) {
            double esd, change = change_of(&ends[k], &esd);
            changed += fabs(change) > 2 * esd;
        }
        if (!n || changed)
            continue;
        fputs(!some ? "" : some + 1 < same ? ", " : " and ", to);
        some++;
        fputs("<b>", to);
        bragg_page_escape(to, s->phase[p]);
        fputs("</b>", to);
    }
    fputs(".</li>\n", to);
}

static void tell_statuses(FILE *to, const bragg_series *s)
{
    size_t count[BRAGG_FRAME_SKIPPED + 1] = { 0 };
    for (size_t k = 0; k < s->n; k++)
        count[bragg_series_fitted(s, k)->status]++;
    if (s->n && count[BRAGG_FRAME_OK] == s->n) {
        fprintf(to, s->n > 1 ? "<p>%zu frames, all of them ok.</p>\n" : "<p>%zu frame, which is ok.</p>\n", s->n);
        return;
    }
    fprintf(to, "<p>%zu frames", s->n);
    const char *between = ":";
    for (size_t k = 0; k <= BRAGG_FRAME_SKIPPED; k++)
        if (count[k]) {
            fprintf(to, "%s %zu %s", between, count[k], bragg_frame_status_name((bragg_frame_status)k));
            between = ",";
        }
    fputs(".</p>\n", to);
}

static bragg_status tell_account(FILE *to, const bragg_series *s, const bragg_report_axis *a, bragg_arena *arena, bragg_error *err)
{
    double *room = bragg_arena_alloc(arena, s->n + 1, sizeof *room);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", s->n);
    fputs("<h2>What happened</h2>\n", to);
    tell_statuses(to, s);
    fputs("<ul>\n", to);
    for (size_t p = 0; p < s->n_phases; p++)
        tell_phase(to, s, a, p, room);
    tell_cycles(to, s, arena);
    for (size_t k = 0; k < s->n_alarms; k++) {
        put_fixed(to, "<li class=\"alarm\">A peak at ", s->alarm[k].two_theta_rad / BRAGG_DEG, 3, "\xc2\xb0");
        fprintf(to, " in frames %zu to %zu belongs to no phase of the list (%.0f sigma)", s->alarm[k].first, s->alarm[k].last, s->alarm[k].significance);
        if (s->alarm[k].cards) {
            fputs("; perhaps to ", to);
            bragg_page_escape(to, s->alarm[k].cards);
        }
        fputs(".</li>\n", to);
    }
    fputs("</ul>\n", to);
    return BRAGG_OK;
}

/* --------------------------------------------------------------- tables */

/* What bragg operando says of it. */
static void tell_verdict(FILE *to, const bragg_series *s, const bragg_episode *e)
{
    char *text = NULL;
    size_t size;
    FILE *words = open_memstream(&text, &size);
    if (words)
        bragg_episode_tell(s, e, words);
    if (words && !fclose(words))
        bragg_page_escape(to, text);
    free(text);
}

static void tell_episodes(FILE *to, const bragg_series *s, const bragg_report_axis *a, const bragg_episode *e, size_t n)
{
    fputs("<h2>Episodes</h2>\n<div class=\"wide\"><table><tr><th>from</th><th>to</th><th>phases</th><th>verdict</th></tr>\n", to);
    for (size_t k = 0; k < n && k < 200; k++) {
        fputs("<tr><td>", to);
        place(to, s, a, e[k].first);
        fputs("</td><td>", to);
        place(to, s, a, e[k].last);
        fputs("</td><td>", to);
        for (size_t p = 0, some = 0; p < s->n_phases; p++)
            if (bragg_series_fitted(s, e[k].first)->level[p] > 0) {
                fputs(some++ ? ", " : "", to);
                bragg_page_escape(to, s->phase[p]);
            }
        fputs("</td><td>", to);
        tell_verdict(to, s, &e[k]);
        fputs("</td></tr>\n", to);
    }
    fputs("</table></div>\n", to);
}

static void tell_failures(FILE *to, const bragg_series *s)
{
    size_t told = 0;
    for (size_t k = 0; k < s->n && told < 100; k++) {
        const bragg_frame_fit *t = bragg_series_fitted(s, k);
        if (t->status == BRAGG_FRAME_OK || t->status == BRAGG_FRAME_AT_BOUND)
            continue;
        fputs(told++ ? "" : "<h2>Frames to look at</h2>\n<div class=\"wide\"><table><tr><th>frame</th><th>file</th><th>status</th><th>why</th></tr>\n", to);
        fprintf(to, "<tr><td>%zu</td><td>", k);
        bragg_page_escape(to, t->file);
        fprintf(to, "</td><td>%s</td><td>", bragg_frame_status_name(t->status));
        bragg_page_escape(to, t->error ? t->error : !t->converged ? "did not converge" : "fits worse than its neighbours");
        fputs("</td></tr>\n", to);
    }
    fputs(told ? "</table></div>\n" : "", to);
}

/* What the run was made of; the configuration in force, a text within it, as text. */
static void put_provenance(FILE *to, const char *text)
{
    json_t *root = json_loads(text, 0, NULL), *configuration = json_incref(json_object_get(root, "configuration"));
    const char *program = json_string_value(json_object_get(root, "program"));
    bragg_page_inputs(to, json_object_get(root, "inputs"), program);
    if (!program) {
        fputs("<pre>", to);
        bragg_page_escape(to, text);
        fputs("</pre>\n", to);
    }
    if (json_is_string(configuration)) {
        fputs("<details><summary>The configuration in force</summary><pre>", to);
        bragg_page_escape(to, json_string_value(configuration));
        fputs("</pre></details>\n", to);
    }
    json_decref(configuration);
    json_decref(root);
}

static void tell_settings(FILE *to, const bragg_series *s)
{
    if (s->n_notes) {
        fputs("<h2>Notes</h2>\n<ul>\n", to);
        for (size_t k = 0; k < s->n_notes; k++) {
            fputs("<li>", to);
            bragg_page_escape(to, s->note[k]);
            fputs("</li>\n", to);
        }
        fputs("</ul>\n", to);
    }
    fputs("<h2>Settings</h2>\n", to);
    if (s->experiment && *s->experiment) {
        fputs("<pre>", to);
        bragg_page_escape(to, s->experiment);
        fputs("</pre>\n", to);
    }
    if (s->provenance && *s->provenance)
        put_provenance(to, s->provenance);
    else
        fputs("<p>bragg " PACKAGE_VERSION "</p>\n", to);
}

/* ------------------------------------------------------------------ data */

/* Rows of the map: `merge` stored ones each, so that neither the page nor the memory of
 * whoever opens it grows without end. */
enum { MOST_VALUES = 4000000, MOST_LOG = 4000 };

static void put_rows(bragg_pack *p, const char *name, bragg_curve which, const bragg_store_curves *c, size_t merge, const bragg_page_codes *codes)
{
    size_t n = (c->rows + merge - 1) / merge;
    uint16_t *out = malloc((n * c->n + 1) * sizeof *out);
    double *room = malloc((3 * c->n + 1) * sizeof *room), *sum = room ? room + c->n : NULL, *some = room ? sum + c->n : NULL;
    bool good = out && room;
    p->failed |= !good;
    for (size_t r = 0; good && r < n; r++) {
        memset(sum, 0, 2 * c->n * sizeof *sum);
        for (size_t k = r * merge; k < (r + 1) * merge && k < c->rows; k++) {
            const double *row = bragg_store_curves_row(c, which, k, room);
            for (size_t i = 0; i < c->n; i++)
                if (isfinite(row[i]))
                    sum[i] += row[i], some[i]++;
        }
        for (size_t i = 0; i < c->n; i++)
            out[r * c->n + i] = some[i] > 0 ? bragg_page_code(codes, sum[i] / some[i]) : 0;
    }
    bragg_pack_put(p, name, "u16", out, good ? n * c->n : 0);
    free(room);
    free(out);
}

/* Over the least and the most that was observed. */
static bragg_page_codes codes_of(const bragg_store_curves *c, double *room)
{
    double ends[2] = { INFINITY, -INFINITY };
    for (size_t r = 0; r < c->rows; r++) {
        const double *row = bragg_store_curves_row(c, BRAGG_CURVE_OBSERVED, r, room);
        for (size_t i = 0; i < c->n; i++)
            if (isfinite(row[i]))
                ends[0] = fmin(ends[0], row[i]), ends[1] = fmax(ends[1], row[i]);
    }
    return bragg_page_codes_of(ends, 2);
}

static void put_log(bragg_pack *p, const bragg_series *s, bragg_arena *arena)
{
    static const char *const names[] = { "log_t", "log_v", "log_k" };
    static const int columns[] = { 0, 1, 3 };
    size_t every = s->n_stored_log / MOST_LOG + 1, n = s->n_stored_log / every;
    double *y = bragg_arena_alloc(arena, n + 1, sizeof *y);
    p->failed |= !y;
    for (int k = 0; k < 3 && y && n; k++) {
        for (size_t i = 0; i < n; i++)
            y[i] = s->stored_log[(size_t)columns[k] * s->n_stored_log + i * every];
        bragg_pack_put(p, names[k], "f64", y, n);
    }
}

static void put_frames(bragg_pack *p, const bragg_series *s, const bragg_report_column *columns, size_t n_columns, bragg_arena *arena)
{
    float *v = bragg_arena_alloc(arena, 2 * s->n + 1, sizeof *v), *e = v ? v + s->n : NULL;
    double *time = bragg_arena_alloc(arena, s->n + 1, sizeof *time);
    uint8_t *state = bragg_arena_alloc(arena, s->n + 1, 1);
    char name[40];
    p->failed |= !v || !time || !state;
    if (p->failed)
        return;
    for (size_t k = 0; k < s->n; k++) {
        time[k] = bragg_series_time_s(s, k);
        state[k] = (uint8_t)bragg_series_fitted(s, k)->status;
    }
    bragg_pack_put(p, "time", "f64", time, s->n);
    bragg_pack_put(p, "status", "u8", state, s->n);
    for (size_t i = 0; i < s->n_phases; i++) {
        for (size_t k = 0; k < s->n; k++)
            state[k] = bragg_series_fitted(s, k)->done && bragg_series_fitted(s, k)->level[i] > 0;
        snprintf(name, sizeof name, "level%zu", i);
        bragg_pack_put(p, name, "u8", state, s->n);
    }
    for (size_t c = 0; c < n_columns; c++) {
        for (size_t k = 0; k < s->n; k++) {
            double value = NAN, esd = NAN;
            if (bragg_series_fitted(s, k)->done || !strcmp(columns[c].group, "log"))
                columns[c].take(bragg_series_fitted(s, k), columns[c].which, &value, &esd);
            v[k] = (float)value;
            e[k] = (float)esd;
        }
        snprintf(name, sizeof name, "c%zu", c);
        bragg_pack_put(p, name, "f32", v, s->n);
        *name = 'e';
        bragg_pack_put(p, name, "f32", e, s->n);
    }
}

/* The data into the page; *about says what they are. */
static bragg_status put_data(FILE *to, const bragg_series *s, const bragg_store_curves *c, bragg_arena *arena, json_t **about, bragg_error *err)
{
    bragg_report_column *columns;
    size_t n, merge = c->rows * c->n / MOST_VALUES + 1;
    bragg_pack p;
    bragg_status st = bragg_report_columns(s, false, arena, &columns, &n, err);
    double *deg = st == BRAGG_OK ? bragg_arena_alloc(arena, 2 * c->n + 1, sizeof *deg) : NULL, *room = deg ? deg + c->n : NULL;
    *about = NULL;
    if (!deg)
        return st < 0 ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for a report");
    bragg_page_codes codes = codes_of(c, room);
    for (size_t i = 0; i < c->n; i++)
        deg[i] = c->x_rad[i] / BRAGG_DEG;
    fputs("<script type=\"text/plain\" id=\"bytes\">", to);
    bragg_pack_begin(&p, to, true);
    bragg_pack_put(&p, "x", "f64", deg, c->n);
    bragg_page_colours(&p);
    put_frames(&p, s, columns, n, arena);
    put_log(&p, s, arena);
    put_rows(&p, "observed", BRAGG_CURVE_OBSERVED, c, merge, &codes);
    if (bragg_report_calculated(c, room))
        put_rows(&p, "calculated", BRAGG_CURVE_CALCULATED, c, merge, &codes);
    json_t *arrays, *files = json_array();
    st = bragg_pack_end(&p, &arrays, err);
    fputs("</script>\n", to);
    if (st == BRAGG_OK && (st = bragg_store_curves_whole(c, err)) < 0)
        json_decref(arrays);
    if (st < 0) {
        json_decref(files);
        return st;
    }
    for (size_t k = 0; k < s->n; k++)
        json_array_append_new(files, bragg_report_file(bragg_series_fitted(s, k)));
    *about = bragg_report_describe(s, columns, n);
    json_object_set_new(*about, "arrays", arrays);
    json_object_set_new(*about, "files", files);
    json_object_set_new(*about, "frames", json_integer((json_int_t)s->n));
    json_object_set_new(*about, "each", json_integer((json_int_t)(c->frames * merge)));
    json_object_set_new(*about, "low", json_real(codes.low));
    json_object_set_new(*about, "high", json_real(codes.high));
    json_object_set_new(*about, "wavelength", bragg_json_number(c->wavelength_ang));
    return BRAGG_OK;
}

/* -------------------------------------------------------------- figures */

static const bragg_page_figure figures[] = {
    { "map", "png", "Intensity (square root) against time, beside the log; bars show when each phase was there." },
    { "fractions", "svg", "Weight fractions; bands are one esd." },
    { "volumes", "svg", "Cell volumes." },
    { "cells", "svg", "Cells." },
    { "widths", "svg", "Crystallite size (volume-weighted column length) and microstrain." },
    { "waterfall", "svg", "Patterns over the run." },
    { "states", "svg", "Where in the run these patterns were taken." },
    { "map-capacity", "png", "Observed intensity against the charge that has passed." },
    { "difference", "png", "Observed minus calculated." },
    { "map-linear", "png", "The map on a linear scale." },
    { "map-log", "png", "The map on a logarithmic scale." },
    { "map-pdf", "png", "Pair distribution function over the run." },
    { "map-pdf-change", "png", "What of it differs from the first, scaled." },
};

static void remove_folder(const char *folder)
{
    char name[4096 + 300];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(name, sizeof name, "%.4000s/%s", folder, e->d_name);
        unlink(name); /* "." and ".." refuse */
    }
    if (d)
        closedir(d);
    rmdir(folder);
}

static bragg_status fill_page(FILE *to, const bragg_series *s, const bragg_store_curves *c, const char *folder, bragg_arena *arena, bragg_error *err)
{
    bragg_report_axis axis;
    bragg_episode *e;
    size_t n;
    json_t *about = NULL;
    bragg_status st = bragg_report_choose_axis(s, arena, &axis, err);
    if (st == BRAGG_OK)
        st = bragg_series_episodes(s, arena, &e, &n, err);
    if (st < 0)
        return st;
    bragg_page_head(to, s->title ? s->title : "Operando run");
    st = tell_account(to, s, &axis, arena, err);
    if (st == BRAGG_OK && bragg_page_interactive() && c->rows) {
        bragg_page_explore(to);
        st = put_data(to, s, c, arena, &about, err);
    }
    fputs("<details class=\"figures\" open><summary>Figures for print</summary>\n", to);
    bragg_page_figures(to, folder, figures, sizeof figures / sizeof *figures);
    fputs("</details>\n", to);
    tell_episodes(to, s, &axis, e, n);
    tell_failures(to, s);
    tell_settings(to, s);
    bragg_page_tail(to, about);
    json_decref(about);
    return st == BRAGG_OK ? bragg_series_whole(s, err) : st;
}

static bragg_status write_page(const bragg_series *s, const bragg_store_curves *c, const char *folder, const char *path, bool force, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_output *out;
    bragg_status st = arena ? bragg_output_open(path, force, &out, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a report");
    if (st == BRAGG_OK) {
        st = fill_page(bragg_output_stream(out), s, c, folder, arena, err);
        if (st == BRAGG_OK)
            st = bragg_output_commit(out, err);
        else
            bragg_output_abandon(out);
    }
    bragg_arena_free(arena);
    return st;
}

bragg_status bragg_report_html(const bragg_series *s, const bragg_store_curves *c, const bragg_pdf_course *total, const char *path, bool force,
                               const bragg_observer *observer, bragg_error *err)
{
    const char *base = getenv("TMPDIR");
    char folder[4096];
    if (!force && bragg_path_exists(path))
        return bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", path);
    if (bragg_report_check(c, err) < 0)
        return BRAGG_EINVAL;
    snprintf(folder, sizeof folder, "%s/bragg-report-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", folder, strerror(errno));
    bragg_status st = bragg_plot_operando(s, c, folder, true, observer, err);
    if (st == BRAGG_OK && total)
        st = bragg_plot_pdf_maps(total, s, folder, true, err);
    if (st == BRAGG_OK && !bragg_progress(observer, 0, 0))
        st = BRAGG_STOPPED;
    if (st == BRAGG_OK)
        st = write_page(s, c, folder, path, force, err);
    remove_folder(folder);
    return st;
}
