/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg index: which unit cells explain the lines? */
#include "config.h"
#include "cli.h"

#include <bragg/index.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct wish {
    const char *unit, *systems, *kind;
    double wavelength_ang, wavelength2_ang, sigma_deg, zero_deg, max_volume, max_edge, seconds;
    long long n, unindexed, check;
    bool json;
} wish;

typedef struct job {
    const wish *w;
    const char *path;
    bragg_pattern *pattern;          /* NULL for a list */
    bragg_radiation radiation;
    bragg_index_lines lines;
    bragg_index_options options;
    bragg_index_result *result;
    bragg_index_match *match;        /* of the first cell */
    bragg_status ended;
} job;

static const char *const systems[] = { "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic" };
enum { N_SYSTEMS = sizeof systems / sizeof *systems };

/* ------------------------------------------------------------------- input */

static bragg_status read_systems(const char *text, unsigned *bits, bragg_error *err)
{
    for (*bits = 0; text && *text;) {
        size_t length = strcspn(text, ","), k = 0;
        while (k < N_SYSTEMS && (strlen(systems[k]) != length || strncasecmp(systems[k], text, length)))
            k++;
        if (k == N_SYSTEMS)
            return bragg_fail(err, BRAGG_EINVAL, "--systems: expected names like cubic,monoclinic, found '%.*s'", (int)length, text);
        *bits |= 1u << k;
        text += length + (text[length] == ',');
    }
    return BRAGG_OK;
}

static bragg_status check_wish(const wish *w, bragg_error *err)
{
    if (!isnan(w->wavelength_ang) && !(w->wavelength_ang > 0 && w->wavelength_ang < 100))
        return bragg_fail(err, BRAGG_EINVAL, "--wavelength: expected angstrom above 0, found %g", w->wavelength_ang);
    if (!isnan(w->wavelength2_ang) && !(w->wavelength2_ang > 0 && w->wavelength2_ang < 100))
        return bragg_fail(err, BRAGG_EINVAL, "--wavelength2: expected angstrom above 0, found %g", w->wavelength2_ang);
    if ((!isnan(w->sigma_deg) && !(w->sigma_deg > 0)) || (!isnan(w->zero_deg) && !(w->zero_deg >= 0 && w->zero_deg < 2)))
        return bragg_fail(err, BRAGG_EINVAL, "--sigma and --zero: expected degrees of 2theta, found %g and %g", w->sigma_deg, w->zero_deg);
    if (!(w->max_volume >= 0) || !(w->max_edge > 2) || !(w->seconds >= 0))
        return bragg_fail(err, BRAGG_EINVAL, "--max-volume, --max-edge and --seconds: expected positive numbers, found %g, %g and %g", w->max_volume, w->max_edge,
                          w->seconds);
    if (w->n < 1 || w->n > 100 || w->unindexed < 0 || w->unindexed > 8 || w->check < 0)
        return bragg_fail(err, BRAGG_EINVAL, "expected --number 1 to 100, --unindexed 0 to 8 and --check 0 or more, found %lld, %lld and %lld", w->n, w->unindexed,
                          w->check);
    return BRAGG_OK;
}

/* The doublet that the file or the command line knows of. */
static void set_radiation(job *j, double wavelength)
{
    const bragg_pattern *p = j->pattern;
    j->radiation = (bragg_radiation){ false, 1, { wavelength }, { 1 }, 0.5, { 0 } };
    double second = j->w->wavelength2_ang, ratio = 0.5;
    if (isnan(second) && p && p->wavelength2_ang > 0 && p->ratio2 > 0) {
        second = p->wavelength2_ang * wavelength / p->wavelength_ang;
        ratio = p->ratio2;
    }
    if (second > 0) {
        j->radiation.n_lines = 2;
        j->radiation.wavelength_ang[1] = second;
        j->radiation.ratio[1] = ratio;
    }
}

