/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include <bragg/array.h>
#include "close.h"
#include "suite.h"

#include <bragg.h>
#include <locale.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(the_first_of_rising_values_that_is_not_below)
{
    const double v[5] = { -2.385, 0, 0, 1.6021, 7.5 };
    ck_assert_uint_eq(bragg_array_first(v, 5, -3), 0);
    ck_assert_uint_eq(bragg_array_first(v, 5, 0), 1);
    ck_assert_uint_eq(bragg_array_first(v, 5, 1e-9), 3);
    ck_assert_uint_eq(bragg_array_first(v, 5, 7.5), 4);
    ck_assert_uint_eq(bragg_array_first(v, 5, 7.6), 5);
    ck_assert_uint_eq(bragg_array_first(v, 0, 1), 0);
    const struct { double at; char what; } items[3] = { { -0.7, 'a' }, { 1.3, 'b' }, { 2.9, 'c' } };
    ck_assert_uint_eq(bragg_array_first_of(items, sizeof *items, 3, 1.3), 1);
    ck_assert_uint_eq(bragg_array_first_of(items, sizeof *items, 3, 1.31), 2);
    ck_assert_uint_eq(bragg_array_first_of(items, sizeof *items, 3, 3), 3);
}
END_TEST

START_TEST(the_first_cause_wins_and_context_goes_in_front)
{
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_fail(&err, BRAGG_EDATA, "expected %d axes, found %d", 2, 3), BRAGG_EDATA);
    bragg_fail(&err, BRAGG_EIO, "a later cause");
    ck_assert_int_eq(bragg_context(&err, BRAGG_EDATA, "frame %d of '%s'", 12, "x.h5"), BRAGG_EDATA);
    ck_assert_str_eq(err.text, "frame 12 of 'x.h5': expected 2 axes, found 3");
    ck_assert_int_eq(err.status, BRAGG_EDATA);
    ck_assert_int_eq(bragg_fail(NULL, BRAGG_EIO, "nobody listens"), BRAGG_EIO);
}
END_TEST

START_TEST(a_message_is_one_line_and_tells_a_terminal_nothing)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_fail(&err, BRAGG_EIO, "'%s': not there", "a\nb\033[2J");
    bragg_context(&err, BRAGG_EIO, "'%s'", "n\xc3\xa4he\r\x7f");
    ck_assert_str_eq(err.text, "'n\xc3\xa4he?\?': 'a?b?[2J': not there");
}
END_TEST

START_TEST(a_long_chain_is_cut_and_never_overflows)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_fail(&err, BRAGG_EIO, "cause");
    for (int i = 0; i < 500; i++)
        bragg_context(&err, BRAGG_EIO, "level %d", i);
    ck_assert_uint_lt(strlen(err.text), sizeof err.text);
    ck_assert(!strncmp(err.text, "level 499: level 498", 20));
}
END_TEST

START_TEST(text_becomes_a_number_whole_or_not_at_all)
{
    static const char *bad[] = { "", " ", "1.5x", "1,5", "0x10", "-0X1p3", "1e999", "e5", ".", "1 2", "--1" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v = 42;
        ck_assert_msg(!bragg_number_parse(bad[i], &v) && v == 42, "'%s' was read as %g", bad[i], v);
    }
    double v;
    ck_assert(bragg_number_parse(" -2.385e-3 ", &v) && v == -2.385e-3);
    ck_assert(bragg_number_parse("+7.", &v) && v == 7);
    ck_assert(bragg_number_parse("-.5", &v) && v == -.5);
    ck_assert_int_eq(bragg_number_miller(-11), -11);
    ck_assert_int_eq(bragg_number_miller(4.4e23), 0);
    ck_assert_int_eq(bragg_number_miller(NAN), 0);
    ck_assert(bragg_number_parse("nan", &v) && isnan(v));
    ck_assert(!bragg_number_parse_n("1.25", 0, &v));
    ck_assert(bragg_number_parse_n("1.25", 3, &v) && v == 1.2);
}
END_TEST

