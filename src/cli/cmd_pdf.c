/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg pdf: intensities to the pair distribution function. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct wish {
    const char *background, *composition, *unit, *out;
    double density;
    bool all, json, force, lorch;
    bragg_pdf_options o;
} wish;

/* The unit that was asked for replaces the one the file was taken to be in. */
static bragg_status read_pattern(const char *path, const char *unit, bragg_pattern **out, bragg_error *err)
{
    bragg_axis axis;
    bragg_status st = bragg_pattern_read(path, 0, out, err);
    if (st < 0 || !unit)
        return st;
    if (!bragg_axis_parse(unit, &axis) || axis == BRAGG_AXIS_R)
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", unit);
    for (size_t i = 0; i < (*out)->n; i++)
        (*out)->x[i] *= bragg_axis_factor(axis) / bragg_axis_factor((*out)->axis);
    (*out)->axis = axis;
    return BRAGG_OK;
}

static bragg_status choose_density(wish *w, const bragg_composition *c, bragg_error *err)
{
    const double avogadro_ang3 = 0.602214076; /* atoms/mol in cm^3/angstrom^3 */
    if (isnan(w->density))
        return BRAGG_OK;
    if (!(w->density > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--density: must be positive, got %g", w->density);
    if (isfinite(w->o.number_density))
        return bragg_fail(err, BRAGG_EINVAL, "expected --density or --number-density, found both");
    w->o.number_density = w->density * avogadro_ang3 / bragg_composition_weight(c);
    return BRAGG_OK;
}

/* With --all the four curves stand beside each other under one stem. */
static bragg_status write_curves(const wish *w, const bragg_pdf *p, const char *sample, bragg_error *err)
{
    static const char *const types[] = { ".iq", ".sq", ".fq", ".gr" };
    const bragg_pdf_names names = { sample, w->background, w->composition };
    char path[4096];
    bragg_status st = BRAGG_OK;
    const char *dot = strrchr(w->out, '.');
    size_t stem = dot && (!strcmp(dot, ".iq") || !strcmp(dot, ".sq") || !strcmp(dot, ".fq") || !strcmp(dot, ".gr")) ? (size_t)(dot - w->out)
                                                                                                                    : strlen(w->out);
    if (!w->all)
        return bragg_pdf_write(p, &names, w->out, w->force, err);
    for (int k = 0; k < 4 && st == BRAGG_OK; k++) {
        if (snprintf(path, sizeof path, "%.*s%s", (int)stem, w->out, types[k]) >= (int)sizeof path)
            return bragg_fail(err, BRAGG_EINVAL, "-o: the name is too long");
        st = bragg_pdf_write(p, &names, path, w->force, err);
    }
    return st;
}

static bragg_status print_json(const bragg_pdf *p, bragg_error *err)
{
    json_t *root = json_object();
    json_object_set_new(root, "scale", bragg_json_quantity(p->scale, NAN, ""));
    json_object_set_new(root, "background_scale", bragg_json_quantity(p->used.background_scale, NAN, ""));
    json_object_set_new(root, "qmin_invang", bragg_json_number(p->used.qmin_invang));
    json_object_set_new(root, "qmax_invang", bragg_json_number(p->used.qmax_invang));
    json_object_set_new(root, "qmaxinst_invang", bragg_json_number(p->used.qmaxinst_invang));
    json_object_set_new(root, "rpoly_ang", bragg_json_number(p->used.rpoly_ang));
    json_object_set_new(root, "low_r_slope", bragg_json_quantity(p->slope, p->slope_esd, "angstrom^-3"));
    json_object_set_new(root, "low_r_slope_expected", bragg_json_number(p->slope_expected));
    json_object_set_new(root, "low_r_slope_to_ang", bragg_json_number(p->slope_to_ang));
    json_object_set_new(root, "points_q", json_integer((json_int_t)p->n));
    json_object_set_new(root, "points_r", json_integer((json_int_t)p->m));
    json_object_set_new(root, "errors", json_boolean(p->gr_sigma != NULL));
    return bragg_json_print_take(root, err);
}

static void print_text(const bragg_pdf *p)
{
    char text[BRAGG_NUMBER_TEXT];
    printf("Q %.4g to %.4g /angstrom transformed, data used to %.4g, polynomial below %.3g angstrom\n", p->used.qmin_invang, p->used.qmax_invang,
           p->used.qmaxinst_invang, p->used.rpoly_ang);
    printf("scale %.6g with %.4g x background\n", p->scale, p->used.background_scale);
    printf("low-r slope %s /angstrom^3 up to %.3g angstrom", bragg_number_print_esd(text, p->slope, p->slope_esd), p->slope_to_ang);
    if (isfinite(p->slope_expected))
        printf(", -4 pi rho0 is %.4g", p->slope_expected);
    printf("%s\n", p->gr_sigma ? "" : "\nno errors: the data have none");
}

static bragg_status reduce(wish *w, const char *path, bragg_error *err)
{
    bragg_pattern *sample = NULL, *background = NULL;
    bragg_composition composition;
    bragg_pdf *p = NULL;
    w->o.window = w->lorch ? BRAGG_PDF_WINDOW_LORCH : BRAGG_PDF_WINDOW_NONE;
    bragg_status st = bragg_composition_parse(w->composition, &composition, err);
    if (st == BRAGG_OK)
        st = choose_density(w, &composition, err);
    if (st == BRAGG_OK)
        st = read_pattern(path, w->unit, &sample, err);
    if (st == BRAGG_OK && w->background)
        st = read_pattern(w->background, w->unit, &background, err);
    if (st == BRAGG_OK && (st = bragg_pdf_reduce(sample, background, &composition, &w->o, &p, err)) < 0)
        bragg_context(err, st, "'%s'", path);
    if (st == BRAGG_OK && w->out)
        st = write_curves(w, p, path, err);
    if (st == BRAGG_OK && w->json)
        st = print_json(p, err);
    else if (st == BRAGG_OK)
        print_text(p);
    bragg_pdf_free(p);
    bragg_pattern_free(background);
    bragg_pattern_free(sample);
    return st;
}

static bragg_status check_wish(const wish *w, int operands, bragg_error *err)
{
    if (operands != 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected one PATTERN, found %d names", operands);
    if (!w->composition)
        return bragg_fail(err, BRAGG_EINVAL, "expected --composition FORMULA, found none");
    if (!w->out && !w->json)
        return bragg_fail(err, BRAGG_EINVAL, "expected -o FILE.gr or --json, found none");
    return BRAGG_OK;
}

static int run(int argc, char **argv)
{
    wish w = { .density = NAN, .o = BRAGG_PDF_OPTIONS_INIT };
    const cli_option options[] = {
        { "background", 'b', CLI_TEXT, &w.background, "FILE", "pattern of container and air" },
        { "bgscale", 0, CLI_NUMBER, &w.o.background_scale, "FACTOR", "of the background [1]" },
        { "composition", 'c', CLI_TEXT, &w.composition, "FORMULA", "of the sample: BiSnSb, 'Zr(HPO4)2'" },
        { "wavelength", 'w', CLI_NUMBER, &w.o.wavelength_ang, "ANGSTROM", "for data in 2theta; default the file's" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "of the patterns, if they do not say: 2th_deg, q_A^-1, q_nm^-1" },
        { "qmin", 0, CLI_NUMBER, &w.o.qmin_invang, "Q", "the transform begins here [0]" },
        { "qmax", 0, CLI_NUMBER, &w.o.qmax_invang, "Q", "and ends here [qmaxinst]" },
        { "qmaxinst", 0, CLI_NUMBER, &w.o.qmaxinst_invang, "Q", "data beyond are not used [the last]" },
        { "rpoly", 0, CLI_NUMBER, &w.o.rpoly_ang, "ANGSTROM", "range of r the polynomial may bend, 0 for none [0.9]" },
        { "rmin", 0, CLI_NUMBER, &w.o.rmin_ang, "ANGSTROM", "first r [0]" },
        { "rmax", 0, CLI_NUMBER, &w.o.rmax_ang, "ANGSTROM", "last r [30]" },
        { "rstep", 0, CLI_NUMBER, &w.o.rstep_ang, "ANGSTROM", "step of r [0.01]" },
        { "lorch", 0, CLI_FLAG, &w.lorch, NULL, "dampen F(Q) towards qmax by Lorch's window" },
        { "neutron", 0, CLI_FLAG, &w.o.neutron, NULL, "weights are neutron scattering lengths" },
        { "compton", 0, CLI_FLAG, &w.o.compton, NULL, "take calculated Compton scattering off" },
        { "polarization", 0, CLI_NUMBER, &w.o.polarization, "P", "divide out: 0 whole rings of an unpolarized beam [done]" },
        { "mu-r", 0, CLI_NUMBER, &w.o.mu_r, "NUMBER", "absorption of a capillary, mu x radius [0]" },
        { "density", 0, CLI_NUMBER, &w.density, "G_CM3", "for the expected low-r slope" },
        { "number-density", 0, CLI_NUMBER, &w.o.number_density, "PER_A3", "the same in atoms/angstrom^3" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE", "write .gr, .fq, .sq or .iq" },
        { "all", 0, CLI_FLAG, &w.all, NULL, "write all four beside each other" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    if (argc > 1 && !strcmp(argv[1], "fit"))
        return cli_pdf_fit.run(argc - 1, argv + 1);
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int n;
    bragg_status st = cli_parse(&cli_pdf, options, sizeof options / sizeof *options, argc, argv, &n, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK)
        st = check_wish(&w, n, &err);
    if (st == BRAGG_OK)
        st = reduce(&w, argv[0], &err);
    return cli_report(&cli_pdf, st, &err);
}

const cli_command cli_pdf = { "pdf", "PATTERN --background B --composition X --qmax Q -o OUT.gr", "total scattering to the pair distribution function", run };
