/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spreadsheets (.xlsx, ECMA-376) of Arbin, Neware, LAND …: the sheet with the
 * records becomes text with tabs, which the text reader knows. */
#include "config.h"
#include "private.h"

#include <bragg/array.h>
#include <bragg/zip.h>

#include <libxml/xmlreader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_CELL_COLUMNS = 1000, MAX_SHEETS = 256 };

/* A buffer that grows. */
typedef struct buffer {
    char *text;
    size_t n, room;
    bool failed;
} buffer;

static void put(buffer *b, const char *text, size_t n)
{
    if (b->n + n + 1 > b->room) {
        size_t room = 2 * (b->n + n) + 1024;
        char *more = b->failed ? NULL : realloc(b->text, room);
        if (!more) {
            b->failed = true;
            return;
        }
        b->text = more;
        b->room = room;
    }
    memcpy(b->text + b->n, text, n);
    b->n += n;
    b->text[b->n] = '\0';
}

typedef struct strings {
    char **at;
    size_t n, room;
} strings;

static bool add_string(strings *s, const char *text)
{
    return bragg_array_grow(&s->at, &s->room, s->n + 1, sizeof *s->at, NULL) == BRAGG_OK && (s->at[s->n] = strdup(text)) && ++s->n;
}

static void free_strings(strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->at[i]);
    free(s->at);
}

static void be_quiet(void *payload, const char *message, xmlParserSeverities severity, xmlTextReaderLocatorPtr where)
{
    (void)payload;
    (void)message;
    (void)severity;
    (void)where;
}

