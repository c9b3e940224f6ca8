/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sample and container take away of total scattering, and what is scattered twice,
 * against closed forms and slow sums. */
#include "config.h"
#include "close.h"
#include "suite.h"

#include "../src/pdf/reduce.h"

#include <bragg/units.h>
#include <string.h>

static bragg_pdf_options mounted(bragg_pdf_mount mount, double size_mm)
{
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    o.mount = mount;
    o.size_mm = size_mm;
    return o;
}

/* From (x, y) in a circle of radius 1 the way out in a direction. */
static double way_out(double x, double y, double direction_rad)
{
    double along = x * cos(direction_rad) + y * sin(direction_rad);
    return sqrt(along * along + 1 - x * x - y * y) - along;
}

/* The mean over a fine square grid on the section. */
static double slow_transmission(double mu_r, double two_theta_rad)
{
    enum { SIDE = 400 };
    double sum = 0;
    size_t n = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double x = (2 * i + 1.0) / SIDE - 1, y = (2 * j + 1.0) / SIDE - 1;
            if (x * x + y * y >= 1)
                continue;
            sum += exp(-mu_r * (way_out(x, y, BRAGG_PI) + way_out(x, y, two_theta_rad)));
            n++;
        }
    return sum / (double)n;
}

START_TEST(a_bare_cylinder_absorbs_as_its_section_does)
{
    const bragg_pdf_options o = mounted(BRAGG_PDF_CYLINDER, 0.37);
    for (int k = 1; k < 9; k += 2)
        for (double angle_deg = 0; angle_deg < 180; angle_deg += 23.7) {
            double mu_r = 0.1137 * k;
            assert_close(bragg_pdf_absorption(&o, mu_r / 0.37, angle_deg * BRAGG_DEG).sample, slow_transmission(mu_r, angle_deg * BRAGG_DEG), 0.0015);
        }
    ck_assert(bragg_pdf_absorption(&o, 0, 1).sample == 1);
}
END_TEST

START_TEST(a_plate_absorbs_along_two_ways)
{
    const bragg_pdf_options o = mounted(BRAGG_PDF_PLATE, 0.73);
    for (int k = 1; k < 7; k++)
        for (double angle_deg = 0; angle_deg < 70; angle_deg += 11.3) {
            double mu = 0.31 * k, t = mu * 0.73, longer = 1 / cos(angle_deg * BRAGG_DEG) - 1;
            double expected = exp(-t) * (longer > 1e-9 ? (1 - exp(-t * longer)) / (t * longer) : 1);
            assert_close(bragg_pdf_absorption(&o, mu, angle_deg * BRAGG_DEG).sample, expected, 2e-4);
        }
}
END_TEST

/* Through a thin wall all sees the sample once: the front's rays aslant, the back's straight. */
START_TEST(the_container_is_seen_through_the_sample)
{
    bragg_pdf_options o = mounted(BRAGG_PDF_PLATE, 0.73);
    o.wall_mm = 1e-4;
    o.wall_mu_per_mm = 0.19;
    for (double angle_deg = 0; angle_deg < 70; angle_deg += 11.3) {
        double t = 1.37 * 0.73, expected = (exp(-t / cos(angle_deg * BRAGG_DEG)) + exp(-t)) / 2;
        assert_close(bragg_pdf_absorption(&o, 1.37, angle_deg * BRAGG_DEG).container, expected, 1e-3);
    }
    for (int mount = 0; mount < 2; mount++) { /* nothing in it, nothing changes; the more, the less comes through */
        o = mounted(mount ? BRAGG_PDF_CYLINDER : BRAGG_PDF_PLATE, 0.41);
        o.wall_mm = 0.013;
        o.wall_mu_per_mm = 0.83;
        assert_close(bragg_pdf_absorption(&o, 0, 0.7).container, 1, 1e-12);
        absorption thin = bragg_pdf_absorption(&o, 0.5, 0.7), thick = bragg_pdf_absorption(&o, 1.5, 0.7);
        ck_assert(thin.container < 1 && thick.container < thin.container && thick.sample < thin.sample);
        ck_assert(thin.sample < thin.container); /* half of the container scatters away from the sample */
    }
    o = mounted(BRAGG_PDF_CYLINDER, 0);
    ck_assert(bragg_pdf_absorption(&o, 3, 1).sample == 1 && bragg_pdf_absorption(&o, 3, 1).container == 1);
}
END_TEST

START_TEST(a_black_sample_lets_out_a_mean_free_path)
{
    const bragg_pdf_options cylinder = mounted(BRAGG_PDF_CYLINDER, 0.37), plate = mounted(BRAGG_PDF_PLATE, 0.37);
    assert_close(bragg_pdf_mean_way_mm(&cylinder, 0), 4.0 / 3 * 0.37, 1e-12); /* four volumes over the surface, weighed by length */
    assert_close(bragg_pdf_mean_way_mm(&cylinder, 1e-5), bragg_pdf_mean_way_mm(&cylinder, 0), 1e-5);
    assert_close(bragg_pdf_mean_way_mm(&cylinder, 1e4), 1e-4, 1e-9);
    assert_close(bragg_pdf_mean_way_mm(&plate, 1e5), 1e-5, 1e-3);
    ck_assert(bragg_pdf_mean_way_mm(&plate, 2) < bragg_pdf_mean_way_mm(&plate, 1));
}
END_TEST

/* Nuclei scatter into all directions alike: twice over once is the density times the cross
 * section times the mean way (G. H. Vineyard, Phys. Rev. 96 (1954) 93), at every angle. */
START_TEST(isotropic_scattering_comes_twice_as_vineyard_wrote)
{
    bragg_composition c;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pdf_options o = mounted(BRAGG_PDF_CYLINDER, 2.9);
    o.neutron = true;
    o.wavelength_ang = 0.713;
    o.number_density = 0.0914;
    o.packing = 0.57;
    ck_assert_msg(bragg_composition_parse("Ni", &c, &err) == BRAGG_OK, "%s", err.text);
    const double q[] = { 0.37, 3.1, 9.7, 17.3 }, mu = 0.21;
    double twice[4], b_mm = c.scatterer[0].neutron_fm * 1e-12;
    ck_assert_msg(bragg_pdf_multiple(&c, &o, mu, q, 4, twice, &err) == BRAGG_OK, "%s", err.text);
    double expected = 0.57 * 0.0914e21 * 4 * BRAGG_PI * b_mm * b_mm * bragg_pdf_mean_way_mm(&o, mu * 0.57);
    for (int k = 0; k < 4; k++) {
        double once = bragg_pdf_weights_at(&c, &o, q[k]).square;
        assert_close(twice[k] / once, expected, 1e-6);
    }
    o.number_density = NAN;
    ck_assert_int_eq(bragg_pdf_multiple(&c, &o, mu, q, 4, twice, &err), BRAGG_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "number density"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pdf absorption");
    TCase *all = tcase_create("all");
    tcase_add_test(all, a_bare_cylinder_absorbs_as_its_section_does);
    tcase_add_test(all, a_plate_absorbs_along_two_ways);
    tcase_add_test(all, the_container_is_seen_through_the_sample);
    tcase_add_test(all, a_black_sample_lets_out_a_mean_free_path);
    tcase_add_test(all, isotropic_scattering_comes_twice_as_vineyard_wrote);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
