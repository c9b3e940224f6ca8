/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines and structures as compact blobs. */
#include "config.h"
#include "private.h"

#include <bragg/bytes.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Intensities span four decades: their logarithm in steps of 1.5e-4. */
static const double decades = 9.3;

static unsigned pack_intensity(double per_cent) { return (unsigned)lrint(65535 * fmax(0, 1 + log(per_cent / 100) / decades)); }
static double unpack_intensity(unsigned v) { return 100 * exp((v / 65535.0 - 1) * decades); }

static unsigned char *put16(unsigned char *p, int v)
{
    p[0] = (unsigned char)(v & 255);
    p[1] = (unsigned char)(v >> 8 & 255);
    return p + 2;
}

static unsigned char *put_float(unsigned char *p, double v)
{
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, 4);
    return put16(put16(p, (int)(u & 0xffff)), (int)(u >> 16));
}

static double get_float(const unsigned char *p)
{
    uint32_t u = bragg_le32(p);
    float f;
    memcpy(&f, &u, 4);
    return (double)f;
}

/* ----------------------------------------------------------------- lines */

static int kind_of(const bragg_card *c)
{
    int kind = c->cell.a > 0 && !(c->flags & BRAGG_CARD_LIST) ? 1 : 3;
    for (size_t k = 0; kind == 1 && k < c->n_lines; k++)
        if (abs(c->line[k].h) > 127 || abs(c->line[k].k) > 127 || abs(c->line[k].l) > 127)
            kind = 2;
    return kind;
}

bragg_status bragg_cards_pack_lines(const bragg_card *c, unsigned char **blob, size_t *n, bragg_error *err)
{
    int kind = kind_of(c);
    unsigned char *p = *blob = malloc(1 + 12 * c->n_lines);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", c->n_lines);
    *p++ = (unsigned char)kind;
    for (size_t k = 0; k < c->n_lines; k++) {
        const bragg_card_line *l = &c->line[k];
        const int hkl[3] = { l->h, l->k, l->l };
        if (kind == 3)
            p = put_float(p, l->d_ang);
        for (int i = 0; i < 3; i++)
            if (kind == 2)
                p = put16(p, hkl[i]);
            else
                *p++ = (unsigned char)(abs(hkl[i]) > 127 ? 0 : hkl[i]);
        p = put16(p, (int)pack_intensity(l->intensity));
    }
    *n = (size_t)(p - *blob);
    return BRAGG_OK;
}

