/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every reader makes of what it has read: points, lists, titles. */
#include "config.h"
#include "reader.h"

#include <bragg/array.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bragg_status bragg_pattern_make(double n, bragg_axis axis, bragg_pattern **out, bragg_error *err)
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

void bragg_pattern_upwards(bragg_pattern *p)
{
    if (p->n < 2 || !(p->x[0] > p->x[p->n - 1]))
        return;
    for (size_t i = 0, j = p->n - 1; i < j; i++, j--) {
        swap(&p->x[i], &p->x[j]);
        swap(&p->y[i], &p->y[j]);
        swap(&p->sigma[i], &p->sigma[j]);
    }
}

bragg_status bragg_pattern_list_add(pattern_list *list, bragg_pattern *pattern, bragg_error *err)
{
    bragg_status st = bragg_array_grow(&list->at, &list->room, list->n + 1, sizeof *list->at, err);
    if (st < 0)
        bragg_pattern_free(pattern);
    else
        list->at[list->n++] = pattern;
    return st;
}

bragg_status bragg_pattern_list_take(pattern_list *list, bragg_pattern *pattern, bragg_error *err)
{
    bragg_status st = bragg_pattern_list_add(list, pattern, err);
    if (st < 0)
        return st;
    bragg_pattern_upwards(pattern);
    st = bragg_pattern_check(pattern, err);
    return st < 0 && list->n > 1 ? bragg_context(err, st, "pattern %zu", list->n - 1) : st;
}

void bragg_pattern_title(bragg_pattern *pattern, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + strnlen(text, length);
    while (p < end && *p <= ' ')
        p++;
    while (end > p && end[-1] <= ' ')
        end--;
    if (p == end)
        return;
    char *title = malloc(2 * (size_t)(end - p) + 1), *to = title;
    if (!title)
        return;
    bool is_utf8 = bragg_utf8_whole(p, (size_t)(end - p)) == (size_t)(end - p);
    for (; p < end; p++)
        if (*p < ' ' || *p == 0x7f)
            *to++ = ' ';
        else if (is_utf8)
            *to++ = (char)*p;
        else
            to += bragg_utf8_put(to, *p);
    *to = '\0';
    free(pattern->title);
    pattern->title = title;
}
