/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A structure reduced to its powder lines, and its reference intensity ratio. */
#include "config.h"
#include "private.h"

#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double weakest_line = 0.1;   /* per cent of the strongest */
static const size_t most_lines = 400;
/* Structure factors cost their number times atoms times operations; beyond so many
 * terms the list ends at a larger d. */
static const double most_terms = 4e5;

/* Strongest line of corundum over V^2 and density, computed by this file from the
 * structure of NIST SRM 676 (cif/Al2O3.cif, U = 0.006); tests/test_cards.c asks for
 * I/Ic = 1 of that card.
 * I/Ic: C. R. Hubbard & R. L. Snyder, Powder Diffr. 3 (1988) 74. */
static const double corundum = 0.766142;

double bragg_card_line_intensity(const bragg_card_line *l, double wavelength_ang, double polarization)
{
    double copper = bragg_lorentz_polarization(l->d_ang, CARDS_CU_ALPHA1, 0.5);
    return copper > 0 ? l->intensity * bragg_lorentz_polarization(l->d_ang, wavelength_ang, polarization) / copper : 0;
}

/* --------------------------------------------------------------- formula */

/* From the most electropositive on: Nomenclature of Inorganic Chemistry, IUPAC
 * Recommendations 2005, Table VI, backwards. */
static const char formula_order[] =
    " Rn Xe Kr Ar Ne He Fr Cs Rb K Na Li Ra Ba Sr Ca Mg Be Lr No Md Fm Es Cf Bk Cm Am Pu Np U Pa Th Ac Lu Yb Tm Er Ho Dy Tb Gd Eu Sm Pm Nd Pr Ce La Y Sc "
    "Rf Hf Zr Ti Db Ta Nb V Sg W Mo Cr Bh Re Tc Mn Hs Os Ru Fe Mt Ir Rh Co Ds Pt Pd Ni Rg Au Ag Cu Cn Hg Cd Zn Tl In Ga Al B Pb Sn Ge Si C Bi Sb As P N D H "
    "Po Te Se S O At I Br Cl F ";

static int place_of(const char *symbol, size_t length)
{
    char key[8];
    key[0] = ' ';
    memcpy(key + 1, symbol, length);
    strcpy(key + 1 + length, " ");
    const char *at = strstr(formula_order, key);
    return at ? (int)(at - formula_order) : (int)sizeof formula_order;
}

typedef struct share {
    char symbol[3];
    int z, place;
    double count;
} share;

static int by_place(const void *a, const void *b) { return ((const share *)a)->place - ((const share *)b)->place; }

static size_t count_shares(const bragg_structure *s, share *out)
{
    size_t n = 0;
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_scatterer *f = &s->scatterer[s->atom[j].scatterer];
        size_t k = 0, length = strcspn(f->name, "0123456789+-");
        while (k < n && (out[k].z != f->z || strncmp(out[k].symbol, f->name, length)))
            k++;
        if (k == 24)
            continue;
        if (k == n) {
            out[n] = (share){ .z = f->z, .place = place_of(f->name, length < 2 ? length : 2) };
            memcpy(out[n++].symbol, f->name, length < 2 ? length : 2);
        }
        out[k].count += s->atom[j].multiplicity * s->atom[j].occupancy;
    }
    qsort(out, n, sizeof *out, by_place);
    return n;
}

/* Largest whole number that divides all counts, when they are whole; else Z. */
static double divisor(const share *s, size_t n, double z)
{
    long g = 0;
    for (size_t k = 0; k < n; k++) {
        long a = lrint(s[k].count), b = g;
        if (a < 1 || fabs(s[k].count - (double)a) > 1e-3)
            return z > 0 ? z : 1;
        while (b) {
            long rest = a % b;
            a = b;
            b = rest;
        }
        g = a;
    }
    return g ? (double)g : 1;
}

static int by_number(const void *a, const void *b) { return *(const unsigned char *)a - *(const unsigned char *)b; }

static void add_element(bragg_card *c, int z)
{
    if (z > 0 && c->n_elements < sizeof c->elements && !memchr(c->elements, z, c->n_elements))
        c->elements[c->n_elements++] = (unsigned char)z;
}

bragg_status bragg_cards_formula_of(const bragg_structure *s, bragg_card *c, bragg_error *err)
{
    share list[24];
    char text[300];
    size_t used = 0, n = count_shares(s, list);
    double z = divisor(list, n, s->z);
    text[0] = 0;
    for (size_t k = 0; k < n; k++) {
        double count = list[k].count / z;
        add_element(c, list[k].z);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", list[k].symbol);
        if (fabs(count - 1) > 1e-3)
            used += (size_t)snprintf(text + used, sizeof text - used, "%.4g", count);
    }
    qsort(c->elements, c->n_elements, 1, by_number);
    c->formula = bragg_arena_strdup(c->arena, text);
    return c->formula ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a formula");
}