bragg_status bragg_cards_unpack_lines(const unsigned char *p, size_t n, bragg_card *c, bragg_error *err)
{
    static const size_t sizes[4] = { 0, 5, 8, 9 };
    int kind = n ? p[0] : 0;
    double g[6];
    if (kind < 1 || kind > 3 || (n - 1) % sizes[kind])
        return bragg_fail(err, BRAGG_EDATA, "card %lld: its lines are damaged", c->id);
    c->n_lines = (n - 1) / sizes[kind];
    c->line = bragg_arena_alloc(c->arena, c->n_lines + 1, sizeof *c->line);
    if (!c->line)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", c->n_lines);
    bragg_cell_reciprocal(&c->cell, g);
    p++;
    for (size_t k = 0; k < c->n_lines; k++, p += sizes[kind]) {
        bragg_card_line *l = &c->line[k];
        const unsigned char *q = kind == 3 ? p + 4 : p;
        int *hkl = &l->h;
        for (int i = 0; i < 3; i++)
            hkl[i] = kind == 2 ? (int16_t)bragg_le16(q + 2 * i) : (int8_t)q[i];
        l->intensity = unpack_intensity(bragg_le16(p + sizes[kind] - 2));
        l->d_ang = kind == 3 ? get_float(p) : 1 / sqrt(bragg_cell_invd2(g, l->h, l->k, l->l));
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------- structure */

static unsigned char *put_symmetry(unsigned char *p, const bragg_symmetry *s)
{
    p = put16(p, s->hall_number);
    if (s->hall_number)
        return p;
    p = put16(p, (int)s->n_ops);
    for (size_t k = 0; k < s->n_ops; k++) {
        for (int i = 0; i < 9; i++)
            *p++ = (unsigned char)(&s->op[k].r[0][0])[i];
        for (int i = 0; i < 3; i++)
            *p++ = (unsigned char)lrint(24 * s->op[k].t[i]);
    }
    return p;
}

static double displacement_of(const bragg_cell *cell, const bragg_atom *a)
{
    double u = isnan(a->uiso_ang2) ? bragg_atom_equivalent_u(cell, a) : a->uiso_ang2;
    return isnan(u) ? 0 : fmin(fmax(u, 0), 6.5);
}

bragg_status bragg_cards_pack_structure(const bragg_structure *s, unsigned char **blob, size_t *n, bragg_error *err)
{
    unsigned char *p = *blob = malloc(8 + 12 * s->symmetry.n_ops + 12 * s->n_scatterers + 17 * s->n_atoms);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu atoms", s->n_atoms);
    *p++ = 1;
    p = put_symmetry(p, &s->symmetry);
    *p++ = (unsigned char)s->n_scatterers;
    for (size_t k = 0; k < s->n_scatterers; k++, p += 12)
        memcpy(p, s->scatterer[k].name, 12);
    p = put16(p, (int)s->n_atoms);
    for (size_t k = 0; k < s->n_atoms; k++) {
        const bragg_atom *a = &s->atom[k];
        *p++ = (unsigned char)a->scatterer;
        for (int i = 0; i < 3; i++)
            p = put_float(p, a->x[i]);
        p = put16(p, (int)lrint(65535 * fmin(fmax(a->occupancy, 0), 1)));
        p = put16(p, (int)lrint(1e4 * displacement_of(&s->cell, a)));
    }
    *n = (size_t)(p - *blob);
    return BRAGG_OK;
}

/* A cursor that knows its end. */
typedef struct cursor {
    const unsigned char *p, *end;
} cursor;

static const unsigned char *take(cursor *c, size_t n)
{
    if ((size_t)(c->end - c->p) < n)
        return NULL;
    c->p += n;
    return c->p - n;
}

static bool get_symmetry(cursor *c, bragg_symmetry *s)
{
    const unsigned char *p = take(c, 2);
    if (!p)
        return false;
    if (bragg_le16(p))
        return bragg_symmetry_from_hall_number((int)bragg_le16(p), s, NULL) == BRAGG_OK;
    if (!(p = take(c, 2)) || bragg_le16(p) > 192)
        return false;
    s->n_ops = bragg_le16(p);
    for (size_t k = 0; k < s->n_ops; k++) {
        if (!(p = take(c, 12)))
            return false;
        int trace = 0;
        for (int i = 0; i < 9; i++)
            trace += (i % 4 == 0) * ((&s->op[k].r[0][0])[i] = (int8_t)p[i]);
        for (int i = 0; i < 3; i++)
            s->op[k].t[i] = p[9 + i] / 24.0;
        s->centric = s->centric || trace == -3;
    }
    return s->n_ops > 0;
}

static bool get_atoms(cursor *c, bragg_structure *s)
{
    for (size_t k = 0; k < s->n_atoms; k++) {
        const unsigned char *p = take(c, 17);
        bragg_atom *a = &s->atom[k];
        char label[24];
        if (!p || p[0] >= s->n_scatterers)
            return false;
        a->scatterer = p[0];
        for (int i = 0; i < 3; i++)
            a->x[i] = get_float(p + 1 + 4 * i);
        a->occupancy = bragg_le16(p + 13) / 65535.0;
        a->uiso_ang2 = bragg_le16(p + 15) / 1e4;
        snprintf(label, sizeof label, "%.2s%zu", s->scatterer[a->scatterer].name, k + 1);
        if (!(a->label = bragg_arena_strdup(s->arena, label)))
            return false;
    }
    return true;
}

static bool get_body(cursor *c, bragg_structure *s, bragg_error *err)
{
    const unsigned char *p;
    for (size_t k = 0; k < s->n_scatterers; k++) {
        char name[13] = { 0 };
        if (!(p = take(c, 12)))
            return false;
        memcpy(name, p, 12);
        if (bragg_scatterer_find(name, &s->scatterer[k], NULL, err) < 0)
            return false;
    }
    return take(c, 2) && get_atoms(c, s);
}

bragg_status bragg_cards_unpack_structure(const unsigned char *blob, size_t n, const bragg_card *card, bragg_structure **out, bragg_error *err)
{
    cursor c = { blob, blob + n };
    bragg_symmetry symmetry = { 0 };
    bragg_structure *s = NULL;
    const unsigned char *p = take(&c, 1);
    bool good = p && *p == 1 && get_symmetry(&c, &symmetry) && (p = take(&c, 1));
    size_t n_scatterers = good ? *p : 0;
    good = good && (size_t)(c.end - c.p) >= 12 * n_scatterers + 2;
    if (good) {
        if (!(s = bragg_structure_new(bragg_le16(c.p + 12 * n_scatterers), n_scatterers)) || !(s->name = bragg_arena_strdup(s->arena, card->name)) ||
            !(s->formula = bragg_arena_strdup(s->arena, card->formula))) {
            bragg_structure_free(s);
            return bragg_fail(err, BRAGG_ENOMEM, "card %lld: no room for its structure", card->id);
        }
        s->cell = card->cell;
        s->symmetry = symmetry;
        s->symmetry.number = s->symmetry.number ? s->symmetry.number : card->group_number;
        snprintf(s->symmetry.hm, sizeof s->symmetry.hm, "%s", card->space_group);
        good = get_body(&c, s, err) && bragg_structure_check(s, err) == BRAGG_OK;
    }
    if (good && s) {
        *out = s;
        return BRAGG_OK;
    }
    bragg_structure_free(s);
    return bragg_fail(err, BRAGG_EDATA, "card %lld: its structure is damaged", card->id);
}
