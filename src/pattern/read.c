/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One door for all pattern files: load the bytes, find the reader, run it. */
#include "config.h"
#include "reader.h"

#include <bragg/bytes.h>
#include <bragg/zip.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool probe_any(const source *src)
{
    (void)src;
    return true;
}

static bragg_status read_columns(const source *src, pattern_list *list, bragg_error *err)
{
    bragg_pattern *p;
    bragg_status st = bragg_pattern_columns_read(src, &p, err);
    return st < 0 ? st : bragg_pattern_list_take(list, p, err);
}

static bool probe_archive(const source *src)
{
    bragg_zip z;
    return bragg_zip_open(src->bytes, src->size, &z);
}

static bragg_status read_archive(const source *src, pattern_list *list, bragg_error *err);

static bool probe_nxazint(const source *src) { return src->size > 8 && !memcmp(src->bytes, "\x89HDF\r\n\x1a\n", 8); }
static bragg_status read_nxazint(const source *src, pattern_list *list, bragg_error *err) { return bragg_pattern_nxazint_read(src->path, list, err); }

/* The first whose probe says yes reads; columns of text take what is left. */
static const pattern_reader readers[] = {
    { "nxazint", "integrated frames in HDF5 (NXazint1d, NXazint2d), FILE:/path[frame] for one", probe_nxazint, read_nxazint, true },
    { "gsas", "GSAS histogram: constant-wavelength banks STD, ESD, FXY, FXYE", bragg_pattern_probe_gsas, bragg_pattern_read_gsas, false },
    { "xrdml", "PANalytical XRDML, schema 1 and 2, all scans", bragg_pattern_probe_xrdml, bragg_pattern_read_xrdml, false },
    { "brml", "Bruker BRML, all scans", bragg_pattern_probe_brml, bragg_pattern_read_brml, false },
    { "ras", "Rigaku RAS, all scans", bragg_pattern_probe_ras, bragg_pattern_read_ras, false },
    { "rasx", "Rigaku RASX, all profiles", bragg_pattern_probe_rasx, bragg_pattern_read_rasx, false },
    { "bruker", "Siemens and Bruker RAW, versions 1 to 4, all ranges", bragg_pattern_probe_bruker, bragg_pattern_read_bruker, false },
    { "stoe", "STOE WinXPOW raw data", bragg_pattern_probe_stoe, bragg_pattern_read_stoe, false },
    { "uxd", "Bruker UXD, all ranges", bragg_pattern_probe_uxd, bragg_pattern_read_uxd, false },
    { "udf", "Philips UDF", bragg_pattern_probe_udf, bragg_pattern_read_udf, false },
    { "xylib", "Philips RD, by xylib", bragg_pattern_probe_xylib, bragg_pattern_read_xylib, true },
    { "rigaku_text", "Rigaku text of older programs (.dat, .asc), all scans", bragg_pattern_probe_rigaku_text, bragg_pattern_read_rigaku_text, false },
    { "rigaku_binary", "Rigaku binary: refused with advice", bragg_pattern_probe_rigaku_binary, bragg_pattern_read_rigaku_binary, false },
    { "pdcif", "powder CIF, all data blocks", bragg_pattern_probe_pdcif, bragg_pattern_read_pdcif, false },
    { "steps", "start, step, end and intensities: D1A5, PSI, FullProf free format", bragg_pattern_probe_steps, bragg_pattern_read_steps, false },
    { "zip", "zip archive of pattern files, in its order", probe_archive, read_archive, false },
    { "columns", "columns of text: .xy .xye .dat .csv .prn .chi and their headers", probe_any, read_columns, false },
};
enum { N_READERS = sizeof readers / sizeof *readers, MAX_FILE = 1 << 30 };

bool bragg_pattern_reader(size_t i, const char **name, const char **description)
{
    if (i >= N_READERS)
        return false;
    *name = readers[i].name;
    *description = readers[i].description;
    return true;
}

/* Windows programs write UTF-16 with a byte order mark; readers see UTF-8.
 * Beyond the basic plane nothing matters to numbers: surrogates become '?'. */
