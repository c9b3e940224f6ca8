/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Powder CIF: the _pd_ loops of CIF data blocks (B. H. Toby, International
 * Tables for Crystallography G (2005), chapter 3.3), parsed by COMCIFS cif_api. */
#include "config.h"
#include "base/cif_fault.h"
#include "reader.h"

#include <bragg/array.h>
#include <bragg/number.h>
#include <cif.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is taken of a block.  Angles and intensities in order of preference:
 * what was corrected before what was set, what was counted before what was
 * processed. */
enum {
    X_CORRECTED, X_SCAN, X_Q, X_D, X_TOF, X_LAST = X_TOF,
    Y_COUNTS, Y_MEASURED, Y_MEASURED_NET, Y_TOTAL, Y_NET, Y_LAST = Y_NET, WEIGHT,
    MEAS_MIN, MEAS_INC, MEAS_N, PROC_MIN, PROC_INC, WAVE, WAVE2, WAVE_WEIGHT, KELVIN, COUNTING, MONITOR, N_NAMES
};
static const char *const names[N_NAMES] = {
    [X_CORRECTED] = "_pd_proc_2theta_corrected", [X_SCAN] = "_pd_meas_2theta_scan",
    [X_Q] = "_pd_proc_recip_len_Q", [X_D] = "_pd_proc_d_spacing", [X_TOF] = "_pd_meas_time_of_flight",
    [Y_COUNTS] = "_pd_meas_counts_total", [Y_MEASURED] = "_pd_meas_intensity_total",
    [Y_MEASURED_NET] = "_pd_meas_intensity_net", [Y_TOTAL] = "_pd_proc_intensity_total",
    [Y_NET] = "_pd_proc_intensity_net", [WEIGHT] = "_pd_proc_ls_weight",
    [MEAS_MIN] = "_pd_meas_2theta_range_min", [MEAS_INC] = "_pd_meas_2theta_range_inc",
    [MEAS_N] = "_pd_meas_number_of_points", [PROC_MIN] = "_pd_proc_2theta_range_min",
    [PROC_INC] = "_pd_proc_2theta_range_inc", [WAVE] = "_diffrn_radiation_wavelength",
    [WAVE2] = "_pd_proc_wavelength", [WAVE_WEIGHT] = "_diffrn_radiation_wavelength_wt",
    [KELVIN] = "_diffrn_ambient_temperature", [COUNTING] = "_pd_meas_step_count_time",
    [MONITOR] = "_pd_meas_counts_monitor",
};

/* value esd, value esd, … */
typedef struct column {
    double *at;
    size_t n, room, loop;    /* where its values stand: each single item counts as a loop */
} column;

typedef struct block {
    column columns[N_NAMES];
    char title[160];
    int frames;              /* inside save frames nothing counts */
    size_t loops;            /* begun so far, single items among them */
    bool in_loop;
    bool no_memory;
    cif_fault fault;
    pattern_list *list;
    bragg_error *err;
    bragg_status status;
} block;

bool bragg_pattern_probe_pdcif(const source *src)
{
    lines l = bragg_pattern_lines_of(src);
    bool cif = !strcmp(src->extension, "cif");
    while (bragg_pattern_lines_next(&l)) {
        while (l.length && (*l.text == ' ' || *l.text == '\t'))
            l.text++, l.length--;
        if (!l.length || *l.text == '#')
            continue;
        bool data = l.length > 4 && !strncasecmp(l.text, "data_", 5) &&
                    (cif || !(memchr(l.text, ',', l.length) || memchr(l.text, ' ', l.length) ||
                              memchr(l.text, '\t', l.length)));
        return data || (cif && *l.text == '_');
    }
    return cif;
}

static int index_of(const UChar *name)
{
    char text[64];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof text; n++)
        text[n] = name[n] < 128 ? (char)name[n] : '?';
    text[n] = '\0';
    for (int i = 0; i < N_NAMES; i++)
        if (!strcasecmp(text, names[i]))
            return i;
    return strcasecmp(text, "_pd_block_id") ? -1 : N_NAMES;
}

/* ASCII text of a value; empty for '.' and '?'.  False without memory. */
static bool text_of(cif_value_tp *value, char *text, size_t room)
{
    UChar *u = NULL;
    size_t n = 0;
    cif_kind_tp kind = cif_value_kind(value);
    bool good = (kind != CIF_CHAR_KIND && kind != CIF_NUMB_KIND) || cif_value_get_text(value, &u) == CIF_OK;
    for (; u && u[n] && n + 1 < room; n++)
        text[n] = u[n] < 128 ? (char)u[n] : '?';
    text[n] = '\0';
    free(u);
    return good;
}

/* A name may stand once in a block.  The same value said twice harms nobody; of two nobody knows
 * which is meant, and one column behind the other would be a longer one. */
static int take_again(block *b, int which, double v)
{
    double kept = b->columns[which].at[0];
    if (!b->in_loop && b->columns[which].n == 1 && (v == kept || (isnan(v) && isnan(kept))))
        return CIF_TRAVERSE_SKIP_CURRENT;
    b->status = bragg_fail(b->err, BRAGG_EDATA, "block '%s': expected %s once, found it twice", b->title, names[which]);
    return CIF_TRAVERSE_END;
}

