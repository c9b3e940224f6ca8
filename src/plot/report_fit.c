/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of a refinement or of a fit to G(r): curves to explore, tables, settings.
 * It is made of what the fit has left in its folder:
 *
 *      bragg refine   fit.json fit[-NAME].csv reflections.csv fit[-NAME].svg
 *      bragg pdf fit  fit.json fit[-NAME|-0001].fgr           fit.svg */
#include "config.h"
#include "figure.h"
#include "page.h"

#include <bragg/csv.h>
#include <bragg/json.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CURVES = 200, MOST_COLUMNS = 8 };

/* ----------------------------------------------------------------- tables */

/* Numbers in columns; what is no number is NAN. */
typedef struct table {
    size_t n, columns;
    double *v;               /* [row][column] */
    char head[MOST_COLUMNS][24];
} table;

static size_t split(const char *line, bool commas, double *out)
{
    size_t n = 0;
    for (const char *at = line; *at && *at != '\n' && n < MOST_COLUMNS;) {
        size_t length = strcspn(at, commas ? ",\n" : " \t\n");
        if (length || commas) {
            out[n] = NAN;
            bragg_number_parse_n(at, length, &out[n++]);
        }
        at += length + (at[length] && at[length] != '\n');
    }
    return n;
}

static void take_head(table *t, const char *line)
{
    const char *at = line;
    for (t->columns = 0; *at && t->columns < MOST_COLUMNS; t->columns++) {
        size_t length = strcspn(at, ",\n");
        snprintf(t->head[t->columns], sizeof t->head[0], "%.*s", (int)(length < 23 ? length : 23), at);
        at += length + (at[length] != 0);
    }
}

/* A CSV with a head, or a PDFgui file: r, calculated, two of zeros, difference. */
static bragg_status read_table(const char *path, bragg_arena *arena, table *t, bragg_error *err)
{
    FILE *f = fopen(path, "r");
    char line[4096];
    bool commas = !strcmp(bragg_path_extension(path), ".csv"), headed = !commas;
    size_t room = 0;
    *t = (table){ .columns = commas ? 0 : 5 };
    if (!f)
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", path, strerror(errno));
    while (fgets(line, sizeof line, f)) {
        if (*line == '#' || (!headed && (headed = true))) {
            if (*line != '#')
                take_head(t, line);
            continue;
        }
        if (t->n == room) {
            room = room ? 2 * room : 4096;
            double *more = bragg_arena_alloc(arena, room * MOST_COLUMNS, sizeof *more);
            if (!more) {
                fclose(f);
                return bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
            }
            if (t->n)
                memcpy(more, t->v, t->n * MOST_COLUMNS * sizeof *more);
            t->v = more;
        }
        double *row = t->v + t->n * MOST_COLUMNS;
        for (size_t k = split(line, commas, row); k < MOST_COLUMNS; k++)
            row[k] = NAN;
        t->n += isfinite(row[0]);
    }
    fclose(f);
    return t->n ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "'%s': expected rows of numbers, found none", path);
}

static const double *column(const table *t, const char *name, double *to)
{
    for (size_t k = 0; k < t->columns; k++)
        if (!strcmp(t->head[k], name)) {
            for (size_t i = 0; i < t->n; i++)
                to[i] = t->v[i * MOST_COLUMNS + k];
            return to;
        }
    return NULL;
}

/* ------------------------------------------------------------ reflections */

typedef struct mark {
    char pattern[96], phase[96];
    int h, k, l;
    double at, d_ang;
} mark;

/* pattern,phase,line,h,k,l,multiplicity,d_ang,two_theta_deg,… of the first line. */
static bool parse_mark(const char *line, mark *m)
{
    const char *at = line;
    char word[6][32];
    double v[6];
    if (!bragg_csv_field(&at, m->pattern, sizeof m->pattern) || !bragg_csv_field(&at, m->phase, sizeof m->phase))
        return false;
    double wave;
    if (!bragg_csv_field(&at, word[0], sizeof word[0]) || !bragg_number_parse(word[0], &wave) || wave > 1)
        return false;
    for (int k = 0; k < 6; k++)
        if (!bragg_csv_field(&at, word[k], sizeof word[k]) || !bragg_number_parse(word[k], &v[k]))
            return false;
    m->h = (int)v[0], m->k = (int)v[1], m->l = (int)v[2];
    m->d_ang = v[4], m->at = v[5];
    return true;
}

