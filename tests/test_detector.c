/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "reference.h"
#include "suite.h"

#include "detector/tiles.h"

#include <bragg/calibrate.h>
#include <bragg/detector.h>
#include <bragg/integrate.h>
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

/* How far a cake is off pyFAI's of the same bins. */
typedef struct cake_off {
    size_t seen, ours_empty, theirs_empty;
    double worst, edge, top, sigma, norm;
} cake_off;

static void compare_bin(const bragg_plan *plan, const bragg_cake *c, size_t k, const double v[7], cake_off *o)
{
    size_t ring = k % 200, azimuth = k / 200;
    ck_assert_double_eq_tol(c->x[ring] / BRAGG_DEG, v[0], 1e-5);
    ck_assert_double_eq_tol(c->chi_rad[azimuth] / BRAGG_DEG, v[1], 1e-4);
    o->top = fmax(o->top, v[2]);
    double off = fabs(c->intensity[k] - v[2]);
    if (isnan(c->intensity[k]) != !(v[4] > 0)) {
        o->ours_empty += isnan(c->intensity[k]);
        o->theirs_empty += !isnan(c->intensity[k]);
    } else if (v[4] > 1 && (ring == 0 || ring == 199 || azimuth == 0 || azimuth == 71)) {
        o->edge = fmax(o->edge, off);
    } else if (v[4] > 0.01) { /* less of a pixel hangs on their single precision */
        o->worst = fmax(o->worst, off);
        o->norm = fmax(o->norm, fabs(bragg_plan_norm(plan, k) - v[6]));
        if (v[3] > 0)
            o->sigma = fmax(o->sigma, fabs(c->sigma[k] / v[3] - 1));
        o->seen++;
    }
}

/* ceo2_2d_200x72_*.txt: radial fastest. */
static cake_off compare_cake(const bragg_plan *plan, const bragg_cake *c, const char *split)
{
    char name[200], path[512], line[512];
    snprintf(name, sizeof name, "reference/pyfai/ceo2_2d_200x72_%s.txt", split);
    ck_assert_msg(shared_file(path, name), "%s", path);
    FILE *in = fopen(path, "r");
    cake_off o = { 0 };
    size_t k = 0;
    while (fgets(line, sizeof line, in)) {
        double v[7];
        if (*line != '#' && sscanf(line, "%lf %lf %lf %lf %lf %lf %lf", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6) == 7)
            compare_bin(plan, c, k++, v, &o);
    }
    fclose(in);
    ck_assert_uint_eq(k, 200 * 72);
    printf("cake %-4s %zu bins off by %.2g of the maximum, at the edges %.2g, sigma %.2g, norm by %.2g pixels; empty only here %zu, only there %zu\n", split, o.seen,
           o.worst / o.top, o.edge / o.top, o.sigma, o.norm, o.ours_empty, o.theirs_empty);
    fflush(stdout);
    return o;
}

START_TEST(cakes_agree_with_pyfai)
{
    static const char *const splits[] = { "no", "bbox", "full" };
    bragg_geometry g;
    if (!ceria(&g))
        return;
    uint8_t *mask;
    bragg_frame *f = read_ceria(&mask);
    for (int s = 0; s < 3; s++) {
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        o.n_bins = 200;
        o.n_azimuth = 72;
        o.first = 1 * BRAGG_DEG;
        o.last = 41 * BRAGG_DEG;
        o.split = (bragg_split)s;
        o.polarization = 0.99;
        bragg_plan *plan;
        bragg_cake *c;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_msg(bragg_plan_integrate_cake(plan, f, NULL, NULL, &c, &err) == BRAGG_OK, "%s", err.text);
        cake_off off = compare_cake(plan, c, splits[s]);
        /* their polygons of two dimensions are coarse where a pixel crosses azimuths:
         * see the next test for who is right; their histogram of two dimensions has
         * another variance, which is not the counts' */
        ck_assert(off.worst < (s == 2 ? 1e-2 : 1e-4) * off.top && off.norm < (s == 0 ? 1.01 : s == 1 ? 0.01 : 0.1));
        ck_assert(off.edge < 5e-3 * off.top && !off.ours_empty && off.theirs_empty < 10);
        ck_assert(s != 1 || off.sigma < 1e-3);
        bragg_cake_free(c);
        bragg_plan_free(plan);
    }
    free(mask);
    bragg_frame_free(f);
}
END_TEST

/* Part of a pixel within a bin of the cake, by 60 x 60 points of it. */
static double part_inside(const bragg_geometry *g, size_t i, size_t j, double tth, double chi)
{
    int inside = 0;
    for (int u = 0; u < 60; u++)
        for (int v = 0; v < 60; v++) {
            bragg_ray r = bragg_geometry_ray(g, (double)i + (u + 0.5) / 60, (double)j + (v + 0.5) / 60);
            double a = r.two_theta_rad / BRAGG_DEG - tth, b = r.chi_rad / BRAGG_DEG - chi;
            inside += a >= 0 && a < 0.2 && b >= 0 && b < 5;
        }
    return inside / 3600.;
}

/* Bins in which pyFAI 0.21.3 has up to 0.06 pixels of 1.38 less. */
START_TEST(full_splitting_of_cakes_is_that_of_many_points_a_pixel)
{
    bragg_geometry g;
    if (!ceria(&g))
        return;
    uint8_t *mask;
    bragg_frame *f = read_ceria(&mask);
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.n_bins = 200;
    o.n_azimuth = 72;
    o.first = 1 * BRAGG_DEG;
    o.last = 41 * BRAGG_DEG;
    o.polarization = 0.99;
    bragg_plan *plan;
    ck_assert_int_eq(bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, NULL), BRAGG_OK);
    static const int bin[][2] = { { 44, 5 }, { 38, 6 }, { 55, 4 }, { 66, 3 }, { 115, 4 }, { 3, 71 }, { 3, 0 } };
    for (size_t k = 0; k < sizeof bin / sizeof *bin; k++) {
        double tth = 1 + bin[k][0] * 0.2, chi = -180 + bin[k][1] * 5, norm = 0;
        for (size_t i = 0; i < f->height; i++)
            for (size_t j = 0; j < f->width; j++) {
                bragg_ray r = bragg_geometry_ray(&g, (double)i + 0.5, (double)j + 0.5);
                double a = r.two_theta_rad / BRAGG_DEG - tth, b = r.chi_rad / BRAGG_DEG - chi;
                b -= 360 * rint(b / 360);
                if (mask[i * f->width + j] || a < -0.1 || a > 0.3 || b < -3 || b > 8)
                    continue;
                norm += part_inside(&g, i, j, tth, chi) * r.solid_angle * bragg_polarization(r.two_theta_rad, r.chi_rad, 0.99);
            }
        double ours = bragg_plan_norm(plan, (size_t)(bin[k][1] * 200 + bin[k][0]));
        /* rings are straight within a pixel for us: 1e-3 at 34 pixels from the beam */
        ck_assert_msg(fabs(ours - norm) < 2e-3 + (bin[k][0] < 10 ? 2e-2 : 0), "ring %d azimuth %d: %g, expected %g", bin[k][0], bin[k][1], ours, norm);
    }
    bragg_plan_free(plan);
    free(mask);
    bragg_frame_free(f);
}
END_TEST

static double count_all(const bragg_plan *plan, const bragg_frame *f, size_t bins)
{
    bragg_cake *c;
    double counts = 0;
    ck_assert_int_eq(bragg_plan_integrate_cake(plan, f, NULL, NULL, &c, NULL), BRAGG_OK);
    for (size_t k = 0; k < bins; k++)
        if (!isnan(c->intensity[k]))
            counts += c->intensity[k] * bragg_plan_norm(plan, k);
    bragg_cake_free(c);
    return counts;
}

/* In all orientations, patterns and cakes, with the beam on and beside the detector. */
START_TEST(counts_are_conserved_and_a_flat_frame_stays_flat)
{
    bragg_frame *f, *flat;
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_U16, &f, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_U16, &flat, NULL), BRAGG_OK);
    double total = 0;
    for (size_t i = 0; i < 173 * 211; i++) {
        total += ((uint16_t *)f->data)[i] = (uint16_t)(i * 2654435761u >> 20);
        ((uint16_t *)flat->data)[i] = 137;
    }
    for (int s = 0; s < 3; s++)
        for (int cake = 0; cake < 2; cake++)
            for (int beam = 0; beam < 2; beam++)
                for (int orientation = 1; orientation <= 8; orientation++) {
                    bragg_geometry g = awkward;
                    if (beam) { /* close to the middle, in a pixel but not at its centre */
                        g.poni1_m = 0.0151;
                        g.poni2_m = 0.0142;
                        g.rot1_rad = 0.012;
                        g.rot2_rad = -0.0071;
                    }
                    g.orientation = orientation;
                    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
                    o.n_bins = 311;
                    o.n_azimuth = cake ? 37 : 1;
                    o.first = 0;
                    o.last = 1.2;
                    o.split = (bragg_split)s;
                    o.solid_angle = false;
                    bragg_plan *plan;
                    bragg_cake *c;
                    ck_assert_int_eq(bragg_plan_new(&g, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
                    ck_assert_int_eq(bragg_plan_integrate_cake(plan, flat, NULL, NULL, &c, NULL), BRAGG_OK);
                    for (size_t k = 0; k < c->n_rings * c->n_azimuth; k++)
                        if (!isnan(c->intensity[k]))
                            assert_close(c->intensity[k], 137, 1e-12);
                    bragg_cake_free(c);
                    double counts = count_all(plan, f, 311 * o.n_azimuth);
                    ck_assert_msg(fabs(counts / total - 1) < (s == 1 && beam ? 1e-3 : 1e-7), "split %d cake %d beam %d orientation %d: %.12g of %.12g", s, cake, beam, orientation, counts, total);
                    bragg_plan_free(plan);
                }
    bragg_frame_free(f);
    bragg_frame_free(flat);
}
END_TEST

/* Sectors side by side make the whole, pixel parts included. */
START_TEST(sectors_add_up_to_the_circle)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_I32, &f, NULL), BRAGG_OK);
    for (size_t i = 0; i < 173 * 211; i++)
        ((int32_t *)f->data)[i] = (int32_t)(i * 2654435761u >> 20);
    bragg_geometry g = awkward;
    g.poni1_m = 0.0151;
    g.poni2_m = 0.0142;
    g.rot1_rad = g.rot2_rad = 0.01;
    for (int s = 0; s < 3; s++) {
        static const double at[] = { -3.0, -1.7, 0.35, 2.2, -3.0 + 2 * BRAGG_PI };
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        o.split = (bragg_split)s;
        o.n_bins = 97;
        o.first = 0.01;
        o.last = 0.1;
        bragg_plan *plan;
        ck_assert_int_eq(bragg_plan_new(&g, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
        double whole = count_all(plan, f, 97), parts = 0;
        bragg_plan_free(plan);
        for (int k = 0; k < 4; k++) {
            o.chi_first_rad = at[k];
            o.chi_last_rad = at[k + 1];
            ck_assert_int_eq(bragg_plan_new(&g, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
            parts += count_all(plan, f, 97);
            bragg_plan_free(plan);
        }
        assert_close(parts, whole, 1e-6);
    }
    bragg_frame_free(f);
}
END_TEST

/* The ranges that pyFAI finds by itself: the first bins of ceo2_sigmaclip_poisson. */
/* What lies one bin below the range is not in the first bin: of 229 pixels there in
 * ceo2_2th_no-*, 110 are, by truncation towards zero. */
START_TEST(the_first_bin_holds_its_own_pixels_only)
{
    bragg_geometry g;
    if (!ceria(&g))
        return;
    uint8_t *mask;
    bragg_frame *f = read_ceria(&mask);
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.split = BRAGG_SPLIT_NONE;
    o.n_bins = 1000;
    o.solid_angle = false;
    bragg_plan *plan;
    for (int k = 0; k < 2; k++) {
        o.first = (k ? 1 - 0.045 : 1) * BRAGG_DEG;
        o.last = o.first + 45 * BRAGG_DEG;
        ck_assert_int_eq(bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, NULL), BRAGG_OK);
        assert_close(bragg_plan_norm(plan, 0), k ? 110 : 119, 1e-12);
        bragg_plan_free(plan);
    }
    free(mask);
    bragg_frame_free(f);
}
END_TEST

START_TEST(the_range_is_that_of_the_pixels)
{
    bragg_geometry g;
    if (!ceria(&g))
        return;
    uint8_t *mask;
    bragg_frame *f = read_ceria(&mask);
    static const double first[] = { 0.0137853116, NAN, 0.0107359501 }, second[] = { 0.0219857019, NAN, 0.0189458659 };
    for (int s = 0; s < 3; s += 2) {
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        o.split = (bragg_split)s;
        o.axis = BRAGG_AXIS_Q;
        o.n_bins = 1000;
        bragg_plan *plan;
        bragg_pattern *p;
        ck_assert_int_eq(bragg_plan_new(&g, f->height, f->width, mask, &o, &plan, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_plan_integrate(plan, f, NULL, NULL, &p, NULL), BRAGG_OK);
        ck_assert_double_eq_tol(p->x[0], first[s], 1e-6);
        ck_assert_double_eq_tol(p->x[1], second[s], 1e-6);
        /* a pixel counts over its width, and shared by area is spread over it again */
        assert_close(p->pixel_rad, g.pixel_slow_m / g.distance_m * (s ? sqrt(2) : 1), 1e-12);
        double middle = bragg_axis_convert(p->x[500], BRAGG_AXIS_Q, BRAGG_AXIS_TTH, g.wavelength_ang);
        assert_close(p->bin_rad, (p->x[1] - p->x[0]) * g.wavelength_ang / (2 * BRAGG_PI) / cos(middle / 2), 1e-5);
        bragg_pattern_free(p);
        bragg_plan_free(plan);
    }
    free(mask);
    bragg_frame_free(f);
}
END_TEST

START_TEST(angles_of_many_vectors_are_those_of_atan2)
{
    enum { N = 4099 };
    double y[N], x[N], angle[N];
    unsigned long long seed = 99;
    for (int k = 0; k < N; k++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        y[k] = ((double)(seed >> 33) - 0x1p30) * pow(10, k % 19 - 9);
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        x[k] = k % 257 ? (double)(seed >> 33) - 0x1p30 : 0;
    }
    y[1] = y[4098] = 0;
    x[1] = -2.5;
    x[4098] = 0;
    bragg_plan_angles(y, x, N, angle);
    for (int k = 0; k < N; k++)
        ck_assert_msg(fabs(angle[k] - atan2(y[k], x[k])) < 4e-16 * (1 + fabs(angle[k])), "%g %g: %.17g, expected %.17g", y[k], x[k], angle[k], atan2(y[k], x[k]));
}
END_TEST

/* Patterns and cakes, with pixels that do not count among them. */
START_TEST(one_and_four_threads_give_the_same_bits)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_I32, &f, NULL), BRAGG_OK);
    for (size_t i = 0; i < 173 * 211; i++)
        ((int32_t *)f->data)[i] = i % 1013 ? (int32_t)((uint32_t)(i * 2654435761u) >> 20) : -1;
    for (size_t azimuths = 1; azimuths < 30; azimuths += 28) {
        bragg_cake *c[2];
        for (int k = 0; k < 2; k++) {
            omp_set_num_threads(k ? 4 : 1);
            bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
            bragg_plan *plan;
            o.n_bins = 777;
            o.n_azimuth = azimuths;
            ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
            ck_assert_int_eq(bragg_plan_integrate_cake(plan, f, NULL, NULL, &c[k], NULL), BRAGG_OK);
            bragg_plan_free(plan);
        }
        ck_assert_int_eq(memcmp(c[0]->intensity, c[1]->intensity, 777 * azimuths * sizeof(double)), 0);
        ck_assert_int_eq(memcmp(c[0]->sigma, c[1]->sigma, 777 * azimuths * sizeof(double)), 0);
        bragg_cake_free(c[0]);
        bragg_cake_free(c[1]);
    }
    bragg_frame_free(f);
}
END_TEST

