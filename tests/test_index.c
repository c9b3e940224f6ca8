/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "reference.h"
#include "suite.h"

#include <bragg/index.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { LINES = 30 };
static const double copper = 1.540593;

static int by_angle(const void *a, const void *b)
{
    const bragg_index_line *x = a, *y = b;
    return (x->two_theta_rad > y->two_theta_rad) - (x->two_theta_rad < y->two_theta_rad);
}

/* The lines of a cell that one seed in five leaves out, errors of sigma, a zero error, and
 * foreign lines; a generator of our own, so that all machines see the same. */
static bragg_index_lines lines_of(const bragg_cell *cell, const char *group, double sigma_deg, double zero_deg, size_t foreign, unsigned seed)
{
    bragg_symmetry s;
    bragg_reflection *r;
    size_t n;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_index_lines l = { 0, calloc(LINES + 8, sizeof *l.at), 5 * BRAGG_DEG };
    ck_assert_msg(bragg_symmetry_from_symbol(group, &s, &err) >= 0, "%s", err.text);
    ck_assert_msg(bragg_reflections(cell, &s, 0.9, 17, &r, &n, &err) >= 0, "%s", err.text);
    double last = 0;
    for (size_t k = 0; k < n && l.n < LINES; k++) {
        seed = seed * 1664525u + 1013904223u;
        double t = 2 * asin(copper / 2 / r[k].d_ang), error = 0;
        if ((seed >> 8) % 5 == 0 || t - last < 0.08 * BRAGG_DEG)
            continue;
        for (int i = 0; i < 12; i++) { /* the sum of twelve is a Gaussian */
            seed = seed * 1664525u + 1013904223u;
            error += (seed >> 8) / 16777216.0 - 0.5;
        }
        last = t;
        l.at[l.n++] = (bragg_index_line){ t + (zero_deg + sigma_deg * error) * BRAGG_DEG, NAN, NAN };
    }
    for (size_t k = 0; k < foreign; k++)
        l.at[l.n++] = (bragg_index_line){ (23.37 + 7.91 * (double)k) * BRAGG_DEG, NAN, NAN };
    qsort(l.at, l.n, sizeof *l.at, by_angle);
    free(r);
    return l;
}

static bragg_index_result *solve(const bragg_index_lines *l)
{
    bragg_index_options o = BRAGG_INDEX_OPTIONS_INIT;
    bragg_index_result *r = NULL;
    bragg_error err = BRAGG_ERROR_INIT;
    o.wavelength_ang = copper;
    o.seconds = 0;
    ck_assert_msg(bragg_index(l, &o, &r, &err) >= 0, "%s", err.text);
    ck_assert_uint_ge(r->n, 1);
    return r;
}

static void finds(bragg_cell cell, const char *group, double tolerance)
{
    bragg_cell primitive, reduced;
    for (int k = 3; k < 6; k++)
        (&cell.a)[k] *= BRAGG_DEG;
    bragg_index_lines l = lines_of(&cell, group, 0.012, 0.03, 1, 7);
    bragg_index_result *r = solve(&l);
    ck_assert(bragg_cell_primitive(&cell, group[0], &primitive, NULL) >= 0 && bragg_cell_niggli(&primitive, &reduced, NULL) >= 0);
    const bragg_index_cell *c = &r->cell[0];
    printf("%s: %zu of %zu lines, M %.1f, evidence %.1f, %.2f s\n", group, c->indexed, c->lines, c->m, c->evidence, r->seconds);
    ck_assert_msg(bragg_cell_sublattice(&reduced, &c->reduced, tolerance, 1) == 1, "%c %g %g %g %g %g %g", c->lattice.centring, c->lattice.cell.a,
                  c->lattice.cell.b, c->lattice.cell.c, c->lattice.cell.alpha / BRAGG_DEG, c->lattice.cell.beta / BRAGG_DEG, c->lattice.cell.gamma / BRAGG_DEG);
    ck_assert_int_eq(c->lattice.centring, group[0]);
    ck_assert_uint_ge(c->indexed, l.n - 3);
    ck_assert_msg(fabs(c->zero_rad.value / BRAGG_DEG - 0.03) < 0.035, "zero %g", c->zero_rad.value / BRAGG_DEG);
    bragg_index_free(r);
    bragg_index_lines_free(&l);
}

