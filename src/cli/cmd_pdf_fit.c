/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg pdf fit: a structure to a measured G(r). */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct wish {
    const char *card, *out;
    bool json, force, neutron, xray;
    double qmax, uiso;
    long long cycles;
    bragg_pdf_fit_options o;
} wish;

/* A CIF file, or the name of a bundled card. */
static bragg_status read_card(const wish *w, bragg_structure **out, bragg_error *err)
{
    char name[512];
    bragg_arena *arena = bragg_arena_new();
    const char *path = w->card;
    if (!arena)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", w->card);
    if (!bragg_path_exists(path) && snprintf(name, sizeof name, "cif/%s.cif", w->card) < (int)sizeof name) {
        const char *bundled = bragg_data_path(arena, name);
        path = bundled && bragg_path_exists(bundled) ? bundled : path;
    }
    bragg_status st = bragg_structure_read_cif(path, NULL, out, NULL, 0, err);
    bragg_arena_free(arena);
    for (size_t a = 0; st == BRAGG_OK && isfinite(w->uiso) && a < (*out)->n_atoms; a++) {
        (*out)->atom[a].uiso_ang2 = w->uiso;
        (*out)->atom[a].anisotropic = false;
    }
    return st;
}

/* The columns of PDFgui's .fgr: r, calculated, two of zeros, difference. */
static bragg_status write_curves(const wish *w, const bragg_pdf_fit *f, const char *data, bragg_error *err)
{
    char a[BRAGG_NUMBER_TEXT], b[BRAGG_NUMBER_TEXT], c[BRAGG_NUMBER_TEXT];
    bragg_output *out;
    bragg_status st = bragg_output_open(w->out, w->force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "# data: %s\n# structure: %s\n# rw: %s\n", data, w->card, bragg_number_print_digits(a, f->rw, 6));
    for (size_t k = 0; k < f->params.n; k++)
        fprintf(to, "# %s = %s %s%s\n", f->params.at[k].name, bragg_number_print_esd(a, f->params.at[k].value, f->params.at[k].esd),
                f->params.at[k].unit, f->params.at[k].refine ? "" : " (not refined)");
    fprintf(to, "#### start data\n#L r(A) Gcalc(A^{-2}) dr dG Gdiff(A^{-2})\n");
    for (size_t i = 0; i < f->n; i++)
        fprintf(to, "%s %s 0 0 %s\n", bragg_number_print_digits(a, f->r[i], 9), bragg_number_print_digits(b, f->calculated[i], 8),
                bragg_number_print_digits(c, f->observed[i] - f->calculated[i], 8));
    return bragg_output_commit(out, err);
}

/* A cell angle is in radians inside. */
static bragg_quantity shown(const bragg_param *p, const char **unit)
{
    bool angle = !strcmp(p->unit, "rad");
    *unit = angle ? "deg" : p->unit;
    return (bragg_quantity){ angle ? p->value / BRAGG_DEG : p->value, angle ? p->esd / BRAGG_DEG : p->esd };
}

static bragg_status print_json(const bragg_pdf_fit *f, bragg_error *err)
{
    json_t *root = json_object(), *params = json_object();
    json_object_set_new(root, "converged", json_boolean(f->converged));
    json_object_set_new(root, "cycles", json_integer(f->cycles));
    json_object_set_new(root, "points", json_integer((json_int_t)f->fitted));
    json_object_set_new(root, "rw", bragg_json_number(f->rw));
    for (size_t k = 0; k < f->params.n; k++) {
        const char *unit;
        bragg_quantity q = shown(&f->params.at[k], &unit);
        json_object_set_new(params, f->params.at[k].name, bragg_json_quantity(q.value, q.esd, unit));
    }
    json_object_set_new(root, "parameters", params);
    return bragg_json_write_take(root, NULL, false, err);
}

static void print_text(const bragg_pdf_fit *f)
{
    char text[BRAGG_NUMBER_TEXT];
    printf("%s after %d cycles: Rw %.3f %% over %zu points, %zu of them independent\n", f->converged ? "converged" : "NOT CONVERGED", f->cycles,
           100 * f->rw, f->n, f->fitted);
    for (size_t k = 0; k < f->params.n; k++) {
        const char *unit;
        bragg_quantity q = shown(&f->params.at[k], &unit);
        if (f->params.at[k].refine)
            printf("  %-28s %s %s\n", f->params.at[k].name, bragg_number_print_esd(text, q.value, q.esd), unit);
    }
}

