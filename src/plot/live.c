/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the page of a run that still grows asks for. */
#include "config.h"
#include "page.h"

#include <bragg/datetime.h>
#include <bragg/hash.h>
#include <bragg/json.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_POINTS = 2000, ROWS_AN_ANSWER = 64 };

/* A frame's version is the count of changes when it changed last; the page names the last
 * it has seen.  What a page has become useless for (other columns, intensities beyond the
 * codes) begins a new epoch, and the page loads anew. */
struct bragg_live {
    char *path;
    bragg_store_view *view;
    bragg_arena *arena;          /* of the columns */
    bragg_report_column *columns;
    size_t n_columns, n, merge;  /* points of the map, and how many of the store each is */
    size_t room;
    uint64_t *state, *fresh, *version, changes, epoch;
    char kind[BRAGG_HASH_TEXT];  /* of the store */
    bragg_page_codes codes;
    bool coded, logged;          /* logged: of some frame the log has been seen to tell */
    float *row;                  /* observed, calculated, sigma */
    double looked_s;
};

static void forget_store(bragg_live *l)
{
    bragg_store_view_free(l->view);
    bragg_arena_free(l->arena);
    l->view = NULL;
    l->arena = NULL;
}

void bragg_live_free(bragg_live *l)
{
    if (!l)
        return;
    forget_store(l);
    free(l->path);
    free(l->state);
    free(l->fresh);
    free(l->version);
    free(l->row);
    free(l);
}

