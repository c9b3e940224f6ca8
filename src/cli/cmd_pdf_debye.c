/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg pdf debye: scattering of a finite particle. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct wish {
    const char *out, *shape, *plot;
    double diameter, length, uiso;
    bool json, force;
    bragg_debye_options o;
} wish;

static bragg_status open_particle(const wish *w, const char *path, bragg_particle **out, bragg_error *err)
{
    static const char *const shapes[] = { "sphere", "rod", "plate" };
    bragg_structure *s = NULL;
    int cut = 0;
    if (!strcmp(bragg_path_extension(path), ".xyz"))
        return bragg_particle_read_xyz(path, out, err);
    bragg_arena *arena = bragg_arena_new();
    const char *card = !arena ? NULL : bragg_path_exists(path) ? path : bragg_card_path(arena, NULL, path);
    while (cut < 3 && strcmp(w->shape, shapes[cut]))
        cut++;
    bragg_status st = cut == 3 ? bragg_fail(err, BRAGG_EINVAL, "--shape: expected sphere, rod or plate, found '%s'", w->shape)
                    : !card    ? bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path)
                               : cli_card_read(card, &s, err);
    if (st == BRAGG_OK)
        st = bragg_particle_cut(s, (bragg_cut)cut, w->diameter, w->length, out, err);
    bragg_structure_free(s);
    bragg_arena_free(arena);
    return st;
}

static bragg_status write_curve(const char *path, bool force, const char *head, const double *x, const double *y, size_t n, bragg_error *err)
{
    char a[BRAGG_NUMBER_TEXT], b[BRAGG_NUMBER_TEXT];
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "%s", head);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%s %s\n", bragg_number_print_digits(a, x[i], 9), bragg_number_print_digits(b, y[i], 8));
    return bragg_output_commit(out, err);
}

/* -o NAME: NAME.gr, NAME.sq, NAME.fq and NAME.iq. */
static bragg_status write_curves(const wish *w, const bragg_debye *d, const char *source, size_t atoms, bragg_error *err)
{
    static const char *const types[] = { ".iq", ".sq", ".fq", ".gr" }, *const labels[] = { "Q(A^{-1})  I", "Q(A^{-1})  S", "Q(A^{-1})  F(A^{-1})", "r(A)  G(A^{-2})" };
    const double *const y[] = { d->iq, d->sq, d->fq, d->gr };
    bragg_status st = BRAGG_OK;
    size_t stem = strlen(w->out);
    for (int k = 0; k < 4; k++)
        if (stem > 3 && !strcmp(w->out + stem - 3, types[k]))
            stem -= 3;
    for (int k = 0; k < 4 && st == BRAGG_OK; k++) {
        char path[4096], head[900];
        snprintf(head, sizeof head, "[DEFAULT]\n\nversion = bragg %s\ninputfile = %.300s\natoms = %zu\nmode = %s\nqmin = %.9g\nqmax = %.9g\nqdamp = %.9g\n\n#### start data\n\n#S 1\n#L %s\n",
                 PACKAGE_VERSION, source, atoms, w->o.neutron ? "neutron" : "xray", w->o.qmin_invang, w->o.qmax_invang, w->o.qdamp_invang, labels[k]);
        if (snprintf(path, sizeof path, "%.*s%s", (int)stem, w->out, types[k]) >= (int)sizeof path)
            return bragg_fail(err, BRAGG_EINVAL, "-o: the name is too long");
        st = write_curve(path, w->force, head, k == 3 ? d->r : d->q, y[k], k == 3 ? d->m : d->n, err);
    }
    return st;
}

static bragg_status plot(const wish *w, const bragg_debye *d, const char *source, bragg_error *err)
{
    const double *const y[3] = { d->iq, d->sq, d->gr };
    static const char *const label[3] = { "<i>I</i>(<i>Q</i>) per atom", "<i>S</i>(<i>Q</i>)", "<i>G</i>(<i>r</i>) (Å<sup>−2</sup>)" };
    bragg_plot_profile panel[3];
    bragg_plot_trace trace[3] = { { { 0 }, false, false, 0, false } };
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    for (int k = 0; k < 3; k++) {
        panel[k] = (bragg_plot_profile)BRAGG_PLOT_PROFILE_INIT;
        trace[k].curve = (bragg_plot_curve){ k == 2 ? d->m : d->n, k == 2 ? d->r : d->q, y[k], NULL, NULL };
        panel[k].x_label = k == 2 ? "<i>r</i> (Å)" : "<i>Q</i> (Å<sup>−1</sup>)";
        panel[k].y_label = label[k];
        panel[k].n_traces = 1;
        panel[k].traces = &trace[k];
    }
    page.width_mm = 120;
    page.title = source;
    page.force = w->force;
    return bragg_plot_profiles(panel, 3, 1, &page, w->plot, err);
}

