/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Crystal structures from CIF, by cif_api's callbacks. */
#include "config.h"
#include "base/cif_fault.h"

#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/crystal.h>
#include <bragg/number.h>
#include <bragg/units.h>

#include <cif.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the parser calls back with, as flat items:
 *
 *   block ── item ─► item ─► …      name, text (NULL for ? and .), loop, row
 */
typedef struct item {
    const char *name, *text;
    int loop, row;            /* loop 0: not in a loop */
    size_t at;                /* its place in the file, counted */
    struct item *next;
} item;

typedef struct block {
    const char *name;
    item *first, **last;
    struct block *next;
} block;

typedef struct reading {
    bragg_arena *arena;
    block *first, **last, *now;
    int loop, row, n_loops;
    size_t n_items;
    bool out_of_memory;
    int stopped;              /* the parser's code where it gave up behind what is here, CIF_OK */
    cif_fault fault;
} reading;

/* UTF-16 to UTF-8; data names to lower case (they compare without case). */
static char *text_of(bragg_arena *arena, const UChar *from, bool lower)
{
    size_t n = 0, used = 0;
    while (from && from[n])
        n++;
    char *to = bragg_arena_alloc(arena, 3 * n + 1, 1);
    for (size_t i = 0; to && i < n; i++) {
        unsigned c = from[i];
        if (c >= 0xd800 && c < 0xdc00 && i + 1 < n && (from[i + 1] & 0xfc00) == 0xdc00)
            c = 0x10000 + ((c & 0x3ff) << 10) + (from[++i] & 0x3ff);
        used += bragg_utf8_put(to + used, lower && c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return to;
}

static int on_block(cif_container_tp *container, void *context)
{
    reading *r = context;
    UChar *code = NULL;
    block *b = bragg_arena_alloc(r->arena, 1, sizeof *b);
    r->now = b;
    r->loop = 0;
    if (!b) {
        r->out_of_memory = true;
        return CIF_TRAVERSE_END;
    }
    b->name = container && cif_container_get_code(container, &code) == CIF_OK && code ? text_of(r->arena, code, false) : "";
    free(code);
    b->last = &b->first;
    *r->last = b;
    r->last = &b->next;
    return CIF_TRAVERSE_CONTINUE;
}

static int on_frame(cif_container_tp *frame, void *context)
{
    (void)frame, (void)context;
    return CIF_TRAVERSE_SKIP_CURRENT;
}

static int on_loop(cif_loop_tp *loop, void *context)
{
    reading *r = context;
    r->loop = ++r->n_loops;
    r->row = -1;
    return CIF_TRAVERSE_CONTINUE;
    (void)loop;
}

static int on_loop_end(cif_loop_tp *loop, void *context)
{
    ((reading *)context)->loop = 0;
    return CIF_TRAVERSE_CONTINUE;
    (void)loop;
}

static int on_packet(cif_packet_tp *packet, void *context)
{
    ((reading *)context)->row++;
    return CIF_TRAVERSE_CONTINUE;
    (void)packet;
}

/* Its values are taken already: a row that is not skipped here would be stored, and
 * storing costs more than all the parsing. */
static int on_packet_end(cif_packet_tp *packet, void *context)
{
    (void)packet, (void)context;
    return CIF_TRAVERSE_SKIP_CURRENT;
}

/* Items are taken here and skipped there.  (Without any CIF behind it cif_api
 * 0.4.2 calls back for loops only, not for single items.) */
static int on_item(UChar *name, cif_value_tp *value, void *context)
{
    reading *r = context;
    if (!r->now || !name)
        return CIF_TRAVERSE_SKIP_CURRENT;
    item *i = bragg_arena_alloc(r->arena, 1, sizeof *i);
    UChar *text = NULL;
    if (i && (i->name = text_of(r->arena, name, true))) {
        cif_kind_tp kind = value ? cif_value_kind(value) : CIF_UNK_KIND;
        if (kind == CIF_CHAR_KIND || kind == CIF_NUMB_KIND)
            r->out_of_memory = cif_value_get_text(value, &text) != CIF_OK || !(i->text = text_of(r->arena, text, false));
        free(text);
        i->loop = r->loop;
        i->at = r->n_items++;
        i->row = r->loop ? r->row : 0;
        *r->now->last = i;
        r->now->last = &i->next;
        return r->out_of_memory ? CIF_TRAVERSE_END : CIF_TRAVERSE_SKIP_CURRENT;
    }
    r->out_of_memory = true;
    return CIF_TRAVERSE_END;
}

static int on_error(int code, size_t line, size_t column, const UChar *text, size_t length, void *data)
{
    return bragg_cif_fault_note(code, line, column, text, length, &((reading *)data)->fault);
}

static bragg_status parse_stream(FILE *in, const char *path, reading *r, bragg_error *err)
{
    cif_handler_tp handler = { NULL, NULL, on_block, NULL, on_frame, NULL, on_loop, on_loop_end, on_packet, on_packet_end, on_item };
    struct cif_parse_opts_s *opts = NULL;
    if (cif_parse_options_create(&opts) != CIF_OK)
        return bragg_fail(err, BRAGG_ENOMEM, "%s: no room to parse", path);
    r->last = &r->first;
    opts->handler = &handler;
    opts->error_callback = on_error;
    opts->user_data = r;
    opts->line_folding_modifier = opts->text_prefixing_modifier = 1;
    opts->max_frame_depth = 1;
    cif_tp *kept = NULL;
    int code = cif_parse(in, opts, &kept);
    if (kept && cif_destroy(kept) != CIF_OK)
        code = CIF_ERROR;
    free(opts);
    if (r->out_of_memory || code == CIF_MEMORY_ERROR)
        return bragg_fail(err, BRAGG_ENOMEM, "%s: no room for its items", path);
    if (!r->first && (code == CIF_OK || r->fault.n))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a CIF with a data_ block, found none", path);
    if (!r->first)
        return bragg_fail(err, BRAGG_EDATA, "%s: %s", path, bragg_cif_fault_cause(code));
    r->stopped = code;
    return BRAGG_OK;
}

/* ---------------------------------------------------------------- access */

static const item *find(const block *b, const char *const *names)
{
    for (; *names; names++)
        for (const item *i = b->first; i; i = i->next)
            if (!strcmp(i->name, *names))
                return i;
    return NULL;
}

/* The row's value in the column that stands in the same loop as `key`. */
static const char *cell_text(const block *b, const item *key, const char *name)
{
    for (const item *i = b->first; i; i = i->next)
        if (i->loop == key->loop && i->row == key->row && !strcmp(i->name, name))
            return i->text;
    return NULL;
}

static const char *first_text(const block *b, const item *key, const char *const *names)
{
    for (; *names; names++) {
        const char *text = cell_text(b, key, *names);
        if (text)
            return text;
    }
    return NULL;
}

/* Number with or without an esd; NAN when absent, EDATA when it is something else. */
static bragg_status number_of(const char *text, const char *what, double *value, bragg_error *err)
{
    double esd;
    *value = NAN;
    if (!text || !*text || !strcmp(text, "?") || !strcmp(text, "."))
        return BRAGG_OK;
    if (!bragg_number_parse_esd(text, value, &esd))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected a number, found '%.*s'", what, bragg_utf8_most(text, 30), text);
    return BRAGG_OK;
}

/* --------------------------------------------------------------- pieces */

static bragg_status read_cell(const block *b, bragg_cell *cell, bragg_error *err)
{
    static const char *const names[6] = { "_cell_length_a", "_cell_length_b", "_cell_length_c", "_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma" };
    double *v = &cell->a;
    for (int k = 0; k < 6; k++) {
        const char *const one[2] = { names[k], NULL };
        const item *i = find(b, one);
        bragg_status st = number_of(i ? i->text : NULL, names[k], &v[k], err);
        if (st < 0)
            return st;
        if (isnan(v[k]) && k > 2) /* right angles may be left out */
            v[k] = 90;
        if (isnan(v[k]))
            return bragg_fail(err, BRAGG_EDATA, "block '%s': %s is missing", b->name, names[k]);
        v[k] *= k < 3 ? 1 : BRAGG_DEG;
    }
    return bragg_cell_check(cell, err);
}

static bragg_status read_operations(const block *b, const item *first, const item *stated, bragg_symmetry *out, bragg_error *err)
{
    long long number = 0;
    const char *xyz[192];
    size_t n = 0;
    for (const item *i = first; i; i = i->next)
        if (i->loop == first->loop && !strcmp(i->name, first->name) && i->text) {
            if (n == 192)
                return bragg_fail(err, BRAGG_EDATA, "block '%s': more than 192 symmetry operations", b->name);
            xyz[n++] = i->text;
        }
    if (stated && stated->text && !bragg_integer_parse(stated->text, &number))
        number = 0;
    return bragg_symmetry_from_xyz_of(xyz, n, number > 0 && number <= 230 ? (int)number : 0, out, err);
}

static void note(char *notes, size_t size, const char *format, const char *what)
{
    size_t used = notes ? strlen(notes) : 0;
    if (notes && used + 1 < size)
        snprintf(notes + used, size - used, format, what);
}

/* Operations, else Hall, else Hermann-Mauguin, else number. */
static bragg_status read_symmetry(const block *b, bragg_symmetry *out, char *notes, size_t size, bragg_error *err)
{
    static const char *const ops[] = { "_space_group_symop_operation_xyz", "_space_group_symop.operation_xyz", "_symmetry_equiv_pos_as_xyz", NULL };
    static const char *const hall[] = { "_space_group_name_hall", "_symmetry_space_group_name_hall", NULL };
    static const char *const hm[] = { "_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full", NULL };
    static const char *const number[] = { "_space_group_it_number", "_symmetry_int_tables_number", NULL };
    const item *o = find(b, ops), *name = find(b, hm);
    if (o && o->text && (o->loop || strchr(o->text, ','))) {
        bragg_status st = read_operations(b, o, find(b, number), out, err);
        if (st == BRAGG_OK && name && name->text)
            snprintf(out->hm, sizeof out->hm, "%s", name->text);
        return st;
    }
    const char *const *const sources[] = { hall, hm, number };
    for (int k = 0; k < 3; k++) {
        const item *i = find(b, sources[k]);
        if (!i || !i->text || !*i->text)
            continue;
        bragg_error trial = BRAGG_ERROR_INIT;
        if (bragg_symmetry_from_symbol(i->text, out, &trial) == BRAGG_OK) {
            note(notes, size, "symmetry operations taken from '%s'\n", i->text);
            return BRAGG_OK;
        }
        note(notes, size, "%s\n", trial.text);
    }
    return bragg_fail(err, BRAGG_EDATA, "block '%s': expected symmetry operations or a space group we know, found none", b->name);
}

static bragg_status scatterer_of(bragg_structure *s, const char *species, size_t *index, char *notes, size_t size, bragg_error *err)
{
    bragg_scatterer found;
    bool exact;
    bragg_status st = bragg_scatterer_find(species, &found, &exact, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < s->n_scatterers; k++)
        if (!strcmp(s->scatterer[k].name, found.name)) {
            *index = k;
            return BRAGG_OK;
        }
    if (!exact)
        note(notes, size, "no form factor of %s: its neutral element is used\n", found.name);
    *index = s->n_scatterers;
    s->scatterer[s->n_scatterers++] = found;
    return BRAGG_OK;
}

static bragg_status read_uiso(const block *b, const item *key, bragg_atom *a, bragg_error *err)
{
    double u, biso;
    bragg_status st = number_of(cell_text(b, key, "_atom_site_u_iso_or_equiv"), "_atom_site_U_iso_or_equiv", &u, err);
    if (st == BRAGG_OK)
        st = number_of(cell_text(b, key, "_atom_site_b_iso_or_equiv"), "_atom_site_B_iso_or_equiv", &biso, err);
    if (st == BRAGG_OK)
        a->uiso_ang2 = !isnan(u) ? u : biso / (8 * BRAGG_PI * BRAGG_PI);
    return st;
}

static bragg_status read_atom(const block *b, const item *key, bragg_structure *s, char *notes, size_t size, bragg_error *err)
{
    static const char *const coordinate[3] = { "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z" };
    static const char *const species[] = { "_atom_site_type_symbol", "_atom_site_label", NULL };
    bragg_atom *a = &s->atom[s->n_atoms];
    const char *label = cell_text(b, key, "_atom_site_label"), *type = first_text(b, key, species);
    const char *dummy = cell_text(b, key, "_atom_site_calc_flag");
    bragg_status st = BRAGG_OK;
    if (dummy && !strcmp(dummy, "dum"))
        return BRAGG_OK;
    if (!type)
        return bragg_fail(err, BRAGG_EDATA, "block '%s': an atom has neither label nor type", b->name);
    a->label = label ? label : type;
    for (int k = 0; k < 3 && st == BRAGG_OK; k++)
        st = number_of(cell_text(b, key, coordinate[k]), coordinate[k], &a->x[k], err);
    if (st == BRAGG_OK && isnan(a->x[0] + a->x[1] + a->x[2])) {
        note(notes, size, "atom %s has no coordinates and is left out\n", a->label);
        return BRAGG_OK;
    }
    if (st == BRAGG_OK)
        st = number_of(cell_text(b, key, "_atom_site_occupancy"), "_atom_site_occupancy", &a->occupancy, err);
    if (isnan(a->occupancy))
        a->occupancy = 1;
    if (st == BRAGG_OK)
        st = read_uiso(b, key, a, err);
    if (st == BRAGG_OK)
        st = scatterer_of(s, type, &a->scatterer, notes, size, err);
    if (st == BRAGG_OK && !(a->label = bragg_arena_strdup(s->arena, a->label)))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for an atom");
    if (st == BRAGG_OK)
        s->n_atoms++;
    return st < 0 ? bragg_context(err, st, "atom %s", label ? label : type) : st;
}

static bragg_status read_anisotropic(const block *b, bragg_structure *s, bragg_error *err)
{
    static const char *const names[2][6] = {
        { "_atom_site_aniso_u_11", "_atom_site_aniso_u_22", "_atom_site_aniso_u_33", "_atom_site_aniso_u_23", "_atom_site_aniso_u_13", "_atom_site_aniso_u_12" },
        { "_atom_site_aniso_b_11", "_atom_site_aniso_b_22", "_atom_site_aniso_b_33", "_atom_site_aniso_b_23", "_atom_site_aniso_b_13", "_atom_site_aniso_b_12" } };
    for (const item *key = b->first; key; key = key->next) {
        if (strcmp(key->name, "_atom_site_aniso_label") || !key->text)
            continue;
        for (size_t j = 0; j < s->n_atoms; j++) {
            if (strcmp(s->atom[j].label, key->text))
                continue;
            double u[6], sum = 0;
            for (int k = 0; k < 6; k++) {
                double beta;
                bragg_status st = number_of(cell_text(b, key, names[0][k]), names[0][k], &u[k], err);
                if (st == BRAGG_OK)
                    st = number_of(cell_text(b, key, names[1][k]), names[1][k], &beta, err);
                if (st < 0)
                    return st;
                u[k] = !isnan(u[k]) ? u[k] : beta / (8 * BRAGG_PI * BRAGG_PI);
                sum += u[k];
            }
            s->atom[j].anisotropic = isfinite(sum);
            if (isfinite(sum))
                memcpy(s->atom[j].u, u, sizeof u);
        }
    }
    return BRAGG_OK;
}

/* ----------------------------------------------------------- said twice */

/* Whether a second value of that name would change what is read here: cell, symmetry, atoms. */
static bool is_used(const char *name)
{
    static const char *const heads[] = { "_cell_length_", "_cell_angle_", "_cell_formula_units_z", "_space_group_", "_symmetry_", "_atom_site_" };
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++)
        if (!strncmp(name, heads[k], strlen(heads[k])))
            return true;
    return false;
}

/* 5.4 and 5.40(1), P 63 m c and P63mc. */
static bool is_same(const char *a, const char *b)
{
    double x, y, esd;
    if (!a || !b || (bragg_number_parse_esd(a, &x, &esd) && bragg_number_parse_esd(b, &y, &esd)))
        return a && b ? x == y : a == b;
    for (;; a++, b++) {
        a += strspn(a, " \t\n");
        b += strspn(b, " \t\n");
        if (!*a || strncasecmp(a, b, 1))
            return *a == *b;
    }
}

static int by_name(const void *a, const void *b)
{
    const item *x = *(const item *const *)a, *y = *(const item *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

/* The items of a block that head a column or stand alone, by name. */
static const item **heads_of(const block *b, bragg_arena *arena, size_t *n)
{
    *n = 0;
    for (const item *i = b->first; i; i = i->next)
        *n += !i->row;
    const item **head = bragg_arena_alloc(arena, *n + 1, sizeof *head);
    size_t k = 0;
    for (const item *i = b->first; head && i; i = i->next)
        if (!i->row)
            head[k++] = i;
    if (head)
        qsort(head, *n, sizeof *head, by_name);
    return head;
}

/* CIF 1.1 allows a data name once in a block; the parser, whose items are not stored, does not
 * notice.  Nobody knows which of two cells is meant, so that is refused; what says the same
 * twice, or what is not used here, harms nobody and is told. */
static bragg_status check_once(const block *b, bragg_arena *arena, char *notes, size_t size, bragg_error *err)
{
    size_t n, told = 0;
    const item **head = heads_of(b, arena, &n);
    if (!head)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu data names", n);
    for (size_t k = 1; k < n; k++) {
        const item *one = head[k - 1], *two = head[k];
        if (strcmp(one->name, two->name))
            continue;
        const char *first = one->text ? one->text : "?", *second = two->text ? two->text : "?";
        bool same = !one->loop && !two->loop && is_same(one->text, two->text);
        if (!same && is_used(one->name))
            return bragg_fail(err, BRAGG_EDATA, "block '%s': expected %s once, found it twice: '%.*s' and '%.*s'", b->name, one->name,
                              bragg_utf8_most(first, 30), first, bragg_utf8_most(second, 30), second);
        if (!told++)
            note(notes, size, same ? "%s stands twice in its block, with the same value\n" : "%s stands twice in its block, with two values\n", one->name);
    }
    return BRAGG_OK;
}

/* Element symbols in alphabetic order with their number in the cell over Z. */
static const char *count_formula(const bragg_structure *s)
{
    char text[400] = "";
    size_t used = 0;
    bool told[128] = { false };
    double z = s->z > 0 ? s->z : 1;
    for (;;) {
        const bragg_scatterer *next = NULL;
        for (size_t k = 0; k < s->n_scatterers; k++)
            if (s->scatterer[k].z < 128 && !told[s->scatterer[k].z] && (!next || strcmp(s->scatterer[k].name, next->name) < 0))
                next = &s->scatterer[k];
        if (!next || used + 40 > sizeof text)
            break;
        double count = 0;
        for (size_t j = 0; j < s->n_atoms; j++)
            if (s->scatterer[s->atom[j].scatterer].z == next->z)
                count += s->atom[j].multiplicity * s->atom[j].occupancy / z;
        told[next->z] = true;
        int letters = (int)strspn(next->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", used ? " " : "", letters, next->name);
        if (fabs(count - 1) > 1e-6)
            used += (size_t)snprintf(text + used, sizeof text - used, "%.4g", count);
    }
    return bragg_arena_strdup(s->arena, text);
}

static bragg_status read_labels(const block *b, const char *path, bragg_structure *s, bragg_error *err)
{
    static const char *const name[] = { "_chemical_name_common", "_chemical_name_mineral", "_chemical_name_systematic", NULL };
    static const char *const z[] = { "_cell_formula_units_z", NULL };
    static const char *const doi[] = { "_journal_paper_doi", "_publ_section_title", "_database_code_depnum_ccdc_archive", NULL };
    const item *n = find(b, name), *r = find(b, doi), *units = find(b, z);
    bragg_status st = number_of(units ? units->text : NULL, "_cell_formula_units_Z", &s->z, err);
    if (st < 0)
        return st;
    s->name = bragg_arena_strdup(s->arena, n && n->text && *n->text ? n->text : *b->name ? b->name : path);
    s->reference = r && r->text ? bragg_arena_strdup(s->arena, r->text) : NULL;
    s->formula = count_formula(s);
    return s->name && s->formula ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a structure");
}

static size_t count_rows(const block *b)
{
    size_t n = 0;
    for (const item *i = b->first; i; i = i->next)
        n += !strcmp(i->name, "_atom_site_fract_x");
    return n;
}

static bragg_status build(const block *b, const char *path, bragg_structure **out, char *notes, size_t size, bragg_error *err)
{
    size_t rows = count_rows(b);
    if (!rows)
        return bragg_fail(err, BRAGG_EDATA, "block '%s': expected atoms (_atom_site_fract_x), found none", b->name);
    bragg_structure *s = bragg_structure_new(rows, rows);
    if (!s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu atoms", rows);
    s->n_atoms = s->n_scatterers = 0;
    bragg_status st = read_cell(b, &s->cell, err);
    if (st == BRAGG_OK)
        st = read_symmetry(b, &s->symmetry, notes, size, err);
    for (const item *i = b->first; i && st == BRAGG_OK; i = i->next)
        if (!strcmp(i->name, "_atom_site_fract_x"))
            st = read_atom(b, i, s, notes, size, err);
    if (st == BRAGG_OK)
        st = read_anisotropic(b, s, err);
    if (st == BRAGG_OK)
        st = bragg_structure_check(s, err);
    if (st == BRAGG_OK)
        st = read_labels(b, path, s, err);
    if (st < 0) {
        bragg_structure_free(s);
        return st;
    }
    *out = s;
    return BRAGG_OK;
}

static bragg_status read_stream(FILE *in, const char *path, const char *wanted, bragg_structure **out, char *notes, size_t size, bragg_error *err)
{
    reading r = { .arena = bragg_arena_new() };
    if (!r.arena)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to read '%s'", path);
    bragg_status st = parse_stream(in, path, &r, err);
    const block *b = r.first;
    if (st == BRAGG_OK && wanted)
        while (b && strcasecmp(b->name, wanted))
            b = b->next;
    else
        while (b && b->next && !count_rows(b))
            b = b->next;
    if (st == BRAGG_OK && !b)
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected block '%s', found none of that name", path, wanted);
    else if (st == BRAGG_OK) {
        char where[CIF_FAULT_TEXT];
        if (r.fault.n)
            note(notes, size, "the file breaks the CIF syntax, what could be read was; %s\n", bragg_cif_fault_tell(&r.fault, where));
        if (r.stopped != CIF_OK && b->next)
            note(notes, size, "the file could not be read to its end: %s\n", bragg_cif_fault_cause(r.stopped));
        st = r.stopped == CIF_OK || b->next ? check_once(b, r.arena, notes, size, err)
                                            : bragg_fail(err, BRAGG_EDATA, "block '%s' could not be read to its end: %s", b->name, bragg_cif_fault_cause(r.stopped));
        if (st == BRAGG_OK)
            st = build(b, path, out, notes, size, err);
        if (st < 0 && r.fault.n)
            bragg_context(err, st, "%s", bragg_cif_fault_tell(&r.fault, where));
        if (st < 0)
            bragg_context(err, st, "%s", path);
    }
    bragg_arena_free(r.arena);
    return st;
}

/* Lines end in \n alone for the parser, which takes the last value before a \r\n for
 * unknown; texts of 16 bits a letter are left as they are. */
static size_t unify_lines(const char *from, size_t n, char *to)
{
    size_t m = 0;
    bool plain = !memchr(from, 0, n);
    for (size_t i = 0; i < n; i++) {
        if (plain && from[i] == '\r' && i + 1 < n && from[i + 1] == '\n')
            continue;
        to[m++] = plain && from[i] == '\r' ? '\n' : from[i];
    }
    return m;
}

bragg_status bragg_structure_read_cif(const char *path, const char *wanted, bragg_structure **out, char *notes, size_t size, bragg_error *err)
{
    enum { MOST = 1 << 30 };
    unsigned char *bytes;
    size_t n;
    *out = NULL;
    bragg_status st = bragg_bytes_of_file(path, MOST, &bytes, &n, err);
    if (st == BRAGG_OK)
        st = bragg_structure_parse_cif(bytes, n, path, wanted, out, notes, size, err);
    free(bytes);
    return st;
}

bragg_status bragg_structure_parse_cif(const void *bytes, size_t length, const char *name, const char *wanted, bragg_structure **out, char *notes,
                                       size_t size, bragg_error *err)
{
    *out = NULL;
    if (notes && size)
        *notes = 0;
    char *text = malloc(length + 1);
    size_t n = text && length ? unify_lines(bytes, length, text) : 0;
    FILE *in = n ? fmemopen(text, n, "rb") : NULL;
    bragg_status st = in ? read_stream(in, name, wanted, out, notes, size, err)
                         : bragg_fail(err, length ? BRAGG_ENOMEM : BRAGG_EDATA, length ? "%s: no room to read it" : "%s: expected a CIF with a data_ block, found nothing", name);
    if (in)
        fclose(in);
    free(text);
    return st;
}
