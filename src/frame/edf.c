/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EDF frames of the ESRF: text headers in braces, raw pixels behind each. */
#include "config.h"
#include "bytes.h"
#include "reader.h"
#include "writer.h"

#include <bragg/bytes.h>
#include <bragg/datetime.h>
#include <bragg/number.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct edf {
    size_t header, data, size; /* offsets; bytes of pixels */
    size_t width, height;
    bragg_pixel type;
    bool big_endian;
} edf;

static bool probe(const unsigned char *h, size_t n)
{
    return n > 16 && (h[0] == '{' || (h[0] == '\n' && h[1] == '{')) && memmem(h, n, "Dim_1", 5);
}

/* The first of a type is the one to write. */
static const struct { const char *name; bragg_pixel type; } type_names[] = {
        { "SignedByte", BRAGG_I8 }, { "UnsignedByte", BRAGG_U8 }, { "SignedShort", BRAGG_I16 }, { "UnsignedShort", BRAGG_U16 },
        { "SignedInteger", BRAGG_I32 }, { "UnsignedInteger", BRAGG_U32 }, { "SignedLong", BRAGG_I32 }, { "UnsignedLong", BRAGG_U32 },
        { "Signed64", BRAGG_I64 }, { "Unsigned64", BRAGG_U64 }, { "FloatValue", BRAGG_F32 }, { "Float", BRAGG_F32 },
        { "FloatIEEE32", BRAGG_F32 }, { "DoubleValue", BRAGG_F64 }, { "DoubleIEEE64", BRAGG_F64 }, { "Real", BRAGG_F32 } };

static bool pixel_type(const char *name, bragg_pixel *type)
{
    for (size_t k = 0; k < sizeof type_names / sizeof *type_names; k++)
        if (!strcasecmp(name, type_names[k].name)) {
            *type = type_names[k].type;
            return true;
        }
    return false;
}

static bragg_status whole_number(const char *path, const unsigned char *h, size_t n, const char *key, size_t *value, bragg_error *err)
{
    char text[64];
    long long v;
    if (!bragg_frame_header(h, n, key, text, sizeof text) || !bragg_integer_parse(text, &v) || v < 1 || v > 1 << 30)
        return bragg_fail(err, BRAGG_EDATA, "%s: header: expected %s to be a positive number, found '%s'", path, key,
                          bragg_frame_header(h, n, key, text, sizeof text) ? text : "none");
    *value = (size_t)v;
    return BRAGG_OK;
}

enum { MOST_HEADER = 1 << 16 };

/* The header that starts behind `from`, closed by "}\n", into h of MOST_HEADER + 1 bytes; n = 0 at
 * the end of the file. */
static bragg_status load_header(const frame_file *f, size_t from, char *h, edf *e, size_t *n, bragg_error *err)
{
    *e = (edf){ .header = from };
    *n = 0;
    if (from >= f->n)
        return BRAGG_OK;
    size_t most = f->n - from < MOST_HEADER ? f->n - from : MOST_HEADER;
    bragg_status st = bragg_frame_piece(f, from, most, h, err);
    if (st < 0)
        return st;
    h[most] = '\0';
    const char *open = memchr(h, '{', most), *close = open ? memmem(open, most - (size_t)(open - h), "}\n", 2) : NULL;
    if (!open)
        return BRAGG_OK; /* padding behind the last frame */
    if (!close)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected '}' behind the header, found none in %zu bytes", f->path, most);
    *n = (size_t)(close - open);
    memmove(h, open, *n);
    h[*n] = '\0';
    e->data = from + (size_t)(close - h) + 2;
    return BRAGG_OK;
}

/* The frame that starts at `from`; OK with data = 0 at the end of the file. */
static bragg_status one_header(const frame_file *f, size_t from, char *text, edf *e, bragg_error *err)
{
    char word[64] = "";
    size_t n;
    const char *path = f->path;
    const unsigned char *h = (const unsigned char *)text;
    bragg_status st = load_header(f, from, text, e, &n, err);
    if (st < 0 || !n)
        return st;
    st = whole_number(path, h, n, "Dim_1", &e->width, err);
    if (st == BRAGG_OK)
        st = whole_number(path, h, n, "Dim_2", &e->height, err);
    if (st < 0)
        return st;
    if (!bragg_frame_header(h, n, "DataType", word, sizeof word) || !pixel_type(word, &e->type))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: header: unknown DataType '%s'", path, word);
    if (bragg_frame_header(h, n, "Compression", word, sizeof word) && strncasecmp(word, "no", 2))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "%s: header: compression '%s' is not read", path, word);
    e->big_endian = bragg_frame_header(h, n, "ByteOrder", word, sizeof word) && !strncasecmp(word, "high", 4);
    e->size = e->width * e->height * bragg_pixel_size(e->type);
    if (e->data > f->n || e->size > f->n - e->data)
        return bragg_fail(err, BRAGG_EDATA, "%s: expected %zu x %zu %s pixels (%zu bytes), found %zu bytes", path, e->width, e->height,
                          bragg_pixel_name(e->type), e->size, f->n - e->data);
    return BRAGG_OK;
}

