/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_DATETIME_H
#define BRAGG_DATETIME_H

#include <stdbool.h>

/** Dates, clock times and durations, in text and as they pass. */

typedef enum bragg_date_order {
    BRAGG_DATE_AUTO,         /**< decided by days above 12; month first (with a note) when they do not */
    BRAGG_DATE_MDY, BRAGG_DATE_DMY, BRAGG_DATE_YMD
} bragg_date_order;

/** "2024-05-01T10:00:00.5+02:00", "5/1/2024 10:00:00 AM", "01.05.2024 10:00",
 *  seconds since 1970 or days since 1899-12-30 (spreadsheets) to UTC seconds.
 *  Text without a zone is taken as utc_offset_s from UTC (NAN: 0). */
bool bragg_time_parse(const char *text, bragg_date_order order, double utc_offset_s, double *unix_s);

/** A date of the Gregorian calendar and the seconds of its day as UTC seconds; NAN for
 *  one that there is not. */
double bragg_time_civil(long long year, int month, int day, double seconds_of_day);

/** Seconds of a clock that only goes forward, to tell how long something takes. */
double bragg_time_running_s(void);

enum { BRAGG_TIME_TEXT = 40 };

/** "2024-05-01T10:00:00.123", UTC to the nearest millisecond; "" beyond the years 1 to 9999. */
char *bragg_time_print(char text[BRAGG_TIME_TEXT], double unix_s);

/** "12:34:56.7", "36:00:00", "1-02:03:04", "2d 03:04:05" in seconds. */
bool bragg_duration_parse(const char *text, double *seconds);

#endif
