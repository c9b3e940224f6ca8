/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Space groups: from symbols by spglib's table, from operations in any setting. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/crystal.h>
#include <bragg/number.h>

#include <ctype.h>
#include <math.h>
#include <spglib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_HALL = 530, MAX_OPS = 192 };

/* ------------------------------------------------------------ operations */

static double fold(double t)
{
    t -= floor(t);
    return t > 1 - 1e-6 ? 0 : t;
}

/* Fractions of crystallography are twelfths and eighths: 0.33333 means 1/3. */
static double exact_shift(double t)
{
    t = fold(t);
    double twelfth = rint(t * 24) / 24;
    return fabs(twelfth - t) < 2e-3 ? fold(twelfth) : t;
}

static bool same_op(const bragg_symop *a, const bragg_symop *b)
{
    for (int i = 0; i < 3; i++) {
        double d = a->t[i] - b->t[i];
        if (memcmp(a->r[i], b->r[i], sizeof a->r[i]) || fabs(d - rint(d)) > 1e-3)
            return false;
    }
    return true;
}

static bragg_symop multiply(const bragg_symop *a, const bragg_symop *b)
{
    bragg_symop c;
    for (int i = 0; i < 3; i++) {
        c.t[i] = a->t[i];
        for (int j = 0; j < 3; j++) {
            c.t[i] += a->r[i][j] * b->t[j];
            c.r[i][j] = 0;
            for (int k = 0; k < 3; k++)
                c.r[i][j] += a->r[i][k] * b->r[k][j];
        }
        c.t[i] = exact_shift(c.t[i]);
    }
    return c;
}

static int determinant(const int r[3][3])
{
    return r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1]) - r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0]) +
           r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0]);
}

/* One of "-x+1/2", "2*x-y", ".5+z"; false when it is none. */
static bool parse_row(const char **at, int r[3], double *t)
{
    const char *s = *at;
    double sign = 1, number = 0;
    bool has_number = false, any = false;
    for (;; s++) {
        if (isspace((unsigned char)*s) || *s == '*')
            continue;
        if (isdigit((unsigned char)*s) || *s == '.') {
            const char *end;
            if (!bragg_number_scan(s, &end, &number))
                return false;
            s = end - 1;
            if (s[1] == '/') {
                double below;
                if (!bragg_number_scan(s + 2, &end, &below) || below == 0)
                    return false;
                number /= below;
                s = end - 1;
            }
            if (!(fabs(number) < 10))
                return false;
            has_number = any = true;
        } else if (*s && strchr("xyzXYZ", *s)) {
            r[tolower((unsigned char)*s) - 'x'] += (int)(sign * (has_number ? rint(number) : 1));
            has_number = false;
            number = 0;
            any = true;
        } else if (*s == '+' || *s == '-' || *s == ',' || !*s) {
            if (has_number)
                *t += sign * number;
            has_number = false;
            sign = *s == '-' ? -1 : 1;
            if (*s == ',' || !*s)
                break;
        } else {
            return false;
        }
    }
    *at = *s ? s + 1 : s;
    return any;
}

void bragg_symop_turn(const bragg_symop *op, const int hkl[3], int out[3])
{
    for (int j = 0; j < 3; j++)
        out[j] = hkl[0] * op->r[0][j] + hkl[1] * op->r[1][j] + hkl[2] * op->r[2][j];
}

bragg_status bragg_symop_parse(const char *xyz, bragg_symop *out, bragg_error *err)
{
    const char *at = xyz;
    *out = (bragg_symop){ 0 };
    for (int i = 0; i < 3; i++) {
        if (!parse_row(&at, out->r[i], &out->t[i]))
            return bragg_fail(err, BRAGG_EDATA, "symmetry operation: expected one like '-x+1/2,y,z', found '%.*s'", bragg_utf8_most(xyz, 40), xyz);
        out->t[i] = exact_shift(out->t[i]);
    }
    if (*at || abs(determinant(out->r)) != 1)
        return bragg_fail(err, BRAGG_EDATA, "symmetry operation: expected one like '-x+1/2,y,z', found '%.*s'", bragg_utf8_most(xyz, 40), xyz);
    return BRAGG_OK;
}

