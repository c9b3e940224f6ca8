/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Truth file to files. */
#include "config.h"
#include "truth.h"

#include <bragg/csv.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void print(FILE *to, double v, int digits)
{
    fputc(',', to);
    bragg_csv_number(to, v, digits, "");
}

static bragg_status write_row(FILE *to, const bragg_truth *t, size_t i, const bragg_truth_state *head, bragg_error *err)
{
    bragg_truth_state s;
    bragg_status st = bragg_truth_state_at(t, i, &s, err);
    if (st < 0)
        return st;
    fprintf(to, "%zu,", i);
    bragg_csv_text(to, s.name, "");
    print(to, s.time_s, 10);
    print(to, s.electrons, 8);
    print(to, s.voltage_v, 6);
    print(to, s.temperature_k, 7);
    for (size_t k = 0; k < head->n; k++)
        for (size_t j = 0; j < s.n; j++)
            if (!strcmp(s.phase[j].name, head->phase[k].name)) {
                print(to, s.phase[j].weight_fraction, 7);
                print(to, s.phase[j].cell[0], 8);
                print(to, s.phase[j].cell[1], 8);
                print(to, s.phase[j].cell[2], 8);
                break;
            }
    fputc('\n', to);
    return BRAGG_OK;
}

/* The states of a run as a table, for people. */
bragg_status bragg_truth_write_states(const bragg_truth *t, const char *dir, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_truth_state head;
    bragg_status st = bragg_truth_state_at(t, t->n_shots - 1, &head, err);
    if (st == BRAGG_OK)
        st = bragg_output_open(bragg_path_join(t->arena, dir, "truth.csv"), force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "frame,name,time_s,electrons,voltage_v,temperature_k");
    for (size_t k = 0; k < head.n; k++)
        fprintf(to, ",%s.weight_fraction,%s.a,%s.b,%s.c", head.phase[k].name, head.phase[k].name, head.phase[k].name, head.phase[k].name);
    fputc('\n', to);
    for (size_t i = 0; i < t->n_shots && st == BRAGG_OK; i++)
        st = write_row(to, t, i, &head, err);
    if (st < 0) {
        bragg_output_abandon(out);
        return st;
    }
    return bragg_output_commit(out, err);
}

/* The calibration that the experimenter has: off by what the truth says. */
static bragg_status write_poni(const bragg_truth *t, const char *dir, bool force, bragg_error *err)
{
    bragg_geometry g = t->geometry;
    for (int k = 0; k < 6; k++)
        (&g.distance_m)[k] += t->error[k];
    return bragg_geometry_write_poni(&g, bragg_path_join(t->arena, dir, "setup.poni"), force, err);
}

static bragg_status write_all(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err)
{
    bragg_status st = bragg_path_make_folder(dir, err);
    if (st == BRAGG_OK)
        st = bragg_path_make_folder(bragg_path_join(t->arena, dir, t->folder), err);
    if (st == BRAGG_OK && t->detector)
        st = write_poni(t, dir, force, err);
    if (st == BRAGG_OK)
        st = bragg_truth_write_cycler(t, dir, force, err);
    if (st == BRAGG_OK)
        st = bragg_truth_write_furnace(t, dir, force, err);
    if (st == BRAGG_OK && bragg_yaml_get(t->root, "run"))
        st = bragg_truth_write_states(t, dir, force, err);
    if (st == BRAGG_OK)
        st = (t->detector ? bragg_truth_write_frames : t->patterns ? bragg_truth_write_patterns : bragg_truth_write_total)(t, dir, force, observer, err);
    return st;
}

bragg_status bragg_simulate(const char *path, const char *dir, bool force, const bragg_observer *observer, bragg_error *err)
{
    bragg_truth *t;
    bragg_status st = bragg_truth_read(path, &t, err);
    if (st == BRAGG_OK)
        st = write_all(t, dir, force, observer, err);
    bragg_truth_free(t);
    return st;
}