static bragg_status read_marks(const char *path, bragg_arena *arena, mark **out, size_t *n, bragg_error *err)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    size_t room = 0;
    *out = NULL;
    *n = 0;
    while (f && fgets(line, sizeof line, f)) {
        mark m;
        if (!parse_mark(line, &m))
            continue;
        if (*n == room) {
            room = room ? 2 * room : 256;
            mark *more = bragg_arena_alloc(arena, room, sizeof *more);
            if (!more) {
                fclose(f);
                return bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
            }
            if (*n)
                memcpy(more, *out, *n * sizeof *more);
            *out = more;
        }
        (*out)[(*n)++] = m;
    }
    if (f)
        fclose(f);
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ curves */

typedef struct fit_page {
    bragg_arena *arena;
    const char *folder, *title;
    const char **curve;       /* files */
    size_t n_curves;
    json_t *fit;              /* fit.json */
    mark *marks;
    size_t n_marks;
    bool real_space;
} fit_page;

/* "fit-NAME.csv" is NAME, "fit.csv" nothing. */
static const char *name_of(const fit_page *p, const char *path)
{
    const char *stem = bragg_path_stem(p->arena, path);
    return stem && !strncmp(stem, "fit-", 4) ? stem + 4 : "";
}

static bragg_status find_curves(fit_page *p, bragg_error *err)
{
    const char **list;
    size_t n;
    bragg_status st = bragg_path_list(p->arena, p->folder, ".fgr", &list, &n, NULL);
    p->real_space = st == BRAGG_OK && n > 0;
    if (!p->real_space)
        st = bragg_path_list(p->arena, p->folder, ".csv", &list, &n, err);
    if (st < 0)
        return st;
    p->curve = list;
    for (size_t k = 0; k < n; k++) {
        const char *base = strrchr(list[k], '/') ? strrchr(list[k], '/') + 1 : list[k];
        size_t stem = strlen(base) - 4;
        bool part = memchr(base, '.', stem) != NULL || !strcmp(base, "fit-parameters.csv");
        if (!strncmp(base, "fit", 3) && (base[3] == '.' || base[3] == '-') && !part && p->n_curves < MOST_CURVES)
            p->curve[p->n_curves++] = list[k];
    }
    return p->n_curves ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "'%s': expected fit.csv or fit.fgr beside fit.json, found neither", p->folder);
}

/* Names, unit of the abscissa and length from the first point's Bragg angle. */
static double wavelength_of(const fit_page *p)
{
    for (size_t k = 0; k < p->n_marks; k++)
        if (p->marks[k].d_ang > 0)
            return 2 * p->marks[k].d_ang * sin(p->marks[k].at * BRAGG_DEG / 2);
    return NAN;
}

static json_t *put_marks(fit_page *p, bragg_pack *pack, size_t curve, const char *pattern)
{
    json_t *phases = json_array();
    double *at = bragg_arena_alloc(p->arena, p->n_marks + 1, sizeof *at);
    char *done = bragg_arena_alloc(p->arena, p->n_marks + 1, 1), text[80];
    for (size_t first = 0; at && done && first < p->n_marks; first++) {
        const mark *m = &p->marks[first];
        if (done[first] || (*m->pattern && strcmp(m->pattern, pattern)))
            continue;
        json_t *hkl = json_array();
        size_t n = 0;
        for (size_t k = first; k < p->n_marks; k++) {
            const mark *o = &p->marks[k];
            if (strcmp(o->phase, m->phase) || strcmp(o->pattern, m->pattern))
                continue;
            done[k] = 1;
            at[n++] = o->at;
            snprintf(text, sizeof text, "%d %d %d", o->h, o->k, o->l);
            json_array_append_new(hkl, json_string(text));
        }
        snprintf(text, sizeof text, "ticks%zu_%zu", curve, json_array_size(phases));
        bragg_pack_put(pack, text, "f64", at, n);
        json_array_append_new(phases, json_pack("{s:s, s:o}", "name", m->phase, "hkl", hkl));
    }
    return phases;
}

