/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dates and clock times in text. */
#include "config.h"
#include <bragg/datetime.h>
#include <bragg/number.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Days since 1970-01-01 of a date of the Gregorian calendar (H. F. Fliegel &
 * T. C. Van Flandern, Commun. ACM 11 (1968) 657, shifted). */
static long long days_from_civil(long long y, int m, int d)
{
    long long a = (m - 14) / 12;
    long long julian = (1461 * (y + 4800 + a)) / 4 + (367 * (m - 2 - 12 * a)) / 12
                       - (3 * ((y + 4900 + a) / 100)) / 4 + d - 32075;
    return julian - 2440588;
}

static int days_in_month(long long y, int m)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));
}

double bragg_time_running_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bragg_time_civil(long long year, int month, int day, double seconds_of_day)
{
    bool good = year >= 1601 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month) && isfinite(seconds_of_day);
    return good ? 86400.0 * (double)days_from_civil(year, month, day) + seconds_of_day : NAN;
}

char *bragg_time_print(char text[BRAGG_TIME_TEXT], double unix_s)
{
    double ms = round(unix_s * 1000), whole = floor(ms / 1000);
    time_t seconds = fabs(whole) < 1e12 ? (time_t)whole : 0;
    struct tm utc;
    *text = '\0';
    if (!(fabs(whole) < 1e12) || !gmtime_r(&seconds, &utc) || utc.tm_year < 1 - 1900 || utc.tm_year > 9999 - 1900)
        return text;
    size_t n = strftime(text, BRAGG_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, BRAGG_TIME_TEXT - n, ".%03d", (int)(ms - 1000 * whole));
    return text;
}

/* Up to max digits; -1 when there is none. */
static long long digits(const char **p, int max)
{
    long long v = 0;
    int n = 0;
    for (; n < max && isdigit((unsigned char)**p); n++)
        v = 10 * v + (*(*p)++ - '0');
    return n ? v : -1;
}

/* hh:mm[:ss[.fraction]] at *p; hours may exceed 24 for durations. */
static bool clock_scan(const char **p, int max_hour_digits, double *seconds)
{
    const char *q = *p;
    long long h = digits(&q, max_hour_digits), m, s = 0;
    double fraction = 0, place = 0.1;
    if (h < 0 || *q++ != ':' || (m = digits(&q, 2)) < 0 || m > 59)
        return false;
    if (*q == ':') {
        q++;
        if ((s = digits(&q, 2)) < 0 || s > 60)
            return false;
        if ((*q == '.' || *q == ',' || *q == ':') && isdigit((unsigned char)q[1]))
            for (q++; isdigit((unsigned char)*q); q++, place /= 10)
                fraction += place * (*q - '0');
    }
    *seconds = (double)(h * 3600 + m * 60 + s) + fraction;
    *p = q;
    return true;
}

bool bragg_duration_parse(const char *text, double *seconds)
{
    const char *p = text + strspn(text, " \t\""), *q = p;
    bool negative = *q == '-';
    if (negative)
        p = ++q;
    long long days = digits(&q, 6);
    if (days >= 0 && (*q == '-' || *q == 'd' || *q == 'D' || *q == ' '))
        p = q + 1 + strspn(q + 1, " ");
    else
        days = 0;
    if (!clock_scan(&p, 7, seconds) || p[strspn(p, " \t\r\n\"")])
        return false;
    *seconds += 86400.0 * (double)days;
    if (negative)
        *seconds = -*seconds;
    return true;
}

static int month_name(const char **p)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; i < 12; i++)
        if (!strncasecmp(*p, names + 3 * i, 3)) {
            while (isalpha((unsigned char)**p))
                (*p)++;
            return i + 1;
        }
    return -1;
}

