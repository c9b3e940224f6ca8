/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The truth in memory: what scatters when, and what looks at it. */
#ifndef BRAGG_TRUTH_H
#define BRAGG_TRUTH_H

#include <bragg/arena.h>
#include <bragg/crystal.h>
#include <bragg/detector.h>
#include <bragg/refine.h>
#include <bragg/simulate.h>
#include <bragg/yaml.h>
#include <gsl/gsl_rng.h>

#pragma GCC visibility push(hidden)

/** Straight between its points, level beyond them; n 0 where the file is silent. */
typedef struct truth_curve {
    size_t n;
    const double *x, *y;
} truth_curve;

/* Rows "instrument.*" of the model, in the order of bragg_truth_instrument. */
enum { TRUTH_INSTRUMENT = 12 };
extern const char *const bragg_truth_instrument[TRUTH_INSTRUMENT];

typedef struct truth_phase {
    const char *name;
    bragg_structure *structure;       /* its cell is that of the card */
    double mass;                      /* of the cell's content, g/mol */
    truth_curve weight, moles, cell[6], size_nm, strain, uiso, march;
    double formula_units;             /* a cell; only moles need them */
    double expansion_per_k[3];        /* of a, b, c from 298.15 K on */
    int march_hkl[3];
    bool window;                      /* not sample: its place may be another */
    double displacement_mm;
    double z, delta2;                 /* of total scattering: z of all atoms (NAN: the card's); correlated motion */
} truth_phase;

typedef struct truth_scene {
    size_t n;
    truth_phase *phase;
} truth_scene;

enum { TRUTH_HALOS = 6 };
typedef struct truth_background {
    bool simple;                      /* one number: air and a halo across the range */
    double flat, air, air_deg;        /* parts of `counts`; air falls by e over air_deg */
    size_t n_halos;
    struct { double at_deg, width_deg; truth_curve height; } halo[TRUTH_HALOS];
} truth_background;

typedef struct truth_shot {
    const char *name;
    const truth_scene *scene;
    const truth_background *background;
    double start_s, exposure_s;       /* since the run's first frame */
    double counts, graininess;
    double container;                 /* of total scattering: its atoms for one of the sample */
    bool own_scale;                   /* counts are this shot's top; else the first shot's */
} truth_shot;

/* What the cycler did: rest or constant current for a number of electrons. */
typedef struct truth_step {
    double start_s, duration_s, current_a, electrons; /* electrons passed before it: coordinate */
    double passed, rest_v;
} truth_step;

typedef struct truth_log {
    const char *file;
    double start_s;                   /* of recording, in the run's time */
    double offset_s, drift, every_s;  /* the log's clock against the frames' */
    double mass_kg, molar_mass, resistance_ohm, relax_s, noise;
    size_t n_steps;
    truth_step *step;
    truth_curve voltage, temperature;
} truth_log;

struct bragg_truth {
    bragg_arena *arena;
    const char *file;
    const bragg_yaml *root;
    long long seed;
    bool detector, patterns;          /* which is written; neither: total scattering */
    struct { size_t n; double first, step, qdamp, qbroad, pixels, air, flat; } total; /* inverse angstrom */
    bragg_geometry geometry;
    double error[6];                  /* what the written setup.poni is off by */
    bool gaps;
    long long dead_pixels;
    bragg_radiation radiation;
    double polarization;
    bragg_mount mount;
    double radius_m;
    double first_rad, last_rad, step_rad;
    double instrument[TRUTH_INSTRUMENT];
    double start_unix_s;              /* NAN: no clock */
    const char *folder;               /* of the frames, below the output */
    const char *format;               /* what the run's frames end in; NULL: tif */
    bool by_charge;                   /* curves run over electrons, not seconds */
    truth_curve monitor;
    double ripple, temperature_k;
    truth_scene windows;
    truth_log cycler, furnace;
    size_t n_scenes, n_shots;
    truth_scene *scene;
    truth_shot *shot;
};

/* Angstrom and degrees at a shot; edges that symmetry ties follow. */
void bragg_truth_cell(const bragg_truth *t, const truth_phase *p, const truth_shot *s, double cell[6]);

/* Curves */
double bragg_truth_at(const truth_curve *c, double x, double otherwise);
/* Mean over the times of an exposure. */
double bragg_truth_mean(const bragg_truth *t, const truth_curve *c, const truth_shot *s, double otherwise);
bragg_status bragg_truth_curve(const bragg_yaml *node, bragg_arena *arena, truth_curve *out, bragg_error *err);

/* Electrons passed, voltage and current at a time of the run. */
double bragg_truth_passed(const truth_log *cycler, double time_s);
double bragg_truth_voltage(const truth_log *cycler, double time_s);
const truth_step *bragg_truth_step(const truth_log *cycler, double time_s);
double bragg_truth_temperature(const bragg_truth *t, double time_s);
bragg_status bragg_truth_read_log(bragg_truth *t, bragg_error *err);

/* A seed that depends on all three, evenly. */
unsigned long bragg_truth_seed(long long seed, size_t shot, size_t part);
/* Random numbers, to be set to a seed; the caller frees.  NULL: no room. */
gsl_rng *bragg_truth_random(void);
/* Counts by Poisson's law, of any mean; none below 0. */
double bragg_truth_counts(gsl_rng *rng, double mean);

/* The ideal pattern of a shot's scene (or of the windows) on n equal steps from
 * first_rad to last_rad: intensity for scale 1. */
bragg_status bragg_truth_ideal(const bragg_truth *t, const truth_shot *s, bool windows, size_t n, double *out, bragg_error *err);
/* Monitor of a shot, ripple included. */
double bragg_truth_monitor(const bragg_truth *t, size_t shot);
/* Part of counts at an angle. */
double bragg_truth_background_at(const bragg_truth *t, const truth_shot *s, double two_theta_rad);
/* Counts a unit of the ideal pattern. */
bragg_status bragg_truth_scale(const bragg_truth *t, size_t shot, size_t n, double *scale, bragg_error *err);

bragg_status bragg_truth_write_frames(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err);
bragg_status bragg_truth_write_patterns(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err);
bragg_status bragg_truth_write_total(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err);
bragg_status bragg_truth_write_cycler(const bragg_truth *t, const char *dir, bool force, bragg_error *err);
bragg_status bragg_truth_write_furnace(const bragg_truth *t, const char *dir, bool force, bragg_error *err);
bragg_status bragg_truth_write_states(const bragg_truth *t, const char *dir, bool force, bragg_error *err);

#pragma GCC visibility pop

#endif