void bragg_cards_formula_elements(bragg_card *c)
{
    for (const char *p = c->formula; *p;) {
        char symbol[3] = { 0 };
        bragg_scatterer f;
        if (*p < 'A' || *p > 'Z') {
            p++;
            continue;
        }
        symbol[0] = *p++;
        if (*p >= 'a' && *p <= 'z')
            symbol[1] = *p++;
        if (bragg_scatterer_find(symbol, &f, NULL, NULL) == BRAGG_OK)
            add_element(c, f.z);
    }
    qsort(c->elements, c->n_elements, 1, by_number);
}

/* ----------------------------------------------------------------- lines */

static int by_falling_d(const void *pa, const void *pb)
{
    const bragg_card_line *a = pa, *b = pb;
    return (a->d_ang < b->d_ang) - (a->d_ang > b->d_ang);
}

static int by_falling_intensity(const void *pa, const void *pb)
{
    const bragg_card_line *a = pa, *b = pb;
    if (a->intensity != b->intensity)
        return a->intensity < b->intensity ? 1 : -1;
    return by_falling_d(pa, pb);
}

/* Lines that no powder pattern separates become one, named after the strongest; of
 * equally strong ones, which rounding must not decide, after the first. */
static size_t join(bragg_card_line *l, size_t n)
{
    size_t m = 0;
    double top = 0;
    for (size_t k = 0; k < n; k++) {
        if (m && l[m - 1].d_ang - l[k].d_ang < 1e-5 * l[k].d_ang) {
            double sum = l[m - 1].intensity + l[k].intensity;
            if (l[k].intensity > top * (1 + 1e-9)) {
                top = l[k].intensity;
                l[m - 1] = l[k];
            }
            l[m - 1].intensity = sum;
        } else {
            top = l[k].intensity;
            l[m++] = l[k];
        }
    }
    return m;
}

/* Keep the strongest and scale them to 100; returns what 100 was. */
static double select_lines(bragg_card *c, bragg_card_line *l, size_t n)
{
    double top = 0;
    size_t m = 0;
    for (size_t k = 0; k < n; k++)
        top = fmax(top, l[k].intensity);
    for (size_t k = 0; k < n; k++)
        if (l[k].intensity * 100 >= weakest_line * top)
            l[m++] = l[k];
    if (m > most_lines) {
        qsort(l, m, sizeof *l, by_falling_intensity);
        m = most_lines;
        c->flags |= BRAGG_CARD_CUT;
        qsort(l, m, sizeof *l, by_falling_d);
    }
    for (size_t k = 0; k < m; k++)
        l[k].intensity *= 100 / top;
    c->line = l;
    c->n_lines = m;
    return top;
}

static int minus_signs(const int hkl[3]) { return (hkl[0] < 0) + (hkl[1] < 0) + (hkl[2] < 0); }

/* Of equivalent indices those that people write: 1 1 0 of a hexagonal cell and not
 * 2 -1 0, 0 1 2 of a rhombohedral one and not 1 0 -2. */
static void customary(bragg_card_line *l, const bragg_symmetry *s)
{
    const int hkl[3] = { l->h, l->k, l->l }, mate[3] = { -l->h, -l->k, -l->l };
    int best[3] = { l->h, l->k, l->l };
    for (size_t o = 0; o < s->n_ops && minus_signs(best); o++)
        for (int sign = -1; sign <= 1; sign += 2) {
            int e[3];
            bragg_symop_turn(&s->op[o], sign < 0 ? mate : hkl, e);
            if (minus_signs(e) < minus_signs(best))
                memcpy(best, e, sizeof best);
        }
    l->h = best[0];
    l->k = best[1];
    l->l = best[2];
}

/* The smallest d whose sphere does not hold too many terms. */
static double choose_d_min(const bragg_structure *s)
{
    double families = 4.19 * bragg_cell_volume_ang3(&s->cell) / (double)s->symmetry.n_ops / (s->symmetry.centric ? 1 : 2);
    double terms = families * (double)(s->n_atoms * s->symmetry.n_ops);
    return fmax(CARDS_D_MIN, cbrt(terms / most_terms));
}