static void set_pixel(bragg_frame *f, size_t i, double v)
{
    switch (f->type) {
    case BRAGG_U8: ((uint8_t *)f->data)[i] = (uint8_t)v; break;
    case BRAGG_U16: ((uint16_t *)f->data)[i] = (uint16_t)v; break;
    case BRAGG_U32: ((uint32_t *)f->data)[i] = (uint32_t)v; break;
    case BRAGG_U64: ((uint64_t *)f->data)[i] = v < 0x1p63 ? (uint64_t)v : UINT64_MAX; break;
    case BRAGG_I8: ((int8_t *)f->data)[i] = (int8_t)v; break;
    case BRAGG_I16: ((int16_t *)f->data)[i] = (int16_t)v; break;
    case BRAGG_I32: ((int32_t *)f->data)[i] = (int32_t)v; break;
    case BRAGG_I64: ((int64_t *)f->data)[i] = (int64_t)v; break;
    case BRAGG_F32: ((float *)f->data)[i] = (float)v; break;
    case BRAGG_F64: ((double *)f->data)[i] = v; break;
    }
}

static bragg_pattern *pattern_of(const bragg_frame *f, const bragg_frame *dark, const bragg_frame *variance, const uint8_t *mask)
{
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    bragg_plan *plan;
    bragg_pattern *p;
    o.n_bins = 300;
    o.first = 0.01;
    o.last = 0.4;
    o.polarization = 0.97;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, mask, &o, &plan, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_plan_integrate(plan, f, dark, variance, &p, NULL), BRAGG_OK);
    bragg_plan_free(plan);
    return p;
}

START_TEST(pixels_that_a_frame_marks_count_as_if_masked_in_all_types)
{
    static const double marker[] = { [BRAGG_U16] = 65535, [BRAGG_U32] = 4294967295., [BRAGG_U64] = 18446744073709551615., [BRAGG_I8] = -1, [BRAGG_I16] = -2,
                                     [BRAGG_I32] = -1, [BRAGG_I64] = -2, [BRAGG_F32] = NAN, [BRAGG_F64] = INFINITY };
    uint8_t *mask = calloc(173 * 211, 1);
    for (int type = BRAGG_U8; type <= BRAGG_F64; type++) {
        bragg_frame *f;
        ck_assert_int_eq(bragg_frame_new(173, 211, (bragg_pixel)type, &f, NULL), BRAGG_OK);
        for (size_t i = 0; i < 173 * 211; i++) {
            mask[i] = i % 1013 == 7 && type != BRAGG_U8;
            set_pixel(f, i, mask[i] ? marker[type] : (double)(i * 7 % 113));
        }
        bragg_pattern *a = pattern_of(f, NULL, NULL, NULL), *b = pattern_of(f, NULL, NULL, mask);
        for (size_t k = 0; k < 300; k++) {
            ck_assert(isnan(a->y[k]) == isnan(b->y[k]));
            if (!isnan(a->y[k])) {
                assert_close(a->y[k], b->y[k], 1e-12);
                assert_close(a->sigma[k], b->sigma[k], 1e-12);
            }
        }
        bragg_pattern_free(a);
        bragg_pattern_free(b);
        bragg_frame_free(f);
    }
    free(mask);
}
END_TEST

START_TEST(dark_and_variance_frames_do_what_they_say)
{
    bragg_frame *f, *dark, *variance, *less;
    bragg_frame_new(173, 211, BRAGG_I32, &f, NULL);
    bragg_frame_new(173, 211, BRAGG_F32, &dark, NULL);
    bragg_frame_new(173, 211, BRAGG_F64, &variance, NULL);
    bragg_frame_new(173, 211, BRAGG_F64, &less, NULL);
    for (size_t i = 0; i < 173 * 211; i++) {
        double v = (double)(500 + i * 31 % 1009), d = 0.25 * (double)(i % 61);
        set_pixel(f, i, v);
        set_pixel(dark, i, d);
        set_pixel(variance, i, 4 * v);
        set_pixel(less, i, v - d);
    }
    bragg_pattern *plain = pattern_of(f, NULL, NULL, NULL), *four = pattern_of(f, NULL, variance, NULL), *dimmed = pattern_of(f, dark, NULL, NULL), *by_hand = pattern_of(less, NULL, NULL, NULL);
    for (size_t k = 0; k < 300; k++) {
        if (isnan(plain->y[k]))
            continue;
        assert_close(four->y[k], plain->y[k], 1e-12);
        assert_close(four->sigma[k], 2 * plain->sigma[k], 1e-12);
        assert_close(dimmed->y[k], by_hand->y[k], 1e-12);
        assert_close(dimmed->sigma[k], plain->sigma[k], 1e-12); /* the counts' doubt stays */
    }
    bragg_pattern *all[] = { plain, four, dimmed, by_hand };
    for (int k = 0; k < 4; k++)
        bragg_pattern_free(all[k]);
    bragg_frame_free(f);
    bragg_frame_free(dark);
    bragg_frame_free(variance);
    bragg_frame_free(less);
}
END_TEST

static double random_part(unsigned long long *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

/* Counts about a mean of hundreds: normal deviates (G. E. P. Box & M. E. Muller,
 * Ann. Math. Stat. 29 (1958) 610), rounded. */
static double counts_of(double mean, unsigned long long *seed)
{
    double u = random_part(seed), v = random_part(seed);
    return rint(mean + sqrt(mean) * sqrt(-2 * log(u)) * cos(2 * BRAGG_PI * v));
}

/* What a frame gives depends neither on the frames beside it nor on the threads. */
START_TEST(frames_together_give_the_bits_of_each_alone)
{
    enum { N = 21, BINS = 333 };
    bragg_frame *f[N];
    for (int k = 0; k < N; k++) {
        static const bragg_pixel types[] = { BRAGG_U16, BRAGG_I32, BRAGG_F32, BRAGG_U32 };
        bragg_frame_new(173, 211, types[k / 9], &f[k], NULL);
        for (size_t i = 0; i < 173 * 211; i++)
            set_pixel(f[k], i, (i + (size_t)k) % 1511 ? (double)((i * 2654435761u + (size_t)k * 977) >> 20 & 4095) : k % 3 ? -1 : k / 9 ? 3e9 : 65535);
    }
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    bragg_integrate_options with = BRAGG_INTEGRATE_OPTIONS_INIT;
    bragg_frame *dark;
    bragg_frame_new(173, 211, BRAGG_F32, &dark, NULL);
    for (size_t i = 0; i < 173 * 211; i++)
        set_pixel(dark, i, 0.3 * (double)(i % 7));
    o.n_bins = BINS;
    bragg_plan *plan;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
    double *all = malloc(6 * N * BINS * sizeof *all), *each = all + 3 * N * BINS;
    for (int d = 0; d < 2; d++)
        for (int threads = 1; threads < 6; threads += 2) {
            with.dark = d ? dark : NULL;
            omp_set_num_threads(threads);
            ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)f, N, &with, all, all + N * BINS, all + 2 * N * BINS, NULL), BRAGG_OK);
            omp_set_num_threads(6 - threads);
            for (size_t k = 0; k < N; k++)
                ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)&f[k], 1, &with, each + k * BINS, each + (N + k) * BINS, each + (2 * N + k) * BINS, NULL), BRAGG_OK);
            ck_assert_int_eq(memcmp(all, each, 3 * N * BINS * sizeof *all), 0);
        }
    for (int k = 0; k < N; k++)
        bragg_frame_free(f[k]);
    bragg_frame_free(dark);
    bragg_plan_free(plan);
    free(all);
}
END_TEST

/* Of 16 bits 32 frames go at a time, in whole numbers where all that counts is below
 * 2^15: counts far above, markers within and outside of the mask, and columns that do
 * not fill a line. */
START_TEST(frames_of_short_counts_give_the_same_bits_however_many)
{
    enum { N = 75, BINS = 211, ROWS = 61 };
    static const size_t widths[] = { 563, 271, 29 };
    bragg_frame *f[N];
    for (int c = 0; c < 3; c++) {
        size_t columns = widths[c], pixels = ROWS * columns;
        uint8_t *mask = calloc(pixels, 1);
        for (size_t i = 0; i < pixels; i += 37)
            mask[i] = 1;
        for (size_t k = 0; k < N; k++) {
            bragg_frame_new(columns, ROWS, BRAGG_U16, &f[k], NULL);
            for (size_t i = 0; i < pixels; i++)
                set_pixel(f[k], i, mask[i] ? 65535 : (i + k) % 9973 == 5 ? 65535 : (i + k) % 7919 == 3 ? 41234 : (i * 2654435761u + k * 977) >> 20 & (k % 40 < 35 ? 1023 : 32767));
        }
        bragg_geometry g = awkward;
        g.rows = ROWS;
        g.columns = columns;
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        o.n_bins = BINS / (size_t)(c + 1);
        bragg_plan *plan;
        ck_assert_int_eq(bragg_plan_new(&g, ROWS, columns, mask, &o, &plan, NULL), BRAGG_OK);
        size_t bins = bragg_plan_rings(plan);
        double *all = malloc(4 * N * bins * sizeof *all), *each = all + 2 * N * bins;
        for (size_t k = 0; k < N; k++)
            ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)&f[k], 1, NULL, each + k * bins, each + (N + k) * bins, NULL, NULL), BRAGG_OK);
        for (int threads = 1; threads < 4; threads++) {
            omp_set_num_threads(threads);
            ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)f, N, NULL, all, all + N * bins, NULL, NULL), BRAGG_OK);
            ck_assert_int_eq(memcmp(all, each, 2 * N * bins * sizeof *all), 0);
        }
        for (int k = 0; k < N; k++)
            bragg_frame_free(f[k]);
        bragg_plan_free(plan);
        free(all);
        free(mask);
    }
}
END_TEST

