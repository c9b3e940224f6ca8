/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Structures as CIF. */
#include "config.h"
#include <bragg/crystal.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/units.h>

#include <math.h>
#include <string.h>

/* One coordinate, "-x+1/2"; shifts are multiples of a 24th. */
static void put_row(FILE *to, const int r[3], double shift)
{
    static const char axis[] = "xyz";
    bool first = true;
    int t = (int)lrint(24 * (shift - floor(shift))) % 24, part = 24;
    for (int d = 2; d <= 24; d++)
        while (t && t % d == 0 && part % d == 0) {
            t /= d;
            part /= d;
        }
    for (int j = 0; j < 3; j++)
        if (r[j]) {
            fprintf(to, "%s%c", r[j] < 0 ? "-" : first ? "" : "+", axis[j]);
            first = false;
        }
    if (t)
        fprintf(to, "+%d/%d", t, part);
}

void bragg_symmetry_put_operations(FILE *to, const bragg_symmetry *s)
{
    fprintf(to, "loop_\n _space_group_symop_id\n _space_group_symop_operation_xyz\n");
    for (size_t o = 0; o < s->n_ops; o++) {
        fprintf(to, " %zu '", o + 1);
        for (int i = 0; i < 3; i++) {
            put_row(to, s->op[o].r[i], s->op[o].t[i]);
            fprintf(to, "%s", i < 2 ? "," : "'\n");
        }
    }
}

void bragg_cif_put_text(FILE *to, const char *name, const char *text)
{
    fprintf(to, "%s\n;\n ", name);
    for (; *text; text++)
        fprintf(to, *text == '\n' ? "\n " : "%c", (unsigned char)*text < 128 && *text != '\r' ? *text : '?');
    fprintf(to, "\n;\n");
}

static void put_cell(FILE *to, const bragg_cell *c)
{
    static const char *const names[6] = { "_cell_length_a", "_cell_length_b", "_cell_length_c", "_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma" };
    char text[BRAGG_NUMBER_TEXT];
    for (int k = 0; k < 6; k++)
        fprintf(to, "%-32s %s\n", names[k], bragg_number_print_digits(text, (&c->a)[k] / (k < 3 ? 1 : BRAGG_DEG), 9));
}

/* Displacements as they are; '?' where none is known. */
static void put_atoms(FILE *to, const bragg_structure *s)
{
    fprintf(to, "loop_\n _atom_site_label\n _atom_site_type_symbol\n _atom_site_fract_x\n _atom_site_fract_y\n _atom_site_fract_z\n"
                " _atom_site_occupancy\n _atom_site_U_iso_or_equiv\n");
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_atom *a = &s->atom[j];
        const char *species = s->scatterer[a->scatterer].name;
        char text[BRAGG_NUMBER_TEXT];
        fprintf(to, " %.*s%zu %s", (int)strcspn(species, "0123456789+-"), species, j + 1, species);
        for (int k = 0; k < 3; k++)
            fprintf(to, " %s", bragg_number_print_digits(text, a->x[k], 8));
        fprintf(to, " %s", bragg_number_print_digits(text, a->occupancy, 7));
        fprintf(to, " %s\n", isfinite(a->uiso_ang2) ? bragg_number_print_digits(text, a->uiso_ang2, 6) : "?");
    }
}

static void put_structure(FILE *to, const bragg_structure *s, const char *name, const char *reference)
{
    fputs("data_", to);
    for (const char *c = name; *c && c < name + 70; c++)
        fputc((unsigned char)*c > 32 && (unsigned char)*c < 127 ? *c : '_', to);
    fputc('\n', to);
    if (name[strcspn(name, "'\r\n")])
        bragg_cif_put_text(to, "_chemical_name_common", name);
    else
        fprintf(to, "%-32s '%s'\n", "_chemical_name_common", name);
    if (reference && *reference)
        bragg_cif_put_text(to, "_publ_section_title", reference);
    put_cell(to, &s->cell);
    if (*s->symmetry.hm)
        fprintf(to, "%-32s '%s'\n", "_space_group_name_H-M_alt", s->symmetry.hm);
    if (s->symmetry.number > 0)
        fprintf(to, "%-32s %d\n", "_space_group_IT_number", s->symmetry.number);
    bragg_symmetry_put_operations(to, &s->symmetry);
    put_atoms(to, s);
}

bragg_status bragg_structure_write_cif(const bragg_structure *structure, const char *name, const char *reference, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_structure *plain = bragg_structure_copy(structure);
    if (!plain)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a structure");
    bragg_structure_make_isotropic(plain);
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st == BRAGG_OK) {
        put_structure(bragg_output_stream(out), plain, *name ? name : "structure", reference);
        st = bragg_output_commit(out, err);
    }
    bragg_structure_free(plain);
    return st;
}
