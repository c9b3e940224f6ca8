/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_INTEGRATE_H
#define BRAGG_INTEGRATE_H

#include <bragg/detector.h>
#include <bragg/observer.h>

/** Integration of the frames of whole files: one plan for all, batches read and summed
 *  side by side, results written in order. */

/** What the intensities of a frame are divided by, as its file tells it. */
typedef enum bragg_normalize { BRAGG_NORMALIZE_NONE, BRAGG_NORMALIZE_MONITOR, BRAGG_NORMALIZE_EXPOSURE } bragg_normalize;
bool bragg_normalize_parse(const char *name, bragg_normalize *normalize);   /**< "monitor", "exposure"; false and NONE: neither */
const char *bragg_normalize_name(bragg_normalize normalize);                /**< "none", "monitor", "exposure" */

enum { BRAGG_FRAMES_ALL = -1, BRAGG_FRAMES_TOLD = 10 /**< so many results and bad frames are told one by one */ };

typedef struct bragg_integrate_files_options {
    bragg_plan_options plan;         /**< but plan.flat, which is the file below */
    bragg_integrate_options frame;   /**< but dark, variance and monitor, which are those below */
    const char *poni;                /**< geometry, as bragg_geometry_read has it */
    /* files of frames; NULL: none */
    const char *mask;                /**< one of those that bragg_mask_read takes */
    const char *learn;               /**< bragg_mask_learn_file: other frames that show what is hot or dead */
    const char *dark, *flat;
    const char *variance;            /**< of every frame's counts */
    const char *flip, *raw;          /**< how frames are read, as bragg_frame_read_as has it */
    const char *plans;               /**< folder of bragg_plan_get; NULL: the plan is made anew */
    const char *out;                 /**< an HDF5 file of all (bragg_nxazint_create), the name of one pattern, or a
                                          folder of NAME.xye; NULL: this folder */
    double wavelength_ang;           /**< instead of the geometry's; NAN: that */
    double pixel_m;                  /**< where neither geometry nor frame tell it; NAN: they do */
    double hot;                      /**< deviations of bragg_mask_learn */
    double below, above;             /**< pixels beyond these on the first frame are masked; NAN: none */
    long long index;                 /**< only this frame of each file, from 0; BRAGG_FRAMES_ALL */
    bragg_normalize normalize;
    bool beam_stop;                  /**< mask the beam stop's shadow on the first frame */
    bool deviations;                 /**< keep the standard deviation of a pixel, too; HDF5 only */
    bool resume;                     /**< go on where an interrupted run has stopped; not with force */
    bool force;                      /**< overwrite what exists */
    const bragg_observer *observer;  /**< hears of what is found, of bad frames and after each round */
} bragg_integrate_files_options;
#define BRAGG_INTEGRATE_FILES_OPTIONS_INIT \
    { .plan = BRAGG_PLAN_OPTIONS_INIT, .frame = BRAGG_INTEGRATE_OPTIONS_INIT, .wavelength_ang = NAN, .pixel_m = NAN, .hot = 8, \
      .below = NAN, .above = NAN, .index = BRAGG_FRAMES_ALL }

typedef struct bragg_integrate_files_report {
    size_t frames;       /**< read, bad ones among them; those of an earlier run are not counted */
    size_t bad;          /**< that could not be integrated: of an HDF5 file rows of NAN, else no pattern */
    bool store;          /**< into one HDF5 file */
    double seconds;      /**< from the first frame on */
} bragg_integrate_files_report;

/** Integrate all frames of n files.  The plan is made for the first frame that can be read;
 *  what that frame marks as invalid is masked in all.  A frame that cannot be read, or is of
 *  another shape, is told to the observer, counted and passed over; EDATA when all are, and
 *  the cause when it is the only one.  Nothing is overwritten or read for long before it is
 *  known that all may be written: EEXIST, and EINVAL for two frames of one name or for sectors
 *  or deviations that go elsewhere than into HDF5.  STOPPED when the observer wished so: what
 *  is written is whole, `resume` goes on with it.  The same bits for any number of threads. */
bragg_status bragg_integrate_files(const char *const *paths, size_t n, const bragg_integrate_files_options *options,
                                   bragg_integrate_files_report *report, bragg_error *err);

#endif