START_TEST(the_fast_path_rounds_as_strtod_does)
{
    unsigned long long state = 88172645463325252ull;
    for (int i = 0; i < 200000; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        char text[64];
        snprintf(text, sizeof text, "%.*f", (int)(state % 12), (double)(state >> 11) * 1e-9);
        double v;
        ck_assert(bragg_number_parse(text, &v));
        ck_assert_msg(v == strtod(text, NULL), "%s", text);
    }
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        setlocale(LC_NUMERIC, "fr_FR.UTF-8");
    char text[BRAGG_NUMBER_TEXT];
    double v;
    ck_assert(bragg_number_parse("1234567890.1234567", &v));
    ck_assert_str_eq(bragg_number_print(text, 2.385), "2.385");
    ck_assert_str_eq(bragg_number_print_esd(text, 4.15691, 0.00012), "4.15691(12)");
    setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(every_double_prints_so_that_it_reads_back)
{
    static const double values[] = { 0.1, 1.0 / 3, 4.15689, -2.2250738585072014e-308, 1.7976931348623157e308, 5e-324, 0 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[BRAGG_NUMBER_TEXT];
        double back;
        ck_assert(bragg_number_parse(bragg_number_print(text, values[i]), &back));
        ck_assert_msg(back == values[i], "%s", text);
    }
}
END_TEST

START_TEST(an_esd_is_printed_by_the_rule_of_19_and_read_back)
{
    static const struct { double value, esd; const char *text; } cases[] = {
        { 4.156912, 0.0000123, "4.156912(12)" }, { 4.156912, 0.000026, "4.15691(3)" },
        { 11.7094, 0.00195, "11.709(2)" },       { 11.7094, 0.0019, "11.7094(19)" },
        { 0.0975, 0.0996, "0.10(10)" },          { 1234.6, 27, "1230(30)" },
        { 1234.6, 12, "1235(12)" },              { -2.385, 0.5, "-2.4(5)" },
        { 7.853, NAN, "7.853" },                 { 10.291, 0, "10.291" },
        { -2.385e41, 1e-3, "-2.385e+41" }, /* more digits than anybody means */
        { 3.1e5, 1.2e9, "not determined" }, { 0.7, INFINITY, "not determined" },
        { 2.3e8, 1.2e6, "230000000(1200000)" }, { -38, 52, "-40(50)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[BRAGG_NUMBER_TEXT];
        ck_assert_str_eq(bragg_number_print_esd(text, cases[i].value, cases[i].esd), cases[i].text);
    }
    char text[BRAGG_QUANTITY_TEXT];
    ck_assert_str_eq(bragg_number_print_quantity(text, 83.7, 4.1, "nm"), "84(4) nm");
    ck_assert_str_eq(bragg_number_print_quantity(text, 83.7, 4100, "nm"), "not determined");
    ck_assert_str_eq(bragg_number_print_quantity(text, 3.1e5, 1.2e9, "1e-6"), "not determined");
    ck_assert_str_eq(bragg_number_print_quantity(text, 83.7, NAN, "nm"), "83.7 nm");
    ck_assert_str_eq(bragg_number_print_quantity(text, 0.4973, 0.0011, ""), "0.4973(11)");
    double v, e;
    ck_assert(bragg_number_parse_esd("4.15691(12)", &v, &e));
    assert_close(v, 4.15691, 1e-15);
    assert_close(e, 0.00012, 1e-12);
    ck_assert(bragg_number_parse_esd("1.23(4)e2", &v, &e) == false);
    ck_assert(bragg_number_parse_esd("1230(30)", &v, &e) && e == 30);
    ck_assert(bragg_number_parse_esd("4.1569", &v, &e) && isnan(e));
    ck_assert(!bragg_number_parse_esd("4.1(", &v, &e) && !bragg_number_parse_esd("4.1(x)", &v, &e));
}
END_TEST

START_TEST(axes_convert_there_and_back)
{
    double lambda = 0.24125, tth = 7.137 * BRAGG_DEG;
    double q = bragg_axis_convert(tth, BRAGG_AXIS_TTH, BRAGG_AXIS_Q, lambda);
    double d = bragg_axis_convert(tth, BRAGG_AXIS_TTH, BRAGG_AXIS_D, lambda);
    assert_close(q * d, 2 * BRAGG_PI, 1e-14);
    assert_close(2 * d * sin(tth / 2), lambda, 1e-14);
    assert_close(bragg_axis_convert(10 * q, BRAGG_AXIS_QNM, BRAGG_AXIS_TTH, lambda), tth, 1e-13);
    ck_assert(isnan(bragg_axis_convert(tth, BRAGG_AXIS_TTH, BRAGG_AXIS_Q, NAN)));
    ck_assert(isnan(bragg_axis_convert(99, BRAGG_AXIS_Q, BRAGG_AXIS_TTH, lambda)));
    bragg_axis axis;
    ck_assert(bragg_axis_parse("q_nm^-1", &axis) && axis == BRAGG_AXIS_QNM);
    ck_assert_str_eq(bragg_axis_name(axis), "q_nm^-1");
    ck_assert(!bragg_axis_parse("furlong", &axis));
}
END_TEST

static bragg_status hash_text(const char *text, char hash[BRAGG_HASH_TEXT])
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_output *out;
    ck_assert_int_eq(bragg_output_open("base_hash.tmp", true, &out, &err), BRAGG_OK);
    fputs(text, bragg_output_stream(out));
    ck_assert_msg(bragg_output_commit(out, &err) == BRAGG_OK, "%s", err.text);
    bragg_status st = bragg_hash_file("base_hash.tmp", hash, &err);
    unlink("base_hash.tmp");
    return st;
}

START_TEST(a_file_hashes_to_the_published_xxh3)
{
    char hash[BRAGG_HASH_TEXT];
    ck_assert_int_eq(hash_text("", hash), BRAGG_OK);
    ck_assert_str_eq(hash, "99aa06d3014798d86001c324468d497f"); /* xxHash's own sanity test */
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_hash_file("no-such-file", hash, &err), BRAGG_EIO);
    ck_assert_str_eq(err.text, "'no-such-file': cannot read: No such file or directory");
}
END_TEST

