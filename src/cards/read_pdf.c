/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cards of the Powder Diffraction File, as those who have a licence export them: PDF-2 in 80
 * columns, a card as text, PDF-4 as XML. */
#include "config.h"
#include "reading.h"

#include <bragg/number.h>
#include <ctype.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------ PDF-2, 80 columns */

static bool fixed_number(const char *line, int first, int last, double *v)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", last - first + 1, line + first - 1);
    for (char *p = text; *p; p++)
        if (!strchr("0123456789.-+ ", *p))
            *p = ' ';
    return bragg_number_parse(text, v);
}

/* One line of the AID text form of PDF-2, columns as EDDIDAT's LoadFromPDF.m has them: 80, the last tells what it is, 73
 * to 78 the card's number. */
static bragg_status take_pdf2(bragg_card *c, const char *line, double v[6], size_t *room, bragg_error *err)
{
    static const int cell[6][2] = { { 1, 9 }, { 10, 18 }, { 19, 27 }, { 28, 35 }, { 36, 43 }, { 44, 51 } };
    bragg_status st = BRAGG_OK;
    double number;
    if (line[79] == '1') {
        char text[12];
        for (int k = 0; k < 6; k++)
            fixed_number(line, cell[k][0], cell[k][1], &v[k]);
        snprintf(text, sizeof text, "%.2s-%.4s", line + 72, line + 74);
        c->pdf = bragg_cards_keep(c, text, 7);
    } else if (line[79] == '4') {
        c->space_group = bragg_cards_keep(c, line, 8);
        if (fixed_number(line, 12, 14, &number))
            c->group_number = (int)number;
        if (fixed_number(line, 37, 43, &number))
            c->density = number;
    } else if (line[79] == '6' && !*c->note) {
        c->note = bragg_cards_keep(c, line, 67);
    } else if (line[79] == '8' && !*c->formula) {
        c->formula = bragg_cards_keep(c, line, 67);
    } else if (line[79] == 'I') {
        for (int k = 0; k < 69 && st == BRAGG_OK; k += 23) {
            double d, i, h = 0, q = 0, l = 0;
            fixed_number(line, 12 + k, 14 + k, &h);
            fixed_number(line, 15 + k, 17 + k, &q);
            fixed_number(line, 18 + k, 20 + k, &l);
            if (fixed_number(line, 1 + k, 7 + k, &d) && fixed_number(line, 8 + k, 10 + k, &i))
                st = bragg_cards_add_line(c, room, (bragg_card_line){ (int)h, (int)q, (int)l, d, i }, err);
        }
    }
    return st;
}

bool bragg_cards_is_pdf2(const char *text)
{
    size_t n = strcspn(text, "\r\n");
    return n == 80 && strchr("123456789ABCI*", text[79]) && isdigit((unsigned char)text[72]);
}

bragg_status bragg_cards_read_pdf2(const cards_source *from, bragg_card *c, bragg_error *err)
{
    double v[6] = { 0 };
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (const char *line = (const char *)from->bytes; *line && st == BRAGG_OK; line += strcspn(line, "\n"), line += *line == '\n')
        if (strcspn(line, "\r\n") >= 80)
            st = take_pdf2(c, line, v, &room, err);
    bragg_cards_complete_cell(c, v, c->group_number >= 143 && c->group_number <= 194 ? "hex" : "");
    return st;
}

/* ------------------------------------------------------ a card as text (Jade) */

/* "PDF#35-0517: QM=Star; d=…", name, formula, "I/Ic(RIR)=", "Hexagonal, R-3m (166) Z=3",
 * "CELL: a x b x c <alpha x beta x gamma>", "2-Theta d(A) I(f) ( h k l) Theta …", rows; as
 * programs that read such exports take it. */
bool bragg_cards_is_text(const char *text)
{
    return !strncmp(text + strspn(text, " \t\r\n\xef\xbb\xbf"), "PDF#", 4);
}

/* Numbers from text on, all else between them passed over; returns how many. */
static int numbers_in(const char *text, size_t n, double *v, int most)
{
    int got = 0;
    for (const char *at = text, *end; at < text + n && got < most;)
        if (bragg_number_scan(at, &end, &v[got])) {
            got++;
            at = end;
        } else {
            at++;
        }
    return got;
}

static double after_key(const char *line, size_t n, const char *key)
{
    const char *at = memmem(line, n, key, strlen(key)), *end;
    double v;
    return at && bragg_number_scan(at + strlen(key) + strspn(at + strlen(key), " "), &end, &v) ? v : NAN;
}

/* "Hexagonal - Powder, R-3m (166) Z=3": symbol and number before Z. */
static void take_group(bragg_card *c, const char *line, size_t n)
{
    const char *comma = memchr(line, ',', n), *open = memchr(line, '(', n);
    double number;
    if (!comma || !open || open < comma || !memmem(open, n - (size_t)(open - line), "Z=", 2) || numbers_in(open + 1, n - (size_t)(open + 1 - line), &number, 1) != 1)
        return;
    c->space_group = bragg_cards_keep(c, comma + 1, (size_t)(open - comma - 1));
    c->group_number = number > 0 && number <= 230 ? (int)number : 0;
}

