/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The page of a figure and the files it becomes. */
#include "config.h"
#include "figure.h"

#include <bragg/output.h>
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { KIND_NONE, KIND_SVG, KIND_PDF, KIND_PNG, MAX_TABLES = 3 };
static const double POINTS_PER_MM = 72 / 25.4;

/* The bytes are gathered, not written at once: they still get their last touch
 * (below), and a figure that fails leaves nothing. */
typedef struct fig_out {
    int kind;
    char *path;
    cairo_surface_t *surface;
    unsigned char *bytes;
    size_t n, room;
    bragg_output *file, *tables[MAX_TABLES];
    size_t n_tables;
    bool force;
} fig_out;

static int kind_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (!dot || strchr(dot, '/'))
        return KIND_NONE;
    return !strcasecmp(dot, ".svg") ? KIND_SVG : !strcasecmp(dot, ".pdf") ? KIND_PDF
         : !strcasecmp(dot, ".png") ? KIND_PNG : KIND_NONE;
}

bragg_status bragg_plot_check_path(const char *path, bragg_error *err)
{
    if (path && kind_of(path) != KIND_NONE)
        return BRAGG_OK;
    return bragg_fail(err, BRAGG_EINVAL, "figure '%s': expected a name ending in .svg, .pdf or .png", path ? path : "");
}

bool bragg_plot_scale_parse(const char *name, bragg_plot_scale *scale)
{
    static const char *const names[] = { "linear", "sqrt", "log" };
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i]))
            return *scale = (bragg_plot_scale)i, true;
    return false;
}

bragg_status bragg_fig_nomem(bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOMEM, "figure: no memory");
}

static cairo_status_t gather(void *closure, const unsigned char *data, unsigned length)
{
    fig_out *o = closure;
    if (o->room - o->n < length) {
        size_t room = 2 * o->room + length + 65536;
        unsigned char *bytes = realloc(o->bytes, room);
        if (!bytes)
            return CAIRO_STATUS_NO_MEMORY;
        o->bytes = bytes;
        o->room = room;
    }
    memcpy(o->bytes + o->n, data, length);
    o->n += length;
    return CAIRO_STATUS_SUCCESS;
}

/* A date would make two runs differ; there is none that is right and fixed. */
static void describe_pdf(cairo_surface_t *surface, const char *title)
{
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "1970-01-01T00:00:00Z");
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, PACKAGE_STRING);
    char *plain = title ? bragg_fig_plain(title) : NULL;
    if (plain)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, plain);
    free(plain);
}

static cairo_surface_t *new_surface(fig_out *o, const bragg_fig *fig, const char *title)
{
    cairo_surface_t *s;
    if (o->kind == KIND_PNG) {
        double k = fig->dpi / 72;
        return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(fig->width * k), (int)ceil(fig->height * k));
    }
    if (o->kind == KIND_PDF) {
        s = cairo_pdf_surface_create_for_stream(gather, o, fig->width, fig->height);
        describe_pdf(s, title);
        return s;
    }
    s = cairo_svg_surface_create_for_stream(gather, o, fig->width, fig->height);
    cairo_svg_surface_restrict_to_version(s, CAIRO_SVG_VERSION_1_2);
    return s;
}

static void start_page(bragg_fig *fig)
{
    fig->cr = cairo_create(fig->out->surface);
    cairo_set_source_rgb(fig->cr, 1, 1, 1);
    cairo_paint(fig->cr);
    if (fig->out->kind == KIND_PNG)
        cairo_scale(fig->cr, fig->dpi / 72, fig->dpi / 72);
    cairo_set_line_cap(fig->cr, CAIRO_LINE_CAP_BUTT);
    cairo_set_line_join(fig->cr, CAIRO_LINE_JOIN_ROUND);
}