/* ------------------------------------------------------------- the group */

/* Operations by their rotation, each a number in base 3: what is looked up at
 * every product. */
enum { N_KEYS = 19683 };
typedef struct by_rotation {
    short first[N_KEYS], next[MAX_OPS];
} by_rotation;

static int key_of(const bragg_symop *op)
{
    int key = 0;
    for (int i = 0; i < 9; i++) {
        int v = (&op->r[0][0])[i];
        if (v < -1 || v > 1)
            return -1;
        key = 3 * key + v + 1;
    }
    return key;
}

static bool contains(const bragg_symmetry *s, const by_rotation *index, const bragg_symop *op)
{
    int key = key_of(op);
    for (int k = key < 0 ? -1 : index->first[key]; k >= 0; k = index->next[k])
        if (same_op(&s->op[k], op))
            return true;
    return false;
}

static bool append(bragg_symmetry *s, by_rotation *index, const bragg_symop *op)
{
    int key = key_of(op);
    if (key < 0 || s->n_ops == MAX_OPS)
        return false;
    index->next[s->n_ops] = index->first[key];
    index->first[key] = (short)s->n_ops;
    s->op[s->n_ops++] = *op;
    return true;
}

/* The group that the operations generate: each one not yet in it becomes a
 * generator, and the group is closed under products with the generators. */
static bragg_status generate(const bragg_symop *given, size_t n, bragg_symmetry *s, bragg_error *err)
{
    by_rotation index;
    bragg_symop generator[16];
    size_t n_generators = 0;
    memset(index.first, -1, sizeof index.first);
    bragg_symop identity = { { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } }, { 0, 0, 0 } };
    bool good = append(s, &index, &identity);
    for (size_t k = 0; k < n && good; k++) {
        if (contains(s, &index, &given[k]))
            continue;
        good = n_generators < 16;
        if (good)
            generator[n_generators++] = given[k];
        for (size_t i = 0; i < s->n_ops && good; i++)
            for (size_t g = 0; g < n_generators && good; g++) {
                bragg_symop product = multiply(&s->op[i], &generator[g]);
                good = contains(s, &index, &product) || append(s, &index, &product);
            }
    }
    return good ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "symmetry operations: do not make a group of at most %d", MAX_OPS);
}

bragg_system bragg_symmetry_system(int number)
{
    static const int last[] = { 2, 15, 74, 142, 167, 194, 230 };
    int k = 0;
    while (number > last[k])
        k++;
    return (bragg_system)k;
}

static void note_centre(bragg_symmetry *s)
{
    s->centric = false;
    for (size_t k = 0; k < s->n_ops; k++) {
        bool inversion = true;
        for (int i = 0; i < 9; i++)
            inversion = inversion && (&s->op[k].r[0][0])[i] == -(i % 4 == 0);
        s->centric = s->centric || inversion;
    }
}

static void load_database(int hall, bragg_symmetry *s)
{
    int r[MAX_OPS][3][3];
    double t[MAX_OPS][3];
    s->n_ops = (size_t)spg_get_symmetry_from_database(r, t, hall);
    for (size_t k = 0; k < s->n_ops; k++) {
        memcpy(s->op[k].r, r[k], sizeof r[k]);
        for (int i = 0; i < 3; i++)
            s->op[k].t[i] = exact_shift(t[k][i]);
    }
    note_centre(s);
}

static bool same_group(const bragg_symmetry *a, const bragg_symmetry *b)
{
    if (a->n_ops != b->n_ops)
        return false;
    for (size_t i = 0; i < a->n_ops; i++) {
        bool found = false;
        for (size_t j = 0; j < b->n_ops && !found; j++)
            found = same_op(&a->op[i], &b->op[j]);
        if (!found)
            return false;
    }
    return true;
}

