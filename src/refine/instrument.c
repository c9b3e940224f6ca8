/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instrument files: ours, and those of GSAS and GSAS-II. */
#include "config.h"
#include "model.h"
#include "reading.h"

#include <bragg/bytes.h>
#include <bragg/instrument.h>
#include <bragg/number.h>
#include <bragg/output.h>
#include <bragg/units.h>
#include <bragg/yaml.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; int row; } rows[BRAGG_INSTRUMENT_ROWS] = {
    [BRAGG_INSTRUMENT_ZERO] = { "zero", ZERO }, [BRAGG_INSTRUMENT_U] = { "u", CAGLIOTI_U }, [BRAGG_INSTRUMENT_V] = { "v", CAGLIOTI_V },
    [BRAGG_INSTRUMENT_W] = { "w", CAGLIOTI_W }, [BRAGG_INSTRUMENT_P] = { "p", CAGLIOTI_P }, [BRAGG_INSTRUMENT_X] = { "x", LORENTZ_X },
    [BRAGG_INSTRUMENT_Y] = { "y", LORENTZ_Y }, [BRAGG_INSTRUMENT_Z] = { "z", LORENTZ_Z }, [BRAGG_INSTRUMENT_SL] = { "sl", AXIAL_S },
    [BRAGG_INSTRUMENT_HL] = { "hl", AXIAL_H }, [BRAGG_INSTRUMENT_BOX] = { "box", BOX }, [BRAGG_INSTRUMENT_PIXEL] = { "pixel", PIXEL },
};

static void clear(bragg_instrument *x)
{
    *x = (bragg_instrument){ .radius_m = NAN, .radiation = { .polarization = NAN } };
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS; k++)
        x->value[k] = NAN;
}

static const char *const mounts[] = { [BRAGG_DEBYE_SCHERRER] = "debye-scherrer", [BRAGG_BRAGG_BRENTANO] = "bragg-brentano", [BRAGG_TRANSMISSION] = "transmission" };

const char *bragg_mount_name(bragg_mount mount) { return mounts[mount]; }

bool bragg_mount_parse(const char *text, bragg_mount *mount)
{
    for (size_t k = 0; k < sizeof mounts / sizeof *mounts; k++)
        if (!strcmp(text, mounts[k])) {
            *mount = (bragg_mount)k;
            return true;
        }
    return false;
}

/* ---------------------------------------------------------------- model */

void bragg_instrument_of(const bragg_model *m, size_t which, bragg_instrument *out)
{
    const histogram *h = &m->histogram[which];
    clear(out);
    out->radiation = h->radiation;
    out->has_mount = true;
    out->mount = h->mount;
    out->radius_m = h->radius_m;
    out->flat_detector = h->flat_detector;
    double first = m->params.at[h->row[WAVELENGTH]].value;
    for (size_t k = 0; k < h->radiation.n_lines; k++) /* refined: all lines keep their ratio to the first */
        out->radiation.wavelength_ang[k] *= first / h->radiation.wavelength_ang[0];
    if (h->radiation.n_lines > 1)
        out->radiation.ratio[1] = m->params.at[h->row[RATIO]].value;
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS; k++)
        out->value[k] = m->params.at[h->row[rows[k].row]].value;
}

void bragg_instrument_apply(const bragg_instrument *x, bragg_model *m, size_t which)
{
    const histogram *h = &m->histogram[which];
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS; k++) {
        bragg_param *p = &m->params.at[h->row[rows[k].row]];
        if (isnan(x->value[k]))
            continue;
        p->value = x->value[k];
        p->lower = fmin(p->lower, p->value); /* a standard's fit may have left X below zero: its widths are right as they are */
        p->upper = fmax(p->upper, p->value);
        if (k == BRAGG_INSTRUMENT_HL && x->value[k] != x->value[BRAGG_INSTRUMENT_SL])
            p->tie_to = -1; /* a file that tells them apart knows better than the tie */
    }
}

/* ----------------------------------------------------------------- ours */

