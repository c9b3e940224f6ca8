/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fields of comma-separated values: RFC 4180. */
#include "config.h"
#include <bragg/csv.h>
#include <bragg/number.h>

#include <math.h>
#include <string.h>

void bragg_csv_text(FILE *to, const char *text, const char *end)
{
    bool quote = strpbrk(text, ",\"\r\n") != NULL;
    if (quote)
        fputc('"', to);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', to);
        fputc(*text, to);
    }
    fprintf(to, "%s%s", quote ? "\"" : "", end);
}

void bragg_csv_number(FILE *to, double value, int digits, const char *end)
{
    char text[BRAGG_NUMBER_TEXT];
    if (!isfinite(value))
        fputs(end, to);
    else if (!digits && fabs(value) < 1e15 && value == rint(value)) /* counts, quickly */
        fprintf(to, "%lld%s", (long long)value, end);
    else
        fprintf(to, "%s%s", digits ? bragg_number_print_digits(text, value, digits) : bragg_number_print(text, value), end);
}

bool bragg_csv_field(const char **at, char *text, size_t size)
{
    const char *c = *at;
    bool quoted = *c == '"';
    size_t n = 0;
    for (c += quoted; *c && (quoted || (*c != ',' && *c != '\r' && *c != '\n')); c++) {
        if (quoted && *c == '"' && *++c != '"') { /* two are one of the text */
            quoted = false;
            c--;
            continue;
        }
        if (n + 1 < size)
            text[n++] = *c;
    }
    if (size)
        text[n] = '\0';
    bool more = *c == ',';
    *at = c + more;
    return more;
}