enum { REPEATED_BINS = 90 };
typedef struct error_case {
    const char *name;
    bragg_errors errors;
    bragg_reject reject;
    bool variance, mean;
} error_case;

/* Squares of the differences of two frames' bins, and what their errors say of them. */
static void add_pair(const bragg_plan *plan, bragg_frame *const f[2], const bragg_frame *variance, const error_case *c, double *squares, double *expected)
{
    double y[2 * REPEATED_BINS], sem[2 * REPEATED_BINS];
    const bragg_frame *both[2] = { variance, variance };
    bragg_integrate_options with = BRAGG_INTEGRATE_OPTIONS_INIT;
    with.errors = c->errors;
    with.reject = c->reject;
    with.variance = c->variance ? both : NULL;
    with.mean = c->mean;
    ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)f, 2, &with, y, sem, NULL, NULL), BRAGG_OK);
    for (int b = 0; b < REPEATED_BINS; b++) {
        squares[b] += pow(y[b] - y[REPEATED_BINS + b], 2);
        expected[b] += pow(sem[b], 2) + pow(sem[REPEATED_BINS + b], 2);
    }
}

/* Differences of equal exposures over their errors, for each way to errors: the mean
 * of squares is one.  Sums of bins stand over each other, so that the doubt of an
 * error from scatter does not make the mean of a ratio larger.  Long, because the pairs are
 * drawn once for all cases. */
START_TEST(repeated_frames_differ_by_their_errors)
{
    enum { PAIRS = 600, BINS = REPEATED_BINS, ROWS = 97, COLUMNS = 83 };
    static const error_case cases[] = {
        { "poisson", BRAGG_ERRORS_POISSON, BRAGG_REJECT_NONE, false, false },
        { "variance", BRAGG_ERRORS_POISSON, BRAGG_REJECT_NONE, true, false },
        { "azimuthal", BRAGG_ERRORS_AZIMUTHAL, BRAGG_REJECT_NONE, false, false },
        { "clip, poisson", BRAGG_ERRORS_POISSON, BRAGG_REJECT_CLIP, false, false },
        { "clip, azimuthal", BRAGG_ERRORS_AZIMUTHAL, BRAGG_REJECT_CLIP, false, false },
        { "mean, poisson", BRAGG_ERRORS_POISSON, BRAGG_REJECT_NONE, false, true },
        { "mean, azimuthal", BRAGG_ERRORS_AZIMUTHAL, BRAGG_REJECT_NONE, false, true } };
    bragg_geometry g = { 0.2137, 0.0071, 0.0062, 0.003, -0.002, 0, 172e-6, 151e-6, ROWS, COLUMNS, 0.7107, 3, "" };
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.n_bins = BINS;
    o.first = 0.003;
    o.last = 0.035;
    bragg_plan *plan;
    ck_assert_int_eq(bragg_plan_new(&g, ROWS, COLUMNS, NULL, &o, &plan, NULL), BRAGG_OK);
    bragg_frame *f[2];
    bragg_frame *variance;
    bragg_frame_new(COLUMNS, ROWS, BRAGG_F64, &variance, NULL);
    for (int k = 0; k < 2; k++)
        bragg_frame_new(COLUMNS, ROWS, BRAGG_I32, &f[k], NULL);
    double mean[ROWS * COLUMNS];
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        bragg_ray r = bragg_geometry_ray(&g, (double)(i / COLUMNS) + 0.5, (double)(i % COLUMNS) + 0.5);
        mean[i] = 700 * r.solid_angle; /* even rings: their scatter is that of counting */
        set_pixel(variance, i, mean[i]);
    }
    enum { CASES = sizeof cases / sizeof *cases };
    unsigned long long seed = 4711;
    double squares[CASES][BINS] = { { 0 } }, expected[CASES][BINS] = { { 0 } };
    for (int pair = 0; pair < PAIRS; pair++) {
        for (int k = 0; k < 2; k++)
            for (size_t i = 0; i < ROWS * COLUMNS; i++)
                ((int32_t *)f[k]->data)[i] = (int32_t)counts_of(mean[i], &seed);
        for (size_t c = 0; c < CASES; c++)
            add_pair(plan, f, variance, &cases[c], squares[c], expected[c]);
    }
    for (size_t c = 0; c < CASES; c++) {
        double chi2 = 0;
        for (int b = 0; b < BINS; b++)
            chi2 += squares[c][b] / expected[c][b] / BINS;
        printf("%-16s chi^2 of repeated frames %.4f\n", cases[c].name, chi2);
        fflush(stdout);
        ck_assert_msg(fabs(chi2 - 1) < 0.01, "%s: %g", cases[c].name, chi2);
    }
    for (int k = 0; k < 2; k++)
        bragg_frame_free(f[k]);
    bragg_frame_free(variance);
    bragg_plan_free(plan);
}
END_TEST

/* Bright spots on even rings: the mean is spoilt, what rejects them is not. */
START_TEST(outliers_are_rejected_and_what_is_left_has_the_right_errors)
{
    enum { BINS = 90, ROWS = 197, COLUMNS = 183 };
    bragg_geometry g = { 0.2137, 0.0171, 0.0132, 0.003, -0.002, 0, 172e-6, 151e-6, ROWS, COLUMNS, 0.7107, 3, "" };
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.n_bins = BINS;
    o.first = 0.02;
    o.last = 0.08;
    o.solid_angle = false;
    bragg_plan *plan;
    ck_assert_int_eq(bragg_plan_new(&g, ROWS, COLUMNS, NULL, &o, &plan, NULL), BRAGG_OK);
    bragg_frame *f;
    bragg_frame_new(COLUMNS, ROWS, BRAGG_U32, &f, NULL);
    unsigned long long seed = 815;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        ((uint32_t *)f->data)[i] = (uint32_t)(i % 61 ? counts_of(300, &seed) : 90000);
    for (int c = 0; c < 5; c++) {
        static const char *const names[] = { "mean", "clip, poisson", "clip, azimuthal", "median", "quantiles 0.1 to 0.9" };
        bragg_integrate_options with = BRAGG_INTEGRATE_OPTIONS_INIT;
        double y[BINS], sem[BINS], std[BINS], mean = 0, chi2 = 0, spread = 0;
        with.reject = c == 0 ? BRAGG_REJECT_NONE : c < 3 ? BRAGG_REJECT_CLIP : BRAGG_REJECT_QUANTILE;
        with.errors = c == 2 || c == 3 ? BRAGG_ERRORS_AZIMUTHAL : BRAGG_ERRORS_POISSON;
        with.low = c == 3 ? 0.5 : 0.1;
        with.high = c == 3 ? 0.5 : 0.9;
        ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)&f, 1, &with, y, sem, std, NULL), BRAGG_OK);
        for (int b = 0; b < BINS; b++) {
            mean += y[b] / BINS;
            chi2 += pow((y[b] - 300) / sem[b], 2) / BINS;
            spread += std[b] / BINS;
        }
        printf("%-22s mean %.3f, chi^2 %.3f, deviation of a pixel %.2f\n", names[c], mean, chi2, spread);
        fflush(stdout);
        ck_assert_msg(c == 0 ? mean > 1000 : fabs(mean - 300) < 1.5, "%s: %g", names[c], mean);
        ck_assert_msg(c == 0 || (chi2 > 0.4 && chi2 < 2.2), "%s: %g", names[c], chi2); /* 90 bins that share pixels, a sixtieth of them spoilt */
        ck_assert_msg(c == 0 || fabs(spread / sqrt(300) - 1) < 0.15, "%s: %g", names[c], spread);
    }
    bragg_frame_free(f);
    bragg_plan_free(plan);
}
END_TEST

START_TEST(monitors_flats_and_oblique_sensors_divide)
{
    bragg_frame *f, *flat;
    bragg_frame_new(173, 211, BRAGG_I32, &f, NULL);
    bragg_frame_new(173, 211, BRAGG_F32, &flat, NULL);
    double thick = 0.731;
    for (size_t i = 0; i < 173 * 211; i++) {
        double answer = i % 97 ? 0.5 + (double)(i % 13) / 13 : 0; /* dead ones must not count */
        set_pixel(flat, i, answer);
        set_pixel(f, i, i % 97 ? rint(1e6 * (double)(float)answer) : 77777);
    }
    for (int c = 0; c < 2; c++) {
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        bragg_integrate_options with = BRAGG_INTEGRATE_OPTIONS_INIT;
        double y[200], sem[200], monitor = 4.25;
        bragg_plan *plan;
        o.n_bins = 200;
        o.first = 0.1;
        o.last = 0.3;
        o.solid_angle = false;
        o.flat = flat;
        o.split = BRAGG_SPLIT_NONE;
        o.sensor_mu_t = c ? thick : NAN;
        with.monitor = &monitor;
        ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)&f, 1, &with, y, sem, NULL, NULL), BRAGG_OK);
        for (int b = 0; b < 200; b++)
            if (!isnan(y[b]) && !c)
                assert_close(y[b], 1e6 / 4.25, 1e-5);
            else if (!isnan(y[b])) /* at an angle more is absorbed: less is left after the correction */
                ck_assert(y[b] < 1e6 / 4.25 && y[b] > 1e6 / 4.25 * 0.9);
        bragg_plan_free(plan);
    }
    bragg_frame_free(f);
    bragg_frame_free(flat);
}
END_TEST

/* What is left of a beam that is scattered at each depth of a plate, summed up. */
static double out_of_plate(double mu_t, double two_theta)
{
    double sum = 0;
    for (int k = 0; k < 2000; k++) {
        double z = (k + 0.5) / 2000;
        sum += exp(-mu_t * z - mu_t * (1 - z) / cos(two_theta)) / 2000;
    }
    return sum / exp(-mu_t);
}

START_TEST(a_flat_sample_absorbs_what_leaves_it_at_an_angle)
{
    const double mu_t = 1.37;
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    bragg_plan *plain, *plan;
    o.n_bins = 400;
    o.first = 0.05;
    o.last = 0.45;
    o.split = BRAGG_SPLIT_NONE;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plain, NULL), BRAGG_OK);
    o.sample_mu_t = mu_t;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
    size_t seen = 0;
    for (size_t b = 0; b < 400; b++)
        if (bragg_plan_norm(plain, b) > 0) {
            double left = bragg_plan_norm(plan, b) / bragg_plan_norm(plain, b);
            assert_close(left, out_of_plate(mu_t, bragg_plan_ring_centre(plan, b)), 5e-4); /* a bin is 1 mrad */
            seen++;
        }
    ck_assert_uint_gt(seen, 100);
    bragg_plan_free(plain);
    bragg_plan_free(plan);
    o.sample_mu_t = 0;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_EINVAL);
}
END_TEST

/* Centres and edges of equal ratio, all counts of the range, a flat frame flat. */
START_TEST(logarithmic_bins_hold_the_counts_of_their_range)
{
    bragg_frame *f;
    bragg_frame_new(173, 211, BRAGG_U16, &f, NULL);
    for (size_t i = 0; i < 173 * 211; i++)
        ((uint16_t *)f->data)[i] = (uint16_t)(i * 2654435761u >> 22);
    for (int axis = 0; axis < 2; axis++)
        for (int split = 0; split < 3; split++) {
            double counts[2];
            for (int logarithmic = 0; logarithmic < 2; logarithmic++) {
                bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
                bragg_plan *plan;
                o.axis = axis ? BRAGG_AXIS_Q : BRAGG_AXIS_TTH;
                o.n_bins = 237;
                o.first = axis ? 0.61 : 0.07;
                o.last = axis ? 9.7 : 1.1; /* beyond what the frame holds */
                o.split = (bragg_split)split;
                o.solid_angle = false;
                o.logarithmic = logarithmic;
                ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
                counts[logarithmic] = count_all(plan, f, 237);
                for (size_t b = 0; logarithmic && b < 237; b++)
                    assert_close(bragg_plan_ring_centre(plan, b), o.first * pow(o.last / o.first, ((double)b + 0.5) / 237), 1e-12);
                if (logarithmic)
                    ck_assert(isnan(bragg_plan_bin_rad(plan)));
                bragg_plan_free(plan);
            }
            ck_assert_msg(fabs(counts[1] / counts[0] - 1) < 1e-3, "axis %d split %d: %.8g of %.8g", axis, split, counts[1], counts[0]);
        }
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    bragg_plan *plan;
    bragg_error err = BRAGG_ERROR_INIT;
    o.logarithmic = true;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, &err), BRAGG_EINVAL);
    bragg_frame_free(f);
}
END_TEST

