/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Formats left to xylib (M. Wojdyr): Philips RD binaries.  Its C interface gives the first
 * block and no more, which is all these have. */
#include "config.h"
#include "reader.h"

#include <math.h>
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

/* Step, start and end stand at byte 214, the intensities at byte 250 (V3) or 810 (V5), two
 * bytes each.  xylib (1.6) throws at the end of the file, and nobody frees what it had read by
 * then: what would end too soon is not given to it. */
static bragg_status check(const source *src, bragg_error *err)
{
    enum { RANGE = 214, V3 = 250, V5 = 810 };
    size_t at = src->bytes[1] == '3' ? V3 : V5;
    if (src->size < at)
        return bragg_fail(err, BRAGG_EDATA, "expected a Philips RD file with a header of %zu bytes, the file has %zu", at, src->size);
    double step = bragg_le_double(src->bytes + RANGE), start = bragg_le_double(src->bytes + RANGE + 8), end = bragg_le_double(src->bytes + RANGE + 16);
    double n = (end - start) / step + 1;
    if (!(n >= 1 && n <= MAX_POINTS))
        return bragg_fail(err, BRAGG_EDATA, "expected 1 to %d points, found steps of %g from %g to %g degrees", MAX_POINTS, step, start, end);
    if (2 * floor(n) > (double)(src->size - at))
        return bragg_fail(err, BRAGG_EDATA, "expected %.0f points of 2 bytes at byte %zu, the file has %zu bytes", floor(n), at, src->size);
    return BRAGG_OK;
}

bragg_status bragg_pattern_read_xylib(const source *src, pattern_list *list, bragg_error *err)
{
    bragg_status st = check(src, err);
    if (st < 0)
        return st;
    void *set = xylib_load_file(src->path, "philips_rd", NULL);
    if (!set)
        return bragg_fail(err, BRAGG_EDATA, "expected a Philips RD file, xylib refuses it");
    st = take(set, list, err);
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
