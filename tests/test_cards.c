/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "reference.h"

#include <bragg/cards.h>

static bragg_cards *bundled(double wavelength_ang, double q_max)
{
    char folder[512];
    bragg_cards *c;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(folder, sizeof folder, "%s/cif", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".");
    ck_assert_msg(bragg_cards_read_folder(folder, wavelength_ang, q_max, NULL, &c, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_ge(c->n, 161);
    return c;
}

/* The phases of the first answer, sorted as they come, joined by "+". */
static void first_answer(const char *file, double wavelength_ang, char *out, size_t size, double fraction[4])
{
    char path[512];
    bragg_pattern *p;
    bragg_hypothesis *h;
    bragg_peak *peaks;
    size_t n, n_peaks;
    bragg_error err = BRAGG_ERROR_INIT;
    *out = 0;
    if (!shared_file(path, file)) {
        printf("skipped: no %s\n", path);
        return;
    }
    ck_assert_msg(bragg_pattern_read(path, 0, &p, &err) == BRAGG_OK, "%s", err.text);
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    o.radiation = (bragg_radiation){ false, 1, { wavelength_ang, 1.544426 }, { 1, 0.5 }, 0.5 };
    if (wavelength_ang > 1.5)
        o.radiation.n_lines = 2;
    bragg_cards *cards = bundled(wavelength_ang, 12 < 6.5 / wavelength_ang * 2 ? 12 : 13 / wavelength_ang);
    ck_assert_msg(bragg_identify(cards, p, &o, &h, &n, &peaks, &n_peaks, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_ge(n, 1);
    for (size_t k = 0; k < h[0].n; k++) {
        snprintf(out + strlen(out), size - strlen(out), "%s%s", k ? "+" : "", h[0].phase[k].card->name);
        fraction[k] = h[0].fraction[k].value;
    }
    printf("%s: %s, Rwp %.2f %%\n", file, out, 100 * h[0].rwp);
    fflush(stdout);
    free(h);
    free(peaks);
    bragg_cards_free(cards);
    bragg_pattern_free(p);
}

START_TEST(ceria_is_named_from_a_synchrotron_pattern)
{
    char found[200];
    double w[4];
    first_answer("data/frames/CeO2_Pilatus1M.xy", 0.4066, found, sizeof found, w);
    ck_assert(!*found || !strcmp(found, "CeO2"));
}
END_TEST

/* Weighed mixtures: their names are their contents. */
START_TEST(weighed_mixtures_are_named_among_all_cards)
{
    static const struct { const char *file, *a, *b, *c; } cases[] = {
        { "data/mixtures/NiO_0p6007-Bi2O3_0p4008--8min.xrdml", "NiO", "Bi2O3_alpha", NULL },
        { "data/mixtures/V2O5_0p3005-NiO_0p4020-TiO2_0p3020--8min.xrdml", "V2O5", "NiO", "TiO2_anatase" },
        { "data/mixtures/In2O3_0p5002-MnCO3_0p5000--8min.xrdml", "In2O3", "MnCO3", NULL },
        { "data/mixtures/NiO_0p7028-La(OH)3_0p1010-ZnO_0p2000--8min.xrdml", "NiO", "LaOH3", "ZnO" } };
    size_t n = sizeof cases / sizeof *cases;
#ifdef BRAGG_SANITIZE
    n = 1; /* ten times slower, and all the same code */
#endif
    for (size_t k = 0; k < n; k++) {
        char found[200];
        double w[4];
        first_answer(cases[k].file, 1.540598, found, sizeof found, w);
        if (!*found)
            return;
        size_t phases = 1;
        for (const char *c = found; *c; c++)
            phases += *c == '+';
        ck_assert_msg(strstr(found, cases[k].a) && strstr(found, cases[k].b) && (!cases[k].c || strstr(found, cases[k].c)), "%s", found);
        ck_assert_uint_eq(phases, cases[k].c ? 3 : 2);
    }
}
END_TEST

START_TEST(a_folder_without_cards_is_told)
{
    bragg_cards *c;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert(bragg_cards_read_folder("/dev/null/none", 1.54, 6, NULL, &c, &err) < 0 && *err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cards");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 280);
    tcase_add_test(all, ceria_is_named_from_a_synchrotron_pattern);
    tcase_add_test(all, weighed_mixtures_are_named_among_all_cards);
    tcase_add_test(all, a_folder_without_cards_is_told);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