static bragg_status check_page(const bragg_plot_page *page, bragg_error *err)
{
    if (!(page->width_mm >= 30 && page->width_mm <= 2000))
        return bragg_fail(err, BRAGG_EINVAL, "width of the figure: expected 30 to 2000 mm, found %g", page->width_mm);
    if (page->height_mm != 0 && !(page->height_mm >= 20 && page->height_mm <= 2000))
        return bragg_fail(err, BRAGG_EINVAL, "height of the figure: expected 20 to 2000 mm, found %g", page->height_mm);
    if (page->font_pt != 0 && !(page->font_pt >= 3 && page->font_pt <= 72))
        return bragg_fail(err, BRAGG_EINVAL, "text of the figure: expected 3 to 72 points, found %g", page->font_pt);
    if (!(page->dpi >= 30 && page->dpi <= 2400))
        return bragg_fail(err, BRAGG_EINVAL, "resolution of the figure: expected 30 to 2400 dpi, found %g", page->dpi);
    return BRAGG_OK;
}

static bragg_status open_page(bragg_fig *fig, const char *path, const bragg_plot_page *page, bragg_error *err)
{
    fig_out *o = fig->out;
    o->kind = kind_of(path);
    o->path = strdup(path);
    o->force = page->force;
    bragg_status st = bragg_output_open(path, page->force, &o->file, err);
    if (st < 0)
        return st;
    o->surface = new_surface(o, fig, page->title);
    start_page(fig);
    if (cairo_status(fig->cr) != CAIRO_STATUS_SUCCESS || !o->path || !bragg_fig_font_open(fig, page->font))
        return bragg_fail(err, BRAGG_ENOMEM, "figure '%s': cannot draw on %.0f x %.0f points: %s", path, fig->width,
                          fig->height, cairo_status_to_string(cairo_status(fig->cr)));
    fig->top = 0.6 * fig->em;
    if (page->title) {
        bragg_fig_text(fig, fig->width / 2, 0.5 * fig->em, 0.5, 0, 0, 1.1, page->title);
        fig->top += 1.7 * fig->em;
    }
    return BRAGG_OK;
}

bragg_status bragg_fig_open(const char *path, const bragg_plot_page *page, double height_mm, bragg_fig **out,
                            bragg_error *err)
{
    *out = NULL;
    bragg_status st = bragg_plot_check_path(path, err);
    if (st == BRAGG_OK)
        st = check_page(page, err);
    if (st < 0)
        return st;
    bragg_fig *fig = calloc(1, sizeof *fig);
    fig_out *o = calloc(1, sizeof *o);
    bragg_arena *arena = bragg_arena_new();
    if (!fig || !o || !arena) {
        free(fig);
        free(o);
        bragg_arena_free(arena);
        return bragg_fig_nomem(err);
    }
    fig->out = o;
    fig->arena = arena;
    fig->width = page->width_mm * POINTS_PER_MM;
    fig->height = (page->height_mm > 0 ? page->height_mm : height_mm) * POINTS_PER_MM;
    fig->em = page->font_pt > 0 ? page->font_pt : page->width_mm <= 100 ? 7 : 8;
    fig->dpi = page->dpi;
    *out = fig;
    st = open_page(fig, path, page, err);
    if (st < 0) {
        *out = NULL;
        bragg_fig_close(fig, st, err);
    }
    return st;
}

bragg_status bragg_fig_table(bragg_fig *fig, const char *part, FILE **stream, bragg_error *err)
{
    fig_out *o = fig->out;
    size_t stem = (size_t)(strrchr(o->path, '.') - o->path), size = strlen(o->path) + (part ? strlen(part) : 0) + 8;
    char *path = o->n_tables < MAX_TABLES ? malloc(size) : NULL;
    if (!path)
        return bragg_fig_nomem(err);
    snprintf(path, size, "%.*s%s%s.csv", (int)stem, o->path, part ? "." : "", part ? part : "");
    bragg_status st = bragg_output_open(path, o->force, &o->tables[o->n_tables], err);
    free(path);
    if (st == BRAGG_OK)
        *stream = bragg_output_stream(o->tables[o->n_tables++]);
    return st;
}

