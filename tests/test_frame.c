/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "close.h"
#include "suite.h"

#include <bragg/frame.h>
#include <bragg/path.h>
#ifdef HAVE_CBF
#include <cbflib/cbf.h>
#endif
#include <fitsio.h>
#ifdef HAVE_HDF5
#include "base/hdf5_safely.h"
#include <bragg/hdf5.h>
#include <hdf5.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>
#include <zlib.h>

static const char *path = "x.tif"; /* all in a folder of our own, see main() */

/* False, said, when there is no such file. */
static bool shared(char file[512], const char *name)
{
    const char *top = getenv("BRAGG_SHARED");
    snprintf(file, 512, "%s/data/frames/%s", top ? top : "../shared", name);
    if (access(file, R_OK) == 0)
        return true;
    printf("skipped: no %s\n", file);
    return false;
}

static bragg_frame *read_good(const char *name, size_t index)
{
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_frame_read(name, index, &f, &err) == BRAGG_OK, "%s: %s", name, err.text);
    return f;
}

/* One of the samples in the tree. */
static bragg_frame *read_sample(const char *name, size_t index)
{
    const char *top = getenv("TOP_SRCDIR");
    char file[1024];
    snprintf(file, sizeof file, "%s/tests/fuzz/corpus/%s", top ? top : ".", name);
    return read_good(file, index);
}

/* A value that every type can hold and that tells its place. */
static double value_at(size_t i, size_t j) { return (double)((i * 7 + j * 3) % 113); }

/* Write `pages` pages by libtiff itself, in strips of 7 rows or tiles of 32 x 16. */
static void write_variant(const char *mode, bragg_pixel type, int compression, bool tiled, int pages, size_t w, size_t h)
{
    size_t size = bragg_pixel_size(type);
    TIFF *t = TIFFOpen(path, mode);
    ck_assert_ptr_nonnull(t);
    for (int page = 0; page < pages; page++) {
        int format = type <= BRAGG_U64 ? SAMPLEFORMAT_UINT : type <= BRAGG_I64 ? SAMPLEFORMAT_INT : SAMPLEFORMAT_IEEEFP;
        TIFFSetField(t, TIFFTAG_IMAGEWIDTH, (uint32_t)w);
        TIFFSetField(t, TIFFTAG_IMAGELENGTH, (uint32_t)h);
        TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, (int)(8 * size));
        TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
        TIFFSetField(t, TIFFTAG_SAMPLEFORMAT, format);
        TIFFSetField(t, TIFFTAG_COMPRESSION, compression);
        TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
        size_t bw = tiled ? 32 : w, bh = tiled ? 16 : 7;
        if (tiled) {
            TIFFSetField(t, TIFFTAG_TILEWIDTH, 32);
            TIFFSetField(t, TIFFTAG_TILELENGTH, 16);
        } else {
            TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, 7);
        }
        char *block = calloc(bw * bh, size);
        uint32_t index = 0;
        for (size_t y = 0; y < h; y += bh)
            for (size_t x = 0; x < w; x += bw) {
                for (size_t i = 0; i < bh; i++)
                    for (size_t j = 0; j < bw; j++)
                        bragg_pixel_put(block + (i * bw + j) * size, type, value_at(y + i, x + j) + page);
                size_t rows = tiled || h - y > bh ? bh : h - y;
                if (tiled)
                    ck_assert(TIFFWriteEncodedTile(t, index++, block, (tmsize_t)(bw * bh * size)) >= 0);
                else
                    ck_assert(TIFFWriteEncodedStrip(t, index++, block, (tmsize_t)(bw * rows * size)) >= 0);
            }
        free(block);
        TIFFWriteDirectory(t);
    }
    TIFFClose(t);
}

static void check_frame(size_t index, bragg_pixel type, size_t w, size_t h, double offset)
{
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_frame_read(path, index, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(f->width, w);
    ck_assert_uint_eq(f->height, h);
    ck_assert_int_eq(f->type, type);
    for (size_t i = 0; i < h; i++)
        for (size_t j = 0; j < w; j++) {
            double v;
            bragg_frame_doubles(f, i * w + j, 1, &v);
            ck_assert_msg(v == value_at(i, j) + offset, "pixel %zu %zu: %g", i, j, v);
        }
    bragg_frame_free(f);
}

START_TEST(every_type_layout_compression_and_byte_order_reads_back)
{
    static const int compressions[] = { COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS };
    static const char *const modes[] = { "wl", "wb", "w8" };
    for (int type = BRAGG_U8; type <= BRAGG_F64; type++)
        for (int c = 0; c < 4; c++)
            for (int m = 0; m < 3; m++)
                for (int tiled = 0; tiled < 2; tiled++) {
                    write_variant(modes[m], (bragg_pixel)type, compressions[c], tiled, 1, 53, 37);
                    check_frame(0, (bragg_pixel)type, 53, 37, 0);
                }
    unlink(path);
}
END_TEST

START_TEST(pages_are_frames)
{
    size_t n;
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    write_variant("wl", BRAGG_U16, COMPRESSION_NONE, false, 3, 31, 17);
    ck_assert_int_eq(bragg_frame_count(path, &n, NULL), BRAGG_OK);
    ck_assert_uint_eq(n, 3);
    check_frame(2, BRAGG_U16, 31, 17, 2);
    ck_assert_int_eq(bragg_frame_read(path, 3, &f, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "frame 3 is not in it"));
    unlink(path);
}
END_TEST

START_TEST(what_we_write_reads_back_and_is_not_overwritten)
{
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    for (int type = BRAGG_U8; type <= BRAGG_F64; type++) {
        ck_assert_int_eq(bragg_frame_new(29, 23, (bragg_pixel)type, &f, &err), BRAGG_OK);
        for (size_t i = 0; i < 23; i++)
            for (size_t j = 0; j < 29; j++)
                bragg_pixel_put((char *)f->data + (i * 29 + j) * bragg_pixel_size(f->type), f->type, value_at(i, j));
        ck_assert_msg(bragg_frame_write_tiff(f, path, true, &err) == BRAGG_OK, "%s", err.text);
        check_frame(0, (bragg_pixel)type, 29, 23, 0);
        ck_assert_int_eq(bragg_frame_write_tiff(f, path, false, NULL), BRAGG_EEXIST);
        bragg_frame_free(f);
    }
    unlink(path);
}
END_TEST

START_TEST(a_file_cut_anywhere_ends_in_a_message)
{
    write_variant("wl", BRAGG_I32, COMPRESSION_LZW, false, 1, 53, 37);
    FILE *in = fopen(path, "rb");
    char all[1 << 16];
    size_t n = fread(all, 1, sizeof all, in);
    fclose(in);
    for (size_t cut = 0; cut < n; cut += 11) {
        FILE *out = fopen(path, "wb");
        fwrite(all, 1, cut, out);
        fclose(out);
        bragg_frame *f;
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_status st = bragg_frame_read(path, 0, &f, &err);
        ck_assert_msg(st < 0 && *err.text && !f, "cut at %zu", cut);
    }
    unlink(path);
}
END_TEST

START_TEST(turning_over_moves_the_right_pixels)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(5, 3, BRAGG_I16, &f, NULL), BRAGG_OK);
    int16_t *p = f->data;
    for (int i = 0; i < 15; i++)
        p[i] = (int16_t)i;
    bragg_frame_flip(f, true, false);
    ck_assert_int_eq(p[0], 10);
    ck_assert_int_eq(p[14], 4);
    bragg_frame_flip(f, false, true);
    ck_assert_int_eq(p[0], 14);
    ck_assert_int_eq(p[7], 7);
    bragg_frame_free(f);
}
END_TEST

/* data/frames/CHECKS.tsv: shapes, extremes and sums as fabio 0.14 and h5py read. */
START_TEST(real_frames_have_the_sums_other_readers_found)
{
    char name[512], line[512];
    if (!shared(name, "CHECKS.tsv"))
        return;
    FILE *in = fopen(name, "r");
    size_t seen = 0;
    while (fgets(line, sizeof line, in)) {
        char file[100], set[100] = "", shape[40], type[20], *tab = strchr(line, '\t');
        double low, high, sum, s = 0, l = INFINITY, h = -INFINITY;
        if (*line == '#' || !strncmp(line, "file\t", 5) || !tab)
            continue;
        int got = tab[1] == '\t' ? sscanf(line, "%99s %39s %19s %lf %lf %lf", file, shape, type, &low, &high, &sum)
                                 : sscanf(line, "%99s %99s %39s %19s %lf %lf %lf", file, set, shape, type, &low, &high, &sum) - 1;
        ck_assert_msg(got == 6, "%s", line);
        char spec[700], there[512];
        size_t n, a = 0, b = 0, c = 0;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert(shared(there, file));
        snprintf(spec, sizeof spec, "%s%s%s", there, *set ? ":" : "", set);
        bragg_status st = bragg_frame_count(spec, &n, &err);
        if (st == BRAGG_ENOSUPPORT) { /* a build without HDF5 */
            printf("skipped: %s\n", err.text);
            continue;
        }
        ck_assert_msg(st == BRAGG_OK, "%s", err.text);
        ck_assert_int_ge(sscanf(shape, "%zux%zux%zu", &a, &b, &c), 2);
        ck_assert_uint_eq(n, c ? a : 1);
        for (size_t k = 0; k < n; k++) {
            bragg_frame *f;
            ck_assert_msg(bragg_frame_read(spec, k, &f, &err) == BRAGG_OK, "%s", err.text);
            ck_assert_msg(f->height == (c ? b : a) && f->width == (c ? c : b), "%s: %zu x %zu", file, f->height, f->width);
            ck_assert_str_eq(bragg_pixel_name(f->type), type);
            for (size_t i = 0; i < f->width * f->height; i++) {
                double v;
                bragg_frame_doubles(f, i, 1, &v);
                s += v;
                l = fmin(l, v);
                h = fmax(h, v);
            }
            bragg_frame_free(f);
        }
        ck_assert_msg(l == low && h == high && s == sum, "%s: %g %g %.0f, expected %g %g %.0f", file, l, h, s, low, high, sum);
        seen++;
    }
    fclose(in);
    ck_assert_uint_gt(seen, 9);
}
END_TEST