START_TEST(a_body_centred_cubic_cell_is_found_with_a_foreign_line)
{
    finds((bragg_cell){ 10.117, 10.117, 10.117, 90, 90, 90 }, "I a -3", 1e-3);
}
END_TEST

START_TEST(a_tetragonal_cell_is_found)
{
    finds((bragg_cell){ 7.739, 7.739, 5.636, 90, 90, 90 }, "P -4 21 c", 1e-3);
}
END_TEST

START_TEST(a_rhombohedral_cell_with_a_long_axis_is_found)
{
    finds((bragg_cell){ 4.386, 4.386, 30.497, 90, 90, 120 }, "R -3 m:H", 1e-3);
}
END_TEST

START_TEST(an_orthorhombic_cell_is_found)
{
    finds((bragg_cell){ 5.397, 6.955, 8.472, 90, 90, 90 }, "P n a m", 1e-3);
}
END_TEST

START_TEST(a_monoclinic_cell_is_found)
{
    finds((bragg_cell){ 5.625, 9.742, 6.884, 90, 99.36, 90 }, "P 1 21/c 1", 2e-3);
}
END_TEST

START_TEST(a_triclinic_cell_is_found)
{
    finds((bragg_cell){ 5.986, 6.141, 10.736, 77.30, 82.27, 72.57 }, "P -1", 2e-3);
}
END_TEST

START_TEST(the_answer_does_not_depend_on_the_number_of_threads)
{
    bragg_cell cell = { 4.6837, 3.42262, 5.12879, 90 * BRAGG_DEG, 99.54 * BRAGG_DEG, 90 * BRAGG_DEG };
    bragg_index_lines l = lines_of(&cell, "C 1 2/c 1", 0.015, -0.02, 1, 3);
    bragg_index_result *one, *many;
#ifdef _OPENMP
    omp_set_num_threads(1);
    one = solve(&l);
    omp_set_num_threads(3);
#else
    one = solve(&l);
#endif
    many = solve(&l);
    ck_assert_uint_eq(one->n, many->n);
    for (size_t k = 0; k < one->n; k++) {
        ck_assert(!memcmp(&one->cell[k].lattice.cell, &many->cell[k].lattice.cell, sizeof(bragg_cell)));
        ck_assert(one->cell[k].evidence == many->cell[k].evidence && one->cell[k].m == many->cell[k].m);
    }
    bragg_index_free(one);
    bragg_index_free(many);
    bragg_index_lines_free(&l);
}
END_TEST

/* The observer says stop at its first call: what there is comes back, marked. */
static bool stop(void *payload, size_t done, size_t total)
{
    *(size_t *)payload = total;
    (void)done;
    return false;
}

START_TEST(an_observer_stops_the_search)
{
    bragg_cell cell = { 5.986, 6.141, 10.736, 77.30 * BRAGG_DEG, 82.27 * BRAGG_DEG, 72.57 * BRAGG_DEG };
    bragg_index_lines l = lines_of(&cell, "P -1", 0.012, 0.03, 1, 7);
    size_t total = 0;
    bragg_observer observer = { NULL, stop, &total };
    bragg_index_options o = BRAGG_INDEX_OPTIONS_INIT;
    bragg_index_result *r;
    o.wavelength_ang = copper;
    o.observer = &observer;
    ck_assert_int_eq(bragg_index(&l, &o, &r, NULL), BRAGG_STOPPED);
    ck_assert(total > 0 && r->stopped);
    bragg_index_free(r);
    bragg_index_lines_free(&l);
}
END_TEST

/* ------------------------------------------------------------------ lattices */