/* Three numbers with one of / - . between them, or "01 May 2024", "May 01, 2024". */
static bool date_scan(const char **p, bragg_date_order order, long long *year, int *month, int *day)
{
    const char *q = *p;
    long long part[3];
    char mark = 0;
    int named = -1;
    for (int i = 0; i < 3; i++) {
        if (i) {
            if (*q == ',')
                q++;
            if (*q == ' ' && named < 0 && i == 1 && isalpha((unsigned char)q[1]))
                mark = ' ';
            if (!mark)
                mark = *q;
            if (!strchr("/-. ", mark) || !mark || *q != mark)
                return false;
            q++;
            q += strspn(q, " ");
        }
        if (isalpha((unsigned char)*q) && named < 0 && i < 2) { /* no date ends in its month */
            if ((part[i] = month_name(&q)) < 0)
                return false;
            named = i;
            if (!mark && *q == ' ')
                mark = ' ';
        } else if ((part[i] = digits(&q, 4)) < 0) {
            return false;
        }
    }
    bool year_first = part[0] > 31;
    long long m, d;
    *year = year_first ? part[0] : part[2];
    if (named >= 0) {
        m = part[named];
        d = year_first ? part[2] : part[named == 0 ? 1 : 0];
    } else if (year_first || order == BRAGG_DATE_YMD) {
        *year = part[0];
        m = part[1];
        d = part[2];
    } else {
        bool day_first = order == BRAGG_DATE_DMY || (order == BRAGG_DATE_AUTO && (part[0] > 12 || mark == '.'));
        d = part[day_first ? 0 : 1];
        m = part[day_first ? 1 : 0];
    }
    if (*year < 100)
        *year += *year < 70 ? 2000 : 1900;
    if (isnan(bragg_time_civil(*year, (int)m, (int)d, 0)))
        return false;
    *month = (int)m;
    *day = (int)d;
    *p = q;
    return true;
}

/* "Z", "+02:00", "-0500", "UTC"; true also when there is none. */
static bool zone_scan(const char **p, double *offset_s)
{
    const char *q = *p + strspn(*p, " ");
    if (*q == 'Z' || *q == 'z') {
        *offset_s = 0;
        q++;
    } else if (!strncasecmp(q, "UTC", 3) || !strncasecmp(q, "GMT", 3)) {
        *offset_s = 0;
        q += 3;
    }
    if (*q == '+' || *q == '-') {
        int sign = *q++ == '-' ? -1 : 1;
        long long h = digits(&q, 2), m = 0;
        if (*q == ':')
            q++;
        if (isdigit((unsigned char)*q))
            m = digits(&q, 2);
        if (h < 0 || h > 14 || m > 59)
            return false;
        *offset_s = sign * (double)(h * 3600 + m * 60);
    }
    *p = q;
    return true;
}

/* Text of a date with or without a clock time. */
static bool date_text(const char *text, bragg_date_order order, double utc_offset_s, double *unix_s)
{
    const char *p = text + strspn(text, " \t\"");
    long long year;
    int month, day;
    double clock = 0, offset = isnan(utc_offset_s) ? 0 : utc_offset_s;
    if (!date_scan(&p, order, &year, &month, &day))
        return false;
    if (*p == 'T' || *p == 't' || *p == ' ' || *p == ',' || *p == '_' || *p == '\t') {
        p += 1 + strspn(p + 1, " :-");
        if (*p && *p != '"') {
            if (!clock_scan(&p, 2, &clock) || clock >= 86401)
                return false;
            p += strspn(p, " ");
            bool pm = !strncasecmp(p, "PM", 2), am = !strncasecmp(p, "AM", 2);
            if (am || pm) {
                if (clock < 3600 || clock >= 46800)
                    return false;
                clock = clock >= 43200 ? clock - 43200 : clock;
                clock += pm ? 43200 : 0;
                p += 2;
            }
            if (!zone_scan(&p, &offset))
                return false;
        }
    }
    if (p[strspn(p, " \t\r\n\"")])
        return false;
    *unix_s = bragg_time_civil(year, month, day, clock) - offset;
    return true;
}

bool bragg_time_parse(const char *text, bragg_date_order order, double utc_offset_s, double *unix_s)
{
    double v;
    double offset = isnan(utc_offset_s) ? 0 : utc_offset_s;
    if (!bragg_number_parse(text, &v))
        return date_text(text, order, utc_offset_s, unix_s);
    if (v >= 20000 && v < 80000)         /* days since 1899-12-30: 1954 to 2119 */
        *unix_s = (v - 25569) * 86400 - offset;
    else if (v >= 1e8 && v < 2.9e9)      /* seconds since 1970, UTC by definition */
        *unix_s = v;
    else if (v >= 2.9e9 && v < 5e9)      /* seconds since 1904-01-01 (LabVIEW) */
        *unix_s = v - 2082844800.0;
    else if (v >= 1e11 && v < 5e12)      /* milliseconds since 1970 */
        *unix_s = v / 1000;
    else
        return false;
    return true;
}
