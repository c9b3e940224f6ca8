/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refined parameters of the reference cases against those of GSAS-II: the table of
 * tests/golden/gsas2/README.md says how far they are apart, in its esds, and where that
 * has a cause; here it is measured again. */
#include "config.h"
#include "reference.h"
#include "suite.h"

#include <bragg/experiment.h>
#include <bragg/param.h>

typedef struct theirs {
    char name[40];
    double value, esd; /* esd 0: not refined */
} theirs;

typedef struct table {
    size_t n;
    theirs row[400];
} table;

static void read_theirs(const char *case_name, table *t)
{
    char name[200], path[512];
    snprintf(name, sizeof name, "reference/gsas2/%s/params.txt", case_name);
    ck_assert(shared_file(path, name));
    char *text = whole_file(path);
    t->n = 0;
    for (char *line = strtok(text, "\n"); line && t->n < 400; line = strtok(NULL, "\n")) {
        theirs *r = &t->row[t->n];
        char value[40], esd[40] = "";
        if (*line == '#' || sscanf(line, "%39s %39s %39s", r->name, value, esd) < 2 || !bragg_number_parse(value, &r->value))
            continue;
        r->esd = 0;
        ck_assert(!*esd || bragg_number_parse(esd, &r->esd));
        t->n++;
    }
    free(text);
}

static const theirs *find(const table *t, const char *name)
{
    for (size_t k = 0; k < t->n; k++)
        if (!strcmp(t->row[k].name, name))
            return &t->row[k];
    return NULL;
}

/* Differences in their esds of what both refine. */
typedef struct differences {
    const bragg_params *ours;
    const table *theirs;
    size_t n;
    double at[60];
    char name[60][80];
} differences;

static void compare(differences *d, const char *name, double value, double esd)
{
    ptrdiff_t row = bragg_params_find(d->ours, name);
    ck_assert_msg(row >= 0, "%s: not among ours", name);
    const bragg_param *p = &d->ours->at[row];
    if (!(esd > 0) || !p->refine)
        return;
    ck_assert_uint_lt(d->n, 60);
    snprintf(d->name[d->n], sizeof d->name[0], "%s", name);
    d->at[d->n++] = (p->value - value) / esd;
}

/* 1/d^2 = A0 h^2 + ... of an orthorhombic cell: a = A0^-1/2. */
static void compare_cell(differences *d, const char *phase)
{
    for (int k = 0; k < 3; k++) {
        char name[80], key[10];
        snprintf(name, sizeof name, "phase.%s.cell.%c", phase, "abc"[k]);
        snprintf(key, sizeof key, "0::A%d", k);
        const theirs *r = find(d->theirs, key);
        compare(d, name, 1 / sqrt(r->value), r->esd / (2 * r->value * sqrt(r->value)));
    }
}

static void compare_atoms(differences *d, const char *phase, const char *const *label, int n)
{
    static const struct { const char *theirs, *esd, *ours; } kinds[] = { { "Ax", "dAx", "x" }, { "Ay", "dAy", "y" }, { "Az", "dAz", "z" }, { "AUiso", "AUiso", "uiso" } };
    for (int j = 0; j < n; j++)
        for (int k = 0; k < 4; k++) {
            char name[80], key[20], shift[20];
            snprintf(name, sizeof name, "phase.%s.atom.%s.%s", phase, label[j], kinds[k].ours);
            snprintf(key, sizeof key, "0::%s:%d", kinds[k].theirs, j);
            snprintf(shift, sizeof shift, "0::%s:%d", kinds[k].esd, j);
            compare(d, name, find(d->theirs, key)->value, find(d->theirs, shift)->esd);
        }
}

/* Their widths are centidegrees, a variance for the Gaussian one; the displacement um. */
static void compare_instrument(differences *d, const char *prefix, int histogram)
{
    static const double squared = 8 * 0.69314718055994530942e-4;
    const struct { const char *theirs, *ours; double factor; } kinds[] = {
        { "U", "u", squared }, { "V", "v", squared }, { "W", "w", squared }, { "X", "x", 1e-2 }, { "Y", "y", 1e-2 }, { "Zero", "zero", 1 }, { "Shift", "displacement", 1e-3 },
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char name[80], key[20];
        snprintf(name, sizeof name, "%sinstrument.%s", prefix, kinds[k].ours);
        snprintf(key, sizeof key, ":%d:%s", histogram, kinds[k].theirs);
        const theirs *r = find(d->theirs, key);
        if (r)
            compare(d, name, r->value * kinds[k].factor, r->esd * kinds[k].factor);
    }
}

static void compare_strain(differences *d, const char *prefix, const char *phase, int histogram)
{
    for (int k = 1; k <= 3; k++) {
        char name[80], key[20];
        snprintf(name, sizeof name, "%sphase.%s.dij.d%d%d", prefix, phase, k, k);
        snprintf(key, sizeof key, "0:%d:D%d%d", histogram, k, k);
        const theirs *r = find(d->theirs, key);
        compare(d, name, r->value, r->esd);
    }
}