/* Without splitting both ways to a bin can be written down. */
START_TEST(a_bin_is_the_ratio_of_sums_or_the_mean_of_corrected_pixels)
{
    enum { BINS = 40 };
    bragg_frame *f;
    bragg_frame_new(173, 211, BRAGG_I32, &f, NULL);
    for (size_t i = 0; i < 173 * 211; i++)
        set_pixel(f, i, i % 89 ? (double)(i * 2654435761u >> 20 & 2047) : -1);
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    bragg_plan *plan;
    o.n_bins = BINS;
    o.first = 0.1;
    o.last = 0.45;
    o.split = BRAGG_SPLIT_NONE;
    o.polarization = 0.93;
    ck_assert_int_eq(bragg_plan_new(&awkward, 211, 173, NULL, &o, &plan, NULL), BRAGG_OK);
    double n[BINS] = { 0 }, y[BINS] = { 0 }, c[BINS] = { 0 }, mean[BINS] = { 0 }, v[BINS] = { 0 }, at[3 * BINS];
    for (size_t i = 0; i < 173 * 211; i++) {
        bragg_ray r = bragg_geometry_ray(&awkward, (double)(i / 173) + 0.5, (double)(i % 173) + 0.5);
        double part = r.solid_angle * bragg_polarization(r.two_theta_rad, r.chi_rad, 0.93), counts = ((int32_t *)f->data)[i];
        int b = (int)floor((r.two_theta_rad - o.first) / (o.last - o.first) * BINS);
        if (b < 0 || b >= BINS || counts < 0)
            continue;
        n[b]++;
        y[b] += counts;
        c[b] += part;
        mean[b] += counts / part;
        v[b] += counts / (part * part);
    }
    for (int way = 0; way < 2; way++) {
        bragg_integrate_options with = BRAGG_INTEGRATE_OPTIONS_INIT;
        with.mean = way;
        ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)&f, 1, &with, at, at + BINS, at + 2 * BINS, NULL), BRAGG_OK);
        for (int b = 0; b < BINS; b++)
            if (n[b] > 0) {
                assert_close(at[b], way ? mean[b] / n[b] : y[b] / c[b], 1e-6); /* corrections are kept in single precision */
                assert_close(at[BINS + b], way ? sqrt(v[b]) / n[b] : sqrt(y[b]) / c[b], 1e-6);
                if (way)
                    assert_close(at[2 * BINS + b], sqrt(v[b] / n[b]), 1e-6);
            }
    }
    bragg_plan_free(plan);
    bragg_frame_free(f);
}
END_TEST

/* Differences of repeated frames times those of the neighbour bins, summed up. */
START_TEST(bins_that_share_pixels_vary_together_as_the_band_says)
{
    enum { PAIRS = 1500, BINS = 120, ROWS = 61, COLUMNS = 53 };
    bragg_geometry g = { 0.2137, 0.0041, 0.0042, 0.003, -0.002, 0, 172e-6, 151e-6, ROWS, COLUMNS, 0.7107, 3, "" };
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    bragg_plan *plan;
    o.n_bins = BINS;
    o.first = 0.003;
    o.last = 0.025; /* four bins a pixel */
    ck_assert_int_eq(bragg_plan_new(&g, ROWS, COLUMNS, NULL, &o, &plan, NULL), BRAGG_OK);
    bragg_frame *f[2];
    for (int k = 0; k < 2; k++)
        bragg_frame_new(COLUMNS, ROWS, BRAGG_I32, &f[k], NULL);
    double mean[ROWS * COLUMNS], *band, *flat, y[2 * BINS], sem[2 * BINS], seen[6] = { 0 }, expected[6] = { 0 };
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        mean[i] = 300 + 200 * sin((double)i);
    unsigned long long seed = 31;
    size_t width, flat_width;
    for (int pair = 0; pair < PAIRS; pair++) {
        for (int k = 0; k < 2; k++)
            for (size_t i = 0; i < ROWS * COLUMNS; i++)
                ((int32_t *)f[k]->data)[i] = (int32_t)counts_of(mean[i], &seed);
        ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)f, 2, NULL, y, sem, NULL, NULL), BRAGG_OK);
        if (pair == 0) {
            ck_assert_int_eq(bragg_plan_covariance(plan, f[0], NULL, &band, &width, NULL), BRAGG_OK);
            ck_assert(width >= 4 && width < 9);
            for (int b = 0; b < BINS; b++) /* the diagonal is what each bin has by itself */
                assert_close(sqrt(band[b]), sem[b], 1e-6);
            for (size_t d = 0; d < 6 && d <= width; d++)
                for (size_t b = 0; b + d < BINS; b++)
                    expected[d] += 2 * band[d * BINS + b];
        }
        for (size_t d = 0; d < 6; d++)
            for (size_t b = 0; b + d < BINS; b++)
                seen[d] += (y[b] - y[BINS + b]) * (y[b + d] - y[BINS + b + d]) / PAIRS;
    }
    ck_assert_int_eq(bragg_plan_covariance(plan, NULL, NULL, &flat, &flat_width, NULL), BRAGG_OK);
    double lag[BRAGG_PATTERN_LAGS];
    ck_assert_int_eq(bragg_plan_correlation(plan, lag, NULL), BRAGG_OK);
    for (size_t d = 0; d < 6; d++) {
        printf("bins %zu apart: covariance %.4f of the variance, expected %.4f, of even intensity %.4f\n", d, seen[d] / seen[0], expected[d] / expected[0], d ? lag[d - 1] : 1);
        fflush(stdout);
        ck_assert_double_eq_tol(seen[d] / expected[0], expected[d] / expected[0], 0.02);
        ck_assert(!d || fabs(lag[d - 1] - expected[d] / expected[0]) < 0.03);
    }
    ck_assert_uint_eq(width, flat_width);
    ck_assert_double_eq_tol(flat[BINS / 2], 1, 1e-12);
    free(band);
    free(flat);
    bragg_plan_free(plan);
    for (int k = 0; k < 2; k++)
        bragg_frame_free(f[k]);
}
END_TEST

static void change_byte(const char *path, long at, int by)
{
    FILE *file = fopen(path, "r+b");
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    fputc(c ^ by, file);
    fclose(file);
}

/* Long, because one plan on the disk goes through all that can befall it. */
/* What is no plan, or another, or damaged, or gone; path ends without a file. */
static void refuse_damaged_plans(const char *path, const char *key, const char *other)
{
    bragg_plan *plan;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_plan_load(path, other[0] == key[0] ? "00000000000000000000000000000000" : other, &plan, &err), BRAGG_EDATA);
    for (long at = 0; at < 480; at += 7) {
        change_byte(path, at, 1 << at % 8);
        bragg_status st = bragg_plan_load(path, key, &plan, NULL);
        if (st == BRAGG_OK) /* a number that only describes: the last digit of a width, say */
            bragg_plan_free(plan);
        change_byte(path, at, 1 << at % 8);
    }
    ck_assert_int_eq(truncate(path, 100000), 0);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_plan_load(path, key, &plan, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
    unlink(path);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_plan_load(path, key, &plan, &err), BRAGG_EIO);
}

START_TEST(a_saved_plan_gives_the_same_bits_and_a_damaged_one_is_made_anew)
{
    enum { BINS = 301, ALL = 2 * BINS * 5 };
    const char *folder = "test_detector.tmp.plans";
    char key[BRAGG_HASH_TEXT], other[BRAGG_HASH_TEXT], path[128];
    uint8_t *mask = calloc(173 * 211, 1);
    bragg_frame *f, *flat;
    bragg_frame_new(173, 211, BRAGG_U16, &f, NULL);
    bragg_frame_new(173, 211, BRAGG_F32, &flat, NULL);
    for (size_t i = 0; i < 173 * 211; i++) {
        ((uint16_t *)f->data)[i] = (uint16_t)(i * 2654435761u >> 20);
        set_pixel(flat, i, 0.5 + (double)(i % 17) / 13);
        mask[i] = i % 71 == 0;
    }
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    o.n_bins = BINS;
    o.n_azimuth = 5;
    o.polarization = 0.97;
    o.flat = flat;
    o.sensor_mu_t = 0.8;
    ck_assert_int_eq(bragg_plan_key(&awkward, 211, 173, mask, &o, key, NULL), BRAGG_OK);
    mask[5] = 1;
    ck_assert_int_eq(bragg_plan_key(&awkward, 211, 173, mask, &o, other, NULL), BRAGG_OK);
    ck_assert_str_ne(key, other);
    mask[5] = 0;
    set_pixel(flat, 99, 0.7071);
    ck_assert_int_eq(bragg_plan_key(&awkward, 211, 173, mask, &o, other, NULL), BRAGG_OK);
    ck_assert_str_ne(key, other);
    ck_assert_int_eq(bragg_plan_key(&awkward, 211, 173, mask, &o, key, NULL), BRAGG_OK);
    snprintf(path, sizeof path, "%s/%s.plan", folder, key);
    unlink(path);
    double *y = malloc(4 * ALL * sizeof *y);
    for (int k = 0; k < 4; k++) { /* made, read, made over a damaged one, read */
        bool known;
        bragg_plan *plan;
        if (k == 2)
            change_byte(path, -4321, 16);
        ck_assert_int_eq(bragg_plan_get(folder, &awkward, 211, 173, mask, &o, &known, &plan, NULL), BRAGG_OK);
        ck_assert_int_eq(known, k % 2);
        ck_assert_int_eq(bragg_plan_integrate_frames(plan, (const bragg_frame *const *)&f, 1, NULL, y + k * ALL, y + k * ALL + ALL / 2, NULL, NULL), BRAGG_OK);
        ck_assert_int_eq(memcmp(y, y + k * ALL, ALL * sizeof *y), 0);
        bragg_plan_free(plan);
    }
    refuse_damaged_plans(path, key, other);
    bragg_plan *plan;
    /* a folder that cannot be is no reason not to integrate */
    ck_assert_int_eq(bragg_plan_get("/dev/null/plans", &awkward, 211, 173, mask, &o, NULL, &plan, NULL), BRAGG_OK);
    bragg_plan_free(plan);
    rmdir(folder);
    free(y);
    free(mask);
    bragg_frame_free(f);
    bragg_frame_free(flat);
}
END_TEST

/* A dead pixel, the gap of a Pilatus 300K (rows 195 to 211), a mask frame that is turned as
 * its frame was, and a drawing, all at once. */
