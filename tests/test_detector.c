/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "reference.h"

#include <bragg/detector.h>
#include <omp.h>

/* The calibration of the reference frame; see data/frames of the shared data. */
static bool ceria(bragg_geometry *g)
{
    char path[512];
    bragg_error err = BRAGG_ERROR_INIT;
    if (!shared_file(path, "data/frames/CeO2_Pilatus1M.poni")) {
        printf("skipped: no %s\n", path);
        return false;
    }
    ck_assert_msg(bragg_geometry_read_poni(path, g, &err) == BRAGG_OK, "%s", err.text);
    g->rows = 1043;
    g->columns = 981;
    return true;
}

START_TEST(pixels_agree_with_pyfai)
{
    bragg_geometry g;
    char path[512], line[1024];
    if (!ceria(&g) || !shared_file(path, "reference/pyfai/ceo2_geometry_pixels.txt"))
        return;
    FILE *in = fopen(path, "r");
    size_t seen = 0;
    while (fgets(line, sizeof line, in)) {
        double v[17];
        int n = 0;
        const char *at = line;
        while (*line != '#' && n < 17 && (at += strspn(at, " "), bragg_number_scan(at, &at, &v[n])))
            n++;
        if (n < 16)
            continue;
        bragg_ray r = bragg_geometry_ray(&g, v[0] + 0.5, v[1] + 0.5);
        ck_assert_double_eq_tol(r.two_theta_rad, v[2], 1e-7); /* theirs are in single precision */
        ck_assert_double_eq_tol(r.chi_rad, v[3], 1e-4 / (1 + 2e3 * v[2]) + 3e-7);
        ck_assert_double_eq_tol(bragg_axis_convert(r.two_theta_rad, BRAGG_AXIS_TTH, BRAGG_AXIS_Q, g.wavelength_ang), v[4], 2e-6);
        assert_close(r.solid_angle, v[5], 2e-6); /* their array is in single precision */
        assert_close(bragg_polarization(r.two_theta_rad, r.chi_rad, 0.99), v[6], 1e-6);
        assert_close(bragg_polarization(r.two_theta_rad, r.chi_rad, 0), v[7], 1e-6);
        static const int corner[4][2] = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } };
        for (int k = 0; k < 4; k++) {
            bragg_ray c = bragg_geometry_ray(&g, v[0] + corner[k][0], v[1] + corner[k][1]);
            ck_assert_double_eq_tol(bragg_axis_convert(c.two_theta_rad, BRAGG_AXIS_TTH, BRAGG_AXIS_Q, g.wavelength_ang), v[8 + k], 2e-6);
            if (n >= 16)
                ck_assert_double_eq_tol(c.chi_rad, v[12 + k], 1e-4 / (1 + 2e3 * v[2]) + 1e-5);
        }
        seen++;
    }
    fclose(in);
    ck_assert_uint_gt(seen, 50);
}
END_TEST

static bragg_frame *read_ceria(uint8_t **mask)
{
    char path[512];
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert(shared_file(path, "data/frames/CeO2_Pilatus1M.tif"));
    ck_assert_msg(bragg_frame_read(path, 0, &f, &err) == BRAGG_OK, "%s", err.text);
    bragg_frame_flip(f, true, false);
    *mask = calloc(f->width * f->height, 1);
    bragg_frame_mark_invalid(f, *mask);
    return f;
}