static void put_named(bragg_pack *pack, const char *name, size_t curve, const double *v, size_t n)
{
    char text[40];
    snprintf(text, sizeof text, "%s%zu", name, curve);
    if (v)
        bragg_pack_put(pack, text, "f64", v, n);
}

static bragg_status put_curve(fit_page *p, bragg_pack *pack, size_t k, json_t *list, const char **axis, bragg_error *err)
{
    table t;
    bragg_status st = read_table(p->curve[k], p->arena, &t, err);
    double *v = st == BRAGG_OK ? bragg_arena_alloc(p->arena, t.n + 1, sizeof *v) : NULL;
    if (!v)
        return st < 0 ? st : bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", p->curve[k]);
    for (size_t i = 0; i < t.n; i++)
        v[i] = t.v[i * MOST_COLUMNS];
    put_named(pack, "x", k, v, t.n);
    if (p->real_space) {
        *axis = "r";
        for (size_t i = 0; i < t.n; i++)
            v[i] = t.v[i * MOST_COLUMNS + 1] + t.v[i * MOST_COLUMNS + 4];
        put_named(pack, "observed", k, v, t.n);
        for (size_t i = 0; i < t.n; i++)
            v[i] = t.v[i * MOST_COLUMNS + 1];
        put_named(pack, "calculated", k, v, t.n);
    } else {
        *axis = !strcmp(t.head[0], "2th_deg") ? "tth" : !strcmp(t.head[0], "q_A^-1") ? "q" : !strcmp(t.head[0], "d_A") ? "d" : bragg_arena_strdup(p->arena, t.head[0]);
        static const char *const names[] = { "observed", "calculated", "background", "sigma" };
        for (int c = 0; c < 4; c++)
            put_named(pack, names[c], k, column(&t, names[c], v), t.n);
    }
    const char *name = name_of(p, p->curve[k]);
    json_array_append_new(list, json_pack("{s:s, s:o}", "name", name, "phases", put_marks(p, pack, k, name)));
    return *axis ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", p->curve[k]);
}

static bragg_status put_data(fit_page *p, FILE *to, json_t **about, bragg_error *err)
{
    const char *axis = NULL;
    json_t *list = json_array();
    bragg_pack pack;
    bragg_status st = BRAGG_OK;
    fputs("<script type=\"text/plain\" id=\"bytes\">", to);
    bragg_pack_begin(&pack, to, true);
    for (size_t k = 0; k < p->n_curves && st == BRAGG_OK; k++)
        st = put_curve(p, &pack, k, list, &axis, err);
    json_t *arrays;
    bragg_status packed = bragg_pack_end(&pack, &arrays, st == BRAGG_OK ? err : NULL);
    fputs("</script>\n", to);
    st = st < 0 ? st : packed;
    if (st == BRAGG_OK)
        *about = json_pack("{s:s, s:s, s:s, s:o, s:O, s:O}", "kind", "fits", "axis", axis, "label", p->real_space ? "G(r) (Å⁻²)" : "Intensity", "wavelength",
                           bragg_json_number(wavelength_of(p)), "curves", list, "arrays", arrays);
    json_decref(arrays);
    json_decref(list);
    return st;
}

/* ------------------------------------------------------------------ tables */

/* "4.4073(1) Å", `times` the quantity in this unit. */
static void tell_times(FILE *to, const json_t *q, double times, const char *unit)
{
    char text[BRAGG_NUMBER_TEXT];
    double value = times * json_number_value(json_object_get(q, "value"));
    double esd = json_is_number(json_object_get(q, "esd")) ? times * json_number_value(json_object_get(q, "esd")) : NAN;
    if (!json_is_number(json_object_get(q, "value")))
        return;
    if (!bragg_number_determined(value, esd, unit)) {
        fputs("not determined", to);
        return;
    }
    bragg_number_print_esd(text, fabs(value), esd);
    fprintf(to, "%s%s", value < 0 ? "−" : "", text);
    if (unit && *unit) /* an angle's stands close */
        fprintf(to, "%s%s", !strcmp(unit, "°") ? "" : "\xc2\xa0", unit);
}

