/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A page that opens anywhere without a network: text, data and program in one file. */
#include "config.h"
#include "figure.h"
#include "page.h"
#include "page_text.h"

#include <math.h>

/* ----------------------------------------------------------------- text */

void bragg_page_escape(FILE *to, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '&': fputs("&amp;", to); break;
        case '"': fputs("&quot;", to); break;
        default: fputc(*text, to);
        }
}

static void encode_three(FILE *to, const unsigned char b[3], size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned v = (unsigned)b[0] << 16 | (n > 1 ? (unsigned)b[1] << 8 : 0) | (n > 2 ? b[2] : 0);
    for (size_t k = 0; k < 4; k++)
        fputc(k <= n ? digits[v >> (18 - 6 * k) & 63] : '=', to);
}

void bragg_page_encode(FILE *to, FILE *from)
{
    unsigned char b[3];
    for (size_t n; (n = fread(b, 1, 3, from)) > 0;)
        encode_three(to, b, n);
}

/* JSON inside a script: no "<" that could end it. */
static int put_json(const char *text, size_t n, void *to)
{
    for (size_t k = 0; k < n; k++)
        if (text[k] == '<')
            fputs("\\u003c", to);
        else
            fputc(text[k], to);
    return 0;
}

bool bragg_page_interactive(void) { return sizeof page_uplot_js > 1; }

void bragg_page_head(FILE *to, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
          "script-src 'unsafe-inline'; connect-src 'self'\">\n<title>", to);
    bragg_page_escape(to, title);
    fprintf(to, "</title>\n<style>%s%s</style></head><body>\n<h1>", page_css, page_uplot_css);
    bragg_page_escape(to, title);
    fputs("</h1>\n", to);
}

void bragg_page_explore(FILE *to)
{
    if (bragg_page_interactive())
        fputs("<section id=\"interactive\" aria-label=\"Explore\" hidden></section>\n", to);
}

void bragg_page_tail(FILE *to, const json_t *about)
{
    if (about && bragg_page_interactive()) {
        fputs("<script type=\"application/json\" id=\"about\">", to);
        json_dump_callback(about, put_json, to, JSON_COMPACT | JSON_SORT_KEYS);
        fprintf(to, "</script>\n<!-- The curves are drawn by uPlot, under these terms:\n%s-->\n<script>%s</script>\n<script>%s</script>\n", page_uplot_license,
                page_uplot_js, page_js);
    }
    fputs("</body></html>\n", to);
}

/* ----------------------------------------------------------------- data */

static void put_bytes(bragg_pack *p, const unsigned char *bytes, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        p->hold[p->held++] = bytes[k];
        if (p->held == 3) {
            encode_three(p->to, p->hold, 3);
            p->held = 0;
        }
    }
}

static void put_deflated(bragg_pack *p, const void *data, size_t n, int flush)
{
    unsigned char out[16384];
    const unsigned char *at = data;
    do {
        size_t piece = n < 1u << 20 ? n : 1u << 20;
        p->z.next_in = (unsigned char *)(uintptr_t)at;
        p->z.avail_in = (unsigned)piece;
        do {
            p->z.next_out = out;
            p->z.avail_out = sizeof out;
            p->failed |= deflate(&p->z, n > piece ? Z_NO_FLUSH : flush) == Z_STREAM_ERROR;
            put_bytes(p, out, sizeof out - p->z.avail_out);
        } while (!p->z.avail_out && !p->failed);
        at += piece;
        n -= piece;
    } while (n && !p->failed);
}

void bragg_pack_begin(bragg_pack *p, FILE *to, bool deflated)
{
    *p = (bragg_pack){ .to = to, .arrays = json_object(), .deflated = deflated };
    p->failed = !p->arrays || (deflated && deflateInit(&p->z, 6) != Z_OK);
    p->deflated = deflated && !p->failed;
}

static void put_plain(bragg_pack *p, const void *data, size_t n)
{
    if (p->failed || !n)
        return;
    if (p->deflated)
        put_deflated(p, data, n, Z_NO_FLUSH);
    else
        p->failed |= fwrite(data, 1, n, p->to) != n;
    p->at += n;
}

static bool little(void)
{
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 1;
}

