/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bruker BRML: a zip of XML; ExperimentN/RawDataN.xml holds the points as
 * <Datum> rows whose columns the <DataViews> name. */
#include "config.h"
#include "xml.h"
#include "reader.h"

#include <bragg/bytes.h>
#include <bragg/zip.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_raw_data(const bragg_zip *z)
{
    return bragg_pattern_find_text(z->name, z->name_length, "RawData") && z->name_length > 4 &&
           !memcmp(z->name + z->name_length - 4, ".xml", 4) && !bragg_pattern_find_text(z->name, z->name_length, "Container");
}

bool bragg_pattern_probe_brml(const source *src)
{
    bragg_zip z;
    if (!bragg_zip_open(src->bytes, src->size, &z))
        return false;
    while (bragg_zip_next(&z))
        if (is_raw_data(&z) || bragg_pattern_find_text(z.name, z.name_length, "experimentCollection.xml"))
            return true;
    return false;
}

/* Columns of a row of numbers; -1: not there. */
typedef struct views {
    int time, factor, angle, counts;
    bool is_counts;
} views;

/* Fixed views are one column each; the varying view is the scan axes in order;
 * the first recorded view is the detector. */
static views read_views(const xmlNode *route)
{
    views v = { -1, -1, -1, -1, true };
    for (xmlNode *d = bragg_xml_child(bragg_xml_child(route, "DataViews"), "RawDataView"); d; d = bragg_xml_again(d)) {
        double start = bragg_xml_attribute_number(d, "Start");
        int at = start >= 0 && start < 1000 ? (int)start : -1, i = 0;
        if (bragg_xml_is(d, "LogicName", "MeasuredTime"))
            v.time = at;
        if (bragg_xml_is(d, "LogicName", "AbsorptionFactor"))
            v.factor = at;
        for (xmlNode *f = bragg_xml_child(bragg_xml_child(d, "Varying"), "FieldDefinitions"); f; f = bragg_xml_again(f), i++)
            if (at >= 0 && v.angle < 0 && (bragg_xml_is(f, "AxisId", "TwoTheta") || bragg_xml_is(f, "FieldName", "TwoTheta")))
                v.angle = at + i;
        xmlNode *recording = bragg_xml_child(d, "Recording");
        if (recording && v.counts < 0) {
            v.counts = at;
            xmlNode *unit = bragg_xml_child(recording, "Unit");
            v.is_counts = !unit || bragg_xml_is(unit, "Base", "Counts");
        }
    }
    return v;
}

/* The scan axis of 2theta when the rows do not list it. */
static xmlNode *scan_axis(const xmlNode *route)
{
    xmlNode *axes = bragg_xml_child(bragg_xml_child(route, "ScanInformation"), "ScanAxes");
    for (xmlNode *a = bragg_xml_child(axes, "ScanAxisInfo"); a; a = bragg_xml_again(a))
        if (bragg_xml_is(a, "AxisId", "TwoTheta"))
            return a;
    return NULL;
}

enum { DATUM_COLUMNS = 64 };

static bragg_status read_row(const xmlNode *row, const views *v, bragg_pattern *p, size_t i, bool *absorbed,
                             bragg_error *err)
{
    double value[DATUM_COLUMNS];
    char *text = bragg_xml_text(row);
    const char *found = text ? text : "";
    int n = text ? (int)bragg_pattern_numbers_of(text, strlen(text), value, DATUM_COLUMNS) : 0;
    bragg_status st = BRAGG_OK;
    if (v->counts >= n || v->angle >= n || v->time >= n || v->factor >= n)
        st = bragg_fail(err, BRAGG_EDATA, "line %ld: expected a row with %d columns, found '%.*s'",
                        xmlGetLineNo(row), 1 + (v->counts > v->angle ? v->counts : v->angle), bragg_utf8_most(found, 40), found);
    xmlFree(text);
    if (st < 0)
        return st;
    p->y[i] = value[v->counts];
    if (v->angle >= 0)
        p->x[i] = value[v->angle] * BRAGG_DEG;
    if (v->time >= 0 && !i)
        p->counting_s = value[v->time];
    *absorbed |= v->factor >= 0 && value[v->factor] != 1;
    return BRAGG_OK;
}

static bragg_status read_rows(const xmlNode *route, const views *v, bragg_pattern *p, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    bool absorbed = false, whole = true;
    size_t i = 0;
    for (xmlNode *row = bragg_xml_child(route, "Datum"); st == BRAGG_OK && row && i < p->n; row = bragg_xml_again(row), i++) {
        st = read_row(row, v, p, i, &absorbed, err);
        whole &= p->y[i] >= 0 && p->y[i] == floor(p->y[i]);
    }
    double start = bragg_xml_number(scan_axis(route), "Start"), step = bragg_xml_number(scan_axis(route), "Increment");
    for (i = 0; st == BRAGG_OK && v->angle < 0 && i < p->n; i++)
        p->x[i] = (start + (double)i * step) * BRAGG_DEG;
    p->counts = whole && v->is_counts && !absorbed;
    return st;
}

/* Millimetres from the tube and to the detector; of tracks that are not alike none is the
 * goniometer's radius. */