static void tell_quantity(FILE *to, const json_t *q)
{
    const char *unit = json_string_value(json_object_get(q, "unit"));
    tell_times(to, q, 1, unit ? bragg_unit_text(unit) : NULL);
}

/* Tied by symmetry: the same number, as well known. */
static bool same_quantity(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "value"), json_object_get(b, "value")) && json_equal(json_object_get(a, "esd"), json_object_get(b, "esd")) &&
           json_equal(json_object_get(a, "unit"), json_object_get(b, "unit"));
}

static bool refined(const json_t *q) { return json_number_value(json_object_get(q, "esd")) > 0; }

static void tell_outcome(FILE *to, const json_t *fit)
{
    static const struct { const char *name, *shown; double times; const char *unit; } how_well[] = {
        { "rwp", "<i>R</i><sub>wp</sub>", 100, " %" }, { "rexp", "<i>R</i><sub>exp</sub>", 100, " %" }, { "gof", "goodness of fit", 1, "" }, { "rw", "<i>R</i><sub>w</sub>", 100, " %" } };
    static const char *const counts[][2] = { { "points", "point" }, { "reflections", "reflection" }, { "variables", "variable" }, { "cycles", "cycle" } };
    char text[400];
    const char *between = ": ";
    fprintf(to, "<h2>Outcome</h2>\n<p>%s", json_is_true(json_object_get(fit, "converged")) ? "Converged" : "<b class=\"alarm\">Did not converge</b>");
    for (size_t k = 0; k < sizeof how_well / sizeof *how_well; k++) {
        const json_t *v = json_object_get(fit, how_well[k].name);
        if (!json_is_number(v))
            continue;
        bragg_fig_fixed(text, sizeof text, how_well[k].times * json_number_value(v), 2);
        fprintf(to, "%s%s %s%s", between, how_well[k].shown, text, how_well[k].unit);
        between = ", ";
    }
    between = "; ";
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        const json_t *v = json_object_get(fit, counts[k][0]);
        if (!json_is_integer(v))
            continue;
        fprintf(to, "%s%lld %s%s", between, (long long)json_integer_value(v), counts[k][1], json_integer_value(v) == 1 ? "" : "s");
        between = ", ";
    }
    fputs(".</p>\n", to);
}

static const char *const cell[][2] = { { "a", "<i>a</i>" }, { "b", "<i>b</i>" }, { "c", "<i>c</i>" }, { "alpha", "α" }, { "beta", "β" }, { "gamma", "γ" }, { "volume", "<i>V</i>" } };
enum { ANGLE = 3, VOLUME = 6, CELL = 7 };

static const json_t *of_cell(const json_t *phase, int c) { return json_object_get(json_object_get(phase, "cell"), cell[c][0]); }

/* Which edge or angle before it is the same; itself where none is. */
static int same_as(const json_t *phase, int c)
{
    int first = c < ANGLE ? 0 : c < VOLUME ? ANGLE : c;
    while (first < c && !same_quantity(of_cell(phase, first), of_cell(phase, c)))
        first++;
    return first;
}

/* Whether any phase says by it what its system does not: held at 90 or 120 degrees says nothing. */
static bool cell_told(const json_t *phases, int c)
{
    size_t k;
    json_t *phase;
    json_array_foreach(phases, k, phase) {
        double value = json_number_value(json_object_get(of_cell(phase, c), "value"));
        if (c < ANGLE || c >= VOLUME ? same_as(phase, c) == c : refined(of_cell(phase, c)) || (fabs(value - 90) > 1e-6 && fabs(value - 120) > 1e-6))
            return true;
    }
    return false;
}

static void tell_cell(FILE *to, const json_t *phase, int c)
{
    int same = same_as(phase, c);
    if (same < c && refined(of_cell(phase, c)))
        fprintf(to, "= %s", cell[same][1]);
    else
        tell_quantity(to, of_cell(phase, c));
}