bragg_status bragg_symmetry_from_hall_number(int hall, bragg_symmetry *out, bragg_error *err)
{
    if (hall < 1 || hall > N_HALL)
        return bragg_fail(err, BRAGG_EINVAL, "Hall number: expected 1 to %d, got %d", N_HALL, hall);
    SpglibSpacegroupType type = spg_get_spacegroup_type(hall);
    *out = (bragg_symmetry){ .number = type.number, .hall_number = hall, .system = bragg_symmetry_system(type.number) };
    snprintf(out->hm, sizeof out->hm, "%s%s%s", type.international_short, *type.choice ? ":" : "", type.choice);
    load_database(hall, out);
    return BRAGG_OK;
}

/* The lowest setting of a type whose operations these are; 0 when none is. */
static int setting_of(const bragg_symmetry *s, int number)
{
    int first = 1, last = N_HALL;
    bragg_symmetry listed;
    while (first < last) { /* settings of a type stand together, types by number */
        int middle = (first + last) / 2;
        if (spg_get_spacegroup_type(middle).number < number)
            first = middle + 1;
        else
            last = middle;
    }
    for (int h = first; h <= N_HALL && spg_get_spacegroup_type(h).number == number; h++)
        if (bragg_symmetry_from_hall_number(h, &listed, NULL) == BRAGG_OK && same_group(s, &listed))
            return h;
    return 0;
}

static void name_group(bragg_symmetry *s, int hall)
{
    SpglibSpacegroupType type = spg_get_spacegroup_type(hall);
    s->number = type.number;
    if (!*s->hm)
        snprintf(s->hm, sizeof s->hm, "%s%s%s", type.international_short, s->hall_number && *type.choice ? ":" : "", s->hall_number ? type.choice : "");
}

/* Which space group these operations are: a setting of the type that is stated (0:
 * none), else spglib finds the type in any setting.  The Hall number is kept only where
 * its own operations are these. */
static void identify(bragg_symmetry *s, int stated)
{
    if (stated && (s->hall_number = setting_of(s, stated))) {
        name_group(s, s->hall_number);
        return;
    }
    int r[MAX_OPS][3][3];
    double t[MAX_OPS][3];
    for (size_t k = 0; k < s->n_ops; k++) {
        memcpy(r[k], s->op[k].r, sizeof r[k]);
        memcpy(t[k], s->op[k].t, sizeof t[k]);
    }
    int hall = spg_get_hall_number_from_symmetry(r, t, (int)s->n_ops, 1e-4);
    if (hall < 1)
        return;
    s->hall_number = setting_of(s, spg_get_spacegroup_type(hall).number);
    name_group(s, s->hall_number ? s->hall_number : hall);
}

bragg_status bragg_symmetry_from_xyz_of(const char *const *xyz, size_t n, int number, bragg_symmetry *out, bragg_error *err)
{
    *out = (bragg_symmetry){ 0 };
    if (n > MAX_OPS)
        return bragg_fail(err, BRAGG_EDATA, "symmetry operations: expected at most %d, found %zu", MAX_OPS, n);
    bragg_symop given[MAX_OPS];
    bragg_status st = BRAGG_OK;
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = bragg_symop_parse(xyz[k], &given[k], err);
    if (st == BRAGG_OK)
        st = generate(given, n, out, err);
    if (st < 0)
        return st;
    note_centre(out);
    identify(out, number);
    out->system = out->number ? bragg_symmetry_system(out->number) : BRAGG_TRICLINIC;
    return BRAGG_OK;
}

bragg_status bragg_symmetry_from_xyz(const char *const *xyz, size_t n, bragg_symmetry *out, bragg_error *err)
{
    return bragg_symmetry_from_xyz_of(xyz, n, 0, out, err);
}

/* --------------------------------------------------------------- symbols */