static int by_size(const void *a, const void *b)
{
    double d = fabs(*(const double *)a) - fabs(*(const double *)b);
    return (d > 0) - (d < 0);
}

/* A row of the written table: Rwp here, parameters, median, beyond 0.2, worst. */
typedef struct written {
    double rwp, n, median, beyond, worst;
} written;

static double largest_in(const char *text)
{
    double best = 0, v;
    for (const char *c = text, *end; *c && *c != '|'; c = end) {
        end = c + 1;
        if (*c >= '0' && *c <= '9' && bragg_number_scan(c, &end, &v))
            best = fmax(best, v);
    }
    return best;
}

static written read_written(const char *experiment)
{
    char path[512], key[80], *cell[7] = { 0 };
    snprintf(path, sizeof path, "%s/tests/golden/gsas2/README.md", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".");
    snprintf(key, sizeof key, "\n| %s (", experiment);
    char *text = whole_file(path), *row = strstr(text, key);
    ck_assert_msg(row != NULL, "%s: no row", experiment);
    for (int k = 0; k < 7; k++) {
        row = strchr(row, '|');
        ck_assert_ptr_nonnull(row);
        cell[k] = ++row;
    }
    const char *end;
    written w = { .worst = largest_in(cell[5]) };
    double *const to[] = { &w.rwp, &w.n, &w.median, &w.beyond };
    for (int k = 0; k < 4; k++)
        ck_assert(bragg_number_scan(cell[k + 1] + strspn(cell[k + 1], " "), &end, to[k]));
    free(text);
    return w;
}

static void check_written(const char *experiment, differences *d, double rwp)
{
    written w = read_written(experiment);
    double size[60], beyond = 0;
    char all[6000] = "";
    for (size_t k = 0, used = 0; k < d->n; k++) {
        size[k] = fabs(d->at[k]);
        beyond += size[k] > 0.2;
        used += (size_t)snprintf(all + used, sizeof all - used, "\n  %s %+.3f", d->name[k], d->at[k]);
    }
    qsort(size, d->n, sizeof *size, by_size);
    double median = (size[(d->n - 1) / 2] + size[d->n / 2]) / 2;
    ck_assert_msg((double)d->n == w.n, "%s: %zu parameters in both, written %g%s", experiment, d->n, w.n, all);
    ck_assert_msg(fabs(100 * rwp - w.rwp) < 6e-4, "%s: Rwp %.4f %%, written %g", experiment, 100 * rwp, w.rwp);
    ck_assert_msg(fabs(median - w.median) < 0.0101, "%s: median %.4f, written %g%s", experiment, median, w.median, all);
    ck_assert_msg(beyond == w.beyond, "%s: %g beyond 0.2, written %g%s", experiment, beyond, w.beyond, all);
    ck_assert_msg(fabs(size[d->n - 1] - w.worst) < 0.0101, "%s: worst %.4f, written %g%s", experiment, size[d->n - 1], w.worst, all);
}

static const struct { const char *experiment, *reference, *prefix[2]; bool strained; } cases[] = {
    { "pbso4-xray", "1a_pbso4_xray_WXY", { "", NULL }, false },
    { "pbso4-neutron", "1a_pbso4_neutron_UVW", { "", NULL }, false },
    { "pbso4-joint", "1a_pbso4_combined", { "x.", "n." }, true },
};

START_TEST(refined_parameters_are_where_the_written_table_says)
{
    static const char *const atoms[] = { "Pb", "S", "O1", "O2", "O3" };
    char path[512];
    bragg_experiment *x;
    bragg_model *m;
    bragg_fit *f;
    bragg_error err = BRAGG_ERROR_INIT;
    if (!shared_file(path, "reference/gsas2/1a_pbso4_xray_WXY/params.txt")) {
        fprintf(stderr, "skipped: no reference/gsas2 under $BRAGG_SHARED\n");
        return;
    }
    table *t = malloc(sizeof *t);
    read_theirs(cases[_i].reference, t);
    snprintf(path, sizeof path, "%s/tests/validation/%s.yaml", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".", cases[_i].experiment);
    ck_assert_msg(bragg_experiment_read(path, &x, &err) == BRAGG_OK && bragg_experiment_load(x, &m, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_refine(m, &x->options, &f, &err) == BRAGG_CONVERGED, "%s", err.text);
    differences d = { .ours = bragg_model_params(m), .theirs = t };
    compare_cell(&d, "PbSO4");
    compare_atoms(&d, "PbSO4", atoms, 5);
    for (int k = 0; k < 2 && cases[_i].prefix[k]; k++)
        compare_instrument(&d, cases[_i].prefix[k], k);
    if (cases[_i].strained)
        compare_strain(&d, "n.", "PbSO4", 1);
    check_written(cases[_i].experiment, &d, f->rwp);
    bragg_fit_free(f);
    bragg_model_free(m);
    bragg_experiment_free(x);
    free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gsas2");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, refined_parameters_are_where_the_written_table_says, 0, sizeof cases / sizeof *cases);
    tcase_set_timeout(all, 60);
    suite_add_tcase(s, all);
    return run_suite(s);
}