bragg_status bragg_instrument_write(const bragg_instrument *x, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    char text[BRAGG_NUMBER_TEXT];
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "# instrument, as a refinement left it: degrees, squared degrees of FWHM, angstrom, mm\n");
    fprintf(to, "type: %s\n", x->radiation.neutron ? "neutron" : "x-ray");
    if (x->radiation.n_lines) {
        bragg_output_numbers(to, "wavelength", x->radiation.wavelength_ang, x->radiation.n_lines, "\n");
        bragg_output_numbers(to, "ratios", x->radiation.ratio, x->radiation.n_lines, "\n");
        if (x->radiation.width_ang[0] > 0)
            bragg_output_numbers(to, "widths", x->radiation.width_ang, x->radiation.n_lines, "\n");
    }
    if (isfinite(x->radiation.polarization))
        fprintf(to, "polarization: %s\n", bragg_number_print(text, x->radiation.polarization));
    if (x->has_mount)
        fprintf(to, "mount: %s\n", bragg_mount_name(x->mount));
    if (isfinite(x->radius_m))
        fprintf(to, "%s: %s\n", x->flat_detector ? "distance_mm" : "radius_mm", bragg_number_print(text, 1000 * x->radius_m));
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS; k++)
        if (isfinite(x->value[k]))
            fprintf(to, "%s: %s\n", rows[k].name, bragg_number_print(text, x->value[k]));
    return bragg_output_commit(out, err);
}

static bragg_status read_lines(const bragg_yaml *map, bragg_radiation *r, bragg_error *err)
{
    const bragg_yaml *node = bragg_yaml_get(map, "wavelength"), *ratios = bragg_yaml_get(map, "ratios");
    if (!node)
        return BRAGG_OK;
    if (node->kind != BRAGG_YAML_SEQUENCE || node->n_children < 1 || node->n_children > BRAGG_MAX_LINES)
        return bragg_yaml_fail(node, err, "wavelength: expected a list of 1 to %d", BRAGG_MAX_LINES);
    r->n_lines = node->n_children;
    for (size_t k = 0; k < r->n_lines; k++)
        r->ratio[k] = k ? 0.5 : 1;
    bragg_status st = bragg_yaml_numbers(node, r->wavelength_ang, r->n_lines, err);
    if (st == BRAGG_OK && ratios)
        st = bragg_yaml_numbers(ratios, r->ratio, r->n_lines, err);
    if (st == BRAGG_OK && bragg_yaml_get(map, "widths"))
        st = bragg_yaml_numbers(bragg_yaml_get(map, "widths"), r->width_ang, r->n_lines, err);
    for (size_t k = 0; k < r->n_lines && st == BRAGG_OK; k++)
        if (!(r->wavelength_ang[k] > 0) || !(r->ratio[k] > 0) || !(r->width_ang[k] >= 0))
            st = bragg_yaml_fail(node, err, "wavelength: expected positive numbers and ratios, found %g and %g", r->wavelength_ang[k], r->ratio[k]);
    return st;
}

static bragg_status read_ours(const bragg_yaml *map, bragg_instrument *x, bragg_error *err)
{
    static const char *const keys[] = { "type", "wavelength", "ratios", "widths", "polarization", "mount", "radius_mm", "distance_mm",
                                        "zero", "u", "v", "w", "p", "x", "y", "z", "sl", "hl", "box", "pixel" };
    const bragg_yaml *node;
    const char *text;
    if (map->kind != BRAGG_YAML_MAP)
        return bragg_yaml_fail(map, err, "instrument: expected keys and values, found none");
    bragg_status st = bragg_yaml_check_keys(map, keys, sizeof keys / sizeof *keys, err);
    if (st == BRAGG_OK)
        st = read_lines(map, &x->radiation, err);
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "type")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        x->radiation.neutron = !strcmp(text, "neutron");
        if (!x->radiation.neutron && strcmp(text, "x-ray"))
            st = bragg_yaml_fail(node, err, "type: expected x-ray or neutron, found '%s'", text);
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "mount")) && (st = bragg_yaml_text(node, &text, err)) == BRAGG_OK) {
        x->has_mount = true;
        if (!bragg_mount_parse(text, &x->mount))
            st = bragg_yaml_fail(node, err, "mount: expected debye-scherrer, bragg-brentano or transmission, found '%s'", text);
    }
    if (st == BRAGG_OK && (node = bragg_yaml_get(map, "polarization")))
        st = bragg_yaml_number(node, &x->radiation.polarization, err);
    if (st == BRAGG_OK)
        st = bragg_reading_distance(map, &x->radius_m, &x->flat_detector, err);
    for (int k = 0; k < BRAGG_INSTRUMENT_ROWS && st == BRAGG_OK; k++)
        if ((node = bragg_yaml_get(map, rows[k].name)))
            st = bragg_yaml_number(node, &x->value[k], err);
    return st;
}

/* -------------------------------------------------------------- GSAS-II */

/* Theirs: sigma^2 in squared centidegrees, Lorentzian FWHM in centidegrees, SH/L
 * the sum of S/L and H/L. */