static bragg_status fit(wish *w, const char *path, bragg_error *err)
{
    bragg_structure *s = NULL;
    bragg_pdf_data *data = NULL;
    bragg_pdf_fit *f = NULL;
    bragg_status st = read_card(w, &s, err), last = BRAGG_OK;
    if (st == BRAGG_OK)
        st = bragg_pdf_data_read(path, &data, err);
    if (st == BRAGG_OK) {
        cli_progress bar;
        w->o.shape.neutron = w->neutron || (data->neutron && !w->xray);
        w->o.shape.qmax_invang = isfinite(w->qmax) ? w->qmax : INFINITY;
        w->o.observer = cli_observer(&bar, "fit");
        st = bragg_pdf_fit_structure(s, data, &w->o, &f, err);
        cli_progress_end(&bar);
    }
    if (f && w->out) /* also what did not converge is written and shown */
        last = write_curves(w, f, path, st < 0 ? NULL : err);
    if (f && w->json)
        last = last < 0 ? last : print_json(f, st < 0 ? NULL : err);
    else if (f)
        print_text(f);
    bragg_pdf_fit_free(f);
    bragg_pdf_data_free(data);
    bragg_structure_free(s);
    return st < 0 ? st : last;
}

static int run(int argc, char **argv)
{
    wish w = { .qmax = NAN, .uiso = NAN, .cycles = 50, .o = BRAGG_PDF_FIT_OPTIONS_INIT };
    const cli_option options[] = {
        { "card", 'c', CLI_TEXT, &w.card, "CIF", "the structure: a CIF file or the name of a bundled card" },
        { "refine", 0, CLI_TEXT, &w.o.refine, "LIST", "of scale cell uiso positions delta1 delta2 qdamp qbroad spdiameter [scale,cell,uiso,delta2,qdamp]" },
        { "rmin", 0, CLI_NUMBER, &w.o.rmin_ang, "ANGSTROM", "fit from [1.5]" },
        { "rmax", 0, CLI_NUMBER, &w.o.rmax_ang, "ANGSTROM", "to [20]" },
        { "qmax", 0, CLI_NUMBER, &w.qmax, "Q", "of the data [their header's]" },
        { "qdamp", 0, CLI_NUMBER, &w.o.shape.qdamp_invang, "Q", "start or fixed value [0]" },
        { "qbroad", 0, CLI_NUMBER, &w.o.shape.qbroad_invang, "Q", "start or fixed value [0]" },
        { "delta1", 0, CLI_NUMBER, &w.o.shape.delta1_ang, "ANGSTROM", "start or fixed value [0]" },
        { "delta2", 0, CLI_NUMBER, &w.o.shape.delta2_ang2, "ANGSTROM2", "start or fixed value [0]" },
        { "spdiameter", 0, CLI_NUMBER, &w.o.shape.spdiameter_ang, "ANGSTROM", "diameter of spherical particles [infinite]" },
        { "uiso", 0, CLI_NUMBER, &w.uiso, "ANGSTROM2", "start for every atom [the card's, else 0.005]" },
        { "neutron", 0, CLI_FLAG, &w.neutron, NULL, "weights are neutron scattering lengths [as the header says]" },
        { "xray", 0, CLI_FLAG, &w.xray, NULL, "weights are those of X-rays, whatever the header says" },
        { "cycles", 0, CLI_INTEGER, &w.cycles, "N", "at most [50]" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE.fgr", "write calculated and difference curves" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_pdf_fit, options, sizeof options / sizeof *options, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK && n != 1)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected one DATA.gr, found %d names", n);
    if (st == BRAGG_OK && !w.card)
        st = bragg_fail(&err, BRAGG_EINVAL, "expected --card CIF, found none");
    if (st == BRAGG_OK && (w.cycles < 1 || w.cycles > 10000))
        st = bragg_fail(&err, BRAGG_EINVAL, "--cycles: expected 1 to 10000, found %lld", w.cycles);
    w.o.max_cycles = (int)w.cycles;
    if (st == BRAGG_OK)
        st = fit(&w, argv[0], &err);
    return cli_report(&cli_pdf_fit, st, &err);
}

const cli_command cli_pdf_fit = { "pdf fit", "DATA.gr --card CIF", "fit a structure to G(r) in real space", run };