static bragg_status from_utf16(unsigned char **bytes, size_t *size, bragg_error *err)
{
    bool big = (*bytes)[0] == 0xfe;
    char *text = malloc(*size / 2 * 3 + 1), *to = text;
    if (!text)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bytes", *size / 2 * 3);
    for (size_t i = 2; i + 1 < *size; i += 2) {
        uint32_t c =
            big ? (uint32_t)(*bytes)[i] << 8 | (*bytes)[i + 1] : (uint32_t)(*bytes)[i + 1] << 8 | (*bytes)[i];
        to += bragg_utf8_put(to, c >= 0xd800 && c < 0xe000 ? '?' : c);
    }
    *to = '\0';
    free(*bytes);
    *bytes = (unsigned char *)text;
    *size = (size_t)(to - text);
    return BRAGG_OK;
}

static bragg_status load(const char *path, unsigned char **bytes, size_t *size, bragg_error *err)
{
    bragg_status st = bragg_bytes_of_file(path, MAX_FILE, bytes, size, err);
    if (st < 0)
        return st;
    const unsigned char *b = *bytes;
    if (*size >= 2 && ((b[0] == 0xff && b[1] == 0xfe) || (b[0] == 0xfe && b[1] == 0xff)))
        return from_utf16(bytes, size, err);
    if (*size >= 3 && !memcmp(b, "\xef\xbb\xbf", 3)) {
        *size -= 3;
        memmove(*bytes, *bytes + 3, *size + 1);
    }
    return BRAGG_OK;
}

static void extension_of(const char *path, char extension[16])
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    extension[0] = '\0';
    if (!dot || (slash && dot < slash) || strlen(dot + 1) > 15)
        return;
    for (size_t i = 0; (extension[i] = dot[1 + i]); i++)
        if (extension[i] >= 'A' && extension[i] <= 'Z')
            extension[i] += 'a' - 'A';
}

static const pattern_reader *reader_for(const source *src)
{
    for (size_t i = 0; i < N_READERS; i++)
        if (readers[i].probe(src))
            return &readers[i];
    return &readers[N_READERS - 1];
}

/* Extensions of files that are patterns when no content says so. */
static bool text_pattern(const char *extension)
{
    static const char *const known[] = { "xy", "xye", "dat", "csv", "prn", "chi", "txt", "asc" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(extension, known[i]))
            return true;
    return false;
}

/* A member that is no pattern (instrument parameters, a structure, pictures)
 * is passed over; one that is and cannot be read fails the archive. */
static bragg_status read_archived(const bragg_zip *z, pattern_list *list, bragg_error *err)
{
    char name[256], extension[16];
    unsigned char *bytes;
    size_t size;
    snprintf(name, sizeof name, "%.*s", z->name_length > 255 ? 255 : (int)z->name_length, z->name);
    extension_of(name, extension);
    if (!z->unpacked || !strcmp(extension, "zip"))
        return BRAGG_OK;
    bragg_status st = bragg_zip_extract(z, &bytes, &size, err);
    if (st < 0)
        return st;
    source member = { bytes, size, name, extension, false };
    const pattern_reader *reader = reader_for(&member);
    const char *text = (const char *)bytes;
    bool structure = !strcmp(reader->name, "pdcif") && !bragg_pattern_find_text(text, size, "_pd_meas_") &&
                     !bragg_pattern_find_text(text, size, "_pd_proc_intensity");
    if (reader->by_path)
        st = bragg_fail(err, BRAGG_ENOSUPPORT, "%s within an archive is not read: unpack it", reader->name);
    else if (reader->read != read_archive && !structure && (reader->read != read_columns || text_pattern(extension)))
        st = reader->read(&member, list, err);
    free(bytes);
    return st < 0 ? bragg_context(err, st, "'%s'", name) : st;
}

static bragg_status read_archive(const source *src, pattern_list *list, bragg_error *err)
{
    bragg_zip z;
    bragg_status st = BRAGG_OK;
    bragg_zip_open(src->bytes, src->size, &z);
    while (st == BRAGG_OK && bragg_zip_next(&z))
        st = read_archived(&z, list, err);
    return st;
}

static void list_free(pattern_list *list)
{
    bragg_patterns_free(list->at, list->n);
    *list = (pattern_list){ 0 };
}