static int take_number(block *b, int which, const char *text)
{
    column *c = &b->columns[which];
    double v, esd;
    if (!bragg_number_parse_esd(text, &v, &esd))
        v = esd = NAN;
    b->loops += !b->in_loop;
    if (c->n && c->loop != b->loops)
        return take_again(b, which, v);
    if (bragg_array_grow(&c->at, &c->room, c->n + 1, 2 * sizeof *c->at, NULL) < 0) {
        b->no_memory = true;
        return CIF_TRAVERSE_END;
    }
    c->loop = b->loops;
    c->at[2 * c->n] = v;
    c->at[2 * c->n++ + 1] = esd;
    return CIF_TRAVERSE_SKIP_CURRENT;
}

static int take_item(UChar *name, cif_value_tp *value, void *context)
{
    block *b = context;
    char text[160];
    int which = name && !b->frames ? index_of(name) : -1;
    if (which < 0 || !value)
        return CIF_TRAVERSE_SKIP_CURRENT;
    if (!text_of(value, text, sizeof text)) {
        b->no_memory = true;
        return CIF_TRAVERSE_END;
    }
    if (which < N_NAMES)
        return take_number(b, which, text);
    snprintf(b->title, sizeof b->title, "%s", text);
    return CIF_TRAVERSE_SKIP_CURRENT;
}

static int start_loop(cif_loop_tp *loop, void *context)
{
    block *b = context;
    b->loops++;
    b->in_loop = true;
    return CIF_TRAVERSE_CONTINUE;
    (void)loop;
}

static int end_loop(cif_loop_tp *loop, void *context)
{
    ((block *)context)->in_loop = false;
    return CIF_TRAVERSE_CONTINUE;
    (void)loop;
}

/* Nothing needs to stay in cif_api's memory. */
static int drop_packet(cif_packet_tp *packet, void *context)
{
    (void)packet;
    (void)context;
    return CIF_TRAVERSE_SKIP_CURRENT;
}

static double first(const block *b, int which)
{
    return b->columns[which].n ? b->columns[which].at[0] : NAN;
}

/* The column of the first name from..to that has n values with a number among them. */
static const column *choose(const block *b, int from, int to, size_t n)
{
    for (int i = from; i <= to; i++) {
        const column *c = &b->columns[i];
        size_t good = 0;
        for (size_t k = 0; k < c->n; k++)
            good += isfinite(c->at[2 * k]);
        if (good >= 2 && (!n || c->n == n))
            return c;
    }
    return NULL;
}

static bragg_axis axis_of(const block *b, const column *x)
{
    return x == &b->columns[X_Q] ? BRAGG_AXIS_Q : x == &b->columns[X_D] ? BRAGG_AXIS_D : BRAGG_AXIS_TTH;
}

/* Abscissa of point i, in the file's unit: listed, or from the range. */
static double abscissa(const block *b, const column *x, size_t i)
{
    if (x)
        return x->at[2 * i];
    bool processed = isfinite(first(b, PROC_MIN)) && isfinite(first(b, PROC_INC));
    return first(b, processed ? PROC_MIN : MEAS_MIN) + (double)i * first(b, processed ? PROC_INC : MEAS_INC);
}

static double sigma_of(const column *y, const column *weight, size_t i)
{
    double w = weight ? weight->at[2 * i] : NAN, esd = y->at[2 * i + 1];
    return esd > 0 ? esd : w > 0 ? 1 / sqrt(w) : NAN;
}

/* Points without a number are left out: '.' stands where nothing was measured. */
static void fill(const block *b, const column *x, const column *y, bragg_pattern *p)
{
    const column *w = b->columns[WEIGHT].n == y->n ? &b->columns[WEIGHT] : NULL;
    double factor = bragg_axis_factor(p->axis);
    bool whole = y == &b->columns[Y_COUNTS], any = false;
    size_t n = 0;
    for (size_t i = 0; i < y->n; i++) {
        double at = abscissa(b, x, i), value = y->at[2 * i];
        if (!isfinite(at) || !isfinite(value))
            continue;
        p->x[n] = at * factor;
        p->y[n] = value;
        p->sigma[n] = sigma_of(y, w, i);
        any |= !isnan(p->sigma[n]);
        whole &= value >= 0 && value == floor(value);
        n++;
    }
    p->n = n;
    p->counts = whole && !any;
}

/* A loop of wavelengths with weights is a doublet when it has two. */
static void facts(const block *b, bragg_pattern *p)
{
    const column *wave = &b->columns[WAVE], *weight = &b->columns[WAVE_WEIGHT];
    double one = first(b, wave->n ? WAVE : WAVE2);
    p->wavelength_ang = one > 0 ? one : NAN;
    if (wave->n == 2 && wave->at[2] > 0) {
        p->wavelength2_ang = wave->at[2];
        if (weight->n == 2 && weight->at[0] > 0)
            p->ratio2 = weight->at[2] / weight->at[0];
    }
    p->temperature_k = first(b, KELVIN) > 0 ? first(b, KELVIN) : NAN;
    p->counting_s = first(b, COUNTING) > 0 ? first(b, COUNTING) : NAN;
    p->monitor = first(b, MONITOR) > 0 && b->columns[MONITOR].n == 1 ? first(b, MONITOR) : NAN;
    bragg_pattern_title(p, b->title, strlen(b->title));
}