static bragg_status strengths(const bragg_structure *s, const bragg_reflection *list, size_t n, double wavelength_ang, double polarization, bragg_card_line *out,
                              bragg_error *err)
{
    bragg_factors *f = NULL;
    double g[6], *f2 = malloc((n + 1) * sizeof *f2);
    bragg_status st = f2 ? bragg_factors_new(s, list, n, false, &f, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu reflections", n);
    bragg_cell_reciprocal(&s->cell, g);
    if (st == BRAGG_OK)
        st = bragg_factors_evaluate(f, s, g, f2, NULL, NULL, err);
    for (size_t k = 0; st == BRAGG_OK && k < n; k++)
        out[k] = (bragg_card_line){ list[k].h, list[k].k, list[k].l, list[k].d_ang,
                                    list[k].multiplicity * f2[k] * bragg_lorentz_polarization(list[k].d_ang, wavelength_ang, polarization) };
    free(f2);
    bragg_factors_free(f);
    return st;
}

/* By how much anomalous scattering changes the strongest line for copper. */
static double anomalous_factor(const bragg_structure *s, const bragg_card *c)
{
    size_t k = 0;
    while (k + 1 < c->n_lines && c->line[k].intensity < 99.9999)
        k++;
    bragg_reflection one = { c->line[k].h, c->line[k].k, c->line[k].l, 1, c->line[k].d_ang };
    bragg_structure *other = bragg_structure_copy(s);
    bragg_factors *f = NULL;
    double g[6], plain = 0, anomalous = 0;
    bool good = other && bragg_factors_new(s, &one, 1, false, &f, NULL) == BRAGG_OK;
    bragg_cell_reciprocal(&s->cell, g);
    for (size_t i = 0; good && i < other->n_scatterers; i++)
        good = bragg_scatterer_set_anomalous(&other->scatterer[i], CARDS_CU_ALPHA1, NULL) == BRAGG_OK;
    good = good && bragg_factors_evaluate(f, s, g, &plain, NULL, NULL, NULL) == BRAGG_OK && bragg_factors_evaluate(f, other, g, &anomalous, NULL, NULL, NULL) == BRAGG_OK;
    bragg_factors_free(f);
    bragg_structure_free(other);
    return good && plain > 0 ? anomalous / plain : 1;
}

bragg_status bragg_cards_lines_of(const bragg_structure *s, bragg_card *c, bragg_error *err)
{
    bragg_reflection *list = NULL;
    size_t n = 0;
    double d_min = choose_d_min(s), volume = bragg_cell_volume_ang3(&s->cell);
    bragg_status st = bragg_reflections(&s->cell, &s->symmetry, d_min, 200, &list, &n, err);
    bragg_card_line *l = st == BRAGG_OK ? bragg_arena_alloc(c->arena, n + 1, sizeof *l) : NULL;
    if (st == BRAGG_OK && !l)
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", n);
    if (st == BRAGG_OK)
        st = strengths(s, list, n, CARDS_CU_ALPHA1, 0.5, l, err);
    free(list);
    if (st < 0)
        return st;
    c->flags |= d_min > CARDS_D_MIN ? BRAGG_CARD_CUT : 0;
    c->density = bragg_structure_density_g_cm3(s);
    double top = select_lines(c, l, join(l, n));
    for (size_t k = 0; k < c->n_lines; k++)
        customary(&c->line[k], &s->symmetry);
    if (!(top > 0) || !isfinite(top))
        return bragg_fail(err, BRAGG_EDATA, "expected lines between d = %g and 200 angstrom, found none", d_min);
    c->rir = top / (volume * volume * c->density) / corundum * anomalous_factor(s, c);
    return BRAGG_OK;
}

bragg_status bragg_structure_lines(const bragg_structure *s, double wavelength_ang, double polarization, double d_min_ang, bragg_card_line **out, size_t *n,
                                   bragg_error *err)
{
    bragg_reflection *list = NULL;
    size_t found = 0;
    *out = NULL;
    *n = 0;
    bragg_status st = bragg_reflections(&s->cell, &s->symmetry, fmax(d_min_ang, 0.5001 * wavelength_ang), 1000, &list, &found, err);
    if (st == BRAGG_OK && !(*out = calloc(found + 1, sizeof **out)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", found);
    if (st == BRAGG_OK)
        st = strengths(s, list, found, wavelength_ang, polarization, *out, err);
    free(list);
    if (st < 0) {
        free(*out);
        *out = NULL;
        return st;
    }
    double top = 0;
    *n = join(*out, found);
    for (size_t k = 0; k < *n; k++)
        top = fmax(top, (*out)[k].intensity);
    for (size_t k = 0; k < *n; k++)
        (*out)[k].intensity *= top > 0 ? 100 / top : 0;
    return BRAGG_OK;
}

bragg_status bragg_cards_finish_list(bragg_card *c, bragg_error *err)
{
    size_t m = 0;
    for (size_t k = 0; k < c->n_lines; k++)
        if (c->line[k].d_ang > 0 && c->line[k].d_ang < 1000 && c->line[k].intensity > 0 && c->line[k].intensity < INFINITY)
            c->line[m++] = c->line[k];
    if (!m)
        return bragg_fail(err, BRAGG_EDATA, "expected lines with d and intensity, found none");
    qsort(c->line, m, sizeof *c->line, by_falling_d);
    select_lines(c, c->line, m);
    c->flags |= BRAGG_CARD_LIST;
    bragg_cards_formula_elements(c);
    return BRAGG_OK;
}