START_TEST(integration_agrees_with_pyfai)
{
    bragg_geometry g;
    if (!ceria(&g))
        return;
    uint8_t *mask;
    bragg_frame *f = read_ceria(&mask);
    static const char *const splits[] = { "no", "bbox", "full" }, *const axes[] = { "2th", "q" }, *const fixes[] = { "sa0_polnone", "sa1_pol0.99" };
    for (int s = 0; s < 3; s++)
        for (int a = 0; a < 2; a++)
            for (int c = 0; c < 2; c++) {
                char name[200], path[512], line[512];
                snprintf(name, sizeof name, "reference/pyfai/ceo2_%s_%s-csr_%s_fixedrange.txt", axes[a], splits[s], fixes[c]);
                ck_assert_msg(shared_file(path, name), "%s", path);
                bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
                o.axis = a ? BRAGG_AXIS_Q : BRAGG_AXIS_TTH;
                o.n_bins = 1000;
                o.first = a ? 0.25 : 1 * BRAGG_DEG;
                o.last = a ? 12.75 : 46 * BRAGG_DEG;
                o.split = (bragg_split)s;
                o.solid_angle = c;
                o.polarization = c ? 0.99 : NAN;
                bragg_plan *plan;
                bragg_pattern *p;
                bragg_error err = BRAGG_ERROR_INIT;
                ck_assert_msg(bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, &err) == BRAGG_OK, "%s", err.text);
                ck_assert_msg(bragg_plan_integrate(plan, f, NULL, NULL, &p, &err) == BRAGG_OK, "%s", err.text);
                FILE *in = fopen(path, "r");
                size_t k = 0;
                double worst = 0, top = 0, sworst = 0;
                while (fgets(line, sizeof line, in)) {
                    double v[3];
                    if (*line == '#' || sscanf(line, "%lf %lf %lf", &v[0], &v[1], &v[2]) != 3)
                        continue;
                    assert_close(p->x[k] / bragg_axis_factor(o.axis), v[0], 1e-6);
                    top = fmax(top, v[1]);
                    /* the first and last bins: pixels that cross the ends of the range
                     * count wholly in pyFAI's, by their part inside in ours */
                    if (!isnan(p->y[k]) && k > 0 && k < 999) {
                        worst = fmax(worst, fabs(p->y[k] - v[1]));
                        if (v[2] > 0)
                            sworst = fmax(sworst, fabs(p->sigma[k] / v[2] - 1));
                    }
                    k++;
                }
                fclose(in);
                ck_assert_uint_eq(k, 1000);
                printf("%-4s %-3s %-11s intensity off by %.2g of the maximum, sigma by %.2g\n", splits[s], axes[a], fixes[c], worst / top, sworst);
                fflush(stdout);
                ck_assert_msg(worst < 1e-4 * top, "%s", name);
                bragg_pattern_free(p);
                bragg_plan_free(plan);
            }
    free(mask);
    bragg_frame_free(f);
}
END_TEST

static const bragg_geometry awkward = { 0.2137, 0.0531, 0.0412, 0.113, -0.071, 0.231, 172e-6, 151e-6, 211, 173, 0.7107, 3, "" };

START_TEST(rays_and_points_are_inverse_in_all_orientations)
{
    for (int orientation = 1; orientation <= 8; orientation++) {
        bragg_geometry g = awkward;
        g.orientation = orientation;
        for (double slow = 0.3; slow < 211; slow += 41.7)
            for (double fast = 0.7; fast < 173; fast += 37.3) {
                bragg_ray r = bragg_geometry_ray(&g, slow, fast);
                double s, f;
                ck_assert(bragg_geometry_point(&g, r.two_theta_rad, r.chi_rad, &s, &f));
                assert_close(s, slow, 1e-10);
                assert_close(f, fast, 1e-10);
            }
    }
}
END_TEST

