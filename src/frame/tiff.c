/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TIFF frames through libtiff: every integer and float type, strips and tiles. */
#include "config.h"
#include "bytes.h"
#include "reader.h"
#include "writer.h"

#include <bragg/bytes.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

/* Why it failed: libtiff's words, kept instead of printed, or our own. */
typedef struct complaint {
    char text[200];
    bragg_error own;
} complaint;

static int keep_error(TIFF *tiff, void *payload, const char *module, const char *format, va_list list)
{
    complaint *c = payload;
    if (!*c->text)
        vsnprintf(c->text, sizeof c->text, format, list);
    return 1;
    (void)tiff, (void)module;
}

static int keep_quiet(TIFF *tiff, void *payload, const char *module, const char *format, va_list list)
{
    return 1;
    (void)tiff, (void)payload, (void)module, (void)format, (void)list;
}

/* A gzipped file is unpacked and read from memory. */
typedef struct memory {
    bytes all;
    size_t at;
} memory;

static tmsize_t memory_read(thandle_t payload, void *to, tmsize_t n)
{
    memory *m = payload;
    size_t left = m->at < m->all.n ? m->all.n - m->at : 0, take = (size_t)n < left ? (size_t)n : left;
    memcpy(to, m->all.at + (take ? m->at : 0), take);
    m->at += take;
    return (tmsize_t)take;
}

static tmsize_t memory_write(thandle_t payload, void *from, tmsize_t n)
{
    return -1;
    (void)payload, (void)from, (void)n;
}

static toff_t memory_seek(thandle_t payload, toff_t offset, int whence)
{
    memory *m = payload;
    m->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? m->at + offset : m->all.n + offset;
    return m->at;
}

static toff_t memory_size(thandle_t payload) { return ((memory *)payload)->all.n; }

static int memory_close(thandle_t payload)
{
    memory *m = payload;
    free(m->all.at);
    free(m);
    return 0;
}

static TIFF *open_packed(const char *path, TIFFOpenOptions *o, bragg_error *own)
{
    memory *m = calloc(1, sizeof *m);
    if (!m)
        bragg_fail(own, BRAGG_ENOMEM, "%s: no room to unpack it", path);
    if (!m || bragg_frame_load(path, &m->all, own) < 0) {
        free(m);
        return NULL;
    }
    TIFF *tiff = TIFFClientOpenExt(path, "rm", m, memory_read, memory_write, memory_seek, memory_close, memory_size, NULL, NULL, o);
    if (!tiff)
        memory_close(m);
    return tiff;
}

static bool is_packed(const char *path)
{
    unsigned char magic[2] = { 0 };
    FILE *in = fopen(path, "rb");
    bool packed = in && fread(magic, 1, 2, in) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (in)
        fclose(in);
    return packed;
}

static TIFF *open_tiff(const char *path, const char *mode, complaint *c)
{
    *c = (complaint){ "", BRAGG_ERROR_INIT };
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o) {
        bragg_fail(&c->own, BRAGG_ENOMEM, "%s: no room to open it", path);
        return NULL;
    }
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)1 << 32); /* a header may ask for anything */
    TIFFOpenOptionsSetErrorHandlerExtR(o, keep_error, c);
    TIFFOpenOptionsSetWarningHandlerExtR(o, keep_quiet, NULL);
    TIFF *tiff = *mode == 'r' && is_packed(path) ? open_packed(path, o, &c->own) : TIFFOpenExt(path, mode, o);
    TIFFOpenOptionsFree(o);
    return tiff;
}

static bragg_status cannot_open(const char *path, const complaint *c, bragg_error *err)
{
    return c->own.status < 0 ? bragg_fail(err, c->own.status, "%s", c->own.text)
                             : bragg_fail(err, BRAGG_EDATA, "%s: %s", path, *c->text ? c->text : "cannot be opened as TIFF");
}