/* All patterns of a file, and the reader; list is empty after a failure. */
static bragg_status read_list(const char *path, bool unit_known, pattern_list *list, const pattern_reader **reader, bragg_error *err)
{
    unsigned char *bytes;
    size_t size;
    char extension[16];
    *list = (pattern_list){ 0 };
    extension_of(path, extension);
    if (bragg_pattern_nxazint_is(path)) { /* may be longer than memory */
        *reader = &readers[0];
        bragg_status read = bragg_pattern_nxazint_read(path, list, err);
        if (read == BRAGG_OK && !list->n)
            read = bragg_fail(err, BRAGG_EDATA, "'%s': no frame in it yet", path);
        if (read < 0)
            list_free(list);
        return read;
    }
    bragg_status st = load(path, &bytes, &size, err);
    if (st == BRAGG_OK) {
        source src = { bytes, size, path, extension, unit_known };
        *reader = reader_for(&src);
        st = size ? (*reader)->read(&src, list, err) : bragg_fail(err, BRAGG_EDATA, "the file is empty");
        if (st == BRAGG_OK && !list->n)
            st = bragg_fail(err, BRAGG_EDATA, "no powder pattern in it");
        if (st < 0)
            bragg_context(err, st, "'%s'", path);
    }
    free(bytes);
    if (st < 0)
        list_free(list);
    return st;
}

bragg_status bragg_pattern_read_all(const char *path, bragg_pattern ***out, size_t *n, bragg_error *err)
{
    pattern_list list;
    const pattern_reader *reader;
    *out = NULL;
    *n = 0;
    bragg_status st = read_list(path, false, &list, &reader, err);
    if (st < 0)
        return st;
    *out = list.at;
    *n = list.n;
    return st;
}

void bragg_patterns_free(bragg_pattern **patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bragg_pattern_free(patterns[i]);
    free(patterns);
}

static bragg_status read_one(const char *path, size_t index, bool unit_known, bragg_pattern **out, bragg_error *err)
{
    pattern_list list;
    const pattern_reader *reader;
    *out = NULL;
    bragg_status st = read_list(path, unit_known, &list, &reader, err);
    if (st < 0)
        return st;
    if (index < list.n && list.at[index]->n) {
        *out = list.at[index];
        list.at[index] = NULL;
    } else if (index < list.n) {
        st = bragg_fail(err, BRAGG_EDATA, "'%s': pattern %zu (counted from 0) is empty: its frame was not integrated", path, index);
    } else {
        st = bragg_fail(err, BRAGG_EINVAL, "'%s': expected a pattern below %zu, found %zu asked for (counted from 0)",
                        path, list.n, index);
    }
    list_free(&list);
    return st;
}

bragg_status bragg_pattern_read(const char *path, size_t index, bragg_pattern **out, bragg_error *err)
{
    return read_one(path, index, false, out, err);
}

bragg_status bragg_pattern_read_as(const char *path, size_t index, bragg_axis unit, bragg_pattern **out, bragg_error *err)
{
    bragg_status st = read_one(path, index, true, out, err);
    double factor = st == BRAGG_OK ? bragg_axis_factor(unit) / bragg_axis_factor((*out)->axis) : 1;
    for (size_t i = 0; st == BRAGG_OK && (*out)->axis != unit && i < (*out)->n; i++)
        (*out)->x[i] *= factor;
    if (st == BRAGG_OK)
        (*out)->axis = unit;
    return st;
}

bragg_status bragg_pattern_read_text(const char *path, bragg_pattern **out, bragg_error *err)
{
    unsigned char *bytes;
    size_t size;
    *out = NULL;
    bragg_status st = load(path, &bytes, &size, err);
    if (st < 0) {
        free(bytes);
        return st;
    }
    st = bragg_pattern_columns_read(&(source){ .bytes = bytes, .size = size, .path = path, .extension = "" }, out, err);
    if (st == BRAGG_OK) {
        bragg_pattern_upwards(*out);
        st = bragg_pattern_check(*out, err);
    }
    free(bytes);
    if (st < 0) {
        bragg_pattern_free(*out);
        *out = NULL;
        bragg_context(err, st, "'%s'", path);
    }
    return st;
}

bragg_status bragg_pattern_count(const char *path, size_t *n, bragg_error *err)
{
    pattern_list list;
    const pattern_reader *reader;
    *n = 0;
    bragg_status st = read_list(path, true, &list, &reader, err);
    *n = list.n;
    list_free(&list);
    return st;
}

bragg_status bragg_pattern_format(const char *path, const char **name, bragg_error *err)
{
    unsigned char *bytes;
    size_t size;
    char extension[16];
    extension_of(path, extension);
    if (bragg_pattern_nxazint_is(path)) {
        *name = readers[0].name;
        return BRAGG_OK;
    }
    bragg_status st = load(path, &bytes, &size, err);
    if (st == BRAGG_OK)
        *name = reader_for(&(source){ .bytes = bytes, .size = size, .path = path, .extension = extension })->name;
    free(bytes);
    return st;
}
