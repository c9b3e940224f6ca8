/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg identify: which cards does a pattern show? */
#include "config.h"
#include "cli.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct wish {
    const char *cards, *elements;
    double wavelength_ang;
    long long n;
    bool json;
} wish;

/* "Bi,Sb,K" to atomic numbers. */
static bragg_status read_elements(const char *text, unsigned char out[64], size_t *n, bragg_error *err)
{
    *n = 0;
    while (*text) {
        char name[4] = "";
        size_t length = strcspn(text, ", ");
        bragg_scatterer s;
        if (length >= 1 && length <= 2 && *n < 64) {
            memcpy(name, text, length);
            if (bragg_scatterer_find(name, &s, NULL, NULL) == BRAGG_OK) {
                out[(*n)++] = (unsigned char)s.z;
                text += length + strspn(text + length, ", ");
                continue;
            }
        }
        return bragg_fail(err, BRAGG_EINVAL, "--elements: expected symbols like Bi,Sb,K, found '%.20s'", text);
    }
    return BRAGG_OK;
}

static json_t *as_json(const bragg_hypothesis *h, size_t n, const bragg_peak *peaks, size_t n_peaks, const bragg_pattern *p)
{
    json_t *root = json_object(), *list = json_array(), *rest = json_array();
    for (size_t k = 0; k < n; k++) {
        json_t *phases = json_array(), *one = json_object();
        double score = 0;
        for (size_t i = 0; i < h[k].n; i++) {
            const bragg_card *c = h[k].phase[i].card;
            double w = h[k].n > 1 ? h[k].fraction[i].value : 1;
            json_array_append_new(phases, json_pack("{s:s, s:s, s:s, s:f}", "card", c->path, "name", c->name, "formula", c->formula, "weight_fraction", w));
            score = fmax(score, h[k].phase[i].score);
        }
        json_object_set_new(one, "score", bragg_json_number(score));
        json_object_set_new(one, "rwp", bragg_json_number(h[k].rwp));
        json_object_set_new(one, "phases", phases);
        json_array_append_new(list, one);
    }
    if (n == 0)
        json_array_append_new(list, json_pack("{s:f, s:n, s:[]}", "score", 0.0, "rwp", "phases"));
    for (size_t k = 0; n == 0 && k < n_peaks; k++)
        json_array_append_new(rest, json_pack("{s:f, s:f}", "position", peaks[k].x / bragg_axis_factor(p->axis), "intensity", peaks[k].area));
    json_object_set_new(root, "hypotheses", list);
    json_object_set_new(root, "unexplained", rest);
    return root;
}

static void print_list(const bragg_hypothesis *h, size_t n, size_t n_peaks)
{
    char text[BRAGG_NUMBER_TEXT];
    printf("%zu peaks\n%8s  %s\n", n_peaks, "Rwp/%", "phases (score, change of the cell)");
    for (size_t k = 0; k < n; k++) {
        printf("%8.2f ", 100 * h[k].rwp);
        for (size_t i = 0; i < h[k].n; i++) {
            const bragg_match *m = &h[k].phase[i];
            printf("%s%s", i ? " + " : " ", m->card->name);
            if (h[k].n > 1)
                printf(" %s wt", bragg_number_print_esd(text, h[k].fraction[i].value, h[k].fraction[i].esd));
            else
                printf("  %s (%.3f, %+.2f %%)", m->card->formula, m->score, 100 * m->shift);
        }
        printf("\n");
    }
    if (!n)
        printf("nothing fits\n");
}

static bragg_status identify(const wish *w, const char *path, bragg_error *err)
{
    bragg_pattern *p = NULL;
    bragg_cards *cards = NULL;
    bragg_hypothesis *m = NULL;
    bragg_peak *peaks = NULL;
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_arena *arena = bragg_arena_new();
    unsigned char elements[64];
    size_t n = 0, n_peaks = 0;
    bragg_status st = arena ? bragg_pattern_read(path, 0, &p, err) : BRAGG_ENOMEM;
    double wavelength = st < 0 ? NAN : w->wavelength_ang > 0 ? w->wavelength_ang : p->wavelength_ang;
    if (st == BRAGG_OK && !(wavelength > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "%s: expected --wavelength, found none here nor in the file", path);
    o.radiation = (bragg_radiation){ false, 1, { wavelength }, { 1 }, 0.5 };
    if (st == BRAGG_OK && p->wavelength2_ang > 0 && p->ratio2 > 0) { /* a doublet that the file knows of */
        o.radiation.n_lines = 2;
        o.radiation.wavelength_ang[1] = p->wavelength2_ang * wavelength / p->wavelength_ang;
        o.radiation.ratio[1] = p->ratio2;
    }
    if (st == BRAGG_OK && w->elements) {
        st = read_elements(w->elements, elements, &o.n_elements, err);
        o.elements = elements;
    }
    if (st == BRAGG_OK) {
        double q_max = fmax(bragg_axis_convert(p->x[p->n - 1], p->axis, BRAGG_AXIS_Q, wavelength), bragg_axis_convert(p->x[0], p->axis, BRAGG_AXIS_Q, wavelength));
        st = bragg_cards_read_folder(w->cards ? w->cards : bragg_data_path(arena, "cif"), wavelength, fmin(1.02 * q_max, 12), NULL, &cards, err);
    }
    if (st == BRAGG_OK) {
        cli_progress bar;
        o.observer = cli_observer(&bar, "fit");
        st = bragg_identify(cards, p, &o, &m, &n, &peaks, &n_peaks, err);
        cli_progress_end(&bar);
    }
    if (st >= 0 && n > (size_t)w->n)
        n = (size_t)w->n;
    if (st >= 0 && w->json)
        st = bragg_json_write_take(as_json(m, n, peaks, n_peaks, p), NULL, false, err);
    else if (st >= 0)
        print_list(m, n, n_peaks);
    free(m);
    free(peaks);
    bragg_cards_free(cards);
    bragg_pattern_free(p);
    bragg_arena_free(arena);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { .wavelength_ang = NAN, .n = 10 };
    const cli_option options[] = {
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "where the file does not say it" },
        { "elements", 'e', CLI_TEXT, &w.elements, "LIST", "only cards of these elements: Bi,Sb,K" },
        { "cards", 'c', CLI_TEXT, &w.cards, "DIR", "CIF files to search [the bundled set]" },
        { "number", 'n', CLI_INTEGER, &w.n, "N", "so many answers [10]" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_identify, options, sizeof options / sizeof *options, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected one PATTERN, found %d names", n);
    if (st == BRAGG_OK && w.n < 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "--number: expected a positive number, found %lld", w.n);
    if (st == BRAGG_OK)
        st = identify(&w, argv[0], &err);
    return cli_report(&cli_identify, st, &err);
}

const cli_command cli_identify = { "identify", "PATTERN --wavelength LAMBDA", "rank the cards of a set against a pattern", run };