START_TEST(a_turned_frame_with_its_orientation_gives_the_same_pattern)
{
    bragg_geometry g = awkward;
    g.rows = g.columns = 96;
    g.pixel_fast_m = g.pixel_slow_m; /* turning by a quarter needs square pixels */
    g.distance_m = 0.05;
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(96, 96, BRAGG_I32, &f, NULL), BRAGG_OK);
    bragg_pattern *native = NULL;
    for (int o = 0; o < 8; o++) {
        static const int order[] = { 3, 1, 2, 4, 5, 6, 7, 8 };
        g.orientation = order[o];
        int32_t *p = f->data;
        for (size_t i = 0; i < 96; i++)
            for (size_t j = 0; j < 96; j++) {
                /* native place of this pixel: EXIF's definition, written out */
                size_t up[9][2] = { { 0 }, { 95 - i, 95 - j }, { 95 - i, j }, { i, j }, { i, 95 - j }, { 95 - j, 95 - i }, { 95 - j, i }, { j, i }, { j, 95 - i } };
                size_t v = up[g.orientation][0], h = up[g.orientation][1];
                p[i * 96 + j] = (int32_t)(100 + (v * v * 31 + h * 17) % 1009);
            }
        bragg_plan_options opt = BRAGG_PLAN_OPTIONS_INIT;
        opt.n_bins = 60;
        bragg_plan *plan;
        bragg_pattern *out;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_plan_new(&g, 96, 96, NULL, &opt, &plan, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_int_eq(bragg_plan_integrate(plan, f, NULL, NULL, &out, &err), BRAGG_OK);
        for (size_t k = 0; native && k < 60; k++)
            ck_assert_msg((isnan(out->y[k]) && isnan(native->y[k])) || fabs(out->y[k] - native->y[k]) < 1e-5 * native->y[k], "orientation %d bin %zu: %g, %g",
                          g.orientation, k, out->y[k], native->y[k]);
        if (native)
            bragg_pattern_free(out);
        else
            native = out;
        bragg_plan_free(plan);
    }
    bragg_pattern_free(native);
    bragg_frame_free(f);
}
END_TEST

START_TEST(derivatives_of_rays_agree_with_differences)
{
    double d[6], e[6], h = 1e-7;
    bragg_geometry_ray_derivatives(&awkward, 31.7, 141.2, d, e);
    for (int k = 0; k < 6; k++) {
        bragg_geometry a = awkward, b = awkward;
        (&a.distance_m)[k] += h;
        (&b.distance_m)[k] -= h;
        bragg_ray x = bragg_geometry_ray(&a, 31.7, 141.2), y = bragg_geometry_ray(&b, 31.7, 141.2);
        ck_assert_double_eq_tol(d[k], (x.two_theta_rad - y.two_theta_rad) / (2 * h), 1e-6);
        ck_assert_double_eq_tol(e[k], (x.chi_rad - y.chi_rad) / (2 * h), 1e-6);
    }
}
END_TEST

START_TEST(a_flat_frame_stays_flat_and_counts_are_conserved)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_U16, &f, NULL), BRAGG_OK);
    for (size_t i = 0; i < 173 * 211; i++)
        ((uint16_t *)f->data)[i] = 137;
    for (int s = 0; s < 3; s++) {
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        o.n_bins = 311;
        o.split = (bragg_split)s;
        o.solid_angle = false;
        bragg_plan *plan;
        bragg_pattern *p;
        ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_plan_integrate(plan, f, NULL, NULL, &p, NULL), BRAGG_OK);
        double counts = 0;
        for (size_t k = 0; k < p->n; k++) {
            if (isnan(p->y[k]))
                continue;
            assert_close(p->y[k], 137, 1e-12);
            /* sum w y = I sum w; for a flat frame sigma^2 norm^2 / y = sum w^2 */
            counts += 1;
        }
        ck_assert(counts > 300);
        bragg_pattern_free(p);
        bragg_plan_free(plan);
    }
    bragg_frame_free(f);
}
END_TEST

START_TEST(one_and_four_threads_give_the_same_bits)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_U32, &f, NULL), BRAGG_OK);
    for (size_t i = 0; i < 173 * 211; i++)
        ((uint32_t *)f->data)[i] = (uint32_t)(i * 2654435761u >> 20);
    bragg_pattern *p[2];
    for (int k = 0; k < 2; k++) {
        omp_set_num_threads(k ? 4 : 1);
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        bragg_plan *plan;
        o.n_bins = 777;
        ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_plan_integrate(plan, f, NULL, NULL, &p[k], NULL), BRAGG_OK);
        bragg_plan_free(plan);
    }
    ck_assert_int_eq(memcmp(p[0]->y, p[1]->y, 777 * sizeof(double)), 0);
    ck_assert_int_eq(memcmp(p[0]->sigma, p[1]->sigma, 777 * sizeof(double)), 0);
    bragg_pattern_free(p[0]);
    bragg_pattern_free(p[1]);
    bragg_frame_free(f);
}
END_TEST