static bool probe(const unsigned char *h, size_t n)
{
    return n >= 8 && ((h[0] == 'I' && h[1] == 'I' && (h[2] == 42 || h[2] == 43) && h[3] == 0) ||
                      (h[0] == 'M' && h[1] == 'M' && h[2] == 0 && (h[3] == 42 || h[3] == 43)));
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    complaint c;
    TIFF *tiff = open_tiff(path, "r", &c);
    if (!tiff)
        return cannot_open(path, &c, err);
    *n = TIFFNumberOfDirectories(tiff);
    TIFFClose(tiff);
    return BRAGG_OK;
}

static bragg_status pixel_type(TIFF *tiff, const char *path, bragg_pixel *type, bragg_error *err)
{
    static const bragg_pixel table[3][4] = { { BRAGG_U8, BRAGG_U16, BRAGG_U32, BRAGG_U64 }, { BRAGG_I8, BRAGG_I16, BRAGG_I32, BRAGG_I64 },
                                             { BRAGG_F32, BRAGG_F32, BRAGG_F32, BRAGG_F64 } };
    uint16_t bits = 1, samples = 1, format = SAMPLEFORMAT_UINT;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    int log = bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : bits == 64 ? 3 : -1;
    if (samples != 1)
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: expected one value a pixel, found %d (a colour picture?)", path, samples);
    if (format == SAMPLEFORMAT_VOID)
        format = SAMPLEFORMAT_UINT;
    if (log < 0 || format > SAMPLEFORMAT_IEEEFP || (format == SAMPLEFORMAT_IEEEFP && log < 2))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: %d-bit pixels of sample format %d are not a detector's", path, bits, format);
    *type = table[format - 1][log];
    return BRAGG_OK;
}

static bool read_strips(TIFF *tiff, bragg_frame *f)
{
    size_t row = f->width * bragg_pixel_size(f->type);
    if ((size_t)TIFFScanlineSize(tiff) != row)
        return false;
    uint32_t rows = 0;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    if (rows == 0 || rows > f->height)
        rows = (uint32_t)f->height;
    for (uint32_t strip = 0, first = 0; first < f->height; strip++, first += rows) {
        size_t n = f->height - first < rows ? f->height - first : rows;
        if (TIFFReadEncodedStrip(tiff, strip, (char *)f->data + first * row, (tmsize_t)(n * row)) != (tmsize_t)(n * row))
            return false;
    }
    return true;
}

static bool read_tiles(TIFF *tiff, bragg_frame *f)
{
    uint32_t w = 0, h = 0;
    size_t size = bragg_pixel_size(f->type), row = f->width * size;
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &w);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &h);
    tmsize_t tile_size = TIFFTileSize(tiff);
    if (!w || !h || w > 1u << 16 || h > 1u << 16 || tile_size != (tmsize_t)((size_t)w * h * size))
        return false;
    char *tile = malloc((size_t)tile_size);
    bool good = tile != NULL;
    for (uint32_t y = 0; good && y < f->height; y += h)
        for (uint32_t x = 0; good && x < f->width; x += w) {
            good = TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, 0), tile, tile_size) == tile_size;
            size_t columns = f->width - x < w ? f->width - x : w;
            for (uint32_t k = 0; good && k < h && y + k < f->height; k++)
                memcpy((char *)f->data + (y + k) * row + x * size, tile + (size_t)k * w * size, columns * size);
        }
    free(tile);
    return good;
}

/* Can a file of so many bytes hold the pixels?  Compressed a thousandfold at most by
 * deflate; more is believed only of small frames. */
static bragg_status check_size(TIFF *tiff, const char *path, uint32_t width, uint32_t height, bragg_pixel type, bragg_error *err)
{
    uint16_t compression = COMPRESSION_NONE;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    double need = (double)width * height * (double)bragg_pixel_size(type), have = (double)TIFFGetSizeProc(tiff)(TIFFClientdata(tiff));
    bool enough = compression == COMPRESSION_NONE ? have >= need : need <= 1 << 26 || have * 2000 >= need;
    return enough ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "%s: expected %u x %u pixels of %s, found a file of %.0f bytes: truncated or damaged", path,
                                          width, height, bragg_pixel_name(type), have);
}

