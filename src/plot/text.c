/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words in a figure: Pango where there are fonts, Cairo's own strokes where there are none. */
#include "config.h"
#include "figure.h"

#include <ctype.h>
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>

typedef struct font {
    PangoFontMap *map;
    PangoContext *context;
    PangoFontDescription *description;
} font;

/* Pango lists its generic names even where there is not one font, and falls
 * when it is then asked for a glyph. */
static bool any_family(PangoFontMap *map)
{
    static const char *const generic[] = { "sans", "serif", "monospace", "system-ui", "cursive", "fantasy" };
    PangoFontFamily **families = NULL;
    int n = 0;
    bool any = false;
    pango_font_map_list_families(map, &families, &n);
    for (int i = 0; i < n; i++) {
        bool real = true;
        for (size_t k = 0; k < sizeof generic / sizeof *generic; k++)
            real &= g_ascii_strcasecmp(pango_font_family_get_name(families[i]), generic[k]) != 0;
        any |= real;
    }
    g_free(families);
    return any;
}

static void set_options(PangoContext *context)
{
    cairo_font_options_t *o = cairo_font_options_create();
    cairo_font_options_set_hint_style(o, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(o, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(o, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(context, o);
    cairo_font_options_destroy(o);
}

/* A map of our own: no state is shared with the caller's threads. */
bool bragg_fig_font_open(bragg_fig *fig, const char *family)
{
    font *f = calloc(1, sizeof *f);
    if (!f)
        return false;
    fig->font = f;
    f->map = pango_cairo_font_map_new();
    if (!f->map || !any_family(f->map))
        return true;
    pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(f->map), 72);
    f->context = pango_font_map_create_context(f->map);
    set_options(f->context);
    pango_context_set_round_glyph_positions(f->context, FALSE);
    f->description = pango_font_description_new();
    pango_font_description_set_family(f->description, family ? family : "Arial, Liberation Sans, DejaVu Sans, sans");
    return true;
}

void bragg_fig_font_close(bragg_fig *fig)
{
    font *f = fig->font;
    if (!f)
        return;
    if (f->description)
        pango_font_description_free(f->description);
    if (f->context)
        g_object_unref(f->context);
    if (f->map)
        g_object_unref(f->map);
    free(f);
    fig->font = NULL;
}

const char *bragg_fig_escape(bragg_arena *arena, const char *name)
{
    char *text = g_markup_escape_text(name, -1);
    const char *own = bragg_arena_strdup(arena, text);
    g_free(text);
    return own;
}

char *bragg_fig_plain(const char *text)
{
    char *plain = NULL, *own;
    if (!g_utf8_validate(text, -1, NULL))
        plain = g_utf8_make_valid(text, -1);
    else if (!pango_parse_markup(text, -1, 0, NULL, &plain, NULL, NULL))
        plain = g_strdup(text);
    own = strdup(plain);
    g_free(plain);
    return own;
}

static PangoLayout *new_layout(bragg_fig *fig, double size, const char *text)
{
    font *f = fig->font;
    PangoLayout *layout = pango_layout_new(f->context);
    pango_font_description_set_absolute_size(f->description, size * fig->em * PANGO_SCALE);
    pango_layout_set_font_description(layout, f->description);
    if (!g_utf8_validate(text, -1, NULL)) {
        char *valid = g_utf8_make_valid(text, -1);
        pango_layout_set_text(layout, valid, -1);
        g_free(valid);
    } else if (pango_parse_markup(text, -1, 0, NULL, NULL, NULL, NULL)) {
        pango_layout_set_markup(layout, text, -1);
    } else {
        pango_layout_set_text(layout, text, -1);
    }
    return layout;
}

/* Cairo's built-in face has ASCII only: tags go, signs are spelled out. */
static void to_ascii(const char *text, char *out, size_t room)
{
    static const struct { const char *sign, *word; } words[] = {
        { "−", "-" }, { "θ", "theta" }, { "λ", "lambda" }, { "Å", "A" }, { "°", "deg" }, { "σ", "sigma" },
        { "Δ", "D" }, { "·", "." }, { "×", "x" }, { "&lt;", "<" }, { "&gt;", ">" }, { "&amp;", "&" },
    };
    size_t n = 0;
    bool tag = false;
    while (*text && n + 8 < room) {
        size_t k = 0, count = sizeof words / sizeof *words;
        while (k < count && strncmp(text, words[k].sign, strlen(words[k].sign)))
            k++;
        if (!tag && k < count) {
            n += (size_t)snprintf(out + n, room - n, "%s", words[k].word);
            text += strlen(words[k].sign);
            continue;
        }
        tag = *text == '<' ? true : tag;
        if (!tag && (unsigned char)*text < 0x80)
            out[n++] = *text;
        tag = *text == '>' ? false : tag;
        text++;
    }
    out[n] = '\0';
}

static void toy_font(bragg_fig *fig, double size)
{
    cairo_select_font_face(fig->cr, "@cairo:", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(fig->cr, size * fig->em);
}

void bragg_fig_measure(bragg_fig *fig, double size, const char *text, double *width, double *height)
{
    font *f = fig->font;
    if (!f->context) {
        char plain[512];
        cairo_text_extents_t e;
        to_ascii(text, plain, sizeof plain);
        toy_font(fig, size);
        cairo_text_extents(fig->cr, plain, &e);
        *width = e.x_advance;
        *height = 1.25 * size * fig->em;
        return;
    }
    PangoLayout *layout = new_layout(fig, size, text);
    PangoRectangle box;
    pango_layout_get_extents(layout, NULL, &box);
    *width = (double)box.width / PANGO_SCALE;
    *height = (double)box.height / PANGO_SCALE;
    g_object_unref(layout);
}

/* The point (x, y) is the fraction (ax, ay) of the box of words: 0 left or top,
 * 1 right or bottom; turn is in degrees, anticlockwise. */
void bragg_fig_text(bragg_fig *fig, double x, double y, double ax, double ay, double turn, double size, const char *text)
{
    font *f = fig->font;
    double width, height;
    bragg_fig_measure(fig, size, text, &width, &height);
    cairo_save(fig->cr);
    bragg_fig_colour(fig, fig->ink);
    cairo_translate(fig->cr, x, y);
    cairo_rotate(fig->cr, -turn * BRAGG_DEG);
    cairo_move_to(fig->cr, -ax * width, -ay * height);
    if (f->context) {
        PangoLayout *layout = new_layout(fig, size, text);
        pango_cairo_show_layout(fig->cr, layout);
        g_object_unref(layout);
    } else {
        char plain[512];
        to_ascii(text, plain, sizeof plain);
        toy_font(fig, size);
        cairo_rel_move_to(fig->cr, 0, size * fig->em);
        cairo_show_text(fig->cr, plain);
    }
    cairo_restore(fig->cr);
}

static bool element(const char *s, size_t n)
{
    static const char symbols[] =
        " H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
        "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
        "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm D ";
    char key[5] = { ' ', s[0], n > 1 ? s[1] : ' ', n > 1 ? ' ' : '\0' };
    return strstr(symbols, key) != NULL;
}

/* The length of a run of element symbols, numbers and brackets at s that has
 * at least one number to lower; 0 when it is another word. */
static size_t formula_length(const char *s)
{
    size_t i = 0;
    bool digits = false;
    if (!isupper((unsigned char)s[0]) && s[0] != '(')
        return 0;
    while (isalnum((unsigned char)s[i]) || (s[i] && strchr("().", s[i]))) {
        size_t two = isupper((unsigned char)s[i]) && islower((unsigned char)s[i + 1]) ? 2 : 1;
        if (isupper((unsigned char)s[i])) {
            if (!element(s + i, two))
                return 0;
            i += two;
        } else if (islower((unsigned char)s[i])) {
            return 0;
        } else {
            digits |= i && isdigit((unsigned char)s[i]);
            i++;
        }
    }
    return digits && (!s[i] || s[i] == ' ' || s[i] == ',') ? i : 0;
}

static char *lower_numbers(char *out, const char *s, size_t n)
{
    bool low = false;
    for (size_t i = 0; i < n; i++) {
        bool number = isdigit((unsigned char)s[i]) || (s[i] == '.' && low);
        if (number != low)
            out = stpcpy(out, number ? "<sub>" : "</sub>");
        low = number;
        *out++ = s[i];
    }
    return low ? stpcpy(out, "</sub>") : out;
}

const char *bragg_fig_formula(bragg_fig *fig, const char *name)
{
    if (strpbrk(name, "<&"))
        return name;
    char *text = bragg_arena_alloc(fig->arena, 12 * strlen(name) + 1, 1), *out = text;
    if (!text)
        return name;
    for (bool start = true; *name;) {
        size_t n = start ? formula_length(name) : 0;
        if (n) {
            out = lower_numbers(out, name, n);
            name += n;
        } else {
            start = *name == ' ';
            *out++ = *name++;
        }
    }
    *out = '\0';
    return text;
}
