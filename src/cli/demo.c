/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the demos share: comparisons with the truth, and commands as they are typed. */
#include "config.h"
#include "demo.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* ------------------------------------------------------------ comparison */

void demo_compare(demo *d, const char *name, double truth, bragg_quantity q, const char *unit)
{
    char text[BRAGG_NUMBER_TEXT], wide[BRAGG_NUMBER_TEXT];
    double pull = (q.value - truth) / q.esd;
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(name));
    json_object_set_new(row, "truth", bragg_json_number(truth));
    json_object_set_new(row, "value", bragg_json_number(q.value));
    json_object_set_new(row, "esd", bragg_json_number(q.esd));
    json_object_set_new(row, "pull", bragg_json_number(pull));
    json_object_set_new(row, "unit", json_string(unit));
    json_array_append_new(d->comparisons, row);
    d->compared++;
    d->beyond += !(fabs(pull) <= 3);
    if (!d->json)
        printf("  %-38s %14s %18s %-11s pull %+.2f%s\n", name, bragg_number_print_digits(wide, truth, 7), bragg_number_print_esd(text, q.value, q.esd), unit,
               pull, fabs(pull) <= 3 ? "" : "  <<");
}

void demo_count(demo *d, const char *name, size_t good, size_t of, double needed, const char *worst)
{
    double share = of ? (double)good / (double)of : NAN;
    bool enough = !of || share >= needed;
    json_array_append_new(d->summary, json_pack("{s:s, s:i, s:i, s:o, s:f, s:b, s:s}", "name", name, "good", (int)good, "of", (int)of, "share",
                                                bragg_json_number(share), "needed", needed, "enough", enough, "worst", worst));
    if (!d->json && of)
        printf("  %-46s %4zu of %4zu  %s%s%s\n", name, good, of, enough ? "yes" : "NO", *worst ? "; " : "", worst);
}

const char *demo_file(const demo *d, const char *name, const char *ending)
{
    char file[300];
    snprintf(file, sizeof file, "%.200s%.80s", name, ending);
    return bragg_path_join(d->arena, d->out, file);
}

bool demo_cell_free(const bragg_truth_phase *truth, int k)
{
    for (int i = 0; i < k; i++)
        if (truth->cell[i] == truth->cell[k])
            return false; /* tied, or both right angles */
    return truth->cell[k] != 90 && truth->cell[k] != 120;
}

/* ------------------------------------------------------------- commands */

/* A command as it is typed, its output kept in a file. */
bragg_status demo_command(const cli_command *command, size_t argc, const char *const *argv, const char *log, bragg_error *err)
{
    char *copy[24] = { NULL };
    for (size_t k = 0; k < argc && k < 23; k++)
        copy[k] = (char *)argv[k];
    fflush(stdout);
    int keep = dup(STDOUT_FILENO), file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (keep < 0 || file < 0) {
        if (keep >= 0)
            close(keep);
        if (file >= 0)
            close(file);
        return bragg_fail(err, BRAGG_EIO, "%s: cannot be written", log);
    }
    dup2(file, STDOUT_FILENO);
    int status = command->run((int)argc, copy);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    close(file);
    return status == 0 ? BRAGG_OK : bragg_fail(err, status == 4 ? BRAGG_ENOCONV : BRAGG_EDATA, "bragg %s ended with status %d, see above and %s", command->name, status, log);
}