static bragg_status take_block(block *b)
{
    const column *y = choose(b, Y_COUNTS, Y_LAST, 0);
    if (!y)
        return BRAGG_OK;
    const column *x = choose(b, X_CORRECTED, X_LAST, y->n);
    bragg_pattern *p;
    if (x == &b->columns[X_TOF])
        return bragg_fail(b->err, BRAGG_ENOSUPPORT,
                          "block '%s': times of flight; patterns here have an angle or Q as abscissa", b->title);
    if (!x && !isfinite(abscissa(b, NULL, 1)))
        return bragg_fail(b->err, BRAGG_EDATA, "block '%s': expected 2theta, Q or d for %zu intensities, found none",
                          b->title, y->n);
    double claimed = first(b, MEAS_N);
    if (!x && claimed > 0 && claimed != (double)y->n)
        return bragg_fail(b->err, BRAGG_EDATA, "block '%s': expected %g points, found %zu", b->title, claimed, y->n);
    bragg_status st = bragg_pattern_make((double)y->n, axis_of(b, x), &p, b->err);
    if (st < 0)
        return st;
    fill(b, x, y, p);
    facts(b, p);
    return bragg_pattern_list_take(b->list, p, b->err);
}

static void empty(block *b)
{
    for (int i = 0; i < N_NAMES; i++)
        b->columns[i].n = 0;
    b->title[0] = '\0';
}

static int start_block(cif_container_tp *container, void *context)
{
    (void)container;
    empty(context);
    return CIF_TRAVERSE_CONTINUE;
}

static int end_block(cif_container_tp *container, void *context)
{
    block *b = context;
    (void)container;
    if (b->status < 0 || b->no_memory)
        return CIF_TRAVERSE_END;
    b->status = take_block(b);
    empty(b);
    return b->status < 0 ? CIF_TRAVERSE_END : CIF_TRAVERSE_CONTINUE;
}

static int start_frame(cif_container_tp *container, void *context)
{
    (void)container;
    ((block *)context)->frames++;
    return CIF_TRAVERSE_CONTINUE;
}

static int end_frame(cif_container_tp *container, void *context)
{
    (void)container;
    ((block *)context)->frames--;
    return CIF_TRAVERSE_CONTINUE;
}

static int on_error(int code, size_t line, size_t at, const UChar *text, size_t length, void *context)
{
    return bragg_cif_fault_note(code, line, at, text, length, &((block *)context)->fault);
}

static bragg_status parse(const source *src, block *b, bragg_error *err)
{
    struct cif_parse_opts_s *options = NULL;
    cif_handler_tp handler = { .handle_block_start = start_block, .handle_block_end = end_block,
                               .handle_frame_start = start_frame, .handle_frame_end = end_frame,
                               .handle_loop_start = start_loop, .handle_loop_end = end_loop, .handle_packet_end = drop_packet, .handle_item = take_item };
    cif_tp *cif = NULL;
    FILE *file = fmemopen((void *)(uintptr_t)src->bytes, src->size, "rb");
    int code = file ? cif_parse_options_create(&options) : CIF_ERROR;
    if (code == CIF_OK) {
        /* Small errors of syntax are common and harmless in deposited files. */
        options->error_callback = on_error;
        options->handler = &handler;
        options->user_data = b;
        options->default_encoding_name = "UTF-8";
        /* A parse without a CIF to fill, cif_api 0.4.2, hands on no single items,
         * only loops; one that every handler keeps empty costs nothing. */
        code = cif_parse(file, options, &cif);
    }
    if (cif && cif_destroy(cif) != CIF_OK && code == CIF_OK)
        code = CIF_ERROR;
    free(options);
    if (file)
        fclose(file);
    if (b->status < 0)
        return b->status;
    if (b->no_memory || !file || code == CIF_MEMORY_ERROR)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the data of the CIF");
    return code == CIF_OK ? BRAGG_OK : bragg_fail(err, BRAGG_EDATA, "expected a CIF: %s", bragg_cif_fault_cause(code));
}

bragg_status bragg_pattern_read_pdcif(const source *src, pattern_list *list, bragg_error *err)
{
    block *b = calloc(1, sizeof *b);
    if (!b)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a CIF block");
    b->list = list;
    b->err = err;
    bragg_status st = parse(src, b, err);
    if (st == BRAGG_OK && !list->n)
        st = bragg_fail(err, BRAGG_EDATA, "expected _pd_ intensities in a data block of the CIF, found none");
    char where[CIF_FAULT_TEXT];
    if (st == BRAGG_EDATA && b->fault.n)
        bragg_context(err, st, "%s", bragg_cif_fault_tell(&b->fault, where));
    for (int i = 0; i < N_NAMES; i++)
        free(b->columns[i].at);
    free(b);
    return st;
}