/* In the unit of files; 14 digits hide the rounding of degrees to radians and back. */
void bragg_fig_abscissa(FILE *f, double x, bragg_axis axis, const char *after)
{
    double factor = bragg_axis_factor(axis);
    bragg_csv_number(f, x / factor, factor == 1 ? 0 : 14, after);
}

bragg_status bragg_fig_curve_table(bragg_fig *fig, FILE **out, bragg_error *err)
{
    bragg_status st = bragg_fig_table(fig, NULL, out, err);
    if (st == BRAGG_OK)
        fputs("panel,curve,x,y,esd\n", *out);
    return st;
}

void bragg_fig_label_field(FILE *f, const char *label, const char *after)
{
    char *plain = label ? bragg_fig_plain(label) : NULL;
    bragg_csv_text(f, plain ? plain : "", after);
    free(plain);
}

void bragg_fig_curve_rows(FILE *f, const char *panel, const bragg_plot_curve *c)
{
    for (size_t i = 0; i < c->n; i++) {
        bragg_fig_label_field(f, panel, ",");
        bragg_fig_label_field(f, c->label, ",");
        bragg_csv_number(f, c->x[i], 0, ",");
        bragg_csv_number(f, c->y[i], 0, ",");
        bragg_csv_number(f, c->esd ? c->esd[i] : NAN, 0, "\n");
    }
}

/* The resolution, so that a page sets the image at its size: chunk pHYs
 * behind IHDR (PNG specification, 2nd edition, 11.3.5.3). */
static bool write_png(const fig_out *o, double dpi, FILE *f)
{
    enum { BEHIND_IHDR = 8 + 25 };
    unsigned char chunk[21] = { 0, 0, 0, 9, 'p', 'H', 'Y', 's' };
    unsigned long per_m = (unsigned long)(dpi / 0.0254 + 0.5), crc;
    for (int i = 0; i < 4; i++)
        chunk[8 + i] = chunk[12 + i] = (unsigned char)(per_m >> (24 - 8 * i));
    chunk[16] = 1;
    crc = crc32(0, chunk + 4, 13);
    for (int i = 0; i < 4; i++)
        chunk[17 + i] = (unsigned char)(crc >> (24 - 8 * i));
    return o->n > BEHIND_IHDR && fwrite(o->bytes, 1, BEHIND_IHDR, f) == BEHIND_IHDR && fwrite(chunk, 1, 21, f) == 21
        && fwrite(o->bytes + BEHIND_IHDR, 1, o->n - BEHIND_IHDR, f) == o->n - BEHIND_IHDR;
}

/* Cairo numbers surfaces and images through the life of the process; in the
 * file they count as they come.  A name stands behind " or #, before " or ). */
enum { MAX_IDS = 64 };
typedef struct id_list {
    const char *prefix;
    size_t n;
    unsigned long ids[MAX_IDS];
} id_list;

static unsigned long renumbered(id_list *l, unsigned long id)
{
    size_t k = 0;
    while (k < l->n && l->ids[k] != id)
        k++;
    if (k == MAX_IDS)
        return id;
    if (k == l->n)
        l->ids[l->n++] = id;
    return k;
}

/* Write the name at p anew; the end of it, or NULL when there is none. */
static const char *write_id(const char *p, id_list *l, FILE *f)
{
    size_t n = strlen(l->prefix);
    if (strncmp(p, l->prefix, n) || !isdigit((unsigned char)p[n]))
        return NULL;
    char *end;
    unsigned long id = strtoul(p + n, &end, 10);
    if (*end != '"' && *end != ')')
        return NULL;
    fprintf(f, "%s%lu", l->prefix, renumbered(l, id));
    return end;
}