static void set_gauss(bragg_instrument *x, int row, double centideg2) { x->value[row] = centideg2 * 1e-4 * FWHM2_PER_VARIANCE; }

static void second_line(bragg_instrument *x, double wavelength, double ratio)
{
    if (wavelength > 0) {
        x->radiation.n_lines = 2;
        x->radiation.wavelength_ang[1] = wavelength;
        x->radiation.ratio[1] = ratio > 0 ? ratio : 0.5;
    }
}

static void first_line(bragg_instrument *x, double wavelength)
{
    x->radiation.n_lines = x->radiation.n_lines ? x->radiation.n_lines : 1;
    x->radiation.wavelength_ang[0] = wavelength;
    x->radiation.ratio[0] = 1;
}

static void take_instprm(bragg_instrument *x, const char *key, double v, double *lam2, double *ratio)
{
    if (!strcmp(key, "Lam") || !strcmp(key, "Lam1"))
        first_line(x, v);
    else if (!strcmp(key, "Lam2"))
        *lam2 = v;
    else if (!strcmp(key, "I(L2)/I(L1)"))
        *ratio = v;
    else if (!strcmp(key, "Polariz."))
        x->radiation.polarization = v;
    else if (!strcmp(key, "Zero"))
        x->value[BRAGG_INSTRUMENT_ZERO] = v;
    else if (!strcmp(key, "SH/L"))
        x->value[BRAGG_INSTRUMENT_SL] = x->value[BRAGG_INSTRUMENT_HL] = v / 2;
    else if (key[0] && !key[1] && strchr("UVW", key[0]))
        set_gauss(x, BRAGG_INSTRUMENT_U + (key[0] - 'U'), v);
    else if (key[0] && !key[1] && strchr("XYZ", key[0]))
        x->value[BRAGG_INSTRUMENT_X + (key[0] - 'X')] = v * 1e-2;
    else if (!strcmp(key, "Gonio. radius"))
        x->radius_m = v / 1000;
}

/* "Key:value" lines of the first bank; several may stand in a line, parted by ';'. */
static bragg_status read_instprm(const char *path, char *text, bragg_instrument *x, bragg_error *err)
{
    double lam2 = NAN, ratio = NAN;
    int banks = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n;", &rest); line && banks < 2; line = strtok_r(NULL, "\r\n;", &rest)) {
        while (isspace((unsigned char)*line))
            line++;
        banks += !strncmp(line, "#Bank", 5);
        char *colon = strchr(line, ':');
        if (*line == '#' || !colon)
            continue;
        *colon = 0;
        double v;
        const char *end;
        if (!strcmp(line, "Type")) {
            if (strncmp(colon + 1, "PXC", 3) && strncmp(colon + 1, "PNC", 3))
                return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': expected a constant wavelength (PXC or PNC), found type %.*s", path, bragg_utf8_most(colon + 1, 20), colon + 1);
            x->radiation.neutron = colon[2] == 'N';
        } else if (bragg_number_scan(colon + 1, &end, &v))
            take_instprm(x, line, v, &lam2, &ratio);
    }
    second_line(x, lam2, ratio);
    return x->radiation.n_lines ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "'%s': expected a wavelength 'Lam:', found none", path);
}

/* ----------------------------------------------------------------- GSAS */

/* Values behind a record's name; columns 13 on. */
static size_t record_numbers(const char *text, const char *name, double *v, size_t room)
{
    const char *at = strstr(text, name);
    size_t n = 0;
    if (!at)
        return 0;
    const char *stop = at + strcspn(at, "\r\n"), *end;
    at += strlen(name);
    while (n < room && at < stop && bragg_number_scan(at, &end, &v[n]) && end <= stop) {
        n++;
        at = end;
    }
    return n;
}

/* Columns of a record, counted behind the twelve of its name; 0 where they are blank. */
static double record_column(const char *record, size_t first, size_t last)
{
    char text[16];
    const char *end;
    double v;
    size_t n = strcspn(record, "\r\n");
    snprintf(text, sizeof text, "%.*s", (int)(n > last ? last - first : n > first ? n - first : 0), record + (n > first ? first : n));
    return bragg_number_scan(text, &end, &v) ? v : 0;
}

/* A. C. Larson & R. B. Von Dreele, GSAS, LAUR 86-748: LAM1 LAM2 ZERO in ten columns each,
 * ten that some leave blank, POLA in ten, IPOLA in five, KRATIO in ten. */
