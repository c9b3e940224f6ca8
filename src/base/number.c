/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers in text, independent of the locale. */
#include "config.h"
#include <bragg/number.h>

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The "C" locale object is made once; uselocale() is per thread, so parsing
 * and printing never touch the locale of the program. */
static locale_t c_locale(void)
{
    static locale_t shared;
    locale_t here = __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
    if (here)
        return here;
    locale_t fresh = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t none = (locale_t)0;
    if (!__atomic_compare_exchange_n(&shared, &none, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        if (fresh)
            freelocale(fresh);
        return none;
    }
    return fresh;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* strtod also reads "0x1p3", which no measurement means. */
static bool hexadecimal(const char *text)
{
    if (*text == '+' || *text == '-')
        text++;
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/* Powers of ten that a double holds exactly. */
static const double exact_ten[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* Clinger's fast path: up to 15 digits and a small power of ten are exact in
 * one multiplication or division, correctly rounded (W. D. Clinger, PLDI 1990).
 * False sends the text to strtod. */
static bool scan_fast(const char *p, const char **end, double *value)
{
    bool negative = *p == '-';
    if (*p == '+' || *p == '-')
        p++;
    unsigned long long digits = 0;
    int n = 0, scale = 0, seen = 0;
    for (; *p >= '0' && *p <= '9'; p++, seen++) {
        if (digits || *p != '0')
            digits = 10 * digits + (unsigned)(*p - '0'), n++;
        if (n > 15)
            return false;
    }
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, seen++, scale--) {
            if (digits || *p != '0')
                digits = 10 * digits + (unsigned)(*p - '0'), n++;
            if (n > 15)
                return false;
        }
    if (!seen || *p == 'e' || *p == 'E' || *p == 'x' || *p == 'X' || scale < -22)
        return false;
    double v = (double)digits / exact_ten[-scale];
    *value = negative ? -v : v;
    *end = p;
    return true;
}

bool bragg_number_scan(const char *text, const char **end, double *value)
{
    while (blank(*text))
        text++;
    if (scan_fast(text, end, value))
        return true;
    if (hexadecimal(text))
        return false;
    locale_t before = uselocale(c_locale());
    int saved = errno;
    char *stop;
    errno = 0;
    double v = strtod(text, &stop);
    bool overflow = errno == ERANGE && isinf(v);
    errno = saved;
    uselocale(before);
    if (stop == text || overflow)
        return false;
    *value = v;
    *end = stop;
    return true;
}

bool bragg_number_parse(const char *text, double *value)
{
    const char *end;
    double v;
    if (!bragg_number_scan(text, &end, &v))
        return false;
    while (blank(*end))
        end++;
    if (*end)
        return false;
    *value = v;
    return true;
}

bool bragg_number_parse_n(const char *text, size_t length, double *value)
{
    char copy[128];
    if (length >= sizeof copy || memchr(text, '\0', length))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return bragg_number_parse(copy, value);
}

bool bragg_integer_parse(const char *text, long long *value)
{
    while (blank(*text))
        text++;
    if (!(*text >= '0' && *text <= '9') && *text != '-' && *text != '+')
        return false;
    int saved = errno;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    bool ok = end != text && errno == 0;
    errno = saved;
    while (blank(*end))
        end++;
    if (!ok || *end)
        return false;
    *value = v;
    return true;
}

/* The size of one unit in the last printed digit of "12.345e-2". */
static double last_digit(const char *text, const char *end)
{
    int decimals = 0, exponent = 0;
    bool point = false;
    for (const char *p = text; p < end; p++) {
        if (*p == 'e' || *p == 'E') {
            exponent = (int)strtol(p + 1, NULL, 10);
            break;
        }
        decimals += point && *p >= '0' && *p <= '9';
        point |= *p == '.';
    }
    return pow(10, exponent - decimals);
}

bool bragg_number_parse_esd(const char *text, double *value, double *esd)
{
    const char *end;
    double v, e = NAN;
    if (!bragg_number_scan(text, &end, &v))
        return false;
    if (*end == '(') {
        char *close;
        if (!(end[1] >= '0' && end[1] <= '9'))
            return false;
        double digits = (double)strtoull(end + 1, &close, 10);
        if (*close != ')')
            return false;
        e = digits * last_digit(text, end);
        end = close + 1;
    }
    while (blank(*end))
        end++;
    if (*end)
        return false;
    *value = v;
    *esd = e;
    return true;
}

static void print_g(char *buffer, size_t size, int digits, double value)
{
    locale_t before = uselocale(c_locale());
    snprintf(buffer, size, "%.*g", digits, value);
    uselocale(before);
}

char *bragg_number_print_digits(char buffer[BRAGG_NUMBER_TEXT], double value, int digits)
{
    if (isnan(value))
        return strcpy(buffer, "nan");
    print_g(buffer, BRAGG_NUMBER_TEXT, digits < 1 ? 1 : digits > 17 ? 17 : digits, value);
    return buffer;
}

char *bragg_number_print(char buffer[BRAGG_NUMBER_TEXT], double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        bragg_number_print_digits(buffer, value, digits);
        if (isnan(value) || (bragg_number_parse(buffer, &back) && back == value))
            break;
    }
    return buffer;
}

bool bragg_number_determined(double value, double esd, const char *unit)
{
    if (!(esd > 0) || !isfinite(value))
        return true;
    if (unit && !strcmp(unit, "nm") && esd > fabs(value))
        return false;
    return esd < 1e6 || esd < 100 * fabs(value);
}

char *bragg_number_print_esd(char buffer[BRAGG_NUMBER_TEXT], double value, double esd)
{
    if (!bragg_number_determined(value, esd, NULL))
        return strcpy(buffer, "not determined");
    if (!(esd > 0) || !isfinite(esd) || !isfinite(value))
        return bragg_number_print_digits(buffer, value, 6);
    int decimals = -(int)floor(log10(esd));
    double digits = round(esd * pow(10, decimals + 1));
    if (digits < 19.5)
        decimals++;
    else
        digits = round(esd * pow(10, decimals));
    if (decimals > 15 || decimals < -15 || !(fabs(value) < 1e20)) /* the buffer holds no more */
        return bragg_number_print_digits(buffer, value, 6);
    double unit = pow(10, -decimals);
    locale_t before = uselocale(c_locale());
    if (decimals >= 0)
        snprintf(buffer, BRAGG_NUMBER_TEXT, "%.*f(%.0f)", decimals, value, digits);
    else
        snprintf(buffer, BRAGG_NUMBER_TEXT, "%.0f(%.0f)", round(value / unit) * unit, digits * unit);
    uselocale(before);
    return buffer;
}

char *bragg_number_print_quantity(char buffer[BRAGG_QUANTITY_TEXT], double value, double esd, const char *unit)
{
    bool known = bragg_number_determined(value, esd, unit);
    bragg_number_print_esd(buffer, value, known ? esd : INFINITY);
    if (known && unit && *unit)
        snprintf(buffer + strlen(buffer), BRAGG_QUANTITY_TEXT - BRAGG_NUMBER_TEXT, " %s", unit);
    return buffer;
}

int bragg_number_miller(double value) { return value > -1e4 && value < 1e4 ? (int)value : 0; }
