/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logs as delimited text: any cycler's or furnace's export. */
#include "config.h"
#include "private.h"
#include <bragg/number.h>

#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_WIDTH = 4096, CELL_TEXT = 256, LOOK_ROWS = 200 };

/* ---- encodings ---- */

/* A file that grows may end inside a character. */
static bool is_utf8(const unsigned char *p, size_t n)
{
    size_t whole = bragg_utf8_whole(p, n), rest = n - whole;
    unsigned char last[4] = { 0x80, 0x80, 0x80, 0x80 };
    if (rest >= sizeof last)
        return false;
    memcpy(last, p + whole, rest);
    return !rest || bragg_utf8_whole(last, sizeof last) > rest;
}

/* Chinese exports of Neware and LAND are GB 18030, whose characters are mostly
 * two high bytes; the high bytes of Latin-1 (degree, micro) stand alone. */
static bool looks_gb(const unsigned char *p, size_t n)
{
    size_t alone = 0, paired = 0;
    for (size_t i = 0; i < n;) {
        size_t run = 0;
        while (i + run < n && p[i + run] >= 0x80)
            run++;
        alone += run % 2;
        paired += run / 2;
        i += run ? run : 1;
    }
    return paired > 4 * alone;
}

/* From GB 18030 into text with room for 2 n + 4; 0 when it is not that. */
static size_t from_gb(const unsigned char *p, size_t n, char *text)
{
    iconv_t cd = iconv_open("UTF-8", "GB18030");
    char *from = (char *)p, *to = text;
    size_t left = n, room = 2 * n;
    if (cd == (iconv_t)-1)
        return 0;
    /* a character cut off at the end of a growing file is left out */
    bool bad = iconv(cd, &from, &left, &to, &room) == (size_t)-1 && left > 3;
    iconv_close(cd);
    return bad ? 0 : (size_t)(to - text);
}

char *bragg_text_utf8(const unsigned char *p, size_t n, size_t *out_length)
{
    bool utf16le = n >= 2 && p[0] == 0xFF && p[1] == 0xFE, utf16be = n >= 2 && p[0] == 0xFE && p[1] == 0xFF;
    if (n >= 3 && !memcmp(p, "\xEF\xBB\xBF", 3))
        p += 3, n -= 3;
    char *text = malloc(2 * n + 4);
    size_t k = 0;
    if (!text)
        return NULL;
    if (utf16le || utf16be) {
        for (size_t i = 2; i + 1 < n; i += 2)
            k += bragg_utf8_put(text + k, utf16le ? p[i] | (unsigned)p[i + 1] << 8 : p[i + 1] | (unsigned)p[i] << 8);
    } else if (is_utf8(p, n)) {
        memcpy(text, p, n);
        k = n;
    } else if (!looks_gb(p, n) || !(k = from_gb(p, n, text))) {
        for (size_t i = 0; i < n; i++)
            k += bragg_utf8_put(text + k, p[i]);
    }
    text[k] = '\0';
    *out_length = k;
    return text;
}

/* ---- lines and cells ---- */

