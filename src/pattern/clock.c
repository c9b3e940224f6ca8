/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Civil times of instruments to seconds since 1970; small tools for bytes. */
#include "config.h"
#include "reader.h"

#include <math.h>
#include <string.h>

/* Days from 1970-01-01 in the proleptic Gregorian calendar, counted in years
 * that begin in March so that the leap day is last (E. G. Richards, in:
 * Explanatory Supplement to the Astronomical Almanac, 3rd ed., 2013, ch. 15). */
static double days_from_1970(int year, int month, int day)
{
    int y = month > 2 ? year : year - 1, m = (month + 9) % 12;
    return 365.0 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

double clock_seconds(int year, int month, int day, double seconds_of_day)
{
    if (year < 1900 || year > 2999 || month < 1 || month > 12 || day < 1 || day > 31 || !isfinite(seconds_of_day))
        return NAN;
    return 86400 * days_from_1970(year, month, day) + seconds_of_day;
}

/* Exactly n digits at p; -1 when there are not. */
static int digits(const char *p, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        value = 10 * value + (p[i] - '0');
    }
    return value;
}

/* "+01:00" or "-0600" behind the time, in seconds east. */
static double zone_seconds(const char *p)
{
    if (*p != '+' && *p != '-')
        return 0;
    int hours = digits(p + 1, 2);
    int minutes = hours < 0 ? -1 : digits(p + (p[3] == ':' ? 4 : 3), 2);
    if (hours < 0 || minutes < 0)
        return 0;
    return (*p == '-' ? -1 : 1) * (3600.0 * hours + 60 * minutes);
}

double clock_iso(const char *text)
{
    while (*text == ' ' || *text == '\t' || *text == '\r' || *text == '\n')
        text++;
    int field[6] = { 0 };
    static const int width[6] = { 4, 2, 2, 2, 2, 2 };
    const char *p = text;
    for (int i = 0; i < 6; i++) {
        field[i] = digits(p, width[i]);
        if (field[i] < 0)
            return NAN;
        p += width[i];
        if (i < 5 && !strchr("-T :", *p))
            return NAN;
        if (i < 5 && *p++ == '\0')
            return NAN;
    }
    double seconds = field[5], unit = 0.1;
    if (*p == '.' || *p == ',')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            seconds += unit * (*p - '0');
    return clock_seconds(field[0], field[1], field[2], 3600.0 * field[3] + 60.0 * field[4] + seconds) -
           zone_seconds(p);
}

double le_float(const unsigned char *p)
{
    uint32_t bits = le32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double le_double(const unsigned char *p)
{
    uint64_t bits = le32(p) | (uint64_t)le32(p + 4) << 32;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
