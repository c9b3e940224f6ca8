/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Formats left to xylib (M. Wojdyr): Philips RD binaries.  Its C interface gives the first
 * block and no more, which is all these have. */
#include "config.h"
#include "reader.h"

#include <string.h>

bool bragg_pattern_probe_xylib(const source *src)
{
    return src->size > 4 && (!memcmp(src->bytes, "V3RD", 4) || !memcmp(src->bytes, "V5RD", 4));
}

#ifdef HAVE_XYLIB
#include <xylib/xylib.h>

static bragg_status take(void *set, pattern_list *list, bragg_error *err)
{
    void *block = xylib_get_block(set, 0);
    int n = block && xylib_count_columns(block) >= 2 ? xylib_count_rows(block, 2) : 0;
    bragg_pattern *p;
    bragg_status st = bragg_pattern_make(n, BRAGG_AXIS_TTH, &p, err);
    if (st < 0)
        return st;
    for (int i = 0; i < n; i++) {
        p->x[i] = xylib_get_data(block, 1, i) * BRAGG_DEG;
        p->y[i] = xylib_get_data(block, 2, i);
    }
    return bragg_pattern_list_take(list, p, err);
}

bragg_status bragg_pattern_read_xylib(const source *src, pattern_list *list, bragg_error *err)
{
    void *set = xylib_load_file(src->path, "philips_rd", NULL);
    if (!set)
        return bragg_fail(err, BRAGG_EDATA, "expected a Philips RD file, xylib refuses it");
    bragg_status st = take(set, list, err);
    xylib_free_dataset(set);
    return st;
}

#else

bragg_status bragg_pattern_read_xylib(const source *src, pattern_list *list, bragg_error *err)
{
    (void)src;
    (void)list;
    return bragg_fail(err, BRAGG_ENOSUPPORT, "a Philips RD file: this build has no xylib");
}

#endif
