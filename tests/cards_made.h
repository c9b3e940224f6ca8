/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets of any size derived from the bundled CIFs by substitution and strain, and
 * patterns as a laboratory would measure them; for validation and bench. */
#ifndef TESTS_CARDS_MADE_H
#define TESTS_CARDS_MADE_H

#include <bragg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long made_seed;

static inline double made_uniform(made_seed *s)
{
    *s = *s * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(*s >> 11) / 9007199254740992.0;
}

static inline double made_gauss(made_seed *s)
{
    double sum = -6;
    for (int k = 0; k < 12; k++)
        sum += made_uniform(s);
    return sum;
}

/* Elements that stand for each other in structure types. */
static const char *const made_families[] = { "Li Na K Rb Cs", "Be Mg Ca Sr Ba", "F Cl Br I", "O S Se Te", "N P As Sb Bi", "C Si Ge Sn Pb", "B Al Ga In Tl", "Cu Ag Au",
    "Zn Cd Hg", "Ni Pd Pt", "Co Rh Ir", "Fe Ru Os", "Mn Re", "Cr Mo W", "V Nb Ta", "Ti Zr Hf", "Sc Y La Ce Gd" };

static inline void made_substitute(const char *element, double where, char out[4])
{
    snprintf(out, 4, "%.3s", element);
    for (size_t f = 0; f < sizeof made_families / sizeof *made_families; f++) {
        char list[40], *word[8], *save;
        int n = 0, at = -1;
        snprintf(list, sizeof list, "%s", made_families[f]);
        for (char *w = strtok_r(list, " ", &save); w && n < 8; w = strtok_r(NULL, " ", &save)) {
            at = strcmp(w, element) ? at : n;
            word[n++] = w;
        }
        if (at >= 0)
            snprintf(out, 4, "%.3s", word[(int)(where * n) % n]);
    }
}

/* A CIF with its cell edges multiplied and its elements exchanged, as text. */
static inline void made_cif(FILE *to, const char *text, const double scale[3], made_seed *seed)
{
    char from[8][4] = { "" }, with[8][4];
    int n = 0;
    bool atoms = false;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int length = (int)strcspn(line, "\n");
        double v;
        const char *end;
        static const char *const edges[3] = { "_cell_length_a", "_cell_length_b", "_cell_length_c" };
        int edge = -1;
        char label[16], type[16] = "";
        for (int k = 0; k < 3; k++)
            edge = strncmp(line, edges[k], 14) ? edge : k;
        if (line[0] == '#' || !strncmp(line, "_cell_volume", 12) || !strncmp(line, "_exptl", 6) || !strncmp(line, "_chemical", 9))
            continue;
        if (edge >= 0 && bragg_number_scan(line + 14 + strspn(line + 14, " "), &end, &v)) {
            fprintf(to, "%s %.6f\n", edges[edge], v * scale[edge]);
            continue;
        }
        atoms = atoms || !strncmp(line, "_atom_site_label", 16);
        if (atoms && line[0] != '_' && sscanf(line, "%15s %15s", label, type) == 2 && strncmp(line, "loop_", 5)) {
            int k = 0, letters = (int)strspn(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
            type[letters < 3 ? letters : 3] = 0;
            while (k < n && strcmp(from[k], type))
                k++;
            if (k == n && n < 8) {
                memcpy(from[n], type, 4);
                made_substitute(type, made_uniform(seed), with[n++]);
            }
            const char *rest = strstr(line + strlen(label), type) + letters;
            rest += strcspn(rest, " \n");
            fprintf(to, "%s %s%.*s\n", label, k < 8 ? with[k] : type, (int)(line + length - rest), rest);
            continue;
        }
        fprintf(to, "%.*s\n", length, line);
    }
}

/* Write about `wanted` CIFs derived from those of a folder into a CSV with a column of
 * CIFs; returns how many. */