/* A file with a unit's header, few rows or uneven steps is a list; --kind decides else. */
static bragg_status read_input(job *j, bragg_error *err)
{
    const wish *w = j->w;
    bragg_error why = BRAGG_ERROR_INIT;
    bragg_axis axis = BRAGG_AXIS_TTH;
    bool list = w->kind && !strcmp(w->kind, "list");
    if (w->kind && !list && strcmp(w->kind, "pattern"))
        return bragg_fail(err, BRAGG_EINVAL, "--kind: expected pattern or list, found '%s'", w->kind);
    if (w->unit && !bragg_axis_parse(w->unit, &axis))
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, d_A, q_A^-1 or q_nm^-1, found '%s'", w->unit);
    bragg_status st = list ? BRAGG_OK : cli_pattern_read(j->path, 0, &j->pattern, &why);
    if (!w->kind && (st < 0 ? st == BRAGG_EDATA : bragg_index_lines_is_list(j->pattern))) {
        list = true;
        bragg_pattern_free(j->pattern);
        j->pattern = NULL;
        st = BRAGG_OK;
    }
    if (st < 0)
        return bragg_fail(err, st, "%s", why.text);
    if (j->pattern)
        cli_trim(j->path, j->pattern);
    double wavelength = !isnan(w->wavelength_ang) ? w->wavelength_ang : j->pattern ? j->pattern->wavelength_ang : NAN;
    if (!(wavelength > 0))
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected --wavelength, found none here nor in the file", j->path);
    set_radiation(j, wavelength);
    j->options.wavelength_ang = wavelength;
    return list ? bragg_index_lines_read(j->path, axis, wavelength, &j->lines, err)
                : bragg_index_lines_from_pattern(j->pattern, &j->radiation, &j->lines, err);
}

/* ------------------------------------------------------------------ output */

static const char *group_name(int hall, char out[40])
{
    bragg_symmetry s;
    snprintf(out, 40, "?");
    if (bragg_symmetry_from_hall_number(hall, &s, NULL) >= 0)
        snprintf(out, 40, "%s", s.hm);
    return out;
}

static json_t *extinctions_json(const bragg_index_cell *c)
{
    json_t *list = json_array();
    for (size_t k = 0; k < c->n_extinctions; k++) {
        const bragg_extinction *e = &c->extinction[k];
        json_t *groups = json_array();
        char name[40];
        for (size_t g = 0; g < e->n_groups && g < BRAGG_MAX_GROUPS; g++)
            json_array_append_new(groups, json_string(group_name(e->hall_number[g], name)));
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:o}", "space_groups", groups, "groups", (json_int_t)e->n_groups, "possible",
                                              (json_int_t)e->possible, "probability", bragg_json_number(e->probability)));
    }
    return list;
}

static json_t *cell_json(const bragg_index_cell *c)
{
    json_t *o = json_object(), *cell = json_object();
    const char centring[2] = { c->lattice.centring, 0 };
    for (int k = 0; k < 6; k++) {
        double unit = k < 3 ? 1 : BRAGG_DEG;
        json_object_set_new(cell, cli_cell_names[k], bragg_json_quantity((&c->lattice.cell.a)[k] / unit, c->esd[k] / unit, k < 3 ? "angstrom" : "deg"));
    }
    json_object_set_new(o, "system", json_string(systems[c->lattice.system]));
    json_object_set_new(o, "centring", json_string(centring));
    json_object_set_new(o, "cell", cell);
    json_object_set_new(o, "volume_ang3", bragg_json_number(c->volume_ang3));
    json_object_set_new(o, "reduced", cli_cell_json(&c->reduced));
    json_object_set_new(o, "zero", bragg_json_quantity(c->zero_rad.value / BRAGG_DEG, c->zero_rad.esd / BRAGG_DEG, "deg"));
    json_object_set_new(o, "m", bragg_json_number(c->m));
    json_object_set_new(o, "f", bragg_json_number(c->f));
    json_object_set_new(o, "f_delta_deg", bragg_json_number(c->f_delta_deg));
    json_object_set_new(o, "f_possible", json_integer((json_int_t)c->f_possible));
    json_object_set_new(o, "figure_lines", json_integer((json_int_t)c->figure_lines));
    json_object_set_new(o, "rms_deg", bragg_json_number(c->rms_rad / BRAGG_DEG));
    json_object_set_new(o, "lines", json_integer((json_int_t)c->lines));
    json_object_set_new(o, "indexed", json_integer((json_int_t)c->indexed));
    json_object_set_new(o, "possible", json_integer((json_int_t)c->possible));
    json_object_set_new(o, "evidence", bragg_json_number(c->evidence + c->rwp_evidence));
    json_object_set_new(o, "rwp", bragg_json_number(c->rwp));
    json_object_set_new(o, "derivative_of", c->derivative_of ? json_integer((json_int_t)c->derivative_of) : json_null());
    if (c->derivative_of)
        json_object_set_new(o, "volume_ratio", bragg_json_number((double)c->sub / c->super));
    json_object_set_new(o, "extinctions", extinctions_json(c));
    return o;
}