START_TEST(an_output_appears_whole_and_replaces_only_when_forced)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_output *out;
    unlink("base_out.tmp");
    ck_assert_int_eq(bragg_output_open("base_out.tmp", false, &out, &err), BRAGG_OK);
    fputs("half", bragg_output_stream(out));
    ck_assert(access("base_out.tmp", F_OK) != 0);
    bragg_output_abandon(out);
    ck_assert(access("base_out.tmp", F_OK) != 0);
    ck_assert_int_eq(bragg_output_open("base_out.tmp", false, &out, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_output_commit(out, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_output_open("base_out.tmp", false, &out, &err), BRAGG_EEXIST);
    ck_assert_str_eq(err.text, "'base_out.tmp': exists already; --force overwrites it");
    ck_assert_int_eq(bragg_output_open("base_out.tmp", true, &out, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_output_commit(out, NULL), BRAGG_OK);
    unlink("base_out.tmp");
    bragg_error none = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_output_open("no-such-folder/x", false, &out, &none), BRAGG_EIO);
    ck_assert_ptr_null(out);
}
END_TEST

START_TEST(a_file_made_meanwhile_is_not_overwritten)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_output *out;
    unlink("base_race.tmp");
    ck_assert_int_eq(bragg_output_open("base_race.tmp", false, &out, &err), BRAGG_OK);
    FILE *other = fopen("base_race.tmp", "w");
    fputs("theirs", other);
    fclose(other);
    ck_assert_int_eq(bragg_output_commit(out, &err), BRAGG_EEXIST);
    char text[8] = "";
    other = fopen("base_race.tmp", "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, other));
    fclose(other);
    ck_assert_str_eq(text, "theirs");
    unlink("base_race.tmp");
}
END_TEST

START_TEST(an_arena_gives_aligned_zeroed_memory_and_refuses_overflow)
{
    bragg_arena *arena = bragg_arena_new();
    ck_assert_ptr_null(bragg_arena_alloc(arena, SIZE_MAX / 2, 3));
    for (size_t i = 1; i < 2000; i += 7) {
        unsigned char *p = bragg_arena_alloc(arena, i, 3);
        ck_assert_uint_eq((uintptr_t)p % sizeof(double), 0);
        for (size_t k = 0; k < 3 * i; k++)
            ck_assert_uint_eq(p[k], 0);
        memset(p, 0xff, 3 * i);
    }
    ck_assert_ptr_nonnull(bragg_arena_alloc(arena, 1, 1000000));
    ck_assert_str_eq(bragg_arena_strndup(arena, "refine", 3), "ref");
    bragg_arena_free(arena);
    bragg_arena_free(NULL);
}
END_TEST

static bragg_status sum_blocks(void *payload, size_t first, size_t last, bragg_error *err)
{
    double *partial = payload;
    if (first >= 500)
        return bragg_fail(err, BRAGG_EDATA, "block at %zu", first);
    for (size_t i = first; i < last; i++)
        partial[first / 7] += 1.0 / (double)(i + 1);
    return BRAGG_OK;
}

START_TEST(the_parallel_loop_covers_every_item_once_and_names_the_first_failure)
{
    double partial[100] = { 0 }, sum = 0, expected = 0;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_parallel_for(493, 7, sum_blocks, partial, &err), BRAGG_OK);
    for (int i = 0; i < 100; i++)
        sum += partial[i];
    for (int b = 0; b < 71; b++) {
        double part = 0;
        for (int i = 7 * b; i < 7 * b + 7 && i < 493; i++)
            part += 1.0 / (i + 1);
        expected += part;
    }
    ck_assert(sum == expected);
    ck_assert_int_eq(bragg_parallel_for(700, 7, sum_blocks, partial, &err), BRAGG_EDATA);
    ck_assert_str_eq(err.text, "block at 504");
    ck_assert_int_eq(bragg_parallel_for(0, 7, sum_blocks, partial, NULL), BRAGG_OK);
}
END_TEST

