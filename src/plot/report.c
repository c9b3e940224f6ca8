/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of a run: one page that opens anywhere without a network. */
#include "config.h"
#include "report.h"

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

/* ----------------------------------------------------------------- text */

static void escape(FILE *to, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '&': fputs("&amp;", to); break;
        case '"': fputs("&quot;", to); break;
        default: fputc(*text, to);
        }
}

static void encode(FILE *to, FILE *from)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char b[3];
    for (size_t n; (n = fread(b, 1, 3, from)) > 0;) {
        if (n < 3)
            memset(b + n, 0, 3 - n);
        unsigned v = (unsigned)b[0] << 16 | (unsigned)b[1] << 8 | b[2];
        for (size_t k = 0; k < 4; k++)
            fputc(k <= n ? digits[v >> (18 - 6 * k) & 63] : '=', to);
    }
}

/* "frame 12, 3.4 h, 0.61 V": where a frame stands. */
static void place(FILE *to, const bragg_series *s, const bragg_report_axis *a, size_t k)
{
    const bragg_step *t = &s->step[k];
    fprintf(to, "frame %zu", k);
    if (!strncmp(a->label, "Time", 4))
        fprintf(to, ", %.4g %.*s", a->x[k], (int)strcspn(a->label + 6, ")"), a->label + 6);
    if (isfinite(t->log.voltage_v))
        fprintf(to, ", %.3f V", t->log.voltage_v);
    if (isfinite(t->temperature_k))
        fprintf(to, ", %.1f K", t->temperature_k);
}

/* -------------------------------------------------------------- account */