bragg_status bragg_live_new(const char *store, bragg_live **out, bragg_error *err)
{
    bragg_live *l = *out = calloc(1, sizeof *l);
    if (!l || !store || !(l->path = strdup(store))) {
        bragg_live_free(l);
        *out = NULL;
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a live page");
    }
    l->looked_s = -INFINITY;
    if (!bragg_page_interactive()) {
        bragg_live_free(l);
        *out = NULL;
        return bragg_fail(err, BRAGG_ENOSUPPORT, "this build has no uPlot, which draws the live page; npm install uplot and configure anew");
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ look */

static bool make_room(bragg_live *l, size_t room)
{
    uint64_t *state = realloc(l->state, (room + 1) * sizeof *state);
    l->state = state ? state : l->state;
    uint64_t *version = realloc(l->version, (room + 1) * sizeof *version);
    l->version = version ? version : l->version;
    uint64_t *fresh = realloc(l->fresh, (room + 1) * sizeof *fresh);
    l->fresh = fresh ? fresh : l->fresh;
    if (!state || !version || !fresh)
        return false;
    for (size_t k = l->room; k < room; k++)
        l->state[k] = l->version[k] = 0;
    l->room = room > l->room ? room : l->room;
    return true;
}

static void begin_epoch(bragg_live *l)
{
    l->epoch++;
    for (size_t k = 0; k < l->room; k++)
        l->version[k] = l->state[k] ? ++l->changes : 0;
}

/* Points and names: of another kind the page would show numbers under wrong names. */
static bool kind_of(const bragg_store_view *v, char kind[BRAGG_HASH_TEXT])
{
    const bragg_series *s = &v->series;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (to)
        fprintf(to, "%zu", v->n);
    for (size_t k = 0; to && k < s->n_params; k++)
        fprintf(to, "\n%s", s->name[k]);
    for (size_t k = 0; to && k < s->n_phases; k++)
        fprintf(to, "\n%s", s->phase[k]);
    bool good = to && !fclose(to);
    if (good)
        bragg_hash_bytes(text, size, kind);
    free(text);
    return good;
}

static bragg_status open_store(bragg_live *l, bragg_error *err)
{
    forget_store(l);
    bragg_status st = bragg_store_look(l->path, &l->view, err);
    if (st < 0)
        return st;
    bragg_store_view *v = l->view;
    l->arena = bragg_arena_new();
    l->merge = (v->n + MOST_POINTS - 1) / MOST_POINTS;
    l->merge = l->merge ? l->merge : 1;
    l->n = v->n / l->merge;
    free(l->row);
    l->row = malloc((3 * v->n + 1) * sizeof *l->row);
    char kind[BRAGG_HASH_TEXT];
    if (!l->arena || !l->row || !make_room(l, v->room) || !kind_of(v, kind))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for %zu frames", v->room);
    else
        st = bragg_report_columns(&v->series, true, l->arena, &l->columns, &l->n_columns, err);
    if (st < 0) {
        forget_store(l);
        return st;
    }
    if (strcmp(l->kind, kind)) {
        strcpy(l->kind, kind);
        memset(l->state, 0, l->room * sizeof *l->state);
        l->coded = false;
        begin_epoch(l);
    }
    return BRAGG_OK;
}

/* What is new in the store; asked more often than three times a second it is not looked at. */
static bragg_status look(bragg_live *l, bragg_error *err)
{
    double now = bragg_time_running_s();
    if (l->view && now - l->looked_s < 0.3)
        return BRAGG_OK;
    bragg_status st = !l->view || bragg_store_view_replaced(l->view) ? open_store(l, err) : BRAGG_OK;
    if (st < 0)
        return st;
    l->looked_s = now;
    if (!bragg_store_view_states(l->view, l->fresh))
        return BRAGG_OK; /* it has just been replaced: the next time */
    for (size_t k = 0; k < l->view->room; k++)
        if (l->fresh[k] != l->state[k]) {
            l->state[k] = l->fresh[k];
            l->version[k] = ++l->changes;
        }
    return BRAGG_OK;
}

/* --------------------------------------------------------------- answers */

/* Length of the description, description, zeros up to a multiple of 8, bytes. */
static bragg_status send_pack(FILE *to, bragg_pack *p, char **data, size_t *size, json_t *about, bragg_error *err)
{
    json_t *arrays;
    FILE *from = p->to;
    bragg_pack_end(p, &arrays, NULL); /* into memory: what fails is told below */
    bool good = !fclose(from) && arrays;
    if (arrays)
        json_object_set_new(about, "arrays", arrays);
    char *text = good ? json_dumps(about, JSON_COMPACT) : NULL;
    json_decref(about);
    if (text) {
        size_t n = strlen(text);
        const unsigned char head[4] = { n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24 & 255 }, zero[8] = { 0 };
        fwrite(head, 1, 4, to);
        fwrite(text, 1, n, to);
        fwrite(zero, 1, (8 - (4 + n) % 8) % 8, to);
        fwrite(*data, 1, *size, to);
    }
    free(text);
    free(*data);
    return text && !ferror(to) ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for an answer");
}

static bragg_status begin(bragg_pack *p, char **data, size_t *size, bragg_error *err)
{
    FILE *memory = open_memstream(data, size);
    if (!memory)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an answer");
    bragg_pack_begin(p, memory, false);
    return BRAGG_OK;
}

bragg_status bragg_live_page(bragg_live *l, FILE *to, bragg_error *err)
{
    json_t *about = json_pack("{s:b}", "live", 1);
    if (!about)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a page");
    (void)look(l, NULL); /* without a store the page waits for one */
    bragg_page_head(to, l->view && l->view->series.title ? l->view->series.title : "Operando run");
    bragg_page_explore(to);
    bragg_page_tail(to, about);
    json_decref(about);
    return BRAGG_OK;
}

bragg_status bragg_live_run(bragg_live *l, FILE *to, bragg_error *err)
{
    char *data;
    size_t size;
    bragg_pack p;
    bragg_status st = look(l, err);
    if (st == BRAGG_OK)
        st = begin(&p, &data, &size, err);
    if (st < 0)
        return st;
    double *x = malloc((l->n + 1) * sizeof *x);
    for (size_t i = 0; x && i < l->n; i++)
        x[i] = (l->view->x_rad[i * l->merge] + l->view->x_rad[(i + 1) * l->merge - 1]) / 2 / BRAGG_DEG;
    p.failed |= !x;
    bragg_pack_put(&p, "x", "f64", x, x ? l->n : 0);
    bragg_page_colours(&p);
    free(x);
    json_t *about = bragg_report_describe(&l->view->series, l->columns, l->n_columns);
    json_object_set_new(about, "epoch", json_integer((json_int_t)l->epoch));
    json_object_set_new(about, "low", json_real(l->codes.low));
    json_object_set_new(about, "high", json_real(l->coded ? l->codes.high : 1));
    json_object_set_new(about, "wavelength", bragg_json_number(l->view->wavelength_ang));
    return send_pack(to, &p, &data, &size, about, err);
}

/* Codes for what has come so far, with room above; false when this frame begins an epoch. */
static bool fits_codes(bragg_live *l, const double *v)
{
    bragg_page_codes own = bragg_page_codes_of(v, l->n);
    if (l->coded && own.high <= l->codes.high && own.low >= l->codes.low)
        return true;
    double high = 1.5 * own.high, low = own.low < 0 ? 1.5 * own.low : 0;
    l->codes.high = l->coded ? fmax(high, l->codes.high) : high;
    l->codes.low = l->coded ? fmin(low, l->codes.low) : low;
    l->coded = true;
    begin_epoch(l);
    return false;
}

typedef struct news {
    uint32_t index[ROWS_AN_ANSWER];
    uint8_t status[ROWS_AN_ANSWER];
    double time[ROWS_AN_ANSWER], *map;
    float *values;
    uint8_t *levels;
    uint16_t *codes;
    size_t n;
    json_t *files;
} news;

/* Frame k into the next row of an answer; *anew when it begins an epoch instead. */
static bragg_status take_frame(bragg_live *l, news *w, size_t k, bool *anew, bragg_error *err)
{
    size_t r = w->n, c2 = 2 * l->n_columns;
    bragg_error own = BRAGG_ERROR_INIT;
    bragg_status st = bragg_store_view_frame(l->view, k, l->row, NULL, NULL, &own);
    if (st < 0)
        return st == BRAGG_EDATA ? BRAGG_OK : bragg_fail(err, st, "%s", own.text); /* written again in this moment: it will be new once more */
    const bragg_frame_fit *step = bragg_series_fitted(&l->view->series, 0);
    for (size_t i = 0; i < l->n; i++) {
        double sum = 0;
        for (size_t j = 0; j < l->merge; j++)
            sum += (double)l->row[i * l->merge + j];
        w->map[i] = sum / (double)l->merge;
    }
    l->logged |= isfinite(step->log.voltage_v) || isfinite(step->log.temperature_k);
    *anew = !fits_codes(l, w->map);
    if (*anew)
        return BRAGG_OK;
    for (size_t i = 0; i < l->n; i++)
        w->codes[r * l->n + i] = bragg_page_code(&l->codes, w->map[i]);
    for (size_t c = 0; c < l->n_columns; c++) {
        double value = NAN, esd = NAN;
        if (step->done || !strcmp(l->columns[c].group, "log"))
            l->columns[c].take(step, l->columns[c].which, &value, &esd);
        w->values[r * c2 + 2 * c] = (float)value;
        w->values[r * c2 + 2 * c + 1] = (float)esd;
    }
    for (size_t p = 0; p < l->view->series.n_phases; p++)
        w->levels[r * l->view->series.n_phases + p] = step->done && step->level[p] > 0;
    w->index[r] = (uint32_t)k;
    w->status[r] = (uint8_t)step->status;
    w->time[r] = step->time_s;
    w->n++;
    return json_array_append_new(w->files, bragg_report_file(step)) ? bragg_fail(err, BRAGG_ENOMEM, "no room for the names of files") : BRAGG_OK;
}

static bool make_news(const bragg_live *l, news *w)
{
    size_t rows = ROWS_AN_ANSWER;
    *w = (news){ .map = malloc((l->n + 1) * sizeof(double)), .values = malloc((2 * rows * l->n_columns + 1) * sizeof(float)),
                 .levels = malloc(rows * l->view->series.n_phases + 1), .codes = malloc((rows * l->n + 1) * sizeof(uint16_t)), .files = json_array() };
    return w->map && w->values && w->levels && w->codes && w->files;
}

static void drop_news(news *w)
{
    free(w->map);
    free(w->values);
    free(w->levels);
    free(w->codes);
}

typedef struct change { uint64_t version; size_t k; } change;

static int by_version(const void *a, const void *b)
{
    const change *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

/* The oldest changes after `after`, as many as an answer holds; *last is the version of
 * the last of them. */
static bragg_status collect(bragg_live *l, uint64_t after, news *w, uint64_t *last, bool *more, bragg_error *err)
{
    change *list = malloc((l->room + 1) * sizeof *list);
    size_t n = 0;
    bool anew = false;
    bragg_status st = list ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the changes of %zu frames", l->room);
    for (size_t k = 0; list && k < l->view->room; k++)
        if (l->version[k] > after && l->state[k])
            list[n++] = (change){ l->version[k], k };
    if (list)
        qsort(list, n, sizeof *list, by_version);
    *more = n > ROWS_AN_ANSWER;
    *last = after;
    for (size_t i = 0; st == BRAGG_OK && !anew && i < n && i < ROWS_AN_ANSWER; i++) {
        st = take_frame(l, w, list[i].k, &anew, err);
        if (st == BRAGG_OK && !anew)
            *last = list[i].version;
    }
    if (anew) {
        w->n = 0;
        json_array_clear(w->files);
    }
    free(list);
    return st;
}

bragg_status bragg_live_changes(bragg_live *l, uint64_t after, uint64_t epoch, FILE *to, bragg_error *err)
{
    char *data;
    size_t size;
    bragg_pack p;
    news w;
    uint64_t last = after;
    bool more = false;
    bragg_status st = look(l, err);
    if (st < 0)
        return st;
    if (!make_news(l, &w))
        st = bragg_fail(err, BRAGG_ENOMEM, "no room for the frames of an answer");
    else if (epoch == l->epoch)
        st = collect(l, after, &w, &last, &more, err);
    if (st == BRAGG_OK)
        st = begin(&p, &data, &size, err);
    if (st < 0) {
        json_decref(w.files);
        drop_news(&w);
        return st;
    }
    bragg_pack_put(&p, "index", "u32", w.index, w.n);
    bragg_pack_put(&p, "time", "f64", w.time, w.n);
    bragg_pack_put(&p, "status", "u8", w.status, w.n);
    bragg_pack_put(&p, "values", "f32", w.values, 2 * w.n * l->n_columns);
    bragg_pack_put(&p, "levels", "u8", w.levels, w.n * l->view->series.n_phases);
    bragg_pack_put(&p, "observed", "u16", w.codes, w.n * l->n);
    drop_news(&w);
    json_t *about = json_pack("{s:I, s:I, s:b, s:b, s:o}", "version", (json_int_t)last, "epoch", (json_int_t)l->epoch, "more", (int)more,
                              "preliminary", (int)(l->logged && !l->view->ended), "files", w.files);
    return send_pack(to, &p, &data, &size, about, err);
}

bragg_status bragg_live_frame(bragg_live *l, size_t k, FILE *to, bragg_error *err)
{
    char *data;
    size_t size;
    bragg_pack p;
    bragg_status st = look(l, err);
    if (st < 0)
        return st;
    size_t n = l->view->n;
    st = k < l->view->room ? bragg_store_view_frame(l->view, k, l->row, l->row + n, l->row + 2 * n, err) : bragg_fail(err, BRAGG_EDATA, "frame %zu: is not there", k);
    if (st < 0)
        return st;
    double *x = malloc((n + 1) * sizeof *x);
    st = x ? begin(&p, &data, &size, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a frame");
    for (size_t i = 0; st == BRAGG_OK && i < n; i++)
        x[i] = l->view->x_rad[i] / BRAGG_DEG;
    if (st == BRAGG_OK) {
        bragg_pack_put(&p, "x", "f64", x, n);
        bragg_pack_put(&p, "observed", "f32", l->row, n);
        bragg_pack_put(&p, "calculated", "f32", l->row + n, n);
        bragg_pack_put(&p, "sigma", "f32", l->row + 2 * n, n);
        st = send_pack(to, &p, &data, &size, json_object(), err);
    }
    free(x);
    return st;
}