static json_t *as_json(const job *j)
{
    json_t *root = json_object(), *cells = json_array(), *lines = json_array();
    const bragg_index_result *r = j->result;
    for (size_t k = 0; k < r->n && k < (size_t)j->w->n; k++)
        json_array_append_new(cells, cell_json(&r->cell[k]));
    for (size_t k = 0; k < j->lines.n; k++) {
        const bragg_index_match *m = &j->match[k];
        const bragg_index_line *l = &j->lines.at[k];
        json_t *hkl = r->n && m->indexed ? json_pack("[i, i, i]", m->h, m->k, m->l) : json_null();
        json_array_append_new(lines, json_pack("{s:o, s:o, s:o, s:o, s:o}", "two_theta", bragg_json_number(l->two_theta_rad / BRAGG_DEG), "esd",
                                               bragg_json_number(l->sigma_rad / BRAGG_DEG), "intensity", bragg_json_number(l->intensity), "hkl", hkl, "calculated",
                                               bragg_json_number(r->n && m->indexed ? m->calculated_rad / BRAGG_DEG : NAN)));
    }
    json_object_set_new(root, "wavelength_ang", bragg_json_number(j->options.wavelength_ang));
    json_object_set_new(root, "complete", json_boolean(j->ended != BRAGG_STOPPED));
    json_object_set_new(root, "seconds", bragg_json_number(r->seconds));
    json_object_set_new(root, "cells", cells);
    json_object_set_new(root, "lines", lines);
    return root;
}

static void print_cell(const bragg_index_cell *c, size_t rank)
{
    char text[6][BRAGG_NUMBER_TEXT], name[40];
    for (int k = 0; k < 6; k++) {
        double unit = k < 3 ? 1 : BRAGG_DEG;
        if (c->esd[k] > 0)
            bragg_number_print_esd(text[k], (&c->lattice.cell.a)[k] / unit, c->esd[k] / unit);
        else
            bragg_number_print_digits(text[k], (&c->lattice.cell.a)[k] / unit, 7);
    }
    printf("%2zu  %s %c  a %s  b %s  c %s", rank, systems[c->lattice.system], c->lattice.centring, text[0], text[1], text[2]);
    for (int k = 3; k < 6; k++)
        if (c->lattice.system <= BRAGG_MONOCLINIC && c->esd[k] > 0)
            printf("  %s %s", k == 3 ? "alpha" : k == 4 ? "beta" : "gamma", text[k]);
    printf("  V %.2f\n    M%zu %.1f  F%zu %.1f (%.4f, %zu)  %zu of %zu lines, %zu possible  zero %+.4f deg", c->volume_ang3, c->figure_lines, c->m, c->figure_lines, c->f,
           c->f_delta_deg, c->f_possible, c->indexed, c->lines, c->possible, c->zero_rad.value / BRAGG_DEG);
    printf("  ln evidence %.1f", c->evidence + c->rwp_evidence);
    if (c->rwp > 0)
        printf("  Rwp %.2f %%", 100 * c->rwp);
    printf("\n");
    if (c->derivative_of)
        printf("    derivative lattice of %zu, volume %d : %d\n", c->derivative_of, c->sub, c->super);
    for (size_t k = 0; k < c->n_extinctions && k < 2; k++) {
        const bragg_extinction *e = &c->extinction[k];
        if (!(e->probability > 0.05))
            continue;
        printf("    %3.0f %%", 100 * e->probability);
        for (size_t g = 0; g < e->n_groups && g < 5; g++)
            printf("%s %s", g ? "," : " ", group_name(e->hall_number[g], name));
        printf("%s\n", e->n_groups > 5 ? " …" : "");
    }
}

static void print_answer(const job *j)
{
    const bragg_index_result *r = j->result;
    printf("%zu lines, %.1f s%s\n", j->lines.n, r->seconds, j->ended == BRAGG_STOPPED ? "; the time was up, --seconds gives more" : "");
    if (!r->n)
        printf("no cell explains the lines\n");
    for (size_t k = 0; k < r->n && k < (size_t)j->w->n; k++)
        print_cell(&r->cell[k], k + 1);
    if (!r->n)
        return;
    printf("\n  2theta/deg  intensity   h   k   l   calculated  difference   (cell 1)\n");
    for (size_t i = 0; i < j->lines.n && i < r->cell[0].lines; i++) {
        const bragg_index_line *l = &j->lines.at[i];
        const bragg_index_match *m = &j->match[i];
        printf("%12.4f %10.4g", l->two_theta_rad / BRAGG_DEG, l->intensity);
        if (m->indexed)
            printf(" %3d %3d %3d %12.4f %11.4f\n", m->h, m->k, m->l, m->calculated_rad / BRAGG_DEG, (l->two_theta_rad - m->calculated_rad) / BRAGG_DEG);
        else
            printf("   -   -   -\n");
    }
}