/* "size": one that is not refined stands for none, and one less certain than large for no more than a limit. */
static void tell_width(FILE *to, const json_t *q, double times, const char *unit)
{
    double value = json_number_value(json_object_get(q, "value")), esd = json_number_value(json_object_get(q, "esd"));
    if (refined(q) && esd >= value)
        fputs("not told by the widths", to);
    else if (refined(q) || (value > 0 && value * times < 1e5)) /* held at what broadens something */
        tell_times(to, q, times, unit);
}

/* A row a phase: what it is, how much, its cell. */
static void tell_phases(FILE *to, const json_t *phases)
{
    static const struct { const char *name, *head; double times; const char *unit; } more[] = {
        { "weight_fraction", "weight fraction", 100, "%" }, { "size_nm", "size", 1, "nm" }, { "strain", "microstrain", 1e6, "10⁻⁶" } };
    size_t k;
    json_t *phase;
    if (!json_array_size(phases))
        return;
    fputs("<h2>Phases</h2>\n<div class=\"wide\"><table><tr><th>phase</th>", to);
    for (int c = 0; c < 3; c++)
        fprintf(to, "<th>%s</th>", more[c].head);
    for (int c = 0; c < CELL; c++)
        if (cell_told(phases, c))
            fprintf(to, "<th>%s</th>", cell[c][1]);
    fputs("</tr>\n", to);
    json_array_foreach(phases, k, phase) {
        const char *name = json_string_value(json_object_get(phase, "name"));
        fputs("<tr><td>", to);
        bragg_page_escape(to, name ? name : "");
        for (int c = 0; c < 3; c++) {
            fputs("</td><td class=\"number\">", to);
            (c ? tell_width : tell_times)(to, json_object_get(phase, more[c].name), more[c].times, more[c].unit);
        }
        for (int c = 0; c < CELL; c++)
            if (cell_told(phases, c)) {
                fputs("</td><td class=\"number\">", to);
                tell_cell(to, phase, c);
            }
        fputs("</td></tr>\n", to);
    }
    fputs("</table></div>\n", to);
}

/* The same parameter of another letter: phase.P.cell.a and phase.P.cell.b. */
static bool siblings(const char *a, const char *b)
{
    const char *end = strrchr(a, '.');
    return end && strrchr(b, '.') && end - a == strrchr(b, '.') - b && !strncmp(a, b, (size_t)(end - a));
}

/* What is tied to one before it is said with that one: false. */
static bool is_first(json_t *parameters, const char *name, const json_t *q)
{
    const char *other;
    json_t *before;
    json_object_foreach(parameters, other, before) {
        if (before == q)
            return true;
        if (siblings(other, name) && same_quantity(before, q))
            return false;
    }
    return true;
}

static void tell_parameter(FILE *to, json_t *parameters, const char *name, const json_t *q)
{
    const char *other;
    json_t *later;
    bool after = false;
    fputs("<tr><td>", to);
    bragg_page_escape(to, name);
    json_object_foreach(parameters, other, later) {
        if (after && siblings(name, other) && same_quantity(q, later)) {
            fputs(" = ", to);
            bragg_page_escape(to, strrchr(other, '.') + 1);
        }
        after = after || later == q;
    }
    fputs("</td><td class=\"number\">", to);
    tell_quantity(to, q);
    fputs("</td></tr>\n", to);
}

/* What one looks for first: the background comes last. */
static void tell_parameters(FILE *to, json_t *parameters)
{
    const char *name;
    json_t *q;
    size_t some = 0;
    json_object_foreach(parameters, name, q)
        some += refined(q);
    if (!some) {
        fputs("<p>Nothing was refined.</p>\n", to);
        return;
    }
    fputs("<h2>Refined parameters</h2>\n<div class=\"wide\"><table><tr><th>name</th><th>value</th></tr>\n", to);
    for (int background = 0; background < 2; background++)
        json_object_foreach(parameters, name, q)
            if (refined(q) && (strstr(name, "background.") != NULL) == background && is_first(parameters, name, q))
                tell_parameter(to, parameters, name, q);
    fputs("</table></div>\n", to);
}

