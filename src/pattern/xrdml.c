/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PANalytical XRDML (schema http://www.xrdml.com/XRDMeasurement, 1.0 to 2.x):
 * xrdMeasurement / scan / dataPoints, any number of measurements and scans. */
#include "config.h"
#include "xml.h"

#include <bragg/bytes.h>
#include <bragg/number.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool bragg_pattern_probe_xrdml(const source *src)
{
    size_t head = src->size < 4096 ? src->size : 4096;
    return bragg_pattern_find_text((const char *)src->bytes, head, "<xrdMeasurements") != NULL;
}

/* Blank-separated numbers of an element. */
static bragg_status number_list(const xmlNode *node, double **values, size_t *n, bragg_error *err)
{
    char *text = bragg_xml_text(node);
    size_t room = text ? strlen(text) / 2 + 1 : 1;
    const char *p = text ? text : "";
    *n = 0;
    *values = malloc(room * sizeof **values);
    bragg_status st = text && *values ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu numbers", room);
    while (st == BRAGG_OK && *(p += strspn(p, " \t\r\n"))) {
        const char *end;
        if (!bragg_number_scan(p, &end, *values + *n) || (*end && !strchr(" \t\r\n", *end)))
            st = bragg_fail(err, BRAGG_EDATA, "line %ld: expected numbers, found '%.*s'", xmlGetLineNo(node), bragg_utf8_most(p, 20), p);
        else
            ++*n, p = end;
    }
    xmlFree(text);
    if (st < 0) {
        free(*values);
        *values = NULL;
    }
    return st;
}

/* <positions axis="2Theta">; unit deg unless it says otherwise. */
static xmlNode *positions(const xmlNode *points, const char *axis)
{
    for (xmlNode *p = bragg_xml_child(points, "positions"); p; p = bragg_xml_again(p))
        if (bragg_xml_is(p, "axis", axis))
            return p;
    return NULL;
}

static bragg_status read_positions(const xmlNode *where, bragg_pattern *p, bragg_error *err)
{
    double unit = bragg_xml_is(where, "unit", "rad") ? 1 : BRAGG_DEG;
    xmlNode *list = bragg_xml_child(where, "listPositions");
    if (list) {
        double *at;
        size_t n;
        bragg_status st = number_list(list, &at, &n, err);
        if (st == BRAGG_OK && n != p->n)
            st = bragg_fail(err, BRAGG_EDATA, "expected %zu positions, found %zu", p->n, n);
        for (size_t i = 0; st == BRAGG_OK && i < p->n; i++)
            p->x[i] = at[i] * unit;
        free(at);
        return st;
    }
    double start = bragg_xml_number(where, "startPosition"), end = bragg_xml_number(where, "endPosition");
    if (!isfinite(start) || !isfinite(end))
        return bragg_fail(err, BRAGG_EDATA, "line %ld: expected a start and an end of 2theta", xmlGetLineNo(where));
    double step = p->n > 1 ? (end - start) / (double)(p->n - 1) : 0;
    for (size_t i = 0; i < p->n; i++)
        p->x[i] = (start + (double)i * step) * unit;
    return BRAGG_OK;
}

/* Factors, one for all or one a point, on the raw counts of schema 2: "not yet
 * corrected for beam attenuator or divergence factors". */
static bragg_status scale_counts(const xmlNode *points, const char *common, const char *each, bragg_pattern *p,
                                 bragg_error *err)
{
    double factor = bragg_xml_number(points, common), *list = NULL;
    size_t n = 0;
    xmlNode *node = bragg_xml_child(points, each);
    bragg_status st = node ? number_list(node, &list, &n, err) : BRAGG_OK;
    if (st == BRAGG_OK && node && n != p->n)
        st = bragg_fail(err, BRAGG_EDATA, "%s: expected %zu factors, found %zu", each, p->n, n);
    for (size_t i = 0; st == BRAGG_OK && i < p->n; i++) {
        double f = node ? list[i] : isfinite(factor) ? factor : 1;
        if (!(f > 0))
            st = bragg_fail(err, BRAGG_EDATA, "%s: expected positive factors, found %g", each, f);
        else if (f != 1)
            p->sigma[i] = (isnan(p->sigma[i]) ? sqrt(fmax(p->y[i], 1)) : p->sigma[i]) * f, p->y[i] *= f;
    }
    free(list);
    return st;
}

/* <intensities> were multiplied by the attenuator's factors when written: their
 * doubt is that of the counts, sqrt(y f), where a factor is not 1. */
static bragg_status attenuated_sigma(const xmlNode *points, bragg_pattern *p, bragg_error *err)
{
    double *list;
    size_t n;
    xmlNode *node = bragg_xml_child(points, "beamAttenuationFactors");
    bragg_status st = node ? number_list(node, &list, &n, err) : BRAGG_OK;
    if (st < 0 || !node)
        return st;
    for (size_t i = 0; i < n && n == p->n; i++)
        if (list[i] > 1)
            p->sigma[i] = sqrt(fmax(p->y[i], list[i]) * list[i]);
    free(list);
    return n == p->n ? BRAGG_OK
                     : bragg_fail(err, BRAGG_EDATA, "beamAttenuationFactors: expected %zu, found %zu", p->n, n);
}

/* Where some points have a sigma the others need theirs: raw counts, one a point. */
static void settle_counts(bragg_pattern *p, bool counts)
{
    bool any = false;
    for (size_t i = 0; i < p->n; i++)
        any |= !isnan(p->sigma[i]);
    p->counts = counts && !any;
    for (size_t i = 0; any && i < p->n; i++)
        if (isnan(p->sigma[i]))
            p->sigma[i] = sqrt(fmax(p->y[i], 1));
}

/* Rates become what a rate is: y counts per second with sigma sqrt(y / t). */
static void rate_sigma(bragg_pattern *p)
{
    double t = p->counting_s;
    for (size_t i = 0; t > 0 && i < p->n; i++)
        p->sigma[i] = sqrt(fmax(p->y[i] * t, 1)) / t;
}

static double counting_time(const xmlNode *points)
{
    double time = bragg_xml_number(points, "commonCountingTime"), *list;
    size_t n;
    xmlNode *each = bragg_xml_child(points, "countingTimes");
    if (isfinite(time) || !each || number_list(each, &list, &n, NULL) < 0)
        return time;
    bool same = n > 0;
    for (size_t i = 1; i < n; i++)
        same &= list[i] == list[0];
    time = same ? list[0] : NAN;
    free(list);
    return time;
}

static bragg_status read_intensities(const xmlNode *points, bragg_pattern **out, bragg_error *err)
{
    xmlNode *raw = bragg_xml_child(points, "counts"), *node = raw ? raw : bragg_xml_child(points, "intensities");
    double *values;
    size_t n;
    bragg_pattern *p = NULL;
    *out = NULL;
    if (!node)
        return bragg_fail(err, BRAGG_EDATA, "line %ld: expected counts or intensities in the scan",
                          xmlGetLineNo(points));
    bragg_status st = number_list(node, &values, &n, err);
    if (st == BRAGG_OK)
        st = bragg_pattern_make((double)n, BRAGG_AXIS_TTH, &p, err);
    if (st == BRAGG_OK) {
        memcpy(p->y, values, n * sizeof *values);
        p->counting_s = counting_time(points);
        bool counts = bragg_xml_is(node, "unit", "counts");
        if (!counts)
            rate_sigma(p);
        else if (raw)
            st = scale_counts(points, "commonBeamAttenuationFactor", "beamAttenuationFactors", p, err);
        else
            st = attenuated_sigma(points, p, err);
        if (st == BRAGG_OK && raw)
            st = scale_counts(points, "commonDivergenceCorrection", "divergenceCorrections", p, err);
        settle_counts(p, counts);
    }
    free(values);
    if (st < 0)
        bragg_pattern_free(p);
    else
        *out = p;
    return st;
}

/* Kalpha1, Kalpha2 and their ratio.  "K-Alpha 1" intended means a
 * monochromator for that line only where one is in the beam, which the file
 * does not say for sure; the doublet is handed on and the model decides. */
static void read_wavelength(const xmlNode *measurement, bragg_pattern *p)
{
    xmlNode *used = bragg_xml_child(measurement, "usedWavelength");
    double one = bragg_xml_number(used, "kAlpha1"), two = bragg_xml_number(used, "kAlpha2");
    double ratio = bragg_xml_number(used, "ratioKAlpha2KAlpha1");
    if (bragg_xml_is(used, "intended", "K-Beta")) {
        one = bragg_xml_number(used, "kBeta");
        two = ratio = NAN;
    }
    p->wavelength_ang = one > 0 ? one : NAN;
    p->wavelength2_ang = two > 0 ? two : NAN;
    p->ratio2 = ratio >= 0 ? ratio : NAN;
}

/* The arms' ends, in millimetres; of arms that are not alike none is the goniometer's radius. */
static double radius_of(const xmlNode *measurement)
{
    double from = bragg_xml_number(bragg_xml_child(measurement, "incidentBeamPath"), "radius");
    double to = bragg_xml_number(bragg_xml_child(measurement, "diffractedBeamPath"), "radius");
    return bragg_pattern_arms_m(from, to);
}

/* Non-ambient scans state the temperature in kelvin or degrees Celsius. */
static void read_ambient(const xmlNode *scan, bragg_pattern *p)
{
    for (xmlNode *v = bragg_xml_child(bragg_xml_child(scan, "nonAmbientPoints"), "nonAmbientValues"); v; v = bragg_xml_again(v)) {
        if (!bragg_xml_is(v, "type", "Temperature"))
            continue;
        xmlNode *list = bragg_xml_child(v, "listValues");
        double mean = 0, *values;
        size_t n;
        if (number_list(list ? list : v, &values, &n, NULL) < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            mean += values[i] / (double)n;
        free(values);
        if (n)
            p->temperature_k = mean + (bragg_xml_is(v, "unit", "degC") || bragg_xml_is(v, "unit", "Celsius") ? 273.15 : 0);
    }
}

static void read_facts(const xmlNode *root, const xmlNode *measurement, const xmlNode *scan, bragg_pattern *p)
{
    xmlNode *sample = bragg_xml_child(root, "sample");
    char *start = bragg_xml_text(bragg_xml_child(bragg_xml_child(scan, "header"), "startTimeStamp"));
    char *name = bragg_xml_text(bragg_xml_child(sample, "name")), *id = bragg_xml_text(bragg_xml_child(sample, "id"));
    p->time_s = start ? bragg_pattern_clock_iso(start) : NAN;
    read_wavelength(measurement, p);
    p->radius_m = radius_of(measurement);
    read_ambient(scan, p);
    if (id)
        bragg_pattern_title(p, id, strlen(id));
    if (name)
        bragg_pattern_title(p, name, strlen(name));
    xmlFree(start);
    xmlFree(name);
    xmlFree(id);
}

/* A scan counts as a pattern when 2theta moves in it. */
static bool is_pattern(const xmlNode *points)
{
    xmlNode *where = positions(points, "2Theta");
    return bragg_xml_child(where, "startPosition") || bragg_xml_child(where, "listPositions");
}

static bragg_status read_scan(const xmlNode *root, const xmlNode *measurement, const xmlNode *scan,
                              pattern_list *list, bragg_error *err)
{
    xmlNode *points = bragg_xml_child(scan, "dataPoints");
    bragg_pattern *p;
    if (!points || !is_pattern(points))
        return BRAGG_OK;
    bragg_status st = read_intensities(points, &p, err);
    if (st < 0)
        return st;
    st = read_positions(positions(points, "2Theta"), p, err);
    if (st < 0) {
        bragg_pattern_free(p);
        return st;
    }
    read_facts(root, measurement, scan, p);
    return bragg_pattern_list_take(list, p, err);
}

bragg_status bragg_pattern_read_xrdml(const source *src, pattern_list *list, bragg_error *err)
{
    xmlDoc *doc;
    bragg_status st = bragg_xml_parse(src->bytes, src->size, &doc, err);
    if (st < 0)
        return st;
    const xmlNode *root = xmlDocGetRootElement(doc);
    size_t scans = 0;
    for (const xmlNode *m = bragg_xml_child(root, "xrdMeasurement"); st == BRAGG_OK && m; m = bragg_xml_again(m))
        for (const xmlNode *s = bragg_xml_child(m, "scan"); st == BRAGG_OK && s; s = bragg_xml_again(s), scans++)
            st = read_scan(root, m, s, list, err);
    if (st == BRAGG_OK && !list->n)
        st = bragg_fail(err, BRAGG_EDATA, "none of its %zu scans moves 2theta", scans);
    xmlFreeDoc(doc);
    return st;
}