/* Letters that carry meaning: "P 1 21/c 1" and "P12_1/c1" become "P121/c1". */
static void squeeze(const char *text, size_t length, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < length && text[i] && n + 1 < size; i++)
        if (!isspace((unsigned char)text[i]) && text[i] != '_')
            out[n++] = (char)tolower((unsigned char)text[i]);
    out[n] = 0;
    out[0] = (char)toupper((unsigned char)out[0]);
}

/* spglib: "P 2_1/c = P 1 2_1/c 1"; either side will do. */
static bool names_group(const SpglibSpacegroupType *t, const char *wanted)
{
    char one[48];
    const char *sides[] = { t->international, strchr(t->international, '=') ? strchr(t->international, '=') + 1 : "",
                            t->international_short, t->international_full };
    for (int k = 0; k < 4; k++) {
        squeeze(sides[k], strcspn(sides[k], "="), one, sizeof one);
        if (*one && !strcmp(one, wanted))
            return true;
    }
    return false;
}

/* "P 21/n" is short for "P 1 21/n 1". */
static void fill_monoclinic(const char *symbol, char *out, size_t size)
{
    snprintf(out, size, "%c1%s1", symbol[0], symbol + (*symbol != 0));
}

/* Without a choice: origin 2, hexagonal axes, unique axis b; else the first. */
static int preference(const SpglibSpacegroupType *t, const char *choice)
{
    if (*choice)
        return !strcasecmp(t->choice, choice) ? 3 : 0;
    return !strcmp(t->choice, "2") || !strcmp(t->choice, "H") || !*t->choice ? 3 : t->choice[0] == 'b' ? 2 : 1;
}

static bool is_hall_symbol(const SpglibSpacegroupType *t, const char *text)
{
    char a[48], b[48];
    squeeze(t->hall_symbol, 47, a, sizeof a);
    squeeze(text, 47, b, sizeof b);
    for (char *c = b; *c; c++) /* CIF writes the double prime as " or '' */
        if (c[0] == '\'' && c[1] == '\'') {
            c[0] = '"';
            memmove(c + 1, c + 2, strlen(c + 2) + 1);
        }
    for (char *c = a; *c; c++)
        if (*c == '=')
            *c = '"';
    return !strcmp(a, b);
}

bragg_status bragg_symmetry_from_symbol(const char *symbol, bragg_symmetry *out, bragg_error *err)
{
    char wanted[48], choice[8] = "";
    size_t length = strcspn(symbol, ":");
    squeeze(symbol, length, wanted, sizeof wanted);
    if (symbol[length])
        snprintf(choice, sizeof choice, "%.6s", symbol + length + 1);
    choice[strcspn(choice, " ")] = 0;
    if (!strcmp(choice, "h") || !strcmp(choice, "r"))
        choice[0] = (char)toupper((unsigned char)choice[0]);
    size_t end = strlen(wanted); /* "R-3mH" of older files */
    if (!*choice && wanted[0] == 'R' && end > 2 && (wanted[end - 1] == 'h' || wanted[end - 1] == 'r')) {
        choice[0] = (char)toupper((unsigned char)wanted[end - 1]);
        wanted[end - 1] = 0;
    }
    char monoclinic[52];
    fill_monoclinic(wanted, monoclinic, sizeof monoclinic);
    long long number;
    bool numbered = bragg_integer_parse(wanted, &number);
    int best = 0, best_rank = 0;
    for (int hall = 1; hall <= N_HALL; hall++) {
        SpglibSpacegroupType t = spg_get_spacegroup_type(hall);
        bool named = numbered ? t.number == number : names_group(&t, wanted) || names_group(&t, monoclinic);
        int rank = named ? preference(&t, choice) : is_hall_symbol(&t, symbol) ? 4 : 0;
        if (rank > best_rank) {
            best = hall;
            best_rank = rank;
        }
    }
    if (!best)
        return bragg_fail(err, BRAGG_EDATA, "space group: '%.*s' is not a Hermann-Mauguin or Hall symbol or number we know", bragg_utf8_most(symbol, 40), symbol);
    return bragg_symmetry_from_hall_number(best, out, err);
}
