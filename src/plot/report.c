/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of a run: one page that opens anywhere without a network. */
#include "config.h"
#include "figure.h"
#include "page.h"

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
    const bragg_step *t = bragg_series_step(s, k);
    fprintf(to, "frame %zu", k);
    if (isfinite(a->unit_s) && isfinite(a->map_s[k]))
        put_time(to, s, a, k);
    if (isfinite(t->log.voltage_v))
        put_fixed(to, ", ", t->log.voltage_v, 3, " V");
    if (isfinite(t->temperature_k))
        put_fixed(to, ", ", t->temperature_k, 1, " K");
}

/* -------------------------------------------------------------- account */

static void tell_growth(FILE *to, const bragg_series *s, size_t phase, size_t first, size_t last)
{
    char a[BRAGG_NUMBER_TEXT], b[BRAGG_NUMBER_TEXT];
    size_t from = SIZE_MAX, until = SIZE_MAX;
    for (size_t k = first; k <= last; k++)
        if (bragg_series_step(s, k)->done && bragg_series_step(s, k)->level[phase] > 0 && bragg_series_step(s, k)->volume[phase].esd > 0) {
            from = from == SIZE_MAX ? k : from;
            until = k;
        }
    if (from == SIZE_MAX || from == until)
        return;
    bragg_quantity v = bragg_series_step(s, from)->volume[phase], w = bragg_series_step(s, until)->volume[phase];
    double change = 100 * (w.value / v.value - 1), esd = 100 * hypot(v.esd, w.esd) / v.value;
    fprintf(to, " Its cell volume goes from %s to %s \xc3\x85\xc2\xb3", bragg_number_print_esd(a, v.value, v.esd), bragg_number_print_esd(b, w.value, w.esd));
    if (fabs(change) > 3 * esd)
        fprintf(to, ", a change of %s %%", bragg_number_print_esd(a, change, esd));
    else
        fputs(" and does not change beyond its uncertainty", to);
    fputs(".", to);
}

/* A sentence for each stay of a phase; a gap of one frame is none. */
static void tell_phase(FILE *to, const bragg_series *s, const bragg_report_axis *a, size_t p)
{
    size_t seen = 0, first = 0, last = 0, most = 0, stays = 0;
    fputs("<li><b>", to);
    bragg_page_escape(to, s->phase[p]);
    fputs("</b>: ", to);
    for (size_t k = 0; k <= s->n; k++) {
        bool there = k < s->n && bragg_series_step(s, k)->done && bragg_series_step(s, k)->level[p] > 0;
        if (k < s->n && !bragg_series_step(s, k)->done)
            continue;
        if (there) {
            if (!seen++)
                first = most = k;
            last = k;
            most = bragg_series_step(s, k)->fraction[p].value > bragg_series_step(s, most)->fraction[p].value ? k : most;
            continue;
        }
        if (!seen || (k < s->n && k + 1 < s->n && bragg_series_step(s, k + 1)->done && bragg_series_step(s, k + 1)->level[p] > 0))
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
        char text[BRAGG_NUMBER_TEXT];
        bragg_quantity f = bragg_series_step(s, most)->fraction[p];
        if (s->n_phases > 1 && isfinite(f.value)) {
            fprintf(to, ", %s%s wt%%", first == last ? "" : "at most ", bragg_number_print_esd(text, 100 * f.value, 100 * f.esd));
            if (first != last) {
                fputs(" at ", to);
                place(to, s, a, most);
            }
        }
        fputs(".", to);
        tell_growth(to, s, p, first, last);
        seen = 0;
    }
    if (!stays)
        fputs("not found in any frame.", to);
    fputs("</li>\n", to);
}

static void tell_cycles(FILE *to, const bragg_series *s)
{
    char text[BRAGG_NUMBER_TEXT];
    for (size_t p = 0; p < s->n_phases; p++) {
        bragg_quantity before = { NAN, NAN };
        double cycle = NAN;
        for (size_t k = 0; k < s->n; k++) {
            const bragg_step *t = bragg_series_step(s, k);
            bool end = k + 1 == s->n || bragg_series_step(s, k + 1)->log.cycle > t->log.cycle;
            if (!end || !t->done || !(t->level[p] > 0) || !(t->volume[p].esd > 0) || !isfinite(t->log.cycle))
                continue;
            if (isfinite(cycle)) {
                double change = 100 * (t->volume[p].value / before.value - 1), esd = 100 * hypot(t->volume[p].esd, before.esd) / before.value;
                fprintf(to, "<li>At the end of cycle %.0f the cell of <b>", t->log.cycle);
                bragg_page_escape(to, s->phase[p]);
                if (fabs(change) > 2 * esd)
                    fprintf(to, "</b> is %s %% %s than at the end of cycle %.0f.</li>\n", bragg_number_print_esd(text, fabs(change), esd), change > 0 ? "larger" : "smaller", cycle);
                else
                    fprintf(to, "</b> is the same as at the end of cycle %.0f within its uncertainty: %s %% apart.</li>\n", cycle, bragg_number_print_esd(text, fabs(change), esd));
            }
            before = t->volume[p];
            cycle = t->log.cycle;
        }
    }
}

