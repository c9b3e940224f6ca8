/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg identify: which cards does a pattern show? */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *cards, *elements, *must, *not, *out;
    double wavelength_ang;
    long long n;
    bool json, no_refine, verbose, force;
} wish;

static json_t *match_json(const bragg_match *m)
{
    json_t *one = json_object(), *others = json_array();
    json_object_set_new(one, "card", json_string(m->source));
    json_object_set_new(one, "name", json_string(m->name));
    json_object_set_new(one, "formula", json_string(m->formula));
    json_object_set_new(one, "weight_fraction", bragg_json_number(m->fraction.value));
    json_object_set_new(one, "weight_fraction_esd", bragg_json_number(m->fraction.esd));
    json_object_set_new(one, "weight_fraction_by", json_string(m->rietveld ? "rietveld" : "rir"));
    json_object_set_new(one, "score", bragg_json_number(m->score));
    json_object_set_new(one, "strain", bragg_json_number(m->strain));
    json_object_set_new(one, "lines_expected", json_integer((json_int_t)m->lines));
    json_object_set_new(one, "lines_found", json_integer((json_int_t)m->found));
    json_object_set_new(one, "cell", cli_cell_json(&m->cell));
    for (size_t k = 0; k < m->n_alternatives; k++)
        json_array_append_new(others, json_string(m->alternative_name[k]));
    json_object_set_new(one, "alternatives", others);
    if (m->remark)
        json_object_set_new(one, "remark", json_string(m->remark));
    return one;
}

static json_t *as_json(const bragg_identification *r, size_t n)
{
    json_t *root = json_object(), *list = json_array(), *rest = json_array();
    for (size_t k = 0; k < r->n && k < n; k++) {
        const bragg_hypothesis *h = &r->hypothesis[k];
        json_t *phases = json_array(), *one = json_object();
        for (size_t i = 0; i < h->n; i++)
            json_array_append_new(phases, match_json(&h->phase[i]));
        json_object_set_new(one, "score", bragg_json_number(h->score));
        json_object_set_new(one, "rwp", bragg_json_number(h->rwp));
        json_object_set_new(one, "explained", bragg_json_number(h->explained));
        json_object_set_new(one, "guess", json_boolean(h->guess));
        json_object_set_new(one, "phases", phases);
        json_array_append_new(list, one);
    }
    for (size_t k = 0; k < r->n_unexplained; k++)
        json_array_append_new(rest, json_pack("{s:f, s:f, s:f}", "position", r->unexplained[k].x / BRAGG_DEG, "intensity", r->unexplained[k].area / BRAGG_DEG,
                                              "height", r->unexplained[k].height));
    json_object_set_new(root, "hypotheses", list);
    json_object_set_new(root, "unexplained", rest);
    json_object_set_new(root, "peaks", json_integer((json_int_t)r->n_peaks));
    json_object_set_new(root, "cards_searched", json_integer((json_int_t)r->searched));
    return root;
}

static void print_match(const bragg_match *m, bool alone)
{
    char text[BRAGG_QUANTITY_TEXT] = "";
    if (!alone && isfinite(m->fraction.value)) /* systematic errors are never below half a per cent */
        bragg_number_print_quantity(text, 100 * m->fraction.value, fmax(100 * m->fraction.esd, 0.1), "wt%");
    char score[16] = "", lines[48] = "";
    if (m->lines) { /* of the best only they are counted */
        snprintf(score, sizeof score, "%.2f", m->score);
        snprintf(lines, sizeof lines, "%zu of %zu", m->found, m->lines);
    }
    printf("    %-18s %-16s %12s  %5s  %+6.2f %%   %s\n", m->name, m->formula, text, score, 100 * m->strain, lines);
    if (m->n_alternatives) {
        int column = printf("      or as well:");
        for (size_t k = 0; k < m->n_alternatives; k++) {
            if (column + (int)strlen(m->alternative_name[k]) > 76)
                column = printf("\n        ") - 1;
            column += printf(" %s%s", m->alternative_name[k], k + 1 < m->n_alternatives ? "," : "");
        }
        printf("\n");
    }
    if (m->remark)
        printf("      %s\n", m->remark);
}

static void print_answer(const bragg_identification *r, size_t n)
{
    printf("%zu peaks, %zu cards searched", r->n_peaks, r->searched);
    if (r->radiation.n_lines > 1)
        printf(", K alpha doublet %.6g, %.6g angstrom", r->radiation.wavelength_ang[0], r->radiation.wavelength_ang[1]);
    printf("\n");
    for (size_t k = 0; k < r->n && k < n; k++) {
        const bragg_hypothesis *h = &r->hypothesis[k];
        if (!h->n) {
            printf("\n%zu. none of these cards   score %.2f\n", k + 1, h->score);
            continue;
        }
        printf("\n%zu. score %.2f   Rwp %.1f %%   explains %.0f %%%s\n", k + 1, h->score, 100 * h->rwp, 100 * h->explained, h->guess ? "   (a guess: too weak to be an answer)" : "");
        printf("    %-18s %-16s %12s  %5s  %8s   %s\n", "card", "formula", "weight", "score", "strain", "lines found");
        for (size_t i = 0; i < h->n; i++)
            print_match(&h->phase[i], h->n == 1);
    }
    if (!r->n_unexplained)
        return;
    printf("\nunexplained peaks (2theta, deg):");
    for (size_t k = 0; k < r->n_unexplained && k < 20; k++)
        printf(" %.2f", r->unexplained[k].x / BRAGG_DEG);
    printf("%s\n", r->n_unexplained > 20 ? " …" : "");
}