static bragg_status read_text(const char *text, bragg_geometry *g, bragg_error *err)
{
    FILE *out = fopen("test_detector.tmp.poni", "w");
    fputs(text, out);
    fclose(out);
    *err = (bragg_error)BRAGG_ERROR_INIT;
    bragg_status st = bragg_geometry_read_poni("test_detector.tmp.poni", g, err);
    unlink("test_detector.tmp.poni");
    return st;
}

START_TEST(poni_files_of_all_versions_read_and_bad_ones_are_told)
{
    bragg_geometry g;
    bragg_error err;
    ck_assert_int_eq(read_text("PixelSize1: 1e-4\nPixelSize2: 2e-4\nDistance: 0.1\nPoni1: 0.01\nPoni2: 0.02\nRot1: 0\nRot2: 0.1\nRot3: 0\nWavelength: 1e-10\n", &g, &err), BRAGG_OK);
    assert_close(g.wavelength_ang, 1, 1e-15);
    ck_assert_int_eq(g.orientation, 3);
    ck_assert_int_eq(read_text("poni_version: 2.1\nDetector: Pilatus2M\nDetector_config: {\"orientation\": 2}\nDistance: 0.1\nPoni1: 0.01\nPoni2: 0.02\nRot1: 0\nRot2: 0.1\nRot3: 0\n", &g, &err), BRAGG_OK);
    ck_assert(g.rows == 1679 && g.columns == 1475 && g.orientation == 2 && isnan(g.wavelength_ang));
    ck_assert_int_eq(read_text("poni_version: 3\n", &g, &err), BRAGG_ENOSUPPORT);
    ck_assert_ptr_nonnull(strstr(err.text, "we know up to 2.1"));
    ck_assert_int_eq(read_text("Distance: 0.1\nPoni1: 0.01\n", &g, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "expected the key Poni2"));
    ck_assert_int_eq(read_text("Distance: far\n", &g, &err), BRAGG_EDATA);
    ck_assert_int_eq(read_text("Distance: 0.1\nPoni1: 0.01\nPoni2: 0.02\nRot1: 0\nRot2: 0.1\nRot3: 0\nDetector: Pilatus7M\n", &g, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "expected pixel sizes"));
    g = awkward;
    g.orientation = 6;
    ck_assert_int_eq(bragg_geometry_write_poni(&g, "test_detector.tmp2.poni", true, &err), BRAGG_OK);
    bragg_geometry back;
    ck_assert_int_eq(bragg_geometry_read_poni("test_detector.tmp2.poni", &back, &err), BRAGG_OK);
    ck_assert(back.rot1_rad == g.rot1_rad && back.poni2_m == g.poni2_m && back.orientation == 6 && back.columns == 173);
    assert_close(back.wavelength_ang, g.wavelength_ang, 1e-15);
    unlink("test_detector.tmp2.poni");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("detector");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, pixels_agree_with_pyfai);
    tcase_add_test(all, integration_agrees_with_pyfai);
    tcase_add_test(all, rays_and_points_are_inverse_in_all_orientations);
    tcase_add_test(all, a_turned_frame_with_its_orientation_gives_the_same_pattern);
    tcase_add_test(all, derivatives_of_rays_agree_with_differences);
    tcase_add_test(all, a_flat_frame_stays_flat_and_counts_are_conserved);
    tcase_add_test(all, one_and_four_threads_give_the_same_bits);
    tcase_add_test(all, poni_files_of_all_versions_read_and_bad_ones_are_told);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
