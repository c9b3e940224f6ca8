/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg integrate: frames to patterns and cakes. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <string.h>

typedef struct wish {
    bragg_integrate_files_options o;
    const char *unit, *split, *range, *sector, *errors, *quantiles, *normalize;
    double clip, pixel_um;
    long long bins, azimuth;
    bool no_solid_angle, median;
} wish;

static bragg_status plan_options(wish *w, bragg_error *err)
{
    bragg_plan_options *o = &w->o.plan;
    bragg_status st = BRAGG_OK;
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
    if (o->logarithmic && !(o->first > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--log: expected --range FIRST,LAST from above zero, found %s", w->range ? w->range : "none");
    if (w->bins < 1 || w->azimuth < 0)
        return bragg_fail(err, BRAGG_EINVAL, "%s: expected a positive number, found %lld", w->bins < 1 ? "--bins" : "--azimuth", w->bins < 1 ? w->bins : w->azimuth);
    o->n_bins = (size_t)w->bins;
    o->n_azimuth = w->azimuth ? (size_t)w->azimuth : 1;
    o->solid_angle = !w->no_solid_angle;
    return BRAGG_OK;
}

static bragg_status frame_options(wish *w, bragg_error *err)
{
    bragg_integrate_options *o = &w->o.frame;
    if (w->errors && !bragg_errors_parse(w->errors, &o->errors))
        return bragg_fail(err, BRAGG_EINVAL, "--errors: expected poisson or azimuthal, found '%s'", w->errors);
    if (!isnan(w->clip) + w->median + (w->quantiles != NULL) > 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected one of --clip, --median and --quantiles, found more");
    if (!isnan(w->clip)) {
        o->reject = BRAGG_REJECT_CLIP;
        o->clip = w->clip;
    }
    if (w->median || w->quantiles)
        o->reject = BRAGG_REJECT_QUANTILE;
    return w->quantiles ? cli_range_ascending("quantiles", w->quantiles, &o->low, &o->high, err) : BRAGG_OK;
}

static bragg_status check_words(wish *w, int n, bragg_error *err)
{
    bragg_integrate_files_options *o = &w->o;
    if (n < 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected frames, found none");
    if (!o->poni)
        return bragg_fail(err, BRAGG_EINVAL, "expected --poni FILE, found none; bragg calibrate makes one of a frame of a standard");
    if (!(o->hot > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--hot: expected a positive number of deviations, got %g", o->hot);
    if (o->index < BRAGG_FRAMES_ALL)
        return bragg_fail(err, BRAGG_EINVAL, "--frame: expected 0 or more, found %lld", o->index);
    if (!isnan(o->wavelength_ang) && !(o->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--wavelength: must be positive, got %g", o->wavelength_ang);
    if (w->normalize && !bragg_normalize_parse(w->normalize, &o->normalize))
        return bragg_fail(err, BRAGG_EINVAL, "--normalize: expected monitor or exposure, found '%s'", w->normalize);
    bool store = o->out && bragg_path_is_hdf5(o->out);
    if (w->azimuth > 1 && !store)
        return bragg_fail(err, BRAGG_EINVAL, "--azimuth: cakes go to HDF5: expected -o OUT.h5, found %s", o->out ? o->out : "none");
    if (o->deviations && !store)
        return bragg_fail(err, BRAGG_EINVAL, "--deviations: they go to HDF5: expected -o OUT.h5, found %s", o->out ? o->out : "none");
    if (o->resume && o->force)
        return bragg_fail(err, BRAGG_EINVAL, "expected one of --resume and --force, found both");
    o->pixel_m = w->pixel_um * 1e-6;
    bragg_raw layout;
    bragg_status st = o->raw ? bragg_raw_parse(o->raw, &layout, err) : BRAGG_OK;
    return st < 0 ? st : cli_flip_check(o->flip, err);
}

/* Of one pattern its name has been said. */
static void tell(const wish *w, const bragg_integrate_files_report *r)
{
    size_t good = r->frames - r->bad;
    if (r->store || r->frames > BRAGG_FRAMES_TOLD || r->bad)
        fprintf(stderr, "%zu frame%s -> %s in %.1f s (%.3g frames/s)%s", good, good == 1 ? "" : "s", w->o.out ? w->o.out : ".", r->seconds,
                (double)r->frames / fmax(r->seconds, 1e-3), r->bad ? "" : "\n");
    if (r->bad)
        fprintf(stderr, "; %zu could not be integrated%s\n", r->bad, r->store ? ", their rows are empty" : "");
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    wish *w = payload;
    cli_progress bar;
    bragg_integrate_files_report report;
    bragg_status st = check_words(w, operands, err);
    if (st == BRAGG_OK)
        st = plan_options(w, err);
    if (st == BRAGG_OK)
        st = frame_options(w, err);
    if (st < 0)
        return st;
    w->o.observer = cli_observer_loud(&bar, "frame");
    st = bragg_integrate_files((const char *const *)argv, (size_t)operands, &w->o, &report, err);
    cli_progress_end(&bar);
    if (st == BRAGG_OK)
        tell(w, &report);
    return st;
}

static int run(int argc, char **argv)
{
    wish w = { .o = BRAGG_INTEGRATE_FILES_OPTIONS_INIT, .clip = NAN, .pixel_um = NAN, .bins = 2000 };
    w.o.plan.polarization = 0.99;
    const cli_option options[] = {
        { "poni", 'p', CLI_TEXT, &w.o.poni, "FILE", "geometry, as pyFAI, GSAS-II (.imctrl) or Fit2D write it" },
        { "output", 'o', CLI_TEXT, &w.o.out, "FILE|DIR", "where to: OUT.h5 takes all frames, a folder NAME.xye each" },
        { "mask", 'm', CLI_TEXT, &w.o.mask, "FRAME|YAML", "pixels that are not zero here, or that it describes, are left out; gaps: the detector's" },
        { "below", 0, CLI_NUMBER, &w.o.below, "COUNTS", "leave out pixels that are below this in the first frame" },
        { "above", 0, CLI_NUMBER, &w.o.above, "COUNTS", "or above this" },
        { "learn-mask", 0, CLI_TEXT, &w.o.learn, "FRAMES", "leave out pixels that these frames, dark or without spots, show to be hot or dead" },
        { "beam-stop", 0, CLI_FLAG, &w.o.beam_stop, NULL, "leave out the beam stop's shadow, found on the first frame" },
        { "hot", 0, CLI_NUMBER, &w.o.hot, "N", "that is so many deviations from their neighbours [8]" },
        { "dark", 0, CLI_TEXT, &w.o.dark, "FRAME", "subtract this frame" },
        { "flat", 0, CLI_TEXT, &w.o.flat, "FRAME", "divide by this frame" },
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "2th_deg (default), q_A^-1, q_nm^-1, d_A or r_mm" },
        { "bins", 'n', CLI_INTEGER, &w.bins, "N", "number of bins [2000]" },
        { "range", 'r', CLI_TEXT, &w.range, "FIRST,LAST", "range in the unit; default all" },
        { "log", 0, CLI_FLAG, &w.o.plan.logarithmic, NULL, "bins of equal ratio; needs --range" },
        { "azimuth", 'a', CLI_INTEGER, &w.azimuth, "N", "cakes: so many azimuths [1]" },
        { "sector", 0, CLI_TEXT, &w.sector, "FIRST,LAST", "azimuths in degrees, 0 at 3 o'clock, clockwise; default all" },
        { "split", 0, CLI_TEXT, &w.split, "HOW", "share a pixel among bins: none, bbox or full [full]" },
        { "errors", 0, CLI_TEXT, &w.errors, "MODEL", "from counting (poisson) or the scatter of a bin's pixels (azimuthal) [poisson]" },
        { "variance", 0, CLI_TEXT, &w.o.variance, "FRAME", "or from this frame of variances" },
        { "clip", 0, CLI_NUMBER, &w.clip, "N", "reject pixels N standard deviations from the mean of their bin" },
        { "median", 0, CLI_FLAG, &w.median, NULL, "the median of a bin's pixels instead of their mean" },
        { "quantiles", 0, CLI_TEXT, &w.quantiles, "LOW,HIGH", "or the mean between two quantiles, as 0.1,0.9" },
        { "mean", 0, CLI_FLAG, &w.o.frame.mean, NULL, "a bin is the mean of corrected pixels instead of the ratio of sums" },
        { "deviations", 0, CLI_FLAG, &w.o.deviations, NULL, "write the standard deviation of a pixel beside the standard error (OUT.h5)" },
        { "normalize", 0, CLI_TEXT, &w.normalize, "BY", "divide by the monitor or the exposure that the frame's file tells" },
        { "polarization", 0, CLI_NUMBER, &w.o.plan.polarization, "FACTOR", "-1 to 1, nan for no correction [0.99]" },
        { "no-solid-angle", 0, CLI_FLAG, &w.no_solid_angle, NULL, "do not correct for the solid angle" },
        { "sensor-mu-t", 0, CLI_NUMBER, &w.o.plan.sensor_mu_t, "MUT", "correct for oblique incidence on a sensor of this absorption times thickness" },
        { "sample-mu-t", 0, CLI_NUMBER, &w.o.plan.sample_mu_t, "MUT", "correct for absorption in a flat sample across the beam of this absorption times thickness" },
        { "flip", 0, CLI_TEXT, &w.o.flip, "HOW", "read the frame upside down: vertical, horizontal or both" },
        { "raw", 0, CLI_TEXT, &w.o.raw, "LAYOUT", "files without a header: WIDTHxHEIGHTxTYPE[+OFFSET][,swap], as 2048x2048xuint16+8192" },
        { "frame", 0, CLI_INTEGER, &w.o.index, "I", "only this frame of each file, from 0 [all]" },
        { "pixel-um", 0, CLI_NUMBER, &w.pixel_um, "SIZE", "pixel size in micrometre where neither geometry nor frame tell it" },
        { "wavelength", 'w', CLI_NUMBER, &w.o.wavelength_ang, "ANGSTROM", "instead of the PONI file's" },
        { "plans", 0, CLI_TEXT, &w.o.plans, "DIR", "keep integration plans there and use those that fit" },
        { "resume", 0, CLI_FLAG, &w.o.resume, NULL, "go on where an interrupted run has stopped" },
        { "force", 'f', CLI_FLAG, &w.o.force, NULL, "overwrite what exists" },
    };
    return cli_run(&cli_integrate, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_integrate = { "integrate", "FRAME… --poni SETUP.poni -o OUT.h5|OUT.xye|DIR", "azimuthal integration of detector frames", run };