static void talk(void *payload, int level, const char *text)
{
    (void)payload, (void)level;
    fprintf(stderr, "%s\n", text);
}

static bragg_status radiation_of(const wish *w, const bragg_pattern *p, const char *path, bragg_radiation *out, bragg_error *err)
{
    double wavelength = w->wavelength_ang > 0 ? w->wavelength_ang : p->wavelength_ang;
    if (!(wavelength > 0))
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected --wavelength, found none here nor in the file", path);
    *out = (bragg_radiation){ .n_lines = 1, .wavelength_ang = { wavelength }, .ratio = { 1 }, .polarization = wavelength < 0.5 ? 0.99 : 0.5 };
    if (p->wavelength2_ang > 0 && p->ratio2 > 0) { /* a doublet that the file knows of */
        out->n_lines = 2;
        out->wavelength_ang[1] = p->wavelength2_ang * wavelength / p->wavelength_ang;
        out->ratio[1] = p->ratio2;
    }
    return BRAGG_OK;
}

static bragg_status identify(const wish *w, const char *path, bragg_error *err)
{
    bragg_pattern *p = NULL;
    bragg_cards *cards = NULL;
    bragg_identification *r = NULL;
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_observer loud = { talk, NULL, NULL };
    unsigned char may[64], must[64], not[64];
    o.refine = !w->no_refine;
    o.observer = w->verbose ? &loud : NULL;
    o.filter.may = may;
    o.filter.must = must;
    o.filter.not = not;
    bragg_output *out = NULL; /* opened first: what it may not replace costs no search */
    bragg_status st = w->out ? bragg_output_open(w->out, w->force, &out, err) : BRAGG_OK;
    if (st == BRAGG_OK)
        st = cli_pattern_read(path, 0, &p, err);
    if (st == BRAGG_OK)
        cli_trim(path, p);
    if (st == BRAGG_OK)
        st = radiation_of(w, p, path, &o.radiation, err);
    if (st == BRAGG_OK && w->elements)
        st = cli_elements("elements", w->elements, may, &o.filter.n_may, err);
    if (st == BRAGG_OK && w->must)
        st = cli_elements("must", w->must, must, &o.filter.n_must, err);
    if (st == BRAGG_OK && w->not)
        st = cli_elements("not", w->not, not, &o.filter.n_not, err);
    if (st == BRAGG_OK)
        st = bragg_cards_find_set(w->cards, NULL, &cards, err);
    if (st >= 0)
        st = bragg_identify(cards, p, &o, &r, err);
    if (st >= 0 && w->json)
        st = bragg_json_print_take(as_json(r, (size_t)w->n), err);
    else if (st >= 0)
        print_answer(r, (size_t)w->n);
    if (st >= 0 && out)
        st = bragg_identification_put(r, cards, w->cards != NULL, path, w->out, w->force, bragg_output_stream(out), err);
    if (st >= 0 && out)
        st = bragg_output_commit(out, err);
    else
        bragg_output_abandon(out);
    bragg_identification_free(r);
    bragg_cards_free(cards);
    bragg_pattern_free(p);
    return st;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const wish *w = payload;
    bragg_status st = cli_one("PATTERN", operands, argv, err);
    if (st == BRAGG_OK && w->n < 1)
        st = bragg_fail(err, BRAGG_EINVAL, "--number: expected a positive number, found %lld", w->n);
    return st == BRAGG_OK ? identify(w, argv[0], err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { .wavelength_ang = NAN, .n = 10 };
    const cli_option options[] = {
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "where the file does not say it" },
        { "elements", 'e', CLI_TEXT, &w.elements, "LIST", "only cards of these elements: Bi,Sb,K" },
        { "must", 0, CLI_TEXT, &w.must, "LIST", "only cards that hold all of these elements" },
        { "not", 0, CLI_TEXT, &w.not, "LIST", "no cards that hold one of these elements" },
        { "cards", 'c', CLI_TEXT, &w.cards, "SET", "a set made by bragg cards build, or a folder of CIFs [the bundled set]" },
        { "number", 'n', CLI_INTEGER, &w.n, "N", "so many answers [10]" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE.yaml", "write an experiment with the phases of the best answer, for bragg refine" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "replace FILE.yaml" },
        { "no-refine", 0, CLI_FLAG, &w.no_refine, NULL, "weights from I/Ic instead of a Rietveld refinement" },
        { "verbose", 'v', CLI_FLAG, &w.verbose, NULL, "tell of the candidates on standard error" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
    };
    return cli_run(&cli_identify, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_identify = { "identify", "PATTERN --wavelength LAMBDA", "rank the cards of a set against a pattern", run };
