/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/param.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_parameter_is_found_by_its_name_and_stands_once)
{
    bragg_params table = BRAGG_PARAMS_INIT;
    bragg_error err = BRAGG_ERROR_INIT;
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "phase.LaB6.atom.%d.uiso", i);
        ck_assert_int_eq(bragg_params_add(&table, name, "angstrom^2", 0.1 * i, NULL, &err), BRAGG_OK);
    }
    ck_assert_int_eq(bragg_params_find(&table, "phase.LaB6.atom.73.uiso"), 73);
    ck_assert_int_eq(bragg_params_find(&table, "phase.LaB6"), -1);
    ck_assert(isnan(table.at[73].esd) && table.at[73].tie_to == -1 && !table.at[73].refine);
    ck_assert_int_eq(bragg_params_add(&table, "phase.LaB6.atom.7.uiso", "", 1, NULL, &err), BRAGG_EINVAL);
    ck_assert_str_eq(err.text, "parameter 'phase.LaB6.atom.7.uiso': stands in the table already");
    ck_assert_int_eq(bragg_params_add(&table, "", "", 1, NULL, NULL), BRAGG_EINVAL);
    ck_assert_uint_eq(table.n, 100);
    bragg_params_free(&table);
}
END_TEST

START_TEST(ties_are_followed_in_chains_whatever_their_order)
{
    bragg_params table = BRAGG_PARAMS_INIT;
    static const char *const names[] = { "c", "b", "a" };
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bragg_params_add(&table, names[i], "", 7.137, NULL, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_params_tie(&table, 0, 1, 2.5, 0.25, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_params_tie(&table, 1, 2, -1, 1, NULL), BRAGG_OK);
    table.at[2].value = 0.4;
    bragg_params_apply_ties(&table);
    assert_close(table.at[1].value, 0.6, 1e-15);
    assert_close(table.at[0].value, 1.75, 1e-15);
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_params_tie(&table, 2, 0, 1, 0, &err), BRAGG_EINVAL);
    ck_assert_str_eq(err.text, "tie of 'a' to 'c': closes a circle");
    ck_assert_int_eq(bragg_params_tie(&table, 2, 2, 1, 0, NULL), BRAGG_EINVAL);
    ck_assert_int_eq(bragg_params_tie(&table, 0, 1, NAN, 0, NULL), BRAGG_EINVAL);
    bragg_params copy = BRAGG_PARAMS_INIT;
    ck_assert_int_eq(bragg_params_copy(&copy, &table, NULL), BRAGG_OK);
    ck_assert_uint_eq(copy.n, 3);
    ck_assert_str_eq(copy.at[1].name, "b");
    bragg_params_free(&copy);
    bragg_params_free(&table);
}
END_TEST

START_TEST(ties_are_said_in_words)
{
    static const struct { const char *text; double value; } good[] = {
        { "phase.B.x", 0.37 }, { " 2*phase.B.x", 0.74 }, { "1 - phase.B.x", 0.63 }, { "-phase.B.x", -0.37 },
        { "0.5 * phase.B.x + 0.1", 0.285 }, { "-0.25 + phase.B.x", 0.12 } };
    static const char *const bad[] = { "", "0.5", "phase.C.x", "2 * ", "phase.B.x + phase.B.x", "phase.A.x", "1 -" };
    bragg_params p = BRAGG_PARAMS_INIT;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_params_add(&p, "phase.A.x", "", 0.11, NULL, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_params_add(&p, "phase.B.x", "", 0.37, NULL, &err), BRAGG_OK);
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        ck_assert_msg(bragg_params_tie_text(&p, 0, good[k].text, &err) == BRAGG_OK, "'%s': %s", good[k].text, err.text);
        ck_assert_msg(fabs(p.at[0].value - good[k].value) < 1e-14, "'%s': %g", good[k].text, p.at[0].value);
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        ck_assert_msg(bragg_params_tie_text(&p, 0, bad[k], NULL) == BRAGG_EINVAL, "'%s' was taken", bad[k]);
    bragg_params_free(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("param");
    TCase *tc = tcase_create("param");
    tcase_add_test(tc, a_parameter_is_found_by_its_name_and_stands_once);
    tcase_add_test(tc, ties_are_said_in_words);
    tcase_add_test(tc, ties_are_followed_in_chains_whatever_their_order);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
