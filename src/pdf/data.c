/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading .gr files. */
#include "config.h"
#include <bragg/bytes.h>
#include <bragg/pdf.h>

#include <bragg/array.h>
#include <bragg/number.h>
#include <bragg/path.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct reader {
    bragg_pdf_data *data;
    size_t room, line;
    double (*row)[3];         /* r G dG */
    bool started, sigmas;
} reader;

/* Number behind a name, "=" between them, and what follows it; NULL when it is none. */
static const char *assigned(const char *at, double *value)
{
    at += strspn(at, " \t");
    return *at == '=' && bragg_number_scan(at + 1, &at, value) && *value >= 0 ? at + strspn(at, " \t") : NULL;
}

/* "qmax = 24", "Qmax=27.00 startDampQ=…": the first wins.  qmin where it begins a line or
 * stands before qmax: PDFgetX2 has others.  PDFgetN extrapolates below its own. */
static void take_setting(reader *t, const char *line)
{
    for (const char *at = line; *at; at++) {
        double q;
        const char *next;
        if (at > line && isalnum((unsigned char)at[-1]))
            continue;
        if (!strncasecmp(at, "qmax", 4) && (next = assigned(at + 4, &q)) && q > 0 && isnan(t->data->qmax_invang))
            t->data->qmax_invang = q;
        if (!strncmp(at, "qmin", 4) && (next = assigned(at + 4, &q)) && (at == line || !strncmp(next, "qmax", 4)))
            t->data->qmin_invang = q;
    }
    const char *mode = strstr(line, "mode");
    if ((mode && strstr(mode, "neutron")) || strstr(line, "PDFgetN"))
        t->data->neutron = true;
}

static bragg_status take_point(reader *t, const char *path, const char *line, bragg_error *err)
{
    double v[4] = { NAN, NAN, NAN, NAN };
    int n = 0;
    for (const char *at = line; n < 4 && bragg_number_scan(at, &at, &v[n]); n++)
        ;
    if (n < 2 || !isfinite(v[0]) || !isfinite(v[1]))
        return bragg_fail(err, BRAGG_EDATA, "%s:%zu: expected r and G(r), found '%.*s'", path, t->line, bragg_utf8_most(line, 20), line);
    if (t->data->n && !(v[0] > t->row[t->data->n - 1][0]))
        return bragg_fail(err, BRAGG_EDATA, "%s:%zu: r does not rise at %g", path, t->line, v[0]);
    bragg_status st = bragg_array_grow(&t->row, &t->room, t->data->n + 1, sizeof *t->row, err);
    if (st < 0)
        return st;
    t->row[t->data->n][0] = v[0];
    t->row[t->data->n][1] = v[1];
    t->row[t->data->n++][2] = v[3];
    t->sigmas = t->sigmas && v[3] > 0;
    return BRAGG_OK;
}

enum { FEWEST = 10 };

/* Text among numbers: rows of the header that looked like points are dropped. */
static bool start_again(reader *t)
{
    if (t->data->n >= FEWEST)
        return false;
    t->data->n = 0;
    t->started = false;
    t->sigmas = true;
    return true;
}

/* Numbers begin the data where no line says so. */
static bragg_status take_line(reader *t, const char *path, char *line, bragg_error *err)
{
    double x, y;
    const char *at = line + strspn(line, " \t\r\n");
    t->line++;
    line[strcspn(line, "\r\n")] = 0;
    if (!*at)
        return BRAGG_OK;
    bool point = bragg_number_scan(at, &at, &x) && bragg_number_scan(at, &at, &y) && !at[strspn(at, " \t0123456789.+-eE")];
    if (!point && (*line == '#' || !t->started || start_again(t))) {
        if (t->data->n < FEWEST)
            start_again(t);
        take_setting(t, line);
        return BRAGG_OK;
    }
    t->started = true;
    return take_point(t, path, line, err);
}

static bragg_status to_columns(reader *t, const char *path, bragg_error *err)
{
    bragg_pdf_data *d = t->data;
    if (d->n < FEWEST)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected points of G(r), found %zu", path, d->n);
    d->r = calloc(d->n, sizeof *d->r);
    d->g = calloc(d->n, sizeof *d->g);
    d->sigma = t->sigmas ? calloc(d->n, sizeof *d->sigma) : NULL;
    if (!d->r || !d->g || (t->sigmas && !d->sigma))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", d->n);
    for (size_t i = 0; i < d->n; i++) {
        d->r[i] = t->row[i][0];
        d->g[i] = t->row[i][1];
        if (d->sigma)
            d->sigma[i] = t->row[i][2];
    }
    return BRAGG_OK;
}

/* NAME.cov: a line for each point, r and the covariances with itself and the points
 * after it. */
static bragg_status take_covariance(bragg_pdf_data *d, FILE *in, const char *path, bragg_error *err)
{
    char head[256];
    size_t n = 0, band = 0, line = 0;
    double r, value;
    while (fgets(head, sizeof head, in) && *head == '#')
        if (sscanf(head, "# points %zu band %zu", &n, &band) == 2)
            break;
    if (n != d->n || band >= n)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected the covariance of %zu points, found %zu with band %zu", path, d->n, n, band);
    d->band = band;
    d->covariance = calloc(n * (band + 1), sizeof *d->covariance);
    if (!d->covariance)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the covariance of %zu points", n);
    char *text = malloc(24 * (band + 4));
    bragg_status st = text ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a line of '%s'", path);
    for (; st == BRAGG_OK && line < n && fgets(text, (int)(24 * (band + 4)), in); line++) {
        const char *at = text;
        bool good = bragg_number_scan(at, &at, &r) && fabs(r - d->r[line]) < 1e-6;
        for (size_t k = 0; good && k <= band; k++)
            if ((good = bragg_number_scan(at, &at, &value) && isfinite(value)))
                d->covariance[line * (band + 1) + k] = value;
        if (!good)
            st = bragg_fail(err, BRAGG_EDATA, "'%s': expected %zu covariances at r = %g", path, band + 1, d->r[line]);
    }
    free(text);
    return st < 0 || line == n ? st : bragg_fail(err, BRAGG_EDATA, "'%s': ends after %zu of %zu points", path, line, n);
}

