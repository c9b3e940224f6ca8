/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FITS images and cubes through cfitsio: scaled, tile-compressed, blank pixels. */
#include "config.h"
#include "bytes.h"
#include "fits_header.h"
#include "fits_tiles.h"
#include "reader.h"
#include "writer.h"

#include <bragg/datetime.h>
#include <fitsio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool probe(const unsigned char *h, size_t n) { return n > 9 && !memcmp(h, "SIMPLE  =", 9); }

static bragg_status complain(const char *path, int status, bragg_error *err)
{
    char text[FLEN_STATUS];
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return bragg_fail(err, BRAGG_EDATA, "%s: %s", path, text);
}

static bragg_status cannot_write(int status, bragg_error *err)
{
    char text[FLEN_STATUS];
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return bragg_fail(err, BRAGG_EIO, "cfitsio cannot write it: %s", text);
}

/* A file that was looked at, and what cfitsio made of it: of one that is packed it sees
 * our bytes and does not unpack it another way. */
typedef struct image {
    frame_file file;
    fits_picture picture;
    fitsfile *f;
} image;

static void close_image(image *i)
{
    int status = 0;
    if (i->f)
        fits_close_file(i->f, &status);
    fits_clear_errmsg();
    bragg_fits_picture_free(&i->picture);
    bragg_frame_close(&i->file);
}

static bragg_status look_at_image(const char *path, image *i, bragg_error *err)
{
    *i = (image){ .f = NULL };
    bragg_status st = bragg_frame_open(path, &i->file, err);
    if (st < 0)
        return st;
    st = bragg_fits_find_picture(&i->file, &i->picture, err);
    if (st < 0)
        close_image(i);
    return st;
}

static bragg_status open_image(const char *path, image *i, bragg_error *err)
{
    int status = 0, type;
    if (i->file.all.at)
        fits_open_memfile(&i->f, path, READONLY, (void **)&i->file.all.at, &i->file.all.n, 0, NULL, &status);
    else
        fits_open_diskfile(&i->f, path, READONLY, &status);
    fits_movabs_hdu(i->f, (int)i->picture.unit.number, &type, &status);
    return status ? complain(path, status, err) : BRAGG_OK;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    image i;
    bragg_status st = look_at_image(path, &i, err);
    if (st < 0)
        return st;
    *n = i.picture.axis[2];
    close_image(&i);
    return BRAGG_OK;
}

static const struct { int equivalent, fits; bragg_pixel type; } table[] = {
    { BYTE_IMG, TBYTE, BRAGG_U8 }, { SBYTE_IMG, TSBYTE, BRAGG_I8 }, { SHORT_IMG, TSHORT, BRAGG_I16 }, { USHORT_IMG, TUSHORT, BRAGG_U16 },
    { LONG_IMG, TINT, BRAGG_I32 }, { ULONG_IMG, TUINT, BRAGG_U32 }, { LONGLONG_IMG, TLONGLONG, BRAGG_I64 }, { ULONGLONG_IMG, TULONGLONG, BRAGG_U64 },
    { FLOAT_IMG, TFLOAT, BRAGG_F32 }, { DOUBLE_IMG, TDOUBLE, BRAGG_F64 } };

/* The type that holds what BZERO and BSCALE make of the file's numbers. */
static bragg_pixel pixel_type(fitsfile *f, int *fits_type)
{
    int equivalent = DOUBLE_IMG, status = 0;
    double zero = 0;
    fits_get_img_equivtype(f, &equivalent, &status);
    if (equivalent == LONGLONG_IMG && !fits_read_key(f, TDOUBLE, "BZERO", &zero, NULL, &status) && zero == 9223372036854775808.)
        equivalent = ULONGLONG_IMG; /* which cfitsio 4.2 does not say itself */
    fits_clear_errmsg();
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (table[k].equivalent == equivalent) {
            *fits_type = table[k].fits;
            return table[k].type;
        }
    *fits_type = TDOUBLE;
    return BRAGG_F64;
}

/* A number under the first of two names that is there; NAN without. */
static double key_number(const fits_unit *u, const char *key, const char *other)
{
    double v = bragg_fits_number(bragg_fits_card(u, key));
    return isnan(v) ? bragg_fits_number(bragg_fits_card(u, other)) : v;
}

/* Keywords of the standard (FITS 4.0, 9.) and those that X-ray cameras have in common;
 * the long names are ours. */
static void read_facts(const fits_unit *u, bragg_frame *out)
{
    out->exposure_s = key_number(u, "EXPTIME", "EXPOSURE");
    out->wavelength_ang = key_number(u, "WAVELEN", "WAVELENG");
    out->distance_m = key_number(u, "DISTANCE", "DETDIST");
    out->temperature_k = key_number(u, "TEMP-K", "SAMPTEMP");
    out->monitor = key_number(u, "MONITOR", "I0");
    out->pixel_fast_m = key_number(u, "PIXSIZE1", "XPIXELSZ");
    out->pixel_slow_m = key_number(u, "PIXSIZE2", "YPIXELSZ");
    out->beam_fast_px = key_number(u, "BEAM1", "BEAMX");
    out->beam_slow_px = key_number(u, "BEAM2", "BEAMY");
    out->saturation = key_number(u, "SATURATE", "SATLEVEL");
    const fits_card *date = bragg_fits_card(u, "DATE-OBS"), *name = bragg_fits_card(u, "DETECTOR");
    if (*bragg_fits_text(date))
        out->time_s = bragg_frame_time(bragg_fits_text(date));
    snprintf(out->title, sizeof out->title, "%s", bragg_fits_text(name ? name : bragg_fits_card(u, "INSTRUME")));
}

