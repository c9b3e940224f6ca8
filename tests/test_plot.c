/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures: whole files, the numbers beside them, ticks, input that is no good. */
#include "config.h"
#include "close.h"
#include "folder.h"
#include "suite.h"

#include "../src/plot/figure.h"
#include "../src/plot/page.h"

#include <bragg/number.h>
#include <bragg/plot.h>
#include <dirent.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fontconfig keeps its configuration for the life of the process. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libpango\nleak:libglib\n";
}

static char before[4000]; /* where we were */

static void enter_folder(void)
{
    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    make_folder("plot");
    ck_assert_int_eq(chdir(folder), 0);
}

static int count_files(void)
{
    int n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static void leave_folder(void)
{
    ck_assert_int_eq(chdir(before), 0);
    ck_assert(drop_folder());
}

static unsigned char *slurp(const char *path, size_t *n)
{
    struct stat info;
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f && fstat(fileno(f), &info) == 0, "no file %s", path);
    unsigned char *bytes = malloc((size_t)info.st_size + 1);
    *n = fread(bytes, 1, (size_t)info.st_size, f);
    bytes[*n] = '\0';
    fclose(f);
    return bytes;
}

/* Tags nest and close, attributes are quoted: enough to tell a broken file. */
static void assert_well_formed(const char *text)
{
    char stack[64][32];
    int depth = 0, elements = 0;
    for (const char *p = text; (p = strchr(p, '<'));) {
        const char *end = strchr(p, '>');
        ck_assert_ptr_nonnull(end);
        size_t quotes = 0, n = strcspn(p + 1, " \t\r\n/>");
        for (const char *q = p; q < end; q++)
            quotes += *q == '"';
        ck_assert_uint_eq(quotes % 2, 0);
        if (p[1] == '/') {
            n = strcspn(p + 2, " >");
            ck_assert_int_gt(depth, 0);
            depth--;
            ck_assert_msg(strlen(stack[depth]) == n && !strncmp(stack[depth], p + 2, n), "<%s> closed by %.20s", stack[depth], p);
        } else if (p[1] != '?' && p[1] != '!' && end[-1] != '/') {
            ck_assert_int_lt(depth, 64);
            snprintf(stack[depth++], 32, "%.*s", (int)n, p + 1);
            elements++;
        }
        p = end;
    }
    ck_assert_int_eq(depth, 0);
    ck_assert_int_gt(elements, 0);
}

static void assert_whole(const char *path)
{
    size_t n;
    unsigned char *b = slurp(path, &n);
    const char *dot = strrchr(path, '.');
    ck_assert_uint_gt(n, 500);
    if (!strcmp(dot, ".png")) {
        ck_assert(!memcmp(b, "\x89PNG\r\n\x1a\n", 8) && !memcmp(b + 37, "pHYs", 4));
        ck_assert(!memcmp(b + n - 8, "IEND\xae\x42\x60\x82", 8));
    } else if (!strcmp(dot, ".pdf")) {
        ck_assert(!memcmp(b, "%PDF-1.", 7) && strstr((char *)b + n - 8, "%%EOF"));
    } else {
        ck_assert_uint_eq(strlen((char *)b), n);
        assert_well_formed((char *)b);
    }
    free(b);
}

/* The numbers of one line of a table; an empty field is NAN. */
static size_t fields(const char *line, double *v, size_t room)
{
    size_t n = 0;
    while (n < room) {
        size_t k = strcspn(line, ",\n");
        if (!bragg_number_parse_n(line, k, v + n))
            v[n] = NAN;
        n++;
        if (line[k] != ',')
            break;
        line += k + 1;
    }
    return n;
}

enum { N = 400 };
static double x[N], y_obs[N], y_calc[N], background[N], sigma[N];
static const double ticks_a[] = { 0.31, 0.5127, 0.77 }, ticks_b[] = { 0.4013 };
static const bragg_plot_phase phases[] = { { "Na2Ca3Al2F14", 3, ticks_a }, { "a, \"b\" & <c", 1, ticks_b } };

static bragg_plot_fit make_fit(void)
{
    for (int i = 0; i < N; i++) {
        x[i] = 0.2 + 0.0017 * i;
        background[i] = 31.7 + 3 * sin(0.01 * i);
        y_calc[i] = background[i];
        for (int k = 0; k < 3; k++)
            y_calc[i] += 9731.3 / (k + 1) * exp(-pow((x[i] - ticks_a[k]) / 0.004, 2));
        y_obs[i] = y_calc[i] + sqrt(y_calc[i]) * sin(37.1 * i * i);
        sigma[i] = sqrt(y_calc[i]);
    }
    return (bragg_plot_fit){ .n = N, .x = x, .observed = y_obs, .sigma = sigma, .calculated = y_calc, .background = background,
                             .axis = BRAGG_AXIS_TTH, .wavelength_ang = 0.7107, .n_phases = 2, .phases = phases };
}

static bragg_status draw_rietveld(const char *path, bragg_error *err)
{
    bragg_plot_fit fit = make_fit();
    bragg_plot_rietveld_options o = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
    o.rwp_percent = 7.31, o.gof = 1.23, o.inset_min = 0.6, o.inset_max = 0.8, o.page.title = "a <b>bold</b> title";
    return bragg_plot_rietveld(&fit, &o, path, err);
}

static bragg_pattern *make_pattern(double factor)
{
    bragg_pattern *p = bragg_pattern_new(N, BRAGG_AXIS_TTH);
    make_fit();
    for (int i = 0; i < N; i++)
        p->x[i] = x[i], p->y[i] = factor * y_obs[i], p->sigma[i] = NAN;
    p->wavelength_ang = 1.2345;
    return p;
}