/* No network, no entities of its own, no recovery. */
static xmlTextReaderPtr open_xml(const unsigned char *bytes, size_t n)
{
    xmlTextReaderPtr reader = n < 0x7fffffff
        ? xmlReaderForMemory((const char *)bytes, (int)n, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
        : NULL;
    if (reader)
        xmlTextReaderSetErrorHandler(reader, be_quiet, NULL);
    return reader;
}

static bool is(xmlTextReaderPtr reader, const char *name)
{
    const xmlChar *local = xmlTextReaderConstLocalName(reader);
    return local && !strcmp((const char *)local, name);
}

static bool starts_element(xmlTextReaderPtr reader, const char *name)
{
    return xmlTextReaderNodeType(reader) == XML_READER_TYPE_ELEMENT && is(reader, name);
}

static bool ends_element(xmlTextReaderPtr reader, const char *name)
{
    return xmlTextReaderNodeType(reader) == XML_READER_TYPE_END_ELEMENT && is(reader, name);
}

static bool is_text(xmlTextReaderPtr reader)
{
    int type = xmlTextReaderNodeType(reader);
    return type == XML_READER_TYPE_TEXT || type == XML_READER_TYPE_CDATA || type == XML_READER_TYPE_SIGNIFICANT_WHITESPACE;
}

static void attribute(xmlTextReaderPtr reader, const char *name, char *value, size_t room)
{
    xmlChar *text = xmlTextReaderGetAttribute(reader, (const xmlChar *)name);
    snprintf(value, room, "%s", text ? (const char *)text : "");
    xmlFree(text);
}

/* Shared strings: each <si> is one, its runs <t> joined. */
static bragg_status read_strings(const log_source *source, strings *s, bragg_error *err)
{
    unsigned char *bytes;
    size_t n;
    bragg_zip z;
    if (!bragg_zip_find(source->bytes, source->length, "xl/sharedStrings.xml", &z))
        return BRAGG_OK; /* all text may stand in the cells */
    bragg_status st = bragg_zip_extract(&z, &bytes, &n, err);
    if (st < 0)
        return st;
    xmlTextReaderPtr reader = open_xml(bytes, n);
    buffer text = { 0 };
    int more = reader ? 1 : -1;
    bool ok = true;
    while (ok && more == 1 && (more = xmlTextReaderRead(reader)) == 1) {
        if (starts_element(reader, "si")) {
            text.n = 0;
            put(&text, "", 0);
            if (xmlTextReaderIsEmptyElement(reader))
                ok = add_string(s, "");
        } else if (is_text(reader)) {
            const char *value = (const char *)xmlTextReaderConstValue(reader);
            put(&text, value, strlen(value));
        } else if (ends_element(reader, "si")) {
            ok = !text.failed && add_string(s, text.text);
        }
    }
    xmlFreeTextReader(reader);
    free(text.text);
    free(bytes);
    if (!ok)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for shared strings");
    return more < 0 ? bragg_fail(err, BRAGG_EDATA, "shared strings: damaged XML") : BRAGG_OK;
}

/* "AB12" is column 28 from 1; 0 when it is no reference. */
static size_t column_of(const char *reference)
{
    size_t column = 0;
    for (; *reference >= 'A' && *reference <= 'Z' && column < MAX_CELL_COLUMNS; reference++)
        column = 26 * column + (size_t)(*reference - 'A' + 1);
    return column;
}

/* A cell as it stands in text: no tabs or line ends inside. */
static void put_cell(buffer *out, const char *text)
{
    for (; *text; text++)
        put(out, strchr("\t\r\n\"", *text) ? " " : text, 1);
}

typedef struct cell_state {
    size_t column, written;
    char type[16];
    bool inside;                /* a value: <v> or <t> */
} cell_state;

static void start_cell(xmlTextReaderPtr reader, cell_state *c, buffer *value)
{
    char reference[16];
    attribute(reader, "r", reference, sizeof reference);
    attribute(reader, "t", c->type, sizeof c->type);
    c->column = column_of(reference) ? column_of(reference) : c->column + 1;
    value->n = 0;
    put(value, "", 0);
}

static void end_cell(cell_state *c, const buffer *value, const strings *shared, buffer *out)
{
    if (!c->column || c->column > MAX_CELL_COLUMNS || c->column <= c->written || value->failed)
        return;
    for (size_t k = c->written ? c->written : 1; k < c->column; k++)
        put(out, "\t", 1);
    c->written = c->column;
    if (!strcmp(c->type, "s")) {
        size_t i = (size_t)strtoul(value->text, NULL, 10);
        put_cell(out, i < shared->n ? shared->at[i] : "");
    } else if (strcmp(c->type, "e")) {
        put_cell(out, value->text);
    }
}

/* Rows of a sheet as lines with tabs. */
static bragg_status read_sheet(const unsigned char *bytes, size_t n, const strings *shared, buffer *out, bragg_error *err)
{
    xmlTextReaderPtr reader = open_xml(bytes, n);
    buffer value = { 0 };
    cell_state c = { 0 };
    int more = reader ? 1 : -1;
    while (more == 1 && (more = xmlTextReaderRead(reader)) == 1) {
        if (starts_element(reader, "row"))
            c = (cell_state){ 0 };
        else if (starts_element(reader, "c"))
            start_cell(reader, &c, &value);
        else if (starts_element(reader, "v") || starts_element(reader, "t"))
            c.inside = !xmlTextReaderIsEmptyElement(reader);
        else if (ends_element(reader, "v") || ends_element(reader, "t"))
            c.inside = false;
        else if (c.inside && is_text(reader)) {
            const char *text = (const char *)xmlTextReaderConstValue(reader);
            put(&value, text, strlen(text));
        } else if (ends_element(reader, "c"))
            end_cell(&c, &value, shared, out);
        else if (ends_element(reader, "row"))
            put(out, "\n", 1);
    }
    xmlFreeTextReader(reader);
    free(value.text);
    if (out->failed || value.failed)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a sheet");
    return more < 0 ? bragg_fail(err, BRAGG_EDATA, "damaged XML after %zu bytes of cells", out->n) : BRAGG_OK;
}

/* A sheet of the archive, in text. */
typedef struct sheet {
    char name[128];
    buffer text;
} sheet;

static size_t count_lines(const buffer *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->text[i] == '\n';
    return n;
}

static bragg_status read_sheets(const log_source *source, sheet *sheets, size_t *n, bragg_error *err)
{
    strings shared = { 0 };
    char name[128];
    bragg_zip z;
    *n = 0;
    if (!bragg_zip_open(source->bytes, source->length, &z))
        return bragg_fail(err, BRAGG_EDATA, "the zip archive has no directory: it is cut off or still being written");
    bragg_status st = read_strings(source, &shared, err);
    while (st == BRAGG_OK && *n < MAX_SHEETS && bragg_zip_next(&z)) {
        unsigned char *bytes;
        size_t length;
        snprintf(name, sizeof name, "%.*s", (int)z.name_length, z.name);
        if (strncmp(name, "xl/worksheets/", 14) || strchr(name + 14, '/') || !strstr(name, ".xml"))
            continue;
        sheet *s = &sheets[(*n)++];
        *s = (sheet){ { 0 }, { 0 } };
        memcpy(s->name, name, sizeof name);
        st = bragg_zip_extract(&z, &bytes, &length, err);
        if (st == BRAGG_OK)
            st = read_sheet(bytes, length, &shared, &s->text, err);
        free(bytes);
        if (st < 0)
            bragg_context(err, st, "sheet '%s'", name);
    }
    free_strings(&shared);
    if (st == BRAGG_OK && !*n)
        return bragg_fail(err, BRAGG_EDATA, "a zip archive without sheets: neither .xlsx nor .ndax");
    return st;
}

static size_t header_bytes(const buffer *b)
{
    return b->text ? strcspn(b->text, "\n") + 1 : 0;
}

/* The longest sheet, and those that go on under the same header (Arbin starts
 * a new sheet every 65,000 rows), in the archive's order. */
static bragg_status join_sheets(sheet *sheets, size_t n, buffer *all, bragg_error *err)
{
    size_t longest = 0;
    for (size_t i = 1; i < n; i++)
        if (count_lines(&sheets[i].text) > count_lines(&sheets[longest].text))
            longest = i;
    const buffer *model = &sheets[longest].text;
    size_t header = header_bytes(model);
    if (!model->text || header > model->n)
        return bragg_fail(err, BRAGG_EDATA, "expected a sheet with records, found empty sheets");
    put(all, model->text, header);
    for (size_t i = 0; i < n; i++) {
        const buffer *b = &sheets[i].text;
        if (b->text && b->n >= header && !memcmp(b->text, model->text, header))
            put(all, b->text + header, b->n - header);
    }
    return all->failed ? bragg_fail(err, BRAGG_ENOMEM, "no room for the sheets") : BRAGG_OK;
}

bragg_status bragg_log_xlsx(const log_source *source, bragg_log_table **out, bragg_error *err)
{
    size_t n = 0;
    buffer all = { 0 };
    sheet *sheets = calloc(MAX_SHEETS, sizeof *sheets);
    bragg_status st = sheets ? read_sheets(source, sheets, &n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for sheets");
    if (st == BRAGG_OK)
        st = join_sheets(sheets, n, &all, err);
    if (st == BRAGG_OK) {
        log_source text = { (const unsigned char *)all.text, all.n, source->options };
        st = bragg_log_text(&text, out, err);
        free(st == BRAGG_OK ? (*out)->format : NULL);
        if (st == BRAGG_OK && !((*out)->format = strdup("xlsx"))) {
            bragg_log_free(*out);
            *out = NULL;
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a name");
        }
    }
    for (size_t i = 0; i < n; i++)
        free(sheets[i].text.text);
    free(sheets);
    free(all.text);
    return st;
}