static bragg_status sum(const wish *w, const char *source, bragg_error *err)
{
    bragg_particle *p = NULL;
    bragg_debye *d = NULL;
    bragg_status st = open_particle(w, source, &p, err);
    for (size_t k = 0; st == BRAGG_OK && k < p->n_kinds; k++)
        if (isfinite(w->uiso))
            p->uiso_ang2[k] = w->uiso;
    if (st == BRAGG_OK)
        st = bragg_debye_sum(p, &w->o, &d, err);
    if (st == BRAGG_OK && w->out)
        st = write_curves(w, d, source, p->n, err);
    if (st == BRAGG_OK && w->plot)
        st = plot(w, d, source, err);
    if (st == BRAGG_OK && w->json)
        st = bragg_json_print_take(json_pack("{s:I, s:I, s:I, s:I}", "atoms", (json_int_t)p->n, "kinds", (json_int_t)p->n_kinds, "points_q", (json_int_t)d->n,
                                             "points_r", (json_int_t)d->m), err);
    else if (st == BRAGG_OK)
        printf("%zu atoms of %zu kind%s\n", p->n, p->n_kinds, p->n_kinds == 1 ? "" : "s");
    bragg_debye_free(d);
    bragg_particle_free(p);
    return st;
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const wish *w = payload;
    bragg_status st = cli_one("particle .xyz or crystal", operands, argv, err);
    if (st < 0)
        return st;
    if (!w->out && !w->plot && !w->json)
        return bragg_fail(err, BRAGG_EINVAL, "expected -o NAME, --plot or --json, found none");
    return sum(w, argv[0], err);
}

static int run(int argc, char **argv)
{
    wish w = { .shape = "sphere", .diameter = NAN, .length = NAN, .uiso = NAN, .o = BRAGG_DEBYE_OPTIONS_INIT };
    const cli_option options[] = {
        { "shape", 0, CLI_TEXT, &w.shape, "NAME", "to cut from a crystal: sphere, rod along c, plate across c [sphere]" },
        { "diameter", 0, CLI_NUMBER, &w.diameter, "ANGSTROM", "of it" },
        { "length", 0, CLI_NUMBER, &w.length, "ANGSTROM", "of the rod, thickness of the plate" },
        { "uiso", 0, CLI_NUMBER, &w.uiso, "ANGSTROM2", "displacement of every atom [the card's; 0 of .xyz]" },
        { "qmin", 0, CLI_NUMBER, &w.o.qmin_invang, "Q", "from [0.5]" },
        { "qmax", 0, CLI_NUMBER, &w.o.qmax_invang, "Q", "to [25]" },
        { "qstep", 0, CLI_NUMBER, &w.o.qstep_invang, "Q", "in steps of [0.01]" },
        { "qdamp", 0, CLI_NUMBER, &w.o.qdamp_invang, "Q", "of the resolution [0]" },
        { "rmin", 0, CLI_NUMBER, &w.o.rmin_ang, "ANGSTROM", "first r [0]" },
        { "rmax", 0, CLI_NUMBER, &w.o.rmax_ang, "ANGSTROM", "last r [30]" },
        { "rstep", 0, CLI_NUMBER, &w.o.rstep_ang, "ANGSTROM", "step of r [0.01]" },
        { "bin", 0, CLI_NUMBER, &w.o.bin_ang, "ANGSTROM", "of the histogram of distances [0.004]" },
        { "neutron", 0, CLI_FLAG, &w.o.neutron, NULL, "weights are neutron scattering lengths" },
        { "output", 'o', CLI_TEXT, &w.out, "NAME", "write NAME.iq, NAME.sq, NAME.fq and NAME.gr" },
        { "plot", 0, CLI_TEXT, &w.plot, "FILE", "figure of I, S and G: .svg, .pdf or .png" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_pdf_debye, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_pdf_debye = { "pdf debye", "PARTICLE.xyz | CARD --diameter D -o NAME", "scattering of a finite particle by the Debye sum", run };