/* --------------------------------------------------------------------- run */

static bragg_status find_cells(job *j, bragg_error *err)
{
    const wish *w = j->w;
    cli_progress bar;
    bragg_index_options *o = &j->options;
    o->sigma_rad = w->sigma_deg * BRAGG_DEG; /* NAN: the library's own */
    o->zero_rad = w->zero_deg * BRAGG_DEG;
    o->max_volume_ang3 = w->max_volume;
    o->max_edge_ang = w->max_edge;
    o->seconds = w->seconds;
    o->unindexed = (size_t)w->unindexed;
    o->n_cells = (size_t)(w->n > 12 ? w->n : 12);
    o->observer = cli_observer(&bar, "search");
    bragg_status st = bragg_index(&j->lines, o, &j->result, err);
    j->ended = st;
    if (st >= 0 && j->pattern && w->check && j->result->n) {
        bar.what = "check";
        st = bragg_index_check(j->result, j->pattern, &j->radiation, (size_t)w->check, o, err);
    }
    cli_progress_end(&bar);
    if (st < 0)
        return bragg_context(err, st, "%s", j->path);
    j->match = calloc(j->lines.n + 1, sizeof *j->match);
    if (!j->match)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", j->lines.n);
    return j->result->n ? bragg_index_assign(&j->result->cell[0], &j->lines, o, j->match, err) : BRAGG_OK;
}

static bragg_status answer(const wish *w, const char *path, bragg_error *err)
{
    job j = { .w = w, .path = path, .options = BRAGG_INDEX_OPTIONS_INIT };
    bragg_status st = check_wish(w, err);
    if (st >= 0)
        st = read_systems(w->systems, &j.options.systems, err);
    if (st >= 0)
        st = read_input(&j, err);
    if (st >= 0)
        st = find_cells(&j, err);
    if (st >= 0 && w->json)
        st = bragg_json_print_take(as_json(&j), err);
    else if (st >= 0)
        print_answer(&j);
    if (st >= 0 && !j.result->n)
        st = BRAGG_ENOCONV;
    bragg_index_free(j.result);
    bragg_index_lines_free(&j.lines);
    bragg_pattern_free(j.pattern);
    free(j.match);
    return st;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    bragg_status st = cli_one("PATTERN or PEAKS", operands, argv, err);
    if (st == BRAGG_OK)
        st = answer(payload, argv[0], err);
    return st == BRAGG_ENOCONV ? cli_said(st, err) : st; /* on standard output */
}

static int run(int argc, char **argv)
{
    const bragg_index_options usual = BRAGG_INDEX_OPTIONS_INIT;
    wish w = { .wavelength_ang = NAN, .wavelength2_ang = NAN, .sigma_deg = NAN, .zero_deg = NAN, .max_edge = usual.max_edge_ang, .seconds = usual.seconds, .n = 5,
               .unindexed = 2, .check = 6 };
    const cli_option options[] = {
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "where the file does not say it" },
        { "wavelength2", 0, CLI_NUMBER, &w.wavelength2_ang, "ANGSTROM", "second line of a doublet, half as strong" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "of a list: 2th_deg, d_A, q_A^-1 [2th_deg]" },
        { "kind", 'k', CLI_TEXT, &w.kind, "KIND", "pattern or list [the file tells]" },
        { "sigma", 's', CLI_NUMBER, &w.sigma_deg, "DEG", "error of positions that have none [0.015 at 1.54 A]" },
        { "zero", 'z', CLI_NUMBER, &w.zero_deg, "DEG", "search zero errors up to this [0.07 at 1.54 A]" },
        { "unindexed", 'i', CLI_INTEGER, &w.unindexed, "N", "so many lines may be foreign [2]" },
        { "systems", 0, CLI_TEXT, &w.systems, "LIST", "only these: cubic,tetragonal … [all]" },
        { "max-volume", 0, CLI_NUMBER, &w.max_volume, "ANG3", "largest cell [from the density of lines]" },
        { "max-edge", 0, CLI_NUMBER, &w.max_edge, "ANG", "longest edge [40]" },
        { "seconds", 't', CLI_NUMBER, &w.seconds, "S", "stop searching after this time, 0 never [60]" },
        { "check", 'c', CLI_INTEGER, &w.check, "N", "Le Bail fits of the best N [6]" },
        { "number", 'n', CLI_INTEGER, &w.n, "N", "so many answers [5]" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
    };
    return cli_run(&cli_index, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_index = { "index", "PATTERN|PEAKS --wavelength LAMBDA", "find the unit cell from the positions of lines", run };