static double radius_of(xmlNode *root)
{
    double from = bragg_xml_attribute_number(bragg_xml_below(bragg_xml_below(root, "PrimaryTracks"), "Radius"), "Value");
    double to = bragg_xml_attribute_number(bragg_xml_below(bragg_xml_below(root, "SecondaryTracks"), "Radius"), "Value");
    return bragg_pattern_arms_m(from, to);
}

static void read_tube(xmlNode *root, bragg_pattern *p)
{
    double one = bragg_xml_attribute_number(bragg_xml_below(root, "WaveLengthAlpha1"), "Value");
    double two = bragg_xml_attribute_number(bragg_xml_below(root, "WaveLengthAlpha2"), "Value");
    double ratio = bragg_xml_attribute_number(bragg_xml_below(root, "WaveLengthRatio"), "Value");
    char *start = bragg_xml_text(bragg_xml_child(root, "TimeStampStarted"));
    p->wavelength_ang = one > 0 ? one : NAN;
    p->wavelength2_ang = two > 0 ? two : NAN;
    p->ratio2 = ratio >= 0 ? ratio : NAN;
    p->radius_m = radius_of(root);
    p->time_s = start ? bragg_pattern_clock_iso(start) : NAN;
    xmlFree(start);
}

static void read_name(xmlNode *root, bragg_pattern *p)
{
    for (xmlNode *item = bragg_xml_below(root, "InfoItem"); item; item = bragg_xml_again(item))
        if (bragg_xml_is(item, "Name", "SampleName")) {
            char *name = bragg_xml_attribute(item, "Value");
            bragg_pattern_title(p, name ? name : "", name ? strlen(name) : 0);
            xmlFree(name);
        }
}

static bragg_status read_route(xmlNode *root, const xmlNode *route, pattern_list *list, bragg_error *err)
{
    views v = read_views(route);
    size_t n = 0;
    bragg_pattern *p;
    for (xmlNode *row = bragg_xml_child(route, "Datum"); row; row = bragg_xml_again(row))
        n++;
    if (!n || (v.angle < 0 && !scan_axis(route)))
        return BRAGG_OK;
    if (v.counts < 0)
        return bragg_fail(err, BRAGG_EDATA, "line %ld: expected a view of recorded data", xmlGetLineNo(route));
    bragg_status st = bragg_pattern_make((double)n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    st = read_rows(route, &v, p, err);
    if (st < 0) {
        bragg_pattern_free(p);
        return st;
    }
    read_tube(root, p);
    read_name(root, p);
    return bragg_pattern_list_take(list, p, err);
}

/* Routes are the data as measured and what was made of them; the measured ones
 * count where there are any. */
static bragg_status read_raw_data(xmlNode *root, pattern_list *list, bragg_error *err)
{
    xmlNode *routes = bragg_xml_child(root, "DataRoutes");
    bool measured = false;
    bragg_status st = BRAGG_OK;
    for (xmlNode *r = bragg_xml_child(routes, "DataRoute"); r; r = bragg_xml_again(r))
        measured |= bragg_xml_is(r, "RouteFlag", "Measured");
    for (xmlNode *r = bragg_xml_child(routes, "DataRoute"); st == BRAGG_OK && r; r = bragg_xml_again(r))
        if (!measured || bragg_xml_is(r, "RouteFlag", "Measured"))
            st = read_route(root, r, list, err);
    return st;
}

static bragg_status read_member(const bragg_zip *z, pattern_list *list, bragg_error *err)
{
    unsigned char *bytes;
    size_t size;
    xmlDoc *doc = NULL;
    bragg_status st = bragg_zip_extract(z, &bytes, &size, err);
    if (st == BRAGG_OK)
        st = bragg_xml_parse(bytes, size, &doc, err);
    if (st == BRAGG_OK)
        st = read_raw_data(xmlDocGetRootElement(doc), list, err);
    xmlFreeDoc(doc);
    free(bytes);
    return st < 0 ? bragg_context(err, st, "'%.*s'", z->name_length > 80 ? 80 : (int)z->name_length, z->name) : st;
}

/* RawData10.xml comes after RawData9.xml: shorter names first, then by letters. */
static int by_name(const void *a, const void *b)
{
    const bragg_zip *p = a, *q = b;
    if (p->name_length != q->name_length)
        return p->name_length < q->name_length ? -1 : 1;
    return memcmp(p->name, q->name, p->name_length);
}

bragg_status bragg_pattern_read_brml(const source *src, pattern_list *list, bragg_error *err)
{
    bragg_zip z;
    size_t n = 0;
    bragg_zip_open(src->bytes, src->size, &z);
    bragg_zip *members = calloc(z.left + 1, sizeof *members);
    bragg_status st = members ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu members", z.left);
    while (members && bragg_zip_next(&z))
        if (is_raw_data(&z))
            members[n++] = z;
    if (members)
        qsort(members, n, sizeof *members, by_name);
    for (size_t i = 0; st == BRAGG_OK && i < n; i++)
        st = read_member(&members[i], list, err);
    free(members);
    if (st == BRAGG_OK && !list->n)
        st = bragg_fail(err, BRAGG_EDATA, "none of its %zu scans lists counts against 2theta", n);
    return st;
}
