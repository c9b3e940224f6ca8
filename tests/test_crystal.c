/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "reference.h"
#include "suite.h"


static const bragg_cell awkward = { 7.137, 7.853, 10.291, 91.23 * BRAGG_DEG, 98.71 * BRAGG_DEG, 104.39 * BRAGG_DEG };

static double cross_d(const double m[3][3], int h, int k, int l)
{
    /* reciprocal vectors from the columns of m, explicitly */
    double v[3][3], r[3] = { 0 }, vol;
    for (int i = 0; i < 3; i++) {
        const int p = (i + 1) % 3, q = (i + 2) % 3;
        for (int x = 0; x < 3; x++)
            v[i][x] = m[(x + 1) % 3][p] * m[(x + 2) % 3][q] - m[(x + 2) % 3][p] * m[(x + 1) % 3][q];
    }
    vol = m[0][0] * v[0][0] + m[1][0] * v[0][1] + m[2][0] * v[0][2];
    for (int x = 0; x < 3; x++)
        r[x] = (h * v[0][x] + k * v[1][x] + l * v[2][x]) / vol;
    return 1 / sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
}

START_TEST(spacings_of_a_triclinic_cell_agree_with_explicit_vectors)
{
    double g[6], m[3][3];
    bragg_cell_reciprocal(&awkward, g);
    bragg_cell_cartesian(&awkward, m);
    for (int h = -3; h <= 3; h++)
        for (int k = -3; k <= 3; k++)
            for (int l = 1; l <= 4; l++)
                assert_close(1 / sqrt(bragg_cell_invd2(g, h, k, l)), cross_d((const double(*)[3])m, h, k, l), 1e-13);
}
END_TEST

START_TEST(derivatives_of_the_reciprocal_metric_agree_with_differences)
{
    double d[6][6], up[6], down[6];
    bragg_cell_reciprocal_derivatives(&awkward, d);
    for (int j = 0; j < 6; j++) {
        bragg_cell a = awkward, b = awkward;
        double step = 1e-5;
        (&a.a)[j] += step;
        (&b.a)[j] -= step;
        bragg_cell_reciprocal(&a, up);
        bragg_cell_reciprocal(&b, down);
        for (int i = 0; i < 6; i++)
            ck_assert_double_eq_tol(d[i][j], (up[i] - down[i]) / (2 * step), 1e-10);
    }
}
END_TEST

START_TEST(every_hall_setting_survives_the_way_through_its_operations)
{
    for (int hall = 1; hall <= 530; hall++) {
        bragg_symmetry a, b;
        char text[192][64];
        const char *xyz[192];
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_symmetry_from_hall_number(hall, &a, NULL), BRAGG_OK);
        for (size_t k = 0; k < a.n_ops; k++) {
            text[k][0] = 0;
            for (int i = 0; i < 3; i++) {
                char one[32] = "";
                for (int j = 0; j < 3; j++)
                    if (a.op[k].r[i][j])
                        sprintf(one + strlen(one), "%c%c", a.op[k].r[i][j] > 0 ? '+' : '-', 'x' + j);
                sprintf(text[k] + strlen(text[k]), "%s%s+%d/24", i ? "," : "", one, (int)lround(24 * a.op[k].t[i]));
            }
            xyz[k] = text[k];
        }
        ck_assert_msg(bragg_symmetry_from_xyz(xyz, a.n_ops, &b, &err) == BRAGG_OK, "%d: %s", hall, err.text);
        ck_assert_uint_eq(b.n_ops, a.n_ops);
        /* a few settings (of group 68) have the same operations under two symbols */
        ck_assert_msg(b.number == a.number && b.hall_number > 0, "hall %d: number %d, hall %d", hall, b.number, b.hall_number);
        ck_assert_msg(b.hall_number == hall || a.number == 68, "hall %d: found %d", hall, b.hall_number);
    }
}
END_TEST

