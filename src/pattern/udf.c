/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Philips UDF: "Key,value,/" lines, then "RawScan" and intensities with commas. */
#include "config.h"
#include "reader.h"

#include <math.h>
#include <string.h>

bool bragg_pattern_probe_udf(const source *src)
{
    const char *text = (const char *)src->bytes;
    size_t head = src->size < 4096 ? src->size : 4096;
    return src->size > 12 && !strncmp(text, "SampleIdent,", 12) && bragg_pattern_find_text(text, head, "DataAngleRange");
}

/* Up to most numbers behind "Key,". */
static size_t key(const lines *l, const char *name, double *to, size_t most)
{
    size_t n = strlen(name);
    return l->length > n && !strncmp(l->text, name, n) && l->text[n] == ','
               ? bragg_pattern_numbers_of(l->text + n + 1, l->length - n - 1, to, most) : 0;
}

typedef struct udf {
    bragg_pattern facts;
    double range[2], step;
    const char *title;
    size_t title_length;
} udf;

static void header(udf *u, const lines *l)
{
    double time;
    key(l, "DataAngleRange", u->range, 2);
    key(l, "ScanStepSize", &u->step, 1);
    key(l, "LabdaAlpha1", &u->facts.wavelength_ang, 1);
    key(l, "LabdaAlpha2", &u->facts.wavelength2_ang, 1);
    key(l, "RatioAlpha21", &u->facts.ratio2, 1);
    if (key(l, "ScanStepTime", &time, 1))
        u->facts.counting_s = time;
    const char *comma = memchr(l->text, ',', l->length);
    if (!strncmp(l->text, "SampleIdent,", l->length < 12 ? l->length : 12) && comma) {
        const char *end = memchr(comma + 1, ',', (size_t)(l->text + l->length - comma - 1));
        u->title = comma + 1;
        u->title_length = (size_t)((end ? end : l->text + l->length) - u->title);
    }
}

static bragg_status intensities(lines *l, bragg_pattern *p, bragg_error *err)
{
    size_t i = 0;
    while (i < p->n && bragg_pattern_lines_next(l)) {
        if (l->length && l->text[l->length - 1] == '/')   /* ends the list, "7700, 7600/" */
            l->length--;
        size_t n = bragg_pattern_numbers_of(l->text, l->length, p->y + i, p->n - i);
        i += n;
        if (l->length && !n)
            break;
    }
    return i == p->n
               ? BRAGG_OK
               : bragg_fail(err, BRAGG_EDATA, "line %zu: expected %zu intensities, found %zu", l->number, p->n, i);
}

bragg_status bragg_pattern_read_udf(const source *src, pattern_list *list, bragg_error *err)
{
    udf u = { .facts = bragg_pattern_no_facts(), .range = { NAN, NAN }, .step = NAN };
    lines l = bragg_pattern_lines_of(src);
    bragg_pattern *p;
    bool found = false;
    while (!found && bragg_pattern_lines_next(&l)) {
        header(&u, &l);
        found = bragg_pattern_find_text(l.text, l.length < 7 ? l.length : 7, "RawScan") != NULL;
    }
    double n = round((u.range[1] - u.range[0]) / u.step) + 1;
    if (!found || !(u.step > 0) || !(n >= 2 && n <= (double)src->size))
        return bragg_fail(err, BRAGG_EDATA, "expected DataAngleRange, ScanStepSize and RawScan of Philips UDF");
    bragg_status st = bragg_pattern_make(n, BRAGG_AXIS_TTH, &p, err);
    if (st == BRAGG_OK)
        st = intensities(&l, p, err);
    if (st < 0) {
        bragg_pattern_free(p);
        return st;
    }
    p->counts = true;
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = (u.range[0] + (double)i * u.step) * BRAGG_DEG;
        p->counts &= p->y[i] >= 0 && p->y[i] == floor(p->y[i]);
    }
    bragg_pattern_header_copy(p, &u.facts);
    bragg_pattern_title(p, u.title ? u.title : "", u.title_length);
    return bragg_pattern_list_take(list, p, err);
}
