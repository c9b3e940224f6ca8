/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_FRAME_H
#define BRAGG_FRAME_H

#include <bragg/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Types of a pixel. */
typedef enum bragg_pixel {
    BRAGG_U8, BRAGG_U16, BRAGG_U32, BRAGG_U64, BRAGG_I8, BRAGG_I16, BRAGG_I32, BRAGG_I64, BRAGG_F32, BRAGG_F64
} bragg_pixel;

size_t bragg_pixel_size(bragg_pixel type);        /**< bytes */
const char *bragg_pixel_name(bragg_pixel type);   /**< "int32" */
/** Set one pixel, cast as C does. */
void bragg_pixel_put(void *at, bragg_pixel type, double value);

/** A motor, a counter or anything else that a file tells of a frame by a name of its
 *  own, in the file's own unit. */
typedef struct bragg_frame_value {
    char name[32];
    double value;
} bragg_frame_value;

/** A 2D detector frame as its file defines it.
 *
 *      data: height rows of width pixels, the file's first row first:
 *      slow index = row, fast index = column                                  */
typedef struct bragg_frame {
    size_t width, height;
    bragg_pixel type;
    void *data;
    /* what the file says of the exposure; NAN when it does not */
    double exposure_s, wavelength_ang, distance_m, temperature_k, monitor, time_s;
    double pixel_slow_m, pixel_fast_m;
    double beam_slow_px, beam_fast_px; /**< where the direct beam hits, by the file's word */
    double saturation;           /**< counts beyond which the detector saturates */
    size_t n_values;
    bragg_frame_value *value;    /**< motors and the like, in the file's order */
    char title[96];              /**< the detector or what the file says of itself; may be "" */
} bragg_frame;

/** New frame of zeros; EDATA for a size no detector has. */
bragg_status bragg_frame_new(size_t width, size_t height, bragg_pixel type, bragg_frame **out, bragg_error *err);
void bragg_frame_free(bragg_frame *frame);

/** Add a motor or the like; a name seen before is set anew, a value that is no number
 *  is left out. */
bragg_status bragg_frame_set(bragg_frame *frame, const char *name, double value, bragg_error *err);
/** Value of that name, whatever its case; NAN without one. */
double bragg_frame_get(const bragg_frame *frame, const char *name);
/** All that is known of one frame (not its pixels) into another. */
bragg_status bragg_frame_copy_facts(const bragg_frame *from, bragg_frame *to, bragg_error *err);

/** Number of frames in a file. */
bragg_status bragg_frame_count(const char *path, size_t *n, bragg_error *err);
/** Read frame `index` (from 0).  The format is known by its first bytes. */
bragg_status bragg_frame_read(const char *path, size_t index, bragg_frame **out, bragg_error *err);

/** The mask that a file has beside its frames (the pixel_mask of NeXus and Eiger files) or
 *  its detector around them (the round plate of a mar345), as a frame of the same shape;
 *  NULL without one. */
bragg_status bragg_frame_read_mask(const char *path, bragg_frame **out, bragg_error *err);

/** A file of frames without a header that we know: "2048x2048xuint16+8192,swap" is 2048
 *  columns and rows behind 8192 bytes, of the byte order that this machine has not. */
typedef struct bragg_raw {
    size_t width, height, offset;
    bragg_pixel type;
    bool swap;
} bragg_raw;
/** EINVAL for another text, EDATA for a file without one such frame, or without number index. */
bragg_status bragg_raw_parse(const char *text, bragg_raw *raw, bragg_error *err);
bragg_status bragg_raw_count(const char *path, const bragg_raw *raw, size_t *n, bragg_error *err);
bragg_status bragg_raw_read(const char *path, const bragg_raw *raw, size_t index, bragg_frame **out, bragg_error *err);

/** Turn over in place: vertical swaps the order of rows, horizontal of columns. */
void bragg_frame_flip(bragg_frame *frame, bool vertical, bool horizontal);
/** "vertical", "horizontal" or "both", as people say it; NULL: neither.  False for another word. */
bool bragg_flip_parse(const char *flip, bool *vertical, bool *horizontal);
/** bragg_frame_count and bragg_frame_read as people hold their files: one that begins with no
 *  mark we know is what `raw` says (bragg_raw_parse; NULL: it stays unknown), and the frame is
 *  turned over as `flip` says (bragg_flip_parse; NULL: it stays as it stands).  EINVAL for another
 *  word. */
bragg_status bragg_frame_count_as(const char *path, const char *raw, size_t *n, bragg_error *err);
bragg_status bragg_frame_read_as(const char *path, size_t index, const char *flip, const char *raw, bragg_frame **out, bragg_error *err);
/** Pixels first … first + n - 1 (row by row) as doubles. */
void bragg_frame_doubles(const bragg_frame *frame, size_t first, size_t n, double *out);
/** mask[i] |= 1 where a pixel is negative (the detector's marker of gaps and dead
 *  pixels), the largest value of an unsigned type of 16 bits and more, or not finite. */
void bragg_frame_mark_invalid(const bragg_frame *frame, uint8_t *mask);
/** mask[i] |= 1 where a pixel is not from low to high (hot, weak, saturated); a limit
 *  that is NAN does not count. */
void bragg_frame_mark_outside(const bragg_frame *frame, double low, double high, uint8_t *mask);
/** mask[i] |= 1 where a mask frame of the same size is not zero. */
bragg_status bragg_frame_add_mask(const bragg_frame *mask_frame, size_t width, size_t height, uint8_t *mask, bragg_error *err);

/** Frames into one file, whose format its name tells: .tif .tiff, .edf, .cbf (one frame,
 *  integers of 8 to 32 bits), .npy, .fits .fit, .h5 .hdf5 .nxs (NXdata).  All are of the shape
 *  and type of the first; what is known of them goes along where the format has a place.
 *  The file appears whole, at the commit, or not at all. */
typedef struct bragg_frame_stack bragg_frame_stack;
bool bragg_frame_writable(const char *path);
/** For n frames; EINVAL for a name or a number of frames that no format fits, EEXIST. */
bragg_status bragg_frame_stack_open(const char *path, size_t n, bool force, bragg_frame_stack **out, bragg_error *err);
/** EDATA for a type the format cannot hold without loss, or another shape than the first's. */
bragg_status bragg_frame_stack_add(bragg_frame_stack *stack, const bragg_frame *frame, bragg_error *err);
/** Write what is left and free; frees after a failure too. */
bragg_status bragg_frame_stack_commit(bragg_frame_stack *stack, bragg_error *err);
void bragg_frame_stack_abandon(bragg_frame_stack *stack);

/** The frame in another type; EDATA with the first pixel that it does not hold. */
bragg_status bragg_frame_as(const bragg_frame *frame, bragg_pixel type, bragg_frame **out, bragg_error *err);

/** Write an uncompressed TIFF of the frame's own type. */
bragg_status bragg_frame_write_tiff(const bragg_frame *frame, const char *path, bool force, bragg_error *err);

#endif
