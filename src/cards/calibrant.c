/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of a calibrant by which the rings on a frame are known. */
#include "config.h"
#include <bragg/cards.h>

#include <bragg/number.h>
#include <bragg/path.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Per cent of the strongest: below it a ring is lost in the background of a frame. */
static const double weakest_ring = 0.3;

static bragg_status make_room(bragg_arena *arena, size_t n, bragg_calibrant *out, bragg_error *err)
{
    out->d_ang = bragg_arena_alloc(arena, n, sizeof *out->d_ang);
    out->strength = bragg_arena_alloc(arena, n, sizeof *out->strength);
    return out->d_ang && out->strength ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the calibrant's lines");
}

static void add(bragg_calibrant *out, double d_ang, double strength)
{
    out->d_ang[out->n] = d_ang;
    out->strength[out->n++] = strength;
}

/* "1<tab>58.38": a list of spacings for standards without a structure. */
static bragg_status read_spacings(bragg_arena *arena, const char *path, bragg_calibrant *out, bragg_error *err)
{
    enum { MOST = 200 };
    FILE *in = fopen(path, "r");
    char line[256];
    if (!in)
        return bragg_fail(err, BRAGG_EIO, "%s: cannot be read", path);
    bragg_status st = make_room(arena, MOST, out, err);
    while (st == BRAGG_OK && out->n < MOST && fgets(line, sizeof line, in)) {
        const char *tab = strrchr(line, '\t'), *end;
        double d;
        if (*line != '#' && tab && bragg_number_scan(tab + 1, &end, &d) && d > 0)
            add(out, d, 1);
    }
    fclose(in);
    return st < 0 || out->n > 1 ? st : bragg_fail(err, BRAGG_EDATA, "%s: expected spacings, found %zu", path, out->n);
}

static bragg_status read_structure(bragg_arena *arena, const char *path, const double stretch[3], double wavelength_ang, bragg_calibrant *out, bragg_error *err)
{
    bragg_structure *s;
    bragg_card_line *line = NULL;
    size_t n = 0;
    bragg_status st = bragg_structure_read_cif(path, NULL, &s, NULL, 0, err);
    if (st < 0)
        return st;
    s->cell.a *= stretch[0];
    s->cell.b *= stretch[1];
    s->cell.c *= stretch[2];
    st = bragg_structure_lines(s, wavelength_ang, 0.5, fmax(2 * BRAGG_PI / 12, 0.52 * wavelength_ang), &line, &n, err);
    bragg_structure_free(s);
    if (st == BRAGG_OK)
        st = make_room(arena, n + 1, out, err);
    for (size_t k = 0; st == BRAGG_OK && k < n; k++)
        if (line[k].intensity > weakest_ring)
            add(out, line[k].d_ang, line[k].intensity / 100);
    free(line);
    return st < 0 || out->n ? st : bragg_fail(err, BRAGG_EDATA, "calibrant '%s': expected reflections at %g angstrom, found none", path, wavelength_ang);
}

bragg_status bragg_calibrant_read(bragg_arena *arena, const char *name, double wavelength_ang, double temperature_k, bragg_calibrant *out, bragg_error *err)
{
    char file[200];
    double stretch[3] = { 1, 1, 1 };
    *out = (bragg_calibrant){ 0 };
    bragg_status st = isnan(temperature_k) ? BRAGG_OK : bragg_calibrant_stretch(name, temperature_k, stretch, err);
    if (st < 0)
        return st;
    snprintf(file, sizeof file, "cif/%.150s.dspacing.tsv", name);
    bool cif = bragg_card_is_file(name);
    const char *list = cif ? NULL : bragg_data_path(arena, file), *card = bragg_card_path(arena, NULL, name);
    if (!card || (!cif && !list))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (list && bragg_path_exists(list))
        return read_spacings(arena, list, out, err);
    if (!bragg_path_exists(card))
        return bragg_fail(err, BRAGG_EINVAL, "calibrant '%s': expected a CIF file or a bundled card (LaB6, CeO2, Si, Al2O3, Ni, Cr2O3, Au, AgBehenate …)", name);
    /* of an unknown wavelength: strengths hardly depend on it */
    return read_structure(arena, card, stretch, wavelength_ang > 0 ? wavelength_ang : 0.5, out, err);
}