/* What cameras say of the exposure stands in the description; of themselves in the
 * model. */
static bragg_status read_description(TIFF *tiff, bragg_frame *f, bragg_error *err)
{
    const char *text = NULL, *model = NULL, *date = NULL;
    bragg_status st = BRAGG_OK;
    if (TIFFGetField(tiff, TIFFTAG_DATETIME, &date) && date)
        f->time_s = bragg_frame_time(date);
    if (TIFFGetField(tiff, TIFFTAG_IMAGEDESCRIPTION, &text) && text)
        st = bragg_frame_dectris(f, (const unsigned char *)text, strlen(text), err);
    if (!*f->title && TIFFGetField(tiff, TIFFTAG_MODEL, &model) && model)
        snprintf(f->title, sizeof f->title, "%s", model);
    return st;
}

/* MarCCD and Rayonix write a header of their own between a TIFF header of 1024 bytes
 * and the pixels (marccd 0.10, frame.h).  Zero is how they say unknown. */
enum { MARCCD = 1024, MARCCD_SIZE = 3072, SATURATED = 104, DISTANCE = 640, BEAM_FAST = 644, BEAM_SLOW = 648, EXPOSURE = 656, GONIOSTAT = 668, PIXEL = 772,
       WAVELENGTH = 908, ACQUIRED = 1344 };

/* Whole numbers of a thousandth or the like; NAN for zero. */
static double marccd_number(const unsigned char *h, size_t at, double unit)
{
    int32_t v = (int32_t)bragg_le32(h + at);
    return v > 0 ? unit * v : NAN;
}

/* "MMDDhhmmYYYY.ss" */
static double marccd_time(const char *digits)
{
    int month, day, hour, minute, year, second;
    char text[80];
    if (sscanf(digits, "%2d%2d%2d%2d%4d.%2d", &month, &day, &hour, &minute, &year, &second) != 6)
        return NAN;
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, hour, minute, second);
    return bragg_frame_time(text);
}

static bragg_status read_marccd(const char *path, bragg_frame *f, bragg_error *err)
{
    static const char *const motors[] = { "twotheta", "omega", "chi", "kappa", "phi" };
    unsigned char whole[MARCCD + MARCCD_SIZE], *h = whole + MARCCD;
    char digits[32] = "";
    size_t n = sizeof whole;
    bragg_status st = bragg_frame_head(path, whole, &n, err);
    if (st < 0 || n < sizeof whole || bragg_le32(h) != 2 || memcmp(h + 4, "MMX", 3))
        return st;
    f->distance_m = marccd_number(h, DISTANCE, 1e-6);
    f->exposure_s = marccd_number(h, EXPOSURE, 1e-3);
    f->pixel_fast_m = marccd_number(h, PIXEL, 1e-9);
    f->pixel_slow_m = marccd_number(h, PIXEL + 4, 1e-9);
    f->wavelength_ang = marccd_number(h, WAVELENGTH, 1e-5);
    f->beam_fast_px = marccd_number(h, BEAM_FAST, 1e-3);
    f->beam_slow_px = marccd_number(h, BEAM_SLOW, 1e-3);
    f->saturation = marccd_number(h, SATURATED, 1);
    memcpy(digits, h + ACQUIRED, sizeof digits - 1);
    f->time_s = marccd_time(digits);
    if (!*f->title)
        snprintf(f->title, sizeof f->title, "MarCCD");
    for (size_t k = 0; st == BRAGG_OK && k < sizeof motors / sizeof *motors; k++)
        st = bragg_frame_set(f, motors[k], 1e-3 * (int32_t)bragg_le32(h + GONIOSTAT + 4 * k), err);
    return st;
}

