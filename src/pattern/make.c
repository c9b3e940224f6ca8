/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every reader makes of what it has read: points, lists, titles. */
#include "config.h"
#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

unsigned char *put_utf8(unsigned char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (unsigned char)c;
    } else if (c < 0x800) {
        *to++ = (unsigned char)(0xc0 | c >> 6);
        *to++ = (unsigned char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (unsigned char)(0xe0 | c >> 12);
        *to++ = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (unsigned char)(0x80 | (c & 0x3f));
    }
    return to;
}

bragg_status pattern_make(double n, bragg_axis axis, bragg_pattern **out, bragg_error *err)
{
    *out = NULL;
    if (!(n >= 1 && n <= MAX_POINTS))
        return bragg_fail(err, BRAGG_EDATA, "expected 1 to %d points, found %.10g", MAX_POINTS, n);
    *out = bragg_pattern_new((size_t)n, axis);
    if (!*out)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %.0f points", n);
    for (size_t i = 0; i < (*out)->n; i++)
        (*out)->sigma[i] = NAN;
    return BRAGG_OK;
}

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

void pattern_upwards(bragg_pattern *p)
{
    if (p->n < 2 || !(p->x[0] > p->x[p->n - 1]))
        return;
    for (size_t i = 0, j = p->n - 1; i < j; i++, j--) {
        swap(&p->x[i], &p->x[j]);
        swap(&p->y[i], &p->y[j]);
        swap(&p->sigma[i], &p->sigma[j]);
    }
}

bragg_status pattern_list_add(pattern_list *list, bragg_pattern *pattern, bragg_error *err)
{
    if (list->n == list->room) {
        size_t room = 2 * list->room + 4;
        bragg_pattern **at = realloc(list->at, room * sizeof *at);
        if (!at) {
            bragg_pattern_free(pattern);
            return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu patterns", room);
        }
        list->at = at;
        list->room = room;
    }
    list->at[list->n++] = pattern;
    return BRAGG_OK;
}

bragg_status pattern_list_take(pattern_list *list, bragg_pattern *pattern, bragg_error *err)
{
    bragg_status st = pattern_list_add(list, pattern, err);
    if (st < 0)
        return st;
    pattern_upwards(pattern);
    st = bragg_pattern_check(pattern, err);
    return st < 0 && list->n > 1 ? bragg_context(err, st, "pattern %zu", list->n - 1) : st;
}

/* True when the bytes are well-formed UTF-8 without control characters. */
static bool utf8(const unsigned char *p, const unsigned char *end)
{
    while (p < end) {
        int more = *p < 0x80 ? 0 : (*p & 0xe0) == 0xc0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : (*p & 0xf8) == 0xf0 ? 3 : -1;
        if (more < 0 || end - p <= more)
            return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

void pattern_title(bragg_pattern *pattern, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + strnlen(text, length);
    while (p < end && *p <= ' ')
        p++;
    while (end > p && end[-1] <= ' ')
        end--;
    if (p == end)
        return;
    unsigned char *title = malloc(2 * (size_t)(end - p) + 1), *to = title;
    if (!title)
        return;
    bool is_utf8 = utf8(p, end);
    for (; p < end; p++)
        if (*p < ' ' || *p == 0x7f)
            *to++ = ' ';
        else if (is_utf8)
            *to++ = *p;
        else
            to = put_utf8(to, *p);
    *to = '\0';
    free(pattern->title);
    pattern->title = (char *)title;
}