static const char experiment[] = "title: M-BiSnSb\n"
                                 "radiation: {wavelength: 0.24125, type: x-ray}\n"
                                 "data:\n"
                                 "  range: [2.0, 14.0]\n"
                                 "  binz: 3000\n";

START_TEST(yaml_values_come_typed_and_a_misspelt_key_is_named_with_its_place)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_arena *arena = bragg_arena_new();
    const bragg_yaml *root;
    ck_assert_msg(bragg_yaml_parse(experiment, strlen(experiment), "x.yaml", arena, &root, &err) == BRAGG_OK,
                  "%s", err.text);
    double v, range[2];
    ck_assert_int_eq(bragg_yaml_number(bragg_yaml_get(bragg_yaml_get(root, "radiation"), "wavelength"), &v, &err), 0);
    ck_assert(v == 0.24125);
    const bragg_yaml *data = bragg_yaml_get(root, "data");
    ck_assert_int_eq(bragg_yaml_numbers(bragg_yaml_get(data, "range"), range, 2, &err), 0);
    ck_assert(range[0] == 2 && range[1] == 14);
    static const char *const known[] = { "range", "bins", "unit" };
    ck_assert_int_eq(bragg_yaml_check_keys(data, known, 3, &err), BRAGG_EDATA);
    ck_assert_str_eq(err.text, "x.yaml:5:3: unknown key 'binz'; did you mean 'bins'?");
    static const char *const others[] = { "strategy", "values", "cycles" };
    bragg_error far = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_yaml_check_keys(data, others, 3, &far), BRAGG_EDATA);
    ck_assert_msg(strstr(far.text, "; expected one of strategy, values, cycles") != NULL, "%s", far.text);
    bragg_error wrong = BRAGG_ERROR_INIT;
    bragg_yaml_number(bragg_yaml_get(root, "title"), &v, &wrong);
    ck_assert_str_eq(wrong.text, "x.yaml:1:8: title: expected a number, found 'M-BiSnSb'");
    bragg_arena_free(arena);
}
END_TEST