static void tell_account(FILE *to, const bragg_series *s, const bragg_report_axis *a)
{
    size_t count[BRAGG_FRAME_SKIPPED + 1] = { 0 };
    for (size_t k = 0; k < s->n; k++)
        count[bragg_series_step(s, k)->status]++;
    fprintf(to, "<h2>What happened</h2>\n<p>%zu frames:", s->n);
    const char *between = "";
    for (size_t k = 0; k <= BRAGG_FRAME_SKIPPED; k++)
        if (count[k]) {
            fprintf(to, "%s %zu %s", between, count[k], bragg_frame_status_name((bragg_frame_status)k));
            between = ",";
        }
    fputs(".</p>\n<ul>\n", to);
    for (size_t p = 0; p < s->n_phases; p++)
        tell_phase(to, s, a, p);
    tell_cycles(to, s);
    for (size_t k = 0; k < s->n_alarms; k++) {
        put_fixed(to, "<li class=\"alarm\">A peak at ", s->alarm[k].two_theta_rad / BRAGG_DEG, 3, "\xc2\xb0");
        fprintf(to, " in frames %zu to %zu belongs to no phase of the list (%.0f sigma).</li>\n", s->alarm[k].first, s->alarm[k].last, s->alarm[k].significance);
    }
    fputs("</ul>\n", to);
}

/* --------------------------------------------------------------- tables */

static void tell_odds(FILE *to, const bragg_episode *e)
{
    char text[BRAGG_NUMBER_TEXT];
    if (e->verdict == BRAGG_VERDICT_UNKNOWN || e->verdict == BRAGG_VERDICT_NOTHING || e->n_phases < 2)
        fputs("<td></td>", to);
    else if (fabs(e->log_odds) > 6.9)
        fprintf(to, "<td>more than 1000 : 1 for %s</td>", e->log_odds > 0 ? "two-phase" : "solid solution");
    else
        fprintf(to, "<td>%s : 1 for %s</td>", bragg_number_print_digits(text, exp(fabs(e->log_odds)), 3), e->log_odds > 0 ? "two-phase" : "solid solution");
}

static void tell_episodes(FILE *to, const bragg_series *s, const bragg_report_axis *a, const bragg_episode *e, size_t n)
{
    fputs("<h2>Episodes</h2>\n<div class=\"wide\"><table><tr><th>from</th><th>to</th><th>phases</th><th>verdict</th><th>odds</th></tr>\n", to);
    for (size_t k = 0; k < n && k < 200; k++) {
        fputs("<tr><td>", to);
        place(to, s, a, e[k].first);
        fputs("</td><td>", to);
        place(to, s, a, e[k].last);
        fputs("</td><td>", to);
        for (size_t p = 0, some = 0; p < s->n_phases; p++)
            if (bragg_series_step(s, e[k].first)->level[p] > 0) {
                fputs(some++ ? ", " : "", to);
                bragg_page_escape(to, s->phase[p]);
            }
        fprintf(to, "</td><td>%s</td>", bragg_verdict_name(e[k].verdict));
        tell_odds(to, &e[k]);
        fputs("</tr>\n", to);
    }
    fputs("</table></div>\n", to);
}

static void tell_failures(FILE *to, const bragg_series *s)
{
    size_t told = 0;
    for (size_t k = 0; k < s->n && told < 100; k++) {
        const bragg_step *t = bragg_series_step(s, k);
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
    json_object_del(root, "configuration");
    char *rest = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    fputs("<pre>", to);
    bragg_page_escape(to, rest ? rest : text);
    fputs("</pre>\n", to);
    if (json_is_string(configuration)) {
        fputs("<details><summary>The configuration in force</summary><pre>", to);
        bragg_page_escape(to, json_string_value(configuration));
        fputs("</pre></details>\n", to);
    }
    free(rest);
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
        time[k] = bragg_series_time(s, k);
        state[k] = (uint8_t)bragg_series_step(s, k)->status;
    }
    bragg_pack_put(p, "time", "f64", time, s->n);
    bragg_pack_put(p, "status", "u8", state, s->n);
    for (size_t i = 0; i < s->n_phases; i++) {
        for (size_t k = 0; k < s->n; k++)
            state[k] = bragg_series_step(s, k)->done && bragg_series_step(s, k)->level[i] > 0;
        snprintf(name, sizeof name, "level%zu", i);
        bragg_pack_put(p, name, "u8", state, s->n);
    }
    for (size_t c = 0; c < n_columns; c++) {
        for (size_t k = 0; k < s->n; k++) {
            double value = NAN, esd = NAN;
            if (bragg_series_step(s, k)->done || !strcmp(columns[c].group, "log"))
                columns[c].take(bragg_series_step(s, k), columns[c].which, &value, &esd);
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
        json_array_append_new(files, bragg_report_file(bragg_series_step(s, k)));
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
    tell_account(to, s, &axis);
    if (bragg_page_interactive() && c->rows) {
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

bragg_status bragg_report_html(const bragg_series *s, const bragg_store_curves *c, const bragg_total *total, const char *path, bool force, bragg_error *err)
{
    const char *base = getenv("TMPDIR");
    char folder[4096];
    if (!force && bragg_path_exists(path))
        return bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", path);
    snprintf(folder, sizeof folder, "%s/bragg-report-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return bragg_fail(err, BRAGG_EIO, "'%s': %s", folder, strerror(errno));
    bragg_status st = bragg_plot_operando(s, c, folder, true, err);
    if (st == BRAGG_OK && total)
        st = bragg_plot_total(total, s, folder, true, err);
    if (st == BRAGG_OK)
        st = write_page(s, c, folder, path, force, err);
    remove_folder(folder);
    return st;
}