START_TEST(masks_of_all_kinds_add_up)
{
    static const char *const masks[] = { "test_detector.tmp.tif", NULL, "gaps", "test_detector.tmp.yaml" };
    enum { ROWS = 619, COLUMNS = 487 };
    bragg_geometry g = BRAGG_GEOMETRY_INIT;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_frame *f, *m;
    uint8_t *mask;
    ck_assert_int_eq(bragg_geometry_set_detector(&g, "Pilatus 300k", NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_new(COLUMNS, ROWS, BRAGG_I32, &f, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_new(COLUMNS, ROWS, BRAGG_U8, &m, NULL), BRAGG_OK);
    ((int32_t *)f->data)[17 * COLUMNS + 23] = -2;
    ((uint8_t *)m->data)[31 * COLUMNS + 41] = 7;
    ck_assert_int_eq(bragg_frame_write_tiff(m, masks[0], true, NULL), BRAGG_OK);
    FILE *yaml = fopen(masks[3], "w");
    fprintf(yaml, "circles: [[101.5, 57.5, 0.6]]\n");
    fclose(yaml);
    ck_assert_msg(bragg_mask_read(masks, 4, "both", &g, NULL, f, &mask, &err) == BRAGG_OK, "%s", err.text);
    size_t masked = 0;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        masked += mask[i];
    ck_assert_uint_eq(masked, 3 + 2 * 17 * COLUMNS);
    ck_assert(mask[17 * COLUMNS + 23] && mask[(ROWS - 1 - 31) * COLUMNS + COLUMNS - 1 - 41] && mask[57 * COLUMNS + 101]);
    ck_assert(!mask[194 * COLUMNS] && mask[195 * COLUMNS] && mask[211 * COLUMNS] && !mask[212 * COLUMNS]);
    free(mask);
    ck_assert_int_eq(bragg_mask_read(masks, 4, NULL, NULL, NULL, f, &mask, &err), BRAGG_EINVAL);
    ck_assert_ptr_null(mask);
    bool vertical, horizontal;
    ck_assert(!bragg_flip_parse("sideways", &vertical, &horizontal) && bragg_flip_parse("vertical", &vertical, &horizontal) && vertical && !horizontal);
    unlink(masks[0]);
    unlink(masks[3]);
    bragg_frame_free(f);
    bragg_frame_free(m);
}
END_TEST

/* A stop with an arm that lets most through, rings that are brighter, a gap over the
 * beam, horizontal polarization. */
START_TEST(the_beam_stop_is_found_and_nothing_where_there_is_none)
{
    enum { ROWS = 311, COLUMNS = 287 };
    bragg_geometry g = { 0.2137, 0.0271, 0.0232, 0.013, -0.022, 0, 172e-6, 172e-6, ROWS, COLUMNS, 0.7107, 3, "" };
    double row, column;
    ck_assert(bragg_geometry_point(&g, 0, 0, &row, &column));
    for (int with_stop = 0; with_stop < 2; with_stop++) {
        bragg_frame *f;
        uint8_t *mask = calloc(ROWS * COLUMNS, 1);
        unsigned long long seed = 99;
        size_t found, shadow = 0, hit = 0, wrong = 0;
        bragg_frame_new(COLUMNS, ROWS, BRAGG_I32, &f, NULL);
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            double a = (double)(i / COLUMNS) + 0.5 - row, b = (double)(i % COLUMNS) + 0.5 - column, along = 0.8 * b + 0.6 * a, across = 0.8 * a - 0.6 * b;
            bragg_ray ray = bragg_geometry_ray(&g, (double)(i / COLUMNS) + 0.5, (double)(i % COLUMNS) + 0.5);
            bool stop = hypot(a, b) < 11, arm = along > 0 && fabs(across) < 5, gap = fabs(a) < 4;
            double ring = fmod(hypot(a, b), 37.3) < 2.5 && hypot(a, b) > 20 ? 5 : 1;
            double mean = (30 + 400 * exp(-hypot(a, b) / 40)) * ring * bragg_polarization(ray.two_theta_rad, ray.chi_rad, 0.99);
            mean *= !with_stop ? 1 : stop ? 0.02 : arm ? 0.6 : 1;
            set_pixel(f, i, gap ? -1 : counts_of(mean, &seed));
        }
        bragg_frame_mark_invalid(f, mask);
        ck_assert_int_eq(bragg_mask_beam_stop(f, &g, 0.99, mask, &found, NULL), BRAGG_OK);
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            double a = (double)(i / COLUMNS) + 0.5 - row, b = (double)(i % COLUMNS) + 0.5 - column, along = 0.8 * b + 0.6 * a, across = 0.8 * a - 0.6 * b;
            bool inside = hypot(a, b) < 11 || (along > 0 && fabs(across) < 5), far = hypot(a, b) > 16 && (along < -4 || fabs(across) > 11), gap = ((int32_t *)f->data)[i] < 0;
            shadow += inside && !gap;
            hit += inside && !gap && mask[i];
            wrong += far && !gap && mask[i];
        }
        printf("beam stop: %zu pixels found, %zu of %zu in the shadow, %zu far from it\n", found, hit, shadow, wrong);
        fflush(stdout);
        if (with_stop)
            ck_assert(hit * 100 > shadow * 98 && wrong < 20);
        else
            ck_assert_uint_eq(found, 0);
        free(mask);
        bragg_frame_free(f);
    }
}
END_TEST

START_TEST(the_beam_stops_of_real_frames_are_found)
{
    static const struct { const char *frame, *poni; bool turned; size_t least, most; double row, column; } cases[] = {
        { "data/frames/CeO2_Pilatus1M.tif", "data/frames/CeO2_Pilatus1M.poni", true, 17000, 20000, 443, 782 },
        { "data/frames/CeO2_Pilatus2M.cbf", "data/frames/CeO2_Pilatus2M.poni", false, 42000, 48000, 1154, 318 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char frame[512], poni[512];
        bragg_frame *f;
        bragg_geometry g;
        bragg_error err = BRAGG_ERROR_INIT;
        size_t found;
        if (!shared_file(frame, cases[k].frame) || !shared_file(poni, cases[k].poni)) {
            printf("skipped: no %s\n", frame);
            continue;
        }
        ck_assert_msg(bragg_frame_read(frame, 0, &f, &err) == BRAGG_OK && bragg_geometry_read_poni(poni, &g, &err) == BRAGG_OK, "%s", err.text);
        bragg_frame_flip(f, cases[k].turned, false);
        uint8_t *mask = calloc(f->width * f->height, 1);
        bragg_frame_mark_invalid(f, mask);
        ck_assert_int_eq(bragg_mask_beam_stop(f, &g, 0.99, mask, &found, NULL), BRAGG_OK);
        printf("%s: %zu pixels of beam stop and arm\n", cases[k].frame, found);
        fflush(stdout);
        ck_assert(found > cases[k].least && found < cases[k].most);
        ck_assert(mask[(size_t)cases[k].row * f->width + (size_t)cases[k].column]); /* on the arm */
        free(mask);
        bragg_frame_free(f);
    }
}
END_TEST

START_TEST(masks_are_drawn_and_learnt)
{
    const char *path = "test_detector.tmp.yaml";
    uint8_t *mask = calloc(60 * 50, 1);
    bragg_error err = BRAGG_ERROR_INIT;
    FILE *out = fopen(path, "w");
    fputs("rectangles: [[2, 3, 7, 9]]\ncircles: [[30, 40, 4.2]]\npolygons: [[[20, 5], [30, 5], [25, 14]]]\n", out);
    fclose(out);
    ck_assert_msg(bragg_mask_read_yaml(path, NULL, NULL, 60, 50, mask, &err) == BRAGG_OK, "%s", err.text);
    size_t n = 0;
    for (size_t i = 0; i < 60 * 50; i++)
        n += mask[i];
    ck_assert(mask[3 * 50 + 2] && mask[8 * 50 + 6] && !mask[9 * 50 + 6] && mask[39 * 50 + 29] && mask[6 * 50 + 25] && !mask[13 * 50 + 21]);
    ck_assert(n > 30 + 45 + 40 && n < 30 + 65 + 52);
    out = fopen(path, "w");
    fputs("rings: [[1, 2]]\n", out);
    fclose(out);
    ck_assert_int_eq(bragg_mask_read_yaml(path, NULL, NULL, 60, 50, mask, &err), BRAGG_EDATA);
    memset(mask, 0, 60 * 50);
    ck_assert_int_eq(bragg_mask_read_yaml(path, &awkward, NULL, 60, 50, mask, &err), BRAGG_OK);
    for (size_t i = 0; i < 60 * 50; i++) {
        bragg_geometry g = awkward;
        g.rows = 60;
        g.columns = 50;
        double tth = bragg_geometry_ray(&g, (double)(i / 50) + 0.5, (double)(i % 50) + 0.5).two_theta_rad / BRAGG_DEG;
        ck_assert(mask[i] == (tth >= 1 && tth <= 2));
    }
    out = fopen(path, "w");
    fputs("circels: [[1, 2, 3]]\n", out);
    fclose(out);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_mask_read_yaml(path, NULL, NULL, 60, 50, mask, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "circles"));
    unlink(path);
    bragg_frame *f[8];
    unsigned long long seed = 3;
    for (int k = 0; k < 8; k++) {
        bragg_frame_new(50, 60, BRAGG_U16, &f[k], NULL);
        for (size_t i = 0; i < 60 * 50; i++)
            set_pixel(f[k], i, i == 777 ? 900 : i == 1234 ? 0 : fmax(counts_of(50 + (double)(i % 50), &seed), 0));
    }
    memset(mask, 0, 60 * 50);
    ck_assert_int_eq(bragg_mask_learn((const bragg_frame *const *)f, 8, 8, mask, &err), BRAGG_OK);
    for (size_t i = 0; i < 60 * 50; i++)
        ck_assert_msg(mask[i] == (i == 777 || i == 1234), "pixel %zu", i);
    for (int k = 0; k < 8; k++)
        bragg_frame_free(f[k]);
    free(mask);
}
END_TEST

/* Twenty frames without a header; pixel 777 is hot, 1234 never counts. */
static void write_lessons(const char *path)
{
    unsigned long long seed = 5;
    FILE *out = fopen(path, "wb");
    for (int k = 0; k < 20; k++)
        for (size_t i = 0; i < 60 * 50; i++) {
            uint16_t v = (uint16_t)(i == 777 ? 900 : i == 1234 ? 0 : fmax(counts_of(50 + (double)(i % 50), &seed), 0));
            fwrite(&v, sizeof v, 1, out);
        }
    fclose(out);
}