/* Texts that need quotes, nested lists, empty things: written, read and written again. */
START_TEST(yaml_reads_back_as_written_and_takes_what_it_lacks)
{
    static const char text[] = "a: 'x: y'\nb: [1, \"two, three\", -4.5e-3, [5, 6]]\nc: {d: ~, 'e f': 'null', k: 'nULL', l: '~', g: {h: '', i: \"tab\\t\\\"q\\\"\"}}\n"
                               "list:\n  - {k: a long text that does not fit, l: beside another one that is long, m: 3}\n  - n: {o: {p: 1}}\n    q: [{r: 1}, s]\n";
    static const char more[] = "c: {d: 7, g: {h: 8, z: 9}}\nnew: [1]\nb: 3\n";
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_arena *arena = bragg_arena_new();
    const bragg_yaml *root, *back, *lacks;
    char *first = NULL, *second = NULL;
    size_t n;
    ck_assert_msg(bragg_yaml_parse(text, strlen(text), "x.yaml", arena, &root, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_yaml_parse(more, strlen(more), "more", arena, &lacks, &err), BRAGG_OK);
    bragg_yaml *own = bragg_yaml_copy(arena, root);
    ck_assert(own && bragg_yaml_add_missing(arena, own, lacks));
    FILE *to = open_memstream(&first, &n);
    bragg_yaml_write(to, own);
    fclose(to);
    ck_assert_msg(bragg_yaml_parse(first, strlen(first), "y.yaml", arena, &back, &err) == BRAGG_OK, "%s in\n%s", err.text, first);
    to = open_memstream(&second, &n);
    bragg_yaml_write(to, back);
    fclose(to);
    ck_assert_str_eq(first, second);
    const bragg_yaml *c = bragg_yaml_get(back, "c"), *g = bragg_yaml_get(c, "g"), *item = bragg_yaml_get(back, "list")->child;
    ck_assert_str_eq(bragg_yaml_get(back, "a")->text, "x: y");
    ck_assert_str_eq(bragg_yaml_get(back, "b")->child->next->text, "two, three");
    ck_assert(bragg_yaml_get(c, "d")->is_null && !bragg_yaml_get(c, "e f")->is_null && !*bragg_yaml_get(g, "h")->text);
    ck_assert_str_eq(bragg_yaml_get(g, "i")->text, "tab\t\"q\"");
    ck_assert_str_eq(bragg_yaml_get(g, "z")->text, "9");
    ck_assert_str_eq(bragg_yaml_get(item, "m")->text, "3");
    ck_assert_str_eq(bragg_yaml_get(bragg_yaml_get(bragg_yaml_get(item->next, "n"), "o"), "p")->text, "1");
    ck_assert_str_eq(bragg_yaml_get(item->next, "q")->child->next->text, "s");
    ck_assert_uint_eq(bragg_yaml_get(back, "new")->n_children, 1);
    ck_assert_ptr_null(bragg_yaml_get(root, "new")); /* the copy alone */
    free(first);
    free(second);
    bragg_arena_free(arena);
}
END_TEST

START_TEST(a_card_is_a_file_or_one_of_those_that_come_along)
{
    static const char text[] = "- Ni\n- there.CIF\n- Unobtainium\n";
    bragg_arena *arena = bragg_arena_new();
    const bragg_yaml *root;
    const char *path;
    bragg_error none = BRAGG_ERROR_INIT, file = BRAGG_ERROR_INIT, name = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_yaml_parse(text, sizeof text - 1, "/nowhere/x.yaml", arena, &root, &none), BRAGG_OK);
    ck_assert_msg(bragg_yaml_card(root->child, arena, &path, &none) == BRAGG_OK, "%s", none.text);
    ck_assert(bragg_path_exists(path) && !strcmp(path + strlen(path) - 11, "/cif/Ni.cif"));
    ck_assert_int_eq(bragg_yaml_card(root->child->next, arena, &path, &file), BRAGG_EDATA);
    ck_assert_str_eq(file.text, "/nowhere/x.yaml:2:3: card 'there.CIF': expected a CIF file or a bundled card, found no '/nowhere/there.CIF'");
    ck_assert_int_eq(bragg_yaml_card(root->child->next->next, arena, &path, &name), BRAGG_EDATA);
    ck_assert_msg(strstr(name.text, "/cif/Unobtainium.cif'; bragg cards list names the bundled ones"), "%s", name.text);
    bragg_arena_free(arena);
}
END_TEST

START_TEST(bad_yaml_is_an_error_with_line_and_column)
{
    static const char *const bad[][2] = {
        { "", "x.yaml: expected a YAML document, found an empty file" },
        { "a: 1\na: 2\n", "x.yaml:2:1: 'a' stands twice, first in line 1" },
        { "a: &x 1\nb: *x\n", "x.yaml:2:4: aliases ('*name') are not supported here" },
        { "a: 1\n---\nb: 2\n", "x.yaml:2:1: expected one document, found a second" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_arena *arena = bragg_arena_new();
        const bragg_yaml *root;
        ck_assert_int_eq(bragg_yaml_parse(bad[i][0], strlen(bad[i][0]), "x.yaml", arena, &root, &err), BRAGG_EDATA);
        ck_assert_str_eq(err.text, bad[i][1]);
        bragg_arena_free(arena);
    }
    char deep[400];
    memset(deep, '[', sizeof deep);
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_arena *arena = bragg_arena_new();
    const bragg_yaml *root;
    ck_assert_int_eq(bragg_yaml_parse(deep, sizeof deep, "x.yaml", arena, &root, &err), BRAGG_EDATA);
    ck_assert_str_eq(err.text, "x.yaml:1:65: expected at most 64 levels");
    bragg_arena_free(arena);
}
END_TEST

/* What stands there and is no file is never replaced: as root the devices would be gone. */
START_TEST(an_output_does_not_take_the_place_of_what_is_no_file)
{
    bragg_output *out;
    unlink("base_fifo.tmp");
    ck_assert_int_eq(mkfifo("base_fifo.tmp", 0600), 0);
    for (int k = 0; k < 2; k++) {
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_status st = bragg_output_open(k ? "/dev/null" : "base_fifo.tmp", true, &out, &err);
        if (st == BRAGG_OK)
            bragg_output_abandon(out);
        ck_assert_int_eq(st, BRAGG_EINVAL);
        ck_assert_msg(strstr(err.text, "expected a file name, found a device or a pipe"), "%s", err.text);
    }
    unlink("base_fifo.tmp");
    bragg_error err = BRAGG_ERROR_INIT;
    unlink("base_link.tmp");
    ck_assert_int_eq(symlink("base_nowhere.tmp", "base_link.tmp"), 0);
    ck_assert_int_eq(bragg_output_open("base_link.tmp", true, &out, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "found a symbolic link to nothing"), "%s", err.text);
    unlink("base_link.tmp");
}
END_TEST

START_TEST(a_name_with_brackets_is_a_name_before_it_is_a_pattern)
{
    bragg_arena *arena = bragg_arena_new();
    const char **list;
    size_t n = 0;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_path_make_folder("base [1] *x", &err), BRAGG_OK);
    fclose(fopen("base [1] *x/a?[b].xy", "w"));
    ck_assert_msg(bragg_path_list(arena, "base [1] *x", ".xy", &list, &n, &err) == BRAGG_OK && n == 1, "%zu %s", n, err.text);
    ck_assert_str_eq(list[0], "base [1] *x/a?[b].xy");
    ck_assert_msg(bragg_path_list(arena, "base [1] *x/a?[b].xy", NULL, &list, &n, &err) == BRAGG_OK && n == 1, "%zu %s", n, err.text);
    ck_assert_msg(bragg_path_list(arena, "base [[]1] [*]x/*.xy", NULL, &list, &n, &err) == BRAGG_OK && n == 1, "%zu %s", n, err.text);
    unlink("base [1] *x/a?[b].xy");
    rmdir("base [1] *x");
    bragg_arena_free(arena);
}
END_TEST