static void tell_growth(FILE *to, const bragg_series *s, size_t phase, size_t first, size_t last)
{
    char a[BRAGG_NUMBER_TEXT], b[BRAGG_NUMBER_TEXT];
    size_t from = SIZE_MAX, until = SIZE_MAX;
    for (size_t k = first; k <= last; k++)
        if (s->step[k].done && s->step[k].level[phase] > 0 && s->step[k].volume[phase].esd > 0) {
            from = from == SIZE_MAX ? k : from;
            until = k;
        }
    if (from == SIZE_MAX || from == until)
        return;
    bragg_quantity v = s->step[from].volume[phase], w = s->step[until].volume[phase];
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
    escape(to, s->phase[p]);
    fputs("</b>: ", to);
    for (size_t k = 0; k <= s->n; k++) {
        bool there = k < s->n && s->step[k].done && s->step[k].level[p] > 0;
        if (k < s->n && !s->step[k].done)
            continue;
        if (there) {
            if (!seen++)
                first = most = k;
            last = k;
            most = s->step[k].fraction[p].value > s->step[most].fraction[p].value ? k : most;
            continue;
        }
        if (!seen || (k < s->n && k + 1 < s->n && s->step[k + 1].done && s->step[k + 1].level[p] > 0))
            continue;
        stays++;
        fputs(stays > 1 ? " Again " : "there ", to);
        if (!first && last + 1 >= s->n)
            fputs("all the time", to);
        else {
            fputs("from ", to);
            place(to, s, a, first);
            fputs(" to ", to);
            place(to, s, a, last);
        }
        char text[BRAGG_NUMBER_TEXT];
        bragg_quantity f = s->step[most].fraction[p];
        if (s->n_phases > 1 && isfinite(f.value)) {
            fprintf(to, ", at most %s wt%% at ", bragg_number_print_esd(text, 100 * f.value, 100 * f.esd));
            place(to, s, a, most);
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
            const bragg_step *t = &s->step[k];
            bool end = k + 1 == s->n || s->step[k + 1].log.cycle > t->log.cycle;
            if (!end || !t->done || !(t->level[p] > 0) || !(t->volume[p].esd > 0) || !isfinite(t->log.cycle))
                continue;
            if (isfinite(cycle)) {
                double change = 100 * (t->volume[p].value / before.value - 1), esd = 100 * hypot(t->volume[p].esd, before.esd) / before.value;
                fprintf(to, "<li>At the end of cycle %.0f the cell of <b>", t->log.cycle);
                escape(to, s->phase[p]);
                fprintf(to, "</b> is %s %% larger than at the end of cycle %.0f.</li>\n", bragg_number_print_esd(text, change, esd), cycle);
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
        count[s->step[k].status]++;
    fprintf(to, "<h2>What happened</h2>\n<p>%zu frames:", s->n);
    for (size_t k = 0; k <= BRAGG_FRAME_SKIPPED; k++)
        if (count[k])
            fprintf(to, " %zu %s", count[k], bragg_frame_status_name((bragg_frame_status)k));
    fputs(".</p>\n<ul>\n", to);
    for (size_t p = 0; p < s->n_phases; p++)
        tell_phase(to, s, a, p);
    tell_cycles(to, s);
    for (size_t k = 0; k < s->n_alarms; k++)
        fprintf(to, "<li class=\"alarm\">A peak at %.3f\xc2\xb0 in frames %zu to %zu belongs to no phase of the list (%.0f sigma).</li>\n",
                s->alarm[k].two_theta_rad / BRAGG_DEG, s->alarm[k].first, s->alarm[k].last, s->alarm[k].significance);
    fputs("</ul>\n", to);
}

/* --------------------------------------------------------------- tables */

static void tell_odds(FILE *to, const bragg_episode *e)
{
    if (e->verdict == BRAGG_VERDICT_UNKNOWN || e->verdict == BRAGG_VERDICT_NOTHING || e->n_phases < 2)
        fputs("<td></td>", to);
    else if (fabs(e->log_odds) > 6.9)
        fprintf(to, "<td>more than 1000 : 1 for %s</td>", e->log_odds > 0 ? "two-phase" : "solid solution");
    else
        fprintf(to, "<td>%.3g : 1 for %s</td>", exp(fabs(e->log_odds)), e->log_odds > 0 ? "two-phase" : "solid solution");
}

static void tell_episodes(FILE *to, const bragg_series *s, const bragg_report_axis *a, const bragg_episode *e, size_t n)
{
    fputs("<h2>Episodes</h2>\n<table><tr><th>from</th><th>to</th><th>phases</th><th>verdict</th><th>odds</th></tr>\n", to);
    for (size_t k = 0; k < n && k < 200; k++) {
        fputs("<tr><td>", to);
        place(to, s, a, e[k].first);
        fputs("</td><td>", to);
        place(to, s, a, e[k].last);
        fputs("</td><td>", to);
        for (size_t p = 0, some = 0; p < s->n_phases; p++)
            if (s->step[e[k].first].level[p] > 0) {
                fputs(some++ ? ", " : "", to);
                escape(to, s->phase[p]);
            }
        fprintf(to, "</td><td>%s</td>", bragg_verdict_name(e[k].verdict));
        tell_odds(to, &e[k]);
        fputs("</tr>\n", to);
    }
    fputs("</table>\n", to);
}

static void tell_failures(FILE *to, const bragg_series *s)
{
    size_t told = 0;
    for (size_t k = 0; k < s->n && told < 100; k++) {
        const bragg_step *t = &s->step[k];
        if (t->status == BRAGG_FRAME_OK || t->status == BRAGG_FRAME_AT_BOUND)
            continue;
        fputs(told++ ? "" : "<h2>Frames to look at</h2>\n<table><tr><th>frame</th><th>file</th><th>status</th><th>why</th></tr>\n", to);
        fprintf(to, "<tr><td>%zu</td><td>", k);
        escape(to, t->file);
        fprintf(to, "</td><td>%s</td><td>", bragg_frame_status_name(t->status));
        escape(to, t->error ? t->error : !t->converged ? "did not converge" : "fits worse than its neighbours");
        fputs("</td></tr>\n", to);
    }
    fputs(told ? "</table>\n" : "", to);
}

static void tell_settings(FILE *to, const bragg_series *s)
{
    if (s->n_notes) {
        fputs("<h2>Notes</h2>\n<ul>\n", to);
        for (size_t k = 0; k < s->n_notes; k++) {
            fputs("<li>", to);
            escape(to, s->note[k]);
            fputs("</li>\n", to);
        }
        fputs("</ul>\n", to);
    }
    fputs("<h2>Settings</h2>\n", to);
    if (s->experiment && *s->experiment) {
        fputs("<pre>", to);
        escape(to, s->experiment);
        fputs("</pre>\n", to);
    }
    if (s->provenance && *s->provenance) {
        fputs("<pre>", to);
        escape(to, s->provenance);
        fputs("</pre>\n", to);
    }
    fputs("<p>bragg " PACKAGE_VERSION "</p>\n", to);
}

/* -------------------------------------------------------------- figures */

static const struct { const char *stem, *kind, *caption; } figures[] = {
    { "map", "png", "Intensity (square root) against time, beside the log; bars show when each phase was there." },
    { "fractions", "svg", "Weight fractions; bands are one esd." },
    { "volumes", "svg", "Cell volumes." },
    { "cells", "svg", "Cells." },
    { "widths", "svg", "Crystallite size (volume-weighted column length) and microstrain." },
    { "waterfall", "svg", "Patterns over the run." },
    { "difference", "png", "Observed minus calculated." },
    { "map-linear", "png", "The map on a linear scale." },
    { "map-log", "png", "The map on a logarithmic scale." },
};

static void put_figures(FILE *to, const char *folder)
{
    char name[4200];
    for (size_t k = 0; k < sizeof figures / sizeof *figures; k++) {
        snprintf(name, sizeof name, "%s/%s.%s", folder, figures[k].stem, figures[k].kind);
        FILE *f = fopen(name, "rb");
        if (!f)
            continue;
        fprintf(to, "<figure><img alt=\"%s\" src=\"data:image/%s;base64,", figures[k].stem, *figures[k].kind == 's' ? "svg+xml" : "png");
        encode(to, f);
        fprintf(to, "\"><figcaption>%s</figcaption></figure>\n", figures[k].caption);
        fclose(f);
    }
}

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

static const char style[] =
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em}figure{margin:1.5em 0}img{max-width:100%}"
    "figcaption{color:#555;font-size:.9em}table{border-collapse:collapse;font-size:.9em}"
    "td,th{border-bottom:1px solid #ccc;padding:.25em .6em;text-align:left;vertical-align:top}"
    "pre{background:#f5f5f5;padding:1em;overflow-x:auto;font-size:.8em}.alarm{color:#a00}";

static bragg_status write_page(const bragg_series *s, const char *folder, const char *path, bool force, bragg_error *err)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_report_axis axis;
    bragg_episode *e;
    size_t n;
    bragg_output *out;
    bragg_status st = arena ? bragg_report_choose_axis(s, arena, &axis, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a report");
    if (st == BRAGG_OK)
        st = bragg_series_episodes(s, arena, &e, &n, err);
    if (st == BRAGG_OK)
        st = bragg_output_open(path, force, &out, err);
    if (st == BRAGG_OK) {
        FILE *to = bragg_output_stream(out);
        const char *title = s->title ? s->title : "Operando run";
        fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", to);
        escape(to, title);
        fprintf(to, "</title><style>%s</style></head><body>\n<h1>", style);
        escape(to, title);
        fputs("</h1>\n", to);
        tell_account(to, s, &axis);
        put_figures(to, folder);
        tell_episodes(to, s, &axis, e, n);
        tell_failures(to, s);
        tell_settings(to, s);
        fputs("</body></html>\n", to);
        st = bragg_output_commit(out, err);
    }
    bragg_arena_free(arena);
    return st;
}

bragg_status bragg_report_html(const bragg_series *s, const bragg_store_curves *c, const char *path, bool force, bragg_error *err)
{
    const char *base = getenv("TMPDIR");
    char folder[4096];
    if (!force && bragg_path_exists(path))
        return bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", path);
    snprintf(folder, sizeof folder, "%s/bragg-report-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return bragg_fail(err, BRAGG_EIO, "'%s': %s", folder, strerror(errno));
    bragg_status st = bragg_plot_operando(s, c, folder, true, err);
    if (st == BRAGG_OK)
        st = write_page(s, folder, path, force, err);
    remove_folder(folder);
    return st;
}