/* Damaged copies of real frames: a message or a frame, never a crash.  (HDF5's own
 * library allocates what a damaged header asks for; that is not ours to test.) */
START_TEST(damaged_frames_end_in_a_message_or_a_frame)
{
    static const char *const files[] = { "pilatus300k.edf", "mode3.mar1200", "dlsnxs2cbf_therm_0001.cbf.gz" };
    unsigned seed = 11;
    for (int k = 0; k < 3; k++) {
        char name[512];
        if (!shared(name, files[k]))
            return;
        FILE *in = fopen(name, "rb");
        unsigned char *all = malloc(2000000);
        size_t n = fread(all, 1, 2000000, in);
        fclose(in);
        for (int trial = 0; trial < 12; trial++) {
            unsigned char *copy = malloc(n);
            memcpy(copy, all, n);
            size_t keep = trial % 3 ? n : (seed = seed * 1664525u + 1013904223u, seed % n);
            for (int flips = 0; flips < trial; flips++) {
                seed = seed * 1664525u + 1013904223u;
                copy[(seed >> 3) % (trial % 2 ? 1200 : n)] ^= (unsigned char)(1 << (seed % 8));
            }
            FILE *out = fopen(path, "wb");
            fwrite(copy, 1, keep, out);
            fclose(out);
            free(copy);
            bragg_frame *f = NULL;
            bragg_error err = BRAGG_ERROR_INIT;
            bragg_status st = bragg_frame_read(path, 0, &f, &err);
            ck_assert((st < 0) == (f == NULL) && (st == BRAGG_OK || *err.text));
            bragg_frame_free(f);
        }
        free(all);
    }
    unlink(path);
}
END_TEST