/* The text has a NUL behind it. */
static void write_svg(const char *text, FILE *f)
{
    id_list lists[] = { { .prefix = "surface" }, { .prefix = "image" }, { .prefix = "source-" } };
    while (*text) {
        size_t plain = strcspn(text, "\"#");
        plain += text[plain] != '\0';
        fwrite(text, 1, plain, f);
        text += plain;
        const char *end = NULL;
        for (size_t k = 0; k < 3 && !end; k++)
            end = write_id(text, lists + k, f);
        text = end ? end : text;
    }
}

static bragg_status write_figure(bragg_fig *fig, bragg_error *err)
{
    fig_out *o = fig->out;
    FILE *f = bragg_output_stream(o->file);
    cairo_status_t cs = cairo_status(fig->cr);
    cairo_destroy(fig->cr);
    fig->cr = NULL;
    if (cs == CAIRO_STATUS_SUCCESS && o->kind == KIND_PNG)
        cs = cairo_surface_write_to_png_stream(o->surface, gather, o);
    cairo_surface_finish(o->surface);
    if (cs == CAIRO_STATUS_SUCCESS)
        cs = cairo_surface_status(o->surface);
    if (cs != CAIRO_STATUS_SUCCESS || !o->n)
        return bragg_fail(err, cs == CAIRO_STATUS_NO_MEMORY ? BRAGG_ENOMEM : BRAGG_EINTERNAL,
                          "figure '%s': not drawn: %s", o->path, cairo_status_to_string(cs));
    if (o->kind == KIND_SVG && gather(o, (const unsigned char *)"", 1) != CAIRO_STATUS_SUCCESS)
        return bragg_fig_nomem(err);
    if (o->kind == KIND_SVG)
        write_svg((const char *)o->bytes, f);
    else if (o->kind == KIND_PNG)
        write_png(o, fig->dpi, f);
    else
        fwrite(o->bytes, 1, o->n, f);
    return BRAGG_OK; /* what the stream could not take, commit sees */
}

/* Tables first: who finds the figure finds its numbers. */
static bragg_status commit_all(fig_out *o, bragg_status st, bragg_error *err)
{
    for (size_t i = 0; i < MAX_TABLES; i++) {
        if (st < 0)
            bragg_output_abandon(o->tables[i]);
        else if (o->tables[i])
            st = bragg_output_commit(o->tables[i], err);
    }
    if (st < 0)
        bragg_output_abandon(o->file);
    else
        st = bragg_output_commit(o->file, err);
    return st;
}

bragg_status bragg_fig_close(bragg_fig *fig, bragg_status st, bragg_error *err)
{
    fig_out *o = fig->out;
    bragg_fig_font_close(fig);
    if (st == BRAGG_OK)
        st = write_figure(fig, err);
    if (fig->cr)
        cairo_destroy(fig->cr);
    if (o->surface)
        cairo_surface_destroy(o->surface);
    st = commit_all(o, st, err);
    free(o->bytes);
    free(o->path);
    free(o);
    bragg_arena_free(fig->arena);
    free(fig);
    return st;
}

const char *bragg_fig_axis_title(bragg_axis axis, const char **unit)
{
    switch (axis) {
    case BRAGG_AXIS_TTH: *unit = "°"; return "2<i>θ</i>";
    case BRAGG_AXIS_Q: *unit = "Å<sup>−1</sup>"; return "<i>Q</i>";
    case BRAGG_AXIS_QNM: *unit = "nm<sup>−1</sup>"; return "<i>Q</i>";
    case BRAGG_AXIS_D: *unit = "Å"; return "<i>d</i>";
    case BRAGG_AXIS_R: *unit = "mm"; return "<i>r</i>";
    }
    *unit = "";
    return "x";
}

bragg_fig_axis bragg_fig_abscissa_axis(bragg_axis axis)
{
    bragg_fig_axis a = { .scale = BRAGG_PLOT_LINEAR };
    a.label = bragg_fig_axis_title(axis, &a.unit);
    return a;
}

double *bragg_fig_doubles(bragg_fig *fig, size_t n)
{
    return bragg_arena_alloc(fig->arena, n ? n : 1, sizeof(double));
}
