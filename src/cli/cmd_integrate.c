/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg integrate: frames to patterns and cakes. */
#include "config.h"
#include "integrate.h"

#include <math.h>
#include <string.h>

static bragg_status plan_options(const integrate_wish *w, bragg_plan_options *o, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    *o = (bragg_plan_options)BRAGG_PLAN_OPTIONS_INIT;
    if (w->unit && !bragg_axis_parse(w->unit, &o->axis))
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1, d_A or r_mm, found '%s'", w->unit);
    if (w->split && !bragg_split_parse(w->split, &o->split))
        return bragg_fail(err, BRAGG_EINVAL, "--split: expected none, bbox or full, found '%s'", w->split);
    if (w->range)
        st = cli_range_ascending("range", w->range, &o->first, &o->last, err);
    if (st == BRAGG_OK && w->sector)
        st = cli_range("sector", w->sector, &o->chi_first_rad, &o->chi_last_rad, err);
    if (st < 0)
        return st;
    o->first *= bragg_axis_factor(o->axis);
    o->last *= bragg_axis_factor(o->axis);
    o->chi_first_rad *= BRAGG_DEG;
    o->chi_last_rad *= BRAGG_DEG;
    if (o->axis == BRAGG_AXIS_D && !w->range)
        return bragg_fail(err, BRAGG_EINVAL, "--unit d_A: expected --range FIRST,LAST, found none (d grows without end towards the beam)");
    if (w->logarithmic && !(o->first > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--log: expected --range FIRST,LAST from above zero, found %s", w->range ? w->range : "none");
    if (w->bins < 1 || w->azimuth < 0)
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected a positive number, found %lld", w->bins < 1 ? "--bins" : "--azimuth", w->bins < 1 ? w->bins : w->azimuth);
    o->n_bins = (size_t)w->bins;
    o->n_azimuth = w->azimuth ? (size_t)w->azimuth : 1;
    o->solid_angle = !w->no_solid_angle;
    o->polarization = w->polarization;
    o->sensor_mu_t = w->sensor_mu_t;
    o->sample_mu_t = w->sample_mu_t;
    o->logarithmic = w->logarithmic;
    return BRAGG_OK;
}

static bragg_status frame_options(const integrate_wish *w, bragg_integrate_options *o, bragg_error *err)
{
    *o = (bragg_integrate_options)BRAGG_INTEGRATE_OPTIONS_INIT;
    if (w->errors && !bragg_errors_parse(w->errors, &o->errors))
        return bragg_fail(err, BRAGG_EINVAL, "--errors: expected poisson or azimuthal, found '%s'", w->errors);
    if (!isnan(w->clip) + w->median + (w->quantiles != NULL) > 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected one of --clip, --median and --quantiles, found more");
    o->mean = w->mean;
    if (!isnan(w->clip)) {
        o->reject = BRAGG_REJECT_CLIP;
        o->clip = w->clip;
    }
    if (w->median || w->quantiles)
        o->reject = BRAGG_REJECT_QUANTILE;
    return w->quantiles ? cli_range_ascending("quantiles", w->quantiles, &o->low, &o->high, err) : BRAGG_OK;
}

static bragg_status check_words(const integrate_wish *w, int n, bragg_error *err)
{
    if (n < 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected frames, found none");
    if (!w->poni)
        return bragg_fail(err, BRAGG_EINVAL, "expected --poni FILE, found none; bragg calibrate makes one of a frame of a standard");
    if (!(w->hot > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--hot: expected a positive number of deviations, got %g", w->hot);
    if (w->frame < -1)
        return bragg_fail(err, BRAGG_EINVAL, "--frame: expected 0 or more, found %lld", w->frame);
    if (!isnan(w->wavelength_ang) && !(w->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--wavelength: must be positive, got %g", w->wavelength_ang);
    if (w->monitor && strcmp(w->monitor, "monitor") && strcmp(w->monitor, "exposure"))
        return bragg_fail(err, BRAGG_EINVAL, "--normalize: expected monitor or exposure, found '%s'", w->monitor);
    bool store = w->out && bragg_path_is_hdf5(w->out);
    if (w->azimuth > 1 && !store)
        return bragg_fail(err, BRAGG_EINVAL, "--azimuth: cakes go to HDF5: expected -o OUT.h5, found %s", w->out ? w->out : "none");
    if (w->deviations && !store)
        return bragg_fail(err, BRAGG_EINVAL, "--deviations: they go to HDF5: expected -o OUT.h5, found %s", w->out ? w->out : "none");
    if (w->resume && w->force)
        return bragg_fail(err, BRAGG_EINVAL, "expected one of --resume and --force, found both");
    bragg_raw layout;
    bragg_status st = w->raw ? bragg_raw_parse(w->raw, &layout, err) : BRAGG_OK;
    return st < 0 ? st : cli_flip_check(w->flip, err);
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const integrate_wish *w = payload;
    bragg_plan_options plan;
    bragg_integrate_options frames;
    bragg_status st = check_words(w, operands, err);
    if (st == BRAGG_OK)
        st = plan_options(w, &plan, err);
    if (st == BRAGG_OK)
        st = frame_options(w, &frames, err);
    return st == BRAGG_OK ? cli_integrate_all(w, &plan, &frames, argv, (size_t)operands, err) : st;
}

static int run(int argc, char **argv)
{
    integrate_wish w = { .wavelength_ang = NAN, .polarization = 0.99, .sensor_mu_t = NAN, .sample_mu_t = NAN, .clip = NAN, .pixel_um = NAN, .hot = 8, .below = NAN, .above = NAN, .bins = 2000, .frame = -1 };
    const cli_option options[] = {
        { "poni", 'p', CLI_TEXT, &w.poni, "FILE", "geometry, as pyFAI, GSAS-II (.imctrl) or Fit2D write it" },
        { "output", 'o', CLI_TEXT, &w.out, "FILE|DIR", "where to: OUT.h5 takes all frames, a folder NAME.xye each" },
        { "mask", 'm', CLI_TEXT, &w.mask, "FRAME|YAML", "pixels that are not zero here, or that it describes, are left out; gaps: the detector's" },
        { "below", 0, CLI_NUMBER, &w.below, "COUNTS", "leave out pixels that are below this in the first frame" },
        { "above", 0, CLI_NUMBER, &w.above, "COUNTS", "or above this" },
        { "learn-mask", 0, CLI_TEXT, &w.learn, "FRAMES", "leave out pixels that these frames, dark or without spots, show to be hot or dead" },
        { "beam-stop", 0, CLI_FLAG, &w.beam_stop, NULL, "leave out the beam stop's shadow, found on the first frame" },
        { "hot", 0, CLI_NUMBER, &w.hot, "N", "that is so many deviations from their neighbours [8]" },
        { "dark", 0, CLI_TEXT, &w.dark, "FRAME", "subtract this frame" },
        { "flat", 0, CLI_TEXT, &w.flat, "FRAME", "divide by this frame" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "2th_deg (default), q_A^-1, q_nm^-1, d_A or r_mm" },
        { "bins", 'n', CLI_INTEGER, &w.bins, "N", "number of bins [2000]" },
        { "range", 'r', CLI_TEXT, &w.range, "FIRST,LAST", "range in the unit; default all" },
        { "log", 0, CLI_FLAG, &w.logarithmic, NULL, "bins of equal ratio; needs --range" },
        { "azimuth", 'a', CLI_INTEGER, &w.azimuth, "N", "cakes: so many azimuths [1]" },
        { "sector", 0, CLI_TEXT, &w.sector, "FIRST,LAST", "azimuths in degrees, 0 at 3 o'clock, clockwise; default all" },
        { "split", 0, CLI_TEXT, &w.split, "HOW", "share a pixel among bins: none, bbox or full [full]" },
        { "errors", 0, CLI_TEXT, &w.errors, "MODEL", "from counting (poisson) or the scatter of a bin's pixels (azimuthal) [poisson]" },
        { "variance", 0, CLI_TEXT, &w.variance, "FRAME", "or from this frame of variances" },
        { "clip", 0, CLI_NUMBER, &w.clip, "N", "reject pixels N standard deviations from the mean of their bin" },
        { "median", 0, CLI_FLAG, &w.median, NULL, "the median of a bin's pixels instead of their mean" },
        { "quantiles", 0, CLI_TEXT, &w.quantiles, "LOW,HIGH", "or the mean between two quantiles, as 0.1,0.9" },
        { "mean", 0, CLI_FLAG, &w.mean, NULL, "a bin is the mean of corrected pixels instead of the ratio of sums" },
        { "deviations", 0, CLI_FLAG, &w.deviations, NULL, "write the standard deviation of a pixel beside the standard error (OUT.h5)" },
        { "normalize", 0, CLI_TEXT, &w.monitor, "BY", "divide by the monitor or the exposure that the frame's file tells" },
        { "polarization", 0, CLI_NUMBER, &w.polarization, "FACTOR", "-1 to 1, nan for no correction [0.99]" },
        { "no-solid-angle", 0, CLI_FLAG, &w.no_solid_angle, NULL, "do not correct for the solid angle" },
        { "sensor-mu-t", 0, CLI_NUMBER, &w.sensor_mu_t, "MUT", "correct for oblique incidence on a sensor of this absorption times thickness" },
        { "sample-mu-t", 0, CLI_NUMBER, &w.sample_mu_t, "MUT", "correct for absorption in a flat sample across the beam of this absorption times thickness" },
        { "flip", 0, CLI_TEXT, &w.flip, "HOW", "read the frame upside down: vertical, horizontal or both" },
        { "raw", 0, CLI_TEXT, &w.raw, "LAYOUT", "files without a header: WIDTHxHEIGHTxTYPE[+OFFSET][,swap], as 2048x2048xuint16+8192" },
        { "frame", 0, CLI_INTEGER, &w.frame, "I", "only this frame of each file, from 0 [all]" },
        { "pixel-um", 0, CLI_NUMBER, &w.pixel_um, "SIZE", "pixel size in micrometre where neither geometry nor frame tell it" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "instead of the PONI file's" },
        { "plans", 0, CLI_TEXT, &w.plans, "DIR", "keep integration plans there and use those that fit" },
        { "resume", 0, CLI_FLAG, &w.resume, NULL, "go on where an interrupted run has stopped" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_integrate, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_integrate = { "integrate", "FRAME… --poni SETUP.poni -o OUT.h5|OUT.xye|DIR", "azimuthal integration of detector frames", run };
