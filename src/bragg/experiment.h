/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_EXPERIMENT_H
#define BRAGG_EXPERIMENT_H

#include <bragg/instrument.h>
#include <bragg/refine.h>
#include <bragg/yaml.h>

/** The YAML experiment file as far as one refinement needs it: radiation, data,
 *  phases, refine.  The other sections are kept in root for who needs them. */
typedef struct bragg_experiment_phase {
    const char *name, *card, *path;  /**< card and path NULL when cell and symmetry are given */
    bool extract;                    /**< method: lebail or pawley */
    bool pawley, positive;
    const bragg_known_peak *known;   /**< given in place of atoms; NULL without */
    size_t n_known;
    bool spacings;                   /**< known lists d, not hkl */
    double mass, wavelength_ang;     /**< of the known; NAN when not given */
    bragg_cell cell;                 /**< given instead of a card */
    const bragg_symmetry *symmetry;  /**< NULL: the card's */
    const bragg_yaml *refine;
    bool uniaxial, stephens;         /**< anisotropic widths */
    int axis[3];
    size_t n_march;                  /**< axes of texture */
    int march[4][3];
    int harmonics;                   /**< highest order; 0: none */
    bool extinction;
    double particle_um;              /**< diameter of its grains; 0: not given */
    bool isotropic;                  /**< displacements, whatever the card has */
} bragg_experiment_phase;

typedef struct bragg_experiment_pattern {
    const char *name;                /**< of one of several; NULL for the only one */
    const char *file;                /**< beside the experiment file; NULL when it names none */
    bool has_unit;
    bragg_axis unit;                 /**< of the file's abscissa, when it does not say so itself */
    bragg_histogram_options histogram;
    bragg_instrument instrument;     /**< silent without one */
    const char *container;           /**< file of an empty one; may be NULL */
    const bragg_yaml *refine;        /**< its own list of parameters; may be NULL */
    bragg_pattern *asked;            /**< the file's, when its wavelength or radius was asked for; NULL otherwise */
    bool radius_asked;               /**< histogram.radius_m is what the file says */
} bragg_experiment_pattern;

typedef struct bragg_experiment {
    bragg_arena *arena;
    const bragg_yaml *root;
    const char *title;               /**< NULL when the file has none */
    size_t n_patterns;               /**< at least one; several are refined together */
    bragg_experiment_pattern *pattern;
    size_t n_phases;
    bragg_experiment_phase *phase;
    bragg_refine_options options;
    const char *start;               /**< fit.json to start from; may be NULL */
    const char *directory;           /**< output's; may be NULL */
    bool bare;                       /**< set by a caller who sets values, bounds, ties and refine flags himself: _load leaves
                                      *   them; a fit of patterns with something else has them in a larger table */
} bragg_experiment;

/** EDATA with line and column for what the file has wrong. */
bragg_status bragg_experiment_read(const char *path, bragg_experiment **out, bragg_error *err);
/** The file as it is in force: what it leaves open filled in, paths absolute, so that it
 *  can be kept elsewhere and run again (bragg_yaml_write). */
bragg_status bragg_experiment_effective(const bragg_experiment *experiment, bragg_arena *arena, bragg_yaml **out, bragg_error *err);
/** Start from an earlier result, a fit.json or the folder it stands in, as if the file
 *  said so; NULL changes nothing. */
bragg_status bragg_experiment_start(bragg_experiment *experiment, const char *result, bragg_error *err);
void bragg_experiment_free(bragg_experiment *experiment);
/** A pattern's file, in the unit that data gives it. */
bragg_status bragg_experiment_pattern_read(const bragg_experiment_pattern *from, bragg_pattern **out, bragg_error *err);
/** The model of its phases for all its patterns, read from their files, values set
 *  and parameters selected. */
bragg_status bragg_experiment_load(const bragg_experiment *experiment, bragg_model **out, bragg_error *err);
/** The same for a pattern in place of its only one, as a series has it. */
bragg_status bragg_experiment_model(const bragg_experiment *experiment, const bragg_pattern *pattern,
                                    bragg_model **out, bragg_error *err);
/** EDATA where nobody says what to refine of a series, or leaves it to the strategy, which chooses for one refinement. */
bragg_status bragg_experiment_check_series(const bragg_experiment *experiment, bragg_error *err);

#endif