static bragg_status read_icons(const char *path, const char *text, bragg_instrument *x, bragg_error *err)
{
    const char *found = strstr(text, "INS  1 ICONS"), *record = found ? found + 12 : NULL;
    double first = record ? record_column(record, 0, 10) : 0;
    if (!(first > 0))
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected a wavelength in 'INS  1 ICONS', found none", path);
    first_line(x, first);
    second_line(x, record_column(record, 10, 20), record_column(record, 55, 65));
    x->value[BRAGG_INSTRUMENT_ZERO] = record_column(record, 20, 30) / 100;
    double pola = record_column(record, 40, 50);
    if (pola > 0) /* IPOLA 1: (1 + M cos^2) / (1 + M) */
        x->radiation.polarization = record_column(record, 50, 55) == 1 ? 1 / (1 + pola) : pola;
    return BRAGG_OK;
}

/* Where the terms of a profile function stand among its coefficients; -1: it has none. */
static const struct { int gp, lx, ly, sl, hl; } terms_of[] = {
    { -1, -1, -1, -1, -1 }, /* GU GV GW asym, a Gaussian */
    { 8, 3, 4, -1, -1 },    /* GU GV GW LX LY trns asym shft GP */
    { 3, 4, 5, 6, 7 },      /* GU GV GW GP LX LY S/L H/L */
    { 3, 4, -1, 9, 10 },    /* GU GV GW GP LX ptec trns shft sfec S/L H/L eta */
    { 3, 4, 5, 6, 7 },      /* as the third, with macrostrain */
};
enum { FUNCTIONS = sizeof terms_of / sizeof *terms_of };

static bragg_status read_prm(const char *path, const char *text, bragg_instrument *x, bragg_error *err)
{
    double head[3] = { 0 }, v[16] = { 0 };
    const char *type = strstr(text, "HTYPE");
    if (type && (strlen(type) < 12 || type[10] != 'C'))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': expected a constant wavelength (HTYPE P.C.), found '%.*s'", path, bragg_utf8_most(type, 12), type);
    x->radiation.neutron = type && type[9] == 'N';
    bragg_status st = read_icons(path, text, x, err);
    if (st < 0 || record_numbers(text, "INS  1PRCF1 ", head, 3) < 1)
        return st; /* wavelength and zero alone */
    int function = head[0] >= 1 && head[0] <= FUNCTIONS ? (int)head[0] : 0;
    size_t n = 0;
    for (int k = 1; k <= 4; k++) {
        char name[32];
        snprintf(name, sizeof name, "INS  1PRCF1%d", k);
        n += record_numbers(text, name, v + n, n + 4 <= 16 ? 4 : 0);
    }
    if (n < 3 || !function)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected CW profile function 1 to %d, found %g with %zu coefficients", path, FUNCTIONS, head[0], n);
    const int place[] = { terms_of[function - 1].gp, terms_of[function - 1].lx, terms_of[function - 1].ly, terms_of[function - 1].sl, terms_of[function - 1].hl };
    static const int row[] = { BRAGG_INSTRUMENT_P, BRAGG_INSTRUMENT_X, BRAGG_INSTRUMENT_Y, BRAGG_INSTRUMENT_SL, BRAGG_INSTRUMENT_HL };
    for (int k = 0; k < 3; k++)
        set_gauss(x, BRAGG_INSTRUMENT_U + k, v[k]);
    for (int k = 0; k < 5; k++)
        if (place[k] >= 0)
            x->value[row[k]] = k == 1 || k == 2 ? 1e-2 * v[place[k]] : v[place[k]];
    if (place[0] >= 0)
        set_gauss(x, BRAGG_INSTRUMENT_P, v[place[0]]);
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ any */

bragg_status bragg_instrument_read(const char *path, bragg_instrument *out, bragg_error *err)
{
    enum { MOST = 1 << 20 }; /* an instrument file has a few kilobytes */
    size_t n;
    unsigned char *bytes;
    clear(out);
    bragg_status st = bragg_bytes_of_file(path, MOST, &bytes, &n, err);
    if (st < 0)
        return st;
    char *text = (char *)bytes;
    if (strlen(text) < n || n == 0)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected an instrument file, found %s", path, n ? "binary data" : "nothing");
    else if (strstr(text, "INS   BANK"))
        st = read_prm(path, text, out, err);
    else if (strstr(text, "GSAS-II instrument parameter") || strstr(text, "Type:P"))
        st = read_instprm(path, text, out, err);
    else {
        bragg_arena *arena = bragg_arena_new();
        const bragg_yaml *root;
        st = arena ? bragg_yaml_parse(text, n, path, arena, &root, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
        if (st == BRAGG_OK)
            st = read_ours(root, out, err);
        bragg_arena_free(arena);
    }
    free(text);
    return st;
}
