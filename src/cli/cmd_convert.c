/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg convert: a pattern from one file and axis to another, frames into one stack. */
#include "config.h"
#include "convert.h"

#include <bragg/pattern.h>
#include <math.h>

static bragg_status convert_pattern(const convert_wish *w, const char *in, const char *out, bragg_error *err)
{
    bragg_pattern *p = NULL;
    bragg_axis axis = BRAGG_AXIS_TTH;
    if (w->flip || w->raw || w->type || w->frame >= 0)
        return bragg_fail(err, BRAGG_EINVAL, "%s is for frames: expected an OUT that ends in .tif, .edf, .cbf, .npy, .fits or .h5, found '%s'",
                          w->flip ? "--flip" : w->raw ? "--raw" : w->type ? "--type" : "--frame", out);
    if (w->unit && (!bragg_axis_parse(w->unit, &axis) || axis == BRAGG_AXIS_R))
        return bragg_fail(err, BRAGG_EINVAL, "--unit: expected 2th_deg, q_A^-1, q_nm^-1 or d_A, found '%s'", w->unit);
    size_t n = 0;
    bragg_status st = cli_pattern_read(in, 0, &p, err);
    if (st == BRAGG_OK && bragg_pattern_count(in, &n, NULL) == BRAGG_OK && n > 1)
        fprintf(stderr, "%s: the first of its %zu patterns is written\n", in, n);
    if (st == BRAGG_OK && w->wavelength_ang > 0)
        p->wavelength_ang = w->wavelength_ang;
    if (st == BRAGG_OK && w->unit)
        st = bragg_pattern_to_axis(p, axis, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_write_text(p, out, w->force, err);
    bragg_pattern_free(p);
    return st;
}

static bragg_status check_words(const convert_wish *w, int n, bool frames, bragg_error *err)
{
    if (n < 2 || (n > 2 && !frames))
        return bragg_fail(err, BRAGG_EINVAL, n < 2 ? "expected IN and OUT, found %d of them" : "expected one IN and OUT for a pattern, found %d names", n);
    if (!isnan(w->wavelength_ang) && !(w->wavelength_ang > 0))
        return bragg_fail(err, BRAGG_EINVAL, "--wavelength: must be positive, got %g", w->wavelength_ang);
    if (w->frame < -1)
        return bragg_fail(err, BRAGG_EINVAL, "--frame: expected 0 or more, found %lld", w->frame);
    if (w->unit && frames)
        return bragg_fail(err, BRAGG_EINVAL, "--unit is for patterns: frames have pixels");
    return cli_flip_check(w->flip, err);
}

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    const convert_wish *w = payload;
    bool frames = operands > 0 && bragg_frame_writable(argv[operands - 1]);
    bragg_status st = check_words(w, operands, frames, err);
    if (st < 0)
        return st;
    return frames ? convert_frames(w, argv, (size_t)operands - 1, argv[operands - 1], err) : convert_pattern(w, argv[0], argv[1], err);
}

static int run(int argc, char **argv)
{
    convert_wish w = { .wavelength_ang = NAN, .frame = -1 };
    const cli_option options[] = {
        { "unit", 'u', CLI_TEXT, &w.unit, "UNIT", "axis of a pattern to write: 2th_deg, q_A^-1, q_nm^-1 or d_A" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "where the file does not say it" },
        { "type", 't', CLI_TEXT, &w.type, "TYPE", "pixels to write: uint8 to uint64, int8 to int64, float32, float64; refused where it loses" },
        { "frame", 0, CLI_INTEGER, &w.frame, "I", "only this frame of each file, from 0 [all]" },
        { "flip", 0, CLI_TEXT, &w.flip, "HOW", "turn frames upside down: vertical, horizontal or both" },
        { "raw", 0, CLI_TEXT, &w.raw, "LAYOUT", "frames without a header: WIDTHxHEIGHTxTYPE[+OFFSET][,swap]" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite OUT" },
    };
    return cli_run(&cli_convert, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_convert = { "convert", "IN… OUT", "write a pattern or frames in another file, unit or type", run };