bragg_status bragg_lines_read(const log_source *source, log_lines *lines, bragg_error *err)
{
    size_t length;
    *lines = (log_lines){ .text = bragg_text_utf8(source->bytes, source->length, &length) };
    if (!lines->text)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu bytes of text", source->length);
    /* a disk that was full, or a file laid out before it is written, ends in NULs */
    while (length && !lines->text[length - 1])
        length--;
    char *nul = memchr(lines->text, '\0', length);
    if (nul)
        return bragg_fail(err, BRAGG_EDATA, "expected text, found a NUL at byte %zu", (size_t)(nul - lines->text));
    size_t n = 1;
    for (size_t i = 0; i < length; i++)
        n += lines->text[i] == '\n' || lines->text[i] == '\r';
    if (!(lines->line = malloc(n * sizeof *lines->line)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for %zu lines", n);
    lines->terminated = length && (lines->text[length - 1] == '\n' || lines->text[length - 1] == '\r');
    for (char *p = lines->text, *end = p + length; p < end;) {
        lines->line[lines->n++] = p;
        p += strcspn(p, "\r\n");
        bool crlf = p[0] == '\r' && p[1] == '\n';
        if (p < end)
            *p = '\0';
        p += crlf ? 2 : 1;
    }
    return BRAGG_OK;
}

void bragg_lines_free(log_lines *lines)
{
    free(lines->text);
    free(lines->line);
    *lines = (log_lines){ 0 };
}

/* Next cell of a line, trimmed and unquoted, into cell; NULL behind the last. */
static const char *next_cell(const char *p, char separator, char *cell)
{
    size_t n = 0;
    if (!p)
        return NULL;
    while (*p == ' ' || (separator == ' ' && *p == '\t'))
        p++;
    bool quoted = *p == '"';
    if (quoted)
        p++;
    for (; *p; p++) {
        if (quoted && *p == '"') {
            if (p[1] != '"') {
                quoted = false;
                continue;
            }
            p++;
        } else if (!quoted && (*p == separator || (separator == ' ' && *p == '\t'))) {
            break;
        }
        if (n + 1 < CELL_TEXT)
            cell[n++] = *p;
    }
    while (n && (cell[n - 1] == ' ' || cell[n - 1] == '\t'))
        n--;
    cell[n] = '\0';
    if (separator == ' ')
        p += strspn(p, " \t");
    else if (*p == separator)
        return p + 1;
    return *p ? p : "\0\0" + 1; /* an empty rest: no further cell */
}

/* Cells of a line; with blanks for a separator, blanks at the end do not count. */
static size_t count_cells(const char *line, char separator)
{
    char cell[CELL_TEXT];
    size_t n = 0;
    line += separator == ' ' ? strspn(line, " \t") : 0;
    while (*line && n < MAX_WIDTH) {
        line = next_cell(line, separator, cell);
        n++;
    }
    return n;
}

/* A number with point or comma; "1,234.5" and "1.234,5" have thousands. */
static bool cell_number(const char *cell, bool decimal_comma, double *value)
{
    char plain[CELL_TEXT];
    size_t n = 0;
    if (!strpbrk(cell, ","))
        return bragg_number_parse(cell, value);
    char decimal = decimal_comma ? ',' : '.', thousands = decimal_comma ? '.' : ',';
    for (; *cell && n + 1 < sizeof plain; cell++)
        if (*cell != thousands)
            plain[n++] = *cell == decimal ? '.' : *cell;
    plain[n] = '\0';
    return bragg_number_parse(plain, value);
}

static bool numeric_cell(const char *cell)
{
    double v;
    return cell_number(cell, true, &v) || cell_number(cell, false, &v) || bragg_duration_parse(cell, &v)
           || bragg_time_parse(cell, BRAGG_DATE_AUTO, 0, &v);
}

/* How a line looks: cells, and how many of them are numbers, texts. */
typedef struct line_look {
    size_t cells, numbers, texts;
} line_look;

static line_look look(const char *line, char separator)
{
    char cell[CELL_TEXT];
    line_look l = { 0 };
    line += separator == ' ' ? strspn(line, " \t") : 0;
    while (*line && l.cells < MAX_WIDTH) {
        line = next_cell(line, separator, cell);
        l.cells++;
        if (numeric_cell(cell))
            l.numbers++;
        else if (*cell)
            l.texts++;
    }
    return l;
}

static bool has_number(const char *line, char separator)
{
    char cell[CELL_TEXT];
    for (size_t n = 0; *line && n < MAX_WIDTH; n++) {
        line = next_cell(line, separator, cell);
        if (numeric_cell(cell))
            return true;
    }
    return false;
}

static bool data_look(line_look l)
{
    return l.numbers >= 2 && l.numbers > l.texts;
}

/* First of two lines alike that are mostly numbers, and the separator that
 * makes most cells of them.  SIZE_MAX when there is none. */
static size_t find_data(const log_lines *lines, char *separator)
{
    static const char separators[] = "\t;, ";
    size_t best = SIZE_MAX, best_cells = 1;
    for (const char *s = separators; *s; s++) {
        line_look before = { 0 };
        for (size_t i = 0; i < lines->n; i++) {
            line_look now = look(lines->line[i], *s);
            bool alone = i + 1 == lines->n && best == SIZE_MAX;
            if (data_look(now) && ((data_look(before) && now.cells == before.cells) || alone)) {
                /* "1,5;2,5": a comma that splits numbers is a decimal; "5/1/2024 10:00": blanks
                 * separate only where nothing else does */
                if (now.cells > best_cells && !(best != SIZE_MAX && (*s == ',' || *s == ' '))) {
                    best = i - (data_look(before) && now.cells == before.cells);
                    best_cells = now.cells;
                    *separator = *s;
                }
                break;
            }
            before = now;
        }
    }
    /* rows above with empty cells at their end are rows as well */
    while (best != SIZE_MAX && best > 0) {
        line_look above = look(lines->line[best - 1], *separator);
        if (!data_look(above) || above.texts || 2 * above.cells < best_cells)
            break;
        best--;
    }
    return best;
}

/* Commas are decimals where the separator is another and no cell has a point. */
static bool uses_decimal_comma(const log_lines *lines, size_t first)
{
    char cell[CELL_TEXT];
    size_t commas = 0, points = 0;
    if (lines->separator == ',')
        return false;
    for (size_t i = first; i < lines->n && i < first + LOOK_ROWS; i++)
        for (const char *p = lines->line[i]; *p;) {
            double v;
            p = next_cell(p, lines->separator, cell);
            if (strchr(cell, ',') && cell_number(cell, true, &v))
                commas++;
            else if (strchr(cell, '.') && bragg_number_parse(cell, &v))
                points++;
        }
    return commas > points;
}

/* ---- columns ---- */

typedef enum cell_kind { CELL_EMPTY, CELL_NUMBER, CELL_CLOCK, CELL_DATE, CELL_TEXT_ONLY } cell_kind;

/* What is known of a column while it is read. */
typedef struct column_state {
    cell_kind kind;
    bool wall, date_only;     /* numbers and dates are points in time */
    bragg_date_order order;
    bool ambiguous;           /* no day above 12 told the order */
    bool zone_known, utc;     /* whether the offset of the zone makes a difference */
    size_t bad, first_bad;
    char bad_text[40];
} column_state;

static bool is_empty(const char *cell) { return !*cell || !strcmp(cell, "-") || !strcasecmp(cell, "nan") || !strcasecmp(cell, "n/a"); }

static cell_kind kind_of(const char *cell, bool decimal_comma)
{
    double v;
    if (is_empty(cell))
        return CELL_EMPTY;
    if (cell_number(cell, decimal_comma, &v))
        return CELL_NUMBER;
    if (bragg_duration_parse(cell, &v))
        return CELL_CLOCK;
    if (bragg_time_parse(cell, BRAGG_DATE_DMY, 0, &v) || bragg_time_parse(cell, BRAGG_DATE_MDY, 0, &v))
        return CELL_DATE;
    return CELL_TEXT_ONLY;
}

/* "13/5/2024" and "5/13/2024" tell the order of all dates in their column. */
static void watch_order(column_state *s, const char *cell)
{
    char *end;
    long first = strtol(cell, &end, 10), second = *end && strchr("/-", *end) ? strtol(end + 1, NULL, 10) : 0;
    if (first > 31 || !second)
        s->ambiguous = false;
    else if (first > 12)
        s->order = BRAGG_DATE_DMY, s->ambiguous = false;
    else if (second > 12)
        s->order = BRAGG_DATE_MDY, s->ambiguous = false;
    s->date_only = s->date_only && !strchr(cell, ':');
}

static void watch_columns(const log_lines *lines, size_t first, size_t width, column_state *state,
                          bragg_date_order order)
{
    char cell[CELL_TEXT];
    for (size_t c = 0; c < width; c++)
        state[c] = (column_state){ .ambiguous = order == BRAGG_DATE_AUTO, .date_only = true, .order = order };
    for (size_t i = first; i < lines->n; i++) {
        const char *p = lines->line[i];
        for (size_t c = 0; c < width && *p; c++) {
            p = next_cell(p, lines->separator, cell);
            column_state *s = &state[c];
            if (s->kind == CELL_EMPTY || s->kind == CELL_TEXT_ONLY)
                s->kind = kind_of(cell, lines->decimal_comma) == CELL_EMPTY ? s->kind : kind_of(cell, lines->decimal_comma);
            if (s->kind == CELL_DATE && *cell && (s->ambiguous || s->date_only))
                watch_order(s, cell);
        }
        bool done = i >= first + LOOK_ROWS;
        for (size_t c = 0; c < width && done; c++)
            done = !(state[c].kind == CELL_DATE && state[c].ambiguous && order == BRAGG_DATE_AUTO);
        if (done)
            break;
    }
}

static double cell_value(const log_lines *lines, const log_source *source, column_state *s, const char *cell,
                         size_t row)
{
    double v = NAN;
    bool read = false;
    if (is_empty(cell))
        return NAN;
    if (!s->zone_known && (s->kind == CELL_DATE || s->wall)) {
        double here, there;
        s->zone_known = bragg_time_parse(cell, s->order, 0, &here) && bragg_time_parse(cell, s->order, 3600, &there);
        s->utc = s->zone_known && here == there;
    }
    if (s->kind == CELL_DATE)
        read = bragg_time_parse(cell, s->order, source->options->utc_offset_s, &v);
    else if (s->wall && cell_number(cell, lines->decimal_comma, &v)) {
        char plain[BRAGG_NUMBER_TEXT];
        read = bragg_time_parse(bragg_number_print(plain, v), s->order, source->options->utc_offset_s, &v);
    } else
        read = cell_number(cell, lines->decimal_comma, &v) || bragg_duration_parse(cell, &v);
    if (read)
        return v;
    if (!s->bad++) {
        s->first_bad = row;
        snprintf(s->bad_text, sizeof s->bad_text, "%.*s", bragg_utf8_most(cell, 30), cell);
    }
    return NAN;
}

/* Where the names begin: a header may be a comment. */
static const char *header_start(const char *line, char separator)
{
    return line + strspn(line, separator == ' ' ? "#% \t" : "#");
}

/* The header's names and units; a second header line of units alone is used. */
static bragg_status name_columns(const log_lines *lines, size_t header, size_t units_line, log_grid *g,
                                 bragg_error *err)
{
    char cell[CELL_TEXT], unit_cell[CELL_TEXT];
    const char *p = header == SIZE_MAX ? "" : header_start(lines->line[header], lines->separator);
    const char *u = units_line == SIZE_MAX ? "" : lines->line[units_line];
    for (size_t c = 0; c < g->width; c++) {
        *cell = *unit_cell = '\0';
        if (*p)
            p = next_cell(p, lines->separator, cell);
        if (*u)
            u = next_cell(u, lines->separator, unit_cell);
        if (!*cell)
            snprintf(cell, sizeof cell, "column %zu", c + 1);
        if (!bragg_header_split(cell, &g->names[c], &g->units[c]))
            return bragg_fail(err, BRAGG_ENOMEM, "no room for names");
        if (*unit_cell) {
            size_t n = strlen(unit_cell);
            bool brackets = n > 2 && strchr("[(", unit_cell[0]);
            free(g->units[c]);
            g->units[c] = strndup(unit_cell + brackets, n - 2 * (size_t)brackets);
            if (!g->units[c])
                return bragg_fail(err, BRAGG_ENOMEM, "no room for units");
        }
    }
    return BRAGG_OK;
}

static void settle_columns(log_grid *g, column_state *state, bragg_log_table *t)
{
    for (size_t c = 0; c < g->width; c++) {
        int rank;
        bragg_channel guess = bragg_channel_guess(g->names[c], g->units[c], &rank);
        if (state[c].kind == CELL_DATE) {
            g->channels[c] = BRAGG_CHANNEL_WALL;
            if (state[c].ambiguous)
                bragg_table_note(t, BRAGG_NOTE_COLUMN, SIZE_MAX,
                                 "column '%.*s': no date tells day from month; month first was taken (date_order)", bragg_utf8_most(g->names[c], 40), g->names[c]);
        } else if (guess == BRAGG_CHANNEL_WALL) {
            state[c].wall = true;
        }
        if (state[c].kind == CELL_TEXT_ONLY)
            g->channels[c] = BRAGG_CHANNEL_OTHER;
        if (state[c].kind == CELL_CLOCK && *g->units[c] && !strstr(g->units[c], "hh:")) {
            char *clock = strdup("hh:mm:ss");
            if (clock) {
                free(g->units[c]);
                g->units[c] = clock;
            } else {
                *g->units[c] = '\0'; /* seconds, too */
            }
        }
    }
}

/* "Date" and "Time" in two columns: the sum goes into the first. */
static void join_date_and_time(log_grid *g, const column_state *state)
{
    size_t date = SIZE_MAX, clock = SIZE_MAX;
    for (size_t c = 0; c < g->width; c++) {
        if (state[c].kind == CELL_DATE && state[c].date_only && date == SIZE_MAX)
            date = c;
        if (state[c].kind == CELL_CLOCK && clock == SIZE_MAX && !strncasecmp(g->names[c], "time", 4))
            clock = c;
    }
    if (date == SIZE_MAX || clock == SIZE_MAX)
        return;
    for (size_t r = 0; r < g->n; r++)
        g->cells[r * g->width + date] += g->cells[r * g->width + clock];
    g->channels[clock] = BRAGG_CHANNEL_OTHER;
}

static void note_bad_cells(bragg_log_table *t, const log_grid *g, const column_state *state)
{
    for (size_t c = 0; c < g->width; c++)
        if (state[c].bad && state[c].kind != CELL_TEXT_ONLY)
            bragg_table_note(t, BRAGG_NOTE_COLUMN, state[c].first_bad,
                             "column '%.*s': %zu cells are no numbers, the first '%s'", bragg_utf8_most(g->names[c], 40), g->names[c],
                             state[c].bad, state[c].bad_text);
}

static size_t last_cell_length(const char *line, char separator)
{
    char cell[CELL_TEXT] = "";
    for (const char *p = line; *p;)
        p = next_cell(p, separator, cell);
    return strlen(cell);
}

/* A file that is being written may end anywhere: a last line without its line
 * end counts only when it is as wide, and its last cell as long, as the one
 * before. */
static bool half_written(const log_lines *lines, size_t i, size_t width)
{
    if (i + 1 < lines->n || lines->terminated)
        return false;
    size_t cells = count_cells(lines->line[i], lines->separator);
    return cells < width || i == 0
           || (count_cells(lines->line[i - 1], lines->separator) == cells
               && last_cell_length(lines->line[i], lines->separator)
                      < last_cell_length(lines->line[i - 1], lines->separator));
}

static bragg_status read_rows(const log_lines *lines, size_t first, log_grid *g, column_state *state,
                              bragg_log_table *t, const log_source *source, bragg_error *err)
{
    char cell[CELL_TEXT];
    size_t skipped = 0, first_skipped = 0;
    for (size_t i = first; i < lines->n; i++) {
        const char *p = lines->line[i];
        p += lines->separator == ' ' ? strspn(p, " \t") : 0;
        if (!p[strspn(p, " \t;,")])
            continue;
        if (half_written(lines, i, g->width)) {
            bragg_table_note(t, BRAGG_NOTE_INCOMPLETE, g->n, "line %zu is half-written: left out", i + 1);
            continue;
        }
        size_t cells = count_cells(p, lines->separator);
        /* cells at the end may be empty and their separators missing */
        if (cells > g->width + 1 || 2 * cells < g->width || !has_number(p, lines->separator)) {
            first_skipped = skipped++ ? first_skipped : i + 1;
            continue;
        }
        size_t row = g->n;
        double *values = bragg_grid_row(g);
        if (!values)
            return bragg_fail(err, BRAGG_ENOMEM, "line %zu: no room for more rows", i + 1);
        for (size_t c = 0; c < g->width && *p; c++) {
            p = next_cell(p, lines->separator, cell);
            if (state[c].kind == CELL_TEXT_ONLY && *cell)
                values[c] = bragg_grid_label(g, c, cell);
            else
                values[c] = cell_value(lines, source, &state[c], cell, row);
        }
    }
    if (skipped)
        bragg_table_note(t, BRAGG_NOTE_OTHER, SIZE_MAX, "%zu lines are no rows of this table, the first line %zu: left out",
                         skipped, first_skipped);
    return BRAGG_OK;
}

static bool units_look(const char *line, char separator)
{
    char cell[CELL_TEXT];
    size_t known = 0, other = 0;
    while (*line) {
        line = next_cell(line, separator, cell);
        size_t n = strlen(cell);
        bool brackets = n > 2 && strchr("[(", cell[0]);
        if (brackets)
            cell[n - 1] = '\0';
        if (*cell)
            bragg_unit_known(cell + brackets) ? known++ : other++;
    }
    return known >= 1 && known >= other;
}

/* Lines from `first` on with the names in `header` (SIZE_MAX: none). */
static bragg_status table_from(log_lines *lines, size_t header, size_t units_line, size_t first,
                               bragg_log_table *t, const log_source *source, bragg_error *err)
{
    const char *model = header == SIZE_MAX ? lines->line[first] : header_start(lines->line[header], lines->separator);
    size_t width = count_cells(model, lines->separator);
    size_t data_width = first < lines->n ? count_cells(lines->line[first], lines->separator) : width;
    log_grid g = { 0 };
    width = data_width > width ? data_width : width;
    if (width >= MAX_WIDTH || !width)
        return bragg_fail(err, BRAGG_EDATA, "line %zu: expected 1 to %d columns, found %zu", header + 1, MAX_WIDTH - 1, width);
    column_state *state = calloc(width, sizeof *state);
    bragg_status st = state ? bragg_grid_init(&g, width, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for columns");
    lines->decimal_comma = uses_decimal_comma(lines, first);
    if (st == BRAGG_OK)
        st = name_columns(lines, header, units_line, &g, err);
    if (st == BRAGG_OK) {
        watch_columns(lines, first, width, state, source->options->date_order);
        settle_columns(&g, state, t);
        st = read_rows(lines, first, &g, state, t, source, err);
    }
    if (st == BRAGG_OK) {
        join_date_and_time(&g, state);
        note_bad_cells(t, &g, state);
        for (size_t c = 0; c < width; c++)
            g.utc |= state[c].utc;
        st = bragg_table_finish(t, &g, source, err);
    }
    free(state);
    bragg_grid_free(&g);
    return st;
}

bragg_status bragg_lines_table(log_lines *lines, size_t header, bragg_log_table *t, const log_source *source,
                               bragg_error *err)
{
    return table_from(lines, header, SIZE_MAX, header + 1, t, source, err);
}

/* The header is the nearest line above the data with about as many cells. */
static size_t find_header(const log_lines *lines, size_t first, size_t *units_line)
{
    size_t cells = count_cells(lines->line[first], lines->separator);
    *units_line = SIZE_MAX;
    for (size_t i = first; i-- > 0;) {
        const char *line = lines->line[i];
        line_look l = look(line + strspn(line, "#"), lines->separator);
        if (l.cells + 1 < cells || l.texts == 0 || l.texts < l.numbers)
            continue;
        if (*units_line == SIZE_MAX && units_look(line, lines->separator) && i > 0) {
            *units_line = i;
            continue;
        }
        return i;
    }
    size_t only = *units_line;
    *units_line = SIZE_MAX;
    return only;
}

bragg_status bragg_log_text(const log_source *source, bragg_log_table **out, bragg_error *err)
{
    log_lines lines;
    bragg_log_table *t = bragg_table_new("text");
    bragg_status st = t ? bragg_lines_read(source, &lines, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a table");
    if (!t)
        return st;
    size_t units_line, first = st == BRAGG_OK ? find_data(&lines, &lines.separator) : SIZE_MAX;
    if (st == BRAGG_OK && first == SIZE_MAX)
        st = bragg_fail(err, BRAGG_EDATA, "expected a table of numbers, found none in %zu lines", lines.n);
    if (st == BRAGG_OK) {
        size_t header = find_header(&lines, first, &units_line);
        st = table_from(&lines, header, units_line, first, t, source, err);
    }
    bragg_lines_free(&lines);
    if (st < 0)
        bragg_log_free(t);
    else
        *out = t;
    return st;
}
