/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which kind of log a file is. */
#include "config.h"
#include "private.h"

#include <bragg/bytes.h>
#include <bragg/zip.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef bragg_status reader(const log_source *source, bragg_log_table **out, bragg_error *err);

static const struct { const char *name; reader *read; } formats[] = {
    { "mpt", bragg_log_mpt }, { "mpr", bragg_log_mpr }, { "nda", bragg_log_nda },
    { "ndax", bragg_log_ndax }, { "xlsx", bragg_log_xlsx }, { "csv", bragg_log_text },
    { "text", bragg_log_text },
};

static bool starts(const log_source *s, const char *magic)
{
    size_t n = strlen(magic);
    return s->length >= n && !memcmp(s->bytes, magic, n);
}

static bool zip_has(const log_source *s, const char *member)
{
    bragg_zip z;
    return bragg_zip_find(s->bytes, s->length, member, &z);
}

static bragg_status choose(const log_source *s, reader **read, bragg_error *err)
{
    if (s->options->format) {
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
            if (!strcasecmp(formats[i].name, s->options->format)) {
                *read = formats[i].read;
                return BRAGG_OK;
            }
        return bragg_fail(err, BRAGG_EINVAL, "log format '%s': expected mpt, mpr, nda, ndax, xlsx or csv", s->options->format);
    }
    if (starts(s, "EC-Lab ASCII FILE") || starts(s, "BT-Lab ASCII FILE"))
        *read = bragg_log_mpt;
    else if (starts(s, "BIO-LOGIC MODULAR FILE"))
        *read = bragg_log_mpr;
    else if (starts(s, "NEWARE"))
        *read = bragg_log_nda;
    else if (starts(s, "PK\3\4"))
        *read = zip_has(s, "data.ndc") ? bragg_log_ndax : bragg_log_xlsx;
    else if (starts(s, "\xD0\xCF\x11\xE0"))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "an Excel file of before 2007 (.xls); save it as .xlsx or .csv");
    else if (starts(s, "ARROW1"))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "an Arrow/Feather table; export it as .csv");
    else if (starts(s, "\x89HDF"))
        return bragg_fail(err, BRAGG_ENOSUPPORT, "an HDF5 file, which is no log of a cycler");
    else
        *read = bragg_log_text;
    return BRAGG_OK;
}

bragg_status bragg_log_parse(const void *bytes, size_t length, const char *name, const bragg_log_options *options,
                             bragg_log_table **out, bragg_error *err)
{
    static const bragg_log_options defaults = BRAGG_LOG_OPTIONS_INIT;
    log_source source = { bytes, length, options ? options : &defaults };
    reader *read = NULL;
    *out = NULL;
    bragg_status st = length ? choose(&source, &read, err) : bragg_fail(err, BRAGG_EDATA, "the file is empty");
    if (st == BRAGG_OK)
        st = read(&source, out, err);
    if (st < 0)
        return bragg_context(err, st, "'%s'", name);
    for (size_t i = 0; i < (*out)->n_notes; i++)
        bragg_log(source.options->observer, BRAGG_LOG_WARNING, "'%s': %s", name, (*out)->notes[i].text);
    return st;
}

static const size_t most_log = UINT32_MAX;

bragg_status bragg_log_read(const char *path, const bragg_log_options *options, bragg_log_table **out,
                            bragg_error *err)
{
    struct stat info;
    unsigned char *bytes;
    size_t n = 0;
    *out = NULL;
    if (!stat(path, &info) && S_ISDIR(info.st_mode))
        return bragg_log_read_metadata(path, NULL, options, out, err);
    bragg_status st = bragg_bytes_of_file(path, most_log, &bytes, &n, err);
    if (st == BRAGG_OK)
        st = bragg_log_parse(bytes, n, path, options, out, err);
    free(bytes);
    return st;
}