START_TEST(times_print_to_the_nearest_millisecond)
{
    static const struct { double t; const char *text; } cases[] = { { 1714557600.123, "2024-05-01T10:00:00.123" }, { 1714557600.001, "2024-05-01T10:00:00.001" },
        { 1714557599.9996, "2024-05-01T10:00:00.000" }, { -0.25, "1969-12-31T23:59:59.750" }, { NAN, "" }, { 1e15, "" } };
    char text[BRAGG_TIME_TEXT];
    double back;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        ck_assert_str_eq(bragg_time_print(text, cases[k].t), cases[k].text);
    for (int ms = 0; ms < 1000; ms++) {
        double t = 1714557600 + ms / 1000.;
        ck_assert_msg(bragg_time_parse(bragg_time_print(text, t), BRAGG_DATE_YMD, 0, &back) && fabs(back - t) < 1e-6, "%d: %s", ms, text);
    }
    ck_assert(bragg_time_civil(2024, 2, 29, 1.5) == 1709164801.5 && isnan(bragg_time_civil(2023, 2, 29, 0)) && isnan(bragg_time_civil(2024, 13, 1, 0)));
    ck_assert(!bragg_time_parse("2024-01-May", BRAGG_DATE_AUTO, 0, &back));
}
END_TEST

static unsigned char *put_le(unsigned char *at, uint64_t v, int bytes)
{
    for (int k = 0; k < bytes; k++)
        *at++ = (unsigned char)(v >> 8 * k);
    return at;
}

/* One stored member "a" of one byte, its entry, and a Zip64 end that counts them. */
static size_t write_zip(unsigned char *bytes, uint64_t entries)
{
    unsigned char *at = bytes, *directory, *end;
    memset(bytes, 0, 200);
    memcpy(at, "PK\3\4", 4);
    at = put_le(put_le(put_le(at + 18, 1, 4), 1, 4), 1, 2) + 2;
    memcpy(at, "ax", 2);
    directory = at += 2;
    memcpy(at, "PK\1\2", 4);
    at = put_le(put_le(put_le(at + 20, 1, 4), 1, 4), 1, 2) + 16;
    *at++ = 'a';
    end = at;
    memcpy(at, "PK\6\6", 4);
    at = put_le(put_le(put_le(at + 24, entries, 8), entries, 8), 47, 8);
    at = put_le(at, (uint64_t)(directory - bytes), 8);
    memcpy(at, "PK\6\7", 4);
    at = put_le(at + 8, (uint64_t)(end - bytes), 8) + 4;
    memcpy(at, "PK\5\6", 4);
    at = put_le(at + 10, 0xffff, 2);
    return (size_t)(at + 10 - bytes);
}

/* Readers make room for as many members as an archive counts. */
START_TEST(an_archive_cannot_count_more_members_than_it_has_bytes_for)
{
    unsigned char bytes[256];
    bragg_zip z;
    size_t n = write_zip(bytes, 1);
    ck_assert(bragg_zip_open(bytes, n, &z) && z.left == 1 && bragg_zip_next(&z) && z.name_length == 1 && *z.name == 'a' && !bragg_zip_next(&z));
    ck_assert(!bragg_zip_open(bytes, write_zip(bytes, UINT64_MAX), &z));
    ck_assert(!bragg_zip_open(bytes, write_zip(bytes, 5), &z));
}
END_TEST