START_TEST(a_mask_is_learnt_from_frames_of_a_file_as_they_are_read)
{
    static const char path[] = "test_detector.tmp.raw", raw[] = "50x60xuint16";
    enum { PIXELS = 60 * 50, HOT = 777, DEAD = 1234, TURNED_HOT = (59 - HOT / 50) * 50 + HOT % 50, TURNED_DEAD = (59 - DEAD / 50) * 50 + DEAD % 50 };
    uint8_t *mask = calloc(PIXELS, 1);
    size_t learnt, n;
    bragg_error err = BRAGG_ERROR_INIT;
    write_lessons(path);
    mask[3] = mask[HOT] = 1; /* known before */
    ck_assert_msg(bragg_mask_learn_file(path, NULL, raw, 8, 60, 50, mask, &learnt, &n, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(learnt == 1 && n == 16);
    for (size_t i = 0; i < PIXELS; i++)
        ck_assert_msg(mask[i] == (i == 3 || i == HOT || i == DEAD), "pixel %zu", i);
    memset(mask, 0, PIXELS);
    ck_assert_msg(bragg_mask_learn_file(path, "vertical", raw, 8, 60, 50, mask, &learnt, &n, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(learnt, 2);
    for (size_t i = 0; i < PIXELS; i++)
        ck_assert_msg(mask[i] == (i == TURNED_HOT || i == TURNED_DEAD), "pixel %zu", i);
    memset(mask, 0, PIXELS);
    ck_assert_int_eq(bragg_mask_learn_file(path, NULL, raw, 8, 50, 60, mask, &learnt, &n, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "expected 60 x 50 pixels, found 50 x 60"), "%s", err.text);
    ck_assert_int_eq(bragg_mask_learn_file(path, NULL, NULL, 8, 60, 50, mask, &learnt, &n, NULL), BRAGG_ENOSUPPORT);
    ck_assert_int_eq(bragg_mask_learn_file(path, "sideways", raw, 8, 60, 50, mask, &learnt, &n, NULL), BRAGG_EINVAL);
    ck_assert_int_eq(bragg_mask_learn_file(path, NULL, raw, 0, 60, 50, mask, &learnt, &n, NULL), BRAGG_EINVAL);
    ck_assert_uint_eq(learnt, 0);
    for (size_t i = 0; i < PIXELS; i++)
        ck_assert_uint_eq(mask[i], 0);
    unlink(path);
    free(mask);
}
END_TEST

/* The camera marks its gaps with -1, dead pixels with -2: the table's are the same. */
START_TEST(gaps_of_the_table_are_those_that_the_camera_marks)
{
    char path[512];
    bragg_frame *f;
    if (!shared_file(path, "data/frames/CeO2_Pilatus1M.tif")) {
        printf("skipped: no %s\n", path);
        return;
    }
    ck_assert_int_eq(bragg_frame_read(path, 0, &f, NULL), BRAGG_OK);
    uint8_t *mask = calloc(f->width * f->height, 1);
    ck_assert_int_eq(bragg_mask_gaps("Pilatus CdTe 1M", f->height, f->width, mask, NULL), BRAGG_OK);
    size_t gaps = 0, marked = 0, wrong = 0;
    for (size_t i = 0; i < f->width * f->height; i++) {
        gaps += mask[i];
        marked += ((int32_t *)f->data)[i] == -1;
        wrong += mask[i] != (((int32_t *)f->data)[i] == -1);
    }
    printf("gaps: %zu pixels in the table, %zu marked, %zu differ\n", gaps, marked, wrong);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_int_eq(bragg_mask_gaps("Pilatus1M", 1000, 981, mask, NULL), BRAGG_EDATA);
    ck_assert_int_eq(bragg_mask_gaps("Pilatus1", 1043, 981, mask, NULL), BRAGG_EINVAL);
    free(mask);
    bragg_frame_free(f);
}
END_TEST

START_TEST(ways_to_split_and_to_normalize_have_the_names_they_are_given_by)
{
    bragg_split split;
    bragg_normalize by;
    for (int k = BRAGG_SPLIT_NONE; k <= BRAGG_SPLIT_FULL; k++)
        ck_assert(bragg_split_parse(bragg_split_name((bragg_split)k), &split) && (int)split == k);
    ck_assert(bragg_split_parse("no", &split) && split == BRAGG_SPLIT_NONE && !bragg_split_parse("half", &split));
    ck_assert_str_eq(bragg_split_name(BRAGG_SPLIT_NONE), "none");
    for (int k = BRAGG_NORMALIZE_MONITOR; k <= BRAGG_NORMALIZE_EXPOSURE; k++)
        ck_assert(bragg_normalize_parse(bragg_normalize_name((bragg_normalize)k), &by) && (int)by == k);
    ck_assert_str_eq(bragg_normalize_name(BRAGG_NORMALIZE_EXPOSURE), "exposure");
    ck_assert(!bragg_normalize_parse("none", &by) && by == BRAGG_NORMALIZE_NONE && !bragg_normalize_parse("time", &by));
}
END_TEST

START_TEST(plans_that_make_no_sense_are_refused)
{
    bragg_plan *plan;
    bragg_error err;
    for (int k = 0; k < 9; k++) {
        static const char *const said[] = { "bins", "range", "polarization", "azimuth", "wavelength", "frame", "distance", "no pixel", "masked" };
        bragg_geometry g = awkward;
        bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
        uint8_t *mask = NULL;
        size_t rows = 211;
        switch (k) {
        case 0: o.n_bins = 0; break;
        case 1: o.first = 0.3; o.last = 0.1; break;
        case 2: o.polarization = 1.5; break;
        case 3: o.chi_first_rad = 0; o.chi_last_rad = 7; break;
        case 4: o.axis = BRAGG_AXIS_Q; g.wavelength_ang = NAN; break;
        case 5: rows = 210; break;
        case 6: g.distance_m = -1; break;
        case 7: o.first = 2.5; o.last = 2.6; break;
        case 8: mask = malloc(211 * 173); memset(mask, 1, 211 * 173); break;
        }
        err = (bragg_error)BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_plan_new(&g, rows, 173, mask, &o, &plan, &err) < 0 && !plan, "case %d", k);
        ck_assert_msg(strstr(err.text, said[k]) != NULL, "case %d: %s", k, err.text);
        free(mask);
    }
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
    static const char *const names[] = { "Pilatus 1M", "pilatus_1m", "Pilatus1M", "PILATUS-1M" };
    for (int k = 0; k < 4; k++) {
        g = (bragg_geometry)BRAGG_GEOMETRY_INIT;
        ck_assert_int_eq(bragg_geometry_set_detector(&g, names[k], NULL), BRAGG_OK);
        ck_assert(g.rows == 1043 && g.columns == 981);
    }
    ck_assert_int_eq(bragg_geometry_set_detector(&g, "Eiger2CdTe_4M", NULL), BRAGG_OK);
    ck_assert(g.rows == 2162 && g.columns == 2068);
    ck_assert_int_eq(bragg_geometry_set_detector(&g, "Pilatus1", &err), BRAGG_EINVAL);
    ck_assert_int_eq(read_text("Detector_config: {\"max_shape\": [-1, 70000]}\n", &g, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "max_shape"));
    g = awkward;
    g.orientation = 6;
    ck_assert_int_eq(bragg_geometry_write_poni(&g, "test_detector.tmp2.poni", true, &err), BRAGG_OK);
    bragg_geometry back;
    ck_assert_int_eq(bragg_geometry_read_poni("test_detector.tmp2.poni", &back, &err), BRAGG_OK);
    ck_assert(back.rot1_rad == g.rot1_rad && back.poni2_m == g.poni2_m && back.orientation == 6 && back.columns == 173);
    assert_close(back.wavelength_ang, g.wavelength_ang, 1e-15);
    ck_assert_str_eq(back.detector, ""); /* any */
    /* a name we know keeps its gaps, unless pixels were put together since */
    ck_assert_int_eq(bragg_geometry_set_detector(&g, "Pilatus1M", NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_geometry_write_poni(&g, "test_detector.tmp2.poni", true, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_geometry_read_poni("test_detector.tmp2.poni", &back, &err), BRAGG_OK);
    ck_assert_str_eq(back.detector, "Pilatus1M");
    ck_assert(back.rows == 1043 && back.columns == 981 && back.pixel_fast_m == g.pixel_fast_m && back.orientation == 6);
    g.pixel_slow_m *= 2;
    g.rows /= 2;
    ck_assert_int_eq(bragg_geometry_write_poni(&g, "test_detector.tmp2.poni", true, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_geometry_read_poni("test_detector.tmp2.poni", &back, &err), BRAGG_OK);
    ck_assert(!*back.detector && back.rows == 521 && back.pixel_slow_m == g.pixel_slow_m);
    unlink("test_detector.tmp2.poni");
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
}

/* Fit2D's parameters as pyFAI 0.21.3 converts them (setFit2D); GSAS-II's by its formula
 * for 2theta, written out. */
START_TEST(geometries_of_other_programs_are_read)
{
    const char *fit2d = "test_detector.tmp.txt", *gsas = "test_detector.tmp.imctrl";
    bragg_geometry g;
    bragg_error err = BRAGG_ERROR_INIT;
    write_text(fit2d, "# by hand\ndirectDist = 208.36\ncenterX: 1019.9\ncenterY: 526.6\ntilt: 3.7996\ntiltPlanRotation: -61.305\npixelX: 200\npixelY: 172\nwavelength: 0.18333\n");
    ck_assert_msg(bragg_geometry_read(fit2d, &g, &err) == BRAGG_OK, "%s", err.text);
    assert_close(g.distance_m, 0.20790201033208405, 1e-12);
    assert_close(g.poni1_m, 0.10268686763042217, 1e-12);
    assert_close(g.poni2_m, 0.1973504293435998, 1e-12);
    assert_close(g.rot1_rad, -0.031877156650467954, 1e-9);
    assert_close(g.rot2_rad, -0.058161349436209625, 1e-9);
    assert_close(g.wavelength_ang, 0.18333, 1e-15);
    write_text(fit2d, "directDist: 208.36\ncenterX: far\n");
    ck_assert_int_eq(bragg_geometry_read(fit2d, &g, &err), BRAGG_EDATA);
    for (int up = 0; up < 2; up++) {
        double distance = 231.7, x0 = 61.3, y0 = 55.9, tilt = 7.31, rotation = 127.9, pixel = 0.15;
        char text[400];
        snprintf(text, sizeof text, "wavelength:0.12398\ndistance:%g\ncenter:[np.float64(%g), %g]\ntilt:%g\nrotation:%g\ninvert_x:False\ninvert_y:%s\nsetdist:100.0\n", distance, x0, y0, tilt, rotation,
                 up ? "True" : "False");
        write_text(gsas, text);
        ck_assert_msg(bragg_geometry_read(gsas, &g, &err) == BRAGG_OK, "%s", err.text);
        g.pixel_slow_m = g.pixel_fast_m = pixel / 1000;
        g.rows = 700;
        g.columns = 800;
        for (int k = 0; k < 20; k++) {
            double slow = 31.3 * k + 5, fast = 37.1 * (k * 7 % 20) + 3;
            double dx = fast * pixel - x0, dy = (up ? 700 - slow : slow) * pixel - y0, t = tilt * BRAGG_DEG, phi = rotation * BRAGG_DEG;
            double z = sin(t) * (dx * sin(phi) - dy * cos(phi)), tth = atan2(sqrt(dx * dx + dy * dy - z * z), distance / cos(t) - z);
            assert_close(bragg_geometry_ray(&g, slow, fast).two_theta_rad, tth, 1e-9);
        }
    }
    write_text(gsas, "distance:100\ntilt:1\nrotation:2\n");
    ck_assert_int_eq(bragg_geometry_read(gsas, &g, &err), BRAGG_EDATA);
    unlink(fit2d);
    unlink(gsas);
}
END_TEST

/* Spacings of a face-centred cell, falling, without strengths. */
static size_t ceria_spacings(double *d, double *strength)
{
    size_t n = 0;
    for (int m = 3; m <= 120; m++) {
        bool seen = false;
        for (int h = 0; h <= 11 && !seen; h++)
            for (int k = 0; k <= h && !seen; k++)
                for (int l = 0; l <= k && !seen; l++)
                    seen = h * h + k * k + l * l == m && h % 2 == k % 2 && k % 2 == l % 2;
        if (seen) {
            d[n] = 5.411651 / sqrt(m);
            strength[n++] = 1;
        }
    }
    return n;
}

/* Real standards, without any hint of the centre: the published geometry again. */
START_TEST(standards_calibrate_without_a_hint)
{
    static const struct { const char *frame, *poni; bool flip; double rough, wavelength, pixel_m, distance_m; } cases[] = {
        { "CeO2_Pilatus1M.tif", "CeO2_Pilatus1M.poni", true, NAN, 0.4066, 172e-6, 0.208651 },
        { "CeO2_Pilatus1M.tif", "CeO2_Pilatus1M.poni", true, 0.2295, 0.4066, 172e-6, 0.208651 },
        { "CeO2_Pilatus2M.cbf", "CeO2_Pilatus2M.poni", false, NAN, 0.1746256, 172e-6, 0.543892 },
        /* .imctrl, centre 168.595, 173.457 mm; its pixels are 150 micrometre (the frame's
         * header), and the steel beside the standard has rings of its own */
        { "nx09_strain_011.mar2300", NULL, false, 1.23, 0.12398, 150e-6, 1.118856 } };
    double d[100], strength[100];
    size_t n = ceria_spacings(d, strength);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char path[512], name[200];
        bragg_frame *f;
        bragg_error err = BRAGG_ERROR_INIT;
        snprintf(name, sizeof name, "data/frames/%s", cases[k].frame);
        if (!shared_file(path, name)) {
            printf("skipped: no %s\n", path);
            return;
        }
        ck_assert_msg(bragg_frame_read(path, 0, &f, &err) == BRAGG_OK, "%s", err.text);
        bragg_frame_flip(f, cases[k].flip, false);
        uint8_t *mask = calloc(f->width * f->height, 1);
        bragg_frame_mark_invalid(f, mask);
        bragg_geometry g = BRAGG_GEOMETRY_INIT;
        g.wavelength_ang = cases[k].wavelength;
        g.pixel_slow_m = g.pixel_fast_m = cases[k].pixel_m;
        bragg_calibrate_options o = BRAGG_CALIBRATE_OPTIONS_INIT;
        o.distance_m = cases[k].rough;
        bragg_calibration *c;
        ck_assert_msg(bragg_calibrate(f, mask, &g, d, strength, n, &o, &c, &err) == BRAGG_OK, "%s: %s", cases[k].frame, err.text);
        double slow, fast, s0 = 2300 - 173.457 / 0.15, f0 = 168.595 / 0.15; /* invert_y */
        ck_assert(bragg_geometry_point(&c->geometry, 0, 0, &slow, &fast));
        if (cases[k].poni) {
            bragg_geometry published;
            snprintf(name, sizeof name, "data/frames/%s", cases[k].poni);
            ck_assert(shared_file(path, name));
            ck_assert_msg(bragg_geometry_read_poni(path, &published, &err) == BRAGG_OK, "%s", err.text);
            published.rows = f->height;
            published.columns = f->width;
            ck_assert(bragg_geometry_point(&published, 0, 0, &s0, &f0));
        }
        printf("%-24s distance %.6f m (published %.6f), centre off by %+.2f %+.2f pixel, %zu rings, rms %.2f pixel\n", cases[k].frame,
               c->geometry.distance_m, cases[k].distance_m, slow - s0, fast - f0, c->n_rings, c->rms_px);
        fflush(stdout);
        assert_close(c->geometry.distance_m, cases[k].distance_m, 1e-4);
        if (cases[k].poni)
            ck_assert(fabs(slow - s0) < 0.3 && fabs(fast - f0) < 0.3);
        bragg_calibration_free(c);
        g.wavelength_ang *= 0.87; /* fits, at another distance, but worse than a longer one */
        if (k == 3) {
            ck_assert_int_eq(bragg_calibrate(f, mask, &g, d, strength, n, &o, &c, &err), BRAGG_ENOCONV);
            ck_assert_msg(strstr(err.text, "check the wavelength"), "%s", err.text);
        }
        free(mask);
        bragg_frame_free(f);
    }
}
END_TEST

/* A calibration as bragg_calibrate leaves it, before it knows how good it is. */
static bragg_calibration *calibration_of(const bragg_geometry *g, size_t room)
{
    static const char *const names[] = { "distance", "poni1", "poni2", "rot1", "rot2", "rot3", "wavelength" };
    bragg_calibration *c = calloc(1, sizeof *c);
    c->geometry = *g;
    c->point = calloc(room, sizeof *c->point);
    c->ring = calloc(room, sizeof *c->ring);
    for (int k = 0; k < BRAGG_CALIBRATE_ROWS; k++) {
        ck_assert_int_eq(bragg_params_add(&c->params, names[k], "", 0, NULL, NULL), BRAGG_OK);
        c->params.at[k].refine = k < BRAGG_CALIBRATE_ROT3;
    }
    return c;
}

/* Frames of a detector on a rail whose steps are known, started off by a per cent. */
START_TEST(frames_at_several_distances_tell_the_wavelength)
{
    enum { FRAMES = 3, RINGS = 9, AZIMUTHS = 60 };
    static const double moved[FRAMES] = { 0, 0.1437, 0.3191 };
    bragg_calibration *c[FRAMES];
    unsigned long long seed = 77;
    double truth = 0.41327;
    for (int k = 0; k < FRAMES; k++) {
        bragg_geometry g = { 0.2731 + moved[k], 0.1713 + 1e-4 * k, 0.1822, 0.0127, -0.0083, 0.3, 172e-6, 172e-6, 2000, 2100, truth, 3, "" };
        c[k] = calibration_of(&g, RINGS * AZIMUTHS);
        for (int r = 0; r < RINGS; r++)
            for (int a = 0; a < AZIMUTHS; a++) {
                bragg_ring_point p = { 0, 0, 0.1, 4.156826 / sqrt(r < 6 ? r + 1 : r + 2) };
                ck_assert(bragg_geometry_point(&g, 2 * asin(truth / (2 * p.d_ang)), 0.1 * a, &p.slow, &p.fast));
                p.slow += 0.1 * (counts_of(100, &seed) - 100) / 10;
                p.fast += 0.1 * (counts_of(100, &seed) - 100) / 10;
                c[k]->point[c[k]->n_points++] = p;
            }
        c[k]->geometry.wavelength_ang = truth * 1.01;
        c[k]->geometry.distance_m *= 0.99;
        c[k]->geometry.rot1_rad = c[k]->geometry.rot2_rad = 0;
    }
    for (int known = 0; known < 2; known++) {
        bragg_calibration_joint_options o = { known ? moved : NULL, false, true };
        bragg_calibration_joint *j;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_msg(bragg_calibrate_together(c, FRAMES, &o, &j, &err) == BRAGG_OK, "%s", err.text);
        const bragg_param *w = &j->params.at[bragg_params_find(&j->params, "wavelength")];
        printf("together, steps %s: wavelength %.6f(%.6f), truth %.6f, rms %.3f pixel\n", known ? "known" : "free", w->value, w->esd, truth, j->rms_px);
        fflush(stdout);
        ck_assert(w->esd < (known ? 5e-5 : 5e-4) && fabs(w->value - truth) < 3.5 * w->esd);
        ck_assert(fabs(j->rms_px - 0.1) < 0.01);
        for (int k = 0; k < FRAMES; k++) {
            ck_assert(fabs(c[k]->geometry.distance_m - 0.2731 - moved[k]) < 4 * c[k]->params.at[0].esd && c[k]->params.at[0].esd > 0);
            ck_assert(fabs(c[k]->geometry.rot1_rad - 0.0127) < 4 * c[k]->params.at[BRAGG_CALIBRATE_ROT1].esd);
            ck_assert(c[k]->geometry.rot3_rad == 0.3 && c[k]->n_rings == RINGS && c[k]->ring[3].points > 50);
        }
        double most = 0;
        for (size_t k = 0; k < j->n_correlations; k++)
            most = fmax(most, fabs(j->correlation[k].value));
        ck_assert(j->n_correlations > 10 && most > 0.9 && most <= 1 + 1e-12);
        bragg_calibration_joint_free(j);
    }
    for (int k = 0; k < FRAMES; k++)
        bragg_calibration_free(c[k]);
}
END_TEST

/* An ellipse: index, "ring,0,x", y, half axes, rotation; its points and their spacing. */
static bool add_ellipse(const char *line, const bragg_geometry *g, bragg_calibration *c)
{
    double v[8];
    int n = 0;
    for (const char *at = line; n < 8 && (at += strspn(at, " ,"), bragg_number_scan(at, &at, &v[n])); n++)
        ;
    if (n < 7)
        return false;
    double radius = (v[5] + v[6]) / 2 * g->pixel_slow_m, d = g->wavelength_ang / (2 * sin(atan(radius / g->distance_m) / 2));
    double m = pow(10.257 / d, 2), whole = 2 * rint(m / 2); /* body-centred: even sums of squares */
    if (fabs(m - whole) > 0.25 || v[1] > 8)
        return false;
    for (int k = 0; k < 60; k++) {
        double t = 2 * BRAGG_PI * k / 60, x = v[5] * cos(t), y = v[6] * sin(t);
        c->point[c->n_points++] = (bragg_ring_point){ v[4] + x * sin(v[7]) + y * cos(v[7]), v[3] + x * cos(v[7]) - y * sin(v[7]), 0.1, 10.257 / sqrt(whole) };
    }
    return true;
}

/* Rings measured on Na2Ca3Al2F14 at distances of 300 to 700 mm: their files say 20 keV,
 * 0.62 angstrom, of an energy that nobody set. */
START_TEST(rings_measured_at_five_distances_tell_their_wavelength)
{
    enum { FRAMES = 5 };
    static const int mm[FRAMES] = { 300, 400, 500, 600, 700 };
    bragg_calibration *c[FRAMES];
    double moved[FRAMES];
    for (int k = 0; k < FRAMES; k++) {
        char path[512], name[100], line[512];
        snprintf(name, sizeof name, "data/frames/nac_rings/17_NAC_dc%d-00000.tif.fitRings", mm[k]);
        if (!shared_file(path, name)) {
            printf("skipped: no %s\n", path);
            for (int i = 0; i < k; i++)
                bragg_calibration_free(c[i]);
            return;
        }
        bragg_geometry g = { mm[k] * 1e-3, 1020.3 * 200e-6, 1034 * 200e-6, 0, 0, 0, 200e-6, 200e-6, 2048, 2048, 0.73, 3, "" };
        c[k] = calibration_of(&g, 60 * 100);
        moved[k] = g.distance_m;
        FILE *in = fopen(path, "r");
        while (fgets(line, sizeof line, in) && c[k]->n_points < 60 * 90)
            if (*line != '#')
                add_ellipse(line, &g, c[k]);
        fclose(in);
        ck_assert_uint_gt(c[k]->n_points, 120);
    }
    bragg_calibration_joint_options o = { moved, false, true };
    bragg_calibration_joint *j;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_calibrate_together(c, FRAMES, &o, &j, &err) == BRAGG_OK, "%s", err.text);
    const bragg_param *w = &j->params.at[bragg_params_find(&j->params, "wavelength")];
    printf("rings at 300 to 700 mm: wavelength %.5f(%.5f), first distance %.5f m, rms %.2f pixel\n", w->value, w->esd, c[0]->geometry.distance_m, j->rms_px);
    fflush(stdout);
    /* the first ring at a nominal 500 mm alone: 252.117 pixels, d = 7.2528 angstrom */
    assert_close(w->value, 2 * 7.2528 * sin(atan(252.117 * 200e-6 / 0.5) / 2), 5e-4);
    assert_close(c[0]->geometry.distance_m, 0.3, 5e-3);
    ck_assert(j->rms_px < 0.5);
    bragg_calibration_joint_free(j);
    for (int k = 0; k < FRAMES; k++)
        bragg_calibration_free(c[k]);
}
END_TEST

/* Rings of something else: it says so instead of guessing. */
/* Rings at wide angles tell the wavelength, layers near the beam only its product with
 * the distance. */
START_TEST(an_unknown_wavelength_is_found_or_said_not_to_be_there)
{
    char path[512];
    bragg_geometry g = BRAGG_GEOMETRY_INIT;
    bragg_frame *f;
    uint8_t *mask;
    bragg_calibration *c;
    bragg_error err = BRAGG_ERROR_INIT;
    double d[100], strength[100];
    if (!shared_file(path, "data/frames/CeO2_Pilatus1M.tif")) {
        printf("skipped: no %s\n", path);
        return;
    }
    size_t n = ceria_spacings(d, strength);
    f = read_ceria(&mask);
    g.pixel_slow_m = g.pixel_fast_m = 172e-6;
    ck_assert_msg(bragg_calibrate(f, mask, &g, d, strength, n, NULL, &c, &err) >= 0, "%s", err.text);
    const bragg_param *wavelength = &c->params.at[BRAGG_CALIBRATE_WAVELENGTH];
    printf("unknown wavelength: %.5f(%.5f) angstrom, %.5f m, rms %.3f pixel\n", wavelength->value, wavelength->esd, c->geometry.distance_m, c->rms_px);
    fflush(stdout);
    assert_close(wavelength->value, 0.4066, 2e-3);
    assert_close(c->geometry.distance_m, 0.208651, 2e-3);
    bragg_calibration_free(c);
    free(mask);
    bragg_frame_free(f);
    ck_assert(shared_file(path, "data/frames/AgBehenate_003.tif"));
    ck_assert_msg(bragg_frame_read(path, 0, &f, &err) == BRAGG_OK, "%s", err.text);
    for (n = 0; n < 20; n++) {
        d[n] = 58.38 / (double)(n + 1);
        strength[n] = 1;
    }
    g.pixel_slow_m = f->pixel_slow_m;
    g.pixel_fast_m = f->pixel_fast_m;
    ck_assert_int_eq(bragg_calibrate(f, NULL, &g, d, strength, n, NULL, &c, &err), BRAGG_ENOCONV);
    ck_assert_msg(strstr(err.text, "product") != NULL, "%s", err.text);
    bragg_frame_free(f);
}
END_TEST

START_TEST(a_frame_without_the_standard_is_not_calibrated)
{
    bragg_frame *f;
    bragg_calibration *c;
    bragg_error err = BRAGG_ERROR_INIT;
    double d[100], strength[100];
    size_t n = ceria_spacings(d, strength);
    ck_assert_int_eq(bragg_frame_new(400, 300, BRAGG_U16, &f, NULL), BRAGG_OK);
    unsigned seed = 9;
    for (size_t i = 0; i < 400 * 300; i++) {
        seed = seed * 1664525u + 1013904223u;
        ((uint16_t *)f->data)[i] = (uint16_t)(100 + (seed >> 27));
    }
    bragg_geometry g = BRAGG_GEOMETRY_INIT;
    g.wavelength_ang = 0.4;
    ck_assert_int_eq(bragg_calibrate(f, NULL, &g, d, strength, n, NULL, &c, &err), BRAGG_EINVAL);
    g.pixel_slow_m = g.pixel_fast_m = 1e-4;
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_calibrate(f, NULL, &g, d, strength, n, NULL, &c, &err), BRAGG_ENOCONV);
    ck_assert_ptr_nonnull(strstr(err.text, "calibration: "));
    bragg_frame_free(f);
}
END_TEST

static void keep_last(void *payload, int level, const char *text)
{
    snprintf(payload, 100, "%s", text);
    (void)level;
}

static bragg_status start(const bragg_calibrate_known *known, const bragg_frame *f, char heard[100], bragg_geometry *g, bragg_error *err)
{
    bragg_observer hear = { keep_last, NULL, heard };
    *heard = '\0';
    *err = (bragg_error)BRAGG_ERROR_INIT;
    return bragg_calibrate_start(known, f, &hear, g, err);
}

START_TEST(a_calibration_starts_from_what_is_said_and_then_from_the_header)
{
    const char *path = "test_detector.tmp.poni";
    bragg_calibrate_known known = BRAGG_CALIBRATE_KNOWN_INIT;
    bragg_frame *f;
    bragg_geometry g;
    bragg_error err = BRAGG_ERROR_INIT;
    char heard[100];
    ck_assert_int_eq(bragg_frame_new(173, 211, BRAGG_U16, &f, &err), BRAGG_OK);
    ck_assert_int_eq(start(&known, f, heard, &g, &err), BRAGG_EINVAL);
    ck_assert_msg(strstr(err.text, "--pixel-um SIZE"), "%s", err.text);
    f->pixel_slow_m = 150e-6;
    f->pixel_fast_m = 151e-6;
    ck_assert_msg(start(&known, f, heard, &g, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(g.pixel_slow_m == 150e-6 && g.pixel_fast_m == 151e-6 && isnan(g.wavelength_ang));
    ck_assert_str_eq(heard, "no wavelength given, none in the frame's header: looking for one");
    f->wavelength_ang = 0.7107;
    ck_assert_int_eq(start(&known, f, heard, &g, &err), BRAGG_OK);
    ck_assert(g.wavelength_ang == 0.7107);
    ck_assert_str_eq(heard, "wavelength 0.7107 angstrom from the frame's header");
    known.wavelength_ang = 0.4133;
    known.pixel_m = 99e-6;
    ck_assert_int_eq(start(&known, f, heard, &g, &err), BRAGG_OK);
    ck_assert(g.wavelength_ang == 0.4133 && g.pixel_slow_m == 99e-6 && g.pixel_fast_m == 99e-6);
    ck_assert_str_eq(heard, "");
    known.detector = "Pilatus1M";
    ck_assert_int_eq(start(&known, f, heard, &g, &err), BRAGG_OK); /* but of another shape and size */
    ck_assert(g.pixel_slow_m == 99e-6);
    known.pixel_m = NAN;
    ck_assert_int_eq(start(&known, f, heard, &g, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "expected a frame of 1043 x 981 pixels (rows x columns), found 211 x 173"), "%s", err.text);
    known.detector = "Pilatos1M";
    ck_assert_int_eq(start(&known, f, heard, &g, &err), BRAGG_EINVAL);
    known = (bragg_calibrate_known)BRAGG_CALIBRATE_KNOWN_INIT;
    ck_assert_int_eq(bragg_geometry_write_poni(&awkward, path, true, &err), BRAGG_OK);
    known.poni = path;
    f->wavelength_ang = 0.5594;
    ck_assert_msg(start(&known, f, heard, &g, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(g.pixel_slow_m == 172e-6 && g.pixel_fast_m == 151e-6);
    assert_close(g.distance_m, 0.2137, 1e-14);
    assert_close(g.wavelength_ang, 0.7107, 1e-12);
    unlink(path);
    bragg_frame_free(f);
}
END_TEST

/* Ceria on a small detector: rings on a background, at 0.1537 m. */
static bragg_frame *small_rings(const bragg_geometry *g, const double *d, size_t n)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(g->columns, g->rows, BRAGG_U16, &f, NULL), BRAGG_OK);
    for (size_t i = 0; i < g->rows * g->columns; i++) {
        double tth = bragg_geometry_ray(g, (double)(i / g->columns) + 0.5, (double)(i % g->columns) + 0.5).two_theta_rad, sum = 100;
        for (size_t k = 0; k < n && g->wavelength_ang < 2 * d[k]; k++) {
            double off = (tth - 2 * asin(g->wavelength_ang / (2 * d[k]))) / 0.0017;
            sum += 900 * exp(-off * off / 2);
        }
        set_pixel(f, i, rint(sum));
    }
    return f;
}

START_TEST(a_wrong_distance_in_a_header_is_passed_over_and_a_wrong_one_given_is_said)
{
    bragg_geometry g = { 0.1537, 0.0411, 0.0392, 0.007, -0.011, 0, 172e-6, 172e-6, 481, 453, 0.4066, 3, "" }, start = BRAGG_GEOMETRY_INIT;
    double d[100], strength[100];
    size_t n = ceria_spacings(d, strength);
    bragg_frame *f = small_rings(&g, d, n);
    bragg_calibrate_options o = BRAGG_CALIBRATE_OPTIONS_INIT;
    bragg_calibration *c;
    bragg_error err = BRAGG_ERROR_INIT;
    start.pixel_slow_m = start.pixel_fast_m = 172e-6;
    start.wavelength_ang = 0.4066;
    static const double header_m[] = { NAN, 0.1537, 0.29, 1e6 };
    for (size_t k = 0; k < sizeof header_m / sizeof *header_m; k++) {
        f->distance_m = header_m[k];
        ck_assert_msg(bragg_calibrate_find(f, NULL, &start, d, strength, n, &o, &c, &err) == BRAGG_OK, "header %g: %s", header_m[k], err.text);
        assert_close(c->geometry.distance_m, 0.1537, 1e-4);
        bragg_calibration_free(c);
    }
    f->distance_m = 0.1537; /* what is given counts more */
    o.distance_m = 0.29;
    ck_assert_int_eq(bragg_calibrate_find(f, NULL, &start, d, strength, n, &o, &c, &err), BRAGG_ENOCONV);
    ck_assert_ptr_null(c);
    ck_assert_msg(strstr(err.text, "give --distance-mm 153.") || strstr(err.text, "give --distance-mm 154"), "%s", err.text);
    o.distance_m = NAN;
    o.fixed[BRAGG_CALIBRATE_DISTANCE] = true;
    start.distance_m = 0.154;
    f->distance_m = 0.29;
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_calibrate_find(f, NULL, &start, d, strength, n, &o, &c, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(c->geometry.distance_m == 0.154);
    bragg_calibration_free(c);
    start.distance_m = 0.29;
    ck_assert_int_eq(bragg_calibrate_find(f, NULL, &start, d, strength, n, &o, &c, &err), BRAGG_ENOCONV);
    ck_assert_msg(!strstr(err.text, "--distance-mm"), "%s", err.text);
    bragg_frame_free(f);
}
END_TEST

/* Only the first header has a wavelength, which is wrong by 0.3 %. */
START_TEST(frames_of_a_moved_detector_are_calibrated_together)
{
    static const char *const path[] = { "test_detector.0.tmp.edf", "test_detector.1.tmp.edf", "test_detector.2.tmp.edf" };
    static const double moved_m[] = { 0, 0.05, 0.1 };
    enum { N = sizeof path / sizeof *path };
    bragg_geometry g = { 0.1537, 0.0411, 0.0392, 0.007, -0.011, 0, 172e-6, 172e-6, 481, 453, 0.4066, 3, "" };
    bragg_calibrate_known known = BRAGG_CALIBRATE_KNOWN_INIT;
    bragg_calibrate_options o = BRAGG_CALIBRATE_OPTIONS_INIT;
    bragg_calibration_joint_options together = { moved_m, false, true };
    bragg_calibrate_shot *s;
    bragg_calibration_joint *j;
    bragg_error err = BRAGG_ERROR_INIT;
    double d[100], strength[100];
    size_t n = ceria_spacings(d, strength);
    for (size_t k = 0; k < N; k++, g.distance_m += 0.05) {
        bragg_frame_stack *to;
        bragg_frame *f = small_rings(&g, d, n);
        f->wavelength_ang = k ? NAN : 1.003 * g.wavelength_ang;
        ck_assert_int_eq(bragg_frame_stack_open(path[k], 1, true, &to, &err), BRAGG_OK);
        ck_assert_int_eq(bragg_frame_stack_add(to, f, &err), BRAGG_OK);
        ck_assert_msg(bragg_frame_stack_commit(to, &err) == BRAGG_OK, "%s", err.text);
        bragg_frame_free(f);
    }
    known.pixel_m = 172e-6;
    ck_assert_msg(bragg_calibrate_read(path, N, &known, NULL, &s, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = 0; k < N; k++) {
        assert_close(s[k].geometry.wavelength_ang, 1.003 * 0.4066, 1e-6);
        ck_assert(s[k].mask && s[k].frame->width == 453 && s[k].path == path[k] && !s[k].found);
    }
    o.fit_wavelength = true;
    ck_assert_msg(bragg_calibrate_shots(s, N, d, strength, n, &o, &together, &j, &err) >= 0, "%s", err.text);
    printf("moved detector: wavelength %.6f of 0.406600 angstrom, distances", s[0].found->geometry.wavelength_ang);
    for (size_t k = 0; k < N; k++) {
        printf(" %.6f", s[k].found->geometry.distance_m);
        assert_close(s[k].found->geometry.wavelength_ang, 0.4066, 5e-5);
        assert_close(s[k].found->geometry.distance_m, 0.1537 + moved_m[k], 5e-5);
    }
    printf(" m\n");
    bragg_calibration_joint_free(j);
    bragg_calibrate_shots_free(s, N);
    ck_assert_msg(bragg_calibrate_read(path, 1, &known, NULL, &s, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_calibrate_shots(s, 1, d, strength, n, NULL, NULL, &j, &err) >= 0, "%s", err.text);
    ck_assert_ptr_null(j); /* one alone keeps the wavelength it was told */
    assert_close(s[0].found->geometry.wavelength_ang, 1.003 * 0.4066, 1e-6);
    bragg_calibrate_shots_free(s, 1);
    unlink(path[1]);
    ck_assert_int_eq(bragg_calibrate_read(path, N, &known, NULL, &s, &err), BRAGG_EIO);
    ck_assert_ptr_null(s);
    ck_assert_msg(!strncmp(err.text, path[1], strlen(path[1])) && !strstr(err.text + 1, path[1]), "%s", err.text); /* once */
    unlink(path[0]);
    unlink(path[2]);
}
END_TEST

START_TEST(the_ceria_frame_is_sharpest_the_right_way_up)
{
    bragg_geometry g;
    if (!ceria(&g))
        return;
    uint8_t *mask;
    bragg_frame *f = read_ceria(&mask); /* flipped: orientation 3 of the PONI file */
    double s[8];
    ck_assert_int_eq(bragg_calibrate_orientations(f, mask, &g, s, NULL), BRAGG_OK);
    for (int k = 0; k < 8; k++)
        ck_assert_msg(k == 2 || isnan(s[k]) || s[k] < 0.6 * s[2], "orientation %d: %g, %g", k + 1, s[k], s[2]);
    free(mask);
    bragg_frame_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("detector");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_test(all, pixels_agree_with_pyfai);
    tcase_add_test(all, integration_agrees_with_pyfai);
    tcase_add_test(all, rays_and_points_are_inverse_in_all_orientations);
    tcase_add_test(all, a_turned_frame_with_its_orientation_gives_the_same_pattern);
    tcase_add_test(all, derivatives_of_rays_agree_with_differences);
    tcase_add_test(all, cakes_agree_with_pyfai);
    tcase_add_test(all, full_splitting_of_cakes_is_that_of_many_points_a_pixel);
    tcase_add_test(all, counts_are_conserved_and_a_flat_frame_stays_flat);
    tcase_add_test(all, sectors_add_up_to_the_circle);
    tcase_add_test(all, the_first_bin_holds_its_own_pixels_only);
    tcase_add_test(all, the_range_is_that_of_the_pixels);
    tcase_add_test(all, angles_of_many_vectors_are_those_of_atan2);
    tcase_add_test(all, one_and_four_threads_give_the_same_bits);
    tcase_add_test(all, pixels_that_a_frame_marks_count_as_if_masked_in_all_types);
    tcase_add_test(all, dark_and_variance_frames_do_what_they_say);
    tcase_add_test(all, frames_together_give_the_bits_of_each_alone);
    tcase_add_test(all, frames_of_short_counts_give_the_same_bits_however_many);
    tcase_add_test(all, repeated_frames_differ_by_their_errors);
    tcase_add_test(all, outliers_are_rejected_and_what_is_left_has_the_right_errors);
    tcase_add_test(all, monitors_flats_and_oblique_sensors_divide);
    tcase_add_test(all, a_flat_sample_absorbs_what_leaves_it_at_an_angle);
    tcase_add_test(all, logarithmic_bins_hold_the_counts_of_their_range);
    tcase_add_test(all, a_bin_is_the_ratio_of_sums_or_the_mean_of_corrected_pixels);
    tcase_add_test(all, bins_that_share_pixels_vary_together_as_the_band_says);
    tcase_add_test(all, a_saved_plan_gives_the_same_bits_and_a_damaged_one_is_made_anew);
    tcase_add_test(all, masks_of_all_kinds_add_up);
    tcase_add_test(all, the_beam_stop_is_found_and_nothing_where_there_is_none);
    tcase_add_test(all, the_beam_stops_of_real_frames_are_found);
    tcase_add_test(all, masks_are_drawn_and_learnt);
    tcase_add_test(all, a_mask_is_learnt_from_frames_of_a_file_as_they_are_read);
    tcase_add_test(all, gaps_of_the_table_are_those_that_the_camera_marks);
    tcase_add_test(all, ways_to_split_and_to_normalize_have_the_names_they_are_given_by);
    tcase_add_test(all, plans_that_make_no_sense_are_refused);
    tcase_add_test(all, poni_files_of_all_versions_read_and_bad_ones_are_told);
    tcase_add_test(all, geometries_of_other_programs_are_read);
    tcase_add_test(all, standards_calibrate_without_a_hint);
    tcase_add_test(all, frames_at_several_distances_tell_the_wavelength);
    tcase_add_test(all, rings_measured_at_five_distances_tell_their_wavelength);
    tcase_add_test(all, an_unknown_wavelength_is_found_or_said_not_to_be_there);
    tcase_add_test(all, a_frame_without_the_standard_is_not_calibrated);
    tcase_add_test(all, a_calibration_starts_from_what_is_said_and_then_from_the_header);
    tcase_add_test(all, a_wrong_distance_in_a_header_is_passed_over_and_a_wrong_one_given_is_said);
    tcase_add_test(all, frames_of_a_moved_detector_are_calibrated_together);
    tcase_add_test(all, the_ceria_frame_is_sharpest_the_right_way_up);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