START_TEST(centred_cells_and_their_primitive_ones_are_one_lattice)
{
    static const struct { bragg_cell cell; char centring; bragg_system system; } cases[] = {
        { { 7.137, 7.853, 10.291, 90, 98.71, 90 }, 'C', BRAGG_MONOCLINIC }, { { 6.233, 7.853, 10.291, 90, 90, 90 }, 'F', BRAGG_ORTHORHOMBIC },
        { { 5.7577, 5.7577, 9.428, 90, 90, 90 }, 'I', BRAGG_TETRAGONAL },   { { 4.797, 4.797, 15.68, 90, 90, 120 }, 'R', BRAGG_TRIGONAL },
        { { 9.371, 9.371, 6.886, 90, 90, 120 }, 'P', BRAGG_HEXAGONAL },     { { 8.394, 8.394, 8.394, 90, 90, 90 }, 'F', BRAGG_CUBIC },
        { { 7.137, 7.853, 10.291, 91.23, 98.71, 104.39 }, 'P', BRAGG_TRICLINIC } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_cell c = cases[k].cell, p, n;
        bragg_lattice l;
        bragg_error err = BRAGG_ERROR_INIT;
        for (int i = 3; i < 6; i++)
            (&c.a)[i] *= BRAGG_DEG;
        ck_assert(bragg_cell_primitive(&c, cases[k].centring, &p, &err) >= 0 && bragg_cell_niggli(&p, &n, &err) >= 0);
        ck_assert_msg(bragg_cell_bravais(&n, 1e-3, &l, &err) >= 0, "%s", err.text);
        ck_assert_int_eq(l.system, cases[k].system);
        if (l.system != BRAGG_MONOCLINIC)
            ck_assert_int_eq(l.centring, cases[k].centring);
        assert_close(bragg_cell_volume_ang3(&l.cell), bragg_cell_volume_ang3(&c), 1e-6);
        bragg_cell p2, n2;
        ck_assert(bragg_cell_primitive(&l.cell, l.centring, &p2, &err) >= 0 && bragg_cell_niggli(&p2, &n2, &err) >= 0);
        ck_assert_int_eq(bragg_cell_sublattice(&n, &n2, 1e-4, 1), 1);
    }
}
END_TEST

START_TEST(a_doubled_cell_is_a_sublattice_of_index_two)
{
    bragg_cell c = { 7.137, 7.853, 10.291, 91.23 * BRAGG_DEG, 98.71 * BRAGG_DEG, 104.39 * BRAGG_DEG }, n, big, n2;
    double rows[3][3] = { { 1, 1, 0 }, { -1, 1, 0 }, { 0, 0, 1 } };
    ck_assert(bragg_cell_niggli(&c, &n, NULL) >= 0 && bragg_cell_transform(&c, rows, &big, NULL) >= 0 && bragg_cell_niggli(&big, &n2, NULL) >= 0);
    ck_assert_int_eq(bragg_cell_sublattice(&n, &n2, 1e-4, 4), 2);
    ck_assert_int_eq(bragg_cell_sublattice(&n2, &n, 1e-4, 4), 0);
    n2.a *= 1.02;
    ck_assert_int_eq(bragg_cell_sublattice(&n, &n2, 1e-4, 4), 0);
}
END_TEST

START_TEST(a_cell_comes_back_from_its_reciprocal_metric)
{
    bragg_cell c = { 7.137, 7.853, 10.291, 91.23 * BRAGG_DEG, 98.71 * BRAGG_DEG, 104.39 * BRAGG_DEG }, back;
    double g[6];
    bragg_cell_reciprocal(&c, g);
    ck_assert(bragg_cell_from_reciprocal(g, &back, NULL) >= 0);
    for (int k = 0; k < 6; k++)
        assert_close((&back.a)[k], (&c.a)[k], 1e-12);
    g[3] = 2 * g[1];
    ck_assert(bragg_cell_from_reciprocal(g, &back, NULL) < 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 280);
    tcase_add_test(all, centred_cells_and_their_primitive_ones_are_one_lattice);
    tcase_add_test(all, a_doubled_cell_is_a_sublattice_of_index_two);
    tcase_add_test(all, a_cell_comes_back_from_its_reciprocal_metric);
    tcase_add_test(all, a_body_centred_cubic_cell_is_found_with_a_foreign_line);
    tcase_add_test(all, a_tetragonal_cell_is_found);
    tcase_add_test(all, a_rhombohedral_cell_with_a_long_axis_is_found);
    tcase_add_test(all, an_orthorhombic_cell_is_found);
#ifndef BRAGG_SANITIZE
    tcase_add_test(all, a_monoclinic_cell_is_found);
    tcase_add_test(all, a_triclinic_cell_is_found);
    tcase_add_test(all, the_answer_does_not_depend_on_the_number_of_threads);
#endif
    tcase_add_test(all, an_observer_stops_the_search);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