/* Frames up to `index` (all: SIZE_MAX), and how many they are; the header of the last
 * one seen is left in h. */
static bragg_status find_frame(const frame_file *f, size_t index, char *h, edf *e, size_t *count, bragg_error *err)
{
    size_t from = 0;
    for (*count = 0; *count == 0 || *count - 1 < index; ++*count) {
        edf now;
        bragg_status st = one_header(f, from, h, &now, err);
        if (st < 0)
            return st;
        if (!now.data)
            return BRAGG_OK;
        *e = now;
        from = now.data + now.size;
    }
    return BRAGG_OK;
}

static bragg_status count(const char *path, size_t *n, bragg_error *err)
{
    frame_file f;
    edf e;
    char *h = malloc(MOST_HEADER + 1);
    bragg_status st = h ? bragg_frame_open(path, &f, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a header");
    if (st == BRAGG_OK) {
        st = find_frame(&f, SIZE_MAX, h, &e, n, err);
        bragg_frame_close(&f);
    }
    free(h);
    return st;
}

/* "motor_mne = phi samx ;" names what "motor_pos = 1.5 -2.25 ;" says. */
static bragg_status take_list(const unsigned char *h, size_t n, const char *names_key, const char *values_key, bragg_frame *f, bragg_error *err)
{
    enum { MOST_LINE = 8192 };
    char *names = malloc(2 * MOST_LINE), *values = names + MOST_LINE, *name_at = NULL, *value_at = NULL;
    if (!names)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a header's line");
    bragg_status st = BRAGG_OK;
    if (bragg_frame_header(h, n, names_key, names, MOST_LINE) && bragg_frame_header(h, n, values_key, values, MOST_LINE)) {
        char *name = strtok_r(names, " \t", &name_at), *value = strtok_r(values, " \t", &value_at);
        for (; st == BRAGG_OK && name && value; name = strtok_r(NULL, " \t", &name_at), value = strtok_r(NULL, " \t", &value_at)) {
            double v;
            if (bragg_number_parse(value, &v))
                st = bragg_frame_set(f, name, v, err);
        }
    }
    free(names);
    return st;
}

/* The first of these counters that is there. */
static double counter(const bragg_frame *f, const char *const *names)
{
    double v = NAN;
    for (; *names && isnan(v); names++)
        v = bragg_frame_get(f, *names);
    return v;
}

/* Keys as the ESRF's programs write them (P. Boesecke, J. Appl. Cryst. 40 (2007) s423),
 * lengths in m; where a key ends in its unit it is ours. */
static bragg_status take_facts(const unsigned char *h, size_t n, bragg_frame *f, bragg_error *err)
{
    static const char *const monitors[] = { "mon", "monitor", "i0", "ic0", NULL };
    static const struct { const char *key; size_t offset; double unit; } keys[] = {
        { "count_time", offsetof(bragg_frame, exposure_s), 1 }, { "ExposureTime", offsetof(bragg_frame, exposure_s), 1 },
        { "WaveLength", offsetof(bragg_frame, wavelength_ang), 1e10 }, { "SampleDistance", offsetof(bragg_frame, distance_m), 1 },
        { "PSize_1", offsetof(bragg_frame, pixel_fast_m), 1 }, { "PSize_2", offsetof(bragg_frame, pixel_slow_m), 1 },
        { "Center_1", offsetof(bragg_frame, beam_fast_px), 1 }, { "Center_2", offsetof(bragg_frame, beam_slow_px), 1 },
        { "Temperature_K", offsetof(bragg_frame, temperature_k), 1 }, { "Monitor", offsetof(bragg_frame, monitor), 1 },
        { "Saturation", offsetof(bragg_frame, saturation), 1 }, { "time_of_day", offsetof(bragg_frame, time_s), 1 } };
    char text[96];
    bragg_status st = bragg_frame_dectris(f, h, n, err);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        double v = keys[k].unit * bragg_frame_header_number(h, n, keys[k].key);
        if (isfinite(v))
            *(double *)((char *)f + keys[k].offset) = v;
    }
    if (!(f->time_s > 1e8)) /* seconds of the day alone are no date */
        f->time_s = bragg_frame_header(h, n, "Date", text, sizeof text) || bragg_frame_header(h, n, "time", text, sizeof text) ? bragg_frame_time(text) : NAN;
    if (st == BRAGG_OK)
        st = take_list(h, n, "motor_mne", "motor_pos", f, err);
    if (st == BRAGG_OK)
        st = take_list(h, n, "counter_mne", "counter_pos", f, err);
    if (isnan(f->monitor))
        f->monitor = counter(f, monitors);
    if (!*f->title && bragg_frame_header(h, n, "title", text, sizeof text) && *text != '#')
        snprintf(f->title, sizeof f->title, "%s", text);
    return st;
}