static void take_heading(bragg_card *c, const char *line, size_t n, size_t place, double *wavelength)
{
    double v[6], rir = after_key(line, n, "I/Ic(RIR)="), density = after_key(line, n, "Density(c)="), lambda = after_key(line, n, "Lambda=");
    c->rir = rir > 0 ? rir : c->rir;
    c->density = density > 0 ? density : c->density;
    *wavelength = lambda > 0 ? lambda : *wavelength;
    if (!place)
        c->pdf = bragg_cards_keep(c, strchr(line, '#') + 1, strcspn(strchr(line, '#') + 1, ": \t\r\n"));
    else if (place == 1)
        c->note = bragg_cards_keep(c, line, n);
    else if (place == 2)
        c->formula = bragg_cards_keep(c, line, n);
    else if (!strncasecmp(line, "CELL:", 5) && numbers_in(line + 5, n - 5, v, 6) == 6)
        bragg_cards_set_cell(c, v);
    else if (!strncasecmp(line, "Ref:", 4) && !*c->reference)
        c->reference = bragg_cards_keep(c, line + 4, n - 4);
    else
        take_group(c, line, n);
}

/* Of a row the numbers of 2theta and d, the intensity, "<1" too, and the indices if there are. */
static bragg_card_line text_row(const char *line, size_t n)
{
    const char *open = memchr(line, '(', n);
    double v[3] = { NAN, NAN, NAN }, hkl[3] = { 0, 0, 0 };
    numbers_in(line, open ? (size_t)(open - line) : n, v, 3);
    if (open && numbers_in(open + 1, n - (size_t)(open + 1 - line), hkl, 3) != 3)
        memset(hkl, 0, sizeof hkl);
    return (bragg_card_line){ bragg_number_miller(hkl[0]), bragg_number_miller(hkl[1]), bragg_number_miller(hkl[2]), v[1], v[2] };
}

bragg_status bragg_cards_read_text(const cards_source *from, bragg_card *c, bragg_error *err)
{
    size_t place = 0, room = 0;
    double wavelength = NAN;
    bool rows = false;
    bragg_status st = BRAGG_OK;
    for (const char *line = strstr((const char *)from->bytes, "PDF#"); *line && st == BRAGG_OK; line += strcspn(line, "\n"), line += *line == '\n') {
        line += strspn(line, " \t");
        size_t n = strcspn(line, "\r\n");
        if (rows && isdigit((unsigned char)*line))
            st = bragg_cards_add_line(c, &room, text_row(line, n), err);
        else if (!strncasecmp(line, "2-Theta", 7))
            rows = true;
        else if (!rows && n)
            take_heading(c, line, n, place++, &wavelength);
    }
    bragg_cards_rescale(c, wavelength);
    return st;
}

/* ------------------------------------------------------------- PDF-4, XML */

static const xmlNode *child_of(const xmlNode *node, const char *name)
{
    for (const xmlNode *k = node ? node->children : NULL; k; k = k->next)
        if (k->type == XML_ELEMENT_NODE && !strcmp((const char *)k->name, name))
            return k;
    return NULL;
}

/* All text of a child, tags like <sub> dropped; "". */
static const char *text_in(bragg_card *c, const xmlNode *node, const char *name)
{
    xmlChar *text = xmlNodeGetContent(child_of(node, name));
    const char *kept = text ? bragg_cards_keep(c, (const char *)text, strlen((const char *)text)) : "";
    xmlFree(text);
    return kept;
}

static double number_in(bragg_card *c, const xmlNode *node, const char *name)
{
    const char *text = text_in(c, node, name), *end;
    double v;
    return bragg_number_scan(text + strspn(text, "<~ "), &end, &v) ? v : NAN;
}

/* Intensities like "7m" (several hkl) and "<1". */
static bragg_status xml_lines(bragg_card *c, const xmlNode *series, bragg_error *err)
{
    size_t room = 0;
    bragg_status st = BRAGG_OK;
    for (const xmlNode *k = series ? series->children : NULL; k && st == BRAGG_OK; k = k->next) {
        if (k->type != XML_ELEMENT_NODE || strcmp((const char *)k->name, "intensity"))
            continue;
        double h = number_in(c, k, "h"), q = number_in(c, k, "k"), l = number_in(c, k, "l");
        st = bragg_cards_add_line(c, &room, (bragg_card_line){ isnan(h) ? 0 : (int)h, isnan(q) ? 0 : (int)q, isnan(l) ? 0 : (int)l, number_in(c, k, "da"), number_in(c, k, "intensity") }, err);
    }
    return st;
}

/* The card of ICDD's PDF-4 as XML: pdfcard / pdf_data, graphs / stick_series, whose
 * elements people's scripts name alike. */
bragg_status bragg_cards_read_pdf4(const cards_source *from, bragg_card *c, bragg_error *err)
{
    static const char *const edges[6] = { "xtla", "xtlb", "xtlc", "xtlal", "xtlbe", "xtlga" };
    xmlDoc *doc = xmlReadMemory((const char *)from->bytes, (int)from->size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL, *data = child_of(root, "pdf_data");
    double v[6];
    if (!data) {
        xmlFreeDoc(doc);
        return bragg_fail(err, BRAGG_EDATA, "expected a PDF-4 card (pdfcard with pdf_data), found another or damaged XML");
    }
    c->pdf = text_in(c, data, "pdf_number");
    c->formula = text_in(c, data, *text_in(c, data, "empirical_formula") ? "empirical_formula" : "chemical_formula");
    c->note = text_in(c, data, *text_in(c, data, "mineral_name") ? "mineral_name" : "chemical_name");
    c->space_group = text_in(c, data, *text_in(c, data, "spgr") ? "spgr" : "xtlsg");
    c->rir = number_in(c, data, "iic");
    for (int k = 0; k < 6; k++)
        v[k] = number_in(c, data, edges[k]);
    bragg_cards_complete_cell(c, v, text_in(c, data, "xstal_system"));
    bragg_status st = xml_lines(c, child_of(child_of(root, "graphs"), "stick_series"), err);
    xmlFreeDoc(doc);
    return st;
}