START_TEST(numpy_arrays_read_and_their_lies_are_told)
{
    const char *header = "\x93NUMPY\x01\x00\x46\x00{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3, 5), }          \n";
    FILE *out = fopen("x.npy", "wb");
    fwrite(header, 1, 80, out);
    for (int i = 0; i < 30; i++) {
        fputc(i >> 8, out);
        fputc(i & 255, out);
    }
    fclose(out);
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_frame_read("x.npy", 1, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(f->width == 5 && f->height == 3 && ((int16_t *)f->data)[14] == 29);
    bragg_frame_free(f);
    ck_assert_int_eq(truncate("x.npy", 120), 0);
    ck_assert_int_eq(bragg_frame_read("x.npy", 1, &f, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "expected 2 frames of 5 x 3 int16"));
    unlink("x.npy");
}
END_TEST

START_TEST(fits_images_read_scaled_and_in_cubes)
{
    fitsfile *f;
    int status = 0;
    long dims[3] = { 7, 5, 3 };
    unsigned short pixels[105];
    for (int i = 0; i < 105; i++)
        pixels[i] = (unsigned short)(40000 + i); /* BZERO 32768 */
    unlink("x.fits");
    fits_create_file(&f, "x.fits", &status);
    fits_create_img(f, USHORT_IMG, 3, dims, &status);
    fits_write_img(f, TUSHORT, 1, 105, pixels, &status);
    fits_close_file(f, &status);
    ck_assert_int_eq(status, 0);
    bragg_frame *out;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t n;
    ck_assert_msg(bragg_frame_count("x.fits", &n, &err) == BRAGG_OK && n == 3, "%s", err.text);
    ck_assert_msg(bragg_frame_read("x.fits", 2, &out, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(out->type == BRAGG_U16 && out->width == 7 && ((uint16_t *)out->data)[34] == 40104);
    bragg_frame_free(out);
    fits_create_file(&f, "!x.fits", &status); /* tile-compressed */
    fits_set_compression_type(f, RICE_1, &status);
    fits_create_img(f, LONG_IMG, 2, dims, &status);
    int ints[35];
    for (int i = 0; i < 35; i++)
        ints[i] = i * i - 100;
    fits_write_img(f, TINT, 1, 35, ints, &status);
    fits_close_file(f, &status);
    ck_assert_int_eq(status, 0);
    ck_assert_msg(bragg_frame_read("x.fits", 0, &out, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(out->height == 5 && ((int32_t *)out->data)[34] == 34 * 34 - 100);
    bragg_frame_free(out);
    unlink("x.fits");
}
END_TEST

/* What cfitsio wrote comes back, whatever the code, the tiles and the type; the last
 * plane of a cube with tiles that do not divide it. */
START_TEST(tiles_of_every_code_come_back)
{
    static const int codes[] = { RICE_1, GZIP_1, GZIP_2, PLIO_1, HCOMPRESS_1 }, images[] = { BYTE_IMG, SHORT_IMG, LONG_IMG }, types[] = { TBYTE, TSHORT, TINT };
    static unsigned char bytes[61 * 47 * 5];
    static short shorts[61 * 47 * 5];
    static int pixels[61 * 47 * 5];
    void *const all[] = { bytes, shorts, pixels };
    int status = 0;
    long dims[3] = { 61, 47, 5 }, tile[3] = { 17, 13, 1 };
    for (int i = 0; i < 61 * 47 * 5; i++)
        shorts[i] = bytes[i] = (unsigned char)(pixels[i] = i % 97 ? (i * i) % 7 : (i * 37) % 200);
    for (size_t c = 0; c < sizeof codes / sizeof *codes; c++)
        for (size_t t = 0; t < 3; t++) {
            fitsfile *f;
            bragg_frame *out;
            bragg_error err = BRAGG_ERROR_INIT;
            bool trusting = codes[c] == PLIO_1 || codes[c] == HCOMPRESS_1;
            fits_create_file(&f, "!x.fits", &status);
            fits_set_compression_type(f, codes[c], &status);
            fits_set_tile_dim(f, 3, tile, &status);
            fits_create_img(f, images[t], 3, dims, &status);
            fits_write_img(f, types[t], 1, 61 * 47 * 5, all[t], &status);
            if (trusting)
                fits_write_chksum(f, &status);
            fits_close_file(f, &status);
            char why[80] = "";
            fits_read_errmsg(why);
            ck_assert_msg(status == 0, "code %d, type %zu: cfitsio %d %s", codes[c], t, status, why);
            ck_assert_msg(bragg_frame_read("x.fits", 4, &out, &err) == BRAGG_OK, "code %d: %s", codes[c], err.text);
            double row[61 * 47];
            bragg_frame_doubles(out, 0, 61 * 47, row);
            for (int i = 0; i < 61 * 47; i++)
                ck_assert_msg(row[i] == pixels[4 * 61 * 47 + i], "code %d, type %zu, pixel %d: %g", codes[c], t, i, row[i]);
            bragg_frame_free(out);
        }
    unlink("x.fits");
}
END_TEST

/* Files that break cfitsio 4.2: what it writes beyond a message's end, an index of dithers before the
 * first, more pixels than a tile has, fewer bytes than their type needs, a code without end. */
START_TEST(fits_files_that_break_cfitsio_never_reach_it)
{
    static const struct { const char *file, *says; } bad[] = {
        { "integer-that-is-none", "unit 2: ZVAL1: expected a number, found 32,32,32" }, { "dither-before-zero", "ZDITHER0 of 1 to 10000, found -9999" },
        { "more-than-a-tile", "tile 1: expected 7 pixels, found 600" },                 { "singles-for-doubles", "tile 1: expected gzip of 7 real numbers" },
        { "short-reals", "tile 1: expected gzip of 7 pixels" },                         { "endless-gzip", "tile 1: expected gzip of 7 pixels" },
        { "endless-rice", "tile 2: expected Rice codes of 7 pixels" },                  { "blocks-of-nothing", "ZVAL1: expected a number, found 0 " } };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char name[4096];
        bragg_frame *f;
        bragg_error err = BRAGG_ERROR_INIT;
        snprintf(name, sizeof name, "%s/tests/fuzz/corpus/fits/%s.fits", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".", bad[k].file);
        ck_assert_int_eq(bragg_frame_read(name, 0, &f, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, bad[k].says) != NULL, "%s", err.text);
    }
}
END_TEST

/* A small FITS file of our own whose cards a test may spoil. */
static bragg_status read_cards(const char *const *card, size_t n_cards, bragg_error *err)
{
    static unsigned char bytes[2 * 2880];
    bragg_frame *f = NULL;
    memset(bytes, ' ', sizeof bytes);
    for (size_t k = 0; k < n_cards; k++)
        memcpy(bytes + 80 * k, card[k], strlen(card[k]));
    FILE *to = fopen("x.fits", "wb");
    ck_assert(fwrite(bytes, 1, sizeof bytes, to) == sizeof bytes);
    fclose(to);
    bragg_status st = bragg_frame_read("x.fits", 0, &f, err);
    bragg_frame_free(f);
    unlink("x.fits");
    return st;
}

/* The cards of the standard in each of their forms; then one is another. */
START_TEST(cards_of_fits_headers_are_read_whole_or_refused)
{
    static const char *const good[] = { "SIMPLE  =                    T", "BITPIX  = 8 / free format", "NAXIS   =                    2", "NAXIS1  =                   53",
                                        "NAXIS2  =                   +7", "BZERO   = 0.D0", "TITLE   = 'it''s / no comment'", "PHASE   = (1.5, -2)", "LOST    =", "COMMENT = and so on",
                                        "TEMP-K  = 3,5E2 / no number, and nobody needs it", "END" };
    static const struct { int at; const char *card, *says; } bad[] = {
        { 0, "SIMPLE  =                    F", "begins with SIMPLE, BITPIX" }, { 1, "BITPIX  =                   12", "expected the data of its BITPIX" },
        { 1, "BITPIX  =                  8.5", "BITPIX: expected an integer" }, { 2, "NAXIS   =                   -2", "begins with SIMPLE, BITPIX" },
        { 3, "NAXIS1  = 99999999999999999999", "NAXIS1: expected an integer" }, { 3, "NAXIS2  =                   53", "NAXIS2 once" },
        { 4, "NAXIS2  =  4611686018427387904", "expected the data of its BITPIX" }, { 4, "NAXIS2  =                    0", "1 pixel at least, found 0" },
        { 5, "NAXIS   =                    2", "NAXIS once, found it twice" }, { 5, "GCOUNT  =                    2", "expected the data of its BITPIX" },
        { 5, "BZERO   = 'none'", "BZERO: expected a number, found none" }, { 5, "BZERO   = 'no end", "BZERO: expected a number, found 'no end" },
        { 6, "T\001TLE   = 'a'", "80 printable characters" }, { 11, "ENDE", "expected 2880 bytes at byte 5760" } };
    enum { N = sizeof good / sizeof *good };
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(read_cards(good, N, &err) == BRAGG_OK, "%s", err.text);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const char *card[N];
        memcpy(card, good, sizeof good);
        card[bad[k].at] = bad[k].card;
        err = (bragg_error)BRAGG_ERROR_INIT;
        ck_assert_int_eq(read_cards(card, N, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, bad[k].says) != NULL, "case %zu: %s", k, err.text);
    }
}
END_TEST

/* cfitsio 4.2 reads on beyond a Rice code that ends early, and believes PLIO and
 * HCOMPRESS: neither reaches it. */
START_TEST(damaged_tiles_do_not_reach_a_decoder_that_trusts_them)
{
    static const int codes[] = { RICE_1, PLIO_1, HCOMPRESS_1 };
    long dims[2] = { 64, 64 };
    for (size_t c = 0; c < 3; c++) {
        int pixels[64 * 64], status = 0;
        LONGLONG data;
        fitsfile *f;
        bragg_frame *out;
        bragg_error err = BRAGG_ERROR_INIT;
        for (int i = 0; i < 64 * 64; i++)
            pixels[i] = i % 5 + i % 640;
        fits_create_file(&f, "!x.fits", &status);
        fits_set_compression_type(f, codes[c], &status);
        fits_create_img(f, LONG_IMG, 2, dims, &status);
        fits_write_img(f, TINT, 1, 64 * 64, pixels, &status);
        fits_flush_file(f, &status);
        fits_get_hduaddrll(f, NULL, &data, NULL, &status);
        fits_close_file(f, &status);
        ck_assert_int_eq(status, 0);
        if (c == 0) { /* behind the descriptors of 64 rows a code without an end: nothing follows the length of its first block */
            FILE *file = fopen("x.fits", "r+b");
            fseek(file, (long)data + 64 * 8, SEEK_SET);
            for (int i = 0; i < 64 * 8; i++)
                fputc(i == 4 ? 1 << 3 : 0, file);
            fclose(file);
        }
        ck_assert_int_eq(bragg_frame_read("x.fits", 0, &out, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, c ? "CHECKSUM" : "Rice codes of 64 pixels"), "%s", err.text);
    }
    unlink("x.fits");
}
END_TEST

START_TEST(a_header_that_asks_for_the_world_is_not_believed)
{
    static const uint32_t sides[] = { 65536, 60000, 4000000000u, 0 };
    static const int compressions[] = { COMPRESSION_NONE, COMPRESSION_ADOBE_DEFLATE };
    for (size_t k = 0; k < 4; k++)
        for (int c = 0; c < 2; c++) {
            write_variant("wl", BRAGG_F64, compressions[c], false, 1, 53, 37);
            FILE *io = fopen(path, "r+b");
            unsigned char all[1 << 16];
            size_t n = fread(all, 1, sizeof all, io);
            uint32_t at = (uint32_t)(all[4] | all[5] << 8 | all[6] << 16 | all[7] << 24);
            for (size_t e = at + 2; e + 12 < n; e += 12) /* tags 256 and 257 are width and height */
                if (all[e] < 2 && all[e + 1] == 1) {
                    all[e + 2] = 4; /* as LONG */
                    memcpy(all + e + 8, &sides[k], 4);
                }
            rewind(io);
            fwrite(all, 1, n, io);
            fclose(io);
            bragg_frame *f;
            bragg_error err = BRAGG_ERROR_INIT;
            ck_assert_int_lt(bragg_frame_read(path, 0, &f, &err), 0);
            ck_assert(!f && *err.text);
        }
    unlink(path);
}
END_TEST

START_TEST(the_camera_s_own_words_are_read)
{
    char name[512];
    if (!shared(name, "CeO2_Pilatus1M.tif"))
        return;
    bragg_frame *f = read_good(name, 0);
    ck_assert(f->exposure_s == 3 && f->distance_m == 0.21143 && f->saturation == 1097223);
    assert_close(f->pixel_slow_m, 172e-6, 1e-12);
    assert_close(f->pixel_fast_m, 172e-6, 1e-12);
    ck_assert(isnan(f->wavelength_ang) && isnan(f->temperature_k));
    ck_assert_str_eq(f->title, "PILATUS 1M-F");
    bragg_frame_free(f);
}
END_TEST

START_TEST(masks_gather_what_does_not_count)
{
    bragg_frame *f;
    uint8_t mask[6] = { 0 };
    ck_assert_int_eq(bragg_frame_new(3, 2, BRAGG_F32, &f, NULL), BRAGG_OK);
    static const float values[] = { -1.5f, 0, 7.25f, 900, NAN, INFINITY };
    memcpy(f->data, values, sizeof values);
    bragg_frame_mark_outside(f, NAN, 899, mask);
    ck_assert(!mask[0] && !mask[1] && !mask[2] && mask[3] && !mask[4] && mask[5]);
    bragg_frame_mark_outside(f, 1, NAN, mask);
    ck_assert(mask[0] && mask[1] && !mask[2]);
    bragg_frame_mark_invalid(f, mask);
    ck_assert(mask[4] && !mask[2]);
    bragg_frame_free(f);
}
END_TEST

static void put16(unsigned char *at, unsigned v)
{
    at[0] = (unsigned char)v;
    at[1] = (unsigned char)(v >> 8);
}

START_TEST(frames_of_ge_detectors_follow_two_headers)
{
    const char *name = "x.ge3";
    unsigned char head[8192 + 64] = "ADEPT";
    put16(head + 18, 64);
    put16(head + 22, 3);
    put16(head + 24, 5);
    put16(head + 26, 7);
    put16(head + 28, 16);
    FILE *out = fopen(name, "wb");
    fwrite(head, 1, sizeof head, out);
    for (unsigned i = 0; i < 105; i++) {
        unsigned char v[2];
        put16(v, 60000 + i);
        fwrite(v, 1, 2, out);
    }
    fclose(out);
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t n;
    ck_assert_msg(bragg_frame_count(name, &n, &err) == BRAGG_OK && n == 3, "%s", err.text);
    ck_assert_msg(bragg_frame_read(name, 2, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(f->width == 7 && f->height == 5 && ((uint16_t *)f->data)[0] == 60070);
    bragg_frame_free(f);
    ck_assert_int_eq(bragg_frame_read(name, 3, &f, &err), BRAGG_EDATA);
    ck_assert_int_eq(truncate(name, 8192 + 64 + 100), 0);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_frame_read(name, 0, &f, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "expected 3 frames of 7 x 5"));
    unlink(name);
}
END_TEST

START_TEST(what_is_no_frame_is_text_only_when_it_reads_as_text)
{
    static const struct { const char *bytes, *says; } files[] = {
        { "2.385 1.6021\r\n\tn\xc3\xa4he\n", "found text; patterns are for" }, { "\x05\x13" "counts without a zero", "found a file that begins with none of their marks" } };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        bragg_frame *f;
        bragg_error err = BRAGG_ERROR_INIT;
        FILE *out = fopen("x.bin", "wb");
        fputs(files[k].bytes, out);
        fclose(out);
        ck_assert_int_eq(bragg_frame_read("x.bin", 0, &f, &err), BRAGG_ENOSUPPORT);
        ck_assert_msg(strstr(err.text, files[k].says), "%s", err.text);
    }
    unlink("x.bin");
}
END_TEST

START_TEST(raw_frames_read_as_they_are_described)
{
    const char *name = "x.raw";
    static const char *const wrong[] = { "", "30", "30x20", "30x20xint33", "0x20xint32", "30x20xint32+", "30x20xint32,turn", "30x20xint32+-4", "30x70000xint8", "30x20xint32+4,swap " };
    bragg_raw raw;
    bragg_error err = BRAGG_ERROR_INIT;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        ck_assert_msg(bragg_raw_parse(wrong[k], &raw, NULL) == BRAGG_EINVAL, "'%s'", wrong[k]);
    ck_assert_int_eq(bragg_raw_parse("31x17xuint32+3,swap", &raw, &err), BRAGG_OK);
    ck_assert(raw.width == 31 && raw.height == 17 && raw.type == BRAGG_U32 && raw.offset == 3 && raw.swap);
    ck_assert(bragg_raw_parse("31x17xfloat64", &raw, &err) == BRAGG_OK && raw.type == BRAGG_F64 && !raw.offset && !raw.swap);
    ck_assert_int_eq(bragg_raw_parse("31x17xuint16+3,swap", &raw, &err), BRAGG_OK);
    FILE *out = fopen(name, "wb");
    fwrite("abc", 1, 3, out);
    for (unsigned i = 0; i < 2 * 31 * 17; i++) {
        fputc((int)(i >> 8), out);
        fputc((int)(i & 255), out);
    }
    fclose(out);
    size_t n;
    bragg_frame *f;
    ck_assert_msg(bragg_raw_count(name, &raw, &n, &err) == BRAGG_OK && n == 2, "%s", err.text);
    ck_assert_int_eq(bragg_raw_read(name, &raw, 1, &f, &err), BRAGG_OK);
    ck_assert_uint_eq(((uint16_t *)f->data)[30], 31 * 17 + 30);
    bragg_frame_free(f);
    ck_assert_int_eq(bragg_raw_read(name, &raw, 2, &f, &err), BRAGG_EDATA);
    unlink(name);
}
END_TEST

START_TEST(marccd_headers_tell_of_the_exposure)
{
    char name[512];
    if (!shared(name, "AgBehenate_003.tif"))
        return;
    bragg_frame *f = read_good(name, 0);
    assert_close(f->distance_m, 1.864, 1e-12);
    assert_close(f->exposure_s, 10, 1e-12);
    assert_close(f->pixel_fast_m, 158e-6, 1e-12);
    assert_close(f->wavelength_ang, 1.5, 1e-12);
    ck_assert(f->time_s == 1265818791); /* "021016192010.51": date -u -d 2010-02-10T16:19:51 +%s */
    bragg_frame_free(f);
}
END_TEST

START_TEST(headers_of_text_tell_of_time_beam_and_motors)
{
    bragg_frame *f = read_sample("edf/two.edf", 0);
    ck_assert(f->exposure_s == 2.5 && f->distance_m == 0.25 && f->pixel_fast_m == 1e-4 && f->pixel_slow_m == 1e-4 && f->beam_fast_px == 6.5 && f->beam_slow_px == 5.25);
    assert_close(f->wavelength_ang, 0.41, 1e-14);
    ck_assert(f->time_s == 1714557600.5 && f->monitor == 12345);
    ck_assert(f->n_values == 4 && bragg_frame_get(f, "phi") == 1.5 && bragg_frame_get(f, "SAMX") == -2.25 && bragg_frame_get(f, "temp") == 300.5);
    ck_assert(isnan(bragg_frame_get(f, "samy")));
    bragg_frame_free(f);
    f = read_sample("edf/two.edf", 1); /* the second frame has a header of its own */
    ck_assert(isnan(f->exposure_s) && isnan(f->time_s) && f->n_values == 0);
    bragg_frame_free(f);
    f = read_sample("cbf/offset.cbf.gz", 0);
    ck_assert(f->exposure_s == 2.5 && f->wavelength_ang == 0.41 && f->distance_m == 0.25 && f->beam_fast_px == 6.5 && f->beam_slow_px == 5.25 && f->saturation == 1048500);
    ck_assert(f->time_s == 1714557600.25 && bragg_frame_get(f, "start_angle") == 10.5 && bragg_frame_get(f, "phi") == 1.5);
    ck_assert(((int32_t *)f->data)[3 * 13 + 4] == 70000 && ((int32_t *)f->data)[5 * 13 + 6] == -2);
    bragg_frame_free(f);
    f = read_sample("edf/big.edf.gz", 0);
    ck_assert(f->type == BRAGG_F32 && ((float *)f->data)[29] == 29 * 7 % 113);
    bragg_frame_free(f);
    f = read_sample("fits/cube.fits", 2);
    ck_assert(f->exposure_s == 2.5 && f->time_s == 1714557600.25);
    bragg_frame *zipped = read_sample("fits/cube.fits.gz", 2);
    ck_assert(zipped->exposure_s == 2.5 && zipped->height == f->height && !memcmp(zipped->data, f->data, f->width * f->height * bragg_pixel_size(f->type)));
    bragg_frame_free(zipped);
    bragg_frame_free(f);
    f = read_sample("tiff/none.tif", 0);
    ck_assert(f->exposure_s == 2.5 && f->wavelength_ang == 0.41 && f->time_s == 1714557600);
    bragg_frame_free(f);
    bragg_frame *packed = read_sample("tiff/packed.tif.gz", 0);
    f = read_sample("tiff/none.tif", 0);
    ck_assert(packed->exposure_s == 2.5 && !memcmp(packed->data, f->data, 13 * 11 * 4));
    bragg_frame_free(packed);
    bragg_frame_free(f);
}
END_TEST

/* Nobody scanned the corners: all that is not zero lies on the disk, but for the half
 * empty pixel at its edge. */
START_TEST(an_image_plate_is_round)
{
    static const char *const scans[] = { "mode2.mar1600", "mode3.mar1200", "nx09_strain_011.mar2300" };
    for (size_t k = 0; k < 3; k++) {
        bragg_frame *f, *mask;
        char name[512];
        size_t masked = 0, lost = 0;
        if (!shared(name, scans[k]))
            return;
        f = read_good(name, 0);
        ck_assert(bragg_frame_read_mask(name, &mask, NULL) == BRAGG_OK && mask && mask->width == f->width && mask->height == f->height);
        for (size_t i = 0; i < f->width * f->height; i++) {
            masked += ((uint8_t *)mask->data)[i];
            lost += ((uint8_t *)mask->data)[i] && ((uint32_t *)f->data)[i];
        }
        double side = (double)f->width;
        assert_close((double)masked, (1 - M_PI / 4) * side * side + M_PI * side, 0.003);
        ck_assert_msg((double)lost < 2 * M_PI * side, "%s: %zu pixels that count are masked", scans[k], lost);
        bragg_frame_free(f);
        bragg_frame_free(mask);
    }
}
END_TEST

START_TEST(real_headers_tell_what_is_in_them)
{
    char name[512];
    if (!shared(name, "DLS_I03_smargon_0001.cbf.gz"))
        return;
    bragg_frame *f = read_good(name, 0);
    ck_assert(f->beam_fast_px == 1229.30 && f->beam_slow_px == 1200.48 && f->distance_m == 0.29147 && f->wavelength_ang == 0.97625 && f->saturation == 91795);
    ck_assert(bragg_frame_get(f, "kappa") == 0 && bragg_frame_get(f, "omega_increment") == 0.1 && bragg_frame_get(f, "chi") == 45);
    ck_assert_str_eq(f->title, "PILATUS3 6M, S/N 60-0126");
    assert_close(f->time_s, 1511450621.88, 1e-13); /* date -u -d 2017-11-23T15:23:41.880 +%s */
    bragg_frame_free(f);
    ck_assert(shared(name, "mode3.mar1200"));
    f = read_good(name, 0);
    ck_assert(f->exposure_s == 60 && f->beam_fast_px == 600 && bragg_frame_get(f, "phi") == 0 && bragg_frame_get(f, "chi") == 0);
    ck_assert(f->time_s == 1177436395); /* date -u -d 'Tue Apr 24 17:39:55 2007' +%s */
    assert_close(f->pixel_fast_m, 150e-6, 1e-12);
    bragg_frame_free(f);
    ck_assert(shared(name, "pilatus300k.edf"));
    f = read_good(name, 0);
    ck_assert(f->exposure_s == 1 && f->time_s == 1276715649); /* date -u -d 'Wed Jun 16 19:14:09 2010' +%s */
    assert_close(f->pixel_slow_m, 172e-6, 1e-12);
    bragg_frame_free(f);
#ifdef HAVE_HDF5
    ck_assert(shared(name, "336502.nxs"));
    f = read_good(name, 3);
    assert_close(f->wavelength_ang, 12.398419843320026 / 12.3984, 1e-12);
    ck_assert_str_eq(f->title, "Pilatus 100k");
    ck_assert(f->pixel_fast_m == 0.000172 && f->exposure_s > 0 && bragg_frame_get(f, "phi") == 92 && bragg_frame_get(f, "gamma") != 0);
    bragg_frame_free(f);
    ck_assert(shared(name, "AgBehenate_228.hdf5"));
    f = read_good(name, 0); /* lengths without a unit are not believed */
    ck_assert_msg(isnan(f->distance_m) && f->monitor == 147121 && fabs(f->wavelength_ang - 0.73362836) < 1e-8, "%g %g %.10g", f->distance_m, f->monitor, f->wavelength_ang);
    bragg_frame_free(f);
#endif
}
END_TEST

#ifdef HAVE_HDF5
static void put_number(hid_t file, const char *name, double value, const char *unit)
{
    hid_t space = H5Screate(H5S_SCALAR), set = H5Dcreate2(file, name, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0);
    if (unit) {
        hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, strlen(unit));
        hid_t a = H5Acreate2(set, "units", type, space, H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(a, type, unit);
        H5Aclose(a);
        H5Tclose(type);
    }
    H5Dclose(set);
    H5Sclose(space);
}

static void put_pixels(hid_t file, const char *name, int rank, const hsize_t *dims, const uint32_t *pixels)
{
    hid_t space = H5Screate_simple(rank, dims, NULL), set = H5Dcreate2(file, name, H5T_STD_U32BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(H5Dwrite(set, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void put_groups(hid_t file, const char *const *names)
{
    for (; *names; names++)
        H5Gclose(H5Gcreate2(file, *names, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

/* As a detector of Dectris writes it: the master links to files of frames. */
static void write_master(const char *name, const char *first, const char *second)
{
    static const char *const groups[] = { "/entry", "/entry/data", "/entry/instrument", "/entry/instrument/detector", "/entry/instrument/detector/detectorSpecific",
                                          "/entry/instrument/beam", "/entry/sample", "/entry/sample/goniometer", NULL };
    static const char date[] = "2024-05-01T12:00:00.250+02:00";
    const hsize_t shape[2] = { 3, 5 };
    uint32_t mask[15] = { [7] = 1, [14] = 1u << 8 };
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1), one = H5Screate(H5S_SCALAR);
    put_groups(file, groups);
    put_number(file, "/entry/instrument/detector/count_time", 0.0099, "s");
    put_number(file, "/entry/instrument/detector/frame_time", 0.01, "s");
    put_number(file, "/entry/instrument/detector/beam_center_x", 2.125, "pixel");
    put_number(file, "/entry/instrument/detector/beam_center_y", 1.875, "pixel");
    put_number(file, "/entry/instrument/detector/detector_distance", 212.5, "mm");
    put_number(file, "/entry/instrument/detector/x_pixel_size", 7.5e-5, "m");
    put_number(file, "/entry/instrument/detector/saturation_value", 33000, NULL);
    put_number(file, "/entry/instrument/beam/incident_wavelength", 0.4103, "angstrom");
    put_number(file, "/entry/sample/temperature", 27, "C");
    put_number(file, "/entry/sample/goniometer/omega", -12.5, "degree");
    put_pixels(file, "/entry/instrument/detector/detectorSpecific/pixel_mask", 2, shape, mask);
    H5Tset_size(type, sizeof date);
    hid_t set = H5Dcreate2(file, "/entry/instrument/detector/detectorSpecific/data_collection_date", type, one, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, date);
    H5Dclose(set);
    H5Lcreate_external(first, "/entry/data/data", file, "/entry/data/data_000001", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external(second, "/entry/data/data", file, "/entry/data/data_000002", H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(type);
    H5Sclose(one);
    H5Fclose(file);
}

static void write_frames(const char *name, uint32_t first)
{
    static const char *const groups[] = { "/entry", "/entry/data", NULL };
    const hsize_t shape[3] = { 2, 3, 5 };
    uint32_t pixels[30];
    for (uint32_t k = 0; k < 30; k++)
        pixels[k] = first + k;
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_groups(file, groups);
    put_pixels(file, "/entry/data/data", 3, shape, pixels);
    H5Fclose(file);
}

START_TEST(an_eiger_master_tells_of_frames_in_files_beside_it)
{
    size_t n;
    bragg_frame *f;
    write_frames("data_1.h5", 100);
    write_frames("data_2.h5", 200);
    write_master("master.h5", "data_1.h5", "data_2.h5");
    ck_assert(bragg_frame_count("master.h5", &n, NULL) == BRAGG_OK && n == 4);
    f = read_good("master.h5", 3);
    ck_assert(((uint32_t *)f->data)[14] == 229 && f->width == 5 && f->height == 3);
    ck_assert(f->exposure_s == 0.0099 && f->beam_fast_px == 2.125 && f->beam_slow_px == 1.875 && f->saturation == 33000 && f->wavelength_ang == 0.4103);
    assert_close(f->distance_m, 0.2125, 1e-14);
    assert_close(f->time_s - 1714557600, 0.28, 1e-5); /* the first began at 10:00:00.25 UTC, this is the fourth */
    assert_close(f->temperature_k, 300.15, 1e-14);
    ck_assert(bragg_frame_get(f, "omega") == -12.5 && f->pixel_fast_m == 7.5e-5);
    bragg_frame_free(f);
    ck_assert_int_eq(bragg_frame_read_mask("master.h5", &f, NULL), BRAGG_OK);
    ck_assert(f && f->height == 3 && ((uint32_t *)f->data)[7] == 1 && ((uint32_t *)f->data)[14] == 256 && !((uint32_t *)f->data)[8]);
    bragg_frame_free(f);
    ck_assert(bragg_frame_read_mask("data_1.h5", &f, NULL) == BRAGG_OK && !f);
}
END_TEST

START_TEST(slices_take_what_they_say)
{
    static const struct { const char *spec; size_t n; uint32_t first; } good[] = { { "five.h5:/entry/data/data[1]", 1, 115 }, { "five.h5:/entry/data/data[1:]", 1, 115 },
        { "five.h5:/entry/data/data[:1]", 1, 100 }, { "five.h5:/entry/data/data[::2]", 1, 100 }, { "five.h5:/entry/data/data[:]", 2, 100 }, { "five.h5:/entry/data/data[0:2:1]", 2, 100 } };
    static const char *const bad[] = { "[", "[x]", "[1", "[1.5]", "[1:2]3", "[0:1:1:1]", "[-1]", "[::0]", "[1:2" };
    write_frames("five.h5", 100);
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        size_t n = 0;
        ck_assert_msg(bragg_frame_count(good[k].spec, &n, NULL) == BRAGG_OK && n == good[k].n, "%s: %zu", good[k].spec, n);
        bragg_frame *f = read_good(good[k].spec, 0);
        ck_assert_uint_eq(((uint32_t *)f->data)[0], good[k].first);
        bragg_frame_free(f);
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char spec[64];
        size_t n;
        snprintf(spec, sizeof spec, "five.h5:/entry/data/data%s", bad[k]);
        ck_assert_msg(bragg_frame_count(spec, &n, NULL) == BRAGG_EINVAL, "%s", spec);
    }
}
END_TEST

START_TEST(links_out_of_the_folder_are_told_and_not_followed)
{
    char outside[600], here[512];
    bragg_frame *f;
    mkdir("in", 0700);
    mkdir("in/deep", 0700);
    write_frames("outer.h5", 100);
    write_frames("in/deep/data_1.h5", 100);
    snprintf(outside, sizeof outside, "%s/outer.h5", getcwd(here, sizeof here));
    const char *const away[] = { "../outer.h5", outside, "deep/../../outer.h5" };
    for (int k = 0; k < 3; k++) {
        bragg_error err = BRAGG_ERROR_INIT;
        write_master("in/master.h5", "deep/data_1.h5", away[k]); /* folders below are inside */
        ck_assert_int_eq(bragg_frame_read("in/master.h5", 0, &f, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, "outer.h5', which is not in this file's folder") && strstr(err.text, "data_000002"), "%s", err.text);
    }
    ck_assert_int_eq(symlink("../outer.h5", "in/looks-inside.h5"), 0);
    write_master("in/master.h5", "looks-inside.h5", "deep/data_1.h5");
    ck_assert_int_eq(bragg_frame_read("in/master.h5", 0, &f, NULL), BRAGG_EDATA);
    bragg_frame_free(read_good("outer.h5:/entry/data/data", 0)); /* named itself it is read */
}
END_TEST

START_TEST(data_sets_do_not_take_bytes_of_other_files)
{
    const hsize_t shape[3] = { 1, 3, 5 };
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    hid_t file = H5Fcreate("thief.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), made = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, shape, NULL);
    H5Pset_external(made, "/etc/passwd", 0, 60);
    H5Dclose(H5Dcreate2(file, "/stolen", H5T_STD_U32LE, space, H5P_DEFAULT, made, H5P_DEFAULT));
    H5Pclose(made);
    made = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(made, space, "../outer.h5", "/entry/data/data", space);
    H5Dclose(H5Dcreate2(file, "/borrowed", H5T_STD_U32LE, space, H5P_DEFAULT, made, H5P_DEFAULT));
    H5Pclose(made);
    H5Sclose(space);
    H5Fclose(file);
    ck_assert_int_eq(bragg_frame_read("thief.h5:/stolen", 0, &f, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "'/stolen' leads to '/etc/passwd', which is not in this file's folder"), "%s", err.text);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_frame_read("thief.h5:/borrowed", 0, &f, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "'../outer.h5', which is not"), "%s", err.text);
}
END_TEST

/* The file that a data set is made from, beside it, is one link away from another. */
START_TEST(what_a_virtual_set_is_made_from_stays_inside_too)
{
    static const char *const groups[] = { "/entry", "/entry/data", "/entry/sample", "/entry/instrument", "/entry/instrument/detector", NULL };
    const hsize_t shape[3] = { 2, 3, 5 }, few[1] = { 8 };
    uint32_t pixels[30] = { 7 };
    bragg_frame *f;
    mkdir("in", 0700);
    write_frames("outer.h5", 100);
    write_frames("in/good.h5", 400);
    hid_t made = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, shape, NULL), line = H5Screate_simple(1, few, NULL);
    hid_t file = H5Fcreate("in/middle.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("../outer.h5", "/entry/data/data", file, "/linked", H5P_DEFAULT, H5P_DEFAULT);
    H5Pset_external(made, "/etc/passwd", 0, 120);
    H5Dclose(H5Dcreate2(file, "/raw", H5T_STD_U32LE, space, H5P_DEFAULT, made, H5P_DEFAULT));
    H5Fclose(file);
    H5Pclose(made);
    for (int k = 0; k < 3; k++) {
        bragg_error err = BRAGG_ERROR_INIT;
        file = H5Fcreate("in/virtual.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        made = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_virtual(made, space, k ? "middle.h5" : "good.h5", k == 0 ? "/entry/data/data" : k == 1 ? "/linked" : "/raw", space);
        H5Dclose(H5Dcreate2(file, "/frames", H5T_STD_U32LE, space, H5P_DEFAULT, made, H5P_DEFAULT));
        H5Pclose(made);
        H5Fclose(file);
        if (!k) {
            f = read_good("in/virtual.h5:/frames", 1);
            ck_assert_uint_eq(((uint32_t *)f->data)[0], 415);
            bragg_frame_free(f);
            continue;
        }
        ck_assert_int_eq(bragg_frame_read("in/virtual.h5:/frames", 1, &f, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, k == 1 ? "'../outer.h5', which is not" : "'/etc/passwd', which is not"), "%s", err.text);
    }
    /* nor do the numbers beside the frames, nor a group of motors */
    file = H5Fcreate("outer-motors.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_number(file, "/omega", 11, NULL);
    H5Fclose(file);
    file = H5Fcreate("in/facts.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_groups(file, groups);
    put_pixels(file, "/entry/data/data", 3, shape, pixels);
    made = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(made, "/etc/passwd", 0, 8);
    H5Dclose(H5Dcreate2(file, "/entry/instrument/detector/count_time", H5T_STD_I8LE, line, H5P_DEFAULT, made, H5P_DEFAULT));
    H5Lcreate_external("../outer-motors.h5", "/", file, "/entry/sample/goniometer", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    f = read_good("in/facts.h5:/entry/data/data", 1);
    ck_assert_msg(isnan(f->exposure_s) && f->n_values == 0, "%g %zu", f->exposure_s, f->n_values);
    bragg_frame_free(f);
    H5Pclose(made);
    H5Sclose(line);
    H5Sclose(space);
}
END_TEST

START_TEST(lengths_are_in_the_unit_that_the_file_names)
{
    static const struct { const char *unit; double m; } units[] = { { "micron", 1e-6 }, { "micrometer", 1e-6 }, { "millimeters", 1e-3 }, { "metre", 1 }, { "cm", 1e-2 },
        { "\xc2\xb5m", 1e-6 }, { "nanometre", 1e-9 }, { "Angstroms", 1e-10 }, { "furlong", NAN }, { "mass", NAN } };
    static const char *const groups[] = { "/entry", "/entry/data", "/entry/instrument", "/entry/instrument/detector", NULL };
    const hsize_t shape[2] = { 3, 5 };
    uint32_t pixels[15] = { 7 };
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        hid_t file = H5Fcreate("units.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        put_groups(file, groups);
        put_pixels(file, "/entry/data/data", 2, shape, pixels);
        put_number(file, "/entry/instrument/detector/x_pixel_size", 74.8, units[k].unit);
        H5Fclose(file);
        bragg_frame *f = read_good("units.h5", 0);
        ck_assert_msg(isnan(units[k].m) ? isnan(f->pixel_fast_m) : fabs(f->pixel_fast_m / (74.8 * units[k].m) - 1) < 1e-12, "%s: %g", units[k].unit, f->pixel_fast_m);
        bragg_frame_free(f);
    }
}
END_TEST

/* An optional filter is passed by when written without it, but named in the file. */
START_TEST(a_missing_filter_is_named_with_its_package)
{
    const hsize_t shape[3] = { 1, 3, 5 };
    const unsigned char chunk[60] = { 1, 2, 3 };
    const hsize_t at[3] = { 0 };
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    hid_t file = H5Fcreate("packed.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), made = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, shape, NULL);
    H5Pset_chunk(made, 3, shape);
    H5Pset_filter(made, 32008, H5Z_FLAG_OPTIONAL, 0, NULL);
    hid_t set = H5Dcreate2(file, "/frames", H5T_STD_U32LE, space, H5P_DEFAULT, made, H5P_DEFAULT);
    ck_assert(H5Dwrite_chunk(set, H5P_DEFAULT, 0, at, sizeof chunk, chunk) >= 0);
    H5Dclose(set);
    H5Pclose(made);
    H5Sclose(space);
    H5Fclose(file);
    if (H5Zfilter_avail(32008) > 0) {
        printf("skipped: this machine has the bitshuffle filter\n");
        return;
    }
    ck_assert_int_eq(bragg_frame_read("packed.h5", 0, &f, &err), BRAGG_ENOSUPPORT);
    ck_assert_msg(strstr(err.text, "'frames' is compressed with bitshuffle (package bitshuffle"), "%s", err.text);
}
END_TEST

START_TEST(a_data_set_without_data_is_no_detector)
{
    const hsize_t shape[2] = { 60000, 4000 }, chunk[2] = { 100, 100 };
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    hid_t file = H5Fcreate("empty.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), made = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, shape, NULL);
    H5Pset_chunk(made, 2, chunk);
    H5Dclose(H5Dcreate2(file, "/frames", H5T_STD_U32LE, space, H5P_DEFAULT, made, H5P_DEFAULT));
    H5Pclose(made);
    H5Sclose(space);
    H5Fclose(file);
    ck_assert_int_eq(bragg_frame_read("empty.h5", 0, &f, &err), BRAGG_EDATA);
    ck_assert_msg(strstr(err.text, "expected 4000 x 60000 pixels, found 0 bytes"), "%s", err.text);
}
END_TEST
#endif

/* ----------------------------------------------------------------- writing */

/* All that a frame may know, with a different time for each. */
static bragg_frame *made_frame(bragg_pixel type, int k)
{
    bragg_frame *f;
    ck_assert_int_eq(bragg_frame_new(29, 23, type, &f, NULL), BRAGG_OK);
    for (size_t i = 0; i < 23; i++)
        for (size_t j = 0; j < 29; j++)
            bragg_pixel_put((char *)f->data + (i * 29 + j) * bragg_pixel_size(type), type, value_at(i, j) + k);
    f->time_s = 1714557600.123 + 3 * k; /* which a double holds a little below */
    f->exposure_s = 2.385;
    f->wavelength_ang = 0.41073;
    f->distance_m = 0.21143;
    f->temperature_k = 300.15 + k;
    f->monitor = 12345 + k;
    f->pixel_slow_m = 172e-6;
    f->pixel_fast_m = 75e-6;
    f->beam_slow_px = 11.375;
    f->beam_fast_px = -3.125;
    f->saturation = 1097223;
    snprintf(f->title, sizeof f->title, "PILATUS 100K");
    ck_assert_int_eq(bragg_frame_set(f, "samx", -2.25 + k, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_set(f, "phi", 1.5, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_set(f, "lost", NAN, NULL), BRAGG_OK);
    return f;
}

static void check_facts(const char *name, const bragg_frame *f, const bragg_frame *want, bool every, bool motors)
{
    ck_assert_str_eq(f->title, want->title);
    assert_close(f->exposure_s, want->exposure_s, 1e-14);
    assert_close(f->wavelength_ang, want->wavelength_ang, 1e-14);
    assert_close(f->distance_m, want->distance_m, 1e-14);
    assert_close(f->pixel_slow_m, want->pixel_slow_m, 1e-14);
    assert_close(f->pixel_fast_m, want->pixel_fast_m, 1e-14);
    ck_assert_msg(f->beam_slow_px == want->beam_slow_px && f->beam_fast_px == want->beam_fast_px && f->saturation == want->saturation, "%s", name);
    if (every) {
        ck_assert_msg(fabs(f->time_s - want->time_s) < 1e-6, "%s: %.3f, expected %.3f", name, f->time_s, want->time_s);
        assert_close(f->temperature_k, want->temperature_k, 1e-14);
        ck_assert_msg(f->monitor == want->monitor, "%s: %g", name, f->monitor);
    }
    if (motors)
        ck_assert_msg(bragg_frame_get(f, "samx") == bragg_frame_get(want, "samx") && bragg_frame_get(f, "phi") == 1.5 && isnan(bragg_frame_get(f, "lost")), "%s", name);
}

static void round_trip(const char *name, bragg_pixel type, int n, bool facts, bool every, bool motors)
{
    bragg_frame_stack *s;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t count;
    ck_assert_msg(bragg_frame_stack_open(name, (size_t)n, true, &s, &err) == BRAGG_OK, "%s", err.text);
    for (int k = 0; k < n; k++) {
        bragg_frame *f = made_frame(type, k);
        ck_assert_msg(bragg_frame_stack_add(s, f, &err) == BRAGG_OK, "%s: %s", name, err.text);
        bragg_frame_free(f);
    }
    ck_assert_msg(bragg_frame_stack_commit(s, &err) == BRAGG_OK, "%s: %s", name, err.text);
    ck_assert_msg(bragg_frame_count(name, &count, &err) == BRAGG_OK && count == (size_t)n, "%s: %zu %s", name, count, err.text);
    for (int k = 0; k < n; k++) {
        bragg_frame *f = read_good(name, (size_t)k), *want = made_frame(type, k);
        ck_assert_msg(f->type == type && f->width == 29 && f->height == 23, "%s: %s", name, bragg_pixel_name(f->type));
        ck_assert_msg(!memcmp(f->data, want->data, 29 * 23 * bragg_pixel_size(type)), "%s: frame %d of %s", name, k, bragg_pixel_name(type));
        if (facts)
            check_facts(name, f, want, every || k == 0, motors);
        bragg_frame_free(f);
        bragg_frame_free(want);
    }
    unlink(name);
}

/* Lists of names and values stay beside each other. */
START_TEST(motors_whose_names_have_blanks_keep_their_values)
{
    static const char *const files[] = { "x.edf", "x.tif" };
    for (int k = 0; k < 2; k++) {
        bragg_frame *f = made_frame(BRAGG_U16, k);
        bragg_frame_stack *stack;
        ck_assert_int_eq(bragg_frame_set(f, "sample stage; y", 7.853, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_frame_set(f, "omega", 10.291, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_frame_stack_open(files[k], 1, true, &stack, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_frame_stack_add(stack, f, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_frame_stack_commit(stack, NULL), BRAGG_OK);
        bragg_frame_free(f);
        f = read_good(files[k], 0);
        ck_assert_msg(bragg_frame_get(f, "sample_stage__y") == 7.853 && bragg_frame_get(f, "omega") == 10.291 && bragg_frame_get(f, "phi") == 1.5, "%s", files[k]);
        bragg_frame_free(f);
        unlink(files[k]);
    }
}
END_TEST

START_TEST(stacks_of_every_type_come_back_from_every_format_with_what_is_known)
{
    for (int type = BRAGG_U8; type <= BRAGG_F64; type++)
        for (int n = 1; n <= 3; n += 2) {
            round_trip("x.tif", (bragg_pixel)type, n, true, true, true);
            round_trip("x.edf", (bragg_pixel)type, n, true, true, true);
            round_trip("x.npy", (bragg_pixel)type, n, false, false, false);
            round_trip("x.fits", (bragg_pixel)type, n, true, false, false);
#ifdef HAVE_HDF5
            round_trip("x.h5", (bragg_pixel)type, n, true, true, true);
#endif
        }
}
END_TEST

START_TEST(what_a_format_cannot_hold_is_refused_and_leaves_nothing)
{
    static const struct { const char *name; size_t n; bragg_pixel type; bragg_status status; const char *message; } bad[] = {
        { "x.dat", 1, BRAGG_U8, BRAGG_EINVAL, "'x.dat': expected a name that ends in .tif" },
        { "x.cbf", 2, BRAGG_I32, BRAGG_EINVAL, "'x.cbf': a CBF file holds one frame, found 2" },
        { "x.cbf", 1, BRAGG_F32, BRAGG_EDATA, "CBF holds uint8, uint16, uint32, int8, int16, int32, found float32, which would lose" } };
    for (size_t k = 0; k < 3; k++) {
        bragg_frame_stack *s;
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_frame *f = made_frame(bad[k].type, 0);
        bragg_status st = bragg_frame_stack_open(bad[k].name, bad[k].n, false, &s, &err);
        if (st == BRAGG_OK)
            st = bragg_frame_stack_add(s, f, &err);
        ck_assert_msg(st == bad[k].status && strstr(err.text, bad[k].message), "%s", err.text);
        bragg_frame_stack_abandon(s);
        bragg_frame_free(f);
        ck_assert_int_ne(access(bad[k].name, F_OK), 0);
    }
    bragg_frame_stack *s;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_frame *f = made_frame(BRAGG_U16, 0), *other;
    ck_assert_int_eq(bragg_frame_new(23, 29, BRAGG_U16, &other, NULL), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_stack_open("x.edf", 2, false, &s, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_stack_add(s, f, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_frame_stack_add(s, other, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "expected 29 x 23 uint16 like its first frame, found 23 x 29 uint16"));
    bragg_frame_stack_abandon(s);
    ck_assert_int_ne(access("x.edf", F_OK), 0);
    bragg_frame_free(f);
    bragg_frame_free(other);
}
END_TEST

START_TEST(another_type_is_taken_only_where_it_loses_nothing)
{
    bragg_frame *f = made_frame(BRAGG_I32, 0), *as;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_frame_as(f, BRAGG_U8, &as, &err), BRAGG_OK);
    ck_assert(((uint8_t *)as->data)[5] == 15 && as->exposure_s == 2.385 && bragg_frame_get(as, "samx") == -2.25);
    bragg_frame_free(as);
    ((int32_t *)f->data)[31] = -2;
    ck_assert_int_eq(bragg_frame_as(f, BRAGG_U16, &as, &err), BRAGG_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "row 1, column 2: uint16 does not hold -2"));
    ((int32_t *)f->data)[31] = 16777217; /* 2^24 + 1 */
    ck_assert_int_eq(bragg_frame_as(f, BRAGG_F32, &as, NULL), BRAGG_EDATA);
    ck_assert_int_eq(bragg_frame_as(f, BRAGG_F64, &as, NULL), BRAGG_OK);
    bragg_frame_free(as);
    bragg_frame_free(f);
}
END_TEST

#ifdef HAVE_CBF
/* By CBFlib itself. */
static void write_cbf(const char *name, const bragg_frame *f, unsigned packing, bool sign)
{
    cbf_handle cbf;
    FILE *to = fopen(name, "wb");
    ck_assert(to && !cbf_make_handle(&cbf) && !cbf_new_datablock(cbf, "x") && !cbf_new_category(cbf, "array_data") && !cbf_new_column(cbf, "data"));
    ck_assert_int_eq(cbf_set_integerarray_wdims_fs(cbf, packing, 1, f->data, bragg_pixel_size(f->type), sign, f->width * f->height, "little_endian", f->width, f->height, 0, 0), 0);
    ck_assert_int_eq(cbf_write_file(cbf, to, 0, CBF, MSG_DIGEST | MIME_HEADERS, ENC_NONE), 0);
    fclose(to);
    cbf_free_handle(cbf);
}

START_TEST(files_of_cbflib_are_read_packed_or_not)
{
    static const bragg_pixel types[] = { BRAGG_U8, BRAGG_U16, BRAGG_U32, BRAGG_I8, BRAGG_I16, BRAGG_I32 };
    static const unsigned packings[] = { CBF_BYTE_OFFSET, CBF_PACKED, CBF_PACKED_V2 };
    for (int t = 0; t < 6; t++) {
        bragg_frame *f = made_frame(types[t], 0), *back;
        size_t size = bragg_pixel_size(f->type), all = f->width * f->height;
        if (size > 1) /* steps of every length, and gaps */
            for (size_t k = 3; k < all; k += 17)
                bragg_pixel_put((char *)f->data + k * size, f->type, k % 2 ? 30000 : size > 2 ? 1500000000 : t > 2 ? -2 : 65535);
        round_trip("x.cbf", types[t], 1, true, true, true);
        for (int p = 0; p < 3; p++) {
            write_cbf("x.cbf", f, packings[p], t > 2);
            back = read_good("x.cbf", 0);
            ck_assert_int_eq(back->type, f->type);
            for (size_t k = 0; k < all; k++)
                ck_assert_msg(!memcmp((char *)back->data + k * size, (char *)f->data + k * size, size), "packing %d, %s, pixel %zu", p, bragg_pixel_name(f->type), k);
            bragg_frame_free(back);
        }
        bragg_frame_free(f);
    }
    unlink("x.cbf");
}
END_TEST
#endif

#ifdef HAVE_HDF5
/* ------------------------------------------------------ HDF5 by a child */

/* Times that an act was done in a child and here; a map that both have. */
typedef struct acts {
    int *child, *here;
    int signal;
    bragg_status answer;
} acts;

static void put_text(const char *name, const char *text)
{
    FILE *f = fopen(name, "wb");
    ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
}

static bragg_status act(void *payload, bragg_error *err)
{
    acts *a = payload;
    ++*(bragg_hdf5_rehearses() ? a->child : a->here);
    if (a->signal && bragg_hdf5_rehearses()) {
        signal(a->signal, SIG_DFL); /* a sanitizer's handler would end it too, without a signal */
        raise(a->signal);
    }
    return a->answer < 0 ? bragg_fail(err, a->answer, "17 frames short") : BRAGG_OK;
}

static bragg_status do_act(acts *a, const char *file, const char *what, bragg_error *err)
{
    bragg_hdf5_turn turn = bragg_hdf5_begin();
    *err = (bragg_error)BRAGG_ERROR_INIT;
    bragg_status st = bragg_hdf5_safely(file, what, act, a, err);
    bragg_hdf5_end(turn);
    return st;
}

static acts new_acts(void)
{
    int *shared = mmap(NULL, 2 * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    return (acts){ .child = shared, .here = shared + 1 };
}

START_TEST(a_file_is_tried_by_a_child_once_as_long_as_it_stays_the_same)
{
    acts a = new_acts();
    bragg_error err;
    put_text("a.h5", "x");
    for (int k = 0; k < 3; k++)
        ck_assert_int_eq(do_act(&a, "a.h5", "p", &err), BRAGG_OK);
    ck_assert(*a.child == 1 && *a.here == 3);
    ck_assert_int_eq(do_act(&a, "a.h5", "q", &err), BRAGG_OK);
    ck_assert(*a.child == 2 && *a.here == 4);
    put_text("a.h5", "xyz");
    ck_assert_int_eq(do_act(&a, "a.h5", "p", &err), BRAGG_OK);
    ck_assert(*a.child == 3 && *a.here == 5);
    a.answer = BRAGG_EIO; /* what a child finds is told, and not done once more here */
    ck_assert_int_eq(do_act(&a, "a.h5", "r", &err), BRAGG_EIO);
    ck_assert_str_eq(err.text, "17 frames short");
    ck_assert(*a.child == 4 && *a.here == 5);
}
END_TEST

START_TEST(a_file_that_kills_a_child_is_damaged_and_kills_no_more)
{
    static const struct { int signal; const char *text; } ways[] = { { SIGSEGV, "fails on it (signal 11)" }, { SIGABRT, "fails on it (signal 6)" }, { SIGXCPU, "comes to no end on it" } };
    bragg_error err;
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        acts a = new_acts();
        char what[8];
        snprintf(what, sizeof what, "%zu", k);
        put_text("dead.h5", "x");
        a.signal = ways[k].signal;
        ck_assert_int_eq(do_act(&a, "dead.h5", what, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, "'dead.h5': damaged: the HDF5 library") && strstr(err.text, ways[k].text), "%s", err.text);
        a.signal = 0; /* once it was survived: each time by a child first */
        ck_assert_int_eq(do_act(&a, "dead.h5", what, &err), BRAGG_OK);
        ck_assert_int_eq(do_act(&a, "dead.h5", what, &err), BRAGG_OK);
        ck_assert(*a.child == 3 && *a.here == 2);
        a.signal = ways[k].signal;
        for (int n = 0; n < 20; n++)
            ck_assert_int_eq(do_act(&a, "dead.h5", what, &err), BRAGG_EDATA);
        ck_assert(*a.child == 10 && *a.here == 2);
    }
    acts a = new_acts();
    a.signal = SIGTERM; /* somebody's doing, not the file's */
    ck_assert_int_eq(do_act(&a, "dead.h5", "term", &err), BRAGG_OK);
    ck_assert_int_eq(*a.here, 1);
}
END_TEST

/* A type whose message claims to be shared in a file without a table of shared ones:
 * libhdf5 1.10.8 reads at address zero. */
START_TEST(a_file_that_ends_the_library_ends_in_a_message)
{
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    char sample[512];
    size_t n;
    snprintf(sample, sizeof sample, "%s/tests/fuzz/corpus/hdf5/shared-without-a-table.h5", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".");
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(bragg_frame_count(sample, &n, &err), BRAGG_EDATA);
        ck_assert_int_eq(bragg_frame_read(sample, 0, &f, &err), BRAGG_EDATA);
        ck_assert_msg(strstr(err.text, "shared-without-a-table.h5") != NULL, "%s", err.text);
    }
}
END_TEST

/* One chunk of 3 x 5 x 7 uint16 as it is put there, with `skipped` filters. */
static void write_chunk(const char *name, bool deflated, bool checksum, unsigned skipped, const void *raw, size_t n)
{
    const hsize_t dims[3] = { 3, 5, 7 }, corner[3] = { 0 };
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(3, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 3, dims);
    if (deflated)
        H5Pset_deflate(how, 3);
    if (checksum)
        H5Pset_fletcher32(how);
    hid_t set = H5Dcreate2(file, "frames", H5T_NATIVE_UINT16, space, H5P_DEFAULT, how, H5P_DEFAULT);
    ck_assert(set >= 0 && H5Dwrite_chunk(set, H5P_DEFAULT, skipped, corner, n, raw) >= 0);
    H5Dclose(set), H5Pclose(how), H5Sclose(space), H5Fclose(file);
}

static bragg_status read_chunk(const char *name, unsigned first, char *text)
{
    bragg_frame *f;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_status st = bragg_frame_read(name, 1, &f, &err);
    snprintf(text, BRAGG_ERROR_TEXT, "%s", err.text);
    if (st == BRAGG_OK)
        ck_assert_msg(f->width == 7 && f->height == 5 && ((uint16_t *)f->data)[0] == first, "%zu x %zu, %u", f->width, f->height, ((uint16_t *)f->data)[0]);
    bragg_frame_free(f);
    return st;
}

START_TEST(a_chunk_that_holds_less_than_its_set_says_is_not_read)
{
    enum { ALL = 3 * 5 * 7 };
    uint16_t v[ALL + 8];
    unsigned char packed[1024];
    char text[BRAGG_ERROR_TEXT];
    for (int k = 0; k < ALL + 8; k++)
        v[k] = (uint16_t)(k * k + 77);
    write_chunk("c.h5", false, false, 0, v, ALL * 2);
    ck_assert_msg(read_chunk("c.h5", 35 * 35 + 77, text) == BRAGG_OK, "%s", text);
    for (int sum = 0; sum < 2; sum++) { /* what would not shrink is stored as it is */
        write_chunk("c.h5", true, sum, 1 | (unsigned)sum << 1, v, ALL * 2);
        ck_assert_msg(read_chunk("c.h5", 35 * 35 + 77, text) == BRAGG_OK, "%s", text);
        write_chunk("c.h5", true, sum, 1 | (unsigned)sum << 1, v, ALL * 2 - 2);
        ck_assert_int_eq(read_chunk("c.h5", 0, text), BRAGG_EDATA);
        ck_assert_msg(strstr(text, "c.h5: 'frames' frame 1 cannot be read: damaged"), "%s", text);
    }
    for (int items = ALL - 40; items <= ALL + 8; items += 8) {
        uLongf n = sizeof packed;
        ck_assert_int_eq(compress(packed, &n, (const Bytef *)v, (uLong)items * 2), Z_OK);
        write_chunk("c.h5", true, false, 0, packed, n);
        ck_assert_msg(read_chunk("c.h5", 35 * 35 + 77, text) == (items == ALL ? BRAGG_OK : BRAGG_EDATA), "%d items: %s", items, text);
    }
    unlink("c.h5");
}
END_TEST

/* LZ4 and bitshuffle, which say how long a chunk is: literals only, so that none is needed to
 * see which are refused before a decoder looks at them. */
START_TEST(blocks_that_do_not_fill_a_chunk_are_not_unpacked)
{
    enum { ALL = 210, BLOCK = 128 };
    static const struct { unsigned whole, block, first, second; bool good; } cases[] = {
        { ALL, BLOCK, BLOCK, ALL - BLOCK, true }, { ALL + 2, BLOCK, BLOCK, ALL - BLOCK, false }, { ALL, 0, BLOCK, ALL - BLOCK, false },
        { ALL, BLOCK, BLOCK, ALL, false }, { ALL, BLOCK, 0xffffffff, ALL - BLOCK, false }, { ALL, 64, BLOCK, ALL - BLOCK, false },
    };
    const hsize_t dims[3] = { 3, 5, 7 }, corner[3] = { 0 };
    if (H5Zfilter_avail(32004) <= 0)
        return; /* HDF5 writes no set of a filter that it has not */
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        unsigned char raw[12 + 8 + ALL] = { 0 };
        const unsigned words[5] = { 0, cases[k].whole, cases[k].block, cases[k].first, cases[k].second };
        const size_t at[5] = { 0, 4, 8, 12, 12 + 4 + BLOCK };
        char text[BRAGG_ERROR_TEXT];
        for (int i = 0; i < ALL; i++)
            raw[12 + (i < BLOCK ? 4 : 8) + i] = (unsigned char)(i * 7);
        for (int i = 0; i < 5; i++)
            for (int b = 0; b < 4; b++)
                raw[at[i] + (size_t)b] = (unsigned char)(words[i] >> (24 - 8 * b));
        hid_t file = H5Fcreate("l.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(3, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(how, 3, dims);
        H5Pset_filter(how, 32004, H5Z_FLAG_OPTIONAL, 0, NULL);
        hid_t set = H5Dcreate2(file, "frames", H5T_NATIVE_UINT16, space, H5P_DEFAULT, how, H5P_DEFAULT);
        ck_assert(set >= 0 && H5Dwrite_chunk(set, H5P_DEFAULT, 0, corner, sizeof raw, raw) >= 0);
        H5Dclose(set), H5Pclose(how), H5Sclose(space), H5Fclose(file);
        unsigned first = (unsigned)(70 * 7 & 255) | (unsigned)(71 * 7 & 255) << 8;
        ck_assert_msg(read_chunk("l.h5", first, text) == (cases[k].good ? BRAGG_OK : BRAGG_EDATA), "case %zu: %s", k, text);
    }
    unlink("l.h5");
}
END_TEST

#endif

/* What the tests have left. */
static void empty_folder(bragg_arena *arena, const char *folder)
{
    const char **left;
    size_t n;
    if (bragg_path_list(arena, folder, NULL, &left, &n, NULL) < 0)
        return;
    for (size_t k = 0; k < n; k++)
        if (unlink(left[k]))
            empty_folder(arena, left[k]);
    rmdir(folder);
}

int main(void)
{
    const char *folder = getenv("TMPDIR");
    char work[512];
    snprintf(work, sizeof work, "%s/bragg-frame-XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(work) || chdir(work))
        return 99;
    Suite *suite = suite_create("frame");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, every_type_layout_compression_and_byte_order_reads_back);
    tcase_add_test(all, pages_are_frames);
    tcase_add_test(all, what_we_write_reads_back_and_is_not_overwritten);
    tcase_add_test(all, a_file_cut_anywhere_ends_in_a_message);
    tcase_add_test(all, turning_over_moves_the_right_pixels);
    tcase_add_test(all, real_frames_have_the_sums_other_readers_found);
    tcase_add_test(all, damaged_frames_end_in_a_message_or_a_frame);
    tcase_add_test(all, numpy_arrays_read_and_their_lies_are_told);
    tcase_add_test(all, fits_images_read_scaled_and_in_cubes);
    tcase_add_test(all, fits_files_that_break_cfitsio_never_reach_it);
    tcase_add_test(all, cards_of_fits_headers_are_read_whole_or_refused);
    tcase_add_test(all, tiles_of_every_code_come_back);
    tcase_add_test(all, damaged_tiles_do_not_reach_a_decoder_that_trusts_them);
    tcase_add_test(all, a_header_that_asks_for_the_world_is_not_believed);
    tcase_add_test(all, the_camera_s_own_words_are_read);
    tcase_add_test(all, masks_gather_what_does_not_count);
    tcase_add_test(all, frames_of_ge_detectors_follow_two_headers);
    tcase_add_test(all, what_is_no_frame_is_text_only_when_it_reads_as_text);
    tcase_add_test(all, raw_frames_read_as_they_are_described);
    tcase_add_test(all, marccd_headers_tell_of_the_exposure);
    tcase_add_test(all, headers_of_text_tell_of_time_beam_and_motors);
    tcase_add_test(all, an_image_plate_is_round);
    tcase_add_test(all, real_headers_tell_what_is_in_them);
    tcase_add_test(all, motors_whose_names_have_blanks_keep_their_values);
    tcase_add_test(all, stacks_of_every_type_come_back_from_every_format_with_what_is_known);
    tcase_add_test(all, what_a_format_cannot_hold_is_refused_and_leaves_nothing);
    tcase_add_test(all, another_type_is_taken_only_where_it_loses_nothing);
#ifdef HAVE_CBF
    tcase_add_test(all, files_of_cbflib_are_read_packed_or_not);
#endif
#ifdef HAVE_HDF5
    tcase_add_test(all, an_eiger_master_tells_of_frames_in_files_beside_it);
    tcase_add_test(all, slices_take_what_they_say);
    tcase_add_test(all, links_out_of_the_folder_are_told_and_not_followed);
    tcase_add_test(all, data_sets_do_not_take_bytes_of_other_files);
    tcase_add_test(all, what_a_virtual_set_is_made_from_stays_inside_too);
    tcase_add_test(all, lengths_are_in_the_unit_that_the_file_names);
    tcase_add_test(all, a_missing_filter_is_named_with_its_package);
    tcase_add_test(all, a_data_set_without_data_is_no_detector);
    tcase_add_test(all, a_file_is_tried_by_a_child_once_as_long_as_it_stays_the_same);
    tcase_add_test(all, a_file_that_kills_a_child_is_damaged_and_kills_no_more);
    tcase_add_test(all, a_file_that_ends_the_library_ends_in_a_message);
    tcase_add_test(all, a_chunk_that_holds_less_than_its_set_says_is_not_read);
    tcase_add_test(all, blocks_that_do_not_fill_a_chunk_are_not_unpacked);
#endif
    suite_add_tcase(suite, all);
    int failed = run_suite(suite);
    bragg_arena *arena = bragg_arena_new();
    empty_folder(arena, work);
    bragg_arena_free(arena);
    return failed ? 1 : 0;
}
