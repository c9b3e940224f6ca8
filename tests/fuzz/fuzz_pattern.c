/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Read every pattern of the files named and say what came: for fuzzers and for
 * looking.  AFL: afl-fuzz -i samples -o out -- fuzz_pattern @@ */
#include "config.h"
#include <bragg/pattern.h>

#include <math.h>
#include <stdio.h>

/* One line a pattern: file, reader, index, n, x first and last, y max and sum. */
static void show(const char *path, const char *format, size_t index, const bragg_pattern *p)
{
    double factor = bragg_axis_factor(p->axis), most = -INFINITY, sum = 0, sigma = 0;
    for (size_t i = 0; i < p->n; i++) {
        most = fmax(most, p->y[i]);
        sum += p->y[i];
        sigma += isnan(p->sigma[i]) ? 0 : p->sigma[i];
    }
    const char *slash = path;
    for (const char *c = path; *c; c++)
        if (*c == '/')
            slash = c + 1;
    printf("%s\t%s\t%zu\t%zu\t%.8g\t%.8g\t%.9g\t%.12g\t%.6g\t%s\t%d\t%.7g\t%.7g\t%.4g\t%.5g\t%.12g\t%.6g\t%.8g\t%s\n", slash,
           format, index, p->n, p->x[0] / factor, p->x[p->n - 1] / factor, most, sum, sigma, bragg_axis_name(p->axis), p->counts,
           p->wavelength_ang, p->wavelength2_ang, p->ratio2, p->temperature_k, p->time_s, p->counting_s, p->monitor,
           p->title ? p->title : "");
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bragg_pattern **patterns;
        size_t n;
        const char *format = "?";
        bragg_error err = BRAGG_ERROR_INIT;
        if (bragg_pattern_format(argv[i], &format, &err) < 0 ||
            bragg_pattern_read_all(argv[i], &patterns, &n, &err) < 0) {
            printf("%s\t%s\t%s\t%s\n", argv[i], format, bragg_status_name(err.status), err.text);
            continue;
        }
        for (size_t k = 0; k < n; k++)
            show(argv[i], format, k, patterns[k]);
        bragg_patterns_free(patterns, n);
    }
    return 0;
}