static bragg_status draw_patterns(const char *path, bragg_error *err)
{
    bragg_pattern *p[2] = { make_pattern(1), make_pattern(1.37) };
    const char *labels[] = { "25 °C", NULL };
    bragg_status st = bragg_plot_patterns((const bragg_pattern *const *)p, labels, 2, NULL, path, err);
    bragg_pattern_free(p[0]);
    bragg_pattern_free(p[1]);
    return st;
}

enum { FRAMES = 23 };
static bragg_status draw_contour(const char *path, bragg_error *err)
{
    static double map[FRAMES * N], t[FRAMES], volts[FRAMES];
    make_fit();
    for (int f = 0; f < FRAMES; f++) {
        t[f] = 61.3 * f + (f > 10 ? 700 : 0);
        volts[f] = 0.01 + 0.1 * f;
        for (int i = 0; i < N; i++)
            map[f * N + i] = y_obs[(i + f) % N];
    }
    map[77] = NAN;
    const bragg_plot_curve curves[] = { { FRAMES, t, volts, NULL, "Voltage (V)" }, { FRAMES, t, t, NULL, "Temperature (K)" } };
    const bragg_plot_span spans[] = { { "K3Bi", 0, 300 }, { "KBi2", 200, 1e9 }, { "K3Bi", 900, 1000 } };
    bragg_plot_map m = { .n = N, .frames = FRAMES, .x = x, .time_s = t, .intensity = map, .axis = BRAGG_AXIS_TTH, .n_curves = 2,
                         .curves = curves, .n_spans = 3, .spans = spans, .n_marks = 1, .marks_s = t + 9 };
    return bragg_plot_contour(&m, NULL, path, err);
}

static bragg_status draw_frame(const char *path, bragg_error *err)
{
    enum { ROWS = 61, COLUMNS = 83 };
    static double v[ROWS * COLUMNS];
    static bool mask[ROWS * COLUMNS];
    static const double ring[2][3] = { { 3, 40, 70 }, { 5, 30.5, 7 } };
    for (int i = 0; i < ROWS * COLUMNS; i++)
        v[i] = (i * 7919) % 1013, mask[i] = i % 17 == 3;
    bragg_plot_curve curve = { 3, ring[0], ring[1], NULL, "111" };
    bragg_plot_frame_options o = BRAGG_PLOT_FRAME_OPTIONS_INIT;
    o.n_curves = 1, o.curves = &curve;
    return bragg_plot_frame(v, mask, ROWS, COLUMNS, &o, path, err);
}

static bragg_status draw_series(const char *path, bragg_error *err)
{
    make_fit();
    const bragg_plot_curve a = { 40, x, y_obs, sigma, "BiSnSb" }, b[] = { a, { 40, x, y_calc, NULL, NULL } };
    const bragg_plot_panel panels[] = { { "<i>a</i> (Å)", 1, &a, BRAGG_PLOT_LINEAR, NAN, NAN, false },
                                        { "wt%", 2, b, BRAGG_PLOT_LOG, NAN, NAN, false } };
    return bragg_plot_series(panels, 2, NULL, path, err);
}

static bragg_status draw_breadths(const char *path, bragg_error *err)
{
    static const double at[3] = { 0.31, 0.5127, 0.77 }, beta[3] = { 0.0031, 0.0035, 0.0042 }, own[3] = { 0.001, 0.0011, 0.0013 };
    const bragg_plot_breadth b[2] = { { "Bi2Te3", 3, at, beta, own, 0.7107 }, { "KBi2", 2, at, own, own, 0.7107 } };
    return bragg_plot_breadths(b, 2, NULL, path, err);
}

static bragg_status draw_correlations(const char *path, bragg_error *err)
{
    static const char *const names[] = { "instrument.zero", "phase.Bi, \"x\".cell.a", "background.0" };
    static const double c[9] = { 1, -0.875, 0.25, -0.875, 1, NAN, 0.25, NAN, 1 };
    const bragg_plot_matrix m = { 3, names, c };
    return bragg_plot_correlations(&m, NULL, path, err);
}

static const struct figure {
    const char *name;
    bragg_status (*draw)(const char *path, bragg_error *err);
    int tables;
} figures[] = {
    { "rietveld", draw_rietveld, 2 }, { "patterns", draw_patterns, 1 }, { "contour", draw_contour, 3 },
    { "frame", draw_frame, 2 }, { "series", draw_series, 1 }, { "breadth", draw_breadths, 1 },
    { "correlations", draw_correlations, 1 },
};

START_TEST(each_figure_appears_whole_in_each_format_with_its_tables)
{
    static const char *const extensions[] = { "svg", "pdf", "png", "SVG" };
    for (int k = 0; k < 4; k++) {
        enter_folder();
        bragg_error err = BRAGG_ERROR_INIT;
        char path[64], table[64];
        snprintf(path, sizeof path, "%s.%s", figures[_i].name, extensions[k]);
        snprintf(table, sizeof table, "%s.csv", figures[_i].name);
        ck_assert_msg(figures[_i].draw(path, &err) == BRAGG_OK, "%s", err.text);
        assert_whole(path);
        ck_assert_int_eq(access(table, R_OK), 0);
        ck_assert_int_eq(count_files(), 1 + figures[_i].tables);
        leave_folder();
    }
}
END_TEST

START_TEST(the_same_input_gives_the_same_bytes)
{
    static const char *const extensions[] = { "svg", "pdf", "png" };
    enter_folder();
    for (int k = 0; k < 3; k++) {
        char path[2][64];
        size_t n[2];
        unsigned char *bytes[2];
        for (int j = 0; j < 2; j++) {
            snprintf(path[j], sizeof *path, "%d.%s", j, extensions[k]);
            ck_assert_int_eq(figures[_i].draw(path[j], NULL), BRAGG_OK);
            ck_assert_int_eq(system("rm -f *.csv"), 0);
            bytes[j] = slurp(path[j], &n[j]);
        }
        ck_assert_msg(n[0] == n[1] && !memcmp(bytes[0], bytes[1], n[0]), "%s differs", extensions[k]);
        free(bytes[0]);
        free(bytes[1]);
    }
    leave_folder();
}
END_TEST