/* Of codes that only sums can vouch for. */
static bragg_status check_sums(const char *path, const image *i, bragg_error *err)
{
    int status = 0, data = 0, unit = 0;
    fits_verify_chksum(i->f, &data, &unit, &status);
    if (!status && data == 1 && unit == 1)
        return BRAGG_OK;
    return bragg_fail(err, BRAGG_EDATA, "%s: compressed with %s, whose decoder believes what it reads: expected the right CHECKSUM and DATASUM, found %s; funpack and fpack the file again",
                      path, bragg_fits_text(bragg_fits_card(&i->picture.unit, "ZCMPTYPE")), unit == 0 || data == 0 ? "none" : "another");
}

static bragg_status read_pixels(const char *path, const image *i, size_t index, bragg_frame **out, bragg_error *err)
{
    const size_t *axis = i->picture.axis;
    int status = 0, blank = 0, type;
    bragg_pixel pixel = pixel_type(i->f, &type);
    bragg_status st = bragg_frame_new(axis[0], axis[1], pixel, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", path);
    long first[3] = { 1, 1, (long)index + 1 };
    float nan_f = NAN;
    double nan_d = NAN;
    void *null = type == TFLOAT ? (void *)&nan_f : type == TDOUBLE ? (void *)&nan_d : NULL; /* blank pixels */
    if (fits_read_pix(i->f, type, first, (LONGLONG)(axis[0] * axis[1]), null, (*out)->data, &blank, &status))
        return complain(path, status, err);
    read_facts(&i->picture.unit, *out);
    return BRAGG_OK;
}

static bragg_status read_fits(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    image i;
    bool sums = false;
    bragg_status st = look_at_image(path, &i, err);
    if (st < 0)
        return st;
    if (index >= i.picture.axis[2])
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", path, index, i.picture.axis[2]);
    if (st == BRAGG_OK)
        st = bragg_fits_check_tiles(&i.file, &i.picture, index, &sums, err);
    if (st == BRAGG_OK)
        st = open_image(path, &i, err);
    if (st == BRAGG_OK && sums)
        st = check_sums(path, &i, err);
    if (st == BRAGG_OK)
        st = read_pixels(path, &i, index, out, err);
    close_image(&i);
    return st;
}

const bragg_frame_reader bragg_frame_fits = { "FITS", probe, count, read_fits, NULL };

/* ----------------------------------------------------------------- writing */

typedef struct fits_state {
    fitsfile *f;
    int type;
} fits_state;

static void put(fitsfile *f, const char *key, double value, const char *comment, int *status)
{
    if (isfinite(value))
        fits_write_key(f, TDOUBLE, key, &value, comment, status);
}

/* One header serves all frames of a cube: what it says is of the first. */
static void put_facts(fitsfile *f, const bragg_frame *first, int *status)
{
    char text[80];
    if (*bragg_time_print(text, first->time_s))
        fits_write_key(f, TSTRING, "DATE-OBS", text, "UTC, of the first frame", status);
    snprintf(text, sizeof text, "%.60s", first->title);
    if (*text)
        fits_write_key(f, TSTRING, "DETECTOR", text, NULL, status);
    put(f, "EXPTIME", first->exposure_s, "s", status);
    put(f, "WAVELEN", first->wavelength_ang, "angstrom", status);
    put(f, "DISTANCE", first->distance_m, "m", status);
    put(f, "PIXSIZE1", first->pixel_fast_m, "m", status);
    put(f, "PIXSIZE2", first->pixel_slow_m, "m", status);
    put(f, "BEAM1", first->beam_fast_px, "columns", status);
    put(f, "BEAM2", first->beam_slow_px, "rows", status);
    put(f, "TEMP-K", first->temperature_k, "K", status);
    put(f, "MONITOR", first->monitor, "counts", status);
    put(f, "SATURATE", first->saturation, "counts", status);
}

static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    fits_state *s = *state = calloc(1, sizeof *s);
    long dims[3] = { (long)first->width, (long)first->height, (long)n };
    int status = 0;
    size_t k = 0;
    if (!s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to write a FITS file");
    while (table[k].type != first->type)
        k++;
    s->type = table[k].fits;
    unlink(bragg_output_temporary(out)); /* cfitsio makes files, and opens none to begin anew */
    fits_create_diskfile(&s->f, bragg_output_temporary(out), &status);
    fits_create_img(s->f, table[k].equivalent, n > 1 ? 3 : 2, dims, &status);
    put_facts(s->f, first, &status);
    return status ? cannot_write(status, err) : BRAGG_OK;
}

static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
    fits_state *s = state;
    long first[3] = { 1, 1, (long)index + 1 };
    int status = 0;
    fits_write_pix(s->f, s->type, first, (LONGLONG)(f->width * f->height), f->data, &status);
    return status ? cannot_write(status, err) : BRAGG_OK;
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    fits_state *s = state;
    int status = 0;
    if (s->f)
        fits_close_file(s->f, &status);
    bragg_status st = status && good ? cannot_write(status, err) : BRAGG_OK;
    fits_clear_errmsg();
    free(s);
    return st;
}

const bragg_frame_writer bragg_frame_fits_writer = { "FITS", " .fits .fit ", EVERY_TYPE, true, begin, add, end };