static inline size_t made_write_set(const char *folder, size_t wanted, const char *path)
{
    bragg_arena *arena = bragg_arena_new();
    const char **name;
    size_t n, made = 0;
    made_seed seed = 20251;
    FILE *out = fopen(path, "w");
    if (!arena || !out || bragg_path_list(arena, folder, ".cif", &name, &n, NULL) < 0)
        exit(1);
    fputs("id,cif\n", out);
    for (size_t k = 0; made < wanted; k++) {
        FILE *in = fopen(name[k % n], "r");
        char *text = calloc(1, 1 << 16), *cif = NULL;
        size_t size = 0;
        text[fread(text, 1, (1 << 16) - 1, in)] = 0;
        fclose(in);
        /* a tensor that keeps each system: one factor for all, small changes along c */
        double all = 1 + 0.16 * (made_uniform(&seed) - 0.5), c = 1 + 0.03 * (made_uniform(&seed) - 0.5);
        bool cubic = strstr(text, "'z,x,y'") || strstr(text, "'y,z,x'");
        const double scale[3] = { all, all, all * (cubic ? 1 : c) };
        FILE *to = open_memstream(&cif, &size);
        made_cif(to, text, scale, &seed);
        fclose(to);
        fprintf(out, "made%zu,\"", made++);
        for (const char *p = cif; *p; p++) {
            if (*p == '"')
                fputc('"', out);
            fputc(*p, out);
        }
        fputs("\"\n", out);
        free(cif);
        free(text);
    }
    fclose(out);
    bragg_arena_free(arena);
    return made;
}

/* March-Dollase texture about c, the mean over a line's equivalents: W. A. Dollase, J.
 * Appl. Cryst. 19 (1986) 267. */
static inline double made_texture(const bragg_structure *s, const double g[6], const bragg_card_line *l, double march)
{
    double sum = 0;
    for (size_t o = 0; o < s->symmetry.n_ops; o++) {
        double h[3];
        for (int j = 0; j < 3; j++)
            h[j] = l->h * s->symmetry.op[o].r[0][j] + l->k * s->symmetry.op[o].r[1][j] + l->l * s->symmetry.op[o].r[2][j];
        double cosine2 = pow((h[0] * g[4] + h[1] * g[3] + h[2] * g[2]) * l->d_ang, 2) / g[2];
        sum += pow(march * march * cosine2 + (1 - cosine2) / march, -1.5);
    }
    return sum / (double)s->symmetry.n_ops;
}

/* A laboratory's copper pattern of a structure: doublet, Caglioti widths, March-Dollase
 * texture about c, strain, background and counting noise. */
static inline bragg_pattern *made_pattern(const bragg_structure *structure, double strain, double march, made_seed *seed)
{
    bragg_structure *s = bragg_structure_copy(structure);
    bragg_card_line *line;
    size_t n;
    bragg_pattern *p = bragg_pattern_new(4500, BRAGG_AXIS_TTH);
    for (int k = 0; k < 3; k++)
        (&s->cell.a)[k] *= 1 + strain;
    for (size_t k = 0; k < s->n_scatterers; k++)
        bragg_scatterer_set_anomalous(&s->scatterer[k], 1.540598, NULL);
    if (!p || bragg_structure_lines(s, 1.540598, 0.5, 0.8, &line, &n, NULL) < 0)
        exit(1);
    p->wavelength_ang = 1.540598;
    p->wavelength2_ang = 1.544426;
    p->ratio2 = 0.5;
    double g[6], top = 0;
    bragg_cell_reciprocal(&s->cell, g);
    for (size_t i = 0; i < p->n; i++)
        p->x[i] = (10 + 0.02 * (double)i) * BRAGG_DEG;
    for (size_t k = 0; k < n; k++) {
        double weight = made_texture(s, g, &line[k], march);
        for (int w = 0; w < 2; w++) {
            double sine = (w ? p->wavelength2_ang : p->wavelength_ang) / 2 / line[k].d_ang;
            if (!(sine < 0.99))
                continue;
            double t = tan(asin(sine)), x = 2 * asin(sine) + 0.02 * BRAGG_DEG, fwhm = sqrt(0.006 - 0.004 * t + 0.012 * t * t) * BRAGG_DEG;
            for (size_t i = 0; i < p->n; i++)
                if (fabs(p->x[i] - x) < 20 * fwhm)
                    p->y[i] += weight * line[k].intensity * (w ? 0.5 : 1) * bragg_pseudo_voigt(p->x[i] - x, fwhm, 0.45, NULL, NULL, NULL);
        }
    }
    for (size_t i = 0; i < p->n; i++)
        top = fmax(top, p->y[i]);
    for (size_t i = 0; i < p->n; i++) {
        double y = 6000 * p->y[i] / top + 120 + 200 * exp(-(p->x[i] / BRAGG_DEG) / 25);
        p->sigma[i] = sqrt(y);
        p->y[i] = fmax(0, y + p->sigma[i] * made_gauss(seed));
    }
    free(line);
    bragg_structure_free(s);
    return p;
}

#endif