START_TEST(nothing_is_overwritten_and_nothing_is_left_behind)
{
    enter_folder();
    char path[64], table[64];
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(path, sizeof path, "%s.svg", figures[_i].name);
    snprintf(table, sizeof table, "%s.csv", figures[_i].name);
    fclose(fopen(table, "w")); /* the table is in the way */
    ck_assert_int_eq(figures[_i].draw(path, &err), BRAGG_EEXIST);
    ck_assert_ptr_nonnull(strstr(err.text, "exists already"));
    ck_assert_int_eq(count_files(), 1);
    rename(table, path); /* the figure is */
    ck_assert_int_eq(figures[_i].draw(path, NULL), BRAGG_EEXIST);
    ck_assert_int_eq(count_files(), 1);
    leave_folder();
}
END_TEST

START_TEST(force_overwrites)
{
    enter_folder();
    bragg_plot_fit fit = make_fit();
    bragg_plot_rietveld_options o = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
    fclose(fopen("f.pdf", "w"));
    o.page.force = true;
    ck_assert_int_eq(bragg_plot_rietveld(&fit, &o, "f.pdf", NULL), BRAGG_OK);
    assert_whole("f.pdf");
    leave_folder();
}
END_TEST

START_TEST(the_table_of_a_rietveld_plot_holds_every_number)
{
    enter_folder();
    char line[512];
    ck_assert_int_eq(draw_rietveld("r.svg", NULL), BRAGG_OK);
    FILE *f = fopen("r.csv", "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    ck_assert_str_eq(line, "2th_deg,observed,calculated,background,difference,sigma,difference_over_sigma\n");
    for (int i = 0; i < N; i++) {
        double v[7];
        ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
        ck_assert_uint_eq(fields(line, v, 7), 7);
        assert_close(v[0] * BRAGG_DEG, x[i], 1e-13);
        ck_assert(v[1] == y_obs[i] && v[2] == y_calc[i] && v[3] == background[i] && v[4] == y_obs[i] - y_calc[i]);
        ck_assert(v[5] == sigma[i] && v[6] == (y_obs[i] - y_calc[i]) / sigma[i]);
    }
    ck_assert_ptr_null(fgets(line, sizeof line, f));
    fclose(f);
    size_t n;
    char *text = (char *)slurp("r.reflections.csv", &n);
    ck_assert(!strncmp(text, "phase,2th_deg\nNa2Ca3Al2F14,17.76", 32));
    ck_assert_ptr_nonnull(strstr(text, "\n\"a, \"\"b\"\" & <c\",22.99"));
    free(text);
    leave_folder();
}
END_TEST

START_TEST(the_table_of_a_map_is_a_matrix_with_times_and_holes)
{
    enter_folder();
    char *line = NULL;
    size_t room = 0, rows = 0;
    double v[N + 2];
    ck_assert_int_eq(draw_contour("m.svg", NULL), BRAGG_OK);
    FILE *f = fopen("m.csv", "r");
    ck_assert(getline(&line, &room, f) > 0 && !strncmp(line, "time_s/2th_deg,", 15));
    ck_assert_uint_eq(fields(line, v, N + 2), N + 1);
    assert_close(v[N] * BRAGG_DEG, x[N - 1], 1e-13);
    for (; getline(&line, &room, f) > 0; rows++) {
        ck_assert_uint_eq(fields(line, v, N + 2), N + 1);
        assert_close(v[0], 61.3 * (double)rows + (rows > 10 ? 700 : 0), 1e-14);
        for (size_t i = 0; i < N; i++)
            ck_assert(rows == 0 && i == 77 ? isnan(v[i + 1]) : v[i + 1] == y_obs[(i + rows) % N]);
    }
    ck_assert_uint_eq(rows, FRAMES);
    free(line);
    fclose(f);
    leave_folder();
}
END_TEST

START_TEST(the_tables_of_patterns_series_and_images_hold_their_numbers)
{
    enter_folder();
    char line[4096];
    double v[128];
    ck_assert_int_eq(draw_patterns("p.svg", NULL), BRAGG_OK);
    ck_assert_int_eq(draw_series("s.svg", NULL), BRAGG_OK);
    ck_assert_int_eq(draw_frame("i.svg", NULL), BRAGG_OK);
    FILE *f = fopen("p.csv", "r");
    for (int i = 0; i <= 2 * N; i++) {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
        ck_assert_uint_eq(fields(line, v, 5), 4);
        ck_assert(!i || v[2] == (i > N ? 1.37 * y_obs[i - 1 - N] : y_obs[i - 1]));
    }
    ck_assert(fclose(f) == 0 && (f = fopen("s.csv", "r")) && fgets(line, sizeof line, f));
    for (int i = 0; i < 40; i++) {
        ck_assert(fgets(line, sizeof line, f) && fields(line, v, 6) == 5);
        ck_assert(v[2] == x[i] && v[3] == y_obs[i] && v[4] == sigma[i]);
    }
    ck_assert(fclose(f) == 0 && (f = fopen("i.csv", "r")));
    for (int r = 0; r < 61; r++) {
        ck_assert(fgets(line, sizeof line, f) && fields(line, v, 128) == 83);
        for (int c = 0, i = r * 83; c < 83; c++, i++)
            ck_assert(i % 17 == 3 ? isnan(v[c]) : v[c] == (i * 7919) % 1013);
    }
    fclose(f);
    leave_folder();
}
END_TEST

START_TEST(the_tables_of_breadths_and_correlations_hold_their_numbers)
{
    enter_folder();
    bragg_error err = BRAGG_ERROR_INIT;
    size_t n;
    ck_assert_msg(draw_breadths("b.svg", &err) == BRAGG_OK && draw_correlations("c.svg", &err) == BRAGG_OK, "%s", err.text);
    char *text = (char *)slurp("b.csv", &n), *line = strstr(text, "Bi2Te3,");
    double v[4];
    ck_assert_ptr_nonnull(line);
    fields(line, v, 3); /* curve, then 2 sin theta / lambda and beta cos theta / lambda in 1e-3 per angstrom */
    assert_close(v[1], 2 * sin(0.155) / 0.7107, 1e-6);
    assert_close(v[2], 3.1 * cos(0.155) / 0.7107, 1e-6);
    free(text);
    text = (char *)slurp("c.csv", &n);
    line = strstr(text, "\ninstrument.zero,");
    ck_assert_ptr_nonnull(line);
    fields(line + 1, v, 4);
    ck_assert(v[1] == 1 && v[2] == -0.875 && v[3] == 0.25);
    free(text);
    leave_folder();
}
END_TEST

START_TEST(thirty_thousand_points_stay_a_small_file_and_keep_their_peaks)
{
    enum { MANY = 60000 };
    enter_folder();
    double *a = malloc(MANY * sizeof *a), *b = malloc(MANY * sizeof *b);
    for (int i = 0; i < MANY; i++)
        a[i] = 0.02 + 1e-5 * i, b[i] = 100 + 50 * sin(i * 1.7 * i) + (i == 31234 ? 5e4 : 0);
    bragg_plot_fit fit = { .n = MANY, .x = a, .observed = b, .calculated = b, .axis = BRAGG_AXIS_Q, .wavelength_ang = NAN };
    bragg_plot_rietveld_options o = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
    o.page.width_mm = 170;
    ck_assert_int_eq(bragg_plot_rietveld(&fit, &o, "big.svg", NULL), BRAGG_OK);
    struct stat info;
    ck_assert_int_eq(stat("big.svg", &info), 0);
    ck_assert_int_lt(info.st_size, 1500000);
    /* one point wide, the peak still reaches the top of the frame: y of few points */
    size_t n;
    char *text = (char *)slurp("big.svg", &n);
    double top = INFINITY;
    char *line = strstr(text, "stroke:rgb(83"); /* the calculated line */
    line = line ? line : strstr(text, "stroke=\"rgb(83");
    ck_assert_ptr_nonnull(line);
    for (char *p = strstr(line, "d=\"M"); p && *p && *p != 'Z' && *p != '\n'; p++)
        if (*p == 'L') {
            double u, w;
            const char *end;
            ck_assert(bragg_number_scan(p + 2, &end, &u) && bragg_number_scan(end + 1, &end, &w));
            top = fmin(top, w);
        }
    ck_assert_msg(top < 30, "the highest point is drawn %g below the top", top);
    free(text);
    free(a);
    free(b);
    leave_folder();
}
END_TEST

START_TEST(ticks_are_round_within_the_range_and_neither_few_nor_many)
{
    static const double ranges[][2] = { { 16, 158.4 }, { 2.50074, 31.998 }, { -0.037, 0.0012 }, { 4.40731, 4.40762 },
        { 0, 1 }, { 121.3, 264817 }, { -16.7, 21.2 }, { 1e-9, 3.1e-9 }, { 9999.5, 10000.5 }, { -7e12, 3e12 } };
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        for (double wanted = 3; wanted < 11; wanted++) {
            double first, step, low = ranges[k][0], high = ranges[k][1];
            size_t n = bragg_fig_nice(low, high, wanted, &first, &step);
            ck_assert_msg(n >= 2 && (double)n <= 2.1 * wanted && (double)n >= wanted / 2.6, "%g to %g: %zu ticks of %g", low, high, n, wanted);
            double slack = 1e-6 * (high - low), mantissa = step / pow(10, floor(log10(step) + 1e-9));
            ck_assert(first >= low - slack && first + (double)(n - 1) * step <= high + slack);
            ck_assert(first - step < low && first + (double)n * step > high);
            ck_assert(fabs(mantissa - 1) < 1e-9 || fabs(mantissa - 2) < 1e-9 || fabs(mantissa - 2.5) < 1e-9 || fabs(mantissa - 5) < 1e-9);
            ck_assert(fabs(first / step - round(first / step)) < 1e-6 * fmax(1, fabs(first / step)));
        }
    double first, step;
    ck_assert_uint_eq(bragg_fig_nice(3, 3, 5, &first, &step), 0);
    ck_assert_uint_eq(bragg_fig_nice(3, NAN, 5, &first, &step), 0);
}
END_TEST

START_TEST(labels_of_ticks_are_distinct_and_exact)
{
    bragg_fig fig = { .em = 7 };
    static const struct { bragg_plot_scale scale; double min, max; } axes[] = {
        { BRAGG_PLOT_LINEAR, 4.40731, 4.40762 }, { BRAGG_PLOT_SQRT, -40, 264817 }, { BRAGG_PLOT_LOG, 0.3, 5e6 },
        { BRAGG_PLOT_LOG, 23, 71 }, { BRAGG_PLOT_LINEAR, -3e-7, 2e-7 }, { BRAGG_PLOT_SQRT, 0, 0.02 }, { BRAGG_PLOT_LOG, 1e-30, 1e30 },
    };
    for (size_t k = 0; k < sizeof axes / sizeof *axes; k++) {
        bragg_fig_axis a = { .scale = axes[k].scale, .min = axes[k].min, .max = axes[k].max, .from = 200, .to = 20 };
        bragg_fig_ticks(&fig, &a, true);
        ck_assert_uint_ge(a.n_major, 2);
        for (size_t i = 0; i < a.n_major; i++) {
            char text[64], other[64];
            bragg_fig_tick_text(&a, a.major[i], text, sizeof text);
            ck_assert(bragg_fig_inside(&a, a.major[i]));
            for (size_t j = 0; j < i; j++) {
                bragg_fig_tick_text(&a, a.major[j], other, sizeof other);
                ck_assert_str_ne(text, other);
                ck_assert_double_gt(fabs(bragg_fig_at(&a, a.major[i]) - bragg_fig_at(&a, a.major[j])), 7);
            }
            double v;
            const char *digits = strncmp(text, "−", 3) ? text : text + 3;
            if (!a.powers) {
                ck_assert_msg(bragg_number_parse(digits, &v), "'%s'", text);
                assert_close(v * pow(10, a.exponent), fabs(a.major[i]), 1e-4);
            }
        }
    }
}
END_TEST

START_TEST(labels_of_a_level_axis_never_touch)
{
    enter_folder();
    bragg_plot_page page = BRAGG_PLOT_PAGE_INIT;
    bragg_fig *fig;
    static const double ranges[][2] = { { -25, 702 }, { 4.40731, 4.40762 }, { 1e3, 99e3 }, { 0.7, 11.99 }, { -1e-7, 5e-3 } };
    ck_assert_int_eq(bragg_fig_open("a.svg", &page, 60, &fig, NULL), BRAGG_OK);
    for (size_t k = 0; k < 5; k++)
        for (double length = 30; length < 300; length += 13) {
            bragg_fig_axis a = { .min = ranges[k][0], .max = ranges[k][1], .from = 10, .to = 10 + length };
            bragg_fig_ticks(fig, &a, false);
            double width = bragg_fig_tick_width(fig, &a);
            ck_assert_uint_ge(a.n_major, 1);
            for (size_t i = 1; i < a.n_major; i++)
                ck_assert_msg(bragg_fig_at(&a, a.major[i]) - bragg_fig_at(&a, a.major[i - 1]) > width,
                              "%g to %g on %g points", a.min, a.max, length);
        }
    bragg_fig_close(fig, BRAGG_EINVAL, NULL);
    ck_assert_int_eq(count_files(), 0);
    leave_folder();
}
END_TEST

START_TEST(colours_grow_lighter_evenly)
{
    double last = -1;
    for (int i = 0; i <= 64; i++) {
        bragg_fig_rgb c = bragg_fig_map(false, i / 64.0);
        double grey = pow(0.2126 * pow(c.r, 2.2) + 0.7152 * pow(c.g, 2.2) + 0.0722 * pow(c.b, 2.2), 1 / 3.0);
        ck_assert_double_gt(grey, last);
        ck_assert(i == 0 || grey - last < 0.025);
        last = grey;
    }
    bragg_fig_rgb middle = bragg_fig_map(true, 0.5), low = bragg_fig_map(true, 0), high = bragg_fig_map(true, 1);
    ck_assert(middle.r > 0.95 && middle.b > 0.95 && low.b > low.r && high.r > high.b);
}
END_TEST

static void assert_refused(bragg_status st, bragg_status expected, bragg_error *err, const char *part)
{
    ck_assert_msg(st == expected && strstr(err->text, part), "%s: %s", bragg_status_name(st), err->text);
    ck_assert_int_eq(count_files(), 0);
    *err = (bragg_error)BRAGG_ERROR_INIT;
}

START_TEST(what_cannot_be_drawn_is_refused_with_a_reason_and_leaves_no_file)
{
    enter_folder();
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_plot_fit fit = make_fit(), none = fit;
    bragg_plot_rietveld_options o = BRAGG_PLOT_RIETVELD_OPTIONS_INIT;
    static const char *const names[] = { "a.jpg", "a", "", ".d/a", "a.svgz" };
    for (int k = 0; k < 5; k++)
        assert_refused(bragg_plot_rietveld(&fit, &o, names[k], &err), BRAGG_EINVAL, &err, "expected a name ending in .svg");
    assert_refused(bragg_plot_rietveld(&fit, &o, "no/such/folder/a.svg", &err), BRAGG_EIO, &err, "cannot write");
    none.n = 0;
    assert_refused(bragg_plot_rietveld(&none, &o, "a.svg", &err), BRAGG_EDATA, &err, "found none");
    for (int i = 0; i < N; i++)
        y_obs[i] = NAN;
    assert_refused(bragg_plot_rietveld(&fit, &o, "a.svg", &err), BRAGG_EDATA, &err, "finite observed point");
    make_fit();
    o.x_min = 3;
    assert_refused(bragg_plot_rietveld(&fit, &o, "a.svg", &err), BRAGG_EDATA, &err, "in the range shown");
    o.x_min = NAN, o.convert = true, o.axis = BRAGG_AXIS_Q, fit.wavelength_ang = NAN;
    assert_refused(bragg_plot_rietveld(&fit, &o, "a.svg", &err), BRAGG_EINVAL, &err, "needs a wavelength");
    o.convert = false, o.weighted = true, fit.sigma = NULL;
    assert_refused(bragg_plot_rietveld(&fit, &o, "a.svg", &err), BRAGG_EINVAL, &err, "needs uncertainties");
    o.weighted = false, o.page.width_mm = NAN;
    assert_refused(bragg_plot_rietveld(&fit, &o, "a.svg", &err), BRAGG_EINVAL, &err, "30 to 2000 mm");
    o.page.width_mm = 85, o.page.dpi = 1e9;
    assert_refused(bragg_plot_rietveld(&fit, &o, "a.png", &err), BRAGG_EINVAL, &err, "30 to 2400 dpi");
    assert_refused(bragg_plot_patterns(NULL, NULL, 0, NULL, "a.svg", &err), BRAGG_EINVAL, &err, "at least one");
    const bragg_plot_matrix no = { 0, NULL, NULL };
    assert_refused(bragg_plot_correlations(&no, NULL, "a.svg", &err), BRAGG_EDATA, &err, "found none");
    const bragg_plot_breadth dark = { "A", 1, &fit.wavelength_ang, &fit.wavelength_ang, &fit.wavelength_ang, NAN };
    assert_refused(bragg_plot_breadths(&dark, 1, NULL, "a.svg", &err), BRAGG_EINVAL, &err, "expected a wavelength");
    assert_refused(bragg_plot_breadths(&dark, 0, NULL, "a.svg", &err), BRAGG_EDATA, &err, "found none");
    assert_refused(bragg_plot_series(NULL, 0, NULL, "a.svg", &err), BRAGG_EINVAL, &err, "at least one panel");
    double nan2[2] = { NAN, NAN }, back[2] = { 2, 1 };
    assert_refused(bragg_plot_frame(nan2, NULL, 1, 2, NULL, "a.svg", &err), BRAGG_EDATA, &err, "positive value");
    assert_refused(bragg_plot_frame(nan2, NULL, (size_t)1 << 60, 2, NULL, "a.svg", &err), BRAGG_EINVAL, &err, "100000 rows");
    bragg_plot_map m = { .n = 1, .frames = 2, .x = back, .time_s = back, .intensity = back, .axis = BRAGG_AXIS_Q };
    assert_refused(bragg_plot_contour(&m, NULL, "a.svg", &err), BRAGG_EDATA, &err, "time 2: expected finite and increasing");
    bragg_plot_curve c = { 2, back, nan2, NULL, NULL };
    bragg_plot_panel p = BRAGG_PLOT_PANEL_INIT;
    p.n_curves = 1, p.curves = &c;
    assert_refused(bragg_plot_series(&p, 1, NULL, "a.svg", &err), BRAGG_EDATA, &err, "finite point");
    leave_folder();
}
END_TEST

START_TEST(one_point_a_flat_line_and_a_single_frame_are_drawn)
{
    enter_folder();
    const double one[] = { 1.25 }, flat[] = { 3, 3, 3 }, place[] = { 1, 2, 4 }, zero[] = { 0, 0, 0 };
    bragg_plot_fit fit = { .n = 1, .x = one, .observed = one, .calculated = one, .axis = BRAGG_AXIS_Q, .wavelength_ang = NAN };
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_plot_rietveld(&fit, NULL, "one.svg", &err) == BRAGG_OK, "%s", err.text);
    fit = (bragg_plot_fit){ .n = 3, .x = place, .observed = zero, .calculated = zero, .axis = BRAGG_AXIS_D, .wavelength_ang = NAN };
    ck_assert_msg(bragg_plot_rietveld(&fit, NULL, "zero.svg", &err) == BRAGG_OK, "%s", err.text);
    bragg_plot_curve c = { 3, place, flat, NULL, NULL };
    bragg_plot_panel p = BRAGG_PLOT_PANEL_INIT;
    p.n_curves = 1, p.curves = &c;
    ck_assert_msg(bragg_plot_series(&p, 1, NULL, "flat.svg", &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_plot_frame(one, NULL, 1, 1, NULL, "pixel.svg", &err) == BRAGG_OK, "%s", err.text);
    bragg_plot_map m = { .n = 3, .frames = 1, .x = place, .time_s = one, .intensity = flat, .axis = BRAGG_AXIS_Q };
    ck_assert_msg(bragg_plot_contour(&m, NULL, "frame.svg", &err) == BRAGG_OK, "%s", err.text);
    m = (bragg_plot_map){ .n = 1, .frames = 3, .x = one, .time_s = place, .intensity = flat, .axis = BRAGG_AXIS_TTH };
    ck_assert_msg(bragg_plot_contour(&m, NULL, "column.svg", &err) == BRAGG_OK, "%s", err.text);
    assert_whole("one.svg");
    assert_whole("zero.svg");
    assert_whole("column.svg");
    leave_folder();
}
END_TEST

START_TEST(without_a_single_font_the_figure_is_drawn_all_the_same)
{
    enter_folder();
    FILE *f = fopen("fonts.conf", "w");
    fprintf(f, "<?xml version=\"1.0\"?><fontconfig></fontconfig>");
    fclose(f);
    setenv("FONTCONFIG_FILE", "./fonts.conf", 1); /* libcheck gives each test a process */
    ck_assert_int_eq(draw_rietveld("bare.svg", NULL), BRAGG_OK);
    ck_assert_int_eq(draw_contour("map.png", NULL), BRAGG_OK);
    assert_whole("bare.svg");
    leave_folder();
}
END_TEST

START_TEST(only_formulas_get_subscripts)
{
    static const struct { const char *name, *text; } cases[] = {
        { "PbSO4", "PbSO<sub>4</sub>" }, { "La(OH)3", "La(OH)<sub>3</sub>" }, { "K0.5Bi2", "K<sub>0.5</sub>Bi<sub>2</sub>" },
        { "NaCl", "NaCl" }, { "phase2", "phase2" }, { "LaB6-660c", "LaB6-660c" }, { "25 °C", "25 °C" }, { "Q4", "Q4" },
        { "Na2CO3 12(1) wt%", "Na<sub>2</sub>CO<sub>3</sub> 12(1) wt%" }, { "<i>x</i>2", "<i>x</i>2" }, { "", "" },
    };
    bragg_fig fig = { .arena = bragg_arena_new() };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(bragg_fig_formula(&fig, cases[i].name), cases[i].text);
    bragg_arena_free(fig.arena);
}
END_TEST

/* Titles are typed and names come out of files: no byte of them may spoil a figure. */
START_TEST(any_text_is_a_title_and_stands_plain_in_the_tables)
{
    enter_folder();
    static const char *const texts[] = { "\xe9t\xe9", "Bi < Sb & K", "<b>", "<i>a</i>\n\xd7\x90\xd7\x91", "" };
    const double at[] = { 1, 2, 4 }, y[] = { 3, 1, 2 };
    char name[20], line[200];
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        for (int kind = 0; kind < 3; kind++) {
            bragg_error err = BRAGG_ERROR_INIT;
            bragg_plot_series_options o = BRAGG_PLOT_SERIES_OPTIONS_INIT;
            bragg_plot_curve c = { 3, at, y, NULL, texts[k] };
            bragg_plot_panel p = BRAGG_PLOT_PANEL_INIT;
            p.n_curves = 1, p.curves = &c, p.y_label = "<i>R</i><sub>wp</sub> (%)";
            o.page.title = o.x_label = texts[k];
            o.page.force = true;
            snprintf(name, sizeof name, "t%zu.%s", k, kind == 0 ? "svg" : kind == 1 ? "pdf" : "png");
            ck_assert_msg(bragg_plot_series(&p, 1, &o, name, &err) == BRAGG_OK, "%s: %s", name, err.text);
            assert_whole(name);
        }
    FILE *f = fopen("t1.csv", "r");
    ck_assert(fgets(line, sizeof line, f) && fgets(line, sizeof line, f));
    ck_assert_str_eq(line, "Rwp (%),Bi < Sb & K,1,3,\n");
    fclose(f);
    bragg_arena *arena = bragg_arena_new();
    ck_assert_str_eq(bragg_fig_escape(arena, "A<B>&C"), "A&lt;B&gt;&amp;C");
    bragg_arena_free(arena);
    leave_folder();
}
END_TEST

START_TEST(a_phase_of_any_name_labels_its_parameters_with_their_units)
{
    const char *const names[] = { "phase.K<Bi>&.cell.a", "phase.Bi.strain", "x.instrument.w" }, *const units[] = { "angstrom", "1e-6", "" };
    const bragg_series s = { .n_params = 3, .name = names, .unit = units };
    bragg_arena *arena = bragg_arena_new();
    ck_assert_str_eq(bragg_report_param_label(&s, 0, arena), "<i>a</i> K&lt;Bi&gt;&amp; (Å)");
    ck_assert_str_eq(bragg_report_param_label(&s, 1, arena), "<i>strain</i> Bi (10<sup>−6</sup>)");
    ck_assert_str_eq(bragg_report_param_label(&s, 2, arena), "<i>w</i> x");
    bragg_arena_free(arena);
}
END_TEST

START_TEST(a_table_of_spans_says_what_its_numbers_are)
{
    enter_folder();
    static const char *const heads[][2] = { { "time_s/q_A^-1,1,2,4\n", "name,from_s,to_s\n" }, { "ordinate/q_A^-1,1,2,4\n", "name,from,to\n" },
                                            { "frame/q_A^-1,1,2,4\n", "name,from_frame,to_frame\n" } };
    const double at[] = { 1, 2, 4 }, rows[] = { 0, 1, 2 }, z[] = { 1, 2, 3, 2, 3, 4, 5, 6, 7 };
    const bragg_plot_span span = { "Bi", 0.5, 1.5 };
    char line[200];
    for (int k = 0; k < 3; k++) {
        bragg_plot_contour_options o = BRAGG_PLOT_CONTOUR_OPTIONS_INIT;
        const bragg_plot_map m = { .n = 3, .frames = 3, .x = at, .time_s = rows, .intensity = z, .axis = BRAGG_AXIS_Q, .n_spans = 1, .spans = &span };
        o.ordinate = k == 1 ? "Charge passed (mAh)" : NULL;
        o.by_frame = k == 2;
        o.page.force = true;
        ck_assert_int_eq(bragg_plot_contour(&m, &o, "m.svg", NULL), BRAGG_OK);
        FILE *f = fopen("m.csv", "r");
        ck_assert_str_eq(fgets(line, sizeof line, f), heads[k][0]);
        ck_assert(fclose(f) == 0 && (f = fopen("m.spans.csv", "r")));
        ck_assert_str_eq(fgets(line, sizeof line, f), heads[k][1]);
        fclose(f);
    }
    leave_folder();
}
END_TEST

/* ---- the report ---- */

/* What the page says of the phase: from its name to the end of that item. */
static const char *told_of(const char *page, const char *phase)
{
    static char out[600];
    char from[40];
    snprintf(from, sizeof from, "<li><b>%s</b>: ", phase);
    const char *at = strstr(page, from);
    ck_assert_msg(at != NULL, "nothing of %s", phase);
    snprintf(out, sizeof out, "%.*s", (int)(strstr(at, ".</li>") - at - (ptrdiff_t)strlen(from)), at + strlen(from));
    return out;
}

static bool two_figures(void *payload, size_t done, size_t total)
{
    ++*(size_t *)payload;
    return done < 2 && total > 2;
}

START_TEST(a_report_says_what_was_there_from_the_start_and_to_the_end)
{
    enum { STEPS = 9, PHASES = 5, POINTS = 23 };
    static const char *const names[PHASES] = { "leaves", "arrives", "passes", "stays", "returns" };
    static const char there[PHASES][STEPS + 1] = { "111110000", "000011111", "001111000", "111111111", "111000111" };
    /* of what stays: not known well at first, and one frame astray */
    static const bragg_quantity cell[STEPS] = { { 93, 7 }, { 100.31, 0.2 }, { 101.2, 0.2 }, { 171, 0.2 }, { 104.9, 0.2 }, { 131.7, 0.2 }, { 131.4, 0.2 }, { 104.2, 0.2 }, { 104.43, 0.2 } };
    bragg_quantity none[PHASES], volume[STEPS][PHASES];
    double level[STEPS][PHASES], nothing[PHASES];
    bragg_frame_fit step[STEPS];
    for (int p = 0; p < PHASES; p++)
        none[p] = (bragg_quantity){ NAN, NAN }, nothing[p] = NAN;
    for (int k = 0; k < STEPS; k++) {
        for (int p = 0; p < PHASES; p++)
            level[k][p] = there[p][k] == '1' ? 2 : 0, volume[k][p] = p == 3 ? cell[k] : none[p];
        step[k] = (bragg_frame_fit){ .done = true, .file = "one.xye", .status = BRAGG_FRAME_OK, .serial = 1, .temperature_k = NAN, .level = level[k], .fraction = none, .volume = volume[k], .limit = nothing,
                                .log = { .voltage_v = NAN, .cycle = NAN, .kind = NAN } };
    }
    const bragg_series s = { .n = STEPS, .n_phases = PHASES, .phase = names, .by_hand = step };
    double angle[POINTS], y[STEPS * POINTS], unknown[STEPS * POINTS];
    for (int i = 0; i < STEPS * POINTS; i++)
        angle[i % POINTS] = 0.1 + 0.01 * (i % POINTS), y[i] = 100 + 17 * (i % 7), unknown[i] = NAN;
    const bragg_store_curves c = { .n = POINTS, .rows = STEPS, .frames = 1, .x_rad = angle, .observed = y, .calculated = unknown, .sigma = unknown };
    bragg_error err = BRAGG_ERROR_INIT;
    enter_folder();
    ck_assert_int_eq(setenv("TMPDIR", ".", 1), 0);
    ck_assert_msg(bragg_report_html(&s, &c, NULL, "r.html", false, NULL, &err) == BRAGG_OK, "%s", err.text);
    size_t n;
    char *page = (char *)slurp("r.html", &n);
    ck_assert_str_eq(told_of(page, "leaves"), "there from the start to frame 4");
    ck_assert_str_eq(told_of(page, "stays"), "there all the time. Its cell volume goes from 100.3(2) Å³ to 104.4(2) Å³, 4.1(3) % more, in between up to 131.4(2) Å³ at frame 6");
    ck_assert_str_eq(told_of(page, "arrives"), "there from frame 4 to the end");
    ck_assert_str_eq(told_of(page, "passes"), "there from frame 2 to frame 5");
    ck_assert_str_eq(told_of(page, "returns"), "there from the start to frame 2. Again from frame 6 to the end");
    free(page);
    const bragg_store_curves rowless = { .n = POINTS, .frames = 1, .x_rad = angle }, no_frames = { .n = POINTS, .rows = STEPS, .x_rad = angle, .observed = y, .calculated = unknown, .sigma = unknown };
    const bragg_series empty = { .n_phases = PHASES, .phase = names, .by_hand = step };
    ck_assert_msg(bragg_report_html(&s, &rowless, NULL, "none.html", false, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_report_html(&empty, &rowless, NULL, "empty.html", false, NULL, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_report_html(&s, &no_frames, NULL, "no.html", false, NULL, &err), BRAGG_EINVAL);
    ck_assert_str_eq(err.text, "curves: expected one frame or more a row, found none in 9 rows");
    size_t figure = 0;
    const bragg_observer third = { NULL, two_figures, &figure };
    ck_assert_int_eq(bragg_report_html(&s, &c, NULL, "stopped.html", false, &third, &err), BRAGG_STOPPED);
    ck_assert_uint_eq(figure, 3);
    ck_assert_int_eq(count_files(), 3); /* two pages and r.html: no figures, nothing half made */
    leave_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plot");
    TCase *figure = tcase_create("figures"), *part = tcase_create("parts");
    tcase_set_timeout(figure, 60);
    tcase_add_loop_test(figure, each_figure_appears_whole_in_each_format_with_its_tables, 0, sizeof figures / sizeof *figures);
    tcase_add_loop_test(figure, the_same_input_gives_the_same_bytes, 0, sizeof figures / sizeof *figures);
    tcase_add_loop_test(figure, nothing_is_overwritten_and_nothing_is_left_behind, 0, sizeof figures / sizeof *figures);
    tcase_add_test(figure, any_text_is_a_title_and_stands_plain_in_the_tables);
    tcase_add_test(part, a_phase_of_any_name_labels_its_parameters_with_their_units);
    tcase_add_test(figure, a_table_of_spans_says_what_its_numbers_are);
    tcase_add_test(figure, force_overwrites);
    tcase_add_test(figure, the_table_of_a_rietveld_plot_holds_every_number);
    tcase_add_test(figure, the_table_of_a_map_is_a_matrix_with_times_and_holes);
    tcase_add_test(figure, the_tables_of_patterns_series_and_images_hold_their_numbers);
    tcase_add_test(figure, the_tables_of_breadths_and_correlations_hold_their_numbers);
    tcase_add_test(figure, thirty_thousand_points_stay_a_small_file_and_keep_their_peaks);
    tcase_add_test(figure, what_cannot_be_drawn_is_refused_with_a_reason_and_leaves_no_file);
    tcase_add_test(figure, one_point_a_flat_line_and_a_single_frame_are_drawn);
    tcase_add_test(figure, without_a_single_font_the_figure_is_drawn_all_the_same);
    tcase_add_test(part, ticks_are_round_within_the_range_and_neither_few_nor_many);
    tcase_add_test(part, labels_of_ticks_are_distinct_and_exact);
    tcase_add_test(part, labels_of_a_level_axis_never_touch);
    tcase_add_test(part, colours_grow_lighter_evenly);
    tcase_add_test(part, only_formulas_get_subscripts);
    tcase_add_test(figure, a_report_says_what_was_there_from_the_start_and_to_the_end);
    suite_add_tcase(suite, figure);
    suite_add_tcase(suite, part);
    return run_suite(suite);
}