static bragg_status read_page(TIFF *tiff, const char *path, const complaint *c, bragg_frame **out, bragg_error *err)
{
    uint32_t width = 0, height = 0;
    bragg_pixel type = BRAGG_U8;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    bragg_status st = pixel_type(tiff, path, &type, err);
    if (st == BRAGG_OK)
        st = check_size(tiff, path, width, height, type, err);
    if (st < 0)
        return st;
    st = bragg_frame_new(width, height, type, out, err);
    if (st < 0)
        return bragg_context(err, st, "%s", path);
    st = read_description(tiff, *out, err);
    if (st == BRAGG_OK)
        st = read_marccd(path, *out, err);
    if (st < 0)
        return st;
    if (!(TIFFIsTiled(tiff) ? read_tiles(tiff, *out) : read_strips(tiff, *out)))
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %u x %u pixels, found fewer%s%s", path, width, height, *c->text ? ": " : "", c->text);
    return BRAGG_OK;
}

static bragg_status read_tiff(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    complaint c;
    TIFF *tiff = open_tiff(path, "r", &c);
    if (!tiff)
        return cannot_open(path, &c, err);
    bragg_status st;
    if (index > 65534 || !TIFFSetDirectory(tiff, (tdir_t)index))
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it", path, index);
    else
        st = read_page(tiff, path, &c, out, err);
    TIFFClose(tiff);
    return st;
}

typedef struct tiff_state {
    TIFF *tiff;
    complaint c;
} tiff_state;

static bragg_status cannot_write(const tiff_state *s, bragg_error *err)
{
    return bragg_fail(err, BRAGG_EIO, "libtiff cannot write it: %s", *s->c.text ? s->c.text : "it does not say why");
}

static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    tiff_state *s = *state = calloc(1, sizeof *s);
    if (!s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room to write a TIFF");
    bool big = (double)n * (double)first->width * (double)first->height * (double)bragg_pixel_size(first->type) > 3.5e9; /* offsets of 32 bits end at 4 GiB */
    s->tiff = open_tiff(bragg_output_temporary(out), big ? "w8" : "w", &s->c);
    return s->tiff ? BRAGG_OK : cannot_write(s, err);
}

/* What is known goes into the description as Dectris' cameras do it. */
static void write_tags(TIFF *tiff, const bragg_frame *f, const char *facts)
{
    int format = f->type <= BRAGG_U64 ? SAMPLEFORMAT_UINT : f->type <= BRAGG_I64 ? SAMPLEFORMAT_INT : SAMPLEFORMAT_IEEEFP;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)f->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)f->height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, (uint16_t)(8 * bragg_pixel_size(f->type)));
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, (uint16_t)1);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, (uint16_t)format);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, (uint32_t)f->height);
    if (*facts)
        TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, facts);
}

static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
    tiff_state *s = state;
    tmsize_t all = (tmsize_t)(f->width * f->height * bragg_pixel_size(f->type));
    char *facts = bragg_frame_dectris_text(f);
    if (!facts)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a description");
    write_tags(s->tiff, f, facts);
    free(facts);
    bool good = TIFFWriteEncodedStrip(s->tiff, 0, f->data, all) == all && TIFFWriteDirectory(s->tiff);
    return good && !*s->c.text ? BRAGG_OK : cannot_write(s, err);
    (void)index;
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    tiff_state *s = state;
    good = !s->tiff || !good || TIFFFlush(s->tiff);
    if (s->tiff)
        TIFFClose(s->tiff);
    bragg_status st = good && !*s->c.text ? BRAGG_OK : cannot_write(s, err);
    free(s);
    return st;
}

const bragg_frame_writer bragg_frame_tiff_writer = { "TIFF", " .tif .tiff ", EVERY_TYPE, true, begin, add, end };
const bragg_frame_reader bragg_frame_tiff = { "TIFF", probe, count, read_tiff, NULL };