static bragg_status find_covariance(bragg_pdf_data *d, const char *path, bragg_error *err)
{
    char name[4096];
    const char *extension = bragg_path_extension(path);
    if (snprintf(name, sizeof name, "%.*s.cov", (int)(strlen(path) - strlen(extension)), path) >= (int)sizeof name || !strcmp(extension, ".cov"))
        return BRAGG_OK;
    FILE *in = fopen(name, "r");
    if (!in)
        return BRAGG_OK;
    bragg_status st = take_covariance(d, in, name, err);
    fclose(in);
    return st;
}

bragg_status bragg_pdf_data_read(const char *path, bragg_pdf_data **out, bragg_error *err)
{
    reader t = { .data = calloc(1, sizeof *t.data), .sigmas = true };
    char line[4096];
    FILE *in = fopen(path, "r");
    *out = NULL;
    bragg_status st = !in ? bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno))
                          : t.data ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
    if (st == BRAGG_OK)
        t.data->qmax_invang = NAN;
    while (st == BRAGG_OK && fgets(line, sizeof line, in))
        st = take_line(&t, path, line, err);
    if (st == BRAGG_OK && ferror(in))
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    if (st == BRAGG_OK)
        st = to_columns(&t, path, err);
    if (st == BRAGG_OK)
        st = find_covariance(t.data, path, err);
    if (in)
        fclose(in);
    free(t.row);
    if (st < 0)
        bragg_pdf_data_free(t.data);
    else
        *out = t.data;
    return st;
}

void bragg_pdf_data_free(bragg_pdf_data *d)
{
    if (!d)
        return;
    free(d->r);
    free(d->g);
    free(d->sigma);
    free(d->covariance);
    free(d);
}

/* ----------------------------------------------------------- difference */

static bragg_status same_grid(const bragg_pdf_data *a, const bragg_pdf_data *b, bragg_error *err)
{
    if (a->n != b->n)
        return bragg_fail(err, BRAGG_EDATA, "difference: expected G(r) on one grid, found %zu and %zu points", a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        if (fabs(a->r[i] - b->r[i]) > 1e-6)
            return bragg_fail(err, BRAGG_EDATA, "difference: expected G(r) on one grid, found r = %g beside %g at point %zu", a->r[i], b->r[i], i + 1);
    if (a->qmax_invang > 0 && b->qmax_invang > 0 && fabs(a->qmax_invang - b->qmax_invang) > 1e-6)
        return bragg_fail(err, BRAGG_EDATA, "difference: expected one qmax, found %g and %g: their ripples differ", a->qmax_invang, b->qmax_invang);
    return BRAGG_OK;
}

static double fitted_scale(const bragg_pdf_data *a, const bragg_pdf_data *b, double rmin, double rmax)
{
    double xy = 0, xx = 0;
    for (size_t i = 0; i < a->n; i++)
        if (a->r[i] >= rmin && a->r[i] <= rmax) {
            double w = a->sigma && b->sigma ? 1 / (a->sigma[i] * a->sigma[i] + b->sigma[i] * b->sigma[i]) : 1;
            xy += w * a->g[i] * b->g[i];
            xx += w * b->g[i] * b->g[i];
        }
    return xy / xx;
}

bragg_status bragg_pdf_difference(const bragg_pdf_data *a, const bragg_pdf_data *b, double rmin, double rmax, double *scale, bragg_pdf_data **out,
                                  bragg_error *err)
{
    bragg_status st = same_grid(a, b, err);
    *out = NULL;
    if (st == BRAGG_OK && isnan(*scale))
        *scale = fitted_scale(a, b, rmin, rmax);
    if (st == BRAGG_OK && !isfinite(*scale))
        st = bragg_fail(err, BRAGG_EDATA, "difference: no scale can be found between %g and %g angstrom", rmin, rmax);
    if (st < 0)
        return st;
    bragg_pdf_data *d = calloc(1, sizeof *d);
    bool errors = a->sigma && b->sigma;
    if (d) {
        d->r = calloc(a->n, sizeof *d->r);
        d->g = calloc(a->n, sizeof *d->g);
        d->sigma = errors ? calloc(a->n, sizeof *d->sigma) : NULL;
    }
    if (!d || !d->r || !d->g || (errors && !d->sigma)) {
        bragg_pdf_data_free(d);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", a->n);
    }
    d->n = a->n;
    d->qmin_invang = a->qmin_invang;
    d->qmax_invang = a->qmax_invang;
    d->neutron = a->neutron;
    for (size_t i = 0; i < d->n; i++) {
        d->r[i] = a->r[i];
        d->g[i] = a->g[i] - *scale * b->g[i];
        if (errors)
            d->sigma[i] = sqrt(a->sigma[i] * a->sigma[i] + *scale * *scale * b->sigma[i] * b->sigma[i]);
    }
    *out = d;
    return BRAGG_OK;
}