START_TEST(symbols_of_all_kinds_find_their_group)
{
    static const struct { const char *text; int number; size_t ops; } cases[] = {
        { "R -3 m:H", 166, 36 }, { "R-3mH", 166, 36 }, { "R -3 m:R", 166, 12 }, { "R -3 m", 166, 36 }, { "F d -3 m:2", 227, 192 },
        { "Fd-3m", 227, 192 }, { "P 1 21/c 1", 14, 4 }, { "P21/c", 14, 4 }, { "P 21/n", 14, 4 }, { "P n m a", 62, 8 },
        { "P b n m", 62, 8 }, { "-P 2ac 2n", 62, 8 }, { "62", 62, 8 }, { "P 63/m", 176, 12 }, { "-P 6c", 176, 12 },
        { "C 1 2/m 1", 12, 8 }, { "I 41/a m d :2", 141, 32 }, { "F m -3 m", 225, 192 }, { "P -1", 2, 2 },
        { "-R 3 2\"", 166, 36 }, { "Ia-3", 206, 48 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_symmetry s;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_symmetry_from_symbol(cases[k].text, &s, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_msg(s.number == cases[k].number && s.n_ops == cases[k].ops, "%s: %d with %zu", cases[k].text, s.number, s.n_ops);
    }
    bragg_symmetry s;
    ck_assert_int_eq(bragg_symmetry_from_symbol("P 7/m", &s, NULL), BRAGG_EDATA);
}
END_TEST

START_TEST(cells_keep_only_the_freedom_their_symmetry_leaves)
{
    static const struct { const char *symbol; int tie[6]; } cases[] = {
        { "P -1", { -1, -1, -1, -1, -1, -1 } }, { "P 1 21/c 1", { -1, -1, -1, -2, -1, -2 } },
        { "P 1 1 21/b", { -1, -1, -1, -2, -2, -1 } }, { "P n m a", { -1, -1, -1, -2, -2, -2 } },
        { "I 41/a m d:2", { -1, 0, -1, -2, -2, -2 } }, { "R -3 m:H", { -1, 0, -1, -2, -2, -2 } },
        { "R -3 m:R", { -1, 0, 0, -1, 3, 3 } }, { "F m -3 m", { -1, 0, 0, -2, -2, -2 } }, { "P 63/m", { -1, 0, -1, -2, -2, -2 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_symmetry s;
        int tie[6];
        ck_assert_int_eq(bragg_symmetry_from_symbol(cases[k].symbol, &s, NULL), BRAGG_OK);
        bragg_symmetry_cell_ties(&s, tie);
        for (int i = 0; i < 6; i++)
            ck_assert_msg(tie[i] == cases[k].tie[i], "%s: element %d is %d", cases[k].symbol, i, tie[i]);
    }
}
END_TEST

/* On the hexagonal lattice a turn of columns and one of rows are not the same. */
START_TEST(a_turned_reflection_keeps_its_spacing)
{
    const bragg_cell cell = { 4.3, 4.3, 11.9, BRAGG_PI / 2, BRAGG_PI / 2, 2 * BRAGG_PI / 3 };
    const int hkl[3] = { 1, 3, 4 };
    bragg_symmetry s;
    double g[6];
    int seen[36][3];
    size_t n = 0;
    ck_assert_int_eq(bragg_symmetry_from_symbol("R -3 m:H", &s, NULL), BRAGG_OK);
    bragg_cell_reciprocal(&cell, g);
    for (size_t o = 0; o < s.n_ops; o++) {
        int h[3];
        bragg_symop_turn(&s.op[o], hkl, h);
        ck_assert_double_eq_tol(bragg_cell_invd2(g, h[0], h[1], h[2]), bragg_cell_invd2(g, hkl[0], hkl[1], hkl[2]), 1e-12);
        size_t k = 0;
        while (k < n && memcmp(seen[k], h, sizeof h) != 0)
            k++;
        if (k == n)
            memcpy(seen[n++], h, sizeof h);
    }
    ck_assert_uint_eq(n, 12); /* the order of -3m */
}
END_TEST

START_TEST(sites_keep_only_the_freedom_their_symmetry_leaves)
{
    bragg_symmetry s;
    bragg_cell cell = { 9.37, 9.37, 6.88, BRAGG_PI / 2, BRAGG_PI / 2, 2 * BRAGG_PI / 3 };
    double basis[3][3], adp[6][6];
    size_t n;
    ck_assert_int_eq(bragg_symmetry_from_symbol("P 63/m", &s, NULL), BRAGG_OK);
    const double general[3] = { 0.313, 0.171, 0.058 }, mirror[3] = { 0.313, 0.171, 0.25 }, axis[3] = { 1. / 3, 2. / 3, 0.001 };
    bragg_site_directions(&s, &cell, general, basis, &n);
    ck_assert_uint_eq(n, 3);
    bragg_site_directions(&s, &cell, mirror, basis, &n);
    ck_assert_uint_eq(n, 2);
    bragg_site_directions(&s, &cell, axis, basis, &n);
    ck_assert_uint_eq(n, 1);
    bragg_site_adp_basis(&s, &cell, general, adp, &n);
    ck_assert_uint_eq(n, 6);
    bragg_site_adp_basis(&s, &cell, mirror, adp, &n);
    ck_assert_uint_eq(n, 4);
    bragg_site_adp_basis(&s, &cell, axis, adp, &n); /* U11 = U22 = 2 U12, U33 */
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(bragg_site_multiplicity(&s, &cell, mirror, 0.01), 6);
    ck_assert_int_eq(bragg_site_multiplicity(&s, &cell, axis, 0.01), 4);
}
END_TEST

START_TEST(form_factors_start_at_the_number_of_electrons)
{
    static const struct { const char *name; double electrons; } cases[] = {
        { "Pb", 82 }, { "Pb2+", 80 }, { "O2-", 10 }, { "O-2", 10 }, { "Ce4+", 54 }, { "Bi", 83 }, { "K1+", 18 }, { "K+", 18 }, { "Sb", 51 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_scatterer s;
        bool exact;
        ck_assert_int_eq(bragg_scatterer_find(cases[k].name, &s, &exact, NULL), BRAGG_OK);
        ck_assert_msg(exact, "%s", cases[k].name);
        ck_assert_double_eq_tol(bragg_scatterer_f0(&s, 0), cases[k].electrons, 0.06);
    }
    bragg_scatterer s;
    ck_assert_int_eq(bragg_scatterer_find("Pb", &s, NULL, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_scatterer_set_anomalous(&s, 1.5406, NULL), BRAGG_OK);
    /* Cromer-Liberman as GSAS-II has it: f' -4.08, f'' 8.50; xraylib's tables (Kissel's
     * photoelectric cross sections) give 2 % more f'' */
    ck_assert_double_eq_tol(s.f1, -4.08, 0.25);
    ck_assert_double_eq_tol(s.f2, 8.50, 0.25);
    ck_assert_int_eq(bragg_scatterer_find("Pb", &s, NULL, NULL), BRAGG_OK);
    assert_close(s.neutron_fm, 9.405, 1e-3);
    ck_assert_int_eq(bragg_scatterer_find("Qq", &s, NULL, NULL), BRAGG_EDATA);
}
END_TEST

/* -------------------------------------------------- GSAS-II reflections */

#define RIGHT (BRAGG_PI / 2)

static void compare_reflections(const char *phase, const char *symbol)
{
    char path[512], name[200], line[512];
    snprintf(name, sizeof name, "reference/gsas2/sim/sim_%s_gauss/README", phase);
    if (!shared_file(path, name)) {
        printf("skipped: no %s\n", path);
        return;
    }
    char *readme = whole_file(path);
    bragg_structure *s = read_structure(readme, symbol);
    snprintf(strrchr(path, '/'), 30, "/formfactors.txt");
    take_form_factors(path, s);
    bragg_reflection *list;
    size_t n, seen = 0;
    ck_assert_int_eq(bragg_reflections(&s->cell, &s->symmetry, 0.84, 20, &list, &n, NULL), BRAGG_OK);
    bragg_factors *f;
    double g[6], *f2 = malloc(n * sizeof *f2);
    ck_assert_int_eq(bragg_factors_new(s, list, n, false, &f, NULL), BRAGG_OK);
    bragg_cell_reciprocal(&s->cell, g);
    ck_assert_int_eq(bragg_factors_evaluate(f, s, g, f2, NULL, NULL, NULL), BRAGG_OK);
    snprintf(strrchr(path, '/'), 30, "/reflections.txt");
    FILE *in = fopen(path, "r");
    while (fgets(line, sizeof line, in)) {
        int h, k, l, mult;
        double d, tth, sig, gam, fc2;
        if (sscanf(line, "%d %d %d %d %lf %lf %lf %lf %lf", &h, &k, &l, &mult, &d, &tth, &sig, &gam, &fc2) != 9 || d < 0.85)
            continue;
        bool found = false; /* families of equal d differ: the one with their |F|^2 counts */
        for (size_t at = 0; at < n && !found; at++)
            found = fabs(list[at].d_ang - d) < 1e-7 * d + 6e-8 && list[at].multiplicity == mult &&
                    fabs(f2[at] - fc2) < 0.005 * fc2 + 1e-3 &&
                    fabs(2 * asin(1.5406 / (2 * list[at].d_ang)) / BRAGG_DEG - tth) < 1e-4;
        ck_assert_msg(found, "%s %d %d %d: no reflection of ours with d %.7f, multiplicity %d, |F|^2 %g", phase, h, k, l, d, mult, fc2);
        seen++;
    }
    fclose(in);
    size_t ours = 0;
    for (size_t at = 0; at < n; at++)
        ours += list[at].d_ang >= 0.85 && list[at].d_ang <= 8.838; /* their range starts at 10 deg */
    printf("%s: %zu of %zu reflections\n", phase, seen, ours);
    ck_assert_uint_eq(seen, ours);
    free(f2);
    free(list);
    free(readme);
    bragg_factors_free(f);
    bragg_structure_free(s);
}

START_TEST(reflections_agree_with_gsas2)
{
    compare_reflections("PbSO4", "P n m a");
    compare_reflections("LaB6", "P m -3 m");
    compare_reflections("FAP", "P 63/m");
}
END_TEST

/* ------------------------------------------------------------- derivatives */

static double f2_of(bragg_factors *f, const bragg_structure *s, const double g[6], size_t r, size_t n)
{
    double *f2 = malloc(n * sizeof *f2), v;
    ck_assert_int_eq(bragg_factors_evaluate(f, s, g, f2, NULL, NULL, NULL), BRAGG_OK);
    v = f2[r];
    free(f2);
    return v;
}

/* Two atoms, one anisotropic, in the awkward cell as far as the group leaves it. */
static bragg_structure *two_atoms(const char *group)
{
    bragg_structure *s = bragg_structure_new(2, 2);
    int tie[6];
    ck_assert_int_eq(bragg_symmetry_from_symbol(group, &s->symmetry, NULL), BRAGG_OK);
    s->cell = awkward;
    bragg_symmetry_cell_ties(&s->symmetry, tie);
    double *v = &s->cell.a;
    for (int k = 0; k < 6; k++)
        v[k] = tie[k] >= 0 ? v[tie[k]] : tie[k] == BRAGG_CELL_FIXED ? RIGHT : v[k];
    if (s->symmetry.system == BRAGG_TRIGONAL || s->symmetry.system == BRAGG_HEXAGONAL)
        s->cell.gamma = 2 * BRAGG_PI / 3;
    bragg_scatterer_find("Bi", &s->scatterer[0], NULL, NULL);
    bragg_scatterer_find("O", &s->scatterer[1], NULL, NULL);
    bragg_scatterer_set_anomalous(&s->scatterer[0], 0.95, NULL);
    s->atom[0] = (bragg_atom){ .label = "A", .scatterer = 0, .x = { 0.1231, 0.2137, 0.3719 }, .occupancy = 0.83, .uiso_ang2 = 0.0137 };
    s->atom[1] = (bragg_atom){ .label = "B", .scatterer = 1, .x = { 0.6173, 0.4231, 0.1171 }, .occupancy = 0.97, .anisotropic = true,
                               .u = { 0.011, 0.017, 0.023, 0.0031, -0.0022, 0.0047 } };
    ck_assert_int_eq(bragg_structure_check(s, NULL), BRAGG_OK);
    return s;
}

/* Each of an atom's rows at one reflection of n. */
static void check_atom_slopes(bragg_factors *f, bragg_structure *s, const double g[6], size_t r, size_t n, int a, const bragg_factor_derivative *d, double f2)
{
    bragg_atom *at = &s->atom[a];
    double *place[11] = { &at->x[0], &at->x[1], &at->x[2], &at->occupancy, &at->uiso_ang2 }, h = 1e-5;
    double ours[11] = { d->x[0], d->x[1], d->x[2], d->occupancy, d->uiso };
    for (int k = 0; k < 6; k++) {
        place[5 + k] = &at->u[k];
        ours[5 + k] = d->u[k];
    }
    for (int k = 0; k < 11; k++) {
        if ((k == 4 && a == 1) || (k > 4 && a == 0))
            continue;
        double keep = *place[k];
        *place[k] = keep + h;
        double up = f2_of(f, s, g, r, n);
        *place[k] = keep - h;
        double down = f2_of(f, s, g, r, n);
        *place[k] = keep;
        ck_assert_msg(fabs((up - down) / (2 * h) - ours[k]) < 1e-5 * fabs(ours[k]) + 1e-6 * (f2 + 10) * 100, "%s refl %zu atom %d parameter %d: %g, %g",
                      s->symmetry.hm, r, a, k, ours[k], (up - down) / (2 * h));
    }
}

/* The cell swells evenly. */
static void check_cell_slope(bragg_factors *f, const bragg_structure *s, const double g[6], size_t r, size_t n, double d_ang, double ours)
{
    double up[6], down[6], q = 1 / (d_ang * d_ang);
    for (int k = 0; k < 6; k++) {
        up[k] = g[k] * (1 + 1e-6);
        down[k] = g[k] * (1 - 1e-6);
    }
    double slope = (f2_of(f, s, up, r, n) - f2_of(f, s, down, r, n)) / (2e-6 * q);
    ck_assert_double_eq_tol(ours, slope, 1e-5 * fabs(slope) + 1e-3);
}

START_TEST(derivatives_of_structure_factors_agree_with_differences)
{
    static const char *const groups[] = { "P 1", "P -1", "P 21/c", "R 3 c:H", "P 6_1", "F d -3 m:1" };
    for (int gr = 0; gr < 6; gr++) {
        bragg_structure *s = two_atoms(groups[gr]);
        bragg_reflection *list;
        size_t n;
        ck_assert_int_eq(bragg_reflections(&s->cell, &s->symmetry, 1.7, 4, &list, &n, NULL), BRAGG_OK);
        bragg_factors *f;
        ck_assert_int_eq(bragg_factors_new(s, list, n, false, &f, NULL), BRAGG_OK);
        double g[6], *f2 = malloc(2 * n * sizeof *f2);
        bragg_factor_derivative *d = malloc(2 * n * sizeof *d);
        bragg_cell_reciprocal(&s->cell, g);
        ck_assert_int_eq(bragg_factors_evaluate(f, s, g, f2, d, f2 + n, NULL), BRAGG_OK);
        for (size_t r = 0; r < n; r++) /* tables of waves where no slopes are wanted */
            ck_assert_double_eq_tol(f2_of(f, s, g, r, n), f2[r], 1e-11 * (f2[r] + 1000));
        for (size_t r = 0; r < n; r += 1 + n / 7) {
            for (int a = 0; a < 2; a++)
                check_atom_slopes(f, s, g, r, n, a, &d[2 * r + (size_t)a], f2[r]);
            check_cell_slope(f, s, g, r, n, list[r].d_ang, f2[n + r]);
        }
        free(f2);
        free(d);
        free(list);
        bragg_factors_free(f);
        bragg_structure_free(s);
    }
}
END_TEST

/* Both ways into the same digits: one set of factors that remembers, one that cannot. */
static void check_remembered(bragg_factors *f, const bragg_structure *s, const bragg_reflection *list, size_t n, const char *what)
{
    enum { ATOMS = 2 };
    bragg_factors *fresh;
    double g[6], *f2 = calloc(4 * n, sizeof *f2);
    bragg_factor_derivative *d = calloc(2 * ATOMS * n, sizeof *d);
    bragg_cell_reciprocal(&s->cell, g);
    ck_assert_int_eq(bragg_factors_new(s, list, n, false, &fresh, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_factors_evaluate(f, s, g, f2, d, f2 + n, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_factors_evaluate(fresh, s, g, f2 + 2 * n, d + ATOMS * n, f2 + 3 * n, NULL), BRAGG_OK);
    ck_assert_msg(!memcmp(f2, f2 + 2 * n, 2 * n * sizeof *f2), "%s: |F|^2 or its slope with 1/d^2", what);
    for (size_t k = 0; k < ATOMS * n; k++)
        for (int i = 0; i < 11; i++)
            ck_assert_msg(((double *)&d[k])[i] == ((double *)&d[ATOMS * n + k])[i], "%s: derivative %d of row %zu", what, i, k);
    bragg_factors_free(fresh);
    free(f2);
    free(d);
}

START_TEST(structure_factors_forget_an_atom_that_moves_and_no_other)
{
    bragg_structure *s = bragg_structure_new(2, 2);
    ck_assert_int_eq(bragg_symmetry_from_symbol("P -3", &s->symmetry, NULL), BRAGG_OK);
    s->cell = (bragg_cell){ 5.137, 5.137, 7.291, RIGHT, RIGHT, 2 * BRAGG_PI / 3 };
    bragg_scatterer_find("Zn", &s->scatterer[0], NULL, NULL);
    bragg_scatterer_find("S", &s->scatterer[1], NULL, NULL);
    s->atom[0] = (bragg_atom){ .label = "A", .scatterer = 0, .x = { 0.1231, 0.2137, 0.3719 }, .occupancy = 0.83, .uiso_ang2 = 0.0137 };
    s->atom[1] = (bragg_atom){ .label = "B", .scatterer = 1, .x = { 0.6173, 0.4231, 0.1171 }, .occupancy = 0.97, .uiso_ang2 = 0.0071 };
    ck_assert_int_eq(bragg_structure_check(s, NULL), BRAGG_OK);
    bragg_reflection *list;
    bragg_factors *f;
    size_t n;
    ck_assert_int_eq(bragg_reflections(&s->cell, &s->symmetry, 0.9, 9, &list, &n, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_factors_new(s, list, n, false, &f, NULL), BRAGG_OK);
    check_remembered(f, s, list, n, "first");
    s->cell.c = 7.317;
    s->atom[1].uiso_ang2 = 0.0093;
    check_remembered(f, s, list, n, "another cell and displacement");
    s->atom[1].x[2] = 0.1192;
    check_remembered(f, s, list, n, "an atom moved");
    s->atom[0].anisotropic = true;
    memcpy(s->atom[0].u, (const double[6]){ 0.011, 0.017, 0.023, 0.0031, -0.0022, 0.0047 }, sizeof s->atom[0].u);
    check_remembered(f, s, list, n, "anisotropic");
    s->atom[0].x[0] = 0.1307;
    check_remembered(f, s, list, n, "anisotropic and moved");
    s->atom[0].anisotropic = false;
    check_remembered(f, s, list, n, "isotropic again");
    s->atom[0].x[0] = 0.1231;
    check_remembered(f, s, list, n, "back where it was");
    bragg_factors_free(f);
    free(list);
    bragg_structure_free(s);
}
END_TEST

/* ----------------------------------------------------------------- cards */

/* |F|^2 of a card's reflections, the same with slopes and without. */
static double *factors_of(const bragg_structure *s, const bragg_reflection *list, size_t n)
{
    bragg_factors *f;
    double g[6], *f2 = malloc(3 * n * sizeof *f2), *same = f2 + n, high = 0;
    ck_assert_int_eq(bragg_factors_new(s, list, n, false, &f, NULL), BRAGG_OK);
    bragg_cell_reciprocal(&s->cell, g);
    ck_assert_int_eq(bragg_factors_evaluate(f, s, g, f2, NULL, NULL, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_factors_evaluate(f, s, g, same, NULL, same + n, NULL), BRAGG_OK);
    for (size_t k = 0; k < n; k++)
        high = fmax(high, f2[k]);
    for (size_t k = 0; k < n; k++)
        ck_assert_double_eq_tol(f2[k], same[k], 1e-10 * high);
    bragg_factors_free(f);
    return f2;
}

/* I = m L P |F|^2 with Cu Kalpha1, summed over equal d; the strongest. */
static size_t sum_lines(const bragg_reflection *list, size_t n, double *i)
{
    size_t strongest = 0;
    for (size_t k = 0; k < n; k++) {
        double sn = 1.540593 / (2 * list[k].d_ang), c = sqrt(1 - sn * sn), c2 = 1 - 2 * sn * sn;
        i[k] *= list[k].multiplicity * (1 + c2 * c2) / (sn * sn * c);
        size_t j = k;
        while (j > 0 && list[j - 1].d_ang - list[k].d_ang < 2e-4 * list[k].d_ang)
            j--;
        if (j < k) {
            i[j] += i[k];
            i[k] = 0;
        }
        strongest = i[j] > i[strongest] ? j : strongest;
    }
    return strongest;
}

/* The first line of the index, "2.0855(100;2 -1 3)", is the strongest.  Of sources without
 * displacement parameters it is open who of two near equals is first. */
static void check_strongest(const bragg_structure *s, const char *name, const char *lines)
{
    bragg_reflection *list;
    size_t n;
    const char *end;
    double d, listed = 0;
    ck_assert(bragg_number_scan(lines, &end, &d));
    ck_assert_int_eq(bragg_reflections(&s->cell, &s->symmetry, 0.9, 60, &list, &n, NULL), BRAGG_OK);
    double *i = factors_of(s, list, n);
    size_t best = sum_lines(list, n, i);
    for (size_t k = 0; k < n; k++)
        if (fabs(list[k].d_ang - d) < 1e-3 * d)
            listed = fmax(listed, i[k]);
    ck_assert_msg(listed > 0.9 * i[best], "%s: strongest line %.4f, index %.4f (%.2f)", name, list[best].d_ang, d, listed / i[best]);
    free(i);
    free(list);
}

static void check_card(const char *folder, char *const field[20], double density)
{
    char file[512], notes[400];
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s;
    snprintf(file, sizeof file, "%s/cif/%.80s.cif", folder, field[0]);
    ck_assert_msg(bragg_structure_read_cif(file, NULL, &s, notes, sizeof notes, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(fabs(bragg_structure_density_g_cm3(s) - density) < 0.005 * density, "%s: density %g, index %g", field[0], bragg_structure_density_g_cm3(s), density);
    ck_assert_int_eq(s->symmetry.number, atoi(field[4]));
    for (size_t k = 0; k < s->n_scatterers; k++)
        ck_assert_int_eq(bragg_scatterer_set_anomalous(&s->scatterer[k], 1.540593, NULL), BRAGG_OK);
    check_strongest(s, field[0], field[13]);
    bragg_structure_free(s);
}

START_TEST(every_card_reads_with_the_density_and_lines_of_its_index)
{
    const char *top = getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".";
    char path[512], line[4096];
    size_t cards = 0;
    snprintf(path, sizeof path, "%s/cif/INDEX.tsv", top);
    FILE *in = fopen(path, "r");
    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
    while (fgets(line, sizeof line, in)) {
        char *field[20] = { line };
        double density;
        int n = 1;
        for (char *c = line; *c && n < 20; c++)
            if (*c == '\t') {
                *c = 0;
                field[n++] = c + 1;
            }
        if (n < 14 || !bragg_number_parse(field[12], &density))
            continue;
        check_card(top, field, density);
        cards++;
    }
    fclose(in);
    ck_assert_uint_ge(cards, 160);
}
END_TEST

/* Numbers of independent S_HKL (P. W. Stephens, J. Appl. Cryst. 32 (1999) 281, table 1)
 * and of a lattice strain; each polynomial is the same for all equivalents. */
START_TEST(invariant_polynomials_are_those_of_the_laue_class)
{
    static const struct { const char *group; size_t quartic, quadratic; } cases[] = {
        { "P -1", 15, 6 }, { "P 1 21/c 1", 9, 4 }, { "P n m a", 6, 3 }, { "P 4/n", 5, 2 }, { "P 42/n m c", 4, 2 }, { "R -3:H", 5, 2 },
        { "R -3 m:H", 4, 2 }, { "P -3 1 m", 4, 2 }, { "P 63/m", 3, 2 }, { "P 63/m m c", 3, 2 }, { "P a -3", 2, 1 }, { "F m -3 m", 2, 1 },
        { "R -3 m:R", 4, 2 }, { "P 1 1 21/b", 9, 4 } };
    bragg_error err = BRAGG_ERROR_INIT;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        bragg_symmetry s;
        ck_assert_msg(bragg_symmetry_from_symbol(cases[c].group, &s, &err) == BRAGG_OK, "%s", err.text);
        for (int degree = 2; degree <= 4; degree += 2) {
            bragg_invariants v;
            bragg_symmetry_invariants(&s, degree, &v);
            ck_assert_msg(v.n == (degree == 4 ? cases[c].quartic : cases[c].quadratic), "%s: %zu of degree %d", cases[c].group, v.n, degree);
            for (size_t i = 0; i < v.n; i++)
                for (size_t o = 0; o < s.n_ops; o++) {
                    const int h[3] = { 3, -1, 2 };
                    int r[3];
                    for (int j = 0; j < 3; j++)
                        r[j] = h[0] * s.op[o].r[0][j] + h[1] * s.op[o].r[1][j] + h[2] * s.op[o].r[2][j];
                    ck_assert_double_eq_tol(bragg_invariant_at(&v, i, h[0], h[1], h[2]), bragg_invariant_at(&v, i, r[0], r[1], r[2]), 1e-9);
                }
        }
    }
}
END_TEST

/* h^2 + hk + k^2 squared: the S400 of a hexagonal lattice as Stephens writes it. */
START_TEST(hexagonal_strain_is_the_square_of_its_metric)
{
    bragg_symmetry s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_invariants v;
    ck_assert_int_eq(bragg_symmetry_from_symbol("P 63/m m c", &s, &err), BRAGG_OK);
    bragg_symmetry_invariants(&s, 4, &v);
    for (int h = -3; h <= 3; h++)
        for (int k = -2; k <= 4; k++)
            assert_close(bragg_invariant_at(&v, 0, h, k, 5) + 1, pow(h * h + h * k + k * k, 2) + 1, 1e-12);
}
END_TEST

START_TEST(lines_of_a_cif_may_end_as_on_other_systems)
{
    static const char *const lines[] = { "data_x", "_cell_length_a 4.0497", "_cell_length_b 4.0497", "_cell_length_c 4.0497", "_symmetry_space_group_name_H-M 'F m -3 m'", "loop_",
                                         "_atom_site_label", "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_U_iso_or_equiv", "Al1 0 0 0 ?" };
    static const char *const ends[] = { "\n", "\r\n", "\r" };
    for (int e = 0; e < 3; e++) {
        char text[800] = "";
        bragg_structure *s;
        bragg_error err = BRAGG_ERROR_INIT;
        for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
            strcat(text, lines[k]);
            strcat(text, ends[e]);
        }
        ck_assert_msg(bragg_structure_parse_cif(text, strlen(text), "x.cif", NULL, &s, NULL, 0, &err) == BRAGG_OK, "end %d: %s", e, err.text);
        ck_assert_uint_eq(s->n_atoms, 1);
        ck_assert_int_eq(s->symmetry.number, 225);
        bragg_structure_free(s);
    }
}
END_TEST

START_TEST(broken_cifs_end_in_a_message)
{
    static const struct { const char *text, *message; } cases[] = {
        { "", "expected a CIF with a data_ block" },
        { "CeO2 as measured\n", "line 1, column 1: found text before any data block ('CeO2'), expected a line data_NAME first" },
        { "data_x\n_cell_length_a\n_cell_length_b 5.4\n", "line 3, column 1: found no value behind a data name ('_cell_length_b')" },
        { "data_x\n_chemical_name_common cerium oxide\n", "line 2, column 31: found a value without a data name ('oxide')" },
        { "data_x\n_chemical_name_common 'cerium oxide\n_cell_length_a 5.4\n", "found a quoted text that does not end on its line" },
        { "data_x\n_cell_length_a 5.4\n_exptl_special_details\n;\nno end\n", "found the end of the file within a text" },
        { "data_x\nloop_\n_atom_site_label\n_atom_site_fract_x\nCe 0 O\n", "found fewer values than data names in the last row of a loop_" },
        { "data_x\nloop_\n5.4\n", "found loop_ without data names" },
        { "data_x\n_chemical_name_common caf\xe9\n", ": found bytes that are no character, expected text in UTF-8" },
        { "data_x\n_cell_length_a stop_\n", "found a word that CIF keeps for itself" },
        { "data_x\n_cell_length_a 5.4\ndata_x\n_cell_length_b 5.4\n", "found a second data block of that name" },
        { "data_x\n_cell_length_a 4\n", "expected atoms" },
        { "data_x\n_space_group_IT_number 225\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nCe 0 0 0\n", "_cell_length_a is missing" },
        { "data_x\n_cell_length_a 5.4\n_cell_length_b 5.4\n_cell_length_c 5.5\n_space_group_IT_number 225\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nCe 0 0 0\n", "does not have the symmetry" },
        { "data_x\n_cell_length_a 5.4\n_cell_length_b 5.4\n_cell_length_c 5.4\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nCe 0 0 0\n", "expected symmetry operations" },
        { "data_x\n_cell_length_a 5.4\n_cell_length_b 5.4\n_cell_length_c 5.4\n_space_group_IT_number 225\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nXx 0 0 0\n", "no form factor for 'Xx'" },
        { "data_x\n_cell_length_a five\n_cell_length_b 5.4\n_cell_length_c 5.4\n_space_group_IT_number 225\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nCe 0 0 0\n", "expected a number, found 'five'" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[] = "/tmp/bragg-cif-XXXXXX";
        int fd = mkstemp(name);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq((int)write(fd, cases[k].text, strlen(cases[k].text)), (int)strlen(cases[k].text));
        close(fd);
        bragg_structure *s;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_structure_read_cif(name, NULL, &s, NULL, 0, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, cases[k].message) != NULL, "%s", err.text);
        unlink(name);
    }
}
END_TEST

/* The cell twice, each once, and the symmetry beside an atom; %s: what stands there again. */
START_TEST(a_data_name_that_stands_twice_in_a_cif_is_noticed)
{
    static const char whole[] = "data_x\n_cell_length_a 5.411\n_cell_length_b 5.411\n_cell_length_c 5.411\n_space_group_IT_number 225\n%s\n"
                                "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nCe 0 0 0\n%s\n";
    static const struct { const char *before, *behind, *note, *message; } cases[] = {
        { "", "", "", NULL },
        { "_cell_length_a 5.411(2)", "", "_cell_length_a stands twice in its block, with the same value\n", NULL },
        { "_chemical_name_common ceria", "_chemical_name_common oxide\n_journal_year 1999\n_journal_year 1999", "_chemical_name_common stands twice in its block, with two values\n", NULL },
        { "_symmetry_space_group_name_H-M 'F m -3 m'\n_symmetry_space_group_name_H-M Fm-3m", "", "_symmetry_space_group_name_h-m stands twice in its block, with the same value\n", NULL },
        { "", "data_y\n_cell_length_a 6.5", "", NULL },
        { "", "_cell_length_a 6.5", NULL, "x.cif: block 'x': expected _cell_length_a once, found it twice: '5.411' and '6.5'" },
        { "_Cell_Length_A 6.5", "", NULL, "x.cif: block 'x': expected _cell_length_a once, found it twice: '5.411' and '6.5'" },
        { "_cell_length_c ?", "", NULL, "x.cif: block 'x': expected _cell_length_c once, found it twice: '5.411' and '?'" },
        { "_space_group_IT_number 227", "", NULL, "x.cif: block 'x': expected _space_group_it_number once, found it twice: '225' and '227'" },
        { "_atom_site_fract_x 0.5", "", NULL, "x.cif: block 'x': expected _atom_site_fract_x once, found it twice: '0.5' and '0'" },
        { "", "loop_\n_atom_site_label\n_atom_site_fract_x\nCe 0.5\n_cell_length_a 5.42\n", NULL, "x.cif: line 14, column 1: found a data name that stands in this block already ('_atom_site_label')" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[1000], notes[400] = "";
        bragg_structure *s = NULL;
        bragg_error err = BRAGG_ERROR_INIT;
        snprintf(text, sizeof text, whole, cases[k].before, cases[k].behind);
        bragg_status st = bragg_structure_parse_cif(text, strlen(text), "x.cif", NULL, &s, notes, sizeof notes, &err);
        ck_assert_int_eq(st, cases[k].message ? BRAGG_EDATA : BRAGG_OK);
        if (cases[k].message)
            ck_assert_msg(strstr(err.text, cases[k].message) != NULL, "%s", err.text);
        else
            ck_assert_msg(!strncmp(notes, cases[k].note, strlen(cases[k].note)) && !strstr(notes + strlen(cases[k].note), "twice"), "%zu: %s", k, notes);
        bragg_structure_free(s);
    }
}
END_TEST

/* A loop_ that names a column twice ends the parser: what stands behind it is lost. */
START_TEST(a_cif_that_ends_its_parser_is_not_taken_for_whole)
{
    static const char head[] = "data_x\n_cell_length_a 5.411\n_cell_length_b 5.411\n_cell_length_c 5.411\n_space_group_IT_number 225\n"
                               "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nCe 0 0 0\n";
    static const char twice[] = "loop_\n_geom_one\n_geom_two\n_geom_one\n1 2 3\n";
    char text[1000], notes[400] = "";
    bragg_structure *s = NULL;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(text, sizeof text, "%s%s", head, twice);
    ck_assert_int_eq(bragg_structure_parse_cif(text, strlen(text), "x.cif", NULL, &s, notes, sizeof notes, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "block 'x' could not be read to its end") != NULL, "%s", err.text);
    snprintf(text, sizeof text, "%sdata_y\n%s", head, twice);
    ck_assert_msg(bragg_structure_parse_cif(text, strlen(text), "x.cif", NULL, &s, notes, sizeof notes, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(strstr(notes, "the file could not be read to its end") != NULL, "%s", notes);
    bragg_structure_free(s);
}
END_TEST

/* By hand from 295.65 to 373.15 K: 3.725 (77.5 + (exp(-1.465002) - exp(-1.009302)) / 5.88e-3)
 * + 2.774e-4 (373.15^2 - 295.65^2) = 204.1808 + 14.3783 millionths. */
START_TEST(silicon_expands_by_the_integral_of_its_rate)
{
    double s[3] = { NAN, NAN, NAN };
    ck_assert_int_eq(bragg_calibrant_stretch("Si", 373.15, s, NULL), BRAGG_OK);
    for (int k = 0; k < 3; k++)
        ck_assert_double_eq_tol(s[k], 1 + 218.559e-6, 2e-9);
    ck_assert_int_eq(bragg_calibrant_stretch("Si", 295.65, s, NULL), BRAGG_OK);
    ck_assert_double_eq_tol(s[0], 1, 1e-15);
    double below[3], above[3];
    ck_assert_int_eq(bragg_calibrant_stretch("Si", 711, below, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_calibrant_stretch("Si", 713, above, NULL), BRAGG_OK);
    ck_assert_double_eq_tol((above[0] - below[0]) / 2, 1e-6 * (3.725 * (1 - exp(-5.88e-3 * (712 - 124))) + 5.548e-4 * 712), 1e-11);
}
END_TEST

START_TEST(corundum_expands_more_along_c)
{
    /* the formula by another program */
    double s[3] = { NAN, NAN, NAN }, cold[3];
    ck_assert_int_eq(bragg_calibrant_stretch("Al2O3", 373.15, s, NULL), BRAGG_OK);
    ck_assert_double_eq_tol(s[0], 1.00043626, 1e-8);
    ck_assert(s[1] == s[0]);
    ck_assert_double_eq_tol(s[2], 1.00049660, 1e-8);
    /* the formula's ends at 0 K over what Shvyd'ko et al., J. Synchrotron Rad. 9 (2002) 17, measured at 295.65 K */
    ck_assert_int_eq(bragg_calibrant_stretch("Al2O3", 4.5, cold, NULL), BRAGG_OK);
    ck_assert_double_eq_tol(cold[0], 4.756274 / 4.759213, 2e-5);
    ck_assert_double_eq_tol(cold[2], 12.981943 / 12.991586, 1e-5);
}
END_TEST

START_TEST(expansions_that_nobody_measured_are_refused)
{
    double s[3];
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_calibrant_stretch("Si", 119.9, s, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "from 120 to 1500 K, found 119.9"), "%s", err.text);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_calibrant_stretch("Al2O3", 375, s, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "from 4.5 to 374 K, found 375"), "%s", err.text);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_calibrant_stretch("LaB6", 300, s, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "(Si, Al2O3), found 'LaB6'"), "%s", err.text);
    ck_assert_int_eq(bragg_calibrant_stretch("Si", NAN, s, NULL), BRAGG_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crystal");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, spacings_of_a_triclinic_cell_agree_with_explicit_vectors);
    tcase_add_test(all, derivatives_of_the_reciprocal_metric_agree_with_differences);
    tcase_add_test(all, every_hall_setting_survives_the_way_through_its_operations);
    tcase_add_test(all, symbols_of_all_kinds_find_their_group);
    tcase_add_test(all, cells_keep_only_the_freedom_their_symmetry_leaves);
    tcase_add_test(all, a_turned_reflection_keeps_its_spacing);
    tcase_add_test(all, sites_keep_only_the_freedom_their_symmetry_leaves);
    tcase_add_test(all, silicon_expands_by_the_integral_of_its_rate);
    tcase_add_test(all, corundum_expands_more_along_c);
    tcase_add_test(all, expansions_that_nobody_measured_are_refused);
    tcase_add_test(all, form_factors_start_at_the_number_of_electrons);
    tcase_add_test(all, reflections_agree_with_gsas2);
    tcase_add_test(all, derivatives_of_structure_factors_agree_with_differences);
    tcase_add_test(all, structure_factors_forget_an_atom_that_moves_and_no_other);
    tcase_add_test(all, every_card_reads_with_the_density_and_lines_of_its_index);
    tcase_add_test(all, invariant_polynomials_are_those_of_the_laue_class);
    tcase_add_test(all, hexagonal_strain_is_the_square_of_its_metric);
    tcase_add_test(all, lines_of_a_cif_may_end_as_on_other_systems);
    tcase_add_test(all, broken_cifs_end_in_a_message);
    tcase_add_test(all, a_data_name_that_stands_twice_in_a_cif_is_noticed);
    tcase_add_test(all, a_cif_that_ends_its_parser_is_not_taken_for_whole);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