START_TEST(fields_of_a_table_read_back_whatever_is_in_them)
{
    static const char *const texts[] = { "Bi", "Ni,\"fcc\"", "", "two\nlines", "a \"b\"", "\xd7\x90\xd7\x91, <&>", "\"" };
    enum { N = sizeof texts / sizeof *texts };
    char *line = NULL, text[40];
    size_t size;
    FILE *to = open_memstream(&line, &size);
    bragg_csv_number(to, 7.853, 3, ",");
    bragg_csv_number(to, NAN, 0, ",");
    bragg_csv_number(to, 300000, 0, ",");
    for (int k = 0; k < N; k++)
        bragg_csv_text(to, texts[k], k + 1 < N ? "," : "\n");
    fclose(to);
    const char *at = line;
    ck_assert(bragg_csv_field(&at, text, sizeof text));
    ck_assert_str_eq(text, "7.85");
    ck_assert(bragg_csv_field(&at, text, sizeof text));
    ck_assert_str_eq(text, "");
    ck_assert(bragg_csv_field(&at, text, sizeof text));
    ck_assert_str_eq(text, "300000");
    for (int k = 0; k < N; k++) {
        ck_assert_int_eq(bragg_csv_field(&at, text, sizeof text), k + 1 < N);
        ck_assert_str_eq(text, texts[k]);
    }
    at = "\"longer than there is room\",next\r\n";
    ck_assert(bragg_csv_field(&at, text, 7));
    ck_assert_str_eq(text, "longer");
    ck_assert(!bragg_csv_field(&at, text, sizeof text));
    ck_assert_str_eq(text, "next");
    free(line);
}
END_TEST

START_TEST(an_hdf5_file_is_known_by_its_name_in_any_case)
{
    static const char *const good[] = { "run.h5", "a.b/RUN.H5", "x.NxS", "x y.hdf5" }, *const bad[] = { "h5", "run.h5.tif", "a.h5/frame", "", "run.h50" };
    for (size_t k = 0; k < sizeof good / sizeof *good; k++)
        ck_assert_msg(bragg_path_is_hdf5(good[k]), "%s", good[k]);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        ck_assert_msg(!bragg_path_is_hdf5(bad[k]), "%s", bad[k]);
}
END_TEST