static void tell_source(FILE *to, const json_t *fit)
{
    const char *words = json_string_value(json_object_get(fit, "report")), *program = json_string_value(json_object_get(fit, "program"));
    if (words && *words) {
        fputs("<h2>Remarks of the fit</h2>\n<pre>", to);
        bragg_page_escape(to, words);
        fputs("</pre>\n", to);
    }
    bragg_page_inputs(to, json_object_get(fit, "inputs"), program ? program : "bragg " PACKAGE_VERSION);
}

/* ------------------------------------------------------------------- page */

static void put_figures(const fit_page *p, FILE *to)
{
    static const char *const kinds[] = { "svg", "png" };
    fputs("<details class=\"figures\" open><summary>Figures for print</summary>\n", to);
    for (size_t k = 0; k < p->n_curves && k < 12; k++) {
        const char *stem = bragg_path_stem(p->arena, p->curve[k]);
        for (int j = 0; stem && j < 2; j++) {
            char path[4200];
            snprintf(path, sizeof path, "%.3900s/%.200s.%s", p->folder, stem, kinds[j]);
            if (!bragg_path_exists(path))
                continue;
            bragg_page_figure figure = { stem, kinds[j], p->real_space ? "Observed and calculated G(r), and their difference." : "Observed, calculated and difference; ticks are reflections." };
            bragg_page_figures(to, p->folder, &figure, 1);
            break;
        }
    }
    fputs("</details>\n", to);
}

static bragg_status fill_page(fit_page *p, FILE *to, bragg_error *err)
{
    json_t *about = NULL, *steps = json_object_get(p->fit, "steps"), *step;
    bragg_status st = BRAGG_OK;
    size_t k;
    bragg_page_head(to, p->title);
    if (!steps)
        tell_outcome(to, p->fit);
    if (bragg_page_interactive()) {
        bragg_page_explore(to);
        st = put_data(p, to, &about, err);
    }
    put_figures(p, to);
    json_array_foreach(steps, k, step) {
        const char *label = json_string_value(json_object_get(step, "label"));
        fputs("<h2>", to);
        bragg_page_escape(to, label ? label : "");
        fputs("</h2>\n", to);
        tell_outcome(to, step);
        tell_parameters(to, json_object_get(step, "parameters"));
    }
    tell_phases(to, json_object_get(p->fit, "phases"));
    if (!steps)
        tell_parameters(to, json_object_get(p->fit, "parameters"));
    tell_source(to, p->fit);
    bragg_page_tail(to, about);
    json_decref(about);
    return st;
}

static bragg_status read_fit(fit_page *p, bragg_error *err)
{
    json_error_t cause;
    const char *path = bragg_path_join(p->arena, p->folder, "fit.json"), *marks = bragg_path_join(p->arena, p->folder, "reflections.csv");
    if (!path || !marks)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    p->fit = json_load_file(path, 0, &cause);
    if (!json_is_object(p->fit))
        return bragg_fail(err, BRAGG_EDATA, "'%s': %s", path, p->fit ? "expected a JSON object" : cause.text);
    bragg_status st = find_curves(p, err);
    if (st == BRAGG_OK)
        st = read_marks(marks, p->arena, &p->marks, &p->n_marks, err);
    const char *title = json_string_value(json_object_get(p->fit, "title"));
    const json_t *first = json_array_get(json_object_get(p->fit, "inputs"), 0);
    const char *input = json_string_value(json_object_get(first, "file"));
    p->title = title && *title ? title : input ? bragg_path_stem(p->arena, input) : NULL;
    p->title = p->title ? p->title : "Refinement";
    return st;
}

bragg_status bragg_report_fit_html(const char *folder, const char *path, bool force, bragg_error *err)
{
    fit_page p = { .arena = bragg_arena_new(), .folder = folder };
    bragg_output *out;
    bragg_status st = p.arena ? read_fit(&p, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a report");
    if (st == BRAGG_OK)
        st = bragg_output_open(path, force, &out, err);
    if (st == BRAGG_OK) {
        st = fill_page(&p, bragg_output_stream(out), err);
        if (st == BRAGG_OK)
            st = bragg_output_commit(out, err);
        else
            bragg_output_abandon(out);
    }
    json_decref(p.fit);
    bragg_arena_free(p.arena);
    return st;
}