static bragg_status read_frame(const frame_file *f, size_t index, char *h, bragg_frame **out, bragg_error *err)
{
    edf e = { 0 };
    size_t n = 0;
    bragg_status st = find_frame(f, index, h, &e, &n, err);
    if (st == BRAGG_OK && index >= n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: frame %zu is not in it, it has %zu", f->path, index, n);
    if (st == BRAGG_OK)
        st = bragg_frame_raw_pixels(f, e.data, e.width, e.height, e.type, e.big_endian == BRAGG_LITTLE_ENDIAN, out, err);
    return st < 0 ? st : take_facts((const unsigned char *)h, strlen(h), *out, err);
}

static bragg_status read_edf(const char *path, size_t index, bragg_frame **out, bragg_error *err)
{
    frame_file f;
    char *h = malloc(MOST_HEADER + 1);
    bragg_status st = h ? bragg_frame_open(path, &f, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a header");
    if (st == BRAGG_OK) {
        st = read_frame(&f, index, h, out, err);
        bragg_frame_close(&f);
    }
    free(h);
    return st;
}

const bragg_frame_reader bragg_frame_edf = { "EDF", probe, count, read_edf, NULL };

/* ----------------------------------------------------------------- writing */

static const char *type_name(bragg_pixel type)
{
    size_t k = 0;
    while (type_names[k].type != type)
        k++;
    return type_names[k].name;
}

static void put(FILE *to, const char *key, double value) { bragg_output_number(to, key, value, 15, " ;\n"); }

static void put_facts(FILE *to, const bragg_frame *f)
{
    char text[BRAGG_NUMBER_TEXT], date[BRAGG_TIME_TEXT];
    if (*f->title && !strpbrk(f->title, ";{}\n"))
        fprintf(to, "title = %s ;\n", f->title);
    if (*bragg_time_print(date, f->time_s))
        fprintf(to, "Date = %s ;\n", date);
    put(to, "time_of_day", f->time_s);
    put(to, "count_time", f->exposure_s);
    put(to, "WaveLength", 1e-10 * f->wavelength_ang);
    put(to, "SampleDistance", f->distance_m);
    put(to, "PSize_1", f->pixel_fast_m);
    put(to, "PSize_2", f->pixel_slow_m);
    put(to, "Center_1", f->beam_fast_px);
    put(to, "Center_2", f->beam_slow_px);
    put(to, "Temperature_K", f->temperature_k);
    put(to, "Monitor", f->monitor);
    put(to, "Saturation", f->saturation);
    for (int line = 0; f->n_values && line < 2; line++) {
        fputs(line ? "motor_pos =" : "motor_mne =", to);
        for (size_t k = 0; k < f->n_values; k++) {
            fputc(' ', to);
            bragg_frame_put_word(to, line ? bragg_number_print_digits(text, f->value[k].value, 15) : f->value[k].name);
        }
        fputs(" ;\n", to);
    }
}

static bragg_status begin(bragg_output *out, const bragg_frame *first, size_t n, void **state, bragg_error *err)
{
    *state = bragg_output_stream(out);
    return BRAGG_OK;
    (void)first, (void)n, (void)err;
}

/* A header is filled with blanks up to a multiple of 512 bytes. */
static bragg_status add(void *state, const bragg_frame *f, size_t index, bragg_error *err)
{
    FILE *to = state;
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (!memory)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a header");
    fprintf(memory, "{\nHeaderID = EH:%06zu:000000:000000 ;\nImage = %zu ;\nByteOrder = %s ;\nDataType = %s ;\nDim_1 = %zu ;\nDim_2 = %zu ;\nSize = %zu ;\n", index + 1, index + 1,
            BRAGG_LITTLE_ENDIAN ? "LowByteFirst" : "HighByteFirst", type_name(f->type), f->width, f->height, f->width * f->height * bragg_pixel_size(f->type));
    put_facts(memory, f);
    if (fclose(memory)) {
        free(text);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a header");
    }
    fprintf(to, "%s%*s}\n", text, (int)(511 - (n + 1) % 512), "");
    free(text);
    return bragg_frame_put_pixels(to, f, err);
}

static bragg_status end(void *state, bool good, bragg_error *err)
{
    return BRAGG_OK; /* the output's stream is flushed and closed by the commit */
    (void)state, (void)good, (void)err;
}

const bragg_frame_writer bragg_frame_edf_writer = { "EDF", " .edf ", EVERY_TYPE, true, begin, add, end };