START_TEST(a_file_comes_whole_or_not_at_all)
{
    const char *path = "whole_file.tmp";
    unsigned char *bytes;
    size_t n;
    bragg_error err = BRAGG_ERROR_INIT;
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    for (int k = 0; k < 40000; k++)
        fputc(k % 251, f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(bragg_bytes_of_file(path, 40000, &bytes, &n, &err), BRAGG_OK);
    ck_assert_uint_eq(n, 40000);
    ck_assert(bytes[39999] == 39999 % 251 && bytes[n] == 0);
    free(bytes);
    ck_assert_int_eq(bragg_bytes_of_file(path, 39999, &bytes, &n, &err), BRAGG_EDATA);
    ck_assert_ptr_null(bytes);
    ck_assert(strstr(err.text, "at most 39999 bytes"));
    remove(path);
    ck_assert_int_eq(bragg_bytes_of_file(path, 1, &bytes, &n, NULL), BRAGG_EIO);
    ck_assert_int_eq(bragg_bytes_of_file(".", 1, &bytes, &n, NULL), BRAGG_EIO);
    ck_assert_int_eq(bragg_bytes_of_file("/dev/null", 1, &bytes, &n, &(bragg_error)BRAGG_ERROR_INIT), BRAGG_EIO); /* as /dev/zero, without end */
}
END_TEST

START_TEST(a_text_is_cut_between_its_characters)
{
    const char *name = "Spannung \xc3\xa4\xe2\x82\xac/V"; /* a of two bytes, euro of three, from byte 9 */
    static const int whole[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 11, 11, 11, 14, 15, 16, 16 };
    for (size_t most = 0; most < sizeof whole / sizeof *whole; most++)
        ck_assert_int_eq(bragg_utf8_most(name, most), whole[most]);
    for (size_t most = 0; most < 8; most++) /* Latin 1 is quoted as it is */
        ck_assert_int_eq(bragg_utf8_most("\xd6l Gr\xf6\xdf" "e", most), (int)most);
    ck_assert_int_eq(bragg_utf8_most("\xbf\xbf\xbf\xbf\xbf", 4), 4);
    ck_assert_int_eq(bragg_utf8_most("\xf0\x9f\x94\xac", 3), 0);
}
END_TEST

/* What does not know its size: a pipe. */
START_TEST(a_pipe_comes_whole_or_not_at_all)
{
    enum { BYTES = 100000 };
    const char *path = "bytes_pipe.tmp";
    unsigned char *bytes;
    size_t n;
    for (size_t most = BYTES; most >= BYTES - 1; most--) {
        bragg_error err = BRAGG_ERROR_INIT;
        unlink(path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        pid_t writer = fork();
        if (!writer) {
            FILE *to = fopen(path, "wb");
            signal(SIGPIPE, SIG_IGN);
            for (int k = 0; to && k < BYTES; k++)
                fputc(k % 251, to);
            _exit(to && !fclose(to) ? 0 : 1);
        }
        bragg_status st = bragg_bytes_of_file(path, most, &bytes, &n, &err);
        waitpid(writer, NULL, 0);
        unlink(path);
        if (most == BYTES) {
            ck_assert_msg(st == BRAGG_OK, "%s", err.text);
            ck_assert_uint_eq(n, BYTES);
            for (int k = 0; k < BYTES; k++)
                ck_assert_int_eq(bytes[k], k % 251);
            ck_assert_int_eq(bytes[BYTES], 0);
        } else {
            ck_assert_int_eq(st, BRAGG_EDATA);
            ck_assert_ptr_null(bytes);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(quick_hashes_are_those_of_their_authors)
{
    /* http://www.isthe.com/chongo/src/fnv/test_fnv.c, FNV-1a 64 */
    ck_assert(bragg_fnv_text("") == UINT64_C(0xcbf29ce484222325) && bragg_fnv_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
    ck_assert(bragg_fnv_text("foobar") == UINT64_C(0x85944171f73967e8));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");
    tcase_add_test(tc, the_first_of_rising_values_that_is_not_below);
    tcase_add_test(tc, the_first_cause_wins_and_context_goes_in_front);
    tcase_add_test(tc, a_message_is_one_line_and_tells_a_terminal_nothing);
    tcase_add_test(tc, a_long_chain_is_cut_and_never_overflows);
    tcase_add_test(tc, text_becomes_a_number_whole_or_not_at_all);
    tcase_add_test(tc, the_fast_path_rounds_as_strtod_does);
    tcase_add_test(tc, numbers_do_not_depend_on_the_locale);
    tcase_add_test(tc, every_double_prints_so_that_it_reads_back);
    tcase_add_test(tc, an_esd_is_printed_by_the_rule_of_19_and_read_back);
    tcase_add_test(tc, an_hdf5_file_is_known_by_its_name_in_any_case);
    tcase_add_test(tc, fields_of_a_table_read_back_whatever_is_in_them);
    tcase_add_test(tc, axes_convert_there_and_back);
    tcase_add_test(tc, a_file_hashes_to_the_published_xxh3);
    tcase_add_test(tc, an_output_appears_whole_and_replaces_only_when_forced);
    tcase_add_test(tc, a_file_made_meanwhile_is_not_overwritten);
    tcase_add_test(tc, an_arena_gives_aligned_zeroed_memory_and_refuses_overflow);
    tcase_add_test(tc, the_parallel_loop_covers_every_item_once_and_names_the_first_failure);
    tcase_add_test(tc, yaml_values_come_typed_and_a_misspelt_key_is_named_with_its_place);
    tcase_add_test(tc, yaml_reads_back_as_written_and_takes_what_it_lacks);
    tcase_add_test(tc, a_card_is_a_file_or_one_of_those_that_come_along);
    tcase_add_test(tc, bad_yaml_is_an_error_with_line_and_column);
    tcase_add_test(tc, an_output_does_not_take_the_place_of_what_is_no_file);
    tcase_add_test(tc, a_name_with_brackets_is_a_name_before_it_is_a_pattern);
    tcase_add_test(tc, times_print_to_the_nearest_millisecond);
    tcase_add_test(tc, an_archive_cannot_count_more_members_than_it_has_bytes_for);
    tcase_add_test(tc, a_file_comes_whole_or_not_at_all);
    tcase_add_test(tc, a_text_is_cut_between_its_characters);
    tcase_add_test(tc, a_pipe_comes_whole_or_not_at_all);
    tcase_add_test(tc, quick_hashes_are_those_of_their_authors);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