void bragg_pack_put(bragg_pack *p, const char *name, const char *type, const void *data, size_t n)
{
    static const unsigned char zero[8];
    size_t size = (size_t)atoi(type + 1) / 8, at = p->at;
    if (!data)
        n = 0;
    if (little() || size == 1) {
        put_plain(p, data, n * size);
    } else {
        for (size_t k = 0; k < n * size; k++)
            put_plain(p, (const unsigned char *)data + k / size * size + (size - 1 - k % size), 1);
    }
    put_plain(p, zero, (8 - p->at % 8) % 8);
    if (!p->failed)
        p->failed |= json_object_set_new(p->arrays, name, json_pack("[s, I, I]", type, (json_int_t)at, (json_int_t)n)) != 0;
}

bragg_status bragg_pack_end(bragg_pack *p, json_t **arrays, bragg_error *err)
{
    *arrays = NULL;
    if (p->deflated) {
        if (!p->failed)
            put_deflated(p, "", 0, Z_FINISH);
        deflateEnd(&p->z);
        if (p->held)
            encode_three(p->to, p->hold, p->held);
    }
    if (!p->failed && !ferror(p->to)) {
        *arrays = p->arrays;
        return BRAGG_OK;
    }
    json_decref(p->arrays);
    return ferror(p->to) ? bragg_fail(err, BRAGG_EIO, "the page cannot be written") : bragg_fail(err, BRAGG_ENOMEM, "no room for the data of a page");
}

/* ---------------------------------------------------------------- codes */

enum { CODES = 4095 };

static double signed_root(double v) { return v < 0 ? -sqrt(-v) : sqrt(v); }

bragg_page_codes bragg_page_codes_of(const double *v, size_t n)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i])) {
            low = fmin(low, v[i]);
            high = fmax(high, v[i]);
        }
    if (!(low <= high))
        return (bragg_page_codes){ 0, 1 };
    return (bragg_page_codes){ signed_root(low), high > low ? signed_root(high) : signed_root(low) + 1 };
}

uint16_t bragg_page_code(const bragg_page_codes *c, double v)
{
    if (!isfinite(v))
        return 0;
    double t = (signed_root(v) - c->low) / (c->high - c->low);
    return (uint16_t)(1 + lround((CODES - 1) * (t < 0 ? 0 : t > 1 ? 1 : t)));
}

/* The colours of the figures, as a canvas stores them: red first, opaque. */
void bragg_page_colours(bragg_pack *p)
{
    uint32_t table[256];
    for (int way = 0; way < 2; way++) {
        for (int k = 0; k < 256; k++) {
            bragg_fig_rgb c = bragg_fig_map(way, k / 255.0);
            table[k] = (uint32_t)lround(255 * c.r) | (uint32_t)lround(255 * c.g) << 8 | (uint32_t)lround(255 * c.b) << 16 | 0xff000000u;
        }
        bragg_pack_put(p, way ? "diverging" : "colours", "u32", table, 256);
    }
}

/* --------------------------------------------------------------- inputs */

void bragg_page_inputs(FILE *to, const json_t *inputs, const char *program)
{
    size_t k;
    json_t *input;
    fputs(inputs ? "<h2>Made of</h2>\n<ul>\n" : "", to);
    json_array_foreach((json_t *)(uintptr_t)inputs, k, input) {
        const char *file = json_string_value(json_object_get(input, "file")), *hash = json_string_value(json_object_get(input, "xxh3_128"));
        fputs("<li>", to);
        bragg_page_escape(to, file ? file : "");
        fprintf(to, " <small>(XXH3-128 %.64s)</small></li>\n", hash ? hash : "unknown");
    }
    fputs(inputs ? "</ul>\n" : "", to);
    if (!program)
        return;
    fputs("<p>Made by ", to);
    bragg_page_escape(to, program);
    fputs("</p>\n", to);
}

/* -------------------------------------------------------------- figures */

void bragg_page_figures(FILE *to, const char *folder, const bragg_page_figure *list, size_t n)
{
    char name[4200];
    for (size_t k = 0; k < n; k++) {
        snprintf(name, sizeof name, "%.4000s/%s.%s", folder, list[k].stem, list[k].kind);
        FILE *f = fopen(name, "rb");
        if (!f)
            continue;
        fprintf(to, "<figure><img alt=\"%s\" src=\"data:image/%s;base64,", list[k].caption, *list[k].kind == 's' ? "svg+xml" : "png");
        bragg_page_encode(to, f);
        fprintf(to, "\"><figcaption>%s</figcaption></figure>\n", list[k].caption);
        fclose(f);
    }
}
